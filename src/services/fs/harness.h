/* For the tests of fs: a cluster of four real Controllers, client and registry at n0, fs at n1, blk
 * at n2, another client at n3; and calls to fs that are sent without waiting. What goes wrong in
 * here fails the test. */
#ifndef FRACTOS_SERVICES_FS_HARNESS_H
#define FRACTOS_SERVICES_FS_HARNESS_H

#include <fractos/blk.h>
#include <fractos/fs.h>

#include "services/registry/launch.h"

enum { BUFFER_BYTES = 8 << 20 };

struct fixture {
	struct cluster cluster;
	char dir[64], hold[80];
	pid_t registry, blk, fs;
	fos_process *process;
	fos_channel *ch;
	fos_cap root;
	uint8_t *bytes; /* arena: BUFFER_BYTES */
	fos_cap memory; /* of all of it */
};

uint64_t fixture_now(void); /* CLOCK_MONOTONIC, ns */

/* ------------------------------------------------------------------ the cluster */

/* Of a test: all services run, and the root of fs is known. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
void fixture_start_blk(struct fixture *f);
void fixture_start_fs(struct fixture *f);
void fixture_start_fs_at(struct fixture *f, int node);
void fixture_kill(pid_t *pid);
void fixture_end(pid_t pid);
/* Whatever a test did, the metadata is sound in the end. */
void fixture_check(struct fixture *f);
/* From here on nothing reaches the device, or everything does again. */
void fixture_hold_device(const struct fixture *f, bool hold);
/* Until the device has something that is held back. */
void fixture_await_held(const struct fixture *f);

/* ------------------------------------------------------------------ contents */

void fixture_write_all(struct fixture *f, uint64_t file, int fill, uint64_t size);
void fixture_expect_all(struct fixture *f, uint64_t file, int fill, uint64_t size, unsigned flags);
/* The first use after a restart works. On a busy machine that may take longer than a use waits;
 * then a later one does. */
void fixture_expect_back(struct fixture *f, uint64_t file, int fill, uint64_t size, unsigned flags);

/* ------------------------------------------------------------------ calls */

enum { CALL_BYTES = 40000 };

struct call {
	bool ended;
	fos_status status;
};
void call_begin(struct fixture *f, struct call *call, uint32_t op, unsigned flags,
				const fos_fs_item *item, uint64_t memory_offset);
void call_begin_for(struct fixture *f, struct call *call, uint32_t op, unsigned flags,
					const fos_fs_item *item, uint64_t memory_offset, uint64_t time);
void call_begin_direct_write(struct fixture *f, struct call *call, const fos_fs_direct *direct,
							 uint64_t length);
void call_begin_truncate(struct fixture *f, struct call *call, uint64_t file);
void call_begin_close(struct fixture *f, struct call *call, fos_cap close);

#endif
