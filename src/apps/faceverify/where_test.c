/* Spans to shares of time, on batches small enough to add up by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <math.h>

#include <cmocka.h>

#include "where.h"

#define US(us) ((uint64_t)(us)*1000 + 5000000)

static fos_recorder_span span(unsigned kind, const char *label, uint64_t id, uint64_t parent,
							  unsigned begin_us, unsigned end_us)
{
	fos_recorder_span out = {.kind = (uint16_t)kind,
							 .id = id,
							 .parent = parent,
							 .begin = US(begin_us),
							 .end = US(end_us)};
	(void)snprintf(out.label, sizeof out.label, "%s", label);
	return out;
}

static void check(const where_picture *where, double read, double transfer, double compute,
				  double control)
{
	const double expected[WHERE_PARTS] = {read, transfer, compute, control};
	double sum = 0;
	for (unsigned i = 0; i < WHERE_PARTS; i++) {
		assert_true(fabs(where->us[i] - expected[i]) < 0.01);
		sum += where->us[i];
	}
	assert_true(fabs(sum - where->total_us) < 0.01);
}

static void one_piece(void **state)
{
	/* upload 10..20; blk 25..65, of which its copy 45..60; gpu 70..95, of which its copy 90..95 */
	const fos_recorder_span spans[] = {
		span(FOS_SPAN_COPY, "app", 1, 0, 10, 20),     span(FOS_SPAN_DELIVERY, "fs", 2, 1, 20, 25),
		span(FOS_SPAN_DELIVERY, "blk", 3, 2, 25, 65), span(FOS_SPAN_COPY, "blk", 4, 3, 45, 60),
		span(FOS_SPAN_COPY, "gpu", 6, 5, 90, 95),     span(FOS_SPAN_DELIVERY, "gpu", 5, 4, 70, 95),
	};
	where_picture where;
	where_make(spans, 6, US(0), US(100), &where);
	check(&where, 25, 30, 20, 25);
}

/* One slice: it is there at once, but it was on its way. Sends belong to copies in their order. */
static void a_copy_begins_where_it_sets_out(void **state)
{
	const fos_recorder_span spans[] = {
		span(FOS_SPAN_SEND, "app", 0, 0, 5, 6),       span(FOS_SPAN_COPY, "gpu", 1, 0, 15, 15),
		span(FOS_SPAN_SEND, "app", 0, 0, 50, 51),     span(FOS_SPAN_COPY, "gpu", 2, 0, 60, 60),
		span(FOS_SPAN_DELIVERY, "blk", 3, 9, 20, 45), span(FOS_SPAN_SEND, "blk", 0, 3, 30, 31),
		span(FOS_SPAN_COPY, "app", 4, 3, 40, 40),
	};
	where_picture where;
	where_make(spans, 7, US(0), US(100), &where);
	check(&where, 15, 30, 0, 55);
}

static void a_batch_is_whole_when_its_services_have_finished(void **state)
{
	fos_recorder_span spans[] = {
		span(FOS_SPAN_COPY, "gpu", 1, 0, 0, 10),      span(FOS_SPAN_DELIVERY, "blk", 2, 0, 10, 20),
		span(FOS_SPAN_COPY, "gpu", 3, 2, 15, 20),     span(FOS_SPAN_COPY, "app", 4, 5, 30, 30),
		span(FOS_SPAN_DELIVERY, "gpu", 5, 2, 20, 40),
	};
	for (unsigned i = 0; i < 5; i++)
		spans[i].trace = 70;
	assert_true(where_is_whole(spans, 5, 70, 1));
	assert_false(where_is_whole(spans, 4, 70, 1));
	assert_false(where_is_whole(spans + 1, 4, 70, 1));
	assert_false(where_is_whole(spans, 5, 70, 2));
	spans[1].trace = 71;
	assert_false(where_is_whole(spans, 5, 70, 1));
}

static void what_overlaps_is_shared(void **state)
{
	const fos_recorder_span spans[] = {
		span(FOS_SPAN_DELIVERY, "blk", 1, 0, 0, 50),
		span(FOS_SPAN_DELIVERY, "gpu", 2, 0, 30, 80),
		span(FOS_SPAN_DELIVERY, "gpu", 3, 0, 40, 60),
	};
	where_picture where;
	where_make(spans, 3, US(0), US(100), &where);
	check(&where, 40, 0, 40, 20);
}

static void what_is_outside_is_cut(void **state)
{
	const fos_recorder_span spans[] = {
		span(FOS_SPAN_COPY, "app", 1, 0, 0, 30),
		span(FOS_SPAN_DELIVERY, "gpu", 2, 0, 60, 200),
		span(FOS_SPAN_DELIVERY, "gpu", 3, 0, 200, 300),
	};
	where_picture where;
	where_make(spans, 3, US(20), US(100), &where);
	check(&where, 0, 10, 40, 30);
	assert_int_equal(where.busy[WHERE_TRANSFER][0], WHERE_LEVELS - 1);
	assert_int_equal(where.busy[WHERE_TRANSFER][WHERE_COLUMNS - 1], 0);
	assert_int_equal(where.busy[WHERE_COMPUTE][WHERE_COLUMNS - 1], WHERE_LEVELS - 1);
}

static void without_spans_all_is_control(void **state)
{
	where_picture where;
	where_make(NULL, 0, US(0), US(10), &where);
	check(&where, 0, 0, 0, 10);
	where_make(NULL, 0, US(10), US(10), &where);
	assert_true(where.total_us == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_piece),
		cmocka_unit_test(a_copy_begins_where_it_sets_out),
		cmocka_unit_test(a_batch_is_whole_when_its_services_have_finished),
		cmocka_unit_test(what_overlaps_is_shared),
		cmocka_unit_test(what_is_outside_is_cut),
		cmocka_unit_test(without_spans_all_is_control),
	};
	return cmocka_run_group_tests_name("where", tests, NULL, NULL);
}
