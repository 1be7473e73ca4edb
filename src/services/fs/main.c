/* fractos-fs: the file system service. Options, start, the serving loop, and `--check`.
 *
 * The start: metadata opened, block service found, volume opened and compared with the metadata,
 * label and zeros written the first time, then published. See service.h for what happens next.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <fractos/registry.h>

#include "service.h"

enum exit_code { EXIT_STOPPED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_LOST = 3 };
enum { TICK_NS = 50000000 };
static const uint64_t START_TIME = 10 * FS_SECOND; /* for the block service to be there */

struct settings {
	const char *socket, *name, *blk, *volume, *meta;
	uint64_t size; /* bytes, for a volume that does not exist yet */
	bool check;
};

static fos_channel *stop_channel;

static void on_signal(int number)
{
	fos_stop(stop_channel);
}

static void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void complain(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("fractos-fs: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

/* ------------------------------------------------------------------ what the loop waits for */

uint64_t service_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * FS_SECOND + (uint64_t)t.tv_nsec;
}

void service_need_tick(struct service *s)
{
	const struct itimerspec once = {.it_value.tv_nsec = TICK_NS};
	if (!s->timer_set)
		s->timer_set = timerfd_settime(s->timer, 0, &once, NULL) == 0;
}

static void tick(fos_channel *ch, int fd, void *arg)
{
	struct service *s = arg;
	uint64_t count;
	(void)!read(fd, &count, sizeof count);
	s->timer_set = false;
	ops_tick(s);
}

static void direct_late(fos_channel *ch, int fd, void *arg)
{
	uint64_t count;
	(void)!read(fd, &count, sizeof count);
	direct_tick(arg);
	ops_settle(arg);
}

static void volume_readable(fos_channel *ch, int fd, void *arg)
{
	struct service *s = arg;
	volume_look(s->volume);
}

static void volume_changed(void *arg)
{
	ops_volume_changed(arg);
}

static void sync_readable(fos_channel *ch, int fd, void *arg)
{
	uint64_t count;
	(void)!read(fd, &count, sizeof count);
	ops_synced(arg);
}

/* The second channel is looked at in each turn of the first, and rings its bell while it sleeps. */
static int poll_back(fos_channel *ch, void *arg)
{
	const struct service *s = arg;
	int handled = fos_poll(s->back);
	if (handled == 0 && !fos_arm(s->back))
		handled = fos_poll(s->back);
	return handled;
}

static void back_readable(fos_channel *ch, int fd, void *arg)
{
	(void)poll_back(ch, arg);
}

static fos_status watch_all(struct service *s)
{
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	s->directs.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->timer < 0 || s->directs.timer < 0)
		return FOS_QUOTA;
	volume_on_change(s->volume, volume_changed, s);
	fos_status status = fos_set_poller(s->front, poll_back, s);
	if (status == FOS_OK)
		status = fos_watch(s->front, s->timer, tick, s);
	if (status == FOS_OK)
		status = fos_watch(s->front, s->directs.timer, direct_late, s);
	if (status == FOS_OK)
		status = fos_watch(s->front, s->sync_fd, sync_readable, s);
	if (status == FOS_OK)
		status = fos_watch(s->front, volume_fd(s->volume), volume_readable, s);
	if (status == FOS_OK)
		status = fos_watch(s->front, fos_channel_fd(s->back), back_readable, s);
	return status;
}

/* ------------------------------------------------------------------ start and end */

static fos_status failed(const char *what, fos_status status)
{
	if (status != FOS_OK)
		complain("%s: %s", what, fos_status_text(status));
	return status;
}

static fos_status open_metadata(struct service *s, const struct settings *settings)
{
	char error[256];
	const struct meta_options options = {.dir = settings->meta, .freed = ops_freed, .arg = s};
	fos_status status = meta_open(&options, &s->meta, error, sizeof error);
	if (status != FOS_OK)
		complain("%s", error);
	return status;
}

static fos_status open_volume(struct service *s, const struct settings *settings)
{
	char text[VOLUME_TEXT_MAX] = "";
	struct meta_volume known;
	bool first = !meta_volume(s->meta, &known) || !known.ready;
	const struct volume_options options = {.service = settings->blk,
										   .name = settings->volume,
										   .size = settings->size,
										   .create = first};
	fos_status status = volume_start(s->process, s->back, &options, START_TIME, &s->volume, text);
	if (status == FOS_OK) {
		status = meta_use_volume(s->meta, settings->volume, volume_size(s->volume));
		if (status != FOS_OK)
			snprintf(text, sizeof text, "%s", meta_error(s->meta));
	}
	if (status == FOS_OK)
		status = volume_format(s->volume, s->meta, text);
	if (status != FOS_OK)
		complain("%s", text);
	return status;
}

static fos_status start(struct service *s, const struct settings *settings)
{
	fos_status status = open_metadata(s, settings);
	if (status != FOS_OK)
		return status;
	status = fos_channel_open(s->process, &s->front);
	if (status == FOS_OK)
		status = fos_channel_open(s->process, &s->back);
	if (failed("cannot open a channel", status) != FOS_OK)
		return status;
	stop_channel = s->front;
	const struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	status = open_volume(s, settings);
	if (status != FOS_OK)
		return status;
	s->sync_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->sync = s->sync_fd >= 0 ? sync_start(settings->meta, s->sync_fd) : NULL;
	if (!s->sync) {
		complain("cannot sync the metadata: %s", strerror(errno));
		return FOS_DEVICE;
	}
	status = watch_all(s);
	if (status == FOS_OK)
		status = io_open(s);
	if (status == FOS_OK)
		status = fos_request_create(s->back, io_answered, s, NULL, &s->answer);
	if (status == FOS_OK)
		status = fos_request_create(s->front, direct_closed, s, NULL, &s->direct_close);
	if (status == FOS_OK)
		status = fos_request_create(s->front, ops_request, s, NULL, &s->root);
	if (failed("cannot prepare to serve", status) != FOS_OK)
		return status;
	ops_volume_changed(s); /* it is open */
	return failed("cannot publish", fos_registry_publish(s->front, settings->name, s->root));
}

/* The Process ends here: what is under way fails through the Controller, and the next start finds
 * what was committed. */
static void stop(struct service *s)
{
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	volume_stop(s->volume);
	/* What is under way is told of its end while there is still somebody to be told. */
	fos_channel_close(s->back);
	fos_channel_close(s->front);
	sync_stop(s->sync);
	meta_close(s->meta);
	limbo_clear(&s->limbo);
	gate_clear(s);
	direct_clear(s);
	volume_free(s->volume);
	ops_drop_all(s);
	fos_detach(s->process);
}

static int serve(const struct settings *settings)
{
	struct service *s = calloc(1, sizeof *s);
	if (!s) {
		complain("no memory");
		return EXIT_FAILED;
	}
	s->sync_fd = s->timer = s->directs.timer = -1;
	struct op_list *const lists[] = {&s->ops,        &s->volume_queue, &s->space_queue,
									 &s->sync_queue, &s->buffer_queue, &s->direct_queue,
									 &s->ready};
	for (unsigned i = 0; i < sizeof lists / sizeof lists[0]; i++)
		TAILQ_INIT(lists[i]);
	const fos_attach_options attach = {.socket = settings->socket, .label = settings->name};
	if (fos_attach(&attach, &s->process) != FOS_OK) {
		complain("%s", fos_attach_error());
		free(s);
		return EXIT_FAILED;
	}
	int code = EXIT_FAILED;
	if (start(s, settings) == FOS_OK) {
		puts("ready");
		fflush(stdout);
		code = fos_serve(s->front) == FOS_OK ? EXIT_STOPPED : EXIT_LOST;
	} else if (s->front && fos_lost(s->front)) {
		code = EXIT_LOST;
	}
	if (code == EXIT_LOST)
		complain("the Controller is lost");
	stop(s);
	free(s);
	return code;
}

/* ------------------------------------------------------------------ --check, options */

static void print_fault(const char *line, void *arg)
{
	printf("%s\n", line);
}

static int check(const char *dir)
{
	char error[256];
	struct meta *meta;
	const struct meta_options options = {.dir = dir, .must_exist = true};
	if (meta_open(&options, &meta, error, sizeof error) != FOS_OK) {
		complain("%s", error);
		return EXIT_FAILED;
	}
	uint64_t files = 0, faults = meta_check(meta, print_fault, NULL, &files);
	struct meta_volume volume;
	printf("%llu files and directories on volume %s, %llu faults\n", (unsigned long long)files,
		   meta_volume(meta, &volume) ? volume.name : "(none yet)", (unsigned long long)faults);
	meta_close(meta);
	return faults ? EXIT_FAILED : EXIT_STOPPED;
}

static void usage(FILE *out)
{
	fputs(
		"usage: fractos-fs --meta DIR [--volume NAME] [--size BYTES[K|M|G]] [--name NAME]\n"
		"                  [--blk NAME] [--socket PATH]\n"
		"       fractos-fs --check --meta DIR\n"
		"\n"
		"Directories and files on a volume of the block service.\n"
		"\n"
		"  --meta DIR      where names and extents are kept; made if it is not there\n"
		"  --volume NAME   the volume; default: fs\n"
		"  --size BYTES    its size if it has to be made; default: 1G\n"
		"  --name NAME     published under this name; default: fs\n"
		"  --blk NAME      the block service's name; default: blk\n"
		"  --socket PATH   the Controller's socket; default: $FRACTOS_SOCKET\n"
		"  --check         look at every invariant of the metadata, while no service uses it\n"
		"  --help          this text\n"
		"\n"
		"Prints \"ready\" when files can be used. Ends with 0 on SIGTERM, 1 when it cannot start\n"
		"or the check found faults, 2 for wrong options, 3 when its Controller is lost.\n",
		out);
}

static bool parse_size(const char *text, uint64_t *out)
{
	char *end;
	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
	if (shift)
		end++;
	if (errno || end == text || *end || text[0] == '-' || number > UINT64_MAX >> shift >> 1)
		return false;
	*out = (uint64_t)number << shift;
	return true;
}

int main(int argc, char **argv)
{
	const struct option options[] = {{"meta", required_argument, NULL, 'm'},
									 {"volume", required_argument, NULL, 'v'},
									 {"size", required_argument, NULL, 'z'},
									 {"name", required_argument, NULL, 'n'},
									 {"blk", required_argument, NULL, 'b'},
									 {"socket", required_argument, NULL, 's'},
									 {"check", no_argument, NULL, 'c'},
									 {"help", no_argument, NULL, 'h'},
									 {0}};
	struct settings settings = {
		.name = "fs", .blk = "blk", .volume = "fs", .size = UINT64_C(1) << 30};
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		const char **const texts[] = {
			['m'] = &settings.meta, ['v'] = &settings.volume, ['n'] = &settings.name,
			['b'] = &settings.blk,  ['s'] = &settings.socket, ['z'] = NULL};
		if (option == 'h') {
			usage(stdout);
			return EXIT_STOPPED;
		} else if (option == 'c') {
			settings.check = true;
		} else if (option == 'z' && parse_size(optarg, &settings.size)) {
			continue;
		} else if (option == 'z') {
			complain("--size %s: not a number of bytes", optarg);
			return EXIT_USAGE;
		} else if (option == '?') {
			usage(stderr);
			return EXIT_USAGE;
		} else {
			*texts[option] = optarg;
		}
	}
	if (optind < argc || !settings.meta || strlen(settings.volume) >= FOS_BLK_NAME_MAX) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return settings.check ? check(settings.meta) : serve(&settings);
}
