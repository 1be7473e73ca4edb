/* The block engine: reads, writes and flushes of volumes through io_uring, with O_DIRECT,
 * registered buffers and registered files. It knows nothing of FractOS: who uses it moves the bytes
 * between the staging buffers and whoever asked, and says when that is done.
 *
 * An operation is cut into pieces of one staging buffer each (plan.h). A few pieces of an operation
 * are under way at a time, so that the device and the network work at once; buffers are given to
 * waiting operations in turn. The life of a piece:
 *
 *     read:   LOCKING -> READING -> [HELD ->] MOVING -> gone
 *     write:  MOVING -> LOCKING -> [EDGES ->] WRITING -> gone
 *
 * HELD: the last piece of a read waits until all earlier ones have been moved, so that what its
 * moving sets off may rely on all bytes. Locks are on blocks, shared by reads, held only while the
 * device works: bytes of a block never tear, and nobody waits for another's network.
 *
 * One thread. Everything happens in engine_poll(); the other functions only take note, so callbacks
 * may call them.
 */
#ifndef FRACTOS_BLK_ENGINE_H
#define FRACTOS_BLK_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fractos/blk.h>

enum {
	ENGINE_PIECE = 1 << 20, /* bytes of a staging buffer */
	/* Bytes of it that pieces of a longer operation use: what is read is moved while it still is in
	 * the cache, and the first bytes travel sooner. What fits one buffer is one piece: one copy. */
	ENGINE_SHARE = 1 << 19,
	ENGINE_PIECES_MAX = 1024,
	ENGINE_WINDOW = 4,  /* pieces of one operation under way at a time */
	ENGINE_DEPTH = 256, /* I/Os in the device at a time */
	ENGINE_FILES_MAX = 256,
	ENGINE_DETAIL_MAX = 256
};

struct engine;
struct engine_file;

/* Bytes to be moved: of a read from `bytes` to the client's Memory, of a write the other way. */
struct engine_piece {
	uint8_t *bytes; /* in a staging buffer */
	uint32_t length;
	uint64_t memory; /* offset in the client's Memory */
	bool last;       /* of a read: all earlier pieces have been moved */
	void *context;   /* of the operation */
};

struct engine_handlers {
	/* Start to move; engine_moved() must follow, now or later. */
	void (*move)(struct engine_piece *piece);
	/* The operation has ended; nothing of it is under way any more. detail: text, "" where there
	 * is none. */
	void (*done)(void *context, fos_status status, const char *detail);
};

/* `buffers`: `size` bytes of staging, aligned to 4096, at least ENGINE_PIECE of them; borrowed. On
 * an error *error is a text (static). */
FOS_CHECKED fos_status engine_open(void *buffers, size_t size,
								   const struct engine_handlers *handlers, struct engine **out,
								   const char **error);
/* Waits for the device to end what it has begun, then frees everything, files included. Operations
 * under way end without `done`. NULL is allowed. */
void engine_close(struct engine *engine);
/* A descriptor that is readable while the device has answers that engine_poll() did not take. */
int engine_fd(const struct engine *engine);
/* Whether staging is registered with the kernel (it may not be, beyond the limit of locked memory:
 * I/O is then a little slower). */
bool engine_registered(const struct engine *engine);
/* Does what can be done now; returns how many things. */
int engine_poll(struct engine *engine);

/* A volume's file. The engine takes fd over, in every case. `name` (borrowed) is for messages. */
FOS_CHECKED fos_status engine_file_open(struct engine *engine, int fd, uint64_t size,
										const char *name, struct engine_file **out);
/* No operation starts on it any more; it is closed when those under way have ended. */
void engine_file_close(struct engine_file *file);

/* Keeps the description of `fd` open until the device has ended everything that was ever begun,
 * also when this process is killed. Once; fd stays the caller's. */
FOS_CHECKED fos_status engine_keep_open(struct engine *engine, int fd);

enum engine_kind { ENGINE_READ, ENGINE_WRITE, ENGINE_FLUSH };

/* Starts an operation; ranges are copied. Refused, without `done`: RANGE, INVALID (no bytes, too
 * many), QUOTA (no memory), each with a text in detail (ENGINE_DETAIL_MAX bytes). memory_len: bytes
 * of the client's Memory. */
FOS_CHECKED fos_status engine_start(struct engine_file *file, enum engine_kind kind,
									const fos_blk_range *ranges, uint32_t count,
									uint64_t memory_len, void *context, char *detail);
/* The bytes of a piece have been moved, or could not be: its operation then ends with `status`. */
void engine_moved(struct engine_piece *piece, fos_status status);

#endif
