/* The file system's blocking calls, for every Process: part of libfractos.
 *
 * Each call is one fos_call() to the root Request: header and paths as immediates, the result
 * copied out of the reply. They hold no state.
 */
#include <string.h>

#include <fractos/fs.h>

enum { PATH_OFFSET = FOS_ARG + (int)sizeof(fos_fs_args), PATHS_BYTES = 2 * FOS_FS_PATH_MAX };

/* Paths of a call, one behind the other with their final zeros. */
struct paths {
	char bytes[PATHS_BYTES];
	size_t length;
};

static fos_status add_path(struct paths *paths, const char *path)
{
	size_t room = path ? strnlen(path, FOS_FS_PATH_MAX) + 1 : 0;
	if (room == 0 || room > FOS_FS_PATH_MAX)
		return FOS_INVALID;
	memcpy(paths->bytes + paths->length, path, room);
	paths->length += room;
	return FOS_OK;
}

/* One call; second may be NULL. *reply is always safe to release. */
static fos_status call_paths(fos_channel *ch, fos_cap fs, const fos_fs_args *header,
							 const char *first, const char *second, fos_reply *reply)
{
	memset(reply, 0, sizeof *reply);
	struct paths paths;
	paths.length = 0;
	fos_status status = add_path(&paths, first);
	if (status == FOS_OK && second)
		status = add_path(&paths, second);
	if (status != FOS_OK)
		return status;
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, header, sizeof *header);
	fos_args_imm(&args, FOS_CALL, PATH_OFFSET, paths.bytes, paths.length);
	return fos_call(ch, fs, &args, 0, reply);
}

/* A call of which only the end matters. */
static fos_status do_paths(fos_channel *ch, fos_cap fs, const fos_fs_args *header,
						   const char *first, const char *second)
{
	fos_reply reply;
	fos_status status = call_paths(ch, fs, header, first, second, &reply);
	fos_reply_release(ch, &reply);
	return status;
}

/* A call that answers with a fos_fs_stat. */
static fos_status stat_paths(fos_channel *ch, fos_cap fs, uint32_t op, const char *path,
							 fos_fs_stat *out)
{
	fos_fs_args header = {.op = op};
	fos_reply reply;
	fos_status status = call_paths(ch, fs, &header, path, NULL, &reply);
	if (status == FOS_OK) {
		const void *result = fos_delivery_imm(&reply.delivery, FOS_RESULT, sizeof *out);
		if (result)
			memcpy(out, result, sizeof *out);
		else
			status = FOS_INTERNAL;
	}
	fos_reply_release(ch, &reply);
	return status;
}

fos_status fos_fs_mkdir(fos_channel *ch, fos_cap fs, const char *path)
{
	fos_fs_args header = {.op = FOS_FS_MKDIR};
	return do_paths(ch, fs, &header, path, NULL);
}

fos_status fos_fs_create(fos_channel *ch, fos_cap fs, const char *path, fos_fs_stat *out)
{
	return stat_paths(ch, fs, FOS_FS_CREATE, path, out);
}

fos_status fos_fs_open(fos_channel *ch, fos_cap fs, const char *path, fos_fs_stat *out)
{
	return stat_paths(ch, fs, FOS_FS_OPEN, path, out);
}

fos_status fos_fs_stat_path(fos_channel *ch, fos_cap fs, const char *path, fos_fs_stat *out)
{
	return stat_paths(ch, fs, FOS_FS_STAT, path, out);
}

fos_status fos_fs_truncate(fos_channel *ch, fos_cap fs, uint64_t file, uint64_t size)
{
	fos_fs_args header = {.op = FOS_FS_TRUNCATE, .file = file, .size = size};
	return do_paths(ch, fs, &header, "", NULL);
}

fos_status fos_fs_unlink(fos_channel *ch, fos_cap fs, const char *path)
{
	fos_fs_args header = {.op = FOS_FS_UNLINK};
	return do_paths(ch, fs, &header, path, NULL);
}

fos_status fos_fs_rename(fos_channel *ch, fos_cap fs, const char *from, const char *to)
{
	fos_fs_args header = {.op = FOS_FS_RENAME};
	return to ? do_paths(ch, fs, &header, from, to) : FOS_INVALID;
}

fos_status fos_fs_fsync(fos_channel *ch, fos_cap fs, uint64_t file)
{
	fos_fs_args header = {.op = FOS_FS_FSYNC, .file = file};
	return do_paths(ch, fs, &header, "", NULL);
}

/* Hands one page of directory entries to each(); `last` becomes the last name. Counts them. */
static fos_status read_page(const fos_delivery *delivery, char *last,
							void (*each)(const char *name, const fos_fs_dirent *, void *),
							void *arg, uint32_t *count)
{
	uint32_t length = fos_delivery_imm_len(delivery, FOS_RESULT);
	const char *page = length ? fos_delivery_imm(delivery, FOS_RESULT, length) : NULL;
	*count = 0;
	for (uint32_t at = 0; at < length; (*count)++) {
		fos_fs_dirent entry;
		if (length - at < sizeof entry)
			return FOS_INTERNAL;
		memcpy(&entry, page + at, sizeof entry);
		at += (uint32_t)sizeof entry;
		uint32_t padded = (entry.name_len + 7) & ~7u;
		if (entry.name_len == 0 || entry.name_len > FOS_FS_NAME_MAX || padded > length - at)
			return FOS_INTERNAL;
		memcpy(last, page + at, entry.name_len);
		last[entry.name_len] = 0;
		at += padded;
		each(last, &entry, arg);
	}
	return FOS_OK;
}

fos_status fos_fs_readdir(fos_channel *ch, fos_cap fs, const char *path,
						  void (*each)(const char *name, const fos_fs_dirent *, void *), void *arg)
{
	fos_fs_args header = {.op = FOS_FS_READDIR};
	char last[FOS_FS_NAME_MAX + 1] = "";
	for (;;) { /* ends: each page goes on behind the last name of the one before */
		fos_reply reply;
		uint32_t count = 0;
		fos_status status = call_paths(ch, fs, &header, path, last, &reply);
		if (status == FOS_OK)
			status = read_page(&reply.delivery, last, each, arg, &count);
		fos_reply_release(ch, &reply);
		if (status != FOS_OK || count == 0)
			return status;
	}
}

void fos_fs_args_io(fos_args *args, fos_cap of, const fos_fs_args *header, const fos_fs_item *items,
					fos_cap memory)
{
	fos_args_imm(args, of, FOS_ARG, header, sizeof *header);
	if (header->count)
		fos_args_imm(args, of, PATH_OFFSET, items, header->count * sizeof *items);
	if (memory != FOS_CAP_NONE)
		fos_args_cap(args, of, FOS_FS_MEMORY, memory);
}

static fos_status do_io(fos_channel *ch, fos_cap fs, const fos_fs_args *header,
						const fos_fs_item *items, fos_cap memory)
{
	if (header->count > FOS_FS_ITEMS_MAX)
		return FOS_INVALID;
	fos_args args;
	fos_args_init(&args);
	fos_fs_args_io(&args, FOS_CALL, header, items, memory);
	fos_reply reply;
	fos_status status = fos_call(ch, fs, &args, 0, &reply);
	fos_reply_release(ch, &reply);
	return status;
}

fos_status fos_fs_read(fos_channel *ch, fos_cap fs, const fos_fs_item *items, uint32_t count,
					   fos_cap memory, unsigned flags)
{
	fos_fs_args header = {.op = FOS_FS_READ, .flags = flags, .count = count};
	return do_io(ch, fs, &header, items, memory);
}

fos_status fos_fs_write(fos_channel *ch, fos_cap fs, const fos_fs_item *items, uint32_t count,
						fos_cap memory, unsigned flags)
{
	fos_fs_args header = {.op = FOS_FS_WRITE, .flags = flags, .count = count};
	return do_io(ch, fs, &header, items, memory);
}

/* ------------------------------------------------------------------ direct */

static void ignore(fos_status status)
{
	(void)status;
}

static void close_caps(fos_channel *ch, fos_fs_direct *direct)
{
	fos_cap *const caps[] = {&direct->read, &direct->write, &direct->close};
	for (unsigned i = 0; i < 3; i++) {
		if (*caps[i] != FOS_CAP_NONE)
			ignore(fos_cap_close(ch, *caps[i]));
		*caps[i] = FOS_CAP_NONE;
	}
}

/* What an OPEN_DIRECT answered with. On an error nothing stays kept. */
static fos_status take_direct(fos_channel *ch, const fos_delivery *delivery, unsigned flags,
							  fos_fs_direct *out)
{
	fos_fs_direct direct = {0};
	const void *info = fos_delivery_imm(delivery, FOS_RESULT, sizeof direct.info);
	if (!info)
		return FOS_INTERNAL;
	memcpy(&direct.info, info, sizeof direct.info);
	fos_cap *const caps[] = {&direct.read, &direct.close, &direct.write};
	for (unsigned i = 0; i < (flags & FOS_FS_DIRECT_WRITE ? 3 : 2); i++) {
		fos_cap cap = fos_delivery_cap(delivery, FOS_CAP_RESULT + i);
		fos_status status = cap == FOS_CAP_NONE ? FOS_INTERNAL : fos_cap_keep(ch, cap);
		if (status != FOS_OK) {
			close_caps(ch, &direct);
			return status;
		}
		*caps[i] = cap;
	}
	*out = direct;
	return FOS_OK;
}

fos_status fos_fs_open_direct(fos_channel *ch, fos_cap fs, uint64_t file, uint64_t offset,
							  uint64_t length, unsigned flags, uint64_t time, fos_fs_direct *out)
{
	const fos_fs_args header = {.op = FOS_FS_OPEN_DIRECT, .flags = flags, .size = time, .count = 1};
	const fos_fs_item item = {file, offset, length};
	fos_cap life;
	fos_status status = fos_channel_life(ch, &life);
	if (status != FOS_OK)
		return status;
	fos_args args;
	fos_reply reply;
	fos_args_init(&args);
	fos_fs_args_io(&args, FOS_CALL, &header, &item, FOS_CAP_NONE);
	fos_args_cap(&args, FOS_CALL, FOS_FS_LIFE, life);
	status = fos_call(ch, fs, &args, 0, &reply);
	if (status == FOS_OK)
		status = take_direct(ch, &reply.delivery, flags, out);
	fos_reply_release(ch, &reply);
	return status;
}

static fos_status direct_io(fos_channel *ch, const fos_fs_direct *direct, fos_cap request,
							uint64_t offset, uint64_t length, fos_cap memory)
{
	const fos_fs_direct_info *info = &direct->info;
	if (request == FOS_CAP_NONE)
		return FOS_DENIED;
	if (offset < info->offset || length > info->length ||
		offset - info->offset > info->length - length)
		return FOS_RANGE;
	const uint64_t window[2] = {offset - info->offset, length};
	fos_args args;
	fos_reply reply;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, window, sizeof window);
	fos_args_cap(&args, FOS_CALL, FOS_FS_MEMORY, memory);
	fos_status status = fos_call(ch, request, &args, 0, &reply);
	fos_reply_release(ch, &reply);
	return status;
}

fos_status fos_fs_direct_read(fos_channel *ch, const fos_fs_direct *direct, uint64_t offset,
							  uint64_t length, fos_cap memory)
{
	return direct_io(ch, direct, direct->read, offset, length, memory);
}

fos_status fos_fs_direct_write(fos_channel *ch, const fos_fs_direct *direct, uint64_t offset,
							   uint64_t length, fos_cap memory)
{
	return direct_io(ch, direct, direct->write, offset, length, memory);
}

fos_status fos_fs_direct_close(fos_channel *ch, fos_fs_direct *direct)
{
	fos_reply reply = {0};
	fos_status status = fos_call(ch, direct->close, NULL, 0, &reply);
	fos_reply_release(ch, &reply);
	close_caps(ch, direct);
	return status;
}
