/* At the end: everything that was begun has ended, and all tables of all Controllers are the
 * oracle's. */
#include "core/inspect.h"
#include "sim/oracle_internal.h"

static bool is_there(const struct oracle *o, const struct oracle_thing *thing)
{
	const struct core_view_ref ref = {thing->node, thing->index, thing->epoch, thing->serial};
	struct core_view_object seen;
	return !oracle_epoch_over(o, thing) &&
		   core_inspect_object(o->config.core_of(o->config.context, thing->node), &ref, &seen) &&
		   !seen.dead;
}

/* What was only "maybe" dead while messages were on their way is dead when all have come. */
static void settle_things(struct oracle *o)
{
	for (uint32_t node = 0; node < ORACLE_NODES; node++) {
		struct list *all = &o->nodes[node].things;
		for (struct list *at = all->next, *next; at != all; at = next) {
			struct oracle_thing *thing = BASE_CONTAINER(at, struct oracle_thing, of_node);
			next = at->next;
			if (thing->life == ORACLE_MAYBE && thing->unsure && is_there(o, thing))
				thing->life = ORACLE_LIVE;
			if (thing->life == ORACLE_MAYBE)
				oracle_kill(o, thing, ORACLE_DEAD, 0);
		}
	}
}

/* Who is to be told when nobody else holds a child, and nobody does, has been told. */
static void check_unheld(struct oracle *o, const struct oracle_call *call)
{
	const struct oracle_thing *thing = call->object;
	if (thing->delegated && oracle_holder(o, thing, o->now) == NULL)
		oracle_violate(o, "monitor_delegate of %s never fired, and nobody holds %u:%u serial %llu",
					   oracle_name(call->process), thing->node, thing->index,
					   (unsigned long long)thing->serial);
}

static void check_calls(struct oracle *o, const struct oracle_process *process)
{
	for (const struct list *at = process->calls.next; at != &process->calls; at = at->next) {
		const struct oracle_call *call = BASE_CONTAINER(at, struct oracle_call, of_process);
		bool monitor = call->type == WIRE_CALL_TYPE_MONITOR_RECEIVE ||
					   call->type == WIRE_CALL_TYPE_MONITOR_DELEGATE;
		if (monitor && !call->cancelled && oracle_life(o, call->object) == ORACLE_LIVE) {
			if (call->type == WIRE_CALL_TYPE_MONITOR_DELEGATE)
				check_unheld(o, call);
			continue;
		}
		if (call->type == WIRE_CALL_TYPE_REGISTRY_GET && call->end > o->now)
			continue;
		oracle_violate(o, "%s of %s never ended", wire_call_name(call->type), oracle_name(process));
	}
}

static void check_onces(struct oracle *o, const struct oracle_process *process)
{
	for (const struct list *at = process->onces.next; at != &process->onces; at = at->next) {
		const struct oracle_thing *thing = BASE_CONTAINER(at, struct oracle_thing, once);
		if (thing->deadline < o->now)
			oracle_violate(o, "a ONCE Request of %s, handler %llu, got no end",
						   oracle_name(process), (unsigned long long)thing->handler);
	}
}

static void check_made(struct oracle *o)
{
	for (unsigned i = 0; i < ORACLE_BUCKETS; i++) {
		for (const struct list *at = o->made[i].next; at != &o->made[i]; at = at->next) {
			const struct oracle_made *made = BASE_CONTAINER(at, struct oracle_made, key);
			if (!oracle_excused(o, made))
				oracle_violate(o, "an invocation of %s, trace %llu, was lost without a fault",
							   oracle_name(made->source), (unsigned long long)made->trace);
			oracle_count_undelivered(o, made);
		}
	}
}

static void check_copies(struct oracle *o, uint32_t node)
{
	struct list *all = &o->nodes[node].copies;
	for (struct list *at = all->next; at != all; at = at->next) {
		struct oracle_copying *copying = BASE_CONTAINER(at, struct oracle_copying, all);
		if (copying->outstanding > 0 && o->nodes[node].up &&
			copying->token_epoch == o->nodes[node].epoch)
			oracle_violate(o, "the simulator has not answered for a slice");
		if (!copying->reported && !oracle_landed(copying) &&
			(oracle_copy_may(o, copying) & ~ORACLE_MAY(OK)) == 0)
			oracle_violate(o, "a copy of %s was lost without a fault", oracle_name(copying->asker));
	}
}

void oracle_quiet(struct oracle *o, uint64_t now)
{
	o->now = BASE_MAX(o->now, now);
	o->moment++;
	o->node = 0;
	oracle_expire(o);
	settle_things(o);
	for (struct list *at = o->all.next; at != &o->all; at = at->next) {
		const struct oracle_process *process = BASE_CONTAINER(at, struct oracle_process, all);
		if (!process->alive)
			continue;
		check_calls(o, process);
		check_onces(o, process);
	}
	check_made(o);
	oracle_check_all_told(o);
	for (uint32_t node = 0; node < ORACLE_NODES; node++)
		check_copies(o, node);
}

/* ------------------------------------------------------------------ tables */

struct comparison {
	struct oracle *o;
	uint32_t node;
	uint32_t processes, slots;
};

static void see_object(void *context, const struct core_view_object *seen)
{
	struct comparison *comparison = context;
	struct oracle *o = comparison->o;
	const struct core_view_ref *ref = &seen->ref;
	struct oracle_thing *thing =
		oracle_thing_find(o, ref->node, ref->epoch, ref->index, ref->serial);
	if (thing == NULL) {
		oracle_violate(o, "the table has object %u serial %llu, which nobody made", ref->index,
					   (unsigned long long)ref->serial);
		return;
	}
	bool dead = oracle_life(o, thing) != ORACLE_LIVE;
	bool kept = thing->open > 0 || thing->remains > 0 || thing->busy > 0 || thing->has_children;
	if (seen->dead != dead || (dead && !kept) || seen->kind != thing->kind ||
		seen->once != thing->is_once || (!dead && seen->process != thing->process->serial) ||
		(!thing->has_children && thing->parent == NULL && thing->remains == 0 &&
		 seen->deliveries != thing->open))
		oracle_violate(o,
					   "the table's object %u serial %llu is %s with %u deliveries, not %s with %u",
					   ref->index, (unsigned long long)ref->serial, seen->dead ? "dead" : "alive",
					   seen->deliveries, dead ? "dead" : "alive", thing->open);
	thing->seen = o->moment;
}

static void see_slot(void *context, const struct core_view_slot *seen)
{
	struct comparison *comparison = context;
	struct oracle *o = comparison->o;
	struct oracle_process *process = oracle_process_find(o, comparison->node, seen->process);
	const struct oracle_cell *cell = process != NULL ? oracle_cell(process, seen->cap) : NULL;
	if (cell == NULL) {
		oracle_violate(o, "%s has slot %#llx, which nobody gave it", oracle_name(process),
					   (unsigned long long)seen->cap);
		return;
	}
	const struct oracle_value *value = cell->value;
	const struct oracle_thing *thing = value->object;
	const struct core *core = o->config.core_of(o->config.context, comparison->node);
	bool memory = value->kind == FOS_MEMORY;
	struct core_view_slot whole;
	if (seen->ref.serial != thing->serial || seen->ref.index != thing->index ||
		seen->ref.node != thing->node || seen->ref.epoch != thing->epoch ||
		seen->kind != value->kind || seen->borrowed != cell->borrowed ||
		(memory && (seen->offset != value->offset || seen->length != value->length ||
					seen->rights != value->rights)) ||
		!core_inspect_slot(core, seen->process, seen->cap, &whole) || whole.hash != value->hash)
		oracle_violate(o, "slot %#llx of %s holds another capability than it was given",
					   (unsigned long long)seen->cap, oracle_name(process));
	comparison->slots++;
}

static void check_usage(struct oracle *o, const struct core *core,
						const struct oracle_process *process)
{
	struct core_usage usage;
	uint32_t objects = process->remained;
	for (const struct list *at = process->things.next; at != &process->things; at = at->next)
		objects += oracle_life(o, BASE_CONTAINER(at, struct oracle_thing, of_maker)) == ORACLE_LIVE;
	if (!core_process_usage(core, process->serial, &usage)) {
		if (!process->ending)
			oracle_violate(o, "%s is not there any more", oracle_name(process));
		return;
	}
	bool empty = process->slots == 0 && list_empty(&process->open) && list_empty(&process->calls);
	if (usage.objects != objects || usage.slots != process->slots ||
		usage.deliveries != process->deliveries || usage.copies != 0 ||
		usage.once != process->once_living + process->once_open ||
		(empty && (usage.parked != 0 || usage.values_bytes != 0)))
		oracle_violate(o,
					   "%s is charged %u objects, %u slots, %u deliveries, %u copies, %u ONCE, %u "
					   "parked, %u bytes; it has %u, %u, %u, 0, %u",
					   oracle_name(process), usage.objects, usage.slots, usage.deliveries,
					   usage.copies, usage.once, usage.parked, usage.values_bytes, objects,
					   process->slots, process->deliveries,
					   process->once_living + process->once_open);
}

/* Slots that were lost with a tracked child, if so many must have been. */
static uint32_t lost_slots(struct oracle *o, uint32_t node, const struct core *core, uint32_t most)
{
	uint32_t count = 0;
	for (struct list *at = o->all.next; at != &o->all && most > 0; at = at->next) {
		struct oracle_process *process = BASE_CONTAINER(at, struct oracle_process, all);
		for (uint32_t i = 0; process->node == node && i < process->cell_room; i++) {
			const struct oracle_cell *cell = &process->cells[i];
			struct core_view_slot seen;
			if (cell->value == NULL || !oracle_uncertain(process, cell->value) ||
				core_inspect_slot(core, process->serial, cell->cap, &seen))
				continue;
			oracle_slot_close(o, process, cell->cap);
			count++;
		}
	}
	return count;
}

/* ------------------------------------------------------------------ holders of tracked children
 *
 * A node that holds one, in slots, bound in them, or by living children below it, is registered
 * with its owner, unless it has lost that, or is the maker's. */

static void hold(struct oracle *o, struct oracle_value *value, uint32_t node)
{
	struct oracle_walk walk;
	struct oracle_thing *thing;
	oracle_walk_begin(o, &walk);
	oracle_walk_value(&walk, value);
	while ((thing = oracle_walk_next(&walk)) != NULL)
		thing->holding |= (uint64_t)1 << node;
}

static void gather_holders(struct oracle *o)
{
	for (uint32_t node = 0; node < ORACLE_NODES; node++) {
		struct list *all = &o->nodes[node].things;
		for (struct list *at = all->next; at != all; at = at->next) {
			const struct oracle_thing *thing = BASE_CONTAINER(at, struct oracle_thing, of_node);
			if (thing->parent != NULL && thing->parent->tracked &&
				oracle_life(o, thing) == ORACLE_LIVE)
				thing->parent->holding |= (uint64_t)1 << thing->maker->node;
		}
	}
	for (struct list *at = o->all.next; at != &o->all; at = at->next) {
		struct oracle_process *process = BASE_CONTAINER(at, struct oracle_process, all);
		for (uint32_t i = 0; process->alive && i < process->cell_room; i++) {
			if (oracle_cell_holds(process, &process->cells[i]))
				hold(o, process->cells[i].value, process->node);
		}
	}
}

static void see_holder(void *context, const struct core_view_ref *ref, uint32_t node)
{
	struct comparison *comparison = context;
	struct oracle *o = comparison->o;
	struct oracle_thing *thing =
		oracle_thing_find(o, ref->node, ref->epoch, ref->index, ref->serial);
	if (thing == NULL || !(thing->holding >> node & 1))
		oracle_violate(o, "node %u counts as a holder of child %u serial %llu, which it has not",
					   node, ref->index, (unsigned long long)ref->serial);
	else
		thing->holding &= ~((uint64_t)1 << node);
}

/* After all that are registered are taken out. */
static void check_unregistered(struct oracle *o, const struct oracle_thing *thing)
{
	for (uint32_t node = 0; node < ORACLE_NODES; node++) {
		if (!(thing->holding >> node & 1) || node == thing->node || node == thing->maker->node ||
			oracle_life(o, thing) != ORACLE_LIVE || oracle_lost(o, node, thing))
			continue;
		oracle_violate(o, "node %u holds child %u serial %llu of %s and is not registered", node,
					   thing->index, (unsigned long long)thing->serial, oracle_name(thing->maker));
	}
}

static void compare_node(struct oracle *o, uint32_t node)
{
	const struct core *core = o->config.core_of(o->config.context, node);
	const struct core_visitor visitor = {
		.object = see_object, .slot = see_slot, .holder = see_holder};
	struct comparison comparison = {.o = o, .node = node};
	uint32_t slots = 0;
	o->node = node;
	core_inspect(core, &visitor, &comparison);
	for (struct list *at = o->nodes[node].things.next; at != &o->nodes[node].things;
		 at = at->next) {
		const struct oracle_thing *thing = BASE_CONTAINER(at, struct oracle_thing, of_node);
		if (thing->seen != o->moment && oracle_life(o, thing) == ORACLE_LIVE)
			oracle_violate(o, "the table lacks object %u serial %llu of %s", thing->index,
						   (unsigned long long)thing->serial, oracle_name(thing->process));
		check_unregistered(o, thing);
	}
	for (struct list *at = o->all.next; at != &o->all; at = at->next) {
		const struct oracle_process *process = BASE_CONTAINER(at, struct oracle_process, all);
		if (process->node != node || !process->alive)
			continue;
		slots += process->slots;
	}
	slots -= lost_slots(o, node, core, slots - comparison.slots);
	if (slots != comparison.slots)
		oracle_violate(o, "the tables have %u slots, not %u", comparison.slots, slots);
	for (struct list *at = o->all.next; at != &o->all; at = at->next) {
		const struct oracle_process *process = BASE_CONTAINER(at, struct oracle_process, all);
		if (process->node == node && process->alive)
			check_usage(o, core, process);
	}
}

/* What a Controller counts is what was seen. */
static void check_counters(struct oracle *o, uint32_t number)
{
	const struct core *core = o->config.core_of(o->config.context, number);
	const struct oracle_node *node = &o->nodes[number];
	const struct fos_counters *counters = core != NULL ? core_counters(core) : NULL;
	if (counters != NULL &&
		(counters->deliveries != node->deliveries || counters->exceptions != node->exceptions))
		oracle_violate(o, "counts %llu deliveries and %llu exceptions, not %llu and %llu",
					   (unsigned long long)counters->deliveries,
					   (unsigned long long)counters->exceptions,
					   (unsigned long long)node->deliveries, (unsigned long long)node->exceptions);
}

void oracle_tables(struct oracle *o)
{
	o->moment++;
	gather_holders(o);
	for (uint32_t node = 0; node < ORACLE_NODES; node++) {
		if (!o->nodes[node].up)
			continue;
		compare_node(o, node);
		check_counters(o, node);
	}
}
