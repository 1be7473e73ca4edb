/* Calls: what each may end with, and what its success changes.
 *
 * A call that its own Controller answers alone has one outcome, told from the oracle's tables at
 * its submission; only where the state is "maybe", or a limit is near, are there several. A call
 * that waits for others may end with whatever has come to explain it by then. */
#include "core/inspect.h"
#include "sim/oracle_internal.h"

#define MAY ORACLE_MAY

static uint64_t cookie_hash(const struct oracle_process *process, uint64_t cookie)
{
	return base_mix64(cookie ^ base_mix64((uintptr_t)process));
}

static uint64_t end_of(const struct oracle *o, uint64_t time)
{
	return time > UINT64_MAX - o->now ? UINT64_MAX : o->now + time;
}

static void only(struct oracle_call *call, fos_status status)
{
	call->may = 1u << status;
}

static struct oracle_value *slot_value(struct oracle_process *process, uint64_t cap)
{
	struct oracle_cell *cell = oracle_cell(process, cap);
	return cell != NULL ? cell->value : NULL;
}

/* ------------------------------------------------------------------ making objects and values */

static void memory_create(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	const struct wire_call_memory_create *wire = (const void *)bytes;
	struct oracle_process *process = call->process;
	if (wire->length == 0 || wire->segment >= o->config.core.limits.segments ||
		!base_range_inside(wire->offset, wire->length, process->segments[wire->segment])) {
		only(call, FOS_INVALID);
		return;
	}
	struct oracle_thing *thing = oracle_thing_new(o, process, FOS_MEMORY);
	thing->segment = wire->segment;
	thing->offset = wire->offset;
	thing->length = wire->length;
	thing->rights = (uint8_t)wire->rights;
	call->fresh = thing;
	call->value = oracle_value_memory(o, thing, 0, wire->length, thing->rights);
}

static void request_create(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	const struct wire_call_request_create *wire = (const void *)bytes;
	struct oracle_thing *thing = oracle_thing_new(o, call->process, FOS_REQUEST);
	thing->channel = call->channel;
	thing->handler = wire->handler;
	thing->is_once = wire->once;
	thing->deadline = UINT64_MAX;
	if (wire->once)
		thing->deadline = end_of(o, wire->deadline ? wire->deadline : o->config.core.default_time);
	call->fresh = thing;
	call->value = oracle_value_request(o, thing, NULL);
}

static void memory_diminish(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	const struct wire_call_memory_diminish *wire = (const void *)bytes;
	const struct oracle_value *value = slot_value(call->process, wire->cap);
	fos_status status = FOS_NO_CAP;
	if (value != NULL)
		status = oracle_part(o, value, wire->offset, wire->length, wire->drop, &call->value);
	only(call, status);
}

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
		only(call, FOS_INVALID);
		if (parent->node != node) /* who asks the owner finds out there */
			call->may |= oracle_session_to(o, node, parent);
		call->may &= ~MAY(OK);
		return;
	}
	call->may = oracle_use(o, node, parent);
	call->waits = parent->node != node && (call->may & MAY(OK));
	/* It holds its parent while it is asked for, also if nobody is there any more to get it. */
	parent->armed |= call->waits;
}

static void request_refine(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	const struct wire_call_request_refine *wire = (const void *)bytes;
	struct wire_tail tail;
	struct oracle_built built;
	struct oracle_value *value = NULL;
	wire_call_tail(bytes, &tail);
	if (wire->tracked && !wire->revocable) {
		only(call, FOS_INVALID);
		return;
	}
	fos_status status = oracle_build(o, call->process, &tail.args, &built);
	if (status == FOS_OK) {
		const struct oracle_value *base = oracle_named(call->process, &built, wire->cap);
		status = base != NULL ? oracle_refine(o, base, &built.call, &value) : FOS_NO_CAP;
		oracle_built_release(o, &built);
	}
	only(call, status);
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
	struct oracle_value *value = slot_value(call->process, wire->cap);
	if (value == NULL)
		only(call, FOS_NO_CAP);
	else
		want_child(o, call, value, wire->tracked);
}

/* ------------------------------------------------------------------ invoking */

struct order { /* what an invocation inherits and adds */
	const struct oracle_addition *add;
	struct oracle_value *on_error; /* inherited */
	uint64_t trace, end;
};

static void submit(struct oracle *o, struct oracle_call *call, const struct oracle_value *request,
				   const struct order *order)
{
	struct oracle_process *process = call->process;
	struct oracle_bundle *args;
	if (request->kind != FOS_REQUEST ||
		(order->add->on_error != NULL && order->add->on_error->kind != FOS_REQUEST)) {
		only(call, FOS_WRONG_TYPE);
		return;
	}
	fos_status status = oracle_merge(o, request->bundle, order->add, true, &args);
	only(call, status);
	if (status != FOS_OK)
		return;
	struct oracle_thing *target = request->object;
	call->may = oracle_use(o, process->node, target);
	struct oracle_value *on_error =
		args != NULL && args->on_error != NULL ? args->on_error : order->on_error;
	if (call->may & MAY(OK)) {
		call->made = oracle_made_new(o, ORACLE_PLAIN, process, call->channel, target, args,
									 on_error, order->trace, order->end);
		call->too_large = oracle_too_large(args, on_error);
		call->weight = call->made->weight;
	}
	/* What comes too late to a consumed ONCE Request is dropped without a word. */
	if (target->is_once && (call->may & MAY(REVOKED)))
		call->may = (call->may & ~MAY(REVOKED)) | MAY(OK);
	call->may |= oracle_sending_may(o, process->node, target, args, on_error);
	oracle_bundle_release(o, args);
}

static void request_invoke(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	const struct wire_call_request_invoke *wire = (const void *)bytes;
	struct wire_tail tail;
	struct oracle_built built;
	wire_call_tail(bytes, &tail);
	fos_status status = oracle_build(o, call->process, &tail.args, &built);
	if (status != FOS_OK) {
		only(call, status);
		return;
	}
	const struct oracle_value *request = oracle_named(call->process, &built, wire->cap);
	struct order order = {
		.add = &built.call, .trace = wire->trace, .end = end_of(o, o->config.core.default_time)};
	struct oracle_open *open = oracle_open_find(call->process, wire->delivery);
	if (open != NULL && wire->delivery != 0) {
		order.on_error = open->on_error;
		order.trace = open->trace;
		order.end = open->end;
	}
	if (wire->time != 0)
		order.end = end_of(o, wire->time);
	if (request == NULL)
		only(call, FOS_NO_CAP);
	else if (wire->delivery != 0 && open == NULL)
		only(call, FOS_INVALID);
	else
		submit(o, call, request, &order);
	oracle_built_release(o, &built);
}

static void go_on(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	const struct wire_call_continue *wire = (const void *)bytes;
	struct oracle_open *open = oracle_open_find(call->process, wire->delivery);
	struct wire_tail tail;
	struct oracle_built built;
	if (open == NULL) {
		only(call, FOS_INVALID);
		return;
	}
	call->delivery = wire->delivery;
	call->fail_if_refused = wire->fail_if_refused;
	if (wire->cap == 0) {
		only(call, FOS_INVALID);
		return;
	}
	wire_call_tail(bytes, &tail);
	fos_status status = oracle_build(o, call->process, &tail.args, &built);
	if (status != FOS_OK) {
		only(call, status);
		return;
	}
	const struct oracle_value *next = oracle_named(call->process, &built, wire->cap);
	struct order order = {
		.add = &built.call, .on_error = open->on_error, .trace = open->trace, .end = open->end};
	if (next == NULL)
		only(call, FOS_NO_CAP);
	else
		submit(o, call, next, &order);
	oracle_built_release(o, &built);
}

static void fail(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	(void)o;
	const struct wire_call_fail *wire = (const void *)bytes;
	call->delivery = wire->delivery;
	call->told = (fos_status)wire->status;
	if (oracle_open_find(call->process, wire->delivery) == NULL || wire->status == FOS_OK)
		only(call, FOS_INVALID);
}

static void finish(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	(void)o;
	const struct wire_call_finish *wire = (const void *)bytes;
	call->delivery = wire->delivery;
	if (oracle_open_find(call->process, wire->delivery) == NULL)
		only(call, FOS_INVALID);
}

/* ------------------------------------------------------------------ copying */

static fos_status find_then(const struct oracle_built *built, struct oracle_value **then,
							struct oracle_value **on_error)
{
	const struct oracle_addition *call = &built->call;
	if (call->range_count > 0 || call->bound_count > 1 ||
		(call->bound_count == 1 && call->bounds[0].index != FOS_NEXT))
		return FOS_INVALID;
	if (call->bound_count == 0)
		return FOS_OK;
	*then = built->table[call->bounds[0].value];
	if ((*then)->kind != FOS_REQUEST)
		return FOS_WRONG_TYPE;
	if (call->on_error != NULL)
		*on_error = call->on_error;
	else if ((*then)->bundle != NULL && (*then)->bundle->on_error != NULL)
		*on_error = (*then)->bundle->on_error;
	return FOS_OK;
}

static fos_status may_copy(const struct oracle_value *dst, const struct oracle_value *src)
{
	if (dst == NULL || src == NULL)
		return FOS_NO_CAP;
	if (dst->kind != FOS_MEMORY || src->kind != FOS_MEMORY)
		return FOS_WRONG_TYPE;
	if (!(src->rights & FOS_READ) || !(dst->rights & FOS_WRITE))
		return FOS_DENIED;
	return dst->length < src->length ? FOS_RANGE : FOS_OK;
}

static void begin_copy(struct oracle *o, struct oracle_call *call, struct oracle_value *dst,
					   struct oracle_value *src, struct oracle_value *then,
					   struct oracle_value *on_error, uint64_t trace, uint64_t end)
{
	struct oracle_process *process = call->process;
	call->may = oracle_use(o, process->node, src->object);
	/* It is bound in what the copy is asked with. */
	if (then != NULL && then->height == FOS_NEST_MAX) {
		call->may = (call->may & MAY(OK)) ? (call->may & ~MAY(OK)) | MAY(INVALID) : call->may;
		return;
	}
	if (src->object->node == process->node && (call->may & MAY(OK)))
		call->may = (call->may & ~MAY(OK)) | oracle_use(o, process->node, dst->object);
	call->too_large = oracle_too_large(then != NULL ? then->bundle : NULL, on_error);
	if (!(call->may & MAY(OK)))
		return;
	struct oracle_copying *copying = oracle_alloc(o, sizeof *copying);
	*copying = (struct oracle_copying){.call = call,
									   .asker = process,
									   .src = oracle_hold(src),
									   .dst = oracle_hold(dst),
									   .trace = trace,
									   .end = end,
									   .moment = o->moment,
									   .time = o->now};
	src->object->armed = dst->object->armed = true;
	call->weight = (then != NULL ? then->weight : 0) + (on_error != NULL ? on_error->weight : 0);
	oracle_copy_start(o, copying);
	call->copying = copying;
	call->waits = true;
	call->end = end;
	copying->next = oracle_hold(then);
	/* It goes with the copy also where there is no `then`. */
	copying->on_error = oracle_hold(on_error);
	if (on_error != NULL)
		on_error->object->armed = true;
	uint64_t way = (uint64_t)1 << src->object->node | (uint64_t)1 << dst->object->node;
	oracle_was_at(o, then, way);
	oracle_was_at(o, on_error, way);
	if (then == NULL)
		return;
	copying->then = oracle_made_new(o, ORACLE_THEN, process, call->channel, then->object,
									then->bundle, on_error, trace, end);
	oracle_made_after(copying->then, copying);
	then->object->armed = true;
}

static void memory_copy(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	const struct wire_call_memory_copy *wire = (const void *)bytes;
	struct wire_tail tail;
	struct oracle_built built;
	wire_call_tail(bytes, &tail);
	fos_status status = oracle_build(o, call->process, &tail.args, &built);
	if (status != FOS_OK) {
		only(call, status);
		return;
	}
	struct oracle_value *dst = oracle_named(call->process, &built, wire->dst);
	struct oracle_value *src = oracle_named(call->process, &built, wire->src);
	struct oracle_value *then = NULL, *on_error = NULL;
	uint64_t trace = wire->trace, end = end_of(o, o->config.core.default_time);
	status = may_copy(dst, src);
	if (status == FOS_OK && wire->delivery != 0) {
		const struct oracle_open *open = oracle_open_find(call->process, wire->delivery);
		status = open != NULL ? FOS_OK : FOS_INVALID;
		if (open != NULL) {
			on_error = open->on_error;
			trace = open->trace;
			end = open->end;
		}
	}
	if (wire->time != 0)
		end = end_of(o, wire->time);
	if (status == FOS_OK)
		status = find_then(&built, &then, &on_error);
	only(call, status);
	if (status == FOS_OK)
		begin_copy(o, call, dst, src, then, on_error, trace, end);
	oracle_built_release(o, &built);
}

/* ------------------------------------------------------------------ slots */

static void cap_close(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	(void)o;
	const struct wire_call_cap_close *wire = (const void *)bytes;
	const struct oracle_process *process = call->process;
	uint32_t index = (uint32_t)(wire->cap & ((1u << HANDLE_INDEX_BITS) - 1));
	call->cap = wire->cap;
	bool known = index < process->cell_room && wire->cap != 0 &&
				 wire->cap <= process->cells[index].cap && wire->cap >> HANDLE_INDEX_BITS != 0;
	/* A core may have given out a name that nobody was told. */
	if (!known)
		call->may = MAY(OK) | MAY(NO_CAP);
}

static void cap_keep(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	(void)o;
	const struct wire_call_cap_keep *wire = (const void *)bytes;
	call->cap = wire->cap;
	if (slot_value(call->process, wire->cap) == NULL)
		only(call, FOS_NO_CAP);
}

static void cap_info(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	(void)o;
	const struct wire_call_cap_info *wire = (const void *)bytes;
	call->cap = wire->cap;
	if (slot_value(call->process, wire->cap) == NULL)
		only(call, FOS_NO_CAP);
}

static void cap_is_same(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	(void)o;
	const struct wire_call_cap_is_same *wire = (const void *)bytes;
	const struct oracle_value *a = slot_value(call->process, wire->a);
	const struct oracle_value *b = slot_value(call->process, wire->b);
	if (a == NULL || b == NULL)
		only(call, FOS_NO_CAP);
	else
		call->same = a->object == b->object;
}

/* ------------------------------------------------------------------ the registry */

static void registry_get(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	const struct wire_call_registry_get *wire = (const void *)bytes;
	call->end = end_of(o, wire->time);
	call->waits = true;
	call->process->asking++;
	if (wire->other == 0)
		return;
	struct oracle_value *other = slot_value(call->process, wire->other);
	call->named = oracle_hold(other);
	if (other == NULL)
		only(call, FOS_NO_CAP);
}

static void registry_set(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	const struct wire_call_registry_set *wire = (const void *)bytes;
	struct oracle_process *process = call->process;
	struct oracle_value *value = slot_value(process, wire->cap);
	if (!process->may_set_registry) {
		only(call, FOS_DENIED);
	} else if (value == NULL) {
		only(call, FOS_NO_CAP);
	} else if (value->kind != FOS_REQUEST) {
		only(call, FOS_WRONG_TYPE);
	} else if (value->object->node != process->node) {
		only(call, FOS_DENIED);
	} else {
		const struct oracle_thing *thing = value->object;
		bool lasts = value->bundle == NULL && !thing->is_once && !thing->tracked;
		call->may = oracle_use(o, process->node, thing);
		if (thing->process != process)
			call->may = (call->may & ~MAY(OK)) | MAY(DENIED);
		else if (!lasts)
			call->may = (call->may & ~MAY(OK)) | MAY(INVALID);
		else if (thing->parent != NULL)
			call->may |= MAY(INVALID) | MAY(DENIED);
		call->named = oracle_hold(value);
	}
}

/* ------------------------------------------------------------------ revoking */

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
	struct oracle_value *value = slot_value(process, wire->cap);
	if (value == NULL) {
		only(call, FOS_NO_CAP);
		return;
	}
	struct oracle_thing *thing = value->object;
	bool maker = thing->maker == process;
	call->object = thing;
	call->drain = wire->drain;
	call->was = oracle_life(o, thing);
	call->end = end_of(o, wire->time ? wire->time : o->config.core.default_time);
	if (thing->node != process->node) {
		revoke_there(o, call, maker);
	} else if (thing->epoch != process->epoch) {
		only(call, FOS_STALE);
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

/* ------------------------------------------------------------------ monitors */

static void monitor(struct oracle *o, struct oracle_call *call, uint64_t cap, unsigned which)
{
	struct oracle_cell *cell = oracle_cell(call->process, cap);
	(void)o;
	call->may = 0;
	call->cap = cap;
	if (cell == NULL) {
		only(call, FOS_NO_CAP);
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

/* ------------------------------------------------------------------ submission */

static void null_call(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	(void)o;
	(void)call;
	(void)bytes;
}

typedef void (*predictor)(struct oracle *, struct oracle_call *, const uint8_t *);
static const predictor predictors[] = {
	[WIRE_CALL_TYPE_NULL] = null_call,
	[WIRE_CALL_TYPE_MEMORY_CREATE] = memory_create,
	[WIRE_CALL_TYPE_MEMORY_DIMINISH] = memory_diminish,
	[WIRE_CALL_TYPE_MEMORY_COPY] = memory_copy,
	[WIRE_CALL_TYPE_REQUEST_CREATE] = request_create,
	[WIRE_CALL_TYPE_REQUEST_REFINE] = request_refine,
	[WIRE_CALL_TYPE_REQUEST_INVOKE] = request_invoke,
	[WIRE_CALL_TYPE_CONTINUE] = go_on,
	[WIRE_CALL_TYPE_FAIL] = fail,
	[WIRE_CALL_TYPE_FINISH] = finish,
	[WIRE_CALL_TYPE_CAP_CLOSE] = cap_close,
	[WIRE_CALL_TYPE_CAP_KEEP] = cap_keep,
	[WIRE_CALL_TYPE_CAP_INFO] = cap_info,
	[WIRE_CALL_TYPE_CAP_IS_SAME] = cap_is_same,
	[WIRE_CALL_TYPE_CAP_REVOKE] = cap_revoke,
	[WIRE_CALL_TYPE_REGISTRY_GET] = registry_get,
	[WIRE_CALL_TYPE_REGISTRY_SET] = registry_set,
	[WIRE_CALL_TYPE_CAP_REVTREE] = cap_revtree,
	[WIRE_CALL_TYPE_MONITOR_RECEIVE] = monitor_receive,
	[WIRE_CALL_TYPE_MONITOR_DELEGATE] = monitor_delegate,
};

void oracle_submitted(struct oracle *o, struct oracle_process *process,
					  const struct core_event *event)
{
	o->caller = process;
	o->counts.calls++;
	if (!wire_check_call(event->bytes, event->size)) {
		o->must_end_process = true;
		return;
	}
	const struct wire_record *head = (const void *)event->bytes;
	struct oracle_call *call = oracle_alloc(o, sizeof *call);
	*call = (struct oracle_call){.process = process,
								 .channel = event->channel,
								 .cookie = head->cookie,
								 .type = head->type,
								 .moment = o->moment,
								 .time = o->now,
								 .may = MAY(OK)};
	list_init(&call->hash);
	list_init(&call->of_process);
	list_push(&process->calls, &call->of_process);
	BASE_ASSERT(head->type < BASE_COUNT(predictors) && predictors[head->type] != NULL);
	process->touched = false;
	predictors[head->type](o, call, event->bytes);
	call->uncertain = process->touched;
	o->current = call;
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

void oracle_call_end(struct oracle *o, struct oracle_call *call)
{
	list_remove(&call->hash);
	list_remove(&call->of_process);
	if (call->waits && (call->type == WIRE_CALL_TYPE_MONITOR_RECEIVE ||
						call->type == WIRE_CALL_TYPE_MONITOR_DELEGATE)) {
		unlink_monitor(call);
		call->process->monitors--;
		call->object->delegates -= call->type == WIRE_CALL_TYPE_MONITOR_DELEGATE;
	}
	if (call->waits && call->type == WIRE_CALL_TYPE_REGISTRY_GET)
		call->process->asking--;
	if (call->waits && call->type == WIRE_CALL_TYPE_CAP_REVOKE)
		call->process->revokings--;
	if (call->copying != NULL) {
		oracle_copy_number(o, call);
		call->copying->call = NULL;
	}
	oracle_release(o, call->value);
	oracle_release(o, call->named);
	if (call->fresh != NULL && list_empty(&call->fresh->hash))
		oracle_free(o, call->fresh, sizeof *call->fresh);
	if (o->current == call)
		o->current = NULL;
	oracle_free(o, call, sizeof *call);
}

void oracle_calls_settle(struct oracle *o)
{
	struct oracle_call *call = o->current;
	if (call == NULL)
		return;
	o->current = NULL;
	if (!call->waits && call->process->alive && !call->process->ending)
		oracle_violate(o, "%s of %s was not completed", wire_call_name(call->type),
					   oracle_name(call->process));
	list_push(oracle_bucket(o->calls, cookie_hash(call->process, call->cookie)), &call->hash);
	oracle_copy_number(o, call);
	/* From this step on nothing passes through what its own Controller kills. */
	if (call->kills && call->object->node == call->process->node)
		oracle_kill(o, call->object, ORACLE_DEAD, ORACLE_BY_REVOKE);
}

/* ------------------------------------------------------------------ completion */

/* What may be charged to it now: also children afar that are asked for, and those that died and of
 * which its Controller may not have heard. */
static uint32_t asked_children(const struct oracle_process *process)
{
	uint32_t count = 0;
	for (const struct list *at = process->calls.next; at != &process->calls; at = at->next) {
		const struct oracle_call *call = BASE_CONTAINER(at, struct oracle_call, of_process);
		count +=
			call->type == WIRE_CALL_TYPE_CAP_REVTREE || call->type == WIRE_CALL_TYPE_REQUEST_REFINE;
	}
	return count;
}

static uint32_t charged_objects(const struct oracle *o, const struct oracle_process *process)
{
	uint32_t count = process->remained + asked_children(process);
	if (!oracle_told_afar(o, process))
		count += process->dead_afar;
	for (const struct list *at = process->things.next; at != &process->things; at = at->next)
		count += oracle_counted(o, BASE_CONTAINER(at, struct oracle_thing, of_maker));
	return count;
}

/* What all of a node's Processes may have made at an owner, which bounds it: those that it is asked
 * for, and those that are dead and may not be told of yet, included. */
static bool most_children(const struct oracle *o, uint32_t node, uint32_t owner)
{
	uint32_t count = 0;
	for (const struct list *at = o->all.next; at != &o->all; at = at->next) {
		const struct oracle_process *process = BASE_CONTAINER(at, struct oracle_process, all);
		if (process->node == node)
			count +=
				asked_children(process) + (oracle_told_afar(o, process) ? 0 : process->dead_afar);
	}
	const struct list *things = &o->nodes[owner].things;
	for (const struct list *at = things->next; at != things; at = at->next) {
		const struct oracle_thing *thing = BASE_CONTAINER(at, struct oracle_thing, of_node);
		count += thing->parent != NULL && thing->maker->node == node && oracle_counted(o, thing);
	}
	return count >= o->config.core.limits.objects;
}

/* A call with a `then` ends before its copy, whose end only its Controller knows; that none stays
 * charged the end of the world shows. */
static bool most_copies(const struct oracle *o, const struct oracle_process *process)
{
	const struct core *core = o->config.core_of(o->config.context, process->node);
	struct core_view_process view;
	return core_inspect_process(core, process->serial, &view) &&
		   view.copies >= o->config.core.limits.copies;
}

/* So many wait in its name: of some that wait behind a fault it is not known whether they do, so
 * the core's own count is believed; that it goes down again the end of the world shows. */
static bool most_parked(const struct oracle *o, const struct oracle_process *process)
{
	const struct core_limits *limits = &o->config.core.limits;
	const struct core *core = o->config.core_of(o->config.context, process->node);
	struct core_usage usage;
	if (process->waiting + oracle_notices(o, process).count >= limits->parked)
		return true;
	bool faults = o->disturbances > 0 || o->calm + 2 * o->config.core.default_time > o->now;
	return faults && core_process_usage(core, process->serial, &usage) &&
		   usage.parked >= limits->parked;
}

/* Whether some limit may be what refused it. */
static bool quota_explained(struct oracle *o, const struct oracle_call *call)
{
	const struct oracle_process *process = call->process;
	const struct core_limits *limits = &o->config.core.limits;
	uint64_t weight = call->weight + (call->value != NULL ? call->value->weight : 0) +
					  (call->named != NULL ? call->named->weight : 0);
	/* What waits in its name is charged too. */
	weight += oracle_notices(o, process).weight;
	if (oracle_pressed(o, process->node) || call->too_large || !oracle_fits(o, process, 1, weight))
		return true;
	switch (call->type) {
	case WIRE_CALL_TYPE_MEMORY_CREATE:
		return charged_objects(o, process) >= limits->objects;
	case WIRE_CALL_TYPE_REQUEST_CREATE:
		return charged_objects(o, process) >= limits->objects ||
			   (call->fresh->is_once &&
				(process->once_living + process->once_open >= limits->once ||
				 !oracle_fits(o, process, 1 + ONCE_SLOTS, weight + ONCE_BYTES)));
	case WIRE_CALL_TYPE_CAP_REVTREE:
	case WIRE_CALL_TYPE_REQUEST_REFINE:
		return call->object != NULL && (charged_objects(o, process) >= limits->objects ||
										oracle_pressed(o, call->object->node) ||
										(call->object->node != process->node &&
										 most_children(o, process->node, call->object->node)));
	case WIRE_CALL_TYPE_REQUEST_INVOKE:
	case WIRE_CALL_TYPE_CONTINUE:
		if (most_parked(o, process))
			return true;
		if (call->made == NULL)
			return false;
		return oracle_pressed(o, call->made->target->node) ||
			   (call->made->target->node == process->node &&
				(call->made->target->process->tight_moment == o->moment ||
				 !oracle_fits(o, call->made->target->process, FOS_CAPS_MAX, call->weight)));
	case WIRE_CALL_TYPE_MEMORY_COPY:
		return most_copies(o, process) || most_parked(o, process) ||
			   (call->copying != NULL && (oracle_copy_may(o, call->copying) & MAY(QUOTA)));
	case WIRE_CALL_TYPE_REGISTRY_GET:
		return process->waiting + process->asking + oracle_notices(o, process).count >=
			   limits->parked;
	case WIRE_CALL_TYPE_CAP_REVOKE:
		return process->revokings >= limits->revokings;
	case WIRE_CALL_TYPE_MONITOR_RECEIVE:
	case WIRE_CALL_TYPE_MONITOR_DELEGATE:
		return process->monitors >= limits->monitors;
	default:
		return false;
	}
}

static uint32_t copy_now(struct oracle *o, struct oracle_call *call, fos_status status)
{
	struct oracle_copying *copying = call->copying;
	bool has_then = copying->then != NULL;
	uint32_t may = call->may & ~MAY(OK);
	bool here = copying->src->object->node == call->process->node;
	if (status == FOS_OK && (has_then ? !here || oracle_left(copying) : oracle_landed(copying)))
		may |= MAY(OK);
	uint32_t explained = oracle_copy_may(o, copying) & ~MAY(OK);
	/* A source that nothing will read any more may be overwritten. */
	if (has_then && explained != 0)
		may |= MAY(OK);
	return may | explained;
}

static uint32_t child_now(const struct oracle *o, const struct oracle_call *call)
{
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

static uint32_t revoke_now(const struct oracle *o, const struct oracle_call *call)
{
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

/* What is allowed at this moment. */
static uint32_t allowed(struct oracle *o, struct oracle_call *call, fos_status status)
{
	if (!call->waits)
		return call->may;
	switch (call->type) {
	case WIRE_CALL_TYPE_MEMORY_COPY:
		return copy_now(o, call, status);
	case WIRE_CALL_TYPE_REQUEST_REFINE:
	case WIRE_CALL_TYPE_CAP_REVTREE:
		return child_now(o, call);
	case WIRE_CALL_TYPE_CAP_REVOKE:
		return revoke_now(o, call);
	case WIRE_CALL_TYPE_REGISTRY_GET:
		return call->may | (call->end <= o->now ? MAY(TIMED_OUT) : 0);
	default:
		return call->may;
	}
}

static void check_slot(struct oracle *o, const struct oracle_call *call,
					   const struct core_view_slot *seen, const struct oracle_value *value)
{
	const struct oracle_thing *thing = value->object;
	if (seen->ref.serial != thing->serial || seen->ref.index != thing->index ||
		seen->ref.node != thing->node || seen->ref.epoch != thing->epoch ||
		seen->kind != value->kind ||
		(value->kind == FOS_MEMORY &&
		 (seen->offset != value->offset || seen->length != value->length ||
		  seen->rights != value->rights)) ||
		seen->hash != value->hash)
		oracle_violate(o, "%s of %s gave another capability than it was asked for",
					   wire_call_name(call->type), oracle_name(call->process));
}

/* The registry's Request, whichever the caller's node knows of. */
static void take_registry(struct oracle *o, struct oracle_call *call,
						  const struct core_view_slot *seen)
{
	struct oracle_process *process = call->process;
	const struct core_view_ref *ref = &seen->ref;
	struct oracle_thing *thing =
		oracle_thing_find(o, ref->node, ref->epoch, ref->index, ref->serial);
	/* It is known until its session has ended. */
	bool reaches = ref->node == process->node || o->sessions[process->node][ref->node].there;
	if (thing == NULL || !thing->registry || !reaches ||
		(call->named != NULL && call->named->object == thing)) {
		oracle_violate(o, "registry_get of %s gave what is not the registry, or the known one",
					   oracle_name(process));
		return;
	}
	/* Its content is checked when it is invoked: the principal, and nothing else. */
	const struct wire_range whole = {.length = sizeof(fos_principal)};
	struct oracle_addition add = {.ranges = &whole, .range_count = 1, .imm = process->principal};
	struct oracle_bundle *bundle;
	if (oracle_merge(o, NULL, &add, false, &bundle) == FOS_OK)
		call->value = oracle_value_request(o, thing, bundle);
}

static void take_child(struct oracle *o, struct oracle_call *call,
					   const struct core_view_slot *seen)
{
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

static void take_slot(struct oracle *o, struct oracle_call *call, uint64_t cap)
{
	struct oracle_process *process = call->process;
	const struct core *core = o->config.core_of(o->config.context, process->node);
	struct core_view_slot seen;
	if (cap == 0 || !core_inspect_slot(core, process->serial, cap, &seen)) {
		oracle_violate(o, "%s of %s gave no slot", wire_call_name(call->type),
					   oracle_name(process));
		return;
	}
	if (call->fresh != NULL) {
		oracle_thing_name(o, call->fresh, &seen.ref);
		oracle_value_rehash(call->value);
		if (call->fresh->is_once)
			process->once_living++;
	} else if (call->type == WIRE_CALL_TYPE_REGISTRY_GET) {
		take_registry(o, call, &seen);
	} else if (call->value == NULL) {
		take_child(o, call, &seen);
	}
	if (o->violated)
		return;
	check_slot(o, call, &seen, call->value);
	oracle_slot_add(o, process, cap, call->value, false);
}

static bool gives_slot(const struct oracle_call *call)
{
	switch (call->type) {
	case WIRE_CALL_TYPE_MEMORY_CREATE:
	case WIRE_CALL_TYPE_MEMORY_DIMINISH:
	case WIRE_CALL_TYPE_REQUEST_CREATE:
	case WIRE_CALL_TYPE_REQUEST_REFINE:
	case WIRE_CALL_TYPE_CAP_REVTREE:
	case WIRE_CALL_TYPE_REGISTRY_GET:
		return true;
	default:
		return false;
	}
}

static void end_delivery(struct oracle *o, struct oracle_call *call, fos_status failed_with)
{
	struct oracle_open *open = oracle_open_find(call->process, call->delivery);
	if (open == NULL)
		return;
	if (failed_with != FOS_OK)
		oracle_failed(o, open, failed_with);
	oracle_open_end(o, open, true);
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

static void succeed(struct oracle *o, struct oracle_call *call)
{
	switch (call->type) {
	case WIRE_CALL_TYPE_CONTINUE:
	case WIRE_CALL_TYPE_FINISH:
		end_delivery(o, call, FOS_OK);
		break;
	case WIRE_CALL_TYPE_FAIL:
		end_delivery(o, call, call->told);
		break;
	case WIRE_CALL_TYPE_CAP_CLOSE:
		oracle_slot_close(o, call->process, call->cap);
		break;
	case WIRE_CALL_TYPE_CAP_KEEP:
		oracle_cell(call->process, call->cap)->borrowed = false;
		break;
	case WIRE_CALL_TYPE_REGISTRY_SET:
		call->named->object->registry = true;
		break;
	case WIRE_CALL_TYPE_CAP_REVOKE:
		if (call->object->maker == call->process)
			revoked(o, call);
		break;
	case WIRE_CALL_TYPE_MEMORY_COPY:
		if (call->copying->then == NULL)
			call->copying->reported = true;
		break;
	default:
		break;
	}
}

static void refused(struct oracle *o, struct oracle_call *call, fos_status status)
{
	if (call->made != NULL) {
		oracle_made_refused(o, call->made);
		call->made = NULL;
	}
	if (call->type == WIRE_CALL_TYPE_CONTINUE && call->fail_if_refused)
		end_delivery(o, call, status);
	if (call->copying != NULL) {
		/* Refused at once, it never was; later, its bytes may still be on their way. */
		struct oracle_copying *copying = call->copying;
		copying->reported = true;
		bool at_once = o->current == call && copying->taken == 0;
		if (at_once || (copying->then != NULL && copying->taken == 0))
			oracle_copy_refused(o, copying);
	}
	if (call->type != WIRE_CALL_TYPE_CAP_REVOKE || !call->kills)
		return;
	if (status == FOS_TIMED_OUT || status == FOS_REVOKED || status == FOS_STALE) {
		oracle_kill(o, call->object, ORACLE_DEAD, ORACLE_BY_REVOKE);
	} else if (status == FOS_QUOTA && call->was == ORACLE_LIVE && call->object->revokes-- == 1) {
		call->object->life = ORACLE_LIVE;
		call->object->killed = 0;
	}
	if (status == FOS_QUOTA)
		call->kills = false;
}

static void count_status(struct oracle *o, fos_status status)
{
	o->counts.completions++;
	o->counts.statuses[status]++;
	if (status == FOS_OUTCOME_UNKNOWN || status == FOS_PEER_LOST || status == FOS_STALE ||
		status == FOS_CONTROLLER_LOST)
		o->counts.explained++;
	if (status == FOS_QUOTA || status == FOS_BUSY)
		o->counts.limits++;
}

static void completed(struct oracle *o, struct oracle_call *call,
					  const struct wire_answer_completion *answer)
{
	fos_status status = (fos_status)answer->status;
	uint32_t may = allowed(o, call, status);
	if (call->uncertain)
		may |= MAY(NO_CAP) | MAY(PEER_LOST) | MAY(STALE) | MAY(REVOKED);
	count_status(o, status);
	o->counts.maybes += (may & (may - 1)) != 0;
	if (!(may >> status & 1) && !(status == FOS_QUOTA && quota_explained(o, call))) {
		oracle_violate(o, "%s of %s ended with %s, which nothing explains (allowed: %#x)",
					   wire_call_name(call->type), oracle_name(call->process),
					   fos_status_name(status), may);
		return;
	}
	if (answer->same != (status == FOS_OK && call->same) ||
		(answer->cap != 0 && !(status == FOS_OK && gives_slot(call)))) {
		oracle_violate(o, "%s of %s said more than it was asked, or the wrong thing",
					   wire_call_name(call->type), oracle_name(call->process));
		return;
	}
	if (status != FOS_OK)
		refused(o, call, status);
	else if (gives_slot(call))
		take_slot(o, call, answer->cap);
	else
		succeed(o, call);
	/* One that kills at its own Controller has killed now. */
	if (call->kills && call->object->node == call->process->node)
		oracle_kill(o, call->object, ORACLE_DEAD, ORACLE_BY_REVOKE);
}

/* ------------------------------------------------------------------ cap_info */

static void informed(struct oracle *o, struct oracle_call *call,
					 const struct wire_answer_info *info)
{
	const struct oracle_process *process = call->process;
	const struct oracle_value *value = slot_value(call->process, call->cap);
	count_status(o, (fos_status)info->status);
	if (call->uncertain && info->status == FOS_NO_CAP)
		return;
	if (!(call->may >> info->status & 1)) {
		oracle_violate(o, "cap_info of %s ended with %s", oracle_name(process),
					   fos_status_name((fos_status)info->status));
		return;
	}
	if (value == NULL)
		return;
	const struct oracle_thing *thing = value->object;
	enum oracle_life life = oracle_life(o, thing);
	bool memory = value->kind == FOS_MEMORY;
	bool own = thing->process == process;
	uint32_t use =
		thing->node == process->node ? MAY(OK) : oracle_session_to(o, process->node, thing);
	bool reaches = use == MAY(OK) && (thing->node != process->node || !oracle_epoch_over(o, thing));
	bool right = info->kind == value->kind && info->node == thing->node &&
				 info->rights == (memory ? value->rights : 0) &&
				 info->length == (memory ? value->length : 0) &&
				 info->once == (!memory && thing->is_once) && info->reachable == reaches &&
				 (info->tracked == thing->tracked || (thing->tracked && life != ORACLE_LIVE));
	if (info->own)
		right &= own && life != ORACLE_DEAD;
	else
		right &= !own || life != ORACLE_LIVE;
	if (info->own && memory)
		right &=
			info->segment == thing->segment + 1 && info->offset == thing->offset + value->offset;
	if (info->own && !memory && !thing->has_children && thing->parent == NULL)
		right &= info->open_deliveries == thing->open;
	if (info->revocable)
		right &= thing->maker == process;
	if (!right)
		oracle_violate(
			o,
			"cap_info of %s tells what is not so: kind %u node %u rights %u length %llu own "
			"%u once %u reachable %u tracked %u revocable %u open %u",
			oracle_name(process), info->kind, info->node, info->rights,
			(unsigned long long)info->length, info->own, info->once, info->reachable, info->tracked,
			info->revocable, info->open_deliveries);
}

/* ------------------------------------------------------------------ monitors' end */

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

static void monitored(struct oracle *o, struct oracle_call *call,
					  const struct wire_answer_monitored *answer)
{
	fos_status status = (fos_status)answer->status;
	o->counts.monitors++;
	count_status(o, status);
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
		right = quota_explained(o, call);
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

/* ------------------------------------------------------------------ answers */

static uint16_t answer_of(const struct oracle_call *call)
{
	switch (call->type) {
	case WIRE_CALL_TYPE_CAP_INFO:
		return WIRE_ANSWER_TYPE_INFO;
	case WIRE_CALL_TYPE_MONITOR_RECEIVE:
	case WIRE_CALL_TYPE_MONITOR_DELEGATE:
		return WIRE_ANSWER_TYPE_MONITORED;
	default:
		return WIRE_ANSWER_TYPE_COMPLETION;
	}
}

static bool is_answer(const struct oracle_call *call, const struct oracle_process *process,
					  uint32_t channel, const struct wire_record *head)
{
	return call->process == process && call->channel == channel && call->cookie == head->cookie &&
		   answer_of(call) == head->type;
}

static struct oracle_call *find_call(struct oracle *o, const struct oracle_process *process,
									 uint32_t channel, const struct wire_record *head)
{
	if (o->current != NULL && is_answer(o->current, process, channel, head))
		return o->current;
	struct list *bucket = oracle_bucket(o->calls, cookie_hash(process, head->cookie));
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct oracle_call *call = BASE_CONTAINER(at, struct oracle_call, hash);
		if (is_answer(call, process, channel, head))
			return call;
	}
	return NULL;
}

void oracle_answered(struct oracle *o, struct oracle_process *process, uint32_t channel,
					 const uint8_t *bytes)
{
	const struct wire_record *head = (const void *)bytes;
	struct oracle_call *call = find_call(o, process, channel, head);
	if (call == NULL) {
		oracle_violate(o,
					   "a completion for %s, cookie %llu, of no call, or of one completed before",
					   oracle_name(process), (unsigned long long)head->cookie);
		return;
	}
	if (head->type == WIRE_ANSWER_TYPE_INFO)
		informed(o, call, (const void *)bytes);
	else if (head->type == WIRE_ANSWER_TYPE_MONITORED)
		monitored(o, call, (const void *)bytes);
	else
		completed(o, call, (const void *)bytes);
	oracle_call_end(o, call);
}
