/* See service.h, and fractos/registry.h for what travels.
 *
 * The life of an entry:
 *
 *     PUBLISH -> held and reachable -- the node is cut off --> unheld, not given out
 *                  |                                             |
 *                  | the lease ends: its delivery failed         | reachable again: the lease is
 *                  v                                             v invoked anew
 *                gone <---------- the lease says so --------- held and reachable
 *
 * While a node is cut off, the news of a publisher's death may get lost; so the lease is invoked
 * again before such an entry is given out, and leads to REVOKED or STALE if the publisher is gone.
 *
 * Calls to the own Controller block: they are round trips of microseconds, and nobody but the
 * Controller is waited for.
 */
#include "service.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "table.h"

enum {
	WAITERS_MAX = 128, /* half of a channel's places for deliveries: the others keep moving */
	WAITERS_PER_PROCESS = 16
};
static const uint64_t SECOND = 1000000000;
/* For a lease: ends with its publisher, not with time. A century, safe to add to a clock. */
static const uint64_t FOR_EVER = 100ull * 365 * 86400 * 1000000000;
/* Between two times that it takes its place: of two that both may, none keeps the cluster busy. */
static const uint64_t CLAIM_INTERVAL = 1000000000;
static const uint64_t SCAN_INTERVAL = 1000000000; /* ns between looks at all publishers' nodes */

struct waiter {
	fos_delivery_id delivery;
	fos_cap next;
	uint64_t end; /* ns of CLOCK_MONOTONIC */
	uint32_t node, process;
	char name[FOS_NAME_MAX];
};

struct service {
	fos_channel *ch;
	const struct policy *policy;
	fos_cap root;
	fos_cap lease_end; /* base of the leases' on_error; the entry's id is bound at 0 */
	int timer;
	uint64_t next_scan;
	uint64_t claimed, claim; /* when it was set last, and is to be set anew; UINT64_MAX: it is */
	uint32_t waiter_count;
	struct waiter waiters[WAITERS_MAX];
	struct table table;
};

static uint64_t clock_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* For calls whose failure leaves nothing to be done here: the Controller is lost, which ends the
 * serving loop, or it told whom it concerns by itself. */
static void ignore(fos_status status)
{
	(void)status;
}

/* ------------------------------------------------------------------ entries */

/* Asks the publisher to hold a delivery open; its end comes back to lease_ended(). */
static fos_status entry_hold(struct service *s, struct entry *entry)
{
	const uint64_t bound[FOS_ARG / sizeof(uint64_t)] = {entry->id};
	const uint32_t hold = FOS_REGISTRY_HOLD;
	fos_args args;
	fos_args_init(&args);
	fos_cap on_error = fos_args_refine(&args, s->lease_end);
	fos_args_imm(&args, on_error, 0, bound, sizeof bound);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &hold, sizeof hold);
	fos_args_on_error(&args, FOS_CALL, on_error);
	const fos_invoke_options options = {.time = FOR_EVER};
	fos_status status = fos_request_invoke(s->ch, entry->lease, &args, &options);
	entry->unheld = status != FOS_OK;
	return status;
}

static void entry_remove(struct service *s, struct entry *entry)
{
	ignore(fos_cap_close_async(s->ch, entry->cap, NULL, NULL));
	ignore(fos_cap_close_async(s->ch, entry->lease, NULL, NULL));
	table_remove(&s->table, entry);
}

/* Removes an entry whose publisher lives, and tells it. */
static void entry_release(struct service *s, struct entry *entry)
{
	const uint32_t release = FOS_REGISTRY_RELEASE;
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &release, sizeof release);
	ignore(fos_request_invoke_async(s->ch, entry->lease, &args, NULL, NULL, NULL));
	entry_remove(s, entry);
}

/* Whether a lookup may get the entry. It may be removed on the way: *entry is NULL then. */
static bool entry_usable(struct service *s, struct entry **entry)
{
	struct entry *e = *entry;
	fos_cap_information info;
	fos_status status = fos_cap_info(s->ch, e->cap, &info);
	e->reachable = status == FOS_OK && info.reachable;
	if (!e->reachable)
		e->unheld = true;
	if (!e->unheld)
		return true;
	/* Cut off, this finds out whether the node still is, or has come back as another. */
	status = entry_hold(s, e);
	if (status == FOS_REVOKED || status == FOS_STALE || status == FOS_NO_CAP) {
		entry_remove(s, e);
		*entry = NULL;
	}
	return status == FOS_OK && e->reachable;
}

static bool listed(const struct entry *entry, void *arg)
{
	return entry->reachable && !entry->unheld;
}

/* ------------------------------------------------------------------ answers */

static fos_handled fail(struct service *s, const fos_delivery *delivery, fos_status status,
						const char *detail)
{
	ignore(fos_fail(s->ch, delivery->id, status, detail));
	return FOS_FINISH_LATER;
}

static void give(struct service *s, fos_delivery_id delivery, fos_cap next,
				 const struct entry *entry)
{
	fos_args args;
	fos_args_init(&args);
	fos_args_cap(&args, FOS_CALL, FOS_CAP_RESULT, entry->cap);
	ignore(fos_continue(s->ch, delivery, next, &args, NULL, NULL));
}

static fos_handled answer_empty(struct service *s, const fos_delivery *delivery)
{
	ignore(
		fos_continue(s->ch, delivery->id, fos_delivery_cap(delivery, FOS_NEXT), NULL, NULL, NULL));
	return FOS_FINISH_LATER;
}

/* ------------------------------------------------------------------ time */

/* Sets the timer to the earliest thing that has to be done, or to none. */
static void timer_set(struct service *s)
{
	uint64_t next = s->table.count > 0 && s->next_scan < s->claim ? s->next_scan : s->claim;
	for (uint32_t i = 0; i < s->waiter_count; i++)
		if (s->waiters[i].end < next)
			next = s->waiters[i].end;
	struct itimerspec when = {0};
	if (next != UINT64_MAX) {
		when.it_value.tv_sec = (time_t)(next / SECOND);
		when.it_value.tv_nsec = (long)(next % SECOND) + (next == 0);
	}
	timerfd_settime(s->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Answers those who wait for this name. */
static void waiters_give(struct service *s, const struct entry *entry)
{
	for (uint32_t i = 0; i < s->waiter_count;) {
		struct waiter *waiter = &s->waiters[i];
		if (strcmp(waiter->name, entry->name) != 0) {
			i++;
			continue;
		}
		give(s, waiter->delivery, waiter->next, entry);
		*waiter = s->waiters[--s->waiter_count];
	}
}

/* Ends the waiting whose time is over; the waiter's own deadline tells it. */
static void waiters_expire(struct service *s, uint64_t now)
{
	for (uint32_t i = 0; i < s->waiter_count;) {
		if (s->waiters[i].end > now) {
			i++;
			continue;
		}
		ignore(fos_finish(s->ch, s->waiters[i].delivery));
		s->waiters[i] = s->waiters[--s->waiter_count];
	}
}

/* Looks at every publisher's node. What came back is given to those who wait. */
static void scan(struct service *s)
{
	for (uint32_t i = 0; i < s->table.count;) {
		struct entry *entry = s->table.entries[i];
		bool before = listed(entry, NULL);
		bool usable = entry_usable(s, &entry);
		if (!entry)
			continue; /* another has taken its place in the array */
		if (usable && !before)
			waiters_give(s, entry);
		i++;
	}
}

/* Another is known as the registry: the word of a node whose cluster file names another one. */
static void displaced(fos_channel *ch, const fos_result *result, void *arg)
{
	struct service *s = arg;
	if (result->status != FOS_OK)
		return; /* the channel or the Controller is gone, and perhaps the service */
	ignore(fos_cap_close_async(ch, result->cap, NULL, NULL));
	fputs("fractos-registry: another node has set a registry; this one sets itself anew\n", stderr);
	s->claim = s->claimed + CLAIM_INTERVAL;
	timer_set(s);
}

/* Makes it the registry, and watches over that. */
static fos_status claim(struct service *s)
{
	s->claimed = clock_now();
	s->claim = UINT64_MAX;
	fos_status status = fos_registry_set(s->ch, s->root);
	if (status == FOS_OK)
		status = fos_registry_changed_async(s->ch, s->root, UINT64_MAX, displaced, s);
	if (status != FOS_OK)
		s->claim = s->claimed + CLAIM_INTERVAL;
	return status;
}

static void timer_fired(fos_channel *ch, int fd, void *arg)
{
	struct service *s = arg;
	uint64_t count;
	if (read(fd, &count, sizeof count) < 0)
		return;
	uint64_t now = clock_now();
	waiters_expire(s, now);
	if (now >= s->next_scan) {
		scan(s);
		s->next_scan = now + SCAN_INTERVAL;
	}
	if (now >= s->claim)
		ignore(claim(s));
	timer_set(s);
}

/* ------------------------------------------------------------------ operations */

/* Checks who asks for what. Returns NULL, with *handled set, if it is refused. */
static const fos_registry_args *check(struct service *s, const fos_delivery *delivery,
									  const fos_principal **who, fos_handled *handled)
{
	*handled = FOS_FINISH_LATER;
	*who = fos_delivery_imm(delivery, 0, sizeof **who);
	const fos_registry_args *args = fos_delivery_imm(delivery, FOS_ARG, sizeof *args);
	const char *wrong = NULL;
	fos_status status = FOS_INVALID;
	if (!*who)
		wrong = "registry: no principal is bound: use fos_registry_get()";
	else if (!args)
		wrong = "registry: the arguments are too short";
	else if (fos_delivery_cap(delivery, FOS_NEXT) == FOS_CAP_NONE)
		wrong = "registry: no Request for the answer";
	else if (args->op < FOS_REGISTRY_PUBLISH || args->op > FOS_REGISTRY_LIST)
		wrong = "registry: no such operation", status = FOS_UNSUPPORTED;
	else if (args->op != FOS_REGISTRY_LIST && !table_name_valid(args->name))
		wrong = "registry: a name has 1 to 63 of the characters a-z 0-9 . _ / -";
	if (wrong)
		*handled = fail(s, delivery, status, wrong);
	return wrong ? NULL : args;
}

__attribute__((format(printf, 4, 5))) static fos_handled fail_about(struct service *s,
																	const fos_delivery *delivery,
																	fos_status status,
																	const char *format, ...)
{
	char detail[256];
	va_list list;
	va_start(list, format);
	vsnprintf(detail, sizeof detail, format, list);
	va_end(list);
	return fail(s, delivery, status, detail);
}

/* Takes the name over from an earlier publisher, where this one may. */
static bool make_room(struct service *s, const char *name, const fos_principal *who)
{
	struct entry *entry = table_find(&s->table, name);
	if (!entry)
		return true;
	if (entry->publisher.uid == who->uid || !entry_usable(s, &entry)) {
		if (entry)
			entry_release(s, entry);
		return true;
	}
	return false;
}

static fos_handled publish(struct service *s, const fos_delivery *delivery,
						   const fos_registry_args *args, const fos_principal *who)
{
	const fos_delivered_cap *cap = &delivery->caps[FOS_REGISTRY_CAP];
	const fos_delivered_cap *lease = &delivery->caps[FOS_REGISTRY_LEASE];
	if (!policy_allows(s->policy, POLICY_PUBLISH, who, args->name))
		return fail_about(s, delivery, FOS_DENIED, "registry: %s may not be published by user %u",
						  args->name, who->uid);
	if (cap->cap == FOS_CAP_NONE || lease->cap == FOS_CAP_NONE || lease->kind != FOS_REQUEST)
		return fail(s, delivery, FOS_INVALID,
					"registry: publish needs a capability and a lease Request");
	if (!make_room(s, args->name, who))
		return fail_about(s, delivery, FOS_EXISTS, "registry: user %u has published %s",
						  table_find(&s->table, args->name)->publisher.uid, args->name);
	struct entry *entry;
	fos_status status = table_insert(&s->table, args->name, who, &entry);
	if (status != FOS_OK)
		return fail_about(s, delivery, status, "registry: no room for %s of user %u", args->name,
						  who->uid);
	entry->cap = cap->cap;
	entry->lease = lease->cap;
	status = fos_cap_keep(s->ch, entry->cap);
	if (status == FOS_OK)
		status = fos_cap_keep(s->ch, entry->lease);
	if (status == FOS_OK)
		status = entry_hold(s, entry);
	if (status != FOS_OK) {
		entry_remove(s, entry);
		return fail_about(s, delivery, status, "registry: the lease of %s is refused", args->name);
	}
	entry->reachable = true;
	fos_handled handled = answer_empty(s, delivery);
	waiters_give(s, entry);
	if (s->table.count == 1)
		s->next_scan = clock_now() + SCAN_INTERVAL;
	timer_set(s);
	return handled;
}

static fos_handled unpublish(struct service *s, const fos_delivery *delivery,
							 const fos_registry_args *args, const fos_principal *who)
{
	struct entry *entry = table_find(&s->table, args->name);
	if (!entry)
		return fail_about(s, delivery, FOS_NOT_FOUND, "registry: %s is not published", args->name);
	if (entry->publisher.uid != who->uid && who->uid != 0)
		return fail_about(s, delivery, FOS_DENIED, "registry: %s belongs to user %u", args->name,
						  entry->publisher.uid);
	entry_release(s, entry);
	return answer_empty(s, delivery);
}

static fos_handled wait_for(struct service *s, const fos_delivery *delivery,
							const fos_registry_args *args, const fos_principal *who)
{
	uint32_t own = 0;
	for (uint32_t i = 0; i < s->waiter_count; i++)
		own += s->waiters[i].node == who->node && s->waiters[i].process == who->process;
	if (own >= WAITERS_PER_PROCESS || s->waiter_count == WAITERS_MAX)
		return fail_about(s, delivery, FOS_QUOTA,
						  "registry: no more waiting for %s: %u calls wait already", args->name,
						  s->waiter_count);
	uint64_t now = clock_now();
	struct waiter *waiter = &s->waiters[s->waiter_count++];
	*waiter = (struct waiter){
		.delivery = delivery->id,
		.next = fos_delivery_cap(delivery, FOS_NEXT),
		.end = now + (delivery->time_left < FOR_EVER ? delivery->time_left : FOR_EVER),
		.node = who->node,
		.process = who->process};
	memcpy(waiter->name, args->name, sizeof waiter->name);
	timer_set(s);
	return FOS_FINISH_LATER;
}

static fos_handled lookup(struct service *s, const fos_delivery *delivery,
						  const fos_registry_args *args, const fos_principal *who)
{
	if (!policy_allows(s->policy, POLICY_LOOKUP, who, args->name))
		return fail_about(s, delivery, FOS_DENIED, "registry: %s may not be looked up by user %u",
						  args->name, who->uid);
	struct entry *entry = table_find(&s->table, args->name);
	if (entry && entry_usable(s, &entry)) {
		give(s, delivery->id, fos_delivery_cap(delivery, FOS_NEXT), entry);
		return FOS_FINISH_LATER;
	}
	if (args->op == FOS_REGISTRY_WAIT)
		return wait_for(s, delivery, args, who);
	if (entry)
		return fail_about(s, delivery, FOS_NOT_FOUND,
						  "registry: %s is published from node %u, which cannot be reached",
						  args->name, entry->publisher.node);
	return fail_about(s, delivery, FOS_NOT_FOUND, "registry: %s is not published", args->name);
}

struct viewer {
	const struct service *service;
	const fos_principal *who;
};

static bool visible(const struct entry *entry, void *arg)
{
	const struct viewer *viewer = arg;
	return listed(entry, NULL) &&
		   policy_allows(viewer->service->policy, POLICY_LOOKUP, viewer->who, entry->name);
}

static fos_handled list(struct service *s, const fos_delivery *delivery,
						const fos_registry_args *request, const fos_principal *who)
{
	size_t len = strnlen(request->name, sizeof request->name);
	if (len == sizeof request->name || request->prefix_len > len)
		return fail(s, delivery, FOS_INVALID, "registry: the prefix is longer than the name");
	struct viewer viewer = {.service = s, .who = who};
	char page[FOS_REGISTRY_PAGE];
	uint32_t size = table_page(&s->table, request->name, request->prefix_len, visible, &viewer,
							   page, sizeof page);
	fos_args args;
	fos_args_init(&args);
	if (size > 0)
		fos_args_imm(&args, FOS_CALL, FOS_RESULT, page, size);
	ignore(
		fos_continue(s->ch, delivery->id, fos_delivery_cap(delivery, FOS_NEXT), &args, NULL, NULL));
	return FOS_FINISH_LATER;
}

static fos_handled asked(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct service *s = arg;
	if (delivery->exception.status != FOS_OK)
		return FOS_FINISH;
	const fos_principal *who;
	fos_handled handled;
	const fos_registry_args *args = check(s, delivery, &who, &handled);
	if (!args)
		return handled;
	switch ((enum fos_registry_op)args->op) {
	case FOS_REGISTRY_PUBLISH:
		return publish(s, delivery, args, who);
	case FOS_REGISTRY_UNPUBLISH:
		return unpublish(s, delivery, args, who);
	case FOS_REGISTRY_LOOKUP:
	case FOS_REGISTRY_WAIT:
		return lookup(s, delivery, args, who);
	case FOS_REGISTRY_LIST:
		break;
	}
	return list(s, delivery, args, who);
}

/* A lease's delivery ended in an exception: the publisher is gone, or only the link to it. */
static fos_handled lease_ended(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct service *s = arg;
	const fos_exception *exception = &delivery->exception;
	const uint64_t *id = fos_delivery_imm(delivery, 0, sizeof *id);
	struct entry *entry = id ? table_find_id(&s->table, *id) : NULL;
	if (exception->status == FOS_OK || !entry)
		return FOS_FINISH;
	switch (exception->status) {
	case FOS_OUTCOME_UNKNOWN:
	case FOS_BUSY:
	case FOS_TIMED_OUT:
	case FOS_QUOTA:
		entry->unheld = true;
		break;
	default:
		/* Without a Process, it is the node that cannot be reached. */
		if (exception->status == FOS_PEER_LOST && exception->process == 0)
			entry->unheld = true;
		else
			entry_remove(s, entry);
	}
	return FOS_FINISH;
}

/* ------------------------------------------------------------------ its life */

fos_status service_open(fos_channel *ch, const struct policy *policy, struct service **out,
						const char **what)
{
	struct service *s = calloc(1, sizeof *s);
	fos_status status = FOS_QUOTA;
	*what = "out of memory";
	if (!s)
		return status;
	s->ch = ch;
	s->policy = policy;
	s->claim = UINT64_MAX;
	*what = "cannot make a timer";
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->timer < 0)
		goto free_service;
	*what = "cannot make its Requests";
	status = fos_watch(ch, s->timer, timer_fired, s);
	if (status == FOS_OK)
		status = fos_request_create(ch, lease_ended, s, NULL, &s->lease_end);
	if (status == FOS_OK)
		status = fos_request_create(ch, asked, s, NULL, &s->root);
	if (status == FOS_OK) {
		*out = s;
		return FOS_OK;
	}
	ignore(fos_watch(ch, s->timer, NULL, NULL));
	close(s->timer);
free_service:
	free(s);
	return status;
}

fos_status service_announce(struct service *service)
{
	return claim(service);
}

void service_close(struct service *service)
{
	if (!service)
		return;
	ignore(fos_watch(service->ch, service->timer, NULL, NULL));
	close(service->timer);
	table_clear(&service->table);
	free(service);
}
