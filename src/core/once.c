/* ONCE Requests: what a client relies on. Exactly one delivery: the first arrival, success or
 * error, or else the exception that its deadline makes here, at the maker's own Controller.
 *
 *     create: place, slots, bytes and the record of a bare exception kept, timer started
 *        |--- first arrival ----> consumed, delivered beside the inbox; later ones are dropped
 *        |--- does not fit -----> consumed, delivered as exception QUOTA
 *        |--- deadline ---------> consumed, delivered as exception TIMED_OUT
 *        '--- revoke, death ----> nothing is delivered
 *
 * What arrives at a revtree child of one consumes the base, and so all its children. */
#include "core/core_internal.h"

fos_status core_once_reserve(struct core *core, struct object *object, uint64_t deadline)
{
	struct channel *channel = object->request.channel;
	struct process *process = object->process;
	if (channel->once == core->config.limits.once ||
		!core_space_fits(core, process, ONCE_SLOTS, ONCE_BYTES))
		return FOS_QUOTA;
	if (!core_table_room(core, &process->deliveries, process->once_living + 1))
		return FOS_QUOTA;
	object->request.ended = core_alloc(core, sizeof *object->request.ended);
	if (object->request.ended == NULL)
		return FOS_QUOTA;
	CORE_COVER(core, once_reserve);
	channel->once++;
	process->usage.once++;
	process->once_living++;
	object->reserved = true;
	core_timer_start(core, &object->request.timer,
					 core_time_end(core, deadline ? deadline : core->config.default_time));
	return FOS_OK;
}

static void free_record(struct core *core, struct object *object)
{
	if (object->request.ended != NULL)
		core_free(core, object->request.ended, sizeof *object->request.ended);
	object->request.ended = NULL;
}

static struct object *base_of(struct object *object)
{
	while (object->parent != NULL)
		object = object->parent;
	return object;
}

struct delivery *core_once_record(struct object *object)
{
	struct object *base = base_of(object);
	if (!base->once)
		return NULL;
	struct delivery *record = base->request.ended;
	base->request.ended = NULL;
	return record;
}

static void give_space_back(struct object *object)
{
	BASE_ASSERT(object->reserved);
	object->reserved = false;
	object->process->once_living--;
}

void core_once_release(struct core *core, struct object *object)
{
	if (!object->reserved)
		return;
	free_record(core, object);
	give_space_back(object);
	object->request.channel->once--;
	object->process->usage.once--;
}

/* Delivers what is left when the arrival itself cannot be: its record is kept, and so it fits. */
static void deliver_exception(struct core *core, struct object *object, const struct notice *why)
{
	struct invocation inv;
	core_invocation_init(&inv, why->account);
	inv.exception = core_exception_make(core, why);
	inv.trace = why->trace;
	inv.span = why->span;
	inv.end = core_time_end(core, core->config.default_time);
	fos_status status = core_deliver(core, &inv, object);
	BASE_ASSERT(status == FOS_OK);
}

/* The object dies, with all its children, with its one delivery under way, which keeps its place.
 * `object` is what was invoked, `base` what it is or descends from. */
static void consume(struct core *core, struct invocation *inv, struct object *object,
					struct object *base, fos_status status, const struct process *concerned)
{
	struct notice why = {.account = &core->house,
						 .trace = inv != NULL ? inv->trace : 0,
						 .span = inv != NULL ? inv->span : 0,
						 .status = status,
						 .process = concerned};
	base->pins++;
	give_space_back(base);
	if (inv == NULL || core_deliver(core, inv, object) != FOS_OK)
		deliver_exception(core, object, &why);
	free_record(core, base);
	if (inv != NULL && inv->bundle != NULL)
		CORE_COVER(core, once_quota);
	if (!PLANTED(once_twice))
		core_object_consume(core, base);
	core_object_unpin(core, base);
}

fos_status core_once_arrive(struct core *core, struct invocation *inv, struct object *object)
{
	CORE_COVER(core, once_arrive);
	consume(core, inv, object, base_of(object), FOS_QUOTA, object->process);
	core_invocation_drop(core, inv);
	return FOS_OK;
}

void core_once_refuse(struct core *core, struct object *object)
{
	consume(core, NULL, object, base_of(object), FOS_QUOTA, object->process);
}

void core_once_expired(struct core *core, struct object *object)
{
	CORE_COVER(core, once_expire);
	core->counters.once_expired++;
	if (PLANTED(once_lost))
		return;
	consume(core, NULL, object, object, FOS_TIMED_OUT, NULL);
}
