/* Barrelfish's race, as a fixed scenario: an operation on a capability is acknowledged while a copy
 * of the capability is in flight between two others (CapMgmt.tex, "Incorrect solution"). What is in
 * flight then must neither work after a revocation nor be forgotten by who counts holders.
 *
 *     M (maker)         B (owner)          A (sender)         C (receiver)
 *       |                 |                   |--- the child ------>| ... in flight
 *       |--- REVOKE ----->|                   |                     |
 *       |<-- DONE --------| acknowledged      |                     |
 *       |                 |                   |                     | it arrives
 *       |                 |<------------------------- use ----------|
 *       |                 |-- refused ----------------------------->|
 *
 * A is asked by nobody, and C has not been there; so the owner must refuse by itself. With a
 * tracked child A lets go of its own while the copy is in flight: nobody may conclude that nobody
 * holds it. An oracle watches all of it. */
#include "sim/scene.h"

struct race {
	struct scene scene;
	struct actor maker, owner, sender, receiver;
	uint64_t child;  /* the maker's */
	uint64_t lent;   /* the sender's */
	uint64_t inbox;  /* the sender's capability of the receiver's Request */
	uint64_t errors; /* the receiver's own */
};

static void settle_and_see(struct race *race)
{
	world_settle(race->scene.world);
	if (oracle_violated(race->scene.oracle))
		fail_msg("%s", oracle_reason(race->scene.oracle));
}

static void meet(struct race *race, bool memory, bool tracked)
{
	struct scene *scene = &race->scene;
	begin(scene, NULL);
	race->maker = scene->a;
	race->owner = scene->b;
	race->sender = scene->c;
	race->receiver = scene->d;
	uint64_t base = memory ? actor_memory(scene->b, 0, 100, 3) : actor_request(scene->b, 1);
	uint64_t mine = actor_give(scene->b, base, scene->a);
	race->child = tracked ? actor_tracked(scene->a, mine) : actor_revtree(scene->a, mine);
	race->inbox = actor_give(scene->d, actor_request(scene->d, 2), scene->c);
	race->errors = actor_request(scene->d, 3);
	settle_and_see(race);
}

/* The child goes to the sender, and from there it is under way to the receiver. */
static void set_out(struct race *race)
{
	struct scene *scene = &race->scene;
	race->lent = actor_give(race->maker, race->child, race->sender);
	settle_and_see(race);
	scene->world->hold[C][D][CORE_CONTROL] = true;
	assert_int_equal(actor_pass(race->sender, race->inbox, race->lent), FOS_OK);
	settle_and_see(race);
}

static uint64_t arrive(struct race *race)
{
	race->scene.world->hold[C][D][CORE_CONTROL] = false;
	settle_and_see(race);
	uint64_t cap = actor_take(race->receiver);
	settle_and_see(race);
	return cap;
}

static void part(struct race *race)
{
	conclude(&race->scene);
	assert_string_equal(oracle_reason(race->scene.oracle), "");
	end(&race->scene);
}

static fos_status use(struct race *race, uint64_t cap, bool memory, bool as_source)
{
	if (memory) {
		uint64_t own = actor_memory(race->receiver, 4096, 100, 3);
		struct call copy = as_source ? call_copy(own, cap, 0, 0) : call_copy(cap, own, 0, 0);
		return actor_ask(race->receiver, &copy, NULL);
	}
	struct call call = call_invoke(cap, 0, 0);
	call.entries[0].on_error = (uint16_t)call_slot(&call, race->errors);
	return actor_call(race->receiver, &call, NULL);
}

static void revoked_in_flight(void **state)
{
	(void)state;
	for (unsigned variant = 0; variant < 4; variant++) {
		struct race race;
		struct arrival arrival;
		bool memory = variant & 1, tracked = variant & 2;
		meet(&race, memory, tracked);
		set_out(&race);
		struct call revoke = call_revoke(race.child, false, 0);
		assert_int_equal(actor_ask(race.maker, &revoke, NULL), FOS_OK);
		memset(actor_arena(race.owner), 7, 100);
		uint64_t cap = arrive(&race);
		if (memory) {
			assert_int_equal(use(&race, cap, true, true), FOS_REVOKED);
			assert_int_equal(use(&race, cap, true, false), FOS_REVOKED);
			assert_int_equal(actor_arena(race.receiver)[4096], 0);
			assert_int_equal(actor_arena(race.owner)[0], 7);
		} else {
			fos_status status = use(&race, cap, false, false);
			settle_and_see(&race);
			assert_false(actor_arrival(race.owner, &arrival));
			/* Refused by its own Controller, which has heard of it, or by the owner. */
			if (status == FOS_OK) {
				assert_true(actor_arrival(race.receiver, &arrival));
				assert_int_equal(arrival.handler, 3);
				assert_int_equal(arrival.status, FOS_REVOKED);
				actor_finish(race.receiver, arrival.id);
			} else {
				assert_int_equal(status, FOS_REVOKED);
			}
		}
		part(&race);
	}
}

/* A lets go while the only other reference is in flight; then C's registration is late. */
static void let_go_in_flight(void **state)
{
	(void)state;
	for (unsigned late = 0; late < 2; late++) {
		struct race race;
		struct wire_answer_monitored monitored;
		struct arrival arrival;
		meet(&race, false, true);
		set_out(&race);
		uint64_t monitor = actor_monitor(race.maker, race.child, true);
		assert_int_equal(actor_close(race.sender, race.lent), FOS_OK);
		settle_and_see(&race);
		assert_false(monitor_ended(race.maker, monitor, &monitored));
		race.scene.world->hold[D][B][CORE_CONTROL] = late;
		uint64_t cap = arrive(&race);
		assert_false(monitor_ended(race.maker, monitor, &monitored));
		race.scene.world->hold[D][B][CORE_CONTROL] = false;
		settle_and_see(&race);
		assert_false(monitor_ended(race.maker, monitor, &monitored));
		/* It works. */
		assert_int_equal(use(&race, cap, false, false), FOS_OK);
		settle_and_see(&race);
		assert_true(actor_arrival(race.owner, &arrival));
		actor_finish(race.owner, arrival.id);
		assert_int_equal(actor_close(race.receiver, cap), FOS_OK);
		/* Its use is over when its credit is back: with the next heartbeats. */
		for (unsigned i = 0; i < 3; i++) {
			settle_and_see(&race);
			world_tick(race.scene.world, 300000000);
		}
		settle_and_see(&race);
		assert_true(monitor_ended(race.maker, monitor, &monitored));
		assert_int_equal(monitored.gone, FOS_GONE_UNHELD);
		part(&race);
	}
}

/* What was in flight is lost with its link: then nobody holds it. */
static void lost_in_flight(void **state)
{
	(void)state;
	struct race race;
	struct wire_answer_monitored monitored;
	meet(&race, false, true);
	set_out(&race);
	uint64_t monitor = actor_monitor(race.maker, race.child, true);
	assert_int_equal(actor_close(race.sender, race.lent), FOS_OK);
	settle_and_see(&race);
	assert_false(monitor_ended(race.maker, monitor, &monitored));
	world_cut(race.scene.world, C, D);
	settle_and_see(&race);
	assert_true(monitor_ended(race.maker, monitor, &monitored));
	assert_int_equal(monitored.gone, FOS_GONE_UNHELD);
	world_connect(race.scene.world, C, D);
	race.scene.world->hold[C][D][CORE_CONTROL] = false;
	part(&race);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(revoked_in_flight),
		cmocka_unit_test(let_go_in_flight),
		cmocka_unit_test(lost_in_flight),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
