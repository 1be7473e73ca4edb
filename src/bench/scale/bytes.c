/* Bytes of what a Controller keeps, by its core's own count: many are made, and between two
 * moments the difference is divided by how many. A holder on node 2, a provider on node 1. */
#include "scale.h"

#include <string.h>

#include "cluster.h"
#include "core/limits.h"

/* The moments: whole chunks of slots apart, and no directory of chunks doubles between them. */
enum { FIRST = 129 * TABLE_CHUNK, LAST = 255 * TABLE_CHUNK };
enum { DOOR = 1, TARGET, GIFTS = FOS_CAPS_MAX, BYTES = 4096, BOUND = 64 };

struct pair {
	struct cluster *cluster;
	struct process *provider, *neighbour, *holder; /* the neighbour is on the provider's node */
	uint64_t door, near_door;                      /* the provider's, to holder and neighbour */
	uint64_t memory, request;                      /* of the provider, at the holder */
	uint64_t own;                                  /* the same Memory, at the provider */
};

static const char *const names[] = {
#define SCALE_NAME(NAME, text) text,
	SCALE_BYTES(SCALE_NAME)
#undef SCALE_NAME
};

const char *scale_bytes_name(enum scale_bytes what)
{
	return names[what];
}

static void give(struct process *from, uint64_t door, const uint64_t *caps, unsigned count)
{
	struct args args = {.cap_count = count};
	for (unsigned i = 0; i < count; i++)
		args.caps[i] = (struct cap_arg){i, caps[i]};
	process_invoke(from, door, &args);
}

/* All that came, kept; the first of it. */
static uint64_t receive(struct pair *pair, struct process *process)
{
	struct delivery delivery;
	cluster_settle(pair->cluster);
	BASE_ASSERT(process_take(process, &delivery));
	for (unsigned i = 0; i < delivery.cap_count; i++)
		process_keep(process, delivery.caps[i].cap);
	process_finish(process, delivery.id);
	cluster_settle(pair->cluster);
	return delivery.caps[0].cap;
}

static void open_pair(struct pair *pair)
{
	const struct network network = {.mean_ns = 1000, .p99_ns = 1000, .seed = 1};
	struct core_config config;
	core_config_default(&config);
	config.limits.values_bytes *= 4; /* so many bundles are more than one Process may have */
	*pair = (struct pair){.cluster = cluster_new(2, &network, &config.limits)};
	pair->provider = process_new(pair->cluster, 1, BYTES);
	pair->neighbour = process_new(pair->cluster, 1, 0);
	pair->holder = process_new(pair->cluster, 2, 0);
	process_registry_set(pair->provider, process_request(pair->provider, DOOR));
	cluster_settle(pair->cluster);
	uint64_t root = process_registry_get(pair->holder);
	uint64_t door = process_request(pair->holder, DOOR);
	give(pair->holder, root, &door, 1);
	pair->door = receive(pair, pair->provider);
	root = process_registry_get(pair->neighbour);
	door = process_request(pair->neighbour, DOOR);
	give(pair->neighbour, root, &door, 1);
	pair->near_door = receive(pair, pair->provider);
	pair->own = process_memory(pair->provider, 0, BYTES);
	give(pair->provider, pair->door, &pair->own, 1);
	pair->memory = receive(pair, pair->holder);
	uint64_t request = process_request(pair->provider, TARGET);
	give(pair->provider, pair->door, &request, 1);
	pair->request = receive(pair, pair->holder);
}

/* Makes up to GIFTS more; returns how many. */
static unsigned make(struct pair *pair, enum scale_bytes what)
{
	struct process *provider = pair->provider, *holder = pair->holder;
	struct args args = {.imm_bytes = BOUND, .caps = {{1, pair->memory}, {2, pair->request}}};
	uint64_t caps[GIFTS];
	switch (what) {
	case SCALE_BYTES_SLOT:
		for (unsigned i = 0; i < GIFTS; i++)
			caps[i] = process_memory(provider, 0, BYTES);
		give(provider, pair->door, caps, GIFTS);
		receive(pair, holder);
		return GIFTS;
	case SCALE_BYTES_SLOT_SHARED:
		for (unsigned i = 0; i < GIFTS; i++)
			caps[i] = pair->own;
		give(provider, pair->near_door, caps, GIFTS);
		receive(pair, pair->neighbour);
		return GIFTS;
	case SCALE_BYTES_MEMORY:
		process_memory(provider, 0, BYTES);
		return 1;
	case SCALE_BYTES_REQUEST:
		process_request(provider, TARGET);
		return 1;
	case SCALE_BYTES_CHILD:
		process_revtree(provider, pair->own, false);
		return 1;
	case SCALE_BYTES_CHILD_OWNER:
	case SCALE_BYTES_CHILD_MAKER:
		process_revtree(holder, pair->memory, false);
		return 1;
	case SCALE_BYTES_TRACKED_OWNER:
	case SCALE_BYTES_TRACKED_MAKER:
		process_revtree(holder, pair->memory, true);
		return 1;
	case SCALE_BYTES_REFINED_CAPS:
		args.cap_count = 2;
		process_refine(holder, pair->request, &args);
		return 1;
	case SCALE_BYTES_REFINED_BYTES:
		process_refine(holder, pair->request, &args);
		return 1;
	case SCALE_BYTES_REFINED:
		process_refine(holder, pair->request, NULL);
		return 1;
	case SCALE_BYTES_COUNT:
		break;
	}
	return 0;
}

static bool is_of_provider(enum scale_bytes what)
{
	return what == SCALE_BYTES_SLOT_SHARED || what == SCALE_BYTES_MEMORY ||
		   what == SCALE_BYTES_REQUEST || what == SCALE_BYTES_CHILD ||
		   what == SCALE_BYTES_CHILD_OWNER || what == SCALE_BYTES_TRACKED_OWNER;
}

/* The table of all objects is the Controller's for ever: it does not count as used, but as grown,
 * and so where objects are made the pools' whole chunks count, too: less than a byte an object. */
static double in_use(const struct core *core, enum scale_bytes what)
{
	bool objects = is_of_provider(what) && what != SCALE_BYTES_SLOT_SHARED;
	return (double)(objects ? core_memory_grown(core) : core_memory_used(core));
}

double scale_bytes(enum scale_bytes what)
{
	struct pair pair;
	open_pair(&pair);
	const struct core *core = cluster_core(pair.cluster, is_of_provider(what) ? 1 : 2);
	unsigned made = 0;
	while (made < FIRST)
		made += make(&pair, what);
	double before = in_use(core, what);
	while (made < LAST)
		made += make(&pair, what);
	double bytes = (in_use(core, what) - before) / (LAST - FIRST);
	cluster_end(pair.cluster);
	return bytes;
}
