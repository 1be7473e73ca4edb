/* `copy`: memory_copy, from the call until the bytes have landed and the caller knows.
 *
 *   local    between two Processes of a node, against memcpy between two buffers of one
 *   across   from the caller's node to another one
 *   third    from a second node to a third one; the caller only asks
 *
 * The latter two against raw libfabric, messages or RMA writes acknowledged by the receiver,
 * whichever is faster. At last: a call's tail beside a copy of 1 GiB, and what the copy loses. */
#include "copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <fractos/registry.h>

#include "histogram.h"
#include "rpc.h"

/* ------------------------------------------------------------------ the store */

struct give { /* at FOS_ARG */
	uint64_t size, stride;
	uint32_t count, zero;
};

/* One a process: what it lends now, and from which bytes. */
static struct {
	uint8_t *bytes;
	uint64_t length;
	fos_cap given[STORE_GIVES];
	unsigned count;
} lent;

static fos_status take_back(fos_channel *channel)
{
	fos_status status = FOS_OK;
	for (unsigned i = 0; i < lent.count && status == FOS_OK; i++) {
		status = fos_cap_revoke(channel, lent.given[i]);
		if (status == FOS_OK)
			status = fos_cap_close(channel, lent.given[i]);
	}
	lent.count = 0;
	return status;
}

static fos_status lend(fos_channel *channel, const struct give *give)
{
	const uint64_t length = give->stride * (give->count - 1) + give->size;
	fos_status status = take_back(channel);
	if (status == FOS_OK && length > lent.length) {
		fos_process *process = fos_channel_process(channel);
		void *bytes;
		fos_free(process, lent.bytes);
		lent.bytes = NULL;
		lent.length = 0;
		status = fos_alloc(process, length, 4096, &bytes);
		if (status == FOS_OK) {
			lent.bytes = bytes;
			lent.length = length;
		}
	}
	for (unsigned i = 0; i < give->count && status == FOS_OK; i++) {
		status = fos_memory_create(channel, lent.bytes + i * give->stride, give->size,
								   FOS_READ | FOS_WRITE, &lent.given[i]);
		lent.count += status == FOS_OK;
	}
	return status;
}

static fos_handled on_give(fos_channel *channel, const fos_delivery *delivery, void *arg)
{
	const struct give *give = fos_delivery_imm(delivery, FOS_ARG, sizeof *give);
	fos_args args;
	(void)arg;

	fos_args_init(&args);
	fos_status status = FOS_INVALID;
	if (give && give->count >= 1 && give->count <= STORE_GIVES && give->size > 0)
		status = lend(channel, give);
	if (status == FOS_OK) {
		for (unsigned i = 0; i < lent.count; i++)
			fos_args_cap(&args, FOS_CALL, FOS_CAP_RESULT + i, lent.given[i]);
		status = fos_continue(channel, delivery->id, fos_delivery_cap(delivery, FOS_NEXT), &args,
							  NULL, NULL);
	}
	if (status != FOS_OK)
		status = fos_fail(channel, delivery->id, status, NULL);
	return status == FOS_OK ? FOS_FINISH_LATER : FOS_FINISH;
}

static bool offer(fos_channel *channel, const char *name)
{
	char full[FOS_NAME_MAX];
	fos_cap store;
	snprintf(full, sizeof full, "bench/%s", name);
	return bench_ok(fos_request_create(channel, on_give, NULL, NULL, &store), "store") &&
		   bench_ok(fos_registry_publish(channel, full, store), full);
}

const struct role role_store = {"store", offer};

bool store_give(fos_channel *channel, fos_cap store, uint64_t size, uint64_t stride, unsigned count,
				fos_cap *out)
{
	struct give give = {.size = size, .stride = stride, .count = count};
	fos_args args;
	fos_reply reply;

	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &give, sizeof give);
	fos_status status = fos_call(channel, store, &args, 0, &reply);
	for (unsigned i = 0; i < count && status == FOS_OK; i++) {
		out[i] = fos_delivery_cap(&reply.delivery, FOS_CAP_RESULT + i);
		status = out[i] == FOS_CAP_NONE ? FOS_INTERNAL : fos_cap_keep(channel, out[i]);
	}
	fos_reply_release(channel, &reply);
	return bench_ok(status, "store");
}

/* ------------------------------------------------------------------ copies */

static void on_landed(fos_channel *channel, const fos_result *result, void *arg)
{
	struct copying *c = arg;
	(void)channel;
	c->landed++;
	if (result->status != FOS_OK && c->status == FOS_OK)
		c->status = result->status;
}

static fos_status start_copies(struct copying *c)
{
	fos_status status = c->status;
	while (status == FOS_OK && c->started < c->wanted && c->started - c->landed < c->depth) {
		unsigned place = c->started % c->depth;
		status = fos_memory_copy_async(c->channel, c->to[place], c->from[place], NULL, NULL,
									   on_landed, c);
		c->started += status == FOS_OK;
	}
	return status;
}

uint64_t copying_run(void *arg, unsigned count)
{
	struct copying *c = arg;
	uint64_t begin = bench_now();

	c->started = c->landed = 0;
	c->wanted = count;
	fos_status status = FOS_OK;
	while (c->landed < count && status == FOS_OK) {
		status = start_copies(c);
		if (status == FOS_OK && fos_wait(c->channel, RPC_PATIENCE) == 0)
			status = fos_lost(c->channel) ? FOS_CONTROLLER_LOST : FOS_TIMED_OUT;
	}
	return bench_ok(status, "copy") ? bench_now() - begin : 0;
}

/* ------------------------------------------------------------------ sizes and depths */

enum {

	SIZE_MOST = 64 << 20,
	RAWS = 4, /* messages and writes, yielding and spinning */
	PLACES = 3,
	SIDES = PLACES + 1 + RAWS
};
static const unsigned depths[] = {1, 4};
static const char *const places[PLACES] = {"local", "across", "third"};
static const char *const raw_names[RAWS] = {"raw messages, yielding", "raw messages, spinning",
											"raw RMA write, yielding", "raw RMA write, spinning"};

struct buffers { /* for memcpy */
	uint8_t *to, *from;
	uint64_t size;
	unsigned depth;
};

static uint64_t run_memcpy(void *arg, unsigned count)
{
	const struct buffers *b = arg;
	uint64_t begin = bench_now();
	for (unsigned i = 0; i < count; i++) {
		uint64_t at = i % b->depth * b->size;
		memcpy(b->to + at, b->from + at, b->size);
		/* Whoever looks sees the bytes: the compiler may not leave a copy away. */
		__asm__ volatile("" ::"r"(b->to + at) : "memory");
	}
	return bench_now() - begin;
}

struct copies {
	const struct bench_context *context;
	struct party here, second, third;
	fos_cap here_store, second_store, third_store;
	struct raw_pair raw;
	struct buffers buffers;
	uint8_t *source; /* of the arena */
};

static bool own_memories(const struct copies *c, uint64_t size, unsigned count, fos_cap *out)
{
	for (unsigned i = 0; i < count; i++)
		if (!bench_ok(fos_memory_create(c->context->channel, c->source + i * size, size, FOS_READ,
										&out[i]),
					  "Memory"))
			return false;
	return true;
}

static bool have_buffers(struct copies *c)
{
	const size_t all = (size_t)SIZE_MOST * 4;
	void *to = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *from = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *source;

	if (to == MAP_FAILED || from == MAP_FAILED)
		return bench_fails("copy: no memory for two buffers of %zu MiB", all >> 20);
	memset(from, 1, all);
	c->buffers.to = to;
	c->buffers.from = from;
	fos_process *process = fos_channel_process(c->context->channel);
	if (!bench_ok(fos_alloc(process, all, 4096, &source), "arena"))
		return false;
	c->source = source;
	memset(c->source, 1, all);
	return true;
}

static void size_text(uint64_t size, char *out, size_t length)
{
	if (size >= 1 << 20)
		snprintf(out, length, "%u MiB", (unsigned)(size >> 20));
	else if (size >= 1 << 10)
		snprintf(out, length, "%u KiB", (unsigned)(size >> 10));
	else
		snprintf(out, length, "%u B", (unsigned)size);
}

static void report(const struct copies *c, uint64_t size, unsigned depth,
				   const struct bench_samples *samples)
{
	const unsigned raw = PLACES + 1 + bench_best(samples + PLACES + 1, RAWS);
	char text[32], name[BENCH_TEXT], series[BENCH_TEXT];

	size_text(size, text, sizeof text);
	for (unsigned i = 0; i < PLACES; i++) {
		const unsigned base = i == 0 ? PLACES : raw;
		const char *base_name = i == 0 ? "memcpy" : raw_names[raw - PLACES - 1];
		snprintf(name, sizeof name, "%s, %s, depth %u", places[i], text, depth);
		snprintf(series, sizeof series, "%s, depth %u", places[i], depth);
		struct bench_row row = {.bench = "copy",
								.name = name,
								.metric = "bandwidth",
								.unit = "GB/s",
								.more_is_better = true,
								.series = series,
								.x = (double)size,
								.x_name = "bytes"};
		bench_report(c->context, &row, BENCH_GB_S, (double)size, &samples[i], base_name,
					 &samples[base]);
		if (depth > 1)
			continue;
		row.metric = "time until landed";
		row.unit = "us";
		row.more_is_better = false;
		bench_report(c->context, &row, BENCH_US, 0, &samples[i], base_name, &samples[base]);
	}
}

static void close_memories(fos_channel *channel, const fos_cap *caps, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		(void)bench_ok(fos_cap_close(channel, caps[i]), "close");
}

static bool run_size(struct copies *c, uint64_t size, unsigned depth)
{
	struct copying copying[PLACES];
	struct raw_work works[RAWS];
	struct bench_side sides[SIDES];
	struct bench_samples samples[SIDES];
	fos_channel *channel = c->context->channel;
	fos_cap own[STORE_GIVES], near[STORE_GIVES], far[STORE_GIVES], farther[STORE_GIVES];

	if (!own_memories(c, size, depth, own) ||
		!store_give(channel, c->here_store, size, size, depth, near) ||
		!store_give(channel, c->second_store, size, size, depth, far) ||
		!store_give(channel, c->third_store, size, size, depth, farther))
		return false;
	for (unsigned i = 0; i < PLACES; i++) {
		copying[i] = (struct copying){.channel = channel, .depth = depth};
		memcpy(copying[i].from, i < 2 ? own : far, sizeof own);
		memcpy(copying[i].to, i == 0 ? near : i == 1 ? far : farther, sizeof own);
		sides[i] = (struct bench_side){.name = places[i], .run = copying_run, .arg = &copying[i]};
	}
	c->buffers.size = size;
	c->buffers.depth = depth;
	sides[PLACES] = (struct bench_side){.name = "memcpy", .run = run_memcpy, .arg = &c->buffers};
	for (unsigned i = 0; i < RAWS; i++) {
		works[i] = (struct raw_work){.fabric = c->raw.fabric,
									 .size = (uint32_t)size,
									 .answer = 8,
									 .depth = depth,
									 .write = i >= 2,
									 .spin = i % 2 == 1};
		sides[PLACES + 1 + i] =
			(struct bench_side){.name = raw_names[i], .run = raw_fabric_run, .arg = &works[i]};
	}
	bool ok = bench_measure(c->context, sides, SIDES, samples);
	if (ok)
		report(c, size, depth, samples);
	for (unsigned i = 0; i < depth; i++)
		ok = bench_ok(fos_cap_revoke(channel, own[i]), "revoke") && ok;
	close_memories(channel, own, depth);
	close_memories(channel, near, depth);
	close_memories(channel, far, depth);
	close_memories(channel, farther, depth);
	return ok;
}

/* ------------------------------------------------------------------ a call beside a copy */

enum { BESIDE_COPIES = 16, BESIDE_DEPTH = 4, CALLS_ALONE = 2000 };

static bool timed_call(struct rpc *rpc, struct histogram *h)
{
	uint64_t begin = bench_now();
	fos_status status = rpc_start(rpc);
	if (status == FOS_OK)
		status = rpc_await(rpc, rpc->answered + 1);
	histogram_add(h, bench_now() - begin);
	return bench_ok(status, "rpc");
}

static double p99_alone(struct rpc *rpc)
{
	struct histogram *h = calloc(1, sizeof *h);
	bool ok = h != NULL;
	for (unsigned i = 0; i < CALLS_ALONE && ok; i++)
		ok = timed_call(rpc, h);
	double p99 = ok ? (double)histogram_quantile(h, 0.99) : 0;
	free(h);
	return p99;
}

/* A GiB, with calls all the while; both live on one channel. */
static double p99_beside(struct rpc *rpc, struct copying *c, double *copy_ns)
{
	struct histogram *h = calloc(1, sizeof *h);
	bool ok = h != NULL;
	uint64_t begin = bench_now(), end = 0;

	c->started = c->landed = 0;
	c->wanted = BESIDE_COPIES;
	while (c->landed < c->wanted && ok) {
		ok = bench_ok(start_copies(c), "copy") && timed_call(rpc, h);
		end = bench_now();
	}
	*copy_ns = (double)(end - begin) / BESIDE_COPIES;
	double p99 = ok ? (double)histogram_quantile(h, 0.99) : 0;
	free(h);
	return p99;
}

static bool measure_beside(const struct copies *c, struct rpc *rpc, struct copying *copying)
{
	struct bench_samples alone, beside, copy_alone, copy_beside;
	const unsigned rounds = c->context->rounds;

	alone.rounds = beside.rounds = copy_alone.rounds = copy_beside.rounds = rounds;
	for (unsigned i = 0; i < rounds; i++) {
		alone.ns[i] = p99_alone(rpc);
		copy_alone.ns[i] = (double)copying_run(copying, BESIDE_COPIES) / BESIDE_COPIES;
		beside.ns[i] = p99_beside(rpc, copying, &copy_beside.ns[i]);
		if (alone.ns[i] <= 0 || copy_alone.ns[i] <= 0 || beside.ns[i] <= 0)
			return false;
	}
	bench_report(c->context,
				 &(struct bench_row){.bench = "copy",
									 .name = "a call beside 1 GiB",
									 .metric = "p99 of a call",
									 .unit = "us"},
				 BENCH_US, 0, &beside, "alone", &alone);
	bench_report(c->context,
				 &(struct bench_row){.bench = "copy",
									 .name = "1 GiB beside calls",
									 .metric = "bandwidth beside",
									 .unit = "GB/s",
									 .more_is_better = true},
				 BENCH_GB_S, SIZE_MOST, &copy_beside, "alone", &copy_alone);
	return true;
}

static bool run_beside(const struct copies *c)
{
	struct party echo = {0};
	struct rpc rpc;
	struct copying copying = {.channel = c->context->channel, .depth = BESIDE_DEPTH};
	fos_cap request;

	bool ok = party_start(c->context, "fs", "echo", "beside", &echo) &&
			  party_request(c->context, "beside", &request) &&
			  rpc_open(c->context->channel, request, &rpc) &&
			  own_memories(c, SIZE_MOST, BESIDE_DEPTH, copying.from) &&
			  store_give(c->context->channel, c->second_store, SIZE_MOST, SIZE_MOST, BESIDE_DEPTH,
						 copying.to) &&
			  measure_beside(c, &rpc, &copying);
	party_stop(&echo);
	return ok;
}

/* ------------------------------------------------------------------ all */

static bool open_copies(struct copies *c)
{
	return have_buffers(c) && party_start(c->context, "app", "store", "here", &c->here) &&
		   party_start(c->context, "fs", "store", "second", &c->second) &&
		   party_start(c->context, "storage", "store", "third", &c->third) &&
		   party_request(c->context, "here", &c->here_store) &&
		   party_request(c->context, "second", &c->second_store) &&
		   party_request(c->context, "third", &c->third_store) &&
		   raw_pair_open(c->context, "fs", &c->raw);
}

static bool run(struct bench_context *context)
{
	struct copies c = {.context = context};
	bool ok = open_copies(&c);

	for (unsigned d = 0; d < sizeof depths / sizeof depths[0]; d++)
		for (uint64_t size = 64; size <= SIZE_MOST && ok; size *= 4)
			ok = run_size(&c, size, depths[d]);
	ok = ok && run_beside(&c);
	raw_pair_close(&c.raw);
	party_stop(&c.here);
	party_stop(&c.second);
	party_stop(&c.third);
	if (c.buffers.to) {
		munmap(c.buffers.to, (size_t)SIZE_MOST * 4);
		munmap(c.buffers.from, (size_t)SIZE_MOST * 4);
	}
	return ok;
}

const struct bench bench_copy = {
	"copy", "memory_copy of 64 B to 64 MiB against memcpy and raw libfabric", 4, run};
