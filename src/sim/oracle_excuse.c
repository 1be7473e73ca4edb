/* What explains that nothing more is heard of an invocation. */
#include "sim/oracle_invoke.h"

bool oracle_unreachable(struct oracle *o, const struct oracle_made *made)
{
	uint32_t from = made->source_node, to = made->target->node;
	const struct oracle_copying *copy = made->after;
	if (oracle_trouble(o, from, to, made->moment) || o->nodes[from].over >= made->moment ||
		made->source->gone_moment >= made->moment)
		return true;
	if (copy == NULL)
		return made->kind == ORACLE_THEN; /* its copy came to nothing */
	uint32_t src = copy->src->object->node, dst = copy->dst->object->node;
	return oracle_trouble(o, from, src, made->moment) ||
		   oracle_trouble(o, src, dst, made->moment) || oracle_trouble(o, dst, to, made->moment) ||
		   (oracle_copy_may(o, copy) & ~ORACLE_MAY(OK)) != 0;
}

bool oracle_limited(const struct oracle *o, const struct oracle_made *made)
{
	const struct oracle_process *provider = made->target->process;
	return provider->tight_moment >= made->moment || provider->tight_moment >= o->moment ||
		   !oracle_fits(o, provider, FOS_CAPS_MAX, made->weight) ||
		   oracle_refused(o, made->source_node, made->moment) ||
		   oracle_refused(o, made->target->node, made->moment) ||
		   made->source->tight_moment >= made->moment;
}

uint32_t oracle_sending_may(struct oracle *o, uint32_t node, const struct oracle_thing *target,
							struct oracle_bundle *args, struct oracle_value *on_error)
{
	uint32_t may = oracle_thing_may(o, node, target);
	struct oracle_walk walk;
	const struct oracle_thing *thing;
	oracle_walk_begin(o, &walk);
	oracle_walk_bundle(&walk, args);
	oracle_walk_value(&walk, on_error);
	while ((thing = oracle_walk_next(&walk)) != NULL)
		may |= oracle_thing_may(o, node, thing);
	return may;
}

uint32_t oracle_passing_may(struct oracle *o, const struct oracle_made *made)
{
	uint32_t may = 0;
	for (uint32_t i = 0; i + 1 < made->way_count; i++)
		may |= oracle_sending_may(o, made->way[i], made->target, made->args, made->on_error);
	return may;
}

bool oracle_excused(struct oracle *o, const struct oracle_made *made)
{
	return made->perhaps || oracle_life(o, made->target) != ORACLE_LIVE ||
		   oracle_expired(o, made) || oracle_unreachable(o, made) || oracle_limited(o, made) ||
		   oracle_passing_may(o, made) != 0;
}
