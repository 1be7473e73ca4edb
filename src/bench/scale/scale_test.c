/* What must stay as it is however large a cluster becomes, and that the simulated network is the
 * one that was asked for. */
#include "scale.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/base.h"
#include "cluster.h"

enum { SLOT_MOST = 64 };

static void a_slot_is_small(void **state)
{
	(void)state;
	double slot = scale_bytes(SCALE_BYTES_SLOT), shared = scale_bytes(SCALE_BYTES_SLOT_SHARED);
	assert_true(slot > 0 && slot <= SLOT_MOST);
	assert_true(shared > 0 && shared < slot);
	assert_true(scale_bytes(SCALE_BYTES_REFINED) <= SLOT_MOST);
}

static void no_operation_grows_with_the_cluster(void **state)
{
	(void)state;
	static const double expected[SCALE_OPERATION_COUNT] = {
		[SCALE_CALL] = 2,             /* INVOKE there, INVOKE back */
		[SCALE_DELEGATE] = 1,         /* INVOKE */
		[SCALE_DELEGATE_TRACKED] = 6, /* INVOKE; HOLD, HELD, PASSED; RELEASE, NONE */
		[SCALE_COPY] = 3,             /* COPY, DATA, COPY_DONE */
		[SCALE_COPY_THEN] = 4,    /* COPY, DATA, INVOKE, and COPY_DONE: the asker's call is over */
		[SCALE_REVTREE] = 2,      /* CHILD, CHILD_DONE */
		[SCALE_REVOKE_OWN] = 0,   /* the owner's table is all there is */
		[SCALE_REVOKE_CHILD] = 2, /* REVOKE, REVOKE_DONE */
		[SCALE_REVOKE_TRACKED] = 2,
		[SCALE_PROCESS_DEATH] = 2, /* PROCESS_GONE to each node where it made children */
		[SCALE_CRASH] = 0,         /* each sees for itself that its session ended */
		[SCALE_BOOT] = 1,          /* REGISTRY */
	};
	static const uint32_t sizes[] = {10, 100};
	struct scale_messages found[BASE_COUNT(sizes)];
	for (unsigned i = 0; i < BASE_COUNT(sizes); i++) {
		scale_messages(sizes[i], &found[i]);
		for (enum scale_operation o = 0; o < SCALE_OPERATION_COUNT; o++) {
			if (found[i].messages[o] != expected[o])
				fail_msg("%s: %g messages among %u nodes, not %g", scale_operation_name(o),
						 found[i].messages[o], sizes[i], expected[o]);
		}
		/* What does grow, and how. */
		assert_true(found[i].heartbeats == sizes[i] - 1);
		assert_true(found[i].registry_set == sizes[i] - 1);
		assert_int_equal(found[i].sessions, sizes[i] - 1);
	}
	assert_int_equal(found[0].objects, found[1].objects);
	assert_int_equal(found[0].slots, found[1].slots);
	assert_true(found[1].bytes - found[0].bytes <= 90 * 2048); /* a session's record */
}

static void a_chain_is_shorter_than_a_star(void **state)
{
	(void)state;
	const struct scale_faces_load load = {.depth = 1, .requests = 2000};
	struct scale_faces star, chain, again;
	scale_faces(SCALE_STAR3, &load, &star);
	scale_faces(SCALE_CHAIN, &load, &chain);
	scale_faces(SCALE_CHAIN, &load, &again);
	assert_true(star.messages == 8 && chain.messages == 5);
	assert_true(star.p50_us / chain.p50_us >= 0.95 * 8 / 5);
	assert_true(star.p99_us / chain.p99_us >= 1.4);
	assert_memory_equal(&chain, &again, sizeof chain);
	assert_true(chain.mean_us > 23.8 && chain.mean_us < 24.2);
	assert_true(chain.tail_us > 39.0 && chain.tail_us < 41.0);
}

static void data_go_with_what_follows(void **state)
{
	(void)state;
	const struct scale_faces_load load = {
		.depth = 3, .requests = 300, .bytes = 4096, .services = true};
	const double expected[SCALE_MODES] = {
		/* star2: the `then` of the copy to the GPU goes to the frontend. */
		[SCALE_STAR3] = 8,
		[SCALE_STAR2] = 9,
		[SCALE_CHAIN] = 5};
	for (enum scale_mode mode = 0; mode < SCALE_MODES; mode++) {
		struct scale_faces found;
		scale_faces(mode, &load, &found);
		assert_true(found.messages == expected[mode]);
		assert_true(found.p50_us >= 195); /* what the stages take */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slot_is_small),
		cmocka_unit_test(no_operation_grows_with_the_cluster),
		cmocka_unit_test(a_chain_is_shorter_than_a_star),
		cmocka_unit_test(data_go_with_what_follows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
