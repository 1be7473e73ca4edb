/* The Controller of libfractos's tests; see fake.h. */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base.h"
#include "client/fake.h"

enum { RING_BYTES = 64 * 1024, YIELDS = 50 };

/* ------------------------------------------------------------------ answers */

static void ring_bell(struct fake_channel *ch)
{
	const uint64_t one = 1;
	(void)!write(ch->bell_out, &one, sizeof one);
}

static void *reserve(struct fake *fake, struct fake_channel *ch, size_t size)
{
	void *record;
	/* A test's ring is large enough for what the test leaves unread. */
	while ((record = ring_reserve(&ch->answers, (uint32_t)size)) == NULL) {
		if (atomic_load(&fake->quit))
			return NULL;
		sched_yield();
	}
	memset(record, 0, size);
	return record;
}

static void publish(struct fake *fake, struct fake_channel *ch, struct wire_record *record)
{
	if (atomic_exchange(&fake->bad_record, false))
		record->type = 999;
	if (atomic_exchange(&fake->break_ring, false))
		record->size = 12;
	if (ring_publish(&ch->answers))
		ring_bell(ch);
}

static void complete(struct fake *fake, struct fake_channel *ch, uint64_t cookie, fos_status status,
					 fos_cap cap)
{
	struct wire_answer_completion *answer = reserve(fake, ch, sizeof *answer);
	if (answer == NULL)
		return;
	answer->header = (struct wire_record){
		.size = sizeof *answer, .type = WIRE_ANSWER_TYPE_COMPLETION, .cookie = cookie};
	answer->cap = cap;
	answer->status = status;
	answer->same = 0;
	publish(fake, ch, &answer->header);
}

static void complete_info(struct fake *fake, struct fake_channel *ch, uint64_t cookie, fos_cap cap)
{
	struct wire_answer_info *answer = reserve(fake, ch, sizeof *answer);
	if (answer == NULL)
		return;
	answer->header = (struct wire_record){
		.size = sizeof *answer, .type = WIRE_ANSWER_TYPE_INFO, .cookie = cookie};
	answer->status = cap < FAKE_REQUESTS && fake->requests[cap].alive ? FOS_OK : FOS_NO_CAP;
	answer->kind = FOS_REQUEST;
	answer->own = 1;
	answer->reachable = 1;
	answer->node = 7;
	answer->open_deliveries = 3;
	publish(fake, ch, &answer->header);
}

static void end_monitor(struct fake *fake, struct fake_channel *ch, uint64_t cookie,
						fos_status status, enum fos_gone gone)
{
	struct wire_answer_monitored *answer = cookie != 0 ? reserve(fake, ch, sizeof *answer) : NULL;
	if (answer == NULL)
		return;
	answer->header = (struct wire_record){
		.size = sizeof *answer, .type = WIRE_ANSWER_TYPE_MONITORED, .cookie = cookie};
	answer->status = status;
	answer->gone = gone;
	publish(fake, ch, &answer->header);
}

/* A monitor of either kind: it fires when the Request is revoked. */
static void set_monitor(struct fake *fake, struct fake_channel *ch, const uint8_t *bytes)
{
	/* Both calls have one layout. */
	const struct wire_call_monitor_receive *call = (const void *)bytes;
	bool delegate = call->header.type == WIRE_CALL_TYPE_MONITOR_DELEGATE;
	if (call->cap < FAKE_REQUESTS && fake->requests[call->cap].alive)
		fake->requests[call->cap].monitors[delegate] = call->header.cookie;
	else
		end_monitor(fake, ch, call->header.cookie, FOS_NO_CAP, FOS_GONE_NOT);
}

static void fire_monitors(struct fake *fake, struct fake_request *request)
{
	struct fake_channel *ch = &fake->channels[request->channel];
	end_monitor(fake, ch, request->monitors[0], FOS_REVOKED, FOS_GONE_REVOKED);
	end_monitor(fake, ch, request->monitors[1], FOS_OK, FOS_GONE_UNHELD);
	request->monitors[0] = request->monitors[1] = 0;
}

/* ------------------------------------------------------------------ deliveries */

struct parts { /* what entry 0 of a call binds, in a delivery's form */
	struct wire_range ranges[FOS_RANGES_MAX];
	struct wire_delivered caps[FOS_CAPS_MAX];
	unsigned range_count, cap_count;
	uint32_t imm_bytes;
};

static uint64_t slot_of(const struct wire_args_view *args, unsigned entry)
{
	return ((const struct wire_call_entry *)args->entries)[entry].cap;
}

static void collect(const struct wire_args_view *args, struct parts *parts)
{
	memset(parts, 0, sizeof *parts);
	for (unsigned i = 0; i < args->head->range_count && args->ranges[i].entry == 0; i++) {
		struct wire_range *last = &parts->ranges[parts->range_count];
		if (parts->range_count > 0 && last[-1].offset + last[-1].length == args->ranges[i].offset)
			last[-1].length += args->ranges[i].length;
		else
			parts->ranges[parts->range_count++] = args->ranges[i];
		parts->imm_bytes += args->ranges[i].length;
	}
	for (unsigned i = 0; i < args->head->bound_count && args->bounds[i].entry == 0; i++)
		parts->caps[parts->cap_count++] =
			(struct wire_delivered){.cap = slot_of(args, args->bounds[i].value),
									.index = (uint8_t)args->bounds[i].index,
									.kind = FOS_REQUEST};
}

/* Delivers to the Request in `slot`; exception: a wire_exception with its detail, or NULL. */
static void deliver(struct fake *fake, uint64_t slot, const struct wire_args_view *args,
					const void *exception, size_t exception_size)
{
	struct fake_request *request = &fake->requests[slot];
	struct fake_channel *ch = &fake->channels[request->channel];
	struct parts parts = {0};
	if (args != NULL)
		collect(args, &parts);
	size_t size = sizeof(struct wire_answer_delivery) +
				  parts.range_count * sizeof(struct wire_range) +
				  parts.cap_count * sizeof(struct wire_delivered) + exception_size +
				  wire_pad8(parts.imm_bytes);
	struct wire_answer_delivery *answer = reserve(fake, ch, size);
	if (answer == NULL)
		return;
	answer->header = (struct wire_record){
		.size = (uint32_t)size, .type = WIRE_ANSWER_TYPE_DELIVERY, .cookie = request->handler};
	answer->delivery = ++fake->deliveries;
	answer->trace = 11;
	answer->span = 22;
	answer->time_left = 33;
	answer->imm_bytes = parts.imm_bytes;
	answer->range_count = (uint16_t)parts.range_count;
	answer->cap_count = (uint8_t)parts.cap_count;
	answer->exception = exception != NULL;
	fake->on_error[answer->delivery % FAKE_DELIVERIES] = 0;
	uint8_t *at = (uint8_t *)(answer + 1);
	memcpy(at, parts.ranges, parts.range_count * sizeof(struct wire_range));
	at += parts.range_count * sizeof(struct wire_range);
	memcpy(at, parts.caps, parts.cap_count * sizeof(struct wire_delivered));
	at += parts.cap_count * sizeof(struct wire_delivered);
	if (exception != NULL)
		memcpy(at, exception, exception_size);
	at += exception_size;
	if (args != NULL) {
		memcpy(at, args->imm, parts.imm_bytes);
		unsigned entry = ((const struct wire_call_entry *)args->entries)[0].on_error;
		if (entry != 0)
			fake->on_error[answer->delivery % FAKE_DELIVERIES] = slot_of(args, entry);
	}
	if (request->once)
		request->alive = false;
	publish(fake, ch, &answer->header);
}

static bool is_request(const struct fake *fake, uint64_t slot)
{
	return slot < FAKE_REQUESTS && fake->requests[slot].alive;
}

/* ------------------------------------------------------------------ calls */

static uint64_t new_slot(struct fake *fake)
{
	do
		fake->slots = (fake->slots + 1) % FAKE_REQUESTS;
	while (fake->slots == 0 || fake->requests[fake->slots].alive);
	return fake->slots;
}

static void fail_delivery(struct fake *fake, const struct wire_call_fail *call)
{
	uint64_t slot = fake->on_error[call->delivery % FAKE_DELIVERIES];
	struct {
		struct wire_exception exception;
		uint8_t detail[FOS_DETAIL_MAX];
	} e = {.exception = {.status = call->status,
						 .node = 7,
						 .process = 9,
						 .detail_len = call->length,
						 .where = "fake/test"}};
	memcpy(e.detail, call + 1, call->length);
	atomic_fetch_add(&fake->fails, 1);
	if (is_request(fake, slot))
		deliver(fake, slot, NULL, &e, sizeof e.exception + wire_pad8(call->length));
}

/* What a call gives; *cap: a new slot. */
static fos_status carry_out(struct fake *fake, uint32_t number, const uint8_t *bytes, fos_cap *cap)
{
	const struct wire_record *head = (const void *)bytes;
	struct wire_tail tail;
	wire_call_tail(bytes, &tail);
	switch (head->type) {
	case WIRE_CALL_TYPE_MEMORY_CREATE:
	case WIRE_CALL_TYPE_MEMORY_DIMINISH:
	case WIRE_CALL_TYPE_REQUEST_REFINE:
	case WIRE_CALL_TYPE_CAP_REVTREE:
		*cap = 100000 + fake->calls;
		return FOS_OK;
	case WIRE_CALL_TYPE_REQUEST_CREATE: {
		const struct wire_call_request_create *call = (const void *)bytes;
		*cap = new_slot(fake);
		fake->requests[*cap] = (struct fake_request){
			.alive = true, .once = call->once, .channel = number, .handler = call->handler};
		return FOS_OK;
	}
	case WIRE_CALL_TYPE_REQUEST_INVOKE: {
		const struct wire_call_request_invoke *call = (const void *)bytes;
		if (!is_request(fake, call->cap))
			return FOS_NO_CAP;
		deliver(fake, call->cap, &tail.args, NULL, 0);
		return FOS_OK;
	}
	case WIRE_CALL_TYPE_CONTINUE: {
		const struct wire_call_continue *call = (const void *)bytes;
		if (!is_request(fake, call->cap))
			return FOS_NO_CAP;
		deliver(fake, call->cap, &tail.args, NULL, 0);
		return FOS_OK;
	}
	case WIRE_CALL_TYPE_FAIL:
		fail_delivery(fake, (const void *)bytes);
		return FOS_OK;
	case WIRE_CALL_TYPE_FINISH:
		atomic_fetch_add(&fake->finishes, 1);
		return FOS_OK;
	case WIRE_CALL_TYPE_CAP_REVOKE: {
		const struct wire_call_cap_revoke *call = (const void *)bytes;
		if (!is_request(fake, call->cap))
			return FOS_NO_CAP;
		fake->requests[call->cap].alive = false;
		fire_monitors(fake, &fake->requests[call->cap]);
		return FOS_OK;
	}
	default:
		return FOS_OK;
	}
}

static void die(struct fake *fake)
{
	close(fake->connection);
	fake->connection = -1;
}

/* Handles one call; false: nothing was there. */
static bool handle_call(struct fake *fake, uint32_t number)
{
	_Alignas(8) uint8_t bytes[WIRE_RECORD_MAX];
	struct fake_channel *ch = &fake->channels[number];
	const struct wire_record *head = (const void *)bytes;
	int64_t size = ring_read(&ch->calls, bytes, sizeof bytes);
	fos_cap cap = FOS_CAP_NONE;
	if (size == 0)
		return false;
	if (size < 0 || !wire_check_call(bytes, (size_t)size)) {
		atomic_fetch_add(&fake->malformed, 1);
		die(fake);
		return true;
	}
	if (ring_release(&ch->calls))
		ring_bell(ch);
	atomic_fetch_add(&fake->calls, 1);
	bool dies = head->type == fake->config.death_type;
	if (dies && fake->config.death == FAKE_AT_CALL) {
		die(fake);
		return true;
	}
	if (head->type == WIRE_CALL_TYPE_CAP_INFO) {
		complete_info(fake, ch, head->cookie,
					  ((const struct wire_call_cap_info *)(const void *)bytes)->cap);
		return true;
	}
	if (head->type == WIRE_CALL_TYPE_MONITOR_RECEIVE ||
		head->type == WIRE_CALL_TYPE_MONITOR_DELEGATE) {
		set_monitor(fake, ch, bytes);
		return true;
	}
	fos_status status = head->type == atomic_load(&fake->refuse_type)
							? (fos_status)atomic_load(&fake->refuse_status)
							: carry_out(fake, number, bytes, &cap);
	complete(fake, ch, head->cookie, status, cap);
	if (dies && fake->config.death == FAKE_AFTER_CALL)
		die(fake);
	return true;
}

/* ------------------------------------------------------------------ the attach dialogue */

static void send_packet(struct fake *fake, const void *packet, size_t size, const int *fds,
						unsigned count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(3 * sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)packet, size};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	if (count != 0) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	(void)!sendmsg(fake->connection, &message, MSG_NOSIGNAL);
}

static void answer_attach(struct fake *fake)
{
	struct wire_attach_attached attached = {
		.header = {.size = sizeof attached, .type = WIRE_ATTACH_TYPE_ATTACHED},
		.version = fake->config.version ? fake->config.version : WIRE_VERSION,
		.status = fake->config.attach_status,
		.epoch = 0x1234,
		.node = 7,
		.process = 9,
		.node_name = "fakenode"};
	if (fake->config.death == FAKE_AT_ATTACH)
		die(fake);
	else if (!fake->config.mute)
		send_packet(fake, &attached, sizeof attached, NULL, 0);
}

static int new_memfd(size_t size)
{
	int fd = memfd_create("fake", MFD_CLOEXEC);
	BASE_ASSERT(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	return fd;
}

static void answer_channel(struct fake *fake)
{
	uint32_t number = 0;
	while (number < FAKE_CHANNELS && fake->channels[number].open)
		number++;
	fos_status status = number == FAKE_CHANNELS ? FOS_QUOTA : fake->config.channel_status;
	struct wire_attach_opened opened = {
		.header = {.size = sizeof opened, .type = WIRE_ATTACH_TYPE_OPENED},
		.status = status,
		.channel = number,
		.ring_bytes = fake->config.ring_bytes ? fake->config.ring_bytes : RING_BYTES};
	if (fake->config.death == FAKE_AT_CHANNEL) {
		die(fake);
		return;
	}
	if (status != FOS_OK) {
		send_packet(fake, &opened, sizeof opened, NULL, 0);
		return;
	}
	struct fake_channel *ch = &fake->channels[number];
	size_t bytes = opened.ring_bytes, size = 2 * RING_PAGE + 2 * bytes;
	int bell[2], memfd = new_memfd(size);
	BASE_ASSERT(pipe2(bell, O_CLOEXEC | O_NONBLOCK) == 0);
	ch->open = true;
	ch->bell_in = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ch->bell_out = bell[1];
	ch->mapping_size = size;
	ch->mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	BASE_ASSERT(ch->bell_in >= 0 && ch->mapping != MAP_FAILED);
	uint8_t *at = ch->mapping;
	ring_init(&ch->calls, at, at + 2 * RING_PAGE, bytes);
	ring_init(&ch->answers, at + RING_PAGE, at + 2 * RING_PAGE + bytes, bytes);
	const int fds[] = {memfd, ch->bell_in, bell[0]};
	send_packet(fake, &opened, sizeof opened, fds, 3);
	close(memfd);
	ch->bell_out_peer = bell[0];
}

static void answer_segment(struct fake *fake, const struct wire_attach_segment *ask)
{
	bool fits = fake->config.arena_max == 0 || fake->arena + ask->length <= fake->config.arena_max;
	struct wire_attach_mapped mapped = {
		.header = {.size = sizeof mapped, .type = WIRE_ATTACH_TYPE_MAPPED},
		.status = fits ? FOS_OK : FOS_QUOTA,
		.segment = fits ? fake->segments : 0,
		.length = fits ? ask->length : 0};
	if (fake->config.death == FAKE_AT_SEGMENT) {
		die(fake);
		return;
	}
	if (!fits) {
		send_packet(fake, &mapped, sizeof mapped, NULL, 0);
		return;
	}
	int fd = new_memfd(ask->length);
	fake->segments++;
	fake->arena += ask->length;
	send_packet(fake, &mapped, sizeof mapped, &fd, 1);
	close(fd);
}

static void close_channel(struct fake_channel *ch)
{
	if (!ch->open)
		return;
	munmap(ch->mapping, ch->mapping_size);
	close(ch->bell_in);
	close(ch->bell_out);
	close(ch->bell_out_peer);
	ch->open = false;
}

static void handle_packet(struct fake *fake)
{
	_Alignas(8) uint8_t bytes[256];
	const struct wire_record *head = (const void *)bytes;
	ssize_t n = recv(fake->connection, bytes, sizeof bytes, MSG_DONTWAIT);
	if (n < 0)
		return;
	if (n == 0) {
		die(fake);
		return;
	}
	if (!wire_check_attach(bytes, (size_t)n)) {
		atomic_fetch_add(&fake->malformed, 1);
		die(fake);
		return;
	}
	switch (head->type) {
	case WIRE_ATTACH_TYPE_ATTACH:
		answer_attach(fake);
		break;
	case WIRE_ATTACH_TYPE_CHANNEL:
		answer_channel(fake);
		break;
	case WIRE_ATTACH_TYPE_SEGMENT:
		answer_segment(fake, (const void *)bytes);
		break;
	case WIRE_ATTACH_TYPE_DEVICE: {
		struct wire_attach_device_done done = {
			.header = {.size = sizeof done, .type = WIRE_ATTACH_TYPE_DEVICE_DONE}};
		send_packet(fake, &done, sizeof done, NULL, 0);
		break;
	}
	default: {
		const struct wire_attach_close *ask = (const void *)bytes;
		struct wire_attach_closed closed = {
			.header = {.size = sizeof closed, .type = WIRE_ATTACH_TYPE_CLOSED}};
		close_channel(&fake->channels[ask->channel % FAKE_CHANNELS]);
		send_packet(fake, &closed, sizeof closed, NULL, 0);
	}
	}
}

/* ------------------------------------------------------------------ the thread */

static bool handle_calls(struct fake *fake)
{
	bool any = false;
	for (uint32_t i = 0; i < FAKE_CHANNELS && !atomic_load(&fake->hold); i++) {
		while (fake->connection >= 0 && fake->channels[i].open && handle_call(fake, i))
			any = true;
	}
	return any;
}

/* Sleeps until something can have happened. */
static void sleep_on_events(struct fake *fake)
{
	struct pollfd fds[FAKE_CHANNELS + 2] = {{.fd = fake->wake_fd, .events = POLLIN}};
	nfds_t count = 1;
	fds[count++] = (struct pollfd){.fd = fake->connection >= 0 ? fake->connection : fake->listener,
								   .events = POLLIN};
	bool ready = false;
	for (uint32_t i = 0; i < FAKE_CHANNELS; i++) {
		struct fake_channel *ch = &fake->channels[i];
		if (!ch->open)
			continue;
		if (!atomic_load(&fake->hold) && fake->connection >= 0 && !ring_sleep(&ch->calls))
			ready = true;
		fds[count++] = (struct pollfd){.fd = ch->bell_in, .events = POLLIN};
	}
	poll(fds, count, ready ? 0 : -1);
	for (nfds_t i = 0; i < count; i++) {
		uint64_t rings;
		if (i != 1 && (fds[i].revents & POLLIN) && read(fds[i].fd, &rings, sizeof rings) > 0)
			atomic_fetch_add(&fake->doorbells, i > 1 ? rings : 0);
	}
}

static void *run(void *arg)
{
	struct fake *fake = arg;
	unsigned idle = 0;
	while (!atomic_load(&fake->quit)) {
		if (fake->connection < 0) {
			int fd = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
			if (fd >= 0)
				fake->connection = fd;
		} else {
			handle_packet(fake);
		}
		if (handle_calls(fake)) {
			idle = 0;
		} else if (idle++ < YIELDS) {
			sched_yield();
		} else {
			sleep_on_events(fake);
			idle = 0;
		}
	}
	return NULL;
}

static void wake(struct fake *fake)
{
	const uint64_t one = 1;
	(void)!write(fake->wake_fd, &one, sizeof one);
}

void fake_set_hold(struct fake *fake, bool hold)
{
	atomic_store(&fake->hold, hold);
	wake(fake);
}

void fake_start(struct fake *fake, const struct fake_config *config)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	memset(fake, 0, sizeof *fake);
	if (config != NULL)
		fake->config = *config;
	snprintf(fake->dir, sizeof fake->dir, "/tmp/fractos-fake-XXXXXX");
	BASE_ASSERT(mkdtemp(fake->dir) != NULL);
	snprintf(fake->path, sizeof fake->path, "%s/socket", fake->dir);
	memcpy(address.sun_path, fake->path, strlen(fake->path) + 1);
	fake->connection = -1;
	fake->refuse_type = -1;
	fake->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fake->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	BASE_ASSERT(fake->wake_fd >= 0 && fake->listener >= 0);
	BASE_ASSERT(bind(fake->listener, (struct sockaddr *)&address, sizeof address) == 0);
	BASE_ASSERT(listen(fake->listener, 4) == 0);
	BASE_ASSERT(pthread_create(&fake->thread, NULL, run, fake) == 0);
}

void fake_stop(struct fake *fake)
{
	atomic_store(&fake->quit, true);
	wake(fake);
	pthread_join(fake->thread, NULL);
	for (unsigned i = 0; i < FAKE_CHANNELS; i++)
		close_channel(&fake->channels[i]);
	if (fake->connection >= 0)
		close(fake->connection);
	close(fake->listener);
	close(fake->wake_fd);
	unlink(fake->path);
	rmdir(fake->dir);
}
