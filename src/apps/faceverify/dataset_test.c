/* The set of faces, from the generator and from folders of good and bad files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataset.h"
#include "stats.h"

static unsigned complaints;
static char last_complaint[1024];

static void complain(const char *text)
{
	complaints++;
	(void)snprintf(last_complaint, sizeof last_complaint, "%s", text);
}

static void synthetic(void **state)
{
	const dataset_options options = {.identities = 20, .probes = 200, .seed = 5};
	dataset set, again;
	char error[PHOTO_ERROR_MAX];
	assert_true(dataset_make(&options, &set, error));
	assert_int_equal(set.identity_count, 20);
	assert_int_equal(set.probe_count, 200);
	unsigned genuine = 0;
	for (unsigned i = 0; i < 200; i++) {
		const dataset_probe *probe = &set.probes[i];
		assert_null(probe->error);
		/* "face-0007 photo 3" claims "face-0007" or somebody else's name, as it says. */
		const bool own = strncmp(probe->source, probe->name, strlen("face-0000")) == 0;
		assert_int_equal(own, probe->genuine);
		genuine += own;
	}
	assert_in_range(genuine, 70, 130);

	double eer;
	float threshold;
	assert_true(stats_equal_error(set.genuine, set.genuine_count, set.impostor, set.impostor_count,
								  &eer, &threshold));
	assert_true(eer > 0.01 && eer < 0.12);
	assert_true(dataset_make(&options, &again, error));
	assert_memory_equal(set.photos, again.photos, 200 * LBP_PHOTO);
	for (unsigned i = 0; i < 200; i++)
		assert_string_equal(set.probes[i].name, again.probes[i].name);
	dataset_free(&again);
	dataset_free(&set);
}

static void write_file(const char *folder, const char *name, const char *text, size_t size)
{
	char path[256];
	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static void write_pgm(const char *folder, const char *name, unsigned seed)
{
	char text[32 + LBP_PHOTO];
	int used = sprintf(text, "P5 %d %d 255\n", LBP_WIDTH, LBP_HEIGHT);
	for (unsigned i = 0; i < LBP_PHOTO; i++)
		text[(size_t)used + i] = (char)((i * seed) >> 3);
	write_file(folder, name, text, (size_t)used + LBP_PHOTO);
}

static void make_folder(char *out, const char *root, const char *name)
{
	(void)sprintf(out, "%s/%s", root, name);
	assert_int_equal(mkdir(out, 0700), 0);
}

static void folders_with_bad_files(void **state)
{
	char root[] = "/tmp/faceverify-set-XXXXXX", ann[64], bob[64], eve[64], command[128];
	char error[PHOTO_ERROR_MAX];
	assert_non_null(mkdtemp(root));
	make_folder(ann, root, "ann");
	make_folder(bob, root, "bob");
	make_folder(eve, root, "eve");
	write_pgm(ann, "1.pgm", 1);
	write_pgm(ann, "2.pgm", 2);
	write_pgm(ann, "3.pgm", 3);
	write_file(ann, "notes.txt", "x", 1);        /* not a photo's name: not looked at */
	write_file(bob, "1.jpg", "\xff\xd8\xff", 3); /* truncated: the next one is enrolled */
	write_pgm(bob, "2.pgm", 4);
	write_pgm(bob, "3.pgm", 5);
	write_file(bob, "4.png", "not a picture", 13); /* a probe that ends in an error */
	write_file(eve, "1.pgm", "P5 92", 5);          /* nobody to enrol */
	write_file(root, "README", "x", 1);

	const dataset_options options = {.folder = root, .seed = 1, .complain = complain};
	dataset set;
	complaints = 0;
	if (!dataset_make(&options, &set, error))
		fail_msg("%s", error);
	assert_int_equal(set.identity_count, 2);
	assert_string_equal(set.identities[0].name, "ann");
	assert_string_equal(set.identities[1].name, "bob");
	assert_int_equal(set.probe_count, 4); /* ann 2, 3; bob 3, 4 */
	unsigned errors = 0;
	for (unsigned i = 0; i < set.probe_count; i++) {
		if (set.probes[i].error == NULL)
			continue;
		errors++;
		assert_non_null(strstr(set.probes[i].source, "bob/4.png"));
		assert_non_null(strstr(set.probes[i].error, "not a PGM"));
	}
	assert_int_equal(errors, 1);
	assert_int_equal(complaints, 4);        /* bob/1, bob/4, eve/1, eve as a whole */
	assert_int_equal(set.genuine_count, 1); /* ann's two */
	dataset_free(&set);

	const dataset_options more = {.folder = root, .seed = 1, .probes = 50, .complain = complain};
	assert_true(dataset_make(&more, &set, error));
	assert_int_equal(set.probe_count, 50);
	dataset_free(&set);
	(void)snprintf(command, sizeof command, "rm -r %s", root);
	assert_int_equal(system(command), 0);
}

static void folders_without_photos(void **state)
{
	char root[] = "/tmp/faceverify-set-XXXXXX", ann[64], error[PHOTO_ERROR_MAX];
	assert_non_null(mkdtemp(root));
	const dataset_options options = {.folder = root, .complain = complain};
	const dataset_options missing = {.folder = "/nowhere/at/all", .complain = complain};
	dataset set;
	assert_false(dataset_make(&missing, &set, error));
	assert_non_null(strstr(error, "/nowhere/at/all: No such file"));
	assert_false(dataset_make(&options, &set, error));
	assert_non_null(strstr(error, "no photos like"));
	make_folder(ann, root, "ann");
	write_pgm(ann, "1.pgm", 1);
	assert_false(dataset_make(&options, &set, error));
	assert_non_null(strstr(error, "no identity has a second photo"));
	char path[80];
	(void)sprintf(path, "%s/1.pgm", ann);
	assert_int_equal(unlink(path) | rmdir(ann) | rmdir(root), 0);
}

static void bounds(void **state)
{
	dataset set;
	char error[PHOTO_ERROR_MAX];
	const dataset_options none = {.identities = 0, .probes = 10};
	const dataset_options many = {.identities = 10, .probes = DATASET_PROBES_MAX + 1};
	const dataset_options one = {.identities = 1, .probes = 4};
	assert_false(dataset_make(&none, &set, error));
	assert_false(dataset_make(&many, &set, error));
	assert_true(dataset_make(&one, &set, error)); /* nobody else to claim */
	for (unsigned i = 0; i < 4; i++)
		assert_true(set.probes[i].genuine);
	dataset_free(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(synthetic),
		cmocka_unit_test(folders_with_bad_files),
		cmocka_unit_test(folders_without_photos),
		cmocka_unit_test(bounds),
	};
	return cmocka_run_group_tests_name("dataset", tests, NULL, NULL);
}
