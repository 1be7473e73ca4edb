/* The oracle: a capability system without distribution, which says what a cluster of cores may do.
 *
 * It sees what crosses the border of each core on the side of the Processes (calls, records, the
 * bytes of arenas), the lives of Processes and sessions, and the faults that the simulator makes.
 * It does not look into messages between Controllers: for it there is one table of objects, one
 * heap of values, and a call takes effect at one moment between its submission and its completion.
 * What it cannot know (has that revoke arrived, was this invocation lost with the link?) it keeps
 * as "maybe"; each effect seen must lie inside what is possible, and narrows it. What is not
 * possible is a violation, told with its reason.
 *
 *     oracle_sent(o, time);                    of a CORE_MESSAGE, where it is known
 *     oracle_event(o, node, now, &event);      before each core_step()
 *     core_step(core, now, &event);
 *     while (core_output(core, &out))
 *             oracle_output(o, node, &out);    each output, in order
 *     oracle_step_end(o, node);
 *
 *     oracle_fault(...)                        each fault, when it begins and when it ends
 *     oracle_quiet(o, now); oracle_tables(o);  faults over, everything settled, limits of time past
 *
 * Which invocation a delivery is, and what its capabilities are however deep, it learns by looking
 * into the core (core/inspect.h). A program had better give each call without `delivery` a trace of
 * its own: the order of invocations that are the same in everything is not checked. Calls may be
 * malformed or hostile in every other way.
 * Nothing here is particular to one program; one thread. */
#ifndef FRACTOS_SIM_ORACLE_H
#define FRACTOS_SIM_ORACLE_H

#include "core/core.h"

enum { ORACLE_NODES = 64 }; /* node numbers lie below it */

/* ------------------------------------------------------------------ life */

struct oracle_config {
	struct core_config
		core; /* as of each core: limits, times, slice; node, epoch and grow unused */
	/* The core of a node that is up. Looked into with core/inspect.h: to learn the names of new
	 * objects and what new slots hold, and after quiescence to compare all tables. */
	const struct core *(*core_of)(void *context, uint32_t node);
	/* Told at each violation; need not return. `reason` is one line. NULL: oracle_violated(). */
	void (*violation)(void *context, const char *reason);
	void *context;
};

struct oracle;
struct oracle *oracle_new(const struct oracle_config *config); /* never NULL */
void oracle_end(struct oracle *oracle);

/* ------------------------------------------------------------------ faults
 *
 * "Disturbed" is a link whose messages are lost, held or delayed so that they may come later than a
 * quarter of the failure timeout; a pause is a node that takes no step for that long. A session may
 * end without the oracle's complaint only if a link between the two, or one of them, is disturbed
 * or was within the failure timeout plus a heartbeat. */

enum oracle_fault {
	ORACLE_BOOT,      /* node (peer: 0) starts its life with `epoch`; also the first */
	ORACLE_CRASH,     /* node is gone with all of its Processes, without a word */
	ORACLE_PAUSE,     /* node stops taking steps */
	ORACLE_RESUME,    /* node goes on */
	ORACLE_DISTURB,   /* the direction node -> peer is disturbed */
	ORACLE_HEAL,      /* the direction node -> peer is well again */
	ORACLE_NO_MEMORY, /* grow() refused node: from now on QUOTA needs no other explanation there */
	ORACLE_FAULT_COUNT
};
void oracle_fault(struct oracle *oracle, uint64_t now, enum oracle_fault fault, uint32_t node,
				  uint32_t peer, uint64_t epoch);

/* ------------------------------------------------------------------ each step */

/* When the message of the event that follows was sent: the time that is left of an invocation is
 * then checked to the nanosecond, else within what is possible. */
void oracle_sent(struct oracle *oracle, uint64_t time);
void oracle_event(struct oracle *oracle, uint32_t node, uint64_t now,
				  const struct core_event *event);
void oracle_output(struct oracle *oracle, uint32_t node, const struct core_output *out);
void oracle_step_end(struct oracle *oracle, uint32_t node);

/* ------------------------------------------------------------------ at the end */

/* Faults are over, sessions are up again, and time went on until nothing moved: every call is
 * completed (those that may wait for ever aside), every invocation delivered, told or explained,
 * every ONCE Request ended once. */
void oracle_quiet(struct oracle *oracle, uint64_t now);
/* Compares all tables of all Controllers. After oracle_quiet(). */
void oracle_tables(struct oracle *oracle);

bool oracle_violated(const struct oracle *oracle);
const char *oracle_reason(const struct oracle *oracle); /* of the first; "" while there is none */

/* How often each status came, and how often a fault had to explain one. */
struct oracle_counts {
	uint64_t calls, completions, deliveries, exceptions, monitors, slices, sessions_ended;
	uint64_t statuses[FOS_STATUS_COUNT]; /* of completions */
	uint64_t exceptions_of[FOS_STATUS_COUNT];
	/* Invocations that were never delivered, by what is known of them. */
	uint64_t told;    /* an exception told of it, or of one that is the same */
	uint64_t dead;    /* what it names died */
	uint64_t expired; /* there was no room for it while its time lasted */
	uint64_t refused; /* a quota of a Process was used up, or a core's memory */
	uint64_t tracked; /* a tracked child in it had fired, or was lost with a session */
	uint64_t lost; /* behind a fault: a link, a Controller or the Process that sent it was lost */
	uint64_t explained; /* completions with OUTCOME_UNKNOWN, PEER_LOST, STALE, CONTROLLER_LOST */
	uint64_t limits;    /* completions with QUOTA, BUSY */
	uint64_t maybes;    /* effects for which more than one outcome was possible */
	uint64_t refusals;  /* of memory, by cores */
};
const struct oracle_counts *oracle_counts(const struct oracle *oracle);

#endif
