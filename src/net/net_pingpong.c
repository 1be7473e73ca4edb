/* Measures net between two processes over loopback: round trips of 64 B on the control lane, slices
 * of 256 KiB on the bulk lane, round trips beside slices, and the idle cost. Both sides wait as the
 * daemon does by default: some yields of the core, then armed sleep. For the figures in docs.
 *
 *     net_pingpong [seconds for each measurement]
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "net/net.h"

enum { YIELDS = 50, SLICE = 262144, SLICES_OUT = 16, SAMPLES_MAX = 1 << 20 };

struct message {
	uint32_t size;
	uint32_t kind; /* 0: echo it; 1: a slice; 2: so many slices have come */
	uint64_t number;
	uint8_t rest[48];
};
_Static_assert(sizeof(struct message) == 64, "64 bytes on the wire");

struct side {
	struct net *net;
	uint32_t peer;
	bool up, echoes;
	unsigned yields;
	uint64_t replies, slices_received, slices_sent;
};

static uint64_t clock_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void on_up(void *context, uint32_t node, uint64_t epoch)
{
	(void)node, (void)epoch;
	((struct side *)context)->up = true;
}

static void on_down(void *context, uint32_t node, const char *reason)
{
	fprintf(stderr, "node %u: %s\n", node, reason);
	((struct side *)context)->up = false;
}

static void on_message(void *context, uint32_t node, enum net_lane lane, const uint8_t *bytes,
					   size_t size)
{
	struct side *side = context;
	struct message m;
	memcpy(&m, bytes, sizeof m);
	if (m.kind == 1)
		side->slices_received++;
	else if (side->echoes)
		(void)!net_send(side->net, node, lane, bytes, size);
	else
		side->replies++;
}

static void on_slice_sent(void *context, uint32_t node, uint64_t token)
{
	(void)node, (void)token;
	((struct side *)context)->slices_sent++;
}

static void on_log(void *context, const char *line)
{
	(void)context;
	fprintf(stderr, "%s\n", line);
}

static void turn(struct side *side)
{
	struct pollfd fd = {.fd = net_fd(side->net), .events = POLLIN};
	if (net_poll(side->net, clock_now()) > 0) {
		side->yields = 0;
	} else if (side->yields++ < YIELDS) {
		sched_yield();
	} else if (net_arm(side->net)) {
		poll(&fd, 1, 100);
		side->yields = 0;
	}
}

static bool open_side(struct side *side, uint32_t node, uint16_t port, uint16_t peer_port)
{
	struct net_peer peer = {.node = 3 - node, .address = "127.0.0.1", .port = peer_port};
	struct net_config config = {
		.node = node,
		.cluster = "pingpong",
		.address = "127.0.0.1",
		.port = port,
		.provider = "tcp",
		.epoch = clock_now(),
		.connect_timeout = 2000000000,
		.retry_interval = 10000000,
		.peers = &peer,
		.peer_count = 1,
		.handlers = {on_up, on_down, on_message, on_slice_sent, on_log, side}};
	const char *error = "";
	snprintf(config.name, sizeof config.name, "node%u", node);
	snprintf(peer.name, sizeof peer.name, "node%u", 3 - node);
	side->peer = 3 - node;
	if (net_open(&config, &side->net, &error) == FOS_OK)
		return true;
	fprintf(stderr, "%s\n", error);
	return false;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* Round trips for so many ns, one after the other; with `slices` kept on their way beside them. */
static void measure(struct side *side, uint64_t ns, bool pings, bool slices)
{
	static uint64_t samples[SAMPLES_MAX];
	static uint8_t data[SLICE];
	struct message ping = {.size = sizeof ping}, head = {.size = sizeof head + SLICE, .kind = 1};
	uint64_t begin = clock_now(), sent = side->slices_sent, first = sent, asked = 0;
	size_t count = 0;
	bool open = false;
	uint64_t wanted = side->replies;
	while (clock_now() - begin < ns && side->up && count < SAMPLES_MAX) {
		for (; slices && sent - side->slices_sent < SLICES_OUT; sent++)
			(void)!net_send_slice(side->net, side->peer, (uint8_t *)&head, sizeof head, data, SLICE,
								  sent);
		if (pings && !open) {
			asked = clock_now();
			wanted++;
			open = net_send(side->net, side->peer, NET_CONTROL, (uint8_t *)&ping, sizeof ping) ==
				   FOS_OK;
			net_flush(side->net);
		}
		turn(side);
		if (open && side->replies == wanted) {
			samples[count++] = clock_now() - asked;
			open = false;
		}
	}
	while (side->up && (side->slices_sent < sent || side->replies < wanted))
		turn(side);
	double seconds = (double)(clock_now() - begin) / 1e9;
	qsort(samples, count, sizeof samples[0], compare);
	if (count > 0)
		printf("64 B round trip%s: p50 %.1f us, p99 %.1f us (%zu)\n",
			   slices ? " beside slices" : "", (double)samples[count / 2] / 1e3,
			   (double)samples[count * 99 / 100] / 1e3, count);
	if (slices)
		printf("slices of 256 KiB%s: %.0f MB/s\n", pings ? " beside round trips" : "",
			   (double)(side->slices_sent - first) * SLICE / seconds / 1e6);
}

static void measure_idle(struct side *side)
{
	struct rusage before, after;
	uint64_t end = clock_now() + 1000000000;
	getrusage(RUSAGE_SELF, &before);
	while (clock_now() < end)
		turn(side);
	getrusage(RUSAGE_SELF, &after);
	double ms = (double)(after.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_utime.tv_usec -
						 before.ru_stime.tv_usec) /
					1e3 +
				(double)(after.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_utime.tv_sec -
						 before.ru_stime.tv_sec) *
					1e3;
	printf("idle: %.2f ms of CPU in a second; largest resident set %ld KiB\n", ms, after.ru_maxrss);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 2;
	uint64_t ns = (uint64_t)(BASE_MAX(0.1, BASE_MIN(seconds, 60.0)) * 1e9);
	struct side side = {0};
	uint16_t child_port = 0;
	/* The child's door is found by its knock: it is the higher node and asks to be connected to. */
	if (!open_side(&side, 2, 0, 1))
		return 1;
	child_port = net_port(side.net);
	net_close(side.net);
	side = (struct side){0};
	if (!open_side(&side, 1, 0, child_port))
		return 1;
	uint16_t own_port = net_port(side.net);
	pid_t child = fork();
	if (child == 0) {
		struct side echo = {.echoes = true};
		bool was_up = false;
		if (!open_side(&echo, 2, child_port, own_port))
			_exit(1);
		while (!was_up || echo.up) {
			turn(&echo);
			was_up = was_up || echo.up;
		}
		_exit(0);
	}
	for (uint64_t end = clock_now() + 5000000000; !side.up && clock_now() < end;)
		turn(&side);
	measure(&side, ns / 4, true, false); /* warm */
	printf("--\n");
	measure(&side, ns, true, false);
	measure(&side, ns, false, true);
	measure(&side, ns, true, true);
	measure_idle(&side);
	net_close(side.net);
	kill(child, SIGTERM);
	waitpid(child, NULL, 0);
	return 0;
}
