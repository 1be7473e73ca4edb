/* One daemon and what may come to its socket: good clients, bad ones, hostile ones. Every test ends
 * with a daemon that still serves, stops with status 0 and leaves nothing. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "controller/harness.h"

enum { PATIENCE_S = 60 }; /* longer than any machine is busy */

static void open_one(struct cluster *cluster, const char *more)
{
	cluster_make(cluster, 1, more);
	assert_true(cluster_start(cluster, 0));
}

/* The daemon lives and serves somebody new. */
static void still_serves(struct cluster *cluster)
{
	struct mini m;
	mini_open(&m, cluster_socket(cluster, 0), "witness");
	assert_int_equal(mini_null(&m), FOS_OK);
	mini_close(&m);
}

static int count_entries(const char *format, pid_t pid)
{
	char path[64];
	int count = 0;
	snprintf(path, sizeof path, format, (int)pid);
	DIR *dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

static int count_descriptors(const struct cluster *cluster)
{
	return count_entries("/proc/%d/fd", cluster->pids[0]);
}

static int count_mappings(const struct cluster *cluster)
{
	char path[64], line[512];
	int count = 0;
	snprintf(path, sizeof path, "/proc/%d/maps", (int)cluster->pids[0]);
	FILE *maps = fopen(path, "r");
	assert_non_null(maps);
	while (fgets(line, sizeof line, maps) != NULL)
		count += strstr(line, "fractos-") != NULL;
	fclose(maps);
	return count;
}

/* ------------------------------------------------------------------ the harness itself */

/* A program of its own that makes a directory and is killed, or removes it and ends. Whatever other
 * test begins from then on takes away what the killed one left. */
static void maker(char *path, size_t size, bool killed)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		scratch_make(path, size);
		if (write(ends[1], path, size) != (ssize_t)size)
			_exit(1);
		if (killed)
			pause();
		scratch_remove(path);
		_exit(0);
	}
	assert_int_equal(read(ends[0], path, size), size);
	if (killed) {
		assert_int_equal(access(path, F_OK), 0);
		assert_int_equal(kill(pid, SIGKILL), 0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(ends[0]);
	close(ends[1]);
}

static void removes_what_killed_tests_left(void **state)
{
	char mine[64], killed[64] = "", next[64] = "";
	scratch_make(mine, sizeof mine);
	maker(killed, sizeof killed, true);
	maker(next, sizeof next, false);
	/* Unless another has just begun to. */
	for (time_t end = time(NULL) + PATIENCE_S; access(killed, F_OK) == 0 && time(NULL) < end;)
		continue;
	assert_int_equal(access(killed, F_OK), -1);
	assert_int_equal(access(mine, F_OK), 0);
	scratch_remove(mine);
	assert_int_equal(access(mine, F_OK), -1);
}

/* A sanitizer's report is long. */
static void shows_the_whole_log(void **state)
{
	enum { LENGTH = 20000 };
	static char text[LENGTH + 1];
	struct cluster cluster;
	struct stat status;
	char path[CLUSTER_PATH_MAX];
	memset(text, 'x', LENGTH);
	cluster_make(&cluster, 1, NULL);
	snprintf(path, sizeof path, "%s/log0", cluster.dir);
	file_write(path, text, 0600);
	snprintf(path, sizeof path, "%s/shown", cluster.dir);
	int shown = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), usual = dup(STDERR_FILENO);
	assert_true(shown >= 0 && usual >= 0);
	dup2(shown, STDERR_FILENO);
	cluster_print_log(&cluster, 0);
	dup2(usual, STDERR_FILENO);
	assert_int_equal(fstat(shown, &status), 0);
	assert_true(status.st_size > LENGTH);
	close(shown);
	close(usual);
	cluster_free(&cluster);
}

/* ------------------------------------------------------------------ the daemon */

static void serves_and_leaves_nothing(void **state)
{
	struct cluster cluster;
	struct stat status;
	struct mini m;
	open_one(&cluster, NULL);
	assert_int_equal(stat(cluster_socket(&cluster, 0), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	mini_open(&m, cluster_socket(&cluster, 0), "test");
	assert_int_equal(m.serial, 1);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(mini_null(&m), FOS_OK);
	const fos_recorder *recorder = cluster_recorder_now(&cluster, 0);
	assert_int_equal(recorder->magic, FOS_RECORDER_MAGIC);
	assert_string_equal(recorder->node_name, "n0");
	assert_int_equal(recorder->pid, cluster.pids[0]);
	assert_true(cluster_logged(&cluster, 0, "process 1 \"test\" attached"));
	assert_true(recorder->counters.calls >= 1000);
	assert_int_equal(recorder->processes[0].serial, 1);
	assert_string_equal(recorder->processes[0].label, "test");
	munmap((void *)(uintptr_t)recorder, sizeof *recorder);
	assert_int_equal(cluster_end(&cluster, 0, SIGTERM), 0);
	assert_true(mini_hung_up(&m));
	mini_close(&m);
	cluster_free(&cluster);
}

static void refuses_a_second_daemon(void **state)
{
	struct cluster cluster;
	char line[64];
	open_one(&cluster, NULL);
	assert_int_equal(WEXITSTATUS(cluster_try(&cluster, 0, cluster.file, "n0")), 1);
	snprintf(line, sizeof line, "fractosd: node \"n0\" is already running (pid %d)\n",
			 (int)cluster.pids[0]);
	assert_true(cluster_logged(&cluster, 0, line));
	still_serves(&cluster);
	cluster_free(&cluster);
}

static void replaces_a_stale_socket(void **state)
{
	struct cluster cluster;
	open_one(&cluster, NULL);
	assert_int_equal(WTERMSIG(cluster_end(&cluster, 0, SIGKILL)), SIGKILL);
	assert_int_equal(access(cluster_socket(&cluster, 0), F_OK), 0);
	assert_true(cluster_start(&cluster, 0));
	still_serves(&cluster);
	assert_int_equal(cluster_end(&cluster, 0, SIGTERM), 0);
	/* The directory was there when the second daemon came: it is not its to remove. */
	char path[CLUSTER_PATH_MAX];
	snprintf(path, sizeof path, "%s/n0", cluster.dir);
	assert_int_equal(rmdir(path), 0);
	cluster_free(&cluster);
}

static void keeps_what_is_not_a_socket(void **state)
{
	struct cluster cluster;
	char path[CLUSTER_PATH_MAX];
	cluster_make(&cluster, 1, NULL);
	snprintf(path, sizeof path, "%s/n0", cluster.dir);
	assert_int_equal(mkdir(path, 0700), 0);
	file_write(cluster_socket(&cluster, 0), "precious", 0600);
	assert_int_equal(WEXITSTATUS(cluster_try(&cluster, 0, cluster.file, "n0")), 1);
	assert_true(cluster_logged(&cluster, 0, "is there and not a socket"));
	assert_int_equal(unlink(cluster_socket(&cluster, 0)), 0);
	assert_int_equal(rmdir(path), 0);
	cluster_free(&cluster);
}

static void refuses_another_version(void **state)
{
	struct cluster cluster;
	struct mini m;
	open_one(&cluster, NULL);
	assert_true(mini_connect(&m, cluster_socket(&cluster, 0)));
	assert_int_equal(mini_attach(&m, WIRE_VERSION + 1, "future"), FOS_UNSUPPORTED);
	assert_true(mini_hung_up(&m));
	mini_close(&m);
	still_serves(&cluster);
	cluster_free(&cluster);
}

static void refuses_other_users(void **state)
{
	struct cluster cluster;
	if (geteuid() != 0)
		skip();
	open_one(&cluster, NULL);
	assert_int_equal(cluster_end(&cluster, 0, SIGTERM), 0);
	FILE *file = fopen(cluster.file, "a");
	fputs("uids = 0,1\n", file);
	fclose(file);
	assert_int_equal(chmod(cluster.dir, 0755), 0);
	assert_true(cluster_start(&cluster, 0));
	pid_t child = fork();
	if (child == 0) {
		struct mini m;
		bool good = setresuid(65534, 65534, 65534) == 0 &&
					mini_connect(&m, cluster_socket(&cluster, 0)) &&
					mini_attach(&m, WIRE_VERSION, "nobody") == FOS_DENIED && mini_hung_up(&m);
		_exit(good ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(cluster_logged(&cluster, 0, "uid 65534): its user may not attach"));
	still_serves(&cluster);
	cluster_free(&cluster);
}

static void ends_those_who_talk_nonsense(void **state)
{
	struct cluster cluster;
	struct base_random random = {.state = 42};
	open_one(&cluster, NULL);
	for (int i = 0; i < 200; i++) {
		struct mini m;
		uint8_t packet[300];
		assert_true(mini_connect(&m, cluster_socket(&cluster, 0)));
		if (i % 2 == 1)
			assert_int_equal(mini_attach(&m, WIRE_VERSION, "liar"), FOS_OK);
		size_t size = 1 + base_random_below(&random, sizeof packet);
		for (size_t k = 0; k < size; k++)
			packet[k] = (uint8_t)base_random_next(&random);
		/* Often a good type in a good header, so that more than the header is looked at. */
		if (i % 4 >= 2 && size >= sizeof(struct wire_record)) {
			struct wire_record header = {.size = (uint32_t)size, .type = (uint16_t)(128 + i % 8)};
			memcpy(packet, &header, sizeof header);
		}
		assert_int_equal(send(m.fd, packet, size, MSG_NOSIGNAL), size);
		if (!mini_hung_up(&m))
			fail_msg("packet %d was taken", i);
		mini_close(&m);
	}
	still_serves(&cluster);
	cluster_free(&cluster);
}

static void gives_back_what_processes_held(void **state)
{
	struct cluster cluster;
	open_one(&cluster, NULL);
	int descriptors = count_descriptors(&cluster);
	assert_int_equal(count_mappings(&cluster), 0);
	for (int i = 0; i < 100; i++) {
		struct mini m;
		mini_open(&m, cluster_socket(&cluster, 0), "guest");
		assert_int_equal(mini_segment(&m, 1 << 20), FOS_OK);
		assert_int_equal(mini_null(&m), FOS_OK);
		assert_true(count_mappings(&cluster) >= 2);
		mini_close(&m);
	}
	/* /proc tells of them and gives no event. */
	for (time_t end = time(NULL) + PATIENCE_S; time(NULL) < end;) {
		if (count_mappings(&cluster) == 0 && count_descriptors(&cluster) == descriptors)
			break;
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	assert_int_equal(count_mappings(&cluster), 0);
	assert_int_equal(count_descriptors(&cluster), descriptors);
	cluster_free(&cluster);
}

static void limits_what_a_process_can_take(void **state)
{
	struct cluster cluster;
	struct mini m, other;
	open_one(&cluster,
			 "[limits]\nprocesses = 2\nchannels = 3\nsegments = 2\narena_bytes = 1000000\n");
	mini_open(&m, cluster_socket(&cluster, 0), "greedy");
	struct mini more = m, last = m;
	assert_int_equal(mini_channel(&more), FOS_OK);
	assert_int_equal(mini_channel(&last), FOS_OK);
	assert_int_equal(mini_channel(&last), FOS_QUOTA);
	assert_int_equal(mini_segment(&more, 0), FOS_INVALID);
	assert_int_equal(mini_segment(&more, UINT64_MAX), FOS_QUOTA);
	assert_int_equal(mini_segment(&more, 1000001), FOS_QUOTA);
	assert_int_equal(mini_segment(&more, 4097), FOS_OK);
	assert_int_equal(more.arena_bytes, 8192);
	assert_int_equal(mini_segment(&more, 995000), FOS_QUOTA);
	assert_int_equal(mini_segment(&last, 1), FOS_OK);
	assert_int_equal(mini_segment(&last, 1), FOS_QUOTA);
	mini_drop(&more);
	mini_drop(&last);
	mini_open(&other, cluster_socket(&cluster, 0), "second");
	struct mini third;
	assert_true(mini_connect(&third, cluster_socket(&cluster, 0)));
	assert_int_equal(mini_attach(&third, WIRE_VERSION, "third"), FOS_QUOTA);
	assert_true(mini_hung_up(&third));
	mini_close(&third);
	mini_close(&m);
	assert_true(cluster_logged(&cluster, 0, "process 1 \"greedy\" ended"));
	still_serves(&cluster);
	mini_close(&other);
	cluster_free(&cluster);
}

/* A program that attaches up to `wanted` times and stays until its pipe is closed. Returns how
 * often it could. */
static int guest_start(const struct cluster *cluster, int wanted, bool own_session, int *leave)
{
	int told[2], stay[2], attached = -1;
	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	assert_int_equal(pipe2(stay, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct mini m;
		char byte;
		close(stay[1]);
		attached = 0;
		if (own_session)
			setsid();
		while (attached < wanted && mini_connect(&m, cluster_socket(cluster, 0)) &&
			   mini_attach(&m, WIRE_VERSION, "guest") == FOS_OK)
			attached++;
		if (write(told[1], &attached, sizeof attached) == (ssize_t)sizeof attached)
			_exit(read(stay[0], &byte, 1) == 0 ? 0 : 1);
		_exit(1);
	}
	close(told[1]);
	close(stay[0]);
	assert_int_equal(read(told[0], &attached, sizeof attached), sizeof attached);
	close(told[0]);
	*leave = stay[1];
	return attached;
}

/* Of sixteen places: four for a program, eight for a session, two for who has fewer than two. */
static void keeps_places_for_others(void **state)
{
	static const struct {
		int wanted;
		bool own_session;
		int granted;
	} guests[] = {
		{16, false, 4}, {16, false, 4}, {1, false, 0}, /* the session has its half */
		{16, true, 4},  {16, true, 2},                 /* two are left */
		{16, true, 2},  {1, true, 0},
	};
	struct cluster cluster;
	int leave[BASE_COUNT(guests)], status;
	open_one(&cluster, "[limits]\nprocesses = 16\n");
	for (size_t i = 0; i < BASE_COUNT(guests); i++) {
		int granted = guest_start(&cluster, guests[i].wanted, guests[i].own_session, &leave[i]);
		if (granted != guests[i].granted)
			fail_msg("guest %zu has %d places, not %d", i, granted, guests[i].granted);
	}
	assert_true(cluster_logged(&cluster, 0, "as many places as one program may have"));
	assert_true(cluster_logged(&cluster, 0, "as many places as one may have"));
	assert_true(cluster_logged(&cluster, 0, "the last places are kept"));
	for (size_t i = 0; i < BASE_COUNT(guests); i++)
		close(leave[i]);
	for (size_t i = 0; i < BASE_COUNT(guests); i++)
		assert_true(wait(&status) > 0 && status == 0);
	still_serves(&cluster);
	cluster_free(&cluster);
}

static void waits_only_so_long_for_strangers(void **state)
{
	struct cluster cluster;
	struct mini m;
	open_one(&cluster, "failure_timeout_ms = 100\nheartbeat_ms = 20\n");
	assert_true(mini_connect(&m, cluster_socket(&cluster, 0)));
	assert_true(mini_hung_up(&m));
	assert_true(cluster_logged(&cluster, 0, "it did not attach in time"));
	mini_close(&m);
	cluster_free(&cluster);
}

/* ------------------------------------------------------------------ hostile rings */

static void scribble(struct mini *m, int kind, struct base_random *random)
{
	struct ring_shared *calls = (void *)m->map, *answers = (void *)(m->map + RING_PAGE);
	struct wire_record *first = (void *)(m->map + 2 * RING_PAGE);
	const uint64_t one = 1;
	switch (kind) {
	case 0: /* more than the ring holds */
		atomic_store(&calls->tail, m->ring_bytes + 8);
		break;
	case 1: /* not a multiple of 8 */
		atomic_store(&calls->tail, 3);
		break;
	case 2: /* far away */
		atomic_store(&calls->tail, UINT64_MAX - 7);
		break;
	case 3: /* a record of size 0 */
		*first = (struct wire_record){.size = 0, .type = 1};
		atomic_store(&calls->tail, 64);
		break;
	case 4: /* a record longer than what was produced */
		*first = (struct wire_record){.size = 4096, .type = 1};
		atomic_store(&calls->tail, 64);
		break;
	case 5: /* a filler that ends nowhere */
		*first = (struct wire_record){.size = 64, .type = 0};
		atomic_store(&calls->tail, 128);
		break;
	case 6: /* an unknown type */
		*first = (struct wire_record){.size = 16, .type = 999};
		atomic_store(&calls->tail, 16);
		break;
	default: /* noise */
		for (uint64_t i = 0; i < m->ring_bytes; i += 8) {
			uint64_t noise = base_random_next(random);
			memcpy(m->map + 2 * RING_PAGE + i, &noise, sizeof noise);
		}
		atomic_store(&calls->tail, 32768);
	}
	atomic_store(&answers->head, base_random_next(random));
	assert_int_equal(write(m->bell, &one, sizeof one), sizeof one);
}

static void ends_those_who_break_their_ring(void **state)
{
	struct cluster cluster;
	struct base_random random = {.state = 7};
	open_one(&cluster, NULL);
	for (int kind = 0; kind < 20; kind++) {
		struct mini m;
		mini_open(&m, cluster_socket(&cluster, 0), "vandal");
		scribble(&m, kind, &random);
		if (!mini_hung_up(&m))
			fail_msg("kind %d was not noticed", kind);
		mini_close(&m);
		still_serves(&cluster);
	}
	cluster_free(&cluster);
}

/* A child that changes its rings all the time while the daemon reads them. */
static void survives_a_ring_that_changes_under_it(void **state)
{
	struct cluster cluster;
	struct base_random random = {.state = 99};
	open_one(&cluster, NULL);
	for (int i = 0; i < 10; i++) {
		struct mini m;
		mini_open(&m, cluster_socket(&cluster, 0), "racer");
		struct ring_shared *calls = (void *)m.map;
		struct wire_call_null call = {
			.header = {.size = sizeof call, .type = WIRE_CALL_TYPE_NULL, .cookie = 1}};
		uint64_t *bytes = (void *)(m.map + 2 * RING_PAGE);
		const uint64_t one = 1;
		for (int k = 0; k < 20000; k++) {
			if (mini_submit(&m, &call) && k % 64 == 0)
				assert_int_equal(write(m.bell, &one, sizeof one), sizeof one);
			bytes[base_random_below(&random, m.ring_bytes / 8)] = base_random_next(&random);
			if (k % 1000 == 999)
				atomic_store(&calls->tail, base_random_below(&random, 1 << 20));
		}
		/* A daemon that was quick enough has seen nothing of that. */
		atomic_store(&calls->tail, 3);
		assert_int_equal(write(m.bell, &one, sizeof one), sizeof one);
		assert_true(mini_hung_up(&m));
		mini_close(&m);
	}
	still_serves(&cluster);
	cluster_free(&cluster);
}

/* What shares a descriptor with us can try to make us wait on it. */
static void is_not_blocked_by_full_doorbells(void **state)
{
	struct cluster cluster;
	struct mini m;
	open_one(&cluster, NULL);
	mini_open(&m, cluster_socket(&cluster, 0), "mute");
	uint64_t full = UINT64_MAX - 1;
	char link[64];
	assert_int_equal(fcntl(m.bell, F_SETFL, 0), 0);
	assert_int_equal(write(m.bell, &full, sizeof full), sizeof full);
	assert_int_equal(fcntl(m.doorbell, F_SETFL, 0), 0);
	snprintf(link, sizeof link, "/proc/self/fd/%d", m.doorbell);
	int writer = open(link, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(writer >= 0);
	while (write(writer, &full, sizeof full) > 0)
		;
	struct ring_shared *answers = (void *)(m.map + RING_PAGE);
	struct wire_call_null call = {.header = {.size = sizeof call, .type = WIRE_CALL_TYPE_NULL}};
	for (int i = 0; i < 10; i++) {
		uint32_t size;
		atomic_store(&answers->sleeping, 1); /* the Controller shall ring */
		memcpy(ring_reserve(&m.calls, sizeof call), &call, sizeof call);
		ring_publish(&m.calls); /* whoever comes next wakes the Controller: our bell is full */
		while (ring_peek(&m.answers, &size) == NULL)
			still_serves(&cluster);
		ring_release(&m.answers);
	}
	close(writer);
	mini_close(&m);
	still_serves(&cluster);
	cluster_free(&cluster);
}

/* Nothing is lost for a Process that reads late, and it costs the others nothing. */
static void keeps_answers_for_a_late_reader(void **state)
{
	struct cluster cluster;
	struct mini m;
	open_one(&cluster, NULL);
	mini_open(&m, cluster_socket(&cluster, 0), "late");
	struct wire_call_null call = {.header = {.size = sizeof call, .type = WIRE_CALL_TYPE_NULL}};
	uint64_t submitted = 0, answered = 0;
	/* Until both rings are full: the Controller has stopped taking calls. */
	const time_t end = time(NULL) + PATIENCE_S;
	const uint64_t enough = m.ring_bytes / sizeof(struct wire_answer_completion);
	for (int quiet = 0; quiet < 100 || (submitted <= enough && time(NULL) < end);) {
		call.header.cookie = submitted;
		if (mini_submit(&m, &call)) {
			submitted++;
			quiet = 0;
		} else {
			quiet++; /* that nothing more is taken has no event */
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		}
	}
	assert_true(submitted > enough);
	still_serves(&cluster);
	while (answered < submitted) {
		struct wire_answer_completion answer;
		mini_answer(&m, &answer, sizeof answer);
		assert_int_equal(answer.header.cookie, answered);
		answered++;
	}
	assert_int_equal(mini_null(&m), FOS_OK);
	mini_close(&m);
	cluster_free(&cluster);
}

/* Calls until the Controller has ended. */
_Noreturn static void keep_busy(const struct cluster *cluster, int told)
{
	enum { WARM = 1000 };
	struct mini m;
	struct wire_call_null call = {.header = {.size = sizeof call, .type = WIRE_CALL_TYPE_NULL}};
	unsigned answers = 0;
	bool warm = false;
	mini_open(&m, cluster_socket(cluster, 0), "busy");
	for (;;) {
		char byte;
		uint32_t size;
		mini_submit(&m, &call);
		while (ring_peek(&m.answers, &size) != NULL)
			answers++;
		ring_release(&m.answers);
		if (answers >= WARM && !warm)
			warm = write(told, "", 1) == 1;
		if (recv(m.fd, &byte, 1, MSG_DONTWAIT) == 0)
			_exit(0);
	}
}

static void stops_under_load(void **state)
{
	struct cluster cluster;
	int ends[2];
	open_one(&cluster, NULL);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t children[3];
	for (int i = 0; i < 3; i++) {
		children[i] = fork();
		if (children[i] == 0)
			keep_busy(&cluster, ends[1]);
	}
	close(ends[1]);
	for (int i = 0; i < 3; i++) {
		char byte;
		assert_int_equal(read(ends[0], &byte, 1), 1);
	}
	close(ends[0]);
	assert_int_equal(cluster_end(&cluster, 0, SIGTERM), 0);
	for (int i = 0; i < 3; i++) {
		int status;
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	cluster_free(&cluster);
}

static void closes_channels(void **state)
{
	struct cluster cluster;
	struct mini m;
	open_one(&cluster, NULL);
	mini_open(&m, cluster_socket(&cluster, 0), "closer");
	struct wire_attach_close packet = {
		.header = {.size = sizeof packet, .type = WIRE_ATTACH_TYPE_CLOSE}, .channel = 0};
	struct wire_attach_closed answer;
	const int expected[] = {FOS_OK, FOS_INVALID};
	for (int i = 0; i < 2; i++) {
		assert_int_equal(send(m.fd, &packet, sizeof packet, 0), sizeof packet);
		assert_int_equal(recv(m.fd, &answer, sizeof answer, 0), sizeof answer);
		assert_int_equal(answer.status, expected[i]);
	}
	assert_int_equal(count_mappings(&cluster), 0);
	struct mini again = m;
	assert_int_equal(mini_channel(&again), FOS_OK);
	assert_int_equal(mini_null(&again), FOS_OK);
	mini_drop(&again);
	mini_close(&m);
	cluster_free(&cluster);
}

static void spins_where_the_core_is_its_own(void **state)
{
	struct cluster cluster;
	struct mini m;
	open_one(&cluster, "spin = busy\n");
	mini_open(&m, cluster_socket(&cluster, 0), "client");
	struct ring_shared *calls = (void *)m.map;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(mini_null(&m), FOS_OK);
		assert_int_equal(atomic_load(&calls->sleeping), 0); /* it never wants to be woken */
	}
	mini_close(&m);
	cluster_free(&cluster);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(removes_what_killed_tests_left),
		cmocka_unit_test(shows_the_whole_log),
		cmocka_unit_test(serves_and_leaves_nothing),
		cmocka_unit_test(refuses_a_second_daemon),
		cmocka_unit_test(replaces_a_stale_socket),
		cmocka_unit_test(keeps_what_is_not_a_socket),
		cmocka_unit_test(refuses_another_version),
		cmocka_unit_test(refuses_other_users),
		cmocka_unit_test(ends_those_who_talk_nonsense),
		cmocka_unit_test(gives_back_what_processes_held),
		cmocka_unit_test(limits_what_a_process_can_take),
		cmocka_unit_test(keeps_places_for_others),
		cmocka_unit_test(waits_only_so_long_for_strangers),
		cmocka_unit_test(ends_those_who_break_their_ring),
		cmocka_unit_test(survives_a_ring_that_changes_under_it),
		cmocka_unit_test(is_not_blocked_by_full_doorbells),
		cmocka_unit_test(keeps_answers_for_a_late_reader),
		cmocka_unit_test(stops_under_load),
		cmocka_unit_test(closes_channels),
		cmocka_unit_test(spins_where_the_core_is_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
