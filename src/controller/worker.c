/* Working Processes for the tests of a cluster; see worker.h. */
#include "controller/worker.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define CALL_TIME UINT64_C(60000000000) /* ns: no call takes so long that comes back at all */

/* In children, where cmocka's assertions would jump into the parent's test. */
static void must(fos_status status, const char *what)
{
	if (status == FOS_OK)
		return;
	fprintf(stderr, "%s: %s\n", what, fos_status_name(status));
	_exit(1);
}

/* ------------------------------------------------------------------ the hub */

struct hub {
	fos_cap places[HUB_PLACES];
};

static fos_handled on_hub(fos_channel *ch, const fos_delivery *d, void *arg)
{
	struct hub *hub = arg;
	const uint64_t *number = fos_delivery_imm(d, HUB_NUMBER, sizeof *number);
	fos_cap given = fos_delivery_cap(d, HUB_PUT);
	if (number == NULL || *number >= HUB_PLACES) {
		must(fos_fail(ch, d->id, FOS_INVALID, "no such place"), "fail");
		return FOS_FINISH_LATER;
	}
	fos_cap *place = &hub->places[*number];
	if (given != FOS_CAP_NONE) {
		must(fos_cap_keep(ch, given), "keep");
		if (*place != FOS_CAP_NONE)
			must(fos_cap_close(ch, *place), "close");
		*place = given;
	} else if (*place == FOS_CAP_NONE) {
		must(fos_fail(ch, d->id, FOS_NOT_FOUND, NULL), "fail");
		return FOS_FINISH_LATER;
	}
	fos_args args;
	fos_args_init(&args);
	if (given == FOS_CAP_NONE)
		fos_args_cap(&args, FOS_CALL, HUB_GET, *place);
	must(fos_continue(ch, d->id, fos_delivery_cap(d, FOS_NEXT), &args, NULL, NULL), "continue");
	return FOS_FINISH_LATER;
}

static fos_channel *attach_child(const char *socket, const char *label)
{
	const fos_attach_options options = {.socket = socket, .label = label};
	fos_process *process;
	fos_channel *ch;
	if (fos_attach(&options, &process) != FOS_OK) {
		fprintf(stderr, "attach: %s\n", fos_attach_error());
		_exit(1);
	}
	must(fos_channel_open(process, &ch), "channel");
	return ch;
}

static void serve_hub(const char *socket, int ready)
{
	static struct hub hub;
	fos_cap request;
	fos_channel *ch = attach_child(socket, "hub");
	must(fos_request_create(ch, on_hub, &hub, NULL, &request), "create");
	must(fos_registry_set(ch, request), "registry_set");
	if (write(ready, "r", 1) != 1)
		_exit(1);
	fos_serve(ch);
	_exit(0);
}

static fos_status hub_call(fos_channel *ch, uint64_t number, fos_cap put, fos_cap *got)
{
	fos_args args;
	fos_reply reply;
	fos_cap hub;
	fos_status status = fos_registry_get(ch, CALL_TIME, &hub);
	if (status != FOS_OK)
		return status;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, HUB_NUMBER, &number, sizeof number);
	if (put != FOS_CAP_NONE)
		fos_args_cap(&args, FOS_CALL, HUB_PUT, put);
	status = fos_call(ch, hub, &args, CALL_TIME, &reply);
	if (status == FOS_OK && got != NULL) {
		*got = fos_delivery_cap(&reply.delivery, HUB_GET);
		status = fos_cap_keep(ch, *got);
	}
	fos_reply_release(ch, &reply);
	fos_status closed = fos_cap_close(ch, hub);
	return status != FOS_OK ? status : closed;
}

/* ------------------------------------------------------------------ workers */

struct worker {
	uint8_t *bytes;
	uint64_t length;
	uint64_t held;
};

static uint8_t pattern(uint64_t i)
{
	return (uint8_t)(i * 7 + (i >> 12));
}

uint64_t worker_pattern_sum(uint64_t bytes)
{
	uint64_t sum = 0;
	for (uint64_t i = 0; i < bytes; i++)
		sum += (i + 1) * pattern(i);
	return sum;
}

static uint64_t sum_of(const struct worker *w)
{
	uint64_t sum = 0;
	for (uint64_t i = 0; i < w->length; i++)
		sum += (i + 1) * w->bytes[i];
	return sum;
}

static void make_memory(fos_channel *ch, struct worker *w, uint64_t length, bool blank,
						fos_cap *out)
{
	void *bytes;
	must(fos_alloc(fos_channel_process(ch), length, 64, &bytes), "alloc");
	w->bytes = bytes;
	w->length = length;
	if (blank)
		memset(bytes, 0, length);
	for (uint64_t i = 0; !blank && i < length; i++)
		w->bytes[i] = pattern(i);
	must(fos_memory_create(ch, bytes, length, FOS_READ | FOS_WRITE, out), "memory");
}

/* The Controller writes the bytes: memory gives no event, so it is looked at all the time. */
static void strike(const struct worker *w, const struct worker_args *in)
{
	const volatile uint8_t *byte = w->bytes + in->value;
	const time_t end = time(NULL) + 60;
	if (in->value >= w->length)
		return;
	while (*byte == 0 && time(NULL) < end)
		sched_yield();
	if (*byte != 0)
		kill((pid_t)in->pid, (int)in->signal);
}

static fos_handled on_work(fos_channel *ch, const fos_delivery *d, void *arg)
{
	struct worker *w = arg;
	const struct worker_args *in = fos_delivery_imm(d, FOS_ARG, sizeof *in);
	const uint64_t *counter = fos_delivery_imm(d, FOS_RESULT, sizeof *counter);
	uint64_t result = 0;
	fos_cap memory;
	fos_args args;
	fos_args_init(&args);
	switch (in != NULL ? in->op : 0) {
	case WORKER_ECHO:
		result = in->value + 1;
		break;
	case WORKER_HOLD:
		w->held++;
		return FOS_FINISH_LATER;
	case WORKER_MEMORY:
	case WORKER_BLANK:
		make_memory(ch, w, in->value, in->op == WORKER_BLANK, &memory);
		fos_args_cap(&args, FOS_CALL, FOS_CAP_RESULT, memory);
		break;
	case WORKER_SUM:
		result = sum_of(w);
		break;
	case WORKER_HELD:
		result = w->held;
		break;
	case WORKER_STEP:
		result = (counter != NULL ? *counter : 0) + 1;
		break;
	case WORKER_FILL:
		memset(w->bytes, (int)in->value, w->length);
		break;
	case WORKER_STRIKE:
		strike(w, in);
		return FOS_FINISH;
	default:
		must(fos_fail(ch, d->id, FOS_INVALID, "unknown work"), "fail");
		return FOS_FINISH_LATER;
	}
	fos_args_imm(&args, FOS_CALL, FOS_RESULT, &result, sizeof result);
	must(fos_continue(ch, d->id, fos_delivery_cap(d, FOS_NEXT), &args, NULL, NULL), "continue");
	return FOS_FINISH_LATER;
}

static void serve_worker(const char *socket, unsigned number, int ready)
{
	static struct worker worker;
	fos_cap request;
	char label[FOS_LABEL_MAX];
	snprintf(label, sizeof label, "worker%u", number);
	fos_channel *ch = attach_child(socket, label);
	must(fos_request_create(ch, on_work, &worker, NULL, &request), "create");
	must(hub_call(ch, number, request, NULL), "put");
	if (write(ready, "r", 1) != 1)
		_exit(1);
	fos_serve(ch);
	_exit(0);
}

/* ------------------------------------------------------------------ children */

static pid_t start(const char *socket, int number)
{
	int ends[2];
	char byte;
	assert_int_equal(pipe(ends), 0);
	pid_t parent = getpid();
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		if (getppid() != parent)
			_exit(1);
		if (number < 0)
			serve_hub(socket, ends[1]);
		else
			serve_worker(socket, (unsigned)number, ends[1]);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	return pid;
}

pid_t hub_start(const char *socket)
{
	return start(socket, -1);
}

pid_t worker_start(const char *socket, unsigned number)
{
	return start(socket, (int)number);
}

void child_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* ------------------------------------------------------------------ the client's side */

fos_channel *client_start(const char *socket)
{
	const fos_attach_options options = {.socket = socket, .label = "client"};
	fos_process *process = NULL;
	fos_channel *ch = NULL;
	assert_int_equal(fos_attach(&options, &process), FOS_OK);
	assert_int_equal(fos_channel_open(process, &ch), FOS_OK);
	return ch;
}

void client_end(fos_channel *ch)
{
	fos_detach(fos_channel_process(ch));
}

fos_status worker_look(fos_channel *ch, unsigned number, fos_cap *out)
{
	return hub_call(ch, number, FOS_CAP_NONE, out);
}

fos_cap worker_find(fos_channel *ch, unsigned number)
{
	fos_cap cap = FOS_CAP_NONE;
	assert_int_equal(hub_call(ch, number, FOS_CAP_NONE, &cap), FOS_OK);
	return cap;
}

fos_status worker_call(fos_channel *ch, fos_cap worker, uint64_t op, uint64_t argument,
					   uint64_t *value, fos_cap *cap)
{
	const struct worker_args in = {.op = op, .value = argument};
	fos_args args;
	fos_reply reply;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &in, sizeof in);
	fos_status status = fos_call(ch, worker, &args, CALL_TIME, &reply);
	if (status == FOS_OK && value != NULL) {
		const uint64_t *result = fos_delivery_imm(&reply.delivery, FOS_RESULT, sizeof *result);
		assert_non_null(result);
		*value = *result;
	}
	if (status == FOS_OK && cap != NULL) {
		*cap = fos_delivery_cap(&reply.delivery, FOS_CAP_RESULT);
		status = fos_cap_keep(ch, *cap);
	}
	fos_reply_release(ch, &reply);
	return status;
}

void worker_strike(fos_channel *ch, fos_cap worker, uint64_t offset, pid_t pid, int signal)
{
	const struct worker_args in = {
		.op = WORKER_STRIKE, .value = offset, .pid = pid, .signal = signal};
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &in, sizeof in);
	assert_int_equal(fos_request_invoke(ch, worker, &args, NULL), FOS_OK);
}
