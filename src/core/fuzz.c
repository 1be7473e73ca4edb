/* See fuzz.h. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "core/fuzz.h"

/* ------------------------------------------------------------------ what was learnt */

void known_add(struct known *known, enum known_kind kind, uint64_t value)
{
	known->values[kind][known->value_count[kind]++ % KNOWN_MAX] = value;
}

void known_add_object(struct known *known, const struct known_object *object)
{
	unsigned count = BASE_MIN(known->object_count, (unsigned)BASE_COUNT(known->objects));
	for (unsigned i = 0; i < count; i++) {
		struct known_object *old = &known->objects[i];
		if (old->node == object->node && old->index == object->index &&
			old->serial == object->serial && old->epoch == object->epoch) {
			old->kind = object->kind ? object->kind : old->kind;
			old->tracked |= object->tracked;
			return;
		}
	}
	known->objects[known->object_count++ % BASE_COUNT(known->objects)] = *object;
}

/* The newest for 0. */
static uint64_t known_value(const struct known *known, enum known_kind kind, unsigned age)
{
	unsigned count = BASE_MIN(known->value_count[kind], (unsigned)KNOWN_MAX);
	if (count == 0)
		return age;
	return known->values[kind][(known->value_count[kind] - 1 - age % count) % KNOWN_MAX];
}

static struct known_object known_object(const struct known *known, unsigned age)
{
	unsigned room = BASE_COUNT(known->objects), count = BASE_MIN(known->object_count, room);
	if (count == 0)
		return (struct known_object){0};
	return known->objects[(known->object_count - 1 - age % count) % room];
}

static const struct field {
	const char *name;
	enum known_kind kind;
} known_fields[] = {{"cap", KNOWN_SLOT},         {"a", KNOWN_SLOT},
					{"b", KNOWN_SLOT},           {"other", KNOWN_SLOT},
					{"dst", KNOWN_SLOT},         {"src", KNOWN_SLOT},
					{"call", KNOWN_CALL},        {"delivery", KNOWN_DELIVERY},
					{"monitor", KNOWN_MONITOR},  {"stream", KNOWN_STREAM},
					{"copy", KNOWN_COPY},        {"count", KNOWN_BEAT},
					{"echo", KNOWN_BEAT},        {"order", KNOWN_ORDER},
					{"number", KNOWN_NUMBER},    {"epoch", KNOWN_EPOCH},
					{"asker_epoch", KNOWN_EPOCH}};

static const struct field *field_of(const char *name)
{
	for (unsigned i = 0; i < BASE_COUNT(known_fields); i++) {
		if (strcmp(known_fields[i].name, name) == 0)
			return &known_fields[i];
	}
	return NULL;
}

static void learn(struct known *known, const char *name, uint64_t value)
{
	const struct field *field = field_of(name);
	if (field != NULL && value != 0)
		known_add(known, field->kind, value);
}

#define LEARN(type, name, check) learn(known, #name, (uint64_t)r->name);

static void learn_delivered(struct known *known, const struct wire_answer_delivery *delivery)
{
	const struct wire_range *ranges = (const void *)(delivery + 1);
	const struct wire_delivered *caps = (const void *)(ranges + delivery->range_count);
	for (unsigned i = 0; i < delivery->cap_count; i++)
		known_add(known, KNOWN_SLOT, caps[i].cap);
}

void known_from_answer(struct known *known, const uint8_t *bytes)
{
	switch (((const struct wire_record *)(const void *)bytes)->type) {
#define ANSWER(NAME, name, number, tail, text)                    \
	case number: {                                                \
		const struct wire_answer_##name *r = (const void *)bytes; \
		(void)r;                                                  \
		WIRE_ANSWER_##NAME(LEARN) break;                          \
	}
		WIRE_ANSWERS(ANSWER)
#undef ANSWER
	default:
		break;
	}
	if (((const struct wire_record *)(const void *)bytes)->type == WIRE_ANSWER_TYPE_DELIVERY)
		learn_delivered(known, (const void *)bytes);
}

/* Of a message's fields. */
struct named {
	bool index, serial, epoch, node;
	struct known_object object;
};

static void name_part(struct named *named, const char *name, uint64_t value)
{
	if (strcmp(name, "index") == 0) {
		named->index = true;
		named->object.index = (uint32_t)value;
	} else if (strcmp(name, "serial") == 0) {
		named->serial = true;
		named->object.serial = value;
	} else if (strcmp(name, "epoch") == 0) {
		named->epoch = true;
		named->object.epoch = value;
	}
}

static void learn_table(struct known *known, const uint8_t *bytes)
{
	struct wire_tail tail;
	wire_message_tail(bytes, &tail);
	const struct wire_entry *entries = tail.args.entries;
	for (unsigned i = 1; tail.args.head != NULL && i < tail.args.head->entry_count; i++)
		known_add_object(known, &(struct known_object){.node = entries[i].node,
													   .index = entries[i].index,
													   .epoch = entries[i].epoch,
													   .serial = entries[i].serial,
													   .kind = entries[i].kind,
													   .tracked = entries[i].tracked});
}

void known_from_message(struct known *known, const uint8_t *bytes, uint32_t from, uint64_t epoch,
						uint32_t to, uint64_t to_epoch)
{
	struct named named = {0};
	switch (((const struct wire_message *)(const void *)bytes)->type) {
#define MESSAGE(NAME, name, number, class, lane, tail, text)        \
	case number: {                                                  \
		const struct wire_message_##name *r = (const void *)bytes;  \
		(void)r;                                                    \
		WIRE_MESSAGE_##NAME(PART) WIRE_MESSAGE_##NAME(LEARN) break; \
	}
#define PART(type, name, check) name_part(&named, #name, (uint64_t)r->name);
		WIRE_MESSAGES(MESSAGE)
#undef MESSAGE
#undef PART
	default:
		break;
	}
	if (named.index && named.serial && named.object.serial != 0) {
		/* Without an epoch it is the sender's. */
		named.object.node = named.epoch && named.object.epoch == to_epoch ? to : from;
		if (!named.epoch)
			named.object.epoch = epoch;
		known_add_object(known, &named.object);
	}
	learn_table(known, bytes);
}

/* ------------------------------------------------------------------ fixed fields */

struct writer {
	const struct known *known;
	struct choices *choices;
	struct known_object object; /* the message is about it */
};

/* 0: what was learnt last, or nothing in particular. */
static uint64_t any_value(struct writer *w, const struct field *field)
{
	uint64_t how = choose(w->choices, 1);
	if (how >= 248)
		return choose(w->choices, 8);
	if (field != NULL && how < 224)
		return known_value(w->known, field->kind, (unsigned)how);
	return how < 128 ? how : (uint64_t)1 << (how % 48);
}

static uint64_t time_value(struct writer *w)
{
	uint64_t how = choose(w->choices, 1);
	/* At most what a harness lets pass at its end. */
	return how < 128 ? 0 : (uint64_t)1 << (how == 255 ? 61 : how % 44);
}

static uint64_t field_value(struct writer *w, const char *name)
{
	if (strncmp(name, "time", 4) == 0 || strcmp(name, "deadline") == 0)
		return time_value(w);
	if (strcmp(name, "index") == 0)
		return w->object.index;
	if (strcmp(name, "serial") == 0)
		return w->object.serial;
	if (strcmp(name, "epoch") == 0)
		return w->object.epoch;
	if (strcmp(name, "node") == 0 || strcmp(name, "asker") == 0 || strcmp(name, "process") == 0)
		return choose_below(w->choices, 8);
	return any_value(w, field_of(name));
}

/* Bounds of the table's checks. */
#define BOUND_ANY    UINT64_MAX
#define BOUND_ZERO   0
#define BOUND_BOOL   1
#define BOUND_STATUS (FOS_STATUS_COUNT - 1)
#define BOUND_MAX(n) (n)
#define BOUND_MIN1   (UINT64_MAX - 1)

static uint64_t fill(struct writer *w, const char *name, uint64_t bound)
{
	if (bound == 0)
		return 0;
	uint64_t value = bound < 256 ? choose(w->choices, 1) : field_value(w, name);
	if (bound == BOUND_MIN1)
		return BASE_MAX(value & UINT32_MAX, (uint64_t)1);
	return bound == BOUND_ANY ? value : value % (bound + 1);
}
#define FILL(type, name, check) r->name = (wire_##type)fill(w, #name, BOUND_##check);

static size_t fill_call(struct writer *w, uint16_t type, uint8_t *out)
{
	switch (type) {
#define CALL(NAME, name, number, tail, text)      \
	case number: {                                \
		struct wire_call_##name *r = (void *)out; \
		(void)r;                                  \
		WIRE_CALL_##NAME(FILL) return sizeof *r;  \
	}
		WIRE_CALLS(CALL)
#undef CALL
	default:
		abort();
	}
}

static size_t fill_message(struct writer *w, uint8_t type, uint8_t *out)
{
	switch (type) {
#define MESSAGE(NAME, name, number, class, lane, tail, text) \
	case number: {                                           \
		struct wire_message_##name *r = (void *)out;         \
		(void)r;                                             \
		WIRE_MESSAGE_##NAME(FILL) return sizeof *r;          \
	}
		WIRE_MESSAGES(MESSAGE)
#undef MESSAGE
	default:
		abort();
	}
}

/* ------------------------------------------------------------------ tables of arguments */

enum { TABLE_ENTRIES = 6, TABLE_RANGES = 4, TABLE_BOUNDS = 6 };

struct table {
	unsigned entries;
	bool takes[TABLE_ENTRIES]; /* arguments */
	struct wire_range ranges[TABLE_RANGES];
	unsigned range_count;
	struct wire_bound bounds[TABLE_BOUNDS];
	unsigned bound_count;
	uint32_t imm_bytes;
};

static void choose_call_entry(struct writer *w, unsigned number, struct wire_call_entry *e,
							  bool *takes)
{
	uint64_t how = choose(w->choices, 1);
	e->kind = (uint8_t)(WIRE_ENTRY_SLOT + how % 3);
	*takes = e->kind == WIRE_ENTRY_REFINE;
	e->cap = known_value(w->known, KNOWN_SLOT, (unsigned)choose(w->choices, 1));
	if (e->kind != WIRE_ENTRY_SLOT && number > 1 && (how & 64))
		e->cap = WIRE_IN_CALL | (1 + how / 128 % (number - 1));
	if (e->kind == WIRE_ENTRY_REFINE && (how & 32))
		e->on_error = (uint16_t)choose_below(w->choices, number);
	if (e->kind == WIRE_ENTRY_DIMINISH) {
		e->offset = choose(w->choices, 1);
		e->length = choose(w->choices, 2);
		e->drop = (uint8_t)choose_below(w->choices, 4);
	}
}

static void choose_entry(struct writer *w, unsigned number, struct wire_entry *e, bool *takes)
{
	struct known_object object = known_object(w->known, (unsigned)choose(w->choices, 1));
	uint64_t how = choose(w->choices, 1);
	e->epoch = object.epoch;
	e->serial = object.serial;
	e->node = object.node;
	e->index = object.index;
	e->kind = object.kind ? object.kind : (uint8_t)(1 + (how & 1));
	e->tracked = (how & 2) ? !object.tracked : object.tracked;
	*takes = e->kind == FOS_REQUEST;
	if (e->kind == FOS_MEMORY) {
		e->offset = (how & 4) ? choose(w->choices, 1) : 0;
		e->length = (how & 8) ? 1 + choose(w->choices, 2) : 4096;
		e->rights = (how & 16) ? (uint8_t)(how >> 6) : FOS_READ | FOS_WRITE;
	} else if (how & 32) {
		e->on_error = (uint16_t)choose_below(w->choices, number);
	}
}

static void choose_arguments(struct writer *w, struct table *t, unsigned entry)
{
	uint64_t how = choose(w->choices, 1);
	uint32_t end = 0;
	for (unsigned i = 0; i < how % 3 && t->range_count < TABLE_RANGES; i++) {
		uint64_t size = choose(w->choices, 1);
		struct wire_range *r = &t->ranges[t->range_count++];
		r->entry = (uint16_t)entry;
		r->offset = end + (uint32_t)choose(w->choices, 1);
		r->length = size < 250 ? 1 + (uint32_t)size : 4000;
		if (!base_range_inside(r->offset, r->length, FOS_IMM_MAX)) {
			t->range_count--;
			break;
		}
		end = r->offset + r->length;
		t->imm_bytes += r->length;
	}
	unsigned highest = entry == 0 ? t->entries : entry, next = 0;
	for (unsigned i = 0; i < how / 4 % 4 && highest > 1 && t->bound_count < TABLE_BOUNDS; i++) {
		uint64_t what = choose(w->choices, 1);
		unsigned index = next + (unsigned)(what & 3 ? 0 : what >> 4);
		if (index >= FOS_CAPS_MAX)
			break;
		t->bounds[t->bound_count++] =
			(struct wire_bound){.entry = (uint16_t)entry,
								.index = (uint16_t)index,
								.value = (uint16_t)(1 + (what >> 2) % (highest - 1))};
		next = index + 1;
	}
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t size)
{
	if (size > 0)
		memcpy(at, bytes, size);
	return at + size;
}

/* A table behind a fixed part; returns its size. */
static size_t write_table(struct writer *w, bool call, bool empty, uint8_t *out)
{
	struct table t = {.entries = 1, .takes = {true}};
	struct wire_call_entry calls[TABLE_ENTRIES] = {0};
	struct wire_entry values[TABLE_ENTRIES] = {0};
	uint64_t how = empty ? 0 : choose(w->choices, 1);
	t.entries += (unsigned)(how % TABLE_ENTRIES);
	for (unsigned i = 1; i < t.entries; i++) {
		if (call)
			choose_call_entry(w, i, &calls[i], &t.takes[i]);
		else
			choose_entry(w, i, &values[i], &t.takes[i]);
	}
	uint16_t on_error = (how & 128) ? (uint16_t)(t.entries - 1) : 0;
	calls[0].on_error = values[0].on_error = on_error;
	for (unsigned i = 0; i < t.entries && !empty; i++) {
		if (t.takes[i])
			choose_arguments(w, &t, i);
	}
	struct wire_args head = {.entry_count = (uint16_t)t.entries,
							 .range_count = (uint16_t)t.range_count,
							 .bound_count = (uint16_t)t.bound_count,
							 .imm_bytes = t.imm_bytes};
	uint8_t *at = put(out, &head, sizeof head);
	at = call ? put(at, calls, t.entries * sizeof *calls)
			  : put(at, values, t.entries * sizeof *values);
	at = put(at, t.ranges, t.range_count * sizeof *t.ranges);
	at = put(at, t.bounds, t.bound_count * sizeof *t.bounds);
	memset(at, 0, wire_pad8(t.imm_bytes));
	memset(at, 0x5a, t.imm_bytes);
	return (size_t)(at - out) + wire_pad8(t.imm_bytes);
}

/* ------------------------------------------------------------------ calls and messages */

static bool call_has_args(uint16_t type)
{
	switch (type) {
	case WIRE_CALL_TYPE_MEMORY_COPY:
	case WIRE_CALL_TYPE_REQUEST_REFINE:
	case WIRE_CALL_TYPE_REQUEST_INVOKE:
	case WIRE_CALL_TYPE_CONTINUE:
		return true;
	default:
		return false;
	}
}

size_t fuzz_call(const struct known *known, struct choices *choices, uint64_t cookie, uint8_t *out)
{
	static const uint16_t types[] = {
#define TYPE(NAME, name, number, tail, text) number,
		WIRE_CALLS(TYPE)
#undef TYPE
	};
	struct writer w = {.known = known, .choices = choices};
	uint16_t type = types[choose_below(choices, BASE_COUNT(types))];
	memset(out, 0, 512);
	size_t size = fill_call(&w, type, out);
	if (call_has_args(type))
		size += write_table(&w, true, false, out + size);
	if (type == WIRE_CALL_TYPE_FAIL) {
		size_t text = ((struct wire_call_fail *)(void *)out)->length;
		memset(out + size, 0, wire_pad8(text));
		memset(out + size, 'x', text);
		size += wire_pad8(text);
	}
	struct wire_record *head = (void *)out;
	head->size = (uint32_t)size;
	head->type = type;
	head->cookie = cookie;
	return size;
}

static size_t write_exception(struct writer *w, uint8_t *out)
{
	static const char where[] = "node/process";
	uint64_t how = choose(w->choices, 1);
	struct wire_exception exception = {.status = (uint32_t)(1 + how % (FOS_STATUS_COUNT - 1)),
									   .detail_len = (uint32_t)(how & 64 ? how : 0)};
	memcpy(exception.where, where, sizeof where);
	uint8_t *at = put(out, &exception, sizeof exception);
	memset(at, 0, wire_pad8(exception.detail_len));
	memset(at, 'd', exception.detail_len);
	return sizeof exception + wire_pad8(exception.detail_len);
}

/* What the table of messages cannot say: how a slice's fields belong together. */
static size_t fit_data(struct wire_message_data *data, uint8_t *at)
{
	data->status = data->status % 8 == 1 ? data->status : FOS_OK;
	data->length %= FUZZ_DATA_MAX + 1;
	data->base &= (1 << 20) - 1;
	data->offset = data->first ? 0 : data->offset & ((1 << 20) - 1);
	if (data->status != FOS_OK) {
		data->last = 1;
		data->length = 0;
	}
	uint64_t least = data->offset + data->length;
	data->total =
		data->last && data->status == FOS_OK ? least : BASE_MAX(least, data->total & 0xfffff);
	memset(at, 0xda, data->length);
	return data->length;
}

size_t fuzz_message(const struct known *known, struct choices *choices, uint8_t *out)
{
	static const uint8_t types[] = {
#define TYPE(NAME, name, number, class, lane, tail, text) number,
		WIRE_MESSAGES(TYPE)
#undef TYPE
	};
	struct writer w = {.known = known, .choices = choices};
	uint8_t type = types[choose_below(choices, BASE_COUNT(types))];
	w.object = known_object(known, (unsigned)choose(choices, 1));
	memset(out, 0, 512);
	size_t size = fill_message(&w, type, out);
	struct wire_message_invoke *invocation = (void *)out;
	struct wire_message_data *data = (void *)out;
	switch (type) {
	case WIRE_MESSAGE_TYPE_ERROR:
		invocation->exception = 1;
		/* fall through */
	case WIRE_MESSAGE_TYPE_INVOKE:
		if (invocation->exception)
			size += write_exception(&w, out + size);
		/* fall through */
	case WIRE_MESSAGE_TYPE_COPY:
		size += write_table(&w, false, false, out + size);
		break;
	case WIRE_MESSAGE_TYPE_BOUNCE:
		invocation->exception = 0;
		size += write_table(&w, false, true, out + size);
		break;
	case WIRE_MESSAGE_TYPE_DATA:
		size += write_table(&w, false, !data->first, out + size);
		size += fit_data(data, out + size);
		break;
	default:
		break;
	}
	struct wire_message *head = (void *)out;
	head->size = (uint32_t)size;
	head->type = type;
	return size;
}

void fuzz_damage(struct choices *choices, uint8_t *bytes, size_t size, size_t keep)
{
	uint64_t at = choose(choices, 2);
	uint8_t with = (uint8_t)choose(choices, 1);
	if (size > keep)
		bytes[keep + at % (size - keep)] ^= with;
}
