/* Direct users: clients who read and write a file's blocks at the block service, without fs.
 *
 * Serves ops.c. A direct user holds revocable refinements of the volume's window Requests with
 * extents of one file bound, all of them written before. fs takes them back by a drain: when the
 * user closes or dies, when its time is over, before the file is cut. Blocks that the file loses
 * otherwise (unlinked, replaced) stay the user's until then, and in limbo.
 *
 *     OPEN_DIRECT --> MAKING --> OPEN --> ENDING: revoked --> drained: gone
 *
 * When the volume is lost, so is what was lent of it; all is gone when it is open again (blk.h).
 */
#ifndef FS_DIRECT_H
#define FS_DIRECT_H

#include <stdint.h>
#include <sys/queue.h>
#include <time.h>

#include <fractos/fractos.h>

#include "alloc.h"

struct service;
struct op;
struct direct;

struct directs { /* zeroed but for the timer: empty */
	LIST_HEAD(, direct) users;
	uint32_t count;
	uint64_t last_id;
	int timer; /* timerfd; readable: direct_tick() */
};

/* For the timer: the first moment after `end`, ns. */
static inline struct timespec direct_after(uint64_t end)
{
	const uint64_t second = 1000000000;
	return (struct timespec){.tv_sec = (time_t)((end + 1) / second),
							 .tv_nsec = (long)((end + 1) % second)};
}
/* Lends what the operation asks for, and answers it. The volume is open, and the file is the
 * operation's. */
void direct_open(struct service *s, struct op *op);
/* The Request that an OPEN_DIRECT answers with, to close it. */
fos_handled direct_closed(fos_channel *ch, const fos_delivery *delivery, void *service);
/* Takes back what is lent of a file. True: nothing is any more; false: ops_direct_over() follows.
 */
bool direct_take_back(struct service *s, uint64_t file);
/* Whether somebody may still use blocks of the run. */
bool direct_uses(struct run run, void *service);
/* Ends those whose time is over, and asks again for those who did not end. */
void direct_tick(struct service *s);
/* Whether direct_tick() must be called soon, whatever the timer says. */
bool direct_busy(const struct service *s);
void direct_volume_changed(struct service *s);
void direct_count(const struct service *s, uint64_t *open, uint64_t *ending);
void direct_clear(struct service *s);

#endif
