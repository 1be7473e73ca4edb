/* The load of blk: a side that does as it is told is found right, and each way to be fast by doing
 * something else is found out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "load.h"

enum { SIZE = 8 * LOAD_LENGTH_MAX };

enum wrong {
	NOTHING,
	OFFSET,   /* the block beside */
	LENGTH,   /* the last bytes stay away */
	OLD,      /* half of what was there before */
	LOST,     /* nothing is moved */
	REPEATED, /* always the same place */
	SWAPPED   /* the bytes of another slot */
};

/* A side: operations are done at once, not in their order; one of `period` is done wrong. */
struct side {
	struct load load;
	struct load_io waiting[LOAD_DEPTH_MAX];
	unsigned count, done, period, most;
	enum wrong wrong;
};

static bool start(void *arg, const struct load_io *io)
{
	struct side *side = arg;
	side->waiting[side->count++] = *io;
	side->most = side->count > side->most ? side->count : side->most;
	return true;
}

static void spoil(const struct side *side, struct load_io *io)
{
	switch (side->wrong) {
	case OFFSET:
		io->offset ^= LOAD_BLOCK;
		break;
	case LENGTH:
		io->length -= 8;
		break;
	case OLD:
		io->length /= 2;
		break;
	case LOST:
		io->length = 0;
		break;
	case REPEATED:
		io->offset = 0;
		break;
	case SWAPPED:
		io->bytes = side->load.slots[(io->slot + 1) % side->load.kind.depth].io.bytes;
		break;
	case NOTHING:
		break;
	}
}

static bool wait(void *arg)
{
	struct side *side = arg;
	const unsigned which = side->count > 1 && side->done % 2 == 0;
	struct load_io io = side->waiting[which];
	const unsigned slot = io.slot;
	const int fd = side->load.file->fd;

	memmove(side->waiting + which, side->waiting + which + 1, (--side->count - which) * sizeof io);
	if (++side->done % side->period == 0)
		spoil(side, &io);
	/* By a descriptor that takes lengths which no device does. */
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	FILE *file = fopen(path, "r+e");
	assert_non_null(file);
	assert_int_equal(fseek(file, (long)io.offset, SEEK_SET), 0);
	const size_t n =
		io.write ? fwrite(io.bytes, 1, io.length, file) : fread(io.bytes, 1, io.length, file);
	assert_true(n == io.length || side->wrong == OFFSET); /* which may reach beyond the end */
	assert_int_equal(fclose(file), 0);
	load_ended(&side->load, slot, true);
	return true;
}

struct fixture {
	struct load_file file;
	uint8_t *buffers;
	struct side side;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	char path[] = "/tmp/fractos-load-test-XXXXXX";
	void *buffers = NULL;

	assert_non_null(f);
	assert_int_equal(posix_memalign(&buffers, LOAD_BLOCK, SIZE), 0);
	f->buffers = buffers;
	const int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	unlink(path);
	assert_true(load_file_open(path, SIZE, true, &f->file));
	unlink(path);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	load_close(&f->side.load);
	load_file_close(&f->file);
	free(f->buffers);
	free(f);
	return 0;
}

static void open_side(struct fixture *f, struct load_kind kind, enum wrong wrong, unsigned period)
{
	const struct load_way way = {start, wait, &f->side};
	load_close(&f->side.load);
	f->side = (struct side){.wrong = wrong, .period = period};
	assert_true(load_open(&f->file, &kind, &way, f->buffers, &f->side.load));
}

static const struct load_kind kinds[] = {
	{false, false, LOAD_BLOCK, 1},     {true, false, LOAD_BLOCK, 1},
	{false, false, LOAD_BLOCK, 32},    {true, false, LOAD_BLOCK, 32},
	{false, true, LOAD_LENGTH_MAX, 4}, {true, true, LOAD_LENGTH_MAX, 4},
	{true, false, 4 * LOAD_BLOCK, 8}};

static void test_right(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		open_side(f, kinds[i], NOTHING, 1);
		assert_true(load_prove(&f->side.load, 40));
		load_forget(&f->side.load);
		for (unsigned turn = 0; turn < 3; turn++)
			assert_true(load_run(&f->side.load, 20) > 0);
		assert_int_equal(f->side.load.turns, 3);
		assert_int_equal(f->side.load.all->count, 60);
		assert_true(f->side.load.medians[2] > 0);
		assert_int_equal(f->side.most, kinds[i].depth < 20 ? kinds[i].depth : 32);
		assert_true(load_file_check(&f->file));
	}
}

/* One wrong read of many is seen when each is looked at; many wrong ones at the end of a turn. */
static void test_wrong_reads(void **state)
{
	struct fixture *f = *state;
	for (enum wrong wrong = OFFSET; wrong <= SWAPPED; wrong++)
		for (unsigned k = 0; k < 3; k++) {
			if (wrong == SWAPPED && kinds[2 * k].depth == 1)
				continue; /* there is no other slot */
			open_side(f, kinds[2 * k], wrong, 7);
			assert_false(load_prove(&f->side.load, 64));
			open_side(f, kinds[2 * k], wrong, 1);
			assert_int_equal(load_run(&f->side.load, 64), 0);
		}
}

static void test_wrong_writes(void **state)
{
	struct fixture *f;
	for (enum wrong wrong = OFFSET; wrong <= SWAPPED; wrong++)
		for (unsigned k = 0; k < 3; k++) {
			if (wrong == SWAPPED && kinds[2 * k + 1].depth == 1)
				continue;
			teardown(state);
			setup(state);
			f = *state;
			open_side(f, kinds[2 * k + 1], wrong, 7);
			/* All of the operations but one of seven are right. */
			assert_true(load_run(&f->side.load, 7) > 0);
			assert_false(load_file_check(&f->file));
		}
}

static void test_failures(void **state)
{
	struct fixture *f = *state;
	struct load_file none;
	open_side(f, kinds[2], NOTHING, 1);
	f->side.load.failed = true;
	assert_int_equal(load_run(&f->side.load, 5), 0);
	assert_false(load_file_open("/nonexistent/file", SIZE, true, &none));
	assert_int_equal(none.fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_right, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_writes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
	};
	return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
