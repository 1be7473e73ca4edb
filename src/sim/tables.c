/* When everything is at rest: the tables of all Controllers must agree, with each other and with
 * what they charge. */
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

struct pairing { /* a child at its owner, or the maker's record of it */
	uint64_t key;
	uint32_t node, process; /* the maker's */
};
struct pairings {
	struct pairing *all;
	uint32_t count, room;
};

struct look {
	struct world *world;
	struct node *node;
	struct core_view_session sessions[NODES_MAX][NODES_MAX];
	uint32_t charged[NODES_MAX][NODES_MAX]; /* children at one node, made from the other */
	struct pairings children, lendings;
	struct pairings holders, holdings; /* of tracked children: by their owners, by themselves */
};

uint64_t tables_key(const struct core_view_ref *ref)
{
	return base_mix64(ref->serial ^ base_mix64(ref->epoch));
}

static void add(struct pairings *to, struct pairing pairing)
{
	if (to->count == to->room) {
		uint32_t room = to->room ? 2 * to->room : 256;
		struct pairing *all = sim_alloc(room * sizeof *all);
		if (to->count > 0)
			memcpy(all, to->all, to->count * sizeof *all);
		to->all = all;
		to->room = room;
	}
	to->all[to->count++] = pairing;
}

static void see_session(void *context, const struct core_view_session *session)
{
	struct look *look = context;
	look->sessions[look->node->number - 1][session->node - 1] = *session;
}

static void see_object(void *context, const struct core_view_object *object)
{
	struct look *look = context;
	if (object->dead || !object->child || object->maker_node == look->node->number)
		return;
	look->charged[look->node->number - 1][object->maker_node - 1]++;
	add(&look->children,
		(struct pairing){tables_key(&object->ref), object->maker_node, object->maker_process});
}

static void see_lending(void *context, const struct core_view_lending *lending)
{
	struct look *look = context;
	add(&look->lendings,
		(struct pairing){tables_key(&lending->ref), look->node->number, lending->process});
}

static uint64_t holding_key(const struct core_view_ref *ref, uint32_t node)
{
	return base_mix64(tables_key(ref) + node);
}

static void see_tracked(void *context, const struct core_view_tracked *tracked)
{
	struct look *look = context;
	uint32_t node = look->node->number;
	if (tracked->moves || tracked->in_transit + tracked->debts + tracked->uses > 0)
		sim_violation(look->world,
					  "node %u is not at rest with a tracked child of node %u: %u uses, %u in "
					  "transit, %u debts%s",
					  node, tracked->ref.node, tracked->uses, tracked->in_transit, tracked->debts,
					  tracked->moves ? ", a registration under way" : "");
	if (tracked->registered && !tracked->over)
		add(&look->holdings, (struct pairing){holding_key(&tracked->ref, node), node, 0});
	if (tracked->registered && tracked->refs == 0)
		sim_violation(look->world, "node %u is registered with node %u for what it does not hold",
					  node, tracked->ref.node);
}

static void see_holder(void *context, const struct core_view_ref *ref, uint32_t node)
{
	struct look *look = context;
	add(&look->holders, (struct pairing){holding_key(ref, node), node, 0});
}

/* ------------------------------------------------------------------ sessions */

static void check_session(struct look *look, uint32_t a, uint32_t b)
{
	const struct core_view_session *here = &look->sessions[a][b], *there = &look->sessions[b][a];
	struct world *world = look->world;
	if (here->node == 0 || here->ending || here->epoch != world->nodes[b].config.epoch)
		sim_violation(world, "node %u has no session with the present node %u", a + 1, b + 1);
	uint32_t left = here->queued + here->flight + here->parks + here->waiters + here->incoming +
					here->outgoing + here->asked + here->asks;
	if (left > 0)
		sim_violation(world,
					  "between nodes %u and %u is left: %u queued, %u in flight, %u parks, %u "
					  "waiters, %u+%u+%u+%u copies",
					  a + 1, b + 1, here->queued, here->flight, here->parks, here->waiters,
					  here->incoming, here->outgoing, here->asked, here->asks);
	if (here->children != look->charged[a][b])
		sim_violation(world, "node %u charges node %u with %u children; it has %u", a + 1, b + 1,
					  here->children, look->charged[a][b]);
	for (unsigned i = 0; i < WIRE_CLASS_ANSWER; i++) {
		if (here->credits[i] + there->unreturned[i] != wire_class_credits((enum wire_class)i))
			sim_violation(world, "credits of class %u from node %u to %u are lost: %u, %u due", i,
						  a + 1, b + 1, here->credits[i], there->unreturned[i]);
	}
}

/* ------------------------------------------------------------------ children */

static int by_key(const void *a, const void *b)
{
	const struct pairing *x = a, *y = b;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return 0;
}

static void sort(struct pairings *pairings)
{
	if (pairings->count > 0)
		qsort(pairings->all, pairings->count, sizeof *pairings->all, by_key);
}

static void check_children(struct look *look)
{
	struct pairings *children = &look->children, *lendings = &look->lendings;
	sort(children);
	sort(lendings);
	for (uint32_t i = 0, j = 0; i < children->count || j < lendings->count; i++, j++) {
		const struct pairing *child = i < children->count ? &children->all[i] : NULL;
		const struct pairing *lending = j < lendings->count ? &lendings->all[j] : NULL;
		bool alone = lending == NULL || (child != NULL && child->key < lending->key);
		if (alone)
			sim_violation(look->world,
						  "a child lives that Process %u of node %u does not know it made",
						  child->process, child->node);
		if (child == NULL || lending->key < child->key)
			sim_violation(look->world,
						  "Process %u of node %u is charged for a child that does not live",
						  lending->process, lending->node);
		if (child->node != lending->node || child->process != lending->process)
			sim_violation(look->world, "a child's owner names another maker than its maker");
	}
}

/* ------------------------------------------------------------------ holders of tracked children */

/* Who thinks that it is registered is, but what is dead is forgotten by its owner first. */
static void check_holders(struct look *look)
{
	struct pairings *holders = &look->holders, *holdings = &look->holdings;
	sort(holders);
	sort(holdings);
	for (uint32_t i = 0, j = 0; i < holders->count; i++) {
		const struct pairing *holder = &holders->all[i];
		while (j < holdings->count && holdings->all[j].key < holder->key)
			j++;
		if (j == holdings->count || holdings->all[j].key != holder->key)
			sim_violation(look->world,
						  "a tracked child counts node %u as a holder, which does not know it",
						  holder->node);
	}
}

/* ------------------------------------------------------------------ charges */

static void check_charges(struct world *world, const struct process *process)
{
	const struct node *node = process->node;
	struct core_usage usage;
	struct core_view_process counted;
	if (!core_process_usage(node->core, process->serial, &usage) ||
		!core_inspect_process(node->core, process->serial, &counted))
		sim_violation(world, "node %u does not know Process %u", node->number, process->serial);
	if (usage.parked != 0 || usage.copies != 0 || usage.deliveries != 0 || usage.once != 0)
		sim_violation(world,
					  "Process %u of node %u is at rest, but has: parked %u, copies %u, "
					  "deliveries %u, once %u",
					  process->serial, node->number, usage.parked, usage.copies, usage.deliveries,
					  usage.once);
	if (usage.objects != counted.objects || usage.slots != counted.slots ||
		usage.monitors != counted.monitors || usage.revokings != counted.revokings ||
		usage.values_bytes != counted.values)
		sim_violation(world,
					  "Process %u of node %u is charged otherwise than it has: objects %u/%u, "
					  "slots %u/%u, monitors %u/%u, revokings %u/%u, bytes %u/%llu",
					  process->serial, node->number, usage.objects, counted.objects, usage.slots,
					  counted.slots, usage.monitors, counted.monitors, usage.revokings,
					  counted.revokings, usage.values_bytes, (unsigned long long)counted.values);
}

void tables_check(struct world *world)
{
	static const struct core_visitor visitor = {.object = see_object,
												.session = see_session,
												.lending = see_lending,
												.tracked = see_tracked,
												.holder = see_holder};
	struct look *look = sim_alloc(sizeof *look);
	look->world = world;
	for (uint32_t i = 0; i < world->node_count; i++) {
		look->node = &world->nodes[i];
		core_inspect(look->node->core, &visitor, look);
	}
	for (uint32_t i = 0; i < world->node_count; i++) {
		for (uint32_t j = 0; j < world->node_count; j++) {
			if (i != j)
				check_session(look, i, j);
		}
	}
	check_children(look);
	check_holders(look);
	for (uint32_t i = 0; i < world->player_count; i++) {
		if (world->players[i].process != NULL)
			check_charges(world, world->players[i].process);
	}
}

/* ------------------------------------------------------------------ who holds a tracked child */

struct holders {
	const struct core_view_ref *ref;
	const struct process *maker;
	const struct node *node;
	uint32_t count;
};

static void see_slot(void *context, const struct core_view_slot *slot)
{
	struct holders *holders = context;
	bool makers = holders->node == holders->maker->node && slot->process == holders->maker->serial;
	if (!makers && slot->ref.node == holders->ref->node && slot->ref.epoch == holders->ref->epoch &&
		slot->ref.serial == holders->ref->serial)
		holders->count++;
}

uint32_t tables_holders(const struct world *world, const struct process *maker,
						const struct core_view_ref *ref)
{
	static const struct core_visitor visitor = {.slot = see_slot};
	struct holders holders = {.ref = ref, .maker = maker};
	for (uint32_t i = 0; i < world->node_count; i++) {
		holders.node = &world->nodes[i];
		if (world->nodes[i].up)
			core_inspect(world->nodes[i].core, &visitor, &holders);
	}
	return holders.count;
}
