/* What fuzzers share whose inputs are programs: a list of operations, each a byte that says what, a
 * byte that says how long, and so many bytes of choices. With base/fuzz.c libFuzzer mutates them by
 * whole operations, so that what came before the one that changed still happens. */
#ifndef FRACTOS_BASE_FUZZ_H
#define FRACTOS_BASE_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct choices { /* bytes of the input; zeros behind its end */
	const uint8_t *at;
	size_t left;
};
uint64_t choose(struct choices *choices, unsigned bytes);
static inline uint64_t choose_below(struct choices *choices, uint64_t bound)
{
	return choose(choices, bound <= 256 ? 1 : 2) % bound;
}
/* The next operation of a program; false: it is over. */
bool fuzz_operation(struct choices *program, uint8_t *what, struct choices *choices);

#endif
