/* See direct.h. */
#include <stdlib.h>
#include <sys/timerfd.h>

#include "service.h"

enum { USERS_MAX = 512 };
static const uint64_t DRAIN_TIME = 2 * FS_SECOND; /* then it is asked again */

enum stage { MAKING, OPEN, ENDING };

struct direct {
	LIST_ENTRY(direct) link;
	struct service *service;
	uint64_t id, file;
	uint64_t end;     /* of its time, ns of CLOCK_MONOTONIC */
	uint64_t opening; /* of the volume */
	enum stage stage;
	struct op *op;          /* MAKING */
	fos_delivery_id closer; /* ENDING: answered when it is gone */
	fos_cap closer_next;
	fos_cap read, write, life; /* NONE: not there */
	unsigned calls;            /* under way */
	bool watched;              /* the life's monitor has not ended */
	fos_status status;         /* of the calls */
	uint64_t low, high;        /* bytes of the volume between which all extents lie */
	fos_blk_extents extents;   /* last: it has an array */
};

struct handle { /* bound in the Request that closes */
	uint64_t id;
	uint64_t zero[7];
};
_Static_assert(sizeof(struct handle) == FOS_ARG, "the handle fills the provider's part");

/* For calls whose failure leaves nothing to be done: the Controller is lost, or tells by itself. */
static void ignore(fos_status status)
{
	(void)status;
}

static void set_timer(struct service *s)
{
	uint64_t first = UINT64_MAX;
	const struct direct *d;
	LIST_FOREACH(d, &s->directs.users, link)
	if (d->stage == OPEN && d->end < first)
		first = d->end;
	struct itimerspec when = {0};
	if (first != UINT64_MAX)
		when.it_value = direct_after(first);
	timerfd_settime(s->directs.timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* ------------------------------------------------------------------ the end */

static void close_life(struct direct *d)
{
	if (d->life != FOS_CAP_NONE) /* which ends its monitor */
		ignore(fos_cap_close_async(d->service->back, d->life, NULL, NULL));
	d->life = FOS_CAP_NONE;
}

/* Nobody reads or writes through it any more. */
static void over(struct direct *d)
{
	struct service *s = d->service;
	const fos_cap caps[] = {d->read, d->write};
	for (unsigned i = 0; i < 2; i++)
		if (caps[i] != FOS_CAP_NONE)
			ignore(fos_cap_close_async(s->back, caps[i], NULL, NULL));
	if (d->closer != FOS_DELIVERY_NONE && d->closer_next != FOS_CAP_NONE)
		ignore(fos_continue(s->front, d->closer, d->closer_next, NULL, NULL, NULL));
	else if (d->closer != FOS_DELIVERY_NONE)
		ignore(fos_finish(s->front, d->closer));
	LIST_REMOVE(d, link);
	s->directs.count--;
	free(d);
	ops_direct_over(s);
}

static bool reopened(const struct direct *d)
{
	const struct volume *volume = d->service->volume;
	return volume_get(volume) && volume_generation(volume) != d->opening;
}

/* Looks at one that ends. */
static void settle(struct direct *d)
{
	if (d->stage != ENDING || d->calls > 0 || d->watched)
		return;
	if (d->status == FOS_OK || reopened(d))
		over(d);
	else
		service_need_tick(d->service);
}

static void drained(fos_channel *ch, const fos_result *result, void *arg)
{
	struct direct *d = arg;
	struct service *s = d->service;
	d->calls--;
	if (d->status == FOS_OK)
		d->status = result->status;
	settle(d);
	ops_settle(s);
}

static void drain(struct direct *d)
{
	const fos_cap caps[] = {d->read, d->write};
	d->stage = ENDING;
	d->status = FOS_OK;
	close_life(d);
	for (unsigned i = 0; i < 2; i++) {
		if (caps[i] == FOS_CAP_NONE)
			continue;
		fos_status status = fos_cap_drain_async(d->service->back, caps[i], DRAIN_TIME, drained, d);
		if (status == FOS_OK)
			d->calls++;
		else
			d->status = status;
	}
	settle(d);
}

static void life_ended(fos_channel *ch, const fos_result *result, void *arg)
{
	struct direct *d = arg;
	struct service *s = d->service;
	d->watched = false;
	if (d->stage == OPEN)
		drain(d);
	else if (d->stage == MAKING)
		d->end = 0; /* at once, when it is there */
	else
		settle(d);
	ops_settle(s);
}

bool direct_take_back(struct service *s, uint64_t file)
{
	bool none = true;
	struct direct *after;
	for (struct direct *d = LIST_FIRST(&s->directs.users); d; d = after) {
		after = LIST_NEXT(d, link);
		if (d->file != file)
			continue;
		none = false;
		if (d->stage == OPEN)
			drain(d);
	}
	return none;
}

fos_handled direct_closed(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct service *s = arg;
	const struct handle *handle = fos_delivery_imm(delivery, 0, sizeof *handle);
	if (delivery->exception.status != FOS_OK || !handle)
		return FOS_FINISH;
	struct direct *d = LIST_FIRST(&s->directs.users);
	while (d && d->id != handle->id)
		d = LIST_NEXT(d, link);
	if (!d || d->closer != FOS_DELIVERY_NONE) { /* it is over, or somebody else waits for that */
		fos_cap next = fos_delivery_cap(delivery, FOS_NEXT);
		if (next == FOS_CAP_NONE)
			return FOS_FINISH;
		ignore(fos_continue(ch, delivery->id, next, NULL, NULL, NULL));
		return FOS_FINISH_LATER;
	}
	d->closer = delivery->id;
	d->closer_next = fos_delivery_cap(delivery, FOS_NEXT);
	if (d->stage == OPEN)
		drain(d);
	ops_settle(s);
	return FOS_FINISH_LATER;
}

/* ------------------------------------------------------------------ the beginning */

static void answer(struct direct *d, struct op *op)
{
	struct service *s = d->service;
	const struct handle handle = {.id = d->id};
	uint64_t now = service_now();
	fos_fs_direct_info info = {
		.file = d->file, .offset = op->items[0].offset, .time = d->end > now ? d->end - now : 0};
	fos_args args;
	for (uint32_t i = 0; i < d->extents.count; i++)
		info.length += d->extents.at[i].length;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_RESULT, &info, sizeof info);
	fos_args_cap(&args, FOS_CALL, FOS_CAP_RESULT, d->read);
	fos_cap end = fos_args_refine(&args, s->direct_close);
	fos_args_imm(&args, end, 0, &handle, sizeof handle);
	fos_args_cap(&args, FOS_CALL, FOS_CAP_RESULT + 1, end);
	if (d->write != FOS_CAP_NONE)
		fos_args_cap(&args, FOS_CALL, FOS_CAP_RESULT + 2, d->write);
	ignore(fos_continue(s->front, op->delivery, op->next, &args, NULL, NULL));
	ops_end(s, op);
}

static void made(struct direct *d, const fos_result *result, fos_cap *out)
{
	struct service *s = d->service;
	struct op *op = d->op;
	if (result->status == FOS_OK)
		*out = result->cap;
	else if (d->status == FOS_OK)
		d->status = result->status;
	if (--d->calls > 0)
		return;
	d->op = NULL;
	if (d->status == FOS_OK) {
		d->stage = OPEN;
		answer(d, op);
		if (d->end <= service_now())
			drain(d);
	} else {
		ops_fail(s, op, d->status, "the block service lends no window: %s",
				 fos_status_text(d->status));
		drain(d);
	}
	set_timer(s);
	ops_settle(s);
}

static void made_read(fos_channel *ch, const fos_result *result, void *arg)
{
	struct direct *d = arg;
	made(d, result, &d->read);
}

static void made_write(fos_channel *ch, const fos_result *result, void *arg)
{
	struct direct *d = arg;
	made(d, result, &d->write);
}

static struct direct *new_direct(struct service *s, struct op *op, const struct ranges *ranges)
{
	struct direct *d = s->directs.count < USERS_MAX
						   ? calloc(1, sizeof *d + ranges->count * sizeof(fos_blk_range))
						   : NULL;
	if (!d)
		return NULL;
	uint64_t time = op->header.size ? op->header.size : FOS_FS_DIRECT_TIME;
	d->service = s;
	d->op = op;
	d->id = ++s->directs.last_id;
	d->file = op->items[0].file;
	d->end = service_now() + (time < FOS_FS_DIRECT_TIME_MAX ? time : FOS_FS_DIRECT_TIME_MAX);
	d->opening = volume_generation(s->volume);
	d->life = op->life;
	d->extents.count = ranges->count;
	d->low = UINT64_MAX;
	for (uint32_t i = 0; i < ranges->count; i++) {
		uint64_t from = ranges->at[i].offset, to = from + ranges->at[i].length;
		d->extents.at[i] = (fos_blk_range){from, to - from};
		d->low = from < d->low ? from : d->low;
		d->high = to > d->high ? to : d->high;
	}
	LIST_INSERT_HEAD(&s->directs.users, d, link);
	s->directs.count++;
	return d;
}

/* Asks the block service for the children. `d` is gone behind the last refusal. */
static void lend(struct service *s, struct direct *d, bool write)
{
	const fos_blk_volume *volume = volume_get(s->volume);
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_BLK_EXTENTS, &d->extents,
				 sizeof d->extents + d->extents.count * sizeof d->extents.at[0]);
	const fos_result refused = {.status = FOS_CONTROLLER_LOST};
	d->calls = 1 + write;
	if (fos_request_refine_revocable_async(s->back, volume->read_window, &args, 0, made_read, d) !=
		FOS_OK)
		made(d, &refused, &d->read);
	if (write && fos_request_refine_revocable_async(s->back, volume->write_window, &args, 0,
													made_write, d) != FOS_OK)
		made(d, &refused, &d->write);
}

void direct_open(struct service *s, struct op *op)
{
	const fos_fs_item *item = &op->items[0];
	uint64_t got;
	fos_status status = meta_extents(s->meta, item->file, item->offset, item->length,
									 FOS_BLK_RANGES_MAX, &op->ranges, &got);
	if (status != FOS_OK) {
		ops_fail(s, op, status, "%s", meta_error(s->meta));
		return;
	}
	struct direct *d = new_direct(s, op, &op->ranges);
	if (!d) {
		ops_fail(s, op, FOS_QUOTA, "the fs service has too many direct users");
		return;
	}
	op->state = OP_DIRECT;
	status = fos_cap_keep(s->front, d->life);
	if (status == FOS_OK)
		status = fos_monitor_receive_async(s->back, d->life, life_ended, d);
	d->watched = status == FOS_OK;
	if (status != FOS_OK) {
		d->stage = ENDING;
		ops_fail(s, op, status, "the life cannot be watched");
		close_life(d);
		settle(d);
		return;
	}
	lend(s, d, op->header.flags & FOS_FS_DIRECT_WRITE);
}

/* ------------------------------------------------------------------ looks */

bool direct_uses(struct run run, void *arg)
{
	const struct service *s = arg;
	uint64_t from = run.block * FS_BLOCK, to = from + run.count * FS_BLOCK;
	const struct direct *d;
	LIST_FOREACH(d, &s->directs.users, link)
	{
		if (d->low >= to || d->high <= from)
			continue;
		for (uint32_t i = 0; i < d->extents.count; i++) {
			const fos_blk_range *extent = &d->extents.at[i];
			if (extent->offset < to && extent->offset + extent->length > from)
				return true;
		}
	}
	return false;
}

void direct_tick(struct service *s)
{
	uint64_t now = service_now();
	struct direct *after;
	for (struct direct *d = LIST_FIRST(&s->directs.users); d; d = after) {
		after = LIST_NEXT(d, link);
		bool late = d->stage == OPEN && d->end <= now;
		bool again =
			d->stage == ENDING && d->calls == 0 && d->status != FOS_OK && volume_get(s->volume);
		if (late || (again && !reopened(d)))
			drain(d);
		else
			settle(d);
	}
	set_timer(s);
}

bool direct_busy(const struct service *s)
{
	const struct direct *d;
	LIST_FOREACH(d, &s->directs.users, link)
	if (d->stage == ENDING && d->calls == 0 && volume_get(s->volume))
		return true;
	return false;
}

void direct_volume_changed(struct service *s)
{
	struct direct *d, *after;
	LIST_FOREACH(d, &s->directs.users, link)
	if (d->stage == OPEN && reopened(d)) {
		d->stage = ENDING;
		close_life(d);
	}
	set_timer(s);
	for (d = LIST_FIRST(&s->directs.users); d; d = after) {
		after = LIST_NEXT(d, link);
		if (reopened(d))
			settle(d);
	}
}

void direct_count(const struct service *s, uint64_t *open, uint64_t *ending)
{
	const struct direct *d;
	*open = *ending = 0;
	LIST_FOREACH(d, &s->directs.users, link)
	*(d->stage == ENDING ? ending : open) += 1;
}

void direct_clear(struct service *s)
{
	struct direct *d;
	while ((d = LIST_FIRST(&s->directs.users)) != NULL) {
		LIST_REMOVE(d, link);
		free(d);
	}
}
