/* libFuzzer harness: one core between a hostile Process and a hostile peer Controller.
 *
 * The input is a list of steps, each a byte that says what, a length, and bytes that lie over a
 * valid record or message of that kind, so that the fuzzer need not guess headers. What must hold:
 * no assertion, no sanitizer report, and nothing in use when Process and session are gone. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "core/core.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NODE = 1, PEER = 2, EPOCH = 11, PEER_EPOCH = 22, PROCESS = 1, CHUNKS = 4096 };
enum { REVOKINGS = 2 }; /* they have the first numbers of calls, from FIRST on */

struct shell {
	struct core *core;
	uint64_t now;
	uint32_t sequence[2];
	uint64_t tokens[256];
	unsigned token_count;
	bool session, process;
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

static void step(struct shell *shell, const struct core_event *event)
{
	core_step(shell->core, shell->now, event);
	struct core_output out;
	bool session = shell->session, process = shell->process;
	while (core_output(shell->core, &out)) {
		if (out.type == CORE_MOVE || out.type == CORE_SEND_SLICE) {
			if (shell->token_count == BASE_COUNT(shell->tokens))
				abort();
			shell->tokens[shell->token_count++] = out.token;
		}
		if (out.type == CORE_RECORD && !wire_check_answer(out.bytes, out.size))
			abort();
		if (out.type == CORE_SEND && !wire_check_message(out.bytes, out.size))
			abort();
		session &= out.type != CORE_END_SESSION;
		process &= out.type != CORE_END_PROCESS;
	}
	bool end_session = shell->session && !session, end_process = shell->process && !process;
	shell->session = session;
	shell->process = process;
	if (end_process)
		step(shell, &(struct core_event){.type = CORE_PROCESS_GONE, .process = PROCESS});
	if (end_session)
		step(shell, &(struct core_event){.type = CORE_SESSION_GONE, .node = PEER});
}

static void answer_slices(struct shell *shell)
{
	while (shell->token_count > 0)
		step(shell, &(struct core_event){.type = CORE_MOVED,
										 .token = shell->tokens[--shell->token_count]});
}

static void begin(struct shell *shell)
{
	struct core_config config;
	core_config_default(&config);
	config.node = NODE;
	config.epoch = EPOCH;
	config.grow = grow;
	config.context = shell;
	config.slice = 4096;
	config.limits.deliveries = 3;
	config.limits.copies = 4;
	config.limits.revokings = REVOKINGS;
	shell->core = core_create(&config);
	shell->session = shell->process = true;
	shell->now = 1;
	struct core_event event = {.type = CORE_PROCESS_UP, .process = PROCESS};
	event.may_set_registry = true;
	step(shell, &event);
	event.type = CORE_CHANNEL_UP;
	step(shell, &event);
	event.type = CORE_SEGMENT_UP;
	event.length = 1 << 20;
	step(shell, &event);
	step(shell, &(struct core_event){.type = CORE_SESSION_UP, .node = PEER, .epoch = PEER_EPOCH});
}

static void call(struct shell *shell, const uint8_t *bytes, size_t size);
static void message(struct shell *shell, const uint8_t *bytes, size_t size);

/* Handles of tables: the first generation of an index. */
enum { FIRST = 1 << 20 };
#define CALL(NAME, name, ...)                                                      \
	call(shell,                                                                    \
		 (const uint8_t *)&(const struct wire_call_##name){                        \
			 .header = {.type = WIRE_CALL_TYPE_##NAME, .cookie = 1}, __VA_ARGS__}, \
		 sizeof(struct wire_call_##name))
#define MESSAGE(NAME, name, ...)                                            \
	message(shell,                                                          \
			(const uint8_t *)&(const struct wire_message_##name){           \
				.header = {.type = WIRE_MESSAGE_TYPE_##NAME}, __VA_ARGS__}, \
			sizeof(struct wire_message_##name))

/* Children of its objects, made by the Process (slots 3 and 4) and by the peer (call 1), and
 * children at the peer: one made (slot 6, index 7, serial 8), one asked for, one being drained. */
static void furnish_children(struct shell *shell)
{
	CALL(CAP_REVTREE, cap_revtree, .cap = FIRST, .tracked = 1);
	CALL(CAP_REVTREE, cap_revtree, .cap = FIRST + 3);
	MESSAGE(CHILD, child, .call = 1, .epoch = EPOCH, .serial = 2, .index = 0, .process = 5);
	MESSAGE(CHILD, child, .call = 2, .epoch = EPOCH, .serial = 6, .index = 2, .process = 5);
	MESSAGE(REGISTRY, registry, .epoch = PEER_EPOCH, .serial = 2, .version = 1, .node = PEER);
	CALL(REGISTRY_GET, registry_get, .time = 0);
	CALL(CAP_REVTREE, cap_revtree, .cap = FIRST + 5);
	MESSAGE(CHILD_DONE, child_done, .call = FIRST + REVOKINGS, .serial = 8, .index = 7);
	CALL(CAP_REVTREE, cap_revtree, .cap = FIRST + 5);
	CALL(CAP_REVOKE, cap_revoke, .cap = FIRST + 6, .drain = 1);
	struct core_usage usage;
	core_process_usage(shell->core, PROCESS, &usage);
	BASE_ASSERT(usage.objects == 7 && usage.slots == 7 && usage.revokings == 1);
}

/* Watched: an own object, one of the peer's (monitor 2). Tracked: slot 3, which the peer holds; one
 * at the peer (slot 7, index 9, serial 10); both with a monitor_delegate. */
static void furnish_monitors(struct shell *shell)
{
	CALL(MONITOR_RECEIVE, monitor_receive, .cap = FIRST);
	CALL(MONITOR_RECEIVE, monitor_receive, .cap = FIRST + 5);
	CALL(MONITOR_DELEGATE, monitor_delegate, .cap = FIRST + 3);
	MESSAGE(WATCH, watch, .monitor = 9, .epoch = EPOCH, .serial = 2, .index = 0, .process = 5);
	MESSAGE(HOLD, hold, .epoch = EPOCH, .serial = 8, .index = 3);
	CALL(CAP_REVTREE, cap_revtree, .cap = FIRST + 5, .tracked = 1);
	MESSAGE(CHILD_DONE, child_done, .call = FIRST + REVOKINGS + 1, .serial = 10, .index = 9);
	CALL(MONITOR_DELEGATE, monitor_delegate, .cap = FIRST + 7);
	struct core_usage usage;
	core_process_usage(shell->core, PROCESS, &usage);
	BASE_ASSERT(usage.objects == 8 && usage.slots == 8 && usage.monitors == 4);
}

/* The first of each: their names are the same in every run. */
static void furnish(struct shell *shell)
{
	_Alignas(8) struct wire_call_request_create request = {
		.header = {.size = sizeof request, .type = WIRE_CALL_TYPE_REQUEST_CREATE}};
	_Alignas(8) struct wire_call_memory_create memory = {
		.header = {.size = sizeof memory, .type = WIRE_CALL_TYPE_MEMORY_CREATE},
		.length = 1 << 16,
		.rights = 3};
	struct core_event event = {.type = CORE_CALL,
							   .process = PROCESS,
							   .bytes = (const uint8_t *)&request,
							   .size = sizeof request};
	step(shell, &event);
	request.once = 1;
	step(shell, &event);
	event.bytes = (const uint8_t *)&memory;
	event.size = sizeof memory;
	step(shell, &event);
	furnish_children(shell);
	furnish_monitors(shell);
}

static void call(struct shell *shell, const uint8_t *bytes, size_t size)
{
	size_t room = BASE_MAX(wire_pad8(size), sizeof(struct wire_record));
	uint8_t *record = calloc(1, room);
	memcpy(record, bytes, size);
	struct wire_record *head = (void *)record;
	head->size = (uint32_t)room;
	head->zero = 0;
	step(shell, &(struct core_event){
					.type = CORE_CALL, .process = PROCESS, .bytes = record, .size = room});
	free(record);
}

static void message(struct shell *shell, const uint8_t *bytes, size_t size)
{
	size_t room = BASE_MAX(size, sizeof(struct wire_message));
	uint8_t *copy = calloc(1, room);
	memcpy(copy, bytes, size);
	struct wire_message *head = (void *)copy;
	bool bulk = head->type == WIRE_MESSAGE_TYPE_DATA;
	head->size = (uint32_t)room;
	head->zero8 = 0;
	head->zero16 = 0;
	head->zero32 = 0;
	head->sequence = shell->sequence[bulk]++;
	step(shell, &(struct core_event){.type = CORE_MESSAGE,
									 .node = PEER,
									 .lane = bulk ? CORE_BULK : CORE_CONTROL,
									 .bytes = copy,
									 .size = room});
	free(copy);
}

static void end(struct shell *shell)
{
	answer_slices(shell);
	if (shell->process)
		step(shell, &(struct core_event){.type = CORE_PROCESS_GONE, .process = PROCESS});
	if (shell->session)
		step(shell, &(struct core_event){.type = CORE_SESSION_GONE, .node = PEER});
	step(shell, &(struct core_event){.type = CORE_PROCESS_FREE, .process = PROCESS});
	shell->now += 1000000000000;
	step(shell, &(struct core_event){.type = CORE_TICK});
	if (core_memory_used(shell->core) != 0)
		abort();
	for (unsigned i = 0; i < shell->chunk_count; i++)
		free(shell->chunks[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct shell shell;
	memset(&shell, 0, sizeof shell);
	begin(&shell);
	furnish(&shell);
	for (unsigned steps = 0; size >= 3 && steps < 64; steps++) {
		uint8_t what = data[0];
		size_t length = BASE_MIN((size_t)(data[1] | data[2] << 8), size - 3);
		if (what % 4 == 0)
			call(&shell, data + 3, length);
		else if (what % 4 == 1)
			message(&shell, data + 3, length);
		else if (what % 4 == 2)
			answer_slices(&shell);
		else if (what == 255 && !shell.process)
			step(&shell, &(struct core_event){.type = CORE_PROCESS_FREE, .process = PROCESS});
		else
			shell.now += (uint64_t)1 << (what / 4 % 40);
		data += 3 + length;
		size -= 3 + length;
	}
	end(&shell);
	return 0;
}
