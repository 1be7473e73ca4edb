/* fractos-registry: the Process that gives names to capabilities. One in a cluster, on the node
 * that the cluster file names. See docs/services/registry.md. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "service.h"

enum { EXIT_STOPPED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_CONTROLLER_LOST = 3 };

static fos_channel *channel; /* for the signal handler alone */

static void on_signal(int number)
{
	fos_stop(channel);
}

static void usage(FILE *out)
{
	fputs("usage: fractos-registry [--policy FILE] [--socket PATH]\n"
		  "\n"
		  "Names for capabilities: services publish, everybody else looks up.\n"
		  "\n"
		  "  --policy FILE   who may publish and look up which names; default: root and the\n"
		  "                  registry's own user publish, everybody looks up\n"
		  "  --socket PATH   the Controller's socket; default: $FRACTOS_SOCKET\n"
		  "  --help          this text\n"
		  "\n"
		  "Prints \"ready\" when it can be asked. Ends with 0 on SIGTERM, 1 when it cannot start,\n"
		  "2 for wrong options, 3 when its Controller is lost.\n",
		  out);
}

static int serve(fos_process *process, const struct policy *policy)
{
	struct service *service = NULL;
	const char *what = "cannot open a channel";
	int code = EXIT_FAILED;
	fos_status status = fos_channel_open(process, &channel);
	if (status != FOS_OK)
		goto failed;
	const struct sigaction stop = {.sa_handler = on_signal};
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	status = service_open(channel, policy, &service, &what);
	if (status != FOS_OK)
		goto failed;
	what = "cannot become the cluster's registry (does the cluster file name this node, and is no "
		   "other one alive here?)";
	status = service_announce(service);
	if (status != FOS_OK)
		goto failed;
	puts("ready");
	fflush(stdout);
	what = "the Controller is lost";
	status = fos_serve(channel);
	code = status == FOS_OK ? EXIT_STOPPED : EXIT_CONTROLLER_LOST;
failed:
	if (status != FOS_OK)
		fprintf(stderr, "fractos-registry: %s: %s\n", what, fos_status_text(status));
	service_close(service);
	return code;
}

int main(int argc, char **argv)
{
	const struct option options[] = {{"policy", required_argument, NULL, 'p'},
									 {"socket", required_argument, NULL, 's'},
									 {"help", no_argument, NULL, 'h'},
									 {0}};
	fos_attach_options attach = {.label = "registry"};
	struct policy policy;
	char error[POLICY_ERROR_MAX];
	policy_default(&policy, geteuid());
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (option == 'h') {
			usage(stdout);
			return EXIT_STOPPED;
		} else if (option == 's') {
			attach.socket = optarg;
		} else if (option == 'p') {
			if (!policy_load(&policy, optarg, error)) {
				fprintf(stderr, "fractos-registry: %s: %s\n", optarg, error);
				return EXIT_USAGE;
			}
		} else {
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	fos_process *process;
	if (fos_attach(&attach, &process) != FOS_OK) {
		fprintf(stderr, "fractos-registry: %s\n", fos_attach_error());
		return EXIT_FAILED;
	}
	int code = serve(process, &policy);
	fos_detach(process);
	policy_clear(&policy);
	return code;
}
