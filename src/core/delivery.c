/* Deliveries: an invocation in the hands of its provider, finished exactly once.
 *
 *     owner                                   provider
 *       | DELIVERY: ranges, slots, exception    |
 *       |-------------------------------------->| works
 *       |<--------------------------------------| CONTINUE next  |  FAIL status  |  FINISH
 *       | (refused CONTINUE: stays open)        |
 *
 * It holds a place of its channel's inbox, the borrowed slots, and on_error for what follows. */
#include "core/core_internal.h"

/* ------------------------------------------------------------------ making one */

static size_t record_size(const struct invocation *inv)
{
	size_t size = sizeof(struct wire_answer_delivery);
	if (inv->exception != NULL)
		size += sizeof(struct wire_exception) + wire_pad8(inv->exception->head.detail_len);
	if (inv->bundle != NULL)
		size += inv->bundle->range_count * sizeof(struct wire_range) +
				inv->bundle->cap_count * sizeof(struct wire_delivered) +
				wire_pad8(inv->bundle->imm_bytes);
	return size;
}

static void describe(struct core *core, const struct process *process, const struct bound *bound,
					 uint64_t cap, struct wire_delivered *out)
{
	const struct value *value = bound->value;
	*out = (struct wire_delivered){
		.cap = cap, .index = (uint8_t)bound->index, .kind = value->kind, .rights = value->rights};
	if (value->kind != FOS_MEMORY)
		return;
	out->length = value->length;
	struct object *object;
	if (value->ref.node != core->config.node ||
		core_object_find(core, &value->ref, &object) != FOS_OK || object->process != process)
		return;
	out->segment = object->memory.segment + 1;
	out->offset = object->memory.offset + value->offset;
}

static uint8_t *write_padded(uint8_t *out, const void *bytes, size_t size)
{
	memcpy(out, bytes, size);
	if (!PLANTED(padding))
		memset(out + size, 0, wire_pad8(size) - size);
	return out + wire_pad8(size);
}

static void write_record(struct core *core, const struct invocation *inv,
						 const struct delivery *delivery)
{
	const struct bundle *bundle = inv->bundle;
	struct wire_answer_delivery *record =
		core_output_record(core, delivery->channel, WIRE_ANSWER_TYPE_DELIVERY, record_size(inv),
						   delivery->object->request.handler);
	record->delivery = delivery->id;
	record->trace = delivery->trace;
	record->span = delivery->span;
	record->time_left = core_time_left(core, delivery->end);
	record->imm_bytes = bundle != NULL ? bundle->imm_bytes : 0;
	record->range_count = bundle != NULL ? bundle->range_count : 0;
	record->cap_count = (uint8_t)delivery->cap_count;
	record->exception = inv->exception != NULL;
	struct wire_range *range = (void *)(record + 1);
	for (unsigned i = 0; i < record->range_count; i++) {
		const struct extent *extent = core_bundle_ranges(bundle) + i;
		*range++ = (struct wire_range){.offset = extent->offset, .length = extent->length};
	}
	struct wire_delivered *cap = (void *)range;
	for (unsigned i = 0; i < delivery->cap_count; i++)
		describe(core, delivery->channel->process, &bundle->caps[i], delivery->caps[i], cap++);
	uint8_t *at = (uint8_t *)cap;
	if (inv->exception != NULL) {
		at = write_padded(at, &inv->exception->head, sizeof inv->exception->head);
		at = write_padded(at, inv->exception->detail, inv->exception->head.detail_len);
	}
	if (bundle != NULL)
		write_padded(at, core_bundle_bytes(bundle), bundle->imm_bytes);
}

static size_t delivery_size(uint32_t cap_count)
{
	return sizeof(struct delivery) + cap_count * sizeof(uint64_t);
}

static void return_slots(struct core *core, struct process *process,
						 const struct delivery *delivery, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		core_slot_return(core, process, delivery->caps[i]);
}

/* Whether it needs no more than what is kept for a ONCE Request. Then it is delivered even to a
 * Process whose invocations that came back hold more than its quota. */
static bool fits_once(const struct invocation *inv)
{
	uint64_t bytes = core_value_weight(inv->on_error);
	uint32_t cap_count = inv->bundle != NULL ? inv->bundle->cap_count : 0;
	for (uint32_t i = 0; i < cap_count; i++)
		bytes += core_value_weight(inv->bundle->caps[i].value);
	return cap_count <= ONCE_SLOTS && bytes <= ONCE_BYTES;
}

/* All or nothing. */
static fos_status fill_slots(struct core *core, struct process *process, bool kept,
							 const struct bundle *bundle, struct delivery *delivery)
{
	uint32_t cap_count = bundle != NULL ? bundle->cap_count : 0;
	for (uint32_t i = 0; i < cap_count; i++) {
		struct value *value = bundle->caps[i].value;
		uint64_t *cap = &delivery->caps[i];
		fos_status status = kept ? core_slot_add_kept(core, process, value, cap)
								 : core_slot_add(core, process, value, true, cap);
		if (status != FOS_OK) {
			return_slots(core, process, delivery, i);
			return status;
		}
	}
	return FOS_OK;
}

static fos_status make(struct core *core, const struct invocation *inv, struct object *object,
					   struct delivery **out)
{
	struct channel *channel = object->request.channel;
	struct process *process = channel->process;
	uint32_t cap_count = inv->bundle != NULL ? inv->bundle->cap_count : 0;
	uint32_t weight = core_value_weight(inv->on_error);
	bool kept = object->once && fits_once(inv);
	if (!kept && !core_space_fits(core, process, cap_count, weight))
		return FOS_QUOTA;
	/* What ONCE Requests still need stays free. */
	if (!object->once && !core_table_room(core, &process->deliveries, process->once_living + 1))
		return FOS_QUOTA;
	struct delivery *delivery = core_alloc(core, delivery_size(cap_count));
	if (delivery == NULL && cap_count == 0)
		delivery = core_once_record(object);
	if (delivery == NULL)
		return FOS_QUOTA;
	*delivery = (struct delivery){.channel = channel,
								  .object = object,
								  .trace = inv->trace,
								  .span = base_random_next(&core->random),
								  .parent = inv->span,
								  .begin = core->now,
								  .end = inv->end,
								  .cap_count = cap_count,
								  .once = object->once};
	/* Charged first, so that the slots leave room for it. */
	process->values += weight;
	struct process *space = process;
	if (PLANTED(client_space) && inv->account->process != NULL)
		space = inv->account->process;
	fos_status status = fill_slots(core, space, kept, inv->bundle, delivery);
	if (status == FOS_OK) {
		delivery->id = core_table_add(core, &process->deliveries, delivery);
		if (delivery->id != 0) {
			*out = delivery;
			return FOS_OK;
		}
		return_slots(core, process, delivery, cap_count);
	}
	process->values -= weight;
	core_free(core, delivery, delivery_size(cap_count));
	return FOS_QUOTA;
}

fos_status core_deliver(struct core *core, struct invocation *inv, struct object *object)
{
	struct delivery *delivery;
	fos_status status = make(core, inv, object, &delivery);
	if (status != FOS_OK)
		return status;
	struct channel *channel = delivery->channel;
	list_push(&channel->deliveries, &delivery->of_channel);
	object->deliveries++;
	core_object_opened(object, 1);
	channel->process->usage.deliveries += !delivery->once;
	channel->open += !delivery->once;
	core->counters.deliveries++;
	core->counters.exceptions += inv->exception != NULL;
	write_record(core, inv, delivery);
	delivery->on_error = inv->on_error;
	inv->on_error = NULL;
	core_invocation_drop(core, inv);
	return FOS_OK;
}

struct delivery *core_delivery_find(const struct process *process, uint64_t id)
{
	const struct table_entry *entry = core_table_get(&process->deliveries, id);
	return entry != NULL ? entry->content : NULL;
}

/* ------------------------------------------------------------------ finishing */

static void tell_span(struct core *core, const struct delivery *delivery, fos_status status)
{
	struct core_output *out = core_output_add(core, CORE_SPAN);
	out->span = (struct core_span){.trace = delivery->trace,
								   .id = delivery->span,
								   .parent = delivery->parent,
								   .begin = delivery->begin,
								   .end = core->now,
								   .process = delivery->channel->process->serial,
								   .kind = CORE_SPAN_DELIVERY,
								   .status = (uint8_t)status};
}

void core_delivery_finish(struct core *core, struct delivery *delivery, fos_status status)
{
	struct channel *channel = delivery->channel;
	struct process *process = channel->process;
	struct object *object = delivery->object;
	tell_span(core, delivery, status);
	return_slots(core, process, delivery, delivery->cap_count);
	if (delivery->on_error != NULL)
		process->values -= core_value_weight(delivery->on_error);
	core_value_release(core, delivery->on_error);
	core_table_remove(&process->deliveries, delivery->id);
	list_remove(&delivery->of_channel);
	if (delivery->once) {
		channel->once--;
		process->usage.once--;
	} else {
		channel->open--;
		process->usage.deliveries--;
		/* Where the room for finishes is short, another channel may have waited for it. */
		if (process->account.finishing + process->usage.deliveries + process->reserved + 1 >=
			core->config.limits.parked)
			core_process_wake(core, process);
		if (!PLANTED(wake_lost))
			core_channel_wake(core, channel);
	}
	core_free(core, delivery, delivery_size(delivery->cap_count));
	object->deliveries--;
	core_object_closed(object, 1);
	core_object_settle(core, object);
}

void core_delivery_fail(struct core *core, struct delivery *delivery, struct account *account,
						fos_status status, const char *detail, size_t detail_len)
{
	CORE_COVER(core, delivery_fail);
	struct notice notice = {.account = account,
							.on_error = delivery->on_error,
							.trace = delivery->trace,
							.span = delivery->span,
							.status = status,
							.reserved = account->process != NULL && !delivery->once,
							.process = delivery->channel->process,
							.detail = detail,
							.detail_len = detail_len};
	if (!PLANTED(failure_untold))
		core_notify(core, &notice);
	core_delivery_finish(core, delivery, status);
}

/* ------------------------------------------------------------------ calls */

static fos_status go_on(struct core *core, struct process *process, struct delivery *delivery,
						const struct wire_call_continue *call)
{
	struct wire_tail tail;
	struct built built;
	wire_call_tail((const uint8_t *)call, &tail);
	fos_status status = core_args_build_call(core, process, &tail.args, &built);
	if (status != FOS_OK)
		return status;
	const struct value *next = core_args_named(process, &built, call->cap);
	struct invocation inv;
	core_invocation_init(&inv, &process->account);
	inv.on_error = delivery->on_error;
	inv.trace = delivery->trace;
	inv.span = delivery->span;
	inv.end = delivery->end;
	inv.finishing = !delivery->once;
	status = FOS_NO_CAP;
	if (next != NULL)
		status = core_invocation_address(core, &inv, next, &built.call);
	if (status == FOS_OK) {
		status = core_submit(core, &inv);
		if (status != FOS_OK)
			core_invocation_drop(core, &inv);
	}
	core_args_release(core, &built);
	return status;
}

void core_call_continue(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	const struct wire_call_continue *call = (const void *)bytes;
	struct process *process = caller->channel->process;
	struct delivery *delivery = core_delivery_find(process, call->delivery);
	if (delivery == NULL) {
		core_complete(core, caller, FOS_INVALID);
		return;
	}
	fos_status status = call->cap != 0 ? go_on(core, process, delivery, call) : FOS_INVALID;
	core_complete(core, caller, status);
	if (status == FOS_OK) {
		CORE_COVER(core, delivery_continue);
		core_delivery_finish(core, delivery, FOS_OK);
		return;
	}
	CORE_COVER(core, delivery_refused);
	if (call->fail_if_refused)
		core_delivery_fail(core, delivery, &process->account, status, NULL, 0);
}

void core_call_fail(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	const struct wire_call_fail *call = (const void *)bytes;
	struct process *process = caller->channel->process;
	struct delivery *delivery = core_delivery_find(process, call->delivery);
	if (delivery == NULL || call->status == FOS_OK) {
		core_complete(core, caller, FOS_INVALID);
		return;
	}
	struct wire_tail tail;
	wire_call_tail(bytes, &tail);
	core_complete(core, caller, FOS_OK);
	core_delivery_fail(core, delivery, &process->account, (fos_status)call->status,
					   tail.data_len > 0 ? (const char *)tail.data : NULL, tail.data_len);
}

void core_call_finish(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	const struct wire_call_finish *call = (const void *)bytes;
	struct delivery *delivery = core_delivery_find(caller->channel->process, call->delivery);
	core_complete(core, caller, delivery != NULL ? FOS_OK : FOS_INVALID);
	if (delivery == NULL)
		return;
	CORE_COVER(core, delivery_finish);
	core_delivery_finish(core, delivery, FOS_OK);
}
