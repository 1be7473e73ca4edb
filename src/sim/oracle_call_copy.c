/* memory_copy: which bytes it may move is oracle_copy.c's. */
#include "sim/oracle_call.h"

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
		oracle_only(call, status);
		return;
	}
	struct oracle_value *dst = oracle_named(call->process, &built, wire->dst);
	struct oracle_value *src = oracle_named(call->process, &built, wire->src);
	struct oracle_value *then = NULL, *on_error = NULL;
	uint64_t trace = wire->trace, end = oracle_end_of(o, o->config.core.default_time);
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
		end = oracle_end_of(o, wire->time);
	if (status == FOS_OK)
		status = find_then(&built, &then, &on_error);
	oracle_only(call, status);
	if (status == FOS_OK)
		begin_copy(o, call, dst, src, then, on_error, trace, end);
	oracle_built_release(o, &built);
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

static void landed(struct oracle *o, struct oracle_call *call)
{
	(void)o;
	if (call->copying->then == NULL)
		call->copying->reported = true;
}

/* Refused at once, it never was; later, its bytes may still be on their way. */
static void refused(struct oracle *o, struct oracle_call *call, fos_status status)
{
	(void)status;
	struct oracle_copying *copying = call->copying;
	if (copying == NULL)
		return;
	copying->reported = true;
	bool at_once = o->current == call && copying->taken == 0;
	if (at_once || (copying->then != NULL && copying->taken == 0))
		oracle_copy_refused(o, copying);
}

static void end(struct oracle *o, struct oracle_call *call)
{
	if (call->copying == NULL)
		return;
	oracle_copy_number(o, call);
	call->copying->call = NULL;
}

const struct oracle_kind oracle_memory_copy = {
	.submit = memory_copy,
	.now = copy_now,
	.succeed = landed,
	.refused = refused,
	.end = end,
};
