/* A channel: two rings in a sealed memfd and two doorbells, for one thread of a Process.
 *
 * Each turn takes at most CALLS_A_TURN records, so that no channel starves the others. A record
 * for a ring that is full waits in the backlog, and no more calls are taken until it is out: what
 * the backlog can hold is bounded by what the core lets a channel have under way. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "controller/controller.h"

enum { CALLS_A_TURN = 64 };

static bool backlog_empty(const struct backlog *backlog)
{
	return backlog->first == backlog->end;
}

static bool backlog_push(struct backlog *backlog, const uint8_t *bytes, size_t size)
{
	if (backlog->end + size > backlog->capacity && backlog->first > 0) {
		memmove(backlog->bytes, backlog->bytes + backlog->first, backlog->end - backlog->first);
		backlog->end -= backlog->first;
		backlog->first = 0;
	}
	if (backlog->end + size > backlog->capacity) {
		size_t capacity = BASE_MAX(2 * backlog->capacity, backlog->end + size);
		uint8_t *grown = realloc(backlog->bytes, capacity);
		if (grown == NULL)
			return false;
		backlog->bytes = grown;
		backlog->capacity = capacity;
	}
	memcpy(backlog->bytes + backlog->end, bytes, size);
	backlog->end += size;
	return true;
}

static uint32_t backlog_next_size(const struct backlog *backlog)
{
	uint32_t size;
	memcpy(&size, backlog->bytes + backlog->first, sizeof size);
	return size;
}

static void backlog_free(struct backlog *backlog)
{
	free(backlog->bytes);
	*backlog = (struct backlog){0};
}

/* Makes the memory of both rings; -1 with errno. */
static int make_rings(struct channel *channel, uint32_t ring_bytes)
{
	size_t bytes = 2 * RING_PAGE + 2 * (size_t)ring_bytes;
	int fd = memfd_create("fractos-channel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)bytes) != 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		goto close_fd;
	uint8_t *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		goto close_fd;
	channel->map = map;
	channel->map_bytes = bytes;
	ring_init(&channel->calls, map, map + 2 * RING_PAGE, ring_bytes);
	ring_init(&channel->answers, map + RING_PAGE, map + 2 * RING_PAGE + ring_bytes, ring_bytes);
	return fd;
close_fd:
	close(fd);
	return -1;
}

/* The bell is in the epoll set edge-triggered and never read: each ring is an edge, and a Process
 * that fills its counter blocks only itself. */
static bool make_bells(struct controller *c, struct channel *channel, struct channel_fds *fds)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int ends[2];
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return false;
	fds->doorbell = ends[0];
	channel->doorbell = ends[1];
	channel->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (channel->bell < 0)
		return false;
	fds->bell = dup(channel->bell);
	return fds->bell >= 0 && epoll_ctl(c->epoll, EPOLL_CTL_ADD, channel->bell, &event) == 0;
}

static void close_fds(struct channel_fds *fds)
{
	const int all[] = {fds->memory, fds->bell, fds->doorbell};
	for (size_t i = 0; i < BASE_COUNT(all); i++)
		if (all[i] >= 0)
			close(all[i]);
}

/* Frees what channel_create() made, as far as it came. */
static void dismantle(struct controller *c, struct channel *channel)
{
	if (channel->bell >= 0) {
		/* The Process may hold the eventfd: closing ours would leave it in the set. */
		epoll_ctl(c->epoll, EPOLL_CTL_DEL, channel->bell, NULL);
		close(channel->bell);
	}
	if (channel->doorbell >= 0)
		close(channel->doorbell);
	if (channel->map != NULL)
		munmap(channel->map, channel->map_bytes);
	backlog_free(&channel->backlog);
	free(channel);
}

fos_status channel_create(struct controller *c, struct process *p, struct channel **out,
						  struct channel_fds *fds)
{
	uint32_t number = 0;
	while (number < c->config->limits.channels && p->channels[number] != NULL)
		number++;
	if (number == c->config->limits.channels)
		return FOS_QUOTA;
	struct channel *channel = calloc(1, sizeof *channel);
	if (channel == NULL)
		return FOS_QUOTA;
	channel->process = p;
	channel->number = number;
	channel->bell = channel->doorbell = -1;
	list_init(&channel->in_channels);
	list_init(&channel->in_dirty);
	*fds = (struct channel_fds){.memory = -1, .bell = -1, .doorbell = -1};
	fds->memory = make_rings(channel, c->config->ring_bytes);
	if (fds->memory < 0 || !make_bells(c, channel, fds)) {
		log_line(&c->log, "process %u \"%s\": no channel for it: %s", p->serial, p->label,
				 strerror(errno));
		close_fds(fds);
		dismantle(c, channel);
		return FOS_QUOTA;
	}
	p->channels[number] = channel;
	p->channel_count++;
	list_push(&c->channels, &channel->in_channels);
	controller_step(
		c, &(struct core_event){.type = CORE_CHANNEL_UP, .process = p->serial, .channel = number});
	*out = channel;
	return FOS_OK;
}

void channel_destroy(struct controller *c, struct channel *channel)
{
	list_remove(&channel->in_channels);
	list_remove(&channel->in_dirty);
	channel->process->channels[channel->number] = NULL;
	channel->process->channel_count--;
	dismantle(c, channel);
}

static void ring_doorbell(const struct channel *channel)
{
	const uint64_t one = 1;
	/* A full pipe is readable, a closed one has no reader: neither needs this ring. */
	if (write(channel->doorbell, &one, sizeof one) < 0)
		return;
}

static void mark_dirty(struct controller *c, struct channel *channel)
{
	if (list_empty(&channel->in_dirty))
		list_push(&c->dirty, &channel->in_dirty);
}

/* Moves what fits from the backlog to the ring; returns how many records. */
static int drain_backlog(struct controller *c, struct channel *channel)
{
	struct backlog *backlog = &channel->backlog;
	int moved = 0;
	while (!backlog_empty(backlog)) {
		uint32_t size = backlog_next_size(backlog);
		void *room = ring_reserve(&channel->answers, size);
		if (room == NULL)
			break;
		memcpy(room, backlog->bytes + backlog->first, size);
		backlog->first += size;
		moved++;
	}
	if (moved > 0)
		mark_dirty(c, channel);
	if (backlog_empty(backlog) && backlog->bytes != NULL)
		backlog_free(backlog);
	return moved;
}

void channel_write(struct controller *c, struct channel *channel, const uint8_t *bytes, size_t size)
{
	if (channel->process->ending)
		return;
	void *room = NULL;
	if (backlog_empty(&channel->backlog))
		room = ring_reserve(&channel->answers, (uint32_t)size);
	if (room != NULL) {
		memcpy(room, bytes, size);
		mark_dirty(c, channel);
	} else if (!backlog_push(&channel->backlog, bytes, size)) {
		process_end(c, channel->process, "no memory is left for what it does not read");
	}
}

int channel_take_calls(struct controller *c, struct channel *channel)
{
	struct process *p = channel->process;
	int happened = 0;
	if (!backlog_empty(&channel->backlog))
		happened = drain_backlog(c, channel);
	int taken = 0;
	while (taken < CALLS_A_TURN && c->moves < TURN_MOVES && !p->ending &&
		   backlog_empty(&channel->backlog)) {
		int64_t size = ring_read(&channel->calls, c->record, sizeof c->record);
		if (size == 0)
			break;
		if (size < 0) {
			process_end(c, p, "its ring of calls is broken");
			break;
		}
		taken++;
		controller_step(c, &(struct core_event){.type = CORE_CALL,
												.process = p->serial,
												.channel = channel->number,
												.bytes = c->record,
												.size = (size_t)size});
	}
	if (taken > 0 && ring_release(&channel->calls))
		ring_doorbell(channel);
	return happened + taken;
}

void channel_publish_all(struct controller *c)
{
	struct list *at;
	while ((at = list_pop(&c->dirty)) != NULL) {
		struct channel *channel = BASE_CONTAINER(at, struct channel, in_dirty);
		if (ring_publish(&channel->answers))
			ring_doorbell(channel);
	}
}

bool channel_sleep(struct channel *channel)
{
	/* While records wait for room its calls are not taken, so they are no reason to stay awake. */
	if (!backlog_empty(&channel->backlog))
		return ring_starve(&channel->answers, backlog_next_size(&channel->backlog));
	return ring_sleep(&channel->calls);
}

void channel_wake(struct channel *channel)
{
	ring_wake(&channel->calls);
}
