/* The public calls, time and waiting. One thread drives all of it by net_poll(). */
#include <arpa/inet.h>
#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "net/net_internal.h"

enum {
	LOOK_EVERY = 8, /* turns of net_poll() between looks at what is not the fast path */
	EVENTS_AT_ONCE = 16,
	COMPLAINTS_MAX = 8 /* lines about strangers in a period */
};
static const uint64_t complaint_period = 10000000000; /* ns */

/* ------------------------------------------------------------------ shared by the files of net */

void net_wake_at(struct net *net, uint64_t when)
{
	net->deadline = BASE_MIN(net->deadline, when);
}

static void say(struct net *net, const char *line)
{
	if (net->config.handlers.log != NULL)
		net->config.handlers.log(net->config.handlers.context, line);
}

void net_complain(struct net *net, struct remote *remote, const char *format, ...)
{
	char line[256];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (remote == NULL) {
		if (net->now >= net->complaints_end) {
			net->complaints_end = net->now + complaint_period;
			net->complaints = 0;
			net->complaint[0] = '\0';
		}
		if (strcmp(net->complaint, line) == 0 || net->complaints >= COMPLAINTS_MAX)
			return;
		net->complaints++;
		memcpy(net->complaint, line, sizeof line);
	} else {
		if (strcmp(remote->complaint, line) == 0)
			return;
		memcpy(remote->complaint, line, sizeof line);
	}
	say(net, line);
}

bool net_watch(struct net *net, int fd, struct source *source, bool writing, bool change)
{
	struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0u), .data.ptr = source};
	return epoll_ctl(net->wait_fd, change ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) == 0;
}

struct remote *net_remote(const struct net *net, uint32_t node)
{
	for (uint32_t i = 0; i < net->config.peer_count; i++)
		if (net->peers[i].node == node)
			return &net->remotes[i];
	return NULL;
}

/* ------------------------------------------------------------------ opening and closing */

static bool parse_address(const struct net_peer *peer, struct remote *remote)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&remote->address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&remote->address;
	if (inet_pton(AF_INET, peer->address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(peer->port);
		remote->address_len = sizeof *v4;
		return true;
	}
	if (inet_pton(AF_INET6, peer->address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(peer->port);
		remote->address_len = sizeof *v6;
		return true;
	}
	return false;
}

static bool is_terminated(const char *text, size_t size)
{
	size_t len = strnlen(text, size);
	return len > 0 && len < size;
}

/* The cluster file comes from outside. */
static bool check_config(const struct net_config *c, const char **error)
{
	static _Thread_local char text[200];
	if (!is_terminated(c->name, sizeof c->name) || !is_terminated(c->cluster, sizeof c->cluster) ||
		!is_terminated(c->address, sizeof c->address) ||
		!is_terminated(c->provider, sizeof c->provider) || c->connect_timeout == 0 ||
		c->retry_interval == 0 || c->peer_count > NET_PEERS_MAX || c->handlers.message == NULL ||
		c->handlers.slice_sent == NULL) {
		*error = "the network's configuration is incomplete";
		return false;
	}
	for (uint32_t i = 0; i < c->peer_count; i++) {
		const struct net_peer *peer = &c->peers[i];
		struct remote remote = {0};
		bool twice = peer->node == c->node;
		for (uint32_t k = 0; k < i; k++)
			twice = twice || c->peers[k].node == peer->node;
		if (is_terminated(peer->name, sizeof peer->name) && !twice &&
			is_terminated(peer->address, sizeof peer->address) && parse_address(peer, &remote))
			continue;
		snprintf(text, sizeof text, "node %u (%.*s): %s", peer->node, NET_NAME_MAX, peer->name,
				 twice ? "its number is used twice"
					   : "it needs a name and a numeric IPv4 or IPv6 address");
		*error = text;
		return false;
	}
	return true;
}

static bool copy_config(struct net *net, const struct net_config *config)
{
	size_t count = config->peer_count;
	net->config = *config;
	net->peers = calloc(count + 1, sizeof *net->peers);
	net->remotes = calloc(count + 1, sizeof *net->remotes);
	if (net->peers == NULL || net->remotes == NULL)
		return false;
	if (count > 0)
		memcpy(net->peers, config->peers, count * sizeof *net->peers);
	net->config.peers = net->peers;
	for (size_t i = 0; i < count; i++) {
		net->remotes[i].peer = &net->peers[i];
		(void)parse_address(&net->peers[i], &net->remotes[i]);
	}
	net->self = (struct door_self){.node = config->node,
								   .epoch = config->epoch,
								   .peers = net->peers,
								   .peer_count = config->peer_count};
	memcpy(net->self.name, config->name, NET_NAME_MAX);
	memcpy(net->self.cluster, config->cluster, NET_NAME_MAX);
	memcpy(net->self.key, config->key, NET_KEY_BYTES);
	return true;
}

fos_status net_open(const struct net_config *config, struct net **out, const char **error)
{
	*error = "out of memory";
	if (!check_config(config, error))
		return FOS_INVALID;
	if (sodium_init() < 0) {
		*error = "libsodium has no random numbers";
		return FOS_INTERNAL;
	}
	struct net *net = calloc(1, sizeof *net);
	if (net == NULL)
		return FOS_QUOTA;
	list_init(&net->talks);
	list_init(&net->closed_talks);
	list_init(&net->dirty);
	list_init(&net->ended);
	list_init(&net->spare);
	net->door_fd = -1;
	net->wait_fd = epoll_create1(EPOLL_CLOEXEC);
	if (net->wait_fd < 0 || !copy_config(net, config) || !fabric_open(net, error) ||
		!door_open(net, error)) {
		net_close(net);
		return FOS_UNSUPPORTED;
	}
	*out = net;
	return FOS_OK;
}

void net_close(struct net *net)
{
	if (net == NULL)
		return;
	net->config.handlers = (struct net_handlers){0};
	door_close(net);
	for (uint32_t i = 0; net->remotes != NULL && i < net->config.peer_count; i++)
		if (net->remotes[i].session != NULL)
			session_end(net->remotes[i].session, "closed");
	/* What the provider still holds comes back now that the endpoints are closed. */
	while (net->cq != NULL && fabric_completions(net) > 0)
		continue;
	fabric_close(net);
	session_free_ended(net, true);
	struct list *node;
	while ((node = list_pop(&net->spare)) != NULL)
		free(BASE_CONTAINER(node, struct frame, node));
	if (net->wait_fd >= 0)
		close(net->wait_fd);
	free(net->remotes);
	free(net->peers);
	sodium_memzero(net, sizeof *net);
	free(net);
}

uint16_t net_port(const struct net *net)
{
	return net->door_port;
}

/* ------------------------------------------------------------------ driving */

/* Knocks at the doors of peers without a session. */
static void attempt(struct net *net)
{
	for (uint32_t i = 0; i < net->config.peer_count; i++) {
		struct remote *remote = &net->remotes[i];
		if (remote->session != NULL || remote->dial != NULL)
			continue;
		if (remote->next_attempt <= net->now) {
			remote->next_attempt = net->now + net->config.retry_interval;
			door_begin(net, remote);
		}
		if (remote->dial == NULL)
			net_wake_at(net, remote->next_attempt);
	}
}

static void times(struct net *net)
{
	if (net->now < net->deadline)
		return;
	net->deadline = UINT64_MAX;
	door_times(net);
	session_times(net);
	attempt(net);
}

static int look(struct net *net)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int happened = 0;
	int n = epoll_wait(net->wait_fd, events, EVENTS_AT_ONCE, 0);
	for (int i = 0; i < n; i++) {
		struct source *source = events[i].data.ptr;
		switch (source->kind) {
		case SOURCE_EVENTS:
			happened += fabric_events(net);
			break;
		case SOURCE_GATE:
			happened += gate_events(net);
			break;
		case SOURCE_DOOR:
			door_admit(net);
			happened++;
			break;
		case SOURCE_TALK:
			door_ready(net, BASE_CONTAINER(source, struct talk, source));
			happened++;
			break;
		case SOURCE_COMPLETIONS: /* read on every turn */
			net->watching = false;
			break;
		}
	}
	return happened;
}

int net_poll(struct net *net, uint64_t now)
{
	net->now = now;
	session_flush(net);
	int happened = fabric_completions(net);
	if (net->armed || net->turn++ % LOOK_EVERY == 0) {
		net->armed = false;
		happened += look(net);
		times(net);
		door_reap(net);
	}
	session_flush(net);
	if (!list_empty(&net->ended))
		session_free_ended(net, false);
	return happened;
}

int net_fd(const struct net *net)
{
	return net->wait_fd;
}

bool net_arm(struct net *net)
{
	session_flush(net);
	for (struct list *node = net->dirty.next; node != &net->dirty; node = node->next) {
		const struct lane *lane = BASE_CONTAINER(node, struct lane, dirty);
		if (lane->sending == lane->untold)
			return false; /* refused by the provider: no completion will wake us */
	}
	net->armed = true;
	return fabric_arm(net);
}

uint64_t net_deadline(const struct net *net)
{
	return net->deadline;
}

/* ------------------------------------------------------------------ sending */

static struct session *session_up(struct net *net, uint32_t node)
{
	struct remote *remote = net_remote(net, node);
	struct session *session = remote == NULL ? NULL : remote->session;
	return session != NULL && session->state == SESSION_UP ? session : NULL;
}

/* The last queued frame if the message still fits into it, else a new one that is not queued yet.
 */
static struct frame *frame_for(struct net *net, struct lane *lane, size_t size, bool slice,
							   bool *queued)
{
	*queued = false;
	if (!slice && !list_empty(&lane->queue)) {
		struct frame *last = BASE_CONTAINER(lane->queue.prev, struct frame, node);
		const struct frame_head *head = (const struct frame_head *)(void *)last->bytes;
		if (head->kind == FRAME_MESSAGES && last->data == NULL &&
			last->size + size <= last->capacity) {
			*queued = true;
			return last;
		}
	}
	struct frame *frame = frame_take(net, sizeof(struct frame_head) + size);
	if (frame != NULL)
		((struct frame_head *)(void *)frame->bytes)->kind = FRAME_MESSAGES;
	return frame;
}

static fos_status send_message(struct net *net, uint32_t node, enum net_lane which,
							   const uint8_t *bytes, size_t size, const uint8_t *data,
							   size_t data_len, uint64_t token, bool slice)
{
	struct session *session = session_up(net, node);
	uint32_t total;
	bool queued;
	BASE_ASSERT(size >= 8 && size % 8 == 0);
	memcpy(&total, bytes, sizeof total);
	BASE_ASSERT(total <= (which == NET_CONTROL ? NET_CONTROL_MAX : NET_MESSAGE_MAX));
	BASE_ASSERT(total >= size + data_len && total - size - data_len < 8);
	BASE_ASSERT(slice || total == size);
	if (session == NULL)
		return FOS_PEER_LOST;
	struct lane *lane = &session->lanes[which];
	struct frame *frame = frame_for(net, lane, size, slice, &queued);
	if (frame == NULL)
		return FOS_QUOTA;
	memcpy(frame->bytes + frame->size, bytes, size);
	frame->size += size;
	frame->data = data;
	frame->data_len = data_len;
	frame->padding = total - size - data_len;
	frame->token = token;
	if (!queued)
		session_queue(lane, frame);
	session->link.messages_sent++;
	session->link.bytes_sent += total;
	return FOS_OK;
}

fos_status net_send(struct net *net, uint32_t node, enum net_lane lane, const uint8_t *bytes,
					size_t size)
{
	return send_message(net, node, lane, bytes, size, NULL, 0, 0, false);
}

fos_status net_send_slice(struct net *net, uint32_t node, const uint8_t *bytes, size_t size,
						  const uint8_t *data, size_t data_len, uint64_t token)
{
	BASE_ASSERT(data != NULL && data_len > 0);
	return send_message(net, node, NET_BULK, bytes, size, data, data_len, token, true);
}

void net_flush(struct net *net)
{
	session_flush(net);
}

void net_end(struct net *net, uint32_t node, const char *reason)
{
	struct remote *remote = net_remote(net, node);
	if (remote != NULL && remote->session != NULL)
		session_end(remote->session, reason);
}

bool net_link(const struct net *net, uint32_t node, struct net_link *out)
{
	const struct remote *remote = net_remote(net, node);
	if (remote == NULL)
		return false;
	*out = (struct net_link){0};
	if (remote->session != NULL && remote->session->state == SESSION_UP)
		*out = remote->session->link;
	return true;
}
