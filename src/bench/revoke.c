/* `revoke`: how long fos_cap_revoke() takes when 1, 100 or 10,000 others hold the capability, all
 * on one node or spread over four; beside a single holder. The time until it returns OK, from when
 * on nobody can use it any more. Making and delegating is not in the time.
 *
 * A holder is a slot of its own, in the space of a Process of another node. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fractos/registry.h>

#include "rpc.h"

enum {
	HOLD_EACH = RPC_CAPS, /* capabilities given in one call */
	NODES = 4,
	UNDER_WAY = 32, /* calls */
	HELD_MOST = 49152,
	OBJECTS_MOST = 4, /* in a turn */
	WARM = 64
};

/* ------------------------------------------------------------------ a holder */

static fos_cap *held;
static unsigned held_count;

static fos_handled answer(fos_channel *channel, const fos_delivery *delivery, fos_status status)
{
	if (status == FOS_OK)
		status = fos_continue(channel, delivery->id, fos_delivery_cap(delivery, FOS_NEXT), NULL,
							  NULL, NULL);
	if (status != FOS_OK)
		status = fos_fail(channel, delivery->id, status, NULL);
	return status == FOS_OK ? FOS_FINISH_LATER : FOS_FINISH;
}

/* Keeps what it is given; given nothing, it lets go of all. */
static fos_handled on_hold(fos_channel *channel, const fos_delivery *delivery, void *arg)
{
	fos_status status = FOS_OK;
	bool any = false;
	(void)arg;

	for (unsigned i = 1; i <= HOLD_EACH && status == FOS_OK; i++) {
		fos_cap cap = fos_delivery_cap(delivery, i);
		if (cap == FOS_CAP_NONE)
			continue;
		any = true;
		status = held_count == HELD_MOST ? FOS_QUOTA : fos_cap_keep_async(channel, cap, NULL, NULL);
		if (status == FOS_OK)
			held[held_count++] = cap;
	}
	while (!any && held_count > 0 && status == FOS_OK)
		status = fos_cap_close_async(channel, held[--held_count], NULL, NULL);
	return answer(channel, delivery, status);
}

static bool offer(fos_channel *channel, const char *name)
{
	char full[FOS_NAME_MAX];
	fos_cap hold;

	held = calloc(HELD_MOST, sizeof *held);
	if (!held)
		return bench_fails("no memory");
	snprintf(full, sizeof full, "bench/%s", name);
	return bench_ok(fos_request_create(channel, on_hold, NULL, NULL, &hold), "holder") &&
		   bench_ok(fos_registry_publish(channel, full, hold), full);
}

const struct role role_holder = {"holder", offer};

/* ------------------------------------------------------------------ the maker */

struct revoke {
	const struct bench_context *context;
	struct party parties[NODES];
	struct rpc holders[NODES];
	void *bytes;
};

struct spread { /* a side of the comparison */
	struct revoke *revoke;
	unsigned holders, nodes;
};

/* Each in a slot of its own: the same capability many times in one call. */
static bool delegate(const struct spread *s, fos_cap cap)
{
	struct revoke *r = s->revoke;
	for (unsigned given = 0, turn = 0; given < s->holders; turn++) {
		struct rpc *rpc = &r->holders[turn % s->nodes];
		unsigned left = s->holders - given;
		rpc->cap_count = left < HOLD_EACH ? left : HOLD_EACH;
		for (unsigned i = 0; i < rpc->cap_count; i++)
			rpc->caps[i] = cap;
		given += rpc->cap_count;
		if (!bench_ok(rpc_start(rpc), "delegate") ||
			(rpc->started % UNDER_WAY == 0 && !bench_ok(rpc_await(rpc, rpc->started), "delegate")))
			return false;
	}
	for (unsigned i = 0; i < s->nodes; i++)
		if (!bench_ok(rpc_await(&r->holders[i], r->holders[i].started), "delegate"))
			return false;
	return true;
}

static bool let_go(const struct spread *s)
{
	for (unsigned i = 0; i < s->nodes; i++) {
		struct rpc *rpc = &s->revoke->holders[i];
		rpc->cap_count = 0;
		if (!bench_ok(rpc_start(rpc), "let go") ||
			!bench_ok(rpc_await(rpc, rpc->started), "let go"))
			return false;
	}
	return true;
}

/* However long delegating took: the Controller is awake and has just revoked something. */
static bool warm_up(const struct revoke *r)
{
	fos_channel *channel = r->context->channel;
	bool ok = true;
	for (unsigned i = 0; i < WARM && ok; i++) {
		fos_cap cap;
		ok = bench_ok(fos_memory_create(channel, r->bytes, 4096, FOS_READ, &cap), "Memory") &&
			 bench_ok(fos_cap_revoke(channel, cap), "revoke") &&
			 bench_ok(fos_cap_close(channel, cap), "close");
	}
	return ok;
}

static uint64_t run_revoke(void *arg, unsigned count)
{
	const struct spread *s = arg;
	fos_channel *channel = s->revoke->context->channel;
	fos_cap caps[OBJECTS_MOST];
	uint64_t time = 0;

	for (unsigned i = 0; i < count; i++)
		if (!bench_ok(fos_memory_create(channel, s->revoke->bytes, 4096, FOS_READ, &caps[i]),
					  "Memory") ||
			!delegate(s, caps[i]))
			return 0;
	if (!warm_up(s->revoke))
		return 0;
	for (unsigned i = 0; i < count; i++) {
		uint64_t begin = bench_now();
		if (!bench_ok(fos_cap_revoke(channel, caps[i]), "revoke"))
			return 0;
		time += bench_now() - begin;
	}
	for (unsigned i = 0; i < count; i++)
		if (!bench_ok(fos_cap_close(channel, caps[i]), "close"))
			return 0;
	return let_go(s) ? time : 0;
}

static bool measure(struct revoke *r)
{
	struct spread spreads[] = {
		{r, 1, 1}, {r, 100, 1}, {r, 100, NODES}, {r, 10000, 1}, {r, 10000, NODES}};
	enum { SIDES = sizeof spreads / sizeof spreads[0] };
	struct bench_side sides[SIDES];
	struct bench_samples samples[SIDES];
	char name[BENCH_TEXT], series[BENCH_TEXT];

	for (unsigned i = 0; i < SIDES; i++)
		sides[i] = (struct bench_side){
			.name = "revoke", .run = run_revoke, .arg = &spreads[i], .most = OBJECTS_MOST};
	if (!bench_measure(r->context, sides, SIDES, samples))
		return false;
	for (unsigned i = 0; i < SIDES; i++) {
		snprintf(name, sizeof name, "%u holder%s on %u node%s", spreads[i].holders,
				 i == 0 ? "" : "s", spreads[i].nodes, spreads[i].nodes == 1 ? "" : "s");
		snprintf(series, sizeof series, "on %u node%s", spreads[i].nodes,
				 spreads[i].nodes == 1 ? "" : "s");
		bench_report(r->context,
					 &(struct bench_row){.bench = "revoke",
										 .name = name,
										 .metric = "time",
										 .unit = "us",
										 .series = series,
										 .x = spreads[i].holders,
										 .x_name = "holders"},
					 BENCH_US, 0, &samples[i], i == 0 ? NULL : "1 holder", &samples[0]);
	}
	return true;
}

static bool run(struct bench_context *context)
{
	static struct revoke r;
	/* The first is where all holders of one node are: not the maker's own. */
	static const char *const nodes[NODES] = {"fs", "storage", "gpu", "app"};
	bool ok =
		bench_ok(fos_alloc(fos_channel_process(context->channel), 4096, 64, &r.bytes), "arena");

	r.context = context;
	for (unsigned i = 0; i < NODES && ok; i++) {
		char name[32];
		fos_cap request;
		snprintf(name, sizeof name, "holder%u", i + 1);
		ok = party_start(context, nodes[i], "holder", name, &r.parties[i]) &&
			 party_request(context, name, &request) &&
			 rpc_open(context->channel, request, &r.holders[i]);
	}
	ok = ok && measure(&r);
	for (unsigned i = 0; i < NODES; i++)
		party_stop(&r.parties[i]);
	return ok;
}

const struct bench bench_revoke = {
	"revoke", "revoking what 1, 100 or 10,000 others hold, on one node and on four", 4, run};
