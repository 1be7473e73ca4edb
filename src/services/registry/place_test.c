/* The registry's place in real clusters: who else may take it, how it comes back, and that those
 * who have published follow it. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "controller/harness.h"
#include "fractos/registry.h"
#include "launch.h"

struct client { /* has a thread that serves its channel */
	fos_process *process;
	fos_channel *ch;
	fos_cap request;
	pthread_t server;
	atomic_uint refused; /* as a registry */
};

struct fixture {
	struct cluster cluster;
	pid_t registry;
	fos_process *asker;
	fos_channel *ch; /* of the asker */
	struct client publisher, guest;
};

/* A registry that denies everything. */
static fos_handled refuse(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct client *client = arg;
	if (delivery->exception.status != FOS_OK)
		return FOS_FINISH;
	assert_int_equal(fos_fail(ch, delivery->id, FOS_DENIED, "not here"), FOS_OK);
	client->refused++;
	return FOS_FINISH_LATER;
}

static fos_process *attach(const struct cluster *cluster, int node, fos_channel **ch)
{
	fos_process *process;
	const fos_attach_options options = {.socket = cluster_socket(cluster, node), .label = "test"};
	if (fos_attach(&options, &process) != FOS_OK)
		fail_msg("%s", fos_attach_error());
	assert_int_equal(fos_channel_open(process, ch), FOS_OK);
	return process;
}

static void client_open(struct client *client, const struct cluster *cluster, int node)
{
	client->process = attach(cluster, node, &client->ch);
	assert_int_equal(fos_request_create(client->ch, refuse, client, NULL, &client->request),
					 FOS_OK);
}

static void *serve(void *arg)
{
	const struct client *client = arg;
	return (void *)(uintptr_t)fos_serve(client->ch);
}

static void client_serve(struct client *client)
{
	assert_int_equal(pthread_create(&client->server, NULL, serve, client), 0);
}

static void client_end(struct client *client)
{
	void *result;
	if (client->process == NULL)
		return;
	fos_stop(client->ch);
	assert_int_equal(pthread_join(client->server, &result), 0);
	assert_int_equal((uintptr_t)result, FOS_OK);
	fos_detach(client->process);
	client->process = NULL;
}

static pid_t start_registry(const struct fixture *f)
{
	const char *const argv[] = {REGISTRY, NULL};
	return launch(cluster_socket(&f->cluster, 0), argv);
}

/* To the second node another one's Processes may be the registry: its own. */
static void say_otherwise(const struct cluster *cluster)
{
	char text[4096] = "";
	FILE *file = fopen(cluster->file, "re+");
	assert_non_null(file);
	assert_true(fread(text, 1, sizeof text - 1, file) > 0);
	char *name = strstr(text, "registry = n0");
	assert_non_null(name);
	name[strlen("registry = n")] = '1';
	rewind(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	*state = f;
	cluster_make(&f->cluster, 2, NULL);
	assert_true(cluster_start(&f->cluster, 0));
	say_otherwise(&f->cluster);
	assert_true(cluster_start(&f->cluster, 1));
	cluster_connected(&f->cluster);
	f->registry = start_registry(f);
	f->asker = attach(&f->cluster, 1, &f->ch);
	client_open(&f->publisher, &f->cluster, 1);
	assert_int_equal(fos_registry_publish(f->publisher.ch, "svc", f->publisher.request), FOS_OK);
	client_serve(&f->publisher);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	client_end(&f->publisher);
	client_end(&f->guest);
	fos_detach(f->asker);
	assert_int_equal(launch_end(f->registry, SIGTERM), 0);
	launch_free_cluster(&f->cluster);
	free(f);
	return 0;
}

/* What the publisher does by itself comes in its own time. */
static void wait_until_refused(struct client *guest)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	for (unsigned i = 0; guest->refused == 0 && i < PATIENCE / 1000000; i++)
		nanosleep(&moment, NULL);
	assert_true(guest->refused > 0);
}

static void expect_found(struct fixture *f)
{
	fos_cap cap = FOS_CAP_NONE;
	fos_status status = FOS_DENIED;
	struct timespec t, moment = {.tv_nsec = 10000000};
	clock_gettime(CLOCK_MONOTONIC, &t);
	for (time_t end = t.tv_sec + (time_t)(PATIENCE / SECOND); status != FOS_OK && t.tv_sec < end;) {
		status = fos_registry_lookup(f->ch, "svc", &cap);
		nanosleep(&moment, NULL);
		clock_gettime(CLOCK_MONOTONIC, &t);
	}
	assert_int_equal(status, FOS_OK);
	assert_int_equal(fos_cap_close(f->ch, cap), FOS_OK);
}

/* A guest gets the place only while nobody has it; what it refused is published to the next. */
static void test_taken_while_it_was_dead(void **state)
{
	struct fixture *f = *state;
	client_open(&f->guest, &f->cluster, 0);
	assert_int_equal(fos_registry_set(f->guest.ch, f->guest.request), FOS_DENIED);
	expect_found(f);
	launch_end(f->registry, SIGKILL);
	fos_status status = FOS_DENIED;
	for (unsigned i = 0; status == FOS_DENIED && i < 100000; i++)
		status = fos_registry_set(f->guest.ch, f->guest.request);
	assert_int_equal(status, FOS_OK);
	client_serve(&f->guest);
	wait_until_refused(&f->guest);
	client_end(&f->guest);
	f->registry = start_registry(f);
	expect_found(f);
}

/* A node whose file says otherwise takes it from one that lives, which comes back. */
static void test_displaced(void **state)
{
	struct fixture *f = *state;
	client_open(&f->guest, &f->cluster, 1);
	assert_int_equal(fos_registry_set(f->guest.ch, f->guest.request), FOS_OK);
	client_serve(&f->guest);
	wait_until_refused(&f->guest);
	expect_found(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_taken_while_it_was_dead),
		TEST(test_displaced),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
