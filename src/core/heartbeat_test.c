/* Heartbeats: when a session ends for want of an echo, and when it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/harness.h"

enum { A, B };

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heartbeats),
		cmocka_unit_test(late_echoes),
		cmocka_unit_test(pauses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
