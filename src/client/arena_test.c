/* The allocator: nothing overlaps, everything is aligned, what is freed is used again, quota and
 * several threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/client.h"
#include "client/fake.h"

static struct fake fake;
static fos_process *process;

static void start(uint64_t arena_max)
{
	fake_start(&fake, &(struct fake_config){.arena_max = arena_max});
	assert_int_equal(fos_attach(&(fos_attach_options){.socket = fake.path}, &process), FOS_OK);
}

static void stop(void)
{
	fos_detach(process);
	fake_stop(&fake);
}

static void *must_alloc(size_t len, size_t align)
{
	void *out = NULL;
	assert_int_equal(fos_alloc(process, len, align, &out), FOS_OK);
	assert_non_null(out);
	assert_int_equal((uintptr_t)out % BASE_MAX(align, (size_t)64), 0);
	return out;
}

static void sizes_and_alignments(void **state)
{
	void *out = &out;
	start(0);
	assert_int_equal(fos_alloc(process, 0, 0, &out), FOS_INVALID);
	assert_int_equal(fos_alloc(process, 1, 3, &out), FOS_INVALID);
	assert_int_equal(fos_alloc(process, 1, (size_t)1 << 40, &out), FOS_INVALID);
	assert_int_equal(fos_alloc(process, SIZE_MAX, 0, &out), FOS_QUOTA);
	assert_ptr_equal(out, &out);
	for (size_t align = 1; align <= 1 << 21; align *= 2) {
		uint8_t *bytes = must_alloc(100, align);
		for (int i = 0; i < 100; i++)
			assert_int_equal(bytes[i], 0);
		memset(bytes, 0xff, 100);
	}
	fos_free(process, NULL);
	uint8_t *big = must_alloc((size_t)5 << 20, 4096);
	memset(big, 1, (size_t)5 << 20);
	uint32_t segment;
	uint64_t offset;
	assert_true(client_arena_locate(process, big, (size_t)5 << 20, &segment, &offset));
	assert_ptr_equal(client_arena_pointer(process, segment + 1, offset), big);
	assert_null(client_arena_pointer(process, 0, 0));
	assert_null(client_arena_pointer(process, UINT32_MAX, 0));
	assert_null(client_arena_pointer(process, segment + 1, UINT64_MAX));
	stop();
}

static void freed_bytes_are_used_again(void **state)
{
	start(1 << 20);
	for (int round = 0; round < 100; round++) {
		void *parts[16];
		for (int i = 0; i < 16; i++)
			parts[i] = must_alloc(1 << 16, 0);
		void *none;
		assert_int_equal(fos_alloc(process, 64, 0, &none), FOS_QUOTA);
		/* In an order that needs joining to both sides. */
		for (int i = 0; i < 16; i += 2)
			fos_free(process, parts[i]);
		for (int i = 15; i > 0; i -= 2)
			fos_free(process, parts[i]);
		void *whole = must_alloc(1 << 20, 0);
		fos_free(process, whole);
	}
	stop();
}

static void small_quotas_are_used_to_the_end(void **state)
{
	start(12 * 4096); /* less than a segment would like to have */
	must_alloc(4096, 0);
	must_alloc(10 * 4096, 0);
	must_alloc(4096, 0);
	void *none;
	assert_int_equal(fos_alloc(process, 1, 0, &none), FOS_QUOTA);
	stop();
}

struct piece {
	uint8_t *bytes;
	size_t len;
	uint8_t mark;
};

static void check_and_free(struct piece *piece)
{
	for (size_t i = 0; i < piece->len; i++)
		assert_int_equal(piece->bytes[i], piece->mark);
	fos_free(process, piece->bytes);
	piece->bytes = NULL;
}

static void *churn(void *arg)
{
	struct base_random random = {.state = (uintptr_t)arg};
	struct piece pieces[64] = {0};
	for (int i = 0; i < 20000; i++) {
		struct piece *piece = &pieces[base_random_below(&random, 64)];
		if (piece->bytes != NULL) {
			check_and_free(piece);
			continue;
		}
		piece->len = 1 + base_random_below(&random, 3000);
		piece->mark = (uint8_t)base_random_next(&random);
		piece->bytes = must_alloc(piece->len, (size_t)1 << base_random_below(&random, 13));
		memset(piece->bytes, piece->mark, piece->len);
	}
	for (int i = 0; i < 64; i++) {
		if (pieces[i].bytes != NULL)
			check_and_free(&pieces[i]);
	}
	return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
	pthread_t threads[3];
	start(0);
	for (uintptr_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	/* All is one free block a segment again. */
	size_t blocks = 0;
	for (struct list *n = process->arena.blocks.next; n != &process->arena.blocks; n = n->next) {
		struct client_block *block = BASE_CONTAINER(n, struct client_block, neighbours);
		assert_true(block->free && block->first);
		blocks++;
	}
	assert_int_equal(blocks, process->segment_end);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_and_alignments),
		cmocka_unit_test(freed_bytes_are_used_again),
		cmocka_unit_test(small_quotas_are_used_to_the_end),
		cmocka_unit_test(threads_do_not_disturb_each_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
