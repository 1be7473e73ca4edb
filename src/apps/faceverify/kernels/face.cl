/* Compares faces on the device; lbp.h says what is computed, lbp.c is the reference: histograms are
 * equal bit for bit, distances to 1e-5.
 *
 * One work-item does one pair, from pixels to distance, in its private memory: a photo and its
 * histogram stay in the first-level cache of a core. The three steps are
 *   widen:  pixels to 16 bits, so that every tap of the operator is a plain vector load;
 *   encode: codes of 16 neighbouring pixels at once, straight through the ends of rows (the few
 *           codes of border pixels that this makes are never counted);
 *   count:  row by row, going round the 8 regions of the row, so that two increments of one
 *           histogram, which must wait for each other, are 8 increments apart. */

#define WIDTH 92
#define HEIGHT 112
#define PHOTO (WIDTH * HEIGHT)
#define BORDER 2
#define REGION_WIDTH 11
#define REGION_HEIGHT 18
#define COLUMNS 8
#define ROWS 6
#define STRIDE 64
#define HISTOGRAM (COLUMNS * ROWS * STRIDE)
#define WHOLE (2.0f * COLUMNS * ROWS * REGION_WIDTH * REGION_HEIGHT)
#define LANES 16

/* First and last place whose taps are all inside the photo, as far as vectors reach. */
#define FIRST (BORDER * WIDTH + BORDER)
#define LAST (PHOTO - FIRST - LANES)

constant uchar bin_of[256] = {
	0,	1,	2,	3,	4,	58, 5,	6,	7,	58, 58, 58, 8,	58, 9,	10, //
	11, 58, 58, 58, 58, 58, 58, 58, 12, 58, 58, 58, 13, 58, 14, 15, //
	16, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, //
	17, 58, 58, 58, 58, 58, 58, 58, 18, 58, 58, 58, 19, 58, 20, 21, //
	22, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, //
	58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, //
	23, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, //
	24, 58, 58, 58, 58, 58, 58, 58, 25, 58, 58, 58, 26, 58, 27, 28, //
	29, 30, 58, 31, 58, 58, 58, 32, 58, 58, 58, 58, 58, 58, 58, 33, //
	58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 34, //
	58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, //
	58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 35, //
	36, 37, 58, 38, 58, 58, 58, 39, 58, 58, 58, 58, 58, 58, 58, 40, //
	58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 41, //
	42, 43, 58, 44, 58, 58, 58, 45, 58, 58, 58, 58, 58, 58, 58, 46, //
	47, 48, 58, 49, 58, 58, 58, 50, 51, 52, 58, 53, 54, 55, 56, 57, //
};

/* Vectors at any address. (vload16 would do, but compilers take it apart into pairs and quadruples
 * of elements and do not find all the way back: more than twice the time.) */
typedef short16 __attribute__((aligned(2))) short16_anywhere;
typedef uchar16 __attribute__((aligned(1))) uchar16_anywhere;

/* Sixteen pixels, dx and dy away. */
#define TAP(dx, dy) (*(const short16_anywhere *)(at + (dy) * WIDTH + (dx)))
/* All ones where the odd point in direction (dx, dy) is darker than the centre: its sign. */
#define ODD(dx, dy)                                                       \
	(((short)44 * TAP(dx, dy) + (short)22 * TAP(2 * (dx), 2 * (dy)) +     \
	  (short)31 * (TAP(2 * (dx), dy) + TAP(dx, 2 * (dy))) - centre128) >> \
	 (short16)(15))
#define EVEN(dx, dy) ((TAP(2 * (dx), 2 * (dy)) - centre) >> (short16)(15))

void encode(const short *wide, uchar *codes)
{
	for (int place = FIRST;; place = min(place + LANES, LAST)) {
		const short *at = wide + place;
		const short16 centre = TAP(0, 0);
		const short16 centre128 = centre * (short)128;
		const short16 darker = (EVEN(1, 0) & (short)1) | (ODD(1, -1) & (short)2) |
							   (EVEN(0, -1) & (short)4) | (ODD(-1, -1) & (short)8) |
							   (EVEN(-1, 0) & (short)16) | (ODD(-1, 1) & (short)32) |
							   (EVEN(0, 1) & (short)64) | (ODD(1, 1) & (short)128);
		*(uchar16_anywhere *)(codes + place) = ~convert_uchar16(darker);
		if (place == LAST)
			break;
	}
}

void count(const uchar *codes, uchar *histogram)
{
	for (int i = 0; i < HISTOGRAM / 16; i++)
		((uchar16_anywhere *)histogram)[i] = 0;
	for (int y = 0; y < ROWS * REGION_HEIGHT; y++) {
		uchar *row = histogram + y / REGION_HEIGHT * COLUMNS * STRIDE;
		const uchar *at = codes + FIRST + y * WIDTH;
		for (int x = 0; x < REGION_WIDTH; x++) {
#pragma unroll
			for (int region = 0; region < COLUMNS; region++)
				row[region * STRIDE + bin_of[at[region * REGION_WIDTH + x]]]++;
		}
	}
}

void describe(global const uchar *photo, uchar *histogram)
{
	short wide[PHOTO];
	uchar codes[PHOTO];
	for (int i = 0; i < PHOTO / LANES; i++)
		((short16_anywhere *)wide)[i] =
			convert_short16(((global const uchar16_anywhere *)photo)[i]);
	encode(wide, codes);
	count(codes, histogram);
}

float compare(const uchar *a, const uchar *b)
{
	float16 sums = 0;
	for (int i = 0; i < HISTOGRAM / 16; i++) {
		const short16 left = convert_short16(((const uchar16_anywhere *)a)[i]);
		const short16 right = convert_short16(((const uchar16_anywhere *)b)[i]);
		const float16 difference = convert_float16(left - right);
		sums += difference * difference / convert_float16(max(left + right, (short16)(1)));
	}
	const float8 sums8 = sums.lo + sums.hi;
	const float4 sums4 = sums8.lo + sums8.hi;
	return (sums4.x + sums4.y + sums4.z + sums4.w) / WHOLE;
}

/* Photo i of the gallery against photo i of the probes, for each work-item i below `pairs`. */
__attribute__((reqd_work_group_size(1, 1, 1))) kernel void
face_verify(global const uchar *gallery, global const uchar *probes, global float *distances,
			uint pairs)
{
	const uint i = get_global_id(0);
	if (i >= pairs)
		return;
	uchar enrolled[HISTOGRAM], seen[HISTOGRAM];
	describe(gallery + (size_t)i * PHOTO, enrolled);
	describe(probes + (size_t)i * PHOTO, seen);
	distances[i] = compare(enrolled, seen);
}

/* The histograms alone, one photo a work-item: what the tests compare with the reference. */
__attribute__((reqd_work_group_size(1, 1, 1))) kernel void
face_histograms(global const uchar *photos, global uchar *histograms, uint count_of_photos)
{
	const uint i = get_global_id(0);
	if (i >= count_of_photos)
		return;
	uchar histogram[HISTOGRAM];
	describe(photos + (size_t)i * PHOTO, histogram);
	for (int j = 0; j < HISTOGRAM; j++)
		histograms[(size_t)i * HISTOGRAM + j] = histogram[j];
}
