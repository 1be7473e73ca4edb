/* request_invoke, and what finishes a delivery: continue, fail, finish. */
#include "sim/program.h"

void program_invoke(struct world *world, struct process *process)
{
	PROGRAM_BEGIN(call, world, process, REQUEST_INVOKE, request_invoke, .cap = 0);
	struct wire_call_request_invoke *fixed = (void *)call.fixed;
	struct name made = *program_pick_kind(&call, WANT_REQUEST);
	fixed->cap = made.cap;
	fixed->time = program_time(world);
	const struct opened *open = sim_draw(world, 3) == 0 ? program_any_open(&call) : NULL;
	fixed->delivery = open != NULL ? open->id : 0;
	fixed->trace = open != NULL ? 0 : program_trace(world);
	program_add_args(&call, &made);
	if (!program_well_formed(&call))
		return;
	program_tag(&call, fixed->cap);
	program_go(&call);
}

/* Gives away what it has: how capabilities come to be known. */
void program_share(struct world *world, struct process *process)
{
	PROGRAM_BEGIN(call, world, process, REQUEST_INVOKE, request_invoke,
				  .trace = program_trace(world));
	struct wire_call_request_invoke *fixed = (void *)call.fixed;
	struct name made = *program_pick_kind(&call, WANT_REQUEST);
	fixed->cap = made.cap;
	call.args = true;
	for (uint32_t i = 0; i < 3; i++)
		program_bind(&call, 0, &made, i,
					 program_add_slot(&call, program_pick(&call, WANT_ANY)->cap));
	program_tag(&call, fixed->cap);
	program_go(&call);
}

/* More at once than there are credits: what is beyond waits in the session's queue. */
void program_burst(struct world *world, struct process *process)
{
	if (sim_draw(world, 16) != 0)
		return;
	PROGRAM_BEGIN(call, world, process, REQUEST_INVOKE, request_invoke, .cap = 0);
	struct wire_call_request_invoke *fixed = (void *)call.fixed;
	fixed->cap = program_pick_kind(&call, WANT_REQUEST)->cap;
	call.args = true;
	for (unsigned i = 0; i < 300 && process->alive; i++) {
		call.range_count = 0;
		fixed->trace = program_trace(world);
		program_tag(&call, fixed->cap);
		program_go(&call);
	}
}

void program_continue(struct world *world, struct process *process)
{
	PROGRAM_BEGIN(call, world, process, CONTINUE, continue, .cap = 0);
	struct wire_call_continue *fixed = (void *)call.fixed;
	const struct opened *open = program_any_open(&call);
	if (open == NULL)
		return;
	struct name made = {0};
	bool came = open->cap_count > 0 && sim_draw(world, 2) == 0;
	if (came) /* what came with it, as continuations do */
		made.cap = open->caps[sim_draw(world, open->cap_count)];
	else
		made = *program_pick_kind(&call, WANT_REQUEST);
	fixed->cap = made.cap;
	fixed->delivery = open->id;
	fixed->fail_if_refused = (uint32_t)sim_draw(world, 2);
	program_add_args(&call, &made);
	if (!program_well_formed(&call))
		return;
	program_tag(&call, fixed->cap);
	uint64_t cookie;
	struct told *told = program_prepare(&call, &cookie);
	told->delivery = fixed->delivery;
	told->fail_if_refused = fixed->fail_if_refused;
	program_submit(&call, cookie);
}

void program_finish_one(struct world *world, struct process *process, uint64_t id)
{
	PROGRAM_BEGIN(call, world, process, FINISH, finish, .delivery = id);
	uint64_t cookie;
	struct told *told = program_prepare(&call, &cookie);
	told->delivery = id;
	program_submit(&call, cookie);
}

static void fail_one(struct world *world, struct process *process, uint64_t id)
{
	static const char detail[] = "by chance, and told at some length";
	PROGRAM_BEGIN(call, world, process, FAIL, fail, .delivery = id, .status = FOS_DEVICE);
	struct wire_call_fail *fixed = (void *)call.fixed;
	call.detail = detail;
	call.detail_len = fixed->length = (uint32_t)sim_draw(world, sizeof detail);
	uint64_t cookie;
	struct told *told = program_prepare(&call, &cookie);
	told->delivery = id;
	program_submit(&call, cookie);
}

void program_end(struct world *world, struct process *process)
{
	if (process->open_count == 0)
		return;
	uint64_t id = process->open[sim_draw(world, process->open_count)].id;
	if (sim_draw(world, 3) == 0)
		fail_one(world, process, id);
	else
		program_finish_one(world, process, id);
}

/* All that is open, at once. */
void program_end_all(struct world *world, struct process *process)
{
	if (sim_draw(world, 4) != 0)
		return;
	while (process->open_count > 0 && process->alive)
		program_finish_one(world, process, process->open[process->open_count - 1].id);
}
