/* fractos-blk: the block service's Process. See docs/services/blk.md. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fractos/registry.h>

#include "engine.h"
#include "front.h"

enum {
	EXIT_STOPPED = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_CONTROLLER_LOST = 3,
	DEVICES_MAX = 64,
	BUFFERS_DEFAULT = 32, /* MiB */
	BUFFERS_MAX = 256     /* each MiB may be one of the Process's copies under way */
};

struct options {
	const char *dir, *name;
	const char *devices[DEVICES_MAX];
	unsigned device_count;
	size_t buffers; /* bytes */
	bool buffered;
	fos_attach_options attach;
};

static fos_channel *channel; /* for the signal handler alone */

static void on_signal(int number)
{
	fos_stop(channel);
}

static void usage(FILE *out)
{
	fputs(
		"usage: fractos-blk [--dir DIR] [--device [NAME=]PATH]... [options]\n"
		"\n"
		"Volumes on files or block devices, read and written by Requests.\n"
		"\n"
		"  --dir DIR              volumes that are files here are served, new ones made here\n"
		"  --device [NAME=]PATH   serves a block device or file as volume NAME; default: the\n"
		"                         last part of PATH. May be given several times\n"
		"  --name NAME            publishes itself under this name; default: blk\n"
		"  --buffers MIB          staging memory, 1 to 256; default: 32\n"
		"  --buffered             goes through the page cache, for file systems without O_DIRECT\n"
		"  --socket PATH          the Controller's socket; default: $FRACTOS_SOCKET\n"
		"  --help                 this text\n"
		"\n"
		"Prints \"ready\" when it is published. Ends with 0 on SIGTERM, 1 when it cannot start,\n"
		"2 for wrong options, 3 when its Controller is lost.\n",
		out);
}

static bool parse_buffers(const char *text, size_t *out)
{
	char *end;
	unsigned long mib = strtoul(text, &end, 10);
	*out = (size_t)mib << 20;
	return *text >= '0' && *text <= '9' && *end == 0 && mib >= 1 && mib <= BUFFERS_MAX;
}

/* -1: go on; else exit with it. */
static int parse(int argc, char **argv, struct options *o)
{
	enum { DIR = 1, DEVICE, NAME, BUFFERS, BUFFERED, SOCKET, HELP };
	const struct option known[] = {
		{"dir", required_argument, NULL, DIR},     {"device", required_argument, NULL, DEVICE},
		{"name", required_argument, NULL, NAME},   {"buffers", required_argument, NULL, BUFFERS},
		{"buffered", no_argument, NULL, BUFFERED}, {"socket", required_argument, NULL, SOCKET},
		{"help", no_argument, NULL, HELP},         {0}};
	for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		bool good = true;
		if (option == DIR)
			o->dir = optarg;
		else if (option == DEVICE && o->device_count < DEVICES_MAX)
			o->devices[o->device_count++] = optarg;
		else if (option == NAME)
			o->name = optarg;
		else if (option == BUFFERS)
			good = parse_buffers(optarg, &o->buffers);
		else if (option == BUFFERED)
			o->buffered = true;
		else if (option == SOCKET)
			o->attach.socket = optarg;
		else if (option == HELP)
			return usage(stdout), EXIT_STOPPED;
		else
			good = false;
		if (!good)
			return usage(stderr), EXIT_USAGE;
	}
	if (optind < argc || (!o->dir && o->device_count == 0))
		return usage(stderr), EXIT_USAGE;
	return -1;
}

static int complain(int code, const char *what, const char *why)
{
	fprintf(stderr, "fractos-blk: %s%s%s\n", what, *why ? ": " : "", why);
	return code;
}

/* Serves until it is stopped; returns the exit code. */
static int serve(const struct options *o, struct volumes *volumes, struct front **front)
{
	char error[FRONT_ERROR_MAX] = "";
	const struct sigaction stop = {.sa_handler = on_signal};
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	fos_status status = front_open(channel, volumes, o->buffers, front, error);
	if (status != FOS_OK)
		return complain(EXIT_FAILED, error, "");
	if (!front_registered(*front))
		complain(0, "the buffers exceed what may be locked in memory (ulimit -l)",
				 "I/O goes on without registered buffers, a little slower");
	status = fos_registry_publish(channel, o->name, front_root(*front));
	if (status != FOS_OK)
		return complain(EXIT_FAILED, "cannot be published", fos_status_text(status));
	puts("ready");
	fflush(stdout);
	if (fos_serve(channel) != FOS_OK)
		return complain(EXIT_CONTROLLER_LOST, "the Controller is lost", "");
	return EXIT_STOPPED;
}

int main(int argc, char **argv)
{
	struct options o = {
		.name = "blk", .buffers = (size_t)BUFFERS_DEFAULT << 20, .attach = {.label = "blk"}};
	int code = parse(argc, argv, &o);
	if (code >= 0)
		return code;
	static struct volumes volumes;
	char error[VOLUMES_ERROR_MAX] = "";
	fos_status status = volumes_open(&volumes, o.dir, o.buffered, error);
	for (unsigned i = 0; status == FOS_OK && i < o.device_count; i++)
		status = volumes_add_device(&volumes, o.devices[i], error);
	if (status != FOS_OK) {
		volumes_close(&volumes);
		return complain(EXIT_FAILED, error, "");
	}
	fos_process *process = NULL;
	struct front *front = NULL;
	if (fos_attach(&o.attach, &process) != FOS_OK)
		code = complain(EXIT_FAILED, fos_attach_error(), "");
	else if (fos_channel_open(process, &channel) != FOS_OK)
		code = complain(EXIT_FAILED, "cannot open a channel", "");
	else
		code = serve(&o, &volumes, &front);
	/* In this order: no call uses the engine any more, then no device the arena. */
	fos_channel_close(channel);
	front_close(front);
	fos_detach(process);
	volumes_close(&volumes);
	return code;
}
