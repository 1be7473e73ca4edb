/* The turn: rings, net, finished moves, time; and what to do when a turn found nothing.
 *
 * Waiting is a policy. After work the next work is usually near, so the Controller yields the core
 * a number of times before it arms the doorbells and sleeps. Whether that pays is learned: a pause
 * that ended in sleep halves the number, work that came soon after we slept sets it back. So a
 * busy Controller never sleeps, and an idle one, woken by heartbeats alone, sleeps at once. */
#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>
#include <time.h>

#include "controller/controller.h"

enum { EVENTS_A_LOOK = 32 };

#define MICROSECOND     UINT64_C(1000)
#define MILLISECOND     UINT64_C(1000000)
#define LOOK_INTERVAL   MILLISECOND         /* a busy loop asks epoll this often */
#define TABLES_INTERVAL (100 * MILLISECOND) /* and writes the recorder's tables this often */
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

static int turn(struct controller *c)
{
	c->now = controller_clock();
	int happened = take_calls(c);
	happened += net_poll(c->net, c->now);
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
		int count = wait_until(c->epoll, events, controller_clock(), deadline(c));
		disarm(c);
		c->looked = c->now = controller_clock();
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
	uint32_t idle = 0;
	bool rested = false;
	while (!c->stopping) {
		if (turn(c) > 0) {
			if (rested && c->now - c->slept < SOON)
				c->yields = c->config->yields;
			rested = false;
			idle = 0;
		} else if (c->config->spin_busy) {
			continue;
		} else if (!rested && idle < c->yields) {
			idle++;
			sched_yield();
		} else {
			if (!rested)
				c->yields /= 2;
			rested = true;
			idle = 0;
			c->slept = controller_clock();
			rest(c);
		}
	}
}
