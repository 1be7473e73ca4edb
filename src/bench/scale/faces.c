/* A request that passes a frontend, a file service, a disk and a GPU, each on a node of its own,
 * under a network of given delays; as a chain and as two kinds of star. In virtual time.
 *
 *     chain   client -> frontend -> fs -> blk =data=> gpu -> client
 *     star3   client -> frontend -> fs -> frontend -> blk =data=> frontend =data=> gpu -> frontend
 *             -> client
 *     star2   the same, but the data go from blk to gpu at once
 *
 * The chain's Requests are bound into each other once by the client, which then only invokes the
 * first; a star's frontend invokes each stage with a Request of its own. Data are memory_copy with
 * `then`: what follows arrives behind them. Every request under way has Requests of its own, a
 * lane; a stage serves one request after the other. */
#include "scale.h"

#include <stdlib.h>
#include <string.h>

#include "cluster.h"

enum { CLIENT = 1, FRONTEND, FS, BLK, GPU, NODES = GPU };
enum { LANES_MAX = 64, NEXT = FOS_NEXT, DST = 1, GIFT = 2, MICRO = 1000 };
/* What a Request's number says, besides its lane. */
enum stage { STAGE_DOOR, STAGE_SERVE, STAGE_DONE, STAGE_FS_DONE, STAGE_BLK_DONE, STAGE_GPU_DONE };

static const uint64_t service_ns[NODES + 1] = {
	[FRONTEND] = 5 * MICRO, [FS] = 10 * MICRO, [BLK] = 80 * MICRO, [GPU] = 100 * MICRO};

struct server { /* a stage's Process */
	struct faces *faces;
	uint32_t node;
	struct process *process;
	uint64_t door;   /* its Request, at itself */
	uint64_t free;   /* ns: serves others until then */
	uint64_t memory; /* own: source at blk, landing at frontend and gpu */
};

struct work { /* a delivery that is being served */
	struct server *server;
	struct delivery delivery;
};

struct lane {
	uint64_t start;          /* the client's: when the request under way began */
	uint64_t first;          /* the client's: what it invokes */
	uint64_t client, answer; /* the frontend's of a star: the open delivery, its NEXT */
	uint64_t fs_done, blk_done, gpu_done;
	uint64_t gpu_then; /* star3: the GPU's Request with gpu_done bound */
};

struct faces {
	struct cluster *cluster;
	enum scale_mode mode;
	const struct scale_faces_load *load;
	struct server servers[NODES + 1];
	struct lane lanes[LANES_MAX];
	/* At the client and the frontend: the stages' Requests, and Memories, by node. */
	uint64_t at_client[NODES + 1], at_frontend[NODES + 1];
	uint64_t memory_at_client[NODES + 1], memory_at_frontend[NODES + 1];
	uint32_t begun, ended;
	double *us; /* of those that ended */
};

static uint64_t number(unsigned lane, enum stage stage)
{
	return (uint64_t)lane << 8 | stage;
}

static struct args with(uint32_t index, uint64_t cap)
{
	return (struct args){.caps = {{index, cap}}, .cap_count = 1};
}

static struct args and_also(struct args args, uint32_t index, uint64_t cap)
{
	args.caps[args.cap_count++] = (struct cap_arg){index, cap};
	return args;
}

/* ------------------------------------------------------------------ the client */

static void begin(struct faces *faces, unsigned lane)
{
	struct lane *at = &faces->lanes[lane];
	if (faces->begun == faces->load->requests)
		return;
	faces->begun++;
	at->start = cluster_now(faces->cluster);
	process_invoke(faces->servers[CLIENT].process, at->first, NULL);
}

static void end(struct faces *faces, unsigned lane)
{
	uint64_t took = cluster_now(faces->cluster) - faces->lanes[lane].start;
	faces->us[faces->ended++] = (double)took / MICRO;
	begin(faces, lane);
}

/* ------------------------------------------------------------------ the stages */

/* From the disk: with data to where it was told, or to its own answer alone. */
static void serve_blk(struct server *server, const struct delivery *delivery)
{
	uint64_t next = delivery_cap(delivery, NEXT);
	if (server->faces->load->bytes == 0) {
		process_continue(server->process, delivery->id, next, NULL);
		return;
	}
	struct args then = with(NEXT, next);
	process_copy(server->process, delivery_cap(delivery, DST), server->memory, &then);
	process_finish(server->process, delivery->id);
}

/* A star's frontend begins: the delivery stays open until the answer. */
static void serve_star(struct server *server, const struct delivery *delivery)
{
	struct faces *faces = server->faces;
	struct lane *lane = &faces->lanes[delivery->handler >> 8];
	lane->client = delivery->id;
	lane->answer = delivery_cap(delivery, NEXT);
	struct args args = with(NEXT, lane->fs_done);
	process_invoke(server->process, faces->at_frontend[FS], &args);
}

static void served(void *context)
{
	struct work *work = context;
	struct server *server = work->server;
	const struct delivery *delivery = &work->delivery;
	if (server->node == BLK)
		serve_blk(server, delivery);
	else if (server->node == FRONTEND && server->faces->mode != SCALE_CHAIN)
		serve_star(server, delivery);
	else
		process_continue(server->process, delivery->id, delivery_cap(delivery, NEXT), NULL);
	free(work);
}

static void serve(struct server *server, const struct delivery *delivery)
{
	struct cluster *cluster = server->faces->cluster;
	struct work *work = malloc(sizeof *work);
	BASE_ASSERT(work != NULL);
	*work = (struct work){server, *delivery};
	uint64_t now = cluster_now(cluster);
	uint64_t time = server->faces->load->services ? service_ns[server->node] : 0;
	server->free = BASE_MAX(server->free, now) + time;
	cluster_after(cluster, server->free - now, served, work);
}

/* A star's frontend hears of a stage, and asks the next. */
static void stage_done(struct server *server, const struct delivery *delivery)
{
	struct faces *faces = server->faces;
	struct lane *lane = &faces->lanes[delivery->handler >> 8];
	struct process *process = server->process;
	struct args args;
	switch ((enum stage)(delivery->handler & 0xff)) {
	case STAGE_FS_DONE:
		args = with(NEXT, lane->blk_done);
		uint32_t to = faces->mode == SCALE_STAR3 ? FRONTEND : GPU;
		uint64_t dst = to == GPU ? faces->memory_at_frontend[GPU] : server->memory;
		if (faces->load->bytes > 0)
			args = and_also(args, DST, dst);
		process_invoke(process, faces->at_frontend[BLK], &args);
		break;
	case STAGE_BLK_DONE:
		if (faces->load->bytes > 0 && faces->mode == SCALE_STAR3) {
			args = with(NEXT, lane->gpu_then);
			process_copy(process, faces->memory_at_frontend[GPU], server->memory, &args);
		} else {
			process_invoke(process, lane->gpu_then, NULL);
		}
		break;
	default:
		process_continue(process, lane->client, lane->answer, NULL);
		break;
	}
	process_finish(process, delivery->id);
}

static void deliver(void *context, struct process *process, const struct delivery *delivery)
{
	struct server *server = context;
	switch ((enum stage)(delivery->handler & 0xff)) {
	case STAGE_SERVE:
		serve(server, delivery);
		break;
	case STAGE_DONE:
		process_finish(process, delivery->id);
		end(server->faces, (unsigned)(delivery->handler >> 8));
		break;
	default:
		stage_done(server, delivery);
		break;
	}
}

/* ------------------------------------------------------------------ putting it together */

static uint64_t take_gift(struct faces *faces, struct process *process)
{
	struct delivery delivery;
	cluster_settle(faces->cluster);
	BASE_ASSERT(process_take(process, &delivery));
	uint64_t cap = delivery_cap(&delivery, GIFT);
	process_keep(process, cap);
	process_finish(process, delivery.id);
	cluster_settle(faces->cluster);
	return cap;
}

static uint64_t give(struct faces *faces, struct process *from, uint64_t door, uint64_t cap,
					 struct process *to)
{
	struct args args = with(GIFT, cap);
	process_invoke(from, door, &args);
	return take_gift(faces, to);
}

/* Client and frontend get to know all stages; the client is the registry. */
static void introduce(struct faces *faces)
{
	struct process *client = faces->servers[CLIENT].process;
	struct process *frontend = faces->servers[FRONTEND].process;
	process_registry_set(client, process_request(client, STAGE_DOOR));
	cluster_settle(faces->cluster);
	uint64_t root = process_registry_get(frontend);
	uint64_t door = give(faces, frontend, root, process_request(frontend, STAGE_DOOR), client);
	for (uint32_t i = FRONTEND; i <= GPU; i++) {
		struct server *server = &faces->servers[i];
		root = process_registry_get(server->process);
		server->memory = process_memory(server->process, 0, BASE_MAX(faces->load->bytes, 1u));
		faces->memory_at_client[i] = give(faces, server->process, root, server->memory, client);
		server->door = process_request(server->process, number(0, STAGE_SERVE));
		faces->at_client[i] = give(faces, server->process, root, server->door, client);
		if (i == FRONTEND)
			continue;
		faces->memory_at_frontend[i] =
			give(faces, client, door, faces->memory_at_client[i], frontend);
		faces->at_frontend[i] = give(faces, client, door, faces->at_client[i], frontend);
	}
}

/* One Request holds all of it. */
static uint64_t chain(struct faces *faces, uint64_t answer)
{
	struct process *client = faces->servers[CLIENT].process;
	struct args args = with(NEXT, answer);
	args = with(NEXT, process_refine(client, faces->at_client[GPU], &args));
	if (faces->load->bytes > 0)
		args = and_also(args, DST, faces->memory_at_client[GPU]);
	args = with(NEXT, process_refine(client, faces->at_client[BLK], &args));
	args = with(NEXT, process_refine(client, faces->at_client[FS], &args));
	return process_refine(client, faces->at_client[FRONTEND], &args);
}

/* The frontend's Request of this lane, with the answer bound, at the client. */
static uint64_t star(struct faces *faces, unsigned lane, uint64_t answer)
{
	struct server *frontend = &faces->servers[FRONTEND], *client = &faces->servers[CLIENT];
	struct lane *at = &faces->lanes[lane];
	at->fs_done = process_request(frontend->process, number(lane, STAGE_FS_DONE));
	at->blk_done = process_request(frontend->process, number(lane, STAGE_BLK_DONE));
	at->gpu_done = process_request(frontend->process, number(lane, STAGE_GPU_DONE));
	struct args args = with(NEXT, at->gpu_done);
	at->gpu_then = process_refine(frontend->process, faces->at_frontend[GPU], &args);
	uint64_t root = process_registry_get(frontend->process);
	uint64_t own = process_request(frontend->process, number(lane, STAGE_SERVE));
	uint64_t first = give(faces, frontend->process, root, own, client->process);
	args = with(NEXT, answer);
	return process_refine(client->process, first, &args);
}

static void open_faces(struct faces *faces, enum scale_mode mode,
					   const struct scale_faces_load *load)
{
	const struct network network = {
		.mean_ns = 24000, .p99_ns = 40000, .gbit_s = 10, .ring_ns = MICRO, .seed = 24};
	*faces = (struct faces){.mode = mode, .load = load};
	faces->cluster = cluster_new(NODES, &network, NULL);
	faces->us = calloc(load->requests, sizeof *faces->us);
	BASE_ASSERT(faces->us != NULL && load->depth >= 1 && load->depth <= LANES_MAX);
	for (uint32_t i = CLIENT; i <= GPU; i++) {
		struct server *server = &faces->servers[i];
		*server = (struct server){.faces = faces, .node = i};
		server->process = process_new(faces->cluster, i, BASE_MAX(load->bytes, 1u));
	}
	introduce(faces);
	for (unsigned i = 0; i < load->depth; i++) {
		uint64_t answer = process_request(faces->servers[CLIENT].process, number(i, STAGE_DONE));
		faces->lanes[i].first = mode == SCALE_CHAIN ? chain(faces, answer) : star(faces, i, answer);
	}
	for (uint32_t i = CLIENT; i <= GPU; i++)
		process_handle(faces->servers[i].process, deliver, &faces->servers[i]);
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

void scale_faces(enum scale_mode mode, const struct scale_faces_load *load, struct scale_faces *out)
{
	struct faces faces;
	open_faces(&faces, mode, load);
	struct sent before = *cluster_sent(faces.cluster);
	for (unsigned i = 0; i < load->depth; i++)
		begin(&faces, i);
	cluster_settle(faces.cluster);
	BASE_ASSERT(faces.ended == load->requests);
	qsort(faces.us, faces.ended, sizeof *faces.us, compare);
	struct delays delays = cluster_delays(faces.cluster);
	*out = (struct scale_faces){
		.p50_us = faces.us[faces.ended / 2],
		.p99_us = faces.us[(uint64_t)faces.ended * 99 / 100],
		.messages = (double)cluster_messages(faces.cluster, &before) / faces.ended,
		.mean_us = delays.mean_ns / MICRO,
		.tail_us = delays.p99_ns / MICRO,
	};
	free(faces.us);
	cluster_end(faces.cluster);
}
