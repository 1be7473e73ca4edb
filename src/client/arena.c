/* The arena of a Process: bytes that Memory objects can name, in segments that the Controller makes
 * and maps too. For fos_alloc() and fos_free(), any thread.
 *
 * Best fit over bins by powers of two; neighbours join when they become free. What describes a
 * block lies outside of the shared bytes, since others write into those.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/client.h"

enum { GRAIN = 64, PAGE = 4096, ALIGN_MAX = 1 << 30 };
#define LENGTH_MAX ((uint64_t)1 << 46) /* above it sums could overflow; no machine has it */

void client_arena_init(struct client_arena *arena)
{
	for (unsigned i = 0; i < CLIENT_BINS; i++)
		list_init(&arena->bins[i]);
	list_init(&arena->blocks);
}

void client_arena_destroy(fos_process *process)
{
	struct client_arena *arena = &process->arena;
	for (struct list *node; (node = list_pop(&arena->blocks)) != NULL;)
		free(BASE_CONTAINER(node, struct client_block, neighbours));
	for (uint32_t i = 0; i < atomic_load(&process->segment_end); i++) {
		uint8_t *base = atomic_load(&process->segments[i].base);
		if (base != NULL)
			munmap(base, process->segments[i].length);
	}
}

/* ------------------------------------------------------------------ where a pointer lies */

bool client_arena_locate(fos_process *process, const void *ptr, uint64_t len, uint32_t *segment,
						 uint64_t *offset)
{
	uint32_t end = atomic_load_explicit(&process->segment_end, memory_order_acquire);
	for (uint32_t i = 0; i < end; i++) {
		const struct client_segment *s = &process->segments[i];
		const uint8_t *base = atomic_load_explicit(&s->base, memory_order_acquire);
		uintptr_t at = (uintptr_t)ptr - (uintptr_t)base;
		if (base != NULL && (uintptr_t)ptr >= (uintptr_t)base &&
			base_range_inside(at, len, s->length)) {
			*segment = i;
			*offset = at;
			return true;
		}
	}
	return false;
}

void *client_arena_pointer(fos_process *process, uint32_t segment, uint64_t offset)
{
	if (segment == 0 || segment > CLIENT_SEGMENTS_MAX)
		return NULL;
	const struct client_segment *s = &process->segments[segment - 1];
	uint8_t *base = atomic_load_explicit(&s->base, memory_order_acquire);
	return base != NULL && offset < s->length ? base + offset : NULL;
}

/* ------------------------------------------------------------------ blocks */

static unsigned bin_of(uint64_t size)
{
	unsigned log = 63u - (unsigned)__builtin_clzll(size);
	return BASE_MIN(log, CLIENT_BINS - 1u);
}

static struct client_block **bucket_of(struct client_arena *arena, const void *ptr)
{
	return &arena->used[base_mix64((uintptr_t)ptr) % CLIENT_BUCKETS];
}

static void put_free(struct client_arena *arena, struct client_block *block)
{
	block->free = true;
	list_push(&arena->bins[bin_of(block->size)], &block->bin);
}

static struct client_block *new_block(uint8_t *start, uint64_t size)
{
	struct client_block *block = calloc(1, sizeof *block);
	if (block == NULL)
		return NULL;
	block->start = start;
	block->size = size;
	list_init(&block->neighbours);
	list_init(&block->bin);
	return block;
}

/* Bytes that are lost at the start of the block when what begins there must be aligned. */
static uint64_t gap_of(const struct client_block *block, uint64_t align)
{
	return base_align_up((uintptr_t)block->start, align) - (uintptr_t)block->start;
}

/* The smallest free block of the lowest bin that has one that fits. */
static struct client_block *find_fit(struct client_arena *arena, uint64_t size, uint64_t align)
{
	for (unsigned i = bin_of(size); i < CLIENT_BINS; i++) {
		struct client_block *best = NULL;
		for (struct list *n = arena->bins[i].next; n != &arena->bins[i]; n = n->next) {
			struct client_block *block = BASE_CONTAINER(n, struct client_block, bin);
			uint64_t gap = gap_of(block, align);
			if (gap <= block->size && block->size - gap >= size &&
				(best == NULL || block->size < best->size))
				best = block;
		}
		if (best != NULL)
			return best;
	}
	return NULL;
}

/* Cuts `block` so that it ends after `size` bytes; the rest becomes a free block behind it. */
static bool cut(struct client_arena *arena, struct client_block *block, uint64_t size)
{
	if (block->size == size)
		return true;
	struct client_block *rest = new_block(block->start + size, block->size - size);
	if (rest == NULL)
		return false;
	block->size = size;
	list_insert_before(block->neighbours.next, &rest->neighbours);
	put_free(arena, rest);
	return true;
}

static void join_next(struct client_arena *arena, struct client_block *block)
{
	struct list *next_node = block->neighbours.next;
	if (next_node == &arena->blocks)
		return;
	struct client_block *next = BASE_CONTAINER(next_node, struct client_block, neighbours);
	if (!next->free || next->first)
		return;
	BASE_ASSERT(next->start == block->start + block->size);
	block->size += next->size;
	list_remove(&next->bin);
	list_remove(&next->neighbours);
	free(next);
}

/* Takes `size` aligned bytes out of a free block that has them. NULL: out of memory. */
static struct client_block *take(struct client_arena *arena, struct client_block *block,
								 uint64_t size, uint64_t align)
{
	uint64_t gap = gap_of(block, align);
	list_remove(&block->bin);
	if (gap != 0) {
		bool cut_off = cut(arena, block, gap);
		struct client_block *aligned =
			BASE_CONTAINER(block->neighbours.next, struct client_block, neighbours);
		put_free(arena, block);
		if (!cut_off)
			return NULL;
		block = aligned;
		list_remove(&block->bin);
	}
	if (!cut(arena, block, size)) {
		put_free(arena, block);
		return NULL;
	}
	block->free = false;
	struct client_block **bucket = bucket_of(arena, block->start);
	block->hash_next = *bucket;
	*bucket = block;
	return block;
}

/* ------------------------------------------------------------------ segments */

/* Asks for one more segment; its block is free and in the arena afterwards. */
static fos_status add_segment(fos_process *process, uint64_t length)
{
	struct client_arena *arena = &process->arena;
	struct wire_attach_segment ask = {
		.header = {.size = sizeof ask, .type = WIRE_ATTACH_TYPE_SEGMENT}, .length = length};
	struct wire_attach_mapped mapped;
	int fd;
	struct client_block *block = new_block(NULL, length);
	if (block == NULL)
		return FOS_QUOTA;
	fos_status status = client_ask(process, &ask, sizeof ask, -1, WIRE_ATTACH_TYPE_MAPPED, &mapped,
								   sizeof mapped, &fd, 1);
	if (status != FOS_OK)
		goto free_block;
	struct stat stat;
	bool fair = mapped.segment < CLIENT_SEGMENTS_MAX && mapped.length == length &&
				atomic_load(&process->segments[mapped.segment].base) == NULL &&
				fstat(fd, &stat) == 0 && stat.st_size >= (off_t)length;
	void *base = fair ? mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
	close(fd);
	if (base == MAP_FAILED) {
		/* The Controller has a segment that we cannot use, and no way to give it back. */
		status = fair ? FOS_QUOTA : FOS_CONTROLLER_LOST;
		if (!fair)
			client_lose(process);
		goto free_block;
	}
	process->segments[mapped.segment].length = length;
	atomic_store_explicit(&process->segments[mapped.segment].base, base, memory_order_release);
	if (mapped.segment >= atomic_load(&process->segment_end))
		atomic_store_explicit(&process->segment_end, mapped.segment + 1, memory_order_release);
	block->start = base;
	block->first = true;
	list_push(&arena->blocks, &block->neighbours);
	put_free(arena, block);
	arena->bytes += length;
	return FOS_OK;

free_block:
	free(block);
	return status;
}

/* Grows by more than is needed, in proportion to what there is, so that many small needs make few
 * segments; where the quota does not allow that, by what is needed. */
static fos_status grow(fos_process *process, uint64_t size, uint64_t align)
{
	uint64_t need = base_align_up(size + (align > PAGE ? align : 0), PAGE);
	uint64_t wish = BASE_MIN(process->arena.bytes / 2, (uint64_t)CLIENT_SEGMENT_STEP);
	wish = BASE_MAX(base_align_up(wish, PAGE), (uint64_t)CLIENT_SEGMENT_MIN);
	if (need >= wish)
		return add_segment(process, need);
	fos_status status = add_segment(process, wish);
	return status == FOS_QUOTA ? add_segment(process, need) : status;
}

/* ------------------------------------------------------------------ for everybody */

fos_status fos_alloc(fos_process *process, size_t len, size_t align, void **out)
{
	struct client_arena *arena = &process->arena;
	BASE_ASSERT(process->magic == CLIENT_PROCESS_MAGIC);
	if (len == 0 || (align & (align - 1)) != 0 || align > ALIGN_MAX)
		return FOS_INVALID;
	if (len > LENGTH_MAX)
		return FOS_QUOTA;
	uint64_t size = base_align_up(len, GRAIN);
	uint64_t boundary = BASE_MAX(align, (size_t)GRAIN);
	fos_status status = FOS_OK;
	pthread_mutex_lock(&process->lock);
	struct client_block *block = find_fit(arena, size, boundary);
	if (block == NULL) {
		status = grow(process, size, boundary);
		block = status == FOS_OK ? find_fit(arena, size, boundary) : NULL;
		BASE_ASSERT(status != FOS_OK || block != NULL);
	}
	if (block != NULL) {
		block = take(arena, block, size, boundary);
		status = block ? FOS_OK : FOS_QUOTA;
	}
	if (block != NULL)
		*out = block->start;
	pthread_mutex_unlock(&process->lock);
	return status;
}

void fos_free(fos_process *process, void *ptr)
{
	struct client_arena *arena = &process->arena;
	if (ptr == NULL)
		return;
	BASE_ASSERT(process->magic == CLIENT_PROCESS_MAGIC);
	pthread_mutex_lock(&process->lock);
	struct client_block **at = bucket_of(arena, ptr);
	while (*at != NULL && (*at)->start != ptr)
		at = &(*at)->hash_next;
	struct client_block *block = *at;
	/* Not from fos_alloc(), or given back before: the caller's memory is not to be trusted. */
	BASE_ASSERT(block != NULL);
	*at = block->hash_next;
	block->free = true;
	join_next(arena, block);
	struct client_block *before =
		BASE_CONTAINER(block->neighbours.prev, struct client_block, neighbours);
	if (!block->first && before->free) {
		list_remove(&before->bin);
		join_next(arena, before);
		block = before;
	}
	put_free(arena, block);
	pthread_mutex_unlock(&process->lock);
}
