/* memory_copy: mostly of what may be copied. */
#include "sim/program.h"

/* Memory with a right and at least so long, if a few tries find one. */
static const struct name *pick_memory(struct program_call *call, uint8_t right, uint64_t length)
{
	const struct name *name = NULL;
	for (unsigned tries = 0; tries < 6; tries++) {
		call->expected = FOS_OK;
		name = program_pick_kind(call, WANT_MEMORY);
		if (name->kind != FOS_MEMORY || ((name->rights & right) && name->length >= length))
			break;
	}
	return name;
}

void program_copy(struct world *world, struct process *process)
{
	PROGRAM_BEGIN(call, world, process, MEMORY_COPY, memory_copy, .dst = 0);
	struct wire_call_memory_copy *fixed = (void *)call.fixed;
	const struct name *src = pick_memory(&call, FOS_READ, 0);
	fixed->src = src->cap;
	uint64_t need = src->length;
	if (src->kind == FOS_MEMORY && !(src->rights & FOS_READ))
		program_expect(&call, FOS_DENIED);
	fos_status expected = call.expected;
	const struct name *dst = pick_memory(&call, FOS_WRITE, need);
	if (call.expected == FOS_OK)
		call.expected = expected;
	fixed->dst = dst->cap;
	if (dst->kind == FOS_MEMORY && !(dst->rights & FOS_WRITE))
		program_expect(&call, FOS_DENIED);
	if (dst->kind == FOS_MEMORY && dst->length < need)
		program_expect(&call, FOS_RANGE);
	const struct opened *open = sim_draw(world, 6) == 0 ? program_any_open(&call) : NULL;
	fixed->delivery = open != NULL ? open->id : 0;
	fixed->trace = open != NULL ? 0 : program_trace(world);
	fixed->time = program_time(world);
	call.args = true;
	if (sim_draw(world, 2) == 0)
		program_add_cap(&call, 0, FOS_NEXT, program_add_entry(&call, WANT_REQUEST));
	if (sim_draw(world, 2) == 0)
		call.entries[0].on_error = (uint16_t)program_add_entry(&call, WANT_REQUEST);
	if (program_well_formed(&call))
		program_go(&call);
}
