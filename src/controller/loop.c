/* The turn: rings, net, finished moves, time; and what to do when a turn found nothing.
 *
 * Waiting is a policy. What was done in a turn is often for somebody on this core, so after work
 * the core is yielded once. Then the next work is usually near: the Controller looks on, and yields
 * after every few looks, since a look at the net takes a tenth of what a yield to another party and
 * back takes. After a number of yields it arms the doorbells and sleeps; at once where yielding
 * does not pay (base/yield.h). How many yields is learned: a pause that went through all of them
 * halves the number, work that came soon after we slept sets it back. So a busy Controller never
 * sleeps, and an idle one, woken by heartbeats alone, sleeps at once. */
#include <errno.h>
#include <sys/epoll.h>
#include <time.h>

#include "controller/controller.h"

enum { EVENTS_A_LOOK = 32, LOOKS_A_YIELD = 8 };

#define MICROSECOND     UINT64_C(1000)
#define MILLISECOND     UINT64_C(1000000)
#define LOOK_INTERVAL   MILLISECOND         /* a busy loop asks epoll this often */
#define TABLES_INTERVAL (100 * MILLISECOND) /* and writes the recorder's tables this often */
#define NET_INTERVAL    (5 * MICROSECOND)   /* and the net this often */
#define SOON            (100 * MICROSECOND) /* yielding would have been better than this sleep */

/* ------------------------------------------------------------------ the turn */

/* Another channel is the first in every turn. */
static int take_calls(struct controller *c)
{
	int happened = 0;
	struct list *first = list_pop(&c->channels);
	if (first != NULL)
		list_push(&c->channels, first);
	c->moves = 0;
	for (struct list *at = c->channels.next; at != &c->channels; at = at->next)
		happened += channel_take_calls(c, BASE_CONTAINER(at, struct channel, in_channels));
	return happened;
}

/* A copy's next slice is moved when its last one is told to be done: here. */
static int finish_moves(struct controller *c)
{
	struct core_event event;
	int happened = 0;
	c->moves = 0;
	for (size_t left = c->moved.count; left > 0 && c->moves < TURN_MOVES; left--) {
		event_queue_pop(&c->moved, &event);
		controller_step(c, &event);
		happened++;
	}
	return happened;
}

static void dispatch(struct controller *c, const struct epoll_event *events, int count)
{
	for (int i = 0; i < count; i++) {
		struct source *source = events[i].data.ptr;
		if (source != NULL && source->fd >= 0)
			source->ready(c, source);
	}
}

/* Attaches, deaths and signals. Returns how many; doorbells and the net count too. */
static int look(struct controller *c)
{
	struct epoll_event events[EVENTS_A_LOOK];
	int count = epoll_wait(c->epoll, events, EVENTS_A_LOOK, 0);
	c->looked = c->now;
	dispatch(c, events, count);
	attach_expire(c);
	leaving_run(c);
	return BASE_MAX(count, 0);
}

/* Makes visible what the turn has produced. That may end a session, which produces more. */
static void hand_over(struct controller *c)
{
	while (c->sent || !list_empty(&c->ending) || !list_empty(&c->dirty)) {
		process_reap(c);
		channel_publish_all(c);
		if (c->sent) {
			c->sent = false;
			net_flush(c->net);
		}
	}
}

/* A look at the net costs as much as a call. So what Processes asked for leaves first, and where
 * they ask all the time the net is looked at now and then. */
static int turn(struct controller *c)
{
	c->now = base_clock();
	int happened = take_calls(c);
	if (happened == 0 || c->now - c->polled >= NET_INTERVAL) {
		hand_over(c);
		c->polled = c->now;
		happened += net_poll(c->net, c->now);
	}
	happened += finish_moves(c);
	if (core_deadline(c->core) <= c->now)
		controller_step(c, &(struct core_event){.type = CORE_TICK});
	if (c->now - c->looked >= LOOK_INTERVAL)
		look(c);
	hand_over(c);
	if (c->now - c->recorder.written >= TABLES_INTERVAL)
		recorder_refresh(c);
	return happened;
}

/* ------------------------------------------------------------------ sleeping */

static uint64_t deadline(const struct controller *c)
{
	uint64_t first = BASE_MIN(core_deadline(c->core), net_deadline(c->net));
	first = BASE_MIN(first, leaving_deadline(c));
	return BASE_MIN(first, attach_deadline(c));
}

static int wait_until(int epoll, struct epoll_event *events, uint64_t now, uint64_t end)
{
	if (end == UINT64_MAX)
		return epoll_wait(epoll, events, EVENTS_A_LOOK, -1);
	uint64_t left = end > now ? end - now : 0;
	const struct timespec time = {.tv_sec = (time_t)(left / (1000 * MILLISECOND)),
								  .tv_nsec = (long)(left % (1000 * MILLISECOND))};
	int count = epoll_pwait2(epoll, events, EVENTS_A_LOOK, &time, NULL);
	if (count >= 0 || errno != ENOSYS)
		return count;
	uint64_t ms = BASE_MIN((left + MILLISECOND - 1) / MILLISECOND, UINT64_C(60000));
	return epoll_wait(epoll, events, EVENTS_A_LOOK, (int)ms);
}

/* Arms all doorbells; false: something is there already. */
static bool arm(struct controller *c)
{
	for (struct list *at = c->channels.next; at != &c->channels; at = at->next)
		if (!channel_sleep(BASE_CONTAINER(at, struct channel, in_channels)))
			return false;
	return c->moved.count == 0 && net_arm(c->net);
}

static void disarm(struct controller *c)
{
	for (struct list *at = c->channels.next; at != &c->channels; at = at->next)
		channel_wake(BASE_CONTAINER(at, struct channel, in_channels));
}

static void rest(struct controller *c)
{
	struct epoll_event events[EVENTS_A_LOOK];
	recorder_refresh(c);
	if (arm(c)) {
		int count = wait_until(c->epoll, events, base_clock(), deadline(c));
		disarm(c);
		c->looked = c->now = base_clock();
		dispatch(c, events, count);
		attach_expire(c);
		leaving_run(c);
		hand_over(c);
	} else {
		disarm(c);
	}
}

void loop_run(struct controller *c)
{
	uint32_t looks = 0, waited = 0; /* without anything; a look and a yield take the same time */
	enum base_core core = BASE_CORE_OURS;
	bool rested = false;
	while (!c->stopping) {
		if (turn(c) > 0) {
			if (rested && c->now - c->slept < SOON)
				c->yields = c->config->yields;
			rested = false;
			waited = 0;
			/* What was done is often for somebody on this core. */
			if (!c->config->spin_busy)
				core = base_yield(&c->yield);
		} else if (c->config->spin_busy) {
			continue;
		} else if (!rested && core < BASE_CORE_CROWDED && ++waited < 2 * c->yields) {
			if (core == BASE_CORE_OURS && ++looks % LOOKS_A_YIELD != 0)
				continue;
			waited++;
			core = base_yield(&c->yield);
		} else {
			if (!rested && core < BASE_CORE_CROWDED)
				c->yields /= 2;
			rested = true;
			waited = 0;
			core = BASE_CORE_SHARED;
			c->slept = base_clock();
			rest(c);
		}
	}
}
