/* fractos-sim: many seeds, on as many cores as wanted. See --help. */
#include <getopt.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim/options.h"
#include "sim/plants.h"
#include "sim/sim.h"

/* ------------------------------------------------------------------ options */

static const char *const fault_names[] = {
#define SIM_NAME(NAME, name, text) #name,
	SIM_FAULTS(SIM_NAME)
#undef SIM_NAME
};

bool options_faults(const char *text, uint32_t *bits)
{
	char copy[256], *rest = copy, *word;
	snprintf(copy, sizeof copy, "%s", text);
	*bits = 0;
	while ((word = strsep(&rest, ",")) != NULL) {
		unsigned i = 0;
		if (strcmp(word, "all") == 0) {
			*bits = (1u << SIM_BIT_COUNT) - 1;
			continue;
		}
		if (strcmp(word, "none") == 0 || word[0] == 0)
			continue;
		while (i < SIM_BIT_COUNT && strcmp(word, fault_names[i]) != 0)
			i++;
		if (i == SIM_BIT_COUNT)
			return false;
		*bits |= 1u << i;
	}
	return true;
}

void options_faults_text(uint32_t bits, char *out, size_t size)
{
	size_t at = 0;
	snprintf(out, size, "none");
	for (unsigned i = 0; i < SIM_BIT_COUNT && at < size; i++) {
		if (bits >> i & 1)
			at += (size_t)snprintf(out + at, size - at, "%s%s", at > 0 ? "," : "", fault_names[i]);
	}
}

bool options_check(const struct sim_options *options)
{
	return options->nodes >= 1 && options->nodes <= NODES_MAX && options->processes >= 1 &&
		   options->processes * options->nodes <= PLAYERS_MAX;
}

bool options_plant(const char *name)
{
	return plants_choose(name);
}

const char *options_planted(void)
{
	return plants_chosen();
}

struct settings {
	struct sim_options options;
	uint64_t seeds;
	double minutes;
	unsigned jobs;
	bool table, minimise, hash;
	const char *script, *out;
};

static void help(void)
{
	char faults[256];
	options_faults_text((1u << SIM_BIT_COUNT) - 1, faults, sizeof faults);
	printf("fractos-sim: Controllers under virtual time and faults, from seeds\n"
		   "  --seed S        the first seed (1)\n"
		   "  --seeds N       so many of them (16; without limit where --minutes is given)\n"
		   "  --minutes T     stop after that time\n"
		   "  --nodes N       Controllers (3)\n"
		   "  --processes M   Processes of each (4)\n"
		   "  --steps K       what Processes and faults do in one seed (20000)\n"
		   "  --faults LIST   %s; all, none (all)\n"
		   "  --jobs J        processes that share the seeds (1)\n"
		   "  --no-oracle     only the simulator's own checks\n"
		   "  --verbose       one line an event\n"
		   "  --hash          print each seed's hash of all that happened\n"
		   "  --coverage      print which transitions were taken\n"
		   "  --script FILE   replay a script\n"
		   "  --out FILE      where a minimised failure goes (sim-SEED.script)\n"
		   "  --no-minimise\n"
		   "  --plant NAME    break the core in a known way (builds with plants)\n"
		   "  --plant-list\n",
		   faults);
}

/* 0: go on; else the exit status and one. */
static int read_options(int argc, char **argv, struct settings *s)
{
	enum {
		SEED = 1,
		SEEDS,
		MINUTES,
		NODES,
		PROCESSES,
		STEPS,
		FAULTS,
		JOBS,
		NO_ORACLE,
		VERBOSE,
		HASH,
		COVERAGE,
		SCRIPT,
		OUT,
		NO_MINIMISE,
		PLANT,
		PLANT_LIST,
		HELP
	};
	static const struct option table[] = {{"seed", 1, NULL, SEED},
										  {"seeds", 1, NULL, SEEDS},
										  {"minutes", 1, NULL, MINUTES},
										  {"nodes", 1, NULL, NODES},
										  {"processes", 1, NULL, PROCESSES},
										  {"steps", 1, NULL, STEPS},
										  {"faults", 1, NULL, FAULTS},
										  {"jobs", 1, NULL, JOBS},
										  {"no-oracle", 0, NULL, NO_ORACLE},
										  {"verbose", 0, NULL, VERBOSE},
										  {"hash", 0, NULL, HASH},
										  {"coverage", 0, NULL, COVERAGE},
										  {"script", 1, NULL, SCRIPT},
										  {"out", 1, NULL, OUT},
										  {"no-minimise", 0, NULL, NO_MINIMISE},
										  {"plant", 1, NULL, PLANT},
										  {"plant-list", 0, NULL, PLANT_LIST},
										  {"help", 0, NULL, HELP},
										  {NULL, 0, NULL, 0}};
	for (int c; (c = getopt_long(argc, argv, "", table, NULL)) != -1;) {
		switch (c) {
		case SEED:
			s->options.seed = strtoull(optarg, NULL, 0);
			break;
		case SEEDS:
			s->seeds = strtoull(optarg, NULL, 0);
			break;
		case MINUTES:
			s->minutes = strtod(optarg, NULL);
			break;
		case NODES:
			s->options.nodes = (uint32_t)strtoul(optarg, NULL, 0);
			break;
		case PROCESSES:
			s->options.processes = (uint32_t)strtoul(optarg, NULL, 0);
			break;
		case STEPS:
			s->options.steps = (uint32_t)strtoul(optarg, NULL, 0);
			break;
		case JOBS:
			s->jobs = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case NO_ORACLE:
			s->options.oracle = false;
			break;
		case VERBOSE:
			s->options.verbose = true;
			break;
		case HASH:
			s->hash = true;
			break;
		case COVERAGE:
			s->table = true;
			break;
		case SCRIPT:
			s->script = optarg;
			break;
		case OUT:
			s->out = optarg;
			break;
		case NO_MINIMISE:
			s->minimise = false;
			break;
		case FAULTS:
			if (options_faults(optarg, &s->options.faults))
				break;
			fprintf(stderr, "fractos-sim: no such fault in \"%s\"\n", optarg);
			return 3;
		case PLANT:
			if (options_plant(optarg))
				break;
			fprintf(stderr, "fractos-sim: no plant \"%s\" in this build\n", optarg);
			return 3;
		case PLANT_LIST:
			plants_print();
			return 1;
		case HELP:
			help();
			return 1;
		default:
			return 3;
		}
	}
	if (optind < argc || !options_check(&s->options) || s->jobs < 1 || s->jobs > 256) {
		fprintf(stderr, "fractos-sim: see --help\n");
		return 3;
	}
	return 0;
}

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
		   "); %" PRIu64 " invocations lost behind a fault\n",
		   counts.deliveries, counts.exceptions, counts.exceptions_of[FOS_OUTCOME_UNKNOWN],
		   counts.exceptions_of[FOS_TIMED_OUT], counts.exceptions_of[FOS_BUSY], counts.lost);
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
	pid_t children[256];
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

static void minimise(const struct settings *s, const struct shared *shared)
{
	char path[64];
	struct sim_options options = s->options;
	options.seed = shared->failures[0].seed;
	snprintf(path, sizeof path, "sim-%" PRIu64 ".script", options.seed);
	script_minimise(&options, &shared->failures[0].result, s->out != NULL ? s->out : path);
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
	int stop = read_options(argc, argv, &s);
	if (stop != 0)
		return stop - 1;
	if (s.script != NULL)
		return script_run(s.script, s.options.verbose);
	if (s.seeds == 0)
		s.seeds = s.minutes > 0 ? UINT64_MAX : 16;
	struct shared *shared = share(sizeof *shared);
	if (shared == NULL) {
		perror("fractos-sim");
		return 2;
	}
	double begin = seconds();
	double end = s.minutes > 0 ? begin + 60 * s.minutes : 1e300;
	bool good = true;
	if (s.jobs == 1)
		work(&s, shared, end);
	else
		good = run_jobs(&s, shared, end);
	double took = seconds() - begin;
	if (s.table)
		cover_print();
	if (shared->violations > 0 && s.minimise)
		minimise(&s, shared);
	if (!good)
		fprintf(stderr, "fractos-sim: a job did not end well\n");
	if (s.options.oracle)
		print_counts(shared);
	printf("%" PRIu64 " seeds, %" PRIu64 " events, %.0f events/s, %" PRIu64 " violations\n",
		   shared->seeds, shared->events, (double)shared->events / took, shared->violations);
	return shared->violations > 0 || !good;
}
