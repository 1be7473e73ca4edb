/* Records and messages as C structs, made from table.h, and the functions that validate, build and
 * print them. Shared by the core, fractosd and libfractos. */
#ifndef FRACTOS_WIRE_H
#define FRACTOS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fractos/fractos.h>

#include "wire/table.h"

enum { WIRE_VERSION = 3, WIRE_MESSAGE_MAX = 320 * 1024, WIRE_RECORD_MAX = 64 * 1024 };
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
			   "the wire is little endian, as is the host");

/* Argument COPY: the two Memories, besides FOS_NEXT. */
enum { WIRE_COPY_DST = 1, WIRE_COPY_SRC = 2 };

/* A capability field of a call that means entry n of the record's own table of arguments. */
#define WIRE_IN_CALL FOS_CALL

struct wire_record { /* head of every ring record and attach packet */
	uint32_t size;   /* bytes of all of it, a multiple of 8 */
	uint16_t type;
	uint16_t zero;
	uint64_t cookie; /* calls: returned in the completion; deliveries: the handler */
};

struct wire_message { /* head of every message between Controllers */
	uint32_t size;
	uint8_t type;
	uint8_t zero8;
	uint16_t zero16;
	uint32_t sequence; /* rises by one with each message of a lane of a session, from 0 */
	uint32_t zero32;
	uint8_t credits[8]; /* returned, by class */
};

typedef uint8_t wire_u8;
typedef uint16_t wire_u16;
typedef uint32_t wire_u32;
typedef uint64_t wire_u64;
typedef char wire_label[FOS_LABEL_MAX];

#define WIRE_FIELD(type, name, check) wire_##type name;

#define WIRE_STRUCT(NAME, name, number, tail, text)                      \
	struct wire_call_##name {                                            \
		struct wire_record header;                                       \
		WIRE_CALL_##NAME(WIRE_FIELD)                                     \
	};                                                                   \
	_Static_assert(sizeof(struct wire_call_##name) % 8 == 0, "padding"); \
	enum { WIRE_CALL_TYPE_##NAME = (number) };
WIRE_CALLS(WIRE_STRUCT)
#undef WIRE_STRUCT

#define WIRE_STRUCT(NAME, name, number, tail, text)                        \
	struct wire_answer_##name {                                            \
		struct wire_record header;                                         \
		WIRE_ANSWER_##NAME(WIRE_FIELD)                                     \
	};                                                                     \
	_Static_assert(sizeof(struct wire_answer_##name) % 8 == 0, "padding"); \
	enum { WIRE_ANSWER_TYPE_##NAME = (number) };
WIRE_ANSWERS(WIRE_STRUCT)
#undef WIRE_STRUCT

#define WIRE_STRUCT(NAME, name, number, tail, text)                        \
	struct wire_attach_##name {                                            \
		struct wire_record header;                                         \
		WIRE_ATTACH_##NAME(WIRE_FIELD)                                     \
	};                                                                     \
	_Static_assert(sizeof(struct wire_attach_##name) % 8 == 0, "padding"); \
	enum { WIRE_ATTACH_TYPE_##NAME = (number) };
WIRE_ATTACHES(WIRE_STRUCT)
#undef WIRE_STRUCT

#define WIRE_STRUCT(NAME, name, number, class, lane, tail, text)            \
	struct wire_message_##name {                                            \
		struct wire_message header;                                         \
		WIRE_MESSAGE_##NAME(WIRE_FIELD)                                     \
	};                                                                      \
	_Static_assert(sizeof(struct wire_message_##name) % 8 == 0, "padding"); \
	enum { WIRE_MESSAGE_TYPE_##NAME = (number) };
WIRE_MESSAGES(WIRE_STRUCT)
#undef WIRE_STRUCT
#undef WIRE_FIELD

enum wire_class {
#define WIRE_ENUM(NAME, number, credits) WIRE_CLASS_##NAME = (number),
	WIRE_CLASSES(WIRE_ENUM)
#undef WIRE_ENUM
		WIRE_CLASS_COUNT
};

/* ------------------------------------------------------------------ the table of arguments
 * struct wire_args, entries, ranges (grouped by entry, rising), bounds (grouped by entry, rising),
 * the ranges' bytes one after the other, padding to 8. Entry 0 is the call or invocation itself and
 * may bind all others; any other entry binds only entries with a lower number, never 0: no cycles.
 * In calls entries are struct wire_call_entry, in messages struct wire_entry. */
struct wire_args {
	uint16_t entry_count; /* at least 1 */
	uint16_t range_count;
	uint16_t bound_count;
	uint16_t zero16;
	uint32_t imm_bytes; /* without padding */
	uint32_t zero32;
};

enum wire_call_entry_kind {
	WIRE_ENTRY_CALL = 0,    /* entry 0 only */
	WIRE_ENTRY_SLOT = 1,    /* what slot `cap` holds */
	WIRE_ENTRY_REFINE = 2,  /* `cap` (slot, or WIRE_IN_CALL | lower entry) with arguments bound */
	WIRE_ENTRY_DIMINISH = 3 /* a part of Memory `cap` */
};
struct wire_call_entry {
	uint64_t cap;
	uint64_t offset; /* DIMINISH; zero otherwise */
	uint64_t length;
	uint8_t kind;
	uint8_t drop;
	uint16_t on_error; /* entry, 0: none; CALL and REFINE only */
	uint32_t zero;
};

struct wire_entry { /* a capability by value */
	uint64_t epoch; /* of the owner */
	uint64_t serial;
	uint32_t node;
	uint32_t index;
	uint64_t offset; /* Memory; zero otherwise */
	uint64_t length;
	uint8_t kind;   /* enum fos_kind; 0: entry 0 of a message, which has only arguments */
	uint8_t rights; /* Memory */
	uint16_t on_error;
	uint8_t tracked; /* of a tracked revtree child */
	uint8_t zero8;
	uint16_t zero16;
};

struct wire_range {
	uint16_t entry;
	uint16_t zero16;
	uint32_t offset;
	uint32_t length; /* at least 1 */
	uint32_t zero32;
};

struct wire_bound {
	uint16_t entry;
	uint16_t index;
	uint16_t value; /* entry */
	uint16_t zero;
};

struct wire_delivered { /* a capability argument in a DELIVERY */
	uint64_t cap;
	uint64_t offset;  /* own Memory: in the segment */
	uint64_t length;  /* Memory */
	uint32_t segment; /* one more than the own segment's number; 0: not over the own arena */
	uint8_t index;
	uint8_t kind;
	uint8_t rights;
	uint8_t zero;
};

struct wire_exception { /* followed by detail_len bytes, padded to 8 */
	uint32_t status;
	uint32_t node;
	uint32_t process;
	uint32_t detail_len;
	char where[2 * FOS_LABEL_MAX];
};

/* A validated table of arguments: pointers into the bytes it was parsed from. */
struct wire_args_view {
	const struct wire_args *head;
	const void *entries; /* struct wire_call_entry or struct wire_entry */
	const struct wire_range *ranges;
	const struct wire_bound *bounds;
	const uint8_t *imm;
	size_t size; /* of all of it, padding included */
};

/* Checks every field of a table that starts at bytes: counts against limits, references, order,
 * overlap inside an entry, zeros, kinds. False: malformed. bytes must be aligned to 8. */
bool wire_parse_call_args(const uint8_t *bytes, size_t size, struct wire_args_view *out);
bool wire_parse_args(const uint8_t *bytes, size_t size, struct wire_args_view *out);
/* An exception with its detail; *used receives its size with padding. */
bool wire_parse_exception(const uint8_t *bytes, size_t size, const struct wire_exception **out,
						  const uint8_t **detail, size_t *used);

/* Checks a record's or message's header, size and fixed fields, and that its tail is well formed
 * (the args, exception, and lengths fill the size exactly). Bytes are aligned to 8. Not checked,
 * since what they name is known to the core alone: slots, and the capability fields of a call's
 * fixed part, which may be WIRE_IN_CALL | n with any n. */
bool wire_check_call(const uint8_t *bytes, size_t size);
bool wire_check_answer(const uint8_t *bytes, size_t size);
bool wire_check_attach(const uint8_t *bytes, size_t size);
bool wire_check_message(const uint8_t *bytes, size_t size);

/* What the tail of a checked call or message holds; all zero where it has none. */
struct wire_tail {
	const struct wire_exception *exception; /* NULL: none */
	const uint8_t *detail;
	struct wire_args_view args;
	const uint8_t *data; /* DATA: its bytes; the call FAIL: its text, not zero-terminated */
	size_t data_len;
};
void wire_call_tail(const uint8_t *bytes, struct wire_tail *out);
void wire_message_tail(const uint8_t *bytes, struct wire_tail *out);

enum wire_class wire_message_class(uint8_t type);
bool wire_message_on_bulk(uint8_t type);
uint32_t wire_class_credits(enum wire_class class);
const char *wire_call_name(uint16_t type);
const char *wire_message_name(uint8_t type);

/* Prints a record or message on one line for people; one that does not check is said to be
 * malformed. Returns the length as snprintf. */
int wire_print_record(char *out, size_t out_size, const uint8_t *bytes, size_t size);
int wire_print_message(char *out, size_t out_size, const uint8_t *bytes, size_t size);

static inline size_t wire_pad8(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

#endif
