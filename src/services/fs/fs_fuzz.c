/* libFuzzer harness: hostile clients of the file system, a block service that answers as it likes,
 * and a Controller that refuses any call. The service's front and its metadata are its own, with a
 * database in a temporary directory; time, the volume's connection and the sync thread are played
 * here. See client/stand_in.h. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "client/stand_in.h"
#include "service.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum {
	OPERATIONS = 120,
	ROUNDS = 20, /* of a second, at the end */
	VOLUME_BYTES = 4 << 20,
	READ = 0x20001,
	WRITE,
	FLUSH,
	READ_WINDOW,
	WRITE_WINDOW
};

/* ------------------------------------------------------------------ what is played */

struct volume {
	fos_blk_volume requests;
	bool up;
	uint64_t generation;
};

struct sync {
	uint64_t asked, done;
};

static struct volume volume = {.requests = {.read = READ,
											.write = WRITE,
											.flush = FLUSH,
											.read_window = READ_WINDOW,
											.write_window = WRITE_WINDOW}};
static struct sync syncing;
static uint64_t now;
static bool tick_wanted;

uint64_t service_now(void)
{
	return now;
}

void service_need_tick(struct service *s)
{
	tick_wanted = true;
}

const fos_blk_volume *volume_get(const struct volume *v)
{
	return v->up ? &v->requests : NULL;
}

const char *volume_text(const struct volume *v)
{
	return "the block service is away";
}

uint64_t volume_down_since(const struct volume *v)
{
	return v->up ? 0 : 1;
}

void volume_suspect(struct volume *v, const char *why)
{
	v->up = false;
}

void volume_need(struct volume *v)
{
}

uint64_t volume_generation(const struct volume *v)
{
	return v->generation;
}

void sync_request(struct sync *sync, uint64_t commits)
{
	sync->asked = BASE_MAX(sync->asked, commits);
}

uint64_t sync_done(struct sync *sync, int *error)
{
	*error = 0;
	return sync->done;
}

/* ------------------------------------------------------------------ the service's life */

static char directory[64];

static void clear_directory(void)
{
	DIR *dir = opendir(directory);
	if (dir == NULL)
		return;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
}

static void remove_directory(void)
{
	clear_directory();
	rmdir(directory);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	snprintf(directory, sizeof directory, "/dev/shm/fractos-fs-fuzz-XXXXXX");
	BASE_ASSERT(mkdtemp(directory) != NULL);
	atexit(remove_directory);
	return 0;
}

static void start(struct service *s, fos_channel *ch)
{
	struct op_list *const lists[] = {&s->ops,         &s->volume_queue, &s->space_queue,
									 &s->sync_queue,  &s->buffer_queue, &s->ready,
									 &s->direct_queue};
	char error[256];
	for (unsigned i = 0; i < BASE_COUNT(lists); i++)
		TAILQ_INIT(lists[i]);
	const struct meta_options options = {.dir = directory, .freed = ops_freed, .arg = s};
	s->process = fos_channel_process(ch);
	s->front = s->back = ch;
	s->volume = &volume;
	s->sync = &syncing;
	BASE_ASSERT(meta_open(&options, &s->meta, error, sizeof error) == FOS_OK);
	BASE_ASSERT(meta_use_volume(s->meta, "fs", VOLUME_BYTES) == FOS_OK);
	BASE_ASSERT(meta_set_ready(s->meta) == FOS_OK);
	BASE_ASSERT(io_open(s) == FOS_OK);
	BASE_ASSERT(fos_request_create(ch, io_answered, s, NULL, &s->answer) == FOS_OK);
	s->directs.timer = -1; /* its end is seen at the ticks */
	BASE_ASSERT(fos_request_create(ch, direct_closed, s, NULL, &s->direct_close) == FOS_OK);
	BASE_ASSERT(fos_request_create(ch, ops_request, s, NULL, &s->root) == FOS_OK);
	stand_in_offer(s->root, NULL, 0);
	ops_volume_changed(s);
}

static void print_fault(const char *line, void *arg)
{
	fprintf(stderr, "%s\n", line);
}

/* The clients end, the block service goes and comes back, often enough for all that waited for it:
 * nothing waits for ever, and nothing is in use. */
static void end_of_clients(struct service *s)
{
	unsigned deliveries, memory;
	for (unsigned i = 0; i < ROUNDS; i++) {
		volume.up = i >= ROUNDS / 2 || i % 2 == 1;
		volume.generation += i < ROUNDS / 2 && volume.up;
		ops_volume_changed(s);
		while (stand_in_complete())
			continue;
		syncing.done = syncing.asked;
		ops_synced(s);
		now += FS_SECOND;
		ops_tick(s);
	}
	while (stand_in_complete())
		continue;
	stand_in_count(&deliveries, &memory);
	BASE_ASSERT(s->op_count == 0 && s->directs.count == 0 && deliveries == 0);
	BASE_ASSERT(s->limbo.count == 0 && s->claims.files == 0);
	for (unsigned i = 0; i < BUFFERS; i++)
		BASE_ASSERT(!s->buffers[i].used);
}

static void stop(struct service *s)
{
	uint64_t files;
	BASE_ASSERT(meta_check(s->meta, print_fault, NULL, &files) == 0);
	meta_close(s->meta);
	limbo_clear(&s->limbo);
	gate_clear(s);
	direct_clear(s);
	ops_drop_all(s);
}

/* ------------------------------------------------------------------ operations */

static uint64_t length_of(struct choices *choices)
{
	uint64_t how = choose(choices, 1);
	return how >= 252 ? UINT64_MAX - how : how >= 160 ? (uint64_t)1 << (how % 24) : how * 256;
}

static uint32_t put_paths(struct choices *choices, uint8_t *out)
{
	static const char *const paths[] = {"/",    "/a", "/b",      "/d", "/d/a",
										"/d/b", "a",  "/d/../a", "//"};
	uint32_t size = 0;
	for (unsigned i = 0; i < 2; i++) {
		const char *path = paths[choose_below(choices, BASE_COUNT(paths))];
		memcpy(out + size, path, strlen(path) + 1);
		size += (uint32_t)strlen(path) + 1;
	}
	return size;
}

static uint32_t put_items(struct choices *choices, uint32_t count, uint8_t *out)
{
	uint32_t size = 0;
	for (uint32_t i = 0; i < BASE_MIN(count, 4u); i++) {
		const uint64_t file = choose_below(choices, 8), offset = length_of(choices);
		const fos_fs_item item = {file, offset, length_of(choices)};
		memcpy(out + size, &item, sizeof item);
		size += (uint32_t)sizeof item;
	}
	return size;
}

static uint32_t arguments(struct choices *choices, uint8_t *out)
{
	fos_fs_args args = {.op = (uint32_t)choose_below(choices, 15),
						.flags = (uint32_t)choose_below(choices, 3),
						.file = choose_below(choices, 8)};
	uint64_t how = choose(choices, 1);
	bool io = args.op == FOS_FS_READ || args.op == FOS_FS_WRITE || args.op == FOS_FS_OPEN_DIRECT;
	args.count = io ? (uint32_t)(how % 6) : 0;
	args.size = args.op == FOS_FS_TRUNCATE ? length_of(choices) : 0;
	uint32_t size = sizeof args;
	size += io ? put_items(choices, args.count, out + size) : put_paths(choices, out + size);
	memcpy(out, &args, sizeof args);
	return how >= 248 ? size / 2 : size;
}

/* Time, the volume's connection, the sync thread. */
static void happen(struct service *s, uint8_t what)
{
	switch (what % 4) {
	case 0:
		now += (uint64_t)1 << (20 + what / 4 % 16);
		if (tick_wanted) {
			tick_wanted = false;
			ops_tick(s);
		}
		break;
	case 1:
		if (volume.up && !(what & 4)) {
			volume.up = false;
		} else if (!volume.up) {
			volume.up = true;
			volume.generation++;
		}
		ops_volume_changed(s);
		break;
	default:
		syncing.done = syncing.asked;
		ops_synced(s);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices program = {data, size}, choices;
	struct service *s = calloc(1, sizeof *s);
	uint8_t what;
	BASE_ASSERT(s != NULL);
	volume.up = true;
	volume.generation = 1;
	syncing = (struct sync){0};
	now = FS_SECOND;
	tick_wanted = false;
	clear_directory();
	start(s, stand_in_begin());
	for (unsigned i = 0; i < OPERATIONS && fuzz_operation(&program, &what, &choices); i++) {
		if (what >= 208)
			happen(s, what);
		else
			stand_in_operate(what, &choices, arguments);
	}
	end_of_clients(s);
	stop(s);
	stand_in_end();
	free(s);
	return 0;
}
