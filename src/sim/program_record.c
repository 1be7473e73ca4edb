/* The records that come to a program: what they give it, and what can be said of them at once. */
#include <string.h>

#include "sim/program.h"

static void finished(struct world *world, struct process *process, uint64_t id)
{
	for (uint32_t i = 0; i < process->open_count; i++) {
		struct opened *open = &process->open[i];
		if (open->id != id)
			continue;
		ledger_finished(world, open->handler);
		for (uint32_t c = 0; c < open->cap_count; c++) {
			struct name *name = program_find_name(process, open->caps[c]);
			if (name != NULL && name->borrowed)
				program_forget(process, open->caps[c]);
		}
		*open = process->open[--process->open_count];
		return;
	}
}

static void completion(struct world *world, struct process *process, const uint8_t *bytes)
{
	const struct wire_answer_completion *record = (const void *)bytes;
	fos_status status = (fos_status)record->status;
	const struct told *told =
		ledger_completed(world, process, record->header.cookie, status, record->cap);
	if (status != FOS_OK && record->cap != 0)
		sim_violation(world, "a refused call gave a capability");
	if (status == FOS_OK && told->has_name) {
		struct name name = told->name;
		name.cap = record->cap;
		if (name.cap == 0)
			sim_violation(world, "a %s was OK without a capability", wire_call_name(told->type));
		program_learn(process, &name);
	}
	if (told->delivery != 0 && (status == FOS_OK || told->fail_if_refused))
		finished(world, process, told->delivery);
	if (told->type == WIRE_CALL_TYPE_CAP_KEEP && status == FOS_OK) {
		struct name *name = program_find_name(process, told->cap);
		if (name != NULL)
			name->borrowed = false;
	}
}

static void info(struct world *world, struct process *process, const uint8_t *bytes)
{
	const struct wire_answer_info *record = (const void *)bytes;
	fos_status status = (fos_status)record->status;
	const struct told *told = ledger_completed(world, process, record->header.cookie, status, 0);
	const struct name *name = &told->name;
	if (status != FOS_OK || name->kind == 0)
		return;
	if (record->kind != name->kind ||
		(name->kind == FOS_MEMORY &&
		 (record->rights != name->rights || record->length != name->length)))
		sim_violation(world, "a capability became another: kind %u, rights %u, length %llu",
					  record->kind, record->rights, (unsigned long long)record->length);
}

static uint32_t tag_of(const struct wire_answer_delivery *record, const uint8_t *imm)
{
	const struct wire_range *range = (const void *)(record + 1);
	uint32_t number = 0;
	for (uint32_t i = 0; i < record->range_count; i++) {
		if (range[i].offset == PROGRAM_TAG_OFFSET && range[i].length == sizeof number)
			memcpy(&number, imm, sizeof number);
		imm += range[i].length;
	}
	return number;
}

static bool memory_ended(const struct world *world)
{
	for (uint32_t i = 0; i < world->node_count; i++)
		if (world->nodes[i].core != NULL && core_inspect_refusals(world->nodes[i].core) > 0)
			return true;
	return false;
}

/* What a delivery says of a capability is what its slot holds. */
static void check_slot(struct world *world, struct process *process,
					   const struct wire_delivered *delivered)
{
	struct core_view_slot slot;
	if (!core_inspect_slot(process->node->core, process->serial, delivered->cap, &slot)) {
		/* A tracked child is dropped where it arrives if its owner is out of reach, also while the
		 * end of the session with it is still to come, or had no memory to register the holder. */
		if (world->losses > 0 || world->reasons > 0 || !network_quiet(world) || memory_ended(world))
			return;
		sim_violation(world, "a delivery names a slot that its Process does not have");
	}
	if (slot.kind != delivered->kind || slot.rights != delivered->rights ||
		slot.length != delivered->length)
		sim_violation(world, "a delivery describes a slot otherwise than it is");
}

static void delivery(struct world *world, struct process *process, uint32_t channel,
					 const uint8_t *bytes)
{
	const struct wire_answer_delivery *record = (const void *)bytes;
	const uint8_t *at = (const uint8_t *)(record + 1);
	at += record->range_count * sizeof(struct wire_range);
	const struct wire_delivered *caps = (const void *)at;
	at += record->cap_count * sizeof *caps;
	uint32_t number = 0;
	if (record->exception) {
		const struct wire_exception *exception = (const void *)at;
		cover_exception((uint8_t)exception->status);
	} else {
		number = tag_of(record, at);
	}
	ledger_delivered(world, process, channel, record, number);
	if (process->open_count == OPEN_MAX)
		sim_violation(world, "more deliveries are open than can be");
	struct opened *open = &process->open[process->open_count++];
	*open = (struct opened){
		.id = record->delivery, .channel = channel, .handler = (uint32_t)record->header.cookie};
	for (uint32_t i = 0; i < record->cap_count; i++) {
		check_slot(world, process, &caps[i]);
		struct name name = {.cap = caps[i].cap,
							.kind = caps[i].kind,
							.rights = caps[i].rights,
							.borrowed = true,
							.length = caps[i].length};
		if (open->cap_count < BASE_COUNT(open->caps))
			open->caps[open->cap_count++] = name.cap;
		else
			continue; /* it has more than it looks at */
		program_learn(process, &name);
	}
}

void program_record(struct world *world, struct process *process, uint32_t channel,
					const uint8_t *bytes, size_t size)
{
	(void)size;
	switch (((const struct wire_record *)(const void *)bytes)->type) {
	case WIRE_ANSWER_TYPE_COMPLETION:
		completion(world, process, bytes);
		break;
	case WIRE_ANSWER_TYPE_MONITORED: {
		const struct wire_answer_monitored *record = (const void *)bytes;
		ledger_completed(world, process, record->header.cookie, (fos_status)record->status,
						 record->gone);
		break;
	}
	case WIRE_ANSWER_TYPE_INFO:
		info(world, process, bytes);
		break;
	case WIRE_ANSWER_TYPE_DELIVERY:
		delivery(world, process, channel, bytes);
		break;
	}
}
