/* Capability spaces and open deliveries as the Processes may know them. */
#include "sim/oracle_internal.h"

static uint32_t index_of(uint64_t handle)
{
	return (uint32_t)(handle & ((1u << HANDLE_INDEX_BITS) - 1));
}

/* An array that holds at least `index`; the old one goes back. */
static void *grown(struct oracle *o, void *array, uint32_t *room, uint32_t index, size_t size)
{
	if (index < *room)
		return array;
	uint32_t wanted = *room ? *room : 64;
	while (wanted <= index)
		wanted *= 2;
	void *bigger = oracle_alloc(o, wanted * size);
	if (array != NULL) {
		memcpy(bigger, array, *room * size);
		oracle_free(o, array, *room * size);
	}
	*room = wanted;
	return bigger;
}

struct oracle_cell *oracle_cell(struct oracle_process *process, uint64_t cap)
{
	uint32_t index = index_of(cap);
	if (index >= process->cell_room || cap == 0)
		return NULL;
	struct oracle_cell *cell = &process->cells[index];
	if (cell->cap != cap || cell->value == NULL)
		return NULL;
	process->touched |= oracle_uncertain(process, cell->value);
	return cell;
}

bool oracle_cell_holds(const struct oracle_process *process, const struct oracle_cell *cell)
{
	const struct oracle *o = process->oracle;
	struct core_view_slot seen;
	return cell->value != NULL &&
		   (!oracle_uncertain(process, cell->value) ||
			core_inspect_slot(o->config.core_of(o->config.context, process->node), process->serial,
							  cell->cap, &seen));
}

void oracle_note_tight(struct oracle *o, struct oracle_process *process)
{
	const struct core_limits *limits = &o->config.core.limits;
	uint64_t kept = process->once_living;
	if (process->slots + kept * ONCE_SLOTS + FOS_CAPS_MAX > limits->slots ||
		2 * (process->weight + kept * ONCE_BYTES) + 65536 > limits->values_bytes)
		process->tight_moment = o->moment;
}

/* Whoever is not its maker and has it in a slot, if only bound, holds it. */
static void note_held(struct oracle *o, const struct oracle_process *process,
					  struct oracle_value *value)
{
	struct oracle_walk walk;
	struct oracle_thing *thing;
	oracle_walk_begin(o, &walk);
	oracle_walk_value(&walk, value);
	while ((thing = oracle_walk_next(&walk)) != NULL) {
		thing->nodes |= (uint64_t)1 << process->node;
		thing->armed |= thing->maker != process;
		thing->delegated |= thing->maker != process;
	}
}

bool oracle_slot_add(struct oracle *o, struct oracle_process *process, uint64_t cap,
					 struct oracle_value *value, bool borrowed)
{
	uint32_t index = index_of(cap);
	process->cells = grown(o, process->cells, &process->cell_room, index, sizeof *process->cells);
	struct oracle_cell *cell = &process->cells[index];
	if (cell->value != NULL && cell->cap < cap && oracle_uncertain(process, cell->value))
		oracle_slot_close(o, process, cell->cap);
	/* Generations rise, and with them the names of one index. */
	if (cap == 0 || cap <= cell->cap || cell->value != NULL) {
		oracle_violate(o, "slot %#llx of %s named something before", (unsigned long long)cap,
					   oracle_name(process));
		return false;
	}
	*cell = (struct oracle_cell){
		.cap = cap, .value = oracle_hold(value), .borrowed = borrowed, .time = o->now};
	process->slots++;
	process->weight += value->weight;
	note_held(o, process, value);
	oracle_note_tight(o, process);
	return true;
}

void oracle_slot_close(struct oracle *o, struct oracle_process *process, uint64_t cap)
{
	struct oracle_cell *cell = oracle_cell(process, cap);
	if (cell == NULL)
		return;
	for (unsigned i = 0; i < BASE_COUNT(cell->monitors); i++) {
		if (cell->monitors[i] != NULL) {
			cell->monitors[i]->cancelled = true;
			if (i == 1)
				oracle_perhaps_fired(o, cell->monitors[i]->object);
		}
		cell->monitors[i] = NULL;
	}
	oracle_note_tight(o, process);
	process->slots--;
	process->weight -= cell->value->weight;
	oracle_release(o, cell->value);
	cell->value = NULL;
}

void oracle_space_end(struct oracle *o, struct oracle_process *process)
{
	for (uint32_t i = 0; i < process->cell_room; i++) {
		if (process->cells[i].value != NULL)
			oracle_slot_close(o, process, process->cells[i].cap);
	}
	if (process->cells != NULL)
		oracle_free(o, process->cells, process->cell_room * sizeof *process->cells);
	if (process->opens != NULL)
		oracle_free(o, process->opens, process->open_room * sizeof *process->opens);
	process->cells = NULL;
	process->opens = NULL;
	process->cell_room = process->open_room = 0;
}

/* ------------------------------------------------------------------ open deliveries */

struct oracle_open *oracle_open_find(struct oracle_process *process, uint64_t id)
{
	uint32_t index = index_of(id);
	struct oracle_open *open = index < process->open_room ? process->opens[index] : NULL;
	return open != NULL && open->id == id ? open : NULL;
}

bool oracle_open_add(struct oracle *o, struct oracle_open *open)
{
	struct oracle_process *process = open->process;
	uint32_t index = index_of(open->id);
	process->opens = grown(o, process->opens, &process->open_room, index, sizeof *process->opens);
	if (process->opens[index] != NULL) {
		oracle_violate(o, "delivery %#llx of %s is open already", (unsigned long long)open->id,
					   oracle_name(process));
		return false;
	}
	process->opens[index] = open;
	list_push(&process->open, &open->of_process);
	oracle_count(open->object, 1, 0, 0);
	if (open->on_error != NULL)
		process->weight += open->on_error->weight;
	oracle_note_tight(o, process);
	if (open->is_once) {
		process->once_open++;
	} else {
		process->deliveries++;
		process->channel_open[open->channel]++;
		oracle_note_full(o, process, open->channel);
	}
	return true;
}

static void end_span(struct oracle *o, const struct oracle_open *open)
{
	struct oracle_ended *ended = oracle_alloc(o, sizeof *ended);
	ended->span = (struct core_span){.trace = open->trace,
									 .id = open->span,
									 .begin = open->begun,
									 .end = o->now,
									 .process = open->process->serial,
									 .kind = CORE_SPAN_DELIVERY,
									 .status = (uint8_t)open->status};
	list_push(&o->ended, &ended->all);
}

/* Its parent is the core's: a span of another node. */
void oracle_span(struct oracle *o, const struct core_span *span)
{
	if (span->kind != CORE_SPAN_DELIVERY)
		return;
	for (struct list *at = o->ended.next; at != &o->ended; at = at->next) {
		struct oracle_ended *ended = BASE_CONTAINER(at, struct oracle_ended, all);
		const struct core_span *should = &ended->span;
		if (should->id != span->id || should->trace != span->trace ||
			should->begin != span->begin || should->end != span->end ||
			should->process != span->process || should->status != span->status)
			continue;
		list_remove(&ended->all);
		oracle_free(o, ended, sizeof *ended);
		return;
	}
	oracle_violate(o,
				   "tells of a span of process %u, status %u, trace %llu, that was no delivery's",
				   span->process, span->status, (unsigned long long)span->trace);
}

void oracle_check_spans(struct oracle *o)
{
	if (list_empty(&o->ended))
		return;
	const struct core_span *span = &BASE_CONTAINER(o->ended.next, struct oracle_ended, all)->span;
	oracle_violate(o, "tells of no span of a delivery to process %u, trace %llu, that ended",
				   span->process, (unsigned long long)span->trace);
}

void oracle_open_end(struct oracle *o, struct oracle_open *open, bool finished)
{
	struct oracle_process *process = open->process;
	if (o->nodes[process->node].up)
		end_span(o, open);
	if (process->alive) {
		for (uint32_t i = 0; i < open->cap_count; i++) {
			struct oracle_cell *cell = oracle_cell(process, open->caps[i]);
			if (cell != NULL && cell->borrowed)
				oracle_slot_close(o, process, open->caps[i]);
		}
	}
	process->opens[index_of(open->id)] = NULL;
	list_remove(&open->of_process);
	oracle_note_tight(o, process);
	if (open->on_error != NULL)
		process->weight -= open->on_error->weight;
	if (open->is_once) {
		process->once_open--;
	} else {
		oracle_note_full(o, process, open->channel);
		process->deliveries--;
		process->channel_open[open->channel]--;
	}
	oracle_count(open->object, -1, 0, 0);
	/* What it began may go on at the device until that is free. */
	if (!finished) {
		struct oracle_remain *remain = oracle_alloc(o, sizeof *remain);
		remain->object = open->object;
		list_push(&process->remaining, &remain->of_process);
		oracle_count(open->object, 0, 1, 0);
		process->remained += open->object->left++ == 0;
	}
	oracle_release(o, open->on_error);
	oracle_free(o, open, sizeof *open + open->cap_count * sizeof open->caps[0]);
}
