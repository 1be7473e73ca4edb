/* Where the clusters of this user keep compiled GPU kernels: the one thing that outlives them, so
 * that the next one starts at once. Serves the supervisor.
 *
 * OpenCL's compiler leaves files of its own there that nobody needs again. Every supervisor holds
 * the directory with a shared lock; the last one, which gets it alone, sweeps them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "tools.h"

int cache_open(const struct cluster *cluster)
{
	char above[PATH_LEN];

	format(above, sizeof above, "%s", cluster->cache);
	*strrchr(above, '/') = 0;
	/* Code is run from there: nobody else may have put it. */
	if (!make_dir(above, 022) || !make_dir(cluster->cache, 077))
		return -1;
	int fd = open(cluster->cache, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && flock(fd, LOCK_SH) == 0)
		return fd;
	complain("cannot use the directory %s: %s", cluster->cache, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

void cache_close(int fd)
{
	static const char rubbish[] = "tempfile_";
	struct dirent *entry;

	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		close(fd); /* another cluster's compiler may be at work */
		return;
	}
	DIR *dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return;
	}
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, rubbish, sizeof rubbish - 1))
			unlinkat(fd, entry->d_name, 0);
	closedir(dir);
}
