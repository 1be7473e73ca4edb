/* Records and messages as one line of text, for logs, traces and test failures. Only what has been
 * checked is printed, so every count may be believed; the line is cut where the buffer ends. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "wire/wire.h"

struct line {
	char *out;
	size_t size;
	size_t length; /* of the whole text, as if there were room */
};

__attribute__((format(printf, 2, 3))) static void put(struct line *line, const char *format, ...)
{
	va_list args;
	bool room = line->length < line->size;
	va_start(args, format);
	int n = vsnprintf(room ? line->out + line->length : NULL, room ? line->size - line->length : 0,
					  format, args);
	va_end(args);
	BASE_ASSERT(n >= 0);
	line->length += (size_t)n;
}

/* Text of another: what a terminal would obey is shown as a dot. */
static void put_text(struct line *line, const uint8_t *text, size_t len)
{
	put(line, "\"");
	for (size_t i = 0; i < len && text[i] != 0; i++)
		put(line, "%c", text[i] >= 0x20 && text[i] <= 0x7e ? text[i] : '.');
	put(line, "\"");
}

/* ------------------------------------------------------------------ fixed fields, from the table
 */

enum how { HOW_NUMBER, HOW_STATUS, HOW_NOT };
#define HOW_ANY    HOW_NUMBER
#define HOW_ZERO   HOW_NOT
#define HOW_BOOL   HOW_NUMBER
#define HOW_MAX(n) HOW_NUMBER
#define HOW_MIN1   HOW_NUMBER
#define HOW_LABEL  HOW_NUMBER

/* Numbers that look like names (slots, epochs, serials) in hexadecimal, others as people count. */
static void put_number(struct line *line, const char *name, uint64_t value, enum how how)
{
	if (how == HOW_STATUS)
		put(line, " %s=%s", name, fos_status_name((fos_status)value));
	else if (how == HOW_NUMBER)
		put(line, value >> 32 ? " %s=0x%" PRIx64 : " %s=%" PRIu64, name, value);
}

static void put_label(struct line *line, const char *name, const char *label, enum how how)
{
	(void)how;
	put(line, " %s=", name);
	put_text(line, (const uint8_t *)label, FOS_LABEL_MAX);
}

#define PUT_u8                       put_number
#define PUT_u16                      put_number
#define PUT_u32                      put_number
#define PUT_u64                      put_number
#define PUT_label                    put_label
#define PUT_FIELD(type, name, check) PUT_##type(line, #name, r->name, HOW_##check);
#define PRINT(record, fields)                                           \
	static void print_##record(struct line *line, const uint8_t *bytes) \
	{                                                                   \
		const struct wire_##record *const r = (const void *)bytes;      \
		(void)r, (void)line;                                            \
		fields(PUT_FIELD)                                               \
	}
#define PRINT_CALL(NAME, name, number, tail, text)   PRINT(call_##name, WIRE_CALL_##NAME)
#define PRINT_ANSWER(NAME, name, number, tail, text) PRINT(answer_##name, WIRE_ANSWER_##NAME)
#define PRINT_ATTACH(NAME, name, number, tail, text) PRINT(attach_##name, WIRE_ATTACH_##NAME)
#define PRINT_MESSAGE(NAME, name, number, class, lane, tail, text) \
	PRINT(message_##name, WIRE_MESSAGE_##NAME)
WIRE_CALLS(PRINT_CALL)
WIRE_ANSWERS(PRINT_ANSWER)
WIRE_ATTACHES(PRINT_ATTACH)
WIRE_MESSAGES(PRINT_MESSAGE)

struct printer {
	const char *name;
	void (*print)(struct line *line, const uint8_t *bytes);
};

#define ROW_CALL(NAME, name, number, tail, text)   [number] = {#name, print_call_##name},
#define ROW_ANSWER(NAME, name, number, tail, text) [number] = {#name, print_answer_##name},
#define ROW_ATTACH(NAME, name, number, tail, text) [number] = {#name, print_attach_##name},
#define ROW_MESSAGE(NAME, name, number, class, lane, tail, text) \
	[number] = {#name, print_message_##name},
static const struct printer records[] = {WIRE_CALLS(ROW_CALL) WIRE_ANSWERS(ROW_ANSWER)
											 WIRE_ATTACHES(ROW_ATTACH)};
static const struct printer messages[] = {WIRE_MESSAGES(ROW_MESSAGE)};

/* ------------------------------------------------------------------ tails */

static void put_cap(struct line *line, uint64_t cap)
{
	if ((cap & WIRE_IN_CALL) == WIRE_IN_CALL)
		put(line, "#%" PRIu64, cap & ~WIRE_IN_CALL);
	else
		put(line, "0x%" PRIx64, cap);
}

static void put_call_entry(struct line *line, const struct wire_call_entry *e)
{
	switch (e->kind) {
	case WIRE_ENTRY_CALL:
		put(line, "call");
		break;
	case WIRE_ENTRY_SLOT:
		put(line, "slot ");
		put_cap(line, e->cap);
		break;
	case WIRE_ENTRY_REFINE:
		put(line, "refine ");
		put_cap(line, e->cap);
		break;
	default:
		put(line, "diminish ");
		put_cap(line, e->cap);
		put(line, " [%" PRIu64 "+%" PRIu64 ") drop %u", e->offset, e->length, e->drop);
	}
	if (e->on_error != 0)
		put(line, " on_error #%u", e->on_error);
}

static void put_entry(struct line *line, const struct wire_entry *e)
{
	if (e->kind == 0)
		put(line, "call");
	else
		put(line, "%s %" PRIu32 "/%" PRIx64 "/%" PRIu32 "/%" PRIu64,
			e->kind == FOS_MEMORY ? "memory" : "request", e->node, e->epoch, e->index, e->serial);
	if (e->kind == FOS_MEMORY)
		put(line, " [%" PRIu64 "+%" PRIu64 ") rights %u", e->offset, e->length, e->rights);
	if (e->tracked)
		put(line, " tracked");
	if (e->on_error != 0)
		put(line, " on_error #%u", e->on_error);
}

/* "{#0 call imm[64+8] cap[0]=#1; #1 slot 0x5}" */
static void put_args(struct line *line, const struct wire_args_view *args, bool call)
{
	unsigned range = 0, bound = 0;
	put(line, " {");
	for (unsigned i = 0; i < args->head->entry_count; i++) {
		put(line, "%s#%u ", i ? "; " : "", i);
		if (call)
			put_call_entry(line, (const struct wire_call_entry *)args->entries + i);
		else
			put_entry(line, (const struct wire_entry *)args->entries + i);
		for (; range < args->head->range_count && args->ranges[range].entry == i; range++)
			put(line, " imm[%" PRIu32 "+%" PRIu32 "]", args->ranges[range].offset,
				args->ranges[range].length);
		for (; bound < args->head->bound_count && args->bounds[bound].entry == i; bound++)
			put(line, " cap[%u]=#%u", args->bounds[bound].index, args->bounds[bound].value);
	}
	put(line, "}");
}

static void put_exception(struct line *line, const struct wire_exception *e)
{
	put(line, " !%s at ", fos_status_name((fos_status)e->status));
	put_text(line, (const uint8_t *)e->where, sizeof e->where);
	put(line, " (node %" PRIu32 ", process %" PRIu32 ")", e->node, e->process);
	if (e->detail_len != 0) {
		put(line, ": ");
		put_text(line, (const uint8_t *)(e + 1), e->detail_len);
	}
}

static void put_delivery_parts(struct line *line, const uint8_t *bytes)
{
	const struct wire_answer_delivery *d = (const void *)bytes;
	const struct wire_range *ranges = (const void *)(d + 1);
	const struct wire_delivered *caps = (const void *)(ranges + d->range_count);
	put(line, " {");
	for (unsigned i = 0; i < d->range_count; i++)
		put(line, " imm[%" PRIu32 "+%" PRIu32 "]", ranges[i].offset, ranges[i].length);
	for (unsigned i = 0; i < d->cap_count; i++)
		put(line, " cap[%u]=0x%" PRIx64 " %s", caps[i].index, caps[i].cap,
			caps[i].kind == FOS_MEMORY ? "memory" : "request");
	put(line, " }");
	if (d->exception)
		put_exception(line, (const void *)(caps + d->cap_count));
}

/* ------------------------------------------------------------------ lines */

static int finish(const struct line *line)
{
	return (int)line->length;
}

int wire_print_record(char *out, size_t out_size, const uint8_t *bytes, size_t size)
{
	const struct wire_record *head = (const void *)bytes;
	struct line line = {.out = out, .size = out_size};
	if (!wire_check_call(bytes, size) && !wire_check_answer(bytes, size) &&
		!wire_check_attach(bytes, size)) {
		put(&line, "malformed record of %zu bytes", size);
		return finish(&line);
	}
	put(&line, "%s", records[head->type].name);
	put_number(&line, "cookie", head->cookie, HOW_NUMBER);
	records[head->type].print(&line, bytes);
	if (head->type == WIRE_ANSWER_TYPE_DELIVERY)
		put_delivery_parts(&line, bytes);
	if (head->type >= WIRE_ANSWER_TYPE_COMPLETION)
		return finish(&line);
	struct wire_tail tail;
	wire_call_tail(bytes, &tail);
	if (tail.args.head)
		put_args(&line, &tail.args, true);
	if (tail.data_len) {
		put(&line, " ");
		put_text(&line, tail.data, tail.data_len);
	}
	return finish(&line);
}

int wire_print_message(char *out, size_t out_size, const uint8_t *bytes, size_t size)
{
	const struct wire_message *head = (const void *)bytes;
	struct line line = {.out = out, .size = out_size};
	if (!wire_check_message(bytes, size)) {
		put(&line, "malformed message of %zu bytes", size);
		return finish(&line);
	}
	put(&line, "%s #%" PRIu32, messages[head->type].name, head->sequence);
	messages[head->type].print(&line, bytes);
	for (unsigned i = 0; i < WIRE_CLASS_COUNT; i++) {
		if (head->credits[i] != 0)
			put(&line, " credits[%u]=%u", i, head->credits[i]);
	}
	struct wire_tail tail;
	wire_message_tail(bytes, &tail);
	if (tail.exception)
		put_exception(&line, tail.exception);
	if (tail.args.head)
		put_args(&line, &tail.args, false);
	return finish(&line);
}
