/* fos_args: every table that it makes is one that the Controller takes, in whatever order things
 * were named; every mistake is kept; circles are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/client.h"

struct encoded {
	_Alignas(8) uint8_t bytes[WIRE_RECORD_MAX];
	struct wire_args_view view;
	const struct wire_call_entry *entries;
	struct client_plan plan;
};

static fos_status encode(const fos_args *args, struct encoded *out)
{
	fos_status status = client_args_plan(args, &out->plan);
	if (status != FOS_OK)
		return status;
	/* Whatever was in the ring before must not show. */
	memset(out->bytes, 0xee, out->plan.size);
	client_args_encode(args, &out->plan, out->bytes);
	assert_true(wire_parse_call_args(out->bytes, out->plan.size, &out->view));
	assert_int_equal(out->view.size, out->plan.size);
	out->entries = out->view.entries;
	return FOS_OK;
}

static unsigned bound_value(const struct encoded *e, unsigned entry, unsigned index)
{
	for (unsigned i = 0; i < e->view.head->bound_count; i++) {
		if (e->view.bounds[i].entry == entry && e->view.bounds[i].index == index)
			return e->view.bounds[i].value;
	}
	fail_msg("#%u has no argument %u", entry, index);
	return 0;
}

static void no_arguments_are_a_table_too(void **state)
{
	struct encoded e;
	fos_args args;
	assert_int_equal(encode(NULL, &e), FOS_OK);
	assert_int_equal(e.view.head->entry_count, 1);
	fos_args_init(&args);
	assert_int_equal(encode(&args, &e), FOS_OK);
	assert_int_equal(e.plan.size, sizeof(struct wire_args) + sizeof(struct wire_call_entry));
}

/* read -> launch -> reply, named from the front or from the back: the same chain. */
static void chains_may_be_named_in_any_order(void **state)
{
	static const uint32_t grid = 7, range = 9;
	for (int backwards = 0; backwards < 2; backwards++) {
		struct encoded e;
		fos_args a;
		uint64_t call;
		fos_cap read, launch;
		fos_args_init(&a);
		if (backwards) {
			launch = fos_args_refine(&a, 22);
			fos_args_cap(&a, launch, FOS_NEXT, 33);
			fos_args_imm(&a, launch, FOS_ARG, &grid, sizeof grid);
			read = fos_args_refine(&a, 11);
			fos_args_imm(&a, read, FOS_ARG, &range, sizeof range);
			fos_args_cap(&a, read, FOS_NEXT, launch);
		} else {
			read = fos_args_refine(&a, 11);
			fos_args_imm(&a, read, FOS_ARG, &range, sizeof range);
			launch = fos_args_refine(&a, 22);
			fos_args_cap(&a, read, FOS_NEXT, launch);
			fos_args_imm(&a, launch, FOS_ARG, &grid, sizeof grid);
			fos_args_cap(&a, launch, FOS_NEXT, 33);
		}
		fos_args_on_error(&a, FOS_CALL, 33);
		fos_args_cap(&a, FOS_CALL, FOS_NEXT, read);
		assert_int_equal(encode(&a, &e), FOS_OK);
		assert_int_equal(e.view.head->entry_count, 4); /* slot 33 stands once */
		unsigned r = bound_value(&e, 0, FOS_NEXT), l = bound_value(&e, r, FOS_NEXT);
		unsigned reply = bound_value(&e, l, FOS_NEXT);
		assert_int_equal(e.entries[r].cap, 11);
		assert_int_equal(e.entries[l].cap, 22);
		assert_int_equal(e.entries[reply].cap, 33);
		assert_int_equal(e.entries[reply].kind, WIRE_ENTRY_SLOT);
		assert_int_equal(e.entries[0].on_error, reply);
		assert_int_equal(e.view.ranges[0].entry, l);
		assert_memory_equal(e.view.imm, &grid, sizeof grid);
		assert_memory_equal(e.view.imm + sizeof grid, &range, sizeof range);
		assert_int_equal(client_args_cap(&a, &e.plan, read, &call), FOS_OK);
		assert_int_equal(call, WIRE_IN_CALL | r);
	}
}

static void names_are_bases_too(void **state)
{
	struct encoded e;
	fos_args a;
	fos_args_init(&a);
	fos_cap part = fos_args_diminish(&a, 5, 10, 20, FOS_WRITE);
	fos_cap smaller = fos_args_diminish(&a, part, 1, 2, 0);
	fos_cap request = fos_args_refine(&a, 6);
	fos_cap more = fos_args_refine(&a, request);
	fos_args_cap(&a, more, 1, smaller);
	fos_args_on_error(&a, request, more);
	/* request waits for more, more is made of request: a circle. */
	assert_int_equal(encode(&a, &e), FOS_INVALID);
	fos_args_init(&a);
	part = fos_args_diminish(&a, 5, 10, 20, FOS_WRITE);
	smaller = fos_args_diminish(&a, part, 1, 2, 0);
	fos_args_cap(&a, FOS_CALL, 1, smaller);
	assert_int_equal(encode(&a, &e), FOS_OK);
	unsigned s = bound_value(&e, 0, 1);
	assert_int_equal(e.entries[s].offset, 1);
	assert_int_equal(e.entries[s].cap & ~WIRE_IN_CALL, 1);
	assert_int_equal(e.entries[1].drop, FOS_WRITE);
	assert_int_equal(e.entries[1].length, 20);
}

static void circles_are_refused(void **state)
{
	struct encoded e;
	fos_args a;
	fos_args_init(&a);
	fos_cap one = fos_args_refine(&a, 1);
	fos_args_cap(&a, one, 0, one);
	assert_int_equal(encode(&a, &e), FOS_INVALID);
	fos_args_init(&a);
	one = fos_args_refine(&a, 1);
	fos_cap two = fos_args_refine(&a, 2);
	fos_args_cap(&a, one, 0, two);
	fos_args_cap(&a, two, 0, one);
	fos_args_cap(&a, FOS_CALL, 0, one);
	assert_int_equal(encode(&a, &e), FOS_INVALID);
}

/* `steps` on fresh arguments end in `status`, which stays the first mistake. */
#define EXPECT(expected, steps)                         \
	do {                                                \
		fos_args a;                                     \
		struct encoded e;                               \
		fos_args_init(&a);                              \
		fos_cap r = fos_args_refine(&a, 1);             \
		fos_cap m = fos_args_diminish(&a, 2, 0, 1, 0);  \
		(void)r;                                        \
		(void)m;                                        \
		steps;                                          \
		assert_int_equal(encode(&a, &e), expected);     \
		if ((expected) != FOS_OK) {                     \
			fos_args_imm(&a, r, 4000, "x", 1);          \
			assert_int_equal(encode(&a, &e), expected); \
		}                                               \
	} while (0)

static void mistakes_are_kept(void **state)
{
	static const uint8_t bytes[FOS_IMM_MAX + 1];
	EXPECT(FOS_OK, (void)0);
	EXPECT(FOS_OK, fos_args_imm(&a, FOS_CALL, 5, NULL, 0));
	EXPECT(FOS_INVALID, fos_args_imm(&a, FOS_CALL, 5, NULL, 1));
	EXPECT(FOS_OK, fos_args_imm(&a, FOS_CALL, 0, bytes, FOS_IMM_MAX));
	EXPECT(FOS_INVALID, fos_args_imm(&a, FOS_CALL, 0, bytes, FOS_IMM_MAX + 1));
	EXPECT(FOS_INVALID, fos_args_imm(&a, FOS_CALL, FOS_IMM_MAX, bytes, 1));
	EXPECT(FOS_INVALID, fos_args_imm(&a, FOS_CALL, UINT32_MAX, bytes, 1));
	EXPECT(FOS_INVALID, fos_args_imm(&a, FOS_CALL, 0, bytes, SIZE_MAX));
	EXPECT(FOS_INVALID, fos_args_imm(&a, m, 0, bytes, 1)); /* a Memory has no arguments */
	EXPECT(FOS_INVALID, fos_args_imm(&a, 7, 0, bytes, 1)); /* nor has a slot here */
	EXPECT(FOS_INVALID, fos_args_imm(&a, FOS_CALL | 3, 0, bytes, 1));
	EXPECT(FOS_OVERLAP, (fos_args_imm(&a, r, 8, bytes, 8), fos_args_imm(&a, r, 15, bytes, 1)));
	EXPECT(FOS_OVERLAP, (fos_args_imm(&a, r, 8, bytes, 8), fos_args_imm(&a, r, 0, bytes, 9)));
	EXPECT(FOS_OVERLAP, (fos_args_imm(&a, r, 8, bytes, 8), fos_args_imm(&a, r, 8, bytes, 8)));
	EXPECT(FOS_OK, (fos_args_imm(&a, r, 8, bytes, 8), fos_args_imm(&a, FOS_CALL, 8, bytes, 8)));
	EXPECT(FOS_OK, (fos_args_imm(&a, r, 8, bytes, 8), fos_args_imm(&a, r, 0, bytes, 8),
					fos_args_imm(&a, r, 16, bytes, 8)));
	EXPECT(FOS_INVALID, fos_args_cap(&a, FOS_CALL, FOS_CAPS_MAX, 9));
	EXPECT(FOS_OK, fos_args_cap(&a, FOS_CALL, FOS_CAPS_MAX - 1, 9));
	EXPECT(FOS_INVALID, fos_args_cap(&a, FOS_CALL, 0, FOS_CAP_NONE));
	EXPECT(FOS_INVALID, fos_args_cap(&a, FOS_CALL, 0, FOS_CALL));
	EXPECT(FOS_INVALID, fos_args_cap(&a, FOS_CALL, 0, FOS_CALL | 3));
	EXPECT(FOS_INVALID, fos_args_cap(&a, m, 0, 9));
	EXPECT(FOS_OVERLAP, (fos_args_cap(&a, r, 0, 9), fos_args_cap(&a, r, 0, 8)));
	EXPECT(FOS_INVALID, fos_args_on_error(&a, FOS_CALL, FOS_CAP_NONE));
	EXPECT(FOS_INVALID, fos_args_on_error(&a, m, 9));
	EXPECT(FOS_OVERLAP, (fos_args_on_error(&a, r, 9), fos_args_on_error(&a, r, 9)));
	EXPECT(FOS_INVALID, fos_args_refine(&a, FOS_CAP_NONE));
	EXPECT(FOS_INVALID, fos_args_refine(&a, FOS_CALL));
	EXPECT(FOS_INVALID, fos_args_refine(&a, FOS_CALL | 40));
	EXPECT(FOS_INVALID, fos_args_diminish(&a, 3, 0, 1, 4));
	/* What a mistake returned may be used without harm. */
	EXPECT(FOS_INVALID, fos_args_cap(&a, fos_args_refine(&a, FOS_CAP_NONE), 0, 5));
}

static void everything_is_bounded(void **state)
{
	static const uint8_t bytes[FOS_IMM_MAX];
	fos_args a;
	struct encoded e;
	fos_args_init(&a);
	for (unsigned i = 1; i < FOS_ENTRIES_MAX; i++)
		fos_args_refine(&a, i);
	assert_int_equal(encode(&a, &e), FOS_OK);
	fos_args_refine(&a, 99);
	assert_int_equal(encode(&a, &e), FOS_INVALID);

	fos_args_init(&a);
	for (uint32_t i = 0; i < FOS_RANGES_MAX; i++)
		fos_args_imm(&a, FOS_CALL, (FOS_RANGES_MAX - i) * 16, bytes, 8);
	assert_int_equal(encode(&a, &e), FOS_OK);
	fos_args_imm(&a, FOS_CALL, 8000, bytes, 1);
	assert_int_equal(encode(&a, &e), FOS_INVALID);

	fos_args_init(&a);
	fos_cap one = fos_args_refine(&a, 1), two = fos_args_refine(&a, 2);
	fos_args_imm(&a, one, 0, bytes, FOS_IMM_MAX);
	fos_args_imm(&a, two, 0, bytes, FOS_IMM_MAX);
	assert_int_equal(encode(&a, &e), FOS_OK);
	fos_args_imm(&a, FOS_CALL, 0, bytes, 1);
	assert_int_equal(encode(&a, &e), FOS_INVALID); /* FOS_IMM_TOTAL */

	fos_args_init(&a);
	fos_cap r[4];
	for (int i = 0; i < 4; i++)
		r[i] = fos_args_refine(&a, 1);
	for (unsigned i = 0; i < 2 * FOS_ENTRIES_MAX; i++)
		fos_args_cap(&a, r[i / FOS_CAPS_MAX], i % FOS_CAPS_MAX, 5);
	assert_int_equal(encode(&a, &e), FOS_OK);
	fos_args_cap(&a, r[3], 0, 5);
	assert_int_equal(encode(&a, &e), FOS_INVALID);
}

/* Random graphs: what is accepted is well formed, and what has no circle is accepted. */
static void random_graphs_are_encoded(void **state)
{
	struct base_random random = {.state = 5};
	static struct encoded e;
	unsigned circles = 0, chains = 0;
	for (int round = 0; round < 20000; round++) {
		fos_args a;
		fos_cap names[20];
		unsigned count = 1 + (unsigned)base_random_below(&random, 20);
		bool rising = base_random_below(&random, 2);
		fos_args_init(&a);
		for (unsigned i = 0; i < count; i++)
			names[i] = fos_args_refine(&a, 100 + i);
		for (unsigned n = 0; n < count; n++) {
			unsigned from = (unsigned)base_random_below(&random, count);
			unsigned to = (unsigned)base_random_below(&random, count);
			if (rising && from <= to) {
				fos_args_cap(&a, names[from], n % FOS_CAPS_MAX, 900 + to);
				continue;
			}
			fos_args_cap(&a, names[from], n % FOS_CAPS_MAX, names[to]);
		}
		fos_args_cap(&a, FOS_CALL, 0, names[0]);
		fos_status status = encode(&a, &e);
		if (rising)
			assert_int_equal(status, FOS_OK);
		circles += status == FOS_INVALID;
		chains += status == FOS_OK;
	}
	assert_true(circles > 1000 && chains > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_arguments_are_a_table_too),
		cmocka_unit_test(chains_may_be_named_in_any_order),
		cmocka_unit_test(names_are_bases_too),
		cmocka_unit_test(circles_are_refused),
		cmocka_unit_test(mistakes_are_kept),
		cmocka_unit_test(everything_is_bounded),
		cmocka_unit_test(random_graphs_are_encoded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
