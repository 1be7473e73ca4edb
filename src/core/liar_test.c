/* A peer that lies: messages that are well formed but cannot be, or are not even that. Each ends
 * the session, says why, and leaves nothing; what is only unusual does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/harness.h"
#include "core/inspect.h"

enum { A, B, C };

struct lie {
	struct world *world;
	struct core_view_slot memory; /* of A: all that the peer may name */
	uint32_t sequence[2];
};

static void begin(struct lie *lie, uint32_t nodes)
{
	*lie = (struct lie){.world = world_new(nodes, NULL)};
	struct actor who = actor_new(lie->world, A);
	uint64_t cap = actor_memory(who, 0, 4096, 3);
	assert_true(core_inspect_slot(who.node->core, who.process, cap, &lie->memory));
}

static void send(struct lie *lie, void *message, size_t size, enum core_lane lane)
{
	((struct wire_message *)message)->size = (uint32_t)size;
	((struct wire_message *)message)->sequence = lie->sequence[lane]++;
	struct core_event event = {
		.type = CORE_MESSAGE, .node = B + 1, .lane = lane, .bytes = message, .size = size};
	world_step(&lie->world->nodes[A], &event);
}

/* NULL: the session goes on. */
static void expect(struct lie *lie, const char *reason)
{
	const struct world_node *node = &lie->world->nodes[A];
	assert_int_equal(node->ended_sessions, reason != NULL);
	assert_int_equal(core_counters(node->core)->protocol_errors, reason != NULL);
	if (reason != NULL)
		assert_string_equal(node->reason, reason);
	world_end(lie->world);
}

/* ------------------------------------------------------------------ COPY, INVOKE */

struct copy_message {
	struct wire_message_copy head;
	struct wire_args args;
	struct wire_entry entries[4];
	struct wire_bound bounds[3];
};

/* then: a Request of the peer's; dst: a Memory of node `to`; src: the one of A. */
static struct copy_message good_copy(const struct lie *lie, uint32_t to)
{
	const struct core_view_ref *ref = &lie->memory.ref;
	return (struct copy_message){
		.head = {.header.type = WIRE_MESSAGE_TYPE_COPY, .time_left = 1000000},
		.args = {.entry_count = 4, .bound_count = 3},
		.entries = {{0},
					{.kind = FOS_REQUEST, .node = B + 1, .serial = 2, .epoch = 0xe001},
					{.kind = FOS_MEMORY, .length = 8, .rights = 3, .node = to, .serial = 2},
					{.kind = FOS_MEMORY,
					 .length = 8,
					 .rights = 3,
					 .node = ref->node,
					 .index = ref->index,
					 .epoch = ref->epoch,
					 .serial = ref->serial}},
		.bounds = {{.index = FOS_NEXT, .value = 1},
				   {.index = WIRE_COPY_DST, .value = 2},
				   {.index = WIRE_COPY_SRC, .value = 3}}};
}

#define COPY_WITH(change, reason)                       \
	do {                                                \
		struct lie lie;                                 \
		begin(&lie, 2);                                 \
		struct copy_message m = good_copy(&lie, B + 1); \
		change;                                         \
		send(&lie, &m, sizeof m, CORE_CONTROL);         \
		expect(&lie, reason);                           \
	} while (0)

static void copies_of_what_is_none(void **state)
{
	(void)state;
	static const char impossible[] = "a copy of what cannot be copied";
	COPY_WITH((void)0, NULL);
	COPY_WITH(m.bounds[0].value = 2, impossible);                          /* `then` is a Memory */
	COPY_WITH(m.bounds[1].value = 1, impossible);                          /* dst is a Request */
	COPY_WITH(m.bounds[2].value = 1, impossible);                          /* src is one */
	COPY_WITH(m.bounds[2].index = 3, impossible);                          /* no src */
	COPY_WITH((m.bounds[2].index = 3, m.bounds[1].index = 2), impossible); /* no dst */
	COPY_WITH(m.entries[0].on_error = 2, impossible);                      /* errors to a Memory */
	COPY_WITH(m.entries[0].on_error = 1, NULL);
}

/* A copy keeps its credit until it left: with all credits used there are as many copies. */
static void more_copies_than_credits(void **state)
{
	(void)state;
	struct lie lie;
	begin(&lie, 3);
	struct copy_message m = good_copy(&lie, C + 1);
	m.entries[2].epoch = 0xe002;
	lie.world->hold[A][C][CORE_BULK] = true;
	for (uint32_t i = 0; i < wire_class_credits(WIRE_CLASS_COPY); i++) {
		m.head.copy = i;
		send(&lie, &m, sizeof m, CORE_CONTROL);
	}
	assert_int_equal(lie.world->nodes[A].ended_sessions, 0);
	send(&lie, &m, sizeof m, CORE_CONTROL);
	expect(&lie, "a message without a credit");
}

static void invocations_that_cannot_be(void **state)
{
	(void)state;
	for (int bad = 0; bad < 2; bad++) {
		struct lie lie;
		begin(&lie, 2);
		struct {
			struct wire_message_invoke head;
			struct wire_args args;
			struct wire_entry entries[2];
		} m = {.head = {.header.type = WIRE_MESSAGE_TYPE_INVOKE, .serial = 2, .epoch = 0xe000},
			   .args = {.entry_count = 2},
			   .entries = {{.on_error = 1}, {.kind = FOS_REQUEST, .node = B + 1}}};
		if (bad) {
			m.entries[1].kind = FOS_MEMORY;
			m.entries[1].length = 1;
		}
		send(&lie, &m, sizeof m, CORE_CONTROL);
		expect(&lie, bad ? "an invocation with arguments that cannot be" : NULL);
	}
}

/* ------------------------------------------------------------------ DATA */

struct first_slice {
	struct wire_message_data head;
	struct wire_args args;
	struct wire_entry entries[2];
	struct wire_bound bounds[1];
	uint8_t bytes[8];
};

/* The first half of sixteen bytes, with a continuation. */
static struct first_slice good_first(const struct lie *lie)
{
	const struct core_view_ref *ref = &lie->memory.ref;
	return (struct first_slice){
		.head = {.header.type = WIRE_MESSAGE_TYPE_DATA,
				 .stream = 7,
				 .asker = B + 1,
				 .time_left = 1000000,
				 .epoch = ref->epoch,
				 .serial = ref->serial,
				 .index = ref->index,
				 .total = 16,
				 .length = 8,
				 .first = true,
				 .has_then = true},
		.args = {.entry_count = 2, .bound_count = 1},
		.entries = {{0}, {.kind = FOS_REQUEST, .node = B + 1, .serial = 2, .epoch = 0xe001}},
		.bounds = {{.index = FOS_NEXT, .value = 1}},
		.bytes = "firsthal"};
}

#define FIRST_WITH(change, reason)               \
	do {                                         \
		struct lie lie;                          \
		begin(&lie, 2);                          \
		struct first_slice m = good_first(&lie); \
		change;                                  \
		send(&lie, &m, sizeof m, CORE_BULK);     \
		expect(&lie, reason);                    \
	} while (0)

static void make_memory(struct wire_entry *entry)
{
	*entry = (struct wire_entry){.kind = FOS_MEMORY, .length = 1, .node = B + 1, .epoch = 0xe001};
}

static void continuations_that_are_none(void **state)
{
	(void)state;
	static const char none[] = "a copy whose continuation is none";
	FIRST_WITH((void)0, NULL);
	FIRST_WITH(m.head.has_then = false, none);
	FIRST_WITH(m.bounds[0].index = 5, none);
	FIRST_WITH((m.head.has_then = false, m.bounds[0].index = 5), none);
	FIRST_WITH(make_memory(&m.entries[1]), none);
	FIRST_WITH((make_memory(&m.entries[1]), m.entries[0].on_error = 1),
			   "a copy with arguments that cannot be");
	FIRST_WITH(m.entries[0].on_error = 1, NULL);
	FIRST_WITH(m.head.total = 8, "a slice that does not follow the last"); /* the last says so */
}

struct next_slice {
	struct wire_message_data head;
	struct wire_args args;
	struct wire_entry entry;
	uint8_t bytes[8];
};

#define NEXT_WITH(change, reason)                                                               \
	do {                                                                                        \
		struct lie lie;                                                                         \
		begin(&lie, 2);                                                                         \
		struct first_slice first = good_first(&lie);                                            \
		send(&lie, &first, sizeof first, CORE_BULK);                                            \
		struct next_slice m = {.head = first.head, .args.entry_count = 1, .bytes = "andthere"}; \
		m.head.first = false;                                                                   \
		m.head.offset = 8;                                                                      \
		m.head.last = true;                                                                     \
		change;                                                                                 \
		send(&lie, &m, sizeof m - 8 + m.head.length, CORE_BULK);                                \
		expect(&lie, reason);                                                                   \
	} while (0)

static void slices_that_do_not_follow(void **state)
{
	(void)state;
	static const char other[] = "a slice that does not follow the last";
	NEXT_WITH((void)0, NULL);
	NEXT_WITH(m.head.stream = 8, NULL); /* refused and stopped, it may be */
	NEXT_WITH((m.head.offset = 9, m.head.length = 7), other);
	NEXT_WITH((m.head.offset = 7, m.head.total = 15), other);
	NEXT_WITH((m.head.total = 17, m.head.length = 7, m.head.last = false), other);
	NEXT_WITH((m.head.length = 7, m.head.last = false), NULL);
	NEXT_WITH((m.head.length = 0, m.head.last = false), other);
	NEXT_WITH(m.head.last = false, other);
	NEXT_WITH((m.head.first = true, m.head.offset = 0, m.head.last = false),
			  "a copy that begins twice");
	/* Given up by the source. */
	NEXT_WITH((m.head.status = FOS_REVOKED, m.head.length = 0), NULL);
}

/* ------------------------------------------------------------------ malformed, or too many */

/* Whatever single byte of a real message is changed, the core lives, and the session goes on or
 * ends. */
static void broken_messages(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 600; seed++) {
		struct world *world = world_new(2, NULL);
		struct actor a = actor_new(world, A), b = actor_new(world, B);
		uint64_t door = actor_give(b, actor_request(b, 1), a);
		uint64_t dst = actor_give(b, actor_memory(b, 0, 4096, 3), a);
		uint64_t src = actor_memory(a, 0, 4096, 3);
		struct call call = call_invoke(door, 0, 0);
		call_imm(&call, 0, 0, "hello", 5);
		call_cap(&call, 0, 1, call_slot(&call, src));
		unsigned refined = call_refine(&call, door);
		call_cap(&call, refined, 3, 1);
		call.entries[0].on_error = (uint16_t)refined;
		assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
		call = call_copy(dst, src, 0, 0);
		call_cap(&call, 0, FOS_NEXT, call_slot(&call, door));
		call_submit(a, &call);
		enum core_lane lane = seed % 2 ? CORE_BULK : CORE_CONTROL;
		struct packet *packet = world->links[A][B][lane].first;
		assert_non_null(packet);
		struct base_random random = {seed};
		size_t at = base_random_below(&random, BASE_MIN(packet->size, (size_t)500));
		packet->bytes[at] = (uint8_t)(packet->bytes[at] ^ (1u << base_random_below(&random, 8)));
		world_settle(world);
		assert_int_equal(actor_usage(a).copies, 0);
		world_end(world);
	}
}

static void send_raw(struct world *world, const void *bytes, size_t size, enum core_lane lane)
{
	world_step(
		&world->nodes[A],
		&(struct core_event){
			.type = CORE_MESSAGE, .node = B + 1, .lane = lane, .bytes = bytes, .size = size});
}

static void hostile_peer(void **state)
{
	(void)state;
	static const char *const reasons[] = {"a message is missing or came twice",
										  "a message on the wrong lane",
										  "a malformed message",
										  "more credits than there are",
										  "a bounce of what was never sent",
										  "word of a registry from where it is not"};
	for (unsigned i = 0; i < BASE_COUNT(reasons); i++) {
		struct world *world = world_new(2, NULL);
		struct wire_message_credit credit = {
			.header = {.size = sizeof credit, .type = WIRE_MESSAGE_TYPE_CREDIT}};
		struct {
			struct wire_message_bounce head;
			struct wire_args args;
			struct wire_entry entry;
		} bounce = {.head.header = {.size = sizeof bounce, .type = WIRE_MESSAGE_TYPE_BOUNCE},
					.args.entry_count = 1};
		struct wire_message_registry registry = {
			.header = {.size = sizeof registry, .type = WIRE_MESSAGE_TYPE_REGISTRY},
			.node = 9,
			.serial = 2};
		credit.header.sequence = i == 0;
		credit.header.zero32 = i == 2;
		credit.header.credits[WIRE_CLASS_DATA] = i == 3;
		if (i < 4)
			send_raw(world, &credit, sizeof credit, i == 1 ? CORE_BULK : CORE_CONTROL);
		else if (i == 4)
			send_raw(world, &bounce, sizeof bounce, CORE_CONTROL);
		else
			send_raw(world, &registry, sizeof registry, CORE_CONTROL);
		assert_int_equal(world->nodes[A].ended_sessions, 1);
		assert_string_equal(world->nodes[A].reason, reasons[i]);
		assert_int_equal(core_counters(world->nodes[A].core)->protocol_errors, 1);
		world_end(world);
	}
}

/* A peer that sends more than it has credits for. */
static void greedy_peer(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct {
		struct wire_message_copy head;
		struct wire_args args;
		struct wire_entry entries[3];
		struct wire_bound bounds[2];
	} copy = {
		.head.header = {.size = sizeof copy, .type = WIRE_MESSAGE_TYPE_COPY},
		.head.time_left = 1000000,
		.args = {.entry_count = 3, .bound_count = 2},
		.entries = {{0},
					{.kind = FOS_MEMORY, .length = 8, .rights = 3, .node = 3, .serial = 2},
					{.kind = FOS_MEMORY, .length = 8, .rights = 3, .node = 1, .serial = 2}},
		.bounds = {{.index = WIRE_COPY_DST, .value = 1}, {.index = WIRE_COPY_SRC, .value = 2}}};
	unsigned sent = 0;
	while (world->nodes[A].ended_sessions == 0 && sent < 1000) {
		/* Credits of refused copies come back; the sender does not count them. */
		send_raw(world, &copy, sizeof copy, CORE_CONTROL);
		copy.head.header.sequence++;
		sent++;
		if (sent == 200)
			break;
	}
	assert_int_equal(world->nodes[A].ended_sessions, 0);
	assert_int_equal(core_counters(world->nodes[A].core)->sent.copy_done, 200);
	world_end(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_of_what_is_none),
		cmocka_unit_test(more_copies_than_credits),
		cmocka_unit_test(invocations_that_cannot_be),
		cmocka_unit_test(continuations_that_are_none),
		cmocka_unit_test(slices_that_do_not_follow),
		cmocka_unit_test(broken_messages),
		cmocka_unit_test(hostile_peer),
		cmocka_unit_test(greedy_peer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
