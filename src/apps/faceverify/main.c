/* fractos-faceverify: the command line of the job. `fractos run` starts it in a cluster. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataset.h"
#include "job.h"

static const char usage[] =
	"usage: fractos-faceverify [OPTION...]\n"
	"Verifies faces (photo and claimed identity in, verdict out) over the services fs and gpu of\n"
	"the cluster whose Controller listens at $FRACTOS_SOCKET: enrols a gallery, verifies probes\n"
	"in batches in up to four ways, and says what was right and what it cost.\n\n"
	"  --photos DIR      real photos: DIR/<identity>/<any>.{pgm,jpg,png}; the first of an\n"
	"                    identity is enrolled, the others are probes (default: synthetic faces)\n"
	"  --identities N    synthetic identities, 2 or more, for impostors claim another's (256)\n"
	"  --probes N        probes (1024; of a folder: each photo once); half of them claim an\n"
	"                    identity that is not theirs\n"
	"  --batch N         verifications asked for at once, 1 to 1024 (256)\n"
	"  --mode M          chain, fast-star, star2, star3 or all (all)\n"
	"  --piece N         verifications of a batch that travel together, 1 to 128 (32)\n"
	"  --depth N         pieces under way at once, 1 to 16 (8)\n"
	"  --threshold X     largest distance of the same person, 0 to 1 (chosen at the equal error\n"
	"                    rate of other pairs)\n"
	"  --seconds S       how long to measure batches (15)\n"
	"  --rounds N        how many batches of each mode to measure instead\n"
	"  --once            verify each probe once in each mode, measure nothing\n"
	"  --timeout MS      how long a piece may take before it is given up (1500)\n"
	"  --seed N          of synthetic faces and of who claims whom (1)\n"
	"  --report FILE     everything as JSON\n"
	"  --check-options   look at the options, folder and file alone: 2 and a line if they are "
	"wrong\n"
	"  --ledger          also print every control message by name\n"
	"  --recorder NODE=PATH              a Controller's flight recorder, to count messages\n"
	"  --netdev NODE=INTERFACE[@NETNS]   a node's interface, to count bytes as the kernel does\n"
	"  --help\n";

enum option_name {
	PHOTOS = 256,
	IDENTITIES,
	PROBES,
	BATCH,
	MODE,
	PIECE,
	DEPTH,
	THRESHOLD,
	SECONDS,
	ROUNDS,
	ONCE,
	TIMEOUT,
	SEED,
	REPORT,
	LEDGER,
	RECORDER,
	NETDEV,
	CHECK_OPTIONS,
	HELP
};

struct command {
	job_options job;
	meter *meter;
	const char *report;
	bool ledger, check_only, help;
};

static bool refuse(const char *option, const char *text, const char *why)
{
	(void)fprintf(stderr, "fractos-faceverify: --%s %s: %s\n", option, text, why);
	return false;
}

static bool wrong(const char *option, const char *text, const char *want)
{
	(void)fprintf(stderr, "fractos-faceverify: --%s %s: want %s\n", option, text, want);
	return false;
}

static bool take_number(const char *option, const char *text, uint64_t low, uint64_t high,
						uint64_t *out)
{
	char *end, want[64];
	*out = strtoull(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && *out >= low && *out <= high)
		return true;
	(void)snprintf(want, sizeof want, "a number from %llu to %llu", (unsigned long long)low,
				   (unsigned long long)high);
	return wrong(option, text, want);
}

static bool take_count(const char *option, const char *text, uint32_t low, uint32_t high,
					   uint32_t *out)
{
	uint64_t number;
	if (!take_number(option, text, low, high, &number))
		return false;
	*out = (uint32_t)number;
	return true;
}

static bool take_fraction(const char *option, const char *text, double high, double *out)
{
	char *end;
	*out = strtod(text, &end);
	return (end != text && *end == '\0' && *out >= 0 && *out <= high) ||
		   wrong(option, text, "a number that is not negative and not that large");
}

static bool take_mode(const char *text, bool modes[VERIFY_MODES])
{
	bool known = strcmp(text, "all") == 0;
	for (verify_mode mode = 0; mode < VERIFY_MODES; mode++) {
		modes[mode] = strcmp(text, "all") == 0 || strcmp(text, verify_mode_name(mode)) == 0;
		known = known || modes[mode];
	}
	return known || wrong("mode", text, "chain, fast-star, star2, star3 or all");
}

static bool take_source(bool (*add)(meter *, const char *, char[METER_ERROR_MAX]), meter *m,
						const char *text)
{
	char error[METER_ERROR_MAX];
	if (add(m, text, error))
		return true;
	(void)fprintf(stderr, "fractos-faceverify: %s\n", error);
	return false;
}

static bool take_option(struct command *c, int option, const char *name, const char *text)
{
	uint64_t number;
	switch (option) {
	case PHOTOS:
		c->job.photos = text;
		return true;
	case IDENTITIES:
		return take_count(name, text, 2, DATASET_IDENTITIES_MAX, &c->job.identities);
	case PROBES:
		return take_count(name, text, 1, DATASET_PROBES_MAX, &c->job.probes);
	case BATCH:
		return take_count(name, text, 1, VERIFY_BATCH_MAX, &c->job.batch);
	case MODE:
		return take_mode(text, c->job.modes);
	case PIECE:
		return take_count(name, text, 1, VERIFY_PIECE_MAX, &c->job.piece);
	case DEPTH:
		return take_count(name, text, 1, VERIFY_DEPTH_MAX, &c->job.depth);
	case THRESHOLD:
		return take_fraction(name, text, 1, &c->job.threshold);
	case SECONDS:
		return take_fraction(name, text, 3600, &c->job.seconds);
	case ROUNDS:
		return take_count(name, text, 1, 2000, &c->job.rounds);
	case ONCE:
		c->job.once = true;
		return true;
	case TIMEOUT:
		if (!take_number(name, text, 1, 60000, &number))
			return false;
		c->job.timeout = number * 1000000;
		return true;
	case SEED:
		return take_number(name, text, 0, UINT64_MAX / 4, &c->job.seed);
	case REPORT:
		c->report = text;
		return true;
	case LEDGER:
		c->ledger = true;
		return true;
	case RECORDER:
		return take_source(meter_add_recorder, c->meter, text);
	case NETDEV:
		return take_source(meter_add_netdev, c->meter, text);
	case CHECK_OPTIONS:
		c->check_only = true;
		return true;
	case HELP:
		c->help = true;
		return true;
	default:
		return false; /* getopt has said why */
	}
}

static bool take_options(struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		{"photos", required_argument, NULL, PHOTOS},
		{"identities", required_argument, NULL, IDENTITIES},
		{"probes", required_argument, NULL, PROBES},
		{"batch", required_argument, NULL, BATCH},
		{"mode", required_argument, NULL, MODE},
		{"piece", required_argument, NULL, PIECE},
		{"depth", required_argument, NULL, DEPTH},
		{"threshold", required_argument, NULL, THRESHOLD},
		{"seconds", required_argument, NULL, SECONDS},
		{"rounds", required_argument, NULL, ROUNDS},
		{"once", no_argument, NULL, ONCE},
		{"timeout", required_argument, NULL, TIMEOUT},
		{"seed", required_argument, NULL, SEED},
		{"report", required_argument, NULL, REPORT},
		{"ledger", no_argument, NULL, LEDGER},
		{"recorder", required_argument, NULL, RECORDER},
		{"netdev", required_argument, NULL, NETDEV},
		{"check-options", no_argument, NULL, CHECK_OPTIONS},
		{"help", no_argument, NULL, HELP},
		{NULL, 0, NULL, 0},
	};
	for (int index = 0, option; (option = getopt_long(argc, argv, "", options, &index)) != -1;)
		if (!take_option(c, option, options[index].name, optarg))
			return false;
	if (optind == argc)
		return true;
	(void)fprintf(stderr, "fractos-faceverify: what is \"%s\"? See --help.\n", argv[optind]);
	return false;
}

/* What the options name must be there before any work is done. */
static bool check_folder(const char *path)
{
	DIR *folder = path != NULL ? opendir(path) : NULL;
	if (path != NULL && folder == NULL)
		return refuse("photos", path, strerror(errno));
	if (folder != NULL)
		closedir(folder);
	return true;
}

/* The report's file, open from the first moment; none where none is asked for. */
struct output {
	FILE *file;
	bool fresh;
};

static bool open_output(const char *path, struct output *out)
{
	*out = (struct output){.file = NULL};
	if (path != NULL)
		out->file = report_open(path, &out->fresh);
	return path == NULL || out->file != NULL || refuse("report", path, strerror(errno));
}

/* A file that we made and have nothing for goes again. */
static bool close_output(const char *path, const struct output *out, bool keep)
{
	if (out->file == NULL)
		return true;
	const bool ok = fclose(out->file) == 0;
	if (!keep && out->fresh)
		unlink(path);
	return ok;
}

static bool do_job(const struct command *c, FILE *file)
{
	report *r = calloc(1, sizeof *r);
	if (r == NULL)
		return false;
	bool ok = job_run(&c->job, c->meter, r);
	if (ok) {
		report_print(stdout, r);
		if (c->ledger)
			report_print_ledger(stdout, r);
	}
	if (ok && file != NULL && !report_write(file, r)) {
		perror(c->report);
		ok = false;
	}
	free(r);
	return ok;
}

/* Returns the exit status. */
static int run(const struct command *c)
{
	struct output out;
	if (!check_folder(c->job.photos) || !open_output(c->report, &out))
		return 2;
	bool ok = c->check_only || do_job(c, out.file);
	if (!close_output(c->report, &out, ok && !c->check_only) && ok) {
		perror(c->report);
		ok = false;
	}
	return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct command c = {.meter = meter_new()};
	if (c.meter == NULL)
		return 1;
	job_defaults(&c.job);
	int result = 2;
	if (take_options(&c, argc, argv)) {
		if (c.help)
			result = fputs(usage, stdout) < 0;
		else
			result = run(&c);
	}
	meter_free(c.meter);
	return result;
}
