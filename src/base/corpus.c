/* Instead of libFuzzer: plays every input of a folder to a harness, once, as a test. So what the
 * fuzzers have learnt holds with every compiler and sanitizer, and counts where coverage is
 * measured. Argument: the folder. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* Called by the harness's mutator alone, which nobody calls here. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size)
{
	return size;
}

static void play(const char *path)
{
	struct stat about;
	FILE *file = fopen(path, "rb");
	BASE_ASSERT(file != NULL && fstat(fileno(file), &about) == 0);
	size_t size = (size_t)about.st_size;
	/* Exactly so many bytes, so that a read behind them is seen. */
	uint8_t *bytes = malloc(BASE_MAX(size, (size_t)1));
	BASE_ASSERT(bytes != NULL && fread(bytes, 1, size, file) == size);
	fclose(file);
	LLVMFuzzerTestOneInput(bytes, size);
	free(bytes);
}

int main(int argc, char **argv)
{
	unsigned count = 0;
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
	if (dir == NULL) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	if (LLVMFuzzerInitialize != NULL)
		LLVMFuzzerInitialize(&argc, &argv);
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		char path[4096];
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
		fprintf(stderr, "%s\n", entry->d_name);
		play(path);
		count++;
	}
	closedir(dir);
	printf("%u inputs\n", count);
	return count > 0 ? 0 : 1;
}
