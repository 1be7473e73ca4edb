/* libFuzzer harness: hostile clients of the GPU service, and a Controller that refuses any call.
 * The service's Requests, launches and its engine are its own; the device and the builder's thread
 * are played here, so that the same input ends in the same way. See client/stand_in.h.
 *
 * Besides what the stand-in holds the service to: a kernel gets live memory only and writes nothing
 * that is being copied out; a life's end closes no other context; and when all clients have gone,
 * nothing is in use and no delivery is open. */
#include <fractos/stats.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "client/stand_in.h"
#include "service.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPERATIONS = 150, MEMORY = 256 << 10, BUFFER_MAX = 128 << 10, BUILDS_MAX = 6 };

/* ------------------------------------------------------------------ the device, played */

struct gpu_device {
	unsigned streams, buffers, modules, kernels;
};

struct gpu_buffer {
	uint8_t *bytes;
	uint64_t length;
};

struct gpu_stream {
	int unused;
};

struct gpu_module {
	int unused;
};

struct kernel_kind {
	const char *name;
	unsigned param_count;
	struct gpu_param params[FOS_GPU_ARGS_MAX];
};

struct gpu_kernel {
	const struct kernel_kind *kind;
};

/* clang-format off: a table */
#define IN                      \
	{                           \
		GPU_PARAM_MEMORY, false \
	}
#define OUT                    \
	{                          \
		GPU_PARAM_MEMORY, true \
	}
#define VALUE                  \
	{                          \
		GPU_PARAM_VALUE, false \
	}
#define LOCAL                  \
	{                          \
		GPU_PARAM_LOCAL, false \
	}
static const struct kernel_kind kernel_kinds[] = {
	{"empty", 0, {VALUE}},
	{"fill", 1, {OUT}},
	{"add", 3, {IN, OUT, VALUE}},
	{"sum", 2, {IN, LOCAL}},
	{"most", 16, {IN, OUT, IN, OUT, IN, OUT, IN, OUT, IN, OUT, IN, OUT, IN, OUT, IN, OUT}},
};
#undef IN
#undef OUT
#undef VALUE
#undef LOCAL
/* clang-format on */
static struct gpu_device device;
static bool closing;          /* the service, which runs no kernel any more */
static volatile uint8_t seen; /* so that what a kernel reads is read */

static fos_status play_open(const char *wanted, struct gpu_device **out, struct gpu_why *why)
{
	device = (struct gpu_device){0};
	*out = &device;
	return FOS_OK;
}

static void play_close(struct gpu_device *closed)
{
	BASE_ASSERT(closed->streams == 0 && closed->buffers == 0);
	BASE_ASSERT(closed->modules == 0 && closed->kernels == 0);
}

static void describe(struct gpu_device *described, fos_gpu_info *info)
{
	memcpy(info->device, "played", sizeof "played");
}

static fos_status buffer_create(struct gpu_device *of, void *host, uint64_t length,
								struct gpu_buffer **out, struct gpu_why *why)
{
	if (length > BUFFER_MAX)
		return gpu_refuse(why, FOS_QUOTA, "the device takes %d bytes at once", BUFFER_MAX);
	struct gpu_buffer *buffer = malloc(sizeof *buffer);
	BASE_ASSERT(buffer != NULL);
	*buffer = (struct gpu_buffer){host, length};
	of->buffers++;
	*out = buffer;
	return FOS_OK;
}

static void buffer_destroy(struct gpu_buffer *buffer)
{
	device.buffers--;
	free(buffer);
}

static fos_status stream_create(struct gpu_device *of, struct gpu_stream **out, struct gpu_why *why)
{
	*out = malloc(sizeof **out);
	BASE_ASSERT(*out != NULL);
	of->streams++;
	return FOS_OK;
}

static void stream_destroy(struct gpu_stream *stream)
{
	device.streams--;
	free(stream);
}

static fos_status module_build(struct gpu_device *of, const char *source, size_t length,
							   const char *options, struct gpu_module **out, struct gpu_why *why)
{
	for (size_t i = 0; i < length; i += 97)
		seen ^= (uint8_t)source[i];
	if (strcmp(options, "-Wrong") == 0)
		return gpu_refuse(why, FOS_DEVICE, "no such option: %s", options);
	*out = malloc(sizeof **out);
	BASE_ASSERT(*out != NULL);
	of->modules++;
	return FOS_OK;
}

static void module_destroy(struct gpu_module *module)
{
	device.modules--;
	free(module);
}

static fos_status kernel_create(struct gpu_module *module, const char *name,
								struct gpu_kernel **out, struct gpu_why *why)
{
	for (unsigned i = 0; i < BASE_COUNT(kernel_kinds); i++) {
		if (strcmp(kernel_kinds[i].name, name) != 0)
			continue;
		*out = malloc(sizeof **out);
		BASE_ASSERT(*out != NULL);
		(*out)->kind = &kernel_kinds[i];
		device.kernels++;
		return FOS_OK;
	}
	return gpu_refuse(why, FOS_NOT_FOUND, "the module has no kernel \"%s\"", name);
}

static void kernel_destroy(struct gpu_kernel *kernel)
{
	device.kernels--;
	free(kernel);
}

static unsigned kernel_params(const struct gpu_kernel *kernel, const struct gpu_param **out)
{
	*out = kernel->kind->params;
	return kernel->kind->param_count;
}

static void use_region(const struct gpu_region *region, bool writes)
{
	const struct gpu_buffer *buffer = region->buffer;
	BASE_ASSERT(region->offset % FOS_GPU_ALIGN == 0 && region->length > 0);
	BASE_ASSERT(base_range_inside(region->offset, region->length, buffer->length));
	uint8_t *bytes = buffer->bytes + region->offset;
	BASE_ASSERT(!writes || !stand_in_reads(bytes, region->length));
	for (uint64_t i = 0; i < region->length; i += 61) {
		seen ^= bytes[i];
		if (writes)
			bytes[i] = seen;
	}
}

static fos_status launch(struct gpu_stream *stream, struct gpu_kernel *kernel,
						 const struct gpu_work *work, struct gpu_why *why)
{
	BASE_ASSERT(!closing);
	if (work->global[0] == 0)
		return gpu_refuse(why, FOS_INVALID, "no work-items");
	for (unsigned i = 0; i < kernel->kind->param_count; i++) {
		const struct gpu_param *param = &kernel->kind->params[i];
		if (param->kind == GPU_PARAM_MEMORY)
			use_region(&work->regions[i], param->writes);
		else
			BASE_ASSERT(work->sizes[i] >= 1 && work->sizes[i] <= 8);
	}
	return work->global[0] == 13 ? gpu_refuse(why, FOS_DEVICE, "out of resources") : FOS_OK;
}

static const struct gpu_backend played = {.name = "played",
										  .open = play_open,
										  .close = play_close,
										  .describe = describe,
										  .buffer_create = buffer_create,
										  .buffer_destroy = buffer_destroy,
										  .stream_create = stream_create,
										  .stream_destroy = stream_destroy,
										  .module_build = module_build,
										  .module_destroy = module_destroy,
										  .kernel_create = kernel_create,
										  .kernel_destroy = kernel_destroy,
										  .kernel_params = kernel_params,
										  .launch = launch};

/* ------------------------------------------------------------------ the builder, played */

struct builder {
	struct builder_task *tasks[BUILDS_MAX];
	unsigned count;
};

static struct builder building;

struct builder *builder_create(void)
{
	building = (struct builder){0};
	return &building;
}

bool builder_destroy(struct builder *builder, uint64_t time)
{
	return true;
}

bool builder_submit(struct builder *builder, struct builder_task *task)
{
	bool room = builder->count < BUILDS_MAX;
	if (room)
		builder->tasks[builder->count++] = task;
	return room;
}

int builder_fd(const struct builder *builder)
{
	return -1;
}

/* The oldest; false: none waits. */
static bool build(struct builder *builder)
{
	if (builder->count == 0)
		return false;
	struct builder_task *task = builder->tasks[0];
	builder->count--;
	memmove(builder->tasks, builder->tasks + 1, builder->count * sizeof *builder->tasks);
	task->work(task);
	task->finish(task);
	return true;
}

void builder_collect(struct builder *builder)
{
	build(builder);
}

/* ------------------------------------------------------------------ what clients ask */

static uint64_t length_of(struct choices *choices)
{
	uint64_t how = choose(choices, 1);
	return how >= 250 ? UINT64_MAX - how : how >= 200 ? (uint64_t)1 << (how % 24) : how * 128;
}

static uint32_t launch_arguments(struct choices *choices, uint8_t *out)
{
	fos_gpu_launch work = {.global = {(uint32_t)choose_below(choices, 20), 1, 1}};
	uint64_t kind = choose(choices, 1), how = choose(choices, 1);
	/* As some kernel takes them, whether it is this one or not. */
	const struct kernel_kind *like = &kernel_kinds[kind % BASE_COUNT(kernel_kinds)];
	work.arg_count = like->param_count + (how >= 240);
	for (unsigned i = 0; i < like->param_count; i++)
		work.sizes[i] = (uint8_t)(like->params[i].kind == GPU_PARAM_MEMORY ? 0 : 1u << (how % 4));
	if (how >= 224)
		work.sizes[how % FOS_GPU_ARGS_MAX] = (uint8_t)kind;
	memcpy(out, &work, sizeof work);
	return sizeof work;
}

/* For all Requests alike: a client may send to one what is meant for another. */
static uint32_t arguments(struct choices *choices, uint8_t *out)
{
	static const char *const names[] = {"empty", "fill",   "add", "sum",
										"most",  "-Wrong", "",    "no such"};
	uint64_t how = choose(choices, 1);
	if (how & 1)
		return launch_arguments(choices, out);
	fos_gpu_args args = {.op = how >= 240 ? FOS_STATS : (uint32_t)(how / 2 % 8)};
	const char *name = names[choose_below(choices, BASE_COUNT(names))];
	args.size = length_of(choices);
	memcpy(args.name, name, strlen(name));
	if (how >= 230 && how < 240) /* no end */
		memset(args.name, 'x', sizeof args.name);
	memcpy(out, &args, sizeof args);
	return how >= 252 ? sizeof args / 2 : sizeof args;
}

/* What kernels take and what is copied out: mostly memory of the service. */
static void capabilities(struct choices *choices, fos_delivered_cap caps[FOS_CAPS_MAX])
{
	uint64_t how = choose(choices, 1);
	for (unsigned i = 0; i < how % 4; i++)
		stand_in_memory(choices, &caps[FOS_GPU_ARG + i]);
	for (unsigned i = 3; how >= 224 && i < FOS_GPU_ARGS_MAX; i++)
		caps[FOS_GPU_ARG + i] = caps[FOS_GPU_ARG + i % 3];
	if (how & 4)
		stand_in_memory(choices, &caps[FOS_GPU_COPY_FROM]);
	if (how & 8)
		stand_in_memory(choices, &caps[FOS_GPU_COPY_TO]);
}

/* ------------------------------------------------------------------ a life of the service */

static void check(struct service *service, unsigned open_before)
{
	struct engine_usage usage;
	engine_usage(service->engine, &usage);
	BASE_ASSERT(usage.memory <= MEMORY && usage.contexts <= ENGINE_CONTEXTS);
	BASE_ASSERT(service->open_count <= usage.contexts);
	BASE_ASSERT(!stand_in_late() || service->open_count == open_before);
}

/* The clients end: what is under way completes, and nothing is left. */
static void end_of_clients(struct service *service)
{
	static const struct engine_usage nothing;
	struct engine_usage usage;
	unsigned deliveries, memory;
	while (stand_in_complete() || build(&building))
		continue;
	engine_usage(service->engine, &usage);
	stand_in_count(&deliveries, &memory);
	BASE_ASSERT(memcmp(&usage, &nothing, sizeof usage) == 0 && service->open_count == 0);
	BASE_ASSERT(deliveries == 0 && memory == 0);
}

/* The service ends, with whatever is under way. */
static void end_of_service(struct service *service)
{
	unsigned deliveries, memory;
	while (build(&building)) /* what the builder's thread has not done is lost with the Process */
		continue;
	closing = true;
	BASE_ASSERT(service_close(service));
	stand_in_count(&deliveries, &memory);
	BASE_ASSERT(memory == 0);
	stand_in_end();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct service_options options = {.backend = &played, .memory = MEMORY};
	struct choices program = {data, size}, choices;
	struct service *service;
	struct gpu_why why;
	uint8_t what;
	fos_channel *ch = stand_in_begin();
	closing = false;
	stand_in_bind(capabilities);
	BASE_ASSERT(service_open(fos_channel_process(ch), &options, &service, &why) == FOS_OK);
	for (unsigned i = 0; i < OPERATIONS && fuzz_operation(&program, &what, &choices); i++) {
		unsigned open_before = service->open_count;
		if (what >= 224)
			build(&building);
		else
			stand_in_operate(what, &choices, arguments);
		check(service, open_before);
	}
	if (size % 2 == 0)
		end_of_clients(service);
	end_of_service(service);
	return 0;
}
