/* The GPU service's blocking calls, for every Process: part of libfractos.
 *
 *     client                            gpu
 *       | CONTEXT, lease                  |
 *       |-------------------------------->| opens it
 *       |            lease <--------------| on_error: the context is to be closed
 *       |            next  <--------------|
 *
 * The lease is a Request of the client. The delivery that the service makes through it stays open
 * until fos_gpu_close(): when the client dies its Controller fails the delivery, and that tells the
 * service. The service makes another one where it had lost sight of the client's node.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <fractos/gpu.h>

static const uint64_t BUILD_TIME = 120000000000; /* ns: a compiler may take a while */

/* What fos_gpu_close() has to end. A context is named by its slot alone, so the leases of the
 * program stand in one list. */
struct lease {
	struct lease *next;
	fos_process *process;
	fos_cap context;
	fos_cap request;
	fos_delivery_id held; /* FOS_DELIVERY_NONE: not delivered yet */
};
static struct lease *leases;
static pthread_mutex_t leases_lock = PTHREAD_MUTEX_INITIALIZER;

/* For clean-up whose failure leaves nothing to be done: the Controller is lost, or what is to end
 * has ended. */
static void ignore(fos_status status)
{
	(void)status;
}

static struct lease **lease_link(const struct lease *lease)
{
	struct lease **link = &leases;
	while (*link && *link != lease)
		link = &(*link)->next;
	return link;
}

/* Also a lease that has ended may still be delivered (it was in the ring), hence the search. */
static fos_handled lease_delivered(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	fos_delivery_id before = FOS_DELIVERY_NONE;
	pthread_mutex_lock(&leases_lock);
	struct lease *lease = *lease_link(arg);
	bool lives = lease && delivery->exception.status == FOS_OK;
	if (lives) {
		before = lease->held;
		lease->held = delivery->id;
	}
	pthread_mutex_unlock(&leases_lock);
	if (before != FOS_DELIVERY_NONE)
		ignore(fos_finish(ch, before));
	if (lives)
		return FOS_FINISH_LATER;
	return fos_fail(ch, delivery->id, FOS_CANCELLED, NULL) == FOS_OK ? FOS_FINISH_LATER
																	 : FOS_FINISH;
}

/* Fails what is held, so that the service closes the context also where it was opened but its
 * answer did not come in time. */
static void lease_end(fos_channel *ch, struct lease *lease)
{
	pthread_mutex_lock(&leases_lock);
	struct lease **link = lease_link(lease);
	if (*link)
		*link = lease->next;
	pthread_mutex_unlock(&leases_lock);
	ignore(fos_cap_revoke(ch, lease->request));
	ignore(fos_cap_close(ch, lease->request));
	if (lease->held != FOS_DELIVERY_NONE)
		ignore(fos_fail(ch, lease->held, FOS_CANCELLED, NULL));
	free(lease);
}

static fos_status lease_begin(fos_channel *ch, struct lease **out)
{
	struct lease *lease = calloc(1, sizeof *lease);
	if (!lease)
		return FOS_QUOTA;
	lease->process = fos_channel_process(ch);
	fos_status status = fos_request_create(ch, lease_delivered, lease, NULL, &lease->request);
	if (status != FOS_OK) {
		free(lease);
		return status;
	}
	pthread_mutex_lock(&leases_lock);
	lease->next = leases;
	leases = lease;
	pthread_mutex_unlock(&leases_lock);
	*out = lease;
	return FOS_OK;
}

/* ------------------------------------------------------------------ one round trip */

static fos_status set_name(fos_gpu_args *request, const char *name, size_t limit)
{
	size_t length = strlen(name);
	if (length >= limit)
		return FOS_INVALID;
	memcpy(request->name, name, length);
	return FOS_OK;
}

/* Sends `request` and waits; result capabilities are kept. *reply is safe to release always. */
static fos_status ask(fos_channel *ch, fos_cap to, const fos_gpu_args *request, fos_args *args,
					  uint64_t time, fos_cap *results, unsigned result_count, fos_reply *reply)
{
	fos_args_imm(args, FOS_CALL, FOS_ARG, request, sizeof *request);
	fos_status status = fos_call(ch, to, args, time, reply);
	for (unsigned i = 0; status == FOS_OK && i < result_count; i++) {
		results[i] = fos_delivery_cap(&reply->delivery, FOS_CAP_RESULT + i);
		status = results[i] == FOS_CAP_NONE ? FOS_INTERNAL : fos_cap_keep(ch, results[i]);
	}
	return status;
}

static fos_status ask_simple(fos_channel *ch, fos_cap to, const fos_gpu_args *request,
							 fos_cap *results, unsigned result_count)
{
	fos_args args;
	fos_reply reply = {0};
	fos_args_init(&args);
	fos_status status = ask(ch, to, request, &args, 0, results, result_count, &reply);
	fos_reply_release(ch, &reply);
	return status;
}

fos_status fos_gpu_info_get(fos_channel *ch, fos_cap gpu, fos_gpu_info *out)
{
	fos_args args;
	fos_reply reply = {0};
	fos_gpu_args request = {.op = FOS_GPU_INFO};
	fos_args_init(&args);
	fos_status status = ask(ch, gpu, &request, &args, 0, NULL, 0, &reply);
	if (status == FOS_OK) {
		const fos_gpu_info *info = fos_delivery_imm(&reply.delivery, FOS_RESULT, sizeof *info);
		if (info)
			memcpy(out, info, sizeof *out);
		else
			status = FOS_INTERNAL;
	}
	fos_reply_release(ch, &reply);
	return status;
}

/* ------------------------------------------------------------------ contexts */

fos_status fos_gpu_context(fos_channel *ch, fos_cap gpu, fos_cap *out)
{
	struct lease *lease;
	fos_args args;
	fos_reply reply = {0};
	fos_gpu_args request = {.op = FOS_GPU_CONTEXT};
	fos_status status = lease_begin(ch, &lease);
	if (status != FOS_OK)
		return status;
	fos_args_init(&args);
	fos_args_cap(&args, FOS_CALL, FOS_GPU_LEASE, lease->request);
	status = ask(ch, gpu, &request, &args, 0, &lease->context, 1, &reply);
	fos_cap context = lease->context;
	fos_reply_release(ch, &reply);
	if (status == FOS_OK)
		*out = context;
	else
		lease_end(ch, lease);
	return status;
}

fos_status fos_gpu_close(fos_channel *ch, fos_cap context)
{
	fos_process *process = fos_channel_process(ch);
	fos_gpu_args request = {.op = FOS_GPU_CLOSE};
	fos_status status = ask_simple(ch, context, &request, NULL, 0);
	pthread_mutex_lock(&leases_lock);
	struct lease *lease = leases;
	while (lease && (lease->process != process || lease->context != context))
		lease = lease->next;
	pthread_mutex_unlock(&leases_lock);
	if (lease)
		lease_end(ch, lease);
	ignore(fos_cap_close(ch, context));
	return status;
}

/* ------------------------------------------------------------------ memory, modules, kernels */

fos_status fos_gpu_alloc(fos_channel *ch, fos_cap context, uint64_t size, fos_cap *memory,
						 fos_cap *free_request)
{
	fos_cap results[2] = {FOS_CAP_NONE, FOS_CAP_NONE};
	fos_gpu_args request = {.op = FOS_GPU_ALLOC, .size = size};
	fos_status status = ask_simple(ch, context, &request, results, 2);
	if (status == FOS_OK) {
		*memory = results[0];
		*free_request = results[1];
	}
	return status;
}

fos_status fos_gpu_free(fos_channel *ch, fos_cap free_request)
{
	fos_reply reply = {0};
	fos_status status = fos_call(ch, free_request, NULL, 0, &reply);
	fos_reply_release(ch, &reply);
	return status;
}

fos_status fos_gpu_module(fos_channel *ch, fos_cap context, fos_cap source, const char *options,
						  char *build_log, size_t build_log_size, fos_cap *out)
{
	fos_args args;
	fos_reply reply = {0};
	fos_gpu_args request = {.op = FOS_GPU_MODULE};
	if (build_log && build_log_size)
		build_log[0] = 0;
	fos_status status = set_name(&request, options ? options : "", FOS_GPU_OPTIONS_MAX);
	if (status != FOS_OK)
		return status;
	fos_args_init(&args);
	fos_args_cap(&args, FOS_CALL, FOS_GPU_SOURCE, source);
	status = ask(ch, context, &request, &args, BUILD_TIME, out, 1, &reply);
	const fos_exception *exception = &reply.delivery.exception;
	if (status != FOS_OK && build_log && build_log_size && exception->detail) {
		size_t length = strnlen(exception->detail, build_log_size - 1);
		memcpy(build_log, exception->detail, length);
		build_log[length] = 0;
	}
	fos_reply_release(ch, &reply);
	return status;
}

fos_status fos_gpu_kernel(fos_channel *ch, fos_cap module, const char *name, fos_cap *launch)
{
	fos_args args;
	fos_reply reply = {0};
	fos_gpu_args request = {.op = FOS_GPU_KERNEL};
	fos_status status = set_name(&request, name, FOS_GPU_NAME_MAX);
	if (status != FOS_OK)
		return status;
	fos_args_init(&args);
	status = ask(ch, module, &request, &args, BUILD_TIME, launch, 1, &reply);
	fos_reply_release(ch, &reply);
	return status;
}

/* ------------------------------------------------------------------ arguments of a launch */

void fos_gpu_launch_init(fos_gpu_launch *launch, uint32_t global, uint32_t local)
{
	*launch =
		(fos_gpu_launch){.global = {global, 1, 1}, .local = {local, local ? 1 : 0, local ? 1 : 0}};
}

/* A mistake is kept for the service to refuse: an argument count that no kernel has. */
static bool argument(fos_gpu_launch *launch, unsigned index)
{
	if (index >= FOS_GPU_ARGS_MAX) {
		launch->arg_count = UINT32_MAX;
		return false;
	}
	if (index >= launch->arg_count)
		launch->arg_count = index + 1;
	return true;
}

void fos_gpu_launch_value(fos_gpu_launch *launch, unsigned index, const void *value, size_t size)
{
	if (size == 0 || size > sizeof launch->values[0])
		index = FOS_GPU_ARGS_MAX;
	if (!argument(launch, index))
		return;
	launch->sizes[index] = (uint8_t)size;
	launch->values[index] = 0;
	memcpy(&launch->values[index], value, size);
}

void fos_gpu_launch_memory(fos_gpu_launch *launch, fos_args *args, fos_cap of, unsigned index,
						   fos_cap memory)
{
	if (!argument(launch, index))
		return;
	launch->sizes[index] = 0;
	launch->values[index] = 0;
	fos_args_cap(args, of, FOS_GPU_ARG + index, memory);
}

void fos_gpu_launch_bind(const fos_gpu_launch *launch, fos_args *args, fos_cap of)
{
	fos_args_imm(args, of, FOS_ARG, launch, sizeof *launch);
}
