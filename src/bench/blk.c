/* `blk`: a volume of the node storage, read and written from the node app: 4 KiB anywhere, one and
 * 32 under way, and 1 MiB after another, four under way.
 *
 *   FractOS   bench -> Controller => Controller -> blk -> file
 *   local     bench -> file, on one node: io_uring, as blk has it
 *   NBD       bench-nbd => nbdkit -> file, over the same link: peers/nbd_peer.c
 *
 * Each has a file of its own of the same kind; load.h tells what is read and written, and finds out
 * whoever moves other bytes. Files are on a disk, and in memory, where no device hides what the
 * ways themselves cost. nbdkit knows no O_DIRECT: on the disk it is measured both told to keep
 * nothing in the page cache, as the others keep nothing there, and reading from it. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fractos/blk.h>

#include "load.h"
#include "raw_disk.h"
#include "rpc.h"

enum {
	SIZE = 128 << 20,
	RAWS = 4,        /* raw fabric: two sizes, yielding and spinning */
	NBDS = 2,        /* clients: past the cache, and with it */
	NBD_SERVERS = 4, /* of each: two numbers of threads; for random and for sequential reads */
	NBD_WAYS = 4,
	OURS = 0,
	LOCAL = 1,
	NBD = LOCAL + RAW_WAITINGS,
	RAW = NBD + NBDS * NBD_WAYS,
	SIDES = RAW + RAWS,
	PROVED = 8, /* operations of each slot that are looked at before the clock runs */
	ANSWER_MS = 60000,
	PATH = 512
};
#define BUFFERS ((uint64_t)LOAD_LENGTH_MAX * LOAD_DEPTH_MAX)

static const char *const local_names[RAW_WAITINGS] = {
	"local io_uring, sleeping", "local io_uring, yielding", "local io_uring, spinning"};

struct io_case {
	const char *name;
	struct load_kind kind;
};
static const struct io_case cases[] = {
	{"read 4 KiB, depth 1", {false, false, LOAD_BLOCK, 1}},
	{"write 4 KiB, depth 1", {true, false, LOAD_BLOCK, 1}},
	{"read 4 KiB, depth 32", {false, false, LOAD_BLOCK, 32}},
	{"write 4 KiB, depth 32", {true, false, LOAD_BLOCK, 32}},
	{"read 1 MiB in sequence, depth 4", {false, true, LOAD_LENGTH_MAX, 4}},
	{"write 1 MiB in sequence, depth 4", {true, true, LOAD_LENGTH_MAX, 4}}};

/* ------------------------------------------------------------------ our side */

struct volume {
	fos_channel *channel;
	fos_blk_volume opened;
	uint8_t *bytes; /* of the arena */
	struct load load;
	fos_cap memories[LOAD_DEPTH_MAX];
	struct slot {
		struct volume *volume;
		unsigned number;
		fos_cap reply; /* invoked when its operation has ended, in either way */
	} slots[LOAD_DEPTH_MAX];
	fos_status refused; /* an operation, by our own Controller */
};

static fos_handled on_ended(fos_channel *channel, const fos_delivery *delivery, void *arg)
{
	const struct slot *slot = arg;
	(void)channel;
	load_ended(&slot->volume->load, slot->number,
			   bench_ok(delivery->exception.status, delivery->exception.detail));
	return FOS_FINISH;
}

static void on_taken(fos_channel *channel, const fos_result *result, void *arg)
{
	struct volume *volume = arg;
	(void)channel;
	if (result->status != FOS_OK)
		volume->refused = result->status;
}

static bool start(void *arg, const struct load_io *io)
{
	struct volume *volume = arg;
	const fos_cap reply = volume->slots[io->slot].reply;
	const fos_blk_range range = {.offset = io->offset, .length = io->length};
	fos_args args;

	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &range, sizeof range);
	fos_args_cap(&args, FOS_CALL, FOS_BLK_MEMORY, volume->memories[io->slot]);
	fos_args_cap(&args, FOS_CALL, FOS_NEXT, reply);
	fos_args_on_error(&args, FOS_CALL, reply);
	return bench_ok(fos_request_invoke_async(volume->channel,
											 io->write ? volume->opened.write : volume->opened.read,
											 &args, NULL, on_taken, volume),
					"invoke");
}

static bool wait(void *arg)
{
	const struct volume *volume = arg;
	const unsigned before = volume->load.ended;
	while (volume->load.ended == before && volume->refused == FOS_OK)
		if (fos_wait(volume->channel, RPC_PATIENCE) == 0)
			return bench_ok(fos_lost(volume->channel) ? FOS_CONTROLLER_LOST : FOS_TIMED_OUT, "blk");
	return bench_ok(volume->refused, "blk");
}

static bool open_volume(const struct bench_context *context, struct volume *out)
{
	fos_channel *channel = context->channel;
	fos_cap root;
	void *bytes;

	*out = (struct volume){.channel = channel};
	for (unsigned i = 0; i < LOAD_DEPTH_MAX; i++) {
		struct slot *slot = &out->slots[i];
		*slot = (struct slot){.volume = out, .number = i};
		if (!bench_ok(fos_request_create(channel, on_ended, slot, NULL, &slot->reply), "reply"))
			return false;
	}
	if (!bench_ok(fos_alloc(fos_channel_process(channel), BUFFERS, LOAD_BLOCK, &bytes), "arena"))
		return false;
	out->bytes = bytes;
	return party_request(context, "blk", &root) &&
		   bench_ok(fos_blk_open(channel, root, "ours", FOS_BLK_READ | FOS_BLK_WRITE, &out->opened),
					"volume");
}

static bool make_memories(struct volume *volume, const struct load_kind *kind)
{
	const unsigned rights = kind->write ? FOS_READ : FOS_WRITE;
	for (unsigned i = 0; i < kind->depth; i++)
		if (!bench_ok(fos_memory_create(volume->channel, volume->bytes + i * kind->length,
										kind->length, rights, &volume->memories[i]),
					  "Memory"))
			return false;
	return true;
}

static bool drop_memories(struct volume *volume, const struct load_kind *kind)
{
	bool ok = true;
	for (unsigned i = 0; i < kind->depth; i++)
		ok = bench_ok(fos_cap_revoke(volume->channel, volume->memories[i]), "revoke") &&
			 bench_ok(fos_cap_close(volume->channel, volume->memories[i]), "close") && ok;
	return ok;
}

/* ------------------------------------------------------------------ NBD */

struct nbd { /* a client of four servers of one file, all NBD's own */
	const char *name;
	struct party servers[NBD_SERVERS], client;
	struct nbd_way {
		struct nbd *nbd;
		char name[BENCH_TEXT], order[BENCH_TEXT]; /* but for the count */
		double medians[LOAD_TURNS_MAX], p99;
		unsigned turns;
	} ways[NBD_WAYS];
};

static uint64_t give_order(struct nbd_way *way, unsigned count, double *median)
{
	struct party *client = &way->nbd->client;
	char line[2 * BENCH_TEXT];
	int length = snprintf(line, sizeof line, "%s %u\n", way->order, count);
	uint64_t ns = 0;

	*median = 0;
	if (write(client->in, line, (size_t)length) != length ||
		!party_line(client, ANSWER_MS, line, sizeof line) ||
		sscanf(line, "%" SCNu64 " %lf %lf", &ns, median, &way->p99) != 3 || ns == 0)
		bench_complain("%s: \"%s\" failed", way->name, way->order);
	return ns;
}

static uint64_t run_nbd(void *arg, unsigned count)
{
	struct nbd_way *way = arg;
	double median;
	uint64_t ns = give_order(way, count, &median);
	if (way->turns < LOAD_TURNS_MAX)
		way->medians[way->turns++] = median;
	return ns;
}

/* The client looks at the whole file then, too; the benchmark asks at the end whether it is right.
 */
static void forget_nbd(void *arg)
{
	struct nbd_way *way = arg;
	double median;
	(void)give_order(way, 0, &median);
	way->turns = 0;
}

static bool check_nbd(struct nbd *nbd)
{
	double median;
	return give_order(&nbd->ways[0], 0, &median) != 0;
}

/* One and sixteen threads a connection; for one operation at a time two ways of waiting, for more
 * one connection and four. (What else there is was never the best of any case.) */
static void choose_ways(struct nbd *nbd, const struct load_kind *kind)
{
	for (unsigned i = 0; i < NBD_WAYS; i++) {
		struct nbd_way *way = &nbd->ways[i];
		const unsigned server = (kind->sequential ? 2 : 0) + i / 2;
		const unsigned connections = kind->depth > 1 && i % 2 == 1 ? 4 : 1;
		const unsigned waiting = kind->depth > 1 ? 1 : i % 2;
		*way = (struct nbd_way){.nbd = nbd};
		snprintf(way->name, sizeof way->name, "%s, %u x %s, %s", nbd->name, connections,
				 i / 2 ? "16 threads" : "1 thread", waiting ? "yielding" : "sleeping");
		snprintf(way->order, sizeof way->order, "%u %u %u %u %u %u %u", server, connections,
				 waiting, kind->write, kind->sequential, kind->length, kind->depth);
	}
}

static bool open_nbd(const struct bench_context *context, const char *name, const char *file,
					 bool cached, struct nbd *nbd)
{
	const struct bench_node *node = bench_node(context, "storage");
	char program[PATH], size[16], at[NBD_SERVERS][2 * BENCH_TEXT];

	*nbd = (struct nbd){.name = name};
	snprintf(program, sizeof program, "%.*speers/bench-nbd",
			 (int)(strrchr(context->self, '/') + 1 - context->self), context->self);
	snprintf(size, sizeof size, "%d", SIZE);
	for (unsigned i = 0; i < NBD_SERVERS; i++) {
		const char *const argv[] = {program,
									"serve",
									node->address,
									"--threads",
									i % 2 ? "16" : "1",
									"file",
									file,
									i / 2 ? "fadvise=sequential" : "fadvise=random",
									cached ? "cache=default" : "cache=none",
									NULL};
		if (!party_start_program(context, "storage", argv, &nbd->servers[i]))
			return false;
		snprintf(at[i], sizeof at[i], "%s:%s", node->address, nbd->servers[i].said);
	}
	const char *const argv[] = {program, "client", file, size, at[0], at[1], at[2], at[3], NULL};
	return party_start_program(context, "app", argv, &nbd->client);
}

static void close_nbd(struct nbd *nbd)
{
	party_stop(&nbd->client);
	for (unsigned i = 0; i < NBD_SERVERS; i++)
		party_stop(&nbd->servers[i]);
}

static bool have_nbd(const struct bench_context *context)
{
	char program[PATH];
	snprintf(program, sizeof program, "%.*speers/bench-nbd",
			 (int)(strrchr(context->self, '/') + 1 - context->self), context->self);
	return access(program, X_OK) == 0 ||
		   bench_fails("blk: %s is not built (`./bench blk` does that): nothing is said of NBD",
					   program);
}

/* ------------------------------------------------------------------ a medium */

struct medium {
	const struct bench_context *context;
	const char *name, *dir;
	bool disk; /* there is a page cache that NBD may use */
	struct party blk;
	struct volume volume;
	struct load_file ours, local;
	uint8_t *buffers; /* of the local sides, which take turns with them */
	struct load locals[RAW_WAITINGS];
	struct raw_disk *disks[RAW_WAITINGS];
	struct nbd nbds[NBDS];
	unsigned nbd_count;
	struct raw_pair raw;
	struct raw_work works[RAWS];
	char raw_names[RAWS][BENCH_TEXT];
	struct bench_side sides[SIDES];
	struct bench_samples samples[SIDES];
};

static void path_of(const struct medium *m, const char *name, char *out)
{
	snprintf(out, PATH, "%s/fractos-bench-%d-%s", m->dir, (int)getpid(), name);
}

static bool start_blk(struct medium *m)
{
	char program[PATH], path[PATH], device[PATH + 8];
	const char *self = m->context->self;
	const int folder = (int)(strrchr(self, '/') - self);

	snprintf(program, sizeof program, "%.*s/../services/blk/fractos-blk", folder, self);
	if (access(program, X_OK) != 0)
		snprintf(program, sizeof program, "%.*s/fractos-blk", folder, self);
	path_of(m, "ours", path);
	snprintf(device, sizeof device, "ours=%s", path);
	const bool direct = fcntl(m->ours.fd, F_GETFL) & O_DIRECT;
	const char *const argv[] = {
		program, "--device", device, "--name", "bench/blk", direct ? NULL : "--buffered", NULL};
	return party_start_program(m->context, "storage", argv, &m->blk);
}

static bool open_nbds(struct medium *m)
{
	char path[PATH];
	struct load_file file;

	m->nbd_count = !have_nbd(m->context) ? 0 : m->disk ? 2 : 1;
	for (unsigned i = 0; i < m->nbd_count; i++) {
		path_of(m, i == 0 ? "nbd" : "nbd-cached", path);
		if (!load_file_open(path, SIZE, true, &file))
			return false;
		load_file_close(&file);
		const char *name = !m->disk ? "NBD" : i == 0 ? "NBD past the cache" : "NBD from the cache";
		if (!open_nbd(m->context, name, path, i == 1 || !m->disk, &m->nbds[i]))
			return false;
	}
	return true;
}

static void remove_files(const struct medium *m)
{
	static const char *const names[] = {"ours", "local", "nbd", "nbd-cached"};
	char path[PATH];
	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
		path_of(m, names[i], path);
		unlink(path);
	}
}

/* Whoever needs a file has opened it then: so its name can go, and nothing is left behind. */
static bool open_medium(struct medium *m)
{
	char path[PATH];

	path_of(m, "ours", path);
	bool ok = load_file_open(path, SIZE, true, &m->ours) && start_blk(m);
	path_of(m, "local", path);
	ok = ok && load_file_open(path, SIZE, true, &m->local) && open_nbds(m);
	remove_files(m);
	void *at = mmap(NULL, BUFFERS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	m->buffers = at == MAP_FAILED ? NULL : at;
	if (!m->buffers)
		return bench_fails("blk: no memory for buffers");
	for (unsigned i = 0; i < RAW_WAITINGS && ok; i++)
		ok = (m->disks[i] = raw_disk_open(m->local.fd, m->buffers, BUFFERS, (enum raw_waiting)i)) !=
			 NULL;
	return ok && open_volume(m->context, &m->volume) &&
		   raw_pair_open(m->context, "storage", &m->raw);
}

static void close_medium(struct medium *m)
{
	raw_pair_close(&m->raw);
	for (unsigned i = 0; i < RAW_WAITINGS; i++)
		raw_disk_close(m->disks[i]);
	for (unsigned i = 0; i < m->nbd_count; i++)
		close_nbd(&m->nbds[i]);
	party_stop(&m->blk);
	load_file_close(&m->ours);
	load_file_close(&m->local);
	if (m->buffers)
		munmap(m->buffers, BUFFERS);
}

/* ------------------------------------------------------------------ the sides of a case */

static bool open_loads(struct medium *m, const struct load_kind *kind)
{
	const struct load_way ours = {start, wait, &m->volume};
	bool ok = make_memories(&m->volume, kind) &&
			  load_open(&m->ours, kind, &ours, m->volume.bytes, &m->volume.load) &&
			  load_prove(&m->volume.load, PROVED * kind->depth);
	m->sides[OURS] = (struct bench_side){
		.name = "FractOS", .run = load_run, .arg = &m->volume.load, .ready = load_forget};
	for (unsigned i = 0; i < RAW_WAITINGS && ok; i++) {
		const struct load_way local = raw_disk_way(m->disks[i], &m->locals[i]);
		ok = load_open(&m->local, kind, &local, m->buffers, &m->locals[i]) &&
			 load_prove(&m->locals[i], PROVED * kind->depth);
		m->sides[LOCAL + i] = (struct bench_side){
			.name = local_names[i], .run = load_run, .arg = &m->locals[i], .ready = load_forget};
	}
	return ok;
}

static void close_loads(struct medium *m)
{
	load_close(&m->volume.load);
	for (unsigned i = 0; i < RAW_WAITINGS; i++)
		load_close(&m->locals[i]);
}

/* What the fabric alone takes: for one operation at a time a small round trip, and one that carries
 * the bytes as well; else the bytes, acknowledged. */
static void choose_raws(struct medium *m, const struct load_kind *kind)
{
	for (unsigned i = 0; i < RAWS; i++) {
		struct raw_work *work = &m->works[i];
		const bool bytes = i >= 2, spin = i % 2;
		*work = (struct raw_work){.fabric = m->raw.fabric, .depth = kind->depth, .spin = spin};
		work->size = kind->depth == 1 && (!bytes || !kind->write) ? 64 : kind->length;
		work->answer = kind->depth > 1 ? 8 : bytes && !kind->write ? kind->length : 64;
		work->write = kind->depth > 1 && bytes;
		snprintf(m->raw_names[i], sizeof m->raw_names[i], "raw %s, %s",
				 kind->depth > 1 ? (bytes ? "RMA write" : "messages")
				 : bytes         ? "round trip with the bytes"
								 : "round trip",
				 spin ? "spinning" : "yielding");
		m->sides[RAW + i] =
			(struct bench_side){.name = m->raw_names[i], .run = raw_fabric_run, .arg = work};
	}
}

static bool check_files(struct medium *m)
{
	bool ok = load_file_check(&m->ours) && load_file_check(&m->local);
	for (unsigned i = 0; i < m->nbd_count; i++)
		ok = ok && check_nbd(&m->nbds[i]);
	return ok || bench_fails("blk: %s: what was written is not there", m->name);
}

/* ------------------------------------------------------------------ rows */

/* The median operation of each turn of a side: of the sides with a load. */
static struct bench_samples medians(const struct medium *m, unsigned side)
{
	struct bench_samples out = {.rounds = m->context->rounds};
	const double *from = m->sides[side].run == run_nbd
							 ? ((const struct nbd_way *)m->sides[side].arg)->medians
							 : ((const struct load *)m->sides[side].arg)->medians;
	memcpy(out.ns, from, out.rounds * sizeof *from);
	return out;
}

static double p99(const struct medium *m, unsigned side)
{
	if (m->sides[side].run == run_nbd)
		return ((const struct nbd_way *)m->sides[side].arg)->p99 / 1000;
	return (double)histogram_quantile(((const struct load *)m->sides[side].arg)->all, 0.99) / 1000;
}

static struct bench_row row_of(const struct medium *m, const char *name)
{
	return (struct bench_row){.bench = "blk", .name = name, .panel = m->name};
}

static void report_latency(const struct medium *m, const char *name, unsigned base)
{
	const struct bench_samples ours = medians(m, OURS), theirs = medians(m, base);
	struct bench_row row = row_of(m, name);

	row.metric = "latency";
	row.unit = "us";
	bench_report(m->context, &row, BENCH_US, 0, &ours, m->sides[base].name, &theirs);
	row.metric = "latency, p99";
	bench_number(m->context, &row, p99(m, OURS), m->sides[base].name, p99(m, base));
}

/* What the network and we add to the local disk, in round trips of the fabric. */
static void report_beyond(const struct medium *m, const char *name, unsigned local)
{
	const struct bench_samples ours = medians(m, OURS), theirs = medians(m, local);
	struct bench_samples beyond = {.rounds = ours.rounds};
	struct bench_row row = row_of(m, name);

	for (unsigned i = 0; i < ours.rounds; i++)
		beyond.ns[i] = ours.ns[i] - theirs.ns[i];
	row.metric = "beyond local";
	row.unit = "us";
	for (unsigned i = 0; i < RAWS; i += 2) {
		const unsigned raw = RAW + i + bench_best(&m->samples[RAW + i], 2);
		bench_report(m->context, &row, BENCH_US, 0, &beyond, m->sides[raw].name, &m->samples[raw]);
	}
}

static void report_rate(const struct medium *m, const char *name, const struct load_kind *kind,
						unsigned base)
{
	struct bench_row row = row_of(m, name);
	row.metric = kind->sequential ? "bandwidth" : "operations";
	row.unit = kind->sequential ? "GB/s" : "/s";
	row.more_is_better = true;
	bench_report(m->context, &row, kind->sequential ? BENCH_GB_S : BENCH_PER_SECOND,
				 kind->sequential ? kind->length : 1, &m->samples[OURS], m->sides[base].name,
				 &m->samples[base]);
}

static void report(const struct medium *m, const struct io_case *c)
{
	char name[2 * BENCH_TEXT];
	unsigned bases[2 + NBDS], count = 0;
	const unsigned local = LOCAL + bench_best(&m->samples[LOCAL], RAW_WAITINGS);

	snprintf(name, sizeof name, "%s, %s", m->name, c->name);
	bases[count++] = local;
	if (c->kind.sequential)
		bases[count++] = RAW + bench_best(&m->samples[RAW], RAWS);
	for (unsigned i = 0; i < m->nbd_count; i++) {
		const unsigned first = NBD + i * NBD_WAYS;
		bases[count++] = first + bench_best(&m->samples[first], NBD_WAYS);
	}
	for (unsigned i = 0; i < count; i++)
		if (c->kind.depth == 1)
			report_latency(m, name, bases[i]);
		else
			report_rate(m, name, &c->kind, bases[i]);
	if (c->kind.depth == 1)
		report_beyond(m, name, local);
}

static bool report_messages(struct medium *m, const struct io_case *c)
{
	enum { OPERATIONS = 200 };
	struct fos_message_counters before, after;
	char text[2 * BENCH_TEXT], name[4 * BENCH_TEXT];

	if (!bench_messages(m->context, &before) || load_run(&m->volume.load, OPERATIONS) == 0 ||
		!bench_messages(m->context, &after))
		return false;
	const double each = bench_messages_each(&before, &after, OPERATIONS, text, sizeof text);
	snprintf(name, sizeof name, "%s: %s", c->name, text);
	struct bench_row row = row_of(m, name);
	row.metric = "messages";
	row.unit = "an operation";
	bench_number(m->context, &row, each, NULL, 0);
	return true;
}

/* ------------------------------------------------------------------ all */

static bool run_case(struct medium *m, const struct io_case *c)
{
	unsigned sides = 0;
	struct bench_side run[SIDES];
	struct bench_samples samples[SIDES];
	unsigned places[SIDES];

	choose_raws(m, &c->kind);
	for (unsigned i = 0; i < m->nbd_count; i++) {
		choose_ways(&m->nbds[i], &c->kind);
		for (unsigned k = 0; k < NBD_WAYS; k++)
			m->sides[NBD + i * NBD_WAYS + k] = (struct bench_side){.name = m->nbds[i].ways[k].name,
																   .run = run_nbd,
																   .arg = &m->nbds[i].ways[k],
																   .ready = forget_nbd};
	}
	bool ok = open_loads(m, &c->kind);
	for (unsigned i = 0; i < SIDES && ok; i++) {
		if (!m->sides[i].run || (i >= RAW && !c->kind.sequential && c->kind.depth > 1))
			continue;
		places[sides] = i;
		run[sides++] = m->sides[i];
	}
	ok = ok && bench_measure(m->context, run, sides, samples);
	for (unsigned i = 0; i < sides && ok; i++)
		m->samples[places[i]] = samples[i];
	if (ok)
		report(m, c);
	ok = ok && (c->kind.depth > 1 || m->disk || report_messages(m, c)) &&
		 drop_memories(&m->volume, &c->kind);
	close_loads(m);
	return ok && (!c->kind.write || check_files(m));
}

static bool run_on(struct bench_context *context, const char *name, const char *dir, bool disk)
{
	static struct medium m;
	m = (struct medium){.context = context,
						.name = name,
						.dir = dir,
						.disk = disk,
						.ours = {.fd = -1},
						.local = {.fd = -1}};
	bool ok = open_medium(&m);
	/* Those of a node together, unless each can have a core; the raw responder beside blk. NBD and
	 * its kernel threads are left to the kernel, which places them better. */
	const struct bench_node *here = bench_node(context, "app"),
							*there = bench_node(context, "storage");
	if (ok && here && there) {
		pid_t pids[] = {0, bench_controller(here), bench_controller(there), m.blk.pid};
		if (bench_place(context, pids, 4))
			(void)bench_pin(m.raw.party.pid, context->cores >= 4 ? 3 : 1);
		for (unsigned i = 0; i < sizeof cases / sizeof cases[0] && ok; i++)
			ok = run_case(&m, &cases[i]);
		bench_unplace(pids, 4);
	}
	close_medium(&m);
	return ok;
}

static bool run(struct bench_context *context)
{
	return run_on(context, "memory", "/dev/shm", false) &&
		   run_on(context, "disk", context->disk, true);
}

bool blk_blocks(const struct bench_context *context, const char *path, bool writing, unsigned count)
{
	static struct volume volume;
	const struct load_kind kind = {writing, false, LOAD_BLOCK, 1};
	const struct load_way way = {start, wait, &volume};
	struct load_file file;

	if (!load_file_open(path, SIZE, count == 0, &file))
		return false;
	bool ok = count == 0 || (open_volume(context, &volume) && make_memories(&volume, &kind) &&
							 load_open(&file, &kind, &way, volume.bytes, &volume.load) &&
							 load_run(&volume.load, count) > 0 && load_file_check(&file));
	load_close(&volume.load);
	load_file_close(&file);
	return ok;
}

const struct bench bench_blk = {
	"blk", "a volume of another node, against local io_uring and NBD over the same link", 4, run};
