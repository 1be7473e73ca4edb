/* What came to nothing must be told: an invocation that failed with a living on_error, whose
 * provider has room and is in reach, is told of, and so is a delivery that failed. And how many
 * invocations came to nothing, by what explains it. */
#include "sim/oracle_invoke.h"

/* Dead by somebody's will, or with its Process. */
static bool was_killed(const struct oracle_thing *thing)
{
	for (; thing != NULL; thing = thing->parent) {
		if (thing->life != ORACLE_LIVE)
			return true;
	}
	return false;
}

static bool since(uint64_t time, const struct oracle_made *made)
{
	return time != 0 && time >= made->begun;
}

/* Whether one of the two or a link between them was slow: what waits behind it may end there. */
static bool was_slow(const struct oracle *o, const struct oracle_made *made, uint32_t a, uint32_t b)
{
	return since(o->nodes[a].disturbed, made) || since(o->nodes[b].disturbed, made) ||
		   (a != b && (since(o->disturbed[a][b], made) || since(o->disturbed[b][a], made)));
}

static bool out_of_reach(const struct oracle *o, const struct oracle_made *made, uint32_t a,
						 uint32_t b)
{
	return oracle_trouble(o, a, b, made->moment) || was_slow(o, made, a, b) ||
		   o->nodes[a].over >= made->moment || oracle_refused(o, a, made->moment) ||
		   oracle_refused(o, b, made->moment);
}

/* Whether an exception for it may have been dropped where its on_error lives. */
static bool has_no_place(const struct oracle *o, const struct oracle_made *made)
{
	struct oracle_thing *error = made->on_error->object;
	const struct oracle_process *provider = error->process;
	return oracle_life(o, error) != ORACLE_LIVE || provider->tight_moment >= made->moment ||
		   !oracle_fits(o, provider, FOS_CAPS_MAX, made->on_error->weight) ||
		   (!oracle_base(error)->is_once && (since(provider->channel_full[error->channel], made) ||
											 since(provider->finish_full, made)));
}

/* Many in the name of one: the room for those that wait is bounded. */
static bool has_many(const struct oracle *o, const struct oracle_made *made)
{
	uint32_t waiting = made->source->waiting + oracle_notices(o, made->source).count;
	return waiting >= o->config.core.limits.parked || since(made->source->finish_full, made);
}

/* Whoever knows that it failed tells: its sender, or who refused it. */
static bool may_stay_untold(struct oracle *o, const struct oracle_made *made)
{
	uint32_t error = made->on_error->object->node, owner = made->target->node;
	if (has_no_place(o, made) || has_many(o, made) ||
		out_of_reach(o, made, made->source_node, error))
		return true;
	if (made->kind == ORACLE_FAILED)
		return oracle_sending_may(o, made->source_node, made->on_error->object,
								  made->on_error->bundle, NULL) != 0;
	bool refused = was_killed(made->target) || oracle_limited(o, made) ||
				   oracle_too_large(made->args, made->on_error);
	return oracle_passing_may(o, made) != 0 || (refused && out_of_reach(o, made, owner, error));
}

void oracle_check_told(struct oracle *o, const struct oracle_made *made)
{
	bool silent = made->kind == ORACLE_PLAIN && oracle_base(made->target)->is_once;
	if (made->on_error == NULL || made->kind == ORACLE_THEN || made->delivered || made->perhaps ||
		made->told_count > 0 || silent || may_stay_untold(o, made))
		return;
	oracle_violate(o, "nobody was told that %s of %s, trace %llu, failed",
				   made->kind == ORACLE_FAILED ? "a delivery" : "an invocation",
				   oracle_name(made->source), (unsigned long long)made->trace);
}

void oracle_check_all_told(struct oracle *o)
{
	for (unsigned i = 0; i < ORACLE_BUCKETS; i++) {
		for (const struct list *at = o->told[i].next; at != &o->told[i]; at = at->next)
			oracle_check_told(o, BASE_CONTAINER(at, struct oracle_made, told));
	}
}

void oracle_count_undelivered(struct oracle *o, const struct oracle_made *made)
{
	struct oracle_counts *counts = &o->counts;
	if (made->kind != ORACLE_PLAIN || made->delivered)
		return;
	if (made->told_count > 0 || made->perhaps)
		counts->told++;
	else if (was_killed(made->target) ||
			 (oracle_life(o, made->target) != ORACLE_LIVE && !oracle_epoch_over(o, made->target)))
		counts->dead++;
	else if (oracle_expired(o, made))
		counts->expired++;
	else if (oracle_limited(o, made))
		counts->refused++;
	else if (oracle_passing_may(o, made) != 0)
		counts->tracked++;
	else
		counts->lost++;
}
