/* Yielding the core instead of sleeping, for as long as it soon comes back.
 *
 * Between a few parties that work for each other a yield is the cheapest way to wait. But it gives
 * the core to whoever wants it. Where many wait by yielding, once around takes longer than it takes
 * to wake one of them; and a stranger that computes keeps the core until the scheduler takes it
 * away, milliseconds later, while who sleeps and is woken gets it much sooner. So the time of each
 * yield is taken, and what it says of the core is the answer. */
#ifndef FRACTOS_BASE_YIELD_H
#define FRACTOS_BASE_YIELD_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum base_core {
	BASE_CORE_OURS,    /* nobody else wants it, or one that looked and found nothing */
	BASE_CORE_SHARED,  /* some others do */
	BASE_CORE_CROWDED, /* many do: sleep, if there is still nothing */
	BASE_CORE_FOREIGN  /* a stranger does: no yields for a while, then for twice as long */
};

struct base_yield {
	uint32_t crowded; /* yields in a row that took so long: one alone was somebody's work */
	uint64_t until;   /* ns of CLOCK_MONOTONIC: no yield before */
	uint64_t pause;   /* ns: how long there was none the last time */
};

enum { BASE_YIELDS_CROWDED = 4 };
/* Times of a yield, in ns. */
#define BASE_YIELD_SHARED  UINT64_C(2500)
#define BASE_YIELD_CROWDED UINT64_C(10000)
#define BASE_YIELD_FOREIGN UINT64_C(1000000) /* longer than most work of a party: a slice */
/* Of the time without yields, in ns. */
#define BASE_YIELD_FIRST_PAUSE UINT64_C(10000000)
#define BASE_YIELD_LAST_PAUSE  UINT64_C(1000000000)

static inline uint64_t base_clock(void) /* ns of CLOCK_MONOTONIC */
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Yields, except where the core was foreign of late, and says whose it is. */
static inline enum base_core base_yield(struct base_yield *yield)
{
	uint64_t begin = base_clock();
	if (begin < yield->until)
		return BASE_CORE_FOREIGN;
	sched_yield();
	uint64_t end = base_clock(), time = end - begin;
	if (time < BASE_YIELD_CROWDED) {
		yield->crowded = 0;
		return time < BASE_YIELD_SHARED ? BASE_CORE_OURS : BASE_CORE_SHARED;
	}
	if (time < BASE_YIELD_FOREIGN)
		return ++yield->crowded < BASE_YIELDS_CROWDED ? BASE_CORE_SHARED : BASE_CORE_CROWDED;
	bool again = yield->pause > 0 && begin - yield->until < yield->pause;
	yield->pause = again ? 2 * yield->pause : BASE_YIELD_FIRST_PAUSE;
	if (yield->pause > BASE_YIELD_LAST_PAUSE)
		yield->pause = BASE_YIELD_LAST_PAUSE;
	yield->until = end + yield->pause;
	return BASE_CORE_FOREIGN;
}

#endif
