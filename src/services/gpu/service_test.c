/* The GPU service in a cluster of two real Controllers: the client at n0, the device at n1. */
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller/harness.h"
#include "fractos/gpu.h"
#include "fractos/registry.h"
#include "fractos/stats.h"
#include "services/registry/launch.h"

static const char source[] =
	"__kernel void empty(void) {}\n"
	"__kernel void scale(__global const int *in, __global int *out, int factor)\n"
	"{ size_t i = get_global_id(0); out[i] = in[i] * factor; }\n"
	"__kernel void spin(__global uint *out, ulong rounds)\n"
	"{ uint x = 1; for (ulong i = 0; i < rounds; i++) x = x * 1664525u + 1013904223u + (uint)i;\n"
	"  out[0] = x; }\n";
enum { WORDS = 1024, BYTES = WORDS * sizeof(int32_t), MEMORY_MIB = 16 };
static const uint64_t SPIN_A_SECOND = 700000000; /* rounds: about a second */
static const uint64_t SPIN_FOR_EVER = UINT64_C(1) << 50;

struct client {
	fos_process *process;
	fos_channel *ch;
	fos_cap gpu, context, module;
	int32_t *in, *out; /* in the own arena */
	fos_cap in_memory, out_memory;
};

struct fixture {
	struct cluster cluster;
	pid_t registry, gpu;
	struct client client;
	char cache[CLUSTER_PATH_MAX];
};

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
	return remove(path);
}

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void own_memory(struct client *c, int32_t **bytes, fos_cap *memory)
{
	void *at;
	assert_int_equal(fos_alloc(c->process, BYTES, 64, &at), FOS_OK);
	*bytes = at;
	assert_int_equal(fos_memory_create(c->ch, at, BYTES, FOS_READ | FOS_WRITE, memory), FOS_OK);
}

static void client_open(struct client *c, const char *socket)
{
	const fos_attach_options options = {.socket = socket, .label = "test"};
	*c = (struct client){0};
	if (fos_attach(&options, &c->process) != FOS_OK)
		fail_msg("%s", fos_attach_error());
	assert_int_equal(fos_channel_open(c->process, &c->ch), FOS_OK);
	assert_int_equal(fos_registry_wait(c->ch, "gpu", PATIENCE, &c->gpu), FOS_OK);
	assert_int_equal(fos_gpu_context(c->ch, c->gpu, &c->context), FOS_OK);
	own_memory(c, &c->in, &c->in_memory);
	own_memory(c, &c->out, &c->out_memory);
}

static fos_status build(struct client *c, const char *text, const char *options, char *log,
						size_t log_size, fos_cap *module)
{
	void *bytes;
	fos_cap memory;
	assert_int_equal(fos_alloc(c->process, strlen(text), 64, &bytes), FOS_OK);
	memcpy(bytes, text, strlen(text));
	assert_int_equal(fos_memory_create(c->ch, bytes, strlen(text), FOS_READ, &memory), FOS_OK);
	fos_status status = fos_gpu_module(c->ch, c->context, memory, options, log, log_size, module);
	assert_int_equal(fos_cap_revoke(c->ch, memory), FOS_OK);
	fos_free(c->process, bytes);
	return status;
}

static fos_cap kernel_of(struct client *c, const char *name)
{
	char log[FOS_DETAIL_MAX] = "";
	fos_cap launch;
	if (c->module == FOS_CAP_NONE && build(c, source, NULL, log, sizeof log, &c->module) != FOS_OK)
		fail_msg("%s", log);
	assert_int_equal(fos_gpu_kernel(c->ch, c->module, name, &launch), FOS_OK);
	return launch;
}

static uint64_t memory_free(struct client *c)
{
	fos_gpu_info info;
	assert_int_equal(fos_gpu_info_get(c->ch, c->gpu, &info), FOS_OK);
	return info.memory;
}

static pid_t start_gpu(struct fixture *f)
{
	const char *const argv[] = {GPU, "--memory", "16", "--cache", f->cache, NULL};
	return launch(cluster_socket(&f->cluster, 1), argv);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	const char *const registry[] = {REGISTRY, NULL};
	cluster_make(&f->cluster, 2, NULL);
	snprintf(f->cache, sizeof f->cache, "%s/cache", f->cluster.dir);
	cluster_start_all(&f->cluster);
	f->registry = launch(cluster_socket(&f->cluster, 0), registry);
	f->gpu = start_gpu(f);
	client_open(&f->client, cluster_socket(&f->cluster, 0));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	fos_detach(f->client.process);
	if (f->gpu) {
		int status = launch_end(f->gpu, SIGTERM);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	launch_end(f->registry, SIGTERM);
	nftw(f->cache, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	launch_free_cluster(&f->cluster);
	free(f);
	return 0;
}

/* Runs `scale` on device memory and has the result copied to c->out. */
static fos_status scale(struct client *c, fos_cap launch, fos_cap in, fos_cap out, int32_t factor,
						fos_reply *reply)
{
	fos_args args;
	fos_gpu_launch work;
	fos_args_init(&args);
	fos_gpu_launch_init(&work, WORDS, 0);
	fos_gpu_launch_memory(&work, &args, FOS_CALL, 0, in);
	fos_gpu_launch_memory(&work, &args, FOS_CALL, 1, out);
	fos_gpu_launch_value(&work, 2, &factor, sizeof factor);
	fos_gpu_launch_bind(&work, &args, FOS_CALL);
	fos_args_cap(&args, FOS_CALL, FOS_GPU_COPY_TO, c->out_memory);
	fos_args_cap(&args, FOS_CALL, FOS_GPU_COPY_FROM, out);
	return fos_call(c->ch, launch, &args, 0, reply);
}

static void launches_and_copies_out(void **state)
{
	struct client *c = &((struct fixture *)*state)->client;
	fos_cap in, in_free, out, out_free;
	fos_reply reply;
	assert_int_equal(memory_free(c), MEMORY_MIB << 20);
	assert_int_equal(fos_gpu_alloc(c->ch, c->context, BYTES, &in, &in_free), FOS_OK);
	assert_int_equal(fos_gpu_alloc(c->ch, c->context, BYTES, &out, &out_free), FOS_OK);
	assert_int_equal(memory_free(c), (MEMORY_MIB << 20) - 2 * BYTES);
	for (int i = 0; i < WORDS; i++)
		c->in[i] = i;
	assert_int_equal(fos_memory_copy(c->ch, in, c->in_memory, NULL, NULL), FOS_OK);
	fos_cap launch = kernel_of(c, "scale");
	for (int32_t factor = 1; factor < 50; factor++) {
		assert_int_equal(scale(c, launch, in, out, factor, &reply), FOS_OK);
		fos_reply_release(c->ch, &reply);
		for (int i = 0; i < WORDS; i++)
			assert_int_equal(c->out[i], i * factor);
	}
	/* Handed out anew it is zero. */
	assert_int_equal(fos_gpu_free(c->ch, in_free), FOS_OK);
	assert_int_equal(fos_gpu_free(c->ch, in_free), FOS_REVOKED);
	assert_int_equal(fos_memory_copy(c->ch, c->out_memory, in, NULL, NULL), FOS_REVOKED);
	assert_int_equal(fos_gpu_alloc(c->ch, c->context, BYTES, &in, &in_free), FOS_OK);
	assert_int_equal(fos_memory_copy(c->ch, c->out_memory, in, NULL, NULL), FOS_OK);
	for (int i = 0; i < WORDS; i++)
		assert_int_equal(c->out[i], 0);
	assert_int_equal(fos_gpu_close(c->ch, c->context), FOS_OK);
	assert_int_equal(memory_free(c), MEMORY_MIB << 20);
	assert_int_equal(scale(c, launch, in, out, 1, &reply), FOS_REVOKED);
	fos_reply_release(c->ch, &reply);
}

static fos_handled ended(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	*(fos_exception *)arg = delivery->exception;
	return FOS_FINISH;
}

/* Eight launches, each the `next` of the one before, and the last copies out: one record. */
static void launches_chain(void **state)
{
	struct client *c = &((struct fixture *)*state)->client;
	enum { STEPS = 8 };
	fos_cap memory[2], unused, launch = kernel_of(c, "scale"), next;
	fos_gpu_launch work[STEPS];
	fos_exception exception = {.status = FOS_STATUS_COUNT};
	const fos_request_options once = {.once = true, .deadline = PATIENCE};
	const int32_t factor = 3;
	int32_t expected = 1;
	fos_args args;
	assert_int_equal(fos_request_create(c->ch, ended, &exception, &once, &next), FOS_OK);
	for (int i = 0; i < 2; i++)
		assert_int_equal(fos_gpu_alloc(c->ch, c->context, BYTES, &memory[i], &unused), FOS_OK);
	for (int i = 0; i < WORDS; i++)
		c->in[i] = i;
	assert_int_equal(fos_memory_copy(c->ch, memory[0], c->in_memory, NULL, NULL), FOS_OK);
	fos_args_init(&args);
	fos_args_on_error(&args, FOS_CALL, next);
	for (int step = STEPS - 1; step >= 0; step--) {
		fos_cap of = step ? fos_args_refine(&args, launch) : FOS_CALL;
		fos_gpu_launch_init(&work[step], WORDS, 64);
		fos_gpu_launch_memory(&work[step], &args, of, 0, memory[step % 2]);
		fos_gpu_launch_memory(&work[step], &args, of, 1, memory[(step + 1) % 2]);
		fos_gpu_launch_value(&work[step], 2, &factor, sizeof factor);
		fos_gpu_launch_bind(&work[step], &args, of);
		fos_args_cap(&args, of, FOS_NEXT, next);
		if (step == STEPS - 1) {
			fos_args_cap(&args, of, FOS_GPU_COPY_TO, c->out_memory);
			fos_args_cap(&args, of, FOS_GPU_COPY_FROM, memory[STEPS % 2]);
		}
		next = of;
		expected *= factor;
	}
	assert_int_equal(fos_request_invoke(c->ch, launch, &args, NULL), FOS_OK);
	while (exception.status == FOS_STATUS_COUNT)
		fos_wait(c->ch, SECOND);
	assert_int_equal(exception.status, FOS_OK);
	for (int i = 0; i < WORDS; i++)
		assert_int_equal(c->out[i], i * expected);
}

static void expect_refusal(struct client *c, fos_status status, fos_status expected,
						   fos_reply *reply, const char *says)
{
	assert_int_equal(status, expected);
	if (!strstr(reply->delivery.exception.detail, says))
		fail_msg("\"%s\" does not say \"%s\"", reply->delivery.exception.detail, says);
	assert_string_equal(reply->delivery.exception.where, "n1/gpu");
	fos_reply_release(c->ch, reply);
}

static void mistakes_are_named(void **state)
{
	struct client *c = &((struct fixture *)*state)->client;
	fos_cap memory, small, odd, read_only, unused, launch = kernel_of(c, "scale"), kernel, other;
	fos_reply reply;
	char log[FOS_DETAIL_MAX];
	assert_int_equal(fos_gpu_alloc(c->ch, c->context, 2 * BYTES, &memory, &unused), FOS_OK);
	assert_int_equal(fos_memory_diminish(c->ch, memory, 128, BYTES, 0, &small), FOS_OK);
	assert_int_equal(fos_memory_diminish(c->ch, memory, 64, BYTES, 0, &odd), FOS_OK);
	assert_int_equal(fos_memory_diminish(c->ch, memory, 0, BYTES, FOS_WRITE, &read_only), FOS_OK);
	expect_refusal(c, scale(c, launch, odd, small, 1, &reply), FOS_INVALID, &reply, "multiple of");
	expect_refusal(c, scale(c, launch, small, read_only, 1, &reply), FOS_DENIED, &reply,
				   "argument 1");
	expect_refusal(c, scale(c, launch, c->in_memory, small, 1, &reply), FOS_INVALID, &reply,
				   "argument 0 of the kernel is not memory of this context");
	expect_refusal(c, scale(c, launch, small, memory, 1, &reply), FOS_RANGE, &reply, "copied");
	assert_int_equal(scale(c, launch, read_only, small, 1, &reply), FOS_OK);
	fos_reply_release(c->ch, &reply);
	/* Memory of another context of the same client. */
	assert_int_equal(fos_gpu_context(c->ch, c->gpu, &other), FOS_OK);
	fos_cap foreign;
	assert_int_equal(fos_gpu_alloc(c->ch, other, BYTES, &foreign, &unused), FOS_OK);
	expect_refusal(c, scale(c, launch, foreign, small, 1, &reply), FOS_INVALID, &reply,
				   "argument 0");
	assert_int_equal(fos_gpu_close(c->ch, other), FOS_OK);
	/* No arguments at all; too many. */
	expect_refusal(c, fos_call(c->ch, launch, NULL, 0, &reply), FOS_INVALID, &reply, "shorter");
	fos_args args;
	fos_gpu_launch work;
	fos_args_init(&args);
	fos_gpu_launch_init(&work, 1, 0);
	fos_gpu_launch_bind(&work, &args, FOS_CALL);
	expect_refusal(c, fos_call(c->ch, launch, &args, 0, &reply), FOS_INVALID, &reply,
				   "3 arguments, 0 were given");
	assert_int_equal(fos_gpu_kernel(c->ch, c->module, "nothing", &kernel), FOS_NOT_FOUND);
	assert_int_equal(build(c, "kernel void k(void) { wrong; }", NULL, log, sizeof log, &other),
					 FOS_DEVICE);
	assert_non_null(strstr(log, "wrong"));
	assert_int_equal(fos_gpu_alloc(c->ch, c->context, 0, &memory, &unused), FOS_INVALID);
	assert_int_equal(fos_gpu_alloc(c->ch, c->context, MEMORY_MIB << 20, &memory, &unused),
					 FOS_QUOTA);
	assert_int_equal(fos_gpu_alloc(c->ch, c->context, UINT64_MAX, &memory, &unused), FOS_QUOTA);
}

/* What the service counts under this name. */
static uint64_t number_of(const struct client *c, const char *name)
{
	fos_stat stats[FOS_STATS_MAX];
	unsigned count;
	assert_int_equal(fos_stats_get(c->ch, c->gpu, stats, &count), FOS_OK);
	for (unsigned i = 0; i < count; i++) {
		if (strcmp(stats[i].name, name) == 0)
			return stats[i].value;
	}
	fail_msg("the service counts no %s", name);
	return 0;
}

static void contexts_are_bounded_and_come_back(void **state)
{
	struct client *c = &((struct fixture *)*state)->client;
	fos_cap contexts[80];
	for (int round = 0; round < 3; round++) {
		unsigned count = 0;
		fos_status status;
		while ((status = fos_gpu_context(c->ch, c->gpu, &contexts[count])) == FOS_OK)
			assert_true(++count < 80);
		assert_int_equal(status, FOS_QUOTA);
		assert_int_equal(count, 63); /* and the fixture's */
		while (count--)
			assert_int_equal(fos_gpu_close(c->ch, contexts[count]), FOS_OK);
		/* The device thread makes room when it is woken. */
		for (uint64_t end = now() + PATIENCE;
			 number_of(c, "contexts") + number_of(c, "contexts_leaving") > 1 && now() < end;)
			fos_wait(c->ch, SECOND / 100);
	}
}

static void start_spin(struct client *c, uint64_t rounds, const fos_args *prepared)
{
	fos_args args = *prepared;
	fos_cap out, unused, launch = kernel_of(c, "spin");
	fos_gpu_launch work;
	assert_int_equal(fos_gpu_alloc(c->ch, c->context, BYTES, &out, &unused), FOS_OK);
	fos_gpu_launch_init(&work, 1, 1);
	fos_gpu_launch_memory(&work, &args, FOS_CALL, 0, out);
	fos_gpu_launch_value(&work, 1, &rounds, sizeof rounds);
	fos_gpu_launch_bind(&work, &args, FOS_CALL);
	assert_int_equal(fos_request_invoke(c->ch, launch, &args, NULL), FOS_OK);
}

static void a_running_kernel_holds_up_nobody(void **state)
{
	struct fixture *f = *state;
	struct client *c = &f->client;
	fos_args none;
	fos_cap module;
	fos_args_init(&none);
	start_spin(c, SPIN_FOR_EVER, &none);
	while (number_of(c, "jobs") == 0)
		fos_wait(c->ch, SECOND / 1000);
	memory_free(c);
	assert_int_equal(build(c, "kernel void k(void) {}", NULL, NULL, 0, &module), FOS_OK);
	assert_int_equal(number_of(c, "jobs"), 1);
	launch_end(f->gpu, SIGKILL); /* told to end it would wait for its kernel, and fail */
	f->gpu = 0;
}

/* Everything that the service counts, in one line. */
static void numbers_of(const struct client *c, char *out, size_t size)
{
	fos_stat stats[FOS_STATS_MAX];
	unsigned count;
	out[0] = 0;
	assert_int_equal(fos_stats_get(c->ch, c->gpu, stats, &count), FOS_OK);
	assert_true(count > 5);
	for (unsigned i = 0; i < count; i++) {
		size_t used = strlen(out);
		snprintf(out + used, size - used, "%s %llu ", stats[i].name,
				 (unsigned long long)stats[i].value);
	}
}

/* The client is killed while its kernel runs: everything of it comes back when the kernel ends. */
static void a_dead_client_gives_everything_back(void **state)
{
	struct fixture *f = *state;
	char before[512], after[512];
	numbers_of(&f->client, before, sizeof before);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct client other;
		fos_args none;
		fos_cap memory, unused;
		fos_args_init(&none);
		client_open(&other, cluster_socket(&f->cluster, 0));
		if (fos_gpu_alloc(other.ch, other.context, 4 << 20, &memory, &unused) != FOS_OK)
			_exit(1);
		start_spin(&other, SPIN_A_SECOND, &none);
		raise(SIGKILL);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	uint64_t end = now() + PATIENCE;
	do {
		fos_wait(f->client.ch, SECOND / 50);
		numbers_of(&f->client, after, sizeof after);
	} while (strcmp(before, after) != 0 && now() < end);
	assert_string_equal(after, before);
	assert_int_equal(memory_free(&f->client), MEMORY_MIB << 20);
}

/* The service is killed while a kernel runs: the client's ONCE Request names it; the next one
 * works. */
static void a_dead_service_is_named(void **state)
{
	struct fixture *f = *state;
	struct client *c = &f->client;
	fos_exception exception = {.status = FOS_STATUS_COUNT};
	const fos_request_options once = {.once = true, .deadline = PATIENCE};
	fos_cap reply;
	fos_args args;
	fos_args_init(&args);
	assert_int_equal(fos_request_create(c->ch, ended, &exception, &once, &reply), FOS_OK);
	fos_args_cap(&args, FOS_CALL, FOS_NEXT, reply);
	fos_args_on_error(&args, FOS_CALL, reply);
	start_spin(c, SPIN_FOR_EVER, &args);
	memory_free(c);
	launch_end(f->gpu, SIGKILL);
	f->gpu = 0;
	uint64_t begin = now();
	while (exception.status == FOS_STATUS_COUNT && now() - begin < PATIENCE)
		fos_wait(c->ch, SECOND / 10);
	assert_int_equal(exception.status, FOS_PEER_LOST);
	assert_string_equal(exception.where, "n1/gpu");
	assert_true(now() - begin < harness_stretch(2 * SECOND));
	assert_int_not_equal(fos_gpu_close(c->ch, c->context), FOS_OK);
	f->gpu = start_gpu(f);
	assert_int_equal(fos_registry_wait(c->ch, "gpu", PATIENCE, &c->gpu), FOS_OK);
	assert_int_equal(fos_gpu_context(c->ch, c->gpu, &c->context), FOS_OK);
	c->module = FOS_CAP_NONE;
	kernel_of(c, "scale");
}

static void a_lost_controller_ends_the_service(void **state)
{
	struct fixture *f = *state;
	cluster_end(&f->cluster, 1, SIGKILL);
	int status = launch_end(f->gpu, 0);
	f->gpu = 0;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	/* Its successor takes the socket over, and cleans up at its end. */
	assert_true(cluster_start(&f->cluster, 1));
}

static unsigned long memory_kib(pid_t pid, const char *field)
{
	char path[64], line[256];
	unsigned long kib = 0;
	snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof line, file))
		if (strncmp(line, field, strlen(field)) == 0)
			kib = strtoul(line + strlen(field), NULL, 10);
	fclose(file);
	return kib;
}

/* With a cold cache, the compiler's memory is not left in the service, also not by the first launch
 * of a kernel with the group size that the service chooses. */
static void compiling_leaves_the_service_small(void **state)
{
	struct fixture *f = *state;
	struct client *c = &f->client;
	fos_cap memory, unused, launch = kernel_of(c, "scale");
	fos_reply reply;
	assert_int_equal(fos_gpu_alloc(c->ch, c->context, BYTES, &memory, &unused), FOS_OK);
	uint64_t begin = now();
	assert_int_equal(scale(c, launch, memory, memory, 1, &reply), FOS_OK);
	print_message("first launch: %.1f ms; the service: %lu KiB, of them %lu KiB anonymous\n",
				  (double)(now() - begin) / 1e6, memory_kib(f->gpu, "Pss:"),
				  memory_kib(f->gpu, "Pss_Anon:"));
	fos_reply_release(c->ch, &reply);
	assert_true(memory_kib(f->gpu, "Pss_Anon:") < 50 << 10);
}

/* Not a test that can fail for its figures: it says what an empty launch costs. */
static void an_empty_launch_takes(void **state)
{
	struct client *c = &((struct fixture *)*state)->client;
	enum { ROUNDS = 2000 };
	fos_cap launch = kernel_of(c, "empty");
	uint64_t best = UINT64_MAX, begin = 0;
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t start = now();
		fos_args args;
		fos_reply reply;
		fos_gpu_launch work;
		if (i == ROUNDS / 2)
			begin = start;
		fos_args_init(&args);
		fos_gpu_launch_init(&work, 64, 64);
		fos_gpu_launch_bind(&work, &args, FOS_CALL);
		assert_int_equal(fos_call(c->ch, launch, &args, 0, &reply), FOS_OK);
		fos_reply_release(c->ch, &reply);
		if (now() - start < best)
			best = now() - start;
	}
	print_message("an empty launch from the other node: mean %.1f us, best %.1f us\n",
				  (double)(now() - begin) / (ROUNDS / 2) / 1000, (double)best / 1000);
}

/* An argument is a pattern of the tests that run. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(launches_and_copies_out, setup, teardown),
		cmocka_unit_test_setup_teardown(launches_chain, setup, teardown),
		cmocka_unit_test_setup_teardown(mistakes_are_named, setup, teardown),
		cmocka_unit_test_setup_teardown(contexts_are_bounded_and_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(a_running_kernel_holds_up_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(a_dead_client_gives_everything_back, setup, teardown),
		cmocka_unit_test_setup_teardown(a_dead_service_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lost_controller_ends_the_service, setup, teardown),
		cmocka_unit_test_setup_teardown(compiling_leaves_the_service_small, setup, teardown),
		cmocka_unit_test_setup_teardown(an_empty_launch_takes, setup, teardown),
	};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
