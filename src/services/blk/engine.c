/* See engine.h. */
#include "engine.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <liburing.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "plan.h"

enum { RETRIES_MAX = 16 }; /* of an I/O that the kernel asks to be tried again */

enum state {
	LOCKING, /* waits for other operations on its blocks */
	READING, /* the device fills staging */
	HELD,    /* the last piece of a read waits for the others */
	MOVING,  /* the client's bytes travel */
	EDGES,   /* the device reads blocks that are written partly */
	WRITING  /* the device takes staging */
};

struct piece {
	struct engine_piece public;
	enum state state;
	struct operation *op;
	uint8_t *staging;            /* ENGINE_PIECE bytes */
	uint32_t issued, landed;     /* I/Os of this state: given to the device, back from it */
	bool starved;                /* in engine->starved: waits for an I/O slot */
	fos_status moved;            /* what engine_moved() said */
	uint64_t first, last;        /* bytes of the volume between which all of its blocks lie */
	TAILQ_ENTRY(piece) link;     /* engine: free, moved */
	TAILQ_ENTRY(piece) starving; /* engine: starved */
	TAILQ_ENTRY(piece) lock;     /* file: held, waiting */
	struct plan plan;
	uint64_t edges[PLAN_EDGES_MAX];
};
TAILQ_HEAD(pieces, piece);

struct operation {
	struct engine_file *file;
	enum engine_kind kind;
	void *context;
	TAILQ_ENTRY(operation) link; /* engine: hungry */
	LIST_ENTRY(operation) all;   /* engine: operations */
	bool hungry;
	bool flushing;      /* FLUSH: given to the device */
	uint32_t pieces;    /* under way */
	struct piece *held; /* of a read: the last piece, where it waits */
	fos_status status;  /* the first failure */
	char detail[ENGINE_DETAIL_MAX];
	struct plan_cursor cursor;
	uint32_t capacity; /* bytes of staging that a piece may use */
	uint32_t count;
	fos_blk_range ranges[];
};
TAILQ_HEAD(operations, operation);

struct io {
	struct operation *op;
	struct piece *piece; /* NULL: a flush */
	uint8_t *at;
	uint64_t offset;
	uint32_t length;
	uint32_t retries;
	bool write;
	TAILQ_ENTRY(io) link;
};
TAILQ_HEAD(ios, io);

struct engine_file {
	struct engine *engine;
	int fd;
	unsigned slot; /* of the registered files */
	uint64_t size;
	char name[FOS_BLK_NAME_MAX];
	uint32_t operations; /* under way */
	bool closing;
	struct pieces held, waiting; /* locks; waiting in the order of asking */
	LIST_ENTRY(engine_file) link;
};

struct engine {
	struct io_uring ring;
	bool registered;
	struct engine_handlers handlers;
	uint32_t in_device; /* I/Os */
	uint32_t piece_count;
	struct piece *pieces;
	struct pieces free, moved, starved;
	struct operations hungry; /* operations that want a staging buffer, or a slot for a flush */
	struct ios free_ios;
	struct io ios[ENGINE_DEPTH];
	LIST_HEAD(, engine_file) files;
	LIST_HEAD(, operation) operations; /* under way */
	bool slots[ENGINE_FILES_MAX];      /* registered files in use */
};

/* ------------------------------------------------------------------ operations */

static bool all_planned(const struct operation *op)
{
	return op->cursor.range == op->count;
}

__attribute__((format(printf, 3, 4))) static void fail(struct operation *op, fos_status status,
													   const char *format, ...)
{
	if (op->status != FOS_OK)
		return;
	op->status = status;
	va_list list;
	va_start(list, format);
	vsnprintf(op->detail, sizeof op->detail, format, list);
	va_end(list);
}

static void set_hungry(struct engine *engine, struct operation *op, bool hungry)
{
	if (op->hungry == hungry)
		return;
	op->hungry = hungry;
	if (hungry)
		TAILQ_INSERT_TAIL(&engine->hungry, op, link);
	else
		TAILQ_REMOVE(&engine->hungry, op, link);
}

static void file_free(struct engine_file *file)
{
	struct engine *engine = file->engine;
	const int none = -1;
	/* Unregistering drops the ring's reference, without which the close would not be one. */
	(void)io_uring_register_files_update(&engine->ring, file->slot, &none, 1);
	engine->slots[file->slot] = false;
	LIST_REMOVE(file, link);
	close(file->fd);
	free(file);
}

/* Goes on with an operation after something of it has ended: more pieces, or its end. */
static void operation_go_on(struct operation *op)
{
	struct engine_file *file = op->file;
	struct engine *engine = file->engine;
	bool wants = op->status == FOS_OK && !all_planned(op) && op->pieces < ENGINE_WINDOW;
	set_hungry(engine, op, wants);
	if (op->pieces > 0 || wants)
		return;
	engine->handlers.done(op->context, op->status, op->detail);
	LIST_REMOVE(op, all);
	free(op);
	if (--file->operations == 0 && file->closing)
		file_free(file);
}

/* ------------------------------------------------------------------ I/O */

static struct io *io_take(struct engine *engine)
{
	struct io *io = TAILQ_FIRST(&engine->free_ios);
	if (io) {
		TAILQ_REMOVE(&engine->free_ios, io, link);
		engine->in_device++;
	}
	return io;
}

static void io_release(struct engine *engine, struct io *io)
{
	TAILQ_INSERT_HEAD(&engine->free_ios, io, link);
	engine->in_device--;
}

static void io_submit(struct engine *engine, struct io *io)
{
	/* The ring has an entry for every slot. */
	struct io_uring_sqe *sqe = io_uring_get_sqe(&engine->ring);
	assert(sqe);
	int slot = (int)io->op->file->slot;
	if (!io->piece)
		io_uring_prep_fsync(sqe, slot, IORING_FSYNC_DATASYNC);
	else if (io->write && engine->registered)
		io_uring_prep_write_fixed(sqe, slot, io->at, io->length, io->offset, 0);
	else if (io->write)
		io_uring_prep_write(sqe, slot, io->at, io->length, io->offset);
	else if (engine->registered)
		io_uring_prep_read_fixed(sqe, slot, io->at, io->length, io->offset, 0);
	else
		io_uring_prep_read(sqe, slot, io->at, io->length, io->offset);
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(sqe, io);
}

/* How many I/Os the piece's state has. */
static uint32_t steps(const struct piece *piece)
{
	return piece->state == EDGES ? piece->plan.edge_count : piece->plan.run_count;
}

/* Gives the device the I/Os of the piece's state, as far as there are slots. */
static void piece_issue(struct piece *piece)
{
	struct engine *engine = piece->op->file->engine;
	for (; piece->issued < steps(piece); piece->issued++) {
		struct io *io = io_take(engine);
		if (!io) {
			if (!piece->starved)
				TAILQ_INSERT_TAIL(&engine->starved, piece, starving);
			piece->starved = true;
			return;
		}
		*io = (struct io){.op = piece->op, .piece = piece, .write = piece->state == WRITING};
		if (piece->state == EDGES) {
			io->at = piece->staging + ENGINE_PIECE - (piece->issued + 1) * PLAN_BLOCK;
			io->offset = piece->edges[piece->issued];
			io->length = PLAN_BLOCK;
		} else {
			const struct plan_run *run = &piece->plan.runs[piece->issued];
			io->at = piece->staging + run->staging;
			io->offset = plan_run_first(run);
			io->length = (uint32_t)(plan_run_last(run) - plan_run_first(run));
		}
		io_submit(engine, io);
	}
}

static void piece_begin(struct piece *piece, enum state state)
{
	piece->state = state;
	piece->issued = piece->landed = 0;
	piece_issue(piece);
}

/* ------------------------------------------------------------------ locks */

static bool conflict(const struct piece *a, const struct piece *b)
{
	if (a->op->kind == ENGINE_READ && b->op->kind == ENGINE_READ)
		return false;
	return a->first < b->last && b->first < a->last && plan_overlap(&a->plan, &b->plan);
}

/* Whether the waiting piece conflicts with nobody who holds or asked earlier. */
static bool may_lock(const struct engine_file *file, const struct piece *piece)
{
	const struct piece *other;
	TAILQ_FOREACH(other, &file->held, lock)
	if (conflict(piece, other))
		return false;
	for (other = TAILQ_FIRST(&file->waiting); other != piece; other = TAILQ_NEXT(other, lock))
		if (conflict(piece, other))
			return false;
	return true;
}

static void lock_given(struct engine_file *file, struct piece *piece)
{
	TAILQ_REMOVE(&file->waiting, piece, lock);
	TAILQ_INSERT_TAIL(&file->held, piece, lock);
	if (piece->op->kind == ENGINE_READ)
		piece_begin(piece, READING);
	else
		piece_begin(piece, piece->plan.edge_count > 0 ? EDGES : WRITING);
}

static void lock_ask(struct piece *piece)
{
	struct engine_file *file = piece->op->file;
	piece->state = LOCKING;
	piece->first = UINT64_MAX;
	piece->last = 0;
	for (uint32_t i = 0; i < piece->plan.run_count; i++) {
		const struct plan_run *run = &piece->plan.runs[i];
		if (plan_run_first(run) < piece->first)
			piece->first = plan_run_first(run);
		if (plan_run_last(run) > piece->last)
			piece->last = plan_run_last(run);
	}
	TAILQ_INSERT_TAIL(&file->waiting, piece, lock);
	if (may_lock(file, piece))
		lock_given(file, piece);
}

static void lock_release(struct piece *piece)
{
	struct engine_file *file = piece->op->file;
	TAILQ_REMOVE(&file->held, piece, lock);
	for (struct piece *waiting = TAILQ_FIRST(&file->waiting), *next; waiting; waiting = next) {
		next = TAILQ_NEXT(waiting, lock);
		if (may_lock(file, waiting))
			lock_given(file, waiting);
	}
}

/* ------------------------------------------------------------------ pieces */

static void piece_end(struct piece *piece);

static void piece_move(struct piece *piece)
{
	struct operation *op = piece->op;
	piece->state = MOVING;
	piece->public = (struct engine_piece){.bytes = piece->staging + plan_packed(&piece->plan),
										  .length = piece->plan.length,
										  .memory = piece->plan.memory,
										  .last = piece->public.last,
										  .context = op->context};
	op->file->engine->handlers.move(&piece->public);
}

/* A read piece is in staging. */
static void piece_read(struct piece *piece)
{
	struct operation *op = piece->op;
	lock_release(piece);
	if (op->status != FOS_OK) {
		piece_end(piece);
		return;
	}
	plan_pack(&piece->plan, piece->staging);
	if (piece->public.last && op->pieces > 1) {
		piece->state = HELD;
		op->held = piece;
	} else {
		piece_move(piece);
	}
}

/* The buffer goes back, and the operation goes on: with its held piece where that is the only one
 * left, which then ends or moves without coming here again. */
static void piece_end(struct piece *piece)
{
	struct operation *op = piece->op;
	struct engine *engine = op->file->engine;
	TAILQ_INSERT_HEAD(&engine->free, piece, link);
	op->pieces--;
	struct piece *held = op->held;
	if (held && op->pieces == 1) {
		op->held = NULL;
		if (op->status == FOS_OK) {
			piece_move(held);
			return;
		}
		TAILQ_INSERT_HEAD(&engine->free, held, link);
		op->pieces--;
	}
	operation_go_on(op);
}

/* The transitions that the device sets off: all I/Os of the piece's state are back. */
static void piece_landed(struct piece *piece)
{
	struct operation *op = piece->op;
	switch (piece->state) {
	case READING:
		piece_read(piece);
		break;
	case EDGES:
		if (op->status == FOS_OK) {
			plan_merge(&piece->plan, piece->staging, ENGINE_PIECE);
			piece_begin(piece, WRITING);
			break;
		}
		/* fall through */
	case WRITING:
		lock_release(piece);
		piece_end(piece);
		break;
	case LOCKING:
	case HELD:
	case MOVING:
		assert(piece->state == READING); /* no I/O in the others */
	}
}

/* The transitions that the client's bytes set off. */
static void piece_moved(struct piece *piece)
{
	struct operation *op = piece->op;
	assert(piece->state == MOVING);
	if (piece->moved != FOS_OK)
		fail(op, piece->moved, "volume %s: copy %s the client's Memory: %s", op->file->name,
			 op->kind == ENGINE_READ ? "to" : "from", fos_status_text(piece->moved));
	if (op->kind == ENGINE_READ || op->status != FOS_OK) {
		piece_end(piece);
		return;
	}
	plan_unpack(&piece->plan, piece->staging);
	plan_edges(&piece->plan, piece->edges);
	lock_ask(piece);
}

/* ------------------------------------------------------------------ the device's answers */

static void io_fail(struct io *io, int error)
{
	fos_status status = error == ENOSPC || error == EDQUOT ? FOS_NO_SPACE : FOS_DEVICE;
	if (!io->piece)
		fail(io->op, status, "volume %s: flush: %s", io->op->file->name, strerror(error));
	else
		fail(io->op, status, "volume %s: %s [%" PRIu64 ", %" PRIu64 "): %s", io->op->file->name,
			 io->write ? "write" : "read", io->offset, io->offset + io->length, strerror(error));
}

/* Takes one answer in. A short one is continued at the block where it stopped. */
static void io_landed(struct engine *engine, struct io *io, int result)
{
	if ((result == -EINTR || result == -EAGAIN) && io->retries++ < RETRIES_MAX) {
		io_submit(engine, io);
		return;
	}
	if (result < 0) {
		io_fail(io, -result);
	} else if (io->piece && (uint32_t)result < io->length) {
		uint32_t blocks = (uint32_t)result & ~(uint32_t)(PLAN_BLOCK - 1);
		if (blocks > 0) {
			io->at += blocks;
			io->offset += blocks;
			io->length -= blocks;
			io_submit(engine, io);
			return;
		}
		io_fail(io, EIO); /* the file ends before the volume does */
	}
	struct piece *piece = io->piece;
	struct operation *op = io->op;
	io_release(engine, io);
	if (!piece) {
		op->pieces--;
		operation_go_on(op);
	} else if (++piece->landed == steps(piece)) {
		piece_landed(piece);
	}
}

/* ------------------------------------------------------------------ the turn */

static int take_answers(struct engine *engine)
{
	struct io_uring_cqe *cqe;
	int count = 0;
	/* Most looks find nothing: where nothing is in the device, the ring need not be asked. */
	while (count < ENGINE_DEPTH && engine->in_device > 0 &&
		   io_uring_peek_cqe(&engine->ring, &cqe) == 0) {
		struct io *io = io_uring_cqe_get_data(cqe);
		int result = cqe->res;
		io_uring_cqe_seen(&engine->ring, cqe);
		io_landed(engine, io, result);
		count++;
	}
	return count;
}

static int take_moved(struct engine *engine)
{
	int count = 0;
	struct piece *piece;
	while ((piece = TAILQ_FIRST(&engine->moved))) {
		TAILQ_REMOVE(&engine->moved, piece, link);
		piece_moved(piece);
		count++;
	}
	return count;
}

static int feed_starved(struct engine *engine)
{
	int count = 0;
	struct piece *piece;
	while (!TAILQ_EMPTY(&engine->free_ios) && (piece = TAILQ_FIRST(&engine->starved))) {
		TAILQ_REMOVE(&engine->starved, piece, starving);
		piece->starved = false;
		piece_issue(piece);
		count++;
	}
	return count;
}

static void flush_issue(struct engine *engine, struct operation *op)
{
	struct io *io = io_take(engine);
	*io = (struct io){.op = op};
	op->cursor.range = op->count;
	op->pieces = 1;
	set_hungry(engine, op, false);
	io_submit(engine, io);
}

static void piece_start(struct engine *engine, struct operation *op)
{
	struct piece *piece = TAILQ_FIRST(&engine->free);
	TAILQ_REMOVE(&engine->free, piece, link);
	piece->op = op;
	piece->starved = false;
	if (op->kind == ENGINE_READ)
		plan_read(&piece->plan, op->ranges, op->count, &op->cursor, op->capacity);
	else
		plan_write(&piece->plan, op->ranges, op->count, &op->cursor, op->capacity);
	assert(piece->plan.length > 0);
	piece->public.last = all_planned(op);
	op->pieces++;
	/* To the tail, if it wants more: the others first. */
	set_hungry(engine, op, false);
	set_hungry(engine, op, !all_planned(op) && op->pieces < ENGINE_WINDOW);
	if (op->kind == ENGINE_READ)
		lock_ask(piece);
	else
		piece_move(piece);
}

static int feed_hungry(struct engine *engine)
{
	int count = 0;
	struct operation *op;
	while ((op = TAILQ_FIRST(&engine->hungry))) {
		if (op->kind == ENGINE_FLUSH && !TAILQ_EMPTY(&engine->free_ios))
			flush_issue(engine, op);
		else if (op->kind != ENGINE_FLUSH && !TAILQ_EMPTY(&engine->free))
			piece_start(engine, op);
		else
			break;
		count++;
	}
	return count;
}

int engine_poll(struct engine *engine)
{
	int total = take_answers(engine);
	for (int step = 1; step > 0; total += step)
		step = take_moved(engine) + feed_starved(engine) + feed_hungry(engine);
	/* A refusal (no memory now) keeps the entries; saying that something was done keeps the caller
	 * from sleeping over them. */
	if (io_uring_sq_ready(&engine->ring) > 0 && io_uring_submit(&engine->ring) <= 0)
		total++;
	return total;
}

/* ------------------------------------------------------------------ the outside */

/* Bytes of the blocks that the ranges touch, each by itself. */
static uint64_t blocks_of(const fos_blk_range *ranges, uint32_t count)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < count; i++) {
		const struct plan_run run = {.start = ranges[i].offset,
									 .end = ranges[i].offset + ranges[i].length};
		if (ranges[i].length > 0)
			bytes += plan_run_last(&run) - plan_run_first(&run);
	}
	return bytes;
}

static fos_status refuse(char *detail, fos_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static fos_status refuse(char *detail, fos_status status, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(detail, ENGINE_DETAIL_MAX, format, list);
	va_end(list);
	return status;
}

static fos_status check_ranges(const struct engine_file *file, const fos_blk_range *ranges,
							   uint32_t count, uint64_t memory_len, char *detail)
{
	uint64_t total = 0;
	if (count == 0 || count > FOS_BLK_RANGES_MAX)
		return refuse(detail, FOS_INVALID, "volume %s: %" PRIu32 " ranges: 1 to %d are possible",
					  file->name, count, FOS_BLK_RANGES_MAX);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t offset = ranges[i].offset, length = ranges[i].length;
		if (offset > file->size || length > file->size - offset)
			return refuse(detail, FOS_RANGE,
						  "volume %s has %" PRIu64 " bytes: range %" PRIu32 " is %" PRIu64
						  " bytes from %" PRIu64 " on",
						  file->name, file->size, i, length, offset);
		if (length > FOS_BLK_IO_MAX - total)
			return refuse(detail, FOS_INVALID, "volume %s: more than %d bytes in one Request",
						  file->name, FOS_BLK_IO_MAX);
		total += length;
	}
	if (total == 0)
		return refuse(detail, FOS_INVALID, "volume %s: no bytes in the ranges", file->name);
	if (total > memory_len)
		return refuse(detail, FOS_RANGE,
					  "volume %s: the ranges have %" PRIu64 " bytes, the Memory %" PRIu64,
					  file->name, total, memory_len);
	return FOS_OK;
}

fos_status engine_start(struct engine_file *file, enum engine_kind kind,
						const fos_blk_range *ranges, uint32_t count, uint64_t memory_len,
						void *context, char *detail)
{
	if (file->closing)
		return refuse(detail, FOS_REVOKED, "volume %s is closed", file->name);
	if (kind != ENGINE_FLUSH) {
		fos_status status = check_ranges(file, ranges, count, memory_len, detail);
		if (status != FOS_OK)
			return status;
		/* Empty ranges at the end would make the last piece look like one of many. */
		while (ranges[count - 1].length == 0)
			count--;
	} else {
		count = 1;
	}
	struct operation *op = calloc(1, sizeof *op + count * sizeof op->ranges[0]);
	if (!op)
		return refuse(detail, FOS_QUOTA, "volume %s: out of memory", file->name);
	op->file = file;
	op->kind = kind;
	op->context = context;
	op->count = count;
	if (kind != ENGINE_FLUSH) {
		memcpy(op->ranges, ranges, count * sizeof *ranges);
		op->capacity = blocks_of(ranges, count) <= ENGINE_PIECE ? ENGINE_PIECE : ENGINE_SHARE;
	}
	file->operations++;
	LIST_INSERT_HEAD(&file->engine->operations, op, all);
	set_hungry(file->engine, op, true);
	return FOS_OK;
}

void engine_moved(struct engine_piece *public, fos_status status)
{
	struct piece *piece = (struct piece *)(void *)public;
	_Static_assert(offsetof(struct piece, public) == 0, "a piece begins with its public part");
	piece->moved = status;
	TAILQ_INSERT_TAIL(&piece->op->file->engine->moved, piece, link);
}

fos_status engine_file_open(struct engine *engine, int fd, uint64_t size, const char *name,
							struct engine_file **out)
{
	unsigned slot = 0;
	while (slot < ENGINE_FILES_MAX && engine->slots[slot])
		slot++;
	struct engine_file *file = slot < ENGINE_FILES_MAX ? calloc(1, sizeof *file) : NULL;
	if (!file || io_uring_register_files_update(&engine->ring, slot, &fd, 1) != 1) {
		free(file);
		close(fd);
		return FOS_QUOTA;
	}
	engine->slots[slot] = true;
	file->engine = engine;
	file->fd = fd;
	file->slot = slot;
	file->size = size;
	snprintf(file->name, sizeof file->name, "%s", name);
	TAILQ_INIT(&file->held);
	TAILQ_INIT(&file->waiting);
	LIST_INSERT_HEAD(&engine->files, file, link);
	*out = file;
	return FOS_OK;
}

void engine_file_close(struct engine_file *file)
{
	file->closing = true;
	if (file->operations == 0)
		file_free(file);
}

fos_status engine_keep_open(struct engine *engine, int fd)
{
	/* The kernel lets go of a ring's files when the last of its I/O is back. */
	return io_uring_register_files_update(&engine->ring, ENGINE_FILES_MAX, &fd, 1) == 1 ? FOS_OK
																						: FOS_QUOTA;
}

int engine_fd(const struct engine *engine)
{
	return engine->ring.ring_fd;
}

bool engine_registered(const struct engine *engine)
{
	return engine->registered;
}

/* ------------------------------------------------------------------ its life */

static bool ring_open(struct engine *engine, void *buffers, size_t size, const char **error)
{
	/* The device's answers need not interrupt us: we go into the kernel between two looks anyway.
	 * Twice as many answers as I/Os can be in the device is what the kernel gives by itself. */
	const int rc = io_uring_queue_init(ENGINE_DEPTH, &engine->ring,
									   IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
	if (rc < 0) {
		*error = rc == -EINVAL
					 ? "this kernel's io_uring is too old (Linux 5.19 is needed)"
					 : "io_uring is not available (see /proc/sys/kernel/io_uring_disabled)";
		return false;
	}
	if (io_uring_register_files_sparse(&engine->ring, ENGINE_FILES_MAX + 1) < 0) {
		*error = "io_uring refuses registered files (Linux 5.19 is needed)";
		io_uring_queue_exit(&engine->ring);
		return false;
	}
	const struct iovec all = {.iov_base = buffers, .iov_len = size};
	engine->registered = io_uring_register_buffers(&engine->ring, &all, 1) == 0;
	return true;
}

fos_status engine_open(void *buffers, size_t size, const struct engine_handlers *handlers,
					   struct engine **out, const char **error)
{
	uint32_t count = (uint32_t)(size / ENGINE_PIECE);
	if (count == 0 || count > ENGINE_PIECES_MAX || (uintptr_t)buffers % PLAN_BLOCK != 0) {
		*error = "staging is too small, too large or not aligned";
		return FOS_INVALID;
	}
	struct engine *engine = calloc(1, sizeof *engine);
	struct piece *pieces = calloc(count, sizeof *pieces);
	if (!engine || !pieces) {
		*error = "out of memory";
		goto free_memory;
	}
	if (!ring_open(engine, buffers, (size_t)count * ENGINE_PIECE, error))
		goto free_memory;
	engine->handlers = *handlers;
	engine->pieces = pieces;
	engine->piece_count = count;
	TAILQ_INIT(&engine->free);
	TAILQ_INIT(&engine->moved);
	TAILQ_INIT(&engine->starved);
	TAILQ_INIT(&engine->hungry);
	TAILQ_INIT(&engine->free_ios);
	LIST_INIT(&engine->files);
	LIST_INIT(&engine->operations);
	for (uint32_t i = 0; i < count; i++) {
		pieces[i].staging = (uint8_t *)buffers + (size_t)i * ENGINE_PIECE;
		TAILQ_INSERT_TAIL(&engine->free, &pieces[i], link);
	}
	for (unsigned i = 0; i < ENGINE_DEPTH; i++)
		TAILQ_INSERT_TAIL(&engine->free_ios, &engine->ios[i], link);
	*out = engine;
	return FOS_OK;
free_memory:
	free(pieces);
	free(engine);
	return FOS_UNSUPPORTED;
}

void engine_close(struct engine *engine)
{
	if (!engine)
		return;
	/* The device must not write into buffers that others get. What was never submitted is submitted
	 * here too: the ring has no way back. */
	while (engine->in_device > 0) {
		struct io_uring_cqe *cqe;
		int error = io_uring_submit_and_wait(&engine->ring, 1);
		if (error < 0 && error != -EINTR && error != -EAGAIN && error != -EBUSY)
			break;
		while (io_uring_peek_cqe(&engine->ring, &cqe) == 0) {
			io_uring_cqe_seen(&engine->ring, cqe);
			engine->in_device--;
		}
	}
	io_uring_queue_exit(&engine->ring);
	while (!LIST_EMPTY(&engine->files)) {
		struct engine_file *file = LIST_FIRST(&engine->files);
		LIST_REMOVE(file, link);
		close(file->fd);
		free(file);
	}
	while (!LIST_EMPTY(&engine->operations)) {
		struct operation *op = LIST_FIRST(&engine->operations);
		LIST_REMOVE(op, all);
		free(op);
	}
	free(engine->pieces);
	free(engine);
}
