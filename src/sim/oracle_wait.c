/* What an invocation waits for: a place at its provider, or a credit of its session. It waits to
 * the end of its time only where there was neither until shortly before: then it is told BUSY. */
#include "sim/oracle_invoke.h"

/* An exception waits no longer than the default time; those of invocations begin when these end. */
struct oracle_notices oracle_notices(const struct oracle *o, const struct oracle_process *process)
{
	struct oracle_notices notices = {0};
	for (const struct list *at = process->told.next; at != &process->told; at = at->next) {
		const struct oracle_made *made = BASE_CONTAINER(at, struct oracle_made, of_source);
		bool failed = made->kind == ORACLE_FAILED;
		uint64_t begun = failed ? made->time : BASE_MAX(made->end, made->time);
		if (made->delivered || begun + o->config.core.default_time < o->now)
			continue;
		notices.count++;
		notices.finishing += failed;
		notices.weight += made->on_error->weight;
	}
	return notices;
}

static uint32_t sender_of(const struct oracle_made *made)
{
	return made->way[made->way_count - 2];
}

/* ------------------------------------------------------------------ places and credits */

/* A place is kept for each that waits at another node; others: without one of them. */
static bool is_full(const struct oracle *o, const struct oracle_process *process, uint32_t channel,
					bool others)
{
	uint32_t aimed = process->channel_aimed[channel] - others;
	return process->channel_open[channel] + aimed >= o->config.core.limits.deliveries;
}

/* One Process's room for finishes is for all of its channels. */
static bool is_short(const struct oracle *o, const struct oracle_process *process, bool others)
{
	uint32_t parked = o->config.core.limits.parked;
	uint32_t used = process->deliveries + process->waiting + process->aimed - others;
	return used + process->told_count >= parked &&
		   used + oracle_notices(o, process).finishing >= parked;
}

void oracle_note_full(struct oracle *o, struct oracle_process *process, uint32_t channel)
{
	if (is_full(o, process, channel, false))
		process->channel_full[channel] = o->now;
	if (is_short(o, process, false))
		process->finish_full = o->now;
}

/* Credits come back with half of them used, or with a heartbeat. */
static void note_flow(struct oracle *o, uint32_t from, uint32_t to)
{
	struct oracle_flow *flow = &o->flows[from][to];
	if (flow->since + 2 * o->config.core.heartbeat < o->now) {
		flow->since = o->now;
		flow->count = 0;
	}
	if (++flow->count >= wire_class_credits(WIRE_CLASS_INVOKE) / 4)
		flow->crowded = o->now;
}

static void take_aim(struct oracle *o, struct oracle_made *made)
{
	struct oracle_process *provider = made->target->process;
	uint32_t from = made->source_node, channel = made->target->channel;
	if (from == made->target->node)
		return;
	oracle_note_full(o, provider, channel);
	note_flow(o, from, made->target->node);
	made->aimed = true;
	provider->aimed++;
	provider->channel_aimed[channel]++;
}

static void end_aim(struct oracle *o, struct oracle_made *made)
{
	struct oracle_process *provider = made->target->process;
	if (!made->aimed)
		return;
	made->aimed = false;
	provider->aimed--;
	provider->channel_aimed[made->target->channel]--;
	note_flow(o, sender_of(made), made->target->node);
}

/* Whether a link of the owner's node was slow: a place may be kept for what is on its way there, an
 * exception of whichever chain, too. */
static bool was_slow(const struct oracle *o, const struct oracle_made *made)
{
	uint32_t to = made->target->node;
	if (o->nodes[to].disturbed >= made->time)
		return true;
	for (uint32_t from = 0; from < ORACLE_NODES; from++) {
		bool slow = o->disturbed[from][to] >= made->time || o->disturbed[to][from] >= made->time ||
					o->nodes[from].disturbed >= made->time ||
					oracle_trouble(o, from, to, made->moment);
		if (from != to && o->nodes[from].epoch != 0 && slow)
			return true;
	}
	return false;
}

static bool has_no_room(const struct oracle *o, const struct oracle_made *made)
{
	const struct oracle_process *provider = made->target->process;
	const struct oracle_flow *flow = &o->flows[sender_of(made)][made->target->node];
	uint32_t channel = made->target->channel;
	uint64_t lately = made->judged - BASE_MIN(made->judged, 4 * o->config.core.heartbeat);
	return (provider->channel_full[channel] >= lately && provider->channel_full[channel] != 0) ||
		   (provider->finish_full >= lately && provider->finish_full != 0) ||
		   is_full(o, provider, channel, made->aimed) || is_short(o, provider, made->aimed) ||
		   (flow->crowded >= lately && flow->crowded != 0) || was_slow(o, made);
}

/* ------------------------------------------------------------------ whose time ends next */

static void put(struct oracle *o, uint32_t at, struct oracle_made *made)
{
	o->ending[at] = made;
	made->turn = at;
}

static void sift_up(struct oracle *o, uint32_t at, struct oracle_made *made)
{
	for (; at > 1 && made->judged < o->ending[at / 2]->judged; at /= 2)
		put(o, at, o->ending[at / 2]);
	put(o, at, made);
}

static void sift_down(struct oracle *o, uint32_t at, struct oracle_made *made)
{
	for (;;) {
		uint32_t next = 2 * at;
		if (next < o->ending_count && o->ending[next + 1]->judged < o->ending[next]->judged)
			next++;
		if (next > o->ending_count || o->ending[next]->judged >= made->judged)
			break;
		put(o, at, o->ending[next]);
		at = next;
	}
	put(o, at, made);
}

/* It may have been on its way when its time ended, and found no place then. */
static void begin_time(struct oracle *o, struct oracle_made *made)
{
	uint64_t way = 2 * o->config.core.heartbeat, end = BASE_MAX(made->end, made->time);
	made->judged = end > UINT64_MAX - way ? UINT64_MAX : end + way;
	if (o->ending_count + 2 > o->ending_room) {
		uint32_t room = o->ending_room ? 2 * o->ending_room : 256;
		struct oracle_made **bigger = oracle_alloc(o, room * sizeof *bigger);
		if (o->ending != NULL) {
			memcpy(bigger, o->ending, o->ending_room * sizeof *bigger);
			oracle_free(o, o->ending, o->ending_room * sizeof *bigger);
		}
		o->ending = bigger;
		o->ending_room = room;
	}
	sift_up(o, ++o->ending_count, made);
}

static void end_time(struct oracle *o, struct oracle_made *made)
{
	uint32_t at = made->turn;
	if (at == 0)
		return;
	made->turn = 0;
	struct oracle_made *last = o->ending[o->ending_count--];
	if (last == made)
		return;
	if (at > 1 && last->judged < o->ending[at / 2]->judged)
		sift_up(o, at, last);
	else
		sift_down(o, at, last);
}

void oracle_expire(struct oracle *o)
{
	while (o->ending_count > 0 && o->ending[1]->judged <= o->now) {
		struct oracle_made *made = o->ending[1];
		made->no_room = has_no_room(o, made);
		end_time(o, made);
		end_aim(o, made);
	}
}

void oracle_wait_begin(struct oracle *o, struct oracle_made *made)
{
	take_aim(o, made);
	begin_time(o, made);
}

void oracle_wait_end(struct oracle *o, struct oracle_made *made)
{
	if (made->turn != 0 && !made->delivered)
		made->no_room = has_no_room(o, made);
	end_time(o, made);
	end_aim(o, made);
}

bool oracle_expired(const struct oracle *o, const struct oracle_made *made)
{
	return made->end <= o->now && (made->no_room || (made->turn != 0 && has_no_room(o, made)));
}
