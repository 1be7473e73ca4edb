/* The report: its JSON has the promised names, its table every mode that ran. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <math.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "report.h"

static void fill(report *r)
{
	memset(r, 0, sizeof *r);
	r->batch = 256;
	r->probes = 1000;
	r->correct = 950;
	r->false_accept = 20;
	r->false_reject = 30;
	r->eer = 0.05;
	r->has_eer = true;
	r->has_recorders = r->has_netdevs = true;
	for (unsigned i = 0; i < VERIFY_MODES; i++) {
		report_mode *m = &r->modes[i];
		m->ran = m->counted = true;
		m->batches = m->ones = 10;
		m->pieces = 4;
		m->batch_p50_us = 1000 * (i + 1);
		m->batch_p99_us = 2000 * (i + 1);
		m->one_p50_us = 300;
		m->per_s = 1234;
		m->net_bytes = 30000; /* a small batch: more than half as much again for control */
		m->net_data_bytes = 10304 * (i + 2) + 4;
		m->net_messages = 0.08;
		m->kernel_bytes = 33000 + 10304 * i;
		m->counted_batches = 2;
		m->cold_pieces = 4;
		m->warm_pieces = 8;
		m->warm.node_count = 1;
		m->warm.nodes[0].messages[METER_invoke] = 16;
		m->warm.nodes[0].messages[METER_data] = 72; /* three slices a copy */
		m->warm.nodes[0].messages[METER_credit] = 6;
		m->warm.nodes[0].copies = 24;
		(void)strcpy(m->warm.nodes[0].name, "gpu");
		m->cold.node_count = 1;
		m->cold.nodes[0].messages[METER_invoke] = 28;
		m->where.total_us = 1000 * (i + 1);
		m->where.us[WHERE_COMPUTE] = m->where.total_us;
	}
}

static double number_of(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
	if (!cJSON_IsNumber(item))
		fail_msg("no number %s", name);
	return item->valuedouble;
}

static cJSON *written(const report *r)
{
	char path[] = "/tmp/faceverify-report-XXXXXX", text[32768];
	const int fd = mkstemp(path);
	assert_true(fd >= 0);
	bool fresh;
	FILE *file = report_open(path, &fresh);
	assert_non_null(file);
	assert_false(fresh);
	assert_true(report_write(file, r));
	assert_int_equal(fclose(file), 0);
	const ssize_t size = read(fd, text, sizeof text - 1);
	assert_true(size > 0);
	text[size] = '\0';
	close(fd);
	unlink(path);
	cJSON *root = cJSON_Parse(text);
	assert_non_null(root);
	return root;
}

static void json_has_the_promised_names(void **state)
{
	static const char *const modes[] = {"chain", "fast_star", "star2", "star3"};
	static const char *const fields[] = {"batch_p50_us", "batch_p99_us", "one_p50_us",  "per_s",
										 "net_bytes",    "net_messages", "kernel_bytes"};
	static report r;
	fill(&r);
	cJSON *root = written(&r);
	assert_true(number_of(root, "probes") == 1000);
	assert_true(number_of(root, "correct") == 950);
	assert_true(number_of(root, "false_accept") == 20);
	assert_true(number_of(root, "false_reject") == 30);
	assert_true(number_of(root, "eer") == 0.05);
	const cJSON *all = cJSON_GetObjectItemCaseSensitive(root, "modes");
	for (unsigned i = 0; i < VERIFY_MODES; i++) {
		const cJSON *mode = cJSON_GetObjectItemCaseSensitive(all, modes[i]);
		for (unsigned k = 0; k < sizeof fields / sizeof fields[0]; k++)
			assert_true(number_of(mode, fields[k]) > 0);
		assert_true(number_of(mode, "batch_p50_us") == 1000 * (i + 1));
		assert_true(fabs(number_of(mode, "gallery_crossings") - (i + 1)) < 0.001);
		assert_true(number_of(mode, "gallery_crossings_kernel") > i + 2);
		assert_true(number_of(mode, "control_messages") == 5);
		assert_true(number_of(mode, "control_messages_cold") == 7);
		const cJSON *messages = cJSON_GetObjectItemCaseSensitive(mode, "batch_messages");
		assert_true(number_of(messages, "invoke") == 8);
	}
	cJSON_Delete(root);
}

static void what_is_unknown_is_null(void **state)
{
	static report r;
	fill(&r);
	r.has_netdevs = false;
	r.has_eer = false;
	r.modes[VERIFY_STAR3].ran = false;
	cJSON *root = written(&r);
	assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(root, "eer")));
	const cJSON *all = cJSON_GetObjectItemCaseSensitive(root, "modes");
	const cJSON *chain = cJSON_GetObjectItemCaseSensitive(all, "chain");
	assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(chain, "kernel_bytes")));
	assert_null(cJSON_GetObjectItemCaseSensitive(all, "star3"));
	cJSON_Delete(root);
	bool fresh;
	assert_null(report_open("/nowhere/at/all", &fresh));
}

static void the_table_shows_every_mode(void **state)
{
	static report r;
	fill(&r);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	report_print(out, &r);
	report_print_ledger(out, &r);
	assert_int_equal(fclose(out), 0);
	static const char *const words[] = {"probes 1000",
										"correct 950",
										"false accepts 20",
										"false rejects 30",
										"5.00 %",
										"chain",
										"fast-star",
										"star2",
										"star3",
										"1.00",
										"4.00 x",
										"pieces of a batch                    4",
										"warm 5.00:  data into gpu 3.00;  invoke from gpu 2.00",
										"(besides: credit from gpu 0.75)",
										"invoke 8",
										"█"};
	for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strstr(text, words[i]) == NULL)
			fail_msg("no \"%s\" in:\n%s", words[i], text);
	free(text);
}

static char *printed(const report *r)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	report_print(out, r);
	assert_int_equal(fclose(out), 0);
	return text;
}

/* Batches with bad photos have fewer pieces: 3 in two batches, 15 messages. */
static void what_a_piece_costs_counts_pieces(void **state)
{
	static report r;
	fill(&r);
	r.modes[VERIFY_CHAIN].warm_pieces = 3;
	r.modes[VERIFY_CHAIN].warm.nodes[0].messages[METER_invoke] = 9;
	r.modes[VERIFY_CHAIN].warm.nodes[0].copies = 6;
	cJSON *root = written(&r);
	const cJSON *all = cJSON_GetObjectItemCaseSensitive(root, "modes");
	const cJSON *chain = cJSON_GetObjectItemCaseSensitive(all, "chain");
	assert_true(number_of(chain, "control_messages") == 5);
	assert_true(number_of(chain, "pieces") == 1.5);
	cJSON_Delete(root);
	char *text = printed(&r);
	assert_non_null(strstr(text, "warm 5.00:  data into gpu 2.00;  invoke from gpu 3.00"));
	free(text);
}

static void nothing_measured_is_no_table(void **state)
{
	static report r;
	fill(&r);
	r.connections = 2;
	for (unsigned i = 0; i < VERIFY_MODES; i++)
		r.modes[i] = (report_mode){.ran = true, .pieces = 8};
	char *text = printed(&r);
	assert_non_null(strstr(text, "found again 1 time\n"));
	assert_null(strstr(text, "p50"));
	assert_null(strstr(text, " -"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_has_the_promised_names),
		cmocka_unit_test(what_is_unknown_is_null),
		cmocka_unit_test(the_table_shows_every_mode),
		cmocka_unit_test(what_a_piece_costs_counts_pieces),
		cmocka_unit_test(nothing_measured_is_no_table),
	};
	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
