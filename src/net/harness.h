/* For the tests of net: nodes of one process over loopback with ephemeral ports, driven turn by
 * turn, and strangers at their doors. What goes wrong in here fails the test; cmocka.h comes first.
 */
#ifndef FRACTOS_NET_HARNESS_H
#define FRACTOS_NET_HARNESS_H

#include <netinet/in.h>

#include "base/base.h"
#include "net/net.h"

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

struct head { /* of the messages of these tests */
	uint32_t size;
	uint32_t data; /* bytes behind the head that have a pattern */
	uint64_t number;
	uint64_t zero[2];
};
_Static_assert(sizeof(struct head) == HEAD, "padding");

uint64_t node_now(void); /* CLOCK_MONOTONIC, ns */
/* The time that nets are told: at most `most` behind the last one, so that their times do not run
 * out while this process does not get a core. */
uint64_t node_time(uint64_t most);
/* An address of this program's own, whose ports nobody else takes. */
struct in_addr node_here(void);
uint8_t node_pattern(uint64_t number, size_t i);

/* ------------------------------------------------------------------ nodes */

/* A node with its number from 1, that knows no others. */
void node_prepare(struct node *self, uint32_t number);
void node_add_peer(struct node *self, uint32_t number, uint16_t port);
void node_start(struct node *self);
void node_stop(struct node *self);
/* Nodes 1..count that know each other. */
void nodes_make(struct node *nodes, uint32_t count);
void nodes_begin(struct node *nodes, uint32_t count); /* the same, until all sessions are up */
void nodes_end(struct node *nodes, uint32_t count);
bool node_said(const struct node *node, const char *text); /* in its log */
void node_send(struct node *from, uint32_t to, enum net_lane lane, uint64_t number, uint32_t data);
unsigned node_descriptors(void); /* open in this process */

void nodes_turn(struct node *nodes, uint32_t count);
void nodes_turn_for(struct node *nodes, uint32_t count, uint64_t ns);
/* Turns until the condition holds; fails when no machine is so busy. */
#define NODES_TURN_UNTIL(nodes, count, condition)                                   \
	do {                                                                            \
		uint64_t end_ = node_now() + PATIENCE;                                      \
		while (!(condition)) {                                                      \
			nodes_turn(nodes, count);                                               \
			if (node_now() > end_)                                                  \
				fail_msg("it did not happen: %s\n%s%s", #condition, (nodes)[0].log, \
						 (nodes)[(count)-1].log);                                   \
		}                                                                           \
	} while (0)
/* As the daemon waits: armed, then asleep; until a counter (NULL: none) has come to a value, or the
 * time is over. Returns how often it woke. */
unsigned nodes_sleep_until(struct node *nodes, uint32_t count, uint64_t ns, const uint64_t *counter,
						   uint64_t value);
unsigned nodes_sleep(struct node *nodes, uint32_t count, uint64_t ns);

/* ------------------------------------------------------------------ strangers */

int node_knock(uint16_t port); /* a connection to a node's door */
bool node_is_closed(int fd);   /* by the other end */

#endif
