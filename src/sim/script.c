/* A run as text, and the shortest one that still fails.
 *
 *     # why it failed
 *     seed 17
 *     nodes 3
 *     processes 4
 *     faults delay,cut
 *     step 2003412 0x51f0c2d4a9b3e677
 *     ...
 *
 * A step has its virtual time in ns and the number from which it draws all that it does. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/options.h"
#include "sim/sim.h"

/* ------------------------------------------------------------------ reading and writing */

static bool read_line(const char *line, struct sim_options *options, char *plant,
					  struct step **steps, uint32_t *count)
{
	char word[256];
	uint64_t when, number;
	if (line[0] == '#' || line[0] == '\n')
		return true;
	if (sscanf(line, "step %" SCNu64 " 0x%" SCNx64, &when, &number) == 2) {
		struct step *more = realloc(*steps, (*count + 1) * sizeof *more);
		BASE_ASSERT(more != NULL);
		*steps = more;
		more[(*count)++] = (struct step){when, number};
		return true;
	}
	if (sscanf(line, "faults %255s", word) == 1)
		return options_faults(word, &options->faults);
	if (sscanf(line, "plant %63s", plant) == 1)
		return true;
	return sscanf(line, "seed %" SCNu64, &options->seed) == 1 ||
		   sscanf(line, "nodes %" SCNu32, &options->nodes) == 1 ||
		   sscanf(line, "processes %" SCNu32, &options->processes) == 1;
}

int script_run(const char *path, bool verbose)
{
	struct sim_options options = {.verbose = verbose, .oracle = true};
	struct step *steps = NULL;
	uint32_t count = 0, number = 0;
	char line[512], plant[64] = "";
	FILE *file = fopen(path, "r");
	if (file == NULL) {
		perror(path);
		return 2;
	}
	bool good = true;
	while (good && fgets(line, sizeof line, file) != NULL) {
		number++;
		good = read_line(line, &options, plant, &steps, &count);
	}
	fclose(file);
	if (!good || !options_check(&options) || (plant[0] != 0 && !options_plant(plant))) {
		fprintf(stderr, "%s:%u: not a script of this simulator\n", path, number);
		free(steps);
		return 2;
	}
	struct result result;
	run_seed(&options, steps, count, &result);
	free(steps);
	if (result.violated)
		printf("violation: %s\n", result.reason);
	printf("1 seeds, %" PRIu64 " events, 0 events/s, %d violations\n", result.events,
		   result.violated);
	return result.violated;
}

static bool save(const char *path, const struct sim_options *options, const struct step *steps,
				 uint32_t count, const char *reason)
{
	char faults[256];
	FILE *file = fopen(path, "w");
	if (file == NULL) {
		perror(path);
		return false;
	}
	options_faults_text(options->faults, faults, sizeof faults);
	fprintf(file, "# %s\nseed %" PRIu64 "\nnodes %u\nprocesses %u\nfaults %s\n", reason,
			options->seed, options->nodes, options->processes, faults);
	if (options_planted() != NULL)
		fprintf(file, "plant %s\n", options_planted());
	for (uint32_t i = 0; i < count; i++)
		fprintf(file, "step %" PRIu64 " 0x%016" PRIx64 "\n", steps[i].when, steps[i].number);
	return fclose(file) == 0;
}

/* ------------------------------------------------------------------ the shortest */

/* Whether two say the same, whatever numbers they name. */
static bool same_reason(const char *a, const char *b)
{
	static const char digits[] = "0123456789";
	for (;; a++, b++) {
		a += strspn(a, digits);
		b += strspn(b, digits);
		if (*a != *b)
			return false;
		if (*a == 0)
			return true;
	}
}

static bool fails(const struct sim_options *options, const struct step *steps, uint32_t count,
				  const char *reason, struct result *result)
{
	run_seed(options, steps, count, result);
	return result->violated && same_reason(result->reason, reason);
}

/* Without [from, from + length). */
static uint32_t without(const struct step *steps, uint32_t count, uint32_t from, uint32_t length,
						struct step *out)
{
	uint32_t end = BASE_MIN(from + length, count);
	memcpy(out, steps, from * sizeof *out);
	memcpy(out + from, steps + end, (count - end) * sizeof *out);
	return count - (end - from);
}

/* Delta debugging (Zeller 1999): drops ever smaller pieces while what is left still fails. */
void script_minimise(const struct sim_options *options, const struct result *failed,
					 const char *path)
{
	enum { SECONDS = 60 };
	struct sim_options quiet = *options;
	quiet.verbose = false;
	struct step *steps = run_steps(options);
	struct step *fewer = calloc(options->steps + 1, sizeof *fewer);
	BASE_ASSERT(fewer != NULL);
	struct result result, last = *failed;
	uint32_t count = 0;
	time_t end = time(NULL) + SECONDS;
	while (count < options->steps && steps[count].when <= failed->ended)
		count++;
	for (uint32_t piece = BASE_MAX(count / 2, 1u); time(NULL) < end;) {
		bool any = false;
		for (uint32_t from = 0; from < count && time(NULL) < end;) {
			uint32_t left = without(steps, count, from, piece, fewer);
			if (fails(&quiet, fewer, left, failed->reason, &result)) {
				memcpy(steps, fewer, left * sizeof *steps);
				count = left;
				last = result;
				any = true;
			} else {
				from += piece;
			}
		}
		if (piece == 1 && !any)
			break;
		piece = BASE_MAX(piece / 2, 1u);
	}
	if (save(path, options, steps, count, last.reason))
		printf("minimised to %u steps: %s (%s)\n", count, path, last.reason);
	free(steps);
	free(fewer);
}
