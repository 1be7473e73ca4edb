/* The oracle: what it must not complain of, and that each of its rules can be broken. Real cores
 * play a scene; what they put out is shown to the oracle, in the second playing falsely. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <string.h>

#include "sim/scene.h"

/* ------------------------------------------------------------------ what happens in the scene */

static uint64_t invoke(struct scene *scene, struct actor actor, uint64_t cap, uint64_t arg,
					   uint64_t on_error)
{
	struct wire_call_request_invoke fixed = {.cap = cap, .trace = ++scene->traces};
	struct call call;
	uint64_t tag = scene->traces;
	call_init(&call, WIRE_CALL_TYPE_REQUEST_INVOKE, &fixed, sizeof fixed, true);
	call_imm(&call, 0, 8, &tag, sizeof tag);
	if (arg != 0)
		call_cap(&call, 0, 3, call_slot(&call, arg));
	if (on_error != 0)
		call.entries[0].on_error = (uint16_t)call_slot(&call, on_error);
	return call_submit(actor, &call);
}

static void finish_all(struct actor actor)
{
	struct arrival arrival;
	while (actor_arrival(actor, &arrival))
		actor_finish(actor, arrival.id);
}

/* Every kind of call, over three nodes, with a revocation and a broken link. */
static void play(struct scene *scene)
{
	struct actor a = scene->a, b = scene->b, c = scene->c;
	uint64_t request = actor_request(b, 7), memory = actor_memory(b, 0, 10000, 3);
	uint64_t errors = actor_request(a, 9), once = actor_once(a, 11, 3000000000u);
	uint64_t far_request = actor_give(b, request, a), far_memory = actor_give(b, memory, a);
	uint64_t own = actor_memory(a, 5000, 10000, 3), source = actor_memory(c, 100, 9000, FOS_READ);
	uint64_t far_source = actor_give(c, source, a);
	for (unsigned i = 0; i < 6; i++)
		invoke(scene, a, far_request, i % 2 ? own : once, errors);
	world_settle(scene->world);
	finish_all(b);
	world_settle(scene->world);
	finish_all(b);
	struct call copy = call_copy(far_memory, far_source, 0, 0);
	call_submit(a, &copy);
	copy = call_copy(own, far_source, 0, 0);
	call_submit(a, &copy);
	world_settle(scene->world);
	uint64_t child = actor_revtree(a, far_request);
	invoke(scene, a, child, 0, errors);
	world_settle(scene->world);
	struct arrival arrival;
	assert_true(actor_arrival(b, &arrival));
	assert_int_equal(actor_fail(b, arrival.id, FOS_DEVICE, "so it goes"), FOS_OK);
	world_settle(scene->world);
	finish_all(a);
	actor_revoke(b, memory);
	copy = call_copy(far_memory, own, 0, 0);
	call_submit(a, &copy);
	world_settle(scene->world);
	actor_close(a, far_source);
	world_tick(scene->world, 4000000000u); /* past the deadline of `once` */
	finish_all(a);
}

static void is_content_with_cores(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene, NULL);
	play(&scene);
	conclude(&scene);
	assert_string_equal(oracle_reason(scene.oracle), "");
	const struct oracle_counts *counts = oracle_counts(scene.oracle);
	assert_true(counts->deliveries > 8 && counts->exceptions >= 2 && counts->slices >= 6);
	assert_int_equal(counts->lost, 0);
	end(&scene);
}

/* ------------------------------------------------------------------ lies */

static struct wire_record *head_of(const struct core_output *out)
{
	return (struct wire_record *)(void *)(uintptr_t)out->bytes;
}

static struct wire_answer_completion *completion_of(const struct core_output *out)
{
	if (out->type != CORE_RECORD || head_of(out)->type != WIRE_ANSWER_TYPE_COMPLETION)
		return NULL;
	return (void *)head_of(out);
}

static struct wire_answer_delivery *delivery_of(const struct core_output *out, uint64_t handler)
{
	if (out->type != CORE_RECORD || head_of(out)->type != WIRE_ANSWER_TYPE_DELIVERY ||
		head_of(out)->cookie != handler)
		return NULL;
	return (void *)head_of(out);
}

static bool first(struct scene *scene)
{
	return scene->lies++ == 0;
}

static bool wrong_status(struct scene *scene, const struct world_node *node,
						 struct core_output *out)
{
	struct wire_answer_completion *answer = completion_of(out);
	if (answer != NULL && answer->status == FOS_OK && answer->cap == 0 && first(scene))
		answer->status = FOS_REVOKED;
	return true;
}

static bool unknown_without_fault(struct scene *scene, const struct world_node *node,
								  struct core_output *out)
{
	struct wire_answer_completion *answer = completion_of(out);
	if (answer != NULL && answer->status == FOS_OK && answer->cap == 0 && first(scene))
		answer->status = FOS_OUTCOME_UNKNOWN;
	return true;
}

static bool quota_without_limit(struct scene *scene, const struct world_node *node,
								struct core_output *out)
{
	struct wire_answer_completion *answer = completion_of(out);
	if (answer != NULL && answer->status == FOS_OK && answer->cap != 0 && first(scene)) {
		answer->status = FOS_QUOTA;
		answer->cap = 0;
	}
	return true;
}

static bool no_completion(struct scene *scene, const struct world_node *node,
						  struct core_output *out)
{
	return completion_of(out) == NULL || !first(scene);
}

static bool completed_twice(struct scene *scene, const struct world_node *node,
							struct core_output *out)
{
	if (completion_of(out) != NULL && first(scene))
		oracle_output(scene->oracle, node->number, out);
	return true;
}

static bool delivered_twice(struct scene *scene, const struct world_node *node,
							struct core_output *out)
{
	if (delivery_of(out, 7) != NULL && first(scene))
		oracle_output(scene->oracle, node->number, out);
	return true;
}

static bool lost_delivery(struct scene *scene, const struct world_node *node,
						  struct core_output *out)
{
	/* The last of them, so that no later one overtakes it. */
	return delivery_of(out, 7) == NULL || scene->lies++ != 6;
}

static bool overtaken(struct scene *scene, const struct world_node *node, struct core_output *out)
{
	return delivery_of(out, 7) == NULL || !first(scene);
}

static bool other_bytes(struct scene *scene, const struct world_node *node, struct core_output *out)
{
	if (delivery_of(out, 7) != NULL && first(scene))
		scene->bytes[out->size - 8] ^= 1;
	return true;
}

static bool other_channel(struct scene *scene, const struct world_node *node,
						  struct core_output *out)
{
	if (delivery_of(out, 7) != NULL && first(scene))
		out->channel ^= 1;
	return true;
}

static bool other_handler(struct scene *scene, const struct world_node *node,
						  struct core_output *out)
{
	if (delivery_of(out, 7) != NULL && first(scene))
		head_of(out)->cookie = 8;
	return true;
}

static bool more_rights(struct scene *scene, const struct world_node *node, struct core_output *out)
{
	struct wire_answer_delivery *delivery = delivery_of(out, 0xfeed);
	if (delivery == NULL || delivery->cap_count == 0)
		return true;
	struct wire_delivered *cap =
		(void *)((struct wire_range *)(void *)(delivery + 1) + delivery->range_count);
	if (cap->kind == FOS_MEMORY && cap->rights == FOS_READ && first(scene))
		cap->rights |= FOS_WRITE;
	return true;
}

static bool more_time(struct scene *scene, const struct world_node *node, struct core_output *out)
{
	struct wire_answer_delivery *delivery = delivery_of(out, 7);
	if (delivery != NULL && first(scene))
		delivery->time_left++;
	return true;
}

static bool less_time(struct scene *scene, const struct world_node *node, struct core_output *out)
{
	struct wire_answer_delivery *delivery = delivery_of(out, 7);
	if (delivery != NULL && first(scene))
		delivery->time_left--;
	return true;
}

static struct wire_exception *exception_of(const struct core_output *out)
{
	struct wire_answer_delivery *delivery = delivery_of(out, 9);
	if (delivery == NULL || !delivery->exception)
		return NULL;
	return (void *)((struct wire_range *)(void *)(delivery + 1) + delivery->range_count);
}

static bool other_words(struct scene *scene, const struct world_node *node, struct core_output *out)
{
	struct wire_exception *exception = exception_of(out);
	if (exception != NULL && first(scene))
		*(uint8_t *)(exception + 1) ^= 1;
	return true;
}

static bool in_another_name(struct scene *scene, const struct world_node *node,
							struct core_output *out)
{
	struct wire_exception *exception = exception_of(out);
	if (exception != NULL && strchr(exception->where, '/') != NULL && first(scene))
		strchr(exception->where, '/')[1] ^= 1;
	return true;
}

static bool of_another_place(struct scene *scene, const struct world_node *node,
							 struct core_output *out)
{
	struct wire_answer_delivery *delivery = delivery_of(out, 7);
	if (delivery == NULL || delivery->cap_count == 0)
		return true;
	struct wire_delivered *cap =
		(void *)((struct wire_range *)(void *)(delivery + 1) + delivery->range_count);
	if (cap->kind == FOS_MEMORY && first(scene))
		cap->segment = 1;
	return true;
}

static bool no_span(struct scene *scene, const struct world_node *node, struct core_output *out)
{
	return out->type != CORE_SPAN || out->span.kind != CORE_SPAN_DELIVERY || !first(scene);
}

static bool other_span(struct scene *scene, const struct world_node *node, struct core_output *out)
{
	if (out->type == CORE_SPAN && out->span.kind == CORE_SPAN_DELIVERY && first(scene))
		out->span.status = FOS_DEVICE;
	return true;
}

static bool exception_out_of_time(struct scene *scene, const struct world_node *node,
								  struct core_output *out)
{
	struct wire_answer_delivery *delivery = delivery_of(out, 9);
	if (delivery != NULL && delivery->exception && first(scene))
		delivery->time_left--;
	return true;
}

static bool forged_exception(struct scene *scene, const struct world_node *node,
							 struct core_output *out)
{
	struct wire_answer_delivery *delivery = delivery_of(out, 9);
	if (delivery == NULL || !delivery->exception || !first(scene))
		return true;
	struct wire_exception *exception =
		(void *)((struct wire_range *)(void *)(delivery + 1) + delivery->range_count);
	exception->status = FOS_PEER_LOST;
	return true;
}

static bool early_deadline(struct scene *scene, const struct world_node *node,
						   struct core_output *out)
{
	const struct wire_answer_delivery *delivery = delivery_of(out, 7);
	if (delivery == NULL || !first(scene))
		return true;
	/* A ONCE Request's end before its time, for the one of process a. */
	struct {
		struct wire_answer_delivery delivery;
		struct wire_exception exception;
	} forged = {.delivery = {.header = {sizeof forged, WIRE_ANSWER_TYPE_DELIVERY, 0, 11},
							 .delivery = 1 << 20 | 9,
							 .exception = true},
				.exception = {.status = FOS_TIMED_OUT, .node = A + 1}};
	struct core_output shown = {.type = CORE_RECORD,
								.process = scene->a.process,
								.bytes = (const uint8_t *)&forged,
								.size = sizeof forged};
	oracle_output(scene->oracle, A + 1, &shown);
	return true;
}

static bool no_deadline(struct scene *scene, const struct world_node *node, struct core_output *out)
{
	return delivery_of(out, 11) == NULL || !first(scene);
}

static bool reads_elsewhere(struct scene *scene, const struct world_node *node,
							struct core_output *out)
{
	if (out->type == CORE_SEND_SLICE && first(scene))
		out->from.offset += 8;
	return true;
}

static bool writes_elsewhere(struct scene *scene, const struct world_node *node,
							 struct core_output *out)
{
	if (out->type == CORE_PLACE && first(scene))
		out->to.offset += 8;
	return true;
}

static bool loses_a_slice(struct scene *scene, const struct world_node *node,
						  struct core_output *out)
{
	return out->type != CORE_PLACE || scene->lies++ != 2;
}

static bool ends_session(struct scene *scene, const struct world_node *node,
						 struct core_output *out)
{
	struct core_output more = {.type = CORE_END_SESSION, .node = node->number == 1 ? 2 : 1};
	if (delivery_of(out, 7) != NULL && first(scene))
		oracle_output(scene->oracle, node->number, &more);
	return true;
}

static bool ends_process(struct scene *scene, const struct world_node *node,
						 struct core_output *out)
{
	struct core_output more = {.type = CORE_END_PROCESS, .process = out->process};
	if (delivery_of(out, 7) != NULL && first(scene))
		oracle_output(scene->oracle, node->number, &more);
	return true;
}

static bool malformed(struct scene *scene, const struct world_node *node, struct core_output *out)
{
	if (completion_of(out) != NULL && first(scene))
		completion_of(out)->header.zero = 1;
	return true;
}

static bool other_slot(struct scene *scene, const struct world_node *node, struct core_output *out)
{
	struct wire_answer_completion *answer = completion_of(out);
	if (answer != NULL && answer->cap != 0 && scene->lies++ == 5)
		answer->cap--; /* a slot that holds another capability, or was given out before */
	return true;
}

struct falsehood {
	const char *name;
	lie lie;
	const char *reason; /* part of what the oracle must say */
};

static const struct falsehood falsehoods[] = {
	{"wrong status", wrong_status, "nothing explains"},
	{"unknown without a fault", unknown_without_fault, "nothing explains"},
	{"quota without a limit", quota_without_limit, "nothing explains"},
	{"no completion", no_completion, "was not completed"},
	{"completed twice", completed_twice, "completed before"},
	{"delivered twice", delivered_twice, "delivered before"},
	{"lost", lost_delivery, ""},
	{"overtaken", overtaken, "overtaken"},
	{"other bytes", other_bytes, "made otherwise"},
	{"other channel", other_channel, "nobody made"},
	{"other handler", other_handler, "nobody made"},
	{"more rights", more_rights, "made otherwise"},
	{"more time", more_time, "ns left"},
	{"less time", less_time, "ns left"},
	{"other words", other_words, "nothing explains"},
	{"in another name", in_another_name, "nothing explains"},
	{"of another place", of_another_place, "lies in segment"},
	{"no span", no_span, "no span of a delivery"},
	{"another span", other_span, "was no delivery's"},
	{"exception out of time", exception_out_of_time, "nothing explains"},
	{"forged exception", forged_exception, "nothing explains"},
	{"before its deadline", early_deadline, "nothing explains"},
	{"no deadline", no_deadline, ""},
	{"reads elsewhere", reads_elsewhere, "nobody asked"},
	{"writes elsewhere", writes_elsewhere, "nobody sent"},
	{"loses a slice", loses_a_slice, ""},
	{"ends a session", ends_session, "without a fault"},
	{"ends a Process", ends_process, "did nothing wrong"},
	{"malformed", malformed, "malformed"},
	{"other slot", other_slot, ""},
};

static void sees_through_lies(void **state)
{
	(void)state;
	for (unsigned i = 0; i < BASE_COUNT(falsehoods); i++) {
		const struct falsehood *falsehood = &falsehoods[i];
		struct scene scene;
		begin(&scene, falsehood->lie);
		play(&scene);
		conclude(&scene);
		if (scene.lies == 0 || !oracle_violated(scene.oracle) ||
			strstr(oracle_reason(scene.oracle), falsehood->reason) == NULL)
			fail_msg("%s: %u lies, said \"%s\"", falsehood->name, scene.lies,
					 oracle_reason(scene.oracle));
		end(&scene);
	}
}

/* ------------------------------------------------------------------ revocation, from both sides */

/* A revoke that is answered before the owner has heard of it: what comes afterwards comes too late.
 */
static void knows_what_is_revoked(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene, NULL);
	uint64_t request = actor_request(scene.b, 7);
	uint64_t far_request = actor_give(scene.b, request, scene.a);
	uint64_t child = actor_revtree(scene.a, far_request);
	scene.world->hold[A][B][CORE_CONTROL] = true;
	invoke(&scene, scene.a, child, 0, 0);
	struct wire_call_cap_revoke fixed = {.cap = child};
	struct call call;
	call_init(&call, WIRE_CALL_TYPE_CAP_REVOKE, &fixed, sizeof fixed, false);
	uint64_t cookie = call_submit(scene.a, &call);
	/* The answer comes while the invocation is still on its way. */
	const struct wire_answer_completion early = {
		.header = {sizeof early, WIRE_ANSWER_TYPE_COMPLETION, 0, cookie}, .status = FOS_OK};
	const struct core_event tick = {.type = CORE_TICK};
	const struct core_output shown = {.type = CORE_RECORD,
									  .process = scene.a.process,
									  .channel = scene.a.channel,
									  .bytes = (const uint8_t *)&early,
									  .size = sizeof early};
	oracle_event(scene.oracle, A + 1, scene.world->now, &tick);
	oracle_output(scene.oracle, A + 1, &shown);
	oracle_step_end(scene.oracle, A + 1);
	assert_false(oracle_violated(scene.oracle));
	scene.world->hold[A][B][CORE_CONTROL] = false;
	world_settle(scene.world);
	assert_true(oracle_violated(scene.oracle));
	assert_non_null(strstr(oracle_reason(scene.oracle), "which is dead"));
	end(&scene);
}

/* ------------------------------------------------------------------ at the end */

static bool hides_7(struct scene *scene, const struct world_node *node, struct core_output *out)
{
	return delivery_of(out, 7) == NULL;
}

static bool hides_11(struct scene *scene, const struct world_node *node, struct core_output *out)
{
	return delivery_of(out, 11) == NULL;
}

static void misses_what_never_came(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene, hides_7);
	invoke(&scene, scene.a, actor_give(scene.b, actor_request(scene.b, 7), scene.a), 0, 0);
	conclude(&scene);
	assert_non_null(strstr(oracle_reason(scene.oracle), "was lost without a fault"));
	end(&scene);
	begin(&scene, hides_11);
	actor_once(scene.a, 11, 1000);
	conclude(&scene);
	assert_non_null(strstr(oracle_reason(scene.oracle), "got no end"));
	end(&scene);
}

/* What a core does unseen leaves tables that are not the oracle's. */
static void compares_tables(void **state)
{
	(void)state;
	for (unsigned what = 0; what < 3; what++) {
		static const char *const reasons[] = {"slots", "which nobody made", "the table lacks"};
		struct scene scene;
		begin(&scene, NULL);
		uint64_t request = actor_request(scene.a, 7);
		uint64_t memory = actor_memory(scene.a, 0, 100, 3);
		scene.world->observer = NULL;
		if (what == 0)
			actor_close(scene.a, request);
		else if (what == 1)
			actor_request(scene.b, 8);
		else
			actor_revoke(scene.a, memory);
		scene.world->observer = &scene.observer;
		conclude(&scene);
		if (strstr(oracle_reason(scene.oracle), reasons[what]) == NULL)
			fail_msg("%u: \"%s\"", what, oracle_reason(scene.oracle));
		end(&scene);
	}
}

/* ------------------------------------------------------------------ tracked children */

static bool hides_monitors(struct scene *scene, const struct world_node *node,
						   struct core_output *out)
{
	return out->type != CORE_RECORD || head_of(out)->type != WIRE_ANSWER_TYPE_MONITORED;
}

static uint64_t far_child(struct scene *scene)
{
	return actor_tracked(scene->a, actor_give(scene->b, actor_request(scene->b, 7), scene->a));
}

static void misses_a_firing(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene, hides_monitors);
	uint64_t child = far_child(&scene);
	actor_monitor(scene.a, child, true);
	uint64_t given = actor_give(scene.a, child, scene.c);
	assert_int_equal(actor_close(scene.c, given), FOS_OK);
	conclude(&scene);
	assert_non_null(strstr(oracle_reason(scene.oracle), "never fired"));
	end(&scene);
}

/* As a lost owner would be told, but none is. */
static bool owner_lost(struct scene *scene, const struct world_node *node, struct core_output *out)
{
	struct wire_answer_completion *answer = completion_of(out);
	if (answer != NULL && scene->lies == 1) {
		answer->status = FOS_PEER_LOST;
		scene->lies++;
	}
	return true;
}

static void asks_which_owner_was_lost(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene, owner_lost);
	uint64_t child = far_child(&scene);
	uint64_t door = actor_give(scene.c, actor_request(scene.c, 8), scene.a);
	/* Another's session ends: that is no reason. */
	world_cut(scene.world, C, D);
	world_connect(scene.world, C, D);
	world_settle(scene.world);
	assert_string_equal(oracle_reason(scene.oracle), "");
	scene.lies = 1;
	invoke(&scene, scene.a, door, child, 0);
	assert_non_null(strstr(oracle_reason(scene.oracle), "ended with PEER_LOST"));
	end(&scene);
}

/* ------------------------------------------------------------------ the end of a ONCE Request */

enum { VALUES = 64 << 10, BYTES = 8000 }; /* of a Process; of one large Request */

/* The Request with many bytes bound; 0: there is no room. */
static uint64_t enlarged(struct actor actor, uint64_t request, uint32_t length)
{
	static const uint8_t bytes[BYTES];
	struct call call = call_refinement(request);
	uint64_t cap = 0;
	call_imm(&call, 0, 0, bytes, length);
	return actor_call(actor, &call, &cap) == FOS_OK ? cap : 0;
}

static void expect_quota(struct scene *scene)
{
	struct arrival arrival;
	world_settle(scene->world);
	assert_true(actor_arrival(scene->a, &arrival));
	assert_int_equal(arrival.handler, 11);
	assert_int_equal(arrival.status, FOS_QUOTA);
	assert_string_equal(oracle_reason(scene->oracle), "");
	actor_finish(scene->a, arrival.id);
	conclude(scene);
	assert_string_equal(oracle_reason(scene->oracle), "");
}

/* It ends through the child at which what was too large came. */
static void a_child_of_once_may_end_by_quota(void **state)
{
	(void)state;
	struct scene scene;
	begin_within(&scene, NULL, VALUES);
	uint64_t request = actor_request(scene.a, 9);
	uint64_t child = actor_revtree(scene.a, actor_once(scene.a, 11, 0));
	uint64_t large = enlarged(scene.a, request, BYTES);
	assert_int_not_equal(large, 0);
	while (enlarged(scene.a, request, BYTES) != 0 || enlarged(scene.a, request, 1000) != 0)
		;
	invoke(&scene, scene.a, child, large, 0);
	expect_quota(&scene);
	end(&scene);
}

/* What makes it too large may be an on_error that it inherits. */
static void once_may_end_by_an_inherited_on_error(void **state)
{
	(void)state;
	struct scene scene;
	begin_within(&scene, NULL, VALUES);
	uint64_t request = actor_request(scene.a, 9), large = enlarged(scene.a, request, BYTES);
	uint64_t once = actor_once(scene.a, 11, 0), sorry = 0;
	uint64_t door = actor_give(scene.b, actor_request(scene.b, 7), scene.a);
	struct call call = call_refinement(request);
	for (unsigned i = 0; i < 6; i++)
		call_cap(&call, 0, i, call_slot(&call, large));
	assert_int_equal(actor_call(scene.a, &call, &sorry), FOS_OK);
	invoke(&scene, scene.a, door, once, sorry);
	world_settle(scene.world);
	assert_int_equal(actor_close(scene.a, sorry), FOS_OK);
	for (unsigned i = 0; i < 2; i++)
		assert_int_not_equal(enlarged(scene.a, request, BYTES), 0);
	struct arrival arrival;
	assert_true(actor_arrival(scene.b, &arrival));
	call = call_invoke(arrival_cap(&arrival, 3), arrival.id, 0);
	assert_int_equal(actor_call(scene.b, &call, NULL), FOS_OK);
	actor_finish(scene.b, arrival.id);
	expect_quota(&scene);
	end(&scene);
}

/* An exception through a child, said to be its end. */
static bool said_to_end(struct scene *scene, const struct world_node *node, struct core_output *out,
						fos_status status, uint32_t process)
{
	struct wire_answer_delivery *delivery = delivery_of(out, 11);
	if (delivery == NULL || !delivery->exception || !first(scene))
		return true;
	struct wire_exception *exception =
		(void *)((struct wire_range *)(void *)(delivery + 1) + delivery->range_count);
	exception->status = status;
	exception->node = node->number;
	exception->process = process;
	return true;
}

static bool by_deadline(struct scene *scene, const struct world_node *node, struct core_output *out)
{
	return said_to_end(scene, node, out, FOS_TIMED_OUT, 0);
}

static bool by_quota(struct scene *scene, const struct world_node *node, struct core_output *out)
{
	return said_to_end(scene, node, out, FOS_QUOTA, scene->a.process);
}

static void a_child_of_once_ends_for_a_reason(void **state)
{
	(void)state;
	static const lie lies[] = {NULL, by_deadline, by_quota};
	for (unsigned i = 0; i < BASE_COUNT(lies); i++) {
		struct scene scene;
		begin(&scene, lies[i]);
		uint64_t child = actor_revtree(scene.a, actor_once(scene.a, 11, 0));
		uint64_t door = actor_give(scene.b, actor_request(scene.b, 7), scene.a);
		invoke(&scene, scene.a, door, 0, child);
		world_settle(scene.world);
		struct arrival arrival;
		assert_true(actor_arrival(scene.b, &arrival));
		assert_int_equal(actor_fail(scene.b, arrival.id, FOS_DEVICE, "so it goes"), FOS_OK);
		conclude(&scene);
		assert_int_equal(scene.lies, lies[i] != NULL);
		if (lies[i] == NULL)
			assert_string_equal(oracle_reason(scene.oracle), "");
		else
			assert_non_null(strstr(oracle_reason(scene.oracle), "nothing explains"));
		end(&scene);
	}
}

/* ------------------------------------------------------------------ a provider that waits itself
 */

/* What came back to a provider from others holds all of its bytes, so that nothing can be delivered
 * to it; soon after they have gone, and its slots were the same all the time. */
static void who_waits_may_refuse(void **state)
{
	(void)state;
	static const uint8_t bytes[BYTES];
	struct scene scene;
	begin_within(&scene, NULL, VALUES);
	uint64_t own = actor_request(scene.a, 9);
	uint64_t door = actor_give(scene.b, actor_request(scene.b, 7), scene.a);
	uint64_t far_door = actor_give(scene.c, actor_request(scene.c, 8), scene.b);
	struct call call = call_invoke(far_door, 0, 0);
	call_imm(&call, 0, 0, bytes, sizeof bytes);
	for (unsigned i = 0; i < 14; i++)
		assert_int_equal(actor_call(scene.b, &call, NULL), FOS_OK);
	world_settle(scene.world);
	invoke(&scene, scene.a, door, own, 0);
	world_settle(scene.world);
	for (unsigned i = 0; i < 14; i++) {
		finish_all(scene.c);
		world_settle(scene.world);
	}
	struct arrival arrival;
	assert_false(actor_arrival(scene.b, &arrival));
	conclude(&scene);
	assert_string_equal(oracle_reason(scene.oracle), "");
	end(&scene);
}

/* Who waits for a registry takes a place of those that wait, from a copy too. */
static void asking_is_waiting(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene, NULL);
	/* Soon after a fault, as a start is one, the oracle would take the core's word for it. */
	conclude(&scene);
	conclude(&scene);
	uint64_t src = actor_memory(scene.a, 0, 100, FOS_READ);
	uint64_t dst = actor_memory(scene.a, 100, 100, FOS_WRITE);
	for (uint32_t i = 0; i < scene.a.node->config.limits.parked; i++) {
		struct wire_call_registry_get get = {.time = 1000000000};
		struct call call;
		call_init(&call, WIRE_CALL_TYPE_REGISTRY_GET, &get, sizeof get, false);
		call_submit(scene.a, &call);
	}
	struct call copy = call_copy(dst, src, 0, 0);
	assert_int_equal(actor_call(scene.a, &copy, NULL), FOS_QUOTA);
	conclude(&scene);
	assert_string_equal(oracle_reason(scene.oracle), "");
	end(&scene);
}

/* ------------------------------------------------------------------ the registry's place */

static fos_status become_registry(struct scene *scene, struct actor actor)
{
	struct wire_call_registry_set set = {.cap = actor_request(actor, 7)};
	struct call call;
	call_init(&call, WIRE_CALL_TYPE_REGISTRY_SET, &set, sizeof set, false);
	fos_status status = actor_call(actor, &call, NULL);
	world_settle(scene->world);
	return status;
}

static bool gives_the_place_away(struct scene *scene, const struct world_node *node,
								 struct core_output *out)
{
	struct wire_answer_completion *answer = completion_of(out);
	if (answer != NULL && answer->status == FOS_DENIED && first(scene))
		answer->status = FOS_OK;
	return true;
}

static bool refuses_the_place(struct scene *scene, const struct world_node *node,
							  struct core_output *out)
{
	struct wire_answer_completion *answer = completion_of(out);
	if (answer != NULL && answer->status == FOS_OK && answer->cap == 0 && scene->lies++ == 1)
		answer->status = FOS_DENIED;
	return true;
}

/* One of two Processes of a node has it; then another node's takes it from both. */
static void knows_who_may_be_the_registry(void **state)
{
	(void)state;
	static const lie lies[] = {NULL, gives_the_place_away, refuses_the_place};
	for (unsigned i = 0; i < BASE_COUNT(lies); i++) {
		struct scene scene;
		begin(&scene, lies[i]);
		struct actor guest = actor_new(scene.world, A);
		assert_int_equal(become_registry(&scene, scene.a), FOS_OK);
		assert_int_equal(become_registry(&scene, scene.a), FOS_OK);
		assert_int_equal(become_registry(&scene, guest), FOS_DENIED);
		assert_int_equal(become_registry(&scene, scene.b), FOS_OK);
		assert_int_equal(become_registry(&scene, guest), FOS_OK);
		conclude(&scene);
		if (lies[i] == NULL)
			assert_string_equal(oracle_reason(scene.oracle), "");
		else
			assert_non_null(strstr(oracle_reason(scene.oracle), "registry_set"));
		end(&scene);
	}
}

/* ------------------------------------------------------------------ a long way */

/* Of a copy with `then` whoever loses a link of its way tells that he cannot know: its source's
 * owner, its destination's; the owner of `then` tells what he knows. All are right. */
static void each_lost_link_may_be_told(void **state)
{
	(void)state;
	struct scene scene;
	begin(&scene, NULL);
	struct world *world = scene.world;
	uint64_t request = actor_request(scene.b, 7);
	uint64_t then = actor_give(scene.b, request, scene.a);
	uint64_t src = actor_give(scene.c, actor_memory(scene.c, 0, 100, 3), scene.a);
	uint64_t dst = actor_give(scene.d, actor_memory(scene.d, 0, 100, 3), scene.a);
	assert_int_equal(actor_revoke(scene.b, request), FOS_OK);
	world->hold[D][C][CORE_CONTROL] = world->hold[B][D][CORE_CONTROL] = true;
	struct call copy = call_copy(dst, src, 0, 0);
	call_cap(&copy, 0, FOS_NEXT, call_slot(&copy, then));
	copy.entries[0].on_error = (uint16_t)call_slot(&copy, actor_request(scene.a, 9));
	call_submit(scene.a, &copy);
	world_settle(world);
	world_cut(world, C, D);
	world_cut(world, B, D);
	world_settle(world);
	unsigned told = 0;
	struct arrival arrival;
	for (; actor_arrival(scene.a, &arrival); told += arrival.handler == 9)
		actor_finish(scene.a, arrival.id);
	assert_int_equal(told, 3);
	world->hold[D][C][CORE_CONTROL] = world->hold[B][D][CORE_CONTROL] = false;
	world_connect(world, C, D);
	world_connect(world, B, D);
	conclude(&scene);
	assert_string_equal(oracle_reason(scene.oracle), "");
	end(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_content_with_cores),
		cmocka_unit_test(sees_through_lies),
		cmocka_unit_test(knows_what_is_revoked),
		cmocka_unit_test(misses_what_never_came),
		cmocka_unit_test(compares_tables),
		cmocka_unit_test(each_lost_link_may_be_told),
		cmocka_unit_test(misses_a_firing),
		cmocka_unit_test(asks_which_owner_was_lost),
		cmocka_unit_test(a_child_of_once_may_end_by_quota),
		cmocka_unit_test(once_may_end_by_an_inherited_on_error),
		cmocka_unit_test(a_child_of_once_ends_for_a_reason),
		cmocka_unit_test(who_waits_may_refuse),
		cmocka_unit_test(asking_is_waiting),
		cmocka_unit_test(knows_who_may_be_the_registry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
