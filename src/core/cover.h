/* The transitions of the core's state tables, counted: the simulator and tests print which were
 * taken. A counter lies in struct core and costs one increment where something is moved anyway.
 *
 * X(name, table, transition) */
#ifndef FRACTOS_CORE_COVER_H
#define FRACTOS_CORE_COVER_H

/* clang-format off */
#define CORE_COVER_TABLE(X)                                                  \
	X(inv_deliver, "invocation", "submitted -> delivered here")              \
	X(inv_wait, "invocation", "submitted -> waits at the owner")             \
	X(inv_post, "invocation", "submitted -> in flight")                      \
	X(inv_queue, "invocation", "submitted -> queued for a credit")           \
	X(inv_unqueue, "invocation", "queued -> in flight")                      \
	X(inv_unsent, "invocation", "queued -> refused when it could leave")     \
	X(inv_handled, "invocation", "in flight -> gone with its credit")        \
	X(inv_park, "invocation", "in flight -> bounced, parked")                \
	X(inv_append, "invocation", "submitted -> parked behind others")         \
	X(inv_gather, "invocation", "queued -> parked behind others")            \
	X(inv_retry, "invocation", "parked -> sent again")                       \
	X(inv_unused, "invocation", "place kept -> passed on or given back")     \
	X(inv_lost, "invocation", "arrived -> refused unread, no memory")        \
	X(inv_refused, "invocation", "in flight -> came back refused")           \
	X(inv_expire, "invocation", "waiting -> time over")                      \
	X(inv_fail, "invocation", "waiting or in flight -> failed")              \
	X(inbox_bounce, "inbox", "arrived -> bounced")                           \
	X(inbox_grant, "inbox", "waiting source -> place kept, ROOM")            \
	X(inbox_retry, "inbox", "place kept -> delivered")                       \
	X(inbox_return, "inbox", "place kept -> given back")                     \
	X(inbox_lost, "inbox", "place kept -> free, the retry is lost")          \
	X(inbox_refuse, "inbox", "waiting source -> object died")                \
	X(once_reserve, "once", "none -> reserved")                              \
	X(once_arrive, "once", "reserved -> consumed by an arrival")             \
	X(once_expire, "once", "reserved -> consumed by its deadline")           \
	X(once_quota, "once", "reserved -> exception instead of the arrival")    \
	X(delivery_continue, "delivery", "open -> continued")                    \
	X(delivery_refused, "delivery", "open -> open, continue refused")        \
	X(delivery_fail, "delivery", "open -> failed")                           \
	X(delivery_finish, "delivery", "open -> finished")                       \
	X(delivery_left, "delivery", "open -> remains of a dead provider")       \
	X(remains_free, "delivery", "remains -> gone, devices are free")         \
	X(copy_here, "copy", "asked -> moving inside the node")                  \
	X(copy_there, "copy", "asked -> sending to another node")                \
	X(copy_ask, "copy", "asked -> COPY to the source's owner")               \
	X(copy_sent, "copy", "all sent -> object dies, bytes still under way")                      \
	X(copy_abort, "copy", "sending -> given up, destination told")           \
	X(copy_end, "copy", "sending -> ended early")                            \
	X(copy_begin, "copy", "none -> receiving")                               \
	X(copy_landed, "copy", "receiving -> landed")                            \
	X(copy_stop, "copy", "receiving -> refused, source stopped")             \
	X(child_here, "child", "none -> alive, maker here")                      \
	X(child_there, "child", "none -> alive, maker elsewhere")                \
	X(child_lent, "child", "asked -> named by its owner")                    \
	X(child_taken_back, "child", "asked -> made in vain, taken back")        \
	X(child_told, "child", "dead -> its maker told")                         \
	X(object_kill, "child", "alive -> dead, with its subtree")               \
	X(object_free, "child", "dead -> freed")                                 \
	X(revoke_now, "revoke", "asked -> quiet at once")                        \
	X(revoke_wait, "revoke", "asked -> waits for slices or deliveries")      \
	X(revoke_settle, "revoke", "waits -> quiet")                             \
	X(revoke_ask, "revoke", "asked -> sent to the owner")                    \
	X(revoke_lost, "revoke", "sent -> session over")                         \
	X(hold_queue, "tracked", "idle -> HOLD queued")                          \
	X(hold_drop, "tracked", "HOLD queued -> idle")                           \
	X(hold_sent, "tracked", "HOLD queued -> sent")                           \
	X(held, "tracked", "HOLD sent -> registered")                            \
	X(held_dead, "tracked", "HOLD sent -> the child is dead")                \
	X(release_queue, "tracked", "registered -> RELEASE queued")              \
	X(release_undo, "tracked", "RELEASE queued -> registered")               \
	X(release_sent, "tracked", "RELEASE queued -> idle")                     \
	X(tracked_lost, "tracked", "any -> lost with its owner's session")       \
	X(fired_maker, "tracked", "held once -> fires, owner elsewhere")         \
	X(fired_owner, "tracked", "held once -> fires, owner here")              \
	X(watch_here, "monitor", "none -> watches here")                         \
	X(watch_there, "monitor", "none -> WATCH to the owner")                  \
	X(watch_fire, "monitor", "watches -> fired")                             \
	X(watch_cancel, "monitor", "watches -> cancelled with its slot")         \
	X(session_up, "session", "none -> up")                                   \
	X(session_replace, "session", "up -> replaced by a new one")             \
	X(session_gone, "session", "up -> gone")                                 \
	X(session_break, "session", "up -> ending")                              \
	X(credit_alone, "session", "half of a class due -> CREDIT")              \
	X(memory_refused, "memory", "asked for -> refused")                      \
	X(memory_reserve, "memory", "used up -> out of the reserve")
/* clang-format on */

enum core_cover {
#define CORE_COVER_ENUM(name, table, text) COVER_##name,
	CORE_COVER_TABLE(CORE_COVER_ENUM)
#undef CORE_COVER_ENUM
		COVER_COUNT
};

#define CORE_COVER(core, name) ((core)->cover[COVER_##name]++)

#endif
