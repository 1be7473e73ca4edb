/* The owner's table: every use of a capability ends here, at index and serial.
 *
 * A serial never repeats in an epoch; its lowest bit says ONCE, so that a late arrival at a
 * consumed ONCE Request is known for what it is. An object that died stays as a dead entry while
 * deliveries of it are open or the shell still works on slices of it. */
#include "core/core_internal.h"

fos_status core_object_create(struct core *core, struct process *process, uint8_t kind, bool once,
							  struct object **out)
{
	if (process->usage.objects == core->config.limits.objects)
		return FOS_QUOTA;
	struct object *object = core_alloc(core, sizeof *object);
	if (object == NULL)
		return FOS_QUOTA;
	uint64_t handle = core_table_add(core, &core->objects, object);
	if (handle == 0) {
		core_free(core, object, sizeof *object);
		return FOS_QUOTA;
	}
	core->serial += 2;
	*object = (struct object){.serial = core->serial | once,
							  .handle = handle,
							  .kind = kind,
							  .once = once,
							  .process = process};
	list_init(&object->of_process);
	list_push(&process->objects, &object->of_process);
	process->usage.objects++;
	*out = object;
	return FOS_OK;
}

/* While a Process or channel is taken apart, what that sets off must not reach its other objects.
 */
static bool is_ending(const struct object *object)
{
	return object->process->ending ||
		   (object->kind == FOS_REQUEST && object->request.channel->ending);
}

fos_status core_object_find(struct core *core, const struct core_ref *ref, struct object **out)
{
	*out = NULL;
	if (ref->epoch != core->config.epoch)
		return FOS_STALE;
	const struct table_entry *entry = core_table_at(&core->objects, ref->index);
	struct object *object = entry != NULL ? entry->content : NULL;
	if (object == NULL || object->serial != ref->serial || object->dead || is_ending(object))
		return FOS_REVOKED;
	*out = object;
	return FOS_OK;
}

struct core_ref core_object_ref(const struct core *core, const struct object *object)
{
	return (struct core_ref){.node = core->config.node,
							 .index = core_table_index(object->handle),
							 .epoch = core->config.epoch,
							 .serial = object->serial};
}

static void kill_memory(struct core *core, struct object *object)
{
	struct outgoing *out;
	struct incoming *in;
	while ((out = LIST_FIRST(&object->memory.readers, struct outgoing, of_src)) != NULL)
		core_outgoing_end(core, out, FOS_REVOKED);
	while ((out = LIST_FIRST(&object->memory.writers, struct outgoing, of_dst)) != NULL)
		core_outgoing_end(core, out, FOS_REVOKED);
	while ((in = LIST_FIRST(&object->memory.incoming, struct incoming, of_dst)) != NULL)
		core_incoming_end(core, in, FOS_REVOKED);
}

static void kill_request(struct core *core, struct object *object)
{
	list_remove(&object->request.of_channel);
	core_once_release(object);
	core_timer_stop(core, &object->request.timer);
	core_inbox_object_end(core, object);
	core_registry_object_end(core, object);
}

void core_object_kill(struct core *core, struct object *object)
{
	if (object->dead)
		return;
	object->dead = true;
	object->busy++; /* stays while it is being taken apart */
	object->process->usage.objects--;
	list_remove(&object->of_process);
	if (object->kind == FOS_MEMORY)
		kill_memory(core, object);
	else
		kill_request(core, object);
	object->process = NULL;
	object->busy--;
	core_object_settle(core, object);
}

void core_object_settle(struct core *core, struct object *object)
{
	if (!object->dead || object->busy > 0)
		return;
	if (object->kind == FOS_MEMORY && object->memory.revoking != NULL) {
		struct revoking *revoking = object->memory.revoking;
		object->memory.revoking = NULL;
		core_revoking_end(core, revoking);
	}
	if (object->deliveries > 0)
		return;
	core_table_remove(&core->objects, object->handle);
	core_free(core, object, sizeof *object);
}
