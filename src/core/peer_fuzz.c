/* libFuzzer harness: hostile peers. One core with Processes of its own; three Controllers that know
 * the protocol and lie in it: any message at any time, with the numbers, names and credits that
 * they have seen, in sessions that end and come up anew, with the same epoch or another. In between
 * the Processes call.
 *
 * What must hold after every step: every record and message that leaves is well formed, goes to
 * someone who is there, spends a credit that was given and has the next sequence number; no call
 * completes twice; nobody exceeds a limit. When all sessions are over and time has passed every
 * call has completed; when the Processes are dead nothing is in use. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "core/check.h"
#include "core/core_internal.h"
#include "core/fuzz.h"
#include "core/inspect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	NODE = 1,
	EPOCH = 11,
	PEERS = 3,
	CHECK_EACH = 4, /* steps */
	PROCESSES = 3,
	CHANNELS = 2,
	CHUNKS = 1024,
	COOKIES = 1024,
	TOKENS = 256,
	OPERATIONS = 160,
	SEGMENT = 1 << 20,
	MEMORY = 8 << 20,
	UNUSED = 2 << 20 /* counts as taken, so that what is reserved is enough for outputs */
};

struct peer {
	bool up, ending;
	uint64_t epoch;
	uint64_t beat; /* to be echoed */
	uint32_t sent[2], received[2];
	uint32_t credits[8]; /* that the core has with us */
	uint32_t owed[8];    /* that we have not given back */
	uint32_t own[8];     /* that we have */
};

struct guest {
	bool alive, ending, lingers; /* lingers: gone and not free */
	bool channels[CHANNELS];
	uint32_t serial;
	struct known known;
};

struct shell {
	struct core *core;
	struct core_limits limits;
	uint64_t now, steps;
	struct peer peers[PEERS];
	struct guest processes[PROCESSES];
	uint32_t serials;
	struct known known; /* by the peers */
	uint64_t tokens[TOKENS];
	unsigned token_count;
	struct {                         /* by cookie: calls that have not completed */
		const struct guest *process; /* NULL: completed, or nobody waits any more */
		uint8_t channel, type;
	} pending[COOKIES];
	uint64_t cookie;
	void *chunks[CHUNKS];
	unsigned chunk_count;
};

static void *grow(void *context, size_t size)
{
	struct shell *shell = context;
	if (shell->chunk_count == CHUNKS)
		return NULL;
	return shell->chunks[shell->chunk_count++] = calloc(1, size);
}

/* ------------------------------------------------------------------ what leaves the core */

static struct guest *process_of(struct shell *shell, uint32_t serial)
{
	for (unsigned i = 0; i < PROCESSES; i++) {
		if (shell->processes[i].alive && shell->processes[i].serial == serial)
			return &shell->processes[i];
	}
	return NULL;
}

static struct peer *peer_of(struct shell *shell, uint32_t node)
{
	BASE_ASSERT(node > NODE && node <= NODE + PEERS);
	return &shell->peers[node - NODE - 1];
}

static void take_record(struct shell *shell, const struct core_output *out)
{
	struct guest *process = process_of(shell, out->process);
	BASE_ASSERT(process != NULL && out->channel < CHANNELS && process->channels[out->channel]);
	BASE_ASSERT(wire_check_answer(out->bytes, out->size));
	const struct wire_record *head = (const void *)out->bytes;
	if (head->type != WIRE_ANSWER_TYPE_DELIVERY) {
		BASE_ASSERT(head->cookie < COOKIES && shell->pending[head->cookie].process == process);
		BASE_ASSERT(shell->pending[head->cookie].channel == out->channel);
		shell->pending[head->cookie].process = NULL;
	}
	known_from_answer(&process->known, out->bytes);
}

static void take_message(struct shell *shell, const struct core_output *out)
{
	static _Alignas(8) uint8_t whole[WIRE_MESSAGE_MAX];
	struct peer *peer = peer_of(shell, out->node);
	const struct wire_message *head = (const void *)out->bytes;
	size_t size = out->size;
	/* A slice is built by the shell, from the arena. */
	memcpy(whole, out->bytes, size);
	if (out->type == CORE_SEND_SLICE) {
		memset(whole + size, 0, out->from.length);
		size += out->from.length;
	}
	BASE_ASSERT(wire_check_message(whole, size) && peer->up);
	BASE_ASSERT(head->sequence == peer->received[out->lane]++);
	BASE_ASSERT((out->lane == CORE_BULK) == wire_message_on_bulk(head->type));
	enum wire_class class = wire_message_class(head->type);
	if (class != WIRE_CLASS_ANSWER) {
		BASE_ASSERT(peer->credits[class] > 0);
		peer->credits[class]--;
		peer->owed[class]++;
	}
	for (unsigned i = 0; i < WIRE_CLASS_ANSWER; i++) {
		peer->own[i] += head->credits[i];
		BASE_ASSERT(peer->own[i] <= wire_class_credits((enum wire_class)i));
	}
	if (head->type == WIRE_MESSAGE_TYPE_HEARTBEAT)
		peer->beat = ((const struct wire_message_heartbeat *)(const void *)whole)->sent;
	else
		known_from_message(&shell->known, whole, NODE, EPOCH, out->node, peer->epoch);
}

static void take_output(struct shell *shell, const struct core_output *out)
{
	switch (out->type) {
	case CORE_RECORD:
		take_record(shell, out);
		break;
	case CORE_SEND_SLICE:
	case CORE_MOVE:
		BASE_ASSERT(shell->token_count < TOKENS);
		BASE_ASSERT(base_range_inside(out->from.offset, out->from.length, SEGMENT));
		shell->tokens[shell->token_count++] = out->token;
		if (out->type == CORE_MOVE)
			break;
		take_message(shell, out);
		break;
	case CORE_SEND:
		take_message(shell, out);
		break;
	case CORE_PLACE:
		BASE_ASSERT(out->to.length == out->size &&
					base_range_inside(out->to.offset, out->to.length, SEGMENT));
		break;
	case CORE_END_SESSION:
		peer_of(shell, out->node)->ending = true;
		break;
	case CORE_END_PROCESS:
		BASE_ASSERT(process_of(shell, out->process) != NULL);
		process_of(shell, out->process)->ending = true;
		break;
	case CORE_SPAN:
		BASE_ASSERT(out->span.end >= out->span.begin);
		break;
	}
}

static void check_usage(struct shell *shell)
{
	const struct core_limits *limits = &shell->limits;
	for (unsigned i = 0; i < PROCESSES; i++) {
		struct core_usage usage;
		if (!shell->processes[i].alive || shell->processes[i].ending)
			continue;
		BASE_ASSERT(core_process_usage(shell->core, shell->processes[i].serial, &usage));
		BASE_ASSERT(usage.objects <= limits->objects && usage.slots <= limits->slots);
		BASE_ASSERT(usage.copies <= limits->copies && usage.parked <= limits->parked);
		BASE_ASSERT(usage.monitors <= limits->monitors && usage.revokings <= limits->revokings);
		BASE_ASSERT(usage.once <= CHANNELS * limits->once);
	}
	BASE_ASSERT(core_memory_grown(shell->core) <= limits->memory);
}

static void step(struct shell *shell, const struct core_event *event)
{
	struct core_output out;
	core_step(shell->core, shell->now, event);
	while (core_output(shell->core, &out))
		take_output(shell, &out);
	check_usage(shell);
	if (++shell->steps % CHECK_EACH == 0)
		BASE_ASSERT(core_check(shell->core) == NULL);
}

/* ------------------------------------------------------------------ who comes and goes */

static void session_gone(struct shell *shell, struct peer *peer)
{
	uint32_t node = NODE + 1 + (uint32_t)(peer - shell->peers);
	peer->up = peer->ending = false;
	step(shell, &(struct core_event){.type = CORE_SESSION_GONE, .node = node});
}

static void session_up(struct shell *shell, struct peer *peer, bool reboots)
{
	uint32_t node = NODE + 1 + (uint32_t)(peer - shell->peers);
	uint64_t epoch = peer->epoch + reboots;
	*peer = (struct peer){.up = true, .epoch = epoch};
	for (unsigned i = 0; i < WIRE_CLASS_COUNT; i++)
		peer->credits[i] = peer->own[i] = wire_class_credits((enum wire_class)i);
	known_add(&shell->known, KNOWN_EPOCH, epoch);
	/* Things of its own that it may offer. */
	for (uint32_t i = 0; i < 2; i++)
		known_add_object(&shell->known, &(struct known_object){.node = node,
															   .index = i,
															   .epoch = epoch,
															   .serial = 2 + 2 * i,
															   .kind = (uint8_t)(FOS_MEMORY + i)});
	step(shell, &(struct core_event){.type = CORE_SESSION_UP, .node = node, .epoch = epoch});
}

static void channel_up(struct shell *shell, struct guest *process, uint32_t channel)
{
	if (!process->alive || process->channels[channel])
		return;
	process->channels[channel] = true;
	step(shell, &(struct core_event){
					.type = CORE_CHANNEL_UP, .process = process->serial, .channel = channel});
}

/* Nobody waits for completions on it any more. */
static void forget_channel(struct shell *shell, struct guest *process, uint32_t channel)
{
	process->channels[channel] = false;
	for (unsigned i = 0; i < shell->cookie; i++) {
		if (shell->pending[i].process == process && shell->pending[i].channel == channel)
			shell->pending[i].process = NULL;
	}
}

static void channel_gone(struct shell *shell, struct guest *process, uint32_t channel)
{
	if (!process->alive || !process->channels[channel])
		return;
	forget_channel(shell, process, channel);
	step(shell, &(struct core_event){
					.type = CORE_CHANNEL_GONE, .process = process->serial, .channel = channel});
}

static void process_gone(struct shell *shell, struct guest *process)
{
	struct core_usage usage;
	process->alive = process->ending = false;
	process->lingers = true;
	for (uint32_t i = 0; i < CHANNELS; i++)
		forget_channel(shell, process, i);
	step(shell, &(struct core_event){.type = CORE_PROCESS_GONE, .process = process->serial});
	BASE_ASSERT(!core_process_usage(shell->core, process->serial, &usage));
}

static void process_free(struct shell *shell, struct guest *process)
{
	process->lingers = false;
	step(shell, &(struct core_event){.type = CORE_PROCESS_FREE, .process = process->serial});
}

/* What a call made before; the first slots are the same in every run. */
static void call(struct shell *shell, struct guest *process, uint32_t channel,
				 struct choices *choices, bool damage);

static void process_up(struct shell *shell, struct guest *process)
{
	static const uint8_t begin[][12] = {{4, 0}, {1, 0, 0, 0x90, 0, 3}, {4, 1, 1, 1}};
	memset(&process->known, 0, sizeof process->known);
	process->serial = ++shell->serials;
	process->alive = true;
	struct core_event event = {.type = CORE_PROCESS_UP, .process = process->serial};
	event.may_set_registry = process == shell->processes;
	step(shell, &event);
	if (process->ending) /* no memory for it */
		return;
	for (uint32_t i = 0; i < CHANNELS; i++)
		channel_up(shell, process, i);
	event.type = CORE_SEGMENT_UP;
	event.length = SEGMENT;
	step(shell, &event);
	for (unsigned i = 0; i < BASE_COUNT(begin); i++) {
		struct choices choices = {begin[i], sizeof begin[i]};
		call(shell, process, 0, &choices, false);
	}
}

/* Of those that the core has given up, or a few of its own accord. */
static void end_the_ending(struct shell *shell)
{
	for (unsigned i = 0; i < PROCESSES; i++) {
		if (shell->processes[i].ending)
			process_gone(shell, &shell->processes[i]);
	}
	for (unsigned i = 0; i < PEERS; i++) {
		if (shell->peers[i].ending)
			session_gone(shell, &shell->peers[i]);
	}
}

/* ------------------------------------------------------------------ operations */

static void call(struct shell *shell, struct guest *process, uint32_t channel,
				 struct choices *choices, bool damage)
{
	static _Alignas(8) uint8_t bytes[FUZZ_BYTES];
	if (shell->cookie == COOKIES || !process->alive || !process->channels[channel])
		return;
	uint64_t cookie = shell->cookie++;
	size_t size = fuzz_call(&process->known, choices, cookie, bytes);
	const struct wire_record *head = (const void *)bytes;
	if (damage)
		fuzz_damage(choices, bytes, size, sizeof *head);
	uint8_t *exact = malloc(size);
	BASE_ASSERT(exact != NULL);
	memcpy(exact, bytes, size);
	shell->pending[cookie].process = process;
	shell->pending[cookie].channel = (uint8_t)channel;
	shell->pending[cookie].type = (uint8_t)head->type;
	step(shell, &(struct core_event){.type = CORE_CALL,
									 .process = process->serial,
									 .channel = channel,
									 .bytes = exact,
									 .size = size});
	free(exact);
}

/* All that is owed of some classes, unless it lies. */
static void give_credits(const struct peer *peer, struct wire_message *head, uint64_t how)
{
	for (unsigned i = 0; i < WIRE_CLASS_ANSWER; i++)
		head->credits[i] = how & 1 << i ? 0 : (uint8_t)BASE_MIN(peer->owed[i], (uint32_t)UINT8_MAX);
	if (how >= 0xfe)
		head->credits[how & 3]++;
}

/* Keeps the books on what really goes out. False: it has no credit for it. */
static bool pay(struct peer *peer, const uint8_t *bytes, size_t size)
{
	const struct wire_message *head = (const void *)bytes;
	if (!wire_check_message(bytes, size))
		return true;
	enum wire_class class = wire_message_class(head->type);
	if (class != WIRE_CLASS_ANSWER && peer->own[class]-- == 0) {
		peer->own[class] = 0;
		return false;
	}
	for (unsigned i = 0; i < WIRE_CLASS_ANSWER; i++) {
		peer->owed[i] -= BASE_MIN(peer->owed[i], (uint32_t)head->credits[i]);
		peer->credits[i] += head->credits[i];
	}
	return true;
}

/* Messages without a credit end the session: rarely wanted. */
static void say(struct shell *shell, struct peer *peer, const uint8_t *bytes, size_t size,
				bool without_credit)
{
	bool bulk = ((const struct wire_message *)(const void *)bytes)->type == WIRE_MESSAGE_TYPE_DATA;
	if (!pay(peer, bytes, size) && !without_credit)
		return;
	uint8_t *exact = malloc(size);
	BASE_ASSERT(exact != NULL);
	memcpy(exact, bytes, size);
	((struct wire_message *)(void *)exact)->sequence = peer->sent[bulk]++;
	step(shell, &(struct core_event){.type = CORE_MESSAGE,
									 .node = NODE + 1 + (uint32_t)(peer - shell->peers),
									 .lane = bulk ? CORE_BULK : CORE_CONTROL,
									 .bytes = exact,
									 .size = size});
	free(exact);
}

static void message(struct shell *shell, struct peer *peer, struct choices *choices, bool damage)
{
	static _Alignas(8) uint8_t bytes[FUZZ_BYTES];
	uint64_t credits = choose(choices, 1);
	if (!peer->up)
		session_up(shell, peer, credits & 1);
	size_t size = fuzz_message(&shell->known, choices, bytes);
	struct wire_message *head = (void *)bytes;
	if (head->type != WIRE_MESSAGE_TYPE_DATA || damage)
		give_credits(peer, head, credits);
	if (damage)
		fuzz_damage(choices, bytes, size, offsetof(struct wire_message, type));
	say(shell, peer, bytes, size, damage);
}

static void echo(struct shell *shell)
{
	for (unsigned i = 0; i < PEERS; i++) {
		struct peer *peer = &shell->peers[i];
		struct wire_message_heartbeat beat = {
			.header = {.size = sizeof beat, .type = WIRE_MESSAGE_TYPE_HEARTBEAT},
			.sent = peer->beat,
			.echo = peer->beat};
		if (!peer->up || peer->beat == 0)
			continue;
		give_credits(peer, &beat.header, 0);
		say(shell, peer, (const uint8_t *)&beat, sizeof beat, false);
	}
}

static void answer_slice(struct shell *shell, unsigned which)
{
	if (shell->token_count == 0)
		return;
	uint64_t *token = &shell->tokens[which % shell->token_count];
	struct core_event event = {.type = CORE_MOVED, .token = *token};
	*token = shell->tokens[--shell->token_count];
	step(shell, &event);
}

static void look_object(void *context, const struct core_view_object *object)
{
	struct shell *shell = context;
	if (!object->dead)
		known_add_object(&shell->known, &(struct known_object){.node = object->ref.node,
															   .index = object->ref.index,
															   .epoch = object->ref.epoch,
															   .serial = object->ref.serial,
															   .kind = object->kind});
}

static void pass_time(struct shell *shell, struct choices *choices)
{
	shell->now += (uint64_t)1 << choose_below(choices, 36);
	step(shell, &(struct core_event){.type = CORE_TICK});
	if (choose(choices, 1) & 1)
		echo(shell);
}

static void come_and_go(struct shell *shell, struct choices *choices)
{
	uint64_t how = choose(choices, 1);
	struct guest *process = &shell->processes[how % PROCESSES];
	struct peer *peer = &shell->peers[how % PEERS];
	switch (how / 4 % 8) {
	case 0:
		if (process->alive)
			process_gone(shell, process);
		break;
	case 1:
		if (process->lingers)
			process_free(shell, process);
		break;
	case 2:
	case 3:
		if (!process->alive && !process->lingers)
			process_up(shell, process);
		break;
	case 4:
		if (peer->up)
			session_gone(shell, peer);
		break;
	case 5: /* also while the old one is up */
		session_up(shell, peer, how & 128);
		break;
	case 6:
		channel_gone(shell, process, 1);
		break;
	default:
		channel_up(shell, process, 1);
	}
}

/* From now on nothing more is taken, but for what the core keeps to say so; or as ever again. */
static void change_memory(struct shell *shell)
{
	struct core_limits *limits = &shell->core->config.limits;
	uint64_t grown = core_memory_grown(shell->core);
	uint64_t scarce = core_memory_leaving(grown) - 1;
	limits->memory = limits->memory < MEMORY ? (uint64_t)MEMORY : scarce;
}

static void operate(struct shell *shell, uint8_t what, struct choices *choices)
{
	static const struct core_visitor visitor = {.object = look_object};
	struct guest *process = &shell->processes[what / 16 % PROCESSES];
	switch (what % 16) {
	case 0 ... 5:
		core_inspect(shell->core, &visitor, shell);
		message(shell, &shell->peers[what / 16 % PEERS], choices, what >= 240);
		break;
	case 6 ... 11:
		call(shell, process, what >> 7, choices, what >= 240);
		break;
	case 12:
		answer_slice(shell, what);
		break;
	case 13:
		if (what < 64)
			change_memory(shell);
		else
			answer_slice(shell, what);
		break;
	case 14:
		pass_time(shell, choices);
		break;
	default:
		come_and_go(shell, choices);
	}
	end_the_ending(shell);
}

/* ------------------------------------------------------------------ begin and end */

static void begin(struct shell *shell)
{
	struct core_config config;
	core_config_default(&config);
	config.node = NODE;
	config.epoch = EPOCH;
	config.grow = grow;
	config.context = shell;
	config.slice = 4096;
	config.limits.processes = PROCESSES;
	config.limits.channels = CHANNELS;
	config.limits.segments = 1;
	config.limits.objects = 40;
	config.limits.slots = 64;
	config.limits.values_bytes = 64 << 10;
	config.limits.deliveries = 3;
	config.limits.once = 3;
	config.limits.parked = 6;
	config.limits.copies = 4;
	config.limits.monitors = 6;
	config.limits.revokings = 4;
	config.limits.sessions = PEERS;
	config.limits.memory = MEMORY;
	shell->limits = config.limits;
	shell->now = 1;
	shell->core = core_create(&config);
	BASE_ASSERT(shell->core != NULL);
	shell->core->pool.grown += UNUSED;
	known_add(&shell->known, KNOWN_EPOCH, EPOCH);
	for (unsigned i = 0; i < PROCESSES; i++)
		process_up(shell, &shell->processes[i]);
	for (unsigned i = 0; i < PEERS; i++) {
		shell->peers[i].epoch = 1000 * (i + 1);
		session_up(shell, &shell->peers[i], false);
	}
}

static void settle(struct shell *shell)
{
	for (unsigned rounds = 0; rounds < 100000; rounds++) {
		while (shell->token_count > 0)
			answer_slice(shell, 0);
		end_the_ending(shell);
		if (core_deadline(shell->core) > shell->now && shell->token_count == 0)
			return;
		step(shell, &(struct core_event){.type = CORE_TICK});
	}
	abort(); /* it never comes to rest */
}

static bool may_wait_for_ever(uint8_t type)
{
	return type == WIRE_CALL_TYPE_MONITOR_RECEIVE || type == WIRE_CALL_TYPE_MONITOR_DELEGATE;
}

static void end(struct shell *shell)
{
	settle(shell);
	for (unsigned i = 0; i < PEERS; i++) {
		if (shell->peers[i].up)
			session_gone(shell, &shell->peers[i]);
	}
	settle(shell);
	/* Longer than any time that a call can name. */
	shell->now += (uint64_t)1 << 62;
	settle(shell);
	for (unsigned i = 0; i < shell->cookie; i++)
		BASE_ASSERT(shell->pending[i].process == NULL || may_wait_for_ever(shell->pending[i].type));
	for (unsigned i = 0; i < PROCESSES; i++) {
		if (shell->processes[i].alive)
			process_gone(shell, &shell->processes[i]);
		if (shell->processes[i].lingers)
			process_free(shell, &shell->processes[i]);
	}
	shell->now += (uint64_t)1 << 62;
	settle(shell);
	struct core_view_totals totals;
	core_inspect_totals(shell->core, &totals);
	BASE_ASSERT(core_memory_used(shell->core) == 0 && totals.objects == 0 && totals.house == 0);
	BASE_ASSERT(core_deadline(shell->core) == UINT64_MAX);
	for (unsigned i = 0; i < shell->chunk_count; i++)
		free(shell->chunks[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct shell shell;
	struct choices program = {data, size}, choices;
	uint8_t what;
	memset(&shell, 0, sizeof shell);
	begin(&shell);
	for (unsigned i = 0; i < OPERATIONS && fuzz_operation(&program, &what, &choices); i++)
		operate(&shell, what, &choices);
	end(&shell);
	return 0;
}
