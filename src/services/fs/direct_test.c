/* Reads and writes that go by fs: what is lent, what takes it back, and what becomes of blocks
 * whose device I/O is under way.
 *
 * With --figures it measures ways of reading instead.
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

#include <fractos/fs.h>
#include <fractos/registry.h>
#include <fractos/stats.h>

#include "services/fs/harness.h"

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
	uint64_t end = fixture_now() + PATIENCE;
	while (stat_of(f, f->root, name) != value && fixture_now() < end)
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
	fixture_write_all(f, stat->file, fill, size);
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
		fixture_hold_device(f, true);
		call_begin_direct_write(f, call, direct, length);
		if (comes_to_device(f, call))
			return;
		assert_true(late && time < PATIENCE);
		assert_true(call->status != FOS_OK);
		fixture_hold_device(f, false);
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
			call_begin_truncate(f, &calls[1], stat.file);
		else if (taking == UNLINKED)
			assert_int_equal(fos_fs_unlink(f->ch, f->root, "/f"), FOS_OK);
		else if (taking == REPLACED)
			assert_int_equal(fos_fs_rename(f->ch, f->root, "/g", "/f"), FOS_OK);
		if (taking == UNLINKED || taking == REPLACED || taking == CLOSED)
			call_begin_close(f, &calls[1], close);
		await_stat(f, "direct_ending", 1);
		/* Far longer than any pause of the service. */
		for (uint64_t end = fixture_now() + 3 * SECOND / 2; fixture_now() < end;)
			fos_wait(f->ch, SECOND / 20);
		assert_false(calls[0].ended);
		assert_false(taking != LATE && calls[1].ended);
		assert_int_equal(stat_of(f, f->root, "direct_ending"), 1);
		assert_int_equal(stat_of(f, f->root, "blocks_free"), less_free);
		expect_taken_back(f, &direct);
		fixture_hold_device(f, false);
		for (uint64_t end = fixture_now() + PATIENCE;
			 (!calls[0].ended || !calls[1].ended) && fixture_now() < end;)
			fos_wait(f->ch, SECOND / 20);
		assert_true(calls[0].ended && calls[1].ended);
		assert_int_equal(calls[0].status, FOS_OK);
		assert_int_equal(calls[1].status, FOS_OK);
		if (taking != UNLINKED)
			assert_int_equal(fos_fs_unlink(f->ch, f->root, "/f"), FOS_OK);
		expect_nothing_lent(f, blocks_free);
		/* Whoever gets the blocks finds his own bytes there. */
		make_file(f, "/next", 'n', 6 << 20, &other);
		fixture_expect_all(f, other.file, 'n', 6 << 20, 0);
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
		fixture_hold_device(f, true);
		call_begin_for(f, &call, FOS_FS_READ, 0, &item, 0, time);
		if (comes_to_device(f, &call))
			break;
		assert_true(call.status == FOS_TIMED_OUT && time < PATIENCE);
		fixture_hold_device(f, false);
	}
	assert_int_equal(fos_fs_unlink(f->ch, f->root, "/f"), FOS_OK);
	for (uint64_t end = fixture_now() + PATIENCE; !call.ended && fixture_now() < end;)
		fos_wait(f->ch, SECOND / 20);
	for (uint64_t end = fixture_now() + 3 * SECOND / 2; fixture_now() < end;)
		fos_wait(f->ch, SECOND / 20);
	assert_true(call.ended);
	assert_int_equal(call.status, FOS_TIMED_OUT);
	assert_int_equal(stat_of(f, f->root, "blocks_free"), less_free);
	assert_true(stat_of(f, f->root, "blocks_limbo") > 0);
	fixture_hold_device(f, false);
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
	fixture_hold_device(f, true);
	fos_fs_item item = {stat.file, 0, CALL_BYTES};
	call_begin_direct_write(f, &calls[0], &direct, CALL_BYTES);
	call_begin(f, &calls[1], FOS_FS_WRITE, 0, &item, 0);
	while (stat_of(f, blk, "requests") < 2)
		fos_wait(f->ch, SECOND / 100);
	fixture_await_held(f);
	fixture_kill(&f->blk);
	for (uint64_t end = fixture_now() + PATIENCE;
		 !(calls[0].ended && calls[1].ended) && fixture_now() < end;)
		fos_wait(f->ch, SECOND / 20);
	assert_true(calls[0].ended && calls[0].status != FOS_OK);
	assert_true(calls[1].ended && calls[1].status != FOS_OK);
	assert_int_equal(fos_fs_unlink(f->ch, f->root, "/f"), FOS_OK);
	for (uint64_t end = fixture_now() + 3 * SECOND / 2; fixture_now() < end;)
		fos_wait(f->ch, SECOND / 20);
	assert_int_equal(stat_of(f, f->root, "blocks_free"), less_free);
	fixture_hold_device(f, false);
	fixture_start_blk(f);
	expect_nothing_lent(f, blocks_free);
	assert_true(direct_byte(f, &direct, false) != FOS_OK);
	make_file(f, "/next", 'n', CALL_BYTES, &stat);
	fixture_expect_all(f, stat.file, 'n', CALL_BYTES, 0);
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
	fixture_hold_device(f, true);
	memset(f->bytes, 'x', CALL_BYTES);
	call_begin_direct_write(f, &call, &direct, CALL_BYTES);
	fixture_await_held(f);
	fixture_kill(&f->fs);
	uint64_t begin = fixture_now();
	pid_t later = fork();
	if (later == 0) {
		const struct timespec second = {1, 0};
		nanosleep(&second, NULL);
		_exit(unlink(f->hold));
	}
	fixture_start_fs_at(f, 3);
	assert_true(fixture_now() - begin >= SECOND);
	int status;
	assert_int_equal(waitpid(later, &status, 0), later);
	assert_int_equal(status, 0);
	for (uint64_t end = fixture_now() + PATIENCE; !call.ended && fixture_now() < end;)
		fos_wait(f->ch, SECOND / 20);
	assert_int_equal(call.status, FOS_OK);
	fixture_expect_all(f, stat.file, 'x', CALL_BYTES, 0);
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
				uint64_t begin = fixture_now();
				assert_int_equal(read_by(f, way, file, length, direct), FOS_OK);
				times[way][turn * READS + i] = fixture_now() - begin;
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
	uint64_t begin = fixture_now();
	for (unsigned i = 0; i < CREATED; i++) {
		snprintf(name, sizeof name, "/created%u", i);
		assert_int_equal(fos_fs_create(f->ch, f->root, name, &stat), FOS_OK);
	}
	printf("files created: %.0f per second, one after the other\n",
		   CREATED * 1e9 / (double)(fixture_now() - begin));
	begin = fixture_now();
	for (unsigned i = 0; i < 300; i++) {
		fos_fs_item item = {stat.file - i, 0, 10304};
		assert_int_equal(fos_fs_write(f->ch, f->root, &item, 1, f->memory, 0), FOS_OK);
	}
	printf("files of 10,304 bytes written (mediated): %.0f per second, one after the other\n",
		   300 * 1e9 / (double)(fixture_now() - begin));
	fixture_write_all(f, stat.file, 1, 1 << 20);
	fos_fs_direct direct;
	begin = fixture_now();
	for (unsigned i = 0; i < 300; i++) {
		open_direct(f, stat.file, 0, &direct);
		assert_int_equal(fos_fs_direct_close(f->ch, &direct), FOS_OK);
	}
	printf("direct use opened and closed: %.1f us\n", (double)(fixture_now() - begin) / 300e3);
	open_direct(f, stat.file, 0, &direct);
	measure_reads(f, stat.file, 16384, &direct);
	measure_reads(f, stat.file, 1 << 20, &direct);
	assert_int_equal(fos_fs_direct_close(f->ch, &direct), FOS_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_direct),          TEST(test_direct_held), TEST(test_mediated_held),
		TEST(test_blk_killed_held), TEST(test_fs_moves),    TEST(test_user_dies),
	};
	const struct CMUnitTest measured[] = {TEST(figures)};
	if (argc > 1 && strcmp(argv[1], "--figures") == 0)
		return cmocka_run_group_tests(measured, NULL, NULL);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
