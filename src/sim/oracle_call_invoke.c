/* request_invoke, and what finishes a delivery: continue, fail, finish. */
#include "sim/oracle_call.h"

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
		oracle_only(call, FOS_WRONG_TYPE);
		return;
	}
	fos_status status = oracle_merge(o, request->bundle, order->add, true, &args);
	oracle_only(call, status);
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
		oracle_only(call, status);
		return;
	}
	const struct oracle_value *request = oracle_named(call->process, &built, wire->cap);
	struct order order = {.add = &built.call,
						  .trace = wire->trace,
						  .end = oracle_end_of(o, o->config.core.default_time)};
	struct oracle_open *open = oracle_open_find(call->process, wire->delivery);
	if (open != NULL && wire->delivery != 0) {
		order.on_error = open->on_error;
		order.trace = open->trace;
		order.end = open->end;
	}
	if (wire->time != 0)
		order.end = oracle_end_of(o, wire->time);
	if (request == NULL)
		oracle_only(call, FOS_NO_CAP);
	else if (wire->delivery != 0 && open == NULL)
		oracle_only(call, FOS_INVALID);
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
		oracle_only(call, FOS_INVALID);
		return;
	}
	call->delivery = wire->delivery;
	call->fail_if_refused = wire->fail_if_refused;
	if (wire->cap == 0) {
		oracle_only(call, FOS_INVALID);
		return;
	}
	wire_call_tail(bytes, &tail);
	fos_status status = oracle_build(o, call->process, &tail.args, &built);
	if (status != FOS_OK) {
		oracle_only(call, status);
		return;
	}
	const struct oracle_value *next = oracle_named(call->process, &built, wire->cap);
	struct order order = {
		.add = &built.call, .on_error = open->on_error, .trace = open->trace, .end = open->end};
	if (next == NULL)
		oracle_only(call, FOS_NO_CAP);
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
	struct wire_tail tail;
	wire_call_tail(bytes, &tail);
	if (tail.data_len > 0)
		call->detail = oracle_text_hash(tail.data, tail.data_len);
	if (oracle_open_find(call->process, wire->delivery) == NULL || wire->status == FOS_OK)
		oracle_only(call, FOS_INVALID);
}

static void finish(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	(void)o;
	const struct wire_call_finish *wire = (const void *)bytes;
	call->delivery = wire->delivery;
	if (oracle_open_find(call->process, wire->delivery) == NULL)
		oracle_only(call, FOS_INVALID);
}

static void end_delivery(struct oracle *o, struct oracle_call *call, fos_status failed_with)
{
	struct oracle_open *open = oracle_open_find(call->process, call->delivery);
	if (open == NULL)
		return;
	if (failed_with != FOS_OK)
		oracle_failed(o, open, failed_with, call->detail);
	open->status = failed_with;
	oracle_open_end(o, open, true);
}

static void finished(struct oracle *o, struct oracle_call *call)
{
	end_delivery(o, call, FOS_OK);
}

static void failed(struct oracle *o, struct oracle_call *call)
{
	end_delivery(o, call, call->told);
}

/* What was refused was not made. */
static void not_made(struct oracle *o, struct oracle_call *call, fos_status status)
{
	if (call->made != NULL)
		oracle_made_refused(o, call->made);
	call->made = NULL;
	if (call->fail_if_refused)
		end_delivery(o, call, status);
}

const struct oracle_kind oracle_request_invoke = {
	.submit = request_invoke,
	.refused = not_made,
};

const struct oracle_kind oracle_continue = {
	.submit = go_on,
	.succeed = finished,
	.refused = not_made,
};

const struct oracle_kind oracle_fail = {
	.submit = fail,
	.succeed = failed,
};

const struct oracle_kind oracle_finish = {
	.submit = finish,
	.succeed = finished,
};
