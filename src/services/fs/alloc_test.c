/* The allocator against a plain array of bytes, with random sizes and sequences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "alloc.h"

enum { BLOCKS_MAX = 20000, RUNS_MAX = 4096 };

static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (random_state >> 33) % bound;
}

struct reference {
	uint8_t taken[BLOCKS_MAX];
	uint64_t size;
};

static uint64_t longest_free(const struct reference *reference)
{
	uint64_t best = 0, now = 0;
	for (uint64_t i = 0; i < reference->size; i++) {
		now = reference->taken[i] ? 0 : now + 1;
		best = now > best ? now : best;
	}
	return best;
}

static void reference_take(struct reference *reference, struct run run)
{
	assert_true(run.count > 0 && run.block + run.count <= reference->size);
	for (uint64_t i = 0; i < run.count; i++) {
		assert_int_equal(reference->taken[run.block + i], 0);
		reference->taken[run.block + i] = 1;
	}
}

static void compare(const struct alloc *alloc, const struct reference *reference)
{
	uint64_t free = 0;
	for (uint64_t i = 0; i < reference->size; i++) {
		assert_int_equal(alloc_is_free(alloc, i), !reference->taken[i]);
		free += !reference->taken[i];
	}
	assert_int_equal(alloc_free_count(alloc), free);
}

static void run_sequence(uint64_t seed)
{
	static struct reference reference;
	static struct run runs[RUNS_MAX];
	random_state = seed;
	memset(&reference, 0, sizeof reference);
	reference.size = 1 + random_below(seed % 3 ? 700 : BLOCKS_MAX);
	struct alloc *alloc = alloc_create(reference.size);
	assert_non_null(alloc);
	unsigned count = 0;
	for (unsigned step = 0; step < 3000; step++) {
		if (random_below(5) < 3 && count < RUNS_MAX) {
			uint64_t wanted = 1 + random_below(random_below(8) ? 16 : 300);
			uint64_t most = longest_free(&reference);
			uint64_t goal = random_below(2) ? random_below(reference.size) : UINT64_MAX;
			bool ok = alloc_take(alloc, goal, wanted, &runs[count]);
			assert_int_equal(ok, most > 0);
			if (!ok)
				continue;
			/* All in one where that is possible, else the longest there is. */
			assert_int_equal(runs[count].count, wanted < most ? wanted : most);
			reference_take(&reference, runs[count++]);
		} else if (count > 0) {
			unsigned i = (unsigned)random_below(count);
			alloc_give(alloc, runs[i]);
			memset(reference.taken + runs[i].block, 0, runs[i].count);
			runs[i] = runs[--count];
		}
		if (step % 500 == 0)
			compare(alloc, &reference);
	}
	while (count > 0)
		alloc_give(alloc, runs[--count]);
	assert_int_equal(alloc_free_count(alloc), reference.size);
	struct run all;
	assert_true(alloc_take(alloc, 0, reference.size, &all));
	assert_int_equal(all.count, reference.size);
	alloc_destroy(alloc);
}

static void test_against_reference(void **state)
{
	for (uint64_t seed = 1; seed <= 12; seed++)
		run_sequence(seed);
}

static void test_goal_is_preferred(void **state)
{
	struct alloc *alloc = alloc_create(1000);
	struct run run;
	assert_true(alloc_take(alloc, UINT64_MAX, 10, &run));
	assert_int_equal(run.block, 0);
	assert_true(alloc_take(alloc, 500, 64, &run));
	assert_int_equal(run.block, 500);
	assert_true(alloc_take(alloc, 10, 3, &run)); /* where the first one ended */
	assert_int_equal(run.block, 10);
	assert_true(alloc_take(alloc, 490, 20, &run)); /* too short there: next fit */
	assert_int_equal(run.count, 20);
	assert_int_equal(run.block, 13);
	alloc_destroy(alloc);
}

static void test_claim(void **state)
{
	struct alloc *alloc = alloc_create(130);
	assert_true(alloc_claim(alloc, (struct run){60, 70}));
	assert_false(alloc_claim(alloc, (struct run){0, 61}));
	assert_int_equal(alloc_free_count(alloc), 60);
	assert_true(alloc_claim(alloc, (struct run){0, 60}));
	assert_false(alloc_claim(alloc, (struct run){130, 1}));
	assert_false(alloc_claim(alloc, (struct run){0, UINT64_MAX}));
	assert_false(alloc_claim(alloc, (struct run){UINT64_MAX, 2}));
	assert_null(alloc_create(0));
	alloc_destroy(alloc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_reference),
		cmocka_unit_test(test_goal_is_preferred),
		cmocka_unit_test(test_claim),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
