/* Three cores, random calls, random deliveries, deaths and cuts, from seeds. What must hold always:
 * each call completes exactly once (the harness sees a second), each invocation is delivered at
 * most once, a ONCE Request of a living Process has exactly one end, nothing is delivered through a
 * revtree child or what descends from it after it was revoked, nothing of it is open after it was
 * drained, a monitor ends once or waits, and when all Processes are dead the cores use what they
 * used at first. Run with a seed as argument for one of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/harness.h"

enum { NODES = 3, ACTORS = 6, REQUESTS = 32, CAPS = 48, STEPS = 1500, SEEDS = 60, ONCES = 4096 };
/* Each child that is made by a refinement binds its number at one of MARKS places, so that it can
 * be told from what arrives whom it came through, whoever used it. */
enum { CHILDREN = 1024, MARKS = 8, MARK = 3000, PENDING = 256 };

struct opened {
	uint64_t id;
	uint32_t marks[MARKS]; /* children that it came through; 0: none */
};

/* A call whose end tells something: of a child, made or revoked. */
struct pending {
	uint64_t cookie;
	uint32_t child;
	bool revoke, drain;
};

struct player {
	struct actor actor;
	bool alive;
	uint64_t caps[CAPS]; /* slots: Requests, then Memory; some are stale */
	struct opened open[64];
	unsigned open_count;
	struct pending pending[PENDING];
	unsigned pending_count;
	uint64_t cookies[STEPS]; /* of calls without an end yet */
	unsigned cookie_count;
	uint64_t watched[STEPS]; /* cookies of monitors */
	unsigned watched_count;
};

struct game {
	struct world *world;
	struct base_random random;
	struct player players[ACTORS];
	unsigned player_count;
	uint8_t seen[1 << 16]; /* deliveries of each tagged invocation */
	uint32_t tags;
	uint8_t once_ends[ONCES];   /* deliveries of each ONCE Request */
	unsigned once_owner[ONCES]; /* player */
	bool once_revoked[ONCES];
	unsigned once_count;
	struct { /* the first has number 1 */
		struct player *maker;
		uint64_t cap; /* 0: none yet, or its maker is dead */
		bool revoked;
	} children[CHILDREN + 1];
	uint32_t child_count;
	struct actor leaving[16 * NODES]; /* gone, but not free */
	unsigned leaving_count;
	uint64_t revocations, drains;
};

static uint64_t below(struct game *game, uint64_t bound)
{
	return base_random_below(&game->random, bound);
}

static struct player *any_player(struct game *game)
{
	return &game->players[below(game, game->player_count)];
}

static uint64_t *any_cap(struct game *game, struct player *player)
{
	return &player->caps[below(game, CAPS)];
}

static uint64_t *any_request(struct game *game, struct player *player)
{
	return &player->caps[below(game, REQUESTS)];
}

static uint64_t *any_memory(struct game *game, struct player *player)
{
	return &player->caps[REQUESTS + below(game, CAPS - REQUESTS)];
}

static void submit(struct player *player, const struct call *call)
{
	uint64_t cookie = call_submit(player->actor, call);
	BASE_ASSERT(player->cookie_count < STEPS);
	player->cookies[player->cookie_count++] = cookie;
}

/* ------------------------------------------------------------------ calls */

static void add_args(struct game *game, struct player *player, struct call *call)
{
	unsigned target = 0;
	if (below(game, 3) == 0)
		target = call_refine(call, *any_request(game, player));
	unsigned count = (unsigned)below(game, 4);
	for (unsigned i = 0; i < count; i++)
		call_cap(call, target, i, call_slot(call, *any_cap(game, player)));
	static const char noise[256];
	if (below(game, 2) == 0)
		call_imm(call, target, 1000 + (uint32_t)below(game, 100), noise,
				 1 + (uint32_t)below(game, 200));
	if (target != 0)
		call_cap(call, 0, 4, target);
	if (below(game, 2) == 0)
		call->entries[0].on_error = (uint16_t)call_slot(call, *any_request(game, player));
}

/* Bounds name entries that come before; entry 0 may name all. */
static bool well_formed(const struct call *call)
{
	for (unsigned i = 0; i < call->bound_count; i++) {
		const struct wire_bound *bound = &call->bounds[i];
		if (bound->entry != 0 && bound->value >= bound->entry)
			return false;
	}
	return true;
}

static void invoke(struct game *game, struct player *player, bool continuing)
{
	static uint32_t tags[1 << 16];
	if (game->tags == BASE_COUNT(tags) - 1)
		return;
	uint64_t cap = *any_request(game, player);
	uint64_t delivery = 0;
	if (player->open_count > 0 && (continuing || below(game, 2) == 0))
		delivery = player->open[below(game, player->open_count)].id;
	struct call call = continuing ? call_continue(delivery, cap, below(game, 2) == 0)
								  : call_invoke(cap, delivery, below(game, 3) ? 0 : 5000);
	add_args(game, player, &call);
	uint32_t tag = ++game->tags;
	tags[tag] = tag;
	call_imm(&call, 0, 0, &tags[tag], 4);
	if (well_formed(&call))
		submit(player, &call);
}

static void create(struct game *game, struct player *player)
{
	uint64_t kind = below(game, 3);
	uint64_t *slot = kind == 2 ? any_memory(game, player) : any_request(game, player);
	if (below(game, 2) == 0)
		actor_close(player->actor, *slot);
	struct wire_call_request_create request = {.handler = 1};
	struct wire_call_memory_create memory = {
		.offset = below(game, 500000), .length = 1 + below(game, 200000), .rights = 3};
	struct call call;
	unsigned once = 0;
	if (kind == 2) {
		call_init(&call, WIRE_CALL_TYPE_MEMORY_CREATE, &memory, sizeof memory, false);
	} else {
		if (kind == 1 && game->once_count < ONCES) {
			once = game->once_count++;
			request.once = true;
			request.handler = 1000 + once;
			request.deadline = 1 + below(game, 100000);
			game->once_owner[once] = (unsigned)(player - game->players);
		}
		call_init(&call, WIRE_CALL_TYPE_REQUEST_CREATE, &request, sizeof request, false);
	}
	uint64_t cap;
	if (actor_call(player->actor, &call, &cap) == FOS_OK)
		*slot = cap;
	else if (request.once)
		game->once_count--;
}

static void copy(struct game *game, struct player *player)
{
	struct call call = call_copy(*any_memory(game, player), *any_memory(game, player), 0,
								 below(game, 4) ? 0 : 20000);
	if (below(game, 2) == 0)
		call_cap(&call, 0, 0, call_slot(&call, *any_request(game, player)));
	if (below(game, 2) == 0)
		call.entries[0].on_error = (uint16_t)call_slot(&call, *any_request(game, player));
	submit(player, &call);
}

static void refine(struct game *game, struct player *player)
{
	struct call call = call_refinement(*any_request(game, player));
	add_args(game, player, &call);
	uint64_t cap;
	if (well_formed(&call) && actor_call(player->actor, &call, &cap) == FOS_OK)
		*any_request(game, player) = cap;
}

/* Revokes, and notes when it was a ONCE Request: then it need not end. */
static void revoke(struct game *game, struct player *player)
{
	struct wire_call_cap_revoke fixed = {.cap = *any_cap(game, player)};
	struct wire_answer_info info;
	if (actor_info(player->actor, fixed.cap, &info) == FOS_OK && info.own && info.once)
		return;
	struct call call;
	call_init(&call, WIRE_CALL_TYPE_CAP_REVOKE, &fixed, sizeof fixed, false);
	submit(player, &call);
}

/* ------------------------------------------------------------------ children */

static void await(struct player *player, const struct call *call, struct pending pending)
{
	if (player->pending_count == PENDING)
		return;
	submit(player, call);
	pending.cookie = player->cookies[player->cookie_count - 1];
	player->pending[player->pending_count++] = pending;
}

static void make_child(struct game *game, struct player *player)
{
	static uint32_t numbers[CHILDREN + 1];
	if (below(game, 4) == 0 || game->child_count == CHILDREN) {
		struct call call = call_revtree(*any_cap(game, player), below(game, 2) == 0);
		await(player, &call, (struct pending){.child = 0});
		return;
	}
	uint32_t number = ++game->child_count;
	numbers[number] = number;
	game->children[number].maker = player;
	struct wire_call_request_refine fixed = {
		.cap = *any_request(game, player), .revocable = true, .tracked = below(game, 3) == 0};
	struct call call;
	call_init(&call, WIRE_CALL_TYPE_REQUEST_REFINE, &fixed, sizeof fixed, true);
	call_imm(&call, 0, MARK + 4 * (uint32_t)below(game, MARKS), &numbers[number], 4);
	await(player, &call, (struct pending){.child = number});
}

static void revoke_child(struct game *game, struct player *player)
{
	for (unsigned tries = 0; tries < 8 && game->child_count > 0; tries++) {
		uint32_t number = 1 + (uint32_t)below(game, game->child_count);
		if (game->children[number].maker != player || game->children[number].cap == 0)
			continue;
		bool drain = below(game, 2) == 0;
		struct call call = call_revoke(game->children[number].cap, drain, below(game, 40000));
		await(player, &call, (struct pending){.child = number, .revoke = true, .drain = drain});
		return;
	}
}

/* ------------------------------------------------------------------ monitors */

static void watch(struct game *game, struct player *player)
{
	if (player->watched_count < BASE_COUNT(player->watched))
		player->watched[player->watched_count++] =
			actor_monitor(player->actor, *any_cap(game, player), below(game, 2) == 0);
}

/* Each has ended once, or waits and is counted. */
static void check_watched(const struct game *game, const struct player *player)
{
	uint32_t waiting = 0;
	for (unsigned i = 0; i < player->watched_count; i++)
		waiting += !game->world->completed[player->watched[i]];
	BASE_ASSERT(waiting == actor_usage(player->actor).monitors);
}

/* ------------------------------------------------------------------ arrivals */

static void read_marks(const struct game *game, const struct arrival *arrival, struct opened *out)
{
	*out = (struct opened){.id = arrival->id};
	for (unsigned i = 0; i < arrival->range_count; i++) {
		const struct wire_range *range = &arrival->ranges[i];
		for (unsigned m = 0; m < MARKS; m++) {
			if (range->offset > MARK + 4 * m || range->offset + range->length < MARK + 4 * m + 4)
				continue;
			memcpy(&out->marks[m], arrival->imm + MARK + 4 * m, 4);
			BASE_ASSERT(out->marks[m] <= game->child_count);
			BASE_ASSERT(!game->children[out->marks[m]].revoked);
		}
	}
}

static void receive(struct game *game, struct player *player)
{
	static struct arrival arrival;
	while (actor_arrival(player->actor, &arrival)) {
		if (arrival.handler >= 1000 && arrival.handler != 0xfeed) {
			BASE_ASSERT(game->once_ends[arrival.handler - 1000] == 0);
			game->once_ends[arrival.handler - 1000]++;
		}
		uint32_t tag;
		memcpy(&tag, arrival.imm, 4);
		bool tagged = arrival.status == FOS_OK && arrival.range_count > 0 &&
					  arrival.ranges[0].offset == 0 && arrival.handler != 0xfeed;
		if (tagged) {
			BASE_ASSERT(game->seen[tag] == 0);
			game->seen[tag] = 1;
		}
		for (unsigned i = 0; i < arrival.cap_count; i++) {
			if (below(game, 2) == 0 && actor_keep(player->actor, arrival.caps[i].cap) == FOS_OK)
				*(arrival.caps[i].kind == FOS_MEMORY ? any_memory(game, player)
													 : any_request(game, player)) =
					arrival.caps[i].cap;
		}
		struct opened opened;
		read_marks(game, &arrival, &opened);
		if (player->open_count < BASE_COUNT(player->open))
			player->open[player->open_count++] = opened;
		else
			actor_finish(player->actor, arrival.id);
	}
}

/* What a drained child was used for is finished: finishing it is refused. */
static void check_drained(struct game *game, uint32_t child)
{
	for (unsigned p = 0; p < game->player_count; p++) {
		struct player *player = &game->players[p];
		for (unsigned i = 0; i < player->open_count; i++) {
			for (unsigned m = 0; m < MARKS; m++)
				BASE_ASSERT(player->open[i].marks[m] != child ||
							actor_finish(player->actor, player->open[i].id) == FOS_INVALID);
		}
	}
}

/* Records that were published before the revocation ended may still be read: now. */
static void revoked(struct game *game, const struct pending *pending, fos_status status)
{
	bool dead = status == FOS_OK || status == FOS_REVOKED || status == FOS_TIMED_OUT;
	if (!dead)
		return;
	for (unsigned p = 0; p < game->player_count; p++)
		receive(game, &game->players[p]);
	game->children[pending->child].revoked = true;
	game->revocations++;
	if (!pending->drain || status != FOS_OK)
		return;
	game->drains++;
	check_drained(game, pending->child);
}

static void hear(struct game *game, struct player *player)
{
	for (unsigned i = 0; i < player->pending_count;) {
		struct pending pending = player->pending[i];
		struct wire_answer_completion completion;
		if (!call_completed(player->actor, pending.cookie, &completion)) {
			i++;
			continue;
		}
		player->pending[i] = player->pending[--player->pending_count];
		if (pending.revoke)
			revoked(game, &pending, (fos_status)completion.status);
		else if (completion.status == FOS_OK && pending.child != 0)
			*any_request(game, player) = game->children[pending.child].cap = completion.cap;
	}
}

static void finish(struct game *game, struct player *player)
{
	if (player->open_count == 0)
		return;
	unsigned at = (unsigned)below(game, player->open_count);
	uint64_t id = player->open[at].id;
	player->open[at] = player->open[--player->open_count];
	if (below(game, 3) == 0)
		actor_fail(player->actor, id, FOS_DEVICE, "by chance");
	else
		actor_finish(player->actor, id);
}

/* ------------------------------------------------------------------ the world moves */

static void reborn(struct game *game, struct player *player)
{
	uint32_t node = player->actor.node->number - 1;
	if (player->actor.node->process_count == BASE_COUNT(player->actor.node->processes))
		return;
	actor_gone(player->actor);
	game->leaving[game->leaving_count++] = player->actor;
	for (uint32_t i = 1; i <= game->child_count; i++) {
		if (game->children[i].maker == player)
			game->children[i].cap = 0;
	}
	for (unsigned i = 0; i < game->once_count; i++)
		game->once_revoked[i] |= game->once_owner[i] == (unsigned)(player - game->players);
	*player = (struct player){.actor = actor_new(game->world, node), .alive = true};
	*any_request(game, player) = actor_request(player->actor, 1);
}

/* Which may take calls and time that the walk did not ask for. */
static void introduce(struct game *game)
{
	struct player *from = any_player(game), *to = any_player(game);
	struct wire_call_registry_set set = {.cap = actor_request(to->actor, 0xfeed)};
	struct call call;
	call_init(&call, WIRE_CALL_TYPE_REGISTRY_SET, &set, sizeof set, false);
	submit(to, &call);
	struct wire_call_registry_get get = {.time = 30000};
	call_init(&call, WIRE_CALL_TYPE_REGISTRY_GET, &get, sizeof get, false);
	uint64_t cookie = call_submit(from->actor, &call);
	struct wire_answer_completion completion;
	if (!call_completed(from->actor, cookie, &completion))
		from->cookies[from->cookie_count++] = cookie;
	else if (completion.status == FOS_OK)
		*any_request(game, from) = completion.cap;
}

static void move(struct game *game)
{
	struct world *world = game->world;
	uint32_t a = (uint32_t)below(game, NODES), b = (uint32_t)below(game, NODES);
	uint64_t what = below(game, 200);
	if (what < 90) {
		for (unsigned i = 0; i < 5; i++)
			world_deliver(world, (uint32_t)below(game, NODES), (uint32_t)below(game, NODES),
						  (enum core_lane)below(game, 2));
	} else if (what < 100) {
		world_settle(world);
	} else if (what < 108) {
		world_tick(world, below(game, 4000));
	} else if (what == 108 && a != b) {
		if (world->up[a][b])
			world_cut(world, a, b);
		else
			world_connect(world, a, b);
	} else if (what == 109 && below(game, 3) == 0) {
		reborn(game, any_player(game));
	} else if (what < 113) {
		introduce(game);
	}
}

static void turn(struct game *game)
{
	struct player *player = any_player(game);
	for (unsigned i = 0; i < game->player_count; i++)
		hear(game, &game->players[i]);
	receive(game, player);
	if (game->leaving_count > 0 && below(game, 50) == 0)
		actor_free(game->leaving[--game->leaving_count]);
	uint64_t what = below(game, 100);
	if (what < 30)
		invoke(game, player, false);
	else if (what < 45 && player->open_count > 0)
		invoke(game, player, true);
	else if (what < 60)
		finish(game, player);
	else if (what < 72)
		create(game, player);
	else if (what < 84)
		copy(game, player);
	else if (what < 90)
		refine(game, player);
	else if (what < 91)
		revoke(game, player);
	else if (what < 94)
		make_child(game, player);
	else if (what < 95)
		revoke_child(game, player);
	else if (what < 97)
		actor_close(player->actor, *any_cap(game, player));
	else
		watch(game, player);
	move(game);
}

/* Lets everything end by itself, then looks at what was promised. */
static void conclude(struct game *game)
{
	struct world *world = game->world;
	while (game->leaving_count > 0)
		actor_free(game->leaving[--game->leaving_count]);
	for (unsigned round = 0; round < 40; round++) {
		world_settle(world);
		world_tick(world, 400000000);
		for (unsigned i = 0; i < game->player_count; i++) {
			struct player *player = &game->players[i];
			hear(game, player);
			receive(game, player);
			while (player->open_count > 0)
				actor_finish(player->actor, player->open[--player->open_count].id);
		}
	}
	for (unsigned i = 0; i < game->once_count; i++)
		BASE_ASSERT(game->once_revoked[i] || game->once_ends[i] == 1);
	for (unsigned i = 0; i < game->player_count; i++) {
		struct player *player = &game->players[i];
		for (unsigned c = 0; c < player->cookie_count; c++)
			BASE_ASSERT(world->completed[player->cookies[c]]);
		struct core_usage usage = actor_usage(player->actor);
		BASE_ASSERT(usage.deliveries == 0 && usage.parked == 0 && usage.copies == 0 &&
					usage.once == 0 && usage.revokings == 0 && player->pending_count == 0);
		check_watched(game, player);
	}
	world_end(world);
}

/* Everybody knows something of everybody to begin with. */
static void acquaint(struct game *game, struct player *player)
{
	for (unsigned i = 0; i < game->player_count; i++) {
		struct player *other = &game->players[i];
		uint64_t request = actor_request(other->actor, 1);
		uint64_t memory = actor_memory(other->actor, below(game, 500000), 1 + below(game, 200000),
									   FOS_READ | FOS_WRITE);
		for (unsigned n = 0; n < 6; n++) {
			*any_request(game, player) = actor_give(other->actor, request, player->actor);
			*any_memory(game, player) = actor_give(other->actor, memory, player->actor);
		}
	}
}

static void play(uint64_t seed)
{
	static struct game game;
	memset(&game, 0, sizeof game);
	game.random.state = seed;
	struct core_config config;
	core_config_default(&config);
	config.slice = 20000;
	config.default_time = 50000;
	config.heartbeat = 300000000;
	config.limits.deliveries = (uint32_t)(1 + seed % 5);
	config.limits.parked = (uint32_t)(2 + seed % 17);
	config.limits.slots = 400;
	config.limits.once = 20;
	config.limits.copies = 6;
	game.world = world_new(NODES, &config);
	game.world->random.state = seed ^ 1;
	game.world->shuffle = true;
	for (; game.player_count < ACTORS; game.player_count++) {
		struct player *player = &game.players[game.player_count];
		*player = (struct player){.actor = actor_new(game.world, game.player_count % NODES),
								  .alive = true};
	}
	for (unsigned i = 0; i < game.player_count; i++)
		acquaint(&game, &game.players[i]);
	for (unsigned i = 0; i < STEPS; i++)
		turn(&game);
	uint64_t deliveries = 0, copies = 0, bounces = 0;
	for (unsigned i = 0; i < NODES; i++) {
		const struct fos_counters *counters = core_counters(game.world->nodes[i].core);
		deliveries += counters->deliveries;
		copies += counters->copies;
		bounces += counters->bounces;
	}
	printf("seed %llu: %llu deliveries, %llu bounces, %llu copies, %u children, %llu revoked, "
		   "%llu drained\n",
		   (unsigned long long)seed, (unsigned long long)deliveries, (unsigned long long)bounces,
		   (unsigned long long)copies, game.child_count, (unsigned long long)game.revocations,
		   (unsigned long long)game.drains);
	fflush(stdout);
	conclude(&game);
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
