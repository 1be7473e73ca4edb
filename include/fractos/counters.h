/* What a Controller counts. One table: the struct, `fractos status` and the documentation follow.
 */
#ifndef FRACTOS_COUNTERS_H
#define FRACTOS_COUNTERS_H

#include <stdint.h>

/* X(name, one line). All count from the Controller's start. */
#define FOS_COUNTER_TABLE(X)                                                   \
	X(calls, "system calls handled")                                           \
	X(calls_refused, "system calls that did not complete with OK")             \
	X(deliveries, "invocations delivered to Processes of this node")           \
	X(exceptions, "deliveries of them that were exceptions")                   \
	X(bounces, "invocations that found no room and went back to be parked")    \
	X(parked_expired, "parked invocations whose time ended")                   \
	X(once_expired, "ONCE Requests whose deadline passed")                     \
	X(dropped, "invocations and errors dropped because their target was gone") \
	X(copies, "memory copies whose bytes landed here")                         \
	X(copy_bytes, "bytes that landed here")                                    \
	X(copies_local, "copies of them inside this node")                         \
	X(sessions_ended, "sessions that ended")                                   \
	X(processes_ended, "Processes that ended")                                 \
	X(protocol_errors, "records and messages that were malformed")

/* X(message, one line): sent and received are counted for each. In the order of their numbers. */
#define FOS_MESSAGE_COUNTER_TABLE(X) \
	X(copy)                          \
	X(data)                          \
	X(invoke)                        \
	X(error)                         \
	X(bounce)                        \
	X(room)                          \
	X(copy_done)                     \
	X(data_stop)                     \
	X(credit)                        \
	X(heartbeat)                     \
	X(registry)                      \
	X(child)                         \
	X(child_done)                    \
	X(revoke)                        \
	X(revoke_done)                   \
	X(process_gone)                  \
	X(child_gone) X(watch) X(fired) X(unwatch) X(hold) X(held) X(release) X(passed) X(none)

typedef struct fos_counters {
#define FOS_COUNTER_FIELD(name, text) uint64_t name;
	FOS_COUNTER_TABLE(FOS_COUNTER_FIELD)
#undef FOS_COUNTER_FIELD
	struct fos_message_counters {
#define FOS_COUNTER_FIELD(name) uint64_t name;
		FOS_MESSAGE_COUNTER_TABLE(FOS_COUNTER_FIELD)
#undef FOS_COUNTER_FIELD
	} sent, received, sent_bytes, received_bytes;
} fos_counters;

#endif
