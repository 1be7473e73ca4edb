/* How one piece of a batch runs in each of the four modes; see verify.h for what they are.
 *
 *     chain        upload => read => launch => answer          (=>: no word from us)
 *     fast-star    upload, read -> launch -> answer            (->: we start the next step)
 *     star2        upload, read to us -> move -> launch -> answer
 *     star3        upload, relayed read to us -> move -> launch -> answer
 */
#include "frontend.h"

#include <string.h>

#include <fractos/fs.h>

/* ------------------------------------------------------------------ what is said in each mode */

/* Binds a read of the piece's gallery photos to `of`. */
static void bind_read(const struct lane *lane, fos_args *args, fos_cap of,
					  const fos_fs_args *header, fos_cap memory)
{
	fos_fs_args_io(args, of, header, lane->items, memory);
}

/* Binds the launch of the kernel to `of`, its distances copied to our own Memory. */
static void bind_launch(struct lane *lane, fos_args *args, fos_cap of)
{
	const uint64_t bytes = lane->count * sizeof(float);
	fos_gpu_launch_init(&lane->launch, lane->count, 1);
	fos_gpu_launch_memory(&lane->launch, args, of, 0, lane->gpu_gallery);
	fos_gpu_launch_memory(&lane->launch, args, of, 1, lane->gpu_probes);
	fos_gpu_launch_memory(&lane->launch, args, of, 2, lane->gpu_distances);
	fos_gpu_launch_value(&lane->launch, 3, &lane->count, sizeof lane->count);
	fos_gpu_launch_bind(&lane->launch, args, of);
	fos_args_cap(args, of, FOS_GPU_COPY_FROM,
				 fos_args_diminish(args, lane->gpu_distances, 0, bytes, 0));
	fos_args_cap(args, of, FOS_GPU_COPY_TO, lane->own_distances);
}

static fos_invoke_options options_of(const struct lane *lane)
{
	const uint64_t now = frontend_now();
	return (fos_invoke_options){.time = lane->deadline > now ? lane->deadline - now : 1,
								.trace = lane->trace};
}

static fos_fs_args read_header(const struct lane *lane, unsigned flags)
{
	return (fos_fs_args){.op = FOS_FS_READ, .flags = flags, .count = lane->count};
}

/* ------------------------------------------------------------------ what comes back */

/* A delivery for an earlier piece of this lane, revoked too late to stop it, is not ours. */
static bool is_current(const struct lane *lane, const fos_delivery *delivery)
{
	return lane->state == LANE_RUNNING && delivery->trace == lane->trace;
}

static void fail_by(struct lane *lane, const fos_exception *exception, const char *step)
{
	const char *text = fos_status_text(exception->status);
	const bool more = exception->detail_len > 0 && strcmp(exception->detail, text) != 0;
	if (exception->status == FOS_TIMED_OUT)
		lane_fail(lane, exception->status, "%s: no answer in time", step);
	else
		lane_fail(lane, exception->status, "%s: %s at %s%s%s", step, text, exception->where,
				  more ? ": " : "", more ? exception->detail : "");
}

static fos_handled answered(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct lane *lane = arg;
	if (!is_current(lane, delivery))
		return FOS_FINISH;
	lane->awaits &= ~(unsigned)LANE_ANSWER;
	if (delivery->exception.status != FOS_OK)
		fail_by(lane, &delivery->exception, verify_mode_name(lane->verifier->mode));
	else
		lane->state = LANE_LANDED;
	return FOS_FINISH;
}

static fos_handled read_answered(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct lane *lane = arg;
	if (!is_current(lane, delivery))
		return FOS_FINISH;
	lane->awaits &= ~(unsigned)LANE_READ;
	if (delivery->exception.status != FOS_OK)
		fail_by(lane, &delivery->exception, "reading the gallery");
	return FOS_FINISH;
}

static void completed(struct lane *lane, const fos_result *result, unsigned awaited,
					  const char *step)
{
	lane->completions--;
	if (lane->state != LANE_RUNNING)
		return;
	lane->awaits &= ~awaited;
	if (result->status != FOS_OK)
		lane_fail(lane, result->status, "%s: %s", step, fos_status_text(result->status));
}

static void upload_completed(fos_channel *ch, const fos_result *result, void *arg)
{
	completed(arg, result, LANE_UPLOAD, "copying probes to the GPU");
}

static void move_completed(fos_channel *ch, const fos_result *result, void *arg)
{
	completed(arg, result, LANE_MOVE, "copying gallery photos to the GPU");
}

static void call_completed(fos_channel *ch, const fos_result *result, void *arg)
{
	completed(arg, result, 0, "calling a service");
}

static fos_status make_answer(struct lane *lane, fos_handler handler, fos_cap *out)
{
	const fos_request_options once = {.once = true, .deadline = options_of(lane).time};
	return fos_request_create(lane->verifier->ch, handler, lane, &once, out);
}

/* ------------------------------------------------------------------ chain */

/* The whole task in one call. Its end, good or bad, is `answer`; we are not on the way. */
static fos_status start_chain(struct lane *lane)
{
	verifier *v = lane->verifier;
	const fos_fs_args header = read_header(lane, 0);
	const fos_invoke_options options = options_of(lane);
	fos_args chain;
	fos_args_init(&chain);

	fos_cap read = fos_args_refine(&chain, v->fs);
	fos_cap launch = fos_args_refine(&chain, v->kernel);
	bind_read(lane, &chain, read, &header, lane->gpu_gallery);
	bind_launch(lane, &chain, launch);
	fos_args_cap(&chain, FOS_CALL, FOS_NEXT, read);
	fos_args_cap(&chain, read, FOS_NEXT, launch);
	fos_args_cap(&chain, launch, FOS_NEXT, lane->answer);
	fos_args_on_error(&chain, FOS_CALL, lane->answer);
	fos_args_on_error(&chain, read, lane->answer);
	lane->awaits = LANE_UPLOAD | LANE_ANSWER;
	return fos_memory_copy_async(v->ch, lane->gpu_probes, lane->probes, &chain, &options,
								 upload_completed, lane);
}

/* ------------------------------------------------------------------ stars */

static fos_status start_read(struct lane *lane, fos_cap memory, unsigned flags)
{
	verifier *v = lane->verifier;
	const fos_fs_args header = read_header(lane, flags);
	const fos_invoke_options options = options_of(lane);
	fos_args args;
	fos_args_init(&args);
	bind_read(lane, &args, FOS_CALL, &header, memory);
	fos_args_cap(&args, FOS_CALL, FOS_NEXT, lane->read_answer);
	fos_args_on_error(&args, FOS_CALL, lane->read_answer);
	return fos_request_invoke_async(v->ch, v->fs, &args, &options, call_completed, lane);
}

static fos_status start_launch(struct lane *lane)
{
	verifier *v = lane->verifier;
	const fos_invoke_options options = options_of(lane);
	fos_args args;
	fos_args_init(&args);
	bind_launch(lane, &args, FOS_CALL);
	fos_args_cap(&args, FOS_CALL, FOS_NEXT, lane->answer);
	fos_args_on_error(&args, FOS_CALL, lane->answer);
	lane->awaits = LANE_ANSWER;
	return fos_request_invoke_async(v->ch, v->kernel, &args, &options, call_completed, lane);
}

/* Probes and gallery photos set out at the same time. */
static fos_status start_star(struct lane *lane)
{
	verifier *v = lane->verifier;
	const fos_invoke_options options = options_of(lane);
	fos_status status = make_answer(lane, read_answered, &lane->read_answer);
	if (status != FOS_OK)
		return status;
	lane->awaits = LANE_READ | LANE_UPLOAD;
	if (v->mode != VERIFY_FAST_STAR)
		lane->awaits |= LANE_MOVE;
	status = start_read(lane, v->mode == VERIFY_FAST_STAR ? lane->gpu_gallery : lane->own_gallery,
						v->mode == VERIFY_STAR3 ? FOS_FS_RELAYED : 0);
	if (status != FOS_OK)
		return status;
	lane->completions++;
	return fos_memory_copy_async(v->ch, lane->gpu_probes, lane->probes, NULL, &options,
								 upload_completed, lane);
}

/* The gallery photos are here: on to the GPU. A short piece moves only what it has. */
static fos_status start_move(struct lane *lane)
{
	verifier *v = lane->verifier;
	const fos_invoke_options options = options_of(lane);
	fos_cap source = lane->own_gallery;
	if (lane->count < v->options.piece) {
		fos_status status = fos_memory_diminish(v->ch, lane->own_gallery, 0,
												(uint64_t)lane->count * LBP_PHOTO, 0, &source);
		if (status != FOS_OK)
			return status;
	}
	fos_status status = fos_memory_copy_async(v->ch, lane->gpu_gallery, source, NULL, &options,
											  move_completed, lane);
	if (source != lane->own_gallery)
		frontend_ignore(fos_cap_close_async(v->ch, source, NULL, NULL));
	return status;
}

/* ------------------------------------------------------------------ for verify.c */

/* Notes the completion to come of a call that was accepted, or fails the lane. */
static void began(struct lane *lane, fos_status status, const char *step)
{
	if (status == FOS_OK)
		lane->completions++;
	else
		lane_fail(lane, status, "%s: %s", step, fos_status_text(status));
}

void mode_start(struct lane *lane)
{
	lane->state = LANE_RUNNING;
	lane->awaits = 0;
	const fos_status status = make_answer(lane, answered, &lane->answer);
	if (status != FOS_OK)
		lane_fail(lane, status, "making a reply: %s", fos_status_text(status));
	else if (lane->verifier->mode == VERIFY_CHAIN)
		began(lane, start_chain(lane), "starting the chain");
	else
		began(lane, start_star(lane), "starting");
}

void mode_step(struct lane *lane)
{
	if (lane->state != LANE_RUNNING || lane->verifier->mode == VERIFY_CHAIN)
		return;
	const unsigned steps = LANE_READ | LANE_UPLOAD | LANE_MOVE | LANE_ANSWER;
	if ((lane->awaits & LANE_MOVE) && !(lane->awaits & (LANE_READ | LANE_MOVING))) {
		lane->awaits |= LANE_MOVING;
		began(lane, start_move(lane), "copying gallery photos to the GPU");
	}
	if (lane->state == LANE_RUNNING && (lane->awaits & steps) == 0)
		began(lane, start_launch(lane), "launching the kernel");
}
