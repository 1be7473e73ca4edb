/* `null`: a round trip to the own Controller against a bare ring ping-pong. */
#include <stdio.h>

#include "bench.h"

static uint64_t run(void *arg, unsigned count)
{
	uint64_t begin = bench_now();
	for (unsigned i = 0; i < count; i++) {
		fos_status status = fos_null(arg);
		if (status != FOS_OK) {
			fprintf(stderr, "null: %s\n", fos_status_name(status));
			return 0;
		}
	}
	return bench_now() - begin;
}

bool bench_null(const struct bench_context *context)
{
	struct raw_ring *ring = raw_ring_open(context->spin);
	if (!ring)
		return false;
	bool ok = bench_run(context, &(struct bench_case){.bench = "null",
													  .name = "own Controller",
													  .baseline_name = "bare ring",
													  .ours = run,
													  .baseline = raw_ring_run,
													  .ours_arg = context->channel,
													  .baseline_arg = ring,
													  .count = 5000});
	raw_ring_close(ring);
	return ok;
}
