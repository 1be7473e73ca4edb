/* A Controller of the bench's own, without peers: for what concerns one node alone, where the
 * bench chooses how it waits and on which core. */
#ifndef FRACTOS_BENCH_SOLO_H
#define FRACTOS_BENCH_SOLO_H

#include "bench.h"

struct solo {
	char dir[64]; /* its files; "": none */
	char socket[96];
	pid_t pid;
	fos_process *process; /* ours, attached to it */
	fos_channel *channel;
};

/* `spin`: it never sleeps. False after saying why; solo_close() in every case. */
bool solo_open(const struct bench_context *context, bool spin, unsigned core, struct solo *out);
void solo_close(struct solo *solo);

#endif
