/* Baseline: messages over one libfabric FI_EP_MSG endpoint, without anything of FractOS. A client
 * sends `count` messages, `depth` of them under way at a time; the responder answers each when it
 * has landed. Both poll their completion queue, and yield the core between looks or spin.
 *
 *   client                                 responder
 *     | work (over a plain connection) ------>| posts receives, or shows its memory
 *     |<-------------------------- terms      |
 *     | message, or write with immediate ---->|  x count
 *     |<-------------------------- answer     |
 *
 * Nothing is under way between two works: then the responder sleeps in the plain connection. */
#include <arpa/inet.h>
#include <errno.h>
#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

enum {
	DEPTH_MAX = 1024,
	ANSWER_MAX = 1 << 20,
	CONNECT_MS = 5000,
	LOOKS = 4096 /* without anything, until the plain connection is asked whether the peer lives */
};
#define MEMORY_MAX (UINT64_C(1) << 30)

/* What goes over the plain connection, both ends on one machine. */
struct request {
	uint32_t size, answer, depth, count;
	uint8_t write, spin, zero[2];
};
struct terms {
	uint64_t address, key;
	uint32_t refused, zero;
};

struct raw_fabric {
	int control;
	struct fi_info *info;
	struct fid_fabric *fabric;
	struct fid_eq *eq;
	struct fid_pep *pep;
	struct fid_domain *domain;
	struct fid_cq *cq;
	struct fid_ep *ep;
	uint8_t *memory; /* where messages land, and what is sent */
	uint64_t bytes;
	struct fid_mr *mr;
	uint32_t posted, received, sent, completed; /* of the work under way */
	unsigned idle;
};

static bool failed(const char *what, long rc)
{
	return bench_fails("raw fabric: %s: %s", what, fi_strerror((int)-rc));
}

/* ------------------------------------------------------------------ endpoints */

static bool open_fabric(struct raw_fabric *f, const char *host, bool listens,
						const struct sockaddr_in *peer)
{
	struct fi_eq_attr eq = {.wait_obj = FI_WAIT_UNSPEC};
	struct fi_info *hints = fi_allocinfo();

	if (!hints)
		return failed("open", -FI_ENOMEM);
	hints->ep_attr->type = FI_EP_MSG;
	hints->caps = FI_MSG | FI_RMA;
	hints->addr_format = FI_SOCKADDR_IN;
	hints->domain_attr->mr_mode = FI_MR_LOCAL | FI_MR_ALLOCATED | FI_MR_VIRT_ADDR | FI_MR_PROV_KEY;
	hints->fabric_attr->prov_name = strdup("tcp");
	if (peer) {
		hints->dest_addr = calloc(1, sizeof *peer);
		hints->dest_addrlen = sizeof *peer;
		if (hints->dest_addr)
			memcpy(hints->dest_addr, peer, sizeof *peer);
	}
	long rc = fi_getinfo(FI_VERSION(1, 17), host, listens ? "0" : NULL,
						 listens ? FI_SOURCE | FI_NUMERICHOST : 0, hints, &f->info);
	fi_freeinfo(hints);
	if (rc || (rc = fi_fabric(f->info->fabric_attr, &f->fabric, NULL)) ||
		(rc = fi_eq_open(f->fabric, &eq, &f->eq, NULL)))
		return failed("open", rc);
	return true;
}

static bool open_endpoint(struct raw_fabric *f, struct fi_info *info)
{
	struct fi_cq_attr cq = {.format = FI_CQ_FORMAT_DATA, .wait_obj = FI_WAIT_NONE, .size = 4096};
	long rc;
	if ((rc = fi_domain(f->fabric, info, &f->domain, NULL)) ||
		(rc = fi_cq_open(f->domain, &cq, &f->cq, NULL)) ||
		(rc = fi_endpoint(f->domain, info, &f->ep, NULL)) ||
		(rc = fi_ep_bind(f->ep, &f->eq->fid, 0)) ||
		(rc = fi_ep_bind(f->ep, &f->cq->fid, FI_TRANSMIT | FI_RECV)) || (rc = fi_enable(f->ep)))
		return failed("endpoint", rc);
	return true;
}

static bool await_event(struct raw_fabric *f, uint32_t wanted, struct fi_eq_cm_entry *entry)
{
	uint32_t event = 0;
	ssize_t n = fi_eq_sread(f->eq, &event, entry, sizeof *entry, CONNECT_MS, 0);
	return (n >= 0 && event == wanted) || failed("no connection", n < 0 ? n : -FI_ENOTCONN);
}

static void close_endpoint(struct raw_fabric *f)
{
	struct fid *fids[] = {f->ep ? &f->ep->fid : NULL, f->mr ? &f->mr->fid : NULL,
						  f->cq ? &f->cq->fid : NULL, f->domain ? &f->domain->fid : NULL};
	for (size_t i = 0; i < sizeof fids / sizeof fids[0]; i++)
		if (fids[i])
			fi_close(fids[i]);
	f->ep = NULL;
	f->mr = NULL;
	f->cq = NULL;
	f->domain = NULL;
	if (f->memory)
		munmap(f->memory, f->bytes);
	f->memory = NULL;
	f->bytes = 0;
}

/* Memory for all that is under way of one work, registered, and touched once. */
static bool have_memory(struct raw_fabric *f, uint64_t bytes)
{
	if (bytes <= f->bytes)
		return true;
	if (f->mr)
		fi_close(&f->mr->fid);
	if (f->memory)
		munmap(f->memory, f->bytes);
	f->mr = NULL;
	f->bytes = 0;
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	f->memory = at == MAP_FAILED ? NULL : at;
	if (!f->memory)
		return failed("memory", -FI_ENOMEM);
	f->bytes = bytes;
	memset(f->memory, 1, bytes);
	long rc = fi_mr_reg(f->domain, f->memory, bytes, FI_SEND | FI_RECV | FI_WRITE | FI_REMOTE_WRITE,
						0, 1, 0, &f->mr, NULL);
	return rc == 0 || failed("registration", rc);
}

static uint64_t memory_for(const struct request *r)
{
	uint32_t larger = r->size > r->answer ? r->size : r->answer;
	return (uint64_t)larger * r->depth + ANSWER_MAX;
}

/* ------------------------------------------------------------------ one work */

static bool peer_lives(const struct raw_fabric *f)
{
	char byte;
	ssize_t n = recv(f->control, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* One look at the completion queue. False: the connection has ended. */
static bool look(struct raw_fabric *f, bool spin)
{
	struct fi_cq_data_entry entries[16];
	ssize_t n = fi_cq_read(f->cq, entries, 16);
	if (n == -FI_EAGAIN) {
		if (!spin)
			sched_yield();
		if (++f->idle % LOOKS == 0 && !peer_lives(f))
			return failed("the peer is gone", -FI_ENOTCONN);
		return true;
	}
	if (n < 0) {
		struct fi_cq_err_entry error = {0};
		fi_cq_readerr(f->cq, &error, 0);
		return failed("completion", error.err ? -error.err : n);
	}
	f->idle = 0;
	for (ssize_t i = 0; i < n; i++)
		if (entries[i].flags & (FI_RECV | FI_REMOTE_WRITE | FI_REMOTE_CQ_DATA))
			f->received++;
		else
			f->completed++;
	return true;
}

/* Repeats a call that there is no room for yet. */
#define PERSIST(f, spin, call)                 \
	({                                         \
		ssize_t rc_;                           \
		while ((rc_ = (call)) == -FI_EAGAIN)   \
			if (!look(f, spin))                \
				break;                         \
		rc_ == 0 || failed("post", (long)rc_); \
	})

static bool post(struct raw_fabric *f, const struct request *r, uint32_t size)
{
	uint8_t *at = f->memory + (uint64_t)(f->posted++ % r->depth) * size;
	return PERSIST(f, r->spin, fi_recv(f->ep, at, size, fi_mr_desc(f->mr), 0, at));
}

/* Small ones are injected: that leaves no completion to be read. */
static bool send_one(struct raw_fabric *f, const struct request *r, uint32_t size)
{
	uint8_t *at = f->memory + (uint64_t)(f->sent % r->depth) * size;
	f->sent++;
	if (size <= f->info->tx_attr->inject_size) {
		f->completed++;
		return PERSIST(f, r->spin, fi_inject(f->ep, at, size, 0));
	}
	return PERSIST(f, r->spin, fi_send(f->ep, at, size, fi_mr_desc(f->mr), 0, at));
}

static bool write_one(struct raw_fabric *f, const struct request *r, const struct terms *terms)
{
	uint64_t offset = (uint64_t)(f->sent % r->depth) * r->size;
	uint8_t *at = f->memory + offset;
	f->sent++;
	return PERSIST(f, r->spin,
				   fi_writedata(f->ep, at, r->size, fi_mr_desc(f->mr), 1, 0,
								terms->address + offset, terms->key, at));
}

static void begin(struct raw_fabric *f)
{
	f->posted = f->received = f->sent = f->completed = 0;
}

static bool ask(struct raw_fabric *f, const struct request *r, struct terms *terms)
{
	if (send(f->control, r, sizeof *r, MSG_NOSIGNAL) != sizeof *r ||
		recv(f->control, terms, sizeof *terms, MSG_WAITALL) != sizeof *terms)
		return failed("the responder is gone", -FI_ENOTCONN);
	return terms->refused == 0 || failed("the responder refused", -FI_EINVAL);
}

static uint32_t fewer(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

uint64_t raw_fabric_run(void *arg, unsigned count)
{
	const struct raw_work *work = arg;
	struct raw_fabric *f = work->fabric;
	struct request r = {work->size, work->answer, work->depth, count, work->write, work->spin, {0}};
	struct terms terms;

	begin(f);
	if (!have_memory(f, memory_for(&r)) || !ask(f, &r, &terms))
		return 0;
	while (f->posted < fewer(r.depth, count))
		if (!post(f, &r, r.answer))
			return 0;
	uint64_t started = bench_now();
	while (f->received < count) {
		while (f->sent < count && f->sent - f->received < r.depth &&
			   f->sent - f->completed < r.depth)
			if (!(r.write ? write_one(f, &r, &terms) : send_one(f, &r, r.size)))
				return 0;
		if (!look(f, r.spin))
			return 0;
		while (f->posted < count && f->posted < f->received + r.depth)
			if (!post(f, &r, r.answer))
				return 0;
	}
	uint64_t time = bench_now() - started;
	while (f->completed < count)
		if (!look(f, r.spin))
			return 0;
	return time;
}

/* ------------------------------------------------------------------ client */

struct raw_fabric *raw_fabric_open(const char *address, uint16_t port)
{
	struct raw_fabric *f = calloc(1, sizeof *f);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)}, fabric;
	struct fi_eq_cm_entry entry;

	if (!f)
		return NULL;
	f->control = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (inet_pton(AF_INET, address, &to.sin_addr) == 1 && f->control >= 0 &&
		connect(f->control, (struct sockaddr *)&to, sizeof to) == 0 &&
		recv(f->control, &fabric, sizeof fabric, MSG_WAITALL) == sizeof fabric &&
		open_fabric(f, NULL, false, &fabric) && open_endpoint(f, f->info) &&
		fi_connect(f->ep, &fabric, NULL, 0) == 0 && await_event(f, FI_CONNECTED, &entry))
		return f;
	bench_complain("raw fabric: no connection to %s port %u", address, port);
	raw_fabric_close(f);
	return NULL;
}

static void close_all(struct raw_fabric *f)
{
	close_endpoint(f);
	if (f->control >= 0)
		close(f->control);
	struct fid *fids[] = {f->pep ? &f->pep->fid : NULL, f->eq ? &f->eq->fid : NULL,
						  f->fabric ? &f->fabric->fid : NULL};
	for (size_t i = 0; i < sizeof fids / sizeof fids[0]; i++)
		if (fids[i])
			fi_close(fids[i]);
	if (f->info)
		fi_freeinfo(f->info);
}

void raw_fabric_close(struct raw_fabric *f)
{
	if (f)
		close_all(f);
	free(f);
}

/* ------------------------------------------------------------------ responder */

static bool acceptable(const struct request *r)
{
	return r->depth > 0 && r->depth <= DEPTH_MAX && r->answer > 0 && r->answer <= ANSWER_MAX &&
		   r->size > 0 && (uint64_t)r->size * r->depth <= MEMORY_MAX;
}

static bool respond(struct raw_fabric *f, const struct request *r)
{
	struct terms terms = {.refused = !acceptable(r) || !have_memory(f, memory_for(r))};

	begin(f);
	while (!terms.refused && !r->write && f->posted < fewer(r->depth, r->count))
		terms.refused = !post(f, r, r->size);
	if (!terms.refused) {
		terms.address =
			f->info->domain_attr->mr_mode & FI_MR_VIRT_ADDR ? (uint64_t)(uintptr_t)f->memory : 0;
		terms.key = fi_mr_key(f->mr);
	}
	if (send(f->control, &terms, sizeof terms, MSG_NOSIGNAL) != sizeof terms || terms.refused)
		return false;
	while (f->sent < r->count || f->completed < r->count) {
		if (!look(f, r->spin))
			return false;
		while (f->sent < f->received) {
			if (!r->write && f->posted < r->count && !post(f, r, r->size))
				return false;
			if (!send_one(f, r, r->answer))
				return false;
		}
	}
	return true;
}

static void serve_one(struct raw_fabric *f)
{
	struct fi_eq_cm_entry entry = {0};
	struct sockaddr_in name;
	struct request r;
	size_t length = sizeof name;

	if (fi_getname(&f->pep->fid, &name, &length) != 0 ||
		send(f->control, &name, sizeof name, MSG_NOSIGNAL) != sizeof name ||
		!await_event(f, FI_CONNREQ, &entry))
		return;
	struct fi_info *info = entry.info;
	if (open_endpoint(f, info) && fi_accept(f->ep, NULL, 0) == 0 &&
		await_event(f, FI_CONNECTED, &entry))
		while (recv(f->control, &r, sizeof r, MSG_WAITALL) == sizeof r && respond(f, &r))
			;
	fi_freeinfo(info);
	close_endpoint(f);
	struct fi_eq_cm_entry rest;
	uint32_t event;
	while (fi_eq_read(f->eq, &event, &rest, sizeof rest, 0) > 0)
		;
}

int raw_fabric_serve(const char *address)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	socklen_t length = sizeof any;
	struct raw_fabric f = {.control = -1};
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (inet_pton(AF_INET, address, &any.sin_addr) != 1 || listening < 0 ||
		bind(listening, (struct sockaddr *)&any, sizeof any) != 0 || listen(listening, 1) != 0 ||
		getsockname(listening, (struct sockaddr *)&any, &length) != 0) {
		bench_complain("raw fabric: cannot listen");
		return 1;
	}
	if (!open_fabric(&f, address, true, NULL) ||
		fi_passive_ep(f.fabric, f.info, &f.pep, NULL) != 0 ||
		fi_pep_bind(f.pep, &f.eq->fid, 0) != 0 || fi_listen(f.pep) != 0)
		return 1;
	printf("ready %u\n", ntohs(any.sin_port));
	fflush(stdout);
	while ((f.control = accept4(listening, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		serve_one(&f);
		close(f.control);
		f.control = -1;
	}
	close_all(&f);
	close(listening);
	return 0;
}

/* ------------------------------------------------------------------ a pair */

bool raw_pair_open(const struct bench_context *context, const char *node, struct raw_pair *out)
{
	*out = (struct raw_pair){0};
	const struct bench_node *at = bench_node(context, node);
	if (!at || !party_start(context, node, "raw", at->address, &out->party))
		return false;
	out->fabric = raw_fabric_open(at->address, (uint16_t)strtoul(out->party.said, NULL, 10));
	return out->fabric != NULL;
}

void raw_pair_close(struct raw_pair *pair)
{
	raw_fabric_close(pair->fabric);
	party_stop(&pair->party);
}
