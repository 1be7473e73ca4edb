/* Invocations between cores: chains and continuations, full inboxes seen from afar, what waits for
 * room there, credits, sessions that end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/harness.h"

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

/* What is left of its time goes with it from node to node, by deliveries and copies. */
static void time_crosses_nodes(void **state)
{
	(void)state;
	enum { SECOND = 1000000000 };
	struct world *world = world_new(3, NULL);
	struct actor a = actor_new(world, A), b = actor_new(world, B), c = actor_new(world, C);
	uint64_t door = actor_give(b, actor_request(b, 1), a);
	uint64_t next = actor_give(c, actor_request(c, 2), b);
	struct call call = call_invoke(door, 0, (uint64_t)7 * SECOND);
	struct arrival arrival;
	assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
	world_settle(world);
	assert_true(actor_arrival(b, &arrival));
	assert_int_equal(arrival.time_left, (uint64_t)7 * SECOND);

	/* Who holds the delivery uses it up; what follows has what is left. */
	world_tick(world, SECOND);
	world_settle(world);
	uint64_t held = arrival.id;
	call = call_invoke(next, held, 0);
	assert_int_equal(actor_call(b, &call, NULL), FOS_OK);
	world_settle(world);
	assert_true(actor_arrival(c, &arrival));
	assert_int_equal(arrival.time_left, (uint64_t)6 * SECOND);
	assert_int_equal(actor_finish(c, arrival.id), FOS_OK);

	/* A copy on B's behalf from C to A, and from there to C. */
	uint64_t src = actor_give(c, actor_memory(c, 0, 100, FOS_READ), b);
	uint64_t dst = actor_give(a, actor_memory(a, 0, 100, FOS_WRITE), b);
	world_tick(world, SECOND);
	world_settle(world);
	call = call_copy(dst, src, held, 0);
	call_cap(&call, 0, FOS_NEXT, call_slot(&call, next));
	call_submit(b, &call);
	world_settle(world);
	assert_true(actor_arrival(c, &arrival));
	assert_int_equal(arrival.time_left, (uint64_t)5 * SECOND);
	assert_int_equal(actor_finish(c, arrival.id), FOS_OK);

	/* Over before it was sent on: nothing is left, and it does not begin anew. */
	world_tick(world, (uint64_t)6 * SECOND);
	world_settle(world);
	next = actor_give(c, actor_request(c, 3), b);
	call = call_continue(held, next, true);
	assert_int_equal(actor_call(b, &call, NULL), FOS_OK);
	world_settle(world);
	assert_true(actor_arrival(c, &arrival));
	assert_int_equal(arrival.time_left, 0);
	assert_int_equal(actor_finish(c, arrival.id), FOS_OK);
	world_end(world);
}

/* However often a capability is bound, in the call and in what it binds, and whatever number it had
 * in the message before: one entry. */
static void what_is_bound_twice_travels_once(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor from = actor_new(world, A), to = actor_new(world, B);
	uint64_t door = actor_give(to, actor_request(to, 1), from);
	uint64_t thing = actor_request(from, 2), other = actor_request(from, 3);
	uint64_t bytes[4];
	for (unsigned i = 0; i < BASE_COUNT(bytes); i++) {
		struct call call = call_invoke(door, 0, 0);
		unsigned entry = call_slot(&call, thing), nested = call_refine(&call, other);
		if (i == 2) /* it had another number the last time */
			call_cap(&call, 0, 0, call_slot(&call, other));
		call_cap(&call, nested, 1, entry);
		call_cap(&call, 0, 1, nested);
		if (i > 0)
			call_cap(&call, 0, 2, entry);
		uint64_t before = core_counters(from.node->core)->sent_bytes.invoke;
		assert_int_equal(actor_call(from, &call, NULL), FOS_OK);
		world_settle(world);
		bytes[i] = core_counters(from.node->core)->sent_bytes.invoke - before;
		struct arrival arrival;
		assert_true(actor_arrival(to, &arrival));
		assert_int_equal(arrival.cap_count, i == 0 ? 1 : i == 2 ? 3 : 2);
		assert_int_equal(actor_finish(to, arrival.id), FOS_OK);
	}
	assert_int_equal(bytes[1], bytes[0] + sizeof(struct wire_bound));
	assert_int_equal(bytes[2], bytes[1] + sizeof(struct wire_entry) + sizeof(struct wire_bound));
	assert_int_equal(bytes[3], bytes[1]);
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
		cmocka_unit_test(time_crosses_nodes),
		cmocka_unit_test(what_is_bound_twice_travels_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
