/* Revtree children: made by cap_create_revtree and by refine with REVOCABLE, at the owner.
 *
 *     Process        its Controller                        owner
 *       | cap_revtree    |                                   |
 *       |--------------->| lending: quota taken              |
 *       |                | CHILD                             |
 *       |                |---------------------------------->| a child in its table, charged to
 *       |                |<----------------------------------| the session; CHILD_DONE name
 *       |<---------------| a slot for it                     |
 *       |                |                                   | it dies otherwise than by its
 *       |                |<----------------------------------| maker's revoke: CHILD_GONE
 *       |                | quota back                        |
 *       dies             | PROCESS_GONE, behind all its CHILD, REVOKE, WATCH
 *       |--------------->|---------------------------------->| all children that it made die
 *
 *     lending   asked --- CHILD_DONE ---> made --- its revoke, CHILD_GONE, end of session ---> gone
 *                 '--- done, but nobody wants it any more ---> taken back by a REVOKE -----------'
 *
 * Children end with the session that made them; both sides see that end for themselves. What waits
 * for a credit waits in records that are there already: the lending, and one `presence` for each
 * Process and session, so that the death of a Process needs no memory. */
#include "core/core_internal.h"

/* ------------------------------------------------------------------ the Process's call */

/* What it names is here. */
static fos_status make_here(struct core *core, const struct caller *caller,
							const struct value *value, bool tracked)
{
	struct process *process = caller->channel->process;
	struct maker maker = core_process_maker(core, process);
	struct object *parent, *child;
	fos_status status = core_object_find(core, &value->ref, &parent);
	if (status == FOS_OK)
		status = core_object_child(core, parent, &maker, process, NULL, tracked, &child);
	if (status != FOS_OK)
		return status;
	struct core_ref ref = core_object_ref(core, child);
	struct value *made = core_value_like(core, value, &ref, child->tracked);
	uint64_t cap;
	status = made != NULL ? core_slot_add(core, process, made, false, &cap) : FOS_QUOTA;
	core_value_release(core, made);
	if (status == FOS_OK)
		core_complete_cap(core, caller, cap);
	else
		core_object_kill(core, child, FOS_GONE_NOT);
	return status;
}

/* What its maker asks for is in nobody else's hands. */
static bool is_makers(const struct lending *lending)
{
	return lending->parent != NULL && core_tracked_is_maker(lending->parent, lending->process);
}

static struct lending *add_lending(struct core *core, const struct caller *caller,
								   struct value *value, bool tracked)
{
	struct process *process = caller->channel->process;
	struct lending *lending = core_alloc(core, sizeof *lending);
	if (lending == NULL)
		return NULL;
	*lending = (struct lending){.asked.kind = ASKED_CHILD,
								.process = process,
								.caller = *caller,
								.ref = value->ref,
								.tracked = tracked};
	lending->asked.number = core_table_add(core, &core->calls, &lending->asked);
	if (lending->asked.number == 0) {
		core_free(core, lending, sizeof *lending);
		return NULL;
	}
	list_init(&lending->cleanup.link);
	list_init(&lending->hash);
	list_push(&process->lendings, &lending->of_process);
	process->usage.objects++;
	lending->parent = core_value_tracked(value);
	core_tracked_use(lending->parent);
	lending->value = core_value_hold(value);
	process->values += core_value_weight(value);
	if (is_makers(lending))
		lending->parent->own++;
	return lending;
}

static fos_status make_there(struct core *core, const struct caller *caller, struct value *value,
							 bool tracked)
{
	struct process *process = caller->channel->process;
	struct session *session;
	fos_status status = core_session_to(core, &value->ref, &session);
	if (status == FOS_OK && (process->usage.objects >= core->config.limits.objects ||
							 !core_space_fits(core, process, 1, core_value_weight(value))))
		status = FOS_QUOTA;
	if (status == FOS_OK)
		status = core_presence(core, process, session);
	if (status != FOS_OK)
		return status;
	struct lending *lending = add_lending(core, caller, value, tracked);
	if (lending == NULL)
		return FOS_QUOTA;
	lending->session = session;
	list_push(&session->lendings, &lending->of_session);
	core_session_cleanup(core, core_presence_of(process, session), &lending->cleanup,
						 CLEANUP_CHILD);
	return FOS_OK;
}

void core_child_make(struct core *core, const struct caller *caller, struct value *value,
					 bool tracked)
{
	bool here = value->ref.node == core->config.node;
	fos_status status =
		here ? make_here(core, caller, value, tracked) : make_there(core, caller, value, tracked);
	if (status != FOS_OK)
		core_complete(core, caller, status);
	core_value_release(core, value);
}

void core_call_cap_revtree(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	const struct wire_call_cap_revtree *call = (const void *)bytes;
	struct value *value = core_slot_value(caller->channel->process, call->cap);
	if (value != NULL)
		core_child_make(core, caller, core_value_hold(value), call->tracked);
	else
		core_complete(core, caller, FOS_NO_CAP);
}

void core_lending_send(struct core *core, struct session *session, struct lending *lending)
{
	if (lending->cleanup.kind == CLEANUP_TAKE_BACK) {
		core_revoke_send(core, session, &lending->asked, &lending->ref, lending->process, 0, false);
		return;
	}
	struct wire_message_child *message =
		core_session_send(core, session, WIRE_MESSAGE_TYPE_CHILD, sizeof *message);
	message->call = lending->asked.number;
	message->epoch = lending->ref.epoch;
	message->serial = lending->ref.serial;
	message->index = lending->ref.index;
	message->process = lending->process->serial;
	message->tracked = lending->tracked;
}

/* ------------------------------------------------------------------ the owner */

void core_receive_child(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_child *message = (const void *)bytes;
	struct core_ref ref = {core->config.node, message->index, message->epoch, message->serial};
	struct maker maker = {
		.node = session->node, .process = message->process, .epoch = session->epoch};
	struct object *parent, *child = NULL;
	fos_status status = core_object_find(core, &ref, &parent);
	if (status == FOS_OK)
		status = core_object_child(core, parent, &maker, NULL, session, message->tracked, &child);
	struct wire_message_child_done *answer =
		core_session_send(core, session, WIRE_MESSAGE_TYPE_CHILD_DONE, sizeof *answer);
	answer->call = message->call;
	answer->status = status;
	if (status == FOS_OK) {
		answer->serial = child->serial;
		answer->index = core_table_index(child->handle);
	}
}

unsigned core_children_tell(struct core *core, struct session *session, unsigned portion)
{
	struct object *object;
	while (portion > 0 && (object = LIST_FIRST(&session->gone, struct object, of_maker)) != NULL) {
		struct wire_message_child_gone *message =
			core_session_send(core, session, WIRE_MESSAGE_TYPE_CHILD_GONE, sizeof *message);
		CORE_COVER(core, child_told);
		message->serial = object->serial;
		message->index = core_table_index(object->handle);
		core_object_disown(object);
		core_object_settle(core, object);
		portion--;
	}
	return portion;
}

void core_children_session_end(struct core *core, struct session *session)
{
	struct object *object;
	while ((object = LIST_FIRST(&session->children, struct object, of_maker)) != NULL) {
		core_object_disown(object);
		if (!PLANTED(children_stay))
			core_object_kill(core, object, FOS_GONE_MAKER);
	}
	while ((object = LIST_FIRST(&session->gone, struct object, of_maker)) != NULL) {
		core_object_disown(object);
		core_object_settle(core, object);
	}
}

/* ------------------------------------------------------------------ the maker's Controller */

static uint64_t key_of(const struct core_ref *ref)
{
	return ref->serial ^ base_mix64(ref->node);
}

uint64_t core_lending_key(const struct list *node)
{
	return key_of(&BASE_CONTAINER(node, struct lending, hash)->ref);
}

struct lending *core_lending_find(struct core *core, const struct core_ref *ref)
{
	struct list *bucket = core_lookup_bucket(&core->lendings, key_of(ref));
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct lending *lending = BASE_CONTAINER(at, struct lending, hash);
		if (core_ref_equal(&lending->ref, ref))
			return lending;
	}
	return NULL;
}

/* Its call is over. */
static void let_go(struct core *core, struct lending *lending)
{
	if (lending->value == NULL)
		return;
	lending->process->values -= core_value_weight(lending->value);
	if (is_makers(lending))
		lending->parent->own--;
	core_value_release(core, lending->value);
	lending->value = NULL;
}

void core_lending_end(struct core *core, struct lending *lending, enum fos_gone gone)
{
	let_go(core, lending);
	if (lending->holds)
		core_tracked_drop(lending->parent);
	else
		core_tracked_unuse(lending->parent);
	if (lending->tracked && !list_empty(&lending->hash))
		core_tracked_lent_end(core, &lending->ref, gone);
	if (lending->asked.number != 0)
		core_table_remove(&core->calls, lending->asked.number);
	lending->process->usage.objects--;
	list_remove(&lending->cleanup.link);
	core_lookup_remove(&core->lendings, &lending->hash);
	list_remove(&lending->of_process);
	list_remove(&lending->of_session);
	core_free(core, lending, sizeof *lending);
}

/* A slot for the child. */
static fos_status hand_over(struct core *core, struct lending *lending, uint64_t *cap)
{
	/* Its channel was closed meanwhile. */
	if (lending->caller.channel == NULL)
		return FOS_CANCELLED;
	fos_status status = FOS_OK;
	if (lending->tracked)
		status = core_tracked_lent(core, &lending->ref, lending->process->serial);
	if (status != FOS_OK)
		return status;
	struct tracked *tracked = lending->tracked ? core_tracked_find(core, &lending->ref) : NULL;
	struct value *value = core_value_like(core, lending->value, &lending->ref, tracked);
	let_go(core, lending);
	status = FOS_QUOTA;
	if (value != NULL)
		status = core_slot_add(core, lending->process, value, false, cap);
	core_value_release(core, value);
	return status;
}

/* It lives, and so somebody has its parent. Until now the parent was only used: what was refused,
 * or is taken back at once, was no delegation. */
static void hold_parent(struct lending *lending)
{
	if (lending->parent == NULL)
		return;
	core_tracked_hold(lending->parent);
	core_tracked_unuse(lending->parent);
	lending->holds = true;
}

static void take_back(struct core *core, struct lending *lending)
{
	core_session_cleanup(core, core_presence_of(lending->process, lending->session),
						 &lending->cleanup, CLEANUP_TAKE_BACK);
}

static void made(struct core *core, struct lending *lending)
{
	uint64_t cap = 0;
	fos_status status = hand_over(core, lending, &cap);
	core_lookup_add(core, &core->lendings, &lending->hash);
	if (status == FOS_OK) {
		hold_parent(lending);
		core_complete_cap(core, &lending->caller, cap);
		/* A firing must be able to take back a tracked one. */
		if (lending->tracked)
			return;
		core_table_remove(&core->calls, lending->asked.number);
		lending->asked.number = 0;
		return;
	}
	core_complete(core, &lending->caller, status);
	let_go(core, lending);
	CORE_COVER(core, child_taken_back);
	take_back(core, lending);
}

void core_receive_child_done(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_child_done *message = (const void *)bytes;
	const struct table_entry *entry = core_table_get(&core->calls, message->call);
	struct asked *asked = entry != NULL ? entry->content : NULL;
	/* Its Process died: PROCESS_GONE ends the child. */
	if (asked == NULL || asked->kind != ASKED_CHILD)
		return;
	struct lending *lending = BASE_CONTAINER(asked, struct lending, asked);
	if (lending->session != session || lending->value == NULL)
		return;
	if (message->status != FOS_OK) {
		core_complete(core, &lending->caller, (fos_status)message->status);
		core_lending_end(core, lending, FOS_GONE_NOT);
		return;
	}
	CORE_COVER(core, child_lent);
	lending->ref.serial = message->serial;
	lending->ref.index = message->index;
	made(core, lending);
}

void core_receive_child_gone(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_child_gone *message = (const void *)bytes;
	struct core_ref ref = {session->node, message->index, session->epoch, message->serial};
	struct lending *lending = core_lending_find(core, &ref);
	if (lending != NULL && lending->session == session)
		core_lending_end(core, lending, FOS_GONE_REVOKED);
}

void core_lending_kill(struct core *core, const struct core_ref *ref)
{
	struct lending *lending = core_lending_find(core, ref);
	if (lending != NULL && list_empty(&lending->cleanup.link))
		take_back(core, lending);
}

void core_lendings_session_end(struct core *core, struct session *session)
{
	struct lending *lending;
	while ((lending = LIST_FIRST(&session->lendings, struct lending, of_session)) != NULL) {
		if (lending->value != NULL)
			core_complete(core, &lending->caller, session->rebooted ? FOS_STALE : FOS_PEER_LOST);
		core_lending_end(core, lending, session->rebooted ? FOS_GONE_CONTROLLER : FOS_GONE_LINK);
	}
}

void core_lendings_process_end(struct core *core, struct process *process)
{
	struct lending *lending;
	while ((lending = LIST_FIRST(&process->lendings, struct lending, of_process)) != NULL)
		core_lending_end(core, lending, FOS_GONE_MAKER);
}

/* ------------------------------------------------------------------ a Process's end at its peers
 */

struct presence *core_presence_of(const struct process *process, const struct session *session)
{
	for (struct list *at = process->presences.next; at != &process->presences; at = at->next) {
		struct presence *presence = BASE_CONTAINER(at, struct presence, of_process);
		if (presence->session == session)
			return presence;
	}
	return NULL;
}

fos_status core_presence(struct core *core, struct process *process, struct session *session)
{
	if (core_presence_of(process, session) != NULL)
		return FOS_OK;
	struct presence *presence = core_alloc(core, sizeof *presence);
	if (presence == NULL)
		return FOS_QUOTA;
	*presence = (struct presence){.session = session, .process = process->serial};
	list_init(&presence->cleanup.link);
	list_init(&presence->waiting);
	list_init(&presence->turn);
	list_push(&process->presences, &presence->of_process);
	list_push(&session->presences, &presence->of_session);
	return FOS_OK;
}

static void free_presence(struct core *core, struct presence *presence)
{
	list_remove(&presence->cleanup.link);
	list_remove(&presence->turn);
	list_remove(&presence->of_process);
	list_remove(&presence->of_session);
	core_free(core, presence, sizeof *presence);
}

void core_presence_send(struct core *core, struct session *session, struct presence *presence)
{
	struct wire_message_process_gone *message =
		core_session_send(core, session, WIRE_MESSAGE_TYPE_PROCESS_GONE, sizeof *message);
	message->process = presence->process;
	free_presence(core, presence);
}

void core_presences_session_end(struct core *core, struct session *session)
{
	struct presence *presence;
	while ((presence = LIST_FIRST(&session->presences, struct presence, of_session)) != NULL)
		free_presence(core, presence);
}

void core_presences_process_end(struct core *core, struct process *process)
{
	struct presence *presence;
	while ((presence = LIST_FIRST(&process->presences, struct presence, of_process)) != NULL) {
		list_remove(&presence->of_process);
		core_session_cleanup(core, presence, &presence->cleanup, CLEANUP_PROCESS_GONE);
	}
}

void core_receive_process_gone(struct core *core, struct session *session, const uint8_t *bytes)
{
	const struct wire_message_process_gone *message = (const void *)bytes;
	if (PLANTED(orphans))
		return;
	struct object *child;
	struct list others;
	list_init(&others);
	/* A kill takes others of the list with it, wherever they are. */
	while ((child = LIST_FIRST(&session->children, struct object, of_maker)) != NULL) {
		if (child->maker.process == message->process) {
			core_object_disown(child);
			core_object_kill(core, child, FOS_GONE_MAKER);
		} else {
			list_remove(&child->of_maker);
			list_push(&others, &child->of_maker);
		}
	}
	struct list *link;
	while ((link = list_pop(&others)) != NULL)
		list_push(&session->children, link);
	core_revokings_peer_gone(core, session, message->process);
	core_watch_peer_gone(core, session, message->process);
}
