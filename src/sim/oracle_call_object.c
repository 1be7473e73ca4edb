/* memory_create, memory_diminish, request_create: their own Controller answers alone. */
#include "sim/oracle_call.h"

static void memory_create(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	const struct wire_call_memory_create *wire = (const void *)bytes;
	struct oracle_process *process = call->process;
	if (wire->length == 0 || wire->segment >= o->config.core.limits.segments ||
		!base_range_inside(wire->offset, wire->length, process->segments[wire->segment])) {
		oracle_only(call, FOS_INVALID);
		return;
	}
	struct oracle_thing *thing = oracle_thing_new(o, process, FOS_MEMORY);
	thing->segment = wire->segment;
	thing->offset = wire->offset;
	thing->length = wire->length;
	thing->rights = (uint8_t)wire->rights;
	call->fresh = thing;
	call->value = oracle_value_memory(o, thing, 0, wire->length, thing->rights);
}

static void request_create(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	const struct wire_call_request_create *wire = (const void *)bytes;
	struct oracle_thing *thing = oracle_thing_new(o, call->process, FOS_REQUEST);
	thing->channel = call->channel;
	thing->handler = wire->handler;
	thing->is_once = wire->once;
	thing->deadline = UINT64_MAX;
	if (wire->once)
		thing->deadline =
			oracle_end_of(o, wire->deadline ? wire->deadline : o->config.core.default_time);
	call->fresh = thing;
	call->value = oracle_value_request(o, thing, NULL);
}

static void memory_diminish(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	const struct wire_call_memory_diminish *wire = (const void *)bytes;
	const struct oracle_value *value = oracle_slot_value(call->process, wire->cap);
	fos_status status = FOS_NO_CAP;
	if (value != NULL)
		status = oracle_part(o, value, wire->offset, wire->length, wire->drop, &call->value);
	oracle_only(call, status);
}

/* A new object gets the name that its core gave it. */
static void learn_name(struct oracle *o, struct oracle_call *call,
					   const struct core_view_slot *seen)
{
	oracle_thing_name(o, call->fresh, &seen->ref);
	oracle_value_rehash(call->value);
	if (call->fresh->is_once)
		call->process->once_living++;
}

const struct oracle_kind oracle_memory_create = {
	.submit = memory_create,
	.learn = learn_name,
	.gives_slot = true,
};

const struct oracle_kind oracle_request_create = {
	.submit = request_create,
	.learn = learn_name,
	.gives_slot = true,
};

const struct oracle_kind oracle_memory_diminish = {
	.submit = memory_diminish,
	.gives_slot = true,
};
