/* A run as text.
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

bool script_save(const char *path, const struct sim_options *options, const struct step *steps,
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
