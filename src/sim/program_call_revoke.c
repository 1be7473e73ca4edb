#include "sim/program.h"

void program_revoke(struct world *world, struct process *process)
{
	PROGRAM_BEGIN(call, world, process, CAP_REVOKE, cap_revoke, .cap = 0);
	const struct name *name = program_pick(&call, WANT_ANY);
	for (unsigned tries = 0; tries < 4 && !name->own && !name->child; tries++)
		name = program_pick_again(&call, WANT_ANY);
	struct wire_call_cap_revoke *fixed = (void *)call.fixed;
	fixed->cap = name->cap;
	fixed->drain = sim_draw(world, 3) == 0;
	fixed->time = sim_draw(world, 2) * sim_draw(world, 5 * MILLI);
	uint64_t cookie;
	struct told *told = program_prepare(&call, &cookie);
	told->drain = fixed->drain;
	ledger_revoke(world, told, name->cap);
	program_submit(&call, cookie);
}

void program_revoke_cap(struct world *world, struct process *process, uint64_t cap)
{
	PROGRAM_BEGIN(call, world, process, CAP_REVOKE, cap_revoke, .cap = cap);
	uint64_t cookie;
	ledger_revoke(world, program_prepare(&call, &cookie), cap);
	program_submit(&call, cookie);
}
