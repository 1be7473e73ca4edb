/* The gate: the fabric's listening side. It is open only while a ticket is out, for session.c.
 *
 * The tcp provider of libfabric 1.17 reads a connection's request with blocking calls, and when the
 * listening endpoint is closed it keeps for ever the connections whose request it has not read, a
 * descriptor and memory each. Both are the provider's own business and it has no call for them; but
 * the sockets stand in the epoll set of the gate's event queue, where they are found: so reading
 * gets a time limit, and who is still there when the gate closes is hung up on.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/time.h>

#include "net/net_internal.h"

enum {
	REQUESTS_AT_ONCE = 32,
	ROUNDS_MAX = 128,      /* of emptying; the provider looks at up to 1024 sockets in each */
	REQUEST_WAIT_US = 1000 /* for the rest of a request; it comes in one packet with its head */
};

/* ------------------------------------------------------------------ the provider's sockets */

static uint16_t port_of(const struct sockaddr_storage *address)
{
	return ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
												: ((const struct sockaddr_in *)address)->sin_port);
}

static bool is_at_port(int fd, uint16_t port)
{
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof address;
	return getsockname(fd, (struct sockaddr *)&address, &len) == 0 &&
		   (address.ss_family == AF_INET || address.ss_family == AF_INET6) &&
		   port_of(&address) == port;
}

/* What the kernel lists of the epoll set: the listening socket and the connections whose request
 * was not read yet. Returns how many there are. */
static int each_socket(const struct gate *gate, void (*act)(int fd))
{
	char text[128];
	int set = -1, fd = -1, count = 0;
	if (gate->eq == NULL || fi_control(&gate->eq->fid, FI_GETWAIT, &set) != 0)
		return 0;
	snprintf(text, sizeof text, "/proc/self/fdinfo/%d", set);
	FILE *list = fopen(text, "re");
	if (list == NULL)
		return 0;
	while (fgets(text, sizeof text, list) != NULL) {
		if (sscanf(text, "tfd: %d", &fd) != 1 || !is_at_port(fd, gate->port))
			continue;
		act(fd);
		count++;
	}
	fclose(list);
	return count;
}

/* Accepted sockets take it over from the listening one; those of endpoints do not block at all. */
static void limit_reading(int fd)
{
	const struct timeval limit = {.tv_usec = REQUEST_WAIT_US};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

/* Of a connection the provider then reads the end; the listening socket listens no more. */
static void hang_up(int fd)
{
	shutdown(fd, SHUT_RDWR);
}

/* ------------------------------------------------------------------ open and close */

bool gate_open(struct net *net)
{
	struct gate *gate = &net->gate;
	struct fi_eq_attr attr = {.wait_obj = FI_WAIT_FD};
	struct sockaddr_storage address;
	size_t len = sizeof address;
	if (gate->tickets++ > 0)
		return true;
	if (fi_eq_open(net->fabric, &attr, &gate->eq, NULL) == 0 &&
		fi_passive_ep(net->fabric, net->info, &gate->pep, NULL) == 0 &&
		fi_pep_bind(gate->pep, &gate->eq->fid, 0) == 0 && fi_listen(gate->pep) == 0 &&
		fi_getname(&gate->pep->fid, &address, &len) == 0 &&
		fabric_watch(net, &gate->eq->fid, &gate->source)) {
		gate->port = port_of(&address);
		each_socket(gate, limit_reading);
		return true;
	}
	gate_close(net);
	return false;
}

static void refuse_requests(struct gate *gate)
{
	union connection_event read;
	struct fi_eq_err_entry error = {0};
	uint32_t event;
	for (;;) {
		ssize_t n = fabric_read_event(gate->eq, &event, &read, 0);
		if (n == -FI_EAVAIL)
			(void)!fi_eq_readerr(gate->eq, &error, 0);
		else if (n < (ssize_t)sizeof read.entry)
			return;
		else if (event == FI_CONNREQ) {
			fi_reject(gate->pep, read.entry.info->handle, NULL, 0);
			fi_freeinfo(read.entry.info);
		}
	}
}

/* Nobody is left but the listening socket, which stays until its endpoint is closed. */
static void empty(struct gate *gate)
{
	int sockets, rounds = 0;
	do {
		sockets = each_socket(gate, hang_up);
		refuse_requests(gate);
	} while (sockets > 1 && ++rounds < ROUNDS_MAX);
}

/* One ticket is used or over; the last one closes the gate. */
void gate_close(struct net *net)
{
	struct gate *gate = &net->gate;
	if (gate->tickets > 1) {
		gate->tickets--;
		return;
	}
	gate->tickets = 0;
	if (gate->pep != NULL) {
		empty(gate);
		fi_close(&gate->pep->fid);
	}
	if (gate->eq != NULL)
		fi_close(&gate->eq->fid);
	gate->pep = NULL;
	gate->eq = NULL;
	gate->port = 0;
}

int gate_events(struct net *net)
{
	union connection_event read;
	struct fi_eq_err_entry error = {0};
	int count = 0;
	while (net->gate.eq != NULL && count < REQUESTS_AT_ONCE) {
		uint32_t event;
		ssize_t n = fabric_read_event(net->gate.eq, &event, &read, 0);
		if (n == -FI_EAVAIL) {
			(void)!fi_eq_readerr(net->gate.eq, &error, 0);
			count++;
			continue;
		}
		if (n < (ssize_t)sizeof read.entry)
			break;
		count++;
		if (event == FI_CONNREQ)
			session_requested(net, read.entry.info, read.entry.data, (size_t)n - sizeof read.entry);
	}
	return count;
}
