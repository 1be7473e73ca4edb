/* For the tests of blk and fs, loaded into fractos-blk before its libraries: while the file that
 * $FRACTOS_HOLD names is there, nothing is submitted to the device. A fork keeps what the service
 * has open meanwhile, so that also when the service is killed its locks say that its I/O goes on:
 * as they do when a real device takes long.
 */
#include <dlfcn.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STEPS_MAX = 12000 }; /* of 5 ms: a minute, should the test die */

static int is_held(void)
{
	const char *path = getenv("FRACTOS_HOLD");
	return path && access(path, F_OK) == 0;
}

static pid_t keep_open(void)
{
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	const struct timespec step = {.tv_nsec = 5000000};
	for (unsigned i = 0; i < STEPS_MAX && is_held(); i++)
		nanosleep(&step, NULL);
	_exit(0);
}

__attribute__((visibility("default"))) int io_uring_submit(struct io_uring *ring)
{
	static int (*submit)(struct io_uring *);
	static pid_t keeper;
	if (!submit)
		*(void **)&submit = dlsym(RTLD_NEXT, "io_uring_submit");
	if (is_held()) {
		if (keeper <= 0)
			keeper = keep_open();
		return 0;
	}
	if (keeper > 0)
		waitpid(keeper, NULL, 0);
	keeper = 0;
	return submit(ring);
}
