/* The engine on a backend that only takes notes: who finds what, who waits for whom, and what is
 * given back when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine.h"

enum { LIMIT = 64 << 20, PAGE = 4096 };

struct gpu_kernel {
	unsigned count;
	struct gpu_param params[FOS_GPU_ARGS_MAX];
};

static struct {
	int buffers, streams, modules, kernels, blocks; /* living */
	unsigned launches;
	struct gpu_work last;
	fos_status buffer_status;
} notes;

static fos_status buffer_create(struct gpu_device *device, void *host, uint64_t length,
								struct gpu_buffer **out, struct gpu_why *why)
{
	if (notes.buffer_status != FOS_OK)
		return gpu_refuse(why, notes.buffer_status, "no buffer");
	notes.buffers++;
	*out = host;
	return FOS_OK;
}

static void buffer_destroy(struct gpu_buffer *buffer)
{
	notes.buffers--;
}

static fos_status stream_create(struct gpu_device *device, struct gpu_stream **out,
								struct gpu_why *why)
{
	notes.streams++;
	*out = NULL;
	return FOS_OK;
}

static void stream_destroy(struct gpu_stream *stream)
{
	notes.streams--;
}

static void module_destroy(struct gpu_module *module)
{
	notes.modules--;
}

static void kernel_destroy(struct gpu_kernel *kernel)
{
	notes.kernels--;
	free(kernel);
}

static unsigned kernel_params(const struct gpu_kernel *kernel, const struct gpu_param **out)
{
	*out = kernel->params;
	return kernel->count;
}

static fos_status launch(struct gpu_stream *stream, struct gpu_kernel *kernel,
						 const struct gpu_work *work, struct gpu_why *why)
{
	notes.launches++;
	notes.last = *work;
	return FOS_OK;
}

static const struct gpu_backend fake = {.buffer_create = buffer_create,
										.buffer_destroy = buffer_destroy,
										.stream_create = stream_create,
										.stream_destroy = stream_destroy,
										.module_destroy = module_destroy,
										.kernel_destroy = kernel_destroy,
										.kernel_params = kernel_params,
										.launch = launch};

/* Bytes are handed out dirty. */
static fos_status arena_alloc(void *arg, size_t length, void **out)
{
	*out = aligned_alloc(PAGE, length);
	memset(*out, 0xee, length);
	notes.blocks++;
	return FOS_OK;
}

static void arena_free(void *arg, void *bytes)
{
	notes.blocks--;
	free(bytes);
}

static struct engine *engine;
static struct gpu_why why;

static int setup(void **state)
{
	const struct engine_config config = {
		.backend = &fake, .memory = LIMIT, .alloc = arena_alloc, .free = arena_free};
	memset(&notes, 0, sizeof notes);
	return engine_create(&config, &engine) == FOS_OK ? 0 : -1;
}

/* Whatever a test leaves, nothing stays behind. */
static int teardown(void **state)
{
	engine_destroy(engine);
	assert_int_equal(notes.buffers | notes.streams | notes.modules | notes.kernels | notes.blocks,
					 0);
	return 0;
}

static uint64_t context_new(unsigned slot)
{
	uint64_t id;
	assert_int_equal(engine_context_open(engine, slot, &id, &why), FOS_OK);
	assert_int_equal(engine_slot_of(id), slot);
	return id;
}

static uint64_t alloc_new(uint64_t context, uint64_t size, unsigned char **bytes)
{
	uint64_t id;
	void *at;
	assert_int_equal(engine_alloc(engine, context, size, &id, &at, &why), FOS_OK);
	*bytes = at;
	return id;
}

/* A kernel that reads its first argument, writes its second, and takes a value. */
static uint64_t kernel_new(uint64_t context)
{
	uint64_t id;
	struct gpu_kernel *kernel = calloc(1, sizeof *kernel);
	kernel->count = 3;
	kernel->params[0] = (struct gpu_param){GPU_PARAM_MEMORY, false};
	kernel->params[1] = (struct gpu_param){GPU_PARAM_MEMORY, true};
	kernel->params[2] = (struct gpu_param){GPU_PARAM_VALUE, false};
	notes.kernels++;
	assert_int_equal(engine_kernel_add(engine, context, kernel, &id, &why), FOS_OK);
	return id;
}

static struct engine_request request_of(uint64_t context, uint64_t kernel, unsigned char *in,
										unsigned char *out, uint64_t length)
{
	struct engine_request request = {.context = context, .kernel = kernel};
	request.launch = (fos_gpu_launch){.global = {64, 1, 1}, .arg_count = 3, .sizes = {0, 0, 4}};
	request.memory[0] = (struct engine_memory){in, length, FOS_READ};
	request.memory[1] = (struct engine_memory){out, length, FOS_READ | FOS_WRITE};
	return request;
}

static fos_status submit(struct engine_request *request, fos_delivery_id tag)
{
	request->ticket.delivery = tag;
	return engine_submit(engine, request, &why);
}

static struct job *take(fos_delivery_id expected)
{
	struct job *job = engine_take(engine);
	assert_non_null(job);
	assert_int_equal(engine_ticket(job)->delivery, expected);
	return job;
}

static void run(struct job *job)
{
	assert_int_equal(engine_run(engine, job, &why), FOS_OK);
	engine_end(engine, job);
}

static void close_context(uint64_t context)
{
	assert_true(engine_context_retire(engine, context));
	engine_context_release(engine, context);
}

static void memory_is_zeroed_and_counted(void **state)
{
	uint64_t context = context_new(0), tag;
	unsigned char *bytes;
	static const uint64_t sizes[] = {1, PAGE - 1, PAGE, PAGE + 1, 100000};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		uint64_t charged = (sizes[i] + PAGE - 1) / PAGE * PAGE;
		uint64_t id = alloc_new(context, sizes[i], &bytes);
		assert_int_equal(engine_memory_free(engine), LIMIT - charged);
		for (uint64_t at = 0; at < charged; at++)
			assert_int_equal(bytes[at], 0);
		assert_int_equal(engine_alloc_retire(engine, context, id, &tag, &why), FOS_OK);
		assert_int_equal(engine_alloc_retire(engine, context, id, &tag, &why), FOS_REVOKED);
		assert_int_equal(notes.blocks, 1); /* not before it is released */
		engine_alloc_release(engine, context, id);
		assert_int_equal(notes.blocks, 0);
		assert_int_equal(engine_memory_free(engine), LIMIT);
	}
}

static void memory_is_bounded(void **state)
{
	uint64_t context = context_new(0), id;
	void *at;
	static const uint64_t wrong[] = {LIMIT + 1, UINT64_MAX, UINT64_MAX - PAGE + 1, 1ull << 63};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(engine_alloc(engine, context, wrong[i], &id, &at, &why), FOS_QUOTA);
	assert_int_equal(engine_alloc(engine, context, 0, &id, &at, &why), FOS_INVALID);
	notes.buffer_status = FOS_DEVICE;
	assert_int_equal(engine_alloc(engine, context, 1, &id, &at, &why), FOS_DEVICE);
	notes.buffer_status = FOS_OK;
	assert_int_equal(engine_memory_free(engine), LIMIT);
	assert_int_equal(engine_alloc(engine, context, LIMIT, &id, &at, &why), FOS_OK);
	assert_int_equal(engine_alloc(engine, context, 1, &id, &at, &why), FOS_QUOTA);
	close_context(context);
	context = context_new(0);
	for (unsigned i = 0; i < ENGINE_ALLOCATIONS; i++)
		assert_int_equal(engine_alloc(engine, context, 1, &id, &at, &why), FOS_OK);
	assert_int_equal(engine_alloc(engine, context, 1, &id, &at, &why), FOS_QUOTA);
}

static void arguments_are_checked(void **state)
{
	uint64_t context = context_new(0), other = context_new(1), kernel = kernel_new(context);
	unsigned char *a, *b, *foreign;
	alloc_new(context, 2 * PAGE, &a);
	alloc_new(context, 1000, &b);
	alloc_new(other, PAGE, &foreign);
	struct engine_request good = request_of(context, kernel, a, b, 1000), bad;
#define REFUSED(expected, change)                          \
	do {                                                   \
		bad = good;                                        \
		change;                                            \
		assert_int_equal(submit(&bad, 1), FOS_##expected); \
	} while (0)
	REFUSED(INVALID, bad.launch.arg_count = 2);
	REFUSED(INVALID, bad.launch.arg_count = 4);
	REFUSED(INVALID, bad.launch.arg_count = UINT32_MAX);
	REFUSED(INVALID, bad.launch.sizes[2] = 0);
	REFUSED(INVALID, bad.launch.sizes[2] = 9);
	REFUSED(INVALID, bad.launch.sizes[0] = 8);
	REFUSED(INVALID, bad.memory[0].ptr = NULL);
	REFUSED(INVALID, bad.memory[0].ptr = foreign);
	REFUSED(INVALID, bad.memory[0].ptr = a + 64);
	REFUSED(INVALID, bad.memory[0].length = 2 * PAGE + 1);
	REFUSED(INVALID, bad.memory[0].length = UINT64_MAX);
	REFUSED(INVALID, bad.memory[1].length = 1001); /* not even what the page still holds */
	REFUSED(DENIED, bad.memory[0].rights = FOS_WRITE);
	REFUSED(DENIED, bad.memory[1].rights = FOS_READ);
	REFUSED(REVOKED, bad.context = other);
	REFUSED(REVOKED, bad.context = context + (1 << 16));
	REFUSED(REVOKED, bad.kernel = kernel + (1 << 16));
	REFUSED(REVOKED, bad.kernel = UINT64_MAX);
	REFUSED(INVALID, (bad.copies = true, bad.from.ptr = foreign, bad.from.length = 1));
#undef REFUSED
	assert_null(engine_take(engine));
	good.memory[0].ptr = a + 128;
	assert_int_equal(submit(&good, 7), FOS_OK);
	run(take(7));
	assert_int_equal(notes.last.regions[0].offset, 128);
	assert_int_equal(notes.last.regions[0].length, 1000);
	assert_ptr_equal(notes.last.regions[1].buffer, b);
}

static void jobs_keep_their_order_and_wait_for_copies(void **state)
{
	uint64_t context = context_new(0), other = context_new(1);
	uint64_t kernel = kernel_new(context), other_kernel = kernel_new(other);
	unsigned char *in, *out, *x;
	alloc_new(context, PAGE, &in);
	alloc_new(context, PAGE, &out);
	alloc_new(other, PAGE, &x);
	struct engine_request copying = request_of(context, kernel, in, out, 512);
	copying.copies = true;
	copying.from = (struct engine_memory){out + 256, 256, FOS_READ};
	struct engine_request beside = request_of(context, kernel, in, out + 512, 512);
	struct engine_request reading = request_of(context, kernel, out, in, 512);
	struct engine_request foreign = request_of(other, other_kernel, x, x, 512);
	assert_int_equal(submit(&copying, 1), FOS_OK);
	assert_int_equal(submit(&beside, 2), FOS_OK);
	assert_int_equal(submit(&reading, 3), FOS_OK);
	assert_int_equal(submit(&copying, 4), FOS_OK);
	assert_int_equal(submit(&beside, 5), FOS_OK);
	assert_int_equal(submit(&foreign, 6), FOS_OK);
	struct job *first = take(1);
	assert_int_equal(engine_run(engine, first, &why), FOS_OK);
	engine_copying(engine, first);
	run(take(2)); /* writes other bytes */
	run(take(3)); /* reads what is copied */
	run(take(6)); /* 4 would write what is copied, and 5 stands behind it */
	assert_null(engine_take(engine));
	engine_end(engine, first);
	run(take(4));
	run(take(5));
	assert_null(engine_take(engine));
	assert_int_equal(notes.launches, 6);
}

static void jobs_are_bounded(void **state)
{
	uint64_t context = context_new(0), kernel = kernel_new(context);
	unsigned char *bytes;
	alloc_new(context, PAGE, &bytes);
	struct engine_request request = request_of(context, kernel, bytes, bytes, 128);
	for (unsigned i = 0; i < ENGINE_JOBS; i++)
		assert_int_equal(submit(&request, i), FOS_OK);
	assert_int_equal(submit(&request, 0), FOS_BUSY);
	run(take(0));
	assert_int_equal(submit(&request, ENGINE_JOBS), FOS_OK);
	for (unsigned i = 1; i <= ENGINE_JOBS; i++)
		run(take(i));
}

static void what_a_job_uses_stays(void **state)
{
	uint64_t context = context_new(0), kernel = kernel_new(context), tag;
	unsigned char *bytes;
	uint64_t id = alloc_new(context, PAGE, &bytes);
	engine_alloc_tag(engine, context, id, 99);
	struct engine_request request = request_of(context, kernel, bytes, bytes, 128);
	assert_int_equal(submit(&request, 1), FOS_OK);
	assert_int_equal(submit(&request, 2), FOS_OK);
	struct job *job = take(1);
	assert_int_equal(engine_alloc_retire(engine, context, id, &tag, &why), FOS_OK);
	assert_int_equal(tag, 99);
	engine_alloc_release(engine, context, id);
	assert_int_equal(notes.blocks, 1);
	assert_int_equal(submit(&request, 3), FOS_INVALID); /* it is not found any more */
	/* Closing the context while one runs and one waits. */
	assert_true(engine_context_retire(engine, context));
	assert_false(engine_context_retire(engine, context));
	assert_false(engine_tag_next(engine, context, &tag)); /* it was taken above */
	engine_context_release(engine, context);
	assert_false(engine_slot_free(engine, 0));
	assert_int_equal(notes.kernels, 1);
	assert_int_equal(engine_run(engine, job, &why), FOS_REVOKED);
	assert_false(engine_end(engine, job));
	job = take(2);
	assert_int_equal(engine_run(engine, job, &why), FOS_REVOKED);
	assert_true(engine_end(engine, job));
	assert_true(engine_slot_free(engine, 0));
	assert_int_equal(notes.launches, 0);
	assert_int_equal(engine_memory_free(engine), LIMIT);
}

static void closing_names_what_has_to_be_revoked(void **state)
{
	uint64_t context = context_new(3), tag, seen = 0, ids[3], module;
	unsigned char *bytes;
	struct gpu_module *pinned;
	for (unsigned i = 0; i < 3; i++) {
		ids[i] = alloc_new(context, PAGE, &bytes);
		engine_alloc_tag(engine, context, ids[i], 1 + i);
	}
	notes.modules = 1;
	assert_int_equal(engine_module_add(engine, context, (struct gpu_module *)&notes, &module, &why),
					 FOS_OK);
	assert_int_equal(engine_module_pin(engine, context, module, &pinned, &why), FOS_OK);
	assert_int_equal(engine_alloc_retire(engine, context, ids[1], &tag, &why), FOS_OK);
	engine_alloc_release(engine, context, ids[1]);
	assert_true(engine_context_retire(engine, context));
	while (engine_tag_next(engine, context, &tag))
		seen |= 1u << tag;
	assert_int_equal(seen, 1 << 1 | 1 << 3);
	engine_context_release(engine, context);
	/* A kernel is still being made of the module; what comes of it is refused. */
	assert_int_equal(notes.modules, 1);
	assert_false(engine_slot_free(engine, 3));
	struct gpu_kernel *late = calloc(1, sizeof *late);
	notes.kernels++;
	assert_int_equal(engine_kernel_add(engine, context, late, &tag, &why), FOS_REVOKED);
	assert_int_equal(notes.kernels, 0);
	engine_module_unpin(engine, context, module);
	assert_int_equal(notes.modules, 0);
	assert_true(engine_slot_free(engine, 3));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(memory_is_zeroed_and_counted),
		TEST(memory_is_bounded),
		TEST(arguments_are_checked),
		TEST(jobs_keep_their_order_and_wait_for_copies),
		TEST(jobs_are_bounded),
		TEST(what_a_job_uses_stays),
		TEST(closing_names_what_has_to_be_revoked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
