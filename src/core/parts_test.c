/* The core's own parts: pools, tables of handles, timers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "core/core_internal.h"

static void *chunks[1024];
static unsigned chunk_count;

static void *grow(void *context, size_t size)
{
	(void)context;
	assert_true(chunk_count < BASE_COUNT(chunks));
	return chunks[chunk_count++] = calloc(1, size);
}

static struct core *make_core(uint64_t memory)
{
	struct core_config config;
	core_config_default(&config);
	config.grow = grow;
	config.limits.memory = memory;
	return core_create(&config);
}

static void drop_core(void)
{
	while (chunk_count > 0)
		free(chunks[--chunk_count]);
}

static void pool_rooms(void **state)
{
	(void)state;
	struct core *core = make_core(64 << 20);
	for (size_t size = 1; size <= POOL_LARGEST; size += 1 + size / 64) {
		size_t room = core_pool_room(size);
		assert_true(room >= size && (size <= POOL_SMALLEST || room < 2 * size));
		uint64_t before = core_memory_used(core);
		uint8_t *block = core_alloc(core, size);
		assert_non_null(block);
		memset(block, 0xa5, size);
		assert_int_equal(core_memory_used(core), before + room);
		core_free(core, block, size);
		assert_int_equal(core_memory_used(core), before);
		/* What was given back is what comes next. */
		assert_ptr_equal(core_alloc(core, size), block);
		core_free(core, block, size);
	}
	drop_core();
}

static void pool_ends(void **state)
{
	(void)state;
	struct core *core = make_core(1 << 20);
	unsigned count = 0;
	while (core_alloc(core, 1000) != NULL)
		count++;
	assert_true(core_memory_grown(core) <= (1 << 20) - (1 << 20) / MEMORY_RESERVE);
	assert_in_range(count, 500, 1000);
	assert_non_null(core_alloc_reserved(core, 5000));
	drop_core();
}

/* Weights are made of these, and a plain slot takes a table's entry and a value. */
static void values_are_small(void **state)
{
	(void)state;
	assert_int_equal(core_pool_room(sizeof(struct value)), VALUE_ROOM);
	assert_int_equal(core_pool_room(sizeof(struct tracked_value)), TRACKED_VALUE_ROOM);
	assert_true(sizeof(struct table_entry) + VALUE_ROOM <= 64);
}

/* A handle never names a second thing, whatever is added and removed between. */
static void handles_are_for_ever(void **state)
{
	(void)state;
	struct core *core = make_core(64 << 20);
	struct table table;
	enum { LIMIT = 700, ROUNDS = 20000 };
	core_table_init(&table, LIMIT, false);
	static uint64_t live[LIMIT], dead[ROUNDS];
	unsigned live_count = 0, dead_count = 0;
	struct base_random random = {7};
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (base_random_below(&random, 100) < 55) {
			uint64_t handle = core_table_add(core, &table, &live[0]);
			assert_int_equal(handle == 0, live_count == LIMIT);
			if (handle != 0)
				live[live_count++] = handle;
		} else if (live_count > 0) {
			unsigned at = (unsigned)base_random_below(&random, live_count);
			core_table_remove(&table, live[at]);
			dead[dead_count++] = live[at];
			live[at] = live[--live_count];
		}
	}
	for (unsigned i = 0; i < live_count; i++)
		assert_non_null(core_table_get(&table, live[i]));
	for (unsigned i = 0; i < dead_count; i++) {
		assert_null(core_table_get(&table, dead[i]));
		assert_true(core_table_issued(&table, dead[i]));
		assert_true(dead[i] < WIRE_IN_CALL);
	}
	assert_false(core_table_issued(&table, 0));
	assert_false(core_table_issued(&table, live[0] + ((uint64_t)1 << 50)));
	core_table_end(core, &table);
	assert_int_equal(core_memory_used(core), 0);
	drop_core();
}

/* Its directory doubles several times; of a Process's table nothing is left then. */
static void tables_grow(void **state)
{
	(void)state;
	enum { MANY = 40 * TABLE_CHUNK };
	for (int for_ever = 0; for_ever < 2; for_ever++) {
		struct core *core = make_core(64 << 20);
		struct table table;
		static uint64_t handles[MANY];
		core_table_init(&table, MANY, for_ever);
		for (unsigned i = 0; i < MANY; i++) {
			handles[i] = core_table_add(core, &table, &handles[i]);
			assert_true(handles[i] != 0);
		}
		assert_int_equal(core_table_add(core, &table, &table), 0);
		for (unsigned i = 0; i < MANY; i++)
			assert_ptr_equal(core_table_get(&table, handles[i])->content, &handles[i]);
		if (!for_ever)
			core_table_end(core, &table);
		assert_int_equal(core_memory_used(core), 0);
		drop_core();
	}
}

/* The last generation of an index retires it; every handle stays below in-call names. */
static void generations_end(void **state)
{
	(void)state;
	struct core *core = make_core(64 << 20);
	struct table table;
	core_table_init(&table, 2, false);
	uint64_t first = core_table_add(core, &table, &table);
	core_table_remove(&table, first);
	table.chunks[0][0].generation = 0xffffu * ((uint64_t)1 << 28) - 2;
	uint64_t last = core_table_add(core, &table, &table);
	assert_true(last < WIRE_IN_CALL && core_table_index(last) == 0);
	core_table_remove(&table, last);
	uint64_t next = core_table_add(core, &table, &table);
	assert_int_equal(core_table_index(next), 1);
	assert_int_equal(core_table_add(core, &table, &table), 0);
	core_table_end(core, &table);
	drop_core();
}

/* Against a plain search for the least. */
struct numbered {
	uint64_t number;
	struct list link;
};

static uint64_t number_of(const struct list *node)
{
	return BASE_CONTAINER(node, struct numbered, link)->number;
}

static unsigned longest(struct lookup *lookup)
{
	unsigned most = 0;
	for (uint32_t i = 0; i < lookup->buckets; i++) {
		const struct list *bucket = core_lookup_at(lookup, i);
		unsigned length = 0;
		for (const struct list *at = bucket->next; at != bucket; at = at->next) {
			assert_ptr_equal(core_lookup_bucket(lookup, number_of(at)), bucket);
			length++;
		}
		most = BASE_MAX(most, length);
	}
	return most;
}

/* Where there is memory for it no bucket gets long; where there is none all is found all the same.
 */
static void lookups_grow(void **state)
{
	(void)state;
	enum { COUNT = 100000 };
	static struct numbered records[COUNT];
	for (int scarce = 0; scarce < 2; scarce++) {
		struct core *core = make_core(64 << 20);
		struct lookup lookup;
		core_lookup_init(&lookup, number_of);
		for (uint32_t i = 0; i < COUNT; i++) {
			if (scarce && i == COUNT / 4)
				core->config.limits.memory = 1;
			records[i].number = 7 * i;
			list_init(&records[i].link);
			core_lookup_remove(&lookup, &records[i].link); /* is in no list */
			core_lookup_add(core, &lookup, &records[i].link);
		}
		assert_int_equal(lookup.count, COUNT);
		assert_in_range(longest(&lookup), LOOKUP_LOAD, scarce ? 120 : 40);
		assert_in_range(lookup.buckets, scarce ? COUNT / LOOKUP_LOAD / 8 : COUNT / LOOKUP_LOAD - 1,
						COUNT / LOOKUP_LOAD);
		for (uint32_t i = 0; i < COUNT; i += 2)
			core_lookup_remove(&lookup, &records[i].link);
		assert_int_equal(lookup.count, COUNT / 2);
		unsigned left = 0;
		for (uint32_t i = 0; i < lookup.buckets; i++) {
			const struct list *bucket = core_lookup_at(&lookup, i);
			for (const struct list *at = bucket->next; at != bucket; at = at->next, left++)
				assert_int_equal(number_of(at) / 7 % 2, 1);
		}
		assert_int_equal(left, COUNT / 2);
		drop_core();
	}
}

static void timers_in_order(void **state)
{
	(void)state;
	struct core *core = make_core(1 << 20);
	enum { TIMERS = 300 };
	static struct timer timers[TIMERS];
	struct base_random random = {3};
	for (unsigned i = 0; i < TIMERS; i++)
		core_timer_init(&timers[i], TIMER_COPY);
	for (unsigned round = 0; round < 20000; round++) {
		struct timer *timer = &timers[base_random_below(&random, TIMERS)];
		if (base_random_below(&random, 3) == 0)
			core_timer_stop(core, timer);
		else
			core_timer_start(core, timer, base_random_below(&random, 1000));
		uint64_t least = UINT64_MAX;
		for (unsigned i = 0; i < TIMERS; i++) {
			if (timers[i].armed)
				least = BASE_MIN(least, timers[i].when);
		}
		assert_int_equal(core_deadline(core), least);
	}
	drop_core();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pool_rooms),       cmocka_unit_test(pool_ends),
		cmocka_unit_test(values_are_small), cmocka_unit_test(handles_are_for_ever),
		cmocka_unit_test(generations_end),  cmocka_unit_test(timers_in_order),
		cmocka_unit_test(tables_grow),      cmocka_unit_test(lookups_grow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
