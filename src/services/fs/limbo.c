/* Blocks between two files. See limbo.h. */
#include <stdlib.h>

#include "limbo.h"

bool limbo_add(struct limbo *limbo, struct run run, uint64_t generation, uint64_t commits)
{
	if (limbo->count == limbo->room) {
		uint32_t room = limbo->room ? limbo->room * 2 : 64;
		void *entries = reallocarray(limbo->entries, room, sizeof *limbo->entries);
		if (!entries)
			return false;
		limbo->entries = entries;
		limbo->room = room;
	}
	limbo->entries[limbo->count++] = (struct limbo_entry){run, generation, commits};
	limbo->blocks += run.count;
	return true;
}

bool limbo_release(struct limbo *limbo, uint64_t generation, uint64_t durable,
				   bool (*used)(struct run run, void *arg), void (*give)(struct run run, void *arg),
				   void *arg)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < limbo->count; i++) {
		struct limbo_entry entry = limbo->entries[i];
		if (entry.generation <= generation && entry.commits <= durable && !used(entry.run, arg)) {
			limbo->blocks -= entry.run.count;
			give(entry.run, arg);
		} else {
			limbo->entries[kept++] = entry;
		}
	}
	bool released = kept < limbo->count;
	limbo->count = kept;
	return released;
}

bool limbo_waits(const struct limbo *limbo, uint64_t generation)
{
	for (uint32_t i = 0; i < limbo->count; i++)
		if (limbo->entries[i].generation > generation)
			return true;
	return false;
}

void limbo_clear(struct limbo *limbo)
{
	free(limbo->entries);
	*limbo = (struct limbo){0};
}
