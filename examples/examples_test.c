/* Runs each example as a Process of its own beside a real Controller, and looks at what it says. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "controller/harness.h"

static void expect_output(const char *program, const char *expected)
{
	char command[512], output[1024];
	snprintf(command, sizeof command, "%s/%s 2>&1", EXAMPLES, program);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	size_t n = fread(output, 1, sizeof output - 1, pipe);
	output[n] = 0;
	int status = pclose(pipe);
	assert_string_equal(output, expected);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void examples_say_what_they_should(void **state)
{
	struct cluster cluster;
	cluster_make(&cluster, 1, NULL);
	assert_true(cluster_start(&cluster, 0));
	setenv("FRACTOS_SOCKET", cluster_socket(&cluster, 0), 1);
	for (int i = 0; i < 3; i++) {
		expect_output("hello", "attached to node n0\n"
							   "the square of 12 is 144\n"
							   "without a number: INVALID at n0/hello: where is the number?\n");
		expect_output("chain", "the chain ends with 54\n");
		expect_output("copy", "copied: \"no more than necessary\"\n"
							  "landed: \"necessary\"\n"
							  "the other way: DENIED\n");
	}
	cluster_end(&cluster, 0, SIGTERM);
	cluster_free(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_say_what_they_should),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
