/* The frontend: who is to blame when something failed, and what to do about it. Serves verify.c. */
#include "frontend.h"

#include <stdio.h>
#include <string.h>

#include <fractos/registry.h>

/* ns that a question gets about who lives: six of them fit the grace */
#define PROBE_TIME 60000000u

/* Asks `service` something that it answers at once, whatever it is asked to know. */
static fos_status ask(verifier *v, fos_cap service, const void *question, size_t size,
					  uint64_t time, fos_reply *reply)
{
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, question, size);
	return fos_call(v->ch, service, &args, time, reply);
}

/* The root Request that the registry has of `name` now; FOS_CAP_NONE with NOT_FOUND: it has none.
 */
static fos_status find_root(verifier *v, fos_cap registry, const char *name, fos_cap *out)
{
	fos_registry_args lookup = {.op = FOS_REGISTRY_LOOKUP};
	fos_reply reply;
	memcpy(lookup.name, name, strlen(name) + 1);
	fos_status status = ask(v, registry, &lookup, sizeof lookup, PROBE_TIME, &reply);
	*out = FOS_CAP_NONE;
	if (status == FOS_OK) {
		const fos_cap cap = fos_delivery_cap(&reply.delivery, FOS_CAP_RESULT);
		status = fos_cap_keep(v->ch, cap);
		*out = status == FOS_OK ? cap : FOS_CAP_NONE;
	}
	fos_reply_release(v->ch, &reply);
	return status;
}

/* Asks nonsense: op 0 is INVALID to each service. Whatever comes from it is an answer. */
static fos_status poke(verifier *v, fos_cap root, uint64_t time)
{
	static const uint8_t nonsense[512];
	fos_reply reply;
	const fos_status status = ask(v, root, nonsense, sizeof nonsense, time, &reply);
	fos_reply_release(v->ch, &reply);
	return status;
}

static bool answers(verifier *v, fos_cap root)
{
	const fos_status status = poke(v, root, PROBE_TIME);
	return status != FOS_TIMED_OUT && status != FOS_BUSY;
}

fos_status frontend_ask_whether(verifier *v, fos_cap root, uint64_t end)
{
	const uint64_t now = frontend_now();
	const fos_status status = poke(v, root, end > now ? end - now : 1);
	switch (status) {
	case FOS_REVOKED:
	case FOS_STALE:
	case FOS_PEER_LOST:
	case FOS_CONTROLLER_LOST:
	case FOS_OUTCOME_UNKNOWN:
	case FOS_BUSY:
	case FOS_TIMED_OUT:
		return status;
	default:
		return FOS_OK;
	}
}

/* The services that a batch needs, and the node that `fractos up` gives each to. */
static const struct service {
	const char *name, *node;
} services[] = {{"fs", "fs"}, {"blk", "storage"}, {"gpu", "gpu"}};

enum { SERVICES = sizeof services / sizeof services[0] };

/* What can be wrong with a service, and what `fractos` can do about it. */
struct ailment {
	const char *what, *verb;
	bool is_node; /* its Controller comes first */
};

static bool is_cut_off(verifier *v, fos_cap cap)
{
	fos_cap_information info;
	return cap != FOS_CAP_NONE && fos_cap_info(v->ch, cap, &info) == FOS_OK && !info.reachable;
}

/* What is wrong with a service, as far as can be seen from here; NULL: nothing. */
static const struct ailment *wrong_with(verifier *v, fos_cap registry, const char *name,
										fos_cap cap)
{
	static const struct ailment cut_off = {"'s node cannot be reached", "restart", true};
	static const struct ailment gone = {" is gone", "start", false};
	static const struct ailment silent = {" does not answer", "restart", false};
	if (is_cut_off(v, cap))
		return &cut_off;
	if (registry == FOS_CAP_NONE)
		return NULL;
	fos_cap root;
	const fos_status status = find_root(v, registry, name, &root);
	const struct ailment *found = status == FOS_NOT_FOUND ? &gone : NULL;
	if (status == FOS_OK && !answers(v, root))
		found = &silent;
	frontend_drop(v, &root);
	/* The registry may have heard of a node's end before us. */
	return found != NULL && is_cut_off(v, cap) ? &cut_off : found;
}

/* "; blk is gone (fractos start storage/blk)"; returns how long it is, however much had room. */
static size_t name_one(char *out, size_t room, const char *before, const struct service *service,
					   const struct ailment *ailment)
{
	char node[64] = "";
	if (ailment->is_node)
		(void)snprintf(node, sizeof node, "fractos start %s/fractosd, then ", service->node);
	return (size_t)snprintf(out, room, "%s%s%s (%sfractos %s %s/%s)", before, service->name,
							ailment->what, node, ailment->verb, service->node, service->name);
}

void frontend_name_the_dead(verifier *v, char text[VERIFY_ERROR_MAX])
{
	const fos_cap caps[SERVICES] = {v->fs, FOS_CAP_NONE, v->gpu};
	size_t used = strlen(text);
	if (fos_lost(v->ch)) {
		const char *node = fos_node_name(fos_channel_process(v->ch));
		(void)snprintf(text + used, VERIFY_ERROR_MAX - used,
					   "; the Controller of node %s is gone (fractos start %s/fractosd)", node,
					   node);
		return;
	}
	fos_cap registry;
	bool first = true;
	/* It may have died with its node: then nodes are all that can be told. */
	if (fos_registry_get(v->ch, PROBE_TIME, &registry) != FOS_OK) {
		registry = FOS_CAP_NONE;
		if (!is_cut_off(v, v->fs)) {
			used += (size_t)snprintf(text + used, VERIFY_ERROR_MAX - used,
									 "; the registry is gone (fractos start fs/registry)");
			first = false;
		}
	}
	for (unsigned i = 0; i < SERVICES && used < VERIFY_ERROR_MAX; i++) {
		const struct ailment *ailment = wrong_with(v, registry, services[i].name, caps[i]);
		if (ailment == NULL)
			continue;
		used += name_one(text + used, VERIFY_ERROR_MAX - used, first ? "; " : ", ", &services[i],
						 ailment);
		first = false;
	}
	frontend_drop(v, &registry);
}
