/* Processes: attached, calling, dead. */
#include "core/core_internal.h"

static struct process *find(const struct hash *hash, uint32_t serial)
{
	/* The table is not changed; its buckets are lists that need a writable head elsewhere. */
	struct list *bucket = core_hash_bucket((struct hash *)hash, serial);
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct process *process = BASE_CONTAINER(at, struct process, hash);
		if (process->serial == serial)
			return process;
	}
	return NULL;
}

struct process *core_process_find(const struct core *core, uint32_t serial)
{
	return find(&core->processes, serial);
}

static void end_output(struct core *core, uint32_t serial, const char *reason)
{
	struct core_output *out = core_output_add(core, CORE_END_PROCESS);
	out->process = serial;
	out->reason = reason;
}

void core_process_break(struct core *core, struct process *process, const char *reason)
{
	if (process->ending)
		return;
	process->ending = true;
	core->counters.protocol_errors++;
	end_output(core, process->serial, reason);
}

/* ------------------------------------------------------------------ up */

static size_t channels_size(const struct core *core)
{
	return core->config.limits.channels * sizeof(struct channel *);
}

static size_t segments_size(const struct core *core)
{
	return core->config.limits.segments * sizeof(uint64_t);
}

/* Either may be NULL. */
static void free_parts(struct core *core, struct process *process)
{
	if (process->channels != NULL)
		core_free(core, process->channels, channels_size(core));
	if (process->segments != NULL)
		core_free(core, process->segments, segments_size(core));
}

static struct process *new_process(struct core *core)
{
	const struct core_limits *limits = &core->config.limits;
	struct process *process = core_alloc(core, sizeof *process);
	if (process == NULL)
		return NULL;
	*process = (struct process){.channels = core_alloc(core, channels_size(core)),
								.segments = core_alloc(core, segments_size(core))};
	if (process->channels == NULL || process->segments == NULL) {
		free_parts(core, process);
		core_free(core, process, sizeof *process);
		return NULL;
	}
	memset(process->channels, 0, channels_size(core));
	memset(process->segments, 0, segments_size(core));
	struct list *lists[] = {&process->objects,  &process->copies,    &process->askings,
							&process->outgoing, &process->revokings, &process->waiters,
							&process->lendings, &process->presences, &process->remains,
							&process->monitors, &process->sweep,     &process->spare};
	for (unsigned i = 0; i < BASE_COUNT(lists); i++)
		list_init(lists[i]);
	core_account_init(&process->account, process);
	core_table_init(&process->slots, limits->slots, false);
	core_table_init(&process->deliveries, TABLE_MAX, false);
	if (core_revokings_prepare(core, process))
		return process;
	core_revokings_release(core, process);
	free_parts(core, process);
	core_free(core, process, sizeof *process);
	return NULL;
}

void core_process_up(struct core *core, const struct core_event *event)
{
	BASE_ASSERT(core_process_find(core, event->process) == NULL);
	struct process *process = NULL;
	if (core->process_count < core->config.limits.processes)
		process = new_process(core);
	if (process == NULL) {
		end_output(core, event->process, "too many Processes");
		return;
	}
	process->serial = event->process;
	process->principal = event->principal;
	process->may_set_registry = event->may_set_registry;
	list_push(core_hash_bucket(&core->processes, process->serial), &process->hash);
	core->process_count++;
}

void core_channel_up(struct core *core, uint32_t serial, uint32_t number)
{
	struct process *process = core_process_find(core, serial);
	if (process == NULL)
		return;
	BASE_ASSERT(number < core->config.limits.channels && process->channels[number] == NULL);
	struct channel *channel = core_alloc(core, sizeof *channel);
	if (channel == NULL) {
		core_process_break(core, process, "no memory for a channel");
		return;
	}
	*channel = (struct channel){.process = process, .number = number};
	list_init(&channel->objects);
	list_init(&channel->deliveries);
	list_init(&channel->turns);
	list_init(&channel->ready);
	process->channels[number] = channel;
}

void core_segment_up(struct core *core, const struct core_event *event)
{
	struct process *process = core_process_find(core, event->process);
	if (process == NULL)
		return;
	BASE_ASSERT(event->segment < core->config.limits.segments &&
				process->segments[event->segment] == 0);
	process->segments[event->segment] = event->length;
}

/* ------------------------------------------------------------------ calls */

typedef void (*handler)(struct core *, struct caller *, const uint8_t *);

static void call_null(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	(void)bytes;
	core_complete(core, caller, FOS_OK);
}

static const handler handlers[] = {
	[WIRE_CALL_TYPE_NULL] = call_null,
#define HANDLER(NAME, name) [WIRE_CALL_TYPE_##NAME] = core_call_##name
	HANDLER(MEMORY_CREATE, memory_create),
	HANDLER(MEMORY_DIMINISH, memory_diminish),
	HANDLER(MEMORY_COPY, memory_copy),
	HANDLER(REQUEST_CREATE, request_create),
	HANDLER(REQUEST_REFINE, request_refine),
	HANDLER(REQUEST_INVOKE, request_invoke),
	HANDLER(CONTINUE, continue),
	HANDLER(FAIL, fail),
	HANDLER(FINISH, finish),
	HANDLER(CAP_CLOSE, cap_close),
	HANDLER(CAP_KEEP, cap_keep),
	HANDLER(CAP_INFO, cap_info),
	HANDLER(CAP_IS_SAME, cap_is_same),
	HANDLER(CAP_REVOKE, cap_revoke),
	HANDLER(REGISTRY_GET, registry_get),
	HANDLER(REGISTRY_SET, registry_set),
	HANDLER(CAP_REVTREE, cap_revtree),
	HANDLER(MONITOR_RECEIVE, monitor_receive),
	HANDLER(MONITOR_DELEGATE, monitor_delegate),
#undef HANDLER
};

void core_process_call(struct core *core, const struct core_event *event)
{
	struct process *process = core_process_find(core, event->process);
	if (process == NULL || process->ending || event->channel >= core->config.limits.channels ||
		process->channels[event->channel] == NULL)
		return;
	core->counters.calls++;
	if (!wire_check_call(event->bytes, event->size)) {
		core_process_break(core, process, "a malformed record in its ring");
		return;
	}
	const struct wire_record *record = (const void *)event->bytes;
	struct caller caller = {.channel = process->channels[event->channel], .cookie = record->cookie};
	handlers[record->type](core, &caller, event->bytes);
}

/* ------------------------------------------------------------------ gone */

/* Nobody waits on this channel any more (NULL: on none). */
static void forget_callers(struct process *process, const struct channel *channel)
{
#define FORGET(list_name, type, link)                                                           \
	for (struct list *at = process->list_name.next; at != &process->list_name; at = at->next) { \
		struct caller *caller = &BASE_CONTAINER(at, struct type, link)->caller;                 \
		if (channel == NULL || caller->channel == channel)                                      \
			caller->channel = NULL;                                                             \
	}
	FORGET(copies, copy, of_process)
	FORGET(revokings, revoking, of_asker)
	FORGET(lendings, lending, of_process)
#undef FORGET
}

/* Questions for the registry, which might wait for ever (NULL: those of all channels). */
static void end_askings(struct core *core, struct process *process, const struct channel *channel)
{
	for (struct list *at = process->askings.next, *next; at != &process->askings; at = next) {
		struct asking *asking = BASE_CONTAINER(at, struct asking, of_process);
		next = at->next;
		if (channel != NULL && asking->caller.channel != channel)
			continue;
		asking->caller.channel = NULL; /* nobody hears it */
		core_asking_end(core, asking, FOS_PEER_LOST);
	}
}

/* That the Process let go of the delivery does not mean that its device did: whoever drains waits
 * for the Process's exit. What stays is charged to it as an object. */
static void leave_unfinished(struct core *core, struct process *process, struct object *object)
{
	CORE_COVER(core, delivery_left);
	object->remains++;
	core_object_opened(object, 1);
	if (!list_empty(&object->of_remains))
		return;
	list_push(&process->remains, &object->of_remains);
	process->usage.objects++;
}

/* Requests made on it die, its open deliveries fail in the Process's name. */
static void end_channel(struct core *core, struct channel *channel, struct account *account)
{
	static const char detail[] = "the Process ended with the delivery unfinished";
	struct process *process = channel->process;
	channel->ending = true;
	while (!list_empty(&channel->objects))
		core_object_kill(core, LIST_FIRST(&channel->objects, struct object, request.of_channel),
						 FOS_GONE_MAKER);
	struct delivery *delivery;
	while ((delivery = LIST_FIRST(&channel->deliveries, struct delivery, of_channel)) != NULL) {
		leave_unfinished(core, process, delivery->object);
		core_delivery_fail(core, delivery, account, FOS_PEER_LOST, detail, sizeof detail - 1);
	}
	list_remove(&channel->ready);
	process->channels[channel->number] = NULL;
	core_free(core, channel, sizeof *channel);
}

void core_channel_gone(struct core *core, uint32_t serial, uint32_t number)
{
	struct process *process = core_process_find(core, serial);
	if (process == NULL || number >= core->config.limits.channels ||
		process->channels[number] == NULL)
		return;
	end_askings(core, process, process->channels[number]);
	forget_callers(process, process->channels[number]);
	core_watch_process_end(core, process, process->channels[number]);
	end_channel(core, process->channels[number], &core->house);
}

/* What it asked for and what waits on its behalf. */
static void end_asked(struct core *core, struct process *process)
{
	end_askings(core, process, NULL);
	core_outgoing_process_end(core, process);
	while (!list_empty(&process->copies))
		core_copy_end(core, LIST_FIRST(&process->copies, struct copy, of_process), FOS_PEER_LOST);
	/* Invocations in flight have left; those that wait fail. */
	struct list moved;
	list_init(&moved);
	while (!list_empty(&process->account.invocations)) {
		struct invocation *inv =
			LIST_FIRST(&process->account.invocations, struct invocation, owned);
		bool waiting = inv->waiting;
		core_account_move(core, inv, &core->house);
		if (waiting)
			core_invocation_fail(core, inv, FOS_PEER_LOST);
	}
}

static void free_process(struct core *core, struct process *process)
{
	core->process_count--;
	core_free(core, process, sizeof *process);
}

/* One that left deliveries unfinished keeps its place among the Processes until it is free, so that
 * what is left behind is bounded. */
void core_process_gone(struct core *core, uint32_t serial)
{
	struct process *process = core_process_find(core, serial);
	if (process == NULL)
		return;
	process->ending = true;
	forget_callers(process, NULL);
	core_watch_process_end(core, process, NULL);
	end_asked(core, process);
	for (uint32_t i = 0; i < core->config.limits.channels; i++) {
		if (process->channels[i] != NULL)
			end_channel(core, process->channels[i], &core->house);
	}
	struct object *object;
	while ((object = LIST_FIRST(&process->objects, struct object, of_maker)) != NULL)
		core_object_kill(core, object, FOS_GONE_MAKER);
	core_revokings_process_end(core, process);
	core_lendings_process_end(core, process);
	list_remove(&process->sweep);
	core_space_end(core, process);
	/* Behind all that it asked its peers for. */
	core_presences_process_end(core, process);
	core_table_end(core, &process->deliveries);
	list_remove(&process->hash);
	core->counters.processes_ended++;
	free_parts(core, process);
	if (list_empty(&process->remains))
		free_process(core, process);
	else
		list_push(core_hash_bucket(&core->leaving, serial), &process->hash);
}

void core_process_free(struct core *core, uint32_t serial)
{
	core_process_gone(core, serial);
	struct process *process = find(&core->leaving, serial);
	if (process == NULL)
		return;
	struct object *object;
	while ((object = LIST_FIRST(&process->remains, struct object, of_remains)) != NULL) {
		list_remove(&object->of_remains);
		CORE_COVER(core, remains_free);
		core_object_closed(object, object->remains);
		object->remains = 0;
		core_object_settle(core, object);
	}
	list_remove(&process->hash);
	free_process(core, process);
}

bool core_process_usage(const struct core *core, uint32_t serial, struct core_usage *out)
{
	const struct process *process = core_process_find(core, serial);
	*out = process != NULL ? process->usage : (struct core_usage){0};
	if (process != NULL) {
		out->parked = process->account.parked;
		out->values_bytes = (uint32_t)BASE_MIN(process->values, (uint64_t)UINT32_MAX);
	}
	return process != NULL;
}

bool core_process_is_leaving(const struct core *core, uint32_t serial)
{
	return find(&core->leaving, serial) != NULL;
}
