/* fractos-gpu: the Process that offers a GPU, or what OpenCL makes of this machine's processor, to
 * the cluster. See docs/services/gpu.md. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fractos/registry.h>

#include "service.h"

enum { EXIT_STOPPED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_CONTROLLER_LOST = 3 };
enum { MEMORY_DEFAULT = 256, MEMORY_MAX = 1 << 20 }; /* MiB */

static fos_channel *channel; /* for the signal handler alone */

static void on_signal(int number)
{
	fos_stop(channel);
}

static void usage(FILE *out)
{
	fputs("usage: fractos-gpu [--name NAME] [--device DEVICE] [--memory MIB] [--cache DIR]\n"
		  "                   [--socket PATH]\n"
		  "\n"
		  "Contexts, device memory, kernels and launches for Processes of the cluster.\n"
		  "\n"
		  "  --name NAME      what to publish it as; default: gpu\n"
		  "  --device DEVICE  a part of the OpenCL device's name; default: PoCL's \"basic\", or\n"
		  "                   the first that $POCL_DEVICES and the installed drivers offer\n"
		  "  --memory MIB     device memory for all contexts; default: 256, taken as needed\n"
		  "  --cache DIR      where PoCL keeps compiled kernels; default: $POCL_CACHE_DIR, else\n"
		  "                   pocl in $XDG_CACHE_HOME or ~/.cache\n"
		  "  --socket PATH    the Controller's socket; default: $FRACTOS_SOCKET\n"
		  "  --help           this text\n"
		  "\n"
		  "Prints \"ready\" when it is published. Ends with 0 on SIGTERM, 1 when it cannot start,\n"
		  "2 for wrong options, 3 when its Controller is lost.\n",
		  out);
}

struct settings {
	fos_attach_options attach;
	struct service_options service;
	const char *name;
};

/* Serves until the end; the exit status. */
static int serve(fos_process *process, const struct settings *settings)
{
	struct service *service;
	struct gpu_why why;
	int code = EXIT_FAILED;
	fos_status status = service_open(process, &settings->service, &service, &why);
	if (status != FOS_OK) {
		fprintf(stderr, "fractos-gpu: %s\n", why.text);
		return code;
	}
	channel = service->control_channel;
	const struct sigaction stop = {.sa_handler = on_signal};
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	status = fos_registry_publish(channel, settings->name, service->root);
	if (status == FOS_OK) {
		puts("ready");
		fflush(stdout);
		code = fos_serve(channel) == FOS_OK ? EXIT_STOPPED : EXIT_CONTROLLER_LOST;
	} else {
		fprintf(stderr, "fractos-gpu: cannot publish %s: %s\n", settings->name,
				fos_status_text(status));
	}
	if (fos_lost(channel)) {
		fputs("fractos-gpu: the Controller is lost\n", stderr);
		code = EXIT_CONTROLLER_LOST;
	}
	const struct sigaction ignored = {.sa_handler = SIG_IGN};
	sigaction(SIGTERM, &ignored, NULL);
	sigaction(SIGINT, &ignored, NULL);
	if (!service_close(service)) {
		fputs("fractos-gpu: a kernel or a compilation does not end: leaving it\n", stderr);
		_exit(code);
	}
	return code;
}

static bool parse_memory(const char *text, uint64_t *out)
{
	char *end;
	errno = 0;
	unsigned long long mib = strtoull(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || mib == 0 || mib > MEMORY_MAX)
		return false;
	*out = (uint64_t)mib << 20;
	return true;
}

/* EXIT_STOPPED with *go set: go on. */
static int parse(int argc, char **argv, struct settings *settings, bool *go)
{
	const struct option options[] = {{"name", required_argument, NULL, 'n'},
									 {"device", required_argument, NULL, 'd'},
									 {"memory", required_argument, NULL, 'm'},
									 {"cache", required_argument, NULL, 'c'},
									 {"socket", required_argument, NULL, 's'},
									 {"help", no_argument, NULL, 'h'},
									 {0}};
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (option) {
		case 'n':
			settings->name = optarg;
			break;
		case 'd':
			settings->service.device = optarg;
			break;
		case 'm':
			if (parse_memory(optarg, &settings->service.memory))
				break;
			fprintf(stderr, "fractos-gpu: --memory takes 1 to %d MiB\n", MEMORY_MAX);
			return EXIT_USAGE;
		case 'c':
			setenv("POCL_CACHE_DIR", optarg, 1);
			break;
		case 's':
			settings->attach.socket = optarg;
			break;
		case 'h':
			usage(stdout);
			return EXIT_STOPPED;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	*go = optind == argc;
	if (!*go)
		usage(stderr);
	return *go ? EXIT_STOPPED : EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct settings settings = {.attach = {.label = "gpu"},
								.service = {.memory = (uint64_t)MEMORY_DEFAULT << 20},
								.name = "gpu"};
	bool go = false;
	int code = parse(argc, argv, &settings, &go);
	if (!go)
		return code;
	settings.service.backend = &gpu_opencl;
	settings.service.compiler = compiler_start(settings.service.backend, settings.service.device);
	fos_process *process;
	if (fos_attach(&settings.attach, &process) != FOS_OK) {
		fprintf(stderr, "fractos-gpu: %s\n", fos_attach_error());
		compiler_stop(settings.service.compiler);
		return EXIT_FAILED;
	}
	code = serve(process, &settings);
	fos_detach(process);
	compiler_stop(settings.service.compiler);
	return code;
}
