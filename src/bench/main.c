/* fractos-bench: the benchmarks' client and, as `serve`, their other end on another node. Started
 * by
 * ./bench; see there for how the parts are placed. */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <fractos/registry.h>

#include "bench.h"

static const struct {
	const char *name;
	bool (*run)(const struct bench_context *);
	const char *text;
} benches[] = {
	{"null", bench_null, "null call to the own Controller against a bare ring ping-pong"},
	{"rpc", bench_rpc,
	 "empty handler and reply, same node and across nodes, against raw libfabric"},
};

static int usage(FILE *out)
{
	fputs(
		"usage: fractos-bench [--rounds N] [--json FILE] [--raw ADDRESS:PORT] [--spin] [NAME...]\n"
		"       fractos-bench serve NAME [--raw ADDRESS:PORT] [--spin]\n"
		"       fractos-bench --list\n",
		out);
	return out == stdout ? 0 : 2;
}

/* ------------------------------------------------------------------ serve */

static fos_channel *serving;

static void on_signal(int signal)
{
	(void)signal;
	fos_stop(serving);
}

static fos_handled on_echo(fos_channel *channel, const fos_delivery *delivery, void *arg)
{
	(void)arg;
	fos_status status =
		fos_continue(channel, delivery->id, fos_delivery_cap(delivery, FOS_NEXT), NULL, NULL, NULL);
	return status == FOS_OK ? FOS_FINISH_LATER : FOS_FINISH;
}

struct responder {
	const char *address;
	bool spin;
	int stop;
};

static void *respond(void *arg)
{
	struct responder *r = arg;
	if (raw_fabric_serve(r->address, r->spin, r->stop) != 0)
		fprintf(stderr, "fractos-bench: cannot serve the raw fabric at %s\n", r->address);
	return NULL;
}

static int serve(fos_channel *channel, const char *name, const char *raw, bool spin)
{
	struct responder responder = {.address = raw, .spin = spin, .stop = eventfd(0, EFD_CLOEXEC)};
	pthread_t thread;
	fos_cap echo;

	serving = channel;
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	bool threaded = raw && pthread_create(&thread, NULL, respond, &responder) == 0;
	fos_status status = fos_request_create(channel, on_echo, NULL, NULL, &echo);
	if (status == FOS_OK)
		status = fos_registry_publish(channel, name, echo);
	if (status == FOS_OK) {
		puts("ready");
		fflush(stdout);
		status = fos_serve(channel);
	}
	if (status != FOS_OK)
		fprintf(stderr, "fractos-bench: %s: %s\n", name, fos_status_name(status));
	if (threaded) {
		uint64_t one = 1;
		(void)!write(responder.stop, &one, sizeof one);
		pthread_join(thread, NULL);
	}
	close(responder.stop);
	return status == FOS_OK ? 0 : 1;
}

/* ------------------------------------------------------------------ main */

static bool run_all(const struct bench_context *context, char **names, int count)
{
	bool ok = true;
	for (size_t i = 0; i < sizeof benches / sizeof benches[0]; i++) {
		bool wanted = count == 0;
		for (int n = 0; n < count; n++)
			wanted |= !strcmp(names[n], benches[i].name);
		if (wanted)
			ok &= benches[i].run(context);
	}
	return ok;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"rounds", required_argument, NULL, 'r'},
											{"json", required_argument, NULL, 'j'},
											{"raw", required_argument, NULL, 'w'},
											{"spin", no_argument, NULL, 's'},
											{"list", no_argument, NULL, 'l'},
											{"help", no_argument, NULL, 'h'},
											{NULL, 0, NULL, 0}};
	struct bench_context context = {.rounds = 21};
	fos_process *process;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'h')
			return usage(stdout);
		if (c == 'l') {
			for (size_t i = 0; i < sizeof benches / sizeof benches[0]; i++)
				printf("%-8s %s\n", benches[i].name, benches[i].text);
			return 0;
		}
		if (c == 'r')
			context.rounds = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'j')
			context.json = optarg;
		else if (c == 'w')
			context.raw = optarg;
		else if (c == 's')
			context.spin = true;
		else
			return usage(stderr);
	}
	if (context.rounds < 1 || context.rounds > BENCH_ROUNDS_MAX)
		return usage(stderr);
	fos_attach_options attach = {.label = "bench"};
	if (fos_attach(&attach, &process) != FOS_OK) {
		fprintf(stderr, "fractos-bench: %s\n", fos_attach_error());
		return 1;
	}
	int status = 1;
	if (fos_channel_open(process, &context.channel) == FOS_OK) {
		if (optind + 1 < argc && !strcmp(argv[optind], "serve"))
			status = serve(context.channel, argv[optind + 1], context.raw, context.spin);
		else
			status = run_all(&context, argv + optind, argc - optind) ? 0 : 1;
	}
	fos_detach(process);
	return status;
}
