/* Requests: objects whose invocations are delivered to their maker, and refinements of them, which
 * are values. */
#include "core/core_internal.h"

void core_call_request_create(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	const struct wire_call_request_create *call = (const void *)bytes;
	struct channel *channel = caller->channel;
	struct process *process = channel->process;
	struct object *object;
	uint64_t cap;
	fos_status status = core_object_create(core, process, FOS_REQUEST, call->once, &object);
	if (status != FOS_OK) {
		core_complete(core, caller, status);
		return;
	}
	object->request.channel = channel;
	object->request.handler = call->handler;
	list_push(&channel->objects, &object->request.of_channel);
	list_init(&object->request.waiters);
	core_timer_init(&object->request.timer, TIMER_ONCE);
	struct core_ref ref = core_object_ref(core, object);
	struct value *value = core_value_request(core, &ref, NULL, NULL);
	status = value != NULL ? core_slot_add(core, process, value, false, &cap) : FOS_QUOTA;
	core_value_release(core, value);
	if (status == FOS_OK && call->once) {
		status = core_once_reserve(core, object, call->deadline);
		if (status != FOS_OK)
			core_slot_remove(core, process, cap);
	}
	if (status == FOS_OK) {
		core_complete_cap(core, caller, cap);
	} else {
		core_object_kill(core, object, FOS_GONE_NOT);
		core_complete(core, caller, status);
	}
}

void core_call_request_refine(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	const struct wire_call_request_refine *call = (const void *)bytes;
	struct process *process = caller->channel->process;
	struct wire_tail tail;
	struct built built;
	struct value *value = NULL;
	wire_call_tail(bytes, &tail);
	fos_status status = FOS_INVALID;
	if (call->revocable || !call->tracked)
		status = core_args_build_call(core, process, &tail.args, &built);
	if (status != FOS_OK) {
		core_complete(core, caller, status);
		return;
	}
	const struct value *base = core_args_named(process, &built, call->cap);
	if (base == NULL)
		status = FOS_NO_CAP;
	else
		status = core_args_refine(core, base, &built.call, &value);
	if (status == FOS_OK && call->revocable)
		core_child_make(core, caller, value, call->tracked);
	else
		core_complete_value(core, caller, status, value);
	core_args_release(core, &built);
}
