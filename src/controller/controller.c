/* Starting and stopping the parts, and the one way into the core: controller_step(). */
#include "controller/controller.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define MILLISECOND UINT64_C(1000000)

enum { LAST_PATIENCE_MS = 1000 }; /* for what is closed aside, before we end */

/* ------------------------------------------------------------------ events kept for later */

bool event_queue_push(struct event_queue *queue, const struct core_event *event)
{
	if (queue->count == queue->capacity) {
		size_t capacity = queue->capacity == 0 ? 64 : 2 * queue->capacity;
		struct core_event *events = calloc(capacity, sizeof *events);
		if (events == NULL)
			return false;
		for (size_t i = 0; i < queue->count; i++)
			events[i] = queue->events[(queue->first + i) & (queue->capacity - 1)];
		free(queue->events);
		*queue =
			(struct event_queue){.events = events, .count = queue->count, .capacity = capacity};
	}
	queue->events[(queue->first + queue->count++) & (queue->capacity - 1)] = *event;
	return true;
}

bool event_queue_pop(struct event_queue *queue, struct core_event *out)
{
	if (queue->count == 0)
		return false;
	*out = queue->events[queue->first];
	queue->first = (queue->first + 1) & (queue->capacity - 1);
	queue->count--;
	return true;
}

/* ------------------------------------------------------------------ steps */

static void write_record(struct controller *c, const struct core_output *out)
{
	struct process *p = process_find(c, out->process);
	BASE_ASSERT(p != NULL && out->channel < c->config->limits.channels);
	BASE_ASSERT(p->channels[out->channel] != NULL);
	channel_write(c, p->channels[out->channel], out->bytes, out->size);
}

/* At most one slice: short enough to be done at once. That it is done is told to the core in a
 * later turn. */
static void move(struct controller *c, const struct core_output *out)
{
	memmove(arena_bytes(c, &out->to, NULL), arena_bytes(c, &out->from, NULL), out->from.length);
	const struct core_event moved = {.type = CORE_MOVED, .token = out->token};
	BASE_ASSERT(event_queue_push(&c->moved, &moved));
	c->moves++;
}

/* FOS_LABEL_MAX bytes; empty once the Process is gone. */
static const char *label_of(struct controller *c, uint32_t serial)
{
	static const char nobody[FOS_LABEL_MAX];
	const struct process *p = process_find(c, serial);
	return p != NULL ? p->label : nobody;
}

static void write_span(struct controller *c, const struct core_span *span)
{
	recorder_span(&c->recorder, span, label_of(c, span->process));
}

static void send_slice(struct controller *c, const struct core_output *out)
{
	const uint64_t begin = base_clock();
	peers_send_slice(c, out);
	recorder_slice(&c->recorder, out->bytes, out->from.process, label_of(c, out->from.process),
				   begin, base_clock());
}

static void end_process(struct controller *c, const struct core_output *out)
{
	struct process *p = process_find(c, out->process);
	BASE_ASSERT(p != NULL);
	process_end(c, p, out->reason);
}

static void carry_out(struct controller *c, const struct core_output *out)
{
	switch (out->type) {
	case CORE_RECORD:
		write_record(c, out);
		break;
	case CORE_SEND:
		peers_send(c, out);
		break;
	case CORE_SEND_SLICE:
		send_slice(c, out);
		break;
	case CORE_PLACE:
		memcpy(arena_bytes(c, &out->to, NULL), out->bytes, out->size);
		break;
	case CORE_MOVE:
		move(c, out);
		break;
	case CORE_END_SESSION:
		net_end(c->net, out->node, out->reason);
		break;
	case CORE_END_PROCESS:
		end_process(c, out);
		break;
	case CORE_SPAN:
		write_span(c, &out->span);
		break;
	}
}

void controller_step(struct controller *c, const struct core_event *event)
{
	struct core_event next = *event;
	if (c->stepping) {
		BASE_ASSERT(event->bytes == NULL && event_queue_push(&c->later, event));
		return;
	}
	c->stepping = true;
	do {
		struct core_output out;
		core_step(c->core, c->now, &next);
		while (core_output(c->core, &out))
			carry_out(c, &out);
	} while (event_queue_pop(&c->later, &next));
	c->stepping = false;
	c->recorder.dirty = true;
}

/* ------------------------------------------------------------------ sources */

bool source_open(struct controller *c, struct source *source, int fd,
				 void (*ready)(struct controller *, struct source *))
{
	*source = (struct source){.fd = fd, .ready = ready};
	return source_resume(c, source);
}

void source_pause(struct controller *c, struct source *source)
{
	epoll_ctl(c->epoll, EPOLL_CTL_DEL, source->fd, NULL);
}

bool source_resume(struct controller *c, struct source *source)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
	return epoll_ctl(c->epoll, EPOLL_CTL_ADD, source->fd, &event) == 0;
}

int source_take(struct controller *c, struct source *source)
{
	int fd = source->fd;
	if (fd >= 0)
		source_pause(c, source);
	source->fd = -1;
	return fd;
}

void source_close(struct controller *c, struct source *source)
{
	int fd = source_take(c, source);
	if (fd >= 0)
		close(fd);
}

static void on_aside(struct controller *c, struct source *source)
{
	aside_run(c, &c->aside, c->now);
}

static void on_signal(struct controller *c, struct source *source)
{
	struct signalfd_siginfo info;
	if (read(source->fd, &info, sizeof info) != (ssize_t)sizeof info)
		return;
	log_line(&c->log, "stopping: %s", strsignal((int)info.ssi_signo));
	c->stopping = true;
}

/* ------------------------------------------------------------------ start and stop */

static void *grow(void *context, size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

static bool open_core(struct controller *c, char *error)
{
	const struct config *config = c->config;
	struct core_config core;
	core_config_default(&core);
	core.node = config->self->id;
	core.epoch = c->epoch;
	memcpy(core.node_name, config->self->name, sizeof core.node_name);
	core.default_time = config->default_time_ms * MILLISECOND;
	core.heartbeat = config->heartbeat_ms * MILLISECOND;
	core.failure_timeout = config->failure_timeout_ms * MILLISECOND;
	core.limits = config->limits;
	core.limits.sessions = BASE_MAX(core.limits.sessions, config->node_count);
	core.grow = grow;
	core.context = c;
	if (getrandom(&core.seed, sizeof core.seed, 0) == (ssize_t)sizeof core.seed)
		c->core = core_create(&core);
	if (c->core == NULL)
		snprintf(error, CONFIG_ERROR_MAX, "no memory for the Controller's tables");
	return c->core != NULL;
}

static bool open_tables(struct controller *c, char *error)
{
	uint32_t places = 1;
	while (places < c->config->limits.processes)
		places *= 2;
	c->by_serial_mask = places - 1;
	c->by_serial = calloc(places, sizeof(struct process *));
	if (c->by_serial == NULL)
		snprintf(error, CONFIG_ERROR_MAX, "no memory for the table of processes");
	return c->by_serial != NULL;
}

static bool open_epoll(struct controller *c, char *error)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	struct epoll_event net_event = {.events = EPOLLIN};
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	c->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (c->epoll >= 0 && c->spare >= 0 && signals >= 0 &&
		source_open(c, &c->signals, signals, on_signal) && aside_open(&c->aside) &&
		source_open(c, &c->asides, c->aside.event, on_aside) &&
		source_open(c, &c->listener, c->files.listener, attach_accept) &&
		epoll_ctl(c->epoll, EPOLL_CTL_ADD, net_fd(c->net), &net_event) == 0)
		return true;
	snprintf(error, CONFIG_ERROR_MAX, "epoll: %s", strerror(errno));
	return false;
}

/* Every Process costs two descriptors and every channel two more. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

bool controller_open(struct config *config, bool verbose, struct controller **out, char *error)
{
	struct controller *c = calloc(1, sizeof *c);
	if (c == NULL) {
		snprintf(error, CONFIG_ERROR_MAX, "no memory");
		return false;
	}
	c->config = config;
	c->log = (struct log){.node = config->self->name, .verbose = verbose};
	c->files = (struct files){.lock = -1, .listener = -1};
	c->epoll = c->spare = c->signals.fd = c->listener.fd = c->asides.fd = c->aside.event = -1;
	aside_lane_init(&c->memory, &c->aside);
	aside_lane_init(&c->looks, &c->aside);
	aside_lane_init(&c->refuse, &c->aside);
	for (int i = 0; i < REFUSALS_MAX; i++)
		c->refusals[i].fd = -1;
	c->yields = config->yields;
	c->now = base_clock();
	list_init(&c->processes);
	list_init(&c->ending);
	list_init(&c->leaving);
	list_init(&c->clearing);
	list_init(&c->channels);
	list_init(&c->dirty);
	raise_descriptor_limit();
	if (getrandom(&c->epoch, sizeof c->epoch, 0) != (ssize_t)sizeof c->epoch)
		snprintf(error, CONFIG_ERROR_MAX, "no random numbers: %s", strerror(errno));
	else if (files_open(&c->files, config->self, error) && open_tables(c, error) &&
			 open_core(c, error) && peers_open(c, error) && open_epoll(c, error) &&
			 recorder_open(&c->recorder, config->self, c->epoch, c->now, error)) {
		*out = c;
		return true;
	}
	controller_close(c);
	return false;
}

void controller_close(struct controller *c)
{
	/* Closing the connections is what tells the Processes; the core's word would reach nobody. */
	while (!list_empty(&c->processes)) {
		struct process *p = LIST_FIRST(&c->processes, struct process, in_list);
		p->ending = true;
		list_remove(&p->in_ending);
		list_push(&c->ending, &p->in_ending);
		process_reap(c);
	}
	while (!list_empty(&c->leaving))
		process_clear(c, LIST_FIRST(&c->leaving, struct process, in_list));
	if (c->net != NULL)
		peers_close(c);
	source_close(c, &c->signals);
	recorder_close(&c->recorder);
	files_close(&c->files);
	if (c->spare >= 0)
		close(c->spare);
	bool finished = aside_close(c, &c->aside, LAST_PATIENCE_MS);
	if (c->epoll >= 0)
		close(c->epoll);
	if (!finished) {
		log_line(&c->log, "something that a Process left is stuck in the kernel: it stays");
		return;
	}
	free(c->by_serial);
	free(c->later.events);
	free(c->moved.events);
	free(c);
}
