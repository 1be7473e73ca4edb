/* The one table of what travels: system calls and what answers them (Process <-> Controller, in
 * rings), messages (Controller <-> Controller), and the attach dialogue (Unix socket).
 *
 * From this table come the structs and their size checks (wire.h), the validating decoders and the
 * printer (wire.c), and docs/protocol.md. Everything is little endian with natural alignment; each
 * padding byte is a field named zero* and must be zero. Numbers are never reused.
 *
 * A record is a fixed part, written here as fields F(type, name, check), and for some a tail.
 * Checks: ANY; ZERO; BOOL; STATUS (a known status); MAX(n): at most n; MIN1: not 0;
 * LABEL: printable text, its zero and zeros behind it.
 * Tails: NONE; ARGS (a table of arguments, args.h); BYTES (as many as a field says); PARTS
 * (deliveries: ranges, capabilities, exception, immediates).
 */
/* clang-format off */
#ifndef FRACTOS_WIRE_TABLE_H
#define FRACTOS_WIRE_TABLE_H

/* ------------------------------------------------------------------ system calls
 * X(NAME, name, number, tail, one line). Header: struct wire_record. Capability fields hold slots;
 * in records with ARGS also names of that table (WIRE_IN_CALL | entry). Times are ns. */
#define WIRE_CALLS(X)                                                                       \
	X(NULL, null, 1, NONE, "round trip to the own Controller")                              \
	X(MEMORY_CREATE, memory_create, 2, NONE, "a Memory over bytes of the caller's arena")   \
	X(MEMORY_DIMINISH, memory_diminish, 3, NONE, "a narrower view of a Memory")             \
	X(MEMORY_COPY, memory_copy, 4, ARGS, "third-party copy; argument FOS_NEXT is `then`")   \
	X(REQUEST_CREATE, request_create, 5, NONE, "a new Request; the caller is its provider") \
	X(REQUEST_REFINE, request_refine, 6, ARGS, "a Request with more arguments bound")       \
	X(REQUEST_INVOKE, request_invoke, 7, ARGS, "invoke, one way")                           \
	X(CONTINUE, continue, 8, ARGS, "finish a delivery by invoking the next Request")        \
	X(FAIL, fail, 9, BYTES, "finish a delivery with an exception")                          \
	X(FINISH, finish, 10, NONE, "finish a delivery")                                        \
	X(CAP_CLOSE, cap_close, 11, NONE, "drop a slot")                                        \
	X(CAP_KEEP, cap_keep, 12, NONE, "let a delivered slot outlive its delivery")            \
	X(CAP_INFO, cap_info, 13, NONE, "what a slot holds")                                    \
	X(CAP_IS_SAME, cap_is_same, 14, NONE, "whether two slots name one object")              \
	X(CAP_REVOKE, cap_revoke, 15, NONE, "kill an own object or child and what descends")    \
	X(REGISTRY_GET, registry_get, 16, NONE, "the registry's Request for this principal")    \
	X(REGISTRY_SET, registry_set, 17, NONE, "make a Request the cluster's registry")        \
	X(CAP_REVTREE, cap_revtree, 18, NONE, "a separately revocable child, at the owner")     \
	X(MONITOR_RECEIVE, monitor_receive, 19, NONE, "tell when a capability became invalid")  \
	X(MONITOR_DELEGATE, monitor_delegate, 20, NONE, "tell when no one else holds it")

#define WIRE_CALL_NULL(F)
#define WIRE_CALL_MEMORY_CREATE(F) \
	F(u64, offset, ANY) F(u64, length, ANY) F(u32, segment, ANY) F(u32, rights, MAX(3))
#define WIRE_CALL_MEMORY_DIMINISH(F) \
	F(u64, cap, ANY) F(u64, offset, ANY) F(u64, length, ANY) F(u32, drop, MAX(3)) F(u32, zero, ZERO)
#define WIRE_CALL_MEMORY_COPY(F) \
	F(u64, dst, ANY) F(u64, src, ANY) F(u64, delivery, ANY) F(u64, trace, ANY) F(u64, time, ANY)
#define WIRE_CALL_REQUEST_CREATE(F) \
	F(u64, handler, ANY) F(u64, deadline, ANY) F(u32, once, BOOL) F(u32, zero, ZERO)
/* revocable: the result is a new revtree child; tracked: and a tracked one. */
#define WIRE_CALL_REQUEST_REFINE(F) F(u64, cap, ANY) F(u32, revocable, BOOL) F(u32, tracked, BOOL)
#define WIRE_CALL_REQUEST_INVOKE(F) \
	F(u64, cap, ANY) F(u64, delivery, ANY) F(u64, trace, ANY) F(u64, time, ANY)
#define WIRE_CALL_CONTINUE(F) \
	F(u64, delivery, ANY) F(u64, cap, ANY) F(u32, fail_if_refused, BOOL) F(u32, zero, ZERO)
#define WIRE_CALL_FAIL(F)         F(u64, delivery, ANY) F(u32, status, STATUS) F(u32, length, MAX(2047))
#define WIRE_CALL_FINISH(F)       F(u64, delivery, ANY)
#define WIRE_CALL_CAP_CLOSE(F)    F(u64, cap, ANY)
#define WIRE_CALL_CAP_KEEP(F)     F(u64, cap, ANY)
#define WIRE_CALL_CAP_INFO(F)     F(u64, cap, ANY)
#define WIRE_CALL_CAP_IS_SAME(F)  F(u64, a, ANY) F(u64, b, ANY)
/* drain: wait until nothing that was begun through it is left; time: for that, 0: the default. */
#define WIRE_CALL_CAP_REVOKE(F) \
	F(u64, cap, ANY) F(u64, time, ANY) F(u32, drain, BOOL) F(u32, zero, ZERO)
/* other: 0, or a slot: the answer waits until the registry is another object than what it holds. */
#define WIRE_CALL_REGISTRY_GET(F) F(u64, time, ANY) F(u64, other, ANY)
#define WIRE_CALL_REGISTRY_SET(F) F(u64, cap, ANY)
#define WIRE_CALL_CAP_REVTREE(F)  F(u64, cap, ANY) F(u32, tracked, BOOL) F(u32, zero, ZERO)
/* Each is completed once, by MONITORED: when it fires, or when it was refused. */
#define WIRE_CALL_MONITOR_RECEIVE(F)  F(u64, cap, ANY)
#define WIRE_CALL_MONITOR_DELEGATE(F) F(u64, cap, ANY)

/* ------------------------------------------------------------------ what the Controller answers
 * Header: struct wire_record; its cookie is the call's. */
#define WIRE_ANSWERS(X)                                 \
	X(COMPLETION, completion, 64, NONE, "a call's end") \
	X(INFO, info, 65, NONE, "the end of cap_info")      \
	X(DELIVERY, delivery, 66, PARTS, "an invocation of a Request of this Process") \
	X(MONITORED, monitored, 67, NONE, "a monitor's end")

#define WIRE_ANSWER_COMPLETION(F) F(u64, cap, ANY) F(u32, status, STATUS) F(u32, same, BOOL)
/* segment: one more than the own segment's number; 0 where the Memory is not over the own arena */
#define WIRE_ANSWER_INFO(F)                                                                     \
	F(u64, offset, ANY)                                                                         \
	F(u64, length, ANY) F(u32, status, STATUS) F(u32, node, ANY) F(u32, segment, ANY)           \
		F(u32, open_deliveries, ANY) F(u8, kind, MAX(2)) F(u8, rights, MAX(3)) F(u8, own, BOOL) \
			F(u8, once, BOOL) F(u8, reachable, BOOL) F(u8, revocable, BOOL) F(u8, tracked, BOOL)    \
				F(u8, zero8, ZERO)
/* tail: range_count struct wire_range, cap_count struct wire_delivered, if `exception` a struct
 * wire_exception followed by its detail (padded to 8), then the ranges' bytes (padded to 8).
 * Ranges are sorted by offset, disjoint and not adjacent; capabilities sorted by index. */
#define WIRE_ANSWER_DELIVERY(F)                                                              \
	F(u64, delivery, MIN1)                                                                   \
	F(u64, trace, ANY) F(u64, span, ANY) F(u64, time_left, ANY) F(u32, imm_bytes, MAX(8192)) \
		F(u16, range_count, MAX(96)) F(u8, cap_count, MAX(32)) F(u8, exception, BOOL)

/* gone: enum fos_gone. */
#define WIRE_ANSWER_MONITORED(F) F(u32, status, STATUS) F(u32, gone, MAX(5))

/* ------------------------------------------------------------------ classes of messages
 * X(NAME, number, credits): handling a message creates only messages of higher classes; the
 * highest needs no credit and its handling creates nothing. */
#define WIRE_CLASSES(X) \
	X(COPY, 0, 64)      \
	X(DATA, 1, 16)      \
	X(INVOKE, 2, 256)   \
	X(CLEANUP, 3, 64)   \
	X(ERROR, 4, 256)    \
	X(REFERENCE, 5, 64) \
	X(ANSWER, 6, 0)

/* ------------------------------------------------------------------ messages
 * X(NAME, name, number, class, lane, tail, one line). Header: struct wire_message. */
#define WIRE_MESSAGES(X)                                                                        \
	X(COPY, copy, 1, COPY, CONTROL, ARGS, "ask the source's owner to copy")                     \
	X(DATA, data, 2, DATA, BULK, ARGS, "a slice of a copy; the first carries `then`")           \
	X(INVOKE, invoke, 3, INVOKE, CONTROL, ARGS, "invoke a Request at its owner")                \
	X(ERROR, error, 4, ERROR, CONTROL, ARGS, "invoke an on_error Request with an exception")    \
	X(BOUNCE, bounce, 5, ANSWER, CONTROL, ARGS, "no room: the invocation back to its sender")   \
	X(ROOM, room, 6, ANSWER, CONTROL, NONE, "send parked invocations again")                    \
	X(COPY_DONE, copy_done, 7, ANSWER, CONTROL, NONE, "the copy's end, to who asked for it")    \
	X(DATA_STOP, data_stop, 8, ANSWER, CONTROL, NONE, "the destination refuses further slices") \
	X(CREDIT, credit, 9, ANSWER, CONTROL, NONE, "credits back, when nothing else carries them") \
	X(HEARTBEAT, heartbeat, 10, ANSWER, CONTROL, NONE, "alive; echoes the peer's newest")       \
	X(REGISTRY, registry, 11, REFERENCE, CONTROL, NONE, "where the registry's Request is")      \
	X(CHILD, child, 12, CLEANUP, CONTROL, NONE, "make a revtree child of an object of yours")   \
	X(CHILD_DONE, child_done, 13, ANSWER, CONTROL, NONE, "the child, or why there is none")     \
	X(REVOKE, revoke, 14, CLEANUP, CONTROL, NONE, "kill a child and what descends from it")     \
	X(REVOKE_DONE, revoke_done, 15, ANSWER, CONTROL, NONE, "it is dead, and drained if asked")  \
	X(PROCESS_GONE, process_gone, 16, CLEANUP, CONTROL, NONE, "kill the children it made")      \
	X(CHILD_GONE, child_gone, 17, ANSWER, CONTROL, NONE, "a child of yours died otherwise")     \
	X(WATCH, watch, 18, CLEANUP, CONTROL, NONE, "tell when an object of yours dies")            \
	X(FIRED, fired, 19, ANSWER, CONTROL, NONE, "the watched object died, and why")              \
	X(UNWATCH, unwatch, 20, CLEANUP, CONTROL, NONE, "no one waits for it any more")             \
	X(HOLD, hold, 21, REFERENCE, CONTROL, NONE, "a tracked child is held here")                 \
	X(HELD, held, 22, ANSWER, CONTROL, NONE, "the registration of a HOLD, or its refusal")      \
	X(RELEASE, release, 23, REFERENCE, CONTROL, NONE, "a tracked child is held here no more")   \
	X(PASSED, passed, 24, ANSWER, CONTROL, NONE, "tracked references that came are registered") \
	X(NONE, none, 25, ANSWER, CONTROL, NONE, "no one holds the tracked child any more")

/* Capabilities in ARGS of COPY: FOS_NEXT is `then`, WIRE_COPY_DST and WIRE_COPY_SRC the two sides.
 */
#define WIRE_MESSAGE_COPY(F) \
	F(u64, copy, ANY) F(u64, trace, ANY) F(u64, span, ANY) F(u64, time_left, ANY)
/* offset: of this slice in the copy; after the table of arguments (in every slice, with entries
 * only in the first) come `length` bytes, not padded: the only message whose size need not be a
 * multiple of 8. Without `then`, the end is told to node `asker` (its
 * epoch asker_epoch, its number of the copy in `copy`). stream: the sender's number of this
 * transfer. base: offset in the object; total: bytes of the whole copy. status: not OK in a
 * last slice without bytes, by which the source's owner gives the copy up. */
#define WIRE_MESSAGE_DATA(F)                                                             \
	F(u64, stream, ANY)                                                                  \
	F(u64, copy, ANY) F(u64, asker_epoch, ANY) F(u64, trace, ANY) F(u64, span, ANY)      \
		F(u64, time_left, ANY) F(u64, epoch, ANY) F(u64, serial, ANY) F(u64, base, ANY)  \
			F(u64, total, ANY) F(u64, offset, ANY) F(u32, index, ANY) F(u32, asker, ANY) \
				F(u32, length, MAX(262144)) F(u8, first, BOOL) F(u8, last, BOOL)         \
					F(u8, has_then, BOOL) F(u8, status, STATUS)
/* order: rises by one with each invocation that the sender hands to this session; retry: sent again
 * after ROOM; more: with a retry, how many the sender has parked for this target besides those that
 * were bounced. exception: a struct wire_exception and detail come first in the tail.
 * BOUNCE names an invocation by its order; the sender still has it, so no arguments come back.
 * refused: why it is not to come again, and on_error is to be told; OK: it waits for a ROOM. */
#define WIRE_INVOCATION(F)                                                              \
	F(u64, epoch, ANY)                                                                  \
	F(u64, serial, ANY) F(u64, trace, ANY) F(u64, span, ANY) F(u64, time_left, ANY)     \
		F(u64, order, ANY) F(u32, index, ANY) F(u8, retry, BOOL) F(u8, exception, BOOL) \
			F(u16, more, ANY)
#define WIRE_MESSAGE_INVOKE(F) WIRE_INVOCATION(F)
#define WIRE_MESSAGE_ERROR(F)  WIRE_INVOCATION(F)
#define WIRE_MESSAGE_BOUNCE(F)                                                          \
	F(u64, epoch, ANY)                                                                  \
	F(u64, serial, ANY) F(u64, trace, ANY) F(u64, span, ANY) F(u64, time_left, ANY)     \
		F(u64, order, ANY) F(u32, index, ANY) F(u8, retry, BOOL) F(u8, exception, BOOL) \
			F(u16, refused, STATUS)
#define WIRE_MESSAGE_ROOM(F) \
	F(u64, epoch, ANY) F(u64, serial, ANY) F(u32, index, ANY) F(u32, count, MIN1)
#define WIRE_MESSAGE_COPY_DONE(F) \
	F(u64, copy, ANY) F(u64, epoch, ANY) F(u32, status, STATUS) F(u32, zero, ZERO)
#define WIRE_MESSAGE_DATA_STOP(F) F(u64, stream, ANY) F(u32, status, STATUS) F(u32, zero, ZERO)
#define WIRE_MESSAGE_CREDIT(F)
#define WIRE_MESSAGE_HEARTBEAT(F) F(u64, sent, ANY) F(u64, echo, ANY)
#define WIRE_MESSAGE_REGISTRY(F) \
	F(u64, epoch, ANY) F(u64, serial, ANY) F(u64, version, ANY) F(u32, node, ANY) F(u32, index, ANY)
/* call: the asker's number, in the answer. The named object's owner is who is asked; process: the
 * maker's serial at the asker. */
#define WIRE_MESSAGE_CHILD(F)                                                     \
	F(u64, call, ANY)                                                             \
	F(u64, epoch, ANY) F(u64, serial, ANY) F(u32, index, ANY) F(u32, process, ANY) \
		F(u8, tracked, BOOL) F(u8, zero8, ZERO) F(u16, zero16, ZERO) F(u32, zero, ZERO)
#define WIRE_MESSAGE_CHILD_DONE(F) \
	F(u64, call, ANY) F(u64, serial, ANY) F(u32, index, ANY) F(u32, status, STATUS)
#define WIRE_MESSAGE_REVOKE(F)                                                        \
	F(u64, call, ANY)                                                                 \
	F(u64, epoch, ANY) F(u64, serial, ANY) F(u64, time_left, ANY) F(u32, index, ANY)   \
		F(u32, process, ANY) F(u8, drain, BOOL) F(u8, zero8, ZERO) F(u16, zero16, ZERO) \
			F(u32, zero, ZERO)
#define WIRE_MESSAGE_REVOKE_DONE(F)  F(u64, call, ANY) F(u32, status, STATUS) F(u32, zero, ZERO)
#define WIRE_MESSAGE_PROCESS_GONE(F) F(u32, process, ANY) F(u32, zero, ZERO)
#define WIRE_MESSAGE_CHILD_GONE(F)   F(u64, serial, ANY) F(u32, index, ANY) F(u32, zero, ZERO)
/* monitor: the watcher's number, in FIRED and UNWATCH. gone: enum fos_gone. */
#define WIRE_MESSAGE_WATCH(F) \
	F(u64, monitor, ANY)      \
	F(u64, epoch, ANY) F(u64, serial, ANY) F(u32, index, ANY) F(u32, process, ANY)
#define WIRE_MESSAGE_FIRED(F)   F(u64, monitor, ANY) F(u32, gone, MAX(5)) F(u32, zero, ZERO)
#define WIRE_MESSAGE_UNWATCH(F) F(u64, monitor, ANY)
/* number: of the registration, counted by the child's owner. PASSED: `count` entries of this ref
 * in messages have become registered holdings of the sender of PASSED, the newest by `number`; 0:
 * they were not kept; all ones: the child is dead. NONE: when `number` registrations were made, no one but the maker's node was
 * left. */
#define WIRE_MESSAGE_HOLD(F) \
	F(u64, epoch, ANY) F(u64, serial, ANY) F(u32, index, ANY) F(u32, zero, ZERO)
#define WIRE_MESSAGE_HELD(F) \
	F(u64, serial, ANY) F(u64, number, ANY) F(u32, index, ANY) F(u32, status, STATUS)
#define WIRE_MESSAGE_RELEASE(F) WIRE_MESSAGE_HOLD(F)
#define WIRE_MESSAGE_PASSED(F)                                                     \
	F(u64, epoch, ANY)                                                             \
	F(u64, serial, ANY) F(u64, number, ANY) F(u32, node, ANY) F(u32, index, ANY)    \
		F(u32, count, MIN1) F(u32, zero, ZERO)
#define WIRE_MESSAGE_NONE(F) \
	F(u64, serial, ANY) F(u64, number, ANY) F(u32, index, ANY) F(u32, zero, ZERO)

/* ------------------------------------------------------------------ the attach dialogue
 * One SOCK_SEQPACKET packet each. Header: struct wire_record (cookie 0). ATTACH first; then
 * CHANNEL, SEGMENT, CLOSE and DEVICE as often as wanted, one at a time: the answer comes before the
 * next is sent. DEVICE carries one descriptor: a description of its own of a file whose flock the
 * Process holds as long as it may do I/O on the device behind it. Answers carry descriptors as ancillary data: OPENED a memfd with the two rings and two
 * doorbells, an eventfd that the Process writes and a descriptor that it only reads (8 bytes a
 * ring; a pipe's end, for whoever shares an eventfd can make its other writers block); MAPPED a
 * memfd. A refusal carries none. */
#define WIRE_ATTACHES(X)                                                      \
	X(ATTACH, attach, 128, NONE, "a Process introduces itself")               \
	X(ATTACHED, attached, 129, NONE, "welcome, or the status of the refusal") \
	X(CHANNEL, channel, 130, NONE, "a channel, please")                       \
	X(OPENED, opened, 131, NONE, "a channel's rings and doorbells")           \
	X(SEGMENT, segment, 132, NONE, "a segment of arena, please")              \
	X(MAPPED, mapped, 133, NONE, "a segment's descriptor")                    \
	X(CLOSE, close, 134, NONE, "a channel is not used any more")              \
	X(CLOSED, closed, 135, NONE, "the channel is gone")                       \
	X(DEVICE, device, 136, NONE, "a device is held, by this file's lock")     \
	X(DEVICE_DONE, device_done, 137, NONE, "its lock will be waited for")

#define WIRE_ATTACH_ATTACH(F) F(u32, version, ANY) F(u32, zero, ZERO) F(label, label, LABEL)
#define WIRE_ATTACH_ATTACHED(F)                                                      \
	F(u32, version, ANY)                                                             \
	F(u32, status, STATUS) F(u64, epoch, ANY) F(u32, node, ANY) F(u32, process, ANY) \
		F(label, node_name, LABEL)
#define WIRE_ATTACH_CHANNEL(F)
#define WIRE_ATTACH_OPENED(F)  F(u32, status, STATUS) F(u32, channel, ANY) F(u64, ring_bytes, ANY)
#define WIRE_ATTACH_SEGMENT(F) F(u64, length, ANY)
#define WIRE_ATTACH_MAPPED(F)  F(u32, status, STATUS) F(u32, segment, ANY) F(u64, length, ANY)
#define WIRE_ATTACH_CLOSE(F)   F(u32, channel, ANY) F(u32, zero, ZERO)
#define WIRE_ATTACH_CLOSED(F)  F(u32, status, STATUS) F(u32, zero, ZERO)
#define WIRE_ATTACH_DEVICE(F)
#define WIRE_ATTACH_DEVICE_DONE(F) F(u32, status, STATUS) F(u32, zero, ZERO)

#endif
