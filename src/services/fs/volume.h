/* The fs service's volume on the block service: opened, watched, and opened again.
 *
 * Opening blocks (names are looked up, Requests answered), so a helper thread does it on a channel
 * of its own. The serving thread learns of the end by an eventfd. A monitor on the volume's
 * Requests says that the service or its node died, cannot be reached, or gave the volume to
 * another, and then the helper is set to work again. The first opening takes the volume from
 * whoever had it, later ones do not: a file system that lost its volume to a successor stays
 * without one.
 *
 *     volume_start -> OPENING -> UP -- watch ends, node unreachable, STALE --> OPENING ...
 *                        '-> REFUSED (another's volume, wrong size): asked again when needed
 */
#ifndef FS_VOLUME_H
#define FS_VOLUME_H

#include <stdbool.h>
#include <stdint.h>

#include <fractos/blk.h>

#include "meta.h"

struct volume;

enum { VOLUME_TEXT_MAX = 256 };

struct volume_options {
	const char *service; /* name of the block service in the registry */
	const char *name;
	uint64_t size; /* made with this size if it does not exist and `create` */
	bool create;
};

/* Blocks up to `time` ns for the block service. `back`: the channel on which the watch's end
 * arrives. *text says what is wrong. */
fos_status volume_start(fos_process *process, fos_channel *back,
						const struct volume_options *options, uint64_t time, struct volume **out,
						char *text);
/* Checks or writes label and zeros, once, before files are served. Blocks. */
fos_status volume_format(struct volume *volume, struct meta *meta, char *text);
/* Ends the helper; before `back` is closed. */
void volume_stop(struct volume *volume);
void volume_free(struct volume *volume);

/* changed() is called on the serving thread when the volume went down or came up. */
void volume_on_change(struct volume *volume, void (*changed)(void *arg), void *arg);
/* To be called when volume_fd() is readable. */
int volume_fd(const struct volume *volume);
void volume_look(struct volume *volume);

/* The volume's Requests; NULL while it is not open. */
const fos_blk_volume *volume_get(const struct volume *volume);
/* Rises by one with each opening. When the volume is open, nothing that was begun through an
 * earlier opening is under way any more. */
uint64_t volume_generation(const struct volume *volume);
uint64_t volume_size(const struct volume *volume);
/* Why it is not open, and since when that is known (ns of CLOCK_MONOTONIC). */
const char *volume_text(const struct volume *volume);
uint64_t volume_down_since(const struct volume *volume);
/* Something says that the Requests are dead: the volume is down and opened again. */
void volume_suspect(struct volume *volume, const char *why);

/* Somebody waits for a volume that is not open: another attempt, where none is under way. */
void volume_need(struct volume *volume);

#endif
