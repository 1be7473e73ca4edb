/* The core's one door: an event comes in, outputs are left to be taken. */
#include "core/core_internal.h"

void core_config_default(struct core_config *config)
{
	*config = (struct core_config){.default_time = 5000000000u,
								   .heartbeat = 200000000,
								   .failure_timeout = 1000000000,
								   .slice = 128 << 10,
								   .limits = {.processes = LIMIT_PROCESSES,
											  .channels = LIMIT_CHANNELS,
											  .segments = LIMIT_SEGMENTS,
											  .objects = LIMIT_OBJECTS,
											  .slots = LIMIT_SLOTS,
											  .values_bytes = LIMIT_VALUES_BYTES,
											  .deliveries = LIMIT_DELIVERIES,
											  .once = LIMIT_ONCE,
											  .parked = LIMIT_PARKED,
											  .copies = LIMIT_COPIES,
											  .monitors = LIMIT_MONITORS,
											  .revokings = LIMIT_REVOKINGS,
											  .sessions = LIMIT_SESSIONS,
											  .memory = LIMIT_MEMORY}};
}

struct core *core_create(const struct core_config *config)
{
	BASE_ASSERT(config->slice > 0 && config->slice <= 256 << 10 && config->grow != NULL);
	BASE_ASSERT(config->limits.channels * sizeof(void *) <= POOL_LARGEST &&
				config->limits.segments * sizeof(uint64_t) <= POOL_LARGEST);
	struct core *core = config->grow(config->context, sizeof *core);
	if (core == NULL)
		return NULL;
	core->config = *config;
	core->pool.grown = sizeof *core;
	core->random.state = config->seed;
	core_table_init(&core->objects, TABLE_MAX, true);
	core_table_init(&core->copies, TABLE_MAX, true);
	core_table_init(&core->outgoing, TABLE_MAX, true);
	core_table_init(&core->calls, TABLE_MAX, true);
	core_table_init(&core->monitors, TABLE_MAX, true);
	struct hash *hashes[] = {&core->processes, &core->sessions, &core->waiters,
							 &core->parks,     &core->incoming, &core->leaving};
	for (unsigned i = 0; i < BASE_COUNT(hashes); i++)
		core_hash_init(hashes[i]);
	core_lookup_init(&core->lendings, core_lending_key);
	core_lookup_init(&core->tracked, core_tracked_key);
	core_lookup_init(&core->slots_monitored, core_monitor_key);
	core_lookup_init(&core->watchers, core_watcher_key);
	struct list *lists[] = {&core->all_sessions, &core->ready,   &core->dirty,
							&core->later,        &core->askings, &core->due,
							&core->told,         &core->sweeps,  &core->tracked_changed};
	for (unsigned i = 0; i < BASE_COUNT(lists); i++)
		list_init(lists[i]);
	core_account_init(&core->house, NULL);
	return core;
}

static void dispatch(struct core *core, const struct core_event *event)
{
	switch (event->type) {
	case CORE_PROCESS_UP:
		core_process_up(core, event);
		break;
	case CORE_PROCESS_GONE:
		core_process_gone(core, event->process);
		break;
	case CORE_PROCESS_FREE:
		core_process_free(core, event->process);
		break;
	case CORE_CHANNEL_UP:
		core_channel_up(core, event->process, event->channel);
		break;
	case CORE_CHANNEL_GONE:
		core_channel_gone(core, event->process, event->channel);
		break;
	case CORE_SEGMENT_UP:
		core_segment_up(core, event);
		break;
	case CORE_CALL:
		core_process_call(core, event);
		break;
	case CORE_SESSION_UP:
		core_session_up(core, event->node, event->epoch);
		break;
	case CORE_SESSION_GONE:
		core_session_gone(core, event->node);
		break;
	case CORE_MESSAGE:
		core_session_message(core, event);
		break;
	case CORE_SLICE_SENT:
	case CORE_MOVED:
		core_outgoing_slice_done(core, event->token);
		break;
	case CORE_TICK:
		break;
	}
}

/* What became possible in this step: places for those that wait, credits for what is queued. */
static void run_ready(struct core *core)
{
	unsigned portion = TRACKED_PORTION;
	while (!list_empty(&core->ready) || !list_empty(&core->dirty) ||
		   (portion > 0 && !list_empty(&core->tracked_changed))) {
		while (!list_empty(&core->ready))
			core_inbox_run(core, BASE_CONTAINER(list_pop(&core->ready), struct channel, ready));
		if (!list_empty(&core->dirty))
			core_session_run(core, BASE_CONTAINER(list_pop(&core->dirty), struct session, dirty));
		portion = core_tracked_run(core, portion);
	}
}

void core_step(struct core *core, uint64_t now, const struct core_event *event)
{
	BASE_ASSERT(now >= core->now);
	core->now = now;
	core_output_reset(core);
	/* A session that is over comes first: nothing more may be sent to it, which would go to the
	 * next one. */
	bool first = event->type == CORE_SESSION_UP || event->type == CORE_SESSION_GONE;
	if (first)
		dispatch(core, event);
	core_timers_run(core);
	if (!first)
		dispatch(core, event);
	core_sessions_resume(core);
	core_watch_run(core, NOTICE_PORTION);
	core_spaces_run(core);
	run_ready(core);
}

const struct fos_counters *core_counters(const struct core *core)
{
	return &core->counters;
}
