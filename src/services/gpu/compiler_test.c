/* Compiling in another process, with a backend that does what the source says. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "compiler.h"

static pid_t home; /* the test's own process: nothing may be built there */

static fos_status fake_open(const char *wanted, struct gpu_device **out, struct gpu_why *why)
{
	*out = NULL;
	return strcmp(wanted, "there") == 0 ? FOS_OK : gpu_refuse(why, FOS_NOT_FOUND, "no device");
}

static fos_status fake_build(struct gpu_device *device, const char *source, size_t length,
							 const char *options, struct gpu_module **out, struct gpu_why *why)
{
	if (getpid() == home)
		return gpu_refuse(why, FOS_INTERNAL, "built at home");
	if (strncmp(source, "crash", 5) == 0)
		raise(SIGKILL);
	if (strncmp(source, "wrong", 5) == 0)
		return gpu_refuse(why, FOS_DEVICE, "line 1: %s", options);
	if (strncmp(source, "long", 4) == 0)
		return gpu_refuse(why, FOS_DEVICE, "%zu bytes, the last is %c", length, source[length - 1]);
	return FOS_OK;
}

static void fake_warm(struct gpu_module *module)
{
}

static const struct gpu_backend fake = {
	.open = fake_open, .module_build = fake_build, .module_warm = fake_warm};

static fos_status build(struct compiler *compiler, const char *source, const char *options,
						struct gpu_why *why)
{
	return compiler_build(compiler, source, strlen(source), options, why);
}

static void tells_how_it_went(void **state)
{
	struct gpu_why why;
	struct compiler *compiler = compiler_start(&fake, "there");
	assert_non_null(compiler);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(build(compiler, "good", "", &why), FOS_OK);
		assert_int_equal(build(compiler, "wrong", "-x", &why), FOS_DEVICE);
		assert_string_equal(why.text, "line 1: -x");
		assert_int_equal(build(compiler, "crash", "", &why), FOS_DEVICE);
		assert_non_null(strstr(why.text, "crashed"));
	}
	char *source = malloc(FOS_GPU_SOURCE_MAX);
	memset(source, 'z', FOS_GPU_SOURCE_MAX);
	memcpy(source, "long", 4);
	assert_int_equal(compiler_build(compiler, source, FOS_GPU_SOURCE_MAX, "", &why), FOS_DEVICE);
	assert_string_equal(why.text, "1048576 bytes, the last is z");
	free(source);
	compiler_stop(compiler);
}

static void a_missing_device_is_named(void **state)
{
	struct gpu_why why;
	struct compiler *compiler = compiler_start(&fake, "elsewhere");
	assert_int_equal(build(compiler, "good", "", &why), FOS_NOT_FOUND);
	assert_string_equal(why.text, "no device");
	compiler_stop(compiler);
	compiler_stop(NULL);
}

int main(void)
{
	home = getpid();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_how_it_went),
		cmocka_unit_test(a_missing_device_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
