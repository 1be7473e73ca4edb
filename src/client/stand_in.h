/* Stands in for libfractos in the fuzzers of services: the service's own code, linked with this
 * instead, is asked by a client that can bind anything, and served by a Controller that may refuse
 * any call. No Controller runs, no clock passes, nothing waits: the same input ends in the same
 * way.
 *
 * Of capabilities it knows what a service could tell: which Requests it has made, refined and given
 * out, with which immediates bound; a client invokes those, and binds what is not bound yet. It
 * holds the service to its side of the contract: a delivery is finished at most once, copies stay
 * inside the service's own Memory, and nothing is made of a slot that was closed. */
#ifndef FRACTOS_CLIENT_STAND_IN_H
#define FRACTOS_CLIENT_STAND_IN_H

#include <fractos/fractos.h>

#include "base/fuzz.h"

/* Starts anew, with one Process and the channel that is returned. */
fos_channel *stand_in_begin(void);
/* A Request that clients have from the start, with immediates bound at 0; len 0: none. */
void stand_in_offer(fos_cap request, const void *bound, uint32_t len);
/* What the service made the cluster's registry. */
fos_cap stand_in_registry(void);
/* Writes what a client binds at FOS_ARG to `out` (FOS_IMM_MAX - FOS_ARG bytes); returns its size.
 */
typedef uint32_t stand_in_arguments(struct choices *choices, uint8_t *out);
/* Binds more capabilities than those at the first places, which bind themselves. */
typedef void stand_in_capabilities(struct choices *choices, fos_delivered_cap caps[FOS_CAPS_MAX]);
void stand_in_bind(stand_in_capabilities *capabilities);
/* A Memory that the service has given out, or a part of one; also when it is revoked already.
 * Leaves *out as it is where there is none. */
void stand_in_memory(struct choices *choices, fos_delivered_cap *out);
/* One operation: a delivery, a completion, a turn of the loop. */
void stand_in_operate(uint8_t what, struct choices *choices, stand_in_arguments *arguments);
/* Whether it completed a monitor of a slot that had been closed before. */
bool stand_in_late(void);
/* Whether a copy reads of these bytes now. */
bool stand_in_reads(const void *at, uint64_t length);
/* Completes a call; false: none is under way. */
bool stand_in_complete(void);
/* How many deliveries are not finished, and pieces of Memory not freed. */
void stand_in_count(unsigned *deliveries, unsigned *memory);
/* After the service has closed. */
void stand_in_end(void);

#endif
