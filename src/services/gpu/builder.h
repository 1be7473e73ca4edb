/* A thread for work that takes long and is about no launch: compiling. Tasks are done in order, one
 * at a time; each comes back to the thread that submits and collects. */
#ifndef GPU_BUILDER_H
#define GPU_BUILDER_H

#include <stdbool.h>
#include <stdint.h>

struct builder;

struct builder_task { /* lies inside the submitter's own struct, which it keeps until `finish` */
	struct builder_task *next;
	void (*work)(struct builder_task *task);   /* on the builder's thread */
	void (*finish)(struct builder_task *task); /* on the collecting thread; may free the task */
};

/* NULL: no memory or no thread. */
struct builder *builder_create(void);
/* Takes no more work and waits up to `time` ns for what is being done. True: everything is freed,
 * what was not collected is dropped. False: it still works, and nothing may be freed. */
bool builder_destroy(struct builder *builder, uint64_t time);
/* False: as much waits already as may. */
bool builder_submit(struct builder *builder, struct builder_task *task);
/* Readable when there is something to collect. */
int builder_fd(const struct builder *builder);
/* Calls `finish` of every task that is done. */
void builder_collect(struct builder *builder);

#endif
