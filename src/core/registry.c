/* Where the registry is: its Request is known to every Controller and given to each Process,
 * refined with the Process's principal by its own Controller.
 *
 *     registry's node                       every other
 *       | registry_set; or a session up       |
 *       |------------- REGISTRY ------------->| registry_get is answered from here
 *       | the Request died                    |
 *       |-------- REGISTRY serial 0 --------->| registry_get waits
 *       | another one: registry_set           |
 *       |------------- REGISTRY ------------->| registry_get that named the dead one is answered
 *
 * Only the node where it lives tells of it; when its session ends it is not known any more. A
 * registry_get that names a registry waits for another one: that the same one was out of reach for
 * a while does not count. While it lives, no other Process of its node can take its place; the word
 * of another node can, for nobody could say which of the two is the right one. */
#include "core/core_internal.h"

static bool known(const struct core *core)
{
	return core->registry.ref.serial != 0;
}

static fos_status give(struct core *core, struct process *process, uint64_t *cap)
{
	static const struct wire_range whole = {.length = sizeof(fos_principal)};
	struct addition add = {
		.ranges = &whole, .range_count = 1, .imm = (const uint8_t *)&process->principal};
	struct bundle *bundle;
	fos_status status = core_bundle_merge(core, NULL, &add, false, &bundle);
	if (status != FOS_OK)
		return status;
	struct value *value = core_value_request(core, &core->registry.ref, NULL, bundle);
	if (value == NULL)
		return FOS_QUOTA;
	status = core_slot_add(core, process, value, false, cap);
	core_value_release(core, value);
	return status;
}

static void answer(struct core *core, const struct caller *caller, struct process *process)
{
	uint64_t cap;
	fos_status status = give(core, process, &cap);
	if (status == FOS_OK)
		core_complete_cap(core, caller, cap);
	else
		core_complete(core, caller, status);
}

void core_asking_end(struct core *core, struct asking *asking, fos_status status)
{
	if (status == FOS_OK && asking->caller.channel != NULL)
		answer(core, &asking->caller, asking->process);
	else
		core_complete(core, &asking->caller, status);
	asking->process->account.parked--;
	core_timer_stop(core, &asking->timer);
	list_remove(&asking->link);
	list_remove(&asking->of_process);
	core_free(core, asking, sizeof *asking);
}

void core_call_registry_get(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	const struct wire_call_registry_get *call = (const void *)bytes;
	struct process *process = caller->channel->process;
	struct core_ref other = {0};
	if (call->other != 0) {
		const struct value *value = core_slot_value(process, call->other);
		if (value == NULL) {
			core_complete(core, caller, FOS_NO_CAP);
			return;
		}
		other = value->ref;
	}
	if (known(core) && !core_ref_equal(&core->registry.ref, &other)) {
		answer(core, caller, process);
		return;
	}
	if (call->time == 0) {
		core_complete(core, caller, FOS_TIMED_OUT);
		return;
	}
	struct account *account = &process->account;
	struct asking *asking = NULL;
	if (account->parked - account->finishing < core->config.limits.parked)
		asking = core_alloc(core, sizeof *asking);
	if (asking == NULL) {
		core_complete(core, caller, FOS_QUOTA);
		return;
	}
	*asking = (struct asking){.process = process, .caller = *caller, .other = other};
	account->parked++;
	list_push(&core->askings, &asking->link);
	list_push(&process->askings, &asking->of_process);
	core_timer_init(&asking->timer, TIMER_ASKING);
	if (call->time != UINT64_MAX)
		core_timer_start(core, &asking->timer, core_time_end(core, call->time));
}

static void set(struct core *core, const struct core_ref *ref)
{
	core->registry.ref = *ref;
	for (struct list *at = core->askings.next, *next; at != &core->askings; at = next) {
		struct asking *asking = BASE_CONTAINER(at, struct asking, link);
		next = at->next;
		if (!core_ref_equal(ref, &asking->other))
			core_asking_end(core, asking, FOS_OK);
	}
}

/* From the node where it lives to all others; each is told when it has a credit. */
static void tell_all(struct core *core)
{
	core->registry.version++;
	for (struct list *at = core->all_sessions.next; at != &core->all_sessions; at = at->next) {
		struct session *session = BASE_CONTAINER(at, struct session, all);
		session->tell_registry = true;
		core_session_dirty(core, session);
	}
}

void core_registry_tell(struct core *core, struct session *session)
{
	const struct core_ref *ref = &core->registry.ref;
	bool ours = ref->node == core->config.node;
	session->tell_registry = false;
	struct wire_message_registry *message =
		core_session_send(core, session, WIRE_MESSAGE_TYPE_REGISTRY, sizeof *message);
	message->epoch = core->config.epoch;
	message->serial = ours ? ref->serial : 0;
	message->version = core->registry.version;
	message->node = core->config.node;
	message->index = ours ? ref->index : 0;
}

/* A Request of ours that is known as the registry lives: its end makes it unknown. */
static bool is_of_another(struct core *core, const struct process *process)
{
	const struct core_ref *ref = &core->registry.ref;
	struct object *present = NULL;
	return known(core) && ref->node == core->config.node &&
		   core_object_find(core, ref, &present) == FOS_OK && present->process != process;
}

void core_call_registry_set(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	const struct wire_call_registry_set *call = (const void *)bytes;
	struct process *process = caller->channel->process;
	const struct value *value = core_slot_value(process, call->cap);
	struct object *object = NULL;
	fos_status status = FOS_OK;
	if (!process->may_set_registry)
		status = FOS_DENIED;
	else if (value == NULL)
		status = FOS_NO_CAP;
	else if (value->kind != FOS_REQUEST)
		status = FOS_WRONG_TYPE;
	else if (value->ref.node != core->config.node)
		status = FOS_DENIED;
	else
		status = core_object_find(core, &value->ref, &object);
	if (status == FOS_OK && object->process != process)
		status = FOS_DENIED;
	/* Only the object's name travels, and it must last; nobody would count who holds it. */
	if (status == FOS_OK && (value->bundle != NULL || object->once || value->tracked))
		status = FOS_INVALID;
	if (status == FOS_OK && is_of_another(core, process))
		status = FOS_DENIED;
	core_complete(core, caller, status);
	if (status != FOS_OK)
		return;
	set(core, &value->ref);
	tell_all(core);
}

static void forget(struct core *core)
{
	core->registry.ref = (struct core_ref){.node = core->config.node};
}

void core_registry_object_end(struct core *core, const struct object *object)
{
	const struct core_ref *ref = &core->registry.ref;
	if (!known(core) || ref->node != core->config.node || ref->serial != object->serial)
		return;
	forget(core);
	tell_all(core);
}

void core_registry_session_end(struct core *core, const struct session *session)
{
	if (known(core) && core->registry.ref.node == session->node)
		forget(core);
}

void core_receive_registry(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_registry *message = (const void *)bytes;
	if (message->node != session->node || message->epoch != session->epoch) {
		core_session_break(core, session, "word of a registry from where it is not");
		return;
	}
	if (message->serial != 0)
		set(core,
			&(struct core_ref){message->node, message->index, message->epoch, message->serial});
	else
		core_registry_session_end(core, session);
}
