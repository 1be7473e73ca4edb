/* libFuzzer harness: a hostile producer of a ring. It leaves any bytes and any position in it, and
 * goes on changing them from a second thread while the consumer validates and copies.
 *
 * The consumer must stay inside the area and inside its own buffer, whatever it sees; a record that
 * it was given has the size that was checked, and no longer changes. The input: the position, how
 * many bytes lie in the area, these, and then pairs of where and what the thread writes. Since the
 * threads race, an input need not end in the same way twice. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "wire/ring.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { AREA = 4096, WORDS = AREA / 8, WRITES = 64, ROUNDS = 40, READS = 512 };

struct shared {
	_Alignas(RING_PAGE) uint8_t page[RING_PAGE];
	_Alignas(RING_PAGE) _Atomic uint64_t words[WORDS];
};

struct write {
	uint32_t where; /* a word; WORDS: the position */
	uint64_t what;
};

struct hostile {
	struct shared *shared;
	struct write writes[WRITES];
	unsigned count;
	_Atomic bool quit;
};

static struct ring_shared *head_of(struct shared *shared)
{
	return (void *)shared->page;
}

/* Over and over: there and back, so that what was checked is something else when it is copied. */
static void *change(void *arg)
{
	struct hostile *hostile = arg;
	struct shared *shared = hostile->shared;
	for (unsigned round = 0; round < ROUNDS && !atomic_load(&hostile->quit); round++) {
		for (unsigned i = 0; i < hostile->count; i++) {
			const struct write *write = &hostile->writes[i];
			_Atomic uint64_t *at =
				write->where == WORDS ? &head_of(shared)->tail : &shared->words[write->where];
			uint64_t old = atomic_exchange_explicit(at, write->what, memory_order_relaxed);
			if (round % 2 == 0)
				atomic_store_explicit(at, old, memory_order_relaxed);
		}
	}
	return NULL;
}

static uint64_t take(const uint8_t **data, size_t *size, size_t bytes)
{
	uint64_t value = 0;
	bytes = BASE_MIN(bytes, *size);
	if (bytes > 0)
		memcpy(&value, *data, bytes);
	*data += bytes;
	*size -= bytes;
	return value;
}

/* Small positions are likelier to be plausible. */
static uint64_t position(uint64_t value)
{
	return value >> 63 ? value : value & (2 * AREA - 8);
}

static void consume(struct shared *shared)
{
	struct ring ring;
	uint8_t *out = malloc(AREA), *again = malloc(AREA);
	BASE_ASSERT(out != NULL && again != NULL);
	ring_init(&ring, shared->page, shared->words, AREA);
	for (unsigned i = 0; i < READS; i++) {
		int64_t size = ring_read(&ring, out, AREA);
		if (size < 0) {
			BASE_ASSERT(ring_broken(&ring) && ring_read(&ring, out, AREA) < 0);
			break;
		}
		if (size == 0 && ring_sleep(&ring))
			ring_wake(&ring);
		if (size == 0)
			continue;
		const struct wire_record *head = (const void *)out;
		BASE_ASSERT(head->size == size && head->type != 0 && size % 8 == 0 && size <= AREA);
		memcpy(again, out, (size_t)size);
		bool good = wire_check_call(out, (size_t)size);
		BASE_ASSERT(wire_check_call(again, (size_t)size) == good);
		BASE_ASSERT(memcmp(out, again, (size_t)size) == 0);
		ring_release(&ring);
	}
	free(out);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shared *shared = aligned_alloc(RING_PAGE, sizeof *shared);
	struct hostile hostile = {.shared = shared};
	pthread_t thread;
	BASE_ASSERT(shared != NULL);
	memset(shared, 0, sizeof *shared);
	uint64_t tail = take(&data, &size, 8);
	uint64_t count = BASE_MIN(take(&data, &size, 2), (uint64_t)WORDS);
	for (uint64_t i = 0; i < count && size > 0; i++)
		atomic_store(&shared->words[i], take(&data, &size, 8));
	atomic_store(&head_of(shared)->tail, position(tail));
	while (size >= 2 && hostile.count < WRITES) {
		struct write *write = &hostile.writes[hostile.count++];
		write->where = (uint32_t)(take(&data, &size, 2) % (WORDS + 1));
		write->what = take(&data, &size, 8);
		if (write->where == WORDS)
			write->what = position(write->what);
	}
	if (hostile.count > 0)
		BASE_ASSERT(pthread_create(&thread, NULL, change, &hostile) == 0);
	consume(shared);
	atomic_store(&hostile.quit, true);
	if (hostile.count > 0)
		pthread_join(thread, NULL);
	free(shared);
	return 0;
}
