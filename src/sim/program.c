/* What Processes do. At each step one of them makes a call, at random but rarely without sense: it
 * knows what it holds, and now and then names what it closed or never had. Deliveries stay open
 * until a later step finishes them. What a program knows of a capability is enough to say of some
 * calls that they must be refused; the rest is the oracle's. */
#include <stdio.h>
#include <string.h>

#include "sim/sim.h"

/* ------------------------------------------------------------------ making records */

enum { ENTRIES = 12, RANGES = 10, BOUNDS = 14, RANGE_BYTES = 24, TAG_OFFSET = 8128, CELLS = 60 };

struct call {
	struct world *world;
	struct process *process;
	uint32_t channel;
	uint16_t type;
	_Alignas(8) uint8_t fixed[64];
	uint32_t fixed_size, entry_count, range_count, bound_count, detail_len;
	bool args;
	fos_status expected;
	struct wire_call_entry entries[ENTRIES];
	struct wire_range ranges[RANGES];
	uint8_t bytes[RANGES][RANGE_BYTES];
	struct wire_bound bounds[BOUNDS];
	const char *detail;
};

static void expect(struct call *call, fos_status status)
{
	if (call->expected == FOS_OK)
		call->expected = status;
}

#define BEGIN(call, world_, process_, NAME, name, ...)      \
	struct call call;                                       \
	begin(&(call), world_, process_, WIRE_CALL_TYPE_##NAME, \
		  &(struct wire_call_##name){__VA_ARGS__}, sizeof(struct wire_call_##name))

static void begin(struct call *call, struct world *world, struct process *process, uint16_t type,
				  const void *fixed, size_t size)
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

static uint32_t add_entry(struct call *call, struct wire_call_entry entry)
{
	BASE_ASSERT(call->entry_count < ENTRIES);
	call->entries[call->entry_count] = entry;
	return call->entry_count++;
}

static uint32_t add_slot(struct call *call, uint64_t cap)
{
	return add_entry(call, (struct wire_call_entry){.cap = cap, .kind = WIRE_ENTRY_SLOT});
}

static void add_cap(struct call *call, uint32_t entry, uint32_t index, uint32_t value)
{
	uint32_t at = call->bound_count++;
	BASE_ASSERT(at < BOUNDS);
	for (; at > 0 && (call->bounds[at - 1].entry > entry ||
					  (call->bounds[at - 1].entry == entry && call->bounds[at - 1].index > index));
		 at--)
		call->bounds[at] = call->bounds[at - 1];
	call->bounds[at] = (struct wire_bound){
		.entry = (uint16_t)entry, .index = (uint16_t)index, .value = (uint16_t)value};
}

static void add_imm(struct call *call, uint32_t entry, uint32_t offset, const void *bytes,
					uint32_t length)
{
	uint32_t at = call->range_count++;
	BASE_ASSERT(at < RANGES && length <= RANGE_BYTES);
	for (; at > 0 && (call->ranges[at - 1].entry > entry || (call->ranges[at - 1].entry == entry &&
															 call->ranges[at - 1].offset > offset));
		 at--) {
		call->ranges[at] = call->ranges[at - 1];
		memcpy(call->bytes[at], call->bytes[at - 1], RANGE_BYTES);
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

static size_t encode(const struct call *call, uint64_t cookie, uint8_t *out)
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

/* What is to be known at the call's end is left in *told, which the caller fills in before. */
static struct told *prepare(struct call *call, uint64_t *cookie)
{
	struct told *told = ledger_call(call->world, call->process, call->channel, call->type, cookie);
	told->expected = (uint8_t)call->expected;
	return told;
}

static void submit(struct call *call, uint64_t cookie)
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

static struct told *go(struct call *call)
{
	uint64_t cookie;
	struct told *told = prepare(call, &cookie);
	submit(call, cookie);
	return told;
}

/* ------------------------------------------------------------------ names */

enum want { WANT_ANY, WANT_REQUEST, WANT_MEMORY };

static const struct name nothing;

/* A capability of that kind, if a few looks find one; or now and then one that cannot be. */
static const struct name *pick(struct call *call, enum want want)
{
	struct world *world = call->world;
	struct process *process = call->process;
	static struct name stale;
	uint64_t luck = sim_draw(world, 256);
	if (luck < 4 && process->old_count > 0) {
		stale = nothing;
		stale.cap = process->old[sim_draw(world, BASE_MIN(process->old_count, 8u))];
		expect(call, FOS_NO_CAP);
		return &stale;
	}
	if (luck < 6 || process->name_count == 0) {
		stale = nothing;
		stale.cap = sim_draw(world, 64) | (1 + sim_draw(world, 1000)) << 42;
		expect(call, FOS_NO_CAP);
		return &stale;
	}
	const struct name *name = NULL;
	/* What came from others, and from afar, is more interesting than what it made itself. */
	bool others = sim_draw(world, 4) > 0, far = sim_draw(world, 3) > 0;
	unsigned most = want == WANT_MEMORY ? 30 : 10;
	for (unsigned tries = 0; tries < most; tries++) {
		name = &process->names[sim_draw(world, process->name_count)];
		if ((want == WANT_ANY || (want == WANT_REQUEST) == (name->kind == FOS_REQUEST)) &&
			(!others || !name->own || tries > 4) && (!far || name->remote || tries > 5))
			break;
	}
	return name;
}

/* Another try: what the first would have meant is forgotten. */
static const struct name *pick_again(struct call *call, enum want want)
{
	call->expected = FOS_OK;
	return pick(call, want);
}

static const struct name *pick_kind(struct call *call, enum want want)
{
	const struct name *name = pick(call, want);
	if (name->kind != 0 && (want == WANT_REQUEST) != (name->kind == FOS_REQUEST))
		expect(call, FOS_WRONG_TYPE);
	return name;
}

static void add_name(struct process *process, const struct name *given)
{
	struct name copy = *given, *name = &copy;
	struct core_view_slot slot;
	if (core_inspect_slot(process->node->core, process->serial, name->cap, &slot))
		copy.remote = slot.ref.node != process->node->number;
	for (uint32_t i = 0; i < process->name_count; i++) {
		if (process->names[i].cap == name->cap) {
			process->names[i] = *name;
			return;
		}
	}
	if (process->name_count < NAMES_MAX)
		process->names[process->name_count++] = *name;
}

static struct name *find_name(struct process *process, uint64_t cap)
{
	for (uint32_t i = 0; i < process->name_count; i++) {
		if (process->names[i].cap == cap)
			return &process->names[i];
	}
	return NULL;
}

static void drop_name(struct process *process, uint64_t cap)
{
	struct name *name = find_name(process, cap);
	if (name == NULL)
		return;
	*name = process->names[--process->name_count];
	process->old[process->old_count++ % BASE_COUNT(process->old)] = cap;
}

/* ------------------------------------------------------------------ arguments */

/* Binds a capability; tells of an overlap that it must cause. */
static void bind(struct call *call, uint32_t entry, struct name *made, uint32_t index,
				 uint32_t value)
{
	if (made->caps & 1u << index)
		expect(call, FOS_OVERLAP);
	made->caps |= 1u << index;
	add_cap(call, entry, index, value);
}

static void bind_imm(struct call *call, uint32_t entry, struct name *made, uint32_t cell)
{
	uint8_t bytes[RANGE_BYTES];
	uint32_t length = 1 + (uint32_t)sim_draw(call->world, RANGE_BYTES);
	for (uint32_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(cell + i);
	if (made->cells & (uint64_t)1 << cell)
		expect(call, FOS_OVERLAP);
	made->cells |= (uint64_t)1 << cell;
	add_imm(call, entry, cell * 64, bytes, length);
}

/* An entry: a slot as it is, a narrower Memory, or a Request with more bound. */
static uint32_t random_entry(struct call *call, enum want want)
{
	struct world *world = call->world;
	const struct name *name = want == WANT_ANY ? pick(call, want) : pick_kind(call, want);
	uint64_t how = sim_draw(world, 4);
	if (how > 0 || name->kind == 0 || call->entry_count > ENTRIES - 5)
		return add_slot(call, name->cap);
	if (name->kind == FOS_MEMORY) {
		uint64_t offset = sim_draw(world, name->length + 1), length = 1 + sim_draw(world, 600);
		if (!base_range_inside(offset, length, name->length))
			expect(call, FOS_RANGE);
		return add_entry(call, (struct wire_call_entry){.cap = name->cap,
														.offset = offset,
														.length = length,
														.kind = WIRE_ENTRY_DIMINISH,
														.drop = (uint8_t)sim_draw(world, 3)});
	}
	struct name made = *name;
	uint32_t inner = add_slot(call, pick(call, WANT_ANY)->cap);
	uint32_t entry =
		add_entry(call, (struct wire_call_entry){.cap = made.cap, .kind = WIRE_ENTRY_REFINE});
	bind(call, entry, &made, (uint32_t)sim_draw(world, FOS_CAPS_MAX), inner);
	if (sim_draw(world, 2) == 0)
		bind_imm(call, entry, &made, (uint32_t)sim_draw(world, CELLS));
	return entry;
}

/* What entry 0 adds to the Request that is meant. */
static void add_args(struct call *call, struct name *made)
{
	struct world *world = call->world;
	call->args = true;
	for (uint64_t count = sim_draw(world, 3); count > 0; count--)
		bind(call, 0, made, (uint32_t)sim_draw(world, 6), random_entry(call, WANT_ANY));
	if (sim_draw(world, 3) == 0)
		bind_imm(call, 0, made, (uint32_t)sim_draw(world, CELLS));
	if (sim_draw(world, 2) == 0)
		call->entries[0].on_error = (uint16_t)random_entry(call, WANT_REQUEST);
}

/* A cap may be bound twice under one index of entry 0: the record would be malformed. */
static bool well_formed(const struct call *call)
{
	for (uint32_t i = 1; i < call->bound_count; i++) {
		const struct wire_bound *a = &call->bounds[i - 1], *b = &call->bounds[i];
		if (a->entry == b->entry && a->index == b->index)
			return false;
	}
	return true;
}

static uint64_t some_time(struct world *world)
{
	uint64_t draw = sim_draw(world, 8);
	return draw < 5   ? 0
		   : draw < 7 ? 1 + sim_draw(world, 10 * MILLI)
					  : 1 + sim_draw(world, 200 * MICRO);
}

static struct opened *any_open(struct call *call)
{
	struct process *process = call->process;
	if (process->open_count == 0)
		return NULL;
	struct opened *open = &process->open[sim_draw(call->world, process->open_count)];
	return open;
}

/* A call without a delivery has a trace that was never used before. */
static uint64_t fresh_trace(struct world *world)
{
	return base_mix64(++world->traces);
}

/* ------------------------------------------------------------------ calls: invoke, finish */

static void tag(struct call *call, uint64_t cap)
{
	uint32_t number = ledger_tag(call->world, call->process, call->channel, cap);
	add_imm(call, 0, TAG_OFFSET, &number, sizeof number);
}

static void do_invoke(struct world *world, struct process *process)
{
	BEGIN(call, world, process, REQUEST_INVOKE, request_invoke, .cap = 0);
	struct wire_call_request_invoke *fixed = (void *)call.fixed;
	struct name made = *pick_kind(&call, WANT_REQUEST);
	fixed->cap = made.cap;
	fixed->time = some_time(world);
	const struct opened *open = sim_draw(world, 3) == 0 ? any_open(&call) : NULL;
	fixed->delivery = open != NULL ? open->id : 0;
	fixed->trace = open != NULL ? 0 : fresh_trace(world);
	add_args(&call, &made);
	if (!well_formed(&call))
		return;
	tag(&call, fixed->cap);
	go(&call);
}

/* Gives away what it has: how capabilities come to be known. */
static void do_share(struct world *world, struct process *process)
{
	BEGIN(call, world, process, REQUEST_INVOKE, request_invoke, .trace = fresh_trace(world));
	struct wire_call_request_invoke *fixed = (void *)call.fixed;
	struct name made = *pick_kind(&call, WANT_REQUEST);
	fixed->cap = made.cap;
	call.args = true;
	for (uint32_t i = 0; i < 3; i++)
		bind(&call, 0, &made, i, add_slot(&call, pick(&call, WANT_ANY)->cap));
	tag(&call, fixed->cap);
	go(&call);
}

/* More at once than there are credits: what is beyond waits in the session's queue. */
static void do_burst(struct world *world, struct process *process)
{
	if (sim_draw(world, 16) != 0)
		return;
	BEGIN(call, world, process, REQUEST_INVOKE, request_invoke, .cap = 0);
	struct wire_call_request_invoke *fixed = (void *)call.fixed;
	fixed->cap = pick_kind(&call, WANT_REQUEST)->cap;
	call.args = true;
	for (unsigned i = 0; i < 300 && process->alive; i++) {
		call.range_count = 0;
		fixed->trace = fresh_trace(world);
		tag(&call, fixed->cap);
		go(&call);
	}
}

static void do_continue(struct world *world, struct process *process)
{
	BEGIN(call, world, process, CONTINUE, continue, .cap = 0);
	struct wire_call_continue *fixed = (void *)call.fixed;
	const struct opened *open = any_open(&call);
	if (open == NULL)
		return;
	struct name made = nothing;
	bool came = open->cap_count > 0 && sim_draw(world, 2) == 0;
	if (came) /* what came with it, as continuations do */
		made.cap = open->caps[sim_draw(world, open->cap_count)];
	else
		made = *pick_kind(&call, WANT_REQUEST);
	fixed->cap = made.cap;
	fixed->delivery = open->id;
	fixed->fail_if_refused = (uint32_t)sim_draw(world, 2);
	add_args(&call, &made);
	if (!well_formed(&call))
		return;
	tag(&call, fixed->cap);
	uint64_t cookie;
	struct told *told = prepare(&call, &cookie);
	told->delivery = fixed->delivery;
	told->fail_if_refused = fixed->fail_if_refused;
	submit(&call, cookie);
}

static void do_finish(struct world *world, struct process *process, uint64_t id)
{
	BEGIN(call, world, process, FINISH, finish, .delivery = id);
	uint64_t cookie;
	struct told *told = prepare(&call, &cookie);
	told->delivery = id;
	submit(&call, cookie);
}

static void do_fail(struct world *world, struct process *process, uint64_t id)
{
	static const char detail[] = "by chance, and told at some length";
	BEGIN(call, world, process, FAIL, fail, .delivery = id, .status = FOS_DEVICE);
	struct wire_call_fail *fixed = (void *)call.fixed;
	call.detail = detail;
	call.detail_len = fixed->length = (uint32_t)sim_draw(world, sizeof detail);
	uint64_t cookie;
	struct told *told = prepare(&call, &cookie);
	told->delivery = id;
	submit(&call, cookie);
}

static void do_end(struct world *world, struct process *process)
{
	if (process->open_count == 0)
		return;
	uint64_t id = process->open[sim_draw(world, process->open_count)].id;
	if (sim_draw(world, 3) == 0)
		do_fail(world, process, id);
	else
		do_finish(world, process, id);
}

/* All that is open, at once. */
static void do_end_all(struct world *world, struct process *process)
{
	if (sim_draw(world, 4) != 0)
		return;
	while (process->open_count > 0 && process->alive)
		do_finish(world, process, process->open[process->open_count - 1].id);
}

/* ------------------------------------------------------------------ calls: objects and values */

static void do_create(struct world *world, struct process *process)
{
	BEGIN(call, world, process, REQUEST_CREATE, request_create, .once = 0);
	struct wire_call_request_create *fixed = (void *)call.fixed;
	fixed->once = sim_draw(world, 3) == 0;
	fixed->deadline = fixed->once && sim_draw(world, 4) > 0 ? 1 + sim_draw(world, 5 * MILLI) : 0;
	uint32_t number = ledger_object(world, process, call.channel, fixed->once);
	fixed->handler = number;
	uint64_t cookie;
	struct told *told = prepare(&call, &cookie);
	told->handler = number;
	told->has_name = true;
	told->name = (struct name){
		.kind = FOS_REQUEST, .own = true, .once = fixed->once, .overlaps = true, .handler = number};
	submit(&call, cookie);
}

static void do_memory(struct world *world, struct process *process)
{
	uint64_t length = 1 + sim_draw(world, sim_draw(world, 3) == 0 ? 12000 : 700);
	BEGIN(call, world, process, MEMORY_CREATE, memory_create, .length = length,
		  .offset = sim_draw(world, ARENA_BYTES - length), .rights = (uint32_t)sim_draw(world, 4));
	struct wire_call_memory_create *fixed = (void *)call.fixed;
	fixed->rights = sim_draw(world, 4) > 0 ? FOS_READ | FOS_WRITE : fixed->rights;
	if (sim_draw(world, 64) == 0) {
		fixed->offset = ARENA_BYTES - length + 1;
		expect(&call, FOS_INVALID);
	}
	uint64_t cookie;
	struct told *told = prepare(&call, &cookie);
	told->has_name = true;
	told->name = (struct name){
		.kind = FOS_MEMORY, .own = true, .rights = (uint8_t)fixed->rights, .length = length};
	submit(&call, cookie);
}

static void do_diminish(struct world *world, struct process *process)
{
	BEGIN(call, world, process, MEMORY_DIMINISH, memory_diminish, .cap = 0);
	struct wire_call_memory_diminish *fixed = (void *)call.fixed;
	const struct name *of = pick_kind(&call, WANT_MEMORY);
	struct name made = *of;
	fixed->cap = of->cap;
	fixed->offset = sim_draw(world, of->length + 1);
	fixed->length = sim_draw(world, of->length + 2);
	fixed->drop = (uint32_t)sim_draw(world, 4);
	if (!base_range_inside(fixed->offset, fixed->length, of->length))
		expect(&call, FOS_RANGE);
	made.length = fixed->length;
	made.rights &= (uint8_t)~fixed->drop;
	made.borrowed = false;
	uint64_t cookie;
	struct told *told = prepare(&call, &cookie);
	told->has_name = true;
	told->name = made;
	submit(&call, cookie);
}

static void do_refine(struct world *world, struct process *process)
{
	BEGIN(call, world, process, REQUEST_REFINE, request_refine, .cap = 0);
	struct wire_call_request_refine *fixed = (void *)call.fixed;
	struct name made = *pick_kind(&call, WANT_REQUEST);
	fixed->cap = made.cap;
	fixed->revocable = sim_draw(world, 3) == 0;
	fixed->tracked = fixed->revocable && sim_draw(world, 2) == 0;
	add_args(&call, &made);
	if (!well_formed(&call))
		return;
	made.borrowed = false;
	made.child |= fixed->revocable;
	made.tracked |= fixed->tracked;
	made.own &= !fixed->revocable;
	uint64_t cookie;
	struct told *told = prepare(&call, &cookie);
	told->has_name = true;
	told->name = made;
	submit(&call, cookie);
}

/* Memory with a right and at least so long, if a few tries find one. */
static const struct name *pick_memory(struct call *call, uint8_t right, uint64_t length)
{
	const struct name *name = NULL;
	for (unsigned tries = 0; tries < 6; tries++) {
		call->expected = FOS_OK;
		name = pick_kind(call, WANT_MEMORY);
		if (name->kind != FOS_MEMORY || ((name->rights & right) && name->length >= length))
			break;
	}
	return name;
}

static void do_copy(struct world *world, struct process *process)
{
	BEGIN(call, world, process, MEMORY_COPY, memory_copy, .dst = 0);
	struct wire_call_memory_copy *fixed = (void *)call.fixed;
	const struct name *src = pick_memory(&call, FOS_READ, 0);
	fixed->src = src->cap;
	uint64_t need = src->length;
	if (src->kind == FOS_MEMORY && !(src->rights & FOS_READ))
		expect(&call, FOS_DENIED);
	fos_status expected = call.expected;
	const struct name *dst = pick_memory(&call, FOS_WRITE, need);
	if (call.expected == FOS_OK)
		call.expected = expected;
	fixed->dst = dst->cap;
	if (dst->kind == FOS_MEMORY && !(dst->rights & FOS_WRITE))
		expect(&call, FOS_DENIED);
	if (dst->kind == FOS_MEMORY && dst->length < need)
		expect(&call, FOS_RANGE);
	const struct opened *open = sim_draw(world, 6) == 0 ? any_open(&call) : NULL;
	fixed->delivery = open != NULL ? open->id : 0;
	fixed->trace = open != NULL ? 0 : fresh_trace(world);
	fixed->time = some_time(world);
	call.args = true;
	if (sim_draw(world, 2) == 0)
		add_cap(&call, 0, FOS_NEXT, random_entry(&call, WANT_REQUEST));
	if (sim_draw(world, 2) == 0)
		call.entries[0].on_error = (uint16_t)random_entry(&call, WANT_REQUEST);
	if (well_formed(&call))
		go(&call);
}

/* ------------------------------------------------------------------ calls: capabilities */

static void close_cap(struct world *world, struct process *process, uint64_t cap)
{
	BEGIN(call, world, process, CAP_CLOSE, cap_close, .cap = cap);
	drop_name(process, cap);
	go(&call);
}

static void do_close(struct world *world, struct process *process)
{
	if (process->name_count > 0)
		close_cap(world, process, process->names[sim_draw(world, process->name_count)].cap);
}

static void do_keep(struct world *world, struct process *process)
{
	BEGIN(call, world, process, CAP_KEEP, cap_keep, .cap = 0);
	const struct name *name = pick(&call, WANT_ANY);
	for (unsigned tries = 0; tries < 4 && !name->borrowed; tries++)
		name = pick_again(&call, WANT_ANY);
	((struct wire_call_cap_keep *)(void *)call.fixed)->cap = name->cap;
	uint64_t cookie;
	struct told *told = prepare(&call, &cookie);
	told->cap = name->cap;
	submit(&call, cookie);
}

static void do_info(struct world *world, struct process *process)
{
	BEGIN(call, world, process, CAP_INFO, cap_info, .cap = 0);
	const struct name *name = pick(&call, WANT_ANY);
	((struct wire_call_cap_info *)(void *)call.fixed)->cap = name->cap;
	uint64_t cookie;
	struct told *told = prepare(&call, &cookie);
	told->name = *name;
	submit(&call, cookie);
}

static void do_same(struct world *world, struct process *process)
{
	BEGIN(call, world, process, CAP_IS_SAME, cap_is_same, .a = 0);
	struct wire_call_cap_is_same *fixed = (void *)call.fixed;
	fixed->a = pick(&call, WANT_ANY)->cap;
	fixed->b = pick(&call, WANT_ANY)->cap;
	go(&call);
}

static void do_revoke(struct world *world, struct process *process)
{
	BEGIN(call, world, process, CAP_REVOKE, cap_revoke, .cap = 0);
	const struct name *name = pick(&call, WANT_ANY);
	for (unsigned tries = 0; tries < 4 && !name->own && !name->child; tries++)
		name = pick_again(&call, WANT_ANY);
	struct wire_call_cap_revoke *fixed = (void *)call.fixed;
	fixed->cap = name->cap;
	fixed->drain = sim_draw(world, 3) == 0;
	fixed->time = sim_draw(world, 2) * sim_draw(world, 5 * MILLI);
	uint64_t cookie;
	struct told *told = prepare(&call, &cookie);
	told->drain = fixed->drain;
	ledger_revoke(world, told, name->cap);
	submit(&call, cookie);
}

static void do_revtree(struct world *world, struct process *process)
{
	BEGIN(call, world, process, CAP_REVTREE, cap_revtree, .tracked = 0);
	struct wire_call_cap_revtree *fixed = (void *)call.fixed;
	struct name made = *pick(&call, WANT_ANY);
	fixed->cap = made.cap;
	fixed->tracked = (uint32_t)sim_draw(world, 2);
	made.own = made.borrowed = false;
	made.child = true;
	made.tracked = fixed->tracked;
	uint64_t cookie;
	struct told *told = prepare(&call, &cookie);
	told->has_name = true;
	told->name = made;
	submit(&call, cookie);
}

/* 0: it was refused, or is asked for. */
static uint64_t make_tracked(struct world *world, struct process *process, uint64_t of)
{
	BEGIN(call, world, process, CAP_REVTREE, cap_revtree, .cap = of, .tracked = 1);
	uint32_t count = process->name_count;
	uint64_t cookie;
	struct told *told = prepare(&call, &cookie);
	told->has_name = true;
	told->name = (struct name){.kind = FOS_REQUEST, .child = true, .tracked = true};
	submit(&call, cookie);
	return process->name_count > count ? process->names[count].cap : 0;
}

static void revoke_cap(struct world *world, struct process *process, uint64_t cap)
{
	BEGIN(call, world, process, CAP_REVOKE, cap_revoke, .cap = cap);
	uint64_t cookie;
	ledger_revoke(world, prepare(&call, &cookie), cap);
	submit(&call, cookie);
}

/* Gives away a set of new tracked children of `of`, twice, and keeps none. */
static void give_set(struct world *world, struct process *process, uint64_t of, uint64_t to)
{
	enum { EACH = 9 };
	BEGIN(call, world, process, REQUEST_INVOKE, request_invoke, .cap = to);
	struct wire_call_request_invoke *fixed = (void *)call.fixed;
	uint64_t caps[EACH];
	call.args = true;
	for (unsigned i = 0; i < EACH; i++) {
		caps[i] = make_tracked(world, process, of);
		if (caps[i] != 0)
			add_cap(&call, 0, 7 + i, add_slot(&call, caps[i]));
	}
	for (unsigned twice = 0; twice < 2; twice++) {
		call.range_count = 0;
		fixed->trace = fresh_trace(world);
		tag(&call, to);
		go(&call);
	}
	for (unsigned i = 0; i < EACH; i++) {
		if (caps[i] != 0)
			close_cap(world, process, caps[i]);
	}
}

/* More tracked children at once than there are credits to register them, each twice, so that some
 * are let go, or come again, before their holder could say so. Those of the last time die. */
static void do_scatter(struct world *world, struct process *process)
{
	if (sim_draw(world, 8) != 0)
		return;
	const struct name *of = NULL, *to = NULL;
	for (uint32_t i = 0; i < process->name_count; i++) {
		const struct name *name = &process->names[i];
		if (name->kind == FOS_REQUEST && name->own && !name->once && !name->child)
			of = name;
		if (name->kind == FOS_REQUEST && name->remote)
			to = name;
	}
	if (of == NULL || to == NULL)
		return;
	uint64_t base = of->cap, door = to->cap;
	if (process->scattered != 0)
		revoke_cap(world, process, process->scattered);
	process->scattered = make_tracked(world, process, base);
	for (unsigned set = 0; set < 10 && process->alive && process->scattered != 0; set++)
		give_set(world, process, process->scattered, door);
}

static void do_watch(struct world *world, struct process *process)
{
	BEGIN(call, world, process, MONITOR_RECEIVE, monitor_receive, .cap = 0);
	struct wire_call_monitor_receive *fixed = (void *)call.fixed;
	fixed->cap = pick(&call, WANT_ANY)->cap;
	uint64_t cookie;
	struct told *told = prepare(&call, &cookie);
	ledger_watch(told, fixed->cap);
	submit(&call, cookie);
}

static void do_watch_holders(struct world *world, struct process *process)
{
	BEGIN(call, world, process, MONITOR_DELEGATE, monitor_delegate, .cap = 0);
	const struct name *name = pick(&call, WANT_ANY);
	for (unsigned tries = 0; tries < 4 && !name->tracked; tries++)
		name = pick_again(&call, WANT_ANY);
	struct wire_call_monitor_delegate *fixed = (void *)call.fixed;
	fixed->cap = name->cap;
	uint64_t cookie;
	struct told *told = prepare(&call, &cookie);
	ledger_watch(told, fixed->cap);
	submit(&call, cookie);
}

static void do_registry(struct world *world, struct process *process)
{
	BEGIN(call, world, process, REGISTRY_GET, registry_get,
		  .time = sim_draw(world, 2) * sim_draw(world, 3 * MILLI));
	uint64_t cookie;
	struct told *told = prepare(&call, &cookie);
	told->has_name = true;
	told->name = (struct name){.kind = FOS_REQUEST};
	submit(&call, cookie);
}

static void do_registry_set(struct world *world, struct process *process)
{
	BEGIN(call, world, process, REGISTRY_SET, registry_set, .cap = 0);
	const struct name *name = pick(&call, WANT_REQUEST);
	for (unsigned tries = 0; tries < 8 && (!name->own || name->once || name->caps != 0); tries++)
		name = pick_again(&call, WANT_REQUEST);
	((struct wire_call_registry_set *)(void *)call.fixed)->cap = name->cap;
	go(&call);
}

static void do_null(struct world *world, struct process *process)
{
	BEGIN(call, world, process, NULL, null, .header = {0});
	go(&call);
}

/* ------------------------------------------------------------------ a step */

static void act(struct world *world, struct process *process)
{
	static const struct {
		uint32_t weight;
		void (*act)(struct world *, struct process *);
	} acts[] = {{24, do_invoke},       {10, do_share},   {10, do_continue},    {24, do_end},
				{8, do_create},        {9, do_memory},   {4, do_diminish},     {6, do_refine},
				{12, do_copy},         {5, do_close},    {6, do_keep},         {2, do_info},
				{1, do_same},          {4, do_revoke},   {4, do_revtree},      {2, do_watch},
				{2, do_watch_holders}, {2, do_registry}, {1, do_registry_set}, {1, do_burst},
				{1, do_null},          {1, do_scatter},  {2, do_end_all}};
	static uint32_t total;
	if (total == 0) {
		for (unsigned i = 0; i < BASE_COUNT(acts); i++)
			total += acts[i].weight;
	}
	uint64_t draw = sim_draw(world, total);
	for (unsigned i = 0; i < BASE_COUNT(acts); i++) {
		if (draw < acts[i].weight) {
			acts[i].act(world, process);
			return;
		}
		draw -= acts[i].weight;
	}
}

void program_step(struct world *world)
{
	struct player *player = &world->players[sim_draw(world, world->player_count)];
	struct process *process = player->process;
	if (process == NULL || player->node->paused_until != 0)
		return;
	if (process->name_count > NAMES_KEPT)
		do_close(world, process);
	else
		act(world, process);
}

/* A new Process has a Request, some Memory and the registry. */
void program_born(struct world *world, struct process *process)
{
	struct base_random before = world->draw;
	world->draw.state = base_mix64(world->now ^ process->serial << 8 ^ process->player);
	do_create(world, process);
	do_memory(world, process);
	if (process->player == 0)
		do_registry_set(world, process);
	do_registry(world, process);
	do_share(world, process);
	world->draw = before;
}

/* ------------------------------------------------------------------ records that come */

static void finished(struct world *world, struct process *process, uint64_t id)
{
	for (uint32_t i = 0; i < process->open_count; i++) {
		struct opened *open = &process->open[i];
		if (open->id != id)
			continue;
		ledger_finished(world, open->handler);
		for (uint32_t c = 0; c < open->cap_count; c++) {
			struct name *name = find_name(process, open->caps[c]);
			if (name != NULL && name->borrowed)
				drop_name(process, open->caps[c]);
		}
		*open = process->open[--process->open_count];
		return;
	}
}

static void completion(struct world *world, struct process *process, const uint8_t *bytes)
{
	const struct wire_answer_completion *record = (const void *)bytes;
	fos_status status = (fos_status)record->status;
	const struct told *told =
		ledger_completed(world, process, record->header.cookie, status, record->cap);
	if (status != FOS_OK && record->cap != 0)
		sim_violation(world, "a refused call gave a capability");
	if (status == FOS_OK && told->has_name) {
		struct name name = told->name;
		name.cap = record->cap;
		if (name.cap == 0)
			sim_violation(world, "a %s was OK without a capability", wire_call_name(told->type));
		add_name(process, &name);
	}
	if (told->delivery != 0 && (status == FOS_OK || told->fail_if_refused))
		finished(world, process, told->delivery);
	if (told->type == WIRE_CALL_TYPE_CAP_KEEP && status == FOS_OK) {
		struct name *name = find_name(process, told->cap);
		if (name != NULL)
			name->borrowed = false;
	}
}

static void info(struct world *world, struct process *process, const uint8_t *bytes)
{
	const struct wire_answer_info *record = (const void *)bytes;
	fos_status status = (fos_status)record->status;
	const struct told *told = ledger_completed(world, process, record->header.cookie, status, 0);
	const struct name *name = &told->name;
	if (status != FOS_OK || name->kind == 0)
		return;
	if (record->kind != name->kind ||
		(name->kind == FOS_MEMORY &&
		 (record->rights != name->rights || record->length != name->length)))
		sim_violation(world, "a capability became another: kind %u, rights %u, length %llu",
					  record->kind, record->rights, (unsigned long long)record->length);
}

static uint32_t tag_of(const struct wire_answer_delivery *record, const uint8_t *imm)
{
	const struct wire_range *range = (const void *)(record + 1);
	uint32_t number = 0;
	for (uint32_t i = 0; i < record->range_count; i++) {
		if (range[i].offset == TAG_OFFSET && range[i].length == sizeof number)
			memcpy(&number, imm, sizeof number);
		imm += range[i].length;
	}
	return number;
}

/* What a delivery says of a capability is what its slot holds. */
static void check_slot(struct world *world, struct process *process,
					   const struct wire_delivered *delivered)
{
	struct core_view_slot slot;
	if (!core_inspect_slot(process->node->core, process->serial, delivered->cap, &slot)) {
		/* A tracked child whose owner is out of reach is dropped where it arrives, also while the
		 * end of the session with it is still to come. */
		if (world->losses > 0 || world->reasons > 0 || !network_quiet(world))
			return;
		sim_violation(world, "a delivery names a slot that its Process does not have");
	}
	if (slot.kind != delivered->kind || slot.rights != delivered->rights ||
		slot.length != delivered->length)
		sim_violation(world, "a delivery describes a slot otherwise than it is");
}

static void delivery(struct world *world, struct process *process, uint32_t channel,
					 const uint8_t *bytes)
{
	const struct wire_answer_delivery *record = (const void *)bytes;
	const uint8_t *at = (const uint8_t *)(record + 1);
	at += record->range_count * sizeof(struct wire_range);
	const struct wire_delivered *caps = (const void *)at;
	at += record->cap_count * sizeof *caps;
	uint32_t number = 0;
	if (record->exception) {
		const struct wire_exception *exception = (const void *)at;
		cover_exception((uint8_t)exception->status);
	} else {
		number = tag_of(record, at);
	}
	ledger_delivered(world, process, channel, record, number);
	if (process->open_count == OPEN_MAX)
		sim_violation(world, "more deliveries are open than can be");
	struct opened *open = &process->open[process->open_count++];
	*open = (struct opened){
		.id = record->delivery, .channel = channel, .handler = (uint32_t)record->header.cookie};
	for (uint32_t i = 0; i < record->cap_count; i++) {
		check_slot(world, process, &caps[i]);
		struct name name = {.cap = caps[i].cap,
							.kind = caps[i].kind,
							.rights = caps[i].rights,
							.borrowed = true,
							.length = caps[i].length};
		if (open->cap_count < BASE_COUNT(open->caps))
			open->caps[open->cap_count++] = name.cap;
		else
			continue; /* it has more than it looks at */
		add_name(process, &name);
	}
}

void program_record(struct world *world, struct process *process, uint32_t channel,
					const uint8_t *bytes, size_t size)
{
	(void)size;
	switch (((const struct wire_record *)(const void *)bytes)->type) {
	case WIRE_ANSWER_TYPE_COMPLETION:
		completion(world, process, bytes);
		break;
	case WIRE_ANSWER_TYPE_MONITORED: {
		const struct wire_answer_monitored *record = (const void *)bytes;
		ledger_completed(world, process, record->header.cookie, (fos_status)record->status,
						 record->gone);
		break;
	}
	case WIRE_ANSWER_TYPE_INFO:
		info(world, process, bytes);
		break;
	case WIRE_ANSWER_TYPE_DELIVERY:
		delivery(world, process, channel, bytes);
		break;
	}
}

/* ------------------------------------------------------------------ lies */

void program_lie(struct world *world, struct process *process)
{
	_Alignas(8) uint8_t bytes[64] = {0};
	struct wire_record *head = (void *)bytes;
	head->size = sizeof bytes;
	head->type = (uint16_t)(64 + sim_draw(world, 64)); /* no call has it */
	SIM_SAY(world, "%u.%u leaves a malformed record", process->node->number, process->serial);
	world_step(process->node, &(struct core_event){.type = CORE_CALL,
												   .process = process->serial,
												   .bytes = bytes,
												   .size = sizeof bytes});
	if (process->alive)
		sim_violation(world, "node %u goes on with Process %u after a malformed record",
					  process->node->number, process->serial);
}

/* ------------------------------------------------------------------ the end */

bool program_finish(struct world *world, struct process *process)
{
	if (process->open_count == 0)
		return false;
	do_finish(world, process, process->open[process->open_count - 1].id);
	return true;
}

bool program_close(struct world *world, struct process *process)
{
	if (process->name_count == 0)
		return false;
	close_cap(world, process, process->names[process->name_count - 1].cap);
	return true;
}
