/* `rate`: RPCs across nodes, many under way.
 *
 *   closed   1 to 256 under way: each answer starts the next call. Calls a second, beside the raw
 *            fabric with as many messages under way; the cores' time that a message takes in all
 *            parties together; messages that leave in one packet, which is what batching is.
 *   open     calls leave at their times, whatever became of those before. A call's latency counts
 *            from the time at which it should have left, so that a system that stands still
 *            answers for all the calls that it kept from leaving (no coordinated omission).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "histogram.h"
#include "rpc.h"

enum { DEPTHS = 9, DEPTH_MAX = 256, LOADS = 4, RAWS = 2, SIDES = 1 + RAWS };
static const unsigned depths[DEPTHS] = {1, 2, 4, 8, 16, 32, 64, 128, DEPTH_MAX};
static const double loads[LOADS] = {0.2, 0.5, 0.8, 0.9}; /* of the closed loop's best rate */
#define OPEN_NS UINT64_C(200000000)                      /* a turn of the open loop */
/* Calls that wait beyond that wait here, and their time counts: a Process may have 1024 parked. */
enum { OPEN_UNDER_WAY = 512 };

struct rate {
	struct rpc *rpc;
	unsigned depth;
};

/* ------------------------------------------------------------------ closed loop */

static uint64_t run_closed(void *arg, unsigned count)
{
	struct rate *rate = arg;
	struct rpc *rpc = rate->rpc;
	const uint64_t first = rpc->answered, end = first + count;
	uint64_t started = first, begin = bench_now();
	fos_status status = FOS_OK;

	while (rpc->answered < end && status == FOS_OK) {
		while (started < end && started - rpc->answered < rate->depth && status == FOS_OK) {
			status = rpc_start(rpc);
			started += status == FOS_OK;
		}
		if (status == FOS_OK)
			status = rpc_await(rpc, rpc->answered + 1);
	}
	return bench_ok(status, "rpc") ? bench_now() - begin : 0;
}

/* What a side costs besides time: the cores' time of its parties, and packets of this node. */
struct meter {
	pid_t pids[4];
	unsigned pid_count;
	uint64_t cpu, packets, operations;
};

static uint64_t cpu_of(const struct meter *m)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < m->pid_count; i++)
		sum += bench_cpu(m->pids[i]);
	return sum;
}

/* Packets that have left this node's interface; 0: it has none of its own. */
static uint64_t packets_sent(void)
{
	char line[512];
	uint64_t packets = 0;
	FILE *file = fopen("/proc/self/net/dev", "re");
	while (file && fgets(line, sizeof line, file)) {
		const char *at = strstr(line, "eth0:");
		if (at && sscanf(at + 5, "%*u %*u %*u %*u %*u %*u %*u %*u %*u %" SCNu64, &packets) != 1)
			packets = 0;
	}
	if (file)
		fclose(file);
	return packets;
}

struct metered {
	struct bench_side side;
	struct meter meter;
};

static uint64_t run_metered(void *arg, unsigned count)
{
	struct metered *m = arg;
	uint64_t cpu = cpu_of(&m->meter), packets = packets_sent();
	uint64_t ns = m->side.run(m->side.arg, count);
	m->meter.cpu += cpu_of(&m->meter) - cpu;
	m->meter.packets += packets_sent() - packets;
	m->meter.operations += count;
	return ns;
}

/* ------------------------------------------------------------------ open loop */

struct load {
	struct rpc *rpc;
	double interval;              /* ns between two calls */
	uint64_t begin;               /* of the turn */
	uint64_t base;                /* answered before it */
	uint64_t due[OPEN_UNDER_WAY]; /* of calls under way: a ring */
	struct histogram histogram;
};

/* Answers come in the order of the calls: one channel, one Request. */
static void take_answers(struct load *load, uint64_t *taken)
{
	const uint64_t now = bench_now();
	for (; *taken < load->rpc->answered; ++*taken) {
		uint64_t due = load->due[*taken % OPEN_UNDER_WAY];
		histogram_add(&load->histogram, now > due ? now - due : 0);
	}
}

static bool run_open(struct load *load)
{
	struct rpc *rpc = load->rpc;
	const uint64_t end = (uint64_t)((double)OPEN_NS / load->interval) + rpc->answered;
	uint64_t started = rpc->answered, taken = started;

	load->base = started;
	load->begin = bench_now();
	while (taken < end && rpc->status == FOS_OK && !fos_lost(rpc->channel)) {
		uint64_t now = bench_now();
		uint64_t due = load->begin + (uint64_t)((double)(started - load->base) * load->interval);
		if (started < end && due <= now && started - taken < OPEN_UNDER_WAY) {
			load->due[started % OPEN_UNDER_WAY] = due;
			if (!bench_ok(rpc_start(rpc), "rpc"))
				return false;
			started++;
			fos_poll(rpc->channel);
		} else {
			bool idle = started == end || due > now;
			if (fos_wait(rpc->channel, !idle || started == end ? RPC_PATIENCE : due - now) == 0 &&
				started == end)
				return bench_fails("rate: an answer is missing");
		}
		take_answers(load, &taken);
	}
	return bench_ok(rpc->status, "rpc");
}

static bool run_loads(const struct bench_context *context, struct rpc *rpc, double best)
{
	static const struct {
		const char *name;
		double quantile;
	} tails[] = {{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}};
	struct load *load = malloc(sizeof *load);
	char name[BENCH_TEXT];
	bool ok = load != NULL;

	for (unsigned i = 0; i < LOADS && ok; i++) {
		memset(load, 0, sizeof *load);
		load->rpc = rpc;
		load->interval = best / loads[i];
		for (unsigned round = 0; round < context->rounds && ok; round++)
			ok = run_open(load);
		for (size_t t = 0; t < sizeof tails / sizeof tails[0] && ok; t++) {
			snprintf(name, sizeof name, "open loop at %.0f %%, %s", loads[i] * 100, tails[t].name);
			bench_number(context,
						 &(struct bench_row){.bench = "rate",
											 .name = name,
											 .metric = "latency",
											 .unit = "us",
											 .series = tails[t].name,
											 .x = loads[i] * 100,
											 .x_name = "% of the closed loop's best rate"},
						 (double)histogram_quantile(&load->histogram, tails[t].quantile) / 1000,
						 NULL, 0);
		}
	}
	free(load);
	return ok;
}

/* ------------------------------------------------------------------ rows */

static void report_depth(const struct bench_context *context, unsigned depth,
						 const struct metered *sides, const struct bench_samples *samples)
{
	const unsigned best = 1 + bench_best(samples + 1, RAWS);
	const struct meter *ours = &sides[0].meter, *raw = &sides[best].meter;
	const char *raw_name = sides[best].side.name;
	char name[BENCH_TEXT];

	snprintf(name, sizeof name, "%u under way", depth);
	struct bench_row row = {.bench = "rate",
							.name = name,
							.metric = "messages",
							.unit = "/s",
							.more_is_better = true,
							.series = "RPC across nodes",
							.x = depth,
							.x_name = "calls under way"};
	bench_report(context, &row, BENCH_PER_SECOND, 2, &samples[0], raw_name, &samples[best]);
	row.metric = "cores' time per message";
	row.unit = "us";
	row.more_is_better = false;
	bench_number(context, &row, (double)ours->cpu / (double)ours->operations / 2000, raw_name,
				 (double)raw->cpu / (double)raw->operations / 2000);
	if (ours->packets == 0 || raw->packets == 0)
		return;
	row.metric = "batch";
	row.unit = "messages/packet";
	row.more_is_better = true;
	bench_number(context, &row, (double)ours->operations / (double)ours->packets, raw_name,
				 (double)raw->operations / (double)raw->packets);
}

static bool run_depth(const struct bench_context *context, struct rpc *rpc, const pid_t *pids,
					  const struct raw_pair *raw, unsigned depth, double *best)
{
	struct rate rate = {.rpc = rpc, .depth = depth};
	struct raw_work works[RAWS];
	struct metered metered[SIDES];
	struct bench_side sides[SIDES];
	struct bench_samples samples[SIDES];

	memset(metered, 0, sizeof metered);
	metered[0].side = (struct bench_side){.name = "FractOS", .run = run_closed, .arg = &rate};
	metered[0].meter.pid_count = 4;
	memcpy(metered[0].meter.pids, pids, 4 * sizeof *pids);
	for (unsigned i = 0; i < RAWS; i++) {
		works[i] = (struct raw_work){
			.fabric = raw->fabric, .size = 64, .answer = 64, .depth = depth, .spin = i == 1};
		metered[1 + i].side =
			(struct bench_side){.name = i == 1 ? "raw fabric, spinning" : "raw fabric, yielding",
								.run = raw_fabric_run,
								.arg = &works[i]};
		metered[1 + i].meter.pid_count = 2;
		metered[1 + i].meter.pids[0] = pids[0];
		metered[1 + i].meter.pids[1] = raw->party.pid;
	}
	for (unsigned i = 0; i < SIDES; i++)
		sides[i] = (struct bench_side){
			.name = metered[i].side.name, .run = run_metered, .arg = &metered[i]};
	if (!bench_measure(context, sides, SIDES, samples))
		return false;
	report_depth(context, depth, metered, samples);
	const double median = bench_median(&samples[0]);
	*best = *best == 0 || median < *best ? median : *best;
	return true;
}

static bool run(struct bench_context *context)
{
	struct party echo = {0};
	struct raw_pair raw = {0};
	struct rpc rpc;
	const struct bench_node *here = bench_node(context, "app"), *there = bench_node(context, "fs");
	fos_cap request;
	double best = 0;

	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* an open loop's sleeps end in time */
	bool ok = here && there && raw_pair_open(context, "fs", &raw) &&
			  party_start(context, "fs", "echo", "echo", &echo) &&
			  party_request(context, "echo", &request) && rpc_open(context->channel, request, &rpc);
	if (ok) {
		pid_t pids[] = {getpid(), bench_controller(here), bench_controller(there), echo.pid};
		if (bench_place(context, pids, 4))
			(void)bench_pin(raw.party.pid, context->cores >= 4 ? 3 : 1);
		for (unsigned i = 0; i < DEPTHS && ok; i++)
			ok = run_depth(context, &rpc, pids, &raw, depths[i], &best);
		ok = ok && run_loads(context, &rpc, best);
		bench_unplace(pids, 4);
	}
	raw_pair_close(&raw);
	party_stop(&echo);
	return ok;
}

const struct bench bench_rate = {
	"rate", "many RPCs under way, and at given rates, against raw libfabric", 4, run};
