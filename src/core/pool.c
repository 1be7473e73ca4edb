/* Bounded pools for all records of the core: blocks of few sizes, carved from chunks that are
 * never given back. The only place that calls config.grow.
 *
 * Sizes are 2^n and 3 * 2^(n-1), so that at most a third of a block is unused. */
#include "base/hide.h"
#include "core/core_internal.h"

enum { CHUNK = 16 << 10 };

static unsigned class_of(size_t size)
{
	if (size <= POOL_SMALLEST)
		return 0;
	unsigned top = 63u - (unsigned)__builtin_clzll(size - 1);
	unsigned half = size - 1 < (size_t)3 << (top - 1) ? 1 : 2;
	return 2 * top - 11 + half;
}

static size_t class_size(unsigned class)
{
	return class % 2 ? (size_t)64 << (class / 2) : (size_t)48 << (class / 2);
}

size_t core_pool_room(size_t size)
{
	return class_size(class_of(size));
}

void *core_grow(struct core *core, size_t size, enum core_room room)
{
	uint64_t limit = core->config.limits.memory, usable = limit - core_reserve_of(limit);
	if (room == CORE_ROOM)
		limit = usable;
	if (room == CORE_ROOM_BEYOND)
		limit = UINT64_MAX;
	void *chunk = NULL;
	if (core->pool.grown <= limit && size <= limit - core->pool.grown)
		chunk = core->config.grow(core->config.context, size);
	if (chunk == NULL) {
		CORE_COVER(core, memory_refused);
		return NULL;
	}
	core->pool.grown += size;
	if (core->pool.grown > usable)
		CORE_COVER(core, memory_reserve);
	return chunk;
}

static void *take(struct core *core, size_t size, enum core_room from)
{
	BASE_ASSERT(size <= POOL_LARGEST);
	unsigned number = class_of(size);
	struct pool_class *class = &core->pool.classes[number];
	size_t room = class_size(number);
	void *block = class->free;
	if (block != NULL) {
		base_show(block, sizeof class->free);
		memcpy(&class->free, block, sizeof class->free);
	} else {
		if ((size_t)(class->end - class->next) < room) {
			size_t chunk = BASE_MAX(room, CHUNK / room * room);
			char *fresh = core_grow(core, chunk, from);
			if (fresh == NULL)
				return NULL;
			class->next = fresh;
			class->end = fresh + chunk;
		}
		block = class->next;
		class->next += room;
	}
	base_hide(block, room);
	base_show(block, size);
	core->pool.used += room;
	return block;
}

void *core_alloc(struct core *core, size_t size)
{
	return take(core, size, CORE_ROOM);
}

/* A core that cannot even say that something failed must not go on as if it had. */
void *core_alloc_reserved(struct core *core, size_t size)
{
	void *block = take(core, size, CORE_ROOM_BEYOND);
	BASE_ASSERT(block != NULL);
	return block;
}

void *core_alloc_kept(struct core *core, size_t size)
{
	return take(core, size, CORE_ROOM_RESERVED);
}

void core_free(struct core *core, void *block, size_t size)
{
	unsigned number = class_of(size);
	struct pool_class *class = &core->pool.classes[number];
	base_show(block, sizeof class->free);
	memcpy(block, &class->free, sizeof class->free);
	class->free = block;
	core->pool.used -= class_size(number);
	base_hide(block, class_size(number));
}

uint64_t core_memory_grown(const struct core *core)
{
	return core->pool.grown;
}

uint64_t core_memory_used(const struct core *core)
{
	return core->pool.used;
}
