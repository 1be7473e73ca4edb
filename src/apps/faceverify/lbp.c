/* The reference of the face comparison; see lbp.h. Written to be compared with its description, not
 * to be fast: a photo takes a fraction of a millisecond. */
#include "lbp.h"

#include <string.h>

_Static_assert(LBP_COLUMNS *LBP_REGION_WIDTH + 2 * LBP_BORDER == LBP_WIDTH, "regions fill a row");
_Static_assert(LBP_ROWS *LBP_REGION_HEIGHT + 2 * LBP_BORDER == LBP_HEIGHT, "and a column");
_Static_assert(LBP_REGION_WIDTH *LBP_REGION_HEIGHT <= UINT8_MAX, "a bin is a byte");

enum { NEAR = 44, SIDE = 31, FAR = 22, ONE = NEAR + 2 * SIDE + FAR };
_Static_assert(ONE == 128 && 255 * ONE <= INT16_MAX, "an interpolated value fits 16 signed bits");

/* Directions of the eight points, y downwards as rows are stored. */
static const int direction_x[8] = {1, 1, 0, -1, -1, -1, 0, 1};
static const int direction_y[8] = {0, -1, -1, -1, 0, 1, 1, 1};

static int changes(unsigned code)
{
	int count = 0;
	for (unsigned p = 0; p < 8; p++)
		count += (code >> p & 1) != (code >> (p + 1) % 8 & 1);
	return count;
}

void lbp_bins(uint8_t bins[256])
{
	uint8_t uniform = 0;
	for (unsigned code = 0; code < 256; code++)
		bins[code] = changes(code) <= 2 ? uniform++ : LBP_BINS - 1;
}

static int pixel(const uint8_t *photo, int x, int y)
{
	return photo[y * LBP_WIDTH + x];
}

uint8_t lbp_code(const uint8_t photo[LBP_PHOTO], int x, int y)
{
	const int centre = pixel(photo, x, y);
	unsigned code = 0;
	for (unsigned p = 0; p < 8; p++) {
		const int dx = direction_x[p], dy = direction_y[p];
		int above;
		if (p % 2 == 0)
			above = pixel(photo, x + 2 * dx, y + 2 * dy) - centre;
		else
			above = NEAR * pixel(photo, x + dx, y + dy) + SIDE * pixel(photo, x + 2 * dx, y + dy) +
					SIDE * pixel(photo, x + dx, y + 2 * dy) +
					FAR * pixel(photo, x + 2 * dx, y + 2 * dy) - ONE * centre;
		code |= (unsigned)(above >= 0) << p;
	}
	return (uint8_t)code;
}

void lbp_histogram(const uint8_t photo[LBP_PHOTO], uint8_t histogram[LBP_HISTOGRAM])
{
	uint8_t bins[256];
	lbp_bins(bins);
	memset(histogram, 0, LBP_HISTOGRAM);
	for (int y = LBP_BORDER; y < LBP_HEIGHT - LBP_BORDER; y++) {
		for (int x = LBP_BORDER; x < LBP_WIDTH - LBP_BORDER; x++) {
			const int region = (y - LBP_BORDER) / LBP_REGION_HEIGHT * LBP_COLUMNS +
							   (x - LBP_BORDER) / LBP_REGION_WIDTH;
			histogram[region * LBP_STRIDE + bins[lbp_code(photo, x, y)]]++;
		}
	}
}

double lbp_distance(const uint8_t a[LBP_HISTOGRAM], const uint8_t b[LBP_HISTOGRAM])
{
	double sum = 0;
	for (int i = 0; i < LBP_HISTOGRAM; i++) {
		const int difference = a[i] - b[i], total = a[i] + b[i];
		if (total > 0)
			sum += (double)(difference * difference) / total;
	}
	return sum / (2 * LBP_REGIONS * LBP_REGION_WIDTH * LBP_REGION_HEIGHT);
}
