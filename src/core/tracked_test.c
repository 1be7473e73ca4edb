/* Tracked children: who holds one, by every way a reference can be held, and with messages held
 * back so that each race of tracked.c occurs. The firing is exactly one, never too early, and comes
 * at the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/core_internal.h"
#include "core/harness.h"

enum { A, B, C, D };

/* The maker's tracked child of an object of `owner`, with the monitor, and who may get it. */
struct stage {
	struct world *world;
	struct actor owner, maker, c, d;
	uint64_t object;     /* owner's slot: the Request that the child is of */
	uint64_t child;      /* maker's slot */
	uint64_t cookie;     /* of the monitor */
	uint64_t c_door;     /* maker's slot: invoked with a capability, c gets it */
	uint64_t d_door;     /* c's slot: d gets it */
	uint64_t home_door;  /* d's slot: the maker gets it */
	uint64_t maker_to_d; /* maker's slot: d gets it */
};

static void waits(const struct stage *stage)
{
	struct wire_answer_monitored end;
	assert_false(monitor_ended(stage->maker, stage->cookie, &end));
}

static void ends(const struct stage *stage, fos_status status, enum fos_gone gone)
{
	struct wire_answer_monitored end;
	assert_true(monitor_ended(stage->maker, stage->cookie, &end));
	assert_int_equal(end.status, status);
	assert_int_equal(end.gone, gone);
}

static struct stage on_stage(uint32_t owner, uint32_t maker, uint32_t c, uint32_t d,
							 const struct core_config *config)
{
	struct world *world = world_new(4, config);
	struct stage stage = {.world = world,
						  .owner = actor_new(world, owner),
						  .maker = actor_new(world, maker),
						  .c = actor_new(world, c),
						  .d = actor_new(world, d)};
	stage.object = actor_request(stage.owner, 1);
	stage.c_door = actor_give(stage.c, actor_request(stage.c, 2), stage.maker);
	stage.d_door = actor_give(stage.d, actor_request(stage.d, 3), stage.c);
	stage.maker_to_d = actor_give(stage.d, actor_request(stage.d, 3), stage.maker);
	stage.home_door = actor_give(stage.maker, actor_request(stage.maker, 4), stage.d);
	uint64_t lent = actor_give(stage.owner, stage.object, stage.maker);
	stage.child = actor_tracked(stage.maker, lent);
	stage.cookie = actor_monitor(stage.maker, stage.child, true);
	world_settle(world);
	waits(&stage);
	return stage;
}

static fos_status pass_or_tell(struct actor from, uint64_t door, uint64_t cap, uint64_t on_error)
{
	struct call call = call_invoke(door, 0, 0);
	call_cap(&call, 0, 1, call_slot(&call, cap));
	call.entries[0].on_error = (uint16_t)call_slot(&call, on_error);
	return actor_call(from, &call, NULL);
}

static void pass(struct actor from, uint64_t door, uint64_t cap)
{
	assert_int_equal(actor_pass(from, door, cap), FOS_OK);
}

static void drop(struct actor actor, uint64_t cap)
{
	assert_int_equal(actor_close(actor, cap), FOS_OK);
}

static void hold(struct world *world, uint32_t from, uint32_t to)
{
	world->hold[from][to][CORE_CONTROL] = true;
}

static void let_go(struct world *world, uint32_t from, uint32_t to)
{
	world->hold[from][to][CORE_CONTROL] = false;
	world_settle(world);
}

/* It fires now, the child is dead, and everything is as if it had not been. */
static void fires(struct stage *stage)
{
	world_settle(stage->world);
	/* Uses are over when their credits are back. */
	world_tick(stage->world, stage->world->nodes[A].config.heartbeat);
	world_settle(stage->world);
	ends(stage, FOS_OK, FOS_GONE_UNHELD);
	assert_int_equal(actor_usage(stage->maker).monitors, 0);
	uint64_t after = actor_monitor(stage->maker, stage->child, false);
	world_settle(stage->world);
	struct wire_answer_monitored end;
	assert_true(monitor_ended(stage->maker, after, &end));
	assert_int_equal(end.gone, FOS_GONE_REVOKED);
	world_settle(stage->world);
	for (uint32_t i = 0; i < WORLD_NODES; i++)
		assert_int_equal(stage->world->nodes[i].ended_sessions, 0);
}

/* ------------------------------------------------------------------ ways to hold */

/* Owner, maker, holders, wherever they are. */
static void anywhere(void **state)
{
	(void)state;
	for (uint32_t where = 0; where < 256; where++) {
		struct stage stage = on_stage(where % 4, where / 4 % 4, where / 16 % 4, where / 64, NULL);
		uint32_t objects = actor_usage(stage.maker).objects;
		pass(stage.maker, stage.c_door, stage.child);
		world_settle(stage.world);
		uint64_t at_c = actor_take(stage.c);
		world_settle(stage.world);
		waits(&stage);
		pass(stage.c, stage.d_door, at_c);
		drop(stage.c, at_c);
		world_settle(stage.world);
		waits(&stage);
		uint64_t at_d = actor_take(stage.d);
		world_settle(stage.world);
		waits(&stage);
		/* It still works. */
		assert_int_equal(actor_invoke(stage.d, at_d), FOS_OK);
		world_settle(stage.world);
		struct arrival arrival;
		assert_true(actor_arrival(stage.owner, &arrival));
		assert_int_equal(actor_finish(stage.owner, arrival.id), FOS_OK);
		/* Home, where it does not count, and out again. */
		pass(stage.d, stage.home_door, at_d);
		world_settle(stage.world);
		uint64_t at_home = actor_take(stage.maker);
		waits(&stage);
		pass(stage.maker, stage.c_door, at_home);
		world_settle(stage.world);
		at_c = actor_take(stage.c);
		drop(stage.d, at_d);
		drop(stage.maker, at_home);
		world_settle(stage.world);
		waits(&stage);
		drop(stage.c, at_c);
		fires(&stage);
		assert_int_equal(actor_usage(stage.maker).objects, objects - 1);
		world_end(stage.world);
	}
}

/* Never delegated: nothing fires, whatever the maker does with it. */
static void armed_by_delegation(void **state)
{
	(void)state;
	for (uint32_t owner = A; owner <= B; owner++) {
		struct stage stage = on_stage(owner, A, C, D, NULL);
		struct wire_answer_info info;
		assert_int_equal(actor_info(stage.maker, stage.child, &info), FOS_OK);
		assert_true(info.tracked && info.revocable && !info.own);
		assert_int_equal(actor_info(stage.maker, stage.c_door, &info), FOS_OK);
		assert_false(info.tracked || info.revocable);
		assert_int_equal(actor_invoke(stage.maker, stage.child), FOS_OK);
		struct call call = call_refinement(stage.child);
		uint64_t refined;
		assert_int_equal(actor_call(stage.maker, &call, &refined), FOS_OK);
		world_settle(stage.world);
		assert_int_equal(actor_invoke(stage.maker, refined), FOS_OK);
		drop(stage.maker, refined);
		world_settle(stage.world);
		waits(&stage);
		pass(stage.maker, stage.c_door, stage.child);
		world_settle(stage.world);
		drop(stage.c, actor_take(stage.c));
		fires(&stage);
		world_end(stage.world);
	}
}

enum refusal { TOO_DEEP, REFINED_TOO_DEEP, CLOSED_MEANWHILE, TAKEN_BACK };

static void refuse_a_child(uint32_t owner, enum refusal how)
{
	struct stage stage = on_stage(owner, A, C, D, NULL);
	struct actor other = actor_other_channel(stage.maker);
	drop(stage.maker, stage.child);
	uint64_t deep = actor_give(stage.owner, stage.object, stage.maker);
	for (unsigned depth = 1; depth < FOS_REVTREE_MAX && how != TAKEN_BACK; depth++)
		deep = actor_revtree(stage.maker, deep);
	stage.child = actor_tracked(stage.maker, deep);
	struct call call = call_refinement(stage.child);
	uint64_t twin;
	assert_int_equal(actor_call(stage.maker, &call, &twin), FOS_OK);
	stage.cookie = actor_monitor(stage.maker, stage.child, true);
	((struct wire_call_request_refine *)(void *)call.fixed)->revocable = true;
	if (how != REFINED_TOO_DEEP)
		call = call_revtree(twin, false);
	uint64_t cookie = call_submit(how == TAKEN_BACK ? other : stage.maker, &call);
	if (how == CLOSED_MEANWHILE)
		drop(stage.maker, twin);
	if (how == TAKEN_BACK)
		world_step(other.node, &(struct core_event){.type = CORE_CHANNEL_GONE,
													.process = other.process,
													.channel = other.channel});
	world_settle(stage.world);
	if (how != TAKEN_BACK)
		assert_int_equal(call_status(stage.maker, cookie), FOS_INVALID);
	waits(&stage);
	assert_int_equal(actor_invoke(stage.maker, stage.child), FOS_OK);
	if (how != CLOSED_MEANWHILE)
		drop(stage.maker, twin);
	pass(stage.maker, stage.c_door, stage.child);
	world_settle(stage.world);
	drop(stage.c, actor_take(stage.c));
	fires(&stage);
	world_end(stage.world);
}

/* A child of it is asked for and does not come to be: the owner refuses it, also while the maker
 * closes the slot that it named; or it comes for a channel that is closed and is taken back. The
 * maker used what it has, and gave it to nobody. */
static void a_refused_child_is_no_delegation(void **state)
{
	(void)state;
	for (enum refusal how = TOO_DEEP; how <= TAKEN_BACK; how++) {
		if (how != TAKEN_BACK)
			refuse_a_child(A, how);
		refuse_a_child(B, how);
	}
}

/* A child that was made of it holds it as long as it lives, whoever made it. */
static void a_living_child_is_a_delegation(void **state)
{
	(void)state;
	for (uint32_t owner = A; owner <= B; owner++) {
		struct stage stage = on_stage(owner, A, C, D, NULL);
		uint64_t child = actor_revtree(stage.maker, stage.child);
		world_settle(stage.world);
		waits(&stage);
		assert_int_equal(actor_take_back(stage.maker, child, false), FOS_OK);
		fires(&stage);
		world_end(stage.world);
	}
}

/* Set after the last holder let go: at once. Before the first delegation: only then. */
static void monitor_set_late(void **state)
{
	(void)state;
	for (uint32_t owner = A; owner <= B; owner++) {
		struct stage stage = on_stage(owner, A, C, D, NULL);
		struct wire_answer_monitored end;
		uint64_t again = actor_monitor(stage.maker, stage.child, true);
		assert_true(monitor_ended(stage.maker, again, &end));
		assert_int_equal(end.status, FOS_OVERLAP);
		/* Another slot, another monitor; the close takes the first one away. */
		struct call call = call_refinement(stage.child);
		uint64_t slot;
		assert_int_equal(actor_call(stage.maker, &call, &slot), FOS_OK);
		drop(stage.maker, stage.child);
		ends(&stage, FOS_CANCELLED, FOS_GONE_NOT);
		stage.child = slot;
		pass(stage.maker, stage.c_door, stage.child);
		world_settle(stage.world);
		uint64_t at_c = actor_take(stage.c);
		uint64_t not_his = actor_monitor(stage.c, at_c, true);
		assert_true(monitor_ended(stage.c, not_his, &end));
		assert_int_equal(end.status, FOS_DENIED);
		drop(stage.c, at_c);
		world_settle(stage.world);
		stage.cookie = actor_monitor(stage.maker, stage.child, true);
		fires(&stage);
		stage.cookie = actor_monitor(stage.maker, stage.child, true);
		ends(&stage, FOS_REVOKED, FOS_GONE_REVOKED);
		world_end(stage.world);
	}
}

/* Bound in a value: also in one of the maker's. */
static void bound(void **state)
{
	(void)state;
	for (uint32_t owner = A; owner <= B; owner++) {
		struct stage stage = on_stage(owner, A, C, D, NULL);
		struct call call = call_refinement(stage.c_door);
		call_cap(&call, 0, 1, call_slot(&call, stage.child));
		uint64_t with;
		assert_int_equal(actor_call(stage.maker, &call, &with), FOS_OK);
		world_settle(stage.world);
		waits(&stage);
		/* In the hands of another, two levels deep. */
		pass(stage.maker, stage.maker_to_d, with);
		drop(stage.maker, with);
		world_settle(stage.world);
		uint64_t at_d = actor_take(stage.d);
		waits(&stage);
		assert_int_equal(actor_invoke(stage.d, at_d), FOS_OK);
		drop(stage.d, at_d);
		world_settle(stage.world);
		waits(&stage);
		drop(stage.c, actor_take(stage.c));
		fires(&stage);
		world_end(stage.world);
	}
}

/* Under a living child: the maker's, a holder's, one of the owner's node, one of the maker's. */
static void below(void **state)
{
	(void)state;
	for (uint32_t owner = A; owner <= B; owner++) {
		for (int who = 0; who < 8; who++) {
			const uint32_t nodes[] = {C, C, owner, A};
			struct stage stage = on_stage(owner, A, nodes[who % 4], D, NULL);
			pass(stage.maker, stage.c_door, stage.child);
			world_settle(stage.world);
			uint64_t at_c = actor_take(stage.c);
			bool own = who % 4 == 0;
			struct actor by = own ? stage.maker : stage.c;
			uint64_t child = actor_revtree(by, own ? stage.child : at_c);
			drop(stage.c, at_c);
			world_settle(stage.world);
			waits(&stage);
			/* Its holders cost no message. */
			uint64_t before = world_messages(stage.world, WIRE_MESSAGE_TYPE_HOLD);
			pass(by, own ? stage.maker_to_d : stage.d_door, child);
			world_settle(stage.world);
			actor_take(stage.d);
			assert_int_equal(world_messages(stage.world, WIRE_MESSAGE_TYPE_HOLD), before);
			waits(&stage);
			if (who < 4 || own)
				assert_int_equal(actor_take_back(by, child, false), FOS_OK);
			else
				actor_kill(by);
			fires(&stage);
			world_end(stage.world);
		}
	}
}

/* A child is on its way to be made, and with it the parent's slot is closed. */
static void below_before_it_is_made(void **state)
{
	(void)state;
	struct stage stage = on_stage(B, A, C, D, NULL);
	pass(stage.maker, stage.c_door, stage.child);
	world_settle(stage.world);
	uint64_t at_c = actor_take(stage.c);
	world_settle(stage.world);
	hold(stage.world, C, B);
	struct wire_call_cap_revtree fixed = {.cap = at_c};
	struct call call;
	call_init(&call, WIRE_CALL_TYPE_CAP_REVTREE, &fixed, sizeof fixed, false);
	uint64_t cookie = call_submit(stage.c, &call);
	drop(stage.c, at_c);
	world_settle(stage.world);
	waits(&stage);
	let_go(stage.world, C, B);
	waits(&stage);
	struct wire_answer_completion completion;
	assert_true(call_completed(stage.c, cookie, &completion));
	assert_int_equal(completion.status, FOS_OK);
	assert_int_equal(actor_take_back(stage.c, completion.cap, false), FOS_OK);
	fires(&stage);
	world_end(stage.world);
}

/* A tracked child of a tracked child: the first is held by the life of the second. */
static void tracked_below_tracked(void **state)
{
	(void)state;
	struct stage stage = on_stage(B, A, C, D, NULL);
	pass(stage.maker, stage.c_door, stage.child);
	world_settle(stage.world);
	uint64_t at_c = actor_take(stage.c);
	uint64_t inner = actor_tracked(stage.c, at_c);
	uint64_t cookie = actor_monitor(stage.c, inner, true);
	drop(stage.c, at_c);
	pass(stage.c, stage.d_door, inner);
	world_settle(stage.world);
	uint64_t at_d = actor_take(stage.d);
	world_settle(stage.world);
	waits(&stage);
	drop(stage.d, at_d);
	world_settle(stage.world);
	struct wire_answer_monitored end;
	assert_true(monitor_ended(stage.c, cookie, &end));
	assert_int_equal(end.gone, FOS_GONE_UNHELD);
	fires(&stage);
	world_end(stage.world);
}

/* Queued for a credit, in flight, parked, delivered. */
static void on_its_way(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.limits.deliveries = 1;
	for (uint32_t owner = A; owner <= B; owner++) {
		struct stage stage = on_stage(owner, A, C, D, &config);
		uint64_t sorry = actor_request(stage.maker, 9);
		hold(stage.world, A, C);
		for (uint32_t i = 0; i < wire_class_credits(WIRE_CLASS_INVOKE); i++)
			assert_int_equal(actor_invoke(stage.maker, stage.c_door), FOS_OK);
		assert_int_equal(pass_or_tell(stage.maker, stage.c_door, stage.child, sorry), FOS_OK);
		world_settle(stage.world);
		waits(&stage);
		/* Now one is delivered and all the others are parked. */
		let_go(stage.world, A, C);
		waits(&stage);
		assert_int_equal(world_messages(stage.world, WIRE_MESSAGE_TYPE_PASSED), 0);
		struct arrival arrival;
		for (uint32_t i = 0; i < wire_class_credits(WIRE_CLASS_INVOKE); i++) {
			waits(&stage);
			assert_true(actor_arrival(stage.c, &arrival));
			assert_int_equal(actor_finish(stage.c, arrival.id), FOS_OK);
			world_settle(stage.world);
		}
		/* In its slot until the delivery is finished. */
		assert_true(actor_arrival(stage.c, &arrival));
		waits(&stage);
		assert_int_equal(actor_finish(stage.c, arrival.id), FOS_OK);
		fires(&stage);
		world_end(stage.world);

		/* Parked until its time ends. */
		stage = on_stage(owner, A, C, D, &config);
		sorry = actor_request(stage.maker, 9);
		assert_int_equal(actor_invoke(stage.maker, stage.c_door), FOS_OK);
		world_settle(stage.world);
		assert_int_equal(pass_or_tell(stage.maker, stage.c_door, stage.child, sorry), FOS_OK);
		world_settle(stage.world);
		waits(&stage);
		world_tick(stage.world, config.default_time);
		assert_true(actor_arrival(stage.maker, &arrival));
		assert_int_equal(arrival.status, FOS_BUSY);
		fires(&stage);
		world_end(stage.world);
	}
}

/* What goes with a copy: `then` binds the child until the bytes have landed. */
static void with_a_copy(void **state)
{
	(void)state;
	for (uint32_t owner = A; owner <= B; owner++) {
		struct stage stage = on_stage(owner, A, C, D, NULL);
		uint64_t src = actor_memory(stage.maker, 0, 100, 3);
		uint64_t dst = actor_give(stage.d, actor_memory(stage.d, 0, 100, 3), stage.maker);
		struct call call = call_copy(dst, src, 0, 0);
		unsigned child = call_slot(&call, stage.child), then = call_refine(&call, stage.c_door);
		call_cap(&call, then, 1, child);
		call_cap(&call, 0, FOS_NEXT, then);
		stage.world->hold[A][D][CORE_BULK] = true;
		call_submit(stage.maker, &call);
		world_settle(stage.world);
		waits(&stage);
		hold(stage.world, D, C);
		stage.world->hold[A][D][CORE_BULK] = false;
		world_settle(stage.world);
		waits(&stage);
		let_go(stage.world, D, C);
		waits(&stage);
		drop(stage.c, actor_take(stage.c));
		fires(&stage);
		world_end(stage.world);
	}
}

/* Used and let go: what was begun through it comes to its end first. */
static void in_use(void **state)
{
	(void)state;
	struct stage stage = on_stage(B, A, C, D, NULL);
	pass(stage.maker, stage.c_door, stage.child);
	world_settle(stage.world);
	uint64_t at_c = actor_take(stage.c);
	world_settle(stage.world);
	hold(stage.world, C, B);
	assert_int_equal(actor_invoke(stage.c, at_c), FOS_OK);
	drop(stage.c, at_c);
	world_settle(stage.world);
	waits(&stage);
	let_go(stage.world, C, B);
	struct arrival arrival;
	assert_true(actor_arrival(stage.owner, &arrival));
	fires(&stage);
	world_end(stage.world);
}

/* Copies from and to the child, asked for by whoever has it, here and there. */
static void in_use_by_a_copy(void **state)
{
	(void)state;
	for (int way = 0; way < 4; way++) {
		struct world *world = world_new(4, NULL);
		struct stage stage = {.world = world,
							  .owner = actor_new(world, B),
							  .maker = actor_new(world, A),
							  .c = actor_new(world, C),
							  .d = actor_new(world, D)};
		uint64_t memory = actor_memory(stage.owner, 0, 1000, 3);
		stage.child = actor_tracked(stage.maker, actor_give(stage.owner, memory, stage.maker));
		stage.cookie = actor_monitor(stage.maker, stage.child, true);
		uint64_t at_c = actor_give(stage.maker, stage.child, stage.c);
		uint64_t mine = actor_memory(stage.c, 0, 1000, 3);
		uint64_t other = actor_give(stage.d, actor_memory(stage.d, 0, 1000, 3), stage.c);
		uint64_t then = actor_request(stage.c, 5);
		uint64_t side = way % 2 ? other : mine;
		memset(actor_arena(stage.owner), 7, 1000);
		memset(actor_arena(stage.c), 7, 1000);
		memset(actor_arena(stage.d), 7, 1000);
		struct call call = way / 2 ? call_copy(at_c, side, 0, 0) : call_copy(side, at_c, 0, 0);
		call_cap(&call, 0, FOS_NEXT, call_slot(&call, then));
		for (uint32_t from = 0; from < 4; from++) {
			for (uint32_t to = 0; to < 4; to++)
				world->hold[from][to][CORE_BULK] = true;
		}
		/* It is used, not delegated. */
		uint64_t passed = world_messages(world, WIRE_MESSAGE_TYPE_PASSED);
		call_submit(stage.c, &call);
		drop(stage.c, at_c);
		world_settle(world);
		assert_int_equal(world_messages(world, WIRE_MESSAGE_TYPE_PASSED), passed);
		waits(&stage);
		memset(world->hold, 0, sizeof world->hold);
		world_settle(world);
		struct arrival arrival;
		assert_true(actor_arrival(stage.c, &arrival));
		assert_int_equal(arrival.handler, 5);
		assert_int_equal(arrival.status, FOS_OK);
		fires(&stage);
		world_end(world);
	}
}

/* Who asked for a copy is dead; the copy goes on, and only then nobody has the child. */
static void in_use_by_a_copy_of_the_dead(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.slice = 64;
	struct world *world = world_new(4, &config);
	struct stage stage = {.world = world,
						  .owner = actor_new(world, B),
						  .maker = actor_new(world, A),
						  .c = actor_new(world, C),
						  .d = actor_new(world, D)};
	uint64_t memory = actor_memory(stage.owner, 0, 5000, 3);
	stage.child = actor_tracked(stage.maker, actor_give(stage.owner, memory, stage.maker));
	stage.cookie = actor_monitor(stage.maker, stage.child, true);
	uint64_t at_c = actor_give(stage.maker, stage.child, stage.c);
	uint64_t to = actor_give(stage.d, actor_memory(stage.d, 0, 5000, 3), stage.c);
	memset(actor_arena(stage.owner), 7, 5000);
	struct call call = call_copy(to, at_c, 0, 0);
	call_submit(stage.c, &call);
	world->hold[B][D][CORE_BULK] = true;
	world_settle(world);
	actor_kill(stage.c);
	world_settle(world);
	waits(&stage);
	world->hold[B][D][CORE_BULK] = false;
	world_settle(world);
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal(actor_arena(stage.d)[i], 7);
	fires(&stage);
	world_end(world);
}

/* ------------------------------------------------------------------ races */

/* NONE is older than what was delegated meanwhile. */
static void stale_none(void **state)
{
	(void)state;
	for (int when = 0; when < 3; when++) {
		struct stage stage = on_stage(B, A, C, D, NULL);
		pass(stage.maker, stage.c_door, stage.child);
		world_settle(stage.world);
		uint64_t at_c = actor_take(stage.c);
		world_settle(stage.world);
		hold(stage.world, B, A);
		drop(stage.c, at_c);
		world_settle(stage.world); /* NONE 1 is on its way */
		uint32_t late = when == 0 ? A : when == 1 ? C : B;
		if (when < 2)
			hold(stage.world, late, late == A ? C : A); /* the message, or its PASSED */
		else
			hold(stage.world, C, B); /* its HOLD */
		pass(stage.maker, stage.c_door, stage.child);
		world_settle(stage.world);
		let_go(stage.world, B, A);
		waits(&stage);
		memset(stage.world->hold, 0, sizeof stage.world->hold);
		world_settle(stage.world);
		waits(&stage);
		at_c = actor_take(stage.c);
		drop(stage.c, at_c);
		fires(&stage);
		world_end(stage.world);
	}
}

/* The same where the child went to the owner's own node: its coming is a registration too. */
static void stale_none_of_the_owner(void **state)
{
	(void)state;
	struct stage stage = on_stage(B, A, B, D, NULL);
	struct actor other = actor_new(stage.world, A);
	uint64_t other_door = actor_give(other, actor_request(other, 2), stage.maker);
	pass(stage.maker, other_door, stage.child); /* so that nothing fires meanwhile */
	uint64_t at_other = actor_take(other);
	pass(stage.maker, stage.c_door, stage.child);
	world_settle(stage.world);
	drop(stage.c, actor_take(stage.c));
	world_settle(stage.world); /* NONE has come */
	pass(stage.maker, stage.c_door, stage.child);
	world_settle(stage.world);
	uint64_t at_c = actor_take(stage.c);
	world_settle(stage.world);
	drop(other, at_other);
	world_settle(stage.world);
	waits(&stage);
	drop(stage.c, at_c);
	fires(&stage);
	world_end(stage.world);
}

/* It came to the owner, or to another, and was not kept: the Request it was for is dead. */
static void not_kept(void **state)
{
	(void)state;
	for (uint32_t to = A; to <= C; to++) {
		struct stage stage = on_stage(B, A, to, D, NULL);
		uint64_t dead = actor_request(stage.c, 7);
		uint64_t door = actor_give(stage.c, dead, stage.maker);
		assert_int_equal(actor_revoke(stage.c, dead), FOS_OK);
		actor_pass(stage.maker, door, stage.child); /* REVOKED where it is known at once */
		if (to == A)
			pass(stage.maker, stage.c_door, stage.child);
		world_settle(stage.world);
		if (to == A)
			drop(stage.c, actor_take(stage.c));
		fires(&stage);
		world_end(stage.world);
	}
}

/* The receiver has let go again before the sender hears that it had it. */
static void passed_late(void **state)
{
	(void)state;
	struct stage stage = on_stage(B, A, C, D, NULL);
	hold(stage.world, C, A);
	pass(stage.maker, stage.c_door, stage.child);
	world_settle(stage.world);
	drop(stage.c, actor_take(stage.c));
	world_settle(stage.world);
	waits(&stage);
	let_go(stage.world, C, A);
	fires(&stage);
	world_end(stage.world);
}

/* RELEASE and HOLD of one holder, one behind the other; and a RELEASE that never left. */
static void release_crosses_a_delegation(void **state)
{
	(void)state;
	struct stage stage = on_stage(B, A, C, D, NULL);
	pass(stage.maker, stage.c_door, stage.child);
	world_settle(stage.world);
	uint64_t at_c = actor_take(stage.c);
	world_settle(stage.world);
	hold(stage.world, C, B);
	drop(stage.c, at_c);
	pass(stage.maker, stage.c_door, stage.child);
	world_settle(stage.world);
	at_c = actor_take(stage.c);
	assert_true(world_deliver(stage.world, C, B, CORE_CONTROL)); /* RELEASE; NONE 1 comes to A */
	world_deliver(stage.world, B, A, CORE_CONTROL);
	waits(&stage);
	let_go(stage.world, C, B);
	waits(&stage);
	drop(stage.c, at_c);
	fires(&stage);
	world_end(stage.world);
}

/* The second sender keeps its reference until the third has its own. */
static void third_party(void **state)
{
	(void)state;
	/* What is held back: the message, D's HOLD, its HELD, its PASSED. */
	static const uint32_t held[][2] = {{C, D}, {D, B}, {B, D}, {D, C}};
	for (unsigned i = 0; i < BASE_COUNT(held); i++) {
		struct stage stage = on_stage(B, A, C, D, NULL);
		pass(stage.maker, stage.c_door, stage.child);
		world_settle(stage.world);
		uint64_t at_c = actor_take(stage.c);
		world_settle(stage.world);
		hold(stage.world, held[i][0], held[i][1]);
		uint64_t released = world_messages(stage.world, WIRE_MESSAGE_TYPE_RELEASE);
		pass(stage.c, stage.d_door, at_c);
		drop(stage.c, at_c);
		world_settle(stage.world);
		world_tick(stage.world, stage.world->nodes[C].config.heartbeat);
		world_settle(stage.world);
		waits(&stage);
		assert_int_equal(world_messages(stage.world, WIRE_MESSAGE_TYPE_RELEASE), released);
		let_go(stage.world, held[i][0], held[i][1]);
		assert_int_equal(world_messages(stage.world, WIRE_MESSAGE_TYPE_RELEASE), released + 1);
		waits(&stage);
		drop(stage.d, actor_take(stage.d));
		fires(&stage);
		world_end(stage.world);
	}
}

/* More children than credits of the class: some are let go before their HOLD could leave. */
static void without_credits(void **state)
{
	(void)state;
	enum { MANY = 150 };
	struct stage stage = on_stage(B, A, C, D, NULL);
	uint64_t lent = actor_give(stage.owner, stage.object, stage.maker);
	uint64_t children[MANY], cookies[MANY], at_c[MANY];
	for (unsigned i = 0; i < MANY; i++) {
		children[i] = actor_tracked(stage.maker, lent);
		cookies[i] = actor_monitor(stage.maker, children[i], true);
	}
	hold(stage.world, B, C);
	for (unsigned i = 0; i < MANY; i++)
		pass(stage.maker, stage.c_door, children[i]);
	world_settle(stage.world);
	for (unsigned i = 0; i < MANY; i++) {
		at_c[i] = actor_take(stage.c);
		if (i % 2)
			drop(stage.c, at_c[i]);
	}
	world_settle(stage.world);
	/* REGISTRY is of the class, too. */
	assert_true(world_messages(stage.world, WIRE_MESSAGE_TYPE_HOLD) <=
				wire_class_credits(WIRE_CLASS_REFERENCE));
	let_go(stage.world, B, C);
	/* What was let go before it could leave never left. */
	assert_true(world_messages(stage.world, WIRE_MESSAGE_TYPE_HOLD) <= 64 + (MANY - 60) / 2);
	struct wire_answer_monitored end;
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(monitor_ended(stage.maker, cookies[i], &end), i % 2);
	for (unsigned i = 0; i < MANY; i += 2)
		drop(stage.c, at_c[i]);
	world_settle(stage.world);
	for (unsigned i = 0; i < MANY; i += 2) {
		assert_true(monitor_ended(stage.maker, cookies[i], &end));
		assert_int_equal(end.gone, FOS_GONE_UNHELD);
	}
	world_end(stage.world);
}

/* A RELEASE that waits for a credit when the child comes again never leaves: the PASSED that is
 * paid meanwhile says that it is registered. */
static void release_taken_back(void **state)
{
	(void)state;
	enum { MANY = 64 };
	struct stage stage = on_stage(B, A, C, D, NULL);
	pass(stage.maker, stage.c_door, stage.child);
	world_settle(stage.world);
	uint64_t at_c = actor_take(stage.c), lent = actor_give(stage.owner, stage.object, stage.maker);
	uint64_t others[MANY];
	for (unsigned i = 0; i < MANY; i++)
		others[i] = actor_tracked(stage.maker, lent);
	hold(stage.world, B, C);
	for (unsigned i = 0; i < MANY; i++)
		pass(stage.maker, stage.c_door, others[i]);
	world_settle(stage.world);
	for (unsigned i = 0; i < MANY; i++)
		actor_take(stage.c);
	drop(stage.c, at_c);
	world_settle(stage.world);
	assert_int_equal(world_messages(stage.world, WIRE_MESSAGE_TYPE_RELEASE), 0);
	pass(stage.maker, stage.c_door, stage.child);
	world_settle(stage.world);
	at_c = actor_take(stage.c);
	let_go(stage.world, B, C);
	assert_int_equal(world_messages(stage.world, WIRE_MESSAGE_TYPE_RELEASE), 0);
	waits(&stage);
	drop(stage.c, at_c);
	fires(&stage);
	world_end(stage.world);
}

/* When it has fired the child is dead at once, though its owner does not know yet. */
static void dead_when_fired(void **state)
{
	(void)state;
	struct stage stage = on_stage(B, A, C, D, NULL);
	pass(stage.maker, stage.c_door, stage.child);
	world_settle(stage.world);
	hold(stage.world, A, B);
	drop(stage.c, actor_take(stage.c));
	world_settle(stage.world);
	assert_int_equal(actor_invoke(stage.maker, stage.child), FOS_REVOKED);
	assert_int_equal(actor_pass(stage.maker, stage.c_door, stage.child), FOS_REVOKED);
	waits(&stage); /* it may still be used, as far as the owner knows */
	/* A second monitor, set now, joins the first. */
	struct call call = call_refinement(stage.child);
	uint64_t slot;
	assert_int_equal(actor_call(stage.maker, &call, &slot), FOS_OK);
	uint64_t second = actor_monitor(stage.maker, slot, true);
	struct arrival arrival;
	let_go(stage.world, A, B);
	assert_false(actor_arrival(stage.owner, &arrival));
	struct wire_answer_monitored end;
	assert_true(monitor_ended(stage.maker, second, &end));
	assert_int_equal(end.gone, FOS_GONE_UNHELD);
	fires(&stage);
	world_end(stage.world);
}

/* ------------------------------------------------------------------ sessions that end */

/* The message, the HOLD or the PASSED is under way when sender and receiver lose each other. */
static void sender_and_receiver_part(void **state)
{
	(void)state;
	static const uint32_t held[][2] = {{A, C}, {C, B}, {B, C}, {C, A}};
	for (unsigned i = 0; i < BASE_COUNT(held); i++) {
		struct stage stage = on_stage(B, A, C, D, NULL);
		hold(stage.world, held[i][0], held[i][1]);
		pass(stage.maker, stage.c_door, stage.child);
		world_settle(stage.world);
		waits(&stage);
		world_cut(stage.world, A, C);
		memset(stage.world->hold, 0, sizeof stage.world->hold);
		world_settle(stage.world);
		/* It was never confirmed: it may die with the firing. */
		fires(&stage);
		if (i > 0) {
			uint64_t at_c = actor_take(stage.c);
			assert_int_equal(actor_invoke(stage.c, at_c), FOS_OK);
			world_settle(stage.world);
			struct arrival arrival;
			assert_false(actor_arrival(stage.owner, &arrival));
		}
		world_end(stage.world);
	}
}

/* The same between two holders: the third is registered by itself. */
static void holders_part(void **state)
{
	(void)state;
	static const uint32_t held[][2] = {{C, D}, {D, B}, {B, D}, {D, C}};
	for (unsigned i = 0; i < BASE_COUNT(held); i++) {
		struct stage stage = on_stage(B, A, C, D, NULL);
		pass(stage.maker, stage.c_door, stage.child);
		world_settle(stage.world);
		uint64_t at_c = actor_take(stage.c);
		world_settle(stage.world);
		hold(stage.world, held[i][0], held[i][1]);
		pass(stage.c, stage.d_door, at_c);
		world_settle(stage.world);
		world_cut(stage.world, C, D);
		memset(stage.world->hold, 0, sizeof stage.world->hold);
		world_settle(stage.world);
		waits(&stage);
		drop(stage.c, at_c);
		world_settle(stage.world);
		if (i > 0) {
			waits(&stage);
			drop(stage.d, actor_take(stage.d));
		}
		fires(&stage);
		world_end(stage.world);
	}
}

/* A holder that loses the owner has lost the child, in slots and wherever it is bound, for ever. */
static void holder_loses_the_owner(void **state)
{
	(void)state;
	struct stage stage = on_stage(B, A, C, D, NULL);
	pass(stage.maker, stage.c_door, stage.child);
	world_settle(stage.world);
	uint64_t at_c = actor_take(stage.c);
	struct call call = call_refinement(stage.d_door);
	struct actor c_too = actor_new(stage.world, C);
	uint64_t d_too = actor_give(stage.d, actor_request(stage.d, 3), stage.c), with;
	(void)c_too;
	call_cap(&call, 0, 1, call_slot(&call, at_c));
	assert_int_equal(actor_call(stage.c, &call, &with), FOS_OK);
	uint64_t watch = actor_monitor(stage.c, at_c, false);
	world_settle(stage.world);
	uint32_t slots = actor_usage(stage.c).slots;
	world_cut(stage.world, B, C);
	struct wire_answer_monitored end;
	assert_true(monitor_ended(stage.c, watch, &end));
	assert_int_equal(end.gone, FOS_GONE_LINK);
	struct wire_answer_info info;
	assert_int_equal(actor_info(stage.c, at_c, &info), FOS_NO_CAP);
	world_settle(stage.world);
	assert_int_equal(actor_usage(stage.c).slots, slots - 1);
	assert_int_equal(actor_close(stage.c, at_c), FOS_OK);
	uint64_t src = actor_give(stage.d, actor_memory(stage.d, 0, 64, 3), stage.c);
	uint64_t dst = actor_memory(stage.c, 0, 64, 3);
	for (int healed = 0; healed < 2; healed++) {
		struct call copy = call_copy(dst, src, 0, 0);
		call_cap(&copy, 0, FOS_NEXT, call_slot(&copy, with));
		assert_int_equal(actor_call(stage.c, &copy, NULL), FOS_PEER_LOST);
		assert_int_equal(actor_invoke(stage.c, with), FOS_PEER_LOST);
		assert_int_equal(actor_pass(stage.c, d_too, with), FOS_PEER_LOST);
		if (!healed)
			world_connect(stage.world, B, C);
		world_settle(stage.world);
	}
	/* To the owner it was gone with the session. */
	fires(&stage);
	drop(stage.c, with);
	/* And another one comes as it should. */
	uint64_t lent = actor_give(stage.owner, stage.object, stage.maker);
	stage.child = actor_tracked(stage.maker, lent);
	stage.cookie = actor_monitor(stage.maker, stage.child, true);
	pass(stage.maker, stage.c_door, stage.child);
	world_settle(stage.world);
	at_c = actor_take(stage.c);
	world_settle(stage.world);
	waits(&stage);
	assert_int_equal(actor_invoke(stage.c, at_c), FOS_OK);
	drop(stage.c, at_c);
	world_settle(stage.world);
	fires(&stage);
	world_end(stage.world);
}

/* Come without a session to the owner: no use, and the sender is not kept waiting. */
static void receiver_without_owner(void **state)
{
	(void)state;
	struct stage stage = on_stage(B, A, C, D, NULL);
	world_cut(stage.world, B, C);
	pass(stage.maker, stage.c_door, stage.child);
	world_settle(stage.world);
	struct arrival arrival;
	assert_true(actor_arrival(stage.c, &arrival));
	assert_int_equal(actor_keep(stage.c, arrival_cap(&arrival, 1)), FOS_NO_CAP);
	fires(&stage);
	world_end(stage.world);
}

/* A spare holder has to wait: its HELD or its RELEASE is under way when the owner is lost. */
static void holder_loses_the_owner_early(void **state)
{
	(void)state;
	for (int phase = 0; phase < 4; phase++) {
		struct stage stage = on_stage(B, A, C, D, NULL);
		if (phase < 2)
			hold(stage.world, phase == 0 ? C : B, phase == 0 ? B : C);
		pass(stage.maker, stage.c_door, stage.child);
		world_settle(stage.world);
		if (phase >= 2) {
			uint64_t at_c = actor_take(stage.c);
			world_settle(stage.world);
			hold(stage.world, phase == 2 ? C : B, phase == 2 ? B : A);
			drop(stage.c, at_c); /* RELEASE, or its NONE */
			world_settle(stage.world);
		}
		world_cut(stage.world, B, C);
		memset(stage.world->hold, 0, sizeof stage.world->hold);
		fires(&stage);
		world_end(stage.world);
	}
}

/* The maker's Controller and the owner lose each other: the child dies with the session. */
static void maker_loses_the_owner(void **state)
{
	(void)state;
	for (int rebooted = 0; rebooted < 2; rebooted++) {
		struct stage stage = on_stage(B, A, C, D, NULL);
		pass(stage.maker, stage.c_door, stage.child);
		world_settle(stage.world);
		uint64_t at_c = actor_take(stage.c);
		uint64_t watch = actor_monitor(stage.c, at_c, false);
		world_settle(stage.world);
		if (rebooted)
			world_step(
				&stage.world->nodes[A],
				&(struct core_event){.type = CORE_SESSION_UP, .node = B + 1, .epoch = 0x5eed});
		else
			world_cut(stage.world, A, B);
		ends(&stage, rebooted ? FOS_STALE : FOS_PEER_LOST,
			 rebooted ? FOS_GONE_CONTROLLER : FOS_GONE_LINK);
		world_settle(stage.world);
		struct wire_answer_monitored end;
		if (!rebooted) {
			assert_true(monitor_ended(stage.c, watch, &end));
			assert_int_equal(end.gone, FOS_GONE_MAKER);
		}
		/* Who asks again is told what is known now. */
		watch = actor_monitor(stage.maker, stage.child, true);
		assert_true(monitor_ended(stage.maker, watch, &end));
		assert_int_equal(end.gone, rebooted ? FOS_GONE_CONTROLLER : FOS_GONE_REVOKED);
		drop(stage.c, at_c);
		world_end(stage.world);
	}
}

/* The session ends between the last NONE and the answer to the REVOKE. */
static void owner_lost_while_firing(void **state)
{
	(void)state;
	for (int answered = 0; answered < 2; answered++) {
		struct stage stage = on_stage(B, A, C, D, NULL);
		pass(stage.maker, stage.c_door, stage.child);
		world_settle(stage.world);
		uint64_t at_c = actor_take(stage.c);
		world_settle(stage.world);
		hold(stage.world, A, B);
		drop(stage.c, at_c);
		world_settle(stage.world);
		hold(stage.world, B, A);
		if (answered)
			assert_true(world_deliver(stage.world, A, B, CORE_CONTROL));
		world_settle(stage.world);
		waits(&stage);
		world_cut(stage.world, A, B);
		ends(&stage, FOS_PEER_LOST, FOS_GONE_LINK);
		world_end(stage.world);
	}
}

/* ------------------------------------------------------------------ the child's own end */

static void dies_otherwise(void **state)
{
	(void)state;
	for (uint32_t owner = A; owner <= B; owner++) {
		for (int how = 0; how < 3; how++) {
			struct stage stage = on_stage(owner, A, C, D, NULL);
			pass(stage.maker, stage.c_door, stage.child);
			world_settle(stage.world);
			uint64_t at_c = actor_take(stage.c);
			world_settle(stage.world);
			/* With a HOLD and a message under way, too. */
			hold(stage.world, D, owner);
			pass(stage.c, stage.d_door, at_c);
			world_settle(stage.world);
			if (how == 0)
				assert_int_equal(actor_take_back(stage.maker, stage.child, false), FOS_OK);
			else if (how == 1)
				assert_int_equal(actor_take_back(stage.owner, stage.object, false), FOS_OK);
			else
				actor_kill(stage.owner);
			world_settle(stage.world);
			struct wire_answer_monitored end;
			assert_true(monitor_ended(stage.maker, stage.cookie, &end));
			assert_int_equal(end.status, FOS_REVOKED);
			let_go(stage.world, D, owner);
			uint64_t at_d = actor_take(stage.d);
			if (owner == A) {
				/* Rubbish comes home to its owner, which knows it no more. */
				drop(stage.maker, stage.child);
				world_settle(stage.world);
				pass(stage.d, stage.home_door, at_d);
				world_settle(stage.world);
				assert_int_equal(actor_invoke(stage.maker, actor_take(stage.maker)), FOS_REVOKED);
			}
			drop(stage.d, at_d);
			drop(stage.c, at_c);
			world_settle(stage.world);
			assert_int_equal(stage.world->nodes[owner].ended_sessions, 0);
			world_end(stage.world);
		}
	}
}

/* It is dead, and a receiver hears of it before the maker's Controller does: nobody let go of it.
 */
static void dead_before_it_is_held(void **state)
{
	(void)state;
	for (uint32_t to = B; to <= C; to++) {
		struct stage stage = on_stage(B, A, to, D, NULL);
		hold(stage.world, B, A);
		if (to == B)
			hold(stage.world, A, B);
		pass(stage.maker, stage.c_door, stage.child);
		if (to == C)
			hold(stage.world, C, B);
		world_settle(stage.world);
		assert_int_equal(actor_revoke(stage.owner, stage.object), FOS_OK);
		let_go(stage.world, to == B ? A : C, B);
		waits(&stage);
		let_go(stage.world, B, A);
		ends(&stage, FOS_REVOKED, FOS_GONE_REVOKED);
		world_end(stage.world);
	}
}

/* The maker's death ends the child; what others hold of it is rubbish that leaves nothing. */
static void maker_dies(void **state)
{
	(void)state;
	for (uint32_t owner = A; owner <= B; owner++) {
		struct stage stage = on_stage(owner, A, C, D, NULL);
		pass(stage.maker, stage.c_door, stage.child);
		world_settle(stage.world);
		uint64_t at_c = actor_take(stage.c);
		uint64_t watch = actor_monitor(stage.c, at_c, false);
		world_settle(stage.world);
		actor_kill(stage.maker);
		world_settle(stage.world);
		struct wire_answer_monitored end;
		assert_true(monitor_ended(stage.c, watch, &end));
		assert_int_equal(end.gone, FOS_GONE_MAKER);
		world_end(stage.world);
	}
}

/* ------------------------------------------------------------------ no memory */

static void no_memory_at_the_receiver(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.limits.memory = 4 << 20;
	struct stage stage = on_stage(B, A, C, D, &config);
	actor_exhaust(stage.c);
	pass(stage.maker, stage.c_door, stage.child);
	world_settle(stage.world);
	assert_int_equal(world_messages(stage.world, WIRE_MESSAGE_TYPE_BOUNCE), 1);
	assert_int_equal(world_messages(stage.world, WIRE_MESSAGE_TYPE_HOLD), 0);
	assert_int_equal(world_messages(stage.world, WIRE_MESSAGE_TYPE_PASSED), 1);
	fires(&stage);
	world_end(stage.world);
}

/* The owner cannot keep a holder's name: the holder has lost it. */
static void no_memory_at_the_owner(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.limits.memory = 4 << 20;
	struct stage stage = on_stage(B, A, C, D, &config);
	actor_exhaust(stage.owner);
	uint32_t slots = actor_usage(stage.c).slots;
	pass(stage.maker, stage.c_door, stage.child);
	world_settle(stage.world);
	assert_int_equal(world_messages(stage.world, WIRE_MESSAGE_TYPE_HOLD), 1);
	struct arrival arrival;
	assert_true(actor_arrival(stage.c, &arrival));
	assert_int_equal(actor_keep(stage.c, arrival_cap(&arrival, 1)), FOS_NO_CAP);
	assert_int_equal(actor_usage(stage.c).slots, slots);
	assert_int_equal(actor_finish(stage.c, arrival.id), FOS_OK);
	fires(&stage);
	world_end(stage.world);
}

/* ------------------------------------------------------------------ a peer that lies */

static void forge(struct world *world, uint32_t from, uint32_t to, void *bytes, size_t size,
				  uint8_t type)
{
	struct wire_message *head = bytes;
	const struct session *session = core_session_find(world->nodes[to].core, from + 1);
	*head = (struct wire_message){
		.size = (uint32_t)size, .type = type, .sequence = session->sequence_in[CORE_CONTROL]};
	world_step(&world->nodes[to], &(struct core_event){.type = CORE_MESSAGE,
													   .node = from + 1,
													   .lane = CORE_CONTROL,
													   .bytes = bytes,
													   .size = size});
}

/* Whatever does not follow from what was said before ends the session. */
static void hostile_peer(void **state)
{
	(void)state;
	static const struct {
		uint32_t from, to;
		const char *reason;
	} cases[] = {{C, A, "more tracked references came than were sent"},
				 {D, A, "more tracked references came than were sent"},
				 {C, B, "a tracked child that is held twice"},
				 {D, B, "a tracked child let go that was not held"},
				 {B, C, "a registration that was not asked for"},
				 {B, D, "a registration that was not asked for"}};
	for (unsigned i = 0; i < BASE_COUNT(cases); i++) {
		struct stage stage = on_stage(B, A, C, D, NULL);
		hold(stage.world, C, A);
		pass(stage.maker, stage.c_door, stage.child);
		world_settle(stage.world); /* C is registered, and its PASSED is under way */
		struct core_ref ref =
			core_slot_value(core_process_find(stage.maker.node->core, stage.maker.process),
							stage.child)
				->ref;
		struct wire_message_passed passed = {.epoch = ref.epoch,
											 .serial = ref.serial,
											 .index = ref.index,
											 .node = ref.node,
											 .number = 9,
											 .count = 2};
		struct wire_message_hold held = {
			.epoch = ref.epoch, .serial = ref.serial, .index = ref.index};
		struct wire_message_held answer = {.serial = ref.serial, .index = ref.index, .number = 9};
		uint32_t from = cases[i].from, to = cases[i].to;
		if (i < 2)
			forge(stage.world, from, to, &passed, sizeof passed, WIRE_MESSAGE_TYPE_PASSED);
		else if (i < 4)
			forge(stage.world, from, to, &held, sizeof held,
				  i == 2 ? WIRE_MESSAGE_TYPE_HOLD : WIRE_MESSAGE_TYPE_RELEASE);
		else
			forge(stage.world, from, to, &answer, sizeof answer, WIRE_MESSAGE_TYPE_HELD);
		assert_int_equal(stage.world->nodes[to].ended_sessions, 1);
		assert_string_equal(stage.world->nodes[to].reason, cases[i].reason);
		world_end(stage.world);
	}
}

/* What a late or strange owner says of children that are over, or of none, changes nothing. */
static void words_of_the_dead(void **state)
{
	(void)state;
	struct stage stage = on_stage(B, A, C, D, NULL);
	struct wire_message_none none = {.serial = 77, .number = 5, .index = 3};
	forge(stage.world, B, A, &none, sizeof none, WIRE_MESSAGE_TYPE_NONE);
	struct wire_message_hold held = {.epoch = 1, .serial = 77, .index = 3};
	forge(stage.world, C, B, &held, sizeof held, WIRE_MESSAGE_TYPE_RELEASE);
	forge(stage.world, C, B, &held, sizeof held, WIRE_MESSAGE_TYPE_HOLD);
	const struct packet *packet = stage.world->links[B][C][CORE_CONTROL].first;
	assert_non_null(packet);
	const struct wire_message_held *answer = (const void *)packet->bytes;
	assert_int_equal(answer->header.type, WIRE_MESSAGE_TYPE_HELD);
	assert_int_equal(answer->status, FOS_REVOKED);
	for (uint32_t i = 0; i < WORLD_NODES; i++)
		assert_int_equal(stage.world->nodes[i].ended_sessions, 0);
	waits(&stage);
	world_cut(stage.world, B, C); /* C never asked */
	world_end(stage.world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(anywhere),
		cmocka_unit_test(armed_by_delegation),
		cmocka_unit_test(a_refused_child_is_no_delegation),
		cmocka_unit_test(a_living_child_is_a_delegation),
		cmocka_unit_test(monitor_set_late),
		cmocka_unit_test(bound),
		cmocka_unit_test(below),
		cmocka_unit_test(below_before_it_is_made),
		cmocka_unit_test(tracked_below_tracked),
		cmocka_unit_test(on_its_way),
		cmocka_unit_test(with_a_copy),
		cmocka_unit_test(in_use),
		cmocka_unit_test(in_use_by_a_copy),
		cmocka_unit_test(in_use_by_a_copy_of_the_dead),
		cmocka_unit_test(stale_none),
		cmocka_unit_test(stale_none_of_the_owner),
		cmocka_unit_test(not_kept),
		cmocka_unit_test(passed_late),
		cmocka_unit_test(release_crosses_a_delegation),
		cmocka_unit_test(third_party),
		cmocka_unit_test(without_credits),
		cmocka_unit_test(release_taken_back),
		cmocka_unit_test(dead_when_fired),
		cmocka_unit_test(sender_and_receiver_part),
		cmocka_unit_test(holders_part),
		cmocka_unit_test(holder_loses_the_owner),
		cmocka_unit_test(holder_loses_the_owner_early),
		cmocka_unit_test(receiver_without_owner),
		cmocka_unit_test(maker_loses_the_owner),
		cmocka_unit_test(owner_lost_while_firing),
		cmocka_unit_test(dies_otherwise),
		cmocka_unit_test(dead_before_it_is_held),
		cmocka_unit_test(maker_dies),
		cmocka_unit_test(no_memory_at_the_receiver),
		cmocka_unit_test(no_memory_at_the_owner),
		cmocka_unit_test(hostile_peer),
		cmocka_unit_test(words_of_the_dead),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
