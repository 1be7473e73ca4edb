/* The registry in a cluster of two real Controllers, asked through libfractos. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller/harness.h"
#include "fractos/registry.h"
#include "launch.h"

struct client {
	fos_process *process;
	fos_channel *ch;
	fos_cap request; /* something to publish */
	unsigned invoked;
};

struct fixture {
	struct cluster cluster;
	pid_t registry;
	struct client near, far; /* at n0, where the registry is, and at n1 */
};

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static fos_handled invoked(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	((struct client *)arg)->invoked++;
	return FOS_FINISH;
}

static void client_open(struct client *client, const char *socket)
{
	const fos_attach_options options = {.socket = socket, .label = "test"};
	*client = (struct client){0};
	if (fos_attach(&options, &client->process) != FOS_OK)
		fail_msg("%s", fos_attach_error());
	assert_int_equal(fos_channel_open(client->process, &client->ch), FOS_OK);
	assert_int_equal(fos_request_create(client->ch, invoked, client, NULL, &client->request),
					 FOS_OK);
}

static pid_t start_registry(struct fixture *f)
{
	const char *const argv[] = {REGISTRY, NULL};
	return launch(cluster_socket(&f->cluster, 0), argv);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	cluster_make(&f->cluster, 2, NULL);
	cluster_start_all(&f->cluster);
	f->registry = start_registry(f);
	client_open(&f->near, cluster_socket(&f->cluster, 0));
	client_open(&f->far, cluster_socket(&f->cluster, 1));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	fos_detach(f->near.process);
	fos_detach(f->far.process);
	f->far.process = NULL;
	if (f->registry) {
		int status = launch_end(f->registry, SIGTERM);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	launch_free_cluster(&f->cluster);
	free(f);
	return 0;
}

/* Looks the name up until it is there, or is not there any more. */
static fos_status lookup_until(struct client *client, const char *name, fos_status wanted)
{
	uint64_t end = now() + PATIENCE;
	fos_status status;
	do {
		fos_cap cap = FOS_CAP_NONE;
		status = fos_registry_lookup(client->ch, name, &cap);
		if (cap != FOS_CAP_NONE)
			assert_int_equal(fos_cap_close(client->ch, cap), FOS_OK);
	} while (status != wanted && now() < end);
	return status;
}

/* What a client publishes again by itself it does while it waits. */
static void wait_until_published(struct client *client, struct client *asker, const char *name)
{
	fos_cap cap;
	fos_status status;
	uint64_t end = now() + PATIENCE;
	while ((status = fos_registry_lookup(asker->ch, name, &cap)) != FOS_OK && now() < end)
		fos_wait(client->ch, SECOND / 100);
	assert_int_equal(status, FOS_OK);
	assert_int_equal(fos_cap_close(asker->ch, cap), FOS_OK);
}

static void expect_lookup(struct client *client, const char *name, fos_status expected)
{
	fos_cap cap;
	assert_int_equal(fos_registry_lookup(client->ch, name, &cap), expected);
}

struct names {
	unsigned count;
	char all[200][FOS_NAME_MAX];
};

static void take_name(const char *name, void *arg)
{
	struct names *names = arg;
	assert_true(names->count < 200);
	snprintf(names->all[names->count++], FOS_NAME_MAX, "%s", name);
}

static void test_publish_and_look_up(void **state)
{
	struct fixture *f = *state;
	fos_cap cap;
	expect_lookup(&f->near, "svc", FOS_NOT_FOUND);
	assert_int_equal(fos_registry_publish(f->far.ch, "svc", f->far.request), FOS_OK);
	/* From the other node, and it is what was published. */
	assert_int_equal(fos_registry_lookup(f->near.ch, "svc", &cap), FOS_OK);
	assert_int_equal(fos_request_invoke(f->near.ch, cap, NULL, NULL), FOS_OK);
	for (uint64_t end = now() + PATIENCE; f->far.invoked == 0 && now() < end;)
		fos_wait(f->far.ch, SECOND / 10);
	assert_int_equal(f->far.invoked, 1);
	assert_int_equal(fos_registry_unpublish(f->near.ch, "svc"), FOS_OK); /* the same user */
	expect_lookup(&f->near, "svc", FOS_NOT_FOUND);
	assert_int_equal(fos_registry_unpublish(f->far.ch, "svc"), FOS_NOT_FOUND);
	/* The lease is over, with its delivery and its Request. */
	fos_cap_information info = {.open_deliveries = 1};
	for (uint64_t end = now() + PATIENCE; info.open_deliveries > 0 && now() < end;) {
		fos_wait(f->far.ch, SECOND / 100);
		assert_int_equal(fos_cap_info(f->far.ch, f->far.request, &info), FOS_OK);
	}
	assert_int_equal(info.open_deliveries, 0);
}

static void test_names_and_refusals(void **state)
{
	struct fixture *f = *state;
	char longest[FOS_NAME_MAX + 1];
	memset(longest, 'x', sizeof longest);
	longest[FOS_NAME_MAX] = 0;
	static const char *const wrong[] = {"", "UPPER", "a b", "a*", "\xc3\xa4"};
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		assert_int_equal(fos_registry_publish(f->near.ch, wrong[i], f->near.request), FOS_INVALID);
		expect_lookup(&f->near, wrong[i], FOS_INVALID);
	}
	assert_int_equal(fos_registry_publish(f->near.ch, longest, f->near.request), FOS_INVALID);
	assert_int_equal(fos_registry_publish(f->near.ch, NULL, f->near.request), FOS_INVALID);
	longest[FOS_NAME_MAX - 1] = 0;
	assert_int_equal(fos_registry_publish(f->near.ch, longest, f->near.request), FOS_OK);
	expect_lookup(&f->far, longest, FOS_OK);
	/* Not even the operation is one; and no lease. */
	fos_cap registry;
	assert_int_equal(fos_registry_get(f->near.ch, PATIENCE, &registry), FOS_OK);
	static const uint32_t ops[] = {0, FOS_REGISTRY_PUBLISH, 99};
	for (unsigned i = 0; i < sizeof ops / sizeof ops[0]; i++) {
		uint32_t op = ops[i];
		const fos_registry_args request = {.op = op, .name = "x"};
		fos_args args;
		fos_reply reply;
		fos_args_init(&args);
		fos_args_imm(&args, FOS_CALL, FOS_ARG, &request, sizeof request);
		fos_status status = fos_call(f->near.ch, registry, &args, PATIENCE, &reply);
		assert_int_equal(status, op == FOS_REGISTRY_PUBLISH ? FOS_INVALID : FOS_UNSUPPORTED);
		assert_non_null(strstr(reply.delivery.exception.detail, "registry: "));
		assert_string_equal(reply.delivery.exception.where, "n0/registry");
		fos_reply_release(f->near.ch, &reply);
	}
}

static void test_list(void **state)
{
	struct fixture *f = *state;
	static struct names names;
	char name[FOS_NAME_MAX];
	names.count = 0;
	assert_int_equal(fos_registry_list(f->far.ch, "", take_name, &names), FOS_OK);
	assert_int_equal(names.count, 0);
	/* Names so long that they need several pages. */
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "svc/%055u", 99 - i);
		struct client *client = i % 2 ? &f->near : &f->far;
		assert_int_equal(fos_registry_publish(client->ch, name, client->request), FOS_OK);
	}
	assert_int_equal(fos_registry_publish(f->near.ch, "svc", f->near.request), FOS_OK);
	assert_int_equal(fos_registry_publish(f->near.ch, "other", f->near.request), FOS_OK);
	assert_int_equal(fos_registry_list(f->far.ch, "svc", take_name, &names), FOS_OK);
	assert_int_equal(names.count, 101);
	assert_string_equal(names.all[0], "svc");
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "svc/%055u", i);
		assert_string_equal(names.all[i + 1], name);
	}
}

static void test_publisher_dies(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(fos_registry_publish(f->far.ch, "far", f->far.request), FOS_OK);
	assert_int_equal(fos_registry_publish(f->near.ch, "near", f->near.request), FOS_OK);
	fos_detach(f->far.process);
	f->far.process = NULL;
	assert_int_equal(lookup_until(&f->near, "far", FOS_NOT_FOUND), FOS_NOT_FOUND);
	expect_lookup(&f->near, "near", FOS_OK);
	client_open(&f->far, cluster_socket(&f->cluster, 1));
	assert_int_equal(fos_registry_publish(f->far.ch, "far", f->far.request), FOS_OK);
	expect_lookup(&f->near, "far", FOS_OK);
}

static void test_replaced(void **state)
{
	struct fixture *f = *state;
	fos_cap cap;
	bool same;
	assert_int_equal(fos_registry_publish(f->far.ch, "svc", f->far.request), FOS_OK);
	assert_int_equal(fos_registry_publish(f->near.ch, "svc", f->near.request), FOS_OK);
	assert_int_equal(fos_registry_lookup(f->near.ch, "svc", &cap), FOS_OK);
	assert_int_equal(fos_cap_is_same(f->near.ch, cap, f->near.request, &same), FOS_OK);
	assert_true(same);
	/* The end of the one that was replaced does not take the new one away. */
	fos_detach(f->far.process);
	f->far.process = NULL;
	client_open(&f->far, cluster_socket(&f->cluster, 1));
	assert_int_equal(fos_registry_publish(f->far.ch, "marker", f->far.request), FOS_OK);
	expect_lookup(&f->near, "svc", FOS_OK);
}

struct patient { /* waits for a name in a thread of its own */
	struct client *client;
	const char *name;
	fos_status status;
};

static void *wait_for_name(void *arg)
{
	struct patient *patient = arg;
	fos_cap cap;
	patient->status = fos_registry_wait(patient->client->ch, patient->name, PATIENCE, &cap);
	return NULL;
}

/* Until so many calls wait at the registry: it keeps their deliveries open. */
static void expect_waiting(struct fixture *f, uint32_t count)
{
	uint32_t waiting = UINT32_MAX;
	for (uint64_t end = now() + PATIENCE; waiting != count && now() < end;) {
		const fos_recorder *recorder = cluster_recorder_now(&f->cluster, 0);
		for (int i = 0; i < FOS_RECORDER_PROCESSES && recorder->processes[i].serial != 0; i++)
			if (strcmp(recorder->processes[i].label, "registry") == 0)
				waiting = recorder->processes[i].deliveries;
		munmap((void *)(uintptr_t)recorder, sizeof *recorder);
	}
	assert_int_equal(waiting, count);
}

static void test_wait(void **state)
{
	struct fixture *f = *state;
	struct patient patient = {.client = &f->near, .name = "late"};
	pthread_t thread;
	fos_cap cap;
	uint64_t start = now();
	assert_int_equal(fos_registry_wait(f->near.ch, "late", SECOND / 4, &cap), FOS_TIMED_OUT);
	assert_in_range(now() - start, SECOND / 4, harness_stretch(2 * SECOND));
	expect_waiting(f, 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_name, &patient), 0);
	expect_waiting(f, 1);
	start = now();
	assert_int_equal(fos_registry_publish(f->far.ch, "late", f->far.request), FOS_OK);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(patient.status, FOS_OK);
	assert_true(now() - start < harness_stretch(2 * SECOND));
	/* What is there is not waited for. */
	assert_int_equal(fos_registry_wait(f->near.ch, "late", 1, &cap), FOS_TIMED_OUT);
	assert_int_equal(fos_registry_wait(f->near.ch, "late", PATIENCE, &cap), FOS_OK);
}

static void waited(fos_channel *ch, const fos_result *result, void *arg)
{
	assert_int_equal(result->status, FOS_OK);
}

struct answers {
	unsigned good, quota, other;
};

static fos_handled answered(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct answers *answers = arg;
	if (delivery->exception.status == FOS_OK)
		answers->good++;
	else if (delivery->exception.status == FOS_QUOTA)
		answers->quota++;
	else
		answers->other++;
	return FOS_FINISH;
}

static void test_waiting_is_bounded(void **state)
{
	struct fixture *f = *state;
	enum { COUNT = 40, ALLOWED = 16 };
	struct answers answers = {0};
	fos_cap registry, answer;
	assert_int_equal(fos_registry_get(f->far.ch, PATIENCE, &registry), FOS_OK);
	assert_int_equal(fos_request_create(f->far.ch, answered, &answers, NULL, &answer), FOS_OK);
	const fos_registry_args request = {.op = FOS_REGISTRY_WAIT, .name = "svc"};
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &request, sizeof request);
	fos_args_cap(&args, FOS_CALL, FOS_NEXT, answer);
	fos_args_on_error(&args, FOS_CALL, answer);
	const fos_invoke_options options = {.time = PATIENCE};
	for (unsigned i = 0; i < COUNT; i++)
		assert_int_equal(
			fos_request_invoke_async(f->far.ch, registry, &args, &options, waited, NULL), FOS_OK);
	for (uint64_t end = now() + PATIENCE; answers.quota < COUNT - ALLOWED && now() < end;)
		fos_wait(f->far.ch, SECOND / 10);
	assert_int_equal(answers.quota, COUNT - ALLOWED);
	/* The others are served meanwhile, and those who wait get it. */
	assert_int_equal(fos_registry_publish(f->near.ch, "svc", f->near.request), FOS_OK);
	for (uint64_t end = now() + PATIENCE; answers.good < ALLOWED && now() < end;)
		fos_wait(f->far.ch, SECOND / 10);
	assert_int_equal(answers.good, ALLOWED);
	assert_int_equal(answers.other, 0);
}

static void test_node_lost(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(fos_registry_publish(f->far.ch, "far", f->far.request), FOS_OK);
	cluster_end(&f->cluster, 1, SIGKILL);
	assert_int_equal(lookup_until(&f->near, "far", FOS_NOT_FOUND), FOS_NOT_FOUND);
	fos_detach(f->far.process);
	f->far.process = NULL;
	/* It comes back as another: what was published there before stays gone. */
	assert_true(cluster_start(&f->cluster, 1));
	cluster_connected(&f->cluster);
	expect_lookup(&f->near, "far", FOS_NOT_FOUND);
	client_open(&f->far, cluster_socket(&f->cluster, 1));
	assert_int_equal(fos_registry_publish(f->far.ch, "far", f->far.request), FOS_OK);
	expect_lookup(&f->near, "far", FOS_OK);
}

/* Serves a client's channel until it is stopped: what a service does all its life. */
static void *serve(void *arg)
{
	const struct client *client = arg;
	return (void *)(uintptr_t)fos_serve(client->ch);
}

static void serve_end(const struct client *client, pthread_t thread)
{
	void *result;
	fos_stop(client->ch);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_int_equal((uintptr_t)result, FOS_OK);
}

static void restart_registry(struct fixture *f)
{
	launch_end(f->registry, SIGKILL);
	f->registry = start_registry(f);
}

/* The name is there, and is this client's. */
static void expect_owner(struct client *asker, const char *name, const struct client *owner)
{
	fos_cap cap;
	fos_cap_information info;
	assert_int_equal(fos_registry_wait(asker->ch, name, PATIENCE, &cap), FOS_OK);
	assert_int_equal(fos_cap_info(asker->ch, cap, &info), FOS_OK);
	assert_int_equal(info.node, fos_node_id(owner->process));
	assert_int_equal(fos_cap_close(asker->ch, cap), FOS_OK);
}

static void test_registry_restarts(void **state)
{
	struct fixture *f = *state;
	enum { NAMES = 20, ROUNDS = 3 };
	char name[FOS_NAME_MAX];
	pthread_t server;
	for (unsigned i = 0; i < NAMES; i++) {
		snprintf(name, sizeof name, "svc/%u", i);
		assert_int_equal(fos_registry_publish(f->far.ch, name, f->far.request), FOS_OK);
	}
	assert_int_equal(fos_registry_publish(f->far.ch, "taken", f->far.request), FOS_OK);
	assert_int_equal(fos_registry_publish(f->near.ch, "taken", f->near.request), FOS_OK);
	assert_int_equal(fos_registry_publish(f->far.ch, "over", f->far.request), FOS_OK);
	assert_int_equal(fos_registry_unpublish(f->far.ch, "over"), FOS_OK);
	assert_int_equal(pthread_create(&server, NULL, serve, &f->far), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		restart_registry(f);
		for (unsigned i = 0; i < NAMES; i++) {
			snprintf(name, sizeof name, "svc/%u", i);
			expect_owner(&f->near, name, &f->far);
		}
		/* What was given up is not published again, nor what another has taken over. */
		expect_lookup(&f->near, "over", FOS_NOT_FOUND);
		wait_until_published(&f->near, &f->near, "taken");
		expect_owner(&f->near, "taken", &f->near);
	}
	serve_end(&f->far, server);
	/* The new leases hold: with the publisher its names end. */
	fos_detach(f->far.process);
	f->far.process = NULL;
	assert_int_equal(lookup_until(&f->near, "svc/0", FOS_NOT_FOUND), FOS_NOT_FOUND);
}

static void test_registry_node_restarts(void **state)
{
	struct fixture *f = *state;
	pthread_t server;
	assert_int_equal(fos_registry_publish(f->far.ch, "svc", f->far.request), FOS_OK);
	assert_int_equal(pthread_create(&server, NULL, serve, &f->far), 0);
	cluster_end(&f->cluster, 0, SIGKILL);
	launch_end(f->registry, 0);
	fos_detach(f->near.process);
	assert_true(cluster_start(&f->cluster, 0));
	cluster_connected(&f->cluster);
	f->registry = start_registry(f);
	client_open(&f->near, cluster_socket(&f->cluster, 0));
	expect_owner(&f->near, "svc", &f->far);
	serve_end(&f->far, server);
}

static void test_waiting_outlives_the_registry(void **state)
{
	struct fixture *f = *state;
	struct client other;
	struct patient patient = {.client = &other, .name = "svc"};
	pthread_t thread;
	fos_cap cap;
	client_open(&other, cluster_socket(&f->cluster, 1));
	assert_int_equal(pthread_create(&thread, NULL, wait_for_name, &patient), 0);
	expect_waiting(f, 1);
	launch_end(f->registry, SIGKILL);
	/* While there is none, waiting ends with its time. */
	uint64_t start = now();
	assert_int_equal(fos_registry_wait(f->near.ch, "svc", SECOND / 4, &cap), FOS_TIMED_OUT);
	assert_in_range(now() - start, SECOND / 4, harness_stretch(2 * SECOND));
	f->registry = start_registry(f);
	assert_int_equal(fos_registry_publish(f->near.ch, "svc", f->near.request), FOS_OK);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(patient.status, FOS_OK);
	fos_detach(other.process);
}

/* A publisher whose channel is closed leaves its Process and the others alone. */
static void test_channel_closed(void **state)
{
	struct fixture *f = *state;
	fos_channel *second;
	assert_int_equal(fos_channel_open(f->near.process, &second), FOS_OK);
	assert_int_equal(fos_registry_publish(second, "second", f->near.request), FOS_OK);
	assert_int_equal(fos_registry_publish(f->near.ch, "first", f->near.request), FOS_OK);
	fos_channel_close(second);
	assert_int_equal(lookup_until(&f->near, "second", FOS_NOT_FOUND), FOS_NOT_FOUND);
	restart_registry(f);
	assert_int_equal(lookup_until(&f->near, "first", FOS_NOT_FOUND), FOS_NOT_FOUND);
	wait_until_published(&f->near, &f->far, "first");
	expect_owner(&f->far, "first", &f->near);
	expect_lookup(&f->far, "second", FOS_NOT_FOUND);
}

/* The example of docs/write-a-service.md, its service on one node and its client on the other. */
static void test_example(void **state)
{
	struct fixture *f = *state;
	char command[512], answer[32] = "";
	const char *const argv[] = {COUNT_SERVICE, NULL};
	pid_t service = launch(cluster_socket(&f->cluster, 1), argv);
	snprintf(command, sizeof command, "FRACTOS_SOCKET=%s %s ' one two  three'",
			 cluster_socket(&f->cluster, 0), COUNT_CLIENT);
	FILE *out = popen(command, "re");
	assert_non_null(out);
	assert_non_null(fgets(answer, sizeof answer, out));
	assert_int_equal(pclose(out), 0);
	assert_string_equal(answer, "3\n");
	int status = launch_end(service, SIGTERM);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_controller_lost(void **state)
{
	struct fixture *f = *state;
	cluster_end(&f->cluster, 0, SIGKILL);
	int status = launch_end(f->registry, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 3);
	f->registry = 0;
	assert_true(cluster_start(&f->cluster, 0)); /* it removes what the killed one left */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_publish_and_look_up),
		TEST(test_names_and_refusals),
		TEST(test_list),
		TEST(test_publisher_dies),
		TEST(test_replaced),
		TEST(test_wait),
		TEST(test_waiting_is_bounded),
		TEST(test_node_lost),
		TEST(test_registry_restarts),
		TEST(test_registry_node_restarts),
		TEST(test_waiting_outlives_the_registry),
		TEST(test_channel_closed),
		TEST(test_controller_lost),
		TEST(test_example),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
