/* Inside the frontend: what verify.c (batches, connections), blame.c (who died) and modes.c (how
 * one piece runs) share.
 *
 * The life of a lane, which carries one piece at a time:
 *
 *     IDLE -> RUNNING -> LANDED (distances are in `distances`) -> IDLE
 *                    \-> FAILED (status, error)                -> IDLE
 *
 * Handlers and completions only note what came; verify.c moves lanes between the states. A lane is
 * free for the next piece when it is IDLE and no completion of it is outstanding. */
#ifndef FACEVERIFY_FRONTEND_H
#define FACEVERIFY_FRONTEND_H

#include <stdbool.h>

#include <fractos/gpu.h>

#include "verify.h"

typedef enum lane_state { LANE_IDLE, LANE_RUNNING, LANE_LANDED, LANE_FAILED } lane_state;

/* What a star mode still waits for before its next step. */
enum lane_awaits {
	LANE_UPLOAD = 1, /* probes into the GPU */
	LANE_READ = 2,   /* gallery photos, from fs */
	LANE_MOVE = 4,   /* gallery photos from here to the GPU */
	LANE_ANSWER = 8, /* the last step: distances */
	LANE_MOVING = 16 /* awaits nothing: says that the move was started */
};

struct lane {
	struct verifier *verifier;
	lane_state state;
	uint32_t first, count; /* queries of the batch: the piece */
	uint64_t trace;
	uint64_t deadline;    /* ns of CLOCK_MONOTONIC */
	unsigned awaits;      /* enum lane_awaits */
	unsigned completions; /* outstanding completions of async calls */
	fos_status status;
	char error[VERIFY_ERROR_MAX];

	fos_cap probes;              /* this piece's part of the photos; closed when it has ended */
	fos_cap read_answer, answer; /* ONCE, made for each piece */
	fos_fs_item items[VERIFY_PIECE_MAX];
	fos_gpu_launch launch;

	/* In the GPU, made when connecting. */
	fos_cap gpu_memory, gpu_gallery, gpu_probes, gpu_distances;
	/* Our own: where distances land, and, in star2 and star3, gallery photos. */
	float *distances;
	uint8_t *gallery;
	fos_cap own_distances, own_gallery;
};

struct verifier {
	fos_channel *ch;
	verify_options options;
	gallery *known;
	uint8_t *photos;
	uint32_t photo_count;
	bool connected;
	uint32_t connections;
	char error[VERIFY_ERROR_MAX];

	fos_cap fs, gpu, context, module, kernel;
	fos_cap own_photos;
	void *bytes; /* of all lanes' own buffers */
	struct lane lanes[VERIFY_DEPTH_MAX];

	/* The batch under way. */
	verify_mode mode;
	const verify_query *queries;
	uint64_t files[VERIFY_BATCH_MAX];
	uint8_t states[VERIFY_BATCH_MAX]; /* enum query_state */
	uint32_t count, next, open, pieces;
	uint64_t trace;
	uint64_t end; /* ns of CLOCK_MONOTONIC: no piece may take longer; UINT64_MAX: none */
	verify_done done;
	void *arg;
	bool broken; /* something died: no further piece is started */
	fos_status broken_status;
	char broken_error[VERIFY_ERROR_MAX];
	fos_status worst;
};

uint64_t frontend_now(void);
/* Drops a status where there is nothing left to decide. */
static inline void frontend_ignore(fos_status status)
{
	(void)status;
}

static inline void frontend_drop(struct verifier *v, fos_cap *cap)
{
	if (*cap != FOS_CAP_NONE)
		frontend_ignore(fos_cap_close(v->ch, *cap));
	*cap = FOS_CAP_NONE;
}

/* Appends to an error what is wrong with each service that is not well, and what helps. */
void frontend_name_the_dead(struct verifier *v, char text[VERIFY_ERROR_MAX]);
/* Whether the service behind a root Request answers before `end` (ns of CLOCK_MONOTONIC). */
fos_status frontend_ask_whether(struct verifier *v, fos_cap root, uint64_t end);

/* Starts the piece of a lane whose queries, items and probes are set. A refused start fails it. */
void mode_start(struct lane *lane);
/* Goes on where a step has been answered; called in every turn for RUNNING lanes. */
void mode_step(struct lane *lane);
/* The lane's piece cannot get a verdict. The first reason stays. */
void lane_fail(struct lane *lane, fos_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
