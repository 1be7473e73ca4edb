/* For the tests of blk and fs, loaded into fractos-blk before its libraries: while the file that
 * $FRACTOS_HOLD names is there, nothing is submitted to the device. A fork keeps what the service
 * has open meanwhile, so that also when the service is killed its locks say that its I/O goes on:
 * as they do when a real device takes long. From then on there is a byte in the file: whoever wants
 * that something is at the device waits for it.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STEPS_MAX = 12000 }; /* of 5 ms: a minute, should the test die */

/* Of the file itself, not of its name, which the next hold has too. */
static bool is_there(int file)
{
	struct stat status;
	return fstat(file, &status) == 0 && status.st_nlink > 0;
}

static pid_t keep_open(int file)
{
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	const struct timespec step = {.tv_nsec = 5000000};
	for (unsigned i = 0; i < STEPS_MAX && is_there(file); i++)
		nanosleep(&step, NULL);
	_exit(0);
}

__attribute__((visibility("default"))) int io_uring_submit(struct io_uring *ring)
{
	static int (*submit)(struct io_uring *);
	static int file = -1; /* of the hold */
	static pid_t keeper;
	const char *path = getenv("FRACTOS_HOLD");
	if (!submit)
		*(void **)&submit = dlsym(RTLD_NEXT, "io_uring_submit");
	if (file >= 0) {
		if (is_there(file))
			return 0;
		waitpid(keeper, NULL, 0);
		close(file);
	}
	file = path ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
	if (file < 0)
		return submit(ring);
	keeper = keep_open(file);
	if (keeper < 0 || write(file, "h", 1) != 1)
		abort();
	return 0;
}
