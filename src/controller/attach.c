/* The attach server: how a Process comes to its Controller, over a Unix SOCK_SEQPACKET socket.
 *
 *     Process                    Controller
 *       connect              ->    peer credentials, pidfd
 *       ATTACH version, label ->
 *                            <-    ATTACHED status, node, serial
 *       CHANNEL | SEGMENT | CLOSE ->       (one at a time, as often as wanted)
 *                            <-    OPENED | MAPPED | CLOSED, with descriptors
 *       DEVICE, with a descriptor ->
 *                            <-    DEVICE_DONE
 *       (the connection stays: its end-of-file, or the pidfd, is the Process's death)
 *
 * A packet that is not of this dialogue ends its Process. Answers are never waited for: a Process
 * that asks without reading the answers ends too.
 *
 * Closing a descriptor may take as long as its giver likes, and one that is taken must be closed.
 * So packets are looked at before they are taken: one with descriptors that nobody asked for (any
 * but a DEVICE, a second one in a DEVICE) stays where it is and ends its connection, which is then
 * closed aside with all that is unread in it. A DEVICE's is taken, looked at and closed aside. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "controller/controller.h"
#include "wire/wire.h"

enum {
	PACKET_MAX = 256,
	PACKETS_A_TURN = 8, /* of one connection */
	ACCEPTS_A_TURN = 16
};

#define LISTEN_INTERVAL UINT64_C(100000000) /* ns */

/* ------------------------------------------------------------------ answers */

static void answer(struct controller *c, struct process *p, const void *packet, size_t size,
				   const int *fds, size_t fd_count)
{
	union {
		char bytes[CMSG_SPACE(3 * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec part = {.iov_base = (void *)(uintptr_t)packet, .iov_len = size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	if (fd_count > 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(header), fds, fd_count * sizeof(int));
	}
	if (sendmsg(p->lifeline.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)size)
		process_end(c, p, "it does not take the answers to its attach packets");
}

#define HEADER(kind, NAME)                                                         \
	{                                                                              \
		.size = sizeof(struct wire_attach_##kind), .type = WIRE_ATTACH_TYPE_##NAME \
	}

/* A label is shown to people and becomes part of an exception's `where`. */
static void clean_label(char out[FOS_LABEL_MAX], const char *label)
{
	memset(out, 0, FOS_LABEL_MAX);
	for (size_t i = 0; i + 1 < FOS_LABEL_MAX && label[i] != 0; i++)
		out[i] = label[i] > ' ' && label[i] <= '~' && label[i] != '/' ? label[i] : '_';
	if (out[0] == 0)
		memcpy(out, "process", sizeof "process");
}

static void on_attach(struct controller *c, struct process *p, const void *packet)
{
	const struct wire_attach_attach *in = packet;
	struct wire_attach_attached out = {.header = HEADER(attached, ATTACHED)};
	char label[FOS_LABEL_MAX];
	out.version = WIRE_VERSION;
	out.epoch = c->epoch;
	out.node = c->config->self->id;
	memcpy(out.node_name, c->config->self->name, sizeof out.node_name);
	clean_label(label, in->label);
	const char *reason = "it speaks another version than this fractosd";
	if (in->version != WIRE_VERSION)
		out.status = FOS_UNSUPPORTED;
	else if ((reason = process_attach(c, p, label)) != NULL)
		out.status = FOS_QUOTA;
	out.process = p->serial;
	answer(c, p, &out, sizeof out, NULL, 0);
	if (out.status != FOS_OK)
		process_end(c, p, reason);
}

static void on_channel(struct controller *c, struct process *p, const void *packet)
{
	struct wire_attach_opened out = {.header = HEADER(opened, OPENED)};
	struct channel_fds fds;
	struct channel *channel;
	out.status = channel_create(c, p, &channel, &fds);
	if (out.status != FOS_OK) {
		answer(c, p, &out, sizeof out, NULL, 0);
		return;
	}
	out.channel = channel->number;
	out.ring_bytes = c->config->ring_bytes;
	const int all[] = {fds.memory, fds.bell, fds.doorbell};
	answer(c, p, &out, sizeof out, all, BASE_COUNT(all));
	for (size_t i = 0; i < BASE_COUNT(all); i++)
		close(all[i]);
}

static void on_segment(struct controller *c, struct process *p, const void *packet)
{
	const struct wire_attach_segment *in = packet;
	struct wire_attach_mapped out = {.header = HEADER(mapped, MAPPED)};
	int fd = -1;
	out.status = arena_create(c, p, in->length, &out.segment, &fd);
	if (out.status != FOS_OK) {
		answer(c, p, &out, sizeof out, NULL, 0);
		return;
	}
	out.length = p->segments[out.segment]->length;
	answer(c, p, &out, sizeof out, &fd, 1);
	close(fd);
}

static void on_close(struct controller *c, struct process *p, const void *packet)
{
	const struct wire_attach_close *in = packet;
	struct wire_attach_closed out = {.header = HEADER(closed, CLOSED), .status = FOS_INVALID};
	if (in->channel < c->config->limits.channels && p->channels[in->channel] != NULL) {
		controller_step(c, &(struct core_event){.type = CORE_CHANNEL_GONE,
												.process = p->serial,
												.channel = in->channel});
		channel_destroy(c, p->channels[in->channel]);
		out.status = FOS_OK;
	}
	answer(c, p, &out, sizeof out, NULL, 0);
}

/* ------------------------------------------------------------------ packets */

enum { CREDENTIALS = CMSG_SPACE(sizeof(struct ucred)) };

union control {
	char bytes[CREDENTIALS + CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

/* What there is to be read, and stays where it is. */
struct found {
	ssize_t size; /* 0: of an empty packet, too; negative: errno tells */
	bool packet;  /* not end-of-file */
	bool more;    /* descriptors that had no room */
	int device;   /* the one that had; -1: none */
};

/* Our sockets have SO_PASSCRED: each packet comes with its sender's credentials, which tells it
 * from end-of-file. Room for them alone leaves descriptors where they are. */
static struct found look(int fd, uint8_t *bytes, size_t size, size_t room)
{
	union control control;
	struct iovec part = {.iov_base = bytes, .iov_len = size};
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = room};
	struct found found = {.device = -1};
	found.size = recvmsg(fd, &message, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC | MSG_CMSG_CLOEXEC);
	if (found.size < 0)
		return found;
	found.more = (message.msg_flags & MSG_CTRUNC) != 0;
	for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head != NULL;
		 head = CMSG_NXTHDR(&message, head)) {
		found.packet = true;
		if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
			memcpy(&found.device, CMSG_DATA(head), sizeof found.device);
	}
	return found;
}

/* Takes the packet that was looked at: it has no descriptors, or we have them already. */
static void take(int fd)
{
	char ignored;
	if (recv(fd, &ignored, sizeof ignored, MSG_DONTWAIT) < 0)
		return; /* its error was told before */
}

void attach_registered(struct controller *c, struct process *p, fos_status status)
{
	struct wire_attach_device_done out = {.header = HEADER(device_done, DEVICE_DONE)};
	out.status = status;
	answer(c, p, &out, sizeof out, NULL, 0);
	if (status != FOS_OK)
		log_line(&c->log, "process %u \"%s\" could not register a device: %s", p->serial, p->label,
				 fos_status_text(status));
	if (!source_resume(c, &p->lifeline))
		process_end(c, p, "epoll has no room for it");
}

/* No packet is taken until it is answered. */
static void on_device(struct controller *c, struct process *p, bool with_descriptors)
{
	uint8_t ignored;
	struct found found = {.device = -1};
	if (with_descriptors)
		found = look(p->lifeline.fd, &ignored, sizeof ignored, CREDENTIALS + CMSG_LEN(sizeof(int)));
	if (with_descriptors && (found.device < 0 || found.more)) {
		p->given = found.device;
		process_end(c, p, "more than one descriptor for a device, or none is left here");
		return;
	}
	take(p->lifeline.fd);
	source_pause(c, &p->lifeline);
	if (with_descriptors)
		device_register(p, found.device);
	else
		attach_registered(c, p, FOS_INVALID);
}

static bool is_device(const uint8_t *packet, ssize_t size)
{
	return size == (ssize_t)sizeof(struct wire_attach_device) &&
		   wire_check_attach(packet, (size_t)size) &&
		   ((const struct wire_record *)(const void *)packet)->type == WIRE_ATTACH_TYPE_DEVICE;
}

static void on_packet(struct controller *c, struct process *p, const uint8_t *packet, size_t size)
{
	const struct wire_record *header = (const void *)packet;
	static void (*const handlers[])(struct controller *, struct process *, const void *) = {
		[WIRE_ATTACH_TYPE_ATTACH - WIRE_ATTACH_TYPE_ATTACH] = on_attach,
		[WIRE_ATTACH_TYPE_CHANNEL - WIRE_ATTACH_TYPE_ATTACH] = on_channel,
		[WIRE_ATTACH_TYPE_SEGMENT - WIRE_ATTACH_TYPE_ATTACH] = on_segment,
		[WIRE_ATTACH_TYPE_CLOSE - WIRE_ATTACH_TYPE_ATTACH] = on_close,
	};
	size_t type = 0;
	bool good = wire_check_attach(packet, size);
	if (good) {
		type = (size_t)header->type - WIRE_ATTACH_TYPE_ATTACH;
		good = type < BASE_COUNT(handlers) && handlers[type] != NULL;
	}
	if (!good)
		process_end(c, p, "a malformed attach packet");
	else if ((header->type == WIRE_ATTACH_TYPE_ATTACH) != (p->serial == 0))
		process_end(c, p, p->serial == 0 ? "not attached, but asks for more" : "attached twice");
	else
		handlers[type](c, p, packet);
}

/* What it asked for before its end counts, as much of it as one turn takes: who finishes a delivery
 * and goes leaves nothing behind. */
static void on_end(struct controller *c, struct process *p, const char *reason)
{
	for (uint32_t i = 0; i < c->config->limits.channels; i++)
		if (p->channels[i] != NULL)
			(void)channel_take_calls(c, p->channels[i]);
	process_end(c, p, reason);
}

static void on_lifeline(struct controller *c, struct source *source)
{
	struct process *p = BASE_CONTAINER(source, struct process, lifeline);
	_Alignas(8) uint8_t packet[PACKET_MAX];
	for (int i = 0; i < PACKETS_A_TURN && !p->ending && !p->registering.under_way; i++) {
		const struct found found = look(source->fd, packet, sizeof packet, CREDENTIALS);
		if (found.size < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (found.size > 0 && p->serial != 0 && is_device(packet, found.size)) {
			on_device(c, p, found.more);
			continue;
		}
		if (found.more) {
			process_end(c, p, "it sent descriptors that nobody asked for");
			continue;
		}
		if (found.packet)
			take(source->fd);
		if (found.size <= 0)
			on_end(c, p, p->serial == 0 ? "it left before it attached" : "detached or died");
		else if ((size_t)found.size > sizeof packet)
			process_end(c, p, "an attach packet that is too long");
		else
			on_packet(c, p, packet, (size_t)found.size);
	}
}

static void on_exit_of(struct controller *c, struct source *source)
{
	struct process *p = BASE_CONTAINER(source, struct process, exit);
	p->exited = true;
	if (p->state == PROCESS_HERE)
		on_end(c, p, "its process exited");
}

/* ------------------------------------------------------------------ connections */

static bool may_attach(const struct controller *c, uint32_t uid)
{
	const struct config_node *self = c->config->self;
	for (uint32_t i = 0; i < self->uid_count; i++)
		if (self->uids[i] == uid)
			return true;
	return self->uid_count == 0 && (uid == 0 || uid == geteuid());
}

static bool is_hung_up(int fd)
{
	struct pollfd peer = {.fd = fd, .events = POLLRDHUP};
	return poll(&peer, 1, 0) != 0 && (peer.revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0;
}

/* Takes what is unread and comes without descriptors: true if that is all. What is too much is as
 * bad as descriptors. */
static bool drain(int fd)
{
	uint8_t ignored;
	for (int i = 0; i < PACKETS_A_TURN; i++) {
		const struct found found = look(fd, &ignored, sizeof ignored, CREDENTIALS);
		if (found.more)
			return false;
		if (found.packet)
			take(fd);
		else if (found.size == 0 || errno == EAGAIN)
			return true;
	}
	return false;
}

int attach_hang_up(int fd)
{
	shutdown(fd, SHUT_RDWR); /* the peer is told; nothing more comes */
	if (!drain(fd))
		return fd;
	close(fd);
	return -1;
}

static struct refusal *unused(struct controller *c)
{
	for (int i = 0; i < REFUSALS_MAX; i++)
		if (c->refusals[i].fd < 0)
			return &c->refusals[i];
	return NULL;
}

static bool can_refuse(struct controller *c)
{
	if (c->spare < 0)
		c->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return c->spare >= 0 && unused(c) != NULL;
}

/* Connections wait in the kernel meanwhile. */
static void listen_again(struct controller *c)
{
	c->listen_at = c->now + LISTEN_INTERVAL;
	if (can_refuse(c))
		c->deaf = !source_resume(c, &c->listener);
}

static void close_refused(struct aside_job *job)
{
	close(BASE_CONTAINER(job, struct refusal, job)->fd);
}

static void on_refused_closed(struct controller *c, struct aside_job *job)
{
	BASE_CONTAINER(job, struct refusal, job)->fd = -1;
	if (c->deaf && !c->stopping)
		listen_again(c);
}

static void close_connection(struct controller *c, int fd)
{
	fd = attach_hang_up(fd);
	if (fd < 0)
		return;
	struct refusal *refusal = unused(c);
	BASE_ASSERT(refusal != NULL); /* else nothing is accepted */
	*refusal =
		(struct refusal){.job = {.work = close_refused, .done = on_refused_closed}, .fd = fd};
	aside_put(&c->refuse, &refusal->job);
}

/* Answers a connection that gets no Process. Its ATTACH is read first: closing with it unread would
 * make the answer a reset. */
static void refuse(struct controller *c, int fd, const struct ucred *who, fos_status status,
				   const char *reason)
{
	struct wire_attach_attached out = {.header = HEADER(attached, ATTACHED)};
	out.version = WIRE_VERSION;
	out.status = status;
	out.node = c->config->self->id;
	memcpy(out.node_name, c->config->self->name, sizeof out.node_name);
	drain(fd);
	ssize_t sent = send(fd, &out, sizeof out, MSG_DONTWAIT | MSG_NOSIGNAL);
	log_line(&c->log, "refused a connection (pid %d, uid %u): %s%s", (int)who->pid, who->uid,
			 reason, sent < 0 ? "; it did not hear why" : "");
	close_connection(c, fd);
}

static void welcome(struct controller *c, int fd)
{
	struct ucred who = {0};
	socklen_t length = sizeof who;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) != 0) {
		close_connection(c, fd);
		return;
	}
	if (!may_attach(c, who.uid)) {
		refuse(c, fd, &who, FOS_DENIED, "its user may not attach (\"uids\" of the node)");
		return;
	}
	const pid_t session = who.pid > 0 ? getsid(who.pid) : -1;
	const char *reason = process_no_connection(
		c, &(struct process){.pid = who.pid, .uid = who.uid, .session = session});
	if (reason != NULL) {
		refuse(c, fd, &who, FOS_QUOTA, reason);
		return;
	}
	int exit = who.pid > 0 ? (int)syscall(SYS_pidfd_open, who.pid, 0) : -1;
	/* If it died before pidfd_open, the number may be another's by now; the hang-up tells. */
	if (is_hung_up(fd) || (exit < 0 && who.pid > 0 && errno == ESRCH)) {
		if (exit >= 0)
			close(exit);
		close_connection(c, fd);
		return;
	}
	struct process *p = process_create(c);
	if (p == NULL) {
		if (exit >= 0)
			close(exit);
		refuse(c, fd, &who, FOS_QUOTA, "no memory is left");
		return;
	}
	p->pid = who.pid;
	p->session = session;
	p->exit.fd = exit;
	p->uid = who.uid;
	p->gid = who.gid;
	if (!source_open(c, &p->lifeline, fd, on_lifeline) ||
		(exit >= 0 && !source_open(c, &p->exit, exit, on_exit_of)))
		process_end(c, p, "epoll has no room for it");
}

static int take_connection(int listener)
{
	const int on = 1;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
	return fd;
}

/* The process has no descriptor left: gives the spare one for a moment, so that the connection can
 * be taken and closed instead of keeping us awake. */
static void turn_away(struct controller *c, int listener)
{
	close(c->spare);
	int fd = take_connection(listener);
	if (fd >= 0)
		close_connection(c, fd);
	c->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	log_line(&c->log, "refused a connection: no file descriptors are left");
}

void attach_accept(struct controller *c, struct source *listener)
{
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		if (!can_refuse(c)) {
			source_pause(c, listener);
			c->deaf = true;
			c->listen_at = c->now + LISTEN_INTERVAL;
			log_line(&c->log, "no connections are accepted until one that was refused is closed");
			return;
		}
		int fd = take_connection(listener->fd);
		if (fd < 0 && (errno == EMFILE || errno == ENFILE))
			turn_away(c, listener->fd);
		if (fd < 0)
			return;
		welcome(c, fd);
	}
}

/* A connection that does not say who it is for as long as a silent peer is waited for. */
static uint64_t attach_time(const struct controller *c)
{
	return c->config->failure_timeout_ms * UINT64_C(1000000);
}

uint64_t attach_deadline(const struct controller *c)
{
	uint64_t first = c->deaf ? c->listen_at : UINT64_MAX;
	for (const struct list *at = c->processes.next; at != &c->processes; at = at->next) {
		const struct process *p = BASE_CONTAINER(at, struct process, in_list);
		if (p->serial == 0 && !p->ending)
			first = BASE_MIN(first, p->accepted + attach_time(c));
	}
	return first;
}

void attach_expire(struct controller *c)
{
	if (c->deaf && c->now >= c->listen_at)
		listen_again(c);
	for (struct list *at = c->processes.next; at != &c->processes; at = at->next) {
		struct process *p = BASE_CONTAINER(at, struct process, in_list);
		if (p->serial == 0 && !p->ending && c->now - p->accepted >= attach_time(c))
			process_end(c, p, "it did not attach in time");
	}
}
