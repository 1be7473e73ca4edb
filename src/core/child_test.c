/* Revtree children: made here and at other owners, their tree, who they die with, and what they
 * are charged to. */
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

/* Invoked with an on_error of its own; what comes to the provider or back: FOS_OK, or the status
 * of the refusal. */
static fos_status use(struct actor who, uint64_t cap, struct actor provider)
{
	uint64_t sorry = actor_once(who, 0x5077, 0);
	struct call call = call_invoke(cap, 0, 0);
	call.entries[0].on_error = (uint16_t)call_slot(&call, sorry);
	fos_status status = actor_call(who, &call, NULL);
	world_settle(who.node->world);
	struct arrival arrival;
	if (actor_arrival(provider, &arrival)) {
		assert_int_equal(status, FOS_OK);
		assert_int_equal(arrival.status, FOS_OK);
		assert_int_equal(actor_finish(provider, arrival.id), FOS_OK);
	} else if (actor_arrival(who, &arrival)) {
		assert_int_equal(arrival.handler, 0x5077);
		status = arrival.status;
		assert_int_equal(actor_finish(who, arrival.id), FOS_OK);
	} else {
		assert_int_not_equal(status, FOS_OK);
	}
	(void)actor_revoke(who, sorry);
	assert_int_equal(actor_close(who, sorry), FOS_OK);
	world_settle(who.node->world);
	return status;
}

static bool is_revocable(struct actor who, uint64_t cap)
{
	struct wire_answer_info info;
	assert_int_equal(actor_info(who, cap, &info), FOS_OK);
	return info.revocable;
}

/* ------------------------------------------------------------------ the tree */

static void a_holder_revokes_its_own_child_alone(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor owner = actor_new(world, A), maker = actor_new(world, A),
				 other = actor_new(world, A);
	uint64_t request = actor_give(owner, actor_request(owner, 7), maker);
	uint32_t before = actor_usage(maker).objects;
	uint64_t child = actor_revtree(maker, request);
	assert_int_equal(actor_usage(maker).objects, before + 1);
	assert_true(is_revocable(maker, child));
	assert_false(is_revocable(maker, request));
	uint64_t lent = actor_give(maker, child, other);
	assert_false(is_revocable(other, lent));
	assert_int_equal(use(other, lent, owner), FOS_OK);
	assert_int_equal(actor_take_back(other, lent, false), FOS_DENIED);
	assert_int_equal(actor_take_back(owner, actor_give(other, lent, owner), false), FOS_DENIED);
	assert_int_equal(actor_take_back(maker, child, false), FOS_OK);
	assert_int_equal(use(other, lent, owner), FOS_REVOKED);
	assert_int_equal(use(maker, request, owner), FOS_OK);
	assert_int_equal(actor_take_back(maker, child, false), FOS_REVOKED);
	assert_int_equal(actor_take_back(maker, request, false), FOS_DENIED);
	world_end(world);
}

static void a_tree_dies_below_and_has_a_depth(void **state)
{
	(void)state;
	struct world *world = world_new(1, NULL);
	struct actor actor = actor_new(world, A);
	uint64_t caps[FOS_REVTREE_MAX + 1] = {actor_request(actor, 7)};
	for (unsigned i = 1; i <= FOS_REVTREE_MAX; i++)
		caps[i] = actor_revtree(actor, caps[i - 1]);
	struct call deeper = call_revtree(caps[FOS_REVTREE_MAX], false);
	assert_int_equal(actor_call(actor, &deeper, NULL), FOS_INVALID);
	/* Siblings of what dies live on. */
	uint64_t brother = actor_revtree(actor, caps[2]), nephew = actor_revtree(actor, brother);
	assert_int_equal(actor_take_back(actor, caps[3], false), FOS_OK);
	for (unsigned i = 0; i <= FOS_REVTREE_MAX; i++)
		assert_int_equal(use(actor, caps[i], actor), i < 3 ? FOS_OK : FOS_REVOKED);
	assert_int_equal(use(actor, nephew, actor), FOS_OK);
	assert_int_equal(world_objects(world, A), 5);
	assert_int_equal(actor_usage(actor).objects, 5);
	assert_int_equal(actor_take_back(actor, caps[0], false), FOS_OK);
	assert_int_equal(use(actor, nephew, actor), FOS_REVOKED);
	assert_int_equal(actor_usage(actor).objects, 0);
	assert_int_equal(world_objects(world, A), 0);
	world_end(world);
}

static void a_child_has_bounds_and_arguments_of_its_value(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor owner = actor_new(world, A), maker = actor_new(world, B);
	memcpy(actor_arena(owner) + 100, "source bytes", 12);
	uint64_t memory = actor_give(owner, actor_memory(owner, 100, 1000, FOS_READ), maker);
	uint64_t dst = actor_memory(maker, 0, 4096, 3);
	struct wire_call_memory_diminish part = {.cap = memory, .offset = 7, .length = 5};
	struct call call;
	uint64_t narrow = 0;
	call_init(&call, WIRE_CALL_TYPE_MEMORY_DIMINISH, &part, sizeof part, false);
	assert_int_equal(actor_call(maker, &call, &narrow), FOS_OK);
	uint64_t child = actor_revtree(maker, narrow);
	struct wire_answer_info info;
	assert_int_equal(actor_info(maker, child, &info), FOS_OK);
	assert_int_equal(info.length, 5);
	assert_int_equal(info.rights, FOS_READ);
	call = call_copy(dst, child, 0, 0);
	assert_int_equal(actor_ask(maker, &call, NULL), FOS_OK);
	assert_memory_equal(actor_arena(maker), "bytes\0", 6);
	call = call_copy(child, dst, 0, 0);
	assert_int_equal(actor_ask(maker, &call, NULL), FOS_DENIED);
	assert_int_equal(actor_take_back(maker, child, false), FOS_OK);
	call = call_copy(dst, child, 0, 0);
	assert_int_equal(actor_ask(maker, &call, NULL), FOS_REVOKED);
	call = call_copy(dst, narrow, 0, 0);
	assert_int_equal(actor_ask(maker, &call, NULL), FOS_OK);
	/* A refinement and its child in one call. */
	uint64_t request = actor_give(owner, actor_request(owner, 7), maker), refined = 0;
	struct wire_call_request_refine fixed = {.cap = request, .revocable = true};
	call_init(&call, WIRE_CALL_TYPE_REQUEST_REFINE, &fixed, sizeof fixed, true);
	call_imm(&call, 0, 8, "bound", 5);
	uint64_t messages = world_messages(world, 0);
	assert_int_equal(actor_ask(maker, &call, &refined), FOS_OK);
	assert_int_equal(world_messages(world, 0) - messages, 2);
	assert_int_equal(actor_invoke(maker, refined), FOS_OK);
	world_settle(world);
	struct arrival arrival;
	assert_true(actor_arrival(owner, &arrival));
	assert_memory_equal(arrival.imm + 8, "bound", 5);
	assert_int_equal(actor_take_back(maker, refined, false), FOS_OK);
	/* Tracked is a kind of revocable. */
	fixed = (struct wire_call_request_refine){.cap = request, .tracked = true};
	call_init(&call, WIRE_CALL_TYPE_REQUEST_REFINE, &fixed, sizeof fixed, true);
	assert_int_equal(actor_call(maker, &call, NULL), FOS_INVALID);
	world_end(world);
}

static void a_child_of_a_once_request_uses_it_up(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor client = actor_new(world, A), maker = actor_new(world, B);
	uint64_t once = actor_once(client, 7, 1000000000);
	uint64_t lent = actor_give(client, once, maker);
	uint32_t charged = actor_usage(maker).objects;
	uint64_t first = actor_revtree(maker, lent), second = actor_revtree(maker, first);
	uint64_t brother = actor_revtree(maker, lent);
	assert_int_equal(actor_usage(maker).objects, charged + 3);
	assert_int_equal(actor_invoke(maker, second), FOS_OK);
	world_settle(world);
	struct arrival arrival;
	assert_true(actor_arrival(client, &arrival));
	assert_int_equal(arrival.handler, 7);
	/* Late ones are dropped without a word, whichever they came through. */
	assert_int_equal(actor_invoke(maker, lent), FOS_OK);
	assert_int_equal(actor_invoke(maker, first), FOS_OK);
	assert_int_equal(actor_invoke(maker, brother), FOS_OK);
	world_settle(world);
	assert_int_equal(actor_usage(maker).objects, charged);
	assert_int_equal(actor_usage(client).once, 1);
	assert_int_equal(actor_finish(client, arrival.id), FOS_OK);
	assert_false(actor_arrival(client, &arrival));
	assert_int_equal(actor_usage(client).once, 0);
	assert_int_equal(world_objects(world, A), 0);
	/* The deadline takes the children with it. */
	once = actor_once(client, 8, 1000000);
	first = actor_revtree(client, once);
	world_tick(world, 2000000);
	assert_true(actor_arrival(client, &arrival));
	assert_int_equal(arrival.status, FOS_TIMED_OUT);
	assert_int_equal(actor_take_back(client, first, false), FOS_REVOKED);
	/* One that is revoked is not one that was used. */
	once = actor_once(client, 9, 1000000000);
	first = actor_revtree(client, once);
	assert_int_equal(actor_take_back(client, first, false), FOS_OK);
	assert_int_equal(actor_invoke(client, once), FOS_OK);
	assert_true(actor_arrival(client, &arrival));
	assert_int_equal(arrival.handler, 9);
	world_end(world);
}

/* ------------------------------------------------------------------ at other owners */

static void a_remote_child_costs_two_messages_once(void **state)
{
	(void)state;
	struct world *world = world_new(3, NULL);
	struct actor owner = actor_new(world, A), maker = actor_new(world, B),
				 holder = actor_new(world, C);
	uint64_t request = actor_give(owner, actor_request(owner, 7), maker);
	world_tick(world, 0);
	world_settle(world);
	uint64_t messages = world_messages(world, 0);
	uint32_t charged = actor_usage(maker).objects;
	uint64_t child = actor_revtree(maker, request);
	assert_int_equal(world_messages(world, 0) - messages, 2);
	assert_int_equal(actor_usage(maker).objects, charged + 1);
	assert_true(is_revocable(maker, child));
	uint64_t lent = actor_give(maker, child, holder);
	assert_false(is_revocable(holder, lent));
	assert_int_equal(use(holder, lent, owner), FOS_OK);
	assert_int_equal(use(maker, child, owner), FOS_OK);
	messages = world_messages(world, 0);
	assert_int_equal(actor_take_back(maker, child, false), FOS_OK);
	assert_int_equal(world_messages(world, 0) - messages, 2);
	assert_int_equal(actor_usage(maker).objects, charged);
	assert_false(is_revocable(maker, child));
	assert_int_equal(use(holder, lent, owner), FOS_REVOKED);
	assert_int_equal(use(maker, request, owner), FOS_OK);
	world_end(world);
}

/* A: base. B: a child of it. C: a child of B's. B: a child of C's. */
static void a_tree_of_many_makers_dies_together(void **state)
{
	(void)state;
	struct world *world = world_new(3, NULL);
	struct actor owner = actor_new(world, A), b = actor_new(world, B), c = actor_new(world, C);
	uint64_t base = actor_request(owner, 7);
	uint64_t one = actor_revtree(b, actor_give(owner, base, b));
	uint64_t two = actor_revtree(c, actor_give(b, one, c));
	uint64_t three = actor_revtree(b, actor_give(c, two, b));
	uint64_t last = actor_revtree(owner, actor_give(b, three, owner));
	assert_int_equal(use(owner, last, owner), FOS_OK);
	uint32_t of_b = actor_usage(b).objects, of_c = actor_usage(c).objects;
	uint64_t told = world_messages(world, WIRE_MESSAGE_TYPE_CHILD_GONE);
	assert_int_equal(actor_take_back(c, two, false), FOS_OK);
	assert_int_equal(actor_usage(b).objects, of_b - 1);
	assert_int_equal(actor_usage(c).objects, of_c - 1);
	/* B is told of the one that was not its own doing; C had its answer. */
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_CHILD_GONE) - told, 1);
	assert_int_equal(use(b, three, owner), FOS_REVOKED);
	assert_int_equal(use(owner, last, owner), FOS_REVOKED);
	assert_int_equal(use(b, one, owner), FOS_OK);
	assert_int_equal(actor_take_back(owner, base, false), FOS_OK);
	world_settle(world);
	assert_int_equal(actor_usage(b).objects, of_b - 2);
	assert_int_equal(use(b, one, owner), FOS_REVOKED);
	assert_int_equal(actor_take_back(b, one, false), FOS_REVOKED);
	world_end(world);
}

static void a_dead_makers_children_die_here_and_there(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor owner = actor_new(world, A), here = actor_new(world, A),
				 there = actor_new(world, B), stays = actor_new(world, B);
	uint64_t base = actor_request(owner, 7);
	uint64_t one = actor_revtree(here, actor_give(owner, base, here));
	uint64_t two = actor_revtree(there, actor_give(owner, base, there));
	uint64_t kept = actor_revtree(stays, actor_give(owner, base, stays));
	uint64_t below = actor_revtree(stays, actor_give(there, two, stays));
	uint64_t lent = actor_give(here, one, stays), other = actor_give(there, two, owner);
	assert_int_equal(use(stays, lent, owner), FOS_OK);
	actor_kill(here);
	assert_int_equal(use(stays, lent, owner), FOS_REVOKED);
	actor_kill(there);
	world_settle(world);
	assert_int_equal(use(owner, other, owner), FOS_REVOKED);
	assert_int_equal(use(stays, below, owner), FOS_REVOKED);
	assert_int_equal(use(stays, kept, owner), FOS_OK);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_PROCESS_GONE), 1);
	/* Of those who live one lost a child; the dead need not be told. */
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_CHILD_GONE), 1);
	/* The provider's death is the death of all. */
	actor_kill(owner);
	world_settle(world);
	assert_int_equal(world_objects(world, A), 0);
	world_end(world);
}

/* The death must not overtake the CHILD that waits for a credit, nor one that is under way. */
static void a_death_comes_behind_queued_children(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor owner = actor_new(world, A), maker = actor_new(world, B);
	uint64_t request = actor_give(owner, actor_request(owner, 7), maker);
	uint32_t before = world_objects(world, A);
	world->hold[B][A][CORE_CONTROL] = true;
	struct call call = call_revtree(request, false);
	uint32_t credits = wire_class_credits(WIRE_CLASS_CLEANUP) - CLEANUP_KEPT;
	for (uint32_t i = 0; i < credits + 10; i++)
		call_submit(maker, &call);
	assert_int_equal(actor_usage(maker).objects, credits + 10 + 1);
	actor_kill(maker);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_CHILD), credits);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_PROCESS_GONE), 0);
	world->hold[B][A][CORE_CONTROL] = false;
	/* The children are made, and die. */
	for (uint32_t i = 0; i < credits; i++)
		assert_true(world_deliver(world, B, A, CORE_CONTROL));
	assert_int_equal(world_objects(world, A), before + credits);
	world_settle(world);
	assert_int_equal(world_objects(world, A), before);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_CHILD), credits);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_PROCESS_GONE), 1);
	world_end(world);
}

/* Who makes and watches without end delays nobody else by more than one of his own. */
static void each_process_has_one_in_turn(void **state)
{
	(void)state;
	enum { MANY = 1000 };
	struct world *world = world_new(2, NULL);
	struct actor owner = actor_new(world, A), flood = actor_new(world, B), me = actor_new(world, B);
	uint64_t base = actor_request(owner, 7);
	struct call many = call_revtree(actor_give(owner, base, flood), false);
	uint64_t mine = actor_give(owner, base, me), last = 0;
	struct call one = call_revtree(mine, false);
	for (unsigned i = 0; i < MANY; i++)
		last = call_submit(flood, &many);
	uint64_t before = world_messages(world, WIRE_MESSAGE_TYPE_CHILD);
	uint64_t child = call_submit(me, &one), monitor = actor_monitor(me, mine, false);
	while (call_status(me, child) == FOS_STATUS_COUNT ||
		   world_messages(world, WIRE_MESSAGE_TYPE_WATCH) == 0) {
		assert_true(world_deliver(world, B, A, CORE_CONTROL));
		world_deliver(world, A, B, CORE_CONTROL);
		assert_int_equal(call_status(flood, last), FOS_STATUS_COUNT);
	}
	assert_true(world_messages(world, WIRE_MESSAGE_TYPE_CHILD) - before <
				2 * wire_class_credits(WIRE_CLASS_CLEANUP));
	world_settle(world);
	assert_int_equal(call_status(flood, last), FOS_OK);
	assert_int_equal(actor_revoke(owner, base), FOS_OK);
	world_settle(world);
	struct wire_answer_monitored end;
	assert_true(monitor_ended(me, monitor, &end));
	world_end(world);
}

static void children_end_with_the_session(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor owner = actor_new(world, A), maker = actor_new(world, B);
	uint64_t request = actor_give(owner, actor_request(owner, 7), maker);
	uint64_t child = actor_revtree(maker, request);
	uint64_t back = actor_give(maker, child, owner);
	uint64_t deep = actor_revtree(owner, back);
	uint32_t doors = actor_usage(maker).objects - 1;
	world->hold[B][A][CORE_CONTROL] = true;
	struct call call = call_revtree(request, false);
	uint64_t pending = call_submit(maker, &call);
	world_cut(world, A, B);
	assert_int_equal(call_status(maker, pending), FOS_PEER_LOST);
	assert_int_equal(actor_usage(maker).objects, doors);
	assert_int_equal(use(owner, deep, owner), FOS_REVOKED);
	assert_int_equal(actor_call(maker, &call, NULL), FOS_PEER_LOST);
	world->hold[B][A][CORE_CONTROL] = false;
	world_connect(world, A, B);
	world_settle(world);
	assert_int_equal(use(maker, child, owner), FOS_REVOKED);
	assert_int_equal(use(maker, request, owner), FOS_OK);
	/* A peer that is another one now. */
	child = actor_revtree(maker, request);
	world->hold[B][A][CORE_CONTROL] = true;
	pending = call_submit(maker, &call);
	world_reboot(world, A);
	world->hold[B][A][CORE_CONTROL] = false;
	world_settle(world);
	assert_int_equal(call_status(maker, pending), FOS_STALE);
	assert_int_equal(actor_usage(maker).objects, doors);
	assert_int_equal(actor_call(maker, &call, NULL), FOS_STALE);
	assert_int_equal(actor_take_back(maker, child, false), FOS_STALE);
	world_end(world);
}

/* ------------------------------------------------------------------ quotas */

static void children_are_charged_to_their_maker(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.limits.objects = 6;
	struct world *world = world_new(2, &config);
	struct actor owner = actor_new(world, A), x = actor_new(world, B), y = actor_new(world, B);
	uint64_t base = actor_request(owner, 7);
	uint64_t of_x = actor_give(owner, base, x), of_y = actor_give(owner, base, y);
	struct call call = call_revtree(base, false);
	for (unsigned i = actor_usage(owner).objects; i < 6; i++)
		assert_int_equal(actor_call(owner, &call, NULL), FOS_OK);
	assert_int_equal(actor_call(owner, &call, NULL), FOS_QUOTA);
	/* One Process's own bound, and what the owner allows one session. */
	uint64_t caps[5];
	for (unsigned i = 0; i < 5; i++)
		caps[i] = actor_revtree(x, of_x);
	call = call_revtree(of_x, false);
	assert_int_equal(actor_call(x, &call, NULL), FOS_QUOTA);
	actor_revtree(y, of_y);
	call = call_revtree(of_y, false);
	assert_int_equal(actor_ask(y, &call, NULL), FOS_QUOTA);
	assert_int_equal(actor_usage(y).objects, 2);
	assert_int_equal(actor_take_back(x, caps[0], false), FOS_OK);
	assert_int_equal(actor_usage(x).objects, 5);
	uint64_t more = actor_revtree(y, of_y);
	assert_int_equal(actor_take_back(y, more, false), FOS_OK);
	world_end(world);
}

/* Nobody takes the child that was made: it is taken back. */
static void an_unwanted_child_is_taken_back(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.limits.slots = 8;
	struct world *world = world_new(2, &config);
	struct actor owner = actor_new(world, A), maker = actor_new(world, B);
	uint64_t request = actor_give(owner, actor_request(owner, 7), maker);
	uint32_t before = world_objects(world, A), charged = actor_usage(maker).objects;
	struct call call = call_revtree(request, false);
	uint64_t pending = call_submit(maker, &call);
	for (; actor_usage(maker).slots < 8; charged++)
		actor_memory(maker, 0, 64, 3);
	uint32_t bytes = actor_usage(maker).values_bytes;
	world_settle(world);
	assert_int_equal(call_status(maker, pending), FOS_QUOTA);
	assert_int_equal(world_objects(world, A), before);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_REVOKE), 1);
	assert_true(actor_usage(maker).values_bytes < bytes);
	assert_int_equal(actor_usage(maker).objects, charged);
	/* The channel that asked is closed meanwhile. */
	struct actor second = actor_new(world, B);
	uint64_t again = actor_give(owner, actor_request(owner, 8), second);
	charged = actor_usage(second).objects;
	before = world_objects(world, A);
	call = call_revtree(again, false);
	call_submit(actor_other_channel(second), &call);
	struct core_event closed = {.type = CORE_CHANNEL_GONE, .process = second.process, .channel = 1};
	world_step(second.node, &closed);
	assert_true(world_deliver(world, B, A, CORE_CONTROL));
	assert_int_equal(world_objects(world, A), before + 1);
	/* It dies with its provider before it is taken back: told, then asked for in vain. */
	world->hold[B][A][CORE_CONTROL] = true;
	world_settle(world);
	assert_int_equal(actor_usage(second).objects, charged + 1);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_REVOKE), 2);
	actor_kill(owner);
	world_settle(world);
	assert_int_equal(actor_usage(second).objects, charged);
	world->hold[B][A][CORE_CONTROL] = false;
	world_settle(world);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_REVOKE_DONE), 2);
	assert_int_equal(world_objects(world, A), 0);
	world_end(world);
}

/* One death, many to tell: in portions, and nothing is left. */
static void many_deaths_are_told_in_portions(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor owner = actor_new(world, A), maker = actor_new(world, B);
	uint64_t base = actor_request(owner, 7), request = actor_give(owner, base, maker);
	uint32_t charged = actor_usage(maker).objects;
	for (unsigned i = 0; i < 300; i++)
		actor_revtree(maker, request);
	uint64_t told = world_messages(world, WIRE_MESSAGE_TYPE_CHILD_GONE);
	assert_int_equal(actor_revoke(owner, base), FOS_OK);
	uint64_t first = world_messages(world, WIRE_MESSAGE_TYPE_CHILD_GONE) - told;
	assert_in_range(first, 1, 64);
	assert_int_equal(core_deadline(world->nodes[A].core), world->now);
	world_settle(world);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_CHILD_GONE) - told, 300);
	assert_int_equal(actor_usage(maker).objects, charged);
	assert_int_equal(world_objects(world, A), 0);
	world_end(world);
}

/* The session ends between two portions; the next one is told nothing of it. */
static void a_session_ends_between_portions(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor owner = actor_new(world, A), maker = actor_new(world, B);
	uint64_t base = actor_request(owner, 7), request = actor_give(owner, base, maker);
	for (unsigned i = 0; i < 300; i++)
		actor_revtree(maker, request);
	assert_int_equal(actor_revoke(owner, base), FOS_OK);
	assert_int_equal(core_deadline(world->nodes[A].core), world->now);
	uint64_t told = world_messages(world, WIRE_MESSAGE_TYPE_CHILD_GONE);
	/* In the same step the next session begins, which may lie where the old one lay. */
	struct core_event again = {
		.type = CORE_SESSION_UP, .node = B + 1, .epoch = world->nodes[B].config.epoch};
	world_step(&world->nodes[A], &again);
	assert_true(core_deadline(world->nodes[A].core) > world->now);
	world_cut(world, A, B);
	assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_CHILD_GONE), told);
	assert_int_equal(world_objects(world, A), 0);
	world_end(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_holder_revokes_its_own_child_alone),
		cmocka_unit_test(a_tree_dies_below_and_has_a_depth),
		cmocka_unit_test(a_child_has_bounds_and_arguments_of_its_value),
		cmocka_unit_test(a_child_of_a_once_request_uses_it_up),
		cmocka_unit_test(a_remote_child_costs_two_messages_once),
		cmocka_unit_test(a_tree_of_many_makers_dies_together),
		cmocka_unit_test(a_dead_makers_children_die_here_and_there),
		cmocka_unit_test(a_death_comes_behind_queued_children),
		cmocka_unit_test(each_process_has_one_in_turn),
		cmocka_unit_test(children_end_with_the_session),
		cmocka_unit_test(children_are_charged_to_their_maker),
		cmocka_unit_test(an_unwanted_child_is_taken_back),
		cmocka_unit_test(many_deaths_are_told_in_portions),
		cmocka_unit_test(a_session_ends_between_portions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
