/* The frontend: connections, batches and errors; modes.c runs the pieces. See verify.h. */
#include "frontend.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fractos/registry.h>

#include "kernel.h"

enum query_state { QUERY_WAITS, QUERY_ALONE, QUERY_RUNS, QUERY_ENDED };

/* Of chains, on their way at once: the link does not rest while we hear that one has left. */
enum { CHAIN_UPLOADS = 2 };

#define TICK          20000000u   /* ns: longest wait between two looks at deadlines */
#define FIND_TIME     800000000u  /* ns of a batch to find services again */
#define BATCH_TIME    1300000000u /* ns of a batch that had to: the rest is for its pieces */
#define REGISTRY_TIME 1000000000u /* ns for a registry to be there */

const char *verify_mode_name(verify_mode mode)
{
	static const char *const names[VERIFY_MODES] = {"chain", "fast-star", "star2", "star3"};
	return names[mode];
}

uint64_t frontend_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void lane_fail(struct lane *lane, fos_status status, const char *format, ...)
{
	if (lane->state == LANE_FAILED)
		return;
	lane->state = LANE_FAILED;
	lane->status = status;
	va_list list;
	va_start(list, format);
	(void)vsnprintf(lane->error, sizeof lane->error, format, list);
	va_end(list);
}

/* ------------------------------------------------------------------ connect */

static uint64_t round_up(uint64_t bytes)
{
	return (bytes + FOS_GPU_ALIGN - 1) / FOS_GPU_ALIGN * FOS_GPU_ALIGN;
}

static fos_status refuse(verifier *v, fos_status status, const char *doing, const char *detail)
{
	(void)snprintf(v->error, sizeof v->error, "%s: %s%s%s", doing, fos_status_text(status),
				   detail[0] ? ": " : "", detail);
	return status;
}

/* Uploads the kernel's source and has it built. */
static fos_status build_kernel(verifier *v)
{
	fos_process *process = fos_channel_process(v->ch);
	char log[1024] = "";
	void *text = NULL;
	fos_cap source = FOS_CAP_NONE;
	fos_status status = fos_alloc(process, face_kernel_source_size, 64, &text);
	if (status != FOS_OK)
		return refuse(v, status, "allocating the kernel's source", "");
	memcpy(text, face_kernel_source, face_kernel_source_size);
	status = fos_memory_create(v->ch, text, face_kernel_source_size, FOS_READ, &source);
	if (status == FOS_OK) {
		status = fos_gpu_module(v->ch, v->context, source, "", log, sizeof log, &v->module);
		frontend_ignore(fos_cap_revoke(v->ch, source));
	}
	fos_free(process, text);
	if (status == FOS_OK)
		status = fos_gpu_kernel(v->ch, v->module, "face_verify", &v->kernel);
	return status == FOS_OK ? FOS_OK : refuse(v, status, "building the kernel", log);
}

/* One lane's part of the GPU's memory and of our own. */
static fos_status prepare_lane(verifier *v, struct lane *lane, uint8_t *own)
{
	const uint64_t photos = (uint64_t)v->options.piece * LBP_PHOTO, at = round_up(photos);
	const uint64_t distances = v->options.piece * sizeof(float);
	fos_cap unused = FOS_CAP_NONE;
	lane->gallery = own;
	lane->distances = (float *)(void *)(own + at);
	fos_status status =
		fos_gpu_alloc(v->ch, v->context, 2 * at + distances, &lane->gpu_memory, &unused);
	if (status == FOS_OK) /* the context's end frees it */
		status = fos_cap_close(v->ch, unused);
	if (status == FOS_OK)
		status = fos_memory_diminish(v->ch, lane->gpu_memory, 0, photos, 0, &lane->gpu_gallery);
	if (status == FOS_OK)
		status = fos_memory_diminish(v->ch, lane->gpu_memory, at, photos, 0, &lane->gpu_probes);
	if (status == FOS_OK)
		status = fos_memory_diminish(v->ch, lane->gpu_memory, 2 * at, distances, 0,
									 &lane->gpu_distances);
	if (status == FOS_OK)
		status = fos_memory_create(v->ch, lane->gallery, photos, FOS_READ | FOS_WRITE,
								   &lane->own_gallery);
	if (status == FOS_OK)
		status =
			fos_memory_create(v->ch, lane->distances, distances, FOS_WRITE, &lane->own_distances);
	return status == FOS_OK ? FOS_OK : refuse(v, status, "allocating GPU memory", "");
}

static fos_status prepare_lanes(verifier *v)
{
	const uint64_t each = 2 * round_up((uint64_t)v->options.piece * LBP_PHOTO);
	fos_status status = FOS_OK;
	if (v->bytes == NULL)
		status = fos_alloc(fos_channel_process(v->ch), v->options.depth * each, 4096, &v->bytes);
	if (status == FOS_OK)
		status = fos_memory_create(v->ch, v->photos, (uint64_t)v->photo_count * LBP_PHOTO, FOS_READ,
								   &v->own_photos);
	if (status != FOS_OK)
		return refuse(v, status, "lending the photos", "");
	for (uint32_t i = 0; i < v->options.depth && status == FOS_OK; i++)
		status = prepare_lane(v, &v->lanes[i], (uint8_t *)v->bytes + i * each);
	return status;
}

/* For objects of our own: afterwards no byte is read or written through them any more. */
static void take_back(verifier *v, fos_cap *cap)
{
	if (*cap != FOS_CAP_NONE) {
		frontend_ignore(fos_cap_revoke(v->ch, *cap));
		frontend_drop(v, cap);
	}
}

/* Nothing waits here: these calls cost a record each, and their completions nobody needs. */
static void end_answer(verifier *v, fos_cap *answer, bool consumed)
{
	if (*answer == FOS_CAP_NONE)
		return;
	if (!consumed)
		frontend_ignore(fos_cap_revoke_async(v->ch, *answer, NULL, NULL));
	frontend_ignore(fos_cap_close_async(v->ch, *answer, NULL, NULL));
	*answer = FOS_CAP_NONE;
}

static void end_piece(verifier *v, struct lane *lane)
{
	end_answer(v, &lane->read_answer, lane->state == LANE_LANDED);
	end_answer(v, &lane->answer, lane->state == LANE_LANDED);
	if (lane->probes != FOS_CAP_NONE)
		frontend_ignore(fos_cap_close_async(v->ch, lane->probes, NULL, NULL));
	lane->probes = FOS_CAP_NONE;
	lane->state = LANE_IDLE;
}

/* Asks the GPU service to free what we had; nobody waits for an answer, it may be dead. */
static void leave_context(verifier *v)
{
	const fos_gpu_args close = {.op = FOS_GPU_CLOSE};
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &close, sizeof close);
	if (v->context != FOS_CAP_NONE)
		frontend_ignore(fos_request_invoke(v->ch, v->context, &args, NULL));
}

/* Takes back all that was lent and forgets all capabilities. Revoking ends transfers, so what is
 * outstanding completes. */
static void disconnect(verifier *v)
{
	take_back(v, &v->own_photos);
	for (uint32_t i = 0; i < v->options.depth; i++) {
		struct lane *lane = &v->lanes[i];
		end_piece(v, lane);
		take_back(v, &lane->own_distances);
		take_back(v, &lane->own_gallery);
		frontend_drop(v, &lane->gpu_gallery);
		frontend_drop(v, &lane->gpu_probes);
		frontend_drop(v, &lane->gpu_distances);
		frontend_drop(v, &lane->gpu_memory);
	}
	leave_context(v);
	frontend_drop(v, &v->kernel);
	frontend_drop(v, &v->module);
	frontend_drop(v, &v->context);
	v->connected = false; /* the root Requests stay: they tell whether their nodes are there */
}

/* Asks the registry for a service until `end`, and the service whether it answers. */
static fos_status find_service(verifier *v, const char *name, uint64_t end, fos_cap *out)
{
	const uint64_t now = frontend_now();
	fos_cap found = FOS_CAP_NONE;
	char doing[64];
	(void)snprintf(doing, sizeof doing, "looking for the service \"%s\"", name);
	fos_status status = fos_registry_wait(v->ch, name, end > now ? end - now : 1, &found);
	if (status != FOS_OK)
		return refuse(v, status, doing, "");
	frontend_drop(v, out);
	*out = found;
	status = frontend_ask_whether(v, found, end);
	return status == FOS_OK ? FOS_OK : refuse(v, status, doing, "");
}

static fos_status find_services(verifier *v, uint64_t end)
{
	const uint64_t now = frontend_now(), left = end > now ? end - now : 1;
	fos_cap registry = FOS_CAP_NONE;
	fos_status status =
		fos_registry_get(v->ch, left < REGISTRY_TIME ? left : REGISTRY_TIME, &registry);
	frontend_drop(v, &registry);
	if (status != FOS_OK)
		return refuse(v, status, "looking for the registry", "");
	status = find_service(v, "fs", end, &v->fs);
	return status == FOS_OK ? find_service(v, "gpu", end, &v->gpu) : status;
}

static fos_status prepare(verifier *v)
{
	const fos_status status = fos_gpu_context(v->ch, v->gpu, &v->context);
	if (status != FOS_OK)
		return refuse(v, status, "opening a GPU context", "");
	const fos_status built = build_kernel(v);
	return built == FOS_OK ? prepare_lanes(v) : built;
}

/* Whether somebody who died, or a link that broke, may be back in a moment. */
static bool may_pass(fos_status status)
{
	return status == FOS_PEER_LOST || status == FOS_REVOKED || status == FOS_STALE ||
		   status == FOS_OUTCOME_UNKNOWN;
}

static fos_status connect_until(verifier *v, uint64_t end)
{
	fos_status status;
	for (;;) {
		status = find_services(v, end);
		if (status == FOS_OK)
			status = prepare(v);
		if (status == FOS_OK)
			break;
		disconnect(v);
		if (!may_pass(status) || fos_lost(v->ch) || frontend_now() >= end) {
			frontend_name_the_dead(v, v->error);
			return status;
		}
		fos_wait(v->ch, TICK); /* of a link that is up again nobody tells */
	}
	v->connected = true;
	v->connections++;
	return FOS_OK;
}

fos_status verify_connect(verifier *v)
{
	return v->connected ? FOS_OK : connect_until(v, frontend_now() + v->options.patience);
}

verifier *verify_open(fos_channel *ch, const verify_options *options, gallery *known,
					  uint8_t *photos, uint32_t photo_count)
{
	verifier *v = calloc(1, sizeof *v);
	if (v == NULL)
		return NULL;
	v->ch = ch;
	v->options = *options;
	v->known = known;
	v->photos = photos;
	v->photo_count = photo_count;
	for (uint32_t i = 0; i < VERIFY_DEPTH_MAX; i++)
		v->lanes[i].verifier = v;
	return v;
}

/* Waits until no completion refers to a lane any more. */
static bool settle(verifier *v, uint64_t time)
{
	for (const uint64_t end = frontend_now() + time;;) {
		unsigned outstanding = 0;
		for (uint32_t i = 0; i < v->options.depth; i++)
			outstanding += v->lanes[i].completions;
		const uint64_t now = frontend_now();
		if (outstanding == 0 || fos_lost(v->ch) || now >= end)
			return outstanding == 0;
		fos_wait(v->ch, end - now < TICK ? end - now : TICK);
	}
}

void verify_close(verifier *v)
{
	if (v == NULL)
		return;
	disconnect(v);
	frontend_drop(v, &v->gpu);
	frontend_drop(v, &v->fs);
	/* A lost Controller completes nothing any more; else revoking has ended what was under way. A
	 * completion that refuses to come would name a lane, so the lanes are left behind then. */
	if (!settle(v, 1000000000u) && !fos_lost(v->ch))
		return;
	fos_free(fos_channel_process(v->ch), v->bytes);
	free(v);
}

const char *verify_error(const verifier *v)
{
	return v->error;
}

fos_cap verify_fs(const verifier *v)
{
	return v->connected ? v->fs : FOS_CAP_NONE;
}

uint32_t verify_connections(const verifier *v)
{
	return v == NULL ? 0 : v->connections;
}

/* ------------------------------------------------------------------ batches */

static void end_query(verifier *v, uint32_t query, fos_status status, float distance,
					  const char *error)
{
	const verify_verdict verdict = {.status = status, .distance = distance, .error = error};
	v->states[query] = QUERY_ENDED;
	v->open--;
	if (status != FOS_OK)
		v->worst = status;
	v->done(v->arg, query, &verdict);
}

/* Whether a piece's error may be that of one query alone, while the services are well. */
static bool is_of_one_query(fos_status status)
{
	return status == FOS_NOT_FOUND || status == FOS_RANGE || status == FOS_INVALID;
}

static void end_failed(verifier *v, struct lane *lane)
{
	if (is_of_one_query(lane->status) && lane->count > 1) {
		/* Each on its own: the good ones get their verdicts, the bad one its error. */
		for (uint32_t i = lane->first; i < lane->first + lane->count; i++)
			v->states[i] = QUERY_ALONE;
		v->next = lane->first < v->next ? lane->first : v->next;
		end_piece(v, lane);
		return;
	}
	if (!is_of_one_query(lane->status)) {
		if (!v->broken) {
			v->broken = true;
			v->broken_status = lane->status;
			memcpy(v->broken_error, lane->error, sizeof v->broken_error);
			frontend_name_the_dead(v, v->broken_error);
		}
		memcpy(lane->error, v->broken_error, sizeof lane->error);
	}
	for (uint32_t i = lane->first; i < lane->first + lane->count; i++)
		end_query(v, i, lane->status, 0, lane->error);
	end_piece(v, lane);
}

static void end_landed(verifier *v, struct lane *lane)
{
	for (uint32_t i = 0; i < lane->count; i++)
		end_query(v, lane->first + i, FOS_OK, lane->distances[i], NULL);
	end_piece(v, lane);
}

/* Takes the next queries whose photos follow each other. */
static bool take_piece(verifier *v, struct lane *lane)
{
	while (v->next < v->count && v->states[v->next] > QUERY_ALONE)
		v->next++;
	if (v->next == v->count)
		return false;
	const uint32_t first = v->next;
	uint32_t count = 1;
	while (v->states[first] == QUERY_WAITS && count < v->options.piece &&
		   first + count < v->count && v->states[first + count] == QUERY_WAITS &&
		   v->queries[first + count].photo == v->queries[first].photo + count)
		count++;
	for (uint32_t i = 0; i < count; i++) {
		v->states[first + i] = QUERY_RUNS;
		lane->items[i] = (fos_fs_item){.file = v->files[first + i], .length = LBP_PHOTO};
	}
	lane->first = first;
	lane->count = count;
	lane->trace = v->trace + v->pieces++;
	lane->deadline = frontend_now() + v->options.timeout;
	if (lane->deadline > v->end)
		lane->deadline = v->end;
	v->next = first + count;
	return true;
}

/* A chain reads the gallery behind its upload. Were all uploads under way at once they would share
 * the link and end together, and until then nothing would be read: so a later one sets out when
 * an earlier one has left, and overlaps with its read. */
static bool is_link_full(const verifier *v)
{
	unsigned uploads = 0;
	for (uint32_t i = 0; i < v->options.depth; i++)
		uploads += v->lanes[i].state == LANE_RUNNING && (v->lanes[i].awaits & LANE_UPLOAD) != 0;
	return v->mode == VERIFY_CHAIN && uploads >= CHAIN_UPLOADS;
}

/* Gives pieces to all lanes that are free; false: there was nothing to give, no lane, or the link
 * is full. */
static bool start_pieces(verifier *v)
{
	bool started = false;
	for (uint32_t i = 0; i < v->options.depth && !v->broken && !is_link_full(v); i++) {
		struct lane *lane = &v->lanes[i];
		if (lane->state != LANE_IDLE || lane->completions > 0)
			continue;
		if (!take_piece(v, lane))
			break;
		started = true;
		const uint64_t at = (uint64_t)v->queries[lane->first].photo * LBP_PHOTO;
		const fos_status status = fos_memory_diminish(
			v->ch, v->own_photos, at, (uint64_t)lane->count * LBP_PHOTO, 0, &lane->probes);
		if (status == FOS_OK)
			mode_start(lane);
		else
			lane_fail(lane, status, "naming the photos: %s", fos_status_text(status));
	}
	return started;
}

/* Moves every lane on; what was not started when something died ends like what was. */
static void turn(verifier *v)
{
	const uint64_t now = frontend_now();
	for (uint32_t i = 0; i < v->options.depth; i++) {
		struct lane *lane = &v->lanes[i];
		mode_step(lane);
		/* Deadlines are the ONCE Requests'; this one is for steps that have none. */
		if (lane->state == LANE_RUNNING && now > lane->deadline + VERIFY_GRACE / 4)
			lane_fail(lane, FOS_TIMED_OUT, "no answer in time");
		if (lane->state == LANE_LANDED)
			end_landed(v, lane);
		else if (lane->state == LANE_FAILED)
			end_failed(v, lane);
	}
	for (uint32_t i = 0; v->broken && i < v->count; i++)
		if (v->states[i] <= QUERY_ALONE)
			end_query(v, i, v->broken_status, 0, v->broken_error);
}

/* Finds each query's file; unknown identities end here. */
static void resolve(verifier *v)
{
	for (uint32_t i = 0; i < v->count; i++) {
		const char *name = v->queries[i].name;
		char error[VERIFY_ERROR_MAX];
		const fos_status status = v->queries[i].photo < v->photo_count
									  ? gallery_find(v->known, v->ch, v->fs, name, &v->files[i])
									  : FOS_RANGE;
		if (status == FOS_OK)
			continue;
		if (status == FOS_NOT_FOUND)
			(void)snprintf(error, sizeof error, "unknown identity \"%.200s\"", name);
		else
			(void)snprintf(error, sizeof error, "the gallery photo of \"%.200s\": %s", name,
						   fos_status_text(status));
		if (status != FOS_NOT_FOUND && !is_of_one_query(status)) {
			v->broken = true;
			v->broken_status = status;
			frontend_name_the_dead(v, error);
			memcpy(v->broken_error, error, sizeof v->broken_error);
			return;
		}
		end_query(v, i, status, 0, error);
	}
}

/* Every query that is not ended yet ends with this. */
static void end_all(verifier *v, fos_status status, const char *error)
{
	for (uint32_t i = 0; i < v->count; i++)
		if (v->states[i] != QUERY_ENDED)
			end_query(v, i, status, 0, error);
}

static void end_lost(verifier *v)
{
	(void)snprintf(v->broken_error, sizeof v->broken_error, "%s",
				   fos_status_text(FOS_CONTROLLER_LOST));
	frontend_name_the_dead(v, v->broken_error);
	end_all(v, FOS_CONTROLLER_LOST, v->broken_error);
}

/* Connects where services were lost. That takes of the time that the batch has. */
static fos_status find_again(verifier *v)
{
	const uint64_t now = frontend_now();
	v->end = UINT64_MAX;
	if (v->connected)
		return FOS_OK;
	v->end = now + (v->options.timeout > BATCH_TIME ? v->options.timeout : BATCH_TIME);
	return connect_until(v, now + FIND_TIME);
}

fos_status verify_batch(verifier *v, verify_mode mode, const verify_query *queries, uint32_t count,
						uint64_t trace, verify_done done, void *arg, uint32_t *pieces)
{
	if (count == 0 || count > VERIFY_BATCH_MAX || trace == 0 || mode >= VERIFY_MODES)
		return FOS_INVALID;
	v->mode = mode;
	v->queries = queries;
	v->count = v->open = count;
	v->next = v->pieces = 0;
	v->trace = trace;
	v->done = done;
	v->arg = arg;
	v->broken = false;
	v->worst = FOS_OK;
	memset(v->states, QUERY_WAITS, sizeof v->states);

	const fos_status status = find_again(v);
	if (status != FOS_OK) {
		end_all(v, status, v->error);
		if (pieces != NULL)
			*pieces = 0;
		return status;
	}
	resolve(v);
	while (v->open > 0) {
		do
			turn(v); /* ends pieces, which frees lanes */
		while (start_pieces(v));
		if (v->open > 0 && fos_wait(v->ch, TICK) == 0 && fos_lost(v->ch))
			end_lost(v);
	}
	if (v->broken || fos_lost(v->ch)) {
		disconnect(v);
		settle(v, 1000000000u);
	}
	if (pieces != NULL)
		*pieces = v->pieces;
	return v->worst;
}
