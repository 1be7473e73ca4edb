/* Photo files; see photos.h. */
#include "photos.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <png.h>
#include <turbojpeg.h>

__attribute__((format(printf, 2, 3))) static void say(char error[PHOTO_ERROR_MAX],
													  const char *format, ...)
{
	va_list list;
	va_start(list, format);
	(void)vsnprintf(error, PHOTO_ERROR_MAX, format, list);
	va_end(list);
}

/* Says why and is false. A macro, so that an analyzer, which does not look into variadic functions,
 * sees what comes back. */
#define fail(error, ...) (say((error), __VA_ARGS__), false)

/* Makes room for a picture whose header said this size. */
static bool allocate(photo_picture *out, uint64_t width, uint64_t height,
					 char error[PHOTO_ERROR_MAX])
{
	if (width == 0 || height == 0 || width > PHOTO_SIDE_MAX || height > PHOTO_SIDE_MAX ||
		width * height > PHOTO_PIXELS_MAX)
		return fail(error, "%llux%llu pixels; 1 to %d a side and %d in all are taken",
					(unsigned long long)width, (unsigned long long)height, PHOTO_SIDE_MAX,
					PHOTO_PIXELS_MAX);
	out->width = (uint32_t)width;
	out->height = (uint32_t)height;
	out->pixels = calloc(width, height);
	return out->pixels != NULL || fail(error, "no memory");
}

static void discard(photo_picture *picture)
{
	free(picture->pixels);
	picture->pixels = NULL;
}

/* ------------------------------------------------------------------ PGM */

typedef struct text {
	const uint8_t *at, *end;
} text;

/* The next decimal number, behind white space and # comments; -1: there is none, or over 65535. */
static int next_number(text *t)
{
	while (t->at < t->end) {
		if (*t->at == '#')
			while (t->at < t->end && *t->at != '\n')
				t->at++;
		else if (*t->at == ' ' || (*t->at >= '\t' && *t->at <= '\r'))
			t->at++;
		else
			break;
	}
	int value = -1;
	while (t->at < t->end && *t->at >= '0' && *t->at <= '9') {
		value = (value < 0 ? 0 : value) * 10 + (*t->at++ - '0');
		if (value > UINT16_MAX)
			return -1;
	}
	return value;
}

static bool decode_pgm(const uint8_t *bytes, size_t size, photo_picture *out,
					   char error[PHOTO_ERROR_MAX])
{
	text t = {bytes + 2, bytes + size};
	const bool plain = bytes[1] == '2';
	const int width = next_number(&t), height = next_number(&t), white = next_number(&t);
	if (width < 0 || height < 0 || white < 1)
		return fail(error, "the PGM header is malformed");
	if (!allocate(out, (uint64_t)width, (uint64_t)height, error))
		return false;
	const size_t count = (size_t)width * (size_t)height, each = white > 255 ? 2 : 1;
	t.at += t.at < t.end; /* one white space ends the header */
	if (!plain && (size_t)(t.end - t.at) / each < count) {
		discard(out);
		return fail(error, "truncated: %zu of %zu bytes of pixels are there",
					(size_t)(t.end - t.at), count * each);
	}
	for (size_t i = 0; i < count; i++) {
		int value;
		if (plain)
			value = next_number(&t);
		else
			value = each == 1 ? t.at[i] : t.at[2 * i] << 8 | t.at[2 * i + 1];
		if (value < 0 || value > white) {
			const bool ends = value < 0 && t.at >= t.end;
			discard(out);
			return fail(error, ends ? "truncated: pixel %zu is missing" : "pixel %zu is malformed",
						i);
		}
		out->pixels[i] = (uint8_t)((value * 255 + white / 2) / white);
	}
	return true;
}

/* ------------------------------------------------------------------ JPEG and PNG */

static bool decode_jpeg(const uint8_t *bytes, size_t size, photo_picture *out,
						char error[PHOTO_ERROR_MAX])
{
	tjhandle handle = tjInitDecompress();
	if (handle == NULL)
		return fail(error, "libturbojpeg does not start");
	int width = 0, height = 0, sampling, space;
	bool ok = false;
	if (tjDecompressHeader3(handle, bytes, size, &width, &height, &sampling, &space) != 0 ||
		width < 0 || height < 0) {
		say(error, "JPEG: %s", tjGetErrorStr2(handle));
	} else if (allocate(out, (uint64_t)width, (uint64_t)height, error)) {
		/* A warning means that bytes are missing or damaged: the picture would be partly gray. */
		ok = tjDecompress2(handle, bytes, size, out->pixels, width, width, height, TJPF_GRAY,
						   TJFLAG_STOPONWARNING) == 0 ||
			 fail(error, "JPEG: %s", tjGetErrorStr2(handle));
		if (!ok)
			discard(out);
	}
	tjDestroy(handle);
	return ok;
}

static bool decode_png(const uint8_t *bytes, size_t size, photo_picture *out,
					   char error[PHOTO_ERROR_MAX])
{
	png_image image = {.version = PNG_IMAGE_VERSION};
	if (!png_image_begin_read_from_memory(&image, bytes, size))
		return fail(error, "PNG: %s", image.message);
	image.format = PNG_FORMAT_GRAY;
	bool ok = allocate(out, image.width, image.height, error);
	if (ok && !png_image_finish_read(&image, NULL, out->pixels, 0, NULL)) {
		discard(out);
		ok = fail(error, "PNG: %s", image.message);
	}
	png_image_free(&image);
	return ok;
}

bool photo_decode(const uint8_t *bytes, size_t size, photo_picture *out,
				  char error[PHOTO_ERROR_MAX])
{
	*out = (photo_picture){0};
	if (size >= 2 && bytes[0] == 'P' && (bytes[1] == '5' || bytes[1] == '2'))
		return decode_pgm(bytes, size, out, error);
	if (size >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0)
		return decode_jpeg(bytes, size, out, error);
	if (size >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0)
		return decode_png(bytes, size, out, error);
	return fail(error, size == 0 ? "the file is empty" : "not a PGM, JPEG or PNG picture");
}

/* ------------------------------------------------------------------ to 92x112 */

/* Spreads `count` source pixels over `parts` places: what share of source pixel i, in 1/parts,
 * falls into place p is the overlap of [i parts, (i+1) parts) with [p count, (p+1) count). */
static uint64_t overlap(uint64_t i, uint64_t p, uint64_t count, uint64_t parts)
{
	const uint64_t low = i * parts > p * count ? i * parts : p * count;
	const uint64_t high = (i + 1) * parts < (p + 1) * count ? (i + 1) * parts : (p + 1) * count;
	return high > low ? high - low : 0;
}

void photo_fit(const photo_picture *picture, uint8_t photo[LBP_PHOTO])
{
	uint64_t width = picture->width, height = picture->height;
	if (width * LBP_HEIGHT > height * LBP_WIDTH)
		width = height * LBP_WIDTH / LBP_HEIGHT;
	else
		height = width * LBP_HEIGHT / LBP_WIDTH;
	width += width == 0;
	height += height == 0;
	const uint64_t left = (picture->width - width) / 2, top = (picture->height - height) / 2;

	/* Sums stay below 2^26 * 255 * 92 * 112. */
	uint64_t sums[LBP_PHOTO] = {0};
	for (uint64_t y = 0; y < height; y++) {
		const uint8_t *row = picture->pixels + (top + y) * picture->width + left;
		uint64_t across[LBP_WIDTH] = {0};
		for (uint64_t x = 0; x < width; x++)
			for (uint64_t p = x * LBP_WIDTH / width;
				 p < LBP_WIDTH && p * width < (x + 1) * LBP_WIDTH; p++)
				across[p] += row[x] * overlap(x, p, width, LBP_WIDTH);
		for (uint64_t q = y * LBP_HEIGHT / height;
			 q < LBP_HEIGHT && q * height < (y + 1) * LBP_HEIGHT; q++) {
			const uint64_t share = overlap(y, q, height, LBP_HEIGHT);
			for (unsigned p = 0; p < LBP_WIDTH; p++)
				sums[q * LBP_WIDTH + p] += across[p] * share;
		}
	}
	for (unsigned i = 0; i < LBP_PHOTO; i++)
		photo[i] = (uint8_t)((sums[i] + width * height / 2) / (width * height));
}

/* ------------------------------------------------------------------ files */

static bool read_all(int fd, uint8_t *bytes, size_t size, char error[PHOTO_ERROR_MAX])
{
	for (size_t done = 0; done < size;) {
		const ssize_t got = read(fd, bytes + done, size - done);
		if (got == 0)
			return fail(error, "became shorter while it was read");
		if (got < 0 && errno != EINTR)
			return fail(error, "%s", strerror(errno));
		done += got > 0 ? (size_t)got : 0;
	}
	return true;
}

bool photo_load(const char *path, uint8_t photo[LBP_PHOTO], char error[PHOTO_ERROR_MAX])
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hold us */
	if (fd < 0)
		return fail(error, "%s", strerror(errno));
	struct stat stat;
	bool ok = fstat(fd, &stat) == 0 || fail(error, "%s", strerror(errno));
	if (ok && !S_ISREG(stat.st_mode))
		ok = fail(error, "not a file");
	if (ok && stat.st_size > PHOTO_FILE_MAX)
		ok = fail(error, "larger than %d MiB", PHOTO_FILE_MAX >> 20);
	uint8_t *bytes = ok ? malloc((size_t)stat.st_size + 1) : NULL;
	if (ok && bytes == NULL)
		ok = fail(error, "no memory");
	photo_picture picture = {0};
	ok = ok && read_all(fd, bytes, (size_t)stat.st_size, error) &&
		 photo_decode(bytes, (size_t)stat.st_size, &picture, error);
	if (ok)
		photo_fit(&picture, photo);
	discard(&picture);
	free(bytes);
	close(fd);
	return ok;
}

bool photo_has_name(const char *name)
{
	static const char *const ends[] = {".pgm", ".jpg", ".jpeg", ".png"};
	const char *dot = strrchr(name, '.');
	for (unsigned i = 0; dot != NULL && i < sizeof ends / sizeof ends[0]; i++)
		if (strcasecmp(dot, ends[i]) == 0)
			return true;
	return false;
}
