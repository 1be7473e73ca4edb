/* A read-only look into the tables of a core: for the simulator, the oracle and tests, which
 * compare what all Controllers hold. Nothing here changes anything; the order of a walk is that of
 * the tables. */
#ifndef FRACTOS_CORE_INSPECT_H
#define FRACTOS_CORE_INSPECT_H

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
};

struct core_view_session {
	uint32_t node;
	uint64_t epoch;
	bool ending;
	uint32_t credits[8], unreturned[8], peers[8]; /* by class */
	uint32_t queued, flight;                      /* invocations */
	uint32_t parks, waiters;
	uint32_t incoming, outgoing, asked, asks; /* copies */
};

struct core_view_transfer { /* a copy at its source's owner */
	struct core_view_ref src, dst;
	uint64_t src_offset, dst_offset, length, sent, trace;
	uint32_t outstanding;
	bool ended;
};

struct core_view_lending { /* a child that a Process of this node made at another owner */
	struct core_view_ref ref;
	uint32_t process;
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

/* How many records there are of each kind: what a core at rest has, and what it has not. */
struct core_view_totals {
	uint32_t processes, sessions, objects, dead, slots, deliveries;
	uint32_t copies, outgoing, askings, timers;
	uint32_t house; /* invocations of dead Processes and ended sessions */
};
void core_inspect_totals(const struct core *core, struct core_view_totals *out);

/* How often each transition was taken, in the order of core/cover.h, and how many there are. */
const uint64_t *core_inspect_cover(const struct core *core, unsigned *count);

#endif
