/* Time: how much of it a delivery says is left.
 *
 * An invocation's time ends at a moment that its call sets: after the time given, else with the
 * delivery from which it inherits, else after the default time. Waiting anywhere uses it up. A
 * message carries what is left as it sets out, and the receiver counts from when it came: the way
 * itself costs nothing, so that at the receiver the end lies later by the message's delay.
 *
 *     came by                                     its end at the owner
 *     no message                                  the moment set
 *     a message of which the sending is known     later by its delay
 *     others                                      later by no more than all that has passed
 *
 * A continuation of a copy goes with the copy to its source, with the bytes to the destination, and
 * from there to its owner. An exception has the default time of its own, from when its sender knew:
 * of a delivery that failed the oracle knows when, of what a Controller found out only since when
 * it can have been. */
#include "sim/oracle_invoke.h"

static uint64_t later(uint64_t moment, uint64_t time)
{
	return time > UINT64_MAX - moment ? UINT64_MAX : moment + time;
}

static uint64_t left_of(uint64_t end, uint64_t moment)
{
	return end > moment ? end - moment : 0;
}

struct ends { /* all that it can be, here */
	uint64_t first, last;
};

/* begun: nothing set out before. */
static struct ends ends_from(const struct oracle *o, uint32_t node, uint64_t end, uint64_t begun)
{
	if (node == o->node)
		return (struct ends){end, end};
	if (o->event->type != CORE_MESSAGE || o->event->node != node || o->sent == UINT64_MAX)
		return (struct ends){end, later(o->now, left_of(end, begun))};
	uint64_t here = later(o->now, left_of(end, o->sent));
	return (struct ends){here, here};
}

static struct ends ends_of(const struct oracle *o, const struct oracle_made *made)
{
	const struct oracle_copying *copying = made->after;
	uint32_t node = made->source_node;
	if (made->kind == ORACLE_FAILED)
		return ends_from(o, node, later(made->begun, o->config.core.default_time), made->begun);
	if (made->kind == ORACLE_PLAIN)
		return ends_from(o, node, made->end, made->begun);
	if (copying != NULL && copying->landing_end != 0)
		return ends_from(o, copying->dst->object->node, copying->landing_end, made->begun);
	if (made->way[1] == node && made->way[2] == node)
		return ends_from(o, node, made->end, made->begun);
	return (struct ends){made->end, later(o->now, left_of(made->end, made->begun))};
}

bool oracle_time_fits(const struct oracle *o, const struct oracle_made *made, uint64_t left)
{
	struct ends ends = ends_of(o, made);
	return left >= left_of(ends.first, o->now) && left <= left_of(ends.last, o->now);
}

bool oracle_notice_fits(const struct oracle *o, const struct oracle_made *made, uint64_t left)
{
	uint64_t most = o->config.core.default_time;
	if (made->kind == ORACLE_FAILED)
		return oracle_time_fits(o, made, left);
	return left >= left_of(later(made->begun, most), o->now) && left <= most;
}

/* The asker's own copies have the end that the call set; what others ask for came by a message. */
void oracle_time_leaves(struct oracle *o, const struct oracle_copying *copying, uint64_t left)
{
	bool own = copying->asker->node == o->node;
	uint64_t least = left_of(copying->end, o->now);
	uint64_t most = own ? least : left_of(copying->end, copying->time);
	if (left < least || left > most)
		oracle_violate(o, "a copy of %s has %llu ns left, not %llu to %llu",
					   oracle_name(copying->asker), (unsigned long long)left,
					   (unsigned long long)least, (unsigned long long)most);
}

void oracle_time_lands(struct oracle *o, struct oracle_copying *copying, uint64_t left)
{
	copying->landing_end = later(o->now, left);
}
