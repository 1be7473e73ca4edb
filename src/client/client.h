/* Inside libfractos: a Process's attachment, its channels, its arena.
 *
 *     process.c   attach dialogue, channels opened and closed
 *     arena.c     segments and the allocator
 *     args.c      fos_args and their encoding into a record
 *     calls.c     one function a system call: fill in a record, publish it
 *     answers.c   completions and deliveries out of the ring, to callbacks and handlers
 *     wait.c      when to look, when to sleep; fos_serve(), fos_watch()
 *     call.c      fos_call(): a blocking round trip
 *
 * Locks. process->lock guards the attach dialogue, the list of channels and the allocator; it is
 * never taken while records are submitted or handled. What channels read without it is atomic:
 * `lost`, and the segments, which are only ever added.
 */
#ifndef FRACTOS_CLIENT_H
#define FRACTOS_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>

#include <fractos/fractos.h>

#include "base/base.h"
#include "base/list.h"
#include "base/yield.h"
#include "wire/ring.h"
#include "wire/wire.h"

enum {
	CLIENT_SEGMENTS_MAX = 1024,    /* more than any Controller gives to one Process */
	CLIENT_CALLS_MAX = 1 << 16,    /* async calls of a channel under way with a `done` */
	CLIENT_HANDLERS_MAX = 1 << 18, /* living Requests of a channel */
	CLIENT_WATCHES_MAX = 16,
	CLIENT_PLACES_MAX = 4,
	CLIENT_YIELDS = 50,         /* looks with a sched_yield between, before sleeping: measured */
	CLIENT_BATCH = 256,         /* answers handled before other sources get a turn */
	CLIENT_GLANCE = 64,         /* turns without sleep between two looks at descriptors */
	CLIENT_PATIENCE_MS = 10000, /* how long the attach dialogue waits for an answer */
	CLIENT_SEGMENT_MIN = 1 << 20,
	CLIENT_SEGMENT_STEP = 64 << 20, /* largest segment that is made in advance of need */
	CLIENT_BINS = 48,
	CLIENT_BUCKETS = 1024
};

/* ------------------------------------------------------------------ arena */

struct client_segment {
	_Atomic(uint8_t *) base; /* NULL: none of this number; written once */
	uint64_t length;
};

struct client_block { /* a part of a segment, in use or free; kept outside of the shared bytes */
	uint8_t *start;
	uint64_t size;
	bool free;
	bool first;                     /* of its segment: does not join with the one before */
	struct list neighbours;         /* all blocks by address, inside a segment */
	struct list bin;                /* free: of its size's bin */
	struct client_block *hash_next; /* in use */
};

struct client_arena {
	struct list bins[CLIENT_BINS];
	struct client_block *used[CLIENT_BUCKETS]; /* by address */
	struct list blocks;
	uint64_t bytes;
};

void client_arena_init(struct client_arena *arena);
void client_arena_destroy(fos_process *process);
/* Which segment holds all of [ptr, ptr+len); false: none. */
bool client_arena_locate(fos_process *process, const void *ptr, uint64_t len, uint32_t *segment,
						 uint64_t *offset);
/* `segment` as answers carry it: one more than its number, 0 for none. NULL where it is not ours.
 */
void *client_arena_pointer(fos_process *process, uint32_t segment, uint64_t offset);

/* ------------------------------------------------------------------ Process and channel */

struct fos_process {
	uint64_t magic;
	int socket; /* the lifeline: end-of-file means that the other side is gone */
	_Atomic bool lost;
	uint32_t node, serial;
	uint64_t epoch;
	char node_name[FOS_LABEL_MAX];
	pthread_mutex_t lock;
	struct list channels;
	struct client_arena arena;
	_Atomic uint32_t segment_end; /* behind the highest number in use */
	struct client_segment segments[CLIENT_SEGMENTS_MAX];
};

struct client_call { /* a submitted call whose completion somebody wants */
	fos_done done;
	void *arg;
	uint64_t extra; /* REQUEST_CREATE: the handler's cookie; CAP_REVOKE: the slot */
	uint32_t generation;
	uint32_t next; /* free ones are a list */
	uint16_t type; /* 0: free */
};

struct client_handler {
	fos_handler fn; /* NULL: free */
	void *arg;
	fos_cap cap; /* the slot that fos_request_create() gave */
	uint32_t generation;
	uint32_t next;
	bool once;
};

/* A delivery taken out of the ring. The immediates lie at their own offsets, so that what a
 * client aligned is aligned. */
struct client_parcel {
	struct client_parcel *next;
	fos_delivery delivery;
	fos_delivered_cap caps[FOS_CAPS_MAX]; /* all zero when not in use */
	unsigned range_count;
	struct wire_range ranges[FOS_RANGES_MAX];
	char detail[FOS_DETAIL_MAX];
	_Alignas(64) uint8_t image[FOS_IMM_MAX];
};

struct client_deferred { /* an answer that came while a blocking call waited for another */
	struct list node;
	uint32_t size;
	_Alignas(8) uint8_t bytes[];
};

struct client_watch {
	int fd;
	void (*fn)(fos_channel *, int, void *); /* NULL: free */
	void *arg;
};

struct fos_channel {
	uint64_t magic;
	fos_process *process;
	struct list node;
	uint32_t number;
	bool closing;
	bool armed; /* the consumer of answers is declared asleep */

	struct ring calls, answers;
	void *mapping;
	size_t mapping_size;
	int bell_out, bell_in, stop_fd, epoll_fd;
	_Atomic bool stop;

	struct client_call *call_table;
	uint32_t call_count, call_free; /* call_free: index + 1, 0: none */
	struct client_handler *handler_table;
	uint32_t handler_count, handler_free;

	struct list deferred;
	struct client_parcel *parcels; /* free ones */
	uint32_t turns;                /* since the last look at descriptors */
	struct base_yield yield;

	struct client_watch watches[CLIENT_WATCHES_MAX];
	int (*poller)(fos_channel *, void *);
	void *poller_arg;

	struct client_place { /* what libraries keep with the channel */
		const void *key;
		void *content;
	} places[CLIENT_PLACES_MAX];
	fos_cap life; /* FOS_CAP_NONE: not asked for yet */
};

/* What an epoll event of the channel is about; watches have their index. */
enum { CLIENT_KEY_BELL = 1000, CLIENT_KEY_LIFELINE, CLIENT_KEY_STOP };

#define CLIENT_PROCESS_MAGIC 0x70726f6366726163u
#define CLIENT_CHANNEL_MAGIC 0x6368616e66726163u

static inline bool client_lost(const fos_channel *ch)
{
	return ch->closing || atomic_load_explicit(&ch->process->lost, memory_order_relaxed);
}
/* The Controller is gone or talks nonsense: over for all channels. */
void client_lose(fos_process *process);

/* Sends one packet of the attach dialogue, with the descriptor `pass` (-1: none), and receives its
 * answer, of type `answer`, with exactly fd_count descriptors if its status is OK. The caller holds
 * process->lock. */
fos_status client_ask(fos_process *process, const void *packet, size_t size, int pass,
					  uint16_t answer, void *out, size_t out_size, int *fds, unsigned fd_count);

/* ------------------------------------------------------------------ arguments */

enum client_entry_kind { /* of fos_args_entry: those of the wire */
						 CLIENT_ENTRY_CALL = WIRE_ENTRY_CALL,
						 CLIENT_ENTRY_SLOT = WIRE_ENTRY_SLOT,
						 CLIENT_ENTRY_REFINE = WIRE_ENTRY_REFINE,
						 CLIENT_ENTRY_DIMINISH = WIRE_ENTRY_DIMINISH
};

struct client_plan { /* how a fos_args becomes a table in which entries bind only lower ones */
	uint8_t order[FOS_ENTRIES_MAX];  /* wire number -> number in fos_args */
	uint8_t number[FOS_ENTRIES_MAX]; /* the reverse */
	uint32_t imm_bytes;
	uint32_t size; /* bytes of the table, padded */
};

/* args may be NULL: no arguments. */
fos_status client_args_plan(const fos_args *args, struct client_plan *plan);
void client_args_encode(const fos_args *args, const struct client_plan *plan, void *out);
/* Translates a capability of the call itself: a slot stays, a name becomes the table's. */
fos_status client_args_cap(const fos_args *args, const struct client_plan *plan, fos_cap cap,
						   uint64_t *out);

/* ------------------------------------------------------------------ calls and answers */

/* Remembers a call; *cookie names it. NULL: out of memory or too many. */
struct client_call *client_call_add(fos_channel *ch, uint16_t type, fos_done done, void *arg,
									uint64_t extra, uint64_t *cookie);
struct client_call *client_call_find(fos_channel *ch, uint64_t cookie);
void client_call_drop(fos_channel *ch, struct client_call *call);

struct client_handler *client_handler_add(fos_channel *ch, fos_handler fn, void *arg, bool once,
										  uint64_t *cookie);
struct client_handler *client_handler_find(fos_channel *ch, uint64_t cookie);
void client_handler_drop(fos_channel *ch, struct client_handler *handler);
/* Drops the handler of the Request that fos_request_create() gave as `cap`, if it is one. */
void client_handler_forget(fos_channel *ch, fos_cap cap);

/* A call that somebody waits for. client_wake is its `done`, a waiter its arg. */
struct client_waiter {
	bool done;
	fos_result result;
};
void client_wake(fos_channel *ch, const fos_result *result, void *arg);
/* Waits until *flag, handling only what client_wake and client_reply_arrived are for; everything
 * else is deferred. False: the Controller was lost first. */
bool client_wait_for(fos_channel *ch, const bool *flag);
/* Handler of the ONCE Requests of fos_call(). */
fos_handled client_reply_arrived(fos_channel *ch, const fos_delivery *delivery, void *arg);

/* Handles what was deferred and what is in the ring, at most `limit`; returns how many. */
int client_handle_answers(fos_channel *ch, int limit);
/* Takes everything out of the ring, handling only what client_wait_for() waits for. */
void client_defer_answers(fos_channel *ch);
/* Ends every call under way with `status`; returns how many. */
int client_end_calls(fos_channel *ch, fos_status status);
/* Forgets the calls that somebody waited for and will not wait for any more. */
void client_drop_waiters(fos_channel *ch);
void client_parcel_put(fos_channel *ch, struct client_parcel *parcel);

/* Rings the Controller's doorbell. */
void client_ring_bell(fos_channel *ch);
/* Waits for room in the ring of calls, the `tries`th time; answers are deferred meanwhile. True:
 * try again; false: the Controller was lost. */
bool client_wait_for_room(fos_channel *ch, uint32_t size, unsigned tries);

#endif
