/* Baseline: a file of this node by io_uring alone, with O_DIRECT and everything registered, without
 * anything of FractOS. Waits asleep in the kernel, looking and yielding the core, or spinning. */
#include "raw_disk.h"

#include <errno.h>
#include <liburing.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "bench.h"

struct raw_disk {
	struct io_uring ring;
	enum raw_waiting waiting;
	struct load *load; /* whose operations these are */
};

static bool failed(const char *what, int error)
{
	return bench_fails("local disk: %s: %s", what, strerror(error));
}

/* The kernel does what it has to when we go into it anyway, to sleep or to yield; where we only
 * look at the ring it has to interrupt us. */
static bool open_ring(struct raw_disk *disk)
{
	static const unsigned flags[RAW_WAITINGS] = {
		[RAW_SLEEPING] = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		[RAW_YIELDING] = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG};
	struct io_uring_params params = {.flags = flags[disk->waiting]};
	int error = io_uring_queue_init_params(LOAD_DEPTH_MAX, &disk->ring, &params);
	if (error == -EINVAL)
		error = io_uring_queue_init(LOAD_DEPTH_MAX, &disk->ring, 0);
	return error == 0 || failed("io_uring", -error);
}

struct raw_disk *raw_disk_open(int fd, uint8_t *buffers, uint64_t size, enum raw_waiting waiting)
{
	struct raw_disk *disk = calloc(1, sizeof *disk);
	const struct iovec all = {.iov_base = buffers, .iov_len = size};

	if (!disk)
		return NULL;
	disk->waiting = waiting;
	if (!open_ring(disk)) {
		free(disk);
		return NULL;
	}
	int error = io_uring_register_files(&disk->ring, &fd, 1);
	if (error == 0)
		error = io_uring_register_buffers(&disk->ring, &all, 1);
	if (error == 0)
		return disk;
	failed("registration", -error);
	raw_disk_close(disk);
	return NULL;
}

static bool start(void *arg, const struct load_io *io)
{
	struct raw_disk *disk = arg;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&disk->ring);

	if (!sqe)
		return failed("queue", EBUSY);
	if (io->write)
		io_uring_prep_write_fixed(sqe, 0, io->bytes, io->length, io->offset, 0);
	else
		io_uring_prep_read_fixed(sqe, 0, io->bytes, io->length, io->offset, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data64(sqe, io->slot | (uint64_t)io->length << 32);
	return true;
}

static unsigned take(struct raw_disk *disk)
{
	struct io_uring_cqe *cqe;
	unsigned count = 0;

	while (io_uring_peek_cqe(&disk->ring, &cqe) == 0) {
		const uint64_t data = io_uring_cqe_get_data64(cqe);
		const int result = cqe->res;
		io_uring_cqe_seen(&disk->ring, cqe);
		const bool ok = result == (int)(data >> 32);
		if (!ok)
			failed("operation", result < 0 ? -result : EIO);
		load_ended(disk->load, (unsigned)(data & UINT32_MAX), ok);
		count++;
	}
	return count;
}

static bool wait(void *arg)
{
	struct raw_disk *disk = arg;
	const bool sleeps = disk->waiting == RAW_SLEEPING;
	const int error = io_uring_submit_and_wait(&disk->ring, sleeps ? 1 : 0);

	if (error < 0 && error != -EINTR)
		return failed("submit", -error);
	while (take(disk) == 0 && !sleeps)
		if (disk->waiting == RAW_YIELDING)
			sched_yield();
	return true;
}

struct load_way raw_disk_way(struct raw_disk *disk, struct load *load)
{
	disk->load = load;
	return (struct load_way){start, wait, disk};
}

void raw_disk_close(struct raw_disk *disk)
{
	if (disk)
		io_uring_queue_exit(&disk->ring);
	free(disk);
}
