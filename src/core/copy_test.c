/* Copies between cores: every place of who asks, who reads and who writes; what ends them; turns
 * and credits. */
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

/* The source's owner is lost with a copy that nobody else knows of: before its first slice went,
 * and before it even saw the COPY. Once all has left it, its loss is no news. */
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

/* Of arguments a copy has its continuation alone. */
static void a_copy_binds_nothing_else(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor actor = actor_new(world, A);
	uint64_t src = actor_memory(actor, 0, 100, FOS_READ);
	uint64_t dst = actor_memory(actor, 1000, 100, FOS_WRITE);
	uint64_t then = actor_request(actor, 6);
	for (unsigned what = 0; what < 3; what++) {
		struct call call = call_copy(dst, src, 0, 0);
		if (what == 0)
			call_imm(&call, 0, 0, "bytes", 5);
		else
			call_cap(&call, 0, FOS_NEXT + 1, call_slot(&call, then));
		if (what == 2)
			call_cap(&call, 0, FOS_NEXT, call_slot(&call, then));
		assert_int_equal(actor_call(actor, &call, NULL), FOS_INVALID);
	}
	struct arrival arrival;
	world_settle(world);
	assert_false(actor_arrival(actor, &arrival));
	world_end(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_everywhere),
		cmocka_unit_test(copies_end_badly),
		cmocka_unit_test(copies_that_never_set_out),
		cmocka_unit_test(a_copy_stopped_between_slices),
		cmocka_unit_test(copy_source_owner_lost),
		cmocka_unit_test(copies_take_turns),
		cmocka_unit_test(many_copies),
		cmocka_unit_test(a_copy_binds_nothing_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
