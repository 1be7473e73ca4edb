/* Through what the volume is read and written: revtree children of its Requests, a generation at a
 * time.
 *
 * Serves ops.c and io.c. Of a mediated read nobody tells fs the end, and the end of a lost write is
 * unknown. Both went through the generation that was in use then; when its children are revoked and
 * drained, they are over. So blocks that were freed in a generation may be used again when that one
 * is over, and no clock decides it.
 *
 *     volume open --> made --> in use --> the next is made --> retired --> drained: over
 *                                         (when freed blocks wait for it)
 *     volume lost --> all are over when it is open again: the block service saw to it (blk.h)
 *
 * A retired generation is given a moment before it is revoked, so that what is still on its way to
 * the block service arrives: a read that is late by more than that is refused with REVOKED. That is
 * courtesy; safety is the drain.
 */
#ifndef FS_GATE_H
#define FS_GATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <fractos/fractos.h>

struct service;
struct generation;

struct gate {                            /* zeroed: the volume was never open */
	struct generation *now, *next, *old; /* in use; being made; retired */
	struct generation *lost;             /* of the volume that is not open any more */
	LIST_HEAD(, generation) all;
	uint64_t number; /* of the one that is in use, or was last */
	uint64_t over;   /* it and all before it */
};

/* The volume is open or lost. */
void gate_volume_changed(struct service *s);
/* Whether the Requests are there. */
bool gate_ready(const struct service *s);
fos_cap gate_read(const struct service *s);
fos_cap gate_write(const struct service *s);
/* Begins what has to be begun; hurry: somebody waits for space. */
void gate_turn(struct service *s, bool hurry);
/* Whether gate_turn() must be called again some time. */
bool gate_busy(const struct service *s);
/* At the service's end. */
void gate_clear(struct service *s);

#endif
