/* The owner's table: every use of a capability ends here, at index and serial.
 *
 * A serial never repeats in an epoch; its lowest bit says ONCE, so that a late arrival at a
 * consumed ONCE Request is known for what it is.
 *
 * Base objects and revtree children form trees that only this table knows. A child holds a copy of
 * what its parent names, so that whoever uses it never looks up. What is open of an object counts
 * in all that is above it (at most FOS_REVTREE_MAX), so that a revocation looks at one number:
 *
 *     open   deliveries not finished, and `remains` of a Process that went without finishing them
 *     busy   slices that the shell is moving or sending
 *
 *     alive --- killed, with all below ---> dead entry ---> gone from the table, when nothing of it
 *                                                           and nothing below it is left
 */
#include "core/core_internal.h"

/* ------------------------------------------------------------------ making one */

static fos_status add(struct core *core, bool once, struct object **out)
{
	struct object *object = core_alloc(core, sizeof *object);
	if (object == NULL)
		return FOS_QUOTA;
	uint64_t handle = core_table_add(core, &core->objects, object);
	if (handle == 0) {
		core_free(core, object, sizeof *object);
		return FOS_QUOTA;
	}
	core->serial += 2;
	*object = (struct object){.serial = core->serial | once, .handle = handle, .once = once};
	struct list *lists[] = {&object->of_parent, &object->children, &object->of_remains,
							&object->revokings, &object->watchers, &object->told};
	for (unsigned i = 0; i < BASE_COUNT(lists); i++)
		list_init(lists[i]);
	*out = object;
	return FOS_OK;
}

static void charge(struct object *object, struct process *process, struct session *session)
{
	object->charged = process;
	object->session = session;
	if (process != NULL) {
		process->usage.objects++;
		list_push(&process->objects, &object->of_maker);
	} else {
		session->child_count++;
		list_push(&session->children, &object->of_maker);
	}
}

struct maker core_process_maker(const struct core *core, const struct process *process)
{
	return (struct maker){
		.node = core->config.node, .process = process->serial, .epoch = core->config.epoch};
}

fos_status core_object_create(struct core *core, struct process *process, uint8_t kind, bool once,
							  struct object **out)
{
	if (process->usage.objects >= core->config.limits.objects && !PLANTED(no_quota))
		return FOS_QUOTA;
	struct object *object;
	fos_status status = add(core, once, &object);
	if (status != FOS_OK)
		return status;
	object->kind = kind;
	object->process = process;
	object->maker = core_process_maker(core, process);
	charge(object, process, NULL);
	*out = object;
	return FOS_OK;
}

static void copy_memory(struct object *child, const struct object *parent)
{
	child->memory.segment = parent->memory.segment;
	child->memory.rights = parent->memory.rights;
	child->memory.offset = parent->memory.offset;
	child->memory.length = parent->memory.length;
	list_init(&child->memory.readers);
	list_init(&child->memory.writers);
	list_init(&child->memory.incoming);
}

static void copy_request(struct object *child, const struct object *parent)
{
	child->request.channel = parent->request.channel;
	child->request.handler = parent->request.handler;
	list_init(&child->request.waiters);
	list_push(&parent->request.channel->objects, &child->request.of_channel);
	core_timer_init(&child->request.timer, TIMER_ONCE);
}

fos_status core_object_child(struct core *core, struct object *parent, const struct maker *maker,
							 struct process *process, struct session *session, bool tracked,
							 struct object **out)
{
	uint32_t used = process != NULL ? process->usage.objects : session->child_count;
	if (parent->depth == FOS_REVTREE_MAX)
		return FOS_INVALID;
	if (used >= core->config.limits.objects)
		return FOS_QUOTA;
	struct object *child;
	fos_status status = add(core, parent->once, &child);
	if (status != FOS_OK)
		return status;
	child->kind = parent->kind;
	child->depth = (uint8_t)(parent->depth + 1);
	child->process = parent->process;
	child->maker = *maker;
	child->parent = parent;
	list_push(&parent->children, &child->of_parent);
	parent->living++;
	if (child->kind == FOS_MEMORY)
		copy_memory(child, parent);
	else
		copy_request(child, parent);
	charge(child, process, session);
	if (process != NULL)
		CORE_COVER(core, child_here);
	else
		CORE_COVER(core, child_there);
	if (session != NULL && !core_revoking_prepare(core, child))
		status = FOS_QUOTA;
	if (status == FOS_OK && tracked)
		status = core_tracked_object(core, child);
	if (status != FOS_OK) {
		core_object_disown(child);
		core_object_kill(core, child, FOS_GONE_NOT);
		return status;
	}
	*out = child;
	return FOS_OK;
}

/* ------------------------------------------------------------------ finding one */

/* While a Process or channel is taken apart, what that sets off must not reach its other objects.
 */
static bool is_ending(const struct object *object)
{
	return object->process->ending ||
		   (object->kind == FOS_REQUEST && object->request.channel->ending);
}

struct object *core_object_entry(struct core *core, const struct core_ref *ref)
{
	if (ref->epoch != core->config.epoch && !PLANTED(skip_epoch))
		return NULL;
	const struct table_entry *entry = core_table_at(&core->objects, ref->index);
	struct object *object = entry != NULL ? entry->content : NULL;
	return object != NULL && (object->serial == ref->serial || PLANTED(skip_serial)) ? object
																					 : NULL;
}

fos_status core_object_find(struct core *core, const struct core_ref *ref, struct object **out)
{
	*out = NULL;
	if (ref->epoch != core->config.epoch && !PLANTED(skip_epoch))
		return FOS_STALE;
	struct object *object = core_object_entry(core, ref);
	if (object == NULL || object->dead || is_ending(object))
		return FOS_REVOKED;
	*out = object;
	return FOS_OK;
}

struct core_ref core_object_ref(const struct core *core, const struct object *object)
{
	return (struct core_ref){.node = core->config.node,
							 .index = core_table_index(object->handle),
							 .epoch = core->config.epoch,
							 .serial = object->serial};
}

/* ------------------------------------------------------------------ killing */

static void kill_memory(struct core *core, struct object *object)
{
	struct outgoing *out;
	struct incoming *in;
	while ((out = LIST_FIRST(&object->memory.readers, struct outgoing, of_src)) != NULL)
		core_outgoing_end(core, out, FOS_REVOKED);
	while ((out = LIST_FIRST(&object->memory.writers, struct outgoing, of_dst)) != NULL)
		core_outgoing_end(core, out, FOS_REVOKED);
	while ((in = LIST_FIRST(&object->memory.incoming, struct incoming, of_dst)) != NULL)
		core_incoming_end(core, in, FOS_REVOKED);
}

static void leave_channel(struct core *core, struct object *object)
{
	list_remove(&object->request.of_channel);
	core_once_release(core, object);
	core_timer_stop(core, &object->request.timer);
}

static void kill_request(struct core *core, struct object *object)
{
	leave_channel(core, object);
	core_inbox_object_end(core, object);
	core_registry_object_end(core, object);
}

void core_object_disown(struct object *object)
{
	list_remove(&object->of_maker);
	if (object->session != NULL && !object->dead)
		object->session->child_count -= !PLANTED(refund_child);
	object->session = NULL;
	object->notice = false;
}

/* From here on no one finds it; its maker gets the quota back now, a peer when it is told. */
static void mark(struct core *core, struct object *object)
{
	list_remove(&object->of_maker);
	if (object->charged != NULL) {
		object->charged->usage.objects -= !PLANTED(refund_object);
		object->charged = NULL;
	} else if (object->session != NULL) {
		object->session->child_count -= !PLANTED(refund_child);
		object->notice = true;
		list_push(&object->session->gone, &object->of_maker);
		core_session_dirty(core, object->session);
	}
	if (object->parent != NULL)
		object->parent->living--;
	object->dead = true;
	object->pins++;
}

/* The next one of the tree below root, a parent before its children; NULL: that was all. */
static struct object *walk(const struct object *root, struct object *at)
{
	if (!list_empty(&at->children))
		return LIST_FIRST(&at->children, struct object, of_parent);
	while (at != root && at->of_parent.next == &at->parent->children)
		at = at->parent;
	return at != root ? BASE_CONTAINER(at->of_parent.next, struct object, of_parent) : NULL;
}

/* All are marked before anything is told of any of them: what that sets off finds none alive, and
 * while the pins are on none is freed. Returns the first of those that were alive, linked. */
static struct object *mark_all(struct core *core, struct object *root, enum fos_gone why)
{
	CORE_COVER(core, object_kill);
	struct object *first = NULL, **last = &first;
	for (struct object *at = root; at != NULL; at = PLANTED(kill_one) ? NULL : walk(root, at)) {
		if (at->dead)
			continue;
		mark(core, at);
		at->gone = (uint8_t)why;
		*last = at;
		last = &at->next;
	}
	return first;
}

static void end(struct core *core, struct object *object)
{
	core_watch_object_end(core, object);
	core_tracked_object_end(core, object);
	if (object->parent != NULL)
		core_tracked_touch(object->parent->tracked);
	object->process = NULL;
	core_object_unpin(core, object);
}

void core_object_kill(struct core *core, struct object *object, enum fos_gone why)
{
	if (object->dead)
		return;
	for (struct object *at = mark_all(core, object, why), *next; at != NULL; at = next) {
		next = at->next;
		if (at->kind == FOS_MEMORY)
			kill_memory(core, at);
		else
			kill_request(core, at);
		end(core, at);
	}
}

/* Nothing waits at a ONCE Request, and it is no registry's: so the arrival that uses it up sets off
 * no others, whatever it was itself set off by. */
void core_object_consume(struct core *core, struct object *object)
{
	for (struct object *at = mark_all(core, object, FOS_GONE_REVOKED), *next; at != NULL;
		 at = next) {
		next = at->next;
		BASE_ASSERT(at->once && list_empty(&at->request.waiters));
		leave_channel(core, at);
		end(core, at);
	}
}

/* Nothing above a living one is dead, so its children are enough. */
bool core_object_is_lent(const struct object *object)
{
	return object->living > 0;
}

/* ------------------------------------------------------------------ what is left of it */

void core_object_opened(struct object *object, uint32_t count)
{
	for (; object != NULL; object = object->parent)
		object->open += count;
}

void core_object_closed(struct object *object, uint32_t count)
{
	for (; object != NULL; object = object->parent)
		object->open -= count;
}

void core_object_busy(struct object *object)
{
	object->slices++;
	for (; object != NULL; object = object->parent)
		object->busy++;
}

void core_object_idle(struct object *object, uint32_t count)
{
	object->slices -= count;
	for (; object != NULL; object = object->parent)
		object->busy -= count;
}

void core_object_unpin(struct core *core, struct object *object)
{
	object->pins--;
	core_object_settle(core, object);
}

static bool is_over(const struct object *object)
{
	return object->pins == 0 && object->deliveries == 0 && object->remains == 0 &&
		   object->slices == 0 && !object->notice && list_empty(&object->children) &&
		   list_empty(&object->watchers);
}

/* Nothing above a living one is dead. */
void core_object_settle(struct core *core, struct object *object)
{
	while (object != NULL && object->dead) {
		struct object *parent = object->parent;
		if (!list_empty(&object->revokings))
			core_revokings_settle(core, object);
		if (is_over(object)) {
			CORE_COVER(core, object_free);
			list_remove(&object->of_parent);
			core_table_remove(&core->objects, object->handle);
			if (object->revoking != NULL)
				core_free(core, object->revoking, sizeof *object->revoking);
			core_free(core, object, sizeof *object);
		}
		object = parent;
	}
}
