/* Each bound of the core that the configuration does not set, and its reason. For the core alone;
 * the bounds of Processes are in struct core_limits, with their defaults here. */
#ifndef FRACTOS_CORE_LIMITS_H
#define FRACTOS_CORE_LIMITS_H

enum {
	/* Defaults of struct core_limits. A Process with all of its slots and values in use costs
	 * about 20 MiB; sixty-four such at once would exceed `memory`, which then refuses with QUOTA.
	 */
	LIMIT_PROCESSES = 64,
	LIMIT_CHANNELS = 16, /* one per thread of a Process */
	LIMIT_SEGMENTS = 64,
	LIMIT_OBJECTS = 65536,
	LIMIT_SLOTS = 65536,
	LIMIT_VALUES_BYTES = 16 << 20,
	LIMIT_DELIVERIES = 256, /* open and channel: hides 256 waits of a device behind each other */
	LIMIT_ONCE = 1024,      /* round trips under way of one thread */
	LIMIT_PARKED = 1024,
	LIMIT_COPIES = 256,
	LIMIT_MONITORS = 1024,
	LIMIT_REVOKINGS = 64,
	LIMIT_SESSIONS = 64,
	LIMIT_MEMORY = 512 << 20,

	/* A handle is index and generation in 64 bits: 2^20 indices leave 44 bits of generation, which
	 * last for 20 days of ten million a second through one single index; then it is retired. */
	HANDLE_INDEX_BITS = 20,
	/* Entries of a table are allocated by this many: 4 KiB. */
	TABLE_CHUNK = 256,
	/* Of one table, objects of all Processes included. */
	TABLE_MAX = 1 << HANDLE_INDEX_BITS,

	/* Kept for one ONCE Request, so that its one delivery fits: eight capabilities and the
	 * arguments bound in them are a usual answer; what is larger is delivered if the Process has
	 * that much left. */
	ONCE_SLOTS = 8,
	ONCE_BYTES = 4096,

	/* A continuation has room to wait beside the quota of bytes by value, if it holds no more than
	 * this: four times what one message carries in immediates. */
	KEPT_BYTES = 64 << 10,

	/* Exceptions and continuations of copies that one peer made us keep because they could not be
	 * sent or delivered at once. More exceptions than that are dropped: they are best effort. */
	KEPT_FOR_PEER = 1024,
	/* The same for Processes that are dead: each may leave all its deliveries behind. */
	KEPT_FOR_DEAD = 8192,

	/* Credits of class CLEANUP that only REVOKE takes: what others make and watch does not hold up
	 * a revocation, and so many of one node need not take turns. */
	CLEANUP_KEPT = 16,

	/* What table.h grants of class DATA; a test of the core holds it. */
	DATA_CREDITS = 16,

	/* Records of the class ANSWER that one session gets in one step because of one death: enough to
	 * fill a send, few enough that the step stays short. */
	NOTICE_PORTION = 64,

	/* Records of tracked children that one step looks at when it ends. */
	TRACKED_PORTION = 256,
	/* Entries of spaces that one step looks through for slots of lost children. */
	SWEEP_PORTION = 4096,
	/* Monitors that one peer may have set on objects of this node: all of its Processes. */
	WATCHERS_FOR_PEER = 65536,

	/* Copies that one peer may have under way into this node. */
	INCOMING_MAX = 1024,

	/* Buckets of the tables by number. Processes, sessions: about their defaults. Waiters, parks
	 * and incoming copies: enough that chains stay short up to tens of thousands. */
	BUCKETS = 256,
	/* Of the lookups: so many records a bucket on the average; buckets at most, which is enough for
	 * all that a table can hold. */
	LOOKUP_LOAD = 2,
	LOOKUP_DOUBLINGS = 11,

	/* One step's outputs: room is taken by this many bytes; no single record needs more. */
	OUTPUT_CHUNK = 64 << 10,
	/* Part of `memory` (one in so many) that only outputs and what follows from deaths may use. */
	MEMORY_RESERVE = 8,
	/* But not less than this, nor more than a quarter: also in a small core one step's outputs
	 * take several chunks, when a session or a Process ends with much open. Where even that is not
	 * enough for what one step must say they take more than `memory`. */
	RESERVE_LEAST = 1 << 20
};

#endif
