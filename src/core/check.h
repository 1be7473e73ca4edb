/* What must be true of a core's tables between two steps, whatever came in: for tests and the
 * simulator, after any step. */
#ifndef FRACTOS_CORE_CHECK_H
#define FRACTOS_CORE_CHECK_H

#include "core/core.h"

/* NULL, or what is wrong. Looks at everything: for each of some steps. */
const char *core_check(const struct core *core);

#endif
