/* See solo.h. The Controller gets a directory of its own for key, cluster file, socket and
 * recorder, which goes with it. */
#include "solo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READY_MS = 20000 };

/* A port of the loopback that is free now. */
static unsigned free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
			  getsockname(fd, (struct sockaddr *)&address, &len) == 0;
	if (fd >= 0)
		close(fd);
	return ok ? ntohs(address.sin_port) : 0;
}

static bool write_files(const struct solo *solo, bool spin)
{
	char path[96];
	uint8_t key[32];
	snprintf(path, sizeof path, "%s/key", solo->dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && getrandom(key, sizeof key, 0) == sizeof key;
	for (size_t i = 0; i < sizeof key && ok; i++)
		ok = dprintf(fd, "%02x", key[i]) == 2;
	if (fd >= 0)
		close(fd);
	snprintf(path, sizeof path, "%s/cluster.conf", solo->dir);
	FILE *file = ok ? fopen(path, "we") : NULL;
	if (!file)
		return bench_fails("cannot write %s: %s", path, strerror(errno));
	fprintf(file,
			"[cluster]\nname = solo\nkey = %s/key\nregistry = solo\nspin = %s\n\n[node solo]\n"
			"id = 1\naddress = 127.0.0.1\nport = %u\nsocket = %s\nrecorder = %s/recorder\n",
			solo->dir, spin ? "busy" : "yield", free_port(), solo->socket, solo->dir);
	return (ferror(file) | fclose(file)) == 0 || bench_fails("cannot write %s", path);
}

static _Noreturn void become(const struct bench_context *context, const struct solo *solo, int out,
							 pid_t parent)
{
	char path[96];
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	dup2(out, STDOUT_FILENO);
	snprintf(path, sizeof path, "%s/log", solo->dir);
	int log = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (log >= 0)
		dup2(log, STDERR_FILENO);
	snprintf(path, sizeof path, "%s/cluster.conf", solo->dir);
	execl(context->fractosd, "fractosd", "--cluster", path, "--node", "solo", (char *)NULL);
	bench_complain("cannot run %s: %s", context->fractosd, strerror(errno));
	_exit(127);
}

static void tell_log(const struct solo *solo)
{
	char path[96], line[256];
	snprintf(path, sizeof path, "%s/log", solo->dir);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file))
		fputs(line, stderr);
	if (file)
		fclose(file);
}

static bool start(const struct bench_context *context, struct solo *solo)
{
	int pipes[2];
	char said[64];
	pid_t self = getpid();

	if (pipe2(pipes, O_CLOEXEC) != 0)
		return bench_fails("no pipe: %s", strerror(errno));
	fflush(NULL);
	solo->pid = fork();
	if (solo->pid == 0)
		become(context, solo, pipes[1], self);
	close(pipes[1]);
	struct pollfd fd = {.fd = pipes[0], .events = POLLIN};
	bool ready = solo->pid > 0 && poll(&fd, 1, READY_MS) > 0 &&
				 read(pipes[0], said, sizeof said) >= 5 && !memcmp(said, "ready", 5);
	close(pipes[0]);
	if (!ready)
		tell_log(solo);
	return ready || bench_fails("a Controller for one node did not start");
}

bool solo_open(const struct bench_context *context, bool spin, unsigned core, struct solo *out)
{
	*out = (struct solo){.dir = "/tmp/fractos-bench-XXXXXX"};
	if (!mkdtemp(out->dir)) {
		out->dir[0] = 0;
		return bench_fails("no directory in /tmp: %s", strerror(errno));
	}
	snprintf(out->socket, sizeof out->socket, "%s/socket", out->dir);
	fos_attach_options attach = {.socket = out->socket, .label = "bench"};
	if (!write_files(out, spin) || !start(context, out) || !bench_pin(out->pid, core))
		return false;
	if (fos_attach(&attach, &out->process) != FOS_OK)
		return bench_fails("%s", fos_attach_error());
	return bench_ok(fos_channel_open(out->process, &out->channel), "channel");
}

void solo_close(struct solo *solo)
{
	static const char *const files[] = {"key",         "cluster.conf", "socket",
										"socket.lock", "recorder",     "log"};
	char path[128];

	fos_detach(solo->process);
	if (solo->pid > 0)
		bench_end(solo->pid);
	if (solo->dir[0] == 0)
		return;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", solo->dir, files[i]);
		unlink(path);
	}
	rmdir(solo->dir);
}
