/* Hash tables of records that carry their own links. A `hash` has so many buckets for ever; those
 * of a `lookup` become more, one with each few records that come (Litwin's linear hashing): no step
 * ever moves more than one bucket. They do not become fewer, and where there is no memory for more
 * the chains become longer. */
#include "core/core_internal.h"

void core_hash_init(struct hash *hash)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		list_init(&hash->buckets[i]);
}

struct list *core_hash_bucket(struct hash *hash, uint64_t key)
{
	return &hash->buckets[base_mix64(key) % BUCKETS];
}

/* ------------------------------------------------------------------ lookups */

void core_lookup_init(struct lookup *lookup, uint64_t (*key)(const struct list *node))
{
	*lookup = (struct lookup){.buckets = BUCKETS, .key = key};
	for (unsigned i = 0; i < BUCKETS; i++)
		list_init(&lookup->first[i]);
}

/* The highest power of two that is not above n. */
static uint32_t power_below(uint32_t n)
{
	return UINT32_C(1) << (31 - __builtin_clz(n));
}

/* The array in which a bucket is, beyond the first: the one that begins at its highest bit. */
static struct list **more_of(struct lookup *lookup, uint32_t bucket)
{
	return &lookup->more[__builtin_ctz(power_below(bucket) / BUCKETS)];
}

static struct list *bucket_at(struct lookup *lookup, uint32_t bucket)
{
	if (bucket < BUCKETS)
		return &lookup->first[bucket];
	return *more_of(lookup, bucket) + (bucket - power_below(bucket));
}

const struct list *core_lookup_at(const struct lookup *lookup, uint32_t bucket)
{
	/* Nothing is changed; buckets are lists that need a writable head elsewhere. */
	return bucket_at((struct lookup *)(uintptr_t)lookup, bucket);
}

/* As many low bits of the hash as name a bucket that is there. */
static uint32_t bucket_of(const struct lookup *lookup, uint64_t key)
{
	uint32_t power = power_below(lookup->buckets);
	uint32_t bucket = (uint32_t)base_mix64(key) & (2 * power - 1);
	return bucket < lookup->buckets ? bucket : bucket & (power - 1);
}

struct list *core_lookup_bucket(struct lookup *lookup, uint64_t key)
{
	return bucket_at(lookup, bucket_of(lookup, key));
}

/* One bucket more, which gets its part of the one that had both parts. */
static void split(struct core *core, struct lookup *lookup)
{
	uint32_t fresh = lookup->buckets, power = power_below(fresh);
	if (fresh == (uint32_t)BUCKETS << LOOKUP_DOUBLINGS)
		return;
	struct list **array = more_of(lookup, fresh);
	if (*array == NULL)
		*array = core_grow(core, power * sizeof **array, CORE_ROOM);
	if (*array == NULL)
		return;
	struct list *old = bucket_at(lookup, fresh - power), *into = bucket_at(lookup, fresh);
	list_init(into);
	lookup->buckets++;
	for (struct list *at = old->next, *next; at != old; at = next) {
		next = at->next;
		if (bucket_of(lookup, lookup->key(at)) == fresh) {
			list_remove(at);
			list_push(into, at);
		}
	}
}

void core_lookup_add(struct core *core, struct lookup *lookup, struct list *node)
{
	list_push(core_lookup_bucket(lookup, lookup->key(node)), node);
	lookup->count++;
	if (lookup->count / LOOKUP_LOAD > lookup->buckets)
		split(core, lookup);
}

void core_lookup_remove(struct lookup *lookup, struct list *node)
{
	if (list_empty(node))
		return;
	list_remove(node);
	lookup->count--;
}
