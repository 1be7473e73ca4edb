/* What the simulator found, one test each: short stories of several cores, in which something once
 * went wrong that no other test had thought of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/harness.h"
#include "core/limits.h"

enum { A, B, C };

static struct world *small_world(uint32_t nodes, uint32_t deliveries, uint32_t parked)
{
	struct core_config config;
	core_config_default(&config);
	config.limits.deliveries = deliveries;
	config.limits.parked = parked;
	return world_new(nodes, &config);
}

static void all_sessions_live(const struct world *world)
{
	for (uint32_t i = 0; i < world->count; i++)
		assert_int_equal(world->nodes[i].ended_sessions, 0);
}

static struct arrival expect(struct actor actor, uint64_t handler)
{
	static struct arrival arrival;
	assert_true(actor_arrival(actor, &arrival));
	assert_int_equal(arrival.handler, handler);
	return arrival;
}

/* Credits came back on the bulk lane, before the bounce of what they were for on the other. */
static void bulk_overtakes_a_bounce(void **state)
{
	(void)state;
	struct world *world = small_world(2, 1, 64);
	struct actor client = actor_new(world, A), server = actor_new(world, B);
	uint64_t request = actor_give(server, actor_request(server, 1), client);
	uint64_t gone = actor_request(server, 2);
	uint64_t dead = actor_give(server, gone, client);
	uint64_t there =
		actor_give(client, actor_memory(client, 0, 4096, FOS_READ | FOS_WRITE), server);
	uint64_t here = actor_memory(server, 0, 4096, FOS_READ | FOS_WRITE);
	assert_int_equal(actor_revoke(server, gone), FOS_OK);
	assert_int_equal(actor_invoke(client, request), FOS_OK);
	world_settle(world);
	struct arrival first = expect(server, 1);

	world->hold[B][A][CORE_CONTROL] = true;
	assert_int_equal(actor_invoke(client, request), FOS_OK); /* bounces */
	/* More credits to return than there were invocations before the one that bounced. */
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(actor_invoke(client, dead), FOS_OK);
	world_settle(world);
	struct call copy = call_copy(there, here, 0, 0);
	call_submit(server, &copy);
	world_settle(world); /* the data arrives */
	world->hold[B][A][CORE_CONTROL] = false;
	world_settle(world);
	all_sessions_live(world);
	assert_int_equal(actor_finish(server, first.id), FOS_OK);
	world_settle(world);
	expect(server, 1);
	world_end(world);
}

/* What tells that a tracked child has arrived left before the bounce, with its credit. */
static void word_of_arrival_before_a_bounce(void **state)
{
	(void)state;
	struct world *world = small_world(2, 1, 64);
	struct actor client = actor_new(world, A), server = actor_new(world, B);
	uint64_t request = actor_give(server, actor_request(server, 1), client);
	uint64_t child = actor_tracked(server, actor_memory(server, 0, 64, FOS_READ));
	uint64_t held = actor_give(server, child, client);
	assert_int_equal(actor_invoke(client, request), FOS_OK);
	world_settle(world);
	struct arrival first = expect(server, 1);
	assert_int_equal(actor_pass(client, request, held), FOS_OK);
	world_settle(world);
	all_sessions_live(world);
	assert_int_equal(actor_finish(server, first.id), FOS_OK);
	world_settle(world);
	struct arrival second = expect(server, 1);
	assert_int_equal(second.cap_count, 1);
	world_end(world);
}

/* Parked invocations that cannot leave any more, for they hold a lost tracked child, are asked for:
 * each gives its place to the next, and the last takes the park with it. */
static void retries_that_cannot_leave(void **state)
{
	(void)state;
	struct world *world = small_world(3, 1, 64);
	struct actor client = actor_new(world, A), server = actor_new(world, B),
				 maker = actor_new(world, C);
	uint64_t base = actor_request(server, 1);
	uint64_t request = actor_give(server, base, client);
	uint64_t child = actor_tracked(maker, actor_memory(maker, 0, 64, FOS_READ));
	uint64_t held = actor_give(maker, child, client);
	assert_int_equal(actor_invoke(client, request), FOS_OK);
	world_settle(world);
	expect(server, 1);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(actor_pass(client, request, held), FOS_OK);
	world_settle(world);
	assert_int_equal(actor_usage(client).parked, 3);
	world_cut(world, A, C);
	assert_int_equal(actor_revoke(server, base), FOS_OK); /* they are all to come and be refused */
	world_settle(world);
	assert_int_equal(actor_usage(client).parked, 0);
	world_end(world);
}

static void invoke_numbered(struct actor actor, uint64_t cap, uint32_t number, uint64_t time)
{
	struct call call = call_invoke(cap, 0, time);
	call_imm(&call, 0, 0, &number, sizeof number);
	assert_int_equal(actor_call(actor, &call, NULL), FOS_OK);
}

static uint64_t expect_number(struct actor actor, uint32_t number)
{
	struct arrival arrival = expect(actor, 1);
	assert_memory_equal(arrival.imm, &number, sizeof number);
	return arrival.id;
}

/* A place came when what had bounced was over its time: the one parked behind it took the place,
 * and overtook what was still on its way and then bounced. */
static void parked_one_stays_behind_the_flight(void **state)
{
	(void)state;
	struct world *world = small_world(2, 1, 64);
	struct actor client = actor_new(world, A), server = actor_new(world, B);
	uint64_t request = actor_give(server, actor_request(server, 1), client);
	invoke_numbered(client, request, 1, 0);
	world_settle(world);
	uint64_t first = expect_number(server, 1);
	world->hold[B][A][CORE_CONTROL] = true;
	invoke_numbered(client, request, 2, 1000);
	world_settle(world); /* bounced, but its sender does not know it yet */
	world->hold[A][B][CORE_CONTROL] = true;
	invoke_numbered(client, request, 3, 0); /* on its way */
	world->hold[B][A][CORE_CONTROL] = false;
	world_settle(world);
	invoke_numbered(client, request, 4, 0); /* parked behind 2 */
	world_tick(world, 2000);                /* 2 is over */
	assert_int_equal(actor_finish(server, first), FOS_OK);
	world_settle(world); /* a place, for 4 */
	world->hold[A][B][CORE_CONTROL] = false;
	world_settle(world);
	assert_int_equal(actor_finish(server, expect_number(server, 3)), FOS_OK);
	world_settle(world);
	assert_int_equal(actor_finish(server, expect_number(server, 4)), FOS_OK);
	world_end(world);
}

/* A place that its sender gives back is for all channels of the Process, not for its own alone. */
static void place_given_back_wakes_all(void **state)
{
	(void)state;
	struct world *world = small_world(3, 8, 2);
	struct actor one = actor_new(world, A), server = actor_new(world, B), two = actor_new(world, C);
	struct actor other = actor_other_channel(server);
	uint64_t early = actor_give(server, actor_request(server, 1), one);
	uint64_t late = actor_give(server, actor_request(other, 2), two);
	uint64_t own = actor_request(server, 3);
	assert_int_equal(actor_invoke(server, own), FOS_OK);
	assert_int_equal(actor_invoke(server, own), FOS_OK);
	struct arrival first = expect(server, 3);
	expect(server, 3);
	struct call call = call_invoke(early, 0, 1000);
	assert_int_equal(actor_call(one, &call, NULL), FOS_OK);
	world_settle(world);
	assert_int_equal(actor_invoke(two, late), FOS_OK);
	world_settle(world);
	world_tick(world, 2000); /* the first one's time is over: its place will come back */
	assert_int_equal(actor_finish(server, first.id), FOS_OK);
	world_settle(world);
	expect(other, 2);
	world_end(world);
}

/* on_error as deep as can be was bound once more by the receiver of a COPY. */
static void on_error_of_the_greatest_depth(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor client = actor_new(world, A), server = actor_new(world, B);
	uint64_t src = actor_give(server, actor_memory(server, 0, 64, FOS_READ), client);
	uint64_t dst = actor_memory(client, 0, 64, FOS_WRITE);
	uint64_t then = actor_request(client, 1), deep = actor_request(client, 2);
	for (unsigned i = 0; i < FOS_NEST_MAX; i++) {
		struct call call = call_refinement(then);
		call_cap(&call, 0, 1, call_slot(&call, deep));
		assert_int_equal(actor_call(client, &call, &deep), FOS_OK);
	}
	struct call call = call_copy(dst, src, 0, 0);
	call_cap(&call, 0, FOS_NEXT, call_slot(&call, then));
	call.entries[0].on_error = (uint16_t)call_slot(&call, deep);
	call_submit(client, &call);
	world_settle(world);
	all_sessions_live(world);
	expect(client, 1);
	world_end(world);
}

/* Invocations that came back brought the Process over its quota; its ONCE Request still ends. */
static void once_ends_beyond_the_quota(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.limits.deliveries = 1;
	config.limits.values_bytes = 24 << 10;
	struct world *world = world_new(2, &config);
	struct actor client = actor_new(world, A), server = actor_new(world, B);
	uint64_t request = actor_give(server, actor_request(server, 1), client);
	actor_once(client, 2, 1000);
	static const char bytes[8000];
	world->hold[A][B][CORE_CONTROL] = true;
	for (unsigned i = 0; i < 8; i++) {
		struct call call = call_invoke(request, 0, 0);
		call_imm(&call, 0, 0, bytes, sizeof bytes);
		assert_int_equal(actor_call(client, &call, NULL), FOS_OK);
	}
	world->hold[A][B][CORE_CONTROL] = false;
	world_settle(world);
	assert_true(actor_usage(client).values_bytes > config.limits.values_bytes);
	world_tick(world, 2000);
	struct arrival end = expect(client, 2);
	assert_int_equal(end.status, FOS_TIMED_OUT);
	world_end(world);
}

/* No one would count who holds what the registry gives away. */
static void registry_is_not_tracked(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor actor = actor_new(world, A);
	uint64_t child = actor_tracked(actor, actor_request(actor, 1));
	struct wire_call_registry_set set = {.cap = child};
	struct call call;
	call_init(&call, WIRE_CALL_TYPE_REGISTRY_SET, &set, sizeof set, false);
	assert_int_equal(actor_call(actor, &call, NULL), FOS_INVALID);
	world_end(world);
}

/* A heartbeat that is due in the step of a new session belongs to the old one: to nobody. */
static void nothing_is_sent_to_the_old_session(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct core *core = world->nodes[A].core;
	struct core_event up = {.type = CORE_SESSION_UP, .node = B + 1, .epoch = 0xe0ff};
	world->now += world->nodes[A].config.heartbeat;
	core_step(core, world->now, &up);
	struct core_output out;
	while (core_output(core, &out))
		assert_int_not_equal(out.type, CORE_SEND);
	world->nodes[B].config.epoch = 0xe0ff;
	world_end(world);
}

/* What was parked behind others, unknown to the owner, was not asked for any more once these found
 * their target dead: it waited to the end of its time, and whatever came meanwhile with it. */
static void all_parked_are_refused_by_the_dead(void **state)
{
	(void)state;
	struct world *world = small_world(2, 1, 64);
	struct actor a = actor_new(world, A), b = actor_new(world, B);
	uint64_t request = actor_request(b, 1);
	uint64_t far = actor_give(b, request, a), errors = actor_request(a, 2);
	struct call call = call_invoke(far, 0, 0);
	call.entries[0].on_error = (uint16_t)call_slot(&call, errors);
	/* One is delivered, one comes back; the others join it. */
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
		world_settle(world);
	}
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
	assert_int_equal(actor_revoke(b, request), FOS_OK);
	for (unsigned i = 0; i < 5; i++) {
		world_settle(world);
		struct arrival arrival = expect(a, 2);
		assert_int_equal(arrival.status, FOS_REVOKED);
		actor_finish(a, arrival.id);
	}
	all_sessions_live(world);
	world_end(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bulk_overtakes_a_bounce),
		cmocka_unit_test(word_of_arrival_before_a_bounce),
		cmocka_unit_test(retries_that_cannot_leave),
		cmocka_unit_test(parked_one_stays_behind_the_flight),
		cmocka_unit_test(place_given_back_wakes_all),
		cmocka_unit_test(on_error_of_the_greatest_depth),
		cmocka_unit_test(once_ends_beyond_the_quota),
		cmocka_unit_test(registry_is_not_tracked),
		cmocka_unit_test(nothing_is_sent_to_the_old_session),
		cmocka_unit_test(all_parked_are_refused_by_the_dead),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
