/* Sessions with peers: credits, queues, sequence numbers, heartbeats, and the end.
 *
 * Each class of messages has credits of its own in each direction. Sending takes one; the receiver
 * gives it back when it has handled the message (a COPY: when the copy left). Credits ride back in
 * the header of any message, and alone in CREDIT when half of a class's wait at a step's end.
 *
 *     step: message -> handled -> credits in its header -> ... -> end of step: queues that now have
 *     credits, slices by turns, CREDIT if still needed */
#include "core/core_internal.h"

/* Bytes of the largest fixed part, a bounce's empty table included. */
enum { FIXED_MAX = 192 };
_Static_assert(sizeof(struct wire_message_data) <= FIXED_MAX && sizeof(struct wire_message_bounce) +
																		sizeof(struct wire_args) +
																		sizeof(struct wire_entry) <=
																	FIXED_MAX,
			   "core_session_send zeroes fixed parts");

struct session *core_session_find(struct core *core, uint32_t node)
{
	struct list *bucket = core_hash_bucket(&core->sessions, node);
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct session *session = BASE_CONTAINER(at, struct session, hash);
		if (session->node == node)
			return session;
	}
	return NULL;
}

fos_status core_session_to(struct core *core, const struct core_ref *ref, struct session **out)
{
	struct session *session = core_session_find(core, ref->node);
	if (session == NULL || session->ending)
		return FOS_PEER_LOST;
	if (session->epoch != ref->epoch && !PLANTED(skip_epoch))
		return FOS_STALE;
	*out = session;
	return FOS_OK;
}

void core_session_dirty(struct core *core, struct session *session)
{
	if (list_empty(&session->dirty))
		list_push(&core->dirty, &session->dirty);
}

void core_session_break(struct core *core, struct session *session, const char *reason)
{
	if (session->ending)
		return;
	session->ending = true;
	CORE_COVER(core, session_break);
	struct core_output *out = core_output_add(core, CORE_END_SESSION);
	out->node = session->node;
	out->reason = reason;
}

/* ------------------------------------------------------------------ sending */

/* struct fos_message_counters has one counter for each message, in the order of their numbers. */
static void count(struct fos_message_counters *counters, uint8_t type, uint64_t add)
{
	_Static_assert(sizeof *counters == WIRE_MESSAGE_TYPE_NONE * sizeof(uint64_t),
				   "a counter a message");
	uint64_t value;
	char *at = (char *)counters + (type - 1u) * sizeof value;
	memcpy(&value, at, sizeof value);
	value += add;
	memcpy(at, &value, sizeof value);
}

static void fill_header(struct core *core, struct session *session, struct wire_message *head,
						uint8_t type, size_t size)
{
	bool bulk = wire_message_on_bulk(type);
	head->size = (uint32_t)size;
	head->type = type;
	head->sequence = session->sequence_out[bulk]++;
	/* Not on the bulk lane, where they would overtake a bounce of what they give back. */
	for (unsigned i = 0; !bulk && i < WIRE_CLASS_COUNT; i++) {
		struct session_class *class = &session->classes[i];
		uint32_t back = BASE_MIN(class->unreturned, (uint32_t)UINT8_MAX);
		head->credits[i] = (uint8_t)back;
		class->unreturned -= back;
		class->peers += back;
	}
	count(&core->counters.sent, type, 1);
	count(&core->counters.sent_bytes, type, size);
}

static void take_credit(struct session *session, uint8_t type)
{
	enum wire_class class = wire_message_class(type);
	if (class == WIRE_CLASS_ANSWER)
		return;
	BASE_ASSERT(session->classes[class].credits > 0);
	session->classes[class].credits--;
}

void *core_session_send_slice(struct core *core, struct session *session, uint8_t type, size_t size,
							  size_t data, struct core_output **out)
{
	take_credit(session, type);
	struct wire_message *head = core_output_bytes(core, size);
	memset(head, 0, BASE_MIN(size, (size_t)FIXED_MAX));
	fill_header(core, session, head, type, size + data);
	*out = core_output_add(core, data > 0 ? CORE_SEND_SLICE : CORE_SEND);
	(*out)->node = session->node;
	(*out)->lane = wire_message_on_bulk(type) ? CORE_BULK : CORE_CONTROL;
	(*out)->bytes = (const uint8_t *)head;
	(*out)->size = size;
	return head;
}

void *core_session_send(struct core *core, struct session *session, uint8_t type, size_t size)
{
	struct core_output *out;
	return core_session_send_slice(core, session, type, size, 0, &out);
}

static enum wire_class class_of(const struct invocation *inv)
{
	return inv->exception != NULL ? WIRE_CLASS_ERROR : WIRE_CLASS_INVOKE;
}

bool core_session_has_credit(const struct session *session, enum wire_class class)
{
	return session->classes[class].credits > 0 && list_empty(&session->classes[class].queue);
}

void core_session_post(struct core *core, struct session *session, struct invocation *inv,
					   const struct plan *plan)
{
	size_t detail = 0;
	if (inv->exception != NULL)
		detail = sizeof inv->exception->head + wire_pad8(inv->exception->head.detail_len);
	uint8_t type = inv->exception ? WIRE_MESSAGE_TYPE_ERROR : WIRE_MESSAGE_TYPE_INVOKE;
	/* INVOKE and ERROR have one layout. */
	struct wire_message_invoke *message =
		core_session_send(core, session, type, sizeof *message + detail + plan->size);
	CORE_COVER(core, inv_post);
	inv->order = session->order++;
	message->epoch = inv->target.epoch;
	message->serial = inv->target.serial;
	message->trace = inv->trace;
	message->span = inv->span;
	message->time_left = core_time_left(core, inv->end);
	message->order = inv->order;
	message->index = inv->target.index;
	message->retry = inv->retry;
	message->exception = inv->exception != NULL;
	message->more = inv->more;
	uint8_t *at = (uint8_t *)(message + 1);
	if (inv->exception != NULL) {
		memset(at, 0, detail);
		memcpy(at, &inv->exception->head, sizeof inv->exception->head);
		memcpy(at + sizeof inv->exception->head, inv->exception->detail,
			   inv->exception->head.detail_len);
	}
	core_plan_write(plan, inv->bundle, inv->on_error, at + detail);
	inv->retry = false;
	list_push(&session->classes[class_of(inv)].flight, &inv->link);
}

static void send_queued(struct core *core, struct session *session, struct invocation *inv)
{
	struct plan plan;
	list_remove(&inv->link);
	core_invocation_go(core, inv);
	/* It fitted when it was taken, and values do not change. */
	fos_status status = core_plan(inv->bundle, inv->on_error, &plan);
	BASE_ASSERT(status == FOS_OK);
	status = core_tracked_set_out(core, session, &plan);
	if (status == FOS_OK)
		core_session_post(core, session, inv, &plan);
	else {
		CORE_COVER(core, inv_unsent);
		core_invocation_fail(core, inv, status);
	}
}

/* It leaves when the step ends, in a loop and not from here: one that cannot leave lets the next
 * one try, which may be as many as are parked. */
void core_session_invoke(struct core *core, struct session *session, struct invocation *inv)
{
	CORE_COVER(core, inv_queue);
	list_push(&session->classes[class_of(inv)].queue, &inv->link);
	core_invocation_wait(core, inv);
	core_session_dirty(core, session);
}

/* ------------------------------------------------------------------ the end of a step */

static void send_invocations(struct core *core, struct session *session, enum wire_class number)
{
	struct session_class *class = &session->classes[number];
	struct invocation *inv;
	while (class->credits > 0 &&
		   (inv = LIST_FIRST(&class->queue, struct invocation, link)) != NULL) {
		CORE_COVER(core, inv_unqueue);
		send_queued(core, session, inv);
	}
}

static void send_copies(struct core *core, struct session *session)
{
	while (session->classes[WIRE_CLASS_DATA].credits > 0 && !list_empty(&session->turns)) {
		struct outgoing *out = LIST_FIRST(&session->turns, struct outgoing, turn);
		list_remove(&out->turn);
		core_outgoing_send(core, out);
	}
	while (session->classes[WIRE_CLASS_COPY].credits > 0 && !list_empty(&session->asks)) {
		struct ask *ask = LIST_FIRST(&session->asks, struct ask, link);
		list_remove(&ask->link);
		core_ask_send(core, session, ask);
	}
}

static void send_cleanup(struct core *core, struct session *session, struct cleanup *cleanup)
{
	list_remove(&cleanup->link);
	switch ((enum cleanup_kind)cleanup->kind) {
	case CLEANUP_CHILD:
	case CLEANUP_TAKE_BACK:
		core_lending_send(core, session, BASE_CONTAINER(cleanup, struct lending, cleanup));
		break;
	case CLEANUP_REVOKE:
		session->round = BASE_CONTAINER(cleanup, struct revoking, cleanup)->round + 1;
		core_revoking_send(core, session, BASE_CONTAINER(cleanup, struct revoking, cleanup));
		break;
	case CLEANUP_PROCESS_GONE:
		core_presence_send(core, session, BASE_CONTAINER(cleanup, struct presence, cleanup));
		break;
	case CLEANUP_WATCH:
	case CLEANUP_UNWATCH:
		core_watch_send(core, session, cleanup);
		break;
	}
}

static void send_cleanups(struct core *core, struct session *session)
{
	struct session_class *class = &session->classes[WIRE_CLASS_CLEANUP];
	struct cleanup *cleanup;
	while (class->credits > 0 &&
		   (cleanup = LIST_FIRST(&session->revokes, struct cleanup, link)) != NULL)
		send_cleanup(core, session, cleanup);
	struct presence *presence;
	while (class->credits > CLEANUP_KEPT &&
		   (presence = LIST_FIRST(&class->queue, struct presence, turn)) != NULL) {
		list_remove(&presence->turn);
		cleanup = LIST_FIRST(&presence->waiting, struct cleanup, link);
		if (cleanup == NULL) /* nobody needs it any more */
			continue;
		if (cleanup->link.next != &presence->waiting)
			list_push(&class->queue, &presence->turn);
		send_cleanup(core, session, cleanup);
	}
}

/* A Process has one in each round, and rounds follow each other. As many wait as Processes may have
 * waiting together. It may go before what else its Process asked for: it names what is known to be
 * there, and a Process's end forgets it. */
void core_session_revoke(struct core *core, struct session *session, struct revoking *revoking)
{
	struct list *before = &session->revokes;
	revoking->round = session->round;
	for (struct list *at = session->revokes.next; at != &session->revokes; at = at->next) {
		struct revoking *other = BASE_CONTAINER(at, struct revoking, cleanup.link);
		if (other->process == revoking->process)
			revoking->round = other->round + 1;
	}
	while (before->prev != &session->revokes &&
		   BASE_CONTAINER(before->prev, struct revoking, cleanup.link)->round > revoking->round)
		before = before->prev;
	revoking->cleanup.kind = CLEANUP_REVOKE;
	list_insert_before(before, &revoking->cleanup.link);
	core_session_dirty(core, session);
}

/* Of one Process in order, of all in turn. */
void core_session_cleanup(struct core *core, struct presence *presence, struct cleanup *cleanup,
						  enum cleanup_kind kind)
{
	cleanup->kind = (uint8_t)kind;
	list_push(&presence->waiting, &cleanup->link);
	if (list_empty(&presence->turn))
		list_push(&presence->session->classes[WIRE_CLASS_CLEANUP].queue, &presence->turn);
	core_session_dirty(core, presence->session);
}

/* What deaths set off in numbers: so much now, the rest in steps of its own. */
static void tell(struct core *core, struct session *session)
{
	unsigned portion = core_children_tell(core, session, NOTICE_PORTION);
	if (portion == 0 && list_empty(&session->later))
		list_push(&core->later, &session->later);
}

void core_sessions_resume(struct core *core)
{
	while (!list_empty(&core->later))
		core_session_dirty(core, BASE_CONTAINER(list_pop(&core->later), struct session, later));
}

static bool must_return_credits(const struct session *session)
{
	for (unsigned i = 0; i < WIRE_CLASS_ANSWER; i++) {
		if (2 * session->classes[i].unreturned >= wire_class_credits((enum wire_class)i))
			return true;
	}
	return false;
}

void core_session_run(struct core *core, struct session *session)
{
	if (session->ending)
		return;
	tell(core, session);
	send_cleanups(core, session);
	send_invocations(core, session, WIRE_CLASS_ERROR);
	send_invocations(core, session, WIRE_CLASS_INVOKE);
	core_tracked_session_run(core, session);
	if (session->tell_registry && session->classes[WIRE_CLASS_REFERENCE].credits > 0)
		core_registry_tell(core, session);
	send_copies(core, session);
	if (must_return_credits(session)) {
		CORE_COVER(core, credit_alone);
		core_session_send(core, session, WIRE_MESSAGE_TYPE_CREDIT,
						  sizeof(struct wire_message_credit));
	}
}

/* ------------------------------------------------------------------ receiving */

/* The peer handles in order: so many of the oldest were handled. */
static void invocations_handled(struct core *core, struct session_class *class, uint32_t count)
{
	uint32_t early = BASE_MIN(class->early, count);
	class->early -= early;
	for (count -= early; count > 0; count--) {
		struct invocation *inv = LIST_FIRST(&class->flight, struct invocation, link);
		if (inv == NULL)
			return;
		CORE_COVER(core, inv_handled);
		core_invocation_free(core, inv);
	}
}

static bool take_credits(struct core *core, struct session *session,
						 const struct wire_message *head)
{
	for (unsigned i = 0; i < WIRE_CLASS_ANSWER; i++) {
		struct session_class *class = &session->classes[i];
		uint32_t back = head->credits[i];
		if (back == 0)
			continue;
		if (back > wire_class_credits((enum wire_class)i) - class->credits)
			return false;
		class->credits += back;
		if (i == WIRE_CLASS_INVOKE || i == WIRE_CLASS_ERROR)
			invocations_handled(core, class, back);
		if (i == WIRE_CLASS_DATA)
			core_outgoing_credits(core, session, back);
	}
	return true;
}

static void receive_heartbeat(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_heartbeat *message = (const void *)bytes;
	session->heard = message->sent;
	if (PLANTED(late_echo) && message->echo != 0)
		session->alive = core->now;
	if (message->echo > session->alive && message->echo <= session->beat)
		session->alive = message->echo;
}

/* By message; of CREDIT the header is all. */
static void (*const receivers[])(struct core *, struct session *, const uint8_t *) = {
	[WIRE_MESSAGE_TYPE_COPY] = core_receive_copy,
	[WIRE_MESSAGE_TYPE_DATA] = core_receive_data,
	[WIRE_MESSAGE_TYPE_INVOKE] = core_receive_invoke,
	[WIRE_MESSAGE_TYPE_ERROR] = core_receive_invoke,
	[WIRE_MESSAGE_TYPE_BOUNCE] = core_receive_bounce,
	[WIRE_MESSAGE_TYPE_ROOM] = core_receive_room,
	[WIRE_MESSAGE_TYPE_COPY_DONE] = core_receive_copy_done,
	[WIRE_MESSAGE_TYPE_DATA_STOP] = core_receive_data_stop,
	[WIRE_MESSAGE_TYPE_HEARTBEAT] = receive_heartbeat,
	[WIRE_MESSAGE_TYPE_REGISTRY] = core_receive_registry,
	[WIRE_MESSAGE_TYPE_CHILD] = core_receive_child,
	[WIRE_MESSAGE_TYPE_CHILD_DONE] = core_receive_child_done,
	[WIRE_MESSAGE_TYPE_REVOKE] = core_receive_revoke,
	[WIRE_MESSAGE_TYPE_REVOKE_DONE] = core_receive_revoke_done,
	[WIRE_MESSAGE_TYPE_PROCESS_GONE] = core_receive_process_gone,
	[WIRE_MESSAGE_TYPE_CHILD_GONE] = core_receive_child_gone,
	[WIRE_MESSAGE_TYPE_WATCH] = core_receive_watch,
	[WIRE_MESSAGE_TYPE_FIRED] = core_receive_fired,
	[WIRE_MESSAGE_TYPE_UNWATCH] = core_receive_unwatch,
	[WIRE_MESSAGE_TYPE_HOLD] = core_receive_hold,
	[WIRE_MESSAGE_TYPE_HELD] = core_receive_held,
	[WIRE_MESSAGE_TYPE_RELEASE] = core_receive_release,
	[WIRE_MESSAGE_TYPE_PASSED] = core_receive_passed,
	[WIRE_MESSAGE_TYPE_NONE] = core_receive_none,
};
_Static_assert(sizeof receivers / sizeof receivers[0] == WIRE_MESSAGE_TYPE_NONE + 1,
			   "the last message has the highest number");

/* NULL, or why the session ends. */
static const char *receive(struct core *core, struct session *session,
						   const struct core_event *event)
{
	if (!wire_check_message(event->bytes, event->size))
		return "a malformed message";
	const struct wire_message *head = (const void *)event->bytes;
	bool bulk = wire_message_on_bulk(head->type);
	if (bulk != (event->lane == CORE_BULK))
		return "a message on the wrong lane";
	if (head->sequence != session->sequence_in[bulk]++)
		return "a message is missing or came twice";
	enum wire_class number = wire_message_class(head->type);
	struct session_class *class = &session->classes[number];
	if (number != WIRE_CLASS_ANSWER && class->peers-- == 0)
		return "a message without a credit";
	count(&core->counters.received, head->type, 1);
	count(&core->counters.received_bytes, head->type, event->size);
	/* A credit is returned by what answers the message, except an invocation's: of what its
	 * handling sends, only what follows a bounce may say that it was handled. A COPY's comes back
	 * when the copy left. The credits in the message's own header are taken last: with a bounce may
	 * come the credit of what bounced before, whose record the bounce must still find. */
	bool invocation = number == WIRE_CLASS_INVOKE || number == WIRE_CLASS_ERROR;
	if (number != WIRE_CLASS_ANSWER && number != WIRE_CLASS_COPY && !invocation)
		class->unreturned++;
	if (receivers[head->type] != NULL)
		receivers[head->type](core, session, event->bytes);
	if (invocation && !PLANTED(credit_lost))
		class->unreturned++;
	return take_credits(core, session, head) ? NULL : "more credits than there are";
}

void core_session_message(struct core *core, const struct core_event *event)
{
	struct session *session = core_session_find(core, event->node);
	if (session == NULL || session->ending)
		return;
	const char *reason = receive(core, session, event);
	if (reason != NULL)
		core_session_break(core, session, reason);
	if (session->ending)
		core->counters.protocol_errors++;
	core_session_dirty(core, session);
}

/* ------------------------------------------------------------------ heartbeats */

/* A heartbeat carries the time at which it was sent, and the newest such time that came from the
 * peer. So its echo says until when all that we sent had arrived and all that was answered at once
 * has come back, however long the echo itself was on its way: what is counted is the time since the
 * beat that was echoed, not since its echo came. A peer's beat that echoes nothing new shows that
 * we can hear it, not that it can hear us, and counts for nothing. */
void core_session_beat(struct core *core, struct session *session)
{
	if (session->ending)
		return;
	/* Whoever comes late himself must not blame the peer for it: that time does not count. */
	uint64_t late = core->now - session->timer.when;
	if (late > core->config.heartbeat)
		session->alive += late;
	if (core->now - session->alive > core->config.failure_timeout && !PLANTED(dead_peer)) {
		core_session_break(core, session, "no answer to heartbeats");
		return;
	}
	struct wire_message_heartbeat *message =
		core_session_send(core, session, WIRE_MESSAGE_TYPE_HEARTBEAT, sizeof *message);
	message->sent = session->beat = core->now;
	message->echo = session->heard;
	core_timer_start(core, &session->timer, core_time_end(core, core->config.heartbeat));
}

/* ------------------------------------------------------------------ up and gone */

static void init_lists(struct session *session)
{
	struct list *lists[] = {
		&session->dirty,           &session->asks,      &session->turns,      &session->outgoing,
		&session->asked,           &session->incoming,  &session->waiters,    &session->parks,
		&session->children,        &session->gone,      &session->lendings,   &session->presences,
		&session->asked_revokings, &session->revokings, &session->later,      &session->monitors,
		&session->watchers,        &session->tracked,   &session->references, &session->holders,
		&session->transits,        &session->debts,     &session->revokes};
	for (unsigned i = 0; i < BASE_COUNT(lists); i++)
		list_init(lists[i]);
	for (unsigned i = 0; i < WIRE_CLASS_COUNT; i++) {
		struct session_class *class = &session->classes[i];
		class->credits = class->peers = wire_class_credits((enum wire_class)i);
		list_init(&class->queue);
		list_init(&class->flight);
	}
}

static void refuse(struct core *core, uint32_t node, const char *reason)
{
	struct core_output *out = core_output_add(core, CORE_END_SESSION);
	out->node = node;
	out->reason = reason;
}

void core_session_up(struct core *core, uint32_t node, uint64_t epoch)
{
	struct session *old = core_session_find(core, node);
	if (old != NULL) {
		old->rebooted = old->epoch != epoch;
		CORE_COVER(core, session_replace);
	}
	if (PLANTED(old_session) && old != NULL) {
		old->epoch = epoch;
		return;
	}
	core_session_gone(core, node);
	CORE_COVER(core, session_up);
	if (core->session_count == core->config.limits.sessions) {
		refuse(core, node, "too many sessions");
		return;
	}
	struct session *session = core_alloc(core, sizeof *session);
	if (session == NULL) {
		refuse(core, node, "no memory for a session");
		return;
	}
	*session = (struct session){.node = node, .epoch = epoch, .alive = core->now};
	init_lists(session);
	core_account_init(&session->account, NULL);
	list_push(core_hash_bucket(&core->sessions, node), &session->hash);
	list_push(&core->all_sessions, &session->all);
	core->session_count++;
	core_timer_init(&session->timer, TIMER_HEARTBEAT);
	core_timer_start(core, &session->timer, core_time_end(core, core->config.heartbeat));
	session->tell_registry =
		core->registry.ref.serial != 0 && core->registry.ref.node == core->config.node;
	core_session_dirty(core, session);
}

static void fail_all(struct core *core, struct list *invocations, fos_status status)
{
	while (!list_empty(invocations))
		core_invocation_fail(core, LIST_FIRST(invocations, struct invocation, link), status);
}

void core_session_gone(struct core *core, uint32_t node)
{
	struct session *session = core_session_find(core, node);
	if (session == NULL)
		return;
	/* From now on nothing is sent to it, whatever its end sets free. */
	session->ending = true;
	CORE_COVER(core, session_gone);
	list_remove(&session->hash);
	list_remove(&session->all);
	core_timer_stop(core, &session->timer);
	core->session_count--;
	core->counters.sessions_ended++;
	core_registry_session_end(core, session);
	core_waiter_session_end(core, session);
	core_asks_session_end(core, session);
	core_outgoing_session_end(core, session);
	core_incoming_session_end(core, session);
	core_copies_session_end(core, session);
	static const enum wire_class with_invocations[] = {WIRE_CLASS_INVOKE, WIRE_CLASS_ERROR};
	for (unsigned i = 0; i < BASE_COUNT(with_invocations); i++) {
		struct session_class *class = &session->classes[with_invocations[i]];
		fail_all(core, &class->flight, FOS_OUTCOME_UNKNOWN);
		fail_all(core, &class->queue, FOS_PEER_LOST);
	}
	core_park_session_end(core, session);
	core_revokings_session_end(core, session);
	core_lendings_session_end(core, session);
	core_tracked_session_end(core, session);
	core_watch_session_end(core, session);
	core_presences_session_end(core, session);
	core_children_session_end(core, session);
	core_account_end(core, &session->account);
	/* What its end set off wanted to tell it. */
	list_remove(&session->dirty);
	list_remove(&session->later);
	BASE_ASSERT(list_empty(&session->classes[WIRE_CLASS_CLEANUP].queue));
	BASE_ASSERT(list_empty(&session->revokes));
	core_free(core, session, sizeof *session);
}
