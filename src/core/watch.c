/* Monitors: a call that completes when something has become so. Here both kinds as records of the
 * Process that waits, and monitor_receive altogether; when a monitor_delegate fires is decided in
 * tracked.c.
 *
 *     Process               its Controller                                owner
 *       | monitor_receive       |                                           |
 *       |---------------------->| WATCH (class CLEANUP)                     |
 *       |                       |------------------------------------------>| a watcher of it
 *       |                       |                                           | ... it dies
 *       |                       |<------------------------------------------| FIRED, why
 *       |<----------------------| MONITORED, why                            |
 *       |                       |                                           |
 *       | cap_close, or the     | UNWATCH                                   |
 *       | delivery's end        |------------------------------------------>| forgotten
 *       |<----------------------| MONITORED, CANCELLED                      |
 *
 * A monitor belongs to the slot that it names and ends exactly once: when it fires, with the slot
 * (CANCELLED), or with the session (LINK: it may still be valid; CONTROLLER: the owner rebooted).
 * Its record is there until nothing of it is left to send: an UNWATCH waits for its credit in it.
 * FIRED and UNWATCH may cross; each finds nothing then and is ignored.
 *
 * One death may fire very many. They are told by and by, a portion in each step, and the dead entry
 * stays in the owner's table for so long. */
#include "core/core_internal.h"

/* ------------------------------------------------------------------ the record of a monitor */

static uint64_t key_of(const struct process *process, uint64_t cap)
{
	return cap ^ base_mix64(process->serial);
}

uint64_t core_monitor_key(const struct list *node)
{
	const struct monitor *monitor = BASE_CONTAINER(node, struct monitor, hash);
	return key_of(monitor->process, monitor->cap);
}

static struct monitor *find(struct core *core, const struct process *process, uint64_t cap,
							bool delegate)
{
	struct list *bucket = core_lookup_bucket(&core->slots_monitored, key_of(process, cap));
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct monitor *monitor = BASE_CONTAINER(at, struct monitor, hash);
		if (monitor->process == process && monitor->cap == cap && monitor->delegate == delegate)
			return monitor;
	}
	return NULL;
}

static fos_status add(struct core *core, const struct caller *caller, uint64_t cap, bool delegate,
					  struct monitor **out)
{
	struct process *process = caller->channel->process;
	struct table_entry *slot = core_table_get(&process->slots, cap);
	if (find(core, process, cap, delegate) != NULL)
		return FOS_OVERLAP;
	if (process->usage.monitors == core->config.limits.monitors)
		return FOS_QUOTA;
	struct monitor *monitor = core_alloc(core, sizeof *monitor);
	if (monitor == NULL)
		return FOS_QUOTA;
	*monitor =
		(struct monitor){.process = process, .caller = *caller, .cap = cap, .delegate = delegate};
	monitor->id = core_table_add(core, &core->monitors, monitor);
	if (monitor->id == 0) {
		core_free(core, monitor, sizeof *monitor);
		return FOS_QUOTA;
	}
	struct list *links[] = {&monitor->of_session, &monitor->of_tracked, &monitor->cleanup.link,
							&monitor->due};
	for (unsigned i = 0; i < BASE_COUNT(links); i++)
		list_init(links[i]);
	core_lookup_add(core, &core->slots_monitored, &monitor->hash);
	list_push(&process->monitors, &monitor->of_process);
	process->usage.monitors++;
	slot->monitored = true;
	*out = monitor;
	return FOS_OK;
}

static void answer(struct core *core, const struct caller *caller, fos_status status,
				   enum fos_gone gone)
{
	if (status != FOS_OK && gone == FOS_GONE_NOT)
		core->counters.calls_refused++;
	if (caller->channel == NULL)
		return;
	struct wire_answer_monitored *record = core_output_record(
		core, caller->channel, WIRE_ANSWER_TYPE_MONITORED, sizeof *record, caller->cookie);
	record->status = status;
	record->gone = gone;
}

static fos_status status_of(enum fos_gone gone)
{
	switch (gone) {
	case FOS_GONE_REVOKED:
	case FOS_GONE_MAKER:
		return FOS_REVOKED;
	case FOS_GONE_CONTROLLER:
		return FOS_STALE;
	case FOS_GONE_LINK:
		return FOS_PEER_LOST;
	case FOS_GONE_UNHELD:
		return FOS_OK;
	case FOS_GONE_NOT:
		break;
	}
	return FOS_QUOTA;
}

static void free_monitor(struct core *core, struct monitor *monitor)
{
	list_remove(&monitor->of_session);
	list_remove(&monitor->cleanup.link);
	core_table_remove(&core->monitors, monitor->id);
	core_free(core, monitor, sizeof *monitor);
}

static void free_watcher(struct core *core, struct watcher *watcher)
{
	struct object *object = watcher->object;
	if (watcher->session != NULL)
		watcher->session->watcher_count--;
	core_lookup_remove(&core->watchers, &watcher->hash);
	list_remove(&watcher->of_object);
	list_remove(&watcher->of_session);
	core_free(core, watcher, sizeof *watcher);
	if (list_empty(&object->watchers)) {
		list_remove(&object->told);
		core_object_settle(core, object);
	}
}

/* Nobody waits for it any more. What is left of it is an UNWATCH, if the owner knows of it. */
static void conclude(struct core *core, struct monitor *monitor, bool known)
{
	struct process *process = monitor->process;
	if (process != NULL)
		process->usage.monitors--;
	monitor->process = NULL;
	monitor->caller.channel = NULL;
	core_lookup_remove(&core->slots_monitored, &monitor->hash);
	list_remove(&monitor->of_process);
	list_remove(&monitor->of_tracked);
	list_remove(&monitor->due);
	if (monitor->watcher != NULL) {
		struct watcher *watcher = monitor->watcher;
		monitor->watcher = NULL;
		free_watcher(core, watcher);
	}
	if (!known || monitor->session == NULL || !monitor->sent) {
		free_monitor(core, monitor);
		return;
	}
	core_session_cleanup(core, core_presence_of(process, monitor->session), &monitor->cleanup,
						 CLEANUP_UNWATCH);
}

void core_monitor_fire(struct core *core, struct monitor *monitor, enum fos_gone gone)
{
	CORE_COVER(core, watch_fire);
	answer(core, &monitor->caller, status_of(gone), gone);
	if (PLANTED(monitor_twice))
		answer(core, &monitor->caller, status_of(gone), gone);
	conclude(core, monitor, false);
}

static void cancel(struct core *core, struct monitor *monitor)
{
	CORE_COVER(core, watch_cancel);
	answer(core, &monitor->caller, FOS_CANCELLED, FOS_GONE_NOT);
	conclude(core, monitor, true);
}

void core_watch_slot_end(struct core *core, struct process *process, uint64_t cap)
{
	struct monitor *monitor;
	for (int delegate = 0; delegate < 2; delegate++) {
		if ((monitor = find(core, process, cap, delegate)) != NULL)
			cancel(core, monitor);
	}
}

/* Nobody is there to be told (NULL: on any channel). */
void core_watch_process_end(struct core *core, struct process *process,
							const struct channel *channel)
{
	for (struct list *at = process->monitors.next, *next; at != &process->monitors; at = next) {
		struct monitor *monitor = BASE_CONTAINER(at, struct monitor, of_process);
		next = at->next;
		if (channel != NULL && monitor->caller.channel != channel)
			continue;
		monitor->caller.channel = NULL;
		/* PROCESS_GONE ends what the owners know of a Process's monitors. */
		conclude(core, monitor, channel != NULL);
	}
}

/* ------------------------------------------------------------------ monitor_receive */

/* session NULL: of this node. */
static struct watcher *add_watcher(struct core *core, struct object *object,
								   struct session *session, uint32_t process, uint64_t monitor)
{
	struct watcher *watcher = core_alloc(core, sizeof *watcher);
	if (watcher == NULL)
		return NULL;
	*watcher = (struct watcher){
		.object = object, .session = session, .process = process, .monitor = monitor};
	list_init(&watcher->hash);
	list_init(&watcher->of_session);
	list_push(&object->watchers, &watcher->of_object);
	return watcher;
}

/* Why nothing reaches the object of this node any more. */
static enum fos_gone why_gone(struct core *core, const struct core_ref *ref)
{
	const struct object *object = core_object_entry(core, ref);
	if (ref->epoch != core->config.epoch)
		return FOS_GONE_CONTROLLER;
	if (object == NULL)
		return FOS_GONE_REVOKED;
	return object->dead ? (enum fos_gone)object->gone : FOS_GONE_MAKER;
}

static fos_status watch_here(struct core *core, struct monitor *monitor, enum fos_gone *gone)
{
	struct object *object;
	if (core_object_find(core, &monitor->ref, &object) != FOS_OK) {
		*gone = why_gone(core, &monitor->ref);
		return FOS_OK;
	}
	CORE_COVER(core, watch_here);
	monitor->watcher = add_watcher(core, object, NULL, 0, monitor->id);
	return monitor->watcher != NULL ? FOS_OK : FOS_QUOTA;
}

static fos_status watch_there(struct core *core, struct monitor *monitor, enum fos_gone *gone)
{
	struct session *session;
	fos_status status = core_session_to(core, &monitor->ref, &session);
	if (status != FOS_OK) {
		*gone = status == FOS_STALE ? FOS_GONE_CONTROLLER : FOS_GONE_LINK;
		return FOS_OK;
	}
	status = core_presence(core, monitor->process, session);
	if (status != FOS_OK)
		return status;
	CORE_COVER(core, watch_there);
	monitor->session = session;
	list_push(&session->monitors, &monitor->of_session);
	core_session_cleanup(core, core_presence_of(monitor->process, session), &monitor->cleanup,
						 CLEANUP_WATCH);
	return FOS_OK;
}

void core_call_monitor_receive(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	const struct wire_call_monitor_receive *call = (const void *)bytes;
	const struct value *value = core_slot_value(caller->channel->process, call->cap);
	struct monitor *monitor;
	fos_status status = FOS_NO_CAP;
	if (value != NULL)
		status = add(core, caller, call->cap, false, &monitor);
	if (status != FOS_OK) {
		answer(core, caller, status, FOS_GONE_NOT);
		return;
	}
	monitor->ref = value->ref;
	enum fos_gone gone = FOS_GONE_NOT;
	status = value->ref.node == core->config.node ? watch_here(core, monitor, &gone)
												  : watch_there(core, monitor, &gone);
	if (status != FOS_OK) {
		answer(core, caller, status, FOS_GONE_NOT);
		conclude(core, monitor, false);
	} else if (gone != FOS_GONE_NOT) {
		core_monitor_fire(core, monitor, gone);
	}
}

void core_call_monitor_delegate(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	const struct wire_call_monitor_delegate *call = (const void *)bytes;
	struct process *process = caller->channel->process;
	const struct value *value = core_slot_value(process, call->cap);
	struct tracked *tracked = NULL;
	struct monitor *monitor;
	fos_status status = FOS_NO_CAP;
	if (value != NULL) {
		tracked = core_value_tracked(value);
		status = tracked != NULL ? core_tracked_may_watch(tracked, process) : FOS_WRONG_TYPE;
	}
	if (status == FOS_OK)
		status = add(core, caller, call->cap, true, &monitor);
	if (status == FOS_OK)
		core_tracked_watch(core, tracked, monitor);
	else
		answer(core, caller, status, FOS_GONE_NOT);
}

void core_watch_send(struct core *core, struct session *session, struct cleanup *cleanup)
{
	struct monitor *monitor = BASE_CONTAINER(cleanup, struct monitor, cleanup);
	if (cleanup->kind == CLEANUP_UNWATCH) {
		struct wire_message_unwatch *message =
			core_session_send(core, session, WIRE_MESSAGE_TYPE_UNWATCH, sizeof *message);
		message->monitor = monitor->id;
		free_monitor(core, monitor);
		return;
	}
	struct wire_message_watch *message =
		core_session_send(core, session, WIRE_MESSAGE_TYPE_WATCH, sizeof *message);
	message->monitor = monitor->id;
	message->epoch = monitor->ref.epoch;
	message->serial = monitor->ref.serial;
	message->index = monitor->ref.index;
	message->process = monitor->process->serial;
	monitor->sent = true;
}

void core_receive_fired(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_fired *message = (const void *)bytes;
	const struct table_entry *entry = core_table_get(&core->monitors, message->monitor);
	struct monitor *monitor = entry != NULL ? entry->content : NULL;
	if (monitor != NULL && monitor->session == session && monitor->sent)
		core_monitor_fire(core, monitor, (enum fos_gone)message->gone);
	else if (!core_table_issued(&core->monitors, message->monitor))
		core_session_break(core, session, "a monitor that never was fires");
}

/* ------------------------------------------------------------------ the owner */

static uint64_t watcher_key(const struct session *session, uint64_t monitor)
{
	return monitor ^ base_mix64((uintptr_t)session);
}

uint64_t core_watcher_key(const struct list *node)
{
	const struct watcher *watcher = BASE_CONTAINER(node, struct watcher, hash);
	return watcher_key(watcher->session, watcher->monitor);
}

static struct watcher *find_watcher(struct core *core, const struct session *session,
									uint64_t monitor)
{
	struct list *bucket = core_lookup_bucket(&core->watchers, watcher_key(session, monitor));
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct watcher *watcher = BASE_CONTAINER(at, struct watcher, hash);
		if (watcher->session == session && watcher->monitor == monitor)
			return watcher;
	}
	return NULL;
}

static void send_fired(struct core *core, struct session *session, uint64_t monitor,
					   enum fos_gone gone)
{
	if (session->ending)
		return;
	struct wire_message_fired *message =
		core_session_send(core, session, WIRE_MESSAGE_TYPE_FIRED, sizeof *message);
	message->monitor = monitor;
	message->gone = gone;
}

void core_receive_watch(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_watch *message = (const void *)bytes;
	struct core_ref ref = {core->config.node, message->index, message->epoch, message->serial};
	if (find_watcher(core, session, message->monitor) != NULL) {
		core_session_break(core, session, "a monitor that is set twice");
		return;
	}
	struct object *object;
	struct watcher *watcher = NULL;
	if (core_object_find(core, &ref, &object) != FOS_OK) {
		send_fired(core, session, message->monitor, why_gone(core, &ref));
		return;
	}
	if (session->watcher_count < WATCHERS_FOR_PEER)
		watcher = add_watcher(core, object, session, message->process, message->monitor);
	if (watcher == NULL) {
		send_fired(core, session, message->monitor, FOS_GONE_NOT);
		return;
	}
	session->watcher_count++;
	core_lookup_add(core, &core->watchers, &watcher->hash);
	list_push(&session->watchers, &watcher->of_session);
}

void core_receive_unwatch(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_unwatch *message = (const void *)bytes;
	struct watcher *watcher = find_watcher(core, session, message->monitor);
	if (watcher != NULL)
		free_watcher(core, watcher);
}

/* ------------------------------------------------------------------ ends */

void core_watch_object_end(struct core *core, struct object *object)
{
	if (!list_empty(&object->watchers) && !PLANTED(monitor_never))
		list_push(&core->told, &object->told);
}

static void fire_watcher(struct core *core, struct watcher *watcher)
{
	struct session *session = watcher->session;
	uint64_t id = watcher->monitor;
	enum fos_gone gone = (enum fos_gone)watcher->object->gone;
	if (session != NULL) {
		free_watcher(core, watcher);
		send_fired(core, session, id, gone);
		return;
	}
	/* A monitor of here, with which the watcher goes. */
	struct monitor *monitor = core_table_get(&core->monitors, id)->content;
	BASE_ASSERT(monitor != NULL);
	core_monitor_fire(core, monitor, gone);
}

unsigned core_watch_run(struct core *core, unsigned portion)
{
	struct monitor *monitor;
	for (; portion > 0 && (monitor = LIST_FIRST(&core->due, struct monitor, due)) != NULL;
		 portion--)
		core_monitor_fire(core, monitor, (enum fos_gone)monitor->gone);
	struct object *object;
	for (; portion > 0 && (object = LIST_FIRST(&core->told, struct object, told)) != NULL;
		 portion--) {
		struct watcher *watcher = LIST_FIRST(&object->watchers, struct watcher, of_object);
		BASE_ASSERT(watcher != NULL); /* with its last one the object leaves the list */
		fire_watcher(core, watcher);
	}
	return portion;
}

void core_watch_peer_gone(struct core *core, struct session *session, uint32_t process)
{
	for (struct list *at = session->watchers.next, *next; at != &session->watchers; at = next) {
		struct watcher *watcher = BASE_CONTAINER(at, struct watcher, of_session);
		next = at->next;
		if (watcher->process == process)
			free_watcher(core, watcher);
	}
}

void core_watch_session_end(struct core *core, struct session *session)
{
	struct watcher *watcher;
	struct monitor *monitor;
	while ((watcher = LIST_FIRST(&session->watchers, struct watcher, of_session)) != NULL)
		free_watcher(core, watcher);
	while ((monitor = LIST_FIRST(&session->monitors, struct monitor, of_session)) != NULL) {
		list_remove(&monitor->of_session);
		list_remove(&monitor->cleanup.link);
		monitor->session = NULL;
		monitor->gone = session->rebooted ? FOS_GONE_CONTROLLER : FOS_GONE_LINK;
		if (monitor->process == NULL)
			free_monitor(core, monitor);
		else
			list_push(&core->due, &monitor->due);
	}
}
