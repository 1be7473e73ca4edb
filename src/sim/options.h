/* The simulator's options: from the command line, and as text. */
#ifndef FRACTOS_SIM_OPTIONS_H
#define FRACTOS_SIM_OPTIONS_H

#include "sim/sim.h"

enum { JOBS_MAX = 256, STEPS_MAX = 100000000, MINUTES_MAX = 1000000 };

struct settings {
	struct sim_options options;
	uint64_t seeds;
	double minutes;
	uint32_t jobs;
	bool coverage, minimise, hash;
	const char *script, *out;
};

bool options_faults(const char *text, uint32_t *bits); /* "delay,cut", "all", "none" */
void options_faults_text(uint32_t bits, char *out, size_t size);
bool options_check(const struct sim_options *options);
bool options_plant(const char *name); /* false: no such plant, or none in this build */
const char *options_planted(void);    /* NULL: none */
/* False: there is nothing to run (help, a mistake, which is told); *status is the exit status. */
bool options_read(int argc, char **argv, struct settings *settings, int *status);

#endif
