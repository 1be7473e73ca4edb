/* What the fuzzers of the core share. Their inputs are programs (base/fuzz.h). Whatever the choices
 * are, they make a well-formed call or message, filled from what was learnt so far: slots from
 * completions, names of objects from messages, numbers of calls that wait for an answer. Which
 * field takes what follows from its name in wire/table.h, so that new calls and messages are
 * fuzzed as soon as they are in the table. Malformed ones come by damage after that. */
#ifndef FRACTOS_CORE_FUZZ_H
#define FRACTOS_CORE_FUZZ_H

#include "base/fuzz.h"
#include "core/core.h"
#include "wire/wire.h"

/* ------------------------------------------------------------------ what was learnt */

enum known_kind {
	KNOWN_SLOT,
	KNOWN_DELIVERY,
	KNOWN_CALL,
	KNOWN_MONITOR,
	KNOWN_STREAM,
	KNOWN_COPY,
	KNOWN_BEAT,
	KNOWN_ORDER,
	KNOWN_NUMBER,
	KNOWN_EPOCH,
	KNOWN_KINDS
};

enum { KNOWN_MAX = 16 };

struct known_object {
	uint32_t node, index;
	uint64_t epoch, serial;
	uint8_t kind; /* enum fos_kind; 0: not known */
	bool tracked;
};

struct known { /* by a Process, or by the peers; the newest of each */
	uint64_t values[KNOWN_KINDS][KNOWN_MAX];
	unsigned value_count[KNOWN_KINDS];
	struct known_object objects[2 * KNOWN_MAX];
	unsigned object_count;
};
void known_add(struct known *known, enum known_kind kind, uint64_t value);
void known_add_object(struct known *known, const struct known_object *object);
/* From an answer in a Process's ring, and from a message of `from`, whose epoch is given, to `to`.
 */
void known_from_answer(struct known *known, const uint8_t *bytes);
void known_from_message(struct known *known, const uint8_t *bytes, uint32_t from, uint64_t epoch,
						uint32_t to, uint64_t to_epoch);

/* ------------------------------------------------------------------ what is made of it */

enum { FUZZ_BYTES = 64 * 1024, FUZZ_DATA_MAX = 8192 };

/* A call with this cookie, or a message without sequence number and credits. Return the size. */
size_t fuzz_call(const struct known *known, struct choices *choices, uint64_t cookie, uint8_t *out);
size_t fuzz_message(const struct known *known, struct choices *choices, uint8_t *out);
/* Changes one byte behind the first `keep`. */
void fuzz_damage(struct choices *choices, uint8_t *bytes, size_t size, size_t keep);

#endif
