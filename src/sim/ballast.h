/* Memory that ends: a ballast in a core's pools counts as if calls had taken it. */
#ifndef FRACTOS_SIM_BALLAST_H
#define FRACTOS_SIM_BALLAST_H

#include <stdint.h>

struct core;
/* Leaves the core so many bytes that calls may still take; UINT64_MAX: all that there are.
 * `ballast` is what was laid before, and becomes what is laid now. */
void ballast_leave(struct core *core, uint64_t *ballast, uint64_t bytes);

#endif
