/* fractosd: the Controller of one node. Reads the cluster file, serves until SIGTERM, SIGINT or
 * SIGHUP, leaves nothing behind. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "controller/controller.h"

static const char HELP[] =
	"usage: fractosd --cluster FILE --node NAME [--verbose]\n"
	"The Controller of one node of a FractOS cluster.\n"
	"\n"
	"  --cluster FILE  the cluster file, the same for all nodes: fractos-cluster(5)\n"
	"  --node NAME     which of its nodes this is\n"
	"  --foreground    stay in the foreground (it always does)\n"
	"  --verbose       log more\n"
	"  --help, --version\n"
	"\n"
	"Prints \"ready\" when Processes can attach; logs to stderr; stops at SIGTERM.\n";

struct options {
	const char *cluster, *node;
	bool verbose;
};

/* Returns the exit status where there is nothing to do, else -1. */
static int parse(int argc, char **argv, struct options *out)
{
	static const struct option known[] = {
		{"cluster", required_argument, NULL, 'c'},
		{"node", required_argument, NULL, 'n'},
		{"foreground", no_argument, NULL, 'f'},
		{"verbose", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		switch (option) {
		case 'c':
			out->cluster = optarg;
			break;
		case 'n':
			out->node = optarg;
			break;
		case 'f':
			break;
		case 'v':
			out->verbose = true;
			break;
		case 'h':
			fputs(HELP, stdout);
			return EXIT_SUCCESS;
		case 'V':
			puts("fractosd " FRACTOS_VERSION);
			return EXIT_SUCCESS;
		default:
			return 2;
		}
	}
	if (out->cluster != NULL && out->node != NULL && optind == argc)
		return -1;
	fputs("fractosd: --cluster FILE and --node NAME are needed, and nothing else; see --help\n",
		  stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct options options = {0};
	char error[CONFIG_ERROR_MAX];
	struct controller *controller;
	int result = parse(argc, argv, &options);
	if (result >= 0)
		return result;
	struct config *config = malloc(sizeof *config);
	if (config == NULL) {
		fputs("fractosd: no memory\n", stderr);
		return EXIT_FAILURE;
	}
	if (!config_load(options.cluster, options.node, config, error) ||
		!controller_open(config, options.verbose, &controller, error)) {
		fprintf(stderr, "fractosd: %s\n", error);
		free(config);
		return EXIT_FAILURE;
	}
	puts("ready");
	fflush(stdout);
	loop_run(controller);
	controller_close(controller);
	free(config);
	return EXIT_SUCCESS;
}
