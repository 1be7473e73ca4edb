/* Several cores: chains, full inboxes seen from afar, credits, sessions that end, copies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/harness.h"
#include "core/inspect.h"
#include "core/limits.h"

enum { A, B, C };

static fos_status invoke_tagged(struct actor actor, uint64_t cap, uint64_t on_error, uint32_t tag,
								uint64_t time)
{
	struct call call = call_invoke(cap, 0, time);
	call_imm(&call, 0, 0, &tag, sizeof tag);
	if (on_error != 0)
		call.entries[0].on_error = (uint16_t)call_slot(&call, on_error);
	return actor_call(actor, &call, NULL);
}

static uint32_t tag_of(const struct arrival *arrival)
{
	uint32_t tag;
	memcpy(&tag, arrival->imm, sizeof tag);
	return tag;
}

/* A chain of two stages on two other nodes costs three messages, built by one record. */
static void chain_costs_stages_plus_one(void **state)
{
	(void)state;
	struct world *world = world_new(3, NULL);
	struct actor client = actor_new(world, A), disk = actor_new(world, B),
				 gpu = actor_new(world, C);
	uint64_t read = actor_give(disk, actor_request(disk, 1), client);
	uint64_t launch = actor_give(gpu, actor_request(gpu, 2), client);
	uint64_t once = actor_once(client, 3, 0);
	world_tick(world, 0);
	world_settle(world);
	uint64_t before = world_messages(world, 0);

	struct call call = call_invoke(read, 0, 0);
	unsigned reply = call_refine(&call, once), sorry = call_refine(&call, once);
	unsigned stage = call_refine(&call, launch);
	call_imm(&call, 0, FOS_ARG, "blocks", 6);
	call_imm(&call, stage, FOS_ARG, "grid", 4);
	call_imm(&call, reply, 0, "good", 4);
	call_imm(&call, sorry, 0, "bad!", 4);
	call_cap(&call, 0, FOS_NEXT, stage);
	call_cap(&call, stage, FOS_NEXT, reply);
	call.entries[0].on_error = (uint16_t)sorry;
	assert_int_equal(actor_call(client, &call, NULL), FOS_OK);
	world_settle(world);
	struct arrival at_disk, at_gpu, at_client;
	assert_true(actor_arrival(disk, &at_disk));
	assert_memory_equal(at_disk.imm + FOS_ARG, "blocks", 6);
	struct call next = call_continue(at_disk.id, arrival_cap(&at_disk, FOS_NEXT), true);
	assert_int_equal(actor_call(disk, &next, NULL), FOS_OK);
	world_settle(world);
	assert_true(actor_arrival(gpu, &at_gpu));
	assert_memory_equal(at_gpu.imm + FOS_ARG, "grid", 4);
	assert_int_equal(at_gpu.trace, at_disk.trace);
	next = call_continue(at_gpu.id, arrival_cap(&at_gpu, FOS_NEXT), true);
	call_imm(&next, 0, FOS_RESULT, "verdict", 7);
	assert_int_equal(actor_call(gpu, &next, NULL), FOS_OK);
	world_settle(world);
	assert_true(actor_arrival(client, &at_client));
	assert_int_equal(at_client.status, FOS_OK);
	assert_memory_equal(at_client.imm, "good", 4);
	assert_memory_equal(at_client.imm + FOS_RESULT, "verdict", 7);
	assert_int_equal(world_messages(world, 0) - before, 3);
	assert_int_equal(actor_finish(client, at_client.id), FOS_OK);

	/* The second stage fails: on_error travelled with the chain, whatever its length. */
	once = actor_once(client, 3, 0);
	call.entries[reply].cap = call.entries[sorry].cap = once;
	assert_int_equal(actor_call(client, &call, NULL), FOS_OK);
	world_settle(world);
	assert_true(actor_arrival(disk, &at_disk));
	next = call_continue(at_disk.id, arrival_cap(&at_disk, FOS_NEXT), true);
	assert_int_equal(actor_call(disk, &next, NULL), FOS_OK);
	world_settle(world);
	assert_true(actor_arrival(gpu, &at_gpu));
	assert_int_equal(actor_fail(gpu, at_gpu.id, FOS_DEVICE, "no such kernel"), FOS_OK);
	world_settle(world);
	assert_true(actor_arrival(client, &at_client));
	assert_int_equal(at_client.status, FOS_DEVICE);
	assert_memory_equal(at_client.imm, "bad!", 4);
	assert_string_equal(at_client.where, "node2/tester");
	assert_string_equal(at_client.detail, "no such kernel");
	world_end(world);
}

/* Sixteen continuations nested in one message; each hop peels one off. */
static void deep_nesting_travels(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor a = actor_new(world, A), b = actor_new(world, B);
	uint64_t at_b = actor_give(b, actor_request(b, 1), a), at_a = actor_request(a, 2);
	struct call call = call_invoke(at_b, 0, 0);
	unsigned inner = call_slot(&call, at_a);
	for (uint32_t i = 0; i < FOS_NEST_MAX - 1; i++) {
		static uint32_t tags[FOS_NEST_MAX];
		tags[i] = i;
		unsigned outer = call_refine(&call, at_b);
		call_imm(&call, outer, 0, &tags[i], 4);
		call_cap(&call, outer, FOS_NEXT, inner);
		inner = outer;
	}
	call_cap(&call, 0, FOS_NEXT, inner);
	assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
	struct arrival arrival;
	world_settle(world);
	assert_true(actor_arrival(b, &arrival));
	for (uint32_t i = FOS_NEST_MAX - 1; i > 0; i--) {
		struct call next = call_continue(arrival.id, arrival_cap(&arrival, FOS_NEXT), true);
		assert_int_equal(actor_call(b, &next, NULL), FOS_OK);
		world_settle(world);
		assert_true(actor_arrival(b, &arrival));
		assert_int_equal(tag_of(&arrival), i - 1);
	}
	struct call next = call_continue(arrival.id, arrival_cap(&arrival, FOS_NEXT), true);
	assert_int_equal(actor_call(b, &next, NULL), FOS_OK);
	world_settle(world);
	assert_true(actor_arrival(a, &arrival));
	world_end(world);
}

/* Two nodes flood a third with two places: everything arrives, in order, by turns. */
static void bounce_keeps_order_and_turns(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.limits.deliveries = 2;
	struct world *world = world_new(3, &config);
	struct actor server = actor_new(world, C), a = actor_new(world, A), b = actor_new(world, B);
	uint64_t base = actor_request(server, 1);
	uint64_t from_a = actor_give(server, base, a), from_b = actor_give(server, base, b);
	enum { EACH = 600 }; /* more than the credits of the class */
	for (uint32_t i = 0; i < EACH; i++) {
		assert_int_equal(invoke_tagged(a, from_a, 0, i, 0), FOS_OK);
		assert_int_equal(invoke_tagged(b, from_b, 0, i | 0x10000, 0), FOS_OK);
		if (i % 100 == 50)
			world_settle(world);
	}
	world_settle(world);
	uint32_t next[2] = {0}, count = 0;
	int lead = 0, worst = 0;
	struct arrival arrival;
	while (actor_arrival(server, &arrival)) {
		uint32_t tag = tag_of(&arrival), source = tag >> 16;
		assert_int_equal(tag & 0xffff, next[source]);
		next[source]++;
		lead += source ? 1 : -1;
		worst = BASE_MAX(worst, lead < 0 ? -lead : lead);
		count++;
		assert_true(actor_usage(server).deliveries <= 2);
		assert_int_equal(actor_finish(server, arrival.id), FOS_OK);
		world_settle(world);
	}
	assert_int_equal(count, 2 * EACH);
	assert_true(worst <= 4);
	assert_true(core_counters(server.node->core)->bounces > 0);
	/* A delivery needs a retry at most, not a storm of them. */
	assert_true(world_messages(world, WIRE_MESSAGE_TYPE_INVOKE) < 2 * 2 * EACH + 100);
	assert_int_equal(actor_usage(a).parked, 0);
	world_end(world);
}

/* A place is told to each that came back, and none is told in vain. */
static void a_place_for_each_that_came_back(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.limits.deliveries = 2;
	struct world *world = world_new(2, &config);
	struct actor server = actor_new(world, B), a = actor_new(world, A);
	uint64_t door = actor_give(server, actor_request(server, 1), a);
	enum { MANY = 7 };
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(invoke_tagged(a, door, 0, i, 0), FOS_OK);
	world_settle(world);
	struct arrival arrival;
	for (uint32_t i = 0; i < MANY; i++) {
		assert_true(actor_arrival(server, &arrival));
		assert_int_equal(tag_of(&arrival), i);
		assert_int_equal(actor_finish(server, arrival.id), FOS_OK);
		world_settle(world);
	}
	assert_int_equal(core_counters(server.node->core)->bounces, MANY - 2);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_ROOM), MANY - 2);
	world_end(world);
}

/* Parked ones whose time ends get BUSY; the room for them is given to others. */
static void parked_time_ends(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.limits.deliveries = 1;
	config.heartbeat = 1000000;
	struct world *world = world_new(3, &config);
	struct actor server = actor_new(world, C), a = actor_new(world, A), b = actor_new(world, B);
	uint64_t base = actor_request(server, 1), sorry = actor_request(a, 9);
	uint64_t from_a = actor_give(server, base, a), from_b = actor_give(server, base, b);
	assert_int_equal(invoke_tagged(a, from_a, 0, 1, 0), FOS_OK);
	world_settle(world);
	for (uint32_t i = 2; i < 6; i++)
		assert_int_equal(invoke_tagged(a, from_a, sorry, i, 1000), FOS_OK);
	world_settle(world);
	assert_int_equal(invoke_tagged(b, from_b, 0, 100, 0), FOS_OK);
	world_settle(world);
	assert_int_equal(actor_usage(a).parked, 4);
	world_tick(world, 1000);
	world_settle(world);
	struct arrival arrival;
	for (uint32_t i = 2; i < 6; i++) {
		/* The inbox of `a` has one place, too. */
		assert_true(actor_arrival(a, &arrival));
		assert_int_equal(arrival.status, FOS_BUSY);
		assert_int_equal(actor_finish(a, arrival.id), FOS_OK);
		world_settle(world);
	}
	assert_int_equal(actor_usage(a).parked, 0);
	assert_true(actor_arrival(server, &arrival));
	assert_int_equal(tag_of(&arrival), 1);
	assert_int_equal(actor_finish(server, arrival.id), FOS_OK);
	world_settle(world);
	assert_true(actor_arrival(server, &arrival));
	assert_int_equal(tag_of(&arrival), 100);
	assert_int_equal(actor_finish(server, arrival.id), FOS_OK);
	world_settle(world);
	/* And the object serves on. */
	assert_int_equal(invoke_tagged(a, from_a, 0, 7, 0), FOS_OK);
	world_settle(world);
	assert_true(actor_arrival(server, &arrival));
	assert_int_equal(tag_of(&arrival), 7);
	world_end(world);
}

/* Two targets, no credits to spare, everything at random: each target's order holds. */
static void order_without_credits(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.limits.deliveries = 2;
	for (uint64_t seed = 0; seed < 40; seed++) {
		struct world *world = world_new(2, &config);
		struct base_random random = {seed};
		struct actor one = actor_new(world, B), two = actor_other_channel(one),
					 a = actor_new(world, A);
		uint64_t doors[2] = {actor_give(one, actor_request(one, 1), a),
							 actor_give(one, actor_request(two, 2), a)};
		uint32_t sent[2] = {0}, got[2] = {0};
		enum { EACH = 450 };
		while (got[0] + got[1] < 2 * EACH) {
			uint64_t what = base_random_below(&random, 12);
			uint32_t which = (uint32_t)base_random_below(&random, 2);
			if (what < 5 && sent[which] < EACH) {
				fos_status status = invoke_tagged(a, doors[which], 0, sent[which], 0);
				assert_int_equal(status, FOS_OK);
				sent[which]++;
			} else if (what < 7) {
				world_deliver(world, A, B, CORE_CONTROL);
			} else if (what < 9) {
				world_deliver(world, B, A, CORE_CONTROL);
			} else if (what < 11) {
				struct arrival arrival;
				if (actor_arrival(which ? two : one, &arrival)) {
					assert_int_equal(tag_of(&arrival), got[which]);
					got[which]++;
					assert_int_equal(actor_finish(one, arrival.id), FOS_OK);
				}
			}
		}
		world_end(world);
	}
}

/* A retry whose time ends for want of a credit hands its place to the next parked one. */
static void retry_that_never_left(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.limits.deliveries = 1;
	struct world *world = world_new(2, &config);
	struct actor server = actor_new(world, B), a = actor_new(world, A);
	uint64_t door = actor_give(server, actor_request(server, 1), a);
	uint64_t aside = actor_give(server, actor_request(actor_other_channel(server), 2), a);
	uint64_t sorry = actor_request(a, 9);
	struct arrival arrival, first;
	assert_int_equal(invoke_tagged(a, door, 0, 0, 0), FOS_OK);
	assert_int_equal(invoke_tagged(a, door, sorry, 1, 1000), FOS_OK);
	world_settle(world);
	assert_int_equal(invoke_tagged(a, door, 0, 2, 0), FOS_OK); /* appended: the owner knows of 1 */
	assert_int_equal(actor_usage(a).parked, 2);
	world->hold[A][B][CORE_CONTROL] = true;
	for (uint32_t i = 0; i < wire_class_credits(WIRE_CLASS_INVOKE); i++)
		assert_int_equal(invoke_tagged(a, aside, 0, i, 0), FOS_OK);
	assert_true(actor_arrival(server, &first));
	assert_int_equal(actor_finish(server, first.id), FOS_OK);
	world_settle(world); /* ROOM arrives, its retry finds no credit */
	world_tick(world, 1000);
	assert_true(actor_arrival(a, &arrival));
	assert_int_equal(arrival.status, FOS_BUSY);
	world->hold[A][B][CORE_CONTROL] = false;
	world_settle(world);
	assert_true(actor_arrival(server, &arrival));
	assert_int_equal(tag_of(&arrival), 2);
	world_end(world);
}

/* The owner still counts the one whose time ended before its retry left: another takes its turn,
 * and no place is asked for twice. */
static void turn_of_a_retry_that_never_left(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.limits.deliveries = 1;
	struct world *world = world_new(2, &config);
	struct actor server = actor_new(world, B), a = actor_new(world, A);
	uint64_t door = actor_give(server, actor_request(server, 1), a);
	uint64_t aside = actor_give(server, actor_request(actor_other_channel(server), 2), a);
	struct arrival arrival;
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(invoke_tagged(a, door, 0, i, i == 1 ? 1000 : 0), FOS_OK);
	world_settle(world); /* three come back */
	world->hold[A][B][CORE_CONTROL] = true;
	for (uint32_t i = 0; i < wire_class_credits(WIRE_CLASS_INVOKE); i++)
		assert_int_equal(invoke_tagged(a, aside, 0, i, 0), FOS_OK);
	assert_true(actor_arrival(server, &arrival));
	assert_int_equal(actor_finish(server, arrival.id), FOS_OK);
	world_settle(world); /* ROOM arrives, its retry finds no credit */
	world_tick(world, 1000);
	assert_int_equal(invoke_tagged(a, door, 0, 4, 0), FOS_OK);
	world->hold[A][B][CORE_CONTROL] = false;
	world_settle(world);
	for (uint32_t i = 2; i < 5; i++) {
		assert_true(actor_arrival(server, &arrival));
		assert_int_equal(tag_of(&arrival), i);
		assert_int_equal(actor_finish(server, arrival.id), FOS_OK);
		world_settle(world);
	}
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_ROOM), 4);
	world_end(world);
}

/* None of many parked ones can leave when there is room: what they carry was lost. The one place
 * goes through all of them and back to the owner, however many there are. */
static void none_of_the_parked_can_leave(void **state)
{
	(void)state;
	enum { MANY = 30000 };
	struct core_config config;
	core_config_default(&config);
	config.limits.deliveries = 1;
	config.limits.parked = MANY;
	struct world *world = world_new(3, &config);
	struct actor server = actor_new(world, B), a = actor_new(world, A), c = actor_new(world, C);
	uint64_t door = actor_give(server, actor_request(server, 1), a);
	uint64_t lost = actor_give(c, actor_tracked(c, actor_memory(c, 0, 64, 1)), a);
	struct arrival first, arrival;
	assert_int_equal(invoke_tagged(a, door, 0, 0, 0), FOS_OK);
	for (uint32_t i = 0; i < MANY; i++) {
		assert_int_equal(actor_pass(a, door, lost), FOS_OK);
		if (i == 0)
			world_settle(world);
	}
	assert_int_equal(actor_usage(a).parked, MANY);
	world_cut(world, A, C);
	assert_true(actor_arrival(server, &first));
	assert_int_equal(actor_finish(server, first.id), FOS_OK);
	world_settle(world);
	assert_int_equal(actor_usage(a).parked, 0);
	assert_false(actor_arrival(server, &arrival));
	assert_int_equal(invoke_tagged(a, door, 0, 7, 0), FOS_OK);
	world_settle(world);
	assert_true(actor_arrival(server, &arrival));
	assert_int_equal(tag_of(&arrival), 7);
	world_end(world);
}

static void expect_told(struct actor actor, fos_status status)
{
	struct arrival arrival;
	assert_true(actor_arrival(actor, &arrival));
	assert_int_equal(arrival.status, status);
	assert_int_equal(actor_finish(actor, arrival.id), FOS_OK);
	world_settle(actor.node->world);
}

/* The owner knows of the one that bounced, not of those that were appended: it hears of them with a
 * retry, which it refuses. All are told, and who calls later does not queue behind the dead. */
static void parked_behind_a_dead_target(void **state)
{
	(void)state;
	for (unsigned way = 0; way < 2; way++) {
		struct core_config config;
		core_config_default(&config);
		config.limits.deliveries = 1;
		struct world *world = world_new(2, &config);
		struct actor server = actor_new(world, B), a = actor_new(world, A);
		uint64_t base = actor_request(server, 1), sorry = actor_request(a, 2);
		uint64_t door = actor_give(server, base, a);
		assert_int_equal(invoke_tagged(a, door, sorry, 0, UINT64_MAX), FOS_OK);
		world_settle(world);
		for (uint32_t i = 1; i < 7; i++) {
			assert_int_equal(invoke_tagged(a, door, sorry, i, UINT64_MAX), FOS_OK);
			if (i == 1 || i == 4)
				world_settle(world);
		}
		assert_int_equal(actor_usage(a).parked, 6);
		if (way == 0)
			assert_int_equal(actor_revoke(server, base), FOS_OK);
		else
			actor_kill(server);
		world_settle(world);
		assert_int_equal(actor_usage(a).parked, 0);
		if (way == 1) /* the open delivery */
			expect_told(a, FOS_PEER_LOST);
		for (unsigned i = 0; i < 6; i++)
			expect_told(a, FOS_REVOKED);
		assert_int_equal(invoke_tagged(a, door, sorry, 7, UINT64_MAX), FOS_OK);
		world_settle(world);
		expect_told(a, FOS_REVOKED);
		world_end(world);
	}
}

/* What is queued for a credit is older than what is appended to a park, and stays so when the one
 * that bounced first is gone. */
static void queued_ones_join_the_park(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.limits.deliveries = 1;
	struct world *world = world_new(2, &config);
	struct actor server = actor_new(world, B), a = actor_new(world, A);
	uint64_t door = actor_give(server, actor_request(server, 1), a);
	uint64_t aside = actor_give(server, actor_request(actor_other_channel(server), 2), a);
	struct arrival arrival, first;
	assert_int_equal(invoke_tagged(a, door, 0, 0, 0), FOS_OK);
	world_settle(world);
	world_tick(world, world->nodes[A].config.heartbeat); /* brings the credits home */
	world_settle(world);
	world->hold[A][B][CORE_CONTROL] = true;
	assert_int_equal(invoke_tagged(a, door, 0, 1, 1000), FOS_OK);
	for (uint32_t i = 0; i < wire_class_credits(WIRE_CLASS_INVOKE); i++)
		assert_int_equal(invoke_tagged(a, aside, 0, i, 0), FOS_OK);
	assert_int_equal(invoke_tagged(a, door, 0, 2, 0), FOS_OK);
	assert_int_equal(actor_usage(a).parked, 2); /* queued */
	assert_true(world_deliver(world, A, B, CORE_CONTROL));
	world_settle(world); /* the bounce of 1 brings one credit, which one aside takes */
	assert_int_equal(invoke_tagged(a, door, 0, 3, 0), FOS_OK);
	world_tick(world, 1000); /* 1 is gone */
	assert_true(actor_arrival(server, &first));
	assert_int_equal(actor_finish(server, first.id), FOS_OK);
	world->hold[A][B][CORE_CONTROL] = true;
	world_settle(world);
	world->hold[A][B][CORE_CONTROL] = false;
	world_settle(world);
	for (uint32_t tag = 2; tag <= 3; tag++) {
		assert_true(actor_arrival(server, &arrival));
		assert_int_equal(tag_of(&arrival), tag);
		assert_int_equal(actor_finish(server, arrival.id), FOS_OK);
		world_settle(world);
	}
	world_end(world);
}

static void provider_dies_with_parked(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.limits.deliveries = 4;
	struct world *world = world_new(2, &config);
	struct actor server = actor_new(world, B), a = actor_new(world, A);
	uint64_t door = actor_give(server, actor_request(server, 1), a), sorry = actor_request(a, 9);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(invoke_tagged(a, door, sorry, i, 0), FOS_OK);
	world_settle(world);
	assert_int_equal(actor_usage(a).parked, 16);
	actor_kill(server);
	world_settle(world);
	unsigned lost = 0, revoked = 0;
	struct arrival arrival;
	while (actor_arrival(a, &arrival)) {
		lost += arrival.status == FOS_PEER_LOST;
		revoked += arrival.status == FOS_REVOKED;
		assert_int_equal(actor_finish(a, arrival.id), FOS_OK);
		world_settle(world);
	}
	assert_int_equal(lost, 4);
	assert_int_equal(revoked, 16);
	assert_int_equal(actor_usage(a).parked, 0);
	world_end(world);
}

/* What was in flight may have run; what never left did not. */
static void session_ends(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor server = actor_new(world, B), a = actor_new(world, A);
	uint64_t door = actor_give(server, actor_request(server, 1), a), sorry = actor_request(a, 9);
	world->hold[A][B][CORE_CONTROL] = true;
	uint32_t credits = wire_class_credits(WIRE_CLASS_INVOKE);
	for (uint32_t i = 0; i < credits + 10; i++)
		assert_int_equal(invoke_tagged(a, door, sorry, i, 0), FOS_OK);
	assert_int_equal(world->links[A][B][CORE_CONTROL].count, credits);
	assert_int_equal(actor_usage(a).parked, 10);
	world_cut(world, A, B);
	unsigned unknown = 0, lost = 0;
	struct arrival arrival;
	while (actor_arrival(a, &arrival)) {
		unknown += arrival.status == FOS_OUTCOME_UNKNOWN;
		lost += arrival.status == FOS_PEER_LOST;
		assert_int_equal(actor_finish(a, arrival.id), FOS_OK);
	}
	assert_int_equal(unknown, credits);
	assert_int_equal(lost, 10);
	assert_int_equal(invoke_tagged(a, door, sorry, 0, 0), FOS_PEER_LOST);
	struct wire_answer_info info;
	assert_int_equal(actor_info(a, door, &info), FOS_OK);
	assert_false(info.reachable);
	/* The link heals: the same epoch, the same object. */
	world->hold[A][B][CORE_CONTROL] = false;
	world_connect(world, A, B);
	assert_int_equal(invoke_tagged(a, door, sorry, 77, 0), FOS_OK);
	world_settle(world);
	assert_true(actor_arrival(server, &arrival));
	assert_int_equal(tag_of(&arrival), 77);
	/* The Controller restarted: another epoch. */
	world_cut(world, A, B);
	world->nodes[B].config.epoch++;
	world_connect(world, A, B);
	assert_int_equal(invoke_tagged(a, door, sorry, 0, 0), FOS_STALE);
	world_end(world);
}

/* Credits come back alone when nothing else carries them, and no more often than needed. */
static void credits_come_back(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor server = actor_new(world, B), a = actor_new(world, A);
	uint64_t door = actor_give(server, actor_request(server, 1), a);
	uint64_t before = world_messages(world, WIRE_MESSAGE_TYPE_CREDIT);
	for (uint32_t i = 0; i < 2560; i++) {
		assert_int_equal(invoke_tagged(a, door, 0, i, 0), FOS_OK);
		world_settle(world);
		struct arrival arrival;
		assert_true(actor_arrival(server, &arrival));
		assert_int_equal(tag_of(&arrival), i);
		assert_int_equal(actor_finish(server, arrival.id), FOS_OK);
	}
	uint64_t alone = world_messages(world, WIRE_MESSAGE_TYPE_CREDIT) - before;
	assert_in_range(alone, 19, 20);
	world_end(world);
}

static void once_across(void **state)
{
	(void)state;
	struct world *world = world_new(3, NULL);
	struct actor a = actor_new(world, A), b = actor_new(world, B), c = actor_new(world, C);
	for (int order = 0; order < 2; order++) {
		uint64_t once = actor_once(a, 5, 1000000);
		uint64_t good = actor_give(a, once, b), bad = actor_give(a, once, c);
		assert_int_equal(actor_invoke(b, good), FOS_OK);
		assert_int_equal(actor_invoke(c, bad), FOS_OK);
		world_deliver(world, order ? B : C, A, CORE_CONTROL);
		world_deliver(world, order ? C : B, A, CORE_CONTROL);
		world_settle(world);
		struct arrival arrival;
		assert_true(actor_arrival(a, &arrival));
		assert_int_equal(actor_finish(a, arrival.id), FOS_OK);
		assert_false(actor_arrival(a, &arrival));
	}
	assert_int_equal(core_counters(a.node->core)->dropped, 2);
	world_end(world);
}

/* ------------------------------------------------------------------ copies */

struct pair { /* Memory of two Processes, known to a third */
	uint64_t src, dst;
};

static void paint(struct actor actor, uint8_t seed)
{
	uint8_t *arena = actor_arena(actor);
	for (uint32_t i = 0; i < WORLD_SEGMENT; i++)
		arena[i] = (uint8_t)(base_mix64(i ^ ((uint64_t)seed << 32)));
}

/* Every place of asker, source and destination on three nodes. */
static void copies_everywhere(void **state)
{
	(void)state;
	enum { LENGTH = 500000 };
	for (uint32_t where = 0; where < 27; where++) {
		struct world *world = world_new(3, NULL);
		struct actor asker = actor_new(world, where % 3), s = actor_new(world, where / 3 % 3),
					 d = actor_new(world, where / 9);
		paint(s, 1);
		uint64_t src = actor_give(s, actor_memory(s, 1000, LENGTH, FOS_READ), asker);
		uint64_t dst = actor_give(d, actor_memory(d, 77, LENGTH + 9, FOS_WRITE), asker);
		uint64_t done = actor_request(asker, 6);
		for (int with_then = 0; with_then < 2; with_then++) {
			memset(actor_arena(d), 0, WORLD_SEGMENT);
			struct call call = call_copy(dst, src, 0, 0);
			if (with_then)
				call_cap(&call, 0, FOS_NEXT, call_slot(&call, done));
			paint(s, 1);
			if (s.node == d.node && s.process == d.process)
				fail();
			uint64_t cookie = call_submit(asker, &call);
			world_settle(world);
			struct wire_answer_completion completion;
			assert_true(call_completed(asker, cookie, &completion));
			assert_int_equal(completion.status, FOS_OK);
			assert_memory_equal(actor_arena(d) + 77, actor_arena(s) + 1000, LENGTH);
			assert_int_equal(actor_arena(d)[76], 0);
			assert_int_equal(actor_arena(d)[77 + LENGTH], 0);
			struct arrival arrival;
			assert_int_equal(actor_arrival(asker, &arrival), with_then);
			if (with_then)
				assert_int_equal(actor_finish(asker, arrival.id), FOS_OK);
		}
		assert_int_equal(core_counters(d.node->core)->copies, 2);
		assert_int_equal(core_counters(d.node->core)->copy_bytes, 2 * LENGTH);
		/* With a `then` it is over when the source's owner has its credits back. */
		world_tick(world, world->nodes[A].config.heartbeat);
		world_settle(world);
		assert_int_equal(actor_usage(asker).copies, 0);
		world_end(world);
	}
}

/* Deliver `slices` messages of the copy, then something happens. */
static uint64_t begin_copy(struct world *world, struct actor asker, uint64_t dst, uint64_t src,
						   uint64_t then, uint64_t sorry, uint64_t time)
{
	struct call call = call_copy(dst, src, 0, time);
	if (then != 0)
		call_cap(&call, 0, FOS_NEXT, call_slot(&call, then));
	if (sorry != 0)
		call.entries[0].on_error = (uint16_t)call_slot(&call, sorry);
	uint64_t cookie = call_submit(asker, &call);
	world->hold[A][B][CORE_BULK] = true;
	world_settle(world);
	assert_true(world_deliver(world, A, B, CORE_BULK));
	assert_true(world_deliver(world, A, B, CORE_BULK));
	return cookie;
}

enum disaster { REVOKE_SRC, REVOKE_DST, KILL_SRC, KILL_DST, TIME, CUT };

static void copy_disaster(enum disaster disaster, bool with_then, fos_status expected)
{
	enum { LENGTH = 1 << 20 };
	struct core_config config;
	core_config_default(&config);
	config.slice = 16 << 10;
	config.heartbeat = UINT64_MAX / 2;
	struct world *world = world_new(3, &config);
	struct actor s = actor_new(world, A), d = actor_new(world, B), asker = actor_new(world, C);
	uint64_t own_src = actor_memory(s, 0, LENGTH, FOS_READ);
	uint64_t own_dst = actor_memory(d, 0, LENGTH, FOS_WRITE);
	uint64_t src = actor_give(s, own_src, asker), dst = actor_give(d, own_dst, asker);
	uint64_t then = actor_request(asker, 6), sorry = actor_request(asker, 7);
	paint(s, 3);
	uint64_t cookie =
		begin_copy(world, asker, dst, src, with_then ? then : 0, with_then ? sorry : 0, 1000);
	if (disaster == REVOKE_SRC)
		assert_int_equal(actor_revoke(s, own_src), FOS_OK);
	else if (disaster == REVOKE_DST)
		assert_int_equal(actor_revoke(d, own_dst), FOS_OK);
	else if (disaster == KILL_SRC)
		actor_kill(s);
	else if (disaster == KILL_DST)
		actor_kill(d);
	else if (disaster == TIME)
		world_tick(world, 1000);
	else
		world_cut(world, A, B);
	memset(actor_arena(s), 0xff, WORLD_SEGMENT);
	world->hold[A][B][CORE_BULK] = false;
	uint64_t placed = 0;
	for (uint8_t *at = actor_arena(d); at < actor_arena(d) + LENGTH; at += 4096)
		placed += *at != 0;
	world_settle(world);
	/* Nothing is written into a dead destination. */
	if (disaster == REVOKE_DST || disaster == KILL_DST) {
		uint64_t after = 0;
		for (uint8_t *at = actor_arena(d); at < actor_arena(d) + LENGTH; at += 4096)
			after += *at != 0;
		assert_int_equal(after, placed);
	}
	struct wire_answer_completion completion;
	assert_true(call_completed(asker, cookie, &completion));
	assert_int_equal(completion.status, with_then ? FOS_OK : expected);
	struct arrival arrival;
	assert_int_equal(actor_arrival(asker, &arrival), with_then);
	if (with_then) {
		assert_int_equal(arrival.handler, 7);
		assert_int_equal(arrival.status, expected);
		/* A broken link is told by both of its ends. */
		assert_int_equal(actor_arrival(asker, &arrival), disaster == CUT);
	} else {
		assert_int_equal(actor_usage(asker).copies, 0);
	}
	world_end(world);
}

/* The source's owner is lost with a copy that nobody else knows of: before its first slice went,
 * and before it even saw the COPY. Once all has left it, its loss is no news. */
/* Copies that wait for a credit: to send their first slice, and to be asked for at all. */
static void copies_that_never_set_out(void **state)
{
	(void)state;
	enum { MANY = 100 };
	struct world *world = world_new(2, NULL);
	struct actor a = actor_new(world, A), b = actor_new(world, B);
	uint64_t dst = actor_give(b, actor_memory(b, 0, 100, 3), a);
	uint64_t src = actor_memory(a, 0, 100, 3), cookies[MANY];
	world->hold[A][B][CORE_BULK] = true;
	for (unsigned i = 0; i < MANY; i++) {
		struct call call = call_copy(dst, src, 0, 1000 + i);
		cookies[i] = call_submit(a, &call);
	}
	world_settle(world);
	uint32_t sent = wire_class_credits(WIRE_CLASS_DATA);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_DATA), sent);
	/* The time of one is over, then the source dies: those that were not sent hear of it at once.
	 */
	world_tick(world, 1000 + sent);
	assert_int_equal(call_status(a, cookies[sent]), FOS_TIMED_OUT);
	assert_int_equal(call_status(a, cookies[sent + 1]), FOS_STATUS_COUNT);
	assert_int_equal(actor_revoke(a, src), FOS_OK);
	for (unsigned i = sent + 1; i < MANY; i++)
		assert_int_equal(call_status(a, cookies[i]), FOS_REVOKED);
	struct core_view_totals totals;
	core_inspect_totals(a.node->core, &totals);
	assert_int_equal(totals.outgoing, sent);
	world->hold[A][B][CORE_BULK] = false;
	world_settle(world);
	for (unsigned i = 0; i < sent; i++)
		assert_int_equal(call_status(a, cookies[i]), FOS_OK);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_DATA), sent);

	/* Those whose time is over before there is a credit are not asked for any more. */
	src = actor_memory(a, 0, 100, 3);
	sent = wire_class_credits(WIRE_CLASS_COPY);
	for (unsigned late = 0; late < 2; late++) {
		world->hold[A][B][CORE_CONTROL] = true;
		for (unsigned i = 0; i < MANY; i++) {
			struct call call = call_copy(src, dst, 0, late || i < sent ? 0 : 1000);
			cookies[i] = call_submit(a, &call);
		}
		assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_COPY), (1 + late) * sent);
		if (late)
			break;
		world_tick(world, 1000);
		world->hold[A][B][CORE_CONTROL] = false;
		world_settle(world);
		for (unsigned i = 0; i < MANY; i++)
			assert_int_equal(call_status(a, cookies[i]), i < sent ? FOS_OK : FOS_TIMED_OUT);
		assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_COPY), sent);
	}
	world_cut(world, A, B);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(call_status(a, cookies[i]),
						 i < sent ? FOS_OUTCOME_UNKNOWN : FOS_PEER_LOST);
	world_end(world);
}

/* Between two slices, with all credits back and none free, a copy is stopped by its destination. */
static void a_copy_stopped_between_slices(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.slice = 64;
	struct world *world = world_new(2, &config);
	struct actor a = actor_new(world, A), b = actor_new(world, B);
	enum { MANY = DATA_CREDITS + 1, STOPPED = DATA_CREDITS - 1 };
	uint64_t src = actor_memory(a, 0, 128, 3), dst[MANY], cookies[MANY];
	uint64_t all = actor_memory(a, 0, 64 * DATA_CREDITS, 3);
	uint64_t first = actor_give(b, actor_memory(b, 0, 64 * DATA_CREDITS, 3), a);
	world->hold[A][B][CORE_BULK] = true;
	/* This one uses all credits, so that the others begin in turn. */
	struct call call = call_copy(first, all, 0, 0);
	uint64_t before = call_submit(a, &call);
	for (unsigned i = 0; i < MANY; i++) {
		dst[i] = actor_memory(b, 0, 128, 3);
		call = call_copy(actor_give(b, dst[i], a), src, 0, 0);
		cookies[i] = call_submit(a, &call);
	}
	/* The first slice of each but the last lands; of the credits all go to others then. */
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < DATA_CREDITS; i++)
			assert_true(world_deliver(world, A, B, CORE_BULK));
		world_settle(world);
	}
	assert_int_equal(call_status(a, before), FOS_OK);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_DATA), 3 * DATA_CREDITS);
	assert_int_equal(actor_revoke(b, dst[STOPPED]), FOS_OK);
	world_settle(world);
	assert_int_equal(call_status(a, cookies[STOPPED]), FOS_REVOKED);
	struct core_view_totals totals;
	core_inspect_totals(a.node->core, &totals);
	assert_int_equal(totals.outgoing, MANY - 1);
	world->hold[A][B][CORE_BULK] = false;
	world_settle(world);
	for (unsigned i = 0; i < MANY; i++) {
		if (i != STOPPED)
			assert_int_equal(call_status(a, cookies[i]), FOS_OK);
	}
	world_end(world);
}

static void copy_source_owner_lost(void **state)
{
	(void)state;
	for (int when = 0; when < 3; when++) {
		struct world *world = world_new(3, NULL);
		struct actor s = actor_new(world, A), d = actor_new(world, B), asker = actor_new(world, C);
		uint64_t src = actor_give(s, actor_memory(s, 0, 100, FOS_READ), asker);
		uint64_t dst = actor_give(d, actor_memory(d, 0, 100, FOS_WRITE), asker);
		uint64_t then = actor_request(asker, 6), sorry = actor_request(asker, 7);
		struct call call = call_copy(dst, src, 0, 0);
		call_cap(&call, 0, FOS_NEXT, call_slot(&call, then));
		call.entries[0].on_error = (uint16_t)call_slot(&call, sorry);
		world->hold[C][A][CORE_CONTROL] = when == 0;
		world->hold[A][B][CORE_BULK] = when == 1;
		assert_int_equal(actor_call(asker, &call, NULL), FOS_OK);
		assert_int_equal(actor_usage(asker).copies, 1);
		world_settle(world);
		if (when == 2) {
			world_tick(world, world->nodes[A].config.heartbeat);
			world_settle(world);
		}
		assert_int_equal(actor_usage(asker).copies, when != 2);
		world_cut(world, A, C);
		world_settle(world);
		struct arrival arrival;
		assert_true(actor_arrival(asker, &arrival));
		assert_int_equal(arrival.handler, when == 2 ? 6 : 7);
		assert_int_equal(arrival.status, when == 2 ? FOS_OK : FOS_OUTCOME_UNKNOWN);
		assert_false(actor_arrival(asker, &arrival));
		assert_int_equal(actor_usage(asker).copies, 0);
		world_end(world);
	}
}

static void copies_end_badly(void **state)
{
	(void)state;
	for (int with_then = 0; with_then < 2; with_then++) {
		copy_disaster(REVOKE_SRC, with_then, FOS_REVOKED);
		copy_disaster(REVOKE_DST, with_then, FOS_REVOKED);
		copy_disaster(KILL_SRC, with_then, FOS_REVOKED);
		copy_disaster(KILL_DST, with_then, FOS_REVOKED);
		copy_disaster(TIME, with_then, FOS_TIMED_OUT);
		copy_disaster(CUT, with_then, FOS_OUTCOME_UNKNOWN);
	}
}

/* A small copy that starts behind a large one does not wait for it. */
static void copies_take_turns(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.slice = 4096;
	struct world *world = world_new(2, &config);
	struct actor s = actor_new(world, A), d = actor_new(world, B);
	uint64_t big = actor_memory(s, 0, 1 << 20, FOS_READ);
	uint64_t little = actor_memory(s, 0, 10000, FOS_READ);
	uint64_t dst = actor_give(d, actor_memory(d, 0, 1 << 20, FOS_WRITE), s);
	struct call call = call_copy(dst, big, 0, 0);
	uint64_t first = call_submit(s, &call);
	call = call_copy(dst, little, 0, 0);
	uint64_t second = call_submit(s, &call);
	struct wire_answer_completion completion;
	while (!call_completed(s, second, &completion)) {
		world_deliver(world, A, B, CORE_BULK);
		world_deliver(world, B, A, CORE_CONTROL);
		/* Answer slices one at a time, by hand of settle. */
		world->hold[A][B][CORE_BULK] = world->hold[B][A][CORE_CONTROL] = true;
		world_settle(world);
		world->hold[A][B][CORE_BULK] = world->hold[B][A][CORE_CONTROL] = false;
	}
	assert_false(call_completed(s, first, &completion));
	assert_true(core_counters(d.node->core)->received.data < 16 + 3 * 2 + 16);
	world_settle(world);
	assert_true(call_completed(s, first, &completion));
	assert_int_equal(completion.status, FOS_OK);
	world_end(world);
}

/* More copies asked for than the class has credits: they wait, none is lost. */
static void many_copies(void **state)
{
	(void)state;
	struct world *world = world_new(3, NULL);
	struct actor s = actor_new(world, A), d = actor_new(world, B), asker = actor_new(world, C);
	paint(s, 5);
	uint64_t src = actor_give(s, actor_memory(s, 0, 300, FOS_READ), asker);
	uint64_t dst = actor_give(d, actor_memory(d, 0, 300, FOS_WRITE), asker);
	uint64_t cookies[200];
	for (unsigned i = 0; i < 200; i++) {
		struct call call = call_copy(dst, src, 0, 0);
		cookies[i] = call_submit(asker, &call);
	}
	assert_int_equal(actor_usage(asker).copies, 200);
	assert_int_equal(world->links[C][A][CORE_CONTROL].count, wire_class_credits(WIRE_CLASS_COPY));
	world_settle(world);
	struct wire_answer_completion completion;
	for (unsigned i = 0; i < 200; i++) {
		assert_true(call_completed(asker, cookies[i], &completion));
		assert_int_equal(completion.status, FOS_OK);
	}
	world_end(world);
}

/* ------------------------------------------------------------------ registry, heartbeats */

static uint64_t ask_registry(struct actor actor, uint64_t time)
{
	struct wire_call_registry_get get = {.time = time};
	struct call call;
	call_init(&call, WIRE_CALL_TYPE_REGISTRY_GET, &get, sizeof get, false);
	return call_submit(actor, &call);
}

static uint64_t ask_other_registry(struct actor actor, uint64_t other, uint64_t time)
{
	struct wire_call_registry_get get = {.time = time, .other = other};
	struct call call;
	call_init(&call, WIRE_CALL_TYPE_REGISTRY_GET, &get, sizeof get, false);
	return call_submit(actor, &call);
}

static void become_registry(struct actor actor, uint64_t root)
{
	struct wire_call_registry_set set = {.cap = root};
	struct call call;
	call_init(&call, WIRE_CALL_TYPE_REGISTRY_SET, &set, sizeof set, false);
	assert_int_equal(actor_call(actor, &call, NULL), FOS_OK);
	world_settle(actor.node->world);
}

static void registry_changes(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor a = actor_new(world, A), registry = actor_new(world, B);
	struct wire_answer_completion completion;
	become_registry(registry, actor_request(registry, 5));
	uint64_t now_known = ask_registry(a, 0);
	assert_true(call_completed(a, now_known, &completion));
	assert_int_equal(completion.status, FOS_OK);
	uint64_t first = completion.cap;
	/* Bad slots; no time; a time that ends; and for ever, though the slot is closed meanwhile. */
	uint64_t bad = ask_other_registry(a, first + 1, UINT64_MAX);
	assert_true(call_completed(a, bad, &completion));
	assert_int_equal(completion.status, FOS_NO_CAP);
	uint64_t at_once = ask_other_registry(a, first, 0), limited = ask_other_registry(a, first, 10);
	uint64_t changed = ask_other_registry(a, first, UINT64_MAX);
	assert_true(call_completed(a, at_once, &completion));
	assert_int_equal(completion.status, FOS_TIMED_OUT);
	struct wire_call_cap_close close = {.cap = first};
	struct call call;
	call_init(&call, WIRE_CALL_TYPE_CAP_CLOSE, &close, sizeof close, false);
	assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
	world_tick(world, 1000000);
	assert_true(call_completed(a, limited, &completion));
	assert_int_equal(completion.status, FOS_TIMED_OUT);
	/* A cut link that heals brings the same one back: no change. */
	world_rejoin(world, A, B);
	assert_false(call_completed(a, changed, &completion));
	actor_kill(registry);
	world_settle(world);
	assert_false(call_completed(a, changed, &completion));
	assert_int_equal(actor_usage(a).parked, 1);
	struct actor next = actor_new(world, B);
	become_registry(next, actor_request(next, 6));
	assert_true(call_completed(a, changed, &completion));
	assert_int_equal(completion.status, FOS_OK);
	assert_int_equal(actor_usage(a).parked, 0);
	struct arrival arrival;
	assert_int_equal(actor_invoke(a, completion.cap), FOS_OK);
	world_settle(world);
	assert_true(actor_arrival(next, &arrival));
	/* Who waits for ever leaves nothing behind when its channel or Process ends. */
	uint64_t second = completion.cap;
	ask_other_registry(a, second, UINT64_MAX);
	assert_int_equal(actor_usage(a).parked, 1);
	world_step(a.node, &(struct core_event){
						   .type = CORE_CHANNEL_GONE, .process = a.process, .channel = a.channel});
	assert_int_equal(actor_usage(a).parked, 0);
	struct actor b = actor_new(world, B);
	uint64_t own = ask_registry(b, 0);
	assert_true(call_completed(b, own, &completion));
	ask_other_registry(b, completion.cap, UINT64_MAX);
	actor_kill(b);
	world_end(world);
}

static void registry_comes_and_goes(void **state)
{
	(void)state;
	struct world *world = world_new(3, NULL);
	struct actor a = actor_new(world, A), registry = actor_new(world, B);
	struct wire_answer_completion completion;
	uint64_t waits = ask_registry(a, 1000), gives_up = ask_registry(a, 10);
	uint64_t at_once = ask_registry(a, 0);
	assert_true(call_completed(a, at_once, &completion));
	assert_int_equal(completion.status, FOS_TIMED_OUT);
	assert_false(call_completed(a, waits, &completion));
	world_tick(world, 10);
	assert_true(call_completed(a, gives_up, &completion));
	assert_int_equal(completion.status, FOS_TIMED_OUT);
	uint64_t root = actor_request(registry, 5);
	struct wire_call_registry_set set = {.cap = root};
	struct call call;
	call_init(&call, WIRE_CALL_TYPE_REGISTRY_SET, &set, sizeof set, false);
	assert_int_equal(actor_call(registry, &call, NULL), FOS_OK);
	world_settle(world);
	assert_true(call_completed(a, waits, &completion));
	assert_int_equal(completion.status, FOS_OK);
	assert_int_equal(actor_usage(a).parked, 0);
	assert_int_equal(actor_invoke(a, completion.cap), FOS_OK);
	world_settle(world);
	struct arrival arrival;
	assert_true(actor_arrival(registry, &arrival));
	fos_principal principal;
	memcpy(&principal, arrival.imm, sizeof principal);
	assert_int_equal(principal.node, A + 1);
	assert_int_equal(principal.process, a.process);
	assert_string_equal(principal.label, "tester");
	/* The principal cannot be changed. */
	struct call forge = call_invoke(completion.cap, 0, 0);
	call_imm(&forge, 0, 4, "root", 4);
	assert_int_equal(actor_call(a, &forge, NULL), FOS_OVERLAP);
	/* Others cannot become it. */
	set.cap = actor_give(registry, root, a);
	call_init(&call, WIRE_CALL_TYPE_REGISTRY_SET, &set, sizeof set, false);
	assert_int_equal(actor_call(a, &call, NULL), FOS_DENIED);
	set.cap = root; /* the giving made another one known */
	call_init(&call, WIRE_CALL_TYPE_REGISTRY_SET, &set, sizeof set, false);
	assert_int_equal(actor_call(registry, &call, NULL), FOS_OK);
	world_settle(world);
	/* Its death is told, its successor found, also by a node that comes later. */
	actor_kill(registry);
	world_settle(world);
	at_once = ask_registry(a, 0);
	assert_true(call_completed(a, at_once, &completion));
	assert_int_equal(completion.status, FOS_TIMED_OUT);
	world_cut(world, B, C);
	struct actor next = actor_new(world, B), c = actor_new(world, C);
	set.cap = actor_request(next, 6);
	call_init(&call, WIRE_CALL_TYPE_REGISTRY_SET, &set, sizeof set, false);
	assert_int_equal(actor_call(next, &call, NULL), FOS_OK);
	world_connect(world, B, C);
	world_settle(world);
	at_once = ask_registry(c, 0);
	assert_true(call_completed(c, at_once, &completion));
	assert_int_equal(completion.status, FOS_OK);
	/* Not known while its node cannot be reached. */
	world_cut(world, B, C);
	at_once = ask_registry(c, 0);
	assert_true(call_completed(c, at_once, &completion));
	assert_int_equal(completion.status, FOS_TIMED_OUT);
	world_end(world);
}

static void heartbeats(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	uint64_t beat = world->nodes[A].config.heartbeat;
	for (unsigned i = 0; i < 40; i++) {
		world_tick(world, beat);
		world_settle(world);
	}
	assert_int_equal(world->nodes[A].ended_sessions, 0);
	/* One direction is dead: both ends notice, since an echo needs both. */
	world->hold[A][B][CORE_CONTROL] = true;
	unsigned beats = 0;
	while (world->up[A][B] && beats++ < 20) {
		world_tick(world, beat);
		world_settle(world);
	}
	assert_in_range(beats, 4, 7);
	assert_string_equal(world->nodes[A].ended_sessions ? world->nodes[A].reason
													   : world->nodes[B].reason,
						"no answer to heartbeats");
	world_end(world);
}

/* A link that lets something through now and then: what comes late was sent long ago, and so was
 * what it echoes. A revocation behind it waits no longer than if nothing came. */
static void late_echoes(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor a = actor_new(world, A), b = actor_new(world, B);
	uint64_t child = actor_revtree(a, actor_give(b, actor_memory(b, 0, 64, 1), a));
	uint64_t beat = world->nodes[A].config.heartbeat;
	for (unsigned i = 0; i < 6; i++) {
		world->hold[A][B][CORE_CONTROL] = i >= 3;
		world_tick(world, beat);
		world_settle(world);
	}
	struct call call = call_revoke(child, false, 0);
	uint64_t asked = world->now, cookie = call_submit(a, &call);
	fos_status status = FOS_STATUS_COUNT;
	for (unsigned i = 0; i < 20 && status == FOS_STATUS_COUNT; i++) {
		world_tick(world, beat);
		if (i % 3 == 0 && world->up[A][B])
			assert_true(world_deliver(world, A, B, CORE_CONTROL));
		world_settle(world);
		status = call_status(a, cookie);
	}
	assert_int_equal(status, FOS_OUTCOME_UNKNOWN);
	assert_in_range(world->now - asked, beat, world->nodes[A].config.failure_timeout + beat);
	world_end(world);
}

/* Who was paused does not hold that time against its peer, and counts on from before. */
static void pauses(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	uint64_t beat = world->nodes[A].config.heartbeat;
	uint64_t timeout = world->nodes[A].config.failure_timeout;
	for (unsigned i = 0; i < 5; i++) {
		world_tick(world, 3 * timeout);
		world_settle(world);
		world_tick(world, beat);
		world_settle(world);
		assert_true(world->up[A][B]);
	}
	world->hold[A][B][CORE_CONTROL] = true;
	uint64_t counted = 0;
	for (unsigned i = 0; world->up[A][B] && i < 20; i++) {
		world_tick(world, i % 2 == 0 ? 3 * timeout : beat);
		counted += i % 2 == 0 ? 0 : beat;
		world_settle(world);
	}
	assert_in_range(counted, timeout - 3 * beat, timeout + beat);
	world_end(world);
}

/* ------------------------------------------------------------------ bad messages */

/* Whatever single byte of a real message is changed, the core lives, and the session goes on or
 * ends. */
static void broken_messages(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 600; seed++) {
		struct world *world = world_new(2, NULL);
		struct actor a = actor_new(world, A), b = actor_new(world, B);
		uint64_t door = actor_give(b, actor_request(b, 1), a);
		uint64_t dst = actor_give(b, actor_memory(b, 0, 4096, 3), a);
		uint64_t src = actor_memory(a, 0, 4096, 3);
		struct call call = call_invoke(door, 0, 0);
		call_imm(&call, 0, 0, "hello", 5);
		call_cap(&call, 0, 1, call_slot(&call, src));
		unsigned refined = call_refine(&call, door);
		call_cap(&call, refined, 3, 1);
		call.entries[0].on_error = (uint16_t)refined;
		assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
		call = call_copy(dst, src, 0, 0);
		call_cap(&call, 0, FOS_NEXT, call_slot(&call, door));
		call_submit(a, &call);
		enum core_lane lane = seed % 2 ? CORE_BULK : CORE_CONTROL;
		struct packet *packet = world->links[A][B][lane].first;
		assert_non_null(packet);
		struct base_random random = {seed};
		size_t at = base_random_below(&random, BASE_MIN(packet->size, (size_t)500));
		packet->bytes[at] = (uint8_t)(packet->bytes[at] ^ (1u << base_random_below(&random, 8)));
		world_settle(world);
		assert_int_equal(actor_usage(a).copies, 0);
		world_end(world);
	}
}

static void send_raw(struct world *world, const void *bytes, size_t size, enum core_lane lane)
{
	world_step(
		&world->nodes[A],
		&(struct core_event){
			.type = CORE_MESSAGE, .node = B + 1, .lane = lane, .bytes = bytes, .size = size});
}

static void hostile_peer(void **state)
{
	(void)state;
	static const char *const reasons[] = {"a message is missing or came twice",
										  "a message on the wrong lane",
										  "a malformed message",
										  "more credits than there are",
										  "a bounce of what was never sent",
										  "word of a registry from where it is not"};
	for (unsigned i = 0; i < BASE_COUNT(reasons); i++) {
		struct world *world = world_new(2, NULL);
		struct wire_message_credit credit = {
			.header = {.size = sizeof credit, .type = WIRE_MESSAGE_TYPE_CREDIT}};
		struct {
			struct wire_message_bounce head;
			struct wire_args args;
			struct wire_entry entry;
		} bounce = {.head.header = {.size = sizeof bounce, .type = WIRE_MESSAGE_TYPE_BOUNCE},
					.args.entry_count = 1};
		struct wire_message_registry registry = {
			.header = {.size = sizeof registry, .type = WIRE_MESSAGE_TYPE_REGISTRY},
			.node = 9,
			.serial = 2};
		credit.header.sequence = i == 0;
		credit.header.zero32 = i == 2;
		credit.header.credits[WIRE_CLASS_DATA] = i == 3;
		if (i < 4)
			send_raw(world, &credit, sizeof credit, i == 1 ? CORE_BULK : CORE_CONTROL);
		else if (i == 4)
			send_raw(world, &bounce, sizeof bounce, CORE_CONTROL);
		else
			send_raw(world, &registry, sizeof registry, CORE_CONTROL);
		assert_int_equal(world->nodes[A].ended_sessions, 1);
		assert_string_equal(world->nodes[A].reason, reasons[i]);
		assert_int_equal(core_counters(world->nodes[A].core)->protocol_errors, 1);
		world_end(world);
	}
}

/* A peer that sends more than it has credits for. */
static void greedy_peer(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct {
		struct wire_message_copy head;
		struct wire_args args;
		struct wire_entry entries[3];
		struct wire_bound bounds[2];
	} copy = {
		.head.header = {.size = sizeof copy, .type = WIRE_MESSAGE_TYPE_COPY},
		.head.time_left = 1000000,
		.args = {.entry_count = 3, .bound_count = 2},
		.entries = {{0},
					{.kind = FOS_MEMORY, .length = 8, .rights = 3, .node = 3, .serial = 2},
					{.kind = FOS_MEMORY, .length = 8, .rights = 3, .node = 1, .serial = 2}},
		.bounds = {{.index = WIRE_COPY_DST, .value = 1}, {.index = WIRE_COPY_SRC, .value = 2}}};
	unsigned sent = 0;
	while (world->nodes[A].ended_sessions == 0 && sent < 1000) {
		/* Credits of refused copies come back; the sender does not count them. */
		send_raw(world, &copy, sizeof copy, CORE_CONTROL);
		copy.head.header.sequence++;
		sent++;
		if (sent == 200)
			break;
	}
	assert_int_equal(world->nodes[A].ended_sessions, 0);
	assert_int_equal(core_counters(world->nodes[A].core)->sent.copy_done, 200);
	world_end(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chain_costs_stages_plus_one),
		cmocka_unit_test(deep_nesting_travels),
		cmocka_unit_test(bounce_keeps_order_and_turns),
		cmocka_unit_test(a_place_for_each_that_came_back),
		cmocka_unit_test(parked_time_ends),
		cmocka_unit_test(order_without_credits),
		cmocka_unit_test(retry_that_never_left),
		cmocka_unit_test(turn_of_a_retry_that_never_left),
		cmocka_unit_test(none_of_the_parked_can_leave),
		cmocka_unit_test(parked_behind_a_dead_target),
		cmocka_unit_test(queued_ones_join_the_park),
		cmocka_unit_test(provider_dies_with_parked),
		cmocka_unit_test(session_ends),
		cmocka_unit_test(credits_come_back),
		cmocka_unit_test(once_across),
		cmocka_unit_test(copies_everywhere),
		cmocka_unit_test(copies_end_badly),
		cmocka_unit_test(copies_that_never_set_out),
		cmocka_unit_test(a_copy_stopped_between_slices),
		cmocka_unit_test(copy_source_owner_lost),
		cmocka_unit_test(copies_take_turns),
		cmocka_unit_test(many_copies),
		cmocka_unit_test(registry_comes_and_goes),
		cmocka_unit_test(registry_changes),
		cmocka_unit_test(heartbeats),
		cmocka_unit_test(late_echoes),
		cmocka_unit_test(pauses),
		cmocka_unit_test(broken_messages),
		cmocka_unit_test(hostile_peer),
		cmocka_unit_test(greedy_peer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
