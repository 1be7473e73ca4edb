/* In the place of the oracle while it is not there: the simulator's own checks alone. */
#include <stddef.h>

#include "sim/oracle.h"

void oracle_fault(struct oracle *oracle, uint64_t now, enum oracle_fault fault, uint32_t node,
				  uint32_t peer, uint64_t epoch)
{
}
void oracle_event(struct oracle *oracle, uint32_t node, uint64_t now,
				  const struct core_event *event)
{
}
void oracle_output(struct oracle *oracle, uint32_t node, const struct core_output *out)
{
}
void oracle_step_end(struct oracle *oracle, uint32_t node)
{
}
void oracle_quiet(struct oracle *oracle, uint64_t now)
{
}
void oracle_tables(struct oracle *oracle)
{
}
struct oracle *oracle_new(const struct oracle_config *config)
{
	return NULL;
}
void oracle_end(struct oracle *oracle)
{
}
