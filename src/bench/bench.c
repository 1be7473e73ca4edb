/* Turns, medians and rows. A machine's speed drifts, so all sides of a comparison are measured in
 * turn within one run, and ratios are made round by round; medians are quoted, and the first and
 * last tenth tell the spread. */
#include "bench.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t bench_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void bench_complain(const char *format, ...)
{
	va_list args;
	fputs("fractos-bench: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* ------------------------------------------------------------------ measuring */

/* How many operations fill a turn: more and more of them, until they take a fair part of one. */
static unsigned calibrate(const struct bench_side *side)
{
	const unsigned most = side->most > 0 ? side->most : 1u << 24;
	for (unsigned count = 1;;) {
		uint64_t ns = side->run(side->arg, count);
		if (ns == 0)
			return 0;
		double fit = (double)count * (double)BENCH_TURN_NS / (double)ns;
		if (ns >= BENCH_TURN_NS / 4 || count == most)
			return fit < 1 ? 1 : fit > most ? most : (unsigned)fit;
		count = count > most / 4 ? most : count * 4;
	}
}

/* Turns stay as long as they should be where the speed drifts, or the first look was disturbed. */
static unsigned adapt(const struct bench_side *side, unsigned fill, uint64_t ns)
{
	double fit = (double)fill * (double)BENCH_TURN_NS / (double)ns;
	double low = fill / 2.0, high = fill * 2.0;
	fit = fit < low ? low : fit > high ? high : fit;
	fit = side->most > 0 && fit > side->most ? side->most : fit;
	return fit < 1 ? 1 : (unsigned)fit;
}

bool bench_measure(const struct bench_context *context, const struct bench_side *sides,
				   unsigned count, struct bench_samples *out)
{
	unsigned fill[32];
	if (count > sizeof fill / sizeof fill[0])
		return bench_fails("more than %zu sides", sizeof fill / sizeof fill[0]);
	for (unsigned i = 0; i < count; i++) {
		out[i].rounds = context->rounds;
		if ((fill[i] = calibrate(&sides[i])) == 0)
			return false;
	}
	for (unsigned i = 0; i < count; i++)
		if (sides[i].ready)
			sides[i].ready(sides[i].arg);
	for (unsigned round = 0; round < context->rounds; round++)
		for (unsigned i = 0; i < count; i++) {
			uint64_t ns = sides[i].run(sides[i].arg, fill[i]);
			if (ns == 0)
				return false;
			out[i].ns[round] = (double)ns / fill[i];
			fill[i] = adapt(&sides[i], fill[i], ns);
		}
	return true;
}

/* ------------------------------------------------------------------ statistics */

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

struct summary {
	double median, p10, p90;
};

static struct summary summarize(const double *values, unsigned count)
{
	double sorted[BENCH_ROUNDS_MAX];
	memcpy(sorted, values, count * sizeof *values);
	qsort(sorted, count, sizeof *sorted, compare);
	return (struct summary){(sorted[(count - 1) / 2] + sorted[count / 2]) / 2, sorted[count / 10],
							sorted[count - 1 - count / 10]};
}

double bench_median(const struct bench_samples *samples)
{
	return summarize(samples->ns, samples->rounds).median;
}

unsigned bench_best(const struct bench_samples *samples, unsigned count)
{
	unsigned best = 0;
	for (unsigned i = 1; i < count; i++)
		if (bench_median(&samples[i]) < bench_median(&samples[best]))
			best = i;
	return best;
}

static double value_of(enum bench_value kind, double scale, double ns)
{
	switch (kind) {
	case BENCH_US:
		return ns / 1000;
	case BENCH_PER_SECOND:
		return scale * 1e9 / ns;
	case BENCH_GB_S:
		return scale / ns;
	default:
		return ns;
	}
}

/* ------------------------------------------------------------------ rows */

static void write_number(FILE *file, const char *name, double value)
{
	if (isfinite(value))
		fprintf(file, ",\"%s\":%.9g", name, value);
	else
		fprintf(file, ",\"%s\":null", name);
}

static void write_row(const struct bench_context *context, const struct bench_row *row,
					  const struct summary *ours, const char *baseline_name,
					  const struct summary *base, const struct summary *ratio, unsigned rounds)
{
	FILE *file = context->json ? fopen(context->json, "ae") : NULL;
	if (!file) {
		if (context->json)
			bench_complain("cannot write %s", context->json);
		return;
	}
	fprintf(file, "{\"bench\":\"%s\",\"case\":\"%s\",\"metric\":\"%s\",\"unit\":\"%s\"", row->bench,
			row->name, row->metric, row->unit);
	write_number(file, "value", ours->median);
	if (baseline_name)
		fprintf(file, ",\"baseline_name\":\"%s\"", baseline_name);
	else
		fprintf(file, ",\"baseline_name\":null");
	write_number(file, "baseline", base->median);
	write_number(file, "ratio", ratio->median);
	fprintf(file, ",\"rounds\":%u", rounds);
	write_number(file, "p10", ours->p10);
	write_number(file, "p90", ours->p90);
	write_number(file, "baseline_p10", base->p10);
	write_number(file, "baseline_p90", base->p90);
	write_number(file, "ratio_p10", ratio->p10);
	write_number(file, "ratio_p90", ratio->p90);
	fprintf(file, ",\"better\":\"%s\"", row->more_is_better ? "more" : "less");
	if (row->panel)
		fprintf(file, ",\"panel\":\"%s\"", row->panel);
	if (row->series && row->x_name) {
		fprintf(file, ",\"series\":\"%s\",\"x_name\":\"%s\"", row->series, row->x_name);
		write_number(file, "x", row->x);
	}
	fputs("}\n", file);
	if (ferror(file) | fclose(file))
		bench_complain("cannot write %s", context->json);
}

static void show_row(const struct bench_row *row, const struct summary *ours,
					 const char *baseline_name, const struct summary *base,
					 const struct summary *ratio)
{
	printf("%-7s %-34s %-10s %10.4g %-6s", row->bench, row->name, row->metric, ours->median,
		   row->unit);
	if (ours->p10 < ours->p90)
		printf(" (%.4g-%.4g)", ours->p10, ours->p90);
	if (baseline_name)
		printf("  %s %.4g  ratio %.3g (%.3g-%.3g)", baseline_name, base->median, ratio->median,
			   ratio->p10, ratio->p90);
	putchar('\n');
	fflush(stdout);
}

void bench_report(const struct bench_context *context, const struct bench_row *row,
				  enum bench_value kind, double scale, const struct bench_samples *ours,
				  const char *baseline_name, const struct bench_samples *baseline)
{
	double a[BENCH_ROUNDS_MAX] = {0}, b[BENCH_ROUNDS_MAX] = {0}, r[BENCH_ROUNDS_MAX] = {0};
	struct summary base = {NAN, NAN, NAN}, ratio = {NAN, NAN, NAN};
	unsigned rounds = ours->rounds;

	if (!baseline_name)
		baseline = NULL;
	for (unsigned i = 0; i < rounds; i++) {
		a[i] = value_of(kind, scale, ours->ns[i]);
		b[i] = baseline ? value_of(kind, scale, baseline->ns[i]) : NAN;
		r[i] = a[i] / b[i];
	}
	struct summary value = summarize(a, rounds);
	if (baseline) {
		base = summarize(b, rounds);
		ratio = summarize(r, rounds);
	}
	show_row(row, &value, baseline_name, &base, &ratio);
	write_row(context, row, &value, baseline_name, &base, &ratio, rounds);
}

void bench_number(const struct bench_context *context, const struct bench_row *row, double value,
				  const char *baseline_name, double baseline)
{
	struct summary ours = {value, value, value}, base = {baseline, baseline, baseline};
	double r = baseline_name ? value / baseline : NAN;
	struct summary ratio = {r, r, r};

	if (!baseline_name)
		base = ratio;
	show_row(row, &ours, baseline_name, &base, &ratio);
	write_row(context, row, &ours, baseline_name, &base, &ratio, 1);
}
