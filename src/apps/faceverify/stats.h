/* Numbers about many numbers: percentiles of times, error rates of distances. */
#ifndef FACEVERIFY_STATS_H
#define FACEVERIFY_STATS_H

#include <stdbool.h>
#include <stddef.h>

/* The smallest value such that at least `percent` (0 to 100) of the values are not above it; 0
 * where there are none. Sorts `values`. */
double stats_percentile(double *values, size_t count, double percent);

/* The equal error rate of a comparison whose verdict is "same" at distances <= a threshold: where
 * the shares of false accepts (of impostors) and of false rejects (of genuine pairs) meet; their
 * mean at the threshold where they are closest. Sorts both arrays. Without pairs of a kind: 0 and
 * false. *threshold lies in the middle between two neighbouring distances. */
bool stats_equal_error(float *genuine, size_t genuine_count, float *impostor, size_t impostor_count,
					   double *eer, float *threshold);

#endif
