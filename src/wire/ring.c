/* The ring between a Process and its Controller; see ring.h for the layout and the rules.
 *
 * Why a seq_cst fence on both sides of sleeping: the producer writes `tail` and then reads
 * `sleeping`, the consumer writes `sleeping` and then reads `tail`. Without a full fence both may
 * read the old value, and the consumer sleeps beside a record for ever. The same holds for `head`
 * and `starving`.
 */
#include <string.h>

#include "base/base.h"
#include "wire/ring.h"
#include "wire/wire.h"

_Static_assert(sizeof(struct ring_shared) <= RING_PAGE, "one page a direction");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
			   "shared between processes: no hidden locks");

enum { FILLER = 0, FILLER_MIN = 8 };

/* The first eight bytes of a record, read from shared memory in one load. */
struct record_start {
	uint32_t size;
	uint16_t type;
	uint16_t zero;
};
_Static_assert(offsetof(struct wire_record, type) == offsetof(struct record_start, type), "");
_Static_assert(sizeof(struct record_start) == 8, "");

void ring_init(struct ring *ring, void *page, void *bytes, uint64_t size)
{
	BASE_ASSERT(size >= RING_PAGE && (size & (size - 1)) == 0);
	*ring = (struct ring){.shared = page, .bytes = bytes, .size = size};
}

bool ring_broken(const struct ring *ring)
{
	return ring->size == 0;
}

static uint64_t cursor(const struct ring *ring)
{
	return ring->position + ring->pending;
}

/* ------------------------------------------------------------------ producer */

/* Whether `need` bytes fit in front of the consumer's position as it was last seen. A consumer that
 * claims to have read what was never written gets no room. */
static bool fits(const struct ring *ring, uint64_t need)
{
	uint64_t used = cursor(ring) - ring->limit;
	return used <= ring->size && need <= ring->size - used;
}

/* Bytes that a record takes, with the filler before it. */
static uint64_t bytes_with_filler(const struct ring *ring, uint32_t size)
{
	uint64_t rest = ring->size - (cursor(ring) & (ring->size - 1));
	return size <= rest ? size : rest + size;
}

void *ring_reserve(struct ring *ring, uint32_t size)
{
	BASE_ASSERT(size % 8 == 0 && size >= sizeof(struct wire_record));
	BASE_ASSERT(size <= RING_RECORD_MAX && size <= ring->size / 2);
	uint64_t need = bytes_with_filler(ring, size);
	if (!fits(ring, need)) {
		ring->limit = atomic_load_explicit(&ring->shared->head, memory_order_acquire);
		if (!fits(ring, need))
			return NULL;
	}
	if (need != size) {
		struct record_start filler = {.size = (uint32_t)(need - size), .type = FILLER};
		memcpy(ring->bytes + (cursor(ring) & (ring->size - 1)), &filler, sizeof filler);
		ring->pending += filler.size;
	}
	void *record = ring->bytes + (cursor(ring) & (ring->size - 1));
	ring->pending += size;
	return record;
}

bool ring_publish(struct ring *ring)
{
	struct ring_shared *shared = ring->shared;
	ring->position += ring->pending;
	ring->pending = 0;
	atomic_store_explicit(&shared->tail, ring->position, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load_explicit(&shared->sleeping, memory_order_relaxed) != 0 &&
		   atomic_exchange_explicit(&shared->sleeping, 0, memory_order_relaxed) != 0;
}

bool ring_starve(struct ring *ring, uint32_t size)
{
	struct ring_shared *shared = ring->shared;
	atomic_store_explicit(&shared->starving, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	ring->limit = atomic_load_explicit(&shared->head, memory_order_acquire);
	if (!fits(ring, bytes_with_filler(ring, size)))
		return true;
	atomic_store_explicit(&shared->starving, 0, memory_order_relaxed);
	return false;
}

/* ------------------------------------------------------------------ consumer */

static int64_t broken(struct ring *ring)
{
	ring->size = 0;
	return -1;
}

/* The bytes between the cursor and the producer's position; -1: nonsense. */
static int64_t available(struct ring *ring)
{
	if (ring->limit == cursor(ring))
		ring->limit = atomic_load_explicit(&ring->shared->tail, memory_order_acquire);
	uint64_t bytes = ring->limit - cursor(ring);
	if (bytes > ring->size - ring->pending || bytes % 8 != 0)
		return broken(ring);
	return (int64_t)bytes;
}

/* Steps over a filler to the next record; *start is the only reading of its head that counts.
 * Returns its size, which lies inside the area and what was produced; 0: nothing there; -1. */
static int64_t next_record(struct ring *ring, struct record_start *start, const uint8_t **at)
{
	for (int fillers = 0; fillers < 2; fillers++) {
		int64_t bytes = available(ring);
		if (bytes <= 0)
			return bytes;
		uint64_t offset = cursor(ring) & (ring->size - 1);
		uint64_t rest = ring->size - offset;
		*at = ring->bytes + offset;
		uint64_t word =
			atomic_load_explicit((const _Atomic uint64_t *)(const void *)*at, memory_order_relaxed);
		memcpy(start, &word, sizeof word);
		if (start->size % 8 != 0 || start->size > (uint64_t)bytes || start->size > rest)
			return broken(ring);
		if (start->type != FILLER) {
			bool fair = start->size >= sizeof(struct wire_record) && start->size <= RING_RECORD_MAX;
			return fair ? (int64_t)start->size : broken(ring);
		}
		if (start->size != rest || start->size < FILLER_MIN)
			return broken(ring);
		ring->pending += rest;
	}
	return broken(ring);
}

int64_t ring_read(struct ring *ring, void *out, size_t capacity)
{
	struct record_start start;
	const uint8_t *at;
	if (ring_broken(ring))
		return -1;
	int64_t size = next_record(ring, &start, &at);
	if (size <= 0)
		return size;
	if ((uint64_t)size > capacity)
		return broken(ring);
	/* The head may have changed since it was checked: what was checked is what counts. */
	memcpy(out, at, (size_t)size);
	memcpy(out, &start, sizeof start);
	ring->pending += (uint64_t)size;
	return size;
}

const void *ring_peek(struct ring *ring, uint32_t *size)
{
	struct record_start start;
	const uint8_t *at;
	if (ring_broken(ring) || next_record(ring, &start, &at) <= 0)
		return NULL;
	ring->pending += start.size;
	*size = start.size;
	return at;
}

bool ring_release(struct ring *ring)
{
	struct ring_shared *shared = ring->shared;
	if (ring->pending == 0)
		return false;
	ring->position += ring->pending;
	ring->pending = 0;
	atomic_store_explicit(&shared->head, ring->position, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load_explicit(&shared->starving, memory_order_relaxed) != 0 &&
		   atomic_exchange_explicit(&shared->starving, 0, memory_order_relaxed) != 0;
}

bool ring_sleep(struct ring *ring)
{
	struct ring_shared *shared = ring->shared;
	if (ring_broken(ring) || ring->limit != cursor(ring))
		return false;
	atomic_store_explicit(&shared->sleeping, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&shared->tail, memory_order_acquire) == cursor(ring))
		return true;
	atomic_store_explicit(&shared->sleeping, 0, memory_order_relaxed);
	return false;
}

void ring_wake(struct ring *ring)
{
	atomic_store_explicit(&ring->shared->sleeping, 0, memory_order_relaxed);
}
