/* `fractos status`: what the supervisor knows of a cluster's programs, and what the flight
 * recorders of its Controllers say, without stopping any. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools.h"

enum { READ_TRIES = 1000 };

static pid_t asker; /* the Process of our own look-ups, which is gone by now and is not shown */

/* A consistent copy of a recorder's tables; false: none, or of another layout. */
static bool read_recorder(const char *path, fos_recorder *out)
{
	struct stat st;
	bool ok = false;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (fstat(fd, &st) != 0 || (size_t)st.st_size < sizeof(fos_recorder)) {
		close(fd);
		return false;
	}
	const fos_recorder *shared = mmap(NULL, sizeof *shared, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (shared == MAP_FAILED)
		return false;
	const size_t tables = offsetof(fos_recorder, span_count);
	for (int i = 0; i < READ_TRIES && !ok; i++) {
		uint64_t before = __atomic_load_n(&shared->version, __ATOMIC_ACQUIRE);
		memcpy(out, shared, tables);
		atomic_thread_fence(memory_order_acquire);
		ok = (before & 1) == 0 && __atomic_load_n(&shared->version, __ATOMIC_RELAXED) == before;
	}
	out->span_count = __atomic_load_n(&shared->span_count, __ATOMIC_RELAXED);
	munmap((void *)(uintptr_t)shared, sizeof *shared);
	return ok && out->magic == FOS_RECORDER_MAGIC && out->layout == FOS_RECORDER_LAYOUT;
}

static bool alive(const fos_recorder *r)
{
	return kill((pid_t)r->pid, 0) == 0 || errno == EPERM;
}

/* ------------------------------------------------------------------ for people */

static const char *state_name(const fos_recorder_process *p)
{
	return p->state == FOS_PROCESS_ATTACHED  ? "attached"
		   : p->state == FOS_PROCESS_EXITING ? "exiting"
											 : "devices";
}

static void show_node(const struct node *node, const fos_recorder *r)
{
	printf("node %-8s %s  epoch %016" PRIx64
		   "  pid %u  up %.1f s  core %.1f MiB  arenas %.1f MiB\n",
		   node->name, alive(r) ? "serving" : "DEAD   ", r->epoch, r->pid,
		   (double)(clock_ns() - r->started) / 1e9, (double)r->core_memory / 1048576.0,
		   (double)r->arena_memory / 1048576.0);
	if (r->clearing != 0)
		printf("  %u gone, not yet closed or unmapped\n", r->clearing);
	for (unsigned i = 0; i < FOS_RECORDER_PROCESSES; i++) {
		const fos_recorder_process *p = &r->processes[i];
		if (p->serial == 0 || (pid_t)p->pid == asker)
			continue;
		if (p->state != FOS_PROCESS_ATTACHED) {
			printf(
				"  LEAVING %-14s serial %-4u pid %-8u uid %-5u keeps its place: waits for its %s\n",
				p->label, p->serial, p->pid, p->uid,
				p->state == FOS_PROCESS_EXITING ? "exit" : "devices to be free");
			continue;
		}
		printf("  process %-14s serial %-4u pid %-8u objects %-5u slots %-5u open %-4u parked %-4u "
			   "once %-4u copies %u\n",
			   p->label, p->serial, p->pid, p->objects, p->slots, p->deliveries, p->parked, p->once,
			   p->copies);
	}
	for (unsigned i = 0; i < FOS_RECORDER_LINKS; i++) {
		const fos_recorder_link *l = &r->links[i];
		if (l->node == 0)
			continue;
		printf("  link to %-13s %-4s sent %" PRIu64 " messages, %" PRIu64
			   " bytes; received %" PRIu64 ", %" PRIu64 "\n",
			   l->name, l->up ? "up" : "DOWN", l->messages_sent, l->bytes_sent,
			   l->messages_received, l->bytes_received);
	}
	printf("  counters");
#define SHOW(name, text)  \
	if (r->counters.name) \
		printf("  %s %" PRIu64, #name, r->counters.name);
	FOS_COUNTER_TABLE(SHOW)
#undef SHOW
	printf("\n  messages");
#define SHOW(name)                                                        \
	if (r->counters.sent.name || r->counters.received.name)               \
		printf("  %s %" PRIu64 "/%" PRIu64, #name, r->counters.sent.name, \
			   r->counters.received.name);
	FOS_MESSAGE_COUNTER_TABLE(SHOW)
#undef SHOW
	printf("  (sent/received)\n");
}

static void show_programs(const struct cluster *cluster, const struct program_report *reports)
{
	char advice[PATH_LEN + 160], name[2 * NAME_LEN + 2];

	for (unsigned i = 0; i < cluster->program_count; i++) {
		const struct program_report *r = &reports[i];
		program_advice(cluster, &cluster->programs[i], r, advice, sizeof advice);
		format(name, sizeof name, "%s/%s", cluster->programs[i].node, cluster->programs[i].name);
		printf("program %-16s %-8s", name, program_state_name(r->state));
		if (r->pid != 0)
			printf("  pid %d", (int)r->pid);
		if (r->ends != 0)
			printf("  ended %u time%s, last: %s", r->ends, r->ends == 1 ? "" : "s", r->last_end);
		printf("%s%s\n", advice[0] ? "; " : "", advice);
	}
}

/* ------------------------------------------------------------------ for programs */

/* 64-bit counters stay exact in JSON up to 2^53; epochs are hexadecimal strings. */
static void put(cJSON *object, const char *name, uint64_t value)
{
	cJSON_AddNumberToObject(object, name, (double)value);
}

static cJSON *json_processes(const fos_recorder *r)
{
	cJSON *array = cJSON_CreateArray();
	for (unsigned i = 0; i < FOS_RECORDER_PROCESSES; i++) {
		const fos_recorder_process *p = &r->processes[i];
		if (p->serial == 0 || (pid_t)p->pid == asker)
			continue;
		cJSON *o = cJSON_CreateObject();
		cJSON_AddStringToObject(o, "label", p->label);
		put(o, "serial", p->serial);
		put(o, "pid", p->pid);
		put(o, "uid", p->uid);
		cJSON_AddStringToObject(o, "state", state_name(p));
		put(o, "channels", p->channels);
		put(o, "arena_bytes", p->arena_bytes);
		put(o, "objects", p->objects);
		put(o, "slots", p->slots);
		put(o, "deliveries", p->deliveries);
		put(o, "parked", p->parked);
		put(o, "copies", p->copies);
		put(o, "once", p->once);
		put(o, "values_bytes", p->values_bytes);
		cJSON_AddItemToArray(array, o);
	}
	return array;
}

static cJSON *json_links(const fos_recorder *r)
{
	cJSON *array = cJSON_CreateArray();
	for (unsigned i = 0; i < FOS_RECORDER_LINKS; i++) {
		const fos_recorder_link *l = &r->links[i];
		if (l->node == 0)
			continue;
		cJSON *o = cJSON_CreateObject();
		cJSON_AddStringToObject(o, "to", l->name);
		cJSON_AddBoolToObject(o, "up", l->up != 0);
		put(o, "messages_sent", l->messages_sent);
		put(o, "messages_received", l->messages_received);
		put(o, "bytes_sent", l->bytes_sent);
		put(o, "bytes_received", l->bytes_received);
		cJSON_AddItemToArray(array, o);
	}
	return array;
}

static cJSON *json_counters(const fos_recorder *r)
{
	cJSON *o = cJSON_CreateObject();
#define PUT(name, text) put(o, #name, r->counters.name);
	FOS_COUNTER_TABLE(PUT)
#undef PUT
#define PUT(name)                                 \
	put(o, "sent_" #name, r->counters.sent.name); \
	put(o, "received_" #name, r->counters.received.name);
	FOS_MESSAGE_COUNTER_TABLE(PUT)
#undef PUT
	return o;
}

/* r is NULL where there is no recorder: then the node does not serve, and no more is known. */
static cJSON *json_node(const struct node *node, const fos_recorder *r)
{
	char epoch[20];
	cJSON *o = cJSON_CreateObject();
	cJSON_AddStringToObject(o, "name", node->name);
	put(o, "id", node->id);
	cJSON_AddBoolToObject(o, "serving", r && alive(r));
	if (!r)
		return o;
	format(epoch, sizeof epoch, "%016" PRIx64, r->epoch);
	put(o, "pid", r->pid);
	cJSON_AddStringToObject(o, "epoch", epoch);
	put(o, "core_memory", r->core_memory);
	put(o, "core_used", r->core_used);
	put(o, "arena_memory", r->arena_memory);
	put(o, "clearing", r->clearing);
	cJSON_AddItemToObject(o, "processes", json_processes(r));
	cJSON_AddItemToObject(o, "links", json_links(r));
	cJSON_AddItemToObject(o, "counters", json_counters(r));
	return o;
}

static cJSON *json_programs(const struct cluster *cluster, const struct program_report *reports)
{
	cJSON *array = cJSON_CreateArray();
	for (unsigned i = 0; i < cluster->program_count; i++) {
		cJSON *o = cJSON_CreateObject();
		cJSON_AddStringToObject(o, "node", cluster->programs[i].node);
		cJSON_AddStringToObject(o, "name", cluster->programs[i].name);
		cJSON_AddStringToObject(o, "state", program_state_name(reports[i].state));
		put(o, "pid", (uint64_t)reports[i].pid);
		put(o, "ends", reports[i].ends);
		cJSON_AddStringToObject(o, "last_end", reports[i].last_end);
		cJSON_AddItemToArray(array, o);
	}
	return array;
}

/* ------------------------------------------------------------------ the command */

static void show_name(const char *name, void *arg)
{
	int *count = arg;
	struct cluster cluster;
	cluster_describe(&cluster, name);
	fprintf(stderr, "  %s%s\n", name,
			cluster_alive(&cluster) ? "" : " (dead; `fractos down` removes it)");
	(*count)++;
}

static void print_json(cJSON *root)
{
	char *text = cJSON_Print(root);
	if (text)
		puts(text);
	cJSON_free(text);
	cJSON_Delete(root);
}

/* 1 when something that should run does not, or cannot be found. */
static int show_cluster(const struct cluster *cluster, bool json, bool passive)
{
	static fos_recorder recorder;
	struct program_report reports[PROGRAMS_MAX];
	cJSON *root = json ? cJSON_CreateObject() : NULL;
	const bool supervised = cluster_programs(cluster, reports);
	bool fine = supervised;

	if (!passive)
		asker = cluster_look_up(cluster, reports);
	for (unsigned i = 0; i < cluster->program_count; i++)
		fine = fine && program_fine(&reports[i]);
	if (json) {
		cJSON_AddStringToObject(root, "cluster", cluster->name);
		cJSON_AddBoolToObject(root, "supervised", supervised);
		cJSON_AddItemToObject(root, "programs", json_programs(cluster, reports));
	} else if (supervised) {
		show_programs(cluster, reports);
	}
	cJSON *nodes = json ? cJSON_AddArrayToObject(root, "nodes") : NULL;
	for (unsigned i = 0; i < cluster->node_count; i++) {
		const struct node *node = &cluster->nodes[i];
		bool ok = read_recorder(node->recorder, &recorder);
		fine = fine && ok && alive(&recorder);
		if (!ok)
			memset(&recorder, 0, sizeof recorder);
		if (json)
			cJSON_AddItemToArray(nodes, json_node(node, ok ? &recorder : NULL));
		else if (ok)
			show_node(node, &recorder);
		else
			printf("node %-8s has no recorder at %s\n", node->name, node->recorder);
	}
	if (json)
		print_json(root);
	if (!supervised)
		complain("the supervisor of the cluster \"%s\" is gone, and its programs with it; "
				 "`fractos down` removes what is left",
				 cluster->name);
	return fine ? 0 : 1;
}

int command_status(int argc, char **argv)
{
	struct cluster cluster;
	const char *name = DEFAULT_CLUSTER, *value;
	bool json = false, passive = false;
	int count = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			json = true;
		else if (!strcmp(argv[i], "--passive"))
			passive = true;
		else if (is_option(argc, argv, &i, "--cluster", &value)) {
			if (!take_name(value, &name))
				return 2;
		} else {
			bool help = !strcmp(argv[i], "--help");
			fputs(
				"usage: fractos status [--json] [--passive] [--cluster NAME]\n"
				"Exit status 1 when a node or a program is down that nobody stopped, or when the\n"
				"registry does not give out what serves. With --passive it is not asked.\n",
				help ? stdout : stderr);
			return help ? 0 : 2;
		}
	}
	if (!cluster_load(&cluster, name)) {
		complain("no cluster \"%s\" is up; of this user there are:", name);
		cluster_each(show_name, &count);
		if (count == 0)
			fputs("  none; `fractos up` starts one\n", stderr);
		return 1;
	}
	return show_cluster(&cluster, json, passive);
}
