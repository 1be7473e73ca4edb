/* The fabric's gate: who has a ticket comes in once, with his own pass, while it is good; nobody
 * else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rdma/fi_cm.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_errno.h>

#include "net/dialogue.h"
#include "net/harness.h"
#include "net/net_internal.h"

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
	address.sin_addr.s_addr = node_here().s_addr;
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
	int fd = node_knock(net_port(nodes[1].net));
	do {
		assert_int_equal(send(fd, &result.reply, result.reply_size, 0), result.reply_size);
		size = 0;
		while (size == 0 || dialogue_message_size(bytes, size) == 0) {
			ssize_t n = recv(fd, bytes + size, sizeof bytes - size, MSG_DONTWAIT);
			assert_true(n != 0);
			size += n > 0 ? (size_t)n : 0;
			nodes_turn(nodes + 1, 1);
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
	NODES_TURN_UNTIL(nodes + 1, 1, (outcome = impostor_look(i)) != 0);
	return outcome;
}

static void test_passes_are_good_once(void **state)
{
	struct node nodes[2];
	struct dialogue d;
	struct door_self self;
	struct impostor good, bad;
	uint8_t pass[DOOR_MAC];
	nodes_make(nodes, 2);
	node_start(&nodes[1]);
	uint16_t port = play_for_ticket(nodes, &d, &self);
	dialogue_pass(&d, &self, NET_CONTROL, pass);
	pass[31] ^= 1;
	assert_int_equal(try_pass(nodes, &bad, port, pass), -1);
	assert_true(node_said(&nodes[1], "without a valid pass"));
	impostor_close(&bad);
	pass[31] ^= 1;
	assert_int_equal(try_pass(nodes, &good, port, pass), 1);
	assert_int_equal(try_pass(nodes, &bad, port, pass), -1);
	impostor_close(&bad);
	assert_int_equal(nodes[1].ups, 0); /* one lane is no session */
	NODES_TURN_UNTIL(nodes + 1, 1, node_said(&nodes[1], "did not come up in time"));
	impostor_close(&good);
	nodes_end(nodes, 2);
}

/* Without a ticket nobody listens at the fabric's port, and a ticket ends with its time. */
static void test_gate_closes_with_the_ticket(void **state)
{
	struct node nodes[2];
	struct dialogue d;
	struct door_self self;
	nodes_make(nodes, 2);
	node_start(&nodes[1]);
	unsigned before = node_descriptors();
	struct sockaddr_in address = {.sin_family = AF_INET};
	address.sin_port = htons(play_for_ticket(nodes, &d, &self));
	address.sin_addr.s_addr = node_here().s_addr;
	NODES_TURN_UNTIL(nodes + 1, 1, node_said(&nodes[1], "did not come up in time"));
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
	nodes_turn_for(nodes + 1, 1, 5u * MS);
	assert_true(node_descriptors() <= before + 1); /* it may be knocking at node 1 */
	nodes_end(nodes, 2);
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
		unsigned before = node_descriptors();
		nodes_make(nodes, 2);
		node_start(&nodes[1]);
		uint16_t port = play_for_ticket(nodes, &d, &self);
		for (unsigned i = 0; i < CONNECTIONS; i++) {
			fds[i] = node_knock(port);
			if (i % 3 == 1)
				assert_int_equal(send(fds[i], "\3\0\0", 3, MSG_NOSIGNAL), 3);
			if (i == CONNECTIONS - UNSEEN)
				nodes_turn_for(nodes + 1, 1, 5u * MS);
		}
		if (closed_by_us)
			node_stop(&nodes[1]);
		else
			NODES_TURN_UNTIL(nodes + 1, 1, node_said(&nodes[1], "did not come up in time"));
		for (unsigned i = 0; i < CONNECTIONS; i++) {
			assert_true(node_is_closed(fds[i]));
			close(fds[i]);
		}
		node_stop(&nodes[1]);
		assert_int_equal(node_descriptors(), before);
	}
}

/* A peer that dies while it connects is not looked at again and again until the ticket's end. */
static void test_request_hung_up(void **state)
{
	struct node nodes[2];
	struct dialogue d;
	struct door_self self;
	nodes_make(nodes, 2);
	nodes[1].config.connect_timeout = 60000ull * MS;
	node_start(&nodes[1]);
	uint16_t port = play_for_ticket(nodes, &d, &self);
	unsigned before = node_descriptors();
	int fd = node_knock(port);
	NODES_TURN_UNTIL(nodes + 1, 1, node_descriptors() == before + 2);
	close(fd);
	NODES_TURN_UNTIL(nodes + 1, 1, node_descriptors() == before);
	assert_true(nodes_sleep(nodes + 1, 1, 50u * MS) < 10);
	nodes_end(nodes, 2);
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
	nodes_make(nodes, 2);
	node_start(&nodes[1]);
	struct request {
		uint8_t version, type;
		uint16_t data;
		uint32_t part;
		uint64_t numbers[3];
	} head = {.version = 3, .data = htons(200)}; /* as the provider's own */
	int fd = node_knock(play_for_ticket(nodes, &d, &self));
	assert_int_equal(send(fd, &head, sizeof head, MSG_NOSIGNAL), sizeof head);
	pid_t pid = fork(); /* holds the connection so long that a wait for it is seen */
	if (pid == 0) {
		poll(NULL, 0, 1000);
		_exit(0);
	}
	close(fd);
	for (unsigned i = 0; i < 100; i++) {
		uint64_t waited = waited_for_a_core(), begun = node_now();
		nodes_turn(nodes + 1, 1);
		uint64_t took = node_now() - begun;
		longest = BASE_MAX(longest, took - BASE_MIN(took, waited_for_a_core() - waited));
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(longest < 500u * MS);
	nodes_end(nodes, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_passes_are_good_once),
		cmocka_unit_test(test_gate_closes_with_the_ticket),
		cmocka_unit_test(test_unfinished_requests_go_with_the_gate),
		cmocka_unit_test(test_request_hung_up),
		cmocka_unit_test(test_request_without_its_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
