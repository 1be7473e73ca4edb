/* The dialogue at the door, for both sides. See net.h for the diagram.
 *
 * Each proof is a MAC with the cluster's key over everything both sides said so far and over its
 * own role, so none can be replayed, reflected or moved to another pair of nodes. What goes wrong
 * before the key is proven is answered by a bare reason: it tells a stranger nothing that knocking
 * at random does not. */
#include <sodium.h>
#include <string.h>

#include "base/base.h"
#include "net/dialogue.h"

_Static_assert(crypto_auth_BYTES == DOOR_MAC && crypto_auth_KEYBYTES == NET_KEY_BYTES, "libsodium");

static const struct refusal_text {
	const char *of_other, *of_self;
} refusal_texts[NET_REFUSAL_COUNT] = {
#define REFUSAL_TEXT(name, number, of_other, of_self) [number] = {of_other, of_self},
	NET_REFUSALS(REFUSAL_TEXT)
#undef REFUSAL_TEXT
};

const char *net_refusal_of_other(enum net_refusal refusal)
{
	if (refusal <= NET_REFUSED_NOT || refusal >= NET_REFUSAL_COUNT)
		return "for a reason this version does not know";
	return refusal_texts[refusal].of_other;
}

const char *net_refusal_of_self(enum net_refusal refusal)
{
	if (refusal <= NET_REFUSED_NOT || refusal >= NET_REFUSAL_COUNT)
		return "for a reason this version does not know";
	return refusal_texts[refusal].of_self;
}

/* ------------------------------------------------------------------ proofs */

struct transcript { /* what a MAC covers */
	char role[8];
	uint64_t detail;
	struct door_knock knock;
	struct door_head challenge_head;
	uint64_t challenge_epoch;
	uint8_t challenge_nonce[DOOR_NONCE];
};
_Static_assert(sizeof(struct transcript) == 16 + 168 + 16 + 8 + 32, "padding");

static void mac(const struct dialogue *d, const struct door_self *self, const char *role,
				uint64_t detail, uint8_t out[DOOR_MAC])
{
	struct transcript t = {.detail = detail,
						   .knock = d->knock,
						   .challenge_head = d->challenge.head,
						   .challenge_epoch = d->challenge.epoch};
	memcpy(t.role, role, strlen(role));
	memcpy(t.challenge_nonce, d->challenge.nonce, DOOR_NONCE);
	crypto_auth(out, (const uint8_t *)&t, sizeof t, self->key);
}

static bool mac_is(const struct dialogue *d, const struct door_self *self, const char *role,
				   uint64_t detail, const uint8_t got[DOOR_MAC])
{
	uint8_t wanted[DOOR_MAC];
	mac(d, self, role, detail, wanted);
	return sodium_memcmp(wanted, got, DOOR_MAC) == 0;
}

void dialogue_pass(const struct dialogue *d, const struct door_self *self, enum net_lane lane,
				   uint8_t out[DOOR_MAC])
{
	mac(d, self, "pass", lane, out);
}

/* ------------------------------------------------------------------ messages */

static size_t size_of(uint16_t type)
{
	switch (type) {
	case DOOR_KNOCK:
		return sizeof(struct door_knock);
	case DOOR_CHALLENGE:
		return sizeof(struct door_challenge);
	case DOOR_PROOF:
		return sizeof(struct door_proof);
	case DOOR_TICKET:
		return sizeof(struct door_ticket);
	case DOOR_WAIT:
		return sizeof(struct door_wait);
	case DOOR_REFUSED:
		return sizeof(struct door_refused);
	default:
		return 0;
	}
}

static struct door_head head_of(enum door_type type)
{
	return (struct door_head){.magic = DOOR_MAGIC,
							  .type = (uint16_t)type,
							  .size = (uint16_t)size_of((uint16_t)type),
							  .version = DOOR_VERSION};
}

int dialogue_message_size(const uint8_t *bytes, size_t size)
{
	struct door_head head;
	uint32_t magic = DOOR_MAGIC;
	if (memcmp(bytes, &magic, BASE_MIN(size, sizeof magic)) != 0)
		return -1;
	if (size < sizeof head)
		return 0;
	memcpy(&head, bytes, sizeof head);
	if (head.version != DOOR_VERSION && head.type != DOOR_REFUSED)
		return (int)sizeof head;
	if (head.size != size_of(head.type) || head.zero != 0)
		return -1;
	return size < head.size ? 0 : head.size;
}

/* Zero-terminated, with nothing behind the end, and printable: it goes into the log. */
static bool is_name(const char name[NET_NAME_MAX])
{
	size_t len = strnlen(name, NET_NAME_MAX);
	if (len == 0 || len == NET_NAME_MAX)
		return false;
	for (size_t i = 0; i < NET_NAME_MAX; i++)
		if (i < len ? name[i] <= ' ' || name[i] > '~' : name[i] != 0)
			return false;
	return true;
}

static void copy_name(char to[NET_NAME_MAX], const char *from)
{
	memset(to, 0, NET_NAME_MAX);
	memcpy(to, from, strnlen(from, NET_NAME_MAX - 1));
}

size_t dialogue_refuse(struct dialogue *d, enum net_refusal refusal, union door_message *out)
{
	d->state = DIALOGUE_OVER;
	out->refused = (struct door_refused){.head = head_of(DOOR_REFUSED), .refusal = refusal};
	return sizeof out->refused;
}

static void refuse(struct dialogue *d, enum net_refusal refusal, struct dialogue_result *out)
{
	out->step = DIALOGUE_WE_REFUSE;
	out->refusal = refusal;
	out->reply_size = dialogue_refuse(d, refusal, &out->reply);
}

/* ------------------------------------------------------------------ the connecting side */

void dialogue_connect(struct dialogue *d, const struct door_self *self, const struct net_peer *peer,
					  uint32_t flags, struct dialogue_result *out)
{
	*d = (struct dialogue){.state = DIALOGUE_AWAIT_CHALLENGE, .peer = peer};
	d->knock = (struct door_knock){.head = head_of(DOOR_KNOCK),
								   .node = self->node,
								   .to_node = peer->node,
								   .epoch = self->epoch,
								   .flags = flags};
	copy_name(d->knock.cluster, self->cluster);
	copy_name(d->knock.name, self->name);
	copy_name(d->knock.to_name, peer->name);
	randombytes_buf(d->knock.nonce, DOOR_NONCE);
	*out = (struct dialogue_result){.step = DIALOGUE_CONTINUES, .reply_size = sizeof d->knock};
	out->reply.knock = d->knock;
}

static void take_challenge(struct dialogue *d, const struct door_self *self, const uint8_t *bytes,
						   struct dialogue_result *out)
{
	memcpy(&d->challenge, bytes, sizeof d->challenge);
	if (!mac_is(d, self, "accept", 0, d->challenge.mac)) {
		refuse(d, NET_REFUSED_KEY, out);
		return;
	}
	d->peer_epoch = d->challenge.epoch;
	d->state = DIALOGUE_AWAIT_TICKET;
	out->reply.proof = (struct door_proof){.head = head_of(DOOR_PROOF)};
	mac(d, self, "connect", 0, out->reply.proof.mac);
	out->reply_size = sizeof out->reply.proof;
}

static void take_ticket(struct dialogue *d, const struct door_self *self, const uint8_t *bytes,
						struct dialogue_result *out)
{
	struct door_ticket ticket;
	memcpy(&ticket, bytes, sizeof ticket);
	bool requested = (d->knock.flags & DOOR_REQUEST) != 0;
	if (ticket.zero != 0 || ticket.port > UINT16_MAX || requested != (ticket.port == 0) ||
		!mac_is(d, self, "ticket", ticket.port, ticket.mac)) {
		refuse(d, NET_REFUSED_GARBAGE, out);
		return;
	}
	d->state = DIALOGUE_OVER;
	out->step = requested ? DIALOGUE_CALLED : DIALOGUE_WELCOME;
	out->port = ticket.port;
}

/* ------------------------------------------------------------------ the accepting side */

void dialogue_accept(struct dialogue *d)
{
	*d = (struct dialogue){.state = DIALOGUE_AWAIT_KNOCK};
}

static enum net_refusal check_knock(struct dialogue *d, const struct door_self *self)
{
	const struct door_knock *k = &d->knock;
	if (!is_name(k->cluster) || !is_name(k->name) || !is_name(k->to_name) || k->zero != 0 ||
		(k->flags & ~(uint32_t)DOOR_REQUEST) != 0)
		return NET_REFUSED_GARBAGE;
	if (strcmp(k->cluster, self->cluster) != 0)
		return NET_REFUSED_CLUSTER;
	for (uint32_t i = 0; i < self->peer_count; i++)
		if (self->peers[i].node == k->node)
			d->peer = &self->peers[i];
	if (d->peer == NULL)
		return NET_REFUSED_UNKNOWN;
	if (strcmp(d->peer->name, k->name) != 0)
		return NET_REFUSED_NAME;
	if (k->to_node != self->node || strcmp(k->to_name, self->name) != 0)
		return NET_REFUSED_DOOR;
	/* The lower node connects; only the higher one requests. */
	if (((k->flags & DOOR_REQUEST) != 0) != (k->node > self->node))
		return NET_REFUSED_GARBAGE;
	return NET_REFUSED_NOT;
}

static void take_knock(struct dialogue *d, const struct door_self *self, const uint8_t *bytes,
					   struct dialogue_result *out)
{
	memcpy(&d->knock, bytes, sizeof d->knock);
	enum net_refusal refusal = check_knock(d, self);
	if (refusal != NET_REFUSED_NOT) {
		refuse(d, refusal, out);
		return;
	}
	d->peer_epoch = d->knock.epoch;
	d->challenge = (struct door_challenge){.head = head_of(DOOR_CHALLENGE), .epoch = self->epoch};
	randombytes_buf(d->challenge.nonce, DOOR_NONCE);
	mac(d, self, "accept", 0, d->challenge.mac);
	d->state = DIALOGUE_AWAIT_PROOF;
	out->reply.challenge = d->challenge;
	out->reply_size = sizeof d->challenge;
}

static void take_proof(struct dialogue *d, const struct door_self *self, const uint8_t *bytes,
					   struct dialogue_result *out)
{
	struct door_proof proof;
	memcpy(&proof, bytes, sizeof proof);
	if (!mac_is(d, self, "connect", 0, proof.mac)) {
		refuse(d, NET_REFUSED_KEY, out);
		return;
	}
	d->state = DIALOGUE_AWAIT_DECISION;
	out->step = DIALOGUE_PROVEN;
}

size_t dialogue_ticket(struct dialogue *d, const struct door_self *self, uint32_t port,
					   union door_message *out)
{
	BASE_ASSERT(d->state == DIALOGUE_AWAIT_DECISION);
	d->state = DIALOGUE_OVER;
	out->ticket = (struct door_ticket){.head = head_of(DOOR_TICKET), .port = port};
	mac(d, self, "ticket", port, out->ticket.mac);
	return sizeof out->ticket;
}

size_t dialogue_wait(union door_message *out)
{
	out->wait = (struct door_wait){.head = head_of(DOOR_WAIT)};
	return sizeof out->wait;
}

/* ------------------------------------------------------------------ both */

void dialogue_feed(struct dialogue *d, const struct door_self *self, const uint8_t *bytes,
				   size_t size, struct dialogue_result *out)
{
	struct door_head head;
	out->step = DIALOGUE_CONTINUES;
	out->refusal = NET_REFUSED_NOT;
	out->reply_size = 0;
	BASE_ASSERT(size >= sizeof head);
	memcpy(&head, bytes, sizeof head);
	if (head.type == DOOR_REFUSED) {
		struct door_refused refused;
		BASE_ASSERT(size == sizeof refused);
		memcpy(&refused, bytes, sizeof refused);
		d->state = DIALOGUE_OVER;
		out->step = DIALOGUE_REFUSED_US;
		out->refusal = (enum net_refusal)BASE_MIN(refused.refusal, NET_REFUSAL_COUNT);
	} else if (head.version != DOOR_VERSION) {
		refuse(d, NET_REFUSED_VERSION, out);
	} else if (head.type == DOOR_KNOCK && d->state == DIALOGUE_AWAIT_KNOCK) {
		take_knock(d, self, bytes, out);
	} else if (head.type == DOOR_PROOF && d->state == DIALOGUE_AWAIT_PROOF) {
		take_proof(d, self, bytes, out);
	} else if (head.type == DOOR_CHALLENGE && d->state == DIALOGUE_AWAIT_CHALLENGE) {
		take_challenge(d, self, bytes, out);
	} else if (head.type == DOOR_TICKET && d->state == DIALOGUE_AWAIT_TICKET) {
		take_ticket(d, self, bytes, out);
	} else if (head.type == DOOR_WAIT && d->state == DIALOGUE_AWAIT_TICKET) {
		out->step = DIALOGUE_WAITING;
	} else {
		refuse(d, NET_REFUSED_GARBAGE, out);
	}
}
