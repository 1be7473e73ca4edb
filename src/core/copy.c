/* memory_copy at the asker, and how a copy's end is told.
 *
 *     asker                source's owner                         destination's owner
 *       | COPY (if elsewhere)   |                                          |
 *       |---------------------->| DATA first (then, on_error, total)       |
 *       |                       |----------------------------------------->| room for `then` kept
 *       |                       | DATA ... by turns, a credit each         | each slice is checked
 *       |                       |----------------------------------------->| and placed
 *       |                       |              last: `then` is invoked from here, or
 *       |<-----------------------------------------------------------------| COPY_DONE(status)
 *
 * Once the first DATA was sent the destination's owner alone tells the end; before that the
 * source's owner does, and when their session is lost both do, each as far as it can reach.
 *
 * The call completes: without `then`, when the bytes have landed; with it, when the source may be
 * overwritten (source here), or when the COPY was sent (elsewhere). What fails after the call was
 * taken is told to on_error where there is a `then`, else by the completion; never by both.
 *
 * With a `then` the asker's record outlives the call until the source's owner says, by a COPY_DONE,
 * that all has left it. Should that Controller be lost first, nobody else knows of the copy, and
 * on_error hears OUTCOME_UNKNOWN from here.
 *
 * The two sides of a copy are used, not delegated: they travel untracked, and the records of the
 * copy keep the user's own reference meanwhile. */
#include "core/core_internal.h"

/* ------------------------------------------------------------------ telling the end */

void core_landing_hold(struct landing *landing)
{
	core_bundle_hold(landing->args);
	core_value_hold(landing->on_error);
}

void core_landing_release(struct core *core, struct landing *landing)
{
	core_bundle_release(core, landing->args);
	core_value_release(core, landing->on_error);
	landing->args = NULL;
	landing->on_error = NULL;
}

static void tell_on_error(struct core *core, const struct landing *landing, struct account *account,
						  fos_status status)
{
	struct notice notice = {.account = account,
							.on_error = landing->on_error,
							.trace = landing->trace,
							.span = landing->span,
							.status = status};
	core_notify(core, &notice);
}

static void invoke_then(struct core *core, const struct landing *landing, struct account *account)
{
	const struct value *then = core_bundle_cap(landing->args, FOS_NEXT);
	struct invocation inv;
	core_invocation_init(&inv, account);
	core_invocation_aim(&inv, then);
	inv.bundle = core_bundle_hold(then->bundle);
	inv.on_error = core_value_hold(landing->on_error);
	inv.trace = landing->trace;
	inv.span = landing->span;
	inv.end = landing->end;
	inv.reserved = true;
	fos_status status = core_submit(core, &inv);
	if (status == FOS_OK)
		return;
	core_invocation_drop(core, &inv);
	tell_on_error(core, landing, account, status);
}

static void tell_asker(struct core *core, const struct landing *landing, fos_status status)
{
	if (landing->asker == core->config.node) {
		if (landing->asker_epoch == core->config.epoch)
			core_copy_told(core, landing->copy, status);
		return;
	}
	struct core_ref asker = {.node = landing->asker, .epoch = landing->asker_epoch};
	struct session *session;
	if (core_session_to(core, &asker, &session) != FOS_OK) {
		core->counters.dropped++;
		return;
	}
	struct wire_message_copy_done *message =
		core_session_send(core, session, WIRE_MESSAGE_TYPE_COPY_DONE, sizeof *message);
	message->copy = landing->copy;
	message->epoch = landing->asker_epoch;
	message->status = status;
}

void core_copy_left(struct core *core, const struct landing *landing)
{
	tell_asker(core, landing, FOS_OK);
}

void core_copy_report(struct core *core, const struct landing *landing, struct account *account,
					  fos_status status)
{
	if (landing->args == NULL)
		tell_asker(core, landing, status);
	else if (status == FOS_OK)
		invoke_then(core, landing, account);
	else
		tell_on_error(core, landing, account, status);
}

void core_copy_span(struct core *core, const struct landing *landing, uint64_t begin,
					uint64_t bytes, const struct object *dst)
{
	struct core_output *out = core_output_add(core, CORE_SPAN);
	out->span = (struct core_span){.trace = landing->trace,
								   .id = base_random_next(&core->random),
								   .parent = landing->span,
								   .begin = begin,
								   .end = core->now,
								   .bytes = bytes,
								   .process = dst->process->serial,
								   .kind = CORE_SPAN_COPY};
	core->counters.copies++;
	core->counters.copy_bytes += bytes;
}

/* ------------------------------------------------------------------ the call's record */

void core_copy_end(struct core *core, struct copy *copy, fos_status status)
{
	core_complete(core, &copy->caller, status);
	if (PLANTED(complete_twice))
		core_complete(core, &copy->caller, status);
	core_timer_stop(core, &copy->timer);
	list_remove(&copy->of_process);
	copy->process->usage.copies--;
	copy->process->values -= copy->weight;
	core_tracked_unuse(copy->used[0]);
	core_tracked_unuse(copy->used[1]);
	core_value_release(core, copy->on_error);
	core_table_remove(&core->copies, copy->id);
	core_free(core, copy, sizeof *copy);
}

/* What became of a copy whose call has completed already. */
static void end_taken(struct core *core, struct copy *copy, fos_status status)
{
	struct value *on_error = status != FOS_OK ? core_value_hold(copy->on_error) : NULL;
	struct notice notice = {.account = &copy->process->account,
							.on_error = on_error,
							.trace = copy->trace,
							.span = copy->span,
							.status = status};
	core_copy_end(core, copy, FOS_OK);
	core_notify(core, &notice);
	core_value_release(core, on_error);
}

void core_copy_told(struct core *core, uint64_t id, fos_status status)
{
	struct table_entry *entry = core_table_get(&core->copies, id);
	struct copy *copy = entry != NULL ? entry->content : NULL;
	if (copy != NULL && copy->taken)
		end_taken(core, copy, status);
	else if (copy != NULL)
		core_copy_end(core, copy, status);
}

/* The source's owner will go on with it: for the caller it is done. */
static void taken(struct core *core, struct copy *copy)
{
	core_complete(core, &copy->caller, FOS_OK);
	copy->caller.channel = NULL;
	copy->taken = true;
	core_timer_stop(core, &copy->timer);
}

void core_receive_copy_done(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_copy_done *message = (const void *)bytes;
	(void)session;
	if (message->epoch == core->config.epoch)
		core_copy_told(core, message->copy, (fos_status)message->status);
}

/* Whatever the lost peer had to do with it: the bytes may have landed or not. */
void core_copies_session_end(struct core *core, const struct session *session)
{
	for (uint32_t i = 0; i < core->copies.used; i++) {
		struct table_entry *entry = core_table_at(&core->copies, i);
		struct copy *copy = entry != NULL ? entry->content : NULL;
		if (copy == NULL)
			continue;
		if (copy->taken && copy->src_node == session->node)
			end_taken(core, copy, FOS_OUTCOME_UNKNOWN);
		else if (!copy->taken &&
				 (copy->src_node == session->node || copy->dst_node == session->node))
			core_copy_end(core, copy, FOS_OUTCOME_UNKNOWN);
	}
}

struct request {                    /* memory_copy, understood */
	struct value *dst, *src, *then; /* borrowed */
	struct invocation inherited;    /* on_error (borrowed), trace, span, end */
};

static struct copy *add_copy(struct core *core, const struct caller *caller,
							 const struct request *request)
{
	uint64_t weight =
		core_value_weight(request->then) + core_value_weight(request->inherited.on_error);
	struct process *process = caller->channel->process;
	if (!core_space_fits(core, process, 0, weight))
		return NULL;
	struct copy *copy = core_alloc(core, sizeof *copy);
	if (copy == NULL)
		return NULL;
	*copy = (struct copy){.process = process,
						  .caller = *caller,
						  .src_node = request->src->ref.node,
						  .dst_node = request->dst->ref.node,
						  .weight = weight,
						  .trace = request->inherited.trace,
						  .span = request->inherited.span};
	copy->id = core_table_add(core, &core->copies, copy);
	if (copy->id == 0) {
		core_free(core, copy, sizeof *copy);
		return NULL;
	}
	copy->used[0] = core_value_tracked(request->dst);
	copy->used[1] = core_value_tracked(request->src);
	core_tracked_use(copy->used[0]);
	core_tracked_use(copy->used[1]);
	if (request->then != NULL)
		copy->on_error = core_value_hold(request->inherited.on_error);
	list_push(&process->copies, &copy->of_process);
	core_timer_init(&copy->timer, TIMER_COPY);
	process->usage.copies++;
	process->values += weight;
	return copy;
}

/* ------------------------------------------------------------------ asking another node */

static void free_ask(struct core *core, struct ask *ask)
{
	core_bundle_release(core, ask->args);
	core_value_release(core, ask->on_error);
	core_free(core, ask, sizeof *ask);
}

void core_ask_send(struct core *core, struct session *session, struct ask *ask)
{
	struct table_entry *entry = core_table_get(&core->copies, ask->copy);
	/* Its time is over, or its Process: the end was told. */
	if (entry == NULL) {
		free_ask(core, ask);
		return;
	}
	struct plan plan;
	fos_status status = core_plan(ask->args, ask->on_error, &plan);
	BASE_ASSERT(status == FOS_OK);
	status = core_tracked_set_out(core, session, &plan);
	if (status != FOS_OK) {
		core_copy_told(core, ask->copy, status);
		free_ask(core, ask);
		return;
	}
	struct wire_message_copy *message =
		core_session_send(core, session, WIRE_MESSAGE_TYPE_COPY, sizeof *message + plan.size);
	message->copy = ask->copy;
	message->trace = ask->trace;
	message->span = ask->span;
	message->time_left = core_time_left(core, ask->end);
	core_plan_write(&plan, ask->args, ask->on_error, (uint8_t *)(message + 1));
	if (ask->has_then)
		taken(core, entry->content);
	free_ask(core, ask);
}

/* They were never sent. */
void core_asks_session_end(struct core *core, struct session *session)
{
	struct ask *ask;
	while ((ask = LIST_FIRST(&session->asks, struct ask, link)) != NULL) {
		core_copy_told(core, ask->copy, FOS_PEER_LOST);
		list_remove(&ask->link);
		free_ask(core, ask);
	}
}

/* One side of a copy, as it travels. NULL: no memory. */
static struct value *side(struct core *core, struct value *value)
{
	if (!value->tracked)
		return core_value_hold(value);
	return core_value_memory(core, &value->ref, NULL, value->offset, value->length, value->rights);
}

/* The arguments of a COPY: then, dst, src. */
static fos_status make_ask(struct core *core, const struct request *request, struct bundle **out)
{
	struct value *dst = side(core, request->dst), *src = side(core, request->src);
	struct value *table[] = {request->then, dst, src};
	const struct wire_bound bounds[] = {{.index = FOS_NEXT, .value = 0},
										{.index = WIRE_COPY_DST, .value = 1},
										{.index = WIRE_COPY_SRC, .value = 2}};
	unsigned skip = request->then == NULL;
	struct addition add = {.bounds = bounds + skip, .bound_count = 3 - skip, .table = table};
	fos_status status = FOS_QUOTA;
	if (dst != NULL && src != NULL)
		status = core_bundle_merge(core, NULL, &add, false, out);
	core_value_release(core, dst);
	core_value_release(core, src);
	return status;
}

/* ------------------------------------------------------------------ the call */

static fos_status find_then(const struct built *built, struct request *request)
{
	const struct addition *call = &built->call;
	if (call->range_count > 0 || call->bound_count > 1 ||
		(call->bound_count == 1 && call->bounds[0].index != FOS_NEXT))
		return FOS_INVALID;
	if (call->bound_count == 0)
		return FOS_OK;
	request->then = built->table[call->bounds[0].value];
	if (request->then->kind != FOS_REQUEST)
		return FOS_WRONG_TYPE;
	if (call->on_error != NULL)
		request->inherited.on_error = call->on_error;
	else if (request->then->bundle != NULL && request->then->bundle->on_error != NULL)
		request->inherited.on_error = request->then->bundle->on_error;
	return FOS_OK;
}

static fos_status understand(struct core *core, struct process *process,
							 const struct wire_call_memory_copy *call, const struct built *built,
							 struct request *out)
{
	out->dst = core_args_named(process, built, call->dst);
	out->src = core_args_named(process, built, call->src);
	out->then = NULL;
	if (out->dst == NULL || out->src == NULL)
		return FOS_NO_CAP;
	if (out->dst->kind != FOS_MEMORY || out->src->kind != FOS_MEMORY)
		return FOS_WRONG_TYPE;
	if (!(out->src->rights & FOS_READ) || !(out->dst->rights & FOS_WRITE))
		return FOS_DENIED;
	if (out->dst->length < out->src->length)
		return FOS_RANGE;
	core_invocation_init(&out->inherited, &process->account);
	fos_status status = core_invocation_inherit(core, process, call->delivery, call->trace,
												call->time, &out->inherited);
	if (status == FOS_OK)
		status = find_then(built, out);
	const struct account *account = &process->account;
	if (status == FOS_OK && (process->usage.copies >= core->config.limits.copies ||
							 account->parked - account->finishing >= core->config.limits.parked))
		status = FOS_QUOTA;
	return status;
}

static fos_status start_here(struct core *core, struct copy *copy, const struct request *request)
{
	struct outgoing want = {.process = copy->process,
							.dst_ref = request->dst->ref,
							.src_offset = request->src->offset,
							.dst_offset = request->dst->offset,
							.length = request->src->length};
	fos_status status = core_object_find(core, &request->src->ref, &want.src);
	if (status != FOS_OK)
		return status;
	want.landing = (struct landing){.on_error = request->inherited.on_error,
									.asker = core->config.node,
									.asker_epoch = core->config.epoch,
									.copy = copy->id,
									.trace = request->inherited.trace,
									.span = request->inherited.span,
									.end = request->inherited.end};
	static const struct wire_bound next = {.index = FOS_NEXT};
	struct value *table[] = {request->then};
	struct addition add = {.bounds = &next, .bound_count = request->then != NULL, .table = table};
	status = core_bundle_merge(core, NULL, &add, false, &want.landing.args);
	if (status != FOS_OK)
		return status;
	status = core_outgoing_start(core, &want);
	core_bundle_release(core, want.landing.args);
	return status;
}

static fos_status start_there(struct core *core, struct copy *copy, const struct request *request)
{
	struct session *session;
	fos_status status = core_session_to(core, &request->src->ref, &session);
	if (status != FOS_OK)
		return status;
	struct ask *ask = core_alloc(core, sizeof *ask);
	if (ask == NULL)
		return FOS_QUOTA;
	CORE_COVER(core, copy_ask);
	*ask = (struct ask){.copy = copy->id,
						.on_error = core_value_hold(request->inherited.on_error),
						.trace = request->inherited.trace,
						.span = request->inherited.span,
						.end = request->inherited.end,
						.has_then = request->then != NULL};
	struct plan plan;
	status = make_ask(core, request, &ask->args);
	if (status == FOS_OK)
		status = core_plan(ask->args, ask->on_error, &plan);
	if (status != FOS_OK) {
		free_ask(core, ask);
		return status;
	}
	core_timer_start(core, &copy->timer, request->inherited.end);
	list_push(&session->asks, &ask->link);
	core_session_dirty(core, session);
	return FOS_OK;
}

void core_call_memory_copy(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	const struct wire_call_memory_copy *call = (const void *)bytes;
	struct process *process = caller->channel->process;
	struct wire_tail tail;
	struct built built;
	struct request request;
	wire_call_tail(bytes, &tail);
	fos_status status = core_args_build_call(core, process, &tail.args, &built);
	if (status != FOS_OK) {
		core_complete(core, caller, status);
		return;
	}
	status = understand(core, process, call, &built, &request);
	struct copy *copy = NULL;
	if (status == FOS_OK) {
		copy = add_copy(core, caller, &request);
		if (copy == NULL)
			status = FOS_QUOTA;
		else if (request.src->ref.node == core->config.node)
			status = start_here(core, copy, &request);
		else
			status = start_there(core, copy, &request);
	}
	if (copy != NULL && status != FOS_OK)
		core_copy_end(core, copy, status);
	else if (status != FOS_OK)
		core_complete(core, caller, status);
	core_args_release(core, &built);
}
