/* See stand_in.h. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/hide.h"
#include "client/client.h"
#include "client/stand_in.h"

enum {
	CAPS = 512,
	DELIVERIES = 256,
	CALLS = 256,
	WATCHES = 16,
	OFFERS = 64,
	BOUND_MAX = 256,
	ARENAS = 32,
	MEMORIES = 16,
	CLIENT_CAP = 0x10000, /* slots that came from the client */
};

struct request { /* slot: its index and one */
	bool alive, once, closed;
	fos_handler handler; /* NULL: a Memory */
	void *arg;
	uint8_t *bytes; /* Memory */
	uint64_t length;
};

struct offer { /* a Request as the client holds it */
	fos_cap base;
	uint32_t start, length; /* of the immediates bound in it */
	uint8_t bound[BOUND_MAX];
	bool for_errors; /* only Controllers invoke it */
};

struct call {
	fos_done done;
	void *arg;
	fos_result result;
	fos_cap watched; /* of a monitor */
	bool closed;     /* its slot is, so nobody waits for it any more */
	/* Of a copy, the service's own bytes that it reads. */
	const uint8_t *from;
	uint64_t length;
};

struct delivered { /* what fos_delivery.internal points to */
	uint8_t image[FOS_IMM_MAX];
	bool bound[FOS_IMM_MAX];
};

static struct stand {
	struct fos_process process;
	struct fos_channel channel;
	struct request requests[CAPS];
	unsigned request_count;
	struct offer offers[OFFERS];
	unsigned offer_count;
	bool open[DELIVERIES]; /* by id */
	uint64_t deliveries, client_caps;
	struct call calls[CALLS];
	unsigned call_count;
	bool late; /* the last completion was of a monitor that nobody waits for any more */
	fos_cap memories[MEMORIES]; /* given out */
	unsigned memory_count;
	stand_in_capabilities *capabilities;
	struct {
		int fd;
		void (*fn)(fos_channel *, int, void *);
		void *arg;
	} watches[WATCHES];
	int (*poller)(fos_channel *, void *);
	void *poller_arg;
	fos_cap registry;
	volatile uint8_t read;    /* so that what is borrowed is looked at */
	struct choices *verdicts; /* what the Controller says to the calls of this operation */
} stand;

/* ------------------------------------------------------------------ the Controller's word */

static fos_status verdict(void)
{
	static const fos_status refusals[] = {
		FOS_QUOTA,     FOS_NO_CAP, FOS_REVOKED, FOS_STALE,           FOS_RANGE,
		FOS_PEER_LOST, FOS_DENIED, FOS_OVERLAP, FOS_OUTCOME_UNKNOWN, FOS_TIMED_OUT};
	uint64_t how = stand.verdicts != NULL ? choose(stand.verdicts, 1) : 0;
	return how < 200 ? FOS_OK : refusals[how % BASE_COUNT(refusals)];
}

static struct request *own(fos_cap cap)
{
	return cap >= 1 && cap <= stand.request_count ? &stand.requests[cap - 1] : NULL;
}

/* Of a slot of ours that is named in a call. */
static fos_status check_slot(fos_cap cap)
{
	const struct request *request = own(cap);
	if (cap == FOS_CAP_NONE)
		return FOS_NO_CAP;
	return request == NULL || !request->closed ? FOS_OK : FOS_NO_CAP;
}

static fos_status submit_call(const struct call *call)
{
	if (stand.call_count == CALLS)
		return FOS_QUOTA;
	stand.calls[stand.call_count++] = *call;
	return FOS_OK;
}

static fos_status submit(fos_done done, void *arg, const fos_result *result)
{
	return submit_call(&(struct call){.done = done, .arg = arg, .result = *result});
}

/* ------------------------------------------------------------------ arguments */

static unsigned number_of(fos_cap cap)
{
	return (cap & FOS_CALL) == FOS_CALL ? (unsigned)(cap & ~FOS_CALL) : 0;
}

/* What an entry is made from in the end. */
static fos_cap slot_of(const fos_args *args, unsigned entry)
{
	fos_cap cap = args->entries[entry].base;
	for (unsigned depth = 0; number_of(cap) != 0 && depth < FOS_NEST_MAX; depth++)
		cap = args->entries[number_of(cap)].base;
	return cap;
}

static void offer(const fos_args *args, unsigned entry, bool for_errors)
{
	fos_cap base = slot_of(args, entry);
	const struct request *request = own(base);
	if (request == NULL || request->closed)
		return;
	if (request->bytes != NULL)
		stand.memories[stand.memory_count++ % MEMORIES] = base;
	if (request->handler == NULL)
		return;
	struct offer *new = &stand.offers[stand.offer_count++ % OFFERS];
	*new = (struct offer){.base = base, .for_errors = for_errors};
	for (unsigned i = 0; i < args->range_count; i++) {
		const fos_args_range *range = &args->ranges[i];
		if (range->entry != entry || range->length > BOUND_MAX || new->length != 0)
			continue;
		new->start = range->offset;
		new->length = range->length;
		memcpy(new->bound, range->bytes, range->length);
	}
}

/* What a call gives away. */
static void offer_all(const fos_args *args)
{
	for (unsigned i = 0; args != NULL && i < args->bound_count; i++) {
		if (args->bounds[i].entry == 0)
			offer(args, args->bounds[i].value, false);
	}
	if (args != NULL && args->entries[0].on_error != 0)
		offer(args, args->entries[0].on_error, true);
}

static fos_status check_args(const fos_args *args)
{
	for (unsigned i = 1; args != NULL && i < args->entry_count; i++) {
		fos_status status =
			number_of(args->entries[i].base) ? FOS_OK : check_slot(args->entries[i].base);
		if (status != FOS_OK)
			return status;
	}
	/* Whatever is bound is read by the Controller. */
	for (unsigned i = 0; args != NULL && i < args->range_count; i++) {
		for (uint32_t at = 0; at < args->ranges[i].length; at++)
			stand.read ^= ((const uint8_t *)args->ranges[i].bytes)[at];
	}
	return args != NULL ? args->status : FOS_OK;
}

/* ------------------------------------------------------------------ Memory */

/* Kept for the next input: making and zeroing megabytes would take most of the time. */
static struct arena {
	uint8_t *bytes;
	size_t size;
	bool used;
} arenas[ARENAS];

/* One that is free, if possible of that size already. */
static struct arena *free_arena(size_t len)
{
	struct arena *other = NULL;
	for (unsigned i = 0; i < ARENAS; i++) {
		struct arena *arena = &arenas[i];
		if (arena->used)
			continue;
		if (arena->size == len)
			return arena;
		other = other == NULL || other->bytes != NULL ? arena : other;
	}
	return other;
}

fos_status fos_alloc(fos_process *process, size_t len, size_t align, void **out)
{
	fos_status status = len == 0 ? FOS_INVALID : verdict();
	struct arena *arena = free_arena(len);
	if (status != FOS_OK || arena == NULL)
		return status == FOS_OK ? FOS_QUOTA : status;
	align = BASE_MAX(align, (size_t)4096);
	if (arena->size != len) {
		free(arena->bytes);
		arena->bytes = aligned_alloc(align, base_align_up(len, align));
		arena->size = len;
	}
	BASE_ASSERT(arena->bytes != NULL);
	base_show(arena->bytes, len);
	arena->used = true;
	*out = arena->bytes;
	return FOS_OK;
}

static void give_back(struct arena *arena)
{
	arena->used = false;
	base_hide(arena->bytes, arena->size);
}

void fos_free(fos_process *process, void *ptr)
{
	for (unsigned i = 0; ptr != NULL && i < ARENAS; i++) {
		if (arenas[i].bytes == ptr)
			give_back(&arenas[i]);
	}
}

static fos_cap new_slot(void)
{
	return stand.request_count < CAPS ? ++stand.request_count : FOS_CAP_NONE;
}

fos_status fos_memory_create(fos_channel *ch, void *ptr, uint64_t len, unsigned rights,
							 fos_cap *out)
{
	fos_status status = verdict();
	if (status != FOS_OK || (*out = new_slot()) == FOS_CAP_NONE)
		return status != FOS_OK ? status : FOS_QUOTA;
	*own(*out) = (struct request){.alive = true, .bytes = ptr, .length = len};
	return FOS_OK;
}

fos_status fos_memory_create_async(fos_channel *ch, void *ptr, uint64_t len, unsigned rights,
								   fos_done done, void *arg)
{
	fos_result result = {0};
	result.status = fos_memory_create(ch, ptr, len, rights, &result.cap);
	return submit(done, arg, &result);
}

/* One side of a copy: if it is the service's own Memory, its bytes. */
static uint8_t *side(const fos_args *args, fos_cap cap, uint64_t *length)
{
	unsigned number = number_of(cap);
	const fos_args_entry *entry = number != 0 ? &args->entries[number] : NULL;
	const struct request *request = own(number != 0 ? slot_of(args, number) : cap);
	if (request == NULL || request->bytes == NULL)
		return NULL;
	uint64_t offset = entry != NULL ? entry->offset : 0;
	*length = entry != NULL ? entry->length : request->length;
	BASE_ASSERT(base_range_inside(offset, *length, request->length));
	return request->bytes + offset;
}

fos_status fos_memory_copy_async(fos_channel *ch, fos_cap dst, fos_cap src, const fos_args *args,
								 const fos_invoke_options *options, fos_done done, void *arg)
{
	uint64_t length = 0;
	fos_status status = check_args(args);
	if (status == FOS_OK)
		status = verdict();
	if (status == FOS_CONTROLLER_LOST || status == FOS_QUOTA)
		return status;
	uint8_t *to = side(args, dst, &length);
	if (status == FOS_OK && to != NULL)
		memset(to, 0xc1, length);
	const uint8_t *from = side(args, src, &length);
	for (uint64_t i = 0; status == FOS_OK && from != NULL && i < length; i += 511)
		stand.read ^= from[i];
	if (status == FOS_OK)
		offer_all(args);
	return submit_call(&(struct call){.done = done,
									  .arg = arg,
									  .result = {.status = status},
									  .from = status == FOS_OK ? from : NULL,
									  .length = length});
}

bool stand_in_reads(const void *at, uint64_t length)
{
	const uint8_t *begin = at;
	for (unsigned i = 0; i < stand.call_count; i++) {
		const struct call *call = &stand.calls[i];
		if (call->from != NULL && call->from < begin + length && begin < call->from + call->length)
			return true;
	}
	return false;
}

/* ------------------------------------------------------------------ Requests */

fos_status fos_request_create(fos_channel *ch, fos_handler handler, void *arg,
							  const fos_request_options *options, fos_cap *out)
{
	fos_status status = verdict();
	if (status != FOS_OK || (*out = new_slot()) == FOS_CAP_NONE)
		return status != FOS_OK ? status : FOS_QUOTA;
	*own(*out) = (struct request){
		.alive = true, .handler = handler, .arg = arg, .once = options != NULL && options->once};
	return FOS_OK;
}

/* Clients have it from then on. */
fos_status fos_request_refine(fos_channel *ch, fos_cap request, const fos_args *args, fos_cap *out)
{
	fos_status status = check_slot(request);
	if (status == FOS_OK)
		status = check_args(args);
	if (status == FOS_OK)
		status = verdict();
	if (status != FOS_OK || (*out = new_slot()) == FOS_CAP_NONE)
		return status != FOS_OK ? status : FOS_QUOTA;
	*own(*out) = (struct request){.alive = true};
	const fos_args_range *range = args->range_count > 0 ? &args->ranges[0] : NULL;
	stand_in_offer(request, range != NULL ? range->bytes : NULL, range != NULL ? range->length : 0);
	return FOS_OK;
}

static fos_status invoke(fos_cap cap, const fos_args *args)
{
	fos_status status = check_slot(cap);
	if (status == FOS_OK)
		status = check_args(args);
	if (status == FOS_OK)
		status = verdict();
	if (status == FOS_OK)
		offer_all(args);
	return status;
}

fos_status fos_request_invoke(fos_channel *ch, fos_cap request, const fos_args *args,
							  const fos_invoke_options *options)
{
	return invoke(request, args);
}

fos_status fos_request_invoke_async(fos_channel *ch, fos_cap request, const fos_args *args,
									const fos_invoke_options *options, fos_done done, void *arg)
{
	return submit(done, arg, &(fos_result){.status = invoke(request, args)});
}

/* A delivery is finished at most once. */
static void finished(fos_delivery_id id)
{
	BASE_ASSERT(id != FOS_DELIVERY_NONE && id <= stand.deliveries && stand.open[id % DELIVERIES]);
	stand.open[id % DELIVERIES] = false;
}

fos_status fos_continue(fos_channel *ch, fos_delivery_id delivery, fos_cap next,
						const fos_args *args, fos_done done, void *arg)
{
	if (next == FOS_CAP_NONE)
		return FOS_INVALID;
	fos_status status = invoke(next, args);
	if (status == FOS_OK || done == NULL)
		finished(delivery); /* a refused one fails it */
	if (done != NULL)
		return submit(done, arg, &(fos_result){.status = status});
	return FOS_OK;
}

fos_status fos_fail(fos_channel *ch, fos_delivery_id delivery, fos_status status,
					const char *detail)
{
	BASE_ASSERT(status != FOS_OK && (detail == NULL || strlen(detail) < FOS_DETAIL_MAX));
	finished(delivery);
	return FOS_OK;
}

fos_status fos_finish(fos_channel *ch, fos_delivery_id delivery)
{
	finished(delivery);
	return FOS_OK;
}

/* ------------------------------------------------------------------ capabilities */

fos_status fos_cap_close(fos_channel *ch, fos_cap cap)
{
	if (own(cap) != NULL)
		own(cap)->closed = true;
	for (unsigned i = 0; i < stand.call_count; i++) {
		struct call *call = &stand.calls[i];
		if (call->watched != cap || cap == FOS_CAP_NONE)
			continue;
		call->closed = true;
		if (verdict() == FOS_OK) /* else it has fired already, and the service will hear of it */
			call->result = (fos_result){.status = FOS_CANCELLED};
	}
	return FOS_OK;
}

fos_status fos_cap_close_async(fos_channel *ch, fos_cap cap, fos_done done, void *arg)
{
	return submit(done, arg, &(fos_result){.status = fos_cap_close(ch, cap)});
}

fos_status fos_cap_keep(fos_channel *ch, fos_cap cap)
{
	return verdict();
}

fos_status fos_cap_info(fos_channel *ch, fos_cap cap, fos_cap_information *out)
{
	fos_status status = check_slot(cap);
	memset(out, 0, sizeof *out);
	out->kind = FOS_REQUEST;
	out->reachable = status == FOS_OK && verdict() == FOS_OK;
	return status == FOS_OK ? verdict() : status;
}

fos_status fos_cap_is_same(fos_channel *ch, fos_cap a, fos_cap b, bool *out)
{
	*out = a == b || verdict() == FOS_OK;
	return verdict();
}

fos_status fos_cap_revoke(fos_channel *ch, fos_cap cap)
{
	if (own(cap) != NULL)
		own(cap)->alive = false;
	return FOS_OK;
}

fos_status fos_cap_revoke_async(fos_channel *ch, fos_cap cap, fos_done done, void *arg)
{
	return submit(done, arg, &(fos_result){.status = fos_cap_revoke(ch, cap)});
}

fos_status fos_cap_drain_async(fos_channel *ch, fos_cap cap, uint64_t time, fos_done done,
							   void *arg)
{
	fos_status status = fos_cap_revoke(ch, cap);
	if (status == FOS_OK && verdict() != FOS_OK)
		status = FOS_TIMED_OUT;
	return submit(done, arg, &(fos_result){.status = status});
}

/* Whoever is watched ends some time. */
fos_status fos_monitor_receive_async(fos_channel *ch, fos_cap cap, fos_done done, void *arg)
{
	fos_status status = check_slot(cap);
	bool watched = status == FOS_OK;
	const fos_result result = {.status = watched ? FOS_REVOKED : status,
							   .gone = watched ? FOS_GONE_MAKER : FOS_GONE_NOT};
	return submit_call(
		&(struct call){.done = done, .arg = arg, .result = result, .watched = watched ? cap : 0});
}

/* A slot of nobody's Request in particular: what is made through it is the provider's. */
static fos_status child(fos_status status, fos_done done, void *arg)
{
	fos_cap cap = FOS_CAP_NONE;
	if (status == FOS_OK)
		status = verdict();
	if (status == FOS_QUOTA) /* not even taken */
		return status;
	if (status == FOS_OK && (cap = new_slot()) == FOS_CAP_NONE)
		status = FOS_QUOTA;
	if (cap != FOS_CAP_NONE)
		*own(cap) = (struct request){.alive = true};
	return submit(done, arg, &(fos_result){.status = status, .cap = cap});
}

fos_status fos_cap_create_revtree_async(fos_channel *ch, fos_cap cap, unsigned flags, fos_done done,
										void *arg)
{
	return child(check_slot(cap), done, arg);
}

fos_status fos_request_refine_revocable_async(fos_channel *ch, fos_cap request,
											  const fos_args *args, unsigned flags, fos_done done,
											  void *arg)
{
	fos_status status = check_slot(request);
	return child(status == FOS_OK ? check_args(args) : status, done, arg);
}

fos_status fos_registry_set(fos_channel *ch, fos_cap request)
{
	stand.registry = request;
	stand_in_offer(request, NULL, 0);
	return FOS_OK;
}

/* There is no other one, ever. */
fos_status fos_registry_changed_async(fos_channel *ch, fos_cap known, uint64_t time, fos_done done,
									  void *arg)
{
	return FOS_OK;
}

fos_cap stand_in_registry(void)
{
	return stand.registry;
}

/* ------------------------------------------------------------------ the Process */

fos_process *fos_channel_process(fos_channel *channel)
{
	return &stand.process;
}

/* One channel stands for all. */
fos_status fos_channel_open(fos_process *process, fos_channel **out)
{
	fos_status status = verdict();
	*out = status == FOS_OK ? &stand.channel : NULL;
	return status;
}

void fos_channel_close(fos_channel *channel)
{
	for (unsigned i = 0; i < stand.call_count; i++)
		stand.calls[i].result = (fos_result){.status = FOS_CANCELLED};
	while (stand_in_complete())
		continue;
}

/* Nothing comes by itself. */
fos_status fos_serve(fos_channel *ch)
{
	return FOS_OK;
}

void fos_stop(fos_channel *ch)
{
}

fos_status fos_device_held(fos_process *process, int fd)
{
	return FOS_OK;
}

fos_status fos_watch(fos_channel *ch, int fd, void (*fn)(fos_channel *, int, void *), void *arg)
{
	for (unsigned i = 0; i < WATCHES; i++) {
		if (stand.watches[i].fn != NULL && stand.watches[i].fd != fd)
			continue;
		stand.watches[i].fd = fd;
		stand.watches[i].fn = fn;
		stand.watches[i].arg = arg;
		return FOS_OK;
	}
	return FOS_QUOTA;
}

fos_status fos_set_poller(fos_channel *ch, int (*fn)(fos_channel *, void *), void *arg)
{
	stand.poller = fn;
	stand.poller_arg = arg;
	return FOS_OK;
}

/* ------------------------------------------------------------------ deliveries, as they arrive */

uint32_t fos_delivery_imm_len(const fos_delivery *delivery, uint32_t offset)
{
	const struct delivered *d = delivery->internal;
	uint32_t end = offset;
	while (end < FOS_IMM_MAX && d->bound[end])
		end++;
	return end - offset;
}

const void *fos_delivery_imm(const fos_delivery *delivery, uint32_t offset, uint32_t len)
{
	const struct delivered *d = delivery->internal;
	return len == 0 || fos_delivery_imm_len(delivery, offset) < len ? NULL : d->image + offset;
}

fos_cap fos_delivery_cap(const fos_delivery *delivery, unsigned index)
{
	return index < delivery->cap_count ? delivery->caps[index].cap : FOS_CAP_NONE;
}

static void bind(struct delivered *d, uint32_t offset, const uint8_t *bytes, uint32_t length)
{
	for (uint32_t i = 0; i < length && offset + i < FOS_IMM_MAX; i++) {
		if (d->bound[offset + i])
			continue; /* what is bound is never overwritten */
		d->image[offset + i] = bytes[i];
		d->bound[offset + i] = true;
	}
}

static void bind_caps(struct choices *choices, fos_delivered_cap caps[FOS_CAPS_MAX])
{
	uint64_t which = choose(choices, 1), kinds = choose(choices, 1);
	for (unsigned i = 0; i < 8; i++) {
		/* Usually a continuation, and something at the first places. */
		bool chosen = (which >> i & 1) != 0;
		if (i < 4 ? chosen : !chosen)
			continue;
		caps[i].cap = CLIENT_CAP + ++stand.client_caps;
		caps[i].kind = (kinds >> i & 1) || i == FOS_NEXT ? FOS_REQUEST : FOS_MEMORY;
		if (caps[i].kind == FOS_MEMORY) {
			caps[i].rights = (uint8_t)(3u & ~(kinds >> 6));
			caps[i].length = (uint64_t)1 << choose_below(choices, 24);
		}
	}
	if (stand.capabilities != NULL)
		stand.capabilities(choices, caps);
}

void stand_in_memory(struct choices *choices, fos_delivered_cap *out)
{
	unsigned count = BASE_MIN(stand.memory_count, (unsigned)MEMORIES);
	uint64_t how = choose(choices, 1), part = choose(choices, 1);
	if (count == 0)
		return;
	const struct request *memory =
		own(stand.memories[(stand.memory_count - 1 - how % count) % MEMORIES]);
	uint64_t offset = part < 128 ? 0 : part % 16 * 64 % memory->length;
	uint64_t length = part < 64 ? memory->length : part;
	*out = (fos_delivered_cap){.cap = CLIENT_CAP + ++stand.client_caps,
							   .kind = FOS_MEMORY,
							   .rights = (uint8_t)(3u & ~(how >> 6)),
							   .length = BASE_MIN(length, memory->length - offset),
							   .ptr = memory->bytes + offset};
}

/* To a Request that was given out, also when it is revoked already: its record was in the ring. */
static void deliver(struct choices *choices, stand_in_arguments *arguments)
{
	static struct delivered d;
	static uint8_t bytes[FOS_IMM_MAX];
	fos_delivered_cap caps[FOS_CAPS_MAX] = {0};
	unsigned count = BASE_MIN(stand.offer_count, (unsigned)OFFERS);
	uint64_t how = choose(choices, 1), which = choose(choices, 1);
	if (count == 0 || stand.open[(stand.deliveries + 1) % DELIVERIES])
		return;
	const struct offer *target = &stand.offers[(stand.offer_count - 1 - which % count) % OFFERS];
	struct request *request = own(target->base);
	bool exception = target->for_errors || how >= 240;
	if (!request->alive && (how & 1))
		return;
	memset(&d, 0, sizeof d);
	bind(&d, target->start, target->bound, target->length);
	fos_delivery delivery = {.id = ++stand.deliveries,
							 .trace = 7,
							 .span = stand.deliveries,
							 .time_left = how & 2 ? UINT64_MAX : 1000000,
							 .caps = caps,
							 .internal = &d};
	if (exception)
		delivery.exception =
			(fos_exception){.status = (fos_status)(1 + choose_below(choices, FOS_STATUS_COUNT - 1)),
							.process = how & 4 ? 9 : 0,
							.where = "node/process",
							.detail = ""};
	else
		bind(&d, FOS_ARG, bytes, arguments(choices, bytes));
	bind_caps(choices, caps);
	if (how >= 128 && how < 240) /* and anything anywhere, in the unbound */
		bind(&d, (uint32_t)choose_below(choices, FOS_IMM_MAX), choices->at,
			 (uint32_t)choices->left);
	delivery.cap_count = FOS_CAPS_MAX;
	while (delivery.imm_end < FOS_IMM_MAX && d.bound[delivery.imm_end])
		delivery.imm_end++;
	stand.open[delivery.id % DELIVERIES] = true;
	fos_delivery_id id = delivery.id;
	if (request->once)
		request->alive = false;
	if (request->handler(&stand.channel, &delivery, request->arg) == FOS_FINISH)
		finished(id);
}

static void complete(unsigned which)
{
	if (stand.call_count == 0)
		return;
	which %= stand.call_count--;
	struct call call = stand.calls[which];
	stand.calls[which] = stand.calls[stand.call_count];
	stand.late = call.closed;
	if (call.done != NULL)
		call.done(&stand.channel, &call.result, call.arg);
}

static void turn(void)
{
	for (unsigned i = 0; i < WATCHES; i++) {
		struct pollfd ready = {.fd = stand.watches[i].fd, .events = POLLIN};
		if (stand.watches[i].fn != NULL && poll(&ready, 1, 0) > 0)
			stand.watches[i].fn(&stand.channel, ready.fd, stand.watches[i].arg);
	}
	if (stand.poller != NULL)
		stand.poller(&stand.channel, stand.poller_arg);
}

/* ------------------------------------------------------------------ its own interface */

fos_channel *stand_in_begin(void)
{
	memset((void *)&stand, 0, sizeof stand);
	return &stand.channel;
}

void stand_in_offer(fos_cap request, const void *bound, uint32_t len)
{
	struct offer *new = &stand.offers[stand.offer_count++ % OFFERS];
	BASE_ASSERT(own(request) != NULL && len <= BOUND_MAX);
	*new = (struct offer){.base = request, .length = len};
	if (len > 0)
		memcpy(new->bound, bound, len);
}

void stand_in_bind(stand_in_capabilities *capabilities)
{
	stand.capabilities = capabilities;
}

void stand_in_operate(uint8_t what, struct choices *choices, stand_in_arguments *arguments)
{
	stand.verdicts = choices;
	stand.late = false;
	if (what % 8 < 5)
		deliver(choices, arguments);
	else if (what % 8 == 5)
		turn();
	else
		complete(what / 8);
	stand.verdicts = NULL;
}

bool stand_in_late(void)
{
	return stand.late;
}

bool stand_in_complete(void)
{
	if (stand.call_count == 0)
		return false;
	complete(0);
	return true;
}

void stand_in_count(unsigned *deliveries, unsigned *memory)
{
	*deliveries = *memory = 0;
	for (unsigned i = 0; i < DELIVERIES; i++)
		*deliveries += stand.open[i];
	for (unsigned i = 0; i < ARENAS; i++)
		*memory += arenas[i].used;
}

void stand_in_end(void)
{
	for (unsigned i = 0; i < ARENAS; i++) {
		if (arenas[i].used)
			give_back(&arenas[i]);
	}
}
