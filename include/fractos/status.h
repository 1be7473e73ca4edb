/* The statuses of FractOS: what every call, completion and exception says about its end.
 *
 * One table makes the enum, the strings, the documentation and `fractos explain`. The numbers are
 * part of the wire protocol: they are never reused, new ones go to the end.
 */
#ifndef FRACTOS_STATUS_H
#define FRACTOS_STATUS_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, number, one line, what to do about it) */
#define FOS_STATUS_TABLE(X)                                                                       \
	X(OK, 0, "success", "Nothing.")                                                               \
	X(INVALID, 1, "an argument is malformed or out of its documented range",                      \
	  "The call itself is wrong: compare it with its man page.")                                  \
	X(NO_CAP, 2, "the slot does not hold a capability",                                           \
	  "The slot was closed, never delegated to this space, or dropped when its delivery was "     \
	  "finished: keep it with fos_cap_keep().")                                                   \
	X(WRONG_TYPE, 3, "the capability is of the other kind (Memory or Request)",                   \
	  "Look at what the slot holds with fos_cap_info().")                                         \
	X(DENIED, 4, "the capability lacks the right, or policy forbids it",                          \
	  "Ask the maker for a capability with more rights; rights never grow.")                      \
	X(RANGE, 5, "beyond the end of the Memory, volume or file",                                   \
	  "Compare offset and length with what the capability covers.")                               \
	X(OVERLAP, 6, "an argument that is already bound would be overwritten",                       \
	  "Bound arguments never change: refine the base Request instead.")                           \
	X(REVOKED, 7, "the object was revoked or its maker died",                                     \
	  "Ask its service for a new capability.")                                                    \
	X(STALE, 8, "the object belongs to an earlier life of its Controller",                        \
	  "The node restarted: look its services up again.")                                          \
	X(PEER_LOST, 9, "the other node or Process cannot be reached or died",                        \
	  "Nothing was passed on after that point; a Process that died may have done a part. "        \
	  "`fractos status` shows what is down.")                                                     \
	X(CONTROLLER_LOST, 10, "the own Controller is gone",                                          \
	  "Attach again; all capabilities of the old attachment are over.")                           \
	X(OUTCOME_UNKNOWN, 11, "the link broke while the operation was under way: it may have run",   \
	  "Revoke what was lent, then ask the service for the state.")                                \
	X(BUSY, 12, "the receiver had no room before the time ended",                                 \
	  "The service is overloaded: allow more time or send less.")                                 \
	X(QUOTA, 13, "a limit of the Process, service or node is reached",                            \
	  "Close what is not needed, or raise the limit in the cluster file.")                        \
	X(TIMED_OUT, 14, "the deadline passed first",                                                 \
	  "The work may still run: revoke what was lent before reusing it.")                          \
	X(CANCELLED, 15, "ended by the caller", "Nothing.")                                           \
	X(UNSUPPORTED, 16, "this service, device or build does not offer that",                       \
	  "See the service's documentation for what it offers.")                                      \
	X(DEVICE, 17, "the device reported an error", "The exception's detail is the device's word.") \
	X(INTERNAL, 18, "a bug of FractOS", "Please report it with the Controller's log.")            \
	X(NOT_FOUND, 19, "no such name", "Check the name; `fractos status` lists what is published.") \
	X(EXISTS, 20, "the name is taken", "Choose another name or remove the old one.")              \
	X(NO_SPACE, 21, "the device or volume is full", "Delete something or make the volume larger.")

typedef enum fos_status {
#define FOS_STATUS_ENUM(name, number, text, advice) FOS_##name = number,
	FOS_STATUS_TABLE(FOS_STATUS_ENUM)
#undef FOS_STATUS_ENUM
		FOS_STATUS_COUNT
} fos_status;

/* A status must be looked at. */
#define FOS_CHECKED __attribute__((warn_unused_result))

/* Offered by libfractos, into which they come from a part that keeps its symbols to itself. */
#pragma GCC visibility push(default)

/* The name ("PEER_LOST"), the one line and the advice of a status. Never NULL; a number outside
 * the table gives "UNKNOWN". Any thread, not blocking. */
const char *fos_status_name(fos_status status);
const char *fos_status_text(fos_status status);
const char *fos_status_advice(fos_status status);

/* The status of a name, any case, with or without "FOS_"; false where there is none. */
bool fos_status_parse(const char *name, fos_status *out);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
