/* Who may come in at the door, who may not and why, and strangers of every sort. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/harness.h"
#include "net/net_internal.h"

/* ------------------------------------------------------------------ tests: who may come in */

/* Both sides name the reason, and no session comes up. */
static void check_refused(struct node *nodes, const char *first, const char *second)
{
	node_start(&nodes[0]);
	node_start(&nodes[1]);
	NODES_TURN_UNTIL(nodes, 2, node_said(&nodes[0], first) && node_said(&nodes[1], second));
	nodes_turn_for(nodes, 2, 60u * MS);
	assert_int_equal(nodes[0].ups + nodes[1].ups, 0);
	nodes_end(nodes, 2);
}

static void test_wrong_key(void **state)
{
	struct node nodes[2];
	nodes_make(nodes, 2);
	nodes[1].config.key[31] ^= 1;
	check_refused(nodes, "wrong key", "wrong key");
}

static void test_other_cluster(void **state)
{
	struct node nodes[2];
	nodes_make(nodes, 2);
	snprintf(nodes[1].config.cluster, sizeof nodes[1].config.cluster, "other");
	check_refused(nodes, "another cluster", "another cluster");
}

static void test_name_mismatch(void **state)
{
	struct node nodes[2];
	nodes_make(nodes, 2);
	snprintf(nodes[0].peers[0].name, sizeof nodes[0].peers[0].name, "nobody");
	check_refused(nodes, "do not match", "do not match");
}

static void test_unknown_node(void **state)
{
	struct node nodes[2];
	nodes_make(nodes, 2);
	nodes[1].config.node = 9;
	check_refused(nodes, "not in the cluster file", "not in that node's cluster file");
}

/* A second Controller with the name of a living one: refused with a clear line on both sides, and
 * the living session stays. */
static void test_duplicate_node(void **state)
{
	struct node nodes[3];
	nodes_begin(nodes, 2);
	for (uint32_t twin = 1; twin <= 2; twin++) {
		struct node *copy = &nodes[2], *other = &nodes[2 - twin];
		node_prepare(copy, twin);
		copy->config.port = 0;
		node_add_peer(copy, 3 - twin, net_port(other->net));
		node_start(copy);
		NODES_TURN_UNTIL(nodes, 3,
						 node_said(copy, "already in the cluster") &&
							 node_said(other, "already in the cluster"));
		nodes_turn_for(nodes, 3, 100u * MS);
		assert_int_equal(copy->ups, 0);
		assert_int_equal(nodes[0].downs + nodes[1].downs, 0);
		node_stop(copy);
	}
	nodes_end(nodes, 2);
}

/* The old life does not answer and does not close its sockets: the probe's end lets the new in. */
static void test_newcomer_after_a_silent_death(void **state)
{
	for (uint32_t number = 1; number <= 2; number++) {
		struct node nodes[2], silent;
		nodes_begin(nodes, 2);
		struct node *living = &nodes[2 - number], *dead = &nodes[number - 1];
		silent = *dead; /* its net is not polled any more */
		node_prepare(dead, number);
		node_add_peer(dead, 3 - number, net_port(living->net));
		node_start(dead);
		uint64_t begun = node_now();
		NODES_TURN_UNTIL(nodes, 2, living->downs == 1);
		assert_string_equal(living->reason, "the peer did not answer a probe");
		assert_true(node_now() - begun >= 400u * MS);
		if (number == 1)
			NODES_TURN_UNTIL(nodes, 2, living->ups == 2 && dead->ups == 1);
		node_stop(&silent);
		nodes_end(nodes, 2);
	}
}

/* ------------------------------------------------------------------ tests: strangers */

static void test_other_version(void **state)
{
	struct node nodes[1];
	struct door_refused reply;
	nodes_make(nodes, 1);
	node_start(&nodes[0]);
	int fd = node_knock(net_port(nodes[0].net));
	struct door_head head = {
		.magic = DOOR_MAGIC, .type = DOOR_KNOCK, .size = 4000, .version = DOOR_VERSION + 1};
	assert_int_equal(send(fd, &head, sizeof head, 0), sizeof head);
	NODES_TURN_UNTIL(nodes, 1, node_said(&nodes[0], "another version"));
	assert_int_equal(recv(fd, &reply, sizeof reply, MSG_WAITALL), sizeof reply);
	assert_int_equal(reply.head.type, DOOR_REFUSED);
	assert_int_equal(reply.refusal, NET_REFUSED_VERSION);
	close(fd);
	nodes_end(nodes, 1);
}

static void test_garbage_and_cut_knocks(void **state)
{
	struct node nodes[2];
	nodes_begin(nodes, 2);
	unsigned before = node_descriptors();
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
		int fd = node_knock(net_port(nodes[0].net));
		send(fd, bytes, size, MSG_NOSIGNAL);
		for (unsigned t = 0; t < 20; t++)
			nodes_turn(nodes, 2);
		close(fd);
	}
	NODES_TURN_UNTIL(nodes, 2, node_descriptors() == before);
	assert_int_equal(nodes[0].downs, 0);
	assert_true(node_said(&nodes[0], "does not keep to the protocol"));
	nodes_end(nodes, 2);
}

/* A process that was forked while a stranger talked holds the stranger's connection open: what
 * still comes on it is nobody's. */
static void test_a_fork_keeps_a_strangers_connection(void **state)
{
	struct node node[1];
	int alive[2];
	nodes_begin(node, 1);
	int fd = node_knock(net_port(node->net));
	assert_int_equal(send(fd, "FOS", 3, MSG_NOSIGNAL), 3);
	for (unsigned t = 0; t < 16; t++)
		nodes_turn(node, 1);
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
	NODES_TURN_UNTIL(node, 1, node_said(node, "does not keep to the protocol"));
	assert_int_equal(send(fd, rubbish, sizeof rubbish, MSG_NOSIGNAL), sizeof rubbish);
	for (unsigned t = 0; t < 100; t++)
		nodes_turn(node, 1);
	close(alive[1]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(fd);
	nodes_end(node, 1);
}

static void test_slow_strangers_and_too_many(void **state)
{
	enum { STRANGERS = 100 };
	struct node nodes[2];
	int fds[STRANGERS];
	nodes_make(nodes, 2);
	nodes[1].config.connect_timeout = 3000ull * MS;
	node_start(&nodes[1]);
	unsigned before = node_descriptors();
	for (unsigned i = 0; i < STRANGERS; i++) {
		fds[i] = node_knock(net_port(nodes[1].net));
		assert_int_equal(send(fds[i], "FOS", 3, MSG_NOSIGNAL), 3);
		for (unsigned t = 0; t < 16; t++)
			nodes_turn(nodes + 1, 1);
	}
	assert_true(node_descriptors() - before <= STRANGERS + 33);
	/* With all places taken by strangers whose time is not over, the real peer still comes in. */
	node_start(&nodes[0]);
	NODES_TURN_UNTIL(nodes, 2, nodes[0].ups == 1 && nodes[1].ups == 1);
	/* And in the end all of them are sent away. */
	NODES_TURN_UNTIL(nodes, 2, node_is_closed(fds[STRANGERS - 1]));
	for (unsigned i = 0; i < STRANGERS; i++) {
		assert_true(node_is_closed(fds[i]));
		close(fds[i]);
	}
	nodes_end(nodes, 2);
}

/* Whoever waits at the address a Controller has to connect to, but never says a word. */
static void test_mute_door(void **state)
{
	struct node nodes[1];
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_addr.s_addr = node_here().s_addr;
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	getsockname(fd, (struct sockaddr *)&address, &len);
	node_prepare(&nodes[0], 1);
	node_add_peer(&nodes[0], 2, ntohs(address.sin_port));
	node_start(&nodes[0]);
	NODES_TURN_UNTIL(nodes, 1, node_said(&nodes[0], "no answer at the door"));
	close(fd);
	nodes_end(nodes, 1);
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
	address.sin_addr.s_addr = node_here().s_addr;
	assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(listener, 8), 0);
	getsockname(listener, (struct sockaddr *)&address, &len);
	node_prepare(&nodes[0], 1);
	nodes[0].config.connect_timeout = 60000ull * MS;
	node_add_peer(&nodes[0], 2, ntohs(address.sin_port));
	const uint64_t begun = node_time(0), stop_at = node_now() + PATIENCE;
	node_start(&nodes[0]);
	while (attempts < ATTEMPTS && node_now() < stop_at) {
		nodes_sleep(nodes, 1, 5u * MS);
		int fd = accept(listener, NULL, NULL);
		if (fd >= 0) {
			attempts++;
			close(fd);
		}
	}
	assert_int_equal(attempts, ATTEMPTS);
	const uint64_t interval = nodes[0].config.retry_interval;
	assert_in_range(node_time(0) - begun, (ATTEMPTS - 1) * interval, 2 * ATTEMPTS * interval);
	close(listener);
	nodes_end(nodes, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
