/* The core on one node: capability spaces, values, deliveries, ONCE, quotas, death. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/harness.h"
#include "core/limits.h"

static struct core_config small(void)
{
	struct core_config config;
	core_config_default(&config);
	config.limits.deliveries = 2;
	config.limits.parked = 3;
	config.limits.once = 2;
	config.limits.slots = 64;
	config.limits.objects = 16;
	config.limits.copies = 2;
	return config;
}

static void null_and_slots(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor a = actor_new(world, 0), b = actor_new(world, 0);
	struct wire_call_null null = {0};
	struct call call;
	call_init(&call, WIRE_CALL_TYPE_NULL, &null, sizeof null, false);
	assert_int_equal(actor_call(a, &call, NULL), FOS_OK);

	uint64_t cap = actor_request(a, 1);
	assert_int_equal(actor_close(b, cap), FOS_NO_CAP); /* a name of another space */
	assert_int_equal(actor_close(a, cap), FOS_OK);
	assert_int_equal(actor_close(a, cap), FOS_OK); /* idempotent */
	assert_int_equal(actor_close(a, cap + ((uint64_t)1 << 40)), FOS_NO_CAP);
	assert_int_equal(actor_invoke(a, cap), FOS_NO_CAP);
	uint64_t next = actor_request(a, 1);
	assert_true(next != cap); /* the same index, another name */
	assert_int_equal(actor_invoke(a, cap), FOS_NO_CAP);
	assert_int_equal(actor_close(a, 0), FOS_NO_CAP);
	assert_int_equal(actor_close(a, WIRE_IN_CALL | 1), FOS_NO_CAP);
	world_end(world);
}

static void memory_bounds(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor a = actor_new(world, 0);
	static const struct {
		uint64_t offset, length;
		uint32_t segment;
		fos_status status;
	} cases[] = {
		{0, WORLD_SEGMENT, 0, FOS_OK},
		{WORLD_SEGMENT - 1, 1, 0, FOS_OK},
		{0, WORLD_SEGMENT + 1, 0, FOS_INVALID},
		{WORLD_SEGMENT, 1, 0, FOS_INVALID},
		{0, 0, 0, FOS_INVALID},
		{UINT64_MAX, 2, 0, FOS_INVALID},
		{1, UINT64_MAX, 0, FOS_INVALID},
		{0, 1, 1, FOS_INVALID},
		{0, 1, LIMIT_SEGMENTS - 1, FOS_INVALID},
		{0, 1, LIMIT_SEGMENTS, FOS_INVALID},
		{0, 1, UINT32_MAX, FOS_INVALID},
	};
	actor_new(world, 0); /* its segments lie behind the other's */
	for (size_t i = 0; i < BASE_COUNT(cases); i++) {
		struct wire_call_memory_create create = {.offset = cases[i].offset,
												 .length = cases[i].length,
												 .segment = cases[i].segment,
												 .rights = 3};
		struct call call;
		call_init(&call, WIRE_CALL_TYPE_MEMORY_CREATE, &create, sizeof create, false);
		assert_int_equal(actor_call(a, &call, NULL), cases[i].status);
	}
	world_end(world);
}

/* Every mask of rights against every mask dropped: rights never grow. */
static void diminish_rights(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor a = actor_new(world, 0);
	for (uint32_t rights = 0; rights <= 3; rights++) {
		uint64_t memory = actor_memory(a, 100, 50, rights);
		for (uint32_t drop = 0; drop <= 3; drop++) {
			struct wire_call_memory_diminish part = {
				.cap = memory, .offset = 10, .length = 20, .drop = drop};
			struct call call;
			uint64_t cap;
			call_init(&call, WIRE_CALL_TYPE_MEMORY_DIMINISH, &part, sizeof part, false);
			assert_int_equal(actor_call(a, &call, &cap), FOS_OK);
			struct wire_answer_info info;
			assert_int_equal(actor_info(a, cap, &info), FOS_OK);
			assert_int_equal(info.rights, rights & ~drop);
			assert_int_equal(info.length, 20);
			assert_int_equal(info.offset, 110);
			assert_int_equal(info.segment, 1);
			assert_true(info.own && info.reachable && !info.once);
			part = (struct wire_call_memory_diminish){.cap = cap, .offset = 20, .length = 1};
			call_init(&call, WIRE_CALL_TYPE_MEMORY_DIMINISH, &part, sizeof part, false);
			assert_int_equal(actor_call(a, &call, NULL), FOS_RANGE);
			part.length = 0;
			call_init(&call, WIRE_CALL_TYPE_MEMORY_DIMINISH, &part, sizeof part, false);
			assert_int_equal(actor_call(a, &call, NULL), FOS_INVALID);
			part =
				(struct wire_call_memory_diminish){.cap = cap, .offset = UINT64_MAX, .length = 5};
			call_init(&call, WIRE_CALL_TYPE_MEMORY_DIMINISH, &part, sizeof part, false);
			assert_int_equal(actor_call(a, &call, NULL), FOS_RANGE);
		}
	}
	world_end(world);
}

/* What is bound in steps arrives as one, merged and sorted; what is set is never overwritten. */
static void refine_and_deliver(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor server = actor_new(world, 0), client = actor_new(world, 0);
	uint64_t door = actor_give(server, actor_request(server, 42), client);
	uint64_t memory = actor_memory(client, 64, 256, FOS_READ);

	struct call call = call_refinement(door);
	call_imm(&call, 0, 8, "BBBB", 4);
	call_cap(&call, 0, 5, call_slot(&call, memory));
	uint64_t refined;
	assert_int_equal(actor_call(client, &call, &refined), FOS_OK);
	assert_int_equal(actor_call(client, &call, NULL), FOS_OK); /* the base is unchanged */
	call = call_refinement(refined);
	call_imm(&call, 0, 11, "X", 1);
	assert_int_equal(actor_call(client, &call, NULL), FOS_OVERLAP);
	call = call_refinement(refined);
	call_cap(&call, 0, 5, call_slot(&call, memory));
	assert_int_equal(actor_call(client, &call, NULL), FOS_OVERLAP);
	call = call_refinement(memory);
	assert_int_equal(actor_call(client, &call, NULL), FOS_WRONG_TYPE);

	call = call_invoke(refined, 0, 1000);
	call_imm(&call, 0, 12, "CC", 2);
	call_imm(&call, 0, 4, "AAAA", 4);
	call_imm(&call, 0, 100, "Z", 1);
	call_cap(&call, 0, 2, call_part(&call, memory, 6, 10, 0));
	assert_int_equal(actor_call(client, &call, NULL), FOS_OK);
	struct arrival arrival;
	assert_true(actor_arrival(server, &arrival));
	assert_int_equal(arrival.handler, 42);
	assert_int_equal(arrival.status, FOS_OK);
	assert_int_equal(arrival.time_left, 1000);
	assert_int_equal(arrival.range_count, 2);
	assert_int_equal(arrival.ranges[0].offset, 4);
	assert_int_equal(arrival.ranges[0].length, 10);
	assert_memory_equal(arrival.imm + 4, "AAAABBBBCC", 10);
	assert_int_equal(arrival.imm[100], 'Z');
	assert_int_equal(arrival.cap_count, 2);
	assert_int_equal(arrival.caps[0].index, 2);
	assert_int_equal(arrival.caps[0].length, 10);
	assert_int_equal(arrival.caps[0].segment, 0); /* not over the server's arena */
	assert_int_equal(arrival.caps[1].index, 5);
	assert_int_equal(arrival.caps[1].length, 256);

	/* Slots live until the delivery is finished, unless they are kept. */
	assert_int_equal(actor_keep(server, arrival.caps[0].cap), FOS_OK);
	assert_int_equal(actor_usage(server).deliveries, 1);
	assert_int_equal(actor_finish(server, arrival.id), FOS_OK);
	assert_int_equal(actor_finish(server, arrival.id), FOS_INVALID);
	struct wire_answer_info info;
	assert_int_equal(actor_info(server, arrival.caps[0].cap, &info), FOS_OK);
	assert_int_equal(info.length, 10);
	assert_false(info.own);
	assert_int_equal(actor_info(server, arrival.caps[1].cap, &info), FOS_NO_CAP);
	assert_int_equal(actor_usage(server).deliveries, 0);
	world_end(world);
}

static void own_memory_comes_home(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor a = actor_new(world, 0);
	uint64_t door = actor_request(a, 1), memory = actor_memory(a, 4096, 100, FOS_READ);
	struct call call = call_invoke(door, 0, 0);
	call_cap(&call, 0, 0, call_part(&call, memory, 10, 50, 0));
	assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
	struct arrival arrival;
	assert_true(actor_arrival(a, &arrival));
	assert_int_equal(arrival.caps[0].segment, 1);
	assert_int_equal(arrival.caps[0].offset, 4106);
	world_end(world);
}

static void continue_fail_finish(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor a = actor_new(world, 0), b = actor_new(world, 0);
	uint64_t door = actor_give(b, actor_request(b, 7), a);
	uint64_t reply = actor_request(a, 8), sorry = actor_request(a, 9);
	struct call call = call_invoke(door, 0, 5000);
	call_cap(&call, 0, FOS_NEXT, call_slot(&call, reply));
	call.entries[0].on_error = (uint16_t)call_slot(&call, sorry);
	assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
	struct arrival at_b, at_a;
	assert_true(actor_arrival(b, &at_b));

	/* Refused: stays open. */
	struct call next = call_continue(at_b.id, 12345, false);
	assert_int_equal(actor_call(b, &next, NULL), FOS_NO_CAP);
	next = call_continue(at_b.id, 0, false);
	assert_int_equal(actor_call(b, &next, NULL), FOS_INVALID);
	next = call_continue(at_b.id + 1, arrival_cap(&at_b, FOS_NEXT), false);
	assert_int_equal(actor_call(b, &next, NULL), FOS_INVALID);
	world->now += 1000;
	next = call_continue(at_b.id, arrival_cap(&at_b, FOS_NEXT), false);
	call_imm(&next, 0, FOS_RESULT, "done", 4);
	assert_int_equal(actor_call(b, &next, NULL), FOS_OK);
	assert_true(actor_arrival(a, &at_a));
	assert_int_equal(at_a.handler, 8);
	assert_int_equal(at_a.trace, at_b.trace);
	assert_int_equal(at_a.time_left, 4000);
	assert_memory_equal(at_a.imm + FOS_RESULT, "done", 4);
	assert_int_equal(actor_finish(b, at_b.id), FOS_INVALID);
	assert_int_equal(actor_finish(a, at_a.id), FOS_OK);

	/* fail: to on_error, stamped by the Controller. */
	assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
	assert_true(actor_arrival(b, &at_b));
	assert_int_equal(actor_fail(b, at_b.id, FOS_DEVICE, "the disk is on fire"), FOS_OK);
	assert_true(actor_arrival(a, &at_a));
	assert_int_equal(at_a.handler, 9);
	assert_int_equal(at_a.status, FOS_DEVICE);
	assert_int_equal(at_a.process, b.process);
	assert_string_equal(at_a.where, "node0/tester");
	assert_string_equal(at_a.detail, "the disk is on fire");
	assert_int_equal(actor_finish(a, at_a.id), FOS_OK);

	/* A refused continue that asks for it fails the delivery with the refusal. */
	assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
	assert_true(actor_arrival(b, &at_b));
	next = call_continue(at_b.id, 12345, true);
	assert_int_equal(actor_call(b, &next, NULL), FOS_NO_CAP);
	assert_true(actor_arrival(a, &at_a));
	assert_int_equal(at_a.status, FOS_NO_CAP);
	assert_int_equal(actor_finish(b, at_b.id), FOS_INVALID);

	/* on_error is inherited by what a delivery starts. */
	assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
	assert_true(actor_arrival(b, &at_b));
	uint64_t own = actor_request(b, 10);
	struct call start = call_invoke(own, at_b.id, 0);
	assert_int_equal(actor_call(b, &start, NULL), FOS_OK);
	struct arrival inner;
	assert_true(actor_arrival(b, &inner));
	assert_int_equal(inner.trace, at_b.trace);
	assert_int_equal(actor_fail(b, inner.id, FOS_BUSY, ""), FOS_OK);
	assert_true(actor_arrival(a, &at_a));
	assert_int_equal(at_a.status, FOS_BUSY);
	assert_string_equal(at_a.detail, fos_status_text(FOS_BUSY));
	world_end(world);
}

/* The provider dies: open deliveries fail in its name, its Requests are dead, nothing is used. */
static void process_death(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor a = actor_new(world, 0);
	struct actor b = actor_new(world, 0);
	uint64_t door = actor_give(b, actor_request(b, 7), a);
	uint64_t sorry = actor_request(a, 9);
	struct call call = call_invoke(door, 0, 0);
	call.entries[0].on_error = (uint16_t)call_slot(&call, sorry);
	assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
	actor_kill(b);
	struct arrival arrival;
	assert_true(actor_arrival(a, &arrival));
	assert_int_equal(arrival.status, FOS_PEER_LOST);
	assert_int_equal(arrival.process, b.process);
	assert_string_equal(arrival.where, "node0/tester");
	assert_int_equal(actor_call(a, &call, NULL), FOS_REVOKED);
	assert_int_equal(actor_finish(a, arrival.id), FOS_OK);
	world_end(world);
}

static void once_is_exact(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor a = actor_new(world, 0);
	struct arrival arrival;
	/* The first consumes it; later ones are dropped. */
	uint64_t once = actor_once(a, 5, 1000);
	struct wire_answer_info info;
	assert_int_equal(actor_info(a, once, &info), FOS_OK);
	assert_true(info.once);
	assert_int_equal(actor_usage(a).once, 1);
	assert_int_equal(actor_invoke(a, once), FOS_OK);
	assert_int_equal(actor_invoke(a, once), FOS_OK);
	assert_true(actor_arrival(a, &arrival));
	assert_int_equal(arrival.status, FOS_OK);
	assert_false(actor_arrival(a, &arrival));
	world_tick(world, 2000);
	assert_false(actor_arrival(a, &arrival));
	assert_int_equal(actor_finish(a, arrival.id), FOS_OK);
	assert_int_equal(actor_usage(a).once, 0);
	/* The deadline. */
	once = actor_once(a, 6, 1000);
	assert_int_equal(core_deadline(a.node->core), world->now + 1000);
	world_tick(world, 999);
	assert_false(actor_arrival(a, &arrival));
	world_tick(world, 1);
	assert_true(actor_arrival(a, &arrival));
	assert_int_equal(arrival.handler, 6);
	assert_int_equal(arrival.status, FOS_TIMED_OUT);
	assert_int_equal(actor_invoke(a, once), FOS_OK);
	assert_false(actor_arrival(a, &arrival));
	/* Revoked: nothing is delivered. */
	once = actor_once(a, 7, 1000);
	assert_int_equal(actor_revoke(a, once), FOS_OK);
	assert_int_equal(actor_revoke(a, once), FOS_REVOKED);
	world_tick(world, 2000);
	assert_false(actor_arrival(a, &arrival));
	assert_int_equal(core_counters(a.node->core)->once_expired, 1);
	world_end(world);
}

/* An answer that is larger than what is kept for it, in a space that is full. */
static void once_too_small(void **state)
{
	(void)state;
	struct core_config config = small();
	config.limits.slots = 32;
	struct world *world = world_new(1, &config);
	struct actor a = actor_new(world, 0), b = actor_new(world, 0);
	uint64_t once = actor_give(a, actor_once(a, 5, 1000000), b);
	uint64_t memory = actor_memory(a, 0, 10, 3);
	uint64_t given = actor_give(a, memory, b);
	while (actor_usage(a).slots + ONCE_SLOTS < 32) {
		struct wire_call_memory_diminish part = {.cap = memory, .length = 1};
		struct call call;
		call_init(&call, WIRE_CALL_TYPE_MEMORY_DIMINISH, &part, sizeof part, false);
		assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
	}
	struct call call = call_invoke(once, 0, 0);
	for (unsigned i = 0; i < ONCE_SLOTS + 1; i++)
		call_cap(&call, 0, i, call_slot(&call, given));
	assert_int_equal(actor_call(b, &call, NULL), FOS_OK);
	struct arrival arrival;
	assert_true(actor_arrival(a, &arrival));
	assert_int_equal(arrival.status, FOS_QUOTA);
	assert_int_equal(arrival.handler, 5);
	assert_int_equal(arrival.cap_count, 0);
	world_end(world);
}

/* Each quota refuses, and gives back what it took. */
static void quotas(void **state)
{
	(void)state;
	struct core_config config = small();
	struct world *world = world_new(1, &config);
	struct actor a = actor_new(world, 0);
	struct call call;
	uint64_t caps[64];
	unsigned count = 0;
	struct wire_call_request_create create = {.once = true, .deadline = 1000000};
	call_init(&call, WIRE_CALL_TYPE_REQUEST_CREATE, &create, sizeof create, false);
	assert_int_equal(actor_call(a, &call, &caps[0]), FOS_OK);
	assert_int_equal(actor_call(a, &call, &caps[1]), FOS_OK);
	assert_int_equal(actor_call(a, &call, NULL), FOS_QUOTA); /* once */
	assert_int_equal(actor_usage(a).objects, 2);
	assert_int_equal(actor_usage(a).slots, 2);
	assert_int_equal(actor_revoke(a, caps[0]), FOS_OK);
	assert_int_equal(actor_revoke(a, caps[1]), FOS_OK);
	create.once = false;
	create.deadline = 0;
	call_init(&call, WIRE_CALL_TYPE_REQUEST_CREATE, &create, sizeof create, false);
	while (actor_call(a, &call, &caps[count]) == FOS_OK)
		count++;
	assert_int_equal(count, 16); /* objects */
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(actor_revoke(a, caps[i]), FOS_OK);
	assert_int_equal(actor_usage(a).objects, 0);
	uint64_t memory = actor_memory(a, 0, 10, 3);
	struct wire_call_memory_diminish part = {.cap = memory, .length = 1};
	call_init(&call, WIRE_CALL_TYPE_MEMORY_DIMINISH, &part, sizeof part, false);
	while (actor_call(a, &call, NULL) == FOS_OK)
		;
	assert_int_equal(actor_usage(a).slots, 64); /* slots */
	world_end(world);
}

static void values_quota(void **state)
{
	(void)state;
	struct core_config config = small();
	config.limits.values_bytes = 40000;
	struct world *world = world_new(1, &config);
	struct actor a = actor_new(world, 0);
	static uint8_t bytes[8000];
	uint64_t door = actor_request(a, 1), refined;
	uint32_t before = actor_usage(a).values_bytes;
	struct call call = call_refinement(door);
	call_imm(&call, 0, 0, bytes, sizeof bytes);
	unsigned count = 0;
	uint64_t last = 0;
	while (actor_call(a, &call, &refined) == FOS_OK) {
		last = refined;
		count++;
	}
	assert_true(count >= 3 && count <= 5);
	assert_int_equal(actor_close(a, last), FOS_OK);
	assert_int_equal(actor_call(a, &call, &refined), FOS_OK);
	assert_int_equal(actor_close(a, refined), FOS_OK);
	assert_true(actor_usage(a).values_bytes > before);
	world_end(world);
}

/* A full inbox parks in order, is fair among sources, and refuses beyond the quota. */
static void full_inbox_is_fair(void **state)
{
	(void)state;
	struct core_config config = small();
	struct world *world = world_new(1, &config);
	struct actor server = actor_new(world, 0), a = actor_new(world, 0), b = actor_new(world, 0);
	uint64_t base = actor_request(server, 3);
	uint64_t from_a = actor_give(server, base, a), from_b = actor_give(server, base, b);
	for (uint8_t i = 0; i < 5; i++) { /* 2 places, 3 parked */
		struct call call = call_invoke(from_a, 0, 1000000);
		uint8_t tag[2] = {'a', i};
		call_imm(&call, 0, 0, tag, 2);
		assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
	}
	assert_int_equal(actor_usage(a).parked, 3);
	assert_int_equal(actor_invoke(a, from_a), FOS_QUOTA);
	for (uint8_t i = 0; i < 2; i++) {
		struct call call = call_invoke(from_b, 0, 1000000);
		uint8_t tag[2] = {'b', i};
		call_imm(&call, 0, 0, tag, 2);
		assert_int_equal(actor_call(b, &call, NULL), FOS_OK);
	}
	char order[16] = "";
	struct arrival arrival;
	uint8_t next_a = 0, next_b = 0;
	unsigned count = 0;
	while (actor_arrival(server, &arrival)) {
		order[count++] = (char)arrival.imm[0];
		uint8_t *next = arrival.imm[0] == 'a' ? &next_a : &next_b;
		assert_int_equal(arrival.imm[1], *next);
		(*next)++;
		assert_int_equal(actor_finish(server, arrival.id), FOS_OK);
	}
	assert_string_equal(order, "aaababa");
	assert_int_equal(actor_usage(a).parked, 0);
	/* Time ends in the park: BUSY. */
	uint64_t sorry = actor_request(a, 9);
	for (unsigned i = 0; i < 3; i++) {
		struct call call = call_invoke(from_a, 0, 500);
		call.entries[0].on_error = (uint16_t)call_slot(&call, sorry);
		assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
	}
	world_tick(world, 500);
	assert_true(actor_arrival(a, &arrival));
	assert_int_equal(arrival.status, FOS_BUSY);
	assert_int_equal(actor_usage(a).parked, 0);
	assert_int_equal(core_counters(a.node->core)->parked_expired, 1);
	/* The provider dies with another waiting: REVOKED. */
	struct call call = call_invoke(from_b, 0, 0);
	uint64_t sorry_b = actor_request(b, 9);
	call.entries[0].on_error = (uint16_t)call_slot(&call, sorry_b);
	assert_int_equal(actor_call(b, &call, NULL), FOS_OK);
	assert_int_equal(actor_usage(b).parked, 1);
	actor_kill(server);
	assert_true(actor_arrival(b, &arrival));
	assert_int_equal(arrival.status, FOS_REVOKED);
	world_end(world);
}

static void local_copies(void **state)
{
	(void)state;
	struct core_config config = small();
	config.slice = 1000;
	struct world *world = world_new(1, &config);
	struct actor a = actor_new(world, 0), b = actor_new(world, 0);
	memset(actor_arena(a), 'x', 5000);
	uint64_t src = actor_memory(a, 0, 5000, FOS_READ);
	uint64_t dst = actor_give(b, actor_memory(b, 100, 6000, FOS_READ | FOS_WRITE), a);
	struct call call = call_copy(dst, src, 0, 0);
	uint64_t cookie = call_submit(a, &call);
	struct wire_answer_completion completion;
	assert_false(call_completed(a, cookie, &completion));
	world_settle(world);
	assert_true(call_completed(a, cookie, &completion));
	assert_int_equal(completion.status, FOS_OK);
	assert_memory_equal(actor_arena(b) + 100, actor_arena(a), 5000);
	assert_int_equal(actor_arena(b)[99], 0);
	assert_int_equal(actor_arena(b)[5100], 0);
	assert_int_equal(core_counters(a.node->core)->copies_local, 1);
	/* Every mistake has its status. */
	uint64_t blind = actor_memory(a, 0, 10, FOS_WRITE), request = actor_request(a, 1);
	uint64_t deaf = actor_memory(a, 0, 10, FOS_READ), tiny = actor_memory(a, 0, 5, 3);
	const struct {
		uint64_t dst, src;
		fos_status status;
	} cases[] = {{dst, blind, FOS_DENIED},       {deaf, src, FOS_DENIED},
				 {tiny, src, FOS_RANGE},         {request, src, FOS_WRONG_TYPE},
				 {dst, request, FOS_WRONG_TYPE}, {0, src, FOS_NO_CAP},
				 {dst, 99, FOS_NO_CAP},          {dst, WIRE_IN_CALL | 1, FOS_NO_CAP}};
	for (size_t i = 0; i < BASE_COUNT(cases); i++) {
		call = call_copy(cases[i].dst, cases[i].src, 0, 0);
		assert_int_equal(actor_call(a, &call, NULL), cases[i].status);
	}
	/* With `then`, in-call names, a part of the source. */
	call = call_copy(0, 0, 0, 0);
	struct wire_call_memory_copy fixed = {.dst = WIRE_IN_CALL | call_part(&call, dst, 10, 50, 0),
										  .src = WIRE_IN_CALL | call_part(&call, src, 5, 7, 0)};
	memcpy(call.fixed, &fixed, sizeof fixed);
	unsigned then = call_refine(&call, request);
	call_imm(&call, then, 0, "landed", 6);
	call_cap(&call, 0, FOS_NEXT, then);
	cookie = call_submit(a, &call);
	world_settle(world);
	assert_true(call_completed(a, cookie, &completion));
	assert_int_equal(completion.status, FOS_OK);
	struct arrival arrival;
	assert_true(actor_arrival(a, &arrival));
	assert_memory_equal(arrival.imm, "landed", 6);
	/* The quota; a copy ended by the destination's death, and by its time. */
	call = call_copy(dst, src, 0, 0);
	world->hold_slices = true;
	uint64_t first = call_submit(a, &call);
	call = call_copy(dst, src, 0, 700);
	uint64_t second = call_submit(a, &call);
	assert_int_equal(actor_call(a, &call, NULL), FOS_QUOTA);
	world_tick(world, 700);
	assert_true(call_completed(a, second, &completion));
	assert_int_equal(completion.status, FOS_TIMED_OUT);
	actor_kill(b);
	assert_true(call_completed(a, first, &completion));
	assert_int_equal(completion.status, FOS_REVOKED);
	assert_int_equal(actor_usage(a).copies, 0);
	world_end(world);
}

/* Revoke returns only when no slice of the object is under way. */
static void revoke_waits_for_slices(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor a = actor_new(world, 0);
	uint64_t src = actor_memory(a, 0, 5000, FOS_READ), dst = actor_memory(a, 8192, 5000, 3);
	world->hold_slices = true;
	struct call call = call_copy(dst, src, 0, 0);
	uint64_t copy = call_submit(a, &call);
	struct wire_call_cap_revoke fixed = {.cap = src};
	call_init(&call, WIRE_CALL_TYPE_CAP_REVOKE, &fixed, sizeof fixed, false);
	uint64_t revoke = call_submit(a, &call);
	struct wire_answer_completion completion;
	assert_true(call_completed(a, copy, &completion));
	assert_int_equal(completion.status, FOS_REVOKED);
	assert_false(call_completed(a, revoke, &completion));
	world->hold_slices = false;
	world_settle(world);
	assert_true(call_completed(a, revoke, &completion));
	assert_int_equal(completion.status, FOS_OK);
	/* Not the maker's. */
	struct actor b = actor_new(world, 0);
	uint64_t given = actor_give(a, dst, b);
	assert_int_equal(actor_revoke(b, given), FOS_DENIED);
	world_end(world);
}

static void channels_are_apart(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor a = actor_new(world, 0), other = actor_other_channel(a);
	uint64_t on_other = actor_request(other, 4), sorry = actor_request(a, 5);
	struct call call = call_invoke(on_other, 0, 0);
	call.entries[0].on_error = (uint16_t)call_slot(&call, sorry);
	assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
	struct arrival arrival;
	assert_true(actor_arrival(other, &arrival));
	world_step(a.node,
			   &(struct core_event){.type = CORE_CHANNEL_GONE, .process = a.process, .channel = 1});
	assert_true(actor_arrival(a, &arrival));
	assert_int_equal(arrival.status, FOS_PEER_LOST);
	assert_int_equal(actor_invoke(a, on_other), FOS_REVOKED);
	world_end(world);
}

/* The quota of depth, and weights that saturate instead of wrapping. */
static void nesting(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor a = actor_new(world, 0);
	uint64_t base = actor_request(a, 1), inner = base;
	for (unsigned depth = 1; depth <= FOS_NEST_MAX; depth++) {
		struct call call = call_refinement(base);
		for (unsigned i = 0; i < 4; i++)
			call_cap(&call, 0, i, call_slot(&call, inner));
		fos_status status = actor_call(a, &call, &inner);
		if (status == FOS_QUOTA) {
			/* 4^depth references are charged, though their values are shared. */
			assert_true(depth > 8);
			world_end(world);
			return;
		}
		assert_int_equal(status, FOS_OK);
	}
	fail();
}

static void nesting_depth(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor a = actor_new(world, 0);
	uint64_t base = actor_request(a, 1), inner = base;
	for (unsigned depth = 1; depth <= FOS_NEST_MAX + 1; depth++) {
		struct call call = call_refinement(base);
		call_cap(&call, 0, 0, call_slot(&call, inner));
		assert_int_equal(actor_call(a, &call, &inner),
						 depth <= FOS_NEST_MAX ? FOS_OK : FOS_INVALID);
	}
	world_end(world);
}

/* What a death sets off does not reach the dying Process itself: the harness refuses it. */
static void dies_with_its_own_on_error(void **state)
{
	(void)state;
	struct core_config config = small();
	struct world *world = world_new(1, &config);
	struct actor server = actor_new(world, 0), a = actor_new(world, 0);
	uint64_t door = actor_give(server, actor_request(server, 1), a);
	uint64_t own = actor_request(a, 2), sorry = actor_request(a, 3);
	for (unsigned i = 0; i < 6; i++) { /* two delivered and one parked of each */
		struct call call = call_invoke(i < 3 ? own : door, 0, 0);
		call.entries[0].on_error = (uint16_t)call_slot(&call, sorry);
		assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
	}
	actor_kill(a);
	world_end(world);
}

/* Whatever bit of whatever call is flipped: one completion, or the Process ends. */
static void every_call_with_a_flipped_bit(void **state)
{
	(void)state;
	static _Alignas(8) uint8_t bytes[WIRE_RECORD_MAX];
	for (unsigned type = 1; type <= WIRE_CALL_TYPE_REGISTRY_SET; type++) {
		for (unsigned bit = 0; bit < 130 * 8; bit += 3) {
			struct world *world = world_new(1, NULL);
			struct actor a = actor_new(world, 0);
			uint64_t cap = actor_request(a, 1), memory = actor_memory(a, 0, 64, 3);
			assert_int_equal(actor_invoke(a, cap), FOS_OK);
			struct arrival arrival;
			assert_true(actor_arrival(a, &arrival));
			bool args = type == WIRE_CALL_TYPE_MEMORY_COPY ||
						(type >= WIRE_CALL_TYPE_REQUEST_REFINE && type <= WIRE_CALL_TYPE_CONTINUE);
			static const size_t sizes[] = {0,  16, 40, 48, 56, 40, 24, 48, 40,
										   32, 24, 24, 24, 24, 32, 24, 32, 24};
			uint64_t fixed[16] = {0, 0, memory, memory, 0, 0, 0};
			if (type >= WIRE_CALL_TYPE_REQUEST_CREATE)
				fixed[2] = cap;
			if (type >= WIRE_CALL_TYPE_CONTINUE && type <= WIRE_CALL_TYPE_FINISH)
				fixed[2] = arrival.id;
			fixed[3] = type == WIRE_CALL_TYPE_CONTINUE ? cap : fixed[3];
			if (type == WIRE_CALL_TYPE_FAIL)
				fixed[3] = FOS_DEVICE;
			if (type == WIRE_CALL_TYPE_REQUEST_INVOKE || type == WIRE_CALL_TYPE_REQUEST_CREATE ||
				type == WIRE_CALL_TYPE_MEMORY_CREATE || type == WIRE_CALL_TYPE_MEMORY_DIMINISH)
				fixed[3] = 0;
			struct call call;
			call_init(&call, (uint16_t)type, fixed, sizes[type], args);
			if (args && type != WIRE_CALL_TYPE_MEMORY_COPY)
				call_imm(&call, 0, 16, "abc", 3);
			size_t size = call_encode(&call, world->cookie, bytes);
			if (bit / 8 < size)
				bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ (1u << bit % 8));
			/* A flipped cookie is another cookie. */
			uint64_t cookie;
			memcpy(&cookie, bytes + offsetof(struct wire_record, cookie), sizeof cookie);
			if (cookie == world->cookie) {
				world_step(a.node, &(struct core_event){.type = CORE_CALL,
														.process = a.process,
														.bytes = bytes,
														.size = size});
				world_settle(world);
				/* The type may be another now: a monitor waits for the end of its slot. */
				world->cookie++;
				if (!a.node->ended_processes)
					assert_int_equal(actor_close(a, cap) | actor_close(a, memory), FOS_OK);
				if (type == WIRE_CALL_TYPE_REGISTRY_GET) /* whatever time it has now */
					world_tick(world, UINT64_MAX / 2);
				if (type != WIRE_CALL_TYPE_REGISTRY_GET || bit < 16 * 8)
					assert_int_equal(world->completed[cookie], !a.node->ended_processes);
			}
			world_end(world);
		}
	}
}

/* The Controller's memory ends: calls are refused with QUOTA, what is there goes on, and what dies
 * gives its room to others. */
static void memory_ends(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.limits.memory = 2 << 20;
	struct world *world = world_new(1, &config);
	struct actor a = actor_new(world, 0), b = actor_new(world, 0);
	uint64_t door = actor_give(b, actor_request(b, 1), a);
	static const uint8_t bytes[6000];
	struct arrival arrival;
	assert_int_equal(actor_invoke(a, door), FOS_OK);
	assert_true(actor_arrival(b, &arrival));
	assert_int_equal(actor_finish(b, arrival.id), FOS_OK);
	struct call call = call_refinement(door);
	call_imm(&call, 0, 0, bytes, sizeof bytes);
	unsigned count = 0;
	while (actor_call(a, &call, NULL) == FOS_OK)
		count++;
	assert_in_range(count, 100, 400);
	assert_true(core_memory_grown(a.node->core) <= 2 << 20);
	assert_int_equal(actor_invoke(a, door), FOS_OK);
	assert_true(actor_arrival(b, &arrival));
	actor_kill(a);
	call = call_refinement(actor_request(b, 2));
	call_imm(&call, 0, 0, bytes, sizeof bytes);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(actor_call(b, &call, NULL), FOS_OK);
	world_end(world);
}

static void malformed_ends_the_process(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor a = actor_new(world, 0);
	_Alignas(8) uint8_t junk[24] = {24};
	world_step(a.node, &(struct core_event){
						   .type = CORE_CALL, .process = a.process, .bytes = junk, .size = 24});
	assert_int_equal(a.node->ended_processes, 1);
	assert_int_equal(core_counters(a.node->core)->protocol_errors, 1);
	world_end(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_and_slots),
		cmocka_unit_test(memory_bounds),
		cmocka_unit_test(diminish_rights),
		cmocka_unit_test(refine_and_deliver),
		cmocka_unit_test(own_memory_comes_home),
		cmocka_unit_test(continue_fail_finish),
		cmocka_unit_test(process_death),
		cmocka_unit_test(once_is_exact),
		cmocka_unit_test(once_too_small),
		cmocka_unit_test(quotas),
		cmocka_unit_test(values_quota),
		cmocka_unit_test(full_inbox_is_fair),
		cmocka_unit_test(local_copies),
		cmocka_unit_test(revoke_waits_for_slices),
		cmocka_unit_test(channels_are_apart),
		cmocka_unit_test(nesting),
		cmocka_unit_test(nesting_depth),
		cmocka_unit_test(dies_with_its_own_on_error),
		cmocka_unit_test(every_call_with_a_flipped_bit),
		cmocka_unit_test(memory_ends),
		cmocka_unit_test(malformed_ends_the_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
