/* Completions and deliveries: out of the ring, to callbacks and handlers.
 *
 * What a callback sees has been copied out of the ring before, so it may make calls, blocking ones
 * too, which take further answers from the ring. Those that they do not wait for are deferred: kept
 * in order, and handled by the next fos_poll(), before anything newer. What is deferred is bounded
 * by the calls under way and by the Controller's window of open deliveries.
 */
#include <stdlib.h>
#include <string.h>

#include "client/client.h"

enum { RELEASE_EVERY = 16 };

static void release_ring(fos_channel *ch)
{
	if (ring_release(&ch->answers))
		client_ring_bell(ch);
}

/* The next answer in the ring, borrowed; NULL: none. A malformed one is the end of all trust. */
static const struct wire_record *peek(fos_channel *ch)
{
	uint32_t size;
	const void *record = ring_peek(&ch->answers, &size);
	if (record == NULL) {
		if (ring_broken(&ch->answers))
			client_lose(ch->process);
		return NULL;
	}
	if (wire_check_answer(record, size))
		return record;
	client_lose(ch->process);
	return NULL;
}

/* ------------------------------------------------------------------ completions */

void client_wake(fos_channel *ch, const fos_result *result, void *arg)
{
	struct client_waiter *waiter = arg;
	(void)ch;
	waiter->result = *result;
	waiter->done = true;
}

static void read_info(fos_channel *ch, const struct wire_answer_info *answer, fos_result *out)
{
	out->status = (fos_status)answer->status;
	out->info = (fos_cap_information){
		.kind = answer->kind,
		.rights = answer->rights,
		.own = answer->own,
		.once = answer->once,
		.reachable = answer->reachable,
		.revocable = answer->revocable,
		.tracked = answer->tracked,
		.node = answer->node,
		.length = answer->length,
		.ptr = client_arena_pointer(ch->process, answer->segment, answer->offset),
		.open_deliveries = answer->open_deliveries};
}

static void read_completion(fos_channel *ch, const struct wire_record *record, fos_result *out)
{
	if (record->type == WIRE_ANSWER_TYPE_INFO) {
		read_info(ch, (const void *)record, out);
		return;
	}
	if (record->type == WIRE_ANSWER_TYPE_MONITORED) {
		const struct wire_answer_monitored *end = (const void *)record;
		out->status = (fos_status)end->status;
		out->gone = (enum fos_gone)end->gone;
		return;
	}
	const struct wire_answer_completion *answer = (const void *)record;
	out->status = (fos_status)answer->status;
	out->cap = answer->cap;
	out->same = answer->same;
}

/* What the library itself has to learn from a call's end. */
static void follow_up(fos_channel *ch, const struct client_call *call, const fos_result *result)
{
	/* TIMED_OUT: dead, but not drained. */
	if (call->type == WIRE_CALL_TYPE_CAP_REVOKE &&
		(result->status == FOS_OK || result->status == FOS_TIMED_OUT))
		client_handler_forget(ch, call->extra);
	if (call->type != WIRE_CALL_TYPE_REQUEST_CREATE)
		return;
	struct client_handler *handler = client_handler_find(ch, call->extra);
	if (handler == NULL)
		return;
	if (result->status == FOS_OK)
		handler->cap = result->cap;
	else
		client_handler_drop(ch, handler);
}

/* Returns 1 if somebody was told. */
static int complete(fos_channel *ch, const struct wire_record *record)
{
	struct client_call *found = client_call_find(ch, record->cookie);
	fos_result result = {0};
	if (found == NULL)
		return 0;
	struct client_call call = *found;
	client_call_drop(ch, found);
	read_completion(ch, record, &result);
	follow_up(ch, &call, &result);
	if (call.done == NULL)
		return 0;
	call.done(ch, &result, call.arg);
	return 1;
}

/* ------------------------------------------------------------------ deliveries */

static struct client_parcel *get_parcel(fos_channel *ch)
{
	struct client_parcel *parcel = ch->parcels;
	if (parcel != NULL) {
		ch->parcels = parcel->next;
		return parcel;
	}
	parcel = aligned_alloc(64, sizeof *parcel);
	if (parcel != NULL)
		memset(parcel->caps, 0, sizeof parcel->caps);
	return parcel;
}

void client_parcel_put(fos_channel *ch, struct client_parcel *parcel)
{
	for (uint32_t i = 0; i < parcel->delivery.cap_count; i++)
		parcel->caps[i] = (fos_delivered_cap){0};
	parcel->next = ch->parcels;
	ch->parcels = parcel;
}

static void unpack_caps(fos_channel *ch, const struct wire_delivered *from, unsigned count,
						struct client_parcel *parcel)
{
	for (unsigned i = 0; i < count; i++)
		parcel->caps[from[i].index] = (fos_delivered_cap){
			.cap = from[i].cap,
			.kind = from[i].kind,
			.rights = from[i].rights,
			.length = from[i].length,
			.ptr = client_arena_pointer(ch->process, from[i].segment, from[i].offset)};
	parcel->delivery.cap_count = count == 0 ? 0 : from[count - 1].index + 1u;
	parcel->delivery.caps = parcel->caps;
}

static void unpack_exception(const struct wire_exception *from, struct client_parcel *parcel)
{
	fos_exception *to = &parcel->delivery.exception;
	to->status = (fos_status)from->status;
	to->node = from->node;
	to->process = from->process;
	to->detail_len = from->detail_len;
	memcpy(to->where, from->where, sizeof to->where);
	memcpy(parcel->detail, from + 1, from->detail_len);
	parcel->detail[from->detail_len] = 0;
	to->detail = parcel->detail;
}

static void unpack_imm(const struct wire_range *ranges, unsigned count, const uint8_t *bytes,
					   struct client_parcel *parcel)
{
	memcpy(parcel->ranges, ranges, count * sizeof *ranges);
	parcel->range_count = count;
	for (unsigned i = 0; i < count; i++) {
		memcpy(parcel->image + ranges[i].offset, bytes, ranges[i].length);
		bytes += ranges[i].length;
	}
	parcel->delivery.imm_end = count == 0 ? 0 : ranges[count - 1].offset + ranges[count - 1].length;
}

static void unpack(fos_channel *ch, const struct wire_answer_delivery *from,
				   struct client_parcel *parcel)
{
	const struct wire_range *ranges = (const void *)(from + 1);
	const struct wire_delivered *caps = (const void *)(ranges + from->range_count);
	const uint8_t *at = (const void *)(caps + from->cap_count);
	fos_delivery *to = &parcel->delivery;
	to->id = from->delivery;
	to->trace = from->trace;
	to->span = from->span;
	to->time_left = from->time_left;
	to->internal = parcel;
	to->exception = (fos_exception){.detail = ""};
	unpack_caps(ch, caps, from->cap_count, parcel);
	if (from->exception) {
		const struct wire_exception *exception = (const void *)at;
		unpack_exception(exception, parcel);
		at += sizeof *exception + wire_pad8(exception->detail_len);
	}
	unpack_imm(ranges, from->range_count, at, parcel);
}

/* A delivery for a Request whose handler is gone: the Request was revoked while this was on its
 * way. Its chain is told, unless it is the end of one. */
static void turn_away(fos_channel *ch, const fos_delivery *delivery)
{
	fos_status status = delivery->exception.status == FOS_OK
							? fos_fail(ch, delivery->id, FOS_REVOKED, NULL)
							: fos_finish(ch, delivery->id);
	(void)status; /* CONTROLLER_LOST ends the delivery too */
}

/* `in_ring`: the record is borrowed from the ring, which is released before the handler runs. */
static void deliver(fos_channel *ch, const struct wire_record *record, bool in_ring)
{
	struct client_handler *found = client_handler_find(ch, record->cookie);
	struct client_handler handler = found ? *found : (struct client_handler){0};
	struct client_parcel *parcel = get_parcel(ch);
	if (parcel == NULL) {
		client_lose(ch->process); /* it cannot be kept and must not be lost silently */
		return;
	}
	unpack(ch, (const void *)record, parcel);
	if (in_ring)
		release_ring(ch);
	if (found != NULL && handler.once)
		client_handler_drop(ch, found);
	if (found == NULL) {
		turn_away(ch, &parcel->delivery);
	} else if (handler.fn(ch, &parcel->delivery, handler.arg) == FOS_FINISH) {
		fos_status status = fos_finish(ch, parcel->delivery.id);
		(void)status; /* CONTROLLER_LOST ends the delivery too */
	}
	if (handler.fn != client_reply_arrived)
		client_parcel_put(ch, parcel);
}

static const struct client_parcel *parcel_of(const fos_delivery *delivery)
{
	return delivery->internal;
}

uint32_t fos_delivery_imm_len(const fos_delivery *delivery, uint32_t offset)
{
	const struct client_parcel *parcel = parcel_of(delivery);
	/* Ranges are not adjacent, so what has no gap is in one. */
	for (unsigned i = 0; i < parcel->range_count; i++) {
		const struct wire_range *range = &parcel->ranges[i];
		if (offset >= range->offset && offset - range->offset < range->length)
			return range->length - (offset - range->offset);
	}
	return 0;
}

const void *fos_delivery_imm(const fos_delivery *delivery, uint32_t offset, uint32_t len)
{
	if (len == 0 || fos_delivery_imm_len(delivery, offset) < len)
		return NULL;
	return parcel_of(delivery)->image + offset;
}

fos_cap fos_delivery_cap(const fos_delivery *delivery, unsigned index)
{
	return index < delivery->cap_count ? delivery->caps[index].cap : FOS_CAP_NONE;
}

/* ------------------------------------------------------------------ handling and deferring */

static int handle(fos_channel *ch, const struct wire_record *record, bool in_ring)
{
	if (record->type != WIRE_ANSWER_TYPE_DELIVERY)
		return complete(ch, record);
	deliver(ch, record, in_ring);
	return 1;
}

int client_handle_answers(fos_channel *ch, int limit)
{
	int handled = 0;
	unsigned seen = 0;
	for (; handled < limit; seen++) {
		struct list *node = list_pop(&ch->deferred);
		if (node != NULL) {
			struct client_deferred *deferred = BASE_CONTAINER(node, struct client_deferred, node);
			handled += handle(ch, (const void *)deferred->bytes, false);
			free(deferred);
			continue;
		}
		const struct wire_record *record = peek(ch);
		if (record == NULL)
			break;
		handled += handle(ch, record, true);
		if (seen % RELEASE_EVERY == RELEASE_EVERY - 1)
			release_ring(ch);
	}
	release_ring(ch);
	return handled;
}

static bool somebody_waits(fos_channel *ch, const struct wire_record *record)
{
	if (record->type == WIRE_ANSWER_TYPE_DELIVERY) {
		const struct client_handler *handler = client_handler_find(ch, record->cookie);
		return handler != NULL && handler->fn == client_reply_arrived;
	}
	const struct client_call *call = client_call_find(ch, record->cookie);
	return call == NULL || call->done == client_wake || call->done == NULL;
}

static void defer(fos_channel *ch, const struct wire_record *record)
{
	struct client_deferred *deferred = malloc(sizeof *deferred + record->size);
	if (deferred == NULL) {
		client_lose(ch->process); /* it cannot be kept and must not be lost silently */
		return;
	}
	deferred->size = record->size;
	memcpy(deferred->bytes, record, record->size);
	list_push(&ch->deferred, &deferred->node);
}

void client_defer_answers(fos_channel *ch)
{
	const struct wire_record *record;
	while ((record = peek(ch)) != NULL) {
		if (somebody_waits(ch, record))
			handle(ch, record, true);
		else
			defer(ch, record);
	}
	release_ring(ch);
}
