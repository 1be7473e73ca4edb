/* The histogram: its precision over its whole range, merging, quantiles, overflow. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "histogram.h"

static struct histogram *empty(void)
{
	struct histogram *h = calloc(1, sizeof *h);
	assert_non_null(h);
	return h;
}

static void test_empty(void **state)
{
	struct histogram *h = empty();
	assert_int_equal(histogram_quantile(h, 0.5), 0);
	assert_int_equal(histogram_quantile(h, 1), 0);
	free(h);
}

/* One sample between two far ones is read back as the median, within the precision promised. */
static void test_precision(void **state)
{
	for (uint64_t value = 1; value < HISTOGRAM_LIMIT; value += 1 + value / 97) {
		struct histogram *h = empty();
		histogram_add(h, 0);
		histogram_add(h, value);
		histogram_add(h, HISTOGRAM_LIMIT - 1);
		double read = (double)histogram_quantile(h, 0.5);
		double error = fabs(read - (double)value);
		if (value < 256)
			assert_true(error < 0.5);
		else
			assert_true(error <= 0.004 * (double)value);
		assert_int_equal(h->overflow, 0);
		free(h);
	}
}

/* Each value has a bucket, in order: no gap and no overlap where the width changes. */
static void test_edges(void **state)
{
	for (unsigned bits = 1; bits < HISTOGRAM_LIMIT_BITS; bits++) {
		const uint64_t edge = UINT64_C(1) << bits;
		struct histogram *h = empty();
		histogram_add(h, edge - 1);
		histogram_add(h, edge);
		histogram_add(h, edge + 1);
		assert_int_equal(h->least, edge - 1);
		assert_int_equal(h->greatest, edge + 1);
		uint64_t low = histogram_quantile(h, 0), mid = histogram_quantile(h, 0.5);
		uint64_t high = histogram_quantile(h, 1);
		assert_true(low <= mid && mid <= high && low >= edge - 1 && high <= edge + 1);
		free(h);
	}
}

static void test_quantiles(void **state)
{
	struct histogram *h = empty();
	for (uint64_t i = 1; i <= 100; i++)
		histogram_add(h, i);
	assert_int_equal(histogram_quantile(h, 0), 1);
	assert_int_equal(histogram_quantile(h, 0.01), 1);
	assert_int_equal(histogram_quantile(h, 0.5), 50);
	assert_int_equal(histogram_quantile(h, 0.99), 99);
	assert_int_equal(histogram_quantile(h, 0.991), 100);
	assert_int_equal(histogram_quantile(h, 1), 100);
	free(h);
}

static void test_merge(void **state)
{
	struct histogram *all = empty(), *odd = empty(), *even = empty(), *none = empty();
	for (uint64_t i = 0; i < 5000; i++) {
		uint64_t value = i * i * 977;
		histogram_add(all, value);
		histogram_add(i % 2 ? odd : even, value);
	}
	histogram_add(all, HISTOGRAM_LIMIT + 5);
	histogram_add(even, HISTOGRAM_LIMIT + 5);
	histogram_merge(odd, even);
	histogram_merge(odd, none);
	assert_memory_equal(odd, all, sizeof *all);
	histogram_merge(none, all);
	assert_memory_equal(none, all, sizeof *all);
	free(all);
	free(odd);
	free(even);
	free(none);
}

static void test_overflow(void **state)
{
	struct histogram *h = empty();
	histogram_add(h, 200);
	histogram_add(h, HISTOGRAM_LIMIT);
	histogram_add(h, UINT64_MAX);
	assert_int_equal(h->count, 3);
	assert_int_equal(h->overflow, 2);
	assert_int_equal(histogram_quantile(h, 0.3), 200);
	assert_true(histogram_quantile(h, 0.99) == UINT64_MAX);
	free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty), cmocka_unit_test(test_precision),
		cmocka_unit_test(test_edges), cmocka_unit_test(test_quantiles),
		cmocka_unit_test(test_merge), cmocka_unit_test(test_overflow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
