/* The bounded memory of inodes and their extents: what makes a warm read free of SQL. See inode.h.
 */
#include <assert.h>
#include <stdlib.h>

#include "inode.h"

static struct inode **bucket_of(struct meta *meta, uint64_t id)
{
	return &meta->buckets[(id * UINT64_C(0x9e3779b97f4a7c15)) >> 48];
}
_Static_assert(BUCKETS == 1 << 16, "the hash gives 16 bits");

void inode_forget_map(struct meta *meta, struct inode *inode)
{
	meta->cached_extents -= inode->map.count;
	map_clear(&inode->map);
	inode->mapped = false;
}

void inode_forget(struct meta *meta, struct inode *inode)
{
	assert(inode->pins == 0);
	struct inode **link = bucket_of(meta, inode->id);
	while (*link != inode)
		link = &(*link)->chain;
	*link = inode->chain;
	TAILQ_REMOVE(&meta->lru, inode, lru);
	meta->cached_files--;
	inode_forget_map(meta, inode);
	free(inode);
}

void inode_clear(struct meta *meta)
{
	while (!TAILQ_EMPTY(&meta->lru))
		inode_forget(meta, TAILQ_FIRST(&meta->lru));
}

/* Makes room for one more inode. What a plan has pinned stays: plans are few. */
static void trim(struct meta *meta)
{
	struct inode *inode = TAILQ_LAST(&meta->lru, inode_list);
	while (inode && (meta->cached_files >= META_CACHED_FILES ||
					 meta->cached_extents > META_CACHED_EXTENTS)) {
		struct inode *before = TAILQ_PREV(inode, inode_list, lru);
		if (inode->pins == 0)
			inode_forget(meta, inode);
		inode = before;
	}
}

static fos_status load(struct meta *meta, uint64_t id, struct inode **out)
{
	sqlite3_stmt *statement = db_use(&meta->db, DB_INODE_GET);
	sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
	bool row;
	fos_status status = db_row(&meta->db, statement, &row);
	if (status != FOS_OK)
		return status;
	if (!row)
		return db_say(&meta->db, FOS_NOT_FOUND, "there is no file %llu", (unsigned long long)id);
	struct inode *inode = calloc(1, sizeof *inode);
	if (inode) {
		inode->id = id;
		inode->type = (uint32_t)db_u64(statement, 0);
		inode->size = db_u64(statement, 1);
		inode->mtime = db_u64(statement, 2);
		inode->parent = db_u64(statement, 3);
	}
	sqlite3_reset(statement);
	if (!inode)
		return db_say(&meta->db, FOS_QUOTA, "no memory for an inode");
	struct inode **bucket = bucket_of(meta, id);
	inode->chain = *bucket;
	*bucket = inode;
	TAILQ_INSERT_HEAD(&meta->lru, inode, lru);
	meta->cached_files++;
	*out = inode;
	return FOS_OK;
}

static struct inode *cached(struct meta *meta, uint64_t id)
{
	struct inode *inode = *bucket_of(meta, id);
	while (inode && inode->id != id)
		inode = inode->chain;
	return inode;
}

void inode_forget_directory(struct meta *meta, uint64_t id)
{
	struct inode *inode = cached(meta, id);
	if (inode)
		inode_forget(meta, inode);
}

fos_status inode_get(struct meta *meta, uint64_t id, struct inode **out)
{
	struct inode *inode = cached(meta, id);
	if (!inode) {
		trim(meta);
		return load(meta, id, out);
	}
	if (inode != TAILQ_FIRST(&meta->lru)) {
		TAILQ_REMOVE(&meta->lru, inode, lru);
		TAILQ_INSERT_HEAD(&meta->lru, inode, lru);
	}
	*out = inode;
	return FOS_OK;
}

static fos_status load_map(struct meta *meta, struct inode *inode)
{
	sqlite3_stmt *statement = db_use(&meta->db, DB_EXTENT_LIST);
	sqlite3_bind_int64(statement, 1, (sqlite3_int64)inode->id);
	fos_status status;
	bool row;
	while ((status = db_row(&meta->db, statement, &row)) == FOS_OK && row) {
		struct extent extent = {db_u64(statement, 0), db_u64(statement, 1), db_u64(statement, 2)};
		if (!map_append(&inode->map, extent)) {
			status = db_say(&meta->db, FOS_QUOTA, "file %llu has too many extents",
							(unsigned long long)inode->id);
			break;
		}
	}
	sqlite3_reset(statement);
	meta->cached_extents += inode->map.count;
	inode->mapped = status == FOS_OK;
	if (status != FOS_OK)
		inode_forget_map(meta, inode);
	return status;
}

fos_status inode_file(struct meta *meta, uint64_t id, struct inode **out)
{
	fos_status status = inode_get(meta, id, out);
	if (status != FOS_OK)
		return status;
	if ((*out)->type != FOS_FS_FILE)
		return db_say(&meta->db, FOS_INVALID, "%llu is a directory", (unsigned long long)id);
	return (*out)->mapped ? FOS_OK : load_map(meta, *out);
}

static void free_run(struct run run, void *arg)
{
	struct meta *meta = arg;
	if (meta->freed)
		meta->freed(run, meta->freed_arg);
	else
		alloc_give(meta->alloc, run);
}

void inode_cut(struct meta *meta, struct inode *inode, uint64_t size)
{
	uint32_t before = inode->map.count;
	map_cut(&inode->map, size, free_run, meta);
	meta->cached_extents -= before - inode->map.count;
}
