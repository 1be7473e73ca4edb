/* Memory that ends anywhere: one story of calls between two Controllers, told again and again, each
 * time with a little more memory than before, or with another one of its records refused (the
 * linker puts __wrap_core_alloc before core_alloc). Whatever is refused, every call completes once,
 * nothing is left when all are dead (the harness sees to both), and what is refused is refused with
 * a status that says so. And the limits that are of the Controller. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/core_internal.h"
#include "core/harness.h"

enum { A, B };
/* Counts as taken, so that the part that is kept for outputs is as large as in a real core. */
static const uint64_t elsewhere = 4 << 20;

void *__real_core_alloc(struct core *core, size_t size);
void *__wrap_core_alloc(struct core *core, size_t size);
static uint64_t allocations, refuse_at; /* counted from 1; 0: none */
static bool refuse_all;
static struct core *victim; /* it alone is refused so many records */
static unsigned refusals;

void *__wrap_core_alloc(struct core *core, size_t size)
{
	if (core == victim && refusals > 0) {
		refusals--;
		return NULL;
	}
	return ++allocations == refuse_at || refuse_all ? NULL : __real_core_alloc(core, size);
}

struct story {
	struct world *world;
	struct actor a, b;
	unsigned rounds, refused, done;
};

/* The capability, or 0. */
static uint64_t tell(struct story *story, struct actor who, const struct call *call)
{
	struct wire_answer_completion end;
	uint64_t cookie = call_submit(who, call);
	world_settle(story->world);
	if (!call_completed(who, cookie, &end)) /* its Process or channel was refused already */
		return 0;
	story->done += end.status == FOS_OK;
	story->refused += end.status == FOS_QUOTA;
	return end.cap;
}

#define CALL(story, who, NAME, name, args, ...)                                 \
	({                                                                          \
		struct wire_call_##name fixed_ = {__VA_ARGS__};                         \
		struct call call_;                                                      \
		call_init(&call_, WIRE_CALL_TYPE_##NAME, &fixed_, sizeof fixed_, args); \
		tell(story, who, &call_);                                               \
	})

/* With much bound: bytes, a Memory, a refinement with bytes of its own. */
static void bind_much(struct call *call, uint64_t request, uint64_t memory)
{
	static const uint8_t bytes[3000];
	call_imm(call, 0, 0, bytes, sizeof bytes);
	call_cap(call, 0, 1, call_part(call, memory, 0, 100, 0));
	unsigned refined = call_refine(call, request);
	call_imm(call, refined, 100, bytes, 1000);
	call_cap(call, 0, 2, refined);
	call->entries[0].on_error = (uint16_t)refined;
}

static void invoke(struct story *story, struct actor who, uint64_t cap, uint64_t request,
				   uint64_t memory)
{
	struct call call = call_invoke(cap, 0, 1000000);
	bind_much(&call, request, memory);
	tell(story, who, &call);
}

static void copy(struct story *story, struct actor who, uint64_t to, uint64_t from, uint64_t then)
{
	struct call call = call_copy(to, from, 0, 0);
	if (then != 0)
		call_cap(&call, 0, FOS_NEXT, call_slot(&call, then));
	tell(story, who, &call);
}

/* Deliveries are continued, failed or finished in turn; their slots are used. */
static void answer_all(struct story *story, struct actor who, uint64_t memory)
{
	struct arrival arrival;
	for (unsigned i = 0; actor_arrival(who, &arrival); i++) {
		uint64_t their_memory = arrival_cap(&arrival, 1), their_request = arrival_cap(&arrival, 2);
		copy(story, who, their_memory, memory, 0);
		copy(story, who, memory, their_memory, their_request);
		CALL(story, who, CAP_KEEP, cap_keep, false, .cap = their_request);
		if (i % 3 == 0 && their_request != 0) {
			struct call call = call_continue(arrival.id, their_request, true);
			tell(story, who, &call);
		} else if (i % 3 == 1) {
			CALL(story, who, FAIL, fail, false, .delivery = arrival.id, .status = FOS_DEVICE);
		} else {
			CALL(story, who, FINISH, finish, false, .delivery = arrival.id);
		}
	}
}

/* Revtree children of what is far and what is near, watched, given away, revoked. */
static void children(struct story *story, struct actor who, uint64_t cap, uint64_t other)
{
	for (unsigned i = 0; i < 4; i++) {
		uint64_t child =
			CALL(story, who, CAP_REVTREE, cap_revtree, false, .cap = cap, .tracked = i & 1);
		struct wire_call_monitor_receive receive = {.cap = child};
		struct call call;
		call_init(&call, WIRE_CALL_TYPE_MONITOR_RECEIVE, &receive, sizeof receive, false);
		call_submit(who, &call);
		call.type = WIRE_CALL_TYPE_MONITOR_DELEGATE;
		call_submit(who, &call);
		call = call_invoke(other, 0, 1000000);
		if (child != 0)
			call_cap(&call, 0, 3, call_slot(&call, child));
		tell(story, who, &call);
		struct call refinement = call_refinement(cap);
		((struct wire_call_request_refine *)(void *)refinement.fixed)->revocable = 1;
		bind_much(&refinement, cap, child);
		tell(story, who, &refinement);
		CALL(story, who, CAP_REVOKE, cap_revoke, false, .cap = child, .drain = i >> 1,
			 .time = 1000);
		CALL(story, who, CAP_CLOSE, cap_close, false, .cap = child);
	}
}

/* More than there are places for, none of them answered before the last has come. */
static void crowd(struct story *story, struct actor who, uint64_t far, uint64_t near,
				  uint64_t memory)
{
	for (unsigned i = 0; i < 5; i++)
		invoke(story, who, far, near, memory);
}

static void play(struct story *story)
{
	struct actor a = story->a, b = story->b;
	uint64_t root = CALL(story, a, REQUEST_CREATE, request_create, false, .handler = 1);
	CALL(story, a, REGISTRY_SET, registry_set, false, .cap = root);
	uint64_t far = CALL(story, b, REGISTRY_GET, registry_get, false, .time = 1000);
	for (unsigned i = 0; i < story->rounds; i++) {
		uint64_t near = CALL(story, b, REQUEST_CREATE, request_create, false, .handler = 2);
		uint64_t once =
			CALL(story, b, REQUEST_CREATE, request_create, false, .once = 1, .deadline = 5000);
		uint64_t b_memory =
			CALL(story, b, MEMORY_CREATE, memory_create, false, .length = 9000, .rights = 3);
		uint64_t a_memory =
			CALL(story, a, MEMORY_CREATE, memory_create, false, .length = 9000, .rights = 3);
		invoke(story, b, far, near, b_memory);
		invoke(story, b, far, once, b_memory);
		invoke(story, b, near, once, b_memory);
		crowd(story, b, far, near, b_memory);
		answer_all(story, a, a_memory);
		answer_all(story, b, b_memory);
		children(story, b, far, far);
		children(story, b, near, far);
	}
	world_tick(story->world, 2000000000);
}

/* When all is answered no place is kept for anybody, however many records were refused. */
static void settle_places(struct story *story)
{
	struct actor actors[] = {story->a, story->b};
	for (unsigned i = 0; i < BASE_COUNT(actors); i++) {
		struct arrival arrival;
		while (actor_arrival(actors[i], &arrival)) {
			actor_finish(actors[i], arrival.id);
			world_settle(story->world);
		}
	}
	for (unsigned i = 0; i < BASE_COUNT(actors); i++) {
		const struct process *process = core_process_find(actors[i].node->core, actors[i].process);
		assert_true(process == NULL || process->reserved == 0);
	}
}

/* False: there was no memory for the Process, or for a channel. */
static bool is_up(const struct world_node *node, const struct actor *actor)
{
	struct core_usage usage;
	return node->ended_processes == 0 && core_process_usage(node->core, actor->process, &usage);
}

/* `more` bytes beyond what was taken at the beginning. */
static void tell_with(uint64_t more, struct story *story)
{
	struct core_config config;
	core_config_default(&config);
	config.slice = 4096;
	config.limits.deliveries = 2;
	*story = (struct story){.world = world_new(2, &config), .rounds = 4};
	for (uint32_t i = 0; i < 2; i++) {
		struct core *core = story->world->nodes[i].core;
		core->pool.grown += elsewhere;
		uint64_t limit = core->pool.grown + more;
		core->config.limits.memory = core_memory_leaving(limit);
	}
	story->a = actor_new(story->world, A);
	story->b = actor_new(story->world, B);
	if (!is_up(&story->world->nodes[A], &story->a) || !is_up(&story->world->nodes[B], &story->b)) {
		assert_true(more < 256 << 10);
		world_end(story->world);
		story->world = NULL;
		return;
	}
	play(story);
	world_end(story->world);
}

static void memory_ends_anywhere(void **state)
{
	(void)state;
	struct story story;
	unsigned refused = 0;
	for (uint64_t more = 0; more < 640 << 10; more += 4 << 10) {
		tell_with(more, &story);
		refused += story.refused > 0;
	}
	assert_true(refused > 10);
	tell_with(64 << 20, &story);
	assert_int_equal(story.refused, 0);
	assert_true(story.done > 100);
}

static void any_record_is_refused(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.limits.deliveries = 2;
	unsigned refused = 0;
	/* As many as there are, until the one to be refused does not come any more. */
	bool came = true;
	for (uint64_t n = 1; came; n++) {
		struct story story = {.world = world_new(2, &config), .rounds = 2};
		story.a = actor_new(story.world, A);
		story.b = actor_new(story.world, B);
		allocations = 0;
		refuse_at = n;
		play(&story);
		refuse_at = 0;
		came = allocations >= n;
		refused += story.refused > 0;
		settle_places(&story);
		world_end(story.world);
	}
	assert_true(refused > 50);
}

enum { BLOCKS = 1 << 14 };
struct hoard { /* all that a core could still get, reserve included */
	struct core *core;
	void *blocks[BLOCKS];
	size_t sizes[BLOCKS];
	unsigned count;
};

static void take_all(struct hoard *hoard, struct core *core)
{
	hoard->core = core;
	hoard->count = 0;
	core->config.limits.memory = core->pool.grown;
	for (size_t size = 64; size <= 1024; size *= 2) {
		for (unsigned half = 0; half < 2; half++) {
			size_t room = core_pool_room(size + half * size / 2);
			void *block;
			while ((block = core_alloc_kept(core, room)) != NULL) {
				assert_true(hoard->count < BLOCKS);
				hoard->blocks[hoard->count] = block;
				hoard->sizes[hoard->count++] = room;
			}
		}
	}
}

static void give_back(struct hoard *hoard)
{
	for (unsigned i = 0; i < hoard->count; i++)
		core_free(hoard->core, hoard->blocks[i], hoard->sizes[i]);
}

static struct hoard hoards[2];

/* With no byte left in either core, what is lent is taken back, here and elsewhere, at once and
 * when there is something to wait for. */
static void revocations_have_their_room(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor owner = actor_new(world, A), maker = actor_new(world, B);
	uint64_t src = actor_memory(owner, 0, 5000, 3), dst = actor_memory(owner, 8192, 5000, 3);
	uint64_t near = actor_revtree(owner, src), lent = actor_give(owner, src, maker);
	/* One that ends with the session; its maker is unknown in the next. */
	struct actor other = actor_new(world, B);
	uint64_t old = actor_revtree(other, actor_give(maker, lent, other));
	world_rejoin(world, A, B);
	uint64_t busy = actor_revtree(maker, lent), idle = actor_revtree(maker, lent);
	uint64_t tracked = actor_tracked(maker, lent);
	world->hold_slices = true;
	struct call call = call_copy(actor_give(owner, dst, maker), busy, 0, 0);
	call_submit(maker, &call);
	call = call_copy(dst, near, 0, 0);
	call_submit(owner, &call);
	world_settle(world);
	for (uint32_t i = 0; i < 2; i++)
		take_all(&hoards[i], world->nodes[i].core);
	uint64_t cookies[6];
	const struct {
		struct actor who;
		uint64_t cap;
		bool drain;
		fos_status first;
	} revocations[] = {{maker, busy, false, FOS_STATUS_COUNT},
					   {owner, near, true, FOS_STATUS_COUNT},
					   {maker, idle, false, FOS_OK},
					   {maker, tracked, true, FOS_OK},
					   {other, old, true, FOS_OK},
					   {owner, src, false, FOS_STATUS_COUNT}};
	for (unsigned i = 0; i < BASE_COUNT(revocations); i++) {
		call = call_revoke(revocations[i].cap, revocations[i].drain, 0);
		cookies[i] = call_submit(revocations[i].who, &call);
		world_settle(world);
		fos_status status = call_status(revocations[i].who, cookies[i]);
		assert_int_equal(status, revocations[i].first);
	}
	world->hold_slices = false;
	world_settle(world);
	for (unsigned i = 0; i < BASE_COUNT(revocations); i++) {
		if (revocations[i].first == FOS_STATUS_COUNT)
			assert_int_equal(call_status(revocations[i].who, cookies[i]), FOS_OK);
	}
	for (uint32_t i = 0; i < 2; i++)
		give_back(&hoards[i]);
	world_end(world);
}

/* All memory is in calls that wait for a peer, and what is to be said of them at once takes more
 * room than they did. */
static void everything_is_said_at_once(void **state)
{
	(void)state;
	static uint64_t cookies[1 << 16];
	struct core_config config;
	core_config_default(&config);
	config.limits.memory = 6 << 20;
	struct world *world = world_new(2, &config);
	struct actor owner = actor_new(world, A), maker = actor_new(world, B);
	uint64_t lent = actor_give(owner, actor_memory(owner, 0, 64, 1), maker);
	world->hold[B][A][CORE_CONTROL] = true;
	struct call call = call_revtree(lent, false);
	unsigned count = 0;
	fos_status status;
	do {
		cookies[count] = call_submit(maker, &call);
		status = call_status(maker, cookies[count]);
	} while (status == FOS_STATUS_COUNT && ++count < BASE_COUNT(cookies));
	assert_int_equal(status, FOS_QUOTA);
	world_cut(world, A, B);
	assert_true(core_memory_grown(world->nodes[B].core) > config.limits.memory);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(call_status(maker, cookies[i]), FOS_PEER_LOST);
	world_end(world);
}

/* More ONCE Requests than a chunk of the table of deliveries holds end when there is no memory. */
static void once_requests_end_without_memory(void **state)
{
	(void)state;
	enum { COUNT = 300 };
	struct world *world = world_new(1, NULL);
	struct actor a = actor_new(world, A);
	uint64_t timed_out = actor_once(a, 1, 5000), invoked = 0;
	for (unsigned i = 1; i < COUNT; i++)
		invoked = actor_once(a, 1 + i, 5000);
	assert_true(timed_out != 0 && invoked != 0);
	refuse_all = true;
	struct call call = call_invoke(invoked, 0, 0);
	assert_int_equal(actor_call(a, &call, NULL), FOS_OK);
	world_tick(world, 10000);
	refuse_all = false;
	struct arrival arrival;
	for (unsigned i = 0; i < COUNT; i++) {
		assert_true(actor_arrival(a, &arrival));
		assert_int_equal(arrival.status, arrival.handler == COUNT ? FOS_OK : FOS_TIMED_OUT);
	}
	assert_false(actor_arrival(a, &arrival));
	world_end(world);
}

/* From now on nothing grows, but there are blocks of every size. */
static void stop_growing(struct core *core)
{
	enum { EACH = 8 };
	for (size_t size = 64; size <= 2048; size *= 2) {
		for (unsigned half = 0; half < 2; half++) {
			size_t room = core_pool_room(size + half * size / 2);
			void *blocks[EACH];
			for (unsigned i = 0; i < EACH; i++)
				assert_non_null(blocks[i] = core_alloc(core, room));
			for (unsigned i = 0; i < EACH; i++)
				core_free(core, blocks[i], room);
		}
	}
	core->config.limits.memory = core->pool.grown;
}

/* A call whose record there is room for, but whose number there is none for. */
static void is_refused(struct actor who, const struct call *call)
{
	uint64_t used = core_memory_used(who.node->core);
	struct core_usage before = actor_usage(who), after;
	uint64_t cookie = call_submit(who, call);
	struct wire_answer_monitored end;
	if (call->type == WIRE_CALL_TYPE_MONITOR_RECEIVE) {
		assert_true(monitor_ended(who, cookie, &end));
		assert_int_equal(end.status, FOS_QUOTA);
	} else {
		assert_int_equal(call_status(who, cookie), FOS_QUOTA);
	}
	after = actor_usage(who);
	assert_memory_equal(&before, &after, sizeof before);
	assert_int_equal(core_memory_used(who.node->core), used);
}

static void tables_that_cannot_grow(void **state)
{
	(void)state;
	enum { OBJECT, CHILD, MONITOR, COPY, TRANSFER, COUNT };
	for (int which = 0; which < COUNT; which++) {
		struct world *world = world_new(2, NULL);
		struct actor owner = actor_new(world, A), who = actor_new(world, B);
		struct wire_call_request_create create = {.handler = 1};
		struct wire_call_monitor_receive watch = {0};
		struct call call;
		uint64_t far = 0, near = 0;
		if (which != OBJECT) {
			far = watch.cap = actor_give(owner, actor_memory(owner, 0, 100, 3), who);
			near = actor_memory(who, 0, 100, 3);
		}
		if (which == TRANSFER) { /* the call gets its number, what it begins does not */
			call = call_copy(near, far, 0, 0);
			assert_int_equal(actor_ask(who, &call, NULL), FOS_OK);
		}
		if (which == CHILD) { /* the table's first part is used up */
			call = call_revtree(far, false);
			while (who.node->core->calls.used % TABLE_CHUNK != 0)
				call_submit(who, &call);
		}
		stop_growing(who.node->core);
		if (which == OBJECT)
			call_init(&call, WIRE_CALL_TYPE_REQUEST_CREATE, &create, sizeof create, false);
		else if (which == CHILD)
			call = call_revtree(far, false);
		else if (which == MONITOR)
			call_init(&call, WIRE_CALL_TYPE_MONITOR_RECEIVE, &watch, sizeof watch, false);
		else
			call = call_copy(near, which == COPY ? far : near, 0, 0);
		is_refused(who, &call);
		world_end(world);
	}
}

/* Of a monitor, here and elsewhere: the call that would wait is refused. */
static void any_record_of_a_monitor_is_refused(void **state)
{
	(void)state;
	for (uint32_t owner = A; owner <= B; owner++) {
		unsigned refused = 0;
		struct wire_answer_monitored end;
		do {
			struct world *world = world_new(2, NULL);
			struct actor maker = actor_new(world, owner), who = actor_new(world, B);
			uint64_t cap = actor_give(maker, actor_memory(maker, 0, 1, 3), who);
			allocations = 0;
			refuse_at++;
			uint64_t cookie = actor_monitor(who, cap, false);
			assert_int_equal(monitor_ended(who, cookie, &end), allocations >= refuse_at);
			if (allocations >= refuse_at) {
				assert_int_equal(end.status, FOS_QUOTA);
				assert_int_equal(actor_usage(who).monitors, 0);
				refused++;
			}
			world_end(world);
		} while (allocations >= refuse_at);
		refuse_at = 0;
		assert_int_equal(refused, 2); /* the monitor; its watcher, or word of its Process's end */
	}
}

/* Of a Process that attaches: it is ended, or its channel's loss ends it, and nothing is left. */
static void any_record_of_a_process_is_refused(void **state)
{
	(void)state;
	unsigned ended = 0;
	do {
		struct world *world = world_new(1, NULL);
		allocations = 0;
		refuse_at++;
		actor_new(world, A);
		ended += world->nodes[A].ended_processes > 0;
		world_end(world);
	} while (allocations >= refuse_at);
	refuse_at = 0;
	/* Itself, its channels, its segments, its room for revocations, each of two channels. */
	assert_int_equal(ended, 5 + LIMIT_REVOKINGS);
}

/* ------------------------------------------------------------------ an invocation not taken */

struct parked {
	struct world *world;
	struct actor client, server;
	uint64_t door, memory, sorry;
	struct arrival open;
};

static void invoke_with(struct parked *parked, uint8_t number)
{
	struct call call = call_invoke(parked->door, 0, UINT64_MAX);
	call_imm(&call, 0, 0, &number, 1);
	call_cap(&call, 0, 1, call_slot(&call, parked->memory));
	call.entries[0].on_error = (uint16_t)call_slot(&call, parked->sorry);
	assert_int_equal(actor_call(parked->client, &call, NULL), FOS_OK);
	world_settle(parked->world);
}

/* One place, taken by number 0; four wait for it. */
static struct parked parked_new(void)
{
	struct core_config config;
	core_config_default(&config);
	config.limits.deliveries = 1;
	struct parked parked = {.world = world_new(2, &config)};
	parked.client = actor_new(parked.world, A);
	parked.server = actor_new(parked.world, B);
	parked.door = actor_give(parked.server, actor_request(parked.server, 1), parked.client);
	parked.memory = actor_memory(parked.client, 0, 100, FOS_READ);
	parked.sorry = actor_request(parked.client, 2);
	for (uint8_t i = 0; i < 5; i++)
		invoke_with(&parked, i);
	assert_int_equal(actor_usage(parked.client).parked, 4);
	assert_true(actor_arrival(parked.server, &parked.open));
	return parked;
}

static void finish_and_expect(struct parked *parked, uint8_t number)
{
	assert_int_equal(actor_finish(parked->server, parked->open.id), FOS_OK);
	world_settle(parked->world);
	assert_true(actor_arrival(parked->server, &parked->open));
	assert_int_equal(parked->open.imm[0], number);
}

/* Whichever record the owner has none for: the retry is told of, its place goes to the next one,
 * and so do those that it told of. */
static void a_lost_retry_gives_its_place_on(void **state)
{
	(void)state;
	for (unsigned count = 1; count < 4; count++) {
		struct parked parked = parked_new();
		struct arrival told;
		victim = parked.world->nodes[B].core;
		refusals = count;
		finish_and_expect(&parked, (uint8_t)(1 + count));
		assert_int_equal(refusals, 0);
		for (unsigned i = 0; i < count; i++) {
			assert_true(actor_arrival(parked.client, &told));
			assert_int_equal(told.status, FOS_QUOTA);
			assert_int_equal(actor_finish(parked.client, told.id), FOS_OK);
			world_settle(parked.world);
		}
		for (unsigned i = 2 + count; i < 5; i++)
			finish_and_expect(&parked, (uint8_t)i);
		assert_int_equal(actor_finish(parked.server, parked.open.id), FOS_OK);
		assert_int_equal(actor_usage(parked.client).parked, 0);
		assert_int_equal(core_process_find(victim, parked.server.process)->reserved, 0);
		invoke_with(&parked, 9);
		assert_true(actor_arrival(parked.server, &parked.open));
		world_end(parked.world);
	}
	victim = NULL;
}

/* Its one delivery came and could not be read: what its maker gets says so. */
static void a_lost_answer_ends_the_once_request(void **state)
{
	(void)state;
	struct world *world = world_new(2, NULL);
	struct actor client = actor_new(world, A), server = actor_new(world, B);
	uint64_t once = actor_give(client, actor_once(client, 3, 1000000000), server);
	uint64_t memory = actor_memory(server, 0, 100, FOS_READ);
	struct call call = call_invoke(once, 0, 0);
	struct arrival end;
	call_cap(&call, 0, 1, call_slot(&call, memory));
	victim = world->nodes[A].core;
	refusals = 1;
	assert_int_equal(actor_call(server, &call, NULL), FOS_OK);
	world_settle(world);
	assert_int_equal(refusals, 0);
	victim = NULL;
	assert_true(actor_arrival(client, &end));
	assert_int_equal(end.handler, 3);
	assert_int_equal(end.status, FOS_QUOTA);
	world_tick(world, 2000000000);
	assert_false(actor_arrival(client, &end));
	world_end(world);
}

static void processes_and_sessions_end_at_their_limits(void **state)
{
	(void)state;
	struct core_config config;
	core_config_default(&config);
	config.limits.processes = 2;
	config.limits.sessions = 1;
	struct world *world = world_new(2, &config);
	struct world_node *node = &world->nodes[A];
	struct core_usage usage;
	actor_new(world, A);
	actor_new(world, A);
	assert_int_equal(node->ended_processes, 0);
	struct actor third = actor_new(world, A);
	assert_int_equal(node->ended_processes, 1);
	assert_string_equal(node->reason, "too many Processes");
	assert_false(core_process_usage(node->core, third.process, &usage));
	world_step(node, &(struct core_event){.type = CORE_SESSION_UP, .node = 2, .epoch = 0xe001});
	assert_int_equal(node->ended_sessions, 0);
	world_end(world);

	world = world_new(2, &config);
	world_cut(world, A, B);
	node = &world->nodes[A];
	node->core->config.limits.sessions = 0;
	world_step(node, &(struct core_event){.type = CORE_SESSION_UP, .node = 2, .epoch = 0xe001});
	assert_int_equal(node->ended_sessions, 1);
	assert_string_equal(node->reason, "too many sessions");
	world_end(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_ends_anywhere),
		cmocka_unit_test(any_record_is_refused),
		cmocka_unit_test(revocations_have_their_room),
		cmocka_unit_test(everything_is_said_at_once),
		cmocka_unit_test(once_requests_end_without_memory),
		cmocka_unit_test(tables_that_cannot_grow),
		cmocka_unit_test(any_record_of_a_monitor_is_refused),
		cmocka_unit_test(any_record_of_a_process_is_refused),
		cmocka_unit_test(a_lost_retry_gives_its_place_on),
		cmocka_unit_test(a_lost_answer_ends_the_once_request),
		cmocka_unit_test(processes_and_sessions_end_at_their_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
