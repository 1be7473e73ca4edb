/* Invocations: each is made once, and delivered at most once, in order, as it was made; or somebody
 * is told why not; or a fault explains that nothing more is heard of it.
 *
 * A delivery shows its provider, trace and arguments; which invocation it is follows from these.
 * Where several are alike any of them will do, and nothing is said of their order. */
#include "core/inspect.h"
#include "sim/oracle_internal.h"

/* ------------------------------------------------------------------ what a delivery shows */

static uint64_t provider_hash(const struct oracle_process *process, uint32_t channel,
							  uint64_t handler)
{
	return base_mix64((uintptr_t)process ^ base_mix64(handler ^ base_mix64(channel)));
}

static uint64_t shown(uint64_t provider, uint64_t trace, uint64_t imm_hash, uint32_t imm_bytes,
					  uint64_t cap_hash, uint32_t cap_count)
{
	return base_mix64(base_mix64(provider ^ base_mix64(trace)) + imm_hash +
					  base_mix64(cap_hash + ((uint64_t)imm_bytes << 8 | cap_count)));
}

static uint64_t key_of(const struct oracle_made *made)
{
	const struct oracle_thing *target = made->target;
	const struct oracle_bundle *args = made->args;
	uint64_t provider = provider_hash(target->process, target->channel, target->handler);
	return args == NULL ? shown(provider, made->trace, 0, 0, 0, 0)
						: shown(provider, made->trace, args->imm_hash, args->imm_bytes,
								args->cap_hash, args->cap_count);
}

static uint64_t told_hash(const struct oracle_process *process, uint32_t channel, uint64_t handler,
						  uint64_t trace)
{
	return base_mix64(provider_hash(process, channel, handler) + base_mix64(trace));
}

static uint64_t hash_of(const struct oracle_value *value)
{
	return value != NULL ? value->hash : 0;
}

static uint64_t args_hash(const struct oracle_made *made)
{
	return made->args != NULL ? made->args->hash : 0;
}

/* An exception waits no longer than the default time; those of invocations begin when these end. */
struct oracle_notices oracle_notices(const struct oracle *o, const struct oracle_process *process)
{
	struct oracle_notices notices = {0};
	for (const struct list *at = process->made.next; at != &process->made; at = at->next) {
		const struct oracle_made *made = BASE_CONTAINER(at, struct oracle_made, of_source);
		bool failed = made->kind == ORACLE_FAILED;
		uint64_t begun = failed ? made->time : BASE_MAX(made->end, made->time);
		if (made->delivered || begun + o->config.core.default_time < o->now)
			continue;
		notices.count++;
		notices.finishing += failed;
		notices.weight += made->on_error->weight;
	}
	return notices;
}

/* ------------------------------------------------------------------ what an invocation waits for
 *
 * A place at its provider, or a credit of its session. It waits to the end of its time only where
 * there was neither until shortly before: then it is told BUSY. */

static uint32_t sender_of(const struct oracle_made *made)
{
	return made->way[made->way_count - 2];
}

/* A place is kept for each that waits at another node; others: without one of them. */
static bool is_full(const struct oracle *o, const struct oracle_process *process, uint32_t channel,
					bool others)
{
	uint32_t aimed = process->channel_aimed[channel] - others;
	return process->channel_open[channel] + aimed >= o->config.core.limits.deliveries;
}

/* One Process's room for finishes is for all of its channels. */
static bool is_short(const struct oracle *o, const struct oracle_process *process, bool others)
{
	return process->deliveries + process->waiting + process->aimed - others +
			   oracle_notices(o, process).finishing >=
		   o->config.core.limits.parked;
}

void oracle_note_full(struct oracle *o, struct oracle_process *process, uint32_t channel)
{
	if (is_full(o, process, channel, false))
		process->channel_full[channel] = o->now;
	if (is_short(o, process, false))
		process->finish_full = o->now;
}

/* Credits come back with half of them used, or with a heartbeat. */
static void note_flow(struct oracle *o, uint32_t from, uint32_t to)
{
	struct oracle_flow *flow = &o->flows[from][to];
	if (flow->since + 2 * o->config.core.heartbeat < o->now) {
		flow->since = o->now;
		flow->count = 0;
	}
	if (++flow->count >= wire_class_credits(WIRE_CLASS_INVOKE) / 4)
		flow->crowded = o->now;
}

static void take_aim(struct oracle *o, struct oracle_made *made)
{
	struct oracle_process *provider = made->target->process;
	uint32_t from = made->source_node, channel = made->target->channel;
	if (from == made->target->node)
		return;
	oracle_note_full(o, provider, channel);
	note_flow(o, from, made->target->node);
	made->aimed = true;
	provider->aimed++;
	provider->channel_aimed[channel]++;
}

static void end_aim(struct oracle *o, struct oracle_made *made)
{
	struct oracle_process *provider = made->target->process;
	if (!made->aimed)
		return;
	made->aimed = false;
	provider->aimed--;
	provider->channel_aimed[made->target->channel]--;
	note_flow(o, sender_of(made), made->target->node);
}

/* Whether a link of the owner's node was slow: a place may be kept for what is on its way there, an
 * exception of whichever chain, too. */
static bool was_slow(const struct oracle *o, const struct oracle_made *made)
{
	uint32_t to = made->target->node;
	if (o->nodes[to].disturbed >= made->time)
		return true;
	for (uint32_t from = 0; from < ORACLE_NODES; from++) {
		bool slow = o->disturbed[from][to] >= made->time || o->disturbed[to][from] >= made->time ||
					o->nodes[from].disturbed >= made->time ||
					oracle_trouble(o, from, to, made->moment);
		if (from != to && o->nodes[from].epoch != 0 && slow)
			return true;
	}
	return false;
}

static bool has_no_room(const struct oracle *o, const struct oracle_made *made)
{
	const struct oracle_process *provider = made->target->process;
	const struct oracle_flow *flow = &o->flows[sender_of(made)][made->target->node];
	uint32_t channel = made->target->channel;
	uint64_t lately = made->judged - BASE_MIN(made->judged, 4 * o->config.core.heartbeat);
	return (provider->channel_full[channel] >= lately && provider->channel_full[channel] != 0) ||
		   (provider->finish_full >= lately && provider->finish_full != 0) ||
		   is_full(o, provider, channel, made->aimed) || is_short(o, provider, made->aimed) ||
		   (flow->crowded >= lately && flow->crowded != 0) || was_slow(o, made);
}

/* ------------------------------------------------------------------ whose time ends next */

static void put(struct oracle *o, uint32_t at, struct oracle_made *made)
{
	o->ending[at] = made;
	made->turn = at;
}

static void sift_up(struct oracle *o, uint32_t at, struct oracle_made *made)
{
	for (; at > 1 && made->judged < o->ending[at / 2]->judged; at /= 2)
		put(o, at, o->ending[at / 2]);
	put(o, at, made);
}

static void sift_down(struct oracle *o, uint32_t at, struct oracle_made *made)
{
	for (;;) {
		uint32_t next = 2 * at;
		if (next < o->ending_count && o->ending[next + 1]->judged < o->ending[next]->judged)
			next++;
		if (next > o->ending_count || o->ending[next]->judged >= made->judged)
			break;
		put(o, at, o->ending[next]);
		at = next;
	}
	put(o, at, made);
}

/* It may have been on its way when its time ended, and found no place then. */
static void begin_time(struct oracle *o, struct oracle_made *made)
{
	uint64_t way = 2 * o->config.core.heartbeat, end = BASE_MAX(made->end, made->time);
	made->judged = end > UINT64_MAX - way ? UINT64_MAX : end + way;
	if (o->ending_count + 2 > o->ending_room) {
		uint32_t room = o->ending_room ? 2 * o->ending_room : 256;
		struct oracle_made **bigger = oracle_alloc(o, room * sizeof *bigger);
		if (o->ending != NULL) {
			memcpy(bigger, o->ending, o->ending_room * sizeof *bigger);
			oracle_free(o, o->ending, o->ending_room * sizeof *bigger);
		}
		o->ending = bigger;
		o->ending_room = room;
	}
	sift_up(o, ++o->ending_count, made);
}

static void end_time(struct oracle *o, struct oracle_made *made)
{
	uint32_t at = made->turn;
	if (at == 0)
		return;
	made->turn = 0;
	struct oracle_made *last = o->ending[o->ending_count--];
	if (last == made)
		return;
	if (at > 1 && last->judged < o->ending[at / 2]->judged)
		sift_up(o, at, last);
	else
		sift_down(o, at, last);
}

void oracle_expire(struct oracle *o)
{
	while (o->ending_count > 0 && o->ending[1]->judged <= o->now) {
		struct oracle_made *made = o->ending[1];
		made->no_room = has_no_room(o, made);
		end_time(o, made);
		end_aim(o, made);
	}
}

/* ------------------------------------------------------------------ making */

static void aim(struct oracle_thing *thing, const struct oracle_bundle *args)
{
	thing->armed = true;
	while (thing->parent != NULL)
		thing = thing->parent;
	thing->aimed = true;
	thing->large |= args != NULL && (args->cap_count > ONCE_SLOTS || args->weight > ONCE_BYTES);
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
	aim(target, args);
	note_way(o, made);
	if (on_error != NULL) {
		const struct oracle_thing *error = on_error->object;
		aim(on_error->object, on_error->bundle);
		made->told_hash = told_hash(error->process, error->channel, error->handler, trace);
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
			hash_of(other->on_error) == hash_of(made->on_error))
			other->twin = made->twin = true;
	}
	list_push(bucket, &made->key);
	if (kind == ORACLE_PLAIN)
		list_push(&target->waiting, &made->of_object);
	made->weight = (args != NULL ? args->weight : 0) + (on_error != NULL ? on_error->weight : 0);
	source->waiting++;
	source->weight += made->weight;
	take_aim(o, made);
	begin_time(o, made);
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

/* It waits no more; it may still be told of. */
static void retire(struct oracle *o, struct oracle_made *made)
{
	if (!made->waiting)
		return;
	made->waiting = false;
	if (made->turn != 0 && !made->delivered)
		made->no_room = has_no_room(o, made);
	end_time(o, made);
	end_aim(o, made);
	list_remove(&made->key);
	list_remove(&made->of_object);
	made->source->waiting--;
	made->source->weight -= made->weight;
	made->time = o->now;
	list_push(&o->old, &made->old);
	if (!made->delivered && made->on_error != NULL)
		list_push(&made->source->made, &made->of_source);
}

static void forget(struct oracle *o, struct oracle_made *made)
{
	struct list *links[] = {&made->key, &made->told, &made->of_object, &made->of_source,
							&made->old};
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
	retire(o, made);
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
		forget(o, made);
	}
}

void oracle_failed(struct oracle *o, const struct oracle_open *open, fos_status status)
{
	struct oracle_process *process = open->process;
	struct oracle_value *on_error = open->on_error;
	if (on_error == NULL)
		return;
	struct oracle_made *made =
		oracle_made_new(o, ORACLE_FAILED, process, open->channel, on_error->object,
						on_error->bundle, on_error, open->trace, UINT64_MAX);
	made->status = (uint8_t)status;
	made->told_node = process->node;
	made->told_process = process->serial;
	list_push(&process->made, &made->of_source);
}

/* ------------------------------------------------------------------ what explains a loss */

static bool expired(const struct oracle *o, const struct oracle_made *made)
{
	return made->end <= o->now && (made->no_room || (made->turn != 0 && has_no_room(o, made)));
}

static bool unreachable(struct oracle *o, const struct oracle_made *made)
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

static bool limited(const struct oracle *o, const struct oracle_made *made)
{
	const struct oracle_process *provider = made->target->process;
	return provider->tight_moment >= made->moment || provider->tight_moment >= o->moment ||
		   !oracle_fits(o, provider, FOS_CAPS_MAX, made->weight) ||
		   oracle_pressed(o, made->source_node) || oracle_pressed(o, made->target->node) ||
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

/* A tracked child in it is refused, by one of those who had to send it on. */
static uint32_t tracked_may(struct oracle *o, const struct oracle_made *made)
{
	uint32_t may = 0;
	for (uint32_t i = 0; i + 1 < made->way_count; i++)
		may |= oracle_sending_may(o, made->way[i], made->target, made->args, made->on_error);
	return may;
}

bool oracle_excused(struct oracle *o, const struct oracle_made *made)
{
	return made->perhaps || oracle_life(o, made->target) != ORACLE_LIVE || expired(o, made) ||
		   unreachable(o, made) || limited(o, made) || tracked_may(o, made) != 0;
}

/* ------------------------------------------------------------------ a delivery */

struct arrival {
	const struct wire_answer_delivery *record;
	const struct wire_range *ranges;
	const struct wire_delivered *caps;
	const struct wire_exception *exception;
	uint64_t imm_hash, cap_hash;
	uint32_t imm_bytes;
	struct oracle_process *process;
	uint32_t channel;
	bool seen; /* its record in the core, which must be so */
	struct core_view_delivery view;
};

static void parse(struct oracle *o, const struct core_output *out, struct arrival *arrival)
{
	const struct wire_answer_delivery *record = (const void *)out->bytes;
	*arrival = (struct arrival){.record = record, .ranges = (const void *)(record + 1)};
	arrival->caps = (const void *)(arrival->ranges + record->range_count);
	const uint8_t *at = (const uint8_t *)(arrival->caps + record->cap_count);
	if (record->exception) {
		arrival->exception = (const void *)at;
		at += sizeof *arrival->exception + wire_pad8(arrival->exception->detail_len);
	}
	for (unsigned i = 0; i < record->range_count; i++) {
		const struct wire_range *range = &arrival->ranges[i];
		arrival->imm_hash += core_view_imm_hash(range->offset, at, range->length);
		arrival->imm_bytes += range->length;
		at += range->length;
	}
	arrival->process = oracle_process_find(o, o->node, out->process);
	arrival->channel = out->channel;
	for (unsigned i = 0; i < record->cap_count; i++) {
		const struct wire_delivered *cap = &arrival->caps[i];
		arrival->cap_hash += oracle_cap_hash(cap->index, cap->kind, cap->rights, cap->length);
	}
	const struct core *core = o->config.core_of(o->config.context, o->node);
	arrival->seen = core_inspect_delivery(core, out->process, record->delivery, &arrival->view);
}

static bool shows(const struct arrival *arrival, const struct oracle_bundle *args)
{
	if (args == NULL)
		return arrival->imm_bytes == 0 && arrival->record->cap_count == 0;
	if (arrival->imm_hash != args->imm_hash || arrival->imm_bytes != args->imm_bytes ||
		arrival->cap_hash != args->cap_hash || arrival->record->cap_count != args->cap_count)
		return false;
	for (unsigned i = 0; i < args->cap_count; i++) {
		const struct oracle_value *value = args->caps[i].value;
		/* A tracked child whose owner is out of reach may be dropped as it comes. */
		bool dropped = arrival->view.caps[i] == 0 && oracle_uncertain(arrival->process, value);
		if (arrival->view.caps[i] != value->hash && !dropped)
			return false;
	}
	return true;
}

static bool is_provider(const struct arrival *arrival, const struct oracle_thing *thing)
{
	return arrival->seen && core_view_ref_hash(&arrival->view.object) == thing->id &&
		   thing->process == arrival->process && thing->channel == arrival->channel &&
		   thing->handler == arrival->record->header.cookie;
}

static struct oracle_made *find(struct oracle *o, const struct arrival *arrival, uint64_t trace)
{
	const struct wire_answer_delivery *record = arrival->record;
	uint64_t provider = provider_hash(arrival->process, arrival->channel, record->header.cookie);
	uint64_t key = shown(provider, trace, arrival->imm_hash, arrival->imm_bytes, arrival->cap_hash,
						 record->cap_count);
	struct list *bucket = oracle_bucket(o->made, key);
	struct oracle_made *dead = NULL, *alive = NULL;
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct oracle_made *made = BASE_CONTAINER(at, struct oracle_made, key);
		if (made->key_hash != key || !is_provider(arrival, made->target) ||
			!shows(arrival, made->args) || hash_of(made->on_error) != arrival->view.on_error ||
			(made->kind == ORACLE_THEN && (made->after == NULL || !oracle_landed(made->after))))
			continue;
		if (oracle_life(o, made->target) == ORACLE_DEAD) {
			dead = made;
			continue;
		}
		if (alive == NULL)
			alive = made;
	}
	return alive != NULL ? alive : dead;
}

/* What was made before by the same channel through the same capability and has not come: it must
 * have a reason, and must never come. */
static void check_order(struct oracle *o, struct oracle_made *made)
{
	struct list *waiting = &made->target->waiting;
	if (made->kind != ORACLE_PLAIN || made->twin)
		return;
	for (struct list *at = waiting->next, *next; at != waiting; at = next) {
		struct oracle_made *older = BASE_CONTAINER(at, struct oracle_made, of_object);
		next = at->next;
		if (older == made)
			return;
		if (older->source != made->source || older->channel != made->channel || older->twin)
			continue;
		if (!oracle_excused(o, older)) {
			oracle_violate(o, "an invocation of %s (trace %llu) was overtaken by a later one",
						   oracle_name(made->source), (unsigned long long)older->trace);
			return;
		}
		o->counts.lost++;
		retire(o, older);
	}
}

static void consume(struct oracle *o, struct oracle_thing *thing)
{
	while (thing->parent != NULL)
		thing = thing->parent;
	if (!thing->is_once)
		return;
	if (thing->consumed)
		oracle_violate(o, "a ONCE Request of %s is delivered twice", oracle_name(thing->process));
	thing->consumed = true;
	oracle_kill(o, thing, ORACLE_DEAD, ORACLE_BY_REVOKE);
}

static struct oracle_open *open_it(struct oracle *o, const struct arrival *arrival,
								   struct oracle_thing *target, const struct oracle_bundle *args,
								   struct oracle_value *on_error)
{
	const struct wire_answer_delivery *record = arrival->record;
	struct oracle_process *process = arrival->process;
	struct oracle_open *open =
		oracle_alloc(o, sizeof *open + record->cap_count * sizeof open->caps[0]);
	open->id = record->delivery;
	open->process = process;
	open->object = target;
	open->on_error = oracle_hold(on_error);
	open->trace = record->trace;
	open->end = record->time_left > UINT64_MAX - o->now ? UINT64_MAX : o->now + record->time_left;
	open->channel = arrival->channel;
	open->cap_count = record->cap_count;
	open->is_once = target->is_once;
	for (unsigned i = 0; i < record->cap_count; i++) {
		struct oracle_value *value = args->caps[i].value;
		open->caps[i] = arrival->caps[i].cap;
		if (!oracle_slot_add(o, process, open->caps[i], value, true))
			return NULL;
		if (arrival->view.caps[i] == 0)
			oracle_slot_close(o, process, open->caps[i]);
	}
	return oracle_open_add(o, open) ? open : NULL;
}

static void check_live(struct oracle *o, const struct oracle_thing *target)
{
	enum oracle_life life = oracle_life(o, target);
	o->counts.maybes += life == ORACLE_MAYBE;
	if (life == ORACLE_DEAD)
		oracle_violate(o, "a delivery to %s through object %u:%u serial %llu, which is dead",
					   oracle_name(target->process), target->node, target->index,
					   (unsigned long long)target->serial);
}

/* Whoever loses a link of its way may tell that he cannot know; the last one who has it tells what
 * he knows. */
static uint32_t most_told(const struct oracle_made *made)
{
	uint32_t told = 1;
	for (uint32_t i = 1; made->kind != ORACLE_FAILED && i < made->way_count; i++)
		told += made->way[i] != made->way[i - 1];
	return told;
}

/* What was told not to run must not; unless another one was meant. */
static void check_untold(struct oracle *o, struct oracle_made *made)
{
	if (made->kind != ORACLE_PLAIN || made->told_count == 0 ||
		made->last.status == FOS_OUTCOME_UNKNOWN)
		return;
	struct list *bucket = oracle_bucket(o->told, made->told_hash);
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct oracle_made *other = BASE_CONTAINER(at, struct oracle_made, told);
		if (other == made || !other->perhaps || other->told_hash != made->told_hash ||
			other->told_count >= most_told(other) || other->delivered)
			continue;
		other->told_count++;
		other->last = made->last;
		made->told_count--;
		return;
	}
	oracle_violate(o, "an invocation of %s, trace %llu, was told not to run and was delivered",
				   oracle_name(made->source), (unsigned long long)made->trace);
}

static void deliver_plain(struct oracle *o, const struct arrival *arrival)
{
	struct oracle_made *made = find(o, arrival, arrival->record->trace);
	if (made == NULL)
		made = find(o, arrival, 0);
	if (made == NULL) {
		oracle_violate(o,
					   "a delivery to %s, handler %llu, trace %llu, that nobody made, or made "
					   "otherwise, or that was made once and delivered before",
					   oracle_name(arrival->process),
					   (unsigned long long)arrival->record->header.cookie,
					   (unsigned long long)arrival->record->trace);
		return;
	}
	check_live(o, made->target);
	check_order(o, made);
	check_untold(o, made);
	consume(o, made->target);
	made->delivered = true;
	retire(o, made);
	if (!o->violated)
		open_it(o, arrival, made->target, made->args, made->on_error);
}

/* ------------------------------------------------------------------ exceptions */

/* Bits of the statuses by which a Controller may tell that it could not go on with it. */
static uint32_t explained(struct oracle *o, const struct oracle_made *made)
{
	uint32_t may = 0;
	if (oracle_life(o, made->target) != ORACLE_LIVE)
		may |= oracle_epoch_over(o, made->target) ? ORACLE_MAY(STALE) | ORACLE_MAY(REVOKED)
												  : ORACLE_MAY(REVOKED);
	if (unreachable(o, made))
		may |= ORACLE_MAY(PEER_LOST) | ORACLE_MAY(OUTCOME_UNKNOWN) | ORACLE_MAY(STALE);
	may |= tracked_may(o, made);
	if (expired(o, made))
		may |= ORACLE_MAY(BUSY);
	if (limited(o, made) || oracle_too_large(made->args, made->on_error))
		may |= ORACLE_MAY(QUOTA);
	if (made->after != NULL)
		may |= oracle_copy_may(o, made->after);
	return may & ~ORACLE_MAY(OK);
}

static struct oracle_value *next_error(const struct oracle_value *value)
{
	return value->bundle != NULL ? value->bundle->on_error : NULL;
}

static bool tells_through(const struct arrival *arrival, const struct oracle_made *made)
{
	return is_provider(arrival, made->on_error->object) &&
		   (made->trace == 0 || made->trace == arrival->record->trace) &&
		   shows(arrival, made->on_error->bundle) &&
		   hash_of(next_error(made->on_error)) == arrival->view.on_error;
}

/* Whether it may be told of by this exception header, if it was not before. */
static bool may_tell(struct oracle *o, const struct oracle_made *made, uint32_t status,
					 uint32_t node, uint32_t process)
{
	if (made->kind == ORACLE_FAILED)
		return status == made->status && node == made->told_node && process == made->told_process;
	if (process != 0 || status >= FOS_STATUS_COUNT)
		return false;
	bool not_run = made->kind == ORACLE_PLAIN && status != FOS_OUTCOME_UNKNOWN;
	if (not_run && made->delivered)
		return false;
	return explained(o, made) >> status & 1;
}

/* sole: no other can be meant. */
static void tell_of(struct oracle *o, const struct arrival *arrival, struct oracle_made *made,
					bool sole)
{
	made->told_count++;
	made->last.status = arrival->exception->status;
	made->last.node = arrival->exception->node;
	made->last.process = arrival->exception->process;
	if (sole && made->kind == ORACLE_PLAIN && arrival->exception->status != FOS_OUTCOME_UNKNOWN)
		retire(o, made);
	if (made->after != NULL)
		oracle_copy_told(o, made->after);
	struct oracle_value *value = oracle_hold(made->on_error);
	check_live(o, value->object);
	consume(o, value->object);
	if (!o->violated)
		open_it(o, arrival, value->object, value->bundle, next_error(value));
	oracle_release(o, value);
}

/* What an earlier exception was thought to tell of may have been another one's. */
static struct oracle_made *instead(struct oracle *o, const struct arrival *arrival,
								   struct list *bucket, const struct oracle_made *told)
{
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct oracle_made *other = BASE_CONTAINER(at, struct oracle_made, told);
		if (other != told && other->told_hash == told->told_hash &&
			other->told_count < most_told(other) && tells_through(arrival, other) &&
			may_tell(o, other, told->last.status, told->last.node, told->last.process))
			return other;
	}
	return NULL;
}

static bool is_meant(struct oracle *o, const struct arrival *arrival,
					 const struct oracle_made *made, uint64_t hash)
{
	const struct wire_exception *head = arrival->exception;
	return made->told_hash == hash && tells_through(arrival, made) &&
		   may_tell(o, made, head->status, head->node, head->process);
}

/* Of several that share trace and on_error any may be meant: all are waited for, none must come. */
static bool is_sole(struct oracle *o, const struct arrival *arrival, uint64_t hash)
{
	struct list *bucket = oracle_bucket(o->told, hash);
	struct oracle_made *first = NULL;
	bool sole = true;
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct oracle_made *made = BASE_CONTAINER(at, struct oracle_made, told);
		if (!is_meant(o, arrival, made, hash))
			continue;
		sole &= first == NULL;
		made->perhaps |= !sole;
		if (first == NULL)
			first = made;
		else
			first->perhaps = true;
	}
	return sole;
}

/* dead: also through what is dead, to say so. */
static bool tell(struct oracle *o, const struct arrival *arrival, uint64_t trace, bool dead)
{
	uint64_t hash =
		told_hash(arrival->process, arrival->channel, arrival->record->header.cookie, trace);
	struct list *bucket = oracle_bucket(o->told, hash);
	bool sole = is_sole(o, arrival, hash);
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct oracle_made *made = BASE_CONTAINER(at, struct oracle_made, told);
		if (!is_meant(o, arrival, made, hash) ||
			(!dead && oracle_life(o, made->on_error->object) == ORACLE_DEAD))
			continue;
		if (made->told_count >= most_told(made)) {
			struct oracle_made *other = instead(o, arrival, bucket, made);
			if (other == NULL)
				continue;
			other->told_count++;
			other->last = made->last;
			made->told_count--;
		}
		tell_of(o, arrival, made, sole);
		return true;
	}
	return false;
}

/* A ONCE Request's own end: its deadline, or an arrival that did not fit. */
static bool end_once(struct oracle *o, const struct arrival *arrival)
{
	const struct wire_exception *head = arrival->exception;
	const struct oracle_process *process = arrival->process;
	bool timed_out = head->status == FOS_TIMED_OUT && head->process == 0;
	bool quota = head->status == FOS_QUOTA && head->process == process->serial;
	if (head->node != o->node || arrival->imm_bytes > 0 || arrival->record->cap_count > 0 ||
		(!timed_out && !quota))
		return false;
	for (struct list *at = process->onces.next; at != &process->onces; at = at->next) {
		struct oracle_thing *thing = BASE_CONTAINER(at, struct oracle_thing, once);
		if (!is_provider(arrival, thing))
			continue;
		bool fits = !thing->large && oracle_fits(o, process, FOS_CAPS_MAX, ONCE_BYTES);
		if (timed_out ? thing->deadline > o->now : !thing->aimed || fits)
			continue;
		consume(o, thing);
		if (!o->violated)
			open_it(o, arrival, thing, NULL, NULL);
		return true;
	}
	return false;
}

static void deliver_exception(struct oracle *o, const struct arrival *arrival)
{
	const struct wire_exception *head = arrival->exception;
	if (head->status == FOS_OK || head->status >= FOS_STATUS_COUNT) {
		oracle_violate(o, "an exception of status %u", head->status);
		return;
	}
	o->counts.exceptions++;
	o->counts.exceptions_of[head->status]++;
	uint64_t trace = arrival->record->trace;
	if (end_once(o, arrival) || tell(o, arrival, trace, false) || tell(o, arrival, 0, false) ||
		tell(o, arrival, trace, true) || tell(o, arrival, 0, true))
		return;
	oracle_violate(o,
				   "an exception %s of node %u, process %u for %s, handler %llu, trace %llu, that "
				   "nothing explains",
				   fos_status_name((fos_status)head->status), head->node, head->process,
				   oracle_name(arrival->process),
				   (unsigned long long)arrival->record->header.cookie,
				   (unsigned long long)arrival->record->trace);
}

void oracle_delivered(struct oracle *o, uint32_t node, const struct core_output *out)
{
	(void)node;
	struct arrival arrival;
	parse(o, out, &arrival);
	o->counts.deliveries++;
	if (arrival.exception != NULL)
		deliver_exception(o, &arrival);
	else
		deliver_plain(o, &arrival);
}
