/* One function a system call: it fills in a record in the ring and publishes it. Nothing here
 * allocates, but for the table of calls when it grows. The blocking form of a call is the
 * asynchronous one with a waiter as its `done`.
 */
#include <string.h>

#include "client/client.h"

/* ------------------------------------------------------------------ submitting */

/* Room for a record in the ring, its head filled in, the rest not. NULL: *status says why. */
static void *begin(fos_channel *ch, uint16_t type, size_t size, fos_done done, void *arg,
				   uint64_t extra, fos_status *status)
{
	struct wire_record *record;
	struct client_call *call = NULL;
	uint64_t cookie = 0;
	BASE_ASSERT(ch->magic == CLIENT_CHANNEL_MAGIC);
	*status = FOS_CONTROLLER_LOST;
	if (client_lost(ch))
		return NULL;
	if (done != NULL || extra != 0) {
		call = client_call_add(ch, type, done, arg, extra, &cookie);
		if (call == NULL) {
			*status = FOS_QUOTA;
			return NULL;
		}
	}
	for (unsigned tries = 0; (record = ring_reserve(&ch->calls, (uint32_t)size)) == NULL; tries++) {
		if (!client_wait_for_room(ch, (uint32_t)size, tries)) {
			if (call != NULL)
				client_call_drop(ch, call);
			return NULL;
		}
	}
	*record = (struct wire_record){.size = (uint32_t)size, .type = type, .cookie = cookie};
	*status = FOS_OK;
	return record;
}

static fos_status publish(fos_channel *ch)
{
	if (ring_publish(&ch->calls))
		client_ring_bell(ch);
	return FOS_OK;
}

#define BEGIN(ch, NAME, record, done, arg) \
	begin(ch, WIRE_CALL_TYPE_##NAME, sizeof *(record), done, arg, 0, &status)
#define BEGIN_WITH(ch, NAME, record, plan, done, arg) \
	begin(ch, WIRE_CALL_TYPE_##NAME, sizeof *(record) + (plan)->size, done, arg, 0, &status)

/* Waits for a call that was submitted with `waiter`; `status` is the submission's. */
static fos_status await(fos_channel *ch, fos_status status, const struct client_waiter *waiter)
{
	if (status != FOS_OK)
		return status;
	return client_wait_for(ch, &waiter->done) ? waiter->result.status : FOS_CONTROLLER_LOST;
}

static fos_status await_cap(fos_channel *ch, fos_status status, const struct client_waiter *waiter,
							fos_cap *out)
{
	status = await(ch, status, waiter);
	if (status == FOS_OK)
		*out = waiter->result.cap;
	return status;
}

/* ------------------------------------------------------------------ Memory */

fos_status fos_memory_create_async(fos_channel *ch, void *ptr, uint64_t len, unsigned rights,
								   fos_done done, void *arg)
{
	struct wire_call_memory_create *call;
	uint32_t segment;
	uint64_t offset;
	fos_status status;
	if (len == 0 || rights > (FOS_READ | FOS_WRITE) ||
		!client_arena_locate(ch->process, ptr, len, &segment, &offset))
		return FOS_INVALID;
	if (!(call = BEGIN(ch, MEMORY_CREATE, call, done, arg)))
		return status;
	call->offset = offset;
	call->length = len;
	call->segment = segment;
	call->rights = rights;
	return publish(ch);
}

fos_status fos_memory_create(fos_channel *ch, void *ptr, uint64_t len, unsigned rights,
							 fos_cap *out)
{
	struct client_waiter waiter = {0};
	return await_cap(ch, fos_memory_create_async(ch, ptr, len, rights, client_wake, &waiter),
					 &waiter, out);
}

fos_status fos_memory_diminish_async(fos_channel *ch, fos_cap memory, uint64_t offset, uint64_t len,
									 unsigned drop_rights, fos_done done, void *arg)
{
	struct wire_call_memory_diminish *call;
	fos_status status;
	if (len == 0 || drop_rights > (FOS_READ | FOS_WRITE))
		return FOS_INVALID;
	if (!(call = BEGIN(ch, MEMORY_DIMINISH, call, done, arg)))
		return status;
	call->cap = memory;
	call->offset = offset;
	call->length = len;
	call->drop = drop_rights;
	call->zero = 0;
	return publish(ch);
}

fos_status fos_memory_diminish(fos_channel *ch, fos_cap memory, uint64_t offset, uint64_t len,
							   unsigned drop_rights, fos_cap *out)
{
	struct client_waiter waiter = {0};
	return await_cap(
		ch, fos_memory_diminish_async(ch, memory, offset, len, drop_rights, client_wake, &waiter),
		&waiter, out);
}

fos_status fos_memory_copy_async(fos_channel *ch, fos_cap dst, fos_cap src, const fos_args *args,
								 const fos_invoke_options *options, fos_done done, void *arg)
{
	static const fos_invoke_options defaults;
	struct wire_call_memory_copy *call;
	struct client_plan plan;
	uint64_t to, from;
	fos_status status = client_args_plan(args, &plan);
	if (status == FOS_OK)
		status = client_args_cap(args, &plan, dst, &to);
	if (status == FOS_OK)
		status = client_args_cap(args, &plan, src, &from);
	if (status != FOS_OK || !(call = BEGIN_WITH(ch, MEMORY_COPY, call, &plan, done, arg)))
		return status;
	if (options == NULL)
		options = &defaults;
	call->dst = to;
	call->src = from;
	call->delivery = options->delivery;
	call->trace = options->trace;
	call->time = options->time;
	client_args_encode(args, &plan, call + 1);
	return publish(ch);
}

fos_status fos_memory_copy(fos_channel *ch, fos_cap dst, fos_cap src, const fos_args *args,
						   const fos_invoke_options *options)
{
	struct client_waiter waiter = {0};
	return await(ch, fos_memory_copy_async(ch, dst, src, args, options, client_wake, &waiter),
				 &waiter);
}

/* ------------------------------------------------------------------ Requests */

fos_status fos_request_create(fos_channel *ch, fos_handler handler, void *arg,
							  const fos_request_options *options, fos_cap *out)
{
	struct client_waiter waiter = {0};
	struct wire_call_request_create *call;
	bool once = options != NULL && options->once;
	uint64_t cookie;
	fos_status status;
	if (handler == NULL || (options != NULL && !once && options->deadline != 0))
		return FOS_INVALID;
	if (client_handler_add(ch, handler, arg, once, &cookie) == NULL)
		return FOS_QUOTA;
	call = begin(ch, WIRE_CALL_TYPE_REQUEST_CREATE, sizeof *call, client_wake, &waiter, cookie,
				 &status);
	if (call == NULL) {
		client_handler_drop(ch, client_handler_find(ch, cookie));
		return status;
	}
	call->handler = cookie;
	call->deadline = once ? options->deadline : 0;
	call->once = once;
	call->zero = 0;
	return await_cap(ch, publish(ch), &waiter, out);
}

static fos_status refine(fos_channel *ch, fos_cap request, const fos_args *args, bool revocable,
						 bool tracked, fos_done done, void *arg)
{
	struct wire_call_request_refine *call;
	struct client_plan plan;
	uint64_t cap;
	fos_status status = client_args_plan(args, &plan);
	if (status == FOS_OK)
		status = client_args_cap(args, &plan, request, &cap);
	if (status != FOS_OK || !(call = BEGIN_WITH(ch, REQUEST_REFINE, call, &plan, done, arg)))
		return status;
	call->cap = cap;
	call->revocable = revocable;
	call->tracked = tracked;
	client_args_encode(args, &plan, call + 1);
	return publish(ch);
}

fos_status fos_request_refine_async(fos_channel *ch, fos_cap request, const fos_args *args,
									fos_done done, void *arg)
{
	return refine(ch, request, args, false, false, done, arg);
}

fos_status fos_request_refine(fos_channel *ch, fos_cap request, const fos_args *args, fos_cap *out)
{
	struct client_waiter waiter = {0};
	return await_cap(ch, fos_request_refine_async(ch, request, args, client_wake, &waiter), &waiter,
					 out);
}

fos_status fos_request_refine_revocable_async(fos_channel *ch, fos_cap request,
											  const fos_args *args, unsigned flags, fos_done done,
											  void *arg)
{
	if (flags & ~(unsigned)FOS_TRACKED)
		return FOS_INVALID;
	return refine(ch, request, args, true, (flags & FOS_TRACKED) != 0, done, arg);
}

fos_status fos_request_refine_revocable(fos_channel *ch, fos_cap request, const fos_args *args,
										unsigned flags, fos_cap *out)
{
	struct client_waiter waiter = {0};
	return await_cap(
		ch, fos_request_refine_revocable_async(ch, request, args, flags, client_wake, &waiter),
		&waiter, out);
}

fos_status fos_request_invoke_async(fos_channel *ch, fos_cap request, const fos_args *args,
									const fos_invoke_options *options, fos_done done, void *arg)
{
	static const fos_invoke_options defaults;
	struct wire_call_request_invoke *call;
	struct client_plan plan;
	uint64_t cap;
	fos_status status = client_args_plan(args, &plan);
	if (status == FOS_OK)
		status = client_args_cap(args, &plan, request, &cap);
	if (status != FOS_OK || !(call = BEGIN_WITH(ch, REQUEST_INVOKE, call, &plan, done, arg)))
		return status;
	if (options == NULL)
		options = &defaults;
	call->cap = cap;
	call->delivery = options->delivery;
	call->trace = options->trace;
	call->time = options->time;
	client_args_encode(args, &plan, call + 1);
	return publish(ch);
}

fos_status fos_request_invoke(fos_channel *ch, fos_cap request, const fos_args *args,
							  const fos_invoke_options *options)
{
	struct client_waiter waiter = {0};
	return await(ch, fos_request_invoke_async(ch, request, args, options, client_wake, &waiter),
				 &waiter);
}

/* ------------------------------------------------------------------ finishing a delivery */

fos_status fos_continue(fos_channel *ch, fos_delivery_id delivery, fos_cap next,
						const fos_args *args, fos_done done, void *arg)
{
	struct wire_call_continue *call;
	struct client_plan plan;
	uint64_t cap;
	fos_status status = client_args_plan(args, &plan);
	if (next == FOS_CAP_NONE || delivery == FOS_DELIVERY_NONE)
		return FOS_INVALID;
	if (status == FOS_OK)
		status = client_args_cap(args, &plan, next, &cap);
	if (status != FOS_OK || !(call = BEGIN_WITH(ch, CONTINUE, call, &plan, done, arg)))
		return status;
	call->delivery = delivery;
	call->cap = cap;
	call->fail_if_refused = done == NULL;
	call->zero = 0;
	client_args_encode(args, &plan, call + 1);
	return publish(ch);
}

fos_status fos_fail(fos_channel *ch, fos_delivery_id delivery, fos_status reason,
					const char *detail)
{
	struct wire_call_fail *call;
	size_t len = detail ? strnlen(detail, FOS_DETAIL_MAX) : 0;
	fos_status status;
	if (delivery == FOS_DELIVERY_NONE || reason == FOS_OK || (unsigned)reason >= FOS_STATUS_COUNT ||
		len == FOS_DETAIL_MAX)
		return FOS_INVALID;
	call = begin(ch, WIRE_CALL_TYPE_FAIL, sizeof *call + wire_pad8(len), NULL, NULL, 0, &status);
	if (call == NULL)
		return status;
	call->delivery = delivery;
	call->status = reason;
	call->length = (uint32_t)len;
	uint8_t *text = (uint8_t *)(call + 1);
	memset(text, 0, wire_pad8(len));
	if (len != 0)
		memcpy(text, detail, len);
	return publish(ch);
}

fos_status fos_finish(fos_channel *ch, fos_delivery_id delivery)
{
	struct wire_call_finish *call;
	fos_status status;
	if (delivery == FOS_DELIVERY_NONE)
		return FOS_INVALID;
	if (!(call = BEGIN(ch, FINISH, call, NULL, NULL)))
		return status;
	call->delivery = delivery;
	return publish(ch);
}

/* ------------------------------------------------------------------ capabilities */

fos_status fos_cap_close_async(fos_channel *ch, fos_cap cap, fos_done done, void *arg)
{
	struct wire_call_cap_close *call;
	fos_status status;
	if (!(call = BEGIN(ch, CAP_CLOSE, call, done, arg)))
		return status;
	call->cap = cap;
	return publish(ch);
}

fos_status fos_cap_close(fos_channel *ch, fos_cap cap)
{
	struct client_waiter waiter = {0};
	return await(ch, fos_cap_close_async(ch, cap, client_wake, &waiter), &waiter);
}

fos_status fos_cap_keep_async(fos_channel *ch, fos_cap cap, fos_done done, void *arg)
{
	struct wire_call_cap_keep *call;
	fos_status status;
	if (!(call = BEGIN(ch, CAP_KEEP, call, done, arg)))
		return status;
	call->cap = cap;
	return publish(ch);
}

fos_status fos_cap_keep(fos_channel *ch, fos_cap cap)
{
	struct client_waiter waiter = {0};
	return await(ch, fos_cap_keep_async(ch, cap, client_wake, &waiter), &waiter);
}

fos_status fos_cap_info_async(fos_channel *ch, fos_cap cap, fos_done done, void *arg)
{
	struct wire_call_cap_info *call;
	fos_status status;
	if (!(call = BEGIN(ch, CAP_INFO, call, done, arg)))
		return status;
	call->cap = cap;
	return publish(ch);
}

fos_status fos_cap_info(fos_channel *ch, fos_cap cap, fos_cap_information *out)
{
	struct client_waiter waiter = {0};
	fos_status status = await(ch, fos_cap_info_async(ch, cap, client_wake, &waiter), &waiter);
	if (status == FOS_OK)
		*out = waiter.result.info;
	return status;
}

fos_status fos_cap_is_same(fos_channel *ch, fos_cap a, fos_cap b, bool *out)
{
	struct client_waiter waiter = {0};
	struct wire_call_cap_is_same *call;
	fos_status status;
	if (!(call = BEGIN(ch, CAP_IS_SAME, call, client_wake, &waiter)))
		return status;
	call->a = a;
	call->b = b;
	status = await(ch, publish(ch), &waiter);
	if (status == FOS_OK)
		*out = waiter.result.same;
	return status;
}

fos_status fos_cap_create_revtree_async(fos_channel *ch, fos_cap cap, unsigned flags, fos_done done,
										void *arg)
{
	struct wire_call_cap_revtree *call;
	fos_status status;
	if (flags & ~(unsigned)FOS_TRACKED)
		return FOS_INVALID;
	if (!(call = BEGIN(ch, CAP_REVTREE, call, done, arg)))
		return status;
	call->cap = cap;
	call->tracked = (flags & FOS_TRACKED) != 0;
	call->zero = 0;
	return publish(ch);
}

fos_status fos_cap_create_revtree(fos_channel *ch, fos_cap cap, unsigned flags, fos_cap *out)
{
	struct client_waiter waiter = {0};
	return await_cap(ch, fos_cap_create_revtree_async(ch, cap, flags, client_wake, &waiter),
					 &waiter, out);
}

static fos_status revoke(fos_channel *ch, fos_cap cap, bool drain, uint64_t time, fos_done done,
						 void *arg)
{
	struct wire_call_cap_revoke *call;
	fos_status status;
	/* With the slot, so that the handler of a Request can be forgotten. */
	call = begin(ch, WIRE_CALL_TYPE_CAP_REVOKE, sizeof *call, done, arg, cap, &status);
	if (call == NULL)
		return status;
	call->cap = cap;
	call->time = time;
	call->drain = drain;
	call->zero = 0;
	return publish(ch);
}

fos_status fos_cap_revoke_async(fos_channel *ch, fos_cap cap, fos_done done, void *arg)
{
	return revoke(ch, cap, false, 0, done, arg);
}

fos_status fos_cap_revoke(fos_channel *ch, fos_cap cap)
{
	struct client_waiter waiter = {0};
	return await(ch, fos_cap_revoke_async(ch, cap, client_wake, &waiter), &waiter);
}

fos_status fos_cap_drain_async(fos_channel *ch, fos_cap cap, uint64_t time, fos_done done,
							   void *arg)
{
	return revoke(ch, cap, true, time, done, arg);
}

fos_status fos_cap_drain(fos_channel *ch, fos_cap cap, uint64_t time)
{
	struct client_waiter waiter = {0};
	return await(ch, fos_cap_drain_async(ch, cap, time, client_wake, &waiter), &waiter);
}

/* ------------------------------------------------------------------ monitors */

fos_status fos_monitor_receive_async(fos_channel *ch, fos_cap cap, fos_done done, void *arg)
{
	struct wire_call_monitor_receive *call;
	fos_status status;
	if (!(call = BEGIN(ch, MONITOR_RECEIVE, call, done, arg)))
		return status;
	call->cap = cap;
	return publish(ch);
}

fos_status fos_monitor_receive(fos_channel *ch, fos_cap cap, enum fos_gone *out)
{
	struct client_waiter waiter = {0};
	fos_status status =
		await(ch, fos_monitor_receive_async(ch, cap, client_wake, &waiter), &waiter);
	*out = waiter.result.gone;
	return status;
}

fos_status fos_monitor_delegate_async(fos_channel *ch, fos_cap cap, fos_done done, void *arg)
{
	struct wire_call_monitor_delegate *call;
	fos_status status;
	if (!(call = BEGIN(ch, MONITOR_DELEGATE, call, done, arg)))
		return status;
	call->cap = cap;
	return publish(ch);
}

fos_status fos_monitor_delegate(fos_channel *ch, fos_cap cap)
{
	struct client_waiter waiter = {0};
	return await(ch, fos_monitor_delegate_async(ch, cap, client_wake, &waiter), &waiter);
}

/* ------------------------------------------------------------------ the Controller itself */

fos_status fos_null_async(fos_channel *ch, fos_done done, void *arg)
{
	struct wire_call_null *call;
	fos_status status;
	call = BEGIN(ch, NULL, call, done, arg);
	if (call == NULL)
		return status;
	return publish(ch);
}

fos_status fos_null(fos_channel *ch)
{
	struct client_waiter waiter = {0};
	return await(ch, fos_null_async(ch, client_wake, &waiter), &waiter);
}

fos_status fos_registry_get(fos_channel *ch, uint64_t time, fos_cap *out)
{
	struct client_waiter waiter = {0};
	struct wire_call_registry_get *call;
	fos_status status;
	if (!(call = BEGIN(ch, REGISTRY_GET, call, client_wake, &waiter)))
		return status;
	call->time = time;
	call->other = FOS_CAP_NONE;
	return await_cap(ch, publish(ch), &waiter, out);
}

fos_status fos_registry_changed(fos_channel *ch, fos_cap known, uint64_t time, fos_cap *out)
{
	struct client_waiter waiter = {0};
	return await_cap(ch, fos_registry_changed_async(ch, known, time, client_wake, &waiter), &waiter,
					 out);
}

fos_status fos_registry_changed_async(fos_channel *ch, fos_cap known, uint64_t time, fos_done done,
									  void *arg)
{
	struct wire_call_registry_get *call;
	fos_status status;
	if (!(call = BEGIN(ch, REGISTRY_GET, call, done, arg)))
		return status;
	call->time = time;
	call->other = known;
	return publish(ch);
}

fos_status fos_registry_set(fos_channel *ch, fos_cap request)
{
	struct client_waiter waiter = {0};
	struct wire_call_registry_set *call;
	fos_status status;
	if (!(call = BEGIN(ch, REGISTRY_SET, call, client_wake, &waiter)))
		return status;
	call->cap = request;
	return await(ch, publish(ch), &waiter);
}
