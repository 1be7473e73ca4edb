/* See plan.h. */
#include "plan.h"

#include <string.h>

static const uint64_t MASK = PLAN_BLOCK - 1;

static uint64_t down(uint64_t n)
{
	return n & ~MASK;
}

static uint64_t up(uint64_t n)
{
	return (n + MASK) & ~MASK;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* What is left of the range at the cursor; skips empty ranges. False: nothing is left. */
static bool next_range(const fos_blk_range *ranges, uint32_t count, struct plan_cursor *cursor,
					   fos_blk_range *out)
{
	while (cursor->range < count && cursor->done == ranges[cursor->range].length) {
		cursor->range++;
		cursor->done = 0;
	}
	if (cursor->range == count)
		return false;
	*out = (fos_blk_range){.offset = ranges[cursor->range].offset + cursor->done,
						   .length = ranges[cursor->range].length - cursor->done};
	return true;
}

static void begin(struct plan *plan, const struct plan_cursor *cursor)
{
	plan->memory = cursor->memory;
	plan->length = 0;
	plan->part_count = plan->run_count = plan->edge_count = 0;
}

static struct plan_run *last_run(struct plan *plan)
{
	return plan->run_count > 0 ? &plan->runs[plan->run_count - 1] : NULL;
}

/* The staging offset behind the last run. */
static uint64_t staging_used(struct plan *plan)
{
	const struct plan_run *run = last_run(plan);
	return run ? run->staging + (plan_run_last(run) - plan_run_first(run)) : 0;
}

/* Adds `length` bytes at `offset`, to the last run or to a new one. */
static void add(struct plan *plan, struct plan_cursor *cursor, uint64_t offset, uint64_t length,
				bool join)
{
	if (!join) {
		plan->runs[plan->run_count] =
			(struct plan_run){.start = offset, .staging = (uint32_t)staging_used(plan)};
		plan->run_count++;
	}
	struct plan_run *run = last_run(plan);
	run->end = offset + length;
	plan->parts[plan->part_count++] =
		(struct plan_part){.offset = offset,
						   .length = (uint32_t)length,
						   .staging = run->staging + (uint32_t)(offset - plan_run_first(run))};
	plan->length += (uint32_t)length;
	cursor->done += length;
	cursor->memory += length;
}

void plan_read(struct plan *plan, const fos_blk_range *ranges, uint32_t count,
			   struct plan_cursor *cursor, uint32_t capacity)
{
	begin(plan, cursor);
	fos_blk_range left;
	while (next_range(ranges, count, cursor, &left) && plan->part_count < FOS_BLK_RANGES_MAX) {
		const struct plan_run *run = last_run(plan);
		uint64_t first = down(left.offset);
		bool join = run && left.offset >= run->end && first <= plan_run_last(run);
		uint64_t room = capacity - staging_used(plan);
		uint64_t limit = (join ? plan_run_last(run) : first) + room;
		if (limit <= left.offset)
			break;
		add(plan, cursor, left.offset, least(left.length, limit - left.offset), join);
	}
}

/* How many edges the write of [start, end) has: blocks that it covers only partly. */
static uint32_t edges_of(uint64_t start, uint64_t end)
{
	uint32_t head = (start & MASK) != 0, tail = (end & MASK) != 0;
	return head && tail && down(start) == down(end) ? 1 : head + tail;
}

static bool touches(const struct plan *plan, uint64_t start, uint64_t end)
{
	for (uint32_t i = 0; i < plan->run_count; i++)
		if (plan_run_first(&plan->runs[i]) < up(end) && down(start) < plan_run_last(&plan->runs[i]))
			return true;
	return false;
}

void plan_write(struct plan *plan, const fos_blk_range *ranges, uint32_t count,
				struct plan_cursor *cursor, uint32_t capacity)
{
	begin(plan, cursor);
	fos_blk_range left;
	while (next_range(ranges, count, cursor, &left) && plan->part_count < FOS_BLK_RANGES_MAX) {
		const struct plan_run *run = last_run(plan);
		bool join = run && left.offset == run->end;
		uint64_t start = join ? run->start : left.offset;
		uint64_t before = join ? run->staging : staging_used(plan);
		uint32_t edges = plan->edge_count - (join ? edges_of(run->start, run->end) : 0);
		uint64_t end = left.offset + left.length;
		/* Where all of it does not fit, it is cut at the end of a block: no edge there. */
		if (before + (up(end) - down(start)) + (edges + edges_of(start, end)) * PLAN_BLOCK >
			capacity) {
			uint64_t taken = before + (edges + ((start & MASK) != 0)) * PLAN_BLOCK;
			end = least(down(end), taken < capacity ? down(start) + (capacity - taken) : 0);
			if (end <= left.offset)
				break;
		}
		if (!join && touches(plan, left.offset, end))
			break;
		add(plan, cursor, left.offset, end - left.offset, join);
		plan->edge_count = edges + edges_of(start, end);
	}
}

fos_status plan_window(const fos_blk_extents *extents, uint32_t len, const fos_blk_range *window,
					   fos_blk_range out[FOS_BLK_RANGES_MAX], uint32_t *count, const char **why)
{
	uint64_t skip = window->offset, left = window->length;
	*count = 0;
	*why = "blk: the extents are malformed";
	if (extents->count > FOS_BLK_RANGES_MAX || extents->zero != 0 ||
		len < sizeof *extents + extents->count * sizeof extents->at[0])
		return FOS_INVALID;
	for (uint32_t i = 0; i < extents->count && left > 0; i++) {
		fos_blk_range extent = extents->at[i];
		if (skip >= extent.length) {
			skip -= extent.length;
			continue;
		}
		extent = (fos_blk_range){extent.offset + skip, least(extent.length - skip, left)};
		skip = 0;
		left -= extent.length;
		out[(*count)++] = extent;
	}
	*why = "blk: the window reaches beyond what it was opened for";
	return left > 0 || *count == 0 ? FOS_RANGE : FOS_OK;
}

void plan_pack(const struct plan *plan, uint8_t *staging)
{
	uint32_t to = plan_packed(plan);
	for (uint32_t i = 0; i < plan->part_count; i++) {
		const struct plan_part *part = &plan->parts[i];
		if (to != part->staging)
			memmove(staging + to, staging + part->staging, part->length);
		to += part->length;
	}
}

void plan_unpack(const struct plan *plan, uint8_t *staging)
{
	uint32_t from = plan_packed(plan) + plan->length;
	for (uint32_t i = plan->part_count; i-- > 0;) {
		const struct plan_part *part = &plan->parts[i];
		from -= part->length;
		if (from != part->staging)
			memmove(staging + part->staging, staging + from, part->length);
	}
}

void plan_edges(const struct plan *plan, uint64_t *offsets)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < plan->run_count; i++) {
		const struct plan_run *run = &plan->runs[i];
		uint64_t head = down(run->start), tail = down(run->end);
		if (head != run->start)
			offsets[n++] = head;
		if (tail != run->end && (tail != head || head == run->start))
			offsets[n++] = tail;
	}
}

void plan_merge(const struct plan *plan, uint8_t *staging, uint32_t capacity)
{
	const uint8_t *edge = staging + capacity;
	for (uint32_t i = 0; i < plan->run_count; i++) {
		const struct plan_run *run = &plan->runs[i];
		uint64_t head = down(run->start), tail = down(run->end);
		uint8_t *blocks = staging + run->staging;
		if (head != run->start) {
			edge -= PLAN_BLOCK;
			memcpy(blocks, edge, run->start - head);
		}
		if (tail != run->end) {
			if (tail != head || head == run->start)
				edge -= PLAN_BLOCK;
			memcpy(blocks + (run->end - head), edge + (run->end - tail),
				   PLAN_BLOCK - (run->end - tail));
		}
	}
}

bool plan_overlap(const struct plan *a, const struct plan *b)
{
	for (uint32_t i = 0; i < a->run_count; i++)
		if (touches(b, a->runs[i].start, a->runs[i].end))
			return true;
	return false;
}
