/* What the daemon puts into the file system: directories, the lock, the socket. All of it is gone
 * after files_close(), but for directories that hold something else. */
#ifndef FRACTOS_CONTROLLER_FILES_H
#define FRACTOS_CONTROLLER_FILES_H

#include <stdbool.h>

#include "controller/config.h"

struct files {
	const struct config_node *node;
	int lock;     /* -1: not held */
	int listener; /* -1: none */
	/* Deepest paths and how many of their last directories were made by us. */
	struct files_made {
		char path[CONFIG_PATH_MAX];
		unsigned count;
	} made[2];
	unsigned made_count;
};

/* Takes the lock `<socket>.lock`, which one daemon of a node can hold, and listens at the socket; a
 * stale socket is replaced. False: `error` (CONFIG_ERROR_MAX bytes) says why; nothing is left. */
bool files_open(struct files *files, const struct config_node *node, char *error);
void files_close(struct files *files);

#endif
