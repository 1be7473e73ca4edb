/* The cluster under a benchmark: its nodes, as its cluster file tells them, what their Controllers
 * count, and which core each party runs on. */
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "nodes.h"

/* ------------------------------------------------------------------ the cluster file */

static const fos_recorder *map_recorder(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	const fos_recorder *r = NULL;
	if (fstat(fd, &st) == 0 && (size_t)st.st_size >= sizeof *r) {
		void *at = mmap(NULL, sizeof *r, PROT_READ, MAP_SHARED, fd, 0);
		r = at == MAP_FAILED ? NULL : at;
	}
	close(fd);
	if (r && (r->magic != FOS_RECORDER_MAGIC || r->layout != FOS_RECORDER_LAYOUT)) {
		munmap((void *)(uintptr_t)r, sizeof *r);
		r = NULL;
	}
	return r;
}

static int on_key(void *arg, const char *section, const char *name, const char *value)
{
	struct bench_context *context = arg;
	struct bench_node *node = NULL;

	if (strncmp(section, "node ", 5) != 0)
		return 1;
	if (context->node_count > 0)
		node = &context->nodes[context->node_count - 1];
	if (!node || strcmp(node->name, section + 5) != 0) {
		if (context->node_count == BENCH_NODES_MAX)
			return 0;
		node = &context->nodes[context->node_count++];
		snprintf(node->name, sizeof node->name, "%s", section + 5);
	}
	if (!strcmp(name, "address"))
		snprintf(node->address, sizeof node->address, "%s", value);
	else if (!strcmp(name, "recorder"))
		node->recorder = map_recorder(value);
	return 1;
}

bool nodes_load(struct bench_context *context)
{
	const char *socket = getenv("FRACTOS_SOCKET");
	char path[512];

	/* DIRECTORY/NODE/socket; the cluster file is DIRECTORY/cluster.conf. */
	snprintf(path, sizeof path, "%s", socket ? socket : "");
	for (int i = 0; i < 2; i++) {
		char *slash = strrchr(path, '/');
		if (!slash)
			return bench_fails(
				"$FRACTOS_SOCKET does not name the socket of a node of `fractos up`");
		*slash = 0;
	}
	size_t used = strlen(path);
	snprintf(path + used, sizeof path - used, "/cluster.conf");
	if (ini_parse(path, on_key, context) != 0)
		return bench_fails("%s: cannot be read, or more than %d nodes", path, BENCH_NODES_MAX);
	for (unsigned i = 0; i < context->node_count; i++)
		if (!context->nodes[i].recorder)
			return bench_fails("node %s: no flight recorder", context->nodes[i].name);
	return true;
}

const struct bench_node *bench_node(const struct bench_context *context, const char *name)
{
	for (unsigned i = 0; i < context->node_count; i++)
		if (!strcmp(context->nodes[i].name, name))
			return &context->nodes[i];
	bench_complain("no node \"%s\" in the cluster", name);
	return NULL;
}

/* ------------------------------------------------------------------ counters */

#define MILLISECOND 1000000

/* Counters not older than `since`. Tables are written when the Controller falls asleep, and while
 * it is busy ten times a second; it wakes for a heartbeat at the latest. Who only reads shared
 * memory is told of nothing: a Controller that woke its readers would pay for them in what is
 * measured. So it is looked at, after the measuring. */
static bool read_counters(const struct bench_node *node, uint64_t since, fos_counters *out)
{
	const fos_recorder *r = node->recorder;
	while (bench_now() - since < 3000 * (uint64_t)MILLISECOND) {
		uint64_t before = __atomic_load_n(&r->version, __ATOMIC_ACQUIRE);
		uint64_t written = r->written;
		memcpy(out, &r->counters, sizeof *out);
		atomic_thread_fence(memory_order_acquire);
		if ((before & 1) == 0 && __atomic_load_n(&r->version, __ATOMIC_RELAXED) == before &&
			written > since)
			return true;
		nanosleep(&(struct timespec){.tv_nsec = MILLISECOND}, NULL);
	}
	return bench_fails("node %s: its Controller writes no counters", node->name);
}

bool bench_messages(const struct bench_context *context, struct fos_message_counters *out)
{
	const uint64_t since = bench_now();
	*out = (struct fos_message_counters){0};
	for (unsigned i = 0; i < context->node_count; i++) {
		fos_counters c;
		if (!read_counters(&context->nodes[i], since, &c))
			return false;
#define ADD(name) out->name += c.sent.name;
		FOS_MESSAGE_COUNTER_TABLE(ADD)
#undef ADD
	}
	out->heartbeat = out->credit = 0;
	return true;
}

double bench_messages_each(const struct fos_message_counters *before,
						   const struct fos_message_counters *after, unsigned count, char *text,
						   size_t size)
{
	double all = 0;
	size_t used = 0;

	text[0] = 0;
#define TELL(name)                                                                               \
	if (after->name > before->name && used < size) {                                             \
		double each = (double)(after->name - before->name) / count;                              \
		all += each;                                                                             \
		used += (size_t)snprintf(text + used, size - used, "%s%s %.4g", used ? ", " : "", #name, \
								 each);                                                          \
	}
	FOS_MESSAGE_COUNTER_TABLE(TELL)
#undef TELL
	return all;
}

uint64_t bench_cpu(pid_t pid)
{
	clockid_t clock;
	struct timespec used;
	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
		return 0;
	return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

pid_t bench_controller(const struct bench_node *node)
{
	return (pid_t)node->recorder->pid;
}

/* ------------------------------------------------------------------ cores */

/* The cores that we were allowed when we began. */
static cpu_set_t allowed;

unsigned nodes_cores(void)
{
	if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
		return 1;
	return (unsigned)CPU_COUNT(&allowed);
}

bool bench_pin(pid_t pid, unsigned core)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	for (unsigned i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &allowed) && core-- == 0)
			CPU_SET(i, &one);
	return sched_setaffinity(pid, sizeof one, &one) == 0 ||
		   bench_fails("cannot give process %d a core: %s", (int)pid, strerror(errno));
}

bool bench_place(const struct bench_context *context, const pid_t *pids, unsigned count)
{
	unsigned together = context->cores >= count ? 1 : 2;
	if (!context->pin || context->cores * together < count)
		return false;
	bool ok = true;
	for (unsigned i = 0; i < count; i++)
		ok = bench_pin(pids[i], i / together) && ok;
	return ok;
}

void bench_unplace(const pid_t *pids, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		sched_setaffinity(pids[i], sizeof allowed, &allowed);
}
