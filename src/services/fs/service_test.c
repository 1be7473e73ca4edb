/* The file system in a cluster of four real Controllers: all operations against a model, full
 * volumes, malformed requests, kills and restarts. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <fractos/blk.h>
#include <fractos/fs.h>
#include <fractos/registry.h>

#include "services/fs/harness.h"

enum { FILES = 5, FILE_BYTES = 300000 };

static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (random_state >> 33) % bound;
}

/* ------------------------------------------------------------------ names */

static void append_name(const char *name, const fos_fs_dirent *entry, void *arg)
{
	char *text = arg;
	size_t used = strlen(text);
	snprintf(text + used, 4096 - used, "%s%s ", name, entry->type == FOS_FS_DIRECTORY ? "/" : "");
}

static void count_name(const char *name, const fos_fs_dirent *entry, void *arg)
{
	++*(unsigned *)arg;
}

static void test_names(void **state)
{
	struct fixture *f = *state;
	fos_fs_stat a, b;
	char text[4096] = "";
	assert_int_equal(fos_fs_mkdir(f->ch, f->root, "/d"), FOS_OK);
	assert_int_equal(fos_fs_mkdir(f->ch, f->root, "/d"), FOS_EXISTS);
	assert_int_equal(fos_fs_mkdir(f->ch, f->root, "/no/d"), FOS_NOT_FOUND);
	assert_int_equal(fos_fs_create(f->ch, f->root, "/d/a", &a), FOS_OK);
	assert_int_equal(a.size, 0);
	assert_int_equal(a.type, FOS_FS_FILE);
	assert_int_equal(fos_fs_create(f->ch, f->root, "/d/a", &b), FOS_EXISTS);
	assert_int_equal(fos_fs_create(f->ch, f->root, "/d/../a", &b), FOS_INVALID);
	assert_int_equal(fos_fs_open(f->ch, f->root, "/d/a", &b), FOS_OK);
	assert_int_equal(a.file, b.file);
	assert_int_equal(fos_fs_open(f->ch, f->root, "/d/b", &b), FOS_NOT_FOUND);
	assert_int_equal(fos_fs_stat_path(f->ch, f->root, "/", &b), FOS_OK);
	assert_int_equal(b.type, FOS_FS_DIRECTORY);
	assert_int_equal(fos_fs_rename(f->ch, f->root, "/d", "/d/e"), FOS_INVALID);
	assert_int_equal(fos_fs_rename(f->ch, f->root, "/d/a", "/c"), FOS_OK);
	assert_int_equal(fos_fs_truncate(f->ch, f->root, a.file, 12345), FOS_OK);
	assert_int_equal(fos_fs_stat_path(f->ch, f->root, "/c", &b), FOS_OK);
	assert_int_equal(b.size, 12345);
	assert_int_equal(fos_fs_fsync(f->ch, f->root, a.file), FOS_OK);
	assert_int_equal(fos_fs_fsync(f->ch, f->root, 999), FOS_NOT_FOUND);
	assert_int_equal(fos_fs_readdir(f->ch, f->root, "/", append_name, text), FOS_OK);
	assert_string_equal(text, "c d/ ");
	assert_int_equal(fos_fs_readdir(f->ch, f->root, "/c", append_name, text), FOS_INVALID);
	assert_int_equal(fos_fs_unlink(f->ch, f->root, "/c"), FOS_OK);
	assert_int_equal(fos_fs_unlink(f->ch, f->root, "/c"), FOS_NOT_FOUND);
	assert_int_equal(fos_fs_truncate(f->ch, f->root, a.file, 1), FOS_NOT_FOUND);

	/* More than one page. */
	char path[300];
	for (unsigned i = 0; i < 120; i++) {
		snprintf(path, sizeof path, "/d/%03u-%0200u", i, i);
		assert_int_equal(fos_fs_create(f->ch, f->root, path, &a), FOS_OK);
	}
	unsigned count = 0;
	assert_int_equal(fos_fs_readdir(f->ch, f->root, "/d", count_name, &count), FOS_OK);
	assert_int_equal(count, 120);
	assert_int_equal(fos_fs_unlink(f->ch, f->root, "/d"), FOS_INVALID);
}

/* ------------------------------------------------------------------ contents */

struct file {
	uint64_t id, size;
	uint8_t bytes[FILE_BYTES];
};

static unsigned some_flags(void)
{
	return random_below(2) ? FOS_FS_RELAYED : 0;
}

static void step_write(struct fixture *f, struct file *files)
{
	fos_fs_item items[4];
	uint32_t count = 1 + (uint32_t)random_below(4);
	uint64_t total = 0;
	uint8_t *bytes = f->bytes;
	for (uint32_t i = 0; i < count; i++) {
		struct file *file = &files[(i + random_state) % FILES];
		for (uint32_t j = 0; j < i; j++) /* overlapping items have no defined outcome */
			if (items[j].file == file->id)
				return;
		uint64_t offset = random_below(FILE_BYTES - 70000);
		uint64_t length = 1 + random_below(random_below(3) ? 9000 : 70000);
		items[i] = (fos_fs_item){file->id, offset, length};
		total += length;
	}
	for (uint64_t i = 0; i < total; i++)
		bytes[i] = (uint8_t)random_below(256);
	assert_int_equal(fos_fs_write(f->ch, f->root, items, count, f->memory, some_flags()), FOS_OK);
	for (uint32_t i = 0; i < count; i++) {
		struct file *file = NULL;
		for (unsigned j = 0; j < FILES; j++)
			if (files[j].id == items[i].file)
				file = &files[j];
		assert_non_null(file);
		memcpy(file->bytes + items[i].offset, bytes, items[i].length);
		bytes += items[i].length;
		if (file->size < items[i].offset + items[i].length)
			file->size = items[i].offset + items[i].length;
	}
}

static void step_read(struct fixture *f, struct file *files)
{
	fos_fs_item items[8];
	const uint8_t *expected[8];
	uint32_t count = 1 + (uint32_t)random_below(8);
	for (uint32_t i = 0; i < count; i++) {
		struct file *file = &files[random_below(FILES)];
		uint64_t offset = random_below(file->size + 1);
		items[i] = (fos_fs_item){file->id, offset, random_below(file->size - offset + 1)};
		expected[i] = file->bytes + offset;
	}
	memset(f->bytes, 0xee, 8 * FILE_BYTES);
	assert_int_equal(fos_fs_read(f->ch, f->root, items, count, f->memory, some_flags()), FOS_OK);
	const uint8_t *bytes = f->bytes;
	for (uint32_t i = 0; i < count; i++) {
		assert_memory_equal(bytes, expected[i], items[i].length);
		bytes += items[i].length;
	}
	assert_int_equal(*bytes, 0xee); /* and not one byte more */
}

static void step(struct fixture *f, struct file *files)
{
	unsigned i = (unsigned)random_below(FILES);
	struct file *file = &files[i];
	char name[32];
	snprintf(name, sizeof name, "/file%u", i);
	uint64_t what = random_below(20);
	if (what < 8) {
		step_write(f, files);
	} else if (what < 15) {
		step_read(f, files);
	} else if (what < 18) {
		uint64_t size = random_below(FILE_BYTES);
		assert_int_equal(fos_fs_truncate(f->ch, f->root, file->id, size), FOS_OK);
		if (size < file->size)
			memset(file->bytes + size, 0, FILE_BYTES - size);
		file->size = size;
	} else if (what < 19) {
		assert_int_equal(fos_fs_fsync(f->ch, f->root, file->id), FOS_OK);
	} else {
		fos_fs_stat stat;
		assert_int_equal(fos_fs_unlink(f->ch, f->root, name), FOS_OK);
		assert_int_equal(fos_fs_create(f->ch, f->root, name, &stat), FOS_OK);
		memset(file, 0, sizeof *file);
		file->id = stat.file;
	}
}

static void make_files(struct fixture *f, struct file *files)
{
	for (unsigned i = 0; i < FILES; i++) {
		char name[32];
		fos_fs_stat stat;
		snprintf(name, sizeof name, "/file%u", i);
		assert_int_equal(fos_fs_create(f->ch, f->root, name, &stat), FOS_OK);
		files[i].id = stat.file;
	}
}

static void test_contents(void **state)
{
	struct fixture *f = *state;
	struct file *files = calloc(FILES, sizeof *files);
	random_state = 7;
	make_files(f, files);
	for (unsigned i = 0; i < 1500; i++)
		step(f, files);
	free(files);
}

/* Many small extents with holes: more ranges than one Request of the block service takes. */
static void test_many_ranges(void **state)
{
	struct fixture *f = *state;
	enum { EXTENTS = 600, STRIDE = 16384 };
	fos_fs_stat stat;
	assert_int_equal(fos_fs_create(f->ch, f->root, "/sparse", &stat), FOS_OK);
	for (unsigned at = 0; at < EXTENTS;) {
		fos_fs_item items[FOS_FS_ITEMS_MAX];
		uint32_t count = 0;
		for (; count < FOS_FS_ITEMS_MAX && at < EXTENTS; at++, count++) {
			items[count] = (fos_fs_item){stat.file, at * STRIDE + 5, 100};
			memset(f->bytes + count * 100, (int)(at % 255 + 1), 100);
		}
		assert_int_equal(fos_fs_write(f->ch, f->root, items, count, f->memory, 0), FOS_OK);
	}
	assert_int_equal(fos_fs_open(f->ch, f->root, "/sparse", &stat), FOS_OK);
	for (unsigned flags = 0; flags <= FOS_FS_RELAYED; flags++) {
		uint64_t half = stat.size / 2;
		for (unsigned part = 0; part < 2; part++) {
			fos_fs_item item = {stat.file, part * half, half};
			memset(f->bytes, 0xee, BUFFER_BYTES);
			assert_int_equal(fos_fs_read(f->ch, f->root, &item, 1, f->memory, flags), FOS_OK);
			for (uint64_t i = 0; i < half; i++) {
				uint64_t at = part * half + i, inside = at % STRIDE;
				uint8_t expected =
					inside >= 5 && inside < 105 ? (uint8_t)(at / STRIDE % 255 + 1) : 0;
				if (f->bytes[i] != expected)
					fail_msg("byte %llu is %u, not %u", (unsigned long long)at, f->bytes[i],
							 expected);
			}
		}
	}
}

static void test_refusals(void **state)
{
	struct fixture *f = *state;
	fos_fs_stat stat;
	assert_int_equal(fos_fs_create(f->ch, f->root, "/f", &stat), FOS_OK);
	fos_fs_item item = {stat.file, 0, 5000};
	assert_int_equal(fos_fs_write(f->ch, f->root, &item, 1, f->memory, 0), FOS_OK);
	for (unsigned flags = 0; flags <= FOS_FS_RELAYED; flags++) {
		fos_fs_item beyond = {stat.file, 1, 5000}, far = {stat.file, UINT64_MAX, 2};
		fos_fs_item gone = {9999, 0, 1}, root = {1, 0, 0}, big = {stat.file, 0, FOS_FS_IO_MAX + 1};
		assert_int_equal(fos_fs_read(f->ch, f->root, &beyond, 1, f->memory, flags), FOS_RANGE);
		assert_int_equal(fos_fs_read(f->ch, f->root, &far, 1, f->memory, flags), FOS_RANGE);
		assert_int_equal(fos_fs_read(f->ch, f->root, &gone, 1, f->memory, flags), FOS_NOT_FOUND);
		assert_int_equal(fos_fs_read(f->ch, f->root, &root, 1, f->memory, flags), FOS_INVALID);
		assert_int_equal(fos_fs_read(f->ch, f->root, &big, 1, f->memory, flags), FOS_INVALID);
		assert_int_equal(fos_fs_write(f->ch, f->root, &far, 1, f->memory, flags), FOS_RANGE);
		fos_cap small, readonly;
		assert_int_equal(fos_memory_diminish(f->ch, f->memory, 0, 4999, 0, &small), FOS_OK);
		assert_int_equal(fos_memory_diminish(f->ch, f->memory, 0, 5000, FOS_WRITE, &readonly),
						 FOS_OK);
		assert_int_equal(fos_fs_read(f->ch, f->root, &item, 1, small, flags), FOS_RANGE);
		assert_int_equal(fos_fs_write(f->ch, f->root, &item, 1, small, flags), FOS_RANGE);
		assert_int_equal(fos_fs_read(f->ch, f->root, &item, 1, readonly, flags), FOS_DENIED);
		assert_int_equal(fos_fs_write(f->ch, f->root, &item, 1, readonly, flags), FOS_OK);
		assert_int_equal(fos_fs_read(f->ch, f->root, &item, 1, f->root, flags), FOS_WRONG_TYPE);
		assert_int_equal(fos_fs_read(f->ch, f->root, &item, 1, FOS_CAP_NONE, flags), FOS_INVALID);
		assert_int_equal(fos_cap_close(f->ch, small), FOS_OK);
		assert_int_equal(fos_cap_close(f->ch, readonly), FOS_OK);
	}
	/* Nothing of this changed the file, and raw nonsense is refused. */
	const fos_fs_args bad[] = {{.op = 0},
							   {.op = 99},
							   {.op = FOS_FS_READ, .count = 0},
							   {.op = FOS_FS_READ, .count = 129},
							   {.op = FOS_FS_READ, .count = 2},
							   {.op = FOS_FS_READ, .flags = 2, .count = 1},
							   {.op = FOS_FS_MKDIR, .zero = 1}};
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		fos_args args;
		fos_reply reply;
		fos_args_init(&args);
		fos_fs_args one = bad[i];
		fos_args_imm(&args, FOS_CALL, FOS_ARG, &one, sizeof one);
		fos_args_imm(&args, FOS_CALL, FOS_ARG + sizeof one, &item, sizeof item);
		assert_int_equal(fos_call(f->ch, f->root, &args, 0, &reply), FOS_INVALID);
		assert_true(reply.delivery.exception.detail_len > 0);
		fos_reply_release(f->ch, &reply);
	}
	fos_reply reply;
	assert_int_equal(fos_call(f->ch, f->root, NULL, 0, &reply), FOS_INVALID);
	fos_reply_release(f->ch, &reply);
	assert_int_equal(fos_fs_open(f->ch, f->root, "/f", &stat), FOS_OK);
	assert_int_equal(stat.size, 5000);
}

static void test_full(void **state)
{
	struct fixture *f = *state;
	fos_fs_stat stat;
	fos_status status = FOS_OK;
	fos_fs_item item = {.length = 1 << 20};
	unsigned whole = 0;
	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(fos_fs_create(f->ch, f->root, "/big", &stat), FOS_OK);
		item = (fos_fs_item){stat.file, 0, 1 << 20};
		memset(f->bytes, 'a' + (int)round, 1 << 20);
		do {
			status = fos_fs_write(f->ch, f->root, &item, 1, f->memory, some_flags());
			item.offset += status == FOS_OK ? item.length : 0;
		} while (status == FOS_OK);
		assert_int_equal(status, FOS_NO_SPACE);
		assert_true(round == 0 || whole == item.offset); /* all came back */
		whole = (unsigned)item.offset;
		assert_true(whole >= 6 << 20);
		assert_int_equal(fos_fs_open(f->ch, f->root, "/big", &stat), FOS_OK);
		assert_int_equal(stat.size, whole);
		item = (fos_fs_item){stat.file, whole - 4096, 4096};
		assert_int_equal(fos_fs_read(f->ch, f->root, &item, 1, f->memory, FOS_FS_RELAYED), FOS_OK);
		assert_int_equal(f->bytes[4095], 'a' + (int)round);
		assert_int_equal(fos_fs_unlink(f->ch, f->root, "/big"), FOS_OK);
	}
}

/* ------------------------------------------------------------------ kills */

static void test_blk_dies(void **state)
{
	struct fixture *f = *state;
	fos_fs_stat stat;
	assert_int_equal(fos_fs_create(f->ch, f->root, "/f", &stat), FOS_OK);
	fixture_write_all(f, stat.file, 1, 1 << 20);
	for (unsigned round = 0; round < 3; round++) {
		fixture_kill(&f->blk);
		for (unsigned what = 0; what < 4; what++) {
			fos_fs_item item = {stat.file, 0, 1 << 20};
			uint64_t begin = fixture_now();
			unsigned flags = what & 1 ? FOS_FS_RELAYED : 0;
			fos_status status = what & 2 ? fos_fs_write(f->ch, f->root, &item, 1, f->memory, flags)
										 : fos_fs_read(f->ch, f->root, &item, 1, f->memory, flags);
			if (status != FOS_PEER_LOST && status != FOS_REVOKED)
				fail_msg("%u: %s", what, fos_status_name(status));
			assert_true(fixture_now() - begin < harness_stretch(2 * SECOND));
		}
		/* Names need no volume. */
		assert_int_equal(fos_fs_stat_path(f->ch, f->root, "/f", &stat), FOS_OK);
		fixture_start_blk(f);
		fixture_expect_back(f, stat.file, 1 + (int)round, 1 << 20, round & 1 ? FOS_FS_RELAYED : 0);
		fixture_write_all(f, stat.file, 2 + (int)round, 1 << 20);
		fixture_expect_all(f, stat.file, 2 + (int)round, 1 << 20, 0);
	}
}

/* While nobody uses it: the first use after the restart works. */
static void test_blk_restarts_unseen(void **state)
{
	struct fixture *f = *state;
	fos_fs_stat stat;
	assert_int_equal(fos_fs_create(f->ch, f->root, "/f", &stat), FOS_OK);
	fixture_write_all(f, stat.file, 9, 50000);
	for (unsigned round = 0; round < 3; round++) {
		fixture_kill(&f->blk);
		fixture_start_blk(f);
		fixture_expect_back(f, stat.file, 9, 50000, round & 1 ? FOS_FS_RELAYED : 0);
	}
}

/* The Controller under it dies with it: the epoch is over. */
static void test_blk_node_restarts(void **state)
{
	struct fixture *f = *state;
	fos_fs_stat stat;
	assert_int_equal(fos_fs_create(f->ch, f->root, "/f", &stat), FOS_OK);
	fixture_write_all(f, stat.file, 9, 50000);
	cluster_end(&f->cluster, 2, SIGKILL);
	launch_end(f->blk, SIGKILL);
	fos_fs_item item = {stat.file, 0, 50000};
	uint64_t begin = fixture_now();
	fos_status status = fos_fs_read(f->ch, f->root, &item, 1, f->memory, 0);
	assert_true(status == FOS_PEER_LOST || status == FOS_REVOKED || status == FOS_STALE ||
				status == FOS_OUTCOME_UNKNOWN);
	assert_true(fixture_now() - begin < harness_stretch(2 * SECOND));
	assert_true(cluster_start(&f->cluster, 2));
	fixture_start_blk(f);
	for (uint64_t end = fixture_now() + PATIENCE; status != FOS_OK && fixture_now() < end;)
		status = fos_fs_read(f->ch, f->root, &item, 1, f->memory, 0);
	assert_int_equal(status, FOS_OK);
	assert_int_equal(f->bytes[49999], 9);
}

static void test_fs_dies(void **state)
{
	struct fixture *f = *state;
	fos_fs_stat stats[4];
	for (unsigned i = 0; i < 4; i++) {
		char name[16];
		snprintf(name, sizeof name, "/f%u", i);
		assert_int_equal(fos_fs_create(f->ch, f->root, name, &stats[i]), FOS_OK);
	}
	for (unsigned round = 0; round < 4; round++) {
		fixture_write_all(f, stats[round].file, 40 + (int)round, 300000);
		/* One more is under way when it dies: it may be there or not, whole. */
		const fos_fs_args header = {.op = FOS_FS_WRITE, .count = 1};
		const fos_fs_item item = {stats[(round + 1) % 4].file, 0, 300000};
		fos_args args;
		fos_args_init(&args);
		fos_fs_args_io(&args, FOS_CALL, &header, &item, f->memory);
		assert_int_equal(fos_request_invoke(f->ch, f->root, &args, NULL), FOS_OK);
		fixture_kill(&f->fs);
		fos_fs_stat stat;
		fos_status status = fos_fs_stat_path(f->ch, f->root, "/f0", &stat);
		assert_true(status == FOS_REVOKED || status == FOS_PEER_LOST);
		fixture_check(f);
		fixture_start_fs(f);
		fixture_expect_all(f, stats[round].file, 40 + (int)round, 300000, 0);
		assert_int_equal(fos_fs_stat_path(f->ch, f->root, "/f3", &stat), FOS_OK);
		assert_int_equal(stat.file, stats[3].file);
	}
}

/* ------------------------------------------------------------------ many at once */

enum { CALLS = 48 };

/* Waits until all have ended, at most `limit` ns. */
static void end_calls(struct fixture *f, const struct call *calls, uint64_t limit)
{
	uint64_t end = fixture_now() + limit;
	for (unsigned i = 0; i < CALLS; i++) {
		while (!calls[i].ended && fixture_now() < end)
			fos_wait(f->ch, SECOND / 20);
		if (!calls[i].ended)
			fail_msg("call %u has not ended", i);
	}
}

/* Writes and reads of one file that are sent without waiting happen in their order: each read sees
 * the write before it. */
static void test_order(void **state)
{
	struct fixture *f = *state;
	struct call calls[CALLS];
	fos_fs_stat stat;
	assert_int_equal(fos_fs_create(f->ch, f->root, "/f", &stat), FOS_OK);
	for (unsigned round = 0; round < 6; round++) {
		for (unsigned i = 0; i < CALLS; i++)
			memset(f->bytes + i * CALL_BYTES, i & 1 ? 0xee : (int)(round + i + 1), CALL_BYTES);
		fos_fs_item item = {stat.file, 0, CALL_BYTES};
		for (unsigned i = 0; i < CALLS; i++)
			call_begin(f, &calls[i], i & 1 ? FOS_FS_READ : FOS_FS_WRITE,
					   i / 2 % 2 ? FOS_FS_RELAYED : 0, &item, i * CALL_BYTES);
		end_calls(f, calls, PATIENCE);
		for (unsigned i = 0; i < CALLS; i++)
			assert_int_equal(calls[i].status, FOS_OK);
		/* A mediated read may be overtaken at the device by the next write, never by older ones;
		 * a relayed one holds the file until it is done. */
		for (unsigned i = 3; i < CALLS; i += 4)
			assert_memory_equal(f->bytes + i * CALL_BYTES, f->bytes + (i - 1) * CALL_BYTES,
								CALL_BYTES);
	}
}

/* What lies behind the first CALL_BYTES of a file: `fill`, or zeros where a write failed. */
static void expect_extended(struct fixture *f, uint64_t file, int fill)
{
	fos_fs_item item = {file, CALL_BYTES, CALL_BYTES};
	uint8_t *bytes = f->bytes + CALLS * CALL_BYTES;
	fos_cap memory;
	assert_int_equal(
		fos_memory_diminish(f->ch, f->memory, CALLS * CALL_BYTES, CALL_BYTES, 0, &memory), FOS_OK);
	if (fill == 0) {
		assert_int_equal(fos_fs_read(f->ch, f->root, &item, 1, memory, 0), FOS_RANGE);
		assert_int_equal(fos_fs_truncate(f->ch, f->root, file, 2 * CALL_BYTES), FOS_OK);
	}
	memset(bytes, 0xee, CALL_BYTES);
	assert_int_equal(fos_fs_read(f->ch, f->root, &item, 1, memory, 0), FOS_OK);
	for (unsigned i = 0; i < CALL_BYTES; i++)
		assert_int_equal(bytes[i], fill);
	assert_int_equal(fos_fs_truncate(f->ch, f->root, file, CALL_BYTES), FOS_OK);
	assert_int_equal(fos_cap_close(f->ch, memory), FOS_OK);
}

static void test_blk_dies_under_load(void **state)
{
	struct fixture *f = *state;
	struct call calls[CALLS];
	fos_fs_stat stats[CALLS];
	for (unsigned i = 0; i < CALLS; i++) {
		char name[16];
		snprintf(name, sizeof name, "/f%u", i);
		assert_int_equal(fos_fs_create(f->ch, f->root, name, &stats[i]), FOS_OK);
		fixture_write_all(f, stats[i].file, 1 + (int)i, CALL_BYTES);
	}
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < CALLS; i++) {
			/* Writes extend their file. */
			fos_fs_item item = {stats[i].file, i & 1 ? 0 : CALL_BYTES, CALL_BYTES};
			memset(f->bytes + i * CALL_BYTES, 1 + (int)i, CALL_BYTES);
			call_begin(f, &calls[i], i & 1 ? FOS_FS_READ : FOS_FS_WRITE, i & 2 ? FOS_FS_RELAYED : 0,
					   &item, i * CALL_BYTES);
			if (i == CALLS / 2 + round * 4)
				fixture_kill(&f->blk);
		}
		end_calls(f, calls, harness_stretch(2 * SECOND));
		unsigned failed = 0;
		for (unsigned i = 0; i < CALLS; i++)
			failed += calls[i].status != FOS_OK;
		assert_true(failed > 0);
		fixture_start_blk(f);
		for (unsigned i = 0; i < CALLS; i++) {
			fixture_expect_back(f, stats[i].file, 1 + (int)i, CALL_BYTES,
								i & 1 ? FOS_FS_RELAYED : 0);
			if (!(i & 1))
				expect_extended(f, stats[i].file, calls[i].status == FOS_OK ? 1 + (int)i : 0);
		}
	}
}

/* It stops when told, also while the block service is away and somebody waits for it. */
static void test_stops_without_blk(void **state)
{
	struct fixture *f = *state;
	struct call calls[CALLS];
	fos_fs_stat stat;
	assert_int_equal(fos_fs_create(f->ch, f->root, "/f", &stat), FOS_OK);
	fixture_write_all(f, stat.file, 1, CALL_BYTES);
	fixture_kill(&f->blk);
	fos_fs_item item = {stat.file, 0, CALL_BYTES};
	for (unsigned i = 0; i < CALLS; i++)
		call_begin(f, &calls[i], FOS_FS_READ, i & 1, &item, i * CALL_BYTES);
	uint64_t begin = fixture_now();
	fixture_end(f->fs);
	f->fs = 0;
	assert_true(fixture_now() - begin < harness_stretch(2 * SECOND));
	end_calls(f, calls, harness_stretch(2 * SECOND));
	for (unsigned i = 0; i < CALLS; i++)
		assert_true(calls[i].status != FOS_OK);
}

/* fs has its volume for itself, and nobody else gets it. */
static void expect_exclusive(struct fixture *f)
{
	fos_cap blk;
	fos_blk_volume volume;
	assert_int_equal(fos_registry_wait(f->ch, "blk", PATIENCE, &blk), FOS_OK);
	assert_int_equal(fos_blk_open(f->ch, blk, "fs", FOS_BLK_READ, &volume), FOS_BUSY);
	assert_int_equal(fos_cap_close(f->ch, blk), FOS_OK);
}

static void test_controller_lost(void **state)
{
	struct fixture *f = *state;
	fos_fs_stat stat;
	expect_exclusive(f);
	assert_int_equal(fos_fs_create(f->ch, f->root, "/f", &stat), FOS_OK);
	fixture_write_all(f, stat.file, 3, CALL_BYTES);
	cluster_end(&f->cluster, 1, SIGKILL);
	int status = launch_end(f->fs, 0);
	f->fs = 0;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	/* And after its node's restart it is all there again. */
	assert_true(cluster_start(&f->cluster, 1));
	fixture_start_fs(f);
	assert_int_equal(fos_fs_open(f->ch, f->root, "/f", &stat), FOS_OK);
	fixture_expect_all(f, stat.file, 3, CALL_BYTES, 0);
	expect_exclusive(f);
}

/* Another volume under the metadata is refused, and so is other metadata over the volume. */
static void test_wrong_volume(void **state)
{
	struct fixture *f = *state;
	char meta[80], other[80];
	snprintf(meta, sizeof meta, "%s/meta", f->dir);
	snprintf(other, sizeof other, "%s/other", f->dir);
	fixture_end(f->fs);
	f->fs = 0;
	const char *const commands[][8] = {
		{FS, "--meta", meta, "--volume", "second", "--size", "8M", NULL},
		{FS, "--meta", other, "--volume", "fs", "--size", "8M", NULL},
	};
	for (unsigned i = 0; i < 2; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			setenv("FRACTOS_SOCKET", cluster_socket(&f->cluster, 1), 1);
			execv(FS, (char *const *)(uintptr_t)commands[i]);
			_exit(127);
		}
		int status = launch_end(pid, 0);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	}
	fixture_start_fs(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_names),
		TEST(test_contents),
		TEST(test_refusals),
		TEST(test_many_ranges),
		TEST(test_full),
		TEST(test_blk_dies),
		TEST(test_fs_dies),
		TEST(test_order),
		TEST(test_blk_dies_under_load),
		TEST(test_blk_restarts_unseen),
		TEST(test_wrong_volume),
		TEST(test_stops_without_blk),
		TEST(test_controller_lost),
		TEST(test_blk_node_restarts),
	};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
