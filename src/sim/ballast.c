/* See ballast.h. Alone in a file, since it is the only one of the simulator that reaches into a
 * core: what refuses then is the core's own bound, in the code that fractosd has. */
#include "sim/ballast.h"
#include "core/core_internal.h"

void ballast_leave(struct core *core, uint64_t *ballast, uint64_t bytes)
{
	uint64_t memory = core->config.limits.memory;
	uint64_t usable = memory - core_reserve_of(memory);
	core->pool.grown -= *ballast;
	uint64_t left = usable - BASE_MIN(usable, core->pool.grown);
	*ballast = left - BASE_MIN(left, bytes);
	core->pool.grown += *ballast;
}
