/* Where a broken assertion ends: one line that says what and where, then abort. */
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

_Noreturn void base_assert_failed(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
	abort();
}
