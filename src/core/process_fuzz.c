/* libFuzzer harness: hostile Processes. Three Controllers that keep to the protocol, with Processes
 * that make any call at any time, with slots and deliveries that they were given, guessed or had
 * once. In between messages travel one by one, links break, Controllers start anew, Processes die.
 *
 * The tests' harness checks every output (core/harness.h); beyond that every call of a Process that
 * lives has completed once nothing more can happen to it, and after the end nothing is in use. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "core/fuzz.h"
#include "core/harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NODES = 3, ACTORS = 5, CALLS = 1024, OPERATIONS = 160 };

struct mind { /* of a Process */
	struct actor actor;
	struct known known;
	bool alive, lingers;
};

struct game {
	struct world *world;
	struct mind minds[ACTORS];
	struct {
		const struct mind *mind; /* NULL: it is dead */
		uint8_t type;
	} calls[CALLS];
};

static bool lives(const struct mind *mind)
{
	return mind->alive && mind->actor.node->processes[mind->actor.process - 1].alive;
}

/* ------------------------------------------------------------------ what they hear */

static void listen(struct mind *mind, uint32_t channel)
{
	struct queue *queue = &mind->actor.node->processes[mind->actor.process - 1].records[channel];
	while (queue->first != NULL) {
		struct packet *packet = queue->first;
		queue->first = packet->next;
		known_from_answer(&mind->known, packet->bytes);
		free(packet);
	}
	queue->last = &queue->first;
	queue->count = 0;
}

static void listen_all(struct game *game)
{
	for (unsigned i = 0; i < ACTORS; i++) {
		for (uint32_t channel = 0; lives(&game->minds[i]) && channel < 2; channel++)
			listen(&game->minds[i], channel);
	}
}

/* ------------------------------------------------------------------ operations */

static void call(struct game *game, struct mind *mind, uint32_t channel, struct choices *choices,
				 bool damage)
{
	static _Alignas(8) uint8_t bytes[FUZZ_BYTES];
	struct world *world = game->world;
	if (!lives(mind) || world->cookie == CALLS)
		return;
	uint64_t cookie = world->cookie++;
	size_t size = fuzz_call(&mind->known, choices, cookie, bytes);
	const struct wire_record *head = (const void *)bytes;
	game->calls[cookie].mind = mind;
	game->calls[cookie].type = (uint8_t)head->type;
	if (damage)
		fuzz_damage(choices, bytes, size, sizeof *head);
	uint8_t *exact = malloc(size);
	BASE_ASSERT(exact != NULL);
	memcpy(exact, bytes, size);
	uint64_t ended = mind->actor.node->ended_processes;
	world_step(mind->actor.node, &(struct core_event){.type = CORE_CALL,
													  .process = mind->actor.process,
													  .channel = channel,
													  .bytes = exact,
													  .size = size});
	free(exact);
	if (mind->actor.node->ended_processes != ended) {
		BASE_ASSERT(damage);
		mind->alive = false;
		actor_kill(mind->actor);
	}
}

static void begin_mind(struct game *game, struct mind *mind, uint32_t node)
{
	static const uint8_t first[][12] = {{4, 0}, {1, 0, 0, 0x90, 0, 3}, {4, 1, 1, 1}};
	if (game->world->nodes[node].process_count == BASE_COUNT(game->world->nodes[node].processes))
		return;
	*mind = (struct mind){.actor = actor_new(game->world, node), .alive = true};
	for (unsigned i = 0; i < BASE_COUNT(first); i++) {
		struct choices choices = {first[i], sizeof first[i]};
		call(game, mind, 0, &choices, false);
	}
	listen_all(game);
}

static void forget_calls(struct game *game, const struct mind *mind)
{
	for (unsigned i = 0; i < game->world->cookie; i++) {
		if (game->calls[i].mind == mind)
			game->calls[i].mind = NULL;
	}
}

/* Whoever was on a Controller that started anew is gone with it. */
static void bury(struct game *game)
{
	for (unsigned i = 0; i < ACTORS; i++) {
		struct mind *mind = &game->minds[i];
		if (!lives(mind)) {
			mind->alive = false;
			forget_calls(game, mind);
		}
	}
}

static void come_and_go(struct game *game, struct choices *choices)
{
	uint64_t how = choose(choices, 1);
	struct world *world = game->world;
	struct mind *mind = &game->minds[how % ACTORS];
	uint32_t a = (uint32_t)(how % NODES), b = (uint32_t)((how + 1 + (how >> 6 & 1)) % NODES);
	switch (how / 8 % 8) {
	case 0:
		if (lives(mind)) {
			actor_gone(mind->actor);
			mind->lingers = true;
		}
		break;
	case 1:
		if (mind->lingers)
			actor_free(mind->actor);
		mind->lingers = false;
		break;
	case 2:
	case 3:
		if (!lives(mind) && !mind->lingers) {
			forget_calls(game, mind);
			begin_mind(game, mind, a);
		}
		break;
	case 4:
		world_cut(world, a, b);
		break;
	case 5:
	case 6:
		if (!world->up[a][b])
			world_connect(world, a, b);
		break;
	default:
		for (unsigned i = 0; i < ACTORS; i++) {
			if (game->minds[i].actor.node == &world->nodes[a])
				game->minds[i].lingers = false;
		}
		world_reboot(world, a);
	}
	bury(game);
}

static void operate(struct game *game, uint8_t what, struct choices *choices)
{
	struct world *world = game->world;
	uint32_t from = what / 16 % NODES, to = (from + 1 + (what >> 7)) % NODES;
	switch (what % 16) {
	case 0 ... 8:
		call(game, &game->minds[what / 16 % ACTORS], what >> 7, choices, what >= 240);
		break;
	case 9:
	case 10:
		world_deliver(world, from, to, (enum core_lane)(what % 16 - 9));
		break;
	case 11:
	case 12:
		world_settle(world);
		break;
	case 13:
		world->hold_slices = what & 16;
		world->hold[from][to][what >> 5 & 1] = what & 64;
		break;
	case 14:
		world_tick(world, (uint64_t)1 << choose_below(choices, 34));
		break;
	default:
		come_and_go(game, choices);
	}
	listen_all(game);
}

/* ------------------------------------------------------------------ begin and end */

static void begin(struct game *game)
{
	struct core_config config;
	core_config_default(&config);
	config.slice = 4096;
	config.limits.objects = 40;
	config.limits.slots = 64;
	config.limits.values_bytes = 64 << 10;
	config.limits.deliveries = 3;
	config.limits.once = 3;
	config.limits.parked = 6;
	config.limits.copies = 4;
	config.limits.monitors = 6;
	config.limits.revokings = 4;
	config.limits.memory = 8 << 20;
	memset(game, 0, sizeof *game);
	game->world = world_new(NODES, &config);
	for (unsigned i = 0; i < ACTORS; i++)
		begin_mind(game, &game->minds[i], i % NODES);
	/* One of them is the registry, which all others ask: so they come to know each other. */
	uint64_t root = actor_request(game->minds[0].actor, 1);
	struct wire_call_registry_set set = {.cap = root};
	struct call publish;
	call_init(&publish, WIRE_CALL_TYPE_REGISTRY_SET, &set, sizeof set, false);
	BASE_ASSERT(actor_call(game->minds[0].actor, &publish, NULL) == FOS_OK);
	world_settle(game->world);
	for (unsigned i = 1; i < ACTORS; i++) {
		struct wire_call_registry_get get = {0};
		struct call ask;
		uint64_t cap;
		call_init(&ask, WIRE_CALL_TYPE_REGISTRY_GET, &get, sizeof get, false);
		BASE_ASSERT(actor_call(game->minds[i].actor, &ask, &cap) == FOS_OK);
		known_add(&game->minds[i].known, KNOWN_SLOT, cap);
	}
}

static bool may_wait_for_ever(uint8_t type)
{
	return type == WIRE_CALL_TYPE_MONITOR_RECEIVE || type == WIRE_CALL_TYPE_MONITOR_DELEGATE;
}

static void end(struct game *game)
{
	struct world *world = game->world;
	memset(world->hold, 0, sizeof world->hold);
	world->hold_slices = false;
	world_settle(world);
	for (uint32_t a = 0; a < NODES; a++) {
		for (uint32_t b = 0; b < a; b++)
			world_cut(world, a, b);
	}
	world_tick(world, (uint64_t)1 << 62);
	world_settle(world);
	for (uint64_t i = 0; i < world->cookie; i++) {
		const struct mind *mind = game->calls[i].mind;
		BASE_ASSERT(mind == NULL || !lives(mind) || world->completed[i] ||
					may_wait_for_ever(game->calls[i].type));
	}
	for (unsigned i = 0; i < ACTORS; i++) {
		if (game->minds[i].lingers)
			actor_free(game->minds[i].actor);
	}
	world_end(world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct game game;
	struct choices program = {data, size}, choices;
	uint8_t what;
	begin(&game);
	for (unsigned i = 0; i < OPERATIONS && fuzz_operation(&program, &what, &choices); i++)
		operate(&game, what, &choices);
	end(&game);
	return 0;
}
