/* The job: enrol a gallery, verify probes in every mode, measure, report. Serves main.c and the
 * tests of the whole. */
#ifndef FACEVERIFY_JOB_H
#define FACEVERIFY_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "meter.h"
#include "report.h"
#include "verify.h"

typedef struct job_options {
	const char *photos;  /* a folder; NULL: synthetic faces */
	uint32_t identities; /* synthetic ones */
	uint32_t probes;     /* 0: the folder's, or the default */
	uint32_t batch, piece, depth;
	bool modes[VERIFY_MODES];
	uint64_t seed;
	double threshold; /* negative: calibrate */
	uint64_t timeout; /* ns a piece may take */
	double seconds;   /* for measuring batches; a third of it more for single verifications */
	uint32_t rounds;  /* batches of each mode; 0: as many as fit into `seconds` */
	bool once;        /* verify all probes once in each mode, measure nothing */
	bool quiet;       /* no progress */
} job_options;

void job_defaults(job_options *options);

/* Does it all; the meter may be without sources. False: said on stderr why. What could be found out
 * is in *out. */
bool job_run(const job_options *options, meter *m, report *out);

#endif
