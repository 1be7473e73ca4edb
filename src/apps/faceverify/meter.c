/* Reading recorders and interface counters; see meter.h. */
#include "meter.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	SETTLE_LOOKS = 100, /* at most, a millisecond apart */
	SETTLE_QUIET = 3,   /* looks in a row without a change */
	TABLE_TRIES = 100,
	DEV_TEXT_MAX = 16384
};

struct netdev {
	char interface[32];
	int fd; /* /proc/net/dev of its namespace: stays bound to it */
};

struct source {
	char *path;
	const fos_recorder *map;
	dev_t device; /* with `inode`: which file is mapped; a Controller's next life makes another */
	ino_t inode;
};

struct meter {
	unsigned recorder_count, netdev_count;
	struct source recorders[METER_NODES_MAX];
	struct netdev netdevs[METER_NODES_MAX];
};

const char *meter_message_name(enum meter_message message)
{
	static const char *const names[] = {
#define METER_NAME(name) #name,
		FOS_MESSAGE_COUNTER_TABLE(METER_NAME)
#undef METER_NAME
	};
	return message < METER_MESSAGES ? names[message] : "?";
}

static void unmap(const fos_recorder *recorder)
{
	munmap((void *)(uintptr_t)recorder, sizeof *recorder);
}

meter *meter_new(void)
{
	return calloc(1, sizeof(meter));
}

void meter_free(meter *m)
{
	if (m == NULL)
		return;
	for (unsigned i = 0; i < m->recorder_count; i++) {
		unmap(m->recorders[i].map);
		free(m->recorders[i].path);
	}
	for (unsigned i = 0; i < m->netdev_count; i++)
		close(m->netdevs[i].fd);
	free(m);
}

bool meter_has_recorders(const meter *m)
{
	return m->recorder_count > 0;
}

bool meter_has_netdevs(const meter *m)
{
	return m->netdev_count > 0;
}

/* ------------------------------------------------------------------ sources */

/* What stands behind "NODE="; NULL: the text has not that form. */
static const char *behind_node(const char *text)
{
	const char *sign = strchr(text, '=');
	return sign == NULL || sign == text || sign[1] == '\0' ? NULL : sign + 1;
}

/* Maps the recorder that is at the path now; NULL with why: 0 says that it is none. */
static const fos_recorder *map_file(const char *path, struct stat *stat, int *why)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *map = MAP_FAILED;
	*why = fd < 0 ? errno : 0;
	if (fd < 0)
		return NULL;
	if (fstat(fd, stat) == 0 && stat->st_size >= (off_t)sizeof(fos_recorder))
		map = mmap(NULL, sizeof(fos_recorder), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return NULL;
	const fos_recorder *recorder = map;
	if (recorder->magic == FOS_RECORDER_MAGIC && recorder->layout == FOS_RECORDER_LAYOUT)
		return recorder;
	unmap(recorder);
	return NULL;
}

/* Takes the file that is there now where it is another; between two lives the last one stays. */
static void follow(struct source *source)
{
	struct stat now;
	int why;
	if (stat(source->path, &now) != 0 ||
		(now.st_dev == source->device && now.st_ino == source->inode))
		return;
	const fos_recorder *map = map_file(source->path, &now, &why);
	if (map == NULL)
		return;
	unmap(source->map);
	source->map = map;
	source->device = now.st_dev;
	source->inode = now.st_ino;
}

bool meter_add_recorder(meter *m, const char *text, char error[METER_ERROR_MAX])
{
	const char *path = behind_node(text);
	if (path == NULL || m->recorder_count == METER_NODES_MAX) {
		(void)snprintf(error, METER_ERROR_MAX, "--recorder %.100s: want NODE=PATH", text);
		return false;
	}
	struct stat stat;
	int why;
	struct source source = {.map = map_file(path, &stat, &why)};
	if (source.map == NULL) {
		(void)snprintf(error, METER_ERROR_MAX, "%.180s: %s", path,
					   why != 0 ? strerror(why) : "not a flight recorder of this version");
		return false;
	}
	source.device = stat.st_dev;
	source.inode = stat.st_ino;
	source.path = strdup(path);
	if (source.path == NULL) {
		(void)snprintf(error, METER_ERROR_MAX, "%.180s: no memory", path);
		unmap(source.map);
		return false;
	}
	m->recorders[m->recorder_count++] = source;
	return true;
}

struct opening {
	const char *namespace; /* NULL: ours */
	int fd, why;
};

/* A thread of its own enters the namespace, so nothing else of this program is ever inside. */
static void *open_counters(void *arg)
{
	struct opening *opening = arg;
	if (opening->namespace != NULL) {
		const int space = open(opening->namespace, O_RDONLY | O_CLOEXEC);
		const bool entered = space >= 0 && setns(space, CLONE_NEWNET) == 0;
		opening->why = errno;
		if (space >= 0)
			close(space);
		if (!entered)
			return NULL;
	}
	opening->fd = open("/proc/thread-self/net/dev", O_RDONLY | O_CLOEXEC);
	opening->why = errno;
	return NULL;
}

/* Bytes that the interface has sent; false: there is no such interface. */
static bool read_sent(const struct netdev *netdev, uint64_t *out)
{
	char text[DEV_TEXT_MAX];
	const ssize_t size = pread(netdev->fd, text, sizeof text - 1, 0);
	if (size <= 0)
		return false;
	text[size] = '\0';
	const size_t length = strlen(netdev->interface);
	for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += strspn(line, " \n");
		if (strncmp(line, netdev->interface, length) != 0 || line[length] != ':')
			continue;
		/* Eight numbers about what was received come first. */
		return sscanf(line + length + 1, "%*u %*u %*u %*u %*u %*u %*u %*u %lu", out) == 1;
	}
	return false;
}

bool meter_add_netdev(meter *m, const char *text, char error[METER_ERROR_MAX])
{
	const char *name = behind_node(text);
	if (name == NULL || m->netdev_count == METER_NODES_MAX) {
		(void)snprintf(error, METER_ERROR_MAX,
					   "--netdev %.100s: want NODE=INTERFACE or NODE=INTERFACE@NAMESPACE", text);
		return false;
	}
	const char *at = strchr(name, '@');
	struct netdev *netdev = &m->netdevs[m->netdev_count];
	(void)snprintf(netdev->interface, sizeof netdev->interface, "%.*s",
				   (int)(at != NULL ? at - name : (long)strlen(name)), name);
	struct opening opening = {.namespace = at != NULL ? at + 1 : NULL, .fd = -1};
	pthread_t thread;
	const int failed = pthread_create(&thread, NULL, open_counters, &opening);
	if (failed == 0)
		pthread_join(thread, NULL);
	uint64_t sent;
	netdev->fd = opening.fd;
	if (opening.fd < 0 || !read_sent(netdev, &sent)) {
		(void)snprintf(error, METER_ERROR_MAX, "--netdev %.150s: %s", text,
					   opening.fd < 0 ? strerror(failed != 0 ? failed : opening.why)
									  : "no such interface there");
		if (opening.fd >= 0)
			close(opening.fd);
		return false;
	}
	m->netdev_count++;
	return true;
}

/* ------------------------------------------------------------------ reading */

static uint64_t version_of(const fos_recorder *recorder)
{
	return __atomic_load_n(&recorder->version, __ATOMIC_ACQUIRE);
}

/* A recorder is memory that somebody else writes: it tells nobody that it changed, so it is looked
 * at again and again. */
static void settle(const meter *m)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	uint64_t last = UINT64_MAX;
	int quiet = 0;
	for (int look = 0; look < SETTLE_LOOKS && quiet < SETTLE_QUIET; look++) {
		uint64_t sum = 0;
		for (unsigned i = 0; i < m->recorder_count; i++)
			sum += version_of(m->recorders[i].map);
		quiet = sum == last ? quiet + 1 : 0;
		last = sum;
		nanosleep(&pause, NULL);
	}
}

static void copy_tables(const fos_recorder *recorder, meter_node *out)
{
	_Static_assert(sizeof recorder->counters.sent == METER_MESSAGES * sizeof(uint64_t),
				   "one counter for each message");
	memcpy(out->name, recorder->node_name, sizeof out->name);
	out->name[sizeof out->name - 1] = '\0';
	memcpy(out->messages, &recorder->counters.sent, sizeof out->messages);
	memcpy(out->bytes, &recorder->counters.sent_bytes, sizeof out->bytes);
	out->epoch = recorder->epoch;
	out->copies = recorder->counters.copies - recorder->counters.copies_local;
	out->landed = recorder->counters.copy_bytes;
	out->link_count = 0;
	for (unsigned i = 0; i < FOS_RECORDER_LINKS && out->link_count < METER_NODES_MAX; i++) {
		const fos_recorder_link *link = &recorder->links[i];
		if (link->node == 0)
			continue;
		memcpy(out->links[out->link_count].to, link->name, FOS_LABEL_MAX);
		out->links[out->link_count].to[FOS_LABEL_MAX - 1] = '\0';
		out->links[out->link_count].messages = link->messages_sent;
		out->links[out->link_count++].bytes = link->bytes_sent;
	}
}

void meter_read(meter *m, meter_reading *out)
{
	for (unsigned i = 0; i < m->recorder_count; i++)
		follow(&m->recorders[i]);
	settle(m);
	memset(out, 0, sizeof *out);
	out->node_count = m->recorder_count;
	for (unsigned i = 0; i < m->recorder_count; i++) {
		const fos_recorder *recorder = m->recorders[i].map;
		for (int attempt = 0; attempt < TABLE_TRIES; attempt++) {
			const uint64_t before = version_of(recorder);
			copy_tables(recorder, &out->nodes[i]);
			__atomic_thread_fence(__ATOMIC_ACQUIRE);
			if (before % 2 == 0 && version_of(recorder) == before)
				break;
			sched_yield();
		}
		out->nodes[i].spans = __atomic_load_n(&recorder->span_count, __ATOMIC_ACQUIRE);
	}
	for (unsigned i = 0; i < m->netdev_count; i++) {
		uint64_t sent;
		if (read_sent(&m->netdevs[i], &sent))
			out->kernel_bytes += sent;
	}
}

static void subtract(const meter_node *before, meter_node *from)
{
	if (before->epoch != from->epoch)
		return;
	for (unsigned j = 0; j < METER_MESSAGES; j++) {
		from->messages[j] -= before->messages[j];
		from->bytes[j] -= before->bytes[j];
	}
	for (unsigned j = 0; j < from->link_count; j++) {
		from->links[j].messages -= before->links[j].messages;
		from->links[j].bytes -= before->links[j].bytes;
	}
	from->copies -= before->copies;
	from->landed -= before->landed;
}

void meter_difference(const meter_reading *before, const meter_reading *after, meter_reading *out)
{
	*out = *after;
	out->kernel_bytes -= before->kernel_bytes;
	for (unsigned i = 0; i < after->node_count; i++)
		subtract(&before->nodes[i], &out->nodes[i]);
}

uint64_t meter_messages(const meter_reading *reading)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < reading->node_count; i++)
		for (unsigned j = 0; j < METER_MESSAGES; j++)
			sum += j == METER_heartbeat ? 0 : reading->nodes[i].messages[j];
	return sum;
}

uint64_t meter_bytes(const meter_reading *reading)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < reading->node_count; i++)
		for (unsigned j = 0; j < METER_MESSAGES; j++)
			sum += j == METER_heartbeat ? 0 : reading->nodes[i].bytes[j];
	return sum;
}

uint64_t meter_data_bytes(const meter_reading *reading)
{
	uint64_t landed = 0, sent = 0;
	for (unsigned i = 0; i < reading->node_count; i++) {
		landed += reading->nodes[i].landed;
		sent += reading->nodes[i].bytes[METER_data];
	}
	/* Where nodes copied inside themselves too, what was sent is the nearer bound. */
	return landed < sent ? landed : sent;
}

uint64_t meter_control_messages(const meter_reading *reading)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < reading->node_count; i++) {
		const meter_node *node = &reading->nodes[i];
		sum += node->copies;
		for (unsigned j = 0; j < METER_MESSAGES; j++)
			sum += j == METER_data || j == METER_credit || j == METER_heartbeat ? 0
																				: node->messages[j];
	}
	return sum;
}

uint32_t meter_spans(const meter *m, const meter_reading *before, uint64_t first, uint32_t traces,
					 fos_recorder_span *out, uint32_t room)
{
	uint32_t count = 0;
	for (unsigned i = 0; i < m->recorder_count && i < before->node_count; i++) {
		const fos_recorder *recorder = m->recorders[i].map;
		const uint64_t end = __atomic_load_n(&recorder->span_count, __ATOMIC_ACQUIRE);
		uint64_t number = recorder->epoch == before->nodes[i].epoch ? before->nodes[i].spans : 0;
		if (end - number > FOS_RECORDER_SPANS)
			number = end - FOS_RECORDER_SPANS; /* older ones are overwritten */
		for (; number < end && count < room; number++) {
			const fos_recorder_span *span = &recorder->spans[number % FOS_RECORDER_SPANS];
			out[count] = *span;
			__atomic_thread_fence(__ATOMIC_ACQUIRE);
			const uint64_t now = __atomic_load_n(&span->sequence, __ATOMIC_RELAXED);
			if (now == number + 1 && out[count].sequence == now &&
				out[count].trace - first < traces)
				count++;
		}
	}
	return count;
}
