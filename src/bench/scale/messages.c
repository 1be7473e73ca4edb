/* Messages of each operation, counted in clusters of any size. Every node has a Process; the hub,
 * which is the registry, knows a Request of each, its door. Operations are those of Processes on
 * the nodes 2 to 6; what is "held on all nodes" the hub has sent to each. */
#include "scale.h"

#include <stdlib.h>
#include <string.h>

#include "cluster.h"
#include "core/inspect.h"

enum { DOOR = 1, REPLY, ROOT, REPEAT = 8, BYTES = 4096, GIFT = 1, NEXT = FOS_NEXT };
enum { A = 2, B = 3, C = 4, D = 5, BYSTANDER = 6, NODES_LEAST = 8 };

struct place { /* what a node has */
	struct process *process;
	uint64_t root; /* the hub's Request */
	uint64_t door; /* own Request; the hub's capability to it is `to` */
	uint64_t to;
};

struct scene {
	struct cluster *cluster;
	struct process *hub;
	struct place *places; /* by node, from 1 */
	uint32_t nodes;
	struct sent before;
	double *counted;
};

static const char *const names[] = {
#define SCALE_NAME(NAME, text) text,
	SCALE_OPERATIONS(SCALE_NAME)
#undef SCALE_NAME
};

const char *scale_operation_name(enum scale_operation operation)
{
	return names[operation];
}

/* ------------------------------------------------------------------ giving */

static void give(struct process *from, uint64_t door, uint64_t cap)
{
	process_invoke(from, door, &(struct args){.caps = {{GIFT, cap}}, .cap_count = 1});
}

/* What came, kept. */
static uint64_t receive(struct scene *scene, struct process *process)
{
	struct delivery delivery;
	cluster_settle(scene->cluster);
	BASE_ASSERT(process_take(process, &delivery));
	uint64_t cap = delivery_cap(&delivery, GIFT);
	BASE_ASSERT(cap != 0);
	process_keep(process, cap);
	process_finish(process, delivery.id);
	cluster_settle(scene->cluster);
	return cap;
}

/* By way of the hub, from the Process of one node to that of another. */
static uint64_t pass(struct scene *scene, uint32_t from, uint64_t cap, uint32_t to)
{
	give(scene->places[from].process, scene->places[from].root, cap);
	uint64_t held = receive(scene, scene->hub);
	give(scene->hub, scene->places[to].to, held);
	uint64_t out = receive(scene, scene->places[to].process);
	process_close(scene->hub, held);
	cluster_settle(scene->cluster);
	return out;
}

/* To the Processes of all nodes, and the hub. */
static void spread(struct scene *scene, uint32_t from, struct process *giver, uint64_t cap)
{
	give(giver, scene->places[from].root, cap);
	uint64_t held = receive(scene, scene->hub);
	for (uint32_t i = 1; i <= scene->nodes; i++) {
		give(scene->hub, scene->places[i].to, held);
		receive(scene, scene->places[i].process);
	}
}

static void begin(struct scene *scene)
{
	cluster_settle(scene->cluster);
	scene->before = *cluster_sent(scene->cluster);
}

static double end(struct scene *scene, unsigned times)
{
	cluster_settle(scene->cluster);
	return (double)cluster_messages(scene->cluster, &scene->before) / times;
}

/* ------------------------------------------------------------------ the scene */

static void open_scene(struct scene *scene, uint32_t nodes)
{
	const struct network network = {.mean_ns = 1000, .p99_ns = 1000, .seed = 1};
	*scene = (struct scene){.cluster = cluster_new(nodes, &network, NULL), .nodes = nodes};
	scene->places = calloc(nodes + 1, sizeof *scene->places);
	BASE_ASSERT(scene->places != NULL && nodes >= NODES_LEAST);
	scene->hub = process_new(scene->cluster, 1, 0);
	process_registry_set(scene->hub, process_request(scene->hub, ROOT));
	cluster_settle(scene->cluster);
	for (uint32_t i = 1; i <= nodes; i++) {
		struct place *place = &scene->places[i];
		place->process = process_new(scene->cluster, i, i <= D ? BYTES : 0);
		place->door = process_request(place->process, DOOR);
		place->root = process_registry_get(place->process);
		give(place->process, place->root, place->door);
		place->to = receive(scene, scene->hub);
	}
}

/* ------------------------------------------------------------------ operations */

static void calls(struct scene *scene)
{
	struct process *a = scene->places[A].process, *b = scene->places[B].process;
	uint64_t door = pass(scene, B, scene->places[B].door, A), reply = process_request(a, REPLY);
	struct delivery delivery;
	begin(scene);
	for (unsigned i = 0; i < REPEAT; i++) {
		process_invoke(a, door, &(struct args){.caps = {{NEXT, reply}}, .cap_count = 1});
		cluster_settle(scene->cluster);
		BASE_ASSERT(process_take(b, &delivery));
		process_continue(b, delivery.id, delivery_cap(&delivery, NEXT), NULL);
		cluster_settle(scene->cluster);
		BASE_ASSERT(process_take(a, &delivery) && delivery.handler == REPLY);
		process_finish(a, delivery.id);
	}
	scene->counted[SCALE_CALL] = end(scene, REPEAT);
	begin(scene);
	for (unsigned i = 0; i < REPEAT; i++) {
		give(a, door, reply);
		receive(scene, b);
	}
	scene->counted[SCALE_DELEGATE] = end(scene, REPEAT);
}

/* A child that A makes of C's Memory goes to B, who drops it: all that keeps its owner and its
 * maker informed. */
static void tracked(struct scene *scene, uint64_t memory)
{
	struct process *a = scene->places[A].process, *b = scene->places[B].process;
	uint64_t door = pass(scene, B, scene->places[B].door, A);
	uint64_t children[REPEAT];
	for (unsigned i = 0; i < REPEAT; i++)
		children[i] = process_revtree(a, memory, true);
	begin(scene);
	for (unsigned i = 0; i < REPEAT; i++) {
		give(a, door, children[i]);
		process_close(b, receive(scene, b));
		cluster_settle(scene->cluster);
	}
	scene->counted[SCALE_DELEGATE_TRACKED] = end(scene, REPEAT);
}

static void copies(struct scene *scene, uint64_t memory)
{
	struct process *a = scene->places[A].process, *d = scene->places[D].process;
	uint64_t own = process_memory(scene->places[B].process, 0, BYTES);
	uint64_t source = pass(scene, B, own, A), then = pass(scene, D, scene->places[D].door, A);
	struct delivery delivery;
	begin(scene);
	for (unsigned i = 0; i < REPEAT; i++) {
		process_copy(a, memory, source, NULL);
		cluster_settle(scene->cluster);
	}
	scene->counted[SCALE_COPY] = end(scene, REPEAT);
	begin(scene);
	for (unsigned i = 0; i < REPEAT; i++) {
		process_copy(a, memory, source, &(struct args){.caps = {{NEXT, then}}, .cap_count = 1});
		cluster_settle(scene->cluster);
		BASE_ASSERT(process_take(d, &delivery));
		process_finish(d, delivery.id);
	}
	scene->counted[SCALE_COPY_THEN] = end(scene, REPEAT);
}

static void revocations(struct scene *scene, uint64_t memory)
{
	struct process *a = scene->places[A].process, *c = scene->places[C].process;
	begin(scene);
	uint64_t child = 0;
	for (unsigned i = 0; i < REPEAT; i++)
		child = process_revtree(a, memory, false);
	scene->counted[SCALE_REVTREE] = end(scene, REPEAT);
	spread(scene, A, a, child);
	begin(scene);
	process_revoke(a, child);
	scene->counted[SCALE_REVOKE_CHILD] = end(scene, 1);

	uint64_t own = process_memory(c, 0, BYTES);
	spread(scene, C, c, own);
	begin(scene);
	process_revoke(c, own);
	scene->counted[SCALE_REVOKE_OWN] = end(scene, 1);

	child = process_revtree(a, memory, true);
	spread(scene, A, a, child);
	begin(scene);
	process_revoke(a, child);
	scene->counted[SCALE_REVOKE_TRACKED] = end(scene, 1);
}

/* A Process of A's node whose Memory all hold, and which made children at two owners. */
static void process_death(struct scene *scene, uint64_t of_b, uint64_t of_c)
{
	struct process *victim = process_new(scene->cluster, A, BYTES);
	uint64_t root = process_registry_get(victim), door = process_request(victim, DOOR);
	give(victim, root, door);
	uint64_t to = receive(scene, scene->hub);
	const uint64_t memories[] = {of_b, of_c};
	for (unsigned i = 0; i < 2; i++) {
		give(scene->places[A].process, scene->places[A].root, memories[i]);
		uint64_t held = receive(scene, scene->hub);
		give(scene->hub, to, held);
		process_revtree(victim, receive(scene, victim), false);
	}
	uint64_t own = process_memory(victim, 0, BYTES);
	give(victim, root, own);
	uint64_t held = receive(scene, scene->hub);
	for (uint32_t i = 1; i <= scene->nodes; i++) {
		give(scene->hub, scene->places[i].to, held);
		receive(scene, scene->places[i].process);
	}
	begin(scene);
	process_kill(victim);
	scene->counted[SCALE_PROCESS_DEATH] = end(scene, 1);
}

/* A's Controller: its Process holds much, has made children elsewhere, and has a Memory that all
 * hold. */
static void controller_death(struct scene *scene)
{
	struct process *a = scene->places[A].process;
	spread(scene, A, a, process_memory(a, 0, BYTES));
	begin(scene);
	cluster_crash(scene->cluster, A);
	scene->counted[SCALE_CRASH] = end(scene, 1);
	begin(scene);
	cluster_boot(scene->cluster, A);
	scene->counted[SCALE_BOOT] = end(scene, 1);
}

/* ------------------------------------------------------------------ the rest */

static void sizes(struct scene *scene, struct scale_messages *out)
{
	const struct core *core = cluster_core(scene->cluster, BYSTANDER);
	struct core_view_totals totals;
	core_inspect_totals(core, &totals);
	out->sessions = totals.sessions;
	out->objects = totals.objects;
	out->slots = totals.slots;
	out->bytes = (double)core_memory_used(core);
}

static void heartbeats(struct scene *scene, struct scale_messages *out)
{
	struct core_config config;
	core_config_default(&config);
	begin(scene);
	cluster_pass(scene->cluster, config.heartbeat);
	uint64_t count = cluster_sent(scene->cluster)->by_type[WIRE_MESSAGE_TYPE_HEARTBEAT] -
					 scene->before.by_type[WIRE_MESSAGE_TYPE_HEARTBEAT];
	out->heartbeats = (double)count / scene->nodes;
}

void scale_messages(uint32_t nodes, struct scale_messages *out)
{
	struct scene scene;
	*out = (struct scale_messages){0};
	open_scene(&scene, nodes);
	scene.counted = out->messages;
	uint64_t of_c = pass(&scene, C, process_memory(scene.places[C].process, 0, BYTES), A);
	uint64_t of_b = pass(&scene, B, process_memory(scene.places[B].process, 0, BYTES), A);
	calls(&scene);
	tracked(&scene, of_c);
	copies(&scene, of_c);
	revocations(&scene, of_c);
	process_death(&scene, of_b, of_c);
	sizes(&scene, out);
	heartbeats(&scene, out);
	begin(&scene);
	process_registry_set(scene.hub, process_request(scene.hub, ROOT));
	out->registry_set = end(&scene, 1);
	controller_death(&scene);
	free(scene.places);
	cluster_end(scene.cluster);
}
