/* The door's sockets: a listening one, strangers' connections and our own, each a talk that feeds
 * the dialogue (dialogue.c) message by message, and what is decided when a peer has proven itself.
 *
 * A stranger costs a descriptor and a kilobyte until the talk's deadline, and there are at most
 * NET_TALKS_MAX of them: the oldest that has proven nothing makes room for a new one.
 *
 *     theirs:  KNOCK, PROOF -> decide -> ticket       the session is awaited (session_accept)
 *                                     -> wait, parked  the peer's old life is probed first
 *                                     -> refused
 *     ours:    CHALLENGE, TICKET -> session_connect;  or "called": the lower node will connect
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "net/net_internal.h"

/* ------------------------------------------------------------------ talks */

static struct talk *talk_new(struct net *net, int fd, bool ours)
{
	struct talk *talk = calloc(1, sizeof *talk);
	if (talk == NULL)
		return NULL;
	talk->source.kind = SOURCE_TALK;
	talk->fd = fd;
	talk->ours = talk->writing = ours;
	talk->deadline = net->now + net->config.connect_timeout;
	if (!net_watch(net, fd, &talk->source, talk->writing, false)) {
		free(talk);
		return NULL;
	}
	list_init(&talk->node);
	list_push(&net->talks, &talk->node);
	net->strangers += !ours;
	net_wake_at(net, talk->deadline);
	return talk;
}

/* The memory stays until door_reap(): an event that is already read may still name it. */
static void talk_close(struct net *net, struct talk *talk)
{
	if (talk->fd < 0)
		return;
	/* A child that was forked meanwhile may hold the descriptor open: its events would still come.
	 */
	epoll_ctl(net->wait_fd, EPOLL_CTL_DEL, talk->fd, NULL);
	close(talk->fd);
	talk->fd = -1;
	net->strangers -= !talk->ours;
	BASE_ASSERT(!talk->ours || talk->remote != NULL);
	if (talk->ours && talk->remote->dial == talk) {
		talk->remote->dial = NULL;
		net_wake_at(net, talk->remote->next_attempt);
	}
	list_remove(&talk->node);
	list_push(&net->closed_talks, &talk->node);
}

void door_reap(struct net *net)
{
	struct list *node;
	while ((node = list_pop(&net->closed_talks)) != NULL)
		free(BASE_CONTAINER(node, struct talk, node));
}

void door_hang_up(struct net *net, struct remote *remote)
{
	if (remote->dial != NULL)
		talk_close(net, remote->dial);
}

/* Sends what waits; the rest when the socket has room. */
static void talk_write(struct net *net, struct talk *talk)
{
	while (talk->out_done < talk->out_size) {
		ssize_t n = send(talk->fd, talk->out + talk->out_done, talk->out_size - talk->out_done,
						 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0) {
			talk_close(net, talk);
			return;
		}
		talk->out_done += (size_t)n;
	}
	bool rest = talk->out_done < talk->out_size;
	if (!rest)
		talk->out_done = talk->out_size = 0;
	if (!rest && talk->last_words) {
		talk_close(net, talk);
		return;
	}
	if (rest != talk->writing) {
		talk->writing = rest;
		if (!net_watch(net, talk->fd, &talk->source, rest, true))
			talk_close(net, talk);
	}
}

static void talk_say(struct net *net, struct talk *talk, const union door_message *message,
					 size_t size, bool last)
{
	talk->last_words = last;
	if (size > sizeof talk->out - talk->out_size) {
		talk_close(net, talk); /* it does not read what we say */
		return;
	}
	memcpy(talk->out + talk->out_size, message, size);
	talk->out_size += size;
	talk_write(net, talk);
}

/* ------------------------------------------------------------------ words for the log */

static void complain_refused(struct net *net, struct talk *talk, enum net_refusal refusal,
							 bool by_us)
{
	const struct net_config *c = &net->config;
	const struct dialogue *d = &talk->dialogue;
	if (talk->ours) {
		BASE_ASSERT(talk->remote != NULL);
		const struct net_peer *peer = talk->remote->peer;
		if (by_us)
			net_complain(net, talk->remote, "node %u (%s) at %s was refused: %s", peer->node,
						 peer->name, talk->from, net_refusal_of_other(refusal));
		else
			net_complain(net, talk->remote,
						 "node %u (%s) at %s refused this node, %u (%s): node %u (%s) is %s%s",
						 peer->node, peer->name, talk->from, c->node, c->name, c->node, c->name,
						 refusal == NET_REFUSED_TAKEN ? "" : "refused, ",
						 net_refusal_of_self(refusal));
		return;
	}
	const char *text = by_us ? net_refusal_of_other(refusal) : net_refusal_of_self(refusal);
	const char *verb = by_us ? "was refused" : "gave up";
	if (refusal == NET_REFUSED_TAKEN)
		net_complain(net, talk->remote, "a Controller at %s was refused: node %u (%s) is %s",
					 talk->from, d->knock.node, d->knock.name, text);
	else if (d->state == DIALOGUE_OVER && d->knock.node != 0 && refusal != NET_REFUSED_GARBAGE)
		net_complain(net, NULL, "a Controller at %s that says it is node %u (%.*s) %s: %s",
					 talk->from, d->knock.node, NET_NAME_MAX, d->knock.name, verb, text);
	else
		net_complain(net, NULL, "a connection from %s %s: %s", talk->from, verb, text);
}

static void refuse(struct net *net, struct talk *talk, enum net_refusal refusal)
{
	union door_message reply;
	size_t size = dialogue_refuse(&talk->dialogue, refusal, &reply);
	complain_refused(net, talk, refusal, true);
	talk_say(net, talk, &reply, size, true);
}

/* ------------------------------------------------------------------ a peer has proven itself */

static void give_ticket(struct net *net, struct talk *talk)
{
	union door_message reply;
	struct dialogue proven = talk->dialogue;
	if (!session_accept(net, talk->remote, &proven)) {
		refuse(net, talk, NET_REFUSED_NO_ROOM);
		return;
	}
	size_t size = dialogue_ticket(&talk->dialogue, &net->self, net->gate.port, &reply);
	talk_say(net, talk, &reply, size, true);
}

/* It asks us to connect to it. If we believe in a session with this very life of it, only a probe
 * can tell whether its request is older than that session. */
static void take_request(struct net *net, struct talk *talk)
{
	union door_message reply;
	struct remote *remote = talk->remote;
	if (remote->session != NULL)
		session_probe(remote->session);
	else if (remote->dial == NULL)
		remote->next_attempt = net->now;
	net_wake_at(net, net->now);
	size_t size = dialogue_ticket(&talk->dialogue, &net->self, 0, &reply);
	talk_say(net, talk, &reply, size, true);
}

static void decide(struct net *net, struct talk *talk)
{
	struct session *session = talk->remote->session;
	if (session != NULL && session->state == SESSION_UP &&
		session->epoch != talk->dialogue.peer_epoch) {
		union door_message reply;
		session_probe(session);
		talk->parked = true;
		talk->deadline = net->now + 2 * net->config.connect_timeout;
		net_wake_at(net, talk->deadline);
		talk_say(net, talk, &reply, dialogue_wait(&reply), false);
		return;
	}
	if ((talk->dialogue.knock.flags & DOOR_REQUEST) != 0)
		take_request(net, talk);
	else
		give_ticket(net, talk);
}

static struct talk *parked_talk(struct net *net, const struct remote *remote)
{
	for (struct list *node = net->talks.next; node != &net->talks; node = node->next) {
		struct talk *talk = BASE_CONTAINER(node, struct talk, node);
		if (talk->parked && talk->remote == remote)
			return talk;
	}
	return NULL;
}

void door_decide_parked(struct net *net, struct remote *remote, bool alive)
{
	struct talk *talk;
	while ((talk = parked_talk(net, remote)) != NULL) {
		talk->parked = false;
		if (alive)
			refuse(net, talk, NET_REFUSED_TAKEN);
		else
			decide(net, talk);
	}
}

/* ------------------------------------------------------------------ what arrives */

static void talk_step(struct net *net, struct talk *talk, const struct dialogue_result *result)
{
	struct remote *remote = talk->remote;
	if (talk->dialogue.peer != NULL && remote == NULL)
		remote = net_remote(net, talk->dialogue.peer->node);
	switch (result->step) {
	case DIALOGUE_CONTINUES:
		talk_say(net, talk, &result->reply, result->reply_size, false);
		break;
	case DIALOGUE_PROVEN:
		talk->remote = remote;
		decide(net, talk);
		break;
	case DIALOGUE_WELCOME:
		session_connect(net, remote, &talk->dialogue, (uint16_t)result->port);
		talk_close(net, talk);
		break;
	case DIALOGUE_CALLED:
		talk_close(net, talk);
		break;
	case DIALOGUE_WAITING:
		talk->deadline = net->now + 2 * net->config.connect_timeout;
		net_wake_at(net, talk->deadline);
		break;
	case DIALOGUE_REFUSED_US:
		complain_refused(net, talk, result->refusal, false);
		talk_close(net, talk);
		break;
	case DIALOGUE_WE_REFUSE:
		complain_refused(net, talk, result->refusal, true);
		talk_say(net, talk, &result->reply, result->reply_size, true);
		break;
	}
}

static void talk_read(struct net *net, struct talk *talk)
{
	ssize_t n =
		recv(talk->fd, talk->in + talk->in_size, sizeof talk->in - talk->in_size, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		if (talk->ours)
			net_complain(net, talk->remote, "node %u (%s) at %s: %s", talk->remote->peer->node,
						 talk->remote->peer->name, talk->from,
						 n < 0 ? strerror(errno) : "it closed the connection at the door");
		talk_close(net, talk);
		return;
	}
	talk->in_size += (size_t)n;
	while (talk->fd >= 0 && !talk->last_words && !talk->parked && talk->in_size > 0) {
		struct dialogue_result result;
		int size = dialogue_message_size(talk->in, talk->in_size);
		if (size == 0)
			return;
		if (size < 0) {
			refuse(net, talk, NET_REFUSED_GARBAGE);
			return;
		}
		dialogue_feed(&talk->dialogue, &net->self, talk->in, (size_t)size, &result);
		talk->in_size -= (size_t)size;
		memmove(talk->in, talk->in + size, talk->in_size);
		talk_step(net, talk, &result);
	}
	/* Nobody who keeps to the protocol says more than the buffer holds while it waits for us. */
	if (talk->fd >= 0 && talk->in_size == sizeof talk->in)
		talk_close(net, talk);
}

void door_ready(struct net *net, struct talk *talk)
{
	if (talk->fd < 0)
		return;
	if (talk->writing && talk->ours && talk->out_done == 0) {
		int error = 0;
		socklen_t len = sizeof error;
		if (getsockopt(talk->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
			net_complain(net, talk->remote, "node %u (%s) at %s: %s", talk->remote->peer->node,
						 talk->remote->peer->name, talk->from, strerror(error));
			talk_close(net, talk);
			return;
		}
	}
	if (talk->writing)
		talk_write(net, talk);
	if (talk->fd >= 0)
		talk_read(net, talk);
}

/* ------------------------------------------------------------------ beginning */

static void print_address(const struct sockaddr_storage *address, bool port, char *out, size_t size)
{
	char text[INET6_ADDRSTRLEN] = "?";
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	const bool six = address->ss_family == AF_INET6;
	memcpy(&v4, address, sizeof v4);
	memcpy(&v6, address, sizeof v6);
	inet_ntop(address->ss_family, six ? (const void *)&v6.sin6_addr : &v4.sin_addr, text,
			  sizeof text);
	if (port)
		snprintf(out, size, six ? "[%s]:%u" : "%s:%u", text,
				 ntohs(six ? v6.sin6_port : v4.sin_port));
	else
		snprintf(out, size, "%s", text);
}

void door_begin(struct net *net, struct remote *remote)
{
	int on = 1;
	BASE_ASSERT(remote->dial == NULL);
	int fd = socket(remote->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		goto failed;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(fd, (const struct sockaddr *)&remote->address, remote->address_len) != 0 &&
		errno != EINPROGRESS)
		goto close;
	struct talk *talk = talk_new(net, fd, true);
	if (talk == NULL)
		goto close;
	struct dialogue_result first;
	uint32_t flags = remote->peer->node < net->config.node ? DOOR_REQUEST : 0;
	talk->remote = remote;
	remote->dial = talk;
	print_address(&remote->address, true, talk->from, sizeof talk->from);
	dialogue_connect(&talk->dialogue, &net->self, remote->peer, flags, &first);
	memcpy(talk->out, &first.reply, first.reply_size);
	talk->out_size = first.reply_size;
	return;
close:
	close(fd);
failed:
	net_complain(net, remote, "node %u (%s): cannot connect: %s", remote->peer->node,
				 remote->peer->name, strerror(errno));
}

/* The oldest stranger that has proven nothing goes. */
static bool make_room(struct net *net)
{
	for (struct list *node = net->talks.next; node != &net->talks; node = node->next) {
		struct talk *talk = BASE_CONTAINER(node, struct talk, node);
		if (!talk->ours && !talk->parked) {
			talk_close(net, talk);
			return true;
		}
	}
	return false;
}

void door_admit(struct net *net)
{
	for (int i = 0; i < NET_TALKS_MAX; i++) {
		struct sockaddr_storage address = {0};
		socklen_t len = sizeof address;
		int fd =
			accept4(net->door_fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0 && errno == EAGAIN)
			return;
		if (fd < 0) { /* no descriptors, no memory: the socket would stay readable */
			net_complain(net, NULL, "the door cannot accept: %s", strerror(errno));
			epoll_ctl(net->wait_fd, EPOLL_CTL_DEL, net->door_fd, NULL);
			net->door_muted = true;
			net->door_muted_until = net->now + net->config.retry_interval;
			net_wake_at(net, net->door_muted_until);
			return;
		}
		int on = 1;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		struct talk *talk = NULL;
		if (net->strangers < NET_TALKS_MAX || make_room(net))
			talk = talk_new(net, fd, false);
		if (talk == NULL) {
			close(fd);
			continue;
		}
		print_address(&address, false, talk->from, sizeof talk->from);
		dialogue_accept(&talk->dialogue);
	}
}

void door_times(struct net *net)
{
	struct list *next;
	for (struct list *node = net->talks.next; node != &net->talks; node = next) {
		struct talk *talk = BASE_CONTAINER(node, struct talk, node);
		next = node->next;
		if (talk->deadline > net->now) {
			net_wake_at(net, talk->deadline);
			continue;
		}
		if (talk->ours)
			net_complain(net, talk->remote, "node %u (%s) at %s: no answer at the door",
						 talk->remote->peer->node, talk->remote->peer->name, talk->from);
		else
			net_complain(net, NULL, "a connection from %s did not finish in time", talk->from);
		talk_close(net, talk);
	}
	if (net->door_muted && net->door_muted_until <= net->now)
		net->door_muted = !net_watch(net, net->door_fd, &net->door, false, false);
	if (net->door_muted)
		net_wake_at(net, net->door_muted_until = BASE_MAX(net->door_muted_until,
														  net->now + net->config.retry_interval));
}

bool door_open(struct net *net, const char **error)
{
	static _Thread_local char text[160];
	const struct net_config *c = &net->config;
	struct sockaddr_storage address;
	int on = 1;
	memcpy(&address, net->info->src_addr, BASE_MIN(net->info->src_addrlen, sizeof address));
	socklen_t len = (socklen_t)net->info->src_addrlen;
	if (address.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&address)->sin6_port = htons(c->port);
	else
		((struct sockaddr_in *)&address)->sin_port = htons(c->port);
	net->door.kind = SOURCE_DOOR;
	net->door_fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (net->door_fd < 0 ||
		setsockopt(net->door_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
		bind(net->door_fd, (struct sockaddr *)&address, len) != 0 ||
		listen(net->door_fd, NET_TALKS_MAX) != 0 ||
		getsockname(net->door_fd, (struct sockaddr *)&address, &len) != 0 ||
		!net_watch(net, net->door_fd, &net->door, false, false)) {
		snprintf(text, sizeof text, "cannot listen at %s port %u: %s", c->address, c->port,
				 strerror(errno));
		*error = text;
		return false;
	}
	net->door_port =
		ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
											: ((struct sockaddr_in *)&address)->sin_port);
	return true;
}

void door_close(struct net *net)
{
	while (!list_empty(&net->talks))
		talk_close(net, BASE_CONTAINER(net->talks.next, struct talk, node));
	door_reap(net);
	if (net->door_fd >= 0)
		close(net->door_fd);
	net->door_fd = -1;
}
