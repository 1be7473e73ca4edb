/* What a program knows of the capabilities that it holds, and of some that it does not. */
#include "sim/program.h"

const struct name *program_pick(struct program_call *call, enum want want)
{
	struct world *world = call->world;
	struct process *process = call->process;
	static struct name stale;
	uint64_t luck = sim_draw(world, 256);
	if (luck < 4 && process->old_count > 0) {
		stale = (struct name){0};
		stale.cap = process->old[sim_draw(world, BASE_MIN(process->old_count, 8u))];
		program_expect(call, FOS_NO_CAP);
		return &stale;
	}
	if (luck < 6 || process->name_count == 0) {
		stale = (struct name){0};
		stale.cap = sim_draw(world, 64) | (1 + sim_draw(world, 1000)) << 42;
		program_expect(call, FOS_NO_CAP);
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

const struct name *program_pick_again(struct program_call *call, enum want want)
{
	call->expected = FOS_OK;
	return program_pick(call, want);
}

const struct name *program_pick_kind(struct program_call *call, enum want want)
{
	const struct name *name = program_pick(call, want);
	if (name->kind != 0 && (want == WANT_REQUEST) != (name->kind == FOS_REQUEST))
		program_expect(call, FOS_WRONG_TYPE);
	return name;
}

void program_learn(struct process *process, const struct name *given)
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

struct name *program_find_name(struct process *process, uint64_t cap)
{
	for (uint32_t i = 0; i < process->name_count; i++) {
		if (process->names[i].cap == cap)
			return &process->names[i];
	}
	return NULL;
}

void program_forget(struct process *process, uint64_t cap)
{
	struct name *name = program_find_name(process, cap);
	if (name == NULL)
		return;
	*name = process->names[--process->name_count];
	process->old[process->old_count++ % BASE_COUNT(process->old)] = cap;
}
