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
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "engine.h"

enum {
	SETS_MAX = 2 * VOLUMES_MAX, /* each volume: the common one and an exclusive one */
	/* Watches are deliveries that stay open, and who watches may be dead without our knowing it: so
	 * one whose node is gone, else the oldest, gives way to a new one. All together stay far below
	 * the places of a channel. */
	WATCHES_MAX = 32
};
/* For a lease: ends with its holder, not with time. A century, safe to add to a clock. */
static const uint64_t FOR_EVER = 100ull * 365 * 86400 * 1000000000;

struct state { /* of a volume */
	struct engine_file *file;
	struct set *common, *exclusive; /* NULL: not opened so */
};

struct set {         /* what was opened together and is revoked together */
	uint64_t serial; /* never used twice; 0: free */
	struct volume *volume;
	fos_cap base;
	fos_cap lease; /* EXCLUSIVE: the holder's */
};

/* What is bound at 0 of an opened volume's Requests, and of a lease's on_error. */
struct handle {
	uint64_t serial;
	uint32_t set;
	uint32_t kind; /* enum engine_kind */
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

struct watch {
	fos_delivery_id delivery; /* FOS_DELIVERY_NONE: free */
	uint64_t volume;          /* id */
	uint64_t order;           /* rises with each watch */
	fos_cap next;             /* of who watches, where bound: tells whether its node is there */
};

struct front {
	fos_channel *ch;
	struct volumes *volumes;
	struct engine *engine;
	uint8_t *staging;
	fos_cap staging_memory, root, lease_end;
	uint64_t last_serial;
	uint64_t watches_ever;
	struct watch watches[WATCHES_MAX];
	struct set sets[SETS_MAX];
	LIST_HEAD(, request) requests;
};

/* For calls whose failure leaves nothing to be done here: the Controller is lost, which ends the
 * serving loop, or it told whom it concerns by itself. */
static void ignore(fos_status status)
{
	(void)status;
}

__attribute__((format(printf, 4, 5))) static fos_handled
fail(struct front *front, const fos_delivery *delivery, fos_status status, const char *format, ...)
{
	char detail[VOLUMES_ERROR_MAX];
	va_list list;
	va_start(list, format);
	vsnprintf(detail, sizeof detail, format, list);
	va_end(list);
	ignore(fos_fail(front->ch, delivery->id, status, detail));
	return FOS_FINISH_LATER;
}

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
	return set && set->serial == handle->serial ? set : NULL;
}

/* The Memory of a read or write; FOS_CAP_NONE, with *handled set: refused. */
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

static fos_handled volume_asked(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct front *front = arg;
	const struct handle *handle = fos_delivery_imm(delivery, 0, sizeof *handle);
	if (delivery->exception.status != FOS_OK || !handle)
		return FOS_FINISH;
	const struct set *set = set_of(front, handle);
	if (!set) /* it was in the ring already when it was revoked */
		return fail(front, delivery, FOS_REVOKED, "blk: the volume is not open any more");
	enum engine_kind kind = (enum engine_kind)handle->kind;
	fos_delivered_cap memory = {0};
	if (kind != ENGINE_FLUSH && !take_memory(front, delivery, kind, &memory))
		return FOS_FINISH_LATER;
	uint32_t len = kind != ENGINE_FLUSH ? fos_delivery_imm_len(delivery, FOS_ARG) : 0;
	if (len % sizeof(fos_blk_range) != 0)
		return fail(front, delivery, FOS_INVALID, "blk: %u bytes are no array of ranges", len);
	struct request *request = calloc(1, sizeof *request);
	if (!request)
		return fail(front, delivery, FOS_QUOTA, "blk: out of memory");
	*request = (struct request){.front = front,
								.delivery = delivery->id,
								.memory = memory.cap,
								.next = fos_delivery_cap(delivery, FOS_NEXT),
								.kind = kind};
	const struct state *state = set->volume->user;
	const fos_blk_range *ranges = len > 0 ? fos_delivery_imm(delivery, FOS_ARG, len) : NULL;
	char detail[ENGINE_DETAIL_MAX] = "";
	fos_status status =
		engine_start(state->file, kind, ranges, len / (uint32_t)sizeof(fos_blk_range),
					 memory.length, request, detail);
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
	fos_status status = fos_request_create(front->ch, volume_asked, front, NULL, &set->base);
	if (status != FOS_OK)
		return status;
	set->serial = ++front->last_serial;
	set->volume = volume;
	*out = set;
	return FOS_OK;
}

/* When this returns, no delivery is made any more through what was opened with the set. */
static void set_revoke(struct front *front, struct set *set)
{
	struct state *state = set->volume->user;
	ignore(fos_cap_revoke(front->ch, set->base));
	ignore(fos_cap_close(front->ch, set->base));
	if (set->lease != FOS_CAP_NONE)
		ignore(fos_cap_close(front->ch, set->lease));
	if (state->common == set)
		state->common = NULL;
	else
		state->exclusive = NULL;
	*set = (struct set){0};
}

static struct handle handle_of(const struct front *front, const struct set *set,
							   enum engine_kind kind)
{
	return (struct handle){
		.serial = set->serial, .set = (uint32_t)(set - front->sets), .kind = (uint32_t)kind};
}

/* An exclusive opener's lease has ended: it died, or never could be told. */
static fos_handled lease_ended(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct front *front = arg;
	const struct handle *handle = fos_delivery_imm(delivery, 0, sizeof *handle);
	struct set *set = handle ? set_of(front, handle) : NULL;
	if (delivery->exception.status != FOS_OK && set)
		set_revoke(front, set);
	return FOS_FINISH;
}

/* Whether who made the capability can still be told of. A Controller that dies takes the news of
 * its Processes' end with it, so this is looked at when somebody else wants what they hold. */
static bool reachable(struct front *front, fos_cap cap)
{
	fos_cap_information info;
	return fos_cap_info(front->ch, cap, &info) == FOS_OK && info.reachable;
}

/* A holder that opens again, with the lease that it has: the link broke, or an answer was lost. */
static bool is_holder(struct front *front, const struct set *set, fos_cap lease)
{
	bool same;
	return fos_cap_is_same(front->ch, set->lease, lease, &same) == FOS_OK && same;
}

static fos_status lease_hold(struct front *front, struct set *set, fos_cap lease)
{
	const struct handle handle = handle_of(front, set, ENGINE_READ);
	const fos_invoke_options options = {.time = FOR_EVER};
	fos_args args;
	fos_args_init(&args);
	fos_cap on_error = fos_args_refine(&args, front->lease_end);
	fos_args_imm(&args, on_error, 0, &handle, sizeof handle);
	fos_args_on_error(&args, FOS_CALL, on_error);
	fos_status status = fos_cap_keep(front->ch, lease);
	if (status == FOS_OK)
		set->lease = lease;
	if (status == FOS_OK)
		status = fos_request_invoke(front->ch, lease, &args, &options);
	return status;
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
	char error[VOLUMES_ERROR_MAX] = "", name[FOS_BLK_NAME_MAX];
	struct state *state = volume->user;
	uint64_t id = volume->id;
	memcpy(name, volume->name, sizeof name);
	/* Revoked first: when it is answered nobody reads or writes it any more. What cannot be deleted
	 * must be opened again. */
	if (!volume->path && state->common)
		set_revoke(front, state->common);
	if (!volume->path && state->exclusive)
		set_revoke(front, state->exclusive);
	fos_status status = volumes_delete(front->volumes, volume, error);
	if (status != FOS_OK)
		return fail(front, delivery, status, "%s", error);
	engine_file_close(state->file);
	free(state);
	for (unsigned i = 0; i < WATCHES_MAX; i++) {
		struct watch *watch = &front->watches[i];
		if (watch->delivery == FOS_DELIVERY_NONE || watch->volume != id)
			continue;
		snprintf(error, sizeof error, "volume %s was deleted", name);
		ignore(fos_fail(front->ch, watch->delivery, FOS_REVOKED, error));
		*watch = (struct watch){0};
	}
	return answer(front, delivery, NULL);
}

static fos_handled open_volume(struct front *front, const fos_delivery *delivery,
							   const fos_blk_args *args, struct volume *volume)
{
	struct state *state = volume->user;
	bool exclusive = args->flags & FOS_BLK_EXCLUSIVE;
	const fos_delivered_cap *lease = &delivery->caps[FOS_BLK_LEASE];
	if ((args->flags & ~(uint32_t)(FOS_BLK_READ | FOS_BLK_WRITE | FOS_BLK_EXCLUSIVE)) ||
		!(args->flags & (FOS_BLK_READ | FOS_BLK_WRITE)))
		return fail(front, delivery, FOS_INVALID, "blk: %#x are no flags for an open", args->flags);
	if (exclusive && (lease->cap == FOS_CAP_NONE || lease->kind != FOS_REQUEST))
		return fail(front, delivery, FOS_INVALID, "blk: an exclusive open needs a lease Request");
	if (state->exclusive && (!reachable(front, state->exclusive->lease) ||
							 (exclusive && is_holder(front, state->exclusive, lease->cap))))
		set_revoke(front, state->exclusive);
	if (state->exclusive)
		return fail(front, delivery, FOS_BUSY, "volume %s is held exclusively", volume->name);
	struct set **place = exclusive ? &state->exclusive : &state->common;
	fos_status status = *place ? FOS_OK : set_make(front, volume, place);
	if (status == FOS_OK && exclusive) {
		status = lease_hold(front, *place, lease->cap);
		if (status != FOS_OK)
			set_revoke(front, *place);
	}
	if (status != FOS_OK)
		return fail(front, delivery, status, "volume %s cannot be opened: %s", volume->name,
					fos_status_text(status));
	static const uint32_t needed[] = {FOS_BLK_READ, FOS_BLK_WRITE, FOS_BLK_WRITE};
	struct handle handles[3];
	fos_blk_info info;
	fos_args result;
	fos_args_init(&result);
	fill_info(volume, &info);
	fos_args_imm(&result, FOS_CALL, FOS_RESULT, &info, sizeof info);
	for (unsigned i = 0; i < 3; i++) {
		if (!(args->flags & needed[i]))
			continue;
		handles[i] = handle_of(front, *place, (enum engine_kind)i);
		fos_cap cap = fos_args_refine(&result, (*place)->base);
		fos_args_imm(&result, cap, 0, &handles[i], sizeof handles[i]);
		fos_args_cap(&result, FOS_CALL, FOS_CAP_RESULT + i, cap);
	}
	return answer(front, delivery, &result);
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

/* A place for one more watch: a free one, else of one whose node is gone, else the oldest one's. */
static struct watch *watch_place(struct front *front)
{
	for (unsigned i = 0; i < WATCHES_MAX; i++)
		if (front->watches[i].delivery == FOS_DELIVERY_NONE)
			return &front->watches[i];
	struct watch *place = &front->watches[0];
	for (unsigned i = 0; i < WATCHES_MAX; i++) {
		struct watch *at = &front->watches[i];
		if (at->next != FOS_CAP_NONE && !reachable(front, at->next)) {
			place = at;
			break;
		}
		if (at->order < place->order)
			place = at;
	}
	ignore(fos_fail(front->ch, place->delivery, FOS_QUOTA, "blk: too many watch; watch again"));
	return place;
}

static fos_handled watch(struct front *front, const fos_delivery *delivery,
						 const struct volume *volume)
{
	*watch_place(front) = (struct watch){.delivery = delivery->id,
										 .volume = volume->id,
										 .order = ++front->watches_ever,
										 .next = fos_delivery_cap(delivery, FOS_NEXT)};
	return FOS_FINISH_LATER;
}

static fos_handled root_asked(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct front *front = arg;
	if (delivery->exception.status != FOS_OK)
		return FOS_FINISH;
	const fos_blk_args *args = fos_delivery_imm(delivery, FOS_ARG, sizeof *args);
	if (!args)
		return fail(front, delivery, FOS_INVALID, "blk: the arguments are too short");
	if (args->op < FOS_BLK_CREATE || args->op > FOS_BLK_WATCH)
		return fail(front, delivery, FOS_UNSUPPORTED, "blk: there is no operation %u", args->op);
	if (args->op != FOS_BLK_WATCH && fos_delivery_cap(delivery, FOS_NEXT) == FOS_CAP_NONE)
		return fail(front, delivery, FOS_INVALID, "blk: no Request for the answer");
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
	if (args->op == FOS_BLK_OPEN)
		return open_volume(front, delivery, args, volume);
	return watch(front, delivery, volume);
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
	engine_fd_clear(front->engine);
	engine_poll(front->engine);
}

static fos_status make_requests(struct front *front)
{
	fos_status status = fos_watch(front->ch, engine_fd(front->engine), on_event, front);
	if (status == FOS_OK)
		status = fos_set_poller(front->ch, on_turn, front);
	if (status == FOS_OK)
		status = fos_request_create(front->ch, lease_ended, front, NULL, &front->lease_end);
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
	front->volumes = volumes;
	LIST_INIT(&front->requests);
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
	while (!LIST_EMPTY(&front->requests)) {
		struct request *request = LIST_FIRST(&front->requests);
		LIST_REMOVE(request, link);
		free(request);
	}
	free(front);
}
