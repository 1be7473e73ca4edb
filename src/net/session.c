/* The life of a session: two endpoints, the test of their order, frames in and out, its end.
 *
 *     accepting  ticket given -> OPENING   both passes came, both endpoints connected -> TESTING
 *     connecting ticket taken -> OPENING   both endpoints connected                   -> TESTING
 *     TESTING    each side sends NET_BURST numbered frames on each lane, of sizes that take every
 *                path of the provider; who has all of the other's sends READY
 *     UP         all of the peer's bursts are here and it says READY, or it already sends messages
 *     ENDED      from any state: endpoints are closed; the memory goes when the provider has
 *                reported every operation that was posted
 *
 * Order is not only tested at the start: every frame carries its number.
 */
#include <errno.h>
#include <rdma/fi_errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/net_internal.h"

/* ------------------------------------------------------------------ frames */

struct frame *frame_take(struct net *net, size_t capacity)
{
	struct frame *frame;
	struct list *node = capacity <= NET_FRAME_SMALL ? list_pop(&net->spare) : NULL;
	if (node != NULL) {
		net->spare_count--;
		frame = BASE_CONTAINER(node, struct frame, node);
	} else {
		capacity = BASE_MAX(capacity, (size_t)NET_FRAME_SMALL);
		frame = malloc(sizeof *frame + capacity);
		if (frame == NULL)
			return NULL;
		frame->capacity = capacity;
	}
	list_init(&frame->node);
	frame->size = sizeof(struct frame_head);
	frame->data = NULL;
	frame->data_len = frame->padding = 0;
	frame->token = 0;
	memset(frame->bytes, 0, sizeof(struct frame_head));
	return frame;
}

void frame_give(struct net *net, struct frame *frame)
{
	if (frame->capacity != NET_FRAME_SMALL || net->spare_count >= NET_FRAMES_KEPT) {
		free(frame);
		return;
	}
	list_push(&net->spare, &frame->node);
	net->spare_count++;
}

static struct frame_head *head_of(struct frame *frame)
{
	return (struct frame_head *)(void *)frame->bytes;
}

void session_queue(struct lane *lane, struct frame *frame)
{
	struct net *net = lane->session->net;
	head_of(frame)->number = lane->sent++;
	list_push(&lane->queue, &frame->node);
	if (list_empty(&lane->dirty))
		list_push(&net->dirty, &lane->dirty);
}

static bool queue_sign(struct lane *lane, enum frame_kind kind, size_t size)
{
	struct frame *frame = frame_take(lane->session->net, size);
	if (frame == NULL)
		return false;
	memset(frame->bytes, 0, size);
	frame->size = size;
	head_of(frame)->kind = (uint16_t)kind;
	session_queue(lane, frame);
	return true;
}

/* Gives queued frames to the provider as far as it takes them. What it refuses for now stays and is
 * offered again when one of the earlier ones is out. */
static void flush_lane(struct lane *lane)
{
	struct list *node;
	while (lane->sending < NET_SENDS_MAX && lane->sending_bytes < NET_SENDS_BYTES &&
		   (node = list_pop(&lane->queue)) != NULL) {
		struct frame *frame = BASE_CONTAINER(node, struct frame, node);
		int status = lane_send(lane, frame);
		if (status == 0)
			continue;
		list_insert_before(lane->queue.next, &frame->node);
		if (status != -FI_EAGAIN)
			session_end(lane->session, fi_strerror(-status));
		return;
	}
	if (list_empty(&lane->queue))
		list_remove(&lane->dirty);
}

void session_flush(struct net *net)
{
	struct list again;
	struct list *node;
	list_init(&again);
	while ((node = list_pop(&net->dirty)) != NULL) {
		struct lane *lane = BASE_CONTAINER(node, struct lane, dirty);
		list_push(&again, &lane->dirty);
		flush_lane(lane);
	}
	while ((node = list_pop(&again)) != NULL)
		list_push(&net->dirty, node);
}

/* ------------------------------------------------------------------ beginning and end */

static struct session *session_new(struct net *net, struct remote *remote,
								   const struct dialogue *dialogue)
{
	struct session *session = calloc(1, sizeof *session);
	if (session == NULL)
		return NULL;
	session->net = net;
	session->remote = remote;
	session->state = SESSION_OPENING;
	session->epoch = dialogue->peer_epoch;
	session->dialogue = *dialogue;
	session->deadline = net->now + net->config.connect_timeout;
	list_init(&session->ended);
	for (unsigned i = 0; i < NET_LANES; i++) {
		struct lane *lane = &session->lanes[i];
		lane->session = session;
		lane->which = (enum net_lane)i;
		list_init(&lane->under_way);
		list_init(&lane->queue);
		list_init(&lane->dirty);
	}
	remote->session = session;
	net_wake_at(net, session->deadline);
	return session;
}

bool session_accept(struct net *net, struct remote *remote, const struct dialogue *dialogue)
{
	door_hang_up(net, remote);
	while (remote->session != NULL) /* its end may let a parked newcomer in */
		session_end(remote->session, "the peer begins a new session");
	if (!gate_open(net))
		return false;
	struct session *session = session_new(net, remote, dialogue);
	if (session == NULL) {
		gate_close(net);
		return false;
	}
	session->accepting = true;
	return true;
}

void session_connect(struct net *net, struct remote *remote, const struct dialogue *dialogue,
					 uint16_t port)
{
	BASE_ASSERT(remote->session == NULL);
	struct session *session = session_new(net, remote, dialogue);
	if (session == NULL)
		return;
	for (unsigned i = 0; i < NET_LANES; i++) {
		uint8_t pass[DOOR_MAC];
		struct lane *lane = &session->lanes[i];
		dialogue_pass(&session->dialogue, &net->self, lane->which, pass);
		if (!lane_open(lane, NULL) || !lane_connect(lane, port, pass, sizeof pass)) {
			session_end(session, "cannot open an endpoint");
			return;
		}
	}
}

/* The ticket is used up or over. */
static void take_back_ticket(struct session *session)
{
	if (session->accepting)
		gate_close(session->net);
	session->accepting = false;
}

static void drop_queue(struct lane *lane)
{
	struct list *node;
	while ((node = list_pop(&lane->queue)) != NULL)
		frame_give(lane->session->net, BASE_CONTAINER(node, struct frame, node));
	list_remove(&lane->dirty);
}

void session_end(struct session *session, const char *reason)
{
	struct net *net = session->net;
	struct remote *remote = session->remote;
	bool was_up = session->state == SESSION_UP;
	if (session->state == SESSION_ENDED)
		return;
	session->state = SESSION_ENDED;
	take_back_ticket(session);
	for (unsigned i = 0; i < NET_LANES; i++) {
		lane_close(&session->lanes[i]);
		drop_queue(&session->lanes[i]);
	}
	sodium_memzero(&session->dialogue, sizeof session->dialogue);
	list_push(&net->ended, &session->ended);
	BASE_ASSERT(remote->session == session);
	remote->session = NULL;
	net_wake_at(net, BASE_MAX(remote->next_attempt, net->now));
	if (was_up && net->config.handlers.down != NULL)
		net->config.handlers.down(net->config.handlers.context, remote->peer->node, reason);
	else if (!was_up)
		net_complain(net, remote, "node %u (%s): no session: %s", remote->peer->node,
					 remote->peer->name, reason);
	/* A newcomer that waited for a probe of this life need not wait any longer. */
	if (was_up)
		door_decide_parked(net, remote, false);
}

/* The provider is done with a send, which is not in the list any more. */
static void come_back(struct frame *frame)
{
	struct lane *lane = frame->op.lane;
	BASE_ASSERT(lane->sending > 0);
	lane->sending--;
	lane->sending_bytes -= frame_bytes(frame);
	frame_give(lane->session->net, frame);
}

static void session_free(struct session *session)
{
	for (unsigned i = 0; i < NET_LANES; i++) {
		struct list *node;
		while ((node = list_pop(&session->lanes[i].under_way)) != NULL)
			come_back(BASE_CONTAINER(node, struct frame, node));
		free(session->lanes[i].receives);
		free(session->lanes[i].memory);
	}
	free(session);
}

/* `all`: the completion queue is closed, nothing will be reported any more. */
void session_free_ended(struct net *net, bool all)
{
	struct list *next;
	for (struct list *node = net->ended.next; node != &net->ended; node = next) {
		struct session *session = BASE_CONTAINER(node, struct session, ended);
		next = node->next;
		bool quiet = session->held == 0;
		for (unsigned i = 0; i < NET_LANES; i++)
			quiet = quiet && session->lanes[i].posted == 0;
		if (all || quiet) {
			list_remove(&session->ended);
			session_free(session);
		}
	}
}

void session_times(struct net *net)
{
	for (uint32_t i = 0; i < net->config.peer_count; i++) {
		struct session *session = net->remotes[i].session;
		if (session == NULL)
			continue;
		bool beginning = session->state != SESSION_UP;
		if (!beginning && !session->probing)
			continue;
		uint64_t deadline = beginning ? session->deadline : session->probe_deadline;
		if (deadline > net->now)
			net_wake_at(net, deadline);
		else
			session_end(session, beginning ? "it did not come up in time"
										   : "the peer did not answer a probe");
	}
}

/* ------------------------------------------------------------------ connecting */

static struct lane *lane_of_pass(struct net *net, const uint8_t *pass, size_t size)
{
	if (size < DOOR_MAC)
		return NULL;
	for (uint32_t i = 0; i < net->config.peer_count; i++) {
		struct session *session = net->remotes[i].session;
		if (session == NULL || !session->accepting)
			continue;
		for (unsigned k = 0; k < NET_LANES; k++) {
			uint8_t wanted[DOOR_MAC];
			struct lane *lane = &session->lanes[k];
			dialogue_pass(&session->dialogue, &net->self, lane->which, wanted);
			if (lane->ep == NULL && sodium_memcmp(wanted, pass, DOOR_MAC) == 0)
				return lane;
		}
	}
	return NULL;
}

/* A connection request at the gate. Whoever has no pass gets no endpoint. */
void session_requested(struct net *net, struct fi_info *info, const uint8_t *pass, size_t size)
{
	struct lane *lane = lane_of_pass(net, pass, size);
	if (lane == NULL) {
		fi_reject(net->gate.pep, info->handle, NULL, 0);
		fi_freeinfo(info);
		net_complain(net, NULL, "an endpoint without a valid pass was refused");
		return;
	}
	struct session *session = lane->session;
	if (!lane_open(lane, info) || !lane_accept(lane)) {
		lane_close(lane); /* it may still name the handle, which is freed now */
		fi_reject(net->gate.pep, info->handle, NULL, 0);
		session_end(session, "cannot accept an endpoint");
	}
	fi_freeinfo(info);
	if (session->lanes[0].ep != NULL && session->lanes[1].ep != NULL)
		take_back_ticket(session);
}

static bool bursts_are_here(const struct session *session)
{
	return session->lanes[0].received >= NET_BURST && session->lanes[1].received >= NET_BURST;
}

/* Once all of the peer's bursts are here, and behind our own. False: no memory. */
static bool say_ready(struct session *session)
{
	if (session->ready_sent || session->state != SESSION_TESTING || !bursts_are_here(session))
		return true;
	session->ready_sent = true;
	return queue_sign(&session->lanes[NET_CONTROL], FRAME_READY, sizeof(struct frame_head));
}

void session_connected(struct lane *lane)
{
	static const size_t sizes[] = {8, 120, 128, 136, 1024, 4096, 9000, NET_FRAME_SMALL};
	struct session *session = lane->session;
	lane->connected = true;
	for (unsigned i = 0; i < NET_BURST; i++)
		if (!queue_sign(lane, FRAME_BURST, sizes[i % BASE_COUNT(sizes)])) {
			session_end(session, "no memory");
			return;
		}
	if (session->lanes[0].connected && session->lanes[1].connected)
		session->state = SESSION_TESTING;
	if (!say_ready(session))
		session_end(session, "no memory");
}

void session_lost(struct lane *lane, const char *reason)
{
	session_end(lane->session, reason);
}

void session_op_failed(struct op *op, const char *reason)
{
	struct session *session = op->lane->session;
	if (op->kind == OP_SEND) {
		struct frame *frame = BASE_CONTAINER(op, struct frame, op);
		list_remove(&frame->node);
		come_back(frame);
	}
	session_end(session, reason);
}

void session_sent(struct frame *frame)
{
	struct lane *lane = frame->op.lane;
	struct session *session = lane->session;
	struct net *net = session->net;
	bool slice = frame->data != NULL;
	uint64_t token = frame->token;
	struct list *node;
	while ((node = list_pop(&lane->under_way)) != &frame->node) {
		BASE_ASSERT(node != NULL);
		come_back(BASE_CONTAINER(node, struct frame, node));
	}
	come_back(frame);
	if (slice && session->state == SESSION_UP)
		net->config.handlers.slice_sent(net->config.handlers.context, session->remote->peer->node,
										token);
}

/* ------------------------------------------------------------------ probing */

void session_probe(struct session *session)
{
	if (session->state != SESSION_UP || session->probing)
		return;
	session->probing = true;
	session->probe_deadline = session->net->now + session->net->config.connect_timeout;
	net_wake_at(session->net, session->probe_deadline);
	if (!queue_sign(&session->lanes[NET_CONTROL], FRAME_PROBE, sizeof(struct frame_head)))
		session_end(session, "no memory");
}

/* ------------------------------------------------------------------ what arrives */

static void come_up(struct session *session)
{
	struct net *net = session->net;
	session->state = SESSION_UP;
	session->link = (struct net_link){.up = true, .epoch = session->epoch};
	session->remote->complaint[0] = '\0';
	sodium_memzero(&session->dialogue, sizeof session->dialogue);
	door_hang_up(net, session->remote);
	if (net->config.handlers.up != NULL)
		net->config.handlers.up(net->config.handlers.context, session->remote->peer->node,
								session->epoch);
}

/* Splits a frame into its messages. False: it is malformed. */
static bool take_messages(struct lane *lane, const uint8_t *bytes, size_t left)
{
	struct session *session = lane->session;
	const struct net_handlers *h = &session->net->config.handlers;
	while (left > 0 && session->state == SESSION_UP) {
		uint32_t size;
		if (left < 8)
			return false;
		memcpy(&size, bytes, sizeof size);
		if (size < 8 || size > left || (size % 8 != 0 && size != left))
			return false;
		session->link.messages_received++;
		session->link.bytes_received += size;
		h->message(h->context, session->remote->peer->node, lane->which, bytes, size);
		bytes += size;
		left -= size;
	}
	return true;
}

/* False: the peer broke the protocol. */
static bool take_frame(struct lane *lane, const uint8_t *bytes, size_t size)
{
	struct session *session = lane->session;
	struct frame_head head;
	if (size < sizeof head)
		return false;
	memcpy(&head, bytes, sizeof head);
	if (head.number != lane->received++ || head.zero != 0)
		return false;
	if ((head.kind == FRAME_BURST) != (head.number < NET_BURST))
		return false;
	if (head.kind != FRAME_BURST && session->state != SESSION_UP) {
		/* Whatever is not a burst shows that the peer has all of ours. Its READY can overtake its
		 * bursts on the other lane; anything else it sends when it has our READY, thus later. */
		if (session->state != SESSION_TESTING)
			return false;
		if (bursts_are_here(session))
			come_up(session);
		else if (head.kind != FRAME_READY || session->peer_ready)
			return false;
		session->peer_ready = true;
	}
	switch (head.kind) {
	case FRAME_BURST:
		if (!say_ready(session))
			return false;
		if (session->peer_ready && session->state == SESSION_TESTING && bursts_are_here(session))
			come_up(session);
		return true;
	case FRAME_READY:
		return size == sizeof head;
	case FRAME_MESSAGES:
		return session->state != SESSION_UP ||
			   take_messages(lane, bytes + sizeof head, size - sizeof head);
	case FRAME_PROBE:
		return size == sizeof head &&
			   (session->state != SESSION_UP ||
				queue_sign(&session->lanes[NET_CONTROL], FRAME_ALIVE, sizeof head));
	case FRAME_ALIVE:
		if (session->probing) {
			session->probing = false;
			door_decide_parked(session->net, session->remote, true);
		}
		return size == sizeof head;
	default:
		return false;
	}
}

void session_received(struct receive *receive, size_t size)
{
	struct lane *lane = receive->op.lane;
	struct session *session = lane->session;
	if (session->state == SESSION_ENDED)
		return;
	session->held++;
	if (!take_frame(lane, receive->bytes, size))
		session_end(session, "the peer broke the protocol");
	session->held--;
	if (session->state != SESSION_ENDED && !lane_post(lane, receive))
		session_end(session, "cannot post a receive");
}
