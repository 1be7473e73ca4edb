/* What the benchmarks share: rounds in which all sides of a comparison take turns, medians and
 * spreads, rows, and the parties of a benchmark on the nodes of a cluster. */
#ifndef FRACTOS_BENCH_H
#define FRACTOS_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <fractos/fractos.h>
#include <fractos/recorder.h>

enum { BENCH_ROUNDS_MAX = 101, BENCH_NODES_MAX = 16, BENCH_TEXT = 64 };

/* ------------------------------------------------------------------ the run */

struct bench_node {
	char name[FOS_LABEL_MAX];
	char address[64];
	const fos_recorder *recorder; /* its Controller's, mapped */
};

struct bench_context {
	fos_channel *channel; /* of a Process on the node app; NULL: the benchmark needs no cluster */
	const char *cluster;  /* its name */
	const char *fractos;  /* the command's path */
	const char *fractosd;
	const char *self; /* our own path */
	unsigned rounds;  /* of each comparison */
	const char *json; /* rows are appended to this file; NULL: none */
	const char *disk; /* a directory for the files of blk */
	bool pin;         /* parties get cores of their own where there are enough */
	unsigned cores;   /* that we may use */
	struct bench_node nodes[BENCH_NODES_MAX];
	unsigned node_count;
};

struct bench {
	const char *name, *text;
	unsigned nodes; /* that its cluster must have at least; 0: it needs none */
	bool (*run)(struct bench_context *context);
};
extern const struct bench bench_null, bench_rpc, bench_rate, bench_copy, bench_then, bench_compose,
	bench_revoke, bench_blk, bench_peers, bench_idle;

uint64_t bench_now(void); /* ns */
/* One line on stderr; false, visibly so for the compiler. */
#define bench_fails(...) (bench_complain(__VA_ARGS__), false)
__attribute__((format(printf, 1, 2))) void bench_complain(const char *format, ...);
/* Says which call failed; true: it did not. */
static inline bool bench_ok(fos_status status, const char *what)
{
	return status == FOS_OK || bench_fails("%s: %s", what, fos_status_name(status));
}

/* ------------------------------------------------------------------ comparing */

/* One side of a comparison: runs `count` operations and returns the ns that they took together.
 * 0: it failed, and said why. */
struct bench_side {
	const char *name;
	uint64_t (*run)(void *arg, unsigned count);
	void *arg;
	unsigned most;            /* operations in one turn at most; 0: no bound */
	void (*ready)(void *arg); /* from now on turns count; NULL: it need not know */
};

struct bench_samples { /* ns of one operation, in each round */
	double ns[BENCH_ROUNDS_MAX];
	unsigned rounds;
};

/* Measures the sides in turn, round by round. A turn takes about BENCH_TURN_NS, found out in a
 * first round that warms up and does not count. False: a side failed. */
#define BENCH_TURN_NS UINT64_C(10000000)
bool bench_measure(const struct bench_context *context, const struct bench_side *sides,
				   unsigned count, struct bench_samples *out);
/* ns of one operation, in the median. */
double bench_median(const struct bench_samples *samples);
/* Which of `count` samples has the best median. */
unsigned bench_best(const struct bench_samples *samples, unsigned count);

struct bench_row {
	const char *bench, *name; /* of the benchmark, of the case */
	const char *metric, *unit;
	bool more_is_better;
	const char *panel;  /* of the plot, where one for each metric is not enough; NULL */
	const char *series; /* lines of the plot: rows of one series are joined */
	double x;           /* where on it */
	const char *x_name; /* and what that is; NULL: the row is a bar */
};

/* How the ns of one operation become the value of a row. */
enum bench_value {
	BENCH_US,         /* microseconds an operation */
	BENCH_PER_SECOND, /* `scale` things an operation */
	BENCH_GB_S,       /* `scale` bytes an operation */
	BENCH_PLAIN       /* as it is */
};

/* Prints a row and writes it. `baseline_name` NULL: there is none. Ratios are made round by round.
 */
void bench_report(const struct bench_context *context, const struct bench_row *row,
				  enum bench_value kind, double scale, const struct bench_samples *ours,
				  const char *baseline_name, const struct bench_samples *baseline);
/* A row of one number that has no spread. */
void bench_number(const struct bench_context *context, const struct bench_row *row, double value,
				  const char *baseline_name, double baseline);

/* ------------------------------------------------------------------ parties */

/* A process on a node of the cluster that ends with us. */
struct party {
	pid_t pid;             /* 0: there is none */
	int in, out;           /* its stdin and stdout, our ends */
	char said[BENCH_TEXT]; /* what it printed behind "ready" */
};
enum { PARTY_WORDS = 24 }; /* of a command line */
/* Starts a program, without waiting for it. False after saying why. */
bool party_spawn(const struct bench_context *context, const char *node, const char *const *argv,
				 struct party *out);
/* Starts one and waits until it prints a line that begins with "ready". False after saying why. */
bool party_start_program(const struct bench_context *context, const char *node,
						 const char *const *argv, struct party *out);
/* The next line that it prints; one at a time. False: there was none in time. */
bool party_line(struct party *party, int patience_ms, char *out, size_t size);
/* `fractos-bench serve ROLE NAME`. Starts one and waits until it is ready. False after saying why.
 */
bool party_start(const struct bench_context *context, const char *node, const char *role,
				 const char *name, struct party *out);
void party_stop(struct party *party);
/* Ends a child of ours: asks it to, and after some seconds makes it. */
void bench_end(pid_t pid);
/* The Request that a party offers, "bench/NAME". */
bool party_request(const struct bench_context *context, const char *name, fos_cap *out);

/* What a party does: makes its Requests and publishes the one it is known by. `said` is printed
 * behind "ready". */
struct role {
	const char *name;
	bool (*offer)(fos_channel *channel, const char *name);
};
extern const struct role role_echo, role_store, role_stage, role_holder;
/* `fractos-bench serve`: in the party's own process. */
int party_serve(fos_channel *channel, const struct role *role, const char *name);

/* The node called so; NULL after saying that there is none. */
const struct bench_node *bench_node(const struct bench_context *context, const char *name);
/* Messages that the Controllers of all nodes have sent, as they count them themselves, but for
 * heartbeats and returned credits. False after saying why. */
bool bench_messages(const struct bench_context *context, struct fos_message_counters *out);
/* How many messages each of `count` operations took between two looks, and in `text` which: "data
 * 1, invoke 2". */
double bench_messages_each(const struct fos_message_counters *before,
						   const struct fos_message_counters *after, unsigned count, char *text,
						   size_t size);
/* ns that a process has used of the cores. */
uint64_t bench_cpu(pid_t pid);
pid_t bench_controller(const struct bench_node *node);

/* Gives each process a core, in turn, or a core to every two of them (a node's Controller and its
 * Process), if there are enough; true: it did. Processes of pid 0 are this one. */
bool bench_place(const struct bench_context *context, const pid_t *pids, unsigned count);
void bench_unplace(const pid_t *pids, unsigned count);
bool bench_pin(pid_t pid, unsigned core);

/* To be profiled: makes the file that blk serves as volume "ours" of "bench/blk" (count 0), or
 * reads or writes `count` blocks of it, one after the other. */
bool blk_blocks(const struct bench_context *context, const char *path, bool writing,
				unsigned count);

/* ------------------------------------------------------------------ baselines */

/* A bare ring ping-pong between two processes in shared memory: same rings, same waiting. */
struct raw_ring;
struct raw_ring *raw_ring_open(bool spin, int core);
uint64_t raw_ring_run(void *ring, unsigned count);
void raw_ring_close(struct raw_ring *ring);

/* libfabric FI_EP_MSG with a responder elsewhere: `count` messages of `size` bytes, `depth` of them
 * under way, each answered by one of `answer` bytes when it has landed. */
struct raw_fabric;
struct raw_work {
	struct raw_fabric *fabric;
	uint32_t size, answer, depth;
	bool write; /* the bytes go by RMA write, with an immediate for the responder */
	bool spin;  /* both sides never yield */
};
struct raw_fabric *raw_fabric_open(const char *address, uint16_t port);
uint64_t raw_fabric_run(void *work, unsigned count);
void raw_fabric_close(struct raw_fabric *fabric);
/* Serves one client after the other at an address of this node; prints "ready PORT". */
int raw_fabric_serve(const char *address);

/* A responder on a node, and the connection to it. */
struct raw_pair {
	struct party party;
	struct raw_fabric *fabric;
};
bool raw_pair_open(const struct bench_context *context, const char *node, struct raw_pair *out);
void raw_pair_close(struct raw_pair *pair);

#endif
