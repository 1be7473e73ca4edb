/* The volumes that the block service has: files of one directory, and block devices or files named
 * on the command line. Knows the file system, nothing of FractOS's calls.
 *
 * In the directory a volume NAME is the file NAME.vol, preallocated, a multiple of 4096 bytes. It
 * is made as .NAME.new and renamed when it is complete and on disk, so after a crash it is there
 * or not; what is left of an unfinished one is removed at the next start.
 *
 * The directory and every volume in use are locked (flock): a second service is refused, and one
 * that was killed holds its locks until the last of its I/O has ended.
 */
#ifndef FRACTOS_BLK_VOLUMES_H
#define FRACTOS_BLK_VOLUMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine.h"

enum { VOLUMES_MAX = ENGINE_FILES_MAX, VOLUMES_ERROR_MAX = 512 };

struct volume {
	uint64_t id;   /* never used twice */
	uint64_t size; /* bytes, a multiple of 4096 */
	char name[FOS_BLK_NAME_MAX];
	char *path; /* of a device; NULL: a file of the directory */
	void *user; /* the caller's; NULL at first */
};

struct volumes {
	int dir; /* -1: none */
	bool buffered;
	uint32_t count;
	uint64_t last_id;
	struct volume *all[VOLUMES_MAX]; /* sorted by name */
};

/* [A-Za-z0-9._-]+, not beginning with a dot or hyphen, and a final zero inside the array. */
bool volumes_name_valid(const char name[FOS_BLK_NAME_MAX]);

/* Starts with the volumes of directory `path`, which is made if only it is missing; NULL: without
 * one. buffered: without O_DIRECT. Errors come with a text (VOLUMES_ERROR_MAX bytes). Waits a few
 * seconds for the lock of a service that is ending. */
FOS_CHECKED fos_status volumes_open(struct volumes *volumes, const char *path, bool buffered,
									char *error);
/* Adds "PATH" or "NAME=PATH", a block device or file; without NAME it is the last part of PATH. */
FOS_CHECKED fos_status volumes_add_device(struct volumes *volumes, const char *spec, char *error);
void volumes_close(struct volumes *volumes);

struct volume *volumes_find(const struct volumes *volumes, const char *name);

/* Makes a volume of `size` bytes (rounded up). INVALID, EXISTS, NO_SPACE, QUOTA, DEVICE,
 * UNSUPPORTED (no directory, or a file system without preallocation); on any error nothing is left
 * behind. Blocks until it is on disk. */
FOS_CHECKED fos_status volumes_create(struct volumes *volumes, const char *name, uint64_t size,
									  char *error);
/* Removes a volume and frees it; its space is free when it is not open any more. DENIED: a device.
 * On an error it stays. Blocks until that is on disk. */
FOS_CHECKED fos_status volumes_delete(struct volumes *volumes, struct volume *volume, char *error);
/* A locked descriptor for the engine. DEVICE; BUSY: another program holds it; UNSUPPORTED: no
 * O_DIRECT. */
FOS_CHECKED fos_status volumes_open_file(const struct volumes *volumes, const struct volume *volume,
										 int *fd, char *error);

#endif
