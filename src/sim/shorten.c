/* The shortest run that still fails for the same reason, as far as a bounded time finds it.
 *
 *     no step after the failure -> none of a node, of a Process, of a kind of fault
 *         -> no fault that is always in force -> ever smaller pieces (delta debugging, Zeller 1999)
 *         -> the time between steps -> and all again, until nothing more can go
 *
 * A step acts for one Process, or makes one kind of fault, whatever went before, so that whole
 * Processes can be left out at once: that makes a run short while each try still costs much. Steps
 * keep their moments while some are left out, so that a try can end soon after the moment at which
 * the failure is known to come. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/sim.h"

enum { SECONDS = 300, SLACK = 100 * MILLI, SAY_EACH = 5 };

struct search {
	struct sim_options options;
	const char *reason;
	struct step *steps, *tried; /* the shortest that fails; the one being tried */
	uint32_t count;
	struct result last;
	uint32_t runs;
	time_t begun, said;
};

/* ------------------------------------------------------------------ one try */

/* Letters too: of a hexadecimal number. */
static const char *skip_number(const char *at)
{
	static const char letters[] = "0123456789abcdefx.";
	return *at >= '0' && *at <= '9' ? at + strspn(at, letters) : at;
}

/* Whether two say the same, whatever numbers they name. */
static bool same_reason(const char *a, const char *b)
{
	for (;; a++, b++) {
		a = skip_number(a);
		b = skip_number(b);
		if (*a != *b)
			return false;
		if (*a == 0)
			return true;
	}
}

static bool in_time(const struct search *s)
{
	return time(NULL) < s->begun + SECONDS;
}

static void say(struct search *s)
{
	time_t now = time(NULL);
	if (now < s->said + SAY_EACH)
		return;
	s->said = now;
	fprintf(stderr, "minimising: %u steps after %u runs, %d s of %d\n", s->count, s->runs,
			(int)(now - s->begun), (int)SECONDS);
}

/* Whether what is to be tried fails too: then it is the shortest. */
static bool take(struct search *s, const struct sim_options *options, uint32_t count)
{
	struct result result;
	s->runs++;
	run_seed(options, s->tried, count, &result);
	bool fails = result.violated && same_reason(result.reason, s->reason);
	if (fails) {
		memcpy(s->steps, s->tried, count * sizeof *s->steps);
		s->options = *options;
		s->count = count;
		s->last = result;
		if (s->options.until != 0)
			s->options.until = result.ended + SLACK;
	}
	say(s);
	return fails;
}

/* ------------------------------------------------------------------ what is left out */

/* Steps of a group, or of `width` groups that follow each other. */
static bool without_groups(struct search *s, uint32_t first, uint32_t width)
{
	uint32_t left = 0;
	for (uint32_t i = 0; i < s->count; i++) {
		if (run_group(&s->options, &s->steps[i]) - first >= width)
			s->tried[left++] = s->steps[i];
	}
	return left < s->count && in_time(s) && take(s, &s->options, left);
}

static bool drop_groups(struct search *s)
{
	uint32_t players = s->options.nodes * s->options.processes, before = s->count;
	without_groups(s, players, SIM_BIT_COUNT);
	for (uint32_t i = 0; i < players + SIM_BIT_COUNT; i++)
		without_groups(s, i, 1);
	return s->count < before;
}

/* A fault that is never made, and those that are in force all the time. */
static bool drop_faults(struct search *s)
{
	bool any = false;
	for (uint32_t bit = 0; bit < SIM_BIT_COUNT && in_time(s); bit++) {
		struct sim_options fewer = s->options;
		fewer.faults &= ~(1u << bit);
		memcpy(s->tried, s->steps, s->count * sizeof *s->tried);
		if (fewer.faults != s->options.faults)
			any |= take(s, &fewer, s->count);
	}
	return any;
}

static bool without_piece(struct search *s, uint32_t from, uint32_t length)
{
	uint32_t end = BASE_MIN(from + length, s->count);
	memcpy(s->tried, s->steps, from * sizeof *s->tried);
	memcpy(s->tried + from, s->steps + end, (s->count - end) * sizeof *s->tried);
	return take(s, &s->options, s->count - (end - from));
}

/* Coarse pieces seldom go, and each try of a long run costs much: so they become small fast. */
static bool drop_pieces(struct search *s)
{
	uint32_t before = s->count;
	for (uint32_t piece = BASE_MAX(s->count / 4, 1u);; piece = BASE_MAX(piece / 4, 1u)) {
		bool any = false;
		for (uint32_t at = s->count; at > 0 && in_time(s);) {
			uint32_t length = BASE_MIN(piece, at);
			at -= length;
			any |= without_piece(s, at, length);
			at = BASE_MIN(at, s->count);
		}
		if (!in_time(s) || (piece == 1 && !any))
			return s->count < before;
	}
}

/* All that follows a step comes sooner: `gap` after it. */
static bool come_sooner(struct search *s, uint32_t at, uint64_t gap)
{
	uint64_t before = at > 0 ? s->steps[at - 1].when : 0;
	if (s->steps[at].when <= before + gap)
		return false;
	uint64_t less = s->steps[at].when - (before + gap);
	for (uint32_t i = 0; i < s->count; i++) {
		s->tried[i] = s->steps[i];
		s->tried[i].when -= i >= at ? less : 0;
	}
	return take(s, &s->options, s->count);
}

static bool close_gaps(struct search *s)
{
	static const uint64_t gaps[] = {20 * MICRO, MILLI};
	bool any = false;
	for (uint32_t i = 0; i < s->count && in_time(s); i++) {
		for (unsigned g = 0; g < BASE_COUNT(gaps); g++) {
			if (come_sooner(s, i, i > 0 ? gaps[g] : 2 * MILLI)) {
				any = true;
				break;
			}
		}
	}
	return any;
}

/* ------------------------------------------------------------------ all of it */

static void search_on(struct search *s)
{
	for (bool any = true; any && in_time(s);) {
		any = drop_groups(s);
		any |= drop_faults(s);
		any |= drop_pieces(s);
		any |= close_gaps(s);
	}
}

void shorten(const struct sim_options *options, const struct result *failed, const char *path)
{
	struct search s = {.options = *options,
					   .reason = failed->reason,
					   .steps = run_steps(options),
					   .tried = calloc(options->steps + 1, sizeof *s.tried),
					   .last = *failed,
					   .begun = time(NULL)};
	BASE_ASSERT(s.tried != NULL);
	s.options.verbose = false;
	while (s.count < options->steps && s.steps[s.count].when <= failed->ended)
		s.count++;
	if (s.count < options->steps)
		s.options.until = failed->ended + SLACK; /* it failed before the end of its steps */
	search_on(&s);
	if (script_save(path, &s.options, s.steps, s.count, s.last.reason))
		printf("minimised to %u steps in %u runs%s: %s (%s)\n", s.count, s.runs,
			   in_time(&s) ? "" : ", its time over", path, s.last.reason);
	free(s.steps);
	free(s.tried);
}
