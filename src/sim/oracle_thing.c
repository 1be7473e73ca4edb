/* Objects: one table for the whole cluster, and what is known of the life of each.
 *
 *     LIVE --- own Process dies, own revoke at the owner, the epoch's end ----> DEAD
 *       '--- revoke from afar, maker's Process died afar, firing ---> MAYBE --- it is told --->
 * DEAD
 *
 * A child dies with its ancestors: their state is looked up, not written. */
#include "core/inspect.h"
#include "sim/oracle_internal.h"

static uint64_t ref_hash(uint32_t node, uint64_t epoch, uint32_t index, uint64_t serial)
{
	const struct core_view_ref ref = {node, index, epoch, serial};
	return core_view_ref_hash(&ref);
}

struct oracle_thing *oracle_thing_find(struct oracle *o, uint32_t node, uint64_t epoch,
									   uint32_t index, uint64_t serial)
{
	struct list *bucket = oracle_bucket(o->things, ref_hash(node, epoch, index, serial));
	for (struct list *at = bucket->prev; at != bucket; at = at->prev) {
		struct oracle_thing *thing = BASE_CONTAINER(at, struct oracle_thing, hash);
		if (thing->serial == serial && thing->index == index && thing->node == node &&
			thing->epoch == epoch)
			return thing;
	}
	return NULL;
}

static struct oracle_thing *new_thing(struct oracle *o)
{
	struct oracle_thing *thing = oracle_alloc(o, sizeof *thing);
	thing->moment = o->moment;
	struct list *links[] = {&thing->hash, &thing->of_node, &thing->of_maker, &thing->once,
							&thing->waiting};
	for (unsigned i = 0; i < BASE_COUNT(links); i++)
		list_init(links[i]);
	return thing;
}

struct oracle_thing *oracle_thing_new(struct oracle *o, struct oracle_process *process,
									  uint8_t kind)
{
	struct oracle_thing *thing = new_thing(o);
	thing->node = process->node;
	thing->epoch = process->epoch;
	thing->kind = kind;
	thing->process = thing->maker = process;
	return thing;
}

struct oracle_thing *oracle_child_new(struct oracle *o, struct oracle_thing *parent,
									  struct oracle_process *maker, bool tracked)
{
	struct oracle_thing *child = new_thing(o);
	child->parent = parent;
	child->depth = parent->depth + 1;
	child->node = parent->node;
	child->epoch = parent->epoch;
	child->kind = parent->kind;
	child->rights = parent->rights;
	child->is_once = parent->is_once;
	child->process = parent->process;
	child->maker = maker;
	child->channel = parent->channel;
	child->handler = parent->handler;
	child->segment = parent->segment;
	child->offset = parent->offset;
	child->length = parent->length;
	child->tracked = tracked;
	return child;
}

void oracle_thing_name(struct oracle *o, struct oracle_thing *thing,
					   const struct core_view_ref *ref)
{
	if (oracle_thing_find(o, ref->node, ref->epoch, ref->index, ref->serial) != NULL)
		oracle_violate(o, "object %u:%u serial %llu is made a second time", ref->node, ref->index,
					   (unsigned long long)ref->serial);
	if (ref->node != thing->node || ref->epoch != thing->epoch)
		oracle_violate(o, "an object of node %u was made at node %u or in another epoch",
					   thing->node, ref->node);
	thing->index = ref->index;
	thing->serial = ref->serial;
	thing->id = core_view_ref_hash(ref);
	list_push(oracle_bucket(o->things, thing->id), &thing->hash);
	list_push(&o->nodes[thing->node].things, &thing->of_node);
	list_push(&thing->maker->things, &thing->of_maker);
	if (thing->is_once && thing->parent == NULL)
		list_push(&thing->process->onces, &thing->once);
	if (thing->tracked)
		o->nodes[thing->node].tracked++;
}

/* ------------------------------------------------------------------ life */

bool oracle_epoch_over(const struct oracle *o, const struct oracle_thing *thing)
{
	const struct oracle_node *node = &o->nodes[thing->node];
	return !node->up || node->epoch != thing->epoch;
}

enum oracle_life oracle_life(const struct oracle *o, const struct oracle_thing *thing)
{
	if (oracle_epoch_over(o, thing))
		return ORACLE_DEAD;
	enum oracle_life life = ORACLE_LIVE;
	for (; thing != NULL; thing = thing->parent) {
		life = BASE_MAX(life, thing->life);
		if (thing->parent == NULL && thing->is_once && !thing->consumed &&
			thing->deadline <= o->now)
			life = BASE_MAX(life, ORACLE_MAYBE);
	}
	return life;
}

unsigned oracle_why(const struct oracle_thing *thing)
{
	unsigned why = 0;
	for (; thing != NULL; thing = thing->parent)
		why |= thing->why | (thing->consumed ? ORACLE_BY_REVOKE : 0);
	return why;
}

bool oracle_slow(const struct oracle *o, uint64_t since)
{
	return o->disturbances > 0 ||
		   BASE_MAX(since, o->calm) + o->config.core.failure_timeout >= o->now;
}

bool oracle_counted(const struct oracle *o, const struct oracle_thing *thing)
{
	uint64_t since = UINT64_MAX;
	if (oracle_life(o, thing) != ORACLE_DEAD)
		return true;
	for (const struct oracle_thing *at = thing; at != NULL; at = at->parent) {
		if (at->killed != 0)
			since = BASE_MIN(since, at->killed);
		if (at->is_once && at->parent == NULL && at->deadline <= o->now)
			since = BASE_MIN(since, at->deadline);
	}
	return oracle_slow(o, since == UINT64_MAX ? 0 : since);
}

/* It is told at once, if nothing is slow. */
bool oracle_told_afar(const struct oracle *o, const struct oracle_process *process)
{
	return !oracle_slow(o, process->afar_time);
}

void oracle_dead_afar(struct oracle *o, struct oracle_process *process)
{
	if (oracle_told_afar(o, process))
		process->dead_afar = 0;
	process->dead_afar++;
	process->afar_time = o->now;
}

void oracle_kill(struct oracle *o, struct oracle_thing *thing, enum oracle_life life, unsigned why)
{
	thing->why |= why;
	thing->life = BASE_MAX(thing->life, life);
	if (thing->life != ORACLE_DEAD)
		return;
	if (thing->killed == 0)
		thing->killed = o->now;
	if (!list_empty(&thing->of_maker) && thing->maker->node != thing->node)
		oracle_dead_afar(o, thing->maker);
	list_remove(&thing->of_node);
	list_remove(&thing->of_maker);
	if (!list_empty(&thing->once)) {
		list_remove(&thing->once);
		thing->process->once_living--;
	}
}

void oracle_perhaps_fired(struct oracle *o, struct oracle_thing *thing)
{
	if (thing->life == ORACLE_LIVE)
		thing->unsure = true;
	oracle_kill(o, thing, ORACLE_MAYBE, ORACLE_BY_UNHELD);
}

void oracle_count(struct oracle_thing *thing, int open, int remains, int busy)
{
	for (; thing != NULL; thing = thing->parent) {
		thing->open += (uint32_t)open;
		thing->remains += (uint32_t)remains;
		thing->busy += (uint32_t)busy;
	}
}

/* Children that the peer's Processes made die with the session. */
void oracle_things_session_end(struct oracle *o, uint32_t owner, uint32_t peer,
							   enum oracle_life life)
{
	struct list *all = &o->nodes[owner].things;
	for (struct list *at = all->next, *next; at != all; at = next) {
		struct oracle_thing *thing = BASE_CONTAINER(at, struct oracle_thing, of_node);
		next = at->next;
		if (thing->parent != NULL && thing->maker->node == peer)
			oracle_kill(o, thing, life, ORACLE_BY_MAKER | ORACLE_BY_REVOKE);
	}
}

void oracle_things_process_end(struct oracle *o, struct oracle_process *process,
							   enum oracle_life here)
{
	for (struct list *at = process->things.next, *next; at != &process->things; at = next) {
		struct oracle_thing *thing = BASE_CONTAINER(at, struct oracle_thing, of_maker);
		next = at->next;
		oracle_kill(o, thing, thing->node == process->node ? here : ORACLE_MAYBE, ORACLE_BY_MAKER);
	}
}

/* ------------------------------------------------------------------ use */

uint32_t oracle_session_to(const struct oracle *o, uint32_t node, const struct oracle_thing *thing)
{
	const struct oracle_session *session = &o->sessions[node][thing->node];
	if (!session->up)
		return ORACLE_MAY(PEER_LOST);
	return session->epoch == thing->epoch ? ORACLE_MAY(OK) : ORACLE_MAY(STALE);
}

uint32_t oracle_use(const struct oracle *o, uint32_t node, const struct oracle_thing *thing)
{
	if (thing->node != node)
		return oracle_session_to(o, node, thing);
	if (thing->epoch != o->nodes[node].epoch)
		return ORACLE_MAY(STALE);
	switch (oracle_life(o, thing)) {
	case ORACLE_LIVE:
		return ORACLE_MAY(OK);
	case ORACLE_MAYBE:
		return ORACLE_MAY(OK) | ORACLE_MAY(REVOKED);
	case ORACLE_DEAD:
		break;
	}
	return ORACLE_MAY(REVOKED);
}

/* ------------------------------------------------------------------ tracked children
 *
 * A holder's Controller that had no session with the owner while it held a child has lost it: its
 * slots are closed, and stay so when it comes again while anything of it is left there. Of what is
 * dead it may know that, and keep the slots. So has one that the owner had no memory to register.
 */

bool oracle_lost(const struct oracle *o, uint32_t node, const struct oracle_thing *thing)
{
	return thing->tracked && thing->node != node &&
		   (oracle_trouble(o, node, thing->node, thing->moment) ||
			oracle_refused(o, thing->node, thing->moment) ||
			o->sessions[node][thing->node].epoch != thing->epoch);
}

bool oracle_uncertain(const struct oracle_process *process, const struct oracle_value *value)
{
	return oracle_lost(process->oracle, process->node, value->object);
}

/* What its holder's Controller has lost it refuses; so does its maker's, when it has seen that
 * nobody else holds it. */
uint32_t oracle_thing_may(const struct oracle *o, uint32_t node, const struct oracle_thing *thing)
{
	uint32_t may = 0;
	if (oracle_lost(o, node, thing))
		may |= ORACLE_MAY(PEER_LOST) | ORACLE_MAY(STALE);
	if (thing->tracked && thing->maker->node == node &&
		(thing->delegates > 0 || oracle_life(o, thing) != ORACLE_LIVE))
		may |= ORACLE_MAY(REVOKED);
	return may;
}

uint32_t oracle_tracked_may(struct oracle *o, uint32_t node, const struct oracle_value *value)
{
	uint32_t may = 0;
	struct oracle_walk walk;
	const struct oracle_thing *thing;
	oracle_walk_begin(o, &walk);
	oracle_walk_value(&walk, (struct oracle_value *)(uintptr_t)value);
	while ((thing = oracle_walk_next(&walk)) != NULL)
		may |= oracle_thing_may(o, node, thing);
	return may;
}

/* as_maker: a plain slot of it is not held, but what is bound there is, be it the same. */
static bool contains(struct oracle *o, struct oracle_value *value, const struct oracle_thing *thing,
					 bool as_maker)
{
	struct oracle_walk walk;
	const struct oracle_thing *held;
	oracle_walk_begin(o, &walk);
	if (as_maker)
		oracle_walk_bundle(&walk, value->bundle);
	else
		oracle_walk_value(&walk, value);
	while ((held = oracle_walk_next(&walk)) != NULL) {
		if (held == thing)
			return true;
	}
	return false;
}

const struct oracle_process *oracle_holder(struct oracle *o, const struct oracle_thing *thing,
										   uint64_t since)
{
	const struct list *things = &o->nodes[thing->node].things;
	for (const struct list *at = things->next; at != things; at = at->next) {
		const struct oracle_thing *below = BASE_CONTAINER(at, struct oracle_thing, of_node);
		if (below->parent == thing && oracle_life(o, below) == ORACLE_LIVE)
			return below->maker;
	}
	for (const struct list *at = o->all.next; at != &o->all; at = at->next) {
		const struct oracle_process *process = BASE_CONTAINER(at, struct oracle_process, all);
		for (uint32_t i = 0; process->alive && i < process->cell_room; i++) {
			const struct oracle_cell *cell = &process->cells[i];
			if (oracle_cell_holds(process, cell) && cell->time <= since &&
				contains(o, cell->value, thing, process == thing->maker))
				return process;
		}
	}
	return NULL;
}
