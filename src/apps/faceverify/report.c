/* The table, the pictures and the ledger; see report.h. */
#include "report_values.h"

/* ------------------------------------------------------------------ the table */

enum { LABEL_WIDTH = 26, CELL_WIDTH = 12 };

/* One row: a value of each mode that ran; a negative one is unknown. */
static void row(FILE *out, const report *r, const char *label, const char *format,
				double (*value)(const report *, const report_mode *))
{
	(void)fprintf(out, "  %-*s", LABEL_WIDTH, label);
	for (unsigned i = 0; i < VERIFY_MODES; i++) {
		if (!r->modes[i].ran)
			continue;
		const double number = value(r, &r->modes[i]);
		char cell[32] = "-";
		if (number >= 0) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			(void)snprintf(cell, sizeof cell, format, number);
#pragma GCC diagnostic pop
		}
		(void)fprintf(out, "%*s", CELL_WIDTH, cell);
	}
	(void)fputc('\n', out);
}

static void print_table(FILE *out, const report *r)
{
	char label[64];
	(void)fprintf(out, "\n  %-*s", LABEL_WIDTH, "");
	for (verify_mode mode = 0; mode < VERIFY_MODES; mode++)
		if (r->modes[mode].ran)
			(void)fprintf(out, "%*s", CELL_WIDTH, verify_mode_name(mode));
	(void)snprintf(label, sizeof label, "batch of %u, ms     p50", r->batch);
	(void)fputc('\n', out);
	row(out, r, label, "%.2f", value_batch_p50);
	row(out, r, "                      p99", "%.2f", value_batch_p99);
	row(out, r, "one alone, us         p50", "%.0f", value_one_p50);
	row(out, r, "                      p99", "%.0f", value_one_p99);
	row(out, r, "verifications a second", "%.0f", value_rate);
	(void)fprintf(out, "  network, per verification\n");
	row(out, r, "  messages", "%.3f", value_messages);
	row(out, r, "  bytes, Controllers say", "%.0f", value_bytes);
	row(out, r, "  bytes, the kernel says", "%.0f", value_kernel_bytes);
	row(out, r, "  gallery crossed, data", "%.2f x", value_crossings);
	row(out, r, "    by the kernel's bytes", "%.2f x", value_kernel_crossings);
	row(out, r, "messages of a batch", "%.1f", value_batch_messages);
	row(out, r, "pieces of a batch", "%.3g", value_pieces);
	row(out, r, "control msgs a piece, cold", "%.2f", value_control_cold);
	row(out, r, "                      warm", "%.2f", value_control_warm);
	if (!r->modes[VERIFY_CHAIN].ran)
		return;
	(void)fprintf(out, "  over chain\n");
	row(out, r, "  latency of a batch", "%.2f x", value_latency_ratio);
	row(out, r, "  latency of one alone", "%.2f x", value_one_ratio);
	row(out, r, "  messages", "%.2f x", value_message_ratio);
	row(out, r, "  bytes", "%.2f x", value_byte_ratio);
}

static void print_notes(FILE *out, const report *r)
{
	if (r->has_netdevs)
		(void)fprintf(out,
					  "  The kernel's bytes hold what data is wrapped in too: headers, control "
					  "messages, heartbeats.\n");
}

/* ------------------------------------------------------------------ control messages */

/* "data into gpu 2.00, app 1.00": one message of each node, `value` of it. */
static bool print_nodes(FILE *out, const meter_reading *counts, const char *what, double share,
						uint64_t (*value)(const meter_node *, enum meter_message),
						enum meter_message message)
{
	const char *before = what;
	for (unsigned i = 0; i < counts->node_count; i++) {
		const uint64_t number = value(&counts->nodes[i], message);
		if (number == 0)
			continue;
		(void)fprintf(out, "%s %s %.2f", before, counts->nodes[i].name, (double)number / share);
		before = ",";
	}
	return before != what;
}

static uint64_t landed(const meter_node *node, enum meter_message message)
{
	return node->copies;
}

static uint64_t sent(const meter_node *node, enum meter_message message)
{
	return node->messages[message];
}

static void print_control_of(FILE *out, const meter_reading *counts, double share, double sum,
							 const char *when)
{
	(void)fprintf(out, "    %-5s%.2f:", when, sum);
	print_nodes(out, counts, "  data into", share, landed, METER_data);
	for (enum meter_message m = 0; m < METER_MESSAGES; m++) {
		char what[40];
		if (m == METER_data || m == METER_credit || m == METER_heartbeat)
			continue;
		(void)snprintf(what, sizeof what, ";  %s from", meter_message_name(m));
		print_nodes(out, counts, what, share, sent, m);
	}
	if (print_nodes(out, counts, "   (besides: credit from", share, sent, METER_credit))
		(void)fputc(')', out);
	(void)fputc('\n', out);
}

/* "  chain, 8 pieces" */
static void print_mode(FILE *out, const report *r, verify_mode mode)
{
	const double pieces = value_pieces(r, &r->modes[mode]);
	(void)fprintf(out, "  %s, %.3g piece%s\n", verify_mode_name(mode), pieces,
				  pieces > 1 ? "s" : "");
}

/* What decides, of one piece. In the chain: upload, fs, storage and gpu, and the answer. */
static void print_control(FILE *out, const report *r)
{
	enum { CHAIN_STAGES = 4 };
	if (!r->has_recorders)
		return;
	(void)fprintf(out,
				  "\n  control messages of a piece, by name (chain: %d stages + 1; a copy is "
				  "one, its first \"data\")\n",
				  CHAIN_STAGES);
	for (verify_mode mode = 0; mode < VERIFY_MODES; mode++) {
		const report_mode *m = &r->modes[mode];
		if (!m->ran || !m->counted || m->cold_pieces == 0)
			continue;
		print_mode(out, r, mode);
		print_control_of(out, &m->cold, (double)m->cold_pieces, value_control_cold(r, m), "cold");
		print_control_of(out, &m->warm, (double)m->warm_pieces, value_control_warm(r, m), "warm");
	}
}

/* ------------------------------------------------------------------ the pictures */

static void print_bar(FILE *out, const where_picture *where, double longest)
{
	static const char *const shades[WHERE_PARTS] = {"▓", "▒", "█", "░"};
	enum { WIDTH = 60 };
	double from = 0;
	unsigned drawn = 0;
	for (unsigned part = 0; part < WHERE_PARTS; part++) {
		from += where->us[part];
		for (; drawn + 0.5 < from / longest * WIDTH; drawn++)
			(void)fputs(shades[part], out);
	}
	(void)fputc('\n', out);
}

static void print_where(FILE *out, const report *r)
{
	double longest = 0;
	for (unsigned i = 0; i < VERIFY_MODES; i++)
		if (r->modes[i].ran && r->modes[i].where.total_us > longest)
			longest = r->modes[i].where.total_us;
	if (longest <= 0)
		return;
	(void)fprintf(out, "\n  where a batch's time went: ▓ read  ▒ transfer  █ compute  ░ control\n");
	for (verify_mode mode = 0; mode < VERIFY_MODES; mode++) {
		const where_picture *where = &r->modes[mode].where;
		if (!r->modes[mode].ran || where->total_us <= 0)
			continue;
		(void)fprintf(out, "  %-10s", verify_mode_name(mode));
		print_bar(out, where, longest);
		(void)fprintf(out, "  %10s%.3f ms:", "", where->total_us / 1e3);
		for (where_part part = 0; part < WHERE_PARTS; part++)
			(void)fprintf(out, "  %s %.3f", where_part_name(part), where->us[part] / 1e3);
		(void)fputc('\n', out);
	}
}

/* When each part was busy, from the first call to the last verdict. */
static void print_course(FILE *out, const report *r, verify_mode mode)
{
	static const char *const levels[WHERE_LEVELS + 1] = {" ", "▁", "▂", "▃", "▄",
														 "▅", "▆", "▇", "█"};
	const where_picture *where = &r->modes[mode].where;
	if (!r->modes[mode].ran || where->total_us <= 0)
		return;
	(void)fprintf(out, "\n  the course of one batch, %s, %u pieces\n", verify_mode_name(mode),
				  r->modes[mode].pieces);
	for (where_part part = 0; part < WHERE_CONTROL; part++) {
		(void)fprintf(out, "  %-9s▏", where_part_name(part));
		for (unsigned c = 0; c < WHERE_COLUMNS; c++)
			(void)fputs(levels[where->busy[part][c]], out);
		(void)fputs("▕\n", out);
	}
}

/* With --once there is nothing of it. */
static bool was_measured(const report *r)
{
	bool measured = false;
	for (unsigned i = 0; i < VERIFY_MODES; i++)
		measured = measured || r->modes[i].counted || r->modes[i].batches > 0;
	return measured;
}

void report_print(FILE *out, const report *r)
{
	(void)fprintf(out,
				  "\n  probes %u   correct %u   false accepts %u   false rejects %u   errors %u\n",
				  r->probes, r->correct, r->false_accept, r->false_reject, r->errors);
	if (r->has_eer)
		(void)fprintf(out, "  equal error rate %.2f %%   ", r->eer * 100);
	(void)fprintf(out, "  threshold %.4f", r->threshold);
	if (r->calibration_eer > 0)
		(void)fprintf(out, " (calibrated: %.2f %% there)", r->calibration_eer * 100);
	(void)fprintf(out, "\n  gallery of %u enrolled in %.2f s\n", r->identities, r->enrol_s);
	if (r->disagreements > 0)
		(void)fprintf(out, "  %u distances were NOT the same in all modes\n", r->disagreements);
	if (r->connections > 1)
		(void)fprintf(out, "  services were lost and found again %u time%s\n", r->connections - 1,
					  r->connections == 2 ? "" : "s");
	if (!was_measured(r))
		return;
	print_table(out, r);
	print_notes(out, r);
	print_control(out, r);
	print_where(out, r);
	print_course(out, r, VERIFY_CHAIN);
}

/* ------------------------------------------------------------------ the ledger */

static void print_counts(FILE *out, const meter_reading *counts, uint32_t batches, const char *when)
{
	(void)fprintf(out, "    %s\n", when);
	for (unsigned i = 0; i < counts->node_count; i++) {
		const meter_node *node = &counts->nodes[i];
		(void)fprintf(out, "      %-8s sends", node->name);
		for (enum meter_message m = 0; m < METER_MESSAGES; m++)
			if (m != METER_heartbeat && node->messages[m] > 0)
				(void)fprintf(out, "  %s %.4g", meter_message_name(m),
							  (double)node->messages[m] / batches);
		(void)fprintf(out, "   (all:");
		for (unsigned j = 0; j < node->link_count; j++)
			(void)fprintf(out, " to %s %.4g", node->links[j].to,
						  (double)node->links[j].messages / batches);
		(void)fprintf(out, ")\n");
	}
}

void report_print_ledger(FILE *out, const report *r)
{
	(void)fprintf(out,
				  "\n  messages of a batch of %u, by node and name; in brackets by link, with "
				  "heartbeats\n",
				  r->batch);
	for (verify_mode mode = 0; mode < VERIFY_MODES; mode++) {
		const report_mode *m = &r->modes[mode];
		if (!m->ran || !m->counted)
			continue;
		print_mode(out, r, mode);
		print_counts(out, &m->cold, 1, "cold: the first batch of this mode");
		print_counts(out, &m->warm, m->counted_batches, "warm");
	}
}
