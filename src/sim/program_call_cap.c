/* What is about one slot alone: cap_close, cap_keep, cap_info, cap_is_same. */
#include "sim/program.h"

void program_close_cap(struct world *world, struct process *process, uint64_t cap)
{
	PROGRAM_BEGIN(call, world, process, CAP_CLOSE, cap_close, .cap = cap);
	program_forget(process, cap);
	program_go(&call);
}

void program_close_any(struct world *world, struct process *process)
{
	if (process->name_count > 0)
		program_close_cap(world, process, process->names[sim_draw(world, process->name_count)].cap);
}

void program_keep(struct world *world, struct process *process)
{
	PROGRAM_BEGIN(call, world, process, CAP_KEEP, cap_keep, .cap = 0);
	const struct name *name = program_pick(&call, WANT_ANY);
	for (unsigned tries = 0; tries < 4 && !name->borrowed; tries++)
		name = program_pick_again(&call, WANT_ANY);
	((struct wire_call_cap_keep *)(void *)call.fixed)->cap = name->cap;
	uint64_t cookie;
	struct told *told = program_prepare(&call, &cookie);
	told->cap = name->cap;
	program_submit(&call, cookie);
}

void program_info(struct world *world, struct process *process)
{
	PROGRAM_BEGIN(call, world, process, CAP_INFO, cap_info, .cap = 0);
	const struct name *name = program_pick(&call, WANT_ANY);
	((struct wire_call_cap_info *)(void *)call.fixed)->cap = name->cap;
	uint64_t cookie;
	struct told *told = program_prepare(&call, &cookie);
	told->name = *name;
	program_submit(&call, cookie);
}

void program_same(struct world *world, struct process *process)
{
	PROGRAM_BEGIN(call, world, process, CAP_IS_SAME, cap_is_same, .a = 0);
	struct wire_call_cap_is_same *fixed = (void *)call.fixed;
	fixed->a = program_pick(&call, WANT_ANY)->cap;
	fixed->b = program_pick(&call, WANT_ANY)->cap;
	program_go(&call);
}
