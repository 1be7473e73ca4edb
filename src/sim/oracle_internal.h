/* What the files of the oracle share. Its words are those of the core, but there is one of each
 * thing in the whole cluster: an object is an object wherever its capabilities lie.
 *
 * Moments: each step of any core is one. "Since moment m" is how an explanation is looked for. */
#ifndef FRACTOS_SIM_ORACLE_INTERNAL_H
#define FRACTOS_SIM_ORACLE_INTERNAL_H

#include <string.h>

#include "base/base.h"
#include "base/list.h"
#include "core/inspect.h"
#include "core/limits.h"
#include "sim/oracle.h"
#include "wire/wire.h"

enum { ORACLE_BUCKETS = 1 << 12, ORACLE_REASON_MAX = 512, ORACLE_DEPTH_MAX = 16 };

#define ORACLE_MAY(status) (1u << (FOS_##status))

/* ------------------------------------------------------------------ values */

struct oracle_bound {
	struct oracle_value *value;
	uint32_t index;
};
struct oracle_extent {
	uint32_t offset, length;
};
struct oracle_bundle { /* bound arguments; caps and ranges follow */
	uint32_t refs, size;
	uint64_t hash;     /* of immediates, capabilities and on_error */
	uint64_t imm_hash; /* sum over all bytes: independent of how they were bound */
	uint64_t cap_hash; /* of what a delivery shows of the capabilities */
	uint32_t imm_bytes;
	uint16_t cap_count, range_count;
	uint8_t height;
	bool tracked; /* names a tracked child, at any depth */
	uint64_t weight;
	uint64_t entries, ranges, bounds, bytes; /* of all below, counted as a tree: upper bounds */
	struct oracle_value *on_error;
	struct oracle_bound caps[];
};
struct oracle_value { /* immutable, counted */
	uint32_t refs;
	struct oracle_thing *object;
	uint64_t offset, length; /* Memory */
	struct oracle_bundle *bundle;
	uint64_t hash, weight;
	uint8_t kind, rights, height;
	bool tracked;
	struct oracle_value *next; /* being released, or looked at */
	uint64_t walk;             /* the last walk that met it */
};

/* What a table of arguments adds to entry 0. */
struct oracle_addition {
	const struct wire_range *ranges;
	const struct wire_bound *bounds;
	const uint8_t *imm;
	unsigned range_count, bound_count;
	struct oracle_value **table;
	struct oracle_value *on_error; /* borrowed */
};
struct oracle_built {
	struct oracle_value *table[FOS_ENTRIES_MAX];
	unsigned count;
	struct oracle_addition call;
};

/* ------------------------------------------------------------------ objects */

enum oracle_life { ORACLE_LIVE, ORACLE_MAYBE, ORACLE_DEAD }; /* MAYBE: it may be dead by now */

enum { /* why it may be dead: bits, as monitors tell them */
	   ORACLE_BY_REVOKE = 1,
	   ORACLE_BY_MAKER = 2,
	   ORACLE_BY_UNHELD = 4
};

struct oracle_thing { /* an object, base or child; kept to the end of the world */
	uint64_t id;      /* hash of its ref; 0: it has no name yet */
	uint64_t moment;
	struct list hash;     /* by ref */
	struct list of_node;  /* of its owner */
	struct list of_maker; /* its Process, or a child's maker; taken out when that dies */
	struct list once;     /* of the Process: living ONCE Requests */
	struct oracle_thing *parent;
	uint32_t depth;
	uint32_t node, index;
	uint64_t epoch, serial;
	uint8_t kind, rights;
	bool is_once, tracked, registry;
	bool consumed;         /* ONCE: its delivery was made */
	bool charged;          /* counted in the maker's objects */
	enum oracle_life life; /* its own; ancestors and the epoch come to it */
	unsigned why;
	struct oracle_process *process; /* the provider or arena's; kept when it is dead */
	struct oracle_process *maker;
	uint32_t channel, segment;
	uint64_t handler, offset, length, deadline;
	uint32_t open;    /* deliveries, those of descendants included */
	uint32_t remains; /* left by dead Processes whose devices may still work */
	uint32_t busy;    /* slices with the shell, those of descendants included */
	uint32_t revokes; /* how often its maker asked */
	bool has_children;
	uint32_t delegates;  /* monitor_delegate that waits */
	bool unsure;         /* whether it lives will show in the tables */
	uint32_t left;       /* deliveries of its own that its Process left unfinished */
	uint64_t killed;     /* time of its own death, as far as it is known; 0: it lives, or may */
	uint64_t seen;       /* moment of the last comparison that found it */
	uint64_t walk;       /* the last walk that met it */
	uint64_t nodes;      /* tracked: bits of those where it ever was */
	uint64_t holding;    /* tracked, at the end: bits of the nodes that hold it, as far as known */
	bool delegated;      /* another than its maker had it in a slot */
	bool armed;          /* was delegated */
	bool aimed;          /* some invocation or on_error names it */
	bool large;          /* one of them may not fit what a ONCE Request keeps */
	struct list waiting; /* struct oracle_made, PLAIN, oldest first */
};

/* ------------------------------------------------------------------ invocations */

enum oracle_made_kind {
	ORACLE_PLAIN, /* by a Process: delivered in order */
	ORACLE_THEN,  /* by a copy that landed */
	ORACLE_FAILED /* an exception that a provider, or its death, caused */
};

struct oracle_made {       /* an invocation that was made and may be delivered once */
	struct list key, told; /* of waiting ones by what is delivered; by whom it may be told to */
	struct list of_object; /* waiting PLAIN ones, oldest first */
	struct list of_source; /* when an exception of it may wait */
	struct list old;       /* when it waits no more */
	enum oracle_made_kind kind;
	bool waiting; /* may yet be delivered */
	bool twin;    /* the same as another one in all but its call */
	bool delivered;
	bool perhaps;    /* an exception told of it, or of one that nobody could tell from it */
	bool aimed;      /* counted at its provider */
	bool no_room;    /* about the end of its time something kept it from a place */
	uint32_t turn;   /* in the heap of those that wait, from 1; 0: it is judged */
	uint64_t judged; /* time at which no_room is found out */
	uint64_t key_hash, told_hash;
	struct oracle_thing *target;
	struct oracle_bundle *args;
	struct oracle_value *on_error;
	uint64_t trace, end, moment, time, begun, weight; /* begun: when it was made */
	uint32_t source_node, channel;
	uint32_t
		way[4]; /* nodes: its source's, of a copy the source's and the destination's, the owner */
	uint32_t way_count;
	struct oracle_process *source; /* whose call made it */
	struct oracle_copying *after;  /* THEN */
	uint32_t told_count;
	/* FAILED: what the header must say. */
	uint8_t status;
	uint64_t detail; /* oracle_text_hash() */
	struct {
		uint32_t status, node, process;
	} last; /* the last exception that told of it */
	uint32_t told_node, told_process;
};

struct oracle_copying {       /* a copy under way */
	struct list all;          /* of the source's node: all of them */
	struct list of_token;     /* when its token is known */
	struct oracle_call *call; /* not completed yet */
	struct oracle_process *asker;
	struct oracle_value *src, *dst;
	struct oracle_made *then; /* NULL: none */
	uint64_t trace, end, moment, time;
	uint64_t number; /* the copy's, at the asker's node; 0: not known */
	uint64_t asker_epoch;
	uint64_t token; /* 0: not seen yet */
	uint32_t token_node;
	uint64_t token_epoch;
	uint64_t taken;       /* bytes in slices that were given to the shell */
	uint64_t placed;      /* bytes that have landed */
	uint64_t slice;       /* of the move under way */
	uint64_t landing_end; /* of its time where it lands; 0: not known */
	uint32_t outstanding;
	bool local;                           /* inside one node: moved, not sent */
	bool reported;                        /* its end was told: by completion or on_error */
	struct oracle_value *next, *on_error; /* what it goes with; NULL: nothing */
};

struct oracle_open { /* an open delivery */
	uint64_t id;
	struct list of_process;
	struct oracle_process *process;
	struct oracle_thing *object;
	struct oracle_value *on_error;
	uint64_t trace, end, span, begun;
	fos_status status; /* with which it ends */
	uint32_t channel, cap_count;
	bool is_once;
	uint64_t caps[];
};

struct oracle_ended { /* a delivery whose span is still to be told, in this step */
	struct list all;
	struct core_span span;
};

/* ------------------------------------------------------------------ Processes and calls */

struct oracle_cell { /* of a capability space */
	uint64_t cap;    /* the newest name of this index */
	struct oracle_value *value;
	bool borrowed;
	uint64_t time;                   /* since when it holds that */
	struct oracle_call *monitors[2]; /* receive, delegate */
};

struct oracle_process {
	struct oracle *oracle;
	struct list hash, all;
	bool touched; /* a slot was named that may be closed, with a tracked child lost */
	uint32_t node, serial;
	uint64_t epoch;
	bool alive, ending, may_set_registry;
	bool freed; /* its devices */
	uint64_t gone_moment, tight_moment;
	uint8_t principal[sizeof(fos_principal)];
	struct oracle_cell *cells;
	uint32_t cell_room;
	struct oracle_open **opens;
	uint32_t open_room;
	uint32_t slots, objects, deliveries, once_living, once_open, monitors, revokings;
	uint32_t asking;
	uint32_t remained;  /* objects of which a closed channel left deliveries: charged as objects */
	uint32_t dead_afar; /* children at other owners whose deaths it may not have been told of */
	uint64_t afar_time; /* of the last of them */
	uint64_t weight;    /* bytes by value, an upper bound */
	uint32_t waiting;
	uint64_t channels; /* bits */
	uint32_t channel_open[64];
	uint64_t channel_full[64]; /* time at which its inbox was full last */
	uint64_t finish_full;      /* time at which its room for finishes was used up */
	/* Invocations from other nodes that wait for a place, which may be kept for them. */
	uint32_t aimed, channel_aimed[64];
	uint64_t segments[LIMIT_SEGMENTS];
	struct list things, onces, calls, open;
	struct list told; /* struct oracle_made of which exceptions may wait */
	uint32_t told_count;
	struct list remaining; /* struct oracle_remain */
};

struct oracle_remain { /* deliveries that a dead Process left at an object */
	struct list of_process;
	struct oracle_thing *object;
};

struct oracle_call { /* between submission and completion */
	struct list hash, of_process;
	struct oracle_process *process;
	uint32_t channel;
	uint64_t cookie, moment, time, end;
	uint16_t type;
	uint32_t may;      /* bits of the statuses that are allowed now */
	uint64_t cap;      /* what it names */
	uint64_t delivery; /* finished by it */
	fos_status told;   /* FAIL */
	uint64_t detail;   /* the same: oracle_text_hash() */
	bool same, drain, fail_if_refused, tracked;
	bool cancelled;       /* a monitor's slot is closed */
	bool waits;           /* need not be completed in its own step */
	bool kills;           /* a revoke that is not refused */
	bool foreign;         /* a revoke of what another made */
	bool uncertain;       /* names a slot that may be closed */
	bool dead_named;      /* what a monitor names was dead, or may have been */
	bool too_large;       /* for one message, perhaps */
	enum oracle_life was; /* of the object, at submission */
	uint64_t weight;
	struct oracle_value *value;  /* of the new slot */
	struct oracle_value *named;  /* what `cap` held */
	struct oracle_thing *object; /* revoked, watched, the parent of a child */
	struct oracle_made *made;
	struct oracle_copying *copying;
	struct oracle_thing *fresh; /* REQUEST_CREATE, MEMORY_CREATE: becomes known on OK */
};

/* ------------------------------------------------------------------ the whole */

struct oracle_session { /* of one node with another */
	bool up;            /* and not ending */
	bool there;         /* until its end is an event */
	uint64_t epoch;
	uint64_t changed; /* the last moment at which it began or ended */
};

struct oracle_flow { /* of invocations from one node to another */
	uint64_t since;  /* begin of the time in which they are counted */
	uint32_t count;
	uint64_t crowded; /* last time at which they may have used up the credits */
};

struct oracle_node {
	bool up, paused, no_memory;
	uint64_t epoch;
	uint64_t disturbed; /* last time at which it was paused or down */
	uint64_t gone;      /* moment at which any of its sessions ended last */
	uint64_t over;      /* moment of its last crash */
	uint64_t refusals;  /* how often its core has refused memory so far */
	uint64_t refused;   /* moment of the last time */
	struct list things, copies;
	uint32_t tracked;                /* children that it owns and that were ever tracked */
	struct oracle_thing *registry;   /* what one of its Processes set last; NULL: nothing yet */
	uint64_t set, set_moment;        /* time and moment of that */
	uint64_t deliveries, exceptions; /* in this life */
	char name[FOS_LABEL_MAX];        /* as the first exception of it said */
};

struct oracle_pool {
	void *free[32];
	char *next, *end;
	void **chunks;
	size_t chunk_count, chunk_room;
};

struct oracle {
	struct oracle_config config;
	uint64_t now, moment;
	struct oracle_node nodes[ORACLE_NODES];
	struct oracle_session sessions[ORACLE_NODES][ORACLE_NODES];
	uint64_t disturbed[ORACLE_NODES][ORACLE_NODES]; /* last time; UINT64_MAX: now */
	struct oracle_pool pool;
	struct list things[ORACLE_BUCKETS], processes[ORACLE_BUCKETS], calls[ORACLE_BUCKETS];
	struct list made[ORACLE_BUCKETS], told[ORACLE_BUCKETS], tokens[ORACLE_BUCKETS];
	struct list old;       /* struct oracle_made that wait no more, oldest first */
	struct list ended;     /* struct oracle_ended */
	struct list all;       /* struct oracle_process */
	uint32_t disturbances; /* how many last now */
	uint64_t calm;         /* since when none does */
	/* The step under way. */
	const struct core_event *event;
	uint64_t sent; /* when its message was; UINT64_MAX: not known */
	uint32_t node;
	struct oracle_call *current; /* a call of this step, not yet completed */
	bool must_end_process;       /* a malformed record came */
	struct oracle_process *caller;
	struct oracle_process *gone; /* a Process, or one with a channel, that ends in this step */
	uint32_t lost_peer;          /* whose session with the node ends in this step; 0: none */
	bool violated;
	char reason[ORACLE_REASON_MAX];
	uint64_t unheld; /* tracked children that fired */
	uint64_t walks;
	struct oracle_made **ending; /* a heap: the first to end is [1] */
	uint32_t ending_count, ending_room;
	struct oracle_flow flows[ORACLE_NODES][ORACLE_NODES];
	uint64_t ends; /* sessions that ended, Controllers that crashed */
	struct oracle_counts counts;
};

/* ------------------------------------------------------------------ oracle.c */

void oracle_violate(struct oracle *o, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void *oracle_alloc(struct oracle *o, size_t size); /* zeroed */
void oracle_free(struct oracle *o, void *block, size_t size);
static inline struct list *oracle_bucket(struct list *table, uint64_t hash)
{
	return &table[hash & (ORACLE_BUCKETS - 1)];
}
struct oracle_process *oracle_process_find(struct oracle *o, uint32_t node, uint32_t serial);
/* Whether a session between the two was not up on either side at some moment since. */
bool oracle_trouble(const struct oracle *o, uint32_t a, uint32_t b, uint64_t moment);
/* Whether its core refused memory at some moment since. */
bool oracle_refused(const struct oracle *o, uint32_t node, uint64_t moment);
bool oracle_fits(const struct oracle *o, const struct oracle_process *process, uint32_t slots,
				 uint64_t weight);
const char *oracle_name(const struct oracle_process *process); /* static text */

/* ------------------------------------------------------------------ oracle_value.c */

struct oracle_value *oracle_value_memory(struct oracle *o, struct oracle_thing *object,
										 uint64_t offset, uint64_t length, uint8_t rights);
/* Takes the bundle. */
struct oracle_value *oracle_value_request(struct oracle *o, struct oracle_thing *object,
										  struct oracle_bundle *bundle);
/* The same value, but naming a child of its object. */
struct oracle_value *oracle_value_of_child(struct oracle *o, const struct oracle_value *value,
										   struct oracle_thing *child);
void oracle_value_rehash(struct oracle_value *value); /* its object got its name */
struct oracle_value *oracle_hold(struct oracle_value *value);
void oracle_release(struct oracle *o, struct oracle_value *value);
static inline struct oracle_bundle *oracle_bundle_hold(struct oracle_bundle *bundle)
{
	if (bundle != NULL)
		bundle->refs++;
	return bundle;
}
void oracle_bundle_release(struct oracle *o, struct oracle_bundle *bundle);
static inline const struct oracle_extent *oracle_ranges(const struct oracle_bundle *bundle)
{
	return (const struct oracle_extent *)(const void *)(bundle->caps + bundle->cap_count);
}
uint64_t oracle_cap_hash(uint32_t index, uint8_t kind, uint8_t rights, uint64_t length);
fos_status oracle_merge(struct oracle *o, struct oracle_bundle *base,
						const struct oracle_addition *add, bool invoking,
						struct oracle_bundle **out);
fos_status oracle_refine(struct oracle *o, const struct oracle_value *base,
						 const struct oracle_addition *add, struct oracle_value **out);
fos_status oracle_part(struct oracle *o, const struct oracle_value *value, uint64_t offset,
					   uint64_t length, uint32_t drop, struct oracle_value **out);
fos_status oracle_build(struct oracle *o, struct oracle_process *process,
						const struct wire_args_view *view, struct oracle_built *out);
void oracle_built_release(struct oracle *o, struct oracle_built *built);
struct oracle_value *oracle_named(struct oracle_process *process, const struct oracle_built *built,
								  uint64_t cap);
/* Whether one message may be too small for it. */
bool oracle_too_large(const struct oracle_bundle *args, const struct oracle_value *on_error);
/* The tracked children in values and bundles, each once: what is to be looked at is named, then
 * oracle_walk_next() gives one after the other, until it is NULL. */
struct oracle_walk {
	struct oracle_value *left;
	uint64_t number;
};
void oracle_walk_begin(struct oracle *o, struct oracle_walk *walk);
void oracle_walk_value(struct oracle_walk *walk, struct oracle_value *value);    /* NULL: nothing */
void oracle_walk_bundle(struct oracle_walk *walk, struct oracle_bundle *bundle); /* NULL: nothing */
struct oracle_thing *oracle_walk_next(struct oracle_walk *walk);
/* All that a value holds was at these nodes. */
void oracle_was_at(struct oracle *o, struct oracle_value *value, uint64_t nodes);

/* ------------------------------------------------------------------ oracle_space.c */

struct oracle_cell *oracle_cell(struct oracle_process *process, uint64_t cap); /* living, or NULL */
/* Whether it holds something; of what may have been lost with a tracked child the core is asked. */
bool oracle_cell_holds(const struct oracle_process *process, const struct oracle_cell *cell);
/* A name that a core gave out. False: it named something before. */
bool oracle_slot_add(struct oracle *o, struct oracle_process *process, uint64_t cap,
					 struct oracle_value *value, bool borrowed);
void oracle_slot_close(struct oracle *o, struct oracle_process *process, uint64_t cap);
struct oracle_open *oracle_open_find(struct oracle_process *process, uint64_t id);
bool oracle_open_add(struct oracle *o, struct oracle_open *open);
void oracle_open_end(struct oracle *o, struct oracle_open *open, bool finished);
void oracle_space_end(struct oracle *o, struct oracle_process *process);
/* Its slots or bytes have become more, or become less: whether they may have been too many. */
void oracle_note_tight(struct oracle *o, struct oracle_process *process);

/* What the flight recorder is told of a delivery's end; and that it was told of all. */
void oracle_span(struct oracle *o, const struct core_span *span);
void oracle_check_spans(struct oracle *o);

/* ------------------------------------------------------------------ oracle_thing.c */

struct oracle_thing *oracle_thing_find(struct oracle *o, uint32_t node, uint64_t epoch,
									   uint32_t index, uint64_t serial);
/* Gives a new object its name, as the core shows it in the slot. */
void oracle_thing_name(struct oracle *o, struct oracle_thing *thing,
					   const struct core_view_ref *ref);
struct oracle_thing *oracle_thing_new(struct oracle *o, struct oracle_process *process,
									  uint8_t kind);
struct oracle_thing *oracle_child_new(struct oracle *o, struct oracle_thing *parent,
									  struct oracle_process *maker, bool tracked);
enum oracle_life oracle_life(const struct oracle *o, const struct oracle_thing *thing);
bool oracle_epoch_over(const struct oracle *o, const struct oracle_thing *thing);
unsigned oracle_why(const struct oracle_thing *thing); /* bits, of its ancestors too */
/* Whether what began then may still be on its way: a fault holds it, or its time is not over. */
bool oracle_slow(const struct oracle *o, uint64_t since);
/* Whether it may be charged: it lives, or may, or its death may not have been told. */
bool oracle_counted(const struct oracle *o, const struct oracle_thing *thing);
void oracle_dead_afar(struct oracle *o, struct oracle_process *process);             /* one more */
bool oracle_told_afar(const struct oracle *o, const struct oracle_process *process); /* of all */
void oracle_kill(struct oracle *o, struct oracle_thing *thing, enum oracle_life life, unsigned why);
/* A monitor_delegate of it ends without a word whether it had fired. */
void oracle_perhaps_fired(struct oracle *o, struct oracle_thing *thing);
void oracle_count(struct oracle_thing *thing, int open, int remains, int busy); /* and ancestors */
void oracle_things_session_end(struct oracle *o, uint32_t owner, uint32_t peer,
							   enum oracle_life life);
/* here: what becomes of them at its own node. */
void oracle_things_process_end(struct oracle *o, struct oracle_process *process,
							   enum oracle_life here);
bool oracle_uncertain(const struct oracle_process *process, const struct oracle_value *value);
/* Whether a node may have lost a tracked child of another. */
bool oracle_lost(const struct oracle *o, uint32_t node, const struct oracle_thing *thing);
/* Bits of what a tracked child, anywhere in it, may be refused with at a node. NULL: nothing. */
uint32_t oracle_tracked_may(struct oracle *o, uint32_t node, const struct oracle_value *value);
uint32_t oracle_thing_may(const struct oracle *o, uint32_t node, const struct oracle_thing *thing);
/* Who has held a tracked child since then, in a slot, if only bound, or by a living child below it;
 * of its maker only what is bound counts. NULL: nobody. */
const struct oracle_process *oracle_holder(struct oracle *o, const struct oracle_thing *thing,
										   uint64_t since);
/* Bits of the statuses that a use by node may end with because of the object's state. */
uint32_t oracle_use(const struct oracle *o, uint32_t node, const struct oracle_thing *thing);
uint32_t oracle_session_to(const struct oracle *o, uint32_t node, const struct oracle_thing *thing);

/* ------------------------------------------------------------------ oracle_invoke.c */

struct oracle_made *oracle_made_new(struct oracle *o, enum oracle_made_kind kind,
									struct oracle_process *source, uint32_t channel,
									struct oracle_thing *target, struct oracle_bundle *args,
									struct oracle_value *on_error, uint64_t trace, uint64_t end);
void oracle_made_after(struct oracle_made *then, struct oracle_copying *copying);
/* It was not made after all. */
void oracle_made_refused(struct oracle *o, struct oracle_made *made);
/* detail: what it was told with; 0: the status's own words. */
void oracle_failed(struct oracle *o, const struct oracle_open *open, fos_status status,
				   uint64_t detail);
static inline uint64_t oracle_text_hash(const void *text, size_t length)
{
	return core_view_imm_hash(0, text, (uint32_t)length) + length;
}
void oracle_forget_old(struct oracle *o);

/* ------------------------------------------------------------------ oracle_wait.c */

/* Exceptions in its name that may wait, which take room of its quota. */
struct oracle_notices {
	uint32_t count, finishing; /* all; those of deliveries that it failed */
	uint64_t weight;
};
struct oracle_notices oracle_notices(const struct oracle *o, const struct oracle_process *process);
/* Before a step: whose time has ended, and whether there was a reason for it to wait so long. */
void oracle_expire(struct oracle *o);
/* A delivery is to be open, or was until now: notes whether places were short. */
void oracle_note_full(struct oracle *o, struct oracle_process *process, uint32_t channel);

/* ------------------------------------------------------------------ oracle_excuse.c */

/* Bits of what a tracked child, anywhere in it, may be refused with where it is sent from. */
uint32_t oracle_sending_may(struct oracle *o, uint32_t node, const struct oracle_thing *target,
							struct oracle_bundle *args, struct oracle_value *on_error);
bool oracle_excused(struct oracle *o, const struct oracle_made *made);

/* ------------------------------------------------------------------ oracle_told.c */

/* Whether it had to be told of, and was. */
void oracle_check_told(struct oracle *o, const struct oracle_made *made);
void oracle_check_all_told(struct oracle *o);
/* It will not come any more. */
void oracle_count_undelivered(struct oracle *o, const struct oracle_made *made);

/* ------------------------------------------------------------------ oracle_deliver.c */

void oracle_delivered(struct oracle *o, uint32_t node, const struct core_output *out);

/* ------------------------------------------------------------------ oracle_time.c */

/* Whether a delivery of it, or of an exception that tells of it, may say that so much time is left.
 */
bool oracle_time_fits(const struct oracle *o, const struct oracle_made *made, uint64_t left);
bool oracle_notice_fits(const struct oracle *o, const struct oracle_made *made, uint64_t left);
/* A copy's first slice leaves its source, and comes to its destination. */
void oracle_time_leaves(struct oracle *o, const struct oracle_copying *copying, uint64_t left);
void oracle_time_lands(struct oracle *o, struct oracle_copying *copying, uint64_t left);

/* ------------------------------------------------------------------ oracle_copy.c */

void oracle_copy_start(struct oracle *o, struct oracle_copying *copying);
void oracle_copy_refused(struct oracle *o, struct oracle_copying *copying);
void oracle_slice(struct oracle *o, uint32_t node, const struct core_output *out);
void oracle_slice_done(struct oracle *o, uint32_t node, uint64_t token);
void oracle_slices_session_end(struct oracle *o, uint32_t node, uint32_t peer);
/* Its call was taken: what its Controller calls it. */
void oracle_copy_number(struct oracle *o, struct oracle_call *call);
bool oracle_landed(const struct oracle_copying *copying);
bool oracle_left(const struct oracle_copying *copying); /* its source is free */
void oracle_copies_forget(struct oracle *o, uint32_t node);
uint32_t oracle_copy_may(struct oracle *o, const struct oracle_copying *copying);
void oracle_copy_told(struct oracle *o, struct oracle_copying *copying);
void oracle_copies_node_end(struct oracle *o, uint32_t node);

/* ------------------------------------------------------------------ oracle_call.c */

void oracle_submitted(struct oracle *o, struct oracle_process *process,
					  const struct core_event *event);
void oracle_answered(struct oracle *o, struct oracle_process *process, uint32_t channel,
					 const uint8_t *bytes);
void oracle_call_end(struct oracle *o, struct oracle_call *call);
/* After all outputs of the step. */
void oracle_calls_settle(struct oracle *o);

#endif
