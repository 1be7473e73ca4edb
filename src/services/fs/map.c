/* Extents of a file. See map.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "map.h"

static uint64_t end_of(const struct extent *extent)
{
	return extent->offset + extent->length;
}

static uint64_t block_start(uint64_t offset)
{
	return offset - offset % FS_BLOCK;
}

static uint64_t block_end(uint64_t offset)
{
	return block_start(offset) + FS_BLOCK;
}

/* Where `offset` would be on the volume if this extent went on to there. */
static uint64_t volume_at(const struct extent *extent, uint64_t offset)
{
	return extent->volume + (offset - extent->offset);
}

static bool follows(const struct extent *left, const struct extent *right)
{
	return end_of(left) == right->offset && left->volume + left->length == right->volume;
}

void map_clear(struct map *map)
{
	free(map->extents);
	*map = (struct map){0};
}

uint32_t map_find(const struct map *map, uint64_t offset)
{
	uint32_t low = 0, high = map->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (end_of(&map->extents[middle]) > offset)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

struct piece map_piece(const struct map *map, uint64_t offset, uint64_t end)
{
	uint32_t i = map_find(map, offset);
	const struct extent *extent = i < map->count ? &map->extents[i] : NULL;
	if (extent && extent->offset <= offset) {
		uint64_t stop = end_of(extent) < end ? end_of(extent) : end;
		return (struct piece){volume_at(extent, offset), stop - offset, false};
	}
	uint64_t stop = extent && extent->offset < end ? extent->offset : end;
	return (struct piece){0, stop - offset, true};
}

struct vacancy map_vacancy(const struct map *map, uint64_t offset, uint64_t end)
{
	uint32_t i = map_find(map, offset);
	const struct extent *right = i < map->count ? &map->extents[i] : NULL;
	const struct extent *left = i > 0 ? &map->extents[i - 1] : NULL;
	assert(!right || right->offset > offset);
	uint64_t stop = right && right->offset < end ? right->offset : end;
	if (left && end_of(left) > block_start(offset)) {
		stop = block_end(offset) < stop ? block_end(offset) : stop;
		return (struct vacancy){true, volume_at(left, offset), stop - offset};
	}
	if (right && right->offset < block_end(offset))
		return (struct vacancy){true, right->volume - (right->offset - offset), stop - offset};
	/* The right neighbour's first block is the file's own: new blocks end before it. */
	if (right && stop > block_start(right->offset))
		stop = block_start(right->offset);
	uint64_t goal = left ? volume_at(left, block_start(offset)) : UINT64_MAX;
	return (struct vacancy){false, goal, stop - offset};
}

static bool make_room(struct map *map)
{
	if (map->count < map->room)
		return true;
	uint32_t room = map->room ? map->room * 2 : 1;
	if (room > MAP_EXTENTS_MAX)
		return false;
	struct extent *extents = realloc(map->extents, room * sizeof *extents);
	if (!extents)
		return false;
	map->extents = extents;
	map->room = room;
	return true;
}

static void remove_at(struct map *map, uint32_t i)
{
	map->count--;
	memmove(&map->extents[i], &map->extents[i + 1], (map->count - i) * sizeof *map->extents);
}

bool map_insert(struct map *map, struct extent extent, struct map_change *out)
{
	assert(extent.length > 0 && extent.offset % FS_BLOCK == extent.volume % FS_BLOCK);
	uint32_t i = map_find(map, extent.offset);
	assert(i == map->count || map->extents[i].offset >= end_of(&extent));
	*out = (struct map_change){0};
	if (i > 0 && follows(&map->extents[i - 1], &extent)) {
		i--;
		map->extents[i].length += extent.length;
	} else {
		if (!make_room(map))
			return false;
		memmove(&map->extents[i + 1], &map->extents[i], (map->count - i) * sizeof extent);
		map->extents[i] = extent;
		map->count++;
	}
	if (i + 1 < map->count && follows(&map->extents[i], &map->extents[i + 1])) {
		out->drop = true;
		out->dropped = map->extents[i + 1].offset;
		map->extents[i].length += map->extents[i + 1].length;
		remove_at(map, i + 1);
	}
	out->put = map->extents[i];
	return true;
}

bool map_append(struct map *map, struct extent extent)
{
	if (map->count > 0 && end_of(&map->extents[map->count - 1]) > extent.offset)
		return false;
	if (!make_room(map))
		return false;
	map->extents[map->count++] = extent;
	return true;
}

void map_cut(struct map *map, uint64_t size, void (*freed)(struct run, void *), void *arg)
{
	uint32_t first = map_find(map, size);
	uint64_t last_end = 0; /* of what stays */
	bool straddles = first < map->count && map->extents[first].offset < size;
	if (straddles)
		last_end = size;
	else if (first > 0)
		last_end = end_of(&map->extents[first - 1]);
	/* Blocks below this offset are still the file's, or were told of. */
	uint64_t told = last_end ? block_end(last_end - 1) : 0;
	for (uint32_t i = first; i < map->count; i++) {
		const struct extent *extent = &map->extents[i];
		uint64_t from = block_start(extent->offset);
		uint64_t to = block_end(end_of(extent) - 1);
		if (from < told)
			from = told;
		if (from >= to)
			continue;
		uint64_t volume = block_start(extent->volume) + (from - block_start(extent->offset));
		freed((struct run){volume / FS_BLOCK, (to - from) / FS_BLOCK}, arg);
		told = to;
	}
	if (straddles) {
		map->extents[first].length = size - map->extents[first].offset;
		first++;
	}
	map->count = first;
	if (map->count == 0)
		map_clear(map);
}
