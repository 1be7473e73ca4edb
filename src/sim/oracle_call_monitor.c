/* monitor_receive and monitor_delegate: when they fire, and whether for a reason that holds. */
#include "sim/oracle_call.h"

static void monitor(struct oracle *o, struct oracle_call *call, uint64_t cap, unsigned which)
{
	struct oracle_cell *cell = oracle_cell(call->process, cap);
	(void)o;
	call->may = 0;
	call->cap = cap;
	if (cell == NULL) {
		oracle_only(call, FOS_NO_CAP);
		return;
	}
	struct oracle_thing *thing = cell->value->object;
	call->object = thing;
	if (which == 1 && !thing->tracked)
		call->may |= MAY(WRONG_TYPE);
	/* What comes home dead is not known as tracked any more. */
	call->dead_named = oracle_life(o, thing) != ORACLE_LIVE;
	if (which == 1 && thing->maker != call->process)
		call->may |= MAY(DENIED);
	if (cell->monitors[which] != NULL)
		call->may |= MAY(OVERLAP);
	if (call->may != 0)
		return;
	cell->monitors[which] = call;
	call->process->monitors++;
	call->waits = true;
	thing->delegates += which;
}

static void monitor_receive(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	monitor(o, call, ((const struct wire_call_monitor_receive *)(const void *)bytes)->cap, 0);
}

static void monitor_delegate(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	monitor(o, call, ((const struct wire_call_monitor_delegate *)(const void *)bytes)->cap, 1);
}

/* The monitors of a cell must not name a call that is no more. */
static void unlink_monitor(struct oracle_call *call)
{
	struct oracle_cell *cell = oracle_cell(call->process, call->cap);
	for (unsigned i = 0; cell != NULL && i < BASE_COUNT(cell->monitors); i++) {
		if (cell->monitors[i] == call)
			cell->monitors[i] = NULL;
	}
}

static void end(struct oracle *o, struct oracle_call *call)
{
	(void)o;
	if (!call->waits)
		return;
	unlink_monitor(call);
	call->process->monitors--;
	call->object->delegates -= call->type == WIRE_CALL_TYPE_MONITOR_DELEGATE;
}

/* ------------------------------------------------------------------ firing */

/* A reference that was under way through a session that ended may not be known of to its owner, nor
 * to the maker's Controller: only the sessions between nodes where it ever was count. */
static bool is_known(const struct oracle *o, const struct oracle_thing *thing)
{
	uint64_t nodes = thing->nodes | (uint64_t)1 << thing->node | (uint64_t)1 << thing->maker->node;
	for (uint32_t a = 0; nodes >> a != 0; a++) {
		for (uint32_t b = 0; b < a; b++) {
			if ((nodes >> a & 1) && (nodes >> b & 1) && oracle_trouble(o, a, b, thing->moment))
				return false;
		}
	}
	return true;
}

/* Who certainly holds a tracked child: in a slot, if only bound, or by a living child below it; of
 * its maker only what is bound counts. Where the owner is not the maker's node the child has fired
 * when that asked to have it revoked: what its maker gave away until the answer came is dead. */
static const struct oracle_process *holder_of(struct oracle *o, const struct oracle_thing *thing)
{
	const struct core_config *core = &o->config.core;
	uint64_t ago = 0;
	if (thing->node != thing->maker->node)
		ago = 2 * (oracle_slow(o, 0) ? core->failure_timeout : core->heartbeat);
	uint64_t asked = o->now - BASE_MIN(o->now, ago);
	if (!is_known(o, thing))
		return NULL;
	return oracle_holder(o, thing, asked);
}

static bool about_to_fire(struct oracle *o, struct oracle_thing *thing)
{
	for (; thing != NULL; thing = thing->parent) {
		if (thing->delegates == 0)
			continue;
		oracle_kill(o, thing, ORACLE_MAYBE, ORACLE_BY_UNHELD);
		return true;
	}
	return false;
}

static void fired(struct oracle *o, struct oracle_call *call,
				  const struct wire_answer_monitored *answer)
{
	static const uint8_t statuses[] = {
		[1] = FOS_REVOKED, [2] = FOS_REVOKED, [3] = FOS_STALE, [4] = FOS_PEER_LOST, [5] = FOS_OK};
	struct oracle_thing *thing = call->object;
	unsigned why = oracle_why(thing);
	bool dead = oracle_life(o, thing) != ORACLE_LIVE;
	bool apart = oracle_trouble(o, call->process->node, thing->node, call->moment);
	bool right = answer->status == statuses[answer->gone];
	/* Nobody may have held it when its owner was lost. */
	if (call->type == WIRE_CALL_TYPE_MONITOR_DELEGATE && answer->gone == FOS_GONE_LINK)
		oracle_perhaps_fired(o, thing);
	switch (answer->gone) {
	case 1:
		/* One that is about to be told that nobody holds it. */
		if (!dead && about_to_fire(o, thing))
			return;
		/* Why it died is not known any more to who asks later, or from afar. */
		right &= dead && (call->dead_named || thing->node != call->process->node ||
						  (why & (ORACLE_BY_REVOKE | ORACLE_BY_UNHELD)));
		break;
	case 2:
		right &= dead && (why & ORACLE_BY_MAKER);
		break;
	case 3:
		/* Of two epochs a Controller cannot tell which is newer: its session may be the old one. */
		right &= oracle_epoch_over(o, thing) ||
				 oracle_session_to(o, call->process->node, thing) == MAY(STALE);
		break;
	case 4:
		right &= apart;
		break;
	default: {
		const struct oracle_process *holder = holder_of(o, thing);
		right &= call->type == WIRE_CALL_TYPE_MONITOR_DELEGATE && thing->armed;
		if (right && holder != NULL) {
			oracle_violate(o, "monitor_delegate of %s fired while %s holds %u:%u serial %llu",
						   oracle_name(call->process), oracle_name(holder), thing->node,
						   thing->index, (unsigned long long)thing->serial);
			return;
		}
		o->unheld++;
		oracle_kill(o, thing, thing->node == call->process->node ? ORACLE_DEAD : ORACLE_MAYBE,
					ORACLE_BY_UNHELD);
	}
	}
	if (!right)
		oracle_violate(o, "a monitor of %s fired with %s, reason %u, without that reason",
					   oracle_name(call->process), fos_status_name((fos_status)answer->status),
					   answer->gone);
}

/* Whether the step under way may close the slot of a monitor. */
static bool may_close(const struct oracle *o)
{
	const struct oracle_call *now = o->current;
	if (o->event->type != CORE_CALL)
		return o->event->type == CORE_SESSION_GONE || o->event->type == CORE_CHANNEL_GONE;
	return now != NULL &&
		   (now->type == WIRE_CALL_TYPE_CAP_CLOSE || now->type == WIRE_CALL_TYPE_FINISH ||
			now->type == WIRE_CALL_TYPE_FAIL || now->type == WIRE_CALL_TYPE_CONTINUE);
}

void oracle_monitored(struct oracle *o, struct oracle_call *call,
					  const struct wire_answer_monitored *answer)
{
	fos_status status = (fos_status)answer->status;
	o->counts.monitors++;
	oracle_count_status(o, status);
	if (answer->gone != 0) {
		if (!call->waits)
			oracle_violate(o, "a monitor of %s fired that had to be refused",
						   oracle_name(call->process));
		else
			fired(o, call, answer);
		return;
	}
	bool right = call->may >> status & 1;
	if (call->uncertain && status == FOS_NO_CAP)
		right = true;
	if (status == FOS_CANCELLED)
		right = call->cancelled || may_close(o);
	else if (status == FOS_QUOTA)
		right = oracle_quota_explained(o, call);
	else if (status == FOS_WRONG_TYPE || status == FOS_DENIED)
		right |= call->dead_named; /* what comes home dead is not known there any more */
	/* It may have fired, and the word of it have come too late. */
	if (status == FOS_CANCELLED && call->type == WIRE_CALL_TYPE_MONITOR_DELEGATE)
		oracle_perhaps_fired(o, call->object);
	if (right)
		return;
	const struct oracle_thing *thing = call->object;
	oracle_violate(o,
				   "a monitor of %s ended with %s, which nothing explains: object %u:%u serial "
				   "%llu, life %d",
				   oracle_name(call->process), fos_status_name(status), thing ? thing->node : 0,
				   thing ? thing->index : 0, thing ? (unsigned long long)thing->serial : 0,
				   thing ? (int)oracle_life(o, thing) : -1);
}

const struct oracle_kind oracle_monitor_receive = {
	.submit = monitor_receive,
	.end = end,
};

const struct oracle_kind oracle_monitor_delegate = {
	.submit = monitor_delegate,
	.end = end,
};
