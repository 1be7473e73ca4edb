/* Faces as histograms of local binary patterns: the plain C reference, for the tests, for choosing
 * the threshold, and for whoever wants to know what kernels/face.cl computes.
 *
 * Source: T. Ahonen, A. Hadid, M. Pietikainen, "Face Description with Local Binary Patterns:
 * Application to Face Recognition", IEEE TPAMI 28(12), 2006: operator LBP(8,2) with uniform
 * patterns, one histogram a region, chi-square distance.
 *
 * The operator in fixed point. Point p = 0..7 of the circle lies at angle 45 p degrees, radius 2,
 * counter-clockwise with y upwards. Even points are pixels. Odd points lie (sqrt 2, sqrt 2) away
 * from the centre and are interpolated bilinearly between the pixels 1 and 2 away; the weights
 * 0.343, 0.243, 0.243, 0.172 are 44, 31, 31, 22 in 1/128. So the interpolated value times 128 is
 * an integer of at most 32640, exact in 16 signed bits, and bit p of the code is
 *
 *     44 near + 31 side + 31 side + 22 far - 128 centre >= 0        (odd p)
 *     point - centre >= 0                                           (even p)
 *
 * with no rounding anywhere: every backend gets the same code.
 *
 * The histogram. Pixels nearer than 2 to an edge have no code; the other 88x108 make 8x6 regions
 * of 11x18 pixels. A code with at most two changes 0-1 around the circle (58 of them) has a bin of
 * its own, in increasing order of the codes; bin 58 counts all others. A region has 198 pixels, so
 * a bin is a byte. Regions follow each other in rows, 64 bytes each, bytes 59..63 zero. */
#ifndef FACEVERIFY_LBP_H
#define FACEVERIFY_LBP_H

#include <stdint.h>

enum {
	LBP_WIDTH = 92,
	LBP_HEIGHT = 112,
	LBP_PHOTO = LBP_WIDTH * LBP_HEIGHT, /* bytes of a photo: 8-bit gray, rows from the top */
	LBP_BORDER = 2,                     /* pixels at each edge without a code */
	LBP_REGION_WIDTH = 11,
	LBP_REGION_HEIGHT = 18,
	LBP_COLUMNS = (LBP_WIDTH - 2 * LBP_BORDER) / LBP_REGION_WIDTH,
	LBP_ROWS = (LBP_HEIGHT - 2 * LBP_BORDER) / LBP_REGION_HEIGHT,
	LBP_REGIONS = LBP_COLUMNS * LBP_ROWS,
	LBP_BINS = 59,
	LBP_STRIDE = 64, /* bytes from one region's histogram to the next */
	LBP_HISTOGRAM = LBP_REGIONS * LBP_STRIDE
};

/* The bin of each code, 0 to LBP_BINS - 1. */
void lbp_bins(uint8_t bins[256]);

/* The code of pixel (x, y), which is at least LBP_BORDER away from each edge. */
uint8_t lbp_code(const uint8_t photo[LBP_PHOTO], int x, int y);

void lbp_histogram(const uint8_t photo[LBP_PHOTO], uint8_t histogram[LBP_HISTOGRAM]);

/* Chi-square distance: the sum over all bins of (a - b)^2 / (a + b), divided by what it is for two
 * photos without a common bin: 0 (equal) to 1. */
double lbp_distance(const uint8_t a[LBP_HISTOGRAM], const uint8_t b[LBP_HISTOGRAM]);

#endif
