/* The cluster file: who the nodes are, the key they share, and the limits. Serves fractosd; the
 * same file is given to every node. See man/fractos-cluster.5. */
#ifndef FRACTOS_CONTROLLER_CONFIG_H
#define FRACTOS_CONTROLLER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#include <fractos/recorder.h>

#include "core/core.h"
#include "net/net.h"

enum {
	CONFIG_NODES_MAX = 1 + FOS_RECORDER_LINKS, /* one and those that its recorder can show */
	CONFIG_UIDS_MAX = 16,
	CONFIG_PATH_MAX = 256,
	CONFIG_ERROR_MAX = 512
};

struct config_node {
	uint32_t id; /* at least 1 */
	uint16_t port;
	char name[FOS_LABEL_MAX];
	char address[64];
	char socket[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char recorder[CONFIG_PATH_MAX];
	uint32_t uids[CONFIG_UIDS_MAX]; /* who may attach */
	uint32_t uid_count;             /* 0: the Controller's own user and root */
	uint64_t seen;                  /* keys given, one bit each */
};

struct config {
	char cluster[NET_NAME_MAX];
	char key_path[CONFIG_PATH_MAX];
	uint8_t key[NET_KEY_BYTES];
	char registry[FOS_LABEL_MAX]; /* node on which a Process may become the registry */
	char provider[16];            /* of libfabric */
	uint32_t heartbeat_ms, failure_timeout_ms, default_time_ms;
	uint32_t yields; /* turns without work before the Controller sleeps */
	bool spin_busy;  /* never sleep */
	struct core_limits limits;
	uint64_t arena_bytes; /* of one Process */
	uint32_t ring_bytes;  /* of each of a channel's two rings */
	uint32_t node_count;
	struct config_node nodes[CONFIG_NODES_MAX];
	const struct config_node *self;
	uint64_t seen_cluster, seen_limits;
};

/* Reads the file for the node called `node`. False: `error` (CONFIG_ERROR_MAX bytes) says what is
 * wrong, naming file and line. The key file is read too. Blocks on the file system only. */
bool config_load(const char *path, const char *node, struct config *out, char *error);

#endif
