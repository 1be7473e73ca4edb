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
#include <sys/wait.h>
#include <unistd.h>

#include <fractos/registry.h>

#include "bench.h"

enum { READY_MS = 20000 };

/* ------------------------------------------------------------------ this side */

static _Noreturn void become(const struct bench_context *context, const char *node,
							 const char *role, const char *name, int out, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	dup2(out, STDOUT_FILENO);
	execl(context->fractos, "fractos", "exec", "--cluster", context->cluster, node, context->self,
		  "serve", role, name, (char *)NULL);
	bench_fails("cannot run %s: %s", context->fractos, strerror(errno));
	_exit(127);
}

/* Reads "ready ...\n". */
static bool await_ready(int in, char *said, size_t size)
{
	char line[BENCH_TEXT + 8] = "";
	size_t used = 0;
	const uint64_t begin = bench_now();

	while (!strchr(line, '\n') && used + 1 < sizeof line) {
		struct pollfd fd = {.fd = in, .events = POLLIN};
		int64_t left = READY_MS - (int64_t)((bench_now() - begin) / 1000000);
		if (left <= 0 || poll(&fd, 1, (int)left) <= 0)
			return false;
		ssize_t n = read(in, line + used, sizeof line - 1 - used);
		if (n <= 0)
			return false;
		used += (size_t)n;
		line[used] = 0;
	}
	line[strcspn(line, "\n")] = 0;
	if (strncmp(line, "ready", 5) != 0)
		return false;
	snprintf(said, size, "%s", line + 5 + (line[5] == ' '));
	return true;
}

bool party_start(const struct bench_context *context, const char *node, const char *role,
				 const char *name, struct party *out)
{
	int pipes[2];
	pid_t self = getpid();

	out->pid = 0;
	if (pipe2(pipes, O_CLOEXEC) != 0)
		return bench_fails("no pipe: %s", strerror(errno));
	fflush(NULL);
	pid_t child = fork();
	if (child == 0)
		become(context, node, role, name, pipes[1], self);
	close(pipes[1]);
	out->pid = child > 0 ? child : 0;
	bool ready = child > 0 && await_ready(pipes[0], out->said, sizeof out->said);
	close(pipes[0]);
	if (ready)
		return true;
	party_stop(out);
	return bench_fails("the party \"%s\" on node %s did not start", name, node);
}

void party_stop(struct party *party)
{
	if (party->pid == 0)
		return;
	kill(party->pid, SIGTERM);
	kill(party->pid, SIGCONT);
	waitpid(party->pid, NULL, 0);
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
