/* The block service in a cluster of two real Controllers: the service at n1, its client at n0, the
 * volumes on a real file system. */
#include <fcntl.h>
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

#include "controller/harness.h"
#include "fractos/blk.h"
#include "fractos/registry.h"
#include "fractos/stats.h"
#include "services/registry/launch.h"

enum { VOLUME = 16 << 20, MEMORY = 16 << 20 };

struct client {
	fos_process *process;
	fos_channel *ch;
	fos_cap blk;
};

struct fixture {
	struct cluster cluster;
	char dir[64];  /* of the volumes */
	char hold[80]; /* see hold.c */
	pid_t registry, blk;
	struct client client;
	uint8_t *bytes; /* MEMORY bytes of the client's arena */
	fos_cap memory;
};

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void client_open(struct client *client, const char *socket)
{
	const fos_attach_options options = {.socket = socket, .label = "test"};
	*client = (struct client){0};
	if (fos_attach(&options, &client->process) != FOS_OK)
		fail_msg("%s", fos_attach_error());
	assert_int_equal(fos_channel_open(client->process, &client->ch), FOS_OK);
	assert_int_equal(fos_registry_wait(client->ch, "blk", PATIENCE, &client->blk), FOS_OK);
}

static void start_blk(struct fixture *f)
{
	const char *const argv[] = {BLK, "--dir", f->dir, "--buffers", "16", NULL};
	assert_int_equal(setenv("FRACTOS_HOLD", f->hold, 1), 0);
	f->blk = launch_preloaded(cluster_socket(&f->cluster, 1), argv, HOLD);
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
		fos_wait(f->client.ch, SECOND / 100);
	assert_true(status.st_size > 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	const char *const registry[] = {REGISTRY, NULL};
	scratch_make(f->dir, sizeof f->dir);
	snprintf(f->hold, sizeof f->hold, "%s/hold", f->dir);
	cluster_make(&f->cluster, 2, NULL);
	cluster_start_all(&f->cluster);
	f->registry = launch(cluster_socket(&f->cluster, 0), registry);
	start_blk(f);
	client_open(&f->client, cluster_socket(&f->cluster, 0));
	void *bytes;
	assert_int_equal(fos_alloc(f->client.process, MEMORY, 64, &bytes), FOS_OK);
	f->bytes = bytes;
	assert_int_equal(
		fos_memory_create(f->client.ch, bytes, MEMORY, FOS_READ | FOS_WRITE, &f->memory), FOS_OK);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	fos_detach(f->client.process);
	if (f->blk) {
		int status = launch_end(f->blk, SIGTERM);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	launch_end(f->registry, SIGTERM);
	launch_free_cluster(&f->cluster);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

static void open_volume(struct fixture *f, const char *name, fos_blk_volume *volume)
{
	assert_int_equal(
		fos_blk_open(f->client.ch, f->client.blk, name, FOS_BLK_READ | FOS_BLK_WRITE, volume),
		FOS_OK);
}

static uint8_t pattern(uint64_t at, uint8_t seed)
{
	return (uint8_t)(at * 131 + (at >> 8) * 7 + (at >> 16) * 3 + seed);
}

static void fill(uint8_t *bytes, uint64_t len, uint64_t at, uint8_t seed)
{
	for (uint64_t i = 0; i < len; i++)
		bytes[i] = pattern(at + i, seed);
}

static void check(const uint8_t *bytes, uint64_t len, uint64_t at, uint8_t seed)
{
	for (uint64_t i = 0; i < len; i++)
		if (bytes[i] != pattern(at + i, seed))
			fail_msg("byte %llu is wrong", (unsigned long long)i);
}

/* A view of the client's Memory of exactly these bytes. */
static fos_cap view(struct fixture *f, uint64_t offset, uint64_t len, unsigned drop)
{
	fos_cap cap;
	assert_int_equal(fos_memory_diminish(f->client.ch, f->memory, offset, len, drop, &cap), FOS_OK);
	return cap;
}

/* ------------------------------------------------------------------ good days */

static void take_info(const fos_blk_info *info, void *arg)
{
	unsigned *count = arg;
	char name[FOS_BLK_NAME_MAX];
	snprintf(name, sizeof name, "v%02u", *count);
	assert_string_equal(info->name, name);
	assert_int_equal(info->size, 4096 * (*count + 1));
	(*count)++;
}

static void test_volumes(void **state)
{
	struct fixture *f = *state;
	fos_channel *ch = f->client.ch;
	char name[FOS_BLK_NAME_MAX];
	unsigned count = 0;
	for (unsigned i = 100; i-- > 0;) { /* more than a page of the list */
		snprintf(name, sizeof name, "v%02u", i);
		assert_int_equal(fos_blk_create(ch, f->client.blk, name, 4096 * i + 1), FOS_OK);
	}
	assert_int_equal(fos_blk_list(ch, f->client.blk, take_info, &count), FOS_OK);
	assert_int_equal(count, 100);
	assert_int_equal(fos_blk_create(ch, f->client.blk, "v05", 1), FOS_EXISTS);
	assert_int_equal(fos_blk_create(ch, f->client.blk, "../x", 1), FOS_INVALID);
	assert_int_equal(fos_blk_create(ch, f->client.blk, "zero", 0), FOS_INVALID);
	assert_int_equal(fos_blk_create(ch, f->client.blk, "huge", 1ull << 62), FOS_NO_SPACE);
	assert_int_equal(fos_blk_delete(ch, f->client.blk, "nothere"), FOS_NOT_FOUND);
	fos_blk_volume volume;
	assert_int_equal(fos_blk_open(ch, f->client.blk, "nothere", FOS_BLK_READ, &volume),
					 FOS_NOT_FOUND);
	assert_int_equal(fos_blk_open(ch, f->client.blk, "v05", 0, &volume), FOS_INVALID);
	assert_int_equal(fos_blk_open(ch, f->client.blk, "v05", 8, &volume), FOS_INVALID);
	assert_int_equal(fos_blk_open(ch, f->client.blk, "v05", FOS_BLK_READ, &volume), FOS_OK);
	assert_int_equal(volume.info.size, 6 * 4096);
	assert_int_equal(volume.write, FOS_CAP_NONE); /* a reader holds no right to write */
	assert_int_equal(volume.flush, FOS_CAP_NONE);
}

static void test_bytes_go_round(void **state)
{
	struct fixture *f = *state;
	fos_channel *ch = f->client.ch;
	fos_blk_volume volume;
	static const uint64_t sizes[] = {1, 511, 4096, 4097, 10304, 1 << 20, (1 << 20) + 1, 5000001};
	assert_int_equal(fos_blk_create(ch, f->client.blk, "data", VOLUME), FOS_OK);
	open_volume(f, "data", &volume);
	for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		for (unsigned o = 0; o < 3; o++) {
			uint64_t at = o * 4099 + i, len = sizes[i];
			fill(f->bytes, len, at, (uint8_t)i);
			fos_cap part = view(f, 0, len, 0);
			assert_int_equal(fos_blk_write(ch, &volume, at, len, part), FOS_OK);
			memset(f->bytes, 0, len);
			assert_int_equal(fos_blk_read(ch, &volume, at, len, part), FOS_OK);
			check(f->bytes, len, at, (uint8_t)i);
			assert_int_equal(fos_cap_close(ch, part), FOS_OK);
		}
	/* All of it at once, with the whole Memory. */
	fill(f->bytes, VOLUME, 0, 77);
	assert_int_equal(fos_blk_write(ch, &volume, 0, VOLUME, f->memory), FOS_OK);
	assert_int_equal(fos_blk_flush(ch, &volume), FOS_OK);
	memset(f->bytes, 0, VOLUME);
	assert_int_equal(fos_blk_read(ch, &volume, 0, VOLUME, f->memory), FOS_OK);
	check(f->bytes, VOLUME, 0, 77);
	/* The file holds it, for a service that starts again. */
	launch_end(f->blk, SIGTERM);
	start_blk(f);
	assert_int_equal(fos_registry_wait(ch, "blk", PATIENCE, &f->client.blk), FOS_OK);
	open_volume(f, "data", &volume);
	memset(f->bytes, 0, VOLUME);
	assert_int_equal(fos_blk_read(ch, &volume, 0, VOLUME, f->memory), FOS_OK);
	check(f->bytes, VOLUME, 0, 77);
}

/* ------------------------------------------------------------------ chains */

struct landing {
	struct fixture *f;
	unsigned good, failed;
	fos_status status;  /* of the last one */
	fos_status failure; /* of the last one that failed */
	char detail[256], where[64];
	uint64_t len; /* of the pattern that must be there when `next` is invoked */
	fos_cap request;
};

static fos_handled landed(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct landing *landing = arg;
	landing->status = delivery->exception.status;
	if (landing->status != FOS_OK) {
		landing->failed++;
		landing->failure = landing->status;
		snprintf(landing->detail, sizeof landing->detail, "%s", delivery->exception.detail);
		snprintf(landing->where, sizeof landing->where, "%s", delivery->exception.where);
		return FOS_FINISH;
	}
	landing->good++;
	check(landing->f->bytes, landing->len, 0, 5);
	return FOS_FINISH;
}

static void landing_init(struct landing *landing, struct fixture *f)
{
	*landing = (struct landing){.f = f};
	assert_int_equal(fos_request_create(f->client.ch, landed, landing, NULL, &landing->request),
					 FOS_OK);
}

/* Invokes an operation with a ONCE Request of the landing as next and on_error: where the service
 * dies between the landing of the bytes and its finish, both are invoked, and the first counts. */
static void start(struct landing *landing, fos_cap request, const fos_blk_range *ranges,
				  uint32_t count, fos_cap memory)
{
	fos_channel *ch = landing->f->client.ch;
	const fos_request_options options = {.once = true, .deadline = PATIENCE};
	const fos_invoke_options invoke = {.time = PATIENCE};
	fos_cap once;
	assert_int_equal(fos_request_create(ch, landed, landing, &options, &once), FOS_OK);
	fos_args args;
	fos_args_init(&args);
	if (count > 0)
		fos_args_imm(&args, FOS_CALL, FOS_ARG, ranges, count * sizeof *ranges);
	if (memory != FOS_CAP_NONE)
		fos_args_cap(&args, FOS_CALL, FOS_BLK_MEMORY, memory);
	fos_args_cap(&args, FOS_CALL, FOS_NEXT, once);
	fos_args_on_error(&args, FOS_CALL, once);
	assert_int_equal(fos_request_invoke(ch, request, &args, &invoke), FOS_OK);
	assert_int_equal(fos_cap_close(ch, once), FOS_OK);
}

static void await(struct landing *landing, unsigned count)
{
	for (uint64_t end = now() + PATIENCE; landing->good + landing->failed < count && now() < end;)
		fos_wait(landing->f->client.ch, SECOND / 10);
	assert_int_equal(landing->good + landing->failed, count);
}

static void expect(struct landing *landing, fos_status status, const char *text)
{
	unsigned before = landing->failed;
	await(landing, landing->good + landing->failed + 1);
	assert_int_equal(landing->failed, before + 1);
	assert_int_equal(landing->status, status);
	if (!strstr(landing->detail, text))
		fail_msg("\"%s\" is not in \"%s\"", text, landing->detail);
	assert_string_equal(landing->where, "n1/blk");
}

/* `next` runs behind all bytes of all pieces, many times and at once. */
static void test_next_runs_behind_the_data(void **state)
{
	struct fixture *f = *state;
	fos_blk_volume volume;
	struct landing landing;
	assert_int_equal(fos_blk_create(f->client.ch, f->client.blk, "data", VOLUME), FOS_OK);
	open_volume(f, "data", &volume);
	fill(f->bytes, VOLUME, 0, 5);
	assert_int_equal(fos_blk_write(f->client.ch, &volume, 0, VOLUME, f->memory), FOS_OK);
	landing_init(&landing, f);
	landing.len = 9000000;
	const fos_blk_range ranges[] = {{0, 5000000}, {5000000, 3999999}, {8999999, 1}};
	for (unsigned round = 1; round <= 20; round++) {
		memset(f->bytes, 0, landing.len);
		start(&landing, volume.read, ranges, 3, f->memory);
		await(&landing, round);
	}
	assert_int_equal(landing.good, 20);
	for (unsigned i = 0; i < 40; i++) /* more than the service has buffers for */
		start(&landing, volume.read, ranges, 3, f->memory);
	await(&landing, 60);
	assert_int_equal(landing.good, 60);
}

static void test_errors(void **state)
{
	struct fixture *f = *state;
	fos_blk_volume volume;
	struct landing landing;
	assert_int_equal(fos_blk_create(f->client.ch, f->client.blk, "small", 8192), FOS_OK);
	open_volume(f, "small", &volume);
	landing_init(&landing, f);
	const fos_blk_range past = {8000, 193}, good = {0, 4096}, none = {0, 0};
	const fos_cap both[] = {volume.read, volume.write};
	for (unsigned i = 0; i < 2; i++) {
		start(&landing, both[i], &past, 1, f->memory);
		expect(&landing, FOS_RANGE, "volume small has 8192 bytes: range 0 is 193 bytes from 8000");
		start(&landing, both[i], &good, 1, view(f, 0, 4095, 0));
		expect(&landing, FOS_RANGE, "the ranges have 4096 bytes, the Memory 4095");
		start(&landing, both[i], &none, 1, f->memory);
		expect(&landing, FOS_INVALID, "no bytes");
		start(&landing, both[i], NULL, 0, f->memory);
		expect(&landing, FOS_INVALID, "0 ranges");
		start(&landing, both[i], &good, 1, FOS_CAP_NONE);
		expect(&landing, FOS_INVALID, "must be a Memory");
		start(&landing, both[i], &good, 1, landing.request);
		expect(&landing, FOS_INVALID, "must be a Memory");
	}
	start(&landing, volume.read, &good, 1, view(f, 0, 4096, FOS_WRITE));
	expect(&landing, FOS_DENIED, "cannot be written");
	start(&landing, volume.write, &good, 1, view(f, 0, 4096, FOS_READ));
	expect(&landing, FOS_DENIED, "cannot be read");
	assert_int_equal(landing.good, 0);
	/* A Memory that is revoked while bytes are under way or before. */
	fos_cap other;
	assert_int_equal(fos_memory_create(f->client.ch, f->bytes, 8192, FOS_WRITE | FOS_READ, &other),
					 FOS_OK);
	assert_int_equal(fos_cap_revoke(f->client.ch, other), FOS_OK);
	start(&landing, volume.write, &good, 1, other);
	await(&landing, landing.failed + 1);
	assert_int_equal(landing.status, FOS_REVOKED);
}

/* ------------------------------------------------------------------ bad days */

static void test_delete_while_open(void **state)
{
	struct fixture *f = *state;
	fos_channel *ch = f->client.ch;
	fos_blk_volume volume;
	enum fos_gone gone;
	assert_int_equal(fos_blk_create(ch, f->client.blk, "data", VOLUME), FOS_OK);
	open_volume(f, "data", &volume);
	assert_int_equal(fos_blk_write(ch, &volume, 0, 8192, f->memory), FOS_OK);
	assert_int_equal(fos_blk_delete(ch, f->client.blk, "data"), FOS_OK);
	assert_int_equal(fos_monitor_receive(ch, volume.read, &gone), FOS_REVOKED);
	assert_int_equal(gone, FOS_GONE_REVOKED);
	assert_int_equal(fos_blk_read(ch, &volume, 0, 1, f->memory), FOS_REVOKED);
	assert_int_equal(fos_blk_write(ch, &volume, 0, 1, f->memory), FOS_REVOKED);
	assert_int_equal(fos_blk_flush(ch, &volume), FOS_REVOKED);
	/* Another of the same name is another. */
	assert_int_equal(fos_blk_create(ch, f->client.blk, "data", 8192), FOS_OK);
	assert_int_equal(fos_blk_read(ch, &volume, 0, 1, f->memory), FOS_REVOKED);
	open_volume(f, "data", &volume);
	fill(f->bytes, 8192, 0, 1);
	assert_int_equal(fos_blk_read(ch, &volume, 0, 8192, f->memory), FOS_OK);
	for (unsigned i = 0; i < 8192; i++)
		assert_int_equal(f->bytes[i], 0); /* nothing of the old one */
}

/* A service's number. */
static uint64_t stat_of(const struct client *client, const char *name)
{
	fos_stat stats[FOS_STATS_MAX];
	unsigned count;
	assert_int_equal(fos_stats_get(client->ch, client->blk, stats, &count), FOS_OK);
	for (unsigned i = 0; i < count; i++)
		if (!strcmp(stats[i].name, name))
			return stats[i].value;
	fail_msg("there is no number \"%s\"", name);
	return 0;
}

static void await_stat(const struct client *client, const char *name, uint64_t value)
{
	uint64_t end = now() + PATIENCE;
	while (stat_of(client, name) != value && now() < end)
		fos_wait(client->ch, SECOND / 100);
	assert_int_equal(stat_of(client, name), value);
}

static const unsigned EXCLUSIVE = FOS_BLK_READ | FOS_BLK_WRITE | FOS_BLK_EXCLUSIVE;

/* Opens without waiting for the answer. */
static void start_open(struct landing *landing, fos_cap blk, unsigned flags)
{
	const fos_blk_args request = {.op = FOS_BLK_OPEN, .flags = flags, .name = "data"};
	fos_channel *ch = landing->f->client.ch;
	fos_args args;
	fos_cap life;
	assert_int_equal(fos_channel_life(ch, &life), FOS_OK);
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &request, sizeof request);
	fos_args_cap(&args, FOS_CALL, FOS_BLK_LIFE, life);
	fos_args_cap(&args, FOS_CALL, FOS_NEXT, landing->request);
	fos_args_on_error(&args, FOS_CALL, landing->request);
	const fos_invoke_options options = {.time = PATIENCE};
	assert_int_equal(fos_request_invoke(ch, blk, &args, &options), FOS_OK);
}

static void test_exclusive(void **state)
{
	struct fixture *f = *state;
	struct client holder;
	fos_blk_volume shared, first, second;
	fos_channel *ch = f->client.ch;
	const unsigned polite = EXCLUSIVE | FOS_BLK_UNLESS_HELD;
	assert_int_equal(fos_blk_create(ch, f->client.blk, "data", 8192), FOS_OK);
	open_volume(f, "data", &shared);
	assert_int_equal(stat_of(&f->client, "shared"), 1);
	client_open(&holder, cluster_socket(&f->cluster, 1));
	assert_int_equal(fos_blk_open(holder.ch, holder.blk, "data", EXCLUSIVE, &first), FOS_OK);
	/* What was opened before is taken back. */
	assert_int_equal(fos_blk_flush(ch, &shared), FOS_REVOKED);
	assert_int_equal(stat_of(&f->client, "shared"), 0);
	assert_int_equal(stat_of(&f->client, "exclusive"), 1);
	assert_int_equal(fos_blk_open(ch, f->client.blk, "data", polite, &second), FOS_BUSY);
	assert_int_equal(fos_blk_open(ch, f->client.blk, "data", FOS_BLK_READ, &second), FOS_BUSY);
	assert_int_equal(
		fos_blk_open(ch, f->client.blk, "data", FOS_BLK_READ | FOS_BLK_UNLESS_HELD, &second),
		FOS_INVALID);
	assert_int_equal(fos_blk_open_wait(ch, f->client.blk, "data", polite, SECOND / 5, &second),
					 FOS_TIMED_OUT);
	assert_int_equal(
		fos_blk_open_wait(ch, f->client.blk, "data", FOS_BLK_READ, SECOND / 5, &second),
		FOS_TIMED_OUT);
	assert_int_equal(fos_blk_flush(holder.ch, &first), FOS_OK);
	/* The holder dies: who waits for that has it. Those whose time is over wait no more. */
	struct landing landing;
	landing_init(&landing, f);
	start_open(&landing, f->client.blk, polite | FOS_BLK_WAIT);
	await_stat(&f->client, "opening", 1);
	assert_int_equal(landing.good + landing.failed, 0);
	fos_detach(holder.process);
	await(&landing, 1);
	assert_int_equal(landing.status, FOS_OK);
	assert_int_equal(stat_of(&f->client, "opening"), 0);
	assert_int_equal(fos_blk_open(ch, f->client.blk, "data", polite, &second), FOS_OK);
	assert_int_equal(fos_blk_write(ch, &second, 0, 100, f->memory), FOS_OK);
	/* A living one loses it to who takes it. */
	client_open(&holder, cluster_socket(&f->cluster, 1));
	assert_int_equal(fos_blk_open(holder.ch, holder.blk, "data", EXCLUSIVE, &first), FOS_OK);
	assert_int_equal(fos_blk_write(ch, &second, 0, 100, f->memory), FOS_REVOKED);
	assert_int_equal(fos_blk_flush(holder.ch, &first), FOS_OK);
	assert_int_equal(stat_of(&f->client, "exclusive"), 1);
	fos_detach(holder.process);
	await_stat(&f->client, "exclusive", 0);
}

/* The holder's Controller dies, so nobody tells of the holder's end: a newcomer gets the volume all
 * the same. */
static void test_exclusive_node_lost(void **state)
{
	struct fixture *f = *state;
	struct client next;
	fos_blk_volume first, second;
	const unsigned flags = EXCLUSIVE | FOS_BLK_UNLESS_HELD;
	assert_int_equal(fos_blk_create(f->client.ch, f->client.blk, "data", 8192), FOS_OK);
	assert_int_equal(fos_blk_open(f->client.ch, f->client.blk, "data", flags, &first), FOS_OK);
	/* The holder may open again; what it had is over. */
	assert_int_equal(fos_blk_open(f->client.ch, f->client.blk, "data", flags, &second), FOS_OK);
	assert_int_equal(fos_blk_flush(f->client.ch, &first), FOS_REVOKED);
	assert_int_equal(fos_blk_flush(f->client.ch, &second), FOS_OK);
	client_open(&next, cluster_socket(&f->cluster, 1));
	assert_int_equal(fos_blk_open(next.ch, next.blk, "data", flags, &first), FOS_BUSY);
	cluster_end(&f->cluster, 0, SIGKILL);
	fos_detach(f->client.process);
	launch_end(f->registry, 0);
	fos_status status = FOS_BUSY; /* and TIMED_OUT where the device is slow */
	for (uint64_t end = now() + PATIENCE;
		 (status == FOS_BUSY || status == FOS_TIMED_OUT) && now() < end;)
		status = fos_blk_open(next.ch, next.blk, "data", flags, &first);
	assert_int_equal(status, FOS_OK);
	assert_int_equal(fos_blk_flush(next.ch, &first), FOS_OK);
	assert_true(cluster_start(&f->cluster, 0));
	cluster_connected(&f->cluster);
	const char *const registry[] = {REGISTRY, NULL};
	f->registry = launch(cluster_socket(&f->cluster, 0), registry);
	/* The block service is published again, and the newcomer still has the volume. */
	client_open(&f->client, cluster_socket(&f->cluster, 0));
	assert_int_equal(fos_blk_open(f->client.ch, f->client.blk, "data", flags, &second), FOS_BUSY);
	assert_int_equal(fos_blk_flush(next.ch, &first), FOS_OK);
	fos_detach(next.process);
}

static void test_killed_under_load(void **state)
{
	struct fixture *f = *state;
	fos_channel *ch = f->client.ch;
	fos_blk_volume volume;
	struct landing landing;
	enum { COUNT = 60 };
	assert_int_equal(fos_blk_create(ch, f->client.blk, "data", VOLUME), FOS_OK);
	open_volume(f, "data", &volume);
	fill(f->bytes, VOLUME, 0, 5);
	assert_int_equal(fos_blk_write(ch, &volume, 0, VOLUME, f->memory), FOS_OK);
	assert_int_equal(fos_blk_flush(ch, &volume), FOS_OK);
	for (unsigned round = 0; round < 3; round++) {
		const fos_blk_range all = {0, VOLUME};
		landing_init(&landing, f);
		landing.len = 4096;
		for (unsigned i = 0; i < COUNT; i++) /* the same bytes, read and written */
			start(&landing, i % 2 ? volume.write : volume.read, &all, 1, f->memory);
		while (landing.good == 0)
			fos_wait(ch, SECOND);
		/* However slow we are, something is under way. */
		hold_device(f, true);
		start(&landing, volume.read, &all, 1, f->memory);
		int status = launch_end(f->blk, SIGKILL);
		hold_device(f, false);
		assert_true(WIFSIGNALED(status));
		/* Every one ends, in an answer or an error. */
		await(&landing, COUNT + 1);
		assert_true(landing.failed > 0);
		assert_true(landing.failure == FOS_PEER_LOST || landing.failure == FOS_REVOKED);
		start_blk(f);
		assert_int_equal(fos_registry_wait(ch, "blk", PATIENCE, &f->client.blk), FOS_OK);
		open_volume(f, "data", &volume);
		memset(f->bytes, 0, VOLUME);
		assert_int_equal(fos_blk_read(ch, &volume, 0, VOLUME, f->memory), FOS_OK);
		check(f->bytes, VOLUME, 0, 5);
	}
}

/* Opens, however long what an earlier holder began takes: the service gives it some seconds, and a
 * busy machine may take them. */
static void open_at_last(struct fixture *f, unsigned flags, fos_blk_volume *volume)
{
	fos_status status = FOS_TIMED_OUT;
	for (uint64_t end = now() + PATIENCE; status == FOS_TIMED_OUT && now() < end;)
		status = fos_blk_open(f->client.ch, f->client.blk, "data", flags, volume);
	assert_int_equal(status, FOS_OK);
}

/* A holder of its own that writes for ever, until it is refused. */
static pid_t start_holder(struct fixture *f)
{
	int ready[2];
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct client holder;
		fos_blk_volume volume;
		void *bytes;
		fos_cap memory;
		client_open(&holder, cluster_socket(&f->cluster, 0));
		if (fos_alloc(holder.process, 8192, 64, &bytes) != FOS_OK ||
			fos_memory_create(holder.ch, bytes, 8192, FOS_READ, &memory) != FOS_OK ||
			fos_blk_open(holder.ch, holder.blk, "data", EXCLUSIVE, &volume) != FOS_OK)
			_exit(1);
		memset(bytes, 'h', 8192);
		(void)!write(ready[1], "", 1);
		fos_status status;
		while ((status = fos_blk_write(holder.ch, &volume, 0, 8192, memory)) == FOS_OK)
			continue;
		_exit(status == FOS_REVOKED ? 0 : 2);
	}
	close(ready[1]);
	char byte;
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

/* A holder that lives and does not answer is fenced: the next one is answered when nothing of the
 * earlier one is under way, and what that one sends later is refused. */
static void test_exclusive_stopped(void **state)
{
	struct fixture *f = *state;
	fos_channel *ch = f->client.ch;
	fos_blk_volume volume;
	struct landing landing;
	int status;
	assert_int_equal(fos_blk_create(ch, f->client.blk, "data", 8192), FOS_OK);
	pid_t holder = start_holder(f);
	hold_device(f, true);
	await_held(f);
	kill(holder, SIGSTOP);
	landing_init(&landing, f);
	start_open(&landing, f->client.blk, EXCLUSIVE);
	while (landing.good + landing.failed == 0 && stat_of(&f->client, "opening") == 0)
		fos_wait(ch, SECOND / 100);
	fos_wait(ch, SECOND / 5); /* no longer: after 3 s it would not wait any more */
	assert_int_equal(landing.good, 0);
	hold_device(f, false);
	await(&landing, 1);
	if (landing.status != FOS_OK) /* the machine took them */
		assert_int_equal(landing.status, FOS_TIMED_OUT);
	open_at_last(f, EXCLUSIVE, &volume);
	memset(f->bytes, 'n', 8192);
	assert_int_equal(fos_blk_write(ch, &volume, 0, 8192, f->memory), FOS_OK);
	kill(holder, SIGCONT);
	assert_int_equal(waitpid(holder, &status, 0), holder);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(fos_blk_read(ch, &volume, 0, 8192, f->memory), FOS_OK);
	for (unsigned i = 0; i < 8192; i++)
		assert_int_equal(f->bytes[i], 'n');
	/* What does not end in time is said so, and can be asked for again. */
	holder = start_holder(f);
	hold_device(f, true);
	await_held(f);
	start_open(&landing, f->client.blk, EXCLUSIVE);
	expect(&landing, FOS_TIMED_OUT, "what its earlier holder began is not over");
	hold_device(f, false);
	open_at_last(f, EXCLUSIVE, &volume);
	assert_int_equal(waitpid(holder, &status, 0), holder);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Who drains what a killed service was asked for waits for its device. */
static void test_killed_while_device_works(void **state)
{
	struct fixture *f = *state;
	fos_channel *ch = f->client.ch;
	fos_blk_volume volume;
	struct landing landing;
	fos_cap child;
	const fos_blk_range range = {0, 8192};
	assert_int_equal(fos_blk_create(ch, f->client.blk, "data", 8192), FOS_OK);
	open_volume(f, "data", &volume);
	assert_int_equal(fos_cap_create_revtree(ch, volume.write, 0, &child), FOS_OK);
	hold_device(f, true);
	landing_init(&landing, f);
	start(&landing, child, &range, 1, f->memory);
	await_held(f);
	kill(f->blk, SIGKILL);
	launch_end(f->blk, 0);
	f->blk = 0;
	await(&landing, 1);
	assert_int_equal(landing.status, FOS_PEER_LOST);
	assert_int_equal(fos_cap_drain(ch, child, SECOND), FOS_TIMED_OUT);
	hold_device(f, false);
	assert_int_equal(fos_cap_drain(ch, child, PATIENCE), FOS_OK);
	start_blk(f);
}

/* Reads and writes through a window stay inside its extents, whatever the client names. */
static void test_window(void **state)
{
	struct fixture *f = *state;
	fos_channel *ch = f->client.ch;
	fos_blk_volume volume;
	struct landing landing;
	static const struct {
		uint32_t count, zero;
		fos_blk_range at[3];
	} extents = {.count = 3, .at = {{1000000, 5000}, {3, 4096}, {2000000, 100}}};
	_Static_assert(offsetof(__typeof__(extents), at) == offsetof(fos_blk_extents, at),
				   "laid out as fos_blk_extents, whose array has no length");
	fos_cap windows[2];
	assert_int_equal(fos_blk_create(ch, f->client.blk, "data", VOLUME), FOS_OK);
	open_volume(f, "data", &volume);
	fill(f->bytes, VOLUME, 0, 9);
	assert_int_equal(fos_blk_write(ch, &volume, 0, VOLUME, f->memory), FOS_OK);
	landing_init(&landing, f);
	const fos_cap bases[] = {volume.read_window, volume.write_window};
	const fos_blk_range part = {4990, 4200};
	start(&landing, bases[0], &part, 1, f->memory);
	expect(&landing, FOS_INVALID, "the window or its extents are missing");
	for (unsigned i = 0; i < 2; i++) {
		fos_args args;
		fos_args_init(&args);
		fos_args_imm(&args, FOS_CALL, FOS_BLK_EXTENTS, &extents, sizeof extents);
		assert_int_equal(fos_request_refine_revocable(ch, bases[i], &args, 0, &windows[i]), FOS_OK);
	}
	/* The end of the first extent, all of the second, the beginning of the third. */
	memset(f->bytes, 0, 4200);
	start(&landing, windows[0], &part, 1, f->memory);
	await(&landing, landing.failed + 1);
	assert_int_equal(landing.status, FOS_OK);
	check(f->bytes, 10, 1004990, 9);
	check(f->bytes + 10, 4096, 3, 9);
	check(f->bytes + 4106, 94, 2000000, 9);
	memset(f->bytes, 7, 4200);
	start(&landing, windows[1], &part, 1, f->memory);
	await(&landing, landing.failed + 2);
	assert_int_equal(landing.status, FOS_OK);
	assert_int_equal(fos_blk_read(ch, &volume, 0, 8192, f->memory), FOS_OK);
	check(f->bytes, 3, 0, 9);
	for (unsigned i = 3; i < 4099; i++)
		assert_int_equal(f->bytes[i], 7);
	check(f->bytes + 4099, 8192 - 4099, 4099, 9);
	const fos_blk_range wrong[] = {{9196, 1}, {0, 9197}, {UINT64_MAX, 2}, {9195, 2}, {5, 0}};
	for (unsigned i = 0; i < 10; i++) {
		start(&landing, windows[i % 2], &wrong[i / 2], 1, f->memory);
		expect(&landing, FOS_RANGE, "beyond what it was opened for");
	}
	/* Nothing can be added to what is bound. */
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_BLK_EXTENTS + sizeof extents, &extents.at[0],
				 sizeof extents.at[0]);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &wrong[0], sizeof wrong[0]);
	fos_args_cap(&args, FOS_CALL, FOS_BLK_MEMORY, f->memory);
	fos_reply reply;
	assert_int_equal(fos_call(ch, windows[0], &args, 0, &reply), FOS_RANGE);
	fos_reply_release(ch, &reply);
	assert_int_equal(fos_cap_drain(ch, windows[1], 0), FOS_OK);
	start(&landing, windows[1], &part, 1, f->memory);
	await(&landing, landing.good + landing.failed + 1);
	assert_int_equal(landing.status, FOS_REVOKED);
}

static void test_controller_lost(void **state)
{
	struct fixture *f = *state;
	cluster_end(&f->cluster, 1, SIGKILL);
	int status = launch_end(f->blk, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 3);
	f->blk = 0;
	assert_true(cluster_start(&f->cluster, 1)); /* it removes what the killed one left */
}

/* An argument is a pattern of the tests that run. */
int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_volumes),
		TEST(test_bytes_go_round),
		TEST(test_next_runs_behind_the_data),
		TEST(test_errors),
		TEST(test_delete_while_open),
		TEST(test_window),
		TEST(test_exclusive),
		TEST(test_exclusive_stopped),
		TEST(test_killed_while_device_works),
		TEST(test_exclusive_node_lost),
		TEST(test_killed_under_load),
		TEST(test_controller_lost),
	};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
