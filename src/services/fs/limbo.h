/* Blocks that no file has any more but that somebody may still read or write.
 *
 * Serves the front. A block waits here until three things are true: whatever was sent to the block
 * service through the generation in which it was freed, or an earlier one, is over (gate.h); no
 * direct user has it (direct.h); and the transaction that freed it is on the disk, so that a power
 * failure cannot bring the old file back over the new one's bytes. Only then another file may have
 * it.
 */
#ifndef FS_LIMBO_H
#define FS_LIMBO_H

#include <stdbool.h>
#include <stdint.h>

#include "alloc.h"

struct limbo_entry {
	struct run run;
	uint64_t generation; /* that must be over */
	uint64_t commits;    /* that must be on the disk */
};

struct limbo { /* zeroed: empty */
	struct limbo_entry *entries;
	uint32_t count, room;
	uint64_t blocks; /* in all runs */
};

/* False: no memory; the blocks then stay taken until the next start. */
bool limbo_add(struct limbo *limbo, struct run run, uint64_t generation, uint64_t commits);
/* Gives every run that is ready and that nobody uses; returns whether there was one. */
bool limbo_release(struct limbo *limbo, uint64_t generation, uint64_t durable,
				   bool (*used)(struct run run, void *arg), void (*give)(struct run run, void *arg),
				   void *arg);
/* Whether some run waits for a later generation than this to be over. */
bool limbo_waits(const struct limbo *limbo, uint64_t generation);
void limbo_clear(struct limbo *limbo);

#endif
