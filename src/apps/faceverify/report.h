/* What the job found: for people as a table with pictures, for programs as JSON. */
#ifndef FACEVERIFY_REPORT_H
#define FACEVERIFY_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "meter.h"
#include "verify.h"
#include "where.h"

typedef struct report_mode {
	bool ran;
	uint32_t batches, ones; /* that were timed */
	uint64_t verified;      /* verifications in the timed batches */
	uint32_t pieces;        /* of the last batch that was verified as a whole */
	double batch_p50_us, batch_p99_us, one_p50_us, one_p99_us;
	double per_s; /* verifications a second, in batches */
	/* Of one batch: the first of this mode, and a later one (the mean of some). */
	bool counted;
	/* Per verification, warm. Data bytes are photos and distances alone; the other two count
	 * headers and control messages too. */
	double net_messages, net_bytes, net_data_bytes, kernel_bytes;
	uint32_t counted_batches;
	uint64_t cold_pieces, warm_pieces; /* of these batches: one with bad photos has others */
	meter_reading cold, warm; /* what `cold` = 1 and `warm` = counted_batches batches sent */
	where_picture where;      /* the batch of the median latency among some */
} report_mode;

typedef struct report {
	uint32_t identities, batch, piece, depth;
	uint32_t probes, correct, false_accept, false_reject, errors;
	double eer, threshold, calibration_eer;
	bool has_eer;
	double enrol_s;
	uint32_t disagreements; /* distances that were not the same bits in all modes */
	uint32_t connections;   /* more than 1: services died and were found again */
	bool has_recorders, has_netdevs;
	report_mode modes[VERIFY_MODES];
} report;

void report_print(FILE *out, const report *r);
/* All messages by name and by link, per mode, cold and warm. */
void report_print_ledger(FILE *out, const report *r);

/* Opens a file for the JSON; what is in it stays until report_write(). *fresh: there was none.
 * NULL: errno says why. */
FILE *report_open(const char *path, bool *fresh);
/* Puts the JSON into the file instead of what was there. False: errno says why. */
bool report_write(FILE *file, const report *r);

/* How often a gallery photo's bytes crossed the network, by `bytes` per verification, of which the
 * probe's own photo is one crossing. */
double report_crossings(double bytes);

#endif
