/* The registry's blocking calls, for every Process: part of libfractos.
 *
 *     publisher                         registry
 *       | PUBLISH name, cap, lease         |
 *       |--------------------------------->| keeps cap and lease
 *       |            lease (HOLD) <--------| stays open: its end is the publisher's end
 *       |            next  <---------------|
 *
 * A lease is a Request of the publisher. The delivery that HOLD makes is never finished, so the
 * publisher's Controller fails it when the publisher dies, and that tells the registry. RELEASE
 * says that the entry is gone and ends the lease.
 */
#include <string.h>

#include <fractos/registry.h>

static const uint64_t REGISTRY_TIME = 5000000000; /* ns: for a registry to be known */
static const uint64_t TIME_MAX = UINT64_MAX / 4;  /* far in the future, safe to add to a clock */

/* Lives in the arena, because that is exactly as long as the attachment. */
struct lease {
	fos_cap request;
	fos_delivery_id held;
};

/* For clean-up whose failure leaves nothing to be done: only a lost Controller makes it fail, and
 * then there is nothing to clean up. */
static void ignore(fos_status status)
{
	(void)status;
}

static fos_handled lease_delivered(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct lease *lease = arg;
	const uint32_t *state = fos_delivery_imm(delivery, FOS_ARG, sizeof *state);
	if (delivery->exception.status != FOS_OK || !state)
		return FOS_FINISH;
	fos_delivery_id before = lease->held;
	if (*state == FOS_REGISTRY_HOLD) {
		lease->held = delivery->id;
		if (before != FOS_DELIVERY_NONE)
			ignore(fos_finish(ch, before));
		return FOS_FINISH_LATER;
	}
	fos_process *process = fos_channel_process(ch);
	if (before != FOS_DELIVERY_NONE)
		ignore(fos_finish(ch, before));
	if (lease->request != FOS_CAP_NONE) {
		ignore(fos_cap_revoke_async(ch, lease->request, NULL, NULL));
		ignore(fos_cap_close_async(ch, lease->request, NULL, NULL));
	}
	fos_free(process, lease);
	return FOS_FINISH;
}

/* A lease for one entry. On an error nothing is left. */
static fos_status lease_create(fos_channel *ch, struct lease **out)
{
	fos_process *process = fos_channel_process(ch);
	void *bytes = NULL;
	fos_status status = fos_alloc(process, sizeof(struct lease), 64, &bytes);
	if (status != FOS_OK)
		return status;
	struct lease *lease = bytes;
	*lease = (struct lease){.request = FOS_CAP_NONE, .held = FOS_DELIVERY_NONE};
	status = fos_request_create(ch, lease_delivered, lease, NULL, &lease->request);
	if (status != FOS_OK)
		fos_free(process, lease);
	else
		*out = lease;
	return status;
}

static fos_status set_name(fos_registry_args *request, const char *name)
{
	size_t len = name ? strlen(name) : 0;
	if (!name || len >= sizeof request->name)
		return FOS_INVALID;
	memcpy(request->name, name, len);
	return FOS_OK;
}

/* Sends one request to the registry and waits for its answer. *reply is always safe to release. */
static fos_status ask(fos_channel *ch, const fos_registry_args *request, fos_cap cap, fos_cap lease,
					  uint64_t get_time, uint64_t time, fos_reply *reply)
{
	memset(reply, 0, sizeof *reply);
	fos_cap registry;
	fos_status status = fos_registry_get(ch, get_time, &registry);
	if (status != FOS_OK)
		return status;
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, request, sizeof *request);
	if (cap != FOS_CAP_NONE)
		fos_args_cap(&args, FOS_CALL, FOS_REGISTRY_CAP, cap);
	if (lease != FOS_CAP_NONE)
		fos_args_cap(&args, FOS_CALL, FOS_REGISTRY_LEASE, lease);
	status = fos_call(ch, registry, &args, time, reply);
	fos_status closed = fos_cap_close(ch, registry);
	return status != FOS_OK ? status : closed;
}

fos_status fos_registry_publish(fos_channel *ch, const char *name, fos_cap cap)
{
	fos_registry_args request = {.op = FOS_REGISTRY_PUBLISH};
	fos_status status = set_name(&request, name);
	if (status != FOS_OK)
		return status;
	struct lease *lease;
	status = lease_create(ch, &lease);
	if (status != FOS_OK)
		return status;
	fos_cap slot = lease->request;
	fos_reply reply;
	status = ask(ch, &request, cap, slot, REGISTRY_TIME, 0, &reply);
	fos_reply_release(ch, &reply);
	if (status != FOS_OK) {
		/* The lease may be held all the same (the answer was lost), or its RELEASE may be in the
		 * ring: revoked, it leads to no entry, and its few bytes stay for whatever arrives. */
		ignore(fos_cap_revoke(ch, slot));
		ignore(fos_cap_close(ch, slot));
	}
	return status;
}

fos_status fos_registry_unpublish(fos_channel *ch, const char *name)
{
	fos_registry_args request = {.op = FOS_REGISTRY_UNPUBLISH};
	fos_status status = set_name(&request, name);
	if (status != FOS_OK)
		return status;
	fos_reply reply;
	status = ask(ch, &request, FOS_CAP_NONE, FOS_CAP_NONE, REGISTRY_TIME, 0, &reply);
	fos_reply_release(ch, &reply);
	return status;
}

static fos_status find(fos_channel *ch, uint32_t op, const char *name, uint64_t get_time,
					   uint64_t time, fos_cap *out)
{
	fos_registry_args request = {.op = op};
	fos_status status = set_name(&request, name);
	if (status != FOS_OK)
		return status;
	fos_reply reply;
	status = ask(ch, &request, FOS_CAP_NONE, FOS_CAP_NONE, get_time, time, &reply);
	if (status == FOS_OK) {
		fos_cap cap = fos_delivery_cap(&reply.delivery, FOS_CAP_RESULT);
		status = cap == FOS_CAP_NONE ? FOS_INTERNAL : fos_cap_keep(ch, cap);
		if (status == FOS_OK)
			*out = cap;
	}
	fos_reply_release(ch, &reply);
	return status;
}

fos_status fos_registry_lookup(fos_channel *ch, const char *name, fos_cap *out)
{
	return find(ch, FOS_REGISTRY_LOOKUP, name, REGISTRY_TIME, 0, out);
}

fos_status fos_registry_wait(fos_channel *ch, const char *name, uint64_t time, fos_cap *out)
{
	if (time == 0)
		time = 1;
	if (time > TIME_MAX)
		time = TIME_MAX;
	return find(ch, FOS_REGISTRY_WAIT, name, time, time, out);
}

fos_status fos_registry_list(fos_channel *ch, const char *prefix,
							 void (*each)(const char *name, void *arg), void *arg)
{
	fos_registry_args request = {.op = FOS_REGISTRY_LIST};
	fos_status status = set_name(&request, prefix);
	request.prefix_len = status == FOS_OK ? (uint32_t)strlen(prefix) : 0;
	for (bool more = status == FOS_OK; more;) {
		fos_reply reply;
		status = ask(ch, &request, FOS_CAP_NONE, FOS_CAP_NONE, REGISTRY_TIME, 0, &reply);
		uint32_t len = status == FOS_OK ? fos_delivery_imm_len(&reply.delivery, FOS_RESULT) : 0;
		const char *names = len > 0 ? fos_delivery_imm(&reply.delivery, FOS_RESULT, len) : NULL;
		/* A page that had room for one more name was the last one. */
		more = names && len + FOS_NAME_MAX > FOS_REGISTRY_PAGE;
		for (uint32_t at = 0; names && at < len;) {
			size_t name_len = strnlen(names + at, len - at);
			if (name_len >= FOS_NAME_MAX || name_len == len - at) {
				status = FOS_INTERNAL;
				more = false;
				break;
			}
			memset(request.name, 0, sizeof request.name);
			memcpy(request.name, names + at, name_len);
			each(request.name, arg);
			at += (uint32_t)name_len + 1;
		}
		fos_reply_release(ch, &reply);
	}
	return status;
}
