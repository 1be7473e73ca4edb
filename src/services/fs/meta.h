/* Names, files and their places on the volume: the file system's engine, without FractOS in it.
 *
 * Serves the fs service's front (ops.c, io.c) and its tests. All of it lives in a SQLite database
 * in a directory; every operation that changes something is one transaction. What is committed
 * survives the death of this process; meta_commits() and sync.c say what survives a power failure.
 *
 * A write has two ends. meta_plan_write() takes blocks in memory only and says where the bytes go;
 * when they have landed, meta_plan_commit() makes extents, size and time real in one transaction. A
 * crash between the two leaves nothing: no block is lost and none is in two files. Between the two
 * the caller lets nobody else use the file (claims.c).
 *
 * Blocks that a change frees are told to `freed` after the change is committed; they stay taken
 * until meta_give(), so that the caller decides when nobody can be reading them any more.
 *
 * One thread. Statuses other than OK come with a text in meta_error().
 */
#ifndef FS_META_H
#define FS_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fractos/fs.h>

#include "alloc.h"
#include "map.h"

struct meta;

enum {
	META_ROOT = 1,                 /* id of the root directory */
	META_ID_BYTES = 16,            /* of the random number that marks a volume as ours */
	META_CACHED_FILES = 65536,     /* inodes kept in memory */
	META_CACHED_EXTENTS = 1 << 20, /* extents kept in memory: 24 MiB */
	META_RANGES_MAX = 1 << 16      /* pieces of the volume in one operation: 1 MiB of memory */
};
#define META_FILE_MAX (UINT64_C(1) << 60) /* bytes of a file */

struct meta_options {
	const char *dir; /* made if it is not there; its parent must be */
	bool must_exist; /* do not make anything */
	/* NULL: freed blocks are given back at once. */
	void (*freed)(struct run run, void *arg);
	void *arg;
};

/* Opens the database, alone: BUSY if another process has it. `error` gets a line. */
fos_status meta_open(const struct meta_options *options, struct meta **out, char *error,
					 size_t error_size);
void meta_close(struct meta *meta);
const char *meta_error(const struct meta *meta);
const char *meta_dir(const struct meta *meta);

/* ------------------------------------------------------------------ the volume */

struct meta_volume {
	char name[56];
	uint64_t size; /* bytes */
	uint8_t id[META_ID_BYTES];
	bool ready; /* its label and zeros are written */
};

/* Block 0 holds the label, then come blocks that stay zero: what a hole is read from. */
struct meta_layout {
	uint64_t zero_offset, zero_length; /* bytes */
	uint64_t first_block;              /* of files */
};
struct meta_layout meta_layout(uint64_t size);

/* The volume that the database belongs to; false: none yet. */
bool meta_volume(const struct meta *meta, struct meta_volume *out);
/* Takes the volume into use: remembered the first time (with a new id), compared afterwards.
 * INVALID: the database belongs to another volume; NO_SPACE: too small; DEVICE: what the database
 * says cannot be. */
fos_status meta_use_volume(struct meta *meta, const char *name, uint64_t size);
fos_status meta_set_ready(struct meta *meta);

struct meta_usage {
	uint64_t blocks, free_blocks, commits;
	uint32_t cached_files, cached_extents;
};
void meta_usage(const struct meta *meta, struct meta_usage *out);
/* Rises by one with each transaction. */
uint64_t meta_commits(const struct meta *meta);
void meta_give(struct meta *meta, struct run run);

/* Looks at every invariant of the database. Calls fault() with a line for each that does not hold
 * and returns how many; `files` gets the number of files and directories. */
uint64_t meta_check(struct meta *meta, void (*fault)(const char *line, void *arg), void *arg,
					uint64_t *files);

/* ------------------------------------------------------------------ names
 * `now`: ns since 1970. Paths and what they may return are those of fractos/fs.h. */

fos_status meta_mkdir(struct meta *meta, const char *path, uint64_t now);
fos_status meta_create(struct meta *meta, const char *path, uint64_t now, fos_fs_stat *out);
fos_status meta_stat(struct meta *meta, uint64_t file, fos_fs_stat *out);
fos_status meta_lookup(struct meta *meta, const char *path, fos_fs_stat *out);
fos_status meta_unlink(struct meta *meta, const char *path, uint64_t now);
fos_status meta_rename(struct meta *meta, const char *from, const char *to, uint64_t now);
/* Calls each() with the entries behind `after` in the order of their bytes until it says false. */
fos_status meta_readdir(struct meta *meta, const char *path, const char *after,
						bool (*each)(const fos_fs_dirent *entry, const char *name, void *arg),
						void *arg);
fos_status meta_truncate(struct meta *meta, uint64_t file, uint64_t size, uint64_t now);

/* ------------------------------------------------------------------ bytes */

struct range { /* bytes of the volume */
	uint64_t offset;
	uint64_t length;
};
struct ranges {
	struct range *at;
	uint32_t count, room;
};
void ranges_clear(struct ranges *ranges); /* frees */

/* Appends where [offset, offset+length) of a file is; without SQL when the file is cached. */
fos_status meta_read(struct meta *meta, uint64_t file, uint64_t offset, uint64_t length,
					 struct ranges *out);
/* Where the bytes from `offset` on are that have been written, up to the first hole, the end of the
 * file, `length` bytes or `most` ranges; *got is how many bytes. RANGE: not one. */
fos_status meta_extents(struct meta *meta, uint64_t file, uint64_t offset, uint64_t length,
						uint32_t most, struct ranges *out, uint64_t *got);

struct meta_plan {
	struct ranges ranges; /* where the bytes go, in their order */
	struct plan_change *changes;
	struct plan_file *files;
	struct run *runs; /* blocks taken */
	uint32_t change_count, change_room, file_count, file_room, run_count, run_room;
};
/* A zeroed plan is an empty one. Appends a write; on an error the plan must be aborted. */
fos_status meta_plan_write(struct meta *meta, struct meta_plan *plan, uint64_t file,
						   uint64_t offset, uint64_t length);
/* Makes the plan real and empties it. On an error it is still there and must be aborted. */
fos_status meta_plan_commit(struct meta *meta, struct meta_plan *plan, uint64_t now);
/* Forgets the plan. give(): what to do with each run of blocks taken; NULL: give back at once. */
void meta_plan_abort(struct meta *meta, struct meta_plan *plan,
					 void (*give)(struct run run, void *arg), void *arg);

#endif
