/* Names: paths to inodes, and the operations on them. See meta.h.
 *
 * Every change is one transaction; memory follows only after it is committed.
 */
#include <string.h>

#include "inode.h"

/* The last component of a path, and what is there. */
struct place {
	uint64_t parent;  /* 0: the path is the root */
	const char *name; /* in the path; not zero-terminated */
	size_t length;
	uint64_t id; /* 0: there is nothing */
	uint32_t type;
};

static fos_status find_entry(struct meta *meta, uint64_t parent, struct place *place)
{
	sqlite3_stmt *statement = db_use(&meta->db, DB_ENTRY_GET);
	sqlite3_bind_int64(statement, 1, (sqlite3_int64)parent);
	sqlite3_bind_blob(statement, 2, place->name, (int)place->length, SQLITE_STATIC);
	bool row;
	fos_status status = db_row(&meta->db, statement, &row);
	place->parent = parent;
	place->id = row ? db_u64(statement, 0) : 0;
	place->type = row ? (uint32_t)db_u64(statement, 1) : 0;
	sqlite3_reset(statement);
	return status;
}

static fos_status check_name(struct meta *meta, const struct place *place)
{
	if (place->length > FOS_FS_NAME_MAX)
		return db_say(&meta->db, FOS_INVALID, "a name is longer than %d bytes", FOS_FS_NAME_MAX);
	if (place->name[0] == '.' &&
		(place->length == 1 || (place->length == 2 && place->name[1] == '.')))
		return db_say(&meta->db, FOS_INVALID, "\".\" and \"..\" are not names here");
	return FOS_OK;
}

/* Walks a path. NOT_FOUND if a directory on the way is not there, INVALID if it is a file; that the
 * last component is not there is not an error. */
static fos_status walk(struct meta *meta, const char *path, struct place *out)
{
	size_t length = strnlen(path, FOS_FS_PATH_MAX);
	if (length == 0 || length == FOS_FS_PATH_MAX)
		return db_say(&meta->db, FOS_INVALID, "a path has 1 to %d bytes", FOS_FS_PATH_MAX - 1);
	*out = (struct place){.id = META_ROOT, .type = FOS_FS_DIRECTORY};
	for (const char *at = path + strspn(path, "/"); *at;) {
		if (out->id == 0)
			return db_say(&meta->db, FOS_NOT_FOUND, "%.*s: no such directory",
						  (int)(out->name + out->length - path), path);
		if (out->type != FOS_FS_DIRECTORY)
			return db_say(&meta->db, FOS_INVALID, "%.*s is not a directory",
						  (int)(out->name + out->length - path), path);
		uint64_t parent = out->id;
		out->name = at;
		out->length = strcspn(at, "/");
		fos_status status = check_name(meta, out);
		if (status == FOS_OK)
			status = find_entry(meta, parent, out);
		if (status != FOS_OK)
			return status;
		at += out->length;
		at += strspn(at, "/");
	}
	return FOS_OK;
}

/* Walks to something that is there. */
static fos_status walk_to(struct meta *meta, const char *path, struct place *out)
{
	fos_status status = walk(meta, path, out);
	if (status == FOS_OK && out->id == 0)
		return db_say(&meta->db, FOS_NOT_FOUND, "%s: no such file or directory", path);
	return status;
}

static fos_fs_stat stat_of(const struct inode *inode)
{
	return (fos_fs_stat){
		.file = inode->id, .size = inode->size, .mtime_ns = inode->mtime, .type = inode->type};
}

fos_status meta_stat(struct meta *meta, uint64_t file, fos_fs_stat *out)
{
	struct inode *inode;
	fos_status status = inode_get(meta, file, &inode);
	if (status == FOS_OK)
		*out = stat_of(inode);
	return status;
}

fos_status meta_lookup(struct meta *meta, const char *path, fos_fs_stat *out)
{
	struct place place;
	fos_status status = walk_to(meta, path, &place);
	return status == FOS_OK ? meta_stat(meta, place.id, out) : status;
}

/* ------------------------------------------------------------------ parts of transactions */

static fos_status add_entry(struct meta *meta, const struct place *at, uint64_t id, uint32_t type)
{
	sqlite3_stmt *statement = db_use(&meta->db, DB_ENTRY_ADD);
	sqlite3_bind_int64(statement, 1, (sqlite3_int64)at->parent);
	sqlite3_bind_blob(statement, 2, at->name, (int)at->length, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 3, (sqlite3_int64)id);
	sqlite3_bind_int64(statement, 4, type);
	return db_finish(&meta->db, statement);
}

static fos_status drop_entry(struct meta *meta, const struct place *at)
{
	sqlite3_stmt *statement = db_use(&meta->db, DB_ENTRY_DROP);
	sqlite3_bind_int64(statement, 1, (sqlite3_int64)at->parent);
	sqlite3_bind_blob(statement, 2, at->name, (int)at->length, SQLITE_STATIC);
	return db_finish(&meta->db, statement);
}

/* The inode at a place and all its extents go; the blocks are told of by after_drop(). */
static fos_status drop_inode(struct meta *meta, const struct place *at)
{
	fos_status status = DB_RUN(&meta->db, DB_INODE_DROP, at->id);
	if (status == FOS_OK && at->type == FOS_FS_FILE)
		status = DB_RUN(&meta->db, DB_EXTENT_CUT, at->id, 0);
	return status;
}

static fos_status touch(struct meta *meta, uint64_t id, uint64_t now)
{
	return DB_RUN(&meta->db, DB_INODE_TIME, id, now);
}

/* Memory follows what drop_inode() did. `inode` was loaded before, map included. */
static void after_drop(struct meta *meta, struct inode *inode)
{
	inode_cut(meta, inode, 0);
	inode_forget(meta, inode);
}

/* Before something at a place goes: its inode with the map; a directory must be empty. */
static fos_status load_victim(struct meta *meta, const struct place *at, struct inode **out)
{
	if (at->type == FOS_FS_FILE)
		return inode_file(meta, at->id, out);
	sqlite3_stmt *statement = db_use(&meta->db, DB_ENTRY_LIST);
	sqlite3_bind_int64(statement, 1, (sqlite3_int64)at->id);
	sqlite3_bind_blob(statement, 2, "", 0, SQLITE_STATIC);
	bool row;
	fos_status status = db_row(&meta->db, statement, &row);
	sqlite3_reset(statement);
	if (status == FOS_OK && row)
		return db_say(&meta->db, FOS_INVALID, "%.*s is a directory that is not empty",
					  (int)at->length, at->name);
	return status == FOS_OK ? inode_get(meta, at->id, out) : status;
}

/* ------------------------------------------------------------------ operations */

static fos_status make(struct meta *meta, const char *path, uint32_t type, uint64_t now,
					   uint64_t *out)
{
	struct place place;
	fos_status status = walk(meta, path, &place);
	if (status != FOS_OK)
		return status;
	if (place.id)
		return db_say(&meta->db, FOS_EXISTS, "%s is there already", path);
	status = db_begin(&meta->db);
	if (status != FOS_OK)
		return status;
	status = DB_RUN(&meta->db, DB_INODE_ADD, type, now, place.parent);
	uint64_t id = (uint64_t)sqlite3_last_insert_rowid(meta->db.sqlite);
	if (status == FOS_OK)
		status = add_entry(meta, &place, id, type);
	if (status == FOS_OK)
		status = touch(meta, place.parent, now);
	status = meta_end(meta, status);
	if (status == FOS_OK) {
		inode_forget_directory(meta, place.parent);
		*out = id;
	}
	return status;
}

fos_status meta_mkdir(struct meta *meta, const char *path, uint64_t now)
{
	uint64_t id = 0;
	return make(meta, path, FOS_FS_DIRECTORY, now, &id);
}

fos_status meta_create(struct meta *meta, const char *path, uint64_t now, fos_fs_stat *out)
{
	uint64_t id = 0;
	fos_status status = make(meta, path, FOS_FS_FILE, now, &id);
	return status == FOS_OK ? meta_stat(meta, id, out) : status;
}

fos_status meta_unlink(struct meta *meta, const char *path, uint64_t now)
{
	struct place place;
	struct inode *victim;
	fos_status status = walk_to(meta, path, &place);
	if (status == FOS_OK && place.parent == 0)
		return db_say(&meta->db, FOS_INVALID, "the root cannot be unlinked");
	if (status == FOS_OK)
		status = load_victim(meta, &place, &victim);
	if (status == FOS_OK)
		status = db_begin(&meta->db);
	if (status != FOS_OK)
		return status;
	status = drop_entry(meta, &place);
	if (status == FOS_OK)
		status = drop_inode(meta, &place);
	if (status == FOS_OK)
		status = touch(meta, place.parent, now);
	status = meta_end(meta, status);
	if (status == FOS_OK) {
		after_drop(meta, victim);
		inode_forget_directory(meta, place.parent);
	}
	return status;
}

/* Whether directory `id` is `inside` or above it. The tree has no cycle, so the walk ends at the
 * root. */
static fos_status refuse_own_subtree(struct meta *meta, uint64_t id, uint64_t inside)
{
	while (inside != META_ROOT) {
		if (inside == id)
			return db_say(&meta->db, FOS_INVALID, "a directory cannot go into itself");
		struct inode *inode;
		fos_status status = inode_get(meta, inside, &inode);
		if (status != FOS_OK)
			return status;
		inside = inode->parent;
	}
	return FOS_OK;
}

/* Whether a rename is allowed; *victim is what it replaces, NULL: nothing. */
static fos_status check_rename(struct meta *meta, const struct place *from, const struct place *to,
							   struct inode **victim)
{
	*victim = NULL;
	if (from->parent == 0 || to->parent == 0)
		return db_say(&meta->db, FOS_INVALID, "the root cannot be renamed");
	if (from->type == FOS_FS_DIRECTORY) {
		fos_status status = refuse_own_subtree(meta, from->id, to->parent);
		if (status != FOS_OK)
			return status;
	}
	if (to->id == 0)
		return FOS_OK;
	if (to->type != from->type)
		return db_say(&meta->db, FOS_INVALID, "%.*s is %s", (int)to->length, to->name,
					  to->type == FOS_FS_FILE ? "a file" : "a directory");
	return load_victim(meta, to, victim);
}

fos_status meta_rename(struct meta *meta, const char *from_path, const char *to_path, uint64_t now)
{
	struct place from, to;
	struct inode *victim;
	fos_status status = walk_to(meta, from_path, &from);
	if (status == FOS_OK)
		status = walk(meta, to_path, &to);
	if (status == FOS_OK && from.id == to.id)
		return FOS_OK;
	if (status == FOS_OK)
		status = check_rename(meta, &from, &to, &victim);
	if (status == FOS_OK)
		status = db_begin(&meta->db);
	if (status != FOS_OK)
		return status;
	if (victim)
		status = drop_inode(meta, &to);
	if (status == FOS_OK && victim)
		status = drop_entry(meta, &to);
	if (status == FOS_OK)
		status = drop_entry(meta, &from);
	if (status == FOS_OK)
		status = add_entry(meta, &to, from.id, from.type);
	if (status == FOS_OK && from.type == FOS_FS_DIRECTORY)
		status = DB_RUN(&meta->db, DB_INODE_PARENT, from.id, to.parent);
	if (status == FOS_OK)
		status = touch(meta, from.parent, now);
	if (status == FOS_OK)
		status = touch(meta, to.parent, now);
	status = meta_end(meta, status);
	if (status != FOS_OK)
		return status;
	if (victim)
		after_drop(meta, victim);
	if (from.type == FOS_FS_DIRECTORY)
		inode_forget_directory(meta, from.id);
	inode_forget_directory(meta, from.parent);
	inode_forget_directory(meta, to.parent);
	return FOS_OK;
}

fos_status meta_readdir(struct meta *meta, const char *path, const char *after,
						bool (*each)(const fos_fs_dirent *entry, const char *name, void *arg),
						void *arg)
{
	struct place place;
	fos_status status = walk_to(meta, path, &place);
	if (status != FOS_OK)
		return status;
	if (place.type != FOS_FS_DIRECTORY)
		return db_say(&meta->db, FOS_INVALID, "%s is not a directory", path);
	sqlite3_stmt *statement = db_use(&meta->db, DB_ENTRY_LIST);
	sqlite3_bind_int64(statement, 1, (sqlite3_int64)place.id);
	sqlite3_bind_blob(statement, 2, after, (int)strlen(after), SQLITE_STATIC);
	bool row, more = true;
	while (more && (status = db_row(&meta->db, statement, &row)) == FOS_OK && row) {
		fos_fs_dirent entry = {.file = db_u64(statement, 1),
							   .type = (uint32_t)db_u64(statement, 2),
							   .name_len = (uint32_t)sqlite3_column_bytes(statement, 0)};
		more = each(&entry, sqlite3_column_blob(statement, 0), arg);
	}
	sqlite3_reset(statement);
	return status;
}

/* The extent that begins before `size` and ends behind it becomes shorter. */
static fos_status shorten(struct meta *meta, const struct inode *inode, uint64_t size)
{
	uint32_t i = map_find(&inode->map, size);
	if (i == inode->map.count || inode->map.extents[i].offset >= size)
		return FOS_OK;
	const struct extent *extent = &inode->map.extents[i];
	return DB_RUN(&meta->db, DB_EXTENT_PUT, inode->id, extent->offset, extent->volume,
				  size - extent->offset);
}

fos_status meta_truncate(struct meta *meta, uint64_t file, uint64_t size, uint64_t now)
{
	struct inode *inode;
	if (size > META_FILE_MAX)
		return db_say(&meta->db, FOS_RANGE, "a file has at most 2^60 bytes");
	fos_status status = inode_file(meta, file, &inode);
	if (status == FOS_OK)
		status = db_begin(&meta->db);
	if (status != FOS_OK)
		return status;
	status = DB_RUN(&meta->db, DB_INODE_SIZE, file, size, now);
	if (status == FOS_OK && size < inode->size)
		status = DB_RUN(&meta->db, DB_EXTENT_CUT, file, size);
	if (status == FOS_OK && size < inode->size)
		status = shorten(meta, inode, size);
	status = meta_end(meta, status);
	if (status == FOS_OK) {
		if (size < inode->size)
			inode_cut(meta, inode, size);
		inode->size = size;
		inode->mtime = now;
	}
	return status;
}
