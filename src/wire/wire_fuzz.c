/* libFuzzer's entry: any bytes as a call, an answer, an attach packet, a message. What is accepted
 * is printed, taken apart to its last field and put together again. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "wire/wire.h"

enum { FUZZ_LINE = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ------------------------------------------------------------------ once more from its parts */

/* What checks has one encoding: taken to its fields and parts and written anew from them, it is the
 * same bytes. So no byte of it was overlooked by the decoder. */
struct writer {
	uint8_t *bytes;
	size_t size;
};

static void put(struct writer *w, const void *bytes, size_t size)
{
	if (size > 0)
		memcpy(w->bytes + w->size, bytes, size);
	w->size += size;
}

static void pad(struct writer *w)
{
	while (w->size % 8 != 0)
		w->bytes[w->size++] = 0;
}

#define COPY_FIELD(type, name, check) memcpy(&copy.name, &r->name, sizeof copy.name);

static void put_ranges(struct writer *w, const struct wire_range *ranges, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct wire_range range = {
			.entry = ranges[i].entry, .offset = ranges[i].offset, .length = ranges[i].length};
		put(w, &range, sizeof range);
	}
}

static void put_call_entry(struct writer *w, const struct wire_call_entry *e)
{
	const struct wire_call_entry copy = {.cap = e->cap,
										 .offset = e->offset,
										 .length = e->length,
										 .kind = e->kind,
										 .drop = e->drop,
										 .on_error = e->on_error};
	put(w, &copy, sizeof copy);
}

static void put_entry(struct writer *w, const struct wire_entry *e)
{
	const struct wire_entry copy = {.epoch = e->epoch,
									.serial = e->serial,
									.node = e->node,
									.index = e->index,
									.offset = e->offset,
									.length = e->length,
									.kind = e->kind,
									.rights = e->rights,
									.on_error = e->on_error,
									.tracked = e->tracked};
	put(w, &copy, sizeof copy);
}

static void put_args(struct writer *w, const struct wire_args_view *args, bool call)
{
	const struct wire_args *head = args->head;
	const struct wire_args copy = {.entry_count = head->entry_count,
								   .range_count = head->range_count,
								   .bound_count = head->bound_count,
								   .imm_bytes = head->imm_bytes};
	put(w, &copy, sizeof copy);
	for (unsigned i = 0; i < head->entry_count; i++) {
		if (call)
			put_call_entry(w, (const struct wire_call_entry *)args->entries + i);
		else
			put_entry(w, (const struct wire_entry *)args->entries + i);
	}
	put_ranges(w, args->ranges, head->range_count);
	for (unsigned i = 0; i < head->bound_count; i++) {
		const struct wire_bound *b = &args->bounds[i];
		const struct wire_bound bound = {.entry = b->entry, .index = b->index, .value = b->value};
		put(w, &bound, sizeof bound);
	}
	put(w, args->imm, head->imm_bytes);
	pad(w);
}

static void put_exception(struct writer *w, const struct wire_exception *e, const uint8_t *detail)
{
	struct wire_exception copy = {
		.status = e->status, .node = e->node, .process = e->process, .detail_len = e->detail_len};
	memcpy(copy.where, e->where, strnlen(e->where, sizeof e->where));
	put(w, &copy, sizeof copy);
	put(w, detail, e->detail_len);
	pad(w);
}

static void put_delivery(struct writer *w, const struct wire_answer_delivery *d)
{
	const struct wire_range *ranges = (const void *)(d + 1);
	const struct wire_delivered *caps = (const void *)(ranges + d->range_count);
	const uint8_t *at = (const uint8_t *)(caps + d->cap_count);
	put_ranges(w, ranges, d->range_count);
	for (unsigned i = 0; i < d->cap_count; i++) {
		const struct wire_delivered copy = {.cap = caps[i].cap,
											.offset = caps[i].offset,
											.length = caps[i].length,
											.segment = caps[i].segment,
											.index = caps[i].index,
											.kind = caps[i].kind,
											.rights = caps[i].rights};
		put(w, &copy, sizeof copy);
	}
	if (d->exception) {
		const struct wire_exception *exception;
		const uint8_t *detail;
		size_t used;
		BASE_ASSERT(wire_parse_exception(at, d->header.size - (size_t)(at - (const uint8_t *)d),
										 &exception, &detail, &used));
		put_exception(w, exception, detail);
		at += used;
	}
	put(w, at, d->imm_bytes);
	pad(w);
}

static void put_fixed_record(struct writer *w, const uint8_t *bytes)
{
	const struct wire_record *head = (const void *)bytes;
	switch (head->type) {
#define RECORD(group, GROUP)                                                             \
	{                                                                                    \
		const struct wire_##group *r = (const void *)bytes;                              \
		struct wire_##group copy = {                                                     \
			.header = {.size = head->size, .type = head->type, .cookie = head->cookie}}; \
		(void)r;                                                                         \
		GROUP(COPY_FIELD) put(w, &copy, sizeof copy);                                    \
		break;                                                                           \
	}
#define CALL(NAME, name, number, tail, text) \
	case number:                             \
		RECORD(call_##name, WIRE_CALL_##NAME)
#define ANSWER(NAME, name, number, tail, text) \
	case number:                               \
		RECORD(answer_##name, WIRE_ANSWER_##NAME)
#define ATTACH(NAME, name, number, tail, text) \
	case number:                               \
		RECORD(attach_##name, WIRE_ATTACH_##NAME)
		WIRE_CALLS(CALL)
		WIRE_ANSWERS(ANSWER)
		WIRE_ATTACHES(ATTACH)
#undef CALL
#undef ANSWER
#undef ATTACH
#undef RECORD
	default:
		abort();
	}
}

static void put_fixed_message(struct writer *w, const uint8_t *bytes)
{
	const struct wire_message *head = (const void *)bytes;
	switch (head->type) {
#define MESSAGE(NAME, name, number, class, lane, tail, text)                                 \
	case number: {                                                                           \
		const struct wire_message_##name *r = (const void *)bytes;                           \
		struct wire_message_##name copy = {                                                  \
			.header = {.size = head->size, .type = head->type, .sequence = head->sequence}}; \
		(void)r;                                                                             \
		memcpy(copy.header.credits, head->credits, WIRE_CLASS_COUNT);                        \
		WIRE_MESSAGE_##NAME(COPY_FIELD) put(w, &copy, sizeof copy);                          \
		break;                                                                               \
	}
		WIRE_MESSAGES(MESSAGE)
#undef MESSAGE
	default:
		abort();
	}
}

static void rebuild_record(struct writer *w, const uint8_t *bytes, bool call)
{
	struct wire_tail tail;
	put_fixed_record(w, bytes);
	if (((const struct wire_record *)(const void *)bytes)->type == WIRE_ANSWER_TYPE_DELIVERY)
		put_delivery(w, (const void *)bytes);
	if (!call)
		return;
	wire_call_tail(bytes, &tail);
	if (tail.args.head != NULL)
		put_args(w, &tail.args, true);
	put(w, tail.data, tail.data_len);
	pad(w);
}

static void rebuild_message(struct writer *w, const uint8_t *bytes)
{
	struct wire_tail tail;
	put_fixed_message(w, bytes);
	wire_message_tail(bytes, &tail);
	if (tail.exception != NULL)
		put_exception(w, tail.exception, tail.detail);
	if (tail.args.head != NULL)
		put_args(w, &tail.args, false);
	put(w, tail.data, tail.data_len);
}

/* ------------------------------------------------------------------ records and messages */

static void visit(const uint8_t *bytes, size_t size)
{
	static const char malformed[] = "malformed ";
	char line[FUZZ_LINE];
	struct writer w = {0};
	bool call = wire_check_call(bytes, size), message = wire_check_message(bytes, size);
	bool record = call || wire_check_answer(bytes, size) || wire_check_attach(bytes, size);
	w.bytes = malloc(size + FUZZ_LINE);
	BASE_ASSERT(w.bytes != NULL);
	BASE_ASSERT(wire_print_record(line, sizeof line, bytes, size) > 0);
	BASE_ASSERT((strncmp(line, malformed, strlen(malformed)) == 0) == !record);
	if (record) {
		rebuild_record(&w, bytes, call);
		BASE_ASSERT(w.size == size && memcmp(w.bytes, bytes, size) == 0);
	}
	BASE_ASSERT(wire_print_message(line, sizeof line, bytes, size) > 0);
	BASE_ASSERT((strncmp(line, malformed, strlen(malformed)) == 0) == !message);
	w.size = 0;
	if (message) {
		rebuild_message(&w, bytes);
		BASE_ASSERT(w.size == size && memcmp(w.bytes, bytes, size) == 0);
	}
	free(w.bytes);
}

/* The size in the header is made to fit, so that the fuzzer gets past it. */
static void visit_with_size(const uint8_t *data, size_t size)
{
	uint32_t value = (uint32_t)size;
	uint8_t *copy = malloc(size);
	BASE_ASSERT(copy != NULL);
	memcpy(copy, data, size);
	visit(copy, size);
	if (size >= sizeof value) {
		memcpy(copy, &value, sizeof value);
		visit(copy, size);
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	visit_with_size(data, size);
	return 0;
}
