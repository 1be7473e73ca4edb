/* The engine's life: the database, the volume that it belongs to, the allocator built from it. See
 * meta.h.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "inode.h"

enum { ZERO_BYTES_MAX = 1 << 20, VOLUME_BLOCKS_MIN = 16 };
#define VOLUME_BLOCKS_MAX (UINT64_C(1) << 32) /* 16 TiB: 512 MiB of bitmap */

fos_status meta_end(struct meta *meta, fos_status status)
{
	status = db_end(&meta->db, status);
	if (status == FOS_OK)
		meta->commits++;
	return status;
}

const char *meta_error(const struct meta *meta)
{
	return meta->db.error;
}

const char *meta_dir(const struct meta *meta)
{
	return meta->dir;
}

uint64_t meta_commits(const struct meta *meta)
{
	return meta->commits;
}

void meta_give(struct meta *meta, struct run run)
{
	alloc_give(meta->alloc, run);
}

void meta_usage(const struct meta *meta, struct meta_usage *out)
{
	*out = (struct meta_usage){.commits = meta->commits,
							   .cached_files = meta->cached_files,
							   .cached_extents = meta->cached_extents};
	if (meta->alloc) {
		out->blocks = alloc_size(meta->alloc) - meta->layout.first_block;
		out->free_blocks = alloc_free_count(meta->alloc);
	}
}

struct meta_layout meta_layout(uint64_t size)
{
	uint64_t zeros = size / FS_BLOCK / 16 * FS_BLOCK;
	if (zeros > ZERO_BYTES_MAX)
		zeros = ZERO_BYTES_MAX;
	return (struct meta_layout){FS_BLOCK, zeros, 1 + zeros / FS_BLOCK};
}

/* ------------------------------------------------------------------ the volume */

static fos_status load_volume(struct meta *meta)
{
	sqlite3_stmt *statement = db_use(&meta->db, DB_VOLUME_GET);
	bool row;
	fos_status status = db_row(&meta->db, statement, &row);
	if (status == FOS_OK && row) {
		struct meta_volume *volume = &meta->volume;
		snprintf(volume->name, sizeof volume->name, "%s",
				 (const char *)sqlite3_column_text(statement, 0));
		volume->size = db_u64(statement, 1);
		volume->ready = sqlite3_column_int(statement, 3) != 0;
		meta->has_volume = sqlite3_column_bytes(statement, 2) == META_ID_BYTES;
		if (meta->has_volume)
			memcpy(volume->id, sqlite3_column_blob(statement, 2), META_ID_BYTES);
		else
			status = db_say(&meta->db, FOS_DEVICE, "the metadata names no volume");
	}
	sqlite3_reset(statement);
	return status;
}

bool meta_volume(const struct meta *meta, struct meta_volume *out)
{
	if (meta->has_volume)
		*out = meta->volume;
	return meta->has_volume;
}

static fos_status remember_volume(struct meta *meta, const char *name, uint64_t size)
{
	uint8_t id[META_ID_BYTES];
	if (getrandom(id, sizeof id, 0) != (ssize_t)sizeof id)
		return db_say(&meta->db, FOS_DEVICE, "the kernel gives no random bytes");
	fos_status status = db_begin(&meta->db);
	if (status != FOS_OK)
		return status;
	sqlite3_stmt *statement = db_use(&meta->db, DB_VOLUME_PUT);
	sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 2, (sqlite3_int64)size);
	sqlite3_bind_blob(statement, 3, id, sizeof id, SQLITE_STATIC);
	status = meta_end(meta, db_finish(&meta->db, statement));
	return status == FOS_OK ? load_volume(meta) : status;
}

static void first_fault(const char *line, void *arg)
{
	char *kept = arg;
	if (kept[0] == 0)
		snprintf(kept, 200, "%s", line);
}

static fos_status build_allocator(struct meta *meta)
{
	meta->layout = meta_layout(meta->volume.size);
	meta->alloc = alloc_create(meta->volume.size / FS_BLOCK);
	if (!meta->alloc)
		return db_say(&meta->db, FOS_QUOTA, "no memory for the map of free blocks");
	bool reserved = alloc_claim(meta->alloc, (struct run){0, meta->layout.first_block});
	assert(reserved);
	char line[200] = "";
	uint64_t faults = 0;
	fos_status status = meta_claim_all(meta, meta->alloc, first_fault, line, &faults);
	if (status == FOS_OK && faults)
		status = db_say(&meta->db, FOS_DEVICE, "the metadata is damaged: %s", line);
	return status;
}

fos_status meta_use_volume(struct meta *meta, const char *name, uint64_t size)
{
	if (size / FS_BLOCK < VOLUME_BLOCKS_MIN || size / FS_BLOCK > VOLUME_BLOCKS_MAX)
		return db_say(&meta->db, size / FS_BLOCK < VOLUME_BLOCKS_MIN ? FOS_NO_SPACE : FOS_RANGE,
					  "a volume of %llu bytes: it must have 64 KiB to 16 TiB",
					  (unsigned long long)size);
	if (strlen(name) >= sizeof meta->volume.name)
		return db_say(&meta->db, FOS_INVALID, "the volume's name is too long");
	fos_status status = meta->has_volume ? FOS_OK : remember_volume(meta, name, size);
	if (status != FOS_OK)
		return status;
	const struct meta_volume *volume = &meta->volume;
	if (strcmp(volume->name, name) != 0 || volume->size != size)
		return db_say(&meta->db, FOS_INVALID,
					  "the metadata in %s belongs to volume %s of %llu bytes, not to %s of %llu",
					  meta->dir, volume->name, (unsigned long long)volume->size, name,
					  (unsigned long long)size);
	return meta->alloc ? FOS_OK : build_allocator(meta);
}

fos_status meta_set_ready(struct meta *meta)
{
	fos_status status = db_begin(&meta->db);
	if (status == FOS_OK)
		status = meta_end(meta, db_finish(&meta->db, db_use(&meta->db, DB_VOLUME_READY)));
	if (status == FOS_OK)
		meta->volume.ready = true;
	return status;
}

/* ------------------------------------------------------------------ open and close */

fos_status meta_open(const struct meta_options *options, struct meta **out, char *error,
					 size_t error_size)
{
	*out = NULL;
	struct meta *meta = calloc(1, sizeof *meta);
	if (!meta) {
		snprintf(error, error_size, "no memory");
		return FOS_QUOTA;
	}
	TAILQ_INIT(&meta->lru);
	meta->freed = options->freed;
	meta->freed_arg = options->arg;
	meta->dir = strdup(options->dir);
	fos_status status = db_open(&meta->db, options->dir, options->must_exist);
	if (status == FOS_OK)
		status = load_volume(meta);
	if (status != FOS_OK) {
		snprintf(error, error_size, "%s", meta->db.error);
		meta_close(meta);
		return status;
	}
	*out = meta;
	return FOS_OK;
}

void meta_close(struct meta *meta)
{
	if (!meta)
		return;
	inode_clear(meta);
	alloc_destroy(meta->alloc);
	db_close(&meta->db);
	free(meta->dir);
	free(meta);
}
