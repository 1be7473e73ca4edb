/* Whole clusters of daemons with Processes on them: calls, chains, third-party copies, and every
 * way to die that one machine offers. */
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "controller/harness.h"
#include "controller/worker.h"

#define SECOND   UINT64_C(1000000000)
#define PATIENCE (60 * SECOND) /* for what must come: longer than any machine is busy */

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static uint64_t invokes_sent(struct cluster *cluster)
{
	uint64_t sum = 0;
	for (int i = 0; i < cluster->node_count; i++) {
		const fos_recorder *recorder = cluster_recorder_now(cluster, i);
		sum += recorder->counters.sent.invoke;
		munmap((void *)(uintptr_t)recorder, sizeof *recorder);
	}
	return sum;
}

/* A cluster with a hub and one worker a node: worker i is on node i. */
struct site {
	struct cluster cluster;
	pid_t hub, workers[CLUSTER_NODES_MAX];
	fos_channel *ch; /* a client on n0 */
};

static void site_open(struct site *site, int nodes)
{
	cluster_make(&site->cluster, nodes, NULL);
	cluster_start_all(&site->cluster);
	site->hub = hub_start(cluster_socket(&site->cluster, 0));
	for (int i = 0; i < nodes; i++)
		site->workers[i] = worker_start(cluster_socket(&site->cluster, i), (unsigned)i);
	site->ch = client_start(cluster_socket(&site->cluster, 0));
}

static void site_close(struct site *site)
{
	client_end(site->ch);
	for (int i = 0; i < site->cluster.node_count; i++)
		if (site->workers[i] != 0)
			child_kill(site->workers[i]);
	child_kill(site->hub);
	cluster_free(&site->cluster);
}

static void calls_between_processes_of_one_node(void **state)
{
	struct site site;
	uint64_t value;
	site_open(&site, 1);
	fos_cap worker = worker_find(site.ch, 0);
	for (uint64_t i = 0; i < 1000; i++) {
		assert_int_equal(worker_call(site.ch, worker, WORKER_ECHO, i, &value, NULL), FOS_OK);
		assert_int_equal(value, i + 1);
	}
	assert_int_equal(worker_call(site.ch, worker, 999, 0, NULL, NULL), FOS_INVALID);
	site_close(&site);
}

static fos_handled finish(fos_channel *ch, const fos_delivery *d, void *arg)
{
	(void)d, (void)arg;
	fos_stop(ch);
	return FOS_FINISH;
}

/* On one core a sleeping Controller hears of the last finish and of the detaching at once, more
 * often than not. */
static void what_was_finished_before_the_end_counts(void **state)
{
	enum { TIMES = 50 };
	struct site site;
	cpu_set_t before, one;
	fos_cap request;
	fos_args args;
	site_open(&site, 1);
	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
	assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
	assert_int_equal(sched_setaffinity(site.cluster.pids[0], sizeof one, &one), 0);
	for (unsigned i = 0; i < TIMES; i++) {
		assert_int_equal(fos_request_create(site.ch, finish, NULL, NULL, &request), FOS_OK);
		fos_args_init(&args);
		assert_int_equal(fos_request_invoke(site.ch, request, &args, NULL), FOS_OK);
		assert_int_equal(fos_serve(site.ch), FOS_OK);
		client_end(site.ch);
		site.ch = client_start(cluster_socket(&site.cluster, 0));
	}
	assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
	/* Had a delivery been left open, this process would be waited for, which lives on. */
	site_close(&site);
}

/* ------------------------------------------------------------------ chains */

struct answer {
	bool there;
	fos_status status;
	uint64_t value;
};

static fos_handled on_answer(fos_channel *ch, const fos_delivery *d, void *arg)
{
	struct answer *answer = arg;
	const uint64_t *value = fos_delivery_imm(d, FOS_RESULT, sizeof *value);
	answer->there = true;
	answer->status = d->exception.status;
	answer->value = value != NULL ? *value : 0;
	return FOS_FINISH;
}

/* Starts a chain through all stages by one call; the answer's ONCE Request is its end and its
 * on_error. */
static void start_chain(fos_channel *ch, const fos_cap *stages, int count, struct answer *answer)
{
	static const struct worker_args step = {.op = WORKER_STEP};
	const fos_request_options once_options = {.once = true, .deadline = PATIENCE};
	fos_args args;
	fos_cap once;
	*answer = (struct answer){0};
	assert_int_equal(fos_request_create(ch, on_answer, answer, &once_options, &once), FOS_OK);
	fos_args_init(&args);
	fos_cap next = once;
	for (int i = count - 1; i >= 0; i--) {
		fos_cap stage = i > 0 ? fos_args_refine(&args, stages[i]) : FOS_CALL;
		fos_args_imm(&args, stage, FOS_ARG, &step, sizeof step);
		fos_args_cap(&args, stage, FOS_NEXT, next);
		next = stage;
	}
	fos_args_on_error(&args, FOS_CALL, once);
	assert_int_equal(fos_request_invoke(ch, stages[0], &args, NULL), FOS_OK);
	assert_int_equal(fos_cap_close(ch, once), FOS_OK);
}

static void await(fos_channel *ch, const struct answer *answer)
{
	for (uint64_t end = now_ns() + PATIENCE; !answer->there && now_ns() < end;)
		fos_wait(ch, SECOND / 10);
	assert_true(answer->there);
}

/* client -> n0 -> n1 -> n2 -> n3 -> client: five invocations, four of them messages. */
static void chains_across_nodes(void **state)
{
	enum { STAGES = 4, ROUNDS = 20 };
	struct site site;
	struct answer answer;
	fos_cap stages[STAGES];
	site_open(&site, STAGES);
	for (unsigned i = 0; i < STAGES; i++)
		stages[i] = worker_find(site.ch, i);
	uint64_t before = invokes_sent(&site.cluster);
	for (int round = 0; round < ROUNDS; round++) {
		start_chain(site.ch, stages, STAGES, &answer);
		await(site.ch, &answer);
		assert_int_equal(answer.status, FOS_OK);
		assert_int_equal(answer.value, STAGES);
	}
	assert_int_equal(invokes_sent(&site.cluster) - before, STAGES * ROUNDS);
	site_close(&site);
}

/* ------------------------------------------------------------------ copies */

/* A client on n0 copies from n1 to n2, and inside n1, and within its reach nothing of the bytes. */
static void copies_between_others(void **state)
{
	static const uint64_t sizes[] = {1, 4096, 262144, 262145, (8 << 20) + 13};
	struct site site;
	uint64_t sum;
	site_open(&site, 3);
	fos_cap from = worker_find(site.ch, 1), to = worker_find(site.ch, 2);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		fos_cap src, dst, blank;
		assert_int_equal(worker_call(site.ch, from, WORKER_MEMORY, sizes[i], NULL, &src), FOS_OK);
		assert_int_equal(worker_call(site.ch, to, WORKER_BLANK, sizes[i], NULL, &dst), FOS_OK);
		assert_int_equal(worker_call(site.ch, to, WORKER_SUM, 0, &sum, NULL), FOS_OK);
		assert_int_equal(sum, 0);
		assert_int_equal(fos_memory_copy(site.ch, dst, src, NULL, NULL), FOS_OK);
		assert_int_equal(worker_call(site.ch, to, WORKER_SUM, 0, &sum, NULL), FOS_OK);
		assert_int_equal(sum, worker_pattern_sum(sizes[i]));
		/* The same inside one node. */
		assert_int_equal(worker_call(site.ch, from, WORKER_BLANK, sizes[i], NULL, &blank), FOS_OK);
		assert_int_equal(fos_memory_copy(site.ch, blank, src, NULL, NULL), FOS_OK);
		assert_int_equal(worker_call(site.ch, from, WORKER_SUM, 0, &sum, NULL), FOS_OK);
		assert_int_equal(sum, worker_pattern_sum(sizes[i]));
	}
	const fos_recorder *recorder = cluster_recorder(&site.cluster, 0);
	assert_int_equal(recorder->counters.copy_bytes, 0);
	assert_int_equal(recorder->counters.sent.data, 0);
	munmap((void *)(uintptr_t)recorder, sizeof *recorder);
	site_close(&site);
}

/* Copies until that fails: who strikes does so during the first one, or, where it does not get a
 * core, during a later one. */
static fos_status copy_until_struck(fos_channel *ch, fos_cap dst, fos_cap src)
{
	fos_status status = FOS_OK;
	for (uint64_t end = now_ns() + PATIENCE; status == FOS_OK && now_ns() < end;)
		status = fos_memory_copy(ch, dst, src, NULL, NULL);
	return status;
}

/* One side of a copy is killed under way: the asker is told, both daemons live. */
static void ends_copies_of_the_dead(void **state)
{
	for (int round = 0; round < 6; round++) {
		int victim = 1 + round % 2;
		enum { BYTES = 256 << 20 };
		struct site site;
		fos_cap src, dst;
		site_open(&site, 3);
		fos_cap from = worker_find(site.ch, 1), to = worker_find(site.ch, 2);
		assert_int_equal(worker_call(site.ch, from, WORKER_BLANK, BYTES, NULL, &src), FOS_OK);
		assert_int_equal(worker_call(site.ch, to, WORKER_BLANK, BYTES, NULL, &dst), FOS_OK);
		assert_int_equal(worker_call(site.ch, from, WORKER_FILL, 1, NULL, NULL), FOS_OK);
		worker_strike(site.ch, to, (uint64_t)round * (BYTES / 16), site.workers[victim], SIGKILL);
		fos_status status = copy_until_struck(site.ch, dst, src);
		assert_true(status == FOS_REVOKED || status == FOS_PEER_LOST ||
					status == FOS_OUTCOME_UNKNOWN);
		for (int node = 0; node < 3; node++) { /* a Process's death is no node's */
			const fos_recorder *recorder = cluster_recorder(&site.cluster, node);
			assert_int_equal(recorder->counters.sessions_ended, 0);
			munmap((void *)(uintptr_t)recorder, sizeof *recorder);
		}
		assert_int_equal(waitpid(site.workers[victim], NULL, 0), site.workers[victim]);
		site.workers[victim] =
			worker_start(cluster_socket(&site.cluster, victim), (unsigned)victim);
		site_close(&site);
	}
}

/* A clean stop is clean under load too: status 0, nothing left, and the asker is told. */
static void stops_in_the_middle_of_a_copy(void **state)
{
	enum { BYTES = 256 << 20 };
	struct site site;
	fos_cap src, dst;
	site_open(&site, 3);
	fos_cap from = worker_find(site.ch, 1), to = worker_find(site.ch, 2);
	assert_int_equal(worker_call(site.ch, from, WORKER_BLANK, BYTES, NULL, &src), FOS_OK);
	assert_int_equal(worker_call(site.ch, to, WORKER_BLANK, BYTES, NULL, &dst), FOS_OK);
	assert_int_equal(worker_call(site.ch, from, WORKER_FILL, 1, NULL, NULL), FOS_OK);
	worker_strike(site.ch, to, BYTES / 16, site.cluster.pids[1], SIGTERM);
	fos_status status = copy_until_struck(site.ch, dst, src);
	assert_true(status == FOS_PEER_LOST || status == FOS_OUTCOME_UNKNOWN);
	assert_int_equal(cluster_end(&site.cluster, 1, 0), 0); /* by the worker */
	assert_int_equal(waitpid(site.workers[1], NULL, 0), site.workers[1]);
	site.workers[1] = 0;
	site_close(&site);
}

/* ------------------------------------------------------------------ deaths */

static void hold(struct site *site, fos_cap worker, struct answer *answer)
{
	static const struct worker_args in = {.op = WORKER_HOLD};
	const fos_request_options once_options = {.once = true, .deadline = PATIENCE};
	fos_args args;
	fos_cap once;
	uint64_t held = 0;
	*answer = (struct answer){0};
	assert_int_equal(fos_request_create(site->ch, on_answer, answer, &once_options, &once), FOS_OK);
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &in, sizeof in);
	fos_args_cap(&args, FOS_CALL, FOS_NEXT, once);
	fos_args_on_error(&args, FOS_CALL, once);
	assert_int_equal(fos_request_invoke(site->ch, worker, &args, NULL), FOS_OK);
	while (held == 0)
		assert_int_equal(worker_call(site->ch, worker, WORKER_HELD, 0, &held, NULL), FOS_OK);
	assert_false(answer->there);
}

static void tells_who_waits_for_a_dead_process(void **state)
{
	for (int node = 0; node < 2; node++) { /* the client's own node, and another */
		struct site site;
		struct answer answer;
		site_open(&site, 2);
		fos_cap worker = worker_find(site.ch, (unsigned)node);
		hold(&site, worker, &answer);
		uint64_t killed = now_ns();
		child_kill(site.workers[node]);
		site.workers[node] = 0;
		await(site.ch, &answer);
		assert_int_equal(answer.status, FOS_PEER_LOST);
		assert_true(now_ns() - killed < harness_stretch(SECOND));
		assert_int_equal(worker_call(site.ch, worker, WORKER_ECHO, 1, NULL, NULL), FOS_REVOKED);
		site_close(&site);
	}
}

static void survives_the_death_of_a_daemon(void **state)
{
	struct site site;
	struct answer answer;
	uint64_t value;
	site_open(&site, 2);
	fos_cap worker = worker_find(site.ch, 1);
	hold(&site, worker, &answer);
	uint64_t killed = now_ns();
	assert_int_equal(WTERMSIG(cluster_end(&site.cluster, 1, SIGKILL)), SIGKILL);
	fos_status status = worker_call(site.ch, worker, WORKER_ECHO, 1, NULL, NULL);
	assert_true(status == FOS_PEER_LOST || status == FOS_OUTCOME_UNKNOWN);
	assert_true(now_ns() - killed < harness_stretch(2 * SECOND));
	assert_true(cluster_logged(&site.cluster, 0, "node \"n1\" lost"));
	/* Its Processes have lost their Controller and end. */
	assert_int_equal(waitpid(site.workers[1], NULL, 0), site.workers[1]);
	assert_true(cluster_start(&site.cluster, 1));
	cluster_connected(&site.cluster);
	assert_int_equal(worker_call(site.ch, worker, WORKER_ECHO, 1, NULL, NULL), FOS_STALE);
	site.workers[1] = worker_start(cluster_socket(&site.cluster, 1), 1);
	fos_cap again = worker_find(site.ch, 1);
	assert_int_equal(worker_call(site.ch, again, WORKER_ECHO, 1, &value, NULL), FOS_OK);
	/* The directory was there when the second daemon came: it is not its to remove. */
	client_end(site.ch);
	child_kill(site.workers[0]);
	child_kill(site.workers[1]);
	child_kill(site.hub);
	assert_int_equal(cluster_end(&site.cluster, 1, SIGTERM), 0);
	char path[CLUSTER_PATH_MAX];
	snprintf(path, sizeof path, "%s/n1", site.cluster.dir);
	assert_int_equal(rmdir(path), 0);
	cluster_free(&site.cluster);
}

static void refuses_a_wrong_key(void **state)
{
	struct cluster cluster;
	char key[CLUSTER_PATH_MAX];
	cluster_make(&cluster, 2, NULL);
	assert_true(cluster_start(&cluster, 0));
	snprintf(key, sizeof key, "%s/key", cluster.dir);
	file_write(key, "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", 0600);
	assert_true(cluster_start(&cluster, 1));
	assert_true(cluster_logged(&cluster, 0, "key"));
	const fos_recorder *recorder = cluster_recorder(&cluster, 0);
	assert_int_equal(recorder->links[0].up, 0);
	munmap((void *)(uintptr_t)recorder, sizeof *recorder);
	/* With the right key it is let in. */
	assert_int_equal(cluster_end(&cluster, 1, SIGTERM), 0);
	file_write(key, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", 0600);
	assert_true(cluster_start(&cluster, 1));
	cluster_connected(&cluster);
	cluster_free(&cluster);
}

/* ------------------------------------------------------------------ all at once */

enum { HAMMERS = 3, STORM_MS = 5000, ENOUGH = 100 };

/* What the hammers tell the test, in shared memory. */
struct storm {
	_Atomic uint64_t done, refused, slowest; /* slowest: ns of one call */
	_Atomic uint32_t wrong;                  /* answers that were not the right ones */
};

static void note(struct storm *storm, fos_status status, uint64_t begin)
{
	uint64_t took = now_ns() - begin;
	if (took > storm->slowest)
		storm->slowest = took;
	atomic_fetch_add(status == FOS_OK ? &storm->done : &storm->refused, 1);
	if (status == FOS_CONTROLLER_LOST)
		_exit(0);
}

/* One worker's echo, and a copy from it to another's Memory, until something is refused. */
static void hammer_on(fos_channel *ch, struct storm *storm, const fos_cap workers[2])
{
	fos_cap memories[2] = {0};
	for (int i = 0; i < 2; i++) {
		uint64_t begin = now_ns();
		fos_status status = worker_call(ch, workers[i], WORKER_BLANK, 300000, NULL, &memories[i]);
		note(storm, status, begin);
		if (status != FOS_OK)
			return;
	}
	for (uint64_t round = 0; round < 100; round++) {
		uint64_t value = 0, begin = now_ns();
		fos_status status = worker_call(ch, workers[round % 2], WORKER_ECHO, round, &value, NULL);
		note(storm, status, begin);
		if (status != FOS_OK)
			break;
		if (value != round + 1)
			atomic_fetch_add(&storm->wrong, 1);
		begin = now_ns();
		status = fos_memory_copy(ch, memories[round % 2], memories[(round + 1) % 2], NULL, NULL);
		note(storm, status, begin);
		if (status != FOS_OK)
			break;
	}
	for (int i = 0; i < 2; i++)
		(void)!fos_cap_close(ch, memories[i]);
}

static void hammer(const char *socket, struct storm *storm, unsigned seed)
{
	const fos_attach_options options = {.socket = socket, .label = "hammer"};
	struct base_random random = {.state = seed};
	fos_process *process;
	fos_channel *ch;
	if (fos_attach(&options, &process) != FOS_OK || fos_channel_open(process, &ch) != FOS_OK)
		_exit(1);
	for (;;) {
		fos_cap workers[2];
		bool found = true;
		for (int i = 0; i < 2; i++) {
			uint64_t begin = now_ns();
			fos_status status =
				worker_look(ch, (unsigned)base_random_below(&random, HAMMERS), &workers[i]);
			note(storm, status, begin);
			found = found && status == FOS_OK;
		}
		if (found)
			hammer_on(ch, storm, workers);
		for (int i = 0; found && i < 2; i++)
			(void)!fos_cap_close(ch, workers[i]);
	}
}

/* Whether no Process of the node has anything under way. */
static bool is_quiet(const struct cluster *cluster, int node)
{
	const fos_recorder *recorder = cluster_recorder(cluster, node);
	uint32_t busy = 0;
	for (int i = 0; i < FOS_RECORDER_PROCESSES && recorder->processes[i].serial != 0; i++) {
		const fos_recorder_process *p = &recorder->processes[i];
		busy += p->deliveries + p->parked + p->copies + p->once;
	}
	munmap((void *)(uintptr_t)recorder, sizeof *recorder);
	return busy == 0;
}

static pid_t hammer_start(const struct site *site, struct storm *storm, int node, unsigned seed)
{
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			hammer(cluster_socket(&site->cluster, node), storm, seed);
		_exit(1);
	}
	assert_true(pid > 0);
	return pid;
}

static void restart_daemon(struct site *site, int node)
{
	assert_int_equal(WTERMSIG(cluster_end(&site->cluster, node, SIGKILL)), SIGKILL);
	assert_true(cluster_start(&site->cluster, node));
	cluster_connected(&site->cluster);
}

/* On a slow machine longer, so that something is done in it. */
static bool goes_on(const struct storm *storm, uint64_t begin)
{
	uint64_t time = now_ns() - begin;
	return time < STORM_MS * (SECOND / 1000) || (storm->done <= ENOUGH && time < PATIENCE);
}

/* Nobody's death costs another more than its calls to the dead: no daemon falls, no call hangs, no
 * answer is another's. */
static void weathers_a_storm(void **state)
{
	struct base_random random = {.state = 2022};
	struct site site;
	pid_t hammers[HAMMERS];
	uint64_t value;
	struct storm *storm =
		mmap(NULL, sizeof *storm, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(storm, MAP_FAILED);
	site_open(&site, HAMMERS);
	for (int i = 0; i < HAMMERS; i++)
		hammers[i] = hammer_start(&site, storm, i, (unsigned)i);
	uint64_t begin = now_ns();
	bool restarted = false;
	for (unsigned seed = 100; goes_on(storm, begin); seed++) {
		int victim = (int)base_random_below(&random, HAMMERS);
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL); /* the storm's pace */
		if (!restarted && now_ns() - begin > STORM_MS / 2 * (SECOND / 1000)) {
			restarted = true;
			victim = 2;
			restart_daemon(&site, victim);
		}
		child_kill(site.workers[victim]);
		site.workers[victim] =
			worker_start(cluster_socket(&site.cluster, victim), (unsigned)victim);
		child_kill(hammers[victim]);
		hammers[victim] = hammer_start(&site, storm, victim, seed);
	}
	for (int i = 0; i < HAMMERS; i++)
		child_kill(hammers[i]);
	for (unsigned i = 0; i < HAMMERS; i++) {
		fos_cap worker = worker_find(site.ch, i);
		assert_int_equal(worker_call(site.ch, worker, WORKER_ECHO, i, &value, NULL), FOS_OK);
		assert_int_equal(value, i + 1);
		for (uint64_t end = now_ns() + PATIENCE; !is_quiet(&site.cluster, (int)i);)
			assert_true(now_ns() < end);
		const fos_recorder *recorder = cluster_recorder(&site.cluster, (int)i);
		assert_int_equal(recorder->counters.protocol_errors, 0);
		munmap((void *)(uintptr_t)recorder, sizeof *recorder);
	}
	print_message("%lu calls done, %lu refused, the slowest took %lu ms\n",
				  (unsigned long)storm->done, (unsigned long)storm->refused,
				  (unsigned long)(storm->slowest / 1000000));
	assert_true(storm->done > ENOUGH);
	assert_int_equal(storm->wrong, 0);
	assert_true(storm->slowest < harness_stretch(4 * SECOND));
	munmap(storm, sizeof *storm);
	char path[CLUSTER_PATH_MAX];
	client_end(site.ch);
	for (int i = 0; i < HAMMERS; i++)
		child_kill(site.workers[i]);
	child_kill(site.hub);
	assert_int_equal(cluster_end(&site.cluster, 2, SIGTERM), 0);
	snprintf(path, sizeof path, "%s/n2", site.cluster.dir);
	assert_int_equal(rmdir(path), 0); /* made by the daemon that was killed */
	cluster_free(&site.cluster);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_between_processes_of_one_node),
		cmocka_unit_test(what_was_finished_before_the_end_counts),
		cmocka_unit_test(chains_across_nodes),
		cmocka_unit_test(copies_between_others),
		cmocka_unit_test(ends_copies_of_the_dead),
		cmocka_unit_test(stops_in_the_middle_of_a_copy),
		cmocka_unit_test(tells_who_waits_for_a_dead_process),
		cmocka_unit_test(survives_the_death_of_a_daemon),
		cmocka_unit_test(refuses_a_wrong_key),
		cmocka_unit_test(weathers_a_storm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
