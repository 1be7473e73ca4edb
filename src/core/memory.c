/* Memory: an object over bytes of the maker's arena, and narrower views of it, which are values. */
#include "core/core_internal.h"

void core_call_memory_create(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	const struct wire_call_memory_create *call = (const void *)bytes;
	struct process *process = caller->channel->process;
	struct object *object;
	struct value *value = NULL;
	if (call->length == 0 || call->segment >= core->config.limits.segments ||
		!base_range_inside(call->offset, call->length, process->segments[call->segment])) {
		core_complete(core, caller, FOS_INVALID);
		return;
	}
	fos_status status = core_object_create(core, process, FOS_MEMORY, false, &object);
	if (status != FOS_OK) {
		core_complete(core, caller, status);
		return;
	}
	object->memory.segment = call->segment;
	object->memory.rights = call->rights;
	object->memory.offset = call->offset;
	object->memory.length = call->length;
	list_init(&object->memory.readers);
	list_init(&object->memory.writers);
	list_init(&object->memory.incoming);
	struct core_ref ref = core_object_ref(core, object);
	uint64_t cap;
	value = core_value_memory(core, &ref, NULL, 0, call->length, (uint8_t)call->rights);
	status = value != NULL ? core_slot_add(core, process, value, false, &cap) : FOS_QUOTA;
	core_value_release(core, value);
	if (status == FOS_OK) {
		core_complete_cap(core, caller, cap);
	} else {
		core_object_kill(core, object, FOS_GONE_NOT);
		core_complete(core, caller, status);
	}
}

fos_status core_memory_part(struct core *core, const struct value *value, uint64_t offset,
							uint64_t length, uint32_t drop, struct value **out)
{
	if (value->kind != FOS_MEMORY)
		return FOS_WRONG_TYPE;
	if (length == 0)
		return FOS_INVALID;
	if (!base_range_inside(offset, length, value->length))
		return FOS_RANGE;
	*out = core_value_memory(
		core, &value->ref, core_value_tracked(value), value->offset + offset, length,
		PLANTED(widen) ? FOS_READ | FOS_WRITE : (uint8_t)(value->rights & ~drop));
	return *out != NULL ? FOS_OK : FOS_QUOTA;
}

void core_call_memory_diminish(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	const struct wire_call_memory_diminish *call = (const void *)bytes;
	const struct value *value = core_slot_value(caller->channel->process, call->cap);
	struct value *part = NULL;
	fos_status status = FOS_NO_CAP;
	if (value != NULL)
		status = core_memory_part(core, value, call->offset, call->length, call->drop, &part);
	core_complete_value(core, caller, status, part);
}
