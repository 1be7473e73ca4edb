/* Memories of other nodes, and copies to and from them: what copy measures, and then uses. */
#ifndef FRACTOS_BENCH_COPY_H
#define FRACTOS_BENCH_COPY_H

#include "bench.h"

enum { STORE_GIVES = 16 }; /* Memories at a time */

/* Asks a store (role_store) for `count` new Memories of `size` bytes, `stride` bytes from each
 * other: 0: all over the same bytes. What it gave before is revoked. False after saying why. */
bool store_give(fos_channel *channel, fos_cap store, uint64_t size, uint64_t stride, unsigned count,
				fos_cap *out);

struct copying {
	fos_channel *channel;
	unsigned depth; /* copies under way, each from and to places of its own */
	fos_cap to[STORE_GIVES], from[STORE_GIVES];
	unsigned started, landed, wanted; /* of the run */
	fos_status status;                /* of the first that failed */
};
/* A side of a comparison: `count` copies, `depth` of them under way. */
uint64_t copying_run(void *copying, unsigned count);

#endif
