/* What main.c needs of nodes.c besides bench.h. */
#ifndef FRACTOS_BENCH_NODES_H
#define FRACTOS_BENCH_NODES_H

#include "bench.h"

/* Reads the cluster file that $FRACTOS_SOCKET belongs to. False after saying why. */
bool nodes_load(struct bench_context *context);
/* How many cores we may use; to be called before any is given away. */
unsigned nodes_cores(void);

#endif
