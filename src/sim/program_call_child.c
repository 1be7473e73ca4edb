/* request_refine and cap_revtree: values, and children of objects. */
#include "sim/program.h"

void program_refine(struct world *world, struct process *process)
{
	PROGRAM_BEGIN(call, world, process, REQUEST_REFINE, request_refine, .cap = 0);
	struct wire_call_request_refine *fixed = (void *)call.fixed;
	struct name made = *program_pick_kind(&call, WANT_REQUEST);
	fixed->cap = made.cap;
	fixed->revocable = sim_draw(world, 3) == 0;
	fixed->tracked = fixed->revocable && sim_draw(world, 2) == 0;
	program_add_args(&call, &made);
	if (!program_well_formed(&call))
		return;
	made.borrowed = false;
	made.child |= fixed->revocable;
	made.tracked |= fixed->tracked;
	made.own &= !fixed->revocable;
	uint64_t cookie;
	struct told *told = program_prepare(&call, &cookie);
	told->has_name = true;
	told->name = made;
	program_submit(&call, cookie);
}

void program_revtree(struct world *world, struct process *process)
{
	PROGRAM_BEGIN(call, world, process, CAP_REVTREE, cap_revtree, .tracked = 0);
	struct wire_call_cap_revtree *fixed = (void *)call.fixed;
	struct name made = *program_pick(&call, WANT_ANY);
	fixed->cap = made.cap;
	fixed->tracked = (uint32_t)sim_draw(world, 2);
	made.own = made.borrowed = false;
	made.child = true;
	made.tracked = fixed->tracked;
	uint64_t cookie;
	struct told *told = program_prepare(&call, &cookie);
	told->has_name = true;
	told->name = made;
	program_submit(&call, cookie);
}

/* 0: it was refused, or is asked for. */
static uint64_t make_tracked(struct world *world, struct process *process, uint64_t of)
{
	PROGRAM_BEGIN(call, world, process, CAP_REVTREE, cap_revtree, .cap = of, .tracked = 1);
	uint32_t count = process->name_count;
	uint64_t cookie;
	struct told *told = program_prepare(&call, &cookie);
	told->has_name = true;
	told->name = (struct name){.kind = FOS_REQUEST, .child = true, .tracked = true};
	program_submit(&call, cookie);
	return process->name_count > count ? process->names[count].cap : 0;
}

/* Gives away a set of new tracked children of `of`, twice, and keeps none. */
static void give_set(struct world *world, struct process *process, uint64_t of, uint64_t to)
{
	enum { EACH = 9 };
	PROGRAM_BEGIN(call, world, process, REQUEST_INVOKE, request_invoke, .cap = to);
	struct wire_call_request_invoke *fixed = (void *)call.fixed;
	uint64_t caps[EACH];
	call.args = true;
	for (unsigned i = 0; i < EACH; i++) {
		caps[i] = make_tracked(world, process, of);
		if (caps[i] != 0)
			program_add_cap(&call, 0, 7 + i, program_add_slot(&call, caps[i]));
	}
	for (unsigned twice = 0; twice < 2; twice++) {
		call.range_count = 0;
		fixed->trace = program_trace(world);
		program_tag(&call, to);
		program_go(&call);
	}
	for (unsigned i = 0; i < EACH; i++) {
		if (caps[i] != 0)
			program_close_cap(world, process, caps[i]);
	}
}

/* More tracked children at once than there are credits to register them, each twice, so that some
 * are let go, or come again, before their holder could say so. Those of the last time die. */
void program_scatter(struct world *world, struct process *process)
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
		program_revoke_cap(world, process, process->scattered);
	process->scattered = make_tracked(world, process, base);
	for (unsigned set = 0; set < 10 && process->alive && process->scattered != 0; set++)
		give_set(world, process, process->scattered, door);
}
