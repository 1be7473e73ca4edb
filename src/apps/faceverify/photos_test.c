/* Photo files: what is a picture is taken as it is, what is not is refused in words. Every file
 * here is made by the libraries themselves and then cut and damaged at every place. */
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
#include <png.h>
#include <turbojpeg.h>

#include "photos.h"

enum { WIDTH = 200, HEIGHT = 240, FILE_ROOM = 1 << 18 };

typedef struct file {
	uint8_t bytes[FILE_ROOM];
	size_t size;
} file;

/* Dark at the left, light at the right, lighter downwards: smooth, so that JPEG keeps it. */
static uint8_t tone(unsigned x, unsigned y)
{
	return (uint8_t)(x * 200 / WIDTH + y * 50 / HEIGHT);
}

static void make_pixels(uint8_t pixels[HEIGHT][WIDTH])
{
	for (unsigned y = 0; y < HEIGHT; y++)
		for (unsigned x = 0; x < WIDTH; x++)
			pixels[y][x] = tone(x, y);
}

static void make_pgm(file *out)
{
	uint8_t pixels[HEIGHT][WIDTH];
	make_pixels(pixels);
	out->size = (size_t)sprintf((char *)out->bytes, "P5\n# a comment\n%d %d\n255\n", WIDTH, HEIGHT);
	memcpy(out->bytes + out->size, pixels, sizeof pixels);
	out->size += sizeof pixels;
}

static void make_jpeg(file *out)
{
	uint8_t pixels[HEIGHT][WIDTH];
	make_pixels(pixels);
	tjhandle handle = tjInitCompress();
	unsigned char *jpeg = NULL;
	unsigned long size = 0;
	assert_int_equal(tjCompress2(handle, pixels[0], WIDTH, WIDTH, HEIGHT, TJPF_GRAY, &jpeg, &size,
								 TJSAMP_GRAY, 95, 0),
					 0);
	assert_true(size <= FILE_ROOM);
	memcpy(out->bytes, jpeg, size);
	out->size = size;
	tjFree(jpeg);
	tjDestroy(handle);
}

static void make_png(file *out)
{
	uint8_t pixels[HEIGHT][WIDTH];
	make_pixels(pixels);
	png_image image = {
		.version = PNG_IMAGE_VERSION, .width = WIDTH, .height = HEIGHT, .format = PNG_FORMAT_GRAY};
	png_alloc_size_t size = FILE_ROOM;
	assert_true(png_image_write_to_memory(&image, out->bytes, &size, 0, pixels, 0, NULL) != 0);
	out->size = size;
}

static void check_pixels(const file *in, int slack)
{
	photo_picture picture;
	char error[PHOTO_ERROR_MAX] = "";
	if (!photo_decode(in->bytes, in->size, &picture, error))
		fail_msg("%s", error);
	assert_int_equal(picture.width, WIDTH);
	assert_int_equal(picture.height, HEIGHT);
	for (unsigned y = 0; y < HEIGHT; y++)
		for (unsigned x = 0; x < WIDTH; x++)
			assert_true(abs(picture.pixels[y * WIDTH + x] - tone(x, y)) <= slack);
	free(picture.pixels);
}

static void (*const makers[])(file *) = {make_pgm, make_jpeg, make_png};

static void whole_files(void **state)
{
	static const int slack[] = {0, 4, 0};
	for (unsigned i = 0; i < 3; i++) {
		static file whole;
		makers[i](&whole);
		check_pixels(&whole, slack[i]);
	}
}

static void truncated_files_are_refused(void **state)
{
	for (unsigned i = 0; i < 3; i++) {
		static file whole;
		makers[i](&whole);
		const size_t step = whole.size / 97 + 1;
		/* The last chunk of a PNG, 12 bytes, says only that it is the last: no pixel is lost. */
		for (size_t size = 0; size + 12 < whole.size; size += step) {
			/* An exact copy, so that reading past the end is seen by the sanitizers. */
			uint8_t *part = malloc(size + 1);
			photo_picture picture;
			char error[PHOTO_ERROR_MAX] = "";
			memcpy(part, whole.bytes, size);
			assert_false(photo_decode(part, size, &picture, error));
			assert_true(strlen(error) > 0);
			assert_null(picture.pixels);
			free(part);
		}
	}
}

static void damaged_files_do_no_harm(void **state)
{
	uint64_t random = 1;
	for (unsigned i = 0; i < 3; i++) {
		static file whole, damaged;
		makers[i](&whole);
		for (unsigned round = 0; round < 400; round++) {
			damaged = whole;
			for (unsigned k = 0; k < 4; k++) {
				random = random * 6364136223846793005u + 1442695040888963407u;
				const size_t place = (random >> 33) % (round % 2 == 0 ? whole.size : 64);
				damaged.bytes[place] = (uint8_t)(random >> 24);
			}
			photo_picture picture;
			char error[PHOTO_ERROR_MAX];
			if (photo_decode(damaged.bytes, damaged.size, &picture, error)) {
				uint8_t photo[LBP_PHOTO];
				photo_fit(&picture, photo);
				free(picture.pixels);
			}
		}
	}
}

static void refuse(const char *text, size_t size, const char *word)
{
	photo_picture picture;
	char error[PHOTO_ERROR_MAX] = "";
	assert_false(photo_decode((const uint8_t *)text, size, &picture, error));
	if (strstr(error, word) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", error, word);
}

#define REFUSE(text, word) refuse(text, sizeof(text) - 1, word)

static void other_things_are_refused(void **state)
{
	REFUSE("", "empty");
	REFUSE("hello, world", "not a PGM");
	REFUSE("GIF89a......", "not a PGM");
	REFUSE("P6\n2 2\n255\n............", "not a PGM");
	REFUSE("P5", "malformed");
	REFUSE("P5 2 2 0 ....", "malformed");
	REFUSE("P5 2 2 65536 ....", "malformed");
	REFUSE("P5 -2 2 255 ....", "malformed");
	REFUSE("P5 2 2 255\n...", "truncated");
	REFUSE("P5 0 2 255\n", "pixels");
	REFUSE("P5 17000 1 255\n", "pixels");
	REFUSE("P5 16384 16384 255\n", "pixels");
	REFUSE("P5 99999999999999999999 2 255\n", "malformed");
	REFUSE("P2 2 2 255 1 2 3", "truncated");
	REFUSE("P2 2 2 255 1 2 3 256", "malformed");
	REFUSE("P2 2 2 255 1 2 x 4", "malformed");
}

static void plain_and_deep_pgm(void **state)
{
	photo_picture picture;
	char error[PHOTO_ERROR_MAX];
	static const char plain[] = "P2 # x\n2 2\n# y\n100\n0 50\n100 1";
	assert_true(photo_decode((const uint8_t *)plain, sizeof plain - 1, &picture, error));
	static const uint8_t expected[] = {0, 128, 255, 3};
	assert_memory_equal(picture.pixels, expected, 4);
	free(picture.pixels);
	static const char deep[] = "P5 2 1 65535\n\xff\xff\x80\x00";
	assert_true(photo_decode((const uint8_t *)deep, sizeof deep - 1, &picture, error));
	assert_int_equal(picture.pixels[0], 255);
	assert_int_equal(picture.pixels[1], 128);
	free(picture.pixels);
}

static void fitting_keeps_what_fits(void **state)
{
	uint8_t pixels[LBP_PHOTO], photo[LBP_PHOTO];
	for (unsigned i = 0; i < LBP_PHOTO; i++)
		pixels[i] = (uint8_t)(i * 7);
	photo_fit(&(photo_picture){LBP_WIDTH, LBP_HEIGHT, pixels}, photo);
	assert_memory_equal(photo, pixels, LBP_PHOTO);
}

static void fitting_takes_means_of_the_middle(void **state)
{
	/* Three times as large, and 60 columns wider: the margins must not be seen. */
	enum { W = 3 * LBP_WIDTH + 60, H = 3 * LBP_HEIGHT };
	uint8_t *pixels = malloc(W * H), photo[LBP_PHOTO];
	for (unsigned y = 0; y < H; y++)
		for (unsigned x = 0; x < W; x++)
			pixels[y * W + x] =
				x < 30 || x >= W - 30 ? 255 : (uint8_t)((x - 30) / 3 + (x - 30) % 3 + y % 3);
	photo_fit(&(photo_picture){W, H, pixels}, photo);
	for (unsigned y = 0; y < LBP_HEIGHT; y++)
		for (unsigned x = 0; x < LBP_WIDTH; x++)
			assert_int_equal(photo[y * LBP_WIDTH + x], x + 2);
	free(pixels);
}

static void any_shape_fits(void **state)
{
	static const uint32_t sides[] = {1, 2, 3, 91, 92, 93, 112, 500};
	for (unsigned i = 0; i < 8; i++) {
		for (unsigned j = 0; j < 8; j++) {
			uint8_t *pixels = malloc((size_t)sides[i] * sides[j]), photo[LBP_PHOTO];
			memset(pixels, 99, (size_t)sides[i] * sides[j]);
			photo_fit(&(photo_picture){sides[i], sides[j], pixels}, photo);
			for (unsigned k = 0; k < LBP_PHOTO; k++)
				assert_int_equal(photo[k], 99);
			free(pixels);
		}
	}
}

static void files_on_disk(void **state)
{
	char folder[] = "/tmp/faceverify-photos-XXXXXX", path[64];
	uint8_t photo[LBP_PHOTO];
	char error[PHOTO_ERROR_MAX] = "";
	static file whole;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof path, "%s/a.jpg", folder);
	assert_false(photo_load(path, photo, error));
	assert_non_null(strstr(error, "No such file"));
	assert_false(photo_load(folder, photo, error));
	assert_non_null(strstr(error, "not a file"));
	assert_int_equal(mkfifo(path, 0600), 0); /* must not wait for a writer */
	assert_false(photo_load(path, photo, error));
	assert_non_null(strstr(error, "not a file"));
	assert_int_equal(unlink(path), 0);
	make_png(&whole); /* under a JPEG's name: the bytes decide */
	FILE *out = fopen(path, "w");
	assert_int_equal(fwrite(whole.bytes, 1, whole.size, out), whole.size);
	assert_int_equal(fclose(out), 0);
	assert_true(photo_load(path, photo, error));
	assert_true(photo[0] < photo[LBP_WIDTH - 1]);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
}

static void names(void **state)
{
	assert_true(photo_has_name("a.pgm") && photo_has_name("b.JPG") && photo_has_name("c.x.jpeg"));
	assert_true(photo_has_name("d.Png"));
	assert_false(photo_has_name("README") || photo_has_name("a.txt") || photo_has_name("jpg"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_files),
		cmocka_unit_test(truncated_files_are_refused),
		cmocka_unit_test(damaged_files_do_no_harm),
		cmocka_unit_test(other_things_are_refused),
		cmocka_unit_test(plain_and_deep_pgm),
		cmocka_unit_test(fitting_keeps_what_fits),
		cmocka_unit_test(fitting_takes_means_of_the_middle),
		cmocka_unit_test(any_shape_fits),
		cmocka_unit_test(files_on_disk),
		cmocka_unit_test(names),
	};
	return cmocka_run_group_tests_name("photos", tests, NULL, NULL);
}
