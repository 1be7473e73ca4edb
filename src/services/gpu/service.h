/* The GPU service: between deliveries and the engine.
 *
 * Two channels, each with a thread of its own, so that nobody waits for a kernel but launches:
 *
 *     control   the root Request, contexts' Requests, lives: whatever is quick         service.c
 *     device    launch Requests; runs a kernel inside the handler that received it     device.c
 *
 * and one more thread that compiles (builder.h) and tells the control thread its results. Because a
 * kernel runs on the channel that its launch arrived on, nothing changes threads between the ring
 * record that starts it and the one that continues the chain, and the queue in front of the device
 * is that channel's inbox, shared fairly among senders by the Controller.
 *
 * What a client holds is a refinement of a base Request of its context, with all of
 * [0, FOS_ARG) bound to a struct bound, so that it can be neither forged nor changed. Closing a
 * context revokes its bases. A Request belongs to the channel it was made on; so the device thread
 * keeps a base ready in every free slot and replaces those of closed contexts.
 */
#ifndef GPU_SERVICE_H
#define GPU_SERVICE_H

#include <pthread.h>
#include <stdatomic.h>

#include "builder.h"
#include "compiler.h"
#include "engine.h"

enum bound_kind { BOUND_ROOT = 1, BOUND_CONTEXT, BOUND_ALLOCATION, BOUND_MODULE, BOUND_KERNEL };
struct bound {
	uint32_t kind; /* enum bound_kind */
	uint32_t zero;
	uint64_t context;
	uint64_t object; /* allocation, module or kernel */
	uint64_t zeros[5];
};
_Static_assert(sizeof(struct bound) == FOS_ARG, "it fills the provider's part");

enum slot_state {
	SLOT_EMPTY,  /* the device thread has to make a new launch base */
	SLOT_READY,  /* may become a context */
	SLOT_OPEN,   /* is one */
	SLOT_CLOSED, /* was one: the device thread has to revoke its launch base */
};
struct slot {
	enum slot_state state; /* under the service's lock */
	fos_cap launch;        /* base of launch Requests; made and revoked by the device thread */
	/* The rest belongs to the control thread. */
	uint64_t context;
	fos_cap base; /* of the context's, its modules' and its allocations' Requests */
	fos_cap life;
};

struct service {
	const struct gpu_backend *backend;
	struct gpu_device *device;
	struct engine *engine;
	struct builder *builder;
	struct compiler *compiler; /* NULL: modules are compiled in this process */
	fos_channel *control_channel, *device_channel;
	fos_cap root;        /* refined: what is published */
	unsigned open_count; /* contexts */
	pthread_t device_thread;
	bool device_stopped; /* that thread has ended: no kernel is run any more */
	int device_wake;     /* eventfd: slots wait for the device thread */
	pthread_mutex_t lock;
	struct slot slots[ENGINE_CONTEXTS];
};

struct service_options {
	const struct gpu_backend *backend;
	struct compiler *compiler; /* borrowed; may be NULL */
	const char *device;        /* NULL: the backend's default */
	uint64_t memory;           /* bytes for contexts */
};

/* Opens the device and everything else; the control channel is the caller's thread's. On failure
 * `why` says what. */
fos_status service_open(fos_process *process, const struct service_options *options,
						struct service **out, struct gpu_why *why);
/* Ends the threads. False: a kernel or the compiler still runs, nothing may be freed: leave with
 * _exit(). */
bool service_close(struct service *service);

/* device.c */
fos_status device_start(struct service *service, struct gpu_why *why);
/* Has slots looked at. Any thread. */
void device_wake(struct service *service);
/* Ends the thread; waits up to `time` ns for the kernel that runs. */
bool device_stop(struct service *service, uint64_t time);

/* Fails a delivery in the service's name. What fails about that leaves nothing to be done: the
 * Controller is lost, which ends the serving loop, or the delivery has ended. */
fos_handled service_fail(fos_channel *ch, fos_delivery_id delivery, fos_status status,
						 const char *detail);
/* For calls of that kind. */
static inline void ignore(fos_status status)
{
	(void)status;
}

#endif
