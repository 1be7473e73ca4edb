/* The words spoken at the door, without the sockets: fixed-layout messages, the proofs, and the
 * two sides of the dialogue as state machines that are fed one message at a time. Serves door.c and
 * the fuzzer; makes no system call and takes no memory. */
#ifndef FRACTOS_NET_DIALOGUE_H
#define FRACTOS_NET_DIALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/net.h"

enum { DOOR_VERSION = 1, DOOR_NONCE = 32, DOOR_MAC = 32, DOOR_MESSAGE_MAX = 256 };
#define DOOR_MAGIC 0x44534f46u /* "FOSD" */

/* X(NAME, number, what the refusing side logs of the other node, what the refused node logs of
 * itself).
 * The numbers are part of the protocol. */
#define NET_REFUSALS(X)                                                                   \
	X(GARBAGE, 1, "it does not keep to the protocol", "it does not keep to the protocol") \
	X(VERSION, 2, "it speaks another version of the protocol",                            \
	  "it speaks another version of the protocol")                                        \
	X(CLUSTER, 3, "it belongs to another cluster", "it belongs to another cluster")       \
	X(KEY, 4, "wrong key: it does not have the cluster's key",                            \
	  "wrong key: the two nodes have different keys")                                     \
	X(UNKNOWN, 5, "its node number is not in the cluster file",                           \
	  "its number is not in that node's cluster file")                                    \
	X(NAME, 6, "its node number and name do not match in the cluster file",               \
	  "its number and name do not match in that node's cluster file")                     \
	X(DOOR, 7, "it looks for another node at this address",                               \
	  "another node than the cluster file says listens at that address")                  \
	X(TAKEN, 8, "already in the cluster: a Controller of that node is alive and answers", \
	  "already in the cluster: another Controller with its name is alive there")          \
	X(NO_ROOM, 9, "there was no room for a session", "there was no room for a session")

enum net_refusal {
	NET_REFUSED_NOT,
#define NET_REFUSAL_ENUM(name, number, of_other, of_self) NET_REFUSED_##name = (number),
	NET_REFUSALS(NET_REFUSAL_ENUM)
#undef NET_REFUSAL_ENUM
		NET_REFUSAL_COUNT
};
/* Never NULL; a number outside the table gives words that say so. */
const char *net_refusal_of_other(enum net_refusal refusal);
const char *net_refusal_of_self(enum net_refusal refusal);

enum door_type {
	DOOR_KNOCK = 1,
	DOOR_CHALLENGE,
	DOOR_PROOF,
	DOOR_TICKET,
	DOOR_WAIT,   /* the old life of the knocking node is being probed */
	DOOR_REFUSED /* head and refusal keep their layout in every version */
};

struct door_head {
	uint32_t magic;
	uint16_t type;
	uint16_t size; /* bytes of the whole message */
	uint32_t version;
	uint32_t zero;
};

enum door_flags { DOOR_REQUEST = 1 }; /* "please connect to me": from the higher node */

struct door_knock {
	struct door_head head;
	char cluster[NET_NAME_MAX];
	uint32_t node, to_node;
	char name[NET_NAME_MAX], to_name[NET_NAME_MAX];
	uint64_t epoch;
	uint32_t flags;
	uint32_t zero;
	uint8_t nonce[DOOR_NONCE];
};

struct door_challenge {
	struct door_head head;
	uint64_t epoch;
	uint8_t nonce[DOOR_NONCE];
	uint8_t mac[DOOR_MAC];
};

struct door_proof {
	struct door_head head;
	uint8_t mac[DOOR_MAC];
};

struct door_ticket {
	struct door_head head;
	uint32_t port; /* of the fabric, at the door's address; 0: "I will connect to you" */
	uint32_t zero;
	uint8_t mac[DOOR_MAC];
};

struct door_wait {
	struct door_head head;
};

struct door_refused {
	struct door_head head;
	uint32_t refusal; /* enum net_refusal */
	uint32_t zero;
};

union door_message {
	struct door_head head;
	struct door_knock knock;
	struct door_challenge challenge;
	struct door_proof proof;
	struct door_ticket ticket;
	struct door_wait wait;
	struct door_refused refused;
};
_Static_assert(sizeof(struct door_knock) == 168 && sizeof(struct door_challenge) == 88, "padding");
_Static_assert(sizeof(union door_message) <= DOOR_MESSAGE_MAX, "room");

struct door_self { /* who we are; borrowed by the dialogue */
	uint32_t node;
	char name[NET_NAME_MAX];
	char cluster[NET_NAME_MAX];
	uint64_t epoch;
	uint8_t key[NET_KEY_BYTES];
	const struct net_peer *peers;
	uint32_t peer_count;
};

enum dialogue_state {
	DIALOGUE_AWAIT_KNOCK = 1, /* accepting side */
	DIALOGUE_AWAIT_PROOF,
	DIALOGUE_AWAIT_DECISION,  /* ours */
	DIALOGUE_AWAIT_CHALLENGE, /* connecting side */
	DIALOGUE_AWAIT_TICKET,
	DIALOGUE_OVER
};

struct dialogue {
	enum dialogue_state state;
	const struct net_peer *peer; /* NULL: not known yet */
	uint64_t peer_epoch;
	struct door_knock knock;
	struct door_challenge challenge;
};

enum dialogue_step {
	DIALOGUE_CONTINUES = 1,
	DIALOGUE_PROVEN,     /* accepting: the peer is who it says; now give a ticket, wait or refuse */
	DIALOGUE_WELCOME,    /* connecting: here is the fabric's port */
	DIALOGUE_CALLED,     /* connecting with DOOR_REQUEST: the peer will connect */
	DIALOGUE_WAITING,    /* connecting: the answer takes as long as a probe */
	DIALOGUE_REFUSED_US, /* the other side refused: *refusal */
	DIALOGUE_WE_REFUSE   /* the reply tells it: *refusal */
};

struct dialogue_result {
	enum dialogue_step step;
	enum net_refusal refusal;
	uint32_t port;
	size_t reply_size; /* 0: no reply */
	union door_message reply;
};

/* Begins to knock; out->reply is the first message. */
void dialogue_connect(struct dialogue *d, const struct door_self *self, const struct net_peer *peer,
					  uint32_t flags, struct dialogue_result *out);
void dialogue_accept(struct dialogue *d);

/* Whether the bytes that have arrived hold a whole message: its size; 0: more bytes are needed;
 * -1: it can never become one. A message of another version is whole with its head. */
int dialogue_message_size(const uint8_t *bytes, size_t size);

/* One whole message. */
void dialogue_feed(struct dialogue *d, const struct door_self *self, const uint8_t *bytes,
				   size_t size, struct dialogue_result *out);

/* The accepting side's answers after DIALOGUE_PROVEN. Return the reply's size. */
size_t dialogue_ticket(struct dialogue *d, const struct door_self *self, uint32_t port,
					   union door_message *out);
size_t dialogue_wait(union door_message *out);
size_t dialogue_refuse(struct dialogue *d, enum net_refusal refusal, union door_message *out);

/* What proves on the fabric that this endpoint belongs to this dialogue: good once, as the nonces
 * are. It never crosses the door: both sides compute it. */
void dialogue_pass(const struct dialogue *d, const struct door_self *self, enum net_lane lane,
				   uint8_t out[DOOR_MAC]);

#endif
