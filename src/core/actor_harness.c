/* What the Processes of harness.h say and hear: calls made and submitted, answers and deliveries
 * read. */
#include <stdlib.h>
#include <string.h>

#include "core/core_internal.h"
#include "core/harness.h"

/* ------------------------------------------------------------------ calls */

void call_init(struct call *call, uint16_t type, const void *fixed, size_t size, bool has_args)
{
	memset(call, 0, sizeof *call);
	call->type = type;
	call->fixed_size = size;
	memcpy(call->fixed, fixed, size);
	call->has_args = has_args;
	call->entry_count = 1;
}

/* Keeps ranges and bounds grouped by entry and rising, as the wire wants them. */
void call_imm(struct call *call, unsigned entry, uint32_t offset, const void *bytes,
			  uint32_t length)
{
	unsigned at = call->range_count++;
	for (; at > 0 && (call->ranges[at - 1].entry > entry || (call->ranges[at - 1].entry == entry &&
															 call->ranges[at - 1].offset > offset));
		 at--) {
		call->ranges[at] = call->ranges[at - 1];
		call->range_bytes[at] = call->range_bytes[at - 1];
	}
	call->ranges[at] =
		(struct wire_range){.entry = (uint16_t)entry, .offset = offset, .length = length};
	call->range_bytes[at] = bytes;
}

void call_cap(struct call *call, unsigned entry, unsigned index, unsigned value)
{
	unsigned at = call->bound_count++;
	for (; at > 0 && (call->bounds[at - 1].entry > entry ||
					  (call->bounds[at - 1].entry == entry && call->bounds[at - 1].index > index));
		 at--)
		call->bounds[at] = call->bounds[at - 1];
	call->bounds[at] = (struct wire_bound){
		.entry = (uint16_t)entry, .index = (uint16_t)index, .value = (uint16_t)value};
}

static unsigned add_entry(struct call *call, struct wire_call_entry entry)
{
	BASE_ASSERT(call->entry_count < FOS_ENTRIES_MAX);
	call->entries[call->entry_count] = entry;
	return call->entry_count++;
}

unsigned call_slot(struct call *call, uint64_t cap)
{
	return add_entry(call, (struct wire_call_entry){.cap = cap, .kind = WIRE_ENTRY_SLOT});
}

unsigned call_refine(struct call *call, uint64_t cap)
{
	return add_entry(call, (struct wire_call_entry){.cap = cap, .kind = WIRE_ENTRY_REFINE});
}

unsigned call_part(struct call *call, uint64_t cap, uint64_t offset, uint64_t length, uint8_t drop)
{
	return add_entry(call, (struct wire_call_entry){.cap = cap,
													.kind = WIRE_ENTRY_DIMINISH,
													.offset = offset,
													.length = length,
													.drop = drop});
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t size)
{
	if (size > 0)
		memcpy(at, bytes, size);
	return at + size;
}

size_t call_encode(const struct call *call, uint64_t cookie, uint8_t *out)
{
	memset(out, 0, WIRE_RECORD_MAX);
	uint8_t *at = put(out, call->fixed, call->fixed_size);
	if (call->has_args) {
		struct wire_args args = {.entry_count = (uint16_t)call->entry_count,
								 .range_count = (uint16_t)call->range_count,
								 .bound_count = (uint16_t)call->bound_count};
		for (unsigned i = 0; i < call->range_count; i++)
			args.imm_bytes += call->ranges[i].length;
		at = put(at, &args, sizeof args);
		at = put(at, call->entries, call->entry_count * sizeof *call->entries);
		at = put(at, call->ranges, call->range_count * sizeof *call->ranges);
		at = put(at, call->bounds, call->bound_count * sizeof *call->bounds);
		for (unsigned i = 0; i < call->range_count; i++)
			at = put(at, call->range_bytes[i], call->ranges[i].length);
	}
	at = put(at, call->data, call->data_len);
	size_t size = wire_pad8((size_t)(at - out));
	struct wire_record head = {.size = (uint32_t)size, .type = call->type, .cookie = cookie};
	memcpy(out, &head, sizeof head);
	return size;
}

uint64_t call_submit(struct actor actor, const struct call *call)
{
	static _Alignas(8) uint8_t bytes[WIRE_RECORD_MAX];
	struct world *world = actor.node->world;
	uint64_t cookie = world->cookie++;
	size_t size = call_encode(call, cookie, bytes);
	/* An exact copy, so that a sanitizer sees a read behind its end. */
	uint8_t *exact = malloc(size);
	BASE_ASSERT(exact != NULL);
	memcpy(exact, bytes, size);
	world_step(actor.node, &(struct core_event){.type = CORE_CALL,
												.process = actor.process,
												.channel = actor.channel,
												.bytes = exact,
												.size = size});
	free(exact);
	return cookie;
}

bool call_completed(struct actor actor, uint64_t cookie, struct wire_answer_completion *out)
{
	struct packet *packet = actor_record(actor, false, cookie);
	if (packet == NULL)
		return false;
	memcpy(out, packet->bytes, sizeof *out);
	free(packet);
	return true;
}

fos_status actor_call(struct actor actor, const struct call *call, uint64_t *cap)
{
	struct wire_answer_completion completion;
	uint64_t cookie = call_submit(actor, call);
	BASE_ASSERT(call_completed(actor, cookie, &completion));
	BASE_ASSERT((completion.status == FOS_OK) || completion.cap == 0);
	if (cap != NULL)
		*cap = completion.cap;
	return (fos_status)completion.status;
}

#define FIXED(call, NAME, name, args, ...)                \
	struct wire_call_##name fixed_##name = {__VA_ARGS__}; \
	call_init(call, WIRE_CALL_TYPE_##NAME, &fixed_##name, sizeof fixed_##name, args)

struct call call_invoke(uint64_t cap, uint64_t delivery, uint64_t time)
{
	struct call call;
	FIXED(&call, REQUEST_INVOKE, request_invoke, true, .cap = cap, .delivery = delivery,
		  .time = time);
	return call;
}

struct call call_continue(uint64_t delivery, uint64_t cap, bool fail_if_refused)
{
	struct call call;
	FIXED(&call, CONTINUE, continue, true, .cap = cap, .delivery = delivery,
		  .fail_if_refused = fail_if_refused);
	return call;
}

struct call call_copy(uint64_t dst, uint64_t src, uint64_t delivery, uint64_t time)
{
	struct call call;
	FIXED(&call, MEMORY_COPY, memory_copy, true, .dst = dst, .src = src, .delivery = delivery,
		  .time = time);
	return call;
}

struct call call_refinement(uint64_t cap)
{
	struct call call;
	FIXED(&call, REQUEST_REFINE, request_refine, true, .cap = cap);
	return call;
}

struct call call_revtree(uint64_t cap, bool tracked)
{
	struct call call;
	FIXED(&call, CAP_REVTREE, cap_revtree, false, .cap = cap, .tracked = tracked);
	return call;
}

struct call call_revoke(uint64_t cap, bool drain, uint64_t time)
{
	struct call call;
	FIXED(&call, CAP_REVOKE, cap_revoke, false, .cap = cap, .drain = drain, .time = time);
	return call;
}

fos_status call_status(struct actor actor, uint64_t cookie)
{
	struct wire_answer_completion completion;
	bool done = call_completed(actor, cookie, &completion);
	return done ? (fos_status)completion.status : FOS_STATUS_COUNT;
}

fos_status actor_ask(struct actor actor, const struct call *call, uint64_t *cap)
{
	struct wire_answer_completion completion;
	uint64_t cookie = call_submit(actor, call);
	world_settle(actor.node->world);
	BASE_ASSERT(call_completed(actor, cookie, &completion));
	if (cap != NULL)
		*cap = completion.cap;
	return (fos_status)completion.status;
}

static uint64_t revtree(struct actor actor, uint64_t cap, bool tracked)
{
	struct call call = call_revtree(cap, tracked);
	uint64_t child = 0;
	BASE_ASSERT(actor_ask(actor, &call, &child) == FOS_OK && child != 0);
	return child;
}

uint64_t actor_revtree(struct actor actor, uint64_t cap)
{
	return revtree(actor, cap, false);
}

uint64_t actor_tracked(struct actor actor, uint64_t cap)
{
	return revtree(actor, cap, true);
}

static uint64_t create(struct actor actor, uint64_t handler, bool once, uint64_t deadline)
{
	struct call call;
	uint64_t cap = 0;
	FIXED(&call, REQUEST_CREATE, request_create, false, .handler = handler, .once = once,
		  .deadline = deadline);
	BASE_ASSERT(actor_call(actor, &call, &cap) == FOS_OK);
	return cap;
}

uint64_t actor_request(struct actor actor, uint64_t handler)
{
	return create(actor, handler, false, 0);
}

uint64_t actor_once(struct actor actor, uint64_t handler, uint64_t deadline)
{
	return create(actor, handler, true, deadline);
}

uint64_t actor_memory(struct actor actor, uint64_t offset, uint64_t length, uint32_t rights)
{
	struct call call;
	uint64_t cap = 0;
	FIXED(&call, MEMORY_CREATE, memory_create, false, .offset = offset, .length = length,
		  .rights = rights);
	BASE_ASSERT(actor_call(actor, &call, &cap) == FOS_OK);
	return cap;
}

fos_status actor_invoke(struct actor actor, uint64_t cap)
{
	struct call call = call_invoke(cap, 0, 0);
	return actor_call(actor, &call, NULL);
}

fos_status actor_close(struct actor actor, uint64_t cap)
{
	struct call call;
	FIXED(&call, CAP_CLOSE, cap_close, false, .cap = cap);
	return actor_call(actor, &call, NULL);
}

fos_status actor_keep(struct actor actor, uint64_t cap)
{
	struct call call;
	FIXED(&call, CAP_KEEP, cap_keep, false, .cap = cap);
	return actor_call(actor, &call, NULL);
}

fos_status actor_revoke(struct actor actor, uint64_t cap)
{
	struct call call;
	FIXED(&call, CAP_REVOKE, cap_revoke, false, .cap = cap);
	return actor_call(actor, &call, NULL);
}

fos_status actor_take_back(struct actor actor, uint64_t cap, bool drain)
{
	struct call call = call_revoke(cap, drain, 0);
	uint64_t cookie = call_submit(actor, &call);
	world_settle(actor.node->world);
	return call_status(actor, cookie);
}

fos_status actor_finish(struct actor actor, uint64_t delivery)
{
	struct call call;
	FIXED(&call, FINISH, finish, false, .delivery = delivery);
	return actor_call(actor, &call, NULL);
}

fos_status actor_fail(struct actor actor, uint64_t delivery, fos_status status, const char *text)
{
	struct call call;
	FIXED(&call, FAIL, fail, false, .delivery = delivery, .status = status,
		  .length = (uint32_t)strlen(text));
	call.data = text;
	call.data_len = strlen(text);
	return actor_call(actor, &call, NULL);
}

fos_status actor_info(struct actor actor, uint64_t cap, struct wire_answer_info *out)
{
	struct call call;
	FIXED(&call, CAP_INFO, cap_info, false, .cap = cap);
	uint64_t cookie = call_submit(actor, &call);
	struct packet *packet = actor_record(actor, false, cookie);
	BASE_ASSERT(packet != NULL);
	memcpy(out, packet->bytes, sizeof *out);
	free(packet);
	return (fos_status)out->status;
}

uint64_t actor_monitor(struct actor actor, uint64_t cap, bool delegate)
{
	struct call receive, given;
	FIXED(&receive, MONITOR_RECEIVE, monitor_receive, false, .cap = cap);
	FIXED(&given, MONITOR_DELEGATE, monitor_delegate, false, .cap = cap);
	return call_submit(actor, delegate ? &given : &receive);
}

bool monitor_ended(struct actor actor, uint64_t cookie, struct wire_answer_monitored *out)
{
	struct packet *packet = actor_record(actor, false, cookie);
	if (packet == NULL)
		return false;
	BASE_ASSERT(packet->size == sizeof *out);
	memcpy(out, packet->bytes, sizeof *out);
	free(packet);
	return true;
}

/* ------------------------------------------------------------------ arrivals */

static void read_arrival(const uint8_t *bytes, struct arrival *out)
{
	const struct wire_answer_delivery *record = (const void *)bytes;
	memset(out, 0, sizeof *out);
	out->handler = record->header.cookie;
	out->id = record->delivery;
	out->trace = record->trace;
	out->span = record->span;
	out->time_left = record->time_left;
	out->range_count = record->range_count;
	out->cap_count = record->cap_count;
	const uint8_t *at = (const uint8_t *)(record + 1);
	memcpy(out->ranges, at, record->range_count * sizeof *out->ranges);
	at += record->range_count * sizeof *out->ranges;
	memcpy(out->caps, at, record->cap_count * sizeof *out->caps);
	at += record->cap_count * sizeof *out->caps;
	if (record->exception) {
		const struct wire_exception *exception = (const void *)at;
		out->status = (fos_status)exception->status;
		out->process = exception->process;
		memcpy(out->where, exception->where, sizeof out->where);
		memcpy(out->detail, exception + 1, exception->detail_len);
		at += sizeof *exception + wire_pad8(exception->detail_len);
	}
	for (unsigned i = 0; i < out->range_count; i++) {
		memcpy(out->imm + out->ranges[i].offset, at, out->ranges[i].length);
		at += out->ranges[i].length;
	}
}

bool actor_arrival(struct actor actor, struct arrival *out)
{
	struct packet *packet = actor_record(actor, true, 0);
	if (packet == NULL)
		return false;
	read_arrival(packet->bytes, out);
	free(packet);
	return true;
}

uint64_t arrival_cap(const struct arrival *arrival, unsigned index)
{
	for (unsigned i = 0; i < arrival->cap_count; i++) {
		if (arrival->caps[i].index == index)
			return arrival->caps[i].cap;
	}
	return 0;
}

fos_status actor_pass(struct actor from, uint64_t door, uint64_t cap)
{
	struct call call = call_invoke(door, 0, 0);
	call_cap(&call, 0, 1, call_slot(&call, cap));
	return actor_call(from, &call, NULL);
}

uint64_t actor_take(struct actor actor)
{
	struct arrival arrival;
	BASE_ASSERT(actor_arrival(actor, &arrival));
	uint64_t cap = arrival_cap(&arrival, 1);
	BASE_ASSERT(cap != 0 && actor_keep(actor, cap) == FOS_OK);
	BASE_ASSERT(actor_finish(actor, arrival.id) == FOS_OK);
	return cap;
}

void actor_exhaust(struct actor actor)
{
	static const char noise[1024];
	uint64_t request = actor_request(actor, 1);
	for (uint32_t length = sizeof noise; length > 0; length = length * 3 / 4) {
		struct call call = call_refinement(request);
		call_imm(&call, 0, 0, noise, length);
		while (actor_call(actor, &call, NULL) == FOS_OK)
			;
	}
	struct call call = call_refinement(request);
	while (actor_call(actor, &call, NULL) == FOS_OK)
		;
}

/* ------------------------------------------------------------------ introductions */

/* One node's Processes take turns as the registry here, though the one before lives. */
uint64_t actor_introduce(struct actor registry, struct actor who)
{
	registry.node->core->registry.ref = (struct core_ref){0};
	struct call call;
	uint64_t cap = 0, root = actor_request(registry, 0xfeed);
	FIXED(&call, REGISTRY_SET, registry_set, false, .cap = root);
	BASE_ASSERT(actor_call(registry, &call, NULL) == FOS_OK);
	world_settle(registry.node->world);
	struct call get;
	FIXED(&get, REGISTRY_GET, registry_get, false, .time = 0);
	BASE_ASSERT(actor_call(who, &get, &cap) == FOS_OK);
	return cap;
}

uint64_t actor_give(struct actor from, uint64_t cap, struct actor to)
{
	uint64_t door = actor_introduce(to, from);
	struct call call = call_invoke(door, 0, 0);
	unsigned entry = call_slot(&call, cap);
	call_cap(&call, 0, 1, entry);
	BASE_ASSERT(actor_call(from, &call, NULL) == FOS_OK);
	world_settle(from.node->world);
	struct arrival arrival;
	do
		BASE_ASSERT(actor_arrival(to, &arrival));
	while (arrival.handler != 0xfeed);
	uint64_t given = arrival_cap(&arrival, 1);
	BASE_ASSERT(given != 0 && actor_keep(to, given) == FOS_OK);
	BASE_ASSERT(actor_finish(to, arrival.id) == FOS_OK);
	/* The door's Request is not needed any more; its object dies with the receiver. */
	BASE_ASSERT(actor_close(from, door) == FOS_OK);
	return given;
}
