/* Copies: which bytes a core may read and write, and when.
 *
 * A slice shows the arena's bytes it is about; it must continue a copy that was asked for, through
 * capabilities that live. Whose a copy is its record in the core says, by the number that it has at
 * its asker's Controller; that the record is right the bytes' places must show. */
#include "sim/oracle_internal.h"

static uint64_t token_hash(uint32_t node, uint64_t epoch, uint64_t token)
{
	return base_mix64(token ^ base_mix64(epoch ^ node));
}

static uint64_t start_of(const struct oracle_value *value)
{
	return value->object->offset + value->offset;
}

void oracle_copy_start(struct oracle *o, struct oracle_copying *copying)
{
	list_init(&copying->all);
	list_init(&copying->of_token);
	copying->asker_epoch = copying->asker->epoch;
	list_push(&o->nodes[copying->src->object->node].copies, &copying->all);
}

/* Its slices count at its objects. */
static void count_slices(const struct oracle_copying *copying, int sign)
{
	int count = sign * (int)copying->outstanding;
	oracle_count(copying->src->object, 0, 0, count);
	if (copying->local)
		oracle_count(copying->dst->object, 0, 0, count);
}

static void end_outstanding(struct oracle_copying *copying)
{
	count_slices(copying, -1);
	copying->outstanding = 0;
}

static void free_copying(struct oracle *o, struct oracle_copying *copying)
{
	end_outstanding(copying);
	list_remove(&copying->all);
	list_remove(&copying->of_token);
	if (copying->then != NULL)
		copying->then->after = NULL;
	if (copying->call != NULL)
		copying->call->copying = NULL;
	oracle_release(o, copying->src);
	oracle_release(o, copying->dst);
	oracle_release(o, copying->next);
	oracle_release(o, copying->on_error);
	oracle_free(o, copying, sizeof *copying);
}

void oracle_copy_refused(struct oracle *o, struct oracle_copying *copying)
{
	if (copying->taken > 0)
		oracle_violate(o, "a copy of %s moved bytes and yet was refused",
					   oracle_name(copying->asker));
	if (copying->then != NULL)
		oracle_made_refused(o, copying->then);
	free_copying(o, copying);
}

/* Nothing more can come of it. */
static bool over(struct oracle *o, const struct oracle_copying *copying)
{
	const struct core_config *core = &o->config.core;
	if (copying->call != NULL || copying->outstanding > 0)
		return false;
	if (copying->placed == copying->src->length)
		return copying->then == NULL || !copying->then->waiting;
	bool lost = (oracle_copy_may(o, copying) & ~ORACLE_MAY(OK)) != 0;
	return lost && o->disturbances == 0 &&
		   BASE_MAX(BASE_MAX(copying->end, o->calm), copying->time) + 4 * core->failure_timeout +
				   core->default_time <
			   o->now;
}

void oracle_copies_forget(struct oracle *o, uint32_t node)
{
	struct list *all = &o->nodes[node].copies;
	for (unsigned i = 0; i < 3 && !list_empty(all); i++) {
		struct oracle_copying *copying = BASE_CONTAINER(all->next, struct oracle_copying, all);
		if (over(o, copying)) {
			free_copying(o, copying);
			continue;
		}
		list_remove(&copying->all);
		list_push(all, &copying->all);
	}
}

/* ------------------------------------------------------------------ slices */

static bool is_at(const struct core_extent *extent, const struct oracle_value *value,
				  uint64_t offset)
{
	const struct oracle_thing *thing = value->object;
	return thing->process->serial == extent->process && thing->segment == extent->segment &&
		   start_of(value) + offset == extent->offset &&
		   base_range_inside(offset, extent->length, value->length);
}

static struct oracle_copying *find_token(struct oracle *o, uint32_t node, uint64_t epoch,
										 uint64_t token)
{
	struct list *bucket = oracle_bucket(o->tokens, token_hash(node, epoch, token));
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct oracle_copying *copying = BASE_CONTAINER(at, struct oracle_copying, of_token);
		if (copying->token == token && copying->token_node == node && copying->token_epoch == epoch)
			return copying;
	}
	return NULL;
}

/* Where a message's bytes are to go, and for which task, it says itself. */
static bool goes_to(const struct core_output *out, const struct oracle_copying *copying)
{
	const struct wire_message_data *message = (const void *)out->bytes;
	const struct oracle_thing *dst = copying->dst->object;
	return out->node == dst->node && message->epoch == dst->epoch && message->index == dst->index &&
		   message->serial == dst->serial && message->base == copying->dst->offset &&
		   message->total == copying->src->length &&
		   (copying->trace == 0 || copying->trace == message->trace);
}

/* The copy that a first slice begins: the core says whose. */
static struct oracle_copying *begin(struct oracle *o, uint32_t node, const struct core_output *out)
{
	const struct core *core = o->config.core_of(o->config.context, node);
	bool local = out->type == CORE_MOVE;
	struct list *all = &o->nodes[node].copies;
	struct oracle_copying *current = o->current != NULL ? o->current->copying : NULL;
	struct core_view_transfer view;
	if (!core_inspect_transfer(core, out->token, &view))
		return NULL;
	for (struct list *at = all->next; at != all; at = at->next) {
		struct oracle_copying *copying = BASE_CONTAINER(at, struct oracle_copying, all);
		bool fits = local ? copying->dst->object->node == node && is_at(&out->to, copying->dst, 0)
						  : goes_to(out, copying);
		if (copying->token != 0 || copying->asker->node != view.asker ||
			copying->asker_epoch != view.asker_epoch ||
			(copying->number != view.copy && copying != current) ||
			!is_at(&out->from, copying->src, 0) || !fits)
			continue;
		copying->number = view.copy;
		copying->token = out->token;
		copying->token_node = node;
		copying->token_epoch = o->nodes[node].epoch;
		copying->local = local;
		if (!local)
			oracle_time_leaves(
				o, copying,
				((const struct wire_message_data *)(const void *)out->bytes)->time_left);
		list_push(oracle_bucket(o->tokens, token_hash(node, copying->token_epoch, copying->token)),
				  &copying->of_token);
		return copying;
	}
	return NULL;
}

void oracle_copy_number(struct oracle *o, struct oracle_call *call)
{
	const struct oracle_process *process = call->process;
	struct oracle_copying *copying = call->copying;
	const struct core *core = o->config.core_of(o->config.context, process->node);
	if (copying != NULL && copying->number == 0 && core != NULL)
		copying->number = core_inspect_copy(core, process->serial, call->channel, call->cookie);
}

static void check_memory(struct oracle *o, const struct oracle_thing *thing, const char *what)
{
	enum oracle_life life = oracle_life(o, thing);
	o->counts.maybes += life == ORACLE_MAYBE;
	if (life == ORACLE_DEAD)
		oracle_violate(o, "%s Memory %u:%u serial %llu, which is dead", what, thing->node,
					   thing->index, (unsigned long long)thing->serial);
}

static void take(struct oracle *o, uint32_t node, const struct core_output *out)
{
	struct oracle_copying *copying = find_token(o, node, o->nodes[node].epoch, out->token);
	if (copying == NULL)
		copying = begin(o, node, out);
	if (copying == NULL) {
		oracle_violate(o, "reads %llu bytes of process %u at %llu, which nobody asked to copy",
					   (unsigned long long)out->from.length, out->from.process,
					   (unsigned long long)out->from.offset);
		return;
	}
	if (!is_at(&out->from, copying->src, copying->taken) ||
		(copying->local && !is_at(&out->to, copying->dst, copying->taken)) ||
		out->from.length == 0 || out->from.length > o->config.core.slice ||
		(copying->local && (copying->outstanding > 0 || out->to.length != out->from.length))) {
		oracle_violate(o, "a slice of a copy of %s at the wrong place",
					   oracle_name(copying->asker));
		return;
	}
	check_memory(o, copying->src->object, "reads");
	oracle_count(copying->src->object, 0, 0, 1);
	if (copying->local) {
		check_memory(o, copying->dst->object, "writes");
		oracle_count(copying->dst->object, 0, 0, 1);
		copying->slice = out->from.length;
	}
	copying->outstanding++;
	copying->taken += out->from.length;
}

/* Which copy's bytes a message has, its number says. */
static void place(struct oracle *o, uint32_t node, const struct core_output *out)
{
	const struct wire_message_data *message = (const void *)o->event->bytes;
	uint32_t from = o->event->node; /* perhaps in a life that is over */
	struct oracle_copying *copying = NULL;
	if (o->event->type == CORE_MESSAGE && message->header.type == WIRE_MESSAGE_TYPE_DATA)
		copying = find_token(o, from, o->sessions[node][from].epoch, message->stream);
	if (copying == NULL || copying->local || copying->dst->object->node != node ||
		!is_at(&out->to, copying->dst, copying->placed) ||
		out->to.length > copying->taken - copying->placed || out->size != out->to.length) {
		oracle_violate(o, "writes %llu bytes of process %u at %llu, which nobody sent there",
					   (unsigned long long)out->to.length, out->to.process,
					   (unsigned long long)out->to.offset);
		return;
	}
	check_memory(o, copying->dst->object, "writes");
	if (copying->placed == 0)
		oracle_time_lands(o, copying, message->time_left);
	copying->placed += out->to.length;
}

void oracle_slice(struct oracle *o, uint32_t node, const struct core_output *out)
{
	o->counts.slices++;
	if (out->type == CORE_PLACE)
		place(o, node, out);
	else
		take(o, node, out);
}

void oracle_slice_done(struct oracle *o, uint32_t node, uint64_t token)
{
	struct oracle_copying *copying = find_token(o, node, o->nodes[node].epoch, token);
	if (copying == NULL || copying->outstanding == 0)
		return;
	copying->outstanding--;
	oracle_count(copying->src->object, 0, 0, -1);
	if (!copying->local)
		return;
	oracle_count(copying->dst->object, 0, 0, -1);
	copying->placed += copying->slice;
}

void oracle_slices_session_end(struct oracle *o, uint32_t node, uint32_t peer)
{
	struct list *all = &o->nodes[node].copies;
	for (struct list *at = all->next; at != all; at = at->next) {
		struct oracle_copying *copying = BASE_CONTAINER(at, struct oracle_copying, all);
		if (!copying->local && copying->dst->object->node == peer)
			end_outstanding(copying);
	}
}

void oracle_copies_node_end(struct oracle *o, uint32_t node)
{
	struct list *all = &o->nodes[node].copies;
	for (struct list *at = all->next; at != all; at = at->next)
		end_outstanding(BASE_CONTAINER(at, struct oracle_copying, all));
}

/* ------------------------------------------------------------------ the end */

bool oracle_landed(const struct oracle_copying *copying)
{
	return copying->placed == copying->src->length;
}

bool oracle_left(const struct oracle_copying *copying)
{
	return copying->taken == copying->src->length && copying->outstanding == 0;
}

static uint32_t by_object(const struct oracle *o, const struct oracle_thing *thing)
{
	if (oracle_epoch_over(o, thing))
		return ORACLE_MAY(STALE) | ORACLE_MAY(REVOKED);
	return oracle_life(o, thing) != ORACLE_LIVE ? ORACLE_MAY(REVOKED) : 0;
}

uint32_t oracle_copy_may(struct oracle *o, const struct oracle_copying *copying)
{
	uint32_t asker = copying->asker->node, src = copying->src->object->node,
			 dst = copying->dst->object->node;
	uint32_t may = by_object(o, copying->src->object) | by_object(o, copying->dst->object);
	if (oracle_landed(copying))
		may |= ORACLE_MAY(OK);
	if (copying->end <= o->now)
		may |= ORACLE_MAY(TIMED_OUT);
	if (oracle_trouble(o, asker, src, copying->moment) ||
		oracle_trouble(o, asker, dst, copying->moment) ||
		oracle_trouble(o, src, dst, copying->moment) || !copying->asker->alive)
		may |= ORACLE_MAY(PEER_LOST) | ORACLE_MAY(OUTCOME_UNKNOWN) | ORACLE_MAY(STALE);
	if (oracle_refused(o, asker, copying->moment) || oracle_refused(o, src, copying->moment) ||
		oracle_refused(o, dst, copying->moment))
		may |= ORACLE_MAY(QUOTA);
	const struct oracle_value *values[] = {copying->src, copying->dst, copying->next,
										   copying->on_error};
	for (unsigned i = 0; i < BASE_COUNT(values); i++)
		may |= oracle_tracked_may(o, asker, values[i]) | oracle_tracked_may(o, src, values[i]);
	return may;
}

void oracle_copy_told(struct oracle *o, struct oracle_copying *copying)
{
	(void)o;
	copying->reported = true;
}
