/* Where the registry is: who may set it, who waits for it, what its death and its return tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/harness.h"

enum { A, B, C };

static uint64_t ask_registry(struct actor actor, uint64_t time)
{
	struct wire_call_registry_get get = {.time = time};
	struct call call;
	call_init(&call, WIRE_CALL_TYPE_REGISTRY_GET, &get, sizeof get, false);
	return call_submit(actor, &call);
}

static uint64_t ask_other_registry(struct actor actor, uint64_t other, uint64_t time)
{
	struct wire_call_registry_get get = {.time = time, .other = other};
	struct call call;
	call_init(&call, WIRE_CALL_TYPE_REGISTRY_GET, &get, sizeof get, false);
	return call_submit(actor, &call);
}

static void become_registry(struct actor actor, uint64_t root)
{
	struct wire_call_registry_set set = {.cap = root};
	struct call call;
	call_init(&call, WIRE_CALL_TYPE_REGISTRY_SET, &set, sizeof set, false);
	assert_int_equal(actor_call(actor, &call, NULL), FOS_OK);
	world_settle(actor.node->world);
}

static void registry_changes(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor a = actor_new(world, A), registry = actor_new(world, B);
	struct wire_answer_completion completion;
	become_registry(registry, actor_request(registry, 5));
	uint64_t now_known = ask_registry(a, 0);
	assert_true(call_completed(a, now_known, &completion));
	assert_int_equal(completion.status, FOS_OK);
	uint64_t first = completion.cap;
	/* Bad slots; no time; a time that ends; and for ever, though the slot is closed meanwhile. */
	uint64_t bad = ask_other_registry(a, first + 1, UINT64_MAX);
	assert_true(call_completed(a, bad, &completion));
	assert_int_equal(completion.status, FOS_NO_CAP);
	uint64_t at_once = ask_other_registry(a, first, 0), limited = ask_other_registry(a, first, 10);
	uint64_t changed = ask_other_registry(a, first, UINT64_MAX);
	assert_true(call_completed(a, at_once, &completion));
	assert_int_equal(completion.status, FOS_TIMED_OUT);
	struct wire_call_cap_close close = {.cap = first};
	struct call call;
	call_init(&call, WIRE_CALL_TYPE_CAP_CLOSE, &close, sizeof close, false);
	assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
	world_tick(world, 1000000);
	assert_true(call_completed(a, limited, &completion));
	assert_int_equal(completion.status, FOS_TIMED_OUT);
	/* A cut link that heals brings the same one back: no change. */
	world_rejoin(world, A, B);
	assert_false(call_completed(a, changed, &completion));
	actor_kill(registry);
	world_settle(world);
	assert_false(call_completed(a, changed, &completion));
	assert_int_equal(actor_usage(a).parked, 1);
	struct actor next = actor_new(world, B);
	become_registry(next, actor_request(next, 6));
	assert_true(call_completed(a, changed, &completion));
	assert_int_equal(completion.status, FOS_OK);
	assert_int_equal(actor_usage(a).parked, 0);
	struct arrival arrival;
	assert_int_equal(actor_invoke(a, completion.cap), FOS_OK);
	world_settle(world);
	assert_true(actor_arrival(next, &arrival));
	/* Who waits for ever leaves nothing behind when its channel or Process ends. */
	uint64_t second = completion.cap;
	ask_other_registry(a, second, UINT64_MAX);
	assert_int_equal(actor_usage(a).parked, 1);
	world_step(a.node, &(struct core_event){
						   .type = CORE_CHANNEL_GONE, .process = a.process, .channel = a.channel});
	assert_int_equal(actor_usage(a).parked, 0);
	struct actor b = actor_new(world, B);
	uint64_t own = ask_registry(b, 0);
	assert_true(call_completed(b, own, &completion));
	ask_other_registry(b, completion.cap, UINT64_MAX);
	actor_kill(b);
	world_end(world);
}

static void registry_comes_and_goes(void **state)
{
	(void)state;
	struct world *world = world_new(3, NULL);
	struct actor a = actor_new(world, A), registry = actor_new(world, B);
	struct wire_answer_completion completion;
	uint64_t waits = ask_registry(a, 1000), gives_up = ask_registry(a, 10);
	uint64_t at_once = ask_registry(a, 0);
	assert_true(call_completed(a, at_once, &completion));
	assert_int_equal(completion.status, FOS_TIMED_OUT);
	assert_false(call_completed(a, waits, &completion));
	world_tick(world, 10);
	assert_true(call_completed(a, gives_up, &completion));
	assert_int_equal(completion.status, FOS_TIMED_OUT);
	uint64_t root = actor_request(registry, 5);
	struct wire_call_registry_set set = {.cap = root};
	struct call call;
	call_init(&call, WIRE_CALL_TYPE_REGISTRY_SET, &set, sizeof set, false);
	assert_int_equal(actor_call(registry, &call, NULL), FOS_OK);
	world_settle(world);
	assert_true(call_completed(a, waits, &completion));
	assert_int_equal(completion.status, FOS_OK);
	assert_int_equal(actor_usage(a).parked, 0);
	assert_int_equal(actor_invoke(a, completion.cap), FOS_OK);
	world_settle(world);
	struct arrival arrival;
	assert_true(actor_arrival(registry, &arrival));
	fos_principal principal;
	memcpy(&principal, arrival.imm, sizeof principal);
	assert_int_equal(principal.node, A + 1);
	assert_int_equal(principal.process, a.process);
	assert_string_equal(principal.label, "tester");
	/* The principal cannot be changed. */
	struct call forge = call_invoke(completion.cap, 0, 0);
	call_imm(&forge, 0, 4, "root", 4);
	assert_int_equal(actor_call(a, &forge, NULL), FOS_OVERLAP);
	/* Others cannot become it. */
	set.cap = actor_give(registry, root, a);
	call_init(&call, WIRE_CALL_TYPE_REGISTRY_SET, &set, sizeof set, false);
	assert_int_equal(actor_call(a, &call, NULL), FOS_DENIED);
	set.cap = root; /* the giving made another one known */
	call_init(&call, WIRE_CALL_TYPE_REGISTRY_SET, &set, sizeof set, false);
	assert_int_equal(actor_call(registry, &call, NULL), FOS_OK);
	world_settle(world);
	/* Its death is told, its successor found, also by a node that comes later. */
	actor_kill(registry);
	world_settle(world);
	at_once = ask_registry(a, 0);
	assert_true(call_completed(a, at_once, &completion));
	assert_int_equal(completion.status, FOS_TIMED_OUT);
	world_cut(world, B, C);
	struct actor next = actor_new(world, B), c = actor_new(world, C);
	set.cap = actor_request(next, 6);
	call_init(&call, WIRE_CALL_TYPE_REGISTRY_SET, &set, sizeof set, false);
	assert_int_equal(actor_call(next, &call, NULL), FOS_OK);
	world_connect(world, B, C);
	world_settle(world);
	at_once = ask_registry(c, 0);
	assert_true(call_completed(c, at_once, &completion));
	assert_int_equal(completion.status, FOS_OK);
	/* Not known while its node cannot be reached. */
	world_cut(world, B, C);
	at_once = ask_registry(c, 0);
	assert_true(call_completed(c, at_once, &completion));
	assert_int_equal(completion.status, FOS_TIMED_OUT);
	world_end(world);
}

static fos_status try_to_become(struct actor actor, uint64_t root)
{
	struct wire_call_registry_set set = {.cap = root};
	struct call call;
	call_init(&call, WIRE_CALL_TYPE_REGISTRY_SET, &set, sizeof set, false);
	fos_status status = actor_call(actor, &call, NULL);
	world_settle(actor.node->world);
	return status;
}

static uint64_t known_registry(struct actor actor)
{
	struct wire_answer_completion completion;
	uint64_t asked = ask_registry(actor, 0);
	assert_true(call_completed(actor, asked, &completion));
	assert_int_equal(completion.status, FOS_OK);
	return completion.cap;
}

static void check_who_answers(struct actor asker, struct actor registry)
{
	struct arrival arrival;
	assert_int_equal(actor_invoke(asker, known_registry(asker)), FOS_OK);
	world_settle(asker.node->world);
	assert_true(actor_arrival(registry, &arrival));
	actor_finish(registry, arrival.id);
}

/* Who has the place keeps it against others of its node, changes its own Request, and leaves it by
 * revoking or dying. */
static void a_living_registry_keeps_its_place(void **state)
{
	(void)state;
	struct world *world = world_new(3, NULL);
	struct actor a = actor_new(world, A), registry = actor_new(world, B);
	struct actor guest = actor_new(world, B), far = actor_new(world, C);
	uint64_t wanted = actor_request(guest, 6), first = actor_request(registry, 5);
	become_registry(registry, first);
	assert_int_equal(try_to_become(guest, wanted), FOS_DENIED);
	check_who_answers(a, registry);
	check_who_answers(guest, registry);
	/* Its own other one, and its own again. */
	uint64_t second = actor_request(registry, 7);
	become_registry(registry, second);
	assert_int_equal(actor_revoke(registry, first), FOS_OK);
	world_settle(world);
	assert_int_equal(try_to_become(guest, wanted), FOS_DENIED);
	check_who_answers(a, registry);
	assert_int_equal(actor_revoke(registry, second), FOS_OK);
	world_settle(world);
	become_registry(guest, wanted);
	check_who_answers(a, guest);
	assert_int_equal(try_to_become(registry, actor_request(registry, 8)), FOS_DENIED);
	actor_kill(guest);
	world_settle(world);
	uint64_t third = actor_request(registry, 9);
	become_registry(registry, third);
	/* The word of another node is taken; who was displaced hears of it and comes back. */
	struct wire_answer_completion completion;
	uint64_t displaced = ask_other_registry(registry, third, UINT64_MAX);
	assert_false(call_completed(registry, displaced, &completion));
	become_registry(far, actor_request(far, 10));
	check_who_answers(a, far);
	assert_true(call_completed(registry, displaced, &completion));
	assert_int_equal(completion.status, FOS_OK);
	become_registry(registry, third);
	check_who_answers(a, registry);
	check_who_answers(far, registry);
	world_end(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_living_registry_keeps_its_place),
		cmocka_unit_test(registry_comes_and_goes),
		cmocka_unit_test(registry_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
