/* Tables of arguments: from a checked call or message to values, and from values to a message.
 *
 * In a table every entry but the first binds only entries of a lower number, so one pass from entry
 * 1 up builds all values, and writing them in the order of their heights makes such a table. */
#include "core/core_internal.h"

/* ------------------------------------------------------------------ building */

struct cursor { /* where the next entry's parts begin: they are grouped by entry */
	const struct wire_args_view *view;
	unsigned range, bound;
	uint32_t byte;
};

/* What the table adds to `entry`; entries are asked for in rising order. */
static struct addition take_addition(struct cursor *cursor, struct built *built, unsigned entry,
									 unsigned on_error)
{
	const struct wire_args_view *view = cursor->view;
	struct addition add = {.ranges = view->ranges + cursor->range,
						   .bounds = view->bounds + cursor->bound,
						   .imm = view->imm + cursor->byte,
						   .table = built->table,
						   .on_error = on_error != 0 ? built->table[on_error] : NULL};
	while (cursor->range < view->head->range_count && view->ranges[cursor->range].entry == entry) {
		cursor->byte += view->ranges[cursor->range++].length;
		add.range_count++;
	}
	while (cursor->bound < view->head->bound_count && view->bounds[cursor->bound].entry == entry) {
		cursor->bound++;
		add.bound_count++;
	}
	return add;
}

fos_status core_args_refine(struct core *core, const struct value *base, const struct addition *add,
							struct value **out)
{
	if (base->kind != FOS_REQUEST || (add->on_error != NULL && add->on_error->kind != FOS_REQUEST))
		return FOS_WRONG_TYPE;
	struct bundle *bundle;
	fos_status status = core_bundle_merge(core, base->bundle, add, false, &bundle);
	if (status != FOS_OK)
		return status;
	*out = core_value_request(core, &base->ref, core_value_tracked(base), bundle);
	return *out != NULL ? FOS_OK : FOS_QUOTA;
}

/* on_error of entry 0, now that all are built. */
static fos_status bind_on_error(struct core *core, struct built *built, unsigned entry)
{
	if (entry == 0)
		return FOS_OK;
	built->call.on_error = built->table[entry];
	if (built->call.on_error->kind == FOS_REQUEST)
		return FOS_OK;
	core_args_release(core, built);
	return FOS_WRONG_TYPE;
}

static fos_status build_call_entry(struct core *core, struct process *process, struct built *built,
								   const struct wire_call_entry *entry, const struct addition *add,
								   struct value **out)
{
	struct value *named = core_args_named(process, built, entry->cap);
	if (named == NULL)
		return FOS_NO_CAP;
	switch ((enum wire_call_entry_kind)entry->kind) {
	case WIRE_ENTRY_SLOT:
		*out = core_value_hold(named);
		return FOS_OK;
	case WIRE_ENTRY_REFINE:
		return core_args_refine(core, named, add, out);
	case WIRE_ENTRY_DIMINISH:
		return core_memory_part(core, named, entry->offset, entry->length, entry->drop, out);
	case WIRE_ENTRY_CALL:
		break;
	}
	return FOS_INVALID;
}

fos_status core_args_build_call(struct core *core, struct process *process,
								const struct wire_args_view *view, struct built *out)
{
	const struct wire_call_entry *entries = view->entries;
	struct cursor cursor = {.view = view};
	out->table[0] = NULL;
	out->count = 1;
	/* Its on_error names an entry that is not built yet. */
	out->call = take_addition(&cursor, out, 0, 0);
	for (unsigned i = 1; i < view->head->entry_count; i++) {
		struct addition add = take_addition(&cursor, out, i, entries[i].on_error);
		fos_status status = build_call_entry(core, process, out, &entries[i], &add, &out->table[i]);
		if (status != FOS_OK) {
			core_args_release(core, out);
			return status;
		}
		out->count++;
	}
	return bind_on_error(core, out, entries[0].on_error);
}

static fos_status build_entry(struct core *core, const struct wire_entry *entry,
							  const struct addition *add, struct value **out)
{
	struct core_ref ref = {entry->node, entry->index, entry->epoch, entry->serial};
	struct tracked *tracked = NULL;
	fos_status status = entry->tracked ? core_tracked_meet(core, &ref, &tracked) : FOS_OK;
	if (status != FOS_OK)
		return status;
	if (entry->kind == FOS_MEMORY) {
		*out = core_value_memory(core, &ref, tracked, entry->offset, entry->length, entry->rights);
		return *out != NULL ? FOS_OK : FOS_QUOTA;
	}
	if (add->on_error != NULL && add->on_error->kind != FOS_REQUEST)
		return FOS_WRONG_TYPE;
	struct bundle *bundle;
	status = core_bundle_merge(core, NULL, add, false, &bundle);
	if (status != FOS_OK)
		return status;
	*out = core_value_request(core, &ref, tracked, bundle);
	return *out != NULL ? FOS_OK : FOS_QUOTA;
}

static fos_status build_message(struct core *core, const struct wire_args_view *view,
								struct built *out)
{
	const struct wire_entry *entries = view->entries;
	struct cursor cursor = {.view = view};
	out->count = 1;
	out->call = take_addition(&cursor, out, 0, 0);
	for (unsigned i = 1; i < view->head->entry_count; i++) {
		struct addition add = take_addition(&cursor, out, i, entries[i].on_error);
		fos_status status = build_entry(core, &entries[i], &add, &out->table[i]);
		if (status != FOS_OK) {
			core_args_release(core, out);
			return status;
		}
		out->count++;
	}
	return bind_on_error(core, out, entries[0].on_error);
}

fos_status core_args_build_message(struct core *core, struct session *session,
								   const struct wire_args_view *view, struct built *out)
{
	fos_status status = build_message(core, view, out);
	fos_status owed = core_tracked_arrived(core, session, view, status == FOS_OK);
	if (status == FOS_OK && owed != FOS_OK)
		core_args_release(core, out);
	return status == FOS_OK ? owed : status;
}

void core_args_release(struct core *core, struct built *built)
{
	for (unsigned i = 1; i < built->count; i++)
		core_value_release(core, built->table[i]);
}

struct value *core_args_take_on_error(struct built *built)
{
	struct value *on_error = core_value_hold(built->call.on_error);
	built->call.on_error = NULL;
	return on_error;
}

struct value *core_args_named(struct process *process, const struct built *built, uint64_t cap)
{
	if (cap < WIRE_IN_CALL)
		return core_slot_value(process, cap);
	uint64_t entry = cap & ~WIRE_IN_CALL;
	return entry < built->count ? built->table[entry] : NULL;
}

/* ------------------------------------------------------------------ planning and writing */

static bool is_met(const struct plan *plan, const struct value *value)
{
	return value->number < plan->count && plan->values[value->number] == value;
}

/* Gives a value that was not met yet its place. False: too many. */
static bool meet(struct plan *plan, struct value *value)
{
	if (value == NULL || is_met(plan, value))
		return true;
	if (plan->count == FOS_ENTRIES_MAX)
		return false;
	value->number = (uint16_t)plan->count;
	plan->tracked |= value->tracked;
	plan->values[plan->count++] = value;
	return true;
}

static bool meet_bundle(struct plan *plan, const struct bundle *bundle)
{
	if (bundle == NULL)
		return true;
	plan->ranges += bundle->range_count;
	plan->bounds += bundle->cap_count;
	plan->imm_bytes += bundle->imm_bytes;
	for (unsigned i = 0; i < bundle->cap_count; i++) {
		if (!meet(plan, bundle->caps[i].value))
			return false;
	}
	return true;
}

/* Sorts by height (counting) and numbers; values are found breadth first. */
static void number_values(struct plan *plan)
{
	unsigned start[FOS_NEST_MAX + 2] = {0};
	struct value *found[FOS_ENTRIES_MAX];
	for (unsigned i = 1; i < plan->count; i++) {
		found[i] = plan->values[i];
		start[found[i]->height + 1]++;
	}
	start[0] = 1;
	for (unsigned i = 1; i <= FOS_NEST_MAX; i++)
		start[i] += start[i - 1];
	for (unsigned i = 1; i < plan->count; i++) {
		unsigned number = start[found[i]->height]++;
		found[i]->number = (uint16_t)number;
		plan->values[number] = found[i];
	}
}

fos_status core_plan(struct bundle *bundle, struct value *on_error, struct plan *out)
{
	out->count = 1;
	out->ranges = out->bounds = 0;
	out->imm_bytes = 0;
	out->tracked = false;
	out->values[0] = NULL;
	if (!meet_bundle(out, bundle) || !meet(out, on_error))
		return FOS_QUOTA;
	for (unsigned i = 1; i < out->count; i++) {
		const struct value *value = out->values[i];
		if (value->kind == FOS_REQUEST && value->bundle != NULL &&
			(!meet_bundle(out, value->bundle) || !meet(out, value->bundle->on_error)))
			return FOS_QUOTA;
	}
	if (out->ranges > FOS_RANGES_MAX || out->bounds > 2 * FOS_ENTRIES_MAX ||
		out->imm_bytes > FOS_IMM_TOTAL)
		return FOS_QUOTA;
	number_values(out);
	out->size = sizeof(struct wire_args) + out->count * sizeof(struct wire_entry) +
				out->ranges * sizeof(struct wire_range) + out->bounds * sizeof(struct wire_bound) +
				wire_pad8(out->imm_bytes);
	return FOS_OK;
}

struct writer {
	struct wire_range *range;
	struct wire_bound *bound;
	uint8_t *imm;
};

static void write_bundle(struct writer *writer, uint16_t entry, const struct bundle *bundle)
{
	if (bundle == NULL)
		return;
	const struct extent *ranges = core_bundle_ranges(bundle);
	for (unsigned i = 0; i < bundle->range_count; i++)
		*writer->range++ = (struct wire_range){
			.entry = entry, .offset = ranges[i].offset, .length = ranges[i].length};
	for (unsigned i = 0; i < bundle->cap_count; i++)
		*writer->bound++ = (struct wire_bound){.entry = entry,
											   .index = (uint16_t)bundle->caps[i].index,
											   .value = bundle->caps[i].value->number};
	memcpy(writer->imm, core_bundle_bytes(bundle), bundle->imm_bytes);
	writer->imm += bundle->imm_bytes;
}

static void write_entry(struct wire_entry *entry, const struct value *value)
{
	*entry = (struct wire_entry){.epoch = value->ref.epoch,
								 .serial = value->ref.serial,
								 .node = value->ref.node,
								 .index = value->ref.index,
								 .kind = value->kind,
								 .rights = value->rights,
								 .tracked = value->tracked};
	if (value->kind == FOS_MEMORY) {
		entry->offset = value->offset;
		entry->length = value->length;
	} else if (value->bundle != NULL && value->bundle->on_error != NULL) {
		entry->on_error = value->bundle->on_error->number;
	}
}

void core_plan_write(const struct plan *plan, const struct bundle *bundle,
					 const struct value *on_error, uint8_t *out)
{
	struct wire_args *head = (void *)out;
	*head = (struct wire_args){.entry_count = (uint16_t)plan->count,
							   .range_count = (uint16_t)plan->ranges,
							   .bound_count = (uint16_t)plan->bounds,
							   .imm_bytes = plan->imm_bytes};
	struct wire_entry *entries = (void *)(head + 1);
	struct writer writer = {.range = (void *)(entries + plan->count)};
	writer.bound = (void *)(writer.range + plan->ranges);
	writer.imm = (uint8_t *)(writer.bound + plan->bounds);
	entries[0] = (struct wire_entry){.on_error = on_error != NULL ? on_error->number : 0};
	write_bundle(&writer, 0, bundle);
	for (unsigned i = 1; i < plan->count; i++) {
		const struct value *value = plan->values[i];
		write_entry(&entries[i], value);
		if (value->kind == FOS_REQUEST)
			write_bundle(&writer, (uint16_t)i, value->bundle);
	}
	memset(writer.imm, 0, (size_t)(out + plan->size - writer.imm));
}
