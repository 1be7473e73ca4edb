/* Opening and watching the volume. See volume.h. */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <fractos/registry.h>

#include "volume.h"

#define SECOND    UINT64_C(1000000000)
#define LOOK_TIME (SECOND / 2)  /* between looks whether to stop */
#define LINK_TIME (SECOND / 50) /* between looks whether a link is up */

enum { LABEL_VERSION = 1 };
static const char label_magic[8] = "FOSFS\n\r\0";

struct label { /* the start of block 0 */
	char magic[8];
	uint32_t version;
	uint32_t zero;
	uint64_t size;
	uint8_t id[META_ID_BYTES];
	uint64_t mounts; /* how many processes have begun to use it */
};

struct opened { /* what one opening gave */
	fos_status status;
	fos_cap root;
	fos_blk_volume volume;
	char text[VOLUME_TEXT_MAX];
};

struct watch { /* a monitor of the volume's Requests */
	struct volume *volume;
	uint64_t generation;
};

struct volume {
	fos_process *process;
	fos_channel *back;
	struct volume_options options;
	int fd;
	void (*changed)(void *arg);
	void *changed_arg;
	/* The serving thread's. */
	bool up, opening;
	struct opened now;
	struct opened last;      /* its capabilities are still open: see volume_suspect() */
	uint64_t generation;     /* rises by one with each opening */
	uint64_t down_since;     /* ns: the end */
	struct watch watches[2]; /* of this generation and of the one before */
	/* The helper's. */
	fos_channel *channel;
	void *block; /* FS_BLOCK bytes of arena, */
	fos_cap block_memory;
	uint8_t id[META_ID_BYTES];
	uint64_t mounts;
	bool id_known;
	pthread_t thread;
	bool thread_runs;
	/* Both's. */
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool wanted, ready, stopping;
	struct opened fresh;
};

static uint64_t clock_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static fos_status say(char *text, fos_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static fos_status say(char *text, fos_status status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(text, VOLUME_TEXT_MAX, format, args);
	va_end(args);
	return status;
}

/* ------------------------------------------------------------------ the helper's side */

static bool stopping(struct volume *volume)
{
	pthread_mutex_lock(&volume->mutex);
	bool stop = volume->stopping;
	pthread_mutex_unlock(&volume->mutex);
	return stop || fos_lost(volume->back);
}

/* The block service's root Request. Waits for it until `end`, or until told to stop. */
static fos_status look_up(struct volume *volume, uint64_t end, struct opened *out)
{
	fos_status status;
	const char *service = volume->options.service;
	do {
		status = fos_registry_wait(volume->channel, service, LOOK_TIME, &out->root);
	} while (status != FOS_OK && status != FOS_DENIED && status != FOS_INVALID &&
			 clock_now() < end && !stopping(volume));
	if (status != FOS_OK)
		return say(out->text, status, "the block service \"%s\" is not there: %s", service,
				   fos_status_text(status));
	return FOS_OK;
}

/* Another may have it by now: his end is waited for, he does not lose it. */
static fos_status open_again(struct volume *volume, uint64_t end, struct opened *out)
{
	const unsigned flags = FOS_BLK_READ | FOS_BLK_WRITE | FOS_BLK_EXCLUSIVE | FOS_BLK_UNLESS_HELD;
	fos_status status;
	do {
		status = fos_blk_open_wait(volume->channel, out->root, volume->options.name, flags,
								   LOOK_TIME, &out->volume);
	} while (status == FOS_TIMED_OUT && clock_now() < end && !stopping(volume));
	return status;
}

static fos_status open_first(struct volume *volume, struct opened *out)
{
	const struct volume_options *options = &volume->options;
	const unsigned flags = FOS_BLK_READ | FOS_BLK_WRITE | FOS_BLK_EXCLUSIVE;
	fos_status status =
		fos_blk_open(volume->channel, out->root, options->name, flags, &out->volume);
	if (status == FOS_NOT_FOUND && options->create) {
		status = fos_blk_create(volume->channel, out->root, options->name, options->size);
		if (status == FOS_OK || status == FOS_EXISTS)
			status = fos_blk_open(volume->channel, out->root, options->name, flags, &out->volume);
	}
	return status;
}

static void close_caps(fos_channel *ch, const struct opened *opened)
{
	const fos_blk_volume *blk = &opened->volume;
	const fos_cap caps[] = {opened->root, blk->read,        blk->write,
							blk->flush,   blk->read_window, blk->write_window};
	for (unsigned i = 0; i < sizeof caps / sizeof caps[0]; i++) {
		if (caps[i] != FOS_CAP_NONE)
			(void)!fos_cap_close_async(ch, caps[i], NULL, NULL);
	}
}

/* The volume must still be the one that the metadata belongs to. */
static fos_status check_label(struct volume *volume, struct opened *out)
{
	fos_status status =
		fos_blk_read(volume->channel, &out->volume, 0, FS_BLOCK, volume->block_memory);
	if (status != FOS_OK)
		return say(out->text, status, "cannot read volume %s: %s", volume->options.name,
				   fos_status_text(status));
	const struct label *label = volume->block;
	if (memcmp(label->magic, label_magic, sizeof label_magic) != 0 ||
		memcmp(label->id, volume->id, META_ID_BYTES) != 0)
		return say(out->text, FOS_INVALID, "volume %s is not the one that the metadata belongs to",
				   volume->options.name);
	if (label->mounts != volume->mounts)
		return say(out->text, FOS_INVALID, "another process has used volume %s since",
				   volume->options.name);
	return FOS_OK;
}

/* One opening, whole: *out is all zero but for status and text where it failed. */
static void open_volume(struct volume *volume, uint64_t end, struct opened *out)
{
	*out = (struct opened){0};
	fos_status status = look_up(volume, end, out);
	if (status == FOS_OK) {
		status = volume->id_known ? open_again(volume, end, out) : open_first(volume, out);
		if (status != FOS_OK)
			say(out->text, status, "cannot open volume %s: %s", volume->options.name,
				fos_status_text(status));
	}
	if (status == FOS_OK && volume->id_known)
		status = check_label(volume, out);
	if (status != FOS_OK)
		close_caps(volume->channel, out);
	if (status != FOS_OK) {
		out->root = FOS_CAP_NONE;
		out->volume = (fos_blk_volume){0};
	}
	out->status = status;
}

static void *helper(void *arg)
{
	struct volume *volume = arg;
	const uint64_t one = 1;
	pthread_mutex_lock(&volume->mutex);
	while (!volume->stopping) {
		if (!volume->wanted) {
			pthread_cond_wait(&volume->wake, &volume->mutex);
			continue;
		}
		volume->wanted = false;
		pthread_mutex_unlock(&volume->mutex);
		struct opened opened;
		open_volume(volume, UINT64_MAX, &opened);
		pthread_mutex_lock(&volume->mutex);
		volume->fresh = opened;
		volume->ready = true;
		(void)!write(volume->fd, &one, sizeof one);
	}
	pthread_mutex_unlock(&volume->mutex);
	return NULL;
}

/* ------------------------------------------------------------------ the serving thread's side */

static void watch_ended(fos_channel *ch, const fos_result *result, void *arg)
{
	static const char *const words[] = {
		"there is no monitor for it", "another has it now, or it was deleted",
		"that service died",          "its node died",
		"its node cannot be reached", ""};
	struct watch *watch = arg;
	struct volume *volume = watch->volume;
	if (result->status == FOS_CANCELLED || watch->generation != volume->generation || !volume->up)
		return;
	char why[VOLUME_TEXT_MAX];
	snprintf(why, sizeof why, "volume %s of \"%s\" is lost: %s", volume->options.name,
			 volume->options.service, words[result->gone]);
	volume_suspect(volume, why);
}

static void begin_watch(struct volume *volume)
{
	struct watch *watch = &volume->watches[volume->generation % 2];
	*watch = (struct watch){volume, volume->generation};
	fos_status status =
		fos_monitor_receive_async(volume->back, volume->now.volume.read, watch_ended, watch);
	if (status != FOS_OK)
		volume_suspect(volume, fos_status_text(status));
}

static void take(struct volume *volume, const struct opened *opened)
{
	volume->now = *opened;
	volume->up = opened->status == FOS_OK;
	if (!volume->up)
		return;
	close_caps(volume->back, &volume->last);
	volume->last = (struct opened){0};
	volume->generation++;
	begin_watch(volume);
}

void volume_look(struct volume *volume)
{
	uint64_t count;
	struct opened opened;
	(void)!read(volume->fd, &count, sizeof count);
	pthread_mutex_lock(&volume->mutex);
	bool ready = volume->ready;
	volume->ready = false;
	opened = volume->fresh;
	pthread_mutex_unlock(&volume->mutex);
	if (!ready)
		return;
	volume->opening = false;
	take(volume, &opened);
	if (volume->up)
		fprintf(stderr, "fractos-fs: volume %s is open again\n", volume->options.name);
	else
		fprintf(stderr, "fractos-fs: %s\n", opened.text);
	if (volume->changed)
		volume->changed(volume->changed_arg);
}

void volume_need(struct volume *volume)
{
	if (volume->up || volume->opening)
		return;
	volume->opening = true;
	pthread_mutex_lock(&volume->mutex);
	volume->wanted = true;
	pthread_cond_signal(&volume->wake);
	pthread_mutex_unlock(&volume->mutex);
}

void volume_suspect(struct volume *volume, const char *why)
{
	if (!volume->up)
		return;
	volume->up = false;
	volume->down_since = clock_now();
	fprintf(stderr, "fractos-fs: %s\n", why);
	/* Nothing orders the channels: closed now on this one, the capabilities could be gone before
	 * the Controller takes what the other has just sent on through them, and a client would hear
	 * NO_CAP and not what happened. The next opening, many round trips later, closes them. */
	close_caps(volume->back, &volume->last);
	volume->last = volume->now;
	volume->now = (struct opened){.status = FOS_PEER_LOST};
	snprintf(volume->now.text, sizeof volume->now.text, "%s", why);
	volume_need(volume);
	if (volume->changed)
		volume->changed(volume->changed_arg);
}

const fos_blk_volume *volume_get(const struct volume *volume)
{
	return volume->up ? &volume->now.volume : NULL;
}

uint64_t volume_size(const struct volume *volume)
{
	return volume->now.volume.info.size;
}

const char *volume_text(const struct volume *volume)
{
	return volume->now.text;
}

uint64_t volume_generation(const struct volume *volume)
{
	return volume->generation;
}

uint64_t volume_down_since(const struct volume *volume)
{
	return volume->down_since;
}

int volume_fd(const struct volume *volume)
{
	return volume->fd;
}

void volume_on_change(struct volume *volume, void (*changed)(void *arg), void *arg)
{
	volume->changed = changed;
	volume->changed_arg = arg;
}

/* ------------------------------------------------------------------ start, format, stop */

fos_status volume_start(fos_process *process, fos_channel *back,
						const struct volume_options *options, uint64_t time, struct volume **out,
						char *text)
{
	struct volume *volume = calloc(1, sizeof *volume);
	if (!volume)
		return say(text, FOS_QUOTA, "no memory");
	*volume = (struct volume){.process = process, .back = back, .options = *options};
	pthread_mutex_init(&volume->mutex, NULL);
	pthread_cond_init(&volume->wake, NULL);
	*out = volume;
	volume->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fos_status status = volume->fd < 0 ? say(text, FOS_QUOTA, "%s", strerror(errno)) : FOS_OK;
	if (status == FOS_OK)
		status = fos_channel_open(process, &volume->channel);
	if (status == FOS_OK)
		status = fos_alloc(process, FS_BLOCK, FS_BLOCK, &volume->block);
	if (status == FOS_OK)
		status = fos_memory_create(back, volume->block, FS_BLOCK, FOS_READ | FOS_WRITE,
								   &volume->block_memory);
	if (status != FOS_OK)
		return say(text, status, "%s", fos_status_text(status));
	struct opened opened;
	const uint64_t end = clock_now() + time;
	open_volume(volume, end, &opened);
	/* Its name can be known here before its node is connected. Nothing tells when it is: what is
	 * out of reach can be neither invoked nor watched, each says PEER_LOST at once; what to wait
	 * for in the block service is behind that link; and to the registry a name that it has is no
	 * news. */
	while (opened.status == FOS_PEER_LOST && clock_now() < end) {
		fos_wait(volume->channel, LINK_TIME);
		open_volume(volume, end, &opened);
	}
	if (opened.status != FOS_OK)
		return say(text, opened.status, "%s", opened.text);
	take(volume, &opened);
	if (pthread_create(&volume->thread, NULL, helper, volume) != 0)
		return say(text, FOS_QUOTA, "no thread");
	volume->thread_runs = true;
	return FOS_OK;
}

void volume_stop(struct volume *volume)
{
	if (!volume)
		return;
	if (volume->thread_runs) {
		pthread_mutex_lock(&volume->mutex);
		volume->stopping = true;
		pthread_cond_signal(&volume->wake);
		pthread_mutex_unlock(&volume->mutex);
		pthread_join(volume->thread, NULL);
	}
	fos_channel_close(volume->channel);
}

void volume_free(struct volume *volume)
{
	if (!volume)
		return;
	if (volume->fd >= 0)
		close(volume->fd);
	pthread_cond_destroy(&volume->wake);
	pthread_mutex_destroy(&volume->mutex);
	free(volume);
}

/* Zeros, then the label: a volume with a label has its zeros. */
static fos_status write_label(struct volume *volume, const struct meta_volume *mine)
{
	struct meta_layout layout = meta_layout(mine->size);
	const fos_blk_volume *blk = &volume->now.volume;
	fos_status status = FOS_OK;
	memset(volume->block, 0, FS_BLOCK);
	for (uint64_t at = 0; at < layout.zero_length && status == FOS_OK; at += FS_BLOCK)
		status = fos_blk_write(volume->back, blk, layout.zero_offset + at, FS_BLOCK,
							   volume->block_memory);
	if (status == FOS_OK)
		status = fos_blk_flush(volume->back, blk);
	struct label label = {.version = LABEL_VERSION, .size = mine->size, .mounts = volume->mounts};
	memcpy(label.magic, label_magic, sizeof label.magic);
	memcpy(label.id, mine->id, sizeof label.id);
	memcpy(volume->block, &label, sizeof label);
	if (status == FOS_OK)
		status = fos_blk_write(volume->back, blk, 0, FS_BLOCK, volume->block_memory);
	if (status == FOS_OK)
		status = fos_blk_flush(volume->back, blk);
	return status;
}

/* Into the label that has just been read: whoever used the volume before sees that he is not alone.
 */
static fos_status write_mounts(struct volume *volume)
{
	((struct label *)volume->block)->mounts = volume->mounts;
	return fos_blk_write(volume->back, &volume->now.volume, 0, FS_BLOCK, volume->block_memory);
}

fos_status volume_format(struct volume *volume, struct meta *meta, char *text)
{
	struct meta_volume mine;
	if (!meta_volume(meta, &mine))
		return say(text, FOS_INTERNAL, "the metadata names no volume");
	memcpy(volume->id, mine.id, META_ID_BYTES);
	struct opened *now = &volume->now;
	fos_status status = fos_blk_read(volume->back, &now->volume, 0, FS_BLOCK, volume->block_memory);
	if (status != FOS_OK)
		return say(text, status, "cannot read volume %s: %s", mine.name, fos_status_text(status));
	const struct label *label = volume->block;
	bool labelled = memcmp(label->magic, label_magic, sizeof label_magic) == 0;
	bool ours = labelled && memcmp(label->id, mine.id, META_ID_BYTES) == 0;
	if (labelled && !ours)
		return say(text, FOS_INVALID, "volume %s belongs to another file system", mine.name);
	if (mine.ready && !ours)
		return say(text, FOS_INVALID, "volume %s is not the one that the metadata belongs to",
				   mine.name);
	volume->mounts = ours ? label->mounts + 1 : 1;
	status = ours ? write_mounts(volume) : write_label(volume, &mine);
	if (status == FOS_OK && !mine.ready)
		status = meta_set_ready(meta);
	if (status != FOS_OK)
		return say(text, status, "cannot write volume %s: %s", mine.name, fos_status_text(status));
	volume->id_known = true;
	return FOS_OK;
}
