/* See check.h. Counts everything anew and compares it with what the core says; looks whether
 * anything waits that could go on. Reads only. */
#include "core/check.h"
#include "core/core_internal.h"

#define REQUIRE(condition, what) \
	do {                         \
		if (!(condition))        \
			return what;         \
	} while (0)
#define TRY(call)                    \
	do {                             \
		const char *wrong_ = (call); \
		if (wrong_ != NULL)          \
			return wrong_;           \
	} while (0)
#define EACH(at, head)         for (const struct list *at = (head)->next; at != (head); at = at->next)
#define RECORD(at, type, link) ((const struct type *)BASE_CONTAINER(at, struct type, link))

/* Counted while records are met, compared when all were. */
struct sums {
	const struct core *core;
	uint32_t timers;                                       /* armed */
	uint32_t uses, own;                                    /* of tracked children */
	uint32_t deliveries;                                   /* open */
	uint32_t slices;                                       /* each side of this node */
	uint32_t waiters, parks, incoming, watchers, monitors; /* that hashes know */
	uint32_t calls, copies, unwatched;                     /* that tables know */
};

static uint32_t length_of(const struct list *head)
{
	uint32_t count = 0;
	EACH (at, head)
		count++;
	return count;
}

static uint32_t hashed(const struct hash *hash)
{
	uint32_t count = 0;
	for (unsigned i = 0; i < BUCKETS; i++)
		count += length_of(&hash->buckets[i]);
	return count;
}

/* Each record is in the bucket where it is looked for. */
static const char *check_lookup(const struct lookup *lookup)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < lookup->buckets; i++) {
		const struct list *bucket = core_lookup_at(lookup, i);
		EACH (at, bucket) {
			uint64_t key = lookup->key(at);
			REQUIRE(core_lookup_bucket((struct lookup *)(uintptr_t)lookup, key) == bucket,
					"a record in a wrong bucket");
			count++;
		}
	}
	REQUIRE(count == lookup->count, "records of a lookup are miscounted");
	return NULL;
}

static void met_timer(struct sums *sums, const struct timer *timer)
{
	sums->timers += timer->armed;
}

/* ------------------------------------------------------------------ timers */

/* Children are later than their parents, and every node knows who points to it. */
static const char *check_timers(const struct core *core, uint32_t armed)
{
	uint32_t count = 0;
	const struct timer *at = core->timers;
	REQUIRE(at == NULL || (at->prev == NULL && at->next == NULL), "the first timer has siblings");
	while (at != NULL) {
		count++;
		REQUIRE(at->armed && count <= armed, "a timer is in the heap that is not armed");
		const struct timer *before = at;
		for (const struct timer *child = at->child; child != NULL; child = child->next) {
			REQUIRE(child->prev == before, "timers that do not know each other");
			REQUIRE(child->when >= at->when, "timers out of order");
			before = child;
		}
		if (at->child != NULL) {
			at = at->child;
			continue;
		}
		/* From the last of siblings up to their parent. */
		while (at != NULL && at->next == NULL) {
			while (at->prev != NULL && at->prev->child != at)
				at = at->prev;
			at = at->prev;
		}
		if (at != NULL)
			at = at->next;
	}
	REQUIRE(count == armed, "an armed timer is not in the heap");
	return NULL;
}

/* ------------------------------------------------------------------ invocations */

struct account_sums {
	uint32_t parked, finishing;
	uint64_t values;
};

static const char *check_invocation(struct sums *sums, const struct account *account,
									const struct invocation *inv, struct account_sums *out)
{
	REQUIRE(inv->account == account, "an invocation in another's account");
	REQUIRE(!list_empty(&inv->link), "an invocation that is nowhere");
	REQUIRE(inv->waiting == inv->timer.armed, "an invocation waits without an end");
	REQUIRE(!inv->waiting || inv->timer.when == inv->end, "an invocation ends at another time");
	REQUIRE(inv->waiting || (inv->park == NULL && inv->waiter == NULL),
			"a parked invocation is not counted");
	REQUIRE(inv->waiter == NULL || inv->target.node == sums->core->config.node,
			"an invocation waits at another's object");
	met_timer(sums, &inv->timer);
	sums->uses += inv->tracked != NULL;
	if (!inv->waiting)
		return NULL;
	out->parked++;
	out->finishing += inv->finishing;
	out->values +=
		(inv->bundle != NULL ? inv->bundle->weight : 0) + core_value_weight(inv->on_error);
	return NULL;
}

static const char *check_account(struct sums *sums, const struct account *account,
								 struct account_sums *out)
{
	*out = (struct account_sums){0};
	EACH (at, &account->invocations)
		TRY(check_invocation(sums, account, RECORD(at, invocation, owned), out));
	uint32_t askings = account->process != NULL ? length_of(&account->process->askings) : 0;
	REQUIRE(account->parked == out->parked + askings, "parked invocations are miscounted");
	REQUIRE(account->finishing == out->finishing, "parked continuations are miscounted");
	return NULL;
}

/* ------------------------------------------------------------------ objects */

static const char *check_waiter(struct sums *sums, const struct object *object,
								const struct waiter *waiter)
{
	sums->waiters++;
	REQUIRE(waiter->object == object && waiter->count > 0, "a waiter for nothing");
	REQUIRE(waiter->session != NULL || length_of(&waiter->invocations) == waiter->count,
			"a waiter's invocations are miscounted");
	REQUIRE(waiter->session != NULL || waiter->granted == 0, "a local waiter was granted a place");
	REQUIRE(list_empty(&waiter->turn) == (waiter->count <= waiter->granted),
			"a waiter has no turn, or no need of it");
	EACH (at, &waiter->invocations)
		REQUIRE(RECORD(at, invocation, link)->waiter == waiter, "a waiter's invocation is not its");
	return NULL;
}

static const char *check_kind(struct sums *sums, const struct object *object)
{
	if (object->kind == FOS_MEMORY) {
		REQUIRE(!object->dead || list_empty(&object->memory.incoming), "a copy to what is dead");
		REQUIRE(object->parent == NULL ||
					(object->memory.rights == object->parent->memory.rights &&
					 object->memory.segment == object->parent->memory.segment &&
					 object->memory.offset == object->parent->memory.offset &&
					 object->memory.length == object->parent->memory.length),
				"a child that is not like its parent");
		return NULL;
	}
	met_timer(sums, &object->request.timer);
	EACH (at, &object->request.waiters)
		TRY(check_waiter(sums, object, RECORD(at, waiter, of_object)));
	bool expires = object->once && object->parent == NULL && !object->dead;
	REQUIRE(object->request.timer.armed == expires, "a ONCE Request that does not expire");
	REQUIRE(object->reserved == expires, "a ONCE Request's room");
	REQUIRE(!object->dead || list_empty(&object->request.waiters), "a wait for what is dead");
	REQUIRE(object->dead != !list_empty(&object->request.of_channel), "a Request of no channel");
	return NULL;
}

static const char *check_life(const struct object *object)
{
	if (!object->dead) {
		REQUIRE(object->process != NULL, "an object of nobody");
		REQUIRE((object->charged != NULL) != (object->session != NULL),
				"an object charged to nobody");
		REQUIRE(list_empty(&object->revokings) && list_empty(&object->told) && !object->notice,
				"a living object that is told to be dead");
		return NULL;
	}
	REQUIRE(object->process == NULL && object->charged == NULL && object->tracked == NULL,
			"a dead object that is somebody's");
	REQUIRE(object->notice == (object->session != NULL), "a dead object of a session");
	REQUIRE(list_empty(&object->told) == list_empty(&object->watchers), "watchers are not told");
	REQUIRE(object->deliveries + object->remains + object->slices > 0 || object->notice ||
				!list_empty(&object->children) || !list_empty(&object->watchers),
			"a dead entry of which nothing is left");
	return NULL;
}

static const char *check_revoking(struct sums *sums, const struct revoking *revoking)
{
	met_timer(sums, &revoking->timer);
	REQUIRE((revoking->process != NULL) || revoking->object != NULL, "a revocation of nothing");
	const struct object *object = revoking->object;
	REQUIRE(revoking->timer.armed == (object != NULL && revoking->drain),
			"a revocation that waits too long");
	if (object != NULL)
		REQUIRE(object->busy > 0 || (revoking->drain && object->open > 0),
				"a revocation waits for nothing");
	else
		REQUIRE(revoking->session != NULL && !list_empty(&revoking->of_session),
				"a revocation is asked of nobody");
	return NULL;
}

static const char *check_object(struct sums *sums, const struct object *object, uint64_t handle)
{
	uint32_t open = object->deliveries + object->remains, busy = object->slices;
	EACH (at, &object->children) {
		const struct object *child = RECORD(at, object, of_parent);
		REQUIRE(child->parent == object && child->depth == object->depth + 1,
				"a child that is another's");
		REQUIRE(!object->dead || child->dead, "a child that outlives its parent");
		open += child->open;
		busy += child->busy;
	}
	REQUIRE(object->handle == handle && core_serial_is_once(object->serial) == object->once,
			"an object under another's name");
	REQUIRE(object->pins == 0, "a pin that was left");
	REQUIRE(object->open == open && object->busy == busy, "what is open below is miscounted");
	REQUIRE((object->remains > 0) == !list_empty(&object->of_remains), "remains of nobody");
	EACH (at, &object->revokings)
		REQUIRE(RECORD(at, revoking, of_object)->object == object, "another's revocation");
	EACH (at, &object->watchers) {
		const struct watcher *watcher = RECORD(at, watcher, of_object);
		REQUIRE(watcher->object == object, "another's watcher");
		sums->watchers += watcher->session != NULL;
	}
	sums->deliveries -= object->deliveries;
	sums->slices -= object->slices;
	TRY(check_life(object));
	return check_kind(sums, object);
}

static const char *check_objects(struct sums *sums)
{
	const struct table *table = &sums->core->objects;
	for (uint32_t i = 0; i < table->used; i++) {
		const struct table_entry *entry = core_table_at(table, i);
		if (entry != NULL)
			TRY(check_object(sums, entry->content, core_table_handle(entry, i)));
	}
	return NULL;
}

/* ------------------------------------------------------------------ Processes */

static const char *check_channel(const struct core *core, const struct channel *channel)
{
	const struct process *process = channel->process;
	uint32_t open = 0, once = 0, reserved = 0, turns = 0;
	EACH (at, &channel->deliveries) {
		const struct delivery *delivery = RECORD(at, delivery, of_channel);
		REQUIRE(delivery->channel == channel, "another channel's delivery");
		open += !delivery->once;
		once += delivery->once;
	}
	EACH (at, &channel->objects) {
		const struct object *object = RECORD(at, object, request.of_channel);
		REQUIRE(!object->dead && object->request.channel == channel, "another channel's Request");
		once += object->reserved;
		EACH (w, &object->request.waiters) {
			const struct waiter *waiter = RECORD(w, waiter, of_object);
			reserved += waiter->granted;
			turns += !list_empty(&waiter->turn);
		}
	}
	REQUIRE(channel->open == open && channel->once == once && channel->reserved == reserved,
			"a channel's places are miscounted");
	REQUIRE(turns == length_of(&channel->turns), "a turn of nobody");
	const struct core_limits *limits = &core->config.limits;
	REQUIRE(open + reserved <= limits->deliveries && once <= limits->once,
			"more places than there are");
	bool room =
		open + reserved < limits->deliveries &&
		process->account.finishing + process->usage.deliveries + process->reserved < limits->parked;
	REQUIRE(turns == 0 || !room, "somebody waits beside a free place");
	return NULL;
}

static const char *check_copies(struct sums *sums, const struct process *process, uint64_t *values)
{
	EACH (at, &process->copies) {
		const struct copy *copy = RECORD(at, copy, of_process);
		REQUIRE(copy->process == process && (!copy->taken || copy->caller.channel == NULL),
				"a copy that was taken is waited for");
		REQUIRE(copy->timer.armed == (!copy->taken && copy->src_node != sums->core->config.node),
				"a copy that does not end");
		met_timer(sums, &copy->timer);
		sums->uses += (copy->used[0] != NULL ? 1u : 0u) + (copy->used[1] != NULL ? 1u : 0u);
		*values += copy->weight;
	}
	REQUIRE(process->usage.copies == length_of(&process->copies), "copies are miscounted");
	sums->copies += process->usage.copies;
	return NULL;
}

static const char *check_deliveries(struct sums *sums, const struct process *process,
									uint64_t *values)
{
	uint32_t plain = 0, once = 0, reserved = 0;
	for (uint32_t i = 0; i < process->deliveries.used; i++) {
		const struct table_entry *entry = core_table_at(&process->deliveries, i);
		if (entry == NULL)
			continue;
		const struct delivery *delivery = entry->content;
		REQUIRE(delivery->id == core_table_handle(entry, i), "a delivery under another's name");
		REQUIRE(delivery->object->deliveries > 0, "a delivery of what has none");
		*values += core_value_weight(delivery->on_error);
		plain += !delivery->once;
		once += delivery->once;
	}
	sums->deliveries += plain + once;
	REQUIRE(process->deliveries.live == plain + once && process->usage.deliveries == plain,
			"deliveries are miscounted");
	uint32_t living = 0;
	for (uint32_t i = 0; i < sums->core->config.limits.channels; i++) {
		const struct channel *channel = process->channels[i];
		if (channel == NULL)
			continue;
		TRY(check_channel(sums->core, channel));
		reserved += channel->reserved;
		living += channel->once;
	}
	REQUIRE(process->reserved == reserved, "places kept are miscounted");
	REQUIRE(process->usage.once == living && process->once_living == living - once,
			"ONCE Requests are miscounted");
	return NULL;
}

static const char *check_space(struct sums *sums, const struct process *process, uint64_t *values)
{
	for (uint32_t i = 0; i < process->slots.used; i++) {
		const struct table_entry *entry = core_table_at(&process->slots, i);
		if (entry == NULL)
			continue;
		const struct value *value = entry->content;
		REQUIRE(value->refs > 0, "a slot with nothing");
		*values += core_value_weight(value);
		const struct tracked *tracked = core_value_tracked(value);
		if (tracked != NULL && core_tracked_is_maker(tracked, process))
			sums->own++;
	}
	REQUIRE(process->usage.slots == process->slots.live, "slots are miscounted");
	EACH (at, &process->monitors) {
		const struct monitor *monitor = RECORD(at, monitor, of_process);
		const struct table_entry *slot = core_table_get(&process->slots, monitor->cap);
		REQUIRE(monitor->process == process && slot != NULL && slot->monitored,
				"a monitor of no slot");
		sums->monitors++;
	}
	REQUIRE(process->usage.monitors == length_of(&process->monitors), "monitors are miscounted");
	return NULL;
}

static const char *check_process(struct sums *sums, const struct process *process)
{
	struct account_sums waiting;
	TRY(check_account(sums, &process->account, &waiting));
	uint64_t values = waiting.values;
	TRY(check_space(sums, process, &values));
	TRY(check_deliveries(sums, process, &values));
	TRY(check_copies(sums, process, &values));
	EACH (at, &process->lendings) {
		const struct lending *lending = RECORD(at, lending, of_process);
		REQUIRE(lending->session != NULL && (lending->value == NULL) == !list_empty(&lending->hash),
				"a child that nobody knows");
		values += core_value_weight(lending->value);
		sums->calls += lending->asked.number != 0;
		sums->uses += lending->parent != NULL && !lending->holds;
		sums->own += lending->parent != NULL && lending->value != NULL &&
					 core_tracked_is_maker(lending->parent, process);
	}
	EACH (at, &process->spare) {
		REQUIRE(RECORD(at, revoking, of_asker)->asked.number != 0, "a revocation without a number");
		sums->calls++;
	}
	REQUIRE(process->values == values, "bytes by value are miscounted");
	EACH (at, &process->objects)
		REQUIRE(RECORD(at, object, of_maker)->charged == process, "another's object");
	REQUIRE(process->usage.objects == length_of(&process->objects) + length_of(&process->lendings) +
										  length_of(&process->remains),
			"objects are miscounted");
	EACH (at, &process->revokings) {
		TRY(check_revoking(sums, RECORD(at, revoking, of_asker)));
		sums->calls++;
	}
	REQUIRE(process->usage.revokings == length_of(&process->revokings),
			"revocations are miscounted");
	EACH (at, &process->askings)
		met_timer(sums, &RECORD(at, asking, of_process)->timer);
	return NULL;
}

static const char *check_processes(struct sums *sums)
{
	const struct core *core = sums->core;
	for (unsigned i = 0; i < BUCKETS; i++) {
		EACH (at, &core->processes.buckets[i])
			TRY(check_process(sums, RECORD(at, process, hash)));
		EACH (at, &core->leaving.buckets[i])
			REQUIRE(!list_empty(&RECORD(at, process, hash)->remains),
					"a Process that left nothing");
	}
	REQUIRE(core->process_count == hashed(&core->processes) + hashed(&core->leaving),
			"Processes are miscounted");
	return NULL;
}

/* ------------------------------------------------------------------ copies */

static const char *check_outgoing(struct sums *sums, const struct outgoing *out)
{
	sums->uses += (out->used[0] != NULL ? 1u : 0u) + (out->used[1] != NULL ? 1u : 0u);
	sums->slices += out->outstanding * (out->dst != NULL ? 2u : 1u);
	met_timer(sums, &out->timer);
	bool all = out->sent == out->length;
	REQUIRE(out->sent <= out->length, "a copy of more than there is");
	if (out->to == NULL) {
		REQUIRE(out->outstanding > 0 && out->uncredited == 0 && list_empty(&out->turn),
				"a copy inside a node stands still");
		REQUIRE(out->ended || (out->timer.armed && !list_empty(&out->of_dst)),
				"a copy without end");
		return NULL;
	}
	bool sends = out->ended ? out->stop != FOS_OK : !all;
	REQUIRE(sends != list_empty(&out->turn), "a copy without a turn, or with one for nothing");
	REQUIRE(sends || out->outstanding + out->uncredited > 0, "a copy of which nothing is left");
	REQUIRE(out->timer.armed == (!out->ended && !all), "a copy without end");
	REQUIRE(out->ended || all || !list_empty(&out->of_src), "a copy whose source nobody asks");
	return NULL;
}

static const char *check_transfers(struct sums *sums)
{
	const struct table *table = &sums->core->outgoing;
	for (uint32_t i = 0; i < table->used; i++) {
		const struct table_entry *entry = core_table_at(table, i);
		if (entry != NULL)
			TRY(check_outgoing(sums, entry->content));
	}
	return NULL;
}

/* ------------------------------------------------------------------ sessions */

static const char *check_park(struct sums *sums, const struct session *session,
							  const struct park *park)
{
	sums->parks++;
	uint32_t count = length_of(&park->bounced) + length_of(&park->fresh);
	REQUIRE(park->session == session && count > 0 && park->count == count,
			"parked invocations are miscounted");
	EACH (at, &park->bounced)
		REQUIRE(RECORD(at, invocation, link)->park == park, "an invocation in another's park");
	EACH (at, &park->fresh)
		REQUIRE(RECORD(at, invocation, link)->park == park, "an invocation in another's park");
	return NULL;
}

/* Every credit is somewhere. */
static const char *check_credits(const struct session *session, unsigned class)
{
	const struct session_class *state = &session->classes[class];
	uint32_t all = wire_class_credits((enum wire_class) class);
	bool invocations = class == WIRE_CLASS_INVOKE || class == WIRE_CLASS_ERROR;
	uint32_t with_peer = state->peers, here = state->credits;
	if (class == WIRE_CLASS_COPY)
		with_peer += length_of(&session->asked);
	if (class == WIRE_CLASS_DATA)
		here += session->slice_count;
	if (invocations)
		here += length_of(&state->flight) + state->early;
	REQUIRE(with_peer + state->unreturned == all, "a credit of the peer was lost");
	REQUIRE(invocations || class == WIRE_CLASS_DATA ? here == all : here <= all,
			"a credit was lost");
	REQUIRE(2 * state->unreturned < all, "the peer is not told of its credits");
	bool waits = !list_empty(&state->queue);
	if (class == WIRE_CLASS_DATA)
		waits = !list_empty(&session->turns);
	if (class == WIRE_CLASS_COPY)
		waits = !list_empty(&session->asks);
	if (class == WIRE_CLASS_REFERENCE)
		waits = !list_empty(&session->references) || session->tell_registry;
	uint32_t kept = 0;
	if (class == WIRE_CLASS_CLEANUP) {
		kept = CLEANUP_KEPT;
		REQUIRE(list_empty(&session->revokes) || here == 0, "a REVOKE waits beside a credit");
	}
	REQUIRE(!waits || state->credits <= kept, "something waits beside a credit");
	return NULL;
}

static const char *check_incoming(struct sums *sums, const struct session *session)
{
	EACH (at, &session->incoming) {
		const struct incoming *in = RECORD(at, incoming, of_session);
		REQUIRE(in->from == session && in->received < in->total && in->timer.armed &&
					!in->dst->dead,
				"a copy that comes without end");
		met_timer(sums, &in->timer);
		sums->incoming++;
	}
	REQUIRE(session->incoming_count == length_of(&session->incoming), "copies are miscounted");
	return NULL;
}

static const char *check_session(struct sums *sums, const struct session *session)
{
	struct account_sums waiting;
	TRY(check_account(sums, &session->account, &waiting));
	TRY(check_incoming(sums, session));
	EACH (at, &session->parks)
		TRY(check_park(sums, session, RECORD(at, park, of_session)));
	EACH (at, &session->revokings)
		TRY(check_revoking(sums, RECORD(at, revoking, of_asker)));
	EACH (at, &session->monitors) {
		const struct monitor *monitor = RECORD(at, monitor, of_session);
		REQUIRE(monitor->process != NULL || !list_empty(&monitor->cleanup.link),
				"a monitor that nobody needs");
		sums->unwatched += monitor->process == NULL;
	}
	EACH (at, &session->children)
		REQUIRE(RECORD(at, object, of_maker)->session == session, "another's child");
	REQUIRE(session->child_count == length_of(&session->children), "children are miscounted");
	REQUIRE(session->watcher_count == length_of(&session->watchers), "watchers are miscounted");
	met_timer(sums, &session->timer);
	REQUIRE(list_empty(&session->dirty), "a session waits for the end of the step");
	if (session->ending)
		return NULL;
	REQUIRE(session->timer.armed, "a session without heartbeats");
	REQUIRE(list_empty(&session->gone) || !list_empty(&session->later),
			"a death that nobody is told");
	for (unsigned i = 0; i < WIRE_CLASS_ANSWER; i++)
		TRY(check_credits(session, i));
	return NULL;
}

static const char *check_sessions(struct sums *sums)
{
	const struct core *core = sums->core;
	EACH (at, &core->all_sessions)
		TRY(check_session(sums, RECORD(at, session, all)));
	REQUIRE(core->session_count == length_of(&core->all_sessions) &&
				core->session_count == hashed(&core->sessions),
			"sessions are miscounted");
	return NULL;
}

/* ------------------------------------------------------------------ tracked children */

static const char *check_record(const struct tracked *tracked, struct sums *sums)
{
	uint32_t in_transit = 0;
	EACH (at, &tracked->transits) {
		const struct passage *passage = RECORD(at, passage, of_tracked);
		REQUIRE(passage->tracked == tracked && passage->count > 0, "a passage of nothing");
		in_transit += passage->count;
	}
	REQUIRE(tracked->in_transit == in_transit, "references in transit are miscounted");
	EACH (at, &tracked->debts)
		REQUIRE(RECORD(at, passage, of_tracked)->count > 0, "a debt of nothing");
	bool queued = tracked->state == TRACKED_HOLD_QUEUED || tracked->state == TRACKED_RELEASE_QUEUED;
	REQUIRE(queued != list_empty(&tracked->queue), "a registration that is not sent");
	REQUIRE(tracked->state == TRACKED_IDLE || tracked->owner != NULL, "held from nobody");
	REQUIRE(tracked->object == NULL || tracked->object->tracked == tracked, "another's child");
	sums->uses -= tracked->uses;
	sums->own -= tracked->own;
	/* What was not looked at since it changed may be anything. */
	if (!list_empty(&tracked->changed))
		return NULL;
	REQUIRE(tracked->refs > 0 || tracked->uses > 0 || tracked->pinned ||
				tracked->state != TRACKED_IDLE || !list_empty(&tracked->transits) ||
				!list_empty(&tracked->debts) || !list_empty(&tracked->monitors),
			"a record of a child that nobody holds");
	bool pays = tracked->state == TRACKED_REGISTERED || tracked->state == TRACKED_RELEASE_QUEUED ||
				tracked->state == TRACKED_IDLE;
	REQUIRE(tracked->pinned || !pays || list_empty(&tracked->debts), "a debt that is not paid");
	return NULL;
}

static const char *check_tracked(struct sums *sums)
{
	const struct lookup *lookup = &sums->core->tracked;
	for (uint32_t i = 0; i < lookup->buckets; i++) {
		EACH (at, core_lookup_at(lookup, i))
			TRY(check_record(RECORD(at, tracked, hash), sums));
	}
	return NULL;
}

/* ------------------------------------------------------------------ all */

const char *core_check(const struct core *core)
{
	struct sums sums = {.core = core};
	struct account_sums house;
	REQUIRE(list_empty(&core->ready) && list_empty(&core->dirty), "a step that did not end");
	TRY(check_lookup(&core->lendings));
	TRY(check_lookup(&core->tracked));
	TRY(check_lookup(&core->slots_monitored));
	TRY(check_lookup(&core->watchers));
	TRY(check_account(&sums, &core->house, &house));
	TRY(check_processes(&sums));
	TRY(check_sessions(&sums));
	TRY(check_transfers(&sums));
	TRY(check_objects(&sums));
	TRY(check_tracked(&sums));
	REQUIRE(sums.deliveries == 0, "deliveries of objects are miscounted");
	REQUIRE(sums.slices == 0, "slices of objects are miscounted");
	REQUIRE(sums.uses == 0, "uses of tracked children are miscounted");
	REQUIRE(sums.own == 0, "the makers' own slots are miscounted");
	REQUIRE(sums.waiters == hashed(&core->waiters) && sums.parks == hashed(&core->parks) &&
				sums.incoming == hashed(&core->incoming) && sums.watchers == core->watchers.count &&
				sums.monitors == core->slots_monitored.count,
			"a record that nobody finds");
	REQUIRE(sums.calls == core->calls.live && sums.copies == core->copies.live &&
				sums.monitors + sums.unwatched == core->monitors.live,
			"a number of nothing");
	return check_timers(core, sums.timers);
}
