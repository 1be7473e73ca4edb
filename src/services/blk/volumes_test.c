/* Volumes on a real directory: names, creation that leaves nothing behind, restart, locks, devices.
 */
#include "volumes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	char dir[64];
	struct volumes volumes;
	char error[VOLUMES_ERROR_MAX];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	strcpy(f->dir, "/tmp/fractos-volumes-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(volumes_open(&f->volumes, f->dir, true, f->error), FOS_OK);
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	volumes_close(&f->volumes);
	assert_int_equal(nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	free(f);
	return 0;
}

static void reopen(struct fixture *f)
{
	volumes_close(&f->volumes);
	if (volumes_open(&f->volumes, f->dir, true, f->error) != FOS_OK)
		fail_msg("%s", f->error);
}

/* How many entries the directory has, besides . and .. */
static unsigned files(const struct fixture *f)
{
	unsigned count = 0;
	DIR *dir = opendir(f->dir);
	assert_non_null(dir);
	for (const struct dirent *entry; (entry = readdir(dir));)
		count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(dir);
	return count;
}

static void file_make(const struct fixture *f, const char *name, off_t size)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", f->dir, name);
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static bool valid(const char *text)
{
	char name[FOS_BLK_NAME_MAX] = "";
	memcpy(name, text, strlen(text) < sizeof name ? strlen(text) : sizeof name);
	return volumes_name_valid(name);
}

static void test_names(void **state)
{
	assert_true(valid("a"));
	assert_true(valid("Gallery-2.old_x"));
	assert_false(valid(""));
	assert_false(valid("."));
	assert_false(valid(".."));
	assert_false(valid(".hidden"));
	assert_false(valid("-rf"));
	assert_false(valid("a/b"));
	assert_false(valid("a b"));
	assert_false(valid("\xc3\xa4"));
	char longest[FOS_BLK_NAME_MAX + 1];
	memset(longest, 'x', sizeof longest);
	longest[FOS_BLK_NAME_MAX] = 0;
	assert_false(valid(longest));
	longest[FOS_BLK_NAME_MAX - 1] = 0;
	assert_true(valid(longest));
}

static void test_create_find_delete(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(volumes_create(&f->volumes, "b", 4097, f->error), FOS_OK);
	assert_int_equal(volumes_create(&f->volumes, "a", 1, f->error), FOS_OK);
	assert_int_equal(volumes_create(&f->volumes, "c", 1 << 20, f->error), FOS_OK);
	assert_int_equal(volumes_create(&f->volumes, "b", 1, f->error), FOS_EXISTS);
	assert_int_equal(volumes_create(&f->volumes, "d", 0, f->error), FOS_INVALID);
	assert_int_equal(volumes_create(&f->volumes, "d", UINT64_MAX, f->error), FOS_INVALID);
	assert_int_equal(volumes_create(&f->volumes, "d", 1ull << 63, f->error), FOS_NO_SPACE);
	assert_int_equal(volumes_find(&f->volumes, "a")->size, 4096);
	assert_int_equal(volumes_find(&f->volumes, "b")->size, 8192);
	assert_null(volumes_find(&f->volumes, "d"));
	assert_int_equal(files(f), 3);
	/* The space is there, not promised. */
	struct stat st;
	assert_int_equal(fstatat(f->volumes.dir, "c.vol", &st, 0), 0);
	assert_true(st.st_blocks * 512 >= 1 << 20);
	uint64_t id = volumes_find(&f->volumes, "b")->id;
	assert_int_equal(volumes_delete(&f->volumes, volumes_find(&f->volumes, "b"), f->error), FOS_OK);
	assert_null(volumes_find(&f->volumes, "b"));
	reopen(f);
	assert_int_equal(f->volumes.count, 2);
	assert_null(volumes_find(&f->volumes, "b"));
	assert_int_equal(volumes_find(&f->volumes, "c")->size, 1 << 20);
	assert_int_equal(volumes_create(&f->volumes, "b", 1, f->error), FOS_OK);
	assert_int_not_equal(volumes_find(&f->volumes, "b")->id, id);
}

static void test_remainders_of_a_crash(void **state)
{
	struct fixture *f = *state;
	file_make(f, ".half.new", 12345);
	file_make(f, "notes.txt", 10);
	file_make(f, "good.vol", 8192);
	reopen(f);
	assert_int_equal(f->volumes.count, 1);
	assert_non_null(volumes_find(&f->volumes, "good"));
	assert_int_equal(files(f), 2); /* the notes stay */
	assert_int_equal(volumes_create(&f->volumes, "half", 4096, f->error), FOS_OK);
	/* A file under the name that the service does not know is not overwritten. */
	file_make(f, "late.vol", 8192);
	assert_int_equal(volumes_create(&f->volumes, "late", 4096, f->error), FOS_EXISTS);
	assert_int_equal(files(f), 4);
	/* What is no volume is named, not skipped. */
	file_make(f, "odd.vol", 5000);
	volumes_close(&f->volumes);
	assert_int_equal(volumes_open(&f->volumes, f->dir, true, f->error), FOS_DEVICE);
	assert_non_null(strstr(f->error, "odd.vol is not a file of a multiple of 4096 bytes"));
}

static void test_missing_directory(void **state)
{
	struct fixture *f = *state;
	char path[128];
	volumes_close(&f->volumes);
	snprintf(path, sizeof path, "%s/no/such", f->dir);
	assert_int_equal(volumes_open(&f->volumes, path, true, f->error), FOS_DEVICE);
	assert_non_null(strstr(f->error, "No such file or directory"));
	snprintf(path, sizeof path, "%s/made", f->dir);
	assert_int_equal(volumes_open(&f->volumes, path, true, f->error), FOS_OK);
}

/* In another process, as a second service would. */
static int in_child(int (*fn)(struct fixture *), struct fixture *f)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn(f));
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int second_service(struct fixture *f)
{
	static struct volumes other;
	if (volumes_open(&other, f->dir, true, f->error) != FOS_BUSY)
		return 1;
	return strstr(f->error, "another fractos-blk holds it") ? 0 : 2;
}

static void test_second_service_is_refused(void **state)
{
	assert_int_equal(in_child(second_service, *state), 0);
}

static void test_devices(void **state)
{
	struct fixture *f = *state;
	char spec[160];
	file_make(f, "disk", 10000);
	file_make(f, "small", 4095);
	snprintf(spec, sizeof spec, "%s/disk", f->dir);
	assert_int_equal(volumes_add_device(&f->volumes, spec, f->error), FOS_OK);
	struct volume *disk = volumes_find(&f->volumes, "disk");
	assert_int_equal(disk->size, 8192); /* whole blocks */
	assert_int_equal(volumes_add_device(&f->volumes, spec, f->error), FOS_EXISTS);
	assert_int_equal(volumes_create(&f->volumes, "disk", 4096, f->error), FOS_EXISTS);
	assert_int_equal(volumes_delete(&f->volumes, disk, f->error), FOS_DENIED);
	assert_non_null(strstr(f->error, "which is not deleted"));
	int fd;
	assert_int_equal(volumes_open_file(&f->volumes, disk, &fd, f->error), FOS_OK);
	close(fd);
	snprintf(spec, sizeof spec, "two=%s/disk", f->dir);
	assert_int_equal(volumes_add_device(&f->volumes, spec, f->error), FOS_OK);
	snprintf(spec, sizeof spec, "%s/small", f->dir);
	assert_int_equal(volumes_add_device(&f->volumes, spec, f->error), FOS_INVALID);
	snprintf(spec, sizeof spec, ".x=%s/disk", f->dir);
	assert_int_equal(volumes_add_device(&f->volumes, spec, f->error), FOS_INVALID);
	assert_int_equal(volumes_add_device(&f->volumes, "/dev/nonexistent", f->error), FOS_DEVICE);
	assert_int_equal(volumes_add_device(&f->volumes, "null=/dev/null", f->error), FOS_INVALID);
}

/* On a file system of one MiB of its own. */
static int fill_up(struct fixture *f)
{
	static struct volumes v;
	uid_t user = geteuid();
	if (unshare(CLONE_NEWNS | (user == 0 ? 0 : CLONE_NEWUSER)) != 0 ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		mount("volumes", f->dir, "tmpfs", 0, "size=1m") != 0)
		return 77;
	if (volumes_open(&v, f->dir, true, f->error) != FOS_OK)
		return 1;
	if (volumes_create(&v, "large", 2 << 20, f->error) != FOS_NO_SPACE)
		return 2;
	if (!strstr(f->error, "volume large of 2097152 bytes: No space left on device"))
		return 3;
	if (files(f) != 0 || v.count != 0)
		return 4;
	/* All the space is there again. */
	if (volumes_create(&v, "fits", 1 << 20, f->error) != FOS_OK)
		return 5;
	if (volumes_create(&v, "more", 4096, f->error) != FOS_NO_SPACE || files(f) != 1)
		return 6;
	if (volumes_delete(&v, volumes_find(&v, "fits"), f->error) != FOS_OK)
		return 7;
	return volumes_create(&v, "more", 4096, f->error) == FOS_OK ? 0 : 8;
}

static void test_full(void **state)
{
	struct fixture *f = *state;
	volumes_close(&f->volumes);
	int code = in_child(fill_up, f);
	if (code == 77) {
		print_message("no mount namespace can be made here: not tested\n");
		skip();
	}
	assert_int_equal(code, 0);
}

static void test_locked_file(void **state)
{
	struct fixture *f = *state;
	int fd, other;
	assert_int_equal(volumes_create(&f->volumes, "v", 4096, f->error), FOS_OK);
	const struct volume *v = volumes_find(&f->volumes, "v");
	other = openat(f->volumes.dir, "v.vol", O_RDONLY);
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
	/* A service that is just ending: the lock goes away while we wait for it. */
	pid_t pid = fork();
	if (pid == 0) {
		usleep(100000); /* longer than the first attempt takes */
		_exit(0);
	}
	close(other); /* the child holds the last reference now */
	assert_int_equal(volumes_open_file(&f->volumes, v, &fd, f->error), FOS_OK);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	other = openat(f->volumes.dir, "v.vol", O_RDONLY);
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
	close(fd);
	close(other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		TEST(test_create_find_delete),
		TEST(test_remainders_of_a_crash),
		TEST(test_missing_directory),
		TEST(test_second_service_is_refused),
		TEST(test_devices),
		TEST(test_full),
		TEST(test_locked_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
