/* The OpenCL backend: any installable driver whose device computes on the host's own memory, by
 * default PoCL's `basic` device, which runs a kernel in the thread that enqueues it.
 *
 * Device memory is a CL_MEM_USE_HOST_PTR buffer over arena bytes. The standard allows a driver to
 * work on a copy of them between map and unmap. A CPU device with host-unified memory has no reason
 * to, and PoCL's CPU drivers take the host pointer as the buffer's only storage, so a load in a
 * kernel and a store by the Controller's copy are ordinary accesses to the same cached memory: no
 * map and unmap around each launch is needed, and what orders them are the ring record that brought
 * the launch and the one that continues the chain. open() tries it out (check_in_place) before a
 * device is accepted; every other kind is refused there.
 *
 * Compilation. PoCL compiles a kernel once more for each work-group size at its first use (20-80 ms
 * here) and keeps the result in its cache directory. For that reason the group size is chosen here
 * (pick_local) and not left to the driver, which would derive a new one from each global size.
 * A command that waits for an event is compiled at once, so module_warm() enqueues each kernel
 * behind an event that never comes. PoCL 3.1 deadlocks or aborts when such a command is cancelled;
 * hence this is for a process that ends right afterwards (compiler.h) and leaves the cache warm.
 */
#define CL_TARGET_OPENCL_VERSION 300

#include <CL/cl.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"

enum {
	PLATFORMS_MAX = 16,
	DEVICES_MAX = 64,
	NAME_MAX_BYTES = 256,
	VIEWS = 16,        /* sub-buffers kept per buffer */
	LOCAL_CHOICE = 64, /* work-items of a group where the client leaves it to us */
};

struct gpu_device {
	cl_device_id id;
	cl_context context;
	fos_gpu_info info;
	uint64_t local_bytes; /* work-group memory */
};

struct view { /* a sub-buffer; length 0: free entry */
	uint64_t offset, length;
	uint64_t used; /* buffer's clock at the last use */
	cl_mem mem;
};

struct gpu_buffer {
	cl_mem mem;
	uint64_t length;
	uint64_t clock;
	struct view views[VIEWS];
};

struct gpu_stream {
	cl_command_queue queue;
};

struct gpu_module {
	struct gpu_device *device;
	cl_program program;
	struct gpu_stream *warming; /* where module_warm()'s commands wait for ever */
};

struct gpu_kernel {
	struct gpu_device *device;
	cl_kernel kernel;
	size_t required[3]; /* reqd_work_group_size; [0] 0: none */
	size_t group_max;   /* work-items of a group */
	unsigned param_count;
	struct gpu_param params[FOS_GPU_ARGS_MAX];
};

/* ------------------------------------------------------------------ errors */

/* clang-format off: a table */
#define E(name) [-CL_##name] = "CL_" #name
static const char *const error_names[] = {
	E(SUCCESS),
	E(DEVICE_NOT_FOUND),
	E(DEVICE_NOT_AVAILABLE),
	E(COMPILER_NOT_AVAILABLE),
	E(MEM_OBJECT_ALLOCATION_FAILURE),
	E(OUT_OF_RESOURCES),
	E(OUT_OF_HOST_MEMORY),
	E(PROFILING_INFO_NOT_AVAILABLE),
	E(MEM_COPY_OVERLAP),
	E(IMAGE_FORMAT_MISMATCH),
	E(IMAGE_FORMAT_NOT_SUPPORTED),
	E(BUILD_PROGRAM_FAILURE),
	E(MAP_FAILURE),
	E(MISALIGNED_SUB_BUFFER_OFFSET),
	E(EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST),
	E(COMPILE_PROGRAM_FAILURE),
	E(LINKER_NOT_AVAILABLE),
	E(LINK_PROGRAM_FAILURE),
	E(DEVICE_PARTITION_FAILED),
	E(KERNEL_ARG_INFO_NOT_AVAILABLE),
	E(INVALID_VALUE),
	E(INVALID_DEVICE_TYPE),
	E(INVALID_PLATFORM),
	E(INVALID_DEVICE),
	E(INVALID_CONTEXT),
	E(INVALID_QUEUE_PROPERTIES),
	E(INVALID_COMMAND_QUEUE),
	E(INVALID_HOST_PTR),
	E(INVALID_MEM_OBJECT),
	E(INVALID_IMAGE_FORMAT_DESCRIPTOR),
	E(INVALID_IMAGE_SIZE),
	E(INVALID_SAMPLER),
	E(INVALID_BINARY),
	E(INVALID_BUILD_OPTIONS),
	E(INVALID_PROGRAM),
	E(INVALID_PROGRAM_EXECUTABLE),
	E(INVALID_KERNEL_NAME),
	E(INVALID_KERNEL_DEFINITION),
	E(INVALID_KERNEL),
	E(INVALID_ARG_INDEX),
	E(INVALID_ARG_VALUE),
	E(INVALID_ARG_SIZE),
	E(INVALID_KERNEL_ARGS),
	E(INVALID_WORK_DIMENSION),
	E(INVALID_WORK_GROUP_SIZE),
	E(INVALID_WORK_ITEM_SIZE),
	E(INVALID_GLOBAL_OFFSET),
	E(INVALID_EVENT_WAIT_LIST),
	E(INVALID_EVENT),
	E(INVALID_OPERATION),
	E(INVALID_GL_OBJECT),
	E(INVALID_BUFFER_SIZE),
	E(INVALID_MIP_LEVEL),
	E(INVALID_GLOBAL_WORK_SIZE),
	E(INVALID_PROPERTY),
	E(INVALID_IMAGE_DESCRIPTOR),
	E(INVALID_COMPILER_OPTIONS),
	E(INVALID_LINKER_OPTIONS),
	E(INVALID_DEVICE_PARTITION_COUNT),
	E(INVALID_PIPE_SIZE),
	E(INVALID_DEVICE_QUEUE),
	E(INVALID_SPEC_ID),
	E(MAX_SIZE_RESTRICTION_EXCEEDED),
};
#undef E
/* clang-format on */

static const char *error_name(cl_int error)
{
	size_t n = (size_t) - (int64_t)error;
	if (n < sizeof error_names / sizeof *error_names && error_names[n])
		return error_names[n];
	return "an OpenCL error without a name";
}

/* The device's own word about a call that failed. */
static fos_status device_error(struct gpu_why *why, const char *call, cl_int error)
{
	return gpu_refuse(why, FOS_DEVICE, "%s: %s (%d)", call, error_name(error), error);
}

/* ------------------------------------------------------------------ the device */

static bool contains(const char *text, const char *part)
{
	return strcasestr(text, part) != NULL;
}

static cl_uint list_devices(cl_device_id *ids)
{
	cl_platform_id platforms[PLATFORMS_MAX];
	cl_uint platform_count = 0, count = 0;
	if (clGetPlatformIDs(PLATFORMS_MAX, platforms, &platform_count) != CL_SUCCESS)
		return 0;
	for (cl_uint i = 0; i < platform_count && i < PLATFORMS_MAX && count < DEVICES_MAX; i++) {
		cl_uint here = 0;
		if (clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, DEVICES_MAX - count, ids + count,
						   &here) == CL_SUCCESS)
			count += here < DEVICES_MAX - count ? here : DEVICES_MAX - count;
	}
	return count;
}

/* Finds the device; *name gets its name, or, when there is none that was wanted, those there are.
 */
static fos_status find_device(const char *wanted, cl_device_id *out, char name[NAME_MAX_BYTES],
							  struct gpu_why *why)
{
	cl_device_id ids[DEVICES_MAX];
	char seen[1024] = "";
	cl_uint count = list_devices(ids);
	for (cl_uint i = 0; i < count; i++) {
		name[0] = 0;
		clGetDeviceInfo(ids[i], CL_DEVICE_NAME, NAME_MAX_BYTES - 1, name, NULL);
		if (!wanted || contains(name, wanted)) {
			*out = ids[i];
			return FOS_OK;
		}
		size_t used = strlen(seen);
		snprintf(seen + used, sizeof seen - used, "%s\"%s\"", used ? ", " : "", name);
	}
	if (count == 0)
		return gpu_refuse(why, FOS_DEVICE,
						  "there is no OpenCL device: install pocl-opencl-icd, and see "
						  "POCL_DEVICES where that is set");
	return gpu_refuse(why, FOS_NOT_FOUND, "no OpenCL device is named like \"%s\"; there is %s",
					  wanted, seen);
}

static fos_status check_kind(cl_device_id id, const char *name, struct gpu_why *why)
{
	cl_device_type type = 0;
	cl_bool unified = CL_FALSE, available = CL_FALSE, compiler = CL_FALSE;
	cl_uint align = 0;
	clGetDeviceInfo(id, CL_DEVICE_TYPE, sizeof type, &type, NULL);
	clGetDeviceInfo(id, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof unified, &unified, NULL);
	clGetDeviceInfo(id, CL_DEVICE_AVAILABLE, sizeof available, &available, NULL);
	clGetDeviceInfo(id, CL_DEVICE_COMPILER_AVAILABLE, sizeof compiler, &compiler, NULL);
	clGetDeviceInfo(id, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof align, &align, NULL);
	if (!available || !compiler)
		return gpu_refuse(why, FOS_DEVICE, "device %s is not available or has no compiler", name);
	if (!unified || !(type & CL_DEVICE_TYPE_CPU))
		return gpu_refuse(why, FOS_UNSUPPORTED,
						  "device %s has memory of its own: not supported by this build of the "
						  "service",
						  name);
	if (align / 8 > FOS_GPU_ALIGN)
		return gpu_refuse(why, FOS_UNSUPPORTED,
						  "device %s wants memory aligned to %u bytes, kernel arguments are "
						  "aligned to %d",
						  name, align / 8, FOS_GPU_ALIGN);
	return FOS_OK;
}

/* A write by the host after the buffer was made and a write by the device must be seen by the
 * other side at the host's own address without a map. */
static fos_status check_in_place(struct gpu_device *device, struct gpu_why *why)
{
	static const uint32_t before = 0x5ca1ab1e, pattern = 0xf0cacc1a;
	enum { BYTES = 4096 };
	fos_status status = FOS_DEVICE;
	struct gpu_buffer *buffer = NULL;
	struct gpu_stream *stream = NULL;
	uint32_t seen = 0;
	uint32_t *host = aligned_alloc(4096, BYTES);
	if (!host)
		return gpu_refuse(why, FOS_QUOTA, "out of memory");
	memset(host, 0, BYTES);
	status = gpu_opencl.buffer_create(device, host, BYTES, &buffer, why);
	if (status == FOS_OK)
		status = gpu_opencl.stream_create(device, &stream, why);
	if (status != FOS_OK)
		goto out;
	host[0] = before;
	cl_int error = clEnqueueReadBuffer(stream->queue, buffer->mem, CL_TRUE, 0, sizeof seen, &seen,
									   0, NULL, NULL);
	if (error == CL_SUCCESS)
		error = clEnqueueFillBuffer(stream->queue, buffer->mem, &pattern, sizeof pattern, 0, BYTES,
									0, NULL, NULL);
	if (error == CL_SUCCESS)
		error = clFinish(stream->queue);
	if (error != CL_SUCCESS)
		status = device_error(why, "trying the device's memory", error);
	else if (seen != before || host[0] != pattern || host[BYTES / sizeof *host - 1] != pattern)
		status = gpu_refuse(why, FOS_UNSUPPORTED,
							"device %s works on a copy of host memory: not supported by this build "
							"of the service",
							device->info.device);
out:
	if (stream)
		gpu_opencl.stream_destroy(stream);
	if (buffer)
		gpu_opencl.buffer_destroy(buffer);
	free(host);
	return status;
}

/* PoCL offers by default its `pthread` device alone, which hands every launch to other threads;
 * `basic` costs 40 times less a launch. Its driver reads the choice when it is first called. */
static void choose_pocl_driver(const char *wanted)
{
	static const char *const drivers[] = {"basic", "pthread"};
	const char *choice = wanted ? NULL : "basic";
	for (size_t i = 0; wanted && i < sizeof drivers / sizeof *drivers; i++)
		if (strcmp(wanted, drivers[i]) == 0)
			choice = drivers[i];
	if (choice)
		setenv("POCL_DEVICES", choice, 0);
}

static void device_close(struct gpu_device *device)
{
	clReleaseContext(device->context);
	free(device);
}

static fos_status device_open(const char *wanted, struct gpu_device **out, struct gpu_why *why)
{
	cl_device_id id = NULL;
	char name[NAME_MAX_BYTES] = "";
	choose_pocl_driver(wanted);
	fos_status status = find_device(wanted, &id, name, why);
	if (status == FOS_OK)
		status = check_kind(id, name, why);
	if (status != FOS_OK)
		return status;
	struct gpu_device *device = calloc(1, sizeof *device);
	if (!device)
		return gpu_refuse(why, FOS_QUOTA, "out of memory");
	cl_int error;
	device->id = id;
	device->context = clCreateContext(NULL, 1, &id, NULL, NULL, &error);
	if (error != CL_SUCCESS) {
		free(device);
		return device_error(why, "clCreateContext", error);
	}
	size_t group = 0;
	cl_ulong local = 0;
	snprintf(device->info.backend, sizeof device->info.backend, "%s", gpu_opencl.name);
	snprintf(device->info.device, sizeof device->info.device, "%.*s",
			 (int)sizeof device->info.device - 1, name);
	clGetDeviceInfo(id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof device->info.units, &device->info.units,
					NULL);
	clGetDeviceInfo(id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof group, &group, NULL);
	clGetDeviceInfo(id, CL_DEVICE_LOCAL_MEM_SIZE, sizeof local, &local, NULL);
	device->info.max_group = group > UINT32_MAX ? UINT32_MAX : (uint32_t)group;
	device->local_bytes = local;
	status = check_in_place(device, why);
	if (status != FOS_OK) {
		device_close(device);
		return status;
	}
	*out = device;
	return FOS_OK;
}

static void device_describe(struct gpu_device *device, fos_gpu_info *info)
{
	uint64_t memory = info->memory;
	*info = device->info;
	info->memory = memory;
}

/* ------------------------------------------------------------------ buffers */

static fos_status buffer_create(struct gpu_device *device, void *host, uint64_t length,
								struct gpu_buffer **out, struct gpu_why *why)
{
	struct gpu_buffer *buffer = calloc(1, sizeof *buffer);
	if (!buffer)
		return gpu_refuse(why, FOS_QUOTA, "out of memory");
	cl_int error;
	buffer->length = length;
	buffer->mem = clCreateBuffer(device->context, CL_MEM_USE_HOST_PTR | CL_MEM_READ_WRITE,
								 (size_t)length, host, &error);
	if (error != CL_SUCCESS) {
		free(buffer);
		fos_status status = device_error(why, "clCreateBuffer", error);
		bool too_much = error == CL_INVALID_BUFFER_SIZE || error == CL_OUT_OF_HOST_MEMORY ||
						error == CL_MEM_OBJECT_ALLOCATION_FAILURE;
		return too_much ? FOS_QUOTA : status;
	}
	*out = buffer;
	return FOS_OK;
}

static void buffer_destroy(struct gpu_buffer *buffer)
{
	for (size_t i = 0; i < VIEWS; i++)
		if (buffer->views[i].length)
			clReleaseMemObject(buffer->views[i].mem);
	clReleaseMemObject(buffer->mem);
	free(buffer);
}

/* The memory object for a part of a buffer: the buffer itself, one of its kept sub-buffers, or a
 * new one in the place of the one least recently used. No launch is under way on this buffer. */
static fos_status buffer_view(const struct gpu_region *region, cl_mem *out, struct gpu_why *why)
{
	struct gpu_buffer *buffer = region->buffer;
	assert(region->length && region->offset <= buffer->length &&
		   region->length <= buffer->length - region->offset);
	if (region->offset == 0 && region->length == buffer->length) {
		*out = buffer->mem;
		return FOS_OK;
	}
	struct view *victim = &buffer->views[0];
	for (struct view *view = buffer->views; view < buffer->views + VIEWS; view++) {
		if (view->length == region->length && view->offset == region->offset) {
			view->used = ++buffer->clock;
			*out = view->mem;
			return FOS_OK;
		}
		if (view->used < victim->used)
			victim = view;
	}
	cl_int error;
	cl_buffer_region part = {(size_t)region->offset, (size_t)region->length};
	cl_mem mem = clCreateSubBuffer(buffer->mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &part, &error);
	if (error != CL_SUCCESS)
		return device_error(why, "clCreateSubBuffer", error);
	if (victim->length)
		clReleaseMemObject(victim->mem);
	*victim = (struct view){region->offset, region->length, ++buffer->clock, mem};
	*out = mem;
	return FOS_OK;
}

/* ------------------------------------------------------------------ streams */

static fos_status stream_create(struct gpu_device *device, struct gpu_stream **out,
								struct gpu_why *why)
{
	struct gpu_stream *stream = calloc(1, sizeof *stream);
	if (!stream)
		return gpu_refuse(why, FOS_QUOTA, "out of memory");
	cl_int error;
	stream->queue = clCreateCommandQueueWithProperties(device->context, device->id, NULL, &error);
	if (error != CL_SUCCESS) {
		free(stream);
		return device_error(why, "clCreateCommandQueueWithProperties", error);
	}
	*out = stream;
	return FOS_OK;
}

static void stream_destroy(struct gpu_stream *stream)
{
	clReleaseCommandQueue(stream->queue);
	free(stream);
}

/* ------------------------------------------------------------------ modules */

/* The end of the build log is what names the first cause least and the last error best, and it is
 * what fits into an exception. */
static void take_build_log(struct gpu_device *device, cl_program program, cl_int error,
						   struct gpu_why *why)
{
	size_t size = 0;
	clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
	char *log = size > 1 ? malloc(size) : NULL;
	if (!log || clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, size, log, NULL) !=
					CL_SUCCESS) {
		device_error(why, "clBuildProgram", error);
	} else {
		size_t length = strnlen(log, size - 1);
		size_t skip = length >= sizeof why->text ? length - (sizeof why->text - 1) : 0;
		memcpy(why->text, log + skip, length - skip);
		why->text[length - skip] = 0;
	}
	free(log);
}

static fos_status module_build(struct gpu_device *device, const char *source, size_t length,
							   const char *options, struct gpu_module **out, struct gpu_why *why)
{
	char all[FOS_GPU_OPTIONS_MAX + 32];
	/* Without it the driver may not tell what a kernel's parameters are. */
	snprintf(all, sizeof all, "-cl-kernel-arg-info %s", options);
	struct gpu_module *module = calloc(1, sizeof *module);
	if (!module)
		return gpu_refuse(why, FOS_QUOTA, "out of memory");
	fos_status status = FOS_OK;
	cl_int error;
	module->device = device;
	module->program = clCreateProgramWithSource(device->context, 1, &source, &length, &error);
	if (error != CL_SUCCESS) {
		free(module);
		return device_error(why, "clCreateProgramWithSource", error);
	}
	error = clBuildProgram(module->program, 1, &device->id, all, NULL, NULL);
	if (error == CL_INVALID_BUILD_OPTIONS)
		status =
			gpu_refuse(why, FOS_INVALID, "the compiler does not know the options \"%s\"", options);
	else if (error != CL_SUCCESS) {
		take_build_log(device, module->program, error, why);
		status = FOS_DEVICE;
	}
	if (status != FOS_OK) {
		clReleaseProgram(module->program);
		free(module);
		return status;
	}
	*out = module;
	return FOS_OK;
}

static void module_destroy(struct gpu_module *module)
{
	clReleaseProgram(module->program);
	free(module);
}

/* ------------------------------------------------------------------ kernels */

static fos_status read_param(struct gpu_kernel *kernel, const char *name, unsigned index,
							 struct gpu_why *why)
{
	cl_kernel_arg_address_qualifier address = 0;
	cl_kernel_arg_type_qualifier qualifier = 0;
	char type[NAME_MAX_BYTES] = "";
	struct gpu_param *param = &kernel->params[index];
	cl_int error = clGetKernelArgInfo(kernel->kernel, index, CL_KERNEL_ARG_ADDRESS_QUALIFIER,
									  sizeof address, &address, NULL);
	if (error == CL_SUCCESS)
		error = clGetKernelArgInfo(kernel->kernel, index, CL_KERNEL_ARG_TYPE_QUALIFIER,
								   sizeof qualifier, &qualifier, NULL);
	if (error == CL_SUCCESS)
		error = clGetKernelArgInfo(kernel->kernel, index, CL_KERNEL_ARG_TYPE_NAME, sizeof type,
								   type, NULL);
	if (error != CL_SUCCESS)
		return device_error(why, "clGetKernelArgInfo", error);
	bool pointer = strchr(type, '*') != NULL;
	if (address == CL_KERNEL_ARG_ADDRESS_PRIVATE && !pointer && strcmp(type, "sampler_t") != 0) {
		param->kind = GPU_PARAM_VALUE;
	} else if (address == CL_KERNEL_ARG_ADDRESS_LOCAL && pointer) {
		param->kind = GPU_PARAM_LOCAL;
	} else if (pointer && (address == CL_KERNEL_ARG_ADDRESS_GLOBAL ||
						   address == CL_KERNEL_ARG_ADDRESS_CONSTANT)) {
		param->kind = GPU_PARAM_MEMORY;
		param->writes =
			address == CL_KERNEL_ARG_ADDRESS_GLOBAL && !(qualifier & CL_KERNEL_ARG_TYPE_CONST);
	} else {
		return gpu_refuse(why, FOS_UNSUPPORTED,
						  "kernel %s: argument %u is a %s: only values and "
						  "pointers can be given",
						  name, index, type);
	}
	return FOS_OK;
}

static fos_status read_params(struct gpu_kernel *kernel, const char *name, struct gpu_why *why)
{
	cl_uint count = 0;
	clGetKernelInfo(kernel->kernel, CL_KERNEL_NUM_ARGS, sizeof count, &count, NULL);
	if (count > FOS_GPU_ARGS_MAX)
		return gpu_refuse(why, FOS_UNSUPPORTED,
						  "kernel %s has %u arguments, at most %d can be "
						  "given",
						  name, count, FOS_GPU_ARGS_MAX);
	kernel->param_count = count;
	for (unsigned i = 0; i < count; i++) {
		fos_status status = read_param(kernel, name, i, why);
		if (status != FOS_OK)
			return status;
	}
	return FOS_OK;
}

static void kernel_destroy(struct gpu_kernel *kernel)
{
	clReleaseKernel(kernel->kernel);
	free(kernel);
}

static fos_status kernel_create(struct gpu_module *module, const char *name,
								struct gpu_kernel **out, struct gpu_why *why)
{
	struct gpu_kernel *kernel = calloc(1, sizeof *kernel);
	if (!kernel)
		return gpu_refuse(why, FOS_QUOTA, "out of memory");
	cl_int error;
	kernel->device = module->device;
	kernel->kernel = clCreateKernel(module->program, name, &error);
	if (error != CL_SUCCESS) {
		free(kernel);
		if (error == CL_INVALID_KERNEL_NAME)
			return gpu_refuse(why, FOS_NOT_FOUND, "the module has no kernel \"%s\"", name);
		return device_error(why, "clCreateKernel", error);
	}
	cl_device_id id = module->device->id;
	clGetKernelWorkGroupInfo(kernel->kernel, id, CL_KERNEL_COMPILE_WORK_GROUP_SIZE,
							 sizeof kernel->required, kernel->required, NULL);
	clGetKernelWorkGroupInfo(kernel->kernel, id, CL_KERNEL_WORK_GROUP_SIZE,
							 sizeof kernel->group_max, &kernel->group_max, NULL);
	fos_status status = read_params(kernel, name, why);
	if (status != FOS_OK) {
		kernel_destroy(kernel);
		return status;
	}
	*out = kernel;
	return FOS_OK;
}

static unsigned kernel_params(const struct gpu_kernel *kernel, const struct gpu_param **out)
{
	*out = kernel->params;
	return kernel->param_count;
}

/* ------------------------------------------------------------------ launching */

/* What the kernel demands, else the largest power of two that divides the first dimension, up to
 * LOCAL_CHOICE: few different sizes, so that few are compiled. */
static void pick_local(const struct gpu_kernel *kernel, const uint32_t global[3], size_t local[3])
{
	local[0] = local[1] = local[2] = 1;
	if (kernel->required[0]) {
		memcpy(local, kernel->required, sizeof kernel->required);
		return;
	}
	while (local[0] < LOCAL_CHOICE && local[0] * 2 <= kernel->group_max &&
		   global[0] % (local[0] * 2) == 0)
		local[0] *= 2;
}

static fos_status pick_sizes(const struct gpu_kernel *kernel, const struct gpu_work *work,
							 size_t global[3], size_t local[3], struct gpu_why *why)
{
	const uint32_t *g = work->global, *l = work->local;
	if (g[0] == 0 || g[1] == 0 || g[2] == 0)
		return gpu_refuse(why, FOS_INVALID, "a global size of %ux%ux%u has no work-item", g[0],
						  g[1], g[2]);
	if (l[0] == 0)
		pick_local(kernel, g, local);
	uint64_t items = 1;
	for (unsigned i = 0; i < 3; i++) {
		global[i] = g[i];
		if (l[0] != 0)
			local[i] = l[i] ? l[i] : 1;
		if (global[i] % local[i] != 0)
			return gpu_refuse(why, FOS_INVALID,
							  "groups of %zu work-items do not divide the global size %zu "
							  "(dimension %u)",
							  local[i], global[i], i);
		if (kernel->required[0] && local[i] != kernel->required[i])
			return gpu_refuse(why, FOS_INVALID,
							  "the kernel requires groups of %zu work-items in dimension %u, not "
							  "%zu",
							  kernel->required[i], i, local[i]);
		if (local[i] > kernel->group_max || items * local[i] > kernel->group_max)
			return gpu_refuse(why, FOS_INVALID, "a group has more than %zu work-items",
							  kernel->group_max);
		items *= local[i];
	}
	return FOS_OK;
}

static fos_status set_arg(struct gpu_kernel *kernel, const struct gpu_work *work, unsigned index,
						  struct gpu_why *why)
{
	cl_int error;
	cl_mem mem;
	size_t size = work->sizes[index];
	const void *value = &work->values[index];
	uint64_t bytes;
	switch (kernel->params[index].kind) {
	case GPU_PARAM_MEMORY: {
		fos_status status = buffer_view(&work->regions[index], &mem, why);
		if (status != FOS_OK)
			return status;
		size = sizeof mem;
		value = &mem;
		break;
	}
	case GPU_PARAM_LOCAL:
		bytes = size < 8 ? work->values[index] & ((UINT64_C(1) << (8 * size)) - 1)
						 : work->values[index];
		if (bytes == 0 || bytes > kernel->device->local_bytes)
			return gpu_refuse(why, FOS_INVALID,
							  "argument %u asks for %llu bytes of local memory, 1 to %llu can be "
							  "had",
							  index, (unsigned long long)bytes,
							  (unsigned long long)kernel->device->local_bytes);
		size = (size_t)bytes;
		value = NULL;
		break;
	case GPU_PARAM_VALUE:
		/* PoCL takes 3 bytes for a parameter of 4 (uchar3), also where it is an int. */
		if (size & (size - 1))
			return gpu_refuse(why, FOS_INVALID, "argument %u of the kernel is not %zu bytes long",
							  index, size);
		break;
	}
	error = clSetKernelArg(kernel->kernel, index, size, value);
	if (error == CL_INVALID_ARG_SIZE)
		return gpu_refuse(why, FOS_INVALID, "argument %u of the kernel is not %zu bytes long",
						  index, size);
	if (error != CL_SUCCESS)
		return device_error(why, "clSetKernelArg", error);
	return FOS_OK;
}

static fos_status launch(struct gpu_stream *stream, struct gpu_kernel *kernel,
						 const struct gpu_work *work, struct gpu_why *why)
{
	size_t global[3], local[3];
	fos_status status = pick_sizes(kernel, work, global, local, why);
	for (unsigned i = 0; status == FOS_OK && i < kernel->param_count; i++)
		status = set_arg(kernel, work, i, why);
	if (status != FOS_OK)
		return status;
	cl_uint dims = global[2] > 1 ? 3 : global[1] > 1 ? 2 : 1;
	cl_event end = NULL;
	cl_int error = clEnqueueNDRangeKernel(stream->queue, kernel->kernel, dims, NULL, global, local,
										  0, NULL, &end);
	if (error != CL_SUCCESS)
		return device_error(why, "clEnqueueNDRangeKernel", error);
	cl_int state = CL_COMPLETE;
	error = clFinish(stream->queue);
	if (error == CL_SUCCESS)
		error = clGetEventInfo(end, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, NULL);
	clReleaseEvent(end);
	if (error == CL_SUCCESS && state < 0)
		error = state;
	if (error != CL_SUCCESS)
		return device_error(why, "running the kernel", error);
	return FOS_OK;
}

/* Arguments that are good enough to be enqueued: no Memory, values of zero of whatever size the
 * parameter has. */
static void set_no_args(struct gpu_kernel *kernel)
{
	static const uint64_t zero[16];
	for (unsigned i = 0; i < kernel->param_count; i++) {
		size_t size = 1;
		switch (kernel->params[i].kind) {
		case GPU_PARAM_MEMORY:
			clSetKernelArg(kernel->kernel, i, sizeof(cl_mem), NULL);
			break;
		case GPU_PARAM_LOCAL:
			clSetKernelArg(kernel->kernel, i, 8, NULL);
			break;
		case GPU_PARAM_VALUE:
			while (size <= sizeof zero &&
				   clSetKernelArg(kernel->kernel, i, size, zero) != CL_SUCCESS)
				size *= 2;
			break;
		}
	}
}

/* PoCL makes one variant for grids of less than 2^16 groups' width and one for wider ones. */
static void warm(struct gpu_stream *stream, struct gpu_kernel *kernel, cl_event never)
{
	static const uint32_t grids[][3] = {{LOCAL_CHOICE, 1, 1}, {LOCAL_CHOICE << 16, 1, 1}};
	set_no_args(kernel);
	for (size_t i = 0; i < sizeof grids / sizeof *grids; i++) {
		size_t global[3], local[3];
		pick_local(kernel, grids[i], local);
		for (unsigned d = 0; d < 3; d++)
			global[d] = grids[i][d] < local[d] ? local[d] : grids[i][d] / local[d] * local[d];
		clEnqueueNDRangeKernel(stream->queue, kernel->kernel, 3, NULL, global, local, 1, &never,
							   NULL);
	}
}

static void module_warm(struct gpu_module *module)
{
	enum { KERNELS_MAX = 64 };
	cl_kernel kernels[KERNELS_MAX];
	struct gpu_why why;
	struct gpu_stream *stream = NULL;
	cl_uint count = 0;
	cl_int error;
	if (stream_create(module->device, &stream, &why) != FOS_OK)
		return;
	cl_event never = clCreateUserEvent(module->device->context, &error);
	if (error != CL_SUCCESS) {
		stream_destroy(stream);
		return;
	}
	if (clCreateKernelsInProgram(module->program, KERNELS_MAX, kernels, &count) != CL_SUCCESS) {
		clReleaseEvent(never);
		stream_destroy(stream);
		return;
	}
	module->warming = stream;
	for (cl_uint i = 0; i < count; i++) {
		char name[NAME_MAX_BYTES] = "";
		struct gpu_kernel *kernel;
		clGetKernelInfo(kernels[i], CL_KERNEL_FUNCTION_NAME, sizeof name - 1, name, NULL);
		clReleaseKernel(kernels[i]);
		if (kernel_create(module, name, &kernel, &why) == FOS_OK)
			warm(stream, kernel, never);
	}
}

const struct gpu_backend gpu_opencl = {
	.name = "opencl",
	.open = device_open,
	.close = device_close,
	.describe = device_describe,
	.buffer_create = buffer_create,
	.buffer_destroy = buffer_destroy,
	.stream_create = stream_create,
	.stream_destroy = stream_destroy,
	.module_build = module_build,
	.module_destroy = module_destroy,
	.module_warm = module_warm,
	.kernel_create = kernel_create,
	.kernel_destroy = kernel_destroy,
	.kernel_params = kernel_params,
	.launch = launch,
};
