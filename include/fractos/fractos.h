/* libfractos: what a Process (an app, a service or an adaptor) uses of FractOS.
 *
 * A Process attaches to the Controller of its node and opens one *channel* per thread. Through a
 * channel it makes, refines and invokes capabilities and receives *deliveries*. A capability is
 * named by a *slot* of the Process's own capability space (fos_cap); a slot name is never reused.
 *
 * Threads. A fos_channel and all calls on it belong to one thread at a time. The capability space
 * and the arena belong to the Process: a slot made on one channel may be used on all. fos_process
 * functions may be called from any thread.
 *
 * Blocking and asynchronous. Most system calls have two forms. fos_X() waits for its completion;
 * deliveries that arrive meanwhile are kept and handled at the next fos_poll(), fos_wait() or
 * fos_serve(). fos_X_async() returns as soon as the record is in the ring and calls `done` exactly
 * once from a later fos_poll(), fos_wait() or fos_serve() of the same channel; `done` may be NULL.
 * An async call that returns anything but FOS_OK was not submitted and `done` is not called. If
 * the ring is full it waits until the Controller has taken records. fos_request_create(),
 * fos_cap_is_same(), fos_registry_get() and fos_registry_set() have the first form alone;
 * fos_continue(), fos_fail() and fos_finish() return like the second one.
 *
 * Units: lengths and offsets are bytes, times are nanoseconds.
 * Errors: every call may also return FOS_CONTROLLER_LOST; from then on all calls of the Process do.
 */
#ifndef FRACTOS_FRACTOS_H
#define FRACTOS_FRACTOS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fractos/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ names and limits */

typedef uint64_t fos_cap;         /* a slot of the own capability space */
typedef uint64_t fos_delivery_id; /* an open delivery of the own Process */
typedef struct fos_process fos_process;
typedef struct fos_channel fos_channel;

#define FOS_CAP_NONE      ((fos_cap)0)
#define FOS_DELIVERY_NONE ((fos_delivery_id)0)

enum {
	FOS_IMM_MAX = 8192,    /* immediate arguments end below this offset */
	FOS_CAPS_MAX = 32,     /* capability arguments have an index below this */
	FOS_ENTRIES_MAX = 48,  /* capabilities that one call carries, nested ones included */
	FOS_RANGES_MAX = 96,   /* ranges of immediates that one call carries, nested ones included */
	FOS_IMM_TOTAL = 16384, /* bytes of immediates that one call carries, nested ones included */
	FOS_NEST_MAX = 16,     /* depth of capabilities bound in capabilities */
	FOS_REVTREE_MAX = 16,  /* depth of revtree children below an object */
	FOS_DETAIL_MAX = 2048, /* bytes of an exception's detail */
	FOS_DEVICES_MAX = 8,   /* devices that a Process registers */
	FOS_LABEL_MAX = 32     /* bytes of a Process's label, with the final zero */
};

/* How services lay out arguments, so that Requests of different services chain without knowing
 * each other: a provider binds its own part below FOS_ARG, clients bind arguments from FOS_ARG on,
 * and whoever continues a chain puts results at FOS_RESULT. Capability 0 is `next`. */
enum {
	FOS_ARG = 64,       /* first byte of a client's immediates */
	FOS_RESULT = 4096,  /* first byte of the results that a continuation receives */
	FOS_NEXT = 0,       /* index of the continuation */
	FOS_CAP_RESULT = 16 /* index of the first capability among results */
};

enum fos_rights { FOS_READ = 1, FOS_WRITE = 2 };

enum fos_kind { FOS_MEMORY = 1, FOS_REQUEST = 2 };

/* ------------------------------------------------------------------ attach */

typedef struct fos_attach_options {
	const char *socket; /* the Controller's socket; NULL: $FRACTOS_SOCKET */
	const char *label;  /* what people call this Process ("blk"), shown in errors and status */
} fos_attach_options;

/* Attaches this Process. The capability space starts empty. On success *out is the caller's until
 * fos_detach(). Blocks for one round trip. PEER_LOST: nobody listens at the socket; DENIED,
 * QUOTA: the Controller refused; UNSUPPORTED: it speaks another version. */
FOS_CHECKED fos_status fos_attach(const fos_attach_options *options, fos_process **out);

/* Ends the attachment and frees everything of it, channels included. To the rest of the cluster
 * the Process is then dead. NULL is allowed. */
void fos_detach(fos_process *process);

/* Why the last fos_attach() of this thread failed, in words. Never NULL. */
const char *fos_attach_error(void);

/* The own node's name and number, the own Process's serial. Valid until fos_detach(). */
const char *fos_node_name(const fos_process *process);
uint32_t fos_node_id(const fos_process *process);
uint32_t fos_process_serial(const fos_process *process);

/* Opens a channel for one thread. QUOTA: no more channels. */
FOS_CHECKED fos_status fos_channel_open(fos_process *process, fos_channel **out);
/* Closes it; Requests made on it die, its open deliveries fail. Calls under way end with CANCELLED,
 * which leaves open whether they took effect. Not from a callback of the channel. NULL is allowed.
 */
void fos_channel_close(fos_channel *channel);
fos_process *fos_channel_process(fos_channel *channel);
/* A pointer that a library keeps with a channel; NULL at first. `key` is an address of its own.
 * Neither looked at nor freed here: calls under way, which end with the channel, tell its end.
 * Returns NULL where four keys are in use. On the channel's thread. */
void **fos_channel_place(fos_channel *channel, const void *key);
/* The channel's *life*: a Request of ours that lives as long as the channel and that nobody needs
 * to invoke. A service that lends something is given it along with the ask, and watches it
 * (fos_monitor_receive()) to learn when that has to come back. One for each channel, made at the
 * first call, which blocks for a round trip; not to be closed. Errors as fos_request_create(). */
FOS_CHECKED fos_status fos_channel_life(fos_channel *channel, fos_cap *out);

/* Says that this Process does I/O on a device, or file, only as long as `fd` or what shares its
 * description is open, and that it holds the exclusive flock() of it (see flock(2)). What a
 * Process that died left to its devices counts as over when that lock is free, so that
 * fos_cap_drain() can tell when blocks may be used for something else. `fd` is borrowed during the
 * call. Any thread; blocks for a round trip. INVALID: no lock is held on it; QUOTA: more than
 * FOS_DEVICES_MAX of this Process; DEVICE: it cannot be opened again, or is not of a file system
 * that the kernel serves by itself; CONTROLLER_LOST. */
FOS_CHECKED fos_status fos_device_held(fos_process *process, int fd);

/* ------------------------------------------------------------------ arena */

/* Bytes that Memory objects can name. `align` is a power of two, at least 64 is used. The arena
 * grows by segments, which the Controller maps too. QUOTA: the Process's arena bytes are used up.
 * Contents are zero the first time bytes are handed out, and undefined afterwards. */
FOS_CHECKED fos_status fos_alloc(fos_process *process, size_t len, size_t align, void **out);
/* Gives bytes back; Memory objects over them must have been revoked before. NULL is allowed. */
void fos_free(fos_process *process, void *ptr);

/* ------------------------------------------------------------------ arguments */

/* The arguments of one call: immediates, capabilities, and capabilities that are built on the way.
 *
 * fos_args_refine() and fos_args_diminish() give names that are good in this fos_args only; the
 * Controller builds what they name while it handles the call. So a whole chain of continuations is
 * built and started by one record:
 *
 *     fos_args a;
 *     fos_args_init(&a);
 *     fos_cap launch = fos_args_refine(&a, gpu_launch);
 *     fos_args_imm(&a, launch, FOS_ARG, &grid, sizeof grid);
 *     fos_args_cap(&a, launch, FOS_NEXT, reply);
 *     fos_args_cap(&a, FOS_CALL, FOS_NEXT, launch);        // FOS_CALL: the call's own arguments
 *     status = fos_request_invoke(ch, read, &a, NULL);
 *
 * Bytes given to fos_args_imm() are borrowed until the call has been submitted. Mistakes (too
 * many, out of range) are kept and returned by the call as INVALID. A fos_args may be submitted
 * several times and needs no clean-up. */
#define FOS_CALL ((fos_cap)0xffff000000000000u)

typedef struct fos_args_entry {
	fos_cap base;      /* a slot */
	uint8_t kind;      /* enum fos_args_kind */
	uint8_t drop;      /* diminish: rights to drop */
	uint16_t on_error; /* entry number, 0: none */
	uint64_t offset;   /* diminish */
	uint64_t length;
} fos_args_entry;

typedef struct fos_args_range {
	const void *bytes;
	uint32_t offset;
	uint32_t length;
	uint16_t entry; /* whose immediates */
} fos_args_range;

typedef struct fos_args_bound {
	uint16_t entry; /* whose argument */
	uint16_t index; /* which argument, below FOS_CAPS_MAX */
	uint16_t value; /* entry number of the capability */
} fos_args_bound;

typedef struct fos_args {
	fos_status status;    /* the first mistake */
	uint16_t entry_count; /* entry 0 is the call itself */
	uint16_t range_count;
	uint16_t bound_count;
	fos_args_entry entries[FOS_ENTRIES_MAX];
	fos_args_range ranges[FOS_RANGES_MAX];
	fos_args_bound bounds[FOS_ENTRIES_MAX * 2];
} fos_args;

void fos_args_init(fos_args *args);
/* Binds bytes at `offset` of `of` (FOS_CALL or a name from fos_args_refine()). */
void fos_args_imm(fos_args *args, fos_cap of, uint32_t offset, const void *bytes, size_t len);
/* Binds capability `cap` (a slot or a name of this fos_args) as argument `index` of `of`. */
void fos_args_cap(fos_args *args, fos_cap of, unsigned index, fos_cap cap);
/* Binds the Request that is invoked with an exception when the chain cannot go on. */
void fos_args_on_error(fos_args *args, fos_cap of, fos_cap cap);
/* Names a refinement of Request `cap`, or a part of Memory `cap`, made while the call is handled.
 */
fos_cap fos_args_refine(fos_args *args, fos_cap cap);
fos_cap fos_args_diminish(fos_args *args, fos_cap cap, uint64_t offset, uint64_t length,
						  unsigned drop_rights);

/* ------------------------------------------------------------------ deliveries */

/* Who could not go on and why. Only Controllers can stamp one. */
typedef struct fos_exception {
	fos_status status;             /* FOS_OK: not an exception */
	uint32_t node;                 /* number of the node that found it */
	uint32_t process;              /* serial of the Process concerned, 0: the Controller itself */
	char where[2 * FOS_LABEL_MAX]; /* "storage/blk", zero-terminated */
	uint32_t detail_len;
	const char *detail; /* zero-terminated text, "" where there is none; borrowed */
} fos_exception;

typedef struct fos_delivered_cap {
	fos_cap cap;     /* FOS_CAP_NONE: this argument is not bound */
	uint8_t kind;    /* enum fos_kind */
	uint8_t rights;  /* Memory: enum fos_rights */
	uint64_t length; /* Memory: bytes */
	void *ptr;       /* Memory over the own arena: its first byte; else NULL */
} fos_delivered_cap;

/* One invocation of a Request of ours. Everything that it points to is borrowed until the handler
 * returns; slots live until the delivery is finished, unless fos_cap_keep() kept them. */
typedef struct fos_delivery {
	fos_delivery_id id;
	fos_exception exception;
	uint64_t trace;                /* the task that this belongs to */
	uint64_t span;                 /* this delivery's own span */
	uint64_t time_left;            /* ns until the invoker's time ends */
	uint32_t imm_end;              /* offset behind the last bound immediate */
	uint32_t cap_count;            /* index behind the last bound capability */
	const fos_delivered_cap *caps; /* FOS_CAPS_MAX of them */
	const void *internal;
} fos_delivery;

/* The immediates [offset, offset+len) if all of them are bound, else NULL. */
const void *fos_delivery_imm(const fos_delivery *delivery, uint32_t offset, uint32_t len);
/* How many bytes are bound without a gap from `offset` on. */
uint32_t fos_delivery_imm_len(const fos_delivery *delivery, uint32_t offset);
/* The capability argument `index`, FOS_CAP_NONE where it is not bound. */
fos_cap fos_delivery_cap(const fos_delivery *delivery, unsigned index);

/* A handler either lets the library finish the delivery (with `done`), or has finished it itself
 * or will later, from any thread's channel of this Process. */
typedef enum fos_handled { FOS_FINISH, FOS_FINISH_LATER } fos_handled;
typedef fos_handled (*fos_handler)(fos_channel *channel, const fos_delivery *delivery, void *arg);

/* ------------------------------------------------------------------ completions */

/* Why a capability is over, or can no longer be watched. */
enum fos_gone {
	FOS_GONE_NOT,        /* the monitor was refused or taken back */
	FOS_GONE_REVOKED,    /* revoked, or a ONCE Request that was used */
	FOS_GONE_MAKER,      /* its maker or provider died */
	FOS_GONE_CONTROLLER, /* its owner's Controller died or was started anew */
	FOS_GONE_LINK,       /* it can no longer be watched; it may still be valid */
	FOS_GONE_UNHELD      /* no one else held it any more: it is revoked now */
};

typedef struct fos_cap_information {
	uint8_t kind;    /* enum fos_kind */
	uint8_t rights;  /* Memory */
	bool own;        /* the object was made by this Process */
	bool once;       /* Request: ONCE */
	bool reachable;  /* the owner's Controller has a living session with ours (or is ours) and
						the epoch is the current one */
	bool revocable;  /* this Process made it, or this revtree child, and may revoke it */
	bool tracked;    /* a tracked revtree child */
	uint32_t node;   /* the owner's node number */
	uint64_t length; /* Memory */
	void *ptr;       /* own Memory: first byte, else NULL */
	uint32_t open_deliveries; /* own Request: deliveries not finished, children's included */
} fos_cap_information;

typedef struct fos_result {
	fos_status status;
	fos_cap cap;              /* the new slot, of calls that make one */
	bool same;                /* fos_cap_is_same */
	enum fos_gone gone;       /* monitors */
	fos_cap_information info; /* fos_cap_info */
} fos_result;

typedef void (*fos_done)(fos_channel *channel, const fos_result *result, void *arg);

/* ------------------------------------------------------------------ Memory */

/* A Memory over [ptr, ptr+len) of the own arena. INVALID: not inside one fos_alloc() segment, or
 * len 0; QUOTA: objects or slots. */
FOS_CHECKED fos_status fos_memory_create(fos_channel *ch, void *ptr, uint64_t len, unsigned rights,
										 fos_cap *out);
FOS_CHECKED fos_status fos_memory_create_async(fos_channel *ch, void *ptr, uint64_t len,
											   unsigned rights, fos_done done, void *arg);

/* A narrower view [offset, offset+len) with fewer rights; costs no message. RANGE, INVALID (len 0,
 * unknown rights), WRONG_TYPE, NO_CAP, QUOTA. */
FOS_CHECKED fos_status fos_memory_diminish(fos_channel *ch, fos_cap memory, uint64_t offset,
										   uint64_t len, unsigned drop_rights, fos_cap *out);
FOS_CHECKED fos_status fos_memory_diminish_async(fos_channel *ch, fos_cap memory, uint64_t offset,
												 uint64_t len, unsigned drop_rights, fos_done done,
												 void *arg);

typedef struct fos_invoke_options {
	uint64_t time;            /* ns the invocation may take, parked time included; 0: inherited
								 from `delivery`, else the cluster file's default */
	fos_delivery_id delivery; /* an open delivery: its on_error, trace and remaining time are
								 inherited; FOS_DELIVERY_NONE: a new task starts */
	uint64_t trace;           /* trace of a new task; 0: the Controller makes one */
} fos_invoke_options;

/* Copies all of `src` to the start of `dst`; the caller needs neither side to be its own. `src`
 * needs READ, `dst` WRITE. Without `then` it completes when the bytes have landed. With `then` (a
 * Request, invoked when the bytes have landed) it completes when the source may be overwritten if
 * that is on this node, else when the Controller has taken it; what fails afterwards goes to
 * on_error. `args` holds `then` and what it needs: capability FOS_NEXT of FOS_CALL is `then`,
 * FOS_CALL's on_error is used; NULL: no `then`. RANGE: dst is smaller than src; DENIED; REVOKED,
 * STALE, PEER_LOST; TIMED_OUT. */
FOS_CHECKED fos_status fos_memory_copy(fos_channel *ch, fos_cap dst, fos_cap src,
									   const fos_args *args, const fos_invoke_options *options);
FOS_CHECKED fos_status fos_memory_copy_async(fos_channel *ch, fos_cap dst, fos_cap src,
											 const fos_args *args,
											 const fos_invoke_options *options, fos_done done,
											 void *arg);

/* ------------------------------------------------------------------ Requests */

typedef struct fos_request_options {
	bool once;         /* at most one delivery, then the object is gone */
	uint64_t deadline; /* ONCE: ns until it is delivered with TIMED_OUT; 0: the default */
} fos_request_options;

/* A new Request whose invocations are delivered to `handler` on this channel. options may be NULL.
 */
FOS_CHECKED fos_status fos_request_create(fos_channel *ch, fos_handler handler, void *arg,
										  const fos_request_options *options, fos_cap *out);

/* A Request with more arguments bound; the base is unchanged; costs no message. FOS_CALL's
 * arguments are what is added. OVERLAP: an argument is bound already; QUOTA; INVALID. */
FOS_CHECKED fos_status fos_request_refine(fos_channel *ch, fos_cap request, const fos_args *args,
										  fos_cap *out);
FOS_CHECKED fos_status fos_request_refine_async(fos_channel *ch, fos_cap request,
												const fos_args *args, fos_done done, void *arg);

/* The same as a revtree child of its own, in one message: fos_cap_create_revtree() of what
 * fos_request_refine() gives. Errors of both. */
FOS_CHECKED fos_status fos_request_refine_revocable(fos_channel *ch, fos_cap request,
													const fos_args *args, unsigned flags,
													fos_cap *out);
FOS_CHECKED fos_status fos_request_refine_revocable_async(fos_channel *ch, fos_cap request,
														  const fos_args *args, unsigned flags,
														  fos_done done, void *arg);

/* Invokes a Request, one way. Completes when the own Controller has taken it; what fails later is
 * told to on_error. args and options may be NULL. */
FOS_CHECKED fos_status fos_request_invoke(fos_channel *ch, fos_cap request, const fos_args *args,
										  const fos_invoke_options *options);
FOS_CHECKED fos_status fos_request_invoke_async(fos_channel *ch, fos_cap request,
												const fos_args *args,
												const fos_invoke_options *options, fos_done done,
												void *arg);

/* Finish a delivery, exactly once, with one record. fos_continue() invokes `next` (usually
 * fos_delivery_cap(d, FOS_NEXT)) with the delivery's on_error, trace and remaining time; a refused
 * one leaves the delivery open where `done` is given, and fails it with the same status where
 * `done` is NULL. fos_fail() invokes on_error with an exception in our name; `detail` is text of at
 * most FOS_DETAIL_MAX - 1 bytes or NULL. Finishing with `next` FOS_CAP_NONE is INVALID. */
FOS_CHECKED fos_status fos_continue(fos_channel *ch, fos_delivery_id delivery, fos_cap next,
									const fos_args *args, fos_done done, void *arg);
FOS_CHECKED fos_status fos_fail(fos_channel *ch, fos_delivery_id delivery, fos_status status,
								const char *detail);
FOS_CHECKED fos_status fos_finish(fos_channel *ch, fos_delivery_id delivery);

/* ------------------------------------------------------------------ capabilities */

/* Drops one slot. Idempotent for the same name. */
FOS_CHECKED fos_status fos_cap_close(fos_channel *ch, fos_cap cap);
FOS_CHECKED fos_status fos_cap_close_async(fos_channel *ch, fos_cap cap, fos_done done, void *arg);
/* Lets a slot that came with a delivery outlive it; the name stays the same. */
FOS_CHECKED fos_status fos_cap_keep(fos_channel *ch, fos_cap cap);
FOS_CHECKED fos_status fos_cap_keep_async(fos_channel *ch, fos_cap cap, fos_done done, void *arg);
FOS_CHECKED fos_status fos_cap_info(fos_channel *ch, fos_cap cap, fos_cap_information *out);
FOS_CHECKED fos_status fos_cap_info_async(fos_channel *ch, fos_cap cap, fos_done done, void *arg);
/* Whether two slots name the same object, whatever is bound or diminished. */
FOS_CHECKED fos_status fos_cap_is_same(fos_channel *ch, fos_cap a, fos_cap b, bool *out);

enum { FOS_TRACKED = 1 }; /* flags of a revtree child */
/* A child of what `cap` names, with the same bounds or arguments, that this Process can revoke
 * alone, whoever made `cap`; made at the owner (one message there and one back where that is
 * another node). It is charged as an object of this Process and dies with it, with what it was
 * made from, and with the session to the owner. A child of a ONCE Request uses up that Request.
 * FOS_TRACKED: fos_monitor_delegate() can be set on it. INVALID: more than FOS_REVTREE_MAX deep,
 * unknown flags; QUOTA; NO_CAP; REVOKED, STALE, PEER_LOST. */
FOS_CHECKED fos_status fos_cap_create_revtree(fos_channel *ch, fos_cap cap, unsigned flags,
											  fos_cap *out);
FOS_CHECKED fos_status fos_cap_create_revtree_async(fos_channel *ch, fos_cap cap, unsigned flags,
													fos_done done, void *arg);

/* Kills an object or revtree child that this Process made, with all children that descend from it.
 * When it returns OK no delivery is made through any of them any more, and no byte is read from
 * them or written to them. It does not wait for those who hold it, and returns in bounded time
 * whatever they and the network do. NO_CAP; DENIED: made by another; REVOKED: it was dead already;
 * STALE: the owner's Controller is another one now, and it died with the old one; OUTCOME_UNKNOWN:
 * the owner cannot be reached: its children end with the session there, when the owner sees it; an
 * object that is its own node's is never unknown; QUOTA: too many calls of this kind wait. */
FOS_CHECKED fos_status fos_cap_revoke(fos_channel *ch, fos_cap cap);
FOS_CHECKED fos_status fos_cap_revoke_async(fos_channel *ch, fos_cap cap, fos_done done, void *arg);
/* The same, and waits until every delivery that was made through any of them is finished, or its
 * provider has exited and its devices work for it no longer (fos_device_held()): then what they
 * worked on may be used for something else. At most `time` ns (0: the cluster's default). May be
 * called again, also for what is dead already, whoever killed it and in whichever session. OK:
 * dead, and nothing of it is open; TIMED_OUT: dead, but not drained; otherwise as
 * fos_cap_revoke(). The blocking form on the channel of the deliveries waits for what it keeps from
 * being handled: drain own Requests asynchronously. */
FOS_CHECKED fos_status fos_cap_drain(fos_channel *ch, fos_cap cap, uint64_t time);
FOS_CHECKED fos_status fos_cap_drain_async(fos_channel *ch, fos_cap cap, uint64_t time,
										   fos_done done, void *arg);

/* Monitors: a call that completes when something has become so, once. One belongs to the slot that
 * it names: it ends with CANCELLED when the slot is closed, or goes with its delivery. One of each
 * kind a slot: OVERLAP; QUOTA: too many of this Process wait; NO_CAP.
 *
 * fos_monitor_receive() waits for the end of what `cap` names; *out says why it ended, also where
 * the status is not OK, and FOS_GONE_NOT where the monitor was refused or cancelled. REVOKED: it is
 * revoked, used up, or its maker is dead (FOS_GONE_REVOKED, FOS_GONE_MAKER); STALE: its owner's
 * Controller is another one now (FOS_GONE_CONTROLLER); PEER_LOST: it can no longer be watched, and
 * may still be valid (FOS_GONE_LINK): set another monitor when the owner is in reach again. At once
 * where that is so already. */
FOS_CHECKED fos_status fos_monitor_receive(fos_channel *ch, fos_cap cap, enum fos_gone *out);
FOS_CHECKED fos_status fos_monitor_receive_async(fos_channel *ch, fos_cap cap, fos_done done,
												 void *arg);
/* Waits until no one else holds the tracked revtree child that this Process made: nobody else's
 * slot, no value, no message, no living child of it; then it returns OK, and the child is dead, so
 * that it can be trusted to stay so. It never fires before the child was first given away, and at
 * once if all have let go of it already. What a broken link took away counts as let go. REVOKED,
 * STALE, PEER_LOST: the child came to another end, as above; DENIED: made by another; WRONG_TYPE:
 * not tracked. */
FOS_CHECKED fos_status fos_monitor_delegate(fos_channel *ch, fos_cap cap);
FOS_CHECKED fos_status fos_monitor_delegate_async(fos_channel *ch, fos_cap cap, fos_done done,
												  void *arg);

/* Round trip to the own Controller. */
FOS_CHECKED fos_status fos_null(fos_channel *ch);
FOS_CHECKED fos_status fos_null_async(fos_channel *ch, fos_done done, void *arg);

/* The registry's Request, refined with the principal of this Process by its Controller; waits up
 * to `time` ns until one is known. TIMED_OUT. See fractos/registry.h for what to do with it. */
FOS_CHECKED fos_status fos_registry_get(fos_channel *ch, uint64_t time, fos_cap *out);
/* The same, but waits until the registry is another object than what slot `known` holds: when that
 * one has died and another has come (FOS_CAP_NONE: until any is known). That the same registry was
 * out of reach for a while does not count. `known` may be closed as soon as the call is submitted.
 * UINT64_MAX: waits without limit. NO_CAP. */
FOS_CHECKED fos_status fos_registry_changed(fos_channel *ch, fos_cap known, uint64_t time,
											fos_cap *out);
FOS_CHECKED fos_status fos_registry_changed_async(fos_channel *ch, fos_cap known, uint64_t time,
												  fos_done done, void *arg);
/* Makes `request` the cluster's registry; only a Process on the node that the cluster file names,
 * and only while no living Request of another one of them is the registry. DENIED. */
FOS_CHECKED fos_status fos_registry_set(fos_channel *ch, fos_cap request);

/* ------------------------------------------------------------------ serving */

/* Handles completions and deliveries that are there now; returns how many. Never blocks. */
int fos_poll(fos_channel *ch);
/* The same, but waits up to timeout ns (UINT64_MAX: no limit) for the first. Returns 0 at the
 * timeout and when the Controller is lost (see fos_lost()). */
int fos_wait(fos_channel *ch, uint64_t timeout);
/* Serves until fos_stop() (then FOS_OK) or until the Controller is lost. */
fos_status fos_serve(fos_channel *ch);
/* Makes fos_serve() or fos_wait() of that channel return, the next one where none runs; any thread,
 * async-signal-safe. Blocking calls go on to their end. */
void fos_stop(fos_channel *ch);
bool fos_lost(const fos_channel *ch);

/* Lets the channel's waiting include other sources. A watch calls fn when fd is readable; a poller
 * is called at each turn while awake and returns how many things it did. All on the channel's
 * thread. Remove with fn NULL. QUOTA: more than 16. */
FOS_CHECKED fos_status fos_watch(fos_channel *ch, int fd, void (*fn)(fos_channel *, int, void *),
								 void *arg);
FOS_CHECKED fos_status fos_set_poller(fos_channel *ch, int (*fn)(fos_channel *, void *), void *arg);

/* For own event loops: a descriptor that becomes readable when something arrives after fos_arm()
 * returned true; false: something is there already, poll again. fos_poll() disarms. */
int fos_channel_fd(const fos_channel *ch);
bool fos_arm(fos_channel *ch);

/* ------------------------------------------------------------------ a blocking round trip */

/* What came back from fos_call(): the delivery of its ONCE Request. Everything is the caller's copy
 * until fos_reply_release(). */
typedef struct fos_reply {
	fos_status status; /* FOS_OK, or the exception's */
	fos_delivery delivery;
	void *internal;
} fos_reply;

/* Invokes `request` with `args` plus a ONCE Request as FOS_NEXT and on_error, and waits for it, at
 * most `time` ns (0: the default). Returns the exception's status, with *reply filled in, or the
 * status of the call that was refused, with *reply empty. fos_reply_release() in every case; it
 * finishes the delivery and drops its slots that were not kept. `args` may be NULL and is
 * extended. */
FOS_CHECKED fos_status fos_call(fos_channel *ch, fos_cap request, fos_args *args, uint64_t time,
								fos_reply *reply);
void fos_reply_release(fos_channel *ch, fos_reply *reply);

#ifdef __cplusplus
}
#endif

#endif
