/* Tracked children: who holds one, and when its maker hears that nobody does.
 *
 *     M  the maker's Controller        B  the owner's Controller
 *     C, D  any others, which may come to hold the child
 *
 *     sender              receiver              owner B                maker M
 *       | value               |                    |                      |
 *       |-------------------->| HOLD               |                      |
 *       | keeps its own       |------------------->| ++registrations      |
 *       | reference           |<-------------------| HELD(number)         |
 *       |<--------------------| PASSED(number)     |                      |
 *       |                     | RELEASE            |                      |
 *       |                     |------------------->| nobody: NONE(number) |
 *       |                     |                    |--------------------->| fires?
 *       |                     |                    |<---------------------| REVOKE
 *       |                     |                    | dead: DONE           |
 *       |                     |                    |--------------------->| UNHELD
 *
 * M fires when nothing of the child is held, queued or in transit at M itself, and the newest NONE
 * is no older than every registration that a PASSED told it of. A use of it, or a child made of it,
 * keeps its user registered until the owner has handled the use, or the child is dead.
 *
 * Each kind of message travels on its own: values wait for credits of INVOKE, HOLD and RELEASE for
 * those of REFERENCE, answers for none, so no order holds between kinds. The one order that is
 * relied on is that of HOLD and RELEASE of one sender, and of HELD of one receiver.
 *
 * Everything is bounded (SENDS values, ENDS broken sessions, USES uses, CHILDREN children), so every
 * run comes to an end where nothing is left to do; `quiet` looks at that end. What must happen
 * sometime has happened there: so "fires if all let go" needs no fairness beyond "whatever can go
 * on goes on".
 *
 * The names behind -D that break something are listed in README.md. */

#ifndef SENDS
#define SENDS 3
#endif
#ifndef ENDS
#define ENDS 0
#endif
#ifndef USES
#define USES 0
#endif
#ifndef CHILDREN
#define CHILDREN 0
#endif
#ifndef NODES
#define NODES 4
#endif

#define M 0
#define B 1
#define AT(x, y) ((x) * NODES + (y))

mtype = { HOLD, RELEASE };

/* What travels. Values are all alike: they are counted. */
byte value[NODES * NODES];
byte use[NODES];     /* invocations through the child, to the owner */
byte handled[NODES]; /* their credits, back from the owner */
chan reference[NODES] = [2 * SENDS] of { mtype };
chan held_answer[NODES] = [SENDS] of { byte, bit };     /* number, alive */
chan passed[NODES * NODES] = [SENDS] of { byte, byte }; /* number, count */
chan none = [SENDS + 1] of { byte };
bit revoke_asked, revoke_done;
bit child_asked[NODES], child_answered[NODES], child_made[NODES], child_revoked[NODES], child_gone[NODES];

/* What a Controller knows. */
bit up[NODES * NODES] = 1;       /* x's own view of its session with y */
bit others[NODES];               /* held here by others than the maker's plain slots */
byte transit[NODES * NODES];     /* sent from x to y, not yet answered by PASSED */
byte owed[NODES * NODES];        /* PASSED that x owes y */
byte uses_of[NODES];             /* uses that the owner has not handled yet */
bit registered[NODES];
byte awaited[NODES];             /* HELDs under way to x */
byte number[NODES];              /* x's registration, from HELD */
bit calling[NODES], lent[NODES]; /* a CHILD call under way; a child made from here lives */

/* The owner. */
bit dead;
byte told; /* the number of the last NONE: nobody comes to have it again without another */
bit holder[NODES], child[NODES];
byte registrations;

/* The maker. */
bit armed, monitored, taken_as_dead;
byte newest_none, highest_passed;
byte completions; /* of the monitor, whatever it says */
bit unheld;       /* it completed with UNHELD */
bit fired, closed; /* the maker's Controller fired; the maker revoked */

/* Budgets, and what the claims look at. */
byte sends, ends, uses, children, reconnects;
byte i; /* of loops; always 0 between steps */

#define SENT_ON(x) (transit[AT(x, 0)] || transit[AT(x, 1)] || transit[AT(x, 2)] || transit[AT(x, NODES - 1)])
#ifdef LENT_FORGETS
#define DERIVED(x) false
#else
#define DERIVED(x) (calling[x] || lent[x])
#endif
#ifdef USES_FORGOTTEN
#define USED(x) false
#else
#define USED(x) (uses_of[x] > 0)
#endif
#define KEPT(x) (others[x] || SENT_ON(x) || DERIVED(x) || USED(x))

#define COMING(x) (value[AT(x, 0)] || value[AT(x, 1)] || value[AT(x, 2)] || value[AT(x, NODES - 1)])
#define HELD_AT(x) (others[x] || child[x] || calling[x] || COMING(x))
#define HELD_BY_ANYBODY (HELD_AT(0) || HELD_AT(1) || HELD_AT(2) || HELD_AT(NODES - 1))
#define HOLDERS (holder[0] || holder[2] || holder[NODES - 1])
#define CHILD_ALIVE (child[0] || child[1] || child[2] || child[NODES - 1])

/* ------------------------------------------------------------------ the end of a step */

/* C and D: register, release, and pay what is owed once the registration is confirmed. */
inline settle(me)
{
	if
	:: KEPT(me) && !registered[me] && up[AT(me, B)] ->
		registered[me] = 1;
		awaited[me]++;
		assert(nfull(reference[me]));
		reference[me]!HOLD
#ifdef RELEASE_EARLY
	:: !KEPT(me) && registered[me] ->
#else
	:: !KEPT(me) && registered[me] && awaited[me] == 0 ->
#endif
		registered[me] = 0;
		assert(nfull(reference[me]));
		reference[me]!RELEASE
	:: else
	fi;
	if
#ifdef PASSED_EARLY
	:: true ->
#else
	:: awaited[me] == 0 ->
#endif
		pay(me, number[me])
	:: else
	fi
}

inline pay(me, with)
{
	i = 0;
	do
	:: i < NODES ->
		if
		:: owed[AT(me, i)] > 0 ->
			assert(nfull(passed[AT(me, i)]));
			passed[AT(me, i)]!with, owed[AT(me, i)];
			owed[AT(me, i)] = 0
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

#define NOBODY (!HOLDERS && !KEPT(B) && !CHILD_ALIVE)
inline settle_owner()
{
	if
#ifdef NONE_ONCE
	:: !dead && told == 0 && registrations > 0 && NOBODY ->
#else
	:: !dead && told < registrations && NOBODY ->
#endif
		told = registrations;
		if
		:: up[AT(B, M)] -> assert(nfull(none)); none!registrations
		:: else
		fi
	:: else
	fi
}

inline settle_any(me)
{
	if
	:: me == B -> settle_owner()
	:: me > B -> settle(me)
	:: else
	fi
}

/* ------------------------------------------------------------------ sessions */

inline forget(from, to)
{
	value[AT(from, to)] = 0;
	do
	:: nempty(passed[AT(from, to)]) -> passed[AT(from, to)]?_,_
	:: empty(passed[AT(from, to)]) -> break
	od
}

/* What was under way from the owner to x, and from x to the owner. */
inline forget_holder(x)
{
	handled[x] = 0;
	child_answered[x] = 0;
	child_made[x] = 0;
	child_gone[x] = 0;
	do
	:: nempty(held_answer[x]) -> held_answer[x]?_,_
	:: empty(held_answer[x]) -> break
	od
}

inline forget_owner(x)
{
	use[x] = 0;
	child_asked[x] = 0;
	child_revoked[x] = 0;
	do
	:: nempty(reference[x]) -> reference[x]?_
	:: empty(reference[x]) -> break
	od
}

/* The owner is out of reach: the record is lost. Its plain slots are dropped. What is bound
 * elsewhere stays, but is refused here: to the rest of the cluster it is gone. */
inline lose(me)
{
	registered[me] = 0;
	awaited[me] = 0;
	number[me] = 0;
	calling[me] = 0;
	lent[me] = 0;
	uses_of[me] = 0;
	forget_holder(me);
	others[me] = 0;
	pay(me, 0)
}

inline owner_lost(y)
{
	holder[y] = 0;
	child[y] = 0;
	forget_owner(y);
	if
	:: y == M -> dead = 1; revoke_asked = 0
	:: else
	fi
}

/* The maker hears no more of the child; at the owner it dies with the session. */
inline maker_lost()
{
	if
	:: monitored && completions == 0 -> completions++
	:: else
	fi;
	taken_as_dead = 1;
	revoke_done = 0;
	others[M] = 0;
	calling[M] = 0;
	lent[M] = 0;
	forget_holder(M);
	do
	:: nempty(none) -> none?_
	:: empty(none) -> break
	od
}

/* Both sides know of the end before there is a new session; nothing of the old one is accepted. */
inline reconnect(me, y)
{
	reconnects++;
#ifndef OLD_SESSION
	forget(me, y);
	forget(y, me);
	if
	:: y == B -> forget_owner(me); forget_holder(me)
	:: else
	fi;
#endif
	up[AT(me, y)] = 1;
	up[AT(y, me)] = 1
}

inline session_end(me, y)
{
	up[AT(me, y)] = 0;
	forget(y, me);
	transit[AT(me, y)] = 0;
	owed[AT(me, y)] = 0;
	if
	:: me == B -> owner_lost(y)
	:: me == M && y == B -> maker_lost()
	:: me > B && y == B -> lose(me)
	:: else
	fi;
	settle_any(me)
}

/* ------------------------------------------------------------------ every Controller */

#define MAY_SEND(me, to) (me != to && sends < SENDS && up[AT(me, to)])

/* A value goes to another Controller; the reference stays until PASSED. */
inline send_value(me, to)
{
	sends++;
	value[AT(me, to)]++;
#ifndef FORGET_TRANSIT
	transit[AT(me, to)]++
#endif
}

inline receive_passed(me, from)
{
	passed[AT(from, me)]?with, count;
#ifndef FORGET_TRANSIT
	transit[AT(me, from)] = transit[AT(me, from)] - count;
#endif
	if
	:: me == M && with > highest_passed -> highest_passed = with
	:: else
	fi;
	with = 0;
	count = 0
}

#define PASSED_TO(me, from) (up[AT(me, from)] && nempty(passed[AT(from, me)]))
#define VALUE_TO(me, from) (value[AT(from, me)] > 0 && up[AT(me, from)])

/* ------------------------------------------------------------------ C and D */

inline receive_value(me, from)
{
	value[AT(from, me)]--;
	owed[AT(me, from)]++;
	if
	:: up[AT(me, B)] -> others[me] = 1; settle(me)
	:: else -> pay(me, 0)
	fi
}

inline receive_held(me)
{
	held_answer[me]?with, alive;
	awaited[me]--;
	if
	:: alive -> number[me] = with
	:: else -> number[me] = 0; others[me] = 0
	fi;
#ifdef RELEASE_EARLY
	pay(me, number[me]);
#endif
	settle(me);
	with = 0;
	alive = 0
}

#define OTHER(me) (5 - (me)) /* of C and D */

proctype holder_node(byte me)
{
	byte with, count;
	bit alive;
end:
	do
	:: d_step { VALUE_TO(me, M) -> receive_value(me, M) }
	:: d_step { VALUE_TO(me, B) -> receive_value(me, B) }
	:: d_step { others[me] && MAY_SEND(me, M) && up[AT(me, B)] -> send_value(me, M); settle(me) }
	:: d_step { others[me] && MAY_SEND(me, B) && up[AT(me, B)] -> send_value(me, B); settle(me) }
	:: d_step { others[me] -> others[me] = 0; settle(me) }
	:: d_step { PASSED_TO(me, B) -> receive_passed(me, B); settle(me) }
	:: d_step { PASSED_TO(me, M) -> receive_passed(me, M); settle(me) }
#if NODES > 3
	:: d_step { VALUE_TO(me, OTHER(me)) -> receive_value(me, OTHER(me)) }
	:: d_step { others[me] && MAY_SEND(me, OTHER(me)) && up[AT(me, B)] ->
		send_value(me, OTHER(me)); settle(me) }
	:: d_step { PASSED_TO(me, OTHER(me)) -> receive_passed(me, OTHER(me)); settle(me) }
#endif
	:: d_step { nempty(held_answer[me]) && up[AT(me, B)] -> receive_held(me) }
#if USES > 0
	:: d_step { others[me] && uses < USES && up[AT(me, B)] -> uses++; use[me]++; uses_of[me]++ }
	:: d_step { handled[me] > 0 && up[AT(me, B)] -> handled[me]--; uses_of[me]--; settle(me) }
#endif
#if CHILDREN > 0
	:: d_step { others[me] && children < CHILDREN && up[AT(me, B)] ->
		children++; calling[me] = 1; child_asked[me] = 1; settle(me) }
	:: d_step { child_answered[me] && up[AT(me, B)] ->
		child_answered[me] = 0; calling[me] = 0; lent[me] = child_made[me]; settle(me) }
	:: d_step { lent[me] && !child_revoked[me] && up[AT(me, B)] -> child_revoked[me] = 1 }
	:: d_step { child_gone[me] && up[AT(me, B)] -> child_gone[me] = 0; lent[me] = 0; settle(me) }
#endif
#if ENDS > 0
	:: d_step { up[AT(me, B)] && (ends < ENDS || !up[AT(B, me)]) ->
		ends = ends + (up[AT(B, me)] -> 1 : 0); session_end(me, B) }
	:: d_step { up[AT(me, M)] && (ends < ENDS || !up[AT(M, me)]) ->
		ends = ends + (up[AT(M, me)] -> 1 : 0); session_end(me, M) }
	:: d_step { !up[AT(me, B)] && !up[AT(B, me)] && reconnects < ENDS ->
		reconnect(me, B); settle(me) }
	:: d_step { !up[AT(me, M)] && !up[AT(M, me)] && reconnects < ENDS ->
		reconnect(me, M) }
#endif
	od
}

/* ------------------------------------------------------------------ the owner */

inline owner_value(from)
{
	value[AT(from, B)]--;
#ifndef OWNER_UNNUMBERED
	if
	:: !dead && !KEPT(B) -> registrations++
	:: else
	fi;
#endif
	if
	:: !dead -> others[B] = 1
	:: else
	fi;
	assert(nfull(passed[AT(B, from)]));
	passed[AT(B, from)]!(dead -> 0 : registrations), 1;
	settle_owner()
}

inline owner_reference(x)
{
	reference[x]?kind;
	if
	:: kind == HOLD && !dead ->
		registrations++;
		holder[x] = 1;
		assert(nfull(held_answer[x]));
		held_answer[x]!registrations, 1
	:: kind == HOLD && dead -> assert(nfull(held_answer[x])); held_answer[x]!0, 0
#ifndef RELEASE_FORGOTTEN
	:: kind == RELEASE -> holder[x] = 0
#else
	:: kind == RELEASE
#endif
	fi;
	settle_owner();
	kind = 0
}

/* An invocation through the child: the owner decides. */
inline owner_use(x)
{
	use[x]--;
	handled[x]++;
	if
	:: !dead ->
		assert(!unheld); /* claim: after UNHELD no delivery */
		assert(!closed)  /* claim: after revoke said OK no delivery */
	:: else ->
		assert(!fired || ends > 0) /* claim: no use is refused by a firing, unless a session ended */
	fi
}

inline owner_kill()
{
	dead = 1;
	others[B] = 0;
	child[0] = 0; child[1] = 0; child[2] = 0; child[NODES - 1] = 0
}

inline owner_child(x)
{
	child_asked[x] = 0;
	child_made[x] = !dead;
	child[x] = !dead;
	child_answered[x] = 1;
	settle_owner()
}

inline owner_child_revoke(x)
{
	child_revoked[x] = 0;
	child[x] = 0;
	child_gone[x] = 1;
	settle_owner()
}

proctype owner()
{
	byte with, count;
	mtype kind;
	bit dying;
end:
	do
	:: d_step { VALUE_TO(B, M) -> owner_value(M) }
	:: d_step { VALUE_TO(B, 2) -> owner_value(2) }
	:: d_step { nempty(reference[2]) && up[AT(B, 2)] -> owner_reference(2) }
	:: d_step { others[B] && MAY_SEND(B, 2) -> send_value(B, 2); settle_owner() }
	:: d_step { others[B] && MAY_SEND(B, M) -> send_value(B, M); settle_owner() }
	:: d_step { others[B] -> others[B] = 0; settle_owner() }
	:: d_step { PASSED_TO(B, M) -> receive_passed(B, M); settle_owner() }
	:: d_step { PASSED_TO(B, 2) -> receive_passed(B, 2); settle_owner() }
	:: d_step { use[2] > 0 && up[AT(B, 2)] -> owner_use(2) }
#if NODES > 3
	:: d_step { VALUE_TO(B, 3) -> owner_value(3) }
	:: d_step { nempty(reference[3]) && up[AT(B, 3)] -> owner_reference(3) }
	:: d_step { others[B] && MAY_SEND(B, 3) -> send_value(B, 3); settle_owner() }
	:: d_step { PASSED_TO(B, 3) -> receive_passed(B, 3); settle_owner() }
	:: d_step { use[3] > 0 && up[AT(B, 3)] -> owner_use(3) }
#endif
#ifdef DONE_BEFORE_DEAD
	:: d_step { revoke_asked && up[AT(B, M)] -> revoke_asked = 0; dying = 1; revoke_done = 1 }
	:: d_step { dying -> dying = 0; owner_kill() }
#else
	:: d_step { revoke_asked && up[AT(B, M)] ->
		revoke_asked = 0; owner_kill(); revoke_done = 1 }
#endif
#if CHILDREN > 0
	:: d_step { child_asked[M] && up[AT(B, M)] -> owner_child(M) }
	:: d_step { child_asked[2] && up[AT(B, 2)] -> owner_child(2) }
	:: d_step { child_revoked[M] && up[AT(B, M)] -> owner_child_revoke(M) }
	:: d_step { child_revoked[2] && up[AT(B, 2)] -> owner_child_revoke(2) }
#if NODES > 3
	:: d_step { child_asked[3] && up[AT(B, 3)] -> owner_child(3) }
	:: d_step { child_revoked[3] && up[AT(B, 3)] -> owner_child_revoke(3) }
#endif
#endif
#if ENDS > 0
	:: d_step { up[AT(B, M)] && (ends < ENDS || !up[AT(M, B)]) ->
		ends = ends + (up[AT(M, B)] -> 1 : 0); session_end(B, M) }
	:: d_step { up[AT(B, 2)] && (ends < ENDS || !up[AT(2, B)]) ->
		ends = ends + (up[AT(2, B)] -> 1 : 0); session_end(B, 2) }
#if NODES > 3
	:: d_step { up[AT(B, 3)] && (ends < ENDS || !up[AT(3, B)]) ->
		ends = ends + (up[AT(3, B)] -> 1 : 0); session_end(B, 3) }
#endif
#endif
	od
}

/* ------------------------------------------------------------------ the maker */

/* What comes home goes to another Process of this node, or into a plain slot of the maker. */
inline maker_value(from, to_others)
{
	value[AT(from, M)]--;
	if
	:: !taken_as_dead && to_others -> others[M] = 1
	:: else
	fi;
	assert(nfull(passed[AT(M, from)]));
	passed[AT(M, from)]!0, 1
}

#ifdef IGNORE_NUMBER
#define NUMBERS_AGREE true
#else
#define NUMBERS_AGREE (newest_none >= highest_passed)
#endif

inline fire()
{
#ifndef FIRES_AGAIN
	taken_as_dead = 1;
#endif
	revoke_asked = 1;
	fired = 1;
#ifdef UNHELD_BEFORE_DEAD
	unheld = 1;
	completions++;
#endif
	/* claim: fires only if nobody else holds it, unless a session ended */
	assert(!HELD_BY_ANYBODY || ends > 0);
	assert(completions <= 1)
}

proctype maker()
{
	byte with, count;
	bit revoking;
end:
	do
	:: d_step { !taken_as_dead && MAY_SEND(M, 2) -> armed = 1; send_value(M, 2) }
	:: d_step { !taken_as_dead && MAY_SEND(M, B) -> armed = 1; send_value(M, B) }
	:: d_step { !taken_as_dead && !others[M] && sends < SENDS -> armed = 1; sends++; others[M] = 1 }
	:: d_step { others[M] -> others[M] = 0 }
	:: d_step { VALUE_TO(M, 2) -> maker_value(2, true) }
	:: d_step { VALUE_TO(M, 2) -> maker_value(2, false) }
	:: d_step { VALUE_TO(M, B) -> maker_value(B, true) }
	:: d_step { PASSED_TO(M, B) -> receive_passed(M, B) }
	:: d_step { PASSED_TO(M, 2) -> receive_passed(M, 2) }
#if NODES > 3
	:: d_step { !taken_as_dead && MAY_SEND(M, 3) -> armed = 1; send_value(M, 3) }
	:: d_step { VALUE_TO(M, 3) -> maker_value(3, true) }
	:: d_step { VALUE_TO(M, 3) -> maker_value(3, false) }
	:: d_step { PASSED_TO(M, 3) -> receive_passed(M, 3) }
#endif
	:: d_step { nempty(none) && up[AT(M, B)] -> none?with; newest_none = with; with = 0 }
	:: d_step { !monitored && !taken_as_dead -> monitored = 1 }
	:: d_step { monitored && armed && !taken_as_dead && !KEPT(M) && NUMBERS_AGREE -> fire() }
#ifdef REVOKES
	:: d_step { !taken_as_dead && monitored -> taken_as_dead = 1; revoking = 1; revoke_asked = 1 }
#endif
	:: d_step { revoke_done && up[AT(M, B)] ->
		revoke_done = 0;
#ifndef UNHELD_BEFORE_DEAD
		completions++;
		unheld = !revoking;
#endif
		assert(completions == 1); /* claim: the monitor fires exactly once */
		closed = revoking }
#if CHILDREN > 0
	:: d_step { others[M] && !taken_as_dead && children < CHILDREN && up[AT(M, B)] ->
		children++; calling[M] = 1; child_asked[M] = 1 }
	:: d_step { child_answered[M] && up[AT(M, B)] ->
		child_answered[M] = 0; calling[M] = 0; lent[M] = child_made[M] }
	:: d_step { lent[M] && !child_revoked[M] && up[AT(M, B)] -> child_revoked[M] = 1 }
	:: d_step { child_gone[M] && up[AT(M, B)] -> child_gone[M] = 0; lent[M] = 0 }
#endif
#if ENDS > 0
	:: d_step { up[AT(M, B)] && (ends < ENDS || !up[AT(B, M)]) ->
		ends = ends + (up[AT(B, M)] -> 1 : 0); session_end(M, B) }
	:: d_step { up[AT(M, 2)] && (ends < ENDS || !up[AT(2, M)]) ->
		ends = ends + (up[AT(2, M)] -> 1 : 0); session_end(M, 2) }
#if NODES > 3
	:: d_step { up[AT(M, 3)] && (ends < ENDS || !up[AT(3, M)]) ->
		ends = ends + (up[AT(3, M)] -> 1 : 0); session_end(M, 3) }
#endif
#endif
	od
}

/* ------------------------------------------------------------------ the end of every run */

/* Nothing is left to do: everybody has let go, and every message was taken. */
proctype quiet()
{
	timeout ->
	/* claim: a monitor fires if all let go */
	assert(!monitored || !armed || completions == 1);
	/* claim: nothing is left behind */
	assert(!HOLDERS && !CHILD_ALIVE && !registered[2] && !registered[NODES - 1]);
	assert(!SENT_ON(M) && !SENT_ON(B) && !SENT_ON(2) && !SENT_ON(NODES - 1))
}

init
{
	atomic {
		run maker();
		run owner();
		run holder_node(2);
#if NODES > 3
		run holder_node(3);
#endif
		run quiet()
	}
}
