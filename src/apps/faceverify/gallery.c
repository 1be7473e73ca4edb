/* The gallery's files; see gallery.h. Creating and making durable are many small requests to fs:
 * a window of them is under way at any time. Photos go in groups, each one write of many files. */
#include "gallery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

enum {
	WINDOW = 16, /* requests under way */
	GROUP = 64,  /* photos in one write */
	PATH_MAX_BYTES = GALLERY_NAME_MAX + 16
};
#define TASK_TIME 30000000000u /* ns that one request may take: durable writes on slow disks */

struct known_identity {
	char name[GALLERY_NAME_MAX];
	uint64_t file;
	UT_hash_handle hh;
};

struct gallery {
	struct known_identity *identities;
};

gallery *gallery_new(void)
{
	return calloc(1, sizeof(gallery));
}

void gallery_free(gallery *known)
{
	if (known == NULL)
		return;
	struct known_identity *identity = known->identities;
	HASH_CLEAR(hh, known->identities); /* frees the table; the elements are still a list */
	for (struct known_identity *next; identity != NULL; identity = next) {
		next = identity->hh.next;
		free(identity);
	}
	free(known);
}

/* Drops a status where there is nothing left to decide. */
static void ignore(fos_status status)
{
	(void)status;
}

static fos_status remember(gallery *known, const char *name, uint64_t file)
{
	struct known_identity *identity;
	HASH_FIND_STR(known->identities, name, identity);
	if (identity == NULL) {
		identity = calloc(1, sizeof *identity);
		if (identity == NULL)
			return FOS_QUOTA;
		memcpy(identity->name, name, strlen(name) + 1);
		HASH_ADD_STR(known->identities, name, identity);
	}
	identity->file = file;
	return FOS_OK;
}

static bool is_name(const char *name)
{
	return name[0] != '\0' && strlen(name) < GALLERY_NAME_MAX && strchr(name, '/') == NULL &&
		   strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static void path_of(const char *name, char path[PATH_MAX_BYTES])
{
	(void)snprintf(path, PATH_MAX_BYTES, "/gallery/%s", name);
}

fos_status gallery_find(gallery *known, fos_channel *ch, fos_cap fs, const char *name,
						uint64_t *file)
{
	if (!is_name(name))
		return FOS_INVALID;
	struct known_identity *identity;
	HASH_FIND_STR(known->identities, name, identity);
	if (identity != NULL) {
		*file = identity->file;
		return FOS_OK;
	}
	char path[PATH_MAX_BYTES];
	path_of(name, path);
	fos_fs_stat found;
	fos_status status = fos_fs_open(ch, fs, path, &found);
	if (status == FOS_OK && (found.type != FOS_FS_FILE || found.size != LBP_PHOTO))
		status = FOS_INVALID;
	if (status == FOS_OK)
		status = remember(known, name, found.file);
	if (status == FOS_OK)
		*file = found.file;
	return status;
}

/* ------------------------------------------------------------------ many small requests */

/* One request for each identity: CREATE, OPEN or FSYNC. */
struct task {
	struct task_run *run;
	fos_status status;
	bool ended;
	fos_fs_stat stat;
	char detail[128];
};

typedef struct task_run {
	uint32_t under_way;
	struct task *tasks; /* one for each identity */
} task_run;

static fos_handled task_ended(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct task *task = arg;
	task->status = delivery->exception.status;
	task->ended = true;
	task->run->under_way--;
	if (task->status != FOS_OK)
		(void)snprintf(task->detail, sizeof task->detail, "%s", delivery->exception.detail);
	const fos_fs_stat *stat = fos_delivery_imm(delivery, FOS_RESULT, sizeof *stat);
	if (stat != NULL)
		task->stat = *stat;
	return FOS_FINISH;
}

static fos_status start_task(fos_channel *ch, fos_cap fs, struct task *task,
							 const fos_fs_args *header, const char *path)
{
	const fos_request_options once = {.once = true, .deadline = TASK_TIME};
	const fos_invoke_options options = {.time = TASK_TIME};
	fos_cap reply;
	fos_status status = fos_request_create(ch, task_ended, task, &once, &reply);
	if (status != FOS_OK)
		return status;
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, header, sizeof *header);
	fos_args_imm(&args, FOS_CALL, FOS_ARG + sizeof *header, path, strlen(path) + 1);
	fos_args_cap(&args, FOS_CALL, FOS_NEXT, reply);
	fos_args_on_error(&args, FOS_CALL, reply);
	status = fos_request_invoke(ch, fs, &args, &options);
	if (status != FOS_OK) {
		ignore(fos_cap_revoke(ch, reply));
		return status;
	}
	task->run->under_way++;
	return FOS_OK;
}

/* Does `op` for every identity whose task ended with `where`, a window of them at a time. */
static fos_status run_tasks(fos_channel *ch, fos_cap fs, task_run *run, enum fos_fs_op op,
							fos_status where, const gallery_entry *entries, uint32_t count)
{
	fos_status status = FOS_OK;
	for (uint32_t i = 0; (i < count && status == FOS_OK) || run->under_way > 0;) {
		if (i < count && status == FOS_OK && run->under_way < WINDOW) {
			struct task *task = &run->tasks[i];
			const uint32_t at = i++;
			if (task->status != where)
				continue;
			char path[PATH_MAX_BYTES] = "";
			if (op != FOS_FS_FSYNC)
				path_of(entries[at].name, path);
			const fos_fs_args header = {.op = op, .file = op == FOS_FS_FSYNC ? task->stat.file : 0};
			task->ended = false;
			status = start_task(ch, fs, task, &header, path);
		} else if (fos_wait(ch, TASK_TIME) == 0 && fos_lost(ch)) {
			return FOS_CONTROLLER_LOST; /* else each task ends, by its deadline at the latest */
		}
	}
	return status;
}

/* ------------------------------------------------------------------ enrolment */

static fos_status make_files(fos_channel *ch, fos_cap fs, task_run *run,
							 const gallery_entry *entries, uint32_t count)
{
	fos_status status = fos_fs_mkdir(ch, fs, "/gallery");
	if (status != FOS_OK && status != FOS_EXISTS)
		return status;
	status = run_tasks(ch, fs, run, FOS_FS_CREATE, FOS_OK, entries, count);
	if (status == FOS_OK)
		status = run_tasks(ch, fs, run, FOS_FS_OPEN, FOS_EXISTS, entries, count);
	for (uint32_t i = 0; i < count && status == FOS_OK; i++)
		if (run->tasks[i].status == FOS_OK && run->tasks[i].stat.size > LBP_PHOTO)
			status = fos_fs_truncate(ch, fs, run->tasks[i].stat.file, LBP_PHOTO);
	return status;
}

static fos_status failed(fos_status status, const char *doing, char error[GALLERY_ERROR_MAX])
{
	if (status != FOS_OK)
		(void)snprintf(error, GALLERY_ERROR_MAX, "%s: %s", doing, fos_status_text(status));
	return status;
}

/* fos_fs_write(), which says in `error` also what the service has to say, as that a volume is full.
 */
static fos_status write_items(fos_channel *ch, fos_cap fs, const fos_fs_item *items, uint32_t count,
							  fos_cap memory, char error[GALLERY_ERROR_MAX])
{
	const fos_fs_args header = {.op = FOS_FS_WRITE, .count = count};
	fos_args args;
	fos_reply reply;
	fos_args_init(&args);
	fos_fs_args_io(&args, FOS_CALL, &header, items, memory);
	const fos_status status = fos_call(ch, fs, &args, 0, &reply);
	const fos_exception *exception = &reply.delivery.exception;
	const bool is_told = exception->status != FOS_OK && exception->status == status;
	if (status != FOS_OK)
		(void)snprintf(error, GALLERY_ERROR_MAX, "writing photos: %s%s%s%s%s",
					   fos_status_text(status), is_told ? " at " : "",
					   is_told ? exception->where : "",
					   is_told && exception->detail_len > 0 ? ": " : "",
					   is_told && exception->detail_len > 0 ? exception->detail : "");
	fos_reply_release(ch, &reply);
	return status;
}

static fos_status write_photos(fos_channel *ch, fos_cap fs, const task_run *run,
							   const gallery_entry *entries, uint32_t count,
							   void (*progress)(uint32_t, uint32_t), char error[GALLERY_ERROR_MAX])
{
	void *bytes = NULL;
	fos_cap memory = FOS_CAP_NONE;
	fos_status status = fos_alloc(fos_channel_process(ch), (size_t)GROUP * LBP_PHOTO, 4096, &bytes);
	if (status != FOS_OK)
		return failed(status, "writing photos", error);
	status = failed(fos_memory_create(ch, bytes, (uint64_t)GROUP * LBP_PHOTO, FOS_READ, &memory),
					"writing photos", error);
	for (uint32_t first = 0; first < count && status == FOS_OK; first += GROUP) {
		const uint32_t here = count - first < GROUP ? count - first : GROUP;
		fos_fs_item items[GROUP];
		for (uint32_t i = 0; i < here; i++) {
			items[i] = (fos_fs_item){.file = run->tasks[first + i].stat.file, .length = LBP_PHOTO};
			memcpy((uint8_t *)bytes + (size_t)i * LBP_PHOTO, entries[first + i].photo, LBP_PHOTO);
		}
		fos_cap part;
		status = failed(fos_memory_diminish(ch, memory, 0, (uint64_t)here * LBP_PHOTO, 0, &part),
						"writing photos", error);
		if (status != FOS_OK)
			break;
		status = write_items(ch, fs, items, here, part, error);
		const fos_status closed = failed(fos_cap_close(ch, part), "writing photos", error);
		status = status == FOS_OK ? closed : status;
		if (progress != NULL && status == FOS_OK)
			progress(first + here, count);
	}
	if (memory != FOS_CAP_NONE)
		ignore(fos_cap_revoke(ch, memory));
	fos_free(fos_channel_process(ch), bytes);
	return status;
}

/* The first request that failed decides; its identity is named. */
static fos_status first_failure(const task_run *run, const gallery_entry *entries, uint32_t count,
								const char *doing, char error[GALLERY_ERROR_MAX])
{
	for (uint32_t i = 0; i < count; i++) {
		const struct task *task = &run->tasks[i];
		if (task->status == FOS_OK)
			continue;
		(void)snprintf(error, GALLERY_ERROR_MAX, "%s %s: %s%s%s", doing, entries[i].name,
					   fos_status_text(task->status), task->detail[0] ? ": " : "", task->detail);
		return task->status;
	}
	return FOS_OK;
}

fos_status gallery_enrol(gallery *known, fos_channel *ch, fos_cap fs, const gallery_entry *entries,
						 uint32_t count, void (*progress)(uint32_t, uint32_t),
						 char error[GALLERY_ERROR_MAX])
{
	for (uint32_t i = 0; i < count; i++) {
		if (!is_name(entries[i].name)) {
			(void)snprintf(error, GALLERY_ERROR_MAX, "\"%.*s\" cannot be the name of an identity",
						   GALLERY_NAME_MAX, entries[i].name);
			return FOS_INVALID;
		}
	}
	task_run run = {.tasks = calloc((size_t)count + 1, sizeof *run.tasks)};
	if (run.tasks == NULL)
		return failed(FOS_QUOTA, "enrolling", error);
	for (uint32_t i = 0; i < count; i++)
		run.tasks[i].run = &run;

	fos_status status = failed(make_files(ch, fs, &run, entries, count), "making files", error);
	if (status == FOS_OK)
		status = first_failure(&run, entries, count, "making the file of", error);
	if (status == FOS_OK)
		status = write_photos(ch, fs, &run, entries, count, progress, error);
	if (status == FOS_OK)
		status = failed(run_tasks(ch, fs, &run, FOS_FS_FSYNC, FOS_OK, entries, count),
						"making photos durable", error);
	if (status == FOS_OK)
		status = first_failure(&run, entries, count, "making durable the file of", error);
	for (uint32_t i = 0; i < count && status == FOS_OK; i++)
		status =
			failed(remember(known, entries[i].name, run.tasks[i].stat.file), "enrolling", error);
	free(run.tasks);
	return status;
}
