/* See compiler.h. */
#include "compiler.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BUILD_SECONDS = 60 };

struct compiler {
	pid_t pid;
	int fd;
};

struct request { /* followed by the source */
	uint64_t length;
	char options[FOS_GPU_OPTIONS_MAX];
};

struct answer {
	int32_t status; /* fos_status */
	struct gpu_why why;
};

static bool read_all(int fd, void *bytes, size_t length)
{
	for (char *at = bytes; length > 0;) {
		ssize_t got = read(fd, at, length);
		if (got == 0 || (got < 0 && errno != EINTR))
			return false;
		at += got > 0 ? got : 0;
		length -= got > 0 ? (size_t)got : 0;
	}
	return true;
}

static bool write_all(int fd, const void *bytes, size_t length)
{
	for (const char *at = bytes; length > 0;) {
		ssize_t put = send(fd, at, length, MSG_NOSIGNAL);
		if (put < 0 && errno != EINTR)
			return false;
		at += put > 0 ? put : 0;
		length -= put > 0 ? (size_t)put : 0;
	}
	return true;
}

/* ------------------------------------------------------------------ in the compiler's process */

/* One build, in a process of its own. What it holds is given back by its end. */
static void build(const struct gpu_backend *backend, const char *wanted,
				  const struct request *request, const char *source, struct answer *answer)
{
	struct gpu_device *device;
	struct gpu_module *module;
	fos_status status = backend->open(wanted, &device, &answer->why);
	if (status == FOS_OK)
		status = backend->module_build(device, source, (size_t)request->length, request->options,
									   &module, &answer->why);
	if (status == FOS_OK)
		backend->module_warm(module);
	answer->status = (int32_t)status;
}

static void die_with(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
}

/* Forks one build and waits for its end; its answer comes through a socket, or its end says why
 * there is none. */
static void run_build(const struct gpu_backend *backend, const char *wanted,
					  const struct request *request, const char *source, struct answer *answer)
{
	int pair[2], end = 0;
	answer->status = FOS_QUOTA;
	snprintf(answer->why.text, sizeof answer->why.text, "no process for the compiler");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return;
	pid_t self = getpid(), pid = fork();
	if (pid == 0) {
		die_with(self);
		alarm(BUILD_SECONDS);
		build(backend, wanted, request, source, answer);
		_exit(write_all(pair[1], answer, sizeof *answer) ? 0 : 1);
	}
	close(pair[1]);
	if (pid > 0) {
		bool answered = read_all(pair[0], answer, sizeof *answer);
		while (waitpid(pid, &end, 0) < 0 && errno == EINTR)
			continue;
		if (!answered) {
			answer->status = FOS_DEVICE;
			snprintf(answer->why.text, sizeof answer->why.text,
					 WIFSIGNALED(end) && WTERMSIG(end) == SIGALRM
						 ? "the compiler was not done after %d seconds"
						 : "the compiler crashed on this source",
					 BUILD_SECONDS);
		}
	}
	close(pair[0]);
}

_Noreturn static void serve(const struct gpu_backend *backend, const char *wanted, int fd)
{
	struct request request;
	static struct answer answer;
	while (read_all(fd, &request, sizeof request)) {
		char *source = malloc((size_t)request.length + 1);
		if (!source || !read_all(fd, source, (size_t)request.length))
			break;
		run_build(backend, wanted, &request, source, &answer);
		free(source);
		if (!write_all(fd, &answer, sizeof answer))
			break;
	}
	_exit(0);
}

/* ------------------------------------------------------------------ in the service */

struct compiler *compiler_start(const struct gpu_backend *backend, const char *device)
{
	int pair[2];
	struct compiler *compiler = calloc(1, sizeof *compiler);
	if (!compiler)
		return NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		free(compiler);
		return NULL;
	}
	pid_t self = getpid();
	compiler->pid = fork();
	if (compiler->pid == 0) {
		die_with(self);
		close(pair[0]);
		dup2(STDERR_FILENO, STDOUT_FILENO); /* "ready" is not for compilers to say */
		serve(backend, device, pair[1]);
	}
	close(pair[1]);
	if (compiler->pid < 0) {
		close(pair[0]);
		free(compiler);
		return NULL;
	}
	compiler->fd = pair[0];
	return compiler;
}

void compiler_stop(struct compiler *compiler)
{
	if (!compiler)
		return;
	kill(compiler->pid, SIGKILL);
	while (waitpid(compiler->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	close(compiler->fd);
	free(compiler);
}

fos_status compiler_build(struct compiler *compiler, const char *source, size_t length,
						  const char *options, struct gpu_why *why)
{
	struct request request = {.length = length};
	struct answer answer;
	snprintf(request.options, sizeof request.options, "%s", options);
	if (!write_all(compiler->fd, &request, sizeof request) ||
		!write_all(compiler->fd, source, length) || !read_all(compiler->fd, &answer, sizeof answer))
		return FOS_OK;
	*why = answer.why;
	return (fos_status)answer.status;
}
