/* See volumes.h. */
#include "volumes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 4096, FILE_NAME_MAX = FOS_BLK_NAME_MAX + 8, LOCK_SECONDS = 5 };

__attribute__((format(printf, 3, 4))) static fos_status fail(char *error, fos_status status,
															 const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(error, VOLUMES_ERROR_MAX, format, list);
	va_end(list);
	return status;
}

static fos_status status_of(int code)
{
	switch (code) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return FOS_NO_SPACE;
	case EOPNOTSUPP:
		return FOS_UNSUPPORTED;
	case EWOULDBLOCK:
	case EBUSY:
		return FOS_BUSY;
	case EEXIST:
		return FOS_EXISTS;
	default:
		return FOS_DEVICE;
	}
}

bool volumes_name_valid(const char name[FOS_BLK_NAME_MAX])
{
	size_t len = strnlen(name, FOS_BLK_NAME_MAX);
	return len > 0 && len < FOS_BLK_NAME_MAX && name[0] != '.' && name[0] != '-' &&
		   strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

/* ------------------------------------------------------------------ the table */

/* The index of the first volume whose name is not below `name`. */
static uint32_t position(const struct volumes *volumes, const char *name)
{
	uint32_t low = 0, high = volumes->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (strcmp(volumes->all[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct volume *volumes_find(const struct volumes *volumes, const char *name)
{
	uint32_t at = position(volumes, name);
	bool found = at < volumes->count && !strcmp(volumes->all[at]->name, name);
	return found ? volumes->all[at] : NULL;
}

static struct volume *volume_new(const char *name, uint64_t size, const char *path)
{
	struct volume *volume = calloc(1, sizeof *volume);
	if (!volume)
		return NULL;
	snprintf(volume->name, sizeof volume->name, "%s", name);
	volume->size = size;
	volume->path = path ? strdup(path) : NULL;
	if (path && !volume->path) {
		free(volume);
		return NULL;
	}
	return volume;
}

/* There is room, and no other has the name. */
static void insert(struct volumes *volumes, struct volume *volume)
{
	uint32_t at = position(volumes, volume->name);
	memmove(&volumes->all[at + 1], &volumes->all[at],
			(volumes->count - at) * sizeof volumes->all[0]);
	volumes->all[at] = volume;
	volumes->count++;
	volume->id = ++volumes->last_id;
}

static void volume_free(struct volume *volume)
{
	free(volume->path);
	free(volume);
}

/* ------------------------------------------------------------------ the directory */

static void file_name(char out[FILE_NAME_MAX], const char *name, const char *format)
{
	snprintf(out, FILE_NAME_MAX, format, name);
}

static void on_alarm(int number)
{
}

/* Locks a descriptor, waiting a little for one that is just ending. False: errno is set. */
static bool lock_soon(int fd)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return true;
	/* The kernel has no lock with a time limit; an alarm interrupts the waiting. */
	struct sigaction before;
	const struct sigaction interrupt = {.sa_handler = on_alarm};
	sigaction(SIGALRM, &interrupt, &before);
	alarm(LOCK_SECONDS);
	bool locked = flock(fd, LOCK_EX) == 0;
	alarm(0);
	sigaction(SIGALRM, &before, NULL);
	if (!locked)
		errno = EWOULDBLOCK;
	return locked;
}

/* One entry of the directory at the start: a volume, a remainder, or something else. */
static fos_status take_file(struct volumes *volumes, const char *file, char *error)
{
	size_t len = strlen(file);
	char name[FOS_BLK_NAME_MAX] = "";
	struct stat st;
	if (len > 4 && file[0] == '.' && !strcmp(file + len - 4, ".new")) {
		if (unlinkat(volumes->dir, file, 0) != 0)
			return fail(error, FOS_DEVICE, "cannot remove %s: %s", file, strerror(errno));
		return FOS_OK;
	}
	if (len <= 4 || strcmp(file + len - 4, ".vol") != 0 || len - 4 >= sizeof name)
		return FOS_OK;
	memcpy(name, file, len - 4);
	if (!volumes_name_valid(name))
		return FOS_OK;
	if (fstatat(volumes->dir, file, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return fail(error, FOS_DEVICE, "%s: %s", file, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size % BLOCK != 0)
		return fail(error, FOS_DEVICE, "%s is not a file of a multiple of %d bytes", file, BLOCK);
	if (volumes->count == VOLUMES_MAX)
		return fail(error, FOS_QUOTA, "there are more than %d volumes", VOLUMES_MAX);
	struct volume *volume = volume_new(name, (uint64_t)st.st_size, NULL);
	if (!volume)
		return fail(error, FOS_QUOTA, "out of memory");
	insert(volumes, volume);
	return FOS_OK;
}

static fos_status scan(struct volumes *volumes, char *error)
{
	int fd = openat(volumes->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return fail(error, FOS_DEVICE, "cannot be read: %s", strerror(errno));
	}
	fos_status status = FOS_OK;
	const struct dirent *entry;
	while (status == FOS_OK && (entry = readdir(dir)))
		status = take_file(volumes, entry->d_name, error);
	closedir(dir);
	return status;
}

/* Says at the start, rather than at the first open, that O_DIRECT cannot be had here. */
static fos_status probe_direct(const struct volumes *volumes, char *error)
{
	int fd = openat(volumes->dir, ".probe.new", O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
	int code = errno;
	unlinkat(volumes->dir, ".probe.new", 0);
	if (fd >= 0) {
		close(fd);
		return FOS_OK;
	}
	if (code == EINVAL)
		return fail(error, FOS_UNSUPPORTED,
					"its file system refuses O_DIRECT; --buffered does without");
	return fail(error, status_of(code), "cannot be written: %s", strerror(code));
}

fos_status volumes_open(struct volumes *volumes, const char *path, bool buffered, char *error)
{
	*volumes = (struct volumes){.dir = -1, .buffered = buffered};
	if (!path)
		return FOS_OK;
	char what[VOLUMES_ERROR_MAX / 2] = "";
	fos_status status = FOS_OK;
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return fail(error, FOS_DEVICE, "%s cannot be made: %s", path, strerror(errno));
	volumes->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (volumes->dir < 0)
		return fail(error, FOS_DEVICE, "%s cannot be opened: %s", path, strerror(errno));
	char text[VOLUMES_ERROR_MAX] = "";
	if (!lock_soon(volumes->dir))
		status = fail(text, FOS_BUSY, "another fractos-blk holds it");
	if (status == FOS_OK)
		status = scan(volumes, text);
	if (status == FOS_OK && !buffered)
		status = probe_direct(volumes, text);
	if (status != FOS_OK) {
		snprintf(what, sizeof what, "%s", text);
		volumes_close(volumes);
		return fail(error, status, "%.200s: %s", path, what);
	}
	return FOS_OK;
}

fos_status volumes_add_device(struct volumes *volumes, const char *spec, char *error)
{
	const char *equals = strchr(spec, '=');
	const char *path = equals ? equals + 1 : spec;
	const char *slash = strrchr(path, '/');
	const char *start = equals ? spec : slash ? slash + 1 : path;
	size_t len = equals ? (size_t)(equals - spec) : strlen(start);
	char name[FOS_BLK_NAME_MAX] = "";
	if (len < sizeof name)
		memcpy(name, start, len);
	if (!volumes_name_valid(name))
		return fail(error, FOS_INVALID, "%s: \"%.*s\" is no name of a volume: use NAME=PATH", spec,
					(int)len, start);
	if (volumes_find(volumes, name))
		return fail(error, FOS_EXISTS, "%s: there is a volume %s already", spec, name);
	if (volumes->count == VOLUMES_MAX)
		return fail(error, FOS_QUOTA, "%s: there are %d volumes already", spec, VOLUMES_MAX);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint64_t size = 0;
	bool good = fd >= 0 && fstat(fd, &st) == 0;
	if (good && S_ISBLK(st.st_mode))
		good = ioctl(fd, BLKGETSIZE64, &size) == 0;
	else if (good)
		size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	int code = errno;
	if (fd >= 0)
		close(fd);
	if (!good)
		return fail(error, FOS_DEVICE, "%s: %s", path, strerror(code));
	size &= ~(uint64_t)(BLOCK - 1);
	if (size == 0)
		return fail(error, FOS_INVALID, "%s: not a block device or file of %d bytes or more", path,
					BLOCK);
	struct volume *volume = volume_new(name, size, path);
	if (!volume)
		return fail(error, FOS_QUOTA, "%s: out of memory", spec);
	insert(volumes, volume);
	return FOS_OK;
}

void volumes_close(struct volumes *volumes)
{
	while (volumes->count > 0)
		volume_free(volumes->all[--volumes->count]);
	if (volumes->dir >= 0)
		close(volumes->dir);
	volumes->dir = -1;
}

/* ------------------------------------------------------------------ create, delete, open */

/* Makes a complete file under its temporary name. Returns 0 or an errno. */
static int make_file(const struct volumes *volumes, const char *temporary, uint64_t size)
{
	int fd = openat(volumes->dir, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	/* fallocate and not truncate: a volume that exists has its space. */
	int code = size > INT64_MAX ? EFBIG : 0;
	if (code == 0 && (fallocate(fd, 0, 0, (off_t)size) != 0 || fsync(fd) != 0))
		code = errno;
	close(fd);
	return code;
}

fos_status volumes_create(struct volumes *volumes, const char *name, uint64_t size, char *error)
{
	char file[FILE_NAME_MAX], temporary[FILE_NAME_MAX];
	if (volumes->dir < 0)
		return fail(error, FOS_UNSUPPORTED, "this service has no directory for new volumes");
	if (size == 0 || size > UINT64_MAX - (BLOCK - 1))
		return fail(error, FOS_INVALID, "volume %s: %" PRIu64 " bytes are not possible", name,
					size);
	size = (size + BLOCK - 1) & ~(uint64_t)(BLOCK - 1);
	if (volumes_find(volumes, name))
		return fail(error, FOS_EXISTS, "volume %s exists", name);
	if (volumes->count == VOLUMES_MAX)
		return fail(error, FOS_QUOTA, "there are %d volumes already", VOLUMES_MAX);
	struct volume *volume = volume_new(name, size, NULL);
	if (!volume)
		return fail(error, FOS_QUOTA, "out of memory");
	file_name(file, name, "%s.vol");
	file_name(temporary, name, ".%s.new");
	int code = make_file(volumes, temporary, size);
	if (code == 0 && renameat2(volumes->dir, temporary, volumes->dir, file, RENAME_NOREPLACE) != 0)
		code = errno;
	if (code == 0 && fsync(volumes->dir) != 0) {
		code = errno;
		unlinkat(volumes->dir, file, 0);
	}
	if (code != 0) {
		unlinkat(volumes->dir, temporary, 0);
		volume_free(volume);
		return fail(error, status_of(code), "volume %s of %" PRIu64 " bytes: %s", name, size,
					strerror(code));
	}
	insert(volumes, volume);
	return FOS_OK;
}

fos_status volumes_delete(struct volumes *volumes, struct volume *volume, char *error)
{
	if (volume->path)
		return fail(error, FOS_DENIED, "volume %s is the device %s, which is not deleted",
					volume->name, volume->path);
	char file[FILE_NAME_MAX];
	file_name(file, volume->name, "%s.vol");
	if ((unlinkat(volumes->dir, file, 0) != 0 && errno != ENOENT) || fsync(volumes->dir) != 0)
		return fail(error, FOS_DEVICE, "volume %s cannot be deleted: %s", volume->name,
					strerror(errno));
	uint32_t at = position(volumes, volume->name);
	volumes->count--;
	memmove(&volumes->all[at], &volumes->all[at + 1],
			(volumes->count - at) * sizeof volumes->all[0]);
	volume_free(volume);
	return FOS_OK;
}

fos_status volumes_open_file(const struct volumes *volumes, const struct volume *volume, int *out,
							 char *error)
{
	char file[FILE_NAME_MAX];
	struct stat st;
	int flags = O_RDWR | O_CLOEXEC | (volumes->buffered ? 0 : O_DIRECT);
	file_name(file, volume->name, "%s.vol");
	if (!volume->path)
		flags |= O_NOFOLLOW;
	else if (stat(volume->path, &st) == 0 && S_ISBLK(st.st_mode))
		flags |= O_EXCL; /* refuses a device that is mounted */
	int fd = volume->path ? open(volume->path, flags) : openat(volumes->dir, file, flags);
	if (fd < 0 && errno == EINVAL && !volumes->buffered)
		return fail(error, FOS_UNSUPPORTED,
					"volume %s: its file system refuses O_DIRECT; --buffered does without",
					volume->name);
	if (fd < 0)
		return fail(error, status_of(errno), "volume %s cannot be opened: %s", volume->name,
					strerror(errno));
	if (!lock_soon(fd)) {
		close(fd);
		return fail(error, FOS_BUSY, "volume %s is held by another program", volume->name);
	}
	*out = fd;
	return FOS_OK;
}
