/* The file system in a cluster of four real Controllers: client and registry at n0, fs at n1, blk
 * at n2, another client at n3. All operations against a model, full volumes, malformed requests,
 * kills and restarts.
 *
 * With --figures it measures instead of testing.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <fractos/blk.h>
#include <fractos/fs.h>
#include <fractos/registry.h>
#include <fractos/stats.h>

#include "services/registry/launch.h"

enum { FILES = 5, FILE_BYTES = 300000, BUFFER_BYTES = 8 << 20 };

struct fixture {
	struct cluster cluster;
	char dir[64], hold[80];
	pid_t registry, blk, fs;
	fos_process *process;
	fos_channel *ch;
	fos_cap root;
	uint8_t *bytes; /* arena */
	fos_cap memory;
};

static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (random_state >> 33) % bound;
}

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* ------------------------------------------------------------------ the cluster */

static void start_blk(struct fixture *f)
{
	const char *const argv[] = {BLK, "--dir", f->dir, "--buffers", "8", NULL};
	assert_int_equal(setenv("FRACTOS_HOLD", f->hold, 1), 0);
	f->blk = launch_preloaded(cluster_socket(&f->cluster, 2), argv, HOLD);
}

/* From here on nothing reaches the device, or everything does again. */
static void hold_device(const struct fixture *f, bool hold)
{
	if (hold)
		file_write(f->hold, "", 0600);
	else
		assert_int_equal(unlink(f->hold), 0);
}

/* Until the device has something that is held back. */
static void await_held(const struct fixture *f)
{
	uint64_t end = now() + PATIENCE;
	struct stat status = {0};
	while (stat(f->hold, &status) == 0 && status.st_size == 0 && now() < end)
		fos_wait(f->ch, SECOND / 100);
	assert_true(status.st_size > 0);
}

static void start_fs_at(struct fixture *f, int node)
{
	char meta[80];
	snprintf(meta, sizeof meta, "%s/meta", f->dir);
	const char *const argv[] = {FS, "--meta", meta, "--size", "8M", NULL};
	f->fs = launch(cluster_socket(&f->cluster, node), argv);
	fos_cap root;
	assert_int_equal(fos_registry_wait(f->ch, "fs", PATIENCE, &root), FOS_OK);
	if (f->root != FOS_CAP_NONE)
		assert_int_equal(fos_cap_close(f->ch, f->root), FOS_OK);
	f->root = root;
}

static void start_fs(struct fixture *f)
{
	start_fs_at(f, 1);
}

static void kill_one(pid_t *pid)
{
	assert_true(WIFSIGNALED(launch_end(*pid, SIGKILL)));
	*pid = 0;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	scratch_make(f->dir, sizeof f->dir);
	snprintf(f->hold, sizeof f->hold, "%s/hold", f->dir);
	cluster_make(&f->cluster, 4, NULL);
	cluster_start_all(&f->cluster);
	const char *const registry[] = {REGISTRY, NULL};
	f->registry = launch(cluster_socket(&f->cluster, 0), registry);
	const fos_attach_options options = {.socket = cluster_socket(&f->cluster, 0), .label = "test"};
	if (fos_attach(&options, &f->process) != FOS_OK)
		fail_msg("%s", fos_attach_error());
	assert_int_equal(fos_channel_open(f->process, &f->ch), FOS_OK);
	void *bytes;
	assert_int_equal(fos_alloc(f->process, BUFFER_BYTES, 4096, &bytes), FOS_OK);
	f->bytes = bytes;
	assert_int_equal(
		fos_memory_create(f->ch, f->bytes, BUFFER_BYTES, FOS_READ | FOS_WRITE, &f->memory), FOS_OK);
	start_blk(f);
	start_fs(f);
	*state = f;
	return 0;
}

static void end_one(pid_t pid)
{
	if (pid == 0)
		return;
	int status = launch_end(pid, SIGTERM);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Whatever a test did, the metadata is sound in the end. */
static void check(struct fixture *f)
{
	char command[256];
	snprintf(command, sizeof command, "%s --check --meta %s/meta >&2", FS, f->dir);
	assert_int_equal(system(command), 0);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	fos_detach(f->process);
	end_one(f->fs);
	check(f);
	end_one(f->blk);
	end_one(f->registry);
	launch_free_cluster(&f->cluster);
	scratch_remove(f->dir);
	free(f);
	return 0;
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

static void write_all(struct fixture *f, uint64_t file, int fill, uint64_t size)
{
	fos_fs_item item = {file, 0, size};
	memset(f->bytes, fill, size);
	assert_int_equal(fos_fs_write(f->ch, f->root, &item, 1, f->memory, 0), FOS_OK);
}

static void expect_all(struct fixture *f, uint64_t file, int fill, uint64_t size, unsigned flags)
{
	fos_fs_item item = {file, 0, size};
	memset(f->bytes, 0, size);
	assert_int_equal(fos_fs_read(f->ch, f->root, &item, 1, f->memory, flags), FOS_OK);
	for (uint64_t i = 0; i < size; i++)
		if (f->bytes[i] != fill)
			fail_msg("byte %llu is %u", (unsigned long long)i, f->bytes[i]);
}

/* The first use after a restart works. On a busy machine that may take longer than a use waits;
 * then a later one does. */
static void expect_back(struct fixture *f, uint64_t file, int fill, uint64_t size, unsigned flags)
{
	fos_fs_item item = {file, 0, size};
	uint64_t end = now() + harness_stretch(2 * SECOND) - 2 * SECOND;
	while (fos_fs_read(f->ch, f->root, &item, 1, f->memory, flags) != FOS_OK && now() < end)
		continue;
	expect_all(f, file, fill, size, flags);
}

static void test_blk_dies(void **state)
{
	struct fixture *f = *state;
	fos_fs_stat stat;
	assert_int_equal(fos_fs_create(f->ch, f->root, "/f", &stat), FOS_OK);
	write_all(f, stat.file, 1, 1 << 20);
	for (unsigned round = 0; round < 3; round++) {
		kill_one(&f->blk);
		for (unsigned what = 0; what < 4; what++) {
			fos_fs_item item = {stat.file, 0, 1 << 20};
			uint64_t begin = now();
			unsigned flags = what & 1 ? FOS_FS_RELAYED : 0;
			fos_status status = what & 2 ? fos_fs_write(f->ch, f->root, &item, 1, f->memory, flags)
										 : fos_fs_read(f->ch, f->root, &item, 1, f->memory, flags);
			if (status != FOS_PEER_LOST && status != FOS_REVOKED)
				fail_msg("%u: %s", what, fos_status_name(status));
			assert_true(now() - begin < harness_stretch(2 * SECOND));
		}
		/* Names need no volume. */
		assert_int_equal(fos_fs_stat_path(f->ch, f->root, "/f", &stat), FOS_OK);
		start_blk(f);
		expect_back(f, stat.file, 1 + (int)round, 1 << 20, round & 1 ? FOS_FS_RELAYED : 0);
		write_all(f, stat.file, 2 + (int)round, 1 << 20);
		expect_all(f, stat.file, 2 + (int)round, 1 << 20, 0);
	}
}

/* While nobody uses it: the first use after the restart works. */
static void test_blk_restarts_unseen(void **state)
{
	struct fixture *f = *state;
	fos_fs_stat stat;
	assert_int_equal(fos_fs_create(f->ch, f->root, "/f", &stat), FOS_OK);
	write_all(f, stat.file, 9, 50000);
	for (unsigned round = 0; round < 3; round++) {
		kill_one(&f->blk);
		start_blk(f);
		expect_back(f, stat.file, 9, 50000, round & 1 ? FOS_FS_RELAYED : 0);
	}
}

/* The Controller under it dies with it: the epoch is over. */
static void test_blk_node_restarts(void **state)
{
	struct fixture *f = *state;
	fos_fs_stat stat;
	assert_int_equal(fos_fs_create(f->ch, f->root, "/f", &stat), FOS_OK);
	write_all(f, stat.file, 9, 50000);
	cluster_end(&f->cluster, 2, SIGKILL);
	launch_end(f->blk, SIGKILL);
	fos_fs_item item = {stat.file, 0, 50000};
	uint64_t begin = now();
	fos_status status = fos_fs_read(f->ch, f->root, &item, 1, f->memory, 0);
	assert_true(status == FOS_PEER_LOST || status == FOS_REVOKED || status == FOS_STALE ||
				status == FOS_OUTCOME_UNKNOWN);
	assert_true(now() - begin < harness_stretch(2 * SECOND));
	assert_true(cluster_start(&f->cluster, 2));
	start_blk(f);
	for (uint64_t end = now() + PATIENCE; status != FOS_OK && now() < end;)
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
		write_all(f, stats[round].file, 40 + (int)round, 300000);
		/* One more is under way when it dies: it may be there or not, whole. */
		const fos_fs_args header = {.op = FOS_FS_WRITE, .count = 1};
		const fos_fs_item item = {stats[(round + 1) % 4].file, 0, 300000};
		fos_args args;
		fos_args_init(&args);
		fos_fs_args_io(&args, FOS_CALL, &header, &item, f->memory);
		assert_int_equal(fos_request_invoke(f->ch, f->root, &args, NULL), FOS_OK);
		kill_one(&f->fs);
		fos_fs_stat stat;
		fos_status status = fos_fs_stat_path(f->ch, f->root, "/f0", &stat);
		assert_true(status == FOS_REVOKED || status == FOS_PEER_LOST);
		check(f);
		start_fs(f);
		expect_all(f, stats[round].file, 40 + (int)round, 300000, 0);
		assert_int_equal(fos_fs_stat_path(f->ch, f->root, "/f3", &stat), FOS_OK);
		assert_int_equal(stat.file, stats[3].file);
	}
}

/* ------------------------------------------------------------------ many at once */

enum { CALLS = 48, CALL_BYTES = 40000 };

struct call {
	bool ended;
	fos_status status;
};

static fos_handled call_ended(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct call *call = arg;
	assert_false(call->ended);
	*call = (struct call){true, delivery->exception.status};
	return FOS_FINISH;
}

/* Sends `args`, with a ONCE Request of the call as next and on_error. */
static void send_call(struct fixture *f, struct call *call, fos_cap request, fos_args *args,
					  uint64_t time)
{
	const fos_request_options once = {.once = true, .deadline = time};
	const fos_invoke_options options = {.time = time};
	fos_cap reply;
	*call = (struct call){0};
	assert_int_equal(fos_request_create(f->ch, call_ended, call, &once, &reply), FOS_OK);
	fos_args_cap(args, FOS_CALL, FOS_NEXT, reply);
	fos_args_on_error(args, FOS_CALL, reply);
	assert_int_equal(fos_request_invoke(f->ch, request, args, &options), FOS_OK);
	assert_int_equal(fos_cap_close(f->ch, reply), FOS_OK);
}

static void begin_call_for(struct fixture *f, struct call *call, uint32_t op, unsigned flags,
						   const fos_fs_item *item, uint64_t memory_offset, uint64_t time)
{
	fos_args args;
	fos_args_init(&args);
	const fos_fs_args header = {.op = op, .flags = flags, .count = 1};
	fos_cap memory =
		fos_args_diminish(&args, f->memory, memory_offset, item->length ? item->length : 1, 0);
	fos_fs_args_io(&args, FOS_CALL, &header, item, memory);
	send_call(f, call, f->root, &args, time);
}

static void begin_call(struct fixture *f, struct call *call, uint32_t op, unsigned flags,
					   const fos_fs_item *item, uint64_t memory_offset)
{
	begin_call_for(f, call, op, flags, item, memory_offset, PATIENCE);
}

static void begin_direct_write(struct fixture *f, struct call *call, const fos_fs_direct *direct,
							   uint64_t length)
{
	const fos_blk_range window = {0, length};
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &window, sizeof window);
	fos_args_cap(&args, FOS_CALL, FOS_FS_MEMORY, f->memory);
	send_call(f, call, direct->write, &args, PATIENCE);
}

static void begin_truncate(struct fixture *f, struct call *call, uint64_t file)
{
	const fos_fs_args header = {.op = FOS_FS_TRUNCATE, .file = file};
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &header, sizeof header);
	send_call(f, call, f->root, &args, PATIENCE);
}

static void begin_close(struct fixture *f, struct call *call, fos_cap close)
{
	fos_args args;
	fos_args_init(&args);
	send_call(f, call, close, &args, PATIENCE);
}

/* Waits until all have ended, at most `limit` ns. */
static void end_calls(struct fixture *f, const struct call *calls, uint64_t limit)
{
	uint64_t end = now() + limit;
	for (unsigned i = 0; i < CALLS; i++) {
		while (!calls[i].ended && now() < end)
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
			begin_call(f, &calls[i], i & 1 ? FOS_FS_READ : FOS_FS_WRITE,
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
		write_all(f, stats[i].file, 1 + (int)i, CALL_BYTES);
	}
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < CALLS; i++) {
			/* Writes extend their file. */
			fos_fs_item item = {stats[i].file, i & 1 ? 0 : CALL_BYTES, CALL_BYTES};
			memset(f->bytes + i * CALL_BYTES, 1 + (int)i, CALL_BYTES);
			begin_call(f, &calls[i], i & 1 ? FOS_FS_READ : FOS_FS_WRITE, i & 2 ? FOS_FS_RELAYED : 0,
					   &item, i * CALL_BYTES);
			if (i == CALLS / 2 + round * 4)
				kill_one(&f->blk);
		}
		end_calls(f, calls, harness_stretch(2 * SECOND));
		unsigned failed = 0;
		for (unsigned i = 0; i < CALLS; i++)
			failed += calls[i].status != FOS_OK;
		assert_true(failed > 0);
		start_blk(f);
		for (unsigned i = 0; i < CALLS; i++) {
			expect_back(f, stats[i].file, 1 + (int)i, CALL_BYTES, i & 1 ? FOS_FS_RELAYED : 0);
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
	write_all(f, stat.file, 1, CALL_BYTES);
	kill_one(&f->blk);
	fos_fs_item item = {stat.file, 0, CALL_BYTES};
	for (unsigned i = 0; i < CALLS; i++)
		begin_call(f, &calls[i], FOS_FS_READ, i & 1, &item, i * CALL_BYTES);
	uint64_t begin = now();
	end_one(f->fs);
	f->fs = 0;
	assert_true(now() - begin < harness_stretch(2 * SECOND));
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
	write_all(f, stat.file, 3, CALL_BYTES);
	cluster_end(&f->cluster, 1, SIGKILL);
	int status = launch_end(f->fs, 0);
	f->fs = 0;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	/* And after its node's restart it is all there again. */
	assert_true(cluster_start(&f->cluster, 1));
	start_fs(f);
	assert_int_equal(fos_fs_open(f->ch, f->root, "/f", &stat), FOS_OK);
	expect_all(f, stat.file, 3, CALL_BYTES, 0);
	expect_exclusive(f);
}

/* Another volume under the metadata is refused, and so is other metadata over the volume. */
static void test_wrong_volume(void **state)
{
	struct fixture *f = *state;
	char meta[80], other[80];
	snprintf(meta, sizeof meta, "%s/meta", f->dir);
	snprintf(other, sizeof other, "%s/other", f->dir);
	end_one(f->fs);
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
	start_fs(f);
}

/* ------------------------------------------------------------------ direct */

static uint64_t stat_of(struct fixture *f, fos_cap service, const char *name)
{
	fos_stat stats[FOS_STATS_MAX];
	unsigned count;
	assert_int_equal(fos_stats_get(f->ch, service, stats, &count), FOS_OK);
	for (unsigned i = 0; i < count; i++)
		if (!strcmp(stats[i].name, name))
			return stats[i].value;
	fail_msg("there is no number \"%s\"", name);
	return 0;
}

static void await_stat(struct fixture *f, const char *name, uint64_t value)
{
	uint64_t end = now() + PATIENCE;
	while (stat_of(f, f->root, name) != value && now() < end)
		fos_wait(f->ch, SECOND / 100);
	if (stat_of(f, f->root, name) != value)
		fail_msg("%s is %llu, not %llu", name, (unsigned long long)stat_of(f, f->root, name),
				 (unsigned long long)value);
}

/* What a direct user holds is what the file system lends again later. */
static void expect_nothing_lent(struct fixture *f, uint64_t blocks_free)
{
	await_stat(f, "direct", 0);
	await_stat(f, "direct_ending", 0);
	await_stat(f, "blocks_limbo", 0);
	assert_int_equal(stat_of(f, f->root, "blocks_free"), blocks_free);
}

static void make_file(struct fixture *f, const char *path, int fill, uint64_t size,
					  fos_fs_stat *stat)
{
	assert_int_equal(fos_fs_create(f->ch, f->root, path, stat), FOS_OK);
	write_all(f, stat->file, fill, size);
	assert_int_equal(fos_fs_open(f->ch, f->root, path, stat), FOS_OK);
}

static void open_direct(struct fixture *f, uint64_t file, uint64_t time, fos_fs_direct *direct)
{
	assert_int_equal(
		fos_fs_open_direct(f->ch, f->root, file, 0, UINT64_MAX, FOS_FS_DIRECT_WRITE, time, direct),
		FOS_OK);
}

static fos_status direct_byte(struct fixture *f, const fos_fs_direct *direct, bool write)
{
	return write ? fos_fs_direct_write(f->ch, direct, direct->info.offset, 1, f->memory)
				 : fos_fs_direct_read(f->ch, direct, direct->info.offset, 1, f->memory);
}

static void expect_taken_back(struct fixture *f, const fos_fs_direct *direct)
{
	assert_int_equal(direct_byte(f, direct, false), FOS_REVOKED);
	assert_int_equal(direct_byte(f, direct, true), FOS_REVOKED);
}

static void test_direct(void **state)
{
	struct fixture *f = *state;
	enum { SIZE = 300001, HOLE = 2000000 };
	fos_fs_stat stat;
	fos_fs_direct direct, part;
	make_file(f, "/f", 'a', SIZE, &stat);
	fos_fs_item behind = {stat.file, HOLE, 100};
	assert_int_equal(fos_fs_write(f->ch, f->root, &behind, 1, f->memory, 0), FOS_OK);
	/* All that is written without a hole, and no more. */
	open_direct(f, stat.file, 0, &direct);
	assert_int_equal(direct.info.length, SIZE);
	assert_int_equal(stat_of(f, f->root, "direct"), 1);
	assert_int_equal(fos_fs_open_direct(f->ch, f->root, stat.file, SIZE, 1, 0, 0, &part),
					 FOS_RANGE);
	assert_int_equal(
		fos_fs_open_direct(f->ch, f->root, stat.file, HOLE + 10, UINT64_MAX, 0, 0, &part), FOS_OK);
	assert_int_equal(part.info.length, 90);
	assert_int_equal(fos_fs_direct_write(f->ch, &part, HOLE + 10, 1, f->memory), FOS_DENIED);
	assert_int_equal(fos_fs_direct_read(f->ch, &part, HOLE + 10, 91, f->memory), FOS_RANGE);
	assert_int_equal(fos_fs_direct_read(f->ch, &part, HOLE + 9, 1, f->memory), FOS_RANGE);
	assert_int_equal(fos_fs_direct_close(f->ch, &part), FOS_OK);
	/* Written in place, seen by others. */
	memset(f->bytes, 'b', SIZE);
	assert_int_equal(fos_fs_direct_write(f->ch, &direct, 1000, 100000, f->memory), FOS_OK);
	memset(f->bytes, 0, SIZE);
	fos_fs_item all = {stat.file, 0, SIZE};
	assert_int_equal(fos_fs_read(f->ch, f->root, &all, 1, f->memory, 0), FOS_OK);
	for (unsigned i = 0; i < SIZE; i++)
		assert_int_equal(f->bytes[i], i >= 1000 && i < 101000 ? 'b' : 'a');
	memset(f->bytes, 0, SIZE);
	assert_int_equal(fos_fs_direct_read(f->ch, &direct, 0, SIZE, f->memory), FOS_OK);
	for (unsigned i = 0; i < SIZE; i++)
		assert_int_equal(f->bytes[i], i >= 1000 && i < 101000 ? 'b' : 'a');
	/* Closed: what was copied of it before is over too. */
	fos_fs_direct copy = direct;
	assert_int_equal(fos_cap_create_revtree(f->ch, direct.read, 0, &copy.read), FOS_OK);
	assert_int_equal(fos_cap_create_revtree(f->ch, direct.write, 0, &copy.write), FOS_OK);
	assert_int_equal(fos_fs_direct_close(f->ch, &direct), FOS_OK);
	expect_taken_back(f, &copy);
	assert_int_equal(stat_of(f, f->root, "direct"), 0);
	assert_int_equal(stat_of(f, f->root, "direct_ending"), 0);
	assert_int_equal(fos_fs_open_direct(f->ch, f->root, stat.file + 100, 0, 1, 0, 0, &direct),
					 FOS_NOT_FOUND);
	assert_int_equal(
		fos_fs_open_direct(f->ch, f->root, stat.file, 0, 1, FOS_FS_RELAYED, 0, &direct),
		FOS_INVALID);
}

/* Whether the call comes to the device, where it is held, before its time is over. */
static bool comes_to_device(const struct fixture *f, const struct call *call)
{
	struct stat status = {0};
	while (stat(f->hold, &status) == 0 && status.st_size == 0 && !call->ended)
		fos_wait(f->ch, SECOND / 100);
	return status.st_size > 0;
}

enum taking { TRUNCATED, UNLINKED, REPLACED, LATE, CLOSED, TAKINGS };

/* Opens the file and has a direct write held at the device: where the right is to end by its time,
 * that is as long as the way to the device takes on this machine. */
static void hold_direct_write(struct fixture *f, uint64_t file, uint64_t length, bool late,
							  fos_fs_direct *direct, struct call *call)
{
	for (uint64_t time = late ? 2 * SECOND : 0;; time *= 4) {
		open_direct(f, file, time, direct);
		hold_device(f, true);
		begin_direct_write(f, call, direct, length);
		if (comes_to_device(f, call))
			return;
		assert_true(late && time < PATIENCE);
		assert_true(call->status != FOS_OK);
		hold_device(f, false);
		await_stat(f, "direct", 0);
		await_stat(f, "direct_ending", 0);
	}
}

/* Blocks whose device I/O is held back belong to nobody else until it is over: for a direct write
 * whose right is taken back meanwhile, in each way. */
static void test_direct_held(void **state)
{
	struct fixture *f = *state;
	enum { SIZE = 1 << 20 };
	for (unsigned taking = 0; taking < TAKINGS; taking++) {
		fos_fs_stat stat, other;
		fos_fs_direct direct;
		struct call calls[2];
		uint64_t blocks_free = stat_of(f, f->root, "blocks_free");
		make_file(f, "/f", 'a', SIZE, &stat);
		uint64_t less_free = stat_of(f, f->root, "blocks_free");
		if (taking == REPLACED)
			assert_int_equal(fos_fs_create(f->ch, f->root, "/g", &other), FOS_OK);
		memset(f->bytes, 'x', SIZE);
		hold_direct_write(f, stat.file, SIZE, taking == LATE, &direct, &calls[0]);
		fos_cap close = direct.close;
		calls[1] = (struct call){.ended = true};
		if (taking == TRUNCATED)
			begin_truncate(f, &calls[1], stat.file);
		else if (taking == UNLINKED)
			assert_int_equal(fos_fs_unlink(f->ch, f->root, "/f"), FOS_OK);
		else if (taking == REPLACED)
			assert_int_equal(fos_fs_rename(f->ch, f->root, "/g", "/f"), FOS_OK);
		if (taking == UNLINKED || taking == REPLACED || taking == CLOSED)
			begin_close(f, &calls[1], close);
		await_stat(f, "direct_ending", 1);
		/* Far longer than any pause of the service. */
		for (uint64_t end = now() + 3 * SECOND / 2; now() < end;)
			fos_wait(f->ch, SECOND / 20);
		assert_false(calls[0].ended);
		assert_false(taking != LATE && calls[1].ended);
		assert_int_equal(stat_of(f, f->root, "direct_ending"), 1);
		assert_int_equal(stat_of(f, f->root, "blocks_free"), less_free);
		expect_taken_back(f, &direct);
		hold_device(f, false);
		for (uint64_t end = now() + PATIENCE; (!calls[0].ended || !calls[1].ended) && now() < end;)
			fos_wait(f->ch, SECOND / 20);
		assert_true(calls[0].ended && calls[1].ended);
		assert_int_equal(calls[0].status, FOS_OK);
		assert_int_equal(calls[1].status, FOS_OK);
		if (taking != UNLINKED)
			assert_int_equal(fos_fs_unlink(f->ch, f->root, "/f"), FOS_OK);
		expect_nothing_lent(f, blocks_free);
		/* Whoever gets the blocks finds his own bytes there. */
		make_file(f, "/next", 'n', 6 << 20, &other);
		expect_all(f, other.file, 'n', 6 << 20, 0);
		assert_int_equal(fos_fs_unlink(f->ch, f->root, "/next"), FOS_OK);
		expect_nothing_lent(f, blocks_free);
	}
}

/* A mediated read that outlives its own deadline at the device keeps its blocks from others. */
static void test_mediated_held(void **state)
{
	struct fixture *f = *state;
	fos_fs_stat stat;
	struct call call;
	uint64_t blocks_free = stat_of(f, f->root, "blocks_free");
	make_file(f, "/f", 'a', CALL_BYTES, &stat);
	uint64_t less_free = stat_of(f, f->root, "blocks_free");
	fos_fs_item item = {stat.file, 0, CALL_BYTES};
	for (uint64_t time = 2 * SECOND;; time *= 4) { /* more where the machine is slow */
		hold_device(f, true);
		begin_call_for(f, &call, FOS_FS_READ, 0, &item, 0, time);
		if (comes_to_device(f, &call))
			break;
		assert_true(call.status == FOS_TIMED_OUT && time < PATIENCE);
		hold_device(f, false);
	}
	assert_int_equal(fos_fs_unlink(f->ch, f->root, "/f"), FOS_OK);
	for (uint64_t end = now() + PATIENCE; !call.ended && now() < end;)
		fos_wait(f->ch, SECOND / 20);
	for (uint64_t end = now() + 3 * SECOND / 2; now() < end;)
		fos_wait(f->ch, SECOND / 20);
	assert_true(call.ended);
	assert_int_equal(call.status, FOS_TIMED_OUT);
	assert_int_equal(stat_of(f, f->root, "blocks_free"), less_free);
	assert_true(stat_of(f, f->root, "blocks_limbo") > 0);
	hold_device(f, false);
	expect_nothing_lent(f, blocks_free);
}

/* The block service is killed while its device works: nothing of it is used for something else
 * before the device is done and the service is there again. */
static void test_blk_killed_held(void **state)
{
	struct fixture *f = *state;
	fos_fs_stat stat;
	fos_fs_direct direct;
	struct call calls[2];
	uint64_t blocks_free = stat_of(f, f->root, "blocks_free");
	make_file(f, "/f", 'a', CALL_BYTES, &stat);
	uint64_t less_free = stat_of(f, f->root, "blocks_free");
	open_direct(f, stat.file, 0, &direct);
	fos_cap blk;
	assert_int_equal(fos_registry_wait(f->ch, "blk", PATIENCE, &blk), FOS_OK);
	hold_device(f, true);
	fos_fs_item item = {stat.file, 0, CALL_BYTES};
	begin_direct_write(f, &calls[0], &direct, CALL_BYTES);
	begin_call(f, &calls[1], FOS_FS_WRITE, 0, &item, 0);
	while (stat_of(f, blk, "requests") < 2)
		fos_wait(f->ch, SECOND / 100);
	await_held(f);
	kill_one(&f->blk);
	for (uint64_t end = now() + PATIENCE; !(calls[0].ended && calls[1].ended) && now() < end;)
		fos_wait(f->ch, SECOND / 20);
	assert_true(calls[0].ended && calls[0].status != FOS_OK);
	assert_true(calls[1].ended && calls[1].status != FOS_OK);
	assert_int_equal(fos_fs_unlink(f->ch, f->root, "/f"), FOS_OK);
	for (uint64_t end = now() + 3 * SECOND / 2; now() < end;)
		fos_wait(f->ch, SECOND / 20);
	assert_int_equal(stat_of(f, f->root, "blocks_free"), less_free);
	hold_device(f, false);
	start_blk(f);
	expect_nothing_lent(f, blocks_free);
	assert_true(direct_byte(f, &direct, false) != FOS_OK);
	make_file(f, "/next", 'n', CALL_BYTES, &stat);
	expect_all(f, stat.file, 'n', CALL_BYTES, 0);
}

/* fs is killed, and started on another node before a direct user's write is over: it does not begin
 * before that. */
static void test_fs_moves(void **state)
{
	struct fixture *f = *state;
	fos_fs_stat stat;
	fos_fs_direct direct;
	struct call call;
	make_file(f, "/f", 'a', CALL_BYTES, &stat);
	open_direct(f, stat.file, 0, &direct);
	hold_device(f, true);
	memset(f->bytes, 'x', CALL_BYTES);
	begin_direct_write(f, &call, &direct, CALL_BYTES);
	await_held(f);
	kill_one(&f->fs);
	uint64_t begin = now();
	pid_t later = fork();
	if (later == 0) {
		const struct timespec second = {1, 0};
		nanosleep(&second, NULL);
		_exit(unlink(f->hold));
	}
	start_fs_at(f, 3);
	assert_true(now() - begin >= SECOND);
	int status;
	assert_int_equal(waitpid(later, &status, 0), later);
	assert_int_equal(status, 0);
	for (uint64_t end = now() + PATIENCE; !call.ended && now() < end;)
		fos_wait(f->ch, SECOND / 20);
	assert_int_equal(call.status, FOS_OK);
	expect_all(f, stat.file, 'x', CALL_BYTES, 0);
	expect_taken_back(f, &direct);
}

/* A client of its own at `node` that uses a file directly until it is killed. */
static pid_t start_user(struct fixture *f, int node, uint64_t file)
{
	int ready[2];
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		const fos_attach_options options = {.socket = cluster_socket(&f->cluster, node),
											.label = "user"};
		fos_process *process;
		fos_channel *ch;
		fos_cap root, memory;
		fos_fs_direct direct;
		void *bytes;
		if (fos_attach(&options, &process) != FOS_OK || fos_channel_open(process, &ch) != FOS_OK ||
			fos_registry_wait(ch, "fs", PATIENCE, &root) != FOS_OK ||
			fos_alloc(process, CALL_BYTES, 64, &bytes) != FOS_OK ||
			fos_memory_create(ch, bytes, CALL_BYTES, FOS_READ | FOS_WRITE, &memory) != FOS_OK ||
			fos_fs_open_direct(ch, root, file, 0, UINT64_MAX, FOS_FS_DIRECT_WRITE, 0, &direct) !=
				FOS_OK)
			_exit(1);
		(void)!write(ready[1], "", 1);
		while (fos_fs_direct_read(ch, &direct, 0, CALL_BYTES, memory) == FOS_OK)
			continue;
		_exit(2);
	}
	close(ready[1]);
	char byte;
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

/* A direct user that dies in any way gives back what it has, long before its time is over. */
static void test_user_dies(void **state)
{
	struct fixture *f = *state;
	fos_fs_stat stat;
	uint64_t blocks_free = stat_of(f, f->root, "blocks_free");
	make_file(f, "/f", 'a', CALL_BYTES, &stat);
	pid_t users[2] = {start_user(f, 0, stat.file), start_user(f, 3, stat.file)};
	assert_int_equal(stat_of(f, f->root, "direct"), 2);
	kill(users[0], SIGKILL);
	await_stat(f, "direct", 1);
	/* Its Controller goes: nobody tells, the session ends. */
	cluster_end(&f->cluster, 3, SIGKILL);
	await_stat(f, "direct", 0);
	kill(users[1], SIGKILL);
	for (unsigned i = 0; i < 2; i++)
		waitpid(users[i], NULL, 0);
	assert_true(cluster_start(&f->cluster, 3));
	/* One that is stopped loses it when the file is cut. */
	users[0] = start_user(f, 0, stat.file);
	kill(users[0], SIGSTOP);
	assert_int_equal(fos_fs_truncate(f->ch, f->root, stat.file, 0), FOS_OK);
	assert_int_equal(stat_of(f, f->root, "direct"), 0);
	kill(users[0], SIGCONT);
	int status;
	assert_int_equal(waitpid(users[0], &status, 0), users[0]);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 2);
	assert_int_equal(fos_fs_unlink(f->ch, f->root, "/f"), FOS_OK);
	expect_nothing_lent(f, blocks_free);
	assert_int_equal(stat_of(f, f->root, "operations"), 0);
}

/* ------------------------------------------------------------------ figures */

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

enum way { DIRECT, MEDIATED, RELAYED, WAYS };

static fos_status read_by(struct fixture *f, enum way way, uint64_t file, uint64_t length,
						  const fos_fs_direct *direct)
{
	fos_fs_item item = {file, 0, length};
	if (way == DIRECT)
		return fos_fs_direct_read(f->ch, direct, 0, length, f->memory);
	return fos_fs_read(f->ch, f->root, &item, 1, f->memory, way == RELAYED ? FOS_FS_RELAYED : 0);
}

/* The ways take turns, so that whatever else the machine does concerns all of them. */
static void measure_reads(struct fixture *f, uint64_t file, uint64_t length,
						  const fos_fs_direct *direct)
{
	enum { TURNS = 40, READS = 50 };
	static const char *const names[] = {"direct", "mediated", "relayed"};
	static uint64_t times[WAYS][TURNS * READS];
	for (unsigned turn = 0; turn < TURNS; turn++)
		for (enum way way = 0; way < WAYS; way++)
			for (unsigned i = 0; i < READS; i++) {
				uint64_t begin = now();
				assert_int_equal(read_by(f, way, file, length, direct), FOS_OK);
				times[way][turn * READS + i] = now() - begin;
			}
	for (enum way way = 0; way < WAYS; way++) {
		qsort(times[way], TURNS * READS, sizeof times[way][0], compare_u64);
		const double p50 = (double)times[way][TURNS * READS / 2] / 1e3;
		printf("read of %4llu KiB, %-8s: p50 %6.1f us, p99 %6.1f us, %.2f of direct\n",
			   (unsigned long long)length / 1024, names[way], p50,
			   (double)times[way][TURNS * READS * 99 / 100] / 1e3,
			   p50 * 1e3 / (double)times[DIRECT][TURNS * READS / 2]);
	}
}

static void figures(void **state)
{
	struct fixture *f = *state;
	enum { CREATED = 5000 };
	fos_fs_stat stat;
	char name[32];
	uint64_t begin = now();
	for (unsigned i = 0; i < CREATED; i++) {
		snprintf(name, sizeof name, "/created%u", i);
		assert_int_equal(fos_fs_create(f->ch, f->root, name, &stat), FOS_OK);
	}
	printf("files created: %.0f per second, one after the other\n",
		   CREATED * 1e9 / (double)(now() - begin));
	begin = now();
	for (unsigned i = 0; i < 300; i++) {
		fos_fs_item item = {stat.file - i, 0, 10304};
		assert_int_equal(fos_fs_write(f->ch, f->root, &item, 1, f->memory, 0), FOS_OK);
	}
	printf("files of 10,304 bytes written (mediated): %.0f per second, one after the other\n",
		   300 * 1e9 / (double)(now() - begin));
	write_all(f, stat.file, 1, 1 << 20);
	fos_fs_direct direct;
	begin = now();
	for (unsigned i = 0; i < 300; i++) {
		open_direct(f, stat.file, 0, &direct);
		assert_int_equal(fos_fs_direct_close(f->ch, &direct), FOS_OK);
	}
	printf("direct use opened and closed: %.1f us\n", (double)(now() - begin) / 300e3);
	open_direct(f, stat.file, 0, &direct);
	measure_reads(f, stat.file, 16384, &direct);
	measure_reads(f, stat.file, 1 << 20, &direct);
	assert_int_equal(fos_fs_direct_close(f->ch, &direct), FOS_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
		TEST(test_direct),
		TEST(test_direct_held),
		TEST(test_mediated_held),
		TEST(test_blk_killed_held),
		TEST(test_fs_moves),
		TEST(test_user_dies),
		TEST(test_wrong_volume),
		TEST(test_stops_without_blk),
		TEST(test_controller_lost),
		TEST(test_blk_node_restarts),
	};
	const struct CMUnitTest measured[] = {TEST(figures)};
	if (argc > 1 && strcmp(argv[1], "--figures") == 0)
		return cmocka_run_group_tests(measured, NULL, NULL);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
