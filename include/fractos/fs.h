/* The file system service: directories and files on a blk volume.
 *
 * Published as "fs". Three ways for data: *mediated* (fs checks and maps, the block service moves
 * the bytes straight between the device and the caller's Memory), *relayed* (the bytes pass through
 * the fs Process, as with NFS) and *direct* (fs lends what has been written of a file, and the
 * caller goes to the block service without fs, for a time). The root Request takes every operation;
 * what it is refined with cannot be changed by its holder.
 */
#ifndef FRACTOS_FS_H
#define FRACTOS_FS_H

#include <fractos/fractos.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	FOS_FS_NAME_MAX = 255,   /* bytes of one name */
	FOS_FS_PATH_MAX = 1024,  /* bytes of a path with its final zero */
	FOS_FS_ITEMS_MAX = 128,  /* pieces of files in one read or write */
	FOS_FS_IO_MAX = 64 << 20 /* bytes in one read or write */
};

enum fos_fs_op {
	FOS_FS_MKDIR = 1,  /* path */
	FOS_FS_CREATE = 2, /* path: a new empty file; result fos_fs_stat. EXISTS */
	FOS_FS_OPEN = 3,   /* path; result fos_fs_stat; a file stays usable by its id until unlinked */
	FOS_FS_STAT = 4,   /* path, or "" and file; result fos_fs_stat */
	FOS_FS_READ = 5,   /* items; capability 1: Memory that receives them one after the other */
	FOS_FS_WRITE = 6,  /* items; capability 1: Memory whose bytes go there; extends files */
	FOS_FS_TRUNCATE = 7,    /* file, size: both ways; what is new reads as zero */
	FOS_FS_UNLINK = 8,      /* path: a file or an empty directory */
	FOS_FS_RENAME = 9,      /* path to path2, replacing an existing file */
	FOS_FS_READDIR = 10,    /* path, path2: name to go on behind; result fos_fs_dirent records */
	FOS_FS_FSYNC = 11,      /* file: data and metadata are durable when next is invoked */
	FOS_FS_OPEN_DIRECT = 12 /* one item; size: ns that it is wanted, 0: FOS_FS_DIRECT_TIME;
							   capability FOS_FS_LIFE; result fos_fs_direct_info, capabilities from
							   FOS_CAP_RESULT: read, close, write (with FOS_FS_DIRECT_WRITE) */
};
enum fos_fs_flags {
	FOS_FS_RELAYED = 1,     /* READ and WRITE; default: mediated */
	FOS_FS_DIRECT_WRITE = 2 /* OPEN_DIRECT; default: to be read only */
};
enum fos_fs_type { FOS_FS_FILE = 1, FOS_FS_DIRECTORY = 2 };

/* Immediates at FOS_ARG: this header, then for READ and WRITE `count` items, for the others path
 * and path2, each zero-terminated. */
typedef struct fos_fs_args {
	uint32_t op;
	uint32_t flags;
	uint64_t file;  /* id from fos_fs_stat, where the operation takes one */
	uint64_t size;  /* TRUNCATE */
	uint32_t count; /* READ, WRITE: items */
	uint32_t zero;
} fos_fs_args;
typedef struct fos_fs_item {
	uint64_t file;
	uint64_t offset;
	uint64_t length; /* READ: must lie inside the file, else RANGE */
} fos_fs_item;

/* Results at FOS_RESULT. */
typedef struct fos_fs_stat {
	uint64_t file; /* id, never reused */
	uint64_t size; /* bytes */
	uint64_t mtime_ns;
	uint32_t type; /* enum fos_fs_type */
	uint32_t zero;
} fos_fs_stat;
typedef struct fos_fs_dirent { /* followed by name_len bytes, padded with zeros to 8 */
	uint64_t file;
	uint32_t type;
	uint32_t name_len;
} fos_fs_dirent;
/* What OPEN_DIRECT lends: file bytes [offset, offset + length), as much of what was asked for as
 * has been written without a hole, in at most FOS_BLK_RANGES_MAX pieces. read and write take, as
 * window Requests of the block service (fractos/blk.h), a fos_blk_range at FOS_ARG (its offset
 * counts from `offset`) and the Memory as capability 1; close takes nothing. They answer REVOKED
 * when it was taken back: it was closed, its time is over, the life has ended or cannot be seen,
 * the file was made shorter, the volume was lost. A file that was unlinked or replaced can be used
 * on until then. A direct write changes bytes in place, neither size nor time. Between direct users
 * and others, and among direct users, there is no order: who sees which bytes of a write that is
 * under way is open, block by block. */
typedef struct fos_fs_direct_info {
	uint64_t file;
	uint64_t offset;
	uint64_t length;
	uint64_t time; /* ns until it is taken back */
} fos_fs_direct_info;
#define FOS_FS_DIRECT_TIME     UINT64_C(60000000000)  /* ns */
#define FOS_FS_DIRECT_TIME_MAX UINT64_C(600000000000) /* what is wanted beyond is not given */
enum { FOS_FS_MEMORY = 1, FOS_FS_LIFE = 2 };

/* Blocking calls of a client; `fs` is the root Request. Errors besides fos_call()'s: NOT_FOUND,
 * EXISTS, INVALID (a name, a file where a directory is needed, a directory that is not empty),
 * RANGE, NO_SPACE, PEER_LOST and REVOKED when the block service died. */
FOS_CHECKED fos_status fos_fs_mkdir(fos_channel *ch, fos_cap fs, const char *path);
FOS_CHECKED fos_status fos_fs_create(fos_channel *ch, fos_cap fs, const char *path,
									 fos_fs_stat *out);
FOS_CHECKED fos_status fos_fs_open(fos_channel *ch, fos_cap fs, const char *path, fos_fs_stat *out);
FOS_CHECKED fos_status fos_fs_stat_path(fos_channel *ch, fos_cap fs, const char *path,
										fos_fs_stat *out);
FOS_CHECKED fos_status fos_fs_read(fos_channel *ch, fos_cap fs, const fos_fs_item *items,
								   uint32_t count, fos_cap memory, unsigned flags);
FOS_CHECKED fos_status fos_fs_write(fos_channel *ch, fos_cap fs, const fos_fs_item *items,
									uint32_t count, fos_cap memory, unsigned flags);
FOS_CHECKED fos_status fos_fs_truncate(fos_channel *ch, fos_cap fs, uint64_t file, uint64_t size);
FOS_CHECKED fos_status fos_fs_unlink(fos_channel *ch, fos_cap fs, const char *path);
FOS_CHECKED fos_status fos_fs_rename(fos_channel *ch, fos_cap fs, const char *from, const char *to);
FOS_CHECKED fos_status fos_fs_readdir(fos_channel *ch, fos_cap fs, const char *path,
									  void (*each)(const char *name, const fos_fs_dirent *, void *),
									  void *arg);
FOS_CHECKED fos_status fos_fs_fsync(fos_channel *ch, fos_cap fs, uint64_t file);

typedef struct fos_fs_direct {
	fos_fs_direct_info info;
	fos_cap read, write, close; /* write: FOS_CAP_NONE unless asked for */
} fos_fs_direct;
/* Opens [offset, offset + length) of a file, or the beginning of it that can be lent (see
 * fos_fs_direct_info), for `time` ns; flags: 0 or FOS_FS_DIRECT_WRITE. The channel's life is used.
 * RANGE: nothing is written at `offset`; QUOTA: too many direct users. */
FOS_CHECKED fos_status fos_fs_open_direct(fos_channel *ch, fos_cap fs, uint64_t file,
										  uint64_t offset, uint64_t length, unsigned flags,
										  uint64_t time, fos_fs_direct *out);
/* `offset` is the file's. RANGE: not inside what was opened; DENIED: not opened to be written. */
FOS_CHECKED fos_status fos_fs_direct_read(fos_channel *ch, const fos_fs_direct *direct,
										  uint64_t offset, uint64_t length, fos_cap memory);
FOS_CHECKED fos_status fos_fs_direct_write(fos_channel *ch, const fos_fs_direct *direct,
										   uint64_t offset, uint64_t length, fos_cap memory);
/* Gives it back; when it returns OK, nothing of it is under way. What the client holds is given
 * back in any case. */
FOS_CHECKED fos_status fos_fs_direct_close(fos_channel *ch, fos_fs_direct *direct);
/* Binds READ or WRITE of items to `of` in args: for chains. The items are borrowed. */
void fos_fs_args_io(fos_args *args, fos_cap of, const fos_fs_args *header, const fos_fs_item *items,
					fos_cap memory);

#ifdef __cplusplus
}
#endif
#endif
