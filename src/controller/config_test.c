/* The cluster file: what is accepted, and that each mistake is told with its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller/config.h"

static char directory[64], file[128], key[128];

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff"
#define NODE(name, id, port)                                                                \
	"[node " name "]\nid = " id "\naddress = 127.0.0.1\nport = " port "\nsocket = /s/" name \
	"\nrecorder = /r/" name "\n"

static int make_directory(void **state)
{
	snprintf(directory, sizeof directory, "/tmp/fractosd-config-XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(file, sizeof file, "%s/cluster", directory);
	snprintf(key, sizeof key, "%s/key", directory);
	return 0;
}

static int remove_directory(void **state)
{
	unlink(file);
	unlink(key);
	return rmdir(directory);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	fputs(text, out);
	assert_int_equal(fchmod(fileno(out), mode), 0);
	assert_int_equal(fclose(out), 0);
}

/* Loads "[cluster]\nkey = ...\n" followed by text, as node "a". */
static bool load(const char *text, struct config *config, char *error)
{
	char *whole = NULL;
	write_file(key, KEY "\n", 0600);
	assert_true(asprintf(&whole, "[cluster]\nkey = %s\n%s", key, text) > 0);
	write_file(file, whole, 0644);
	free(whole);
	return config_load(file, "a", config, error);
}

static void loads_all_keys(void **state)
{
	static struct config config;
	char error[CONFIG_ERROR_MAX] = "";
	bool good = load(
		"name = faces\nregistry = b\nheartbeat_ms = 100\nfailure_timeout_ms = 400\n"
		"default_time_ms = 7000\nspin = busy\nyields = 3\nprovider = tcp\n"
		"[limits]\nprocesses = 5\nmemory = 10000000\narena_bytes = 8192\n"
		"ring_bytes = 131072\n" NODE("a", "7", "1000") "uids = 0, 1000\n" NODE("b", "8", "1001"),
		&config, error);
	assert_string_equal(error, "");
	assert_true(good);
	assert_string_equal(config.cluster, "faces");
	assert_string_equal(config.registry, "b");
	assert_int_equal(config.heartbeat_ms, 100);
	assert_int_equal(config.failure_timeout_ms, 400);
	assert_int_equal(config.default_time_ms, 7000);
	assert_true(config.spin_busy);
	assert_int_equal(config.yields, 3);
	assert_int_equal(config.limits.processes, 5);
	assert_int_equal(config.limits.memory, 10000000);
	assert_int_equal(config.arena_bytes, 8192);
	assert_int_equal(config.ring_bytes, 131072);
	assert_int_equal(config.node_count, 2);
	assert_ptr_equal(config.self, &config.nodes[0]);
	assert_int_equal(config.self->id, 7);
	assert_int_equal(config.self->port, 1000);
	assert_int_equal(config.self->uid_count, 2);
	assert_int_equal(config.self->uids[1], 1000);
	assert_int_equal(config.key[0], 0);
	assert_int_equal(config.key[1], 1);
	assert_int_equal(config.key[31], 0xff);
}

#define GOOD "name = faces\nregistry = a\n"

static void tells_each_mistake(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{GOOD "colour = red\n", ":5: unknown key \"colour\""},
		{GOOD "name = twice\n", ":5: name is given twice"},
		{GOOD "heartbeat_ms = soon\n", ":5: heartbeat_ms: \"soon\" is not a number from 10"},
		{GOOD "heartbeat_ms = -1\n", ":5: heartbeat_ms: \"-1\" is not a number"},
		{GOOD "heartbeat_ms = 99999999999999999999999\n", "is not a number"},
		{GOOD "spin = fast\n", "neither yield nor busy"},
		{"name = a b\n", ":3: name: \"a b\" is not a name"},
		{"name = 0123456789012345678901234567890123456789\n", "longer than 31 bytes"},
		{GOOD "nonsense\n", ":5: not \"key = value\""},
		{GOOD "[nodes]\nx = 1\n", ":6: unknown section [nodes]"},
		{GOOD "[limits]\nslot = 1\n", ":6: unknown key \"slot\""},
		{GOOD "[limits]\nslots = 0\n", ":6: slots: \"0\" is not a number from 1"},
		{GOOD "[limits]\nring_bytes = 200000\n" NODE("a", "1", "1"), "not a power of two"},
		{"registry = a\n" NODE("a", "1", "1"), "[cluster] has no \"name\""},
		{GOOD "[node a]\nid = 1\n", "[node a] has no \"port\""},
		{GOOD "[node a/b]\nid = 1\n", "not a node's name"},
		{GOOD "[node a]\naddress = localhost\n", "not a numeric IPv4 or IPv6 address"},
		{GOOD "[node a]\nsocket = here\n", "\"here\" is not an absolute path"},
		{GOOD "[node a]\nport = 65536\n", "not a number from 1 to 65535"},
		{GOOD "[node a]\nuids = 1,x\n", "\"x\" is not a user's number"},
		{GOOD NODE("a", "1", "1") NODE("b", "1", "2"), "nodes a and b have the same id 1"},
		{GOOD NODE("a", "1", "1") NODE("b", "2", "1"), "have the same address and port"},
		{GOOD NODE("b", "1", "1") "", "registry = a: there is no [node a]"},
		{"name = f\nregistry = b\n" NODE("b", "1", "1"), "there is no [node a]"},
		{GOOD "heartbeat_ms = 500\n" NODE("a", "1", "1"), "less than three times"},
	};
	static struct config config;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char error[CONFIG_ERROR_MAX] = "";
		assert_false(load(cases[i].text, &config, error));
		if (strstr(error, cases[i].says) == NULL || strncmp(error, file, strlen(file)) != 0)
			fail_msg("case %zu says \"%s\", not \"%s\"", i, error, cases[i].says);
	}
}

static void guards_the_key(void **state)
{
	static struct config config;
	static const struct {
		const char *text;
		mode_t mode;
		const char *says;
	} cases[] = {
		{KEY "\n", 0640, "others than its owner may use it (mode 0640)"},
		{KEY "\n", 0604, "others than its owner"},
		{KEY "0\n", 0600, "not 64 hexadecimal digits"},
		{"00", 0600, "not 64 hexadecimal digits"},
		{"zz" KEY, 0600, "not 64 hexadecimal digits"},
	};
	char error[CONFIG_ERROR_MAX] = "";
	assert_true(load(GOOD NODE("a", "1", "1"), &config, error));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		write_file(key, cases[i].text, cases[i].mode);
		assert_false(config_load(file, "a", &config, error));
		assert_non_null(strstr(error, cases[i].says));
	}
	unlink(key);
	assert_false(config_load(file, "a", &config, error));
	assert_non_null(strstr(error, "No such file"));
	assert_false(config_load("/nowhere/at/all", "a", &config, error));
	assert_non_null(strstr(error, "/nowhere/at/all: No such file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads_all_keys),
		cmocka_unit_test(tells_each_mistake),
		cmocka_unit_test(guards_the_key),
	};
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
