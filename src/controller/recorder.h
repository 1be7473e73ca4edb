/* The flight recorder's writer: a mapped file as <fractos/recorder.h> describes it. */
#ifndef FRACTOS_CONTROLLER_RECORDER_H
#define FRACTOS_CONTROLLER_RECORDER_H

#include <stdbool.h>
#include <stdint.h>

#include <fractos/recorder.h>

#include "controller/config.h"
#include "core/core.h"

struct controller;

struct recorder {
	fos_recorder *map; /* NULL: not open */
	const char *path;
	bool dirty;       /* something changed since the tables were written */
	uint64_t written; /* ns */
};

/* Makes the file anew: readers of an older one keep what they have mapped. False: `error`
 * (CONFIG_ERROR_MAX bytes) says why. */
bool recorder_open(struct recorder *recorder, const struct config_node *node, uint64_t epoch,
				   uint64_t now, char *error);
void recorder_close(struct recorder *recorder);
void recorder_span(struct recorder *recorder, const struct core_span *span,
				   const char label[static FOS_LABEL_MAX]);
/* A slice of a copy was handed to the network between `begin` and `end`; `message` is what
 * CORE_SEND_SLICE gave. Makes a span of a copy's first. */
void recorder_slice(struct recorder *recorder, const uint8_t *message, uint32_t process,
					const char label[static FOS_LABEL_MAX], uint64_t begin, uint64_t end);
/* Writes the tables if something changed. */
void recorder_refresh(struct controller *controller);

#endif
