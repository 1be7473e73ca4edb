/* "Acknowledged while a copy is in flight": the race that broke Barrelfish's first answer to revoke
 * (its technical note 13 on capability management, "Incorrect solution"), as a fixed scenario.
 *
 *     A                      B                      C
 *       | revoke?               | copy                 |
 *       |---------------------->|......................|  B's copy to C is in flight, on B's list
 *       | revoke?                                      |
 *       |--------------------------------------------->|  C has nothing: "done"
 *       |<---------------------------------------------|
 *       |                       |    copy              |
 *       |                       |--------------------->|  C has it now: "received"
 *       |                       |<---------------------|
 *       |                       | B clears its list, then sees the revoke: "done"
 *       |<----------------------|
 *       | revoked?  C holds it and uses it.
 *
 * Answers to "when is it over", over the same messages:
 *
 *   -DASK_HOLDERS    revoke asks everybody who may hold a copy. Spin must find the race.
 *   -DASK_NOBODY     ours: the object dies at its owner, who was never asked for copies; a copy that
 *                    arrives later is a name that nobody answers to.
 *   -DCOUNT_HOLDERS  ours for tracked children, where holders do count: the receiver tells the owner
 *                    before it tells the sender, so at no time does nobody vouch for the copy.
 *   -DCOUNT_ON_SIGHT the same, but the receiver tells the sender at once and the owner later. */

#if defined(COUNT_HOLDERS) || defined(COUNT_ON_SIGHT)
#define COUNT
#endif

mtype = { HOLD, USE, RELEASE };

chan copy = [1] of { bit };       /* B to C */
chan received = [1] of { bit };   /* C to B */
chan ask_b = [1] of { bit };      /* A to B */
chan ask_c = [1] of { bit };
chan done_b = [1] of { bit };
chan done_c = [1] of { bit };
chan from_c = [4] of { mtype };   /* C to A: HOLD, USE, RELEASE */
chan confirmed = [1] of { bit };  /* A to C: HELD */
chan release_b = [1] of { bit };  /* B to A: RELEASE */

bit alive = 1; /* the object, at its owner A */
bit over;      /* A has said that it is over: revoked, or held by nobody */

proctype a()
{
	bit b_registered = 1, c_registered, b_done, c_done, x;
#ifdef ASK_HOLDERS
	ask_b!1;
	ask_c!1;
#endif
end:
	do
#ifdef ASK_HOLDERS
	:: atomic { done_b?x -> b_done = 1 }
	:: atomic { done_c?x -> c_done = 1 }
	:: atomic { b_done && c_done && !over -> over = 1 }
#endif
#ifdef ASK_NOBODY
	:: atomic { alive -> alive = 0; over = 1 }
#endif
#ifdef COUNT
	:: atomic { from_c?HOLD -> c_registered = 1; confirmed!1 }
	:: atomic { from_c?RELEASE -> c_registered = 0 }
	:: atomic { release_b?x -> b_registered = 0 }
	:: atomic { !b_registered && !c_registered && !over -> over = 1 }
#endif
	:: atomic { from_c?USE ->
		if
		:: alive -> assert(!over) /* claim: after it is over nothing is delivered */
		:: else /* refused */
		fi }
	od
}

proctype b()
{
	bit holds = 1, in_flight, x;
	atomic { copy!1; in_flight = 1 };
end:
	do
	:: atomic { received?x -> in_flight = 0 }
#ifdef ASK_HOLDERS
	/* What is still on the list of copies in flight is waited for. */
	:: atomic { nempty(ask_b) && !in_flight -> ask_b?x; holds = 0; done_b!1 }
#endif
#ifdef COUNT
	:: atomic { holds && !in_flight -> holds = 0; release_b!1 }
#endif
	od
}

proctype c()
{
	bit holds, registers, used, x;
end:
	do
#ifdef COUNT_HOLDERS
	:: atomic { copy?x -> holds = 1; from_c!HOLD }
	:: atomic { confirmed?x -> received!1 }
#else
	:: atomic { copy?x -> holds = 1; registers = 1; received!1 }
#endif
#ifdef COUNT_ON_SIGHT
	:: atomic { registers -> registers = 0; from_c!HOLD }
	:: atomic { confirmed?x }
#endif
#ifdef ASK_HOLDERS
	:: atomic { ask_c?x -> holds = 0; done_c!1 }
#endif
	:: atomic { holds && !used -> used = 1; from_c!USE }
#ifdef COUNT
	:: atomic { holds -> holds = 0; from_c!RELEASE }
#endif
	od
}

init { atomic { run a(); run b(); run c() } }
