/* Calls of an echo that answers with an empty reply: what rpc measures, and rate and copy load. */
#ifndef FRACTOS_BENCH_RPC_H
#define FRACTOS_BENCH_RPC_H

#include "bench.h"

enum { RPC_CAPS = 16 };
#define RPC_PATIENCE UINT64_C(5000000000) /* ns until an answer is given up */

struct rpc {
	fos_channel *channel;
	fos_cap target, reply; /* the reply is ours, and bound anew to every call */
	unsigned imm;          /* bytes of immediates, at most 1024 */
	unsigned cap_count;
	fos_cap caps[RPC_CAPS];
	uint64_t started, answered; /* calls that were, ever */
	fos_status status;          /* of the first that failed */
};

bool rpc_open(fos_channel *channel, fos_cap target, struct rpc *out);
/* The `done` of what an answer is expected of: notes in the struct rpc that it was refused. */
void rpc_on_taken(fos_channel *channel, const fos_result *result, void *rpc);
/* Submits one call. */
fos_status rpc_start(struct rpc *rpc);
/* Waits until `answered` calls were answered. */
fos_status rpc_await(struct rpc *rpc, uint64_t answered);
/* A side of a comparison: `count` calls, one after the other. */
uint64_t rpc_run(void *rpc, unsigned count);

#endif
