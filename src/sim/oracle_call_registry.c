/* registry_get, registry_set. */
#include "sim/oracle_call.h"

static void registry_get(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	const struct wire_call_registry_get *wire = (const void *)bytes;
	call->end = oracle_end_of(o, wire->time);
	call->waits = true;
	call->process->asking++;
	if (wire->other == 0)
		return;
	struct oracle_value *other = oracle_slot_value(call->process, wire->other);
	call->named = oracle_hold(other);
	if (other == NULL)
		oracle_only(call, FOS_NO_CAP);
}

/* The registry's Request, whichever the caller's node knows of. */
static void learn_registry(struct oracle *o, struct oracle_call *call,
						   const struct core_view_slot *seen)
{
	struct oracle_process *process = call->process;
	const struct core_view_ref *ref = &seen->ref;
	struct oracle_thing *thing =
		oracle_thing_find(o, ref->node, ref->epoch, ref->index, ref->serial);
	/* It is known until its session has ended. */
	bool reaches = ref->node == process->node || o->sessions[process->node][ref->node].there;
	if (thing == NULL || !thing->registry || !reaches ||
		(call->named != NULL && call->named->object == thing)) {
		oracle_violate(o, "registry_get of %s gave what is not the registry, or the known one",
					   oracle_name(process));
		return;
	}
	/* Its content is checked when it is invoked: the principal, and nothing else. */
	const struct wire_range whole = {.length = sizeof(fos_principal)};
	struct oracle_addition add = {.ranges = &whole, .range_count = 1, .imm = process->principal};
	struct oracle_bundle *bundle;
	if (oracle_merge(o, NULL, &add, false, &bundle) == FOS_OK)
		call->value = oracle_value_request(o, thing, bundle);
}

/* Whether the word of another node's registry may have come to the node since it set its own. Such
 * a word is sent when that one is set and when a session begins; it comes at once, if nothing is
 * slow. */
static bool may_be_displaced(const struct oracle *o, const struct oracle_node *node,
							 uint32_t number)
{
	bool may = o->disturbances > 0;
	for (uint32_t peer = 0; peer < ORACLE_NODES && !may; peer++) {
		const struct oracle_node *other = &o->nodes[peer];
		if (peer != number && other->registry != NULL)
			may = o->sessions[number][peer].changed >= node->set_moment ||
				  BASE_MAX(other->set, o->calm) + o->config.core.failure_timeout >= node->set;
	}
	return may;
}

/* A registry that lives has its place for itself among the Processes of its node. */
static void check_place(const struct oracle *o, struct oracle_call *call)
{
	const struct oracle_process *process = call->process;
	const struct oracle_node *node = &o->nodes[process->node];
	const struct oracle_thing *present = node->registry;
	enum oracle_life life = present != NULL ? oracle_life(o, present) : ORACLE_DEAD;
	if (life == ORACLE_DEAD || present->process == process)
		return;
	bool unsure = life == ORACLE_MAYBE || may_be_displaced(o, node, process->node);
	call->may = (unsure ? call->may : call->may & ~MAY(OK)) | MAY(DENIED);
}

static void registry_set(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	const struct wire_call_registry_set *wire = (const void *)bytes;
	struct oracle_process *process = call->process;
	struct oracle_value *value = oracle_slot_value(process, wire->cap);
	if (!process->may_set_registry) {
		oracle_only(call, FOS_DENIED);
	} else if (value == NULL) {
		oracle_only(call, FOS_NO_CAP);
	} else if (value->kind != FOS_REQUEST) {
		oracle_only(call, FOS_WRONG_TYPE);
	} else if (value->object->node != process->node) {
		oracle_only(call, FOS_DENIED);
	} else {
		const struct oracle_thing *thing = value->object;
		bool lasts = value->bundle == NULL && !thing->is_once && !thing->tracked;
		call->may = oracle_use(o, process->node, thing);
		if (thing->process != process)
			call->may = (call->may & ~MAY(OK)) | MAY(DENIED);
		else if (!lasts)
			call->may = (call->may & ~MAY(OK)) | MAY(INVALID);
		else if (thing->parent != NULL)
			call->may |= MAY(INVALID) | MAY(DENIED);
		if (call->may & MAY(OK))
			check_place(o, call);
		call->named = oracle_hold(value);
	}
}

static uint32_t get_now(struct oracle *o, struct oracle_call *call, fos_status status)
{
	(void)status;
	return call->may | (call->end <= o->now ? MAY(TIMED_OUT) : 0);
}

static void was_set(struct oracle *o, struct oracle_call *call)
{
	struct oracle_thing *thing = call->named->object;
	struct oracle_node *node = &o->nodes[thing->node];
	thing->registry = true;
	node->registry = thing;
	node->set = o->now;
	node->set_moment = o->moment;
}

static void end(struct oracle *o, struct oracle_call *call)
{
	(void)o;
	if (call->waits)
		call->process->asking--;
}

const struct oracle_kind oracle_registry_get = {
	.submit = registry_get,
	.now = get_now,
	.learn = learn_registry,
	.end = end,
	.gives_slot = true,
};

const struct oracle_kind oracle_registry_set = {
	.submit = registry_set,
	.succeed = was_set,
};
