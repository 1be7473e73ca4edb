/* The baseline of blk: see raw_disk.c. */
#ifndef FRACTOS_BENCH_RAW_DISK_H
#define FRACTOS_BENCH_RAW_DISK_H

#include "load.h"

enum raw_waiting { RAW_SLEEPING, RAW_YIELDING, RAW_SPINNING };
enum { RAW_WAITINGS = 3 };

struct raw_disk;
/* Borrows the descriptor and the buffers, in which all operations are. NULL after saying why. */
struct raw_disk *raw_disk_open(int fd, uint8_t *buffers, uint64_t size, enum raw_waiting waiting);
/* How `load` is done by it. */
struct load_way raw_disk_way(struct raw_disk *disk, struct load *load);
void raw_disk_close(struct raw_disk *disk);

#endif
