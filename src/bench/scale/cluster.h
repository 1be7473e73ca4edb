/* Clusters of any number of Controllers in virtual time: the core that fractosd has, a network of
 * given delays, Processes that are functions. For the benchmark `scale`.
 *
 * Nothing fails here: the network loses nothing and no Process lies, so whatever a core refuses, or
 * a session or Process that it ends, is our own bug and ends the program. What can go wrong is the
 * simulator's matter (src/sim). One thread; all follows from the seed. */
#ifndef FRACTOS_SCALE_CLUSTER_H
#define FRACTOS_SCALE_CLUSTER_H

#include <fractos/fractos.h>

#include "base/base.h"
#include "core/core.h"
#include "wire/wire.h"

struct cluster;

struct network {
	double mean_ns, p99_ns; /* one way, drawn from a lognormal; equal: always so long */
	double gbit_s;          /* of what leaves a node; 0: no bound */
	uint64_t ring_ns;       /* from a Process to its Controller, and back */
	uint64_t seed;
};

/* So many Controllers, each in a session with each other, at rest. limits NULL: the defaults, but
 * as many sessions as there are peers. */
struct cluster *cluster_new(uint32_t nodes, const struct network *network,
							const struct core_limits *limits);
void cluster_end(struct cluster *cluster);
const struct core *cluster_core(const struct cluster *cluster, uint32_t node); /* from 1 */
uint64_t cluster_now(const struct cluster *cluster);                           /* ns */
/* Until nothing is on its way: what is timed later (heartbeats) stays away. */
void cluster_settle(struct cluster *cluster);
void cluster_pass(struct cluster *cluster, uint64_t ns); /* so much time */
/* A Controller is gone for ever, and all peers see it at once. */
void cluster_crash(struct cluster *cluster, uint32_t node);
/* Another one comes, with the same number and another epoch. */
void cluster_boot(struct cluster *cluster, uint32_t node);
/* `then` is called after so much time. */
void cluster_after(struct cluster *cluster, uint64_t ns, void (*then)(void *context),
				   void *context);

struct sent { /* by all Controllers, ever */
	uint64_t by_type[WIRE_MESSAGE_TYPE_NONE + 1];
	uint64_t bytes; /* of all but heartbeats and credits */
};
const struct sent *cluster_sent(const struct cluster *cluster);
/* Since then, without heartbeats and credits that are returned alone. */
uint64_t cluster_messages(const struct cluster *cluster, const struct sent *since);

struct delays { /* one way, of all messages that were sent */
	uint64_t count;
	double mean_ns, p99_ns;
};
struct delays cluster_delays(const struct cluster *cluster);

/* ------------------------------------------------------------------ Processes */

struct process;

struct cap_arg { /* a capability argument */
	uint32_t index;
	uint64_t cap;
};
struct args {
	struct cap_arg caps[FOS_CAPS_MAX];
	unsigned cap_count;
	uint32_t imm_bytes; /* zeros, from offset 0 */
};
struct delivery {
	uint64_t handler, id;
	unsigned cap_count;
	struct cap_arg caps[FOS_CAPS_MAX];
};
uint64_t delivery_cap(const struct delivery *delivery, uint32_t index); /* 0: not bound */

/* Takes deliveries as they come. Without one they are kept for process_take(). */
typedef void process_handler(void *context, struct process *process,
							 const struct delivery *delivery);

/* With one channel, and one segment of so many bytes, which may be none. */
struct process *process_new(struct cluster *cluster, uint32_t node, uint64_t arena);
void process_handle(struct process *process, process_handler *handler, void *context);
void process_kill(struct process *process); /* dead, and free */
uint32_t process_node(const struct process *process);
bool process_take(struct process *process, struct delivery *out); /* false: none came */

/* Submits a call; its completion is thrown away, but must be OK. For handlers. */
void process_invoke(struct process *process, uint64_t cap, const struct args *args);
void process_copy(struct process *process, uint64_t dst, uint64_t src, const struct args *args);
void process_continue(struct process *process, uint64_t delivery, uint64_t cap,
					  const struct args *args);
void process_finish(struct process *process, uint64_t delivery);
void process_keep(struct process *process, uint64_t cap);
void process_close(struct process *process, uint64_t cap);

/* These settle the cluster and return what the completion brought. */
uint64_t process_memory(struct process *process, uint64_t offset, uint64_t length);
uint64_t process_request(struct process *process, uint64_t handler);
uint64_t process_refine(struct process *process, uint64_t cap, const struct args *args);
uint64_t process_revtree(struct process *process, uint64_t cap, bool tracked);
void process_revoke(struct process *process, uint64_t cap);
uint64_t process_registry_get(struct process *process);
void process_registry_set(struct process *process, uint64_t cap);

/* Encodes a call; returns its size. fixed: a struct wire_call_*, whose header is filled in. */
size_t call_encode(uint16_t type, uint64_t cookie, const void *fixed, size_t size,
				   const struct args *args, uint8_t *out);

#endif
