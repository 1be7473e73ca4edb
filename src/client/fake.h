/* A Controller for libfractos's tests: one thread that speaks the attach dialogue and the rings,
 * and keeps just enough state to deliver invocations inside one Process. It checks every record
 * that the library submits, and can be told to misbehave: to refuse, to stop reading, to die at a
 * given point, to write nonsense. */
#ifndef FRACTOS_CLIENT_FAKE_H
#define FRACTOS_CLIENT_FAKE_H

#include <pthread.h>
#include <stdatomic.h>

#include "wire/ring.h"
#include "wire/wire.h"

enum { FAKE_CHANNELS = 4, FAKE_REQUESTS = 512, FAKE_DELIVERIES = 512 };

enum fake_death { /* when it closes the connection */
				  FAKE_NEVER,
				  FAKE_AT_ATTACH,
				  FAKE_AT_CHANNEL,
				  FAKE_AT_SEGMENT,
				  FAKE_AT_CALL,   /* when a call of type `death_type` comes, unanswered */
				  FAKE_AFTER_CALL /* the same, but answered first */
};

struct fake_config {
	uint64_t ring_bytes;      /* 0: 64 KiB */
	uint32_t version;         /* 0: the right one */
	fos_status attach_status; /* of ATTACHED */
	fos_status channel_status;
	uint64_t arena_max; /* 0: no limit; SEGMENT beyond it is QUOTA */
	enum fake_death death;
	uint16_t death_type;
	bool mute; /* answers nothing at the attach */
};

struct fake_request {
	bool alive, once;
	uint32_t channel;
	uint64_t handler;
	uint64_t monitors[2]; /* cookies of monitor_receive and monitor_delegate; 0: none */
};

struct fake_channel {
	bool open;
	struct ring calls, answers;
	void *mapping;
	size_t mapping_size;
	int bell_in, bell_out; /* eventfd from the Process; pipe to it */
	int bell_out_peer;
};

struct fake {
	struct fake_config config;
	char dir[64], path[96];
	int listener, connection, wake_fd;
	pthread_t thread;
	_Atomic bool quit;
	_Atomic bool hold;                   /* reads no calls while it is true */
	_Atomic bool break_ring, bad_record; /* writes nonsense with the next answer */
	_Atomic uint64_t calls, malformed, doorbells, finishes, fails;
	_Atomic int refuse_type; /* calls of this type get refuse_status */
	_Atomic int refuse_status;
	struct fake_channel channels[FAKE_CHANNELS];
	struct fake_request requests[FAKE_REQUESTS]; /* by slot */
	uint64_t on_error[FAKE_DELIVERIES];          /* of open deliveries, by id: a slot */
	uint64_t slots, deliveries;
	uint32_t segments;
	uint64_t arena;
};

/* Listens in a new temporary directory. */
void fake_start(struct fake *fake, const struct fake_config *config);
/* Ends the thread and removes everything. */
void fake_stop(struct fake *fake);
void fake_set_hold(struct fake *fake, bool hold);

#endif
