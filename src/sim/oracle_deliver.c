/* A delivery shows its provider, trace and arguments; which invocation it is follows from these.
 * Where several are alike any of them will do, and nothing is said of their order. */
#include "sim/oracle_invoke.h"

static void parse(struct oracle *o, const struct core_output *out, struct oracle_arrival *arrival)
{
	const struct wire_answer_delivery *record = (const void *)out->bytes;
	*arrival = (struct oracle_arrival){.record = record, .ranges = (const void *)(record + 1)};
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

bool oracle_arrival_shows(const struct oracle_arrival *arrival, const struct oracle_bundle *args)
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

bool oracle_arrival_is_for(const struct oracle_arrival *arrival, const struct oracle_thing *thing)
{
	return arrival->seen && core_view_ref_hash(&arrival->view.object) == thing->id &&
		   thing->process == arrival->process && thing->channel == arrival->channel &&
		   thing->handler == arrival->record->header.cookie;
}

static struct oracle_made *find(struct oracle *o, const struct oracle_arrival *arrival,
								uint64_t trace)
{
	const struct wire_answer_delivery *record = arrival->record;
	uint64_t provider =
		oracle_provider_hash(arrival->process, arrival->channel, record->header.cookie);
	uint64_t key = oracle_shown_hash(provider, trace, arrival->imm_hash, arrival->imm_bytes,
									 arrival->cap_hash, record->cap_count);
	struct list *bucket = oracle_bucket(o->made, key);
	struct oracle_made *dead = NULL, *alive = NULL;
	bool timely = false;
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct oracle_made *made = BASE_CONTAINER(at, struct oracle_made, key);
		if (made->key_hash != key || !oracle_arrival_is_for(arrival, made->target) ||
			!oracle_arrival_shows(arrival, made->args) ||
			oracle_hash_of(made->on_error) != arrival->view.on_error ||
			(made->kind == ORACLE_THEN && (made->after == NULL || !oracle_landed(made->after))))
			continue;
		if (oracle_life(o, made->target) == ORACLE_DEAD) {
			dead = made;
			continue;
		}
		/* Of those that are alike in all else the one whose time it is. */
		bool fits = oracle_time_fits(o, made, record->time_left);
		if (alive == NULL || (fits && !timely)) {
			alive = made;
			timely = fits;
		}
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
		oracle_count_undelivered(o, older);
		oracle_retire(o, older);
	}
}

void oracle_consume(struct oracle *o, struct oracle_thing *thing)
{
	thing = oracle_base(thing);
	if (!thing->is_once)
		return;
	if (thing->consumed)
		oracle_violate(o, "a ONCE Request of %s is delivered twice", oracle_name(thing->process));
	thing->consumed = true;
	oracle_kill(o, thing, ORACLE_DEAD, ORACLE_BY_REVOKE);
}

/* Where in its own arena a Memory is, its Process is told, while that lives, and nobody else. */
static bool is_placed(const struct oracle *o, const struct oracle_arrival *arrival,
					  const struct wire_delivered *cap, const struct oracle_value *value)
{
	const struct oracle_thing *thing = value->object;
	bool told = cap->segment == thing->segment + 1 && cap->offset == thing->offset + value->offset;
	bool untold = cap->segment == 0 && cap->offset == 0;
	if (value->kind != FOS_MEMORY || thing->process != arrival->process)
		return untold;
	enum oracle_life life = oracle_life(o, thing);
	return (told && life != ORACLE_DEAD) || (untold && life != ORACLE_LIVE);
}

struct oracle_open *oracle_arrival_open(struct oracle *o, const struct oracle_arrival *arrival,
										struct oracle_thing *target,
										const struct oracle_bundle *args,
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
	open->span = record->span;
	open->begun = o->now;
	open->channel = arrival->channel;
	open->cap_count = record->cap_count;
	open->is_once = target->is_once;
	for (unsigned i = 0; i < record->cap_count; i++) {
		struct oracle_value *value = args->caps[i].value;
		open->caps[i] = arrival->caps[i].cap;
		if (!is_placed(o, arrival, &arrival->caps[i], value))
			oracle_violate(o, "says of a Memory of %s that it lies in segment %u at %llu",
						   oracle_name(process), arrival->caps[i].segment,
						   (unsigned long long)arrival->caps[i].offset);
		if (!oracle_slot_add(o, process, open->caps[i], value, true))
			return NULL;
		if (arrival->view.caps[i] == 0)
			oracle_slot_close(o, process, open->caps[i]);
	}
	return oracle_open_add(o, open) ? open : NULL;
}

void oracle_check_alive(struct oracle *o, const struct oracle_thing *target)
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
uint32_t oracle_most_told(const struct oracle_made *made)
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
			other->told_count >= oracle_most_told(other) || other->delivered)
			continue;
		other->told_count++;
		other->last = made->last;
		made->told_count--;
		return;
	}
	oracle_violate(o, "an invocation of %s, trace %llu, was told not to run and was delivered",
				   oracle_name(made->source), (unsigned long long)made->trace);
}

static void check_time(struct oracle *o, const struct oracle_arrival *arrival,
					   const struct oracle_made *made)
{
	uint64_t left = arrival->record->time_left;
	if (!oracle_time_fits(o, made, left))
		oracle_violate(
			o,
			"an invocation of %s, trace %llu, is delivered with %llu ns left, whose time "
			"was made to end at %llu and it is %llu",
			oracle_name(made->source), (unsigned long long)made->trace, (unsigned long long)left,
			(unsigned long long)made->end, (unsigned long long)o->now);
}

static void deliver_plain(struct oracle *o, const struct oracle_arrival *arrival)
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
	oracle_check_alive(o, made->target);
	check_time(o, arrival, made);
	check_order(o, made);
	check_untold(o, made);
	oracle_consume(o, made->target);
	made->delivered = true;
	oracle_retire(o, made);
	if (!o->violated)
		oracle_arrival_open(o, arrival, made->target, made->args, made->on_error);
}

void oracle_delivered(struct oracle *o, uint32_t node, const struct core_output *out)
{
	struct oracle_arrival arrival;
	parse(o, out, &arrival);
	o->counts.deliveries++;
	o->nodes[node].deliveries++;
	o->nodes[node].exceptions += arrival.exception != NULL;
	if (arrival.exception != NULL)
		oracle_exception_delivered(o, &arrival);
	else
		deliver_plain(o, &arrival);
}
