/* The control side of the service: the root Request, contexts, memory, modules, kernels, lives.
 * See service.h, and fractos/gpu.h for what travels.
 *
 * The life of a context:
 *
 *     CONTEXT --> open, its life watched --> CLOSE, or the life has ended or is out of sight
 *                                           |
 *                                           v
 *                 retired (nothing of it is found any more), its Memory and its bases revoked,
 *                 released (bytes are given back, as soon as no kernel uses them)
 *
 * Calls to the own Controller block: they are round trips of microseconds, and nobody but the
 * Controller is waited for.
 */
#include "service.h"

#include <assert.h>
#include <fractos/stats.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const uint64_t STOP_TIME = 2ull * 1000000000;
enum { PAGE = 4096 };

/* ------------------------------------------------------------------ answers */

fos_handled service_fail(fos_channel *ch, fos_delivery_id delivery, fos_status status,
						 const char *detail)
{
	ignore(fos_fail(ch, delivery, status, detail));
	return FOS_FINISH_LATER;
}

/* Names a refinement of `base` that stands for an object of a context. `bound` is borrowed until
 * the call has been submitted. */
static fos_cap refine(fos_args *args, fos_cap base, const struct bound *bound)
{
	fos_cap cap = fos_args_refine(args, base);
	fos_args_imm(args, cap, 0, bound, sizeof *bound);
	return cap;
}

/* Continues with a refinement of `base` as the result. */
static void answer_with(struct service *s, fos_delivery_id delivery, fos_cap next, fos_cap base,
						const struct bound *bound)
{
	fos_args args;
	fos_args_init(&args);
	fos_args_cap(&args, FOS_CALL, FOS_CAP_RESULT, refine(&args, base, bound));
	ignore(fos_continue(s->control_channel, delivery, next, &args, NULL, NULL));
}

static fos_handled answer_empty(struct service *s, const fos_delivery *delivery)
{
	fos_cap next = fos_delivery_cap(delivery, FOS_NEXT);
	if (next == FOS_CAP_NONE)
		return FOS_FINISH;
	ignore(fos_continue(s->control_channel, delivery->id, next, NULL, NULL, NULL));
	return FOS_FINISH_LATER;
}

/* ------------------------------------------------------------------ contexts */

static void drop(struct service *s, fos_cap cap)
{
	ignore(fos_cap_revoke(s->control_channel, cap));
	ignore(fos_cap_close(s->control_channel, cap));
}

static void context_close(struct service *s, uint64_t context)
{
	struct slot *slot = &s->slots[engine_slot_of(context)];
	uint64_t memory;
	if (!engine_context_retire(s->engine, context))
		return;
	while (engine_tag_next(s->engine, context, &memory))
		drop(s, memory);
	drop(s, slot->base);
	ignore(fos_cap_close(s->control_channel, slot->life)); /* and its monitor ends */
	engine_context_release(s->engine, context);
	s->open_count--;
	pthread_mutex_lock(&s->lock);
	slot->state = SLOT_CLOSED;
	pthread_mutex_unlock(&s->lock);
	device_wake(s);
}

/* Whose life is watched. By the context's id, not by its slot: a life may end in the moment in
 * which its context is closed, and be heard of when the slot is another's. */
struct watch {
	struct service *service;
	uint64_t context;
};

/* The client's Process or node has ended, or is out of sight, or cannot be watched. */
static void life_ended(fos_channel *ch, const fos_result *result, void *arg)
{
	struct watch *watch = arg;
	if (result->status != FOS_CANCELLED) /* that would be the context's own end */
		context_close(watch->service, watch->context);
	free(watch);
}

/* Keeps the life and watches it. */
static fos_status life_watch(struct service *s, const struct slot *slot)
{
	struct watch *watch = malloc(sizeof *watch);
	if (!watch)
		return FOS_QUOTA;
	*watch = (struct watch){s, slot->context};
	fos_status status = fos_cap_keep(s->control_channel, slot->life);
	if (status == FOS_OK)
		status = fos_monitor_receive_async(s->control_channel, slot->life, life_ended, watch);
	if (status != FOS_OK)
		free(watch);
	return status;
}

static struct slot *slot_take(struct service *s)
{
	struct slot *taken = NULL;
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < ENGINE_CONTEXTS && !taken; i++)
		if (s->slots[i].state == SLOT_READY)
			taken = &s->slots[i];
	if (taken)
		taken->state = SLOT_OPEN;
	pthread_mutex_unlock(&s->lock);
	return taken;
}

static void slot_give_back(struct service *s, struct slot *slot)
{
	pthread_mutex_lock(&s->lock);
	slot->state = SLOT_READY;
	pthread_mutex_unlock(&s->lock);
}

static fos_handled context_request(fos_channel *ch, const fos_delivery *delivery, void *arg);

static fos_handled context_open(struct service *s, const fos_delivery *delivery)
{
	const fos_delivered_cap *life = &delivery->caps[FOS_GPU_LIFE];
	fos_channel *ch = s->control_channel;
	struct gpu_why why;
	if (life->cap == FOS_CAP_NONE || life->kind != FOS_REQUEST)
		return service_fail(ch, delivery->id, FOS_INVALID, "a context needs a life");
	struct slot *slot = slot_take(s);
	if (!slot)
		return service_fail(ch, delivery->id, FOS_QUOTA,
							"all contexts are in use, or closed ones still run a kernel");
	assert(slot->launch != FOS_CAP_NONE);
	fos_status status = fos_request_create(ch, context_request, s, NULL, &slot->base);
	if (status != FOS_OK) {
		slot_give_back(s, slot);
		return service_fail(ch, delivery->id, status, "no Request for the context");
	}
	status = engine_context_open(s->engine, (unsigned)(slot - s->slots), &slot->context, &why);
	if (status != FOS_OK) {
		drop(s, slot->base);
		slot_give_back(s, slot);
		return service_fail(ch, delivery->id, status, why.text);
	}
	slot->life = life->cap;
	s->open_count++;
	status = life_watch(s, slot);
	if (status != FOS_OK) {
		context_close(s, slot->context);
		return service_fail(ch, delivery->id, status, "the context's life is refused");
	}
	const struct bound bound = {.kind = BOUND_CONTEXT, .context = slot->context};
	answer_with(s, delivery->id, fos_delivery_cap(delivery, FOS_NEXT), slot->base, &bound);
	return FOS_FINISH_LATER;
}

/* ------------------------------------------------------------------ memory */

static fos_handled memory_alloc(struct service *s, const fos_delivery *delivery, uint64_t context,
								uint64_t size)
{
	fos_channel *ch = s->control_channel;
	struct gpu_why why;
	uint64_t id;
	void *bytes;
	fos_cap memory, unused;
	fos_status status = engine_alloc(s->engine, context, size, &id, &bytes, &why);
	if (status != FOS_OK)
		return service_fail(ch, delivery->id, status, why.text);
	status = fos_memory_create(ch, bytes, size, FOS_READ | FOS_WRITE, &memory);
	if (status != FOS_OK) {
		ignore(engine_alloc_retire(s->engine, context, id, &unused, &why));
		engine_alloc_release(s->engine, context, id);
		return service_fail(ch, delivery->id, status, "no Memory for the allocation");
	}
	engine_alloc_tag(s->engine, context, id, memory);
	const struct bound bound = {.kind = BOUND_ALLOCATION, .context = context, .object = id};
	fos_args args;
	fos_args_init(&args);
	fos_args_cap(&args, FOS_CALL, FOS_CAP_RESULT, memory);
	fos_args_cap(&args, FOS_CALL, FOS_CAP_RESULT + 1,
				 refine(&args, s->slots[engine_slot_of(context)].base, &bound));
	ignore(fos_continue(ch, delivery->id, fos_delivery_cap(delivery, FOS_NEXT), &args, NULL, NULL));
	return FOS_FINISH_LATER;
}

static fos_handled memory_free(struct service *s, const fos_delivery *delivery, uint64_t context,
							   uint64_t id)
{
	struct gpu_why why;
	fos_cap memory;
	fos_status status = engine_alloc_retire(s->engine, context, id, &memory, &why);
	if (status != FOS_OK)
		return service_fail(s->control_channel, delivery->id, status, why.text);
	drop(s, memory);
	engine_alloc_release(s->engine, context, id);
	return answer_empty(s, delivery);
}

/* ------------------------------------------------------------------ modules and kernels
 *
 *     MODULE:  source copied here --> builder: module_build  --> engine_module_add, answer
 *     KERNEL:  module pinned      --> builder: kernel_create --> engine_kernel_add, answer
 */

struct build {
	struct builder_task task; /* first: it is what the builder hands back */
	struct service *service;
	fos_delivery_id delivery;
	fos_cap next;
	uint64_t context;
	char text[FOS_GPU_OPTIONS_MAX]; /* options, or the kernel's name */
	fos_status status;
	struct gpu_why why;
	/* a module */
	char *source; /* in the arena */
	uint64_t length;
	fos_cap source_memory;
	/* a module, or a kernel of it */
	struct gpu_module *module;
	uint64_t module_id;
	struct gpu_kernel *kernel;
};

static struct build *build_new(struct service *s, const fos_delivery *delivery, uint64_t context,
							   const char *text)
{
	struct build *build = calloc(1, sizeof *build);
	if (build) {
		build->service = s;
		build->delivery = delivery->id;
		build->next = fos_delivery_cap(delivery, FOS_NEXT);
		build->context = context;
		memcpy(build->text, text, strlen(text) + 1);
	}
	return build;
}

static void build_free(struct build *build)
{
	fos_free(fos_channel_process(build->service->control_channel), build->source);
	free(build);
}

/* Ends a build that failed: `detail`, or else what the builder said. */
static void build_fail(struct build *build, fos_status status, const char *detail)
{
	service_fail(build->service->control_channel, build->delivery, status,
				 detail ? detail : build->why.text);
	build_free(build);
}

static void module_work(struct builder_task *task)
{
	struct build *build = (struct build *)task;
	struct service *s = build->service;
	build->status = FOS_OK;
	if (s->compiler)
		build->status = compiler_build(s->compiler, build->source, (size_t)build->length,
									   build->text, &build->why);
	if (build->status == FOS_OK)
		build->status = s->backend->module_build(s->device, build->source, (size_t)build->length,
												 build->text, &build->module, &build->why);
}

static void module_finish(struct builder_task *task)
{
	struct build *build = (struct build *)task;
	struct service *s = build->service;
	uint64_t id;
	fos_status status = build->status;
	if (status == FOS_OK)
		status = engine_module_add(s->engine, build->context, build->module, &id, &build->why);
	if (status != FOS_OK) {
		build_fail(build, status, NULL);
		return;
	}
	const struct bound bound = {.kind = BOUND_MODULE, .context = build->context, .object = id};
	answer_with(s, build->delivery, build->next, s->slots[engine_slot_of(build->context)].base,
				&bound);
	build_free(build);
}

static void source_arrived(fos_channel *ch, const fos_result *result, void *arg)
{
	struct build *build = arg;
	drop(build->service, build->source_memory);
	build->task.work = module_work;
	build->task.finish = module_finish;
	if (result->status != FOS_OK)
		build_fail(build, result->status, "the module's source could not be copied");
	else if (!builder_submit(build->service->builder, &build->task))
		build_fail(build, FOS_BUSY, "too many modules and kernels are waiting to be compiled");
}

static fos_handled module_create(struct service *s, const fos_delivery *delivery, uint64_t context,
								 const char *options)
{
	fos_channel *ch = s->control_channel;
	const fos_delivered_cap *source = &delivery->caps[FOS_GPU_SOURCE];
	if (source->cap == FOS_CAP_NONE || source->kind != FOS_MEMORY)
		return service_fail(ch, delivery->id, FOS_INVALID, "a module needs Memory with its source");
	if (source->length > FOS_GPU_SOURCE_MAX)
		return service_fail(ch, delivery->id, FOS_RANGE, "a module's source has at most 1 MiB");
	struct build *build = build_new(s, delivery, context, options);
	if (!build)
		return service_fail(ch, delivery->id, FOS_QUOTA, "out of memory");
	void *bytes = NULL;
	const fos_invoke_options invoke = {.delivery = delivery->id};
	fos_status status = fos_alloc(fos_channel_process(ch), (size_t)source->length, PAGE, &bytes);
	build->source = bytes;
	build->length = source->length;
	if (status == FOS_OK)
		status = fos_memory_create(ch, bytes, source->length, FOS_WRITE, &build->source_memory);
	if (status != FOS_OK) {
		build_fail(build, status, "no Memory for the module's source");
		return FOS_FINISH_LATER;
	}
	status = fos_memory_copy_async(ch, build->source_memory, source->cap, NULL, &invoke,
								   source_arrived, build);
	if (status != FOS_OK) {
		drop(s, build->source_memory);
		build_fail(build, status, "the module's source could not be copied");
	}
	return FOS_FINISH_LATER;
}

static void kernel_work(struct builder_task *task)
{
	struct build *build = (struct build *)task;
	build->status = build->service->backend->kernel_create(build->module, build->text,
														   &build->kernel, &build->why);
}

static void kernel_finish(struct builder_task *task)
{
	struct build *build = (struct build *)task;
	struct service *s = build->service;
	uint64_t id;
	fos_status status = build->status;
	if (status == FOS_OK)
		status = engine_kernel_add(s->engine, build->context, build->kernel, &id, &build->why);
	engine_module_unpin(s->engine, build->context, build->module_id);
	device_wake(s);
	if (status != FOS_OK) {
		build_fail(build, status, NULL);
		return;
	}
	const struct bound bound = {.kind = BOUND_KERNEL, .context = build->context, .object = id};
	answer_with(s, build->delivery, build->next, s->slots[engine_slot_of(build->context)].launch,
				&bound);
	build_free(build);
}

static fos_handled kernel_create(struct service *s, const fos_delivery *delivery, uint64_t context,
								 uint64_t module, const char *name)
{
	fos_channel *ch = s->control_channel;
	struct build *build = build_new(s, delivery, context, name);
	if (!build)
		return service_fail(ch, delivery->id, FOS_QUOTA, "out of memory");
	build->module_id = module;
	build->task.work = kernel_work;
	build->task.finish = kernel_finish;
	fos_status status = engine_module_pin(s->engine, context, module, &build->module, &build->why);
	if (status != FOS_OK) {
		build_fail(build, status, NULL);
	} else if (!builder_submit(s->builder, &build->task)) {
		engine_module_unpin(s->engine, context, module);
		build_fail(build, FOS_BUSY, "too many modules and kernels are waiting to be compiled");
	}
	return FOS_FINISH_LATER;
}

static void builds_done(fos_channel *ch, int fd, void *arg)
{
	struct service *s = arg;
	builder_collect(s->builder);
}

/* ------------------------------------------------------------------ Requests */

/* The arguments if they are well-formed; else NULL, and the delivery has failed. */
static const fos_gpu_args *check(struct service *s, const fos_delivery *delivery)
{
	const fos_gpu_args *args = fos_delivery_imm(delivery, FOS_ARG, sizeof *args);
	const char *wrong = NULL;
	if (!args)
		wrong = "the arguments are shorter than fos_gpu_args";
	else if (memchr(args->name, 0, sizeof args->name) == NULL)
		wrong = "the name does not end with a zero";
	else if (args->op != FOS_GPU_CLOSE && fos_delivery_cap(delivery, FOS_NEXT) == FOS_CAP_NONE)
		wrong = "there is no Request for the answer";
	if (wrong)
		service_fail(s->control_channel, delivery->id, FOS_INVALID, wrong);
	return wrong ? NULL : args;
}

static fos_handled unsupported(struct service *s, const fos_delivery *delivery)
{
	return service_fail(s->control_channel, delivery->id, FOS_UNSUPPORTED,
						"this Request does not offer that operation");
}

static fos_handled close_requested(struct service *s, const fos_delivery *delivery,
								   uint64_t context)
{
	context_close(s, context);
	return answer_empty(s, delivery);
}

static fos_handled context_request(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct service *s = arg;
	struct bound bound;
	const void *bytes = fos_delivery_imm(delivery, 0, sizeof bound);
	assert(bytes); /* nobody gets a base that is not refined */
	memcpy(&bound, bytes, sizeof bound);
	if (delivery->exception.status != FOS_OK)
		return FOS_FINISH;
	if (bound.kind == BOUND_ALLOCATION)
		return memory_free(s, delivery, bound.context, bound.object);
	const fos_gpu_args *args = check(s, delivery);
	if (!args)
		return FOS_FINISH_LATER;
	if (bound.kind == BOUND_MODULE)
		return args->op == FOS_GPU_KERNEL
				   ? kernel_create(s, delivery, bound.context, bound.object, args->name)
				   : unsupported(s, delivery);
	switch (args->op) {
	case FOS_GPU_ALLOC:
		return memory_alloc(s, delivery, bound.context, args->size);
	case FOS_GPU_MODULE:
		return module_create(s, delivery, bound.context, args->name);
	case FOS_GPU_CLOSE:
		return close_requested(s, delivery, bound.context);
	}
	return unsupported(s, delivery);
}

static fos_handled info_get(struct service *s, const fos_delivery *delivery)
{
	fos_gpu_info info = {0};
	fos_args args;
	s->backend->describe(s->device, &info);
	info.memory = engine_memory_free(s->engine);
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_RESULT, &info, sizeof info);
	ignore(fos_continue(s->control_channel, delivery->id, fos_delivery_cap(delivery, FOS_NEXT),
						&args, NULL, NULL));
	return FOS_FINISH_LATER;
}

/* Contexts that were closed and whose place nobody gets yet. */
static uint64_t count_leaving(struct service *s)
{
	uint64_t count = 0;
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < ENGINE_CONTEXTS; i++)
		count += s->slots[i].state == SLOT_CLOSED || s->slots[i].state == SLOT_EMPTY;
	pthread_mutex_unlock(&s->lock);
	return count;
}

static fos_handled stats(struct service *s, const fos_delivery *delivery)
{
	struct engine_usage usage;
	fos_args args;
	engine_usage(s->engine, &usage);
	const fos_stat numbers[] = {
		{"contexts", s->open_count},   {"contexts_leaving", count_leaving(s)},
		{"memory_used", usage.memory}, {"allocations", usage.allocations},
		{"modules", usage.modules},    {"kernels", usage.kernels},
		{"jobs", usage.jobs}};
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_RESULT, numbers, sizeof numbers);
	ignore(fos_continue(s->control_channel, delivery->id, fos_delivery_cap(delivery, FOS_NEXT),
						&args, NULL, NULL));
	return FOS_FINISH_LATER;
}

static fos_handled root_request(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct service *s = arg;
	if (delivery->exception.status != FOS_OK)
		return FOS_FINISH;
	const fos_gpu_args *args = check(s, delivery);
	if (!args)
		return FOS_FINISH_LATER;
	if (args->op == FOS_GPU_INFO)
		return info_get(s, delivery);
	if (args->op == FOS_GPU_CONTEXT)
		return context_open(s, delivery);
	if (args->op == FOS_STATS)
		return stats(s, delivery);
	return unsupported(s, delivery);
}

/* ------------------------------------------------------------------ start and end */

static fos_status arena_alloc(void *arg, size_t length, void **out)
{
	return fos_alloc(arg, length, PAGE, out);
}

static void arena_free(void *arg, void *bytes)
{
	fos_free(arg, bytes);
}

/* The root Request, with the provider's part bound so that nobody else can bind it. */
static fos_status root_create(struct service *s)
{
	const struct bound bound = {.kind = BOUND_ROOT};
	fos_cap base;
	fos_args args;
	fos_status status = fos_request_create(s->control_channel, root_request, s, NULL, &base);
	if (status != FOS_OK)
		return status;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, 0, &bound, sizeof bound);
	return fos_request_refine(s->control_channel, base, &args, &s->root);
}

static fos_status channels_open(struct service *s, fos_process *process, struct gpu_why *why)
{
	fos_status status = fos_channel_open(process, &s->control_channel);
	if (status == FOS_OK)
		status = fos_channel_open(process, &s->device_channel);
	if (status == FOS_OK)
		status = fos_watch(s->control_channel, builder_fd(s->builder), builds_done, s);
	if (status == FOS_OK)
		status = root_create(s);
	if (status != FOS_OK)
		return gpu_refuse(why, status, "cannot open channels: %s", fos_status_text(status));
	return FOS_OK;
}

fos_status service_open(fos_process *process, const struct service_options *options,
						struct service **out, struct gpu_why *why)
{
	struct service *s = calloc(1, sizeof *s);
	if (!s)
		return gpu_refuse(why, FOS_QUOTA, "out of memory");
	pthread_mutex_init(&s->lock, NULL);
	s->backend = options->backend;
	s->compiler = options->compiler;
	fos_status status = s->backend->open(options->device, &s->device, why);
	if (status != FOS_OK)
		goto no_device;
	const struct engine_config config = {.backend = s->backend,
										 .device = s->device,
										 .memory = options->memory,
										 .alloc = arena_alloc,
										 .free = arena_free,
										 .arg = process};
	status = gpu_refuse(why, FOS_QUOTA, "out of memory or descriptors");
	if (engine_create(&config, &s->engine) != FOS_OK)
		goto no_engine;
	s->device_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->builder = builder_create();
	if (s->device_wake < 0 || !s->builder)
		goto no_builder;
	status = channels_open(s, process, why);
	if (status == FOS_OK)
		status = device_start(s, why);
	if (status == FOS_OK) {
		*out = s;
		return FOS_OK;
	}
	fos_channel_close(s->control_channel);
	fos_channel_close(s->device_channel);
no_builder:
	if (s->builder)
		builder_destroy(s->builder, STOP_TIME);
	if (s->device_wake >= 0)
		close(s->device_wake);
	engine_destroy(s->engine);
no_engine:
	s->backend->close(s->device);
no_device:
	pthread_mutex_destroy(&s->lock);
	free(s);
	return status;
}

bool service_close(struct service *s)
{
	if (!device_stop(s, STOP_TIME) || !builder_destroy(s->builder, STOP_TIME))
		return false;
	fos_channel_close(s->control_channel);
	fos_channel_close(s->device_channel);
	engine_destroy(s->engine);
	s->backend->close(s->device);
	close(s->device_wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
	return true;
}
