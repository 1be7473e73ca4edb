/* The registry's table and policy. The service itself is tested with real Controllers in
 * service_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy.h"
#include "table.h"

/* ------------------------------------------------------------------ table */

static struct entry *insert(struct table *table, const char *name, uint32_t uid)
{
	const fos_principal who = {.uid = uid};
	struct entry *entry;
	assert_int_equal(table_insert(table, name, &who, &entry), FOS_OK);
	return entry;
}

static bool valid(const char *text)
{
	char name[FOS_NAME_MAX] = "";
	memcpy(name, text, strlen(text) < sizeof name ? strlen(text) : sizeof name);
	return table_name_valid(name);
}

static void test_names(void **state)
{
	assert_true(valid("blk"));
	assert_true(valid("a-z.0_9/x"));
	assert_false(valid(""));
	for (int c = 1; c < 256; c++) {
		const char text[] = {'a', (char)c, 0};
		bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
					(c != 0 && strchr("._/-", c) != NULL);
		assert_int_equal(valid(text), good);
	}
	char longest[FOS_NAME_MAX + 1];
	memset(longest, 'x', sizeof longest);
	longest[FOS_NAME_MAX - 1] = 0;
	assert_true(valid(longest));
	longest[FOS_NAME_MAX - 1] = 'x';
	longest[FOS_NAME_MAX] = 0;
	assert_false(valid(longest)); /* no zero inside */
}

static void test_insert_find_remove(void **state)
{
	struct table *table = calloc(1, sizeof *table);
	assert_null(table_find(table, "a"));
	struct entry *c = insert(table, "c", 0), *a = insert(table, "a", 0), *b = insert(table, "b", 0);
	struct entry *again;
	const fos_principal who = {0};
	assert_int_equal(table_insert(table, "b", &who, &again), FOS_EXISTS);
	assert_ptr_equal(table_find(table, "a"), a);
	assert_ptr_equal(table_find(table, "c"), c);
	assert_ptr_equal(table_find_id(table, b->id), b);
	uint64_t old = b->id;
	table_remove(table, b);
	assert_null(table_find(table, "b"));
	assert_null(table_find_id(table, old));
	assert_int_not_equal(insert(table, "b", 0)->id, old);
	assert_int_equal(table->count, 3);
	table_clear(table);
	free(table);
}

static void test_quotas(void **state)
{
	struct table *table = calloc(1, sizeof *table);
	char name[FOS_NAME_MAX];
	const fos_principal who = {.uid = 1};
	struct entry *entry;
	for (unsigned uid = 1; uid <= TABLE_ENTRIES_MAX / TABLE_ENTRIES_PER_UID; uid++) {
		for (unsigned i = 0; i < TABLE_ENTRIES_PER_UID; i++) {
			snprintf(name, sizeof name, "%u/%u", uid, i);
			insert(table, name, uid);
		}
		if (uid == 1)
			assert_int_equal(table_insert(table, "more", &who, &entry), FOS_QUOTA);
	}
	const fos_principal other = {.uid = 99};
	assert_int_equal(table_insert(table, "more", &other, &entry), FOS_QUOTA);
	table_clear(table);
	free(table);
}

static bool all(const struct entry *entry, void *arg)
{
	return entry->publisher.uid != 7;
}

/* Reads the whole list page by page, as the client does; returns how many names. */
static unsigned list(const struct table *table, const char *prefix, uint32_t page_size,
					 char names[][FOS_NAME_MAX])
{
	char from[FOS_NAME_MAX];
	char page[FOS_REGISTRY_PAGE];
	unsigned count = 0;
	snprintf(from, sizeof from, "%s", prefix);
	for (uint32_t used = page_size; used + FOS_NAME_MAX > page_size;) {
		used = table_page(table, from, (uint32_t)strlen(prefix), all, NULL, page, page_size);
		for (uint32_t at = 0; at < used; at += (uint32_t)strlen(page + at) + 1) {
			snprintf(from, sizeof from, "%s", page + at);
			snprintf(names[count++], FOS_NAME_MAX, "%s", page + at);
		}
	}
	return count;
}

static void test_pages(void **state)
{
	struct table *table = calloc(1, sizeof *table);
	static char names[300][FOS_NAME_MAX];
	char name[FOS_NAME_MAX];
	insert(table, "bl", 0);
	insert(table, "blk", 0);
	insert(table, "blk/hidden", 7);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "blk/%03u", i);
		insert(table, name, 0);
	}
	insert(table, "bll", 0);
	/* Pages with room for two names up to those with room for all. */
	for (uint32_t size = 2 * FOS_NAME_MAX; size <= FOS_REGISTRY_PAGE; size += 61) {
		assert_int_equal(list(table, "blk", size, names), 201);
		assert_string_equal(names[0], "blk");
		for (unsigned i = 0; i < 200; i++) {
			snprintf(name, sizeof name, "blk/%03u", i);
			assert_string_equal(names[i + 1], name);
		}
		assert_int_equal(list(table, "", size, names), 203);
		assert_int_equal(list(table, "x", size, names), 0);
		assert_int_equal(list(table, "bll", size, names), 1);
	}
	table_clear(table);
	free(table);
}

/* ------------------------------------------------------------------ policy */

static bool may(const struct policy *policy, enum policy_action action, uint32_t uid, uint32_t gid,
				const char *name)
{
	const fos_principal who = {.uid = uid, .gid = gid};
	return policy_allows(policy, action, &who, name);
}

static void test_default_policy(void **state)
{
	struct policy policy;
	policy_default(&policy, 1000);
	assert_true(may(&policy, POLICY_PUBLISH, 0, 0, "a"));
	assert_true(may(&policy, POLICY_PUBLISH, 1000, 1, "a"));
	assert_false(may(&policy, POLICY_PUBLISH, 1001, 0, "a"));
	assert_true(may(&policy, POLICY_LOOKUP, 1001, 1, "a"));
}

static void test_rules(void **state)
{
	struct policy policy;
	char error[POLICY_ERROR_MAX] = "";
	policy_default(&policy, 1000);
	assert_true(policy_parse(&policy,
							 "# services\n"
							 "publish uid:5 blk*   # block devices\n"
							 "\n"
							 "\tpublish\tgid:44 gpu\r\n"
							 "publish any tmp/*",
							 error));
	assert_true(may(&policy, POLICY_PUBLISH, 5, 0, "blk"));
	assert_true(may(&policy, POLICY_PUBLISH, 5, 0, "blk/2"));
	assert_false(may(&policy, POLICY_PUBLISH, 5, 0, "bl"));
	assert_false(may(&policy, POLICY_PUBLISH, 6, 5, "blk"));
	assert_true(may(&policy, POLICY_PUBLISH, 6, 44, "gpu"));
	assert_false(may(&policy, POLICY_PUBLISH, 6, 44, "gpu2"));
	assert_true(may(&policy, POLICY_PUBLISH, 6, 6, "tmp/x"));
	/* What the file says about an action replaces its default, root's too. */
	assert_false(may(&policy, POLICY_PUBLISH, 0, 0, "fs"));
	assert_false(may(&policy, POLICY_PUBLISH, 1000, 0, "fs"));
	assert_true(may(&policy, POLICY_LOOKUP, 6, 6, "fs"));
	assert_true(policy_parse(&policy, "lookup uid:7 *\n", error));
	assert_true(may(&policy, POLICY_LOOKUP, 7, 0, "anything"));
	assert_false(may(&policy, POLICY_LOOKUP, 0, 0, "anything"));
	assert_true(may(&policy, POLICY_PUBLISH, 0, 0, "anything"));
	policy_clear(&policy);
}

static void test_wrong_rules(void **state)
{
	static const struct {
		const char *text, *error;
	} wrong[] = {
		{"publish uid:1\n", "line 1: three words are needed"},
		{"\n\npublish uid:1 a b\n", "line 3: three words are needed"},
		{"allow uid:1 a\n", "line 1: \"allow\" is neither publish nor lookup"},
		{"publish root a\n", "line 1: \"root\" is not uid:NUMBER"},
		{"publish uid: a\n", "line 1: \"uid:\" is not"},
		{"publish uid:-1 a\n", "line 1: \"uid:-1\" is not"},
		{"publish uid:4294967296 a\n", "line 1: \"uid:4294967296\" is not"},
		{"publish uid:1x a\n", "line 1: \"uid:1x\" is not"},
		{"publish uid:1 A\n", "line 1: \"A\" is neither a name"},
		{"publish uid:1 a*b\n", "line 1: \"a*b\" is neither a name"},
		{"publish uid:1 "
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
		 "neither a name"},
	};
	struct policy policy;
	char error[POLICY_ERROR_MAX];
	policy_default(&policy, 1);
	assert_true(policy_parse(&policy, "publish uid:3 x\n", error));
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		assert_false(policy_parse(&policy, wrong[i].text, error));
		if (!strstr(error, wrong[i].error))
			fail_msg("\"%s\" gave \"%s\"", wrong[i].text, error);
		assert_true(may(&policy, POLICY_PUBLISH, 3, 0, "x")); /* as before */
	}
	char *many = calloc(1, (POLICY_RULES_MAX + 1) * 16);
	for (unsigned i = 0; i <= POLICY_RULES_MAX; i++)
		strcat(many, "publish any *\n");
	assert_false(policy_parse(&policy, many, error));
	assert_non_null(strstr(error, "line 1025: more than 1024 rules"));
	free(many);
	policy_clear(&policy);
}

static void test_policy_file(void **state)
{
	struct policy policy;
	char error[POLICY_ERROR_MAX];
	char path[] = "/tmp/fractos-policy-XXXXXX";
	policy_default(&policy, 1);
	assert_false(policy_load(&policy, "/nonexistent/policy", error));
	assert_string_equal(error, "No such file or directory");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "publish uid:3 x\n", 16), 16);
	close(fd);
	assert_true(policy_load(&policy, path, error));
	assert_true(may(&policy, POLICY_PUBLISH, 3, 0, "x"));
	unlink(path);
	policy_clear(&policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),          cmocka_unit_test(test_insert_find_remove),
		cmocka_unit_test(test_quotas),         cmocka_unit_test(test_pages),
		cmocka_unit_test(test_default_policy), cmocka_unit_test(test_rules),
		cmocka_unit_test(test_wrong_rules),    cmocka_unit_test(test_policy_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
