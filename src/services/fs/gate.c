/* See gate.h. */
#include <stdlib.h>

#include "service.h"

static const uint64_t GRACE = FS_SECOND / 2, GRACE_HURRY = FS_SECOND / 20;
static const uint64_t DRAIN_TIME = 2 * FS_SECOND; /* then it is asked again */

struct generation {
	LIST_ENTRY(generation) link;
	struct service *service;
	fos_cap read, write;
	uint64_t number;
	uint64_t retired; /* ns of CLOCK_MONOTONIC */
	unsigned calls;   /* under way */
	bool failed;      /* one of them */
	bool gone;        /* the gate does not know it any more */
};

static void forget(struct generation *generation)
{
	struct service *s = generation->service;
	const fos_cap caps[] = {generation->read, generation->write};
	for (unsigned i = 0; i < 2; i++)
		if (caps[i] != FOS_CAP_NONE)
			(void)!fos_cap_close_async(s->back, caps[i], NULL, NULL);
	LIST_REMOVE(generation, link);
	free(generation);
}

/* For one that the gate does not name any more. */
static void let_go(struct generation *generation)
{
	if (!generation)
		return;
	generation->gone = true;
	if (generation->calls == 0)
		forget(generation);
}

/* A call has come back. True: it was the last, and the gate still knows the generation. */
static bool came_back(struct generation *generation, const fos_result *result)
{
	generation->calls--;
	generation->failed |= result->status != FOS_OK;
	if (generation->calls > 0)
		return false;
	if (!generation->gone)
		return true;
	forget(generation);
	return false;
}

/* ------------------------------------------------------------------ made */

/* Half of a generation is nobody's. */
static void take_back(const struct generation *generation)
{
	const fos_cap caps[] = {generation->read, generation->write};
	for (unsigned i = 0; i < 2; i++)
		if (caps[i] != FOS_CAP_NONE)
			(void)!fos_cap_revoke_async(generation->service->back, caps[i], NULL, NULL);
}

static void made(struct generation *generation, const fos_result *result)
{
	struct service *s = generation->service;
	if (!came_back(generation, result))
		return;
	s->gate.next = NULL;
	service_need_tick(s); /* where it failed: the next attempt; else the end of the one before */
	if (generation->failed) {
		take_back(generation);
		forget(generation);
		return;
	}
	generation->number = ++s->gate.number;
	s->gate.old = s->gate.now;
	s->gate.now = generation;
	if (s->gate.old)
		s->gate.old->retired = service_now();
	else
		ops_volume_changed(s); /* who waits for the volume goes on */
}

static void made_read(fos_channel *ch, const fos_result *result, void *arg)
{
	struct generation *generation = arg;
	if (result->status == FOS_OK)
		generation->read = result->cap;
	made(generation, result);
}

static void made_write(fos_channel *ch, const fos_result *result, void *arg)
{
	struct generation *generation = arg;
	if (result->status == FOS_OK)
		generation->write = result->cap;
	made(generation, result);
}

static void make(struct service *s)
{
	const fos_blk_volume *volume = volume_get(s->volume);
	struct generation *generation = calloc(1, sizeof *generation);
	service_need_tick(s);
	if (!generation)
		return;
	generation->service = s;
	LIST_INSERT_HEAD(&s->gate.all, generation, link);
	s->gate.next = generation;
	if (fos_cap_create_revtree_async(s->back, volume->read, 0, made_read, generation) == FOS_OK)
		generation->calls++;
	if (fos_cap_create_revtree_async(s->back, volume->write, 0, made_write, generation) == FOS_OK)
		generation->calls++;
	generation->failed = generation->calls < 2;
	if (generation->calls == 0) {
		s->gate.next = NULL;
		forget(generation);
	}
}

/* ------------------------------------------------------------------ over */

static void drained(fos_channel *ch, const fos_result *result, void *arg)
{
	struct generation *generation = arg;
	struct service *s = generation->service;
	if (!came_back(generation, result))
		return;
	service_need_tick(s);
	if (generation->failed) /* asked again at the tick, or the volume is about to be lost */
		return;
	s->gate.over = generation->number;
	s->gate.old = NULL;
	forget(generation);
	ops_blocks_free(s);
}

static void drain(struct service *s, struct generation *generation)
{
	generation->failed = false;
	const fos_cap caps[] = {generation->read, generation->write};
	for (unsigned i = 0; i < 2; i++)
		if (fos_cap_drain_async(s->back, caps[i], DRAIN_TIME, drained, generation) == FOS_OK)
			generation->calls++;
		else
			generation->failed = true;
}

/* ------------------------------------------------------------------ what others call */

void gate_turn(struct service *s, bool hurry)
{
	struct gate *gate = &s->gate;
	if (!volume_get(s->volume))
		return;
	if (!gate->next && (!gate->now || (!gate->old && limbo_waits(&s->limbo, gate->over))))
		make(s);
	if (gate->old && gate->old->calls == 0 &&
		service_now() - gate->old->retired >= (hurry ? GRACE_HURRY : GRACE))
		drain(s, gate->old);
}

bool gate_busy(const struct service *s)
{
	const struct gate *gate = &s->gate;
	return volume_get(s->volume) &&
		   (!gate->now || gate->next || gate->old || limbo_waits(&s->limbo, gate->over));
}

void gate_volume_changed(struct service *s)
{
	struct gate *gate = &s->gate;
	if (!volume_get(s->volume)) {
		/* What has just been sent through the one in use must find it: as in volume_suspect(). */
		let_go(gate->next);
		let_go(gate->old);
		if (gate->now) {
			let_go(gate->lost);
			gate->lost = gate->now;
		}
		gate->next = gate->old = gate->now = NULL;
		return;
	}
	if (gate->now || gate->next)
		return;
	let_go(gate->lost);
	gate->lost = NULL;
	gate->over = gate->number;
	make(s);
	ops_blocks_free(s);
}

bool gate_ready(const struct service *s)
{
	return s->gate.now != NULL;
}

fos_cap gate_read(const struct service *s)
{
	return s->gate.now ? s->gate.now->read : FOS_CAP_NONE;
}

fos_cap gate_write(const struct service *s)
{
	return s->gate.now ? s->gate.now->write : FOS_CAP_NONE;
}

void gate_clear(struct service *s)
{
	struct generation *generation;
	while ((generation = LIST_FIRST(&s->gate.all)) != NULL) {
		LIST_REMOVE(generation, link);
		free(generation);
	}
	s->gate = (struct gate){0};
}
