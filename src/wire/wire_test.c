/* The codec: golden bytes of every record and message, every truncation and corruption of them, and
 * each rule about tails, broken one at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "wire/golden.h"

static bool check(enum golden_kind kind, const uint8_t *bytes, size_t size)
{
	switch (kind) {
	case GOLDEN_CALL:
		return wire_check_call(bytes, size);
	case GOLDEN_ANSWER:
		return wire_check_answer(bytes, size);
	case GOLDEN_ATTACH:
		return wire_check_attach(bytes, size);
	case GOLDEN_MESSAGE:
		return wire_check_message(bytes, size);
	}
	return false;
}

/* Walks through all of what was accepted: the printer reads every part. */
static void visit(enum golden_kind kind, const uint8_t *bytes, size_t size)
{
	char line[4096];
	int n = kind == GOLDEN_MESSAGE ? wire_print_message(line, sizeof line, bytes, size)
								   : wire_print_record(line, sizeof line, bytes, size);
	assert_true(n > 0);
	assert_null(strstr(line, "malformed"));
}

/* Exactly as large as the record, so that a sanitizer sees any step beyond it. */
static uint8_t *copy_of(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = malloc(size);
	assert_non_null(copy);
	memcpy(copy, bytes, size);
	return copy;
}

static void set_size(uint8_t *bytes, size_t size)
{
	uint32_t value = (uint32_t)size;
	memcpy(bytes, &value, sizeof value);
}

/* ------------------------------------------------------------------ golden bytes */

static void bytes_are_what_they_always_were(void **state)
{
	for (size_t i = 0; i < BASE_COUNT(goldens); i++) {
		const struct golden *g = &goldens[i];
		if (memcmp(g->fixed, g->bytes, g->fixed_size) != 0)
			fail_msg("%s is encoded otherwise", g->name);
		uint8_t *copy = copy_of(g->bytes, g->size);
		if (!check(g->kind, copy, g->size))
			fail_msg("%s is refused", g->name);
		visit(g->kind, copy, g->size);
		free(copy);
	}
}

static void each_has_a_golden(void **state)
{
	size_t count = 0;
#define COUNT(...) count++;
	WIRE_CALLS(COUNT)
	WIRE_ANSWERS(COUNT)
	WIRE_ATTACHES(COUNT)
	WIRE_MESSAGES(COUNT)
#undef COUNT
	assert_int_equal(BASE_COUNT(goldens), count);
}

static void kinds_are_not_mixed_up(void **state)
{
	for (size_t i = 0; i < BASE_COUNT(goldens); i++) {
		const struct golden *g = &goldens[i];
		uint8_t *copy = copy_of(g->bytes, g->size);
		for (int kind = GOLDEN_CALL; kind <= GOLDEN_ATTACH; kind++) {
			if (g->kind != GOLDEN_MESSAGE)
				assert_int_equal(check((enum golden_kind)kind, copy, g->size),
								 kind == (int)g->kind);
		}
		free(copy);
	}
}

static void truncations_are_refused(void **state)
{
	for (size_t i = 0; i < BASE_COUNT(goldens); i++) {
		const struct golden *g = &goldens[i];
		assert_false(check(g->kind, NULL, 0));
		for (size_t size = 1; size < g->size; size++) {
			uint8_t *copy = copy_of(g->bytes, size);
			assert_false(check(g->kind, copy, size));
			if (size >= 4) {
				set_size(copy, size);
				if (check(g->kind, copy, size))
					fail_msg("%s, cut to %zu bytes, is taken", g->name, size);
			}
			free(copy);
		}
		uint8_t *longer = calloc(1, g->size + 8);
		memcpy(longer, g->bytes, g->size);
		set_size(longer, g->size + 8);
		assert_false(check(g->kind, longer, g->size + 8));
		free(longer);
	}
}

static void corruptions_are_refused_or_valid(void **state)
{
	for (size_t i = 0; i < BASE_COUNT(goldens); i++) {
		const struct golden *g = &goldens[i];
		uint8_t *copy = copy_of(g->bytes, g->size);
		for (size_t at = 0; at < g->size; at++) {
			for (unsigned flip = 1; flip < 256; flip++) {
				copy[at] = (uint8_t)(g->bytes[at] ^ flip);
				if (check(g->kind, copy, g->size))
					visit(g->kind, copy, g->size);
			}
			copy[at] = g->bytes[at];
		}
		free(copy);
	}
}

/* Every header byte that must be zero, and every size but the right one. */
static void headers_are_strict(void **state)
{
	for (size_t i = 0; i < BASE_COUNT(goldens); i++) {
		const struct golden *g = &goldens[i];
		static const uint8_t record_zeros[] = {6, 7},
							 message_zeros[] = {5, 6, 7, 12, 13, 14, 15, 31};
		bool message = g->kind == GOLDEN_MESSAGE;
		uint8_t *copy = copy_of(g->bytes, g->size);
		for (size_t z = 0; z < (message ? 7 : sizeof record_zeros); z++) {
			uint8_t *zero = &copy[message ? message_zeros[z] : record_zeros[z]];
			assert_int_equal(*zero, 0);
			*zero = 1;
			assert_false(check(g->kind, copy, g->size));
			*zero = 0;
		}
		set_size(copy, g->size + 8);
		assert_false(check(g->kind, copy, g->size));
		free(copy);
	}
}

static bool has_golden(bool message, unsigned type)
{
	for (size_t i = 0; i < BASE_COUNT(goldens); i++) {
		const struct golden *g = &goldens[i];
		if ((g->kind == GOLDEN_MESSAGE) == message && g->bytes[4] == type)
			return true;
	}
	return false;
}

/* Whatever size one comes in whose type there is not. */
static void types_that_are_none(void **state)
{
	static _Alignas(8) uint8_t bytes[512];
	for (unsigned type = 0; type <= UINT16_MAX; type++) {
		for (size_t size = 16; size <= (type <= UINT8_MAX ? 128 : 16); size += 8) {
			struct wire_record record = {.size = (uint32_t)size, .type = (uint16_t)type};
			memcpy(bytes, &record, sizeof record);
			if (type > UINT8_MAX || !has_golden(false, type))
				assert_false(wire_check_call(bytes, size) || wire_check_answer(bytes, size) ||
							 wire_check_attach(bytes, size));
			struct wire_message message = {.size = (uint32_t)size, .type = (uint8_t)type};
			memcpy(bytes, &message, BASE_MIN(size, sizeof message));
			if (type <= UINT8_MAX && !has_golden(true, type))
				assert_false(wire_check_message(bytes, size));
			memset(bytes, 0, sizeof message);
		}
	}
}

static void credits_stay_inside_their_class(void **state)
{
	_Alignas(8) uint8_t copy[sizeof message_heartbeat_bytes];
	struct wire_message *head = (void *)copy;
	memcpy(copy, message_heartbeat_bytes, sizeof copy);
	for (unsigned i = 0; i < 8; i++) {
		uint32_t most = i < WIRE_CLASS_COUNT ? wire_class_credits((enum wire_class)i) : 0;
		memset(head->credits, 0, sizeof head->credits);
		head->credits[i] = (uint8_t)BASE_MIN(most, 255u);
		assert_true(wire_check_message(copy, sizeof copy));
		if (most < 255) {
			head->credits[i]++;
			assert_false(wire_check_message(copy, sizeof copy));
		}
	}
}

/* ------------------------------------------------------------------ rules of the arguments */

struct call_table {
	struct wire_args head;
	struct wire_call_entry entries[4];
	struct wire_range ranges[2];
	struct wire_bound bounds[3];
	uint8_t imm[16];
};

static const struct call_table good_call = {
	.head = {.entry_count = 4, .range_count = 2, .bound_count = 3, .imm_bytes = 11},
	.entries = {{.kind = WIRE_ENTRY_CALL, .on_error = 1},
				{.kind = WIRE_ENTRY_SLOT, .cap = 0x55},
				{.kind = WIRE_ENTRY_REFINE, .cap = 0x66, .on_error = 1},
				{.kind = WIRE_ENTRY_DIMINISH,
				 .cap = 0x77,
				 .offset = 0x10,
				 .length = 0x20,
				 .drop = FOS_READ}},
	.ranges = {{.entry = 0, .offset = 64, .length = 5}, {.entry = 2, .offset = 72, .length = 6}},
	.bounds = {{.entry = 0, .index = 0, .value = 2},
			   {.entry = 0, .index = 1, .value = 3},
			   {.entry = 2, .index = 0, .value = 1}},
	.imm = "helloworld!"};

static bool takes_call(const struct call_table *t)
{
	struct wire_args_view view;
	bool taken = wire_parse_call_args((const uint8_t *)t, sizeof *t, &view);
	if (taken) {
		assert_int_equal(view.size, sizeof *t);
		assert_ptr_equal(view.entries, t->entries);
		assert_ptr_equal(view.ranges, t->ranges);
		assert_ptr_equal(view.bounds, t->bounds);
		assert_ptr_equal(view.imm, t->imm);
	}
	return taken;
}

/* Changes one thing of a good table and asks whether it is still taken. */
#define CALL_WITH(change)                \
	({                                   \
		struct call_table t = good_call; \
		change;                          \
		takes_call(&t);                  \
	})

static void rules_of_call_entries(void **state)
{
	assert_memory_equal(&good_call, call_request_refine_bytes + 32, sizeof good_call);
	assert_true(CALL_WITH((void)0));
	assert_false(CALL_WITH(t.entries[0].kind = WIRE_ENTRY_SLOT));
	assert_false(CALL_WITH(t.entries[0].cap = 1));
	assert_false(CALL_WITH(t.entries[0].on_error = 4));
	assert_true(CALL_WITH(t.entries[0].on_error = 3));
	assert_true(CALL_WITH(t.entries[0].on_error = 0));
	assert_false(CALL_WITH(t.entries[1].kind = WIRE_ENTRY_CALL));
	assert_false(CALL_WITH(t.entries[1].kind = 4));
	assert_false(CALL_WITH(t.entries[1].cap = WIRE_IN_CALL | 1));
	assert_false(CALL_WITH(t.entries[1].offset = 1));
	assert_false(CALL_WITH(t.entries[1].length = 1));
	assert_false(CALL_WITH(t.entries[1].drop = 1));
	assert_false(CALL_WITH(t.entries[1].on_error = 1));
	assert_false(CALL_WITH(t.entries[1].zero = 1));
	assert_false(CALL_WITH(t.entries[2].on_error = 2));
	assert_false(CALL_WITH(t.entries[2].on_error = 3));
	assert_false(CALL_WITH(t.entries[2].length = 1));
	assert_true(CALL_WITH(t.entries[2].cap = WIRE_IN_CALL | 1));
	assert_false(CALL_WITH(t.entries[2].cap = WIRE_IN_CALL | 2));
	assert_false(CALL_WITH(t.entries[2].cap = WIRE_IN_CALL | 3));
	assert_false(CALL_WITH(t.entries[2].cap = WIRE_IN_CALL));
	assert_false(CALL_WITH(t.entries[2].cap = WIRE_IN_CALL | 0x100000001));
	assert_true(CALL_WITH(t.entries[3].cap = WIRE_IN_CALL | 2));
	assert_false(CALL_WITH(t.entries[3].cap = WIRE_IN_CALL | 3));
	assert_false(CALL_WITH(t.entries[3].on_error = 1));
	assert_false(CALL_WITH(t.entries[3].drop = 4));
}

static void rules_of_ranges(void **state)
{
	assert_false(CALL_WITH(t.ranges[0].length = 0));
	assert_false(CALL_WITH(t.ranges[0].zero16 = 1));
	assert_false(CALL_WITH(t.ranges[0].zero32 = 1));
	assert_false(CALL_WITH(t.ranges[0].entry = 1)); /* a slot has no arguments */
	assert_false(CALL_WITH(t.ranges[1].entry = 3)); /* nor has a Memory */
	assert_false(CALL_WITH(t.ranges[1].entry = 4));
	assert_false(CALL_WITH((t.ranges[0].entry = 2, t.ranges[1].entry = 0)));
	assert_true(CALL_WITH(t.ranges[1].entry = 0));
	assert_true(CALL_WITH((t.ranges[1].entry = 0, t.ranges[1].offset = 69)));
	assert_false(CALL_WITH((t.ranges[1].entry = 0, t.ranges[1].offset = 68)));
	assert_false(CALL_WITH((t.ranges[1].entry = 0, t.ranges[1].offset = 10)));
	assert_true(CALL_WITH(t.ranges[1].offset = FOS_IMM_MAX - 6));
	assert_false(CALL_WITH(t.ranges[1].offset = FOS_IMM_MAX - 5));
	assert_false(CALL_WITH(t.ranges[1].offset = UINT32_MAX));
	assert_false(CALL_WITH(t.ranges[1].length = 7));
	assert_false(CALL_WITH(t.ranges[1].length = UINT32_MAX));
	assert_false(CALL_WITH(t.head.imm_bytes = 10));
	assert_false(CALL_WITH(t.head.imm_bytes = 12));
	for (size_t i = 11; i < 16; i++)
		assert_false(CALL_WITH(t.imm[i] = 1));
}

static void rules_of_bounds(void **state)
{
	assert_false(CALL_WITH(t.bounds[0].value = 0));
	assert_false(CALL_WITH(t.bounds[0].value = 4));
	assert_false(CALL_WITH(t.bounds[0].zero = 1));
	assert_false(CALL_WITH(t.bounds[1].index = 0)); /* bound twice */
	assert_true(CALL_WITH(t.bounds[1].index = FOS_CAPS_MAX - 1));
	assert_false(CALL_WITH(t.bounds[1].index = FOS_CAPS_MAX));
	assert_false(CALL_WITH((t.bounds[0].index = 2, t.bounds[1].index = 1)));
	assert_false(CALL_WITH(t.bounds[2].entry = 1)); /* a slot has no arguments */
	assert_false(CALL_WITH(t.bounds[2].entry = 3)); /* nor has a Memory */
	assert_false(CALL_WITH(t.bounds[2].value = 2)); /* itself */
	assert_false(CALL_WITH(t.bounds[2].value = 3)); /* a higher one */
	assert_false(CALL_WITH(t.bounds[2].value = 0));
	assert_false(CALL_WITH((t.bounds[0].entry = 2, t.bounds[2].entry = 0)));
}

static void rules_of_counts(void **state)
{
	assert_false(CALL_WITH(t.head.entry_count = 0));
	assert_false(CALL_WITH(t.head.entry_count = FOS_ENTRIES_MAX + 1));
	assert_false(CALL_WITH(t.head.range_count = FOS_RANGES_MAX + 1));
	assert_false(CALL_WITH(t.head.bound_count = 2 * FOS_ENTRIES_MAX + 1));
	assert_false(CALL_WITH(t.head.imm_bytes = FOS_IMM_TOTAL + 1));
	assert_false(CALL_WITH(t.head.zero16 = 1));
	assert_false(CALL_WITH(t.head.zero32 = 1));
	assert_false(CALL_WITH(t.head.entry_count = UINT16_MAX));
	struct wire_args_view view;
	for (size_t size = 0; size < sizeof good_call; size++)
		assert_false(wire_parse_call_args((const uint8_t *)&good_call, size, &view));
}

/* As many of everything as there may be. */
static void the_largest_table(void **state)
{
	static struct {
		struct wire_args head;
		struct wire_call_entry entries[FOS_ENTRIES_MAX];
		struct wire_range ranges[FOS_RANGES_MAX];
		struct wire_bound bounds[2 * FOS_ENTRIES_MAX];
		uint8_t imm[FOS_IMM_TOTAL];
	} t = {.head = {.entry_count = FOS_ENTRIES_MAX,
					.range_count = FOS_RANGES_MAX,
					.bound_count = 2 * FOS_ENTRIES_MAX,
					.imm_bytes = FOS_IMM_TOTAL}};
	/* Three entries have all ranges, three all bounds, which name the first two. */
	for (unsigned i = 1; i < FOS_ENTRIES_MAX; i++)
		t.entries[i] = (struct wire_call_entry){.kind = WIRE_ENTRY_REFINE, .cap = 1};
	for (unsigned i = 0; i < FOS_RANGES_MAX; i++)
		t.ranges[i] = (struct wire_range){.entry = (uint16_t)(i / 32),
										  .offset = i % 32 * 200,
										  .length = FOS_IMM_TOTAL / FOS_RANGES_MAX};
	t.ranges[FOS_RANGES_MAX - 1].length += FOS_IMM_TOTAL % FOS_RANGES_MAX;
	for (unsigned i = 0; i < 2 * FOS_ENTRIES_MAX; i++)
		t.bounds[i] = (struct wire_bound){
			.entry = (uint16_t)(i / 32 + 2), .index = (uint16_t)(i % 32), .value = 1};
	struct wire_args_view view;
	assert_true(wire_parse_call_args((const uint8_t *)&t, sizeof t, &view));
	assert_int_equal(view.size, sizeof t);
}

struct message_table {
	struct wire_args head;
	struct wire_entry entries[3];
	struct wire_bound bounds[2];
};

static const struct message_table good_message = {
	.head = {.entry_count = 3, .bound_count = 2},
	.entries = {{.on_error = 2},
				{.epoch = 1, .serial = 2, .node = 3, .index = 4, .length = 5, .kind = FOS_MEMORY},
				{.epoch = 1, .serial = 2, .node = 3, .index = 4, .kind = FOS_REQUEST}},
	.bounds = {{.entry = 0, .value = 2}, {.entry = 2, .value = 1}}};

static bool takes_message(const struct message_table *t)
{
	struct wire_args_view view;
	return wire_parse_args((const uint8_t *)t, sizeof *t, &view) && view.size == sizeof *t;
}

#define MESSAGE_WITH(change)                   \
	({                                         \
		struct message_table t = good_message; \
		change;                                \
		takes_message(&t);                     \
	})

static void rules_of_message_entries(void **state)
{
	assert_true(MESSAGE_WITH((void)0));
	assert_false(MESSAGE_WITH(t.entries[0].kind = FOS_REQUEST));
	assert_false(MESSAGE_WITH(t.entries[0].epoch = 1));
	assert_false(MESSAGE_WITH(t.entries[0].serial = 1));
	assert_false(MESSAGE_WITH(t.entries[0].node = 1));
	assert_false(MESSAGE_WITH(t.entries[0].index = 1));
	assert_false(MESSAGE_WITH(t.entries[0].rights = 1));
	assert_false(MESSAGE_WITH(t.entries[0].on_error = 3));
	assert_false(MESSAGE_WITH(t.entries[1].kind = 0));
	assert_false(MESSAGE_WITH(t.entries[1].kind = 3));
	assert_false(MESSAGE_WITH(t.entries[1].rights = 4));
	assert_true(MESSAGE_WITH(t.entries[1].rights = 3));
	assert_false(MESSAGE_WITH(t.entries[1].on_error = 1));
	assert_false(MESSAGE_WITH(t.entries[1].length = 0));
	assert_false(MESSAGE_WITH(t.entries[1].offset = UINT64_MAX - 4));
	assert_true(MESSAGE_WITH(t.entries[1].offset = UINT64_MAX - 5));
	assert_true(MESSAGE_WITH(t.entries[1].tracked = 1));
	assert_false(MESSAGE_WITH(t.entries[1].tracked = 2));
	assert_false(MESSAGE_WITH(t.entries[0].tracked = 1));
	assert_true(MESSAGE_WITH(t.entries[2].tracked = 1));
	assert_false(MESSAGE_WITH(t.entries[1].zero8 = 1));
	assert_false(MESSAGE_WITH(t.entries[1].zero16 = 1));
	assert_false(MESSAGE_WITH(t.entries[2].length = 1));
	assert_false(MESSAGE_WITH(t.entries[2].offset = 1));
	assert_false(MESSAGE_WITH(t.entries[2].rights = 1));
	assert_false(MESSAGE_WITH(t.entries[2].on_error = 2));
	assert_true(MESSAGE_WITH(t.entries[2].on_error = 1));
	assert_false(MESSAGE_WITH(t.bounds[1].value = 2));
	assert_false(MESSAGE_WITH((t.bounds[1].entry = 1)));
}

/* ------------------------------------------------------------------ other tails */

#define WITH_BYTE(golden, at, value, checker)                        \
	({                                                               \
		uint8_t *t = copy_of(golden##_bytes, sizeof golden##_bytes); \
		t[at] = (value);                                             \
		bool taken = checker(t, sizeof golden##_bytes);              \
		free(t);                                                     \
		taken;                                                       \
	})

static void rules_of_exceptions(void **state)
{
	enum { AT = sizeof(struct wire_message_error) };
	assert_true(WITH_BYTE(message_error, AT, FOS_BUSY, wire_check_message));
	assert_false(WITH_BYTE(message_error, AT, FOS_OK, wire_check_message));
	assert_false(WITH_BYTE(message_error, AT, FOS_STATUS_COUNT, wire_check_message));
	assert_false(
		WITH_BYTE(message_error, AT + 12, 2, wire_check_message)); /* text in the padding */
	assert_false(WITH_BYTE(message_error, AT + 13, 0x10, wire_check_message));
	assert_false(WITH_BYTE(message_error, AT + 16, '\n', wire_check_message));
	assert_false(WITH_BYTE(message_error, AT + 16, 0, wire_check_message)); /* not padded */
	assert_false(WITH_BYTE(message_error, AT + 16 + 63, 1, wire_check_message));
	assert_false(WITH_BYTE(message_error, AT + 80 + 3, 1, wire_check_message));
	static uint8_t longest[sizeof(struct wire_exception) + FOS_DETAIL_MAX];
	struct wire_exception *e = (void *)longest;
	const struct wire_exception *out;
	const uint8_t *detail;
	size_t used;
	*e = (struct wire_exception){.status = FOS_BUSY, .detail_len = FOS_DETAIL_MAX - 1};
	assert_true(wire_parse_exception(longest, sizeof longest, &out, &detail, &used));
	assert_int_equal(used, sizeof longest);
	assert_false(wire_parse_exception(longest, sizeof longest - 1, &out, &detail, &used));
	e->detail_len++;
	assert_false(wire_parse_exception(longest, sizeof longest, &out, &detail, &used));
	/* An ERROR is nothing without its exception. */
	size_t flag = offsetof(struct wire_message_error, exception);
	assert_false(WITH_BYTE(message_error, flag, 0, wire_check_message));
	assert_false(WITH_BYTE(message_error, flag, 2, wire_check_message));
}

static void bounces_bring_no_arguments(void **state)
{
	size_t flag = offsetof(struct wire_message_bounce, exception);
	size_t on_error = sizeof(struct wire_message_bounce) + sizeof(struct wire_args) +
					  offsetof(struct wire_entry, on_error);
	assert_true(WITH_BYTE(message_bounce, on_error, 0, wire_check_message));
	assert_false(WITH_BYTE(message_bounce, on_error, 1, wire_check_message));
	assert_false(WITH_BYTE(message_bounce, flag, 1, wire_check_message));
}

static void rules_of_deliveries(void **state)
{
	enum { RANGES = sizeof(struct wire_answer_delivery), CAPS = RANGES + 32, END = CAPS + 64 + 88 };
	assert_true(WITH_BYTE(answer_delivery, RANGES + 4, 63, wire_check_answer));
	assert_false(WITH_BYTE(answer_delivery, RANGES, 1, wire_check_answer));
	assert_false(WITH_BYTE(answer_delivery, RANGES + 4, 67, wire_check_answer)); /* adjacent */
	assert_false(WITH_BYTE(answer_delivery, RANGES + 4, 68, wire_check_answer));
	assert_false(WITH_BYTE(answer_delivery, RANGES + 4, 90, wire_check_answer));
	assert_false(WITH_BYTE(answer_delivery, RANGES + 8, 4, wire_check_answer));
	assert_false(WITH_BYTE(answer_delivery, CAPS, 0, wire_check_answer));      /* no slot */
	assert_false(WITH_BYTE(answer_delivery, CAPS + 24, 0, wire_check_answer)); /* offset without */
	assert_false(WITH_BYTE(answer_delivery, CAPS + 28, 4, wire_check_answer)); /* index twice */
	assert_false(WITH_BYTE(answer_delivery, CAPS + 29, 0, wire_check_answer));
	assert_false(WITH_BYTE(answer_delivery, CAPS + 30, 4, wire_check_answer));
	assert_false(WITH_BYTE(answer_delivery, CAPS + 31, 1, wire_check_answer));
	assert_false(WITH_BYTE(answer_delivery, CAPS + 32 + 16, 1, wire_check_answer));
	assert_false(WITH_BYTE(answer_delivery, CAPS + 32 + 28, FOS_CAPS_MAX, wire_check_answer));
	assert_false(WITH_BYTE(answer_delivery, END + 11, 1, wire_check_answer)); /* padding */
	assert_false(WITH_BYTE(answer_delivery, 16, 0, wire_check_answer) &&
				 answer_delivery_bytes[17] == 0);
}

static void rules_of_text(void **state)
{
	enum { TEXT = sizeof(struct wire_call_fail) };
	size_t length = offsetof(struct wire_call_fail, length);
	assert_true(WITH_BYTE(call_fail, length, 8, wire_check_call));
	assert_false(WITH_BYTE(call_fail, length, 9, wire_check_call));
	assert_false(WITH_BYTE(call_fail, length, 4, wire_check_call)); /* text in the padding */
	assert_false(WITH_BYTE(call_fail, TEXT + 5, 'x', wire_check_call));
	size_t label = offsetof(struct wire_attach_attach, label);
	assert_true(WITH_BYTE(attach_attach, label + 3, 'x', wire_check_attach));
	assert_false(WITH_BYTE(attach_attach, label + 4, 'x', wire_check_attach));
	assert_true(WITH_BYTE(attach_attach, label, ' ', wire_check_attach));
	assert_true(WITH_BYTE(attach_attach, label, '~', wire_check_attach));
	assert_false(WITH_BYTE(attach_attach, label, 0x1f, wire_check_attach));
	assert_false(WITH_BYTE(attach_attach, label, 0x7f, wire_check_attach));
	assert_false(WITH_BYTE(attach_attach, label, 0xc3, wire_check_attach));
	assert_false(WITH_BYTE(attach_attach, 8, 1, wire_check_attach)); /* cookie */
}

static void rules_of_slices(void **state)
{
	_Alignas(8) struct {
		struct wire_message_data data;
		struct wire_args args;
		struct wire_entry entry;
		uint8_t bytes[11];
	} __attribute__((packed))
	m = {.data = {.header = {.size = sizeof m, .type = WIRE_MESSAGE_TYPE_DATA},
				  .total = 100,
				  .offset = 50,
				  .length = 11},
		 .args = {.entry_count = 1}};
	const uint8_t *bytes = (const uint8_t *)&m;
	struct wire_tail tail;
	assert_true(wire_check_message(bytes, sizeof m));
	wire_message_tail(bytes, &tail);
	assert_ptr_equal(tail.data, bytes + sizeof m - 11);
	assert_int_equal(tail.data_len, 11);
	m.data.last = 1;
	assert_false(wire_check_message(bytes, sizeof m)); /* the last ends at the total */
	m.data.total = 61;
	assert_true(wire_check_message(bytes, sizeof m));
	m.data.first = 1;
	assert_false(wire_check_message(bytes, sizeof m)); /* the first begins at 0 */
	m.data.first = 0;
	m.data.total = 60;
	assert_false(wire_check_message(bytes, sizeof m));
	m.data.total = 61;
	m.data.base = UINT64_MAX - 60;
	assert_false(wire_check_message(bytes, sizeof m));
	m.data.base = 0;
	m.data.length = 12;
	assert_false(wire_check_message(bytes, sizeof m));
	m.data.length = 11;
	m.data.status = FOS_REVOKED; /* given up: without bytes, and the last */
	m.data.last = 0;
	assert_false(wire_check_message(bytes, sizeof m));
	m.data.length = 0;
	m.data.header.size -= 11;
	assert_false(wire_check_message(bytes, sizeof m - 11));
	m.data.last = 1;
	assert_true(wire_check_message(bytes, sizeof m - 11));
	/* Arguments come with the first slice only. */
	uint8_t *copy = copy_of(message_data_bytes, sizeof message_data_bytes);
	assert_true(wire_check_message(copy, sizeof message_data_bytes));
	((struct wire_message_data *)(void *)copy)->first = 0;
	assert_false(wire_check_message(copy, sizeof message_data_bytes));
	free(copy);
}

static void tails_are_found(void **state)
{
	struct wire_tail tail;
	_Alignas(8) uint8_t copy[1024];
	memcpy(copy, message_error_bytes, sizeof message_error_bytes);
	wire_message_tail(copy, &tail);
	assert_int_equal(tail.exception->status, FOS_DEVICE);
	assert_string_equal(tail.exception->where, "storage/blk");
	assert_memory_equal(tail.detail, "bad", 3);
	assert_int_equal(tail.args.head->entry_count, 3);
	assert_memory_equal(tail.args.imm, "helloworld!", 11);
	memcpy(copy, message_data_bytes, sizeof message_data_bytes);
	wire_message_tail(copy, &tail);
	assert_int_equal(tail.data_len, 5);
	assert_memory_equal(tail.data, "bytes", 5);
	memcpy(copy, call_fail_bytes, sizeof call_fail_bytes);
	wire_call_tail(copy, &tail);
	assert_int_equal(tail.data_len, 5);
	assert_memory_equal(tail.data, "wrong", 5);
	memcpy(copy, call_null_bytes, sizeof call_null_bytes);
	wire_call_tail(copy, &tail);
	assert_null(tail.args.head);
	memcpy(copy, message_room_bytes, sizeof message_room_bytes);
	wire_message_tail(copy, &tail);
	assert_null(tail.args.head);
}

static void the_table_answers(void **state)
{
	assert_int_equal(wire_message_class(WIRE_MESSAGE_TYPE_DATA), WIRE_CLASS_DATA);
	assert_int_equal(wire_message_class(WIRE_MESSAGE_TYPE_BOUNCE), WIRE_CLASS_ANSWER);
	assert_true(wire_message_on_bulk(WIRE_MESSAGE_TYPE_DATA));
	assert_false(wire_message_on_bulk(WIRE_MESSAGE_TYPE_INVOKE));
	assert_int_equal(wire_class_credits(WIRE_CLASS_INVOKE), 256);
	assert_int_equal(wire_class_credits(WIRE_CLASS_ANSWER), 0);
	assert_string_equal(wire_call_name(WIRE_CALL_TYPE_CONTINUE), "continue");
	assert_string_equal(wire_call_name(50), "unknown");
	assert_string_equal(wire_call_name(UINT16_MAX), "unknown");
	assert_string_equal(wire_message_name(WIRE_MESSAGE_TYPE_COPY_DONE), "copy_done");
	assert_string_equal(wire_message_name(0), "unknown");
	assert_string_equal(wire_message_name(UINT8_MAX), "unknown");
}

/* ------------------------------------------------------------------ the printer */

static void expect_line(const uint8_t *bytes, size_t size, bool message, const char *expected)
{
	char line[1024];
	_Alignas(8) uint8_t copy[1024];
	memcpy(copy, bytes, size);
	int n = message ? wire_print_message(line, sizeof line, copy, size)
					: wire_print_record(line, sizeof line, copy, size);
	assert_string_equal(line, expected);
	assert_int_equal(n, strlen(expected));
	/* Cut, not overrun, where there is less room. */
	for (size_t room = 1; room < (size_t)n; room++) {
		char *small = malloc(room);
		assert_int_equal(message ? wire_print_message(small, room, copy, size)
								 : wire_print_record(small, room, copy, size),
						 n);
		assert_int_equal(strlen(small), room - 1);
		assert_memory_equal(small, expected, room - 1);
		free(small);
	}
}

#define EXPECT_RECORD(golden, text)  expect_line(golden##_bytes, sizeof golden##_bytes, false, text)
#define EXPECT_MESSAGE(golden, text) expect_line(golden##_bytes, sizeof golden##_bytes, true, text)

static void lines_read_well(void **state)
{
	EXPECT_RECORD(call_null, "null cookie=0x807060504030201");
	EXPECT_RECORD(call_fail, "fail cookie=0x807060504030201 delivery=0x1716151413121110 "
							 "status=DEVICE length=5 \"wrong\"");
	EXPECT_RECORD(
		call_request_refine,
		"request_refine cookie=0x807060504030201 cap=0x1716151413121110 revocable=1 tracked=1 "
		"{#0 call on_error #1 imm[64+5] cap[0]=#2 cap[1]=#3; #1 slot 0x55; "
		"#2 refine 0x66 on_error #1 imm[72+6] cap[0]=#1; "
		"#3 diminish 0x77 [16+32) drop 1}");
	EXPECT_RECORD(answer_delivery,
				  "delivery cookie=0x807060504030201 delivery=0x1716151413121110 "
				  "trace=0x2726252423222120 span=0x3736353433323130 time_left=0x4746454443424140 "
				  "imm_bytes=11 range_count=2 cap_count=2 exception=1 "
				  "{ imm[64+5] imm[72+6] cap[1]=0x88 memory cap[4]=0x99 request } "
				  "!DEVICE at \"storage/blk\" (node 2, process 5): \"bad\"");
	EXPECT_RECORD(attach_attach, "attach cookie=0 version=1 label=\"blk\"");
	EXPECT_MESSAGE(message_copy_done,
				   "copy_done #1144201745 copy=0x1716151413121110 epoch=0x2726252423222120 "
				   "status=OUTCOME_UNKNOWN credits[0]=1 credits[1]=2 credits[2]=3 credits[3]=4 "
				   "credits[4]=5 credits[5]=6");
	EXPECT_MESSAGE(message_error,
				   "error #1144201745 epoch=0x1716151413121110 serial=0x2726252423222120 "
				   "trace=0x3736353433323130 span=0x4746454443424140 time_left=0x5756555453525150 "
				   "order=0x6766656463626160 index=1936879984 retry=1 exception=1 more=41376 "
				   "credits[0]=1 credits[1]=2 credits[2]=3 credits[3]=4 credits[4]=5 credits[5]=6 "
				   "!DEVICE at \"storage/blk\" (node 2, process 5): \"bad\" "
				   "{#0 call on_error #2 imm[64+5] cap[0]=#2 cap[2]=#1; "
				   "#1 memory 2/e1/17/81 [256+512) rights 3; "
				   "#2 request 3/e2/18/82 tracked imm[72+6] cap[1]=#1}");
	/* What follows the last range, and the last capability, looks like another one. */
	_Alignas(8) struct {
		struct wire_call_request_refine call;
		struct wire_args args;
		struct wire_call_entry entries[2];
		struct wire_range range;
		struct wire_bound bound;
		uint8_t imm[16];
	} refine = {.call = {.header = {.size = sizeof refine, .type = WIRE_CALL_TYPE_REQUEST_REFINE},
						 .cap = 5},
				.args = {.entry_count = 2, .range_count = 1, .bound_count = 1, .imm_bytes = 16},
				.entries = {{0}, {.kind = WIRE_ENTRY_SLOT, .cap = 6}},
				.range = {.length = 16},
				.bound = {.index = 3, .value = 1}};
	expect_line((const uint8_t *)&refine, sizeof refine, false,
				"request_refine cookie=0 cap=5 revocable=0 tracked=0 "
				"{#0 call imm[0+16] cap[3]=#1; #1 slot 0x6}");
	/* What a terminal would obey is a dot. */
	_Alignas(8) uint8_t copy[sizeof call_fail_bytes];
	memcpy(copy, call_fail_bytes, sizeof copy);
	memcpy(copy + sizeof(struct wire_call_fail), " ~\x1f\x7f\n", 5);
	expect_line(copy, sizeof copy, false,
				"fail cookie=0x807060504030201 delivery=0x1716151413121110 "
				"status=DEVICE length=5 \" ~...\"");
	char line[64];
	assert_true(wire_print_record(line, sizeof line, call_null_bytes, 8) > 0);
	assert_string_equal(line, "malformed record of 8 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_what_they_always_were),
		cmocka_unit_test(each_has_a_golden),
		cmocka_unit_test(kinds_are_not_mixed_up),
		cmocka_unit_test(truncations_are_refused),
		cmocka_unit_test(corruptions_are_refused_or_valid),
		cmocka_unit_test(headers_are_strict),
		cmocka_unit_test(types_that_are_none),
		cmocka_unit_test(credits_stay_inside_their_class),
		cmocka_unit_test(rules_of_call_entries),
		cmocka_unit_test(rules_of_ranges),
		cmocka_unit_test(rules_of_bounds),
		cmocka_unit_test(rules_of_counts),
		cmocka_unit_test(the_largest_table),
		cmocka_unit_test(rules_of_message_entries),
		cmocka_unit_test(rules_of_exceptions),
		cmocka_unit_test(bounces_bring_no_arguments),
		cmocka_unit_test(rules_of_deliveries),
		cmocka_unit_test(rules_of_text),
		cmocka_unit_test(rules_of_slices),
		cmocka_unit_test(tails_are_found),
		cmocka_unit_test(the_table_answers),
		cmocka_unit_test(lines_read_well),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
