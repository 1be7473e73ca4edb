/* The engine of the GPU service: who owns what on the device, and what may run next.
 *
 * It knows contexts, allocations, modules, kernels and jobs (launches), and nothing of Requests:
 * the service (service.h) gives it what deliveries brought and tells its answers. Everything is
 * named by an id that is never used twice; an id of something gone is REVOKED. An id of another
 * context is never found.
 *
 * Threads. One lock inside; any function may be called from any thread, except that engine_take()
 * and engine_run() belong to one thread, the device's. Compiling happens outside, on objects that
 * are not in the tables yet (modules) or are pinned (engine_module_pin).
 *
 * Life of an object: it is *retired* (no longer found, at once), then *released* (the service has
 * revoked what it had handed out: nobody else reads or writes it), and destroyed when moreover no
 * job and no compilation pins it. Modules and kernels hand nothing out: retiring releases them.
 *
 * Order. Jobs of a context run in the order they came. A job waits while bytes that it may write
 * are still being copied out for an earlier one. A context that waits does not hold up others.
 */
#ifndef GPU_ENGINE_H
#define GPU_ENGINE_H

#include "backend.h"

enum {
	ENGINE_CONTEXTS = 64,
	ENGINE_ALLOCATIONS = 1024, /* of a context */
	ENGINE_MODULES = 64,       /* of a context */
	ENGINE_KERNELS = 256,      /* of a context */
	ENGINE_JOBS = 512          /* queued or copying, of all contexts */
};

struct engine;
struct job;

struct engine_config {
	const struct gpu_backend *backend;
	struct gpu_device *device;
	uint64_t memory; /* bytes for all contexts */
	/* Where device memory comes from: aligned to a page; any thread, under the engine's lock. */
	fos_status (*alloc)(void *arg, size_t length, void **out);
	void (*free)(void *arg, void *bytes);
	void *arg;
};

fos_status engine_create(const struct engine_config *config, struct engine **out);
/* No job is running. Destroys whatever is left. NULL is allowed. */
void engine_destroy(struct engine *engine);
uint64_t engine_memory_free(struct engine *engine);

struct engine_usage { /* of what is not destroyed yet */
	uint64_t contexts, memory, allocations, modules, kernels, jobs;
};
void engine_usage(struct engine *engine, struct engine_usage *out);

/* ------------------------------------------------------------------ contexts
 * `slot` (below ENGINE_CONTEXTS) is the service's; it is free again when engine_slot_free(). */
fos_status engine_context_open(struct engine *engine, unsigned slot, uint64_t *out,
							   struct gpu_why *why);
/* Retires it and all that it holds; false: it is gone or retired already. */
bool engine_context_retire(struct engine *engine, uint64_t context);
/* Releases it. In between, engine_tag_next() names what has to be revoked. */
void engine_context_release(struct engine *engine, uint64_t context);
/* The tag of some allocation of a retired context, each once; false: no more. */
bool engine_tag_next(struct engine *engine, uint64_t context, uint64_t *tag);
bool engine_slot_free(struct engine *engine, unsigned slot);
unsigned engine_slot_of(uint64_t context);

/* ------------------------------------------------------------------ allocations */

/* `size` bytes of device memory, all zero. QUOTA. */
fos_status engine_alloc(struct engine *engine, uint64_t context, uint64_t size, uint64_t *out,
						void **bytes, struct gpu_why *why);
/* What the service wants to find at its end: not 0. */
void engine_alloc_tag(struct engine *engine, uint64_t context, uint64_t id, uint64_t tag);
fos_status engine_alloc_retire(struct engine *engine, uint64_t context, uint64_t id, uint64_t *tag,
							   struct gpu_why *why);
void engine_alloc_release(struct engine *engine, uint64_t context, uint64_t id);

/* ------------------------------------------------------------------ modules and kernels */

/* Takes the module over; where it cannot, destroys it and says why. */
fos_status engine_module_add(struct engine *engine, uint64_t context, struct gpu_module *module,
							 uint64_t *out, struct gpu_why *why);
/* Keeps it while a kernel is made of it, until engine_module_unpin(). */
fos_status engine_module_pin(struct engine *engine, uint64_t context, uint64_t id,
							 struct gpu_module **out, struct gpu_why *why);
void engine_module_unpin(struct engine *engine, uint64_t context, uint64_t id);
fos_status engine_kernel_add(struct engine *engine, uint64_t context, struct gpu_kernel *kernel,
							 uint64_t *out, struct gpu_why *why);

/* ------------------------------------------------------------------ launches */

struct engine_memory { /* a Memory as it was delivered */
	const void *ptr;   /* NULL: not over the own arena, or not bound */
	uint64_t length;
	unsigned rights; /* enum fos_rights */
};

/* What the service needs again when the job has ended. */
struct engine_ticket {
	void *owner;
	fos_delivery_id delivery;
	fos_cap to, from, next;
};

struct engine_request {
	uint64_t context, kernel;
	fos_gpu_launch launch;
	struct engine_memory memory[FOS_GPU_ARGS_MAX];
	bool copies; /* `from` is copied out when the kernel has ended */
	struct engine_memory from;
	struct engine_ticket ticket;
};

/* Checks the request and queues it; what it uses is pinned from here on. BUSY: too many jobs. */
fos_status engine_submit(struct engine *engine, const struct engine_request *request,
						 struct gpu_why *why);
/* The next job that may run, taken out of the queue; NULL: none may. */
struct job *engine_take(struct engine *engine);
/* Runs its kernel to the end. REVOKED: its context was closed meanwhile. */
fos_status engine_run(struct engine *engine, struct job *job, struct gpu_why *why);
const struct engine_ticket *engine_ticket(const struct job *job);
/* From now until engine_end() the job's `from` is being copied out. */
void engine_copying(struct engine *engine, struct job *job);
/* The job is over: unpins what it used and frees it. True: that was the last of a closed context,
 * whose slot is free now. */
bool engine_end(struct engine *engine, struct job *job);

#endif
