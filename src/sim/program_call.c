/* What is the same for all calls of a program: their records, their arguments, their submission. */
#include <string.h>

#include "sim/program.h"

enum { CELLS = 60 }; /* of 64 bytes, in which immediates are bound */

/* ------------------------------------------------------------------ records */

void program_expect(struct program_call *call, fos_status status)
{
	if (call->expected == FOS_OK)
		call->expected = status;
}

void program_begin(struct program_call *call, struct world *world, struct process *process,
				   uint16_t type, const void *fixed, size_t size)
{
	call->world = world;
	call->process = process;
	call->channel = (uint32_t)sim_draw(world, CHANNELS);
	call->type = type;
	call->fixed_size = (uint32_t)size;
	memcpy(call->fixed, fixed, size);
	call->entry_count = 1;
	call->range_count = call->bound_count = call->detail_len = 0;
	call->args = false;
	call->expected = FOS_OK;
	call->entries[0] = (struct wire_call_entry){0};
}

static uint32_t add_entry(struct program_call *call, struct wire_call_entry entry)
{
	BASE_ASSERT(call->entry_count < PROGRAM_ENTRIES);
	call->entries[call->entry_count] = entry;
	return call->entry_count++;
}

uint32_t program_add_slot(struct program_call *call, uint64_t cap)
{
	return add_entry(call, (struct wire_call_entry){.cap = cap, .kind = WIRE_ENTRY_SLOT});
}

void program_add_cap(struct program_call *call, uint32_t entry, uint32_t index, uint32_t value)
{
	uint32_t at = call->bound_count++;
	BASE_ASSERT(at < PROGRAM_BOUNDS);
	for (; at > 0 && (call->bounds[at - 1].entry > entry ||
					  (call->bounds[at - 1].entry == entry && call->bounds[at - 1].index > index));
		 at--)
		call->bounds[at] = call->bounds[at - 1];
	call->bounds[at] = (struct wire_bound){
		.entry = (uint16_t)entry, .index = (uint16_t)index, .value = (uint16_t)value};
}

static void add_imm(struct program_call *call, uint32_t entry, uint32_t offset, const void *bytes,
					uint32_t length)
{
	uint32_t at = call->range_count++;
	BASE_ASSERT(at < PROGRAM_RANGES && length <= PROGRAM_RANGE_BYTES);
	for (; at > 0 && (call->ranges[at - 1].entry > entry || (call->ranges[at - 1].entry == entry &&
															 call->ranges[at - 1].offset > offset));
		 at--) {
		call->ranges[at] = call->ranges[at - 1];
		memcpy(call->bytes[at], call->bytes[at - 1], PROGRAM_RANGE_BYTES);
	}
	call->ranges[at] =
		(struct wire_range){.entry = (uint16_t)entry, .offset = offset, .length = length};
	memcpy(call->bytes[at], bytes, length);
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t size)
{
	memcpy(at, bytes, size);
	return at + size;
}

static size_t encode(const struct program_call *call, uint64_t cookie, uint8_t *out)
{
	uint8_t *at = put(out, call->fixed, call->fixed_size);
	if (call->args) {
		struct wire_args args = {.entry_count = (uint16_t)call->entry_count,
								 .range_count = (uint16_t)call->range_count,
								 .bound_count = (uint16_t)call->bound_count};
		for (uint32_t i = 0; i < call->range_count; i++)
			args.imm_bytes += call->ranges[i].length;
		at = put(at, &args, sizeof args);
		at = put(at, call->entries, call->entry_count * sizeof *call->entries);
		at = put(at, call->ranges, call->range_count * sizeof *call->ranges);
		at = put(at, call->bounds, call->bound_count * sizeof *call->bounds);
		for (uint32_t i = 0; i < call->range_count; i++)
			at = put(at, call->bytes[i], call->ranges[i].length);
	}
	if (call->detail_len > 0)
		at = put(at, call->detail, call->detail_len);
	size_t size = wire_pad8((size_t)(at - out));
	memset(at, 0, (size_t)(out + size - at));
	struct wire_record head = {.size = (uint32_t)size, .type = call->type, .cookie = cookie};
	memcpy(out, &head, sizeof head);
	return size;
}

struct told *program_prepare(struct program_call *call, uint64_t *cookie)
{
	struct told *told = ledger_call(call->world, call->process, call->channel, call->type, cookie);
	told->expected = (uint8_t)call->expected;
	return told;
}

void program_submit(struct program_call *call, uint64_t cookie)
{
	static _Alignas(8) uint8_t bytes[4096];
	struct world *world = call->world;
	size_t size = encode(call, cookie, bytes);
	if (world->options.verbose) {
		char line[400];
		wire_print_record(line, sizeof line, bytes, size);
		sim_trace(world, "%u.%u -> %s", call->process->node->number, call->process->serial, line);
	}
	world_step(call->process->node, &(struct core_event){.type = CORE_CALL,
														 .process = call->process->serial,
														 .channel = call->channel,
														 .bytes = bytes,
														 .size = size});
}

void program_go(struct program_call *call)
{
	uint64_t cookie;
	program_prepare(call, &cookie);
	program_submit(call, cookie);
}

void program_null(struct world *world, struct process *process)
{
	PROGRAM_BEGIN(call, world, process, NULL, null, .header = {0});
	program_go(&call);
}

/* ------------------------------------------------------------------ arguments */

void program_bind(struct program_call *call, uint32_t entry, struct name *made, uint32_t index,
				  uint32_t value)
{
	if (made->caps & 1u << index)
		program_expect(call, FOS_OVERLAP);
	made->caps |= 1u << index;
	program_add_cap(call, entry, index, value);
}

static void bind_imm(struct program_call *call, uint32_t entry, struct name *made, uint32_t cell)
{
	uint8_t bytes[PROGRAM_RANGE_BYTES];
	uint32_t length = 1 + (uint32_t)sim_draw(call->world, PROGRAM_RANGE_BYTES);
	for (uint32_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(cell + i);
	if (made->cells & (uint64_t)1 << cell)
		program_expect(call, FOS_OVERLAP);
	made->cells |= (uint64_t)1 << cell;
	add_imm(call, entry, cell * 64, bytes, length);
}

uint32_t program_add_entry(struct program_call *call, enum want want)
{
	struct world *world = call->world;
	const struct name *name =
		want == WANT_ANY ? program_pick(call, want) : program_pick_kind(call, want);
	uint64_t how = sim_draw(world, 4);
	if (how > 0 || name->kind == 0 || call->entry_count > PROGRAM_ENTRIES - 5)
		return program_add_slot(call, name->cap);
	if (name->kind == FOS_MEMORY) {
		uint64_t offset = sim_draw(world, name->length + 1), length = 1 + sim_draw(world, 600);
		if (!base_range_inside(offset, length, name->length))
			program_expect(call, FOS_RANGE);
		return add_entry(call, (struct wire_call_entry){.cap = name->cap,
														.offset = offset,
														.length = length,
														.kind = WIRE_ENTRY_DIMINISH,
														.drop = (uint8_t)sim_draw(world, 3)});
	}
	struct name made = *name;
	uint32_t inner = program_add_slot(call, program_pick(call, WANT_ANY)->cap);
	uint32_t entry =
		add_entry(call, (struct wire_call_entry){.cap = made.cap, .kind = WIRE_ENTRY_REFINE});
	program_bind(call, entry, &made, (uint32_t)sim_draw(world, FOS_CAPS_MAX), inner);
	if (sim_draw(world, 2) == 0)
		bind_imm(call, entry, &made, (uint32_t)sim_draw(world, CELLS));
	return entry;
}

void program_add_args(struct program_call *call, struct name *made)
{
	struct world *world = call->world;
	call->args = true;
	for (uint64_t count = sim_draw(world, 3); count > 0; count--)
		program_bind(call, 0, made, (uint32_t)sim_draw(world, 6),
					 program_add_entry(call, WANT_ANY));
	if (sim_draw(world, 3) == 0)
		bind_imm(call, 0, made, (uint32_t)sim_draw(world, CELLS));
	if (sim_draw(world, 2) == 0)
		call->entries[0].on_error = (uint16_t)program_add_entry(call, WANT_REQUEST);
}

bool program_well_formed(const struct program_call *call)
{
	for (uint32_t i = 1; i < call->bound_count; i++) {
		const struct wire_bound *a = &call->bounds[i - 1], *b = &call->bounds[i];
		if (a->entry == b->entry && a->index == b->index)
			return false;
	}
	return true;
}

uint64_t program_time(struct world *world)
{
	uint64_t draw = sim_draw(world, 8);
	return draw < 5   ? 0
		   : draw < 7 ? 1 + sim_draw(world, 10 * MILLI)
					  : 1 + sim_draw(world, 200 * MICRO);
}

struct opened *program_any_open(struct program_call *call)
{
	struct process *process = call->process;
	if (process->open_count == 0)
		return NULL;
	return &process->open[sim_draw(call->world, process->open_count)];
}

uint64_t program_trace(struct world *world)
{
	return base_mix64(++world->traces);
}

void program_tag(struct program_call *call, uint64_t cap)
{
	uint32_t number = ledger_tag(call->world, call->process, call->channel, cap);
	add_imm(call, 0, PROGRAM_TAG_OFFSET, &number, sizeof number);
}
