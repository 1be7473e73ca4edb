/* What a service counts of itself: named numbers, for people, tools and tests.
 *
 * Every service's root Request takes FOS_STATS (a uint32_t at FOS_ARG, where its other operations
 * have theirs) and answers at FOS_RESULT with an array of fos_stat. The names are the service's;
 * see its page in docs/services. What a client holds shows there, and is gone when the client is.
 */
#ifndef FRACTOS_STATS_H
#define FRACTOS_STATS_H

#include <fractos/fractos.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { FOS_STATS = 1000, FOS_STATS_MAX = 32 };

typedef struct fos_stat {
	char name[24]; /* zero-terminated */
	uint64_t value;
} fos_stat;

/* Asks a service's root Request; blocks. *count numbers are in `out`. UNSUPPORTED, INVALID: not
 * such a service; besides fos_call()'s. */
FOS_CHECKED fos_status fos_stats_get(fos_channel *ch, fos_cap service, fos_stat out[FOS_STATS_MAX],
									 unsigned *count);

#ifdef __cplusplus
}
#endif
#endif
