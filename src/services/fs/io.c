/* Bytes on their way between clients and the block service. See service.h.
 *
 *     mediated read         client -- READ --> fs -- continue(ranges, Memory, next) --> blk
 *                           client <------------------ bytes, next ------------------- blk
 *
 *     mediated write        client -- WRITE --> fs -- write(ranges, Memory) ----------> blk
 *                                               fs <-- answer ------------------------- blk
 *                           client <-- next --- fs (extents are committed)
 *
 *     relayed               the same in pieces through buffers of our own, with a memory_copy
 *                           between client and buffer
 *
 * Pieces of one operation overlap; all of them have ended before the operation ends.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "service.h"

_Static_assert(sizeof(struct range) == sizeof(fos_blk_range), "ranges travel as they are");
_Static_assert(FOS_ARG + FOS_BLK_RANGES_MAX * sizeof(fos_blk_range) <= FOS_RESULT,
			   "ranges end before the results");

struct token { /* what an answer carries, in the provider's part of the immediates */
	uint32_t op, piece;
	uint64_t serial;
};

static void pump(struct service *s, struct op *op);
static void step(struct service *s, struct piece_io *piece);

static bool is_write(const struct op *op)
{
	return op->header.op == FOS_FS_WRITE;
}

static bool is_relayed(const struct op *op)
{
	return op->header.flags & FOS_FS_RELAYED;
}

static const struct ranges *ranges_of(const struct op *op)
{
	return is_write(op) ? &op->plan.ranges : &op->ranges;
}

/* Keeps the first failure. A write whose end is unknown may still change its blocks. */
static void note_failure(struct op *op, fos_status status, const char *detail, bool unsure)
{
	op->unsure |= unsure;
	if (op->status != FOS_OK)
		return;
	op->status = status;
	snprintf(op->detail, sizeof op->detail, "%s", detail);
}

/* ------------------------------------------------------------------ buffers */

static void buffer_free(struct service *s, struct buffer *buffer)
{
	struct op *op;
	buffer->used = false;
	while ((op = TAILQ_FIRST(&s->buffer_queue)) != NULL)
		service_enqueue(op, &s->ready);
}

/* Refused a Memory: it is asked for again at a tick. */
static void buffer_lacks(struct buffer *buffer)
{
	buffer->lacks = true;
	service_need_tick(buffer->service);
}

static void buffer_made(fos_channel *ch, const fos_result *result, void *arg)
{
	struct buffer *buffer = arg;
	if (result->status != FOS_OK) {
		buffer_lacks(buffer);
		return;
	}
	buffer->memory = result->cap;
	buffer_free(buffer->service, buffer);
	ops_settle(buffer->service);
}

static void buffer_make(struct buffer *buffer)
{
	if (fos_memory_create_async(buffer->service->back, buffer->bytes, BUFFER_BYTES,
								FOS_READ | FOS_WRITE, buffer_made, buffer) != FOS_OK)
		buffer_lacks(buffer);
}

static void buffer_revoked(fos_channel *ch, const fos_result *result, void *arg)
{
	if (result->status == FOS_OK)
		buffer_make(arg);
}

void io_tick(struct service *s)
{
	for (unsigned i = 0; i < BUFFERS; i++) {
		if (!s->buffers[i].lacks)
			continue;
		s->buffers[i].lacks = false;
		buffer_make(&s->buffers[i]);
	}
}

/* Gives a piece's buffer back. If somebody may still use it, what was lent is revoked first. */
static void put_buffer(struct service *s, struct piece_io *piece)
{
	if (piece->buffer < 0)
		return;
	struct buffer *buffer = &s->buffers[piece->buffer];
	piece->buffer = -1;
	if (!piece->abandoned) {
		buffer_free(s, buffer);
		return;
	}
	fos_cap old = buffer->memory;
	buffer->memory = FOS_CAP_NONE;
	(void)!fos_cap_revoke_async(s->back, old, buffer_revoked, buffer);
	(void)!fos_cap_close_async(s->back, old, NULL, NULL);
}

static int take_buffer(struct service *s)
{
	for (int i = 0; i < BUFFERS; i++) {
		if (!s->buffers[i].used) {
			s->buffers[i].used = true;
			return i;
		}
	}
	return -1;
}

fos_status io_open(struct service *s)
{
	for (unsigned i = 0; i < BUFFERS; i++) {
		struct buffer *buffer = &s->buffers[i];
		buffer->service = s;
		fos_status status = fos_alloc(s->process, BUFFER_BYTES, FS_BLOCK, &buffer->bytes);
		if (status == FOS_OK)
			status = fos_memory_create(s->back, buffer->bytes, BUFFER_BYTES, FOS_READ | FOS_WRITE,
									   &buffer->memory);
		if (status != FOS_OK)
			return status;
	}
	return FOS_OK;
}

/* ------------------------------------------------------------------ pieces */

/* The next piece of the operation's bytes: at most `most` bytes in as many ranges as one Request
 * of the block service takes. */
static void cut(struct op *op, struct piece_io *piece, uint64_t most)
{
	const struct ranges *ranges = ranges_of(op);
	piece->range = op->next_range;
	piece->skip = op->next_skip;
	piece->memory = op->next_memory;
	piece->length = 0;
	for (unsigned n = 0; n < FOS_BLK_RANGES_MAX && op->next_range < ranges->count; n++) {
		uint64_t left = ranges->at[op->next_range].length - op->next_skip;
		uint64_t room = most - piece->length;
		if (room == 0)
			break;
		if (left > room) {
			piece->length += room;
			op->next_skip += room;
			break;
		}
		piece->length += left;
		op->next_range++;
		op->next_skip = 0;
	}
	op->next_memory += piece->length;
}

static uint32_t fill(const struct op *op, const struct piece_io *piece, fos_blk_range *out)
{
	const struct ranges *ranges = ranges_of(op);
	uint64_t skip = piece->skip, left = piece->length;
	uint32_t count = 0;
	for (uint32_t i = piece->range; left > 0; i++, skip = 0) {
		uint64_t length = ranges->at[i].length - skip;
		length = length < left ? length : left;
		out[count++] = (fos_blk_range){ranges->at[i].offset + skip, length};
		left -= length;
	}
	assert(count <= FOS_BLK_RANGES_MAX);
	return count;
}

static void called(fos_channel *ch, const fos_result *result, void *arg)
{
	struct piece_io *piece = arg;
	struct service *s = piece->service;
	piece->called = false;
	if (result->status != FOS_OK) {
		piece->awaited = false;
		char text[96];
		snprintf(text, sizeof text, "%s: %s",
				 piece->stage == PIECE_DEVICE ? "the call to the block service was refused"
											  : "the copy failed",
				 fos_status_text(result->status));
		note_failure(piece->op, result->status, text, false);
	}
	step(s, piece);
	ops_settle(s);
}

/* A call that could not even be submitted. */
static void not_called(struct service *s, struct piece_io *piece, fos_status status)
{
	piece->called = piece->awaited = false;
	note_failure(piece->op, status, fos_status_text(status), false);
	step(s, piece);
}

static void bind_answer(struct service *s, struct piece_io *piece, fos_args *args,
						struct token *token)
{
	const struct op *op = piece->op;
	piece->serial = ++s->serial;
	*token = (struct token){op->index, (uint32_t)(piece - op->pieces), piece->serial};
	fos_cap answer = fos_args_refine(args, s->answer);
	fos_args_imm(args, answer, 0, token, sizeof *token);
	fos_args_cap(args, FOS_CALL, FOS_NEXT, answer);
	fos_args_on_error(args, FOS_CALL, answer);
}

/* Sends the piece to the block service. */
static void to_device(struct service *s, struct piece_io *piece)
{
	const struct op *op = piece->op;
	piece->stage = PIECE_DEVICE;
	if (!gate_ready(s)) {
		not_called(s, piece, FOS_PEER_LOST);
		return;
	}
	fos_blk_range ranges[FOS_BLK_RANGES_MAX];
	uint32_t count = fill(op, piece, ranges);
	struct token token;
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, ranges, count * sizeof ranges[0]);
	fos_cap memory = piece->buffer >= 0 ? s->buffers[piece->buffer].memory : op->memory;
	uint64_t offset = piece->buffer >= 0 ? 0 : piece->memory;
	/* The block service gets no more than it needs. */
	unsigned rights = piece->buffer >= 0 ? FOS_READ | FOS_WRITE : op->memory_rights;
	unsigned drop = rights & (is_write(op) ? FOS_WRITE : FOS_READ);
	fos_args_cap(&args, FOS_CALL, FOS_BLK_MEMORY,
				 fos_args_diminish(&args, memory, offset, piece->length, drop));
	bind_answer(s, piece, &args, &token);
	const fos_invoke_options options = {.delivery = op->delivery};
	piece->called = piece->awaited = true;
	fos_status status = fos_request_invoke_async(
		s->back, is_write(op) ? gate_write(s) : gate_read(s), &args, &options, called, piece);
	if (status != FOS_OK)
		not_called(s, piece, status);
}

/* Copies between the client's Memory and the buffer. The copy of a read that is one piece carries
 * the client's continuation with it. */
static void copy(struct service *s, struct piece_io *piece, bool out)
{
	struct op *op = piece->op;
	piece->stage = out ? PIECE_COPY_OUT : PIECE_COPY_IN;
	fos_args args;
	fos_args_init(&args);
	fos_cap client = fos_args_diminish(&args, op->memory, piece->memory, piece->length, 0);
	fos_cap buffer = fos_args_diminish(&args, s->buffers[piece->buffer].memory, 0, piece->length,
									   out ? FOS_WRITE : FOS_READ);
	piece->carries_next = out && piece->length == op->total && op->next != FOS_CAP_NONE;
	if (piece->carries_next)
		fos_args_cap(&args, FOS_CALL, FOS_NEXT, op->next);
	const fos_invoke_options options = {.delivery = op->delivery};
	piece->called = true;
	fos_status status = fos_memory_copy_async(s->back, out ? client : buffer, out ? buffer : client,
											  &args, &options, called, piece);
	if (status != FOS_OK)
		not_called(s, piece, status);
}

static void finish_piece(struct service *s, struct piece_io *piece)
{
	struct op *op = piece->op;
	if (piece->stage == PIECE_COPY_OUT && piece->carries_next && op->status == FOS_OK)
		op->next = FOS_CAP_NONE; /* is on its way */
	piece->stage = PIECE_FREE;
	op->under_way--;
	put_buffer(s, piece);
	pump(s, op);
}

/* Takes a piece on, when neither a call nor an answer is awaited any more. */
static void step(struct service *s, struct piece_io *piece)
{
	const struct op *op = piece->op;
	if (piece->called || piece->awaited)
		return;
	if (op->status == FOS_OK && piece->stage == PIECE_COPY_IN)
		to_device(s, piece);
	else if (op->status == FOS_OK && piece->stage == PIECE_DEVICE && piece->buffer >= 0 &&
			 !is_write(op))
		copy(s, piece, true);
	else
		finish_piece(s, piece);
}

static bool begin_piece(struct service *s, struct op *op, struct piece_io *piece)
{
	bool relayed = is_relayed(op);
	int buffer = relayed ? take_buffer(s) : -1;
	if (relayed && buffer < 0) {
		service_enqueue(op, &s->buffer_queue);
		return false;
	}
	*piece = (struct piece_io){.op = op, .service = s, .buffer = buffer};
	cut(op, piece, relayed ? BUFFER_BYTES : FOS_FS_IO_MAX);
	op->under_way++;
	if (relayed && is_write(op))
		copy(s, piece, false);
	else
		to_device(s, piece);
	return true;
}

/* Starts pieces while there are some left and room for them; ends the operation after the last. */
static void pump(struct service *s, struct op *op)
{
	if (op->pumping)
		return; /* further up: it looks again */
	op->pumping = true;
	for (unsigned i = 0; i < PIECES; i++) {
		if (op->status != FOS_OK || op->next_range == ranges_of(op)->count)
			break;
		if (op->pieces[i].stage == PIECE_FREE) {
			if (!begin_piece(s, op, &op->pieces[i]))
				break;
			i = UINT32_MAX; /* one that failed or ended at once is free again: from the start */
		}
	}
	op->pumping = false;
	if (op->under_way == 0 && (op->status != FOS_OK || op->next_range == ranges_of(op)->count)) {
		service_enqueue(op, NULL);
		ops_io_done(s, op);
	}
}

/* ------------------------------------------------------------------ what ops.c and the channel
 * call */

void io_start(struct service *s, struct op *op)
{
	service_need_tick(s);
	pump(s, op);
}

void io_read_mediated(struct service *s, struct op *op)
{
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, op->ranges.at, op->ranges.count * sizeof *op->ranges.at);
	fos_args_cap(&args, FOS_CALL, FOS_BLK_MEMORY,
				 fos_args_diminish(&args, op->memory, 0, op->total, op->memory_rights & FOS_READ));
	if (op->next != FOS_CAP_NONE)
		fos_args_cap(&args, FOS_CALL, FOS_NEXT, op->next);
	/* Refused, the delivery fails with the same status: we are off the path in every case. */
	fos_status status = fos_continue(s->front, op->delivery, gate_read(s), &args, NULL, NULL);
	if (status != FOS_OK)
		ops_fail(s, op, status, "%s", fos_status_text(status));
	else
		ops_end(s, op);
}

void io_flush(struct service *s, struct op *op)
{
	struct piece_io *piece = &op->pieces[0];
	const fos_blk_volume *volume = volume_get(s->volume);
	struct token token;
	fos_args args;
	service_need_tick(s);
	*piece = (struct piece_io){.op = op, .service = s, .buffer = -1, .stage = PIECE_DEVICE};
	op->under_way++;
	if (!volume) {
		not_called(s, piece, FOS_PEER_LOST);
		return;
	}
	fos_args_init(&args);
	bind_answer(s, piece, &args, &token);
	const fos_invoke_options options = {.delivery = op->delivery};
	piece->called = piece->awaited = true;
	fos_status status =
		fos_request_invoke_async(s->back, volume->flush, &args, &options, called, piece);
	if (status != FOS_OK)
		not_called(s, piece, status);
}

fos_handled io_answered(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct service *s = arg;
	const struct token *token = fos_delivery_imm(delivery, 0, sizeof *token);
	struct op *op = token && token->op < OPS_MAX ? s->table[token->op] : NULL;
	if (!op || token->piece >= PIECES)
		return FOS_FINISH;
	struct piece_io *piece = &op->pieces[token->piece];
	/* An answer to something that was given up, or a second one. */
	if (piece->serial != token->serial || !piece->awaited)
		return FOS_FINISH;
	piece->awaited = false;
	const fos_exception *e = &delivery->exception;
	if (e->status != FOS_OK) {
		bool unsure = e->status == FOS_PEER_LOST || e->status == FOS_OUTCOME_UNKNOWN ||
					  e->status == FOS_TIMED_OUT;
		piece->abandoned = unsure;
		char text[256];
		snprintf(text, sizeof text, "%s%s%s", e->where, e->where[0] ? ": " : "",
				 e->detail_len ? e->detail : fos_status_text(e->status));
		note_failure(op, e->status, text, unsure);
		if (e->status == FOS_STALE && volume_get(s->volume))
			volume_suspect(s->volume, text);
	}
	/* A suspicion may have given the operation up: look again. */
	if (s->table[token->op] == op && piece->serial == token->serial)
		step(s, piece);
	ops_settle(s);
	return FOS_FINISH;
}

void io_abandon(struct service *s, struct op *op, fos_status status, const char *detail)
{
	op->pumping = true; /* until all pieces have been looked at, it must not end */
	for (unsigned i = 0; i < PIECES; i++) {
		struct piece_io *piece = &op->pieces[i];
		if (piece->stage == PIECE_FREE || !piece->awaited)
			continue;
		piece->awaited = false;
		piece->abandoned = true;
		note_failure(op, status, detail, true);
		step(s, piece);
	}
	if (op->status == FOS_OK && op->queue)
		note_failure(op, status, detail, false);
	op->pumping = false;
	pump(s, op);
}
