/* The oracle's life: memory, Processes, sessions, faults, and where each event and output goes. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/inspect.h"
#include "sim/oracle_internal.h"

/* ------------------------------------------------------------------ memory
 * Blocks by powers of two out of large chunks; all goes with the oracle. */

enum { CHUNK = 1 << 20, SMALLEST = 5 };

static unsigned class_of(size_t size)
{
	unsigned class = SMALLEST;
	while (((size_t)1 << class) < size)
		class ++;
	return class;
}

static void *carve(struct oracle_pool *pool, size_t size)
{
	if ((size_t)(pool->end - pool->next) < size) {
		size_t room = BASE_MAX(size, (size_t)CHUNK);
		if (pool->chunk_count == pool->chunk_room) {
			pool->chunk_room = pool->chunk_room ? 2 * pool->chunk_room : 16;
			pool->chunks = realloc(pool->chunks, pool->chunk_room * sizeof *pool->chunks);
			BASE_ASSERT(pool->chunks != NULL);
		}
		pool->next = malloc(room);
		BASE_ASSERT(pool->next != NULL);
		pool->end = pool->next + room;
		pool->chunks[pool->chunk_count++] = pool->next;
	}
	void *block = pool->next;
	pool->next += size;
	return block;
}

void *oracle_alloc(struct oracle *o, size_t size)
{
	unsigned class = class_of(size);
	void *block = o->pool.free[class];
	if (block != NULL)
		memcpy(&o->pool.free[class], block, sizeof(void *));
	else
		block = carve(&o->pool, (size_t)1 << class);
	memset(block, 0, size);
	return block;
}

void oracle_free(struct oracle *o, void *block, size_t size)
{
	unsigned class = class_of(size);
	memcpy(block, &o->pool.free[class], sizeof(void *));
	o->pool.free[class] = block;
}

struct oracle *oracle_new(const struct oracle_config *config)
{
	struct oracle *o = calloc(1, sizeof *o);
	BASE_ASSERT(o != NULL);
	o->config = *config;
	o->sent = UINT64_MAX;
	struct list *tables[] = {o->things, o->processes, o->calls, o->made, o->told, o->tokens};
	for (unsigned t = 0; t < BASE_COUNT(tables); t++) {
		for (unsigned i = 0; i < ORACLE_BUCKETS; i++)
			list_init(&tables[t][i]);
	}
	for (unsigned i = 0; i < ORACLE_NODES; i++) {
		list_init(&o->nodes[i].things);
		list_init(&o->nodes[i].copies);
	}
	list_init(&o->old);
	list_init(&o->ended);
	list_init(&o->all);
	return o;
}

void oracle_end(struct oracle *o)
{
	for (size_t i = 0; i < o->pool.chunk_count; i++)
		free(o->pool.chunks[i]);
	free(o->pool.chunks);
	free(o);
}

/* ------------------------------------------------------------------ violations */

void oracle_violate(struct oracle *o, const char *format, ...)
{
	if (o->violated)
		return;
	o->violated = true;
	int at = snprintf(o->reason, sizeof o->reason, "at %.6f s, node %u: ", (double)o->now / 1e9,
					  o->node);
	va_list args;
	va_start(args, format);
	vsnprintf(o->reason + at, sizeof o->reason - (size_t)at, format, args);
	va_end(args);
	if (o->config.violation != NULL)
		o->config.violation(o->config.context, o->reason);
}

bool oracle_violated(const struct oracle *o)
{
	return o->violated;
}

const char *oracle_reason(const struct oracle *o)
{
	return o->reason;
}

const struct oracle_counts *oracle_counts(const struct oracle *o)
{
	return &o->counts;
}

const char *oracle_name(const struct oracle_process *process)
{
	static char text[2][40];
	static unsigned turn;
	if (process == NULL)
		return "nobody";
	turn ^= 1;
	snprintf(text[turn], sizeof text[turn], "process %u.%u", process->node, process->serial);
	return text[turn];
}

/* ------------------------------------------------------------------ faults */

bool oracle_trouble(const struct oracle *o, uint32_t a, uint32_t b, uint64_t moment)
{
	if (a == b)
		return false;
	const struct oracle_session *there = &o->sessions[a][b], *back = &o->sessions[b][a];
	return !there->up || !back->up || there->changed >= moment || back->changed >= moment;
}

/* What the core counts by itself is a fact: 0, where it is down. */
static uint64_t refusals_of(const struct oracle *o, uint32_t node)
{
	const struct core *core = o->config.core_of(o->config.context, node);
	return core != NULL ? core_inspect_refusals(core) : 0;
}

bool oracle_refused(const struct oracle *o, uint32_t node, uint64_t moment)
{
	const struct oracle_node *at = &o->nodes[node];
	return at->no_memory || (at->refused != 0 && at->refused >= moment) ||
		   (o->event != NULL && node == o->node && refusals_of(o, node) > at->refusals);
}

static void see_refusals(struct oracle *o, uint32_t number)
{
	struct oracle_node *node = &o->nodes[number];
	uint64_t refusals = refusals_of(o, number);
	if (refusals > node->refusals)
		node->refused = o->moment;
	o->counts.refusals += refusals - node->refusals;
	node->refusals = refusals;
}

static void begin(struct oracle *o, uint64_t *since)
{
	if (*since == UINT64_MAX)
		return;
	*since = UINT64_MAX;
	o->disturbances++;
}

static void cease(struct oracle *o, uint64_t *since, uint64_t now)
{
	if (*since != UINT64_MAX)
		return;
	*since = now;
	if (--o->disturbances == 0)
		o->calm = now;
}

static void boot(struct oracle *o, uint64_t now, uint32_t number, uint64_t epoch)
{
	struct oracle_node *node = &o->nodes[number];
	if (node->epoch == epoch)
		oracle_violate(o, "node %u begins two lives with one epoch", number);
	if (node->epoch != 0)
		cease(o, &node->disturbed, now);
	node->up = true;
	node->no_memory = false;
	node->refusals = 0;
	node->epoch = epoch;
	node->deliveries = node->exceptions = 0;
}

static void process_end(struct oracle *o, struct oracle_process *process, bool controller_too);

static void crash(struct oracle *o, uint32_t number)
{
	struct oracle_node *node = &o->nodes[number];
	cease(o, &node->disturbed, o->now);
	begin(o, &node->disturbed);
	node->up = false;
	node->over = o->moment;
	for (struct list *at = o->all.next; at != &o->all; at = at->next) {
		struct oracle_process *process = BASE_CONTAINER(at, struct oracle_process, all);
		if (process->node == number && process->alive)
			process_end(o, process, true);
	}
	oracle_copies_node_end(o, number);
	for (uint32_t peer = 0; peer < ORACLE_NODES; peer++) {
		if (!o->sessions[number][peer].up)
			continue;
		o->sessions[number][peer] = (struct oracle_session){.changed = o->moment};
	}
	node->gone = o->moment;
	o->ends++;
}

void oracle_fault(struct oracle *o, uint64_t now, enum oracle_fault fault, uint32_t node,
				  uint32_t peer, uint64_t epoch)
{
	BASE_ASSERT(node < ORACLE_NODES && peer < ORACLE_NODES);
	o->now = BASE_MAX(o->now, now);
	o->moment++;
	o->node = node;
	switch (fault) {
	case ORACLE_BOOT:
		boot(o, now, node, epoch);
		break;
	case ORACLE_CRASH:
		crash(o, node);
		break;
	case ORACLE_PAUSE:
		begin(o, &o->nodes[node].disturbed);
		break;
	case ORACLE_RESUME:
		cease(o, &o->nodes[node].disturbed, now);
		break;
	case ORACLE_DISTURB:
		begin(o, &o->disturbed[node][peer]);
		break;
	case ORACLE_HEAL:
		cease(o, &o->disturbed[node][peer], now);
		break;
	case ORACLE_NO_MEMORY:
		o->nodes[node].no_memory = true;
		break;
	case ORACLE_FAULT_COUNT:
		break;
	}
}

/* Whether something since then was slow for a reason. */
static bool recent(const struct oracle *o, uint64_t since)
{
	const struct core_config *core = &o->config.core;
	return since != 0 && (since == UINT64_MAX ||
						  since + 2 * core->failure_timeout + 2 * core->heartbeat >= o->now);
}

static void session_ended_by_core(struct oracle *o, uint32_t a, uint32_t b, const char *reason)
{
	o->counts.sessions_ended++;
	bool fault = o->disturbances > 0 || recent(o, o->calm) || recent(o, o->nodes[a].disturbed) ||
				 recent(o, o->nodes[b].disturbed) || recent(o, o->disturbed[a][b]) ||
				 recent(o, o->disturbed[b][a]) || oracle_refused(o, a, o->moment) ||
				 oracle_refused(o, b, o->sessions[a][b].changed) || !o->sessions[b][a].up ||
				 o->sessions[b][a].epoch != o->nodes[a].epoch;
	if (!fault)
		oracle_violate(o, "ended its session with node %u without a fault: %s", b,
					   reason != NULL ? reason : "no reason");
	struct oracle_session *session = &o->sessions[a][b];
	session->up = false;
	session->changed = o->moment;
	o->nodes[a].gone = o->moment;
}

/* ------------------------------------------------------------------ sessions */

static void session_gone(struct oracle *o, uint32_t node, uint32_t peer)
{
	struct oracle_session *session = &o->sessions[node][peer];
	session->up = session->there = false;
	o->lost_peer = peer;
	session->changed = o->moment;
	o->nodes[node].gone = o->moment;
	o->ends++;
	oracle_slices_session_end(o, node, peer);
	oracle_things_session_end(o, node, peer, ORACLE_MAYBE);
}

static void session_up(struct oracle *o, uint32_t node, const struct core_event *event)
{
	struct oracle_session *session = &o->sessions[node][event->node];
	/* A peer that comes again before its old session was given up ends that. */
	if (session->there)
		session_gone(o, node, event->node);
	session->up = session->there = true;
	session->changed = o->moment;
	session->epoch = event->epoch;
}

/* ------------------------------------------------------------------ Processes */

static uint64_t process_hash(uint32_t node, uint32_t serial)
{
	return base_mix64((uint64_t)node << 32 | serial);
}

struct oracle_process *oracle_process_find(struct oracle *o, uint32_t node, uint32_t serial)
{
	struct list *bucket = oracle_bucket(o->processes, process_hash(node, serial));
	for (struct list *at = bucket->prev; at != bucket; at = at->prev) {
		struct oracle_process *process = BASE_CONTAINER(at, struct oracle_process, hash);
		if (process->node == node && process->serial == serial &&
			process->epoch == o->nodes[node].epoch)
			return process;
	}
	return NULL;
}

static void process_up(struct oracle *o, uint32_t node, const struct core_event *event)
{
	if (oracle_process_find(o, node, event->process) != NULL) {
		oracle_violate(o, "the simulator reuses the serial %u", event->process);
		return;
	}
	struct oracle_process *process = oracle_alloc(o, sizeof *process);
	process->oracle = o;
	process->node = node;
	process->serial = event->process;
	process->epoch = o->nodes[node].epoch;
	process->alive = true;
	process->may_set_registry = event->may_set_registry;
	memcpy(process->principal, &event->principal, sizeof process->principal);
	struct list *lists[] = {&process->things, &process->onces, &process->calls,
							&process->open,   &process->told,  &process->remaining};
	for (unsigned i = 0; i < BASE_COUNT(lists); i++)
		list_init(lists[i]);
	list_push(oracle_bucket(o->processes, process_hash(node, event->process)), &process->hash);
	list_push(&o->all, &process->all);
}

static void process_freed(struct oracle *o, struct oracle_process *process)
{
	process->freed = true;
	process->remained = 0;
	while (!list_empty(&process->remaining)) {
		struct oracle_remain *remain =
			BASE_CONTAINER(list_pop(&process->remaining), struct oracle_remain, of_process);
		oracle_count(remain->object, 0, -1, 0);
		remain->object->left--;
		oracle_free(o, remain, sizeof *remain);
	}
}

static uint64_t unfinished_hash(void)
{
	static const char text[] = "the Process ended with the delivery unfinished";
	return oracle_text_hash(text, sizeof text - 1);
}

/* controller_too: nobody is left who would tell of what it leaves behind. */
static void process_end(struct oracle *o, struct oracle_process *process, bool controller_too)
{
	process->alive = false;
	process->gone_moment = o->moment;
	while (!list_empty(&process->calls))
		oracle_call_end(o, BASE_CONTAINER(process->calls.next, struct oracle_call, of_process));
	while (!list_empty(&process->open)) {
		struct oracle_open *open =
			BASE_CONTAINER(process->open.next, struct oracle_open, of_process);
		if (!controller_too)
			oracle_failed(o, open, FOS_PEER_LOST, unfinished_hash());
		open->status = FOS_PEER_LOST;
		oracle_open_end(o, open, false);
	}
	oracle_things_process_end(o, process, controller_too ? ORACLE_DEAD : ORACLE_MAYBE);
	if (!controller_too)
		o->gone = process;
	oracle_space_end(o, process);
	if (controller_too)
		process_freed(o, process);
}

static void kill_channel(struct oracle *o, struct oracle_process *process, uint32_t channel,
						 enum oracle_life life)
{
	for (struct list *at = process->things.next, *next; at != &process->things; at = next) {
		struct oracle_thing *thing = BASE_CONTAINER(at, struct oracle_thing, of_maker);
		next = at->next;
		if (thing->parent == NULL && thing->kind == FOS_REQUEST && thing->channel == channel)
			oracle_kill(o, thing, life, ORACLE_BY_MAKER);
	}
}

static void channel_gone(struct oracle *o, struct oracle_process *process, uint32_t channel)
{
	process->channels &= ~((uint64_t)1 << channel);
	for (struct list *at = process->calls.next, *next; at != &process->calls; at = next) {
		struct oracle_call *call = BASE_CONTAINER(at, struct oracle_call, of_process);
		next = at->next;
		if (call->channel != channel)
			continue;
		/* A child asked for on it will be made, and taken back. */
		if (call->type == WIRE_CALL_TYPE_CAP_REVTREE || call->type == WIRE_CALL_TYPE_REQUEST_REFINE)
			oracle_dead_afar(o, process);
		if (call->type == WIRE_CALL_TYPE_MONITOR_DELEGATE && call->waits)
			oracle_perhaps_fired(o, call->object);
		oracle_call_end(o, call);
	}
	kill_channel(o, process, channel, ORACLE_MAYBE);
	o->gone = process;
	for (struct list *at = process->open.next, *next; at != &process->open; at = next) {
		struct oracle_open *open = BASE_CONTAINER(at, struct oracle_open, of_process);
		next = at->next;
		if (open->channel != channel)
			continue;
		oracle_failed(o, open, FOS_PEER_LOST, unfinished_hash());
		open->status = FOS_PEER_LOST;
		oracle_open_end(o, open, false);
	}
}

/* In the step in which something is taken apart its parts may still hear of each other. */
static void settle_gone(struct oracle *o)
{
	if (o->lost_peer != 0)
		oracle_things_session_end(o, o->node, o->lost_peer, ORACLE_DEAD);
	if (o->gone == NULL)
		return;
	if (o->event->type == CORE_CHANNEL_GONE)
		kill_channel(o, o->gone, o->event->channel, ORACLE_DEAD);
	else
		oracle_things_process_end(o, o->gone, ORACLE_DEAD);
}

static void process_event(struct oracle *o, uint32_t node, const struct core_event *event)
{
	struct oracle_process *process = oracle_process_find(o, node, event->process);
	if (process == NULL)
		return;
	switch (event->type) {
	case CORE_PROCESS_GONE:
		if (process->alive)
			process_end(o, process, false);
		break;
	case CORE_PROCESS_FREE:
		process_freed(o, process);
		break;
	case CORE_CHANNEL_UP:
		process->channels |= (uint64_t)1 << event->channel;
		process->channel_open[event->channel] = 0;
		break;
	case CORE_CHANNEL_GONE:
		channel_gone(o, process, event->channel);
		break;
	case CORE_SEGMENT_UP:
		if (event->segment < LIMIT_SEGMENTS)
			process->segments[event->segment] = event->length;
		break;
	case CORE_CALL:
		if (process->alive && !process->ending && event->channel < 64 &&
			(process->channels >> event->channel & 1))
			oracle_submitted(o, process, event);
		break;
	default:
		break;
	}
}

/* ------------------------------------------------------------------ limits */

bool oracle_fits(const struct oracle *o, const struct oracle_process *process, uint32_t slots,
				 uint64_t weight)
{
	const struct core_limits *limits = &o->config.core.limits;
	uint64_t kept = process->once_living;
	return process->slots + kept * ONCE_SLOTS + slots <= limits->slots &&
		   process->weight + kept * ONCE_BYTES + weight <= limits->values_bytes;
}

/* ------------------------------------------------------------------ the step */

void oracle_sent(struct oracle *o, uint64_t time)
{
	o->sent = time;
}

void oracle_event(struct oracle *o, uint32_t node, uint64_t now, const struct core_event *event)
{
	BASE_ASSERT(node < ORACLE_NODES);
	o->now = now;
	o->moment++;
	o->node = node;
	o->event = event;
	o->current = NULL;
	o->gone = NULL;
	o->lost_peer = 0;
	o->must_end_process = false;
	oracle_expire(o);
	switch (event->type) {
	case CORE_PROCESS_UP:
		process_up(o, node, event);
		break;
	case CORE_SESSION_UP:
		session_up(o, node, event);
		break;
	case CORE_SESSION_GONE:
		session_gone(o, node, event->node);
		break;
	case CORE_SLICE_SENT:
	case CORE_MOVED:
		oracle_slice_done(o, node, event->token);
		break;
	case CORE_MESSAGE:
	case CORE_TICK:
		break;
	default:
		process_event(o, node, event);
		break;
	}
}

static void record(struct oracle *o, uint32_t node, const struct core_output *out)
{
	const struct wire_record *head = (const void *)out->bytes;
	struct oracle_process *process = oracle_process_find(o, node, out->process);
	if (process == NULL || !process->alive) {
		oracle_violate(o, "a record for %s, which is gone", oracle_name(process));
	} else if (out->channel >= 64 || !(process->channels >> out->channel & 1)) {
		oracle_violate(o, "a record for a channel of %s which is closed", oracle_name(process));
	} else if (!wire_check_answer(out->bytes, out->size)) {
		oracle_violate(o, "a malformed record of type %u for %s", head->type, oracle_name(process));
	} else if (head->type == WIRE_ANSWER_TYPE_DELIVERY) {
		oracle_delivered(o, node, out);
	} else {
		oracle_answered(o, process, out->channel, out->bytes);
	}
}

static void process_ended_by_core(struct oracle *o, uint32_t node, uint32_t serial)
{
	struct oracle_process *process = oracle_process_find(o, node, serial);
	if (process == NULL)
		return;
	if (!o->must_end_process && !oracle_refused(o, node, o->moment) &&
		o->event->type != CORE_PROCESS_UP)
		oracle_violate(o, "ends %s, which did nothing wrong", oracle_name(process));
	o->must_end_process = false;
	process->ending = true;
	if (o->event->type == CORE_PROCESS_UP)
		process->alive = false;
}

void oracle_output(struct oracle *o, uint32_t node, const struct core_output *out)
{
	if (o->violated)
		return;
	switch (out->type) {
	case CORE_RECORD:
		record(o, node, out);
		break;
	case CORE_SEND_SLICE:
	case CORE_PLACE:
	case CORE_MOVE:
		oracle_slice(o, node, out);
		break;
	case CORE_END_SESSION:
		session_ended_by_core(o, node, out->node, out->reason);
		break;
	case CORE_END_PROCESS:
		process_ended_by_core(o, node, out->process);
		break;
	case CORE_SPAN:
		oracle_span(o, &out->span);
		break;
	default:
		break;
	}
}

void oracle_step_end(struct oracle *o, uint32_t node)
{
	if (o->violated)
		return;
	if (o->must_end_process)
		oracle_violate(o, "took a malformed record from %s", oracle_name(o->caller));
	oracle_check_spans(o);
	oracle_calls_settle(o);
	settle_gone(o);
	oracle_forget_old(o);
	oracle_copies_forget(o, node);
	see_refusals(o, node);
	o->event = NULL;
	o->sent = UINT64_MAX;
}
