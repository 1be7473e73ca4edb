/* The fs service's front: what its parts share. Serves main.c, ops.c, io.c, volume.c.
 *
 * One serving thread with two channels. Clients' deliveries arrive on `front`, whose inbox they may
 * fill; what the block service answers arrives on `back`, so that no client can keep an answer from
 * coming. Two helper threads block so that the serving thread need not: one opens the volume
 * (volume.c), one brings the database's log to the disk (sync.c). They tell by eventfd.
 *
 * The life of an operation (enum op_state):
 *
 *     delivery -> [VOLUME] -> [CLAIMS] -> run: names          -> answered
 *                                         run: one continue   -> answered   (mediated read)
 *                                         run: [SPACE] IO     -> [SYNC] -> answered
 *                                         run: [DIRECT]       -> answered   (truncate, open direct)
 *
 * In brackets: waits, each with an end. An operation is answered exactly once, and then gone.
 */
#ifndef FS_SERVICE_H
#define FS_SERVICE_H

#include <sys/queue.h>

#include <fractos/blk.h>
#include <fractos/fs.h>

#include "claims.h"
#include "direct.h"
#include "gate.h"
#include "limbo.h"
#include "meta.h"
#include "sync.h"
#include "volume.h"

enum {
	BUFFER_BYTES = 1 << 20, /* of a relayed piece */
	BUFFERS = 8,
	PIECES = 4, /* of one operation under way */
	OPS_MAX = 1024
};
#define FS_SECOND          UINT64_C(1000000000) /* ns */
#define FS_VOLUME_PATIENCE FS_SECOND            /* for a block service that has just gone */
#define FS_VOLUME_PAUSE    (FS_SECOND * 3 / 10) /* for one that has been away for longer */

struct service;
struct op;

/* A part of an operation's bytes on its way. */
struct piece_io {
	struct op *op;
	struct service *service;
	enum { PIECE_FREE, PIECE_COPY_IN, PIECE_DEVICE, PIECE_COPY_OUT } stage;
	bool called;       /* the call has not completed */
	bool awaited;      /* the block service has not answered */
	bool abandoned;    /* and it may still use what it was lent */
	bool carries_next; /* the copy invokes the client's continuation */
	int buffer;        /* -1: none */
	uint32_t range;    /* where its ranges start in the operation's */
	uint64_t skip;     /* bytes of the first one that are not ours */
	uint64_t memory;   /* offset in the client's Memory */
	uint64_t length;
	uint64_t serial; /* what the answer must name */
};

enum op_state { OP_NEW, OP_VOLUME, OP_CLAIMS, OP_SPACE, OP_DIRECT, OP_IO, OP_SYNC };
TAILQ_HEAD(op_list, op);

struct op {
	TAILQ_ENTRY(op) all;
	TAILQ_ENTRY(op) waiting;
	struct op_list *queue; /* in which it waits; NULL: none */
	enum op_state state;
	uint32_t index; /* in the service's table */
	fos_delivery_id delivery;
	fos_cap next, memory, life;
	uint64_t memory_length;
	uint8_t memory_rights;
	uint64_t deadline;  /* ns of CLOCK_MONOTONIC */
	uint64_t patience;  /* end of the wait for the volume */
	uint64_t space_end; /* of the wait for space or direct users, 0: not waited yet */
	fos_fs_args header;
	fos_fs_item *items;
	char paths[2][FOS_FS_PATH_MAX];
	struct claim_set claims;
	/* bytes */
	struct meta_plan plan;
	struct ranges ranges; /* of a read; a write's are in its plan */
	uint64_t total;
	uint32_t next_range;
	uint64_t next_skip, next_memory;
	uint32_t under_way;
	bool pumping;
	struct piece_io pieces[PIECES];
	bool unsure; /* a piece may still change the device */
	fos_status status;
	char detail[256];
	uint64_t sync_target; /* commits that must be on the disk */
};

struct buffer {
	void *bytes;
	fos_cap memory;
	bool used;
	bool lacks; /* a Memory, which was refused */
	struct service *service;
};

struct service {
	fos_process *process;
	fos_channel *front, *back;
	fos_cap root, answer; /* our Requests: clients', and the block service's answers */
	fos_cap direct_close; /* base of those that end a direct user */
	struct meta *meta;
	struct volume *volume;
	struct sync *sync;
	struct claims claims;
	struct limbo limbo;
	struct gate gate;
	struct directs directs;
	struct op_list ops;
	struct op_list volume_queue, space_queue, direct_queue, sync_queue, buffer_queue; /* who wait */
	struct op_list ready; /* have just got their claims */
	struct op *table[OPS_MAX];
	uint32_t op_count;
	uint64_t asked_sync; /* commits that the sync was last asked for */
	uint64_t serial;
	struct buffer buffers[BUFFERS];
	int timer, sync_fd;
	bool timer_set;
};

uint64_t service_now(void); /* ns of CLOCK_MONOTONIC */

/* Puts an operation into a queue, instead of the one in which it is; NULL: into none. */
void service_enqueue(struct op *op, struct op_list *queue);
/* A timer tick is needed some time. */
void service_need_tick(struct service *s);

/* ops.c */
fos_handled ops_request(fos_channel *ch, const fos_delivery *delivery, void *service);
void ops_advance(struct service *s, struct op *op);
/* Answers with success or, where op->status is not OK, with the exception; the op is gone. */
void ops_answer(struct service *s, struct op *op, const void *result, uint32_t length);
void ops_fail(struct service *s, struct op *op, fos_status status, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The op is gone; its delivery is finished already. */
void ops_end(struct service *s, struct op *op);
void ops_drop_all(struct service *s);
/* The bytes of a read or write have all gone where they go, or failed. */
void ops_io_done(struct service *s, struct op *op);
void ops_volume_changed(struct service *s);
void ops_synced(struct service *s);
/* Goes on with what has become ready: at the end of everything that comes from outside. */
void ops_settle(struct service *s);
void ops_freed(struct run run, void *service);
/* Blocks in limbo may be free now. */
void ops_blocks_free(struct service *s);
/* A direct user is gone. */
void ops_direct_over(struct service *s);
void ops_tick(struct service *s);

/* io.c */
fos_status io_open(struct service *s);
void io_read_mediated(struct service *s, struct op *op);
void io_start(struct service *s, struct op *op);
void io_flush(struct service *s, struct op *op);
fos_handled io_answered(fos_channel *ch, const fos_delivery *delivery, void *service);
/* Asks again for what buffers lack. */
void io_tick(struct service *s);
/* Gives up what this operation waits for from the block service. */
void io_abandon(struct service *s, struct op *op, fos_status status, const char *detail);

#endif
