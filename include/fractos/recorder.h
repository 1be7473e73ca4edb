/* The flight recorder: a file that each Controller keeps mapped, and that tools read without
 * stopping anyone. Everything in it is written by the Controller alone.
 *
 * Reading a table: read `version`; odd means it is being written, try again; copy; read it again
 * and compare. Spans are a ring: entry i of ever is spans[i % span_capacity], complete when
 * its `sequence` is i + 1.
 */
#ifndef FRACTOS_RECORDER_H
#define FRACTOS_RECORDER_H

#include <stdint.h>

#include <fractos/counters.h>
#include <fractos/fractos.h>

enum {
	FOS_RECORDER_LAYOUT = 4,
	FOS_RECORDER_LINKS = 64,
	FOS_RECORDER_PROCESSES = 64,
	FOS_RECORDER_SPANS = 16384
};
#define FOS_RECORDER_MAGIC 0x31524352534f46ull /* "FOSRCR1" */

typedef struct fos_recorder_link {
	uint32_t node;
	uint32_t up; /* 1: a session is alive */
	uint64_t epoch;
	char name[FOS_LABEL_MAX];
	uint64_t messages_sent, messages_received; /* both lanes */
	uint64_t bytes_sent, bytes_received;       /* of messages with their headers */
} fos_recorder_link;

/* One that left deliveries unfinished keeps its place until it has exited and its devices work for
 * it no longer. */
enum fos_process_state {
	FOS_PROCESS_ATTACHED = 0,
	FOS_PROCESS_EXITING = 1, /* gone: waits for its exit */
	FOS_PROCESS_DEVICES = 2  /* exited: waits for its devices */
};

typedef struct fos_recorder_process {
	uint32_t serial; /* 0: free entry */
	uint32_t pid;
	uint32_t uid;
	uint32_t state; /* enum fos_process_state */
	char label[FOS_LABEL_MAX];
	uint32_t channels, segments;
	uint64_t arena_bytes;
	uint32_t objects, slots, deliveries, parked, copies, once;
	uint64_t values_bytes;
} fos_recorder_process;

/* A copy is told of where its bytes land, from the first one's arrival on; where they come from
 * another node that one tells when they set out: SEND, as short as sending the first slice was,
 * with the same trace, parent and bytes. */
enum fos_span_kind { FOS_SPAN_DELIVERY = 1, FOS_SPAN_COPY = 2, FOS_SPAN_SEND = 3 };
typedef struct fos_recorder_span {
	uint64_t sequence; /* one more than its number; written last */
	uint64_t trace, id, parent;
	uint64_t begin, end;       /* ns of CLOCK_MONOTONIC */
	uint64_t bytes;            /* of a copy or send: all of them */
	uint32_t process;          /* serial */
	uint16_t kind;             /* enum fos_span_kind */
	uint16_t status;           /* fos_status */
	char label[FOS_LABEL_MAX]; /* of the Process */
} fos_recorder_span;

typedef struct fos_recorder {
	uint64_t magic;
	uint32_t layout; /* FOS_RECORDER_LAYOUT */
	uint32_t node;
	char node_name[FOS_LABEL_MAX];
	uint64_t epoch;
	uint32_t pid;
	uint32_t span_capacity;
	uint64_t started; /* ns of CLOCK_MONOTONIC */
	_Alignas(64) uint64_t version;
	uint64_t written; /* ns of CLOCK_MONOTONIC: when the tables were last written */
	uint64_t core_memory, arena_memory; /* bytes */
	uint64_t core_used; /* bytes of core_memory in use: equal tables leave equal use */
	uint32_t clearing;  /* connections that ended, of which something is still closed or unmapped */
	fos_counters counters;
	fos_recorder_link links[FOS_RECORDER_LINKS]; /* node 0: free entry */
	fos_recorder_process processes[FOS_RECORDER_PROCESSES];
	_Alignas(64) uint64_t span_count; /* spans ever */
	fos_recorder_span spans[FOS_RECORDER_SPANS];
} fos_recorder;

#endif
