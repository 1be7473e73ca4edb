/* The other ends of a benchmark: processes of ours on other nodes, started through `fractos exec`
 * and ended with us. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fractos/registry.h>

#include "bench.h"

enum { READY_MS = 20000, STOP_MS = 5000 };

/* ------------------------------------------------------------------ this side */

static _Noreturn void become(const struct bench_context *context, const char *node,
							 const char *const *argv, int in, int out, pid_t parent)
{
	const char *all[PARTY_WORDS + 6] = {"fractos", "exec", "--cluster", context->cluster, node};
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	for (unsigned i = 0; i < PARTY_WORDS && argv[i]; i++)
		all[5 + i] = argv[i];
	execv(context->fractos, (char *const *)(uintptr_t)all);
	bench_complain("cannot run %s: %s", context->fractos, strerror(errno));
	_exit(127);
}

bool party_spawn(const struct bench_context *context, const char *node, const char *const *argv,
				 struct party *out)
{
	int in[2], said[2];
	pid_t self = getpid();

	*out = (struct party){.in = -1, .out = -1};
	if (pipe2(in, O_CLOEXEC) != 0)
		return bench_fails("no pipe: %s", strerror(errno));
	if (pipe2(said, O_CLOEXEC) != 0) {
		close(in[0]);
		close(in[1]);
		return bench_fails("no pipe: %s", strerror(errno));
	}
	fflush(NULL);
	pid_t child = fork();
	if (child == 0)
		become(context, node, argv, in[0], said[1], self);
	close(in[0]);
	close(said[1]);
	*out = (struct party){.pid = child > 0 ? child : 0, .in = in[1], .out = said[0]};
	if (child > 0)
		return true;
	party_stop(out);
	return bench_fails("cannot fork: %s", strerror(errno));
}

/* Byte by byte, so that what follows the line stays in the pipe: these lines are few. */
bool party_line(struct party *party, int patience_ms, char *out, size_t size)
{
	const uint64_t begin = bench_now();

	for (size_t used = 0; used + 1 < size; used++) {
		struct pollfd fd = {.fd = party->out, .events = POLLIN};
		int64_t left = patience_ms - (int64_t)((bench_now() - begin) / 1000000);
		if (left <= 0 || poll(&fd, 1, (int)left) <= 0 || read(party->out, out + used, 1) != 1)
			return false;
		if (out[used] == '\n') {
			out[used] = 0;
			return true;
		}
	}
	return false;
}

bool party_start_program(const struct bench_context *context, const char *node,
						 const char *const *argv, struct party *out)
{
	char line[BENCH_TEXT + 8];
	if (!party_spawn(context, node, argv, out))
		return false;
	if (party_line(out, READY_MS, line, sizeof line) && !strncmp(line, "ready", 5)) {
		snprintf(out->said, sizeof out->said, "%s", line + 5 + (line[5] == ' '));
		return true;
	}
	party_stop(out);
	return bench_fails("%s %s on node %s did not start", argv[0], argv[1] ? argv[1] : "", node);
}

bool party_start(const struct bench_context *context, const char *node, const char *role,
				 const char *name, struct party *out)
{
	const char *const argv[] = {context->self, "serve", role, name, NULL};
	return party_start_program(context, node, argv, out);
}

void bench_end(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = {.fd = fd, .events = POLLIN};

	kill(pid, SIGTERM);
	kill(pid, SIGCONT);
	if (fd < 0 || poll(&ended, 1, STOP_MS) <= 0)
		kill(pid, SIGKILL);
	if (fd >= 0)
		close(fd);
	waitpid(pid, NULL, 0);
}

void party_stop(struct party *party)
{
	if (party->pid == 0)
		return;
	bench_end(party->pid);
	close(party->in);
	close(party->out);
	party->pid = 0;
}

bool party_request(const struct bench_context *context, const char *name, fos_cap *out)
{
	char full[FOS_NAME_MAX];
	snprintf(full, sizeof full, "bench/%s", name);
	return bench_ok(fos_registry_wait(context->channel, full, 5000000000u, out), full);
}

/* ------------------------------------------------------------------ the party itself */

static fos_channel *serving;

static void on_signal(int signal)
{
	(void)signal;
	fos_stop(serving);
}

int party_serve(fos_channel *channel, const struct role *role, const char *name)
{
	serving = channel;
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	if (!role->offer(channel, name))
		return 1;
	puts("ready");
	fflush(stdout);
	fos_status status = fos_serve(channel);
	return status == FOS_OK ? 0 : 1;
}
