/* The GPU service's blocking calls, for every Process: part of libfractos.
 *
 * Each context has a life of its own, a Request that is revoked at fos_gpu_close(): so the service
 * closes the context also where it was opened but its answer did not come in time.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <fractos/gpu.h>

static const uint64_t BUILD_TIME = 120000000000; /* ns: a compiler may take a while */

/* What fos_gpu_close() has to end. A context is named by its slot alone, so the lives of the
 * program stand in one list. */
struct life {
	struct life *next;
	fos_process *process;
	fos_cap context;
	fos_cap request;
};
static struct life *lives;
static pthread_mutex_t lives_lock = PTHREAD_MUTEX_INITIALIZER;

/* For clean-up whose failure leaves nothing to be done: the Controller is lost, or what is to end
 * has ended. */
static void ignore(fos_status status)
{
	(void)status;
}

static fos_handled life_delivered(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	return FOS_FINISH; /* it says all by being there */
}

static void life_end(fos_channel *ch, struct life *life)
{
	pthread_mutex_lock(&lives_lock);
	struct life **link = &lives;
	while (*link && *link != life)
		link = &(*link)->next;
	if (*link)
		*link = life->next;
	pthread_mutex_unlock(&lives_lock);
	ignore(fos_cap_revoke(ch, life->request));
	ignore(fos_cap_close(ch, life->request));
	free(life);
}

static fos_status life_begin(fos_channel *ch, struct life **out)
{
	struct life *life = calloc(1, sizeof *life);
	if (!life)
		return FOS_QUOTA;
	life->process = fos_channel_process(ch);
	fos_status status = fos_request_create(ch, life_delivered, NULL, NULL, &life->request);
	if (status != FOS_OK) {
		free(life);
		return status;
	}
	pthread_mutex_lock(&lives_lock);
	life->next = lives;
	lives = life;
	pthread_mutex_unlock(&lives_lock);
	*out = life;
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
	struct life *life;
	fos_args args;
	fos_reply reply = {0};
	fos_gpu_args request = {.op = FOS_GPU_CONTEXT};
	fos_status status = life_begin(ch, &life);
	if (status != FOS_OK)
		return status;
	fos_args_init(&args);
	fos_args_cap(&args, FOS_CALL, FOS_GPU_LIFE, life->request);
	status = ask(ch, gpu, &request, &args, 0, &life->context, 1, &reply);
	fos_cap context = life->context;
	fos_reply_release(ch, &reply);
	if (status == FOS_OK)
		*out = context;
	else
		life_end(ch, life);
	return status;
}

fos_status fos_gpu_close(fos_channel *ch, fos_cap context)
{
	fos_process *process = fos_channel_process(ch);
	fos_gpu_args request = {.op = FOS_GPU_CLOSE};
	fos_status status = ask_simple(ch, context, &request, NULL, 0);
	pthread_mutex_lock(&lives_lock);
	struct life *life = lives;
	while (life && (life->process != process || life->context != context))
		life = life->next;
	pthread_mutex_unlock(&lives_lock);
	if (life)
		life_end(ch, life);
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
