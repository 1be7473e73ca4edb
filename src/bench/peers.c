/* `peers`: the same things done by gRPC, Cap'n Proto and UCX, from Debian's packages at their best
 * settings (peers/ has their programs and says which).
 *
 *   call        empty, and its answer: on one node (theirs over a Unix socket) and across nodes
 *   transfer    1 MiB to another node, acknowledged
 *   pipeline    through three stages on three nodes and back: our chain; theirs driven by the
 *               client or relayed from stage to stage, whichever is faster
 *
 * A peer's client is a process beside ours on the node app, which is told to do a number of calls
 * and says how long they took. UCX is measured by its own ucx_perftest, started anew for each turn.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compose.h"
#include "copy.h"
#include "rpc.h"

enum {
	STAGES = 3,
	ORDER_MS = 60000,
	UCX_START_MS = 5000,
	TRANSFER = 1 << 20,
	KINDS = 2,
	WORDS = 200
};
static const char *const kinds[KINDS] = {"grpc", "capnp"};
static const char *const kind_names[KINDS] = {"gRPC", "Cap'n Proto"};

struct peer { /* of one kind: three stages that know each other, and clients */
	struct party stages[STAGES], local; /* on fs, storage, gpu; on app, at a Unix socket */
	struct party far, near;             /* clients of the three, and of the local one */
	char program[512];
};

/* ------------------------------------------------------------------ orders */

struct order { /* a side of a comparison */
	struct party *client;
	const char *operation;
	uint32_t size, answer;
};

static uint64_t run_order(void *arg, unsigned count)
{
	const struct order *order = arg;
	char line[64];
	int length = snprintf(line, sizeof line, "%s %u %u %u\n", order->operation, order->size,
						  order->answer, count);
	uint64_t ns = 0;

	if (write(order->client->in, line, (size_t)length) != length ||
		!party_line(order->client, ORDER_MS, line, sizeof line) ||
		(ns = strtoull(line, NULL, 10)) == 0)
		bench_complain("peers: \"%s\" of %u bytes failed", order->operation, order->size);
	return ns;
}

/* ------------------------------------------------------------------ parties */

static bool start_stage(const struct bench_context *context, const struct peer *peer,
						const char *node, const char *address, const char *next, struct party *out)
{
	const char *const argv[] = {peer->program, "serve", address, next, NULL};
	return party_start_program(context, node, argv, out);
}

/* The last stage first: each is told where the next one is. */
static bool start_peer(const struct bench_context *context, unsigned kind, struct peer *peer)
{
	char at[STAGES][WORDS], local[WORDS];
	const char *next = NULL;

	*peer = (struct peer){0};
	snprintf(peer->program, sizeof peer->program, "%.*speers/bench-%s",
			 (int)(strrchr(context->self, '/') + 1 - context->self), context->self, kinds[kind]);
	if (access(peer->program, X_OK) != 0)
		return bench_fails("peers: %s is not built; `./bench peers` does that", peer->program);
	for (unsigned i = STAGES; i-- > 0;) {
		const struct bench_node *node = &context->nodes[i + 1];
		if (!start_stage(context, peer, node->name, node->address, next, &peer->stages[i]))
			return false;
		snprintf(at[i], sizeof at[i], "%s:%s", node->address, peer->stages[i].said);
		next = at[i];
	}
	/* In the abstract space of the node: nothing is left of it in a file system. */
	snprintf(local, sizeof local, "unix-abstract:fractos-bench-%d-%s", (int)getpid(), kinds[kind]);
	const char *const far[] = {peer->program, "client", at[0], at[1], at[2], NULL};
	const char *const near[] = {peer->program, "client", local, NULL};
	return start_stage(context, peer, "app", local, NULL, &peer->local) &&
		   party_start_program(context, "app", far, &peer->far) &&
		   party_start_program(context, "app", near, &peer->near);
}

static void stop_peer(struct peer *peer)
{
	party_stop(&peer->far);
	party_stop(&peer->near);
	party_stop(&peer->local);
	for (unsigned i = 0; i < STAGES; i++)
		party_stop(&peer->stages[i]);
}

/* ------------------------------------------------------------------ UCX */

struct ucx { /* a side of a comparison */
	const struct bench_context *context;
	const char *test;
	uint32_t size;
	double ways; /* of what it reports in one operation */
};

/* The fourth of the comma-separated numbers is us an operation, over all. */
static double read_ucx(struct party *client)
{
	char line[256];
	for (unsigned lines = 0; lines < 8 && party_line(client, ORDER_MS, line, sizeof line);
		 lines++) {
		unsigned long n;
		double p50, average, overall;
		if (sscanf(line, "%lu,%lf,%lf,%lf", &n, &p50, &average, &overall) == 4)
			return overall;
	}
	return 0;
}

/* A server of its own, at a port that nobody else has. It says on its standard output when it
 * listens; line by line, or we would hear of it at its end. */
static bool serve_ucx(const struct bench_context *context, const char *node, const char *device,
					  char number[16], struct party *out)
{
	static unsigned port = 20000;
	const char *const argv[] = {"stdbuf",       "-oL", "env",  "UCX_TLS=tcp", device,
								"ucx_perftest", "-p",  number, NULL};
	char line[256];

	for (unsigned tries = 0; tries < 8; tries++) {
		port = port < 29999 ? port + 1 : 20000;
		snprintf(number, 16, "%u", port);
		if (!party_spawn(context, node, argv, out))
			return false;
		if (party_line(out, UCX_START_MS, line, sizeof line) && !strncmp(line, "Waiting", 7))
			return true;
		party_stop(out);
	}
	return false;
}

static uint64_t run_ucx(void *arg, unsigned count)
{
	const struct ucx *ucx = arg;
	const struct bench_node *there = &ucx->context->nodes[1];
	char number[16], size[16], turns[16], device[32];
	struct party server, client;
	double us = 0;

	snprintf(size, sizeof size, "%u", ucx->size);
	/* The first messages set its connection up: fewer would tell of that. */
	const unsigned least = ucx->size < 4096 ? 2000 : 50;
	snprintf(turns, sizeof turns, "%u", count < least ? least : count);
	snprintf(device, sizeof device, "UCX_NET_DEVICES=%s",
			 strncmp(there->address, "127.", 4) ? "eth0" : "lo");
	if (!serve_ucx(ucx->context, there->name, device, number, &server)) {
		bench_complain("peers: no server of ucx_perftest listens on node %s", there->name);
		return 0;
	}
	const char *const call[] = {"env", "UCX_TLS=tcp", device, "ucx_perftest", there->address,
								"-p",  number,        "-t",   ucx->test,      "-s",
								size,  "-n",          turns,  "-w",           "50",
								"-O",  "1",           "-f",   "-v",           NULL};
	if (party_spawn(ucx->context, "app", call, &client)) {
		us = read_ucx(&client);
		party_stop(&client);
	}
	party_stop(&server);
	if (us <= 0)
		bench_complain("peers: ucx_perftest -t %s told no figures", ucx->test);
	return (uint64_t)(us * ucx->ways * 1000 * count);
}

static bool have_ucx(void)
{
	return access("/usr/bin/ucx_perftest", X_OK) == 0 ||
		   bench_fails("peers: no ucx_perftest (package ucx-utils): nothing is said of UCX");
}

/* ------------------------------------------------------------------ comparing */

enum { THEIRS_MAX = 8 };

struct theirs { /* ways of one peer to do the same: the best counts */
	const char *name;
	unsigned count;
	struct bench_side sides[3];
};

static bool compare(const struct bench_context *context, const char *what, struct bench_side ours,
					const struct theirs *theirs, unsigned count)
{
	struct bench_side sides[1 + THEIRS_MAX] = {ours};
	struct bench_samples samples[1 + THEIRS_MAX];
	char name[2 * BENCH_TEXT], by[2 * BENCH_TEXT];
	unsigned all = 1;

	for (unsigned i = 0; i < count; i++)
		for (unsigned k = 0; k < theirs[i].count; k++)
			sides[all++] = theirs[i].sides[k];
	if (!bench_measure(context, sides, all, samples))
		return false;
	for (unsigned i = 0, first = 1; i < count; first += theirs[i++].count) {
		unsigned best = first + bench_best(&samples[first], theirs[i].count);
		snprintf(name, sizeof name, "%s, against %s", what, theirs[i].name);
		snprintf(by, sizeof by, "%s%s%s", theirs[i].name, sides[best].name[0] ? ", " : "",
				 sides[best].name);
		bench_report(
			context,
			&(struct bench_row){.bench = "peers", .name = name, .metric = "time", .unit = "us"},
			BENCH_US, 0, &samples[0], by, &samples[best]);
	}
	return true;
}

static struct theirs one_way(unsigned kind, const char *name, struct order *order)
{
	return (struct theirs){.name = kind_names[kind],
						   .count = 1,
						   .sides = {{.name = name, .run = run_order, .arg = order}}};
}

static bool compare_calls(const struct bench_context *context, struct peer *peers)
{
	static const char *const where[] = {"call on one node", "call across nodes"};
	static const char *const nodes[] = {"app", "fs"};

	for (unsigned place = 0; place < 2; place++) {
		struct order calls[KINDS], stream;
		struct theirs theirs[KINDS + 1];
		struct ucx ucx = {.context = context, .test = "tag_lat", .size = 8, .ways = 2};
		struct party echo;
		struct rpc rpc;
		fos_cap request;
		char name[32];
		unsigned count = KINDS;

		for (unsigned k = 0; k < KINDS; k++) {
			calls[k] = (struct order){place == 0 ? &peers[k].near : &peers[k].far, "call", 0, 0};
			theirs[k] = one_way(k, "", &calls[k]);
		}
		stream = calls[0];
		stream.operation = "stream";
		theirs[0].sides[0].name = "unary";
		theirs[0].sides[theirs[0].count++] =
			(struct bench_side){.name = "stream", .run = run_order, .arg = &stream};
		if (place == 1 && have_ucx())
			theirs[count++] = (struct theirs){
				.name = "UCX", .count = 1, .sides = {{.name = "tag", .run = run_ucx, .arg = &ucx}}};
		snprintf(name, sizeof name, "peer-%s", nodes[place]);
		if (!party_start(context, nodes[place], "echo", name, &echo))
			return false;
		bool ok = party_request(context, name, &request) &&
				  rpc_open(context->channel, request, &rpc) &&
				  compare(context, where[place],
						  (struct bench_side){.name = "FractOS", .run = rpc_run, .arg = &rpc},
						  theirs, count);
		party_stop(&echo);
		if (!ok)
			return false;
	}
	return true;
}

static bool compare_transfer(const struct bench_context *context, struct peer *peers)
{
	struct copying copying = {.channel = context->channel, .depth = 1};
	struct order calls[KINDS], stream;
	struct theirs theirs[KINDS + 1];
	struct ucx ucx = {.context = context, .test = "tag_sync_bw", .size = TRANSFER, .ways = 1};
	struct party store;
	fos_cap request;
	unsigned count = KINDS;
	void *bytes;

	for (unsigned k = 0; k < KINDS; k++) {
		calls[k] = (struct order){&peers[k].far, "call", TRANSFER, 0};
		theirs[k] = one_way(k, "", &calls[k]);
	}
	stream = calls[0];
	stream.operation = "stream";
	theirs[0].sides[0].name = "unary";
	theirs[0].sides[theirs[0].count++] =
		(struct bench_side){.name = "stream", .run = run_order, .arg = &stream};
	if (have_ucx())
		theirs[count++] =
			(struct theirs){.name = "UCX",
							.count = 1,
							.sides = {{.name = "tag, acknowledged", .run = run_ucx, .arg = &ucx}}};
	if (!bench_ok(fos_alloc(fos_channel_process(context->channel), TRANSFER, 4096, &bytes),
				  "arena") ||
		!party_start(context, "fs", "store", "peer-store", &store))
		return false;
	bool ok =
		bench_ok(fos_memory_create(context->channel, bytes, TRANSFER, FOS_READ, &copying.from[0]),
				 "Memory") &&
		party_request(context, "peer-store", &request) &&
		store_give(context->channel, request, TRANSFER, 0, 1, copying.to) &&
		compare(context, "transfer of 1 MiB",
				(struct bench_side){.name = "FractOS", .run = copying_run, .arg = &copying}, theirs,
				count);
	party_stop(&store);
	return ok;
}

static bool compare_pipeline(const struct bench_context *context, struct peer *peers)
{
	static struct compose compose;
	char what[BENCH_TEXT];
	bool ok = compose_open(context, STAGES, &compose);

	for (unsigned s = 0; s < COMPOSE_SIZES && ok; s++) {
		const uint32_t size = compose_sizes[s];
		struct order star[KINDS], relay[KINDS];
		struct theirs theirs[KINDS];
		for (unsigned k = 0; k < KINDS; k++) {
			star[k] = (struct order){&peers[k].far, "star", size, size};
			relay[k] = (struct order){&peers[k].far, "relay", size, size};
			theirs[k] = one_way(k, "client-driven", &star[k]);
			theirs[k].sides[theirs[k].count++] =
				(struct bench_side){.name = "relayed", .run = run_order, .arg = &relay[k]};
		}
		snprintf(what, sizeof what, "three stages, %s", compose_size_texts[s]);
		ok = compose_resize(&compose, s) && compose_build(&compose, STAGES) &&
			 compare(
				 context, what,
				 (struct bench_side){.name = "FractOS", .run = compose_run_chain, .arg = &compose},
				 theirs, KINDS) &&
			 compose_unbuild(&compose);
	}
	compose_close(&compose);
	return ok;
}

static bool run(struct bench_context *context)
{
	struct peer peers[KINDS] = {0};
	bool ok = true;

	for (unsigned k = 0; k < KINDS && ok; k++)
		ok = start_peer(context, k, &peers[k]);
	ok = ok && compare_calls(context, peers) && compare_transfer(context, peers) &&
		 compare_pipeline(context, peers);
	for (unsigned k = 0; k < KINDS; k++)
		stop_peer(&peers[k]);
	return ok;
}

const struct bench bench_peers = {
	"peers", "calls, a transfer and a pipeline by gRPC, Cap'n Proto and UCX", 4, run};
