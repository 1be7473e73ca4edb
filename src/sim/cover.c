/* Which transitions a run has seen, counted where they show: events and messages that a core
 * handled, what it put out, and how calls and exceptions ended. */
#include <stdio.h>
#include <string.h>

#include "core/cover.h"
#include "sim/sim.h"

enum { CALLS = 32, MESSAGES = 32, EVENTS = 16, OUTPUTS = 16 };

static struct {
	uint64_t events[EVENTS];
	uint64_t messages[MESSAGES];
	uint64_t outputs[OUTPUTS];
	uint64_t statuses[CALLS][FOS_STATUS_COUNT];
	uint64_t exceptions[FOS_STATUS_COUNT];
	uint64_t transitions[COVER_COUNT];
	struct fos_counters counters;
} cover;

void cover_event(const struct world *world, const struct core_event *event)
{
	(void)world;
	cover.events[event->type]++;
	if (event->type == CORE_MESSAGE)
		cover
			.messages[((const struct wire_message *)(const void *)event->bytes)->type % MESSAGES]++;
}

void cover_output(const struct world *world, const struct core_output *out)
{
	(void)world;
	cover.outputs[out->type]++;
}

void cover_status(uint16_t call, uint8_t status)
{
	cover.statuses[call % CALLS][status % FOS_STATUS_COUNT]++;
}

void cover_exception(uint8_t status)
{
	cover.exceptions[status % FOS_STATUS_COUNT]++;
}

/* What a core counted by itself, at its end. */
void cover_core(const struct core *core)
{
	uint64_t sum[sizeof cover.counters / sizeof(uint64_t)], add[BASE_COUNT(sum)];
	memcpy(sum, &cover.counters, sizeof sum);
	memcpy(add, core_counters(core), sizeof add);
	for (unsigned i = 0; i < BASE_COUNT(sum); i++)
		sum[i] += add[i];
	memcpy(&cover.counters, sum, sizeof sum);
	unsigned count;
	const uint64_t *transitions = core_inspect_cover(core, &count);
	for (unsigned i = 0; i < count; i++)
		cover.transitions[i] += transitions[i];
}

uint64_t cover_refusals(void)
{
	return cover.transitions[COVER_memory_refused];
}

size_t cover_size(void)
{
	return sizeof cover / sizeof(uint64_t);
}

void cover_save(uint64_t *out)
{
	memcpy(out, &cover, sizeof cover);
}

void cover_add(const uint64_t *in)
{
	uint64_t sum[sizeof cover / sizeof(uint64_t)];
	memcpy(sum, &cover, sizeof cover);
	for (unsigned i = 0; i < BASE_COUNT(sum); i++)
		sum[i] += in[i];
	memcpy(&cover, sum, sizeof cover);
}

/* ------------------------------------------------------------------ the table */

static unsigned never;

static void line(const char *what, const char *name, uint64_t count)
{
	if (count > 0) {
		printf("  %-10s %-44s %14llu\n", what, name, (unsigned long long)count);
	} else {
		printf("  %-10s %-44s          never\n", what, name);
		never++;
	}
}

static void print_statuses(unsigned call, const char *name)
{
	char both[64];
	for (unsigned status = 0; status < FOS_STATUS_COUNT; status++) {
		uint64_t count = cover.statuses[call][status];
		if (count == 0 && status != FOS_OK)
			continue;
		snprintf(both, sizeof both, "%s %s", name, fos_status_name((fos_status)status));
		line("call", both, count);
	}
}

void cover_print(void)
{
	static const char *const events[] = {[CORE_PROCESS_UP] = "process up",
										 [CORE_PROCESS_GONE] = "process gone",
										 [CORE_PROCESS_FREE] = "process free",
										 [CORE_CHANNEL_UP] = "channel up",
										 [CORE_CHANNEL_GONE] = "channel gone",
										 [CORE_SEGMENT_UP] = "segment up",
										 [CORE_CALL] = "call",
										 [CORE_SESSION_UP] = "session up",
										 [CORE_SESSION_GONE] = "session gone",
										 [CORE_MESSAGE] = "message",
										 [CORE_SLICE_SENT] = "slice sent",
										 [CORE_MOVED] = "moved",
										 [CORE_TICK] = "tick"};
	static const char *const outputs[] = {[CORE_RECORD] = "record",
										  [CORE_SEND] = "send",
										  [CORE_SEND_SLICE] = "send slice",
										  [CORE_PLACE] = "place",
										  [CORE_MOVE] = "move",
										  [CORE_END_SESSION] = "end session",
										  [CORE_END_PROCESS] = "end process",
										  [CORE_SPAN] = "span"};
	never = 0;
	for (unsigned i = 1; i < BASE_COUNT(events); i++)
		line("event", events[i], cover.events[i]);
	for (unsigned i = 1; i < BASE_COUNT(outputs); i++)
		line("output", outputs[i], cover.outputs[i]);
#define SIM_LINE(NAME, name, number, class, lane, tail, text) \
	line("message", #name, cover.messages[number]);
	WIRE_MESSAGES(SIM_LINE)
#undef SIM_LINE
#define SIM_LINE(NAME, name, number, tail, text) print_statuses(number, #name);
	WIRE_CALLS(SIM_LINE)
#undef SIM_LINE
#define SIM_LINE(name, text) line("counter", #name, cover.counters.name);
	FOS_COUNTER_TABLE(SIM_LINE)
#undef SIM_LINE
#define SIM_LINE(name, table, text) line(table, text, cover.transitions[COVER_##name]);
	CORE_COVER_TABLE(SIM_LINE)
#undef SIM_LINE
	for (unsigned i = 1; i < FOS_STATUS_COUNT; i++) {
		if (cover.exceptions[i] > 0)
			line("exception", fos_status_name((fos_status)i), cover.exceptions[i]);
	}
	printf("  never taken: %u\n", never);
}
