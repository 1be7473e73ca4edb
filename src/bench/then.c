/* `then`: a copy to another node, whose end starts something on a third, which answers here.
 *
 *     app ==bytes==> fs --then--> storage --reply--> app
 *
 * Against the sum of what the same ways take alone: the bytes one way and two small messages one
 * way each, from raw libfabric: an acknowledged message of that size and half a small round trip.
 * Warm: the same Memory again and again; cold: each copy goes to a Memory that this node has never
 * used. The messages are counted by the Controllers, and told by their names. */
#include <stdio.h>
#include <string.h>

#include "copy.h"
#include "rpc.h"

enum { RAWS = 4, COUNTED = 64 };
static const uint64_t sizes[] = {64, 4096, 65536, 1 << 20};

struct then {
	const struct bench_context *context;
	struct party store_party, echo_party;
	struct raw_pair raw;
	fos_cap store, echo;
	struct rpc rpc; /* its reply is where the chain ends */
	uint8_t *source_bytes;
	uint64_t size;
	fos_cap source, to[STORE_GIVES];
};

static fos_status copy_once(struct then *t, fos_cap to)
{
	fos_args args;
	fos_args_init(&args);
	fos_cap echo = fos_args_refine(&args, t->echo);
	fos_args_cap(&args, echo, FOS_NEXT, t->rpc.reply);
	fos_args_cap(&args, FOS_CALL, FOS_NEXT, echo);
	fos_args_on_error(&args, FOS_CALL, t->rpc.reply);
	fos_status status = fos_memory_copy_async(t->context->channel, to, t->source, &args, NULL,
											  rpc_on_taken, &t->rpc);
	return status == FOS_OK ? rpc_await(&t->rpc, t->rpc.answered + 1) : status;
}

static uint64_t run_warm(void *arg, unsigned count)
{
	struct then *t = arg;
	uint64_t begin = bench_now();
	for (unsigned i = 0; i < count; i++)
		if (!bench_ok(copy_once(t, t->to[0]), "copy"))
			return 0;
	return bench_now() - begin;
}

/* New Memories are asked for between the copies, and not in the time. */
static uint64_t run_cold(void *arg, unsigned count)
{
	struct then *t = arg;
	uint64_t time = 0;
	for (unsigned i = 0; i < count; i++) {
		unsigned at = i % STORE_GIVES;
		if (at == 0) {
			for (unsigned k = 0; k < STORE_GIVES; k++)
				if (t->to[k] != FOS_CAP_NONE &&
					!bench_ok(fos_cap_close(t->context->channel, t->to[k]), "close"))
					return 0;
			if (!store_give(t->context->channel, t->store, t->size, 0, STORE_GIVES, t->to))
				return 0;
		}
		uint64_t begin = bench_now();
		if (!bench_ok(copy_once(t, t->to[at]), "copy"))
			return 0;
		time += bench_now() - begin;
	}
	return time;
}

static bool report_messages(struct then *t, const char *size)
{
	struct fos_message_counters before, after;
	char text[BENCH_TEXT], name[2 * BENCH_TEXT];

	if (!bench_messages(t->context, &before) || run_warm(t, COUNTED) == 0 ||
		!bench_messages(t->context, &after))
		return false;
	double all = bench_messages_each(&before, &after, COUNTED, text, sizeof text);
	snprintf(name, sizeof name, "%s: %s", size, text);
	bench_number(
		t->context,
		&(struct bench_row){.bench = "then", .name = name, .metric = "messages", .unit = "a copy"},
		all, NULL, 0);
	return true;
}

/* Acknowledged bytes, less the acknowledgement, and two small messages one way. */
static void sum_of_ways(const struct bench_samples *bytes, const struct bench_samples *small,
						struct bench_samples *out)
{
	out->rounds = bytes->rounds;
	for (unsigned i = 0; i < out->rounds; i++)
		out->ns[i] = bytes->ns[i] + small->ns[i] / 2;
}

static bool run_size(struct then *t, uint64_t size, const char *text)
{
	struct raw_work works[RAWS];
	struct bench_side sides[2 + RAWS];
	struct bench_samples samples[2 + RAWS], ways;
	char name[BENCH_TEXT];

	t->size = size;
	memset(t->to, 0, sizeof t->to);
	if (!store_give(t->context->channel, t->store, size, 0, STORE_GIVES, t->to) ||
		!bench_ok(
			fos_memory_create(t->context->channel, t->source_bytes, size, FOS_READ, &t->source),
			"Memory") ||
		!report_messages(t, text))
		return false;
	sides[0] = (struct bench_side){.name = "warm", .run = run_warm, .arg = t};
	sides[1] = (struct bench_side){.name = "cold", .run = run_cold, .arg = t};
	for (unsigned i = 0; i < RAWS; i++) {
		works[i] = (struct raw_work){.fabric = t->raw.fabric,
									 .size = i < 2 ? (uint32_t)size : 64,
									 .answer = i < 2 ? 8 : 64,
									 .depth = 1,
									 .spin = i % 2 == 1};
		sides[2 + i] = (struct bench_side){.name = "raw", .run = raw_fabric_run, .arg = &works[i]};
	}
	if (!bench_measure(t->context, sides, 2 + RAWS, samples))
		return false;
	sum_of_ways(&samples[2 + bench_best(samples + 2, 2)], &samples[4 + bench_best(samples + 4, 2)],
				&ways);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(name, sizeof name, "%s, %s", sides[i].name, text);
		bench_report(t->context,
					 &(struct bench_row){.bench = "then",
										 .name = name,
										 .metric = "time",
										 .unit = "us",
										 .series = sides[i].name,
										 .x = (double)size,
										 .x_name = "bytes"},
					 BENCH_US, 0, &samples[i], "sum of raw ways", &ways);
	}
	return bench_ok(fos_cap_revoke(t->context->channel, t->source), "revoke");
}

static bool run(struct bench_context *context)
{
	static const char *const texts[] = {"64 B", "4 KiB", "64 KiB", "1 MiB"};
	struct then t = {.context = context};
	void *bytes;

	bool ok = bench_ok(fos_alloc(fos_channel_process(context->channel), 1 << 20, 4096, &bytes),
					   "arena") &&
			  party_start(context, "fs", "store", "second", &t.store_party) &&
			  party_start(context, "storage", "echo", "third", &t.echo_party) &&
			  party_request(context, "second", &t.store) &&
			  party_request(context, "third", &t.echo) &&
			  rpc_open(context->channel, t.echo, &t.rpc) && raw_pair_open(context, "fs", &t.raw);
	if (ok)
		t.source_bytes = bytes;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0] && ok; i++)
		ok = run_size(&t, sizes[i], texts[i]);
	raw_pair_close(&t.raw);
	party_stop(&t.store_party);
	party_stop(&t.echo_party);
	return ok;
}

const struct bench bench_then = {
	"then", "copy whose end starts something on a third node, against the raw ways", 4, run};
