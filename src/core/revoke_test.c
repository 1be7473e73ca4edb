/* cap_revoke and DRAIN: what is over when they say so, whoever holds what, whatever is under way,
 * and who may. */
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
static const fos_status waits = FOS_STATUS_COUNT;

static uint64_t submit(struct actor who, uint64_t cap, bool drain, uint64_t time)
{
	struct call call = call_revoke(cap, drain, time);
	return call_submit(who, &call);
}

/* The delivery that an invocation makes. */
static uint64_t deliver(struct actor from, uint64_t cap, struct actor to)
{
	struct arrival arrival;
	assert_int_equal(actor_invoke(from, cap), FOS_OK);
	world_settle(from.node->world);
	assert_true(actor_arrival(to, &arrival));
	return arrival.id;
}

/* ------------------------------------------------------------------ who may, and when */

static void statuses_of_a_revocation(void **state)
{
	(void)state;
	struct world *world = world_new(3, NULL);
	struct actor owner = actor_new(world, A), maker = actor_new(world, B),
				 brother = actor_new(world, B), other = actor_new(world, C);
	uint64_t base = actor_request(owner, 7);
	uint64_t request = actor_give(owner, base, maker), child = actor_revtree(maker, request);
	uint64_t near = actor_give(maker, child, brother), far = actor_give(maker, child, other);
	uint64_t home = actor_give(maker, child, owner);
	assert_int_equal(actor_take_back(maker, 12345, false), FOS_NO_CAP);
	assert_int_equal(actor_take_back(maker, request, false), FOS_DENIED);
	assert_int_equal(actor_take_back(maker, request, true), FOS_DENIED);
	assert_int_equal(actor_take_back(brother, near, false), FOS_DENIED);
	assert_int_equal(actor_take_back(other, far, false), FOS_DENIED);
	assert_int_equal(actor_take_back(other, far, true), FOS_DENIED);
	assert_int_equal(actor_take_back(owner, home, false), FOS_DENIED);
	/* Two at once: one is the first. */
	uint64_t one = submit(maker, child, false, 0), two = submit(maker, child, false, 0);
	world_settle(world);
	assert_int_equal(call_status(maker, one), FOS_OK);
	assert_int_equal(call_status(maker, two), FOS_REVOKED);
	assert_int_equal(actor_take_back(maker, child, true), FOS_OK);
	/* The entry is gone: nobody can tell any more whose it was. */
	assert_int_equal(actor_take_back(other, far, false), FOS_REVOKED);
	assert_int_equal(actor_take_back(other, far, true), FOS_OK);
	assert_int_equal(actor_take_back(owner, base, false), FOS_OK);
	assert_int_equal(actor_take_back(owner, base, false), FOS_REVOKED);
	assert_int_equal(actor_take_back(owner, base, true), FOS_OK);
	assert_int_equal(actor_take_back(maker, request, false), FOS_REVOKED);
	world_end(world);
}

/* Who makes and watches without end takes no credit that a revocation needs; of many revocations
 * each Process has one in turn. */
static void revocations_of_others_and_calls_do_not_delay_it(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor owner = actor_new(world, A), flood[2], me = actor_new(world, B);
	uint64_t base = actor_request(owner, 7), children[2][LIMIT_REVOKINGS], last[2] = {0, 0};
	uint64_t requests[2], mine[2], request = actor_give(owner, base, me);
	for (unsigned i = 0; i < 2; i++) {
		flood[i] = actor_new(world, B);
		requests[i] = actor_give(owner, base, flood[i]);
		for (unsigned k = 0; k < LIMIT_REVOKINGS; k++)
			children[i][k] = actor_revtree(flood[i], requests[i]);
		mine[i] = actor_revtree(me, request);
	}
	world->hold[A][B][CORE_CONTROL] = true; /* no credit comes back */
	struct call call = call_revtree(requests[0], false);
	for (unsigned i = 0; i < 1000; i++)
		call_submit(flood[0], &call);
	uint64_t revokes = world_messages(world, WIRE_MESSAGE_TYPE_REVOKE);
	uint64_t first = submit(me, mine[0], false, 0);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_REVOKE), revokes + 1);
	for (unsigned k = 0; k < LIMIT_REVOKINGS; k++) {
		last[0] = submit(flood[0], children[0][k], false, 0);
		last[1] = submit(flood[1], children[1][k], false, 0);
	}
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_REVOKE), revokes + CLEANUP_KEPT);
	uint64_t second = submit(me, mine[1], false, 0);
	world_settle(world);
	/* One more credit for each answer: of the next three one is mine. */
	uint64_t children_made = world_messages(world, WIRE_MESSAGE_TYPE_CHILD);
	for (unsigned i = 0;
		 world_messages(world, WIRE_MESSAGE_TYPE_REVOKE) < revokes + CLEANUP_KEPT + 3; i++) {
		assert_true(i < 1000 && world_deliver(world, A, B, CORE_CONTROL));
	}
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_CHILD), children_made);
	fos_status status;
	while ((status = call_status(me, second)) == waits) {
		assert_true(world_deliver(world, A, B, CORE_CONTROL) ||
					world_deliver(world, B, A, CORE_CONTROL));
		assert_int_equal(call_status(flood[0], last[0]), waits);
		assert_int_equal(call_status(flood[1], last[1]), waits);
	}
	world->hold[A][B][CORE_CONTROL] = false;
	world_settle(world);
	assert_int_equal(call_status(me, first), FOS_OK);
	assert_int_equal(status, FOS_OK);
	assert_int_equal(call_status(flood[0], last[0]), FOS_OK);
	assert_int_equal(call_status(flood[1], last[1]), FOS_OK);
	world_end(world);
}

static void an_owner_out_of_reach_is_unknown_or_stale(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor owner = actor_new(world, A), maker = actor_new(world, B);
	uint64_t base = actor_request(owner, 7), request = actor_give(owner, base, maker);
	uint64_t child = actor_revtree(maker, request);
	/* Sent, and never answered. */
	world->hold[B][A][CORE_CONTROL] = true;
	uint64_t sent = submit(maker, child, false, 0), drains = submit(maker, child, true, 0);
	world_settle(world);
	assert_int_equal(actor_usage(maker).revokings, 2);
	world_cut(world, A, B);
	assert_int_equal(call_status(maker, sent), FOS_OUTCOME_UNKNOWN);
	assert_int_equal(call_status(maker, drains), FOS_OUTCOME_UNKNOWN);
	assert_int_equal(actor_usage(maker).revokings, 0);
	/* Never sent. */
	assert_int_equal(actor_take_back(maker, child, false), FOS_OUTCOME_UNKNOWN);
	world->hold[B][A][CORE_CONTROL] = false;
	world_connect(world, A, B);
	world_settle(world);
	assert_int_equal(actor_take_back(maker, child, false), FOS_REVOKED);
	assert_int_equal(actor_take_back(maker, child, true), FOS_OK);
	child = actor_revtree(maker, request);
	uint64_t delivery = deliver(maker, child, owner);
	(void)delivery;
	drains = submit(maker, child, true, 0);
	world_settle(world);
	assert_int_equal(call_status(maker, drains), waits);
	world_reboot(world, A);
	assert_int_equal(call_status(maker, drains), FOS_STALE);
	assert_int_equal(actor_take_back(maker, child, true), FOS_STALE);
	world_end(world);
}

/* ------------------------------------------------------------------ what it waits for */

static void a_drain_waits_for_deliveries_of_all_below(void **state)
{
	(void)state;
	struct world *world = world_new(3, NULL);
	struct actor owner = actor_new(world, A), maker = actor_new(world, B),
				 holder = actor_new(world, C);
	uint64_t request = actor_give(owner, actor_request(owner, 7), maker);
	uint64_t child = actor_revtree(maker, request), brother = actor_revtree(maker, request);
	uint64_t lent = actor_give(maker, child, holder), below = actor_revtree(holder, lent);
	uint64_t through_child = deliver(holder, lent, owner);
	uint64_t through_below = deliver(holder, below, owner);
	uint64_t through_brother = deliver(maker, brother, owner);
	uint64_t through_base = deliver(maker, request, owner);
	/* Without DRAIN nothing of this matters. */
	assert_int_equal(actor_take_back(holder, below, false), FOS_OK);
	assert_int_equal(actor_take_back(holder, below, true), waits);
	uint64_t drains = submit(maker, child, true, 0);
	world_settle(world);
	assert_int_equal(call_status(maker, drains), waits);
	assert_int_equal(actor_finish(owner, through_child), FOS_OK);
	world_settle(world);
	assert_int_equal(call_status(maker, drains), waits);
	assert_int_equal(actor_usage(maker).revokings, 1);
	assert_int_equal(actor_finish(owner, through_below), FOS_OK);
	world_settle(world);
	assert_int_equal(call_status(maker, drains), FOS_OK);
	assert_int_equal(actor_usage(maker).revokings, 0);
	assert_int_equal(actor_usage(holder).revokings, 0);
	/* What is beside and above goes on. */
	assert_int_equal(actor_take_back(maker, brother, true), waits);
	assert_int_equal(actor_finish(owner, through_brother), FOS_OK);
	assert_int_equal(actor_finish(owner, through_base), FOS_OK);
	world_settle(world);
	assert_int_equal(actor_usage(maker).revokings, 0);
	world_end(world);
}

static void a_drain_has_a_time(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor owner = actor_new(world, A), maker = actor_new(world, B);
	uint64_t base = actor_request(owner, 7);
	uint64_t child = actor_revtree(maker, actor_give(owner, base, maker));
	uint64_t delivery = deliver(maker, child, owner);
	uint64_t drains = submit(maker, child, true, 1000000), own = submit(owner, base, true, 2000000);
	world_settle(world);
	assert_int_equal(call_status(maker, drains), waits);
	world_tick(world, 1000000);
	world_settle(world);
	assert_int_equal(call_status(maker, drains), FOS_TIMED_OUT);
	assert_int_equal(call_status(owner, own), waits);
	world_tick(world, 1000000);
	assert_int_equal(call_status(owner, own), FOS_TIMED_OUT);
	/* Dead, and its quota back, but not drained: again, until it is. */
	assert_int_equal(actor_take_back(maker, child, false), FOS_REVOKED);
	assert_int_equal(actor_usage(maker).objects, 1); /* a door */
	drains = submit(maker, child, true, 0);
	world_settle(world);
	assert_int_equal(call_status(maker, drains), waits);
	assert_int_equal(actor_finish(owner, delivery), FOS_OK);
	world_settle(world);
	assert_int_equal(call_status(maker, drains), FOS_OK);
	assert_int_equal(actor_take_back(owner, base, true), FOS_OK);
	assert_int_equal(world_objects(world, A), 0);
	world_end(world);
}

/* A provider that died has finished nothing until its devices are free. */
static void a_drain_waits_for_a_dead_providers_device(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor disk = actor_new(world, A), near = actor_new(world, A),
				 maker = actor_new(world, B);
	uint64_t base = actor_request(disk, 7);
	uint64_t child = actor_revtree(maker, actor_give(disk, base, maker));
	uint64_t local = actor_revtree(near, actor_give(disk, base, near));
	deliver(maker, child, disk);
	deliver(maker, child, disk);
	deliver(near, local, disk);
	actor_gone(disk);
	world_settle(world);
	uint64_t drains = submit(maker, child, true, 0), here = submit(near, local, true, 0);
	world_settle(world);
	assert_int_equal(actor_take_back(maker, child, false), FOS_REVOKED);
	assert_int_equal(call_status(maker, drains), waits);
	assert_int_equal(call_status(near, here), waits);
	actor_free(disk);
	world_settle(world);
	assert_int_equal(call_status(maker, drains), FOS_OK);
	assert_int_equal(call_status(near, here), FOS_OK);
	assert_int_equal(world_objects(world, A), actor_usage(near).objects);
	/* Nothing open, nothing to wait for, free or not. */
	struct actor idle = actor_new(world, A);
	child = actor_revtree(maker, actor_give(idle, actor_request(idle, 7), maker));
	actor_gone(idle);
	world_settle(world);
	assert_int_equal(actor_take_back(maker, child, true), FOS_OK);
	actor_free(idle);
	actor_free(idle);
	world_end(world);
}

/* Nor has one that only closed the channel of its deliveries. */
static void a_closed_channel_leaves_remains(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor disk = actor_other_channel(actor_new(world, A)), maker = actor_new(world, A);
	uint64_t base = actor_request(disk, 7);
	uint64_t given = actor_give(actor_other_channel(disk), base, maker);
	uint64_t child = actor_revtree(maker, given);
	deliver(maker, child, disk);
	deliver(maker, given, disk);
	uint32_t charged = actor_usage(disk).objects;
	world_step(disk.node, &(struct core_event){
							  .type = CORE_CHANNEL_GONE, .process = disk.process, .channel = 1});
	/* The Request is dead, and stands with its child for what is not known to be over. */
	assert_int_equal(actor_usage(disk).objects, charged - 1 + 2);
	uint64_t drains = submit(maker, child, true, 0);
	world_settle(world);
	assert_int_equal(call_status(maker, drains), waits);
	actor_gone(disk);
	assert_int_equal(call_status(maker, drains), waits);
	actor_free(disk);
	assert_int_equal(call_status(maker, drains), FOS_OK);
	world_end(world);
}

static void a_revocation_waits_for_slices_of_children(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor owner = actor_new(world, A), maker = actor_new(world, B);
	uint64_t src = actor_memory(owner, 0, 5000, 3), dst = actor_memory(owner, 8192, 5000, 3);
	uint64_t lent = actor_give(owner, src, maker), child = actor_revtree(maker, lent);
	uint64_t same = actor_revtree(owner, actor_give(maker, child, owner));
	world->hold_slices = true;
	struct call call = call_copy(actor_give(owner, dst, maker), child, 0, 0);
	uint64_t copy = call_submit(maker, &call);
	world_settle(world);
	call = call_copy(src, same, 0, 0);
	uint64_t inside = call_submit(owner, &call);
	uint64_t revokes = submit(maker, child, false, 0);
	world_settle(world);
	assert_int_equal(call_status(maker, revokes), waits);
	assert_int_equal(call_status(maker, copy), FOS_REVOKED);
	assert_int_equal(call_status(owner, inside), FOS_REVOKED);
	/* Of the whole tree, and also of what stays alive when it is the other side. */
	uint64_t all = submit(owner, src, false, 0);
	assert_int_equal(call_status(owner, all), waits);
	world->hold_slices = false;
	world_settle(world);
	assert_int_equal(call_status(maker, revokes), FOS_OK);
	assert_int_equal(call_status(owner, all), FOS_OK);
	assert_int_equal(actor_take_back(owner, dst, false), FOS_OK);
	assert_int_equal(world_objects(world, A), actor_usage(owner).objects);
	world_end(world);
}

static void see_transfer(void *context, uint64_t token, const struct core_view_transfer *transfer)
{
	(void)token;
	*(struct core_view_transfer *)context = *transfer;
}

/* A copy's record waits for its credits when its source is gone already. */
static void a_source_may_be_gone_before_its_copy(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor a = actor_new(world, A), b = actor_new(world, B);
	uint64_t dst = actor_give(b, actor_memory(b, 0, 100, 3), a), src = actor_memory(a, 0, 100, 3);
	const struct core_visitor visitor = {.transfer = see_transfer};
	struct core_view_transfer seen = {0};
	world->hold[A][B][CORE_BULK] = true;
	struct call call = call_copy(dst, src, 0, 0);
	uint64_t copy = call_submit(a, &call);
	core_inspect(world->nodes[A].core, &visitor, &seen);
	assert_int_equal(seen.length, 100);
	assert_int_not_equal(seen.src.serial, 0);
	world_settle(world);
	assert_int_equal(actor_take_back(a, src, false), FOS_OK);
	seen = (struct core_view_transfer){0};
	core_inspect(world->nodes[A].core, &visitor, &seen);
	assert_int_equal(seen.length, 100);
	assert_true(seen.src.serial == 0 && seen.src.node == 0);
	world->hold[A][B][CORE_BULK] = false;
	world_settle(world);
	assert_int_equal(call_status(a, copy), FOS_OK);
	world_end(world);
}

/* Bytes of a slice that is on its way to a child that was revoked are not placed. */
static void no_byte_lands_through_a_revoked_child(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor owner = actor_new(world, A), maker = actor_new(world, B);
	uint64_t dst = actor_give(owner, actor_memory(owner, 0, 300000, 3), maker);
	uint64_t child = actor_revtree(maker, dst), src = actor_memory(maker, 0, 300000, 3);
	memset(actor_arena(maker), 'x', 300000);
	world->hold[B][A][CORE_BULK] = true;
	struct call call = call_copy(child, src, 0, 0);
	uint64_t copy = call_submit(maker, &call);
	world_settle(world);
	assert_true(world_deliver(world, B, A, CORE_BULK));
	assert_int_equal(actor_arena(owner)[0], 'x');
	memset(actor_arena(owner), 0, 300000);
	assert_int_equal(actor_take_back(maker, child, false), FOS_OK);
	world->hold[B][A][CORE_BULK] = false;
	world_settle(world);
	assert_int_equal(call_status(maker, copy), FOS_REVOKED);
	for (unsigned i = 0; i < 300000; i += 1000)
		assert_int_equal(actor_arena(owner)[i], 0);
	world_end(world);
}

/* ------------------------------------------------------------------ races */

/* Barrelfish's: acknowledged while a copy of the capability is in flight. Here the owner decides,
 * so that what arrives later is rubbish. */
static void a_copy_in_flight_does_not_outlive_a_revocation(void **state)
{
	(void)state;
	struct world *world = world_new(3, NULL);
	struct actor owner = actor_new(world, A), maker = actor_new(world, B),
				 receiver = actor_new(world, C);
	uint64_t door = actor_give(receiver, actor_request(receiver, 0xd00), maker);
	uint64_t child = actor_revtree(maker, actor_give(owner, actor_request(owner, 7), maker));
	world->hold[B][C][CORE_CONTROL] = true;
	assert_int_equal(actor_pass(maker, door, child), FOS_OK);
	assert_int_equal(actor_take_back(maker, child, false), FOS_OK);
	world->hold[B][C][CORE_CONTROL] = false;
	world_settle(world);
	struct arrival arrival;
	assert_true(actor_arrival(receiver, &arrival));
	uint64_t late = arrival_cap(&arrival, 1), sorry = actor_once(receiver, 0x5077, 0);
	assert_int_not_equal(late, 0);
	struct call call = call_invoke(late, 0, 0);
	call.entries[0].on_error = (uint16_t)call_slot(&call, sorry);
	assert_int_equal(actor_call(receiver, &call, NULL), FOS_OK);
	world_settle(world);
	assert_true(actor_arrival(receiver, &arrival));
	assert_int_equal(arrival.status, FOS_REVOKED);
	assert_false(actor_arrival(owner, &arrival));
	call = call_revtree(late, false);
	assert_int_equal(actor_ask(receiver, &call, NULL), FOS_REVOKED);
	world_end(world);
}

/* Whatever order messages come in: after OK nothing more arrives, before it anything may. */
static void invocations_race_with_a_revocation(void **state)
{
	(void)state;
	for (unsigned before = 0; before <= 6; before++) {
		struct world *world = world_new(3, NULL);
		struct actor owner = actor_new(world, A), maker = actor_new(world, B),
					 holder = actor_new(world, C);
		uint64_t child = actor_revtree(maker, actor_give(owner, actor_request(owner, 7), maker));
		uint64_t lent = actor_give(maker, child, holder);
		world_tick(world, 0);
		world_settle(world);
		world->hold[C][A][CORE_CONTROL] = world->hold[B][A][CORE_CONTROL] = true;
		for (unsigned i = 0; i < 6; i++)
			assert_int_equal(actor_invoke(holder, lent), FOS_OK);
		uint64_t revokes = submit(maker, child, false, 0);
		for (unsigned i = 0; i < before; i++)
			assert_true(world_deliver(world, C, A, CORE_CONTROL));
		world->hold[B][A][CORE_CONTROL] = false;
		world_settle(world);
		assert_int_equal(call_status(maker, revokes), FOS_OK);
		world->hold[C][A][CORE_CONTROL] = false;
		world_settle(world);
		struct arrival arrival;
		unsigned count = 0;
		for (; actor_arrival(owner, &arrival); count++)
			assert_int_equal(actor_finish(owner, arrival.id), FOS_OK);
		assert_int_equal(count, before);
		assert_int_equal(actor_take_back(maker, child, true), FOS_OK);
		world_end(world);
	}
}

/* What waits for room at the owner, here and parked at the senders, is not delivered any more. */
static void parked_invocations_do_not_outlive_a_revocation(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.limits.deliveries = 2;
	struct world *world = world_new(2, &config);
	struct actor owner = actor_new(world, A), near = actor_new(world, A),
				 maker = actor_new(world, B);
	uint64_t base = actor_request(owner, 7);
	uint64_t child = actor_revtree(maker, actor_give(owner, base, maker));
	uint64_t lent = actor_give(maker, child, near);
	uint64_t open[2] = {deliver(maker, child, owner), deliver(near, lent, owner)};
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(actor_invoke(maker, child), FOS_OK);
		assert_int_equal(actor_invoke(near, lent), FOS_OK);
	}
	world_settle(world);
	assert_int_equal(actor_usage(maker).parked, 5);
	assert_int_equal(actor_usage(near).parked, 5);
	assert_int_equal(actor_take_back(maker, child, false), FOS_OK);
	assert_int_equal(actor_usage(maker).parked, 0);
	assert_int_equal(actor_usage(near).parked, 0);
	assert_int_equal(actor_finish(owner, open[0]), FOS_OK);
	assert_int_equal(actor_finish(owner, open[1]), FOS_OK);
	world_settle(world);
	struct arrival arrival;
	assert_false(actor_arrival(owner, &arrival));
	deliver(near, actor_give(owner, base, near), owner);
	world_end(world);
}

static void a_maker_drains_in_a_new_session(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor owner = actor_new(world, A), maker = actor_new(world, B),
				 other = actor_new(world, B);
	uint64_t child = actor_revtree(maker, actor_give(owner, actor_request(owner, 7), maker));
	uint64_t lent = actor_give(maker, child, other);
	uint64_t delivery = deliver(maker, child, owner);
	world_rejoin(world, A, B);
	assert_int_equal(actor_take_back(maker, child, false), FOS_REVOKED);
	assert_int_equal(actor_take_back(other, lent, true), FOS_DENIED);
	uint64_t drains = submit(maker, child, true, 0);
	world_settle(world);
	assert_int_equal(call_status(maker, drains), waits);
	/* Once more: what waited there is forgotten with the session. */
	world_rejoin(world, A, B);
	assert_int_equal(call_status(maker, drains), FOS_OUTCOME_UNKNOWN);
	drains = submit(maker, child, true, 0);
	world_settle(world);
	assert_int_equal(actor_finish(owner, delivery), FOS_OK);
	world_settle(world);
	assert_int_equal(call_status(maker, drains), FOS_OK);
	world_end(world);
}

/* ------------------------------------------------------------------ bounds and ends */

static void waiting_revocations_are_bounded(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.limits.revokings = 2;
	struct world *world = world_new(2, &config);
	struct actor owner = actor_new(world, A), maker = actor_new(world, B);
	uint64_t base = actor_request(owner, 7), request = actor_give(owner, base, maker);
	uint64_t child = actor_revtree(maker, request), second = actor_revtree(maker, request);
	uint64_t delivery = deliver(maker, child, owner);
	assert_int_equal(actor_take_back(maker, child, true), waits);
	assert_int_equal(actor_take_back(maker, child, true), waits);
	assert_int_equal(actor_take_back(maker, child, true), FOS_QUOTA);
	assert_int_equal(actor_take_back(maker, second, false), FOS_QUOTA);
	assert_int_equal(actor_take_back(owner, base, true), waits);
	assert_int_equal(actor_take_back(owner, base, true), waits);
	assert_int_equal(actor_take_back(owner, base, true), FOS_QUOTA);
	assert_int_equal(actor_finish(owner, delivery), FOS_OK);
	world_settle(world);
	assert_int_equal(actor_usage(maker).revokings, 0);
	assert_int_equal(actor_usage(owner).revokings, 0);
	world_end(world);
}

/* Whoever asked is dead before it is answered, here and there. */
static void askers_die_while_they_wait(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor owner = actor_new(world, A), maker = actor_new(world, B),
				 near = actor_new(world, A);
	uint64_t base = actor_request(owner, 7);
	uint64_t child = actor_revtree(maker, actor_give(owner, base, maker));
	uint64_t local = actor_revtree(near, actor_give(owner, base, near));
	uint64_t open[2] = {deliver(maker, child, owner), deliver(near, local, owner)};
	submit(maker, child, true, 0);
	submit(near, local, true, 0);
	world_settle(world);
	uint64_t all = submit(owner, base, true, 0);
	actor_kill(maker);
	actor_kill(near);
	world_settle(world);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_REVOKE_DONE), 0);
	assert_int_equal(actor_finish(owner, open[0]), FOS_OK);
	assert_int_equal(call_status(owner, all), waits);
	assert_int_equal(actor_finish(owner, open[1]), FOS_OK);
	assert_int_equal(call_status(owner, all), FOS_OK);
	assert_int_equal(world_objects(world, A), actor_usage(owner).objects);
	world_end(world);
}

/* Revocations of overlapping trees, each by its own maker, all at once. */
static void overlapping_revocations_all_end(void **state)
{
	(void)state;
	struct world *world = world_new(3, NULL);
	struct actor owner = actor_new(world, A), b = actor_new(world, B), c = actor_new(world, C);
	uint64_t base = actor_request(owner, 7), cap_b = actor_give(owner, base, b), cap_c = 0;
	uint64_t of_b[7], of_c[7], waiting_b[7], waiting_c[7];
	for (unsigned i = 0; i < 7; i++) {
		of_b[i] = actor_revtree(b, cap_b);
		cap_c = actor_give(b, of_b[i], c);
		of_c[i] = actor_revtree(c, cap_c);
		cap_b = actor_give(c, of_c[i], b);
	}
	uint64_t delivery = deliver(c, of_c[6], owner);
	world->shuffle = true;
	for (unsigned i = 0; i < 7; i++) {
		waiting_b[6 - i] = submit(b, of_b[6 - i], true, 0);
		waiting_c[i] = submit(c, of_c[i], true, 0);
	}
	uint64_t all = submit(owner, base, true, 0);
	world_settle(world);
	assert_int_equal(call_status(owner, all), waits);
	assert_int_equal(actor_finish(owner, delivery), FOS_OK);
	world_settle(world);
	assert_int_equal(call_status(owner, all), FOS_OK);
	for (unsigned i = 0; i < 7; i++) {
		assert_int_equal(call_status(b, waiting_b[i]), FOS_OK);
		assert_int_equal(call_status(c, waiting_c[i]), FOS_OK);
	}
	assert_int_equal(world_objects(world, A), actor_usage(owner).objects);
	world_end(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statuses_of_a_revocation),
		cmocka_unit_test(revocations_of_others_and_calls_do_not_delay_it),
		cmocka_unit_test(an_owner_out_of_reach_is_unknown_or_stale),
		cmocka_unit_test(a_drain_waits_for_deliveries_of_all_below),
		cmocka_unit_test(a_drain_has_a_time),
		cmocka_unit_test(a_drain_waits_for_a_dead_providers_device),
		cmocka_unit_test(a_closed_channel_leaves_remains),
		cmocka_unit_test(a_revocation_waits_for_slices_of_children),
		cmocka_unit_test(a_source_may_be_gone_before_its_copy),
		cmocka_unit_test(no_byte_lands_through_a_revoked_child),
		cmocka_unit_test(a_copy_in_flight_does_not_outlive_a_revocation),
		cmocka_unit_test(invocations_race_with_a_revocation),
		cmocka_unit_test(parked_invocations_do_not_outlive_a_revocation),
		cmocka_unit_test(a_maker_drains_in_a_new_session),
		cmocka_unit_test(waiting_revocations_are_bounded),
		cmocka_unit_test(askers_die_while_they_wait),
		cmocka_unit_test(overlapping_revocations_all_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
