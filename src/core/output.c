/* What a step gives to the shell: a list of outputs and the bytes of their records. The room for
 * both is kept from step to step and grows to what the largest step needed, beyond `memory` where
 * that is not enough: each record that waits may have something said of it when a session or a
 * Process ends, and a record may be smaller than what is said. */
#include "core/core_internal.h"

struct output_chunk {
	struct output_chunk *next;
	size_t used; /* bytes, or outputs */
	_Alignas(16) uint8_t room[];
};

static struct output_chunk *new_chunk(struct core *core, size_t room)
{
	struct output_chunk *chunk = core_grow(core, sizeof *chunk + room, CORE_ROOM_BEYOND);
	BASE_ASSERT(chunk != NULL);
	return chunk;
}

/* Number of outputs in one chunk. */
enum { OUTPUTS = 64 };

void core_output_reset(struct core *core)
{
	if (core->output_first == NULL) {
		core->output_first = new_chunk(core, OUTPUTS * sizeof(struct core_output));
		core->bytes_first = new_chunk(core, OUTPUT_CHUNK);
	}
	core->output_last = core->output_read = core->output_first;
	core->bytes_last = core->bytes_first;
	core->output_first->used = core->bytes_first->used = 0;
	core->output_position = 0;
}

/* The chunk after `chunk`, empty. */
static struct output_chunk *go_on(struct core *core, struct output_chunk *chunk, size_t room)
{
	if (chunk->next == NULL)
		chunk->next = new_chunk(core, room);
	chunk->next->used = 0;
	return chunk->next;
}

struct core_output *core_output_add(struct core *core, enum core_output_type type)
{
	if (core->output_last->used == OUTPUTS)
		core->output_last = go_on(core, core->output_last, OUTPUTS * sizeof(struct core_output));
	struct core_output *outputs = (struct core_output *)(void *)core->output_last->room;
	struct core_output *out = &outputs[core->output_last->used++];
	*out = (struct core_output){.type = type};
	return out;
}

void *core_output_bytes(struct core *core, size_t size)
{
	BASE_ASSERT(size <= OUTPUT_CHUNK);
	if (OUTPUT_CHUNK - core->bytes_last->used < size)
		core->bytes_last = go_on(core, core->bytes_last, OUTPUT_CHUNK);
	void *bytes = core->bytes_last->room + core->bytes_last->used;
	core->bytes_last->used += wire_pad8(size);
	return bytes;
}

bool core_output(struct core *core, struct core_output *out)
{
	struct output_chunk *chunk = core->output_read;
	if (chunk == NULL)
		return false;
	if (core->output_position == chunk->used) {
		if (chunk == core->output_last)
			return false;
		core->output_read = chunk = chunk->next;
		core->output_position = 0;
	}
	*out = ((const struct core_output *)(const void *)chunk->room)[core->output_position++];
	return true;
}

void *core_output_record(struct core *core, const struct channel *channel, uint16_t type,
						 size_t size, uint64_t cookie)
{
	struct wire_record *record = core_output_bytes(core, size);
	*record = (struct wire_record){.size = (uint32_t)size, .type = type, .cookie = cookie};
	struct core_output *out = core_output_add(core, CORE_RECORD);
	out->process = channel->process->serial;
	out->channel = channel->number;
	out->bytes = (const uint8_t *)record;
	out->size = size;
	return record;
}

static void complete(struct core *core, const struct caller *caller, fos_status status,
					 uint64_t cap, bool same)
{
	if (status != FOS_OK)
		core->counters.calls_refused++;
	if (caller->channel == NULL)
		return;
	struct wire_answer_completion *record = core_output_record(
		core, caller->channel, WIRE_ANSWER_TYPE_COMPLETION, sizeof *record, caller->cookie);
	record->cap = cap;
	record->status = status;
	record->same = same;
}

void core_complete(struct core *core, const struct caller *caller, fos_status status)
{
	complete(core, caller, status, 0, false);
}

void core_complete_cap(struct core *core, const struct caller *caller, uint64_t cap)
{
	complete(core, caller, FOS_OK, cap, false);
}

void core_complete_same(struct core *core, const struct caller *caller, bool same)
{
	complete(core, caller, FOS_OK, 0, same);
}

void core_complete_value(struct core *core, const struct caller *caller, fos_status status,
						 struct value *value)
{
	uint64_t cap = 0;
	if (status == FOS_OK)
		status = core_slot_add(core, caller->channel->process, value, false, &cap);
	core_value_release(core, value);
	complete(core, caller, status, cap, false);
}
