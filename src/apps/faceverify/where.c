/* Spans to shares of time; see where.h. Spans become edges "a part begins or ends to be busy",
 * which are then walked through in time. */
#include "where.h"

#include <stdlib.h>
#include <string.h>

struct edge {
	uint64_t at;
	int32_t change; /* +1, -1 */
	where_part part;
};

struct edges {
	struct edge *list;
	uint32_t count, room;
	uint64_t begin, end; /* of the batch: everything is cut to it */
};

const char *where_part_name(where_part part)
{
	static const char *const names[WHERE_PARTS] = {"read", "transfer", "compute", "control"};
	return names[part];
}

static void add(struct edges *edges, where_part part, uint64_t begin, uint64_t end)
{
	begin = begin < edges->begin ? edges->begin : begin;
	end = end > edges->end ? edges->end : end;
	if (begin >= end || edges->count + 2 > edges->room)
		return;
	edges->list[edges->count++] = (struct edge){begin, 1, part};
	edges->list[edges->count++] = (struct edge){end, -1, part};
}

static int by_begin(const void *a, const void *b)
{
	const fos_recorder_span *left = a, *right = b;
	return (left->begin > right->begin) - (left->begin < right->begin);
}

static int by_time(const void *a, const void *b)
{
	const struct edge *left = a, *right = b;
	return (left->at > right->at) - (left->at < right->at);
}

/* A delivery's time without that of the copies which it asked for. Spans are sorted by begin. */
static void add_delivery(struct edges *edges, const fos_recorder_span *spans, uint32_t count,
						 const fos_recorder_span *delivery, where_part part)
{
	uint64_t from = delivery->begin;
	for (uint32_t i = 0; i < count; i++) {
		const fos_recorder_span *copy = &spans[i];
		if (copy->kind != FOS_SPAN_COPY || copy->parent != delivery->id || copy->end <= from)
			continue;
		add(edges, part, from, copy->begin < delivery->end ? copy->begin : delivery->end);
		from = copy->end;
	}
	add(edges, part, from, delivery->end);
}

static int by_end(const void *a, const void *b)
{
	const fos_recorder_span *left = a, *right = b;
	return (left->end > right->end) - (left->end < right->end);
}

/* Where a copy lands nobody sees it before its first slice is there; it began when it set out. */
static void begin_copies_at_their_source(fos_recorder_span *spans, uint32_t count)
{
	qsort(spans, count, sizeof *spans, by_end);
	for (uint32_t i = 0; i < count; i++) {
		fos_recorder_span *copy = &spans[i], *send = NULL;
		for (uint32_t j = 0; j < i && copy->kind == FOS_SPAN_COPY && send == NULL; j++)
			if (spans[j].kind == FOS_SPAN_SEND && spans[j].trace == copy->trace &&
				spans[j].parent == copy->parent && spans[j].bytes == copy->bytes)
				send = &spans[j];
		if (send == NULL)
			continue;
		copy->begin = send->begin < copy->begin ? send->begin : copy->begin;
		send->kind = 0; /* it is this one's */
	}
	qsort(spans, count, sizeof *spans, by_begin);
}

static bool is_delivery(const fos_recorder_span *span, const char *label)
{
	return span->kind == FOS_SPAN_DELIVERY && strncmp(span->label, label, sizeof span->label) == 0;
}

bool where_is_whole(const fos_recorder_span *spans, uint32_t count, uint64_t first, uint32_t pieces)
{
	enum { COPIES = 3 }; /* probes, gallery photos, distances */
	for (uint32_t piece = 0; piece < pieces; piece++) {
		unsigned reads = 0, launches = 0, copies = 0;
		for (uint32_t i = 0; i < count; i++) {
			if (spans[i].trace != first + piece)
				continue;
			reads += is_delivery(&spans[i], "blk");
			launches += is_delivery(&spans[i], "gpu");
			copies += spans[i].kind == FOS_SPAN_COPY;
		}
		if (reads == 0 || launches == 0 || copies < COPIES)
			return false;
	}
	return true;
}

static void collect(struct edges *edges, const fos_recorder_span *spans, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (spans[i].kind == FOS_SPAN_COPY)
			add(edges, WHERE_TRANSFER, spans[i].begin, spans[i].end);
		else if (is_delivery(&spans[i], "blk"))
			add_delivery(edges, spans, count, &spans[i], WHERE_READ);
		else if (is_delivery(&spans[i], "gpu"))
			add_delivery(edges, spans, count, &spans[i], WHERE_COMPUTE);
	}
	qsort(edges->list, edges->count, sizeof *edges->list, by_time);
}

/* Gives [from, to), in which the parts with a positive count are busy, to them. */
static void share(const int32_t busy[WHERE_CONTROL], uint64_t from, uint64_t to, uint64_t begin,
				  uint64_t length, where_picture *out, double columns[][WHERE_COLUMNS])
{
	unsigned parts = 0;
	for (unsigned i = 0; i < WHERE_CONTROL; i++)
		parts += busy[i] > 0;
	const double us = (double)(to - from) / 1e3;
	if (parts == 0)
		out->us[WHERE_CONTROL] += us;
	for (unsigned i = 0; i < WHERE_CONTROL; i++) {
		if (busy[i] <= 0)
			continue;
		out->us[i] += us / parts;
		const double first = (double)(from - begin) * WHERE_COLUMNS / (double)length;
		const double last = (double)(to - begin) * WHERE_COLUMNS / (double)length;
		for (unsigned c = (unsigned)first; c < WHERE_COLUMNS && c < last; c++) {
			const double left = first > c ? first : c, right = last < c + 1.0 ? last : c + 1.0;
			columns[i][c] += right - left;
		}
	}
}

void where_make(const fos_recorder_span *spans, uint32_t count, uint64_t begin, uint64_t end,
				where_picture *out)
{
	memset(out, 0, sizeof *out);
	if (end <= begin)
		return;
	out->total_us = (double)(end - begin) / 1e3;
	/* Each span makes at most one interval more than it has copies: two edges each. */
	fos_recorder_span *sorted = malloc(((size_t)count + 1) * sizeof *sorted);
	struct edges edges = {.list = malloc(((size_t)count + 1) * 4 * sizeof *edges.list),
						  .room = (count + 1) * 4,
						  .begin = begin,
						  .end = end};
	if (count > 0 && sorted != NULL && edges.list != NULL) {
		memcpy(sorted, spans, count * sizeof *sorted);
		begin_copies_at_their_source(sorted, count);
		collect(&edges, sorted, count);
	}
	int32_t busy[WHERE_CONTROL] = {0};
	double columns[WHERE_CONTROL][WHERE_COLUMNS] = {{0}};
	uint64_t at = begin;
	for (uint32_t i = 0; i < edges.count; i++) {
		share(busy, at, edges.list[i].at, begin, end - begin, out, columns);
		at = edges.list[i].at;
		busy[edges.list[i].part] += edges.list[i].change;
	}
	share(busy, at, end, begin, end - begin, out, columns);
	for (unsigned i = 0; i < WHERE_CONTROL; i++)
		for (unsigned c = 0; c < WHERE_COLUMNS; c++)
			out->busy[i][c] = columns[i][c] <= 0 ? 0 : (uint8_t)(1 + columns[i][c] * 6.999);
	free(sorted);
	free(edges.list);
}
