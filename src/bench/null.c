/* `null`: a round trip to the own Controller against a bare ring ping-pong, waiting in the same
 * way on the same cores.
 *
 *   one core    both sides share it and yield to each other, as they do by default
 *   two cores   both spin, each on its own
 */
#include <signal.h>
#include <stdio.h>

#include "bench.h"
#include "solo.h"

struct null {
	struct solo solo;
	bool spin;
};

static void on_done(fos_channel *channel, const fos_result *result, void *arg)
{
	(void)channel;
	*(int *)arg = result->status == FOS_OK ? 1 : -1;
}

/* The library's own waiting yields; here the caller spins. */
static fos_status spinning_null(fos_channel *channel)
{
	int done = 0;
	fos_status status = fos_null_async(channel, on_done, &done);
	while (status == FOS_OK && done == 0 && !fos_lost(channel))
		fos_poll(channel);
	return status != FOS_OK ? status : done == 1 ? FOS_OK : FOS_CONTROLLER_LOST;
}

/* A spinning Controller is stopped while the baseline has its turn on the same core. */
static uint64_t run(void *arg, unsigned count)
{
	struct null *null = arg;
	fos_channel *channel = null->solo.channel;
	uint64_t begin = 0;

	kill(null->solo.pid, SIGCONT);
	for (unsigned i = 0; i <= count; i++) {
		fos_status status = null->spin ? spinning_null(channel) : fos_null(channel);
		if (!bench_ok(status, "null"))
			return 0;
		if (i == 0)
			begin = bench_now();
	}
	uint64_t time = bench_now() - begin;
	if (null->spin)
		kill(null->solo.pid, SIGSTOP);
	return time;
}

static bool run_case(const struct bench_context *context, bool spin, const char *name)
{
	struct null null = {.spin = spin};
	struct bench_samples samples[2];
	const unsigned other = spin ? 1 : 0;
	struct raw_ring *ring = NULL;

	bool ok = bench_pin(0, 0) && solo_open(context, spin, other, &null.solo) &&
			  (ring = raw_ring_open(spin, (int)other)) != NULL;
	if (ok) {
		struct bench_side sides[] = {{.name = "FractOS", .run = run, .arg = &null},
									 {.name = "bare ring", .run = raw_ring_run, .arg = ring}};
		ok = bench_measure(context, sides, 2, samples);
	}
	if (ok)
		bench_report(context,
					 &(struct bench_row){
						 .bench = "null", .name = name, .metric = "round trip", .unit = "us"},
					 BENCH_US, 0, &samples[0], "bare ring", &samples[1]);
	raw_ring_close(ring);
	solo_close(&null.solo);
	bench_unplace((pid_t[]){0}, 1);
	return ok;
}

static bool run_null(struct bench_context *context)
{
	if (!run_case(context, false, "one core, both yield"))
		return false;
	if (context->cores < 2) {
		bench_complain("null: one core only: nothing is said of two that spin");
		return true;
	}
	return run_case(context, true, "two cores, both spin");
}

const struct bench bench_null = {
	"null", "null call to the own Controller against a bare ring ping-pong", 0, run_null};
