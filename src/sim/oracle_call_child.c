/* request_refine and cap_revtree: values, and children of objects, which their owners make. */
#include "sim/oracle_call.h"

/* A child of `value`'s object is asked for. */
static void want_child(struct oracle *o, struct oracle_call *call, struct oracle_value *value,
					   bool tracked)
{
	struct oracle_thing *parent = value->object;
	uint32_t node = call->process->node;
	call->named = oracle_hold(value);
	call->object = parent;
	call->tracked = tracked;
	call->was = oracle_life(o, parent);
	if (parent->depth == ORACLE_DEPTH_MAX) {
		oracle_only(call, FOS_INVALID);
		if (parent->node != node) /* who asks the owner finds out there */
			call->may |= oracle_session_to(o, node, parent);
		call->may &= ~MAY(OK);
		return;
	}
	call->may = oracle_use(o, node, parent);
	call->waits = parent->node != node && (call->may & MAY(OK));
}

static void request_refine(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	const struct wire_call_request_refine *wire = (const void *)bytes;
	struct wire_tail tail;
	struct oracle_built built;
	struct oracle_value *value = NULL;
	wire_call_tail(bytes, &tail);
	if (wire->tracked && !wire->revocable) {
		oracle_only(call, FOS_INVALID);
		return;
	}
	fos_status status = oracle_build(o, call->process, &tail.args, &built);
	if (status == FOS_OK) {
		const struct oracle_value *base = oracle_named(call->process, &built, wire->cap);
		status = base != NULL ? oracle_refine(o, base, &built.call, &value) : FOS_NO_CAP;
		oracle_built_release(o, &built);
	}
	oracle_only(call, status);
	if (status != FOS_OK)
		return;
	if (!wire->revocable) {
		call->value = value;
		return;
	}
	want_child(o, call, value, wire->tracked);
	oracle_release(o, value);
}

static void cap_revtree(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	const struct wire_call_cap_revtree *wire = (const void *)bytes;
	struct oracle_value *value = oracle_slot_value(call->process, wire->cap);
	if (value == NULL)
		oracle_only(call, FOS_NO_CAP);
	else
		want_child(o, call, value, wire->tracked);
}

static uint32_t child_now(struct oracle *o, struct oracle_call *call, fos_status status)
{
	(void)status;
	uint32_t may = call->may;
	const struct oracle_thing *parent = call->object;
	if (oracle_life(o, parent) != ORACLE_LIVE)
		may |= MAY(REVOKED);
	if (oracle_epoch_over(o, parent))
		may |= MAY(STALE);
	if (oracle_trouble(o, call->process->node, parent->node, call->moment))
		may |= MAY(PEER_LOST) | MAY(STALE);
	if (call->was == ORACLE_DEAD)
		may &= ~MAY(OK);
	return may;
}

static void learn_child(struct oracle *o, struct oracle_call *call,
						const struct core_view_slot *seen)
{
	if (call->value != NULL)
		return; /* refined without one */
	struct oracle_thing *child = oracle_child_new(o, call->object, call->process, call->tracked);
	call->object->has_children = true;
	call->object->armed = true;
	oracle_thing_name(o, child, &seen->ref);
	/* The word of it may come when the owner has ended the session, and with it the child. */
	const struct oracle_session *session = &o->sessions[child->node][call->process->node];
	if (child->node != call->process->node && (!session->up || session->changed >= call->moment)) {
		child->unsure = true;
		oracle_kill(o, child, ORACLE_MAYBE, ORACLE_BY_MAKER | ORACLE_BY_REVOKE);
	}
	call->value = oracle_value_of_child(o, call->named, child);
}

/* Its owner may have made it and be asked to take it back, for there was no memory for its slot. */
static void child_refused(struct oracle *o, struct oracle_call *call, fos_status status)
{
	if (status == FOS_QUOTA && call->object != NULL && call->object->node != call->process->node)
		oracle_dead_afar(o, call->process);
}

const struct oracle_kind oracle_request_refine = {
	.submit = request_refine,
	.now = child_now,
	.learn = learn_child,
	.refused = child_refused,
	.gives_slot = true,
};

const struct oracle_kind oracle_cap_revtree = {
	.submit = cap_revtree,
	.now = child_now,
	.learn = learn_child,
	.refused = child_refused,
	.gives_slot = true,
};
