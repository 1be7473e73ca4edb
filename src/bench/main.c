/* fractos-bench: the benchmarks' client on the node app, and, as `serve`, their other ends. Started
 * by ./bench; see there for how a cluster is made for it. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "nodes.h"
#include "rpc.h"

static const struct bench *const benches[] = {
	&bench_null,   &bench_rpc,     &bench_rate, &bench_copy,  &bench_then,
	&bench_revoke, &bench_compose, &bench_blk,  &bench_peers, &bench_idle};
static const struct role *const roles[] = {&role_echo, &role_store, &role_stage, &role_holder};
enum {
	BENCHES = sizeof benches / sizeof benches[0],
	ROLES = sizeof roles / sizeof roles[0],
	PATH = 512
};

static int usage(FILE *out)
{
	fputs(
		"usage: fractos-bench [OPTION...] [NAME...]\n\n"
		"  --cluster NAME   the cluster that we run in (`fractos exec --cluster NAME app ...`)\n"
		"  --rounds N       (21) of each comparison, 1 to 101\n"
		"  --json FILE      append rows to it\n"
		"  --disk DIR       (/var/tmp) where the files of blk are; they leave with it\n"
		"  --no-pin         leave it to the kernel which core a party runs on\n"
		"  --list           the benchmarks, and how many nodes each needs\n\n"
		"       fractos-bench serve ROLE NAME     a party: echo, store, stage, holder\n"
		"       fractos-bench calls NAME COUNT    as many calls of the echo NAME, to be profiled\n"
		"       fractos-bench blocks FILE         makes a file for blk to serve, and then:\n"
		"       fractos-bench blocks FILE read|write COUNT     of its blocks, to be profiled\n",
		out);
	return out == stdout ? 0 : 2;
}

static int list(void)
{
	for (size_t i = 0; i < BENCHES; i++)
		printf("%-8s %2u  %s\n", benches[i]->name, benches[i]->nodes, benches[i]->text);
	return 0;
}

/* ------------------------------------------------------------------ attached */

static bool attach(struct bench_context *context, fos_process **process)
{
	fos_attach_options options = {.label = "bench"};
	if (fos_attach(&options, process) != FOS_OK)
		return bench_fails("%s", fos_attach_error());
	return bench_ok(fos_channel_open(*process, &context->channel), "channel");
}

static int serve(int argc, char **argv)
{
	fos_process *process = NULL;
	struct bench_context context = {0};
	int status = 2;

	if (argc != 2)
		return usage(stderr);
	if (!strcmp(argv[0], "raw"))
		return raw_fabric_serve(argv[1]);
	for (size_t i = 0; i < ROLES; i++) {
		if (strcmp(roles[i]->name, argv[0]) != 0)
			continue;
		status = 1;
		if (attach(&context, &process))
			status = party_serve(context.channel, roles[i], argv[1]);
		fos_detach(process);
	}
	return status == 2 ? usage(stderr) : status;
}

static int calls(int argc, char **argv)
{
	fos_process *process = NULL;
	struct bench_context context = {0};
	struct rpc rpc;
	fos_cap echo;

	if (argc != 2)
		return usage(stderr);
	bool ok = attach(&context, &process) && party_request(&context, argv[0], &echo) &&
			  rpc_open(context.channel, echo, &rpc) &&
			  rpc_run(&rpc, (unsigned)strtoul(argv[1], NULL, 10)) != 0;
	fos_detach(process);
	return ok ? 0 : 1;
}

static int blocks(int argc, char **argv)
{
	fos_process *process = NULL;
	struct bench_context context = {0};

	if (argc != 1 && (argc != 3 || (strcmp(argv[1], "read") != 0 && strcmp(argv[1], "write") != 0)))
		return usage(stderr);
	bool ok = argc == 1
				  ? blk_blocks(&context, argv[0], false, 0)
				  : attach(&context, &process) && blk_blocks(&context, argv[0], argv[1][0] == 'w',
															 (unsigned)strtoul(argv[2], NULL, 10));
	fos_detach(process);
	return ok ? 0 : 1;
}

static bool run_one(const struct bench *bench, struct bench_context *context)
{
	fos_process *process = NULL;
	struct bench_context own = *context;
	bool ok = true;

	/* A Process for each benchmark: none inherits what another left in its space. */
	if (bench->nodes > 0) {
		if (context->node_count < bench->nodes)
			return bench_fails("%s: needs a cluster of %u nodes (fractos up --nodes)", bench->name,
							   bench->nodes);
		ok = attach(&own, &process);
	}
	ok = ok && bench->run(&own);
	fos_detach(process);
	return ok;
}

static bool wanted(const struct bench *bench, char **names, int count)
{
	bool yes = count == 0;
	for (int i = 0; i < count; i++)
		yes = yes || !strcmp(names[i], bench->name);
	return yes;
}

static int run_all(struct bench_context *context, char **names, int count)
{
	bool ok = true, cluster = false;
	for (int i = 0; i < count; i++) {
		bool known = false;
		for (size_t b = 0; b < BENCHES; b++)
			known = known || !strcmp(names[i], benches[b]->name);
		if (!known) {
			bench_complain("no benchmark \"%s\"; --list shows them", names[i]);
			return 2;
		}
	}
	for (size_t b = 0; b < BENCHES; b++)
		cluster = cluster || (wanted(benches[b], names, count) && benches[b]->nodes > 0);
	if (cluster && !nodes_load(context))
		return 1;
	for (size_t b = 0; b < BENCHES; b++)
		if (wanted(benches[b], names, count))
			ok = run_one(benches[b], context) && ok;
	return ok ? 0 : 1;
}

/* ------------------------------------------------------------------ options */

/* Where the other programs of the build are: beside ours. */
static bool find_programs(struct bench_context *context, char self[PATH], char fractos[PATH],
						  char fractosd[PATH])
{
	ssize_t n = readlink("/proc/self/exe", self, PATH - 1);
	if (n <= 0)
		return bench_fails("/proc is not there");
	self[n] = 0;
	char *slash = strrchr(self, '/');
	const char *installed = "";
	snprintf(fractosd, PATH, "%.*s/../controller/fractosd", (int)(slash - self), self);
	if (access(fractosd, X_OK) == 0)
		installed = "../tools/";
	else
		snprintf(fractosd, PATH, "%.*s/fractosd", (int)(slash - self), self);
	snprintf(fractos, PATH, "%.*s/%sfractos", (int)(slash - self), self, installed);
	context->self = self;
	context->fractos = fractos;
	context->fractosd = fractosd;
	return true;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"cluster", required_argument, NULL, 'c'}, {"rounds", required_argument, NULL, 'r'},
		{"json", required_argument, NULL, 'j'},    {"disk", required_argument, NULL, 'd'},
		{"no-pin", no_argument, NULL, 'p'},        {"list", no_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
	struct bench_context context = {
		.rounds = 21, .pin = true, .cluster = "faces", .disk = "/var/tmp"};
	static char self[PATH], fractos[PATH], fractosd[PATH];
	int c;

	if (argc > 1 && !strcmp(argv[1], "serve"))
		return serve(argc - 2, argv + 2);
	if (argc > 1 && !strcmp(argv[1], "calls"))
		return calls(argc - 2, argv + 2);
	if (argc > 1 && !strcmp(argv[1], "blocks"))
		return blocks(argc - 2, argv + 2);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'h')
			return usage(stdout);
		if (c == 'l')
			return list();
		if (c == 'r')
			context.rounds = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'j')
			context.json = optarg;
		else if (c == 'd')
			context.disk = optarg;
		else if (c == 'c')
			context.cluster = optarg;
		else if (c == 'p')
			context.pin = false;
		else
			return usage(stderr);
	}
	if (context.rounds < 1 || context.rounds > BENCH_ROUNDS_MAX)
		return usage(stderr);
	context.cores = nodes_cores();
	if (!find_programs(&context, self, fractos, fractosd))
		return 1;
	return run_all(&context, argv + optind, argc - optind);
}
