/* What the files of the programs share: a call that is being made, and what may be in it.
 *
 *     program.c                 steps, births, lies, the end
 *     program_call.c            what is the same for all calls
 *     program_call_invoke.c     request_invoke, continue, fail, finish
 *     program_call_object.c     memory_create, memory_diminish, request_create
 *     program_call_child.c      request_refine, cap_revtree
 *     program_call_copy.c       memory_copy
 *     program_call_cap.c        cap_close, cap_keep, cap_info, cap_is_same
 *     program_call_revoke.c     cap_revoke
 *     program_call_monitor.c    monitor_receive, monitor_delegate
 *     program_call_registry.c   registry_get, registry_set
 *     program_name.c            what a program knows of its capabilities
 *     program_record.c          what comes to it
 *
 * Each draws from the step's numbers, so the order of what it looks at is part of what a seed
 * means. */
#ifndef FRACTOS_SIM_PROGRAM_H
#define FRACTOS_SIM_PROGRAM_H

#include "sim/sim.h"

enum {
	PROGRAM_ENTRIES = 12,
	PROGRAM_RANGES = 10,
	PROGRAM_BOUNDS = 14,
	PROGRAM_RANGE_BYTES = 24,
	PROGRAM_TAG_OFFSET = 8128 /* of an invocation's number among its immediates */
};

struct program_call {
	struct world *world;
	struct process *process;
	uint32_t channel;
	uint16_t type;
	_Alignas(8) uint8_t fixed[64];
	uint32_t fixed_size, entry_count, range_count, bound_count, detail_len;
	bool args;
	fos_status expected; /* OK: the program cannot say */
	struct wire_call_entry entries[PROGRAM_ENTRIES];
	struct wire_range ranges[PROGRAM_RANGES];
	uint8_t bytes[PROGRAM_RANGES][PROGRAM_RANGE_BYTES];
	struct wire_bound bounds[PROGRAM_BOUNDS];
	const char *detail;
};

/* ------------------------------------------------------------------ a call's record */

#define PROGRAM_BEGIN(call, world_, process_, NAME, name, ...)      \
	struct program_call call;                                       \
	program_begin(&(call), world_, process_, WIRE_CALL_TYPE_##NAME, \
				  &(struct wire_call_##name){__VA_ARGS__}, sizeof(struct wire_call_##name))

void program_begin(struct program_call *call, struct world *world, struct process *process,
				   uint16_t type, const void *fixed, size_t size);
/* It must be refused, for this if for nothing before. */
void program_expect(struct program_call *call, fos_status status);
uint32_t program_add_slot(struct program_call *call, uint64_t cap);
void program_add_cap(struct program_call *call, uint32_t entry, uint32_t index, uint32_t value);
/* The number of an invocation through `cap`, by which the ledger knows it again. */
void program_tag(struct program_call *call, uint64_t cap);
/* What is to be known at the call's end is left in *told, which the caller fills in before. */
struct told *program_prepare(struct program_call *call, uint64_t *cookie);
void program_submit(struct program_call *call, uint64_t cookie);
void program_go(struct program_call *call); /* both, when nothing is to be known */

/* ------------------------------------------------------------------ names */

enum want { WANT_ANY, WANT_REQUEST, WANT_MEMORY };

/* A capability of that kind, if a few looks find one; or now and then one that cannot be. Good
 * until the next pick. */
const struct name *program_pick(struct program_call *call, enum want want);
/* Another try: what the first would have meant is forgotten. */
const struct name *program_pick_again(struct program_call *call, enum want want);
/* The same, and WRONG_TYPE is expected of what is of the other kind. */
const struct name *program_pick_kind(struct program_call *call, enum want want);
void program_learn(struct process *process, const struct name *name);
void program_forget(struct process *process, uint64_t cap);
struct name *program_find_name(struct process *process, uint64_t cap); /* NULL: not known */

/* ------------------------------------------------------------------ arguments */

/* Binds a capability; tells of an overlap that it must cause. */
void program_bind(struct program_call *call, uint32_t entry, struct name *made, uint32_t index,
				  uint32_t value);
/* An entry: a slot as it is, a narrower Memory, or a Request with more bound. */
uint32_t program_add_entry(struct program_call *call, enum want want);
/* What entry 0 adds to the Request that is meant. */
void program_add_args(struct program_call *call, struct name *made);
/* A cap may be bound twice under one index of entry 0: the record would be malformed. */
bool program_well_formed(const struct program_call *call);
uint64_t program_time(struct world *world);                 /* mostly none */
struct opened *program_any_open(struct program_call *call); /* NULL: none is */
/* A call without a delivery has a trace that was never used before. */
uint64_t program_trace(struct world *world);

/* ------------------------------------------------------------------ what it does in a step */

typedef void program_act(struct world *world, struct process *process);

program_act program_null;
program_act program_invoke, program_continue, program_end;
program_act program_share;   /* gives away what it has: how capabilities come to be known */
program_act program_burst;   /* invokes more at once than there are credits */
program_act program_end_all; /* all that is open, at once */
program_act program_create, program_memory, program_diminish;
program_act program_refine, program_revtree;
program_act program_scatter; /* more tracked children at once than there are credits */
program_act program_copy;
program_act program_close_any, program_keep, program_info, program_same;
program_act program_revoke;
program_act program_watch, program_watch_holders;
program_act program_registry_get, program_registry_set;

/* Of one that it names. */
void program_finish_one(struct world *world, struct process *process, uint64_t delivery);
void program_close_cap(struct world *world, struct process *process, uint64_t cap);
void program_revoke_cap(struct world *world, struct process *process, uint64_t cap);

#endif
