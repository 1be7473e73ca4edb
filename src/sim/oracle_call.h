/* What the files of the calls share. oracle_call.c has what is the same for all calls; each of the
 * others has one family of them.
 *
 *     submitted ---- submit() ----> has one outcome: completed in the same step
 *                        '--------> waits --- now() ---> completed: succeed() or refused()
 *     and then, or with its channel or Process: end() */
#ifndef FRACTOS_SIM_ORACLE_CALL_H
#define FRACTOS_SIM_ORACLE_CALL_H

#include "core/inspect.h"
#include "sim/oracle_internal.h"

#define MAY ORACLE_MAY

struct oracle_kind { /* of a call; what is NULL is not needed */
	/* Says what it may end with, whether it waits, and what it changes at once. */
	void (*submit)(struct oracle *o, struct oracle_call *call, const uint8_t *bytes);
	/* Bits of what is allowed by now, of one that waits. NULL: what was allowed at first. */
	uint32_t (*now)(struct oracle *o, struct oracle_call *call, fos_status status);
	/* What its core chose for the new slot: a name, an object. */
	void (*learn)(struct oracle *o, struct oracle_call *call, const struct core_view_slot *seen);
	void (*succeed)(struct oracle *o, struct oracle_call *call);
	void (*refused)(struct oracle *o, struct oracle_call *call, fos_status status);
	void (*end)(struct oracle *o, struct oracle_call *call);
	bool gives_slot;
};
extern const struct oracle_kind oracle_memory_create, oracle_memory_diminish, oracle_memory_copy,
	oracle_request_create, oracle_request_refine, oracle_request_invoke, oracle_continue,
	oracle_fail, oracle_finish, oracle_cap_close, oracle_cap_keep, oracle_cap_info,
	oracle_cap_is_same, oracle_cap_revoke, oracle_cap_revtree, oracle_registry_get,
	oracle_registry_set, oracle_monitor_receive, oracle_monitor_delegate;

/* Two have answers of their own. */
void oracle_informed(struct oracle *o, struct oracle_call *call,
					 const struct wire_answer_info *info);
void oracle_monitored(struct oracle *o, struct oracle_call *call,
					  const struct wire_answer_monitored *answer);
void oracle_count_status(struct oracle *o, fos_status status);
/* Whether some limit may be what refused it. */
bool oracle_quota_explained(struct oracle *o, const struct oracle_call *call);

static inline uint64_t oracle_end_of(const struct oracle *o, uint64_t time)
{
	return time > UINT64_MAX - o->now ? UINT64_MAX : o->now + time;
}
static inline void oracle_only(struct oracle_call *call, fos_status status)
{
	call->may = 1u << status;
}
static inline struct oracle_value *oracle_slot_value(struct oracle_process *process, uint64_t cap)
{
	struct oracle_cell *cell = oracle_cell(process, cap);
	return cell != NULL ? cell->value : NULL;
}

#endif
