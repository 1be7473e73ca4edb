/* How a Request's ranges become device I/O: pure arithmetic, used by the engine.
 *
 * Devices move whole blocks, clients any bytes. A *piece* is as much of a Request as fits one
 * staging buffer. In a piece, a *part* is the share of one range; parts whose blocks touch form a
 * *run*, which the device moves at once. Runs lie one after the other in staging, block by block:
 * the *device layout*. What travels to or from the client lies without gaps: the *packed layout*,
 * which starts where the first part starts. A part never lies further back packed than in the
 * device layout, so either is made from the other in place, in one pass.
 *
 * Blocks that a write covers only partly are its *edges*: they are read first, to the end of the
 * staging buffer downwards, so that their other bytes can be put around the client's.
 */
#ifndef FRACTOS_BLK_PLAN_H
#define FRACTOS_BLK_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include <fractos/blk.h>

enum { PLAN_BLOCK = 4096, PLAN_EDGES_MAX = 2 * FOS_BLK_RANGES_MAX };

struct plan_part {
	uint64_t offset; /* on the volume */
	uint32_t length;
	uint32_t staging; /* of its first byte in the device layout */
};

struct plan_run {
	uint64_t start, end; /* bytes of the volume; the device moves the blocks that they touch */
	uint32_t staging;    /* of its first block; a multiple of PLAN_BLOCK */
};

struct plan {
	uint64_t memory; /* where the piece starts in the client's Memory */
	uint32_t length; /* bytes that travel to or from the client */
	uint32_t part_count, run_count, edge_count;
	struct plan_part parts[FOS_BLK_RANGES_MAX];
	struct plan_run runs[FOS_BLK_RANGES_MAX];
};

/* How far a Request's ranges have been planned. All zero: at the start. */
struct plan_cursor {
	uint32_t range; /* equal to the number of ranges: all is planned */
	uint64_t done;  /* bytes of that range */
	uint64_t memory;
};

/* Plans the next piece for a staging buffer of `capacity` bytes (a multiple of PLAN_BLOCK, at least
 * four of them) and moves the cursor on. At least one byte is planned if one is left. Ranges of no
 * bytes are skipped. Reads join parts that share or adjoin blocks; writes only bytes that adjoin,
 * so that no block is in a piece twice. */
void plan_read(struct plan *plan, const fos_blk_range *ranges, uint32_t count,
			   struct plan_cursor *cursor, uint32_t capacity);
void plan_write(struct plan *plan, const fos_blk_range *ranges, uint32_t count,
				struct plan_cursor *cursor, uint32_t capacity);

/* The ranges that `window` (bytes of the extents' concatenation) names, into `out`. `len`: bytes
 * that are bound from `extents` on. INVALID, RANGE: *why says so. */
fos_status plan_window(const fos_blk_extents *extents, uint32_t len, const fos_blk_range *window,
					   fos_blk_range out[FOS_BLK_RANGES_MAX], uint32_t *count, const char **why);

/* Where the packed bytes start in staging. */
static inline uint32_t plan_packed(const struct plan *plan)
{
	return plan->parts[0].staging;
}
void plan_pack(const struct plan *plan, uint8_t *staging);   /* device layout -> packed */
void plan_unpack(const struct plan *plan, uint8_t *staging); /* packed -> device layout */

/* The blocks of a run, in bytes of the volume. */
static inline uint64_t plan_run_first(const struct plan_run *run)
{
	return run->start & ~(uint64_t)(PLAN_BLOCK - 1);
}
static inline uint64_t plan_run_last(const struct plan_run *run) /* behind its last block */
{
	return (run->end + PLAN_BLOCK - 1) & ~(uint64_t)(PLAN_BLOCK - 1);
}

/* The volume offsets of the edge blocks, plan->edge_count of them. Edge i is read to staging
 * + capacity - (i + 1) * PLAN_BLOCK. */
void plan_edges(const struct plan *plan, uint64_t *offsets);
/* Puts the edges' other bytes around the client's, device layout. */
void plan_merge(const struct plan *plan, uint8_t *staging, uint32_t capacity);

/* Whether two plans touch a common block. */
bool plan_overlap(const struct plan *a, const struct plan *b);

#endif
