/* Sessions between nodes of one process over loopback with ephemeral ports, driven turn by turn;
 * a forked node where a death must be a real one; strangers of every sort at the door. */
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
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <rdma/fi_errno.h>

#include "base/base.h"
#include "net/dialogue.h"
#include "net/net.h"
#include "net/net_internal.h"

enum { NODES = 4, MS = 1000000, HEAD = 32 };
#define PATIENCE (60000ull * MS) /* longer than any machine is busy */

struct node {
	struct net *net;
	struct net_config config;
	struct net_peer peers[NODES];
	char log[8192];
	char reason[256]; /* of the last down */
	uint64_t ups, downs;
	unsigned slices_sent;
	uint64_t epochs[NODES + 1];  /* of the last up, by node */
	uint64_t next[NODES + 1][2]; /* counter expected from a node, by lane */
	uint64_t messages, bytes;
	uint64_t last_token;
	uint32_t end_after; /* end the session inside the handler of this message; 0: never */
	bool echo, checks_data;
};

/* An address of this program's own, whose ports nobody else takes. */
static struct in_addr here(void)
{
	const uint32_t first = 64; /* 127.64.0.0; a pid has 22 bits */
	static pid_t pid;          /* forked children are here too */
	if (pid == 0)
		pid = getpid();
	return (struct in_addr){htonl(UINT32_C(127) << 24 | first << 16 | (uint32_t)pid)};
}

static uint64_t clock_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The time that nets are told: at most `most` behind the last one, so that their times do not run
 * out while this process does not get a core. */
static uint64_t net_time(uint64_t most)
{
	static uint64_t told, seen;
	uint64_t now = clock_now();
	told = seen == 0 ? now : told + BASE_MIN(now - seen, most);
	seen = now;
	return told;
}

/* ------------------------------------------------------------------ handlers */

struct head { /* of the messages of these tests */
	uint32_t size;
	uint32_t data; /* bytes behind the head that have a pattern */
	uint64_t number;
	uint64_t zero[2];
};
_Static_assert(sizeof(struct head) == HEAD, "padding");

static uint8_t pattern(uint64_t number, size_t i)
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
		assert_int_equal(bytes[sizeof head + i], pattern(head.number, i));
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

/* A node with its number from 1; its peers' ports are filled in by start(). */
static void prepare(struct node *self, uint32_t number)
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
	snprintf(self->config.address, sizeof self->config.address, "%s", inet_ntoa(here()));
	self->config.epoch = clock_now() ^ (uint64_t)(uintptr_t)self ^ ((uint64_t)getpid() << 40);
	self->config.peers = self->peers;
}

static void add_peer(struct node *self, uint32_t number, uint16_t port)
{
	struct net_peer *peer = &self->peers[self->config.peer_count++];
	*peer = (struct net_peer){.node = number, .port = port};
	snprintf(peer->address, sizeof peer->address, "%s", inet_ntoa(here()));
	snprintf(peer->name, sizeof peer->name, "%s", names[number]);
}

/* A port that nobody listens at now. */
static uint16_t free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_addr.s_addr = here().s_addr;
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static void start(struct node *self)
{
	const char *error = "";
	fos_status status = net_open(&self->config, &self->net, &error);
	if (status != FOS_OK)
		print_message("net_open: %s\n", error);
	assert_int_equal(status, FOS_OK);
}

static void stop(struct node *self)
{
	net_close(self->net);
	self->net = NULL;
}

/* Nodes 1..count that know each other. */
static void make_cluster(struct node *nodes, uint32_t count)
{
	uint16_t ports[NODES + 1];
	for (uint32_t i = 1; i <= count; i++)
		ports[i] = free_port();
	for (uint32_t i = 1; i <= count; i++) {
		prepare(&nodes[i - 1], i);
		nodes[i - 1].config.port = ports[i];
		for (uint32_t k = 1; k <= count; k++)
			if (k != i)
				add_peer(&nodes[i - 1], k, ports[k]);
	}
}

static void turn(struct node *nodes, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (nodes[i].net != NULL)
			net_poll(nodes[i].net, net_time(MS));
}

/* Turns until the condition holds; fails when no machine is so busy. */
#define TURN_UNTIL(nodes, count, condition)                                         \
	do {                                                                            \
		uint64_t end_ = clock_now() + PATIENCE;                                     \
		while (!(condition)) {                                                      \
			turn(nodes, count);                                                     \
			if (clock_now() > end_)                                                 \
				fail_msg("it did not happen: %s\n%s%s", #condition, (nodes)[0].log, \
						 (nodes)[(count)-1].log);                                   \
		}                                                                           \
	} while (0)

static void turn_for(struct node *nodes, uint32_t count, uint64_t ns)
{
	for (uint64_t end = clock_now() + ns; clock_now() < end;)
		turn(nodes, count);
}

static void begin(struct node *nodes, uint32_t count)
{
	make_cluster(nodes, count);
	for (uint32_t i = 0; i < count; i++)
		start(&nodes[i]);
	for (uint32_t i = 0; i < count; i++)
		TURN_UNTIL(nodes, count, nodes[i].ups == count - 1);
}

static void end(struct node *nodes, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		stop(&nodes[i]);
}

static void send_numbered(struct node *from, uint32_t to, enum net_lane lane, uint64_t number,
						  uint32_t data)
{
	_Alignas(8) static uint8_t bytes[NET_MESSAGE_MAX];
	struct head head = {
		.size = (uint32_t)base_align_up(HEAD + data, 8), .data = data, .number = number};
	memcpy(bytes, &head, sizeof head);
	for (size_t i = 0; i < data; i++)
		bytes[HEAD + i] = pattern(number, i);
	memset(bytes + HEAD + data, 0, head.size - HEAD - data);
	assert_int_equal(net_send(from->net, to, lane, bytes, head.size), FOS_OK);
}

static unsigned open_descriptors(void)
{
	unsigned count = 0;
	DIR *dir = opendir("/proc/self/fd");
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

static double cpu_seconds(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* As the daemon waits: armed, then asleep; until a counter (NULL: none) has come to a value, or the
 * time is over. Returns how often it woke. */
static unsigned sleep_until(struct node *nodes, uint32_t count, uint64_t ns,
							const uint64_t *counter, uint64_t value)
{
	unsigned wakes = 0;
	uint64_t slept = 0; /* meant to */
	for (uint64_t stop_at = clock_now() + ns;
		 clock_now() < stop_at && (counter == NULL || *counter != value);) {
		struct pollfd fds[NODES];
		const uint64_t longest = slept + MS;
		uint64_t now = net_time(longest), until = now + stop_at - BASE_MIN(clock_now(), stop_at);
		bool armed = true;
		for (uint32_t i = 0; i < count; i++) {
			net_poll(nodes[i].net, now);
			until = BASE_MIN(until, net_deadline(nodes[i].net));
			fds[i] = (struct pollfd){.fd = net_fd(nodes[i].net), .events = POLLIN};
		}
		for (uint32_t i = 0; i < count; i++)
			armed = net_arm(nodes[i].net) && armed;
		now = net_time(MS);
		slept = armed && until > now && (counter == NULL || *counter != value) ? until - now : 0;
		if (slept > 0)
			poll(fds, count, (int)((slept + MS - 1) / MS));
		wakes++;
	}
	return wakes;
}

static unsigned sleep_through(struct node *nodes, uint32_t count, uint64_t ns)
{
	return sleep_until(nodes, count, ns, NULL, 0);
}

/* ------------------------------------------------------------------ tests: sessions */

static void test_two_nodes_up_and_down(void **state)
{
	struct node nodes[2];
	struct net_link link;
	unsigned before = open_descriptors();
	begin(nodes, 2);
	assert_int_equal(nodes[0].epochs[2], nodes[1].config.epoch);
	assert_int_equal(nodes[1].epochs[1], nodes[0].config.epoch);
	assert_true(net_link(nodes[0].net, 2, &link) && link.up);
	assert_int_equal(link.epoch, nodes[1].config.epoch);
	assert_false(net_link(nodes[0].net, 7, &link));
	stop(&nodes[1]);
	TURN_UNTIL(nodes, 1, nodes[0].downs == 1);
	uint8_t bytes[8] = {8};
	assert_int_equal(net_send(nodes[0].net, 2, NET_CONTROL, bytes, 8), FOS_PEER_LOST);
	stop(&nodes[0]);
	assert_int_equal(open_descriptors(), before);
}

static void test_four_nodes(void **state)
{
	struct node nodes[NODES];
	begin(nodes, NODES);
	for (uint32_t from = 1; from <= NODES; from++)
		for (uint32_t to = 1; to <= NODES; to++)
			for (uint64_t n = 0; from != to && n < 10; n++)
				send_numbered(&nodes[from - 1], to, NET_CONTROL, n, 40);
	for (uint32_t i = 0; i < NODES; i++)
		TURN_UNTIL(nodes, NODES, nodes[i].messages == 30);
	for (uint32_t i = 0; i < NODES; i++)
		assert_int_equal(nodes[i].downs, 0);
	end(nodes, NODES);
}

/* Whichever starts first, and with a pause between. */
static void test_start_in_either_order(void **state)
{
	for (unsigned first = 0; first < 2; first++) {
		struct node nodes[2];
		make_cluster(nodes, 2);
		nodes[0].config.retry_interval = nodes[1].config.retry_interval = 60000ull * MS;
		start(&nodes[first]);
		turn_for(nodes + first, 1, 30u * MS);
		start(&nodes[1 - first]);
		/* The retry interval is a minute: only the knock of the newcomer can bring it up. */
		TURN_UNTIL(nodes, 2, nodes[0].ups == 1 && nodes[1].ups == 1);
		end(nodes, 2);
	}
}

static void test_order_on_both_lanes(void **state)
{
	enum { COUNT = 3000 };
	struct node nodes[2];
	begin(nodes, 2);
	struct base_random random = {7};
	uint64_t numbers[2][2] = {0};
	for (unsigned i = 0; i < COUNT; i++) {
		unsigned from = (unsigned)base_random_below(&random, 2);
		enum net_lane lane = (enum net_lane)base_random_below(&random, 2);
		bool large = base_random_below(&random, 50) == 0;
		uint32_t max = lane == NET_CONTROL ? NET_CONTROL_MAX - HEAD : NET_MESSAGE_MAX - HEAD;
		uint32_t data = (uint32_t)base_random_below(&random, large ? max + 1 : 700);
		send_numbered(&nodes[from], 2 - from, lane, numbers[from][lane]++, data);
		if (base_random_below(&random, 20) == 0)
			turn(nodes, 2);
	}
	TURN_UNTIL(nodes, 2, nodes[0].messages + nodes[1].messages == COUNT);
	assert_int_equal(nodes[0].next[2][0], numbers[1][0]);
	assert_int_equal(nodes[0].next[2][1], numbers[1][1]);
	assert_int_equal(nodes[1].next[1][0], numbers[0][0]);
	assert_int_equal(nodes[1].next[1][1], numbers[0][1]);
	end(nodes, 2);
}

static void test_largest_messages(void **state)
{
	struct node nodes[2];
	begin(nodes, 2);
	for (uint64_t n = 0; n < 20; n++) {
		send_numbered(&nodes[0], 2, NET_CONTROL, n, NET_CONTROL_MAX - HEAD);
		send_numbered(&nodes[0], 2, NET_BULK, n, NET_MESSAGE_MAX - HEAD);
	}
	TURN_UNTIL(nodes, 2, nodes[1].messages == 40);
	end(nodes, 2);
}

/* The receiver must see each slice whole; the sender gets every token once, in order; a size that
 * is rounded up arrives with zeros. */
static void test_slices(void **state)
{
	static uint8_t data[64][262144];
	struct node nodes[2];
	uint32_t sizes[64];
	begin(nodes, 2);
	for (unsigned n = 0; n < 64; n++) {
		sizes[n] = n % 4 == 0 ? 262144 : n % 4 == 1 ? 10304 : n % 4 == 2 ? 5 : 1000 + n;
		for (size_t i = 0; i < sizes[n]; i++)
			data[n][i] = pattern(n, i);
		bool rounded = n % 8 < 4;
		struct head head = {.data = sizes[n], .number = n};
		head.size = HEAD + (rounded ? (uint32_t)base_align_up(sizes[n], 8) : sizes[n]);
		assert_int_equal(
			net_send_slice(nodes[0].net, 2, (uint8_t *)&head, HEAD, data[n], sizes[n], n + 1),
			FOS_OK);
	}
	TURN_UNTIL(nodes, 2, nodes[1].messages == 64 && nodes[0].slices_sent == 64);
	assert_int_equal(nodes[1].messages, 64);
	end(nodes, 2);
}

/* A receiver that does not poll: everything stays queued, nothing is lost. */
static void test_back_pressure(void **state)
{
	static uint8_t data[262144];
	struct node nodes[2];
	begin(nodes, 2);
	nodes[1].checks_data = false;
	for (unsigned n = 0; n < 400; n++) {
		struct head head = {.size = HEAD + sizeof data, .data = sizeof data, .number = n};
		assert_int_equal(
			net_send_slice(nodes[0].net, 2, (uint8_t *)&head, HEAD, data, sizeof data, n + 1),
			FOS_OK);
		turn(nodes, 1);
	}
	turn_for(nodes, 1, 50u * MS);
	assert_true(nodes[0].slices_sent < 400);
	/* The other lane still moves. */
	send_numbered(&nodes[0], 2, NET_CONTROL, 0, 100);
	TURN_UNTIL(nodes, 2, nodes[1].messages == 401 && nodes[0].slices_sent == 400);
	end(nodes, 2);
}

/* Messages of one turn leave in one send, until a frame is full. */
static void test_coalescing(void **state)
{
	struct node nodes[2];
	struct net_link link;
	begin(nodes, 2);
	const struct lane *lane = &net_remote(nodes[0].net, 2)->session->lanes[NET_CONTROL];
	for (uint32_t round = 0; round < 5; round++) {
		uint32_t frames = lane->sent;
		for (uint64_t n = 0; n < 100; n++)
			send_numbered(&nodes[0], 2, NET_CONTROL, round * 100 + n, 32);
		TURN_UNTIL(nodes, 2, nodes[1].messages == (round + 1) * 100);
		assert_int_equal(lane->sent - frames, 1);
	}
	assert_true(net_link(nodes[0].net, 2, &link));
	assert_int_equal(link.messages_sent, 500);
	assert_int_equal(link.bytes_sent, 500 * 64);
	assert_true(net_link(nodes[1].net, 1, &link));
	assert_int_equal(link.messages_received, 500);
	assert_int_equal(link.bytes_received, 500 * 64);
	uint32_t frames = lane->sent;
	for (uint64_t n = 0; n < 100; n++) /* 105,600 bytes in frames of 16 KiB */
		send_numbered(&nodes[0], 2, NET_CONTROL, 500 + n, 1024);
	TURN_UNTIL(nodes, 2, nodes[1].messages == 600);
	assert_int_equal(lane->sent - frames, 7);
	end(nodes, 2);
}

static void feed(struct lane *lane, struct receive *receive, enum frame_kind kind)
{
	struct frame_head head = {.number = lane->received, .kind = (uint16_t)kind};
	receive->op = (struct op){.kind = OP_RECEIVE, .lane = lane};
	memcpy(receive->bytes, &head, sizeof head);
	session_received(receive, sizeof head);
}

/* The lanes are two connections: READY can overtake the last burst on the other lane, but a second
 * one, or a message, cannot. The session is put back to just before that moment. */
static void test_ready_overtakes_a_burst(void **state)
{
	_Alignas(64) static uint8_t bytes[3][NET_MESSAGE_MAX + 64];
	static struct receive receives[3];
	for (unsigned broken = 0; broken < 2; broken++) {
		struct node nodes[2];
		begin(nodes, 2);
		struct session *session = net_remote(nodes[0].net, 2)->session;
		for (unsigned i = 0; i < 3; i++)
			receives[i].bytes = bytes[i];
		nodes[0].ups = 0;
		session->state = SESSION_TESTING;
		session->peer_ready = false;
		session->lanes[NET_BULK].received = NET_BURST - 1;
		feed(&session->lanes[NET_CONTROL], &receives[0], FRAME_READY);
		assert_int_equal(session->state, SESSION_TESTING);
		if (broken != 0) {
			feed(&session->lanes[NET_CONTROL], &receives[1], FRAME_READY);
			assert_int_equal(session->state, SESSION_ENDED);
			assert_int_equal(nodes[0].ups, 0);
		} else {
			feed(&session->lanes[NET_BULK], &receives[2], FRAME_BURST);
			assert_int_equal(session->state, SESSION_UP);
			assert_int_equal(nodes[0].ups, 1);
		}
		end(nodes, 2);
	}
}

/* A frame that is not the next one, or whose messages do not fill it, ends the session. */
static void test_malformed_frames(void **state)
{
	static const uint32_t sizes[] = {0, 4, 7, 24, 1u << 31, UINT32_MAX};
	_Alignas(64) static uint8_t bytes[NET_MESSAGE_MAX + 64];
	struct node nodes[2];
	struct receive receive = {.bytes = bytes};
	begin(nodes, 2);
	for (unsigned i = 0; i < BASE_COUNT(sizes) + 2; i++) {
		struct session *session = net_remote(nodes[0].net, 2)->session;
		struct lane *lane = &session->lanes[NET_CONTROL];
		struct frame_head head = {.number = lane->received, .kind = FRAME_MESSAGES};
		head.number += i == BASE_COUNT(sizes);
		head.zero = i == BASE_COUNT(sizes) + 1;
		uint32_t size = i < BASE_COUNT(sizes) ? sizes[i] : 16;
		receive.op = (struct op){.kind = OP_RECEIVE, .lane = lane};
		memcpy(bytes, &head, sizeof head);
		memcpy(bytes + sizeof head, &size, sizeof size);
		session_received(&receive, sizeof head + 16);
		assert_string_equal(nodes[0].reason, "the peer broke the protocol");
		assert_int_equal(nodes[0].downs, i + 1);
		assert_int_equal(nodes[0].messages, 0);
		TURN_UNTIL(nodes, 2, nodes[0].ups == i + 2 && nodes[1].ups == i + 2);
	}
	end(nodes, 2);
}

/* ------------------------------------------------------------------ tests: ends */

static void test_end_in_mid_traffic_and_again(void **state)
{
	static uint8_t data[262144];
	struct node nodes[2];
	begin(nodes, 2);
	nodes[0].checks_data = nodes[1].checks_data = false;
	for (unsigned round = 0; round < 5; round++) {
		nodes[0].last_token = nodes[0].slices_sent = 0;
		for (unsigned n = 0; n < 50; n++) {
			struct head head = {.size = HEAD + sizeof data, .data = sizeof data, .number = n};
			assert_int_equal(
				net_send_slice(nodes[0].net, 2, (uint8_t *)&head, HEAD, data, sizeof data, n + 1),
				FOS_OK);
			send_numbered(&nodes[1], 1, NET_CONTROL, n, 5000);
			if (n % 10 == 0)
				turn(nodes, 2);
		}
		unsigned sent = nodes[0].slices_sent;
		net_end(nodes[round % 2].net, 2 - round % 2, "the test wants it");
		assert_string_equal(nodes[round % 2].reason, "the test wants it");
		if (round % 2 == 0) {
			/* Closed means closed: nothing of these bytes is looked at any more. */
			memset(data, 0xee, sizeof data);
			turn_for(nodes, 1, 5u * MS);
			assert_int_equal(nodes[0].slices_sent, sent);
		}
		TURN_UNTIL(nodes, 2, nodes[0].downs == round + 1 && nodes[1].downs == round + 1);
		TURN_UNTIL(nodes, 2, nodes[0].ups == round + 2 && nodes[1].ups == round + 2);
	}
	end(nodes, 2);
}

static void test_end_inside_a_handler(void **state)
{
	struct node nodes[2];
	begin(nodes, 2);
	nodes[1].end_after = 3;
	for (uint64_t n = 0; n < 10; n++) /* one frame: seven messages are behind the end */
		send_numbered(&nodes[0], 2, NET_CONTROL, n, 40);
	TURN_UNTIL(nodes, 2, nodes[0].downs == 1 && nodes[1].downs == 1);
	assert_int_equal(nodes[1].messages, 3);
	TURN_UNTIL(nodes, 2, nodes[0].ups == 2 && nodes[1].ups == 2);
	end(nodes, 2);
}

/* Polls a node of its own process until it is killed. */
static pid_t fork_node(struct node *self)
{
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	const char *error;
	if (net_open(&self->config, &self->net, &error) != FOS_OK)
		_exit(3);
	for (;;) {
		struct pollfd fd = {.fd = net_fd(self->net), .events = POLLIN};
		if (net_arm(self->net))
			poll(&fd, 1, 5);
		net_poll(self->net, net_time(6u * MS));
	}
}

static void test_killed_peer_and_its_next_life(void **state)
{
	struct node nodes[2];
	make_cluster(nodes, 2);
	pid_t pid = fork_node(&nodes[1]);
	start(&nodes[0]);
	for (unsigned life = 1; life <= 3; life++) {
		TURN_UNTIL(nodes, 1, nodes[0].ups == life);
		assert_int_equal(nodes[0].epochs[2], nodes[1].config.epoch);
		send_numbered(&nodes[0], 2, NET_CONTROL, 0, 100);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		TURN_UNTIL(nodes, 1, nodes[0].downs == life);
		nodes[1].config.epoch++;
		pid = life < 3 ? fork_node(&nodes[1]) : 0;
	}
	stop(&nodes[0]);
}

/* ------------------------------------------------------------------ tests: who may come in */

static bool said(const struct node *node, const char *text)
{
	return strstr(node->log, text) != NULL;
}

/* Both sides name the reason, and no session comes up. */
static void check_refused(struct node *nodes, const char *first, const char *second)
{
	start(&nodes[0]);
	start(&nodes[1]);
	TURN_UNTIL(nodes, 2, said(&nodes[0], first) && said(&nodes[1], second));
	turn_for(nodes, 2, 60u * MS);
	assert_int_equal(nodes[0].ups + nodes[1].ups, 0);
	end(nodes, 2);
}

static void test_wrong_key(void **state)
{
	struct node nodes[2];
	make_cluster(nodes, 2);
	nodes[1].config.key[31] ^= 1;
	check_refused(nodes, "wrong key", "wrong key");
}

static void test_other_cluster(void **state)
{
	struct node nodes[2];
	make_cluster(nodes, 2);
	snprintf(nodes[1].config.cluster, sizeof nodes[1].config.cluster, "other");
	check_refused(nodes, "another cluster", "another cluster");
}

static void test_name_mismatch(void **state)
{
	struct node nodes[2];
	make_cluster(nodes, 2);
	snprintf(nodes[0].peers[0].name, sizeof nodes[0].peers[0].name, "nobody");
	check_refused(nodes, "do not match", "do not match");
}

static void test_unknown_node(void **state)
{
	struct node nodes[2];
	make_cluster(nodes, 2);
	nodes[1].config.node = 9;
	check_refused(nodes, "not in the cluster file", "not in that node's cluster file");
}

/* A second Controller with the name of a living one: refused with a clear line on both sides, and
 * the living session stays. */
static void test_duplicate_node(void **state)
{
	struct node nodes[3];
	begin(nodes, 2);
	for (uint32_t twin = 1; twin <= 2; twin++) {
		struct node *copy = &nodes[2], *other = &nodes[2 - twin];
		prepare(copy, twin);
		copy->config.port = 0;
		add_peer(copy, 3 - twin, net_port(other->net));
		start(copy);
		TURN_UNTIL(nodes, 3,
				   said(copy, "already in the cluster") && said(other, "already in the cluster"));
		turn_for(nodes, 3, 100u * MS);
		assert_int_equal(copy->ups, 0);
		assert_int_equal(nodes[0].downs + nodes[1].downs, 0);
		stop(copy);
	}
	end(nodes, 2);
}

/* The old life does not answer and does not close its sockets: the probe's end lets the new in. */
static void test_newcomer_after_a_silent_death(void **state)
{
	for (uint32_t number = 1; number <= 2; number++) {
		struct node nodes[2], silent;
		begin(nodes, 2);
		struct node *living = &nodes[2 - number], *dead = &nodes[number - 1];
		silent = *dead; /* its net is not polled any more */
		prepare(dead, number);
		add_peer(dead, 3 - number, net_port(living->net));
		start(dead);
		uint64_t begun = clock_now();
		TURN_UNTIL(nodes, 2, living->downs == 1);
		assert_string_equal(living->reason, "the peer did not answer a probe");
		assert_true(clock_now() - begun >= 400u * MS);
		if (number == 1)
			TURN_UNTIL(nodes, 2, living->ups == 2 && dead->ups == 1);
		stop(&silent);
		end(nodes, 2);
	}
}

/* ------------------------------------------------------------------ tests: strangers */

static int knock_at(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_addr.s_addr = here().s_addr;
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static bool is_closed(int fd)
{
	uint8_t bytes[256];
	ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
	return n == 0 || (n < 0 && errno != EAGAIN);
}

static void test_other_version(void **state)
{
	struct node nodes[1];
	struct door_refused reply;
	make_cluster(nodes, 1);
	start(&nodes[0]);
	int fd = knock_at(net_port(nodes[0].net));
	struct door_head head = {
		.magic = DOOR_MAGIC, .type = DOOR_KNOCK, .size = 4000, .version = DOOR_VERSION + 1};
	assert_int_equal(send(fd, &head, sizeof head, 0), sizeof head);
	TURN_UNTIL(nodes, 1, said(&nodes[0], "another version"));
	assert_int_equal(recv(fd, &reply, sizeof reply, MSG_WAITALL), sizeof reply);
	assert_int_equal(reply.head.type, DOOR_REFUSED);
	assert_int_equal(reply.refusal, NET_REFUSED_VERSION);
	close(fd);
	end(nodes, 1);
}

static void test_garbage_and_cut_knocks(void **state)
{
	struct node nodes[2];
	begin(nodes, 2);
	unsigned before = open_descriptors();
	struct base_random random = {3};
	for (unsigned i = 0; i < 200; i++) {
		uint8_t bytes[400];
		size_t size = 1 + (size_t)base_random_below(&random, sizeof bytes);
		for (size_t k = 0; k < size; k++)
			bytes[k] = (uint8_t)base_random_next(&random);
		struct door_head head = {.magic = DOOR_MAGIC,
								 .type = (uint16_t)(i % 8),
								 .size = (uint16_t)(i % 5 == 0 ? size : 168),
								 .version = DOOR_VERSION};
		if (i % 3 != 0)
			memcpy(bytes, &head, BASE_MIN(size, sizeof head));
		int fd = knock_at(net_port(nodes[0].net));
		send(fd, bytes, size, MSG_NOSIGNAL);
		for (unsigned t = 0; t < 20; t++)
			turn(nodes, 2);
		close(fd);
	}
	TURN_UNTIL(nodes, 2, open_descriptors() == before);
	assert_int_equal(nodes[0].downs, 0);
	assert_true(said(&nodes[0], "does not keep to the protocol"));
	end(nodes, 2);
}

/* A process that was forked while a stranger talked holds the stranger's connection open: what
 * still comes on it is nobody's. */
static void test_a_fork_keeps_a_strangers_connection(void **state)
{
	struct node node[1];
	int alive[2];
	begin(node, 1);
	int fd = knock_at(net_port(node->net));
	assert_int_equal(send(fd, "FOS", 3, MSG_NOSIGNAL), 3);
	for (unsigned t = 0; t < 16; t++)
		turn(node, 1);
	assert_int_equal(pipe(alive), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(alive[1]);
		_exit((int)read(alive[0], alive, 1)); /* until its parent ends */
	}
	close(alive[0]);
	uint8_t rubbish[64] = {0};
	assert_int_equal(send(fd, rubbish, sizeof rubbish, MSG_NOSIGNAL), sizeof rubbish);
	TURN_UNTIL(node, 1, said(node, "does not keep to the protocol"));
	assert_int_equal(send(fd, rubbish, sizeof rubbish, MSG_NOSIGNAL), sizeof rubbish);
	for (unsigned t = 0; t < 100; t++)
		turn(node, 1);
	close(alive[1]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(fd);
	end(node, 1);
}

static void test_slow_strangers_and_too_many(void **state)
{
	enum { STRANGERS = 100 };
	struct node nodes[2];
	int fds[STRANGERS];
	make_cluster(nodes, 2);
	nodes[1].config.connect_timeout = 3000ull * MS;
	start(&nodes[1]);
	unsigned before = open_descriptors();
	for (unsigned i = 0; i < STRANGERS; i++) {
		fds[i] = knock_at(net_port(nodes[1].net));
		assert_int_equal(send(fds[i], "FOS", 3, MSG_NOSIGNAL), 3);
		for (unsigned t = 0; t < 16; t++)
			turn(nodes + 1, 1);
	}
	assert_true(open_descriptors() - before <= STRANGERS + 33);
	/* With all places taken by strangers whose time is not over, the real peer still comes in. */
	start(&nodes[0]);
	TURN_UNTIL(nodes, 2, nodes[0].ups == 1 && nodes[1].ups == 1);
	/* And in the end all of them are sent away. */
	TURN_UNTIL(nodes, 2, is_closed(fds[STRANGERS - 1]));
	for (unsigned i = 0; i < STRANGERS; i++) {
		assert_true(is_closed(fds[i]));
		close(fds[i]);
	}
	end(nodes, 2);
}

/* Whoever waits at the address a Controller has to connect to, but never says a word. */
static void test_mute_door(void **state)
{
	struct node nodes[1];
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_addr.s_addr = here().s_addr;
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	getsockname(fd, (struct sockaddr *)&address, &len);
	prepare(&nodes[0], 1);
	add_peer(&nodes[0], 2, ntohs(address.sin_port));
	start(&nodes[0]);
	TURN_UNTIL(nodes, 1, said(&nodes[0], "no answer at the door"));
	close(fd);
	end(nodes, 1);
}

/* A door that closes at once is tried again after the interval, by an event and not by luck. */
static void test_retries_keep_their_interval(void **state)
{
	struct node nodes[1];
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	enum { ATTEMPTS = 8 };
	unsigned attempts = 0;
	address.sin_addr.s_addr = here().s_addr;
	assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(listener, 8), 0);
	getsockname(listener, (struct sockaddr *)&address, &len);
	prepare(&nodes[0], 1);
	nodes[0].config.connect_timeout = 60000ull * MS;
	add_peer(&nodes[0], 2, ntohs(address.sin_port));
	start(&nodes[0]);
	const uint64_t begun = net_time(0), stop_at = clock_now() + PATIENCE;
	while (attempts < ATTEMPTS && clock_now() < stop_at) {
		sleep_through(nodes, 1, 5u * MS);
		int fd = accept(listener, NULL, NULL);
		if (fd >= 0) {
			attempts++;
			close(fd);
		}
	}
	assert_int_equal(attempts, ATTEMPTS);
	const uint64_t interval = nodes[0].config.retry_interval;
	assert_in_range(net_time(0) - begun, (ATTEMPTS - 1) * interval, 2 * ATTEMPTS * interval);
	close(listener);
	end(nodes, 1);
}

/* ------------------------------------------------------------------ tests: the fabric's gate */

struct impostor { /* somebody with libfabric */
	struct fi_info *info;
	struct fid_fabric *fabric;
	struct fid_domain *domain;
	struct fid_eq *eq;
	struct fid_cq *cq;
	struct fid_ep *ep;
};

static void impostor_connect(struct impostor *i, uint16_t port, const uint8_t pass[DOOR_MAC])
{
	struct fi_eq_attr eq_attr = {.wait_obj = FI_WAIT_UNSPEC};
	struct fi_cq_attr cq_attr = {.wait_obj = FI_WAIT_UNSPEC};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct fi_info *hints = fi_allocinfo();
	address.sin_addr.s_addr = here().s_addr;
	hints->ep_attr->type = FI_EP_MSG;
	hints->caps = FI_MSG;
	hints->fabric_attr->prov_name = strdup("tcp");
	*i = (struct impostor){0};
	assert_int_equal(fi_getinfo(FI_VERSION(1, 17), "127.0.0.1", "0", FI_SOURCE, hints, &i->info),
					 0);
	fi_freeinfo(hints);
	assert_int_equal(fi_fabric(i->info->fabric_attr, &i->fabric, NULL), 0);
	assert_int_equal(fi_domain(i->fabric, i->info, &i->domain, NULL), 0);
	assert_int_equal(fi_eq_open(i->fabric, &eq_attr, &i->eq, NULL), 0);
	assert_int_equal(fi_cq_open(i->domain, &cq_attr, &i->cq, NULL), 0);
	assert_int_equal(fi_endpoint(i->domain, i->info, &i->ep, NULL), 0);
	assert_int_equal(fi_ep_bind(i->ep, &i->eq->fid, 0), 0);
	assert_int_equal(fi_ep_bind(i->ep, &i->cq->fid, FI_TRANSMIT | FI_RECV), 0);
	assert_int_equal(fi_enable(i->ep), 0);
	assert_int_equal(fi_connect(i->ep, &address, pass, DOOR_MAC), 0);
}

/* 1: connected, -1: refused, 0: nothing yet. */
static int impostor_look(struct impostor *i)
{
	struct fi_eq_err_entry error = {0};
	union {
		struct fi_eq_cm_entry entry;
		uint8_t bytes[512];
	} read;
	uint32_t event = 0;
	ssize_t n = fi_eq_read(i->eq, &event, &read, sizeof read, 0);
	if (n == -FI_EAVAIL)
		return fi_eq_readerr(i->eq, &error, 0) > 0 ? -1 : 0;
	return n <= 0 ? 0 : event == FI_CONNECTED ? 1 : -1;
}

static void impostor_close(struct impostor *i)
{
	fi_close(&i->ep->fid);
	fi_close(&i->cq->fid);
	fi_close(&i->eq->fid);
	fi_close(&i->domain->fid);
	fi_close(&i->fabric->fid);
	fi_freeinfo(i->info);
}

/* Plays node 1 at the door of node 2 until it has a ticket; returns the fabric's port. */
static uint16_t play_for_ticket(struct node *nodes, struct dialogue *d, struct door_self *self)
{
	struct dialogue_result result;
	uint8_t bytes[DOOR_MESSAGE_MAX];
	size_t size = 0;
	*self = (struct door_self){.node = 1, .name = "app", .cluster = "test", .epoch = 77};
	memcpy(self->key, nodes[1].config.key, sizeof self->key);
	static const struct net_peer peer = {.node = 2, .name = "fs"};
	dialogue_connect(d, self, &peer, 0, &result);
	int fd = knock_at(net_port(nodes[1].net));
	do {
		assert_int_equal(send(fd, &result.reply, result.reply_size, 0), result.reply_size);
		size = 0;
		while (size == 0 || dialogue_message_size(bytes, size) == 0) {
			ssize_t n = recv(fd, bytes + size, sizeof bytes - size, MSG_DONTWAIT);
			assert_true(n != 0);
			size += n > 0 ? (size_t)n : 0;
			turn(nodes + 1, 1);
		}
		dialogue_feed(d, self, bytes, size, &result);
	} while (result.step == DIALOGUE_CONTINUES);
	assert_int_equal(result.step, DIALOGUE_WELCOME);
	close(fd);
	return (uint16_t)result.port;
}

static int try_pass(struct node *nodes, struct impostor *i, uint16_t port,
					const uint8_t pass[DOOR_MAC])
{
	int outcome = 0;
	impostor_connect(i, port, pass);
	TURN_UNTIL(nodes + 1, 1, (outcome = impostor_look(i)) != 0);
	return outcome;
}

static void test_passes_are_good_once(void **state)
{
	struct node nodes[2];
	struct dialogue d;
	struct door_self self;
	struct impostor good, bad;
	uint8_t pass[DOOR_MAC];
	make_cluster(nodes, 2);
	start(&nodes[1]);
	uint16_t port = play_for_ticket(nodes, &d, &self);
	dialogue_pass(&d, &self, NET_CONTROL, pass);
	pass[31] ^= 1;
	assert_int_equal(try_pass(nodes, &bad, port, pass), -1);
	assert_true(said(&nodes[1], "without a valid pass"));
	impostor_close(&bad);
	pass[31] ^= 1;
	assert_int_equal(try_pass(nodes, &good, port, pass), 1);
	assert_int_equal(try_pass(nodes, &bad, port, pass), -1);
	impostor_close(&bad);
	assert_int_equal(nodes[1].ups, 0); /* one lane is no session */
	TURN_UNTIL(nodes + 1, 1, said(&nodes[1], "did not come up in time"));
	impostor_close(&good);
	end(nodes, 2);
}

/* Without a ticket nobody listens at the fabric's port, and a ticket ends with its time. */
static void test_gate_closes_with_the_ticket(void **state)
{
	struct node nodes[2];
	struct dialogue d;
	struct door_self self;
	make_cluster(nodes, 2);
	start(&nodes[1]);
	unsigned before = open_descriptors();
	struct sockaddr_in address = {.sin_family = AF_INET};
	address.sin_port = htons(play_for_ticket(nodes, &d, &self));
	address.sin_addr.s_addr = here().s_addr;
	TURN_UNTIL(nodes + 1, 1, said(&nodes[1], "did not come up in time"));
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
	turn_for(nodes + 1, 1, 5u * MS);
	assert_true(open_descriptors() <= before + 1); /* it may be knocking at node 1 */
	end(nodes, 2);
}

/* What the provider keeps of connections that do not go on: nothing beyond the gate's time, or the
 * net's. Some have begun to send, and the last ones it has not even seen. */
static void test_unfinished_requests_go_with_the_gate(void **state)
{
	enum { CONNECTIONS = 160, UNSEEN = 20 };
	for (unsigned closed_by_us = 0; closed_by_us < 2; closed_by_us++) {
		struct node nodes[2];
		struct dialogue d;
		struct door_self self;
		int fds[CONNECTIONS];
		unsigned before = open_descriptors();
		make_cluster(nodes, 2);
		start(&nodes[1]);
		uint16_t port = play_for_ticket(nodes, &d, &self);
		for (unsigned i = 0; i < CONNECTIONS; i++) {
			fds[i] = knock_at(port);
			if (i % 3 == 1)
				assert_int_equal(send(fds[i], "\3\0\0", 3, MSG_NOSIGNAL), 3);
			if (i == CONNECTIONS - UNSEEN)
				turn_for(nodes + 1, 1, 5u * MS);
		}
		if (closed_by_us)
			stop(&nodes[1]);
		else
			TURN_UNTIL(nodes + 1, 1, said(&nodes[1], "did not come up in time"));
		for (unsigned i = 0; i < CONNECTIONS; i++) {
			assert_true(is_closed(fds[i]));
			close(fds[i]);
		}
		stop(&nodes[1]);
		assert_int_equal(open_descriptors(), before);
	}
}

/* A peer that dies while it connects is not looked at again and again until the ticket's end. */
static void test_request_hung_up(void **state)
{
	struct node nodes[2];
	struct dialogue d;
	struct door_self self;
	make_cluster(nodes, 2);
	nodes[1].config.connect_timeout = 60000ull * MS;
	start(&nodes[1]);
	uint16_t port = play_for_ticket(nodes, &d, &self);
	unsigned before = open_descriptors();
	int fd = knock_at(port);
	TURN_UNTIL(nodes + 1, 1, open_descriptors() == before + 2);
	close(fd);
	TURN_UNTIL(nodes + 1, 1, open_descriptors() == before);
	assert_true(sleep_through(nodes + 1, 1, 50u * MS) < 10);
	end(nodes, 2);
}

/* ns for which this thread could have run and had no core. */
static uint64_t waited_for_a_core(void)
{
	unsigned long long ran, waited = 0;
	FILE *file = fopen("/proc/thread-self/schedstat", "re");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%llu %llu", &ran, &waited) != 2)
		waited = 0;
	fclose(file);
	return waited;
}

/* The provider waits for the rest of a request; not for long. */
static void test_request_without_its_end(void **state)
{
	struct node nodes[2];
	struct dialogue d;
	struct door_self self;
	uint64_t longest = 0;
	make_cluster(nodes, 2);
	start(&nodes[1]);
	struct request {
		uint8_t version, type;
		uint16_t data;
		uint32_t part;
		uint64_t numbers[3];
	} head = {.version = 3, .data = htons(200)}; /* as the provider's own */
	int fd = knock_at(play_for_ticket(nodes, &d, &self));
	assert_int_equal(send(fd, &head, sizeof head, MSG_NOSIGNAL), sizeof head);
	pid_t pid = fork(); /* holds the connection so long that a wait for it is seen */
	if (pid == 0) {
		poll(NULL, 0, 1000);
		_exit(0);
	}
	close(fd);
	for (unsigned i = 0; i < 100; i++) {
		uint64_t waited = waited_for_a_core(), begun = clock_now();
		turn(nodes + 1, 1);
		uint64_t took = clock_now() - begun;
		longest = BASE_MAX(longest, took - BASE_MIN(took, waited_for_a_core() - waited));
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(longest < 500u * MS);
	end(nodes, 2);
}

/* ------------------------------------------------------------------ tests: the rest */

static void test_address_in_use(void **state)
{
	struct node nodes[2];
	const char *error = "";
	make_cluster(nodes, 2);
	start(&nodes[0]);
	nodes[1].config.port = net_port(nodes[0].net);
	assert_int_not_equal(net_open(&nodes[1].config, &nodes[1].net, &error), FOS_OK);
	assert_non_null(strstr(error, inet_ntoa(here())));
	assert_non_null(strstr(error, "in use"));
	stop(&nodes[0]);
}

static void test_bad_configurations(void **state)
{
	struct node nodes[2];
	const char *error = "";
	make_cluster(nodes, 2);
	struct net_config good = nodes[0].config;
	struct net *net;
	struct net_config bad = good;
	snprintf(bad.provider, sizeof bad.provider, "nothing");
	assert_int_not_equal(net_open(&bad, &net, &error), FOS_OK);
	assert_non_null(strstr(error, "nothing"));
	bad = good;
	bad.node = 2;
	assert_int_equal(net_open(&bad, &net, &error), FOS_INVALID);
	assert_non_null(strstr(error, "twice"));
	snprintf(nodes[0].peers[0].address, sizeof nodes[0].peers[0].address, "localhost");
	assert_int_equal(net_open(&good, &net, &error), FOS_INVALID);
	assert_non_null(strstr(error, "numeric"));
}

static void test_idle_sleeps_and_wakes(void **state)
{
	struct node nodes[2];
	begin(nodes, 2);
	sleep_through(nodes, 2, 20u * MS);
	double before = cpu_seconds();
	unsigned wakes = sleep_through(nodes, 2, 500u * MS);
	double used = cpu_seconds() - before;
	print_message("idle: %u wakes, %.2f ms of CPU in 500 ms\n", wakes, used * 1e3);
	assert_true(wakes < 10);
	/* Everything wakes: messages, large ones that need many turns, a session's end, its return. */
	send_numbered(&nodes[0], 2, NET_CONTROL, 0, 8);
	for (uint64_t n = 0; n < 100; n++)
		send_numbered(&nodes[1], 1, NET_BULK, n, 300000);
	sleep_until(nodes, 2, PATIENCE, &nodes[0].messages, 100);
	assert_int_equal(nodes[0].messages, 100);
	assert_int_equal(nodes[1].messages, 1);
	net_end(nodes[0].net, 2, "test");
	sleep_until(nodes, 2, PATIENCE, &nodes[0].ups, 2);
	sleep_until(nodes, 2, PATIENCE, &nodes[1].ups, 2);
	assert_int_equal(nodes[1].downs, 1);
	assert_int_equal(nodes[0].ups, 2);
	assert_int_equal(nodes[1].ups, 2);
	end(nodes, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_nodes_up_and_down),
		cmocka_unit_test(test_four_nodes),
		cmocka_unit_test(test_start_in_either_order),
		cmocka_unit_test(test_order_on_both_lanes),
		cmocka_unit_test(test_largest_messages),
		cmocka_unit_test(test_slices),
		cmocka_unit_test(test_back_pressure),
		cmocka_unit_test(test_coalescing),
		cmocka_unit_test(test_ready_overtakes_a_burst),
		cmocka_unit_test(test_malformed_frames),
		cmocka_unit_test(test_end_in_mid_traffic_and_again),
		cmocka_unit_test(test_end_inside_a_handler),
		cmocka_unit_test(test_killed_peer_and_its_next_life),
		cmocka_unit_test(test_wrong_key),
		cmocka_unit_test(test_other_cluster),
		cmocka_unit_test(test_name_mismatch),
		cmocka_unit_test(test_unknown_node),
		cmocka_unit_test(test_duplicate_node),
		cmocka_unit_test(test_newcomer_after_a_silent_death),
		cmocka_unit_test(test_other_version),
		cmocka_unit_test(test_garbage_and_cut_knocks),
		cmocka_unit_test(test_a_fork_keeps_a_strangers_connection),
		cmocka_unit_test(test_slow_strangers_and_too_many),
		cmocka_unit_test(test_mute_door),
		cmocka_unit_test(test_retries_keep_their_interval),
		cmocka_unit_test(test_passes_are_good_once),
		cmocka_unit_test(test_gate_closes_with_the_ticket),
		cmocka_unit_test(test_unfinished_requests_go_with_the_gate),
		cmocka_unit_test(test_request_hung_up),
		cmocka_unit_test(test_request_without_its_end),
		cmocka_unit_test(test_address_in_use),
		cmocka_unit_test(test_bad_configurations),
		cmocka_unit_test(test_idle_sleeps_and_wakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
