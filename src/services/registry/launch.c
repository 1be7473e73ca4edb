/* See launch.h. */
#include "launch.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = PATIENCE / 1000000 };

/* AddressSanitizer wants to be the first library, which a preloaded one is. */
static bool preload(const char *library)
{
	char options[1024];
	const char *given = getenv("ASAN_OPTIONS");
	if (library == NULL)
		return true;
	snprintf(options, sizeof options, "%s:verify_asan_link_order=0", given != NULL ? given : "");
	return setenv("LD_PRELOAD", library, 1) == 0 && setenv("ASAN_OPTIONS", options, 1) == 0;
}

pid_t launch(const char *socket, const char *const argv[])
{
	return launch_preloaded(socket, argv, NULL);
}

pid_t launch_preloaded(const char *socket, const char *const argv[], const char *library)
{
	int ends[2];
	char word[8] = "";
	size_t length = 0;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t parent = getpid(), pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent && dup2(ends[1], STDOUT_FILENO) >= 0 &&
			setenv("FRACTOS_SOCKET", socket, 1) == 0 && preload(library))
			execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(ends[1]);
	struct pollfd readable = {.fd = ends[0], .events = POLLIN};
	while (length < 6 && poll(&readable, 1, PATIENCE_MS) == 1) {
		ssize_t got = read(ends[0], word + length, 6 - length);
		if (got <= 0)
			break;
		length += (size_t)got;
	}
	close(ends[0]);
	if (strcmp(word, "ready\n") != 0) {
		launch_end(pid, SIGKILL);
		fail_msg("%s did not become ready", argv[0]);
	}
	return pid;
}

int launch_end(pid_t pid, int signal)
{
	int status = 0;
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	assert_true(pidfd >= 0);
	if (signal != 0)
		kill(pid, signal);
	struct pollfd end = {.fd = pidfd, .events = POLLIN};
	bool ended = poll(&end, 1, PATIENCE_MS) == 1;
	close(pidfd);
	if (!ended)
		kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!ended)
		fail_msg("process %d did not end", (int)pid);
	return status;
}

void launch_free_cluster(struct cluster *cluster)
{
	char path[CLUSTER_PATH_MAX];
	for (int i = 0; i < cluster->node_count; i++) {
		if (cluster->pids[i] != 0)
			assert_int_equal(cluster_end(cluster, i, SIGTERM), 0);
		snprintf(path, sizeof path, "%s/n%d", cluster->dir, i);
		rmdir(path);
	}
	cluster_free(cluster);
}
