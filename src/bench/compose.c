/* `compose`: the same work over N stages, each a Process on a node of its own, put together in
 * three ways.
 *
 *   star       app -> s1 -> app -> s2 -> app ...        bytes and control through the app
 *   fast-star  app -> s1 -> s2 -> ..., app tells each   bytes go on, control through the app
 *   chain      app -> s1 -> s2 -> ... -> sN -> app      the app built it, and is not on it
 *
 * Without bytes a hop is an invocation, with bytes a copy whose end invokes. A chain takes N+1
 * hops, a star 2N: where hops are all that counts the chain is 2N/(N+1) times as fast. Requests are
 * put together once ("warm") or for every call ("anew"). Messages are counted by the Controllers.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <fractos/registry.h>

#include "compose.h"

enum { STAGES_MIN = 2, STAGE_BYTES = 1 << 20, COUNTED = 8 };
const uint32_t compose_sizes[COMPOSE_SIZES] = {0, 4096, 65536, STAGE_BYTES};
const char *const compose_size_texts[COMPOSE_SIZES] = {"0 B", "4 KiB", "64 KiB", "1 MiB"};

/* Results of a stage asked for work of a size. */
enum {
	WORK = FOS_CAP_RESULT,
	MEMORY = FOS_CAP_RESULT + 1,
	TO = 1 /* capability of a work's call */
};

/* ------------------------------------------------------------------ a stage */

struct work {
	fos_cap request, memory;
};
static struct work works[COMPOSE_SIZES];
static void *stage_bytes;

static void on_copied(fos_channel *channel, const fos_result *result, void *arg)
{
	fos_delivery_id id = (fos_delivery_id)(uintptr_t)arg;
	fos_status status = result->status == FOS_OK ? fos_finish(channel, id)
												 : fos_fail(channel, id, result->status, NULL);
	(void)bench_ok(status, "stage");
}

/* Gives its bytes to where the call says, if it does, and goes on to what is next. */
static fos_handled on_work(fos_channel *channel, const fos_delivery *delivery, void *arg)
{
	const struct work *work = arg;
	fos_cap next = fos_delivery_cap(delivery, FOS_NEXT), to = fos_delivery_cap(delivery, TO);
	fos_invoke_options options = {.delivery = delivery->id};
	fos_status status;
	fos_args args;

	if (to == FOS_CAP_NONE) {
		status = fos_continue(channel, delivery->id, next, NULL, NULL, NULL);
	} else {
		fos_args_init(&args);
		fos_args_cap(&args, FOS_CALL, FOS_NEXT, next);
		status = fos_memory_copy_async(channel, to, work->memory, &args, &options, on_copied,
									   (void *)(uintptr_t)delivery->id);
	}
	if (status != FOS_OK)
		status = fos_fail(channel, delivery->id, status, NULL);
	return status == FOS_OK ? FOS_FINISH_LATER : FOS_FINISH;
}

/* The work and the Memory of a size, whose number is at FOS_ARG. */
static fos_handled on_ask(fos_channel *channel, const fos_delivery *delivery, void *arg)
{
	const uint32_t *which = fos_delivery_imm(delivery, FOS_ARG, sizeof *which);
	fos_args args;
	(void)arg;

	fos_args_init(&args);
	fos_status status = FOS_INVALID;
	if (which && *which < COMPOSE_SIZES) {
		fos_args_cap(&args, FOS_CALL, WORK, works[*which].request);
		fos_args_cap(&args, FOS_CALL, MEMORY, works[*which].memory);
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
	fos_cap ask;

	if (!bench_ok(fos_alloc(fos_channel_process(channel), STAGE_BYTES, 4096, &stage_bytes),
				  "arena"))
		return false;
	for (unsigned i = 0; i < COMPOSE_SIZES; i++)
		if (!bench_ok(fos_memory_create(channel, stage_bytes,
										compose_sizes[i] ? compose_sizes[i] : 1,
										FOS_READ | FOS_WRITE, &works[i].memory),
					  "Memory") ||
			!bench_ok(fos_request_create(channel, on_work, &works[i], NULL, &works[i].request),
					  "work"))
			return false;
	snprintf(full, sizeof full, "bench/%s", name);
	return bench_ok(fos_request_create(channel, on_ask, NULL, NULL, &ask), "stage") &&
		   bench_ok(fos_registry_publish(channel, full, ask), full);
}

const struct role role_stage = {"stage", offer};

/* ------------------------------------------------------------------ the app */

enum way { STAR, FAST_STAR, CHAIN, WAYS };
static const char *const way_names[WAYS] = {"star", "fast-star", "chain"};

struct run { /* a side of the comparison */
	struct compose *compose;
	enum way way;
	bool anew;
};

/* Where stage i's bytes go in a chain and a fast-star. */
static fos_cap onward(const struct compose *c, unsigned i)
{
	return i + 1 < c->depth ? c->memory[i + 1] : c->to;
}

/* Stage i's work, bound in `args`: its end invokes `next`, its bytes go to `to`. */
static fos_cap bind(const struct compose *c, fos_args *args, unsigned i, fos_cap next, fos_cap to)
{
	fos_cap bound = fos_args_refine(args, c->work[i]);
	fos_args_cap(args, bound, FOS_NEXT, next);
	if (c->size > 0)
		fos_args_cap(args, bound, TO, to);
	return bound;
}

static fos_cap bind_chain(const struct compose *c, fos_args *args)
{
	fos_cap next = c->rpc.reply;
	for (unsigned i = c->depth; i-- > 0;)
		next = bind(c, args, i, next, onward(c, i));
	return next;
}

/* A hop of the app's: gives bytes to stage i, if there are any, and invokes `request`. */
static fos_status hop(struct compose *c, fos_args *args, fos_cap request, unsigned i, bool bytes)
{
	fos_channel *channel = c->context->channel;
	fos_status status;

	fos_args_on_error(args, FOS_CALL, c->rpc.reply);
	if (bytes) {
		fos_args_cap(args, FOS_CALL, FOS_NEXT, request);
		status = fos_memory_copy_async(channel, c->memory[i], c->from, args, NULL, rpc_on_taken,
									   &c->rpc);
	} else {
		status = fos_request_invoke_async(channel, request, args, NULL, rpc_on_taken, &c->rpc);
	}
	return status == FOS_OK ? rpc_await(&c->rpc, c->rpc.answered + 1) : status;
}

static fos_status run_chain(struct compose *c, bool anew)
{
	fos_args args;
	fos_args_init(&args);
	if (!anew)
		return hop(c, &args, c->chain, 0, c->size > 0);
	if (c->size > 0)
		return hop(c, &args, bind_chain(c, &args), 0, true);
	/* Without bytes the call itself binds the first stage's part. */
	fos_cap next = c->rpc.reply;
	for (unsigned i = c->depth; i-- > 1;)
		next = bind(c, &args, i, next, FOS_CAP_NONE);
	fos_args_cap(&args, FOS_CALL, FOS_NEXT, next);
	return hop(c, &args, c->work[0], 0, false);
}

static fos_status run_star(struct compose *c, bool anew)
{
	fos_status status = FOS_OK;
	for (unsigned i = 0; i < c->depth && status == FOS_OK; i++) {
		fos_args args;
		fos_args_init(&args);
		if (!anew) {
			status = hop(c, &args, c->star[i], i, c->size > 0);
		} else if (c->size > 0) {
			fos_cap bound = bind(c, &args, i, c->rpc.reply, c->to);
			status = hop(c, &args, bound, i, true);
		} else {
			fos_args_cap(&args, FOS_CALL, FOS_NEXT, c->rpc.reply);
			status = hop(c, &args, c->work[i], i, false);
		}
	}
	return status;
}

/* Only the first stage gets bytes from the app; from then on it just says when. */
static fos_status run_fast_star(struct compose *c)
{
	fos_status status = FOS_OK;
	for (unsigned i = 0; i < c->depth && status == FOS_OK; i++) {
		fos_args args;
		fos_args_init(&args);
		status = hop(c, &args, c->fast[i], i, i == 0);
	}
	return status;
}

static uint64_t run_way(void *arg, unsigned count)
{
	const struct run *run = arg;
	uint64_t begin = bench_now();
	for (unsigned i = 0; i < count; i++) {
		fos_status status = run->way == STAR    ? run_star(run->compose, run->anew)
							: run->way == CHAIN ? run_chain(run->compose, run->anew)
												: run_fast_star(run->compose);
		if (!bench_ok(status, way_names[run->way]))
			return 0;
	}
	return bench_now() - begin;
}

uint64_t compose_run_chain(void *compose, unsigned count)
{
	struct run run = {compose, CHAIN, false};
	return run_way(&run, count);
}

/* ------------------------------------------------------------------ putting it together */

static bool refine(const struct compose *c, unsigned i, fos_cap next, fos_cap to, fos_cap *out)
{
	fos_args args;
	fos_args_init(&args);
	fos_args_cap(&args, FOS_CALL, FOS_NEXT, next);
	if (c->size > 0)
		fos_args_cap(&args, FOS_CALL, TO, to);
	return bench_ok(fos_request_refine(c->context->channel, c->work[i], &args, out), "refine");
}

static bool close_cap(const struct compose *c, fos_cap *cap)
{
	bool ok = *cap == FOS_CAP_NONE || bench_ok(fos_cap_close(c->context->channel, *cap), "close");
	*cap = FOS_CAP_NONE;
	return ok;
}

bool compose_build(struct compose *c, unsigned depth)
{
	bool ok = true;
	fos_cap next = c->rpc.reply;
	c->depth = depth;
	for (unsigned i = depth; i-- > 0 && ok;) {
		fos_cap link;
		ok = refine(c, i, next, onward(c, i), &link);
		if (i + 1 < c->depth)
			ok = close_cap(c, &next) && ok; /* the link holds it */
		next = link;
		ok = ok && refine(c, i, c->rpc.reply, c->to, &c->star[i]) &&
			 refine(c, i, c->rpc.reply, onward(c, i), &c->fast[i]);
	}
	c->chain = next;
	return ok;
}

bool compose_unbuild(struct compose *c)
{
	bool ok = close_cap(c, &c->chain);
	for (unsigned i = 0; i < c->depth; i++)
		ok = close_cap(c, &c->star[i]) && close_cap(c, &c->fast[i]) && ok;
	return ok;
}

/* ------------------------------------------------------------------ rows */

enum { SIDES = 5 };

/* A hop takes as many messages as its bytes have slices, and a chain N+1 hops against 2N: exactly,
 * or something else is sent that nobody asked for. */
static bool check_messages(const struct compose *c, double star, double chain)
{
	const double hop = floor(star / (2 * c->depth));
	bool exact = hop >= 1 && star == hop * 2 * c->depth && chain == hop * (c->depth + 1);
	return exact || bench_fails("compose: %g messages in a star, %g in a chain over %u stages",
								star, chain, c->depth);
}

static bool report_messages(struct compose *c, const struct run *runs, const char *size)
{
	struct fos_message_counters before, after;
	double counted[SIDES] = {0};
	char text[BENCH_TEXT], name[2 * BENCH_TEXT];

	if (!bench_messages(c->context, &before))
		return false;
	for (unsigned i = 0; i < WAYS; i++) {
		if (runs[i].way == FAST_STAR && c->size == 0)
			continue;
		if (run_way((void *)(uintptr_t)&runs[i], COUNTED) == 0 ||
			!bench_messages(c->context, &after))
			return false;
		counted[i] = bench_messages_each(&before, &after, COUNTED, text, sizeof text);
		before = after;
		snprintf(name, sizeof name, "%s, %s, depth %u: %s", way_names[runs[i].way], size, c->depth,
				 text);

		bench_number(c->context,
					 &(struct bench_row){.bench = "compose",
										 .name = name,
										 .metric = "messages",
										 .unit = "a call",
										 .panel = size,
										 .series = way_names[runs[i].way],
										 .x = c->depth,
										 .x_name = "stages"},
					 counted[i], i == STAR ? NULL : "star", counted[STAR]);
	}
	return check_messages(c, counted[STAR], counted[CHAIN]);
}

/* How much of 2N/(N+1), what fewer hops can gain, a chain gains. */
static void report_bound(const struct compose *c, const struct bench_samples *star,
						 const struct bench_samples *chain, const char *what, const char *size)
{
	const double bound = 2.0 * c->depth / (c->depth + 1.0);
	struct bench_samples gain = {.rounds = star->rounds}, limit = {.rounds = star->rounds};
	char name[BENCH_TEXT], series[BENCH_TEXT];

	for (unsigned i = 0; i < gain.rounds; i++) {
		gain.ns[i] = star->ns[i] / chain->ns[i];
		limit.ns[i] = bound;
	}
	snprintf(name, sizeof name, "%s, %s, depth %u", what, size, c->depth);
	snprintf(series, sizeof series, "%s, %s", what, size);
	bench_report(c->context,
				 &(struct bench_row){.bench = "compose",
									 .name = name,
									 .metric = "star/chain",
									 .unit = "times",
									 .more_is_better = true,
									 .series = series,
									 .x = c->depth,
									 .x_name = "stages"},
				 BENCH_PLAIN, 0, &gain, "2N/(N+1)", &limit);
}

static void report(const struct compose *c, const struct bench_side *sides,
				   const struct bench_samples *samples, unsigned count, const char *size)
{
	char name[BENCH_TEXT];

	for (unsigned i = 0; i < count; i++) {
		const struct run *run = sides[i].arg;
		unsigned base = run->anew ? 3 : 0; /* the stars */
		if (i == FAST_STAR && c->size == 0)
			continue; /* is a star */
		snprintf(name, sizeof name, "%s, %s, depth %u", sides[i].name, size, c->depth);

		bench_report(c->context,
					 &(struct bench_row){.bench = "compose",
										 .name = name,
										 .metric = "time",
										 .unit = "us",
										 .panel = size,
										 .series = sides[i].name,
										 .x = c->depth,
										 .x_name = "stages"},
					 BENCH_US, 0, &samples[i], run->way == STAR ? NULL : sides[base].name,
					 &samples[base]);
	}
}

static bool run_depth(struct compose *c, unsigned depth, const char *size)
{
	struct run runs[SIDES] = {{c, STAR, false},
							  {c, FAST_STAR, false},
							  {c, CHAIN, false},
							  {c, STAR, true},
							  {c, CHAIN, true}};
	static const char *const names[SIDES] = {"star", "fast-star", "chain", "star anew",
											 "chain anew"};
	struct bench_side sides[SIDES];
	struct bench_samples samples[SIDES];

	if (!compose_build(c, depth) || !report_messages(c, runs, size))
		return false;
	for (unsigned i = 0; i < SIDES; i++)
		sides[i] = (struct bench_side){.name = names[i], .run = run_way, .arg = &runs[i]};
	/* Without bytes a fast-star is a star. */
	if (c->size == 0)
		runs[1].way = STAR;
	if (!bench_measure(c->context, sides, SIDES, samples))
		return false;
	report(c, sides, samples, SIDES, size);
	report_bound(c, &samples[0], &samples[2], "warm", size);
	report_bound(c, &samples[3], &samples[4], "anew", size);
	return compose_unbuild(c);
}

/* ------------------------------------------------------------------ all */

static bool ask_stage(struct compose *c, unsigned i, uint32_t which)
{
	fos_channel *channel = c->context->channel;
	fos_args args;
	fos_reply reply;

	if (!close_cap(c, &c->work[i]) || !close_cap(c, &c->memory[i]))
		return false;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &which, sizeof which);
	fos_status status = fos_call(channel, c->asks[i], &args, 0, &reply);
	if (status == FOS_OK) {
		c->work[i] = fos_delivery_cap(&reply.delivery, WORK);
		c->memory[i] = fos_delivery_cap(&reply.delivery, MEMORY);
		status = fos_cap_keep(channel, c->work[i]);
		if (status == FOS_OK)
			status = fos_cap_keep(channel, c->memory[i]);
	}
	fos_reply_release(channel, &reply);
	return bench_ok(status, "stage");
}

bool compose_resize(struct compose *c, unsigned which)
{
	const uint32_t size = compose_sizes[which] ? compose_sizes[which] : 1;
	fos_channel *channel = c->context->channel;

	c->size = compose_sizes[which];
	bool ok = close_cap(c, &c->from) && close_cap(c, &c->to) &&
			  bench_ok(fos_memory_create(channel, c->bytes, size, FOS_READ, &c->from), "Memory") &&
			  bench_ok(fos_memory_create(channel, c->bytes + STAGE_BYTES, size, FOS_WRITE, &c->to),
					   "Memory");
	for (unsigned i = 0; i < c->stages && ok; i++)
		ok = ask_stage(c, i, which);
	return ok;
}

bool compose_open(const struct bench_context *context, unsigned stages, struct compose *out)
{
	void *bytes = NULL;

	*out = (struct compose){.context = context, .stages = stages};
	bool ok = rpc_open(context->channel, FOS_CAP_NONE, &out->rpc) &&
			  bench_ok(fos_alloc(fos_channel_process(context->channel), (size_t)2 * STAGE_BYTES,
								 4096, &bytes),
					   "arena");
	out->bytes = bytes;
	for (unsigned i = 0; i < stages && ok; i++) {
		char name[32];
		snprintf(name, sizeof name, "stage%u", i + 1);
		ok = party_start(context, context->nodes[i + 1].name, "stage", name, &out->parties[i]) &&
			 party_request(context, name, &out->asks[i]);
	}
	return ok;
}

void compose_close(struct compose *c)
{
	for (unsigned i = 0; i < c->stages; i++)
		party_stop(&c->parties[i]);
}

static bool run(struct bench_context *context)
{
	static struct compose c;
	bool ok = compose_open(context, STAGES_MAX, &c);

	for (unsigned s = 0; s < COMPOSE_SIZES && ok; s++) {
		ok = compose_resize(&c, s);
		for (unsigned depth = STAGES_MIN; depth <= STAGES_MAX && ok; depth++)
			ok = run_depth(&c, depth, compose_size_texts[s]);
	}
	compose_close(&c);
	return ok;
}

const struct bench bench_compose = {"compose", "star, fast-star and chain over 2 to 10 nodes",
									STAGES_MAX + 1, run};
