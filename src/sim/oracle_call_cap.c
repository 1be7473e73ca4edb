/* What is about one slot alone: cap_close, cap_keep, cap_info, cap_is_same. */
#include "sim/oracle_call.h"

static void cap_close(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	(void)o;
	const struct wire_call_cap_close *wire = (const void *)bytes;
	const struct oracle_process *process = call->process;
	uint32_t index = (uint32_t)(wire->cap & ((1u << HANDLE_INDEX_BITS) - 1));
	call->cap = wire->cap;
	bool known = index < process->cell_room && wire->cap != 0 &&
				 wire->cap <= process->cells[index].cap && wire->cap >> HANDLE_INDEX_BITS != 0;
	/* A core may have given out a name that nobody was told. */
	if (!known)
		call->may = MAY(OK) | MAY(NO_CAP);
}

static void cap_keep(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	(void)o;
	const struct wire_call_cap_keep *wire = (const void *)bytes;
	call->cap = wire->cap;
	if (oracle_slot_value(call->process, wire->cap) == NULL)
		oracle_only(call, FOS_NO_CAP);
}

static void cap_info(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	(void)o;
	const struct wire_call_cap_info *wire = (const void *)bytes;
	call->cap = wire->cap;
	if (oracle_slot_value(call->process, wire->cap) == NULL)
		oracle_only(call, FOS_NO_CAP);
}

static void cap_is_same(struct oracle *o, struct oracle_call *call, const uint8_t *bytes)
{
	(void)o;
	const struct wire_call_cap_is_same *wire = (const void *)bytes;
	const struct oracle_value *a = oracle_slot_value(call->process, wire->a);
	const struct oracle_value *b = oracle_slot_value(call->process, wire->b);
	if (a == NULL || b == NULL)
		oracle_only(call, FOS_NO_CAP);
	else
		call->same = a->object == b->object;
}

static void closed(struct oracle *o, struct oracle_call *call)
{
	oracle_slot_close(o, call->process, call->cap);
}

static void kept(struct oracle *o, struct oracle_call *call)
{
	(void)o;
	oracle_cell(call->process, call->cap)->borrowed = false;
}

void oracle_informed(struct oracle *o, struct oracle_call *call,
					 const struct wire_answer_info *info)
{
	const struct oracle_process *process = call->process;
	const struct oracle_value *value = oracle_slot_value(call->process, call->cap);
	oracle_count_status(o, (fos_status)info->status);
	if (call->uncertain && info->status == FOS_NO_CAP)
		return;
	if (!(call->may >> info->status & 1)) {
		oracle_violate(o, "cap_info of %s ended with %s", oracle_name(process),
					   fos_status_name((fos_status)info->status));
		return;
	}
	if (value == NULL)
		return;
	const struct oracle_thing *thing = value->object;
	enum oracle_life life = oracle_life(o, thing);
	bool memory = value->kind == FOS_MEMORY;
	bool own = thing->process == process;
	uint32_t use =
		thing->node == process->node ? MAY(OK) : oracle_session_to(o, process->node, thing);
	bool reaches = use == MAY(OK) && (thing->node != process->node || !oracle_epoch_over(o, thing));
	bool right = info->kind == value->kind && info->node == thing->node &&
				 info->rights == (memory ? value->rights : 0) &&
				 info->length == (memory ? value->length : 0) &&
				 info->once == (!memory && thing->is_once) && info->reachable == reaches &&
				 (info->tracked == thing->tracked || (thing->tracked && life != ORACLE_LIVE));
	if (info->own)
		right &= own && life != ORACLE_DEAD;
	else
		right &= !own || life != ORACLE_LIVE;
	if (info->own && memory)
		right &=
			info->segment == thing->segment + 1 && info->offset == thing->offset + value->offset;
	if (info->own && !memory && !thing->has_children && thing->parent == NULL)
		right &= info->open_deliveries == thing->open;
	if (info->revocable)
		right &= thing->maker == process;
	if (!right)
		oracle_violate(
			o,
			"cap_info of %s tells what is not so: kind %u node %u rights %u length %llu own "
			"%u once %u reachable %u tracked %u revocable %u open %u",
			oracle_name(process), info->kind, info->node, info->rights,
			(unsigned long long)info->length, info->own, info->once, info->reachable, info->tracked,
			info->revocable, info->open_deliveries);
}

const struct oracle_kind oracle_cap_close = {
	.submit = cap_close,
	.succeed = closed,
};

const struct oracle_kind oracle_cap_keep = {
	.submit = cap_keep,
	.succeed = kept,
};

const struct oracle_kind oracle_cap_info = {
	.submit = cap_info,
};

const struct oracle_kind oracle_cap_is_same = {
	.submit = cap_is_same,
};
