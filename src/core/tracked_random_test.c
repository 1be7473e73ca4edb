/* Tracked children and monitors at random, from seeds: four Controllers, messages taken from the
 * links one by one. It looks into the cores. What must hold:
 *
 *   - a monitor ends exactly once (the harness sees a second end);
 *   - monitor_delegate fires only when no one else has the child: no other node counts a reference,
 *     no message on its way carries one (where no session was lost; see tracked.c);
 *   - when nothing moves any more nothing is in transit or owed, each holder is registered and each
 *     registered one holds, and whoever waits for a child that was delegated waits for a holder;
 *   - in the end the cores use what they used at first.
 *
 * Run with a seed as argument for one of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/core_internal.h"
#include "core/harness.h"

enum { NODES = 4, PLAYERS = 6, SLOTS = 24, STEPS = 1200, SEEDS = 120, MONITORS = 512, OPEN = 64 };

struct watch {
	uint64_t cookie;
	struct core_ref ref;
	bool delegate;
};

struct player {
	struct actor actor;
	uint64_t doors[PLAYERS]; /* slots: invoked with a capability, each of the players gets it */
	uint64_t slots[SLOTS];   /* of anything; some are closed */
	uint64_t open[OPEN];
	unsigned open_count;
	struct watch watches[MONITORS];
	unsigned watch_count;
	uint64_t making[64]; /* cookies of children under way */
	unsigned making_count;
};

struct game {
	struct world *world;
	struct base_random random;
	struct player players[PLAYERS];
	bool faults; /* sessions and Processes are lost */
	uint64_t fired, unheld;
};

static uint64_t below(struct game *game, uint64_t bound)
{
	return base_random_below(&game->random, bound);
}

static struct player *any_player(struct game *game)
{
	return &game->players[below(game, PLAYERS)];
}

static uint64_t *any_slot(struct game *game, struct player *player)
{
	return &player->slots[below(game, SLOTS)];
}

/* ------------------------------------------------------------------ looking into the cores */

static struct core *core_of(const struct game *game, unsigned node)
{
	return game->world->nodes[node].core;
}

static const struct value *look_at(const struct player *player, uint64_t cap)
{
	struct process *process = core_process_find(player->actor.node->core, player->actor.process);
	return core_slot_value(process, cap);
}

/* Whether the message is one that carries the child. */
static bool carries(const struct packet *packet, const struct core_ref *ref)
{
	struct wire_tail tail;
	uint8_t type = ((const struct wire_message *)(const void *)packet->bytes)->type;
	if (type != WIRE_MESSAGE_TYPE_INVOKE && type != WIRE_MESSAGE_TYPE_ERROR &&
		type != WIRE_MESSAGE_TYPE_COPY && type != WIRE_MESSAGE_TYPE_DATA)
		return false;
	wire_message_tail(packet->bytes, &tail);
	const struct wire_entry *entries = tail.args.entries;
	for (unsigned i = 1; i < tail.args.head->entry_count; i++) {
		const struct wire_entry *entry = &entries[i];
		struct core_ref named = {entry->node, entry->index, entry->epoch, entry->serial};
		if (entry->tracked && core_ref_equal(&named, ref))
			return true;
	}
	return false;
}

static void check_unheld(struct game *game, const struct player *maker, const struct core_ref *ref)
{
	if (game->faults)
		return;
	for (unsigned node = 0; node < NODES; node++) {
		const struct tracked *tracked = core_tracked_find(core_of(game, node), ref);
		if (tracked == NULL || &game->world->nodes[node] == maker->actor.node)
			continue;
		BASE_ASSERT(tracked->refs == 0 && tracked->in_transit == 0 && tracked->uses == 0);
		BASE_ASSERT(tracked->object == NULL || !core_object_is_lent(tracked->object));
	}
	for (unsigned from = 0; from < NODES; from++) {
		for (unsigned to = 0; to < NODES; to++) {
			for (int lane = 0; lane < 2; lane++) {
				const struct packet *packet = game->world->links[from][to][lane].first;
				for (; packet != NULL; packet = packet->next)
					BASE_ASSERT(!carries(packet, ref));
			}
		}
	}
}

static bool has_holder(const struct tracked *tracked, const struct session *session)
{
	for (const struct list *at = tracked->holders.next; at != &tracked->holders; at = at->next) {
		if (BASE_CONTAINER(at, struct holder, of_tracked)->session == session)
			return true;
	}
	return false;
}

static uint32_t length_of(const struct list *head)
{
	uint32_t count = 0;
	for (const struct list *at = head->next; at != head; at = at->next)
		count++;
	return count;
}

/* How many other nodes are registered. Each such record agrees with the owner's. */
static uint32_t check_holders(struct game *game, unsigned owner, const struct tracked *of_owner)
{
	uint32_t holders = 0;
	for (unsigned node = 0; node < NODES; node++) {
		const struct tracked *tracked = core_tracked_find(core_of(game, node), &of_owner->ref);
		if (node == owner || tracked == NULL || tracked->state != TRACKED_REGISTERED)
			continue;
		struct session *session = core_session_find(core_of(game, owner), node + 1);
		BASE_ASSERT(session != NULL && has_holder(of_owner, session));
		BASE_ASSERT(tracked->refs > 0 || tracked->uses > 0);
		holders++;
	}
	BASE_ASSERT(length_of(&of_owner->holders) == holders);
	return holders;
}

static bool is_had(const struct tracked *tracked)
{
	return tracked != NULL && tracked->refs > tracked->own;
}

/* Nothing moves any more. */
static void check_record(struct game *game, unsigned node, const struct tracked *tracked)
{
	bool idle = tracked->state == TRACKED_IDLE || tracked->state == TRACKED_REGISTERED;
	BASE_ASSERT(idle && tracked->in_transit == 0 && tracked->uses == 0);
	BASE_ASSERT(list_empty(&tracked->transits) && list_empty(&tracked->debts));
	if (tracked->state == TRACKED_IDLE && !tracked->pinned)
		BASE_ASSERT(tracked->lost || tracked->over);
	if (tracked->object == NULL)
		return;
	uint32_t holders = check_holders(game, node, tracked);
	const struct maker *maker = &tracked->object->maker;
	const struct tracked *of_maker =
		core_tracked_find(core_of(game, maker->node - 1), &tracked->ref);
	BASE_ASSERT(of_maker != NULL && of_maker->pinned && of_maker->maker_here);
	bool held =
		holders > 0 || is_had(tracked) || is_had(of_maker) || core_object_is_lent(tracked->object);
	if (of_maker->armed && !list_empty(&of_maker->monitors))
		BASE_ASSERT(held && !of_maker->fired);
}

static void check_tables(struct game *game)
{
	for (unsigned node = 0; node < NODES; node++) {
		struct core *core = core_of(game, node);
		for (uint32_t i = 0; i < core->tracked.buckets; i++) {
			const struct list *bucket = core_lookup_at(&core->tracked, i);
			for (const struct list *at = bucket->next; at != bucket; at = at->next)
				check_record(game, node, BASE_CONTAINER(at, struct tracked, hash));
		}
	}
}

/* ------------------------------------------------------------------ what players do */

static void make_child(struct game *game, struct player *player, bool tracked)
{
	struct call call = call_revtree(*any_slot(game, player), tracked);
	if (player->making_count < BASE_COUNT(player->making))
		player->making[player->making_count++] = call_submit(player->actor, &call);
}

static void make_object(struct game *game, struct player *player)
{
	uint64_t *slot = any_slot(game, player);
	actor_close(player->actor, *slot);
	*slot = below(game, 2) ? actor_request(player->actor, 1)
						   : actor_memory(player->actor, below(game, 50000), 30000, 3);
}

static void watch(struct game *game, struct player *player, uint64_t cap, bool delegate)
{
	const struct value *value = look_at(player, cap);
	if (value == NULL || player->watch_count == MONITORS)
		return;
	struct watch *watch = &player->watches[player->watch_count++];
	*watch = (struct watch){.ref = value->ref, .delegate = delegate};
	watch->cookie = actor_monitor(player->actor, cap, delegate);
}

static void give(struct game *game, struct player *player)
{
	struct call call = call_invoke(player->doors[below(game, PLAYERS)], 0, 0);
	uint64_t count = 1 + below(game, 3);
	for (unsigned i = 0; i < count; i++)
		call_cap(&call, 0, i, call_slot(&call, *any_slot(game, player)));
	if (below(game, 4) == 0)
		call.entries[0].on_error = (uint16_t)call_slot(&call, player->doors[below(game, PLAYERS)]);
	actor_call(player->actor, &call, NULL);
}

static void bind(struct game *game, struct player *player)
{
	struct call call = call_refinement(player->doors[below(game, PLAYERS)]);
	call_cap(&call, 0, 5, call_slot(&call, *any_slot(game, player)));
	uint64_t cap, *slot = any_slot(game, player);
	if (actor_call(player->actor, &call, &cap) != FOS_OK)
		return;
	actor_close(player->actor, *slot);
	*slot = cap;
}

static void copy(struct game *game, struct player *player)
{
	struct call call =
		call_copy(*any_slot(game, player), *any_slot(game, player), 0, below(game, 2) * 9000);
	if (below(game, 2) == 0) {
		unsigned with = call_slot(&call, *any_slot(game, player));
		unsigned then = call_refine(&call, player->doors[below(game, PLAYERS)]);
		call_cap(&call, then, 5, with);
		call_cap(&call, 0, FOS_NEXT, then);
	}
	call_submit(player->actor, &call);
}

static void revoke(struct game *game, struct player *player)
{
	struct call call = call_revoke(*any_slot(game, player), false, 0);
	call_submit(player->actor, &call);
}

static void finish(struct game *game, struct player *player)
{
	if (player->open_count == 0)
		return;
	unsigned at = (unsigned)below(game, player->open_count);
	actor_finish(player->actor, player->open[at]);
	player->open[at] = player->open[--player->open_count];
}

/* ------------------------------------------------------------------ what comes to them */

static void receive(struct game *game, struct player *player)
{
	static struct arrival arrival;
	while (actor_arrival(player->actor, &arrival)) {
		for (unsigned i = 0; i < arrival.cap_count; i++) {
			uint64_t cap = arrival.caps[i].cap, *slot = any_slot(game, player);
			if (below(game, 2) == 0 || actor_keep(player->actor, cap) != FOS_OK)
				continue;
			actor_close(player->actor, *slot);
			*slot = cap;
		}
		if (player->open_count < OPEN && below(game, 2) == 0)
			player->open[player->open_count++] = arrival.id;
		else
			actor_finish(player->actor, arrival.id);
	}
}

static void hear(struct game *game, struct player *player)
{
	struct wire_answer_completion made;
	struct wire_answer_monitored end;
	for (unsigned i = 0; i < player->making_count;) {
		if (!call_completed(player->actor, player->making[i], &made)) {
			i++;
			continue;
		}
		player->making[i] = player->making[--player->making_count];
		if (made.status != FOS_OK)
			continue;
		uint64_t *slot = any_slot(game, player);
		actor_close(player->actor, *slot);
		*slot = made.cap;
		watch(game, player, made.cap, true);
	}
	for (unsigned i = 0; i < player->watch_count;) {
		struct watch watched = player->watches[i];
		if (!monitor_ended(player->actor, watched.cookie, &end)) {
			i++;
			continue;
		}
		player->watches[i] = player->watches[--player->watch_count];
		game->fired += end.gone != FOS_GONE_NOT;
		game->unheld += end.gone == FOS_GONE_UNHELD;
		if (end.gone == FOS_GONE_UNHELD)
			check_unheld(game, player, &watched.ref);
	}
}

/* ------------------------------------------------------------------ the world moves */

static void introduce(struct game *game, struct player *player)
{
	struct player *self = player;
	for (unsigned i = 0; i < PLAYERS; i++) {
		struct player *other = &game->players[i];
		uint64_t door = actor_request(other->actor, 2);
		self->doors[i] = actor_give(other->actor, door, self->actor);
		actor_close(other->actor, door);
	}
}

static void reborn(struct game *game, struct player *player)
{
	uint32_t node = player->actor.node->number - 1;
	if (player->actor.node->process_count == BASE_COUNT(player->actor.node->processes))
		return;
	actor_kill(player->actor);
	*player = (struct player){.actor = actor_new(game->world, node)};
	for (unsigned i = 0; i < SLOTS / 2; i++)
		make_object(game, player);
}

static void move(struct game *game)
{
	struct world *world = game->world;
	uint64_t what = below(game, 100);
	if (what < 70) {
		for (unsigned i = 0; i < 6; i++)
			world_deliver(world, (uint32_t)below(game, NODES), (uint32_t)below(game, NODES),
						  (enum core_lane)below(game, 2));
	} else if (what < 74) {
		world_settle(world);
	} else if (what < 78) {
		world_tick(world, below(game, 3000));
	} else if (what == 78 && game->faults) {
		uint32_t a = (uint32_t)below(game, NODES), b = (uint32_t)below(game, NODES);
		if (a != b && world->up[a][b])
			world_cut(world, a, b);
		else if (a != b)
			world_connect(world, a, b);
	} else if (what == 79 && game->faults && below(game, 4) == 0) {
		reborn(game, any_player(game));
	}
}

static void turn(struct game *game)
{
	struct player *player = any_player(game);
	hear(game, player);
	receive(game, player);
	uint64_t what = below(game, 100);
	if (what < 34)
		give(game, player);
	else if (what < 46)
		make_child(game, player, below(game, 4) != 0);
	else if (what < 52)
		make_object(game, player);
	else if (what < 58)
		bind(game, player);
	else if (what < 72)
		actor_close(player->actor, *any_slot(game, player));
	else if (what < 80)
		finish(game, player);
	else if (what < 84)
		actor_invoke(player->actor, *any_slot(game, player));
	else if (what < 88)
		copy(game, player);
	else if (what < 94)
		watch(game, player, *any_slot(game, player), below(game, 2) == 0);
	else if (what < 97)
		revoke(game, player);
	move(game);
	for (unsigned i = 0; i < PLAYERS; i++)
		hear(game, &game->players[i]);
}

static void calm(struct game *game)
{
	for (unsigned round = 0; round < 30; round++) {
		world_settle(game->world);
		world_tick(game->world, 400000000);
		for (unsigned i = 0; i < PLAYERS; i++) {
			struct player *player = &game->players[i];
			hear(game, player);
			receive(game, player);
			while (player->open_count > 0)
				actor_finish(player->actor, player->open[--player->open_count]);
		}
	}
	world_settle(game->world);
}

static void play(uint64_t seed)
{
	static struct game game;
	memset(&game, 0, sizeof game);
	game.random.state = seed;
	game.faults = seed % 2 == 0;
	struct core_config config;
	core_config_default(&config);
	config.slice = 7000;
	config.default_time = 50000;
	config.heartbeat = 300000000;
	config.limits.deliveries = (uint32_t)(1 + seed % 7);
	config.limits.parked = 20;
	config.limits.slots = 200;
	config.limits.monitors = 40;
	game.world = world_new(NODES, &config);
	game.world->random.state = seed ^ 1;
	game.world->shuffle = true;
	for (unsigned i = 0; i < PLAYERS; i++)
		game.players[i].actor = actor_new(game.world, i % NODES);
	for (unsigned i = 0; i < PLAYERS; i++)
		introduce(&game, &game.players[i]);
	for (unsigned i = 0; i < PLAYERS; i++) {
		for (unsigned n = 0; n < SLOTS / 2; n++)
			make_object(&game, &game.players[i]);
	}
	for (unsigned part = 0; part < 4; part++) {
		for (unsigned i = 0; i < STEPS / 4; i++)
			turn(&game);
		calm(&game);
		check_tables(&game);
	}
	printf("seed %llu: %llu monitors fired, %llu of them unheld\n", (unsigned long long)seed,
		   (unsigned long long)game.fired, (unsigned long long)game.unheld);
	fflush(stdout);
	world_end(game.world);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		play(strtoull(argv[1], NULL, 0));
		return 0;
	}
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		play(seed);
	return 0;
}
