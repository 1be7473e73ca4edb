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
 * is not free, and keeps its place among the Processes.
 *
 * All of that is looked at aside. What a descriptor is, and what the list says as it comes, in the
 * lane of its Process: nobody knows how long the answer takes. Whether it is free, in one lane for
 * all: that is asked of files which the kernel itself serves, and of the list, once for each
 * Process and pause; what takes long is asked less often. */
#include <errno.h>
#include <fcntl.h>
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

/* A pause is at least so many times what the look before it took. */
enum { PAUSE_FACTOR = 8 };

/* ------------------------------------------------------------------ devices */

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

/* File systems that are the kernel's alone: no call on their files waits for a server, and a lock
 * is this machine's. `type` is followed by a space. */
static bool is_of_the_kernel(const char *type)
{
	static const char *const known[] = {
		"ext2 ",  "ext3 ",  "ext4 ",  "xfs ",    "btrfs ",   "f2fs ",     "bcachefs ",
		"zfs ",   "jfs ",   "vfat ",  "exfat ",  "ntfs3 ",   "nilfs2 ",   "squashfs ",
		"erofs ", "tmpfs ", "ramfs ", "rootfs ", "overlay ", "devtmpfs ",
	};
	for (size_t i = 0; i < BASE_COUNT(known); i++)
		if (strncmp(type, known[i], strlen(known[i])) == 0)
			return true;
	return false;
}

/* Asked of /proc, since even fstat() would ask the file's server. Mounts that we do not see, and
 * sockets, are not. */
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
		local = is_of_the_kernel(type + strlen(" - "));
		break;
	}
	free(line);
	if (file != NULL)
		fclose(file);
	return local;
}

/* Whether /proc/locks has a lock of this file that the process took; unreadable: it has. */
static bool is_listed(pid_t pid, const struct device *device)
{
	char line[128], room[4096]; /* a page is what the kernel gives at a time */
	FILE *file = fopen("/proc/locks", "re");
	bool found = file == NULL;
	if (file != NULL)
		setvbuf(file, room, _IOFBF, sizeof room);
	while (!found && fgets(line, sizeof line, file) != NULL) {
		int holder;
		unsigned maj, min;
		unsigned long inode;
		found = sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%lu", &holder, &maj, &min, &inode) == 4 &&
				holder == pid && maj == major(device->dev) && min == minor(device->dev) &&
				inode == device->ino;
	}
	if (file != NULL)
		fclose(file);
	return found;
}

/* Of a file of the kernel's. */
static fos_status examine(struct device *device, pid_t pid)
{
	struct stat stat;
	if (flock(device->fd, LOCK_SH | LOCK_NB) == 0) {
		/* Nobody holds it, or the sender by the very description that it sent. */
		flock(device->fd, LOCK_UN);
		return FOS_INVALID;
	}
	if (errno != EWOULDBLOCK || fstat(device->fd, &stat) != 0)
		return FOS_INVALID;
	device->dev = stat.st_dev;
	device->ino = stat.st_ino;
	device->listed = pid > 0 && is_listed(pid, device);
	return FOS_OK;
}

static void registering(struct aside_job *job)
{
	struct registering *r = BASE_CONTAINER(job, struct registering, job);
	if (!is_local(r->device.fd))
		r->status = FOS_DEVICE;
	else
		r->status = r->full ? FOS_QUOTA : examine(&r->device, r->pid);
	if (r->status != FOS_OK)
		close(r->device.fd);
}

static void on_registered(struct controller *c, struct aside_job *job)
{
	struct process *p = BASE_CONTAINER(job, struct process, registering.job);
	struct registering *r = &p->registering;
	r->under_way = false;
	if (r->status == FOS_OK)
		p->devices[p->device_count++] = r->device;
	if (p->state == PROCESS_HERE && !p->ending)
		attach_registered(c, p, r->status);
	process_settle(c, p);
}

void device_register(struct process *p, int fd)
{
	p->pending++;
	p->registering = (struct registering){
		.job = {.work = registering, .done = on_registered},
		.under_way = true,
		.full = p->device_count == FOS_DEVICES_MAX,
		.pid = p->pid,
		.device = {.fd = fd},
	};
	aside_put(&p->lane, &p->registering.job);
}

/* ------------------------------------------------------------------ until it is free */

void leaving_add(struct controller *c, struct process *p)
{
	p->state = PROCESS_LEAVING;
	p->next_look = c->now;
	p->patience = FIRST_PATIENCE;
	list_push(&c->leaving, &p->in_list);
	log_line(&c->log, "process %u \"%s\" left deliveries unfinished: waiting for its exit%s",
			 p->serial, p->label, p->device_count > 0 ? " and for its devices" : "");
}

/* Takes the lock and lets it go at once: whoever comes next may have it. */
static bool is_free(const struct process *p, const struct device *device)
{
	if (flock(device->fd, LOCK_EX | LOCK_NB) != 0)
		return device->listed && !is_listed(p->pid, device);
	flock(device->fd, LOCK_UN);
	return true;
}

static void look(struct aside_job *job)
{
	struct process *p = BASE_CONTAINER(job, struct process, look);
	const uint64_t begin = base_clock();
	for (uint32_t i = 0; i < p->device_count; i++)
		p->devices[i].free = p->devices[i].free || is_free(p, &p->devices[i]);
	const uint64_t end = base_clock();
	p->next_look = end + BASE_MAX(p->patience, PAUSE_FACTOR * (end - begin));
	p->patience = BASE_MIN(2 * p->patience, LAST_PATIENCE);
}

static bool devices_are_free(const struct process *p)
{
	for (uint32_t i = 0; i < p->device_count; i++)
		if (!p->devices[i].free)
			return false;
	return true;
}

static void leave(struct controller *c, struct process *p)
{
	log_line(&c->log, "process %u \"%s\" is free", p->serial, p->label);
	controller_step(c, &(struct core_event){.type = CORE_PROCESS_FREE, .process = p->serial});
	process_clear(c, p);
}

static void on_looked(struct controller *c, struct aside_job *job)
{
	struct process *p = BASE_CONTAINER(job, struct process, look);
	p->looking = false;
	if (p->state == PROCESS_LEAVING && devices_are_free(p))
		leave(c, p);
	process_settle(c, p);
}

static bool is_to_be_looked_at(const struct process *p)
{
	return p->exited && !p->looking && !p->registering.under_way;
}

void leaving_run(struct controller *c)
{
	for (struct list *at = c->leaving.next, *next; at != &c->leaving; at = next) {
		struct process *p = BASE_CONTAINER(at, struct process, in_list);
		next = at->next;
		if (p->exited) /* said once; its descriptor would go on telling */
			source_close(c, &p->exit);
		if (!is_to_be_looked_at(p) || c->now < p->next_look)
			continue;
		if (p->device_count == 0) {
			leave(c, p);
			continue;
		}
		p->looking = true;
		p->pending++;
		p->look = (struct aside_job){.work = look, .done = on_looked};
		aside_put(&c->looks, &p->look);
	}
	if (aside_deadline(&c->aside) <= c->now)
		aside_run(c, &c->aside, c->now);
}

uint64_t leaving_deadline(const struct controller *c)
{
	uint64_t first = aside_deadline(&c->aside);
	for (const struct list *at = c->leaving.next; at != &c->leaving; at = at->next) {
		const struct process *p = BASE_CONTAINER(at, struct process, in_list);
		if (is_to_be_looked_at(p))
			first = BASE_MIN(first, p->next_look);
	}
	return first;
}
