/* The world of harness.h: cores, the links between them, the lives of Processes. What Processes say
 * and hear is in actor_harness.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "core/harness.h"
#include "core/inspect.h"

#define CHECK(condition) BASE_ASSERT(condition)
/* For each of so many bytes that a core uses, one step more goes by unchecked. */
enum { CHECK_BYTES = 16 << 10 };

/* ------------------------------------------------------------------ queues */

static void queue_init(struct queue *queue)
{
	*queue = (struct queue){.last = &queue->first};
}

static void queue_push(struct queue *queue, const void *a, size_t a_size, const void *b,
					   size_t b_size)
{
	struct packet *packet = malloc(sizeof *packet + a_size + b_size);
	CHECK(packet != NULL);
	packet->next = NULL;
	packet->size = a_size + b_size;
	memcpy(packet->bytes, a, a_size);
	if (b_size > 0)
		memcpy(packet->bytes + a_size, b, b_size);
	*queue->last = packet;
	queue->last = &packet->next;
	queue->count++;
}

static struct packet *queue_take(struct queue *queue, struct packet **at)
{
	struct packet *packet = *at;
	if (packet == NULL)
		return NULL;
	*at = packet->next;
	if (queue->last == &packet->next)
		queue->last = at;
	queue->count--;
	return packet;
}

static struct packet *queue_pop(struct queue *queue)
{
	return queue_take(queue, &queue->first);
}

static void queue_clear(struct queue *queue)
{
	struct packet *packet;
	while ((packet = queue_pop(queue)) != NULL)
		free(packet);
}

/* ------------------------------------------------------------------ outputs */

static struct world_process *process_of(struct world_node *node, uint32_t serial)
{
	CHECK(serial >= 1 && serial <= node->process_count);
	return &node->processes[serial - 1];
}

static uint8_t *bytes_at(struct world_node *node, const struct core_extent *extent)
{
	CHECK(extent->segment == 0 && base_range_inside(extent->offset, extent->length, WORLD_SEGMENT));
	return process_of(node, extent->process)->arena + extent->offset;
}

static void count_message(struct fos_message_counters *counters, uint8_t type, uint64_t add)
{
	uint64_t counts[sizeof *counters / sizeof(uint64_t)];
	memcpy(counts, counters, sizeof counts);
	counts[type - 1] += add;
	memcpy(counters, counts, sizeof counts);
}

struct slice { /* what the shell owes an answer for */
	struct core_event event;
	struct core_extent to, from;
	bool move;
};

static void take_record(struct world_node *node, const struct core_output *out)
{
	struct world_process *process = process_of(node, out->process);
	CHECK(process->alive && out->channel < 2);
	CHECK(wire_check_answer(out->bytes, out->size));
	const struct wire_record *head = (const void *)out->bytes;
	if (head->type != WIRE_ANSWER_TYPE_DELIVERY) {
		CHECK(head->cookie < WORLD_COOKIES && !node->world->completed[head->cookie]);
		node->world->completed[head->cookie] = 1;
	}
	queue_push(&process->records[out->channel], out->bytes, out->size, NULL, 0);
}

static void take_message(struct world_node *node, const struct core_output *out)
{
	struct world *world = node->world;
	uint32_t from = node->number - 1, to = out->node - 1;
	if (!world->up[from][to])
		return;
	const uint8_t *data = NULL;
	if (out->type == CORE_SEND_SLICE) {
		data = bytes_at(node, &out->from);
		struct slice slice = {.event = {.type = CORE_SLICE_SENT, .token = out->token}};
		slice.event.node = out->node;
		queue_push(&node->slices, &slice, sizeof slice, NULL, 0);
	}
	struct queue *link = &world->links[from][to][out->lane];
	queue_push(link, out->bytes, out->size, data, data != NULL ? out->from.length : 0);
	const struct packet *packet = BASE_CONTAINER(link->last, struct packet, next);
	CHECK(wire_check_message(packet->bytes, packet->size));
}

/* What a core counts of what it puts out is what came out. */
static void count_output(struct fos_counters *seen, const struct core_output *out)
{
	const struct wire_record *record = (const void *)out->bytes;
	if (out->type == CORE_RECORD && record->type == WIRE_ANSWER_TYPE_DELIVERY) {
		const struct wire_answer_delivery *delivery = (const void *)out->bytes;
		seen->deliveries++;
		seen->exceptions += delivery->exception;
	}
	if (out->type == CORE_SPAN && out->span.kind == CORE_SPAN_COPY) {
		seen->copies++;
		seen->copy_bytes += out->span.bytes;
	}
	if (out->type != CORE_SEND && out->type != CORE_SEND_SLICE)
		return;
	uint8_t type = ((const struct wire_message *)(const void *)out->bytes)->type;
	if (type == WIRE_MESSAGE_TYPE_BOUNCE)
		seen->bounces += !((const struct wire_message_bounce *)(const void *)out->bytes)->refused;
	count_message(&seen->sent, type, 1);
	count_message(&seen->sent_bytes, type,
				  out->size + (out->type == CORE_SEND_SLICE ? out->from.length : 0));
}

static void check_counters(const struct world_node *node)
{
	const struct fos_counters *counts = core_counters(node->core), *seen = &node->seen;
	CHECK(counts->deliveries == seen->deliveries && counts->exceptions == seen->exceptions);
	CHECK(counts->copies == seen->copies && counts->copy_bytes == seen->copy_bytes);
	CHECK(counts->bounces == seen->bounces);
	CHECK(memcmp(&counts->sent, &seen->sent, sizeof seen->sent) == 0);
	CHECK(memcmp(&counts->sent_bytes, &seen->sent_bytes, sizeof seen->sent_bytes) == 0);
}

static void take_output(struct world_node *node, const struct core_output *out)
{
	switch (out->type) {
	case CORE_RECORD:
		take_record(node, out);
		break;
	case CORE_SEND:
	case CORE_SEND_SLICE:
		take_message(node, out);
		break;
	case CORE_PLACE:
		CHECK(out->to.length == out->size);
		memcpy(bytes_at(node, &out->to), out->bytes, out->size);
		break;
	case CORE_MOVE: {
		struct slice slice = {.event = {.type = CORE_MOVED, .token = out->token},
							  .to = out->to,
							  .from = out->from,
							  .move = true};
		CHECK(out->to.length == out->from.length);
		queue_push(&node->slices, &slice, sizeof slice, NULL, 0);
		break;
	}
	case CORE_END_SESSION: /* drain() sees to it */
		break;
	case CORE_END_PROCESS:
		node->ended_processes++;
		node->reason = out->reason;
		break;
	case CORE_SPAN:
		CHECK(out->span.end >= out->span.begin && out->span.id != 0);
		node->spans++;
		break;
	}
}

/* Outputs are good until the next step, so sessions that end are cut when all others are out. */
static void drain(struct world_node *node)
{
	struct core_output out;
	uint32_t cuts[WORLD_NODES], count = 0;
	const struct world_observer *observer = node->world->observer;
	while (core_output(node->core, &out)) {
		if (observer != NULL)
			observer->output(observer->context, node, &out);
		CHECK(out.type >= CORE_RECORD && out.type <= CORE_SPAN && (uintptr_t)out.bytes % 8 == 0);
		count_output(&node->seen, &out);
		if (out.type != CORE_END_SESSION) {
			take_output(node, &out);
			continue;
		}
		CHECK(count < WORLD_NODES);
		cuts[count++] = out.node - 1;
		node->ended_sessions++;
		node->reason = out.reason;
	}
	check_counters(node);
	if (observer != NULL)
		observer->step_end(observer->context, node);
	for (uint32_t i = 0; i < count; i++)
		world_cut(node->world, node->number - 1, cuts[i]);
}

/* All its tables: the more there is in them, the rarer. */
static void check(struct world_node *node)
{
	if (node->unchecked++ < core_memory_used(node->core) / CHECK_BYTES)
		return;
	node->unchecked = 0;
	const char *wrong = core_check(node->core);
	if (wrong != NULL)
		fprintf(stderr, "node %u: %s\n", node->number, wrong);
	CHECK(wrong == NULL);
}

void world_step(struct world_node *node, const struct core_event *event)
{
	const struct world_observer *observer = node->world->observer;
	if (observer != NULL)
		observer->event(observer->context, node, event);
	core_step(node->core, node->world->now, event);
	check(node);
	drain(node);
}

/* ------------------------------------------------------------------ the world */

static void *grow(void *context, size_t size)
{
	struct world_node *node = context;
	if (node->grow_limit != 0 && node->grown + size > node->grow_limit)
		return NULL;
	node->grown += size;
	node->chunks = realloc(node->chunks, (node->chunk_count + 1) * sizeof *node->chunks);
	CHECK(node->chunks != NULL);
	return node->chunks[node->chunk_count++] = calloc(1, size);
}

static void start(struct world_node *node)
{
	node->core = core_create(&node->config);
	CHECK(node->core != NULL);
	memset(&node->seen, 0, sizeof node->seen);
}

struct world *world_new(uint32_t nodes, const struct core_config *config)
{
	struct world *world = calloc(1, sizeof *world);
	CHECK(world != NULL && nodes <= WORLD_NODES);
	world->count = nodes;
	world->now = 1000000;
	for (uint32_t i = 0; i < nodes; i++) {
		struct world_node *node = &world->nodes[i];
		node->world = world;
		node->number = i + 1;
		queue_init(&node->slices);
		if (config != NULL)
			node->config = *config;
		else
			core_config_default(&node->config);
		node->config.node = i + 1;
		node->config.epoch = 0xe000 + i;
		node->config.seed = 77 + i;
		memcpy(node->config.node_name, "nodeN", 5);
		node->config.node_name[4] = (char)('0' + i);
		node->config.grow = grow;
		node->config.context = node;
		start(node);
		for (uint32_t j = 0; j < nodes; j++) {
			queue_init(&world->links[i][j][0]);
			queue_init(&world->links[i][j][1]);
		}
	}
	for (uint32_t i = 0; i < nodes; i++) {
		for (uint32_t j = 0; j < i; j++)
			world_connect(world, i, j);
	}
	return world;
}

void world_connect(struct world *world, uint32_t a, uint32_t b)
{
	CHECK(!world->up[a][b]);
	world->up[a][b] = world->up[b][a] = true;
	world_step(&world->nodes[a], &(struct core_event){.type = CORE_SESSION_UP,
													  .node = b + 1,
													  .epoch = world->nodes[b].config.epoch});
	world_step(&world->nodes[b], &(struct core_event){.type = CORE_SESSION_UP,
													  .node = a + 1,
													  .epoch = world->nodes[a].config.epoch});
}

static void forget_slices(struct world_node *node, uint32_t peer)
{
	struct packet **at = &node->slices.first;
	while (*at != NULL) {
		const struct slice *slice = (const void *)(*at)->bytes;
		if (!slice->move && slice->event.node == peer)
			free(queue_take(&node->slices, at));
		else
			at = &(*at)->next;
	}
}

void world_reboot(struct world *world, uint32_t number)
{
	struct world_node *node = &world->nodes[number];
	for (uint32_t p = 0; p < node->process_count; p++)
		node->processes[p].alive = false;
	queue_clear(&node->slices);
	for (size_t c = 0; c < node->chunk_count; c++)
		free(node->chunks[c]);
	free(node->chunks);
	node->chunks = NULL;
	node->chunk_count = 0;
	node->grown = 0;
	node->config.epoch += 0x1000;
	start(node);
	for (uint32_t peer = 0; peer < world->count; peer++) {
		bool was = world->up[number][peer];
		for (int lane = 0; lane < 2; lane++) {
			queue_clear(&world->links[number][peer][lane]);
			queue_clear(&world->links[peer][number][lane]);
		}
		forget_slices(&world->nodes[peer], number + 1);
		world->up[number][peer] = world->up[peer][number] = false;
		if (was)
			world_connect(world, number, peer);
	}
}

void world_cut(struct world *world, uint32_t a, uint32_t b)
{
	if (!world->up[a][b])
		return;
	world->up[a][b] = world->up[b][a] = false;
	for (int lane = 0; lane < 2; lane++) {
		queue_clear(&world->links[a][b][lane]);
		queue_clear(&world->links[b][a][lane]);
	}
	forget_slices(&world->nodes[a], b + 1);
	forget_slices(&world->nodes[b], a + 1);
	world_step(&world->nodes[a], &(struct core_event){.type = CORE_SESSION_GONE, .node = b + 1});
	world_step(&world->nodes[b], &(struct core_event){.type = CORE_SESSION_GONE, .node = a + 1});
}

void world_rejoin(struct world *world, uint32_t a, uint32_t b)
{
	world_cut(world, a, b);
	world_connect(world, a, b);
	world_settle(world);
}

bool world_deliver(struct world *world, uint32_t from, uint32_t to, enum core_lane lane)
{
	struct packet *packet = queue_pop(&world->links[from][to][lane]);
	if (packet == NULL)
		return false;
	struct world_node *node = &world->nodes[to];
	struct fos_counters before = *core_counters(node->core);
	uint64_t ended = node->ended_sessions;
	world_step(node, &(struct core_event){.type = CORE_MESSAGE,
										  .node = from + 1,
										  .lane = lane,
										  .bytes = packet->bytes,
										  .size = packet->size});
	uint8_t type = ((const struct wire_message *)(const void *)packet->bytes)->type;
	const struct fos_counters *after = core_counters(node->core);
	if (node->ended_sessions == ended) {
		count_message(&before.received, type, 1);
		count_message(&before.received_bytes, type, packet->size);
		CHECK(memcmp(&before.received, &after->received, sizeof before.received) == 0);
		CHECK(memcmp(&before.received_bytes, &after->received_bytes,
					 sizeof before.received_bytes) == 0);
	}
	free(packet);
	return true;
}

static bool answer_slice(struct world_node *node)
{
	struct packet *packet = queue_pop(&node->slices);
	if (packet == NULL)
		return false;
	const struct slice *slice = (const void *)packet->bytes;
	if (slice->move)
		memmove(bytes_at(node, &slice->to), bytes_at(node, &slice->from), slice->to.length);
	world_step(node, &slice->event);
	free(packet);
	return true;
}

static bool settle_once(struct world *world)
{
	bool any = false;
	for (uint32_t i = 0; i < world->count; i++) {
		/* More to tell than fitted into the last step. */
		if (core_deadline(world->nodes[i].core) <= world->now) {
			any = true;
			world_step(&world->nodes[i], &(struct core_event){.type = CORE_TICK});
		}
		for (uint32_t j = 0; j < world->count; j++) {
			for (int lane = 0; lane < 2; lane++) {
				bool skip = world->shuffle && base_random_below(&world->random, 2) != 0;
				if (world->hold[i][j][lane] || world->links[i][j][lane].count == 0)
					continue;
				any = true;
				if (!skip)
					world_deliver(world, i, j, (enum core_lane)lane);
			}
		}
		if (!world->hold_slices)
			any |= answer_slice(&world->nodes[i]);
	}
	return any;
}

void world_settle(struct world *world)
{
	while (settle_once(world))
		;
}

void world_tick(struct world *world, uint64_t ns)
{
	world->now += ns;
	for (uint32_t i = 0; i < world->count; i++)
		world_step(&world->nodes[i], &(struct core_event){.type = CORE_TICK});
}

uint32_t world_objects(const struct world *world, uint32_t node)
{
	struct core_view_totals totals;
	core_inspect_totals(world->nodes[node].core, &totals);
	return totals.objects;
}

uint64_t world_messages(const struct world *world, uint8_t type)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < world->count; i++) {
		const struct fos_message_counters *sent = &core_counters(world->nodes[i].core)->sent;
		uint64_t counts[sizeof *sent / sizeof(uint64_t)];
		memcpy(counts, sent, sizeof counts);
		for (unsigned t = 1; t <= BASE_COUNT(counts); t++) {
			if (type == t || (type == 0 && t != WIRE_MESSAGE_TYPE_HEARTBEAT))
				sum += counts[t - 1];
		}
	}
	return sum;
}

void world_end(struct world *world)
{
	memset(world->hold, 0, sizeof world->hold);
	world->hold_slices = false;
	world_settle(world);
	for (uint32_t i = 0; i < world->count; i++) {
		struct world_node *node = &world->nodes[i];
		for (uint32_t p = 1; p <= node->process_count; p++) {
			if (node->processes[p - 1].alive)
				actor_kill((struct actor){node, p, 0});
		}
	}
	world_settle(world);
	for (uint32_t i = 0; i < world->count; i++) {
		for (uint32_t j = 0; j < i; j++)
			world_cut(world, i, j);
	}
	/* Whatever waits in the house has its time. */
	world_tick(world, 100000000000u);
	for (uint32_t i = 0; i < world->count; i++) {
		struct world_node *node = &world->nodes[i];
		CHECK(core_memory_used(node->core) == 0);
		CHECK(core_deadline(node->core) == UINT64_MAX);
		for (size_t c = 0; c < node->chunk_count; c++)
			free(node->chunks[c]);
		free(node->chunks);
		for (uint32_t p = 0; p < node->process_count; p++) {
			queue_clear(&node->processes[p].records[0]);
			queue_clear(&node->processes[p].records[1]);
			free(node->processes[p].arena);
		}
		CHECK(node->slices.count == 0);
	}
	free(world);
}

/* ------------------------------------------------------------------ Processes */

struct actor actor_new(struct world *world, uint32_t number)
{
	struct world_node *node = &world->nodes[number];
	CHECK(node->process_count < BASE_COUNT(node->processes));
	struct world_process *process = &node->processes[node->process_count++];
	process->serial = node->process_count;
	process->alive = true;
	process->arena = calloc(1, WORLD_SEGMENT);
	queue_init(&process->records[0]);
	queue_init(&process->records[1]);
	struct core_event event = {
		.type = CORE_PROCESS_UP, .process = process->serial, .may_set_registry = true};
	event.principal = (fos_principal){
		.node = node->number, .process = process->serial, .uid = 1000, .label = "tester"};
	world_step(node, &event);
	event.type = CORE_CHANNEL_UP;
	world_step(node, &event);
	event.channel = 1;
	world_step(node, &event);
	event.type = CORE_SEGMENT_UP;
	event.length = WORLD_SEGMENT;
	world_step(node, &event);
	return (struct actor){node, process->serial, 0};
}

struct actor actor_other_channel(struct actor actor)
{
	actor.channel = 1 - actor.channel;
	return actor;
}

void actor_gone(struct actor actor)
{
	process_of(actor.node, actor.process)->alive = false;
	world_step(actor.node,
			   &(struct core_event){.type = CORE_PROCESS_GONE, .process = actor.process});
	struct core_usage usage;
	CHECK(!core_process_usage(actor.node->core, actor.process, &usage));
}

void actor_free(struct actor actor)
{
	world_step(actor.node,
			   &(struct core_event){.type = CORE_PROCESS_FREE, .process = actor.process});
}

void actor_kill(struct actor actor)
{
	actor_gone(actor);
	actor_free(actor);
}

uint8_t *actor_arena(struct actor actor)
{
	return process_of(actor.node, actor.process)->arena;
}

struct core_usage actor_usage(struct actor actor)
{
	struct core_usage usage;
	CHECK(core_process_usage(actor.node->core, actor.process, &usage));
	return usage;
}

struct packet *actor_record(struct actor actor, bool delivery, uint64_t cookie)
{
	struct queue *queue = &process_of(actor.node, actor.process)->records[actor.channel];
	for (struct packet **at = &queue->first; *at != NULL; at = &(*at)->next) {
		const struct wire_record *head = (const void *)(*at)->bytes;
		bool is_delivery = head->type == WIRE_ANSWER_TYPE_DELIVERY;
		if (is_delivery == delivery && (delivery || head->cookie == cookie))
			return queue_take(queue, at);
	}
	return NULL;
}
