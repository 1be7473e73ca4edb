/* A copy at the destination's owner: each slice is checked against the object and placed, so an
 * object that dies receives no further byte. The messages are drawn in copy.c.
 *
 *     first DATA -> receiving -> all placed: `then`, or COPY_DONE to the asker
 *                       '------> refused, timed out, given up by the source: the same with the
 *                                status; the source is told by DATA_STOP where it goes on sending
 */
#include "core/core_internal.h"

static struct list *bucket_of(struct core *core, const struct session *session, uint64_t stream)
{
	return core_hash_bucket(&core->incoming, stream ^ base_mix64((uintptr_t)session));
}

static struct incoming *find(struct core *core, const struct session *session, uint64_t stream)
{
	struct list *bucket = bucket_of(core, session, stream);
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct incoming *in = BASE_CONTAINER(at, struct incoming, hash);
		if (in->stream == stream && in->from == session)
			return in;
	}
	return NULL;
}

static void stop_source(struct core *core, struct session *session, uint64_t stream,
						fos_status status)
{
	if (session->ending)
		return;
	CORE_COVER(core, copy_stop);
	struct wire_message_data_stop *message =
		core_session_send(core, session, WIRE_MESSAGE_TYPE_DATA_STOP, sizeof *message);
	message->stream = stream;
	message->status = status;
}

static void unlink_incoming(struct core *core, struct incoming *in)
{
	list_remove(&in->hash);
	list_remove(&in->of_dst);
	list_remove(&in->of_session);
	in->from->incoming_count--;
	core_timer_stop(core, &in->timer);
}

/* Tells the end and frees it. */
static void conclude(struct core *core, struct incoming *in, fos_status status)
{
	unlink_incoming(core, in);
	core_copy_report(core, &in->landing, &in->from->account, status);
	core_landing_release(core, &in->landing);
	core_free(core, in, sizeof *in);
}

void core_incoming_end(struct core *core, struct incoming *in, fos_status status)
{
	stop_source(core, in->from, in->stream, status);
	conclude(core, in, status);
}

void core_incoming_session_end(struct core *core, struct session *session)
{
	struct incoming *in;
	while ((in = LIST_FIRST(&session->incoming, struct incoming, of_session)) != NULL)
		conclude(core, in, FOS_OUTCOME_UNKNOWN);
}

/* ------------------------------------------------------------------ the first slice */

/* Malformed in what only the core can see: NULL if not. */
static const char *read_landing(struct core *core, struct session *session,
								const struct wire_message_data *message, fos_status *status,
								struct landing *out)
{
	struct wire_tail tail;
	struct built built;
	wire_message_tail((const uint8_t *)message, &tail);
	*out = (struct landing){.asker = message->asker,
							.asker_epoch = message->asker_epoch,
							.copy = message->copy,
							.trace = message->trace,
							.span = message->span,
							.end = core_time_end(core, message->time_left)};
	*status = core_args_build_message(core, session, &tail.args, &built);
	if (*status == FOS_QUOTA)
		return NULL;
	if (*status != FOS_OK)
		return "a copy with arguments that cannot be";
	out->on_error = core_args_take_on_error(&built);
	*status = core_bundle_merge(core, NULL, &built.call, false, &out->args);
	core_args_release(core, &built);
	if (*status != FOS_OK)
		return *status == FOS_QUOTA ? NULL : "a copy with arguments that cannot be";
	const struct value *then = core_bundle_cap(out->args, FOS_NEXT);
	if (message->has_then != (then != NULL) || (then != NULL && then->kind != FOS_REQUEST) ||
		(then == NULL && out->args != NULL))
		return "a copy whose continuation is none";
	return NULL;
}

static fos_status accept(struct core *core, struct session *session,
						 const struct wire_message_data *message, const struct landing *landing,
						 struct incoming **out)
{
	struct core_ref ref = {core->config.node, message->index, message->epoch, message->serial};
	struct object *object;
	fos_status status = core_object_find(core, &ref, &object);
	if (status != FOS_OK)
		return status;
	if (object->kind != FOS_MEMORY)
		return FOS_WRONG_TYPE;
	if (!(object->memory.rights & FOS_WRITE))
		return FOS_DENIED;
	if (!base_range_inside(message->base, message->total, object->memory.length))
		return FOS_RANGE;
	if (session->incoming_count + session->account.parked >= INCOMING_MAX)
		return FOS_QUOTA;
	struct incoming *in = core_alloc(core, sizeof *in);
	if (in == NULL)
		return FOS_QUOTA;
	*in = (struct incoming){.from = session,
							.dst = object,
							.stream = message->stream,
							.base = message->base,
							.total = message->total,
							.landing = *landing,
							.begin = core->now};
	CORE_COVER(core, copy_begin);
	core_landing_hold(&in->landing);
	list_push(bucket_of(core, session, in->stream), &in->hash);
	list_push(&object->memory.incoming, &in->of_dst);
	list_push(&session->incoming, &in->of_session);
	session->incoming_count++;
	core_timer_init(&in->timer, TIMER_INCOMING);
	core_timer_start(core, &in->timer, landing->end);
	*out = in;
	return FOS_OK;
}

static struct incoming *begin(struct core *core, struct session *session,
							  const struct wire_message_data *message)
{
	struct landing landing;
	struct incoming *in = NULL;
	fos_status status;
	const char *reason = read_landing(core, session, message, &status, &landing);
	if (reason == NULL && status == FOS_OK)
		status = accept(core, session, message, &landing, &in);
	if (reason != NULL) {
		core_session_break(core, session, reason);
	} else if (status != FOS_OK) {
		core_copy_report(core, &landing, &session->account, status);
		stop_source(core, session, message->stream, status);
	}
	core_landing_release(core, &landing);
	return in;
}

/* ------------------------------------------------------------------ every slice */

static void place(struct core *core, struct incoming *in, const struct wire_message_data *message)
{
	struct wire_tail tail;
	wire_message_tail((const uint8_t *)message, &tail);
	const struct object *dst = in->dst;
	struct core_output *out = core_output_add(core, CORE_PLACE);
	out->to = (struct core_extent){.process = dst->process->serial,
								   .segment = dst->memory.segment,
								   .offset = dst->memory.offset + in->base + in->received,
								   .length = message->length};
	out->bytes = tail.data;
	out->size = tail.data_len;
	in->received += message->length;
}

void core_receive_data(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_data *message = (const void *)bytes;
	struct incoming *in = find(core, session, message->stream);
	if (message->first) {
		if (in != NULL) {
			core_session_break(core, session, "a copy that begins twice");
			return;
		}
		in = begin(core, session, message);
	}
	/* Refused and stopped, while this was on its way. */
	if (in == NULL)
		return;
	if (message->status != FOS_OK && message->last && message->length == 0) {
		conclude(core, in, (fos_status)message->status);
		return;
	}
	bool all = in->received + message->length == in->total;
	if (message->status != FOS_OK || message->offset != in->received || message->length == 0 ||
		message->total != in->total || message->last != all) {
		core_session_break(core, session, "a slice that does not follow the last");
		return;
	}
	place(core, in, message);
	if (!all)
		return;
	CORE_COVER(core, copy_landed);
	core_copy_span(core, &in->landing, in->begin, in->total, in->dst);
	conclude(core, in, FOS_OK);
}
