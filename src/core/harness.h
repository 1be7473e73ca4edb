/* A small world for the core's tests: Controllers joined by links that the test holds or lets go,
 * Processes that are queues of records, arenas that are arrays. One thread, no clock.
 *
 * A world checks by itself, always: every record and message that a core puts out is well formed;
 * no cookie of a call is completed twice; nothing goes to a Process that is gone. */
#ifndef FRACTOS_CORE_HARNESS_H
#define FRACTOS_CORE_HARNESS_H

#include "base/base.h"
#include "core/core.h"
#include "wire/wire.h"

enum { WORLD_NODES = 4, WORLD_SEGMENT = 1 << 20, WORLD_COOKIES = 1 << 17 };

struct packet {
	struct packet *next;
	size_t size;
	_Alignas(8) uint8_t bytes[];
};
struct queue {
	struct packet *first, **last;
	uint32_t count;
};

struct world_process {
	bool alive;
	uint32_t serial;
	uint8_t *arena;          /* segment 0 */
	struct queue records[2]; /* of each channel */
};

struct world_node {
	struct core *core;
	struct world *world;
	uint32_t number;
	struct core_config config;
	struct world_process processes[16];
	uint32_t process_count;
	struct queue slices;       /* tokens of CORE_MOVE and CORE_SEND_SLICE not yet answered */
	uint64_t spans, unchecked; /* unchecked: steps */
	uint64_t ended_sessions, ended_processes;
	const char *reason;
	void **chunks;
	size_t chunk_count;
	struct fos_counters seen; /* by its outputs */
	uint64_t grow_limit;      /* bytes; 0: none */
	uint64_t grown;
};

/* Sees every step as its shell does: the event before it, each output, and its end. */
struct world_observer {
	void (*event)(void *context, const struct world_node *node, const struct core_event *event);
	void (*output)(void *context, const struct world_node *node, const struct core_output *out);
	void (*step_end)(void *context, const struct world_node *node);
	void *context;
};

struct world {
	const struct world_observer *observer; /* NULL: nobody looks */
	uint64_t now;
	struct world_node nodes[WORLD_NODES];
	uint32_t count;
	struct queue links[WORLD_NODES][WORLD_NODES][2];
	bool up[WORLD_NODES][WORLD_NODES];
	bool hold[WORLD_NODES][WORLD_NODES][2]; /* nothing is taken out of this link */
	bool hold_slices;                       /* CORE_MOVE and CORE_SEND_SLICE are not answered */
	uint64_t cookie;
	uint8_t completed[WORLD_COOKIES];
	struct base_random random;
	bool shuffle; /* settle takes links in random order */
};

/* ------------------------------------------------------------------ the world */

struct world *world_new(uint32_t nodes, const struct core_config *config); /* NULL: default */
/* Kills all Processes, lets everything end, checks that each core uses what it did at first. */
void world_end(struct world *world);
void world_step(struct world_node *node, const struct core_event *event);
void world_tick(struct world *world, uint64_t ns); /* time passes, in every core */
void world_connect(struct world *world, uint32_t a, uint32_t b);
void world_cut(struct world *world, uint32_t a, uint32_t b);
void world_rejoin(struct world *world, uint32_t a, uint32_t b); /* cut and joined; settles */
/* A node starts anew, with another epoch; its peers hear of the new one first. */
void world_reboot(struct world *world, uint32_t node);
/* Delivers messages and answers slices until there is nothing that is not held. */
void world_settle(struct world *world);
/* One message of a link; false: none there. */
bool world_deliver(struct world *world, uint32_t from, uint32_t to, enum core_lane lane);
uint64_t world_messages(const struct world *world,
						uint8_t type); /* sent by all; 0: no heartbeats */
uint32_t world_objects(const struct world *world, uint32_t node); /* in its table, dead ones too */

/* ------------------------------------------------------------------ Processes */

struct actor { /* a Process's channel */
	struct world_node *node;
	uint32_t process, channel;
};
struct actor actor_new(struct world *world, uint32_t node); /* with channel 0 and 1, segment 0 */
struct actor actor_other_channel(struct actor actor);
void actor_kill(struct actor actor); /* gone, and free at once */
void actor_gone(struct actor actor);
void actor_free(struct actor actor);
uint8_t *actor_arena(struct actor actor);
struct core_usage actor_usage(struct actor actor);
/* The next delivery of its channel, or the answer to that cookie, which the caller frees. NULL:
 * none. */
struct packet *actor_record(struct actor actor, bool delivery, uint64_t cookie);

/* A call: fixed part and, where it has one, a table of arguments. */
struct call {
	uint16_t type;
	size_t fixed_size;
	_Alignas(8) uint8_t fixed[128];
	bool has_args;
	unsigned entry_count, range_count, bound_count;
	struct wire_call_entry entries[FOS_ENTRIES_MAX];
	struct wire_range ranges[FOS_RANGES_MAX];
	struct wire_bound bounds[2 * FOS_ENTRIES_MAX];
	const void *range_bytes[FOS_RANGES_MAX];
	const void *data; /* FAIL */
	size_t data_len;
};
void call_init(struct call *call, uint16_t type, const void *fixed, size_t size, bool has_args);
void call_imm(struct call *call, unsigned entry, uint32_t offset, const void *bytes,
			  uint32_t length);
void call_cap(struct call *call, unsigned entry, unsigned index, unsigned value);
unsigned call_slot(struct call *call, uint64_t cap);
unsigned call_refine(struct call *call, uint64_t cap); /* slot or WIRE_IN_CALL | entry */
unsigned call_part(struct call *call, uint64_t cap, uint64_t offset, uint64_t length, uint8_t drop);
size_t call_encode(const struct call *call, uint64_t cookie, uint8_t *out);
/* Submits; returns its cookie. */
uint64_t call_submit(struct actor actor, const struct call *call);
bool call_completed(struct actor actor, uint64_t cookie, struct wire_answer_completion *out);

struct call call_invoke(uint64_t cap, uint64_t delivery, uint64_t time);
struct call call_continue(uint64_t delivery, uint64_t cap, bool fail_if_refused);
struct call call_copy(uint64_t dst, uint64_t src, uint64_t delivery, uint64_t time);
struct call call_refinement(uint64_t cap);
struct call call_revtree(uint64_t cap, bool tracked);
struct call call_revoke(uint64_t cap, bool drain, uint64_t time);

/* Submit and expect the completion at once. *cap may be NULL. */
fos_status actor_call(struct actor actor, const struct call *call, uint64_t *cap);
/* The same, of a call that another node answers: the world settles first. */
fos_status actor_ask(struct actor actor, const struct call *call, uint64_t *cap);
/* Its status, or FOS_STATUS_COUNT while it is not completed. */
fos_status call_status(struct actor actor, uint64_t cookie);
uint64_t actor_revtree(struct actor actor, uint64_t cap); /* settles the world */
uint64_t actor_tracked(struct actor actor, uint64_t cap); /* the same, TRACKED */
uint64_t actor_request(struct actor actor, uint64_t handler);
uint64_t actor_once(struct actor actor, uint64_t handler, uint64_t deadline);
uint64_t actor_memory(struct actor actor, uint64_t offset, uint64_t length, uint32_t rights);
fos_status actor_invoke(struct actor actor, uint64_t cap); /* without arguments */
fos_status actor_close(struct actor actor, uint64_t cap);
fos_status actor_keep(struct actor actor, uint64_t cap);
fos_status actor_revoke(struct actor actor, uint64_t cap);
/* What cap_revoke says when all that can settle has; FOS_STATUS_COUNT: it waits. */
fos_status actor_take_back(struct actor actor, uint64_t cap, bool drain);
fos_status actor_finish(struct actor actor, uint64_t delivery);
fos_status actor_fail(struct actor actor, uint64_t delivery, fos_status status, const char *text);
fos_status actor_info(struct actor actor, uint64_t cap, struct wire_answer_info *out);

/* Sets a monitor; returns its cookie. */
uint64_t actor_monitor(struct actor actor, uint64_t cap, bool delegate);
bool monitor_ended(struct actor actor, uint64_t cookie, struct wire_answer_monitored *out);

/* The next delivery of the channel, parsed. false: none. */
struct arrival {
	uint64_t handler, id, trace, span, time_left;
	fos_status status; /* the exception's; FOS_OK: none */
	char where[2 * FOS_LABEL_MAX], detail[FOS_DETAIL_MAX];
	uint32_t process;
	unsigned range_count, cap_count;
	struct wire_range ranges[FOS_RANGES_MAX];
	struct wire_delivered caps[FOS_CAPS_MAX];
	uint8_t imm[FOS_IMM_MAX]; /* as laid out by offset */
};
bool actor_arrival(struct actor actor, struct arrival *out);
uint64_t arrival_cap(const struct arrival *arrival, unsigned index); /* 0: not bound */

/* Invokes a Request of another with a capability as argument 1. */
fos_status actor_pass(struct actor from, uint64_t door, uint64_t cap);
/* There it has come: kept, its delivery finished. */
uint64_t actor_take(struct actor actor);
/* Takes what memory its Controller has left, in blocks of every size that arguments have. */
void actor_exhaust(struct actor actor);

/* Gives `to` a capability of `from`: through a Request made for it. Both on any nodes. */
uint64_t actor_give(struct actor from, uint64_t cap, struct actor to);
/* The first capability that crosses nodes: the registry's Request of `at` goes to `who`. */
uint64_t actor_introduce(struct actor registry, struct actor who);

#endif
