/* The engine against models: file contents over a volume in memory that is full of garbage, names,
 * and what a kill -9 in the middle leaves. No FractOS needed. With --figures it measures instead.
 */
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "meta.h"

enum { VOLUME_BYTES = 2 << 20, FILES = 6, FILE_BYTES = 300000 };

static char dir[64];
static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (random_state >> 33) % bound;
}

static int make_dir(void **state)
{
	snprintf(dir, sizeof dir, "/tmp/fs-meta-test-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	return remove(path);
}

static int remove_dir(void **state)
{
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct meta *open_meta(void)
{
	struct meta *meta = NULL;
	char error[256];
	struct meta_options options = {.dir = dir};
	fos_status status = meta_open(&options, &meta, error, sizeof error);
	if (status != FOS_OK)
		print_error("%s\n", error);
	assert_int_equal(status, FOS_OK);
	status = meta_use_volume(meta, "test", VOLUME_BYTES);
	if (status != FOS_OK)
		print_error("%s\n", meta_error(meta));
	assert_int_equal(status, FOS_OK);
	return meta;
}

static void print_fault(const char *line, void *arg)
{
	print_error("fault: %s\n", line);
}

static void assert_sound(struct meta *meta)
{
	uint64_t files = 0;
	assert_int_equal(meta_check(meta, print_fault, NULL, &files), 0);
	assert_true(files >= 1);
}

static uint64_t free_blocks(struct meta *meta)
{
	struct meta_usage usage;
	meta_usage(meta, &usage);
	return usage.free_blocks;
}

/* ------------------------------------------------------------------ contents */

struct file {
	uint64_t id; /* 0: not there */
	uint64_t size;
	uint8_t bytes[FILE_BYTES];
};

struct model {
	struct meta *meta;
	struct file files[FILES];
	uint8_t volume[VOLUME_BYTES];
};

static void name_of(unsigned i, char *out)
{
	sprintf(out, "/file%u", i);
}

static void verify(struct model *model, const struct file *file, uint64_t offset, uint64_t length)
{
	struct ranges ranges = {0};
	assert_int_equal(meta_read(model->meta, file->id, offset, length, &ranges), FOS_OK);
	uint64_t at = offset;
	for (uint32_t i = 0; i < ranges.count; i++) {
		struct range range = ranges.at[i];
		assert_true(range.offset + range.length <= VOLUME_BYTES);
		assert_memory_equal(model->volume + range.offset, file->bytes + at, range.length);
		at += range.length;
	}
	assert_int_equal(at, offset + length);
	ranges_clear(&ranges);
	struct ranges beyond = {0};
	assert_int_equal(meta_read(model->meta, file->id, offset, file->size - offset + 1, &beyond),
					 FOS_RANGE);
	assert_int_equal(beyond.count, 0);
}

/* A plan of 1 to 3 pieces, committed or aborted. */
static void step_write(struct model *model, struct file *file)
{
	static uint8_t bytes[3 * FILE_BYTES];
	struct meta_plan plan = {0};
	uint64_t offsets[3], lengths[3], total = 0, before = free_blocks(model->meta);
	unsigned count = 1 + (unsigned)random_below(3);
	fos_status status = FOS_OK;
	for (unsigned i = 0; i < count && status == FOS_OK; i++) {
		offsets[i] = i && random_below(2) ? offsets[i - 1] + lengths[i - 1]
										  : random_below(FILE_BYTES - 70000);
		uint64_t most = FILE_BYTES - offsets[i];
		lengths[i] = 1 + random_below(random_below(3) ? 6000 : 60000);
		lengths[i] = lengths[i] < most ? lengths[i] : most;
		if (lengths[i] == 0)
			lengths[i] = offsets[i] = 1;
		status = meta_plan_write(model->meta, &plan, file->id, offsets[i], lengths[i]);
		total += lengths[i];
	}
	if (status != FOS_OK || random_below(5) == 0) {
		assert_true(status == FOS_OK || status == FOS_NO_SPACE);
		/* What an aborted write did to the device: garbage into new blocks, new bytes in place. */
		meta_plan_abort(model->meta, &plan, NULL, NULL);
		assert_int_equal(free_blocks(model->meta), before);
		return;
	}
	for (uint64_t i = 0; i < total; i++)
		bytes[i] = (uint8_t)random_below(255);
	uint64_t at = 0;
	for (uint32_t i = 0; i < plan.ranges.count; i++) {
		struct range range = plan.ranges.at[i];
		struct meta_layout layout = meta_layout(VOLUME_BYTES);
		assert_true(range.offset >= layout.first_block * FS_BLOCK);
		memcpy(model->volume + range.offset, bytes + at, range.length);
		at += range.length;
	}
	assert_int_equal(at, total);
	assert_int_equal(meta_plan_commit(model->meta, &plan, 1), FOS_OK);
	at = 0;
	for (unsigned i = 0; i < count; i++) {
		memcpy(file->bytes + offsets[i], bytes + at, lengths[i]);
		at += lengths[i];
		if (file->size < offsets[i] + lengths[i])
			file->size = offsets[i] + lengths[i];
	}
}

static void step_truncate(struct model *model, struct file *file)
{
	uint64_t size = random_below(2) ? random_below(FILE_BYTES) : random_below(file->size + 1);
	assert_int_equal(meta_truncate(model->meta, file->id, size, 2), FOS_OK);
	if (size < file->size)
		memset(file->bytes + size, 0, FILE_BYTES - size);
	file->size = size;
}

static void step(struct model *model)
{
	unsigned i = (unsigned)random_below(FILES);
	struct file *file = &model->files[i];
	char name[32];
	name_of(i, name);
	if (file->id == 0) {
		fos_fs_stat stat;
		assert_int_equal(meta_create(model->meta, name, 3, &stat), FOS_OK);
		for (unsigned j = 0; j < FILES; j++)
			assert_true(model->files[j].id != stat.file);
		memset(file, 0, sizeof *file);
		file->id = stat.file;
		return;
	}
	uint64_t what = random_below(20);
	if (what < 10) {
		step_write(model, file);
	} else if (what < 14) {
		step_truncate(model, file);
	} else if (what < 18) {
		uint64_t offset = random_below(file->size + 1);
		verify(model, file, offset, random_below(file->size - offset + 1));
	} else if (what < 19) {
		assert_int_equal(meta_unlink(model->meta, name, 4), FOS_OK);
		fos_fs_stat stat;
		assert_int_equal(meta_stat(model->meta, file->id, &stat), FOS_NOT_FOUND);
		file->id = 0;
	} else {
		meta_close(model->meta);
		model->meta = open_meta();
	}
}

static void run_contents(uint64_t seed)
{
	struct model *model = calloc(1, sizeof *model);
	assert_non_null(model);
	random_state = seed;
	model->meta = open_meta();
	uint64_t empty = free_blocks(model->meta);
	/* The device is full of what was there before; only the zeros are zeros. */
	memset(model->volume, 0xff, VOLUME_BYTES);
	struct meta_layout layout = meta_layout(VOLUME_BYTES);
	memset(model->volume + layout.zero_offset, 0, layout.zero_length);
	for (unsigned i = 0; i < 1500; i++) {
		step(model);
		if (i % 100 == 0)
			assert_sound(model->meta);
	}
	for (unsigned i = 0; i < FILES; i++) {
		if (model->files[i].id == 0)
			continue;
		char name[32];
		name_of(i, name);
		verify(model, &model->files[i], 0, model->files[i].size);
		assert_int_equal(meta_unlink(model->meta, name, 5), FOS_OK);
	}
	assert_int_equal(free_blocks(model->meta), empty);
	assert_sound(model->meta);
	meta_close(model->meta);
	free(model);
}

static void test_contents(void **state)
{
	for (uint64_t seed = 1; seed <= 6; seed++)
		run_contents(seed);
}

static void test_full_volume(void **state)
{
	struct meta *meta = open_meta();
	fos_fs_stat stat;
	struct meta_plan plan = {0};
	uint64_t empty = free_blocks(meta);
	assert_int_equal(meta_create(meta, "/big", 1, &stat), FOS_OK);
	assert_int_equal(meta_plan_write(meta, &plan, stat.file, 0, empty * FS_BLOCK), FOS_OK);
	assert_int_equal(plan.ranges.count, 1); /* contiguous */
	assert_int_equal(meta_plan_commit(meta, &plan, 2), FOS_OK);
	assert_int_equal(free_blocks(meta), 0);
	assert_int_equal(meta_plan_write(meta, &plan, stat.file, empty * FS_BLOCK, 1), FOS_NO_SPACE);
	meta_plan_abort(meta, &plan, NULL, NULL);
	assert_int_equal(meta_stat(meta, stat.file, &stat), FOS_OK);
	assert_int_equal(stat.size, empty * FS_BLOCK);
	assert_sound(meta);
	assert_int_equal(meta_unlink(meta, "/big", 3), FOS_OK);
	assert_int_equal(free_blocks(meta), empty);
	meta_close(meta);
}

/* ------------------------------------------------------------------ names */

struct listing {
	char text[4096];
	unsigned most;
};

static bool list_one(const fos_fs_dirent *entry, const char *name, void *arg)
{
	struct listing *listing = arg;
	size_t used = strlen(listing->text);
	snprintf(listing->text + used, sizeof listing->text - used, "%.*s%s ", (int)entry->name_len,
			 name, entry->type == FOS_FS_DIRECTORY ? "/" : "");
	return --listing->most > 0;
}

static const char *list(struct meta *meta, const char *path, const char *after, unsigned most)
{
	static struct listing listing;
	listing = (struct listing){.most = most};
	if (meta_readdir(meta, path, after, list_one, &listing) != FOS_OK)
		return "failed";
	return listing.text;
}

static void test_names(void **state)
{
	struct meta *m = open_meta();
	fos_fs_stat a, b;
	assert_int_equal(meta_mkdir(m, "/d", 1), FOS_OK);
	assert_int_equal(meta_mkdir(m, "d", 1), FOS_EXISTS);
	assert_int_equal(meta_mkdir(m, "/d/e/", 1), FOS_OK);
	assert_int_equal(meta_mkdir(m, "/x/y", 1), FOS_NOT_FOUND);
	assert_int_equal(meta_create(m, "/d/e/f", 5, &a), FOS_OK);
	assert_int_equal(a.type, FOS_FS_FILE);
	assert_int_equal(a.mtime_ns, 5);
	assert_int_equal(meta_create(m, "/d/e/f", 5, &b), FOS_EXISTS);
	assert_int_equal(meta_create(m, "/d/e/f/g", 5, &b), FOS_INVALID);
	assert_int_equal(meta_lookup(m, "//d///e/f", &b), FOS_OK);
	assert_int_equal(a.file, b.file);
	assert_int_equal(meta_lookup(m, "/d/./e", &b), FOS_INVALID);
	assert_int_equal(meta_lookup(m, "/d/..", &b), FOS_INVALID);
	assert_int_equal(meta_lookup(m, "", &b), FOS_INVALID);
	assert_int_equal(meta_lookup(m, "/", &b), FOS_OK);
	assert_int_equal(b.file, META_ROOT);
	assert_int_equal(meta_create(m, "/", 5, &b), FOS_EXISTS);
	assert_int_equal(meta_create(m, "/...", 5, &b), FOS_OK);
	assert_int_equal(meta_create(m, "/\xff\x01", 5, &b), FOS_OK);

	char name[300];
	memset(name, 'n', sizeof name);
	name[255] = 0;
	assert_int_equal(meta_create(m, name, 5, &b), FOS_OK);
	assert_int_equal(meta_unlink(m, name, 5), FOS_OK);
	name[255] = 'n';
	name[256] = 0;
	assert_int_equal(meta_create(m, name, 5, &b), FOS_INVALID);
	char path[2000];
	memset(path, '/', sizeof path);
	path[1024] = 0;
	assert_int_equal(meta_lookup(m, path, &b), FOS_INVALID);
	path[1023] = 0;
	assert_int_equal(meta_lookup(m, path, &b), FOS_OK);

	assert_string_equal(list(m, "/", "", 100), "... d/ \xff\x01 ");
	assert_string_equal(list(m, "/", "...", 1), "d/ ");
	assert_string_equal(list(m, "/", "d", 100), "\xff\x01 ");
	assert_string_equal(list(m, "/d/e/f", "", 100), "failed");
	assert_int_equal(meta_unlink(m, "/d", 6), FOS_INVALID);
	assert_int_equal(meta_unlink(m, "/", 6), FOS_INVALID);
	assert_int_equal(meta_unlink(m, "/nothing", 6), FOS_NOT_FOUND);
	assert_int_equal(meta_stat(m, 999, &b), FOS_NOT_FOUND);
	assert_sound(m);
	meta_close(m);
}

static void test_rename(void **state)
{
	struct meta *m = open_meta();
	fos_fs_stat a, b, c;
	struct meta_plan plan = {0};
	uint64_t empty = free_blocks(m);
	assert_int_equal(meta_mkdir(m, "/a", 1), FOS_OK);
	assert_int_equal(meta_mkdir(m, "/a/b", 1), FOS_OK);
	assert_int_equal(meta_mkdir(m, "/z", 1), FOS_OK);
	assert_int_equal(meta_create(m, "/a/f", 1, &a), FOS_OK);
	assert_int_equal(meta_create(m, "/g", 1, &b), FOS_OK);
	assert_int_equal(meta_plan_write(m, &plan, b.file, 0, 10000), FOS_OK);
	assert_int_equal(meta_plan_commit(m, &plan, 1), FOS_OK);
	assert_int_equal(free_blocks(m), empty - 3);

	assert_int_equal(meta_rename(m, "/a", "/a/b/c", 2), FOS_INVALID);
	assert_int_equal(meta_rename(m, "/a", "/a/c", 2), FOS_INVALID);
	assert_int_equal(meta_rename(m, "/a", "/a", 2), FOS_OK);
	assert_int_equal(meta_rename(m, "/", "/q", 2), FOS_INVALID);
	assert_int_equal(meta_rename(m, "/a/b", "/a", 2), FOS_INVALID);
	assert_int_equal(meta_rename(m, "/a", "/g", 2), FOS_INVALID);
	assert_int_equal(meta_rename(m, "/g", "/a", 2), FOS_INVALID);
	assert_int_equal(meta_rename(m, "/nothing", "/h", 2), FOS_NOT_FOUND);
	assert_int_equal(meta_rename(m, "/g", "/no/h", 2), FOS_NOT_FOUND);

	/* A file replaces a file: the old one's blocks and id are gone. */
	assert_int_equal(meta_rename(m, "/a/f", "/g", 2), FOS_OK);
	assert_int_equal(free_blocks(m), empty);
	assert_int_equal(meta_lookup(m, "/g", &c), FOS_OK);
	assert_int_equal(c.file, a.file);
	assert_int_equal(meta_stat(m, b.file, &c), FOS_NOT_FOUND);

	/* A directory replaces an empty one, and then its old inside is outside. */
	assert_int_equal(meta_rename(m, "/a/b", "/z", 2), FOS_OK);
	assert_int_equal(meta_rename(m, "/a", "/z/a", 2), FOS_OK);
	assert_int_equal(meta_rename(m, "/z", "/z/a/z", 2), FOS_INVALID);
	assert_string_equal(list(m, "/", "", 100), "g z/ ");
	assert_string_equal(list(m, "/z", "", 100), "a/ ");
	assert_sound(m);
	meta_close(m);
}

static void test_other_volume_refused(void **state)
{
	struct meta *meta = open_meta();
	fos_fs_stat stat;
	char error[256];
	struct meta *second = NULL;
	struct meta_options options = {.dir = dir};
	assert_int_equal(meta_open(&options, &second, error, sizeof error), FOS_BUSY);
	assert_non_null(strstr(error, "another process"));
	assert_int_equal(meta_use_volume(meta, "other", VOLUME_BYTES), FOS_INVALID);
	assert_non_null(strstr(meta_error(meta), "belongs to volume test"));
	assert_int_equal(meta_use_volume(meta, "test", VOLUME_BYTES + FS_BLOCK), FOS_INVALID);
	assert_int_equal(meta_create(meta, "/still", 1, &stat), FOS_OK);
	meta_close(meta);
	options.dir = "/nonexistent/dir";
	assert_int_equal(meta_open(&options, &second, error, sizeof error), FOS_NOT_FOUND);
	options.dir = "/tmp";
	options.must_exist = true;
	assert_int_equal(meta_open(&options, &second, error, sizeof error), FOS_NOT_FOUND);
}

static void count_fault(const char *line, void *arg)
{
	++*(uint64_t *)arg;
}

/* check() finds what it is there for. */
static void test_check_finds(void **state)
{
	static const char *const damage[] = {
		"UPDATE extent SET volume = (SELECT min(volume) FROM extent)",
		"UPDATE extent SET volume = volume + 1",
		"UPDATE extent SET length = length + 4096",
		"DELETE FROM entry WHERE name = CAST('b' AS BLOB)",
		"DELETE FROM inode WHERE id = (SELECT inode FROM entry WHERE name = CAST('b' AS BLOB))",
		"UPDATE inode SET parent = 3 WHERE id = 4",
		"UPDATE entry SET parent = 4 WHERE inode = 4",
		"UPDATE extent SET volume = 0 WHERE offset = 0",
	};
	for (unsigned i = 0; i < sizeof damage / sizeof damage[0]; i++) {
		struct meta *meta = open_meta();
		fos_fs_stat stat;
		struct meta_plan plan = {0};
		char path[128], error[256];
		const char *const files[] = {"/d/a", "/d/b"};
		assert_int_equal(meta_mkdir(meta, "/c", 1), FOS_OK);   /* 2 */
		assert_int_equal(meta_mkdir(meta, "/d", 1), FOS_OK);   /* 3 */
		assert_int_equal(meta_mkdir(meta, "/c/e", 1), FOS_OK); /* 4 */
		for (unsigned j = 0; j < 2; j++) {
			assert_int_equal(meta_create(meta, files[j], 1, &stat), FOS_OK);
			assert_int_equal(meta_plan_write(meta, &plan, stat.file, 0, 5000), FOS_OK);
		}
		assert_int_equal(meta_plan_commit(meta, &plan, 1), FOS_OK);
		assert_sound(meta);
		meta_close(meta);
		sqlite3 *sqlite = NULL;
		snprintf(path, sizeof path, "%s/meta.db", dir);
		assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
		assert_int_equal(sqlite3_exec(sqlite, damage[i], NULL, NULL, NULL), SQLITE_OK);
		assert_true(sqlite3_changes(sqlite) > 0);
		sqlite3_close(sqlite);
		struct meta_options options = {.dir = dir, .must_exist = true};
		assert_int_equal(meta_open(&options, &meta, error, sizeof error), FOS_OK);
		uint64_t count, faults = 0;
		if (meta_check(meta, count_fault, &faults, &count) == 0 || faults == 0)
			fail_msg("not found: %s", damage[i]);
		meta_close(meta);
		remove_dir(NULL);
		make_dir(NULL);
	}
}

/* ------------------------------------------------------------------ kill -9 */

enum { SLOTS = 8 };
struct promise {             /* what the child has been told is committed; shared with the parent */
	volatile uint64_t begun; /* children that have begun to work */
	volatile uint64_t size[SLOTS]; /* of /s<i>; 0: not there */
	volatile uint64_t coming;      /* slot + 1 that an operation is changing */
	volatile uint64_t size_after;  /* that it would have then */
};

static void child_work(struct promise *promise, uint64_t seed)
{
	struct meta *meta = open_meta();
	random_state = seed;
	promise->begun++;
	for (;;) { /* until killed */
		uint64_t slot = random_below(SLOTS), size = promise->size[slot];
		char name[32];
		sprintf(name, "/s%d", (int)slot);
		fos_fs_stat stat = {0};
		struct meta_plan plan = {0};
		uint64_t after = 1 + random_below(100000);
		if (size == 0) {
			if (meta_lookup(meta, name, &stat) != FOS_OK &&
				meta_create(meta, name, 1, &stat) != FOS_OK)
				_exit(1);
			promise->size_after = after;
		} else if (random_below(4) == 0) {
			promise->size_after = 0;
		} else {
			promise->size_after = after = size + 1 + random_below(20000);
			if (meta_lookup(meta, name, &stat) != FOS_OK)
				_exit(1);
		}
		promise->coming = slot + 1;
		if (promise->size_after == 0) {
			if (meta_unlink(meta, name, 1) != FOS_OK)
				_exit(1);
		} else if (meta_plan_write(meta, &plan, stat.file, size, after - size) != FOS_OK) {
			meta_plan_abort(meta, &plan, NULL, NULL); /* full */
			promise->coming = 0;
			continue;
		} else if (meta_plan_commit(meta, &plan, 1) != FOS_OK) {
			_exit(1);
		}
		promise->size[slot] = promise->size_after;
		promise->coming = 0;
	}
}

static void check_promise(struct meta *meta, struct promise *promise)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		char name[32];
		sprintf(name, "/s%u", i);
		fos_fs_stat stat;
		fos_status status = meta_lookup(meta, name, &stat);
		uint64_t size = status == FOS_OK ? stat.size : 0;
		bool after = promise->coming == i + 1 && size == promise->size_after;
		if (size != promise->size[i] && !after)
			fail_msg("%s has %llu bytes, promised %llu", name, (unsigned long long)size,
					 (unsigned long long)promise->size[i]);
		promise->size[i] = size;
	}
	promise->coming = 0;
}

static void test_kill(void **state)
{
	struct promise *promise =
		mmap(NULL, sizeof *promise, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(promise != MAP_FAILED);
	meta_close(open_meta());
	uint64_t seen = 0;
	for (unsigned round = 0; round < 40; round++) {
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0)
			child_work(promise, round + 1);
		for (unsigned i = 0; promise->begun <= round && i < 10000; i++)
			usleep(1000);
		assert_int_equal(promise->begun, round + 1);
		usleep(2000 + (useconds_t)(round * 7919 % 20000)); /* a moment that nobody chose */
		assert_int_equal(kill(child, SIGKILL), 0);
		int code;
		assert_int_equal(waitpid(child, &code, 0), child);
		assert_true(WIFSIGNALED(code));
		struct meta *meta = open_meta();
		assert_sound(meta);
		check_promise(meta, promise);
		struct meta_usage usage;
		meta_usage(meta, &usage);
		seen += usage.blocks != usage.free_blocks;
		meta_close(meta);
	}
	assert_true(seen > 10); /* it did work at all */
	munmap(promise, sizeof *promise);
}

/* ------------------------------------------------------------------ figures */

static double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void figures(void **state)
{
	enum { COUNT = 400, ROUNDS = 2000 };
	struct meta *meta = open_meta();
	uint64_t ids[COUNT];
	double begin = now_us();
	for (unsigned i = 0; i < COUNT; i++) {
		char name[32];
		fos_fs_stat stat;
		snprintf(name, sizeof name, "/f%u", i);
		assert_int_equal(meta_create(meta, name, 1, &stat), FOS_OK);
		ids[i] = stat.file;
	}
	printf("create: %.1f us\n", (now_us() - begin) / COUNT);
	begin = now_us();
	for (unsigned i = 0; i < COUNT; i++) {
		struct meta_plan plan = {0};
		assert_int_equal(meta_plan_write(meta, &plan, ids[i], 0, 4000), FOS_OK);
		assert_int_equal(meta_plan_commit(meta, &plan, 1), FOS_OK);
	}
	printf("plan and commit a write: %.1f us\n", (now_us() - begin) / COUNT);
	for (unsigned warm = 0; warm < 2; warm++) {
		struct ranges ranges = {0};
		if (!warm) {
			meta_close(meta);
			meta = open_meta();
		}
		unsigned rounds = warm ? ROUNDS : 1;
		begin = now_us();
		for (unsigned round = 0; round < rounds; round++, ranges.count = 0)
			for (unsigned i = 0; i < COUNT; i++)
				assert_int_equal(meta_read(meta, ids[i], 0, 4000, &ranges), FOS_OK);
		printf("resolve a file, %s: %.3f us\n", warm ? "warm" : "cold",
			   (now_us() - begin) / COUNT / rounds);
		ranges_clear(&ranges);
	}
	meta_close(meta);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_contents), TEST(test_full_volume),          TEST(test_names),
		TEST(test_rename),   TEST(test_other_volume_refused), TEST(test_check_finds),
		TEST(test_kill),
	};
	const struct CMUnitTest measured[] = {TEST(figures)};
	if (argc > 1 && strcmp(argv[1], "--figures") == 0)
		return cmocka_run_group_tests(measured, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
