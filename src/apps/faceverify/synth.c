/* The generator of synthetic faces; see synth.h. Lengths on a face are in 1/4096 of half a face's
 * height ("units"), so an integer range reads like a measurement; angles and gains are in 1/65536.
 */
#include "synth.h"

#include <stdbool.h>
#include <string.h>

enum {
	UNIT = 4096,
	MAP_PER_UNIT = 50,   /* map pixels a unit: the map shows 3.2 units, the photo less */
	PHOTO_PER_UNIT = 52, /* photo pixels a unit, before scaling */
	ONE = 65536,
	BACKGROUND = 150,
	LATTICE = 7, /* knots of a photo's distortion in each direction */
	MARKS = 10   /* spots and folds of a face */
};

/* splitmix64: every draw is good in all bits, and any number is a fine seed. */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* Evenly from low to high, both included. */
static int between(uint64_t *state, int low, int high)
{
	return low + (int)((draw(state) >> 32) * (uint64_t)(high - low + 1) >> 32);
}

/* From -reach to reach, small values more often than large ones. */
static int around(uint64_t *state, int reach)
{
	return (between(state, -reach, reach) + between(state, -reach, reach) +
			between(state, -reach, reach)) /
		   3;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t state = a ^ (b + 1) * 0xd6e8feb86659fd93u;
	return draw(&state);
}

static int clamp(int value, int low, int high)
{
	return value < low ? low : value > high ? high : value;
}

/* ------------------------------------------------------------------ the identity */

typedef int16_t canvas[SYNTH_MAP][SYNTH_MAP];

static int to_map(int units)
{
	return SYNTH_MAP / 2 + units * MAP_PER_UNIT / UNIT;
}

static int to_units(int map_pixel)
{
	return (map_pixel - SYNTH_MAP / 2) * UNIT / MAP_PER_UNIT;
}

/* Adds `amount` in the middle of an ellipse, less towards its edge; `slope` shears it (1/4096). */
static void spot(canvas face, int u, int v, int radius_u, int radius_v, int slope, int amount)
{
	const int left = clamp(to_map(u - radius_u), 0, SYNTH_MAP - 1);
	const int right = clamp(to_map(u + radius_u) + 1, 0, SYNTH_MAP - 1);
	const int spread = radius_v + (slope < 0 ? -slope : slope) * radius_u / UNIT;
	const int top = clamp(to_map(v - spread), 0, SYNTH_MAP - 1);
	const int bottom = clamp(to_map(v + spread) + 1, 0, SYNTH_MAP - 1);
	for (int y = top; y <= bottom; y++) {
		for (int x = left; x <= right; x++) {
			const int du = to_units(x) - u;
			const int dv = to_units(y) - v - slope * du / UNIT;
			const int a = du * 256 / radius_u, b = dv * 256 / radius_v;
			const int inside = ONE - a * a - b * b;
			if (inside > 0) /* full within 0.7 of the radius */
				face[y][x] = (int16_t)(face[y][x] + amount * clamp(inside * 2, 0, ONE) / ONE);
		}
	}
}

/* Smooth noise: knots `step` map pixels apart, bilinear between them. */
static void texture(canvas face, uint64_t *state, int step, int amplitude)
{
	enum { KNOTS = SYNTH_MAP / 2 + 2 };
	int8_t knots[KNOTS][KNOTS];
	const int count = SYNTH_MAP / step + 2;
	for (int y = 0; y < count; y++)
		for (int x = 0; x < count; x++)
			knots[y][x] = (int8_t)between(state, -amplitude, amplitude);
	for (int y = 0; y < SYNTH_MAP; y++) {
		for (int x = 0; x < SYNTH_MAP; x++) {
			const int i = y / step, j = x / step, b = y % step, a = x % step;
			const int upper = knots[i][j] * (step - a) + knots[i][j + 1] * a;
			const int lower = knots[i + 1][j] * (step - a) + knots[i + 1][j + 1] * a;
			face[y][x] = (int16_t)(face[y][x] + (upper * (step - b) + lower * b) / (step * step));
		}
	}
}

/* Outline, skin and hair: everything that fills an area. */
static void draw_head(canvas face, uint64_t *state)
{
	const int width = between(state, 2500, 3250), height = between(state, 3500, 4100);
	const int jaw = between(state, 200, 1500); /* how much the chin narrows, 1/4096 */
	const int skin = between(state, 120, 195), hair = between(state, 20, 110);
	const int hairline = between(state, -3100, -1900), curve = between(state, -800, 1200);
	const int parting = between(state, -1200, 1200), fringe = between(state, 150, 700);
	for (int y = 0; y < SYNTH_MAP; y++) {
		for (int x = 0; x < SYNTH_MAP; x++) {
			const int u = to_units(x), v = to_units(y);
			const int chin = v > 0 ? v * v / UNIT * jaw / UNIT : 0;
			const int a = u * 256 / (width - chin * width / UNIT), b = v * 256 / height;
			const int edge = ONE - a * a - b * b; /* positive inside the face */
			const int c = u * 256 / (width + fringe), d = (v + 500) * 256 / (height + fringe);
			const bool under_hair = ONE - c * c - d * d > 0 && v < 1800;
			const int line = hairline + (u - parting) * ((u - parting) / 4) / UNIT * curve / 1024;
			int tone = under_hair ? hair : BACKGROUND;
			if (edge > 0 && v > line)
				tone = skin - 40 * (ONE - clamp(edge * 3, 0, ONE)) / ONE; /* rounder at the rim */
			face[y][x] = (int16_t)tone;
		}
	}
}

static void draw_eyes(canvas face, uint64_t *state)
{
	const int apart = between(state, 1050, 1550), level = between(state, -1200, -500);
	const int long_ = between(state, 380, 620), high = between(state, 170, 310);
	const int white = between(state, 20, 60), iris = between(state, -130, -60);
	const int lid = between(state, -60, -15), tilt = between(state, -700, 700);
	const int gap = between(state, 420, 760), thick = between(state, 90, 210);
	const int brow = between(state, 480, 820), dark = between(state, -100, -30);
	const int arch = between(state, -900, 900);
	for (int side = -1; side <= 1; side += 2) {
		const int u = side * apart + around(state, 60), v = level + around(state, 60);
		spot(face, u, v - high / 3, long_ + 120, high + 140, side * tilt / 2, lid);
		spot(face, u, v, long_, high, side * tilt / 2, white);
		spot(face, u + around(state, 50), v, high, high, 0, iris);
		spot(face, u + side * 60, v - gap, brow, thick, side * arch / 2, dark);
	}
}

static void draw_nose_and_mouth(canvas face, uint64_t *state)
{
	const int tip = between(state, 350, 1150), wide = between(state, 300, 640);
	const int ridge = between(state, 10, 35), bent = between(state, -250, 250);
	spot(face, bent / 3, tip - 900, between(state, 130, 260), 1200, 0, ridge);
	spot(face, bent, tip, wide * 2 / 3, 260, 0, ridge / 2);
	for (int side = -1; side <= 1; side += 2) {
		spot(face, bent + side * wide, tip + 40, 150, 330, side * 300, between(state, -45, -15));
		spot(face, bent + side * wide / 2, tip + 190, 140, 90, 0, between(state, -80, -35));
		const int cheek_u = between(state, 1300, 1900), cheek_v = between(state, 300, 1500);
		spot(face, side * cheek_u, cheek_v, 500, 700, side * 500, between(state, -28, 22));
	}
	const int level = between(state, 1650, 2450), half = between(state, 680, 1280);
	const int lip = between(state, 110, 300), shade = between(state, -55, -12);
	const int slant = between(state, -200, 200);
	spot(face, bent / 2, level - lip / 2, half, lip, slant, shade);
	spot(face, bent / 2, level + lip, half * 3 / 4, lip + 60, slant, shade / 2);
	spot(face, bent / 2, level + lip / 3, half + 60, 75, slant, between(state, -70, -35));
	spot(face, bent / 2, level + 2 * lip + 330, half / 2, 200, 0, between(state, -25, 15));
}

/* Drawn one after the other: C does not say in which order a call's arguments are evaluated. */
static void draw_mark(canvas face, uint64_t *state)
{
	const int u = around(state, 3200), v = around(state, 3600);
	const int wide = between(state, 80, 500), high = between(state, 60, 260);
	const int slope = around(state, 3000), amount = between(state, -38, 26);
	spot(face, u, v, wide, high, slope, amount);
}

void synth_make_identity(synth_identity *identity, uint64_t seed, uint32_t number)
{
	uint64_t state = mix(seed, number);
	identity->key = draw(&state);
	canvas face;
	draw_head(face, &state);
	texture(face, &state, 16, between(&state, 6, 14));
	texture(face, &state, 7, between(&state, 8, 18));
	texture(face, &state, 3, between(&state, 8, 16));
	for (int i = 0; i < MARKS; i++)
		draw_mark(face, &state);
	draw_eyes(face, &state);
	draw_nose_and_mouth(face, &state);
	for (int y = 0; y < SYNTH_MAP; y++)
		for (int x = 0; x < SYNTH_MAP; x++)
			identity->map[y][x] = (uint8_t)clamp(face[y][x], 0, 255);
}

/* ------------------------------------------------------------------ the photo */

/* What is different in each photo of one face. */
typedef struct variation {
	int turn;             /* radians, 1/65536 */
	int scale;            /* 1/65536 */
	int right, down;      /* of the face's middle, 1/256 photo pixels */
	int yaw;              /* to the side, 1/65536 */
	int gain, offset;     /* of the tone: 1/65536, gray levels */
	int slope_x, slope_y; /* light across the photo, 1/65536 a half width */
	int blur;             /* 0 to 256: how much of a 3x3 mean is mixed in */
	int noise;            /* standard deviation, 1/16 gray levels */
	int bend_x[LATTICE][LATTICE], bend_y[LATTICE][LATTICE]; /* expression: 1/256 map pixels */
} variation;

static void vary(variation *v, uint64_t *state)
{
	v->turn = around(state, 5000);
	v->scale = ONE + around(state, 4000);
	v->right = around(state, 500);
	v->down = around(state, 500);
	v->yaw = around(state, 7000);
	v->gain = between(state, 30000, 76000);
	v->offset = between(state, 0, 45);
	v->slope_x = around(state, 45000);
	v->slope_y = around(state, 30000);
	v->blur = between(state, 0, 200);
	v->noise = between(state, 8, 32);
	for (int i = 0; i < LATTICE; i++) {
		for (int j = 0; j < LATTICE; j++) {
			v->bend_x[i][j] = around(state, 250);
			v->bend_y[i][j] = around(state, 250);
		}
	}
}

/* Bilinear between the knots of a lattice laid over the photo. */
static int bend(const int knots[LATTICE][LATTICE], int x, int y)
{
	const int a = x * (LATTICE - 1) * 256 / LBP_WIDTH, b = y * (LATTICE - 1) * 256 / LBP_HEIGHT;
	const int i = b >> 8, j = a >> 8, p = a & 255, q = b & 255;
	const int upper = knots[i][j] * (256 - p) + knots[i][j + 1] * p;
	const int lower = knots[i + 1][j] * (256 - p) + knots[i + 1][j + 1] * p;
	return (upper * (256 - q) + lower * q) / (256 * 256);
}

/* The map's tone at (x, y), 1/256 map pixels, in 1/256 gray levels. */
static int sample(const synth_identity *identity, int x, int y)
{
	x = clamp(x, 0, (SYNTH_MAP - 1) * 256 - 1);
	y = clamp(y, 0, (SYNTH_MAP - 1) * 256 - 1);
	const int i = y >> 8, j = x >> 8, p = x & 255, q = y & 255;
	const int upper = identity->map[i][j] * (256 - p) + identity->map[i][j + 1] * p;
	const int lower = identity->map[i + 1][j] * (256 - p) + identity->map[i + 1][j + 1] * p;
	return (upper * (256 - q) + lower * q) >> 8;
}

/* Where the face is seen: pose, then expression; tones in 1/256 gray levels. */
static void project(const synth_identity *identity, const variation *v,
					uint16_t tones[LBP_HEIGHT][LBP_WIDTH])
{
	/* For angles this small the series' first terms are the function. */
	const int64_t sine = v->turn;
	const int64_t cosine = ONE - (int64_t)v->turn * v->turn / (2 * ONE);
	const int64_t zoom = (int64_t)MAP_PER_UNIT * ONE / PHOTO_PER_UNIT * ONE / v->scale;
	for (int y = 0; y < LBP_HEIGHT; y++) {
		for (int x = 0; x < LBP_WIDTH; x++) {
			const int64_t right = (2 * x + 1 - LBP_WIDTH) * 128 - v->right;
			const int64_t down = (2 * y + 1 - LBP_HEIGHT) * 128 - v->down;
			int64_t at_x = (right * cosine + down * sine) / ONE * zoom / ONE;
			const int64_t at_y = (down * cosine - right * sine) / ONE * zoom / ONE;
			/* A turned head: its middle moves most, its rim stays. */
			const int64_t out = at_x * at_x / (MAP_PER_UNIT * 256);
			at_x += v->yaw * (MAP_PER_UNIT * 256 - out) / ONE;
			const int map_x = (int)at_x + SYNTH_MAP * 128 + bend(v->bend_x, x, y);
			const int map_y = (int)at_y + SYNTH_MAP * 128 + bend(v->bend_y, x, y);
			tones[y][x] = (uint16_t)sample(identity, map_x, map_y);
		}
	}
}

static int mean_3x3(uint16_t tones[LBP_HEIGHT][LBP_WIDTH], int x, int y)
{
	int sum = 0;
	for (int dy = -1; dy <= 1; dy++)
		for (int dx = -1; dx <= 1; dx++)
			sum += tones[clamp(y + dy, 0, LBP_HEIGHT - 1)][clamp(x + dx, 0, LBP_WIDTH - 1)];
	return sum / 9;
}

void synth_make_photo(const synth_identity *identity, uint32_t number, uint8_t photo[LBP_PHOTO])
{
	uint64_t state = mix(identity->key, number);
	variation v;
	vary(&v, &state);
	uint16_t tones[LBP_HEIGHT][LBP_WIDTH];
	project(identity, &v, tones);
	for (int y = 0; y < LBP_HEIGHT; y++) {
		for (int x = 0; x < LBP_WIDTH; x++) {
			const int blurred =
				(tones[y][x] * (256 - v.blur) + mean_3x3(tones, x, y) * v.blur) / 256;
			const int64_t light = v.gain +
								  (int64_t)v.slope_x * (2 * x - LBP_WIDTH) / LBP_WIDTH / 2 +
								  (int64_t)v.slope_y * (2 * y - LBP_HEIGHT) / LBP_HEIGHT / 2;
			/* Four bytes' sum has a standard deviation of 148. */
			const uint32_t bits = (uint32_t)(draw(&state) >> 32);
			const int bell =
				(int)((bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24)) - 510;
			const int grain = bell * v.noise * 16 / 148; /* 1/256 gray levels */
			const int tone = (int)(blurred * light / ONE) + v.offset * 256 + grain;
			photo[y * LBP_WIDTH + x] = (uint8_t)clamp((tone + 128) >> 8, 0, 255);
		}
	}
}
