/* libfractos against a scripted Controller: framing, waiting, full rings, death at each step. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/client.h"
#include "client/fake.h"

#define MS 1000000u

static struct fake fake;
static fos_process *process;
static fos_channel *ch;

static void start(const struct fake_config *config)
{
	fake_start(&fake, config);
	fos_attach_options options = {.socket = fake.path, .label = "test"};
	assert_int_equal(fos_attach(&options, &process), FOS_OK);
	assert_int_equal(fos_channel_open(process, &ch), FOS_OK);
}

static void stop(void)
{
	fos_detach(process);
	assert_int_equal(fake.malformed, 0);
	fake_stop(&fake);
	process = NULL;
	ch = NULL;
}

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ------------------------------------------------------------------ attach */

static void attach_names_the_node(void **state)
{
	start(NULL);
	assert_string_equal(fos_node_name(process), "fakenode");
	assert_int_equal(fos_node_id(process), 7);
	assert_int_equal(fos_process_serial(process), 9);
	assert_ptr_equal(fos_channel_process(ch), process);
	assert_int_equal(fos_null(ch), FOS_OK);
	stop();
}

static void attach_says_why_not(void **state)
{
	fos_process *none = NULL;
	fos_attach_options options = {.socket = "/nowhere/fractos.sock"};
	assert_int_equal(fos_attach(&options, &none), FOS_PEER_LOST);
	assert_non_null(strstr(fos_attach_error(), "/nowhere/fractos.sock"));
	assert_non_null(strstr(fos_attach_error(), "fractos up"));
	unsetenv("FRACTOS_SOCKET");
	assert_int_equal(fos_attach(NULL, &none), FOS_INVALID);
	assert_non_null(strstr(fos_attach_error(), "FRACTOS_SOCKET"));
	char path[300];
	memset(path, 'a', sizeof path - 1);
	path[sizeof path - 1] = 0;
	options.socket = path;
	assert_int_equal(fos_attach(&options, &none), FOS_INVALID);
	fake_start(&fake, NULL);
	options.socket = fake.path;
	options.label = "a label that is far too long to be one";
	assert_int_equal(fos_attach(&options, &none), FOS_INVALID);
	options.label = "line\nbreak";
	assert_int_equal(fos_attach(&options, &none), FOS_INVALID);
	assert_null(none);
	fake_stop(&fake);
}

static void attach_fails_with(const struct fake_config *config, fos_status status)
{
	fos_process *none = NULL;
	fake_start(&fake, config);
	fos_attach_options options = {.socket = fake.path};
	assert_int_equal(fos_attach(&options, &none), status);
	assert_non_null(strstr(fos_attach_error(), fake.path));
	assert_null(none);
	fake_stop(&fake);
}

static void attach_is_refused(void **state)
{
	attach_fails_with(&(struct fake_config){.attach_status = FOS_DENIED}, FOS_DENIED);
	attach_fails_with(&(struct fake_config){.attach_status = FOS_QUOTA}, FOS_QUOTA);
	attach_fails_with(&(struct fake_config){.version = 99}, FOS_UNSUPPORTED);
	attach_fails_with(&(struct fake_config){.death = FAKE_AT_ATTACH}, FOS_PEER_LOST);
}

static void channels_are_limited_and_reused(void **state)
{
	start(NULL);
	fos_channel *more[FAKE_CHANNELS];
	for (unsigned i = 1; i < FAKE_CHANNELS; i++)
		assert_int_equal(fos_channel_open(process, &more[i]), FOS_OK);
	fos_channel *none = NULL;
	assert_int_equal(fos_channel_open(process, &none), FOS_QUOTA);
	assert_null(none);
	fos_channel_close(more[1]);
	assert_int_equal(fos_channel_open(process, &more[1]), FOS_OK);
	assert_int_equal(fos_null(more[1]), FOS_OK);
	fos_channel_close(NULL);
	stop();
}

/* ------------------------------------------------------------------ death of the Controller */

static void lost_at_channel_and_segment(void **state)
{
	fos_process *p;
	fos_channel *none = NULL;
	fake_start(&fake, &(struct fake_config){.death = FAKE_AT_CHANNEL});
	fos_attach_options options = {.socket = fake.path};
	assert_int_equal(fos_attach(&options, &p), FOS_OK);
	assert_int_equal(fos_channel_open(p, &none), FOS_CONTROLLER_LOST);
	assert_null(none);
	void *bytes;
	assert_int_equal(fos_alloc(p, 100, 0, &bytes), FOS_CONTROLLER_LOST);
	fos_detach(p);
	fake_stop(&fake);

	start(&(struct fake_config){.death = FAKE_AT_SEGMENT});
	assert_int_equal(fos_alloc(process, 100, 0, &bytes), FOS_CONTROLLER_LOST);
	assert_int_equal(fos_null(ch), FOS_CONTROLLER_LOST);
	stop();
}

static void count_status(fos_channel *c, const fos_result *result, void *arg)
{
	unsigned *counts = arg;
	counts[result->status]++;
}

static fos_handled never(fos_channel *c, const fos_delivery *delivery, void *arg)
{
	fail_msg("a handler ran");
	return FOS_FINISH;
}

/* Every kind of waiting ends, and every call under way ends exactly once. */
static void lost_while_waiting(void **state)
{
	unsigned counts[FOS_STATUS_COUNT] = {0};
	fos_cap request;
	start(&(struct fake_config){.death = FAKE_AT_CALL, .death_type = WIRE_CALL_TYPE_CAP_INFO});
	assert_int_equal(fos_request_create(ch, never, NULL, NULL, &request), FOS_OK);
	assert_int_equal(fos_null_async(ch, count_status, counts), FOS_OK);
	assert_int_equal(fos_cap_info_async(ch, request, count_status, counts), FOS_OK);
	assert_int_equal(fos_null_async(ch, count_status, counts), FOS_OK);
	assert_int_equal(fos_null(ch), FOS_CONTROLLER_LOST);
	assert_true(fos_lost(ch));
	assert_int_equal(counts[FOS_OK] + counts[FOS_CONTROLLER_LOST], 0);
	assert_int_equal(fos_serve(ch), FOS_CONTROLLER_LOST);
	assert_int_equal(counts[FOS_OK], 1);
	assert_int_equal(counts[FOS_CONTROLLER_LOST], 2);
	assert_int_equal(fos_wait(ch, UINT64_MAX), 0);
	assert_int_equal(fos_null_async(ch, count_status, counts), FOS_CONTROLLER_LOST);
	assert_int_equal(fos_finish(ch, 5), FOS_CONTROLLER_LOST);
	assert_false(fos_arm(ch));
	stop();
	assert_int_equal(counts[FOS_CONTROLLER_LOST], 2);
}

static void answers_published_before_death_count(void **state)
{
	start(&(struct fake_config){.death = FAKE_AFTER_CALL, .death_type = WIRE_CALL_TYPE_NULL});
	assert_int_equal(fos_null(ch), FOS_OK);
	assert_int_equal(fos_serve(ch), FOS_CONTROLLER_LOST);
	stop();
}

static void poll_alone_notices_the_loss(void **state)
{
	start(&(struct fake_config){.death = FAKE_AFTER_CALL, .death_type = WIRE_CALL_TYPE_NULL});
	assert_int_equal(fos_null(ch), FOS_OK);
	while (!fos_lost(ch))
		fos_poll(ch);
	stop();
}

static void nonsense_in_the_ring_ends_it(void **state)
{
	for (int i = 0; i < 2; i++) {
		start(NULL);
		if (i == 0)
			fake.break_ring = true;
		else
			fake.bad_record = true;
		assert_int_equal(fos_null(ch), FOS_CONTROLLER_LOST);
		assert_int_equal(fos_null(ch), FOS_CONTROLLER_LOST);
		stop();
	}
}

static void lost_in_a_call(void **state)
{
	fos_reply reply;
	fos_cap request;
	start(&(struct fake_config){.death = FAKE_AFTER_CALL,
								.death_type = WIRE_CALL_TYPE_REQUEST_INVOKE});
	assert_int_equal(fos_request_create(ch, never, NULL, NULL, &request), FOS_OK);
	assert_int_equal(fos_call(ch, request, NULL, 0, &reply), FOS_CONTROLLER_LOST);
	assert_null(reply.internal);
	fos_reply_release(ch, &reply);
	stop();
}

/* ------------------------------------------------------------------ completions and waiting */

static void async_calls_complete_once_each(void **state)
{
	enum { MANY = 20000 };
	unsigned counts[FOS_STATUS_COUNT] = {0};
	start(&(struct fake_config){.ring_bytes = 4096});
	/* Far more than both rings hold: submission has to take answers, yet may call nobody. */
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(fos_null_async(ch, count_status, counts), FOS_OK);
		assert_int_equal(counts[FOS_OK], 0);
	}
	while (counts[FOS_OK] < MANY)
		assert_true(fos_wait(ch, UINT64_MAX) > 0);
	assert_int_equal(fos_poll(ch), 0);
	assert_int_equal(counts[FOS_OK], MANY);
	stop();
}

static void a_full_ring_waits_for_the_controller(void **state)
{
	unsigned counts[FOS_STATUS_COUNT] = {0};
	start(&(struct fake_config){
		.ring_bytes = 4096, .death = FAKE_AT_CALL, .death_type = WIRE_CALL_TYPE_CAP_CLOSE});
	fake_set_hold(&fake, true);
	for (unsigned i = 0; i < 4096 / sizeof(struct wire_record); i++)
		assert_int_equal(fos_null_async(ch, count_status, counts), FOS_OK);
	assert_null(ring_reserve(&ch->calls, sizeof(struct wire_record)));
	fake_set_hold(&fake, false);
	assert_int_equal(fos_null(ch), FOS_OK);
	/* A Controller that dies beside a full ring is noticed as well. */
	assert_int_equal(fos_cap_close_async(ch, 1, NULL, NULL), FOS_OK);
	fos_status status = FOS_OK;
	for (unsigned i = 0; i < 10000 && status == FOS_OK; i++)
		status = fos_null_async(ch, NULL, NULL);
	assert_int_equal(status, FOS_CONTROLLER_LOST);
	stop();
}

static void wait_ends_at_its_time(void **state)
{
	start(NULL);
	uint64_t begin = now_ns();
	assert_int_equal(fos_wait(ch, 20 * MS), 0);
	assert_true(now_ns() - begin >= 20 * MS);
	assert_int_equal(fos_wait(ch, 0), 0);
	assert_false(fos_lost(ch));
	stop();
}

static void *stopper(void *arg)
{
	fos_stop(arg);
	return NULL;
}

static void stop_ends_serving(void **state)
{
	pthread_t thread;
	start(NULL);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(pthread_create(&thread, NULL, stopper, ch), 0);
		assert_int_equal(fos_serve(ch), FOS_OK);
		pthread_join(thread, NULL);
	}
	fos_stop(ch);
	assert_int_equal(fos_wait(ch, UINT64_MAX), 0);
	assert_int_equal(fos_wait(ch, 1 * MS), 0);
	stop();
}

static void drain_watch(fos_channel *c, int fd, void *arg)
{
	uint64_t count;
	assert_int_equal(read(fd, &count, sizeof count), sizeof count);
	++*(unsigned *)arg;
}

static int poller(fos_channel *c, void *arg)
{
	++*(unsigned *)arg;
	return 0;
}

static void watches_and_poller_get_their_turn(void **state)
{
	const uint64_t one = 1;
	unsigned seen = 0, polled = 0, counts[FOS_STATUS_COUNT] = {0};
	start(NULL);
	int fd = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(fos_watch(ch, fd, drain_watch, &seen), FOS_OK);
	assert_int_equal(fos_watch(ch, -1, drain_watch, &seen), FOS_INVALID);
	assert_int_equal(fos_set_poller(ch, poller, &polled), FOS_OK);
	assert_int_equal(write(fd, &one, sizeof one), sizeof one);
	assert_int_equal(fos_wait(ch, UINT64_MAX), 1);
	assert_int_equal(seen, 1);
	assert_true(polled > 0);
	/* A channel that is never idle still looks. */
	assert_int_equal(write(fd, &one, sizeof one), sizeof one);
	for (unsigned i = 0; i < 100000 && seen < 2; i++) {
		assert_int_equal(fos_null_async(ch, count_status, counts), FOS_OK);
		fos_poll(ch);
	}
	assert_int_equal(seen, 2);
	assert_int_equal(fos_watch(ch, fd, NULL, NULL), FOS_OK);
	assert_int_equal(fos_null(ch), FOS_OK);
	while (fos_poll(ch) > 0)
		;
	assert_int_equal(write(fd, &one, sizeof one), sizeof one);
	fos_wait(ch, 5 * MS);
	assert_int_equal(seen, 2);
	int fds[CLIENT_WATCHES_MAX + 1];
	for (unsigned i = 0; i <= CLIENT_WATCHES_MAX; i++) {
		fds[i] = eventfd(0, EFD_NONBLOCK);
		assert_int_equal(fos_watch(ch, fds[i], drain_watch, &seen),
						 i < CLIENT_WATCHES_MAX ? FOS_OK : FOS_QUOTA);
	}
	stop();
	for (unsigned i = 0; i <= CLIENT_WATCHES_MAX; i++)
		close(fds[i]);
	close(fd);
}

static void own_event_loops_are_woken(void **state)
{
	unsigned counts[FOS_STATUS_COUNT] = {0};
	start(NULL);
	for (unsigned i = 1; i <= 100; i++) {
		fake_set_hold(&fake, true);
		assert_int_equal(fos_null_async(ch, count_status, counts), FOS_OK);
		assert_true(fos_arm(ch));
		fake_set_hold(&fake, false);
		struct pollfd wait = {.fd = fos_channel_fd(ch), .events = POLLIN};
		assert_int_equal(poll(&wait, 1, 10000), 1);
		while (fos_poll(ch) == 0)
			;
		assert_int_equal(counts[FOS_OK], i);
	}
	stop();
}

/* ------------------------------------------------------------------ deliveries */

struct seen {
	unsigned count;
	uint32_t numbers[64];
	fos_delivery_id last;
};

static fos_handled record_number(fos_channel *c, const fos_delivery *d, void *arg)
{
	struct seen *seen = arg;
	const uint32_t *number = fos_delivery_imm(d, FOS_ARG, sizeof *number);
	assert_non_null(number);
	assert_int_equal(d->trace, 11);
	assert_int_equal(d->span, 22);
	assert_int_equal(d->time_left, 33);
	seen->numbers[seen->count++ % 64] = *number;
	seen->last = d->id;
	return FOS_FINISH;
}

static void invoke_number(fos_cap request, uint32_t number)
{
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &number, sizeof number);
	assert_int_equal(fos_request_invoke(ch, request, &args, NULL), FOS_OK);
}

static void blocking_calls_keep_deliveries_in_order(void **state)
{
	struct seen seen = {0};
	fos_cap request;
	start(NULL);
	assert_int_equal(fos_request_create(ch, record_number, &seen, NULL, &request), FOS_OK);
	for (uint32_t i = 0; i < 50; i++) {
		invoke_number(request, i);
		assert_int_equal(seen.count, 0);
	}
	while (seen.count < 50)
		assert_true(fos_wait(ch, UINT64_MAX) > 0);
	for (uint32_t i = 0; i < 50; i++)
		assert_int_equal(seen.numbers[i], i);
	assert_int_equal(fos_null(ch), FOS_OK);
	assert_int_equal(fake.finishes, 50);
	stop();
}

static fos_handled look_closely(fos_channel *c, const fos_delivery *d, void *arg)
{
	const uint8_t *a = fos_delivery_imm(d, 10, 20), *b = fos_delivery_imm(d, 100, 3);
	assert_non_null(a);
	assert_non_null(b);
	assert_memory_equal(a, "aaaaaaaaaabbbbbbbbbb", 20);
	assert_memory_equal(b, "ccc", 3);
	assert_null(fos_delivery_imm(d, 10, 21));
	assert_null(fos_delivery_imm(d, 9, 2));
	assert_null(fos_delivery_imm(d, 10, 0));
	assert_null(fos_delivery_imm(d, FOS_IMM_MAX, 1));
	assert_null(fos_delivery_imm(d, UINT32_MAX, 1));
	assert_null(fos_delivery_imm(d, 10, UINT32_MAX));
	assert_int_equal(fos_delivery_imm_len(d, 15), 15);
	assert_int_equal(fos_delivery_imm_len(d, 30), 0);
	assert_int_equal(fos_delivery_imm_len(d, 102), 1);
	assert_int_equal(d->imm_end, 103);
	assert_int_equal(d->cap_count, 6);
	assert_int_equal(fos_delivery_cap(d, 0), FOS_CAP_NONE);
	assert_int_equal(fos_delivery_cap(d, 2), 2001);
	assert_int_equal(fos_delivery_cap(d, 5), 2002);
	assert_int_equal(fos_delivery_cap(d, 6), FOS_CAP_NONE);
	assert_int_equal(fos_delivery_cap(d, 5000), FOS_CAP_NONE);
	assert_int_equal(d->caps[31].cap, FOS_CAP_NONE);
	assert_int_equal(d->exception.status, FOS_OK);
	assert_string_equal(d->exception.detail, "");
	/* The ring is the Controller's again, however long this takes. */
	assert_int_equal(c->answers.pending, 0);
	/* Blocking calls inside a handler do not disturb what it looks at. */
	for (int i = 0; i < 1000; i++)
		assert_int_equal(fos_null(c), FOS_OK);
	assert_memory_equal(a, "aaaaaaaaaabbbbbbbbbb", 20);
	*(bool *)arg = true;
	return FOS_FINISH;
}

static void deliveries_show_what_is_bound(void **state)
{
	bool seen = false;
	fos_cap request;
	fos_args args;
	start(&(struct fake_config){.ring_bytes = 4096});
	assert_int_equal(fos_request_create(ch, look_closely, &seen, NULL, &request), FOS_OK);
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, 100, "ccc", 3);
	fos_args_imm(&args, FOS_CALL, 20, "bbbbbbbbbb", 10);
	fos_args_imm(&args, FOS_CALL, 10, "aaaaaaaaaa", 10);
	fos_args_cap(&args, FOS_CALL, 5, 2002);
	fos_args_cap(&args, FOS_CALL, 2, 2001);
	assert_int_equal(fos_request_invoke_async(ch, request, &args, NULL, NULL, NULL), FOS_OK);
	while (!seen)
		fos_wait(ch, UINT64_MAX);
	/* The next delivery shows nothing of this one. */
	struct seen numbers = {0};
	assert_int_equal(fos_request_create(ch, record_number, &numbers, NULL, &request), FOS_OK);
	invoke_number(request, 77);
	while (numbers.count == 0)
		fos_wait(ch, UINT64_MAX);
	stop();
}

static fos_handled count_delivery(fos_channel *c, const fos_delivery *d, void *arg)
{
	++*(unsigned *)arg;
	assert_int_equal(d->cap_count, 0);
	assert_int_equal(d->imm_end, 0);
	return FOS_FINISH;
}

static void revoked_and_once_handlers_are_forgotten(void **state)
{
	unsigned seen = 0;
	fos_cap request;
	start(NULL);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(fos_request_create(ch, count_delivery, &seen, NULL, &request), FOS_OK);
		assert_int_equal(fos_cap_revoke(ch, request), FOS_OK);
		assert_int_equal(fos_request_create(ch, count_delivery, &seen,
											&(fos_request_options){.once = true}, &request),
						 FOS_OK);
		assert_int_equal(fos_request_invoke(ch, request, NULL, NULL), FOS_OK);
		assert_int_equal(fos_request_invoke(ch, request, NULL, NULL), FOS_NO_CAP);
		while (fos_poll(ch) == 0)
			;
		assert_int_equal(seen, (unsigned)i + 1);
	}
	assert_int_equal(ch->handler_count, 64);
	/* A delivery that was on its way when its Request was revoked is failed, not lost. */
	assert_int_equal(fos_request_create(ch, never, &seen, NULL, &request), FOS_OK);
	assert_int_equal(fos_request_invoke(ch, request, NULL, NULL), FOS_OK);
	assert_int_equal(fos_cap_revoke(ch, request), FOS_OK);
	while (fos_poll(ch) == 0)
		;
	assert_int_equal(fos_null(ch), FOS_OK);
	assert_int_equal(fake.fails, 1);
	stop();
}

static void children_are_asked_for(void **state)
{
	fos_cap request, child;
	fos_args args;
	start(NULL);
	fos_args_init(&args);
	assert_int_equal(fos_request_create(ch, never, NULL, NULL, &request), FOS_OK);
	assert_int_equal(fos_cap_create_revtree(ch, request, 2, &child), FOS_INVALID);
	assert_int_equal(fos_request_refine_revocable(ch, request, &args, 2, &child), FOS_INVALID);
	assert_int_equal(fos_cap_create_revtree(ch, request, FOS_TRACKED, &child), FOS_OK);
	assert_true(child != FOS_CAP_NONE && child != request);
	assert_int_equal(fos_request_refine_revocable(ch, request, &args, FOS_TRACKED, &child), FOS_OK);
	assert_int_equal(fos_cap_drain(ch, request, 1000), FOS_OK);
	assert_int_equal(fos_cap_drain(ch, request, 0), FOS_NO_CAP);
	stop();
}

struct ended {
	unsigned count;
	fos_result result;
};

static void on_end(fos_channel *c, const fos_result *result, void *arg)
{
	struct ended *ended = arg;
	(void)c;
	ended->count++;
	ended->result = *result;
}

static void monitors_end_once(void **state)
{
	fos_cap request;
	enum fos_gone gone = FOS_GONE_LINK;
	struct ended receive = {0}, delegate = {0};
	start(NULL);
	assert_int_equal(fos_request_create(ch, never, NULL, NULL, &request), FOS_OK);
	assert_int_equal(fos_monitor_receive_async(ch, request, on_end, &receive), FOS_OK);
	assert_int_equal(fos_monitor_delegate_async(ch, request, on_end, &delegate), FOS_OK);
	assert_int_equal(fos_null(ch), FOS_OK);
	assert_int_equal(fos_poll(ch), 0);
	assert_int_equal(fos_cap_revoke(ch, request), FOS_OK);
	while (receive.count + delegate.count < 2)
		fos_wait(ch, MS);
	assert_int_equal(receive.result.status, FOS_REVOKED);
	assert_int_equal(receive.result.gone, FOS_GONE_REVOKED);
	assert_int_equal(delegate.result.status, FOS_OK);
	assert_int_equal(delegate.result.gone, FOS_GONE_UNHELD);
	/* Refused: no reason is left from anything before. */
	assert_int_equal(fos_monitor_receive(ch, request, &gone), FOS_NO_CAP);
	assert_int_equal(gone, FOS_GONE_NOT);
	assert_int_equal(fos_monitor_delegate(ch, request), FOS_NO_CAP);
	assert_int_equal(receive.count + delegate.count, 2);
	stop();
}

static void only_what_is_locked_is_a_device_held(void **state)
{
	char path[] = "/tmp/fractos-device-XXXXXX";
	start(NULL);
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(fos_device_held(process, fd), FOS_INVALID);
	assert_int_equal(flock(fd, LOCK_SH), 0);
	assert_int_equal(fos_device_held(process, fd), FOS_INVALID);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(fos_device_held(process, fd), FOS_OK);
	assert_int_equal(fos_device_held(process, 9999), FOS_INVALID);
	close(fd);
	unlink(path);
	stop();
}

/* ------------------------------------------------------------------ a round trip */

static fos_handled twice(fos_channel *c, const fos_delivery *d, void *arg)
{
	const uint32_t *number = fos_delivery_imm(d, FOS_ARG, sizeof *number);
	fos_args args;
	if (number == NULL) {
		assert_int_equal(fos_fail(c, d->id, FOS_DEVICE, "no number at all"), FOS_OK);
		return FOS_FINISH_LATER;
	}
	uint32_t result = *number * 2;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_RESULT, &result, sizeof result);
	assert_int_equal(fos_continue(c, d->id, fos_delivery_cap(d, FOS_NEXT), &args, NULL, NULL),
					 FOS_OK);
	return FOS_FINISH_LATER;
}

struct server {
	pthread_t thread;
	fos_channel *channel;
	fos_cap request;
	_Atomic bool ready;
};

static void *serve(void *arg)
{
	struct server *server = arg;
	assert_int_equal(fos_channel_open(process, &server->channel), FOS_OK);
	assert_int_equal(fos_request_create(server->channel, twice, NULL, NULL, &server->request),
					 FOS_OK);
	atomic_store(&server->ready, true);
	fos_serve(server->channel);
	fos_channel_close(server->channel);
	return NULL;
}

static void call_brings_results_and_exceptions(void **state)
{
	struct server server = {0};
	start(NULL);
	assert_int_equal(pthread_create(&server.thread, NULL, serve, &server), 0);
	while (!atomic_load(&server.ready))
		sched_yield();
	for (uint32_t i = 0; i < 2000; i++) {
		fos_args args;
		fos_reply reply;
		fos_args_init(&args);
		fos_args_imm(&args, FOS_CALL, FOS_ARG, &i, sizeof i);
		assert_int_equal(fos_call(ch, server.request, &args, 0, &reply), FOS_OK);
		const uint32_t *result = fos_delivery_imm(&reply.delivery, FOS_RESULT, sizeof *result);
		assert_non_null(result);
		assert_int_equal(*result, i * 2);
		fos_reply_release(ch, &reply);
		fos_reply_release(ch, &reply);
	}
	fos_reply reply;
	assert_int_equal(fos_call(ch, server.request, NULL, 0, &reply), FOS_DEVICE);
	assert_int_equal(reply.delivery.exception.status, FOS_DEVICE);
	assert_string_equal(reply.delivery.exception.detail, "no number at all");
	assert_string_equal(reply.delivery.exception.where, "fake/test");
	assert_int_equal(reply.delivery.exception.node, 7);
	fos_reply_release(ch, &reply);
	assert_int_equal(fos_null(ch), FOS_OK);
	assert_int_equal(fake.finishes, 2001);
	fos_stop(server.channel);
	pthread_join(server.thread, NULL);
	stop();
}

static void refused_calls_leave_nothing_behind(void **state)
{
	fos_reply reply;
	fos_args args;
	start(NULL);
	assert_int_equal(fos_call(ch, 400, NULL, 0, &reply), FOS_NO_CAP);
	assert_null(reply.internal);
	fos_reply_release(ch, &reply);
	fos_args_init(&args);
	fos_args_cap(&args, FOS_CALL, FOS_NEXT, 5);
	assert_int_equal(fos_call(ch, 400, &args, 0, &reply), FOS_OVERLAP);
	atomic_store(&fake.refuse_status, FOS_QUOTA);
	atomic_store(&fake.refuse_type, WIRE_CALL_TYPE_REQUEST_CREATE);
	assert_int_equal(fos_call(ch, 400, NULL, 0, &reply), FOS_QUOTA);
	assert_int_equal(fos_null(ch), FOS_OK);
	for (uint32_t i = 0; i < ch->handler_count; i++)
		assert_null(ch->handler_table[i].fn);
	stop();
	for (unsigned i = 0; i < FAKE_REQUESTS; i++)
		assert_false(fake.requests[i].alive);
}

/* ------------------------------------------------------------------ bad arguments */

static void mistakes_are_refused_before_the_ring(void **state)
{
	fos_cap cap;
	char outside[64], text[FOS_DETAIL_MAX + 1];
	void *inside;
	start(NULL);
	assert_int_equal(fos_alloc(process, 4096, 0, &inside), FOS_OK);
	uint64_t before = fake.calls;
	assert_int_equal(fos_memory_create(ch, outside, sizeof outside, FOS_READ, &cap), FOS_INVALID);
	assert_int_equal(fos_memory_create(ch, inside, 0, FOS_READ, &cap), FOS_INVALID);
	assert_int_equal(fos_memory_create(ch, inside, 64, 4, &cap), FOS_INVALID);
	assert_int_equal(fos_memory_create(ch, inside, 1 << 30, FOS_READ, &cap), FOS_INVALID);
	assert_int_equal(fos_memory_create(ch, inside, UINT64_MAX, FOS_READ, &cap), FOS_INVALID);
	assert_int_equal(fos_memory_diminish(ch, 1, 0, 0, 0, &cap), FOS_INVALID);
	assert_int_equal(fos_memory_diminish(ch, 1, 0, 1, 4, &cap), FOS_INVALID);
	assert_int_equal(fos_request_create(ch, NULL, NULL, NULL, &cap), FOS_INVALID);
	assert_int_equal(
		fos_request_create(ch, never, NULL, &(fos_request_options){.deadline = 5}, &cap),
		FOS_INVALID);
	assert_int_equal(fos_request_invoke(ch, FOS_CALL, NULL, NULL), FOS_INVALID);
	assert_int_equal(fos_request_invoke(ch, FOS_CALL | 1, NULL, NULL), FOS_INVALID);
	assert_int_equal(fos_continue(ch, 1, FOS_CAP_NONE, NULL, NULL, NULL), FOS_INVALID);
	assert_int_equal(fos_continue(ch, 0, 5, NULL, NULL, NULL), FOS_INVALID);
	assert_int_equal(fos_fail(ch, 0, FOS_DEVICE, NULL), FOS_INVALID);
	assert_int_equal(fos_fail(ch, 1, FOS_OK, NULL), FOS_INVALID);
	assert_int_equal(fos_fail(ch, 1, FOS_STATUS_COUNT, NULL), FOS_INVALID);
	memset(text, 'x', sizeof text);
	text[FOS_DETAIL_MAX] = 0;
	assert_int_equal(fos_fail(ch, 1, FOS_DEVICE, text), FOS_INVALID);
	assert_int_equal(fos_finish(ch, FOS_DELIVERY_NONE), FOS_INVALID);
	assert_int_equal(fos_null(ch), FOS_OK);
	assert_int_equal(fake.calls, before + 1);
	text[FOS_DETAIL_MAX - 1] = 0;
	assert_int_equal(fos_fail(ch, 1, FOS_DEVICE, text), FOS_OK);
	assert_int_equal(fos_null(ch), FOS_OK);
	stop();
}

static void info_is_translated(void **state)
{
	fos_cap request;
	fos_cap_information info;
	bool same;
	start(NULL);
	assert_int_equal(fos_request_create(ch, never, NULL, NULL, &request), FOS_OK);
	assert_int_equal(fos_cap_info(ch, request, &info), FOS_OK);
	assert_int_equal(info.kind, FOS_REQUEST);
	assert_true(info.own && info.reachable && !info.once);
	assert_int_equal(info.open_deliveries, 3);
	assert_int_equal(info.node, 7);
	assert_null(info.ptr);
	assert_int_equal(fos_cap_info(ch, 501, &info), FOS_NO_CAP);
	assert_int_equal(fos_cap_is_same(ch, 1, 2, &same), FOS_OK);
	assert_false(same);
	stop();
}

static void closing_ends_calls_under_way(void **state)
{
	unsigned counts[FOS_STATUS_COUNT] = {0};
	fos_channel *second;
	start(NULL);
	assert_int_equal(fos_channel_open(process, &second), FOS_OK);
	fake_set_hold(&fake, true);
	for (int i = 0; i < 10; i++)
		assert_int_equal(fos_null_async(second, count_status, counts), FOS_OK);
	fos_channel_close(second);
	assert_int_equal(counts[FOS_CANCELLED], 10);
	fake_set_hold(&fake, false);
	assert_int_equal(fos_null(ch), FOS_OK);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attach_names_the_node),
		cmocka_unit_test(attach_says_why_not),
		cmocka_unit_test(attach_is_refused),
		cmocka_unit_test(channels_are_limited_and_reused),
		cmocka_unit_test(lost_at_channel_and_segment),
		cmocka_unit_test(lost_while_waiting),
		cmocka_unit_test(answers_published_before_death_count),
		cmocka_unit_test(poll_alone_notices_the_loss),
		cmocka_unit_test(nonsense_in_the_ring_ends_it),
		cmocka_unit_test(lost_in_a_call),
		cmocka_unit_test(async_calls_complete_once_each),
		cmocka_unit_test(a_full_ring_waits_for_the_controller),
		cmocka_unit_test(wait_ends_at_its_time),
		cmocka_unit_test(stop_ends_serving),
		cmocka_unit_test(watches_and_poller_get_their_turn),
		cmocka_unit_test(own_event_loops_are_woken),
		cmocka_unit_test(blocking_calls_keep_deliveries_in_order),
		cmocka_unit_test(deliveries_show_what_is_bound),
		cmocka_unit_test(revoked_and_once_handlers_are_forgotten),
		cmocka_unit_test(children_are_asked_for),
		cmocka_unit_test(monitors_end_once),
		cmocka_unit_test(only_what_is_locked_is_a_device_held),
		cmocka_unit_test(call_brings_results_and_exceptions),
		cmocka_unit_test(refused_calls_leave_nothing_behind),
		cmocka_unit_test(mistakes_are_refused_before_the_ring),
		cmocka_unit_test(info_is_translated),
		cmocka_unit_test(closing_ends_calls_under_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
