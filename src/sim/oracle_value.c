/* Values as the oracle keeps them: what is bound where, by content, without the bytes.
 *
 * A value's hash is that of core/inspect.h: two values with one hash are one, here and in a core.
 */
#include "sim/oracle_internal.h"

uint64_t oracle_cap_hash(uint32_t index, uint8_t kind, uint8_t rights, uint64_t length)
{
	return base_mix64(base_mix64(length + 1) ^
					  ((uint64_t)index << 16 | (uint64_t)kind << 8 | rights));
}

static struct oracle_value *new_value(struct oracle *o, struct oracle_thing *object, uint8_t kind)
{
	struct oracle_value *value = oracle_alloc(o, sizeof *value);
	value->refs = 1;
	value->object = object;
	value->kind = kind;
	value->weight = 256; /* more than the core's pool gives */
	value->tracked = object->tracked;
	return value;
}

void oracle_value_rehash(struct oracle_value *value)
{
	uint64_t id = value->object->id;
	value->hash = value->kind == FOS_MEMORY
					  ? core_view_memory_hash(id, value->offset, value->length, value->rights)
					  : core_view_request_hash(id, value->bundle != NULL ? value->bundle->hash : 0);
}

struct oracle_value *oracle_value_memory(struct oracle *o, struct oracle_thing *object,
										 uint64_t offset, uint64_t length, uint8_t rights)
{
	struct oracle_value *value = new_value(o, object, FOS_MEMORY);
	value->offset = offset;
	value->length = length;
	value->rights = rights;
	oracle_value_rehash(value);
	return value;
}

struct oracle_value *oracle_value_request(struct oracle *o, struct oracle_thing *object,
										  struct oracle_bundle *bundle)
{
	struct oracle_value *value = new_value(o, object, FOS_REQUEST);
	value->bundle = bundle;
	oracle_value_rehash(value);
	if (bundle != NULL) {
		value->weight += bundle->weight;
		value->height = bundle->height;
		value->tracked |= bundle->tracked;
	}
	return value;
}

struct oracle_value *oracle_value_of_child(struct oracle *o, const struct oracle_value *value,
										   struct oracle_thing *child)
{
	if (value->kind == FOS_MEMORY)
		return oracle_value_memory(o, child, value->offset, value->length, value->rights);
	return oracle_value_request(o, child, oracle_bundle_hold(value->bundle));
}

struct oracle_value *oracle_hold(struct oracle_value *value)
{
	if (value == NULL)
		return NULL;
	value->refs++;
	return value;
}

/* ------------------------------------------------------------------ release */

static void drop(struct oracle_value *value, struct oracle_value **work)
{
	if (value == NULL)
		return;
	BASE_ASSERT(value->refs > 0);
	if (--value->refs == 0) {
		value->next = *work;
		*work = value;
	}
}

static void drop_bundle(struct oracle *o, struct oracle_bundle *bundle, struct oracle_value **work)
{
	if (bundle == NULL || --bundle->refs > 0)
		return;
	for (unsigned i = 0; i < bundle->cap_count; i++)
		drop(bundle->caps[i].value, work);
	drop(bundle->on_error, work);
	oracle_free(o, bundle, bundle->size);
}

static void run(struct oracle *o, struct oracle_value *work)
{
	while (work != NULL) {
		struct oracle_value *value = work;
		work = value->next;
		drop_bundle(o, value->bundle, &work);
		oracle_free(o, value, sizeof *value);
	}
}

void oracle_release(struct oracle *o, struct oracle_value *value)
{
	struct oracle_value *work = NULL;
	drop(value, &work);
	run(o, work);
}

void oracle_bundle_release(struct oracle *o, struct oracle_bundle *bundle)
{
	struct oracle_value *work = NULL;
	drop_bundle(o, bundle, &work);
	run(o, work);
}

/* ------------------------------------------------------------------ merge */

struct pieces {
	struct oracle_extent all[2 * FOS_RANGES_MAX];
	unsigned count;
	uint32_t bytes;
};

static bool add_piece(struct pieces *pieces, uint32_t offset, uint32_t length)
{
	if (pieces->count > 0) {
		struct oracle_extent *last = &pieces->all[pieces->count - 1];
		uint32_t end = last->offset + last->length;
		if (offset < end)
			return false;
		if (offset == end) {
			last->length += length;
			pieces->bytes += length;
			return true;
		}
	}
	pieces->all[pieces->count++] = (struct oracle_extent){offset, length};
	pieces->bytes += length;
	return true;
}

static fos_status merge_ranges(const struct oracle_bundle *base, const struct oracle_addition *add,
							   struct pieces *out)
{
	unsigned base_count = base != NULL ? base->range_count : 0;
	const struct oracle_extent *ranges = base != NULL ? oracle_ranges(base) : NULL;
	out->count = 0;
	out->bytes = 0;
	for (unsigned i = 0, j = 0; i < base_count || j < add->range_count;) {
		bool ours =
			j == add->range_count || (i < base_count && ranges[i].offset <= add->ranges[j].offset);
		if (ours ? !add_piece(out, ranges[i].offset, ranges[i].length)
				 : !add_piece(out, add->ranges[j].offset, add->ranges[j].length))
			return FOS_OVERLAP;
		i += ours;
		j += !ours;
	}
	return out->count > FOS_RANGES_MAX ? FOS_QUOTA : FOS_OK;
}

struct caps {
	struct oracle_bound all[FOS_CAPS_MAX];
	unsigned count;
};

static fos_status merge_caps(const struct oracle_bundle *base, const struct oracle_addition *add,
							 struct caps *out)
{
	unsigned base_count = base != NULL ? base->cap_count : 0;
	out->count = 0;
	for (unsigned i = 0, j = 0; i < base_count || j < add->bound_count;) {
		if (i < base_count && j < add->bound_count && base->caps[i].index == add->bounds[j].index)
			return FOS_OVERLAP;
		if (j == add->bound_count ||
			(i < base_count && base->caps[i].index < add->bounds[j].index)) {
			out->all[out->count++] = base->caps[i++];
		} else {
			const struct wire_bound *bound = &add->bounds[j++];
			out->all[out->count++] = (struct oracle_bound){add->table[bound->value], bound->index};
		}
	}
	return FOS_OK;
}

static void take_in(struct oracle_bundle *bundle, struct oracle_value *child)
{
	oracle_hold(child);
	bundle->height = (uint8_t)BASE_MAX(bundle->height, child->height + 1u);
	bundle->tracked |= child->tracked;
	child->object->armed = true;
	/* As a tree a value of many shared parts may be huge: saturate. */
	bundle->weight = BASE_MIN(bundle->weight + child->weight, (uint64_t)1 << 40);
	const struct oracle_bundle *below = child->bundle;
	bundle->entries = BASE_MIN(bundle->entries + 1 + (below ? below->entries : 0), 1u << 20);
	if (below == NULL)
		return;
	bundle->ranges = BASE_MIN(bundle->ranges + below->ranges, 1u << 20);
	bundle->bounds = BASE_MIN(bundle->bounds + below->bounds, 1u << 20);
	bundle->bytes = BASE_MIN(bundle->bytes + below->bytes, 1u << 20);
}

static uint64_t imm_of(const struct oracle_bundle *base, const struct oracle_addition *add)
{
	uint64_t sum = base != NULL ? base->imm_hash : 0;
	const uint8_t *at = add->imm;
	for (unsigned i = 0; i < add->range_count; i++) {
		sum += core_view_imm_hash(add->ranges[i].offset, at, add->ranges[i].length);
		at += add->ranges[i].length;
	}
	return sum;
}

static struct oracle_bundle *make(struct oracle *o, const struct pieces *pieces,
								  const struct caps *caps, struct oracle_value *on_error,
								  uint64_t imm_hash)
{
	size_t size = sizeof(struct oracle_bundle) + caps->count * sizeof(struct oracle_bound) +
				  pieces->count * sizeof(struct oracle_extent);
	struct oracle_bundle *bundle = oracle_alloc(o, size);
	bundle->refs = 1;
	bundle->size = (uint32_t)size;
	bundle->imm_hash = imm_hash;
	bundle->imm_bytes = pieces->bytes;
	bundle->bytes = pieces->bytes;
	bundle->cap_count = (uint16_t)caps->count;
	bundle->range_count = (uint16_t)pieces->count;
	bundle->ranges = pieces->count;
	bundle->bounds = caps->count;
	bundle->weight = 2 * (size + pieces->bytes) + 256;
	bundle->hash = core_view_imm_part(imm_hash, pieces->bytes);
	for (unsigned i = 0; i < caps->count; i++) {
		const struct oracle_bound *bound = &caps->all[i];
		bundle->caps[i] = *bound;
		take_in(bundle, bound->value);
		bundle->cap_hash +=
			oracle_cap_hash(bound->index, bound->value->kind, bound->value->rights,
							bound->value->kind == FOS_MEMORY ? bound->value->length : 0);
		bundle->hash += core_view_cap_part(bound->value->hash, bound->index);
	}
	bundle->on_error = on_error;
	if (on_error != NULL) {
		take_in(bundle, on_error);
		bundle->hash += core_view_cap_part(on_error->hash, FOS_CAPS_MAX);
	}
	memcpy(bundle->caps + caps->count, pieces->all, pieces->count * sizeof pieces->all[0]);
	return bundle;
}

fos_status oracle_merge(struct oracle *o, struct oracle_bundle *base,
						const struct oracle_addition *add, bool invoking,
						struct oracle_bundle **out)
{
	struct oracle_value *on_error = base != NULL ? base->on_error : NULL;
	struct pieces pieces;
	struct caps caps;
	*out = NULL;
	if (add->range_count == 0 && add->bound_count == 0 && add->on_error == NULL) {
		*out = oracle_bundle_hold(base);
		return FOS_OK;
	}
	if (add->on_error != NULL) {
		if (on_error != NULL && !invoking)
			return FOS_OVERLAP;
		on_error = add->on_error;
	}
	fos_status status = merge_ranges(base, add, &pieces);
	if (status == FOS_OK)
		status = merge_caps(base, add, &caps);
	if (status != FOS_OK)
		return status;
	unsigned height = on_error != NULL ? on_error->height + 1u : 0;
	for (unsigned i = 0; i < caps.count; i++)
		height = BASE_MAX(height, caps.all[i].value->height + 1u);
	if (height > FOS_NEST_MAX)
		return FOS_INVALID;
	*out = make(o, &pieces, &caps, on_error, imm_of(base, add));
	return FOS_OK;
}

/* ------------------------------------------------------------------ what a call names */

fos_status oracle_refine(struct oracle *o, const struct oracle_value *base,
						 const struct oracle_addition *add, struct oracle_value **out)
{
	struct oracle_bundle *bundle;
	if (base->kind != FOS_REQUEST || (add->on_error != NULL && add->on_error->kind != FOS_REQUEST))
		return FOS_WRONG_TYPE;
	fos_status status = oracle_merge(o, base->bundle, add, false, &bundle);
	if (status == FOS_OK)
		*out = oracle_value_request(o, base->object, bundle);
	return status;
}

fos_status oracle_part(struct oracle *o, const struct oracle_value *value, uint64_t offset,
					   uint64_t length, uint32_t drop_rights, struct oracle_value **out)
{
	if (value->kind != FOS_MEMORY)
		return FOS_WRONG_TYPE;
	if (length == 0)
		return FOS_INVALID;
	if (!base_range_inside(offset, length, value->length))
		return FOS_RANGE;
	*out = oracle_value_memory(o, value->object, value->offset + offset, length,
							   (uint8_t)(value->rights & ~drop_rights));
	return FOS_OK;
}

struct cursor {
	const struct wire_args_view *view;
	unsigned range, bound;
	uint32_t byte;
};

static struct oracle_addition take_addition(struct cursor *cursor, struct oracle_built *built,
											unsigned entry, unsigned on_error)
{
	const struct wire_args_view *view = cursor->view;
	struct oracle_addition add = {.ranges = view->ranges + cursor->range,
								  .bounds = view->bounds + cursor->bound,
								  .imm = view->imm + cursor->byte,
								  .table = built->table,
								  .on_error = on_error != 0 ? built->table[on_error] : NULL};
	for (; cursor->range < view->head->range_count && view->ranges[cursor->range].entry == entry;
		 add.range_count++)
		cursor->byte += view->ranges[cursor->range++].length;
	for (; cursor->bound < view->head->bound_count && view->bounds[cursor->bound].entry == entry;
		 add.bound_count++)
		cursor->bound++;
	return add;
}

struct oracle_value *oracle_named(struct oracle_process *process, const struct oracle_built *built,
								  uint64_t cap)
{
	if (cap < WIRE_IN_CALL) {
		struct oracle_cell *cell = oracle_cell(process, cap);
		return cell != NULL ? cell->value : NULL;
	}
	uint64_t entry = cap & ~WIRE_IN_CALL;
	return entry < built->count ? built->table[entry] : NULL;
}

static fos_status build_entry(struct oracle *o, struct oracle_process *process,
							  struct oracle_built *built, const struct wire_call_entry *entry,
							  const struct oracle_addition *add, struct oracle_value **out)
{
	struct oracle_value *named = oracle_named(process, built, entry->cap);
	if (named == NULL)
		return FOS_NO_CAP;
	if (entry->kind == WIRE_ENTRY_REFINE)
		return oracle_refine(o, named, add, out);
	if (entry->kind == WIRE_ENTRY_DIMINISH)
		return oracle_part(o, named, entry->offset, entry->length, entry->drop, out);
	*out = oracle_hold(named);
	return FOS_OK;
}

fos_status oracle_build(struct oracle *o, struct oracle_process *process,
						const struct wire_args_view *view, struct oracle_built *out)
{
	const struct wire_call_entry *entries = view->entries;
	struct cursor cursor = {.view = view};
	out->table[0] = NULL;
	out->count = 1;
	out->call = take_addition(&cursor, out, 0, 0);
	fos_status status = FOS_OK;
	for (unsigned i = 1; i < view->head->entry_count && status == FOS_OK; i++) {
		struct oracle_addition add = take_addition(&cursor, out, i, entries[i].on_error);
		status = build_entry(o, process, out, &entries[i], &add, &out->table[i]);
		out->count += status == FOS_OK;
	}
	if (status == FOS_OK && entries[0].on_error != 0) {
		out->call.on_error = out->table[entries[0].on_error];
		if (out->call.on_error->kind != FOS_REQUEST)
			status = FOS_WRONG_TYPE;
	}
	if (status != FOS_OK)
		oracle_built_release(o, out);
	return status;
}

void oracle_built_release(struct oracle *o, struct oracle_built *built)
{
	for (unsigned i = 1; i < built->count; i++)
		oracle_release(o, built->table[i]);
	built->count = 0;
}

/* ------------------------------------------------------------------ tracked children in values */

void oracle_walk_begin(struct oracle *o, struct oracle_walk *walk)
{
	*walk = (struct oracle_walk){.number = ++o->walks};
}

void oracle_walk_value(struct oracle_walk *walk, struct oracle_value *value)
{
	if (value == NULL || !value->tracked || value->walk == walk->number)
		return;
	value->walk = walk->number;
	value->next = walk->left;
	walk->left = value;
}

void oracle_walk_bundle(struct oracle_walk *walk, struct oracle_bundle *bundle)
{
	if (bundle == NULL || !bundle->tracked)
		return;
	for (unsigned i = 0; i < bundle->cap_count; i++)
		oracle_walk_value(walk, bundle->caps[i].value);
	oracle_walk_value(walk, bundle->on_error);
}

struct oracle_thing *oracle_walk_next(struct oracle_walk *walk)
{
	while (walk->left != NULL) {
		struct oracle_value *value = walk->left;
		struct oracle_thing *thing = value->object;
		walk->left = value->next;
		oracle_walk_bundle(walk, value->bundle);
		if (!thing->tracked || thing->walk == walk->number)
			continue;
		thing->walk = walk->number;
		return thing;
	}
	return NULL;
}

void oracle_was_at(struct oracle *o, struct oracle_value *value, uint64_t nodes)
{
	struct oracle_walk walk;
	struct oracle_thing *thing;
	oracle_walk_begin(o, &walk);
	oracle_walk_value(&walk, value);
	while ((thing = oracle_walk_next(&walk)) != NULL)
		thing->nodes |= nodes;
}

bool oracle_too_large(const struct oracle_bundle *args, const struct oracle_value *on_error)
{
	uint64_t entries = 1, ranges = 0, bounds = 0, bytes = 0;
	const struct oracle_bundle *all[] = {args, on_error != NULL ? on_error->bundle : NULL};
	for (unsigned i = 0; i < BASE_COUNT(all); i++) {
		if (all[i] == NULL)
			continue;
		entries += all[i]->entries;
		ranges += all[i]->ranges;
		bounds += all[i]->bounds;
		bytes += all[i]->bytes;
	}
	entries += on_error != NULL;
	/* A copy's two sides and `then` come to it. */
	return entries + 4 > FOS_ENTRIES_MAX || ranges > FOS_RANGES_MAX ||
		   bounds + 4 > 2 * FOS_ENTRIES_MAX || bytes > FOS_IMM_TOTAL;
}
