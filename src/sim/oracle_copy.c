/* Copies: which bytes a core may read and write, and when.
 *
 * A slice shows the arena's bytes it is about; it must continue a copy that was asked for, through
 * capabilities that live. Alike copies are one as good as the other: what one was thought to have
 * done may turn out to have been done by its twin. */
#include "sim/oracle_internal.h"

static uint64_t token_hash(uint32_t node, uint64_t epoch, uint64_t token)
{
	return base_mix64(token ^ base_mix64(epoch ^ node));
}

static uint64_t start_of(const struct oracle_value *value)
{
	return value->object->offset + value->offset;
}

static bool twins(const struct oracle_copying *a, const struct oracle_copying *b)
{
	return a->src->object->process == b->src->object->process &&
		   a->dst->object->process == b->dst->object->process &&
		   start_of(a->src) == start_of(b->src) && start_of(a->dst) == start_of(b->dst) &&
		   a->src->length == b->src->length && (a->local || b->local || a->trace == b->trace);
}

static bool has_landed(const struct oracle_copying *copying)
{
	return copying->placed == copying->src->length;
}

void oracle_copy_start(struct oracle *o, struct oracle_copying *copying)
{
	list_init(&copying->all);
	list_init(&copying->of_token);
	struct list *all = &o->nodes[copying->src->object->node].copies;
	for (struct list *at = all->next; at != all; at = at->next) {
		const struct oracle_copying *other = BASE_CONTAINER(at, struct oracle_copying, all);
		o->unsure |= !has_landed(other) && twins(copying, other);
	}
	list_push(all, &copying->all);
	copying->asker->copies++;
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
static bool over(const struct oracle *o, const struct oracle_copying *copying)
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

/* Of copies that look alike, one that may begin is meant. */
static unsigned unlikely(const struct oracle *o, const struct oracle_copying *copying)
{
	bool dead = oracle_life(o, copying->src->object) == ORACLE_DEAD ||
				oracle_life(o, copying->dst->object) == ORACLE_DEAD;
	return (dead ? 2u : 0u) + (copying->reported ? 1u : 0u);
}

/* Inside one node a copy begins in the step of its call, or when that comes from afar. */
static bool is_asked_now(const struct oracle *o, const struct oracle_copying *copying)
{
	const struct wire_message_copy *message = (const void *)o->event->bytes;
	if (o->event->type != CORE_MESSAGE)
		return o->current != NULL && copying == o->current->copying;
	return message->header.type == WIRE_MESSAGE_TYPE_COPY &&
		   copying->asker->node == o->event->node &&
		   (copying->trace == 0 || copying->trace == message->trace);
}

/* The copy that a first slice begins. */
static struct oracle_copying *begin(struct oracle *o, uint32_t node, const struct core_output *out)
{
	bool local = out->type == CORE_MOVE;
	struct list *all = &o->nodes[node].copies;
	struct oracle_copying *best = NULL;
	for (struct list *at = all->next; at != all; at = at->next) {
		struct oracle_copying *copying = BASE_CONTAINER(at, struct oracle_copying, all);
		bool fits = local ? copying->dst->object->node == node && is_at(&out->to, copying->dst, 0)
						  : goes_to(out, copying);
		if (copying->token != 0 || !is_at(&out->from, copying->src, 0) || !fits ||
			(local && !is_asked_now(o, copying)))
			continue;
		if (best == NULL || unlikely(o, copying) < unlikely(o, best))
			best = copying;
	}
	if (best == NULL)
		return NULL;
	best->token = out->token;
	best->token_node = node;
	best->token_epoch = o->nodes[node].epoch;
	best->local = local;
	list_push(oracle_bucket(o->tokens, token_hash(node, best->token_epoch, out->token)),
			  &best->of_token);
	return best;
}

static void relink(struct oracle *o, struct oracle_copying *copying)
{
	list_remove(&copying->of_token);
	if (copying->token != 0)
		list_push(oracle_bucket(o->tokens, token_hash(copying->token_node, copying->token_epoch,
													  copying->token)),
				  &copying->of_token);
}

static void swap(struct oracle *o, struct oracle_copying *a, struct oracle_copying *b)
{
#define SWAP(type, field)     \
	do {                      \
		type kept = a->field; \
		a->field = b->field;  \
		b->field = kept;      \
	} while (0)
	count_slices(a, -1);
	count_slices(b, -1);
	SWAP(uint64_t, token);
	SWAP(uint32_t, token_node);
	SWAP(uint64_t, token_epoch);
	SWAP(uint64_t, taken);
	SWAP(uint64_t, placed);
	SWAP(uint64_t, slice);
	SWAP(uint32_t, outstanding);
	SWAP(bool, local);
#undef SWAP
	count_slices(a, 1);
	count_slices(b, 1);
	relink(o, a);
	relink(o, b);
}

static bool is_dead(const struct oracle *o, const struct oracle_copying *copying)
{
	return oracle_life(o, copying->src->object) == ORACLE_DEAD ||
		   oracle_life(o, copying->dst->object) == ORACLE_DEAD;
}

/* It goes on through what is dead: if there is one like it that lives, it was that all the time. */
static struct oracle_copying *living_one(struct oracle *o, struct oracle_copying *copying)
{
	struct list *all = &o->nodes[copying->src->object->node].copies;
	for (struct list *at = all->next; at != all && is_dead(o, copying); at = at->next) {
		struct oracle_copying *other = BASE_CONTAINER(at, struct oracle_copying, all);
		if (other == copying || other->succeeded || !twins(copying, other) || is_dead(o, other))
			continue;
		swap(o, copying, other);
		return other;
	}
	return copying;
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
	copying = living_one(o, copying);
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
	copying = living_one(o, copying);
	check_memory(o, copying->dst->object, "writes");
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

/* Whether it, or a twin in its place, is as far as `far` says. */
static bool reached(struct oracle *o, struct oracle_copying *copying,
					bool (*far)(const struct oracle_copying *))
{
	if (far(copying))
		return true;
	struct list *all = &o->nodes[copying->src->object->node].copies;
	for (struct list *at = all->next; at != all; at = at->next) {
		struct oracle_copying *other = BASE_CONTAINER(at, struct oracle_copying, all);
		if (other == copying || other->succeeded || !twins(copying, other) || !far(other))
			continue;
		swap(o, copying, other);
		return true;
	}
	return false;
}

static bool has_left(const struct oracle_copying *copying)
{
	return copying->taken == copying->src->length && copying->outstanding == 0;
}

bool oracle_landed(struct oracle *o, struct oracle_copying *copying)
{
	return reached(o, copying, has_landed);
}

bool oracle_left(struct oracle *o, struct oracle_copying *copying)
{
	return reached(o, copying, has_left);
}

static uint32_t by_object(const struct oracle *o, const struct oracle_thing *thing)
{
	if (oracle_epoch_over(o, thing))
		return ORACLE_MAY(STALE) | ORACLE_MAY(REVOKED);
	return oracle_life(o, thing) != ORACLE_LIVE ? ORACLE_MAY(REVOKED) : 0;
}

uint32_t oracle_copy_may(const struct oracle *o, const struct oracle_copying *copying)
{
	uint32_t asker = copying->asker->node, src = copying->src->object->node,
			 dst = copying->dst->object->node;
	uint32_t may = by_object(o, copying->src->object) | by_object(o, copying->dst->object);
	if (has_landed(copying))
		may |= ORACLE_MAY(OK);
	if (copying->end <= o->now)
		may |= ORACLE_MAY(TIMED_OUT);
	if (oracle_trouble(o, asker, src, copying->moment) ||
		oracle_trouble(o, asker, dst, copying->moment) ||
		oracle_trouble(o, src, dst, copying->moment) || !copying->asker->alive)
		may |= ORACLE_MAY(PEER_LOST) | ORACLE_MAY(OUTCOME_UNKNOWN) | ORACLE_MAY(STALE);
	if (oracle_pressed(o, asker) || oracle_pressed(o, src) || oracle_pressed(o, dst))
		may |= ORACLE_MAY(QUOTA);
	if (copying->src->tracked || copying->dst->tracked || copying->tracked)
		may |= oracle_tracked_may(o, asker) | oracle_tracked_may(o, src);
	return may;
}

void oracle_copy_told(struct oracle *o, struct oracle_copying *copying)
{
	(void)o;
	copying->reported = true;
}
