/* Intrusive doubly linked lists. A node that is in no list points to itself, so removing twice is
 * harmless. The owner of the containing object owns the node. */
#ifndef FRACTOS_BASE_LIST_H
#define FRACTOS_BASE_LIST_H

#include "base/base.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *node)
{
	node->next = node->prev = node;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_insert_before(struct list *at, struct list *node)
{
	node->prev = at->prev;
	node->next = at;
	at->prev->next = node;
	at->prev = node;
}

static inline void list_push(struct list *head, struct list *node)
{
	list_insert_before(head, node);
}

static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* The first element, taken out; NULL where the list is empty. */
static inline struct list *list_pop(struct list *head)
{
	struct list *first = head->next;
	if (first == head)
		return NULL;
	BASE_ASSERT(first->prev == head);
	head->next = first->next;
	head->next->prev = head;
	list_init(first);
	return first;
}

#define LIST_FIRST(head, type, member) \
	(list_empty(head) ? NULL : BASE_CONTAINER((head)->next, type, member))

#endif
