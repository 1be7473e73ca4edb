/* Everything that ends by itself, in the order of its time: a pairing heap (Fredman, Sedgewick,
 * Sleator, Tarjan 1986) of nodes inside the records, so that starting a timer cannot fail. Stopping
 * and running one is O(log n) amortised. */
#include "core/core_internal.h"

void core_timer_init(struct timer *timer, enum timer_kind kind)
{
	*timer = (struct timer){.kind = (uint8_t)kind};
}

uint64_t core_time_end(const struct core *core, uint64_t left)
{
	return left > UINT64_MAX - core->now ? UINT64_MAX : core->now + left;
}

/* Joins two heaps, of which either may be NULL. */
static struct timer *meld(struct timer *a, struct timer *b)
{
	if (a == NULL || b == NULL)
		return a != NULL ? a : b;
	if (b->when < a->when) {
		struct timer *swap = a;
		a = b;
		b = swap;
	}
	b->prev = a;
	b->next = a->child;
	if (a->child != NULL)
		a->child->prev = b;
	a->child = b;
	return a;
}

/* Joins siblings in pairs from left to right, then all of them from right to left. */
static struct timer *meld_siblings(struct timer *first)
{
	struct timer *pairs = NULL;
	while (first != NULL) {
		struct timer *a = first, *b = a->next;
		first = b != NULL ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b != NULL)
			b->next = b->prev = NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	struct timer *heap = NULL;
	while (pairs != NULL) {
		struct timer *next = pairs->next;
		pairs->next = NULL;
		heap = meld(heap, pairs);
		pairs = next;
	}
	return heap;
}

void core_timer_start(struct core *core, struct timer *timer, uint64_t when)
{
	if (timer->armed)
		core_timer_stop(core, timer);
	timer->child = timer->next = timer->prev = NULL;
	timer->when = when;
	timer->armed = true;
	core->timers = meld(core->timers, timer);
}

void core_timer_stop(struct core *core, struct timer *timer)
{
	if (!timer->armed)
		return;
	timer->armed = false;
	struct timer *children = meld_siblings(timer->child);
	if (timer == core->timers) {
		core->timers = children;
		return;
	}
	if (timer->prev->child == timer)
		timer->prev->child = timer->next;
	else
		timer->prev->next = timer->next;
	if (timer->next != NULL)
		timer->next->prev = timer->prev;
	core->timers = meld(core->timers, children);
}

static void run(struct core *core, struct timer *timer)
{
	switch ((enum timer_kind)timer->kind) {
	case TIMER_ONCE:
		core_once_expired(core, BASE_CONTAINER(timer, struct object, request.timer));
		break;
	case TIMER_INVOCATION:
		core_invocation_expired(core, BASE_CONTAINER(timer, struct invocation, timer));
		break;
	case TIMER_COPY:
		core_copy_end(core, BASE_CONTAINER(timer, struct copy, timer), FOS_TIMED_OUT);
		break;
	case TIMER_OUTGOING:
		core_outgoing_end(core, BASE_CONTAINER(timer, struct outgoing, timer), FOS_TIMED_OUT);
		break;
	case TIMER_INCOMING:
		core_incoming_end(core, BASE_CONTAINER(timer, struct incoming, timer), FOS_TIMED_OUT);
		break;
	case TIMER_ASKING:
		core_asking_end(core, BASE_CONTAINER(timer, struct asking, timer), FOS_TIMED_OUT);
		break;
	case TIMER_REVOKING:
		core_revoking_end(core, BASE_CONTAINER(timer, struct revoking, timer), FOS_TIMED_OUT);
		break;
	case TIMER_HEARTBEAT:
		core_session_beat(core, BASE_CONTAINER(timer, struct session, timer));
		break;
	}
}

void core_timers_run(struct core *core)
{
	while (core->timers != NULL && core->timers->when <= core->now) {
		struct timer *timer = core->timers;
		core_timer_stop(core, timer);
		run(core, timer);
	}
}

uint64_t core_deadline(const struct core *core)
{
	if (!list_empty(&core->later) || !list_empty(&core->due) || !list_empty(&core->told) ||
		!list_empty(&core->sweeps) || !list_empty(&core->tracked_changed))
		return core->now;
	return core->timers != NULL ? core->timers->when : UINT64_MAX;
}
