/* The registry's names, sorted. Knows nothing of FractOS's calls: slots are numbers to it. */
#ifndef FRACTOS_REGISTRY_TABLE_H
#define FRACTOS_REGISTRY_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include <fractos/registry.h>

enum {
	TABLE_ENTRIES_MAX = 4096,
	TABLE_ENTRIES_PER_UID = 1024 /* so that one user cannot take all names */
};

struct entry {
	uint64_t id; /* never used twice; binds leases to entries */
	fos_cap cap, lease;
	fos_principal publisher;
	bool reachable; /* as last seen */
	bool unheld;    /* the publisher's lease must be invoked again before the entry counts */
	char name[FOS_NAME_MAX];
};

struct table {
	struct entry *entries[TABLE_ENTRIES_MAX]; /* sorted by name */
	uint32_t count;
	uint64_t last_id;
};

/* [a-z0-9._/-]+ and a final zero inside FOS_NAME_MAX bytes. */
bool table_name_valid(const char name[FOS_NAME_MAX]);

/* NULL: no such entry. */
struct entry *table_find(const struct table *table, const char *name);
struct entry *table_find_id(const struct table *table, uint64_t id);

/* A new entry, all zero but name, id and publisher. EXISTS, QUOTA. */
FOS_CHECKED fos_status table_insert(struct table *table, const char *name,
									const fos_principal *publisher, struct entry **out);
/* Frees the entry. */
void table_remove(struct table *table, struct entry *entry);
void table_clear(struct table *table);

/* Names, each with its zero, that begin with the first prefix_len bytes of `name` and follow it (or
 * equal it, where it is the prefix), while another name of FOS_NAME_MAX bytes would fit in `size`
 * bytes; entries for which allowed() is false are left out. Returns how many bytes were written. */
uint32_t table_page(const struct table *table, const char *name, uint32_t prefix_len,
					bool (*allowed)(const struct entry *, void *), void *arg, char *out,
					uint32_t size);

#endif
