/* The engine against real files and a reference array: every alignment, many ranges, concurrent
 * writes of parts of blocks, errors. The test plays the client: it moves bytes between staging and
 * its own memory, late and out of order. */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "plan.h"

enum { VOLUME = 8 << 20, STAGING = 8 * ENGINE_PIECE, MOVES_MAX = 64 };

struct request {
	uint8_t *memory;
	bool read;
	bool ended;
	fos_status status;
	char detail[ENGINE_DETAIL_MAX];
	uint32_t moves, lasts;
};

struct fixture {
	struct engine *engine;
	struct engine_file *file;
	uint8_t *staging;
	uint8_t *reference; /* what the volume must hold */
	char path[64];
	int fd; /* the test's own */
	/* Pieces that wait to be moved. */
	struct engine_piece *moves[MOVES_MAX];
	uint32_t move_count;
	fos_status refuse; /* moves end so */
	uint64_t random;
};

static struct fixture *now; /* cmocka gives the handlers no other way to it */

static uint64_t draw(struct fixture *f, uint64_t bound)
{
	f->random = f->random * 6364136223846793005u + 1442695040888963407u;
	return (f->random >> 33) % bound;
}

static void on_move(struct engine_piece *piece)
{
	assert_true(now->move_count < MOVES_MAX);
	now->moves[now->move_count++] = piece;
}

static void on_done(void *context, fos_status status, const char *detail)
{
	struct request *request = context;
	assert_false(request->ended);
	request->ended = true;
	request->status = status;
	snprintf(request->detail, sizeof request->detail, "%s", detail);
}

/* Moves one waiting piece, any of them. */
static void move_one(struct fixture *f)
{
	uint32_t at = (uint32_t)draw(f, f->move_count);
	struct engine_piece *piece = f->moves[at];
	f->moves[at] = f->moves[--f->move_count];
	struct request *request = piece->context;
	request->moves++;
	if (request->read) {
		if (piece->last)
			request->lasts++;
		else
			assert_int_equal(request->lasts, 0); /* the last one after all others */
		memcpy(request->memory + piece->memory, piece->bytes, piece->length);
	} else {
		memcpy(piece->bytes, request->memory + piece->memory, piece->length);
	}
	engine_moved(piece, f->refuse);
}

static void turn(struct fixture *f)
{
	int done = engine_poll(f->engine);
	if (f->move_count > 0 && draw(f, 2) == 0) {
		move_one(f);
		return;
	}
	if (done > 0 || f->move_count > 0)
		return;
	struct pollfd wait = {.fd = engine_fd(f->engine), .events = POLLIN};
	assert_int_equal(poll(&wait, 1, 5000), 1);
}

static void finish(struct fixture *f, struct request *request)
{
	while (!request->ended)
		turn(f);
}

static struct request start(struct fixture *f, enum engine_kind kind, const fos_blk_range *ranges,
							uint32_t count, uint8_t *memory, struct request *where)
{
	char detail[ENGINE_DETAIL_MAX] = "";
	*where = (struct request){.memory = memory, .read = kind == ENGINE_READ};
	fos_status status = engine_start(f->file, kind, ranges, count, FOS_BLK_IO_MAX, where, detail);
	assert_int_equal(status, FOS_OK);
	return *where;
}

/* One operation from start to end; it must succeed. */
static void run(struct fixture *f, enum engine_kind kind, const fos_blk_range *ranges,
				uint32_t count, uint8_t *memory)
{
	struct request request;
	start(f, kind, ranges, count, memory, &request);
	finish(f, &request);
	if (request.status != FOS_OK)
		fail_msg("%s: %s", fos_status_name(request.status), request.detail);
	assert_true(kind != ENGINE_READ || request.lasts == 1);
}

/* A directory on a file system with O_DIRECT. */
static int direct_file(char *path, size_t size)
{
	const char *const dirs[] = {getenv("TMPDIR"), "/tmp", "/var/tmp", "."};
	for (unsigned i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
		if (!dirs[i])
			continue;
		snprintf(path, size, "%.40s/blk-engine-XXXXXX", dirs[i]);
		int fd = mkostemp(path, O_DIRECT | O_CLOEXEC);
		if (fd >= 0)
			return fd;
	}
	return -1;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	f->random = 42;
	f->fd = direct_file(f->path, sizeof f->path);
	if (f->fd < 0) {
		print_message("no directory with O_DIRECT: set TMPDIR to one\n");
		skip();
	}
	unlink(f->path);
	assert_int_equal(fallocate(f->fd, 0, 0, VOLUME), 0);
	f->staging = mmap(NULL, STAGING, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	f->reference = calloc(1, VOLUME);
	const struct engine_handlers handlers = {.move = on_move, .done = on_done};
	const char *error;
	assert_int_equal(engine_open(f->staging, STAGING, &handlers, &f->engine, &error), FOS_OK);
	assert_int_equal(engine_file_open(f->engine, dup(f->fd), VOLUME, "vol", &f->file), FOS_OK);
	now = f;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	engine_close(f->engine);
	munmap(f->staging, STAGING);
	close(f->fd);
	free(f->reference);
	free(f);
	return 0;
}

/* The volume filled with noise, through the engine; the reference likewise. */
static void fill(struct fixture *f)
{
	for (uint32_t i = 0; i < VOLUME; i++)
		f->reference[i] = (uint8_t)draw(f, 256);
	const fos_blk_range all = {.offset = 0, .length = VOLUME};
	run(f, ENGINE_WRITE, &all, 1, f->reference);
}

/* The file itself, read past the engine, holds the reference. */
static void check_volume(struct fixture *f)
{
	uint8_t *block = aligned_alloc(4096, 1 << 16);
	for (off_t at = 0; at < VOLUME; at += 1 << 16) {
		assert_int_equal(pread(f->fd, block, 1 << 16, at), 1 << 16);
		assert_memory_equal(block, f->reference + at, 1 << 16);
	}
	free(block);
}

static const uint64_t EDGES[] = {0, 1, 511, 512, 4095, 4096, 4097, 8191, 8192, 10304};
enum { EDGE_COUNT = sizeof EDGES / sizeof EDGES[0] };

static void test_read_every_alignment(void **state)
{
	struct fixture *f = *state;
	fill(f);
	uint8_t *memory = malloc(VOLUME);
	for (unsigned o = 0; o < EDGE_COUNT; o++)
		for (unsigned l = 1; l < EDGE_COUNT; l++) {
			const fos_blk_range range = {.offset = EDGES[o], .length = EDGES[l]};
			memset(memory, 0xee, EDGES[l] + 1);
			run(f, ENGINE_READ, &range, 1, memory);
			assert_memory_equal(memory, f->reference + EDGES[o], EDGES[l]);
			assert_int_equal(memory[EDGES[l]], 0xee);
		}
	/* Up to the last byte, and longer than the window. */
	const fos_blk_range tail = {.offset = 3, .length = VOLUME - 3};
	run(f, ENGINE_READ, &tail, 1, memory);
	assert_memory_equal(memory, f->reference + 3, VOLUME - 3);
	free(memory);
}

static void test_write_every_alignment(void **state)
{
	struct fixture *f = *state;
	fill(f);
	uint8_t *memory = malloc(VOLUME);
	for (unsigned o = 0; o < EDGE_COUNT; o++)
		for (unsigned l = 1; l < EDGE_COUNT; l++) {
			const fos_blk_range range = {.offset = EDGES[o], .length = EDGES[l]};
			for (uint64_t i = 0; i < range.length; i++)
				memory[i] = (uint8_t)draw(f, 256);
			memcpy(f->reference + range.offset, memory, range.length);
			run(f, ENGINE_WRITE, &range, 1, memory);
		}
	check_volume(f);
	/* Pieces that begin and end inside blocks. */
	const fos_blk_range most = {.offset = 4097, .length = VOLUME - 3 * 4096 - 5};
	for (uint64_t i = 0; i < most.length; i++)
		memory[i] = (uint8_t)draw(f, 256);
	memcpy(f->reference + most.offset, memory, most.length);
	run(f, ENGINE_WRITE, &most, 1, memory);
	check_volume(f);
	free(memory);
}

/* Random ranges: near each other, far, empty; for reads also overlapping and backwards. */
static uint32_t draw_ranges(struct fixture *f, fos_blk_range *ranges, uint64_t longest, bool write)
{
	uint32_t count = 1 + (uint32_t)draw(f, FOS_BLK_RANGES_MAX);
	uint64_t at = draw(f, VOLUME / 2);
	for (uint32_t i = 0; i < count; i++) {
		ranges[i].length = draw(f, 16) == 0 && i > 0 ? 0 : 1 + draw(f, longest);
		if (draw(f, 8) == 0 && !write)
			at = draw(f, VOLUME - longest - 1);
		else if (draw(f, 2) == 0)
			at += draw(f, 9000);
		if (at + ranges[i].length > VOLUME && write)
			return i > 0 ? i : 1;
		if (at + ranges[i].length > VOLUME)
			at = 0;
		ranges[i].offset = at;
		at += ranges[i].length;
	}
	return count;
}

static void test_many_ranges(void **state)
{
	struct fixture *f = *state;
	fill(f);
	uint8_t *memory = malloc(FOS_BLK_IO_MAX);
	fos_blk_range ranges[FOS_BLK_RANGES_MAX];
	for (unsigned round = 0; round < 150; round++) {
		bool write = round % 2 == 0;
		uint32_t count = draw_ranges(f, ranges, round % 3 == 0 ? 100 : 20000, write);
		uint64_t to = 0;
		for (uint32_t i = 0; i < count && write; i++)
			for (uint64_t b = 0; b < ranges[i].length; b++)
				memory[to++] = (uint8_t)draw(f, 256);
		run(f, write ? ENGINE_WRITE : ENGINE_READ, ranges, count, memory);
		to = 0;
		for (uint32_t i = 0; i < count; i++) {
			if (write)
				memcpy(f->reference + ranges[i].offset, memory + to, ranges[i].length);
			else
				assert_memory_equal(memory + to, f->reference + ranges[i].offset, ranges[i].length);
			to += ranges[i].length;
		}
	}
	check_volume(f);
	free(memory);
}

/* The gallery's pattern: photos that start at blocks and end inside them become one device read,
 * one piece, one move. */
static void test_near_ranges_are_one_move(void **state)
{
	struct fixture *f = *state;
	fill(f);
	fos_blk_range ranges[64];
	uint8_t *memory = malloc(64 * 10304);
	for (uint32_t i = 0; i < 64; i++)
		ranges[i] = (fos_blk_range){.offset = i * 12288u, .length = 10304};
	struct request request;
	start(f, ENGINE_READ, ranges, 64, memory, &request);
	finish(f, &request);
	assert_int_equal(request.status, FOS_OK);
	assert_int_equal(request.moves, 1);
	for (uint32_t i = 0; i < 64; i++)
		assert_memory_equal(memory + i * 10304, f->reference + i * 12288u, 10304);
	struct plan plan;
	struct plan_cursor cursor = {0};
	plan_read(&plan, ranges, 64, &cursor, ENGINE_PIECE);
	assert_int_equal(plan.run_count, 1);
	free(memory);
}

/* Writers of neighbouring bytes in the same blocks, and readers, all at once: every byte survives,
 * and no reader sees a write half done inside a block. */
static void test_concurrent_partial_writes(void **state)
{
	struct fixture *f = *state;
	enum { WRITERS = 128, READERS = 64, BYTES = 100 };
	static struct request writers[WRITERS], readers[READERS];
	static uint8_t written[WRITERS][BYTES], seen[READERS][4096];
	for (unsigned round = 1; round <= 20; round++) {
		for (unsigned i = 0; i < WRITERS; i++) {
			/* Writer i owns bytes [100 i, 100 i + 100) and writes the round's number. */
			memset(written[i], (int)round, BYTES);
			const fos_blk_range range = {.offset = i * BYTES, .length = BYTES};
			start(f, ENGINE_WRITE, &range, 1, written[i], &writers[i]);
			if (i % 2 == 0) {
				const fos_blk_range block = {.offset = (i / 40) * 4096u, .length = 4096};
				start(f, ENGINE_READ, &block, 1, seen[i / 2], &readers[i / 2]);
			}
		}
		for (unsigned i = 0; i < WRITERS; i++)
			finish(f, &writers[i]);
		for (unsigned i = 0; i < READERS; i++) {
			finish(f, &readers[i]);
			uint64_t base = ((i * 2) / 40) * 4096u;
			for (unsigned b = 1; b < 4096; b++)
				if ((base + b) / BYTES == (base + b - 1) / BYTES && (base + b) / BYTES < WRITERS)
					assert_int_equal(seen[i][b], seen[i][b - 1]);
		}
		memset(f->reference, (int)round, WRITERS * BYTES);
	}
	check_volume(f);
}

/* More operations than staging buffers and I/O slots: all end, in turn. */
static void test_more_than_there_is_room_for(void **state)
{
	struct fixture *f = *state;
	fill(f);
	enum { COUNT = 40 };
	static struct request requests[COUNT];
	uint8_t *memory = malloc((size_t)COUNT * VOLUME);
	fos_blk_range ranges[FOS_BLK_RANGES_MAX];
	for (uint32_t i = 0; i < FOS_BLK_RANGES_MAX; i++)
		ranges[i] = (fos_blk_range){.offset = (FOS_BLK_RANGES_MAX - i) * 8192u, .length = 4096};
	const fos_blk_range all = {.offset = 0, .length = VOLUME};
	for (unsigned i = 0; i < COUNT; i++)
		start(f, ENGINE_READ, i % 2 ? &all : ranges, i % 2 ? 1 : FOS_BLK_RANGES_MAX,
			  memory + (size_t)i * VOLUME, &requests[i]);
	for (unsigned i = 0; i < COUNT; i++) {
		finish(f, &requests[i]);
		assert_int_equal(requests[i].status, FOS_OK);
	}
	for (unsigned i = 1; i < COUNT; i += 2)
		assert_memory_equal(memory + (size_t)i * VOLUME, f->reference, VOLUME);
	for (unsigned i = 0; i < COUNT; i += 2)
		for (uint32_t r = 0; r < FOS_BLK_RANGES_MAX; r++)
			assert_memory_equal(memory + (size_t)i * VOLUME + r * 4096,
								f->reference + ranges[r].offset, 4096);
	free(memory);
}

static void expect_refused(struct fixture *f, uint64_t offset, uint64_t length, uint32_t count,
						   uint64_t memory_len, fos_status expected, const char *text)
{
	fos_blk_range ranges[FOS_BLK_RANGES_MAX + 1] = {{.offset = offset, .length = length}};
	char detail[ENGINE_DETAIL_MAX] = "";
	for (enum engine_kind kind = ENGINE_READ; kind <= ENGINE_WRITE; kind++) {
		fos_status status = engine_start(f->file, kind, ranges, count, memory_len, f, detail);
		assert_int_equal(status, expected);
		assert_non_null(strstr(detail, text));
	}
}

static void test_refusals(void **state)
{
	struct fixture *f = *state;
	expect_refused(f, VOLUME, 1, 1, 1, FOS_RANGE, "volume vol has 8388608 bytes: range 0");
	expect_refused(f, VOLUME - 1, 2, 1, 2, FOS_RANGE, "2 bytes from 8388607 on");
	expect_refused(f, UINT64_MAX, 2, 1, 2, FOS_RANGE, "range 0");
	expect_refused(f, 1, UINT64_MAX, 1, UINT64_MAX, FOS_RANGE, "range 0");
	expect_refused(f, 0, 4096, 1, 4095, FOS_RANGE, "the Memory 4095");
	expect_refused(f, 0, 0, 1, 4096, FOS_INVALID, "no bytes");
	expect_refused(f, 0, 1, 0, 1, FOS_INVALID, "0 ranges");
	expect_refused(f, 0, 1, FOS_BLK_RANGES_MAX + 1, 1, FOS_INVALID, "251 ranges");
	assert_int_equal(engine_poll(f->engine), 0);
}

static void test_device_error(void **state)
{
	struct fixture *f = *state;
	/* The file is shorter than the volume says. */
	assert_int_equal(ftruncate(f->fd, VOLUME / 2 + 4096), 0);
	const fos_blk_range range = {.offset = VOLUME / 2, .length = 16384};
	const fos_blk_range all = {.offset = 0, .length = VOLUME};
	uint8_t *memory = calloc(1, VOLUME);
	struct request request;
	start(f, ENGINE_READ, &range, 1, memory, &request);
	finish(f, &request);
	assert_int_equal(request.status, FOS_DEVICE);
	assert_string_equal(request.detail, "volume vol: read [4198400, 4210688): Input/output error");
	assert_int_equal(request.moves, 0);
	start(f, ENGINE_READ, &all, 1, memory, &request);
	finish(f, &request);
	assert_int_equal(request.status, FOS_DEVICE);
	assert_int_equal(request.lasts, 0);
	/* A write that the file system refuses: the buffers are free again for what follows. */
	assert_int_equal(ftruncate(f->fd, VOLUME), 0);
	fill(f);
	check_volume(f);
	free(memory);
}

static void test_write_to_what_cannot_be_written(void **state)
{
	struct fixture *f = *state;
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", f->fd);
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	assert_true(fd >= 0);
	struct engine_file *file = f->file;
	assert_int_equal(engine_file_open(f->engine, fd, VOLUME, "ro", &f->file), FOS_OK);
	const fos_blk_range all = {.offset = 1, .length = VOLUME - 1};
	struct request request;
	start(f, ENGINE_WRITE, &all, 1, f->reference, &request);
	finish(f, &request);
	assert_int_equal(request.status, FOS_DEVICE);
	assert_non_null(strstr(request.detail, "volume ro: write ["));
	assert_non_null(strstr(request.detail, "Bad file descriptor"));
	engine_file_close(f->file);
	f->file = file;
	fill(f);
	check_volume(f);
}

static void test_client_memory_gone(void **state)
{
	struct fixture *f = *state;
	fill(f);
	const fos_blk_range all = {.offset = 5, .length = VOLUME - 5};
	uint8_t *memory = calloc(1, VOLUME);
	for (enum engine_kind kind = ENGINE_READ; kind <= ENGINE_WRITE; kind++) {
		struct request request;
		f->refuse = FOS_REVOKED;
		start(f, kind, &all, 1, memory, &request);
		finish(f, &request);
		assert_int_equal(request.status, FOS_REVOKED);
		assert_non_null(strstr(request.detail, "the client's Memory"));
		assert_int_equal(request.lasts, 0);
		assert_true(request.moves <= ENGINE_WINDOW);
	}
	f->refuse = FOS_OK;
	check_volume(f);
	free(memory);
}

static void test_flush_and_close(void **state)
{
	struct fixture *f = *state;
	struct request write, flush;
	const fos_blk_range range = {.offset = 1, .length = 3 << 20};
	start(f, ENGINE_WRITE, &range, 1, f->reference, &write);
	start(f, ENGINE_FLUSH, NULL, 0, NULL, &flush);
	/* Closed while operations are under way: they end well, new ones are refused. */
	engine_file_close(f->file);
	char detail[ENGINE_DETAIL_MAX];
	assert_int_equal(engine_start(f->file, ENGINE_FLUSH, NULL, 0, 0, f, detail), FOS_REVOKED);
	finish(f, &write);
	finish(f, &flush);
	assert_int_equal(write.status, FOS_OK);
	assert_int_equal(flush.status, FOS_OK);
	/* Slots of files come back. */
	for (unsigned i = 0; i < 3 * ENGINE_FILES_MAX; i++) {
		assert_int_equal(engine_file_open(f->engine, dup(f->fd), VOLUME, "again", &f->file),
						 FOS_OK);
		engine_file_close(f->file);
	}
}

/* Whoever sleeps until the descriptor is readable is woken by the device, and by nothing else: not
 * again by answers that were taken already. */
static void test_descriptor(void **state)
{
	struct fixture *f = *state;
	struct pollfd fd = {.fd = engine_fd(f->engine), .events = POLLIN};
	const fos_blk_range block = {.offset = 4096, .length = 4096};
	struct request request;

	assert_int_equal(poll(&fd, 1, 0), 0);
	for (unsigned i = 0; i < 20; i++) {
		start(f, ENGINE_READ, &block, 1, f->reference, &request);
		assert_true(engine_poll(f->engine) > 0);
		assert_int_equal(poll(&fd, 1, 5000), 1);
		finish(f, &request);
		assert_int_equal(request.status, FOS_OK);
		assert_int_equal(poll(&fd, 1, 0), 0);
	}
}

static void test_close_under_way(void **state)
{
	struct fixture *f = *state;
	const fos_blk_range all = {.offset = 0, .length = VOLUME};
	static struct request requests[4];
	uint8_t *memory = calloc(1, VOLUME);
	for (unsigned i = 0; i < 4; i++)
		start(f, i % 2 ? ENGINE_READ : ENGINE_WRITE, &all, 1, memory, &requests[i]);
	engine_poll(f->engine);
	free(memory);
	/* The rest is the teardown's: nothing leaks, nothing is written afterwards. */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_read_every_alignment),
		TEST(test_write_every_alignment),
		TEST(test_many_ranges),
		TEST(test_near_ranges_are_one_move),
		TEST(test_concurrent_partial_writes),
		TEST(test_more_than_there_is_room_for),
		TEST(test_refusals),
		TEST(test_device_error),
		TEST(test_write_to_what_cannot_be_written),
		TEST(test_client_memory_gone),
		TEST(test_flush_and_close),
		TEST(test_descriptor),
		TEST(test_close_under_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
