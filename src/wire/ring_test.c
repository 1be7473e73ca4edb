/* The ring: order and content at full speed between two threads that sleep and starve, and a peer
 * that writes nonsense where it can. */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "wire/ring.h"
#include "wire/wire.h"

enum { AREA = 4096, HEAD = sizeof(struct wire_record) };

struct pair {
	struct ring producer, consumer;
	struct ring_shared *page;
	uint8_t *bytes;
	int records, room; /* doorbells */
};

/* The area ends at a page that nobody may touch. */
static void open_pair(struct pair *pair, size_t area)
{
	uint8_t *at = mmap(NULL, RING_PAGE + area + RING_PAGE, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(at != MAP_FAILED);
	assert_int_equal(mprotect(at + RING_PAGE + area, RING_PAGE, PROT_NONE), 0);
	pair->page = (void *)at;
	pair->bytes = at + RING_PAGE;
	ring_init(&pair->producer, at, pair->bytes, area);
	ring_init(&pair->consumer, at, pair->bytes, area);
	pair->records = eventfd(0, EFD_CLOEXEC);
	pair->room = eventfd(0, EFD_CLOEXEC);
}

static void close_pair(struct pair *pair, size_t area)
{
	munmap(pair->page, RING_PAGE + area + RING_PAGE);
	close(pair->records);
	close(pair->room);
}

static struct wire_record *produce(struct ring *ring, uint32_t size, uint64_t cookie)
{
	struct wire_record *record = ring_reserve(ring, size);
	if (record == NULL)
		return NULL;
	*record = (struct wire_record){.size = size, .type = 1, .cookie = cookie};
	memset(record + 1, (int)(cookie & 0xff), size - HEAD);
	return record;
}

/* ------------------------------------------------------------------ one thread */

static void records_come_whole_and_in_order(void **state)
{
	struct pair pair;
	struct base_random random = {.state = 7};
	uint64_t in = 0, out = 0;
	_Alignas(8) uint8_t copy[AREA];
	open_pair(&pair, AREA);
	for (int i = 0; i < 100000; i++) {
		uint32_t size = HEAD + 8 * (uint32_t)base_random_below(&random, (AREA / 2 - HEAD) / 8 + 1);
		if (base_random_below(&random, 2) && produce(&pair.producer, size, in)) {
			in++;
			ring_publish(&pair.producer);
		} else {
			int64_t got = ring_read(&pair.consumer, copy, sizeof copy);
			assert_true(got >= 0);
			if (got > 0) {
				const struct wire_record *record = (const void *)copy;
				assert_int_equal(record->cookie, out++);
				for (int64_t b = HEAD; b < got; b++)
					assert_int_equal(copy[b], record->cookie & 0xff);
			}
			ring_release(&pair.consumer);
		}
	}
	assert_true(out > 1000);
	close_pair(&pair, AREA);
}

static void records_of_the_largest_size(void **state)
{
	struct pair pair;
	uint32_t size;
	open_pair(&pair, 2 * RING_RECORD_MAX);
	for (uint64_t i = 0; i < 5; i++) {
		assert_non_null(produce(&pair.producer, RING_RECORD_MAX, i));
		ring_publish(&pair.producer);
		const struct wire_record *record = ring_peek(&pair.consumer, &size);
		assert_non_null(record);
		assert_int_equal(size, RING_RECORD_MAX);
		assert_int_equal(record->cookie, i);
		ring_release(&pair.consumer);
	}
	close_pair(&pair, 2 * RING_RECORD_MAX);
}

static void nothing_shows_before_it_is_published(void **state)
{
	struct pair pair;
	uint32_t size;
	open_pair(&pair, AREA);
	assert_non_null(produce(&pair.producer, 32, 1));
	assert_non_null(produce(&pair.producer, 48, 2));
	assert_null(ring_peek(&pair.consumer, &size));
	assert_false(ring_publish(&pair.producer));
	const struct wire_record *a = ring_peek(&pair.consumer, &size);
	assert_int_equal(size, 32);
	const struct wire_record *b = ring_peek(&pair.consumer, &size);
	assert_int_equal(size, 48);
	assert_null(ring_peek(&pair.consumer, &size));
	assert_int_equal(a->cookie, 1);
	assert_int_equal(b->cookie, 2);
	/* What was peeked is not given back before it is released. */
	for (int i = 0; produce(&pair.producer, 1024, 3); i++)
		assert_true(i < 4);
	ring_publish(&pair.producer);
	assert_int_equal(a->cookie, 1);
	assert_int_equal(b->cookie, 2);
	assert_false(ring_release(&pair.consumer));
	close_pair(&pair, AREA);
}

static void doorbells_are_rung_once(void **state)
{
	struct pair pair;
	uint32_t size;
	open_pair(&pair, AREA);
	assert_true(ring_sleep(&pair.consumer));
	produce(&pair.producer, 32, 1);
	assert_true(ring_publish(&pair.producer));
	produce(&pair.producer, 32, 2);
	assert_false(ring_publish(&pair.producer));
	assert_false(ring_sleep(&pair.consumer));
	assert_non_null(ring_peek(&pair.consumer, &size));
	assert_false(ring_sleep(&pair.consumer));
	assert_non_null(ring_peek(&pair.consumer, &size));
	assert_true(ring_sleep(&pair.consumer));
	ring_wake(&pair.consumer);
	produce(&pair.producer, 32, 3);
	assert_false(ring_publish(&pair.producer));
	while (produce(&pair.producer, 64, 4))
		;
	ring_publish(&pair.producer);
	assert_true(ring_starve(&pair.producer, 64));
	while (ring_peek(&pair.consumer, &size))
		;
	assert_true(ring_release(&pair.consumer));
	assert_false(ring_starve(&pair.producer, 64));
	close_pair(&pair, AREA);
}

/* ------------------------------------------------------------------ two threads */

enum { MANY = 300000 };

static void *run_producer(void *arg)
{
	struct pair *pair = arg;
	struct base_random random = {.state = 11};
	uint64_t one = 1, count;
	for (uint64_t i = 0; i < MANY; i++) {
		uint32_t size = HEAD + 8 * (uint32_t)base_random_below(&random, 30);
		while (produce(&pair->producer, size, i) == NULL) {
			if (ring_starve(&pair->producer, size))
				BASE_ASSERT(read(pair->room, &count, sizeof count) == sizeof count);
		}
		if (ring_publish(&pair->producer))
			BASE_ASSERT(write(pair->records, &one, sizeof one) == sizeof one);
		if (base_random_below(&random, 1000) == 0)
			sched_yield();
	}
	return NULL;
}

static void consume(struct pair *pair, bool trusts)
{
	_Alignas(8) uint8_t copy[1024];
	uint64_t one = 1, count;
	for (uint64_t i = 0; i < MANY;) {
		const struct wire_record *record;
		uint32_t size = 0;
		if (trusts) {
			record = ring_peek(&pair->consumer, &size);
		} else {
			int64_t got = ring_read(&pair->consumer, copy, sizeof copy);
			assert_true(got >= 0);
			size = (uint32_t)got;
			record = got > 0 ? (const void *)copy : NULL;
		}
		if (record == NULL) {
			/* All is released before the sleep, or the producer might wait for it. */
			if (ring_release(&pair->consumer))
				assert_int_equal(write(pair->room, &one, sizeof one), sizeof one);
			if (ring_sleep(&pair->consumer)) {
				assert_int_equal(read(pair->records, &count, sizeof count), sizeof count);
				ring_wake(&pair->consumer);
			}
			continue;
		}
		assert_int_equal(record->size, size);
		assert_int_equal(record->cookie, i);
		for (size_t b = HEAD; b < size; b++) {
			if (((const uint8_t *)record)[b] != (i & 0xff))
				fail_msg("byte %zu of record %ju", b, (uintmax_t)i);
		}
		i++;
		if (i % 7 == 0 && ring_release(&pair->consumer))
			assert_int_equal(write(pair->room, &one, sizeof one), sizeof one);
	}
}

static void two_threads_at_full_speed(void **state)
{
	for (int trusts = 0; trusts < 2; trusts++) {
		struct pair pair;
		pthread_t thread;
		open_pair(&pair, AREA);
		assert_int_equal(pthread_create(&thread, NULL, run_producer, &pair), 0);
		consume(&pair, trusts);
		pthread_join(thread, NULL);
		close_pair(&pair, AREA);
	}
}

enum { HANDOFFS = 100000 };

static void *hand_over(void *arg)
{
	struct pair *pair = arg;
	struct base_random random = {.state = 17};
	const uint64_t one = 1;
	for (uint64_t i = 0; i < HANDOFFS; i++) {
		for (unsigned looks = 0; atomic_load(&pair->page->head) != pair->producer.position;
			 looks++) {
			if (looks > 1000)
				sched_yield(); /* on one core nothing happens otherwise */
		}
		/* Now the consumer goes to sleep: publish at about the moment when it declares that. */
		for (uint64_t wait = base_random_below(&random, 60); wait > 0; wait--)
			atomic_signal_fence(memory_order_seq_cst);
		BASE_ASSERT(produce(&pair->producer, HEAD, i) != NULL);
		if (ring_publish(&pair->producer))
			BASE_ASSERT(write(pair->records, &one, sizeof one) == sizeof one);
	}
	return NULL;
}

/* Every publication meets a consumer that is about to sleep. Without the fences
 * one is missed sooner or later. */
static void no_wake_up_is_lost(void **state)
{
	struct pair pair;
	pthread_t thread;
	uint64_t count;
	uint32_t size;
	open_pair(&pair, AREA);
	assert_int_equal(pthread_create(&thread, NULL, hand_over, &pair), 0);
	for (uint64_t i = 0; i < HANDOFFS;) {
		if (ring_peek(&pair.consumer, &size) != NULL) {
			ring_release(&pair.consumer);
			i++;
			continue;
		}
		if (!ring_sleep(&pair.consumer))
			continue;
		struct pollfd wait = {.fd = pair.records, .events = POLLIN};
		if (poll(&wait, 1, 5000) != 1)
			fail_msg("asleep beside record %ju", (uintmax_t)i);
		assert_int_equal(read(pair.records, &count, sizeof count), sizeof count);
		ring_wake(&pair.consumer);
	}
	pthread_join(thread, NULL);
	close_pair(&pair, AREA);
}

/* ------------------------------------------------------------------ a hostile peer */

static int64_t read_hostile(uint32_t size, uint16_t type, uint64_t tail, size_t capacity)
{
	struct pair pair;
	uint8_t *copy = malloc(capacity); /* exactly: a sanitizer sees any step beyond it */
	open_pair(&pair, AREA);
	struct wire_record record = {.size = size, .type = type};
	memcpy(pair.bytes, &record, sizeof record);
	atomic_store(&pair.page->tail, tail);
	int64_t got = ring_read(&pair.consumer, copy, capacity);
	if (got < 0) {
		/* Broken is broken. */
		atomic_store(&pair.page->tail, 0);
		assert_true(ring_broken(&pair.consumer));
		assert_int_equal(ring_read(&pair.consumer, copy, capacity), -1);
		assert_null(ring_peek(&pair.consumer, &size));
		assert_false(ring_sleep(&pair.consumer));
		ring_release(&pair.consumer);
	}
	close_pair(&pair, AREA);
	free(copy);
	return got;
}

static void sizes_are_not_believed(void **state)
{
	assert_int_equal(read_hostile(32, 1, 32, 32), 32);
	assert_int_equal(read_hostile(AREA, 1, AREA, AREA), AREA);
	assert_int_equal(read_hostile(0, 1, 32, 4096), -1);
	assert_int_equal(read_hostile(8, 1, 32, 4096), -1);
	assert_int_equal(read_hostile(20, 1, 32, 4096), -1);
	assert_int_equal(read_hostile(40, 1, 32, 4096), -1); /* beyond what was produced */
	assert_int_equal(read_hostile(40, 1, 40, 32), -1);   /* beyond the reader's room */
	assert_int_equal(read_hostile(UINT32_MAX & ~7u, 1, AREA, 4096), -1);
	assert_int_equal(read_hostile(AREA + 8, 1, AREA, AREA + 8), -1);
	assert_int_equal(read_hostile(32, 0, 32, 4096), -1);     /* a filler that does not fill */
	assert_int_equal(read_hostile(AREA, 0, AREA, 4096), 0);  /* one that fills, and nothing else */
	assert_int_equal(read_hostile(32, 1, AREA + 8, 32), -1); /* more than the area holds */
	assert_int_equal(read_hostile(32, 1, UINT64_MAX, 32), -1);
	assert_int_equal(read_hostile(32, 1, UINT64_MAX - 7, 32), -1);
	assert_int_equal(read_hostile(32, 1, 12, 32), -1);
}

static void fillers_do_not_go_on_for_ever(void **state)
{
	struct pair pair;
	_Alignas(8) uint8_t copy[AREA];
	open_pair(&pair, AREA);
	struct wire_record filler = {.size = AREA, .type = 0};
	memcpy(pair.bytes, &filler, sizeof filler);
	atomic_store(&pair.page->tail, AREA);
	for (uint64_t i = 0; i < 10; i++) {
		assert_int_equal(ring_read(&pair.consumer, copy, sizeof copy), 0);
		ring_release(&pair.consumer);
		atomic_store(&pair.page->tail, (i + 2) * AREA);
	}
	close_pair(&pair, AREA);
}

static void a_lying_consumer_gets_nothing(void **state)
{
	struct pair pair;
	open_pair(&pair, AREA);
	while (produce(&pair.producer, 64, 1))
		;
	ring_publish(&pair.producer);
	const uint64_t lies[] = {AREA + 8, UINT64_MAX, (uint64_t)-AREA - 8, 1u << 31};
	for (size_t i = 0; i < BASE_COUNT(lies); i++) {
		atomic_store(&pair.page->head, lies[i]);
		assert_null(produce(&pair.producer, 64, 1));
		assert_true(ring_starve(&pair.producer, 64));
	}
	atomic_store(&pair.page->head, AREA);
	assert_non_null(produce(&pair.producer, 64, 1));
	close_pair(&pair, AREA);
}

struct scribbler {
	struct pair *pair;
	_Atomic bool stop;
};

static void *scribble(void *arg)
{
	struct scribbler *scribbler = arg;
	struct base_random random = {.state = 3};
	_Atomic uint64_t *words = (void *)scribbler->pair->bytes;
	while (!atomic_load(&scribbler->stop)) {
		uint64_t r = base_random_next(&random);
		struct wire_record head = {.size = (uint32_t)(r % (2 * AREA)) & ~7u, .type = r >> 60 & 1};
		uint64_t word;
		memcpy(&word, &head, sizeof word);
		/* Most often the head of the very record that is being read. */
		uint64_t next = atomic_load(&scribbler->pair->page->head) / 8;
		uint64_t at = r >> 61 ? next : r >> 32;
		atomic_store_explicit(&words[at & (AREA / 8 - 1)], word, memory_order_relaxed);
		atomic_store(&scribbler->pair->page->tail,
					 atomic_load(&scribbler->pair->page->head) + (r >> 20 & (AREA - 8)));
	}
	return NULL;
}

#if defined(__SANITIZE_THREAD__)
#define UNDER_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_THREAD_SANITIZER 1
#endif
#endif
#ifndef UNDER_THREAD_SANITIZER
#define UNDER_THREAD_SANITIZER 0
#endif

/* While it is read, every word and the tail change: what comes out has the size that was said, and
 * no byte is touched outside of the area. */
static void a_scribbling_producer_does_no_harm(void **state)
{
	if (UNDER_THREAD_SANITIZER)
		skip(); /* the race is the point */
	enum { ROUNDS = 20000, ROOM = 512 };
	struct pair pair;
	struct scribbler scribbler = {.pair = &pair};
	pthread_t thread;
	uint64_t taken = 0, refused = 0;
	open_pair(&pair, AREA);
	assert_int_equal(pthread_create(&thread, NULL, scribble, &scribbler), 0);
	uint8_t *copy = malloc(ROOM);
	for (int i = 0; i < ROUNDS || taken == 0 || refused == 0; i++) {
		uint32_t size;
		int64_t got = ring_read(&pair.consumer, copy, ROOM);
		if (got > 0) {
			memcpy(&size, copy, sizeof size);
			assert_int_equal(size, got);
			taken++;
		}
		ring_release(&pair.consumer);
		if (got < 0) {
			refused++;
			uint64_t position = pair.consumer.position;
			ring_init(&pair.consumer, pair.page, pair.bytes, AREA);
			pair.consumer.position = pair.consumer.limit = position & ~(uint64_t)7;
		}
	}
	atomic_store(&scribbler.stop, true);
	pthread_join(thread, NULL);
	free(copy);
	close_pair(&pair, AREA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_whole_and_in_order),
		cmocka_unit_test(records_of_the_largest_size),
		cmocka_unit_test(nothing_shows_before_it_is_published),
		cmocka_unit_test(doorbells_are_rung_once),
		cmocka_unit_test(two_threads_at_full_speed),
		cmocka_unit_test(no_wake_up_is_lost),
		cmocka_unit_test(sizes_are_not_believed),
		cmocka_unit_test(fillers_do_not_go_on_for_ever),
		cmocka_unit_test(a_lying_consumer_gets_nothing),
		cmocka_unit_test(a_scribbling_producer_does_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
