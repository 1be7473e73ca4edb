/* What may take long, done aside. For the Controller's one thread, which makes no call itself that
 * somebody else can make slow:
 *
 *     what                                         why it may take long
 *     closing a descriptor that a Process gave     a socket lingers, a file's server does not
 *       us, or a connection with such in it          answer, an unlinked file is large
 *     asking what such a descriptor is             its answer may take locks of its giver
 *     reading /proc/locks                          every user may fill it
 *     giving back a dead Process's memory          a GiB of it takes a tenth of a second
 *
 *     Controller's thread             lane                    a helper thread
 *       aside_put(lane, job) ------->  jobs  ----------------> job->work()
 *       job->done() <--- aside_run() <- done, an event <-------'
 *
 * What is bounded by what. A job is part of what it is about, so putting one takes no memory and
 * cannot fail. A lane has at most one thread, which ends when the lane is empty. Each connection
 * has a lane of its own, for what came through it: what is stuck there holds up nobody else, and
 * keeps the connection's struct process, of which there are so many for each account and in all
 * (attach.c): that bounds the threads too. The Controller has three more: one for memory, where
 * nothing foreign is touched and everything ends; one for looking at devices of the dead; one for
 * connections that get no struct process, of which so many may wait (attach.c).
 *
 * At the bound: a connection beyond the bounds is refused; where it must be closed aside and no
 * place is left for that either, none is accepted until there is one. Where no thread can be had
 * the lane waits and is tried again.
 *
 * A call that is stuck in the kernel cannot be ended. A Controller that is told to stop closes
 * what is its own and exits, but stays a zombie until the call returns; one that is killed keeps
 * its descriptors until then. The kernel collects sockets that are in flight in circles by
 * itself; before Linux 6.8 it did so in whoever sent next, which may be us. */
#include "controller/aside.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "controller/controller.h"

enum { STACK_BYTES = 256 << 10 };
#define THREAD_PATIENCE UINT64_C(50000000) /* ns until a thread is asked for again */

bool aside_open(struct aside *aside)
{
	list_init(&aside->done);
	list_init(&aside->starved);
	pthread_mutex_init(&aside->lock, NULL);
	aside->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return aside->event >= 0;
}

static void tell(const struct aside *aside)
{
	const uint64_t one = 1;
	if (write(aside->event, &one, sizeof one) < 0)
		return; /* it is readable already */
}

static void *help(void *arg)
{
	struct aside_lane *lane = arg;
	struct aside *aside = lane->aside;
	struct list *at;
	prctl(PR_SET_NAME, "fractos-aside");
	pthread_mutex_lock(&aside->lock);
	while ((at = list_pop(&lane->jobs)) != NULL) {
		struct aside_job *job = BASE_CONTAINER(at, struct aside_job, in_list);
		pthread_mutex_unlock(&aside->lock);
		job->work(job);
		pthread_mutex_lock(&aside->lock);
		/* The lane may be gone as soon as its last job is known to be done. */
		bool last = list_empty(&lane->jobs);
		lane->running = !last;
		list_push(&aside->done, &job->in_list);
		tell(aside);
		if (last)
			break;
	}
	aside->threads--;
	tell(aside);
	pthread_mutex_unlock(&aside->lock);
	return NULL;
}

/* Signals are the Controller's. */
static bool start(struct aside_lane *lane)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, usual;
	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &usual);
	lane->running = pthread_create(&thread, &attributes, help, lane) == 0;
	pthread_sigmask(SIG_SETMASK, &usual, NULL);
	pthread_attr_destroy(&attributes);
	lane->aside->threads += lane->running;
	return lane->running;
}

void aside_lane_init(struct aside_lane *lane, struct aside *aside)
{
	*lane = (struct aside_lane){.aside = aside};
	list_init(&lane->jobs);
	list_init(&lane->in_starved);
}

void aside_put(struct aside_lane *lane, struct aside_job *job)
{
	struct aside *aside = lane->aside;
	pthread_mutex_lock(&aside->lock);
	list_push(&lane->jobs, &job->in_list);
	if (!lane->running && list_empty(&lane->in_starved) && !start(lane)) {
		list_push(&aside->starved, &lane->in_starved);
		aside->next_try = base_clock() + THREAD_PATIENCE;
	}
	pthread_mutex_unlock(&aside->lock);
}

/* Oldest first, until there is no thread again. */
static void feed(struct aside *aside, uint64_t now)
{
	while (!list_empty(&aside->starved) && now >= aside->next_try) {
		struct aside_lane *lane = LIST_FIRST(&aside->starved, struct aside_lane, in_starved);
		if (start(lane))
			list_remove(&lane->in_starved);
		else
			aside->next_try = now + THREAD_PATIENCE;
	}
}

void aside_run(struct controller *c, struct aside *aside, uint64_t now)
{
	uint64_t count;
	struct list *at;
	if (read(aside->event, &count, sizeof count) < 0)
		count = 0;
	pthread_mutex_lock(&aside->lock);
	feed(aside, now);
	while ((at = list_pop(&aside->done)) != NULL) {
		struct aside_job *job = BASE_CONTAINER(at, struct aside_job, in_list);
		pthread_mutex_unlock(&aside->lock);
		job->done(c, job);
		pthread_mutex_lock(&aside->lock);
	}
	pthread_mutex_unlock(&aside->lock);
}

uint64_t aside_deadline(const struct aside *aside)
{
	return list_empty(&aside->starved) ? UINT64_MAX : aside->next_try;
}

static bool is_idle(struct aside *aside)
{
	pthread_mutex_lock(&aside->lock);
	bool idle = aside->threads == 0 && list_empty(&aside->starved) && list_empty(&aside->done);
	pthread_mutex_unlock(&aside->lock);
	return idle;
}

bool aside_close(struct controller *c, struct aside *aside, uint64_t patience)
{
	if (aside->event < 0)
		return true;
	struct pollfd event = {.fd = aside->event, .events = POLLIN};
	const uint64_t end = base_clock() + patience * 1000000;
	bool idle = false;
	for (uint64_t now; !idle && (now = base_clock()) < end;) {
		aside_run(c, aside, now);
		idle = is_idle(aside);
		if (!idle)
			poll(&event, 1, (int)BASE_MIN((end - now) / 1000000 + 1, UINT64_C(50)));
	}
	if (!idle)
		return false;
	close(aside->event);
	aside->event = -1;
	pthread_mutex_destroy(&aside->lock);
	return true;
}
