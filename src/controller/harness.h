/* For the tests: clusters of real fractosd in a temporary directory, on loopback ports that were
 * free, and a raw client that can misbehave as libfractos never would. */
#ifndef FRACTOS_CONTROLLER_HARNESS_H
#define FRACTOS_CONTROLLER_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fractos/recorder.h"
#include "wire/ring.h"
#include "wire/wire.h"

enum { CLUSTER_NODES_MAX = 4, CLUSTER_PATH_MAX = 256 };

/* What a Controller holds for the Processes of its node. */
struct holdings {
	unsigned processes; /* attached */
	unsigned memory;    /* memfds: descriptors and mappings, of rings and arenas */
	unsigned bells;     /* eventfds and pipes, of channels */
	unsigned pidfds;
};

struct cluster {
	char dir[64];
	char file[CLUSTER_PATH_MAX];
	int node_count;
	uint16_t ports[CLUSTER_NODES_MAX];
	pid_t pids[CLUSTER_NODES_MAX];            /* 0: not running */
	struct holdings empty[CLUSTER_NODES_MAX]; /* as the daemon was ready */
	uint64_t core[CLUSTER_NODES_MAX];         /* bytes in use when it was first connected to all */
};

/* A new directory under /tmp; its path is shorter than 40 bytes. Whatever happens to the test, it
 * goes: by scratch_remove(), else when the program ends, else, if that was killed, when the next
 * program makes one. */
void scratch_make(char *path, size_t size);
void scratch_remove(const char *path);

/* What is promised within `time` on a calm machine: times $FRACTOS_STRETCH. */
uint64_t harness_stretch(uint64_t time);

/* Node i is called "n<i>", has id i + 1; n0 may hold the registry. `more` (may be NULL) is added to
 * the [cluster] section or may open further sections. Unless it names a failure timeout, that and
 * the default time of calls are longer than any machine is busy: what ends for their sake, ends for
 * another reason. */
void cluster_make(struct cluster *cluster, int node_count, const char *more);
/* Stops what runs and removes the directory. All Processes must have left, or be about to: fails
 * the test if a daemon still holds something of one, or left something in the directory. */
void cluster_free(struct cluster *cluster);

/* Starts a daemon and waits until it is ready; false: it ended, see cluster_log(). */
bool cluster_start(struct cluster *cluster, int node);
void cluster_start_all(struct cluster *cluster);
/* Ends it with the signal; returns its wait status. One that is not 0 is shown with the whole log,
 * except after SIGKILL. Fails the test after some seconds. */
int cluster_end(struct cluster *cluster, int node, int signal);
/* Starts fractosd with other arguments and returns its wait status; its stderr is in the log. */
int cluster_try(struct cluster *cluster, int node, const char *file, const char *node_name);

const char *cluster_socket(const struct cluster *cluster, int node); /* static */
/* Whether the node's log holds the text; waits for it up to some seconds. */
bool cluster_logged(const struct cluster *cluster, int node, const char *text);
void cluster_print_log(const struct cluster *cluster, int node);
/* The node's flight recorder, mapped for reading; the caller unmaps. */
const fos_recorder *cluster_recorder(const struct cluster *cluster, int node);
/* The same, with tables that hold all that happened before the call: a Controller that has nothing
 * to do does not write them, so it is given something to do. */
const fos_recorder *cluster_recorder_now(const struct cluster *cluster, int node);
/* Waits until every running node has a session with all other running ones. */
void cluster_connected(struct cluster *cluster);
void file_write(const char *path, const char *text, unsigned mode);

/* ------------------------------------------------------------------ a raw client */

struct mini {
	int fd;
	uint32_t serial;
	uint8_t *map; /* of the channel */
	size_t map_bytes;
	uint64_t ring_bytes;
	struct ring calls, answers;
	int bell, doorbell;
	uint8_t *arena;
	uint64_t arena_bytes;
};

bool mini_connect(struct mini *m, const char *socket);
fos_status mini_attach(struct mini *m, uint32_t version, const char *label);
fos_status mini_channel(struct mini *m);
fos_status mini_segment(struct mini *m, uint64_t length);
/* Connects, attaches, opens a channel. */
void mini_open(struct mini *m, const char *socket, const char *label);
void mini_close(struct mini *m);
/* Lets go of its channel and segment alone, where the connection is that of another one. */
void mini_drop(struct mini *m);
/* Whether the Controller has hung up; waits up to some seconds. */
bool mini_hung_up(struct mini *m);
/* Writes a record; false: no room. */
bool mini_submit(struct mini *m, const void *record);
/* The next answer, copied; fails the test after some seconds. */
void mini_answer(struct mini *m, void *out, size_t capacity);
fos_status mini_null(struct mini *m);

#endif
