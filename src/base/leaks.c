/* For every test program: after each test it has no more descriptors, mappings of memfds and child
 * processes than before it, and neither has a child that lived all the time. Linked into all that
 * use cmocka (meson.build): the linker gives us what runs a group of tests, and we give cmocka the
 * tests with a setup and a teardown around their own.
 *
 * What a test has asked others to let go of may take a moment; what is leaked is there for ever. */
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { KINDS_MAX = 256, KIND_MAX = 96, CHILDREN_MAX = 16, LINE_LENGTH = 1024 };
enum { PATIENCE = 20 /* s */, PAUSE = 5000000 /* ns */ };

struct kind { /* of what is held: what a descriptor's link says, without its number */
	char name[KIND_MAX];
	unsigned count;
};
struct holder { /* a process */
	pid_t pid;
	unsigned kind_count;
	struct kind kinds[KINDS_MAX];
};
struct holders { /* this one first, then its children */
	unsigned count;
	struct holder all[1 + CHILDREN_MAX];
};

int __real__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
								   CMFixtureFunction setup, CMFixtureFunction teardown);
int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
								   CMFixtureFunction setup, CMFixtureFunction teardown);

static struct holders before, after;
static const struct CMUnitTest *running;
static CMFixtureFunction group_setup, group_teardown;
static void *group_state;

/* ------------------------------------------------------------------ looking */

static void add(struct holder *holder, const char *name)
{
	struct kind *kind = holder->kinds;
	while (kind < holder->kinds + holder->kind_count && strcmp(kind->name, name) != 0)
		kind++;
	if (kind == holder->kinds + KINDS_MAX)
		kind--; /* whatever it is, it counts */
	else if (kind == holder->kinds + holder->kind_count)
		snprintf(holder->kinds[holder->kind_count++].name, KIND_MAX, "%.*s", KIND_MAX - 1, name);
	kind->count++;
}

static void see_descriptors(struct holder *holder)
{
	char path[64], target[LINE_LENGTH];
	snprintf(path, sizeof path, "/proc/%d/fd", (int)holder->pid);
	DIR *dir = opendir(path);
	if (dir == NULL)
		return; /* it has just ended */
	char ours[16];
	snprintf(ours, sizeof ours, "%d", holder->pid == getpid() ? dirfd(dir) : -1);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		ssize_t length = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
		if (length <= 0 || strcmp(entry->d_name, ours) == 0)
			continue;
		target[length] = 0;
		char *number = strstr(target, ":[");
		if (number != NULL && number[2] >= '0' && number[2] <= '9')
			*number = 0;
		target[KIND_MAX - 1] = 0;
		add(holder, target);
	}
	closedir(dir);
}

static void see_mappings(struct holder *holder)
{
	char path[64], line[LINE_LENGTH];
	snprintf(path, sizeof path, "/proc/%d/maps", (int)holder->pid);
	FILE *maps = fopen(path, "re");
	if (maps == NULL)
		return;
	while (fgets(line, sizeof line, maps) != NULL)
		if (strstr(line, "/memfd:") != NULL)
			add(holder, "mapping of a memfd");
	fclose(maps);
}

/* Its parent; 0: it is gone. */
static pid_t parent_of(pid_t pid)
{
	char path[64], line[LINE_LENGTH] = "";
	int parent = 0;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *stat = fopen(path, "re");
	if (stat == NULL)
		return 0;
	const char *name_end = fgets(line, sizeof line, stat) != NULL ? strrchr(line, ')') : NULL;
	if (name_end == NULL || sscanf(name_end + 1, " %*c %d", &parent) != 1)
		parent = 0;
	fclose(stat);
	return parent;
}

static void see_process(struct holders *out, pid_t pid)
{
	struct holder *holder = &out->all[out->count++];
	holder->pid = pid;
	holder->kind_count = 0;
	memset(holder->kinds, 0, sizeof holder->kinds);
	see_descriptors(holder);
	see_mappings(holder);
}

static void look(struct holders *out)
{
	out->count = 0;
	see_process(out, getpid());
	DIR *dir = opendir("/proc");
	if (dir == NULL)
		return;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		pid_t pid = (pid_t)atoi(entry->d_name);
		if (pid <= 0 || parent_of(pid) != getpid())
			continue;
		add(&out->all[0], "child process");
		if (out->count < 1 + CHILDREN_MAX)
			see_process(out, pid);
	}
	closedir(dir);
}

/* ------------------------------------------------------------------ comparing */

static unsigned count_of(const struct holder *holder, const char *name)
{
	for (unsigned i = 0; i < holder->kind_count; i++)
		if (strcmp(holder->kinds[i].name, name) == 0)
			return holder->kinds[i].count;
	return 0;
}

/* Whether the one that was there before holds more now; `say` it. */
static bool has_more(const struct holder *then, const struct holder *now, bool say)
{
	bool more = false;
	for (unsigned i = 0; i < now->kind_count; i++) {
		const struct kind *kind = &now->kinds[i];
		unsigned had = count_of(then, kind->name);
		if (kind->count <= had)
			continue;
		more = true;
		if (say)
			print_error("%s %d holds more than before: %s: %u, not %u\n",
						now->pid == getpid() ? "the test" : "its child", (int)now->pid, kind->name,
						kind->count, had);
	}
	return more;
}

static bool anything_left(bool say)
{
	bool left = false;
	look(&after);
	for (unsigned i = 0; i < after.count; i++)
		for (unsigned j = 0; j < before.count; j++)
			if (after.all[i].pid == before.all[j].pid)
				left |= has_more(&before.all[j], &after.all[i], say);
	return left;
}

/* ------------------------------------------------------------------ around each test */

static int before_test(void **state)
{
	running = *state;
	*state = running->initial_state != NULL ? running->initial_state : group_state;
	look(&before);
	return running->setup_func != NULL ? running->setup_func(state) : 0;
}

static int after_test(void **state)
{
	const struct timespec pause = {.tv_nsec = PAUSE};
	struct timespec now;
	int status = running->teardown_func != NULL ? running->teardown_func(state) : 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	for (time_t end = now.tv_sec + PATIENCE; anything_left(false) && now.tv_sec < end;) {
		nanosleep(&pause, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
	}
	return anything_left(true) ? -1 : status;
}

/* The group's state is kept from cmocka, which would give it to each test instead of its own. */
static int before_group(void **state)
{
	(void)state;
	return group_setup != NULL ? group_setup(&group_state) : 0;
}

static int after_group(void **state)
{
	(void)state;
	return group_teardown != NULL ? group_teardown(&group_state) : 0;
}

int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
								   CMFixtureFunction setup, CMFixtureFunction teardown)
{
	struct CMUnitTest *all = calloc(count, sizeof *all);
	if (all == NULL)
		abort();
	for (size_t i = 0; i < count; i++) {
		all[i] = tests[i];
		all[i].setup_func = before_test;
		all[i].teardown_func = after_test;
		all[i].initial_state = (void *)(uintptr_t)&tests[i];
	}
	group_setup = setup;
	group_teardown = teardown;
	int failed = __real__cmocka_run_group_tests(name, all, count, before_group, after_group);
	free(all);
	return failed;
}
