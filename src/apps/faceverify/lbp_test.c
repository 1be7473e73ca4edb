/* The reference operator against its description in lbp.h, and fixed against change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lbp.h"

static void fill(uint8_t photo[LBP_PHOTO], uint64_t seed)
{
	for (unsigned i = 0; i < LBP_PHOTO; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		photo[i] = (uint8_t)(seed >> 56);
	}
}

static void there_are_58_uniform_codes(void **state)
{
	uint8_t bins[256];
	unsigned seen[LBP_BINS] = {0};
	lbp_bins(bins);
	for (unsigned code = 0; code < 256; code++) {
		assert_in_range(bins[code], 0, LBP_BINS - 1);
		seen[bins[code]]++;
	}
	for (unsigned bin = 0; bin < LBP_BINS - 1; bin++)
		assert_int_equal(seen[bin], 1);
	assert_int_equal(seen[LBP_BINS - 1], 256 - 58);
	/* Turned around the circle, a uniform code stays uniform. */
	for (unsigned code = 0; code < 256; code++) {
		const uint8_t turned = (uint8_t)(code << 1 | code >> 7);
		assert_int_equal(bins[code] == LBP_BINS - 1, bins[turned] == LBP_BINS - 1);
	}
	assert_int_equal(bins[0x00], 0);
	assert_int_equal(bins[0xff], 57);
	assert_int_equal(bins[0x05], 58);
}

/* One bright pixel at each tap in turn: which bits its neighbours in the code feel. */
static void points_are_where_they_should_be(void **state)
{
	static const struct {
		int dx, dy;
		uint8_t dark; /* bits that stay 0 with only this pixel bright, centre 1 */
	} taps[] = {{2, 0, 0xfe},   {0, -2, 0xfb}, {-2, 0, 0xef}, {0, 2, 0xbf},  {1, -1, 0xfd},
				{-1, -1, 0xf7}, {-1, 1, 0xdf}, {1, 1, 0x7f},  {2, -2, 0xfd}, {-2, -2, 0xf7},
				{-2, 2, 0xdf},  {2, 2, 0x7f},  {2, -1, 0xfd}, {1, -2, 0xfd}, {-1, -2, 0xf7},
				{-2, 1, 0xdf},  {1, 0, 0xff},  {0, 1, 0xff}};
	for (unsigned i = 0; i < sizeof taps / sizeof taps[0]; i++) {
		uint8_t photo[LBP_PHOTO] = {0};
		photo[50 * LBP_WIDTH + 40] = 1;
		photo[(50 + taps[i].dy) * LBP_WIDTH + 40 + taps[i].dx] = 255;
		assert_int_equal(lbp_code(photo, 40, 50), (uint8_t)~taps[i].dark);
	}
}

static void the_sign_at_equality_is_one(void **state)
{
	uint8_t photo[LBP_PHOTO];
	memset(photo, 77, sizeof photo);
	assert_int_equal(lbp_code(photo, 10, 10), 0xff);
	photo[10 * LBP_WIDTH + 10] = 78;
	assert_int_equal(lbp_code(photo, 10, 10), 0);
}

static void light_does_not_matter(void **state)
{
	uint8_t photo[LBP_PHOTO], darker[LBP_PHOTO], one[LBP_HISTOGRAM], other[LBP_HISTOGRAM];
	fill(photo, 3);
	for (unsigned i = 0; i < LBP_PHOTO; i++) {
		photo[i] = photo[i] & 0x7f;
		darker[i] = (uint8_t)(photo[i] * 2 + 1);
	}
	lbp_histogram(photo, one);
	lbp_histogram(darker, other);
	assert_memory_equal(one, other, sizeof one);
}

static void every_pixel_is_counted_once(void **state)
{
	uint8_t photo[LBP_PHOTO], histogram[LBP_HISTOGRAM];
	fill(photo, 4);
	lbp_histogram(photo, histogram);
	for (unsigned region = 0; region < LBP_REGIONS; region++) {
		unsigned sum = 0;
		for (unsigned bin = 0; bin < LBP_BINS; bin++)
			sum += histogram[region * LBP_STRIDE + bin];
		assert_int_equal(sum, LBP_REGION_WIDTH * LBP_REGION_HEIGHT);
		for (unsigned bin = LBP_BINS; bin < LBP_STRIDE; bin++)
			assert_int_equal(histogram[region * LBP_STRIDE + bin], 0);
	}
}

static void a_pixel_touches_its_region_only(void **state)
{
	uint8_t photo[LBP_PHOTO], before[LBP_HISTOGRAM], after[LBP_HISTOGRAM];
	fill(photo, 5);
	lbp_histogram(photo, before);
	/* In the middle of region (3, 2): columns 2 + 33 .. 45, rows 2 + 36 .. 55. */
	photo[(2 + 2 * 18 + 9) * LBP_WIDTH + 2 + 3 * 11 + 5] ^= 0x80;
	lbp_histogram(photo, after);
	for (unsigned region = 0; region < LBP_REGIONS; region++) {
		const bool same =
			memcmp(before + region * LBP_STRIDE, after + region * LBP_STRIDE, LBP_STRIDE) == 0;
		assert_int_equal(same, region != 2 * LBP_COLUMNS + 3);
	}
}

static void the_distance_is_chi_square(void **state)
{
	uint8_t a[LBP_HISTOGRAM] = {0}, b[LBP_HISTOGRAM] = {0};
	assert_true(lbp_distance(a, b) == 0);
	a[0] = 30;
	b[0] = 10;  /* 400 / 40 */
	b[100] = 7; /* 49 / 7 */
	const double expected = 17.0 / (2 * 48 * 198);
	assert_true(lbp_distance(a, b) == expected && lbp_distance(b, a) == expected);

	uint8_t photo[LBP_PHOTO];
	fill(photo, 6);
	lbp_histogram(photo, a);
	memset(photo, 0, sizeof photo);
	for (unsigned i = 0; i < LBP_HISTOGRAM; i++)
		b[i] = a[i] > 0 ? 0 : i % LBP_STRIDE == LBP_BINS ? LBP_REGION_WIDTH * LBP_REGION_HEIGHT : 0;
	assert_true(lbp_distance(a, b) == 1); /* nothing in common */
	assert_true(lbp_distance(a, a) == 0);
}

static void the_histogram_of_a_known_photo(void **state)
{
	uint8_t photo[LBP_PHOTO], histogram[LBP_HISTOGRAM];
	fill(photo, 2006);
	lbp_histogram(photo, histogram);
	uint64_t hash = 14695981039346656037u;
	for (unsigned i = 0; i < LBP_HISTOGRAM; i++)
		hash = (hash ^ histogram[i]) * 1099511628211u;
	assert_int_equal(hash, 0xecb887806b6c23d7u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_are_58_uniform_codes),
		cmocka_unit_test(points_are_where_they_should_be),
		cmocka_unit_test(the_sign_at_equality_is_one),
		cmocka_unit_test(light_does_not_matter),
		cmocka_unit_test(every_pixel_is_counted_once),
		cmocka_unit_test(a_pixel_touches_its_region_only),
		cmocka_unit_test(the_distance_is_chi_square),
		cmocka_unit_test(the_histogram_of_a_known_photo),
	};
	return cmocka_run_group_tests_name("lbp", tests, NULL, NULL);
}
