/* The Controller's log: one line per event, written by whoever decides about it, to stderr. */
#ifndef FRACTOS_CONTROLLER_LOG_H
#define FRACTOS_CONTROLLER_LOG_H

#include <stdbool.h>
#include <stdint.h>

struct log {
	const char *node; /* borrowed */
	bool verbose;
	int64_t second; /* the current one; lines in it are counted: what others can cause is bounded */
	uint32_t lines;
	uint32_t dropped; /* since the last line that was written */
};

/* Never blocks: what the reader of stderr does not take is counted and told later. */
__attribute__((format(printf, 2, 3))) void log_line(struct log *log, const char *format, ...);
/* The same, only with --verbose. */
__attribute__((format(printf, 2, 3))) void log_detail(struct log *log, const char *format, ...);

#endif
