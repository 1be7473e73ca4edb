/* A small world of real cores with an oracle that watches it: for the tests of this folder. */
#ifndef FRACTOS_SIM_SCENE_H
#define FRACTOS_SIM_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/harness.h"
#include "sim/oracle.h"

enum { A, B, C, D, NODES };

struct scene;
/* May change what the oracle sees of an output (the bytes are a copy), or hide it. */
typedef bool (*lie)(struct scene *scene, const struct world_node *node, struct core_output *out);

struct scene {
	struct world *world;
	struct oracle *oracle;
	struct world_observer observer;
	struct actor a, b, c, d; /* one on each node */
	lie lie;
	uint32_t lies; /* how often it changed something */
	uint64_t traces;
	_Alignas(8) uint8_t bytes[WIRE_RECORD_MAX];
};

/* ------------------------------------------------------------------ the scene's eyes */

static inline void see_event(void *context, const struct world_node *node,
							 const struct core_event *event)
{
	struct scene *scene = context;
	oracle_event(scene->oracle, node->number, scene->world->now, event);
}

static inline void see_output(void *context, const struct world_node *node,
							  const struct core_output *out)
{
	struct scene *scene = context;
	struct core_output shown = *out;
	if (scene->lie != NULL) {
		if (out->type == CORE_RECORD) {
			assert_true(out->size <= sizeof scene->bytes);
			memcpy(scene->bytes, out->bytes, out->size);
			shown.bytes = scene->bytes;
		}
		if (!scene->lie(scene, node, &shown))
			return;
	}
	oracle_output(scene->oracle, node->number, &shown);
}

static inline void see_end(void *context, const struct world_node *node)
{
	struct scene *scene = context;
	oracle_step_end(scene->oracle, node->number);
}

static inline const struct core *core_of(void *context, uint32_t node)
{
	const struct scene *scene = context;
	return scene->world->nodes[node - 1].core;
}

static inline void tell_begin(struct scene *scene)
{
	struct world *world = scene->world;
	for (uint32_t i = 0; i < world->count; i++)
		oracle_fault(scene->oracle, 0, ORACLE_BOOT, i + 1, 0, world->nodes[i].config.epoch);
	for (uint32_t i = 0; i < world->count; i++) {
		for (uint32_t j = 0; j < world->count; j++) {
			const struct core_event up = {
				.type = CORE_SESSION_UP, .node = j + 1, .epoch = world->nodes[j].config.epoch};
			if (i == j)
				continue;
			oracle_event(scene->oracle, i + 1, 0, &up);
			oracle_step_end(scene->oracle, i + 1);
		}
	}
}

/* values_bytes: each Process's bytes by value; 0: as many as usual. */
static inline void begin_within(struct scene *scene, lie wrong, uint32_t values_bytes)
{
	struct oracle_config config = {.core_of = core_of, .context = scene};
	*scene = (struct scene){.lie = wrong};
	core_config_default(&config.core);
	config.core.slice = 4096;
	config.core.limits.deliveries = 4;
	if (values_bytes != 0)
		config.core.limits.values_bytes = values_bytes;
	scene->world = world_new(NODES, &config.core);
	scene->oracle = oracle_new(&config);
	tell_begin(scene);
	scene->observer = (struct world_observer){see_event, see_output, see_end, scene};
	scene->world->observer = &scene->observer;
	scene->a = actor_new(scene->world, A);
	scene->b = actor_new(scene->world, B);
	scene->c = actor_new(scene->world, C);
	scene->d = actor_new(scene->world, D);
}

static inline void begin(struct scene *scene, lie wrong)
{
	begin_within(scene, wrong, 0);
}

/* Lets everything end, and compares all tables. */
static inline void conclude(struct scene *scene)
{
	for (unsigned i = 0; i < 40; i++) {
		world_settle(scene->world);
		world_tick(scene->world, 200000000);
	}
	world_settle(scene->world);
	oracle_quiet(scene->oracle, scene->world->now);
	oracle_tables(scene->oracle);
}

static inline void end(struct scene *scene)
{
	scene->world->observer = NULL;
	oracle_end(scene->oracle);
	world_end(scene->world);
}

#endif
