/* Tables of handles: a handle is an index and a generation and never names a second thing. Serve
 * slots, deliveries, objects, copies. Chunks are allocated when an index is used first. */
#include "core/core_internal.h"

enum { FIRST_ROOM = 16 };
/* A handle stays below WIRE_IN_CALL, which begins with 16 ones. */
static const uint64_t generation_max = 0xffffu * ((uint64_t)1 << 28) - 1;

void core_table_init(struct table *table, uint32_t limit, bool for_ever)
{
	*table = (struct table){.limit = BASE_MIN(limit, (uint32_t)TABLE_MAX), .for_ever = for_ever};
}

static void *get_room(struct core *core, const struct table *table, size_t size)
{
	void *room = table->for_ever ? core_grow(core, size, CORE_ROOM) : core_alloc(core, size);
	if (room != NULL && !table->for_ever)
		memset(room, 0, size);
	return room;
}

void core_table_end(struct core *core, struct table *table)
{
	BASE_ASSERT(!table->for_ever);
	for (uint32_t i = 0; i < table->chunk_count; i++)
		core_free(core, table->chunks[i], TABLE_CHUNK * sizeof(struct table_entry));
	if (table->chunks != NULL)
		core_free(core, table->chunks, table->chunk_room * sizeof *table->chunks);
}

/* The directory doubles; of a table that lives for ever the old ones are lost, in all less than the
 * last. */
static bool add_chunk(struct core *core, struct table *table)
{
	if (table->chunk_count == table->chunk_room) {
		uint32_t room = table->chunk_room ? 2 * table->chunk_room : FIRST_ROOM;
		struct table_entry **chunks = get_room(core, table, room * sizeof *chunks);
		if (chunks == NULL)
			return false;
		if (table->chunks != NULL) {
			memcpy(chunks, table->chunks, table->chunk_count * sizeof *chunks);
			if (!table->for_ever)
				core_free(core, table->chunks, table->chunk_room * sizeof *chunks);
		}
		table->chunks = chunks;
		table->chunk_room = room;
	}
	struct table_entry *chunk = get_room(core, table, TABLE_CHUNK * sizeof *chunk);
	if (chunk == NULL)
		return false;
	table->chunks[table->chunk_count++] = chunk;
	return true;
}

static struct table_entry *entry_at(const struct table *table, uint32_t index)
{
	return &table->chunks[index / TABLE_CHUNK][index % TABLE_CHUNK];
}

bool core_table_room(struct core *core, struct table *table, uint32_t count)
{
	while (table->chunk_count * TABLE_CHUNK - table->live < count) {
		if (!add_chunk(core, table))
			return false;
	}
	return true;
}

uint64_t core_table_add(struct core *core, struct table *table, void *content)
{
	if (table->live == table->limit)
		return 0;
	uint32_t index;
	if (table->free != 0) {
		index = (uint32_t)(table->free - 1);
		table->free = entry_at(table, index)->next_free;
	} else {
		/* Retired indices are not replaced: after 2^44 uses a table may become a little smaller. */
		if (table->used == table->limit ||
			(table->used == table->chunk_count * TABLE_CHUNK && !add_chunk(core, table)))
			return 0;
		index = table->used++;
	}
	struct table_entry *entry = entry_at(table, index);
	entry->generation++;
	entry->live = true;
	entry->borrowed = false;
	entry->content = content;
	table->live++;
	return (uint64_t)entry->generation << HANDLE_INDEX_BITS | index;
}

struct table_entry *core_table_at(const struct table *table, uint32_t index)
{
	if (index >= table->used)
		return NULL;
	struct table_entry *entry = entry_at(table, index);
	return entry->live ? entry : NULL;
}

struct table_entry *core_table_get(const struct table *table, uint64_t handle)
{
	struct table_entry *entry = core_table_at(table, core_table_index(handle));
	if (entry == NULL ||
		(entry->generation != handle >> HANDLE_INDEX_BITS && !PLANTED(skip_generation)))
		return NULL;
	return entry;
}

bool core_table_issued(const struct table *table, uint64_t handle)
{
	uint32_t index = core_table_index(handle);
	uint64_t generation = handle >> HANDLE_INDEX_BITS;
	return index < table->used && generation != 0 &&
		   generation <= entry_at(table, index)->generation;
}

void core_table_remove(struct table *table, uint64_t handle)
{
	struct table_entry *entry = core_table_get(table, handle);
	BASE_ASSERT(entry != NULL);
	entry->live = false;
	entry->borrowed = false;
	table->live--;
	if (entry->generation == generation_max)
		return;
	entry->next_free = table->free;
	table->free = core_table_index(handle) + 1u;
}
