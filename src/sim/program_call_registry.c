#include "sim/program.h"

void program_registry_get(struct world *world, struct process *process)
{
	PROGRAM_BEGIN(call, world, process, REGISTRY_GET, registry_get,
				  .time = sim_draw(world, 2) * sim_draw(world, 3 * MILLI));
	uint64_t cookie;
	struct told *told = program_prepare(&call, &cookie);
	told->has_name = true;
	told->name = (struct name){.kind = FOS_REQUEST};
	program_submit(&call, cookie);
}

void program_registry_set(struct world *world, struct process *process)
{
	PROGRAM_BEGIN(call, world, process, REGISTRY_SET, registry_set, .cap = 0);
	const struct name *name = program_pick(&call, WANT_REQUEST);
	for (unsigned tries = 0; tries < 8 && (!name->own || name->once || name->caps != 0); tries++)
		name = program_pick_again(&call, WANT_REQUEST);
	((struct wire_call_registry_set *)(void *)call.fixed)->cap = name->cap;
	program_go(&call);
}
