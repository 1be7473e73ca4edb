/* What must hold at every step and at the end, whatever the oracle says: kept apart from it so that
 * the two can be wrong only in different ways.
 *
 *   - a call completes exactly once, and not with OK where it cannot succeed
 *   - an invocation is delivered at most once, to the Request that was named, in order
 *   - a ONCE Request of a living Process ends exactly once
 *   - nothing is delivered through what cap_revoke said is dead; after DRAIN nothing is open
 *   - a dead Process has nothing in use, and a core without Processes and sessions has nothing */
#include <string.h>

#include "sim/sim.h"

enum { CHUNK = 4096, CHUNKS = 512, TAGS_MAX = CHUNK * CHUNKS, ORDERS = 1 << 15 };

struct object { /* a Request */
	struct process *process;
	uint32_t channel, next; /* next of its Process */
	uint32_t open, delivered;
	bool once;
	bool made;    /* its creation was OK */
	bool over;    /* its Process, channel or node is gone */
	bool asked;   /* somebody wanted it revoked: a ONCE Request need not end */
	bool revoked; /* cap_revoke returned OK, or TIMED_OUT: dead, not drained */
};
struct tag {        /* an invocation */
	uint64_t order; /* who sent it on which channel through what: these are in order */
	bool delivered;
};
struct known { /* a Request by its name in the cluster */
	uint64_t key;
	uint32_t handler;
};
struct order { /* the newest of a channel's invocations that came to a Request */
	uint64_t key;
	uint32_t tag;
};

struct ledger {
	struct told *calls[CHUNKS];
	struct object *objects[CHUNKS];
	struct tag *tags[CHUNKS];
	struct order *orders;
	struct known *known;
	uint64_t *revoked;     /* keys */
	struct told *watching; /* monitor_delegate without an end */
	uint32_t call_count, object_count, tag_count, order_count, known_count, revoked_count;
};

struct ledger *ledger_new(void)
{
	struct ledger *ledger = sim_alloc(sizeof *ledger);
	ledger->orders = sim_alloc(ORDERS * sizeof *ledger->orders);
	ledger->known = sim_alloc(ORDERS * sizeof *ledger->known);
	ledger->revoked = sim_alloc(ORDERS * sizeof *ledger->revoked);
	return ledger;
}

#define AT(array, number) (&(array)[(number) / CHUNK][(number) % CHUNK])
#define ADD(ledger, array, count)                                                           \
	do {                                                                                    \
		uint32_t number_ = ++(ledger)->count;                                               \
		BASE_ASSERT(number_ < TAGS_MAX);                                                    \
		if ((ledger)->array[number_ / CHUNK] == NULL)                                       \
			(ledger)->array[number_ / CHUNK] = sim_alloc(CHUNK * sizeof **(ledger)->array); \
	} while (0)

/* ------------------------------------------------------------------ calls */

struct told *ledger_call(struct world *world, struct process *process, uint32_t channel,
						 uint16_t type, uint64_t *cookie)
{
	struct ledger *ledger = world->ledger;
	ADD(ledger, calls, call_count);
	struct told *told = AT(ledger->calls, ledger->call_count);
	*told = (struct told){.process = process,
						  .submitted = world->now,
						  .type = type,
						  .channel = (uint8_t)channel,
						  .turn = process->turns[channel]};
	*cookie = ledger->call_count;
	process->waiting++;
	return told;
}

/* A revoke without DRAIN waits no longer than until a session that does not answer is given up.
 * Time for which its Controller was paused itself does not count. */
static uint64_t revoke_time(const struct told *told)
{
	const struct node *node = told->process->node;
	uint64_t once = node->config.failure_timeout + node->config.heartbeat;
	return once + node->paused - told->paused;
}

/* ------------------------------------------------------------------ names in the cluster */

static uint64_t key_of(const struct process *process, uint64_t cap)
{
	struct core_view_slot slot;
	if (!core_inspect_slot(process->node->core, process->serial, cap, &slot))
		return 0;
	return tables_key(&slot.ref);
}

static struct known *find_known(struct ledger *ledger, uint64_t key)
{
	uint64_t at = key;
	while (ledger->known[at % ORDERS].key != key && ledger->known[at % ORDERS].key != 0)
		at++;
	return &ledger->known[at % ORDERS];
}

static void learn(struct world *world, const struct process *process, uint64_t cap,
				  uint32_t handler)
{
	struct ledger *ledger = world->ledger;
	uint64_t key = key_of(process, cap);
	if (key == 0 || ledger->known_count > ORDERS / 2)
		return;
	struct known *known = find_known(ledger, key);
	ledger->known_count += known->key == 0;
	*known = (struct known){key, handler};
}

static uint32_t handler_of(struct world *world, struct process *process, uint64_t cap)
{
	uint64_t key = key_of(process, cap);
	return key != 0 ? find_known(world->ledger, key)->handler : 0;
}

static uint64_t *find_revoked(const struct ledger *ledger, uint64_t key)
{
	uint64_t at = key;
	while (ledger->revoked[at % ORDERS] != key && ledger->revoked[at % ORDERS] != 0)
		at++;
	return &ledger->revoked[at % ORDERS];
}

bool ledger_revoked(const struct world *world, uint64_t key)
{
	return key != 0 && *find_revoked(world->ledger, key) == key;
}

static void remember_revoked(struct ledger *ledger, uint64_t key)
{
	uint64_t *at = find_revoked(ledger, key);
	if (*at == key || ledger->revoked_count > ORDERS / 2)
		return;
	*at = key;
	ledger->revoked_count++;
}

/* The child is dead because nobody else holds it. A reference that was lost with a session before
 * it was registered does not count as held. */
static void check_unheld(struct world *world, const struct told *told)
{
	uint32_t holders =
		told->looked ? told->holders : tables_holders(world, told->process, &told->watched);
	if (holders > 0 && world->losses == 0)
		sim_violation(world, "monitor_delegate fired with the child in %u slots of others",
					  holders);
}

/* Where it had died before by another's will, it does not matter who has it. */
void ledger_kill_sent(struct world *world, const struct node *from,
					  const struct wire_message_revoke *message, uint32_t owner)
{
	struct core_view_object object;
	for (struct told *told = world->ledger->watching; told != NULL; told = told->next) {
		if (told->process->node != from || told->watched.serial != message->serial ||
			told->watched.epoch != message->epoch)
			continue;
		bool lives = world->nodes[owner].up &&
					 core_inspect_object(world->nodes[owner].core, &told->watched, &object) &&
					 !object.dead;
		/* The fewest of all: a kill by the maker's own will may come before or after. */
		uint32_t holders = lives ? tables_holders(world, told->process, &told->watched) : 0;
		told->holders = told->looked ? BASE_MIN(told->holders, holders) : holders;
		told->looked = true;
	}
}

static void stop_watching(struct ledger *ledger, const struct told *told)
{
	struct told **at = &ledger->watching;
	while (*at != NULL && *at != told)
		at = &(*at)->next;
	if (*at != NULL)
		*at = told->next;
}

static void check_revoke(struct world *world, const struct told *told, fos_status status)
{
	struct ledger *ledger = world->ledger;
	if (status != FOS_OK && status != FOS_TIMED_OUT)
		return;
	if (told->watched.serial != 0 && status == FOS_OK)
		remember_revoked(ledger, tables_key(&told->watched));
	if (told->handler == 0)
		return;
	struct object *object = AT(ledger->objects, told->handler);
	object->revoked = true;
	if (told->drain && status == FOS_OK && object->open > 0)
		sim_violation(world, "cap_revoke with DRAIN was OK with %u deliveries open", object->open);
}

struct told *ledger_completed(struct world *world, struct process *process, uint64_t cookie,
							  fos_status status, uint64_t cap)
{
	struct ledger *ledger = world->ledger;
	if (cookie == 0 || cookie > ledger->call_count)
		sim_violation(world, "a completion for a call that never was");
	struct told *told = AT(ledger->calls, cookie);
	if (told->process != process)
		sim_violation(world, "a %s completed at another Process", wire_call_name(told->type));
	if (told->done)
		sim_violation(world, "a %s completed twice", wire_call_name(told->type));
	if (status == FOS_OK && told->expected != FOS_OK)
		sim_violation(world, "a %s was OK that should have been %s", wire_call_name(told->type),
					  fos_status_name((fos_status)told->expected));
	if (status == FOS_INTERNAL)
		sim_violation(world, "a %s completed with INTERNAL", wire_call_name(told->type));
	told->done = true;
	process->waiting--;
	cover_status(told->type, (uint8_t)status);
	if (told->type == WIRE_CALL_TYPE_CAP_REVOKE) {
		check_revoke(world, told, status);
		if (!told->drain && world->now - told->submitted > revoke_time(told))
			sim_violation(world, "a cap_revoke took %llu us",
						  (unsigned long long)((world->now - told->submitted) / MICRO));
	}
	if (told->type == WIRE_CALL_TYPE_MONITOR_DELEGATE) {
		stop_watching(ledger, told);
		if (cap == FOS_GONE_UNHELD)
			check_unheld(world, told);
	}
	if (told->type == WIRE_CALL_TYPE_REQUEST_CREATE && status == FOS_OK) {
		AT(ledger->objects, told->handler)->made = true;
		learn(world, process, cap, told->handler);
	}
	return told;
}

void ledger_revoke(struct world *world, struct told *told, uint64_t cap)
{
	ledger_watch(told, cap);
	told->handler = handler_of(world, told->process, cap);
	if (told->handler != 0)
		AT(world->ledger->objects, told->handler)->asked = true;
}

void ledger_watch(struct told *told, uint64_t cap)
{
	struct core_view_slot slot;
	struct ledger *ledger = told->process->node->world->ledger;
	told->cap = cap;
	if (told->type == WIRE_CALL_TYPE_MONITOR_DELEGATE) {
		told->next = ledger->watching;
		ledger->watching = told;
	}
	if (core_inspect_slot(told->process->node->core, told->process->serial, cap, &slot))
		told->watched = slot.ref;
}

/* ------------------------------------------------------------------ Requests and invocations */

uint32_t ledger_object(struct world *world, struct process *process, uint32_t channel, bool once)
{
	struct ledger *ledger = world->ledger;
	ADD(ledger, objects, object_count);
	struct object *object = AT(ledger->objects, ledger->object_count);
	*object = (struct object){
		.process = process, .channel = channel, .next = process->objects, .once = once};
	process->objects = ledger->object_count;
	return ledger->object_count;
}

uint32_t ledger_tag(struct world *world, struct process *process, uint32_t channel, uint64_t cap)
{
	struct ledger *ledger = world->ledger;
	uint64_t key = key_of(process, cap);
	uint64_t order = 0;
	if (key != 0)
		order = key ^ base_mix64((uint64_t)(uintptr_t)process << 1 ^ channel);
	ADD(ledger, tags, tag_count);
	*AT(ledger->tags, ledger->tag_count) = (struct tag){.order = order};
	return ledger->tag_count;
}

static struct order *find_order(struct ledger *ledger, uint64_t key)
{
	for (uint64_t at = base_mix64(key);; at++) {
		struct order *order = &ledger->orders[at % ORDERS];
		if (order->key == key)
			return order;
		if (order->key != 0)
			continue;
		if (ledger->order_count > ORDERS / 2)
			return NULL; /* enough; the rest of this run is not looked at */
		ledger->order_count++;
		order->key = key;
		return order;
	}
}

static void check_tag(struct world *world, uint32_t number)
{
	struct ledger *ledger = world->ledger;
	if (number == 0 || number > ledger->tag_count)
		sim_violation(world, "a delivery of an invocation that never was: %u", number);
	struct tag *tag = AT(ledger->tags, number);
	if (tag->delivered)
		sim_violation(world, "invocation %u was delivered twice", number);
	tag->delivered = true;
	if (tag->order == 0)
		return;
	struct order *order = find_order(ledger, tag->order);
	if (order == NULL)
		return;
	if (order->tag > number)
		sim_violation(world, "invocation %u was delivered after %u of the same channel", number,
					  order->tag);
	order->tag = number;
}

void ledger_delivered(struct world *world, struct process *process, uint32_t channel,
					  const struct wire_answer_delivery *record, uint32_t tag)
{
	struct ledger *ledger = world->ledger;
	uint64_t handler = record->header.cookie;
	if (handler == 0 || handler > ledger->object_count)
		sim_violation(world, "a delivery for a Request that never was");
	struct object *object = AT(ledger->objects, handler);
	if (object->process != process || object->channel != channel)
		sim_violation(world, "a delivery for a Request of another Process or channel");
	if (object->over)
		sim_violation(world, "a delivery for a Request whose channel is gone");
	if (object->revoked)
		sim_violation(world, "a delivery through a Request whose cap_revoke was OK");
	if (object->once && object->delivered > 0)
		sim_violation(world, "a ONCE Request was delivered twice");
	object->delivered++;
	object->open++;
	if (tag != 0)
		check_tag(world, tag);
}

void ledger_finished(struct world *world, uint32_t handler)
{
	struct object *object = AT(world->ledger->objects, handler);
	BASE_ASSERT(object->open > 0);
	object->open--;
}

/* ------------------------------------------------------------------ ends */

void ledger_gone(struct world *world, struct process *process, const uint32_t *channel)
{
	struct ledger *ledger = world->ledger;
	for (uint32_t at = process->objects; at != 0; at = AT(ledger->objects, at)->next) {
		struct object *object = AT(ledger->objects, at);
		if (channel != NULL && object->channel != *channel)
			continue;
		object->over = true;
		if (channel != NULL)
			object->open = 0;
	}
	/* What it knew of them goes with the channel. */
	for (uint32_t i = 0; channel != NULL && i < process->open_count;) {
		if (process->open[i].channel == *channel)
			process->open[i] = process->open[--process->open_count];
		else
			i++;
	}
}

void ledger_freed(struct world *world, struct process *process)
{
	struct ledger *ledger = world->ledger;
	for (uint32_t at = process->objects; at != 0; at = AT(ledger->objects, at)->next)
		AT(ledger->objects, at)->open = 0;
}

void ledger_crash(struct world *world, struct node *node)
{
	for (uint32_t i = 1; i < node->next_serial; i++)
		ledger_gone(world, node->processes[i], NULL);
}

/* ------------------------------------------------------------------ each step */

void ledger_step(struct world *world, struct node *node)
{
	const struct core_event *event = world->event;
	if (event->type != CORE_CALL || world->events % 16 != 0)
		return;
	struct core_usage usage;
	const struct core_limits *limits = &node->config.limits;
	if (!core_process_usage(node->core, event->process, &usage))
		return;
	/* Bytes by value are not looked at: what comes back bounced is charged without being asked.
	 * Objects of a closed channel with deliveries that were open stay charged. */
	uint32_t open = (limits->deliveries + limits->once) * CHANNELS;
	if (usage.objects > limits->objects + open || usage.slots > limits->slots ||
		usage.deliveries > limits->deliveries * CHANNELS || usage.copies > limits->copies ||
		usage.once > limits->once * CHANNELS || usage.monitors > limits->monitors ||
		usage.revokings > limits->revokings)
		sim_violation(world,
					  "Process %u of node %u uses more than its limits: objects %u, slots %u, "
					  "deliveries %u, copies %u, once %u, values %u, monitors %u, revokings %u",
					  event->process, node->number, usage.objects, usage.slots, usage.deliveries,
					  usage.copies, usage.once, usage.values_bytes, usage.monitors,
					  usage.revokings);
}

/* ------------------------------------------------------------------ the end */

static bool lives(const struct process *process)
{
	return process->alive && process->node->processes[process->serial] == process;
}

/* A monitor may wait for ever, but not for what has happened. */
static bool may_wait(struct world *world, const struct told *told)
{
	if (told->type != WIRE_CALL_TYPE_MONITOR_RECEIVE &&
		told->type != WIRE_CALL_TYPE_MONITOR_DELEGATE)
		return false;
	struct core_view_object object;
	const struct node *owner = &world->nodes[told->watched.node - 1];
	return core_inspect_object(owner->core, &told->watched, &object) && !object.dead;
}

/* Everything settled: what must have ended has. */
void ledger_quiet(struct world *world)
{
	struct ledger *ledger = world->ledger;
	for (uint32_t i = 1; i <= ledger->call_count; i++) {
		const struct told *told = AT(ledger->calls, i);
		if (!told->done && lives(told->process) &&
			told->turn == told->process->turns[told->channel] && !may_wait(world, told))
			sim_violation(
				world, "a %s of Process %u of node %u, submitted at %llu us, never completed",
				wire_call_name(told->type), told->process->serial, told->process->node->number,
				(unsigned long long)(told->submitted / MICRO));
	}
	for (uint32_t i = 1; i <= ledger->object_count; i++) {
		const struct object *object = AT(ledger->objects, i);
		if (object->once && object->made && !object->over && !object->asked &&
			lives(object->process) && object->delivered != 1)
			sim_violation(world, "a ONCE Request of a living Process never ended");
	}
}

/* No Process, no session: nothing is left. */
void ledger_empty(struct world *world, struct node *node)
{
	struct core_view_totals totals;
	core_inspect_totals(node->core, &totals);
	if (totals.processes + totals.sessions + totals.objects + totals.slots + totals.deliveries +
			totals.copies + totals.outgoing + totals.askings + totals.house >
		0)
		sim_violation(world,
					  "node %u kept: %u Processes, %u sessions, %u objects, %u slots, %u "
					  "deliveries, %u copies, %u transfers, %u questions, %u invocations",
					  node->number, totals.processes, totals.sessions, totals.objects, totals.slots,
					  totals.deliveries, totals.copies, totals.outgoing, totals.askings,
					  totals.house);
	if (core_memory_used(node->core) != 0)
		sim_violation(world, "node %u lost %llu bytes of its pools", node->number,
					  (unsigned long long)core_memory_used(node->core));
	if (core_deadline(node->core) != UINT64_MAX)
		sim_violation(world, "node %u still waits for something", node->number);
}
