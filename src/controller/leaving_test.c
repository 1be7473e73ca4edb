/* When a Process that died is free: what drains wait for, with real exits, locks and I/O. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <liburing.h>

#include <fractos/fractos.h>

#include "base/base.h"
#include "controller/harness.h"

#define MILLISECOND      UINT64_C(1000000)
#define WHILE_IT_IS_HELD (100 * MILLISECOND)
#define AT_LAST          (60000 * MILLISECOND) /* longer than any machine is busy */

enum { BLOCK = 1 << 20, DEPTH = 32 };

enum manner {
	MANNER_PLAIN,  /* no device */
	MANNER_WRITES, /* many writes of io_uring under way on a device that it holds */
	MANNER_KEPT,   /* a device whose lock another process keeps after it */
	MANNER_LEAVES  /* detaches when it has the delivery, and lives on */
};

/* ------------------------------------------------------------------ the provider */

struct provider {
	enum manner manner;
	int ready; /* tells the test by a byte */
	const char *file;
	fos_channel *ch;
	struct io_uring ring;
	void *block;
	int fd;
};

static void say(const struct provider *p)
{
	if (write(p->ready, "r", 1) != 1)
		_exit(1);
}

static void must(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	_exit(1);
}

static int open_locked(const char *file)
{
	int fd = open(file, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0 && errno == EINVAL)
		fd = open(file, O_RDWR | O_CLOEXEC);
	must(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0, "lock");
	return fd;
}

static void submit_write(struct provider *p)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&p->ring);
	must(sqe != NULL, "sqe");
	io_uring_prep_write(sqe, p->fd, p->block, BLOCK, (uint64_t)(rand() % 64) * BLOCK);
}

/* For ever: killed with all of them under way. */
static void keep_writing(struct provider *p)
{
	must(io_uring_queue_init(DEPTH, &p->ring, 0) == 0, "ring");
	must(posix_memalign(&p->block, 4096, BLOCK) == 0, "block");
	memset(p->block, 'x', BLOCK);
	for (int i = 0; i < DEPTH; i++)
		submit_write(p);
	for (unsigned written = 0;; written++) {
		struct io_uring_cqe *cqe;
		must(io_uring_submit_and_wait(&p->ring, 1) >= 0, "submit");
		must(io_uring_wait_cqe(&p->ring, &cqe) == 0 && cqe->res > 0, "write");
		io_uring_cqe_seen(&p->ring, cqe);
		submit_write(p);
		if (written == DEPTH)
			say(p);
	}
}

static fos_handled on_delivery(fos_channel *ch, const fos_delivery *d, void *arg)
{
	struct provider *p = arg;
	(void)ch, (void)d;
	if (p->manner == MANNER_WRITES)
		keep_writing(p);
	if (p->manner != MANNER_LEAVES)
		say(p);
	fos_stop(p->ch);
	return FOS_FINISH_LATER;
}

/* The description lives as long as one of those who share it. */
static void start_keeper(struct provider *p)
{
	pid_t pid = fork();
	must(pid >= 0, "fork");
	if (pid == 0) {
		alarm(60); /* it outlives its parent, but not a test that failed */
		for (;;)
			pause();
	}
	if (write(p->ready, &pid, sizeof pid) != (ssize_t)sizeof pid)
		_exit(1);
}

static void provide(struct provider *p, const char *socket)
{
	const fos_attach_options options = {.socket = socket, .label = "provider"};
	fos_process *process;
	fos_cap request;
	if (p->manner == MANNER_WRITES || p->manner == MANNER_KEPT)
		p->fd = open_locked(p->file);
	if (p->manner == MANNER_KEPT)
		start_keeper(p);
	must(fos_attach(&options, &process) == FOS_OK, "attach");
	must(fos_channel_open(process, &p->ch) == FOS_OK, "channel");
	if (p->fd > 0)
		must(fos_device_held(process, p->fd) == FOS_OK, "device");
	must(fos_request_create(p->ch, on_delivery, p, NULL, &request) == FOS_OK, "create");
	must(fos_registry_set(p->ch, request) == FOS_OK, "set");
	say(p);
	fos_serve(p->ch);
	if (p->manner == MANNER_LEAVES) {
		fos_detach(process);
		say(p);
	}
	for (;;)
		pause();
}

/* ------------------------------------------------------------------ the test's side */

struct scene {
	struct cluster cluster;
	char file[CLUSTER_PATH_MAX];
	int ready;
	pid_t provider;
	fos_process *process;
	fos_channel *ch;
	fos_cap child;
};

static void hear(const struct scene *scene)
{
	char byte;
	assert_int_equal(read(scene->ready, &byte, 1), 1);
}

static void open_scene(struct scene *scene, enum manner manner, pid_t *keeper)
{
	fos_cap request;
	int ends[2];
	cluster_make(&scene->cluster, 1, NULL);
	cluster_start_all(&scene->cluster);
	snprintf(scene->file, sizeof scene->file, "%s/device", scene->cluster.dir);
	int fd = open(scene->file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && ftruncate(fd, 64 * BLOCK) == 0);
	close(fd);
	assert_int_equal(pipe(ends), 0);
	scene->provider = fork();
	assert_true(scene->provider >= 0);
	if (scene->provider == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		struct provider provider = {.manner = manner, .ready = ends[1], .file = scene->file};
		provide(&provider, cluster_socket(&scene->cluster, 0));
	}
	close(ends[1]);
	scene->ready = ends[0];
	if (keeper != NULL)
		assert_int_equal(read(scene->ready, keeper, sizeof *keeper), sizeof *keeper);
	hear(scene);
	const fos_attach_options options = {.socket = cluster_socket(&scene->cluster, 0),
										.label = "client"};
	assert_int_equal(fos_attach(&options, &scene->process), FOS_OK);
	assert_int_equal(fos_channel_open(scene->process, &scene->ch), FOS_OK);
	assert_int_equal(fos_registry_get(scene->ch, AT_LAST, &request), FOS_OK);
	assert_int_equal(fos_cap_create_revtree(scene->ch, request, 0, &scene->child), FOS_OK);
	assert_int_equal(fos_request_invoke(scene->ch, scene->child, NULL, NULL), FOS_OK);
	hear(scene);
}

static void close_scene(struct scene *scene)
{
	fos_detach(scene->process);
	close(scene->ready);
	unlink(scene->file);
	cluster_free(&scene->cluster);
}

static void kill_provider(struct scene *scene)
{
	assert_int_equal(kill(scene->provider, SIGKILL), 0);
	assert_int_equal(waitpid(scene->provider, NULL, 0), scene->provider);
}

/* It keeps its place, and can be seen to. */
static void expect_shown(const struct scene *scene, enum fos_process_state state)
{
	const fos_recorder *recorder = cluster_recorder_now(&scene->cluster, 0);
	const fos_recorder_process *found = NULL;
	for (int i = 0; i < FOS_RECORDER_PROCESSES; i++)
		if (recorder->processes[i].serial != 0 &&
			strcmp(recorder->processes[i].label, "provider") == 0)
			found = &recorder->processes[i];
	assert_non_null(found);
	assert_int_equal(found->state, state);
	assert_int_equal(found->pid, scene->provider);
	munmap((void *)(uintptr_t)recorder, sizeof *recorder);
}

static void an_exit_is_waited_for(void **state)
{
	struct scene scene;
	open_scene(&scene, MANNER_PLAIN, NULL);
	assert_int_equal(fos_cap_drain(scene.ch, scene.child, WHILE_IT_IS_HELD), FOS_TIMED_OUT);
	kill_provider(&scene);
	assert_int_equal(fos_cap_drain(scene.ch, scene.child, AT_LAST), FOS_OK);
	close_scene(&scene);
}

static void a_process_that_lives_on_is_not_free(void **state)
{
	struct scene scene;
	open_scene(&scene, MANNER_LEAVES, NULL);
	assert_true(cluster_logged(&scene.cluster, 0, "waiting for its exit"));
	expect_shown(&scene, FOS_PROCESS_EXITING);
	assert_int_equal(fos_cap_drain(scene.ch, scene.child, WHILE_IT_IS_HELD), FOS_TIMED_OUT);
	kill_provider(&scene);
	assert_int_equal(fos_cap_drain(scene.ch, scene.child, AT_LAST), FOS_OK);
	assert_true(cluster_logged(&scene.cluster, 0, "is free"));
	close_scene(&scene);
}

static bool can_lock(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	bool can = flock(fd, LOCK_EX | LOCK_NB) == 0;
	close(fd);
	return can;
}

static void a_device_is_waited_for(void **state)
{
	struct scene scene;
	pid_t keeper = 0;
	open_scene(&scene, MANNER_KEPT, &keeper);
	assert_true(keeper > 0);
	kill_provider(&scene);
	assert_int_equal(fos_cap_drain(scene.ch, scene.child, WHILE_IT_IS_HELD), FOS_TIMED_OUT);
	assert_false(can_lock(scene.file));
	expect_shown(&scene, FOS_PROCESS_DEVICES);
	assert_int_equal(kill(keeper, SIGKILL), 0);
	assert_int_equal(fos_cap_drain(scene.ch, scene.child, AT_LAST), FOS_OK);
	assert_true(can_lock(scene.file));
	close_scene(&scene);
}

/* Whoever waits for the lock has it the moment it is free: that is as good. */
static void a_successor_with_the_lock_is_no_obstacle(void **state)
{
	struct scene scene;
	pid_t keeper = 0;
	int ends[2];
	open_scene(&scene, MANNER_KEPT, &keeper);
	assert_int_equal(pipe(ends), 0);
	pid_t successor = fork();
	assert_true(successor >= 0);
	if (successor == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		int fd = open(scene.file, O_RDWR | O_CLOEXEC);
		must(fd >= 0 && flock(fd, LOCK_EX) == 0 && write(ends[1], "r", 1) == 1, "successor");
		for (;;)
			pause();
	}
	kill_provider(&scene);
	assert_int_equal(fos_cap_drain(scene.ch, scene.child, WHILE_IT_IS_HELD), FOS_TIMED_OUT);
	char byte;
	assert_int_equal(kill(keeper, SIGKILL), 0);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	assert_false(can_lock(scene.file));
	assert_int_equal(fos_cap_drain(scene.ch, scene.child, AT_LAST), FOS_OK);
	assert_false(can_lock(scene.file));
	assert_int_equal(kill(successor, SIGKILL), 0);
	assert_int_equal(waitpid(successor, NULL, 0), successor);
	close(ends[0]);
	close(ends[1]);
	close_scene(&scene);
}

/* Killed in the middle of its writes: when it is said to be free, none is under way. */
static void writes_under_way_are_waited_for(void **state)
{
	struct scene scene;
	open_scene(&scene, MANNER_WRITES, NULL);
	assert_int_equal(fos_cap_drain(scene.ch, scene.child, WHILE_IT_IS_HELD), FOS_TIMED_OUT);
	kill_provider(&scene);
	assert_int_equal(fos_cap_drain(scene.ch, scene.child, AT_LAST), FOS_OK);
	int fd = open(scene.file, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	/* What is written now nothing overwrites. */
	char zeros[4096] = {0}, found[4096];
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(pwrite(fd, zeros, sizeof zeros, (off_t)i * BLOCK), sizeof zeros);
	assert_int_equal(fos_cap_drain(scene.ch, scene.child, AT_LAST), FOS_OK);
	for (unsigned i = 0; i < 64; i++) {
		assert_int_equal(pread(fd, found, sizeof found, (off_t)i * BLOCK), sizeof found);
		assert_memory_equal(found, zeros, sizeof found);
	}
	close(fd);
	close_scene(&scene);
}

/* ------------------------------------------------------------------ packets */

static fos_status ask(struct mini *m, const int *fds, size_t count)
{
	struct wire_record packet = {.size = sizeof packet, .type = WIRE_ATTACH_TYPE_DEVICE};
	struct wire_attach_device_done done;
	union {
		char bytes[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr head;
	} control = {0};
	struct iovec part = {&packet, sizeof packet};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	if (count > 0) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(count * sizeof(int)),
										.cmsg_level = SOL_SOCKET,
										.cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.head), fds, count * sizeof(int));
	}
	assert_int_equal(sendmsg(m->fd, &message, 0), sizeof packet);
	assert_int_equal(recv(m->fd, &done, sizeof done, 0), sizeof done);
	assert_true(wire_check_attach((const uint8_t *)&done, sizeof done));
	assert_int_equal(done.header.type, WIRE_ATTACH_TYPE_DEVICE_DONE);
	return (fos_status)done.status;
}

/* When what was begun for the client is over. */
static unsigned descriptors_of(pid_t pid, struct mini *m)
{
	char path[64];
	unsigned count = 0;
	assert_int_equal(mini_null(m), FOS_OK);
	for (int fd = 0; fd < 256; fd++) {
		snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
		count += faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	}
	return count;
}

/* What is not served by the kernel is closed aside. */
static void expect_descriptors(pid_t pid, struct mini *m, unsigned count)
{
	for (time_t end = time(NULL) + 60; time(NULL) < end && descriptors_of(pid, m) != count;)
		;
	assert_int_equal(descriptors_of(pid, m), count);
}

static void only_locked_files_are_devices_and_eight_of_them(void **state)
{
	struct cluster cluster;
	struct mini m;
	char path[CLUSTER_PATH_MAX];
	cluster_make(&cluster, 1, NULL);
	cluster_start_all(&cluster);
	mini_open(&m, cluster_socket(&cluster, 0), "adaptor");
	unsigned before = descriptors_of(cluster.pids[0], &m);
	snprintf(path, sizeof path, "%s/device", cluster.dir);
	int held = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int other[2] = {open(path, O_RDONLY | O_CLOEXEC), open(path, O_RDONLY | O_CLOEXEC)};
	assert_int_equal(ask(&m, NULL, 0), FOS_INVALID);
	assert_int_equal(ask(&m, other, 1), FOS_INVALID);
	assert_int_equal(flock(held, LOCK_EX), 0);
	assert_int_equal(ask(&m, &held, 1), FOS_INVALID); /* the same description proves nothing */
	assert_int_equal(flock(held, LOCK_EX), 0);
	assert_int_equal(ask(&m, &m.fd, 1), FOS_DEVICE); /* a socket has no mount that is seen */
	for (unsigned i = 0; i < FOS_DEVICES_MAX; i++)
		assert_int_equal(ask(&m, other, 1), FOS_OK);
	assert_int_equal(ask(&m, other, 1), FOS_QUOTA);
	expect_descriptors(cluster.pids[0], &m, before + FOS_DEVICES_MAX);
	/* Not of this dialogue, before it attached. */
	struct mini stranger;
	assert_true(mini_connect(&stranger, cluster_socket(&cluster, 0)));
	struct wire_record packet = {.size = sizeof packet, .type = WIRE_ATTACH_TYPE_DEVICE};
	assert_int_equal(send(stranger.fd, &packet, sizeof packet, 0), sizeof packet);
	assert_true(mini_hung_up(&stranger));
	close(stranger.fd);
	mini_close(&m);
	mini_open(&m, cluster_socket(&cluster, 0), "again");
	expect_descriptors(cluster.pids[0], &m, before);
	mini_close(&m);
	close(held);
	close(other[0]);
	close(other[1]);
	unlink(path);
	cluster_free(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_exit_is_waited_for),
		cmocka_unit_test(a_process_that_lives_on_is_not_free),
		cmocka_unit_test(a_device_is_waited_for),
		cmocka_unit_test(a_successor_with_the_lock_is_no_obstacle),
		cmocka_unit_test(writes_under_way_are_waited_for),
		cmocka_unit_test(only_locked_files_are_devices_and_eight_of_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
