/* For the tests: Processes that work, each a child of the test with libfractos, and a hub through
 * which they find each other. The hub is the cluster's registry here: a table of numbered Requests.
 */
#ifndef FRACTOS_CONTROLLER_WORKER_H
#define FRACTOS_CONTROLLER_WORKER_H

#include <sys/types.h>

#include <fractos/fractos.h>

enum { HUB_PLACES = 16, HUB_NUMBER = FOS_ARG, HUB_PUT = 1, HUB_GET = 2 };

enum worker_op {
	WORKER_ECHO = 1, /* `next` receives at FOS_RESULT the argument plus one */
	WORKER_HOLD,     /* keeps the delivery open */
	WORKER_MEMORY,   /* argument: bytes; `next` receives a Memory of them, filled with a pattern */
	WORKER_BLANK,    /* the same, but filled with zeros */
	WORKER_SUM,      /* `next` receives at FOS_RESULT the sum of the last Memory's bytes */
	WORKER_HELD,     /* `next` receives at FOS_RESULT how many deliveries are held */
	WORKER_STEP,     /* continues with `next`, the counter at FOS_RESULT one higher */
	WORKER_FILL,     /* sets all bytes of the last Memory to the argument */
	WORKER_STRIKE    /* see worker_strike() */
};
struct worker_args {
	uint64_t op, value;
	int64_t pid, signal; /* of WORKER_STRIKE */
};

/* Children that serve until they are killed; ready when this returns. */
pid_t hub_start(const char *socket);
pid_t worker_start(const char *socket, unsigned number);
void child_kill(pid_t pid);

/* Attaches the calling process; the caller detaches. */
fos_channel *client_start(const char *socket);
void client_end(fos_channel *ch);
/* The Request of worker `number`; waits until it is there. */
fos_cap worker_find(fos_channel *ch, unsigned number);
/* The same without waiting or asserting. */
fos_status worker_look(fos_channel *ch, unsigned number, fos_cap *out);
/* Calls a worker; *value (may be NULL) and *cap (may be NULL) receive what came back. */
fos_status worker_call(fos_channel *ch, fos_cap worker, uint64_t op, uint64_t argument,
					   uint64_t *value, fos_cap *cap);
/* Tells a worker, without waiting, to send the signal when the byte at `offset` of its last Memory,
 * which was blank, is no longer zero: so much of a copy has landed. */
void worker_strike(fos_channel *ch, fos_cap worker, uint64_t offset, pid_t pid, int signal);
/* What a worker's pattern of `bytes` sums to. */
uint64_t worker_pattern_sum(uint64_t bytes);

#endif
