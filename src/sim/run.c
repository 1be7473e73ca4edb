/* One run: the steps of its seed with their faults, then calm, in which everything must end by
 * itself within a bounded time, then the deaths of all, after which nothing may be left. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "base/hide.h"
#include "sim/oracle.h"
#include "sim/sim.h"

/* ------------------------------------------------------------------ memory of a run */

/* At one address always, so that a run is the same in every process. */
#define MEMORY_AT ((void *)(uintptr_t)0x200000000000u)
static const size_t memory_size = (size_t)8 << 30;
static uint8_t *memory;
static size_t memory_used, memory_dirty;

void *sim_alloc(size_t size)
{
	if (memory == NULL) {
		memory = mmap(MEMORY_AT, memory_size, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
		BASE_ASSERT(memory == MEMORY_AT);
	}
	size_t at = memory_used;
	memory_used = base_align_up(memory_used + size, 16);
	BASE_ASSERT(memory_used <= memory_size);
	return memory + at;
}

void sim_memory_reset(void)
{
	if (memory_used > 0) {
		base_show(memory, memory_used); /* what pools had hidden */
		memset(memory, 0, memory_used);
	}
	memory_dirty = BASE_MAX(memory_dirty, memory_used);
	memory_used = 0;
}

size_t sim_memory_used(void)
{
	return BASE_MAX(memory_dirty, memory_used);
}

/* ------------------------------------------------------------------ steps */

struct step *run_steps(const struct sim_options *options)
{
	struct step *steps = calloc(options->steps ? options->steps : 1, sizeof *steps);
	BASE_ASSERT(steps != NULL);
	struct base_random random = {base_mix64(options->seed) ^ 0x5eed};
	uint64_t when = 2 * MILLI;
	for (uint32_t i = 0; i < options->steps; i++) {
		steps[i].number = base_random_next(&random);
		/* Bursts, and pauses between them. */
		when += steps[i].number % 64 == 0 ? base_random_below(&random, 600 * MICRO)
										  : base_random_below(&random, 6 * MICRO);
		steps[i].when = when;
	}
	return steps;
}

static uint64_t some_trouble(struct world *world)
{
	uint64_t timeout = world->nodes[0].config.failure_timeout;
	if (sim_draw(world, 8) == 0)
		return 5 * timeout + sim_draw(world, timeout);
	return sim_draw(world, 2) == 0 ? MICRO + sim_draw(world, timeout)
								   : timeout + sim_draw(world, 2 * timeout);
}

static void two_nodes(struct world *world, uint32_t *a, uint32_t *b)
{
	*a = (uint32_t)sim_draw(world, world->node_count);
	*b = (uint32_t)((*a + 1 + sim_draw(world, BASE_MAX(world->node_count - 1, 1u))) %
					world->node_count);
}

static void partition(struct world *world)
{
	uint32_t a, b;
	two_nodes(world, &a, &b);
	uint64_t time = some_trouble(world);
	if (a == b)
		return;
	if (sim_draw(world, 3) > 0) {
		network_block(world, a, b, time);
		if (sim_draw(world, 2) == 0)
			network_block(world, b, a, time + sim_draw(world, MILLI));
		return;
	}
	for (uint32_t i = 0; i < world->node_count; i++) { /* one from all others */
		if (i == a)
			continue;
		network_block(world, a, i, time);
		network_block(world, i, a, time);
	}
}

static void death(struct world *world)
{
	struct process *process = world->players[sim_draw(world, world->player_count)].process;
	if (process == NULL || process->node->paused_until != 0)
		return;
	if (sim_draw(world, 4) == 0)
		program_lie(world, process);
	else
		world_kill(world, process, 1 + sim_draw(world, 2 * MILLI));
}

/* Nothing, little, some, or all again. */
static void memory_changes(struct world *world, struct node *node)
{
	static const uint64_t most[] = {1, 64 << 10, 512 << 10};
	uint64_t kind = sim_draw(world, BASE_COUNT(most) + 1);
	if (node->up)
		world_memory(world, node,
					 kind == BASE_COUNT(most) ? UINT64_MAX : sim_draw(world, most[kind]));
}

static void fault(struct world *world)
{
	uint32_t a, b;
	uint32_t bit = (uint32_t)sim_draw(world, SIM_BIT_COUNT);
	if (!(world->options.faults >> bit & 1))
		return;
	two_nodes(world, &a, &b);
	struct node *node = &world->nodes[a];
	world->faults_made[bit]++;
	switch ((enum sim_fault_bit)bit) {
	case SIM_BIT_CUT:
		if (a != b)
			network_cut(world, a, b);
		break;
	case SIM_BIT_CLOG:
		if (a != b)
			network_block(world, a, b, MICRO + sim_draw(world, 5 * MILLI));
		break;
	case SIM_BIT_PARTITION:
		partition(world);
		break;
	case SIM_BIT_CRASH:
		if (node->up && sim_draw(world, 2) == 0)
			world_crash(world, node,
						sim_draw(world, 2) == 0 ? sim_draw(world, 300 * MICRO)
												: some_trouble(world));
		break;
	case SIM_BIT_PAUSE:
		if (node->up && node->paused_until == 0)
			world_pause(world, node, some_trouble(world));
		break;
	case SIM_BIT_DEATH:
		death(world);
		break;
	case SIM_BIT_CHANNEL: {
		struct process *process = world->players[sim_draw(world, world->player_count)].process;
		if (process != NULL && process->node->paused_until == 0)
			world_channel_turn(world, process, (uint32_t)sim_draw(world, CHANNELS));
		break;
	}
	case SIM_BIT_MEMORY:
		memory_changes(world, node);
		break;
	case SIM_BIT_DELAY: /* these are in force all the time */
	case SIM_BIT_SLICES:
	case SIM_BIT_QUEUES:
	case SIM_BIT_COUNT:
		break;
	}
}

uint32_t run_group(const struct sim_options *options, const struct step *step)
{
	struct base_random draw = {step->number};
	uint32_t players = options->nodes * options->processes;
	if (base_random_below(&draw, 256) == 0)
		return players + (uint32_t)base_random_below(&draw, SIM_BIT_COUNT);
	return (uint32_t)base_random_below(&draw, players);
}

static void one_step(struct world *world, const struct step *step)
{
	while (world_next(world, step->when))
		;
	world->now = BASE_MAX(world->now, step->when);
	world->draw.state = step->number;
	sim_mix(world, step->number);
	if (sim_draw(world, 256) == 0)
		fault(world);
	else
		program_step(world);
}

/* ------------------------------------------------------------------ the end of a run */

static void run_for(struct world *world, uint64_t time)
{
	uint64_t until = world->now + time;
	while (world_next(world, until))
		;
	world->now = until;
}

static void heal(struct world *world)
{
	SIM_SAY(world, "the faults are over");
	world->calm = true;
	for (uint32_t i = 0; i < world->node_count; i++) {
		world_resume(world, &world->nodes[i]);
		if (world->nodes[i].up)
			world_memory(world, &world->nodes[i], UINT64_MAX);
		for (uint32_t j = 0; j < world->node_count; j++) {
			if (world->blocked[i][j] != 0)
				world_happen(world, world->now, HAPPEN_UNBLOCK, i, j, 0, NULL);
		}
	}
}

/* Everything ends by itself, but for deliveries, which their providers finish. */
static void settle(struct world *world)
{
	uint64_t limit = world->now + 16 * world->nodes[0].config.default_time;
	while (world->now < limit) {
		run_for(world, MILLI);
		for (uint32_t i = 0; i < world->player_count; i++) {
			struct process *process = world->players[i].process;
			for (unsigned n = 0; process != NULL && n < 16; n++) {
				if (!program_finish(world, process))
					break;
			}
		}
	}
}

static void kill_all(struct world *world)
{
	SIM_SAY(world, "all Processes die");
	world->closing = true;
	for (uint32_t i = 0; i < world->player_count; i++) {
		if (world->players[i].process != NULL)
			world_kill(world, world->players[i].process, MILLI);
	}
	run_for(world, 4 * world->nodes[0].config.default_time);
	SIM_SAY(world, "all sessions end");
	for (uint32_t a = 0; a < world->node_count; a++) {
		for (uint32_t b = 0; b < world->node_count; b++) {
			if (world->sides[a][b].connection != 0)
				world_happen(world, world->now + MICRO, HAPPEN_GONE, a, b,
							 world->sides[a][b].connection, NULL);
		}
	}
	run_for(world, 4 * world->nodes[0].config.default_time);
	for (uint32_t i = 0; i < world->node_count; i++)
		ledger_empty(world, &world->nodes[i]);
}

static void conclude(struct world *world)
{
	heal(world);
	settle(world);
	if (!network_quiet(world))
		sim_violation(world, "the network is whole but not every session is up");
	ledger_quiet(world);
	tables_check(world);
	if (world->oracle != NULL) {
		oracle_quiet(world->oracle, world->now);
		oracle_tables(world->oracle);
	}
	for (uint32_t i = 0; i < world->node_count; i++)
		cover_core(world->nodes[i].core);
	kill_all(world);
}

/* ------------------------------------------------------------------ a run that fails */

static sigjmp_buf escape;
static volatile sig_atomic_t deadly;

static void on_signal(int number)
{
	deadly = number;
	siglongjmp(escape, 1);
}

static void watch(bool on)
{
	struct sigaction action = {.sa_handler = on ? on_signal : SIG_DFL, .sa_flags = SA_NODEFER};
	static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGVTALRM};
	for (unsigned i = 0; i < BASE_COUNT(signals); i++)
		sigaction(signals[i], &action, NULL);
	/* A core that never ends a step. */
	struct itimerval timer = {.it_value.tv_sec = on ? 30 : 0};
	setitimer(ITIMER_VIRTUAL, &timer, NULL);
}

static void play(struct world *world, const struct step *steps, uint32_t count)
{
	world_boot_all(world);
	for (uint32_t i = 0; i < count; i++)
		one_step(world, &steps[i]);
	if (world->options.until == 0) {
		conclude(world);
		return;
	}
	while (world_next(world, world->options.until))
		;
}

static void told_by_oracle(void *context, const char *reason)
{
	sim_violation(context, "oracle: %s", reason);
}

static const struct core *core_of(void *context, uint32_t number)
{
	const struct node *node = &((const struct world *)context)->nodes[number - 1];
	return node->up ? node->core : NULL;
}

static void add_oracle(struct world *world)
{
	struct oracle_config config = {.core = world->nodes[0].config,
								   .core_of = core_of,
								   .violation = told_by_oracle,
								   .context = world};
	world->oracle = oracle_new(&config);
}

void run_seed(const struct sim_options *options, const struct step *given, uint32_t count,
			  struct result *out)
{
	static struct world world;
	struct step *made = given == NULL ? run_steps(options) : NULL;
	const struct step *steps = given != NULL ? given : made;
	sim_memory_reset();
	memset(&world, 0, sizeof world);
	world.escape = &escape;
	world.trace = 1;
	deadly = 0;
	watch(true);
	out->violated = true;
	if (sigsetjmp(escape, 1) == 0) {
		world_begin(&world, options);
		if (options->oracle)
			add_oracle(&world);
		play(&world, steps, given != NULL ? count : options->steps);
		out->violated = false;
	}
	watch(false);
	out->counts = (struct oracle_counts){0};
	if (world.oracle != NULL) {
		out->counts = *oracle_counts(world.oracle);
		oracle_end(world.oracle);
	}
	world.oracle = NULL;
	if (deadly != 0)
		snprintf(world.reason, sizeof world.reason,
				 deadly == SIGVTALRM ? "a step does not end" : "signal %d: an assertion or worse",
				 (int)deadly);
	out->events = world.events;
	out->trace = world.trace;
	out->ended = world.now;
	memcpy(out->reason, world.reason, sizeof out->reason);
	free(made);
}
