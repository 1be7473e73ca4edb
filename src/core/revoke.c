/* cap_revoke: the maker takes an object or a revtree child back, with all that descends from it.
 *
 *     Process        its Controller                 owner                              shell
 *       | cap_revoke     |                            |                                   |
 *       |--------------->| REVOKE                     |                                   |
 *       |                |--------------------------->| dead at once, with all below it:  |
 *       |                |                            | no delivery, no slice any more    |
 *       |                |                            |<----------------------------------| slices
 *       |                |                            | DRAIN: deliveries and remains end | end
 *       |                |<---------------------------| REVOKE_DONE                       |
 *       |<---------------| status                     |                                   |
 *
 * Where the owner is this Controller the middle is left out. Nobody is asked who holds it: the time
 * depends on neither holders nor their links. What it waits for:
 *
 *     without DRAIN   slices that the shell works on, which end by themselves
 *     DRAIN           also deliveries not finished, and what a dead provider's device still does;
 *                     at most its time: TIMED_OUT, dead but not drained
 *
 * A dead entry can be drained again by its maker, also in a new session; when even the entry is
 * gone, nothing of it is left (a serial never comes back). A session that ends leaves the asker
 * with OUTCOME_UNKNOWN, or STALE when the owner's epoch is over. */
#include "core/core_internal.h"

static bool same_maker(const struct maker *a, const struct maker *b)
{
	return a->node == b->node && a->process == b->process && a->epoch == b->epoch;
}

/* ------------------------------------------------------------------ records that wait */

/* A Process has all the records that it may use from its beginning on, each with a number; the
 * owner has one with each child of a peer. So a revocation needs no memory. */
bool core_revokings_prepare(struct core *core, struct process *process)
{
	for (uint32_t i = 0; i < core->config.limits.revokings; i++) {
		struct revoking *revoking = core_alloc(core, sizeof *revoking);
		if (revoking == NULL)
			return false;
		*revoking = (struct revoking){.asked.kind = ASKED_REVOKE};
		list_init(&revoking->of_asker);
		list_push(&process->spare, &revoking->of_asker);
		revoking->asked.number = core_table_add(core, &core->calls, &revoking->asked);
		if (revoking->asked.number == 0)
			return false;
	}
	return true;
}

void core_revokings_release(struct core *core, struct process *process)
{
	struct revoking *revoking;
	while ((revoking = LIST_FIRST(&process->spare, struct revoking, of_asker)) != NULL) {
		if (revoking->asked.number != 0)
			core_table_remove(&core->calls, revoking->asked.number);
		list_remove(&revoking->of_asker);
		core_free(core, revoking, sizeof *revoking);
	}
}

bool core_revoking_prepare(struct core *core, struct object *child)
{
	child->revoking = core_alloc(core, sizeof *child->revoking);
	return child->revoking != NULL;
}

static void forget(struct core *core, struct revoking *revoking)
{
	core_timer_stop(core, &revoking->timer);
	list_remove(&revoking->cleanup.link);
	list_remove(&revoking->of_object);
	list_remove(&revoking->of_asker);
	list_remove(&revoking->of_session);
	if (revoking->process == NULL) {
		core_free(core, revoking, sizeof *revoking);
		return;
	}
	revoking->process->usage.revokings--;
	list_push(&revoking->process->spare, &revoking->of_asker);
	if (revoking->session == NULL)
		return;
	/* No late answer may find it: it gets another number, in the same place of the table. */
	revoking->session = NULL;
	core_table_remove(&core->calls, revoking->asked.number);
	revoking->asked.number = core_table_add(core, &core->calls, &revoking->asked);
}

static void answer(struct core *core, struct session *session, uint64_t call, fos_status status)
{
	if (session->ending)
		return;
	struct wire_message_revoke_done *message =
		core_session_send(core, session, WIRE_MESSAGE_TYPE_REVOKE_DONE, sizeof *message);
	message->call = call;
	message->status = status;
}

void core_revoking_end(struct core *core, struct revoking *revoking, fos_status status)
{
	if (revoking->process != NULL)
		core_complete(core, &revoking->caller, status);
	else
		answer(core, revoking->session, revoking->call, status);
	forget(core, revoking);
}

/* A record of `want`. QUOTA: so many of the Process wait already; or a peer's for what is dead, and
 * no memory. */
static fos_status keep(struct core *core, const struct revoking *want, struct object *object,
					   struct revoking **out)
{
	struct process *process = want->process;
	struct revoking *revoking;
	if (process != NULL) {
		if (process->usage.revokings >= core->config.limits.revokings)
			return FOS_QUOTA;
		process->usage.revokings++;
		revoking = LIST_FIRST(&process->spare, struct revoking, of_asker);
		list_remove(&revoking->of_asker);
	} else {
		BASE_ASSERT(object != NULL); /* a peer asks for what is ours */
		revoking = object->revoking;
		object->revoking = NULL;
		if (revoking == NULL)
			revoking = core_alloc_kept(core, sizeof *revoking);
		if (revoking == NULL)
			return FOS_QUOTA;
		revoking->asked = (struct asked){0};
	}
	const struct asked asked = revoking->asked;
	*revoking = *want;
	revoking->asked = asked;
	revoking->object = object;
	struct list *lists[] = {&revoking->cleanup.link, &revoking->of_object, &revoking->of_asker,
							&revoking->of_session};
	for (unsigned i = 0; i < BASE_COUNT(lists); i++)
		list_init(lists[i]);
	core_timer_init(&revoking->timer, TIMER_REVOKING);
	list_push(process != NULL ? &process->revokings : &want->session->revokings,
			  &revoking->of_asker);
	*out = revoking;
	return FOS_OK;
}

/* ------------------------------------------------------------------ the owner */

static bool is_quiet(const struct object *object, bool drain)
{
	return (object->busy == 0 || PLANTED(revoke_early)) &&
		   (!drain || object->open == 0 || PLANTED(drain_early));
}

static fos_status wait(struct core *core, struct object *object, const struct revoking *want)
{
	struct revoking *revoking;
	fos_status status = keep(core, want, object, &revoking);
	if (status != FOS_OK)
		return status;
	list_push(&object->revokings, &revoking->of_object);
	if (revoking->drain)
		core_timer_start(core, &revoking->timer, revoking->end);
	return FOS_OK;
}

/* *waits: it is answered later. */
static fos_status revoke(struct core *core, const struct revoking *want, bool *waits)
{
	*waits = false;
	if (want->ref.epoch != core->config.epoch)
		return FOS_STALE;
	struct object *object = core_object_entry(core, &want->ref);
	if (object == NULL)
		return want->drain ? FOS_OK : FOS_REVOKED;
	if (!same_maker(&object->maker, &want->maker))
		return FOS_DENIED;
	if (object->dead && !want->drain)
		return FOS_REVOKED;
	if (!is_quiet(object, want->drain)) {
		fos_status status = wait(core, object, want);
		if (status != FOS_OK)
			return status;
		*waits = true;
		CORE_COVER(core, revoke_wait);
	} else {
		CORE_COVER(core, revoke_now);
	}
	object->pins++;
	/* The answer tells its maker's Controller. */
	if (want->process == NULL)
		core_object_disown(object);
	core_object_kill(core, object, FOS_GONE_REVOKED);
	core_object_unpin(core, object);
	return FOS_OK;
}

void core_revokings_settle(struct core *core, struct object *object)
{
	for (struct list *at = object->revokings.next, *next; at != &object->revokings; at = next) {
		struct revoking *revoking = BASE_CONTAINER(at, struct revoking, of_object);
		next = at->next;
		if (!is_quiet(object, revoking->drain))
			continue;
		CORE_COVER(core, revoke_settle);
		core_revoking_end(core, revoking, FOS_OK);
	}
}

void core_receive_revoke(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_revoke *message = (const void *)bytes;
	const struct revoking want = {
		.session = session,
		.call = message->call,
		.maker = {.node = session->node, .process = message->process, .epoch = session->epoch},
		.ref = {core->config.node, message->index, message->epoch, message->serial},
		.end = core_time_end(core, message->time_left),
		.drain = message->drain};
	bool waits;
	fos_status status = revoke(core, &want, &waits);
	if (!waits)
		answer(core, session, message->call, status);
}

/* ------------------------------------------------------------------ the maker's Controller */

static fos_status ask_owner(struct core *core, const struct revoking *want)
{
	const struct lending *lending = core_lending_find(core, &want->ref);
	if (lending != NULL && lending->process != want->process)
		return FOS_DENIED;
	struct session *session;
	fos_status status = core_session_to(core, &want->ref, &session);
	/* It has not heard of it, but what it heard before of the same may be under way. */
	if (status == FOS_PEER_LOST)
		status = FOS_OUTCOME_UNKNOWN;
	struct revoking *revoking;
	if (status == FOS_OK)
		status = keep(core, want, NULL, &revoking);
	if (status != FOS_OK)
		return status;
	CORE_COVER(core, revoke_ask);
	/* Without memory for it the owner does not hear of the Process's end: what waits there of it
	 * waits until its own. */
	(void)core_presence(core, want->process, session);
	revoking->session = session;
	list_push(&session->asked_revokings, &revoking->of_session);
	core_session_revoke(core, session, revoking);
	return FOS_OK;
}

void core_call_cap_revoke(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	const struct wire_call_cap_revoke *call = (const void *)bytes;
	struct process *process = caller->channel->process;
	const struct value *value = core_slot_value(process, call->cap);
	if (value == NULL) {
		core_complete(core, caller, FOS_NO_CAP);
		return;
	}
	const struct revoking want = {
		.process = process,
		.caller = *caller,
		.maker = core_process_maker(core, process),
		.ref = value->ref,
		.end = core_time_end(core, call->time != 0 ? call->time : core->config.default_time),
		.drain = call->drain};
	bool waits = true;
	fos_status status =
		value->ref.node == core->config.node ? revoke(core, &want, &waits) : ask_owner(core, &want);
	if (!waits || status != FOS_OK)
		core_complete(core, caller, status);
}

void core_revoke_send(struct core *core, struct session *session, const struct asked *asked,
					  const struct core_ref *ref, const struct process *process, uint64_t time_left,
					  bool drain)
{
	struct wire_message_revoke *message =
		core_session_send(core, session, WIRE_MESSAGE_TYPE_REVOKE, sizeof *message);
	message->call = asked->number;
	message->epoch = ref->epoch;
	message->serial = ref->serial;
	message->index = ref->index;
	message->time_left = time_left;
	message->process = process->serial;
	message->drain = drain;
}

void core_revoking_send(struct core *core, struct session *session, struct revoking *revoking)
{
	core_revoke_send(core, session, &revoking->asked, &revoking->ref, revoking->process,
					 core_time_left(core, revoking->end), revoking->drain);
}

/* Whatever of these it was, the child is dead. */
static bool is_dead(fos_status status)
{
	return status == FOS_OK || status == FOS_REVOKED || status == FOS_TIMED_OUT;
}

void core_receive_revoke_done(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_revoke_done *message = (const void *)bytes;
	const struct table_entry *entry = core_table_get(&core->calls, message->call);
	struct asked *asked = entry != NULL ? entry->content : NULL;
	if (asked == NULL)
		return;
	if (asked->kind == ASKED_CHILD) {
		struct lending *lending = BASE_CONTAINER(asked, struct lending, asked);
		if (lending->session == session && lending->value == NULL)
			core_lending_end(core, lending, FOS_GONE_REVOKED);
		return;
	}
	struct revoking *revoking = BASE_CONTAINER(asked, struct revoking, asked);
	if (revoking->session != session)
		return;
	struct lending *lending = core_lending_find(core, &revoking->ref);
	if (lending != NULL && is_dead((fos_status)message->status))
		core_lending_end(core, lending, FOS_GONE_REVOKED);
	core_revoking_end(core, revoking, (fos_status)message->status);
}

/* ------------------------------------------------------------------ ends */

void core_revokings_session_end(struct core *core, struct session *session)
{
	fos_status status = session->rebooted ? FOS_STALE : FOS_OUTCOME_UNKNOWN;
	struct revoking *revoking;
	while ((revoking = LIST_FIRST(&session->asked_revokings, struct revoking, of_session)) !=
		   NULL) {
		CORE_COVER(core, revoke_lost);
		PLANTED(revoke_hangs) ? forget(core, revoking) : core_revoking_end(core, revoking, status);
	}
	while ((revoking = LIST_FIRST(&session->revokings, struct revoking, of_asker)) != NULL)
		forget(core, revoking);
}

void core_revokings_process_end(struct core *core, struct process *process)
{
	struct revoking *revoking;
	while ((revoking = LIST_FIRST(&process->revokings, struct revoking, of_asker)) != NULL)
		forget(core, revoking);
	core_revokings_release(core, process);
}

void core_revokings_peer_gone(struct core *core, struct session *session, uint32_t process)
{
	for (struct list *at = session->revokings.next, *next; at != &session->revokings; at = next) {
		struct revoking *revoking = BASE_CONTAINER(at, struct revoking, of_asker);
		next = at->next;
		if (revoking->maker.process == process)
			forget(core, revoking);
	}
}
