/* The registry's calls, for every Process: part of libfractos.
 *
 *     publisher                         registry
 *       | PUBLISH name, cap, lease         |
 *       |--------------------------------->| keeps cap and lease
 *       |            lease (HOLD) <--------| stays open: its end is the publisher's end
 *       |            next  <---------------|
 *       :                                  X dies; another comes
 *       |<- the own Controller: changed
 *       | PUBLISH, one name after the other -------------> the new registry
 *
 * A lease is a Request of the publisher. The delivery that HOLD makes is never finished, so the
 * publisher's Controller fails it when the publisher dies, and that tells the registry. RELEASE
 * says that the entry is gone and ends the lease.
 *
 * A channel has one lease Request. What it is refined with says which publication is meant, and
 * which attempt to publish it: what an earlier registry, or one whose answer got lost, says of an
 * attempt that does not count any more is turned away, and a HOLD that fails takes its entry away.
 *
 * Callbacks make calls to the own Controller only: round trips of microseconds. The registry is
 * waited for by a ONCE Request, which always ends.
 */
#include <string.h>
#include <time.h>

#include <fractos/registry.h>

#define SECOND UINT64_C(1000000000)

static const uint64_t REGISTRY_TIME = 5 * SECOND; /* ns: for a registry to be there and to answer */
static const uint64_t TIME_MAX = UINT64_MAX / 4;  /* far in the future, safe to add to a clock */

enum { TRIES_MAX = 8 }; /* of one name at one registry, each after the registry was seen again */

struct publication {
	struct publication *next;
	uint64_t attempt; /* the one that counts; never used twice in a channel */
	uint64_t round;   /* of the registry that has it; 0: none */
	uint32_t tries;   /* at the present registry */
	fos_cap cap;      /* the caller's */
	fos_delivery_id held;
	char name[FOS_NAME_MAX];
};

/* What a channel has published. Lies in the arena, like the publications. */
struct publisher {
	struct publication *first;
	fos_cap lease;         /* base of the leases */
	fos_cap registry;      /* where the round publishes to */
	fos_cap once;          /* the answer waited for; FOS_CAP_NONE: none */
	uint64_t last_attempt; /* the newest one; the answer waited for is to it */
	uint64_t round;        /* rises with each registry */
	bool watching;         /* for another registry */
	bool looking;          /* for any registry, to try again */
};

/* What is bound at 0 of a lease and of an answer. */
struct bound {
	uint64_t attempt;
	uint64_t zero[7];
};
_Static_assert(sizeof(struct bound) == FOS_ARG, "it fills the provider's part");

/* For clean-up whose failure leaves nothing to be done: only a lost Controller makes it fail, and
 * then there is nothing to clean up. */
static void ignore(fos_status status)
{
	(void)status;
}

static uint64_t clock_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void close_slot(fos_channel *ch, fos_cap *cap)
{
	if (*cap != FOS_CAP_NONE)
		ignore(fos_cap_close_async(ch, *cap, NULL, NULL));
	*cap = FOS_CAP_NONE;
}

/* ------------------------------------------------------------------ publications */

static const char place_key;

static struct publisher *publisher_of(fos_channel *ch)
{
	void **place = fos_channel_place(ch, &place_key);
	return place ? *place : NULL;
}

static struct publication *find_name(const struct publisher *p, const char *name)
{
	struct publication *at = p ? p->first : NULL;
	while (at && strcmp(at->name, name) != 0)
		at = at->next;
	return at;
}

static struct publication *find_attempt(const struct publisher *p, uint64_t attempt)
{
	struct publication *at = p->first;
	while (at && at->attempt != attempt)
		at = at->next;
	return at;
}

/* From now on it is not published again. `told`: the registry knows that already; else it learns it
 * from the lease, whose delivery fails. */
static void forget(fos_channel *ch, struct publisher *p, struct publication *publication, bool told)
{
	struct publication **at = &p->first;
	while (*at != publication)
		at = &(*at)->next;
	*at = publication->next;
	if (publication->held != FOS_DELIVERY_NONE)
		ignore(told ? fos_finish(ch, publication->held)
					: fos_fail(ch, publication->held, FOS_CANCELLED, "not published any more"));
	fos_free(fos_channel_process(ch), publication);
}

static fos_handled lease_delivered(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct publisher *p = arg;
	const struct bound *bound = fos_delivery_imm(delivery, 0, sizeof *bound);
	const uint32_t *state = fos_delivery_imm(delivery, FOS_ARG, sizeof *state);
	if (delivery->exception.status != FOS_OK || !bound || !state)
		return FOS_FINISH;
	struct publication *publication = find_attempt(p, bound->attempt);
	if (*state != FOS_REGISTRY_HOLD) {
		if (publication)
			forget(ch, p, publication, true);
		return FOS_FINISH;
	}
	if (!publication) {
		ignore(fos_fail(ch, delivery->id, FOS_CANCELLED, "not published any more"));
		return FOS_FINISH_LATER;
	}
	if (publication->held != FOS_DELIVERY_NONE)
		ignore(fos_finish(ch, publication->held));
	publication->held = delivery->id;
	return FOS_FINISH_LATER;
}

/* Binds what a PUBLISH carries; names of `args` only. `bound` is borrowed. */
static void bind_lease(fos_args *args, const struct publisher *p, fos_cap cap,
					   const struct bound *bound)
{
	fos_cap lease = fos_args_refine(args, p->lease);
	fos_args_imm(args, lease, 0, bound, sizeof *bound);
	fos_args_cap(args, FOS_CALL, FOS_REGISTRY_CAP, cap);
	fos_args_cap(args, FOS_CALL, FOS_REGISTRY_LEASE, lease);
}

/* The channel's publisher, made where there is none yet. */
static fos_status publisher_make(fos_channel *ch, struct publisher **out)
{
	fos_process *process = fos_channel_process(ch);
	void *bytes = NULL;
	void **place = fos_channel_place(ch, &place_key);
	if (!place)
		return FOS_QUOTA;
	*out = *place;
	if (*out)
		return FOS_OK;
	fos_status status = fos_alloc(process, sizeof(struct publisher), 64, &bytes);
	if (status != FOS_OK)
		return status;
	struct publisher *p = bytes;
	*p = (struct publisher){.round = 1};
	status = fos_request_create(ch, lease_delivered, p, NULL, &p->lease);
	if (status != FOS_OK) {
		fos_free(process, p);
		return status;
	}
	*place = *out = p;
	return FOS_OK;
}

/* ------------------------------------------------------------------ publishing again */

static void step(fos_channel *ch, struct publisher *p);
static void look(fos_channel *ch, struct publisher *p);

/* The channel or the Controller is gone, and no call is under way any more. */
static void publisher_end(fos_channel *ch, struct publisher *p)
{
	if (p->watching || p->looking)
		return;
	fos_process *process = fos_channel_process(ch);
	while (p->first) {
		struct publication *publication = p->first;
		p->first = publication->next;
		fos_free(process, publication);
	}
	*fos_channel_place(ch, &place_key) = NULL;
	fos_free(process, p);
}

static bool is_over(fos_status status)
{
	return status == FOS_CANCELLED || status == FOS_CONTROLLER_LOST;
}

/* An answer that does not count any more is not waited for. */
static void give_up_answer(fos_channel *ch, struct publisher *p)
{
	if (p->once != FOS_CAP_NONE)
		ignore(fos_cap_revoke_async(ch, p->once, NULL, NULL));
	close_slot(ch, &p->once);
}

static void changed(fos_channel *ch, const fos_result *result, void *arg);

/* Learns of the registry after this one. */
static void watch(fos_channel *ch, struct publisher *p, fos_cap registry)
{
	if (!p->watching)
		p->watching = fos_registry_changed_async(ch, registry, UINT64_MAX, changed, p) == FOS_OK;
}

static void changed(fos_channel *ch, const fos_result *result, void *arg)
{
	struct publisher *p = arg;
	p->watching = false;
	if (is_over(result->status))
		publisher_end(ch, p);
	if (result->status != FOS_OK)
		return;
	give_up_answer(ch, p);
	close_slot(ch, &p->registry);
	p->registry = result->cap;
	p->round++;
	for (struct publication *at = p->first; at; at = at->next)
		at->tries = 0;
	watch(ch, p, p->registry);
	step(ch, p);
}

/* The registry is there again: maybe the same, which goes on here, maybe another, which changed()
 * hears of too. */
static void seen(fos_channel *ch, const fos_result *result, void *arg)
{
	struct publisher *p = arg;
	p->looking = false;
	if (is_over(result->status))
		publisher_end(ch, p);
	if (result->status != FOS_OK)
		return;
	close_slot(ch, &p->registry);
	p->registry = result->cap;
	if (p->once == FOS_CAP_NONE)
		step(ch, p);
}

static void look(fos_channel *ch, struct publisher *p)
{
	if (!p->looking)
		p->looking = fos_registry_changed_async(ch, FOS_CAP_NONE, UINT64_MAX, seen, p) == FOS_OK;
}

/* What came of the attempt. A refusal is this registry's alone, and the next one is asked again;
 * what may pass is tried again here. */
static void settle(fos_channel *ch, struct publisher *p, struct publication *publication,
				   fos_status status)
{
	switch (status) {
	case FOS_OK:
		publication->round = p->round;
		break;
	case FOS_DENIED:
	case FOS_EXISTS:
	case FOS_INVALID:
	case FOS_NO_CAP:
	case FOS_UNSUPPORTED:
	case FOS_REVOKED:
	case FOS_STALE: /* the next registry's turn; changed() comes with it */
		publication->tries = TRIES_MAX;
		break;
	default:
		look(ch, p);
		return;
	}
	step(ch, p);
}

static fos_handled answered(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct publisher *p = arg;
	const struct bound *bound = fos_delivery_imm(delivery, 0, sizeof *bound);
	/* Its own deadline is delivered to the base, without what is bound. */
	if (p->once == FOS_CAP_NONE || (bound && bound->attempt != p->last_attempt))
		return FOS_FINISH;
	close_slot(ch, &p->once);
	struct publication *publication = find_attempt(p, p->last_attempt);
	if (publication)
		settle(ch, p, publication, delivery->exception.status);
	else
		step(ch, p);
	return FOS_FINISH;
}

/* Asks the registry to publish it; the answer comes to answered(). */
static fos_status publish_again(fos_channel *ch, struct publisher *p,
								struct publication *publication)
{
	const fos_request_options once = {.once = true};
	publication->attempt = ++p->last_attempt;
	publication->tries++;
	fos_status status = fos_request_create(ch, answered, p, &once, &p->once);
	if (status != FOS_OK)
		return status;
	fos_registry_args request = {.op = FOS_REGISTRY_PUBLISH};
	const struct bound bound = {.attempt = publication->attempt};
	memcpy(request.name, publication->name, sizeof request.name);
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &request, sizeof request);
	bind_lease(&args, p, publication->cap, &bound);
	fos_cap answer = fos_args_refine(&args, p->once);
	fos_args_imm(&args, answer, 0, &bound, sizeof bound);
	fos_args_cap(&args, FOS_CALL, FOS_NEXT, answer);
	fos_args_on_error(&args, FOS_CALL, answer);
	status = fos_request_invoke(ch, p->registry, &args, NULL);
	if (status != FOS_OK)
		give_up_answer(ch, p);
	return status;
}

/* One name at a time, so that many need no more room than one. */
static void step(fos_channel *ch, struct publisher *p)
{
	struct publication *at = p->first;
	while (at && (at->round == p->round || at->tries >= TRIES_MAX))
		at = at->next;
	if (!at) {
		close_slot(ch, &p->registry);
		return;
	}
	fos_status status = publish_again(ch, p, at);
	if (status == FOS_NO_CAP)
		forget(ch, p, at, false); /* closed, against the promise */
	if (status != FOS_OK)
		look(ch, p);
}

/* ------------------------------------------------------------------ asking */

static fos_status set_name(fos_registry_args *request, const char *name)
{
	size_t len = name ? strlen(name) : 0;
	if (!name || len >= sizeof request->name)
		return FOS_INVALID;
	memcpy(request->name, name, len);
	return FOS_OK;
}

/* Which registry is asked next: after one that is dead another one, else any that is known. */
static fos_status next_registry(fos_channel *ch, uint64_t end, fos_status before, fos_cap *registry)
{
	fos_cap known = *registry;
	uint64_t now = clock_now();
	bool dead = before == FOS_REVOKED || before == FOS_STALE;
	*registry = FOS_CAP_NONE;
	fos_status status =
		fos_registry_changed(ch, dead ? known : FOS_CAP_NONE, end > now ? end - now : 0, registry);
	close_slot(ch, &known);
	return status;
}

static bool registry_lost(fos_status status, uint32_t op)
{
	return status == FOS_REVOKED || status == FOS_STALE || status == FOS_PEER_LOST ||
		   (status == FOS_OUTCOME_UNKNOWN && op != FOS_REGISTRY_UNPUBLISH);
}

/* What is asked. */
struct question {
	fos_registry_args request;
	const struct publisher *publisher; /* PUBLISH; else NULL */
	struct bound bound;
	fos_cap cap;
	uint64_t time; /* ns, all in all */
};

/* Sends one request to the registry and waits for its answer. When the registry dies meanwhile, the
 * next one is asked, within the time. *reply is always safe to release. *registry is the slot of
 * the one that answered, the caller's to close; NULL: it is closed. */
static fos_status ask(fos_channel *ch, const struct question *question, fos_cap *registry,
					  fos_reply *reply)
{
	uint64_t end = clock_now() + question->time;
	fos_cap asked = FOS_CAP_NONE;
	fos_status status = FOS_OK;
	memset(reply, 0, sizeof *reply);
	for (;;) {
		fos_status known = next_registry(ch, end, status, &asked);
		if (known != FOS_OK)
			return known;
		fos_reply_release(ch, reply);
		uint64_t now = clock_now();
		fos_args args;
		fos_args_init(&args);
		fos_args_imm(&args, FOS_CALL, FOS_ARG, &question->request, sizeof question->request);
		if (question->publisher)
			bind_lease(&args, question->publisher, question->cap, &question->bound);
		status = fos_call(ch, asked, &args, end > now ? end - now : 1, reply);
		if (!registry_lost(status, question->request.op))
			break;
	}
	if (registry)
		*registry = asked;
	else
		close_slot(ch, &asked);
	return status;
}

/* Remembers the name before it is asked for, so that the lease finds it. *before: what it was. */
static fos_status remember(fos_channel *ch, struct publisher *p, const char *name, fos_cap cap,
						   struct publication *before, struct publication **out)
{
	void *bytes = NULL;
	struct publication *publication = find_name(p, name);
	*before = publication ? *publication : (struct publication){0};
	if (!publication) {
		fos_status status =
			fos_alloc(fos_channel_process(ch), sizeof(struct publication), 64, &bytes);
		if (status != FOS_OK)
			return status;
		publication = bytes;
		*publication = (struct publication){.next = p->first};
		memcpy(publication->name, name, strlen(name) + 1);
		p->first = publication;
	}
	publication->cap = cap;
	publication->attempt = ++p->last_attempt;
	*out = publication;
	return FOS_OK;
}

fos_status fos_registry_publish(fos_channel *ch, const char *name, fos_cap cap)
{
	struct question question = {
		.request = {.op = FOS_REGISTRY_PUBLISH}, .cap = cap, .time = REGISTRY_TIME};
	struct publisher *p;
	struct publication before, *publication;
	fos_status status = set_name(&question.request, name);
	if (status == FOS_OK)
		status = publisher_make(ch, &p);
	if (status != FOS_OK)
		return status;
	/* A round under way starts anew behind this call; its answer would be taken for this one's. */
	bool under_way = p->once != FOS_CAP_NONE;
	give_up_answer(ch, p);
	status = remember(ch, p, name, cap, &before, &publication);
	if (status != FOS_OK)
		return status;
	fos_cap registry = FOS_CAP_NONE;
	fos_reply reply;
	question.publisher = p;
	question.bound.attempt = publication->attempt;
	status = ask(ch, &question, &registry, &reply);
	fos_reply_release(ch, &reply);
	if (status == FOS_OK) {
		publication->round = p->round;
		watch(ch, p, registry);
	} else if (before.attempt != 0) {
		publication->cap = before.cap;
		publication->attempt = before.attempt;
	} else {
		forget(ch, p, publication, false);
	}
	close_slot(ch, &registry);
	if (under_way)
		look(ch, p);
	return status;
}

fos_status fos_registry_unpublish(fos_channel *ch, const char *name)
{
	struct question question = {.request = {.op = FOS_REGISTRY_UNPUBLISH}, .time = REGISTRY_TIME};
	fos_status status = set_name(&question.request, name);
	if (status != FOS_OK)
		return status;
	fos_reply reply;
	status = ask(ch, &question, NULL, &reply);
	fos_reply_release(ch, &reply);
	struct publisher *p = publisher_of(ch);
	struct publication *publication = find_name(p, name);
	if (publication && status != FOS_DENIED && status != FOS_CONTROLLER_LOST)
		forget(ch, p, publication, status == FOS_OK);
	return status;
}

static fos_status find(fos_channel *ch, uint32_t op, const char *name, uint64_t time, fos_cap *out)
{
	struct question question = {.request = {.op = op}, .time = time};
	fos_status status = set_name(&question.request, name);
	if (status != FOS_OK)
		return status;
	fos_reply reply;
	status = ask(ch, &question, NULL, &reply);
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
	return find(ch, FOS_REGISTRY_LOOKUP, name, REGISTRY_TIME, out);
}

fos_status fos_registry_wait(fos_channel *ch, const char *name, uint64_t time, fos_cap *out)
{
	if (time == 0)
		time = 1;
	if (time > TIME_MAX)
		time = TIME_MAX;
	return find(ch, FOS_REGISTRY_WAIT, name, time, out);
}

fos_status fos_registry_list(fos_channel *ch, const char *prefix,
							 void (*each)(const char *name, void *arg), void *arg)
{
	struct question question = {.request = {.op = FOS_REGISTRY_LIST}, .time = REGISTRY_TIME};
	fos_registry_args *request = &question.request;
	fos_status status = set_name(request, prefix);
	request->prefix_len = status == FOS_OK ? (uint32_t)strlen(prefix) : 0;
	for (bool more = status == FOS_OK; more;) {
		fos_reply reply;
		status = ask(ch, &question, NULL, &reply);
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
			memset(request->name, 0, sizeof request->name);
			memcpy(request->name, names + at, name_len);
			each(request->name, arg);
			at += (uint32_t)name_len + 1;
		}
		fos_reply_release(ch, &reply);
	}
	return status;
}
