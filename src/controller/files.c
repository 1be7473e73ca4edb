/* The lock and the socket of a node. The lock is a flock, so that it ends with the daemon however
 * that ends; its file holds the daemon's pid for people. */
#include "controller/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base.h"

enum { LISTEN_BACKLOG = 64 };

/* Makes the missing directories above path, remembering how many. */
static bool make_parents(struct files *files, const char *path, char *error)
{
	struct files_made *made = &files->made[files->made_count];
	BASE_ASSERT(files->made_count < BASE_COUNT(files->made));
	snprintf(made->path, sizeof made->path, "%s", path);
	made->count = 0;
	files->made_count++;
	for (char *slash = strchr(made->path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		int result = mkdir(made->path, 0755);
		int why = errno;
		if (result == 0)
			made->count++;
		else if (why != EEXIST)
			snprintf(error, CONFIG_ERROR_MAX, "directory %s: %s", made->path, strerror(why));
		*slash = '/';
		if (result != 0 && why != EEXIST)
			return false;
	}
	return true;
}

static void remove_parents(struct files_made *made)
{
	for (; made->count > 0; made->count--) {
		*strrchr(made->path, '/') = 0;
		if (rmdir(made->path) != 0)
			return;
	}
}

/* Whether fd is still what the path names: its holder may have removed it meanwhile. */
static bool is_current(int fd, const char *path)
{
	struct stat held, named;
	return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino &&
		   held.st_dev == named.st_dev;
}

static void tell_holder(int fd, const char *node, char *error)
{
	char pid[16] = "";
	ssize_t length = pread(fd, pid, sizeof pid - 1, 0);
	pid[length > 0 ? strspn(pid, "0123456789") : 0] = 0;
	snprintf(error, CONFIG_ERROR_MAX, "node \"%s\" is already running (pid %s)", node,
			 pid[0] != 0 ? pid : "not yet written");
}

static bool take_lock(struct files *files, char *error)
{
	char path[sizeof files->node->socket + 8];
	snprintf(path, sizeof path, "%s.lock", files->node->socket);
	for (;;) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (fd < 0) {
			snprintf(error, CONFIG_ERROR_MAX, "lock %s: %s", path, strerror(errno));
			return false;
		}
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			if (errno == EWOULDBLOCK)
				tell_holder(fd, files->node->name, error);
			else
				snprintf(error, CONFIG_ERROR_MAX, "lock %s: %s", path, strerror(errno));
			close(fd);
			return false;
		}
		if (is_current(fd, path)) {
			files->lock = fd;
			break;
		}
		close(fd);
	}
	if (ftruncate(files->lock, 0) == 0 && dprintf(files->lock, "%d\n", (int)getpid()) > 0)
		return true;
	snprintf(error, CONFIG_ERROR_MAX, "lock %s: %s", path, strerror(errno));
	return false;
}

/* Only users of the list may attach, which their credentials prove; where that is nobody else, the
 * socket's mode says so too. */
static mode_t socket_mode(const struct config_node *node)
{
	for (uint32_t i = 0; i < node->uid_count; i++)
		if (node->uids[i] != 0 && node->uids[i] != geteuid())
			return 0666;
	return 0600;
}

static bool listen_at(struct files *files, char *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = files->node->socket;
	memcpy(address.sun_path, path, strlen(path) + 1);
	struct stat status;
	if (lstat(path, &status) == 0 && !S_ISSOCK(status.st_mode)) {
		snprintf(error, CONFIG_ERROR_MAX, "%s is there and not a socket", path);
		return false;
	}
	unlink(path); /* we hold the lock: nobody serves there */
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0) {
		files->listener = fd;
		if (chmod(path, socket_mode(files->node)) == 0 && listen(fd, LISTEN_BACKLOG) == 0)
			return true;
	} else if (fd >= 0) {
		int why = errno;
		close(fd);
		errno = why;
	}
	snprintf(error, CONFIG_ERROR_MAX, "socket %s: %s", path, strerror(errno));
	return false;
}

bool files_open(struct files *files, const struct config_node *node, char *error)
{
	*files = (struct files){.node = node, .lock = -1, .listener = -1};
	if (make_parents(files, node->socket, error) && make_parents(files, node->recorder, error) &&
		take_lock(files, error) && listen_at(files, error))
		return true;
	files_close(files);
	return false;
}

void files_close(struct files *files)
{
	if (files->listener >= 0) {
		unlink(files->node->socket);
		close(files->listener);
	}
	if (files->lock >= 0) {
		char path[sizeof files->node->socket + 8];
		snprintf(path, sizeof path, "%s.lock", files->node->socket);
		unlink(path);
		close(files->lock);
	}
	while (files->made_count > 0)
		remove_parents(&files->made[--files->made_count]);
	files->lock = files->listener = -1;
}
