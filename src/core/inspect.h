/* A read-only look into the tables of a core: for the simulator, the oracle and tests, which
 * compare what all Controllers hold. Nothing here changes anything; the order of a walk is that of
 * the tables. */
#ifndef FRACTOS_CORE_INSPECT_H
#define FRACTOS_CORE_INSPECT_H

#include "base/base.h"
#include "core/core.h"

struct core_view_ref { /* an object's name in the whole cluster */
	uint32_t node, index;
	uint64_t epoch, serial;
};

struct core_view_object {
	struct core_view_ref ref;
	uint32_t process; /* 0: dead */
	uint8_t kind;     /* enum fos_kind */
	bool once, dead;
	uint32_t deliveries; /* open */
	uint32_t busy;       /* slices with the shell */
	uint32_t waiters;    /* sources waiting for a place */
	uint32_t maker_node, maker_process;
	uint64_t maker_epoch;
	bool child, tracked;
};

struct core_view_slot {
	uint32_t process;
	uint64_t cap;
	struct core_view_ref ref;
	uint8_t kind, rights;
	bool borrowed;
	uint64_t offset, length; /* Memory */
	uint64_t hash;           /* only where one slot is asked for */
};

struct core_view_session {
	uint32_t node;
	uint64_t epoch;
	bool ending;
	uint32_t credits[8], unreturned[8], peers[8]; /* by class */
	uint32_t queued, flight;                      /* invocations */
	uint32_t parks, waiters;
	uint32_t incoming, outgoing, asked, asks; /* copies */
	uint32_t children;                        /* that its Processes are charged with here */
};

struct core_view_transfer {   /* a copy at its source's owner */
	struct core_view_ref src; /* serial 0: nothing reads it any more, and it may be gone */
	struct core_view_ref dst;
	uint64_t src_offset, dst_offset, length, sent, trace;
	/* Which call of which node asked for it: see core_inspect_copy(). */
	uint32_t asker;
	uint64_t asker_epoch, copy;
	uint32_t outstanding;
	bool ended;
};

struct core_view_lending { /* a child that a Process of this node made at another owner */
	struct core_view_ref ref;
	uint32_t process;
};

struct core_view_tracked { /* what a Controller knows of a tracked child */
	struct core_view_ref ref;
	uint32_t refs, uses; /* by others than its maker's plain slots; by what goes through it */
	uint32_t in_transit; /* sent, not confirmed */
	uint32_t debts;      /* senders that wait for a confirmation from here */
	bool registered;     /* with its owner */
	bool moves;          /* HOLD or RELEASE is still to be sent or answered */
	bool lost, over;     /* its owner was lost; it is dead */
};

/* What a Process is charged with, counted anew from the tables. */
struct core_view_process {
	uint32_t objects, slots, deliveries, copies, monitors, revokings;
	uint64_t values; /* bytes of slots and deliveries alone */
};
/* false: there is none. */
bool core_inspect_process(const struct core *core, uint32_t process, struct core_view_process *out);

/* Any of them may be NULL. */
struct core_visitor {
	void (*object)(void *context, const struct core_view_object *object);
	void (*slot)(void *context, const struct core_view_slot *slot);
	void (*session)(void *context, const struct core_view_session *session);
	void (*lending)(void *context, const struct core_view_lending *lending);
	void (*transfer)(void *context, uint64_t token, const struct core_view_transfer *transfer);
	void (*tracked)(void *context, const struct core_view_tracked *tracked);
	/* At the owner: a Controller that is registered as a holder. */
	void (*holder)(void *context, const struct core_view_ref *ref, uint32_t node);
};
void core_inspect(const struct core *core, const struct core_visitor *visitor, void *context);

/* What one slot holds; false: nothing. */
bool core_inspect_slot(const struct core *core, uint32_t process, uint64_t cap,
					   struct core_view_slot *out);
/* The object of this core that `ref` names, also a dead entry of it; false: none. */
bool core_inspect_object(const struct core *core, const struct core_view_ref *ref,
						 struct core_view_object *out);
/* The copy that a token of CORE_MOVE or CORE_SEND_SLICE belongs to; false: none. */
bool core_inspect_transfer(const struct core *core, uint64_t token, struct core_view_transfer *out);

/* The number of the copy that a call asked for, while its Controller keeps it; 0: none. Of calls
 * with one cookie the newest. */
uint64_t core_inspect_copy(const struct core *core, uint32_t process, uint32_t channel,
						   uint64_t cookie);

struct core_view_delivery { /* an open one */
	struct core_view_ref object;
	uint64_t on_error; /* its value's hash; 0: none */
	unsigned cap_count;
	uint64_t caps[FOS_CAPS_MAX]; /* what each of its capabilities' slots holds; 0: nothing */
};
bool core_inspect_delivery(const struct core *core, uint32_t process, uint64_t delivery,
						   struct core_view_delivery *out);

/* A value's hash is of all that it is, however deep: who keeps tables of his own makes the same
 * one. Ranges of immediates that were bound in another way are the same. */
static inline uint64_t core_view_ref_hash(const struct core_view_ref *ref)
{
	return base_mix64(ref->serial ^
					  base_mix64(ref->epoch ^ ((uint64_t)ref->node << 32 | ref->index)));
}
static inline uint64_t core_view_memory_hash(uint64_t ref, uint64_t offset, uint64_t length,
											 uint8_t rights)
{
	return base_mix64(base_mix64(ref + offset) + length) ^ base_mix64(rights);
}
static inline uint64_t core_view_request_hash(uint64_t ref, uint64_t bundle)
{
	return base_mix64(ref + bundle);
}
/* A sum over the bytes. */
static inline uint64_t core_view_imm_hash(uint32_t offset, const uint8_t *bytes, uint32_t length)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < length; i++)
		sum += base_mix64(((uint64_t)(offset + i) << 8 | bytes[i]) + 0x9e3779b97f4a7c15u);
	return sum;
}
/* What each part adds to a bundle's; on_error has the index FOS_CAPS_MAX. */
static inline uint64_t core_view_imm_part(uint64_t imm_hash, uint32_t bytes)
{
	return base_mix64(imm_hash) + bytes + 1;
}
static inline uint64_t core_view_cap_part(uint64_t value, uint32_t index)
{
	return base_mix64(value ^ base_mix64(index + 1));
}

/* How many records there are of each kind: what a core at rest has, and what it has not. */
struct core_view_totals {
	uint32_t processes, sessions, objects, dead, slots, deliveries;
	uint32_t copies, outgoing, askings, timers;
	uint32_t house; /* invocations of dead Processes and ended sessions */
};
void core_inspect_totals(const struct core *core, struct core_view_totals *out);

/* Bytes that pools may still take before calls are refused: without the reserve. */
uint64_t core_inspect_memory(const struct core *core);

/* How often something was refused because there were none, in the core's whole life. */
uint64_t core_inspect_refusals(const struct core *core);

/* How often each transition was taken, in the order of core/cover.h, and how many there are. */
const uint64_t *core_inspect_cover(const struct core *core, unsigned *count);

#endif
