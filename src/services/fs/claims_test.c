/* Claims and limbo: orders of granting against a model, and when blocks come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "claims.h"
#include "direct.h"
#include "limbo.h"

enum { SETS = 40, FILES = 6, STEPS = 20000 };

struct holder {
	struct claim_set set;
	bool used, alone[FILES], wants[FILES];
	uint64_t number; /* in the order of entering */
};

static struct holder holders[SETS];
static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (random_state >> 33) % bound;
}

static void granted(void *owner, void *arg)
{
	++*(unsigned *)arg;
}

/* Whether nobody who came earlier stands in the way. */
static bool may_run(const struct holder *holder)
{
	for (unsigned i = 0; i < SETS; i++) {
		const struct holder *other = &holders[i];
		if (!other->used || other->number >= holder->number)
			continue;
		for (unsigned file = 0; file < FILES; file++)
			if (holder->wants[file] && other->wants[file] &&
				(holder->alone[file] || other->alone[file]))
				return false;
	}
	return true;
}

static void enter(struct claims *claims, struct holder *holder, uint64_t number)
{
	memset(holder, 0, sizeof *holder);
	holder->used = true;
	holder->number = number;
	bool alone = random_below(2);
	uint32_t count = 1 + (uint32_t)random_below(4);
	assert_true(claims_prepare(&holder->set, count, holder));
	for (uint32_t i = 0; i < count; i++) {
		unsigned file = (unsigned)random_below(FILES); /* the same one twice, now and then */
		assert_true(claims_enter(claims, &holder->set, file * 1024, alone));
		holder->wants[file] = true;
		holder->alone[file] = alone;
	}
}

static void test_order(void **state)
{
	static struct claims claims;
	unsigned told = 0, expected = 0;
	random_state = 3;
	for (unsigned step = 0; step < STEPS; step++) {
		struct holder *holder = &holders[random_below(SETS)];
		unsigned waiting = 0, still = 0;
		for (unsigned i = 0; i < SETS; i++)
			waiting += holders[i].used && &holders[i] != holder && holders[i].set.missing > 0;
		if (!holder->used) {
			enter(&claims, holder, step);
			still = waiting;
		} else { /* also one that waits may leave */
			claims_leave(&claims, &holder->set, granted, &told);
			holder->used = false;
		}
		for (unsigned i = 0; i < SETS; i++) {
			if (!holders[i].used)
				continue;
			assert_int_equal(holders[i].set.missing == 0, may_run(&holders[i]));
			still += &holders[i] != holder && holders[i].set.missing > 0 && !holder->used;
		}
		if (!holder->used)
			expected += waiting - still;
		assert_int_equal(told, expected);
	}
	for (unsigned i = 0; i < SETS; i++)
		if (holders[i].used)
			claims_leave(&claims, &holders[i].set, granted, &told);
	assert_int_equal(claims.files, 0);
	assert_false(claims_busy(&claims, 0));
	assert_true(told > 1000);
}

static void count_blocks(struct run run, void *arg)
{
	*(uint64_t *)arg += run.count;
}

static bool unused(struct run run, void *arg)
{
	return false;
}

static void test_limbo(void **state)
{
	struct limbo limbo = {0};
	uint64_t given = 0;
	for (uint64_t i = 0; i < 200; i++)
		assert_true(limbo_add(&limbo, (struct run){i * 10, 2}, 100 + i, 5));
	assert_true(limbo_add(&limbo, (struct run){9000, 7}, 0, 6));
	assert_int_equal(limbo.blocks, 407);
	assert_false(
		limbo_release(&limbo, 1000, 4, unused, count_blocks, &given)); /* not on the disk yet */
	assert_true(limbo_release(&limbo, 149, 5, unused, count_blocks, &given)); /* 100 to 149 */
	assert_int_equal(given, 100);
	assert_true(limbo_release(&limbo, 1000, 6, unused, count_blocks, &given));
	assert_int_equal(given, 407);
	assert_int_equal(limbo.blocks, 0);
	assert_false(limbo_release(&limbo, 1000, 6, unused, count_blocks, &given));
	limbo_clear(&limbo);
}

/* The kernel takes no timer whose nanoseconds are a second, and then none would end a lease. */
static void timers_are_valid(void **state)
{
	const uint64_t second = 1000000000;
	const uint64_t ends[] = {0, second - 2, second - 1, second, 7 * second - 1, UINT64_MAX - 1};
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	assert_true(timer >= 0);
	for (unsigned i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		const struct itimerspec when = {.it_value = direct_after(ends[i])};
		assert_int_equal((uint64_t)when.it_value.tv_sec * second + (uint64_t)when.it_value.tv_nsec,
						 ends[i] + 1);
		assert_int_equal(timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL), 0);
	}
	close(timer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_limbo),
		cmocka_unit_test(timers_are_valid),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
