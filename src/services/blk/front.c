/* See front.h, and fractos/blk.h for what travels.
 *
 * A read, with storage putting bytes straight into the client's Memory:
 *
 *     client           blk                    device      the Memory's node       next
 *       | read           |                       |               |                  |
 *       |--------------->| pieces: read -------->|               |                  |
 *       |                | copy (no then) ---------------------->| landed           |
 *       |                | last piece: copy, then = next ------->| landed           |
 *       |                | finish                                |----------------->|
 *
 * A write copies each piece from the client's Memory into staging, writes it, and continues with
 * `next` when the device has taken all of them.
 */
#include "front.h"

#include <assert.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include <fractos/stats.h>

#include "engine.h"
#include "plan.h"

enum {
	SETS_MAX = 2 * VOLUMES_MAX, /* each volume: the common one and an exclusive one */
	OPENINGS_MAX = 64           /* that wait; far below the places of a channel */
};
/* For what an earlier holder has under way: I/O of the device, copies to and from memories. */
static const uint64_t FENCE_TIME = 3000000000; /* ns */

struct state { /* of a volume */
	struct engine_file *file;
	struct set *common, *exclusive; /* NULL: not opened so */
	unsigned ending;                /* sets that are not drained yet */
};

/* What was opened together and is taken back together. It ends by a drain: nobody opens the volume
 * before that is over. */
struct set {
	struct front *front;
	uint64_t serial;       /* never used twice; 0: free */
	struct volume *volume; /* NULL: was deleted meanwhile */
	fos_cap base;
	fos_cap life; /* EXCLUSIVE: the holder's */
	bool ending;  /* revoked */
	bool asked;   /* and the drain has not been answered */
};

enum { WINDOW = 4 }; /* added to a kind: the ranges are a part of what is bound */

/* What is bound at 0 of an opened volume's Requests. */
struct handle {
	uint64_t serial;
	uint32_t set;
	uint32_t kind; /* enum engine_kind, WINDOW */
	uint64_t zero[6];
};
_Static_assert(sizeof(struct handle) == FOS_ARG, "the handle fills the provider's part");

struct request { /* a read, write or flush under way */
	struct front *front;
	fos_delivery_id delivery;
	fos_cap memory, next;
	enum engine_kind kind;
	LIST_ENTRY(request) link;
};

struct opening { /* an OPEN; in the list: waits for the end of what was opened before */
	fos_delivery_id delivery;
	fos_cap next, life;
	uint32_t flags;
	uint64_t end; /* of its time, ns of CLOCK_MONOTONIC */
	struct volume *volume;
	TAILQ_ENTRY(opening) link;
};
TAILQ_HEAD(openings, opening);

struct front {
	fos_channel *ch;
	struct volumes *volumes;
	struct engine *engine;
	uint8_t *staging;
	fos_cap staging_memory, root;
	int lock; /* held while the device may work for us, -1: none */
	uint64_t last_serial;
	struct set sets[SETS_MAX];
	struct openings openings;
	unsigned opening_count;
	LIST_HEAD(, request) requests;
};

/* For calls whose failure leaves nothing to be done here: the Controller is lost, which ends the
 * serving loop, or it told whom it concerns by itself. */
static void ignore(fos_status status)
{
	(void)status;
}

__attribute__((format(printf, 4, 5))) static fos_handled
fail_id(struct front *front, fos_delivery_id delivery, fos_status status, const char *format, ...)
{
	char detail[VOLUMES_ERROR_MAX];
	va_list list;
	va_start(list, format);
	vsnprintf(detail, sizeof detail, format, list);
	va_end(list);
	ignore(fos_fail(front->ch, delivery, status, detail));
	return FOS_FINISH_LATER;
}
#define fail(front, delivery, status, ...) fail_id(front, (delivery)->id, status, __VA_ARGS__)

static fos_handled answer(struct front *front, const fos_delivery *delivery, const fos_args *args)
{
	ignore(fos_continue(front->ch, delivery->id, fos_delivery_cap(delivery, FOS_NEXT), args, NULL,
						NULL));
	return FOS_FINISH_LATER;
}

/* ------------------------------------------------------------------ read, write, flush */

static void copied(fos_channel *ch, const fos_result *result, void *arg)
{
	engine_moved(arg, result->status);
}

/* Starts to move a piece between staging and the client's Memory. */
static void move(struct engine_piece *piece)
{
	const struct request *request = piece->context;
	struct front *front = request->front;
	const fos_invoke_options options = {.delivery = request->delivery};
	bool read = request->kind == ENGINE_READ;
	fos_args args;
	fos_args_init(&args);
	/* Names of this call only: no slots, no calls of their own. */
	fos_cap ours =
		fos_args_diminish(&args, front->staging_memory, (uint64_t)(piece->bytes - front->staging),
						  piece->length, read ? FOS_WRITE : FOS_READ);
	fos_cap theirs = fos_args_diminish(&args, request->memory, piece->memory, piece->length, 0);
	if (read && piece->last && request->next != FOS_CAP_NONE)
		fos_args_cap(&args, FOS_CALL, FOS_NEXT, request->next);
	fos_status status = fos_memory_copy_async(front->ch, read ? theirs : ours, read ? ours : theirs,
											  &args, &options, copied, piece);
	if (status != FOS_OK)
		engine_moved(piece, status);
}

/* The operation has ended. A read's `next` was invoked behind its data. */
static void done(void *context, fos_status status, const char *detail)
{
	struct request *request = context;
	struct front *front = request->front;
	if (status != FOS_OK)
		ignore(fos_fail(front->ch, request->delivery, status, detail));
	else if (request->kind == ENGINE_READ || request->next == FOS_CAP_NONE)
		ignore(fos_finish(front->ch, request->delivery));
	else
		ignore(fos_continue(front->ch, request->delivery, request->next, NULL, NULL, NULL));
	LIST_REMOVE(request, link);
	free(request);
}

/* The set that a delivery's handle names; NULL: it was revoked. */
static struct set *set_of(struct front *front, const struct handle *handle)
{
	struct set *set = handle->set < SETS_MAX ? &front->sets[handle->set] : NULL;
	return set && set->serial == handle->serial && !set->ending ? set : NULL;
}

/* The Memory of a read or write; false: refused. */
static bool take_memory(struct front *front, const fos_delivery *delivery, enum engine_kind kind,
						fos_delivered_cap *out)
{
	*out = delivery->caps[FOS_BLK_MEMORY];
	uint8_t right = kind == ENGINE_READ ? FOS_WRITE : FOS_READ;
	if (out->cap == FOS_CAP_NONE || out->kind != FOS_MEMORY) {
		fail(front, delivery, FOS_INVALID, "blk: capability %d must be a Memory", FOS_BLK_MEMORY);
		return false;
	}
	if (!(out->rights & right)) {
		fail(front, delivery, FOS_DENIED, "blk: the Memory cannot be %s",
			 kind == ENGINE_READ ? "written" : "read");
		return false;
	}
	return true;
}

/* The ranges that a delivery names; false: refused. `made` has room for them. */
static bool take_ranges(struct front *front, const fos_delivery *delivery, uint32_t kind,
						fos_blk_range made[FOS_BLK_RANGES_MAX], const fos_blk_range **out,
						uint32_t *count)
{
	*out = NULL;
	*count = 0;
	if (kind == ENGINE_FLUSH)
		return true;
	if (kind & WINDOW) {
		const fos_blk_range *window = fos_delivery_imm(delivery, FOS_ARG, sizeof *window);
		uint32_t len = fos_delivery_imm_len(delivery, FOS_BLK_EXTENTS);
		const fos_blk_extents *extents =
			len >= sizeof *extents ? fos_delivery_imm(delivery, FOS_BLK_EXTENTS, len) : NULL;
		const char *why = "blk: the window or its extents are missing";
		fos_status status = FOS_INVALID;
		if (window && extents)
			status = plan_window(extents, len, window, made, count, &why);
		if (status != FOS_OK)
			fail(front, delivery, status, "%s", why);
		*out = made;
		return status == FOS_OK;
	}
	uint32_t len = fos_delivery_imm_len(delivery, FOS_ARG);
	if (len % sizeof(fos_blk_range) != 0) {
		fail(front, delivery, FOS_INVALID, "blk: %u bytes are no array of ranges", len);
		return false;
	}
	*out = len > 0 ? fos_delivery_imm(delivery, FOS_ARG, len) : NULL;
	*count = len / (uint32_t)sizeof(fos_blk_range);
	return true;
}

static fos_handled volume_asked(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct front *front = arg;
	const struct handle *handle = fos_delivery_imm(delivery, 0, sizeof *handle);
	if (delivery->exception.status != FOS_OK || !handle)
		return FOS_FINISH;
	const struct set *set = set_of(front, handle);
	if (!set) /* it was in the ring already when it was revoked */
		return fail(front, delivery, FOS_REVOKED, "blk: the volume is not open any more");
	enum engine_kind kind = (enum engine_kind)(handle->kind & ~(uint32_t)WINDOW);
	fos_delivered_cap memory = {0};
	if (kind != ENGINE_FLUSH && !take_memory(front, delivery, kind, &memory))
		return FOS_FINISH_LATER;
	fos_blk_range made[FOS_BLK_RANGES_MAX];
	const fos_blk_range *ranges;
	uint32_t count;
	if (!take_ranges(front, delivery, handle->kind, made, &ranges, &count))
		return FOS_FINISH_LATER;
	struct request *request = calloc(1, sizeof *request);
	if (!request)
		return fail(front, delivery, FOS_QUOTA, "blk: out of memory");
	*request = (struct request){.front = front,
								.delivery = delivery->id,
								.memory = memory.cap,
								.next = fos_delivery_cap(delivery, FOS_NEXT),
								.kind = kind};
	const struct state *state = set->volume->user;
	char detail[ENGINE_DETAIL_MAX] = "";
	fos_status status =
		engine_start(state->file, kind, ranges, count, memory.length, request, detail);
	if (status != FOS_OK) {
		free(request);
		return fail(front, delivery, status, "%s", detail);
	}
	LIST_INSERT_HEAD(&front->requests, request, link);
	return FOS_FINISH_LATER;
}

/* ------------------------------------------------------------------ sets */

static fos_status set_make(struct front *front, struct volume *volume, struct set **out)
{
	struct set *set = front->sets;
	while (set < front->sets + SETS_MAX && set->serial != 0)
		set++;
	assert(set < front->sets + SETS_MAX); /* there are two for every volume */
	*set = (struct set){.front = front};
	fos_status status = fos_request_create(front->ch, volume_asked, front, NULL, &set->base);
	if (status != FOS_OK)
		return status;
	set->serial = ++front->last_serial;
	set->volume = volume;
	*out = set;
	return FOS_OK;
}

static void openings_advance(struct front *front, const struct volume *volume, fos_status status);

static void set_drained(fos_channel *ch, const fos_result *result, void *arg)
{
	struct set *set = arg;
	struct front *front = set->front;
	struct volume *volume = set->volume;
	set->asked = false;
	if (result->status == FOS_OK) {
		ignore(fos_cap_close_async(ch, set->base, NULL, NULL));
		if (volume)
			((struct state *)volume->user)->ending--;
		*set = (struct set){0};
	}
	/* What is not drained in time is tried again when the volume is opened again. */
	if (volume)
		openings_advance(front, volume, result->status);
}

static void set_drain(struct set *set)
{
	if (!set->asked &&
		fos_cap_drain_async(set->front->ch, set->base, FENCE_TIME, set_drained, set) == FOS_OK)
		set->asked = true;
}

/* Behind this call in the ring no delivery is made any more through what was opened with the set;
 * when it is drained, nothing of it is under way. */
static void set_end(struct set *set)
{
	struct state *state = set->volume->user;
	if (state->common == set)
		state->common = NULL;
	else
		state->exclusive = NULL;
	state->ending++;
	set->ending = true;
	if (set->life != FOS_CAP_NONE) /* which takes its monitor back */
		ignore(fos_cap_close_async(set->front->ch, set->life, NULL, NULL));
	set_drain(set);
}

/* The holder died, cannot be seen any more, or there is no monitor for it. The set is still that
 * holder's, and not used again: closing the life, before the set is drained, ends the monitor. */
static void life_ended(fos_channel *ch, const fos_result *result, void *arg)
{
	struct set *set = arg;
	if (set->serial != 0 && !set->ending)
		set_end(set);
}

static struct handle handle_of(const struct front *front, const struct set *set, uint32_t kind)
{
	return (struct handle){
		.serial = set->serial, .set = (uint32_t)(set - front->sets), .kind = kind};
}

/* A holder that opens again, with the life that it has: the link broke, or an answer was lost. */
static bool is_holder(struct front *front, const struct set *set, fos_cap life)
{
	bool same;
	return fos_cap_is_same(front->ch, set->life, life, &same) == FOS_OK && same;
}

/* ------------------------------------------------------------------ the root's operations */

static void fill_info(const struct volume *volume, fos_blk_info *info)
{
	*info = (fos_blk_info){.size = volume->size, .block = 4096};
	memcpy(info->name, volume->name, sizeof info->name);
}

/* Opens the volume's file for the engine. */
static fos_status volume_start(struct front *front, struct volume *volume, char *error)
{
	int fd;
	struct state *state = calloc(1, sizeof *state);
	if (!state) {
		snprintf(error, VOLUMES_ERROR_MAX, "out of memory");
		return FOS_QUOTA;
	}
	fos_status status = volumes_open_file(front->volumes, volume, &fd, error);
	if (status == FOS_OK) {
		status = engine_file_open(front->engine, fd, volume->size, volume->name, &state->file);
		if (status != FOS_OK)
			snprintf(error, VOLUMES_ERROR_MAX, "volume %s: no room for its file", volume->name);
	}
	if (status != FOS_OK)
		free(state);
	else
		volume->user = state;
	return status;
}

static fos_handled create(struct front *front, const fos_delivery *delivery,
						  const fos_blk_args *args)
{
	char error[VOLUMES_ERROR_MAX] = "", ignored[VOLUMES_ERROR_MAX];
	fos_status status = volumes_create(front->volumes, args->name, args->size, error);
	if (status == FOS_OK) {
		struct volume *volume = volumes_find(front->volumes, args->name);
		status = volume_start(front, volume, error);
		if (status != FOS_OK)
			ignore(volumes_delete(front->volumes, volume, ignored));
	}
	if (status != FOS_OK)
		return fail(front, delivery, status, "%s", error);
	return answer(front, delivery, NULL);
}

static fos_handled delete (struct front *front, const fos_delivery *delivery, struct volume *volume)
{
	char error[VOLUMES_ERROR_MAX] = "";
	struct state *state = volume->user;
	/* Revoked first: when it is answered nobody reads or writes it any more. What cannot be deleted
	 * must be opened again. */
	if (!volume->path && state->common)
		set_end(state->common);
	if (!volume->path && state->exclusive)
		set_end(state->exclusive);
	fos_status status = volumes_delete(front->volumes, volume, error);
	if (status != FOS_OK)
		return fail(front, delivery, status, "%s", error);
	for (unsigned i = 0; i < SETS_MAX; i++)
		if (front->sets[i].volume == volume)
			front->sets[i].volume = NULL;
	openings_advance(front, volume, FOS_NOT_FOUND);
	engine_file_close(state->file);
	free(state);
	return answer(front, delivery, NULL);
}

/* ------------------------------------------------------------------ OPEN
 *
 *     OPEN --> [WAIT: the holder's end] --> [earlier holders are taken back, and drained]
 *          --> a set --> answered
 *
 * What waits is looked at from the start again: others may have opened meanwhile. Whoever waits for
 * a holder's end knows himself when his time is over, so nothing is done at that moment: he is
 * answered, which nobody hears, when the holder ends, the next one opens or somebody counts. */

static uint64_t clock_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t end_of(const fos_delivery *delivery)
{
	uint64_t now = clock_now();
	return delivery->time_left < UINT64_MAX - now ? now + delivery->time_left : UINT64_MAX;
}

static bool is_late(const struct opening *opening)
{
	return (opening->flags & FOS_BLK_WAIT) && clock_now() >= opening->end;
}

/* Whether another has the volume whom this one must not fence. */
static bool is_held(struct front *front, const struct opening *opening)
{
	const struct state *state = opening->volume->user;
	if (!state->exclusive)
		return false;
	if (!(opening->flags & FOS_BLK_EXCLUSIVE))
		return true;
	return (opening->flags & FOS_BLK_UNLESS_HELD) &&
		   !is_holder(front, state->exclusive, opening->life);
}

static void fail_held(struct front *front, const struct opening *opening)
{
	fos_status status = opening->flags & FOS_BLK_WAIT ? FOS_TIMED_OUT : FOS_BUSY;
	fail_id(front, opening->delivery, status, "volume %s is held exclusively",
			opening->volume->name);
}

/* Takes back what was opened earlier and stands in the way. */
static void make_way(struct front *front, const struct opening *opening)
{
	struct state *state = opening->volume->user;
	bool exclusive = opening->flags & FOS_BLK_EXCLUSIVE;
	if (exclusive && state->exclusive)
		set_end(state->exclusive);
	if (exclusive && state->common)
		set_end(state->common);
	for (unsigned i = 0; state->ending > 0 && i < SETS_MAX; i++)
		if (front->sets[i].volume == opening->volume && front->sets[i].ending)
			set_drain(&front->sets[i]);
}

static fos_status hold(struct set *set, fos_cap life)
{
	fos_channel *ch = set->front->ch;
	fos_status status = fos_cap_keep(ch, life);
	if (status != FOS_OK)
		return status;
	set->life = life;
	return fos_monitor_receive_async(ch, life, life_ended, set);
}

static void answer_open(struct front *front, const struct opening *opening, const struct set *set)
{
	static const uint32_t kinds[] = {ENGINE_READ, ENGINE_WRITE, ENGINE_FLUSH, ENGINE_READ | WINDOW,
									 ENGINE_WRITE | WINDOW};
	static const uint32_t needed[] = {FOS_BLK_READ, FOS_BLK_WRITE, FOS_BLK_WRITE, FOS_BLK_READ,
									  FOS_BLK_WRITE};
	struct handle handles[5];
	fos_blk_info info;
	fos_args result;
	fos_args_init(&result);
	fill_info(opening->volume, &info);
	fos_args_imm(&result, FOS_CALL, FOS_RESULT, &info, sizeof info);
	for (unsigned i = 0; i < 5; i++) {
		if (!(opening->flags & needed[i]))
			continue;
		handles[i] = handle_of(front, set, kinds[i]);
		fos_cap cap = fos_args_refine(&result, set->base);
		fos_args_imm(&result, cap, 0, &handles[i], sizeof handles[i]);
		fos_args_cap(&result, FOS_CALL, FOS_CAP_RESULT + i, cap);
	}
	ignore(fos_continue(front->ch, opening->delivery, opening->next, &result, NULL, NULL));
}

/* False: it has to wait. */
static bool opening_try(struct front *front, const struct opening *opening)
{
	struct volume *volume = opening->volume;
	struct state *state = volume->user;
	bool late = is_late(opening), held = is_held(front, opening);
	if (held && !late && (opening->flags & FOS_BLK_WAIT))
		return false;
	if (held || late) {
		fail_held(front, opening);
		return true;
	}
	make_way(front, opening);
	if (state->ending > 0)
		return false;
	bool exclusive = opening->flags & FOS_BLK_EXCLUSIVE;
	struct set **place = exclusive ? &state->exclusive : &state->common;
	fos_status status = *place ? FOS_OK : set_make(front, volume, place);
	if (status == FOS_OK && exclusive) {
		status = hold(*place, opening->life);
		if (status != FOS_OK)
			set_end(*place);
	}
	if (status != FOS_OK)
		fail_id(front, opening->delivery, status, "volume %s cannot be opened: %s", volume->name,
				fos_status_text(status));
	else
		answer_open(front, opening, *place);
	return true;
}

static void opening_forget(struct front *front, struct opening *opening)
{
	TAILQ_REMOVE(&front->openings, opening, link);
	front->opening_count--;
	free(opening);
}

/* Goes on with what waits for a volume: `status` is how an earlier set's drain ended, NOT_FOUND:
 * the volume has gone, and only its address is looked at. */
static void openings_advance(struct front *front, const struct volume *volume, fos_status status)
{
	struct opening *after;
	for (struct opening *at = TAILQ_FIRST(&front->openings); at; at = after) {
		after = TAILQ_NEXT(at, link);
		if (at->volume != volume)
			continue;
		if (status == FOS_NOT_FOUND)
			fail_id(front, at->delivery, status, "blk: the volume was deleted");
		else if (status != FOS_OK)
			fail_id(front, at->delivery, status,
					"volume %s: what its earlier holder began is not over", volume->name);
		else if (!opening_try(front, at))
			continue;
		opening_forget(front, at);
	}
}

/* Gives up those whose time is over while they waited for a holder's end. */
static void openings_sweep(struct front *front)
{
	struct opening *after;
	for (struct opening *at = TAILQ_FIRST(&front->openings); at; at = after) {
		after = TAILQ_NEXT(at, link);
		if (!is_late(at))
			continue;
		fail_held(front, at);
		opening_forget(front, at);
	}
}

static fos_handled open_volume(struct front *front, const fos_delivery *delivery,
							   const fos_blk_args *args, struct volume *volume)
{
	const uint32_t access = FOS_BLK_READ | FOS_BLK_WRITE;
	const uint32_t how = FOS_BLK_EXCLUSIVE | FOS_BLK_UNLESS_HELD | FOS_BLK_WAIT;
	const fos_delivered_cap *life = &delivery->caps[FOS_BLK_LIFE];
	bool exclusive = args->flags & FOS_BLK_EXCLUSIVE;
	if ((args->flags & ~(access | how)) || !(args->flags & access) ||
		((args->flags & FOS_BLK_UNLESS_HELD) && !exclusive))
		return fail(front, delivery, FOS_INVALID, "blk: %#x are no flags for an open", args->flags);
	if (exclusive && (life->cap == FOS_CAP_NONE || life->kind != FOS_REQUEST))
		return fail(front, delivery, FOS_INVALID, "blk: an exclusive open needs a life");
	const struct opening opening = {.delivery = delivery->id,
									.next = fos_delivery_cap(delivery, FOS_NEXT),
									.life = life->cap,
									.flags = args->flags,
									.end = end_of(delivery),
									.volume = volume};
	openings_sweep(front);
	if (opening_try(front, &opening))
		return FOS_FINISH_LATER;
	struct opening *waiting = front->opening_count < OPENINGS_MAX ? malloc(sizeof *waiting) : NULL;
	if (!waiting)
		return fail(front, delivery, FOS_QUOTA, "blk: too many wait for their volume");
	*waiting = opening;
	TAILQ_INSERT_TAIL(&front->openings, waiting, link);
	front->opening_count++;
	return FOS_FINISH_LATER;
}
_Static_assert(ENGINE_READ == 0 && ENGINE_WRITE == 1 && ENGINE_FLUSH == 2,
			   "the order of the capabilities that an open answers with");

static fos_handled list(struct front *front, const fos_delivery *delivery, const char *behind)
{
	fos_blk_info infos[FOS_BLK_LIST_MAX];
	uint32_t count = 0;
	for (uint32_t i = 0; i < front->volumes->count && count < FOS_BLK_LIST_MAX; i++)
		if (strcmp(front->volumes->all[i]->name, behind) > 0)
			fill_info(front->volumes->all[i], &infos[count++]);
	fos_args args;
	fos_args_init(&args);
	if (count > 0)
		fos_args_imm(&args, FOS_CALL, FOS_RESULT, infos, count * sizeof infos[0]);
	return answer(front, delivery, &args);
}

static fos_handled stats(struct front *front, const fos_delivery *delivery)
{
	uint64_t exclusive = 0, shared = 0, ending = 0, requests = 0;
	openings_sweep(front);
	for (unsigned i = 0; i < SETS_MAX; i++) {
		const struct set *set = &front->sets[i];
		exclusive += set->serial != 0 && !set->ending && set->life != FOS_CAP_NONE;
		shared += set->serial != 0 && !set->ending && set->life == FOS_CAP_NONE;
		ending += set->ending;
	}
	const struct request *request;
	LIST_FOREACH(request, &front->requests, link)
	requests++;
	const fos_stat numbers[] = {{"volumes", front->volumes->count},
								{"exclusive", exclusive},
								{"shared", shared},
								{"ending", ending},
								{"opening", front->opening_count},
								{"requests", requests}};
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_RESULT, numbers, sizeof numbers);
	return answer(front, delivery, &args);
}

static fos_handled root_asked(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct front *front = arg;
	if (delivery->exception.status != FOS_OK)
		return FOS_FINISH;
	const fos_blk_args *args = fos_delivery_imm(delivery, FOS_ARG, sizeof *args);
	if (!args)
		return fail(front, delivery, FOS_INVALID, "blk: the arguments are too short");
	if (args->op != FOS_STATS && (args->op < FOS_BLK_CREATE || args->op > FOS_BLK_LIST))
		return fail(front, delivery, FOS_UNSUPPORTED, "blk: there is no operation %u", args->op);
	if (fos_delivery_cap(delivery, FOS_NEXT) == FOS_CAP_NONE)
		return fail(front, delivery, FOS_INVALID, "blk: no Request for the answer");
	if (args->op == FOS_STATS)
		return stats(front, delivery);
	bool named = volumes_name_valid(args->name);
	if (args->op == FOS_BLK_LIST && (named || args->name[0] == 0))
		return list(front, delivery, args->name);
	if (!named)
		return fail(front, delivery, FOS_INVALID,
					"blk: a volume's name has 1 to 55 of the characters A-Z a-z 0-9 . _ - and "
					"does not begin with . or -");
	if (args->op == FOS_BLK_CREATE)
		return create(front, delivery, args);
	struct volume *volume = volumes_find(front->volumes, args->name);
	if (!volume)
		return fail(front, delivery, FOS_NOT_FOUND, "there is no volume %s", args->name);
	if (args->op == FOS_BLK_DELETE)
		return delete (front, delivery, volume);
	return open_volume(front, delivery, args, volume);
}

/* ------------------------------------------------------------------ its life */

static int on_turn(fos_channel *ch, void *arg)
{
	struct front *front = arg;
	return engine_poll(front->engine);
}

static void on_event(fos_channel *ch, int fd, void *arg)
{
	struct front *front = arg;
	engine_poll(front->engine);
}

/* Lets whoever drains know when the device has ended what we began, also when we are killed: one
 * lock for all volumes, on a file that nobody else has, so that no successor can take it in
 * between. */
static fos_status hold_lock(struct front *front)
{
	/* A file without a name, where the Controller can look at its lock. */
	static const char *const places[] = {"/dev/shm", "/tmp"};
	for (unsigned i = 0; front->lock < 0 && i < 2; i++)
		front->lock = open(places[i], O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (front->lock < 0 || flock(front->lock, LOCK_EX | LOCK_NB) != 0)
		return FOS_QUOTA;
	fos_status status = engine_keep_open(front->engine, front->lock);
	if (status == FOS_OK)
		status = fos_device_held(fos_channel_process(front->ch), front->lock);
	return status;
}

static fos_status make_requests(struct front *front)
{
	fos_status status = fos_watch(front->ch, engine_fd(front->engine), on_event, front);
	if (status == FOS_OK)
		status = fos_set_poller(front->ch, on_turn, front);
	if (status == FOS_OK)
		status = fos_request_create(front->ch, root_asked, front, NULL, &front->root);
	return status;
}

fos_status front_open(fos_channel *ch, struct volumes *volumes, size_t buffers, struct front **out,
					  char *error)
{
	const struct engine_handlers handlers = {.move = move, .done = done};
	const char *what = "out of memory";
	struct front *front = calloc(1, sizeof *front);
	void *staging;
	fos_status status = FOS_QUOTA;
	if (!front)
		goto failed;
	front->ch = ch;
	front->lock = -1;
	front->volumes = volumes;
	LIST_INIT(&front->requests);
	TAILQ_INIT(&front->openings);
	what = "no memory for the buffers";
	status = fos_alloc(fos_channel_process(ch), buffers, 4096, &staging);
	if (status == FOS_OK) {
		front->staging = staging;
		status =
			fos_memory_create(ch, staging, buffers, FOS_READ | FOS_WRITE, &front->staging_memory);
	}
	if (status == FOS_OK)
		status = engine_open(staging, buffers, &handlers, &front->engine, &what);
	if (status != FOS_OK)
		goto failed;
	what = error;
	for (uint32_t i = 0; status == FOS_OK && i < volumes->count; i++)
		status = volume_start(front, volumes->all[i], error);
	if (status != FOS_OK)
		goto failed;
	what = "cannot register its device";
	status = hold_lock(front);
	if (status != FOS_OK)
		goto failed;
	what = "cannot make its Requests";
	status = make_requests(front);
	if (status != FOS_OK)
		goto failed;
	*out = front;
	return FOS_OK;
failed:
	if (what != error)
		snprintf(error, FRONT_ERROR_MAX, "%s: %s", what, fos_status_text(status));
	*out = front;
	return status;
}

fos_cap front_root(const struct front *front)
{
	return front->root;
}

bool front_registered(const struct front *front)
{
	return engine_registered(front->engine);
}

void front_close(struct front *front)
{
	if (!front)
		return;
	for (uint32_t i = 0; i < front->volumes->count; i++) {
		free(front->volumes->all[i]->user);
		front->volumes->all[i]->user = NULL;
	}
	engine_close(front->engine);
	if (front->lock >= 0)
		close(front->lock);
	for (struct opening *at; (at = TAILQ_FIRST(&front->openings)) != NULL; free(at))
		TAILQ_REMOVE(&front->openings, at, link);
	while (!LIST_EMPTY(&front->requests)) {
		struct request *request = LIST_FIRST(&front->requests);
		LIST_REMOVE(request, link);
		free(request);
	}
	free(front);
}
