/* Where a file's bytes are on the volume: a sorted array of extents.
 *
 * Serves meta.c. Extents count bytes, blocks are what is allocated: a block of the volume belongs
 * to a file if an extent of the file lies in it, and inside an extent the offset in the block is
 * the same on both sides. Bytes that no extent covers are holes and read as zero, whatever the
 * block holds: so a partly written block needs no zeros on the device, and bytes that the device
 * still has from another file can never show. One thread.
 */
#ifndef FS_MAP_H
#define FS_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alloc.h"

enum { MAP_EXTENTS_MAX = 1 << 18 }; /* of one file: 6 MiB of memory */

struct extent { /* bytes */
	uint64_t offset;
	uint64_t volume; /* the same as offset modulo FS_BLOCK */
	uint64_t length;
};

struct map { /* sorted by offset, disjoint; what could be one extent is one */
	struct extent *extents;
	uint32_t count;
	uint32_t room;
};

void map_clear(struct map *map);

/* Index of the first extent that ends behind `offset`; count where there is none. */
uint32_t map_find(const struct map *map, uint64_t offset);

/* The part of [offset, end) that begins at offset and is all in one extent, or all in a hole. */
struct piece {
	uint64_t volume; /* of the first byte, where it is not a hole */
	uint64_t length;
	bool hole;
};
struct piece map_piece(const struct map *map, uint64_t offset, uint64_t end);

/* Where a byte in a hole would go: into a block that the file has already (*volume, up to `length`
 * bytes of it), or into `length` bytes of blocks to be allocated, from the start of its block on.
 */
struct vacancy {
	bool own; /* in a block of the file */
	uint64_t
		volume; /* own: of the byte; else: where the file would like it, UINT64_MAX: anywhere */
	uint64_t length; /* from the byte on */
};
struct vacancy map_vacancy(const struct map *map, uint64_t offset, uint64_t end);

/* What an insertion did to the array, so that the database can do the same. */
struct map_change {
	struct extent put; /* this extent is there now, in place of one with its offset */
	bool drop;         /* and the one with this offset is gone */
	uint64_t dropped;
};

/* Puts an extent into a hole, joined with its neighbours where they follow each other on both
 * sides. False: too many extents, or no memory. */
bool map_insert(struct map *map, struct extent extent, struct map_change *out);

/* Appends an extent behind all others as it is. False: as above, or out of order. */
bool map_append(struct map *map, struct extent extent);

/* Cuts off all from `size` on. freed() is told of each run of blocks that the file no longer has.
 */
void map_cut(struct map *map, uint64_t size, void (*freed)(struct run, void *), void *arg);

#endif
