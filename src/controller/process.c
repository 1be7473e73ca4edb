/* Processes, from the connection to the last byte freed. Their serials rise by at least one each
 * and are never used again in the life of this Controller; a serial is taken only if its place in
 * the table is free, so that looking one up is one step. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller/controller.h"

enum {
	STRANGERS_MAX = 64, /* connections that have not attached yet */
	/* Parts of the places that one account, one program may have; of the last, with few only. */
	PLACES_OF_ACCOUNT = 2,
	PLACES_OF_PROGRAM = 4,
	PLACES_KEPT = 8,
	PLACES_ALWAYS = 2 /* where limits.processes is small */
};

struct process *process_create(struct controller *c)
{
	struct process *p = calloc(1, sizeof *p);
	if (p == NULL)
		return NULL;
	p->channels = calloc(c->config->limits.channels, sizeof(struct channel *));
	p->segments = calloc(c->config->limits.segments, sizeof(struct segment *));
	if (p->channels == NULL || p->segments == NULL) {
		free(p->channels);
		free(p->segments);
		free(p);
		return NULL;
	}
	p->lifeline.fd = p->exit.fd = p->given = -1;
	aside_lane_init(&p->lane, &c->aside);
	p->accepted = c->now;
	list_init(&p->in_ending);
	list_push(&c->processes, &p->in_list);
	return p;
}

struct process *process_find(const struct controller *c, uint32_t serial)
{
	struct process *p = c->by_serial[serial & c->by_serial_mask];
	return p != NULL && p->serial == serial ? p : NULL;
}

/* 0: none is free. */
static uint32_t next_serial(struct controller *c)
{
	for (uint32_t tries = 0; tries <= c->by_serial_mask && c->last_serial < UINT32_MAX; tries++)
		if (c->by_serial[++c->last_serial & c->by_serial_mask] == NULL)
			return c->last_serial;
	return 0;
}

/* ------------------------------------------------------------------ places
 * An *account* is who is charged with places: a user. Of root and of our own user, who could end us
 * anyway, it is a session of the system (setsid(2)), which is what one shell or supervisor began:
 * so that what one of them does by mistake leaves room for the others. */

static bool same_account(const struct process *a, const struct process *b)
{
	const bool by_session =
		(a->uid == 0 || a->uid == geteuid()) && a->session > 0 && b->session > 0;
	return a->uid == b->uid && (!by_session || a->session == b->session);
}

struct taken {
	uint32_t all, account, program; /* of them of the account, and of the one OS process */
};

static void count(const struct list *list, const struct process *p, bool attached,
				  struct taken *taken)
{
	for (const struct list *at = list->next; at != list; at = at->next) {
		const struct process *other = BASE_CONTAINER(at, struct process, in_list);
		if (other == p || (attached && other->serial == 0))
			continue;
		taken->all++;
		taken->account += same_account(p, other);
		taken->program += p->pid > 0 && p->pid == other->pid;
	}
}

/* What it left behind counts too, until it is free. */
static const char *no_place(const struct controller *c, const struct process *p)
{
	const uint32_t places = c->config->limits.processes;
	const uint32_t kept = places / PLACES_KEPT;
	struct taken taken = {0};
	count(&c->processes, p, true, &taken);
	count(&c->leaving, p, true, &taken);
	if (taken.all >= places)
		return "limits.processes are attached already, or left deliveries unfinished";
	if (taken.account >= BASE_MAX(places / PLACES_OF_ACCOUNT, (uint32_t)PLACES_ALWAYS))
		return "its user or session has as many places as one may have";
	if (taken.program >= BASE_MAX(places / PLACES_OF_PROGRAM, (uint32_t)PLACES_ALWAYS))
		return "it has as many places as one program may have";
	if (places - taken.all <= kept && taken.account >= kept)
		return "the last places are kept for users and sessions that have few";
	return NULL;
}

const char *process_no_connection(const struct controller *c, const struct process *p)
{
	const uint32_t most = 2 * c->config->limits.processes + STRANGERS_MAX;
	struct taken taken = {0};
	count(&c->processes, p, false, &taken);
	count(&c->leaving, p, false, &taken);
	count(&c->clearing, p, false, &taken);
	if (taken.all >= most)
		return "too many connections";
	if (taken.account >= most / PLACES_OF_ACCOUNT)
		return "too many connections of its user or session";
	return NULL;
}

const char *process_attach(struct controller *c, struct process *p, const char *label)
{
	const char *reason = no_place(c, p);
	if (reason != NULL)
		return reason;
	uint32_t serial = next_serial(c);
	if (serial == 0)
		return "no serial is left";
	p->serial = serial;
	memcpy(p->label, label, sizeof p->label);
	c->by_serial[serial & c->by_serial_mask] = p;
	struct core_event up = {
		.type = CORE_PROCESS_UP,
		.process = serial,
		.may_set_registry = strcmp(c->config->registry, c->config->self->name) == 0,
		.principal = {.node = c->config->self->id, .process = serial, .uid = p->uid, .gid = p->gid},
	};
	memcpy(up.principal.label, p->label, sizeof up.principal.label);
	controller_step(c, &up);
	log_line(&c->log, "process %u \"%s\" attached (pid %d, uid %u)", serial, p->label, (int)p->pid,
			 p->uid);
	return NULL;
}

void process_end(struct controller *c, struct process *p, const char *reason)
{
	if (p->ending)
		return;
	p->ending = true;
	list_push(&c->ending, &p->in_ending);
	if (p->serial != 0)
		log_line(&c->log, "process %u \"%s\" ended: %s", p->serial, p->label, reason);
	else
		log_line(&c->log, "a connection (pid %d, uid %u) ended: %s", (int)p->pid, p->uid, reason);
}

/* ------------------------------------------------------------------ the end */

static void hang_up(struct aside_job *job)
{
	struct process *p = BASE_CONTAINER(job, struct process, hang_up);
	if (p->given >= 0)
		close(p->given);
	if (p->lifeline.fd >= 0)
		close(p->lifeline.fd);
}

static void on_hung_up(struct controller *c, struct aside_job *job)
{
	process_settle(c, BASE_CONTAINER(job, struct process, hang_up));
}

/* At once where it cannot take long. */
static void close_lifeline(struct controller *c, struct process *p)
{
	int fd = source_take(c, &p->lifeline);
	if (fd >= 0)
		fd = attach_hang_up(fd);
	if (fd < 0 && p->given < 0)
		return;
	p->lifeline.fd = fd;
	p->pending++;
	p->hang_up = (struct aside_job){.work = hang_up, .done = on_hung_up};
	aside_put(&p->lane, &p->hang_up);
}

void process_reap(struct controller *c)
{
	struct list *at;
	BASE_ASSERT(!c->stepping);
	while ((at = list_pop(&c->ending)) != NULL) {
		struct process *p = BASE_CONTAINER(at, struct process, in_ending);
		if (p->serial != 0) {
			controller_step(c,
							&(struct core_event){.type = CORE_PROCESS_GONE, .process = p->serial});
			c->by_serial[p->serial & c->by_serial_mask] = NULL;
		}
		for (uint32_t i = 0; i < c->config->limits.channels; i++)
			if (p->channels[i] != NULL)
				channel_destroy(c, p->channels[i]);
		arena_destroy(c, p);
		close_lifeline(c, p);
		list_remove(&p->in_list);
		if (core_process_is_leaving(c->core, p->serial))
			leaving_add(c, p);
		else
			process_clear(c, p);
	}
}

static void let_go(struct aside_job *job)
{
	struct process *p = BASE_CONTAINER(job, struct process, let_go);
	while (p->device_count > 0)
		close(p->devices[--p->device_count].fd);
}

static void on_let_go(struct controller *c, struct aside_job *job)
{
	process_settle(c, BASE_CONTAINER(job, struct process, let_go));
}

static void forget(struct controller *c, struct process *p)
{
	c->recorder.dirty = true;
	list_remove(&p->in_list);
	free(p->channels);
	free(p->segments);
	free(p);
}

/* What is still being looked at comes back first. */
static void advance(struct controller *c, struct process *p)
{
	if (p->state != PROCESS_CLEARING || p->looking || p->registering.under_way)
		return;
	if (p->let_go.work == NULL && p->device_count > 0) {
		p->pending++;
		p->let_go = (struct aside_job){.work = let_go, .done = on_let_go};
		aside_put(&p->lane, &p->let_go);
	}
	if (p->pending == 0)
		forget(c, p);
}

void process_clear(struct controller *c, struct process *p)
{
	source_close(c, &p->exit);
	p->state = PROCESS_CLEARING;
	list_remove(&p->in_list);
	list_push(&c->clearing, &p->in_list);
	advance(c, p);
}

void process_settle(struct controller *c, struct process *p)
{
	BASE_ASSERT(p->pending > 0);
	p->pending--;
	advance(c, p);
}
