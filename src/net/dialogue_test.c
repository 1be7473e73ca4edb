/* The dialogue at the door without sockets: it succeeds only when every bit of it is right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first. */
#include <cmocka.h>

#include <sodium.h>
#include <string.h>

#include "base/base.h"
#include "net/dialogue.h"

static struct net_peer app_peers[] = {{.node = 2, .name = "fs"}};
static struct net_peer fs_peers[] = {{.node = 1, .name = "app"}, {.node = 3, .name = "gpu"}};

static struct door_self make_self(uint32_t node)
{
	struct door_self self = {.node = node, .cluster = "test", .epoch = 1000 + node, .key = {9, 8}};
	strcpy(self.name, node == 1 ? "app" : "fs");
	self.peers = node == 1 ? app_peers : fs_peers;
	self.peer_count = node == 1 ? 1 : 2;
	return self;
}

enum { LANES = NET_BULK + 1 };

struct play { /* one dialogue of app (connects) and fs (accepts), with a hand on the wire */
	struct door_self app, fs;
	struct dialogue a, b;
	struct dialogue_result at_app, at_fs;
	uint32_t flags;
	int spoil_message; /* which message, from 0; -1: none */
	size_t spoil_byte;
	uint8_t spoil_bit;
	int message;
};

static struct play make_play(void)
{
	return (struct play){.app = make_self(1), .fs = make_self(2), .spoil_message = -1};
}

/* Delivers from->reply to the other side. False: what arrived can never become a message. */
static bool carry(struct play *p, const struct dialogue_result *from, struct dialogue *to,
				  const struct door_self *self, struct dialogue_result *out)
{
	uint8_t bytes[DOOR_MESSAGE_MAX];
	memcpy(bytes, &from->reply, from->reply_size);
	if (p->message++ == p->spoil_message)
		bytes[p->spoil_byte] ^= p->spoil_bit;
	int size = dialogue_message_size(bytes, from->reply_size);
	if (size <= 0)
		return false;
	dialogue_feed(to, self, bytes, (size_t)size, out);
	return true;
}

/* Plays to the end; true: both sides succeeded. */
static bool play(struct play *p)
{
	dialogue_connect(&p->a, &p->app, &app_peers[0], p->flags, &p->at_app);
	dialogue_accept(&p->b);
	if (!carry(p, &p->at_app, &p->b, &p->fs, &p->at_fs) || p->at_fs.reply_size == 0)
		return false;
	if (!carry(p, &p->at_fs, &p->a, &p->app, &p->at_app) || p->at_app.step != DIALOGUE_CONTINUES)
		return false;
	if (!carry(p, &p->at_app, &p->b, &p->fs, &p->at_fs) || p->at_fs.step != DIALOGUE_PROVEN)
		return false;
	p->at_fs.reply_size = dialogue_ticket(&p->b, &p->fs, 4711, &p->at_fs.reply);
	return carry(p, &p->at_fs, &p->a, &p->app, &p->at_app) && p->at_app.step == DIALOGUE_WELCOME;
}

static void test_success(void **state)
{
	struct play p = make_play();
	uint8_t of_app[LANES][DOOR_MAC], of_fs[LANES][DOOR_MAC];
	assert_true(play(&p));
	assert_int_equal(p.at_app.port, 4711);
	assert_int_equal(p.a.peer_epoch, 1002);
	assert_int_equal(p.b.peer_epoch, 1001);
	assert_int_equal(p.b.peer->node, 1);
	for (unsigned lane = 0; lane < LANES; lane++) {
		dialogue_pass(&p.a, &p.app, (enum net_lane)lane, of_app[lane]);
		dialogue_pass(&p.b, &p.fs, (enum net_lane)lane, of_fs[lane]);
		assert_memory_equal(of_app[lane], of_fs[lane], DOOR_MAC);
	}
	assert_memory_not_equal(of_app[0], of_app[1], DOOR_MAC);
	/* Another dialogue of the same two has other passes. */
	struct play q = make_play();
	assert_true(play(&q));
	dialogue_pass(&q.a, &q.app, NET_CONTROL, of_fs[0]);
	assert_memory_not_equal(of_app[0], of_fs[0], DOOR_MAC);
}

/* Every single bit of every message matters. */
static void test_every_bit_matters(void **state)
{
	static const size_t sizes[] = {sizeof(struct door_knock), sizeof(struct door_challenge),
								   sizeof(struct door_proof), sizeof(struct door_ticket)};
	for (int message = 0; message < 4; message++)
		for (size_t bit = 0; bit < sizes[message] * 8; bit++) {
			struct play p = make_play();
			p.spoil_message = message;
			p.spoil_byte = bit / 8;
			p.spoil_bit = (uint8_t)(1u << bit % 8);
			if (play(&p))
				fail_msg("message %d, bit %zu", message, bit);
		}
}

static void check_refusal(struct play *p, enum net_refusal refusal)
{
	assert_false(play(p));
	assert_int_equal(p->at_fs.step, DIALOGUE_WE_REFUSE);
	assert_int_equal(p->at_fs.refusal, refusal);
	assert_int_equal(p->b.state, DIALOGUE_OVER);
	assert_int_equal(p->at_app.step, DIALOGUE_REFUSED_US);
	assert_int_equal(p->at_app.refusal, refusal);
	assert_int_equal(p->a.state, DIALOGUE_OVER);
}

static void test_refusals(void **state)
{
	struct play p = make_play();
	strcpy(p.app.cluster, "other");
	check_refusal(&p, NET_REFUSED_CLUSTER);
	p = make_play();
	p.app.node = 7;
	check_refusal(&p, NET_REFUSED_UNKNOWN);
	p = make_play();
	p.app.node = 2; /* the accepting node itself */
	check_refusal(&p, NET_REFUSED_UNKNOWN);
	p = make_play();
	strcpy(p.app.name, "gpu");
	check_refusal(&p, NET_REFUSED_NAME);
	p = make_play();
	strcpy(p.fs.name, "storage");
	check_refusal(&p, NET_REFUSED_DOOR);
	p = make_play();
	p.flags = DOOR_REQUEST; /* the lower node never requests */
	check_refusal(&p, NET_REFUSED_GARBAGE);
	p = make_play();
	p.app.node = 3; /* the higher one always does */
	strcpy(p.app.name, "gpu");
	check_refusal(&p, NET_REFUSED_GARBAGE);
	p = make_play();
	memset(p.app.cluster, 0, sizeof p.app.cluster);
	check_refusal(&p, NET_REFUSED_GARBAGE);
	p = make_play();
	p.app.name[0] = '\n';
	check_refusal(&p, NET_REFUSED_GARBAGE);
}

/* With another key the connecting side notices first and tells the accepting one. */
static void test_wrong_key(void **state)
{
	struct play p = make_play();
	p.app.key[0] ^= 1;
	assert_false(play(&p));
	assert_int_equal(p.at_app.step, DIALOGUE_WE_REFUSE);
	assert_int_equal(p.at_app.refusal, NET_REFUSED_KEY);
	assert_true(carry(&p, &p.at_app, &p.b, &p.fs, &p.at_fs));
	assert_int_equal(p.at_fs.step, DIALOGUE_REFUSED_US);
	assert_int_equal(p.at_fs.refusal, NET_REFUSED_KEY);
}

/* What the accepting side said cannot be used as the connecting side's proof. */
static void test_reflection(void **state)
{
	struct play p = make_play();
	dialogue_connect(&p.a, &p.app, &app_peers[0], 0, &p.at_app);
	dialogue_accept(&p.b);
	assert_true(carry(&p, &p.at_app, &p.b, &p.fs, &p.at_fs));
	struct door_proof proof = {.head = p.at_fs.reply.challenge.head};
	proof.head.type = DOOR_PROOF;
	proof.head.size = sizeof proof;
	memcpy(proof.mac, p.at_fs.reply.challenge.mac, DOOR_MAC);
	dialogue_feed(&p.b, &p.fs, (uint8_t *)&proof, sizeof proof, &p.at_fs);
	assert_int_equal(p.at_fs.step, DIALOGUE_WE_REFUSE);
	assert_int_equal(p.at_fs.refusal, NET_REFUSED_KEY);
}

static void test_message_sizes(void **state)
{
	struct play p = make_play();
	dialogue_connect(&p.a, &p.app, &app_peers[0], 0, &p.at_app);
	const uint8_t *bytes = (const uint8_t *)&p.at_app.reply;
	for (size_t n = 1; n < sizeof(struct door_knock); n++)
		assert_int_equal(dialogue_message_size(bytes, n), 0);
	assert_int_equal(dialogue_message_size(bytes, sizeof(struct door_knock)),
					 sizeof(struct door_knock));
	p.at_app.reply.head.size--;
	assert_int_equal(dialogue_message_size(bytes, sizeof(struct door_head)), -1);
	p.at_app.reply.head.version++;
	assert_int_equal(dialogue_message_size(bytes, sizeof(struct door_head)),
					 sizeof(struct door_head));
	assert_int_equal(dialogue_message_size((const uint8_t *)"GET", 3), -1);
}

static void test_refusal_words(void **state)
{
	for (int i = -1; i <= NET_REFUSAL_COUNT + 1; i++) {
		assert_non_null(net_refusal_of_other((enum net_refusal)i));
		assert_non_null(net_refusal_of_self((enum net_refusal)i));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_success),       cmocka_unit_test(test_every_bit_matters),
		cmocka_unit_test(test_refusals),      cmocka_unit_test(test_wrong_key),
		cmocka_unit_test(test_reflection),    cmocka_unit_test(test_message_sizes),
		cmocka_unit_test(test_refusal_words),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
