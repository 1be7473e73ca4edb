#include "sim/program.h"

void program_create(struct world *world, struct process *process)
{
	PROGRAM_BEGIN(call, world, process, REQUEST_CREATE, request_create, .once = 0);
	struct wire_call_request_create *fixed = (void *)call.fixed;
	fixed->once = sim_draw(world, 3) == 0;
	fixed->deadline = fixed->once && sim_draw(world, 4) > 0 ? 1 + sim_draw(world, 5 * MILLI) : 0;
	uint32_t number = ledger_object(world, process, call.channel, fixed->once);
	fixed->handler = number;
	uint64_t cookie;
	struct told *told = program_prepare(&call, &cookie);
	told->handler = number;
	told->has_name = true;
	told->name = (struct name){
		.kind = FOS_REQUEST, .own = true, .once = fixed->once, .overlaps = true, .handler = number};
	program_submit(&call, cookie);
}

void program_memory(struct world *world, struct process *process)
{
	uint64_t length = 1 + sim_draw(world, sim_draw(world, 3) == 0 ? 12000 : 700);
	PROGRAM_BEGIN(call, world, process, MEMORY_CREATE, memory_create, .length = length,
				  .offset = sim_draw(world, ARENA_BYTES - length),
				  .rights = (uint32_t)sim_draw(world, 4));
	struct wire_call_memory_create *fixed = (void *)call.fixed;
	fixed->rights = sim_draw(world, 4) > 0 ? FOS_READ | FOS_WRITE : fixed->rights;
	if (sim_draw(world, 64) == 0) {
		fixed->offset = ARENA_BYTES - length + 1;
		program_expect(&call, FOS_INVALID);
	}
	uint64_t cookie;
	struct told *told = program_prepare(&call, &cookie);
	told->has_name = true;
	told->name = (struct name){
		.kind = FOS_MEMORY, .own = true, .rights = (uint8_t)fixed->rights, .length = length};
	program_submit(&call, cookie);
}

void program_diminish(struct world *world, struct process *process)
{
	PROGRAM_BEGIN(call, world, process, MEMORY_DIMINISH, memory_diminish, .cap = 0);
	struct wire_call_memory_diminish *fixed = (void *)call.fixed;
	const struct name *of = program_pick_kind(&call, WANT_MEMORY);
	struct name made = *of;
	fixed->cap = of->cap;
	fixed->offset = sim_draw(world, of->length + 1);
	fixed->length = sim_draw(world, of->length + 2);
	fixed->drop = (uint32_t)sim_draw(world, 4);
	if (!base_range_inside(fixed->offset, fixed->length, of->length))
		program_expect(&call, FOS_RANGE);
	made.length = fixed->length;
	made.rights &= (uint8_t)~fixed->drop;
	made.borrowed = false;
	uint64_t cookie;
	struct told *told = program_prepare(&call, &cookie);
	told->has_name = true;
	told->name = made;
	program_submit(&call, cookie);
}
