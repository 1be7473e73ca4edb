/* The network: connections between nodes, two lanes each way that keep their order, and what can go
 * wrong with them.
 *
 *     connect: both up, nothing blocked -> each side hears CORE_SESSION_UP at its own time
 *     block:   packets of one direction wait, and nobody can connect, until it is over
 *     cut:     what is under way is lost; each side hears CORE_SESSION_GONE at its own time
 *     end:     one core gives up: its side closes, the other sees the end behind what was sent
 *     crash:   the end is seen behind what was sent, or never: then heartbeats tell
 *
 * A packet belongs to one connection and is dropped where its receiver is in another: nothing of an
 * old session is accepted. */
#include <stdio.h>
#include <string.h>

#include "sim/oracle.h"
#include "sim/sim.h"

/* ------------------------------------------------------------------ packets */

static unsigned packet_class(size_t size)
{
	unsigned class = 0;
	for (size_t room = 64; room < size; room *= 2)
		class ++;
	return class;
}

static struct packet *new_packet(struct world *world, size_t size)
{
	unsigned class = packet_class(size);
	struct packet *packet = world->packets[class];
	if (packet != NULL)
		world->packets[class] = packet->next;
	else
		packet = sim_alloc(sizeof *packet + ((size_t)64 << class));
	packet->next = NULL;
	packet->sent = world->now;
	packet->size = (uint32_t)size;
	return packet;
}

static void free_packet(struct world *world, struct packet *packet)
{
	unsigned class = packet_class(packet->size);
	packet->next = world->packets[class];
	world->packets[class] = packet;
}

static void schedule(struct world *world, uint32_t from, uint32_t to, uint32_t lane)
{
	struct link *link = &world->links[from][to][lane];
	if (link->scheduled || link->first == NULL || world->blocked[from][to] != 0)
		return;
	link->scheduled = true;
	world_happen(world, BASE_MAX(link->first->when, world->now), HAPPEN_LINK, from, to, lane, NULL);
}

static uint64_t delay_of(const struct world *world, const struct link *link)
{
	uint64_t draw = base_mix64(link->seed ^ base_mix64(world->now));
	uint64_t delay = 2 * MICRO + draw % (10 * MICRO);
	if (SIM_HAS(world, DELAY) && !world->calm && (draw >> 32) % 64 == 0)
		delay += (draw >> 40) % (1500 * MICRO);
	return delay;
}

static void push(struct world *world, uint32_t from, uint32_t to, uint32_t lane,
				 struct packet *packet)
{
	struct link *link = &world->links[from][to][lane];
	packet->when = BASE_MAX(world->now + delay_of(world, link), link->newest);
	link->newest = packet->when;
	*link->last = packet;
	link->last = &packet->next;
	link->count++;
	schedule(world, from, to, lane);
}

void network_send(struct world *world, struct node *node, const struct core_output *out)
{
	uint32_t from = node->number - 1, to = out->node - 1;
	if (out->node == 0 || to >= world->node_count || to == from)
		sim_violation(world, "node %u sends to node %u", node->number, out->node);
	const struct side *side = &world->sides[from][to];
	if (side->connection == 0)
		sim_violation(world, "node %u sends a %s to node %u without a session", node->number,
					  wire_message_name(out->bytes[4]), out->node);
	size_t data = out->type == CORE_SEND_SLICE ? out->from.length : 0;
	struct packet *packet = new_packet(world, out->size + data);
	memcpy(packet->bytes, out->bytes, out->size);
	if (data > 0)
		memcpy(packet->bytes + out->size, world_slice_bytes(node, &out->from), data);
	packet->connection = side->connection;
	if (packet->bytes[4] == WIRE_MESSAGE_TYPE_REVOKE)
		ledger_kill_sent(world, node, (const void *)packet->bytes, to);
	if (world->options.verbose) {
		char line[400];
		wire_print_message(line, sizeof line, packet->bytes, packet->size);
		sim_trace(world, "%u => %u %s", node->number, out->node, line);
	}
	push(world, from, to, out->lane, packet);
}

static void push_end(struct world *world, uint32_t from, uint32_t to, uint32_t connection)
{
	struct packet *packet = new_packet(world, 0);
	packet->connection = connection;
	struct link *links = world->links[from][to];
	links[CORE_CONTROL].newest = BASE_MAX(links[CORE_CONTROL].newest, links[CORE_BULK].newest);
	push(world, from, to, CORE_CONTROL, packet);
}

static struct packet *pop(struct link *link)
{
	struct packet *packet = link->first;
	link->first = packet->next;
	if (link->first == NULL)
		link->last = &link->first;
	link->count--;
	return packet;
}

static bool coming(const struct world *world, uint32_t node, uint32_t connection)
{
	const struct connection *c = &world->connections[connection];
	return c->pending[c->b == node];
}

/* The oldest packet of a link arrives. */
void network_link(struct world *world, const struct happening *it)
{
	struct link *link = &world->links[it->a][it->b][it->c];
	struct node *node = &world->nodes[it->b];
	link->scheduled = false;
	if (world->blocked[it->a][it->b] != 0 || link->first == NULL)
		return;
	if (link->first->when > world->now) {
		schedule(world, it->a, it->b, it->c);
		return;
	}
	uint32_t connection = link->first->connection;
	const struct side *side = &world->sides[it->b][it->a];
	if (node->up && side->connection != connection && coming(world, it->b, connection)) {
		link->first->when = world->now + MICRO; /* its session is not up there yet */
		schedule(world, it->a, it->b, it->c);
		return;
	}
	struct packet *packet = pop(link);
	bool taken = node->up && side->connection == connection &&
				 !(world->connections[connection].lost && packet->size == 0);
	if (taken && packet->size == 0) {
		world_happen(world, world->now, HAPPEN_GONE, it->b, it->a, connection, NULL);
	} else if (taken && !world->connections[connection].lost) {
		struct core_event event = {.type = CORE_MESSAGE,
								   .node = it->a + 1,
								   .lane = (enum core_lane)it->c,
								   .bytes = packet->bytes,
								   .size = packet->size};
		if (world->oracle != NULL)
			oracle_sent(world->oracle, packet->sent);
		world_step(node, &event);
	}
	free_packet(world, packet);
	schedule(world, it->a, it->b, it->c);
}

/* ------------------------------------------------------------------ sessions */

static void plan_connect(struct world *world, uint32_t a, uint32_t b, uint64_t delay)
{
	uint32_t low = BASE_MIN(a, b), high = BASE_MAX(a, b);
	if (world->connecting[low][high] || world->closing)
		return;
	world->connecting[low][high] = true;
	world_happen(world, world->now + delay, HAPPEN_CONNECT, low, high, 0, NULL);
}

static uint64_t retry_delay(struct world *world)
{
	return 50 * MICRO + sim_below(world, 2 * MILLI);
}

void network_connect_all(struct world *world)
{
	for (uint32_t i = 0; i < world->node_count; i++) {
		for (uint32_t j = i + 1; j < world->node_count; j++) {
			if (world->sides[i][j].connection == 0 || world->sides[j][i].connection == 0)
				plan_connect(world, i, j, 10 * MICRO + sim_below(world, 100 * MICRO));
		}
	}
}

static bool can_talk(const struct world *world, uint32_t a, uint32_t b)
{
	return world->nodes[a].up && world->nodes[b].up && world->nodes[a].paused_until == 0 &&
		   world->nodes[b].paused_until == 0 && world->blocked[a][b] == 0 &&
		   world->blocked[b][a] == 0;
}

static void begin(struct world *world, uint32_t node, uint32_t peer, uint32_t connection)
{
	struct happening up = {.when = world->now + 3 * MICRO + sim_below(world, 40 * MICRO)};
	world_happen(world, up.when, HAPPEN_UP, node, peer, connection, NULL);
}

void network_connect(struct world *world, const struct happening *it)
{
	world->connecting[it->a][it->b] = false;
	if (world->closing)
		return;
	if (world->sides[it->a][it->b].connection != 0 && world->sides[it->b][it->a].connection != 0 &&
		world->sides[it->a][it->b].connection == world->sides[it->b][it->a].connection)
		return;
	if (!can_talk(world, it->a, it->b)) {
		if (world->nodes[it->a].up && world->nodes[it->b].up)
			plan_connect(world, it->a, it->b, retry_delay(world));
		return;
	}
	BASE_ASSERT(world->connection_count < CONNECTIONS_MAX);
	uint32_t number = world->connection_count++;
	world->connections[number] = (struct connection){
		.a = (uint8_t)it->a,
		.b = (uint8_t)it->b,
		.pending = {true, true},
		.life = {world->nodes[it->a].life, world->nodes[it->b].life},
		.epoch = {world->nodes[it->a].config.epoch, world->nodes[it->b].config.epoch}};
	begin(world, it->a, it->b, number);
	begin(world, it->b, it->a, number);
}

static void leave(struct world *world, uint32_t node, uint32_t peer)
{
	world->losses++;
	world->sides[node][peer] = (struct side){0};
	world_forget_slices(&world->nodes[node], peer + 1);
}

/* The other end of a connection that `node` will never be in. */
static void stillborn(struct world *world, uint32_t node, uint32_t peer, uint32_t connection)
{
	push_end(world, node, peer, connection);
}

void network_up(struct world *world, const struct happening *it)
{
	struct connection *connection = &world->connections[it->c];
	struct node *node = &world->nodes[it->a];
	unsigned end = connection->b == it->a;
	connection->pending[end] = false;
	if (!node->up || node->life != connection->life[end] || connection->lost) {
		stillborn(world, it->a, it->b, it->c);
		return;
	}
	struct side *side = &world->sides[it->a][it->b];
	/* A new session while the old one is not known to be over: the peer said hello again. */
	if (side->connection != 0) {
		bool told = sim_below(world, 2) == 0;
		leave(world, it->a, it->b);
		if (told)
			world_step(node, &(struct core_event){.type = CORE_SESSION_GONE, .node = it->b + 1});
	}
	*side = (struct side){.connection = it->c};
	SIM_SAY(world, "%u has a session with %u", it->a + 1, it->b + 1);
	world_step(node, &(struct core_event){.type = CORE_SESSION_UP,
										  .node = it->b + 1,
										  .epoch = connection->epoch[1 - end]});
}

void network_gone(struct world *world, const struct happening *it)
{
	struct node *node = &world->nodes[it->a];
	if (!node->up || world->sides[it->a][it->b].connection != it->c)
		return;
	leave(world, it->a, it->b);
	SIM_SAY(world, "%u has lost its session with %u", it->a + 1, it->b + 1);
	world_step(node, &(struct core_event){.type = CORE_SESSION_GONE, .node = it->b + 1});
	plan_connect(world, it->a, it->b, retry_delay(world));
}

/* The core gave its session up. */
void network_end_session(struct world *world, struct node *node, uint32_t peer)
{
	uint32_t from = node->number - 1;
	struct side *side = &world->sides[from][peer];
	if (side->connection == 0 || side->ending)
		return;
	side->ending = true;
	push_end(world, from, peer, side->connection);
	world_happen(world, world->now + sim_below(world, 3 * MICRO), HAPPEN_GONE, from, peer,
				 side->connection, NULL);
}

/* ------------------------------------------------------------------ faults */

static void tell_oracle(struct world *world, enum oracle_fault fault, uint32_t from, uint32_t to)
{
	if (world->oracle != NULL)
		oracle_fault(world->oracle, world->now, fault, from + 1, to + 1, 0);
}

void network_cut(struct world *world, uint32_t a, uint32_t b)
{
	uint32_t number = world->sides[a][b].connection;
	if (number == 0 || number != world->sides[b][a].connection)
		return;
	SIM_SAY(world, "the link %u-%u is cut", a + 1, b + 1);
	tell_oracle(world, ORACLE_DISTURB, a, b);
	tell_oracle(world, ORACLE_DISTURB, b, a);
	world->connections[number].lost = true;
	world_happen(world, world->now + sim_below(world, MILLI), HAPPEN_GONE, a, b, number, NULL);
	world_happen(world, world->now + sim_below(world, MILLI), HAPPEN_GONE, b, a, number, NULL);
	tell_oracle(world, ORACLE_HEAL, a, b);
	tell_oracle(world, ORACLE_HEAL, b, a);
}

void network_block(struct world *world, uint32_t from, uint32_t to, uint64_t time)
{
	uint64_t until = world->now + time;
	if (world->blocked[from][to] >= until)
		return;
	SIM_SAY(world, "%u -> %u stops for %llu us", from + 1, to + 1,
			(unsigned long long)(time / MICRO));
	if (world->blocked[from][to] == 0) {
		tell_oracle(world, ORACLE_DISTURB, from, to);
		world->blocked_since[from][to] = world->now;
		const struct node *node = &world->nodes[to];
		uint64_t ahead = node->paused_until > world->now ? node->paused_until - world->now : 0;
		world->blocked_paused[from][to] = node->paused - ahead;
	}
	world->blocked[from][to] = until;
	world_happen(world, until, HAPPEN_UNBLOCK, from, to, 0, NULL);
}

/* Whoever hears nothing has given the session up within its time: see ledger.c, revoke_time(). */
static void check_given_up(struct world *world, uint32_t from, uint32_t to)
{
	const struct node *node = &world->nodes[to];
	uint64_t once = node->config.failure_timeout + node->config.heartbeat;
	uint64_t since = world->blocked_since[from][to];
	const struct side *side = &world->sides[to][from];
	if (side->connection == 0 || world->connections[side->connection].began > since || !node->up ||
		world->now - since < once + node->paused - world->blocked_paused[from][to])
		return;
	sim_violation(world, "node %u heard nothing of node %u for %llu us and keeps its session",
				  to + 1, from + 1, (unsigned long long)((world->now - since) / MICRO));
}

void network_unblock(struct world *world, const struct happening *it)
{
	if (world->blocked[it->a][it->b] == 0 ||
		(world->blocked[it->a][it->b] > world->now && !world->calm))
		return;
	SIM_SAY(world, "%u -> %u goes on", it->a + 1, it->b + 1);
	check_given_up(world, it->a, it->b);
	world->blocked[it->a][it->b] = 0;
	tell_oracle(world, ORACLE_HEAL, it->a, it->b);
	for (uint32_t lane = 0; lane < 2; lane++)
		schedule(world, it->a, it->b, lane);
}

void network_crash(struct world *world, struct node *node, bool silent)
{
	uint32_t from = node->number - 1;
	for (uint32_t peer = 0; peer < world->node_count; peer++) {
		uint32_t connection = world->sides[from][peer].connection;
		if (peer == from || connection == 0)
			continue;
		if (silent)
			world->connections[connection].lost = true;
		else
			push_end(world, from, peer, connection);
		world->sides[from][peer] = (struct side){0};
	}
}

/* All that is up is joined, and nothing is under way but heartbeats. */
bool network_quiet(const struct world *world)
{
	for (uint32_t i = 0; i < world->node_count; i++) {
		for (uint32_t j = 0; j < world->node_count; j++) {
			if (i != j && (world->sides[i][j].connection == 0 ||
						   world->sides[i][j].connection != world->sides[j][i].connection))
				return false;
		}
	}
	return true;
}
