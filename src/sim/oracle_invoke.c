/* Invocations: each is made once, and delivered at most once, in order, as it was made; or somebody
 * is told why not; or a fault explains that nothing more is heard of it. */
#include "sim/oracle_invoke.h"

static uint64_t key_of(const struct oracle_made *made)
{
	const struct oracle_thing *target = made->target;
	const struct oracle_bundle *args = made->args;
	uint64_t provider = oracle_provider_hash(target->process, target->channel, target->handler);
	return args == NULL ? oracle_shown_hash(provider, made->trace, 0, 0, 0, 0)
						: oracle_shown_hash(provider, made->trace, args->imm_hash, args->imm_bytes,
											args->cap_hash, args->cap_count);
}

static uint64_t args_hash(const struct oracle_made *made)
{
	return made->args != NULL ? made->args->hash : 0;
}

/* ------------------------------------------------------------------ making */

/* on_error: also one that it inherits, which is not in the arguments. */
static void aim(struct oracle_thing *thing, const struct oracle_bundle *args,
				const struct oracle_value *on_error)
{
	uint64_t weight = on_error != NULL ? on_error->weight : 0;
	uint32_t cap_count = args != NULL ? args->cap_count : 0;
	for (uint32_t i = 0; i < cap_count; i++)
		weight += args->caps[i].value->weight;
	struct oracle_thing *base = oracle_base(thing);
	thing->armed = true;
	base->aimed = true;
	base->large |= cap_count > ONCE_SLOTS || weight > ONCE_BYTES;
}

static void note_way(struct oracle *o, const struct oracle_made *made)
{
	uint64_t nodes = (uint64_t)1 << made->source_node | (uint64_t)1 << made->target->node;
	struct oracle_walk walk;
	struct oracle_thing *thing;
	oracle_walk_begin(o, &walk);
	oracle_walk_bundle(&walk, made->args);
	oracle_walk_value(&walk, made->on_error);
	while ((thing = oracle_walk_next(&walk)) != NULL)
		thing->nodes |= nodes;
}

struct oracle_made *oracle_made_new(struct oracle *o, enum oracle_made_kind kind,
									struct oracle_process *source, uint32_t channel,
									struct oracle_thing *target, struct oracle_bundle *args,
									struct oracle_value *on_error, uint64_t trace, uint64_t end)
{
	struct oracle_made *made = oracle_alloc(o, sizeof *made);
	*made = (struct oracle_made){.kind = kind,
								 .target = target,
								 .args = oracle_bundle_hold(args),
								 .on_error = oracle_hold(on_error),
								 .trace = trace,
								 .end = end,
								 .moment = o->moment,
								 .time = o->now,
								 .begun = o->now,
								 .source = source,
								 .source_node = source->node,
								 .way = {source->node, target->node},
								 .way_count = 2,
								 .channel = channel,
								 .waiting = kind != ORACLE_FAILED};
	struct list *links[] = {&made->key, &made->told, &made->of_object, &made->of_source,
							&made->old};
	for (unsigned i = 0; i < BASE_COUNT(links); i++)
		list_init(links[i]);
	aim(target, args, on_error);
	note_way(o, made);
	if (on_error != NULL) {
		const struct oracle_thing *error = on_error->object;
		const struct oracle_bundle *bound = on_error->bundle;
		aim(on_error->object, bound, bound != NULL ? bound->on_error : NULL);
		made->told_hash = oracle_told_hash(error->process, error->channel, error->handler, trace);
		list_push(oracle_bucket(o->told, made->told_hash), &made->told);
	}
	if (kind == ORACLE_FAILED) {
		list_push(&o->old, &made->old);
		return made;
	}
	made->key_hash = key_of(made);
	struct list *bucket = oracle_bucket(o->made, made->key_hash);
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct oracle_made *other = BASE_CONTAINER(at, struct oracle_made, key);
		if (other->key_hash != made->key_hash)
			continue;
		if (args_hash(other) == args_hash(made) && other->target == made->target &&
			oracle_hash_of(other->on_error) == oracle_hash_of(made->on_error))
			other->twin = made->twin = true;
	}
	list_push(bucket, &made->key);
	if (kind == ORACLE_PLAIN)
		list_push(&target->waiting, &made->of_object);
	made->weight = (args != NULL ? args->weight : 0) + (on_error != NULL ? on_error->weight : 0);
	source->waiting++;
	source->weight += made->weight;
	oracle_note_tight(o, source);
	oracle_wait_begin(o, made);
	return made;
}

void oracle_made_after(struct oracle_made *then, struct oracle_copying *copying)
{
	then->after = copying;
	then->way[1] = copying->src->object->node;
	then->way[2] = copying->dst->object->node;
	then->way[3] = then->target->node;
	then->way_count = 4;
}

/* An exception of it may wait. */
static void note_told(struct oracle_made *made)
{
	list_push(&made->source->told, &made->of_source);
	made->source->told_count++;
}

void oracle_retire(struct oracle *o, struct oracle_made *made)
{
	if (!made->waiting)
		return;
	made->waiting = false;
	oracle_wait_end(o, made);
	list_remove(&made->key);
	list_remove(&made->of_object);
	oracle_note_tight(o, made->source);
	made->source->waiting--;
	made->source->weight -= made->weight;
	made->time = o->now;
	list_push(&o->old, &made->old);
	if (!made->delivered && made->on_error != NULL)
		note_told(made);
}

static void forget(struct oracle *o, struct oracle_made *made)
{
	struct list *links[] = {&made->key, &made->told, &made->of_object, &made->of_source,
							&made->old};
	made->source->told_count -= !list_empty(&made->of_source);
	for (unsigned i = 0; i < BASE_COUNT(links); i++)
		list_remove(links[i]);
	if (made->after != NULL)
		made->after->then = NULL;
	oracle_bundle_release(o, made->args);
	oracle_release(o, made->on_error);
	oracle_free(o, made, sizeof *made);
}

void oracle_made_refused(struct oracle *o, struct oracle_made *made)
{
	if (made->delivered)
		oracle_violate(o, "an invocation of %s was delivered and yet refused",
					   oracle_name(made->source));
	oracle_retire(o, made);
	forget(o, made);
}

/* Nobody can be told any more of what was long ago, in a time without faults. */
void oracle_forget_old(struct oracle *o)
{
	const struct core_config *core = &o->config.core;
	uint64_t horizon = 4 * (core->failure_timeout + core->heartbeat) + 4 * core->default_time;
	if (o->disturbances > 0)
		return;
	for (unsigned i = 0; i < 4 && !list_empty(&o->old); i++) {
		struct oracle_made *made = BASE_CONTAINER(o->old.next, struct oracle_made, old);
		if (BASE_MAX(made->time, o->calm) + horizon > o->now)
			return;
		oracle_check_told(o, made);
		forget(o, made);
	}
}

void oracle_failed(struct oracle *o, const struct oracle_open *open, fos_status status,
				   uint64_t detail)
{
	struct oracle_process *process = open->process;
	struct oracle_value *on_error = open->on_error;
	if (on_error == NULL)
		return;
	struct oracle_made *made =
		oracle_made_new(o, ORACLE_FAILED, process, open->channel, on_error->object,
						on_error->bundle, on_error, open->trace, UINT64_MAX);
	const char *text = fos_status_text(status);
	made->status = (uint8_t)status;
	made->detail = detail != 0 ? detail : oracle_text_hash(text, strlen(text));
	made->told_node = process->node;
	made->told_process = process->serial;
	note_told(made);
}
