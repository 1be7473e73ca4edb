/* The inbox: places for open deliveries, and who gets the next one when they are taken.
 *
 *     sender's Controller                    owner
 *       | INVOKE order 7                       |
 *       |------------------------------------->| no place, or others wait: remember the source
 *       |<-------------------------------------| BOUNCE order 7
 *       | (parked, in order)                   | ... a place becomes free, the source's turn:
 *       |<-------------------------------------| ROOM 1, the place is kept
 *       | INVOKE retry, more parked besides    |
 *       |------------------------------------->| delivered
 *       |<-------------------------------------| (ROOM with nothing parked comes back as ROOM)
 *
 * Sources (sessions, Processes of this node, the Controller itself) have their turn one after the
 * other. While a source has anything waiting for an object, whatever else it sends there waits
 * too: order is kept. Of a dead object all that wait are asked for, and refused. */
#include "core/core_internal.h"

/* ------------------------------------------------------------------ waiters */

static const struct account *source_of(const struct core *core, const struct invocation *inv,
									   const struct session *session)
{
	if (session != NULL)
		return &session->account;
	return inv->account->process != NULL ? inv->account : &core->house;
}

static struct list *bucket_of(struct core *core, const struct object *object,
							  const struct account *source)
{
	return core_hash_bucket(&core->waiters, object->serial ^ base_mix64((uintptr_t)source));
}

static struct waiter *find_waiter(struct core *core, const struct object *object,
								  const struct account *source, const struct session *session)
{
	if (list_empty(&object->request.waiters))
		return NULL;
	struct list *bucket = bucket_of(core, object, source);
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct waiter *waiter = BASE_CONTAINER(at, struct waiter, hash);
		if (waiter->object == object && waiter->source == source && waiter->session == session)
			return waiter;
	}
	return NULL;
}

static struct waiter *add_waiter(struct core *core, struct object *object,
								 const struct account *source, struct session *session)
{
	struct waiter *waiter = core_alloc(core, sizeof *waiter);
	if (waiter == NULL)
		return NULL;
	*waiter = (struct waiter){.object = object, .session = session, .source = source};
	list_push(bucket_of(core, object, source), &waiter->hash);
	list_push(&object->request.waiters, &waiter->of_object);
	list_init(&waiter->of_source);
	if (session != NULL)
		list_push(&session->waiters, &waiter->of_source);
	list_init(&waiter->turn);
	list_init(&waiter->invocations);
	return waiter;
}

static void free_waiter(struct core *core, struct waiter *waiter)
{
	struct channel *channel = waiter->object->request.channel;
	channel->reserved -= waiter->granted;
	channel->process->reserved -= waiter->granted;
	if (waiter->granted > 0)
		core_process_wake(core, channel->process);
	list_remove(&waiter->hash);
	list_remove(&waiter->of_object);
	list_remove(&waiter->of_source);
	list_remove(&waiter->turn);
	core_free(core, waiter, sizeof *waiter);
}

/* After count or granted changed: in turn while something waits without a place kept. */
static void settle_waiter(struct core *core, struct waiter *waiter)
{
	if (waiter->count == 0) {
		free_waiter(core, waiter);
	} else if (waiter->count <= waiter->granted) {
		list_remove(&waiter->turn);
	} else if (list_empty(&waiter->turn)) {
		list_push(&waiter->object->request.channel->turns, &waiter->turn);
		core_channel_wake(core, waiter->object->request.channel);
	}
}

/* ------------------------------------------------------------------ arrival */

/* A delivery is made only with room for its finish, should that have to wait. */
static bool has_place(const struct core *core, const struct channel *channel)
{
	const struct process *process = channel->process;
	const struct core_limits *limits = &core->config.limits;
	return channel->open + channel->reserved < limits->deliveries &&
		   process->account.finishing + process->usage.deliveries + process->reserved <
			   limits->parked;
}

static fos_status wait_here(struct core *core, struct invocation *inv, struct object *object,
							struct waiter *waiter)
{
	if (!core_may_wait(core, inv))
		return FOS_QUOTA;
	if (waiter == NULL)
		waiter = add_waiter(core, object, source_of(core, inv, NULL), NULL);
	if (waiter == NULL)
		return FOS_QUOTA;
	struct invocation *kept = core_invocation_keep(core, inv);
	if (kept == NULL) {
		settle_waiter(core, waiter);
		return FOS_QUOTA;
	}
	CORE_COVER(core, inv_wait);
	kept->waiter = waiter;
	list_push(&waiter->invocations, &kept->link);
	core_invocation_wait(core, kept);
	waiter->count++;
	settle_waiter(core, waiter);
	return FOS_OK;
}

void core_inbox_bounce(struct core *core, struct session *session, const struct core_ref *target,
					   uint64_t order, fos_status refused)
{
	struct wire_message_bounce *message =
		core_session_send(core, session, WIRE_MESSAGE_TYPE_BOUNCE,
						  sizeof *message + sizeof(struct wire_args) + sizeof(struct wire_entry));
	message->epoch = target->epoch;
	message->serial = target->serial;
	message->index = target->index;
	message->order = order;
	message->refused = (uint16_t)refused;
	struct wire_args *args = (void *)(message + 1);
	args->entry_count = 1;
}

static fos_status bounce(struct core *core, struct invocation *inv, struct object *object,
						 struct waiter *waiter, struct session *session)
{
	if (waiter == NULL)
		waiter = add_waiter(core, object, &session->account, session);
	if (waiter == NULL)
		return FOS_QUOTA;
	waiter->count++;
	settle_waiter(core, waiter);
	CORE_COVER(core, inbox_bounce);
	core->counters.bounces++;
	core_inbox_bounce(core, session, &inv->target, inv->order, FOS_OK);
	core_invocation_drop(core, inv);
	return FOS_OK;
}

/* The place that was kept for it. */
static void use_granted(struct core *core, struct waiter *waiter, uint32_t more)
{
	struct channel *channel = waiter->object->request.channel;
	waiter->granted--;
	channel->reserved--;
	channel->process->reserved--;
	waiter->count += more;
	waiter->count--;
	settle_waiter(core, waiter);
}

void core_inbox_lost(struct core *core, struct object *object, struct session *session, bool retry,
					 uint32_t more)
{
	struct channel *channel = object->request.channel;
	struct waiter *waiter = retry ? find_waiter(core, object, &session->account, session) : NULL;
	if (waiter == NULL || waiter->granted == 0)
		return;
	CORE_COVER(core, inbox_lost);
	use_granted(core, waiter, more);
	core_process_wake(core, channel->process);
}

fos_status core_arrive(struct core *core, struct invocation *inv, struct object *object,
					   struct session *session)
{
	if (object->once)
		return core_once_arrive(core, inv, object);
	struct channel *channel = object->request.channel;
	struct waiter *waiter = find_waiter(core, object, source_of(core, inv, session), session);
	if (session != NULL && inv->retry && waiter != NULL && waiter->granted > 0) {
		if (PLANTED(deliver_twice)) {
			struct invocation again = *inv;
			core_bundle_hold(again.bundle);
			core_value_hold(again.on_error);
			if (again.exception != NULL || core_deliver(core, &again, object) != FOS_OK) {
				core_bundle_release(core, again.bundle);
				core_value_release(core, again.on_error);
			}
		}
		CORE_COVER(core, inbox_retry);
		use_granted(core, waiter, inv->more);
		fos_status status = core_deliver(core, inv, object);
		if (status == FOS_OK)
			core_channel_wake(core, channel);
		else
			core_process_wake(core, channel->process);
		return status;
	}
	if (waiter == NULL && list_empty(&channel->turns) && has_place(core, channel)) {
		CORE_COVER(core, inv_deliver);
		return core_deliver(core, inv, object);
	}
	return session == NULL ? wait_here(core, inv, object, waiter)
						   : bounce(core, inv, object, waiter, session);
}

/* ------------------------------------------------------------------ a place is free */

void core_channel_wake(struct core *core, struct channel *channel)
{
	if (list_empty(&channel->ready) && !list_empty(&channel->turns))
		list_push(&core->ready, &channel->ready);
}

void core_process_wake(struct core *core, struct process *process)
{
	for (uint32_t i = 0; i < core->config.limits.channels; i++) {
		if (process->channels[i] != NULL)
			core_channel_wake(core, process->channels[i]);
	}
}

void core_inbox_room(struct core *core, struct session *session, const struct core_ref *target,
					 uint32_t count)
{
	struct wire_message_room *room =
		core_session_send(core, session, WIRE_MESSAGE_TYPE_ROOM, sizeof *room);
	room->epoch = target->epoch;
	room->serial = target->serial;
	room->index = target->index;
	room->count = count;
}

static void grant(struct core *core, struct waiter *waiter)
{
	struct channel *channel = waiter->object->request.channel;
	const struct core_ref ref = core_object_ref(core, waiter->object);
	CORE_COVER(core, inbox_grant);
	waiter->granted++;
	channel->reserved++;
	channel->process->reserved++;
	if (!PLANTED(room_lost))
		core_inbox_room(core, waiter->session, &ref, 1);
	settle_waiter(core, waiter);
}

static void deliver_oldest(struct core *core, struct waiter *waiter)
{
	struct object *object = waiter->object;
	struct invocation *inv = LIST_FIRST(&waiter->invocations, struct invocation, link);
	BASE_ASSERT(inv != NULL); /* it counted them */
	list_remove(&inv->link);
	core_invocation_go(core, inv);
	inv->waiter = NULL;
	waiter->count--;
	settle_waiter(core, waiter);
	fos_status status = core_deliver(core, inv, object);
	if (status == FOS_OK)
		core_invocation_free(core, inv);
	else
		core_invocation_fail(core, inv, status);
}

void core_inbox_run(struct core *core, struct channel *channel)
{
	while (!list_empty(&channel->turns) && has_place(core, channel)) {
		struct waiter *waiter = LIST_FIRST(&channel->turns, struct waiter, turn);
		list_remove(&waiter->turn);
		if (waiter->session != NULL)
			grant(core, waiter);
		else
			deliver_oldest(core, waiter);
	}
}

/* ------------------------------------------------------------------ ends */

void core_waiter_left(struct core *core, struct invocation *inv)
{
	struct waiter *waiter = inv->waiter;
	inv->waiter = NULL;
	waiter->count--;
	settle_waiter(core, waiter);
}

void core_inbox_refuse(struct core *core, struct session *session, const struct core_ref *target,
					   uint32_t count)
{
	CORE_COVER(core, inbox_refuse);
	core_inbox_room(core, session, target, count);
}

/* A dead object gives no more places: whatever waits for it is sent on to be refused. */
void core_inbox_object_end(struct core *core, struct object *object)
{
	const struct core_ref ref = core_object_ref(core, object);
	struct waiter *waiter;
	while ((waiter = LIST_FIRST(&object->request.waiters, struct waiter, of_object)) != NULL) {
		if (waiter->session != NULL) {
			uint32_t asked = waiter->count - BASE_MIN(waiter->count, waiter->granted);
			if (asked > 0)
				core_inbox_refuse(core, waiter->session, &ref, asked);
			free_waiter(core, waiter);
			continue;
		}
		/* The last one frees the waiter. */
		for (uint32_t left = waiter->count; left > 0; left--) {
			struct invocation *inv = LIST_FIRST(&waiter->invocations, struct invocation, link);
			BASE_ASSERT(inv != NULL);
			core_invocation_fail(core, inv, FOS_REVOKED);
		}
	}
}

void core_waiter_session_end(struct core *core, struct session *session)
{
	struct waiter *waiter;
	while ((waiter = LIST_FIRST(&session->waiters, struct waiter, of_source)) != NULL)
		free_waiter(core, waiter);
}

/* Places that the sender has no use for. */
static void room_returned(struct core *core, struct session *session,
						  const struct wire_message_room *room)
{
	struct core_ref ref = {core->config.node, room->index, room->epoch, room->serial};
	struct object *object;
	if (core_object_find(core, &ref, &object) != FOS_OK || object->kind != FOS_REQUEST)
		return;
	struct waiter *waiter = find_waiter(core, object, &session->account, session);
	if (waiter == NULL)
		return;
	uint32_t count = BASE_MIN(room->count, BASE_MIN(waiter->granted, waiter->count));
	struct channel *channel = object->request.channel;
	CORE_COVER(core, inbox_return);
	waiter->granted -= count;
	waiter->count -= count;
	channel->reserved -= count;
	channel->process->reserved -= count;
	settle_waiter(core, waiter);
	/* Another channel may have waited for the room that the place takes for its finish. */
	core_process_wake(core, channel->process);
}

void core_receive_room(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_room *room = (const void *)bytes;
	if (room->epoch == core->config.epoch)
		room_returned(core, session, room);
	else
		core_park_room(core, session, room);
}
