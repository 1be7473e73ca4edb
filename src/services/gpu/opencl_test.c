/* The OpenCL backend on PoCL's `basic` device: what runs is right, what is wrong is named. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend.h"

static const struct gpu_backend *const gpu = &gpu_opencl;

static const char source[] =
	"__kernel void add(__global const int *a, __constant int *b, __global int *out, int k)\n"
	"{ size_t i = get_global_id(0); out[i] = a[i] + b[i] + k; }\n"
	"__kernel void empty(void) {}\n"
	"__kernel void mark(__global uint *at) { at[get_global_id(0)] = 0xabcd; }\n"
	"__kernel void groups(__global uint *size) { size[get_global_id(0)] = get_local_size(0); }\n"
	"__attribute__((reqd_work_group_size(32, 1, 1)))\n"
	"__kernel void rigid(__global uint *size) { size[get_global_id(0)] = get_local_size(0); }\n"
	"__kernel void turn(__global uint *data, __local uint *tmp)\n"
	"{ size_t l = get_local_id(0), n = get_local_size(0); tmp[l] = data[l];\n"
	"  barrier(CLK_LOCAL_MEM_FENCE); data[l] = tmp[n - 1 - l]; }\n"
	"__kernel void cube(__global uint *out)\n"
	"{ out[(get_global_id(2) * 3 + get_global_id(1)) * 2 + get_global_id(0)] =\n"
	"  get_global_id(0) + 10 * get_global_id(1) + 100 * get_global_id(2); }\n"
	"__kernel void wide(float4 v, __global float *out) { out[0] = v.x; }\n"
	"__kernel void picture(__read_only image2d_t image) {}\n"
	"#define P(n) __global int *p##n\n"
	"__kernel void many(P(0), P(1), P(2), P(3), P(4), P(5), P(6), P(7), P(8), P(9), P(10), P(11),\n"
	"  P(12), P(13), P(14), P(15), P(16)) {}\n";

enum { BYTES = 64 << 10 };

static struct gpu_device *device;
static struct gpu_stream *stream;
static struct gpu_module *module;
static struct gpu_why why;
static uint8_t *host;
static struct gpu_buffer *buffer;
static char cache[] = "/tmp/fractos-gpu-test-XXXXXX";

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
	return remove(path);
}

static int setup(void **state)
{
	if (!mkdtemp(cache))
		return -1;
	setenv("POCL_CACHE_DIR", cache, 1);
	unsetenv("POCL_DEVICES");
	host = aligned_alloc(4096, BYTES);
	memset(host, 0, BYTES);
	if (gpu->open(NULL, &device, &why) != FOS_OK ||
		gpu->stream_create(device, &stream, &why) != FOS_OK ||
		gpu->buffer_create(device, host, BYTES, &buffer, &why) != FOS_OK ||
		gpu->module_build(device, source, sizeof source - 1, "", &module, &why) != FOS_OK) {
		print_error("%s\n", why.text);
		return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	gpu->module_destroy(module);
	gpu->buffer_destroy(buffer);
	gpu->stream_destroy(stream);
	gpu->close(device);
	free(host);
	return nftw(cache, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static struct gpu_kernel *kernel_of(const char *name)
{
	struct gpu_kernel *kernel;
	assert_int_equal(gpu->kernel_create(module, name, &kernel, &why), FOS_OK);
	return kernel;
}

static struct gpu_work work_of(uint32_t global, uint32_t local)
{
	return (struct gpu_work){.global = {global, 1, 1}, .local = {local, 0, 0}};
}

static fos_status run(const char *name, const struct gpu_work *work)
{
	struct gpu_kernel *kernel = kernel_of(name);
	fos_status status = gpu->launch(stream, kernel, work, &why);
	gpu->kernel_destroy(kernel);
	return status;
}

static void describes_the_device(void **state)
{
	fos_gpu_info info = {.memory = 7};
	gpu->describe(device, &info);
	assert_string_equal(info.backend, "opencl");
	assert_non_null(strstr(info.device, "basic"));
	assert_int_equal(info.memory, 7);
	assert_true(info.units >= 1 && info.max_group >= 64);
}

static void refuses_an_unknown_device(void **state)
{
	struct gpu_device *other;
	assert_int_equal(gpu->open("no such device", &other, &why), FOS_NOT_FOUND);
	assert_non_null(strstr(why.text, "\"basic"));
}

static void adds_vectors(void **state)
{
	enum { N = 1024 };
	int *a = (int *)host, *b = a + N, *out = b + N;
	for (int i = 0; i < N; i++) {
		a[i] = i;
		b[i] = 1000 * i;
		out[i] = -1;
	}
	struct gpu_work work = work_of(N, 0);
	for (unsigned i = 0; i < 3; i++)
		work.regions[i] = (struct gpu_region){buffer, i * sizeof(int) * N, sizeof(int) * N};
	work.sizes[3] = sizeof(int);
	work.values[3] = 5;
	assert_int_equal(run("add", &work), FOS_OK);
	for (int i = 0; i < N; i++)
		assert_int_equal(out[i], 1001 * i + 5);
}

static void tells_what_parameters_are(void **state)
{
	struct gpu_kernel *kernel = kernel_of("add");
	const struct gpu_param *params;
	assert_int_equal(gpu->kernel_params(kernel, &params), 4);
	assert_true(params[0].kind == GPU_PARAM_MEMORY && !params[0].writes);
	assert_true(params[1].kind == GPU_PARAM_MEMORY && !params[1].writes);
	assert_true(params[2].kind == GPU_PARAM_MEMORY && params[2].writes);
	assert_true(params[3].kind == GPU_PARAM_VALUE);
	gpu->kernel_destroy(kernel);
	kernel = kernel_of("turn");
	assert_int_equal(gpu->kernel_params(kernel, &params), 2);
	assert_true(params[1].kind == GPU_PARAM_LOCAL);
	gpu->kernel_destroy(kernel);
}

/* More offsets than sub-buffers are kept, twice, so that kept and new ones are both used. */
static void takes_parts_at_every_alignment(void **state)
{
	enum { PARTS = 100, WORDS = 8 };
	struct gpu_kernel *kernel = kernel_of("mark");
	for (unsigned round = 0; round < 2; round++)
		for (unsigned part = 1; part <= PARTS; part++) {
			memset(host, 0, BYTES);
			struct gpu_work work = work_of(WORDS, 0);
			work.regions[0] = (struct gpu_region){buffer, part * FOS_GPU_ALIGN, WORDS * 4};
			assert_int_equal(gpu->launch(stream, kernel, &work, &why), FOS_OK);
			const uint32_t *at = (const uint32_t *)host;
			for (unsigned i = 0; i < BYTES / 4; i++) {
				unsigned first = part * FOS_GPU_ALIGN / 4;
				assert_int_equal(at[i], i >= first && i < first + WORDS ? 0xabcd : 0);
			}
		}
	gpu->kernel_destroy(kernel);
}

static void chooses_groups_that_divide(void **state)
{
	static const uint32_t pairs[][2] = {{1, 1},   {7, 1},    {96, 32}, {100, 4},
										{64, 64}, {128, 64}, {6, 2},   {1000, 8}};
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		struct gpu_work work = work_of(pairs[i][0], 0);
		work.regions[0] = (struct gpu_region){buffer, 0, BYTES};
		assert_int_equal(run("groups", &work), FOS_OK);
		assert_int_equal(*(uint32_t *)host, pairs[i][1]);
	}
	struct gpu_work work = work_of(96, 0);
	work.regions[0] = (struct gpu_region){buffer, 0, BYTES};
	assert_int_equal(run("rigid", &work), FOS_OK);
	assert_int_equal(*(uint32_t *)host, 32);
}

static void runs_in_three_dimensions(void **state)
{
	struct gpu_work work = {.global = {2, 3, 4}, .local = {2, 3, 1}};
	work.regions[0] = (struct gpu_region){buffer, 0, BYTES};
	assert_int_equal(run("cube", &work), FOS_OK);
	for (uint32_t z = 0; z < 4; z++)
		for (uint32_t y = 0; y < 3; y++)
			for (uint32_t x = 0; x < 2; x++)
				assert_int_equal(((uint32_t *)host)[(z * 3 + y) * 2 + x], x + 10 * y + 100 * z);
}

static void gives_local_memory(void **state)
{
	uint32_t *data = (uint32_t *)host;
	for (uint32_t i = 0; i < 16; i++)
		data[i] = i;
	struct gpu_work work = work_of(16, 16);
	work.regions[0] = (struct gpu_region){buffer, 0, BYTES};
	work.sizes[1] = 4;
	work.values[1] = UINT64_C(0xffffffff00000000) | 16 * 4; /* only the first 4 bytes count */
	assert_int_equal(run("turn", &work), FOS_OK);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(data[i], 15 - i);
	work.sizes[1] = 8;
	work.values[1] = UINT64_C(1) << 40;
	assert_int_equal(run("turn", &work), FOS_INVALID);
	work.values[1] = 0;
	assert_int_equal(run("turn", &work), FOS_INVALID);
}

static void refuses_bad_sizes(void **state)
{
	static const struct {
		uint32_t global[3], local[3];
		const char *name, *says;
	} cases[] = {
		{{0, 1, 1}, {0, 0, 0}, "empty", "no work-item"},
		{{1, 0, 1}, {0, 0, 0}, "empty", "no work-item"},
		{{1, 1, 0}, {1, 1, 1}, "empty", "no work-item"},
		{{100, 1, 1}, {64, 1, 1}, "empty", "do not divide"},
		{{64, 3, 1}, {64, 2, 1}, "empty", "do not divide"},
		{{1, 1, 1}, {2, 1, 1}, "empty", "do not divide"},
		{{1u << 30, 1, 1}, {1u << 30, 1, 1}, "empty", "more than"},
		{{4096, 4096, 1}, {4096, 4096, 1}, "empty", "more than"},
		{{1u << 31, 1u << 31, 4}, {1u << 31, 1u << 31, 4}, "empty", "more than"},
		{{100, 1, 1}, {0, 0, 0}, "rigid", "do not divide"},
		{{64, 1, 1}, {64, 1, 1}, "rigid", "requires groups of 32"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct gpu_work work = {0};
		memcpy(work.global, cases[i].global, sizeof work.global);
		memcpy(work.local, cases[i].local, sizeof work.local);
		work.regions[0] = (struct gpu_region){buffer, 0, BYTES};
		assert_int_equal(run(cases[i].name, &work), FOS_INVALID);
		assert_non_null(strstr(why.text, cases[i].says));
	}
}

static void refuses_a_value_of_the_wrong_size(void **state)
{
	struct gpu_work work = work_of(1, 0);
	for (unsigned i = 0; i < 3; i++)
		work.regions[i] = (struct gpu_region){buffer, i * 1024, 1024};
	for (uint8_t size = 1; size <= 8; size++) {
		work.sizes[3] = size;
		assert_int_equal(run("add", &work), size == 4 ? FOS_OK : FOS_INVALID);
	}
	assert_non_null(strstr(why.text, "argument 3"));
	work = work_of(1, 0);
	work.sizes[0] = 8;
	work.regions[1] = (struct gpu_region){buffer, 0, 1024};
	assert_int_equal(run("wide", &work), FOS_INVALID);
}

static void refuses_kernels_that_it_cannot_serve(void **state)
{
	struct gpu_kernel *kernel;
	assert_int_equal(gpu->kernel_create(module, "missing", &kernel, &why), FOS_NOT_FOUND);
	assert_non_null(strstr(why.text, "missing"));
	assert_int_equal(gpu->kernel_create(module, "", &kernel, &why), FOS_NOT_FOUND);
	assert_int_equal(gpu->kernel_create(module, "picture", &kernel, &why), FOS_UNSUPPORTED);
	assert_non_null(strstr(why.text, "image2d_t"));
	assert_int_equal(gpu->kernel_create(module, "many", &kernel, &why), FOS_UNSUPPORTED);
	assert_non_null(strstr(why.text, "17 arguments"));
}

static void a_build_error_brings_its_log(void **state)
{
	struct gpu_module *broken;
	static const char text[] = "__kernel void k(__global int *a) { a[0] = nonsense; }\n";
	assert_int_equal(gpu->module_build(device, text, sizeof text - 1, "", &broken, &why),
					 FOS_DEVICE);
	assert_non_null(strstr(why.text, "nonsense"));
	char *lengthy = malloc(100000);
	size_t used = 0;
	for (int i = 0; i < 200; i++)
		used += (size_t)sprintf(lengthy + used, "int f%d(void) { return missing_%d; }\n", i, i);
	assert_int_equal(gpu->module_build(device, lengthy, used, "", &broken, &why), FOS_DEVICE);
	assert_true(strlen(why.text) > 0 && strlen(why.text) < FOS_DETAIL_MAX);
	free(lengthy);
	fos_status status =
		gpu->module_build(device, text, sizeof text - 1, "-no-such-option", &broken, &why);
	assert_true(status == FOS_DEVICE || status == FOS_INVALID);
	assert_non_null(strstr(why.text, "no-such-option"));
	/* A module may come without a kernel and without text. */
	assert_int_equal(gpu->module_build(device, "\n", 1, "", &broken, &why), FOS_OK);
	gpu->module_destroy(broken);
}

static void options_reach_the_compiler(void **state)
{
	static const char text[] = "__kernel void k(__global int *a) { a[0] = VALUE; }\n";
	struct gpu_module *defined;
	struct gpu_kernel *kernel;
	struct gpu_work work = work_of(1, 0);
	assert_int_equal(gpu->module_build(device, text, sizeof text - 1, "-DVALUE=77", &defined, &why),
					 FOS_OK);
	assert_int_equal(gpu->kernel_create(defined, "k", &kernel, &why), FOS_OK);
	gpu->module_destroy(defined); /* the kernel keeps what it needs */
	work.regions[0] = (struct gpu_region){buffer, 0, BYTES};
	assert_int_equal(gpu->launch(stream, kernel, &work, &why), FOS_OK);
	assert_int_equal(*(int *)host, 77);
	gpu->kernel_destroy(kernel);
}

static void refuses_a_buffer_larger_than_the_device(void **state)
{
	struct gpu_buffer *huge;
	assert_int_equal(gpu->buffer_create(device, host, UINT64_C(1) << 60, &huge, &why), FOS_QUOTA);
	assert_non_null(strstr(why.text, "CL_INVALID_BUFFER_SIZE"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(describes_the_device),
		cmocka_unit_test(refuses_an_unknown_device),
		cmocka_unit_test(adds_vectors),
		cmocka_unit_test(tells_what_parameters_are),
		cmocka_unit_test(takes_parts_at_every_alignment),
		cmocka_unit_test(chooses_groups_that_divide),
		cmocka_unit_test(runs_in_three_dimensions),
		cmocka_unit_test(gives_local_memory),
		cmocka_unit_test(refuses_bad_sizes),
		cmocka_unit_test(refuses_a_value_of_the_wrong_size),
		cmocka_unit_test(refuses_kernels_that_it_cannot_serve),
		cmocka_unit_test(a_build_error_brings_its_log),
		cmocka_unit_test(options_reach_the_compiler),
		cmocka_unit_test(refuses_a_buffer_larger_than_the_device),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
