/* What the files of the core share: its records, and who offers which operation on them. For the
 * core's own files and their tests.
 *
 * Reference rules. A function that takes a `struct value *` or `struct bundle *` borrows it unless
 * it says "takes"; one that returns one gives the caller a reference unless it says "borrowed".
 */
#ifndef FRACTOS_CORE_INTERNAL_H
#define FRACTOS_CORE_INTERNAL_H

#include <string.h>

#include "base/base.h"
#include "base/list.h"
#include "core/core.h"
#include "core/cover.h"
#include "core/limits.h"
#include "core/plant.h"
#include "wire/wire.h"

/* ------------------------------------------------------------------ pools, tables, timers */

enum { POOL_CLASSES = 24, POOL_SMALLEST = 48, POOL_LARGEST = 128 << 10 };

struct pool {
	struct pool_class {
		void *free;       /* linked through their first words */
		char *next, *end; /* the rest of the newest chunk */
	} classes[POOL_CLASSES];
	uint64_t grown, used; /* bytes */
};

/* Handles: index and generation, never used twice. */
struct table_entry {
	uint64_t generation : 44;
	uint64_t live : 1;
	uint64_t borrowed : 1;  /* slots: came with a delivery and ends with it */
	uint64_t monitored : 1; /* slots: a monitor was set on it */
	union {
		void *content;
		uint64_t next_free; /* one more than an index; 0: none */
	};
};
struct table {
	struct table_entry **chunks; /* of TABLE_CHUNK */
	uint32_t chunk_room, chunk_count;
	uint32_t used;  /* indices ever used */
	uint32_t limit; /* of live entries */
	uint32_t live;
	uint64_t free; /* one more than an index; 0: none */
	bool for_ever; /* belongs to the Controller: its chunks do not count as in use */
};

enum timer_kind {
	TIMER_ONCE = 1,   /* struct object */
	TIMER_INVOCATION, /* struct invocation, waiting */
	TIMER_COPY,       /* struct copy */
	TIMER_OUTGOING,   /* struct outgoing */
	TIMER_INCOMING,   /* struct incoming */
	TIMER_ASKING,     /* struct asking */
	TIMER_REVOKING,   /* struct revoking */
	TIMER_HEARTBEAT   /* struct session */
};
struct timer {                         /* a node of a pairing heap */
	struct timer *child, *next, *prev; /* prev: parent of a first child */
	uint64_t when;
	uint8_t kind;
	bool armed;
};

struct hash {
	struct list buckets[BUCKETS];
};

/* The same for records of which there may be a million: the buckets become more with them. */
struct lookup {
	struct list first[BUCKETS];
	struct list *more[LOOKUP_DOUBLINGS]; /* BUCKETS, twice and four times as many, ... */
	uint32_t buckets;                    /* in use */
	uint32_t count;                      /* of records */
	uint64_t (*key)(const struct list *node);
};

/* ------------------------------------------------------------------ values */

struct core_ref { /* names an object in the whole cluster and for ever */
	uint32_t node, index;
	uint64_t epoch, serial;
};

static inline bool core_ref_equal(const struct core_ref *a, const struct core_ref *b)
{
	return a->node == b->node && a->index == b->index && a->epoch == b->epoch &&
		   a->serial == b->serial;
}

/* There may be a million: with its entry in a table of slots one takes a cache line. */
struct value { /* immutable, counted */
	uint32_t refs;
	uint16_t number; /* encoding: entry; of the plan that has this value there, else of none */
	uint8_t height;
	uint8_t kind : 2;   /* enum fos_kind */
	uint8_t rights : 2; /* Memory: enum fos_rights */
	bool tracked : 1;   /* it is a struct tracked_value */
	union {
		struct core_ref ref;
		struct value *next; /* being released */
	};
	union {
		struct {
			uint64_t offset, length; /* Memory */
		};
		struct bundle *bundle; /* Request; NULL: nothing bound */
	};
};
struct tracked_value {
	struct value value;
	struct tracked *tracked; /* of the object: each reference to the value is counted there */
};
/* What the pool gives for one; parts_test.c holds it. */
enum { VALUE_ROOM = 48, TRACKED_VALUE_ROOM = 64 };
_Static_assert(sizeof(struct value) <= VALUE_ROOM && sizeof(struct tracked_value) <= 64,
			   "a slot takes 64 bytes");

struct bound {
	struct value *value;
	uint32_t index;
};
struct extent {
	uint32_t offset, length;
};
struct bundle { /* bound arguments: immutable, counted; caps, ranges and bytes follow */
	uint32_t refs, weight;
	uint32_t size; /* bytes allocated */
	uint32_t imm_bytes;
	uint16_t cap_count, range_count;
	uint8_t height;
	struct value *on_error; /* NULL: none */
	struct bound caps[];
};

/* What is to be added to a bundle: parts of a checked table of arguments. */
struct addition {
	const struct wire_range *ranges;
	const struct wire_bound *bounds;
	const uint8_t *imm;
	unsigned range_count, bound_count;
	struct value **table;   /* what bounds name */
	struct value *on_error; /* borrowed; NULL: none */
};

/* A table of arguments turned into values. */
struct built {
	struct value *table[FOS_ENTRIES_MAX];
	unsigned count;
	struct addition call; /* what entry 0 adds */
};

/* The distinct values below a bundle, for encoding. One that is in here has its place as its
 * `number`; any other has some number, where another is, or none. */
struct plan {
	struct value *values[FOS_ENTRIES_MAX]; /* from 1, rising by height */
	unsigned count, ranges, bounds;        /* entry 0 included */
	bool tracked;                          /* some of them */
	uint32_t imm_bytes;
	size_t size; /* bytes of the table */
};

/* ------------------------------------------------------------------ invocations */

struct account { /* whose waiting invocations are counted together */
	struct list invocations;
	struct process *process; /* NULL: a peer's, or those of dead Processes */
	uint32_t parked;         /* waiting here */
	uint32_t finishing;      /* of them: continuations of deliveries */
};

struct exception {
	struct wire_exception head;
	char detail[];
};

struct invocation {
	struct list link;  /* queue, park, waiter or in flight */
	struct list owned; /* account */
	struct timer timer;
	struct account *account;
	struct core_ref target;
	struct tracked *tracked;     /* used: of the target; NULL: it is not tracked */
	struct bundle *bundle;       /* NULL: no arguments */
	struct value *on_error;      /* NULL: nobody is told */
	struct exception *exception; /* NULL: a plain invocation */
	uint64_t trace, span;        /* span: the parent's */
	uint64_t end;                /* of its time */
	uint64_t order;              /* in flight: the session's number */
	struct park *park;           /* waits there */
	struct waiter *waiter;       /* waits there */
	uint16_t more;               /* of a retry */
	bool retry;
	bool finishing; /* continues or ends a delivery: counted apart, its room was kept */
	bool reserved;  /* its room was kept, but is not counted apart */
	bool waiting;   /* counted in account->parked */
};

struct delivery {
	uint64_t id;
	struct list of_channel;
	struct channel *channel;
	struct object *object;
	struct value *on_error;
	uint64_t trace, span, parent;
	uint64_t begin, end;
	uint32_t cap_count;
	bool once;
	uint64_t caps[];
};

/* Who waits at an object whose inbox is full: a Process of this node with its invocations, or a
 * session, whose invocations wait at the peer. */
struct waiter {
	struct list hash;
	struct list of_object;
	struct list of_source;
	struct list turn; /* of the channel; in no list while every one of it has a place kept */
	struct object *object;
	struct session *session; /* NULL: local */
	const struct account *source;
	struct list invocations;
	uint32_t count;   /* invocations waiting: here, or bounced to the peer */
	uint32_t granted; /* of them: a place is kept and ROOM was sent */
};

/* The other end of it: invocations of this node that wait for room at another. */
struct park {
	struct list hash;
	struct list of_session;
	struct session *session;
	struct core_ref target;
	struct list bounced, fresh; /* bounced came first; fresh ones never left */
	uint32_t count;             /* of both */
	uint32_t owed;              /* how many the owner knows of */
};

/* ------------------------------------------------------------------ objects, Processes */

struct maker { /* a Process of the cluster, for ever */
	uint32_t node, process;
	uint64_t epoch;
};

/* A base object, or a revtree child of one: the owner's table holds both, and the tree. A child is
 * a copy of its parent in what it names, with a life of its own. A dead one keeps its place in the
 * tree while anything below it is not over. */
struct object {
	uint64_t serial; /* lowest bit: ONCE */
	uint64_t handle; /* in core->objects; its index is the reference's */
	uint8_t kind;    /* enum fos_kind */
	uint8_t depth;   /* of a base object 0 */
	bool once, dead;
	uint8_t gone;            /* dead: enum fos_gone, for its watchers */
	bool notice;             /* dead: its maker's Controller is still to be told */
	bool reserved;           /* ONCE: its space is kept */
	struct process *process; /* the provider, or whose arena it is; NULL: dead */
	struct maker maker;      /* alone may revoke it */
	struct process *charged; /* the maker, when it is of this node and alive; else NULL */
	struct session *session; /* with the maker's node, while it lives; else NULL */
	struct list of_maker;    /* Process: objects; session: children, or gone with a notice */
	struct object *parent;   /* NULL: a base object */
	struct list of_parent, children;
	struct object *next;       /* being killed together */
	uint32_t pins;             /* it stays while somebody in this step still looks at it */
	uint32_t deliveries;       /* open */
	uint32_t remains;          /* deliveries that a Process left which is not known to be over */
	uint32_t slices;           /* of it that the shell is moving or sending */
	uint32_t open;             /* deliveries and remains, of all its subtree */
	uint32_t busy;             /* slices of all its subtree */
	uint32_t living;           /* children that are alive */
	struct list of_remains;    /* of the Process that left them */
	struct list revokings;     /* they wait for its end */
	struct revoking *revoking; /* kept for its maker's first one that waits; NULL: not a peer's */
	struct list watchers;
	struct list told;        /* dead: of the core, while there are watchers to be told */
	struct tracked *tracked; /* alive: who holds it; NULL: not a tracked child */
	union {
		struct {
			uint32_t segment, rights;
			uint64_t offset, length;
			struct list readers;  /* struct outgoing.of_src */
			struct list writers;  /* struct outgoing.of_dst */
			struct list incoming; /* struct incoming.of_dst */
		} memory;
		struct {
			struct channel *channel;
			struct list of_channel;
			uint64_t handler;
			struct list waiters;
			struct timer timer;     /* ONCE */
			struct delivery *ended; /* ONCE, of a base: kept for its end; NULL: it is used */
		} request;
	};
};

struct channel {
	struct process *process;
	uint32_t number;
	bool ending;
	uint32_t open;     /* deliveries that hold a place */
	uint32_t reserved; /* places kept for retries */
	uint32_t once;     /* living ONCE Requests and their open deliveries */
	struct list objects, deliveries;
	struct list turns; /* struct waiter, each in its turn */
	struct list ready; /* of the core: look whether a waiter can go on */
};

struct process {
	struct list hash;
	uint32_t serial;
	bool ending, may_set_registry;
	fos_principal principal;
	struct core_usage usage; /* parked and values_bytes are filled in when asked for */
	uint64_t values;         /* bytes by value, charged */
	uint32_t once_living;    /* ONCE Requests: each keeps ONCE_SLOTS and ONCE_BYTES */
	uint32_t reserved;       /* places kept for retries in all channels */
	struct account account;
	struct list objects; /* what it made here: base objects and children */
	struct list copies, outgoing, askings, revokings;
	struct list spare;     /* struct revoking: what is left of limits.revokings */
	struct list waiters;   /* as a source */
	struct list lendings;  /* children that it made at other owners */
	struct list presences; /* sessions that hear of its end */
	struct list monitors;
	struct list sweep;   /* of the core: its space is looked through for lost slots */
	uint32_t swept;      /* so far */
	struct list remains; /* objects with deliveries that it left unfinished */
	struct table slots, deliveries;
	struct channel **channels;
	uint64_t *segments; /* lengths */
};

/* Whom a completion goes to; channel NULL: nobody any more. */
struct caller {
	struct channel *channel;
	uint64_t cookie;
};

/* A message of class CLEANUP that waits for its credit, inside the record that it is about. */
enum cleanup_kind {
	CLEANUP_CHILD = 1,    /* struct lending */
	CLEANUP_TAKE_BACK,    /* struct lending: nobody wants the child any more */
	CLEANUP_REVOKE,       /* struct revoking */
	CLEANUP_PROCESS_GONE, /* struct presence */
	CLEANUP_WATCH,        /* see watch.c */
	CLEANUP_UNWATCH
};
struct cleanup {
	struct list link; /* of the presence, REVOKE of the session; in no list: not waiting */
	uint8_t kind;
};

struct presence { /* a Process has used messages of class CLEANUP in a session */
	struct list of_process, of_session;
	struct cleanup cleanup;
	struct list waiting; /* struct cleanup: its Process's, but REVOKE */
	struct list turn;    /* of the session: something waits */
	struct session *session;
	uint32_t process; /* serial */
};

/* A call that another owner answers by its number. */
enum asked_kind { ASKED_CHILD = 1, ASKED_REVOKE };
struct asked {
	uint64_t number; /* handle in core->calls; 0: none */
	uint8_t kind;
};

struct lending { /* a revtree child at another owner, from the call that makes it on */
	struct asked asked;
	struct cleanup cleanup;
	struct list hash; /* once its name is known */
	struct list of_process, of_session;
	struct process *process;
	struct session *session;
	struct caller caller;   /* waits for it */
	struct core_ref ref;    /* of the child; before that of the parent */
	struct tracked *parent; /* used, then held by the living child; NULL: it is not tracked */
	struct value *value;    /* what the caller will get; NULL: made, or not wanted any more */
	bool tracked;
	bool holds; /* its parent */
};

/* cap_revoke that waits: at the owner for the object to be quiet, elsewhere for the owner. */
struct revoking {
	struct asked asked;
	struct cleanup cleanup;
	struct list of_object;
	struct list of_asker;    /* process or session */
	struct list of_session;  /* elsewhere: with the owner */
	struct timer timer;      /* DRAIN, at the owner */
	struct object *object;   /* NULL: of another owner */
	struct process *process; /* NULL: a peer asked */
	struct session *session; /* who asked, or who is asked */
	struct caller caller;
	uint64_t call; /* the asker's number */
	struct maker maker;
	struct core_ref ref;
	uint64_t end;   /* of the time for DRAIN */
	uint64_t round; /* waiting for a credit: its Process's turn */
	bool drain;
};

/* ------------------------------------------------------------------ monitors */

struct monitor {      /* monitor_receive or monitor_delegate: a call that waits */
	uint64_t id;      /* in core->monitors */
	struct list hash; /* by its slot */
	struct list due;  /* of the core: it will fire, `gone` says why */
	struct list of_process;
	struct list of_tracked;  /* monitor_delegate */
	struct list of_session;  /* monitor_receive: with the owner elsewhere */
	struct cleanup cleanup;  /* its WATCH, its UNWATCH */
	struct process *process; /* NULL: nobody waits any more */
	struct session *session;
	struct watcher *watcher; /* the owner is here */
	struct caller caller;
	struct core_ref ref;
	uint64_t cap;
	uint8_t gone;
	bool delegate;
	bool sent; /* the owner knows of it, or will */
};

struct watcher {      /* at the owner */
	struct list hash; /* by session and number */
	struct list of_object;
	struct list of_session;
	struct object *object;
	struct session *session; /* NULL: of this node */
	uint64_t monitor;
	uint32_t process; /* serial, at the session's node */
};

/* ------------------------------------------------------------------ tracked children */

enum tracked_state { /* of a holder's record; drawn in tracked.c */
					 TRACKED_IDLE,
					 TRACKED_HOLD_QUEUED,
					 TRACKED_HOLD_SENT,
					 TRACKED_REGISTERED,
					 TRACKED_RELEASE_QUEUED
};

/* What this node knows of a tracked child: as its owner, its maker's Controller, or a holder. */
struct tracked {
	struct core *core;
	struct list hash;
	struct list changed; /* of the core: looked at when the step ends */
	struct core_ref ref;
	uint32_t refs; /* to values of it, and living children below it made from here */
	uint32_t own;  /* of them: by plain slots of the maker, and by children it has asked for */
	uint32_t uses; /* invocations through it, copies from and to it, children asked for */
	uint32_t in_transit;  /* entries of messages that their receivers did not confirm */
	struct list transits; /* struct passage */
	struct list debts;    /* struct passage: PASSED that is owed */
	uint64_t passed;      /* the newest number in a PASSED */
	bool over;            /* known to be dead */
	bool stale;           /* with its owner's epoch */
	bool lost;            /* out of touch with the owner: of no use any more */
	bool fired;           /* as good as dead */
	/* The owner's and the maker's. */
	bool pinned;     /* the child is alive */
	bool maker_here; /* it is of this node; its serial is `maker` */
	bool armed;      /* was held by somebody */
	uint32_t maker;
	uint64_t none;         /* the maker's: number of the last NONE; CHILD_DONE says 0 */
	struct list monitors;  /* the maker's: struct monitor */
	struct object *object; /* the owner's; NULL: of another node, or dead */
	struct list holders;   /* the owner's: struct holder */
	uint64_t registrations;
	uint64_t told; /* to the maker's Controller: the number in the last NONE */
	/* A holder's. */
	enum tracked_state state;
	struct list queue;     /* of the session: HOLD or RELEASE waits for a credit */
	struct session *owner; /* the session with it; NULL: lost */
	struct list of_owner;
	uint64_t number; /* of the registration */
};

struct passage { /* of references to one tracked child through one session */
	struct list of_tracked, of_session;
	struct tracked *tracked;
	struct session *session;
	uint32_t count;
};

struct holder { /* a Controller that holds a tracked child, at the owner */
	struct list of_tracked, of_session;
	struct tracked *tracked;
	struct session *session;
};

struct asking { /* registry_get that waits */
	struct list link, of_process;
	struct timer timer;    /* not armed: for ever */
	struct core_ref other; /* not satisfied by this one; serial 0: by any */
	struct process *process;
	struct caller caller;
};

/* ------------------------------------------------------------------ copies */

struct copy { /* the asker's: a call that waits */
	uint64_t id;
	struct list of_process;
	struct timer timer;
	struct process *process;
	struct caller caller;
	uint32_t src_node, dst_node;
	uint64_t weight;         /* of what it keeps by value, charged */
	struct tracked *used[2]; /* dst, src; NULL: not tracked */
	struct value *on_error;  /* with a `then` */
	uint64_t trace, span;
	bool taken; /* the call is over, but not the copy at the source's owner */
};

/* To whom the end of a copy is told, and how. */
struct landing {
	struct bundle *args;    /* argument FOS_NEXT is `then`; NULL: the asker is told */
	struct value *on_error; /* NULL: nobody is told of errors */
	uint32_t asker;         /* node */
	uint64_t asker_epoch, copy;
	uint64_t trace, span, end; /* span: the parent's */
};

struct outgoing { /* the source's owner's */
	uint64_t id;
	struct list turn;       /* of the session; in no list: nothing to send now */
	struct list of_src;     /* object */
	struct list of_dst;     /* object, when local */
	struct list of_session; /* to */
	struct list of_asker;   /* session, or process when asked for here */
	struct timer timer;
	struct object *src, *dst; /* dst NULL: remote */
	struct session *to;       /* NULL: local */
	struct session *asked_by; /* it gets its COPY credit back; NULL: nobody does */
	struct process *process;  /* asked for here; NULL: by a peer, or it is dead */
	struct core_ref dst_ref;
	struct tracked *used[2];         /* src, dst; NULL: not tracked */
	uint64_t src_offset, dst_offset; /* in the objects */
	uint64_t length, sent;
	uint32_t outstanding; /* slices with the shell */
	uint32_t uncredited;  /* slices whose DATA credit is not back */
	struct landing landing;
	uint64_t begin;
	bool ended;   /* waits for slices and credits only */
	uint8_t stop; /* fos_status to give it up with, once a credit is there */
};

struct incoming { /* the destination's owner's */
	struct list hash;
	struct list of_dst;
	struct list of_session;
	struct timer timer;
	struct session *from;
	struct object *dst;
	uint64_t stream;
	uint64_t base, total, received;
	struct landing landing;
	uint64_t begin;
};

struct ask { /* a COPY on its way to the source's owner */
	struct list link;
	struct bundle *args;
	struct value *on_error;
	uint64_t copy, trace, span, end;
	bool has_then;
};

/* ------------------------------------------------------------------ sessions */

struct session_class {
	uint32_t credits;    /* left to send with */
	uint32_t unreturned; /* of the peer's, to be given back */
	uint32_t peers;      /* that the peer has left */
	uint32_t early;      /* invocations known as handled before their credit came back */
	struct list queue;   /* no credit yet: struct invocation (INVOKE, ERROR), struct presence */
	struct list flight;  /* struct invocation: sent, credit not back */
};

struct session {
	struct list hash, all, dirty;
	uint32_t node;
	uint64_t epoch;
	bool ending;
	bool rebooted; /* it ends because the peer has another epoch now */
	bool tell_registry;
	uint32_t sequence_out[2], sequence_in[2];
	uint64_t order;
	struct session_class classes[WIRE_CLASS_COUNT];
	struct list asks;     /* struct ask: COPY messages without a credit */
	struct list turns;    /* struct outgoing with something to send */
	struct list outgoing; /* struct outgoing to it */
	struct list asked;    /* struct outgoing that it asked for */
	struct list incoming;
	uint64_t slices[DATA_CREDITS]; /* outgoing.id of those whose credit is not back: a ring */
	uint32_t slice_first, slice_count;
	struct list waiters, parks;
	struct list children; /* struct object that its Processes made here */
	struct list gone;     /* struct object of them that died: it is to be told */
	struct list lendings, presences;
	struct list revokes;         /* struct cleanup: REVOKE without a credit, by rounds */
	uint64_t round;              /* that a newcomer of them joins */
	struct list asked_revokings; /* struct revoking that it answers */
	struct list revokings;       /* struct revoking that it asked for */
	struct list later;           /* of the core: more to tell than fitted into one step */
	struct list monitors;        /* struct monitor of objects there */
	struct list watchers;        /* struct watcher of objects here */
	uint32_t watcher_count;
	struct list tracked;         /* struct tracked held from there */
	struct list references;      /* of them: HOLD or RELEASE waits for a credit */
	struct list holders;         /* struct holder of children here */
	struct list transits, debts; /* struct passage */
	uint32_t child_count;        /* alive */
	uint32_t incoming_count;
	struct account account;
	struct timer timer;
	uint64_t beat, heard; /* when we sent our newest; the peer's newest, in its time */
	uint64_t alive;       /* when we sent what the peer echoed last */
};

struct registry {
	struct core_ref ref; /* serial 0: none known */
	uint64_t version;
};

struct output_chunk;
struct core {
	struct core_config config;
	struct pool pool;
	uint64_t now;
	uint64_t serial; /* of the newest object, without the ONCE bit */
	struct base_random random;
	struct timer *timers;
	struct table objects, copies, outgoing;
	struct table calls; /* struct asked */
	struct table monitors;
	struct hash processes, sessions, waiters, parks, incoming;
	struct hash leaving;    /* struct process: gone, but not free */
	struct lookup lendings; /* struct lending, by what they name */
	struct lookup slots_monitored;
	struct lookup watchers;
	struct lookup tracked;
	struct list all_sessions;
	struct list ready;   /* struct channel */
	struct list dirty;   /* struct session */
	struct list later;   /* struct session: dirty in the next step */
	struct list askings; /* struct asking */
	struct list due;     /* struct monitor */
	struct list told;    /* struct object: dead, its watchers are being told */
	struct list sweeps;  /* struct process */
	struct list tracked_changed;
	struct account house; /* invocations of dead Processes and ended sessions */
	struct registry registry;
	uint32_t process_count, session_count;
	struct fos_counters counters;
	uint64_t cover[COVER_COUNT];
	struct output_chunk *output_first, *output_last, *output_read;
	uint32_t output_position;
	struct output_chunk *bytes_first, *bytes_last;
};

/* ------------------------------------------------------------------ pool.c */

/* What of `memory` is kept for outputs and for what follows from deaths. */
static inline uint64_t core_reserve_of(uint64_t memory)
{
	return BASE_MAX(memory / MEMORY_RESERVE, BASE_MIN(memory / 4, (uint64_t)RESERVE_LEAST));
}
/* The other way round: the `memory` that leaves so much beside its reserve, for tests. */
static inline uint64_t core_memory_leaving(uint64_t usable)
{
	return usable + 1 +
		   BASE_MAX(usable / (MEMORY_RESERVE - 1), BASE_MIN(usable / 3, (uint64_t)RESERVE_LEAST));
}
/* Not zeroed. NULL: the memory of the core is used up. */
void *core_alloc(struct core *core, size_t size);
/* The same, out of the reserve and beyond it: for what must go on. Never NULL. */
void *core_alloc_reserved(struct core *core, size_t size);
/* Out of the reserve too, but NULL where even that is used up. */
void *core_alloc_kept(struct core *core, size_t size);
void core_free(struct core *core, void *block, size_t size);
/* Of `memory`: without the reserve; with it; and more than that, for what must be said. */
enum core_room { CORE_ROOM, CORE_ROOM_RESERVED, CORE_ROOM_BEYOND };
/* Memory for the Controller's own tables: does not count as in use. NULL: none. */
void *core_grow(struct core *core, size_t size, enum core_room room);
size_t core_pool_room(size_t size); /* bytes that a block of this size really takes */

/* ------------------------------------------------------------------ table.c, hash.c, timer.c */

void core_table_init(struct table *table, uint32_t limit, bool for_ever);
void core_table_end(struct core *core, struct table *table);
/* The new handle; 0: full, or no memory. */
uint64_t core_table_add(struct core *core, struct table *table, void *content);
/* Whether so many may be added without asking for memory; asks for it here. */
bool core_table_room(struct core *core, struct table *table, uint32_t count);
/* The entry of a living handle, else NULL. */
struct table_entry *core_table_get(const struct table *table, uint64_t handle);
/* Whether a handle was ever given out. */
bool core_table_issued(const struct table *table, uint64_t handle);
void core_table_remove(struct table *table, uint64_t handle);
/* The living entry at an index, for walks: NULL where there is none. */
struct table_entry *core_table_at(const struct table *table, uint32_t index);
static inline uint32_t core_table_index(uint64_t handle)
{
	return (uint32_t)(handle & ((1u << HANDLE_INDEX_BITS) - 1));
}

static inline uint64_t core_table_handle(const struct table_entry *entry, uint32_t index)
{
	return (uint64_t)entry->generation << HANDLE_INDEX_BITS | index;
}

void core_hash_init(struct hash *hash);
struct list *core_hash_bucket(struct hash *hash, uint64_t key);

/* key: a record's, by its link; it stays the same while it is in there. */
void core_lookup_init(struct lookup *lookup, uint64_t (*key)(const struct list *node));
/* The bucket where records of this key are. */
struct list *core_lookup_bucket(struct lookup *lookup, uint64_t key);
void core_lookup_add(struct core *core, struct lookup *lookup, struct list *node);
void core_lookup_remove(struct lookup *lookup, struct list *node); /* if it is in there */
/* For walks: of lookup->buckets. */
const struct list *core_lookup_at(const struct lookup *lookup, uint32_t bucket);
/* Who knows the keys. */
uint64_t core_lending_key(const struct list *node);
uint64_t core_tracked_key(const struct list *node);
uint64_t core_monitor_key(const struct list *node);
uint64_t core_watcher_key(const struct list *node);

void core_timer_init(struct timer *timer, enum timer_kind kind);
void core_timer_start(struct core *core, struct timer *timer, uint64_t when);
void core_timer_stop(struct core *core, struct timer *timer);
void core_timers_run(struct core *core);
uint64_t core_time_end(const struct core *core, uint64_t left); /* now + left, saturating */
static inline uint64_t core_time_left(const struct core *core, uint64_t end)
{
	return end > core->now ? end - core->now : 0;
}

/* ------------------------------------------------------------------ value.c, args.c */

/* tracked: NULL where the object is not. */
struct value *core_value_memory(struct core *core, const struct core_ref *ref,
								struct tracked *tracked, uint64_t offset, uint64_t length,
								uint8_t rights);
/* Takes the bundle, also when it fails. */
struct value *core_value_request(struct core *core, const struct core_ref *ref,
								 struct tracked *tracked, struct bundle *bundle);
/* The same bounds or arguments over another object. NULL: no memory. */
struct value *core_value_like(struct core *core, const struct value *value,
							  const struct core_ref *ref, struct tracked *tracked);
void core_tracked_touch(struct tracked *tracked);
static inline void core_tracked_hold(struct tracked *tracked)
{
	tracked->refs++;
	core_tracked_touch(tracked);
}
static inline void core_tracked_drop(struct tracked *tracked)
{
	BASE_ASSERT(tracked->refs > 0);
	tracked->refs--;
	core_tracked_touch(tracked);
}
/* NULL: not of a tracked child. */
static inline struct tracked *core_value_tracked(const struct value *value)
{
	return value->tracked ? ((const struct tracked_value *)(const void *)value)->tracked : NULL;
}
/* Bytes with all that it holds, saturating; NULL: 0. It never changes, so that a charge is refunded
 * exactly. */
static inline uint32_t core_value_weight(const struct value *value)
{
	if (value == NULL)
		return 0;
	uint32_t own = value->tracked ? TRACKED_VALUE_ROOM : VALUE_ROOM;
	uint32_t held = value->kind == FOS_REQUEST && value->bundle != NULL ? value->bundle->weight : 0;
	return held > UINT32_MAX - own ? UINT32_MAX : own + held;
}
static inline struct value *core_value_hold(struct value *value)
{
	if (value == NULL)
		return NULL;
	value->refs++;
	if (value->tracked)
		core_tracked_hold(core_value_tracked(value));
	return value;
}
void core_value_release(struct core *core, struct value *value); /* NULL is allowed */
static inline struct bundle *core_bundle_hold(struct bundle *bundle)
{
	if (bundle != NULL)
		bundle->refs++;
	return bundle;
}
void core_bundle_release(struct core *core, struct bundle *bundle);
static inline const struct extent *core_bundle_ranges(const struct bundle *bundle)
{
	return (const struct extent *)(const void *)(bundle->caps + bundle->cap_count);
}
static inline const uint8_t *core_bundle_bytes(const struct bundle *bundle)
{
	return (const uint8_t *)(core_bundle_ranges(bundle) + bundle->range_count);
}
/* The argument, borrowed; NULL: not bound. */
struct value *core_bundle_cap(const struct bundle *bundle, unsigned index);
/* base (may be NULL) with the addition. OVERLAP; INVALID: too deep; QUOTA. on_error of the
 * addition overrides base's only where the caller invokes. */
fos_status core_bundle_merge(struct core *core, struct bundle *base, const struct addition *add,
							 bool invoking, struct bundle **out);

/* Builds the values of a call's or message's table; on error nothing is left to release. */
fos_status core_args_build_call(struct core *core, struct process *process,
								const struct wire_args_view *view, struct built *out);
fos_status core_args_build_message(struct core *core, struct session *session,
								   const struct wire_args_view *view, struct built *out);
void core_args_release(struct core *core, struct built *built);
/* on_error of a message's call, held; the call has none then. It was inherited, it may be, and is
 * not bound: bound with the rest it could be too deep. */
struct value *core_args_take_on_error(struct built *built);
/* A Request with the addition bound. WRONG_TYPE: base or on_error is no Request. */
fos_status core_args_refine(struct core *core, const struct value *base, const struct addition *add,
							struct value **out);
/* What a capability field of a call names, borrowed: a slot's value or an entry's. NULL: NO_CAP. */
struct value *core_args_named(struct process *process, const struct built *built, uint64_t cap);

/* Whether bundle and on_error fit into one message, and how. QUOTA: more than one can carry. */
fos_status core_plan(struct bundle *bundle, struct value *on_error, struct plan *out);
/* Writes plan->size bytes. */
void core_plan_write(const struct plan *plan, const struct bundle *bundle,
					 const struct value *on_error, uint8_t *out);

/* ------------------------------------------------------------------ space.c, object.c */

/* A slot for the value, which it holds from now on (takes nothing). QUOTA. */
fos_status core_slot_add(struct core *core, struct process *process, struct value *value,
						 bool borrowed, uint64_t *out);
/* A borrowed one in the room that was kept for it. */
fos_status core_slot_add_kept(struct core *core, struct process *process, struct value *value,
							  uint64_t *out);
struct value *core_slot_value(const struct process *process, uint64_t cap); /* borrowed; NULL */
void core_slot_remove(struct core *core, struct process *process, uint64_t cap);
/* At a delivery's end: unless it was kept. */
void core_slot_return(struct core *core, struct process *process, uint64_t cap);
void core_space_end(struct core *core, struct process *process);
/* Somewhere there are slots whose tracked child was lost: they will be closed. */
void core_spaces_sweep(struct core *core);
void core_spaces_run(struct core *core); /* a portion of that */
/* Whether so many slots and bytes by value more fit beside what is kept for ONCE Requests. */
bool core_space_fits(const struct core *core, const struct process *process, uint32_t slots,
					 uint64_t bytes);
void core_call_cap_close(struct core *core, struct caller *caller, const uint8_t *bytes);
void core_call_cap_keep(struct core *core, struct caller *caller, const uint8_t *bytes);
void core_call_cap_info(struct core *core, struct caller *caller, const uint8_t *bytes);
void core_call_cap_is_same(struct core *core, struct caller *caller, const uint8_t *bytes);

fos_status core_object_create(struct core *core, struct process *process, uint8_t kind, bool once,
							  struct object **out);
/* A child of it, charged to the Process, or (NULL) to the session with the maker's node. QUOTA;
 * INVALID: too deep. */
fos_status core_object_child(struct core *core, struct object *parent, const struct maker *maker,
							 struct process *process, struct session *session, bool tracked,
							 struct object **out);
/* The object of this node that ref names: NULL and REVOKED or STALE. */
fos_status core_object_find(struct core *core, const struct core_ref *ref, struct object **out);
/* The same, dead entries included. NULL: none, or of another epoch. */
struct object *core_object_entry(struct core *core, const struct core_ref *ref);
struct core_ref core_object_ref(const struct core *core, const struct object *object);
struct maker core_process_maker(const struct core *core, const struct process *process);
/* Kills it and what descends from it: nothing reaches it any more. Freed when nothing is open. */
void core_object_kill(struct core *core, struct object *object, enum fos_gone why);
/* The same, of a living ONCE Request that is being used up. */
void core_object_consume(struct core *core, struct object *object);
/* Its maker's Controller knows of its end, or does not want to. */
void core_object_disown(struct object *object);
/* Whether there is a living child below it. */
bool core_object_is_lent(const struct object *object);
/* Counts of open deliveries and remains, and of slices, in it and all above it. */
void core_object_opened(struct object *object, uint32_t count);
void core_object_closed(struct object *object, uint32_t count);
void core_object_busy(struct object *object);
void core_object_idle(struct object *object, uint32_t count);
/* After one of its counts went down, or a pin was taken off: it may be freed now. */
void core_object_settle(struct core *core, struct object *object);
void core_object_unpin(struct core *core, struct object *object);
static inline bool core_serial_is_once(uint64_t serial)
{
	return serial & 1;
}

/* ------------------------------------------------------------------ child.c, revoke.c */

void core_call_cap_revtree(struct core *core, struct caller *caller, const uint8_t *bytes);
/* Completes with a child of what `value` (taken) names, in a value like it. */
void core_child_make(struct core *core, const struct caller *caller, struct value *value,
					 bool tracked);
void core_lending_send(struct core *core, struct session *session, struct lending *lending);
void core_lendings_session_end(struct core *core, struct session *session);
void core_lendings_process_end(struct core *core, struct process *process);
/* The Process's record of a child that it made elsewhere; NULL: none. */
struct lending *core_lending_find(struct core *core, const struct core_ref *ref);
void core_lending_end(struct core *core, struct lending *lending, enum fos_gone gone);
/* Nobody holds it: it is revoked. */
void core_lending_kill(struct core *core, const struct core_ref *ref);
void core_receive_child(struct core *core, struct session *session, const uint8_t *bytes);
void core_receive_child_done(struct core *core, struct session *session, const uint8_t *bytes);
void core_receive_child_gone(struct core *core, struct session *session, const uint8_t *bytes);
/* Tells the session of children that died; how many more it may tell in this step. */
unsigned core_children_tell(struct core *core, struct session *session, unsigned portion);
void core_children_session_end(struct core *core, struct session *session);

/* Before the first message of class CLEANUP for it: its end will be told there. QUOTA. */
fos_status core_presence(struct core *core, struct process *process, struct session *session);
struct presence *core_presence_of(const struct process *process, const struct session *session);
void core_presence_send(struct core *core, struct session *session, struct presence *presence);
void core_presences_session_end(struct core *core, struct session *session);
void core_presences_process_end(struct core *core, struct process *process);
void core_receive_process_gone(struct core *core, struct session *session, const uint8_t *bytes);

void core_call_cap_revoke(struct core *core, struct caller *caller, const uint8_t *bytes);
void core_revoke_send(struct core *core, struct session *session, const struct asked *asked,
					  const struct core_ref *ref, const struct process *process, uint64_t time_left,
					  bool drain); /* there is a credit */
void core_revoking_send(struct core *core, struct session *session, struct revoking *revoking);
void core_revoking_end(struct core *core, struct revoking *revoking, fos_status status);
/* The records that a Process's revocations will need. False: no memory. */
bool core_revokings_prepare(struct core *core, struct process *process);
void core_revokings_release(struct core *core, struct process *process);
/* The one that a peer's child will. */
bool core_revoking_prepare(struct core *core, struct object *child);
/* Some of those that wait for the dead object may have what they wait for. */
void core_revokings_settle(struct core *core, struct object *object);
void core_revokings_session_end(struct core *core, struct session *session);
void core_revokings_process_end(struct core *core, struct process *process);
void core_revokings_peer_gone(struct core *core, struct session *session, uint32_t process);
void core_receive_revoke(struct core *core, struct session *session, const uint8_t *bytes);
void core_receive_revoke_done(struct core *core, struct session *session, const uint8_t *bytes);

/* ------------------------------------------------------------------ watch.c, tracked.c */

void core_call_monitor_receive(struct core *core, struct caller *caller, const uint8_t *bytes);
void core_call_monitor_delegate(struct core *core, struct caller *caller, const uint8_t *bytes);
void core_monitor_fire(struct core *core, struct monitor *monitor, enum fos_gone gone);
void core_watch_send(struct core *core, struct session *session, struct cleanup *cleanup);
void core_watch_slot_end(struct core *core, struct process *process, uint64_t cap);
/* An object of this node died: object->gone says why. */
void core_watch_object_end(struct core *core, struct object *object);
/* Tells some of what is due; how many more it may tell in this step. */
unsigned core_watch_run(struct core *core, unsigned portion);
void core_watch_session_end(struct core *core, struct session *session);
/* Of this node; channel NULL: of all. */
void core_watch_process_end(struct core *core, struct process *process,
							const struct channel *channel);
void core_watch_peer_gone(struct core *core, struct session *session, uint32_t process);
void core_receive_watch(struct core *core, struct session *session, const uint8_t *bytes);
void core_receive_fired(struct core *core, struct session *session, const uint8_t *bytes);
void core_receive_unwatch(struct core *core, struct session *session, const uint8_t *bytes);

/* The record of a tracked child; NULL: this node has none of it. */
struct tracked *core_tracked_find(struct core *core, const struct core_ref *ref);
/* Begin and end of a use of it. NULL is allowed. */
void core_tracked_use(struct tracked *tracked);
void core_tracked_unuse(struct tracked *tracked);
/* Whether it may be used and sent: PEER_LOST, STALE, REVOKED. */
fos_status core_tracked_usable(const struct tracked *tracked);
/* A new tracked child of this node; one that a Process of this node made elsewhere. QUOTA. */
fos_status core_tracked_object(struct core *core, struct object *object);
fos_status core_tracked_lent(struct core *core, const struct core_ref *ref, uint32_t process);
void core_tracked_object_end(struct core *core, struct object *object);
void core_tracked_lent_end(struct core *core, const struct core_ref *ref, enum fos_gone gone);
bool core_tracked_is_maker(const struct tracked *tracked, const struct process *process);
/* monitor_delegate: DENIED. */
fos_status core_tracked_may_watch(const struct tracked *tracked, const struct process *process);
void core_tracked_watch(struct core *core, struct tracked *tracked, struct monitor *monitor);
/* A message with these values is about to be sent; when it is OK it must be. */
fos_status core_tracked_set_out(struct core *core, struct session *session,
								const struct plan *plan);
/* The record for an entry of a message; *out NULL: dead for ever. QUOTA. */
fos_status core_tracked_meet(struct core *core, const struct core_ref *ref, struct tracked **out);
/* A message's table was turned into values, or (not kept) was not: its sender will be told. */
fos_status core_tracked_arrived(struct core *core, struct session *session,
								const struct wire_args_view *view, bool kept);
void core_tracked_session_run(struct core *core, struct session *session);
void core_tracked_session_end(struct core *core, struct session *session);
/* At a step's end: looks at some of those that changed; how many more it may. */
unsigned core_tracked_run(struct core *core, unsigned portion);
void core_receive_hold(struct core *core, struct session *session, const uint8_t *bytes);
void core_receive_held(struct core *core, struct session *session, const uint8_t *bytes);
void core_receive_release(struct core *core, struct session *session, const uint8_t *bytes);
void core_receive_passed(struct core *core, struct session *session, const uint8_t *bytes);
void core_receive_none(struct core *core, struct session *session, const uint8_t *bytes);

/* ------------------------------------------------------------------ memory.c, request.c */

void core_call_memory_create(struct core *core, struct caller *caller, const uint8_t *bytes);
void core_call_memory_diminish(struct core *core, struct caller *caller, const uint8_t *bytes);
fos_status core_memory_part(struct core *core, const struct value *value, uint64_t offset,
							uint64_t length, uint32_t drop, struct value **out);
void core_call_request_create(struct core *core, struct caller *caller, const uint8_t *bytes);
void core_call_request_refine(struct core *core, struct caller *caller, const uint8_t *bytes);

/* ------------------------------------------------------------------ invoke.c */

void core_call_request_invoke(struct core *core, struct caller *caller, const uint8_t *bytes);
void core_invocation_init(struct invocation *inv, struct account *account);
/* Brings it to its target. OK: taken with all that it holds (inv itself is copied when it must
 * wait). Else the caller still has what it holds; the status says why. */
fos_status core_submit(struct core *core, struct invocation *inv);
/* Gives inv what the named delivery hands on (on_error is borrowed), or begins a new task. INVALID:
 * no such delivery. */
fos_status core_invocation_inherit(struct core *core, struct process *process, uint64_t delivery_id,
								   uint64_t trace, uint64_t time, struct invocation *inv);
/* Gives inv its target and arguments: the Request's with the addition; on_error is the call's own,
 * else the Request's, else the one that inv has (borrowed until now). On error inv holds nothing.
 */
fos_status core_invocation_address(struct core *core, struct invocation *inv,
								   const struct value *request, const struct addition *add);
/* A copy of inv in the pool, in its account. NULL: QUOTA. */
struct invocation *core_invocation_keep(struct core *core, const struct invocation *inv);
/* Counts it as waiting and lets its time end. Whether the account may: core_may_wait(). */
bool core_may_wait(const struct core *core, const struct invocation *inv);
void core_invocation_wait(struct core *core, struct invocation *inv);
void core_invocation_go(struct core *core, struct invocation *inv); /* waits no longer */
/* drop releases what it holds; free also takes the pool's record out of everything it is in. */
void core_invocation_drop(struct core *core, struct invocation *inv);
/* Its target is what the Request names. */
void core_invocation_aim(struct invocation *inv, const struct value *request);
void core_invocation_free(struct core *core, struct invocation *inv);
/* Waited in vain: tells on_error, then frees. */
void core_invocation_fail(struct core *core, struct invocation *inv, fos_status status);
void core_invocation_expired(struct core *core, struct invocation *inv);
void core_account_init(struct account *account, struct process *process);
/* Moves all to the house: their Process or session is gone. */
void core_account_end(struct core *core, struct account *account);
void core_account_move(struct core *core, struct invocation *inv, struct account *to);
void core_receive_invoke(struct core *core, struct session *session, const uint8_t *bytes);

/* ------------------------------------------------------------------ inbox.c, park.c */

/* At the owner. OK: delivered, or waits here, or went back; else as core_submit(). session NULL:
 * from this node. */
fos_status core_arrive(struct core *core, struct invocation *inv, struct object *object,
					   struct session *session);
/* An invocation was lost here for want of memory, whose `retry` and `more` these are. */
void core_inbox_lost(struct core *core, struct object *object, struct session *session, bool retry,
					 uint32_t more);
/* The invocation of this order goes back to its sender: OK: it waits for room; else it is refused,
 * and the sender, who still has it, tells on_error. */
void core_inbox_bounce(struct core *core, struct session *session, const struct core_ref *target,
					   uint64_t order, fos_status refused);
void core_channel_wake(struct core *core, struct channel *channel);
void core_process_wake(struct core *core, struct process *process);
void core_inbox_run(struct core *core, struct channel *channel);
/* The object died: its waiters go on to hear of it. */
void core_inbox_object_end(struct core *core, struct object *object);
/* Sends ROOM: to the owner's source, or back to the owner. */
void core_inbox_room(struct core *core, struct session *session, const struct core_ref *target,
					 uint32_t count);
/* So many wait behind a retry for what is dead: they are sent on as well, to be refused. */
void core_inbox_refuse(struct core *core, struct session *session, const struct core_ref *target,
					   uint32_t count);
void core_waiter_session_end(struct core *core, struct session *session);
void core_waiter_left(struct core *core, struct invocation *inv); /* a local one gave up */
void core_receive_room(struct core *core, struct session *session, const uint8_t *bytes);

struct park *core_park_find(struct core *core, struct session *session,
							const struct core_ref *target);
void core_park_append(struct core *core, struct park *park, struct invocation *inv);
void core_park_left(struct core *core, struct invocation *inv);
/* A retry ends before it was sent: the place kept for it goes to the next, or back. */
void core_park_unused(struct core *core, const struct invocation *inv);
void core_receive_bounce(struct core *core, struct session *session, const uint8_t *bytes);
void core_park_room(struct core *core, struct session *session,
					const struct wire_message_room *room);
void core_park_session_end(struct core *core, struct session *session);

/* ------------------------------------------------------------------ delivery.c, exception.c */

/* Makes the delivery. OK: what inv holds is taken. QUOTA: it does not fit into its provider. */
fos_status core_deliver(struct core *core, struct invocation *inv, struct object *object);
struct delivery *core_delivery_find(const struct process *process, uint64_t id);
void core_delivery_finish(struct core *core, struct delivery *delivery, fos_status status);
/* Ends it with an exception in the Process's name. */
void core_delivery_fail(struct core *core, struct delivery *delivery, struct account *account,
						fos_status status, const char *detail, size_t detail_len);
void core_call_continue(struct core *core, struct caller *caller, const uint8_t *bytes);
void core_call_fail(struct core *core, struct caller *caller, const uint8_t *bytes);
void core_call_finish(struct core *core, struct caller *caller, const uint8_t *bytes);

struct notice { /* who could not go on with what, and why */
	struct account *account;
	struct value *on_error; /* borrowed; NULL: nobody is told */
	uint64_t trace, span, end;
	fos_status status;
	bool reserved;                 /* its room to wait is kept: it takes the place of what failed */
	const struct process *process; /* NULL: the Controller itself */
	const char *detail;            /* NULL: the status's text */
	size_t detail_len;
};
void core_notify(struct core *core, const struct notice *notice);
/* An exception as a delivery that replaces an invocation which does not fit. NULL: no memory. */
struct exception *core_exception_make(struct core *core, const struct notice *notice);
struct exception *core_exception_copy(struct core *core, const struct wire_exception *head,
									  const uint8_t *detail);
void core_exception_free(struct core *core, struct exception *exception);

/* ------------------------------------------------------------------ once.c */

fos_status core_once_reserve(struct core *core, struct object *object, uint64_t deadline);
/* The record that is kept for the end of what it is or descends from; NULL: there is none. */
struct delivery *core_once_record(struct object *object);
/* Gives back what is kept for it, if it is. */
void core_once_release(struct core *core, struct object *object);
fos_status core_once_arrive(struct core *core, struct invocation *inv, struct object *object);
/* An arrival at it could not even be read, for want of memory. */
void core_once_refuse(struct core *core, struct object *object);
void core_once_expired(struct core *core, struct object *object);

/* ------------------------------------------------------------------ copy*.c */

/* copy.c: the asker. */
void core_call_memory_copy(struct core *core, struct caller *caller, const uint8_t *bytes);
void core_copy_end(struct core *core, struct copy *copy, fos_status status);
void core_copy_told(struct core *core, uint64_t id, fos_status status); /* unknown: nothing */
void core_copies_session_end(struct core *core, const struct session *session);
void core_receive_copy_done(struct core *core, struct session *session, const uint8_t *bytes);
void core_ask_send(struct core *core, struct session *session, struct ask *ask);
void core_asks_session_end(struct core *core, struct session *session);
/* Says how a copy ended: `then`, on_error or the asker. `account` keeps what has to wait. */
void core_copy_report(struct core *core, const struct landing *landing, struct account *account,
					  fos_status status);
/* The source's owner, with a `then`: all has left, or nothing will. */
void core_copy_left(struct core *core, const struct landing *landing);
void core_copy_span(struct core *core, const struct landing *landing, uint64_t begin,
					uint64_t bytes, const struct object *dst);
void core_landing_hold(struct landing *landing);
void core_landing_release(struct core *core, struct landing *landing);

/* copy_send.c: the source's owner. A transfer of `want`, of which src, dst_ref, offsets, length,
 * landing (held anew) and who asked are filled in. Else the status of what is wrong. */
fos_status core_outgoing_start(struct core *core, const struct outgoing *want);
void core_outgoing_send(struct core *core, struct outgoing *out); /* one slice, one credit */
void core_outgoing_end(struct core *core, struct outgoing *out, fos_status status);
void core_outgoing_slice_done(struct core *core, uint64_t token);
void core_outgoing_credits(struct core *core, struct session *session, uint32_t count);
void core_outgoing_session_end(struct core *core, struct session *session);
void core_outgoing_process_end(struct core *core, struct process *process);
void core_receive_copy(struct core *core, struct session *session, const uint8_t *bytes);
void core_receive_data_stop(struct core *core, struct session *session, const uint8_t *bytes);

/* copy_receive.c: the destination's owner. */
void core_receive_data(struct core *core, struct session *session, const uint8_t *bytes);
void core_incoming_end(struct core *core, struct incoming *in, fos_status status);
void core_incoming_session_end(struct core *core, struct session *session);

/* ------------------------------------------------------------------ session.c */

void core_session_up(struct core *core, uint32_t node, uint64_t epoch);
void core_session_gone(struct core *core, uint32_t node);
struct session *core_session_find(struct core *core, uint32_t node); /* NULL: none alive */
/* The living session with the object's owner: PEER_LOST, STALE. */
fos_status core_session_to(struct core *core, const struct core_ref *ref, struct session **out);
void core_session_message(struct core *core, const struct core_event *event);
void core_session_break(struct core *core, struct session *session, const char *reason);
void core_session_dirty(struct core *core, struct session *session);
void core_session_run(struct core *core, struct session *session);
void core_sessions_resume(struct core *core); /* those that had more to tell */
/* Sends what the record is about when there is a credit: of one Process in the order of these
 * calls, of all of them one each in turn; REVOKE before all others. */
void core_session_cleanup(struct core *core, struct presence *presence, struct cleanup *cleanup,
						  enum cleanup_kind kind);
void core_session_revoke(struct core *core, struct session *session, struct revoking *revoking);
void core_session_beat(struct core *core, struct session *session);
/* Queues it: it is sent at the end of a step, when there is a credit. inv is in the pool; its
 * record is the session's from now on. */
void core_session_invoke(struct core *core, struct session *session, struct invocation *inv);
void core_session_post(struct core *core, struct session *session, struct invocation *inv,
					   const struct plan *plan); /* there is a credit, the plan is the last made */
bool core_session_has_credit(const struct session *session, enum wire_class class);
/* Room for a message of `size` bytes, which goes out as the caller fills it: its header is written,
 * its fixed part zeroed, its class's credit taken. `data` more bytes come from an arena: then *out
 * is its output, of type CORE_SEND_SLICE, to be completed. */
void *core_session_send(struct core *core, struct session *session, uint8_t type, size_t size);
void *core_session_send_slice(struct core *core, struct session *session, uint8_t type, size_t size,
							  size_t data, struct core_output **out);

/* ------------------------------------------------------------------ registry.c, process.c */

void core_call_registry_get(struct core *core, struct caller *caller, const uint8_t *bytes);
void core_call_registry_set(struct core *core, struct caller *caller, const uint8_t *bytes);
void core_asking_end(struct core *core, struct asking *asking, fos_status status);
void core_registry_object_end(struct core *core, const struct object *object);
void core_registry_session_end(struct core *core, const struct session *session);
void core_registry_tell(struct core *core, struct session *session);
void core_receive_registry(struct core *core, struct session *session, const uint8_t *bytes);

struct process *core_process_find(const struct core *core, uint32_t serial);
void core_process_up(struct core *core, const struct core_event *event);
void core_process_gone(struct core *core, uint32_t serial);
void core_process_free(struct core *core, uint32_t serial);
void core_process_break(struct core *core, struct process *process, const char *reason);
void core_channel_up(struct core *core, uint32_t process, uint32_t channel);
void core_channel_gone(struct core *core, uint32_t process, uint32_t channel);
void core_segment_up(struct core *core, const struct core_event *event);
void core_process_call(struct core *core, const struct core_event *event);

/* ------------------------------------------------------------------ output.c */

void core_output_reset(struct core *core);
struct core_output *core_output_add(struct core *core, enum core_output_type type);
/* Bytes for a record or message, aligned to 8, good until the next step; at most OUTPUT_CHUNK. */
void *core_output_bytes(struct core *core, size_t size);
void core_complete(struct core *core, const struct caller *caller, fos_status status);
void core_complete_cap(struct core *core, const struct caller *caller, uint64_t cap);
void core_complete_same(struct core *core, const struct caller *caller, bool same);
/* Completes with a new slot for the value, which is released. */
void core_complete_value(struct core *core, const struct caller *caller, fos_status status,
						 struct value *value);
void *core_output_record(struct core *core, const struct channel *channel, uint16_t type,
						 size_t size, uint64_t cookie);

#endif
