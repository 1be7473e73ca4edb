/* See harness.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/harness.h"

struct in_addr node_here(void)
{
	const uint32_t first = 64; /* 127.64.0.0; a pid has 22 bits */
	static pid_t pid;          /* forked children are here too */
	if (pid == 0)
		pid = getpid();
	return (struct in_addr){htonl(UINT32_C(127) << 24 | first << 16 | (uint32_t)pid)};
}

uint64_t node_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t node_time(uint64_t most)
{
	static uint64_t told, seen;
	uint64_t now = node_now();
	told = seen == 0 ? now : told + BASE_MIN(now - seen, most);
	seen = now;
	return told;
}

/* ------------------------------------------------------------------ handlers */

uint8_t node_pattern(uint64_t number, size_t i)
{
	return (uint8_t)(number * 31 + i * 7 + (i >> 8));
}

static void on_up(void *context, uint32_t node, uint64_t epoch)
{
	struct node *self = context;
	self->ups++;
	self->epochs[node] = epoch;
	memset(self->next[node], 0, sizeof self->next[node]);
}

static void on_down(void *context, uint32_t node, const char *reason)
{
	struct node *self = context;
	self->downs++;
	snprintf(self->reason, sizeof self->reason, "%s", reason);
}

static void on_message(void *context, uint32_t node, enum net_lane lane, const uint8_t *bytes,
					   size_t size)
{
	struct node *self = context;
	struct head head;
	assert_int_equal((uintptr_t)bytes % 8, 0);
	assert_true(size >= sizeof head);
	memcpy(&head, bytes, sizeof head);
	assert_int_equal(head.size, size);
	assert_int_equal(head.number, self->next[node][lane]);
	self->next[node][lane]++;
	for (size_t i = 0; self->checks_data && i < head.data; i++)
		assert_int_equal(bytes[sizeof head + i], node_pattern(head.number, i));
	for (size_t i = sizeof head + head.data; i < size; i++)
		assert_int_equal(bytes[i], 0);
	self->messages++;
	self->bytes += size;
	if (self->end_after != 0 && self->messages == self->end_after)
		net_end(self->net, node, "ended inside a handler");
	else if (self->echo)
		assert_int_equal(net_send(self->net, node, lane, bytes, size), FOS_OK);
}

static void on_slice_sent(void *context, uint32_t node, uint64_t token)
{
	struct node *self = context;
	(void)node;
	assert_int_equal(token, self->last_token + 1);
	self->last_token = token;
	self->slices_sent++;
}

static void on_log(void *context, const char *line)
{
	struct node *self = context;
	size_t used = strlen(self->log);
	snprintf(self->log + used, sizeof self->log - used, "%s\n", line);
	if (getenv("NET_TEST_LOG") != NULL)
		fprintf(stderr, "[%u %s] %s\n", self->config.node, self->config.name, line);
}

/* ------------------------------------------------------------------ nodes */

static const char *const names[] = {"none", "app", "fs", "storage", "gpu"};

void node_prepare(struct node *self, uint32_t number)
{
	memset(self, 0, sizeof *self);
	self->checks_data = true;
	self->config = (struct net_config){.node = number,
									   .cluster = "test",
									   .provider = "tcp",
									   .connect_timeout = 400u * MS,
									   .retry_interval = 20u * MS,
									   .key = {1, 2, 3},
									   .handlers = {.up = on_up,
													.down = on_down,
													.message = on_message,
													.slice_sent = on_slice_sent,
													.log = on_log,
													.context = self}};
	snprintf(self->config.name, sizeof self->config.name, "%s", names[number]);
	snprintf(self->config.address, sizeof self->config.address, "%s", inet_ntoa(node_here()));
	self->config.epoch = node_now() ^ (uint64_t)(uintptr_t)self ^ ((uint64_t)getpid() << 40);
	self->config.peers = self->peers;
}

void node_add_peer(struct node *self, uint32_t number, uint16_t port)
{
	struct net_peer *peer = &self->peers[self->config.peer_count++];
	*peer = (struct net_peer){.node = number, .port = port};
	snprintf(peer->address, sizeof peer->address, "%s", inet_ntoa(node_here()));
	snprintf(peer->name, sizeof peer->name, "%s", names[number]);
}

/* A port that nobody listens at now. */
static uint16_t free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_addr.s_addr = node_here().s_addr;
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	close(fd);
	return ntohs(address.sin_port);
}

void node_start(struct node *self)
{
	const char *error = "";
	fos_status status = net_open(&self->config, &self->net, &error);
	if (status != FOS_OK)
		print_message("net_open: %s\n", error);
	assert_int_equal(status, FOS_OK);
}

void node_stop(struct node *self)
{
	net_close(self->net);
	self->net = NULL;
}

void nodes_make(struct node *nodes, uint32_t count)
{
	uint16_t ports[NODES + 1];
	for (uint32_t i = 1; i <= count; i++)
		ports[i] = free_port();
	for (uint32_t i = 1; i <= count; i++) {
		node_prepare(&nodes[i - 1], i);
		nodes[i - 1].config.port = ports[i];
		for (uint32_t k = 1; k <= count; k++)
			if (k != i)
				node_add_peer(&nodes[i - 1], k, ports[k]);
	}
}

void nodes_turn(struct node *nodes, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (nodes[i].net != NULL)
			net_poll(nodes[i].net, node_time(MS));
}

void nodes_turn_for(struct node *nodes, uint32_t count, uint64_t ns)
{
	for (uint64_t end = node_now() + ns; node_now() < end;)
		nodes_turn(nodes, count);
}

void nodes_begin(struct node *nodes, uint32_t count)
{
	nodes_make(nodes, count);
	for (uint32_t i = 0; i < count; i++)
		node_start(&nodes[i]);
	for (uint32_t i = 0; i < count; i++)
		NODES_TURN_UNTIL(nodes, count, nodes[i].ups == count - 1);
}

void nodes_end(struct node *nodes, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		node_stop(&nodes[i]);
}

void node_send(struct node *from, uint32_t to, enum net_lane lane, uint64_t number, uint32_t data)
{
	_Alignas(8) static uint8_t bytes[NET_MESSAGE_MAX];
	struct head head = {
		.size = (uint32_t)base_align_up(HEAD + data, 8), .data = data, .number = number};
	memcpy(bytes, &head, sizeof head);
	for (size_t i = 0; i < data; i++)
		bytes[HEAD + i] = node_pattern(number, i);
	memset(bytes + HEAD + data, 0, head.size - HEAD - data);
	assert_int_equal(net_send(from->net, to, lane, bytes, head.size), FOS_OK);
}

unsigned node_descriptors(void)
{
	unsigned count = 0;
	DIR *dir = opendir("/proc/self/fd");
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

unsigned nodes_sleep_until(struct node *nodes, uint32_t count, uint64_t ns, const uint64_t *counter,
						   uint64_t value)
{
	unsigned wakes = 0;
	uint64_t slept = 0; /* meant to */
	for (uint64_t stop_at = node_now() + ns;
		 node_now() < stop_at && (counter == NULL || *counter != value);) {
		struct pollfd fds[NODES];
		const uint64_t longest = slept + MS;
		uint64_t now = node_time(longest), until = now + stop_at - BASE_MIN(node_now(), stop_at);
		bool armed = true;
		for (uint32_t i = 0; i < count; i++) {
			net_poll(nodes[i].net, now);
			until = BASE_MIN(until, net_deadline(nodes[i].net));
			fds[i] = (struct pollfd){.fd = net_fd(nodes[i].net), .events = POLLIN};
		}
		for (uint32_t i = 0; i < count; i++)
			armed = net_arm(nodes[i].net) && armed;
		now = node_time(MS);
		slept = armed && until > now && (counter == NULL || *counter != value) ? until - now : 0;
		if (slept > 0)
			poll(fds, count, (int)((slept + MS - 1) / MS));
		wakes++;
	}
	return wakes;
}

unsigned nodes_sleep(struct node *nodes, uint32_t count, uint64_t ns)
{
	return nodes_sleep_until(nodes, count, ns, NULL, 0);
}

bool node_said(const struct node *node, const char *text)
{
	return strstr(node->log, text) != NULL;
}

/* ------------------------------------------------------------------ strangers */

int node_knock(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_addr.s_addr = node_here().s_addr;
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

bool node_is_closed(int fd)
{
	uint8_t bytes[256];
	ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
	return n == 0 || (n < 0 && errno != EAGAIN);
}
