/* Calls: what is the same for all of them, from submission to completion. What each may end with,
 * and what its success changes, is in the file of its family.
 *
 * A call that its own Controller answers alone has one outcome, told from the oracle's tables at
 * its submission; only where the state is "maybe", or a limit is near, are there several. A call
 * that waits for others may end with whatever has come to explain it by then. */
#include "sim/oracle_call.h"

static const struct oracle_kind null_call = {0};

static const struct oracle_kind *const kinds[] = {
	[WIRE_CALL_TYPE_NULL] = &null_call,
	[WIRE_CALL_TYPE_MEMORY_CREATE] = &oracle_memory_create,
	[WIRE_CALL_TYPE_MEMORY_DIMINISH] = &oracle_memory_diminish,
	[WIRE_CALL_TYPE_MEMORY_COPY] = &oracle_memory_copy,
	[WIRE_CALL_TYPE_REQUEST_CREATE] = &oracle_request_create,
	[WIRE_CALL_TYPE_REQUEST_REFINE] = &oracle_request_refine,
	[WIRE_CALL_TYPE_REQUEST_INVOKE] = &oracle_request_invoke,
	[WIRE_CALL_TYPE_CONTINUE] = &oracle_continue,
	[WIRE_CALL_TYPE_FAIL] = &oracle_fail,
	[WIRE_CALL_TYPE_FINISH] = &oracle_finish,
	[WIRE_CALL_TYPE_CAP_CLOSE] = &oracle_cap_close,
	[WIRE_CALL_TYPE_CAP_KEEP] = &oracle_cap_keep,
	[WIRE_CALL_TYPE_CAP_INFO] = &oracle_cap_info,
	[WIRE_CALL_TYPE_CAP_IS_SAME] = &oracle_cap_is_same,
	[WIRE_CALL_TYPE_CAP_REVOKE] = &oracle_cap_revoke,
	[WIRE_CALL_TYPE_REGISTRY_GET] = &oracle_registry_get,
	[WIRE_CALL_TYPE_REGISTRY_SET] = &oracle_registry_set,
	[WIRE_CALL_TYPE_CAP_REVTREE] = &oracle_cap_revtree,
	[WIRE_CALL_TYPE_MONITOR_RECEIVE] = &oracle_monitor_receive,
	[WIRE_CALL_TYPE_MONITOR_DELEGATE] = &oracle_monitor_delegate,
};

static const struct oracle_kind *kind_of(const struct oracle_call *call)
{
	return kinds[call->type];
}

static uint64_t cookie_hash(const struct oracle_process *process, uint64_t cookie)
{
	return base_mix64(cookie ^ base_mix64((uintptr_t)process));
}

/* ------------------------------------------------------------------ submission */

void oracle_submitted(struct oracle *o, struct oracle_process *process,
					  const struct core_event *event)
{
	o->caller = process;
	o->counts.calls++;
	if (!wire_check_call(event->bytes, event->size)) {
		o->must_end_process = true;
		return;
	}
	const struct wire_record *head = (const void *)event->bytes;
	struct oracle_call *call = oracle_alloc(o, sizeof *call);
	*call = (struct oracle_call){.process = process,
								 .channel = event->channel,
								 .cookie = head->cookie,
								 .type = head->type,
								 .moment = o->moment,
								 .time = o->now,
								 .may = MAY(OK)};
	list_init(&call->hash);
	list_init(&call->of_process);
	list_push(&process->calls, &call->of_process);
	BASE_ASSERT(head->type < BASE_COUNT(kinds) && kinds[head->type] != NULL);
	process->touched = false;
	if (kind_of(call)->submit != NULL)
		kind_of(call)->submit(o, call, event->bytes);
	call->uncertain = process->touched;
	o->current = call;
}

void oracle_call_end(struct oracle *o, struct oracle_call *call)
{
	list_remove(&call->hash);
	list_remove(&call->of_process);
	if (kind_of(call)->end != NULL)
		kind_of(call)->end(o, call);
	oracle_release(o, call->value);
	oracle_release(o, call->named);
	if (call->fresh != NULL && list_empty(&call->fresh->hash))
		oracle_free(o, call->fresh, sizeof *call->fresh);
	if (o->current == call)
		o->current = NULL;
	oracle_free(o, call, sizeof *call);
}

void oracle_calls_settle(struct oracle *o)
{
	struct oracle_call *call = o->current;
	if (call == NULL)
		return;
	o->current = NULL;
	if (!call->waits && call->process->alive && !call->process->ending)
		oracle_violate(o, "%s of %s was not completed", wire_call_name(call->type),
					   oracle_name(call->process));
	list_push(oracle_bucket(o->calls, cookie_hash(call->process, call->cookie)), &call->hash);
	oracle_copy_number(o, call);
	/* From this step on nothing passes through what its own Controller kills. */
	if (call->kills && call->object->node == call->process->node)
		oracle_kill(o, call->object, ORACLE_DEAD, ORACLE_BY_REVOKE);
}

/* ------------------------------------------------------------------ completion */

void oracle_count_status(struct oracle *o, fos_status status)
{
	o->counts.completions++;
	o->counts.statuses[status]++;
	if (status == FOS_OUTCOME_UNKNOWN || status == FOS_PEER_LOST || status == FOS_STALE ||
		status == FOS_CONTROLLER_LOST)
		o->counts.explained++;
	if (status == FOS_QUOTA || status == FOS_BUSY)
		o->counts.limits++;
}

static void check_slot(struct oracle *o, const struct oracle_call *call,
					   const struct core_view_slot *seen, const struct oracle_value *value)
{
	const struct oracle_thing *thing = value->object;
	if (seen->ref.serial != thing->serial || seen->ref.index != thing->index ||
		seen->ref.node != thing->node || seen->ref.epoch != thing->epoch ||
		seen->kind != value->kind ||
		(value->kind == FOS_MEMORY &&
		 (seen->offset != value->offset || seen->length != value->length ||
		  seen->rights != value->rights)) ||
		seen->hash != value->hash)
		oracle_violate(o, "%s of %s gave another capability than it was asked for",
					   wire_call_name(call->type), oracle_name(call->process));
}

static void take_slot(struct oracle *o, struct oracle_call *call, uint64_t cap)
{
	struct oracle_process *process = call->process;
	const struct core *core = o->config.core_of(o->config.context, process->node);
	struct core_view_slot seen;
	if (cap == 0 || !core_inspect_slot(core, process->serial, cap, &seen)) {
		oracle_violate(o, "%s of %s gave no slot", wire_call_name(call->type),
					   oracle_name(process));
		return;
	}
	if (kind_of(call)->learn != NULL)
		kind_of(call)->learn(o, call, &seen);
	if (o->violated)
		return;
	check_slot(o, call, &seen, call->value);
	oracle_slot_add(o, process, cap, call->value, false);
}

static void completed(struct oracle *o, struct oracle_call *call,
					  const struct wire_answer_completion *answer)
{
	const struct oracle_kind *kind = kind_of(call);
	fos_status status = (fos_status)answer->status;
	uint32_t may = call->waits && kind->now != NULL ? kind->now(o, call, status) : call->may;
	if (call->uncertain)
		may |= MAY(NO_CAP) | MAY(PEER_LOST) | MAY(STALE) | MAY(REVOKED);
	oracle_count_status(o, status);
	o->counts.maybes += (may & (may - 1)) != 0;
	if (!(may >> status & 1) && !(status == FOS_QUOTA && oracle_quota_explained(o, call))) {
		oracle_violate(o, "%s of %s ended with %s, which nothing explains (allowed: %#x)",
					   wire_call_name(call->type), oracle_name(call->process),
					   fos_status_name(status), may);
		return;
	}
	bool gives = status == FOS_OK && kind->gives_slot;
	if (answer->same != (status == FOS_OK && call->same) || (answer->cap != 0 && !gives)) {
		oracle_violate(o, "%s of %s said more than it was asked, or the wrong thing",
					   wire_call_name(call->type), oracle_name(call->process));
		return;
	}
	if (gives)
		take_slot(o, call, answer->cap);
	else if (status == FOS_OK && kind->succeed != NULL)
		kind->succeed(o, call);
	else if (status != FOS_OK && kind->refused != NULL)
		kind->refused(o, call, status);
}

/* ------------------------------------------------------------------ answers */

static uint16_t answer_of(const struct oracle_call *call)
{
	switch (call->type) {
	case WIRE_CALL_TYPE_CAP_INFO:
		return WIRE_ANSWER_TYPE_INFO;
	case WIRE_CALL_TYPE_MONITOR_RECEIVE:
	case WIRE_CALL_TYPE_MONITOR_DELEGATE:
		return WIRE_ANSWER_TYPE_MONITORED;
	default:
		return WIRE_ANSWER_TYPE_COMPLETION;
	}
}

static bool is_answer(const struct oracle_call *call, const struct oracle_process *process,
					  uint32_t channel, const struct wire_record *head)
{
	return call->process == process && call->channel == channel && call->cookie == head->cookie &&
		   answer_of(call) == head->type;
}

static struct oracle_call *find_call(struct oracle *o, const struct oracle_process *process,
									 uint32_t channel, const struct wire_record *head)
{
	if (o->current != NULL && is_answer(o->current, process, channel, head))
		return o->current;
	struct list *bucket = oracle_bucket(o->calls, cookie_hash(process, head->cookie));
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct oracle_call *call = BASE_CONTAINER(at, struct oracle_call, hash);
		if (is_answer(call, process, channel, head))
			return call;
	}
	return NULL;
}

void oracle_answered(struct oracle *o, struct oracle_process *process, uint32_t channel,
					 const uint8_t *bytes)
{
	const struct wire_record *head = (const void *)bytes;
	struct oracle_call *call = find_call(o, process, channel, head);
	if (call == NULL) {
		oracle_violate(o,
					   "a completion for %s, cookie %llu, of no call, or of one completed before",
					   oracle_name(process), (unsigned long long)head->cookie);
		return;
	}
	if (head->type == WIRE_ANSWER_TYPE_INFO)
		oracle_informed(o, call, (const void *)bytes);
	else if (head->type == WIRE_ANSWER_TYPE_MONITORED)
		oracle_monitored(o, call, (const void *)bytes);
	else
		completed(o, call, (const void *)bytes);
	oracle_call_end(o, call);
}
