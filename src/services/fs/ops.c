/* Operations: from delivery to answer. See service.h for their life.
 *
 * Names are handled at once, in one SQLite transaction on the serving thread; bytes go through
 * io.c. Here is who waits for what, and that every wait has an end.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fractos/stats.h>

#include "service.h"

enum { COMMITS_BEFORE_SYNC = 512, PATHS_OFFSET = FOS_ARG + (int)sizeof(fos_fs_args) };
#define IO_GRACE FS_SECOND /* for an answer after an operation's time is over */

static uint64_t wall_clock(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * FS_SECOND + (uint64_t)t.tv_nsec;
}

void service_enqueue(struct op *op, struct op_list *queue)
{
	if (op->queue)
		TAILQ_REMOVE(op->queue, op, waiting);
	op->queue = queue;
	if (queue)
		TAILQ_INSERT_TAIL(queue, op, waiting);
}

/* ------------------------------------------------------------------ the end of an operation */

static void claims_granted(void *owner, void *arg)
{
	struct service *s = arg;
	service_enqueue(owner, &s->ready);
}

void ops_end(struct service *s, struct op *op)
{
	assert(op->under_way == 0);
	claims_leave(&s->claims, &op->claims, claims_granted, s);
	service_enqueue(op, NULL);
	TAILQ_REMOVE(&s->ops, op, all);
	s->table[op->index] = NULL;
	s->op_count--;
	ranges_clear(&op->ranges);
	free(op->items);
	free(op);
}

/* At the service's end: what is still open fails with the Process. */
void ops_drop_all(struct service *s)
{
	struct op *op;
	while ((op = TAILQ_FIRST(&s->ops)) != NULL) {
		claims_leave(&s->claims, &op->claims, claims_granted, s);
		service_enqueue(op, NULL);
		TAILQ_REMOVE(&s->ops, op, all);
		ranges_clear(&op->ranges);
		free(op->items);
		free(op);
	}
}

/* What the answer itself meets is the Controller's to tell: it fails the delivery where it refuses
 * `next`, and when it is lost, all is over. */
static void ignore(fos_status status)
{
	(void)status;
}

void ops_answer(struct service *s, struct op *op, const void *result, uint32_t length)
{
	if (op->status != FOS_OK) {
		ignore(fos_fail(s->front, op->delivery, op->status, op->detail));
	} else if (op->next == FOS_CAP_NONE) {
		ignore(fos_finish(s->front, op->delivery));
	} else {
		fos_args args;
		fos_args_init(&args);
		if (length)
			fos_args_imm(&args, FOS_CALL, FOS_RESULT, result, length);
		ignore(fos_continue(s->front, op->delivery, op->next, &args, NULL, NULL));
	}
	ops_end(s, op);
}

void ops_fail(struct service *s, struct op *op, fos_status status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(op->detail, sizeof op->detail, format, args);
	va_end(args);
	op->status = status;
	ops_answer(s, op, NULL, 0);
}

/* With the engine's words. */
static void answer_meta(struct service *s, struct op *op, fos_status status, const void *result,
						uint32_t length)
{
	if (status != FOS_OK)
		ops_fail(s, op, status, "%s", meta_error(s->meta));
	else
		ops_answer(s, op, result, length);
}

/* ------------------------------------------------------------------ blocks between files */

static void give_back(struct run run, void *arg)
{
	struct service *s = arg;
	meta_give(s->meta, run);
}

static void ask_sync(struct service *s)
{
	sync_request(s->sync, meta_commits(s->meta));
}

void ops_freed(struct run run, void *arg)
{
	struct service *s = arg;
	/* Without memory for the note the blocks stay taken until the next start: nothing is wrong. */
	if (limbo_add(&s->limbo, run, s->gate.number, meta_commits(s->meta)))
		service_need_tick(s);
}

static void release_limbo(struct service *s)
{
	int error;
	if (s->limbo.count == 0 || !limbo_release(&s->limbo, s->gate.over, sync_done(s->sync, &error),
											  direct_uses, give_back, s))
		return;
	/* Those who found the volume full try again, each once. */
	struct op *last = TAILQ_LAST(&s->space_queue, op_list), *op = TAILQ_FIRST(&s->space_queue);
	while (op) {
		struct op *after = op == last ? NULL : TAILQ_NEXT(op, waiting);
		service_enqueue(op, &s->ready);
		op = after;
	}
}

void ops_blocks_free(struct service *s)
{
	release_limbo(s);
	ops_settle(s);
}

void ops_direct_over(struct service *s)
{
	struct op *op;
	while ((op = TAILQ_FIRST(&s->direct_queue)) != NULL)
		service_enqueue(op, &s->ready);
	release_limbo(s);
}

/* The end of a wait, before the client's own deadline, so that it hears why. */
static void limit_wait(struct op *op)
{
	uint64_t now = service_now();
	if (op->space_end == 0)
		op->space_end = now + (op->deadline > now ? (op->deadline - now) / 4 * 3 : 0);
}

/* After everything that may have committed. */
static void after_commits(struct service *s)
{
	uint64_t commits = meta_commits(s->meta);
	if (s->limbo.count || commits - s->asked_sync >= COMMITS_BEFORE_SYNC) {
		if (commits != s->asked_sync)
			ask_sync(s);
		s->asked_sync = commits;
	}
}

/* ------------------------------------------------------------------ names */

struct page { /* of a directory, as it is answered */
	uint8_t bytes[FOS_IMM_MAX - FOS_RESULT];
	uint32_t length;
};

static bool add_dirent(const fos_fs_dirent *entry, const char *name, void *arg)
{
	struct page *page = arg;
	uint32_t padded = (entry->name_len + 7) & ~7u;
	if (sizeof *entry + padded > sizeof page->bytes - page->length)
		return false;
	uint8_t *at = page->bytes + page->length;
	memset(at, 0, sizeof *entry + padded);
	memcpy(at, entry, sizeof *entry);
	memcpy(at + sizeof *entry, name, entry->name_len);
	page->length += (uint32_t)sizeof *entry + padded;
	return true;
}

/* Whether direct users stand in the way of a truncation, which then waits for their end. */
static bool wait_for_direct(struct service *s, struct op *op)
{
	fos_fs_stat stat;
	if (op->header.op != FOS_FS_TRUNCATE || meta_stat(s->meta, op->header.file, &stat) != FOS_OK ||
		op->header.size >= stat.size || direct_take_back(s, op->header.file))
		return false;
	op->state = OP_DIRECT;
	limit_wait(op);
	service_enqueue(op, &s->direct_queue);
	service_need_tick(s);
	return true;
}

static void run_names(struct service *s, struct op *op)
{
	if (wait_for_direct(s, op))
		return;
	fos_status status = FOS_INTERNAL;
	fos_fs_stat stat = {0};
	struct page page = {.length = 0};
	const void *result = NULL;
	uint32_t length = 0;
	uint64_t now = wall_clock();
	const char *path = op->paths[0];
	switch ((enum fos_fs_op)op->header.op) {
	case FOS_FS_MKDIR:
		status = meta_mkdir(s->meta, path, now);
		break;
	case FOS_FS_CREATE:
		status = meta_create(s->meta, path, now, &stat);
		break;
	case FOS_FS_OPEN:
		status = meta_lookup(s->meta, path, &stat);
		break;
	case FOS_FS_STAT:
		status = path[0] ? meta_lookup(s->meta, path, &stat)
						 : meta_stat(s->meta, op->header.file, &stat);
		break;
	case FOS_FS_UNLINK:
		status = meta_unlink(s->meta, path, now);
		break;
	case FOS_FS_RENAME:
		status = meta_rename(s->meta, path, op->paths[1], now);
		break;
	case FOS_FS_TRUNCATE:
		status = meta_truncate(s->meta, op->header.file, op->header.size, now);
		break;
	case FOS_FS_READDIR:
		status = meta_readdir(s->meta, path, op->paths[1], add_dirent, &page);
		result = page.bytes;
		length = page.length;
		break;
	case FOS_FS_READ:
	case FOS_FS_WRITE:
	case FOS_FS_FSYNC:
	case FOS_FS_OPEN_DIRECT:
		assert(false);
	}
	if (stat.file) {
		result = &stat;
		length = sizeof stat;
	}
	answer_meta(s, op, status, result, length);
}

/* ------------------------------------------------------------------ claims */

static bool has_items(const struct op *op)
{
	uint32_t op_code = op->header.op;
	return op_code == FOS_FS_READ || op_code == FOS_FS_WRITE || op_code == FOS_FS_OPEN_DIRECT;
}

/* The claims that an operation needs; false: it has been answered. */
static bool enter_claims(struct service *s, struct op *op)
{
	uint32_t op_code = op->header.op;
	bool io = has_items(op);
	bool alone = op_code != FOS_FS_READ && op_code != FOS_FS_FSYNC && op_code != FOS_FS_OPEN_DIRECT;
	fos_fs_stat stat = {.file = op->header.file};
	if (op_code == FOS_FS_UNLINK || op_code == FOS_FS_RENAME) {
		/* What goes is the file that is there now. Another may be there when the claim is
		 * granted: ops_advance() looks again. */
		if (meta_lookup(s->meta, op->paths[op_code == FOS_FS_RENAME], &stat) != FOS_OK)
			stat.file = 0;
		op->header.file = stat.file;
	}
	bool ok = claims_prepare(&op->claims, io ? op->header.count : 1, op);
	for (uint32_t i = 0; io && ok && i < op->header.count; i++)
		ok = claims_enter(&s->claims, &op->claims, op->items[i].file, alone);
	if (!io && ok && stat.file)
		ok = claims_enter(&s->claims, &op->claims, stat.file, alone);
	if (!ok) {
		ops_fail(s, op, FOS_QUOTA, "no memory for an operation");
		return false;
	}
	return true;
}

static bool claims_still_right(struct service *s, const struct op *op)
{
	uint32_t op_code = op->header.op;
	if (op_code != FOS_FS_UNLINK && op_code != FOS_FS_RENAME)
		return true;
	fos_fs_stat stat;
	if (meta_lookup(s->meta, op->paths[op_code == FOS_FS_RENAME], &stat) != FOS_OK)
		stat.file = 0;
	return stat.file == op->header.file;
}

/* Whether the operation has to claim its files: all but those that end at once and change nothing,
 * where nobody else uses the file. */
static bool needs_claims(struct service *s, const struct op *op)
{
	uint32_t op_code = op->header.op;
	if (op_code == FOS_FS_READ && !(op->header.flags & FOS_FS_RELAYED)) {
		for (uint32_t i = 0; i < op->header.count; i++)
			if (claims_busy(&s->claims, op->items[i].file))
				return true;
		return false; /* one with too many ranges enters them when that is known: run_read() */
	}
	return has_items(op) || op_code == FOS_FS_TRUNCATE || op_code == FOS_FS_UNLINK ||
		   op_code == FOS_FS_RENAME || op_code == FOS_FS_FSYNC;
}

/* ------------------------------------------------------------------ bytes */

static void plan_write(struct service *s, struct op *op)
{
	fos_status status = FOS_OK;
	for (uint32_t i = 0; i < op->header.count && status == FOS_OK; i++) {
		const fos_fs_item *item = &op->items[i];
		status = meta_plan_write(s->meta, &op->plan, item->file, item->offset, item->length);
	}
	if (status == FOS_OK) {
		op->state = OP_IO;
		io_start(s, op);
		return;
	}
	meta_plan_abort(s->meta, &op->plan, NULL, NULL);
	if (status == FOS_NO_SPACE && s->limbo.count) {
		/* Blocks are on their way back from other files. */
		op->state = OP_SPACE;
		limit_wait(op);
		service_enqueue(op, &s->space_queue);
		gate_turn(s, true);
		service_need_tick(s);
		after_commits(s);
		return;
	}
	answer_meta(s, op, status, NULL, 0);
}

static void run_fsync(struct service *s, struct op *op)
{
	fos_fs_stat stat;
	fos_status status = meta_stat(s->meta, op->header.file, &stat);
	if (status != FOS_OK) {
		answer_meta(s, op, status, NULL, 0);
		return;
	}
	op->state = OP_IO;
	io_flush(s, op);
}

static void run_read(struct service *s, struct op *op)
{
	bool off_path = !(op->header.flags & FOS_FS_RELAYED);
	fos_status status = FOS_OK;
	for (uint32_t i = 0; i < op->header.count && status == FOS_OK; i++) {
		const fos_fs_item *item = &op->items[i];
		status = meta_read(s->meta, item->file, item->offset, item->length, &op->ranges);
	}
	if (status != FOS_OK || op->total == 0) {
		answer_meta(s, op, status, NULL, 0);
		return;
	}
	if (off_path && op->ranges.count <= FOS_BLK_RANGES_MAX) {
		io_read_mediated(s, op);
	} else if (op->claims.claims || enter_claims(s, op)) {
		assert(op->claims.missing == 0); /* nobody had them: needs_claims() */
		op->state = OP_IO;
		io_start(s, op);
	}
}

/* Sets the operation's outcome, once it is known how its bytes fared. */
void ops_io_done(struct service *s, struct op *op)
{
	if (op->header.op == FOS_FS_WRITE) {
		if (op->status == FOS_OK) {
			op->status = meta_plan_commit(s->meta, &op->plan, wall_clock());
			if (op->status != FOS_OK)
				snprintf(op->detail, sizeof op->detail, "%s", meta_error(s->meta));
		}
		if (op->status != FOS_OK)
			meta_plan_abort(s->meta, &op->plan, op->unsure ? ops_freed : NULL, s);
	} else if (op->header.op == FOS_FS_FSYNC && op->status == FOS_OK) {
		int error;
		op->sync_target = meta_commits(s->meta);
		if (sync_done(s->sync, &error) < op->sync_target) {
			op->state = OP_SYNC;
			service_enqueue(op, &s->sync_queue);
			ask_sync(s);
			return;
		}
	}
	ops_answer(s, op, NULL, 0);
}

void ops_synced(struct service *s)
{
	int error;
	uint64_t done = sync_done(s->sync, &error);
	struct op *op, *after;
	for (op = TAILQ_FIRST(&s->sync_queue); op; op = after) {
		after = TAILQ_NEXT(op, waiting);
		if (op->sync_target <= done)
			ops_answer(s, op, NULL, 0);
		else if (error)
			ops_fail(s, op, FOS_DEVICE, "the metadata's log: %s", strerror(error));
	}
	release_limbo(s);
	ops_settle(s);
}

/* ------------------------------------------------------------------ on the way */

/* Whether the volume can be used, or is not needed; else the operation waits for it. */
static bool have_volume(struct service *s, struct op *op)
{
	uint32_t op_code = op->header.op;
	if (!has_items(op) && op_code != FOS_FS_FSYNC)
		return true;
	uint64_t now = service_now();
	if (volume_get(s->volume) && gate_ready(s))
		return true;
	if (op->state == OP_NEW) {
		op->state = OP_VOLUME;
		uint64_t least = now + FS_VOLUME_PAUSE;
		op->patience = volume_down_since(s->volume) + FS_VOLUME_PATIENCE;
		op->patience = op->patience > least ? op->patience : least;
		service_need_tick(s);
	}
	volume_need(s->volume);
	service_enqueue(op, &s->volume_queue);
	return false;
}

static void run_op(struct service *s, struct op *op)
{
	switch (op->header.op) {
	case FOS_FS_READ:
		run_read(s, op);
		break;
	case FOS_FS_WRITE:
		plan_write(s, op);
		break;
	case FOS_FS_FSYNC:
		run_fsync(s, op);
		break;
	case FOS_FS_OPEN_DIRECT:
		direct_open(s, op);
		break;
	default:
		run_names(s, op);
	}
	after_commits(s);
}

/* Takes an operation as far as it goes now. */
void ops_advance(struct service *s, struct op *op)
{
	service_enqueue(op, NULL);
	if (op->state == OP_IO) { /* there may be a buffer now */
		io_start(s, op);
		return;
	}
	if (!have_volume(s, op))
		return;
	if (op->state < OP_CLAIMS) {
		if (needs_claims(s, op) && !enter_claims(s, op))
			return;
		op->state = OP_CLAIMS;
	}
	if (op->claims.missing)
		return; /* claims_granted() */
	if (!claims_still_right(s, op)) {
		claims_leave(&s->claims, &op->claims, claims_granted, s);
		op->state = OP_NEW;
		service_enqueue(op, &s->ready);
		return;
	}
	run_op(s, op);
}

void ops_settle(struct service *s)
{
	struct op *op;
	while ((op = TAILQ_FIRST(&s->ready)) != NULL)
		ops_advance(s, op);
}

void ops_volume_changed(struct service *s)
{
	struct op *op, *after;
	gate_volume_changed(s);
	direct_volume_changed(s);
	struct op *last = TAILQ_LAST(&s->volume_queue, op_list);
	if (!volume_get(s->volume)) {
		/* What the block service has not answered, it never will. */
		for (op = TAILQ_FIRST(&s->ops); op; op = after) {
			after = TAILQ_NEXT(op, all);
			if (op->state == OP_IO)
				io_abandon(s, op, FOS_PEER_LOST, volume_text(s->volume));
		}
	}
	for (op = TAILQ_FIRST(&s->volume_queue); op; op = after) {
		after = op == last ? NULL : TAILQ_NEXT(op, waiting);
		ops_advance(s, op);
	}
	ops_settle(s);
}

static void fail_full(struct service *s, struct op *op)
{
	struct meta_volume volume;
	if (!meta_volume(s->meta, &volume))
		volume.name[0] = 0;
	ops_fail(s, op, FOS_NO_SPACE, "volume %s is full", volume.name);
}

/* Ends every wait whose time is over. */
void ops_tick(struct service *s)
{
	uint64_t now = service_now();
	struct op *op, *after;
	for (op = TAILQ_FIRST(&s->ops); op; op = after) {
		after = TAILQ_NEXT(op, all);
		if (op->state == OP_VOLUME && now >= op->patience)
			ops_fail(s, op, FOS_PEER_LOST, "%s",
					 volume_text(s->volume)[0] ? volume_text(s->volume)
											   : "the block service does not answer");
		else if (op->state == OP_CLAIMS && now >= op->deadline)
			ops_fail(s, op, FOS_BUSY, "the file is in use by operations before this one");
		else if (op->state == OP_SPACE && now >= op->space_end)
			fail_full(s, op);
		else if (op->state == OP_DIRECT && op->queue && now >= op->space_end)
			ops_fail(s, op, FOS_BUSY, "what a direct user of the file began is not over");
		else if (op->state == OP_IO && now >= op->deadline + IO_GRACE)
			io_abandon(s, op, FOS_TIMED_OUT, "the block service did not answer in time");
	}
	after_commits(s); /* for what has come into limbo since the last operation */
	release_limbo(s);
	gate_turn(s, !TAILQ_EMPTY(&s->space_queue));
	direct_tick(s);
	io_tick(s);
	if (s->op_count || gate_busy(s) || direct_busy(s))
		service_need_tick(s);
	ops_settle(s);
}

/* ------------------------------------------------------------------ the beginning */

/* The zero-terminated text at `offset`; its length with the zero, 0: there is none, or too long. */
static uint32_t take_path(const fos_delivery *delivery, uint32_t offset, char *out)
{
	uint32_t bound = fos_delivery_imm_len(delivery, offset);
	const char *text = bound ? fos_delivery_imm(delivery, offset, bound) : NULL;
	uint32_t length = text ? (uint32_t)strnlen(text, bound) : 0;
	if (!text || length == bound || length >= FOS_FS_PATH_MAX)
		return 0;
	memcpy(out, text, length + 1);
	return length + 1;
}

/* Reads paths or items; a text says what is malformed, NULL: nothing. */
static const char *take_arguments(struct op *op, const fos_delivery *delivery)
{
	const fos_fs_args *header = &op->header;
	if (header->zero || header->op < FOS_FS_MKDIR || header->op > FOS_FS_OPEN_DIRECT)
		return "there is no such operation";
	bool direct = header->op == FOS_FS_OPEN_DIRECT;
	if (header->flags & ~(uint32_t)(direct ? FOS_FS_DIRECT_WRITE : FOS_FS_RELAYED))
		return "there is no such flag";
	if (!has_items(op)) {
		uint32_t length = take_path(delivery, PATHS_OFFSET, op->paths[0]);
		bool by_id = header->op == FOS_FS_TRUNCATE || header->op == FOS_FS_FSYNC ||
					 header->op == FOS_FS_STAT;
		if (length == 0 && !by_id)
			return "the path is missing or too long";
		bool second = header->op == FOS_FS_RENAME || header->op == FOS_FS_READDIR;
		if (second && take_path(delivery, PATHS_OFFSET + length, op->paths[1]) == 0)
			return "the second path is missing or too long";
		return NULL;
	}
	if (header->count == 0 || header->count > (direct ? 1 : FOS_FS_ITEMS_MAX))
		return direct ? "a direct user has one item" : "a read or write has 1 to 128 items";
	uint32_t bytes = header->count * (uint32_t)sizeof(fos_fs_item);
	const void *items = fos_delivery_imm(delivery, PATHS_OFFSET, bytes);
	if (!items)
		return "there are fewer items than counted";
	op->items = malloc(bytes);
	if (!op->items)
		return "no memory for an operation";
	memcpy(op->items, items, bytes);
	for (uint32_t i = 0; i < header->count && !direct; i++) {
		if (op->items[i].length > FOS_FS_IO_MAX - op->total)
			return "a read or write has at most 64 MiB";
		op->total += op->items[i].length;
	}
	return NULL;
}

/* The Memory of a read or write must be there, large enough and of the right kind. */
static fos_status take_memory(struct op *op, const fos_delivery *delivery, const char **text)
{
	if (op->header.op == FOS_FS_OPEN_DIRECT) {
		const fos_delivered_cap *life = &delivery->caps[FOS_FS_LIFE];
		*text = "capability 2 must be the user's life, and a Request for the answer be there";
		op->life = life->cap;
		return life->kind == FOS_REQUEST && op->life != FOS_CAP_NONE && op->next != FOS_CAP_NONE
				   ? FOS_OK
				   : FOS_INVALID;
	}
	if (op->total == 0)
		return FOS_OK;
	const fos_delivered_cap *cap = &delivery->caps[FOS_FS_MEMORY];
	unsigned right = op->header.op == FOS_FS_READ ? FOS_WRITE : FOS_READ;
	*text = "capability 1 must be the Memory";
	if (delivery->cap_count <= FOS_FS_MEMORY || cap->cap == FOS_CAP_NONE)
		return FOS_INVALID;
	if (cap->kind != FOS_MEMORY)
		return FOS_WRONG_TYPE;
	*text = right == FOS_WRITE ? "the Memory cannot be written" : "the Memory cannot be read";
	if (!(cap->rights & right))
		return FOS_DENIED;
	*text = "the Memory is smaller than what is read or written";
	if (cap->length < op->total)
		return FOS_RANGE;
	op->memory = cap->cap;
	op->memory_length = cap->length;
	op->memory_rights = cap->rights;
	return FOS_OK;
}

static struct op *make_op(struct service *s, const fos_delivery *delivery)
{
	struct op *op = s->op_count < OPS_MAX ? calloc(1, sizeof *op) : NULL;
	if (!op)
		return NULL;
	uint32_t index = (uint32_t)(s->serial % OPS_MAX);
	while (s->table[index])
		index = (index + 1) % OPS_MAX;
	s->serial++;
	op->index = index;
	op->delivery = delivery->id;
	op->next = fos_delivery_cap(delivery, FOS_NEXT);
	uint64_t now = service_now();
	op->deadline = delivery->time_left < UINT64_MAX - now - 2 * IO_GRACE
					   ? now + delivery->time_left
					   : UINT64_MAX - 2 * IO_GRACE;
	for (unsigned i = 0; i < PIECES; i++)
		op->pieces[i] = (struct piece_io){.op = op, .buffer = -1};
	s->table[index] = op;
	s->op_count++;
	TAILQ_INSERT_TAIL(&s->ops, op, all);
	return op;
}

static fos_handled stats(struct service *s, const fos_delivery *delivery)
{
	uint64_t open, ending, buffers = 0;
	struct meta_usage usage;
	fos_cap next = fos_delivery_cap(delivery, FOS_NEXT);
	if (next == FOS_CAP_NONE)
		return FOS_FINISH;
	direct_count(s, &open, &ending);
	meta_usage(s->meta, &usage);
	for (unsigned i = 0; i < BUFFERS; i++)
		buffers += s->buffers[i].used;
	const fos_stat numbers[] = {
		{"operations", s->op_count},       {"direct", open},
		{"direct_ending", ending},         {"buffers_used", buffers},
		{"blocks", usage.blocks},          {"blocks_free", usage.free_blocks},
		{"blocks_limbo", s->limbo.blocks}, {"generation", s->gate.number},
		{"files_claimed", s->claims.files}};
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_RESULT, numbers, sizeof numbers);
	ignore(fos_continue(s->front, delivery->id, next, &args, NULL, NULL));
	return FOS_FINISH_LATER;
}

fos_handled ops_request(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct service *s = arg;
	if (delivery->exception.status != FOS_OK)
		return FOS_FINISH; /* somebody gave our Request as an on_error: nothing to do */
	const fos_fs_args *header = fos_delivery_imm(delivery, FOS_ARG, sizeof *header);
	if (header && header->op == FOS_STATS)
		return stats(s, delivery);
	struct op *op = header ? make_op(s, delivery) : NULL;
	if (!op) {
		ignore(fos_fail(ch, delivery->id, header ? FOS_QUOTA : FOS_INVALID,
						header ? "the fs service has too many operations under way"
							   : "the arguments are missing"));
		return FOS_FINISH_LATER;
	}
	memcpy(&op->header, header, sizeof *header);
	const char *text = take_arguments(op, delivery);
	fos_status status = text ? FOS_INVALID : take_memory(op, delivery, &text);
	if (status != FOS_OK)
		ops_fail(s, op, status, "%s", text);
	else
		ops_advance(s, op);
	ops_settle(s);
	return FOS_FINISH_LATER;
}
