/* Which blocks of the volume are free: a bitmap with a summary, in memory only.
 *
 * Serves meta.c. What is on the volume is said by the extents in the database alone; the bitmap is
 * built from them at the start. So a block that was taken but never committed is free again after a
 * crash, and nothing has to be repaired.
 *
 * Taking prefers the place where a file ends, then the next fit behind the last run taken, and
 * splits only when no run is long enough: files stay contiguous. One thread.
 */
#ifndef FS_ALLOC_H
#define FS_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

enum { FS_BLOCK = 4096 }; /* bytes */

struct alloc;

struct run { /* blocks that follow each other */
	uint64_t block;
	uint64_t count;
};

/* All blocks are free at first. NULL: no memory, or no blocks. */
struct alloc *alloc_create(uint64_t blocks);
void alloc_destroy(struct alloc *alloc);

/* Takes these very blocks; false, and nothing taken, if one of them is taken or does not exist. */
bool alloc_claim(struct alloc *alloc, struct run run);

/* Takes 1 to `count` blocks that follow each other: all of them where any free run is that long,
 * else the longest one. `goal` is where the file would like to go on. False: nothing is free. */
bool alloc_take(struct alloc *alloc, uint64_t goal, uint64_t count, struct run *out);

/* Gives back what is taken: anything else is a bug and asserted. */
void alloc_give(struct alloc *alloc, struct run run);

uint64_t alloc_free_count(const struct alloc *alloc);
uint64_t alloc_size(const struct alloc *alloc);
bool alloc_is_free(const struct alloc *alloc, uint64_t block);

#endif
