/* Compiling in a process of its own. A compiler holds on to a hundred megabytes and can be crashed
 * or kept busy by the text it is given; so clients' sources are first built in a process that ends
 * afterwards, where also every kernel is made ready for its first launch. What it made stays in the
 * driver's cache, from which the service then takes it.
 *
 *     service (builder's thread)      compiler (one thread, before any driver)     one build
 *       | options, source               |                                            |
 *       |------------------------------>| fork ------------------------------------->| build, warm
 *       |                               |<-- status, log, or a signal ---------------|
 *       |<------------------------------|
 */
#ifndef GPU_COMPILER_H
#define GPU_COMPILER_H

#include "backend.h"

struct compiler;

/* Starts the process. To be called while the caller has one thread and has not opened a device;
 * `device` is borrowed. NULL: it cannot be started. */
struct compiler *compiler_start(const struct gpu_backend *backend, const char *device);
/* Ends it, with what it does. NULL is allowed. */
void compiler_stop(struct compiler *compiler);

/* Builds; blocks; one thread at a time. OK: the caller may build it now and will find it done; also
 * where the compiler process is gone, then nothing is done yet. DEVICE: does not compile (*why is
 * the log), crashed, or took too long. */
fos_status compiler_build(struct compiler *compiler, const char *source, size_t length,
						  const char *options, struct gpu_why *why);

#endif
