/* fractosd: the shell around the pure core. One thread owns everything here.
 *
 *     Processes --- attach.c, channel.c, arena.c ---+
 *                                                   +--- loop.c --- core
 *     Controllers --- peers.c --- net --------------+
 *
 * Life of a Process: a connection is accepted (attach.c); ATTACH makes it a Process of the core;
 * process_end() only marks it, from anywhere; process_reap() tells the core, then takes it apart.
 * So no function of a turn has to fear that what it walks over disappears. It is forgotten when the
 * core has done with it and nothing of it is left to be closed or unmapped (process_settle()).
 *
 * A Process is hostile: everything it can write is copied before it is looked at, nothing of it is
 * waited for, and all that it can make us hold is counted. What may take long for its sake is done
 * aside (aside.c). */
#ifndef FRACTOS_CONTROLLER_H
#define FRACTOS_CONTROLLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/yield.h"
#include "controller/aside.h"
#include "controller/config.h"
#include "controller/files.h"
#include "controller/log.h"
#include "controller/recorder.h"
#include "core/core.h"
#include "net/net.h"
#include "wire/ring.h"

struct controller;

/* Slices copied inside the node in one phase of a turn, each a memcpy of up to 256 KiB (about 30
 * us): when so many are done, the others get their turn. */
enum { TURN_MOVES = 2 };

/* Connections that get no struct process and carry descriptors: so many wait to be closed. */
enum { REFUSALS_MAX = 64 };

/* What epoll tells about. Sources live until the turn's end after source_close(). */
struct source {
	int fd; /* -1: closed */
	void (*ready)(struct controller *c, struct source *source);
};

/* A segment of a Process's arena. Outlives its Process's death while slices of it are being sent,
 * and until it is unmapped. */
struct segment {
	struct process *process;
	uint8_t *base;
	uint64_t length;
	uint32_t in_flight; /* slices that the net reads */
	bool orphan;        /* its Process is gone: unmapped when in_flight is 0 */
	struct aside_job unmap;
};

/* Records that found no room in the ring, oldest first. */
struct backlog {
	uint8_t *bytes;
	size_t first, end, capacity;
};

struct channel {
	struct process *process;
	uint32_t number;
	struct list in_channels; /* controller.channels */
	struct list in_dirty;    /* controller.dirty: has records to publish */
	struct ring calls;       /* we consume */
	struct ring answers;     /* we produce */
	void *map;
	size_t map_bytes;
	int bell;     /* the Process rings: an eventfd in the epoll set, never read */
	int doorbell; /* we ring: a pipe's end of our own, which nobody else can make block */
	struct backlog backlog;
};

/* A file that a Process works on, as long as it holds the file's lock. */
struct device {
	int fd; /* a description of our own of it */
	dev_t dev;
	ino_t ino;
	bool listed; /* the kernel's list of locks had the Process's when it registered */
	bool free;   /* its lock was seen to be free after the Process's exit */
};

enum process_state {
	PROCESS_HERE,    /* attached, or about to */
	PROCESS_LEAVING, /* gone, but the core waits until it is free: nothing else of it is left */
	PROCESS_CLEARING /* of interest for the sake of `pending` alone */
};

struct process {
	uint32_t serial; /* 0: has not attached yet */
	pid_t pid;       /* 0: in a PID namespace that we do not see */
	pid_t session;   /* as it connected; 0 or less: we do not see it */
	uint32_t uid, gid;
	char label[FOS_LABEL_MAX];
	enum process_state state;
	struct list in_list;   /* controller.processes, leaving or clearing */
	struct list in_ending; /* controller.ending */
	bool ending;
	uint64_t accepted;      /* ns */
	struct source lifeline; /* its connection: end-of-file is its death */
	struct source exit;     /* its pidfd */
	bool exited;            /* as the pidfd has told */
	struct aside_lane lane; /* for what came through its connection */
	/* Jobs under way and segments that are not unmapped. */
	uint32_t pending;
	struct aside_job hang_up; /* closes the lifeline with all that is unread, and `given` */
	int given;                /* descriptors came with it; -1: none */
	struct aside_job let_go;  /* closes the devices */
	struct aside_job look;    /* leaving: looks whether its devices are free */
	bool looking;
	uint64_t next_look; /* ns */
	uint64_t patience;  /* ns from one look to the next */
	struct registering {
		struct aside_job job;
		bool under_way; /* no packet is taken meanwhile */
		bool full;
		pid_t pid;
		struct device device;
		fos_status status;
	} registering;
	uint32_t device_count;
	struct device devices[FOS_DEVICES_MAX];
	uint64_t arena_bytes;      /* what is not unmapped */
	struct channel **channels; /* limits.channels of them */
	struct segment **segments; /* limits.segments of them */
	uint32_t channel_count, segment_count;
};

/* A slice that the net is sending. */
struct slice {
	struct slice *next;
	uint64_t token;
	struct segment *segment;
};

struct peer {
	const struct config_node *node;
	struct slice *slices, **slices_end; /* in the order in which they were given to the net */
	bool up;
};

/* A growing first-in first-out queue of events that carry no bytes. */
struct event_queue {
	struct core_event *events;
	size_t first, count, capacity; /* capacity is a power of two */
};

struct controller {
	struct config *config;
	struct log log;
	struct files files;
	struct recorder recorder;
	struct core *core;
	struct net *net;
	uint64_t epoch;
	uint64_t now; /* ns of CLOCK_MONOTONIC, read once a turn */
	int epoll;
	struct source signals, listener;
	int spare; /* a descriptor kept for refusing connections when there is none left */
	bool stopping;

	struct aside aside;
	struct source asides;
	struct aside_lane memory; /* nothing foreign is touched in it, and all that it does ends */
	struct aside_lane looks;  /* at devices of the dead */
	struct aside_lane refuse; /* connections without a struct process that carry descriptors */
	struct refusal {
		struct aside_job job;
		int fd; /* -1: not in use */
	} refusals[REFUSALS_MAX];
	bool deaf;          /* no connections are accepted: nothing is left to refuse them with */
	uint64_t listen_at; /* ns: when that is looked at again, if nothing tells before */

	struct list processes, ending, leaving, clearing, channels, dirty;
	uint32_t leaving_count;
	uint32_t connection_count;  /* in processes, leaving or clearing */
	struct process **by_serial; /* serial & by_serial_mask */
	uint32_t by_serial_mask;
	uint32_t last_serial;

	struct peer peers[CONFIG_NODES_MAX];
	uint32_t peer_count;

	bool stepping;            /* outputs of a step are being carried out */
	uint32_t moves;           /* carried out in the current phase of the turn: see TURN_MOVES */
	bool sent;                /* messages were given to the net since its last flush */
	struct event_queue later; /* caused by carrying out outputs */
	struct event_queue moved; /* CORE_MOVED: a few a turn, so that turns stay short */

	uint32_t yields; /* how often the next pause yields before it sleeps */
	struct base_yield yield;
	uint64_t looked; /* ns: when epoll was last asked */
	uint64_t polled; /* ns: when the net was */
	uint64_t slept;  /* ns: when the last sleep began */
	uint8_t record[RING_RECORD_MAX] __attribute__((aligned(8)));
};

/* ------------------------------------------------------------------ controller.c */

/* Starts everything; false: `error` (CONFIG_ERROR_MAX bytes) says why and nothing is left. */
bool controller_open(struct config *config, bool verbose, struct controller **out, char *error);
/* Ends everything: Processes see CONTROLLER_LOST, peers the end of their sessions. */
void controller_close(struct controller *c);

/* Gives an event to the core and carries out what it asks for. May be called while outputs are
 * carried out: then the event, which must be without bytes, follows behind them. */
void controller_step(struct controller *c, const struct core_event *event);

bool source_open(struct controller *c, struct source *source, int fd,
				 void (*ready)(struct controller *, struct source *));
/* Takes it out of the epoll set; source_resume() undoes that, and is not needed before the end. */
void source_pause(struct controller *c, struct source *source);
bool source_resume(struct controller *c, struct source *source);
/* Pauses it and gives the descriptor away. */
int source_take(struct controller *c, struct source *source);
void source_close(struct controller *c, struct source *source);

bool event_queue_push(struct event_queue *queue, const struct core_event *event);
bool event_queue_pop(struct event_queue *queue, struct core_event *out);

/* ------------------------------------------------------------------ loop.c */

/* Serves until SIGTERM or SIGINT. */
void loop_run(struct controller *c);

/* ------------------------------------------------------------------ attach.c */

void attach_accept(struct controller *c, struct source *listener);
/* Answers a DEVICE, and takes packets again. */
void attach_registered(struct controller *c, struct process *p, fos_status status);
/* Closes a connection, or gives it back where that may take long. The peer hears of its end in any
 * case. -1: closed. */
int attach_hang_up(int fd);
/* When the next connection that has not attached is given up; UINT64_MAX: none. */
uint64_t attach_deadline(const struct controller *c);
void attach_expire(struct controller *c);

/* ------------------------------------------------------------------ process.c */

struct process *process_create(struct controller *c);
/* Why no connection like `p`, which need not be one yet, is to be had; NULL: it is. */
const char *process_no_connection(const struct controller *c, const struct process *p);
/* Makes it known to the core; not NULL: why it gets no place. */
const char *process_attach(struct controller *c, struct process *p, const char *label);
struct process *process_find(const struct controller *c, uint32_t serial);
/* Ends it for a reason that is logged, once. */
void process_end(struct controller *c, struct process *p, const char *reason);
void process_reap(struct controller *c);
/* One thing less is pending of it; may free it. */
void process_settle(struct controller *c, struct process *p);
/* It is gone and the core has done with it: closes its devices, frees it when nothing is pending.
 */
void process_clear(struct controller *c, struct process *p);

/* ------------------------------------------------------------------ leaving.c */

/* Registers a device by a descriptor (taken) of a file whose lock the Process holds, aside, and
 * says attach_registered() with OK, INVALID: it does not; DEVICE: not a file system that the kernel
 * itself serves; QUOTA. */
void device_register(struct process *p, int fd);
/* Of one that is gone only its exit and its devices are still of interest. */
void leaving_add(struct controller *c, struct process *p);
void leaving_run(struct controller *c);
/* When a device is looked at next, or a thread asked for; UINT64_MAX: not. */
uint64_t leaving_deadline(const struct controller *c);

/* ------------------------------------------------------------------ channel.c */

struct channel_fds {
	int memory, bell, doorbell; /* the Process's ends: the caller closes them */
};
fos_status channel_create(struct controller *c, struct process *p, struct channel **out,
						  struct channel_fds *fds);
void channel_destroy(struct controller *c, struct channel *channel);
/* Takes a bounded number of calls from it; returns how many things happened. */
int channel_take_calls(struct controller *c, struct channel *channel);
/* Writes a record to the Process; it becomes visible with channel_publish_all(). */
void channel_write(struct controller *c, struct channel *channel, const uint8_t *bytes,
				   size_t size);
void channel_publish_all(struct controller *c);
/* Whether we may sleep; false: there is something to do. channel_wake() undoes it. */
bool channel_sleep(struct channel *channel);
void channel_wake(struct channel *channel);

/* ------------------------------------------------------------------ arena.c */

/* *fd is the Process's: the caller closes it. */
fos_status arena_create(struct controller *c, struct process *p, uint64_t length, uint32_t *number,
						int *fd);
/* The segments are unmapped aside, as soon as no slice of them is being sent. */
void arena_destroy(struct controller *c, struct process *p);
/* The bytes of an extent that the core named. */
uint8_t *arena_bytes(const struct controller *c, const struct core_extent *extent,
					 struct segment **segment);
void arena_release_slice(struct controller *c, struct segment *segment);

/* ------------------------------------------------------------------ peers.c */

bool peers_open(struct controller *c, char *error);
void peers_close(struct controller *c);
void peers_send(struct controller *c, const struct core_output *out);
void peers_send_slice(struct controller *c, const struct core_output *out);

#endif
