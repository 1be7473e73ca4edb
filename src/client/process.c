/* A Process's attachment to its Controller: the dialogue over the Unix socket, and the channels
 * that come out of it. For everybody who uses libfractos.
 *
 *     Process                                  Controller
 *       | connect, ATTACH label                    |
 *       |----------------------------------------->|  peer credentials; a serial
 *       |<-----------------------------------------|  ATTACHED
 *       | CHANNEL                                  |
 *       |----------------------------------------->|  memfd with two rings, two doorbells
 *       |<-----------------------------------------|  OPENED + descriptors
 *
 * The socket stays open as the lifeline: whoever reads end-of-file from it knows that the other is
 * gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/client.h"

enum { FDS_MAX = 3, RING_BYTES_MAX = 64 << 20 };

static _Thread_local char attach_error[320];

const char *fos_attach_error(void)
{
	return attach_error;
}

__attribute__((format(printf, 2, 3))) static fos_status refuse(fos_status status,
															   const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(attach_error, sizeof attach_error, format, args);
	va_end(args);
	return status;
}

void client_lose(fos_process *process)
{
	/* Every channel sleeps on this socket too: shutting it down wakes them all. */
	if (!atomic_exchange(&process->lost, true))
		shutdown(process->socket, SHUT_RDWR);
}

bool fos_lost(const fos_channel *ch)
{
	return atomic_load_explicit(&ch->process->lost, memory_order_relaxed);
}

const char *fos_node_name(const fos_process *process)
{
	return process->node_name;
}

uint32_t fos_node_id(const fos_process *process)
{
	return process->node;
}

uint32_t fos_process_serial(const fos_process *process)
{
	return process->serial;
}

fos_process *fos_channel_process(fos_channel *ch)
{
	return ch->process;
}

/* ------------------------------------------------------------------ the dialogue */

static void close_all(int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

/* Takes the descriptors out of the ancillary data; more than `max` are closed at once. */
static unsigned take_fds(struct msghdr *message, int *fds, unsigned max)
{
	unsigned count = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (count < max)
				fds[count++] = fd;
			else
				close(fd);
		}
	}
	return count;
}

/* One packet, or CONTROLLER_LOST when none comes in time. */
static fos_status receive(int socket, void *out, size_t size, int *fds, unsigned *fd_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {out, size};
	struct msghdr message = {.msg_iov = &iov,
							 .msg_iovlen = 1,
							 .msg_control = &control,
							 .msg_controllen = sizeof control};
	struct pollfd wait = {.fd = socket, .events = POLLIN};
	int ready;
	do
		ready = poll(&wait, 1, CLIENT_PATIENCE_MS);
	while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		return FOS_CONTROLLER_LOST;
	ssize_t n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n < 0)
		return FOS_CONTROLLER_LOST;
	*fd_count = take_fds(&message, fds, FDS_MAX);
	bool whole = (size_t)n == size && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
	return whole ? FOS_OK : FOS_CONTROLLER_LOST;
}

/* One packet, with the descriptor `pass` unless that is negative. */
static bool send_packet(int socket, const void *packet, size_t size, int pass)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)packet, size};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	if (pass >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof control;
		control.head = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof pass), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.head), &pass, sizeof pass);
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)size;
}

static fos_status exchange(int socket, const void *packet, size_t size, int pass, uint16_t answer,
						   void *out, size_t out_size, int *fds, unsigned *fd_count)
{
	if (!send_packet(socket, packet, size, pass))
		return FOS_CONTROLLER_LOST;
	fos_status status = receive(socket, out, out_size, fds, fd_count);
	if (status != FOS_OK)
		return status;
	const struct wire_record *head = out;
	bool fair = wire_check_attach(out, out_size) && head->type == answer;
	return fair ? FOS_OK : FOS_CONTROLLER_LOST;
}

/* All answers that carry descriptors begin with their status. */
static fos_status answer_status(const void *answer)
{
	_Static_assert(offsetof(struct wire_attach_opened, status) == sizeof(struct wire_record), "");
	_Static_assert(offsetof(struct wire_attach_mapped, status) == sizeof(struct wire_record), "");
	_Static_assert(offsetof(struct wire_attach_closed, status) == sizeof(struct wire_record), "");
	_Static_assert(offsetof(struct wire_attach_device_done, status) == sizeof(struct wire_record),
				   "");
	uint32_t status;
	memcpy(&status, (const uint8_t *)answer + sizeof(struct wire_record), sizeof status);
	return (fos_status)status;
}

fos_status client_ask(fos_process *process, const void *packet, size_t size, int pass,
					  uint16_t answer, void *out, size_t out_size, int *fds, unsigned fd_count)
{
	int got[FDS_MAX] = {-1, -1, -1};
	unsigned got_count = 0;
	if (atomic_load(&process->lost))
		return FOS_CONTROLLER_LOST;
	fos_status status =
		exchange(process->socket, packet, size, pass, answer, out, out_size, got, &got_count);
	bool fair = status == FOS_OK && got_count == (answer_status(out) == FOS_OK ? fd_count : 0);
	if (!fair) {
		/* The dialogue is out of step: nothing that follows could be trusted. */
		close_all(got, got_count);
		client_lose(process);
		return FOS_CONTROLLER_LOST;
	}
	for (unsigned i = 0; i < got_count; i++)
		fds[i] = got[i];
	return answer_status(out);
}

/* ------------------------------------------------------------------ attach and detach */

static fos_status open_socket(const char *path, int *out)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (path == NULL || path[0] == 0)
		return refuse(FOS_INVALID, "no Controller named: set FRACTOS_SOCKET to its socket, as "
								   "`fractos up` prints it");
	if (strlen(path) >= sizeof address.sun_path)
		return refuse(FOS_INVALID, "the socket's path is longer than %zu bytes: %s",
					  sizeof address.sun_path - 1, path);
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return refuse(FOS_QUOTA, "cannot make a socket: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
		*out = fd;
		return FOS_OK;
	}
	int error = errno;
	close(fd);
	if (error == EACCES || error == EPERM)
		return refuse(FOS_DENIED, "no right to use the Controller's socket %s: %s", path,
					  strerror(error));
	return refuse(FOS_PEER_LOST,
				  "no Controller listens at %s (%s): is the cluster up? Try "
				  "`fractos up`",
				  path, strerror(error));
}

/* The label as it travels; INVALID where it would not be accepted. */
static fos_status fill_label(const char *label, char out[FOS_LABEL_MAX])
{
	size_t len = strlen(label);
	if (len >= FOS_LABEL_MAX)
		return refuse(FOS_INVALID, "the label is longer than %d bytes: %s", FOS_LABEL_MAX - 1,
					  label);
	for (size_t i = 0; i < len; i++) {
		if (label[i] < 0x20 || label[i] > 0x7e)
			return refuse(FOS_INVALID, "the label has unprintable characters");
	}
	memcpy(out, label, len);
	return FOS_OK;
}

static fos_status introduce(int socket, const char *path, const char *label,
							struct wire_attach_attached *attached)
{
	struct wire_attach_attach attach = {
		.header = {.size = sizeof attach, .type = WIRE_ATTACH_TYPE_ATTACH},
		.version = WIRE_VERSION};
	fos_status status = fill_label(label, attach.label);
	if (status != FOS_OK)
		return status;
	int fds[FDS_MAX];
	unsigned fd_count = 0;
	status = exchange(socket, &attach, sizeof attach, -1, WIRE_ATTACH_TYPE_ATTACHED, attached,
					  sizeof *attached, fds, &fd_count);
	close_all(fds, fd_count);
	if (status != FOS_OK)
		return refuse(FOS_PEER_LOST,
					  "what listens at %s does not answer as a Controller of this "
					  "version does, or ended",
					  path);
	if (attached->status != FOS_OK)
		return refuse((fos_status)attached->status,
					  "the Controller at %s refused: %s (its version "
					  "is %u, ours %d)",
					  path, fos_status_text((fos_status)attached->status), attached->version,
					  WIRE_VERSION);
	if (attached->version != WIRE_VERSION)
		return refuse(FOS_UNSUPPORTED, "the Controller at %s speaks version %u, this library %d",
					  path, attached->version, WIRE_VERSION);
	return FOS_OK;
}

fos_status fos_attach(const fos_attach_options *options, fos_process **out)
{
	const char *path = options && options->socket ? options->socket : getenv("FRACTOS_SOCKET");
	const char *label = options && options->label ? options->label : program_invocation_short_name;
	struct wire_attach_attached attached = {0};
	char short_label[FOS_LABEL_MAX];
	int socket = -1;
	attach_error[0] = 0;
	if (!(options && options->label)) {
		snprintf(short_label, sizeof short_label, "%s", label);
		label = short_label;
	}
	fos_status status = open_socket(path, &socket);
	if (status != FOS_OK)
		return status;
	status = introduce(socket, path, label, &attached);
	if (status != FOS_OK)
		goto close_socket;
	fos_process *process = calloc(1, sizeof *process);
	if (process == NULL) {
		status = refuse(FOS_QUOTA, "out of memory");
		goto close_socket;
	}
	process->magic = CLIENT_PROCESS_MAGIC;
	process->socket = socket;
	process->node = attached.node;
	process->serial = attached.process;
	process->epoch = attached.epoch;
	memcpy(process->node_name, attached.node_name, sizeof process->node_name);
	pthread_mutex_init(&process->lock, NULL);
	list_init(&process->channels);
	client_arena_init(&process->arena);
	*out = process;
	return FOS_OK;

close_socket:
	close(socket);
	return status;
}

void fos_detach(fos_process *process)
{
	if (process == NULL)
		return;
	BASE_ASSERT(process->magic == CLIENT_PROCESS_MAGIC);
	/* First the socket, so that the channels need no dialogue to be closed. */
	client_lose(process);
	for (struct list *node; (node = list_pop(&process->channels)) != NULL;)
		fos_channel_close(BASE_CONTAINER(node, fos_channel, node));
	client_arena_destroy(process);
	pthread_mutex_destroy(&process->lock);
	close(process->socket);
	process->magic = 0;
	free(process);
}

/* ------------------------------------------------------------------ devices */

/* The Controller needs a description of its own: a lock taken through ours would be ours. */
static fos_status open_again(int fd, int *out)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	*out = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*out < 0)
		return errno == ENOENT ? FOS_INVALID : FOS_DEVICE;
	if (flock(*out, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK)
		return FOS_OK;
	close(*out);
	return FOS_INVALID;
}

fos_status fos_device_held(fos_process *process, int fd)
{
	BASE_ASSERT(process->magic == CLIENT_PROCESS_MAGIC);
	struct wire_record ask = {.size = sizeof ask, .type = WIRE_ATTACH_TYPE_DEVICE};
	struct wire_attach_device_done done;
	int again;
	fos_status status = open_again(fd, &again);
	if (status != FOS_OK)
		return status;
	pthread_mutex_lock(&process->lock);
	status = client_ask(process, &ask, sizeof ask, again, WIRE_ATTACH_TYPE_DEVICE_DONE, &done,
						sizeof done, NULL, 0);
	pthread_mutex_unlock(&process->lock);
	close(again);
	return status;
}

/* ------------------------------------------------------------------ channels */

static bool watch_fd(fos_channel *ch, int fd, uint32_t events, uint32_t key)
{
	struct epoll_event event = {.events = events, .data.u32 = key};
	return epoll_ctl(ch->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Takes over the descriptors of OPENED: they are the channel's from here on. */
static fos_status use_descriptors(fos_channel *ch, const struct wire_attach_opened *opened,
								  const int *fds)
{
	uint64_t bytes = opened->ring_bytes;
	struct stat stat;
	ch->bell_out = fds[1];
	ch->bell_in = fds[2];
	ch->number = opened->channel;
	bool fair = bytes >= RING_PAGE && bytes <= RING_BYTES_MAX && (bytes & (bytes - 1)) == 0;
	size_t size = 2 * RING_PAGE + 2 * (size_t)bytes;
	if (!fair || fstat(fds[0], &stat) != 0 || stat.st_size < (off_t)size ||
		fcntl(ch->bell_in, F_SETFL, O_RDONLY | O_NONBLOCK) != 0) {
		close(fds[0]);
		return FOS_CONTROLLER_LOST;
	}
	void *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
	close(fds[0]);
	if (mapping == MAP_FAILED)
		return FOS_QUOTA;
	uint8_t *at = mapping;
	ch->mapping = mapping;
	ch->mapping_size = size;
	ring_init(&ch->calls, at, at + 2 * RING_PAGE, bytes);
	ring_init(&ch->answers, at + RING_PAGE, at + 2 * RING_PAGE + bytes, bytes);
	return FOS_OK;
}

static fos_status open_channel(fos_process *process, fos_channel *ch)
{
	struct wire_record ask = {.size = sizeof ask, .type = WIRE_ATTACH_TYPE_CHANNEL};
	struct wire_attach_opened opened;
	int fds[FDS_MAX] = {-1, -1, -1};
	fos_status status = client_ask(process, &ask, sizeof ask, -1, WIRE_ATTACH_TYPE_OPENED, &opened,
								   sizeof opened, fds, 3);
	if (status != FOS_OK)
		return status;
	status = use_descriptors(ch, &opened, fds);
	if (status != FOS_OK)
		return status;
	ch->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ch->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (ch->stop_fd < 0 || ch->epoll_fd < 0)
		return FOS_QUOTA;
	/* The lifeline belongs to the dialogue too: only its end wakes a channel. */
	bool watched = watch_fd(ch, ch->bell_in, EPOLLIN, CLIENT_KEY_BELL) &&
				   watch_fd(ch, process->socket, EPOLLRDHUP, CLIENT_KEY_LIFELINE) &&
				   watch_fd(ch, ch->stop_fd, EPOLLIN, CLIENT_KEY_STOP);
	return watched ? FOS_OK : FOS_QUOTA;
}

/* Frees what the channel has on this side; the Controller was told, or is gone. */
static void destroy_channel(fos_channel *ch)
{
	int fds[] = {ch->bell_out, ch->bell_in, ch->stop_fd, ch->epoll_fd};
	close_all(fds, BASE_COUNT(fds));
	if (ch->mapping)
		munmap(ch->mapping, ch->mapping_size);
	for (struct list *node; (node = list_pop(&ch->deferred)) != NULL;)
		free(BASE_CONTAINER(node, struct client_deferred, node));
	for (struct client_parcel *next; ch->parcels; ch->parcels = next) {
		next = ch->parcels->next;
		free(ch->parcels);
	}
	free(ch->call_table);
	free(ch->handler_table);
	ch->magic = 0;
	free(ch);
}

/* Tells the Controller; with a channel that is half made this is all there is to undo. */
static void tell_closed(fos_process *process, uint32_t number)
{
	struct wire_attach_close ask = {.header = {.size = sizeof ask, .type = WIRE_ATTACH_TYPE_CLOSE},
									.channel = number};
	struct wire_attach_closed closed;
	/* Whatever the answer: here the channel is over. */
	(void)!client_ask(process, &ask, sizeof ask, -1, WIRE_ATTACH_TYPE_CLOSED, &closed,
					  sizeof closed, NULL, 0);
}

fos_status fos_channel_open(fos_process *process, fos_channel **out)
{
	BASE_ASSERT(process->magic == CLIENT_PROCESS_MAGIC);
	fos_channel *ch = calloc(1, sizeof *ch);
	if (ch == NULL)
		return FOS_QUOTA;
	ch->magic = CLIENT_CHANNEL_MAGIC;
	ch->process = process;
	ch->bell_out = ch->bell_in = ch->stop_fd = ch->epoll_fd = -1;
	list_init(&ch->node);
	list_init(&ch->deferred);
	pthread_mutex_lock(&process->lock);
	fos_status status = open_channel(process, ch);
	if (status == FOS_OK)
		list_push(&process->channels, &ch->node);
	else if (ch->bell_out >= 0)
		tell_closed(process, ch->number);
	pthread_mutex_unlock(&process->lock);
	if (status != FOS_OK) {
		destroy_channel(ch);
		return status;
	}
	*out = ch;
	return FOS_OK;
}

void **fos_channel_place(fos_channel *ch, const void *key)
{
	BASE_ASSERT(ch->magic == CLIENT_CHANNEL_MAGIC);
	for (unsigned i = 0; i < CLIENT_PLACES_MAX; i++) {
		struct client_place *place = &ch->places[i];
		if (place->key == NULL)
			place->key = key;
		if (place->key == key)
			return &place->content;
	}
	return NULL;
}

static fos_handled life_delivered(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	return FOS_FINISH; /* it says all by being there */
}

fos_status fos_channel_life(fos_channel *ch, fos_cap *out)
{
	BASE_ASSERT(ch->magic == CLIENT_CHANNEL_MAGIC);
	fos_status status = FOS_OK;
	if (ch->life == FOS_CAP_NONE)
		status = fos_request_create(ch, life_delivered, NULL, NULL, &ch->life);
	*out = ch->life;
	return status;
}

void fos_channel_close(fos_channel *ch)
{
	if (ch == NULL)
		return;
	BASE_ASSERT(ch->magic == CLIENT_CHANNEL_MAGIC);
	fos_process *process = ch->process;
	pthread_mutex_lock(&process->lock);
	list_remove(&ch->node);
	tell_closed(process, ch->number);
	pthread_mutex_unlock(&process->lock);
	ch->closing = true;
	client_end_calls(ch, FOS_CANCELLED);
	destroy_channel(ch);
}
