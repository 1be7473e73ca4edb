/* What may take long, done aside: by helper threads, so that the Controller's one never makes a
 * call that a Process, its descriptors or its dead memory could make slow. See aside.c. */
#ifndef FRACTOS_CONTROLLER_ASIDE_H
#define FRACTOS_CONTROLLER_ASIDE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct controller;
struct source;

/* Part of what it is about, which the helper alone touches between aside_put() and `done`. */
struct aside_job {
	void (*work)(struct aside_job *job);                       /* on a helper thread */
	void (*done)(struct controller *c, struct aside_job *job); /* then, in a turn; may free it */
	struct list in_list;
};

/* Jobs that are done one after the other, by one thread at a time. Part of whoever is charged. */
struct aside_lane {
	struct aside *aside;
	struct list jobs;
	struct list in_starved; /* aside.starved */
	bool running;
};

struct aside {
	pthread_mutex_t lock;
	struct list done;
	struct list starved; /* lanes with jobs for which no thread could be had */
	uint32_t threads;    /* at work now */
	int event;           /* an eventfd; -1: not open */
	uint64_t next_try;   /* ns: when starved lanes are looked at again */
};

/* All but the helpers' work in the Controller's thread. */

bool aside_open(struct aside *aside);
/* Waits `patience` ms at most until all that was put is done. False: something is stuck, and what
 * it works on, and the aside, must stay. */
bool aside_close(struct controller *c, struct aside *aside, uint64_t patience);
void aside_lane_init(struct aside_lane *lane, struct aside *aside);
void aside_put(struct aside_lane *lane, struct aside_job *job);
/* Calls done() of what is done; starts threads that could not be had before. */
void aside_run(struct controller *c, struct aside *aside, uint64_t now);
/* When aside_run() is needed although no event came; UINT64_MAX: not. */
uint64_t aside_deadline(const struct aside *aside);

#endif
