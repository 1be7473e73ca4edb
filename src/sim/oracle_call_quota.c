/* Which limit may be what refused a call with QUOTA. */
#include "sim/oracle_call.h"

/* What may be charged to it now: also children afar that are asked for, and those that died and of
 * which its Controller may not have heard. */
static uint32_t asked_children(const struct oracle_process *process)
{
	uint32_t count = 0;
	for (const struct list *at = process->calls.next; at != &process->calls; at = at->next) {
		const struct oracle_call *call = BASE_CONTAINER(at, struct oracle_call, of_process);
		count +=
			call->type == WIRE_CALL_TYPE_CAP_REVTREE || call->type == WIRE_CALL_TYPE_REQUEST_REFINE;
	}
	return count;
}

static uint32_t charged_objects(const struct oracle *o, const struct oracle_process *process)
{
	uint32_t count = process->remained + asked_children(process);
	if (!oracle_told_afar(o, process))
		count += process->dead_afar;
	for (const struct list *at = process->things.next; at != &process->things; at = at->next)
		count += oracle_counted(o, BASE_CONTAINER(at, struct oracle_thing, of_maker));
	return count;
}

/* What all of a node's Processes may have made at an owner, which bounds it: those that it is asked
 * for, and those that are dead and may not be told of yet, included. */
static bool most_children(const struct oracle *o, uint32_t node, uint32_t owner)
{
	uint32_t count = 0;
	for (const struct list *at = o->all.next; at != &o->all; at = at->next) {
		const struct oracle_process *process = BASE_CONTAINER(at, struct oracle_process, all);
		if (process->node == node)
			count +=
				asked_children(process) + (oracle_told_afar(o, process) ? 0 : process->dead_afar);
	}
	const struct list *things = &o->nodes[owner].things;
	for (const struct list *at = things->next; at != things; at = at->next) {
		const struct oracle_thing *thing = BASE_CONTAINER(at, struct oracle_thing, of_node);
		count += thing->parent != NULL && thing->maker->node == node && oracle_counted(o, thing);
	}
	return count >= o->config.core.limits.objects;
}

/* A call with a `then` ends before its copy, whose end only its Controller knows; that none stays
 * charged the end of the world shows. */
static bool most_copies(const struct oracle *o, const struct oracle_process *process)
{
	const struct core *core = o->config.core_of(o->config.context, process->node);
	struct core_view_process view;
	return core_inspect_process(core, process->serial, &view) &&
		   view.copies >= o->config.core.limits.copies;
}

/* So many wait in its name: of some that wait behind a fault it is not known whether they do, so
 * the core's own count is believed; that it goes down again the end of the world shows. */
static bool most_parked(const struct oracle *o, const struct oracle_process *process)
{
	const struct core_limits *limits = &o->config.core.limits;
	const struct core *core = o->config.core_of(o->config.context, process->node);
	struct core_usage usage;
	if (process->waiting + process->asking + oracle_notices(o, process).count >= limits->parked)
		return true;
	bool faults = o->disturbances > 0 || o->calm + 2 * o->config.core.default_time > o->now;
	return faults && core_process_usage(core, process->serial, &usage) &&
		   usage.parked >= limits->parked;
}

/* Whether some limit may be what refused it. */
bool oracle_quota_explained(struct oracle *o, const struct oracle_call *call)
{
	const struct oracle_process *process = call->process;
	const struct core_limits *limits = &o->config.core.limits;
	uint64_t weight = call->weight + (call->value != NULL ? call->value->weight : 0) +
					  (call->named != NULL ? call->named->weight : 0);
	/* What waits in its name is charged too. */
	weight += oracle_notices(o, process).weight;
	if (oracle_refused(o, process->node, call->moment) || call->too_large ||
		!oracle_fits(o, process, 1, weight))
		return true;
	switch (call->type) {
	case WIRE_CALL_TYPE_MEMORY_CREATE:
		return charged_objects(o, process) >= limits->objects;
	case WIRE_CALL_TYPE_REQUEST_CREATE:
		return charged_objects(o, process) >= limits->objects ||
			   (call->fresh->is_once &&
				(process->once_living + process->once_open >= limits->once ||
				 !oracle_fits(o, process, 1 + ONCE_SLOTS, weight + ONCE_BYTES)));
	case WIRE_CALL_TYPE_CAP_REVTREE:
	case WIRE_CALL_TYPE_REQUEST_REFINE:
		return call->object != NULL && (charged_objects(o, process) >= limits->objects ||
										oracle_refused(o, call->object->node, call->moment) ||
										(call->object->node != process->node &&
										 most_children(o, process->node, call->object->node)));
	case WIRE_CALL_TYPE_REQUEST_INVOKE:
	case WIRE_CALL_TYPE_CONTINUE:
		if (most_parked(o, process))
			return true;
		if (call->made == NULL)
			return false;
		return oracle_refused(o, call->made->target->node, call->moment) ||
			   (call->made->target->node == process->node &&
				(call->made->target->process->tight_moment == o->moment ||
				 !oracle_fits(o, call->made->target->process, FOS_CAPS_MAX, call->weight)));
	case WIRE_CALL_TYPE_MEMORY_COPY:
		return most_copies(o, process) || most_parked(o, process) ||
			   (call->copying != NULL && (oracle_copy_may(o, call->copying) & MAY(QUOTA)));
	case WIRE_CALL_TYPE_REGISTRY_GET:
		return process->waiting + process->asking + oracle_notices(o, process).count >=
			   limits->parked;
	case WIRE_CALL_TYPE_CAP_REVOKE:
		return process->revokings >= limits->revokings;
	case WIRE_CALL_TYPE_MONITOR_RECEIVE:
	case WIRE_CALL_TYPE_MONITOR_DELEGATE:
		return process->monitors >= limits->monitors ||
			   (call->object != NULL && oracle_refused(o, call->object->node, call->moment));
	default:
		return false;
	}
}
