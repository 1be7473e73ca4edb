/* The kernel of kernels/face.cl against the reference of lbp.c, on an OpenCL device of this
 * machine. `kernel_test --bench` measures it instead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include "kernel.h"
#include "lbp.h"
#include "synth.h"

enum { PHOTOS = 64 };

typedef struct bench {
	cl_device_id device;
	cl_context context;
	cl_command_queue queue;
	cl_program program;
	uint8_t *left, *right;
	cl_mem left_memory, right_memory;
} bench;

/* PoCL's "basic" device, which computes in the calling thread, as the gpu service uses it. */
static bool open_device(bench *b)
{
	setenv("POCL_DEVICES", "basic", 0);
	cl_platform_id platform;
	cl_uint count = 0;
	if (clGetPlatformIDs(1, &platform, &count) != CL_SUCCESS || count == 0 ||
		clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &b->device, &count) != CL_SUCCESS)
		return false;
	cl_int error;
	b->context = clCreateContext(NULL, 1, &b->device, NULL, NULL, &error);
	assert_int_equal(error, CL_SUCCESS);
	b->queue = clCreateCommandQueue(b->context, b->device, 0, &error);
	assert_int_equal(error, CL_SUCCESS);
	const char *source = face_kernel_source;
	b->program = clCreateProgramWithSource(b->context, 1, &source, NULL, &error);
	assert_int_equal(error, CL_SUCCESS);
	error = clBuildProgram(b->program, 1, &b->device, NULL, NULL, NULL);
	if (error != CL_SUCCESS) {
		char log[4096] = "";
		(void)clGetProgramBuildInfo(b->program, b->device, CL_PROGRAM_BUILD_LOG, sizeof log, log,
									NULL);
		fail_msg("%s", log);
	}
	return true;
}

static cl_mem memory_over(bench *b, void *bytes, size_t size)
{
	cl_int error;
	cl_mem memory =
		clCreateBuffer(b->context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, size, bytes, &error);
	assert_int_equal(error, CL_SUCCESS);
	return memory;
}

/* Faces, noise, and the extremes: flat, black and white in every arrangement of a few. */
static void fill(uint8_t *photos, uint32_t first)
{
	uint64_t seed = first;
	synth_identity *identity = malloc(sizeof *identity);
	assert_non_null(identity);
	for (unsigned i = 0; i < PHOTOS; i++) {
		uint8_t *photo = photos + (size_t)i * LBP_PHOTO;
		if (i < 32) {
			synth_make_identity(identity, 1, i / 4); /* both sides have the same faces */
			synth_make_photo(identity, first + i % 4, photo);
			continue;
		}
		for (unsigned j = 0; j < LBP_PHOTO; j++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			const uint8_t random = (uint8_t)(seed >> 56);
			photo[j] = i < 48 ? random : i < 56 ? (random & 1 ? 255 : 0) : i < 60 ? 255 : 0;
		}
	}
	free(identity);
}

static int setup(void **state)
{
	bench *b = calloc(1, sizeof *b);
	if (b == NULL || !open_device(b)) {
		free(b);
		return -1;
	}
	const size_t size = (size_t)PHOTOS * LBP_PHOTO;
	b->left = aligned_alloc(128, size);
	b->right = aligned_alloc(128, size);
	assert_non_null(b->left);
	assert_non_null(b->right);
	fill(b->left, 0);
	fill(b->right, 4);
	b->left_memory = memory_over(b, b->left, size);
	b->right_memory = memory_over(b, b->right, size);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	bench *b = *state;
	clReleaseMemObject(b->left_memory);
	clReleaseMemObject(b->right_memory);
	clReleaseProgram(b->program);
	clReleaseCommandQueue(b->queue);
	clReleaseContext(b->context);
	free(b->left);
	free(b->right);
	free(b);
	return 0;
}

static void launch(bench *b, cl_kernel kernel, size_t items)
{
	const size_t global = items, local = 1;
	assert_int_equal(
		clEnqueueNDRangeKernel(b->queue, kernel, 1, NULL, &global, &local, 0, NULL, NULL),
		CL_SUCCESS);
	assert_int_equal(clFinish(b->queue), CL_SUCCESS);
}

static cl_kernel kernel_of(bench *b, const char *name)
{
	cl_int error;
	cl_kernel kernel = clCreateKernel(b->program, name, &error);
	assert_int_equal(error, CL_SUCCESS);
	return kernel;
}

static void set_memory(cl_kernel kernel, cl_uint index, cl_mem memory)
{
	assert_int_equal(clSetKernelArg(kernel, index, sizeof memory, &memory), CL_SUCCESS);
}

static void set_count(cl_kernel kernel, cl_uint index, cl_uint count)
{
	assert_int_equal(clSetKernelArg(kernel, index, sizeof count, &count), CL_SUCCESS);
}

static void histograms_are_equal(void **state)
{
	bench *b = *state;
	const size_t size = (size_t)PHOTOS * LBP_HISTOGRAM;
	uint8_t *found = aligned_alloc(128, size);
	assert_non_null(found);
	memset(found, 0xa5, size);
	cl_mem memory = memory_over(b, found, size);
	cl_kernel kernel = kernel_of(b, "face_histograms");
	set_memory(kernel, 0, b->left_memory);
	set_memory(kernel, 1, memory);
	set_count(kernel, 2, PHOTOS);
	launch(b, kernel, PHOTOS);
	for (unsigned i = 0; i < PHOTOS; i++) {
		uint8_t expected[LBP_HISTOGRAM];
		lbp_histogram(b->left + (size_t)i * LBP_PHOTO, expected);
		assert_memory_equal(found + (size_t)i * LBP_HISTOGRAM, expected, LBP_HISTOGRAM);
	}
	clReleaseKernel(kernel);
	clReleaseMemObject(memory);
	free(found);
}

static void distances_are_close(void **state)
{
	bench *b = *state;
	float *found = aligned_alloc(128, 4 * 128);
	assert_non_null(found);
	found[PHOTOS - 1] = -7;
	cl_mem memory = memory_over(b, found, 4 * 128);
	cl_kernel kernel = kernel_of(b, "face_verify");
	set_memory(kernel, 0, b->left_memory);
	set_memory(kernel, 1, b->right_memory);
	set_memory(kernel, 2, memory);
	set_count(kernel, 3, PHOTOS - 1);
	launch(b, kernel, PHOTOS);
	for (unsigned i = 0; i < PHOTOS - 1; i++) {
		uint8_t left[LBP_HISTOGRAM], right[LBP_HISTOGRAM];
		lbp_histogram(b->left + (size_t)i * LBP_PHOTO, left);
		lbp_histogram(b->right + (size_t)i * LBP_PHOTO, right);
		const double expected = lbp_distance(left, right);
		assert_true((double)found[i] >= expected * (1 - 1e-5));
		assert_true((double)found[i] <= expected * (1 + 1e-5));
		if (i == 60) /* black against black */
			assert_true(found[i] == 0);
	}
	assert_true(found[PHOTOS - 1] == -7); /* what is beyond the count is left alone */
	clReleaseKernel(kernel);
	clReleaseMemObject(memory);
	free(found);
}

static int measure(void)
{
	void *state = NULL;
	if (setup(&state) != 0)
		return 77;
	bench *b = state;
	float *found = aligned_alloc(128, 4 * 128);
	cl_mem memory = memory_over(b, found, 4 * 128);
	cl_kernel kernel = kernel_of(b, "face_verify");
	set_memory(kernel, 0, b->left_memory);
	set_memory(kernel, 1, b->right_memory);
	set_memory(kernel, 2, memory);
	set_count(kernel, 3, PHOTOS);
	double best = 1e9;
	for (int i = 0; i < 50; i++) {
		struct timespec begin, end;
		clock_gettime(CLOCK_MONOTONIC, &begin);
		launch(b, kernel, PHOTOS);
		clock_gettime(CLOCK_MONOTONIC, &end);
		const double us =
			(double)(end.tv_sec - begin.tv_sec) * 1e6 + (double)(end.tv_nsec - begin.tv_nsec) / 1e3;
		best = us < best ? us : best;
	}
	printf("%.2f us a photo (%d pairs, best of 50)\n", best / (2 * PHOTOS), PHOTOS);
	clReleaseKernel(kernel);
	clReleaseMemObject(memory);
	free(found);
	return teardown(&state);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--bench") == 0)
		return measure();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(histograms_are_equal),
		cmocka_unit_test(distances_are_close),
	};
	return cmocka_run_group_tests_name("kernel", tests, setup, teardown);
}
