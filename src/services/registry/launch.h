/* For the tests of services: starts their programs under real Controllers and ends them. */
#ifndef FRACTOS_REGISTRY_LAUNCH_H
#define FRACTOS_REGISTRY_LAUNCH_H

#include <sys/types.h>

#include "controller/harness.h"

#define SECOND   UINT64_C(1000000000)
#define PATIENCE (60 * SECOND) /* for what must come: longer than any machine is busy */

/* Starts a program at the Controller of `socket` and waits until it says "ready"; argv[0] is its
 * path. Returns its pid, or fails the test. It dies with the test. */
pid_t launch(const char *socket, const char *const argv[]);
/* The same with a library that is loaded before its own; NULL: none. */
pid_t launch_preloaded(const char *socket, const char *const argv[], const char *library);
/* Sends the signal (0: none) and waits for the end; returns the wait status. Fails the test after
 * some seconds. */
int launch_end(pid_t pid, int signal);
/* cluster_free() for clusters in which daemons were killed: a killed one leaves its directory,
 * which its successor does not take for its own. */
void launch_free_cluster(struct cluster *cluster);

#endif
