/* The bitmap of free blocks. See alloc.h. */
#include <assert.h>
#include <stdlib.h>

#include "alloc.h"

enum { BITS = 64 };

struct alloc {
	uint64_t size; /* blocks */
	uint64_t free;
	uint64_t cursor;   /* block behind the last run taken: where the next fit starts */
	uint64_t *words;   /* a set bit is a free block */
	uint64_t *summary; /* a set bit is a word that is not 0 */
};

static uint64_t words_for(uint64_t bits)
{
	return (bits + BITS - 1) / BITS;
}

/* `count` bits from `bit` on, inside one word. */
static uint64_t mask(uint64_t bit, uint64_t count)
{
	uint64_t ones = count == BITS ? UINT64_MAX : (UINT64_C(1) << count) - 1;
	return ones << bit;
}

/* How much of [block, end) lies in block's word. */
static uint64_t part_of_word(uint64_t block, uint64_t end)
{
	uint64_t room = BITS - block % BITS;
	return end - block < room ? end - block : room;
}

static void set_free(struct alloc *alloc, struct run run)
{
	uint64_t end = run.block + run.count;
	for (uint64_t at = run.block; at < end;) {
		uint64_t part = part_of_word(at, end), word = at / BITS;
		alloc->words[word] |= mask(at % BITS, part);
		alloc->summary[word / BITS] |= UINT64_C(1) << word % BITS;
		at += part;
	}
	alloc->free += run.count;
}

static void set_taken(struct alloc *alloc, struct run run)
{
	uint64_t end = run.block + run.count;
	for (uint64_t at = run.block; at < end;) {
		uint64_t part = part_of_word(at, end), word = at / BITS;
		alloc->words[word] &= ~mask(at % BITS, part);
		if (alloc->words[word] == 0)
			alloc->summary[word / BITS] &= ~(UINT64_C(1) << word % BITS);
		at += part;
	}
	alloc->free -= run.count;
}

struct alloc *alloc_create(uint64_t blocks)
{
	struct alloc *alloc = blocks ? calloc(1, sizeof *alloc) : NULL;
	if (!alloc)
		return NULL;
	alloc->size = blocks;
	alloc->words = calloc(words_for(blocks), sizeof *alloc->words);
	alloc->summary = calloc(words_for(words_for(blocks)), sizeof *alloc->summary);
	if (!alloc->words || !alloc->summary) {
		alloc_destroy(alloc);
		return NULL;
	}
	set_free(alloc, (struct run){0, blocks});
	return alloc;
}

void alloc_destroy(struct alloc *alloc)
{
	if (!alloc)
		return;
	free(alloc->words);
	free(alloc->summary);
	free(alloc);
}

/* The first free block at or behind `from`; size where there is none. */
static uint64_t next_free(const struct alloc *alloc, uint64_t from)
{
	if (from >= alloc->size)
		return alloc->size;
	uint64_t word = from / BITS;
	uint64_t bits = alloc->words[word] & ~mask(0, from % BITS);
	if (bits)
		return word * BITS + (uint64_t)__builtin_ctzll(bits);
	uint64_t words = words_for(alloc->size), summaries = words_for(words);
	word++;
	for (uint64_t s = word / BITS; s < summaries; s++) {
		bits = alloc->summary[s];
		if (s == word / BITS)
			bits &= ~mask(0, word % BITS);
		if (bits) {
			word = s * BITS + (uint64_t)__builtin_ctzll(bits);
			return word * BITS + (uint64_t)__builtin_ctzll(alloc->words[word]);
		}
	}
	return alloc->size;
}

/* How many free blocks follow each other from `from` on, counted up to `most`. */
static uint64_t run_length(const struct alloc *alloc, uint64_t from, uint64_t most)
{
	uint64_t end = most < alloc->size - from ? from + most : alloc->size;
	uint64_t at = from;
	while (at < end) {
		uint64_t part = part_of_word(at, end);
		uint64_t taken = ~alloc->words[at / BITS] & mask(at % BITS, part);
		if (taken)
			return at / BITS * BITS + (uint64_t)__builtin_ctzll(taken) - from;
		at += part;
	}
	return end - from;
}

bool alloc_claim(struct alloc *alloc, struct run run)
{
	if (run.count == 0 || run.block >= alloc->size || run.count > alloc->size - run.block ||
		run_length(alloc, run.block, run.count) != run.count)
		return false;
	set_taken(alloc, run);
	return true;
}

/* The first run of `count` in [from, to), else the longest one; `best` is kept if it is longer. */
static void search(const struct alloc *alloc, uint64_t from, uint64_t to, uint64_t count,
				   struct run *best)
{
	for (uint64_t at = next_free(alloc, from); at < to && best->count < count;) {
		uint64_t length = run_length(alloc, at, count);
		if (length > best->count)
			*best = (struct run){at, length};
		at = next_free(alloc, at + length);
	}
}

bool alloc_take(struct alloc *alloc, uint64_t goal, uint64_t count, struct run *out)
{
	if (alloc->free == 0 || count == 0)
		return false;
	struct run best = {0, 0};
	if (goal < alloc->size && run_length(alloc, goal, count) == count)
		best = (struct run){goal, count};
	search(alloc, alloc->cursor, alloc->size, count, &best);
	search(alloc, 0, alloc->cursor, count, &best);
	assert(best.count > 0);
	set_taken(alloc, best);
	alloc->cursor = best.block + best.count;
	*out = best;
	return true;
}

void alloc_give(struct alloc *alloc, struct run run)
{
	assert(run.count > 0 && run.block < alloc->size && run.count <= alloc->size - run.block);
	for (uint64_t at = run.block; at < run.block + run.count;) {
		uint64_t part = part_of_word(at, run.block + run.count);
		assert((alloc->words[at / BITS] & mask(at % BITS, part)) == 0);
		at += part;
	}
	set_free(alloc, run);
}

uint64_t alloc_free_count(const struct alloc *alloc)
{
	return alloc->free;
}

uint64_t alloc_size(const struct alloc *alloc)
{
	return alloc->size;
}

bool alloc_is_free(const struct alloc *alloc, uint64_t block)
{
	return block < alloc->size && (alloc->words[block / BITS] >> block % BITS & 1);
}
