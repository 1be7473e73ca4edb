/* What the files about invocations share:
 *
 *     oracle_invoke.c     their records: made, waiting, told of, forgotten
 *     oracle_wait.c       what one waits for, and whether it had to
 *     oracle_excuse.c     what explains that nothing more is heard of one
 *     oracle_told.c       what must be told
 *     oracle_deliver.c    a delivery: which invocation it is, and whether it may be
 *     oracle_exception.c  an exception: of which invocation it tells, and whether it is so */
#ifndef FRACTOS_SIM_ORACLE_INVOKE_H
#define FRACTOS_SIM_ORACLE_INVOKE_H

#include "core/inspect.h"
#include "sim/oracle_internal.h"

/* ------------------------------------------------------------------ what a delivery shows */

static inline uint64_t oracle_provider_hash(const struct oracle_process *process, uint32_t channel,
											uint64_t handler)
{
	return base_mix64((uintptr_t)process ^ base_mix64(handler ^ base_mix64(channel)));
}

static inline uint64_t oracle_shown_hash(uint64_t provider, uint64_t trace, uint64_t imm_hash,
										 uint32_t imm_bytes, uint64_t cap_hash, uint32_t cap_count)
{
	return base_mix64(base_mix64(provider ^ base_mix64(trace)) + imm_hash +
					  base_mix64(cap_hash + ((uint64_t)imm_bytes << 8 | cap_count)));
}

static inline uint64_t oracle_told_hash(const struct oracle_process *process, uint32_t channel,
										uint64_t handler, uint64_t trace)
{
	return base_mix64(oracle_provider_hash(process, channel, handler) + base_mix64(trace));
}

static inline uint64_t oracle_hash_of(const struct oracle_value *value)
{
	return value != NULL ? value->hash : 0;
}

struct oracle_arrival {
	const struct wire_answer_delivery *record;
	const struct wire_range *ranges;
	const struct wire_delivered *caps;
	const struct wire_exception *exception;
	uint64_t imm_hash, cap_hash;
	uint32_t imm_bytes;
	struct oracle_process *process;
	uint32_t channel;
	bool seen; /* its record in the core, which must be so */
	struct core_view_delivery view;
};

bool oracle_arrival_shows(const struct oracle_arrival *arrival, const struct oracle_bundle *args);
/* Whether it is one of this object. */
bool oracle_arrival_is_for(const struct oracle_arrival *arrival, const struct oracle_thing *thing);
struct oracle_open *oracle_arrival_open(struct oracle *o, const struct oracle_arrival *arrival,
										struct oracle_thing *target,
										const struct oracle_bundle *args,
										struct oracle_value *on_error);
void oracle_exception_delivered(struct oracle *o, const struct oracle_arrival *arrival);

/* ------------------------------------------------------------------ invocations */

/* What it is or descends from. */
static inline struct oracle_thing *oracle_base(struct oracle_thing *thing)
{
	while (thing->parent != NULL)
		thing = thing->parent;
	return thing;
}
/* It waits no more; it may still be told of. */
void oracle_retire(struct oracle *o, struct oracle_made *made);
void oracle_wait_begin(struct oracle *o, struct oracle_made *made);
void oracle_wait_end(struct oracle *o, struct oracle_made *made);
/* Its time is over, and that it waited so long is explained. */
bool oracle_expired(const struct oracle *o, const struct oracle_made *made);
bool oracle_unreachable(struct oracle *o, const struct oracle_made *made);
bool oracle_limited(const struct oracle *o, const struct oracle_made *made);
/* Bits of what a tracked child in it may be refused with by those who had to send it on. */
uint32_t oracle_passing_may(struct oracle *o, const struct oracle_made *made);
/* How many exceptions may tell of it. */
uint32_t oracle_most_told(const struct oracle_made *made);
/* A delivery through it must be possible; it uses up a ONCE Request. */
void oracle_check_alive(struct oracle *o, const struct oracle_thing *target);
void oracle_consume(struct oracle *o, struct oracle_thing *thing);

#endif
