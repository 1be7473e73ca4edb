/* Sessions between nodes: messages, slices, back-pressure; what ends them, and a forked node where
 * a death must be a real one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/harness.h"
#include "net/net_internal.h"

/* ------------------------------------------------------------------ tests: sessions */

static void test_two_nodes_up_and_down(void **state)
{
	struct node nodes[2];
	struct net_link link;
	unsigned before = node_descriptors();
	nodes_begin(nodes, 2);
	assert_int_equal(nodes[0].epochs[2], nodes[1].config.epoch);
	assert_int_equal(nodes[1].epochs[1], nodes[0].config.epoch);
	assert_true(net_link(nodes[0].net, 2, &link) && link.up);
	assert_int_equal(link.epoch, nodes[1].config.epoch);
	assert_false(net_link(nodes[0].net, 7, &link));
	node_stop(&nodes[1]);
	NODES_TURN_UNTIL(nodes, 1, nodes[0].downs == 1);
	uint8_t bytes[8] = {8};
	assert_int_equal(net_send(nodes[0].net, 2, NET_CONTROL, bytes, 8), FOS_PEER_LOST);
	node_stop(&nodes[0]);
	assert_int_equal(node_descriptors(), before);
}

static void test_four_nodes(void **state)
{
	struct node nodes[NODES];
	nodes_begin(nodes, NODES);
	for (uint32_t from = 1; from <= NODES; from++)
		for (uint32_t to = 1; to <= NODES; to++)
			for (uint64_t n = 0; from != to && n < 10; n++)
				node_send(&nodes[from - 1], to, NET_CONTROL, n, 40);
	for (uint32_t i = 0; i < NODES; i++)
		NODES_TURN_UNTIL(nodes, NODES, nodes[i].messages == 30);
	for (uint32_t i = 0; i < NODES; i++)
		assert_int_equal(nodes[i].downs, 0);
	nodes_end(nodes, NODES);
}

/* Whichever starts first, and with a pause between. */
static void test_start_in_either_order(void **state)
{
	for (unsigned first = 0; first < 2; first++) {
		struct node nodes[2];
		nodes_make(nodes, 2);
		nodes[0].config.retry_interval = nodes[1].config.retry_interval = 60000ull * MS;
		node_start(&nodes[first]);
		nodes_turn_for(nodes + first, 1, 30u * MS);
		node_start(&nodes[1 - first]);
		/* The retry interval is a minute: only the knock of the newcomer can bring it up. */
		NODES_TURN_UNTIL(nodes, 2, nodes[0].ups == 1 && nodes[1].ups == 1);
		nodes_end(nodes, 2);
	}
}

static void test_order_on_both_lanes(void **state)
{
	enum { COUNT = 3000 };
	struct node nodes[2];
	nodes_begin(nodes, 2);
	struct base_random random = {7};
	uint64_t numbers[2][2] = {0};
	for (unsigned i = 0; i < COUNT; i++) {
		unsigned from = (unsigned)base_random_below(&random, 2);
		enum net_lane lane = (enum net_lane)base_random_below(&random, 2);
		bool large = base_random_below(&random, 50) == 0;
		uint32_t max = lane == NET_CONTROL ? NET_CONTROL_MAX - HEAD : NET_MESSAGE_MAX - HEAD;
		uint32_t data = (uint32_t)base_random_below(&random, large ? max + 1 : 700);
		node_send(&nodes[from], 2 - from, lane, numbers[from][lane]++, data);
		if (base_random_below(&random, 20) == 0)
			nodes_turn(nodes, 2);
	}
	NODES_TURN_UNTIL(nodes, 2, nodes[0].messages + nodes[1].messages == COUNT);
	assert_int_equal(nodes[0].next[2][0], numbers[1][0]);
	assert_int_equal(nodes[0].next[2][1], numbers[1][1]);
	assert_int_equal(nodes[1].next[1][0], numbers[0][0]);
	assert_int_equal(nodes[1].next[1][1], numbers[0][1]);
	nodes_end(nodes, 2);
}

static void test_largest_messages(void **state)
{
	struct node nodes[2];
	nodes_begin(nodes, 2);
	for (uint64_t n = 0; n < 20; n++) {
		node_send(&nodes[0], 2, NET_CONTROL, n, NET_CONTROL_MAX - HEAD);
		node_send(&nodes[0], 2, NET_BULK, n, NET_MESSAGE_MAX - HEAD);
	}
	NODES_TURN_UNTIL(nodes, 2, nodes[1].messages == 40);
	nodes_end(nodes, 2);
}

/* The receiver must see each slice whole; the sender gets every token once, in order; a size that
 * is rounded up arrives with zeros. */
static void test_slices(void **state)
{
	static uint8_t data[64][262144];
	struct node nodes[2];
	uint32_t sizes[64];
	nodes_begin(nodes, 2);
	for (unsigned n = 0; n < 64; n++) {
		sizes[n] = n % 4 == 0 ? 262144 : n % 4 == 1 ? 10304 : n % 4 == 2 ? 5 : 1000 + n;
		for (size_t i = 0; i < sizes[n]; i++)
			data[n][i] = node_pattern(n, i);
		bool rounded = n % 8 < 4;
		struct head head = {.data = sizes[n], .number = n};
		head.size = HEAD + (rounded ? (uint32_t)base_align_up(sizes[n], 8) : sizes[n]);
		assert_int_equal(
			net_send_slice(nodes[0].net, 2, (uint8_t *)&head, HEAD, data[n], sizes[n], n + 1),
			FOS_OK);
	}
	NODES_TURN_UNTIL(nodes, 2, nodes[1].messages == 64 && nodes[0].slices_sent == 64);
	assert_int_equal(nodes[1].messages, 64);
	nodes_end(nodes, 2);
}

/* A receiver that does not poll: everything stays queued, nothing is lost. */
static void test_back_pressure(void **state)
{
	static uint8_t data[262144];
	struct node nodes[2];
	nodes_begin(nodes, 2);
	nodes[1].checks_data = false;
	for (unsigned n = 0; n < 400; n++) {
		struct head head = {.size = HEAD + sizeof data, .data = sizeof data, .number = n};
		assert_int_equal(
			net_send_slice(nodes[0].net, 2, (uint8_t *)&head, HEAD, data, sizeof data, n + 1),
			FOS_OK);
		nodes_turn(nodes, 1);
	}
	nodes_turn_for(nodes, 1, 50u * MS);
	assert_true(nodes[0].slices_sent < 400);
	/* The other lane still moves. */
	node_send(&nodes[0], 2, NET_CONTROL, 0, 100);
	NODES_TURN_UNTIL(nodes, 2, nodes[1].messages == 401 && nodes[0].slices_sent == 400);
	nodes_end(nodes, 2);
}

/* Messages of one turn leave in one send, until a frame is full. */
static void test_coalescing(void **state)
{
	struct node nodes[2];
	struct net_link link;
	nodes_begin(nodes, 2);
	const struct lane *lane = &net_remote(nodes[0].net, 2)->session->lanes[NET_CONTROL];
	for (uint32_t round = 0; round < 5; round++) {
		uint32_t frames = lane->sent;
		for (uint64_t n = 0; n < 100; n++)
			node_send(&nodes[0], 2, NET_CONTROL, round * 100 + n, 32);
		NODES_TURN_UNTIL(nodes, 2, nodes[1].messages == (round + 1) * 100);
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
		node_send(&nodes[0], 2, NET_CONTROL, 500 + n, 1024);
	NODES_TURN_UNTIL(nodes, 2, nodes[1].messages == 600);
	assert_int_equal(lane->sent - frames, 7);
	nodes_end(nodes, 2);
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
		nodes_begin(nodes, 2);
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
		nodes_end(nodes, 2);
	}
}

/* A frame that is not the next one, or whose messages do not fill it, ends the session. */
static void test_malformed_frames(void **state)
{
	static const uint32_t sizes[] = {0, 4, 7, 24, 1u << 31, UINT32_MAX};
	_Alignas(64) static uint8_t bytes[NET_MESSAGE_MAX + 64];
	struct node nodes[2];
	struct receive receive = {.bytes = bytes};
	nodes_begin(nodes, 2);
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
		NODES_TURN_UNTIL(nodes, 2, nodes[0].ups == i + 2 && nodes[1].ups == i + 2);
	}
	nodes_end(nodes, 2);
}

/* ------------------------------------------------------------------ tests: ends */

static void test_end_in_mid_traffic_and_again(void **state)
{
	static uint8_t data[262144];
	struct node nodes[2];
	nodes_begin(nodes, 2);
	nodes[0].checks_data = nodes[1].checks_data = false;
	for (unsigned round = 0; round < 5; round++) {
		nodes[0].last_token = nodes[0].slices_sent = 0;
		for (unsigned n = 0; n < 50; n++) {
			struct head head = {.size = HEAD + sizeof data, .data = sizeof data, .number = n};
			assert_int_equal(
				net_send_slice(nodes[0].net, 2, (uint8_t *)&head, HEAD, data, sizeof data, n + 1),
				FOS_OK);
			node_send(&nodes[1], 1, NET_CONTROL, n, 5000);
			if (n % 10 == 0)
				nodes_turn(nodes, 2);
		}
		unsigned sent = nodes[0].slices_sent;
		net_end(nodes[round % 2].net, 2 - round % 2, "the test wants it");
		assert_string_equal(nodes[round % 2].reason, "the test wants it");
		if (round % 2 == 0) {
			/* Closed means closed: nothing of these bytes is looked at any more. */
			memset(data, 0xee, sizeof data);
			nodes_turn_for(nodes, 1, 5u * MS);
			assert_int_equal(nodes[0].slices_sent, sent);
		}
		NODES_TURN_UNTIL(nodes, 2, nodes[0].downs == round + 1 && nodes[1].downs == round + 1);
		NODES_TURN_UNTIL(nodes, 2, nodes[0].ups == round + 2 && nodes[1].ups == round + 2);
	}
	nodes_end(nodes, 2);
}

static void test_end_inside_a_handler(void **state)
{
	struct node nodes[2];
	nodes_begin(nodes, 2);
	nodes[1].end_after = 3;
	for (uint64_t n = 0; n < 10; n++) /* one frame: seven messages are behind the end */
		node_send(&nodes[0], 2, NET_CONTROL, n, 40);
	NODES_TURN_UNTIL(nodes, 2, nodes[0].downs == 1 && nodes[1].downs == 1);
	assert_int_equal(nodes[1].messages, 3);
	NODES_TURN_UNTIL(nodes, 2, nodes[0].ups == 2 && nodes[1].ups == 2);
	nodes_end(nodes, 2);
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
		net_poll(self->net, node_time(6u * MS));
	}
}

static void test_killed_peer_and_its_next_life(void **state)
{
	struct node nodes[2];
	nodes_make(nodes, 2);
	pid_t pid = fork_node(&nodes[1]);
	node_start(&nodes[0]);
	for (unsigned life = 1; life <= 3; life++) {
		NODES_TURN_UNTIL(nodes, 1, nodes[0].ups == life);
		assert_int_equal(nodes[0].epochs[2], nodes[1].config.epoch);
		node_send(&nodes[0], 2, NET_CONTROL, 0, 100);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		NODES_TURN_UNTIL(nodes, 1, nodes[0].downs == life);
		nodes[1].config.epoch++;
		pid = life < 3 ? fork_node(&nodes[1]) : 0;
	}
	node_stop(&nodes[0]);
}

/* ------------------------------------------------------------------ tests: the rest */

static void test_address_in_use(void **state)
{
	struct node nodes[2];
	const char *error = "";
	nodes_make(nodes, 2);
	node_start(&nodes[0]);
	nodes[1].config.port = net_port(nodes[0].net);
	assert_int_not_equal(net_open(&nodes[1].config, &nodes[1].net, &error), FOS_OK);
	assert_non_null(strstr(error, inet_ntoa(node_here())));
	assert_non_null(strstr(error, "in use"));
	node_stop(&nodes[0]);
}

static void test_bad_configurations(void **state)
{
	struct node nodes[2];
	const char *error = "";
	nodes_make(nodes, 2);
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

static double cpu_seconds(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void test_idle_sleeps_and_wakes(void **state)
{
	struct node nodes[2];
	nodes_begin(nodes, 2);
	nodes_sleep(nodes, 2, 20u * MS);
	double before = cpu_seconds();
	unsigned wakes = nodes_sleep(nodes, 2, 500u * MS);
	double used = cpu_seconds() - before;
	print_message("idle: %u wakes, %.2f ms of CPU in 500 ms\n", wakes, used * 1e3);
	assert_true(wakes < 10);
	/* Everything wakes: messages, large ones that need many turns, a session's end, its return. */
	node_send(&nodes[0], 2, NET_CONTROL, 0, 8);
	for (uint64_t n = 0; n < 100; n++)
		node_send(&nodes[1], 1, NET_BULK, n, 300000);
	nodes_sleep_until(nodes, 2, PATIENCE, &nodes[0].messages, 100);
	assert_int_equal(nodes[0].messages, 100);
	assert_int_equal(nodes[1].messages, 1);
	net_end(nodes[0].net, 2, "test");
	nodes_sleep_until(nodes, 2, PATIENCE, &nodes[0].ups, 2);
	nodes_sleep_until(nodes, 2, PATIENCE, &nodes[1].ups, 2);
	assert_int_equal(nodes[1].downs, 1);
	assert_int_equal(nodes[0].ups, 2);
	assert_int_equal(nodes[1].ups, 2);
	nodes_end(nodes, 2);
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
		cmocka_unit_test(test_address_in_use),
		cmocka_unit_test(test_bad_configurations),
		cmocka_unit_test(test_idle_sleeps_and_wakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
