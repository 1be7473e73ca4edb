/* Who uses which file: shared or alone, in the order in which they came.
 *
 * Serves ops.c. An operation enters all its claims at one moment, so claims of different operations
 * stand in the same order in every queue and no two operations wait for each other. One thread.
 */
#ifndef FS_CLAIMS_H
#define FS_CLAIMS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct claim {
	TAILQ_ENTRY(claim) queue;
	struct claim_file *file;
	struct claim_set *set;
	bool alone, granted;
};

struct claim_set { /* of one operation; zeroed: none */
	struct claim *claims;
	uint32_t count;
	uint32_t missing; /* not granted yet */
	void *owner;
};

enum { CLAIM_BUCKETS = 1024 };
struct claims {
	struct claim_file *buckets[CLAIM_BUCKETS];
	uint32_t files; /* that anybody claims */
};

/* Room for `count` claims. False: no memory. */
bool claims_prepare(struct claim_set *set, uint32_t count, void *owner);
/* Adds a claim; a file that is claimed by the set already is not added again. False: no memory. */
bool claims_enter(struct claims *claims, struct claim_set *set, uint64_t file, bool alone);
/* Ends all claims of the set, granted or not. granted() is told of each set that now misses none.
 */
void claims_leave(struct claims *claims, struct claim_set *set,
				  void (*granted)(void *owner, void *arg), void *arg);
bool claims_busy(const struct claims *claims, uint64_t file);

#endif
