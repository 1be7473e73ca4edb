/* Delegate, revoke, drain, crash and reboot with three Controllers.
 *
 *     M  the maker's        B  the owner's        C  a holder's
 *
 *     M                        B                                       C
 *       | CHILD                  | an entry: index, serial, maker        |
 *       |----------------------->|                                       |
 *       |<-----------------------| CHILD_DONE(epoch, index, serial)      |
 *       | a value                                                        |
 *       |--------------------------------------------------------------->|
 *       |                        |<--------------------------------------| INVOKE(epoch, index, serial)
 *       | REVOKE(drain)          | a delivery, open until finished       |
 *       |----------------------->| dead at once; DRAIN waits             |
 *       |<-----------------------| REVOKE_DONE(status)                   |
 *
 * The owner's table has one place, so whatever is made after something died gets its index again,
 * and after a reboot its serial too: only the epoch tells them apart. `id` travels beside each name
 * for the claims alone: it says which child the name was made for.
 *
 * Each pair of Controllers has a session, and each of the two its own view of it: they hear of its
 * end one after the other, in either order, and a rebooted owner may say hello to who has not yet
 * missed it. Messages of a kind stay in order, kinds do not.
 *
 * Everything is bounded, so every run comes to an end where nothing is left to do: `quiet` looks at
 * what must have happened by then. The names behind -D that break something: see README.md. */

#ifndef MADE
#define MADE 2 /* CHILD calls */
#endif
#ifndef INVOKES
#define INVOKES 2
#endif
#ifndef REVOKES
#define REVOKES 2
#endif
#ifndef ENDS
#define ENDS 1 /* sessions that break */
#endif
#ifndef REBOOTS
#define REBOOTS 1
#endif
#ifndef DEATHS
#define DEATHS 1 /* of the maker's Process, or of the provider's */
#endif

#define IDS (MADE + 1)

mtype = { CHILD, PROCESS_GONE, OK, REVOKED, STALE, PEER_LOST, OUTCOME_UNKNOWN, TIMED_OUT, QUOTA };

/* What travels: epoch, serial, id. */
chan cleanup = [MADE + 2] of { mtype, byte };                 /* M to B: CHILD, PROCESS_GONE; Process */
chan child_done = [2] of { mtype, byte, byte, byte };         /* B to M */
chan revoke = [REVOKES] of { byte, byte, byte, bit };         /* M to B */
chan revoke_done = [REVOKES] of { mtype };                    /* B to M */
chan value = [2] of { byte, byte, byte };                     /* M to C */
chan invoke_m = [INVOKES] of { byte, byte, byte };            /* M to B */
chan invoke_c = [INVOKES] of { byte, byte, byte };            /* C to B */

/* Sessions: each side's view, and the owner's epoch that a view was made with. */
bit mb_m = 1, mb_b = 1, cb_c = 1, cb_b = 1, mc_m = 1, mc_c = 1;
byte epoch_m = 1, epoch_c = 1;

/* The owner. */
byte epoch = 1, serial;
byte entry_serial, entry_id, entry_maker; /* the one place; entry_id 0: free */
bit entry_dead;
byte open, remains; /* deliveries not finished; left by a dead provider, device not free */
bit provider_gone;
bit draining;
#ifdef GONE_OVERTAKES
bit gone;
#endif

/* The maker. */
byte process = 1; /* serial of the maker's Process */
bit calling;      /* CHILD */
bit revoking, with_drain;
byte m_epoch, m_serial, m_id;

/* The holder. */
byte c_epoch, c_serial, c_id;

/* Budgets. */
byte made, invokes, revokes, ends, reboots, deaths, greetings;

/* For the claims. */
byte next_id;
bit revoke_said_ok[IDS], drain_said_ok[IDS];
bit once_broken;
byte child_calls, child_ends, revoke_calls, revoke_ends;

/* ------------------------------------------------------------------ the owner */

inline free_if_quiet()
{
	if
	:: entry_id != 0 && entry_dead && open == 0 && remains == 0 && !draining ->
		entry_id = 0; entry_serial = 0; entry_dead = 0; entry_maker = 0
	:: else
	fi
}

inline kill_entry()
{
	if
	:: entry_id != 0 -> entry_dead = 1
	:: else
	fi
}

#ifdef NO_EPOCH
#define EPOCH_FITS(e) true
#else
#define EPOCH_FITS(e) ((e) == epoch)
#endif
#ifdef NO_SERIAL
#define SERIAL_FITS(s) true
#else
#define SERIAL_FITS(s) ((s) == entry_serial)
#endif

/* The owner decides: every use ends here. */
inline arrive(e, s, id)
{
	if
	:: EPOCH_FITS(e) && SERIAL_FITS(s) && entry_id != 0 && !entry_dead && !provider_gone ->
		assert(id == entry_id);       /* claim: a name never means another object */
		assert(!revoke_said_ok[id]);  /* claim: after revoke said OK no delivery */
		open++
	:: else /* STALE or REVOKED */
	fi
}

#ifdef DRAIN_FORGETS_REMAINS
#define DRAINED (open == 0)
#else
#define DRAINED (open == 0 && remains == 0)
#endif

inline answer_revoke(status)
{
	assert(nfull(revoke_done));
	revoke_done!status
}

inline receive_revoke()
{
	revoke?e, s, id, drain;
	if
	:: e != epoch -> answer_revoke(STALE)
	:: e == epoch && (s != entry_serial || entry_id == 0) ->
		if
		:: drain -> answer_revoke(OK) /* gone: serials do not repeat */
		:: else -> answer_revoke(REVOKED)
		fi
	:: e == epoch && s == entry_serial && entry_id != 0 ->
#ifndef ANSWER_BEFORE_DEAD
		was_dead = entry_dead;
		entry_dead = 1;
#else
		dying = 1;
#endif
		if
#ifdef DRAIN_DOES_NOT_WAIT
		:: drain -> answer_revoke(OK)
#else
		:: drain && DRAINED -> answer_revoke(OK)
		:: drain && !DRAINED -> draining = 1
#endif
		:: !drain && was_dead -> answer_revoke(REVOKED)
		:: !drain && !was_dead -> answer_revoke(OK)
		fi;
		was_dead = 0
	fi;
	free_if_quiet();
	e = 0; s = 0; id = 0; drain = 0
}

inline receive_cleanup()
{
	cleanup?kind, from;
	if
	:: kind == CHILD && entry_id == 0 && !provider_gone ->
		serial++;
		next_id++;
		entry_serial = serial;
		entry_id = next_id;
		entry_maker = from;
		assert(nfull(child_done));
		child_done!OK, epoch, serial, next_id
	:: kind == CHILD && (entry_id != 0 || provider_gone) ->
		assert(nfull(child_done));
		child_done!QUOTA, 0, 0, 0
	:: kind == PROCESS_GONE ->
		if
		:: entry_maker == from -> kill_entry()
		:: else
		fi;
		free_if_quiet()
	fi;
	kind = 0; from = 0
}

/* The children of a peer die with the session; who waits for a drain hears nothing any more. */
inline owner_ends_m()
{
	mb_b = 0;
	do
	:: nempty(cleanup) -> cleanup?_,_
	:: empty(cleanup) -> break
	od;
	do
	:: nempty(revoke) -> revoke?_,_,_,_
	:: empty(revoke) -> break
	od;
	do
	:: nempty(invoke_m) -> invoke_m?_,_,_
	:: empty(invoke_m) -> break
	od;
	draining = 0;
	kill_entry();
	free_if_quiet()
}

/* Nothing of an old session is in the new one. */
inline forget_m()
{
	do
	:: nempty(cleanup) -> cleanup?_,_
	:: empty(cleanup) -> break
	od;
	do
	:: nempty(revoke) -> revoke?_,_,_,_
	:: empty(revoke) -> break
	od;
	do
	:: nempty(invoke_m) -> invoke_m?_,_,_
	:: empty(invoke_m) -> break
	od;
	do
	:: nempty(child_done) -> child_done?_,_,_,_
	:: empty(child_done) -> break
	od;
	do
	:: nempty(revoke_done) -> revoke_done?_
	:: empty(revoke_done) -> break
	od
}

inline forget_c()
{
	do
	:: nempty(invoke_c) -> invoke_c?_,_,_
	:: empty(invoke_c) -> break
	od
}

inline owner_ends_c()
{
	forget_c();
	cb_b = 0
}

proctype owner()
{
	byte e, s, id, from;
	bit drain, was_dead, dying;
	mtype kind;
end:
	do
	:: d_step { mb_b && nempty(cleanup) -> receive_cleanup() }
	:: d_step { mb_b && nempty(revoke) && empty(revoke_done) -> receive_revoke() }
	:: d_step { mb_b && nempty(invoke_m) -> invoke_m?e, s, id; arrive(e, s, id); e = 0; s = 0; id = 0 }
	:: d_step { cb_b && nempty(invoke_c) -> invoke_c?e, s, id; arrive(e, s, id); e = 0; s = 0; id = 0 }
#ifdef ANSWER_BEFORE_DEAD
	:: d_step { dying -> dying = 0; kill_entry(); free_if_quiet() }
#endif
	/* The provider finishes a delivery. */
	:: d_step { open > 0 && !provider_gone ->
		open--;
		if
		:: draining && DRAINED -> draining = 0; answer_revoke(OK)
		:: else
		fi;
		free_if_quiet() }
	/* The time limit of DRAIN: dead, but not drained. */
	:: d_step { draining -> draining = 0; answer_revoke(TIMED_OUT); free_if_quiet() }
	/* The provider dies: what it left is with the device until that is free. */
	:: d_step { deaths < DEATHS && !provider_gone ->
		deaths++;
		provider_gone = 1;
		remains = open;
		open = 0;
		kill_entry();
		if
		:: draining && DRAINED -> draining = 0; answer_revoke(OK)
		:: else
		fi;
		free_if_quiet() }
	:: d_step { remains > 0 ->
		remains = 0;
		if
		:: draining && DRAINED -> draining = 0; answer_revoke(OK)
		:: else
		fi;
		free_if_quiet() }
	/* Another provider takes its place. */
	:: d_step { provider_gone && remains == 0 && entry_id == 0 -> provider_gone = 0 }
	/* This side's end of a session: of its own accord, or because the other side ended it. */
	:: d_step { mb_b && (ends < ENDS || !mb_m) ->
		ends = ends + (mb_m -> 1 : 0); once_broken = 1; owner_ends_m() }
	:: d_step { cb_b && (ends < ENDS || !cb_c) ->
		ends = ends + (cb_c -> 1 : 0); once_broken = 1; owner_ends_c() }
	/* Reboot: another epoch, an empty table, serials from the beginning. */
	:: d_step { reboots < REBOOTS ->
		reboots++;
		once_broken = 1;
		owner_ends_m();
		owner_ends_c();
		epoch++;
		serial = 0;
		entry_id = 0; entry_serial = 0; entry_dead = 0; entry_maker = 0;
		open = 0; remains = 0; provider_gone = 0 }
	od
}

/* ------------------------------------------------------------------ the maker */

inline revoke_ended(status)
{
	revoking = 0;
	revoke_ends++;
	if
	:: status == OK ->
		revoke_said_ok[m_id] = 1;
		drain_said_ok[m_id] = with_drain
	:: else
	fi;
	/* claim: OUTCOME_UNKNOWN and STALE only where something broke */
	assert((status != OUTCOME_UNKNOWN && status != STALE) || once_broken);
	with_drain = 0
}

inline maker_ends_b()
{
	mb_m = 0;
	do
	:: nempty(child_done) -> child_done?_,_,_,_
	:: empty(child_done) -> break
	od;
	do
	:: nempty(revoke_done) -> revoke_done?_
	:: empty(revoke_done) -> break
	od;
	if
	:: calling -> calling = 0; child_ends++ /* PEER_LOST */
	:: else
	fi;
	if
	:: revoking -> revoke_ended(OUTCOME_UNKNOWN)
	:: else
	fi
}

inline greet_m()
{
#ifndef OLD_SESSION
	forget_m();
#endif
	epoch_m = epoch;
	mb_m = 1;
	mb_b = 1;
	greetings++
}

inline start_revoke(drain)
{
	revokes++;
	revoke_calls++;
	revoking = 1;
	with_drain = drain;
	if
	:: !mb_m -> revoke_ended(OUTCOME_UNKNOWN)
	:: mb_m && m_epoch != epoch_m -> revoke_ended(STALE)
	:: mb_m && m_epoch == epoch_m -> revoke!m_epoch, m_serial, m_id, drain
	fi
}

#define GREETS (greetings <= ENDS + REBOOTS)

proctype maker()
{
	byte e, s, id;
	mtype status;
end:
	do
	:: d_step { made < MADE && !calling && mb_m && !revoking && process <= 1 ->
		made++; child_calls++; calling = 1; cleanup!CHILD, process }
	:: d_step { mb_m && nempty(child_done) ->
		child_done?status, e, s, id;
		calling = 0;
		child_ends++;
		if
		:: status == OK && process == 1 -> m_epoch = e; m_serial = s; m_id = id
		:: else
		fi;
		status = 0; e = 0; s = 0; id = 0 }
	:: d_step { m_id != 0 && mc_m && nfull(value) && c_id != m_id && empty(value) ->
		value!m_epoch, m_serial, m_id }
	:: d_step { m_id != 0 && invokes < INVOKES && mb_m && m_epoch == epoch_m ->
		invokes++; invoke_m!m_epoch, m_serial, m_id }
	:: d_step { m_id != 0 && revokes < REVOKES && !revoking && !calling -> start_revoke(0) }
	:: d_step { m_id != 0 && revokes < REVOKES && !revoking && !calling -> start_revoke(1) }
	:: d_step { mb_m && nempty(revoke_done) -> revoke_done?status; revoke_ended(status); status = 0 }
	/* The maker's Process dies. Its calls were sent before. */
	:: d_step { deaths < DEATHS && process == 1 && mb_m && !revoking ->
		deaths++;
#ifdef GONE_OVERTAKES
		gone = 1;
#else
		cleanup!PROCESS_GONE, process;
#endif
		process = 2;
		m_id = 0; m_epoch = 0; m_serial = 0 }
#ifdef GONE_OVERTAKES
	:: d_step { gone -> gone = 0;
		if
		:: entry_maker == 1 && mb_b -> kill_entry(); free_if_quiet()
		:: else
		fi }
#endif
	:: d_step { mb_m && (ends < ENDS || !mb_b) ->
		ends = ends + (mb_b -> 1 : 0); once_broken = 1; maker_ends_b() }
	/* A new session: both sides know that the old one is over. */
	:: d_step { !mb_m && !mb_b && GREETS -> greet_m() }
	/* Hello of a rebooted owner to who has not yet missed it. */
	:: d_step { mb_m && !mb_b && epoch != epoch_m && GREETS ->
#ifndef HELLO_KEEPS_THE_OLD
		maker_ends_b();
#endif
		greet_m() }
	:: d_step { mc_m && (ends < ENDS || !mc_c) ->
		ends = ends + (mc_c -> 1 : 0); once_broken = 1; mc_m = 0 }
	od
}

/* ------------------------------------------------------------------ the holder */

proctype holder()
{
end:
	do
	:: d_step { mc_c && nempty(value) -> value?c_epoch, c_serial, c_id }
#ifdef NO_EPOCH
	:: d_step { c_id != 0 && invokes < INVOKES && cb_c -> invokes++; invoke_c!c_epoch, c_serial, c_id }
#else
	:: d_step { c_id != 0 && invokes < INVOKES && cb_c && c_epoch == epoch_c ->
		invokes++; invoke_c!c_epoch, c_serial, c_id }
#endif
	:: d_step { cb_c && (ends < ENDS || !cb_b) ->
		ends = ends + (cb_b -> 1 : 0); once_broken = 1; cb_c = 0 }
	:: d_step { !cb_c && !cb_b ->
		forget_c();
		epoch_c = epoch; cb_c = 1; cb_b = 1 }
	:: d_step { cb_c && !cb_b && epoch != epoch_c ->
		forget_c();
		epoch_c = epoch; cb_b = 1 }
	:: d_step { mc_c && (ends < ENDS || !mc_m) ->
		ends = ends + (mc_m -> 1 : 0); once_broken = 1;
		do
		:: nempty(value) -> value?_,_,_
		:: empty(value) -> break
		od;
		mc_c = 0 }
	od
}

/* ------------------------------------------------------------------ claims */

/* claim: after DRAIN said OK no delivery of it is unfinished and its device is free */
#define UNDRAINED (entry_id != 0 && drain_said_ok[entry_id] && (open > 0 || remains > 0))

proctype watch()
{
end:
	atomic { UNDRAINED -> assert(false) }
}

proctype quiet()
{
	timeout ->
	/* claim: each call completes exactly once */
	assert(child_calls == child_ends && revoke_calls == revoke_ends);
	assert(!calling && !revoking);
	/* claim: a child does not outlive its maker's Process */
	assert(process == 1 || entry_id == 0 || entry_dead);
	/* claim: dead entries do not stay */
	assert(entry_id == 0 || !entry_dead)
}

init
{
	atomic {
		run maker();
		run owner();
		run holder();
		run watch();
		run quiet()
	}
}
