/* libFuzzer harness for the words at the door: bytes of a stranger against the accepting and the
 * connecting side. The first byte chooses the side. Whoever does not have the key, which is new for
 * every input, must never get as far as a proof. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "net/dialogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const struct net_peer peers[] = {{.node = 1, .name = "app"}, {.node = 3, .name = "gpu"}};

enum { CONNECTS = 1, REQUESTS = 2 };

/* Takes every whole message out of the stranger's bytes, as door.c does. */
static void talk(struct dialogue *d, const struct door_self *self, const uint8_t *bytes,
				 size_t size)
{
	struct dialogue_result result;
	union door_message reply;
	while (size > 0 && d->state != DIALOGUE_OVER && d->state != DIALOGUE_AWAIT_DECISION) {
		int n = dialogue_message_size(bytes, size);
		if (n <= 0) {
			if (n < 0)
				(void)dialogue_refuse(d, NET_REFUSED_GARBAGE, &reply);
			return;
		}
		BASE_ASSERT((size_t)n <= size && n <= DOOR_MESSAGE_MAX);
		/* An exact copy, so that a read behind the message is seen. */
		uint8_t *message = malloc((size_t)n);
		BASE_ASSERT(message != NULL);
		memcpy(message, bytes, (size_t)n);
		dialogue_feed(d, self, message, (size_t)n, &result);
		free(message);
		BASE_ASSERT(result.reply_size <= sizeof result.reply);
		BASE_ASSERT(result.step != DIALOGUE_PROVEN && result.step != DIALOGUE_WELCOME &&
					result.step != DIALOGUE_CALLED);
		BASE_ASSERT(net_refusal_of_other(result.refusal) != NULL);
		BASE_ASSERT(net_refusal_of_self(result.refusal) != NULL);
		bytes += n;
		size -= (size_t)n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct door_self self = {.node = 2,
							 .name = "fs",
							 .cluster = "test",
							 .epoch = 5,
							 .peers = peers,
							 .peer_count = BASE_COUNT(peers)};
	struct dialogue d;
	struct dialogue_result first;
	if (size < 1 || sodium_init() < 0)
		return 0;
	randombytes_buf(self.key, sizeof self.key);
	if ((bytes[0] & CONNECTS) != 0)
		dialogue_connect(&d, &self, &peers[1], (bytes[0] & REQUESTS) != 0 ? DOOR_REQUEST : 0,
						 &first);
	else
		dialogue_accept(&d);
	talk(&d, &self, bytes + 1, size - 1);
	return 0;
}
