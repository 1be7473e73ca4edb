/* Capability spaces: slots, and the calls that look at one or drop it.
 *
 * A slot holds a reference to a value and charges its weight to the Process. A slot that came with
 * a delivery is `borrowed`: it ends with the delivery unless cap_keep cleared the mark. */
#include "core/core_internal.h"

bool core_space_fits(const struct core *core, const struct process *process, uint32_t slots,
					 uint64_t bytes)
{
	const struct core_limits *limits = &core->config.limits;
	uint64_t kept = process->once_living;
	return process->usage.slots + kept * ONCE_SLOTS + slots <= limits->slots &&
		   process->values + kept * ONCE_BYTES + bytes <= limits->values_bytes;
}

/* While it lasts the child's slots with its maker do not count as held, and slots with a lost child
 * are closed by and by; until then they are as good as closed. */
static void schedule(struct core *core, struct process *process)
{
	process->swept = 0;
	if (list_empty(&process->sweep))
		list_push(&core->sweeps, &process->sweep);
}

static void enter_tracked(struct core *core, struct process *process, struct tracked *tracked)
{
	if (core_tracked_is_maker(tracked, process))
		tracked->own++;
	if (tracked->lost)
		schedule(core, process);
}

/* Without asking whether it fits. */
static fos_status put(struct core *core, struct process *process, struct value *value,
					  bool borrowed, uint64_t *out)
{
	uint64_t cap = core_table_add(core, &process->slots, value);
	if (cap == 0)
		return FOS_QUOTA;
	struct table_entry *slot = core_table_get(&process->slots, cap);
	slot->borrowed = borrowed;
	slot->monitored = false;
	core_value_hold(value);
	if (value->tracked)
		enter_tracked(core, process, core_value_tracked(value));
	process->usage.slots++;
	process->values += core_value_weight(value);
	*out = cap;
	return FOS_OK;
}

fos_status core_slot_add(struct core *core, struct process *process, struct value *value,
						 bool borrowed, uint64_t *out)
{
	if (!core_space_fits(core, process, 1, core_value_weight(value)))
		return FOS_QUOTA;
	return put(core, process, value, borrowed, out);
}

fos_status core_slot_add_kept(struct core *core, struct process *process, struct value *value,
							  uint64_t *out)
{
	return put(core, process, value, true, out);
}

static bool is_lost(const struct value *value)
{
	return value->tracked && core_value_tracked(value)->lost;
}

struct value *core_slot_value(const struct process *process, uint64_t cap)
{
	const struct table_entry *entry = core_table_get(&process->slots, cap);
	return entry != NULL && !is_lost(entry->content) ? entry->content : NULL;
}

/* What a slot that is gone held. */
static void leave(struct core *core, struct process *process, struct value *value)
{
	process->usage.slots -= !PLANTED(refund_slot);
	process->values -= PLANTED(refund_values) ? 0 : core_value_weight(value);
	if (value->tracked && core_tracked_is_maker(core_value_tracked(value), process))
		core_value_tracked(value)->own--;
	core_value_release(core, value);
}

void core_slot_remove(struct core *core, struct process *process, uint64_t cap)
{
	const struct table_entry *entry = core_table_get(&process->slots, cap);
	struct value *value = entry->content;
	if (entry->monitored)
		core_watch_slot_end(core, process, cap);
	core_table_remove(&process->slots, cap);
	leave(core, process, value);
}

void core_slot_return(struct core *core, struct process *process, uint64_t cap)
{
	const struct table_entry *entry = core_table_get(&process->slots, cap);
	if (entry != NULL && entry->borrowed)
		core_slot_remove(core, process, cap);
}

void core_space_end(struct core *core, struct process *process)
{
	for (uint32_t i = 0; i < process->slots.used; i++) {
		const struct table_entry *entry = core_table_at(&process->slots, i);
		if (entry != NULL)
			leave(core, process, entry->content);
	}
	core_table_end(core, &process->slots);
}

void core_spaces_sweep(struct core *core)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		struct list *bucket = &core->processes.buckets[i];
		for (struct list *at = bucket->next; at != bucket; at = at->next)
			schedule(core, BASE_CONTAINER(at, struct process, hash));
	}
}

void core_spaces_run(struct core *core)
{
	for (unsigned portion = SWEEP_PORTION; portion > 0 && !list_empty(&core->sweeps); portion--) {
		struct process *process = LIST_FIRST(&core->sweeps, struct process, sweep);
		if (process->swept == process->slots.used) {
			list_remove(&process->sweep);
			continue;
		}
		uint32_t index = process->swept++;
		const struct table_entry *entry = core_table_at(&process->slots, index);
		if (entry != NULL && is_lost(entry->content))
			core_slot_remove(core, process, core_table_handle(entry, index));
	}
}

/* ------------------------------------------------------------------ calls */

void core_call_cap_close(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	const struct wire_call_cap_close *call = (const void *)bytes;
	struct process *process = caller->channel->process;
	fos_status status = FOS_OK;
	if (core_table_get(&process->slots, call->cap) != NULL)
		core_slot_remove(core, process, call->cap);
	else if (!core_table_issued(&process->slots, call->cap))
		status = FOS_NO_CAP;
	core_complete(core, caller, status);
}

void core_call_cap_keep(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	const struct wire_call_cap_keep *call = (const void *)bytes;
	struct process *process = caller->channel->process;
	bool there = core_slot_value(process, call->cap) != NULL;
	if (there)
		core_table_get(&process->slots, call->cap)->borrowed = false;
	core_complete(core, caller, there ? FOS_OK : FOS_NO_CAP);
}

void core_call_cap_is_same(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	const struct wire_call_cap_is_same *call = (const void *)bytes;
	const struct value *a = core_slot_value(caller->channel->process, call->a);
	const struct value *b = core_slot_value(caller->channel->process, call->b);
	if (a == NULL || b == NULL) {
		core_complete(core, caller, FOS_NO_CAP);
		return;
	}
	core_complete_same(core, caller, core_ref_equal(&a->ref, &b->ref));
}

static bool reachable(struct core *core, const struct core_ref *ref)
{
	if (ref->node == core->config.node)
		return ref->epoch == core->config.epoch;
	struct session *session;
	return core_session_to(core, ref, &session) == FOS_OK;
}

/* What only the object's own Process learns, and what only its maker does. */
static void tell_own(struct core *core, const struct process *process, const struct value *value,
					 struct wire_answer_info *info)
{
	struct object *object;
	if (value->ref.node != core->config.node) {
		const struct lending *lending = core_lending_find(core, &value->ref);
		info->revocable = lending != NULL && lending->process == process;
		return;
	}
	if (core_object_find(core, &value->ref, &object) != FOS_OK)
		return;
	info->revocable = object->charged == process;
	if (object->process != process)
		return;
	info->own = true;
	if (object->kind == FOS_REQUEST) {
		info->open_deliveries = object->open;
	} else {
		info->segment = object->memory.segment + 1;
		info->offset = object->memory.offset + value->offset;
	}
}

void core_call_cap_info(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	const struct wire_call_cap_info *call = (const void *)bytes;
	const struct value *value = core_slot_value(caller->channel->process, call->cap);
	struct wire_answer_info *info = core_output_record(core, caller->channel, WIRE_ANSWER_TYPE_INFO,
													   sizeof *info, caller->cookie);
	struct wire_record header = info->header;
	*info = (struct wire_answer_info){.header = header, .status = FOS_OK};
	if (value == NULL) {
		core->counters.calls_refused++;
		info->status = FOS_NO_CAP;
		return;
	}
	info->node = value->ref.node;
	info->kind = value->kind;
	info->reachable = reachable(core, &value->ref);
	if (value->kind == FOS_MEMORY) {
		info->length = value->length;
		info->rights = value->rights;
	} else {
		info->once = core_serial_is_once(value->ref.serial);
	}
	info->tracked = value->tracked;
	tell_own(core, caller->channel->process, value, info);
}
