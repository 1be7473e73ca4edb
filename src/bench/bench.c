/* Rounds, medians and rows. A machine's speed drifts, so both sides are measured in turn within one
 * run, and the ratio is taken round by round; medians are quoted. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench.h"

uint64_t bench_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double *values, unsigned count)
{
	qsort(values, count, sizeof *values, compare);
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

bool bench_run(const struct bench_context *context, const struct bench_case *c)
{
	double ours[BENCH_ROUNDS_MAX], base[BENCH_ROUNDS_MAX], ratio[BENCH_ROUNDS_MAX];
	unsigned rounds = context->rounds;

	/* One round of each is a warm-up. */
	if (c->ours(c->ours_arg, c->count) == 0 || c->baseline(c->baseline_arg, c->count) == 0)
		return false;
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t a = c->ours(c->ours_arg, c->count);
		uint64_t b = c->baseline(c->baseline_arg, c->count);
		if (a == 0 || b == 0)
			return false;
		ours[i] = (double)a / c->count / 1000;
		base[i] = (double)b / c->count / 1000;
		ratio[i] = ours[i] / base[i];
	}
	double value = median(ours, rounds), baseline = median(base, rounds);
	double r = median(ratio, rounds);
	printf("%-6s %-28s %9.2f us  (%.2f-%.2f)   %-14s %9.2f us   ratio %.2f\n", c->bench, c->name,
		   value, ours[rounds / 10], ours[rounds - 1 - rounds / 10], c->baseline_name, baseline, r);
	fflush(stdout);
	FILE *file = context->json ? fopen(context->json, "ae") : NULL;
	if (file) {
		fprintf(file,
				"{\"bench\":\"%s\",\"case\":\"%s\",\"metric\":\"latency\",\"unit\":\"us\","
				"\"value\":%.3f,\"baseline_name\":\"%s\",\"baseline\":%.3f,\"ratio\":%.3f,"
				"\"rounds\":%u}\n",
				c->bench, c->name, value, c->baseline_name, baseline, r, rounds);
		fclose(file);
	}
	return true;
}
