/* A histogram of times with the same relative precision everywhere, in constant memory: what tails
 * of millions of samples are read from. Serves the load tests.
 *
 * Log-linear: values below 256 have a bucket each; above, every power of two is divided into 128
 * buckets of equal width. So a bucket is at most 1/128 of its values wide, and what is read back
 * (the middle of the bucket) is within 0.4 % of what was recorded. Values from HISTOGRAM_LIMIT on
 * are counted as overflow: they count as samples, and quantiles that fall among them are the
 * greatest value recorded. */
#ifndef FRACTOS_BENCH_HISTOGRAM_H
#define FRACTOS_BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
	HISTOGRAM_BITS = 7,        /* 2^7 buckets for a power of two */
	HISTOGRAM_LIMIT_BITS = 40, /* 2^40 ns are 18 minutes */
	HISTOGRAM_BUCKETS = (HISTOGRAM_LIMIT_BITS - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS
};
#define HISTOGRAM_LIMIT (UINT64_C(1) << HISTOGRAM_LIMIT_BITS)

struct histogram {            /* all zero: empty */
	uint64_t count;           /* all samples, those of the overflow included */
	uint64_t overflow;        /* those of HISTOGRAM_LIMIT and more */
	uint64_t least, greatest; /* exact; of no meaning while count is 0 */
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t value);
/* Adds all samples of `from`. */
void histogram_merge(struct histogram *h, const struct histogram *from);
/* The value that the share `quantile` (0 to 1) of all samples does not exceed; 0: no samples. */
uint64_t histogram_quantile(const struct histogram *h, double quantile);

#endif
