/* The generator: the same bytes for ever, and as hard as it promises. */
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
#include "synth.h"

enum { PEOPLE = 64, EACH = 4, OTHERS = 10 };

static uint64_t hash_of(const void *bytes, size_t size)
{
	uint64_t hash = 14695981039346656037u;
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ ((const uint8_t *)bytes)[i]) * 1099511628211u;
	return hash;
}

static void the_same_bytes_for_ever(void **state)
{
	static synth_identity identity, again;
	uint8_t photo[LBP_PHOTO];
	synth_make_identity(&identity, 1, 7);
	synth_make_identity(&again, 1, 7);
	assert_memory_equal(&identity, &again, sizeof identity);
	assert_int_equal(hash_of(identity.map, sizeof identity.map), 0x5d6a0321da26a1fdu);
	synth_make_photo(&identity, 3, photo);
	assert_int_equal(hash_of(photo, sizeof photo), 0x7c2c39e539b0df4fu);
}

static void every_number_matters(void **state)
{
	static synth_identity identity, other;
	uint8_t one[LBP_PHOTO], two[LBP_PHOTO];
	synth_make_identity(&identity, 1, 7);
	synth_make_identity(&other, 1, 8);
	assert_memory_not_equal(identity.map, other.map, sizeof identity.map);
	synth_make_identity(&other, 2, 7);
	assert_memory_not_equal(identity.map, other.map, sizeof identity.map);
	synth_make_photo(&identity, 0, one);
	synth_make_photo(&identity, 1, two);
	assert_memory_not_equal(one, two, sizeof one);
}

static double error_rate(uint64_t seed)
{
	static uint8_t histograms[PEOPLE][EACH][LBP_HISTOGRAM];
	static synth_identity identity;
	static float genuine[PEOPLE * EACH], impostor[PEOPLE * EACH * OTHERS];
	size_t genuine_count = 0, impostor_count = 0;
	for (uint32_t i = 0; i < PEOPLE; i++) {
		synth_make_identity(&identity, seed, i);
		for (uint32_t k = 0; k < EACH; k++) {
			uint8_t photo[LBP_PHOTO];
			synth_make_photo(&identity, k, photo);
			lbp_histogram(photo, histograms[i][k]);
		}
	}
	for (uint32_t i = 0; i < PEOPLE; i++) {
		for (uint32_t k = 1; k < EACH; k++) {
			genuine[genuine_count++] = (float)lbp_distance(histograms[i][0], histograms[i][k]);
			for (uint32_t j = 1; j <= OTHERS; j++)
				impostor[impostor_count++] =
					(float)lbp_distance(histograms[(i + j * 5) % PEOPLE][0], histograms[i][k]);
		}
	}
	double eer;
	float threshold;
	assert_true(
		stats_equal_error(genuine, genuine_count, impostor, impostor_count, &eer, &threshold));
	return eer;
}

static void neither_trivial_nor_hopeless(void **state)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		const double eer = error_rate(seed);
		assert_true(eer > 0.02);
		assert_true(eer < 0.12);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_bytes_for_ever),
		cmocka_unit_test(every_number_matters),
		cmocka_unit_test(neither_trivial_nor_hopeless),
	};
	return cmocka_run_group_tests_name("synth", tests, NULL, NULL);
}
