/* The simulator's options: one table, from which the help comes too. */
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "sim/options.h"
#include "sim/plants.h"

/* ------------------------------------------------------------------ as text */

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

/* ------------------------------------------------------------------ the command line */

enum how { SEED, NUMBER64, NUMBER32, MINUTES, TEXT, YES, NO, FAULTS, PLANT, PLANT_LIST, HELP };

#define AT(field) offsetof(struct settings, field)
static const struct option_row {
	const char *name, *argument; /* NULL: it takes none */
	const char *text;            /* FAULTS has its own before it */
	enum how how;
	size_t at;
	uint64_t least, most; /* of a number */
} rows[] = {
	{"seed", "S", "the first seed (1); random: one of the machine's, which is printed", SEED,
	 AT(options.seed), 0, UINT64_MAX},
	{"seeds", "N", "so many of them (16; without limit where --minutes is given)", NUMBER64,
	 AT(seeds), 1, UINT64_MAX},
	{"minutes", "T", "stop after that time", MINUTES, AT(minutes), 0, MINUTES_MAX},
	{"nodes", "N", "Controllers (3)", NUMBER32, AT(options.nodes), 1, NODES_MAX},
	{"processes", "M", "Processes of each (4)", NUMBER32, AT(options.processes), 1, PLAYERS_MAX},
	{"steps", "K", "what Processes and faults do in one seed (20000)", NUMBER32, AT(options.steps),
	 0, STEPS_MAX},
	{"faults", "LIST", "; all, none (all)", FAULTS, AT(options.faults), 0, 0},
	{"jobs", "J", "processes that share the seeds (1)", NUMBER32, AT(jobs), 1, JOBS_MAX},
	{"no-oracle", NULL, "only the simulator's own checks", NO, AT(options.oracle), 0, 0},
	{"verbose", NULL, "one line an event", YES, AT(options.verbose), 0, 0},
	{"hash", NULL, "print each seed's hash of all that happened", YES, AT(hash), 0, 0},
	{"coverage", NULL, "print which transitions were taken", YES, AT(coverage), 0, 0},
	{"script", "FILE", "replay a script", TEXT, AT(script), 0, 0},
	{"out", "FILE", "where a minimised failure goes (sim-SEED.script)", TEXT, AT(out), 0, 0},
	{"no-minimise", NULL, "leave a failure as it is", NO, AT(minimise), 0, 0},
	{"plant", "NAME", "break the core in a known way (builds with plants)", PLANT, 0, 0, 0},
	{"plant-list", NULL, "print the known ways", PLANT_LIST, 0, 0, 0},
	{"help", NULL, "print this", HELP, 0, 0, 0},
};

static void help(void)
{
	char faults[256];
	options_faults_text((1u << SIM_BIT_COUNT) - 1, faults, sizeof faults);
	printf("fractos-sim: Controllers under virtual time and faults, from seeds\n");
	for (unsigned i = 0; i < BASE_COUNT(rows); i++) {
		const struct option_row *row = &rows[i];
		char name[32];
		snprintf(name, sizeof name, "%s %s", row->name, row->argument ? row->argument : "");
		printf("  --%-14s%s%s\n", name, row->how == FAULTS ? faults : "", row->text);
	}
}

/* All of the text, in decimal, octal or hexadecimal digits, and in the range; else says so. */
static bool read_number(const struct option_row *row, const char *text, uint64_t *out)
{
	char *end;
	errno = 0;
	unsigned long long number = strtoull(text, &end, 0);
	/* strtoull() takes a sign, and goes round. */
	if (text[0] >= '0' && text[0] <= '9' && *end == 0 && errno == 0 && number >= row->least &&
		number <= row->most) {
		*out = number;
		return true;
	}
	fprintf(stderr, "fractos-sim: --%s is a number from %llu to %llu, not \"%s\"\n", row->name,
			(unsigned long long)row->least, (unsigned long long)row->most, text);
	return false;
}

/* They may have a fraction. */
static bool read_minutes(const struct option_row *row, const char *text, double *out)
{
	char *end;
	double number = strtod(text, &end);
	if (((text[0] >= '0' && text[0] <= '9') || text[0] == '.') && end != text && *end == 0 &&
		number > 0 && number <= (double)row->most) {
		*out = number;
		return true;
	}
	fprintf(stderr, "fractos-sim: --%s is a number above 0, up to %llu, not \"%s\"\n", row->name,
			(unsigned long long)row->most, text);
	return false;
}

/* A random one leaves room for many after it, and is short enough to be copied. */
static bool read_seed(const struct option_row *row, const char *text, uint64_t *seed)
{
	if (strcmp(text, "random") != 0)
		return read_number(row, text, seed);
	if (getrandom(seed, sizeof *seed, 0) != sizeof *seed) {
		perror("fractos-sim: no random seed");
		return false;
	}
	*seed >>= 16;
	printf("seed %llu\n", (unsigned long long)*seed);
	return true;
}

/* False: nothing is to be run; see options_read(). */
static bool take(const struct option_row *row, const char *text, struct settings *settings,
				 int *status)
{
	char *at = (char *)settings + row->at;
	uint64_t number;
	*status = 2;
	switch (row->how) {
	case SEED:
		return read_seed(row, text, (uint64_t *)(void *)at);
	case NUMBER64:
		return read_number(row, text, (uint64_t *)(void *)at);
	case NUMBER32:
		if (!read_number(row, text, &number))
			return false;
		*(uint32_t *)(void *)at = (uint32_t)number;
		return true;
	case MINUTES:
		return read_minutes(row, text, (double *)(void *)at);
	case TEXT:
		memcpy(at, &text, sizeof text);
		return true;
	case YES:
	case NO:
		*(bool *)(void *)at = row->how == YES;
		return true;
	case FAULTS:
		if (options_faults(text, &settings->options.faults))
			return true;
		fprintf(stderr, "fractos-sim: no such fault in \"%s\"\n", text);
		return false;
	case PLANT:
		if (options_plant(text))
			return true;
		fprintf(stderr, "fractos-sim: no plant \"%s\" in this build\n", text);
		return false;
	case PLANT_LIST:
		plants_print();
		break;
	case HELP:
		help();
		break;
	}
	*status = 0;
	return false;
}

bool options_read(int argc, char **argv, struct settings *settings, int *status)
{
	struct option table[BASE_COUNT(rows) + 1] = {0};
	for (unsigned i = 0; i < BASE_COUNT(rows); i++)
		table[i] = (struct option){rows[i].name, rows[i].argument != NULL, NULL, (int)i + 256};
	for (int c; (c = getopt_long(argc, argv, "", table, NULL)) != -1;) {
		*status = 2;
		if (c < 256 || !take(&rows[c - 256], optarg, settings, status))
			return false;
	}
	*status = 2;
	if (optind < argc)
		fprintf(stderr, "fractos-sim: no argument \"%s\"; see --help\n", argv[optind]);
	else if (!options_check(&settings->options))
		fprintf(stderr, "fractos-sim: --nodes times --processes is at most %d\n", PLAYERS_MAX);
	else
		return true;
	return false;
}
