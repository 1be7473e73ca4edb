/* fractos-scale: the benchmark `scale`, whose rows are those of fractos-bench. It has the core
 * itself inside, and needs no cluster. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "scale.h"

enum { FACES_REQUESTS = 20000, DATA_BYTES = 64 << 10, TEXT = 96 };

static void rows_of_bytes(const struct bench_context *context)
{
	for (enum scale_bytes i = 0; i < SCALE_BYTES_COUNT; i++) {
		struct bench_row row = {
			.bench = "scale", .name = scale_bytes_name(i), .metric = "one more takes", .unit = "B"};
		bench_number(context, &row, scale_bytes(i), NULL, 0);
	}
}

static void row_of_nodes(const struct bench_context *context, const char *name, const char *metric,
						 const char *unit, uint32_t nodes, double value)
{
	char text[TEXT];
	snprintf(text, sizeof text, "%s, %u nodes", name, nodes);
	struct bench_row row = {.bench = "scale",
							.name = text,
							.metric = metric,
							.unit = unit,
							.series = name,
							.x = nodes,
							.x_name = "nodes"};
	bench_number(context, &row, value, NULL, 0);
}

static void rows_of_messages(const struct bench_context *context, uint32_t most)
{
	for (uint32_t nodes = 10; nodes <= most; nodes *= 10) {
		struct scale_messages found;
		scale_messages(nodes, &found);
		for (enum scale_operation i = 0; i < SCALE_OPERATION_COUNT; i++)
			row_of_nodes(context, scale_operation_name(i), "messages", "", nodes,
						 found.messages[i]);
		const struct {
			const char *name, *metric, *unit;
			double value;
		} rest[] = {
			{"another registry", "to all", "", found.registry_set},
			{"heartbeats of one, each 200 ms", "to all", "", found.heartbeats},
			{"sessions", "table", "", found.sessions},
			{"objects", "table", "", found.objects},
			{"slots", "table", "", found.slots},
			{"bytes in use", "memory", "B", found.bytes},
		};
		for (unsigned i = 0; i < sizeof rest / sizeof rest[0]; i++)
			row_of_nodes(context, rest[i].name, rest[i].metric, rest[i].unit, nodes, rest[i].value);
	}
}

static void rows_of_faces(const struct bench_context *context)
{
	static const char *const modes[] = {"star3", "star2", "chain"};
	for (unsigned i = 0; i < 6; i++) {
		const struct scale_faces_load load = {.services = i % 3 != 0,
											  .bytes = i / 3 > 0 ? DATA_BYTES : 0,
											  .depth = i % 3 == 2 ? 8 : 1,
											  .requests = FACES_REQUESTS};
		struct scale_faces found[SCALE_MODES];
		for (enum scale_mode mode = 0; mode < SCALE_MODES; mode++)
			scale_faces(mode, &load, &found[mode]);
		if (i == 0) {
			struct bench_row row = {.bench = "scale", .metric = "one way", .unit = "us"};
			row.name = "delays drawn: mean";
			bench_number(context, &row, found[SCALE_CHAIN].mean_us, "wanted", 24);
			row.name = "delays drawn: P99";
			bench_number(context, &row, found[SCALE_CHAIN].tail_us, "wanted", 40);
		}
		/* Without data the stars are one. */
		for (enum scale_mode mode = SCALE_CHAIN; mode > (load.bytes ? 0 : SCALE_STAR2); mode--) {
			char name[TEXT];
			snprintf(name, sizeof name, "%s, %s, %s%s", modes[mode], load.bytes ? "64 KiB" : "0 B",
					 load.services ? "services" : "network alone",
					 load.depth > 1 ? ", 8 deep" : "");
			const struct scale_faces *star = &found[SCALE_STAR3];
			struct bench_row row = {
				.bench = "scale", .name = name, .metric = "face p50", .unit = "us"};
			bench_number(context, &row, found[mode].p50_us, "star3", star->p50_us);
			row.metric = "face p99";
			bench_number(context, &row, found[mode].p99_us, "star3", star->p99_us);
			row.metric = "face messages";
			row.unit = "";
			bench_number(context, &row, found[mode].messages, "star3", star->messages);
		}
	}
}

static int usage(FILE *out)
{
	fputs("usage: fractos-scale [OPTION...]\n\n"
		  "  --json FILE      append rows to it\n"
		  "  --rounds N       (21) of what is timed, 1 to 101\n"
		  "  --nodes N        (1000) of the largest cluster: 10, 100 or 1000\n"
		  "  --exact          only what is the same in every run\n",
		  out);
	return out == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", required_argument, NULL, 'j'},  {"rounds", required_argument, NULL, 'r'},
		{"nodes", required_argument, NULL, 'n'}, {"exact", no_argument, NULL, 'e'},
		{"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0}};
	struct bench_context context = {.rounds = 21};
	unsigned long nodes = 1000;
	bool exact = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'h')
			return usage(stdout);
		if (c == 'j')
			context.json = optarg;
		else if (c == 'r')
			context.rounds = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'n')
			nodes = strtoul(optarg, NULL, 10);
		else if (c == 'e')
			exact = true;
		else
			return usage(stderr);
	}
	if (context.rounds < 1 || context.rounds > BENCH_ROUNDS_MAX || optind < argc ||
		(nodes != 10 && nodes != 100 && nodes != 1000))
		return usage(stderr);
	rows_of_bytes(&context);
	rows_of_messages(&context, (uint32_t)nodes);
	rows_of_faces(&context);
	return exact || scale_million(&context) ? 0 : 1;
}
