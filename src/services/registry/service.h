/* The registry's Requests: publish, lookup, wait, list, on a table and a policy. One channel, one
 * thread. */
#ifndef FRACTOS_REGISTRY_SERVICE_H
#define FRACTOS_REGISTRY_SERVICE_H

#include <fractos/registry.h>

#include "policy.h"

struct service;

/* Makes the Requests on the channel. `policy` is borrowed. On an error *what (static) says what
 * failed. */
FOS_CHECKED fos_status service_open(fos_channel *ch, const struct policy *policy,
									struct service **out, const char **what);
/* Makes it the cluster's registry: from then on it is asked. When another node has set one in its
 * place it sets itself anew. DENIED. */
FOS_CHECKED fos_status service_announce(struct service *service);
/* Frees it; before the channel is closed. NULL is allowed. */
void service_close(struct service *service);

#endif
