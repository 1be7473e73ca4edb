/* The block service's blocking calls, for every Process: part of libfractos. */
#include <string.h>

#include <fractos/blk.h>

/* For clean-up whose failure leaves nothing to be done: only a lost Controller makes it fail, and
 * then there is nothing to clean up. */
static void ignore(fos_status status)
{
	(void)status;
}

static fos_status set_name(fos_blk_args *request, const char *name)
{
	size_t len = name ? strlen(name) : 0;
	if (!name || len >= sizeof request->name)
		return FOS_INVALID;
	memcpy(request->name, name, len);
	return FOS_OK;
}

/* One operation on the root Request that answers nothing. */
static fos_status command(fos_channel *ch, fos_cap blk, uint32_t op, const char *name,
						  uint64_t size)
{
	fos_blk_args request = {.op = op, .size = size};
	fos_status status = set_name(&request, name);
	if (status != FOS_OK)
		return status;
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &request, sizeof request);
	fos_reply reply;
	status = fos_call(ch, blk, &args, 0, &reply);
	fos_reply_release(ch, &reply);
	return status;
}

fos_status fos_blk_create(fos_channel *ch, fos_cap blk, const char *name, uint64_t size)
{
	return command(ch, blk, FOS_BLK_CREATE, name, size);
}

fos_status fos_blk_delete(fos_channel *ch, fos_cap blk, const char *name)
{
	return command(ch, blk, FOS_BLK_DELETE, name, 0);
}

static void close_volume(fos_channel *ch, const fos_blk_volume *volume)
{
	const fos_cap caps[] = {volume->read, volume->write, volume->flush, volume->read_window,
							volume->write_window};
	for (unsigned i = 0; i < 5; i++)
		if (caps[i] != FOS_CAP_NONE)
			ignore(fos_cap_close(ch, caps[i]));
}

/* Takes what an OPEN answered out of its reply. On an error nothing stays kept. */
static fos_status take_volume(fos_channel *ch, const fos_reply *reply, unsigned flags,
							  fos_blk_volume *out)
{
	const fos_delivery *delivery = &reply->delivery;
	const void *info = fos_delivery_imm(delivery, FOS_RESULT, sizeof out->info);
	if (!info)
		return FOS_INTERNAL;
	fos_blk_volume volume = {0};
	memcpy(&volume.info, info, sizeof volume.info);
	volume.info.name[FOS_BLK_NAME_MAX - 1] = 0;
	fos_cap *const caps[] = {&volume.read, &volume.write, &volume.flush, &volume.read_window,
							 &volume.write_window};
	const unsigned needed[] = {FOS_BLK_READ, FOS_BLK_WRITE, FOS_BLK_WRITE, FOS_BLK_READ,
							   FOS_BLK_WRITE};
	for (unsigned i = 0; i < 5; i++) {
		if (!(flags & needed[i]))
			continue;
		fos_cap cap = fos_delivery_cap(delivery, FOS_CAP_RESULT + i);
		fos_status status = cap == FOS_CAP_NONE ? FOS_INTERNAL : fos_cap_keep(ch, cap);
		if (status != FOS_OK) {
			close_volume(ch, &volume);
			return status;
		}
		*caps[i] = cap;
	}
	*out = volume;
	return FOS_OK;
}

static fos_status open_within(fos_channel *ch, fos_cap blk, const char *name, unsigned flags,
							  uint64_t time, fos_blk_volume *out)
{
	fos_blk_args request = {.op = FOS_BLK_OPEN, .flags = flags};
	fos_status status = set_name(&request, name);
	if (status != FOS_OK)
		return status;
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &request, sizeof request);
	fos_cap life;
	if (flags & FOS_BLK_EXCLUSIVE) {
		status = fos_channel_life(ch, &life);
		if (status != FOS_OK)
			return status;
		fos_args_cap(&args, FOS_CALL, FOS_BLK_LIFE, life);
	}
	fos_reply reply;
	status = fos_call(ch, blk, &args, time, &reply);
	if (status == FOS_OK)
		status = take_volume(ch, &reply, flags, out);
	fos_reply_release(ch, &reply);
	return status;
}

fos_status fos_blk_open(fos_channel *ch, fos_cap blk, const char *name, unsigned flags,
						fos_blk_volume *out)
{
	return open_within(ch, blk, name, flags, 0, out);
}

fos_status fos_blk_open_wait(fos_channel *ch, fos_cap blk, const char *name, unsigned flags,
							 uint64_t time, fos_blk_volume *out)
{
	return open_within(ch, blk, name, flags | FOS_BLK_WAIT, time, out);
}

fos_status fos_blk_list(fos_channel *ch, fos_cap blk, void (*each)(const fos_blk_info *, void *),
						void *arg)
{
	fos_blk_args request = {.op = FOS_BLK_LIST};
	fos_status status = FOS_OK;
	for (bool more = true; more;) {
		fos_args args;
		fos_args_init(&args);
		fos_args_imm(&args, FOS_CALL, FOS_ARG, &request, sizeof request);
		fos_reply reply;
		status = fos_call(ch, blk, &args, 0, &reply);
		uint32_t len = status == FOS_OK ? fos_delivery_imm_len(&reply.delivery, FOS_RESULT) : 0;
		const char *bytes = len > 0 ? fos_delivery_imm(&reply.delivery, FOS_RESULT, len) : NULL;
		uint32_t count = bytes ? len / (uint32_t)sizeof(fos_blk_info) : 0;
		for (uint32_t i = 0; i < count; i++) {
			fos_blk_info info;
			memcpy(&info, bytes + i * sizeof info, sizeof info);
			info.name[FOS_BLK_NAME_MAX - 1] = 0;
			memcpy(request.name, info.name, sizeof request.name);
			each(&info, arg);
		}
		more = count >= FOS_BLK_LIST_MAX;
		fos_reply_release(ch, &reply);
	}
	return status;
}

static fos_status transfer(fos_channel *ch, fos_cap request, uint64_t offset, uint64_t length,
						   fos_cap memory)
{
	const fos_blk_range range = {.offset = offset, .length = length};
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &range, sizeof range);
	fos_args_cap(&args, FOS_CALL, FOS_BLK_MEMORY, memory);
	fos_reply reply;
	fos_status status = fos_call(ch, request, &args, 0, &reply);
	fos_reply_release(ch, &reply);
	return status;
}

fos_status fos_blk_read(fos_channel *ch, const fos_blk_volume *volume, uint64_t offset,
						uint64_t length, fos_cap memory)
{
	return transfer(ch, volume->read, offset, length, memory);
}

fos_status fos_blk_write(fos_channel *ch, const fos_blk_volume *volume, uint64_t offset,
						 uint64_t length, fos_cap memory)
{
	return transfer(ch, volume->write, offset, length, memory);
}

fos_status fos_blk_flush(fos_channel *ch, const fos_blk_volume *volume)
{
	fos_reply reply;
	fos_status status = fos_call(ch, volume->flush, NULL, 0, &reply);
	fos_reply_release(ch, &reply);
	return status;
}
