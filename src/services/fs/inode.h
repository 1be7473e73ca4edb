/* Inodes in memory, and the engine's state. Serves meta.c, names.c and plan.c only. */
#ifndef FS_INODE_H
#define FS_INODE_H

#include <sys/queue.h>

#include "db.h"
#include "meta.h"

enum { BUCKETS = 1 << 16 };

struct inode {
	uint64_t id;
	uint64_t size;   /* bytes, of a file */
	uint64_t mtime;  /* ns since 1970 */
	uint64_t parent; /* of a directory; of a file: that where it was made */
	uint32_t type;   /* enum fos_fs_type */
	uint32_t pins;   /* plans that have their extents in the map: it must stay */
	bool mapped;     /* the map is loaded */
	struct map map;
	struct inode *chain;
	TAILQ_ENTRY(inode) lru;
};
TAILQ_HEAD(inode_list, inode);

struct meta {
	struct db db;
	char *dir;
	void (*freed)(struct run run, void *arg);
	void *freed_arg;
	bool has_volume;
	struct meta_volume volume;
	struct meta_layout layout;
	struct alloc *alloc;
	uint64_t commits;
	uint32_t cached_files, cached_extents;
	struct inode_list lru; /* the first was used last */
	struct inode *buckets[BUCKETS];
};

/* The inode from memory or the database, good until inodes of other ids are asked for. NOT_FOUND */
fos_status inode_get(struct meta *meta, uint64_t id, struct inode **out);
/* The same, with its extents loaded; INVALID if it is not a file. */
fos_status inode_file(struct meta *meta, uint64_t id, struct inode **out);
/* Drops the inode, or only its map, from memory. */
void inode_forget(struct meta *meta, struct inode *inode);
void inode_forget_map(struct meta *meta, struct inode *inode);
/* The same for a directory that a transaction changed; it need not be in memory. */
void inode_forget_directory(struct meta *meta, uint64_t id);
/* Drops all blocks behind `size` and tells of them. */
void inode_cut(struct meta *meta, struct inode *inode, uint64_t size);
void inode_clear(struct meta *meta);

/* Ends a transaction as db_end() does, and counts it. */
fos_status meta_end(struct meta *meta, fos_status status);
/* Every extent of the database claimed in `alloc`; fault() hears of what cannot be. */
fos_status meta_claim_all(struct meta *meta, struct alloc *alloc,
						  void (*fault)(const char *line, void *arg), void *arg, uint64_t *faults);

#endif
