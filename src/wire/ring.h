/* A single-producer single-consumer ring of variable-size records in shared memory: how a Process
 * and its Controller talk. Used by libfractos on one side and fractosd on the other.
 *
 * Layout of a channel's memfd: one page `struct ring_shared` for calls (Process -> Controller), one
 * for answers (Controller -> Process), then the calls' bytes, then the answers' bytes; both areas
 * have ring_bytes bytes, a power of two. A record starts with its size (u32, a multiple of 8, at
 * least sizeof(struct wire_record)) and never wraps: where it would, a filler record (type 0) takes
 * the rest of the area.
 *
 * Either side may be hostile to the other's hopes: head and tail are read once, clamped by
 * subtraction, and a record is copied out before it is looked at (ring_read), or, in the Process,
 * which trusts its Controller, borrowed in place (ring_peek).
 *
 * Sleeping. The consumer sets `sleeping`, fences, looks once more, then waits on its eventfd; the
 * producer publishes the tail, fences, and rings the doorbell only if `sleeping` was set, clearing
 * it. The same for a producer that waits for room (`starving`).
 */
#ifndef FRACTOS_WIRE_RING_H
#define FRACTOS_WIRE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RING_PAGE = 4096, RING_RECORD_MAX = 64 * 1024 };

struct ring_shared {
	_Alignas(64) _Atomic uint64_t tail; /* bytes ever produced; written by the producer */
	_Atomic uint32_t starving;          /* producer waits for room; cleared by the consumer */
	_Alignas(64) _Atomic uint64_t head; /* bytes ever consumed; written by the consumer */
	_Atomic uint32_t sleeping;          /* consumer waits for records; cleared by the producer */
};

/* One side's private view. */
struct ring {
	struct ring_shared *shared;
	uint8_t *bytes;
	uint64_t size;     /* of the area; a power of two */
	uint64_t position; /* own: tail of the producer, head of the consumer */
	uint64_t limit;    /* the other's last position that was seen */
	uint64_t pending; /* consumer: bytes peeked and not yet released; producer: not yet published */
};

void ring_init(struct ring *ring, void *page, void *bytes, uint64_t size);

/* Whether a consumer found nonsense in it: from then on it reads nothing. */
bool ring_broken(const struct ring *ring);

/* Producer. ring_reserve gives room for a record of `size` bytes (multiple of 8, at most
 * RING_RECORD_MAX and half of the area) or NULL when the ring is full; ring_publish makes all
 * reserved records visible and says whether the consumer sleeps and its doorbell must be rung. */
void *ring_reserve(struct ring *ring, uint32_t size);
bool ring_publish(struct ring *ring);
/* Declares that the producer waits for room; false: there is room now. */
bool ring_starve(struct ring *ring, uint32_t size);

/* Consumer that does not trust: copies the next record into out (capacity bytes). Returns its size,
 * 0: nothing there, -1: the ring is broken and will not be read again. */
int64_t ring_read(struct ring *ring, void *out, size_t capacity);
/* Consumer that trusts: the next record in place, valid until ring_release; NULL: nothing there. */
const void *ring_peek(struct ring *ring, uint32_t *size);
/* Consumer: gives back what was read or peeked; says whether the producer starves. */
bool ring_release(struct ring *ring);
/* Declares that the consumer sleeps; false: a record is there, do not sleep. ring_wake undoes. */
bool ring_sleep(struct ring *ring);
void ring_wake(struct ring *ring);

#endif
