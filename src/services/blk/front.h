/* The block service's Requests on volumes and the engine. One channel, one thread.
 *
 * A volume is opened by refining a base Request of this Process: all openers share one, an
 * exclusive opener has its own. Revoking the base ends what was opened with it. What a refinement
 * stands for is bound in the provider's immediates, which nobody else can change.
 */
#ifndef FRACTOS_BLK_FRONT_H
#define FRACTOS_BLK_FRONT_H

#include <fractos/blk.h>

#include "volumes.h"

enum { FRONT_ERROR_MAX = VOLUMES_ERROR_MAX + 64 };

struct front;

/* Opens every volume and makes the Requests. `volumes` is borrowed, `buffers` is in bytes, at least
 * ENGINE_PIECE. On an error a text is in `error` (FRONT_ERROR_MAX bytes), and *out, which may be
 * NULL, must be closed as well. */
FOS_CHECKED fos_status front_open(fos_channel *ch, struct volumes *volumes, size_t buffers,
								  struct front **out, char *error);
/* The root Request. */
fos_cap front_root(const struct front *front);
bool front_registered(const struct front *front);
/* Ends the device's I/O and frees everything. After fos_channel_close(), before fos_detach(). NULL
 * is allowed. */
void front_close(struct front *front);

#endif
