/* A fuse in libfractos, for tests/crashes.py: the library as it is, but a Process can be killed at
 * its n-th system call. Linked from the library's own objects with --wrap=ring_publish, through
 * which every call goes; the library that is installed knows nothing of this.
 *
 * $FRACTOS_FUSE names a file, `struct fuse`, that the test shares with all programs of a cluster.
 * It arms it by writing a program's name and a number; the program that makes the number zero dies.
 * So a program that is started again lives, and the cluster need not be started anew. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wire/ring.h"

struct fuse {
	char program[32];
	_Atomic int64_t left;   /* calls until it burns; 0 or less: it does not, or has */
	_Atomic uint64_t calls; /* of that program since it was armed */
	uint32_t before;        /* 1: before the Controller can see the call, 0: after */
};
static struct fuse *fuse;

bool __real_ring_publish(struct ring *ring);
bool __wrap_ring_publish(struct ring *ring);

__attribute__((constructor)) static void find_fuse(void)
{
	const char *path = getenv("FRACTOS_FUSE");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	void *at = mmap(NULL, sizeof *fuse, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	fuse = at == MAP_FAILED ? NULL : at;
	close(fd);
}

bool __wrap_ring_publish(struct ring *ring)
{
	if (fuse == NULL || strcmp(program_invocation_short_name, fuse->program) != 0)
		return __real_ring_publish(ring);
	atomic_fetch_add(&fuse->calls, 1);
	bool burns = atomic_fetch_sub(&fuse->left, 1) == 1;
	if (burns && fuse->before)
		kill(getpid(), SIGKILL);
	bool bell = __real_ring_publish(ring);
	if (burns)
		kill(getpid(), SIGKILL);
	return bell;
}
