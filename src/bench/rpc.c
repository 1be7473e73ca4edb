/* `rpc`: an empty handler and its reply continuation, on the same node and across nodes, against
 * the raw fabric's round trip at its best waiting. The reply is a Request made once; each call
 * binds it, and what else it carries, and invokes.
 *
 *   same node      bench -> Controller -> echo -> Controller -> bench
 *   across nodes   bench -> Controller => Controller -> echo -> Controller => Controller -> bench
 */
#include <stdio.h>
#include <string.h>

#include <fractos/registry.h>

#include "rpc.h"

/* ------------------------------------------------------------------ the other end */

static fos_handled on_echo(fos_channel *channel, const fos_delivery *delivery, void *arg)
{
	(void)arg;
	fos_status status =
		fos_continue(channel, delivery->id, fos_delivery_cap(delivery, FOS_NEXT), NULL, NULL, NULL);
	return status == FOS_OK ? FOS_FINISH_LATER : FOS_FINISH;
}

static bool offer(fos_channel *channel, const char *name)
{
	char full[FOS_NAME_MAX];
	fos_cap echo;
	snprintf(full, sizeof full, "bench/%s", name);
	return bench_ok(fos_request_create(channel, on_echo, NULL, NULL, &echo), "echo") &&
		   bench_ok(fos_registry_publish(channel, full, echo), full);
}

const struct role role_echo = {"echo", offer};

/* ------------------------------------------------------------------ calls */

static fos_handled on_reply(fos_channel *channel, const fos_delivery *delivery, void *arg)
{
	struct rpc *rpc = arg;
	(void)channel;
	if (delivery->exception.status != FOS_OK)
		rpc->status = delivery->exception.status;
	rpc->answered++;
	return FOS_FINISH;
}

/* The own Controller has taken a call, or refused it: then there is no answer. */
void rpc_on_taken(fos_channel *channel, const fos_result *result, void *arg)
{
	struct rpc *rpc = arg;
	(void)channel;
	if (result->status != FOS_OK)
		rpc->status = result->status;
}

bool rpc_open(fos_channel *channel, fos_cap target, struct rpc *out)
{
	*out = (struct rpc){.channel = channel, .target = target};
	return bench_ok(fos_request_create(channel, on_reply, out, NULL, &out->reply), "reply");
}

fos_status rpc_start(struct rpc *rpc)
{
	static const uint8_t bytes[1024];
	fos_args args;

	fos_args_init(&args);
	if (rpc->imm > 0)
		fos_args_imm(&args, FOS_CALL, FOS_ARG, bytes, rpc->imm);
	fos_args_cap(&args, FOS_CALL, FOS_NEXT, rpc->reply);
	for (unsigned i = 0; i < rpc->cap_count; i++)
		fos_args_cap(&args, FOS_CALL, FOS_NEXT + 1 + i, rpc->caps[i]);
	fos_args_on_error(&args, FOS_CALL, rpc->reply);
	fos_status status =
		fos_request_invoke_async(rpc->channel, rpc->target, &args, NULL, rpc_on_taken, rpc);
	rpc->started += status == FOS_OK;
	return status;
}

fos_status rpc_await(struct rpc *rpc, uint64_t answered)
{
	while (rpc->answered < answered && rpc->status == FOS_OK)
		if (fos_wait(rpc->channel, RPC_PATIENCE) == 0)
			return fos_lost(rpc->channel) ? FOS_CONTROLLER_LOST : FOS_TIMED_OUT;
	return rpc->status;
}

uint64_t rpc_run(void *arg, unsigned count)
{
	struct rpc *rpc = arg;
	uint64_t begin = bench_now();
	for (unsigned i = 0; i < count; i++) {
		fos_status status = rpc_start(rpc);
		if (status == FOS_OK)
			status = rpc_await(rpc, rpc->answered + 1);
		if (!bench_ok(status, "rpc"))
			return 0;
	}
	return bench_now() - begin;
}

/* ------------------------------------------------------------------ cases */

enum { RAWS = 2, IMMS = 3, CAPS = 4, CAPS_MOST = 16, SIDES = IMMS + CAPS - 1 + RAWS };
static const unsigned imms[IMMS] = {0, 64, 1024};
static const unsigned caps[CAPS] = {0, 1, 4, CAPS_MOST};

struct cases {
	struct rpc rpcs[SIDES - RAWS]; /* by immediates, then by capabilities (but 0) */
	struct raw_work raws[RAWS];
	struct bench_side sides[SIDES];
	struct bench_samples samples[SIDES];
};

/* What one capability more costs: the difference of 16 and none, round by round. */
static void report_marginal(const struct bench_context *context, const struct cases *cases,
							const char *where)
{
	const struct bench_samples *none = &cases->samples[0], *all = &cases->samples[IMMS + CAPS - 2];
	struct bench_samples one = {.rounds = none->rounds};
	char name[BENCH_TEXT];

	for (unsigned i = 0; i < one.rounds; i++)
		one.ns[i] = (all->ns[i] - none->ns[i]) / CAPS_MOST;
	snprintf(name, sizeof name, "%s, one capability more", where);
	bench_report(context,
				 &(struct bench_row){.bench = "rpc", .name = name, .metric = "cost", .unit = "ns"},
				 BENCH_PLAIN, 0, &one, NULL, NULL);
}

static void report(const struct bench_context *context, const struct cases *cases,
				   const char *where)
{
	const unsigned best = SIDES - RAWS + bench_best(&cases->samples[SIDES - RAWS], RAWS);
	char name[BENCH_TEXT], series[BENCH_TEXT];

	for (unsigned i = 0; i < SIDES - RAWS; i++) {
		bool bytes = i < IMMS;
		unsigned n = bytes ? imms[i] : caps[i - IMMS + 1];
		if (bytes)
			snprintf(name, sizeof name, "%s, %u B", where, n);
		else
			snprintf(name, sizeof name, "%s, %u capabilit%s", where, n, n == 1 ? "y" : "ies");
		snprintf(series, sizeof series, "%s, %s", where, bytes ? "bytes" : "capabilities");
		bench_report(context,
					 &(struct bench_row){.bench = "rpc",
										 .name = name,
										 .metric = "round trip",
										 .unit = "us",
										 .series = series,
										 .x = n,
										 .x_name = bytes ? "bytes of immediates" : "capabilities"},
					 BENCH_US, 0, &cases->samples[i], cases->sides[best].name,
					 &cases->samples[best]);
	}
	report_marginal(context, cases, where);
}

static bool open_cases(const struct bench_context *context, fos_cap echo, struct raw_fabric *fabric,
					   const fos_cap *carried, struct cases *out)
{
	for (unsigned i = 0; i < SIDES - RAWS; i++) {
		struct rpc *rpc = &out->rpcs[i];
		if (!rpc_open(context->channel, echo, rpc))
			return false;
		if (i < IMMS)
			rpc->imm = imms[i];
		else
			rpc->cap_count = caps[i - IMMS + 1];
		memcpy(rpc->caps, carried, rpc->cap_count * sizeof *carried);
		out->sides[i] = (struct bench_side){.name = "FractOS", .run = rpc_run, .arg = rpc};
	}
	for (unsigned i = 0; i < RAWS; i++) {
		out->raws[i] = (struct raw_work){
			.fabric = fabric, .size = 64, .answer = 64, .depth = 1, .spin = i == 1};
		out->sides[SIDES - RAWS + i] =
			(struct bench_side){.name = i == 1 ? "raw fabric, spinning" : "raw fabric, yielding",
								.run = raw_fabric_run,
								.arg = &out->raws[i]};
	}
	return true;
}

/* Where the parties of one place run: those of a node together, unless each can have a core. */
static bool run_at(const struct bench_context *context, const char *where, const char *node,
				   const fos_cap *carried)
{
	static struct cases cases;
	struct party echo = {0};
	struct raw_pair raw = {0};
	const struct bench_node *there = bench_node(context, node), *here = bench_node(context, "app");
	fos_cap request;

	memset(&cases, 0, sizeof cases);
	bool ok = here && there && raw_pair_open(context, "fs", &raw) &&
			  party_start(context, node, "echo", "echo", &echo) &&
			  party_request(context, "echo", &request) &&
			  open_cases(context, request, raw.fabric, carried, &cases);
	if (ok) {
		/* The raw client is this process; its responder runs where the echo does. */
		pid_t pids[] = {0, bench_controller(here), bench_controller(there), echo.pid};
		const unsigned apart = here == there ? 3 : 4;
		if (here == there)
			pids[2] = echo.pid;
		pid_t responder = raw.party.pid;
		/* Three of one node on two cores: the kernel places them better than in pairs. */
		if ((here != there || context->cores >= apart) && bench_place(context, pids, apart))
			(void)bench_pin(responder, context->cores >= apart ? apart - 1 : 1);
		ok = bench_measure(context, cases.sides, SIDES, cases.samples);
		bench_unplace(pids, apart);
		bench_unplace(&responder, 1);
	}
	if (ok)
		report(context, &cases, where);
	raw_pair_close(&raw);
	party_stop(&echo);
	return ok;
}

static bool run(struct bench_context *context)
{
	fos_cap carried[CAPS_MOST];
	void *bytes;

	if (!bench_ok(fos_alloc(fos_channel_process(context->channel), 4096, 64, &bytes), "arena"))
		return false;
	for (unsigned i = 0; i < CAPS_MOST; i++)
		if (!bench_ok(fos_memory_create(context->channel, bytes, 4096, FOS_READ, &carried[i]),
					  "Memory"))
			return false;
	return run_at(context, "same node", "app", carried) &&
		   run_at(context, "across nodes", "fs", carried);
}

const struct bench bench_rpc = {
	"rpc", "empty handler and reply, same node and across nodes, against raw libfabric", 4, run};
