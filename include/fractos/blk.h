/* The block service: volumes on files or block devices, read and written by Requests.
 *
 * Published as "blk". Its root Request makes and opens volumes; opening gives one Request for each
 * operation with the volume bound, so that a reader holds no right to write. Data goes straight
 * between the device's buffers and the Memory named by the caller.
 */
#ifndef FRACTOS_BLK_H
#define FRACTOS_BLK_H

#include <fractos/fractos.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	FOS_BLK_NAME_MAX = 56,    /* bytes of a volume's name with its final zero */
	FOS_BLK_RANGES_MAX = 250, /* ranges in one Request */
	FOS_BLK_IO_MAX = 64 << 20 /* bytes in one Request */
};

/* The root Request, immediates at FOS_ARG; capability FOS_NEXT receives the result. */
enum fos_blk_op {
	FOS_BLK_CREATE = 1, /* name, size (bytes, rounded up to 4096) */
	FOS_BLK_DELETE = 2, /* name; its Requests answer REVOKED from then on */
	FOS_BLK_OPEN = 3,   /* name, flags; result fos_blk_info at FOS_RESULT, capabilities from
						   FOS_CAP_RESULT: read, write, flush (comes with write), read window,
						   write window */
	FOS_BLK_LIST = 4,   /* name: where to go on behind; result: fos_blk_info array, sorted by
						   name, at most FOS_BLK_LIST_MAX; fewer: the list is over */
};
enum { FOS_BLK_LIST_MAX = 48 };
/* EXCLUSIVE: the opener alone has the volume, as long as its life (capability FOS_BLK_LIFE of OPEN,
 * see fos_channel_life()) can be seen from the service, or until another opens it EXCLUSIVE. Then
 * what was opened with it answers REVOKED. All that was opened earlier, in whatever way, is taken
 * back first, also from one who lives and does not answer: when the OPEN is answered, none of it is
 * delivered any more, and no I/O of it is under way. TIMED_OUT: that did not end in time; it is
 * taken back all the same. Openers without EXCLUSIVE get BUSY meanwhile.
 * UNLESS_HELD, with EXCLUSIVE: BUSY where another has it EXCLUSIVE. For who lost sight of a volume
 * and must not take it from a successor.
 * WAIT: instead of BUSY the OPEN waits for the end of who has it, as long as its time lasts. */
enum fos_blk_open {
	FOS_BLK_READ = 1,
	FOS_BLK_WRITE = 2,
	FOS_BLK_EXCLUSIVE = 4,
	FOS_BLK_UNLESS_HELD = 8,
	FOS_BLK_WAIT = 16
};
enum { FOS_BLK_LIFE = 2 };
typedef struct fos_blk_args {
	uint32_t op;
	uint32_t flags;
	uint64_t size;
	char name[FOS_BLK_NAME_MAX];
} fos_blk_args;
typedef struct fos_blk_info {
	uint64_t size;  /* bytes */
	uint64_t block; /* bytes of a device block: what costs no read-modify-write */
	char name[FOS_BLK_NAME_MAX];
} fos_blk_info;

/* The read and write Requests: at FOS_ARG an array of fos_blk_range (as many as are bound without
 * a gap, 1 to FOS_BLK_RANGES_MAX), capability 1 the Memory. The ranges' bytes follow each other in
 * the Memory from its start. Any alignment; where ranges of one write overlap, the bytes of either
 * stay. `next` of read is invoked when the bytes have landed in the Memory; `next` of write when
 * the device has them (durable after flush). RANGE: outside the volume, or more bytes than the
 * Memory holds; DEVICE. The flush Request has no arguments. */
typedef struct fos_blk_range {
	uint64_t offset;
	uint64_t length;
} fos_blk_range;
enum { FOS_BLK_MEMORY = 1 };

/* The window Requests, for who lends a part of a volume: a refinement has fos_blk_extents bound at
 * FOS_BLK_EXTENTS, and whoever holds it reads or writes inside them and nowhere else: at FOS_ARG
 * one fos_blk_range, offset and length in the extents' bytes as they follow each other. RANGE:
 * beyond their end, or no bytes. */
typedef struct fos_blk_extents {
	uint32_t count; /* 1 to FOS_BLK_RANGES_MAX */
	uint32_t zero;
	fos_blk_range at[];
} fos_blk_extents;
enum { FOS_BLK_EXTENTS = FOS_ARG + 16 };
_Static_assert((int)FOS_BLK_EXTENTS + 8 + (int)FOS_BLK_RANGES_MAX * 16 <= (int)FOS_RESULT,
			   "extents end before the results");

typedef struct fos_blk_volume {
	fos_blk_info info;
	fos_cap read, write, flush;
	fos_cap read_window, write_window;
} fos_blk_volume;

/* Blocking calls of a client. `blk` is the root Request. Errors besides fos_call()'s: EXISTS,
 * NOT_FOUND, NO_SPACE, BUSY (another holds it exclusively), DEVICE, INVALID, RANGE. */
FOS_CHECKED fos_status fos_blk_create(fos_channel *ch, fos_cap blk, const char *name,
									  uint64_t size);
FOS_CHECKED fos_status fos_blk_delete(fos_channel *ch, fos_cap blk, const char *name);
FOS_CHECKED fos_status fos_blk_open(fos_channel *ch, fos_cap blk, const char *name, unsigned flags,
									fos_blk_volume *out);
/* With FOS_BLK_WAIT, at most `time` ns: TIMED_OUT. An exclusive one may then have the volume all
 * the same, and gets it by opening again, or gives it back with its channel. */
FOS_CHECKED fos_status fos_blk_open_wait(fos_channel *ch, fos_cap blk, const char *name,
										 unsigned flags, uint64_t time, fos_blk_volume *out);
FOS_CHECKED fos_status fos_blk_list(fos_channel *ch, fos_cap blk,
									void (*each)(const fos_blk_info *, void *), void *arg);
FOS_CHECKED fos_status fos_blk_read(fos_channel *ch, const fos_blk_volume *volume, uint64_t offset,
									uint64_t length, fos_cap memory);
FOS_CHECKED fos_status fos_blk_write(fos_channel *ch, const fos_blk_volume *volume, uint64_t offset,
									 uint64_t length, fos_cap memory);
FOS_CHECKED fos_status fos_blk_flush(fos_channel *ch, const fos_blk_volume *volume);

#ifdef __cplusplus
}
#endif
#endif
