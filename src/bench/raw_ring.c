/* Baseline: two processes that pass one record back and forth through a pair of our rings, and wait
 * by yielding the core (or spinning). Nothing sleeps: this is the least that rings can cost here.
 */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "wire/ring.h"
#include "wire/wire.h"

enum { RING_BYTES = 64 * 1024 };

struct raw_ring {
	uint8_t *memory; /* two pages, two areas */
	struct ring out, in;
	bool spin;
	pid_t child;
};

static void pass(struct ring *out)
{
	struct wire_record *record = ring_reserve(out, sizeof *record);
	*record = (struct wire_record){.size = sizeof *record, .type = 1};
	ring_publish(out);
}

static void await(struct ring *in, bool spin)
{
	uint32_t size;
	while (!ring_peek(in, &size))
		if (!spin)
			sched_yield();
	ring_release(in);
}

/* `core`: of the other process; -1: any. */
struct raw_ring *raw_ring_open(bool spin, int core)
{
	const size_t size = 2 * (RING_PAGE + RING_BYTES);
	struct raw_ring *ring = calloc(1, sizeof *ring);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!ring || memory == MAP_FAILED) {
		bench_complain("no memory for a bare ring");
		free(ring);
		return NULL;
	}
	ring->memory = memory;
	ring->spin = spin;
	uint8_t *areas = ring->memory + (size_t)2 * RING_PAGE;
	struct ring there, back;
	ring_init(&ring->out, ring->memory, areas, RING_BYTES);
	ring_init(&ring->in, ring->memory + RING_PAGE, areas + RING_BYTES, RING_BYTES);
	there = ring->out;
	back = ring->in;
	ring->child = fork();
	if (ring->child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			await(&there, spin);
			pass(&back);
		}
	}
	if (ring->child < 0 || (core >= 0 && !bench_pin(ring->child, (unsigned)core))) {
		raw_ring_close(ring);
		return NULL;
	}
	kill(ring->child, SIGSTOP);
	return ring;
}

uint64_t raw_ring_run(void *arg, unsigned count)
{
	struct raw_ring *ring = arg;
	uint64_t begin = 0;
	/* The child waits spinning or yielding for ever: it runs only while we measure. The first pass
	 * is over when it runs, and does not count. */
	kill(ring->child, SIGCONT);
	for (unsigned i = 0; i <= count; i++) {
		pass(&ring->out);
		await(&ring->in, ring->spin);
		if (i == 0)
			begin = bench_now();
	}
	uint64_t time = bench_now() - begin;
	kill(ring->child, SIGSTOP);
	return time;
}

void raw_ring_close(struct raw_ring *ring)
{
	if (!ring)
		return;
	if (ring->child > 0) {
		kill(ring->child, SIGKILL);
		waitpid(ring->child, NULL, 0);
	}
	munmap(ring->memory, 2 * (RING_PAGE + RING_BYTES));
	free(ring);
}
