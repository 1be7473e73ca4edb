/* The device's side of the service: launches. See service.h.
 *
 *     launch delivered -> engine_submit -> queued -> engine_take, engine_run
 *                                                       |-- no copy: continue, engine_end
 *                                                       '-- copy: memory_copy(then = next)
 *                                                             '-- source may change: engine_end
 *
 * A delivery is finished when its kernel and its copy no longer touch anything.
 */
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "service.h"

/* ------------------------------------------------------------------ slots */

static fos_handled launch_delivered(fos_channel *ch, const fos_delivery *delivery, void *arg);

/* Gives every slot that needs one a new launch base. False: one could not be made. */
static bool refill_slots(struct service *service)
{
	fos_channel *ch = service->device_channel;
	bool all = true;
	for (unsigned i = 0; i < ENGINE_CONTEXTS; i++) {
		struct slot *slot = &service->slots[i];
		pthread_mutex_lock(&service->lock);
		enum slot_state state = slot->state;
		pthread_mutex_unlock(&service->lock);
		if (state == SLOT_CLOSED) {
			ignore(fos_cap_revoke(ch, slot->launch));
			ignore(fos_cap_close(ch, slot->launch));
			state = SLOT_EMPTY;
		} else if (state != SLOT_EMPTY) {
			continue;
		}
		if (engine_slot_free(service->engine, i)) {
			if (fos_request_create(ch, launch_delivered, service, NULL, &slot->launch) == FOS_OK)
				state = SLOT_READY;
			else
				all = false;
		}
		pthread_mutex_lock(&service->lock);
		slot->state = state;
		pthread_mutex_unlock(&service->lock);
	}
	return all;
}

static void woken(fos_channel *ch, int fd, void *arg)
{
	eventfd_t count;
	eventfd_read(fd, &count);
	refill_slots(arg);
}

void device_wake(struct service *service)
{
	eventfd_write(service->device_wake, 1);
}

/* ------------------------------------------------------------------ running */

/* The job is over; slots that waited for it may be free now. */
static void end_job(struct service *service, struct job *job)
{
	if (engine_end(service->engine, job))
		device_wake(service);
}

static void run_jobs(struct service *service);

static void copied(fos_channel *ch, const fos_result *result, void *arg)
{
	struct job *job = arg;
	const struct engine_ticket *ticket = engine_ticket(job);
	struct service *service = ticket->owner;
	if (result->status == FOS_OK)
		ignore(fos_finish(ch, ticket->delivery));
	else
		service_fail(ch, ticket->delivery, result->status,
					 "gpu: the result could not be copied out");
	end_job(service, job);
	run_jobs(service);
}

static void copy_out(struct service *service, struct job *job)
{
	const struct engine_ticket *ticket = engine_ticket(job);
	const fos_invoke_options options = {.delivery = ticket->delivery};
	fos_channel *ch = service->device_channel;
	fos_args then;
	fos_args_init(&then);
	if (ticket->next != FOS_CAP_NONE)
		fos_args_cap(&then, FOS_CALL, FOS_NEXT, ticket->next);
	engine_copying(service->engine, job);
	fos_status status =
		fos_memory_copy_async(ch, ticket->to, ticket->from,
							  ticket->next != FOS_CAP_NONE ? &then : NULL, &options, copied, job);
	if (status != FOS_OK) {
		service_fail(ch, ticket->delivery, status, "gpu: the result could not be copied out");
		end_job(service, job);
	}
}

static void run_job(struct service *service, struct job *job)
{
	const struct engine_ticket *ticket = engine_ticket(job);
	fos_channel *ch = service->device_channel;
	struct gpu_why why;
	fos_status status = engine_run(service->engine, job, &why);
	if (status == FOS_OK && ticket->to != FOS_CAP_NONE) {
		copy_out(service, job);
		return;
	}
	/* Before the answer, so that who gets it finds what was freed meanwhile to be free. */
	struct engine_ticket answer = *ticket;
	end_job(service, job);
	if (status != FOS_OK)
		service_fail(ch, answer.delivery, status, why.text);
	else if (answer.next != FOS_CAP_NONE)
		ignore(fos_continue(ch, answer.delivery, answer.next, NULL, NULL, NULL));
	else
		ignore(fos_finish(ch, answer.delivery));
}

static void run_jobs(struct service *service)
{
	struct job *job;
	while (!service->device_stopped && (job = engine_take(service->engine)) != NULL)
		run_job(service, job);
}

/* ------------------------------------------------------------------ launches */

static struct engine_memory memory_of(const fos_delivered_cap *cap)
{
	struct engine_memory memory = {0};
	if (cap->cap != FOS_CAP_NONE && cap->kind == FOS_MEMORY)
		memory = (struct engine_memory){cap->ptr, cap->length, cap->rights};
	return memory;
}

static fos_status check_copy(const fos_delivered_cap *to, const fos_delivered_cap *from,
							 struct gpu_why *why)
{
	if (to->kind != FOS_MEMORY || from->cap == FOS_CAP_NONE || from->kind != FOS_MEMORY)
		return gpu_refuse(why, FOS_INVALID, "a copy needs Memory at both ends");
	if (!(to->rights & FOS_WRITE) || !(from->rights & FOS_READ))
		return gpu_refuse(why, FOS_DENIED,
						  "a copy needs the right to read its source and to write "
						  "its destination");
	if (to->length < from->length)
		return gpu_refuse(why, FOS_RANGE, "%llu bytes are to be copied to a Memory of %llu",
						  (unsigned long long)from->length, (unsigned long long)to->length);
	return FOS_OK;
}

static fos_status submit(struct service *service, const fos_delivery *delivery, struct gpu_why *why)
{
	const struct bound *bound = fos_delivery_imm(delivery, 0, sizeof *bound);
	const fos_gpu_launch *launch = fos_delivery_imm(delivery, FOS_ARG, sizeof *launch);
	const fos_delivered_cap *to = &delivery->caps[FOS_GPU_COPY_TO];
	const fos_delivered_cap *from = &delivery->caps[FOS_GPU_COPY_FROM];
	struct engine_request request = {0};
	if (!bound || bound->kind != BOUND_KERNEL)
		return gpu_refuse(why, FOS_INVALID, "not a launch Request");
	if (!launch)
		return gpu_refuse(why, FOS_INVALID, "the arguments are shorter than fos_gpu_launch");
	request.context = bound->context;
	request.kernel = bound->object;
	memcpy(&request.launch, launch, sizeof request.launch);
	for (unsigned i = 0; i < FOS_GPU_ARGS_MAX; i++)
		request.memory[i] = memory_of(&delivery->caps[FOS_GPU_ARG + i]);
	if (to->cap != FOS_CAP_NONE) {
		fos_status status = check_copy(to, from, why);
		if (status != FOS_OK)
			return status;
		request.copies = true;
		request.from = memory_of(from);
	}
	request.ticket = (struct engine_ticket){.owner = service,
											.delivery = delivery->id,
											.to = to->cap,
											.from = from->cap,
											.next = fos_delivery_cap(delivery, FOS_NEXT)};
	return engine_submit(service->engine, &request, why);
}

static fos_handled launch_delivered(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct service *service = arg;
	struct gpu_why why;
	if (delivery->exception.status != FOS_OK)
		return FOS_FINISH;
	fos_status status = submit(service, delivery, &why);
	if (status != FOS_OK)
		return service_fail(ch, delivery->id, status, why.text);
	run_jobs(service);
	return FOS_FINISH_LATER;
}

/* ------------------------------------------------------------------ the thread */

static void *serve(void *arg)
{
	struct service *service = arg;
	/* Lost: the control thread sees it too and ends the service. */
	ignore(fos_serve(service->device_channel));
	return NULL;
}

fos_status device_start(struct service *service, struct gpu_why *why)
{
	fos_status status = fos_watch(service->device_channel, service->device_wake, woken, service);
	if (status != FOS_OK)
		return gpu_refuse(why, status, "cannot watch: %s", fos_status_text(status));
	if (!refill_slots(service))
		return gpu_refuse(why, FOS_QUOTA, "the Controller does not allow %d Requests",
						  ENGINE_CONTEXTS);
	int error = pthread_create(&service->device_thread, NULL, serve, service);
	if (error != 0)
		return gpu_refuse(why, FOS_QUOTA, "no thread: %s", strerror(error));
	return FOS_OK;
}

bool device_stop(struct service *service, uint64_t time)
{
	struct timespec end;
	fos_stop(service->device_channel);
	clock_gettime(CLOCK_REALTIME, &end);
	uint64_t nanoseconds = (uint64_t)end.tv_nsec + time;
	end.tv_sec += (time_t)(nanoseconds / 1000000000);
	end.tv_nsec = (long)(nanoseconds % 1000000000);
	if (pthread_timedjoin_np(service->device_thread, NULL, &end) != 0)
		return false; /* it reads device_stopped still */
	service->device_stopped = true;
	return true;
}
