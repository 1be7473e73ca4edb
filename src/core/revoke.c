/* cap_revoke of own objects.
 *
 *     Process                      Controller                          shell
 *       | cap_revoke                  |                                   |
 *       |---------------------------->| dead at once: no delivery, no     |
 *       |                             | slice begins any more             |
 *       |                             |<----------------------------------| slices under way end
 *       |<----------------------------| OK                                |
 *
 * So when it returns no byte is read or written through the object any more. */
#include "core/core_internal.h"

/* Completes when the slices that the shell is working on are done. */
static fos_status wait_for_slices(struct core *core, const struct caller *caller,
								  struct object *object)
{
	struct revoking *revoking = core_alloc(core, sizeof *revoking);
	if (revoking == NULL)
		return FOS_QUOTA;
	*revoking = (struct revoking){.object = object, .caller = *caller};
	list_init(&revoking->of_process);
	list_push(&caller->channel->process->revokings, &revoking->of_process);
	object->memory.revoking = revoking;
	return FOS_OK;
}

void core_revoking_end(struct core *core, struct revoking *revoking)
{
	core_complete(core, &revoking->caller, FOS_OK);
	list_remove(&revoking->of_process);
	core_free(core, revoking, sizeof *revoking);
}

void core_call_cap_revoke(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	const struct wire_call_cap_revoke *call = (const void *)bytes;
	struct process *process = caller->channel->process;
	const struct value *value = core_slot_value(process, call->cap);
	struct object *object = NULL;
	fos_status status = FOS_OK;
	if (value == NULL)
		status = FOS_NO_CAP;
	else if (value->ref.node != core->config.node)
		status = FOS_DENIED;
	else
		status = core_object_find(core, &value->ref, &object);
	if (status == FOS_OK && object->process != process)
		status = FOS_DENIED;
	bool wait = status == FOS_OK && object->kind == FOS_MEMORY && object->busy > 0;
	if (wait)
		status = wait_for_slices(core, caller, object);
	if (status == FOS_OK)
		core_object_kill(core, object);
	if (!wait || status != FOS_OK)
		core_complete(core, caller, status);
}
