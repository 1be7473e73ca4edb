/* Between the core and the net: sessions, messages, slices. A slice's bytes stay in the arena
 * while the net reads them, so the arena's mapping is held until the net says that it is done. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/controller.h"

#define SECOND UINT64_C(1000000000)

static struct peer *find(struct controller *c, uint32_t node)
{
	for (uint32_t i = 0; i < c->peer_count; i++)
		if (c->peers[i].node->id == node)
			return &c->peers[i];
	return NULL;
}

static void release_first(struct controller *c, struct peer *peer)
{
	struct slice *slice = peer->slices;
	peer->slices = slice->next;
	if (peer->slices == NULL)
		peer->slices_end = &peer->slices;
	arena_release_slice(c, slice->segment);
	free(slice);
}

static void on_up(void *context, uint32_t node, uint64_t epoch)
{
	struct controller *c = context;
	struct peer *peer = find(c, node);
	BASE_ASSERT(peer != NULL);
	peer->up = true;
	log_line(&c->log, "node \"%s\" connected", peer->node->name);
	controller_step(c, &(struct core_event){.type = CORE_SESSION_UP, .node = node, .epoch = epoch});
}

static void on_down(void *context, uint32_t node, const char *reason)
{
	struct controller *c = context;
	struct peer *peer = find(c, node);
	BASE_ASSERT(peer != NULL);
	if (!peer->up)
		return;
	peer->up = false;
	while (peer->slices != NULL)
		release_first(c, peer);
	log_line(&c->log, "node \"%s\" lost: %s", peer->node->name, reason);
	controller_step(c, &(struct core_event){.type = CORE_SESSION_GONE, .node = node});
}

static void on_message(void *context, uint32_t node, enum net_lane lane, const uint8_t *bytes,
					   size_t size)
{
	controller_step(context,
					&(struct core_event){.type = CORE_MESSAGE,
										 .node = node,
										 .lane = lane == NET_BULK ? CORE_BULK : CORE_CONTROL,
										 .bytes = bytes,
										 .size = size});
}

static void on_slice_sent(void *context, uint32_t node, uint64_t token)
{
	struct controller *c = context;
	struct peer *peer = find(c, node);
	BASE_ASSERT(peer != NULL && peer->slices != NULL && peer->slices->token == token);
	release_first(c, peer);
	controller_step(c, &(struct core_event){.type = CORE_SLICE_SENT, .node = node, .token = token});
}

static void on_log(void *context, const char *line)
{
	struct controller *c = context;
	log_line(&c->log, "%s", line);
}

bool peers_open(struct controller *c, char *error)
{
	const struct config *config = c->config;
	struct net_peer peers[CONFIG_NODES_MAX];
	struct net_config net = {
		.node = config->self->id,
		.port = config->self->port,
		.epoch = c->epoch,
		.connect_timeout = config->failure_timeout_ms * (SECOND / 1000),
		.retry_interval = config->heartbeat_ms * (SECOND / 1000),
		.peers = peers,
		.handlers = {.up = on_up,
					 .down = on_down,
					 .message = on_message,
					 .slice_sent = on_slice_sent,
					 .log = on_log,
					 .context = c},
	};
	const char *why;
	memcpy(net.name, config->self->name, sizeof net.name);
	memcpy(net.cluster, config->cluster, sizeof net.cluster);
	memcpy(net.address, config->self->address, sizeof net.address);
	memcpy(net.provider, config->provider, sizeof net.provider);
	memcpy(net.key, config->key, sizeof net.key);
	for (uint32_t i = 0; i < config->node_count; i++) {
		const struct config_node *node = &config->nodes[i];
		if (node == config->self)
			continue;
		struct net_peer *peer = &peers[c->peer_count];
		*peer = (struct net_peer){.node = node->id, .port = node->port};
		memcpy(peer->name, node->name, sizeof peer->name);
		memcpy(peer->address, node->address, sizeof peer->address);
		c->peers[c->peer_count] = (struct peer){.node = node};
		c->peers[c->peer_count].slices_end = &c->peers[c->peer_count].slices;
		c->peer_count++;
	}
	net.peer_count = c->peer_count;
	fos_status status = net_open(&net, &c->net, &why);
	explicit_bzero(net.key, sizeof net.key);
	if (status == FOS_OK)
		return true;
	snprintf(error, CONFIG_ERROR_MAX, "network: %s", why);
	return false;
}

void peers_close(struct controller *c)
{
	net_close(c->net);
	c->net = NULL;
	for (uint32_t i = 0; i < c->peer_count; i++)
		while (c->peers[i].slices != NULL)
			release_first(c, &c->peers[i]);
}

/* PEER_LOST needs no answer: on_down() has told the core, or will. */
static void check_sent(struct controller *c, uint32_t node, fos_status status)
{
	if (status != FOS_OK && status != FOS_PEER_LOST)
		net_end(c->net, node, fos_status_text(status));
	c->sent = true;
}

static enum net_lane net_lane_of(enum core_lane lane)
{
	return lane == CORE_BULK ? NET_BULK : NET_CONTROL;
}

void peers_send(struct controller *c, const struct core_output *out)
{
	check_sent(c, out->node,
			   net_send(c->net, out->node, net_lane_of(out->lane), out->bytes, out->size));
}

void peers_send_slice(struct controller *c, const struct core_output *out)
{
	struct peer *peer = find(c, out->node);
	struct slice *slice = malloc(sizeof *slice);
	BASE_ASSERT(peer != NULL);
	if (slice == NULL) {
		net_end(c->net, out->node, "no memory to send a slice");
		return;
	}
	*slice = (struct slice){.token = out->token};
	const uint8_t *data = arena_bytes(c, &out->from, &slice->segment);
	slice->segment->in_flight++;
	*peer->slices_end = slice;
	peer->slices_end = &slice->next;
	fos_status status = net_send_slice(c->net, out->node, out->bytes, out->size, data,
									   out->from.length, out->token);
	if (status == FOS_PEER_LOST)
		while (peer->slices != NULL) /* no session: none of them is read any more */
			release_first(c, peer);
	check_sent(c, out->node, status);
}
