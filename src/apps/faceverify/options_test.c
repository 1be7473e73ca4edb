/* The command line: what is wrong is said before any work, and a look at the options leaves no
 * trace.
 *
 *     options_test FACEVERIFY       the program */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *program;
static char folder[] = "/tmp/faceverify-options-XXXXXX";
static char file[64], absent[64];

static int setup(void **state)
{
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(file, sizeof file, "%s/there", folder);
	(void)snprintf(absent, sizeof absent, "%s/absent", folder);
	FILE *out = fopen(file, "w");
	return out != NULL && fputs("an older report", out) >= 0 && fclose(out) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	return unlink(file) == 0 ? rmdir(folder) : -1;
}

/* The exit status; what was said on either stream is in `said`. */
static int run(const char *const options[], char said[1024])
{
	const char *argv[16] = {program};
	int ends[2], status;
	for (unsigned i = 0; i < 14 && options[i] != NULL; i++)
		argv[i + 1] = options[i];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		setenv("FRACTOS_SOCKET", "/nowhere/at/all", 1);
		execv(program, (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(ends[1]);
	size_t used = 0;
	for (ssize_t size; (size = read(ends[0], said + used, 1023 - used)) > 0;)
		used += (size_t)size;
	said[used] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void expect(const char *const options[], int status, const char *word)
{
	char said[1024];
	const int got = run(options, said);
	if (got != status || strstr(said, word) == NULL || (word[0] == '\0' && said[0] != '\0'))
		fail_msg("%s %s: %d, want %d and \"%s\", said: %s", options[0], options[1], got, status,
				 word, said);
}

#define EXPECT(status, word, ...) \
	expect((const char *const[]){__VA_ARGS__, NULL, NULL}, status, word)

static void good_options_are_good(void **state)
{
	EXPECT(0, "", "--check-options");
	EXPECT(0, "", "--check-options", "--batch", "1024", "--mode", "star2", "--threshold", "0.3");
	EXPECT(0, "", "--photos", folder, "--check-options");
	EXPECT(0, "", "--check-options", "--report", "/dev/null");
}

static void bad_options_are_named(void **state)
{
	EXPECT(2, "--batch 0: want a number from 1 to 1024", "--check-options", "--batch", "0");
	EXPECT(2, "--batch 1025", "--batch", "1025", "--check-options");
	EXPECT(2, "--identities 1: want a number from 2", "--check-options", "--identities", "1");
	EXPECT(2, "--probes 10x", "--check-options", "--probes", "10x");
	EXPECT(2, "--mode ring: want chain", "--check-options", "--mode", "ring");
	EXPECT(2, "--threshold 1.5", "--check-options", "--threshold", "1.5");
	EXPECT(2, "--threshold nan", "--check-options", "--threshold", "nan");
	EXPECT(2, "--what", "--check-options", "--what");
	EXPECT(2, "more", "--check-options", "more");
	EXPECT(2, strerror(ENOENT), "--check-options", "--photos", absent);
	EXPECT(2, strerror(ENOTDIR), "--check-options", "--photos", file);
	EXPECT(2, strerror(ENOENT), "--check-options", "--report", "/nowhere/at/all");
	EXPECT(2, strerror(EISDIR), "--check-options", "--report", folder);
}

/* Neither a look nor a job that fails spoils a report that is there, or leaves one behind. */
static void a_report_stays_until_there_is_another(void **state)
{
	struct stat stat_now;
	EXPECT(0, "", "--check-options", "--report", file);
	EXPECT(0, "", "--check-options", "--report", absent);
	EXPECT(1, "cannot attach", "--probes", "4", "--identities", "2", "--report", file);
	EXPECT(1, "cannot attach", "--probes", "4", "--identities", "2", "--report", absent);
	assert_int_equal(stat(file, &stat_now), 0);
	assert_int_equal(stat_now.st_size, strlen("an older report"));
	assert_int_equal(access(absent, F_OK), -1);
	/* Said before the job is begun, which could not even attach. */
	EXPECT(2, strerror(EISDIR), "--report", folder);
	EXPECT(2, strerror(ENOENT), "--photos", absent);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_options_are_good),
		cmocka_unit_test(bad_options_are_named),
		cmocka_unit_test(a_report_stays_until_there_is_another),
	};
	if (argc != 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests_name("options", tests, setup, teardown);
}
