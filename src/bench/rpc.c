/* `rpc`: an empty handler and its reply continuation, on the same node and across nodes, against
 * the raw fabric's round trip. The reply is a Request made once; each call binds it and invokes. */
#include <stdio.h>

#include <fractos/registry.h>

#include "bench.h"

struct rpc {
	fos_channel *channel;
	fos_cap echo, reply;
	unsigned imm; /* bytes of immediates */
	unsigned answered;
};

static fos_handled on_reply(fos_channel *channel, const fos_delivery *delivery, void *arg)
{
	struct rpc *rpc = arg;
	(void)channel;
	rpc->answered += delivery->exception.status == FOS_OK;
	return FOS_FINISH;
}

static uint64_t run(void *arg, unsigned count)
{
	static const uint8_t bytes[1024];
	struct rpc *rpc = arg;
	uint64_t begin = bench_now();
	for (unsigned i = 0; i < count; i++) {
		fos_args args;
		fos_args_init(&args);
		if (rpc->imm > 0)
			fos_args_imm(&args, FOS_CALL, FOS_ARG, bytes, rpc->imm);
		fos_args_cap(&args, FOS_CALL, FOS_NEXT, rpc->reply);
		rpc->answered = 0;
		fos_status status =
			fos_request_invoke_async(rpc->channel, rpc->echo, &args, NULL, NULL, NULL);
		while (status == FOS_OK && rpc->answered == 0)
			if (fos_wait(rpc->channel, 2000000000u) == 0)
				status = FOS_TIMED_OUT;
		if (status != FOS_OK) {
			fprintf(stderr, "rpc: %s\n", fos_status_name(status));
			return 0;
		}
	}
	return bench_now() - begin;
}

static bool run_cases(const struct bench_context *context, struct rpc *rpc, const char *where,
					  struct raw_fabric *fabric)
{
	static const unsigned sizes[] = {0, 64, 1024};
	for (unsigned i = 0; i < 3; i++) {
		char name[64];
		rpc->imm = sizes[i];
		snprintf(name, sizeof name, "%s, %u B", where, sizes[i]);
		if (!bench_run(context, &(struct bench_case){.bench = "rpc",
													 .name = name,
													 .baseline_name = "raw fabric",
													 .ours = run,
													 .baseline = raw_fabric_run,
													 .ours_arg = rpc,
													 .baseline_arg = fabric,
													 .count = 1000}))
			return false;
	}
	return true;
}

bool bench_rpc(const struct bench_context *context)
{
	struct rpc rpc = {.channel = context->channel};
	bool ok = false;
	if (!context->raw) {
		fprintf(stderr, "rpc: needs --raw ADDRESS:PORT of a responder\n");
		return false;
	}
	struct raw_fabric *fabric = raw_fabric_open(context->raw, context->spin);
	if (!fabric)
		return false;
	fos_status status = fos_request_create(rpc.channel, on_reply, &rpc, NULL, &rpc.reply);
	static const char *const names[] = {"bench/echo-here", "bench/echo-there"};
	static const char *const where[] = {"same node", "across nodes"};
	for (int i = 0; i < 2 && status == FOS_OK; i++) {
		status = fos_registry_wait(rpc.channel, names[i], 5000000000u, &rpc.echo);
		if (status == FOS_OK)
			ok = run_cases(context, &rpc, where[i], fabric);
	}
	if (status != FOS_OK)
		fprintf(stderr, "rpc: %s\n", fos_status_name(status));
	raw_fabric_close(fabric);
	return ok && status == FOS_OK;
}
