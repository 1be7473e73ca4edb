/* The world: cores and what they put out, arenas, slices, the lives of nodes and Processes, and the
 * one queue of all that is still to happen. See sim.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "sim/ballast.h"
#include "sim/oracle.h"
#include "sim/sim.h"

/* Steps between two looks at all tables of a core: under the oracle, which costs more itself; and
 * where it is about many events. */
enum { CHECK_EACH = 32, CHECK_EACH_FAST = 1024 };

/* ------------------------------------------------------------------ the queue */

static bool before(const struct happening *a, const struct happening *b)
{
	return a->when != b->when ? a->when < b->when : a->order < b->order;
}

static void heap_grow(struct world *world)
{
	uint32_t room = world->heap_room ? 2 * world->heap_room : 1024;
	struct happening *heap = sim_alloc(room * sizeof *heap);
	if (world->heap_count > 0)
		memcpy(heap, world->heap, world->heap_count * sizeof *heap);
	world->heap = heap;
	world->heap_room = room;
}

static void heap_push(struct world *world, struct happening it)
{
	if (world->heap_count == world->heap_room)
		heap_grow(world);
	uint32_t at = world->heap_count++;
	for (; at > 0 && before(&it, &world->heap[(at - 1) / 2]); at = (at - 1) / 2)
		world->heap[at] = world->heap[(at - 1) / 2];
	world->heap[at] = it;
}

static struct happening heap_pop(struct world *world)
{
	struct happening top = world->heap[0], last = world->heap[--world->heap_count];
	uint32_t at = 0, count = world->heap_count;
	for (;;) {
		uint32_t child = 2 * at + 1;
		if (child >= count)
			break;
		if (child + 1 < count && before(&world->heap[child + 1], &world->heap[child]))
			child++;
		if (!before(&world->heap[child], &last))
			break;
		world->heap[at] = world->heap[child];
		at = child;
	}
	world->heap[at] = last;
	return top;
}

void world_happen(struct world *world, uint64_t when, enum happening_kind kind, uint32_t a,
				  uint32_t b, uint32_t c, void *pointer)
{
	heap_push(world, (struct happening){.when = when,
										.order = world->heap_order++,
										.kind = (uint8_t)kind,
										.a = a,
										.b = b,
										.c = c,
										.pointer = pointer});
}

/* ------------------------------------------------------------------ violations, traces */

void sim_violation(struct world *world, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(world->reason, sizeof world->reason, format, args);
	va_end(args);
	siglongjmp(*world->escape, 1);
}

void sim_trace(struct world *world, const char *format, ...)
{
	va_list args;
	printf("%10.3f ", (double)world->now / MICRO);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

/* ------------------------------------------------------------------ arenas */

struct process *world_process(struct node *node, uint32_t serial)
{
	struct process *process = serial < BASE_COUNT(node->processes) ? node->processes[serial] : NULL;
	if (process == NULL)
		sim_violation(node->world, "node %u names Process %u, which never was", node->number,
					  serial);
	return process;
}

static uint8_t *bytes_at(struct node *node, const struct core_extent *extent)
{
	struct process *process = world_process(node, extent->process);
	if (extent->segment != 0 || !base_range_inside(extent->offset, extent->length, ARENA_BYTES))
		sim_violation(node->world, "node %u reaches beyond the arena of Process %u", node->number,
					  extent->process);
	if (process->freed)
		sim_violation(node->world, "node %u touches the arena of Process %u after it was freed",
					  node->number, extent->process);
	return process->arena + extent->offset;
}

/* ------------------------------------------------------------------ slices */

static void owe_slice(struct node *node, const struct core_output *out, bool move)
{
	struct world *world = node->world;
	struct slice *slice = world->slices;
	if (slice != NULL)
		world->slices = slice->next;
	else
		slice = sim_alloc(sizeof *slice);
	*slice = (struct slice){.next = node->sending,
							.token = out->token,
							.node = node->number - 1,
							.life = node->life,
							.peer = out->node,
							.move = move,
							.to = out->to,
							.from = out->from};
	if (!move)
		slice->connection = world->sides[node->number - 1][out->node - 1].connection;
	struct core_view_transfer transfer;
	if (core_inspect_transfer(node->core, out->token, &transfer)) {
		slice->src = tables_key(&transfer.src);
		slice->dst = tables_key(&transfer.dst);
	}
	node->sending = slice;
	uint64_t delay = 200 + sim_below(world, 2 * MICRO);
	if (SIM_HAS(world, SLICES) && sim_below(world, 4) == 0)
		delay = sim_below(world, 300 * MICRO);
	world_happen(world, world->now + delay, HAPPEN_SLICE, node->number - 1, 0, 0, slice);
}

static void unlink_slice(struct node *node, const struct slice *slice)
{
	struct slice **at = &node->sending;
	while (*at != NULL && *at != slice)
		at = &(*at)->next;
	if (*at != NULL)
		*at = slice->next;
}

/* The session is over, so its slices are not answered any more. */
void world_forget_slices(struct node *node, uint32_t peer)
{
	for (struct slice *slice = node->sending; slice != NULL; slice = slice->next) {
		if (!slice->move && slice->peer == peer)
			slice->cancelled = true;
	}
}

static void answer_slice(struct world *world, struct slice *slice)
{
	struct node *node = &world->nodes[slice->node];
	struct slice done = *slice;
	if (node->life == slice->life) {
		unlink_slice(node, slice);
		slice->next = world->slices;
		world->slices = slice;
	}
	if (node->life != done.life || !node->up || done.cancelled)
		return;
	if (ledger_revoked(world, done.src) || (done.move && ledger_revoked(world, done.dst)))
		sim_violation(world, "bytes move at node %u through Memory whose cap_revoke was OK",
					  node->number);
	struct core_event event = {.type = done.move ? CORE_MOVED : CORE_SLICE_SENT,
							   .token = done.token};
	if (done.move)
		memmove(bytes_at(node, &done.to), bytes_at(node, &done.from), done.to.length);
	else
		event.node = done.peer;
	world_step(node, &event);
}

/* ------------------------------------------------------------------ outputs */

static void take_record(struct node *node, const struct core_output *out)
{
	struct world *world = node->world;
	struct process *process = world_process(node, out->process);
	if (!process->alive)
		sim_violation(world, "node %u tells Process %u something after its death", node->number,
					  out->process);
	if (out->channel >= CHANNELS || !process->channel_up[out->channel])
		sim_violation(world, "node %u tells Process %u something on a channel that is not there",
					  node->number, out->process);
	if (!wire_check_answer(out->bytes, out->size))
		sim_violation(world, "node %u gives Process %u a malformed record", node->number,
					  out->process);
	if (world->options.verbose) {
		char line[400];
		wire_print_record(line, sizeof line, out->bytes, out->size);
		sim_trace(world, "%u.%u <- %s", node->number, out->process, line);
	}
	program_record(world, process, out->channel, out->bytes, out->size);
}

static void place(struct node *node, const struct core_output *out)
{
	struct world *world = node->world;
	const struct wire_message_data *message = (const void *)world->event->bytes;
	struct core_view_ref ref = {.serial = message->serial, .epoch = message->epoch};
	if (out->to.length != out->size)
		sim_violation(world, "node %u places %zu bytes into %llu", node->number, out->size,
					  (unsigned long long)out->to.length);
	if (ledger_revoked(world, tables_key(&ref)))
		sim_violation(world, "bytes land at node %u in Memory whose cap_revoke was OK",
					  node->number);
	memcpy(bytes_at(node, &out->to), out->bytes, out->size);
}

static void take_output(struct node *node, const struct core_output *out)
{
	struct world *world = node->world;
	sim_mix(world, (uint64_t)out->type << 56 ^ out->size << 32 ^ out->process << 8 ^ out->node);
	switch (out->type) {
	case CORE_RECORD:
		take_record(node, out);
		break;
	case CORE_SEND:
	case CORE_SEND_SLICE:
		network_send(world, node, out);
		if (out->type == CORE_SEND_SLICE)
			owe_slice(node, out, false);
		break;
	case CORE_PLACE:
		place(node, out);
		break;
	case CORE_MOVE:
		if (out->to.length != out->from.length)
			sim_violation(world, "node %u moves between lengths", node->number);
		bytes_at(node, &out->to);
		bytes_at(node, &out->from);
		owe_slice(node, out, true);
		break;
	case CORE_END_SESSION:
	case CORE_END_PROCESS: /* drain() sees to them */
	case CORE_SPAN:
		break;
	}
}

const uint8_t *world_slice_bytes(struct node *node, const struct core_extent *extent)
{
	return bytes_at(node, extent);
}

static void end_session(struct node *node, const struct core_output *out)
{
	struct world *world = node->world;
	static const char *const allowed[] = {"no answer to heartbeats", "no memory for a session",
										  "too many sessions"};
	bool known = false;
	for (unsigned i = 0; i < BASE_COUNT(allowed); i++)
		known |= strcmp(out->reason, allowed[i]) == 0;
	SIM_SAY(world, "%u ends its session with %u: %s", node->number, out->node, out->reason);
	if (!known)
		sim_violation(world, "node %u ends its session with node %u: %s", node->number, out->node,
					  out->reason);
	world->reasons++;
	network_end_session(world, node, out->node - 1);
}

static void end_process(struct node *node, const struct core_output *out)
{
	struct world *world = node->world;
	SIM_SAY(world, "%u ends Process %u: %s", node->number, out->process, out->reason);
	if (strcmp(out->reason, "too many Processes") != 0 &&
		strcmp(out->reason, "a malformed record in its ring") != 0 &&
		strcmp(out->reason, "no memory for a channel") != 0)
		sim_violation(world, "node %u ends Process %u: %s", node->number, out->process,
					  out->reason);
	struct process *process = world_process(node, out->process);
	if (process->alive)
		world_kill(world, process, 1 + sim_below(world, MILLI));
}

/* Outputs are good until the next step, so what takes another step is done when all are out. */
static void drain(struct node *node)
{
	enum { ENDS = 16 };
	struct core_output out, ends[ENDS];
	unsigned count = 0;
	while (core_output(node->core, &out)) {
		if (node->world->oracle != NULL)
			oracle_output(node->world->oracle, node->number, &out);
		cover_output(node->world, &out);
		take_output(node, &out);
		if (out.type == CORE_END_SESSION || out.type == CORE_END_PROCESS) {
			BASE_ASSERT(count < ENDS);
			ends[count++] = out;
		}
	}
	if (node->world->oracle != NULL)
		oracle_step_end(node->world->oracle, node->number);
	ledger_step(node->world, node);
	for (unsigned i = 0; i < count; i++) {
		if (ends[i].type == CORE_END_SESSION)
			end_session(node, &ends[i]);
		else
			end_process(node, &ends[i]);
	}
}

static void check(struct node *node)
{
	if (node->events % (node->world->oracle != NULL ? CHECK_EACH : CHECK_EACH_FAST) != 0)
		return;
	const char *wrong = core_check(node->core);
	if (wrong != NULL)
		sim_violation(node->world, "tables of node %u: %s", node->number, wrong);
}

void world_step(struct node *node, struct core_event *event)
{
	struct world *world = node->world;
	BASE_ASSERT(node->up);
	world->events++;
	node->events++;
	sim_mix(world, world->now ^ (uint64_t)event->type << 48 ^ (uint64_t)node->number << 56);
	if (event->size >= sizeof(struct wire_message))
		sim_mix(world, event->size << 8 ^ event->bytes[4]);
	cover_event(world, event);
	if (world->oracle != NULL)
		oracle_event(world->oracle, node->number, world->now, event);
	const struct core_event *outer = world->event;
	world->event = event;
	core_step(node->core, world->now, event);
	check(node);
	node->tick = core_deadline(node->core);
	drain(node);
	world->event = outer;
}

/* ------------------------------------------------------------------ nodes */

static void *grow(void *context, size_t size)
{
	(void)context;
	return sim_alloc(size);
}

static void configure(struct world *world, struct node *node)
{
	struct core_config *config = &node->config;
	struct base_random random = {world->options.seed};
	core_config_default(config);
	config->node = node->number;
	memcpy(config->node_name, "nodeN", 6);
	config->node_name[4] = (char)('0' + node->number);
	config->grow = grow;
	config->context = node;
	config->heartbeat = 4 * MILLI;
	config->failure_timeout = 16 * MILLI;
	config->default_time = 20 * MILLI;
	config->slice = 1024u << base_random_below(&random, 3);
	config->limits.processes = 24;
	config->limits.slots = 300;
	config->limits.objects = 200;
	config->limits.deliveries = 24;
	config->limits.parked = 64;
	config->limits.copies = 16;
	config->limits.once = 24;
	config->limits.values_bytes = 256 << 10;
	if (SIM_HAS(world, QUEUES) && base_random_below(&random, 2) == 0) {
		config->limits.deliveries = 1 + (uint32_t)base_random_below(&random, 5);
		config->limits.parked = 2 + (uint32_t)base_random_below(&random, 16);
		config->limits.copies = 1 + (uint32_t)base_random_below(&random, 6);
		config->limits.slots = 60 + (uint32_t)base_random_below(&random, 100);
		config->limits.objects = 12 + (uint32_t)base_random_below(&random, 40);
	}
	if (SIM_HAS(world, MEMORY)) /* of which the least reserve is a quarter */
		config->limits.memory = 4 << 20;
}

static void boot(struct world *world, struct node *node)
{
	node->config.epoch = base_mix64(world->options.seed ^ (uint64_t)++world->epochs << 32) | 1;
	node->config.seed = base_mix64(node->config.epoch);
	node->life++;
	node->next_serial = 1;
	node->sending = NULL;
	node->paused_until = 0;
	memset(node->processes, 0, sizeof node->processes);
	node->core = core_create(&node->config);
	BASE_ASSERT(node->core != NULL);
	node->ballast = 0;
	node->up = true;
	node->tick = core_deadline(node->core);
	SIM_SAY(world, "%u boots, epoch %016llx", node->number, (unsigned long long)node->config.epoch);
	if (world->oracle != NULL)
		oracle_fault(world->oracle, world->now, ORACLE_BOOT, node->number, 0, node->config.epoch);
	if (SIM_HAS(world, MEMORY) && !world->calm && sim_below(world, 2) == 0)
		world_memory(world, node, sim_below(world, 1 << 20));
	for (uint32_t i = 0; i < world->player_count; i++) {
		if (world->players[i].node == node)
			world_birth(world, &world->players[i]);
	}
}

void world_memory(struct world *world, struct node *node, uint64_t bytes)
{
	ballast_leave(node->core, &node->ballast, bytes);
	SIM_SAY(world, "%u has %llu bytes of memory left", node->number,
			(unsigned long long)core_inspect_memory(node->core));
}

static struct node *node_of(struct world *world, const struct happening *it);

/* What was put off to the end of a pause that ends early happens now. */
static void bring_forward(struct world *world, const struct node *node)
{
	uint32_t count = world->heap_count;
	world->heap_count = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct happening it = world->heap[i];
		if (it.put_off && node_of(world, &it) == node)
			it.when = world->now;
		heap_push(world, it);
	}
}

void world_crash(struct world *world, struct node *node, uint64_t down)
{
	SIM_SAY(world, "%u crashes", node->number);
	if (world->oracle != NULL)
		oracle_fault(world->oracle, world->now, ORACLE_CRASH, node->number, 0, 0);
	cover_core(node->core);
	ledger_crash(world, node);
	node->up = false;
	node->life++;
	node->tick = UINT64_MAX;
	node->sending = NULL;
	if (node->paused_until > world->now)
		bring_forward(world, node);
	node->paused_until = 0;
	for (uint32_t i = 0; i < world->player_count; i++) {
		if (world->players[i].node == node && world->players[i].process != NULL) {
			world->players[i].process->alive = false;
			world->players[i].process = NULL;
		}
	}
	network_crash(world, node, sim_below(world, 2) == 0);
	world_happen(world, world->now + down, HAPPEN_BOOT, node->number - 1, 0, 0, NULL);
}

void world_pause(struct world *world, struct node *node, uint64_t time)
{
	SIM_SAY(world, "%u pauses for %llu us", node->number, (unsigned long long)(time / MICRO));
	node->paused_until = world->now + time;
	node->paused += time;
	if (world->oracle != NULL)
		oracle_fault(world->oracle, world->now, ORACLE_PAUSE, node->number, 0, 0);
	world_happen(world, node->paused_until, HAPPEN_RESUME, node->number - 1, 0, 0, NULL);
}

void world_resume(struct world *world, struct node *node)
{
	if (node->paused_until == 0)
		return;
	if (node->paused_until > world->now)
		bring_forward(world, node);
	SIM_SAY(world, "%u goes on", node->number);
	node->paused_until = 0;
	if (world->oracle != NULL)
		oracle_fault(world->oracle, world->now, ORACLE_RESUME, node->number, 0, 0);
}

/* ------------------------------------------------------------------ Processes */

/* Bytes that tell where they come from. */
static void fill_arena(struct process *process)
{
	uint64_t key = (uint64_t)process->node->config.epoch ^ (uint64_t)process->serial << 40;
	for (uint32_t i = 0; i < ARENA_BYTES; i += 8) {
		uint64_t word = (key ^ i) * 0x9e3779b97f4a7c15u;
		memcpy(process->arena + i, &word, sizeof word);
	}
}

void world_birth(struct world *world, struct player *player)
{
	struct node *node = player->node;
	if (!node->up || world->closing || player->process != NULL ||
		node->next_serial == BASE_COUNT(node->processes) - 1)
		return;
	struct process *process = sim_alloc(sizeof *process);
	process->node = node;
	process->player = (uint32_t)(player - world->players);
	process->serial = node->next_serial++;
	process->alive = true;
	process->arena = sim_alloc(ARENA_BYTES);
	fill_arena(process);
	node->processes[process->serial] = process;
	player->process = process;
	SIM_SAY(world, "%u.%u is born", node->number, process->serial);
	struct core_event event = {
		.type = CORE_PROCESS_UP, .process = process->serial, .may_set_registry = true};
	event.principal = (fos_principal){
		.node = node->number, .process = process->serial, .uid = 1000, .label = "player"};
	world_step(node, &event);
	for (uint32_t i = 0; i < CHANNELS && process->alive; i++) {
		event.type = CORE_CHANNEL_UP;
		event.channel = i;
		process->channel_up[i] = true;
		world_step(node, &event);
	}
	if (!process->alive)
		return;
	event.type = CORE_SEGMENT_UP;
	event.length = ARENA_BYTES;
	world_step(node, &event);
	program_born(world, process);
}

void world_kill(struct world *world, struct process *process, uint64_t until_free)
{
	struct node *node = process->node;
	SIM_SAY(world, "%u.%u dies", node->number, process->serial);
	process->alive = false;
	ledger_gone(world, process, NULL);
	world->players[process->player].process = NULL;
	world_step(node, &(struct core_event){.type = CORE_PROCESS_GONE, .process = process->serial});
	struct core_usage usage;
	if (core_process_usage(node->core, process->serial, &usage))
		sim_violation(world, "node %u still has Process %u after its death", node->number,
					  process->serial);
	world_happen(world, world->now + until_free, HAPPEN_FREE, node->life, 0, 0, process);
	if (!world->calm)
		world_happen(world, world->now + 20 * MICRO + sim_below(world, 2 * MILLI), HAPPEN_BIRTH,
					 process->player, 0, 0, NULL);
}

/* A channel is closed, and opened again under the same number. */
void world_channel_turn(struct world *world, struct process *process, uint32_t channel)
{
	struct node *node = process->node;
	SIM_SAY(world, "%u.%u closes channel %u", node->number, process->serial, channel);
	ledger_gone(world, process, &channel);
	process->channel_up[channel] = false;
	process->turns[channel]++;
	struct core_event event = {
		.type = CORE_CHANNEL_GONE, .process = process->serial, .channel = channel};
	world_step(node, &event);
	event.type = CORE_CHANNEL_UP;
	process->channel_up[channel] = true;
	world_step(node, &event);
}

/* Its exit is complete, and all that its devices did: the arena is not touched any more once the
 * slices under way are answered. */
static void free_process(struct world *world, struct process *process, uint32_t life)
{
	struct node *node = process->node;
	if (node->life != life || !node->up)
		return;
	for (const struct slice *slice = node->sending; slice != NULL; slice = slice->next) {
		if (slice->from.process == process->serial ||
			(slice->move && slice->to.process == process->serial)) {
			world_happen(world, world->now + 100 * MICRO, HAPPEN_FREE, life, 0, 0, process);
			return;
		}
	}
	SIM_SAY(world, "%u.%u is free", node->number, process->serial);
	ledger_freed(world, process);
	process->freed = true;
	world_step(node, &(struct core_event){.type = CORE_PROCESS_FREE, .process = process->serial});
}

/* ------------------------------------------------------------------ time */

void world_begin(struct world *world, const struct sim_options *options)
{
	world->options = *options;
	/* Three of four runs have only some of the faults: each alone shows what all hide. */
	uint64_t swarm = base_mix64(options->seed + 77);
	if (swarm % 4 != 0)
		world->options.faults &= (uint32_t)(swarm >> 8);
	world->random.state = base_mix64(options->seed);
	world->now = MILLI;
	world->node_count = options->nodes;
	world->player_count = options->nodes * options->processes;
	world->connections = sim_alloc(CONNECTIONS_MAX * sizeof *world->connections);
	world->connection_count = 1;
	world->ledger = ledger_new();
	for (uint32_t i = 0; i < world->player_count; i++)
		world->players[i].node = &world->nodes[i % options->nodes];
	for (uint32_t i = 0; i < world->node_count; i++) {
		struct node *node = &world->nodes[i];
		node->world = world;
		node->number = i + 1;
		configure(world, node);
		for (uint32_t j = 0; j < world->node_count; j++) {
			for (uint32_t lane = 0; lane < 2; lane++) {
				struct link *link = &world->links[i][j][lane];
				link->last = &link->first;
				link->seed = base_mix64(options->seed ^ (i * 64 + j * 2 + lane));
			}
		}
	}
}

void world_boot_all(struct world *world)
{
	for (uint32_t i = 0; i < world->node_count; i++)
		boot(world, &world->nodes[i]);
	network_connect_all(world);
}

/* The node that takes part in it; NULL: none does. */
static struct node *node_of(struct world *world, const struct happening *it)
{
	struct node *node;
	switch ((enum happening_kind)it->kind) {
	case HAPPEN_LINK:
		return &world->nodes[it->b];
	case HAPPEN_SLICE:
	case HAPPEN_UP:
	case HAPPEN_GONE:
		return &world->nodes[it->a];
	case HAPPEN_FREE:
		node = ((struct process *)it->pointer)->node;
		break;
	case HAPPEN_BIRTH:
		node = world->players[it->a].node;
		break;
	default:
		return NULL;
	}
	BASE_ASSERT(node != NULL); /* each Process and player has one, to its end */
	return node;
}

static void happen(struct world *world, const struct happening *it)
{
	switch ((enum happening_kind)it->kind) {
	case HAPPEN_LINK:
		network_link(world, it);
		break;
	case HAPPEN_SLICE:
		answer_slice(world, it->pointer);
		break;
	case HAPPEN_UP:
		network_up(world, it);
		break;
	case HAPPEN_GONE:
		network_gone(world, it);
		break;
	case HAPPEN_CONNECT:
		network_connect(world, it);
		break;
	case HAPPEN_UNBLOCK:
		network_unblock(world, it);
		break;
	case HAPPEN_BOOT:
		if (!world->nodes[it->a].up) {
			boot(world, &world->nodes[it->a]);
			network_connect_all(world);
		}
		break;
	case HAPPEN_RESUME:
		if (world->nodes[it->a].paused_until <= world->now)
			world_resume(world, &world->nodes[it->a]);
		break;
	case HAPPEN_FREE:
		free_process(world, it->pointer, it->a);
		break;
	case HAPPEN_BIRTH:
		world_birth(world, &world->players[it->a]);
		break;
	case HAPPEN_STEP:
		break;
	}
}

/* The node whose core wants a tick next. */
static struct node *next_tick(struct world *world, uint64_t *when)
{
	struct node *next = NULL;
	*when = UINT64_MAX;
	for (uint32_t i = 0; i < world->node_count; i++) {
		struct node *node = &world->nodes[i];
		uint64_t at = BASE_MAX(node->tick, node->paused_until);
		if (node->up && node->tick != UINT64_MAX && at < *when) {
			*when = at;
			next = node;
		}
	}
	return next;
}

bool world_next(struct world *world, uint64_t until)
{
	uint64_t tick;
	struct node *ticking = next_tick(world, &tick);
	uint64_t first = world->heap_count > 0 ? world->heap[0].when : UINT64_MAX;
	if (BASE_MIN(tick, first) > until)
		return false;
	if (ticking != NULL && tick <= first) {
		world->now = BASE_MAX(world->now, tick);
		if (ticking->paused_until != 0)
			world_resume(world, ticking);
		world_step(ticking, &(struct core_event){.type = CORE_TICK});
		return true;
	}
	struct happening it = heap_pop(world);
	world->now = BASE_MAX(world->now, it.when);
	struct node *node = node_of(world, &it);
	if (node != NULL && node->paused_until > world->now) {
		it.when = node->paused_until;
		it.put_off = true;
		it.order = world->heap_order++;
		heap_push(world, it);
		return true;
	}
	if (node != NULL && node->paused_until != 0)
		world_resume(world, node);
	happen(world, &it);
	return true;
}
