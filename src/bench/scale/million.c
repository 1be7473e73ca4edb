/* A million capabilities in one Controller: what it takes to make one, to look at one and to invoke
 * through one, drawn at random, beside a thousand. Of the core alone, in the time that its thread
 * has a processor: no rings, no network. There are own Requests, each an object with a slot;
 * Requests of another node, each a slot alone; and revtree children made of such a Request.
 *
 * The peer is played: it names itself the registry, hands out as many Requests as are wanted, and
 * makes and kills whatever children it is asked for. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/bench.h"
#include "cluster.h"
#include "scale.h"

enum { FEW = 1000, MANY = 1000000, OF_PROCESS = 62500 }; /* which is below the default limit */
enum { NODE = 1, PEER = 2, PEER_EPOCH = 77, GIFTS = 30, RECORD = 4096, LINE = 64 };
enum { CREDITS = 64 }; /* are given back at once */

enum kind { OWN, HELD, CHILDREN };

struct chunk {
	struct chunk *next;
	_Alignas(16) uint8_t bytes[];
};

struct holder {
	struct core *core;
	struct chunk *chunks;
	uint64_t now;
	enum kind kind;
	uint32_t count;
	uint64_t *caps; /* those of one Process, then those of the next */
	struct base_random random;
	uint32_t sequence, order; /* of the peer's messages */
	uint64_t ns;              /* what it took to make them all */
	/* What the last step put out. */
	uint64_t cap;
	struct delivery delivery;
	struct wire_entry sent; /* the first capability of an invocation that left */
	uint32_t uncredited;    /* invocations that left */
	uint64_t asked;         /* the call of the newest CHILD or REVOKE */
	uint64_t parent;        /* what children are made of: its slot, of the newest Process */
	uint32_t parent_of;     /* that Process; 0: none yet */
	uint64_t made;          /* by the peer */
};

/* ns. Nothing here waits: others on the machine take caches away, but no time. */
static uint64_t cpu_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ------------------------------------------------------------------ the shell */

static void *grow(void *context, size_t size)
{
	struct holder *holder = context;
	struct chunk *chunk = calloc(1, sizeof *chunk + size);
	if (chunk == NULL)
		return NULL;
	chunk->next = holder->chunks;
	holder->chunks = chunk;
	return chunk->bytes;
}

static void take_record(struct holder *holder, const uint8_t *bytes)
{
	const struct wire_answer_completion *answer = (const void *)bytes;
	if (answer->header.type == WIRE_ANSWER_TYPE_COMPLETION) {
		BASE_ASSERT(answer->status == FOS_OK);
		holder->cap = answer->cap;
	} else if (answer->header.type == WIRE_ANSWER_TYPE_DELIVERY) {
		const struct wire_answer_delivery *record = (const void *)bytes;
		const struct wire_delivered *caps = (const void *)(record + 1);
		BASE_ASSERT(!record->exception && record->range_count == 0);
		holder->delivery.id = record->delivery;
		holder->delivery.cap_count = record->cap_count;
		for (unsigned i = 0; i < record->cap_count; i++)
			holder->delivery.caps[i].cap = caps[i].cap;
	}
}

static void take_message(struct holder *holder, const uint8_t *bytes)
{
	const struct wire_message *head = (const void *)bytes;
	struct wire_tail tail;
	if (head->type == WIRE_MESSAGE_TYPE_CHILD)
		holder->asked = ((const struct wire_message_child *)(const void *)bytes)->call;
	if (head->type == WIRE_MESSAGE_TYPE_REVOKE)
		holder->asked = ((const struct wire_message_revoke *)(const void *)bytes)->call;
	if (head->type != WIRE_MESSAGE_TYPE_INVOKE)
		return;
	holder->uncredited++;
	wire_message_tail(bytes, &tail);
	if (tail.args.head->entry_count > 1)
		holder->sent = ((const struct wire_entry *)tail.args.entries)[1];
}

static void step(struct holder *holder, const struct core_event *event)
{
	struct core_output out;
	core_step(holder->core, ++holder->now, event);
	while (core_output(holder->core, &out)) {
		BASE_ASSERT(out.type != CORE_END_SESSION && out.type != CORE_END_PROCESS);
		if (out.type == CORE_RECORD)
			take_record(holder, out.bytes);
		else if (out.type == CORE_SEND)
			take_message(holder, out.bytes);
	}
}

static void call(struct holder *holder, uint32_t process, uint16_t type, const void *fixed,
				 size_t fixed_size, const struct args *args)
{
	_Alignas(8) uint8_t bytes[RECORD];
	size_t size = call_encode(type, 0, fixed, fixed_size, args, bytes);
	step(holder,
		 &(struct core_event){.type = CORE_CALL, .process = process, .bytes = bytes, .size = size});
}
#define CALL(holder, process, NAME, name, args, ...)                                      \
	call(holder, process, WIRE_CALL_TYPE_##NAME, &(struct wire_call_##name){__VA_ARGS__}, \
		 sizeof(struct wire_call_##name), args)

static void receive(struct holder *holder, uint8_t type, void *bytes, size_t size)
{
	struct wire_message *head = bytes;
	head->size = (uint32_t)size;
	head->type = type;
	head->sequence = holder->sequence++;
	step(holder,
		 &(struct core_event){.type = CORE_MESSAGE, .node = PEER, .bytes = bytes, .size = size});
}

static void give_credits(struct holder *holder)
{
	struct wire_message_credit credit = {.header.credits = {0}};
	credit.header.credits[WIRE_CLASS_INVOKE] = (uint8_t)holder->uncredited;
	holder->uncredited = 0;
	receive(holder, WIRE_MESSAGE_TYPE_CREDIT, &credit, sizeof credit);
}

/* ------------------------------------------------------------------ filling it */

static uint32_t process_of(uint32_t number)
{
	return 1 + number / OF_PROCESS;
}

static void open_processes(struct holder *holder)
{
	for (uint32_t i = 1; i <= process_of(holder->count - 1); i++) {
		struct core_event event = {.type = CORE_PROCESS_UP, .process = i};
		event.principal = (fos_principal){.node = NODE, .process = i, .label = "scale"};
		step(holder, &event);
		event.type = CORE_CHANNEL_UP;
		step(holder, &event);
	}
}

static void fill_own(struct holder *holder)
{
	uint64_t begin = cpu_now();
	for (uint32_t i = 0; i < holder->count; i++) {
		CALL(holder, process_of(i), REQUEST_CREATE, request_create, NULL, .handler = i);
		holder->caps[i] = holder->cap;
	}
	holder->ns = cpu_now() - begin;
}

/* A Request that the Process has made for it, as the peer knows it. */
static struct wire_entry show_door(struct holder *holder, uint32_t process)
{
	CALL(holder, process, REQUEST_CREATE, request_create, NULL, .handler = 1);
	struct args door = {.caps = {{1, holder->cap}}, .cap_count = 1};
	CALL(holder, process, REGISTRY_GET, registry_get, NULL, .time = 0);
	CALL(holder, process, REQUEST_INVOKE, request_invoke, &door, .cap = holder->cap);
	give_credits(holder);
	return holder->sent;
}

/* So many Requests of the peer arrive at the door. */
static void give(struct holder *holder, const struct wire_entry *door, uint32_t first,
				 unsigned count)
{
	struct {
		struct wire_message_invoke head;
		struct wire_args args;
		struct wire_entry entries[1 + GIFTS];
		struct wire_bound bounds[GIFTS];
	} message = {.head = {.epoch = door->epoch,
						  .serial = door->serial,
						  .index = door->index,
						  .time_left = 1000000000,
						  .order = holder->order++},
				 .args = {.entry_count = (uint16_t)(1 + count), .bound_count = (uint16_t)count}};
	struct wire_bound *bounds = (void *)&message.entries[1 + count];
	for (unsigned i = 0; i < count; i++) {
		message.entries[1 + i] = (struct wire_entry){.epoch = PEER_EPOCH,
													 .serial = 2 * (uint64_t)(first + i) + 4,
													 .node = PEER,
													 .index = first + i + 1,
													 .kind = FOS_REQUEST};
	}
	for (unsigned i = 0; i < count; i++)
		bounds[i] = (struct wire_bound){.index = (uint16_t)i, .value = (uint16_t)(i + 1)};
	receive(holder, WIRE_MESSAGE_TYPE_INVOKE, &message,
			(size_t)((uint8_t *)(bounds + count) - (uint8_t *)&message));
}

static void fill_held(struct holder *holder)
{
	for (uint32_t done = 0; done < holder->count;) {
		uint32_t process = process_of(done);
		struct wire_entry door = show_door(holder, process);
		uint32_t until = BASE_MIN(holder->count, process * OF_PROCESS);
		uint64_t begin = cpu_now();
		while (done < until) {
			unsigned count = BASE_MIN((unsigned)GIFTS, until - done);
			give(holder, &door, done, count);
			struct delivery delivery = holder->delivery;
			for (unsigned i = 0; i < count; i++) {
				holder->caps[done++] = delivery.caps[i].cap;
				CALL(holder, process, CAP_KEEP, cap_keep, NULL, .cap = delivery.caps[i].cap);
			}
			CALL(holder, process, FINISH, finish, NULL, .delivery = delivery.id);
		}
		holder->ns += cpu_now() - begin;
	}
}

/* A child of what the slot names, by the Process; its slot. */
static uint64_t make_child(struct holder *holder, uint32_t process, uint64_t parent)
{
	CALL(holder, process, CAP_REVTREE, cap_revtree, NULL, .cap = parent);
	uint64_t number = ++holder->made;
	struct wire_message_child_done done = {
		.call = holder->asked, .serial = 2 * number + 2, .index = (uint32_t)number};
	done.header.credits[WIRE_CLASS_CLEANUP] = 1;
	receive(holder, WIRE_MESSAGE_TYPE_CHILD_DONE, &done, sizeof done);
	return holder->cap;
}

static uint64_t parent_of(struct holder *holder, uint32_t process)
{
	if (holder->parent_of != process) {
		CALL(holder, process, REGISTRY_GET, registry_get, NULL, .time = 0);
		holder->parent = holder->cap;
		holder->parent_of = process;
	}
	return holder->parent;
}

static void fill_children(struct holder *holder)
{
	uint64_t begin = cpu_now();
	for (uint32_t i = 0; i < holder->count; i++) {
		uint32_t process = process_of(i);
		holder->caps[i] = make_child(holder, process, parent_of(holder, process));
	}
	holder->ns = cpu_now() - begin;
}

static void meet_peer(struct holder *holder)
{
	struct wire_message_registry registry = {
		.epoch = PEER_EPOCH, .serial = 2, .version = 1, .node = PEER};
	step(holder, &(struct core_event){.type = CORE_SESSION_UP, .node = PEER, .epoch = PEER_EPOCH});
	receive(holder, WIRE_MESSAGE_TYPE_REGISTRY, &registry, sizeof registry);
}

static void open_holder(struct holder *holder, uint32_t count, enum kind kind)
{
	struct core_config config;
	core_config_default(&config);
	config.node = NODE;
	config.epoch = 1;
	config.grow = grow;
	config.context = holder;
	config.limits.memory = (uint64_t)1 << 30; /* objects of a million take more than the default */
	*holder = (struct holder){.now = 1, .kind = kind, .count = count, .random = {count}};
	holder->core = core_create(&config);
	holder->caps = calloc(count, sizeof *holder->caps);
	BASE_ASSERT(holder->core != NULL && holder->caps != NULL);
	open_processes(holder);
	meet_peer(holder);
	void (*const fill[])(struct holder *) = {fill_own, fill_held, fill_children};
	fill[kind](holder);
}

static void close_holder(struct holder *holder)
{
	for (struct chunk *chunk = holder->chunks, *rest; chunk != NULL; chunk = rest) {
		rest = chunk->next;
		free(chunk);
	}
	free(holder->caps);
}

/* ------------------------------------------------------------------ what is timed */

static uint64_t look(void *arg, unsigned count)
{
	struct holder *holder = arg;
	uint64_t begin = cpu_now();
	for (unsigned i = 0; i < count; i++) {
		uint32_t at = (uint32_t)base_random_below(&holder->random, holder->count);
		CALL(holder, process_of(at), CAP_INFO, cap_info, NULL, .cap = holder->caps[at]);
	}
	return cpu_now() - begin;
}

static uint64_t invoke(void *arg, unsigned count)
{
	struct holder *holder = arg;
	uint64_t begin = cpu_now();
	for (unsigned i = 0; i < count; i++) {
		uint32_t at = (uint32_t)base_random_below(&holder->random, holder->count);
		uint32_t process = process_of(at);
		CALL(holder, process, REQUEST_INVOKE, request_invoke, NULL, .cap = holder->caps[at]);
		if (holder->kind == OWN)
			CALL(holder, process, FINISH, finish, NULL, .delivery = holder->delivery.id);
		else if (holder->uncredited == CREDITS)
			give_credits(holder);
	}
	if (holder->uncredited > 0)
		give_credits(holder);
	return cpu_now() - begin;
}

/* One more, and away with it. */
static uint64_t make(void *arg, unsigned count)
{
	struct holder *holder = arg;
	uint64_t begin = cpu_now();
	for (unsigned i = 0; i < count; i++) {
		uint32_t at = (uint32_t)base_random_below(&holder->random, holder->count);
		uint32_t process = process_of(at);
		CALL(holder, process, REQUEST_CREATE, request_create, NULL, .handler = 1);
		uint64_t cap = holder->cap;
		CALL(holder, process, CAP_REVOKE, cap_revoke, NULL, .cap = cap);
		CALL(holder, process, CAP_CLOSE, cap_close, NULL, .cap = cap);
	}
	return cpu_now() - begin;
}

/* The same of a child at the peer. */
static uint64_t lend(void *arg, unsigned count)
{
	struct holder *holder = arg;
	uint32_t process = process_of(holder->count - 1);
	uint64_t parent = parent_of(holder, process), begin = cpu_now();
	for (unsigned i = 0; i < count; i++) {
		uint64_t cap = make_child(holder, process, parent);
		CALL(holder, process, CAP_REVOKE, cap_revoke, NULL, .cap = cap);
		struct wire_message_revoke_done done = {.call = holder->asked};
		done.header.credits[WIRE_CLASS_CLEANUP] = 1;
		receive(holder, WIRE_MESSAGE_TYPE_REVOKE_DONE, &done, sizeof done);
		CALL(holder, process, CAP_CLOSE, cap_close, NULL, .cap = cap);
	}
	return cpu_now() - begin;
}

/* ------------------------------------------------------------------ a miss */

struct walk { /* lines that name each other, in one circle through all of them */
	struct line {
		uint32_t next;
		uint8_t rest[LINE - sizeof(uint32_t)];
	} * lines;
	uint32_t count, at;
};

/* Sattolo's shuffle. */
static bool open_walk(struct walk *walk, size_t bytes)
{
	struct base_random random = {5};
	*walk = (struct walk){.count = (uint32_t)(bytes / LINE)};
	walk->lines = aligned_alloc(LINE, (size_t)walk->count * LINE);
	if (walk->lines == NULL)
		return bench_fails("no memory for %zu bytes", bytes);
	for (uint32_t i = 0; i < walk->count; i++)
		walk->lines[i].next = i;
	for (uint32_t i = walk->count - 1; i > 0; i--) {
		uint32_t other = (uint32_t)base_random_below(&random, i), mine = walk->lines[i].next;
		walk->lines[i].next = walk->lines[other].next;
		walk->lines[other].next = mine;
	}
	return true;
}

static uint64_t miss(void *arg, unsigned count)
{
	struct walk *walk = arg;
	uint64_t begin = cpu_now();
	uint32_t at = walk->at;
	for (unsigned i = 0; i < count; i++)
		at = walk->lines[at].next;
	walk->at = at;
	return cpu_now() - begin;
}

/* ------------------------------------------------------------------ rows */

static void number(const struct bench_context *context, const char *name, const char *metric,
				   const char *unit, double value, double few)
{
	struct bench_row row = {.bench = "scale", .name = name, .metric = metric, .unit = unit};
	bench_number(context, &row, value, "a thousand", few);
}

static bool compare(const struct bench_context *context, const char *name,
					uint64_t (*run)(void *arg, unsigned count), struct holder *few,
					struct holder *many, struct walk *walk)
{
	const struct bench_side sides[] = {{"a million", run, many, 0, NULL},
									   {"a thousand", run, few, 0, NULL},
									   {"a cache miss", miss, walk, 0, NULL}};
	struct bench_samples samples[3];
	if (!bench_measure(context, sides, 3, samples))
		return false;
	struct bench_row row = {
		.bench = "scale", .name = name, .metric = "one of a million", .unit = "ns"};
	bench_report(context, &row, BENCH_PLAIN, 1, &samples[0], "of a thousand", &samples[1]);
	for (unsigned i = 0; i < samples[0].rounds; i++)
		samples[0].ns[i] = (samples[0].ns[i] - samples[1].ns[i]) / samples[2].ns[i];
	row.metric = "more, in cache misses";
	row.unit = "misses";
	bench_report(context, &row, BENCH_PLAIN, 1, &samples[0], NULL, NULL);
	return true;
}

static double bytes_of(const struct holder *holder)
{
	return (double)core_memory_grown(holder->core) / holder->count;
}

static bool one_kind(const struct bench_context *context, enum kind kind, struct walk *walk)
{
	static const struct {
		const char *name, *look, *act, *more;
	} texts[] = {
		[OWN] = {"own Requests", "cap_info, own", "invoke and finish, own",
				 "make one, revoke, close"},
		[HELD] = {"held from a peer", "cap_info, held from a peer", "invoke, held from a peer",
				  NULL},
		[CHILDREN] = {"children at a peer", "cap_info, child at a peer", "invoke, child at a peer",
					  "make child at a peer, revoke, close"},
	};
	struct holder few, many;
	open_holder(&few, FEW, kind);
	open_holder(&many, MANY, kind);
	number(context, texts[kind].name, "made, each", "ns", (double)many.ns / MANY,
		   (double)few.ns / FEW);
	number(context, texts[kind].name, "memory, each", "B", bytes_of(&many), bytes_of(&few));
	bool ok = compare(context, texts[kind].look, look, &few, &many, walk) &&
			  compare(context, texts[kind].act, invoke, &few, &many, walk) &&
			  (texts[kind].more == NULL ||
			   compare(context, texts[kind].more, kind == OWN ? make : lend, &few, &many, walk));
	close_holder(&few);
	close_holder(&many);
	return ok;
}

bool scale_million(const struct bench_context *context)
{
	struct walk walk;
	if (!open_walk(&walk, (size_t)480 << 20))
		return false;
	const struct bench_side side = {"a cache miss", miss, &walk, 0, NULL};
	struct bench_samples samples;
	struct bench_row row = {
		.bench = "scale", .name = "480 MiB", .metric = "a cache miss", .unit = "ns"};
	bool ok = bench_measure(context, &side, 1, &samples);
	if (ok)
		bench_report(context, &row, BENCH_PLAIN, 1, &samples, NULL, NULL);
	for (enum kind kind = OWN; kind <= CHILDREN && ok; kind++)
		ok = one_kind(context, kind, &walk);
	free(walk.lines);
	return ok;
}
