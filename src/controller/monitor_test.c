/* Monitors on a real cluster: Processes that die, daemons that are killed and come back, and a
 * tracked child that nobody else holds any more. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "controller/harness.h"
#include "controller/worker.h"

#define SECOND UINT64_C(1000000000)

struct scene { /* a hub and a client on n0, worker i on node i */
	struct cluster cluster;
	pid_t hub, workers[2];
	fos_channel *ch;
};

static void scene_open(struct scene *scene)
{
	cluster_make(&scene->cluster, 2, NULL);
	cluster_start_all(&scene->cluster);
	scene->hub = hub_start(cluster_socket(&scene->cluster, 0));
	for (unsigned i = 0; i < 2; i++)
		scene->workers[i] = worker_start(cluster_socket(&scene->cluster, (int)i), i);
	scene->ch = client_start(cluster_socket(&scene->cluster, 0));
}

static void worker_end(struct scene *scene, unsigned number)
{
	child_kill(scene->workers[number]);
	scene->workers[number] = 0;
}

static void scene_close(struct scene *scene)
{
	client_end(scene->ch);
	for (unsigned i = 0; i < 2; i++) {
		if (scene->workers[i] != 0)
			worker_end(scene, i);
	}
	child_kill(scene->hub);
	cluster_free(&scene->cluster);
}

struct end { /* of a monitor */
	unsigned count;
	fos_result result;
};

static void on_end(fos_channel *ch, const fos_result *result, void *arg)
{
	struct end *end = arg;
	(void)ch;
	end->count++;
	end->result = *result;
}

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

/* Waits for the end, longer than any machine is busy. */
static void ends(struct scene *scene, const struct end *end, fos_status status, enum fos_gone gone)
{
	for (uint64_t late = now_ns() + 60 * SECOND; end->count == 0 && now_ns() < late;)
		fos_wait(scene->ch, SECOND);
	assert_int_equal(end->count, 1);
	assert_int_equal(end->result.status, status);
	assert_int_equal(end->result.gone, gone);
}

static fos_handled never(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	(void)ch, (void)delivery, (void)arg;
	fail();
	return FOS_FINISH;
}

/* Makers die, here and on another node. */
static void makers_die(void **state)
{
	(void)state;
	struct scene scene;
	struct end ended[2] = {0};
	scene_open(&scene);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(
			fos_monitor_receive_async(scene.ch, worker_find(scene.ch, i), on_end, &ended[i]),
			FOS_OK);
	assert_int_equal(fos_null(scene.ch), FOS_OK);
	assert_int_equal(fos_poll(scene.ch), 0);
	for (unsigned i = 0; i < 2; i++) {
		worker_end(&scene, i);
		ends(&scene, &ended[i], FOS_REVOKED, FOS_GONE_MAKER);
	}
	scene_close(&scene);
}

/* The owner's Controller is killed: it cannot be watched any more; when another has come in its
 * place it is known to be over. */
static void controllers_die(void **state)
{
	(void)state;
	struct scene scene;
	struct end end = {0};
	scene_open(&scene);
	fos_cap far = worker_find(scene.ch, 1);
	assert_int_equal(fos_monitor_receive_async(scene.ch, far, on_end, &end), FOS_OK);
	assert_int_equal(fos_null(scene.ch), FOS_OK);
	cluster_end(&scene.cluster, 1, SIGKILL);
	ends(&scene, &end, FOS_PEER_LOST, FOS_GONE_LINK);
	worker_end(&scene, 1);
	assert_true(cluster_start(&scene.cluster, 1));
	cluster_connected(&scene.cluster);
	enum fos_gone gone;
	assert_int_equal(fos_monitor_receive(scene.ch, far, &gone), FOS_STALE);
	assert_int_equal(gone, FOS_GONE_CONTROLLER);
	char path[CLUSTER_PATH_MAX];
	assert_int_equal(cluster_end(&scene.cluster, 1, SIGTERM), 0);
	snprintf(path, sizeof path, "%s/n1", scene.cluster.dir);
	assert_int_equal(rmdir(path), 0); /* made by the daemon that was killed */
	scene_close(&scene);
}

/* A child lent to a worker comes back when the worker is done, or dead. */
static void lent_and_let_go(void **state)
{
	(void)state;
	struct scene scene;
	scene_open(&scene);
	for (unsigned i = 0; i < 4; i++) {
		unsigned number = i % 2;
		bool dies = i >= 2;
		struct end end = {0};
		fos_cap request, child;
		fos_cap worker = worker_find(scene.ch, number);
		assert_int_equal(fos_request_create(scene.ch, never, NULL, NULL, &request), FOS_OK);
		assert_int_equal(fos_cap_create_revtree(scene.ch, request, FOS_TRACKED, &child), FOS_OK);
		assert_int_equal(fos_monitor_delegate_async(scene.ch, child, on_end, &end), FOS_OK);
		const struct worker_args in = {.op = dies ? WORKER_HOLD : WORKER_ECHO};
		fos_args args;
		fos_args_init(&args);
		fos_args_imm(&args, FOS_CALL, FOS_ARG, &in, sizeof in);
		fos_args_cap(&args, FOS_CALL, 5, child);
		if (dies) {
			assert_int_equal(fos_request_invoke(scene.ch, worker, &args, NULL), FOS_OK);
			uint64_t held = 0;
			while (held == 0)
				assert_int_equal(worker_call(scene.ch, worker, WORKER_HELD, 0, &held, NULL),
								 FOS_OK);
			assert_int_equal(end.count, 0);
			worker_end(&scene, number);
		} else {
			fos_reply reply;
			assert_int_equal(fos_call(scene.ch, worker, &args, 0, &reply), FOS_OK);
			fos_reply_release(scene.ch, &reply);
		}
		ends(&scene, &end, FOS_OK, FOS_GONE_UNHELD);
		assert_int_equal(fos_request_invoke(scene.ch, child, NULL, NULL), FOS_REVOKED);
		assert_int_equal(fos_cap_revoke(scene.ch, request), FOS_OK);
	}
	scene_close(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makers_die),
		cmocka_unit_test(controllers_die),
		cmocka_unit_test(lent_and_let_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
