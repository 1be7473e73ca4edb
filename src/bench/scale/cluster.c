/* See cluster.h. A heap of what is to happen; each Controller is stepped as its shell would. */
#include "cluster.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/inspect.h"

enum { CHANNEL = 0, SEGMENT = 0, CALL_BYTES = 4096 };
/* A message's delays are kept in steps of a tenth of a microsecond, for the quantile. */
enum { DELAY_STEP = 100, DELAY_STEPS = 1 << 16 };

enum kind { ARRIVE, CALL, RECORD, SLICE_SENT, MOVED, TICK, THEN };

struct happening {
	uint64_t when, order;
	enum kind kind;
	uint32_t node, peer, life, peer_life;
	enum core_lane lane;
	uint64_t token;          /* TICK: whether it is of later */
	struct process *process; /* CALL, RECORD */
	void (*then)(void *context);
	void *context;
	size_t size;
	_Alignas(8) uint8_t bytes[];
};

struct chunk {
	struct chunk *next;
	_Alignas(16) uint8_t bytes[];
};

struct kept { /* a delivery that nobody has taken */
	struct kept *next;
	struct delivery delivery;
};

struct process {
	struct cluster *cluster;
	struct process *next;
	uint32_t node, serial;
	bool alive;
	uint8_t *arena;
	uint64_t arena_bytes;
	process_handler *handler;
	void *context;
	struct kept *first, **last;
	uint64_t cookie;  /* of the newest call */
	uint64_t awaited; /* the one whose completion somebody waits for */
	bool answered;
	uint64_t answer; /* its capability */
};

struct node {
	struct core *core;
	struct core_config config;
	struct chunk *chunks;
	uint32_t life; /* rises at each end */
	bool up;
	uint64_t tick;   /* the next one that is in the heap */
	uint64_t egress; /* busy with what is sent until then */
	uint32_t next_serial;
	struct process *processes; /* the newest first: serials begin anew with each life */
};

struct cluster {
	struct network network;
	double mu, sigma; /* of the delays' logarithm */
	uint64_t now, order;
	struct base_random random;
	struct node *nodes; /* by number; 0 is not used */
	uint32_t node_count;
	uint64_t *newest; /* arrival, by from, to and lane: nothing overtakes */
	struct happening **heap;
	size_t count, room;
	size_t pending; /* happenings but ticks of later */
	struct sent sent;
	uint64_t delays[DELAY_STEPS], delay_count;
	double delay_sum;
};

static void *take(size_t size)
{
	void *memory = calloc(1, size);
	BASE_ASSERT(memory != NULL);
	return memory;
}

/* ------------------------------------------------------------------ the heap */

static bool before(const struct happening *a, const struct happening *b)
{
	return a->when < b->when || (a->when == b->when && a->order < b->order);
}

static bool counts(const struct happening *it)
{
	return it->kind != TICK || it->token == 0;
}

static void push(struct cluster *cluster, struct happening *it, uint64_t when)
{
	if (cluster->count == cluster->room) {
		cluster->room = BASE_MAX(2 * cluster->room, (size_t)1024);
		cluster->heap = realloc(cluster->heap, cluster->room * sizeof(void *));
		BASE_ASSERT(cluster->heap != NULL);
	}
	it->when = when;
	it->order = cluster->order++;
	cluster->pending += counts(it);
	size_t at = cluster->count++;
	for (; at > 0 && before(it, cluster->heap[(at - 1) / 2]); at = (at - 1) / 2)
		cluster->heap[at] = cluster->heap[(at - 1) / 2];
	cluster->heap[at] = it;
}

static struct happening *pop(struct cluster *cluster)
{
	BASE_ASSERT(cluster->count > 0);
	struct happening *first = cluster->heap[0], *last = cluster->heap[--cluster->count];
	size_t at = 0, child;
	cluster->heap[cluster->count] = NULL;
	cluster->pending -= counts(first);
	if (cluster->count == 0)
		return first;
	while ((child = 2 * at + 1) < cluster->count) {
		if (child + 1 < cluster->count && before(cluster->heap[child + 1], cluster->heap[child]))
			child++;
		if (!before(cluster->heap[child], last))
			break;
		cluster->heap[at] = cluster->heap[child];
		at = child;
	}
	cluster->heap[at] = last;
	return first;
}

static struct happening *happening(enum kind kind, uint32_t node, const void *a, size_t a_size,
								   const void *b, size_t b_size)
{
	struct happening *it = malloc(sizeof *it + a_size + b_size);
	BASE_ASSERT(it != NULL);
	*it = (struct happening){.kind = kind, .node = node, .size = a_size + b_size};
	if (a_size > 0)
		memcpy(it->bytes, a, a_size);
	if (b_size > 0)
		memcpy(it->bytes + a_size, b, b_size);
	return it;
}

void cluster_after(struct cluster *cluster, uint64_t ns, void (*then)(void *context), void *context)
{
	struct happening *it = happening(THEN, 0, NULL, 0, NULL, 0);
	it->then = then;
	it->context = context;
	push(cluster, it, cluster->now + ns);
}

/* ------------------------------------------------------------------ the network */

/* A lognormal that has this mean and this 99th percentile: with s its sigma and z the normal's
 * percentile, ln(p99 / mean) = z s - s^2 / 2. */
static void shape(struct cluster *cluster)
{
	const double z = 2.3263478740408408;
	const struct network *network = &cluster->network;
	double ratio = log(network->p99_ns / network->mean_ns);
	cluster->sigma = z - sqrt(z * z - 2 * ratio);
	cluster->mu = log(network->mean_ns) - cluster->sigma * cluster->sigma / 2;
}

/* In (0, 1). */
static double fraction(struct cluster *cluster)
{
	return ((double)(base_random_next(&cluster->random) >> 11) + 0.5) / 9007199254740992.0;
}

static uint64_t draw_delay(struct cluster *cluster)
{
	double ns = cluster->network.mean_ns;
	if (cluster->sigma > 0) {
		double radius = sqrt(-2 * log(fraction(cluster)));
		double normal = radius * cos(2 * M_PI * fraction(cluster));
		ns = exp(cluster->mu + cluster->sigma * normal);
	}
	uint64_t step = (uint64_t)(ns / DELAY_STEP);
	cluster->delays[BASE_MIN(step, (uint64_t)DELAY_STEPS - 1)]++;
	cluster->delay_count++;
	cluster->delay_sum += ns;
	return (uint64_t)ns;
}

struct delays cluster_delays(const struct cluster *cluster)
{
	struct delays out = {.count = cluster->delay_count};
	uint64_t seen = 0;
	for (unsigned i = 0; i < DELAY_STEPS && cluster->delay_count > 0; i++) {
		seen += cluster->delays[i];
		if (seen * 100 >= cluster->delay_count * 99) {
			out.p99_ns = (i + 0.5) * DELAY_STEP;
			break;
		}
	}
	if (cluster->delay_count > 0)
		out.mean_ns = cluster->delay_sum / (double)cluster->delay_count;
	return out;
}

static struct process *find(struct cluster *cluster, uint32_t node, uint32_t serial)
{
	struct process *process = cluster->nodes[node].processes;
	while (process->serial != serial)
		process = process->next;
	return process;
}

static uint8_t *bytes_of(struct cluster *cluster, uint32_t node, const struct core_extent *extent)
{
	struct process *process = find(cluster, node, extent->process);
	BASE_ASSERT(base_range_inside(extent->offset, extent->length, process->arena_bytes));
	return process->arena + extent->offset;
}

static void send(struct cluster *cluster, uint32_t from, const struct core_output *out)
{
	struct node *node = &cluster->nodes[from], *peer = &cluster->nodes[out->node];
	const struct wire_message *head = (const void *)out->bytes;
	const uint8_t *data = NULL;
	size_t length = 0;
	if (out->type == CORE_SEND_SLICE) {
		data = bytes_of(cluster, from, &out->from);
		length = out->from.length;
	}
	cluster->sent.by_type[head->type]++;
	if (head->type != WIRE_MESSAGE_TYPE_HEARTBEAT && head->type != WIRE_MESSAGE_TYPE_CREDIT)
		cluster->sent.bytes += out->size + length;
	struct happening *it = happening(ARRIVE, out->node, out->bytes, out->size, data, length);
	it->peer = from;
	it->life = peer->life;
	it->peer_life = node->life;
	it->lane = out->lane;
	uint64_t left = cluster->now;
	if (cluster->network.gbit_s > 0) {
		left = BASE_MAX(left, node->egress) +
			   (uint64_t)((double)it->size * 8 / cluster->network.gbit_s);
		node->egress = left;
	}
	size_t lane = ((size_t)from * (cluster->node_count + 1) + out->node) * 2 + out->lane;
	uint64_t arrival = left + draw_delay(cluster);
	arrival = BASE_MAX(arrival, cluster->newest[lane]);
	cluster->newest[lane] = arrival;
	push(cluster, it, arrival);
	if (out->type == CORE_SEND_SLICE) {
		struct happening *answer = happening(SLICE_SENT, from, NULL, 0, NULL, 0);
		answer->token = out->token;
		answer->peer = out->node;
		answer->life = node->life;
		push(cluster, answer, left);
	}
}

/* ------------------------------------------------------------------ steps */

static void take_output(struct cluster *cluster, uint32_t number, const struct core_output *out)
{
	struct happening *it;
	switch (out->type) {
	case CORE_RECORD:
		it = happening(RECORD, number, out->bytes, out->size, NULL, 0);
		it->process = find(cluster, number, out->process);
		push(cluster, it, cluster->now + cluster->network.ring_ns);
		break;
	case CORE_SEND:
	case CORE_SEND_SLICE:
		send(cluster, number, out);
		break;
	case CORE_PLACE:
		memcpy(bytes_of(cluster, number, &out->to), out->bytes, out->size);
		break;
	case CORE_MOVE:
		memmove(bytes_of(cluster, number, &out->to), bytes_of(cluster, number, &out->from),
				out->from.length);
		it = happening(MOVED, number, NULL, 0, NULL, 0);
		it->token = out->token;
		it->life = cluster->nodes[number].life;
		push(cluster, it, cluster->now);
		break;
	case CORE_END_SESSION:
	case CORE_END_PROCESS:
		fprintf(stderr, "scale: node %u ends a session or a Process: %s\n", number, out->reason);
		abort();
	case CORE_SPAN:
		break;
	}
}

/* A tick of now is part of what happens; a later one waits. */
static void schedule_tick(struct cluster *cluster, uint32_t number)
{
	struct node *node = &cluster->nodes[number];
	uint64_t when = BASE_MAX(core_deadline(node->core), cluster->now);
	if (when >= node->tick)
		return;
	node->tick = when;
	struct happening *it = happening(TICK, number, NULL, 0, NULL, 0);
	it->token = when > cluster->now;
	it->life = node->life;
	push(cluster, it, when);
}

static void step(struct cluster *cluster, uint32_t number, const struct core_event *event)
{
	struct node *node = &cluster->nodes[number];
	struct core_output out;
	core_step(node->core, cluster->now, event);
	while (core_output(node->core, &out))
		take_output(cluster, number, &out);
	schedule_tick(cluster, number);
}

static void take_record(struct process *process, const uint8_t *bytes)
{
	const struct wire_answer_completion *answer = (const void *)bytes;
	if (answer->header.type == WIRE_ANSWER_TYPE_COMPLETION) {
		BASE_ASSERT(answer->status == FOS_OK);
		if (answer->header.cookie == process->awaited) {
			process->answered = true;
			process->answer = answer->cap;
		}
		return;
	}
	BASE_ASSERT(answer->header.type == WIRE_ANSWER_TYPE_DELIVERY);
	const struct wire_answer_delivery *record = (const void *)bytes;
	BASE_ASSERT(!record->exception);
	struct delivery delivery = {
		.handler = record->header.cookie, .id = record->delivery, .cap_count = record->cap_count};
	const struct wire_delivered *caps =
		(const void *)(bytes + sizeof *record + record->range_count * sizeof(struct wire_range));
	for (unsigned i = 0; i < record->cap_count; i++)
		delivery.caps[i] = (struct cap_arg){caps[i].index, caps[i].cap};
	if (process->handler != NULL) {
		process->handler(process->context, process, &delivery);
		return;
	}
	struct kept *kept = take(sizeof *kept);
	kept->delivery = delivery;
	*process->last = kept;
	process->last = &kept->next;
}

static void arrive(struct cluster *cluster, const struct happening *it)
{
	const struct node *node = &cluster->nodes[it->node], *peer = &cluster->nodes[it->peer];
	if (node->up && node->life == it->life && peer->life == it->peer_life)
		step(cluster, it->node,
			 &(struct core_event){.type = CORE_MESSAGE,
								  .node = it->peer,
								  .lane = it->lane,
								  .bytes = it->bytes,
								  .size = it->size});
}

static void happen(struct cluster *cluster, struct happening *it)
{
	struct node *node = &cluster->nodes[it->node];
	bool current = node->up && node->life == it->life;
	switch (it->kind) {
	case ARRIVE:
		arrive(cluster, it);
		break;
	case CALL:
		if (it->process->alive)
			step(cluster, it->node,
				 &(struct core_event){.type = CORE_CALL,
									  .process = it->process->serial,
									  .channel = CHANNEL,
									  .bytes = it->bytes,
									  .size = it->size});
		break;
	case RECORD:
		if (it->process->alive)
			take_record(it->process, it->bytes);
		break;
	case SLICE_SENT:
	case MOVED:
		if (current)
			step(cluster, it->node,
				 &(struct core_event){.type = it->kind == MOVED ? CORE_MOVED : CORE_SLICE_SENT,
									  .node = it->peer,
									  .token = it->token});
		break;
	case TICK:
		if (!current || node->tick != it->when)
			break;
		node->tick = UINT64_MAX;
		if (core_deadline(node->core) <= cluster->now)
			step(cluster, it->node, &(struct core_event){.type = CORE_TICK});
		else
			schedule_tick(cluster, it->node);
		break;
	case THEN:
		it->then(it->context);
		break;
	}
}

static void next(struct cluster *cluster)
{
	struct happening *it = pop(cluster);
	cluster->now = BASE_MAX(cluster->now, it->when);
	happen(cluster, it);
	free(it);
}

void cluster_settle(struct cluster *cluster)
{
	while (cluster->pending > 0)
		next(cluster);
}

void cluster_pass(struct cluster *cluster, uint64_t ns)
{
	uint64_t until = cluster->now + ns;
	while (cluster->count > 0 && cluster->heap[0]->when <= until)
		next(cluster);
	cluster->now = until;
}

/* ------------------------------------------------------------------ Controllers */

static void *grow(void *context, size_t size)
{
	struct node *node = context;
	struct chunk *chunk = take(sizeof *chunk + size);
	chunk->next = node->chunks;
	node->chunks = chunk;
	return chunk->bytes;
}

static void release(struct node *node)
{
	for (struct chunk *chunk = node->chunks, *rest; chunk != NULL; chunk = rest) {
		rest = chunk->next;
		free(chunk);
	}
	node->chunks = NULL;
	node->core = NULL;
}

static void boot(struct cluster *cluster, uint32_t number)
{
	struct node *node = &cluster->nodes[number];
	node->config.epoch =
		base_mix64(cluster->network.seed ^ number ^ (uint64_t)node->life << 32) | 1;
	node->config.seed = base_mix64(node->config.epoch);
	node->core = core_create(&node->config);
	BASE_ASSERT(node->core != NULL);
	node->tick = UINT64_MAX;
	node->egress = 0;
	node->next_serial = 1;
	node->up = true;
}

static void join(struct cluster *cluster, uint32_t a, uint32_t b)
{
	const uint32_t ends[2] = {a, b};
	for (unsigned i = 0; i < 2; i++) {
		uint32_t peer = ends[1 - i];
		step(cluster, ends[i],
			 &(struct core_event){.type = CORE_SESSION_UP,
								  .node = peer,
								  .epoch = cluster->nodes[peer].config.epoch});
	}
}

struct cluster *cluster_new(uint32_t nodes, const struct network *network,
							const struct core_limits *limits)
{
	struct cluster *cluster = take(sizeof *cluster);
	cluster->network = *network;
	cluster->now = 1000000;
	cluster->random.state = base_mix64(network->seed);
	cluster->node_count = nodes;
	cluster->nodes = take((nodes + 1) * sizeof *cluster->nodes);
	cluster->newest = take((size_t)(nodes + 1) * (nodes + 1) * 2 * sizeof *cluster->newest);
	shape(cluster);
	for (uint32_t i = 1; i <= nodes; i++) {
		struct node *node = &cluster->nodes[i];
		core_config_default(&node->config);
		if (limits != NULL)
			node->config.limits = *limits;
		node->config.limits.sessions = BASE_MAX(node->config.limits.sessions, nodes);
		node->config.node = i;
		snprintf(node->config.node_name, sizeof node->config.node_name, "n%u", i);
		node->config.grow = grow;
		node->config.context = node;
		boot(cluster, i);
		for (uint32_t j = 1; j < i; j++)
			join(cluster, j, i);
	}
	cluster_settle(cluster);
	return cluster;
}

void cluster_crash(struct cluster *cluster, uint32_t number)
{
	struct node *node = &cluster->nodes[number];
	node->up = false;
	node->life++;
	for (struct process *process = node->processes; process != NULL; process = process->next)
		process->alive = false;
	release(node);
	for (uint32_t i = 1; i <= cluster->node_count; i++)
		if (cluster->nodes[i].up)
			step(cluster, i, &(struct core_event){.type = CORE_SESSION_GONE, .node = number});
}

void cluster_boot(struct cluster *cluster, uint32_t number)
{
	boot(cluster, number);
	for (uint32_t i = 1; i <= cluster->node_count; i++)
		if (i != number)
			join(cluster, i, number);
}

static void free_processes(struct node *node)
{
	for (struct process *process = node->processes, *rest; process != NULL; process = rest) {
		rest = process->next;
		struct delivery left;
		while (process_take(process, &left))
			;
		free(process->arena);
		free(process);
	}
}

void cluster_end(struct cluster *cluster)
{
	for (uint32_t i = 1; i <= cluster->node_count; i++) {
		release(&cluster->nodes[i]);
		free_processes(&cluster->nodes[i]);
	}
	while (cluster->count > 0)
		free(pop(cluster));
	free(cluster->heap);
	free(cluster->newest);
	free(cluster->nodes);
	free(cluster);
}

const struct core *cluster_core(const struct cluster *cluster, uint32_t node)
{
	return cluster->nodes[node].core;
}

uint64_t cluster_now(const struct cluster *cluster)
{
	return cluster->now;
}

const struct sent *cluster_sent(const struct cluster *cluster)
{
	return &cluster->sent;
}

uint64_t cluster_messages(const struct cluster *cluster, const struct sent *since)
{
	uint64_t sum = 0;
	for (unsigned i = 1; i <= WIRE_MESSAGE_TYPE_NONE; i++)
		if (i != WIRE_MESSAGE_TYPE_HEARTBEAT && i != WIRE_MESSAGE_TYPE_CREDIT)
			sum += cluster->sent.by_type[i] - since->by_type[i];
	return sum;
}

/* ------------------------------------------------------------------ Processes */

struct process *process_new(struct cluster *cluster, uint32_t node, uint64_t arena)
{
	struct process *process = take(sizeof *process);
	process->cluster = cluster;
	process->next = cluster->nodes[node].processes;
	cluster->nodes[node].processes = process;
	process->node = node;
	process->serial = cluster->nodes[node].next_serial++;
	process->alive = true;
	process->last = &process->first;
	process->arena = arena > 0 ? take(arena) : NULL;
	process->arena_bytes = arena;
	struct core_event event = {
		.type = CORE_PROCESS_UP, .process = process->serial, .may_set_registry = true};
	event.principal = (fos_principal){.node = node, .process = process->serial, .label = "scale"};
	step(cluster, node, &event);
	event.type = CORE_CHANNEL_UP;
	event.channel = CHANNEL;
	step(cluster, node, &event);
	event.type = CORE_SEGMENT_UP;
	event.segment = SEGMENT;
	event.length = arena;
	if (arena > 0)
		step(cluster, node, &event);
	return process;
}

void process_handle(struct process *process, process_handler *handler, void *context)
{
	process->handler = handler;
	process->context = context;
}

void process_kill(struct process *process)
{
	struct core_event event = {.type = CORE_PROCESS_GONE, .process = process->serial};
	process->alive = false;
	step(process->cluster, process->node, &event);
	event.type = CORE_PROCESS_FREE;
	step(process->cluster, process->node, &event);
}

uint32_t process_node(const struct process *process)
{
	return process->node;
}

bool process_take(struct process *process, struct delivery *out)
{
	struct kept *kept = process->first;
	if (kept == NULL)
		return false;
	*out = kept->delivery;
	process->first = kept->next;
	if (process->first == NULL)
		process->last = &process->first;
	free(kept);
	return true;
}

uint64_t delivery_cap(const struct delivery *delivery, uint32_t index)
{
	for (unsigned i = 0; i < delivery->cap_count; i++)
		if (delivery->caps[i].index == index)
			return delivery->caps[i].cap;
	return 0;
}

/* ------------------------------------------------------------------ calls */

static uint8_t *put(uint8_t *at, const void *bytes, size_t size)
{
	memcpy(at, bytes, size);
	return at + size;
}

static uint8_t *put_args(uint8_t *at, const struct args *args)
{
	static const uint8_t zeros[1024];
	static const struct args none;
	if (args == NULL)
		args = &none;
	BASE_ASSERT(args->imm_bytes <= sizeof zeros);
	bool imm = args->imm_bytes > 0;
	at = put(at,
			 &(struct wire_args){.entry_count = (uint16_t)(1 + args->cap_count),
								 .range_count = imm,
								 .bound_count = (uint16_t)args->cap_count,
								 .imm_bytes = args->imm_bytes},
			 sizeof(struct wire_args));
	at =
		put(at, &(struct wire_call_entry){.kind = WIRE_ENTRY_CALL}, sizeof(struct wire_call_entry));
	for (unsigned i = 0; i < args->cap_count; i++)
		at = put(at, &(struct wire_call_entry){.cap = args->caps[i].cap, .kind = WIRE_ENTRY_SLOT},
				 sizeof(struct wire_call_entry));
	if (imm)
		at = put(at, &(struct wire_range){.length = args->imm_bytes}, sizeof(struct wire_range));
	for (unsigned i = 0; i < args->cap_count; i++)
		at = put(at,
				 &(struct wire_bound){.index = (uint16_t)args->caps[i].index,
									  .value = (uint16_t)(i + 1)},
				 sizeof(struct wire_bound));
	return put(at, zeros, args->imm_bytes);
}

static bool has_args(uint16_t type)
{
	return type == WIRE_CALL_TYPE_MEMORY_COPY || type == WIRE_CALL_TYPE_REQUEST_REFINE ||
		   type == WIRE_CALL_TYPE_REQUEST_INVOKE || type == WIRE_CALL_TYPE_CONTINUE;
}

size_t call_encode(uint16_t type, uint64_t cookie, const void *fixed, size_t size,
				   const struct args *args, uint8_t *out)
{
	memset(out, 0, CALL_BYTES);
	uint8_t *end = put(out, fixed, size);
	if (has_args(type))
		end = put_args(end, args);
	size_t whole = wire_pad8((size_t)(end - out));
	struct wire_record head = {.size = (uint32_t)whole, .type = type, .cookie = cookie};
	memcpy(out, &head, sizeof head);
	return whole;
}

static void submit(struct process *process, uint16_t type, const void *fixed, size_t size,
				   const struct args *args)
{
	_Alignas(8) uint8_t bytes[CALL_BYTES];
	size_t whole = call_encode(type, ++process->cookie, fixed, size, args, bytes);
	struct happening *it = happening(CALL, process->node, bytes, whole, NULL, 0);
	it->process = process;
	push(process->cluster, it, process->cluster->now + process->cluster->network.ring_ns);
}

static uint64_t ask(struct process *process, uint16_t type, const void *fixed, size_t size,
					const struct args *args)
{
	submit(process, type, fixed, size, args);
	process->awaited = process->cookie;
	process->answered = false;
	cluster_settle(process->cluster);
	BASE_ASSERT(process->answered);
	return process->answer;
}

#define DO(how, process, NAME, name, args, ...)                                  \
	how(process, WIRE_CALL_TYPE_##NAME, &(struct wire_call_##name){__VA_ARGS__}, \
		sizeof(struct wire_call_##name), args)

void process_invoke(struct process *process, uint64_t cap, const struct args *args)
{
	DO(submit, process, REQUEST_INVOKE, request_invoke, args, .cap = cap);
}

void process_copy(struct process *process, uint64_t dst, uint64_t src, const struct args *args)
{
	DO(submit, process, MEMORY_COPY, memory_copy, args, .dst = dst, .src = src);
}

void process_continue(struct process *process, uint64_t delivery, uint64_t cap,
					  const struct args *args)
{
	DO(submit, process, CONTINUE, continue, args, .delivery = delivery, .cap = cap);
}

void process_finish(struct process *process, uint64_t delivery)
{
	DO(submit, process, FINISH, finish, NULL, .delivery = delivery);
}

void process_keep(struct process *process, uint64_t cap)
{
	DO(submit, process, CAP_KEEP, cap_keep, NULL, .cap = cap);
}

void process_close(struct process *process, uint64_t cap)
{
	DO(submit, process, CAP_CLOSE, cap_close, NULL, .cap = cap);
}

uint64_t process_memory(struct process *process, uint64_t offset, uint64_t length)
{
	return DO(ask, process, MEMORY_CREATE, memory_create, NULL, .offset = offset, .length = length,
			  .rights = FOS_READ | FOS_WRITE);
}

uint64_t process_request(struct process *process, uint64_t handler)
{
	return DO(ask, process, REQUEST_CREATE, request_create, NULL, .handler = handler);
}

uint64_t process_refine(struct process *process, uint64_t cap, const struct args *args)
{
	return DO(ask, process, REQUEST_REFINE, request_refine, args, .cap = cap);
}

uint64_t process_revtree(struct process *process, uint64_t cap, bool tracked)
{
	return DO(ask, process, CAP_REVTREE, cap_revtree, NULL, .cap = cap, .tracked = tracked);
}

void process_revoke(struct process *process, uint64_t cap)
{
	DO(ask, process, CAP_REVOKE, cap_revoke, NULL, .cap = cap);
}

uint64_t process_registry_get(struct process *process)
{
	return DO(ask, process, REGISTRY_GET, registry_get, NULL, .time = 0);
}

void process_registry_set(struct process *process, uint64_t cap)
{
	DO(ask, process, REGISTRY_SET, registry_set, NULL, .cap = cap);
}
