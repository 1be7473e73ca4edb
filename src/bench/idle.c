/* `idle`: the cores' time that an idle cluster takes: its Controllers, and the Processes attached
 * to them, while nobody asks for anything. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

enum { SECONDS = 2, ROUNDS_MOST = 7 };

struct sums {
	uint64_t controllers, processes;
};

static struct sums used(const struct bench_context *context)
{
	struct sums s = {0};
	for (unsigned i = 0; i < context->node_count; i++) {
		const fos_recorder *r = context->nodes[i].recorder;
		s.controllers += bench_cpu((pid_t)r->pid);
		for (unsigned p = 0; p < FOS_RECORDER_PROCESSES; p++)
			if (r->processes[p].serial != 0 && (pid_t)r->processes[p].pid != getpid())
				s.processes += bench_cpu((pid_t)r->processes[p].pid);
	}
	return s;
}

static void report(const struct bench_context *context, const char *name,
				   const struct bench_samples *samples)
{
	bench_report(context,
				 &(struct bench_row){
					 .bench = "idle", .name = name, .metric = "cores' time", .unit = "% of a core"},
				 BENCH_PLAIN, 0, samples, NULL, NULL);
}

static bool run(struct bench_context *context)
{
	struct bench_samples controllers, processes;
	const struct timespec while_idle = {.tv_sec = SECONDS};

	controllers.rounds = processes.rounds =
		context->rounds < ROUNDS_MOST ? context->rounds : ROUNDS_MOST;
	nanosleep(&while_idle, NULL); /* what came before is over */
	for (unsigned i = 0; i < controllers.rounds; i++) {
		struct sums before = used(context);
		uint64_t begin = bench_now();
		nanosleep(&while_idle, NULL);
		double ns = (double)(bench_now() - begin);
		struct sums after = used(context);
		controllers.ns[i] = (double)(after.controllers - before.controllers) / ns * 100;
		processes.ns[i] = (double)(after.processes - before.processes) / ns * 100;
	}
	report(context, "4 Controllers", &controllers);
	report(context, "their Processes", &processes);
	return true;
}

const struct bench bench_idle = {"idle", "cores' time that an idle cluster takes", 4, run};
