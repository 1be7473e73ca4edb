/* Exceptions: each tells of an invocation that could not go on, by one who can know, for a reason
 * that holds; or it is a ONCE Request's own end. */
#include <stdio.h>

#include "sim/oracle_invoke.h"

/* Bits of the statuses by which a Controller may tell that it could not go on with it. */
static uint32_t explained(struct oracle *o, const struct oracle_made *made)
{
	uint32_t may = 0;
	if (oracle_life(o, made->target) != ORACLE_LIVE)
		may |= oracle_epoch_over(o, made->target) ? ORACLE_MAY(STALE) | ORACLE_MAY(REVOKED)
												  : ORACLE_MAY(REVOKED);
	if (oracle_unreachable(o, made))
		may |= ORACLE_MAY(PEER_LOST) | ORACLE_MAY(OUTCOME_UNKNOWN) | ORACLE_MAY(STALE);
	may |= oracle_passing_may(o, made);
	if (oracle_expired(o, made))
		may |= ORACLE_MAY(BUSY);
	if (oracle_limited(o, made) || oracle_too_large(made->args, made->on_error))
		may |= ORACLE_MAY(QUOTA);
	if (made->after != NULL)
		may |= oracle_copy_may(o, made->after);
	return may & ~ORACLE_MAY(OK);
}

static struct oracle_value *next_error(const struct oracle_value *value)
{
	return value->bundle != NULL ? value->bundle->on_error : NULL;
}

static bool tells_through(const struct oracle_arrival *arrival, const struct oracle_made *made)
{
	return oracle_arrival_is_for(arrival, made->on_error->object) &&
		   (made->trace == 0 || made->trace == arrival->record->trace) &&
		   oracle_arrival_shows(arrival, made->on_error->bundle) &&
		   oracle_hash_of(next_error(made->on_error)) == arrival->view.on_error;
}

/* Whether it may be told of by this exception header, if it was not before. */
static bool may_tell(struct oracle *o, const struct oracle_made *made, uint32_t status,
					 uint32_t node, uint32_t process)
{
	if (made->kind == ORACLE_FAILED)
		return status == made->status && node == made->told_node && process == made->told_process;
	if (process != 0 || status >= FOS_STATUS_COUNT)
		return false;
	bool not_run = made->kind == ORACLE_PLAIN && status != FOS_OUTCOME_UNKNOWN;
	if (not_run && made->delivered)
		return false;
	return explained(o, made) >> status & 1;
}

/* sole: no other can be meant. */
static void tell_of(struct oracle *o, const struct oracle_arrival *arrival,
					struct oracle_made *made, bool sole)
{
	made->told_count++;
	made->last.status = arrival->exception->status;
	made->last.node = arrival->exception->node;
	made->last.process = arrival->exception->process;
	if (sole && made->kind == ORACLE_PLAIN && arrival->exception->status != FOS_OUTCOME_UNKNOWN)
		oracle_retire(o, made);
	if (made->after != NULL)
		oracle_copy_told(o, made->after);
	struct oracle_value *value = oracle_hold(made->on_error);
	oracle_check_alive(o, value->object);
	oracle_consume(o, value->object);
	if (!o->violated)
		oracle_arrival_open(o, arrival, value->object, value->bundle, next_error(value));
	oracle_release(o, value);
}

/* What an earlier exception was thought to tell of may have been another one's. */
static struct oracle_made *instead(struct oracle *o, const struct oracle_arrival *arrival,
								   struct list *bucket, const struct oracle_made *told)
{
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct oracle_made *other = BASE_CONTAINER(at, struct oracle_made, told);
		if (other != told && other->told_hash == told->told_hash &&
			other->told_count < oracle_most_told(other) && tells_through(arrival, other) &&
			may_tell(o, other, told->last.status, told->last.node, told->last.process))
			return other;
	}
	return NULL;
}

/* Whether its header names who tells, a Controller or (by) a Process, and says what it must. */
static bool says(const struct oracle *o, const struct oracle_arrival *arrival,
				 const struct oracle_process *by, uint64_t detail)
{
	const struct wire_exception *head = arrival->exception;
	const struct oracle_node *node = &o->nodes[head->node % ORACLE_NODES];
	char where[sizeof head->where] = "";
	if (by != NULL) {
		fos_principal principal;
		memcpy(&principal, by->principal, sizeof principal);
		snprintf(where, sizeof where, "%s/%s", node->name, principal.label);
	} else {
		snprintf(where, sizeof where, "%s", node->name);
	}
	return memcmp(where, head->where, strlen(where) + 1) == 0 &&
		   oracle_text_hash(head + 1, head->detail_len) == detail;
}

static uint64_t words_of(uint32_t status)
{
	const char *text = fos_status_text((fos_status)status);
	return oracle_text_hash(text, strlen(text));
}

/* The first that names a node says what it is called. */
static void learn_name(struct oracle *o, const struct wire_exception *head)
{
	char *name = o->nodes[head->node % ORACLE_NODES].name;
	size_t length = strcspn(head->where, "/");
	if (name[0] == 0 && length < sizeof o->nodes[0].name)
		memcpy(name, head->where, length);
}

static bool is_meant(struct oracle *o, const struct oracle_arrival *arrival,
					 const struct oracle_made *made, uint64_t hash)
{
	const struct wire_exception *head = arrival->exception;
	bool failed = made->kind == ORACLE_FAILED;
	return made->told_hash == hash && tells_through(arrival, made) &&
		   oracle_notice_fits(o, made, arrival->record->time_left) &&
		   may_tell(o, made, head->status, head->node, head->process) &&
		   says(o, arrival, failed ? made->source : NULL,
				failed ? made->detail : words_of(head->status));
}

/* Of several that share trace and on_error any may be meant: all are waited for, none must come. */
static bool is_sole(struct oracle *o, const struct oracle_arrival *arrival, uint64_t hash)
{
	struct list *bucket = oracle_bucket(o->told, hash);
	struct oracle_made *first = NULL;
	bool sole = true;
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct oracle_made *made = BASE_CONTAINER(at, struct oracle_made, told);
		if (!is_meant(o, arrival, made, hash))
			continue;
		sole &= first == NULL;
		made->perhaps |= !sole;
		if (first == NULL)
			first = made;
		else
			first->perhaps = true;
	}
	return sole;
}

/* dead: also through what is dead, to say so. */
static bool tell(struct oracle *o, const struct oracle_arrival *arrival, uint64_t trace, bool dead)
{
	uint64_t hash =
		oracle_told_hash(arrival->process, arrival->channel, arrival->record->header.cookie, trace);
	struct list *bucket = oracle_bucket(o->told, hash);
	bool sole = is_sole(o, arrival, hash);
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		struct oracle_made *made = BASE_CONTAINER(at, struct oracle_made, told);
		if (!is_meant(o, arrival, made, hash) ||
			(!dead && oracle_life(o, made->on_error->object) == ORACLE_DEAD))
			continue;
		if (made->told_count >= oracle_most_told(made)) {
			struct oracle_made *other = instead(o, arrival, bucket, made);
			if (other == NULL)
				continue;
			other->told_count++;
			other->last = made->last;
			made->told_count--;
		}
		tell_of(o, arrival, made, sole);
		return true;
	}
	return false;
}

/* A ONCE Request's own end: its deadline, or an arrival that did not fit, there or at a child. */
static bool end_once(struct oracle *o, const struct oracle_arrival *arrival)
{
	const struct wire_exception *head = arrival->exception;
	const struct oracle_process *process = arrival->process;
	const struct core_view_ref *ref = &arrival->view.object;
	struct oracle_thing *thing =
		arrival->seen ? oracle_thing_find(o, ref->node, ref->epoch, ref->index, ref->serial) : NULL;
	if (head->node != o->node || arrival->imm_bytes > 0 ||
		arrival->record->time_left != o->config.core.default_time ||
		arrival->record->cap_count > 0 || thing == NULL || !thing->is_once ||
		!oracle_arrival_is_for(arrival, thing) || oracle_life(o, thing) == ORACLE_DEAD)
		return false;
	const struct oracle_thing *base = oracle_base(thing);
	bool timed_out = head->status == FOS_TIMED_OUT && head->process == 0 && thing == base &&
					 base->deadline <= o->now;
	bool fits = !base->large && oracle_fits(o, process, FOS_CAPS_MAX, ONCE_BYTES) &&
				!oracle_refused(o, process->node, o->moment);
	bool quota =
		head->status == FOS_QUOTA && head->process == process->serial && base->aimed && !fits;
	if ((!timed_out && !quota) || !says(o, arrival, quota ? process : NULL, words_of(head->status)))
		return false;
	oracle_consume(o, thing);
	if (!o->violated)
		oracle_arrival_open(o, arrival, thing, NULL, NULL);
	return true;
}

void oracle_exception_delivered(struct oracle *o, const struct oracle_arrival *arrival)
{
	const struct wire_exception *head = arrival->exception;
	if (memchr(head->where, 0, sizeof head->where) == NULL) {
		oracle_violate(o, "an exception of a place without an end");
		return;
	}
	learn_name(o, head);
	if (head->status == FOS_OK || head->status >= FOS_STATUS_COUNT) {
		oracle_violate(o, "an exception of status %u", head->status);
		return;
	}
	o->counts.exceptions++;
	o->counts.exceptions_of[head->status]++;
	uint64_t trace = arrival->record->trace;
	if (end_once(o, arrival) || tell(o, arrival, trace, false) || tell(o, arrival, 0, false) ||
		tell(o, arrival, trace, true) || tell(o, arrival, 0, true))
		return;
	oracle_violate(o,
				   "an exception %s of node %u, process %u for %s, handler %llu, trace %llu, that "
				   "nothing explains",
				   fos_status_name((fos_status)head->status), head->node, head->process,
				   oracle_name(arrival->process),
				   (unsigned long long)arrival->record->header.cookie,
				   (unsigned long long)arrival->record->trace);
}
