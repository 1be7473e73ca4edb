/* Known bugs, to prove that the simulator sees them. PLANTED(name) is false in every build that is
 * used; with FRACTOS_PLANTS, which only `fractos-sim --plant` is built with, it asks whether this
 * one is chosen.
 *
 * X(name, guarantees of docs/guarantees.md that it breaks, file, what it does) */
#ifndef FRACTOS_CORE_PLANT_H
#define FRACTOS_CORE_PLANT_H

#include <stdbool.h>

/* clang-format off */
#define CORE_PLANTS(X)                                                                              \
	X(revoke_early, "G1", "revoke.c", "revoke answers before slices under way have ended")         \
	X(drain_early, "G1", "revoke.c", "DRAIN does not wait for open deliveries")                    \
	X(kill_one, "G1", "object.c", "a kill leaves the children alive")                              \
	X(skip_generation, "G2 G8", "table.c", "an old slot name names the slot's new content")        \
	X(overlap, "G3", "value.c", "refine overwrites a bound capability")                            \
	X(widen, "G3", "memory.c", "diminish gives all rights")                                        \
	X(client_space, "G4 G5", "delivery.c", "arguments become slots of the client's space")         \
	X(orphans, "G6 G18", "child.c", "children outlive the Process that made them")                 \
	X(refund_object, "G6 G9", "object.c", "a dead object stays charged")                           \
	X(refund_slot, "G6 G9", "space.c", "a closed slot stays charged")                              \
	X(refund_values, "G6 G9", "space.c", "a closed slot's bytes stay charged")                     \
	X(skip_epoch, "G7", "object.c", "a capability of an earlier life finds the present object")    \
	X(skip_serial, "G8", "object.c", "a dead capability finds the index's next object")            \
	X(no_quota, "G9", "object.c", "objects are made beyond the limit")                             \
	X(padding, "G10", "delivery.c", "padding of a record is what was there before")                \
	X(complete_twice, "G11", "copy.c", "a copy completes twice")                                   \
	X(deliver_twice, "G12", "inbox.c", "a retried invocation is delivered twice")                  \
	X(bounce_order, "G12", "park.c", "bounced invocations are retried in the wrong order")         \
	X(once_lost, "G12", "once.c", "the deadline of a ONCE Request passes without a word")          \
	X(once_twice, "G12", "once.c", "a ONCE Request is not consumed by its delivery")               \
	X(exception_lost, "G12", "invoke.c", "nobody is told of an invocation that failed")            \
	X(refusal_untold, "G12", "invoke.c", "nobody is told of an invocation that the owner refused") \
	X(failure_untold, "G12", "delivery.c", "nobody is told that a provider failed")                \
	X(time_anew, "G12", "invoke.c", "an invocation that crosses a link has the default time again") \
	X(time_lost, "G12", "copy_send.c", "a copy's continuation has the default time again")         \
	X(monitor_twice, "G13", "watch.c", "a monitor fires twice")                                    \
	X(monitor_never, "G13", "watch.c", "a death fires no monitor")                                 \
	X(release_early, "G13 G18", "tracked.c", "RELEASE is sent before HOLD is confirmed")           \
	X(passed_early, "G13", "tracked.c", "PASSED is sent before the registration")                  \
	X(release_never, "G13 G18", "tracked.c", "a holder never says that it let go")                 \
	X(none_lost, "G13", "tracked.c", "the maker is not told that no other node holds its child")   \
	X(held_lost, "G13 G18", "tracked.c", "HELD is answered without a registration")                \
	X(lose_all, "G18", "tracked.c", "a session's end loses the tracked children of all owners")    \
	X(revoke_hangs, "G14", "revoke.c", "a revoke whose session ended is forgotten")                \
	X(refund_child, "G9", "object.c", "a dead child of a peer's Process stays charged")            \
	X(wake_lost, "G15", "delivery.c", "the end of a delivery makes room for nobody")               \
	X(credit_lost, "G15 G18", "session.c", "credits of invocations are not returned")              \
	X(room_lost, "G15", "inbox.c", "the sender of a parked invocation hears of no room")           \
	X(dead_peer, "G16", "session.c", "a peer that does not answer is never given up")              \
	X(late_echo, "G14 G16", "session.c", "an echo counts from when it came, however late")         \
	X(old_session, "G17", "session.c", "a peer's new session goes on with the old one's state")    \
	X(children_stay, "G17 G18", "child.c", "children outlive the session of their maker's node")
/* clang-format on */

#ifdef FRACTOS_PLANTS
enum core_plant {
	CORE_PLANT_NONE,
#define PLANT(name, guarantee, file, text) CORE_PLANT_##name,
	CORE_PLANTS(PLANT)
#undef PLANT
};
extern enum core_plant core_planted;
#define PLANTED(name) (__builtin_expect(core_planted == CORE_PLANT_##name, false))
#else
#define PLANTED(name) false
#endif

#endif
