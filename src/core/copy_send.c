/* A copy at the source's owner: slices go out by turns, each for a credit of class DATA, or are
 * moved inside this node. The messages are drawn in copy.c.
 *
 *     sending -> all sent -> (slices and credits back) -> gone
 *        '---> ended, with an abort to send if the destination has a record of it
 *
 * An ended one takes part in nothing, but its record stays until the shell has answered for each
 * slice: until then bytes of its objects may still be read or written. */
#include "core/core_internal.h"

static struct account *account_of(struct core *core, const struct outgoing *out)
{
	if (out->process != NULL)
		return &out->process->account;
	return out->asked_by != NULL ? &out->asked_by->account : &core->house;
}

static void unlink_objects(struct outgoing *out)
{
	list_remove(&out->of_src);
	list_remove(&out->of_dst);
}

static void return_credit(struct core *core, struct session *session)
{
	session->classes[WIRE_CLASS_COPY].unreturned++;
	core_session_dirty(core, session);
}

static void settle(struct core *core, struct outgoing *out)
{
	bool quiet = out->outstanding == 0 && out->uncredited == 0 && out->stop == FOS_OK;
	if (!quiet || (!out->ended && out->sent < out->length))
		return;
	if (out->asked_by != NULL) {
		if (out->landing.args != NULL)
			core_copy_left(core, &out->landing);
		return_credit(core, out->asked_by);
	}
	core_tracked_unuse(out->used[0]);
	core_tracked_unuse(out->used[1]);
	core_timer_stop(core, &out->timer);
	unlink_objects(out);
	list_remove(&out->turn);
	list_remove(&out->of_session);
	list_remove(&out->of_asker);
	core_landing_release(core, &out->landing);
	core_table_remove(&core->outgoing, out->id);
	core_free(core, out, sizeof *out);
}

/* The caller waits only for its source: it may be overwritten, or nothing will read it any more. */
static void source_is_free(struct core *core, const struct outgoing *out)
{
	if (out->process != NULL && out->landing.args != NULL)
		core_copy_told(core, out->landing.copy, FOS_OK);
}

static void slice_out(struct outgoing *out)
{
	out->outstanding++;
	core_object_busy(out->src);
	if (out->dst != NULL)
		core_object_busy(out->dst);
}

static void slices_back(struct core *core, struct outgoing *out, uint32_t count)
{
	/* With no slice under way the objects may be gone already. */
	if (count == 0)
		return;
	struct object *src = out->src, *dst = out->dst;
	out->outstanding -= count;
	core_object_idle(src, count);
	if (dst != NULL) {
		core_object_idle(dst, count);
		/* One may be the other, or above it. */
		dst->pins++;
	}
	core_object_settle(core, src);
	if (dst != NULL)
		core_object_unpin(core, dst);
}

/* ------------------------------------------------------------------ start */

static fos_status find_here(struct core *core, const struct outgoing *want, struct object **dst)
{
	fos_status status = core_object_find(core, &want->dst_ref, dst);
	if (status != FOS_OK)
		return status;
	if ((*dst)->kind != FOS_MEMORY)
		return FOS_WRONG_TYPE;
	if (!((*dst)->memory.rights & FOS_WRITE))
		return FOS_DENIED;
	return base_range_inside(want->dst_offset, want->length, (*dst)->memory.length) ? FOS_OK
																					: FOS_RANGE;
}

static fos_status check(struct core *core, const struct outgoing *want, struct object **dst,
						struct session **to)
{
	const struct object *src = want->src;
	*dst = NULL;
	*to = NULL;
	if (src->kind != FOS_MEMORY)
		return FOS_WRONG_TYPE;
	if (!(src->memory.rights & FOS_READ))
		return FOS_DENIED;
	if (!base_range_inside(want->src_offset, want->length, src->memory.length))
		return FOS_RANGE;
	if (want->dst_ref.node == core->config.node)
		return find_here(core, want, dst);
	struct plan plan;
	fos_status status = core_session_to(core, &want->dst_ref, to);
	return status != FOS_OK ? status : core_plan(want->landing.args, want->landing.on_error, &plan);
}

static void move_slice(struct core *core, struct outgoing *out);

fos_status core_outgoing_start(struct core *core, const struct outgoing *want)
{
	struct object *dst;
	struct session *to;
	fos_status status = check(core, want, &dst, &to);
	if (status != FOS_OK)
		return status;
	struct outgoing *out = core_alloc(core, sizeof *out);
	if (out == NULL)
		return FOS_QUOTA;
	*out = *want;
	out->id = core_table_add(core, &core->outgoing, out);
	if (out->id == 0) {
		core_free(core, out, sizeof *out);
		return FOS_QUOTA;
	}
	out->dst = dst;
	out->to = to;
	out->begin = core->now;
	core_landing_hold(&out->landing);
	out->used[0] = out->src->tracked;
	out->used[1] = core_tracked_find(core, &out->dst_ref);
	core_tracked_use(out->used[0]);
	core_tracked_use(out->used[1]);
	struct list *links[] = {&out->turn, &out->of_src, &out->of_dst, &out->of_session,
							&out->of_asker};
	for (unsigned i = 0; i < BASE_COUNT(links); i++)
		list_init(links[i]);
	list_push(&out->src->memory.readers, &out->of_src);
	list_push(out->asked_by != NULL ? &out->asked_by->asked : &out->process->outgoing,
			  &out->of_asker);
	core_timer_init(&out->timer, TIMER_OUTGOING);
	core_timer_start(core, &out->timer, out->landing.end);
	if (to != NULL) {
		CORE_COVER(core, copy_there);
		list_push(&to->outgoing, &out->of_session);
		list_push(&to->turns, &out->turn);
		core_session_dirty(core, to);
	} else {
		CORE_COVER(core, copy_here);
		list_push(&dst->memory.writers, &out->of_dst);
		move_slice(core, out);
	}
	return FOS_OK;
}

/* ------------------------------------------------------------------ inside this node */

static uint64_t slice_length(const struct core *core, const struct outgoing *out)
{
	return BASE_MIN(out->length - out->sent, core->config.slice);
}

static struct core_extent extent_of(const struct object *object, uint64_t offset, uint64_t length)
{
	return (struct core_extent){.process = object->process->serial,
								.segment = object->memory.segment,
								.offset = object->memory.offset + offset,
								.length = length};
}

static void move_slice(struct core *core, struct outgoing *out)
{
	uint64_t length = slice_length(core, out);
	struct core_output *move = core_output_add(core, CORE_MOVE);
	move->token = out->id;
	move->from = extent_of(out->src, out->src_offset + out->sent, length);
	move->to = extent_of(out->dst, out->dst_offset + out->sent, length);
	slice_out(out);
}

static void moved(struct core *core, struct outgoing *out)
{
	out->sent += slice_length(core, out);
	if (out->sent < out->length) {
		move_slice(core, out);
		return;
	}
	core->counters.copies_local++;
	core_copy_span(core, &out->landing, out->begin, out->length, out->dst);
	source_is_free(core, out);
	core_copy_report(core, &out->landing, account_of(core, out), FOS_OK);
	settle(core, out);
}

/* ------------------------------------------------------------------ to another node */

static void remember_slice(struct session *session, struct outgoing *out)
{
	BASE_ASSERT(session->slice_count < DATA_CREDITS);
	uint32_t at = (session->slice_first + session->slice_count++) % DATA_CREDITS;
	session->slices[at] = out->id;
	out->uncredited++;
}

static void fill(const struct outgoing *out, struct wire_message_data *message)
{
	message->stream = out->id;
	message->copy = out->landing.copy;
	message->asker = out->landing.asker;
	message->asker_epoch = out->landing.asker_epoch;
	message->trace = out->landing.trace;
	message->span = out->landing.span;
	message->epoch = out->dst_ref.epoch;
	message->serial = out->dst_ref.serial;
	message->index = out->dst_ref.index;
	message->base = out->dst_offset;
	message->total = out->length;
	message->has_then = out->landing.args != NULL;
}

/* Tells the destination that nothing more comes, and why. */
static void send_abort(struct core *core, struct outgoing *out)
{
	CORE_COVER(core, copy_abort);
	struct plan plan;
	fos_status status = core_plan(NULL, NULL, &plan);
	BASE_ASSERT(status == FOS_OK);
	struct wire_message_data *message =
		core_session_send(core, out->to, WIRE_MESSAGE_TYPE_DATA, sizeof *message + plan.size);
	fill(out, message);
	message->last = true;
	message->status = out->stop;
	core_plan_write(&plan, NULL, NULL, (uint8_t *)(message + 1));
	remember_slice(out->to, out);
	out->stop = FOS_OK;
}

/* Not OK: what goes with the copy cannot set out. */
static fos_status send_slice(struct core *core, struct outgoing *out)
{
	struct bundle *args = out->sent == 0 ? out->landing.args : NULL;
	struct value *on_error = args != NULL ? out->landing.on_error : NULL;
	struct plan plan;
	fos_status status = core_plan(args, on_error, &plan);
	BASE_ASSERT(status == FOS_OK);
	status = core_tracked_set_out(core, out->to, &plan);
	if (status != FOS_OK)
		return status;
	uint64_t length = slice_length(core, out);
	struct core_output *output;
	struct wire_message_data *message = core_session_send_slice(
		core, out->to, WIRE_MESSAGE_TYPE_DATA, sizeof *message + plan.size, length, &output);
	fill(out, message);
	message->time_left =
		PLANTED(time_lost) ? core->config.default_time : core_time_left(core, out->landing.end);
	message->offset = out->sent;
	message->length = (uint32_t)length;
	message->first = out->sent == 0;
	message->last = out->sent + length == out->length;
	core_plan_write(&plan, args, on_error, (uint8_t *)(message + 1));
	output->token = out->id;
	output->from = extent_of(out->src, out->src_offset + out->sent, length);
	slice_out(out);
	remember_slice(out->to, out);
	out->sent += length;
	return FOS_OK;
}

void core_outgoing_send(struct core *core, struct outgoing *out)
{
	if (out->stop != FOS_OK) {
		send_abort(core, out);
		return;
	}
	fos_status status = send_slice(core, out);
	if (status != FOS_OK) {
		core_outgoing_end(core, out, status);
		return;
	}
	if (out->sent < out->length)
		list_push(&out->to->turns, &out->turn);
	else
		core_timer_stop(core, &out->timer);
}

void core_outgoing_slice_done(struct core *core, uint64_t token)
{
	struct table_entry *entry = core_table_get(&core->outgoing, token);
	struct outgoing *out = entry != NULL ? entry->content : NULL;
	if (out == NULL || out->outstanding == 0)
		return;
	slices_back(core, out, 1);
	if (out->dst != NULL && !out->ended) {
		moved(core, out);
		return;
	}
	if (!out->ended && out->sent == out->length && out->outstanding == 0) {
		source_is_free(core, out);
		/* Nothing reads it any more: the object's end does not concern the copy. */
		unlink_objects(out);
	}
	settle(core, out);
}

void core_outgoing_credits(struct core *core, struct session *session, uint32_t count)
{
	for (; count > 0 && session->slice_count > 0; count--) {
		uint64_t id = session->slices[session->slice_first];
		session->slice_first = (session->slice_first + 1) % DATA_CREDITS;
		session->slice_count--;
		struct table_entry *entry = core_table_get(&core->outgoing, id);
		BASE_ASSERT(entry != NULL);
		struct outgoing *out = entry->content;
		out->uncredited--;
		settle(core, out);
	}
}

/* ------------------------------------------------------------------ ends */

/* Nothing of it is told from here. */
static void end_quietly(struct core *core, struct outgoing *out)
{
	out->ended = true;
	core_timer_stop(core, &out->timer);
	unlink_objects(out);
	source_is_free(core, out);
}

void core_outgoing_end(struct core *core, struct outgoing *out, fos_status status)
{
	if (out->ended)
		return;
	bool begun = out->to != NULL && out->sent > 0;
	if (begun && out->sent == out->length) {
		CORE_COVER(core, copy_sent);
		/* All of it is on its way; only the slices under way still read the source. */
		unlink_objects(out);
		return;
	}
	CORE_COVER(core, copy_end);
	list_remove(&out->turn);
	if (begun) {
		out->stop = (uint8_t)status;
		list_push(&out->to->turns, &out->turn);
		core_session_dirty(core, out->to);
	} else {
		core_copy_report(core, &out->landing, account_of(core, out), status);
	}
	end_quietly(core, out);
	settle(core, out);
}

void core_receive_data_stop(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_data_stop *message = (const void *)bytes;
	struct table_entry *entry = core_table_get(&core->outgoing, message->stream);
	struct outgoing *out = entry != NULL ? entry->content : NULL;
	if (out == NULL || out->to != session)
		return;
	/* The destination has told the end. */
	list_remove(&out->turn);
	out->stop = FOS_OK;
	if (!out->ended)
		end_quietly(core, out);
	settle(core, out);
}

static void end_with_session(struct core *core, struct outgoing *out)
{
	fos_status status = out->sent == 0 ? FOS_PEER_LOST : FOS_OUTCOME_UNKNOWN;
	slices_back(core, out, out->outstanding);
	out->uncredited = 0;
	out->stop = FOS_OK;
	list_remove(&out->turn);
	if (!out->ended) {
		core_copy_report(core, &out->landing, account_of(core, out), status);
		end_quietly(core, out);
	}
	settle(core, out);
}

void core_outgoing_session_end(struct core *core, struct session *session)
{
	struct outgoing *out;
	while ((out = LIST_FIRST(&session->asked, struct outgoing, of_asker)) != NULL) {
		out->asked_by = NULL;
		list_remove(&out->of_asker);
	}
	while ((out = LIST_FIRST(&session->outgoing, struct outgoing, of_session)) != NULL)
		end_with_session(core, out);
}

/* What a dead Process asked for ends. */
void core_outgoing_process_end(struct core *core, struct process *process)
{
	struct outgoing *out;
	while ((out = LIST_FIRST(&process->outgoing, struct outgoing, of_asker)) != NULL) {
		list_remove(&out->of_asker);
		out->process = NULL;
		core_outgoing_end(core, out, FOS_PEER_LOST);
	}
}

/* ------------------------------------------------------------------ asked for by a peer */

static bool is_kind(const struct value *value, enum fos_kind kind)
{
	return value != NULL && value->kind == kind;
}

static fos_status start(struct core *core, struct session *session, const struct bundle *args,
						const struct value *dst, const struct value *src, struct landing *landing)
{
	struct value *table[] = {core_bundle_cap(args, FOS_NEXT)};
	static const struct wire_bound next = {.index = FOS_NEXT};
	struct addition add = {.bounds = &next, .bound_count = table[0] != NULL, .table = table};
	fos_status status = core_bundle_merge(core, NULL, &add, false, &landing->args);
	if (status != FOS_OK)
		return status;
	struct outgoing want = {.asked_by = session,
							.dst_ref = dst->ref,
							.src_offset = src->offset,
							.dst_offset = dst->offset,
							.length = src->length,
							.landing = *landing};
	if (!(src->rights & FOS_READ) || !(dst->rights & FOS_WRITE))
		return FOS_DENIED;
	if (dst->length < src->length)
		return FOS_RANGE;
	if (session->account.parked >= KEPT_FOR_PEER)
		return FOS_QUOTA;
	if (src->ref.node != core->config.node)
		return FOS_STALE;
	status = core_object_find(core, &src->ref, &want.src);
	return status == FOS_OK ? core_outgoing_start(core, &want) : status;
}

void core_receive_copy(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_copy *message = (const void *)bytes;
	struct wire_tail tail;
	struct built built;
	struct bundle *args = NULL;
	struct value *on_error = NULL;
	wire_message_tail(bytes, &tail);
	fos_status status = core_args_build_message(core, session, &tail.args, &built);
	if (status == FOS_OK) {
		on_error = core_args_take_on_error(&built);
		status = core_bundle_merge(core, NULL, &built.call, false, &args);
		core_args_release(core, &built);
	}
	struct value *then = core_bundle_cap(args, FOS_NEXT);
	const struct value *dst = core_bundle_cap(args, WIRE_COPY_DST);
	const struct value *src = core_bundle_cap(args, WIRE_COPY_SRC);
	if (status != FOS_QUOTA &&
		(status != FOS_OK || !is_kind(dst, FOS_MEMORY) || !is_kind(src, FOS_MEMORY) ||
		 (then != NULL && !is_kind(then, FOS_REQUEST)))) {
		core_session_break(core, session, "a copy of what cannot be copied");
		core_bundle_release(core, args);
		core_value_release(core, on_error);
		return;
	}
	struct landing landing = {.on_error = on_error,
							  .asker = session->node,
							  .asker_epoch = session->epoch,
							  .copy = message->copy,
							  .trace = message->trace,
							  .span = message->span,
							  .end = core_time_end(core, message->time_left)};
	if (status == FOS_OK)
		status = start(core, session, args, dst, src, &landing);
	if (status != FOS_OK) {
		core_copy_report(core, &landing, &session->account, status);
		if (landing.args != NULL)
			core_copy_left(core, &landing);
		return_credit(core, session);
	}
	core_bundle_release(core, landing.args);
	core_bundle_release(core, args);
	core_value_release(core, on_error);
}
