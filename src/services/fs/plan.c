/* Bytes: where they are, where new ones go, and making that real. See meta.h.
 *
 * A plan puts its new extents into the file's map at once, so that a second write of the same plan
 * finds the blocks of the first; the inode is pinned meanwhile. An abort drops the map, and the
 * database says again what is true.
 */
#include <assert.h>
#include <stdlib.h>

#include "inode.h"

struct plan_change {
	struct inode *inode;
	struct map_change change;
};
struct plan_file {
	struct inode *inode;
	uint64_t size; /* when the plan is real */
};

/* The array, moved if need be, with room for one more element; NULL, and the array stays as it is,
 * where there is no memory. */
static void *grown(void *array, uint32_t count, uint32_t *room, size_t size)
{
	if (array && count < *room)
		return array;
	uint32_t wanted = *room ? *room * 2 : 8;
	void *moved = reallocarray(array, wanted, size);
	if (moved)
		*room = wanted;
	return moved;
}

void ranges_clear(struct ranges *ranges)
{
	free(ranges->at);
	*ranges = (struct ranges){0};
}

static fos_status add_range(struct meta *meta, struct ranges *ranges, uint64_t offset,
							uint64_t length)
{
	struct range *last = ranges->count ? &ranges->at[ranges->count - 1] : NULL;
	/* Zeros are read again and again from the same place: those never join. */
	if (last && last->offset + last->length == offset &&
		offset >= meta->layout.first_block * FS_BLOCK) {
		last->length += length;
		return FOS_OK;
	}
	if (ranges->count == META_RANGES_MAX)
		return db_say(&meta->db, FOS_QUOTA, "more than %d pieces in one operation",
					  META_RANGES_MAX);
	struct range *at = grown(ranges->at, ranges->count, &ranges->room, sizeof *at);
	if (!at)
		return db_say(&meta->db, FOS_QUOTA, "no memory for the pieces of an operation");
	ranges->at = at;
	ranges->at[ranges->count++] = (struct range){offset, length};
	return FOS_OK;
}

/* ------------------------------------------------------------------ reading */

fos_status meta_read(struct meta *meta, uint64_t file, uint64_t offset, uint64_t length,
					 struct ranges *out)
{
	struct inode *inode;
	fos_status status = inode_file(meta, file, &inode);
	if (status != FOS_OK)
		return status;
	if (offset > inode->size || length > inode->size - offset)
		return db_say(&meta->db, FOS_RANGE, "file %llu has %llu bytes; asked for %llu from %llu",
					  (unsigned long long)file, (unsigned long long)inode->size,
					  (unsigned long long)length, (unsigned long long)offset);
	uint64_t end = offset + length;
	while (offset < end && status == FOS_OK) {
		struct piece piece = map_piece(&inode->map, offset, end);
		if (piece.hole) {
			piece.volume = meta->layout.zero_offset;
			if (piece.length > meta->layout.zero_length)
				piece.length = meta->layout.zero_length;
		}
		status = add_range(meta, out, piece.volume, piece.length);
		offset += piece.length;
	}
	return status;
}

fos_status meta_extents(struct meta *meta, uint64_t file, uint64_t offset, uint64_t length,
						uint32_t most, struct ranges *out, uint64_t *got)
{
	struct inode *inode;
	*got = 0;
	fos_status status = inode_file(meta, file, &inode);
	if (status != FOS_OK)
		return status;
	uint64_t end =
		offset > inode->size || length > inode->size - offset ? inode->size : offset + length;
	for (uint64_t at = offset; at < end && status == FOS_OK && out->count < most;) {
		struct piece piece = map_piece(&inode->map, at, end);
		if (piece.hole)
			break;
		status = add_range(meta, out, piece.volume, piece.length);
		at += piece.length;
		*got = at - offset;
	}
	if (status == FOS_OK && *got == 0)
		return db_say(&meta->db, FOS_RANGE, "file %llu has nothing written at %llu",
					  (unsigned long long)file, (unsigned long long)offset);
	return status;
}

/* ------------------------------------------------------------------ planning a write */

/* The plan's record of a file; made, with the inode pinned, at its first write. */
static fos_status plan_file(struct meta *meta, struct meta_plan *plan, uint64_t id,
							struct plan_file **out)
{
	for (uint32_t i = 0; i < plan->file_count; i++) {
		if (plan->files[i].inode->id == id) {
			*out = &plan->files[i];
			return FOS_OK;
		}
	}
	struct inode *inode;
	fos_status status = inode_file(meta, id, &inode);
	if (status != FOS_OK)
		return status;
	struct plan_file *files = grown(plan->files, plan->file_count, &plan->file_room, sizeof *files);
	if (!files)
		return db_say(&meta->db, FOS_QUOTA, "no memory for a write");
	plan->files = files;
	inode->pins++;
	*out = &plan->files[plan->file_count++];
	**out = (struct plan_file){inode, inode->size};
	return FOS_OK;
}

/* Puts an extent into the map and notes what the database must do for it. */
static fos_status plan_extent(struct meta *meta, struct meta_plan *plan, struct inode *inode,
							  struct extent extent)
{
	struct map_change change;
	uint32_t before = inode->map.count;
	struct plan_change *changes =
		grown(plan->changes, plan->change_count, &plan->change_room, sizeof *changes);
	if (!changes)
		return db_say(&meta->db, FOS_QUOTA, "no memory for a write");
	plan->changes = changes;
	if (!map_insert(&inode->map, extent, &change))
		return db_say(&meta->db, FOS_QUOTA, "file %llu would have too many extents",
					  (unsigned long long)inode->id);
	meta->cached_extents += inode->map.count - before;
	plan->changes[plan->change_count++] = (struct plan_change){inode, change};
	return add_range(meta, &plan->ranges, extent.volume, extent.length);
}

/* Blocks for bytes from `offset` on, as many as there are in a row, at most for `length` bytes.
 * *length becomes how many of the bytes they hold. */
static fos_status take_blocks(struct meta *meta, struct meta_plan *plan, uint64_t goal,
							  uint64_t offset, uint64_t *length, uint64_t *volume)
{
	struct run *runs = grown(plan->runs, plan->run_count, &plan->run_room, sizeof *runs);
	if (!runs)
		return db_say(&meta->db, FOS_QUOTA, "no memory for a write");
	plan->runs = runs;
	uint64_t skip = offset % FS_BLOCK;
	uint64_t wanted = (skip + *length + FS_BLOCK - 1) / FS_BLOCK;
	struct run run;
	if (!alloc_take(meta->alloc, goal / FS_BLOCK, wanted, &run))
		return db_say(&meta->db, FOS_NO_SPACE, "volume %s is full", meta->volume.name);
	plan->runs[plan->run_count++] = run;
	*volume = run.block * FS_BLOCK + skip;
	if (*length > run.count * FS_BLOCK - skip)
		*length = run.count * FS_BLOCK - skip;
	return FOS_OK;
}

/* The part of a hole from `offset` on that can be filled in one piece. */
static fos_status plan_hole(struct meta *meta, struct meta_plan *plan, struct inode *inode,
							uint64_t offset, uint64_t end, uint64_t *length)
{
	struct vacancy vacancy = map_vacancy(&inode->map, offset, end);
	*length = vacancy.length;
	if (!vacancy.own) {
		fos_status status =
			take_blocks(meta, plan, vacancy.volume, offset, length, &vacancy.volume);
		if (status != FOS_OK)
			return status;
	}
	return plan_extent(meta, plan, inode, (struct extent){offset, vacancy.volume, *length});
}

fos_status meta_plan_write(struct meta *meta, struct meta_plan *plan, uint64_t file,
						   uint64_t offset, uint64_t length)
{
	struct plan_file *planned = NULL;
	if (offset > META_FILE_MAX || length > META_FILE_MAX - offset)
		return db_say(&meta->db, FOS_RANGE, "a file has at most 2^60 bytes");
	fos_status status = plan_file(meta, plan, file, &planned);
	if (status != FOS_OK)
		return status;
	uint64_t end = offset + length;
	if (length && end > planned->size)
		planned->size = end;
	while (offset < end && status == FOS_OK) {
		struct piece piece = map_piece(&planned->inode->map, offset, end);
		if (piece.hole)
			status = plan_hole(meta, plan, planned->inode, offset, end, &piece.length);
		else
			status = add_range(meta, &plan->ranges, piece.volume, piece.length);
		offset += piece.length;
	}
	return status;
}

/* ------------------------------------------------------------------ the two ends */

static void plan_clear(struct meta_plan *plan)
{
	ranges_clear(&plan->ranges);
	free(plan->changes);
	free(plan->files);
	free(plan->runs);
	*plan = (struct meta_plan){0};
}

static fos_status put_change(struct meta *meta, const struct plan_change *change)
{
	const struct extent *put = &change->change.put;
	uint64_t id = change->inode->id;
	fos_status status = DB_RUN(&meta->db, DB_EXTENT_PUT, id, put->offset, put->volume, put->length);
	if (status == FOS_OK && change->change.drop)
		status = DB_RUN(&meta->db, DB_EXTENT_DROP, id, change->change.dropped);
	return status;
}

fos_status meta_plan_commit(struct meta *meta, struct meta_plan *plan, uint64_t now)
{
	fos_status status = plan->file_count ? db_begin(&meta->db) : FOS_OK;
	if (status != FOS_OK)
		return status;
	for (uint32_t i = 0; i < plan->change_count && status == FOS_OK; i++)
		status = put_change(meta, &plan->changes[i]);
	for (uint32_t i = 0; i < plan->file_count && status == FOS_OK; i++) {
		const struct plan_file *file = &plan->files[i];
		status = DB_RUN(&meta->db, DB_INODE_SIZE, file->inode->id, file->size, now);
	}
	if (plan->file_count)
		status = meta_end(meta, status);
	if (status != FOS_OK)
		return status;
	for (uint32_t i = 0; i < plan->file_count; i++) {
		struct inode *inode = plan->files[i].inode;
		inode->size = plan->files[i].size;
		inode->mtime = now;
		inode->pins--;
	}
	plan_clear(plan);
	return FOS_OK;
}

void meta_plan_abort(struct meta *meta, struct meta_plan *plan,
					 void (*give)(struct run run, void *arg), void *arg)
{
	for (uint32_t i = 0; i < plan->file_count; i++) {
		struct inode *inode = plan->files[i].inode;
		inode->pins--;
		inode_forget_map(meta, inode);
	}
	for (uint32_t i = 0; i < plan->run_count; i++) {
		if (give)
			give(plan->runs[i], arg);
		else
			alloc_give(meta->alloc, plan->runs[i]);
	}
	plan_clear(plan);
}
