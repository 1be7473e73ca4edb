/* Arguments of a call: collected in a fos_args, then encoded into the ring in one pass.
 *
 * In a fos_args things stand in the order in which the caller named them. On the wire an entry
 * binds only lower ones, so the encoder numbers them anew: slots first, then what is built, each
 * after all that it is built from. A circle, which only a mistake can make, is INVALID.
 */
#include <string.h>

#include "client/client.h"

#define NUMBER_MASK ((uint64_t)0xffff)

static bool is_name(fos_cap cap)
{
	return (cap & FOS_CALL) == FOS_CALL;
}

static uint16_t name_number(fos_cap cap)
{
	uint64_t number = cap & ~FOS_CALL;
	return number < FOS_ENTRIES_MAX ? (uint16_t)number : FOS_ENTRIES_MAX;
}

/* ------------------------------------------------------------------ collecting */

void fos_args_init(fos_args *args)
{
	args->status = FOS_OK;
	args->entry_count = 1;
	args->range_count = 0;
	args->bound_count = 0;
	args->entries[0] = (fos_args_entry){.kind = CLIENT_ENTRY_CALL};
}

static void mistake(fos_args *args, fos_status status)
{
	if (args->status == FOS_OK)
		args->status = status;
}

/* The entry whose arguments are meant; FOS_ENTRIES_MAX: none that could have any. */
static uint16_t target(const fos_args *args, fos_cap of)
{
	uint16_t number = is_name(of) ? name_number(of) : FOS_ENTRIES_MAX;
	if (number >= args->entry_count)
		return FOS_ENTRIES_MAX;
	uint8_t kind = args->entries[number].kind;
	return kind == CLIENT_ENTRY_CALL || kind == CLIENT_ENTRY_REFINE ? number : FOS_ENTRIES_MAX;
}

static uint16_t add_entry(fos_args *args, const fos_args_entry *entry)
{
	if (args->entry_count == FOS_ENTRIES_MAX) {
		mistake(args, FOS_INVALID);
		return FOS_ENTRIES_MAX;
	}
	args->entries[args->entry_count] = *entry;
	return args->entry_count++;
}

/* The entry that stands for a capability to be bound: a name's own, or one for the slot. */
static uint16_t value_entry(fos_args *args, fos_cap cap)
{
	if (is_name(cap)) {
		uint16_t number = name_number(cap);
		if (number != 0 && number < args->entry_count)
			return number;
		mistake(args, FOS_INVALID);
		return FOS_ENTRIES_MAX;
	}
	if (cap == FOS_CAP_NONE) {
		mistake(args, FOS_INVALID);
		return FOS_ENTRIES_MAX;
	}
	for (uint16_t i = 1; i < args->entry_count; i++) {
		if (args->entries[i].kind == CLIENT_ENTRY_SLOT && args->entries[i].base == cap)
			return i;
	}
	return add_entry(args, &(fos_args_entry){.base = cap, .kind = CLIENT_ENTRY_SLOT});
}

/* Keeps ranges sorted by entry and offset: usually the new one goes to the end. */
void fos_args_imm(fos_args *args, fos_cap of, uint32_t offset, const void *bytes, size_t len)
{
	uint16_t entry = target(args, of);
	if (entry == FOS_ENTRIES_MAX || !base_range_inside(offset, len, FOS_IMM_MAX) ||
		(bytes == NULL && len != 0) || args->range_count == FOS_RANGES_MAX) {
		mistake(args, FOS_INVALID);
		return;
	}
	if (len == 0)
		return;
	unsigned at = args->range_count;
	while (at > 0 && (args->ranges[at - 1].entry > entry || (args->ranges[at - 1].entry == entry &&
															 args->ranges[at - 1].offset > offset)))
		at--;
	const fos_args_range *before = at > 0 ? &args->ranges[at - 1] : NULL;
	const fos_args_range *after = at < args->range_count ? &args->ranges[at] : NULL;
	if ((before && before->entry == entry && before->offset + before->length > offset) ||
		(after && after->entry == entry && offset + len > after->offset)) {
		mistake(args, FOS_OVERLAP);
		return;
	}
	memmove(&args->ranges[at + 1], &args->ranges[at],
			(args->range_count - at) * sizeof args->ranges[0]);
	args->ranges[at] =
		(fos_args_range){.bytes = bytes, .offset = offset, .length = (uint32_t)len, .entry = entry};
	args->range_count++;
}

/* The same for bounds, by entry and index. */
void fos_args_cap(fos_args *args, fos_cap of, unsigned index, fos_cap cap)
{
	uint16_t entry = target(args, of);
	if (entry == FOS_ENTRIES_MAX || index >= FOS_CAPS_MAX ||
		args->bound_count == BASE_COUNT(args->bounds)) {
		mistake(args, FOS_INVALID);
		return;
	}
	unsigned at = args->bound_count;
	while (at > 0 && (args->bounds[at - 1].entry > entry ||
					  (args->bounds[at - 1].entry == entry && args->bounds[at - 1].index > index)))
		at--;
	if (at > 0 && args->bounds[at - 1].entry == entry && args->bounds[at - 1].index == index) {
		mistake(args, FOS_OVERLAP);
		return;
	}
	uint16_t value = value_entry(args, cap);
	if (value == FOS_ENTRIES_MAX)
		return;
	memmove(&args->bounds[at + 1], &args->bounds[at],
			(args->bound_count - at) * sizeof args->bounds[0]);
	args->bounds[at] = (fos_args_bound){.entry = entry, .index = (uint16_t)index, .value = value};
	args->bound_count++;
}

void fos_args_on_error(fos_args *args, fos_cap of, fos_cap cap)
{
	uint16_t entry = target(args, of);
	if (entry == FOS_ENTRIES_MAX) {
		mistake(args, FOS_INVALID);
		return;
	}
	if (args->entries[entry].on_error != 0) {
		mistake(args, FOS_OVERLAP);
		return;
	}
	uint16_t value = value_entry(args, cap);
	if (value != FOS_ENTRIES_MAX)
		args->entries[entry].on_error = value;
}

/* A name that stands for a new entry over `cap`; where that is a mistake, one that is no entry. */
static fos_cap build(fos_args *args, fos_cap cap, fos_args_entry entry)
{
	uint16_t base = is_name(cap) ? name_number(cap) : 0;
	if (cap == FOS_CAP_NONE || (is_name(cap) && (base == 0 || base >= args->entry_count))) {
		mistake(args, FOS_INVALID);
		return FOS_CALL | NUMBER_MASK;
	}
	entry.base = cap;
	uint16_t number = add_entry(args, &entry);
	return number == FOS_ENTRIES_MAX ? FOS_CALL | NUMBER_MASK : FOS_CALL | number;
}

fos_cap fos_args_refine(fos_args *args, fos_cap cap)
{
	return build(args, cap, (fos_args_entry){.kind = CLIENT_ENTRY_REFINE});
}

fos_cap fos_args_diminish(fos_args *args, fos_cap cap, uint64_t offset, uint64_t length,
						  unsigned drop_rights)
{
	if (drop_rights > (FOS_READ | FOS_WRITE)) {
		mistake(args, FOS_INVALID);
		return FOS_CALL | NUMBER_MASK;
	}
	return build(args, cap,
				 (fos_args_entry){.kind = CLIENT_ENTRY_DIMINISH,
								  .drop = (uint8_t)drop_rights,
								  .offset = offset,
								  .length = length});
}

/* ------------------------------------------------------------------ the order on the wire */

static bool is_built(const fos_args *args, unsigned number)
{
	return args->entries[number].kind >= CLIENT_ENTRY_REFINE;
}

/* The built entry that `cap` names, 0 where it is a slot. */
static unsigned built_base(fos_cap cap)
{
	return is_name(cap) ? name_number(cap) : 0;
}

static void place(struct client_plan *plan, unsigned *count, unsigned number)
{
	plan->order[*count] = (uint8_t)number;
	plan->number[number] = (uint8_t)*count;
	(*count)++;
}

/* How many built entries each built entry waits for. */
static void count_needs(const fos_args *args, uint8_t needs[FOS_ENTRIES_MAX])
{
	for (unsigned i = 0; i < args->entry_count; i++) {
		const fos_args_entry *e = &args->entries[i];
		needs[i] = (uint8_t)((built_base(e->base) != 0 ? 1 : 0) +
							 (e->on_error != 0 && is_built(args, e->on_error) ? 1 : 0));
	}
	for (unsigned i = 0; i < args->bound_count; i++) {
		if (is_built(args, args->bounds[i].value))
			needs[args->bounds[i].entry]++;
	}
}

/* `number` has its place: whoever waited for it waits for one less. */
static void release_needs(const fos_args *args, unsigned number, uint8_t needs[FOS_ENTRIES_MAX])
{
	for (unsigned i = 1; i < args->entry_count; i++) {
		const fos_args_entry *e = &args->entries[i];
		if (built_base(e->base) == number)
			needs[i]--;
		if (e->on_error == number)
			needs[i]--;
	}
	for (unsigned i = 0; i < args->bound_count; i++) {
		if (args->bounds[i].value == number)
			needs[args->bounds[i].entry]--;
	}
}

static fos_status place_entries(const fos_args *args, struct client_plan *plan)
{
	uint8_t needs[FOS_ENTRIES_MAX];
	unsigned count = 0;
	place(plan, &count, 0);
	for (unsigned i = 1; i < args->entry_count; i++) {
		if (!is_built(args, i))
			place(plan, &count, i);
	}
	if (count == args->entry_count)
		return FOS_OK;
	count_needs(args, needs);
	unsigned next = count;
	for (unsigned i = 1; i < args->entry_count; i++) {
		if (is_built(args, i) && needs[i] == 0)
			place(plan, &count, i);
	}
	for (; next < count; next++) {
		uint8_t before[FOS_ENTRIES_MAX];
		memcpy(before, needs, args->entry_count);
		release_needs(args, plan->order[next], needs);
		for (unsigned i = 1; i < args->entry_count; i++) {
			if (is_built(args, i) && before[i] != 0 && needs[i] == 0)
				place(plan, &count, i);
		}
	}
	return count == args->entry_count ? FOS_OK : FOS_INVALID;
}

/* ------------------------------------------------------------------ encoding */

static const fos_args no_args = {.entry_count = 1};

fos_status client_args_plan(const fos_args *args, struct client_plan *plan)
{
	if (args == NULL)
		args = &no_args;
	if (args->status != FOS_OK)
		return args->status;
	fos_status status = place_entries(args, plan);
	if (status != FOS_OK)
		return status;
	plan->imm_bytes = 0;
	for (unsigned i = 0; i < args->range_count; i++)
		plan->imm_bytes += args->ranges[i].length;
	if (plan->imm_bytes > FOS_IMM_TOTAL)
		return FOS_INVALID;
	plan->size =
		(uint32_t)(sizeof(struct wire_args) + args->entry_count * sizeof(struct wire_call_entry) +
				   args->range_count * sizeof(struct wire_range) +
				   args->bound_count * sizeof(struct wire_bound) + wire_pad8(plan->imm_bytes));
	return FOS_OK;
}

static fos_cap translate(const struct client_plan *plan, fos_cap cap)
{
	return is_name(cap) ? WIRE_IN_CALL | plan->number[name_number(cap)] : cap;
}

fos_status client_args_cap(const fos_args *args, const struct client_plan *plan, fos_cap cap,
						   uint64_t *out)
{
	if (is_name(cap) && (args == NULL || cap == FOS_CALL || name_number(cap) >= args->entry_count))
		return FOS_INVALID;
	*out = translate(plan, cap);
	return FOS_OK;
}

/* Where each entry's ranges and bounds begin in the sorted arrays. */
static void index_parts(const fos_args *args, uint8_t *ranges, uint8_t *bounds)
{
	unsigned range = 0, bound = 0;
	for (unsigned i = 0; i < args->entry_count; i++) {
		ranges[i] = (uint8_t)range;
		bounds[i] = (uint8_t)bound;
		while (range < args->range_count && args->ranges[range].entry == i)
			range++;
		while (bound < args->bound_count && args->bounds[bound].entry == i)
			bound++;
	}
}

static void encode_entries(const fos_args *args, const struct client_plan *plan,
						   struct wire_call_entry *out)
{
	for (unsigned i = 0; i < args->entry_count; i++) {
		const fos_args_entry *e = &args->entries[plan->order[i]];
		out[i] = (struct wire_call_entry){.cap = translate(plan, e->base),
										  .offset = e->offset,
										  .length = e->length,
										  .kind = e->kind,
										  .drop = e->drop,
										  .on_error = plan->number[e->on_error]};
	}
}

void client_args_encode(const fos_args *args, const struct client_plan *plan, void *out)
{
	if (args == NULL)
		args = &no_args;
	struct wire_args *head = out;
	*head = (struct wire_args){.entry_count = args->entry_count,
							   .range_count = args->range_count,
							   .bound_count = args->bound_count,
							   .imm_bytes = plan->imm_bytes};
	struct wire_call_entry *entries = (void *)(head + 1);
	struct wire_range *range = (void *)(entries + args->entry_count);
	struct wire_bound *bound = (void *)(range + args->range_count);
	uint8_t *imm = (void *)(bound + args->bound_count);
	uint8_t first_range[FOS_ENTRIES_MAX], first_bound[FOS_ENTRIES_MAX];
	encode_entries(args, plan, entries);
	index_parts(args, first_range, first_bound);
	for (uint16_t i = 0; i < args->entry_count; i++) {
		unsigned old = plan->order[i];
		for (unsigned r = first_range[old]; r < args->range_count && args->ranges[r].entry == old;
			 r++) {
			const fos_args_range *from = &args->ranges[r];
			*range++ =
				(struct wire_range){.entry = i, .offset = from->offset, .length = from->length};
			memcpy(imm, from->bytes, from->length);
			imm += from->length;
		}
		for (unsigned b = first_bound[old]; b < args->bound_count && args->bounds[b].entry == old;
			 b++)
			*bound++ = (struct wire_bound){.entry = i,
										   .index = args->bounds[b].index,
										   .value = plan->number[args->bounds[b].value]};
	}
	memset(imm, 0, wire_pad8(plan->imm_bytes) - plan->imm_bytes);
}
