/* fractos-sim: many seeds, on as many cores as wanted. See --help. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim/options.h"
#include "sim/plants.h"
#include "sim/sim.h"

/* ------------------------------------------------------------------ seeds, shared by jobs */

enum { FAILURES = 16, COUNTS = sizeof(struct oracle_counts) / sizeof(uint64_t) };
struct shared { /* between the jobs */
	_Atomic uint64_t next, seeds, events, violations;
	_Atomic uint64_t counts[COUNTS]; /* sums of struct oracle_counts, which is uint64_t only */
	_Atomic unsigned failure_count;
	struct {
		uint64_t seed;
		struct result result;
	} failures[FAILURES];
};

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void work(const struct settings *s, struct shared *shared, double end)
{
	struct sim_options options = s->options;
	while (seconds() < end) {
		uint64_t number = atomic_fetch_add(&shared->next, 1);
		if (number >= s->seeds)
			return;
		struct result result;
		options.seed = s->options.seed + number;
		run_seed(&options, NULL, 0, &result);
		atomic_fetch_add(&shared->seeds, 1);
		atomic_fetch_add(&shared->events, result.events);
		uint64_t counts[COUNTS];
		memcpy(counts, &result.counts, sizeof counts);
		for (unsigned i = 0; i < COUNTS; i++)
			atomic_fetch_add(&shared->counts[i], counts[i]);
		if (s->hash)
			printf("seed %" PRIu64 ": %" PRIu64 " events, hash %016" PRIx64 "\n", options.seed,
				   result.events, result.trace);
		if (!result.violated)
			continue;
		atomic_fetch_add(&shared->violations, 1);
		printf("seed %" PRIu64 ": violation: %s\n", options.seed, result.reason);
		fflush(stdout);
		unsigned at = atomic_fetch_add(&shared->failure_count, 1);
		if (at >= FAILURES)
			return;
		shared->failures[at].seed = options.seed;
		shared->failures[at].result = result;
		if (plants_chosen() != NULL)
			return; /* caught */
	}
}

/* How much of what the oracle saw a fault or a limit had to explain. */
static void print_counts(struct shared *shared)
{
	struct oracle_counts counts;
	uint64_t sums[COUNTS];
	for (unsigned i = 0; i < COUNTS; i++)
		sums[i] = shared->counts[i];
	memcpy(&counts, sums, sizeof counts);
	const uint64_t *statuses = counts.statuses;
	double whole = counts.completions > 0 ? (double)counts.completions / 100 : 1;
	printf("oracle: %" PRIu64 " completions, of them OUTCOME_UNKNOWN %.3f %%, TIMED_OUT %.3f %%, "
		   "PEER_LOST %.3f %%, STALE %.3f %%, QUOTA or BUSY %.3f %%\n",
		   counts.completions, (double)statuses[FOS_OUTCOME_UNKNOWN] / whole,
		   (double)statuses[FOS_TIMED_OUT] / whole, (double)statuses[FOS_PEER_LOST] / whole,
		   (double)statuses[FOS_STALE] / whole, (double)counts.limits / whole);
	printf("oracle: %" PRIu64 " deliveries, %" PRIu64
		   " of them exceptions (OUTCOME_UNKNOWN %" PRIu64 ", TIMED_OUT %" PRIu64 ", BUSY %" PRIu64
		   ")\n",
		   counts.deliveries, counts.exceptions, counts.exceptions_of[FOS_OUTCOME_UNKNOWN],
		   counts.exceptions_of[FOS_TIMED_OUT], counts.exceptions_of[FOS_BUSY]);
	printf("oracle: not delivered: %" PRIu64 " invocations told by an exception, %" PRIu64
		   " of a dead Request, %" PRIu64 " for want of room, %" PRIu64
		   " beyond a quota or memory, "
		   "%" PRIu64 " with a tracked child that fired or was lost, %" PRIu64
		   " lost behind a fault\n",
		   counts.told, counts.dead, counts.expired, counts.refused, counts.tracked, counts.lost);
	printf("oracle: memory was refused %" PRIu64 " times\n", counts.refusals);
}

/* NULL: no memory. */
static void *share(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return at != MAP_FAILED ? at : NULL;
}

static bool run_jobs(const struct settings *s, struct shared *shared, double end)
{
	uint64_t *covers = share(s->jobs * cover_size() * sizeof *covers);
	if (covers == NULL)
		return false;
	bool good = true;
	fflush(stdout);
	pid_t children[JOBS_MAX];
	for (unsigned i = 0; i < s->jobs; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			work(s, shared, end);
			cover_save(covers + i * cover_size());
			fflush(stdout);
			_exit(0);
		}
	}
	for (unsigned i = 0; i < s->jobs; i++) {
		int status;
		good &= children[i] > 0 && waitpid(children[i], &status, 0) == children[i] &&
				WIFEXITED(status) && WEXITSTATUS(status) == 0;
		cover_add(covers + i * cover_size());
	}
	munmap(covers, s->jobs * cover_size() * sizeof *covers);
	return good;
}

/* A fault that is asked for and never met in many seeds is no fault. */
static bool met(const struct settings *s, const struct shared *shared)
{
	enum { MANY = 64 };
	bool asked = s->options.faults >> SIM_BIT_MEMORY & 1;
	if (!s->coverage || !asked || shared->seeds < MANY || cover_refusals() > 0)
		return true;
	fprintf(stderr, "fractos-sim: no core ever refused memory\n");
	return false;
}

static void minimise(const struct settings *s, const struct shared *shared)
{
	char path[64];
	struct sim_options options = s->options;
	options.seed = shared->failures[0].seed;
	snprintf(path, sizeof path, "sim-%" PRIu64 ".script", options.seed);
	shorten(&options, &shared->failures[0].result, s->out != NULL ? s->out : path);
}

static void print_result(const struct settings *s, struct shared *shared, double took)
{
	if (s->coverage)
		cover_print();
	if (shared->violations > 0 && s->minimise)
		minimise(s, shared);
	if (s->options.oracle)
		print_counts(shared);
	printf("%" PRIu64 " seeds, %" PRIu64 " events, %.0f events/s, %" PRIu64 " violations\n",
		   shared->seeds, shared->events, (double)shared->events / took, shared->violations);
}

static int run(const struct settings *s)
{
	struct shared *shared = share(sizeof *shared);
	if (shared == NULL) {
		perror("fractos-sim");
		return 2;
	}
	double begin = seconds();
	double end = s->minutes > 0 ? begin + 60 * s->minutes : 1e300;
	bool good = true;
	if (s->jobs == 1)
		work(s, shared, end);
	else
		good = run_jobs(s, shared, end);
	if (!good)
		fprintf(stderr, "fractos-sim: a job did not end well\n");
	print_result(s, shared, seconds() - begin);
	return shared->violations > 0 || !good || !met(s, shared);
}

int main(int argc, char **argv)
{
	struct settings s = {.options = {.seed = 1,
									 .nodes = 3,
									 .processes = 4,
									 .steps = 20000,
									 .faults = (1u << SIM_BIT_COUNT) - 1,
									 .oracle = true},
						 .jobs = 1,
						 .minimise = true};
	int status;
	if (!options_read(argc, argv, &s, &status))
		return status;
	if (s.script != NULL)
		return script_run(s.script, s.options.verbose);
	if (s.seeds == 0)
		s.seeds = s.minutes > 0 ? UINT64_MAX : 16;
	return run(&s);
}
