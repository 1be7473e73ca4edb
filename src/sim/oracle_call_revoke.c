/* cap_revoke: dead from some moment between submission and completion, and then for ever. */
#include "sim/oracle_call.h"

static void revoke_here(struct oracle_call *call, bool maker)
{
	switch (call->was) {
	case ORACLE_LIVE:
		call->may = maker ? MAY(OK) : MAY(DENIED);
		break;
	case ORACLE_MAYBE:
		call->may = (maker ? MAY(OK) : MAY(DENIED)) | MAY(REVOKED);
		if (call->drain)
			call->may |= MAY(OK);
		break;
	case ORACLE_DEAD:
		call->may = maker ? 0 : MAY(DENIED);
		/* With DRAIN its maker waits for what is open; when the entry is gone, nothing is. */
		call->may |= call->drain ? MAY(OK) : MAY(REVOKED);
		if (call->drain && !maker)
			call->may |= MAY(REVOKED);
		break;
	}
}

static void revoke_there(const struct oracle *o, struct oracle_call *call, bool maker)
{
	uint32_t session = oracle_session_to(o, call->process->node, call->object);
	bool lost = session & MAY(PEER_LOST);
	if (lost)
		session = MAY(OUTCOME_UNKNOWN);
	call->waits = session & MAY(OK);
	call->may = session;
	if (maker)
		return;
	/* Refused at once or by the owner; a dead entry may be gone there, and with it who made it. */
	call->may = (call->may & ~MAY(OK)) | MAY(DENIED);
	call->foreign = true;
}

static void cap_revoke(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	const struct wire_call_cap_revoke *wire = (const void *)bytes;
	struct oracle_process *process = call->process;
	struct oracle_value *value = oracle_slot_value(process, wire->cap);
	if (value == NULL) {
		oracle_only(call, FOS_NO_CAP);
		return;
	}
	struct oracle_thing *thing = value->object;
	bool maker = thing->maker == process;
	call->object = thing;
	call->drain = wire->drain;
	call->was = oracle_life(o, thing);
	call->end = oracle_end_of(o, wire->time ? wire->time : o->config.core.default_time);
	if (thing->node != process->node) {
		revoke_there(o, call, maker);
	} else if (thing->epoch != process->epoch) {
		oracle_only(call, FOS_STALE);
	} else {
		revoke_here(call, maker);
		call->waits = maker;
	}
	call->process->revokings += call->waits;
	if (maker && (call->may & MAY(OK)) && call->was != ORACLE_DEAD) {
		thing->revokes++;
		call->kills = true;
		oracle_kill(o, thing, ORACLE_MAYBE, ORACLE_BY_REVOKE);
	}
}

static uint32_t revoke_now(struct oracle *o, struct oracle_call *call, fos_status status)
{
	(void)status;
	uint32_t may = call->may;
	const struct oracle_thing *thing = call->object;
	if (call->drain && call->end <= o->now)
		may |= MAY(TIMED_OUT);
	if (thing->node != call->process->node &&
		oracle_trouble(o, call->process->node, thing->node, call->moment))
		may |= MAY(OUTCOME_UNKNOWN) | MAY(STALE);
	bool otherwise = call->was != ORACLE_LIVE || thing->revokes > 1 ||
					 (thing->why & ~(unsigned)ORACLE_BY_REVOKE) ||
					 (thing->parent != NULL && oracle_life(o, thing->parent) != ORACLE_LIVE);
	if (otherwise)
		may |= MAY(REVOKED);
	if (call->foreign && oracle_life(o, thing) != ORACLE_LIVE)
		may |= call->drain ? MAY(OK) | MAY(REVOKED) : MAY(REVOKED);
	return may;
}

static void revoked(struct oracle *o, struct oracle_call *call)
{
	struct oracle_thing *thing = call->object;
	if (thing->busy > 0)
		oracle_violate(o, "revoke of %s returned while %u slices were under way",
					   oracle_name(call->process), thing->busy);
	if (call->drain && (thing->open > 0 || thing->remains > 0))
		oracle_violate(o, "DRAIN of %s returned with %u deliveries open, %u left by the dead",
					   oracle_name(call->process), thing->open, thing->remains);
	oracle_kill(o, thing, ORACLE_DEAD, ORACLE_BY_REVOKE);
}

/* One that kills at its own Controller has killed now. */
static void settle(struct oracle *o, const struct oracle_call *call)
{
	if (call->kills && call->object->node == call->process->node)
		oracle_kill(o, call->object, ORACLE_DEAD, ORACLE_BY_REVOKE);
}

static void succeed(struct oracle *o, struct oracle_call *call)
{
	if (call->object->maker == call->process)
		revoked(o, call);
	settle(o, call);
}

static void refused(struct oracle *o, struct oracle_call *call, fos_status status)
{
	if (!call->kills)
		return;
	if (status == FOS_TIMED_OUT || status == FOS_REVOKED || status == FOS_STALE) {
		oracle_kill(o, call->object, ORACLE_DEAD, ORACLE_BY_REVOKE);
	} else if (status == FOS_QUOTA && call->was == ORACLE_LIVE && call->object->revokes-- == 1) {
		call->object->life = ORACLE_LIVE;
	}
	if (status == FOS_QUOTA)
		call->kills = false;
	settle(o, call);
}

static void end(struct oracle *o, struct oracle_call *call)
{
	(void)o;
	if (call->waits)
		call->process->revokings--;
}

const struct oracle_kind oracle_cap_revoke = {
	.submit = cap_revoke,
	.now = revoke_now,
	.succeed = succeed,
	.refused = refused,
	.end = end,
};
