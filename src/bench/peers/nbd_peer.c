/* NBD in the comparison: nbdkit's file plugin, read and written by libnbd.
 *
 *   bench-nbd serve ADDRESS ARGUMENT...   becomes nbdkit with these arguments, at a free port
 *   bench-nbd client FILE SIZE ADDRESS:PORT...
 *
 * The client opens connections to each of the servers, which all serve FILE, and obeys orders on
 * its stdin: "SERVER CONNECTIONS WAITING WRITE SEQUENTIAL LENGTH DEPTH COUNT". The answer is the ns
 * that COUNT operations took together, 0 if one failed; the median of one; and the 99th percentile
 * of one, over all since the last order of COUNT 0 for the same. COUNT 0 measures nothing and looks
 * at the whole file; it answers 1, or 0 where that is not as it should be. WAITING: 0 sleeps in
 * poll(), 1 looks and yields the core, 2 spins. The operations and the contents are load.h's.
 *
 * Settings: libnbd's asynchronous interface, no strictness checks, structured replies off (a read
 * is one header and its bytes), TCP_NODELAY, which both ends set by themselves. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <libnbd.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

enum { SERVERS_MAX = 4, CONNECTIONS_MAX = 4 };
enum waiting { SLEEPING, YIELDING, SPINNING };
enum { WAITINGS = 3 };

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "bench-nbd: %s: %s\n", what, why);
	return 1;
}

/* ------------------------------------------------------------------ server */

/* nbdkit takes a listening socket at descriptor 3 (systemd's way): so nobody has to guess when it
 * is ready, or which port is free. */
static int serve(const char *address, char **arguments, int count)
{
	enum { ARGUMENTS_MAX = 24, LISTENING = 3 };
	char *argv[ARGUMENTS_MAX] = {"nbdkit", "--foreground"};
	struct sockaddr_in name = {.sin_family = AF_INET};
	socklen_t length = sizeof name;
	char number[16];
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (count + 3 > ARGUMENTS_MAX || inet_pton(AF_INET, address, &name.sin_addr) != 1)
		return complain("serve", "too many arguments, or no address");
	if (fd < 0 || bind(fd, (struct sockaddr *)&name, length) != 0 || listen(fd, 16) != 0 ||
		getsockname(fd, (struct sockaddr *)&name, &length) != 0)
		return complain(address, strerror(errno));
	if (fd != LISTENING) {
		if (dup2(fd, LISTENING) < 0)
			return complain("descriptor", strerror(errno));
		close(fd);
	}
	memcpy(argv + 2, arguments, (size_t)count * sizeof *argv);
	snprintf(number, sizeof number, "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	setenv("LISTEN_FDS", "1", 1);
	printf("ready %u\n", ntohs(name.sin_port));
	fflush(stdout);
	execvp(argv[0], argv);
	return complain("nbdkit", strerror(errno));
}

/* ------------------------------------------------------------------ a load's way */

struct way { /* to reach the file */
	struct nbd_handle **connections;
	unsigned count;
	enum waiting waiting;
	struct load load;
	struct operation {
		struct way *way;
		unsigned slot;
	} operations[LOAD_DEPTH_MAX];
};

static int on_completed(void *user_data, int *error)
{
	struct operation *operation = user_data;
	if (*error)
		complain("operation", strerror(*error));
	load_ended(&operation->way->load, operation->slot, *error == 0);
	return 1;
}

static bool start(void *arg, const struct load_io *io)
{
	struct way *way = arg;
	struct nbd_handle *nbd = way->connections[io->slot % way->count];
	nbd_completion_callback done = {.callback = on_completed,
									.user_data = &way->operations[io->slot]};
	int64_t cookie;

	way->operations[io->slot] = (struct operation){way, io->slot};
	if (io->write)
		cookie = nbd_aio_pwrite(nbd, io->bytes, io->length, io->offset, done, 0);
	else
		cookie = nbd_aio_pread(nbd, io->bytes, io->length, io->offset, done, 0);
	return cookie >= 0 || complain("start", nbd_get_error()) == 0;
}

/* A connection is told to read only where something is there: told so for nothing, it would wait
 * for that before it sends what is started meanwhile. False: it failed. */
static bool look(struct way *way, int timeout)
{
	struct pollfd fds[CONNECTIONS_MAX];

	for (unsigned i = 0; i < way->count; i++) {
		const unsigned direction = nbd_aio_get_direction(way->connections[i]);
		fds[i] = (struct pollfd){
			.fd = nbd_aio_get_fd(way->connections[i]),
			.events = (short)((direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
							  (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0))};
	}
	if (poll(fds, way->count, timeout) < 0 && errno != EINTR)
		return complain("poll", strerror(errno)) == 0;
	for (unsigned i = 0; i < way->count; i++) {
		struct nbd_handle *nbd = way->connections[i];
		int error = 0;
		if (fds[i].revents & (POLLIN | POLLHUP | POLLERR))
			error = nbd_aio_notify_read(nbd);
		else if (fds[i].revents & POLLOUT)
			error = nbd_aio_notify_write(nbd);
		if (error != 0)
			return complain("connection", nbd_get_error()) == 0;
	}
	return true;
}

static bool wait(void *arg)
{
	struct way *way = arg;
	const unsigned before = way->load.ended;

	while (way->load.ended == before) {
		if (!look(way, way->waiting == SLEEPING ? -1 : 0))
			return false;
		if (way->waiting == YIELDING && way->load.ended == before)
			sched_yield();
	}
	return true;
}

/* ------------------------------------------------------------------ client */

struct client {
	struct nbd_handle *connections[SERVERS_MAX][CONNECTIONS_MAX];
	unsigned servers;
	struct load_file file;
	uint8_t *buffers;
	struct load_kind kind; /* of all ways */
	struct way ways[SERVERS_MAX][CONNECTIONS_MAX][WAITINGS];
};

struct order {
	unsigned server, connections, waiting, write, sequential, length, depth, count;
};

static bool read_order(const struct client *client, const char *line, struct order *o)
{
	return sscanf(line, "%u %u %u %u %u %u %u %u", &o->server, &o->connections, &o->waiting,
				  &o->write, &o->sequential, &o->length, &o->depth, &o->count) == 8 &&
		   o->server < client->servers && o->connections >= 1 &&
		   o->connections <= CONNECTIONS_MAX && o->waiting < WAITINGS && o->length > 0 &&
		   o->length % LOAD_BLOCK == 0 && o->length <= LOAD_LENGTH_MAX && o->depth >= 1 &&
		   o->depth <= LOAD_DEPTH_MAX;
}

static void close_loads(struct client *client)
{
	for (unsigned s = 0; s < SERVERS_MAX; s++)
		for (unsigned c = 0; c < CONNECTIONS_MAX; c++)
			for (unsigned w = 0; w < WAITINGS; w++)
				load_close(&client->ways[s][c][w].load);
}

/* A way begins with operations that are all looked at. */
static bool have_load(struct client *client, const struct order *o, struct way *way)
{
	const struct load_kind kind = {o->write, o->sequential, o->length, o->depth};
	const struct load_way how = {start, wait, way};

	if (kind.write != client->kind.write || kind.sequential != client->kind.sequential ||
		kind.length != client->kind.length || kind.depth != client->kind.depth)
		close_loads(client);
	client->kind = kind;
	if (way->load.all)
		return true;
	way->connections = client->connections[o->server];
	way->count = o->connections < o->depth ? o->connections : o->depth;
	way->waiting = (enum waiting)o->waiting;
	return load_open(&client->file, &kind, &how, client->buffers, &way->load) &&
		   load_prove(&way->load, 8 * kind.depth);
}

static bool obey(struct client *client)
{
	char line[128];
	struct order o;

	while (fgets(line, sizeof line, stdin)) {
		uint64_t ns = 0;
		if (!read_order(client, line, &o))
			return complain("order", line) == 0;
		struct way *way = &client->ways[o.server][o.connections - 1][o.waiting];
		struct load *load = &way->load;
		if (have_load(client, &o, way))
			ns = o.count > 0 ? load_run(load, o.count) : load_file_check(&client->file);
		printf("%" PRIu64 " %.0f %" PRIu64 "\n", ns,
			   load->turns > 0 ? load->medians[load->turns - 1] : 0,
			   load->all ? histogram_quantile(load->all, 0.99) : 0);
		fflush(stdout);
		if (load->all && (o.count == 0 || load->turns == LOAD_TURNS_MAX))
			load_forget(load);
	}
	return true;
}

static struct nbd_handle *connect_to(const char *at)
{
	char host[64];
	struct nbd_handle *nbd = nbd_create();
	const char *colon = strrchr(at, ':');

	if (!nbd || !colon || (size_t)(colon - at) >= sizeof host)
		return NULL;
	snprintf(host, sizeof host, "%.*s", (int)(colon - at), at);
	if (nbd_set_request_structured_replies(nbd, false) == 0 && nbd_set_strict_mode(nbd, 0) == 0 &&
		nbd_set_pread_initialize(nbd, false) == 0 && nbd_connect_tcp(nbd, host, colon + 1) == 0)
		return nbd;
	complain(at, nbd_get_error());
	nbd_close(nbd);
	return NULL;
}

static int run_client(const char *path, const char *size, char **servers, int count)
{
	static struct client client = {.file = {.fd = -1}};
	const size_t bytes = (size_t)LOAD_LENGTH_MAX * LOAD_DEPTH_MAX;
	void *buffers = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool ok = count <= SERVERS_MAX && buffers != MAP_FAILED &&
			  load_file_open(path, strtoull(size, NULL, 10), false, &client.file);

	client.buffers = buffers;
	for (int i = 0; i < count && ok; i++)
		for (unsigned k = 0; k < CONNECTIONS_MAX && ok; k++)
			ok = (client.connections[i][k] = connect_to(servers[i])) != NULL;
	client.servers = ok ? (unsigned)count : 0;
	if (ok) {
		puts("ready");
		fflush(stdout);
		ok = obey(&client);
	}
	for (unsigned i = 0; i < SERVERS_MAX; i++)
		for (unsigned k = 0; k < CONNECTIONS_MAX; k++)
			nbd_close(client.connections[i][k]);
	close_loads(&client);
	load_file_close(&client.file);
	return ok ? 0 : complain(path, "the client ends");
}

int main(int argc, char **argv)
{
	if (argc >= 4 && !strcmp(argv[1], "serve"))
		return serve(argv[2], argv + 3, argc - 3);
	if (argc >= 5 && !strcmp(argv[1], "client"))
		return run_client(argv[2], argv[3], argv + 4, argc - 4);
	fputs("usage: bench-nbd serve ADDRESS ARGUMENT...\n"
		  "       bench-nbd client FILE SIZE ADDRESS:PORT...\n",
		  stderr);
	return 2;
}
