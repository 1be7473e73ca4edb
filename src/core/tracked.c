/* Tracked children: who holds one, and monitor_delegate, which fires when no one else does.
 *
 * M is the Controller of the maker's Process, B the object's owner (often M itself), A whoever
 * sends a capability of it, C whoever receives it. The owner counts Controllers, each Controller
 * counts what it has.
 *
 *     M or A                        C                                 B
 *       | any message with the        |                                 |
 *       | child among its entries     |                                 |
 *       |---------------------------->| held here: HOLD                 |
 *       | in transit: A's own         |-------------------------------->| C is a holder,
 *       | reference stays             |<--------------------------------| HELD, number 7
 *       |<----------------------------| PASSED, number 7                |
 *       | (A lets go: RELEASE) -------|-------------------------------->|
 *       |                             | the last one dropped: RELEASE   |
 *       |                             |-------------------------------->| no holder, nothing
 *       |                             |                                 | here, no child below
 *     M |<--------------------------------------------------------------| NONE, 7 were registered
 *       | nobody else here, nothing in transit, and NONE is not older than any PASSED: dead to M
 *       |-------------------------------------------------------------->| REVOKE: dead
 *       |<--------------------------------------------------------------| REVOKE_DONE
 *       | the monitor fires
 *
 * Why a firing is right. While somebody holds it, look how it came there: node after node, back to
 * the last time that M sent it. The first of these nodes was registered as number n when it paid M
 * its PASSED, and each next one was registered before the one before it let go. So from number n on
 * the owner always knew one of them, and a NONE of number n or more was not sent. Numbers rise, and
 * when the child comes to B itself, that counts as a registration too: else a NONE sent before it
 * came would look younger than its coming. A session that ends takes with it what was on its way
 * and what the two owed each other; a reference whose way was cut before it was confirmed can die
 * with a firing, as it would by any other failure.
 *
 * Who holds is looked at when a step ends, for the records that changed: what came and went within
 * one step was not held. A *use* (an invocation through the child, a copy from or to it, a call
 * that makes a child of it) keeps the child from firing, and its user registered, but is no
 * delegation: the maker may use its child.
 *
 * A holder's record:
 *
 *     IDLE --held--> HOLD queued --credit--> HOLD sent --HELD--> REGISTERED --not held--.
 *      ^               | not held                                  ^  held again         v
 *      |<--------------'                                           '------------- RELEASE queued
 *      '------------------------------------------------------------------credit--------'
 */
#include "core/core_internal.h"

/* ------------------------------------------------------------------ records */

static uint64_t key_of(const struct core_ref *ref)
{
	return ref->serial ^ ref->epoch;
}

uint64_t core_tracked_key(const struct list *node)
{
	return key_of(&BASE_CONTAINER(node, struct tracked, hash)->ref);
}

static struct tracked *find(struct core *core, const struct core_ref *ref)
{
	struct list *bucket = core_lookup_bucket(&core->tracked, key_of(ref));
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct tracked *tracked = BASE_CONTAINER(at, struct tracked, hash);
		if (core_ref_equal(&tracked->ref, ref))
			return tracked;
	}
	return NULL;
}

static struct tracked *make(struct core *core, const struct core_ref *ref)
{
	struct tracked *tracked = core_alloc(core, sizeof *tracked);
	if (tracked == NULL)
		return NULL;
	*tracked = (struct tracked){.core = core, .ref = *ref};
	struct list *lists[] = {&tracked->changed,  &tracked->queue, &tracked->of_owner,
							&tracked->transits, &tracked->debts, &tracked->holders,
							&tracked->monitors};
	for (unsigned i = 0; i < BASE_COUNT(lists); i++)
		list_init(lists[i]);
	core_lookup_add(core, &core->tracked, &tracked->hash);
	return tracked;
}

void core_tracked_touch(struct tracked *tracked)
{
	if (tracked != NULL && list_empty(&tracked->changed))
		list_push(&tracked->core->tracked_changed, &tracked->changed);
}

void core_tracked_use(struct tracked *tracked)
{
	if (tracked == NULL)
		return;
	tracked->uses++;
	core_tracked_touch(tracked);
}

void core_tracked_unuse(struct tracked *tracked)
{
	if (tracked == NULL)
		return;
	BASE_ASSERT(tracked->uses > 0);
	tracked->uses--;
	core_tracked_touch(tracked);
}

struct tracked *core_tracked_find(struct core *core, const struct core_ref *ref)
{
	return find(core, ref);
}

/* Others than the maker's plain slots, counted in this node alone. */
static bool is_had(const struct tracked *tracked)
{
	BASE_ASSERT(tracked->refs >= tracked->own);
	return tracked->refs > tracked->own || tracked->in_transit > 0;
}

static bool is_needed(const struct tracked *tracked)
{
	return is_had(tracked) || tracked->uses > 0;
}

static bool is_rubbish(const struct tracked *tracked)
{
	return tracked->refs == 0 && tracked->uses == 0 && !tracked->pinned &&
		   tracked->state == TRACKED_IDLE && list_empty(&tracked->transits) &&
		   list_empty(&tracked->debts) && list_empty(&tracked->monitors);
}

static void free_rubbish(struct core *core, struct tracked *tracked)
{
	if (!is_rubbish(tracked))
		return;
	BASE_ASSERT(list_empty(&tracked->holders) && list_empty(&tracked->queue));
	core_lookup_remove(&core->tracked, &tracked->hash);
	list_remove(&tracked->changed);
	list_remove(&tracked->of_owner);
	core_free(core, tracked, sizeof *tracked);
}

/* ------------------------------------------------------------------ what is on its way, and owed
 */

static struct passage *find_passage(const struct list *of_tracked, const struct session *session)
{
	for (struct list *at = of_tracked->next; at != of_tracked; at = at->next) {
		struct passage *passage = BASE_CONTAINER(at, struct passage, of_tracked);
		if (passage->session == session)
			return passage;
	}
	return NULL;
}

/* The one that is there, or a new one. NULL: no memory. */
static struct passage *get_passage(struct core *core, struct tracked *tracked,
								   struct list *of_tracked, struct session *session,
								   struct list *of_session)
{
	struct passage *passage = find_passage(of_tracked, session);
	if (passage != NULL)
		return passage;
	passage = core_alloc(core, sizeof *passage);
	if (passage == NULL)
		return NULL;
	*passage = (struct passage){.tracked = tracked, .session = session};
	list_push(of_tracked, &passage->of_tracked);
	list_push(of_session, &passage->of_session);
	return passage;
}

static void free_passage(struct core *core, struct passage *passage)
{
	core_tracked_touch(passage->tracked);
	list_remove(&passage->of_tracked);
	list_remove(&passage->of_session);
	core_free(core, passage, sizeof *passage);
}

static void less_in_transit(struct core *core, struct passage *passage, uint32_t count)
{
	passage->count -= count;
	passage->tracked->in_transit -= count;
	if (passage->count == 0)
		free_passage(core, passage);
}

static void send_passed(struct core *core, struct session *session, const struct core_ref *ref,
						uint64_t number, uint32_t count)
{
	if (session->ending)
		return;
	struct wire_message_passed *message =
		core_session_send(core, session, WIRE_MESSAGE_TYPE_PASSED, sizeof *message);
	message->epoch = ref->epoch;
	message->serial = ref->serial;
	message->number = number;
	message->node = ref->node;
	message->index = ref->index;
	message->count = count;
}

/* In place of a registration: it was not kept, or it was, but the child is dead. The second must
 * not look like the first to a maker's Controller that does not know it yet: nobody let go. */
static const uint64_t not_kept = 0, known_dead = UINT64_MAX;

/* Everybody's, by this registration. */
static void pay(struct core *core, struct tracked *tracked, uint64_t number)
{
	struct passage *debt;
	while ((debt = LIST_FIRST(&tracked->debts, struct passage, of_tracked)) != NULL) {
		send_passed(core, debt->session, &tracked->ref, number, debt->count);
		free_passage(core, debt);
	}
}

/* ------------------------------------------------------------------ sending */

fos_status core_tracked_usable(const struct tracked *tracked)
{
	if (tracked->fired)
		return FOS_REVOKED;
	if (!tracked->lost)
		return FOS_OK;
	struct session *session;
	return core_session_to(tracked->core, &tracked->ref, &session) == FOS_STALE ? FOS_STALE
																				: FOS_PEER_LOST;
}

static fos_status set_out(struct core *core, struct session *session, struct tracked *tracked)
{
	fos_status status = core_tracked_usable(tracked);
	if (status != FOS_OK)
		return status;
	struct passage *transit =
		get_passage(core, tracked, &tracked->transits, session, &session->transits);
	if (transit == NULL)
		return FOS_QUOTA;
	transit->count++;
	tracked->in_transit++;
	tracked->armed = true;
	core_tracked_touch(tracked);
	return FOS_OK;
}

fos_status core_tracked_set_out(struct core *core, struct session *session, const struct plan *plan)
{
	if (!plan->tracked)
		return FOS_OK;
	for (unsigned i = 1; i < plan->count; i++) {
		struct tracked *tracked = core_value_tracked(plan->values[i]);
		fos_status status = tracked != NULL ? set_out(core, session, tracked) : FOS_OK;
		if (status == FOS_OK)
			continue;
		while (--i > 0) {
			tracked = core_value_tracked(plan->values[i]);
			if (tracked != NULL)
				less_in_transit(core, find_passage(&tracked->transits, session), 1);
		}
		return status;
	}
	return FOS_OK;
}

void core_receive_passed(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_passed *message = (const void *)bytes;
	struct core_ref ref = {message->node, message->index, message->epoch, message->serial};
	struct tracked *tracked = find(core, &ref);
	struct passage *transit = NULL;
	if (tracked != NULL)
		transit = find_passage(&tracked->transits, session);
	if (transit == NULL || transit->count < message->count) {
		core_session_break(core, session, "more tracked references came than were sent");
		return;
	}
	tracked->passed = BASE_MAX(tracked->passed, message->number);
	less_in_transit(core, transit, message->count);
}

/* ------------------------------------------------------------------ receiving */

fos_status core_tracked_meet(struct core *core, const struct core_ref *ref, struct tracked **out)
{
	struct tracked *tracked = find(core, ref);
	*out = tracked;
	/* What the owner does not know is dead for ever: nothing is to be tracked any more. */
	if (tracked != NULL || ref->node == core->config.node)
		return FOS_OK;
	*out = tracked = make(core, ref);
	if (tracked == NULL)
		return FOS_QUOTA;
	struct session *owner;
	if (core_session_to(core, ref, &owner) == FOS_OK) {
		tracked->owner = owner;
		list_push(&owner->tracked, &tracked->of_owner);
	} else {
		tracked->lost = true;
	}
	core_tracked_touch(tracked);
	return FOS_OK;
}

/* The sender is owed one PASSED for this entry. */
static fos_status owe(struct core *core, struct session *session, const struct core_ref *ref)
{
	struct tracked *tracked = find(core, ref);
	bool registers = tracked != NULL && !tracked->pinned && !tracked->lost && !tracked->over;
	if (!registers) {
		uint64_t number = not_kept;
		/* The owner's number is a new one, so that no NONE from before this can match it. */
		if (tracked == NULL || tracked->over)
			number = known_dead;
		else if (tracked->object != NULL)
			number = ++tracked->registrations;
		send_passed(core, session, ref, number, 1);
		core_tracked_touch(tracked);
		return FOS_OK;
	}
	struct passage *debt = get_passage(core, tracked, &tracked->debts, session, &session->debts);
	if (debt == NULL)
		return FOS_QUOTA;
	debt->count++;
	core_tracked_touch(tracked);
	return FOS_OK;
}

static struct core_ref ref_of(const struct wire_entry *entry)
{
	return (struct core_ref){entry->node, entry->index, entry->epoch, entry->serial};
}

fos_status core_tracked_arrived(struct core *core, struct session *session,
								const struct wire_args_view *view, bool kept)
{
	const struct wire_entry *entries = view->entries;
	fos_status status = FOS_OK;
	for (unsigned i = 1; i < view->head->entry_count; i++) {
		if (!entries[i].tracked)
			continue;
		struct core_ref ref = ref_of(&entries[i]);
		if (kept && status == FOS_OK)
			status = owe(core, session, &ref);
		if (!kept || status != FOS_OK)
			send_passed(core, session, &ref, not_kept, 1);
	}
	return status;
}

/* ------------------------------------------------------------------ a holder */

static void enqueue(struct core *core, struct tracked *tracked, enum tracked_state state)
{
	tracked->state = state;
	list_push(&tracked->owner->references, &tracked->queue);
	core_session_dirty(core, tracked->owner);
}

static void dequeue(struct tracked *tracked, enum tracked_state state)
{
	tracked->state = state;
	list_remove(&tracked->queue);
}

static void look_as_holder(struct core *core, struct tracked *tracked)
{
	bool needed = is_needed(tracked);
	switch (tracked->state) {
	case TRACKED_IDLE:
		if (needed && !tracked->lost && !tracked->over) {
			CORE_COVER(core, hold_queue);
			enqueue(core, tracked, TRACKED_HOLD_QUEUED);
		} else
			pay(core, tracked, tracked->over ? known_dead : not_kept);
		break;
	case TRACKED_HOLD_QUEUED:
		if (needed)
			break;
		CORE_COVER(core, hold_drop);
		dequeue(tracked, TRACKED_IDLE);
		pay(core, tracked, not_kept);
		break;
	case TRACKED_HOLD_SENT:
		if (!needed && PLANTED(release_early))
			enqueue(core, tracked, TRACKED_RELEASE_QUEUED);
		if (PLANTED(passed_early))
			pay(core, tracked, 0);
		break;
	case TRACKED_REGISTERED:
		pay(core, tracked, tracked->number);
		if (needed || PLANTED(release_never))
			break;
		CORE_COVER(core, release_queue);
		enqueue(core, tracked, TRACKED_RELEASE_QUEUED);
		break;
	case TRACKED_RELEASE_QUEUED:
		pay(core, tracked, tracked->number);
		if (!needed)
			break;
		CORE_COVER(core, release_undo);
		dequeue(tracked, TRACKED_REGISTERED);
		break;
	}
}

static void send_reference(struct core *core, struct session *session, struct tracked *tracked)
{
	bool hold = tracked->state == TRACKED_HOLD_QUEUED;
	/* RELEASE has the same layout. */
	struct wire_message_hold *message = core_session_send(
		core, session, hold ? WIRE_MESSAGE_TYPE_HOLD : WIRE_MESSAGE_TYPE_RELEASE, sizeof *message);
	message->epoch = tracked->ref.epoch;
	message->serial = tracked->ref.serial;
	message->index = tracked->ref.index;
	core->cover[hold ? COVER_hold_sent : COVER_release_sent]++;
	dequeue(tracked, hold ? TRACKED_HOLD_SENT : TRACKED_IDLE);
	core_tracked_touch(tracked);
}

void core_tracked_session_run(struct core *core, struct session *session)
{
	struct tracked *tracked;
	while (session->classes[WIRE_CLASS_REFERENCE].credits > 0 &&
		   (tracked = LIST_FIRST(&session->references, struct tracked, queue)) != NULL)
		send_reference(core, session, tracked);
}

/* No use of it goes on; its slots are to be closed. */
static void lose(struct tracked *tracked)
{
	CORE_COVER(tracked->core, tracked_lost);
	tracked->lost = true;
	dequeue(tracked, TRACKED_IDLE);
	core_tracked_touch(tracked);
}

void core_receive_held(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_held *message = (const void *)bytes;
	struct core_ref ref = {session->node, message->index, session->epoch, message->serial};
	struct tracked *tracked = find(core, &ref);
	if (tracked == NULL || tracked->state != TRACKED_HOLD_SENT) {
		core_session_break(core, session, "a registration that was not asked for");
		return;
	}
	tracked->state = TRACKED_IDLE;
	if (message->status == FOS_OK) {
		CORE_COVER(core, held);
		tracked->state = TRACKED_REGISTERED;
		tracked->number = message->number;
	} else if (message->status == FOS_REVOKED) {
		CORE_COVER(core, held_dead);
		tracked->over = true;
	} else {
		lose(tracked);
		core_spaces_sweep(core);
	}
	core_tracked_touch(tracked);
}

/* ------------------------------------------------------------------ the owner */

fos_status core_tracked_object(struct core *core, struct object *object)
{
	struct core_ref ref = core_object_ref(core, object);
	struct tracked *tracked = make(core, &ref);
	if (tracked == NULL)
		return FOS_QUOTA;
	tracked->object = object;
	tracked->pinned = true;
	tracked->maker_here = object->maker.node == core->config.node;
	tracked->maker = object->maker.process;
	object->tracked = tracked;
	return FOS_OK;
}

static struct holder *find_holder(const struct tracked *tracked, const struct session *session)
{
	for (struct list *at = tracked->holders.next; at != &tracked->holders; at = at->next) {
		struct holder *holder = BASE_CONTAINER(at, struct holder, of_tracked);
		if (holder->session == session)
			return holder;
	}
	return NULL;
}

static void free_holder(struct core *core, struct holder *holder)
{
	core_tracked_touch(holder->tracked);
	list_remove(&holder->of_tracked);
	list_remove(&holder->of_session);
	core_free(core, holder, sizeof *holder);
}

/* The tracked child of this node that is alive; NULL: none. */
static struct tracked *find_living(struct core *core, uint64_t epoch, uint64_t serial,
								   uint32_t index)
{
	struct core_ref ref = {core->config.node, index, epoch, serial};
	struct tracked *tracked = find(core, &ref);
	return tracked != NULL && tracked->object != NULL ? tracked : NULL;
}

static fos_status register_holder(struct core *core, struct session *session,
								  struct tracked *tracked)
{
	if (tracked == NULL)
		return FOS_REVOKED;
	if (PLANTED(held_lost))
		return FOS_OK;
	struct holder *holder = core_alloc(core, sizeof *holder);
	if (holder == NULL)
		return FOS_QUOTA;
	*holder = (struct holder){.tracked = tracked, .session = session};
	list_push(&tracked->holders, &holder->of_tracked);
	list_push(&session->holders, &holder->of_session);
	tracked->registrations++;
	return FOS_OK;
}

void core_receive_hold(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_hold *message = (const void *)bytes;
	struct tracked *tracked = find_living(core, message->epoch, message->serial, message->index);
	if (tracked != NULL && find_holder(tracked, session) != NULL) {
		core_session_break(core, session, "a tracked child that is held twice");
		return;
	}
	fos_status status = register_holder(core, session, tracked);
	struct wire_message_held *answer =
		core_session_send(core, session, WIRE_MESSAGE_TYPE_HELD, sizeof *answer);
	answer->serial = message->serial;
	answer->number = status == FOS_OK ? tracked->registrations : 0;
	answer->index = message->index;
	answer->status = status;
}

void core_receive_release(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_release *message = (const void *)bytes;
	struct tracked *tracked = find_living(core, message->epoch, message->serial, message->index);
	if (tracked == NULL)
		return;
	struct holder *holder = find_holder(tracked, session);
	if (holder != NULL)
		free_holder(core, holder);
	else
		core_session_break(core, session, "a tracked child let go that was not held");
}

static void tell_maker(struct core *core, struct tracked *tracked)
{
	const struct maker *maker = &tracked->object->maker;
	struct core_ref node = {.node = maker->node, .epoch = maker->epoch};
	struct session *session;
	tracked->told = tracked->registrations;
	if (core_session_to(core, &node, &session) != FOS_OK || PLANTED(none_lost))
		return;
	struct wire_message_none *message =
		core_session_send(core, session, WIRE_MESSAGE_TYPE_NONE, sizeof *message);
	message->serial = tracked->ref.serial;
	message->number = tracked->registrations;
	message->index = tracked->ref.index;
}

/* ------------------------------------------------------------------ the maker */

fos_status core_tracked_lent(struct core *core, const struct core_ref *ref, uint32_t process)
{
	/* An owner that delegates what it has not named yet is out of its mind. */
	struct tracked *tracked = find(core, ref) == NULL ? make(core, ref) : NULL;
	if (tracked == NULL)
		return FOS_QUOTA;
	tracked->pinned = true;
	tracked->maker_here = true;
	tracked->maker = process;
	return FOS_OK;
}

bool core_tracked_is_maker(const struct tracked *tracked, const struct process *process)
{
	return tracked->maker_here && tracked->maker == process->serial;
}

fos_status core_tracked_may_watch(const struct tracked *tracked, const struct process *process)
{
	return core_tracked_is_maker(tracked, process) ? FOS_OK : FOS_DENIED;
}

void core_tracked_watch(struct core *core, struct tracked *tracked, struct monitor *monitor)
{
	if (tracked->over) {
		struct session *session;
		/* Whoever lost the owner may have learned since that it was started anew. */
		if (tracked->ref.node != core->config.node &&
			core_session_to(core, &tracked->ref, &session) == FOS_STALE)
			tracked->stale = true;
		core_monitor_fire(core, monitor, tracked->stale ? FOS_GONE_CONTROLLER : FOS_GONE_REVOKED);
		return;
	}
	list_push(&tracked->monitors, &monitor->of_tracked);
	core_tracked_touch(tracked);
}

static void fire_all(struct core *core, struct tracked *tracked, enum fos_gone gone)
{
	struct monitor *monitor;
	while ((monitor = LIST_FIRST(&tracked->monitors, struct monitor, of_tracked)) != NULL)
		core_monitor_fire(core, monitor, gone);
}

void core_receive_none(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_none *message = (const void *)bytes;
	struct core_ref ref = {session->node, message->index, session->epoch, message->serial};
	struct tracked *tracked = find(core, &ref);
	/* It crossed with the child's end. */
	if (tracked == NULL || !tracked->pinned)
		return;
	tracked->none = message->number;
	core_tracked_touch(tracked);
}

static bool may_fire(const struct tracked *tracked)
{
	return tracked->armed && !tracked->fired && !list_empty(&tracked->monitors);
}

/* The monitor fires with the answer to the REVOKE: what a lost session left under way may reach the
 * child until then. */
static void look_as_maker(struct core *core, struct tracked *tracked)
{
	tracked->armed |= is_had(tracked);
	if (is_needed(tracked) || tracked->none < tracked->passed || !may_fire(tracked))
		return;
	CORE_COVER(core, fired_maker);
	tracked->fired = true;
	core_lending_kill(core, &tracked->ref);
}

static void look_as_owner(struct core *core, struct tracked *tracked)
{
	bool elsewhere = core_object_is_lent(tracked->object) || !list_empty(&tracked->holders);
	bool none = !elsewhere && !is_needed(tracked);
	if (!tracked->maker_here) {
		/* No one can come to have it again without another registration. */
		if (none && tracked->told < tracked->registrations)
			tell_maker(core, tracked);
		return;
	}
	tracked->armed |= elsewhere || is_had(tracked);
	if (!none || !may_fire(tracked))
		return;
	CORE_COVER(core, fired_owner);
	tracked->fired = true;
	core_object_kill(core, tracked->object, FOS_GONE_REVOKED);
}

/* ------------------------------------------------------------------ a step's end, other ends */

unsigned core_tracked_run(struct core *core, unsigned portion)
{
	for (; portion > 0 && !list_empty(&core->tracked_changed); portion--) {
		struct tracked *tracked =
			BASE_CONTAINER(list_pop(&core->tracked_changed), struct tracked, changed);
		if (tracked->object != NULL)
			look_as_owner(core, tracked);
		else if (tracked->pinned)
			look_as_maker(core, tracked);
		else
			look_as_holder(core, tracked);
		free_rubbish(core, tracked);
	}
	return portion;
}

/* The child is dead: nobody asks who holds it. */
static void end(struct core *core, struct tracked *tracked, enum fos_gone gone)
{
	tracked->pinned = false;
	tracked->over = true;
	tracked->stale = gone == FOS_GONE_CONTROLLER;
	bool unheld = tracked->fired && gone == FOS_GONE_REVOKED;
	fire_all(core, tracked, unheld ? FOS_GONE_UNHELD : gone);
	core_tracked_touch(tracked);
}

void core_tracked_object_end(struct core *core, struct object *object)
{
	struct tracked *tracked = object->tracked;
	if (tracked == NULL)
		return;
	object->tracked = NULL;
	tracked->object = NULL;
	struct holder *holder;
	while ((holder = LIST_FIRST(&tracked->holders, struct holder, of_tracked)) != NULL)
		free_holder(core, holder);
	end(core, tracked, (enum fos_gone)object->gone);
}

void core_tracked_lent_end(struct core *core, const struct core_ref *ref, enum fos_gone gone)
{
	struct tracked *tracked = find(core, ref);
	if (tracked != NULL && tracked->pinned)
		end(core, tracked, gone);
}

static void lose_all_of(struct core *core, struct session *owner)
{
	if (!list_empty(&owner->tracked))
		core_spaces_sweep(core);
	struct tracked *tracked;
	while ((tracked = LIST_FIRST(&owner->tracked, struct tracked, of_owner)) != NULL) {
		list_remove(&tracked->of_owner);
		tracked->owner = NULL;
		lose(tracked);
	}
}

void core_tracked_session_end(struct core *core, struct session *session)
{
	struct holder *holder;
	while ((holder = LIST_FIRST(&session->holders, struct holder, of_session)) != NULL)
		free_holder(core, holder);
	struct passage *passage;
	while ((passage = LIST_FIRST(&session->debts, struct passage, of_session)) != NULL)
		free_passage(core, passage);
	while ((passage = LIST_FIRST(&session->transits, struct passage, of_session)) != NULL)
		less_in_transit(core, passage, passage->count);
	lose_all_of(core, session);
	if (PLANTED(lose_all)) {
		struct list *all = &core->all_sessions;
		for (struct list *at = all->next; at != all; at = at->next)
			lose_all_of(core, BASE_CONTAINER(at, struct session, all));
	}
}
