/* See engine.h. */
#include "engine.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
	INDEX_BITS = 16, /* of an id: where in its table; the rest counts up and never repeats */
	OBJECTS = ENGINE_ALLOCATIONS + ENGINE_MODULES + ENGINE_KERNELS,
	PAGE = 4096,
	PINS_MAX = FOS_GPU_ARGS_MAX + 2 /* arguments, the kernel, what is copied out */
};
_Static_assert(OBJECTS < 1 << INDEX_BITS && ENGINE_CONTEXTS < 1 << INDEX_BITS, "ids have room");

enum kind { ALLOCATION, MODULE, KERNEL, KINDS };
static const unsigned kind_max[KINDS] = {ENGINE_ALLOCATIONS, ENGINE_MODULES, ENGINE_KERNELS};
static const char *const kind_name[KINDS] = {"allocation", "module", "kernel"};

struct object {
	uint64_t id;
	enum kind kind;
	unsigned pins;
	bool retired, released;
	union {
		struct {
			unsigned char *bytes;
			uint64_t length;  /* as asked for */
			uint64_t charged; /* against the limit */
			uint64_t tag;
			struct gpu_buffer *buffer;
		};
		struct gpu_module *module;
		struct gpu_kernel *kernel;
	};
};

struct context {
	uint64_t id; /* 0: the slot is free */
	unsigned slot;
	bool retired, released;
	unsigned jobs;    /* that name this context */
	uint64_t skipped; /* number of the last scan in which a job of it had to wait */
	struct gpu_stream *stream;
	unsigned counts[KINDS];
	struct object *objects[OBJECTS];               /* by the index in their ids */
	struct object *by_address[ENGINE_ALLOCATIONS]; /* those not retired, sorted by bytes */
	unsigned by_address_count;
};

struct range {
	const unsigned char *begin, *end;
};

enum job_state { JOB_FREE, JOB_QUEUED, JOB_TAKEN, JOB_COPYING };

struct job {
	enum job_state state;
	struct context *context;
	struct gpu_kernel *kernel;
	struct gpu_work work;
	struct object *pins[PINS_MAX];
	unsigned pin_count;
	struct range writes[FOS_GPU_ARGS_MAX];
	unsigned write_count;
	bool copies;
	struct range copy;
	struct engine_ticket ticket;
};

struct engine {
	struct engine_config config;
	pthread_mutex_t lock;
	uint64_t serial;
	uint64_t memory_used;
	uint64_t scans;
	struct context *contexts[ENGINE_CONTEXTS];
	/* Slots of jobs in use stand in `active` in the order they came. */
	struct job jobs[ENGINE_JOBS];
	struct job *active[ENGINE_JOBS];
	unsigned active_count;
};

static uint64_t new_id(struct engine *engine, unsigned index)
{
	return ++engine->serial << INDEX_BITS | index;
}

static unsigned index_of(uint64_t id)
{
	return (unsigned)(id & ((1u << INDEX_BITS) - 1));
}

unsigned engine_slot_of(uint64_t context)
{
	return index_of(context);
}

fos_status engine_create(const struct engine_config *config, struct engine **out)
{
	struct engine *engine = calloc(1, sizeof *engine);
	if (!engine)
		return FOS_QUOTA;
	engine->config = *config;
	pthread_mutex_init(&engine->lock, NULL);
	*out = engine;
	return FOS_OK;
}

uint64_t engine_memory_free(struct engine *engine)
{
	pthread_mutex_lock(&engine->lock);
	uint64_t left = engine->config.memory - engine->memory_used;
	pthread_mutex_unlock(&engine->lock);
	return left;
}

void engine_usage(struct engine *engine, struct engine_usage *out)
{
	pthread_mutex_lock(&engine->lock);
	*out = (struct engine_usage){.memory = engine->memory_used};
	for (unsigned i = 0; i < ENGINE_CONTEXTS; i++) {
		const struct context *context = engine->contexts[i];
		if (!context)
			continue;
		out->contexts++;
		out->allocations += context->counts[ALLOCATION];
		out->modules += context->counts[MODULE];
		out->kernels += context->counts[KERNEL];
		out->jobs += context->jobs;
	}
	pthread_mutex_unlock(&engine->lock);
}

/* ------------------------------------------------------------------ objects */

/* The context itself, retired or not; NULL: gone. */
static struct context *context_any(struct engine *engine, uint64_t id)
{
	unsigned slot = index_of(id);
	struct context *context = slot < ENGINE_CONTEXTS ? engine->contexts[slot] : NULL;
	return context && context->id == id ? context : NULL;
}

static fos_status context_find(struct engine *engine, uint64_t id, struct context **out,
							   struct gpu_why *why)
{
	*out = context_any(engine, id);
	if (!*out || (*out)->retired)
		return gpu_refuse(why, FOS_REVOKED, "the context was closed");
	return FOS_OK;
}

static struct object *object_any(struct context *context, enum kind kind, uint64_t id)
{
	unsigned index = index_of(id);
	struct object *object = index < OBJECTS ? context->objects[index] : NULL;
	return object && object->id == id && object->kind == kind ? object : NULL;
}

static fos_status object_find(struct context *context, enum kind kind, uint64_t id,
							  struct object **out, struct gpu_why *why)
{
	*out = object_any(context, kind, id);
	if (!*out || (*out)->retired)
		return gpu_refuse(why, FOS_REVOKED, "the %s is gone", kind_name[kind]);
	return FOS_OK;
}

static fos_status object_add(struct engine *engine, struct context *context, enum kind kind,
							 struct object **out, struct gpu_why *why)
{
	unsigned index = 0;
	if (context->counts[kind] >= kind_max[kind])
		return gpu_refuse(why, FOS_QUOTA, "the context has %u %ss, which is the limit",
						  kind_max[kind], kind_name[kind]);
	while (context->objects[index])
		index++;
	struct object *object = calloc(1, sizeof *object);
	if (!object)
		return gpu_refuse(why, FOS_QUOTA, "out of memory");
	object->id = new_id(engine, index);
	object->kind = kind;
	context->objects[index] = object;
	context->counts[kind]++;
	*out = object;
	return FOS_OK;
}

static void object_destroy(struct engine *engine, struct context *context, struct object *object)
{
	const struct gpu_backend *backend = engine->config.backend;
	switch (object->kind) {
	case ALLOCATION:
		if (object->buffer)
			backend->buffer_destroy(object->buffer);
		if (object->bytes)
			engine->config.free(engine->config.arg, object->bytes);
		engine->memory_used -= object->charged;
		break;
	case MODULE:
		backend->module_destroy(object->module);
		break;
	case KERNEL:
		backend->kernel_destroy(object->kernel);
		break;
	case KINDS:
		assert(false);
	}
	context->objects[index_of(object->id)] = NULL;
	context->counts[object->kind]--;
	free(object);
}

static void object_settle(struct engine *engine, struct context *context, struct object *object)
{
	if (object->retired && object->released && object->pins == 0)
		object_destroy(engine, context, object);
}

/* Frees the slot when nothing of the context is left; true where it did. */
static bool context_settle(struct engine *engine, struct context *context)
{
	if (!context->released || context->jobs)
		return false;
	for (unsigned kind = 0; kind < KINDS; kind++)
		if (context->counts[kind])
			return false;
	engine->config.backend->stream_destroy(context->stream);
	engine->contexts[context->slot] = NULL;
	free(context);
	return true;
}

/* ------------------------------------------------------------------ contexts */

fos_status engine_context_open(struct engine *engine, unsigned slot, uint64_t *out,
							   struct gpu_why *why)
{
	assert(slot < ENGINE_CONTEXTS);
	struct context *context = calloc(1, sizeof *context);
	if (!context)
		return gpu_refuse(why, FOS_QUOTA, "out of memory");
	fos_status status =
		engine->config.backend->stream_create(engine->config.device, &context->stream, why);
	if (status != FOS_OK) {
		free(context);
		return status;
	}
	pthread_mutex_lock(&engine->lock);
	assert(!engine->contexts[slot]);
	context->id = new_id(engine, slot);
	context->slot = slot;
	engine->contexts[slot] = context;
	*out = context->id;
	pthread_mutex_unlock(&engine->lock);
	return FOS_OK;
}

bool engine_context_retire(struct engine *engine, uint64_t id)
{
	pthread_mutex_lock(&engine->lock);
	struct context *context = context_any(engine, id);
	bool found = context && !context->retired;
	if (found) {
		context->retired = true;
		context->by_address_count = 0;
		for (unsigned i = 0; i < OBJECTS; i++)
			if (context->objects[i])
				context->objects[i]->retired = true;
	}
	pthread_mutex_unlock(&engine->lock);
	return found;
}

bool engine_tag_next(struct engine *engine, uint64_t id, uint64_t *tag)
{
	bool found = false;
	pthread_mutex_lock(&engine->lock);
	struct context *context = context_any(engine, id);
	for (unsigned i = 0; context && !found && i < OBJECTS; i++) {
		struct object *object = context->objects[i];
		if (object && object->kind == ALLOCATION && !object->released && object->tag) {
			*tag = object->tag;
			object->tag = 0;
			found = true;
		}
	}
	pthread_mutex_unlock(&engine->lock);
	return found;
}

void engine_context_release(struct engine *engine, uint64_t id)
{
	pthread_mutex_lock(&engine->lock);
	struct context *context = context_any(engine, id);
	assert(context && context->retired);
	context->released = true;
	for (unsigned i = 0; i < OBJECTS; i++) {
		struct object *object = context->objects[i];
		if (object) {
			object->released = true;
			object_settle(engine, context, object);
		}
	}
	context_settle(engine, context);
	pthread_mutex_unlock(&engine->lock);
}

bool engine_slot_free(struct engine *engine, unsigned slot)
{
	pthread_mutex_lock(&engine->lock);
	bool free_now = !engine->contexts[slot];
	pthread_mutex_unlock(&engine->lock);
	return free_now;
}

void engine_destroy(struct engine *engine)
{
	if (!engine)
		return;
	while (engine->active_count)
		engine_end(engine, engine->active[0]);
	for (unsigned slot = 0; slot < ENGINE_CONTEXTS; slot++) {
		struct context *context = engine->contexts[slot];
		if (!context)
			continue;
		for (unsigned i = 0; i < OBJECTS; i++)
			if (context->objects[i])
				context->objects[i]->pins = 0;
		engine_context_retire(engine, context->id);
		engine_context_release(engine, context->id);
	}
	pthread_mutex_destroy(&engine->lock);
	free(engine);
}

/* ------------------------------------------------------------------ allocations */

/* Where in by_address the first allocation stands that begins behind `ptr`. */
static unsigned address_behind(const struct context *context, const void *ptr)
{
	unsigned low = 0, high = context->by_address_count;
	while (low < high) {
		unsigned middle = (low + high) / 2;
		if ((uintptr_t)context->by_address[middle]->bytes <= (uintptr_t)ptr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void address_add(struct context *context, struct object *object)
{
	unsigned at = address_behind(context, object->bytes);
	assert(context->by_address_count < ENGINE_ALLOCATIONS);
	memmove(context->by_address + at + 1, context->by_address + at,
			(context->by_address_count - at) * sizeof *context->by_address);
	context->by_address[at] = object;
	context->by_address_count++;
}

static void address_remove(struct context *context, struct object *object)
{
	unsigned at = address_behind(context, object->bytes) - 1;
	assert(context->by_address[at] == object);
	context->by_address_count--;
	memmove(context->by_address + at, context->by_address + at + 1,
			(context->by_address_count - at) * sizeof *context->by_address);
}

/* The allocation that holds all of [ptr, ptr+length); NULL: none of this context does. */
static struct object *address_find(const struct context *context, const void *ptr, uint64_t length)
{
	unsigned behind = address_behind(context, ptr);
	if (!ptr || behind == 0 || length == 0)
		return NULL;
	struct object *object = context->by_address[behind - 1];
	uint64_t offset = (uintptr_t)ptr - (uintptr_t)object->bytes;
	return offset < object->length && length <= object->length - offset ? object : NULL;
}

/* Fills in a new allocation; on failure the caller destroys what there is of it. */
static fos_status allocation_fill(struct engine *engine, struct object *object, uint64_t size,
								  struct gpu_why *why)
{
	uint64_t left = engine->config.memory - engine->memory_used;
	if (size > left || left - size < (PAGE - size % PAGE) % PAGE)
		return gpu_refuse(why, FOS_QUOTA, "%llu bytes of device memory wanted, %llu are left",
						  (unsigned long long)size, (unsigned long long)left);
	uint64_t charged = size + (PAGE - size % PAGE) % PAGE;
	void *bytes;
	fos_status status = engine->config.alloc(engine->config.arg, (size_t)charged, &bytes);
	if (status != FOS_OK)
		return gpu_refuse(why, status, "the arena has no room for %llu bytes",
						  (unsigned long long)charged);
	object->bytes = bytes;
	object->length = size;
	object->charged = charged;
	engine->memory_used += charged;
	return engine->config.backend->buffer_create(engine->config.device, bytes, charged,
												 &object->buffer, why);
}

fos_status engine_alloc(struct engine *engine, uint64_t id, uint64_t size, uint64_t *out,
						void **bytes, struct gpu_why *why)
{
	struct context *context;
	struct object *object = NULL;
	if (size == 0)
		return gpu_refuse(why, FOS_INVALID, "an allocation of 0 bytes");
	pthread_mutex_lock(&engine->lock);
	fos_status status = context_find(engine, id, &context, why);
	if (status == FOS_OK)
		status = object_add(engine, context, ALLOCATION, &object, why);
	if (status == FOS_OK)
		status = allocation_fill(engine, object, size, why);
	if (status == FOS_OK) {
		object->pins++;
		*out = object->id;
		*bytes = object->bytes;
	} else if (object) {
		object_destroy(engine, context, object);
	}
	pthread_mutex_unlock(&engine->lock);
	if (status != FOS_OK)
		return status;
	/* Not under the lock, which launches take: a large one takes a while. Nobody finds it yet. */
	memset(*bytes, 0, (size_t)size + (PAGE - size % PAGE) % PAGE);
	pthread_mutex_lock(&engine->lock);
	object->pins--;
	if (!object->retired)
		address_add(context, object);
	object_settle(engine, context, object);
	context_settle(engine, context);
	pthread_mutex_unlock(&engine->lock);
	return FOS_OK;
}

void engine_alloc_tag(struct engine *engine, uint64_t id, uint64_t allocation, uint64_t tag)
{
	pthread_mutex_lock(&engine->lock);
	struct context *context = context_any(engine, id);
	struct object *object = context ? object_any(context, ALLOCATION, allocation) : NULL;
	assert(object && tag);
	object->tag = tag;
	pthread_mutex_unlock(&engine->lock);
}

fos_status engine_alloc_retire(struct engine *engine, uint64_t id, uint64_t allocation,
							   uint64_t *tag, struct gpu_why *why)
{
	struct context *context;
	struct object *object;
	pthread_mutex_lock(&engine->lock);
	fos_status status = context_find(engine, id, &context, why);
	if (status == FOS_OK)
		status = object_find(context, ALLOCATION, allocation, &object, why);
	if (status == FOS_OK) {
		object->retired = true;
		address_remove(context, object);
		*tag = object->tag;
		object->tag = 0;
	}
	pthread_mutex_unlock(&engine->lock);
	return status;
}

void engine_alloc_release(struct engine *engine, uint64_t id, uint64_t allocation)
{
	pthread_mutex_lock(&engine->lock);
	struct context *context = context_any(engine, id);
	struct object *object = context ? object_any(context, ALLOCATION, allocation) : NULL;
	assert(object && object->retired);
	object->released = true;
	object_settle(engine, context, object);
	pthread_mutex_unlock(&engine->lock);
}

/* ------------------------------------------------------------------ modules and kernels */

fos_status engine_module_add(struct engine *engine, uint64_t id, struct gpu_module *module,
							 uint64_t *out, struct gpu_why *why)
{
	struct context *context;
	struct object *object;
	pthread_mutex_lock(&engine->lock);
	fos_status status = context_find(engine, id, &context, why);
	if (status == FOS_OK)
		status = object_add(engine, context, MODULE, &object, why);
	if (status == FOS_OK) {
		object->module = module;
		*out = object->id;
	}
	pthread_mutex_unlock(&engine->lock);
	if (status != FOS_OK)
		engine->config.backend->module_destroy(module);
	return status;
}

fos_status engine_module_pin(struct engine *engine, uint64_t id, uint64_t module,
							 struct gpu_module **out, struct gpu_why *why)
{
	struct context *context;
	struct object *object;
	pthread_mutex_lock(&engine->lock);
	fos_status status = context_find(engine, id, &context, why);
	if (status == FOS_OK)
		status = object_find(context, MODULE, module, &object, why);
	if (status == FOS_OK) {
		object->pins++;
		*out = object->module;
	}
	pthread_mutex_unlock(&engine->lock);
	return status;
}

void engine_module_unpin(struct engine *engine, uint64_t id, uint64_t module)
{
	pthread_mutex_lock(&engine->lock);
	struct context *context = context_any(engine, id);
	struct object *object = context ? object_any(context, MODULE, module) : NULL;
	assert(object && object->pins);
	object->pins--;
	object_settle(engine, context, object);
	context_settle(engine, context);
	pthread_mutex_unlock(&engine->lock);
}

fos_status engine_kernel_add(struct engine *engine, uint64_t id, struct gpu_kernel *kernel,
							 uint64_t *out, struct gpu_why *why)
{
	struct context *context;
	struct object *object;
	pthread_mutex_lock(&engine->lock);
	fos_status status = context_find(engine, id, &context, why);
	if (status == FOS_OK)
		status = object_add(engine, context, KERNEL, &object, why);
	if (status == FOS_OK) {
		object->kernel = kernel;
		*out = object->id;
	}
	pthread_mutex_unlock(&engine->lock);
	if (status != FOS_OK)
		engine->config.backend->kernel_destroy(kernel);
	return status;
}

/* ------------------------------------------------------------------ launches */

static void job_pin(struct job *job, struct object *object)
{
	assert(job->pin_count < PINS_MAX);
	object->pins++;
	job->pins[job->pin_count++] = object;
}

static fos_status bind_memory(struct job *job, const struct engine_memory *memory, unsigned index,
							  bool writes, struct gpu_why *why)
{
	unsigned needed = writes ? FOS_READ | FOS_WRITE : FOS_READ;
	struct object *object = address_find(job->context, memory->ptr, memory->length);
	if (!object)
		return gpu_refuse(why, FOS_INVALID,
						  "argument %u of the kernel is not memory of this context", index);
	if ((memory->rights & needed) != needed)
		return gpu_refuse(why, FOS_DENIED, "argument %u of the kernel needs the right to %s", index,
						  memory->rights & FOS_READ ? "write" : "read");
	const unsigned char *begin = memory->ptr;
	uint64_t offset = (uint64_t)(begin - object->bytes);
	if (offset % FOS_GPU_ALIGN != 0)
		return gpu_refuse(why, FOS_INVALID,
						  "argument %u of the kernel starts at byte %llu of its allocation, which "
						  "is not a multiple of %d",
						  index, (unsigned long long)offset, FOS_GPU_ALIGN);
	job->work.regions[index] = (struct gpu_region){object->buffer, offset, memory->length};
	if (writes)
		job->writes[job->write_count++] = (struct range){begin, begin + memory->length};
	job_pin(job, object);
	return FOS_OK;
}

static fos_status bind_args(struct job *job, const struct gpu_backend *backend,
							const struct engine_request *request, struct gpu_why *why)
{
	const fos_gpu_launch *launch = &request->launch;
	const struct gpu_param *params;
	unsigned count = backend->kernel_params(job->kernel, &params);
	if (launch->arg_count != count)
		return gpu_refuse(why, FOS_INVALID, "the kernel has %u arguments, %u were given", count,
						  launch->arg_count);
	for (unsigned i = 0; i < count; i++) {
		bool takes_memory = params[i].kind == GPU_PARAM_MEMORY;
		if (launch->sizes[i] > sizeof launch->values[i])
			return gpu_refuse(why, FOS_INVALID, "argument %u of the kernel: %u bytes, at most 8", i,
							  launch->sizes[i]);
		if (takes_memory != (launch->sizes[i] == 0))
			return gpu_refuse(why, FOS_INVALID, "argument %u of the kernel is %s, not %s", i,
							  takes_memory ? "Memory" : "a value",
							  takes_memory ? "a value" : "Memory");
		if (takes_memory) {
			fos_status status = bind_memory(job, &request->memory[i], i, params[i].writes, why);
			if (status != FOS_OK)
				return status;
		}
		job->work.sizes[i] = launch->sizes[i];
		job->work.values[i] = launch->values[i];
	}
	memcpy(job->work.global, launch->global, sizeof launch->global);
	memcpy(job->work.local, launch->local, sizeof launch->local);
	return FOS_OK;
}

static fos_status bind_copy(struct job *job, const struct engine_request *request,
							struct gpu_why *why)
{
	const struct engine_memory *from = &request->from;
	struct object *object = address_find(job->context, from->ptr, from->length);
	if (!object)
		return gpu_refuse(why, FOS_INVALID,
						  "what is to be copied out is not memory of this "
						  "context");
	const unsigned char *begin = from->ptr;
	job->copies = true;
	job->copy = (struct range){begin, begin + from->length};
	job_pin(job, object);
	return FOS_OK;
}

static struct job *job_new(struct engine *engine)
{
	if (engine->active_count == ENGINE_JOBS)
		return NULL;
	unsigned i = 0;
	while (engine->jobs[i].state != JOB_FREE)
		i++;
	struct job *job = &engine->jobs[i];
	memset(job, 0, sizeof *job);
	job->state = JOB_QUEUED;
	engine->active[engine->active_count++] = job;
	return job;
}

static bool job_free(struct engine *engine, struct job *job)
{
	struct context *context = job->context;
	unsigned at = 0;
	for (unsigned i = 0; i < job->pin_count; i++) {
		job->pins[i]->pins--;
		object_settle(engine, context, job->pins[i]);
	}
	while (engine->active[at] != job)
		at++;
	engine->active_count--;
	memmove(engine->active + at, engine->active + at + 1,
			(engine->active_count - at) * sizeof *engine->active);
	job->state = JOB_FREE;
	context->jobs--;
	return context_settle(engine, context);
}

static fos_status submit_locked(struct engine *engine, const struct engine_request *request,
								struct gpu_why *why)
{
	struct context *context;
	struct object *kernel;
	fos_status status = context_find(engine, request->context, &context, why);
	if (status == FOS_OK)
		status = object_find(context, KERNEL, request->kernel, &kernel, why);
	if (status != FOS_OK)
		return status;
	struct job *job = job_new(engine);
	if (!job)
		return gpu_refuse(why, FOS_BUSY, "%d launches are waiting, which is the limit",
						  ENGINE_JOBS);
	job->context = context;
	context->jobs++;
	job->kernel = kernel->kernel;
	job->ticket = request->ticket;
	job_pin(job, kernel);
	status = bind_args(job, engine->config.backend, request, why);
	if (status == FOS_OK && request->copies)
		status = bind_copy(job, request, why);
	if (status != FOS_OK)
		job_free(engine, job);
	return status;
}

fos_status engine_submit(struct engine *engine, const struct engine_request *request,
						 struct gpu_why *why)
{
	pthread_mutex_lock(&engine->lock);
	fos_status status = submit_locked(engine, request, why);
	pthread_mutex_unlock(&engine->lock);
	return status;
}

static bool overlap(struct range a, struct range b)
{
	return a.begin < b.end && b.begin < a.end;
}

/* Whether bytes that the job may write are being copied out. */
static bool must_wait(const struct engine *engine, const struct job *job)
{
	for (unsigned i = 0; i < engine->active_count; i++) {
		const struct job *other = engine->active[i];
		if (other->state != JOB_COPYING || other->context != job->context)
			continue;
		for (unsigned w = 0; w < job->write_count; w++)
			if (overlap(job->writes[w], other->copy))
				return true;
	}
	return false;
}

struct job *engine_take(struct engine *engine)
{
	struct job *taken = NULL;
	pthread_mutex_lock(&engine->lock);
	uint64_t scan = ++engine->scans;
	for (unsigned i = 0; i < engine->active_count && !taken; i++) {
		struct job *job = engine->active[i];
		if (job->state != JOB_QUEUED || job->context->skipped == scan)
			continue;
		if (!job->context->retired && must_wait(engine, job)) {
			job->context->skipped = scan;
			continue;
		}
		job->state = JOB_TAKEN;
		taken = job;
	}
	pthread_mutex_unlock(&engine->lock);
	return taken;
}

fos_status engine_run(struct engine *engine, struct job *job, struct gpu_why *why)
{
	assert(job->state == JOB_TAKEN);
	pthread_mutex_lock(&engine->lock);
	bool retired = job->context->retired;
	pthread_mutex_unlock(&engine->lock);
	if (retired)
		return gpu_refuse(why, FOS_REVOKED, "the context was closed");
	return engine->config.backend->launch(job->context->stream, job->kernel, &job->work, why);
}

const struct engine_ticket *engine_ticket(const struct job *job)
{
	return &job->ticket;
}

void engine_copying(struct engine *engine, struct job *job)
{
	pthread_mutex_lock(&engine->lock);
	assert(job->state == JOB_TAKEN && job->copies);
	job->state = JOB_COPYING;
	pthread_mutex_unlock(&engine->lock);
}

bool engine_end(struct engine *engine, struct job *job)
{
	pthread_mutex_lock(&engine->lock);
	assert(job->state != JOB_FREE);
	bool last = job_free(engine, job);
	pthread_mutex_unlock(&engine->lock);
	return last;
}
