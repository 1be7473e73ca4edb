/* See harness.h. */
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

#include <fractos/registry.h>

#include "services/fs/harness.h"

uint64_t fixture_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* ------------------------------------------------------------------ the cluster */

void fixture_start_blk(struct fixture *f)
{
	const char *const argv[] = {BLK, "--dir", f->dir, "--buffers", "8", NULL};
	assert_int_equal(setenv("FRACTOS_HOLD", f->hold, 1), 0);
	f->blk = launch_preloaded(cluster_socket(&f->cluster, 2), argv, HOLD);
}

void fixture_hold_device(const struct fixture *f, bool hold)
{
	if (hold)
		file_write(f->hold, "", 0600);
	else
		assert_int_equal(unlink(f->hold), 0);
}

void fixture_await_held(const struct fixture *f)
{
	uint64_t end = fixture_now() + PATIENCE;
	struct stat status = {0};
	while (stat(f->hold, &status) == 0 && status.st_size == 0 && fixture_now() < end)
		fos_wait(f->ch, SECOND / 100);
	assert_true(status.st_size > 0);
}

void fixture_start_fs_at(struct fixture *f, int node)
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

void fixture_start_fs(struct fixture *f)
{
	fixture_start_fs_at(f, 1);
}

void fixture_kill(pid_t *pid)
{
	assert_true(WIFSIGNALED(launch_end(*pid, SIGKILL)));
	*pid = 0;
}

int fixture_setup(void **state)
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
	fixture_start_blk(f);
	fixture_start_fs(f);
	*state = f;
	return 0;
}

void fixture_end(pid_t pid)
{
	if (pid == 0)
		return;
	int status = launch_end(pid, SIGTERM);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void fixture_check(struct fixture *f)
{
	char command[256];
	snprintf(command, sizeof command, "%s --check --meta %s/meta >&2", FS, f->dir);
	assert_int_equal(system(command), 0);
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	fos_detach(f->process);
	fixture_end(f->fs);
	fixture_check(f);
	fixture_end(f->blk);
	fixture_end(f->registry);
	launch_free_cluster(&f->cluster);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

/* ------------------------------------------------------------------ contents */

void fixture_write_all(struct fixture *f, uint64_t file, int fill, uint64_t size)
{
	fos_fs_item item = {file, 0, size};
	memset(f->bytes, fill, size);
	assert_int_equal(fos_fs_write(f->ch, f->root, &item, 1, f->memory, 0), FOS_OK);
}

void fixture_expect_all(struct fixture *f, uint64_t file, int fill, uint64_t size, unsigned flags)
{
	fos_fs_item item = {file, 0, size};
	memset(f->bytes, 0, size);
	assert_int_equal(fos_fs_read(f->ch, f->root, &item, 1, f->memory, flags), FOS_OK);
	for (uint64_t i = 0; i < size; i++)
		if (f->bytes[i] != fill)
			fail_msg("byte %llu is %u", (unsigned long long)i, f->bytes[i]);
}

void fixture_expect_back(struct fixture *f, uint64_t file, int fill, uint64_t size, unsigned flags)
{
	fos_fs_item item = {file, 0, size};
	uint64_t end = fixture_now() + harness_stretch(2 * SECOND) - 2 * SECOND;
	while (fos_fs_read(f->ch, f->root, &item, 1, f->memory, flags) != FOS_OK && fixture_now() < end)
		continue;
	fixture_expect_all(f, file, fill, size, flags);
}

/* ------------------------------------------------------------------ calls */

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

void call_begin_for(struct fixture *f, struct call *call, uint32_t op, unsigned flags,
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

void call_begin(struct fixture *f, struct call *call, uint32_t op, unsigned flags,
				const fos_fs_item *item, uint64_t memory_offset)
{
	call_begin_for(f, call, op, flags, item, memory_offset, PATIENCE);
}

void call_begin_direct_write(struct fixture *f, struct call *call, const fos_fs_direct *direct,
							 uint64_t length)
{
	const fos_blk_range window = {0, length};
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &window, sizeof window);
	fos_args_cap(&args, FOS_CALL, FOS_FS_MEMORY, f->memory);
	send_call(f, call, direct->write, &args, PATIENCE);
}

void call_begin_truncate(struct fixture *f, struct call *call, uint64_t file)
{
	const fos_fs_args header = {.op = FOS_FS_TRUNCATE, .file = file};
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &header, sizeof header);
	send_call(f, call, f->root, &args, PATIENCE);
}

void call_begin_close(struct fixture *f, struct call *call, fos_cap close)
{
	fos_args args;
	fos_args_init(&args);
	send_call(f, call, close, &args, PATIENCE);
}
