/* What the cluster counts while we work: the Controllers' flight recorders (messages, bytes, spans)
 * and the kernel's interface counters, side by side. Reads only; stops nobody. */
#ifndef FACEVERIFY_METER_H
#define FACEVERIFY_METER_H

#include <stdbool.h>
#include <stdint.h>

#include <fractos/recorder.h>

enum { METER_NODES_MAX = 16, METER_ERROR_MAX = 256 };

enum meter_message {
#define METER_NUMBER(name) METER_##name,
	FOS_MESSAGE_COUNTER_TABLE(METER_NUMBER)
#undef METER_NUMBER
		METER_MESSAGES
};
const char *meter_message_name(enum meter_message message);

typedef struct meter meter;

meter *meter_new(void); /* NULL: no memory */
void meter_free(meter *m);

/* "NODE=PATH": a Controller's recorder, also of its later lives: a restarted Controller makes the
 * file anew. False: *error. */
bool meter_add_recorder(meter *m, const char *text, char error[METER_ERROR_MAX]);
/* "NODE=INTERFACE" or "NODE=INTERFACE@NAMESPACE" (a path that setns() takes): a node's interface,
 * whose sent bytes are counted. */
bool meter_add_netdev(meter *m, const char *text, char error[METER_ERROR_MAX]);

bool meter_has_recorders(const meter *m);
bool meter_has_netdevs(const meter *m);

typedef struct meter_node {
	char name[FOS_LABEL_MAX];
	uint64_t epoch; /* the Controller's life that these are of */
	uint64_t messages[METER_MESSAGES], bytes[METER_MESSAGES]; /* sent to other nodes */
	unsigned link_count;
	struct {
		char to[FOS_LABEL_MAX];
		uint64_t messages, bytes;
	} links[METER_NODES_MAX];
	uint64_t copies, landed; /* from other nodes: how many ended here; bytes, local ones included */
	uint64_t spans;          /* ever */
} meter_node;

typedef struct meter_reading {
	unsigned node_count;
	meter_node nodes[METER_NODES_MAX];
	uint64_t kernel_bytes; /* sent by all interfaces */
} meter_reading;

/* Waits, some milliseconds as a rule and at most 100, until the Controllers have written what they
 * counted (they do so before they rest), then reads everything. */
void meter_read(meter *m, meter_reading *out);

/* after - before, name by name; of a Controller that was restarted, what its new life counted. */
void meter_difference(const meter_reading *before, const meter_reading *after, meter_reading *out);

/* Sums over nodes and names; heartbeats are left out: they tell time, not work. */
uint64_t meter_messages(const meter_reading *reading);
uint64_t meter_bytes(const meter_reading *reading);

/* Of these bytes, what was data: no header, no argument, no control message. */
uint64_t meter_data_bytes(const meter_reading *reading);

/* Messages that decide something. A copy between nodes is one, however many messages its bytes
 * need: its first one carries what comes after it. Credits are left out. */
uint64_t meter_control_messages(const meter_reading *reading);

/* The spans of `traces` traces from `first` on that were recorded since `before`, of all nodes;
 * at most `room` of them; returns how many. */
uint32_t meter_spans(const meter *m, const meter_reading *before, uint64_t first, uint32_t traces,
					 fos_recorder_span *out, uint32_t room);

#endif
