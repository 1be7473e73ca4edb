/* Percentiles and the equal error rate, on numbers small enough to check by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stats.h"

static void percentiles(void **state)
{
	double values[] = {5, 1, 4, 2, 3};
	assert_true(stats_percentile(values, 5, 50) == 3);
	assert_true(stats_percentile(values, 5, 99) == 5);
	assert_true(stats_percentile(values, 5, 0) == 1);
	assert_true(stats_percentile(values, 5, 20) == 1);
	assert_true(stats_percentile(values, 5, 21) == 2);
	assert_true(stats_percentile(values, 0, 50) == 0);
}

static void separated_pairs_have_no_errors(void **state)
{
	float genuine[] = {0.3f, 0.1f, 0.2f}, impostor[] = {0.6f, 0.5f}, threshold;
	double eer;
	assert_true(stats_equal_error(genuine, 3, impostor, 2, &eer, &threshold));
	assert_true(eer == 0);
	assert_true(threshold > 0.3f && threshold < 0.5f);
}

static void overlapping_pairs(void **state)
{
	/* At 0.45: one of four genuine rejected, one of four impostors accepted. */
	float genuine[] = {0.1f, 0.2f, 0.3f, 0.6f}, impostor[] = {0.4f, 0.5f, 0.7f, 0.8f}, threshold;
	double eer;
	assert_true(stats_equal_error(genuine, 4, impostor, 4, &eer, &threshold));
	assert_true(eer == 0.25);
	assert_true(threshold > 0.4f && threshold < 0.5f);
}

static void equal_distances_go_together(void **state)
{
	float genuine[] = {0.5f, 0.5f}, impostor[] = {0.5f, 0.5f}, threshold;
	double eer;
	assert_true(stats_equal_error(genuine, 2, impostor, 2, &eer, &threshold));
	assert_true(eer == 0.5);
}

static void without_pairs_there_is_no_rate(void **state)
{
	float genuine[] = {0.5f}, threshold;
	double eer;
	assert_false(stats_equal_error(genuine, 1, NULL, 0, &eer, &threshold));
	assert_false(stats_equal_error(NULL, 0, genuine, 1, &eer, &threshold));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percentiles),
		cmocka_unit_test(separated_pairs_have_no_errors),
		cmocka_unit_test(overlapping_pairs),
		cmocka_unit_test(equal_distances_go_together),
		cmocka_unit_test(without_pairs_there_is_no_rate),
	};
	return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
