/* What Processes do. At each step one of them makes a call, at random but rarely without sense: it
 * knows what it holds, and now and then names what it closed or never had. Deliveries stay open
 * until a later step finishes them. What a program knows of a capability is enough to say of some
 * calls that they must be refused; the rest is the oracle's. */
#include "sim/program.h"

/* ------------------------------------------------------------------ a step */

static void act(struct world *world, struct process *process)
{
	static const struct {
		uint32_t weight;
		void (*act)(struct world *, struct process *);
	} acts[] = {{24, program_invoke},      {10, program_share},        {10, program_continue},
				{24, program_end},         {8, program_create},        {9, program_memory},
				{4, program_diminish},     {6, program_refine},        {12, program_copy},
				{5, program_close_any},    {6, program_keep},          {2, program_info},
				{1, program_same},         {4, program_revoke},        {4, program_revtree},
				{2, program_watch},        {2, program_watch_holders}, {2, program_registry_get},
				{1, program_registry_set}, {1, program_burst},         {1, program_null},
				{1, program_scatter},      {2, program_end_all}};
	static uint32_t total;
	if (total == 0) {
		for (unsigned i = 0; i < BASE_COUNT(acts); i++)
			total += acts[i].weight;
	}
	uint64_t draw = sim_draw(world, total);
	for (unsigned i = 0; i < BASE_COUNT(acts); i++) {
		if (draw < acts[i].weight) {
			acts[i].act(world, process);
			return;
		}
		draw -= acts[i].weight;
	}
}

void program_step(struct world *world)
{
	struct player *player = &world->players[sim_draw(world, world->player_count)];
	struct process *process = player->process;
	if (process == NULL || player->node->paused_until != 0)
		return;
	if (process->name_count > NAMES_KEPT)
		program_close_any(world, process);
	else
		act(world, process);
}

/* A new Process has a Request, some Memory and the registry. */
void program_born(struct world *world, struct process *process)
{
	struct base_random before = world->draw;
	world->draw.state = base_mix64(world->now ^ process->serial << 8 ^ process->player);
	program_create(world, process);
	program_memory(world, process);
	if (process->player == 0)
		program_registry_set(world, process);
	program_registry_get(world, process);
	program_share(world, process);
	world->draw = before;
}

/* ------------------------------------------------------------------ lies */

void program_lie(struct world *world, struct process *process)
{
	_Alignas(8) uint8_t bytes[64] = {0};
	struct wire_record *head = (void *)bytes;
	head->size = sizeof bytes;
	head->type = (uint16_t)(64 + sim_draw(world, 64)); /* no call has it */
	SIM_SAY(world, "%u.%u leaves a malformed record", process->node->number, process->serial);
	world_step(process->node, &(struct core_event){.type = CORE_CALL,
												   .process = process->serial,
												   .bytes = bytes,
												   .size = sizeof bytes});
	if (process->alive)
		sim_violation(world, "node %u goes on with Process %u after a malformed record",
					  process->node->number, process->serial);
}

/* ------------------------------------------------------------------ the end */

bool program_finish(struct world *world, struct process *process)
{
	if (process->open_count == 0)
		return false;
	program_finish_one(world, process, process->open[process->open_count - 1].id);
	return true;
}

bool program_close(struct world *world, struct process *process)
{
	if (process->name_count == 0)
		return false;
	program_close_cap(world, process, process->names[process->name_count - 1].cap);
	return true;
}
