/* Claims on files. See claims.h. */
#include <stdlib.h>

#include "claims.h"

TAILQ_HEAD(claim_queue, claim);

struct claim_file {
	uint64_t id;
	struct claim_queue queue;
	struct claim_file *chain;
};

static unsigned bucket_of(uint64_t file)
{
	return (unsigned)((file * UINT64_C(0x9e3779b97f4a7c15)) >> 54);
}
_Static_assert(CLAIM_BUCKETS == 1 << 10, "the hash gives 10 bits");

static struct claim_file *find(const struct claims *claims, uint64_t id)
{
	struct claim_file *file = claims->buckets[bucket_of(id)];
	while (file && file->id != id)
		file = file->chain;
	return file;
}

static struct claim_file *find_or_make(struct claims *claims, uint64_t id)
{
	struct claim_file *file = find(claims, id);
	if (file)
		return file;
	file = calloc(1, sizeof *file);
	if (!file)
		return NULL;
	file->id = id;
	TAILQ_INIT(&file->queue);
	file->chain = claims->buckets[bucket_of(id)];
	claims->buckets[bucket_of(id)] = file;
	claims->files++;
	return file;
}

static void drop_if_unused(struct claims *claims, struct claim_file *file)
{
	if (!TAILQ_EMPTY(&file->queue))
		return;
	struct claim_file **link = &claims->buckets[bucket_of(file->id)];
	while (*link != file)
		link = &(*link)->chain;
	*link = file->chain;
	claims->files--;
	free(file);
}

bool claims_prepare(struct claim_set *set, uint32_t count, void *owner)
{
	*set = (struct claim_set){.claims = calloc(count ? count : 1, sizeof *set->claims),
							  .owner = owner};
	return set->claims != NULL;
}

bool claims_enter(struct claims *claims, struct claim_set *set, uint64_t id, bool alone)
{
	struct claim_file *file = find_or_make(claims, id);
	if (!file)
		return false;
	const struct claim *last = TAILQ_LAST(&file->queue, claim_queue);
	if (last && last->set == set) /* a set enters at one moment: its claim would be the last */
		return true;
	struct claim *claim = &set->claims[set->count++];
	*claim = (struct claim){.file = file, .set = set, .alone = alone};
	/* Granted if nobody stands before it, or only granted ones that share. */
	claim->granted = !last || (!alone && !last->alone && last->granted);
	set->missing += !claim->granted;
	TAILQ_INSERT_TAIL(&file->queue, claim, queue);
	return true;
}

/* Grants what stands at the head of the queue. */
static void grant(struct claim_file *file, void (*granted)(void *owner, void *arg), void *arg)
{
	struct claim *claim, *after;
	bool first = true;
	for (claim = TAILQ_FIRST(&file->queue); claim && (first || !claim->alone); claim = after) {
		after = claim->alone ? NULL : TAILQ_NEXT(claim, queue);
		first = false;
		if (claim->granted)
			continue;
		claim->granted = true;
		if (--claim->set->missing == 0)
			granted(claim->set->owner, arg);
	}
}

void claims_leave(struct claims *claims, struct claim_set *set,
				  void (*granted)(void *owner, void *arg), void *arg)
{
	for (uint32_t i = 0; i < set->count; i++) {
		struct claim *claim = &set->claims[i];
		struct claim_file *file = claim->file;
		TAILQ_REMOVE(&file->queue, claim, queue);
		grant(file, granted, arg);
		drop_if_unused(claims, file);
	}
	free(set->claims);
	*set = (struct claim_set){0};
}

bool claims_busy(const struct claims *claims, uint64_t id)
{
	return claims->files && find(claims, id) != NULL;
}
