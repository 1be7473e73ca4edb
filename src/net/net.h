/* Sessions with the Controllers of other nodes, over libfabric (FI_EP_MSG; provider tcp, or verbs).
 *
 * A session is two connected endpoints, control and bulk, opened only after both sides have proven
 * over the *door* (a plain TCP connection) that they know the cluster's key: in libfabric an
 * accepted endpoint can already reach registered memory. One node has at most one session with
 * another; a newer epoch of the peer ends the old session once that has not answered a probe.
 *
 *     connecting node                      door                     accepting node
 *       KNOCK  version, cluster, node, epoch, nonce a   ------>
 *                      <------  CHALLENGE  node, epoch, nonce b, mac(key, a, b, both, "accept")
 *       PROOF  mac(key, a, b, both, "connect")          ------>
 *                      <------  TICKET  fabric port, mac     or   WAIT     or   REFUSED  reason
 *       fi_connect(pass), for control and for bulk      ------>  fi_accept, once for each pass
 *
 * A pass is mac(key, a, b, both, "pass", lane): both sides compute it, it never crosses the door
 * and is good once. The fabric listens only while a ticket is out. WAIT: the old life is being
 * probed.
 *
 * All of it is driven by net_poll() on one thread; nothing blocks. Which side connects: the node
 * with the lower number; the other knocks to ask for it.
 */
#ifndef FRACTOS_NET_H
#define FRACTOS_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fractos/status.h>

struct net;

enum net_lane { NET_CONTROL, NET_BULK };
enum {
	NET_NAME_MAX = 32,
	NET_KEY_BYTES = 32,
	NET_MESSAGE_MAX = 320 * 1024, /* bytes of a message on the bulk lane, its slice included */
	NET_CONTROL_MAX = 64 * 1024   /* bytes of a message on the control lane */
};

struct net_peer {
	uint32_t node;
	char name[NET_NAME_MAX];
	char address[64]; /* numeric IPv4 or IPv6 */
	uint16_t port;    /* of its door */
};

struct net_handlers { /* called from net_poll(); may call net_send, net_end */
	void (*up)(void *context, uint32_t node, uint64_t epoch);
	void (*down)(void *context, uint32_t node, const char *reason);
	/* One message; bytes are aligned to 8, borrowed for the call and nobody else writes them. */
	void (*message)(void *context, uint32_t node, enum net_lane lane, const uint8_t *bytes,
					size_t size);
	/* The bytes given to net_send_slice() with this token may be overwritten. Not called for
	 * slices of a session that ended: `down` says it for all of them. */
	void (*slice_sent)(void *context, uint32_t node, uint64_t token);
	/* A line for the log: refused peers, with the reason. */
	void (*log)(void *context, const char *line);
	void *context;
};

struct net_config {
	uint32_t node;
	char name[NET_NAME_MAX];
	char cluster[NET_NAME_MAX];
	char address[64];  /* to listen at, for the door and the fabric */
	uint16_t port;     /* the door's; 0: any, see net_port() */
	char provider[16]; /* "tcp" */
	uint64_t epoch;
	uint8_t key[NET_KEY_BYTES];
	uint64_t connect_timeout;     /* ns for one attempt; also how long a probe waits */
	uint64_t retry_interval;      /* ns between attempts */
	const struct net_peer *peers; /* borrowed for net_open() */
	uint32_t peer_count;
	struct net_handlers handlers;
};

/* Opens the listening sides and begins to connect. *error (static or thread-local text) says why
 * not, in words that name the address. */
FOS_CHECKED fos_status net_open(const struct net_config *config, struct net **out,
								const char **error);
/* Closes everything at once, without calling handlers. NULL is allowed. */
void net_close(struct net *net);
uint16_t net_port(const struct net *net);

/* Drives everything that can go on; returns how many things happened. */
int net_poll(struct net *net, uint64_t now);
/* For sleeping: an epoll descriptor that becomes readable when net_poll() has something to do.
 * net_arm() must have returned true just before the sleep; false: poll again. */
int net_fd(const struct net *net);
bool net_arm(struct net *net);
uint64_t net_deadline(const struct net *net); /* ns of `now`; UINT64_MAX: none */

/* Queues one message; it is copied. Its first 4 bytes are its size, a multiple of 8. Messages of
 * one lane of a session keep their order. Without a session: PEER_LOST; without memory: QUOTA. The
 * caller bounds what it queues (the core's credits do). Messages of one turn to one peer leave in
 * one send: net_flush() or the next net_poll() sends them. */
FOS_CHECKED fos_status net_send(struct net *net, uint32_t node, enum net_lane lane,
								const uint8_t *bytes, size_t size);
/* The same on the bulk lane, the message continuing with `data`, which stays in place until
 * handlers.slice_sent(token) or handlers.down. The size in the message's head includes the data; it
 * may be rounded up to a multiple of 8, the rest is sent as zeros. */
FOS_CHECKED fos_status net_send_slice(struct net *net, uint32_t node, const uint8_t *bytes,
									  size_t size, const uint8_t *data, size_t data_len,
									  uint64_t token);
void net_flush(struct net *net);
/* Ends a session now: endpoints are closed before it returns; `down` is called with reason. */
void net_end(struct net *net, uint32_t node, const char *reason);

struct net_link {
	bool up;
	uint64_t epoch;
	uint64_t messages_sent, messages_received, bytes_sent, bytes_received;
};
bool net_link(const struct net *net, uint32_t node, struct net_link *out);

#endif
