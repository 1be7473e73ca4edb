/* monitor_receive and monitor_delegate. */
#include "sim/program.h"

void program_watch(struct world *world, struct process *process)
{
	PROGRAM_BEGIN(call, world, process, MONITOR_RECEIVE, monitor_receive, .cap = 0);
	struct wire_call_monitor_receive *fixed = (void *)call.fixed;
	fixed->cap = program_pick(&call, WANT_ANY)->cap;
	uint64_t cookie;
	struct told *told = program_prepare(&call, &cookie);
	ledger_watch(told, fixed->cap);
	program_submit(&call, cookie);
}

void program_watch_holders(struct world *world, struct process *process)
{
	PROGRAM_BEGIN(call, world, process, MONITOR_DELEGATE, monitor_delegate, .cap = 0);
	const struct name *name = program_pick(&call, WANT_ANY);
	for (unsigned tries = 0; tries < 4 && !name->tracked; tries++)
		name = program_pick_again(&call, WANT_ANY);
	struct wire_call_monitor_delegate *fixed = (void *)call.fixed;
	fixed->cap = name->cap;
	uint64_t cookie;
	struct told *told = program_prepare(&call, &cookie);
	ledger_watch(told, fixed->cap);
	program_submit(&call, cookie);
}
