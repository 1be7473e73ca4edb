/* libfabric, and nothing of it anywhere else but in gate.c: one fabric and domain, one event queue
 * for connections and one completion queue for both lanes of all sessions, endpoints.
 *
 * What was found in the tcp provider of 1.17 and is relied on or guarded against here:
 *  - it has no threads: sockets move only inside fi_cq_read(), fi_eq_read() and the posting calls;
 *  - closing an endpoint leaves one error completion for each posted operation, whose contexts must
 *    still be there when they are read: a session's memory waits for lane.posted to reach zero;
 *  - every completion costs two system calls, to signal the wait descriptor and to reset it: what
 *    fits is injected, which makes none, and of other small sends only every so many asks for one;
 *  - when fi_close() of an endpoint returns, the errors of all its operations are in the completion
 *    queue, sends before receives, so that nothing is heard of a send once posted is zero;
 *  - an end of file in the middle of connecting counts as "nothing yet" if errno says EAGAIN from
 *    some call before, and is then found again for ever: fabric_read_event() clears errno.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <rdma/fi_errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "net/net_internal.h"

enum { COMPLETIONS_AT_ONCE = 32 };

/* ------------------------------------------------------------------ fabric, domain, queues */

static bool fail(const struct net *net, const char *what, int status, const char **error)
{
	static _Thread_local char text[200];
	snprintf(text, sizeof text, "provider %s at %s: %s: %s", net->config.provider,
			 net->config.address, what, fi_strerror(-status));
	*error = text;
	return false;
}

static int get_info(struct net *net)
{
	struct fi_info *hints = fi_allocinfo();
	if (hints == NULL)
		return -FI_ENOMEM;
	hints->ep_attr->type = FI_EP_MSG;
	hints->caps = FI_MSG;
	hints->mode = 0;
	hints->domain_attr->mr_mode = 0;
	hints->domain_attr->threading = FI_THREAD_DOMAIN;
	hints->tx_attr->msg_order = FI_ORDER_SAS | FI_ORDER_SAW;
	hints->rx_attr->msg_order = FI_ORDER_SAS | FI_ORDER_SAW;
	hints->fabric_attr->prov_name = strdup(net->config.provider);
	int status = hints->fabric_attr->prov_name == NULL
					 ? -FI_ENOMEM
					 : fi_getinfo(FI_VERSION(1, 17), net->config.address, "0",
								  FI_SOURCE | FI_NUMERICHOST, hints, &net->info);
	fi_freeinfo(hints);
	return status;
}

bool fabric_watch(struct net *net, struct fid *fid, struct source *source)
{
	int fd = -1;
	return fi_control(fid, FI_GETWAIT, &fd) == 0 && net_watch(net, fd, source, false, false);
}

bool fabric_open(struct net *net, const char **error)
{
	struct fi_eq_attr eq_attr = {.wait_obj = FI_WAIT_FD};
	struct fi_cq_attr cq_attr = {.format = FI_CQ_FORMAT_MSG, .wait_obj = FI_WAIT_FD, .size = 4096};
	int status = get_info(net);
	if (status != 0)
		return fail(net, "no connected endpoints here", status, error);
	if ((status = fi_fabric(net->info->fabric_attr, &net->fabric, NULL)) != 0)
		return fail(net, "fabric", status, error);
	if ((status = fi_domain(net->fabric, net->info, &net->domain, NULL)) != 0)
		return fail(net, "domain", status, error);
	if ((status = fi_eq_open(net->fabric, &eq_attr, &net->eq, NULL)) != 0)
		return fail(net, "event queue", status, error);
	if ((status = fi_cq_open(net->domain, &cq_attr, &net->cq, NULL)) != 0)
		return fail(net, "completion queue", status, error);
	net->events.kind = SOURCE_EVENTS;
	net->completions.kind = SOURCE_COMPLETIONS;
	net->gate.source.kind = SOURCE_GATE;
	net->inject_size = net->info->tx_attr->inject_size;
	net->may_send_untold = strcmp(net->config.provider, "tcp") == 0;
	if (net->info->tx_attr->iov_limit < 3)
		return fail(net, "fewer than three pieces in a send", -FI_ENOSYS, error);
	if (!fabric_watch(net, &net->eq->fid, &net->events) ||
		!fabric_watch(net, &net->cq->fid, &net->completions) ||
		fi_control(&net->cq->fid, FI_GETWAIT, &net->cq_fd) != 0)
		return fail(net, "no descriptor to wait for", -FI_ENOSYS, error);
	return true;
}

void fabric_close(struct net *net)
{
	gate_close(net);
	if (net->cq != NULL)
		fi_close(&net->cq->fid);
	if (net->eq != NULL)
		fi_close(&net->eq->fid);
	if (net->domain != NULL)
		fi_close(&net->domain->fid);
	if (net->fabric != NULL)
		fi_close(&net->fabric->fid);
	if (net->info != NULL)
		fi_freeinfo(net->info);
}

ssize_t fabric_read_event(struct fid_eq *eq, uint32_t *event, union connection_event *out,
						  uint64_t flags)
{
	errno = 0;
	return fi_eq_read(eq, event, out, sizeof *out, flags);
}

static bool has_event(struct fid_eq *eq)
{
	union connection_event read;
	uint32_t event;
	return fabric_read_event(eq, &event, &read, FI_PEEK) != -FI_EAGAIN;
}

/* For one event, before a sleep. While nobody sleeps nothing is to be woken: it would go through
 * the epoll sets with every message, in the time of its sender where he is on this machine. */
static bool watch_completions(struct net *net)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = &net->completions};
	if (!net->watching)
		net->watching = epoll_ctl(net->wait_fd, EPOLL_CTL_MOD, net->cq_fd, &event) == 0;
	return net->watching;
}

bool fabric_arm(struct net *net)
{
	if (!watch_completions(net))
		return false;
	struct fid *fids[3] = {&net->cq->fid, &net->eq->fid};
	int count = 2;
	if (net->gate.eq != NULL)
		fids[count++] = &net->gate.eq->fid;
	if (fi_trywait(net->fabric, fids, count) != 0)
		return false;
	/* fi_trywait() of this provider resets the event queues' signals without looking at what they
	 * hold, and what it progressed of the completion queue may have added to it. */
	return !has_event(net->eq) && (net->gate.eq == NULL || !has_event(net->gate.eq));
}

/* ------------------------------------------------------------------ endpoints */

static bool post_all(struct lane *lane)
{
	bool control = lane->which == NET_CONTROL;
	lane->receive_count = control ? NET_RECEIVES_CONTROL : NET_RECEIVES_BULK;
	lane->receive_bytes = base_align_up(
		(control ? NET_CONTROL_MAX : NET_MESSAGE_MAX) + sizeof(struct frame_head), 64);
	lane->receives = calloc(lane->receive_count, sizeof *lane->receives);
	lane->memory = aligned_alloc(64, lane->receive_count * lane->receive_bytes);
	if (lane->receives == NULL || lane->memory == NULL)
		return false;
	for (uint32_t i = 0; i < lane->receive_count; i++) {
		struct receive *receive = &lane->receives[i];
		receive->op = (struct op){.kind = OP_RECEIVE, .lane = lane};
		receive->bytes = lane->memory + i * lane->receive_bytes;
		if (!lane_post(lane, receive))
			return false;
	}
	return true;
}

/* With `info` of a connection request, or NULL to connect. On failure the lane is closed with its
 * session. */
bool lane_open(struct lane *lane, struct fi_info *info)
{
	struct net *net = lane->session->net;
	return fi_endpoint(net->domain, info != NULL ? info : net->info, &lane->ep, lane) == 0 &&
		   fi_ep_bind(lane->ep, &net->eq->fid, 0) == 0 &&
		   fi_ep_bind(lane->ep, &net->cq->fid, FI_TRANSMIT | FI_SELECTIVE_COMPLETION) == 0 &&
		   fi_ep_bind(lane->ep, &net->cq->fid, FI_RECV) == 0 && fi_enable(lane->ep) == 0 &&
		   post_all(lane);
}

bool lane_connect(struct lane *lane, uint16_t port, const uint8_t *pass, size_t size)
{
	struct sockaddr_storage address = lane->session->remote->address;
	if (address.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&address)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)&address)->sin_port = htons(port);
	return fi_connect(lane->ep, &address, pass, size) == 0;
}

bool lane_accept(struct lane *lane)
{
	return fi_accept(lane->ep, NULL, 0) == 0;
}

void lane_close(struct lane *lane)
{
	if (lane->ep != NULL)
		fi_close(&lane->ep->fid);
	lane->ep = NULL;
	lane->connected = false;
}

bool lane_post(struct lane *lane, struct receive *receive)
{
	if (fi_recv(lane->ep, receive->bytes, lane->receive_bytes, NULL, FI_ADDR_UNSPEC,
				&receive->op) != 0)
		return false;
	lane->posted++;
	return true;
}

/* Whether the provider must say when it is done with the frame: of several in a row that are small
 * the last one says it for all, as one lane's sends end in order. Only where nothing is heard of
 * the others after the endpoint is closed. */
static bool must_tell(const struct lane *lane, const struct frame *frame)
{
	return frame->data != NULL || !lane->session->net->may_send_untold ||
		   lane->untold == NET_UNTOLD_MAX ||
		   lane->untold_bytes + frame_bytes(frame) > NET_UNTOLD_BYTES;
}

static void set_out(struct lane *lane, struct frame *frame)
{
	list_push(&lane->under_way, &frame->node);
	lane->sending++;
	lane->sending_bytes += frame_bytes(frame);
	if (frame->op.told) {
		lane->posted++;
		lane->untold = 0;
		lane->untold_bytes = 0;
	} else {
		lane->untold++;
		lane->untold_bytes += frame_bytes(frame);
	}
}

int lane_send(struct lane *lane, struct frame *frame)
{
	static const uint8_t zeros[8];
	struct iovec iov[3] = {{frame->bytes, frame->size},
						   {(void *)(uintptr_t)frame->data, frame->data_len},
						   {(void *)(uintptr_t)zeros, frame->padding}};
	if (frame->data == NULL && frame->size <= lane->session->net->inject_size) {
		ssize_t status = fi_inject(lane->ep, frame->bytes, frame->size, FI_ADDR_UNSPEC);
		if (status == 0)
			frame_give(lane->session->net, frame);
		return (int)status;
	}
	frame->op = (struct op){.kind = OP_SEND, .told = must_tell(lane, frame), .lane = lane};
	const struct fi_msg message = {.msg_iov = iov,
								   .iov_count = 1u + (frame->data != NULL) + (frame->padding > 0),
								   .addr = FI_ADDR_UNSPEC,
								   .context = &frame->op};
	ssize_t status = fi_sendmsg(lane->ep, &message, frame->op.told ? FI_COMPLETION : 0);
	if (status == 0)
		set_out(lane, frame);
	return (int)status;
}

/* ------------------------------------------------------------------ what happened */

static void read_failed_completion(struct net *net)
{
	struct fi_cq_err_entry error = {0};
	if (fi_cq_readerr(net->cq, &error, 0) <= 0 || error.op_context == NULL)
		return;
	struct op *op = error.op_context;
	if (op->kind == OP_RECEIVE || op->told) {
		BASE_ASSERT(op->lane->posted > 0);
		op->lane->posted--;
	}
	session_op_failed(op, error.err == FI_ECANCELED ? "the connection is closed"
													: fi_strerror(error.err));
}

int fabric_completions(struct net *net)
{
	struct fi_cq_msg_entry entries[COMPLETIONS_AT_ONCE];
	ssize_t n = fi_cq_read(net->cq, entries, COMPLETIONS_AT_ONCE);
	if (n == -FI_EAVAIL) {
		read_failed_completion(net);
		return 1;
	}
	for (ssize_t i = 0; i < n; i++) {
		struct op *op = entries[i].op_context;
		BASE_ASSERT(op->lane->posted > 0);
		op->lane->posted--;
		if (op->kind == OP_RECEIVE)
			session_received(BASE_CONTAINER(op, struct receive, op), entries[i].len);
		else
			session_sent(BASE_CONTAINER(op, struct frame, op));
	}
	return n > 0 ? (int)n : 0;
}

int fabric_events(struct net *net)
{
	union connection_event read;
	int count = 0;
	while (count < COMPLETIONS_AT_ONCE) {
		uint32_t event;
		ssize_t n = fabric_read_event(net->eq, &event, &read, 0);
		if (n == -FI_EAVAIL) {
			struct fi_eq_err_entry error = {0};
			if (fi_eq_readerr(net->eq, &error, 0) > 0 && error.fid != NULL)
				session_lost(error.fid->context, fi_strerror(error.err));
			count++;
			continue;
		}
		if (n < (ssize_t)sizeof read.entry)
			break;
		count++;
		if (event == FI_CONNECTED)
			session_connected(read.entry.fid->context);
		else if (event == FI_SHUTDOWN)
			session_lost(read.entry.fid->context, "the other side closed the connection");
	}
	return count;
}
