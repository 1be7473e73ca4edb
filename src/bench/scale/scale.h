/* What the benchmark `scale` finds out, and who finds it: all but `million` is exact and the same
 * in each run. */
#ifndef FRACTOS_SCALE_H
#define FRACTOS_SCALE_H

#include <stdbool.h>
#include <stdint.h>

struct bench_context;

/* ------------------------------------------------------------------ bytes.c */

/* What one more takes of its Controller's memory, by the core's own count. */
#define SCALE_BYTES(X)                                              \
	X(SLOT, "a plain slot: an object of another node")              \
	X(SLOT_SHARED, "a slot of what the node already holds")         \
	X(MEMORY, "Memory, and its maker's slot")                       \
	X(REQUEST, "Request, and its maker's slot")                     \
	X(CHILD, "revtree child, and its maker's slot")                 \
	X(CHILD_OWNER, "revtree child made from another node")          \
	X(CHILD_MAKER, "the same at its maker's, and the slot")         \
	X(TRACKED_OWNER, "tracked child made from another node")        \
	X(TRACKED_MAKER, "the same at its maker's, and the slot of it") \
	X(REFINED, "refined Request, nothing bound")                    \
	X(REFINED_BYTES, "refined Request, 64 B bound")                 \
	X(REFINED_CAPS, "refined Request, 64 B and 2 caps bound")
enum scale_bytes {
#define SCALE_ENUM(NAME, text) SCALE_BYTES_##NAME,
	SCALE_BYTES(SCALE_ENUM)
#undef SCALE_ENUM
		SCALE_BYTES_COUNT
};
const char *scale_bytes_name(enum scale_bytes what);
/* Over some thousand of them. */
double scale_bytes(enum scale_bytes what);

/* ------------------------------------------------------------------ messages.c */

/* How many messages all Controllers send together for one. */
#define SCALE_OPERATIONS(X)                                      \
	X(CALL, "invoke with reply")                                 \
	X(DELEGATE, "delegate")                                      \
	X(DELEGATE_TRACKED, "delegate a tracked child, and its end") \
	X(COPY, "copy across")                                       \
	X(COPY_THEN, "copy with then")                               \
	X(REVTREE, "create revtree")                                 \
	X(REVOKE_OWN, "revoke own, held on all nodes")               \
	X(REVOKE_CHILD, "revoke child, held on all nodes")           \
	X(REVOKE_TRACKED, "revoke tracked child, held on all nodes") \
	X(PROCESS_DEATH, "death of a Process")                       \
	X(CRASH, "death of a Controller")                            \
	X(BOOT, "return of a Controller")
enum scale_operation {
#define SCALE_ENUM(NAME, text) SCALE_##NAME,
	SCALE_OPERATIONS(SCALE_ENUM)
#undef SCALE_ENUM
		SCALE_OPERATION_COUNT
};
const char *scale_operation_name(enum scale_operation operation);

struct scale_messages {
	double messages[SCALE_OPERATION_COUNT]; /* without heartbeats and credits returned alone */
	double heartbeats;                      /* of one Controller in one interval */
	double registry_set; /* the cluster's registry becomes another: all are told */
	/* A Controller with one Process that holds what all hold. */
	uint32_t sessions, objects, slots;
	double bytes; /* in use */
};
void scale_messages(uint32_t nodes, struct scale_messages *out); /* at least 8 */

/* ------------------------------------------------------------------ faces.c */

enum scale_mode { SCALE_STAR3, SCALE_STAR2, SCALE_CHAIN, SCALE_MODES };
struct scale_faces_load {
	bool services;  /* the stages take their time; else none */
	uint32_t bytes; /* that go from the disk to the GPU with each request */
	uint32_t depth; /* requests under way */
	uint32_t requests;
};
struct scale_faces {
	double p50_us, p99_us;   /* of a request, end to end */
	double messages;         /* a request */
	double mean_us, tail_us; /* the network's delays: mean and P99 */
};
void scale_faces(enum scale_mode mode, const struct scale_faces_load *load,
				 struct scale_faces *out);

/* ------------------------------------------------------------------ million.c */

/* A million capabilities in one Controller beside a thousand; writes its own rows. */
bool scale_million(const struct bench_context *context);

#endif
