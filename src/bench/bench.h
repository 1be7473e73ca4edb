/* What the benchmarks share: rounds that alternate ours with its baseline, medians, JSON rows. */
#ifndef FRACTOS_BENCH_H
#define FRACTOS_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fractos/fractos.h>

enum { BENCH_ROUNDS_MAX = 101 };

/* One side of a comparison: runs `count` operations and returns the ns that they took together.
 * 0: it failed, and said why. */
typedef uint64_t (*bench_side)(void *arg, unsigned count);

struct bench_case {
	const char *bench, *name;
	const char *baseline_name;
	bench_side ours, baseline;
	void *ours_arg, *baseline_arg;
	unsigned count; /* operations in a round of each side */
};

struct bench_context {
	fos_channel *channel;
	unsigned rounds;  /* of each case */
	const char *json; /* rows are appended to this file; NULL: none */
	const char *raw;  /* "address:port" of `fractos-bench serve`'s raw side; NULL: none */
	bool spin;        /* baselines never yield */
};

/* Runs a case in alternating rounds, prints a row and writes it. False: one side failed. */
bool bench_run(const struct bench_context *context, const struct bench_case *c);

uint64_t bench_now(void); /* ns */

/* The benchmarks. */
bool bench_null(const struct bench_context *context);
bool bench_rpc(const struct bench_context *context);

/* Baseline: a bare ring ping-pong between two processes in shared memory, same rings, same waiting.
 */
struct raw_ring;
struct raw_ring *raw_ring_open(bool spin);
uint64_t raw_ring_run(void *ring, unsigned count);
void raw_ring_close(struct raw_ring *ring);

/* Baseline: a libfabric FI_EP_MSG ping-pong of 64 bytes with a responder elsewhere. */
struct raw_fabric;
struct raw_fabric *raw_fabric_open(const char *address, bool spin);
uint64_t raw_fabric_run(void *fabric, unsigned count);
void raw_fabric_close(struct raw_fabric *fabric);
/* Serves one client after the other at the address until `stop` is readable. */
int raw_fabric_serve(const char *address, bool spin, int stop);

#endif
