/* When a channel looks at its ring and when it sleeps.
 *
 * Measured on a machine of two cores: a round trip through the Controller takes 2.7 us where the
 * waiter yields its core up to fifty times before it sleeps, 80 us where it sleeps at once, and
 * more where it spins. So: look, yield, look ..., unless yielding does not pay (base/yield.h), then
 * declare the sleep in the ring, look once more, and wait in epoll for the doorbell, the lifeline,
 * a stop, or a watched descriptor.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "client/client.h"

#define NS_PER_S 1000000000u

void client_ring_bell(fos_channel *ch)
{
	const uint64_t one = 1;
	/* A full counter is a bell that rings already; a dead Controller shows at the lifeline. */
	(void)!write(ch->bell_out, &one, sizeof one);
}

static void hush_bell(fos_channel *ch)
{
	char rings[512];
	(void)!read(ch->bell_in, rings, sizeof rings);
}

/* ------------------------------------------------------------------ inside a blocking call */

/* Sleeps until the doorbell or the end of the lifeline; the sleep has been declared. Other sources
 * of the channel wait: a blocking call runs nobody else's code. */
static void sleep_on_bell(fos_channel *ch)
{
	struct pollfd fds[] = {{.fd = ch->bell_in, .events = POLLIN},
						   {.fd = ch->process->socket, .events = POLLRDHUP}};
	if (poll(fds, BASE_COUNT(fds), -1) > 0) {
		if (fds[0].revents & POLLIN)
			hush_bell(ch);
		if (fds[1].revents & (POLLRDHUP | POLLHUP | POLLERR))
			client_lose(ch->process);
	}
}

bool client_wait_for(fos_channel *ch, const bool *flag)
{
	for (unsigned looks = 0; !client_lost(ch); looks++) {
		client_defer_answers(ch);
		if (*flag)
			return true;
		if (looks < CLIENT_YIELDS && base_yield(&ch->yield) < BASE_CORE_CROWDED)
			continue;
		if (ring_sleep(&ch->answers)) {
			sleep_on_bell(ch);
			ring_wake(&ch->answers);
		}
		looks = 0;
	}
	/* What the Controller published before its end counts. */
	client_defer_answers(ch);
	if (!*flag)
		client_drop_waiters(ch);
	return *flag;
}

bool client_wait_for_room(fos_channel *ch, uint32_t size, unsigned tries)
{
	/* The Controller takes no call without room for its completion: answers must be taken. */
	client_defer_answers(ch);
	if (tries < CLIENT_YIELDS && base_yield(&ch->yield) < BASE_CORE_CROWDED)
		return !client_lost(ch);
	if (ring_starve(&ch->calls, size) && ring_sleep(&ch->answers)) {
		sleep_on_bell(ch);
		ring_wake(&ch->answers);
	}
	return !client_lost(ch);
}

/* ------------------------------------------------------------------ descriptors */

/* The flag says that a stop is coming; it is here when its write is. Before that, whoever stops us
 * may still be about to use the channel, which is often closed after a stop. */
static bool take_stop(fos_channel *ch)
{
	uint64_t count;
	if (!atomic_load_explicit(&ch->stop, memory_order_relaxed))
		return false;
	atomic_store(&ch->stop, false);
	if (read(ch->stop_fd, &count, sizeof count) == sizeof count)
		return true;
	atomic_store(&ch->stop, true);
	return false;
}

static uint64_t watch_key(unsigned index, int fd)
{
	return (uint64_t)(uint32_t)fd << 32 | index;
}

/* One event; returns 1 if it was a watch. */
static int handle_event(fos_channel *ch, const struct epoll_event *event)
{
	uint32_t key = (uint32_t)event->data.u64;
	switch (key) {
	case CLIENT_KEY_BELL:
		hush_bell(ch);
		return 0;
	case CLIENT_KEY_LIFELINE:
		client_lose(ch->process);
		return 0;
	case CLIENT_KEY_STOP:
		return 0; /* whoever waits looks at the flag */
	default: {
		/* A callback before this one may have ended or replaced the watch. */
		const struct client_watch *watch = &ch->watches[key];
		int fd = watch->fd;
		if (watch->fn == NULL || watch_key(key, fd) != event->data.u64)
			return 0;
		watch->fn(ch, fd, watch->arg);
		return 1;
	}
	}
}

/* Looks at all descriptors, waiting up to `timeout` ns. Returns how many watches were called. */
static int look_at_descriptors(fos_channel *ch, uint64_t timeout)
{
	struct epoll_event events[CLIENT_WATCHES_MAX + 3];
	struct timespec limit = {.tv_sec = (time_t)(timeout / NS_PER_S),
							 .tv_nsec = (long)(timeout % NS_PER_S)};
	int n = epoll_pwait2(ch->epoll_fd, events, (int)BASE_COUNT(events),
						 timeout == UINT64_MAX ? NULL : &limit, NULL);
	int handled = 0;
	for (int i = 0; i < n; i++)
		handled += handle_event(ch, &events[i]);
	ch->turns = 0;
	return handled;
}

fos_status fos_watch(fos_channel *ch, int fd, void (*fn)(fos_channel *, int, void *), void *arg)
{
	struct client_watch *place = NULL;
	for (unsigned i = 0; i < CLIENT_WATCHES_MAX; i++) {
		struct client_watch *watch = &ch->watches[i];
		if (watch->fn != NULL && watch->fd == fd) {
			place = watch;
			break;
		}
		if (watch->fn == NULL && place == NULL)
			place = watch;
	}
	bool watched = place != NULL && place->fn != NULL;
	if (fn == NULL) {
		if (watched) {
			epoll_ctl(ch->epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* gone already if it was closed */
			*place = (struct client_watch){0};
		}
		return FOS_OK;
	}
	if (place == NULL)
		return FOS_QUOTA;
	struct epoll_event event = {.events = EPOLLIN,
								.data.u64 = watch_key((unsigned)(place - ch->watches), fd)};
	/* Added anew where it is watched: the number may stand for another file since. */
	if (epoll_ctl(ch->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0 && !(watched && errno == EEXIST))
		return errno == ENOSPC || errno == ENOMEM ? FOS_QUOTA : FOS_INVALID;
	*place = (struct client_watch){.fd = fd, .fn = fn, .arg = arg};
	return FOS_OK;
}

fos_status fos_set_poller(fos_channel *ch, int (*fn)(fos_channel *, void *), void *arg)
{
	ch->poller = fn;
	ch->poller_arg = arg;
	return FOS_OK;
}

/* ------------------------------------------------------------------ turns */

int fos_poll(fos_channel *ch)
{
	bool glance = ++ch->turns >= CLIENT_GLANCE;
	BASE_ASSERT(ch->magic == CLIENT_CHANNEL_MAGIC);
	if (ch->armed) {
		ring_wake(&ch->answers);
		ch->armed = false;
		glance = true;
	}
	int handled = client_handle_answers(ch, CLIENT_BATCH);
	if (ch->poller != NULL)
		handled += ch->poller(ch, ch->poller_arg);
	if (glance)
		handled += look_at_descriptors(ch, 0);
	if (handled == 0 && client_lost(ch)) {
		/* Nothing is left that was published before the end: now the rest is over. */
		handled += client_end_calls(ch, FOS_CONTROLLER_LOST);
	}
	return handled;
}

/* Declares the sleep; false: there is something to do. */
static bool prepare_sleep(fos_channel *ch)
{
	return list_empty(&ch->deferred) && ring_sleep(&ch->answers);
}

/* Turns until something was handled, the time is over (UINT64_MAX: never), a stop or the loss of
 * the Controller: then 0, *stopped says whether it was a stop. */
static int wait_until(fos_channel *ch, uint64_t deadline, bool *stopped)
{
	for (unsigned looks = 0;; looks++) {
		int handled = fos_poll(ch);
		*stopped = take_stop(ch);
		if (handled > 0 || *stopped || client_lost(ch))
			return handled;
		if (deadline == 0)
			return 0;
		if (looks < CLIENT_YIELDS && base_yield(&ch->yield) < BASE_CORE_CROWDED)
			continue;
		uint64_t left = UINT64_MAX;
		if (deadline != UINT64_MAX) {
			uint64_t time = base_clock();
			if (time >= deadline)
				return 0;
			left = deadline - time;
		}
		if (!prepare_sleep(ch))
			continue;
		handled = look_at_descriptors(ch, left);
		ring_wake(&ch->answers);
		if (handled > 0)
			return handled;
		looks = 0;
	}
}

int fos_wait(fos_channel *ch, uint64_t timeout)
{
	bool stopped;
	uint64_t deadline = timeout;
	if (timeout != 0 && timeout != UINT64_MAX) {
		uint64_t time = base_clock();
		deadline = timeout > UINT64_MAX - 1 - time ? UINT64_MAX : time + timeout;
	}
	return wait_until(ch, deadline, &stopped);
}

fos_status fos_serve(fos_channel *ch)
{
	bool stopped = false;
	while (!stopped) {
		int handled = wait_until(ch, UINT64_MAX, &stopped);
		if (handled == 0 && !stopped && client_lost(ch))
			return FOS_CONTROLLER_LOST;
	}
	return FOS_OK;
}

void fos_stop(fos_channel *ch)
{
	const uint64_t one = 1;
	int saved = errno;
	atomic_store(&ch->stop, true);
	(void)!write(ch->stop_fd, &one, sizeof one);
	errno = saved;
}

int fos_channel_fd(const fos_channel *ch)
{
	return ch->epoll_fd;
}

bool fos_arm(fos_channel *ch)
{
	if (fos_lost(ch) || !prepare_sleep(ch))
		return false;
	ch->armed = true;
	return true;
}
