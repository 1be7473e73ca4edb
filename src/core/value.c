/* Values: what a capability is when it is not an object of ours. Immutable and counted, shared by
 * slots, invocations and other values.
 *
 *     Memory   {object, offset, length, rights}
 *     Request  {object, bundle}, a bundle being the bound arguments and on_error
 *
 * A bundle holds values, so values form trees with shared parts. Height (at most FOS_NEST_MAX) and
 * weight (bytes of the whole tree, saturating) are known when one is made and never change, so a
 * charge is refunded exactly. The value of a tracked child is longer by a pointer to the record of
 * who holds it (tracked.c), in which each reference is counted. */
#include "core/core_internal.h"

static uint32_t add_weight(uint32_t a, uint32_t b)
{
	return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

static size_t size_of(bool tracked)
{
	return tracked ? sizeof(struct tracked_value) : sizeof(struct value);
}

static struct value *new_value(struct core *core, const struct core_ref *ref, enum fos_kind kind,
							   struct tracked *tracked)
{
	size_t size = size_of(tracked != NULL);
	struct value *value = core_alloc(core, size);
	if (value == NULL)
		return NULL;
	*value = (struct value){.refs = 1, .ref = *ref, .kind = kind & 3u, .tracked = tracked != NULL};
	if (tracked != NULL) {
		((struct tracked_value *)value)->tracked = tracked;
		core_tracked_hold(tracked);
	}
	return value;
}

struct value *core_value_memory(struct core *core, const struct core_ref *ref,
								struct tracked *tracked, uint64_t offset, uint64_t length,
								uint8_t rights)
{
	struct value *value = new_value(core, ref, FOS_MEMORY, tracked);
	if (value != NULL) {
		value->offset = offset;
		value->length = length;
		value->rights = rights & 3u; /* it has no more bits: the decoder saw to it */
	}
	return value;
}

struct value *core_value_request(struct core *core, const struct core_ref *ref,
								 struct tracked *tracked, struct bundle *bundle)
{
	struct value *value = new_value(core, ref, FOS_REQUEST, tracked);
	if (value == NULL) {
		core_bundle_release(core, bundle);
		return NULL;
	}
	value->bundle = bundle;
	if (bundle != NULL) {
		value->height = bundle->height;
	}
	return value;
}

struct value *core_value_like(struct core *core, const struct value *value,
							  const struct core_ref *ref, struct tracked *tracked)
{
	if (value->kind == FOS_MEMORY)
		return core_value_memory(core, ref, tracked, value->offset, value->length, value->rights);
	return core_value_request(core, ref, tracked, core_bundle_hold(value->bundle));
}

/* ------------------------------------------------------------------ release, by a worklist */

static void drop_value(struct value *value, struct value **work)
{
	if (value == NULL)
		return;
	BASE_ASSERT(value->refs > 0);
	if (value->tracked)
		core_tracked_drop(core_value_tracked(value));
	if (--value->refs == 0) {
		value->next = *work;
		*work = value;
	}
}

static void drop_bundle(struct core *core, struct bundle *bundle, struct value **work)
{
	if (bundle == NULL)
		return;
	BASE_ASSERT(bundle->refs > 0);
	if (--bundle->refs > 0)
		return;
	for (unsigned i = 0; i < bundle->cap_count; i++)
		drop_value(bundle->caps[i].value, work);
	drop_value(bundle->on_error, work);
	core_free(core, bundle, bundle->size);
}

static void run(struct core *core, struct value *work)
{
	while (work != NULL) {
		struct value *value = work;
		work = value->next;
		if (value->kind == FOS_REQUEST)
			drop_bundle(core, value->bundle, &work);
		core_free(core, value, size_of(value->tracked));
	}
}

void core_value_release(struct core *core, struct value *value)
{
	struct value *work = NULL;
	drop_value(value, &work);
	run(core, work);
}

void core_bundle_release(struct core *core, struct bundle *bundle)
{
	struct value *work = NULL;
	drop_bundle(core, bundle, &work);
	run(core, work);
}

struct value *core_bundle_cap(const struct bundle *bundle, unsigned index)
{
	for (unsigned i = 0; bundle != NULL && i < bundle->cap_count; i++) {
		if (bundle->caps[i].index == index)
			return bundle->caps[i].value;
	}
	return NULL;
}

/* ------------------------------------------------------------------ merge */

struct piece { /* immediates from one side */
	uint32_t offset, length;
	const uint8_t *bytes;
};
struct pieces {
	struct piece all[2 * FOS_RANGES_MAX];
	unsigned count, ranges; /* ranges: when adjacent ones are one */
	uint32_t bytes;
};

static fos_status add_piece(struct pieces *pieces, uint32_t offset, uint32_t length,
							const uint8_t *bytes)
{
	uint32_t end = 0;
	if (pieces->count > 0) {
		const struct piece *last = &pieces->all[pieces->count - 1];
		end = last->offset + last->length;
		if (offset < end)
			return FOS_OVERLAP;
	}
	if (pieces->count == 0 || offset > end)
		pieces->ranges++;
	pieces->all[pieces->count++] = (struct piece){offset, length, bytes};
	pieces->bytes += length;
	return FOS_OK;
}

static fos_status merge_ranges(const struct bundle *base, const struct addition *add,
							   struct pieces *out)
{
	const struct extent *ranges = base != NULL ? core_bundle_ranges(base) : NULL;
	const uint8_t *base_bytes = base != NULL ? core_bundle_bytes(base) : NULL;
	const uint8_t *add_bytes = add->imm;
	unsigned base_count = base != NULL ? base->range_count : 0;
	out->count = out->ranges = 0;
	out->bytes = 0;
	for (unsigned i = 0, j = 0; i < base_count || j < add->range_count;) {
		fos_status status;
		if (j == add->range_count ||
			(i < base_count && ranges[i].offset <= add->ranges[j].offset)) {
			status = add_piece(out, ranges[i].offset, ranges[i].length, base_bytes);
			base_bytes += ranges[i++].length;
		} else {
			status = add_piece(out, add->ranges[j].offset, add->ranges[j].length, add_bytes);
			add_bytes += add->ranges[j++].length;
		}
		if (status != FOS_OK)
			return status;
	}
	return out->ranges > FOS_RANGES_MAX ? FOS_QUOTA : FOS_OK;
}

struct caps {
	struct bound all[FOS_CAPS_MAX];
	unsigned count;
};

static fos_status merge_caps(const struct bundle *base, const struct addition *add,
							 struct caps *out)
{
	unsigned base_count = base != NULL ? base->cap_count : 0;
	out->count = 0;
	for (unsigned i = 0, j = 0; i < base_count || j < add->bound_count;) {
		if (i < base_count && j < add->bound_count && base->caps[i].index == add->bounds[j].index) {
			if (!PLANTED(overlap))
				return FOS_OVERLAP;
			i++;
			continue;
		}
		if (j == add->bound_count ||
			(i < base_count && base->caps[i].index < add->bounds[j].index)) {
			out->all[out->count++] = base->caps[i++];
		} else {
			const struct wire_bound *bound = &add->bounds[j++];
			out->all[out->count++] = (struct bound){add->table[bound->value], bound->index};
		}
	}
	return FOS_OK;
}

static void fill_ranges(struct bundle *bundle, const struct pieces *pieces)
{
	struct extent *range = (struct extent *)(void *)(bundle->caps + bundle->cap_count);
	uint8_t *bytes = (uint8_t *)(range + pieces->ranges);
	unsigned count = 0;
	for (unsigned i = 0; i < pieces->count; i++) {
		const struct piece *piece = &pieces->all[i];
		if (count > 0 && range[count - 1].offset + range[count - 1].length == piece->offset)
			range[count - 1].length += piece->length;
		else
			range[count++] = (struct extent){piece->offset, piece->length};
		memcpy(bytes, piece->bytes, piece->length);
		bytes += piece->length;
	}
}

static void hold_child(struct bundle *bundle, struct value *child)
{
	core_value_hold(child);
	bundle->weight = add_weight(bundle->weight, core_value_weight(child));
	bundle->height = (uint8_t)BASE_MAX(bundle->height, child->height + 1u);
}

static fos_status make(struct core *core, const struct pieces *pieces, const struct caps *caps,
					   struct value *on_error, struct bundle **out)
{
	unsigned height = on_error != NULL ? on_error->height + 1u : 0;
	for (unsigned i = 0; i < caps->count; i++)
		height = BASE_MAX(height, caps->all[i].value->height + 1u);
	if (height > FOS_NEST_MAX)
		return FOS_INVALID;
	size_t size = sizeof **out + caps->count * sizeof(struct bound) +
				  pieces->ranges * sizeof(struct extent) + pieces->bytes;
	struct bundle *bundle = core_alloc(core, size);
	if (bundle == NULL)
		return FOS_QUOTA;
	*bundle = (struct bundle){.refs = 1,
							  .weight = (uint32_t)core_pool_room(size),
							  .size = (uint32_t)size,
							  .imm_bytes = pieces->bytes,
							  .cap_count = (uint16_t)caps->count,
							  .range_count = (uint16_t)pieces->ranges,
							  .on_error = on_error};
	for (unsigned i = 0; i < caps->count; i++) {
		bundle->caps[i] = caps->all[i];
		hold_child(bundle, caps->all[i].value);
	}
	if (on_error != NULL)
		hold_child(bundle, on_error);
	fill_ranges(bundle, pieces);
	*out = bundle;
	return FOS_OK;
}

fos_status core_bundle_merge(struct core *core, struct bundle *base, const struct addition *add,
							 bool invoking, struct bundle **out)
{
	if (add->range_count == 0 && add->bound_count == 0 && add->on_error == NULL) {
		*out = core_bundle_hold(base);
		return FOS_OK;
	}
	struct value *on_error = base != NULL ? base->on_error : NULL;
	if (add->on_error != NULL) {
		if (on_error != NULL && !invoking)
			return FOS_OVERLAP;
		on_error = add->on_error;
	}
	struct pieces pieces;
	struct caps caps;
	fos_status status = merge_ranges(base, add, &pieces);
	if (status == FOS_OK)
		status = merge_caps(base, add, &caps);
	return status == FOS_OK ? make(core, &pieces, &caps, on_error, out) : status;
}
