/* Processes that are gone but not free, and the devices by which that is seen.
 *
 *     attached --- end-of-file, exit, or its own fault ---> gone: CORE_PROCESS_GONE
 *     gone --- nothing of it is open in the core ---------> forgotten
 *     gone --- exited (pidfd), all its devices' locks free -> CORE_PROCESS_FREE
 *
 * An adaptor does I/O only on descriptions that it holds locked (flock), and registers each device
 * with a description of another opening. The kernel lets go of the lock when the last reference is
 * gone, requests in flight included: that we can lock it ourselves is the proof that no I/O of the
 * dead Process is left. We try without waiting, soon and then less often. A successor may have the
 * lock before we do: then the kernel's list of locks, where the Process's was seen when it
 * registered, does not have that one any more. A Process that closes its connection but lives on
 * is not free, and keeps its place among the Processes. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "controller/controller.h"

#define FIRST_PATIENCE UINT64_C(1000000)  /* ns until a lock is tried again */
#define LAST_PATIENCE  UINT64_C(50000000) /* it doubles up to this */

/* ------------------------------------------------------------------ devices */

static void *close_it(void *fd)
{
	close((int)(intptr_t)fd);
	return NULL;
}

/* Closing a file of a file system that a user serves waits for that user: not in our thread. */
static void drop(int fd)
{
	pthread_attr_t detached;
	pthread_t thread;
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &detached, close_it, (void *)(intptr_t)fd) != 0)
		close(fd);
	pthread_attr_destroy(&detached);
}

/* -1: unknown. */
static int mount_of(int fd)
{
	char path[40], line[256];
	int id = -1;
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	FILE *file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		if (sscanf(line, "mnt_id: %d", &id) == 1)
			break;
	if (file != NULL)
		fclose(file);
	return id;
}

/* Whether the kernel itself serves the file, so that a call on it does not wait for anybody. Asked
 * of /proc, since even fstat() would ask the file's server. Mounts that we do not see are not. */
static bool is_local(int fd)
{
	int id = mount_of(fd), found;
	char *line = NULL;
	size_t room = 0;
	bool local = false;
	FILE *file = id >= 0 ? fopen("/proc/self/mountinfo", "re") : NULL;
	while (file != NULL && getline(&line, &room, file) > 0) {
		const char *type = strstr(line, " - ");
		if (sscanf(line, "%d", &found) != 1 || found != id || type == NULL)
			continue;
		type += strlen(" - ");
		local = strncmp(type, "fuse", 4) != 0 && strncmp(type, "nfs", 3) != 0 &&
				strncmp(type, "9p", 2) != 0 && strncmp(type, "cifs", 4) != 0 &&
				strncmp(type, "ceph", 4) != 0;
		break;
	}
	free(line);
	if (file != NULL)
		fclose(file);
	return local;
}

/* Whether /proc/locks has a lock of this file that the process took; unreadable: it has. */
static bool is_listed(pid_t pid, int fd)
{
	struct stat stat;
	char line[128];
	FILE *file = fstat(fd, &stat) == 0 ? fopen("/proc/locks", "re") : NULL;
	bool found = file == NULL;
	while (!found && fgets(line, sizeof line, file) != NULL) {
		int holder;
		unsigned maj, min;
		unsigned long inode;
		found = sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%lu", &holder, &maj, &min, &inode) == 4 &&
				holder == pid && maj == major(stat.st_dev) && min == minor(stat.st_dev) &&
				inode == stat.st_ino;
	}
	if (file != NULL)
		fclose(file);
	return found;
}

fos_status device_add(struct process *p, int fd)
{
	if (!is_local(fd)) {
		drop(fd);
		return FOS_DEVICE;
	}
	fos_status status = FOS_OK;
	if (p->device_count == FOS_DEVICES_MAX) {
		status = FOS_QUOTA;
	} else if (flock(fd, LOCK_SH | LOCK_NB) == 0) {
		/* Nobody holds it, or the sender by the very description that it sent. */
		flock(fd, LOCK_UN);
		status = FOS_INVALID;
	} else if (errno != EWOULDBLOCK) {
		status = FOS_INVALID;
	}
	if (status == FOS_OK)
		p->devices[p->device_count++] =
			(struct device){.fd = fd, .listed = p->pid > 0 && is_listed(p->pid, fd)};
	else
		close(fd);
	return status;
}

void devices_close(struct process *p)
{
	while (p->device_count > 0)
		close(p->devices[--p->device_count].fd);
}

/* ------------------------------------------------------------------ until it is free */

void leaving_add(struct controller *c, struct process *p)
{
	p->leaving = true;
	p->next_try = c->now;
	p->patience = FIRST_PATIENCE;
	list_push(&c->leaving, &p->in_list);
	c->leaving_count++;
	log_line(&c->log, "process %u \"%s\" left deliveries unfinished: waiting for its exit%s",
			 p->serial, p->label, p->device_count > 0 ? " and for its devices" : "");
}

static void forget(struct controller *c, struct process *p)
{
	list_remove(&p->in_list);
	c->leaving_count--;
	source_close(c, &p->exit);
	devices_close(p);
	free(p);
}

/* Takes the lock and lets it go by closing: whoever comes next may have it. */
static bool is_free(const struct process *p, const struct device *device)
{
	return flock(device->fd, LOCK_EX | LOCK_NB) == 0 ||
		   (device->listed && !is_listed(p->pid, device->fd));
}

static bool devices_are_free(struct controller *c, struct process *p)
{
	for (uint32_t i = p->device_count; i > 0; i--) {
		if (!is_free(p, &p->devices[i - 1]))
			continue;
		close(p->devices[i - 1].fd);
		p->devices[i - 1] = p->devices[--p->device_count];
	}
	p->next_try = c->now + p->patience;
	p->patience = BASE_MIN(2 * p->patience, LAST_PATIENCE);
	return p->device_count == 0;
}

void leaving_run(struct controller *c)
{
	for (struct list *at = c->leaving.next, *next; at != &c->leaving; at = next) {
		struct process *p = BASE_CONTAINER(at, struct process, in_list);
		next = at->next;
		if (!p->exited)
			continue;
		/* Said once; its descriptor would go on telling. */
		source_close(c, &p->exit);
		if (c->now < p->next_try || !devices_are_free(c, p))
			continue;
		log_line(&c->log, "process %u \"%s\" is free", p->serial, p->label);
		controller_step(c, &(struct core_event){.type = CORE_PROCESS_FREE, .process = p->serial});
		forget(c, p);
	}
}

uint64_t leaving_deadline(const struct controller *c)
{
	uint64_t first = UINT64_MAX;
	for (const struct list *at = c->leaving.next; at != &c->leaving; at = at->next) {
		const struct process *p = BASE_CONTAINER(at, struct process, in_list);
		if (p->exited)
			first = BASE_MIN(first, p->next_try);
	}
	return first;
}

void leaving_close(struct controller *c)
{
	struct process *p;
	while ((p = LIST_FIRST(&c->leaving, struct process, in_list)) != NULL)
		forget(c, p);
}
