/* Rights loops: every call that names a capability, with every type of it in every state, against
 * the status that the man pages specify. The table below is the specification; it was written from
 * them, row by row, and knows nothing of the code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/harness.h"

enum { A, B };

/* ------------------------------------------------------------------ types and states */

#define TYPES(X)                                               \
	X(MEMORY_0, "Memory without rights")                       \
	X(MEMORY_R, "Memory to read")                              \
	X(MEMORY_W, "Memory to write")                             \
	X(MEMORY_RW, "Memory to read and write")                   \
	X(PART, "Memory to read and write, diminished to reading") \
	X(CHILD_MEMORY, "a child of a Memory to read and write")   \
	X(CHILD_R, "a child of a Memory to read")                  \
	X(CHILD_W, "a child of a Memory to write")                 \
	X(TRACKED_MEMORY, "a tracked child of a Memory")           \
	X(REQUEST, "a Request")                                    \
	X(REFINED, "a Request with an immediate bound at 0")       \
	X(CHILD_REQUEST, "a child of a Request")                   \
	X(DEEPEST, "a child of a Request, as deep as there are")   \
	X(TRACKED, "a tracked child of a Request")                 \
	X(ONCE, "a ONCE Request")                                  \
	X(REFINED_ONCE, "a ONCE Request with more bound")          \
	X(CHILD_ONCE, "a child of a ONCE Request")                 \
	X(TRACKED_ONCE, "a tracked child of a ONCE Request")       \
	X(EXHAUSTED, "a ONCE Request after its delivery")

#define STATES(X)                                     \
	X(OWN, "own")                                     \
	X(HERE, "another's, this node")                   \
	X(THERE, "another's, another node")               \
	X(DEAD_OWN, "own, revoked")                       \
	X(DEAD_HERE, "another's, this node, revoked")     \
	X(DEAD_THERE, "another's, another node, revoked") \
	X(STALE, "of an earlier epoch")                   \
	X(DOWN, "of a node without a session")            \
	X(CLOSED, "closed")                               \
	X(NEVER, "never given")                           \
	X(FOREIGN, "a slot of another Process")

#define ACTIONS(X)                                       \
	X(CLOSE, "cap_close")                                \
	X(KEEP, "cap_keep")                                  \
	X(INFO, "cap_info")                                  \
	X(SAME, "cap_is_same with itself")                   \
	X(DIMINISH, "memory_diminish")                       \
	X(REFINE, "request_refine")                          \
	X(REFINE_AT_0, "request_refine at 0")                \
	X(INVOKE, "request_invoke")                          \
	X(CONTINUE, "continue")                              \
	X(ARGUMENT, "request_invoke with it as an argument") \
	X(ON_ERROR, "request_invoke with it as on_error")    \
	X(COPY_TO, "memory_copy to it")                      \
	X(COPY_FROM, "memory_copy from it")                  \
	X(THEN, "memory_copy with it as `then`")             \
	X(REVTREE, "cap_create_revtree")                     \
	X(REVTREE_TRACKED, "cap_create_revtree TRACKED")     \
	X(REVOCABLE, "request_refine REVOCABLE")             \
	X(REVOKE, "cap_revoke")                              \
	X(DRAIN, "cap_revoke DRAIN")                         \
	X(MONITOR, "monitor_receive")                        \
	X(DELEGATE, "monitor_delegate")                      \
	X(REGISTRY, "registry_set")                          \
	X(OTHER, "registry_get other than it")

#define ENUM(name, text) name,
#define TEXT(name, text) [name] = text,
enum type { TYPES(ENUM) TYPE_COUNT };
enum state { STATES(ENUM) STATE_COUNT };
enum action { ACTIONS(ENUM) ACTION_COUNT };
static const char *const type_names[] = {TYPES(TEXT)};
static const char *const state_names[] = {STATES(TEXT)};
static const char *const action_names[] = {ACTIONS(TEXT)};

/* ------------------------------------------------------------------ the specification */

enum { WAITS = FOS_STATUS_COUNT }; /* not completed while nothing happens */

#define M(type) (1u << (type))
enum {
	ALL = (1u << TYPE_COUNT) - 1,
	MEMORIES = M(MEMORY_0) | M(MEMORY_R) | M(MEMORY_W) | M(MEMORY_RW) | M(PART) | M(CHILD_MEMORY) |
			   M(CHILD_R) | M(CHILD_W) | M(TRACKED_MEMORY),
	READABLE =
		M(MEMORY_R) | M(MEMORY_RW) | M(PART) | M(CHILD_MEMORY) | M(CHILD_R) | M(TRACKED_MEMORY),
	WRITABLE = M(MEMORY_W) | M(MEMORY_RW) | M(CHILD_MEMORY) | M(CHILD_W) | M(TRACKED_MEMORY),
	ONCES = M(ONCE) | M(REFINED_ONCE) | M(CHILD_ONCE) | M(TRACKED_ONCE) | M(EXHAUSTED),
	TRACKEDS = M(TRACKED) | M(TRACKED_MEMORY) | M(TRACKED_ONCE),
	BOUND_AT_0 = M(REFINED) | M(REFINED_ONCE),
	REQUESTS = ALL & ~MEMORIES,
	BOUND = BOUND_AT_0 | ONCES | TRACKEDS /* what cannot be the registry */
};

struct rule {
	enum action action;
	unsigned types; /* the first rule that has the type is it */
	/* own, here, there; revoked: own, here, there; stale, down; closed, never, foreign */
	uint8_t status[STATE_COUNT];
};
#define NOT_HELD FOS_NO_CAP, FOS_NO_CAP, FOS_NO_CAP
#define HELD(s)                          \
	{                                    \
		s, s, s, s, s, s, s, s, NOT_HELD \
	}

static const struct rule rules[] = {
	/* Its name alone: the slot may hold what it likes. A closed name may be closed again. */
	{CLOSE,
	 ALL,
	 {FOS_OK, FOS_OK, FOS_OK, FOS_OK, FOS_OK, FOS_OK, FOS_OK, FOS_OK, FOS_OK, FOS_NO_CAP,
	  FOS_NO_CAP}},
	{KEEP, ALL, HELD(FOS_OK)},
	{INFO, ALL, HELD(FOS_OK)},
	{SAME, ALL, HELD(FOS_OK)},
	{ARGUMENT, ALL, HELD(FOS_OK)},
	{OTHER, ALL, HELD(FOS_OK)},

	/* Values: what the owner thinks of the object is not asked. */
	{DIMINISH, MEMORIES, HELD(FOS_OK)},
	{DIMINISH, REQUESTS, HELD(FOS_WRONG_TYPE)},
	{REFINE, MEMORIES, HELD(FOS_WRONG_TYPE)},
	{REFINE, REQUESTS, HELD(FOS_OK)},
	{REFINE_AT_0, MEMORIES, HELD(FOS_WRONG_TYPE)},
	{REFINE_AT_0, BOUND_AT_0, HELD(FOS_OVERLAP)},
	{REFINE_AT_0, REQUESTS, HELD(FOS_OK)},
	{ON_ERROR, MEMORIES, HELD(FOS_WRONG_TYPE)},
	{ON_ERROR, REQUESTS, HELD(FOS_OK)},

	/* Taken by the own Controller: what is dead afar is told to on_error. What comes too late for
	 * a ONCE Request is dropped. */
	{INVOKE, MEMORIES, HELD(FOS_WRONG_TYPE)},
	{INVOKE,
	 ONCES,
	 {FOS_OK, FOS_OK, FOS_OK, FOS_OK, FOS_OK, FOS_OK, FOS_STALE, FOS_PEER_LOST, NOT_HELD}},
	{INVOKE,
	 REQUESTS,
	 {FOS_OK, FOS_OK, FOS_OK, FOS_REVOKED, FOS_REVOKED, FOS_OK, FOS_STALE, FOS_PEER_LOST,
	  NOT_HELD}},
	{CONTINUE, MEMORIES, HELD(FOS_WRONG_TYPE)},
	{CONTINUE,
	 ONCES,
	 {FOS_OK, FOS_OK, FOS_OK, FOS_OK, FOS_OK, FOS_OK, FOS_STALE, FOS_PEER_LOST, NOT_HELD}},
	{CONTINUE,
	 REQUESTS,
	 {FOS_OK, FOS_OK, FOS_OK, FOS_REVOKED, FOS_REVOKED, FOS_OK, FOS_STALE, FOS_PEER_LOST,
	  NOT_HELD}},

	/* Rights come before the state of the object. */
	{COPY_TO, REQUESTS, HELD(FOS_WRONG_TYPE)},
	{COPY_TO, MEMORIES & ~WRITABLE, HELD(FOS_DENIED)},
	{COPY_TO,
	 WRITABLE,
	 {FOS_OK, FOS_OK, FOS_OK, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_STALE, FOS_PEER_LOST,
	  NOT_HELD}},
	{COPY_FROM, REQUESTS, HELD(FOS_WRONG_TYPE)},
	{COPY_FROM, MEMORIES & ~READABLE, HELD(FOS_DENIED)},
	{COPY_FROM,
	 READABLE,
	 {FOS_OK, FOS_OK, FOS_OK, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_STALE, FOS_PEER_LOST,
	  NOT_HELD}},
	{THEN, MEMORIES, HELD(FOS_WRONG_TYPE)},
	{THEN, REQUESTS, HELD(FOS_OK)},

	/* The owner makes children: of what is alive, not too deep. */
	{REVTREE,
	 M(EXHAUSTED),
	 {FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_STALE,
	  FOS_PEER_LOST, NOT_HELD}},
	{REVTREE,
	 M(DEEPEST),
	 {FOS_INVALID, FOS_INVALID, FOS_INVALID, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_STALE,
	  FOS_PEER_LOST, NOT_HELD}},
	{REVTREE,
	 ALL,
	 {FOS_OK, FOS_OK, FOS_OK, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_STALE, FOS_PEER_LOST,
	  NOT_HELD}},
	{REVTREE_TRACKED,
	 M(EXHAUSTED),
	 {FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_STALE,
	  FOS_PEER_LOST, NOT_HELD}},
	{REVTREE_TRACKED,
	 M(DEEPEST),
	 {FOS_INVALID, FOS_INVALID, FOS_INVALID, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_STALE,
	  FOS_PEER_LOST, NOT_HELD}},
	{REVTREE_TRACKED,
	 ALL,
	 {FOS_OK, FOS_OK, FOS_OK, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_STALE, FOS_PEER_LOST,
	  NOT_HELD}},
	{REVOCABLE, MEMORIES, HELD(FOS_WRONG_TYPE)},
	{REVOCABLE,
	 M(EXHAUSTED),
	 {FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_STALE,
	  FOS_PEER_LOST, NOT_HELD}},
	{REVOCABLE,
	 M(DEEPEST),
	 {FOS_INVALID, FOS_INVALID, FOS_INVALID, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_STALE,
	  FOS_PEER_LOST, NOT_HELD}},
	{REVOCABLE,
	 REQUESTS,
	 {FOS_OK, FOS_OK, FOS_OK, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_STALE, FOS_PEER_LOST,
	  NOT_HELD}},

	/* Only its maker; of what is gone altogether the maker is not known any more. */
	{REVOKE,
	 M(EXHAUSTED),
	 {FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_STALE,
	  FOS_OUTCOME_UNKNOWN, NOT_HELD}},
	{REVOKE,
	 ALL,
	 {FOS_OK, FOS_DENIED, FOS_DENIED, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_STALE,
	  FOS_OUTCOME_UNKNOWN, NOT_HELD}},
	{DRAIN,
	 M(EXHAUSTED),
	 {FOS_OK, FOS_OK, FOS_OK, FOS_OK, FOS_OK, FOS_OK, FOS_STALE, FOS_OUTCOME_UNKNOWN, NOT_HELD}},
	{DRAIN,
	 ALL,
	 {FOS_OK, FOS_DENIED, FOS_DENIED, FOS_OK, FOS_OK, FOS_OK, FOS_STALE, FOS_OUTCOME_UNKNOWN,
	  NOT_HELD}},

	/* Fires at once where the capability is dead, or cannot be watched. */
	{MONITOR,
	 M(EXHAUSTED),
	 {FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_STALE,
	  FOS_PEER_LOST, NOT_HELD}},
	{MONITOR,
	 ALL,
	 {WAITS, WAITS, WAITS, FOS_REVOKED, FOS_REVOKED, FOS_REVOKED, FOS_STALE, FOS_PEER_LOST,
	  NOT_HELD}},
	{DELEGATE,
	 TRACKEDS,
	 {WAITS, FOS_DENIED, FOS_DENIED, FOS_REVOKED, FOS_DENIED, FOS_DENIED, FOS_NO_CAP, FOS_NO_CAP,
	  NOT_HELD}},
	{DELEGATE, ALL, HELD(FOS_WRONG_TYPE)},

	/* Only an own Request, plain and lasting. */
	{REGISTRY, MEMORIES, HELD(FOS_WRONG_TYPE)},
	{REGISTRY,
	 M(EXHAUSTED),
	 {FOS_REVOKED, FOS_REVOKED, FOS_DENIED, FOS_REVOKED, FOS_REVOKED, FOS_DENIED, FOS_DENIED,
	  FOS_DENIED, NOT_HELD}},
	{REGISTRY,
	 BOUND,
	 {FOS_INVALID, FOS_DENIED, FOS_DENIED, FOS_REVOKED, FOS_REVOKED, FOS_DENIED, FOS_DENIED,
	  FOS_DENIED, NOT_HELD}},
	{REGISTRY,
	 REQUESTS,
	 {FOS_OK, FOS_DENIED, FOS_DENIED, FOS_REVOKED, FOS_REVOKED, FOS_DENIED, FOS_DENIED, FOS_DENIED,
	  NOT_HELD}},
};

/* A session's end closes the slots of that owner's tracked children; a closed one may be closed. */
static unsigned expected(enum action action, enum type type, enum state state)
{
	if ((M(type) & TRACKEDS) && (state == STALE || state == DOWN))
		return action == CLOSE ? FOS_OK : FOS_NO_CAP;
	for (unsigned i = 0; i < BASE_COUNT(rules); i++) {
		if (rules[i].action == action && (rules[i].types & M(type)))
			return rules[i].status[state];
	}
	fail_msg("no rule for %s of %s", action_names[action], type_names[type]);
	return WAITS;
}

/* ------------------------------------------------------------------ making them */

struct scene {
	struct world *world;
	struct actor me, maker;
	uint64_t cap;       /* mine */
	uint64_t made;      /* the maker's */
	uint64_t room, bit; /* own Memory, large and small */
	uint64_t sink;
	uint64_t delivery;
};

static uint64_t of_call(struct actor actor, const struct call *call)
{
	uint64_t cap;
	assert_int_equal(actor_call(actor, call, &cap), FOS_OK);
	return cap;
}

static uint64_t refined(struct actor actor, uint64_t request)
{
	struct call call = call_refinement(request);
	call_imm(&call, 0, 0, "bound", 5);
	return of_call(actor, &call);
}

static uint64_t part(struct actor actor, uint64_t memory)
{
	const struct wire_call_memory_diminish fixed = {
		.cap = memory, .offset = 100, .length = 500, .drop = FOS_WRITE};
	struct call call;
	call_init(&call, WIRE_CALL_TYPE_MEMORY_DIMINISH, &fixed, sizeof fixed, false);
	return of_call(actor, &call);
}

static uint64_t deepest(struct actor actor, uint64_t cap)
{
	for (unsigned i = 0; i < FOS_REVTREE_MAX; i++)
		cap = actor_revtree(actor, cap);
	return cap;
}

static uint64_t make(struct actor maker, enum type type)
{
	switch (type) {
	case MEMORY_0:
	case MEMORY_R:
	case MEMORY_W:
	case MEMORY_RW:
		return actor_memory(maker, 0, 1000, (uint32_t)(type - MEMORY_0));
	case PART:
		return part(maker, actor_memory(maker, 0, 1000, 3));
	case CHILD_MEMORY:
		return actor_revtree(maker, actor_memory(maker, 0, 1000, 3));
	case CHILD_R:
		return actor_revtree(maker, actor_memory(maker, 0, 1000, FOS_READ));
	case CHILD_W:
		return actor_revtree(maker, actor_memory(maker, 0, 1000, FOS_WRITE));
	case TRACKED_MEMORY:
		return actor_tracked(maker, actor_memory(maker, 0, 1000, 3));
	case REQUEST:
		return actor_request(maker, 1);
	case REFINED:
		return refined(maker, actor_request(maker, 1));
	case CHILD_REQUEST:
		return actor_revtree(maker, actor_request(maker, 1));
	case DEEPEST:
		return deepest(maker, actor_request(maker, 1));
	case TRACKED:
		return actor_tracked(maker, actor_request(maker, 1));
	case REFINED_ONCE:
		return refined(maker, actor_once(maker, 1, 0));
	case CHILD_ONCE:
		return actor_revtree(maker, actor_once(maker, 1, 0));
	case TRACKED_ONCE:
		return actor_tracked(maker, actor_once(maker, 1, 0));
	case ONCE:
	case EXHAUSTED:
		return actor_once(maker, 1, 0);
	case TYPE_COUNT:
		break;
	}
	fail();
	return 0;
}

static void begin(struct scene *scene, enum type type, enum state state)
{
	struct arrival arrival;
	bool here = state == OWN || state == DEAD_OWN || state == CLOSED;
	bool other = state == HERE || state == DEAD_HERE || state == FOREIGN;
	*scene = (struct scene){.world = world_new(2, NULL)};
	scene->me = actor_new(scene->world, A);
	scene->maker = here ? scene->me : actor_new(scene->world, other ? A : B);
	scene->room = actor_memory(scene->me, 4000, 2000, 3);
	scene->bit = actor_memory(scene->me, 8000, 100, 3);
	scene->sink = actor_request(scene->me, 99);
	/* A foreign name must not be one of ours by chance. */
	for (unsigned i = 0; state == FOREIGN && i < 60; i++)
		actor_request(scene->maker, 5);
	scene->made = make(scene->maker, type);
	scene->cap =
		here || state == FOREIGN ? scene->made : actor_give(scene->maker, scene->made, scene->me);
	if (state == NEVER)
		scene->cap = (uint64_t)3 << 20 | 1000;
	if (type == EXHAUSTED) {
		assert_int_equal(actor_invoke(scene->maker, scene->made), FOS_OK);
		while (actor_arrival(scene->maker, &arrival))
			actor_finish(scene->maker, arrival.id);
	}
	if ((state == DEAD_OWN || state == DEAD_HERE || state == DEAD_THERE) && type != EXHAUSTED)
		assert_int_equal(actor_revoke(scene->maker, scene->made), FOS_OK);
	if (state == CLOSED)
		assert_int_equal(actor_close(scene->me, scene->cap), FOS_OK);
	if (state == STALE)
		world_reboot(scene->world, B);
	if (state == DOWN)
		world_cut(scene->world, A, B);
	world_settle(scene->world);
	assert_int_equal(actor_invoke(scene->me, scene->sink), FOS_OK);
	while (actor_arrival(scene->me, &arrival))
		scene->delivery = arrival.id;
}

/* ------------------------------------------------------------------ doing it */

#define CALL(NAME, name, args, ...)                                             \
	({                                                                          \
		const struct wire_call_##name fixed_ = {__VA_ARGS__};                   \
		struct call call_;                                                      \
		call_init(&call_, WIRE_CALL_TYPE_##NAME, &fixed_, sizeof fixed_, args); \
		call_;                                                                  \
	})

static struct call refine_call(uint64_t cap, uint32_t at, bool revocable)
{
	struct call call =
		CALL(REQUEST_REFINE, request_refine, true, .cap = cap, .revocable = revocable);
	call_imm(&call, 0, at, "more", 4);
	return call;
}

static struct call sink_call(const struct scene *scene, bool on_error)
{
	struct call call = call_invoke(scene->sink, 0, 0);
	unsigned entry = call_slot(&call, scene->cap);
	if (on_error)
		call.entries[0].on_error = (uint16_t)entry;
	else
		call_cap(&call, 0, 3, entry);
	return call;
}

static struct call then_call(const struct scene *scene)
{
	struct call call = call_copy(scene->room, scene->bit, 0, 0);
	call_cap(&call, 0, FOS_NEXT, call_slot(&call, scene->cap));
	return call;
}

static struct call call_of(const struct scene *scene, enum action action)
{
	uint64_t cap = scene->cap;
	switch (action) {
	case CLOSE:
		return CALL(CAP_CLOSE, cap_close, false, .cap = cap);
	case KEEP:
		return CALL(CAP_KEEP, cap_keep, false, .cap = cap);
	case SAME:
		return CALL(CAP_IS_SAME, cap_is_same, false, .a = cap, .b = cap);
	case DIMINISH:
		return CALL(MEMORY_DIMINISH, memory_diminish, false, .cap = cap, .length = 10);
	case REFINE:
		return refine_call(cap, 1000, false);
	case REFINE_AT_0:
		return refine_call(cap, 0, false);
	case REVOCABLE:
		return refine_call(cap, 1000, true);
	case INVOKE:
		return call_invoke(cap, 0, 0);
	case CONTINUE:
		return call_continue(scene->delivery, cap, false);
	case ARGUMENT:
	case ON_ERROR:
		return sink_call(scene, action == ON_ERROR);
	case COPY_TO:
		return call_copy(cap, scene->bit, 0, 0);
	case COPY_FROM:
		return call_copy(scene->room, cap, 0, 0);
	case THEN:
		return then_call(scene);
	case REVTREE:
	case REVTREE_TRACKED:
		return call_revtree(cap, action == REVTREE_TRACKED);
	case REVOKE:
	case DRAIN:
		return call_revoke(cap, action == DRAIN, 0);
	case REGISTRY:
		return CALL(REGISTRY_SET, registry_set, false, .cap = cap);
	case OTHER:
		return CALL(REGISTRY_GET, registry_get, false, .other = cap);
	case INFO:
	case MONITOR:
	case DELEGATE:
	case ACTION_COUNT:
		break;
	}
	fail();
	return (struct call){0};
}

/* Another registry than what is named, so that asking for another one has an answer. */
static void another_registry(const struct scene *scene)
{
	struct call call =
		CALL(REGISTRY_SET, registry_set, false, .cap = actor_request(scene->me, 0xfeed));
	assert_int_equal(actor_call(scene->me, &call, NULL), FOS_OK);
}

static unsigned status_of(const struct scene *scene, enum action action)
{
	struct wire_answer_info info;
	struct wire_answer_monitored monitored;
	if (action == INFO)
		return actor_info(scene->me, scene->cap, &info);
	if (action == MONITOR || action == DELEGATE) {
		uint64_t cookie = actor_monitor(scene->me, scene->cap, action == DELEGATE);
		world_settle(scene->world);
		return monitor_ended(scene->me, cookie, &monitored) ? monitored.status : WAITS;
	}
	if (action == OTHER)
		another_registry(scene);
	struct call call = call_of(scene, action);
	uint64_t cookie = call_submit(scene->me, &call);
	world_settle(scene->world);
	return (unsigned)call_status(scene->me, cookie);
}

/* ------------------------------------------------------------------ the loops */

static const char *name_of(unsigned status)
{
	return status == WAITS ? "waits" : fos_status_name((fos_status)status);
}

static void every_call_type_and_state(void **state)
{
	(void)state;
	unsigned wrong = 0;
	for (enum type type = 0; type < TYPE_COUNT; type++) {
		for (enum state held = 0; held < STATE_COUNT; held++) {
			for (enum action action = 0; action < ACTION_COUNT; action++) {
				struct scene scene;
				begin(&scene, type, held);
				unsigned is = status_of(&scene, action), should = expected(action, type, held);
				if (is != should)
					print_error("%s of %s, %s: %s, not %s\n", action_names[action],
								type_names[type], state_names[held], name_of(is), name_of(should));
				wrong += is != should;
				world_end(scene.world);
			}
		}
	}
	assert_int_equal(wrong, 0);
}

/* memory_copy needs a right on each side, wherever the two are. */
static void both_rights_of_a_copy(void **state)
{
	(void)state;
	for (unsigned places = 0; places < 4; places++) {
		struct world *world = world_new(3, NULL);
		struct actor me = actor_new(world, A), src = actor_new(world, places & 1),
					 dst = actor_new(world, places & 2);
		for (uint32_t from = 0; from < 4; from++) {
			for (uint32_t to = 0; to < 4; to++) {
				uint64_t a = actor_give(src, actor_memory(src, 0, 100, from), me);
				uint64_t b = actor_give(dst, actor_memory(dst, 4096, 100, to), me);
				struct call call = call_copy(b, a, 0, 0);
				uint64_t cookie = call_submit(me, &call);
				memset(actor_arena(src), (int)(1 + from), 100);
				memset(actor_arena(dst) + 4096, 0, 100);
				world_settle(world);
				bool may = (from & FOS_READ) && (to & FOS_WRITE);
				assert_int_equal(call_status(me, cookie), may ? FOS_OK : FOS_DENIED);
				assert_int_equal(actor_arena(dst)[4096 + 99], may ? (int)(1 + from) : 0);
			}
		}
		world_end(world);
	}
}

/* Rights only shrink: whatever is dropped in whatever order, never more than was there. */
static void rights_only_shrink(void **state)
{
	(void)state;
	for (uint32_t rights = 0; rights < 4; rights++) {
		for (uint32_t drop = 0; drop < 16; drop++) {
			struct world *world = world_new(1, NULL);
			struct actor me = actor_new(world, A);
			uint64_t cap = actor_memory(me, 0, 1000, rights);
			uint32_t steps[] = {drop & 3, drop >> 2};
			uint64_t length = 1000;
			uint32_t left = rights;
			for (unsigned i = 0; i < 2; i++) {
				struct call call = CALL(MEMORY_DIMINISH, memory_diminish, false, .cap = cap,
										.offset = 10, .length = length - 10, .drop = steps[i]);
				cap = of_call(me, &call);
				struct call wide = CALL(MEMORY_DIMINISH, memory_diminish, false, .cap = cap,
										.offset = 1, .length = length - 10);
				assert_int_equal(actor_call(me, &wide, NULL), FOS_RANGE);
				left &= ~steps[i];
				length -= 10;
				struct wire_answer_info info;
				assert_int_equal(actor_info(me, cap, &info), FOS_OK);
				assert_int_equal(info.rights, left);
				assert_int_equal(info.length, length);
			}
			world_end(world);
		}
	}
}

/* cap_info tells of each type what its maker and another may know of it. */
static void what_info_tells(void **state)
{
	(void)state;
	for (enum type type = 0; type < TYPE_COUNT; type++) {
		for (enum state held = OWN; held <= THERE; held++) {
			struct scene scene;
			struct wire_answer_info info;
			begin(&scene, type, held);
			assert_int_equal(actor_info(scene.me, scene.cap, &info), FOS_OK);
			bool memory = (MEMORIES & M(type)) != 0, own = held == OWN && type != EXHAUSTED;
			assert_int_equal(info.kind, memory ? FOS_MEMORY : FOS_REQUEST);
			assert_int_equal(info.once, (ONCES & M(type)) != 0);
			assert_int_equal(info.tracked, (TRACKEDS & M(type)) != 0);
			assert_int_equal(info.own, own);
			assert_int_equal(info.revocable, own);
			assert_int_equal(info.node, held == THERE ? B + 1 : A + 1);
			assert_true(info.reachable);
			world_end(scene.world);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_type_and_state),
		cmocka_unit_test(both_rights_of_a_copy),
		cmocka_unit_test(rights_only_shrink),
		cmocka_unit_test(what_info_tells),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
