/* See inspect.h. Walks the tables as they are; keeps nothing. */
#include "core/inspect.h"
#include "core/core_internal.h"

static struct core_view_ref view_ref(const struct core_ref *ref)
{
	return (struct core_view_ref){ref->node, ref->index, ref->epoch, ref->serial};
}

static uint32_t length_of(const struct list *head)
{
	uint32_t count = 0;
	for (const struct list *at = head->next; at != head; at = at->next)
		count++;
	return count;
}

/* ------------------------------------------------------------------ one record */

static struct core_view_object view_object(const struct core *core, const struct object *object)
{
	struct core_ref ref = core_object_ref(core, object);
	struct core_view_object view = {.ref = view_ref(&ref),
									.process = object->process ? object->process->serial : 0,
									.kind = object->kind,
									.once = object->once,
									.dead = object->dead,
									.child = object->parent != NULL,
									.tracked = object->tracked != NULL,
									.maker_node = object->maker.node,
									.maker_process = object->maker.process,
									.maker_epoch = object->maker.epoch,
									.deliveries = object->deliveries,
									.busy = object->busy};
	if (object->kind == FOS_REQUEST)
		view.waiters = length_of(&object->request.waiters);
	return view;
}

static struct core_view_slot view_slot(uint32_t process, uint64_t cap,
									   const struct table_entry *entry)
{
	const struct value *value = entry->content;
	struct core_view_slot view = {.process = process,
								  .cap = cap,
								  .ref = view_ref(&value->ref),
								  .kind = value->kind,
								  .rights = value->rights,
								  .borrowed = entry->borrowed};
	if (value->kind == FOS_MEMORY) {
		view.offset = value->offset;
		view.length = value->length;
	}
	return view;
}

static struct core_view_session view_session(const struct session *session)
{
	struct core_view_session view = {.node = session->node,
									 .epoch = session->epoch,
									 .ending = session->ending,
									 .parks = length_of(&session->parks),
									 .waiters = length_of(&session->waiters),
									 .incoming = length_of(&session->incoming),
									 .outgoing = length_of(&session->outgoing),
									 .asked = length_of(&session->asked),
									 .asks = length_of(&session->asks),
									 .children = session->child_count};
	_Static_assert(WIRE_CLASS_COUNT <= BASE_COUNT(view.credits), "a class is not seen");
	view.queued = length_of(&session->revokes);
	for (unsigned i = 0; i < WIRE_CLASS_COUNT; i++) {
		view.credits[i] = session->classes[i].credits;
		view.unreturned[i] = session->classes[i].unreturned;
		view.peers[i] = session->classes[i].peers;
		view.queued += length_of(&session->classes[i].queue);
		view.flight += length_of(&session->classes[i].flight);
	}
	const struct list *turns = &session->classes[WIRE_CLASS_CLEANUP].queue;
	for (const struct list *at = turns->next; at != turns; at = at->next)
		view.queued += length_of(&BASE_CONTAINER(at, struct presence, turn)->waiting) - 1;
	return view;
}

static struct core_view_transfer view_transfer(const struct core *core, const struct outgoing *out)
{
	/* The object may be gone when nothing of the copy reads it any more. */
	bool reads = !list_empty(&out->of_src) || out->outstanding > 0;
	struct core_ref src = reads ? core_object_ref(core, out->src) : (struct core_ref){0};
	return (struct core_view_transfer){.src = view_ref(&src),
									   .dst = view_ref(&out->dst_ref),
									   .src_offset = out->src_offset,
									   .dst_offset = out->dst_offset,
									   .length = out->length,
									   .sent = out->sent,
									   .trace = out->landing.trace,
									   .asker = out->landing.asker,
									   .asker_epoch = out->landing.asker_epoch,
									   .copy = out->landing.copy,
									   .outstanding = out->outstanding,
									   .ended = out->ended};
}

/* ------------------------------------------------------------------ a value's hash
 *
 * Values share their parts: one that was met before is remembered, lest time grow with each path to
 * it. Depth is at most FOS_NEST_MAX. */

enum { SEEN = 64 };
struct seen {
	const struct value *value[SEEN];
	uint64_t hash[SEEN];
};

static uint64_t hash_value(struct seen *seen, const struct value *value);

static uint64_t hash_bundle(struct seen *seen, const struct bundle *bundle)
{
	if (bundle == NULL)
		return 0;
	const struct extent *ranges = core_bundle_ranges(bundle);
	const uint8_t *bytes = core_bundle_bytes(bundle);
	uint64_t imm = 0;
	for (unsigned i = 0; i < bundle->range_count; i++) {
		imm += core_view_imm_hash(ranges[i].offset, bytes, ranges[i].length);
		bytes += ranges[i].length;
	}
	uint64_t hash = core_view_imm_part(imm, bundle->imm_bytes);
	for (unsigned i = 0; i < bundle->cap_count; i++)
		hash += core_view_cap_part(hash_value(seen, bundle->caps[i].value), bundle->caps[i].index);
	if (bundle->on_error != NULL)
		hash += core_view_cap_part(hash_value(seen, bundle->on_error), FOS_CAPS_MAX);
	return hash;
}

/* As deep as values nest, which is bounded where they are made. */
static uint64_t hash_value(struct seen *seen, const struct value *value)
{
	const struct core_view_ref ref = view_ref(&value->ref);
	uint64_t object = core_view_ref_hash(&ref);
	if (value->kind == FOS_MEMORY)
		return core_view_memory_hash(object, value->offset, value->length, value->rights);
	if (value->bundle == NULL)
		return core_view_request_hash(object, 0);
	unsigned at = ((uintptr_t)value >> 5) % SEEN;
	if (seen->value[at] != value) {
		uint64_t hash = core_view_request_hash(object, hash_bundle(seen, value->bundle));
		seen->value[at] = value;
		seen->hash[at] = hash;
	}
	return seen->hash[at];
}

/* ------------------------------------------------------------------ walks */

static uint64_t handle_at(const struct table_entry *entry, uint32_t index)
{
	return (uint64_t)entry->generation << HANDLE_INDEX_BITS | index;
}

static void walk_slots(const struct process *process, const struct core_visitor *visitor,
					   void *context)
{
	for (uint32_t i = 0; i < process->slots.used; i++) {
		const struct table_entry *entry = core_table_at(&process->slots, i);
		if (entry == NULL)
			continue;
		struct core_view_slot view = view_slot(process->serial, handle_at(entry, i), entry);
		visitor->slot(context, &view);
	}
}

static void walk_processes(const struct core *core, const struct core_visitor *visitor,
						   void *context)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		const struct list *bucket = &core->processes.buckets[i];
		for (const struct list *at = bucket->next; at != bucket; at = at->next)
			walk_slots(BASE_CONTAINER(at, struct process, hash), visitor, context);
	}
}

static void walk_sessions(const struct core *core, const struct core_visitor *visitor,
						  void *context)
{
	const struct list *head = &core->all_sessions;
	for (const struct list *at = head->next; at != head; at = at->next) {
		struct core_view_session view = view_session(BASE_CONTAINER(at, struct session, all));
		visitor->session(context, &view);
	}
}

static void walk_lendings(const struct core *core, const struct core_visitor *visitor,
						  void *context)
{
	for (uint32_t i = 0; i < core->lendings.buckets; i++) {
		const struct list *bucket = core_lookup_at(&core->lendings, i);
		for (const struct list *at = bucket->next; at != bucket; at = at->next) {
			const struct lending *lending = BASE_CONTAINER(at, struct lending, hash);
			struct core_view_lending view = {view_ref(&lending->ref), lending->process->serial};
			visitor->lending(context, &view);
		}
	}
}

static struct core_view_tracked view_tracked(const struct tracked *tracked)
{
	return (struct core_view_tracked){.ref = view_ref(&tracked->ref),
									  .refs = tracked->refs - tracked->own,
									  .uses = tracked->uses,
									  .in_transit = tracked->in_transit,
									  .debts = length_of(&tracked->debts),
									  .registered = tracked->state == TRACKED_REGISTERED,
									  .moves = tracked->state != TRACKED_REGISTERED &&
											   tracked->state != TRACKED_IDLE,
									  .lost = tracked->lost,
									  .over = tracked->over};
}

static void walk_tracked(const struct core *core, const struct core_visitor *visitor, void *context)
{
	for (uint32_t i = 0; i < core->tracked.buckets; i++) {
		const struct list *bucket = core_lookup_at(&core->tracked, i);
		for (const struct list *at = bucket->next; at != bucket; at = at->next) {
			const struct tracked *tracked = BASE_CONTAINER(at, struct tracked, hash);
			struct core_view_tracked view = view_tracked(tracked);
			if (visitor->tracked != NULL)
				visitor->tracked(context, &view);
			const struct list *holders = &tracked->holders;
			for (const struct list *of = holders->next; of != holders && visitor->holder != NULL;
				 of = of->next)
				visitor->holder(context, &view.ref,
								BASE_CONTAINER(of, struct holder, of_tracked)->session->node);
		}
	}
}

void core_inspect(const struct core *core, const struct core_visitor *visitor, void *context)
{
	for (uint32_t i = 0; visitor->object != NULL && i < core->objects.used; i++) {
		const struct table_entry *entry = core_table_at(&core->objects, i);
		if (entry == NULL)
			continue;
		struct core_view_object view = view_object(core, entry->content);
		visitor->object(context, &view);
	}
	if (visitor->slot != NULL)
		walk_processes(core, visitor, context);
	if (visitor->session != NULL)
		walk_sessions(core, visitor, context);
	if (visitor->lending != NULL)
		walk_lendings(core, visitor, context);
	if (visitor->tracked != NULL || visitor->holder != NULL)
		walk_tracked(core, visitor, context);
	for (uint32_t i = 0; visitor->transfer != NULL && i < core->outgoing.used; i++) {
		const struct table_entry *entry = core_table_at(&core->outgoing, i);
		if (entry == NULL)
			continue;
		struct core_view_transfer view = view_transfer(core, entry->content);
		visitor->transfer(context, handle_at(entry, i), &view);
	}
}

/* ------------------------------------------------------------------ by name */

bool core_inspect_slot(const struct core *core, uint32_t serial, uint64_t cap,
					   struct core_view_slot *out)
{
	const struct process *process = core_process_find(core, serial);
	const struct table_entry *entry = process != NULL ? core_table_get(&process->slots, cap) : NULL;
	if (entry == NULL)
		return false;
	struct seen seen = {0};
	*out = view_slot(serial, cap, entry);
	out->hash = hash_value(&seen, entry->content);
	return true;
}

bool core_inspect_delivery(const struct core *core, uint32_t serial, uint64_t id,
						   struct core_view_delivery *out)
{
	const struct process *process = core_process_find(core, serial);
	const struct table_entry *entry =
		process != NULL ? core_table_get(&process->deliveries, id) : NULL;
	if (entry == NULL)
		return false;
	const struct delivery *delivery = entry->content;
	struct core_ref ref = core_object_ref(core, delivery->object);
	struct seen seen = {0};
	out->object = view_ref(&ref);
	out->on_error = delivery->on_error != NULL ? hash_value(&seen, delivery->on_error) : 0;
	out->cap_count = BASE_MIN(delivery->cap_count, (uint32_t)FOS_CAPS_MAX);
	for (unsigned i = 0; i < out->cap_count; i++) {
		const struct table_entry *slot = core_table_get(&process->slots, delivery->caps[i]);
		out->caps[i] = slot != NULL ? hash_value(&seen, slot->content) : 0;
	}
	return true;
}

uint64_t core_inspect_copy(const struct core *core, uint32_t serial, uint32_t channel,
						   uint64_t cookie)
{
	const struct process *process = core_process_find(core, serial);
	if (process == NULL)
		return 0;
	for (const struct list *at = process->copies.prev; at != &process->copies; at = at->prev) {
		const struct copy *copy = BASE_CONTAINER(at, struct copy, of_process);
		const struct channel *caller = copy->caller.channel; /* NULL: it was told */
		if ((caller == NULL || caller->number == channel) && copy->caller.cookie == cookie)
			return copy->id;
	}
	return 0;
}

bool core_inspect_object(const struct core *core, const struct core_view_ref *ref,
						 struct core_view_object *out)
{
	const struct table_entry *entry = core_table_at(&core->objects, ref->index);
	const struct object *object = entry != NULL ? entry->content : NULL;
	if (object == NULL || object->serial != ref->serial || ref->epoch != core->config.epoch)
		return false;
	*out = view_object(core, object);
	return true;
}

bool core_inspect_transfer(const struct core *core, uint64_t token, struct core_view_transfer *out)
{
	const struct table_entry *entry = core_table_get(&core->outgoing, token);
	if (entry == NULL)
		return false;
	*out = view_transfer(core, entry->content);
	return true;
}

void core_inspect_totals(const struct core *core, struct core_view_totals *out)
{
	*out = (struct core_view_totals){.processes = core->process_count,
									 .sessions = core->session_count,
									 .objects = core->objects.live,
									 .copies = core->copies.live,
									 .outgoing = core->outgoing.live,
									 .askings = length_of(&core->askings),
									 .timers = core->timers != NULL,
									 .house = length_of(&core->house.invocations)};
	for (uint32_t i = 0; i < core->objects.used; i++) {
		const struct table_entry *entry = core_table_at(&core->objects, i);
		const struct object *object = entry != NULL ? entry->content : NULL;
		out->dead += object != NULL && object->dead;
	}
	for (unsigned i = 0; i < BUCKETS; i++) {
		const struct list *bucket = &core->processes.buckets[i];
		for (const struct list *at = bucket->next; at != bucket; at = at->next) {
			const struct process *process = BASE_CONTAINER(at, struct process, hash);
			out->slots += process->slots.live;
			out->deliveries += process->deliveries.live;
		}
	}
}

uint64_t core_inspect_memory(const struct core *core)
{
	uint64_t memory = core->config.limits.memory;
	uint64_t usable = memory - core_reserve_of(memory);
	return usable - BASE_MIN(usable, core->pool.grown);
}

uint64_t core_inspect_refusals(const struct core *core)
{
	return core->cover[COVER_memory_refused];
}

/* ------------------------------------------------------------------ charges */

static void count_slots(const struct process *process, struct core_view_process *out)
{
	for (uint32_t i = 0; i < process->slots.used; i++) {
		const struct table_entry *entry = core_table_at(&process->slots, i);
		if (entry == NULL)
			continue;
		out->slots++;
		out->values += core_value_weight(entry->content);
	}
}

static void count_deliveries(const struct process *process, struct core_view_process *out)
{
	for (uint32_t i = 0; i < process->deliveries.used; i++) {
		const struct table_entry *entry = core_table_at(&process->deliveries, i);
		const struct delivery *delivery = entry != NULL ? entry->content : NULL;
		if (delivery == NULL)
			continue;
		out->deliveries += !delivery->once;
		out->values += core_value_weight(delivery->on_error);
	}
}

bool core_inspect_process(const struct core *core, uint32_t serial, struct core_view_process *out)
{
	const struct process *process = core_process_find(core, serial);
	if (process == NULL)
		return false;
	*out = (struct core_view_process){.objects = length_of(&process->objects) +
												 length_of(&process->lendings) +
												 length_of(&process->remains),
									  .copies = length_of(&process->copies),
									  .monitors = length_of(&process->monitors),
									  .revokings = length_of(&process->revokings)};
	count_slots(process, out);
	count_deliveries(process, out);
	return true;
}

const uint64_t *core_inspect_cover(const struct core *core, unsigned *count)
{
	*count = COVER_COUNT;
	return core->cover;
}
