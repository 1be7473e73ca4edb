/* What the GPU service needs of a kind of device: one table of functions per programming interface.
 *
 * The engine (engine.h) decides who may use what; a backend only makes buffers, modules and kernels
 * and runs them. It is trusted by the engine and trusts it: handles are live, regions lie inside
 * their buffer, counts are within the limits of fractos/gpu.h.
 *
 * Memory. buffer_create() is given bytes of the Process's arena, so that what the network delivers
 * lands where kernels read it. A backend whose device cannot compute on such bytes in place refuses
 * the device in open().
 *
 * Threads. open() and close() are called alone. buffer_*, module_* and kernel_* may run at the same
 * time on different threads, also beside a launch, but never two on one object. One stream belongs
 * to one thread; a kernel is launched by one thread at a time; whoever destroys an object has made
 * sure that no launch uses it.
 *
 * Errors. Every function that can fail returns a status and leaves a text for people in *why (which
 * becomes the exception's detail). Texts end without a full stop or newline, build logs excepted.
 */
#ifndef GPU_BACKEND_H
#define GPU_BACKEND_H

#include <stdarg.h>
#include <stdio.h>

#include <fractos/gpu.h>

struct gpu_device;
struct gpu_buffer;
struct gpu_stream;
struct gpu_module;
struct gpu_kernel;

struct gpu_why {
	char text[FOS_DETAIL_MAX]; /* zero-terminated */
};

/* What a kernel's parameter takes. */
enum gpu_param_kind {
	GPU_PARAM_VALUE, /* 1 to 8 bytes */
	GPU_PARAM_MEMORY,
	GPU_PARAM_LOCAL /* a number of bytes of work-group memory, given as a value */
};
struct gpu_param {
	enum gpu_param_kind kind;
	bool writes; /* MEMORY: the kernel may write there */
};

struct gpu_region { /* bytes of a buffer; the offset is a multiple of FOS_GPU_ALIGN */
	struct gpu_buffer *buffer;
	uint64_t offset;
	uint64_t length;
};

struct gpu_work { /* one launch; as many arguments as the kernel has parameters */
	uint32_t global[3];
	uint32_t local[3]; /* local[0] 0: the backend chooses */
	uint8_t sizes[FOS_GPU_ARGS_MAX];
	uint64_t values[FOS_GPU_ARGS_MAX];
	struct gpu_region regions[FOS_GPU_ARGS_MAX];
};

struct gpu_backend {
	const char *name; /* of fos_gpu_info */

	/* Opens the device whose name contains `wanted` (NULL: the backend's default). */
	fos_status (*open)(const char *wanted, struct gpu_device **out, struct gpu_why *why);
	void (*close)(struct gpu_device *device);
	/* Fills in everything but `memory`. */
	void (*describe)(struct gpu_device *device, fos_gpu_info *info);

	/* Device memory over [host, host+length), aligned to a page; the bytes stay the caller's and
	 * must outlive the buffer. QUOTA: more than the device takes. */
	fos_status (*buffer_create)(struct gpu_device *device, void *host, uint64_t length,
								struct gpu_buffer **out, struct gpu_why *why);
	void (*buffer_destroy)(struct gpu_buffer *buffer);

	/* A line of launches that run in order. */
	fos_status (*stream_create)(struct gpu_device *device, struct gpu_stream **out,
								struct gpu_why *why);
	void (*stream_destroy)(struct gpu_stream *stream);

	/* Compiles; may take seconds. DEVICE: *why is the end of the build log. */
	fos_status (*module_build)(struct gpu_device *device, const char *source, size_t length,
							   const char *options, struct gpu_module **out, struct gpu_why *why);
	void (*module_destroy)(struct gpu_module *module);
	/* Does for every kernel what its first launch would have to do, with the group size that the
	 * backend chooses, as far as the driver keeps that beyond this process; runs nothing. The
	 * module and its device cannot be used afterwards: the process is to end. */
	void (*module_warm)(struct gpu_module *module);

	/* NOT_FOUND: the module has no kernel of that name; UNSUPPORTED: a parameter of it cannot be
	 * given through fos_gpu_launch. The kernel keeps what it needs of its module. */
	fos_status (*kernel_create)(struct gpu_module *module, const char *name,
								struct gpu_kernel **out, struct gpu_why *why);
	void (*kernel_destroy)(struct gpu_kernel *kernel);
	/* How many parameters; *out borrows them for the kernel's life. */
	unsigned (*kernel_params)(const struct gpu_kernel *kernel, const struct gpu_param **out);
	/* Runs the kernel and returns when its last effect is over. */
	fos_status (*launch)(struct gpu_stream *stream, struct gpu_kernel *kernel,
						 const struct gpu_work *work, struct gpu_why *why);
};

/* OpenCL through the ICD loader. Devices that compute on the host's own memory: see opencl.c. */
extern const struct gpu_backend gpu_opencl;

/* Writes a text. */
__attribute__((format(printf, 2, 3))) static inline void gpu_say(struct gpu_why *why,
																 const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why->text, sizeof why->text, format, args);
	va_end(args);
}

/* Writes a text and is the status: return gpu_refuse(why, FOS_INVALID, "...", ...). A macro, so
 * that an analyzer, which does not look into variadic functions, sees what comes back. */
#define gpu_refuse(why, status, ...) (gpu_say((why), __VA_ARGS__), (fos_status)(status))

#endif
