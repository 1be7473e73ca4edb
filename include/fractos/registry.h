/* The registry: names for capabilities. Services publish, everybody else looks up.
 *
 * The registry is one Process of the cluster; a Process reaches it through fos_registry_get(),
 * whose Request carries the caller's principal, bound by the caller's own Controller. An entry is
 * gone when its publisher has died, and is not given out while its node cannot be reached.
 */
#ifndef FRACTOS_REGISTRY_H
#define FRACTOS_REGISTRY_H

#include <fractos/fractos.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { FOS_NAME_MAX = 64 }; /* bytes of a name with its final zero: [a-z0-9._/-]+ */

/* Who asks: bound at [0, 64) of the registry's Request by the asking Process's Controller. */
typedef struct fos_principal {
	uint32_t node;
	uint32_t process; /* serial, unique in one epoch of the node */
	uint32_t uid;     /* of the Process's peer credentials */
	uint32_t gid;
	char label[FOS_LABEL_MAX]; /* as the Process calls itself: for people, proves nothing */
	uint64_t zero[2];
} fos_principal;
_Static_assert(sizeof(fos_principal) == FOS_ARG, "the principal fills the provider's part");

/* Immediates at FOS_ARG. PUBLISH: capability 1 is what is published, capability 2 the lease, a
 * Request whose delivery the publisher keeps open while it lives. LOOKUP and WAIT answer with
 * capability FOS_CAP_RESULT; LIST answers at FOS_RESULT with names, each zero-terminated, that
 * begin with the prefix and follow `name` in sorted order (where `name` is the prefix: with it).
 * A page of the list has at most FOS_REGISTRY_PAGE bytes; one with room for another name of
 * FOS_NAME_MAX bytes is the last. */
enum fos_registry_op {
	FOS_REGISTRY_PUBLISH = 1,
	FOS_REGISTRY_UNPUBLISH = 2,
	FOS_REGISTRY_LOOKUP = 3,
	FOS_REGISTRY_WAIT = 4,
	FOS_REGISTRY_LIST = 5
};
enum { FOS_REGISTRY_CAP = 1, FOS_REGISTRY_LEASE = 2, FOS_REGISTRY_PAGE = 4096 };
/* What the registry invokes a lease with: a uint32_t at FOS_ARG. HOLD: keep this delivery open
 * instead of an earlier one; RELEASE: the entry is gone, the lease is over. */
enum fos_registry_lease { FOS_REGISTRY_HOLD = 1, FOS_REGISTRY_RELEASE = 2 };
typedef struct fos_registry_args {
	uint32_t op;
	uint32_t prefix_len; /* LIST: how many bytes of name are the prefix */
	char name[FOS_NAME_MAX];
} fos_registry_args;

/* All of these block. TIMED_OUT: no registry was there in time (5 s, where no time is given); one
 * that dies meanwhile does no harm if another comes within the time. Errors besides those of
 * fos_call(): NOT_FOUND; EXISTS (a living publisher of another principal has the name); DENIED by
 * policy; INVALID name.
 *
 * What is published stays so when the registry dies and another comes: the library publishes it
 * again by itself, from the fos_poll(), fos_wait() or fos_serve() of the channel that published it,
 * until it is unpublished on that channel or taken over by another publisher of the same user. A
 * refusal counts as long as the registry lives that refused. `cap` must stay open until then. */
FOS_CHECKED fos_status fos_registry_publish(fos_channel *ch, const char *name, fos_cap cap);
FOS_CHECKED fos_status fos_registry_unpublish(fos_channel *ch, const char *name);
FOS_CHECKED fos_status fos_registry_lookup(fos_channel *ch, const char *name, fos_cap *out);
/* Waits until the name is published, at most `time` ns: TIMED_OUT. */
FOS_CHECKED fos_status fos_registry_wait(fos_channel *ch, const char *name, uint64_t time,
										 fos_cap *out);
/* Calls each() for every name with the prefix, in sorted order. */
FOS_CHECKED fos_status fos_registry_list(fos_channel *ch, const char *prefix,
										 void (*each)(const char *name, void *arg), void *arg);

#ifdef __cplusplus
}
#endif
#endif
