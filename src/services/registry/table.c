/* See table.h. */
#include "table.h"

#include <stdlib.h>
#include <string.h>

bool table_name_valid(const char name[FOS_NAME_MAX])
{
	size_t len = strnlen(name, FOS_NAME_MAX);
	return len > 0 && len < FOS_NAME_MAX &&
		   strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._/-") == len;
}

/* The index of the first entry whose name is not below `name`. */
static uint32_t position(const struct table *table, const char *name)
{
	uint32_t low = 0, high = table->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (strcmp(table->entries[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct entry *table_find(const struct table *table, const char *name)
{
	uint32_t at = position(table, name);
	bool found = at < table->count && !strcmp(table->entries[at]->name, name);
	return found ? table->entries[at] : NULL;
}

struct entry *table_find_id(const struct table *table, uint64_t id)
{
	for (uint32_t i = 0; i < table->count; i++)
		if (table->entries[i]->id == id)
			return table->entries[i];
	return NULL;
}

fos_status table_insert(struct table *table, const char *name, const fos_principal *publisher,
						struct entry **out)
{
	uint32_t of_uid = 0;
	for (uint32_t i = 0; i < table->count; i++)
		of_uid += table->entries[i]->publisher.uid == publisher->uid;
	uint32_t at = position(table, name);
	if (at < table->count && !strcmp(table->entries[at]->name, name))
		return FOS_EXISTS;
	if (table->count == TABLE_ENTRIES_MAX || of_uid >= TABLE_ENTRIES_PER_UID)
		return FOS_QUOTA;
	struct entry *entry = calloc(1, sizeof *entry);
	if (!entry)
		return FOS_QUOTA;
	entry->id = ++table->last_id;
	entry->publisher = *publisher;
	memcpy(entry->name, name, strlen(name));
	memmove(&table->entries[at + 1], &table->entries[at],
			(table->count - at) * sizeof table->entries[0]);
	table->entries[at] = entry;
	table->count++;
	*out = entry;
	return FOS_OK;
}

void table_remove(struct table *table, struct entry *entry)
{
	uint32_t at = position(table, entry->name);
	table->count--;
	memmove(&table->entries[at], &table->entries[at + 1],
			(table->count - at) * sizeof table->entries[0]);
	free(entry);
}

void table_clear(struct table *table)
{
	while (table->count > 0)
		free(table->entries[--table->count]);
}

uint32_t table_page(const struct table *table, const char *name, uint32_t prefix_len,
					bool (*allowed)(const struct entry *, void *), void *arg, char *out,
					uint32_t size)
{
	uint32_t used = 0;
	uint32_t at = position(table, name);
	if (at < table->count && !strcmp(table->entries[at]->name, name) && strlen(name) > prefix_len)
		at++;
	for (; at < table->count && used + FOS_NAME_MAX <= size; at++) {
		const struct entry *entry = table->entries[at];
		if (strncmp(entry->name, name, prefix_len) != 0)
			break;
		if (!allowed(entry, arg))
			continue;
		uint32_t len = (uint32_t)strlen(entry->name) + 1;
		memcpy(out + used, entry->name, len);
		used += len;
	}
	return used;
}
