/* monitor_receive: each reason, here and at another owner, before and after; exactly one end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/core_internal.h"
#include "core/harness.h"

enum { A, B, C };

static void ends(struct actor actor, uint64_t cookie, fos_status status, enum fos_gone gone)
{
	struct wire_answer_monitored end;
	assert_true(monitor_ended(actor, cookie, &end));
	assert_int_equal(end.status, status);
	assert_int_equal(end.gone, gone);
}

static void waits(struct actor actor, uint64_t cookie)
{
	struct wire_answer_monitored end;
	assert_false(monitor_ended(actor, cookie, &end));
}

/* A session ends with monitors of every kind: set, not sent yet, and ended, which its owner was not
 * told yet. Nothing of them is left. */
static void a_session_ends_with_all_kinds(void **state)
{
	(void)state;
	enum { MANY = 200 };
	struct world *world = world_new(2, NULL);
	struct actor maker = actor_new(world, B), watcher = actor_new(world, A);
	uint64_t object = actor_request(maker, 1), slots[MANY], cookies[MANY];
	for (unsigned i = 0; i < MANY; i++)
		slots[i] = actor_give(maker, object, watcher);
	world->hold[A][B][CORE_CONTROL] = true;
	for (unsigned i = 0; i < MANY; i++)
		cookies[i] = actor_monitor(watcher, slots[i], false);
	for (unsigned i = 0; i < MANY; i += 2)
		assert_int_equal(actor_close(watcher, slots[i]), FOS_OK);
	world_cut(world, A, B);
	world_settle(world);
	for (unsigned i = 0; i < MANY; i++) {
		if (i % 2 == 0)
			ends(watcher, cookies[i], FOS_CANCELLED, FOS_GONE_NOT);
		else
			ends(watcher, cookies[i], FOS_PEER_LOST, FOS_GONE_LINK);
	}
	assert_int_equal(actor_usage(watcher).monitors, 0);
	world_end(world);
}

/* What becomes of an object of `maker` (0: here, else at another node) and of its watcher. */
static void fires_revoked(uint32_t node)
{
	struct world *world = world_new(2, NULL);
	struct actor maker = actor_new(world, node), watcher = actor_new(world, A);
	uint64_t memory = actor_memory(maker, 0, 100, 3), request = actor_request(maker, 1);
	uint64_t kept[2] = {actor_give(maker, memory, watcher), actor_give(maker, request, watcher)};
	uint64_t cookies[2] = {actor_monitor(watcher, kept[0], false),
						   actor_monitor(watcher, kept[1], false)};
	world_settle(world);
	assert_int_equal(actor_usage(watcher).monitors, 2);
	waits(watcher, cookies[0]);
	assert_int_equal(actor_revoke(maker, memory), FOS_OK);
	world_settle(world);
	ends(watcher, cookies[0], FOS_REVOKED, FOS_GONE_REVOKED);
	waits(watcher, cookies[1]);
	assert_int_equal(actor_revoke(maker, request), FOS_OK);
	world_settle(world);
	ends(watcher, cookies[1], FOS_REVOKED, FOS_GONE_REVOKED);
	assert_int_equal(actor_usage(watcher).monitors, 0);
	/* It is dead already: why is known as long as something of it is left. */
	uint64_t late = actor_monitor(watcher, kept[0], false);
	world_settle(world);
	ends(watcher, late, FOS_REVOKED, FOS_GONE_REVOKED);
	world_end(world);
}

static void fires_maker(uint32_t node)
{
	struct world *world = world_new(2, NULL);
	struct actor maker = actor_new(world, node), watcher = actor_new(world, A);
	uint64_t memory = actor_give(maker, actor_memory(maker, 0, 100, 3), watcher);
	uint64_t request = actor_give(maker, actor_request(maker, 1), watcher);
	uint64_t cookies[2] = {actor_monitor(watcher, memory, false),
						   actor_monitor(watcher, request, false)};
	world_settle(world);
	actor_kill(maker);
	world_settle(world);
	ends(watcher, cookies[0], FOS_REVOKED, FOS_GONE_MAKER);
	ends(watcher, cookies[1], FOS_REVOKED, FOS_GONE_MAKER);
	world_end(world);
}

static void late_at_remains(uint32_t node)
{
	struct world *world = world_new(2, NULL);
	struct actor maker = actor_new(world, node), watcher = actor_new(world, A);
	uint64_t request = actor_give(maker, actor_request(maker, 1), watcher);
	assert_int_equal(actor_invoke(watcher, request), FOS_OK);
	world_settle(world);
	actor_gone(maker); /* with a delivery unfinished */
	world_settle(world);
	uint64_t late = actor_monitor(watcher, request, false);
	world_settle(world);
	ends(watcher, late, FOS_REVOKED, FOS_GONE_MAKER);
	actor_free(maker);
	world_end(world);
}

static void fires_once_used(uint32_t node)
{
	struct world *world = world_new(2, NULL);
	struct actor maker = actor_new(world, node), watcher = actor_new(world, A);
	uint64_t once = actor_give(maker, actor_once(maker, 1, 0), watcher);
	uint64_t cookie = actor_monitor(watcher, once, false);
	world_settle(world);
	waits(watcher, cookie);
	assert_int_equal(actor_invoke(watcher, once), FOS_OK);
	world_settle(world);
	ends(watcher, cookie, FOS_REVOKED, FOS_GONE_REVOKED);
	world_end(world);
}

static void reasons_here(void **state)
{
	(void)state;
	fires_revoked(A);
	fires_maker(A);
	late_at_remains(A);
	fires_once_used(A);
}

static void reasons_there(void **state)
{
	(void)state;
	fires_revoked(B);
	fires_maker(B);
	late_at_remains(B);
	fires_once_used(B);
}

/* A capability's parent is gone, and so is it. */
static void children_of_the_dead(void **state)
{
	(void)state;
	struct world *world = world_new(3, NULL);
	struct actor maker = actor_new(world, B), between = actor_new(world, C),
				 watcher = actor_new(world, A);
	uint64_t memory = actor_memory(maker, 0, 100, 3);
	uint64_t child = actor_revtree(between, actor_give(maker, memory, between));
	uint64_t got = actor_give(between, child, watcher);
	uint64_t cookie = actor_monitor(watcher, got, false);
	world_settle(world);
	assert_int_equal(actor_revoke(maker, memory), FOS_OK);
	world_settle(world);
	ends(watcher, cookie, FOS_REVOKED, FOS_GONE_REVOKED);
	/* And when its maker dies, at a third node. */
	child = actor_revtree(between, actor_give(maker, actor_memory(maker, 0, 9, 3), between));
	got = actor_give(between, child, watcher);
	cookie = actor_monitor(watcher, got, false);
	world_settle(world);
	actor_kill(between);
	world_settle(world);
	ends(watcher, cookie, FOS_REVOKED, FOS_GONE_MAKER);
	world_end(world);
}

static void link_and_reboot(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor maker = actor_new(world, B), watcher = actor_new(world, A);
	uint64_t request = actor_give(maker, actor_request(maker, 1), watcher);
	uint64_t cookie = actor_monitor(watcher, request, false);
	world_settle(world);
	world_cut(world, A, B);
	world_settle(world);
	ends(watcher, cookie, FOS_PEER_LOST, FOS_GONE_LINK);
	/* There is no session. */
	cookie = actor_monitor(watcher, request, false);
	world_settle(world);
	ends(watcher, cookie, FOS_PEER_LOST, FOS_GONE_LINK);
	/* It may still be valid: the link heals and it is watched again. */
	world_connect(world, A, B);
	cookie = actor_monitor(watcher, request, false);
	world_settle(world);
	waits(watcher, cookie);
	/* The peer says hello with another epoch, before its old session timed out. */
	world_step(&world->nodes[A],
			   &(struct core_event){.type = CORE_SESSION_UP, .node = B + 1, .epoch = 0x5eed});
	ends(watcher, cookie, FOS_STALE, FOS_GONE_CONTROLLER);
	cookie = actor_monitor(watcher, request, false);
	ends(watcher, cookie, FOS_STALE, FOS_GONE_CONTROLLER);
	world_settle(world);
	world_end(world);
}

static void refusals(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.limits.monitors = 3;
	struct world *world = world_new(2, &config);
	struct actor maker = actor_new(world, B), watcher = actor_new(world, A);
	uint64_t request = actor_give(maker, actor_request(maker, 1), watcher);
	uint64_t other = actor_give(maker, actor_request(maker, 1), watcher);
	uint64_t first = actor_monitor(watcher, request, false);
	uint64_t second = actor_monitor(watcher, request, false);
	ends(watcher, second, FOS_OVERLAP, FOS_GONE_NOT);
	second = actor_monitor(watcher, 0x123456789, false);
	ends(watcher, second, FOS_NO_CAP, FOS_GONE_NOT);
	second = actor_monitor(watcher, request, true);
	ends(watcher, second, FOS_WRONG_TYPE, FOS_GONE_NOT);
	actor_monitor(watcher, other, false);
	actor_monitor(watcher, actor_request(watcher, 2), false);
	second = actor_monitor(watcher, actor_request(watcher, 2), false);
	ends(watcher, second, FOS_QUOTA, FOS_GONE_NOT);
	assert_int_equal(actor_usage(watcher).monitors, 3);
	world_settle(world);
	assert_int_equal(actor_close(watcher, request), FOS_OK);
	ends(watcher, first, FOS_CANCELLED, FOS_GONE_NOT);
	assert_int_equal(actor_usage(watcher).monitors, 2);
	/* What is closed can be no slot of a monitor. */
	second = actor_monitor(watcher, request, false);
	ends(watcher, second, FOS_NO_CAP, FOS_GONE_NOT);
	world_end(world);
}

/* The slot ends: with a close, or with the delivery that brought it. */
static void cancelled_with_the_slot(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor maker = actor_new(world, B), watcher = actor_new(world, A);
	uint64_t object = actor_request(maker, 1);
	uint64_t door = actor_introduce(watcher, maker);
	assert_int_equal(actor_pass(maker, door, object), FOS_OK);
	world_settle(world);
	struct arrival arrival;
	assert_true(actor_arrival(watcher, &arrival));
	uint64_t cookie = actor_monitor(watcher, arrival_cap(&arrival, 1), false);
	world_settle(world);
	uint64_t watched = core_memory_used(world->nodes[B].core);
	assert_int_equal(actor_finish(watcher, arrival.id), FOS_OK);
	ends(watcher, cookie, FOS_CANCELLED, FOS_GONE_NOT);
	world_settle(world);
	assert_true(core_memory_used(world->nodes[B].core) < watched); /* UNWATCH has come */
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_UNWATCH), 1);
	assert_int_equal(actor_revoke(maker, object), FOS_OK);
	world_settle(world);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_FIRED), 0);
	world_end(world);
}

/* FIRED and UNWATCH on their way at once; a WATCH that never left. */
static void crossing(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor maker = actor_new(world, B), watcher = actor_new(world, A);
	uint64_t object = actor_request(maker, 1);
	uint64_t got = actor_give(maker, object, watcher);
	uint64_t cookie = actor_monitor(watcher, got, false);
	world_settle(world);
	world->hold[A][B][CORE_CONTROL] = world->hold[B][A][CORE_CONTROL] = true;
	assert_int_equal(actor_revoke(maker, object), FOS_OK);
	assert_int_equal(actor_close(watcher, got), FOS_OK);
	ends(watcher, cookie, FOS_CANCELLED, FOS_GONE_NOT);
	memset(world->hold, 0, sizeof world->hold);
	world_settle(world);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_FIRED), 1);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_UNWATCH), 1);
	assert_int_equal(world->nodes[A].ended_sessions + world->nodes[B].ended_sessions, 0);

	/* More than the credits of the class. */
	enum { MANY = 200 };
	uint64_t slots[MANY], cookies[MANY];
	world->hold[A][B][CORE_CONTROL] = true;
	for (unsigned i = 0; i < MANY; i++) {
		slots[i] = actor_give(watcher, actor_request(watcher, 1), watcher);
		(void)slots[i];
	}
	object = actor_request(maker, 1);
	for (unsigned i = 0; i < MANY; i++)
		slots[i] = actor_give(maker, object, watcher);
	for (unsigned i = 0; i < MANY; i++)
		cookies[i] = actor_monitor(watcher, slots[i], false);
	for (unsigned i = 0; i < MANY; i += 2)
		assert_int_equal(actor_close(watcher, slots[i]), FOS_OK);
	world->hold[A][B][CORE_CONTROL] = false;
	world_settle(world);
	assert_int_equal(actor_revoke(maker, object), FOS_OK);
	world_settle(world);
	for (unsigned i = 0; i < MANY; i++) {
		if (i % 2 == 0)
			ends(watcher, cookies[i], FOS_CANCELLED, FOS_GONE_NOT);
		else
			ends(watcher, cookies[i], FOS_REVOKED, FOS_GONE_REVOKED);
	}
	world_end(world);
}

static unsigned ended_of(struct actor actor, const uint64_t *cookies, bool *ended, unsigned count)
{
	unsigned now = 0;
	struct wire_answer_monitored end;
	for (unsigned i = 0; i < count; i++) {
		if (!ended[i] && monitor_ended(actor, cookies[i], &end)) {
			assert_int_equal(end.gone, FOS_GONE_REVOKED);
			ended[i] = true;
			now++;
		}
	}
	return now;
}

/* One object, a thousand watchers of its own node and of another: no step is long. */
static void a_thousand_watchers(void **state)
{
	(void)state;
	enum { MANY = 1000 };
	struct world *world = world_new(2, NULL);
	struct actor maker = actor_new(world, A), here = actor_new(world, A),
				 there = actor_new(world, B);
	uint64_t object = actor_request(maker, 1);
	static uint64_t near[MANY], far[MANY];
	static bool near_ended[MANY], far_ended[MANY];
	memset(near_ended, 0, sizeof near_ended);
	memset(far_ended, 0, sizeof far_ended);
	uint64_t local = actor_give(maker, object, here), remote = actor_give(maker, object, there);
	struct call copy = call_refinement(local), copy_there = call_refinement(remote);
	for (unsigned i = 0; i < MANY; i++) {
		uint64_t cap;
		assert_int_equal(actor_call(here, &copy, &cap), FOS_OK);
		near[i] = actor_monitor(here, cap, false);
		assert_int_equal(actor_call(there, &copy_there, &cap), FOS_OK);
		far[i] = actor_monitor(there, cap, false);
	}
	world_settle(world);
	world->hold[A][B][CORE_CONTROL] = true;
	assert_int_equal(actor_revoke(maker, object), FOS_OK);
	unsigned steps = 0, all = 0;
	for (; steps < 100 && core_deadline(world->nodes[A].core) <= world->now; steps++) {
		uint32_t before = world->links[A][B][CORE_CONTROL].count;
		world_step(&world->nodes[A], &(struct core_event){.type = CORE_TICK});
		unsigned now = ended_of(here, near, near_ended, MANY);
		all += now;
		assert_true((steps == 0 || now <= NOTICE_PORTION) &&
					world->links[A][B][CORE_CONTROL].count - before <= NOTICE_PORTION + 1);
	}
	assert_int_equal(all, MANY);
	assert_true(steps >= 2 * MANY / NOTICE_PORTION - 2 && steps <= 2 * MANY / NOTICE_PORTION + 2);
	world->hold[A][B][CORE_CONTROL] = false;
	world_settle(world);
	assert_int_equal(ended_of(there, far, far_ended, MANY), MANY);
	world_end(world);
}

/* Watchers that die, by Process or by channel, leave nothing at the owner. */
static void watchers_die(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor maker = actor_new(world, B), watcher = actor_new(world, A),
				 neighbour = actor_new(world, B);
	uint64_t object = actor_request(maker, 1);
	uint64_t near = actor_give(maker, object, neighbour), far = actor_give(maker, object, watcher);
	uint64_t before = core_memory_used(world->nodes[B].core);
	actor_monitor(watcher, far, false);
	uint64_t other =
		actor_monitor(actor_other_channel(watcher), actor_give(maker, object, watcher), false);
	world_settle(world);
	world_step(&world->nodes[A], &(struct core_event){.type = CORE_CHANNEL_GONE,
													  .process = watcher.process,
													  .channel = watcher.channel});
	assert_int_equal(actor_usage(watcher).monitors, 1);
	world_settle(world);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_UNWATCH), 1);
	waits(actor_other_channel(watcher), other);
	actor_monitor(neighbour, near, false);
	actor_kill(watcher);
	world_settle(world);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_UNWATCH), 1);
	actor_kill(neighbour);
	world_settle(world);
	assert_true(core_memory_used(world->nodes[B].core) <= before);
	assert_int_equal(actor_revoke(maker, object), FOS_OK);
	world_settle(world);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_FIRED), 0);
	world_end(world);
}

/* The owner has no memory for one more watcher: the monitor says so. */
static void no_memory_at_the_owner(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.limits.memory = 2 << 20;
	config.limits.monitors = 20000;
	struct world *world = world_new(2, &config);
	struct actor maker = actor_new(world, B), watcher = actor_new(world, A), eater;
	uint64_t got = actor_give(maker, actor_request(maker, 1), watcher);
	eater = actor_new(world, B);
	actor_exhaust(eater);
	struct call copy = call_refinement(got);
	unsigned refused = 0;
	for (unsigned i = 0; i < 2000 && refused == 0; i++) {
		uint64_t cap;
		struct wire_answer_monitored end;
		assert_int_equal(actor_call(watcher, &copy, &cap), FOS_OK);
		uint64_t cookie = actor_monitor(watcher, cap, false);
		world_settle(world);
		if (!monitor_ended(watcher, cookie, &end))
			continue;
		assert_int_equal(end.status, FOS_QUOTA);
		assert_int_equal(end.gone, FOS_GONE_NOT);
		refused++;
	}
	assert_int_equal(refused, 1);
	world_end(world);
}

/* A monitor that is set twice, one that never was. */
static void hostile_peer(void **state)
{
	(void)state;
	for (int fires = 0; fires < 2; fires++) {
		struct world *world = world_new(2, NULL);
		struct actor maker = actor_new(world, A);
		actor_request(maker, 1);
		struct wire_message_watch watch = {
			.header = {.size = sizeof watch, .type = WIRE_MESSAGE_TYPE_WATCH},
			.monitor = 5,
			.epoch = world->nodes[A].config.epoch,
			.serial = 2};
		struct wire_message_fired fired = {
			.header = {.size = sizeof fired, .type = WIRE_MESSAGE_TYPE_FIRED},
			.monitor = 5,
			.gone = FOS_GONE_REVOKED};
		for (uint32_t i = 0; i < 2; i++) {
			watch.header.sequence = i;
			world_step(&world->nodes[A],
					   &(struct core_event){.type = CORE_MESSAGE,
											.node = B + 1,
											.lane = CORE_CONTROL,
											.bytes = fires ? (const uint8_t *)&fired
														   : (const uint8_t *)&watch,
											.size = fires ? sizeof fired : sizeof watch});
		}
		assert_int_equal(world->nodes[A].ended_sessions, 1);
		assert_string_equal(world->nodes[A].reason, fires ? "a monitor that never was fires"
														  : "a monitor that is set twice");
		world_end(world);
	}
}

/* One peer's monitors are bounded: of all its Processes. */
static void too_many_of_one_peer(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor maker = actor_new(world, A);
	actor_request(maker, 1);
	struct wire_message_watch watch = {
		.header = {.size = sizeof watch, .type = WIRE_MESSAGE_TYPE_WATCH},
		.epoch = world->nodes[A].config.epoch,
		.serial = 2};
	for (; watch.monitor <= WATCHERS_FOR_PEER; watch.monitor++) {
		watch.header.sequence = (uint32_t)watch.monitor;
		world_step(&world->nodes[A], &(struct core_event){.type = CORE_MESSAGE,
														  .node = B + 1,
														  .lane = CORE_CONTROL,
														  .bytes = (const uint8_t *)&watch,
														  .size = sizeof watch});
	}
	assert_int_equal(core_counters(world->nodes[A].core)->sent.fired, 1);
	world->hold[A][B][CORE_CONTROL] = true; /* B never asked: it need not hear of it */
	world_cut(world, A, B);
	world_end(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reasons_here),
		cmocka_unit_test(reasons_there),
		cmocka_unit_test(children_of_the_dead),
		cmocka_unit_test(link_and_reboot),
		cmocka_unit_test(refusals),
		cmocka_unit_test(cancelled_with_the_slot),
		cmocka_unit_test(crossing),
		cmocka_unit_test(a_session_ends_with_all_kinds),
		cmocka_unit_test(a_thousand_watchers),
		cmocka_unit_test(watchers_die),
		cmocka_unit_test(no_memory_at_the_owner),
		cmocka_unit_test(hostile_peer),
		cmocka_unit_test(too_many_of_one_peer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
