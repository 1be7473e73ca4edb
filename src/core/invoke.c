/* Invocations on their way: from a call to the target's owner.
 *
 *     Process            its Controller                         owner                provider
 *       | request_invoke      |                                   |                      |
 *       |-------------------->| merge bound and added arguments   |                      |
 *       |<--------------------| OK: taken                         |                      |
 *       |                     | INVOKE (credit of class INVOKE)   |                      |
 *       |                     |---------------------------------->| a place?   DELIVERY  |
 *       |                     |                                   |--------------------->|
 *       |                     |<----------------------------------| credit; or BOUNCE    |
 *
 * Where an invocation of this node can be:
 *
 *     submitted -> delivered                       owner here, with a place
 *               -> waits at the owner (waiter)     owner here, inbox full
 *               -> queued for a credit -> in flight -> gone with its credit
 *                                              '----> parked (park.c) -> queued again
 *
 * In flight the record stays, so that the loss of the session can be told to on_error
 * (OUTCOME_UNKNOWN), and a bounce brings nothing back but its number. */
#include "core/core_internal.h"

/* ------------------------------------------------------------------ records and accounts */

void core_account_init(struct account *account, struct process *process)
{
	*account = (struct account){.process = process};
	list_init(&account->invocations);
}

void core_invocation_init(struct invocation *inv, struct account *account)
{
	*inv = (struct invocation){.account = account};
}

struct invocation *core_invocation_keep(struct core *core, const struct invocation *inv)
{
	struct invocation *kept = core_alloc(core, sizeof *kept);
	if (kept == NULL)
		return NULL;
	*kept = *inv;
	list_push(&kept->account->invocations, &kept->owned);
	core_timer_init(&kept->timer, TIMER_INVOCATION);
	return kept;
}

/* What it holds by value, charged while it waits. In flight it is bounded by the credits. */
static uint64_t weight_of(const struct invocation *inv)
{
	uint64_t weight = inv->bundle != NULL ? inv->bundle->weight : 0;
	return weight + core_value_weight(inv->on_error);
}

bool core_may_wait(const struct core *core, const struct invocation *inv)
{
	const struct account *account = inv->account;
	bool kept = inv->finishing || inv->reserved;
	uint64_t weight = weight_of(inv);
	if (account->process != NULL && !(kept && weight <= KEPT_BYTES) &&
		!core_space_fits(core, account->process, 0, weight))
		return false;
	if (kept)
		return true;
	uint32_t waiting = account->parked - account->finishing;
	if (account->process != NULL)
		return waiting < core->config.limits.parked;
	return waiting < (account == &core->house ? (uint32_t)KEPT_FOR_DEAD : KEPT_FOR_PEER);
}

static void count(struct invocation *inv)
{
	inv->waiting = true;
	inv->account->parked++;
	if (inv->finishing)
		inv->account->finishing++;
	if (inv->account->process != NULL)
		inv->account->process->values += weight_of(inv);
}

void core_invocation_wait(struct core *core, struct invocation *inv)
{
	BASE_ASSERT(!inv->waiting);
	count(inv);
	core_timer_start(core, &inv->timer, inv->end);
}

static void discount(struct core *core, struct invocation *inv)
{
	if (!inv->waiting)
		return;
	inv->waiting = false;
	inv->account->parked--;
	if (inv->account->process != NULL)
		inv->account->process->values -= weight_of(inv);
	if (!inv->finishing)
		return;
	inv->account->finishing--;
	if (inv->account->process != NULL)
		core_process_wake(core, inv->account->process);
}

void core_invocation_go(struct core *core, struct invocation *inv)
{
	discount(core, inv);
	core_timer_stop(core, &inv->timer);
}

void core_account_move(struct core *core, struct invocation *inv, struct account *to)
{
	bool waiting = inv->waiting;
	discount(core, inv);
	list_remove(&inv->owned);
	inv->account = to;
	list_push(&to->invocations, &inv->owned);
	if (waiting)
		count(inv);
}

void core_account_end(struct core *core, struct account *account)
{
	struct invocation *inv;
	while ((inv = LIST_FIRST(&account->invocations, struct invocation, owned)) != NULL)
		core_account_move(core, inv, &core->house);
}

void core_invocation_aim(struct invocation *inv, const struct value *request)
{
	inv->target = request->ref;
	inv->tracked = core_value_tracked(request);
	core_tracked_use(inv->tracked);
}

void core_invocation_drop(struct core *core, struct invocation *inv)
{
	core_tracked_unuse(inv->tracked);
	inv->tracked = NULL;
	core_bundle_release(core, inv->bundle);
	core_value_release(core, inv->on_error);
	core_exception_free(core, inv->exception);
	inv->bundle = NULL;
	inv->on_error = NULL;
	inv->exception = NULL;
}

void core_invocation_free(struct core *core, struct invocation *inv)
{
	core_invocation_go(core, inv);
	list_remove(&inv->link);
	if (inv->waiter != NULL)
		core_waiter_left(core, inv);
	if (inv->park != NULL)
		core_park_left(core, inv);
	if (inv->retry)
		core_park_unused(core, inv);
	list_remove(&inv->owned);
	core_invocation_drop(core, inv);
	core_free(core, inv, sizeof *inv);
}

void core_invocation_fail(struct core *core, struct invocation *inv, fos_status status)
{
	CORE_COVER(core, inv_fail);
	/* Its notice takes its room. */
	struct value *on_error = core_value_hold(inv->on_error);
	struct notice notice = {.account = inv->account,
							.on_error = inv->exception == NULL ? on_error : NULL,
							.trace = inv->trace,
							.span = inv->span,
							.status = status,
							.reserved = inv->finishing};
	if (inv->exception != NULL)
		core->counters.dropped++;
	core_invocation_free(core, inv);
	if (!PLANTED(exception_lost))
		core_notify(core, &notice);
	core_value_release(core, on_error);
}

void core_invocation_expired(struct core *core, struct invocation *inv)
{
	CORE_COVER(core, inv_expire);
	core->counters.parked_expired++;
	core_invocation_fail(core, inv, FOS_BUSY);
}

/* ------------------------------------------------------------------ the sender */

static fos_status submit_here(struct core *core, struct invocation *inv)
{
	struct object *object;
	fos_status status = core_object_find(core, &inv->target, &object);
	if (status == FOS_REVOKED && core_serial_is_once(inv->target.serial)) {
		core->counters.dropped++;
		core_invocation_drop(core, inv);
		return FOS_OK;
	}
	if (status != FOS_OK)
		return status;
	if (object->kind != FOS_REQUEST)
		return FOS_WRONG_TYPE;
	return core_arrive(core, inv, object, NULL);
}

static fos_status submit_there(struct core *core, struct invocation *inv)
{
	struct session *session;
	struct plan plan;
	fos_status status = core_session_to(core, &inv->target, &session);
	if (status == FOS_OK)
		status = core_plan(inv->bundle, inv->on_error, &plan);
	if (status != FOS_OK)
		return status;
	struct park *park = core_park_find(core, session, &inv->target);
	enum wire_class class = inv->exception != NULL ? WIRE_CLASS_ERROR : WIRE_CLASS_INVOKE;
	bool now = park == NULL && core_session_has_credit(session, class);
	if (!now && !core_may_wait(core, inv))
		return FOS_QUOTA;
	struct invocation *kept = core_invocation_keep(core, inv);
	if (kept == NULL)
		return FOS_QUOTA;
	if (now)
		status = core_tracked_set_out(core, session, &plan);
	if (status != FOS_OK) {
		list_remove(&kept->owned);
		core_free(core, kept, sizeof *kept);
		return status;
	}
	if (park != NULL)
		core_park_append(core, park, kept);
	else if (now)
		core_session_post(core, session, kept, &plan);
	else
		core_session_invoke(core, session, kept);
	return FOS_OK;
}

fos_status core_submit(struct core *core, struct invocation *inv)
{
	fos_status status = inv->tracked != NULL ? core_tracked_usable(inv->tracked) : FOS_OK;
	if (status != FOS_OK)
		return status;
	return inv->target.node == core->config.node ? submit_here(core, inv) : submit_there(core, inv);
}

fos_status core_invocation_inherit(struct core *core, struct process *process, uint64_t delivery_id,
								   uint64_t trace, uint64_t time, struct invocation *inv)
{
	const struct delivery *delivery = NULL;
	if (delivery_id != 0) {
		delivery = core_delivery_find(process, delivery_id);
		if (delivery == NULL)
			return FOS_INVALID;
		inv->on_error = delivery->on_error;
		inv->trace = delivery->trace;
		inv->span = delivery->span;
		inv->end = delivery->end;
	} else {
		inv->trace = trace ? trace : base_random_next(&core->random);
		inv->end = core_time_end(core, core->config.default_time);
	}
	if (time != 0)
		inv->end = core_time_end(core, time);
	return FOS_OK;
}

fos_status core_invocation_address(struct core *core, struct invocation *inv,
								   const struct value *request, const struct addition *add)
{
	if (request->kind != FOS_REQUEST ||
		(add->on_error != NULL && add->on_error->kind != FOS_REQUEST))
		return FOS_WRONG_TYPE;
	fos_status status = core_bundle_merge(core, request->bundle, add, true, &inv->bundle);
	if (status != FOS_OK)
		return status;
	core_invocation_aim(inv, request);
	struct value *inherited = inv->on_error;
	bool own = inv->bundle != NULL && inv->bundle->on_error != NULL;
	inv->on_error = core_value_hold(own ? inv->bundle->on_error : inherited);
	return FOS_OK;
}

void core_call_request_invoke(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	const struct wire_call_request_invoke *call = (const void *)bytes;
	struct process *process = caller->channel->process;
	struct wire_tail tail;
	struct built built;
	wire_call_tail(bytes, &tail);
	fos_status status = core_args_build_call(core, process, &tail.args, &built);
	if (status != FOS_OK) {
		core_complete(core, caller, status);
		return;
	}
	struct invocation inv;
	core_invocation_init(&inv, &process->account);
	const struct value *request = core_args_named(process, &built, call->cap);
	if (request == NULL)
		status = FOS_NO_CAP;
	else
		status =
			core_invocation_inherit(core, process, call->delivery, call->trace, call->time, &inv);
	if (status == FOS_OK) {
		status = core_invocation_address(core, &inv, request, &built.call);
		if (status == FOS_OK) {
			status = core_submit(core, &inv);
			if (status != FOS_OK)
				core_invocation_drop(core, &inv);
		}
	}
	core_complete(core, caller, status);
	core_args_release(core, &built);
}

/* ------------------------------------------------------------------ the owner */

static const char malformed[] = "an invocation with arguments that cannot be";

/* QUOTA: there is no memory for it; else malformed. inv has no arguments then. */
static fos_status take_arguments(struct core *core, struct session *session,
								 const struct wire_args_view *view, struct invocation *inv)
{
	struct built built;
	fos_status status = core_args_build_message(core, session, view, &built);
	if (status != FOS_OK)
		return status;
	inv->on_error = core_args_take_on_error(&built);
	status = core_bundle_merge(core, NULL, &built.call, true, &inv->bundle);
	core_args_release(core, &built);
	if (status == FOS_OK)
		return FOS_OK;
	core_value_release(core, inv->on_error);
	inv->on_error = NULL;
	return status;
}

/* There was no memory to read it: its sender, who still has it, tells on_error. */
static void lost(struct core *core, struct session *session, const struct invocation *inv,
				 struct object *object, bool exception)
{
	CORE_COVER(core, inv_lost);
	if (object != NULL && object->once)
		core_once_refuse(core, object);
	else if (object != NULL)
		core_inbox_lost(core, object, session, inv->retry, inv->more);
	if (exception || core_serial_is_once(inv->target.serial))
		core->counters.dropped++;
	else
		core_inbox_bounce(core, session, &inv->target, inv->order, FOS_QUOTA);
}

static void tell_refused(struct core *core, struct session *session, struct invocation *inv,
						 fos_status status)
{
	bool silent = inv->exception != NULL || core_serial_is_once(inv->target.serial);
	struct notice notice = {.account = &session->account,
							.on_error = silent ? NULL : inv->on_error,
							.trace = inv->trace,
							.span = inv->span,
							.status = status};
	if (silent)
		core->counters.dropped++;
	if (!PLANTED(refusal_untold))
		core_notify(core, &notice);
	core_invocation_drop(core, inv);
}

void core_receive_invoke(struct core *core, struct session *session, const uint8_t *bytes)
{
	/* INVOKE and ERROR have one layout. */
	const struct wire_message_invoke *message = (const void *)bytes;
	struct wire_tail tail;
	struct invocation inv;
	struct object *object;
	wire_message_tail(bytes, &tail);
	core_invocation_init(&inv, &session->account);
	inv.target =
		(struct core_ref){core->config.node, message->index, message->epoch, message->serial};
	inv.trace = message->trace;
	inv.span = message->span;
	inv.end =
		core_time_end(core, PLANTED(time_anew) ? core->config.default_time : message->time_left);
	inv.order = message->order;
	inv.retry = message->retry;
	inv.more = message->more;
	fos_status found = core_object_find(core, &inv.target, &object);
	if (found == FOS_OK && object->kind != FOS_REQUEST) {
		found = FOS_WRONG_TYPE;
		object = NULL;
	}
	fos_status status = take_arguments(core, session, &tail.args, &inv);
	if (status != FOS_OK && status != FOS_QUOTA) {
		core_session_break(core, session, malformed);
		return;
	}
	if (object == NULL && inv.more > 0)
		core_inbox_refuse(core, session, &inv.target, inv.more);
	if (status != FOS_OK) {
		lost(core, session, &inv, object, tail.exception != NULL);
		return;
	}
	if (tail.exception != NULL)
		inv.exception = core_exception_copy(core, tail.exception, tail.detail);
	status = object != NULL ? core_arrive(core, &inv, object, session) : found;
	if (status != FOS_OK)
		tell_refused(core, session, &inv, status);
}
