/* Parked invocations: the sender's end of a full inbox (see inbox.c for the messages).
 *
 * For one target there are those that came back (`bounced`, in the order they were sent) and those
 * that were appended meanwhile (`fresh`), which the owner does not know of until the next retry
 * tells it how many there are (`more`). `owed` is how many the owner will still ask for. */
#include "core/core_internal.h"

static struct list *bucket_of(struct core *core, const struct session *session,
							  const struct core_ref *target)
{
	return core_hash_bucket(&core->parks, target->serial ^ base_mix64((uintptr_t)session));
}

struct park *core_park_find(struct core *core, struct session *session,
							const struct core_ref *target)
{
	if (list_empty(&session->parks))
		return NULL;
	struct list *bucket = bucket_of(core, session, target);
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct park *park = BASE_CONTAINER(at, struct park, hash);
		if (park->session == session && park->target.serial == target->serial &&
			park->target.index == target->index)
			return park;
	}
	return NULL;
}

static struct park *add_park(struct core *core, struct session *session,
							 const struct core_ref *target)
{
	struct park *park = core_alloc_reserved(core, sizeof *park);
	*park = (struct park){.session = session, .target = *target};
	list_push(bucket_of(core, session, target), &park->hash);
	list_push(&session->parks, &park->of_session);
	list_init(&park->bounced);
	list_init(&park->fresh);
	return park;
}

/* What waits for a credit to be sent to the same target came before all that will be appended, so
 * it must not stay where a later one's retry could overtake it. Retries themselves are older. */
static void gather(struct core *core, struct park *park, enum wire_class class)
{
	struct list *queue = &park->session->classes[class].queue;
	for (struct list *at = queue->next, *next; at != queue; at = next) {
		struct invocation *inv = BASE_CONTAINER(at, struct invocation, link);
		next = at->next;
		if (inv->retry || inv->target.serial != park->target.serial ||
			inv->target.index != park->target.index)
			continue;
		CORE_COVER(core, inv_gather);
		list_remove(at);
		inv->park = park;
		list_push(&park->fresh, at);
		park->count++;
	}
}

static void enter(struct core *core, struct park *park, struct list *end, struct invocation *inv)
{
	inv->park = park;
	if (PLANTED(bounce_order))
		list_insert_before(end->next, &inv->link);
	else
		list_push(end, &inv->link);
	park->count++;
	core_invocation_wait(core, inv);
}

void core_park_append(struct core *core, struct park *park, struct invocation *inv)
{
	CORE_COVER(core, inv_append);
	enter(core, park, &park->fresh, inv);
}

static void return_room(struct core *core, struct session *session, const struct core_ref *target,
						uint32_t count)
{
	if (!session->ending)
		core_inbox_room(core, session, target, count);
}

void core_park_left(struct core *core, struct invocation *inv)
{
	struct park *park = inv->park;
	inv->park = NULL;
	if (--park->count > 0)
		return;
	list_remove(&park->hash);
	list_remove(&park->of_session);
	core_free(core, park, sizeof *park);
}

/* The one with this number, all older ones having been handled: the peer handles in order. */
static struct invocation *take_from_flight(struct core *core, struct session *session,
										   enum wire_class class, uint64_t order)
{
	struct session_class *state = &session->classes[class];
	struct invocation *inv;
	while ((inv = LIST_FIRST(&state->flight, struct invocation, link)) != NULL &&
		   inv->order <= order) {
		list_remove(&inv->link);
		state->early++;
		if (inv->order == order)
			return inv;
		core_invocation_free(core, inv);
	}
	return NULL;
}

void core_receive_bounce(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_bounce *message = (const void *)bytes;
	struct invocation *inv = take_from_flight(core, session, WIRE_CLASS_INVOKE, message->order);
	if (inv == NULL)
		inv = take_from_flight(core, session, WIRE_CLASS_ERROR, message->order);
	if (inv == NULL) {
		core_session_break(core, session, "a bounce of what was never sent");
		return;
	}
	if (message->refused != FOS_OK) {
		CORE_COVER(core, inv_refused);
		core_invocation_fail(core, inv, (fos_status)message->refused);
		return;
	}
	struct park *park = core_park_find(core, session, &inv->target);
	if (park == NULL) {
		park = add_park(core, session, &inv->target);
		gather(core, park, WIRE_CLASS_INVOKE);
		gather(core, park, WIRE_CLASS_ERROR);
	}
	CORE_COVER(core, inv_park);
	park->owed++;
	enter(core, park, &park->bounced, inv);
	if (inv->exception != NULL && !core_may_wait(core, inv)) {
		/* Too many exceptions wait already, and they are best effort. */
		core->counters.dropped++;
		core_invocation_free(core, inv);
	}
}

static void retry(struct core *core, struct park *park)
{
	struct session *session = park->session;
	CORE_COVER(core, inv_retry);
	struct list *from = list_empty(&park->bounced) ? &park->fresh : &park->bounced;
	struct invocation *inv = LIST_FIRST(from, struct invocation, link);
	list_remove(&inv->link);
	core_invocation_go(core, inv);
	park->owed -= park->owed > 0;
	uint32_t others = park->count - 1;
	uint32_t more = others > park->owed ? BASE_MIN(others - park->owed, (uint32_t)UINT16_MAX) : 0;
	park->owed += more;
	inv->retry = true;
	inv->more = (uint16_t)more;
	core_park_left(core, inv);
	core_session_invoke(core, session, inv);
}

static bool is_in_flight(const struct session *session, const struct core_ref *target)
{
	static const enum wire_class classes[] = {WIRE_CLASS_INVOKE, WIRE_CLASS_ERROR};
	for (unsigned i = 0; i < BASE_COUNT(classes); i++) {
		const struct list *flight = &session->classes[classes[i]].flight;
		for (const struct list *at = flight->next; at != flight; at = at->next) {
			const struct invocation *inv = BASE_CONTAINER(at, struct invocation, link);
			if (inv->target.serial == target->serial && inv->target.index == target->index)
				return true;
		}
	}
	return false;
}

/* What never left must not take a place while older ones are on their way: these may come back. It
 * follows them instead, and comes back with them. */
static void follow_flight(struct core *core, struct session *session, const struct core_ref *target)
{
	struct park *park = core_park_find(core, session, target);
	if (park == NULL || !list_empty(&park->bounced) || !is_in_flight(session, target))
		return;
	while ((park = core_park_find(core, session, target)) != NULL) {
		struct invocation *inv = LIST_FIRST(&park->fresh, struct invocation, link);
		if (inv == NULL)
			return;
		list_remove(&inv->link);
		core_invocation_go(core, inv);
		core_park_left(core, inv);
		core_session_invoke(core, session, inv);
	}
}

void core_park_unused(struct core *core, const struct invocation *inv)
{
	CORE_COVER(core, inv_unused);
	struct session *session;
	if (core_session_to(core, &inv->target, &session) != FOS_OK)
		return;
	/* The place goes back first: it was asked for before what follows now. */
	struct park *park = core_park_find(core, session, &inv->target);
	bool behind = park != NULL && list_empty(&park->bounced) && is_in_flight(session, &inv->target);
	if (park == NULL || behind)
		return_room(core, session, &inv->target, 1);
	if (behind)
		follow_flight(core, session, &inv->target);
	if (park == NULL || behind)
		return;
	/* As if it had not been asked for, nor told of others. */
	park->owed -= BASE_MIN(park->owed, (uint32_t)inv->more);
	park->owed++;
	retry(core, park);
}

void core_park_room(struct core *core, struct session *session,
					const struct wire_message_room *room)
{
	struct core_ref target = {session->node, room->index, room->epoch, room->serial};
	struct park *park;
	uint32_t sent = 0;
	/* Looked for anew each time: the last one takes the park with it. */
	for (; sent < room->count && (park = core_park_find(core, session, &target)) != NULL; sent++) {
		if (list_empty(&park->bounced) && is_in_flight(session, &target))
			break;
		retry(core, park);
	}
	if (sent == room->count)
		return;
	return_room(core, session, &target, room->count - sent);
	follow_flight(core, session, &target);
}

/* Parked ones did not run, and the room for them is gone. */
void core_park_session_end(struct core *core, struct session *session)
{
	struct park *park;
	while ((park = LIST_FIRST(&session->parks, struct park, of_session)) != NULL) {
		for (uint32_t left = park->count; left > 0; left--) {
			struct list *from = list_empty(&park->bounced) ? &park->fresh : &park->bounced;
			core_invocation_fail(core, LIST_FIRST(from, struct invocation, link), FOS_PEER_LOST);
		}
	}
}
