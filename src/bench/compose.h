/* Work put together over stages on nodes of their own: what compose measures, and peers beside what
 * others do. */
#ifndef FRACTOS_BENCH_COMPOSE_H
#define FRACTOS_BENCH_COMPOSE_H

#include "rpc.h"

enum { STAGES_MAX = 10, COMPOSE_SIZES = 4 };
extern const uint32_t compose_sizes[COMPOSE_SIZES]; /* bytes that a stage passes on */
extern const char *const compose_size_texts[COMPOSE_SIZES];

struct compose {
	const struct bench_context *context;
	unsigned stages; /* that there are */
	struct party parties[STAGES_MAX];
	fos_cap asks[STAGES_MAX], work[STAGES_MAX], memory[STAGES_MAX];
	uint8_t *bytes;   /* our own */
	struct rpc rpc;   /* its reply is where everything ends */
	fos_cap from, to; /* our own Memories of the size */
	uint32_t size;
	unsigned depth;                                    /* stages in use */
	fos_cap chain, star[STAGES_MAX], fast[STAGES_MAX]; /* warm ones */
};

/* Starts a stage on each of as many nodes behind the first. False after saying why;
 * compose_close() in every case. */
bool compose_open(const struct bench_context *context, unsigned stages, struct compose *out);
void compose_close(struct compose *c);
/* Takes the size of that number into use. */
bool compose_resize(struct compose *c, unsigned size);
/* Puts star, fast-star and chain over `depth` stages together, or apart again. */
bool compose_build(struct compose *c, unsigned depth);
bool compose_unbuild(struct compose *c);
/* A side of a comparison: warm chains, one after the other. */
uint64_t compose_run_chain(void *compose, unsigned count);

#endif
