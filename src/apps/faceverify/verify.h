/* The frontend of face verification: photo and claimed identity in, verdict out.
 *
 * A batch of queries is cut into *pieces*; several pieces are under way at once, so that reading,
 * transfer and compute of different pieces overlap. How a piece runs is the batch's mode:
 *
 *     chain      one call starts it: probes to the GPU, then fs and storage put the gallery photos
 *                there, then the kernel runs, then the distances come here. Nobody asks us between.
 *     fast-star  the bytes go the same ways, but each step is started by us when the one before
 *                has been answered.
 *     star2      gallery photos come here first and are copied on to the GPU.
 *     star3      the same, and they come through fs (as with NFS).
 *
 * Every query of a batch ends exactly once: in a distance, or in an error that names what failed,
 * at most `timeout` plus VERIFY_GRACE after its piece was started. After an error that says a
 * service or node died, the frontend takes back what it lent, forgets all capabilities, and looks
 * the services up again at the next batch; what that takes is part of the batch's time, so that it
 * ends in time also where nobody comes back.
 *
 * One thread, the channel's. */
#ifndef FACEVERIFY_VERIFY_H
#define FACEVERIFY_VERIFY_H

#include <stdint.h>

#include <fractos/fractos.h>

#include "gallery.h"
#include "lbp.h"

typedef enum verify_mode {
	VERIFY_CHAIN,
	VERIFY_FAST_STAR,
	VERIFY_STAR2,
	VERIFY_STAR3,
	VERIFY_MODES
} verify_mode;

/* "chain", "fast-star", "star2", "star3". */
const char *verify_mode_name(verify_mode mode);

enum {
	VERIFY_BATCH_MAX = 1024,
	VERIFY_PIECE_MAX = 128, /* a piece's files fit one request to fs */
	VERIFY_DEPTH_MAX = 16,  /* pieces under way */
	VERIFY_ERROR_MAX = 512
};
#define VERIFY_GRACE 400000000u /* ns to find out what died */

typedef struct verify_options {
	uint32_t piece;    /* queries, 1 to VERIFY_PIECE_MAX */
	uint32_t depth;    /* pieces under way, 1 to VERIFY_DEPTH_MAX */
	uint64_t timeout;  /* ns that a piece may take */
	uint64_t patience; /* ns that verify_connect() waits for services to appear */
} verify_options;

typedef struct verifier verifier;

/* A frontend without services yet. `photos`: photo_count of them, in the arena of the channel's
 * Process; they and `known` are borrowed until verify_close(). NULL: no memory. */
verifier *verify_open(fos_channel *ch, const verify_options *options, gallery *known,
					  uint8_t *photos, uint32_t photo_count);
void verify_close(verifier *v);

/* Finds the services and prepares the GPU, in `patience` (one second for the registry, without
 * which nobody else comes); a batch does it by itself where needed. On failure verify_error() says
 * what is missing. */
FOS_CHECKED fos_status verify_connect(verifier *v);
const char *verify_error(const verifier *v);
/* The file service's Request; FOS_CAP_NONE while not connected. */
fos_cap verify_fs(const verifier *v);
/* Calls (not) to the services since the frontend was opened: how often it had to connect. */
uint32_t verify_connections(const verifier *v);

typedef struct verify_query {
	uint32_t photo;   /* number of the probe's photo */
	const char *name; /* the claimed identity */
} verify_query;

typedef struct verify_verdict {
	fos_status status; /* FOS_OK: there is a distance */
	float distance;    /* 0 (same) to 1 */
	const char *error; /* why there is none; borrowed during the call; NULL with FOS_OK */
} verify_verdict;

typedef void (*verify_done)(void *arg, uint32_t query, const verify_verdict *verdict);

/* Verifies 1 to VERIFY_BATCH_MAX queries and returns when each has ended: `done` was called once
 * for each. Pieces carry the trace ids `trace`, `trace` + 1, ... (not 0); *pieces (may be NULL):
 * how many there were. Returns FOS_OK if every query has a distance, else some query's status. */
FOS_CHECKED fos_status verify_batch(verifier *v, verify_mode mode, const verify_query *queries,
									uint32_t count, uint64_t trace, verify_done done, void *arg,
									uint32_t *pieces);

#endif
