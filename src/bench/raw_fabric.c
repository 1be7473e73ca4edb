/* Baseline: 64 bytes back and forth over one libfabric FI_EP_MSG endpoint, both sides polling their
 * completion queue and yielding the core between looks (or spinning). */
#include <poll.h>
#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

enum { MESSAGE = 64 };

struct raw_fabric {
	struct fi_info *info;
	struct fid_fabric *fabric;
	struct fid_eq *eq;
	struct fid_pep *pep;
	struct fid_domain *domain;
	struct fid_cq *cq;
	struct fid_ep *ep;
	uint8_t out[MESSAGE], in[MESSAGE];
	bool spin, ended;
	unsigned received, sent;
};

static bool failed(const char *what, long rc)
{
	fprintf(stderr, "raw fabric: %s: %s\n", what, fi_strerror((int)-rc));
	return false;
}

static bool open_fabric(struct raw_fabric *f, const char *address, bool listen)
{
	char host[64], port[8];
	struct fi_eq_attr eq = {.wait_obj = FI_WAIT_UNSPEC};
	struct fi_info *hints = fi_allocinfo();

	if (sscanf(address, "%63[^:]:%7s", host, port) != 2)
		return failed(address, -FI_EINVAL);
	hints->ep_attr->type = FI_EP_MSG;
	hints->caps = FI_MSG;
	hints->addr_format = FI_SOCKADDR_IN;
	hints->fabric_attr->prov_name = strdup("tcp");
	long rc = fi_getinfo(FI_VERSION(1, 17), host, port, listen ? FI_SOURCE : 0, hints, &f->info);
	fi_freeinfo(hints);
	if (rc || (rc = fi_fabric(f->info->fabric_attr, &f->fabric, NULL)) ||
		(rc = fi_eq_open(f->fabric, &eq, &f->eq, NULL)))
		return failed("open", rc);
	return true;
}

static bool open_endpoint(struct raw_fabric *f, struct fi_info *info)
{
	struct fi_cq_attr cq = {.format = FI_CQ_FORMAT_CONTEXT, .wait_obj = FI_WAIT_NONE, .size = 64};
	long rc;
	if ((rc = fi_domain(f->fabric, info, &f->domain, NULL)) ||
		(rc = fi_cq_open(f->domain, &cq, &f->cq, NULL)) ||
		(rc = fi_endpoint(f->domain, info, &f->ep, NULL)) ||
		(rc = fi_ep_bind(f->ep, &f->eq->fid, 0)) ||
		(rc = fi_ep_bind(f->ep, &f->cq->fid, FI_TRANSMIT | FI_RECV)) || (rc = fi_enable(f->ep)) ||
		(rc = fi_recv(f->ep, f->in, MESSAGE, NULL, 0, f->in)))
		return failed("endpoint", rc);
	return true;
}

static void close_endpoint(struct raw_fabric *f)
{
	if (f->ep)
		fi_close(&f->ep->fid);
	if (f->cq)
		fi_close(&f->cq->fid);
	if (f->domain)
		fi_close(&f->domain->fid);
	f->ep = NULL;
	f->cq = NULL;
	f->domain = NULL;
}

static bool look(struct raw_fabric *f)
{
	struct fi_cq_entry entries[8];
	ssize_t n = fi_cq_read(f->cq, entries, 8);
	if (n == -FI_EAGAIN) {
		if (!f->spin)
			sched_yield();
		return true;
	}
	if (n < 0) {
		f->ended = true;
		return false;
	}
	for (ssize_t i = 0; i < n; i++) {
		f->received += entries[i].op_context == f->in;
		f->sent += entries[i].op_context == f->out;
	}
	return true;
}

static bool send_one(struct raw_fabric *f)
{
	ssize_t rc;
	while ((rc = fi_send(f->ep, f->out, MESSAGE, NULL, 0, f->out)) == -FI_EAGAIN)
		if (!look(f))
			return false;
	return rc == 0;
}

static bool receive_one(struct raw_fabric *f)
{
	while (f->received == 0)
		if (!look(f))
			return false;
	f->received--;
	return fi_recv(f->ep, f->in, MESSAGE, NULL, 0, f->in) == 0;
}

struct raw_fabric *raw_fabric_open(const char *address, bool spin)
{
	struct raw_fabric *f = calloc(1, sizeof *f);
	struct fi_eq_cm_entry entry;
	uint32_t event = 0;

	f->spin = spin;
	if (!open_fabric(f, address, false) || !open_endpoint(f, f->info) ||
		fi_connect(f->ep, f->info->dest_addr, NULL, 0) != 0 ||
		fi_eq_sread(f->eq, &event, &entry, sizeof entry, 5000, 0) < 0 || event != FI_CONNECTED) {
		fprintf(stderr, "raw fabric: no connection to %s\n", address);
		raw_fabric_close(f);
		return NULL;
	}
	return f;
}

uint64_t raw_fabric_run(void *arg, unsigned count)
{
	struct raw_fabric *f = arg;
	uint64_t begin = bench_now();
	for (unsigned i = 0; i < count; i++)
		if (!send_one(f) || !receive_one(f)) {
			fprintf(stderr, "raw fabric: the connection ended\n");
			return 0;
		}
	return bench_now() - begin;
}

void raw_fabric_close(struct raw_fabric *f)
{
	if (!f)
		return;
	close_endpoint(f);
	if (f->pep)
		fi_close(&f->pep->fid);
	if (f->eq)
		fi_close(&f->eq->fid);
	if (f->fabric)
		fi_close(&f->fabric->fid);
	if (f->info)
		fi_freeinfo(f->info);
	free(f);
}

/* Serves one connection until the peer leaves. After a pause of the peer's the loop sleeps in small
 * steps in the completion queue's place, so that a responder between rounds does not take a core.
 */
static void serve_one(struct raw_fabric *f, int stop)
{
	struct fi_eq_cm_entry entry;
	uint32_t event;
	uint64_t last = bench_now();

	while (!f->ended) {
		if (f->received > 0) {
			if (!receive_one(f) || !send_one(f))
				break;
			last = bench_now();
			continue;
		}
		if (!look(f))
			break;
		if (bench_now() - last < 2000000)
			continue;
		struct pollfd end = {.fd = stop, .events = POLLIN};
		if (poll(&end, 1, 1) > 0 ||
			(fi_eq_read(f->eq, &event, &entry, sizeof entry, 0) > 0 && event == FI_SHUTDOWN))
			break;
	}
}

int raw_fabric_serve(const char *address, bool spin, int stop)
{
	struct raw_fabric f = {.spin = spin};
	struct fi_eq_cm_entry entry;
	uint32_t event;

	if (!open_fabric(&f, address, true) || fi_passive_ep(f.fabric, f.info, &f.pep, NULL) != 0 ||
		fi_pep_bind(f.pep, &f.eq->fid, 0) != 0 || fi_listen(f.pep) != 0)
		return 1;
	for (;;) {
		struct pollfd end = {.fd = stop, .events = POLLIN};
		if (poll(&end, 1, 0) > 0)
			break;
		ssize_t n = fi_eq_sread(f.eq, &event, &entry, sizeof entry, 200, 0);
		if (n < 0 || event != FI_CONNREQ)
			continue;
		f.ended = false;
		f.received = f.sent = 0;
		if (open_endpoint(&f, entry.info) && fi_accept(f.ep, NULL, 0) == 0)
			serve_one(&f, stop);
		fi_freeinfo(entry.info);
		close_endpoint(&f);
	}
	fi_close(&f.pep->fid);
	fi_close(&f.eq->fid);
	fi_close(&f.fabric->fid);
	fi_freeinfo(f.info);
	return 0;
}
