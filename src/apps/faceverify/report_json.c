/* The report as JSON, and its file; see report.h. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "report_values.h"

static void add_number(cJSON *to, const char *name, double number)
{
	if (number < 0)
		cJSON_AddNullToObject(to, name);
	else
		cJSON_AddNumberToObject(to, name, number);
}

static void add_messages(cJSON *to, const char *name, const meter_reading *counts, double batches)
{
	cJSON *object = cJSON_AddObjectToObject(to, name);
	for (enum meter_message m = 0; m < METER_MESSAGES; m++) {
		uint64_t sum = 0;
		for (unsigned i = 0; i < counts->node_count; i++)
			sum += counts->nodes[i].messages[m];
		if (sum > 0 && m != METER_heartbeat)
			cJSON_AddNumberToObject(object, meter_message_name(m), (double)sum / batches);
	}
}

static void add_mode(cJSON *to, const char *name, const report *r, const report_mode *m)
{
	cJSON *object = cJSON_AddObjectToObject(to, name);
	add_number(object, "batch_p50_us", m->batches > 0 ? m->batch_p50_us : -1);
	add_number(object, "batch_p99_us", m->batches > 0 ? m->batch_p99_us : -1);
	add_number(object, "one_p50_us", value_one_p50(r, m));
	add_number(object, "one_p99_us", value_one_p99(r, m));
	add_number(object, "per_s", value_rate(r, m));
	add_number(object, "net_bytes", value_bytes(r, m));
	add_number(object, "net_messages", value_messages(r, m));
	add_number(object, "kernel_bytes", value_kernel_bytes(r, m));
	add_number(object, "net_data_bytes", value_data_bytes(r, m));
	add_number(object, "gallery_crossings", value_crossings(r, m));
	add_number(object, "gallery_crossings_kernel", value_kernel_crossings(r, m));
	cJSON_AddNumberToObject(object, "batches", m->batches);
	cJSON_AddNumberToObject(object, "ones", m->ones);
	add_number(object, "pieces", value_pieces(r, m));
	add_number(object, "control_messages_cold", value_control_cold(r, m));
	add_number(object, "control_messages", value_control_warm(r, m));
	if (m->counted && r->has_recorders) {
		add_messages(object, "batch_messages", &m->warm, m->counted_batches);
		add_messages(object, "batch_messages_cold", &m->cold, 1);
	}
	if (m->where.total_us > 0) {
		cJSON *where = cJSON_AddObjectToObject(object, "where_us");
		for (where_part part = 0; part < WHERE_PARTS; part++)
			cJSON_AddNumberToObject(where, where_part_name(part), m->where.us[part]);
	}
}

static cJSON *make_json(const report *r)
{
	static const char *const names[VERIFY_MODES] = {"chain", "fast_star", "star2", "star3"};
	cJSON *root = cJSON_CreateObject();
	cJSON_AddNumberToObject(root, "probes", r->probes);
	cJSON_AddNumberToObject(root, "correct", r->correct);
	cJSON_AddNumberToObject(root, "false_accept", r->false_accept);
	cJSON_AddNumberToObject(root, "false_reject", r->false_reject);
	add_number(root, "eer", r->has_eer ? r->eer : -1);
	cJSON_AddNumberToObject(root, "errors", r->errors);
	cJSON_AddNumberToObject(root, "threshold", r->threshold);
	cJSON_AddNumberToObject(root, "calibration_eer", r->calibration_eer);
	cJSON_AddNumberToObject(root, "identities", r->identities);
	cJSON_AddNumberToObject(root, "batch", r->batch);
	cJSON_AddNumberToObject(root, "piece", r->piece);
	cJSON_AddNumberToObject(root, "enrol_s", r->enrol_s);
	cJSON_AddNumberToObject(root, "disagreements", r->disagreements);
	cJSON_AddNumberToObject(root, "connections", r->connections);
	cJSON *modes = cJSON_AddObjectToObject(root, "modes");
	for (unsigned i = 0; i < VERIFY_MODES; i++)
		if (r->modes[i].ran)
			add_mode(modes, names[i], r, &r->modes[i]);
	return root;
}

FILE *report_open(const char *path, bool *fresh)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	*fresh = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return NULL;
	FILE *file = fdopen(fd, "w");
	if (file == NULL)
		close(fd);
	return file;
}

bool report_write(FILE *file, const report *r)
{
	cJSON *root = make_json(r);
	char *text = cJSON_Print(root);
	struct stat stat;
	cJSON_Delete(root);
	if (text == NULL) {
		errno = ENOMEM;
		return false;
	}
	/* A terminal or a pipe has nothing to be cut off. */
	const bool ok = fstat(fileno(file), &stat) == 0 &&
					(!S_ISREG(stat.st_mode) || ftruncate(fileno(file), 0) == 0) &&
					fputs(text, file) >= 0 && fputc('\n', file) != EOF && fflush(file) == 0;
	cJSON_free(text);
	return ok;
}
