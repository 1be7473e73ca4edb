/* Validation of everything that travels. The core, fractosd and libfractos call it; whoever has a
 * record past these functions may use every count, offset and reference in it without looking
 * again.
 *
 * The checks of fixed fields are generated from table.h; what follows here by hand are the tails.
 * All loops are bounded by limits that were checked before; nothing recurses.
 */
#include <string.h>

#include "base/base.h"
#include "wire/wire.h"

enum { EXCEPTION_DETAIL_MAX = FOS_DETAIL_MAX - 1, BOUNDS_MAX = 2 * FOS_ENTRIES_MAX };

_Static_assert(sizeof(struct wire_record) == 16, "");
_Static_assert(sizeof(struct wire_message) == 24, "");
_Static_assert(sizeof(struct wire_args) == 16, "");
_Static_assert(sizeof(struct wire_call_entry) == 32, "");
_Static_assert(sizeof(struct wire_entry) == 48, "");
_Static_assert(sizeof(struct wire_range) == 16, "");
_Static_assert(sizeof(struct wire_bound) == 8, "");
_Static_assert(sizeof(struct wire_delivered) == 32, "");
_Static_assert(sizeof(struct wire_exception) == 80, "");

/* ------------------------------------------------------------------ small checks */

static bool all_zero(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

/* Printable text, a zero, and nothing but zeros behind it. */
static bool is_label(const char *text, size_t size)
{
	size_t len = strnlen(text, size);
	if (len == size)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < 0x20 || text[i] > 0x7e)
			return false;
	}
	return all_zero((const uint8_t *)text + len, size - len);
}

/* Whether `len` bytes, padded with zeros to a multiple of 8, fill exactly `size`. */
static bool fills(const uint8_t *bytes, size_t size, size_t len)
{
	return wire_pad8(len) == size && all_zero(bytes + len, size - len);
}

/* ------------------------------------------------------------------ fixed fields, from the table
 */

#define IS_ANY    true
#define IS_ZERO   (*field == 0)
#define IS_BOOL   (*field <= 1)
#define IS_STATUS (*field < FOS_STATUS_COUNT)
#define IS_MAX(n) (*field <= (n))
#define IS_MIN1   (*field != 0)
#define IS_LABEL  is_label(*field, sizeof *field)
#define CHECK_FIELD(type, name, check)             \
	{                                              \
		const wire_##type *const field = &r->name; \
		(void)field;                               \
		if (!(IS_##check))                         \
			return false;                          \
	}
#define CHECK(record, fields)                                      \
	static bool check_##record(const uint8_t *bytes)               \
	{                                                              \
		const struct wire_##record *const r = (const void *)bytes; \
		(void)r;                                                   \
		fields(CHECK_FIELD) return true;                           \
	}
#define CHECK_CALL(NAME, name, number, tail, text)   CHECK(call_##name, WIRE_CALL_##NAME)
#define CHECK_ANSWER(NAME, name, number, tail, text) CHECK(answer_##name, WIRE_ANSWER_##NAME)
#define CHECK_ATTACH(NAME, name, number, tail, text) CHECK(attach_##name, WIRE_ATTACH_##NAME)
#define CHECK_MESSAGE(NAME, name, number, class, lane, tail, text) \
	CHECK(message_##name, WIRE_MESSAGE_##NAME)
WIRE_CALLS(CHECK_CALL)
WIRE_ANSWERS(CHECK_ANSWER)
WIRE_ATTACHES(CHECK_ATTACH)
WIRE_MESSAGES(CHECK_MESSAGE)

enum group { GROUP_NONE, GROUP_CALL, GROUP_ANSWER, GROUP_ATTACH };
enum tail { TAIL_NONE, TAIL_ARGS, TAIL_BYTES, TAIL_PARTS };

struct shape {
	const char *name; /* NULL: no such number */
	bool (*check)(const uint8_t *bytes);
	uint16_t fixed; /* bytes with the header */
	uint8_t group;
	uint8_t tail;
};

static const struct shape records[] = {
#define SHAPE_CALL(NAME, name, number, tail, text) \
	[number] = {#name, check_call_##name, sizeof(struct wire_call_##name), GROUP_CALL, TAIL_##tail},
#define SHAPE_ANSWER(NAME, name, number, tail, text)                                         \
	[number] = {#name, check_answer_##name, sizeof(struct wire_answer_##name), GROUP_ANSWER, \
				TAIL_##tail},
#define SHAPE_ATTACH(NAME, name, number, tail, text)                                         \
	[number] = {#name, check_attach_##name, sizeof(struct wire_attach_##name), GROUP_ATTACH, \
				TAIL_##tail},
	WIRE_CALLS(SHAPE_CALL) WIRE_ANSWERS(SHAPE_ANSWER) WIRE_ATTACHES(SHAPE_ATTACH)};

enum { LANE_CONTROL, LANE_BULK };
static const struct message_shape {
	struct shape shape;
	uint8_t class;
	uint8_t lane;
} messages[] = {
#define SHAPE_MESSAGE(NAME, name, number, class, lane, tail, text)                            \
	[number] = {{#name, check_message_##name, sizeof(struct wire_message_##name), GROUP_NONE, \
				 TAIL_##tail},                                                                \
				WIRE_CLASS_##class,                                                           \
				LANE_##lane},
	WIRE_MESSAGES(SHAPE_MESSAGE)};

static const uint16_t class_credits[WIRE_CLASS_COUNT] = {
#define CREDITS(NAME, number, credits) [number] = (credits),
	WIRE_CLASSES(CREDITS)};

/* ------------------------------------------------------------------ the table of arguments */

static bool is_reference(uint64_t cap)
{
	return (cap & WIRE_IN_CALL) == WIRE_IN_CALL;
}

/* A slot, or a lower entry. */
static bool base_fits(uint64_t cap, unsigned entry)
{
	uint64_t number = cap & ~WIRE_IN_CALL;
	return !is_reference(cap) || (number != 0 && number < entry);
}

/* on_error of entry 0 may be any other entry, that of any other entry only a lower one. */
static bool value_fits(unsigned value, unsigned entry, unsigned entry_count)
{
	return value < (entry == 0 ? entry_count : entry);
}

static bool check_call_entry(const struct wire_call_entry *e, unsigned number, unsigned count)
{
	if (e->zero != 0 || (number == 0) != (e->kind == WIRE_ENTRY_CALL))
		return false;
	if (e->kind != WIRE_ENTRY_DIMINISH && (e->offset | e->length | e->drop) != 0)
		return false;
	switch (e->kind) {
	case WIRE_ENTRY_CALL:
		return e->cap == 0 && value_fits(e->on_error, 0, count);
	case WIRE_ENTRY_SLOT:
		return !is_reference(e->cap) && e->on_error == 0;
	case WIRE_ENTRY_REFINE:
		return base_fits(e->cap, number) && value_fits(e->on_error, number, count);
	case WIRE_ENTRY_DIMINISH:
		return base_fits(e->cap, number) && e->on_error == 0 && e->drop <= (FOS_READ | FOS_WRITE);
	default:
		return false;
	}
}

static bool check_entry(const struct wire_entry *e, unsigned number, unsigned count)
{
	if (e->tracked > 1 || e->zero8 != 0 || e->zero16 != 0 || (number == 0) != (e->kind == 0))
		return false;
	if (e->kind != FOS_MEMORY && (e->offset | e->length | e->rights) != 0)
		return false;
	switch (e->kind) {
	case 0:
		return (e->epoch | e->serial | e->node | e->index | e->tracked) == 0 &&
			   value_fits(e->on_error, 0, count);
	case FOS_REQUEST:
		return value_fits(e->on_error, number, count);
	case FOS_MEMORY:
		return e->on_error == 0 && e->rights <= (FOS_READ | FOS_WRITE) && e->length != 0 &&
			   base_range_inside(e->offset, e->length, UINT64_MAX);
	default:
		return false;
	}
}

/* Which entries may have arguments: the call itself and refinements, or Requests. */
static bool takes_arguments(const struct wire_args_view *view, bool call, unsigned entry)
{
	if (entry >= view->head->entry_count)
		return false;
	if (!call) {
		const struct wire_entry *e = (const struct wire_entry *)view->entries + entry;
		return e->kind != FOS_MEMORY;
	}
	const struct wire_call_entry *e = (const struct wire_call_entry *)view->entries + entry;
	return e->kind == WIRE_ENTRY_CALL || e->kind == WIRE_ENTRY_REFINE;
}

static bool check_entries(const struct wire_args_view *view, bool call)
{
	unsigned count = view->head->entry_count;
	for (unsigned i = 0; i < count; i++) {
		if (!(call ? check_call_entry((const struct wire_call_entry *)view->entries + i, i, count)
				   : check_entry((const struct wire_entry *)view->entries + i, i, count)))
			return false;
	}
	return true;
}

/* Rising by entry, and inside an entry by offset without overlap; together imm_bytes. */
static bool check_ranges(const struct wire_args_view *view, bool call)
{
	uint32_t total = 0, end = 0;
	unsigned entry = 0;
	for (unsigned i = 0; i < view->head->range_count; i++) {
		const struct wire_range *r = &view->ranges[i];
		if (r->entry != entry)
			end = 0;
		if (r->zero16 != 0 || r->zero32 != 0 || r->length == 0 || r->entry < entry ||
			r->offset < end || !base_range_inside(r->offset, r->length, FOS_IMM_MAX) ||
			!takes_arguments(view, call, r->entry))
			return false;
		entry = r->entry;
		end = r->offset + r->length;
		total += r->length;
	}
	return total == view->head->imm_bytes;
}

/* Rising by entry, and inside an entry by index; values are lower entries, but never entry 0. */
static bool check_bounds(const struct wire_args_view *view, bool call)
{
	unsigned entry = 0, next = 0;
	for (unsigned i = 0; i < view->head->bound_count; i++) {
		const struct wire_bound *b = &view->bounds[i];
		if (b->entry != entry)
			next = 0;
		if (b->zero != 0 || b->entry < entry || b->index < next || b->index >= FOS_CAPS_MAX ||
			b->value == 0 || !value_fits(b->value, b->entry, view->head->entry_count) ||
			!takes_arguments(view, call, b->entry))
			return false;
		entry = b->entry;
		next = b->index + 1u;
	}
	return true;
}

static bool counts_fit(const struct wire_args *head)
{
	return head->zero16 == 0 && head->zero32 == 0 && head->entry_count >= 1 &&
		   head->entry_count <= FOS_ENTRIES_MAX && head->range_count <= FOS_RANGES_MAX &&
		   head->bound_count <= BOUNDS_MAX && head->imm_bytes <= FOS_IMM_TOTAL;
}

/* Where the parts lie; only of a head whose counts fit. */
static void locate(const uint8_t *bytes, bool call, struct wire_args_view *out)
{
	const struct wire_args *head = (const void *)bytes;
	const uint8_t *at = bytes + sizeof *head;
	out->head = head;
	out->entries = at;
	at += head->entry_count * (call ? sizeof(struct wire_call_entry) : sizeof(struct wire_entry));
	out->ranges = (const void *)at;
	at += head->range_count * sizeof(struct wire_range);
	out->bounds = (const void *)at;
	at += head->bound_count * sizeof(struct wire_bound);
	out->imm = at;
	out->size = (size_t)(at - bytes) + wire_pad8(head->imm_bytes);
}

static bool parse_args(const uint8_t *bytes, size_t size, bool call, struct wire_args_view *out)
{
	const struct wire_args *head = (const void *)bytes;
	if (size < sizeof *head || !counts_fit(head))
		return false;
	locate(bytes, call, out);
	return out->size <= size && check_entries(out, call) && check_ranges(out, call) &&
		   check_bounds(out, call) &&
		   fills(out->imm, out->size - (size_t)(out->imm - bytes), head->imm_bytes);
}

bool wire_parse_call_args(const uint8_t *bytes, size_t size, struct wire_args_view *out)
{
	return parse_args(bytes, size, true, out);
}

bool wire_parse_args(const uint8_t *bytes, size_t size, struct wire_args_view *out)
{
	return parse_args(bytes, size, false, out);
}

/* ------------------------------------------------------------------ exceptions and deliveries */

static size_t exception_size(const struct wire_exception *exception)
{
	return sizeof *exception + wire_pad8(exception->detail_len);
}

bool wire_parse_exception(const uint8_t *bytes, size_t size, const struct wire_exception **out,
						  const uint8_t **detail, size_t *used)
{
	const struct wire_exception *e = (const void *)bytes;
	if (size < sizeof *e || e->status == FOS_OK || e->status >= FOS_STATUS_COUNT ||
		e->detail_len > EXCEPTION_DETAIL_MAX || exception_size(e) > size ||
		!is_label(e->where, sizeof e->where) ||
		!fills(bytes + sizeof *e, wire_pad8(e->detail_len), e->detail_len))
		return false;
	*out = e;
	*detail = bytes + sizeof *e;
	*used = exception_size(e);
	return true;
}

/* Sorted, disjoint, not adjacent; together imm_bytes. */
static bool check_delivered_ranges(const struct wire_range *ranges, unsigned count, uint32_t bytes)
{
	uint32_t total = 0;
	for (unsigned i = 0; i < count; i++) {
		const struct wire_range *r = &ranges[i];
		if (r->entry != 0 || r->zero16 != 0 || r->zero32 != 0 || r->length == 0 ||
			!base_range_inside(r->offset, r->length, FOS_IMM_MAX))
			return false;
		if (i > 0 && r->offset <= ranges[i - 1].offset + ranges[i - 1].length)
			return false;
		total += r->length;
	}
	return total == bytes;
}

static bool check_delivered_caps(const struct wire_delivered *caps, unsigned count)
{
	unsigned next = 0;
	for (unsigned i = 0; i < count; i++) {
		const struct wire_delivered *c = &caps[i];
		bool request = c->kind == FOS_REQUEST;
		if (c->zero != 0 || c->cap == 0 || c->index < next || c->index >= FOS_CAPS_MAX ||
			(!request && c->kind != FOS_MEMORY) || c->rights > (FOS_READ | FOS_WRITE))
			return false;
		if (request && (c->offset | c->length | c->segment | c->rights) != 0)
			return false;
		if (!request && c->segment == 0 && c->offset != 0)
			return false;
		next = c->index + 1u;
	}
	return true;
}

static bool check_delivery(const uint8_t *bytes, size_t size)
{
	const struct wire_answer_delivery *d = (const void *)bytes;
	const struct wire_range *ranges = (const void *)(d + 1);
	size_t parts = d->range_count * sizeof *ranges + d->cap_count * sizeof(struct wire_delivered);
	size_t left = size - sizeof *d;
	if (left < parts || !check_delivered_ranges(ranges, d->range_count, d->imm_bytes) ||
		!check_delivered_caps((const void *)(ranges + d->range_count), d->cap_count))
		return false;
	const uint8_t *at = (const uint8_t *)ranges + parts;
	left -= parts;
	if (d->exception) {
		const struct wire_exception *exception;
		const uint8_t *detail;
		size_t used;
		if (!wire_parse_exception(at, left, &exception, &detail, &used))
			return false;
		at += used;
		left -= used;
	}
	return left == wire_pad8(d->imm_bytes) && fills(at, left, d->imm_bytes);
}

/* ------------------------------------------------------------------ records */

static bool check_record_tail(const struct shape *shape, const uint8_t *bytes, size_t size)
{
	const uint8_t *tail = bytes + shape->fixed;
	size_t left = size - shape->fixed;
	struct wire_args_view args;
	switch ((enum tail)shape->tail) {
	case TAIL_NONE:
		return left == 0;
	case TAIL_ARGS:
		return wire_parse_call_args(tail, left, &args) && args.size == left;
	case TAIL_BYTES:
		return fills(tail, left, ((const struct wire_call_fail *)(const void *)bytes)->length);
	case TAIL_PARTS:
		return check_delivery(bytes, size);
	}
	return false;
}

static bool check_record(const uint8_t *bytes, size_t size, enum group group)
{
	const struct wire_record *head = (const void *)bytes;
	if (size < sizeof *head || size > WIRE_RECORD_MAX || size % 8 != 0 || head->size != size ||
		head->zero != 0 || head->type >= BASE_COUNT(records))
		return false;
	const struct shape *shape = &records[head->type];
	return shape->name != NULL && shape->group == group && size >= shape->fixed &&
		   shape->check(bytes) && check_record_tail(shape, bytes, size);
}

bool wire_check_call(const uint8_t *bytes, size_t size)
{
	return check_record(bytes, size, GROUP_CALL);
}

bool wire_check_answer(const uint8_t *bytes, size_t size)
{
	return check_record(bytes, size, GROUP_ANSWER);
}

bool wire_check_attach(const uint8_t *bytes, size_t size)
{
	return check_record(bytes, size, GROUP_ATTACH) &&
		   ((const struct wire_record *)(const void *)bytes)->cookie == 0;
}

void wire_call_tail(const uint8_t *bytes, struct wire_tail *out)
{
	const struct wire_record *head = (const void *)bytes;
	BASE_ASSERT(head->type < BASE_COUNT(records) && records[head->type].group == GROUP_CALL);
	const struct shape *shape = &records[head->type];
	memset(out, 0, sizeof *out);
	if (shape->tail == TAIL_ARGS)
		locate(bytes + shape->fixed, true, &out->args);
	if (shape->tail == TAIL_BYTES) {
		out->data = bytes + shape->fixed;
		out->data_len = ((const struct wire_call_fail *)(const void *)bytes)->length;
	}
}

/* ------------------------------------------------------------------ messages */

static bool check_credits(const struct wire_message *head)
{
	for (unsigned i = 0; i < sizeof head->credits; i++) {
		if (head->credits[i] > (i < WIRE_CLASS_COUNT ? class_credits[i] : 0))
			return false;
	}
	return true;
}

static bool is_empty(const struct wire_args_view *args)
{
	const struct wire_entry *call = args->entries;
	return args->head->entry_count == 1 && args->head->range_count == 0 && call->on_error == 0;
}

/* Only the first slice carries arguments, only the last ends the copy: at its end with OK, before
 * it without bytes. */
static bool check_data(const struct wire_message_data *d, const struct wire_args_view *args)
{
	if (!base_range_inside(d->offset, d->length, d->total) ||
		!base_range_inside(d->base, d->total, UINT64_MAX) ||
		(d->first ? d->offset != 0 : !is_empty(args)))
		return false;
	if (d->status != FOS_OK)
		return d->last && d->length == 0;
	return !d->last || d->offset + d->length == d->total;
}

static bool has_exception(const uint8_t *bytes)
{
	switch (((const struct wire_message *)(const void *)bytes)->type) {
	case WIRE_MESSAGE_TYPE_INVOKE:
	case WIRE_MESSAGE_TYPE_ERROR:
	case WIRE_MESSAGE_TYPE_BOUNCE: {
		_Static_assert(offsetof(struct wire_message_invoke, exception) ==
							   offsetof(struct wire_message_error, exception) &&
						   offsetof(struct wire_message_invoke, exception) ==
							   offsetof(struct wire_message_bounce, exception),
					   "one layout: WIRE_INVOCATION");
		return ((const struct wire_message_invoke *)(const void *)bytes)->exception;
	}
	default:
		return false;
	}
}

static bool check_message_args(const uint8_t *bytes, const uint8_t *at, size_t left)
{
	const struct wire_message *head = (const void *)bytes;
	struct wire_args_view args;
	if (head->type == WIRE_MESSAGE_TYPE_ERROR && !has_exception(bytes))
		return false;
	if (has_exception(bytes)) {
		const struct wire_exception *exception;
		const uint8_t *detail;
		size_t used;
		if (!wire_parse_exception(at, left, &exception, &detail, &used))
			return false;
		at += used;
		left -= used;
	}
	if (!wire_parse_args(at, left, &args))
		return false;
	if (head->type == WIRE_MESSAGE_TYPE_BOUNCE)
		return args.size == left && !has_exception(bytes) && is_empty(&args);
	if (head->type != WIRE_MESSAGE_TYPE_DATA)
		return args.size == left;
	const struct wire_message_data *data = (const void *)bytes;
	return args.size + data->length == left && check_data(data, &args);
}

bool wire_check_message(const uint8_t *bytes, size_t size)
{
	const struct wire_message *head = (const void *)bytes;
	if (size < sizeof *head || size > WIRE_MESSAGE_MAX || head->size != size || head->zero8 != 0 ||
		head->zero16 != 0 || head->zero32 != 0 || !check_credits(head) ||
		head->type >= BASE_COUNT(messages))
		return false;
	const struct shape *shape = &messages[head->type].shape;
	if (shape->name == NULL || size < shape->fixed || !shape->check(bytes))
		return false;
	if (shape->tail == TAIL_NONE)
		return size == shape->fixed;
	return check_message_args(bytes, bytes + shape->fixed, size - shape->fixed);
}

void wire_message_tail(const uint8_t *bytes, struct wire_tail *out)
{
	const struct wire_message *head = (const void *)bytes;
	BASE_ASSERT(head->type < BASE_COUNT(messages) && messages[head->type].shape.name != NULL);
	const struct shape *shape = &messages[head->type].shape;
	const uint8_t *at = bytes + shape->fixed;
	memset(out, 0, sizeof *out);
	if (shape->tail != TAIL_ARGS)
		return;
	if (has_exception(bytes)) {
		out->exception = (const void *)at;
		out->detail = at + sizeof *out->exception;
		at += exception_size(out->exception);
	}
	locate(at, false, &out->args);
	if (head->type == WIRE_MESSAGE_TYPE_DATA) {
		out->data = at + out->args.size;
		out->data_len = ((const struct wire_message_data *)(const void *)bytes)->length;
	}
}

/* ------------------------------------------------------------------ what the table says */

enum wire_class wire_message_class(uint8_t type)
{
	BASE_ASSERT(type < BASE_COUNT(messages) && messages[type].shape.name != NULL);
	return (enum wire_class)messages[type].class;
}

bool wire_message_on_bulk(uint8_t type)
{
	BASE_ASSERT(type < BASE_COUNT(messages) && messages[type].shape.name != NULL);
	return messages[type].lane == LANE_BULK;
}

uint32_t wire_class_credits(enum wire_class class)
{
	BASE_ASSERT((unsigned)class < WIRE_CLASS_COUNT);
	return class_credits[class];
}

const char *wire_call_name(uint16_t type)
{
	return type < BASE_COUNT(records) && records[type].name ? records[type].name : "unknown";
}

const char *wire_message_name(uint8_t type)
{
	return type < BASE_COUNT(messages) && messages[type].shape.name ? messages[type].shape.name
																	: "unknown";
}
