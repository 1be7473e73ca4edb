/* A load of reads or writes on one file, the same for all sides of blk: through FractOS, by local
 * io_uring, and over NBD in a process of its own. A side says how an operation is started and how
 * its end is awaited; what is read or written, and whether that is right, is known here, so that
 * nobody is fast by moving other bytes than were asked for.
 *
 * A file is an array of blocks. Each tells its own offset and the write that it came from, at its
 * start and at its end, and is full of what only that writer's place puts there. Looking at them
 * goes past the side that is measured, on a descriptor of our own, and past the page cache. */
#ifndef FRACTOS_BENCH_LOAD_H
#define FRACTOS_BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "histogram.h"

enum { LOAD_BLOCK = 4096, LOAD_DEPTH_MAX = 32, LOAD_LENGTH_MAX = 1 << 20, LOAD_TURNS_MAX = 128 };

struct load_file {
	int fd;            /* -1: there is none */
	uint64_t size;     /* bytes, a multiple of LOAD_LENGTH_MAX */
	uint64_t *serials; /* of each block: the last write of it */
	uint64_t last;     /* serial that was given; 0: of what it was filled with */
};

/* Opens `path`; `fill`: makes it first, all blocks of serial 0; else another has done that, and
 * nobody has written it since. False after saying why. */
bool load_file_open(const char *path, uint64_t size, bool fill, struct load_file *out);
/* Looks at every block. False after saying which one is wrong. */
bool load_file_check(const struct load_file *file);
void load_file_close(struct load_file *file);

/* What is done: `length` bytes at a time, `depth` of them under way; one place after the other, or
 * anywhere. */
struct load_kind {
	bool write, sequential;
	uint32_t length, depth;
};

struct load_io {
	unsigned slot; /* below the depth; its bytes are its own */
	bool write;
	uint8_t *bytes;
	uint32_t length;
	uint64_t offset;
};

/* How a side does it. */
struct load_way {
	/* Starts an operation, which load_ended() ends, later. False after saying why. */
	bool (*start)(void *arg, const struct load_io *io);
	/* Waits until at least one has ended, by its own way of waiting. False after saying why. */
	bool (*wait)(void *arg);
	void *arg;
};

struct load {
	struct load_file *file;
	struct load_kind kind;
	struct load_way way;
	uint8_t *buffers; /* depth * length bytes, aligned to a block */
	uint64_t random, next;
	struct {
		struct load_io io;
		uint64_t begin; /* ns */
		bool used;      /* in this turn */
	} slots[LOAD_DEPTH_MAX];
	unsigned idle[LOAD_DEPTH_MAX], idle_count; /* slots without an operation */
	unsigned started, ended;                   /* of the turn */
	bool looking;                              /* at each operation as it ends */
	bool failed;
	struct histogram *turn, *all; /* ns from start to end */
	double medians[LOAD_TURNS_MAX];
	unsigned turns; /* since load_forget() */
};

/* `buffers` is borrowed, and may be shared by loads that take turns. False: no memory. */
bool load_open(struct load_file *file, const struct load_kind *kind, const struct load_way *way,
			   uint8_t *buffers, struct load *out);
void load_close(struct load *load);
/* A side of a comparison: `count` operations; returns their ns together, 0 after saying why. Then,
 * with the clock stopped, it looks at what the buffers hold. */
uint64_t load_run(void *load, unsigned count);
/* The same, looking at every operation; not for measuring. */
bool load_prove(struct load *load, unsigned count);
/* What was measured until now was for warming up. */
void load_forget(void *load);
/* For a side: the operation of a slot has ended, well or not. */
void load_ended(struct load *load, unsigned slot, bool ok);

#endif
