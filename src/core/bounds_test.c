/* Bounds are exact: what just fits is taken, one more is refused, and a refusal takes nothing. And
 * what a core does where its configuration says nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/core_internal.h"
#include "core/harness.h"

enum { A, B, C };

#define PREPARE(call, NAME, name, args, ...)                                  \
	do {                                                                      \
		struct wire_call_##name fixed_ = {__VA_ARGS__};                       \
		call_init(call, WIRE_CALL_TYPE_##NAME, &fixed_, sizeof fixed_, args); \
	} while (0)

static struct core_limits *limits_of(struct actor actor)
{
	return &actor.node->core->config.limits;
}

/* ------------------------------------------------------------------ quotas of a Process */

/* The call takes so much beside what is used: refused with one less left, taken with just that. */
static void takes(struct actor who, const struct call *call, uint32_t *limit, uint32_t used,
				  uint32_t need)
{
	uint32_t all = *limit;
	struct core_usage before = actor_usage(who), after;
	*limit = used + need - 1;
	assert_int_equal(actor_ask(who, call, NULL), FOS_QUOTA);
	after = actor_usage(who);
	assert_memory_equal(&before, &after, sizeof before);
	*limit = used + need;
	assert_int_equal(actor_ask(who, call, NULL), FOS_OK);
	*limit = all;
}

/* Slots, bytes and objects of a call that makes a capability. */
static void costs(struct actor who, const struct call *call, uint32_t objects, uint32_t slots,
				  uint32_t more_bytes)
{
	struct core_usage before = actor_usage(who);
	assert_int_equal(actor_ask(who, call, NULL), FOS_OK);
	struct core_usage after = actor_usage(who);
	assert_int_equal(after.slots, before.slots + 1);
	assert_int_equal(after.objects, before.objects + objects);
	uint32_t bytes = after.values_bytes - before.values_bytes + more_bytes;
	struct core_limits *limits = limits_of(who);
	takes(who, call, &limits->slots, actor_usage(who).slots, slots);
	takes(who, call, &limits->values_bytes, actor_usage(who).values_bytes, bytes);
	if (objects > 0)
		takes(who, call, &limits->objects, actor_usage(who).objects, objects);
}

static void each_capability_costs_what_it_takes(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor owner = actor_new(world, A), who = actor_new(world, B);
	uint64_t far = actor_give(owner, actor_request(owner, 1), who);
	uint64_t near = actor_request(who, 2), memory = actor_memory(who, 0, 100, 3);
	struct call call;
	PREPARE(&call, REQUEST_CREATE, request_create, false, .handler = 3);
	costs(who, &call, 1, 1, 0);
	PREPARE(&call, MEMORY_CREATE, memory_create, false, .length = 5, .rights = 3);
	costs(who, &call, 1, 1, 0);
	PREPARE(&call, MEMORY_DIMINISH, memory_diminish, false, .cap = memory, .length = 5);
	costs(who, &call, 0, 1, 0);
	call = call_refinement(near);
	call_imm(&call, 0, 0, "bytes", 5);
	costs(who, &call, 0, 1, 0);
	call = call_revtree(near, false);
	costs(who, &call, 1, 1, 0);
	call = call_revtree(far, false);
	costs(who, &call, 1, 1, 0);
	PREPARE(&call, REGISTRY_GET, registry_get, false, .time = 0);
	costs(who, &call, 0, 1, 0);
	world_end(world);
}

/* A ONCE Request keeps room for its answer. */
static void room_is_kept_for_once(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor who = actor_new(world, A);
	struct call call;
	PREPARE(&call, REQUEST_CREATE, request_create, false, .once = true, .deadline = 1000);
	struct core_usage before = actor_usage(who);
	uint64_t cap;
	assert_int_equal(actor_call(who, &call, &cap), FOS_OK);
	uint32_t bytes = actor_usage(who).values_bytes - before.values_bytes;
	assert_int_equal(actor_revoke(who, cap), FOS_OK);
	assert_int_equal(actor_close(who, cap), FOS_OK);
	struct core_limits *limits = limits_of(who);
	takes(who, &call, &limits->slots, 0, 1 + ONCE_SLOTS);
	/* What is kept for one is not there for others. */
	takes(who, &call, &limits->slots, ONCE_SLOTS + 1, 1 + ONCE_SLOTS);
	takes(who, &call, &limits->values_bytes, 2 * (ONCE_BYTES + bytes), ONCE_BYTES + bytes);
	takes(who, &call, &limits->once, 3, 1);
	world_end(world);
}

/* Calls that wait. */
static void waits_are_bounded(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor who = actor_new(world, A), server = actor_new(world, A);
	uint64_t memory = actor_memory(who, 0, 100, 3), base = actor_request(server, 1);
	uint64_t door = actor_give(server, base, who);
	struct core_limits *limits = limits_of(who);
	world->hold_slices = true;
	limits->copies = 2;
	struct call call = call_copy(memory, memory, 0, 0);
	uint64_t first = call_submit(who, &call), second = call_submit(who, &call);
	assert_int_equal(actor_call(who, &call, NULL), FOS_QUOTA);
	assert_int_equal(actor_usage(who).copies, 2);
	world->hold_slices = false;
	world_settle(world);
	assert_int_equal(call_status(who, first), FOS_OK);
	assert_int_equal(call_status(who, second), FOS_OK);

	/* Places of the inbox; then invocations, questions and copies wait in one quota. */
	limits->deliveries = 3;
	limits->parked = 5;
	struct arrival arrival;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(actor_invoke(who, door), FOS_OK);
		assert_true(actor_arrival(server, &arrival));
	}
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(actor_invoke(who, door), FOS_OK);
	assert_false(actor_arrival(server, &arrival));
	assert_int_equal(actor_usage(server).deliveries, 3);
	call = call_copy(memory, memory, 0, 0);
	assert_int_equal(actor_ask(who, &call, NULL), FOS_OK);
	struct call ask;
	uint64_t known;
	PREPARE(&ask, REGISTRY_GET, registry_get, false, .time = 0);
	assert_int_equal(actor_call(who, &ask, &known), FOS_OK);
	PREPARE(&ask, REGISTRY_GET, registry_get, false, .other = known, .time = 1000);
	uint64_t waits = call_submit(who, &ask);
	assert_int_equal(actor_usage(who).parked, 5);
	assert_int_equal(actor_call(who, &ask, NULL), FOS_QUOTA);
	assert_int_equal(actor_invoke(who, door), FOS_QUOTA);
	assert_int_equal(actor_ask(who, &call, NULL), FOS_QUOTA);
	world_tick(world, 1000);
	assert_int_equal(call_status(who, waits), FOS_TIMED_OUT);
	assert_int_equal(actor_usage(who).parked, 4);
	assert_int_equal(actor_invoke(who, door), FOS_OK);
	world_end(world);
}

/* ------------------------------------------------------------------ deliveries */

/* To go on with a delivery there is always room to wait, even if nothing else may; for that of a
 * ONCE Request, which may come when its Process has no room, there is not. */
static void a_continuation_has_room(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor who = actor_new(world, A), server = actor_new(world, A);
	uint64_t door = actor_give(server, actor_request(server, 1), who);
	uint64_t mine = actor_request(who, 2), once = actor_once(who, 3, 1000000);
	struct arrival plain, single, arrival;
	assert_int_equal(actor_invoke(who, mine), FOS_OK);
	assert_true(actor_arrival(who, &plain));
	assert_int_equal(actor_invoke(who, once), FOS_OK);
	assert_true(actor_arrival(who, &single));
	limits_of(who)->deliveries = 1;
	limits_of(who)->parked = 4;
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(actor_invoke(who, door), FOS_OK);
	assert_int_equal(actor_invoke(who, door), FOS_QUOTA);
	struct call call = call_continue(single.id, door, false);
	assert_int_equal(actor_call(who, &call, NULL), FOS_QUOTA);
	call = call_continue(plain.id, door, false);
	assert_int_equal(actor_call(who, &call, NULL), FOS_OK);
	assert_int_equal(actor_usage(who).parked, 5);
	for (unsigned i = 0; i < 6; i++) {
		assert_true(actor_arrival(server, &arrival));
		assert_int_equal(actor_finish(server, arrival.id), FOS_OK);
	}
	assert_false(actor_arrival(server, &arrival));
	call = call_continue(single.id, WIRE_IN_CALL, false); /* the call itself is no capability */
	assert_int_equal(actor_call(who, &call, NULL), FOS_NO_CAP);
	assert_int_equal(actor_finish(who, single.id), FOS_OK);
	world_end(world);
}

/* The provider's space takes what comes to the last slot and byte, its on_error included. */
static void a_delivery_needs_its_room(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor server = actor_new(world, A), client = actor_new(world, A);
	uint64_t door = actor_give(server, actor_request(server, 1), client);
	uint64_t memory = actor_memory(client, 0, 100, 3), sorry = actor_request(client, 9);
	struct call call = call_invoke(door, 0, 0);
	for (unsigned i = 0; i < 3; i++)
		call_cap(&call, 0, i, call_slot(&call, memory));
	call.entries[0].on_error = (uint16_t)call_slot(&call, sorry);
	for (unsigned i = 0; i < 40; i++)
		actor_memory(server, 0, 1, 3); /* more than the client has */
	struct core_usage before = actor_usage(server), during;
	assert_int_equal(actor_call(client, &call, NULL), FOS_OK);
	during = actor_usage(server);
	struct arrival arrival;
	assert_true(actor_arrival(server, &arrival));
	assert_int_equal(actor_finish(server, arrival.id), FOS_OK);
	struct core_usage after = actor_usage(server);
	assert_memory_equal(&before, &after, sizeof before);
	struct core_limits *limits = limits_of(server);
	uint32_t *bounds[] = {&limits->slots, &limits->values_bytes};
	const uint32_t needed[] = {during.slots, during.values_bytes};
	for (unsigned i = 0; i < 2; i++) {
		uint32_t all = *bounds[i];
		*bounds[i] = needed[i] - 1;
		assert_int_equal(actor_call(client, &call, NULL), FOS_QUOTA);
		after = actor_usage(server);
		assert_memory_equal(&before, &after, sizeof before);
		*bounds[i] = needed[i];
		assert_int_equal(actor_call(client, &call, NULL), FOS_OK);
		*bounds[i] = all;
		assert_true(actor_arrival(server, &arrival));
		assert_int_equal(actor_finish(server, arrival.id), FOS_OK);
	}
	world_end(world);
}

/* What had to wait finds no room in its turn: its sender is told, and the place goes on, also to
 * another channel, which waited for the Process's room and not for its own. */
static void a_turn_without_room(void **state)
{
	(void)state;
	for (uint32_t from = A; from <= B; from++) {
		struct world *world = world_new(3, NULL);
		struct actor server = actor_new(world, B), other = actor_other_channel(server);
		struct actor one = actor_new(world, from), two = actor_new(world, C);
		uint64_t early = actor_give(server, actor_request(server, 1), one);
		uint64_t late = actor_give(server, actor_request(other, 2), two);
		uint64_t own = actor_request(server, 3), memory = actor_memory(one, 0, 1, 3);
		uint64_t sorry = actor_request(one, 9);
		limits_of(server)->parked = 2;
		for (unsigned i = 0; i < 20; i++)
			actor_memory(server, 0, 1, 3); /* more than who will be told has */
		struct arrival open[2], arrival;
		for (unsigned i = 0; i < 2; i++) {
			assert_int_equal(actor_invoke(server, own), FOS_OK);
			assert_true(actor_arrival(server, &open[i]));
		}
		struct call call = call_invoke(early, 0, 0);
		call_cap(&call, 0, 0, call_slot(&call, memory));
		call.entries[0].on_error = (uint16_t)call_slot(&call, sorry);
		assert_int_equal(actor_call(one, &call, NULL), FOS_OK);
		world_settle(world);
		assert_int_equal(actor_invoke(two, late), FOS_OK);
		world_settle(world);
		uint32_t all = limits_of(server)->slots;
		limits_of(server)->slots = actor_usage(server).slots;
		assert_int_equal(actor_finish(server, open[0].id), FOS_OK);
		world_settle(world);
		assert_true(actor_arrival(one, &arrival));
		assert_int_equal(arrival.handler, 9);
		assert_int_equal(arrival.status, FOS_QUOTA);
		assert_true(actor_arrival(other, &arrival));
		assert_int_equal(arrival.handler, 2);
		assert_int_equal(actor_usage(one).parked, 0);
		for (uint32_t i = 0; i < world->count; i++) /* everybody was told */
			assert_int_equal(core_counters(world->nodes[i].core)->dropped, 0);
		limits_of(server)->slots = all;
		world_end(world);
	}
}

static uint64_t refine(struct actor who, uint64_t cap, uint32_t length)
{
	static const uint8_t bytes[2900];
	struct call call = call_refinement(cap);
	uint64_t out;
	call_imm(&call, 0, 0, bytes, length);
	assert_int_equal(actor_call(who, &call, &out), FOS_OK);
	return out;
}

/* The answer that just fits into what is kept for a ONCE Request comes also into a full space. */
static void the_largest_answer_that_is_kept_for(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor who = actor_new(world, A), server = actor_new(world, A);
	uint64_t plain = actor_request(server, 1);
	uint32_t used = actor_usage(server).values_bytes;
	/* With five plain ones, in what the pool gives for each, ONCE_BYTES. */
	const uint64_t large = refine(server, plain, 2900), middle = refine(server, plain, 400),
				   small = refine(server, plain, 64);
	assert_int_equal(actor_usage(server).values_bytes + (ONCE_SLOTS - 4) * used, ONCE_BYTES);
	struct call call;
	for (int too_much = 0; too_much < 2; too_much++) {
		uint64_t once = actor_give(who, actor_once(who, 5, 1000000), server);
		limits_of(who)->slots = actor_usage(who).slots + ONCE_SLOTS;
		limits_of(who)->values_bytes = actor_usage(who).values_bytes + ONCE_BYTES;
		call = call_invoke(once, 0, 0);
		unsigned entry = call_slot(&call, plain);
		for (unsigned i = 0; i < ONCE_SLOTS - 3; i++)
			call_cap(&call, 0, i, entry);
		call_cap(&call, 0, ONCE_SLOTS - 3, call_slot(&call, middle));
		call_cap(&call, 0, ONCE_SLOTS - 2, call_slot(&call, large));
		call_cap(&call, 0, ONCE_SLOTS - 1, call_slot(&call, too_much ? large : small));
		uint32_t slots = limits_of(who)->slots;
		limits_of(who)->slots = LIMIT_SLOTS;
		assert_int_equal(actor_call(server, &call, NULL), FOS_OK);
		limits_of(who)->slots = slots;
		struct arrival arrival;
		assert_true(actor_arrival(who, &arrival));
		assert_int_equal(arrival.status, too_much ? FOS_QUOTA : FOS_OK);
		assert_int_equal(arrival.cap_count, too_much ? 0 : ONCE_SLOTS);
		limits_of(who)->slots = LIMIT_SLOTS;
		limits_of(who)->values_bytes = LIMIT_VALUES_BYTES;
		assert_int_equal(actor_finish(who, arrival.id), FOS_OK);
	}
	world_end(world);
}

/* What one message can carry bounds also what goes with a copy to its source's owner. */
static void a_copy_with_too_much_to_carry(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor owner = actor_new(world, A), who = actor_new(world, B);
	uint64_t src = actor_give(owner, actor_memory(owner, 0, 100, 3), who);
	uint64_t dst = actor_memory(who, 0, 100, 3), base = actor_request(who, 1), refined, then;
	/* The call itself, dst, src, `then`, what it binds, and one of these binds the others. */
	for (unsigned more = 0; more < 2; more++) {
		struct call call = call_refinement(base);
		for (unsigned i = 0; i < FOS_CAPS_MAX; i++)
			call_cap(&call, 0, i, call_part(&call, dst, i, 1, 0));
		assert_int_equal(actor_call(who, &call, &refined), FOS_OK);
		call = call_refinement(base);
		for (unsigned i = 0; i < FOS_ENTRIES_MAX - 5 - FOS_CAPS_MAX + more; i++)
			call_cap(&call, 0, i, call_part(&call, dst, i, 2, 0));
		call_cap(&call, 0, FOS_CAPS_MAX - 1, call_slot(&call, refined));
		assert_int_equal(actor_call(who, &call, &then), FOS_OK);
		call = call_copy(dst, src, 0, 0);
		call_cap(&call, 0, FOS_NEXT, call_slot(&call, then));
		assert_int_equal(actor_ask(who, &call, NULL), more ? FOS_QUOTA : FOS_OK);
	}
	struct arrival arrival;
	assert_true(actor_arrival(who, &arrival));
	assert_int_equal(arrival.cap_count, FOS_ENTRIES_MAX - 5 - FOS_CAPS_MAX + 1);
	assert_false(actor_arrival(who, &arrival));
	world_end(world);
}

/* ------------------------------------------------------------------ what is kept for a peer */

/* Exceptions that A's invocations make at B wait for credits to C; so many are kept, and while they
 * are A cannot make B keep copies besides. */
static void what_one_peer_makes_us_keep(void **state)
{
	(void)state;
	struct world *world = world_new(3, NULL);
	struct actor a = actor_new(world, A), b = actor_new(world, B), c = actor_new(world, C);
	uint64_t base = actor_request(b, 1), memory = actor_memory(b, 0, 100, 3);
	uint64_t dead = actor_give(b, base, a), far = actor_give(b, memory, a);
	uint64_t sorry = actor_give(c, actor_request(c, 9), a), mine = actor_memory(a, 0, 100, 3);
	assert_int_equal(actor_revoke(b, base), FOS_OK);
	world->hold[B][C][CORE_CONTROL] = true;
	const struct fos_counters *counters = core_counters(b.node->core);
	struct call call = call_invoke(dead, 0, 0);
	call.entries[0].on_error = (uint16_t)call_slot(&call, sorry);
	struct call from = call_copy(mine, far, 0, 0), to = call_copy(far, mine, 0, 0);
	uint32_t all = wire_class_credits(WIRE_CLASS_ERROR) + KEPT_FOR_PEER;
	uint64_t dropped = counters->dropped;
	for (uint32_t i = 1; i <= all; i++) {
		assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
		world_settle(world);
		if (i < all - 1)
			continue;
		fos_status expected = i == all ? FOS_QUOTA : FOS_OK;
		assert_int_equal(actor_ask(a, &from, NULL), expected);
		assert_int_equal(actor_ask(a, &to, NULL), expected);
	}
	assert_int_equal(counters->dropped, dropped);
	assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
	world_settle(world);
	assert_int_equal(counters->dropped, dropped + 1);
	world_end(world);
}

/* Exceptions that come back when so many wait already are dropped; all others arrive. */
static void exceptions_that_come_back(void **state)
{
	(void)state;
	struct world *world = world_new(3, NULL);
	struct actor a = actor_new(world, A), b = actor_new(world, B), c = actor_new(world, C);
	uint64_t base = actor_request(b, 1), dead = actor_give(b, base, a);
	uint64_t sorry = actor_give(c, actor_request(c, 9), a);
	assert_int_equal(actor_revoke(b, base), FOS_OK);
	world->hold[B][C][CORE_CONTROL] = true;
	const struct fos_counters *counters = core_counters(b.node->core);
	uint64_t dropped = counters->dropped;
	struct call call = call_invoke(dead, 0, 0);
	call.entries[0].on_error = (uint16_t)call_slot(&call, sorry);
	uint32_t in_flight = wire_class_credits(WIRE_CLASS_ERROR), places = 10;
	for (uint32_t i = 0; i < in_flight + KEPT_FOR_PEER; i++) {
		assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
		world_settle(world);
	}
	limits_of(c)->deliveries = places;
	world->hold[B][C][CORE_CONTROL] = false;
	world_settle(world);
	assert_int_equal(counters->dropped - dropped, in_flight - places);
	uint32_t arrived = 0;
	for (struct arrival arrival; actor_arrival(c, &arrival); arrived++) {
		assert_int_equal(actor_finish(c, arrival.id), FOS_OK);
		world_settle(world);
	}
	assert_int_equal(arrived, places + KEPT_FOR_PEER);
	world_end(world);
}

/* ------------------------------------------------------------------ without a configuration */

static void what_is_so_by_default(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor a = actor_new(world, A), b = actor_new(world, B);
	uint64_t door = actor_give(a, actor_request(a, 1), b);
	/* Five seconds for an invocation. */
	assert_int_equal(actor_invoke(b, door), FOS_OK);
	world_settle(world);
	struct arrival arrival;
	assert_true(actor_arrival(a, &arrival));
	assert_int_equal(arrival.time_left, 5000000000u);
	/* Slices of 128 KiB. */
	enum { SLICE = 128 << 10 };
	uint64_t slices = world_messages(world, WIRE_MESSAGE_TYPE_DATA);
	uint64_t dst = actor_give(a, actor_memory(a, 0, SLICE + 1, 3), b);
	for (unsigned more = 0; more < 2; more++) {
		struct call call = call_copy(dst, actor_memory(b, 0, SLICE + more, 3), 0, 0);
		assert_int_equal(actor_ask(b, &call, NULL), FOS_OK);
		slices += 1 + more;
		assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_DATA), slices);
	}
	/* A heartbeat each 200 ms, and a second of silence. */
	uint64_t beats = world_messages(world, WIRE_MESSAGE_TYPE_HEARTBEAT);
	world_tick(world, 199999999);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_HEARTBEAT), beats);
	for (unsigned i = 1; i <= 5; i++) {
		world_tick(world, i == 1 ? 1 : 200000000);
		assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_HEARTBEAT), beats + 2 * i);
		assert_int_equal(a.node->ended_sessions + b.node->ended_sessions, 0);
	}
	world_tick(world, 200000000);
	assert_int_equal(a.node->ended_sessions + b.node->ended_sessions, 1);
	world_end(world);
}

/* By more than a heartbeat late, that time does not count against the peer; by just that it does.
 */
static void late_heartbeats(void **state)
{
	(void)state;
	for (unsigned more = 0; more < 2; more++) {
		struct world *world = world_new(2, NULL);
		const struct world_node *node = &world->nodes[A];
		uint64_t late = 2 * node->config.heartbeat + more;
		for (unsigned i = 0; i < 4; i++)
			world_tick(world, late);
		assert_int_equal(node->ended_sessions, 1 - more);
		world_end(world);
	}
}

/* The longest names there are, whole. */
static void names_of_full_length(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	memset(config.node_name, 'x', sizeof config.node_name - 1);
	struct world *world = world_new(1, &config);
	struct actor who = actor_new(world, A);
	struct process *process = core_process_find(who.node->core, who.process);
	memset(process->principal.label, 'y', FOS_LABEL_MAX - 1);
	uint64_t self = actor_request(who, 1), sorry = actor_request(who, 9);
	struct call call = call_invoke(self, 0, 0);
	call.entries[0].on_error = (uint16_t)call_slot(&call, sorry);
	assert_int_equal(actor_call(who, &call, NULL), FOS_OK);
	struct arrival arrival;
	assert_true(actor_arrival(who, &arrival));
	char text[FOS_DETAIL_MAX];
	memset(text, 'z', sizeof text - 1);
	text[sizeof text - 1] = 0;
	assert_int_equal(actor_fail(who, arrival.id, FOS_DEVICE, text), FOS_OK);
	assert_true(actor_arrival(who, &arrival));
	char where[2 * FOS_LABEL_MAX] = "node0";
	memset(where + 5, 'x', FOS_LABEL_MAX - 6);
	where[FOS_LABEL_MAX - 1] = '/';
	memset(where + FOS_LABEL_MAX, 'y', FOS_LABEL_MAX - 1);
	assert_string_equal(arrival.where, where);
	assert_memory_equal(arrival.detail, text, sizeof text);
	/* The shortest, and none: the status in words. */
	static const char *const said[] = {"!", ""};
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(actor_call(who, &call, NULL), FOS_OK);
		assert_true(actor_arrival(who, &arrival));
		assert_int_equal(actor_fail(who, arrival.id, FOS_DEVICE, said[i]), FOS_OK);
		assert_true(actor_arrival(who, &arrival));
		assert_string_equal(arrival.detail, i == 0 ? "!" : fos_status_text(FOS_DEVICE));
	}
	world_end(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_capability_costs_what_it_takes),
		cmocka_unit_test(room_is_kept_for_once),
		cmocka_unit_test(waits_are_bounded),
		cmocka_unit_test(a_continuation_has_room),
		cmocka_unit_test(a_delivery_needs_its_room),
		cmocka_unit_test(a_turn_without_room),
		cmocka_unit_test(the_largest_answer_that_is_kept_for),
		cmocka_unit_test(a_copy_with_too_much_to_carry),
		cmocka_unit_test(what_one_peer_makes_us_keep),
		cmocka_unit_test(exceptions_that_come_back),
		cmocka_unit_test(what_is_so_by_default),
		cmocka_unit_test(late_heartbeats),
		cmocka_unit_test(names_of_full_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
