/* The Controller as a pure state machine: capabilities, deliveries, copies.
 *
 * core_step(core, now, event) handles one event and leaves outputs to be read with core_output().
 * No system call, clock, random number or network in here; memory comes in chunks from
 * config.grow. The same object code runs in fractosd, in the simulator and under the fuzzers.
 *
 * Trust. Call records come from Processes, which are hostile. Messages come from Controllers: they
 * are trusted for authority, never for syntax; a bad one ends its session. Asserts are for our own
 * bugs only.
 *
 * The shell owes: to carry outputs out in order and before the next step; messages of one (node,
 * lane) stay in order; everything in an event is a private copy that nobody else can change, and
 * bytes are aligned to 8. Each CORE_MOVE is answered by one CORE_MOVED, also when one of its
 * Processes is gone meanwhile; each CORE_SEND_SLICE by one CORE_SLICE_SENT or by the end of its
 * session. Arenas stay mapped until then. Each CORE_PROCESS_GONE is followed by one
 * CORE_PROCESS_FREE, when the Process has really exited and its devices work for it no longer; if
 * !core_process_is_leaving() it may be left out.
 */
#ifndef FRACTOS_CORE_H
#define FRACTOS_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fractos/counters.h>
#include <fractos/registry.h>
#include <fractos/status.h>

struct core;

struct core_limits {    /* per Process unless said otherwise; see limits.h for the reasons */
	uint32_t processes; /* of the Controller */
	uint32_t channels;
	uint32_t segments;
	uint32_t objects; /* and revtree children it made anywhere; made here by one peer */
	uint32_t slots;
	uint32_t values_bytes; /* bytes of arguments held by value in slots, parked, in deliveries */
	uint32_t deliveries;   /* open at a time and channel: the inbox */
	uint32_t once;         /* living ONCE Requests of a channel: places kept beside the inbox */
	uint32_t parked;       /* invocations parked for this Process as sender */
	uint32_t copies;       /* under way at a time, started by this Process */
	uint32_t monitors;     /* set and not fired */
	uint32_t revokings;    /* cap_revoke that waits for its end */
	uint32_t sessions;     /* of the Controller */
	uint64_t memory;       /* bytes that the core may take in all from grow() for records */
};

struct core_config {
	uint32_t node;
	uint64_t epoch; /* 64 random bits */
	char node_name[32];
	uint64_t seed;            /* for trace and span ids */
	uint64_t default_time;    /* ns: time of an invocation and deadline of a ONCE Request */
	uint64_t heartbeat;       /* ns between heartbeats */
	uint64_t failure_timeout; /* ns since the newest beat that was echoed was sent, until a
							   * session is given up */
	uint32_t slice;           /* bytes in one slice of a copy, at most 256 KiB */
	struct core_limits limits;
	void *(*grow)(void *context, size_t bytes); /* zeroed memory for ever; NULL: none left */
	void *context;
};

void core_config_default(struct core_config *config);
/* Bytes for `struct core` itself come from grow() too. NULL: grow() failed. */
struct core *core_create(const struct core_config *config);

/* ------------------------------------------------------------------ events */

enum core_event_type {
	CORE_PROCESS_UP = 1, /* process: a serial the shell never reuses in this epoch */
	CORE_PROCESS_GONE,   /* process: fenced, by end-of-file or exit */
	CORE_PROCESS_FREE,   /* process: exited, and no I/O of it is left on any device */
	CORE_CHANNEL_UP,     /* process, channel: number chosen by the shell, below limits.channels */
	CORE_CHANNEL_GONE,   /* process, channel */
	CORE_SEGMENT_UP,     /* process, segment: number below limits.segments; length */
	CORE_CALL,           /* process, channel; bytes, size: one ring record */
	CORE_SESSION_UP,     /* node, epoch */
	CORE_SESSION_GONE,   /* node */
	CORE_MESSAGE,        /* node, lane; bytes, size: one message, data included */
	CORE_SLICE_SENT,     /* token of CORE_SEND_SLICE: one of its slices may be overwritten */
	CORE_MOVED,          /* token of CORE_MOVE */
	CORE_TICK            /* nothing but the time */
};

enum core_lane { CORE_CONTROL, CORE_BULK };

struct core_event {
	enum core_event_type type;
	uint32_t process, channel, segment, node;
	enum core_lane lane;
	bool may_set_registry; /* PROCESS_UP: the cluster file lets it be the registry */
	uint64_t epoch, length, token;
	fos_principal principal; /* PROCESS_UP */
	const uint8_t *bytes;
	size_t size;
};

/* `now`: ns of a monotonic clock, never less than before. */
void core_step(struct core *core, uint64_t now, const struct core_event *event);

/* When the core wants a CORE_TICK at the latest; UINT64_MAX: never. */
uint64_t core_deadline(const struct core *core);

/* ------------------------------------------------------------------ outputs */

enum core_output_type {
	CORE_RECORD = 1,  /* process, channel; bytes: a record for the Process's ring */
	CORE_SEND,        /* node, lane; bytes: a message */
	CORE_SEND_SLICE,  /* node (lane BULK), token; bytes: the message without its data; from */
	CORE_PLACE,       /* to; bytes: data of the event's message, to be copied now */
	CORE_MOVE,        /* to, from, token: copy now or in parts, then CORE_MOVED */
	CORE_END_SESSION, /* node, reason: close it; CORE_SESSION_GONE follows as an event */
	CORE_END_PROCESS, /* process, reason: it broke the protocol; CORE_PROCESS_GONE follows */
	CORE_SPAN         /* span: for the flight recorder */
};

struct core_extent { /* bytes of a Process's arena */
	uint32_t process, segment;
	uint64_t offset, length;
};

enum core_span_kind { CORE_SPAN_DELIVERY = 1, CORE_SPAN_COPY = 2 };
struct core_span {
	uint64_t trace, id, parent;
	uint64_t begin, end; /* ns of `now` */
	uint64_t bytes;      /* of a copy */
	uint32_t process;    /* the provider, or the Process whose arena received the copy */
	uint8_t kind;        /* enum core_span_kind */
	uint8_t status;      /* fos_status of its end */
};

struct core_output {
	enum core_output_type type;
	uint32_t process, channel, node;
	enum core_lane lane;
	uint64_t token;
	struct core_extent to, from;
	const uint8_t *bytes;
	size_t size;
	const char *reason; /* static text */
	struct core_span span;
};

/* The next output of the last step; false: no more. Pointers are good until the next step. */
bool core_output(struct core *core, struct core_output *out);

/* ------------------------------------------------------------------ looking */

struct core_usage { /* what is in use now; all zero for a dead Process */
	uint32_t objects, slots, deliveries, parked, copies, once, values_bytes;
	uint32_t monitors, revokings;
};
bool core_process_usage(const struct core *core, uint32_t process, struct core_usage *out);
/* Whether a Process that is gone left something unfinished, so that CORE_PROCESS_FREE matters. */
bool core_process_is_leaving(const struct core *core, uint32_t process);
const struct fos_counters *core_counters(const struct core *core);
/* Bytes taken from grow() and bytes in use by pools: equal tables leave equal use. */
uint64_t core_memory_grown(const struct core *core);
uint64_t core_memory_used(const struct core *core);

#endif
