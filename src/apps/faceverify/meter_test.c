/* The meter, on recorders made by hand and on the loopback interface. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "meter.h"

static char path[] = "/tmp/faceverify-recorder-XXXXXX";
static fos_recorder *recorder;

static void write_recorder(void)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(recorder, sizeof *recorder, 1, file), 1);
	assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
	recorder = calloc(1, sizeof *recorder);
	const int fd = mkstemp(path);
	if (recorder == NULL || fd < 0)
		return -1;
	close(fd);
	recorder->magic = FOS_RECORDER_MAGIC;
	recorder->layout = FOS_RECORDER_LAYOUT;
	(void)strcpy(recorder->node_name, "gpu");
	recorder->links[0].node = 2;
	(void)strcpy(recorder->links[0].name, "fs");
	return 0;
}

static int teardown(void **state)
{
	free(recorder);
	return unlink(path);
}

static void counts_are_differences(void **state)
{
	char text[128], error[METER_ERROR_MAX];
	static meter_reading before, after, difference;
	(void)snprintf(text, sizeof text, "gpu=%s", path);
	recorder->counters.sent.invoke = 100;
	recorder->counters.sent.heartbeat = 1000;
	recorder->counters.sent_bytes.invoke = 5000;
	recorder->links[0].messages_sent = 1100;
	write_recorder();
	meter *m = meter_new();
	assert_non_null(m);
	assert_false(meter_has_recorders(m));
	if (!meter_add_recorder(m, text, error))
		fail_msg("%s", error);
	assert_true(meter_has_recorders(m));
	meter_read(m, &before);
	recorder->counters.sent.invoke += 7;
	recorder->counters.sent.data += 2;
	recorder->counters.sent.heartbeat += 50;
	recorder->counters.sent_bytes.data += 20000;
	recorder->links[0].messages_sent += 59;
	write_recorder(); /* the same file: what is mapped changes */
	meter_read(m, &after);
	meter_difference(&before, &after, &difference);
	assert_int_equal(meter_messages(&difference), 9);
	assert_int_equal(meter_bytes(&difference), 20000);
	assert_int_equal(difference.nodes[0].messages[METER_invoke], 7);
	assert_int_equal(difference.nodes[0].links[0].messages, 59);
	assert_string_equal(difference.nodes[0].links[0].to, "fs");
	meter_free(m);
}

/* A Controller that starts again puts another file in the place of the old one. */
static void a_new_life_is_followed(void **state)
{
	char text[128], fresh[64], error[METER_ERROR_MAX];
	static meter_reading before, after, difference;
	fos_recorder_span found[8];
	(void)snprintf(text, sizeof text, "gpu=%s", path);
	(void)snprintf(fresh, sizeof fresh, "%s.new", path);
	fos_recorder *second = calloc(1, sizeof *second);
	assert_non_null(second);
	memcpy(second, recorder, sizeof *second);
	recorder->epoch = 1;
	recorder->counters.sent.invoke = 500;
	recorder->span_count = 9;
	write_recorder();
	meter *m = meter_new();
	assert_true(meter_add_recorder(m, text, error));
	meter_read(m, &before);
	second->epoch = 2;
	memset(&second->counters, 0, sizeof second->counters);
	second->counters.sent.invoke = 3;
	second->counters.copies = 5;
	second->counters.copies_local = 1;
	second->counters.copy_bytes = 700;
	second->counters.sent_bytes.data = 900;
	second->counters.sent.data = 60;
	second->counters.sent.credit = 2;
	second->spans[0] = (fos_recorder_span){.sequence = 1, .trace = 40};
	second->span_count = 1;
	FILE *file = fopen(fresh, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(second, sizeof *second, 1, file), 1);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(fresh, path), 0);
	meter_read(m, &after);
	meter_difference(&before, &after, &difference);
	assert_int_equal(difference.nodes[0].messages[METER_invoke], 3);
	assert_int_equal(meter_control_messages(&difference), 3 + 4);
	assert_int_equal(meter_data_bytes(&difference), 700);
	assert_int_equal(meter_spans(m, &before, 40, 1, found, 8), 1);
	free(second);
	recorder->counters.sent.invoke = 0;
	recorder->span_count = 0;
	meter_free(m);
}

static void spans_of_the_traces_only(void **state)
{
	char text[128], error[METER_ERROR_MAX];
	static meter_reading before;
	fos_recorder_span found[8];
	(void)snprintf(text, sizeof text, "gpu=%s", path);
	write_recorder();
	meter *m = meter_new();
	assert_true(meter_add_recorder(m, text, error));
	meter_read(m, &before);
	for (unsigned i = 0; i < 6; i++)
		recorder->spans[i] = (fos_recorder_span){.sequence = i + 1, .trace = 40 + i};
	recorder->spans[3].sequence = 0; /* being written */
	recorder->span_count = 6;
	write_recorder();
	assert_int_equal(meter_spans(m, &before, 42, 3, found, 8), 2);
	assert_int_equal(found[0].trace, 42);
	assert_int_equal(found[1].trace, 44);
	assert_int_equal(meter_spans(m, &before, 40, 6, found, 2), 2);
	meter_free(m);
}

static void send_to_myself(size_t size)
{
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof self;
	char *bytes = calloc(1, size);
	assert_int_equal(bind(fd, (struct sockaddr *)&self, sizeof self), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&self, &length), 0);
	assert_int_equal(sendto(fd, bytes, size, 0, (struct sockaddr *)&self, length), size);
	free(bytes);
	close(fd);
}

static void the_kernel_counts_too(void **state)
{
	char error[METER_ERROR_MAX];
	static meter_reading before, after;
	meter *m = meter_new();
	if (!meter_add_netdev(m, "app=lo", error))
		fail_msg("%s", error);
	assert_true(meter_has_netdevs(m));
	meter_read(m, &before);
	send_to_myself(20000);
	meter_read(m, &after);
	assert_true(after.kernel_bytes - before.kernel_bytes >= 20000);
	assert_true(meter_add_netdev(m, "app=lo@/proc/self/ns/net", error) || geteuid() != 0);
	meter_free(m);
}

static void bad_sources_are_named(void **state)
{
	char text[128], error[METER_ERROR_MAX];
	meter *m = meter_new();
	assert_false(meter_add_recorder(m, "gpu", error));
	assert_non_null(strstr(error, "NODE=PATH"));
	assert_false(meter_add_recorder(m, "gpu=/nowhere/at/all", error));
	assert_non_null(strstr(error, "No such file"));
	assert_false(meter_add_recorder(m, "gpu=/proc/self/exe", error));
	assert_non_null(strstr(error, "not a flight recorder"));
	recorder->layout++;
	write_recorder();
	recorder->layout--;
	(void)snprintf(text, sizeof text, "gpu=%s", path);
	assert_false(meter_add_recorder(m, text, error));
	assert_false(meter_add_netdev(m, "app=nosuchif0", error));
	assert_non_null(strstr(error, "no such interface"));
	assert_false(meter_add_netdev(m, "app=lo@/nowhere/at/all", error));
	assert_non_null(strstr(error, "No such file"));
	meter_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_are_differences),   cmocka_unit_test(a_new_life_is_followed),
		cmocka_unit_test(spans_of_the_traces_only), cmocka_unit_test(the_kernel_counts_too),
		cmocka_unit_test(bad_sources_are_named),
	};
	return cmocka_run_group_tests_name("meter", tests, setup, teardown);
}
