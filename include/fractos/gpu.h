/* The GPU service: contexts, device memory, modules, kernels.
 *
 * Published as "gpu". Device memory is a Memory like any other, so storage or another node copies
 * straight into it. A launch is one Request: it runs the kernel, copies what it is told to where it
 * is told to, and continues.
 */
#ifndef FRACTOS_GPU_H
#define FRACTOS_GPU_H

#include <fractos/fractos.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	FOS_GPU_NAME_MAX = 64,        /* bytes of a kernel's name with its final zero */
	FOS_GPU_OPTIONS_MAX = 256,    /* bytes of build options with the final zero */
	FOS_GPU_ARGS_MAX = 16,        /* kernel arguments */
	FOS_GPU_SOURCE_MAX = 1 << 20, /* bytes of a module's source */
	FOS_GPU_ALIGN = 128 /* bytes: kernel arguments that are Memory must start so aligned in
						   their allocation, else INVALID */
};

/* The root Request ("gpu"): fos_gpu_args at FOS_ARG. A context's Request (result of CONTEXT) takes
 * the other operations; everything made through it dies with it. */
enum fos_gpu_op {
	FOS_GPU_INFO = 1,    /* root; result fos_gpu_info */
	FOS_GPU_CONTEXT = 2, /* root; capability FOS_GPU_LIFE: a Request of the client, see below;
							capability result: the context's Request */
	FOS_GPU_ALLOC = 3,   /* size; capability results: Memory, Request that frees it */
	FOS_GPU_MODULE = 4,  /* capability FOS_GPU_SOURCE: Memory with source text; options in `name`;
							result: the module's Request. DEVICE: does not compile, the exception's
							detail is the build log (its last FOS_DETAIL_MAX - 1 bytes) */
	FOS_GPU_KERNEL = 5,  /* on a module's Request; name; result: the launch Request. NOT_FOUND */
	FOS_GPU_CLOSE = 6    /* on a context's Request: frees all */
};
enum { FOS_GPU_LIFE = 1, FOS_GPU_SOURCE = 1 };

/* A context lives as long as its life, a Request of the client that the service watches and nobody
 * invokes: when it is revoked, the client or its Controller dies, or the link is lost, the service
 * closes the context and frees all that belongs to it. */
typedef struct fos_gpu_args {
	uint32_t op;
	uint32_t zero;
	uint64_t size;
	char name[FOS_GPU_OPTIONS_MAX];
} fos_gpu_args;
typedef struct fos_gpu_info {
	char backend[16]; /* "opencl", "cuda" */
	char device[112];
	uint64_t memory;    /* bytes free for contexts */
	uint32_t units;     /* compute units */
	uint32_t max_group; /* work-items in a group */
} fos_gpu_info;

/* The launch Request: fos_gpu_launch at FOS_ARG. Kernel argument i is taken from `values[i]`
 * (its first sizes[i] bytes: 1, 2, 4 or 8; for a __local pointer the number of its bytes), or,
 * where sizes[i] is 0, is the Memory that is capability FOS_GPU_ARG + i. Memory must come from the
 * same context's ALLOC and may be diminished. A Memory argument needs READ, and WRITE unless the
 * kernel declares it const or __constant. Launches of a context run in the order in which they
 * arrive; one that may write bytes that are still being copied out for an earlier one waits for
 * that. When the kernel has ended: if capability FOS_GPU_COPY_TO is bound, FOS_GPU_COPY_FROM
 * (device Memory) is copied there and `next` is invoked when it has landed; else `next` is invoked.
 */
typedef struct fos_gpu_launch {
	uint32_t global[3]; /* work-items; 1 where a dimension is not used */
	uint32_t local[3];  /* work-items a group; 0: the service chooses */
	uint32_t arg_count;
	uint32_t zero;
	uint8_t sizes[FOS_GPU_ARGS_MAX];
	uint64_t values[FOS_GPU_ARGS_MAX];
} fos_gpu_launch;
enum { FOS_GPU_COPY_TO = 1, FOS_GPU_COPY_FROM = 2, FOS_GPU_ARG = 16 };

/* Blocking calls of a client. Errors besides fos_call()'s: DEVICE, QUOTA (device memory, contexts),
 * BUSY, INVALID, NOT_FOUND, UNSUPPORTED (a kernel with images or more than FOS_GPU_ARGS_MAX
 * arguments), REVOKED (the context was closed).
 *
 * A context made by fos_gpu_context() lives until fos_gpu_close(), or as long as the channel it was
 * made on. fos_gpu_close() gives back what the client holds for it also when it returns an error
 * (the service has died); call it on that same channel. build_log (may be NULL) receives a
 * zero-terminated text. */
FOS_CHECKED fos_status fos_gpu_info_get(fos_channel *ch, fos_cap gpu, fos_gpu_info *out);
FOS_CHECKED fos_status fos_gpu_context(fos_channel *ch, fos_cap gpu, fos_cap *out);
FOS_CHECKED fos_status fos_gpu_alloc(fos_channel *ch, fos_cap context, uint64_t size,
									 fos_cap *memory, fos_cap *free_request);
FOS_CHECKED fos_status fos_gpu_free(fos_channel *ch, fos_cap free_request);
FOS_CHECKED fos_status fos_gpu_module(fos_channel *ch, fos_cap context, fos_cap source,
									  const char *options, char *build_log, size_t build_log_size,
									  fos_cap *out);
FOS_CHECKED fos_status fos_gpu_kernel(fos_channel *ch, fos_cap module, const char *name,
									  fos_cap *launch);
FOS_CHECKED fos_status fos_gpu_close(fos_channel *ch, fos_cap context);

/* Arguments of a launch, for chains: init, then one call an argument, then bind to a refinement of
 * the launch Request in `args`. `launch` is borrowed by fos_gpu_launch_bind(). */
void fos_gpu_launch_init(fos_gpu_launch *launch, uint32_t global, uint32_t local);
void fos_gpu_launch_value(fos_gpu_launch *launch, unsigned index, const void *value, size_t size);
void fos_gpu_launch_memory(fos_gpu_launch *launch, fos_args *args, fos_cap of, unsigned index,
						   fos_cap memory);
void fos_gpu_launch_bind(const fos_gpu_launch *launch, fos_args *args, fos_cap of);

#ifdef __cplusplus
}
#endif
#endif
