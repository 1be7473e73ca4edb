/* Hash tables of records that carry their own links: fixed buckets, nothing to allocate. */
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
