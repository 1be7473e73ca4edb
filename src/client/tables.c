/* The two tables of a channel that cookies point into: calls under way, and handlers of Requests.
 * An entry's cookie is its index and its generation, so that what comes late finds nothing. Used by
 * one thread; entries move when a table grows.
 */
#include <stdlib.h>

#include "client/client.h"

static uint64_t make_cookie(uint32_t index, uint32_t generation)
{
	return (uint64_t)generation << 32 | (index + 1u);
}

/* The index of a cookie, UINT32_MAX where it can be none. */
static uint32_t cookie_index(uint64_t cookie)
{
	return (uint32_t)cookie - 1u;
}

static uint32_t grown(uint32_t count, uint32_t max)
{
	return BASE_MIN(count == 0 ? 64 : count * 2, max);
}

/* ------------------------------------------------------------------ calls */

static bool grow_calls(fos_channel *ch)
{
	uint32_t count = grown(ch->call_count, CLIENT_CALLS_MAX);
	if (count == ch->call_count)
		return false;
	struct client_call *table = realloc(ch->call_table, count * sizeof *table);
	if (table == NULL)
		return false;
	for (uint32_t i = ch->call_count; i < count; i++)
		table[i] = (struct client_call){.next = i + 1 < count ? i + 2 : 0, .generation = 1};
	ch->call_free = ch->call_count + 1;
	ch->call_count = count;
	ch->call_table = table;
	return true;
}

struct client_call *client_call_add(fos_channel *ch, uint16_t type, fos_done done, void *arg,
									uint64_t extra, uint64_t *cookie)
{
	if (ch->call_free == 0 && !grow_calls(ch))
		return NULL;
	uint32_t index = ch->call_free - 1;
	struct client_call *call = &ch->call_table[index];
	ch->call_free = call->next;
	call->type = type;
	call->done = done;
	call->arg = arg;
	call->extra = extra;
	*cookie = make_cookie(index, call->generation);
	return call;
}

struct client_call *client_call_find(fos_channel *ch, uint64_t cookie)
{
	uint32_t index = cookie_index(cookie);
	if (index >= ch->call_count)
		return NULL;
	struct client_call *call = &ch->call_table[index];
	return call->type != 0 && make_cookie(index, call->generation) == cookie ? call : NULL;
}

void client_call_drop(fos_channel *ch, struct client_call *call)
{
	BASE_ASSERT(call->type != 0);
	call->type = 0;
	call->generation++;
	call->next = ch->call_free;
	ch->call_free = (uint32_t)(call - ch->call_table) + 1;
}

int client_end_calls(fos_channel *ch, fos_status status)
{
	const fos_result result = {.status = status};
	int ended = 0;
	for (uint32_t i = 0; i < ch->call_count; i++) {
		struct client_call call = ch->call_table[i];
		if (call.type == 0)
			continue;
		client_call_drop(ch, &ch->call_table[i]);
		if (call.done != NULL) {
			call.done(ch, &result, call.arg);
			ended++;
		}
	}
	return ended;
}

void client_drop_waiters(fos_channel *ch)
{
	for (uint32_t i = 0; i < ch->call_count; i++) {
		struct client_call *call = &ch->call_table[i];
		if (call->type != 0 && call->done == client_wake)
			client_call_drop(ch, call);
	}
}

/* ------------------------------------------------------------------ handlers */

static bool grow_handlers(fos_channel *ch)
{
	uint32_t count = grown(ch->handler_count, CLIENT_HANDLERS_MAX);
	if (count == ch->handler_count)
		return false;
	struct client_handler *table = realloc(ch->handler_table, count * sizeof *table);
	if (table == NULL)
		return false;
	for (uint32_t i = ch->handler_count; i < count; i++)
		table[i] = (struct client_handler){.next = i + 1 < count ? i + 2 : 0, .generation = 1};
	ch->handler_free = ch->handler_count + 1;
	ch->handler_count = count;
	ch->handler_table = table;
	return true;
}

struct client_handler *client_handler_add(fos_channel *ch, fos_handler fn, void *arg, bool once,
										  uint64_t *cookie)
{
	if (ch->handler_free == 0 && !grow_handlers(ch))
		return NULL;
	uint32_t index = ch->handler_free - 1;
	struct client_handler *handler = &ch->handler_table[index];
	ch->handler_free = handler->next;
	handler->fn = fn;
	handler->arg = arg;
	handler->once = once;
	handler->cap = FOS_CAP_NONE;
	*cookie = make_cookie(index, handler->generation);
	return handler;
}

struct client_handler *client_handler_find(fos_channel *ch, uint64_t cookie)
{
	uint32_t index = cookie_index(cookie);
	if (index >= ch->handler_count)
		return NULL;
	struct client_handler *handler = &ch->handler_table[index];
	return handler->fn && make_cookie(index, handler->generation) == cookie ? handler : NULL;
}

void client_handler_drop(fos_channel *ch, struct client_handler *handler)
{
	BASE_ASSERT(handler->fn != NULL);
	handler->fn = NULL;
	handler->generation++;
	handler->next = ch->handler_free;
	ch->handler_free = (uint32_t)(handler - ch->handler_table) + 1;
}

void client_handler_forget(fos_channel *ch, fos_cap cap)
{
	for (uint32_t i = 0; cap != FOS_CAP_NONE && i < ch->handler_count; i++) {
		struct client_handler *handler = &ch->handler_table[i];
		if (handler->fn != NULL && handler->cap == cap) {
			client_handler_drop(ch, handler);
			return;
		}
	}
}
