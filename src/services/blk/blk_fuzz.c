/* libFuzzer harness: hostile clients of the block service, and a Controller that refuses any call.
 * The service's front, volumes and engine are its own, on files of a temporary directory. See
 * client/stand_in.h. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "client/stand_in.h"
#include "front.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { OPERATIONS = 100, VOLUME = 64 << 10 };
static const char *const names[] = {"one", "two", "new", "another", ".x", "", "no such", "three"};
static char directory[64];

static void clear_directory(void)
{
	DIR *dir = opendir(directory);
	BASE_ASSERT(dir != NULL);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (entry->d_name[0] != '.' || strlen(entry->d_name) > 2)
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
	snprintf(directory, sizeof directory, "/dev/shm/fractos-blk-fuzz-XXXXXX");
	BASE_ASSERT(mkdtemp(directory) != NULL);
	atexit(remove_directory);
	return 0;
}

static uint64_t length_of(struct choices *choices)
{
	uint64_t how = choose(choices, 1);
	return how >= 250 ? UINT64_MAX - how : how >= 128 ? (uint64_t)1 << (how % 40) : how * 512;
}

/* For the root and for an opened volume alike: the client may send the one to the other. */
static uint32_t arguments(struct choices *choices, uint8_t *out)
{
	uint64_t how = choose(choices, 1);
	if (how & 1) {
		fos_blk_args args = {.op = (uint32_t)(how / 2 % 8),
							 .flags = (uint32_t)choose_below(choices, 36),
							 .size = length_of(choices)};
		const char *name = names[choose_below(choices, BASE_COUNT(names))];
		args.size = BASE_MIN(args.size, (uint64_t)1 << 18);
		memcpy(args.name, name, strlen(name));
		memcpy(out, &args, sizeof args);
		return sizeof args;
	}
	uint32_t count = (uint32_t)(how / 2 % 5), size = count * (uint32_t)sizeof(fos_blk_range);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t offset = length_of(choices);
		const fos_blk_range range = {offset, length_of(choices)};
		memcpy(out + i * sizeof range, &range, sizeof range);
	}
	return how >= 240 ? size / 2 : size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices program = {data, size}, choices;
	char error[FRONT_ERROR_MAX] = "";
	static struct volumes volumes;
	struct front *front = NULL;
	uint8_t operation;
	clear_directory();
	fos_channel *ch = stand_in_begin();
	BASE_ASSERT(volumes_open(&volumes, directory, true, error) == FOS_OK);
	for (unsigned i = 0; i < 2; i++)
		BASE_ASSERT(volumes_create(&volumes, names[i], VOLUME, error) == FOS_OK);
	BASE_ASSERT(front_open(ch, &volumes, ENGINE_PIECE, &front, error) == FOS_OK);
	stand_in_offer(front_root(front), NULL, 0);
	for (unsigned i = 0; i < OPERATIONS && fuzz_operation(&program, &operation, &choices); i++)
		stand_in_operate(operation, &choices, arguments);
	front_close(front);
	volumes_close(&volumes);
	stand_in_end();
	return 0;
}
