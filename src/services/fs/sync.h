/* Brings the database's log to the disk, and out of the log, on a thread of its own.
 *
 * Serves the front. A commit goes to the kernel at once, so the death of the process loses nothing.
 * What must survive a power failure waits for sync_request() to be done: then the log is on the
 * disk (fdatasync), which takes milliseconds that the serving thread does not have. The same thread
 * moves a long log into the database. See "durability" in docs/services/fs.md.
 */
#ifndef FS_SYNC_H
#define FS_SYNC_H

#include <stdint.h>

struct sync;

/* `fd`: an eventfd that is written whenever something is done; borrowed. NULL: cannot; errno. */
struct sync *sync_start(const char *dir, int fd);
void sync_stop(struct sync *sync);
/* All commits up to this number shall be on the disk. */
void sync_request(struct sync *sync, uint64_t commits);
/* Up to which commit all is on the disk; *error: errno of the last attempt, 0: it went well. */
uint64_t sync_done(struct sync *sync, int *error);

#endif
