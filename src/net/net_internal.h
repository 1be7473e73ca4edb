/* What the files of net share: door.c (who may come in), fabric.c (libfabric), gate.c (its
 * listening side), session.c (the life of a session), net.c (the public calls, time and waiting).
 * Everything belongs to one thread. */
#ifndef FRACTOS_NET_INTERNAL_H
#define FRACTOS_NET_INTERNAL_H

#include <netinet/in.h>
#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <sys/socket.h>

#include "base/base.h"
#include "base/list.h"
#include "net/dialogue.h"
#include "net/net.h"

enum {
	NET_PEERS_MAX = 1024,
	NET_TALKS_MAX = 32, /* strangers at the door at a time; the oldest makes room */
	NET_RECEIVES_CONTROL = 16,
	NET_RECEIVES_BULK = 8, /* of 320 KiB each, so this bounds what a session holds */
	NET_SENDS_MAX = 64,    /* of a lane given to the provider at a time */
	/* Bytes of a lane given to the provider, above which it gets no further frame. The provider
	 * writes all it has before it looks at another endpoint: with one slice of 256 KiB at a time a
	 * round trip beside them takes 0.12 ms, with sixteen 2.4 ms, and the bandwidth is the same. */
	NET_SENDS_BYTES = 128 * 1024,
	NET_UNTOLD_MAX = 16, /* frames of a lane given to the provider without asking for a word */
	NET_UNTOLD_BYTES = 32 * 1024, /* of them */
	NET_FRAME_SMALL = 16384,      /* capacity of a pooled frame: what messages coalesce into */
	NET_FRAMES_KEPT = 64,         /* pooled frames that are kept when unused */
	NET_BURST = 16,               /* frames of the ordering test, per lane and direction */
	NET_LANES = 2
};

struct net;
struct session;

/* ------------------------------------------------------------------ frames
 * What one send carries: a head, then messages; the first 4 bytes of a message are its size, and
 * the next one starts at the next multiple of 8. `number` rises by one with every frame of a lane,
 * so that any disorder ends the session. */
enum frame_kind { FRAME_BURST = 1, FRAME_READY, FRAME_MESSAGES, FRAME_PROBE, FRAME_ALIVE };

struct frame_head {
	uint32_t number;
	uint16_t kind;
	uint16_t zero;
};

/* Head of everything the provider completes: its context. */
enum op_kind { OP_RECEIVE = 1, OP_SEND };
struct op {
	enum op_kind kind;
	bool told; /* a send: the provider is asked to say when it is done */
	struct lane *lane;
};

struct frame { /* to be sent */
	struct op op;
	struct list node; /* in a lane's queue or under way, or among the net's spare ones */
	size_t size, capacity;
	const uint8_t *data; /* of a slice; NULL: none */
	size_t data_len, padding;
	uint64_t token;
	_Alignas(8) uint8_t bytes[]; /* struct frame_head first */
};

static inline size_t frame_bytes(const struct frame *frame)
{
	return frame->size + frame->data_len + frame->padding;
}

struct receive {
	struct op op;
	uint8_t *bytes;
};

/* ------------------------------------------------------------------ sessions */

struct lane {
	struct session *session;
	enum net_lane which;
	struct fid_ep *ep;
	bool connected;
	uint32_t posted;         /* operations that the provider has still to speak of */
	struct list under_way;   /* frames given to the provider, in order */
	uint32_t sending;        /* of them */
	size_t sending_bytes;    /* of them */
	uint32_t untold;         /* the last ones, whose end the provider does not tell */
	size_t untold_bytes;     /* of them */
	struct list queue;       /* of frames not yet given to the provider */
	struct list dirty;       /* in net.dirty while the queue is not empty */
	uint32_t sent, received; /* frames: the next one's number */
	struct receive *receives;
	uint32_t receive_count;
	size_t receive_bytes; /* of each */
	uint8_t *memory;
};

enum session_state {
	SESSION_OPENING = 1, /* endpoints are being connected */
	SESSION_TESTING,     /* the ordering test */
	SESSION_UP,
	SESSION_ENDED /* endpoints are closed; memory waits for the last completions */
};

struct session {
	struct net *net;
	struct remote *remote;
	enum session_state state;
	bool accepting;  /* we gave the ticket */
	bool ready_sent; /* the peer's bursts have arrived */
	bool peer_ready; /* ours have arrived there */
	bool probing;
	uint32_t held; /* by callers up the stack */
	uint64_t epoch;
	uint64_t deadline;       /* of OPENING and TESTING */
	uint64_t probe_deadline; /* while probing */
	struct dialogue dialogue;
	struct lane lanes[NET_LANES];
	struct list ended; /* in net.ended */
	struct net_link link;
};

struct remote { /* another node of the cluster file */
	const struct net_peer *peer;
	struct sockaddr_storage address;
	socklen_t address_len;
	struct session *session;
	struct talk *dial; /* the dialogue that we began */
	uint64_t next_attempt;
	char complaint[256]; /* last line about it: said once until something changes */
};

/* ------------------------------------------------------------------ descriptors that are waited
 * for
 */
enum source_kind { SOURCE_EVENTS = 1, SOURCE_COMPLETIONS, SOURCE_GATE, SOURCE_DOOR, SOURCE_TALK };
struct source { /* data.ptr in the epoll set */
	enum source_kind kind;
};

struct talk { /* one connection at the door, theirs or ours */
	struct source source;
	struct list node; /* in net.talks, oldest first */
	int fd;
	bool ours, writing, parked, last_words;
	uint64_t deadline;
	struct remote *remote; /* of ours; of theirs once proven */
	char from[64];
	struct dialogue dialogue;
	size_t in_size, out_size, out_done;
	uint8_t in[DOOR_MESSAGE_MAX];
	uint8_t out[DOOR_MESSAGE_MAX];
};

/* The fabric's listening side, open only while a ticket is out: strangers can keep libfabric's tcp
 * provider busy with requests that do not go on, so they must not find it. */
struct gate {
	struct source source;
	struct fid_eq *eq;
	struct fid_pep *pep;
	uint32_t tickets; /* out */
	uint16_t port;
};

struct net {
	struct net_config config;
	struct net_peer *peers;
	struct door_self self;
	struct remote *remotes;
	uint64_t now, deadline;
	unsigned turn;
	bool armed; /* net_arm() said true: look at everything */
	int wait_fd;

	struct source door;
	int door_fd;
	uint16_t door_port;
	bool door_muted; /* until net.now reaches door_muted_until: accept() failed */
	uint64_t door_muted_until;
	struct list talks, closed_talks;
	uint32_t strangers;
	char complaint[256]; /* last line about strangers */
	uint32_t complaints; /* in the period that ends then */
	uint64_t complaints_end;

	struct fi_info *info;
	struct fid_fabric *fabric;
	struct fid_domain *domain;
	struct fid_eq *eq;
	struct fid_cq *cq;
	int cq_fd; /* becomes readable with it */
	struct source events, completions;
	bool watching; /* the completions' descriptor is enabled in the epoll set: see fabric_arm() */
	size_t inject_size;
	bool may_send_untold; /* see lane_send() */
	struct gate gate;

	struct list dirty, ended, spare;
	uint32_t spare_count;
};

/* net.c */
void net_wake_at(struct net *net, uint64_t when);
/* A line about a peer, said once until its session comes up or the line changes; about strangers
 * (remote NULL) at most a few lines in some seconds. */
void net_complain(struct net *net, struct remote *remote, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
bool net_watch(struct net *net, int fd, struct source *source, bool writing, bool change);
struct remote *net_remote(const struct net *net, uint32_t node);

/* door.c */
bool door_open(struct net *net, const char **error);
void door_close(struct net *net);
void door_begin(struct net *net, struct remote *remote);
void door_admit(struct net *net); /* new connections */
void door_ready(struct net *net, struct talk *talk);
void door_times(struct net *net);
void door_reap(struct net *net);
/* Gives up what we began with this peer, if anything. */
void door_hang_up(struct net *net, struct remote *remote);
/* The probe of a peer's old life ended: its newcomers are refused, or decided upon again. */
void door_decide_parked(struct net *net, struct remote *remote, bool alive);

/* fabric.c */
bool fabric_open(struct net *net, const char **error);
void fabric_close(struct net *net);
bool fabric_watch(struct net *net, struct fid *fid, struct source *source);
union connection_event { /* as fi_eq_read() gives it, with the data of a request */
	struct fi_eq_cm_entry entry;
	uint8_t bytes[sizeof(struct fi_eq_cm_entry) + 256];
};
/* fi_eq_read(), which is also what drives connecting in the tcp provider. */
ssize_t fabric_read_event(struct fid_eq *eq, uint32_t *event, union connection_event *out,
						  uint64_t flags);
bool lane_open(struct lane *lane, struct fi_info *info);
bool lane_connect(struct lane *lane, uint16_t port, const uint8_t *pass, size_t size);
bool lane_accept(struct lane *lane);
void lane_close(struct lane *lane);
bool lane_post(struct lane *lane, struct receive *receive);
/* 0, or -FI_EAGAIN, or what broke. */
int lane_send(struct lane *lane, struct frame *frame);
int fabric_completions(struct net *net);
int fabric_events(struct net *net);
bool fabric_arm(struct net *net);

/* gate.c */
bool gate_open(struct net *net);
void gate_close(struct net *net);
int gate_events(struct net *net);

/* session.c */
bool session_accept(struct net *net, struct remote *remote, const struct dialogue *dialogue);
void session_connect(struct net *net, struct remote *remote, const struct dialogue *dialogue,
					 uint16_t port);
/* Ends it in whatever state it is; `down` is called if `up` was. */
void session_end(struct session *session, const char *reason);
void session_probe(struct session *session);
void session_times(struct net *net);
void session_free_ended(struct net *net, bool all);
void session_queue(struct lane *lane, struct frame *frame);
struct frame *frame_take(struct net *net, size_t capacity);
void frame_give(struct net *net, struct frame *frame);
void session_flush(struct net *net);
/* From fabric.c. */
void session_requested(struct net *net, struct fi_info *info, const uint8_t *pass, size_t size);
void session_connected(struct lane *lane);
void session_lost(struct lane *lane, const char *reason);
void session_received(struct receive *receive, size_t size);
void session_sent(struct frame *frame);
void session_op_failed(struct op *op, const char *reason);

#endif
