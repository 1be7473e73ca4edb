/* Keeps the flight recorder: spans as they end, tables when something changed. */
#include "controller/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "controller/controller.h"
#include "wire/wire.h"

static bool make_file(const char *path, fos_recorder **out)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return false;
	void *map = MAP_FAILED;
	/* Allocated now: a full file system must be an error here and not a SIGBUS later. */
	int why = posix_fallocate(fd, 0, sizeof(fos_recorder));
	if (why == 0) {
		map = mmap(NULL, sizeof(fos_recorder), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		why = errno;
	}
	close(fd);
	if (map == MAP_FAILED) {
		unlink(path);
		errno = why;
		return false;
	}
	*out = map;
	return true;
}

bool recorder_open(struct recorder *recorder, const struct config_node *node, uint64_t epoch,
				   uint64_t now, char *error)
{
	char fresh[CONFIG_PATH_MAX + 8];
	fos_recorder *map;
	*recorder = (struct recorder){.path = node->recorder, .dirty = true};
	snprintf(fresh, sizeof fresh, "%s.new", node->recorder);
	unlink(fresh); /* of a daemon that was killed between here and rename */
	if (!make_file(fresh, &map)) {
		snprintf(error, CONFIG_ERROR_MAX, "recorder %s: %s", fresh, strerror(errno));
		return false;
	}
	map->layout = FOS_RECORDER_LAYOUT;
	map->node = node->id;
	memcpy(map->node_name, node->name, sizeof map->node_name);
	map->epoch = epoch;
	map->pid = (uint32_t)getpid();
	map->span_capacity = FOS_RECORDER_SPANS;
	map->started = now;
	map->magic = FOS_RECORDER_MAGIC;
	if (rename(fresh, node->recorder) != 0) {
		snprintf(error, CONFIG_ERROR_MAX, "recorder %s: %s", node->recorder, strerror(errno));
		unlink(fresh);
		munmap(map, sizeof *map);
		return false;
	}
	recorder->map = map;
	return true;
}

void recorder_close(struct recorder *recorder)
{
	if (recorder->map == NULL)
		return;
	unlink(recorder->path);
	munmap(recorder->map, sizeof *recorder->map);
	recorder->map = NULL;
}

void recorder_span(struct recorder *recorder, const struct core_span *span,
				   const char label[static FOS_LABEL_MAX])
{
	fos_recorder *map = recorder->map;
	uint64_t number = map->span_count;
	fos_recorder_span *out = &map->spans[number % FOS_RECORDER_SPANS];
	__atomic_store_n(&out->sequence, 0, __ATOMIC_RELAXED);
	atomic_thread_fence(memory_order_release);
	out->trace = span->trace;
	out->id = span->id;
	out->parent = span->parent;
	out->begin = span->begin;
	out->end = span->end;
	out->bytes = span->bytes;
	out->process = span->process;
	out->kind = span->kind;
	out->status = span->status;
	memcpy(out->label, label, sizeof out->label);
	__atomic_store_n(&out->sequence, number + 1, __ATOMIC_RELEASE);
	__atomic_store_n(&map->span_count, number + 1, __ATOMIC_RELEASE);
}

void recorder_slice(struct recorder *recorder, const uint8_t *message, uint32_t process,
					const char label[static FOS_LABEL_MAX], uint64_t begin, uint64_t end)
{
	const struct wire_message_data *data = (const void *)message;
	if (!data->first)
		return;
	const struct core_span span = {.trace = data->trace,
								   .parent = data->span,
								   .begin = begin,
								   .end = end,
								   .bytes = data->total,
								   .process = process,
								   .kind = FOS_SPAN_SEND};
	recorder_span(recorder, &span, label);
}

static void write_links(const struct controller *c, fos_recorder *map)
{
	for (uint32_t i = 0; i < c->peer_count; i++) {
		fos_recorder_link *out = &map->links[i];
		struct net_link link;
		if (!net_link(c->net, c->peers[i].node->id, &link))
			continue;
		*out = (fos_recorder_link){
			.node = c->peers[i].node->id,
			.up = link.up,
			.epoch = link.epoch,
			.messages_sent = link.messages_sent,
			.messages_received = link.messages_received,
			.bytes_sent = link.bytes_sent,
			.bytes_received = link.bytes_received,
		};
		memcpy(out->name, c->peers[i].node->name, sizeof out->name);
	}
}

static enum fos_process_state state_of(const struct process *p)
{
	if (p->state == PROCESS_HERE)
		return FOS_PROCESS_ATTACHED;
	return p->exited ? FOS_PROCESS_DEVICES : FOS_PROCESS_EXITING;
}

static void write_process(const struct controller *c, const struct process *p,
						  fos_recorder_process *out)
{
	struct core_usage usage = {0};
	core_process_usage(c->core, p->serial, &usage);
	*out = (fos_recorder_process){
		.serial = p->serial,
		.pid = (uint32_t)p->pid,
		.uid = p->uid,
		.state = state_of(p),
		.channels = p->channel_count,
		.segments = p->segment_count,
		.arena_bytes = p->arena_bytes,
		.objects = usage.objects,
		.slots = usage.slots,
		.deliveries = usage.deliveries,
		.parked = usage.parked,
		.copies = usage.copies,
		.once = usage.once,
		.values_bytes = usage.values_bytes,
	};
	memcpy(out->label, p->label, sizeof out->label);
}

static void write_processes(const struct controller *c, fos_recorder *map)
{
	const struct list *const lists[] = {&c->processes, &c->leaving, &c->clearing};
	uint32_t count = 0;
	map->clearing = 0;
	for (size_t i = 0; i < BASE_COUNT(lists); i++)
		for (const struct list *at = lists[i]->next; at != lists[i]; at = at->next) {
			const struct process *p = BASE_CONTAINER(at, struct process, in_list);
			map->arena_memory += p->arena_bytes;
			if (p->state == PROCESS_CLEARING)
				map->clearing++;
			else if (p->serial != 0 && count < FOS_RECORDER_PROCESSES)
				write_process(c, p, &map->processes[count++]);
		}
	for (; count < FOS_RECORDER_PROCESSES && map->processes[count].serial != 0; count++)
		map->processes[count].serial = 0;
}

void recorder_refresh(struct controller *c)
{
	fos_recorder *map = c->recorder.map;
	if (!c->recorder.dirty)
		return;
	c->recorder.dirty = false;
	c->recorder.written = c->now;
	__atomic_store_n(&map->version, map->version + 1, __ATOMIC_RELAXED);
	atomic_thread_fence(memory_order_release);
	map->written = c->now;
	map->core_memory = core_memory_grown(c->core);
	map->core_used = core_memory_used(c->core);
	map->arena_memory = 0;
	map->counters = *core_counters(c->core);
	write_links(c, map);
	write_processes(c, map);
	__atomic_store_n(&map->version, map->version + 1, __ATOMIC_RELEASE);
}
