/* The simulator's own header: Controllers, Processes and the network between them as data, driven
 * by one clock of virtual nanoseconds. For the files of this folder.
 *
 *     options.c   the command line
 *     main.c      seeds, jobs, the last line
 *     run.c       one seed: steps, faults, the end in which everything must converge
 *     world.c     cores, what they put out, arenas, slices, lives of nodes and Processes
 *     network.c   sessions and links: delay, clog, cut, partition
 *     program.c   what Processes do: random calls, and what they do with deliveries (program.h)
 *     ledger.c    what must hold at each step and at the end, whatever the oracle says
 *     tables.c    when all is at rest: what the Controllers hold must agree
 *     cover.c     which transitions were seen
 *     script.c    a run as text
 *     shorten.c   the shortest run that still fails
 *
 * All that happens follows from the seed and the list of steps: each step has a number of its own
 * from which it draws, and what the network draws follows from the moment alone. So steps can be
 * left out, and what has nothing to do with them stays as it was. */
#ifndef FRACTOS_SIM_SIM_H
#define FRACTOS_SIM_SIM_H

#include <setjmp.h>

#include "base/base.h"
#include "core/core.h"
#include "core/inspect.h"
#include "sim/oracle.h"
#include "wire/wire.h"

enum {
	NODES_MAX = 8,
	PLAYERS_MAX = 64,
	CHANNELS = 2,
	ARENA_BYTES = 32 << 10, /* of a Process: its one segment */
	NAMES_MAX = 96,         /* capabilities that a program remembers */
	NAMES_KEPT = 40,        /* beyond these it closes some */
	OPEN_MAX = 160,         /* deliveries that it knows to be open */
	CONNECTIONS_MAX = 1 << 16,
	MICRO = 1000,
	MILLI = 1000000
};

/* Kinds of faults, as --faults names them. */
#define SIM_FAULTS(X)                                                                    \
	X(DELAY, delay, "messages take longer, in another order between links")              \
	X(CUT, cut, "a link is lost; each side sees it at its own time")                     \
	X(CLOG, clog, "one direction stops for a while, then goes on")                       \
	X(PARTITION, partition, "nodes do not hear each other, one way or both, then heal")  \
	X(CRASH, crash, "a Controller dies and comes back with another epoch")               \
	X(PAUSE, pause, "a Controller stops for longer than the failure timeout")            \
	X(DEATH, death, "a Process dies, or is ended for a lie; its devices are free later") \
	X(CHANNEL, channel, "a channel is closed, another opened")                           \
	X(SLICES, slices, "slices are answered late and in any order")                       \
	X(QUEUES, queues, "small inboxes and quotas: parks, bounces, refusals")              \
	X(MEMORY, memory, "the memory of a Controller ends, and comes back")

enum sim_fault_bit {
#define SIM_ENUM(NAME, name, text) SIM_BIT_##NAME,
	SIM_FAULTS(SIM_ENUM)
#undef SIM_ENUM
		SIM_BIT_COUNT
};
#define SIM_HAS(world, NAME) (((world)->options.faults >> SIM_BIT_##NAME) & 1u)

struct sim_options {
	uint64_t seed;
	uint32_t nodes, processes, steps; /* processes: of each node */
	uint32_t faults;                  /* bits */
	uint64_t until; /* virtual ns at which it ends without a conclusion; 0: never */
	bool verbose;
	bool oracle;
};

/* ------------------------------------------------------------------ Processes */

struct name { /* what a program knows of a capability that it holds, or held */
	uint64_t cap;
	uint8_t kind, rights; /* rights: all that it can have */
	bool own, once, child, tracked;
	bool remote; /* its owner is another node */
	bool borrowed;
	bool overlaps;    /* caps and cells are all that is bound: it was built here from the base */
	uint32_t handler; /* own Request */
	uint32_t caps;    /* indices bound */
	uint64_t cells;   /* immediates bound, by 64 bytes */
	uint64_t length;
};

struct opened { /* a delivery in a program's hands */
	uint64_t id;
	uint32_t channel, handler;
	uint64_t caps[4];
	uint8_t cap_index[4];
	uint32_t cap_count;
};

struct process {
	struct node *node;
	uint32_t serial, player;
	bool alive;
	bool freed; /* its devices are free */
	bool channel_up[CHANNELS];
	uint32_t turns[CHANNELS]; /* how often each was closed */
	uint8_t *arena;
	struct name names[NAMES_MAX];
	uint32_t name_count;
	uint64_t old[8]; /* names that are no more: a ring */
	uint32_t old_count;
	struct opened open[OPEN_MAX];
	uint32_t open_count;
	uint32_t waiting;   /* calls without an end */
	uint64_t scattered; /* parent of the children that it gave away at once */
	uint32_t objects;   /* the ledger's list of its Requests */
};

struct player {
	struct process *process; /* NULL: none now */
	struct node *node;
};

/* ------------------------------------------------------------------ the network */

struct packet {
	struct packet *next;
	uint64_t when, sent;
	uint32_t connection;
	uint32_t size; /* 0: the end of the connection */
	_Alignas(8) uint8_t bytes[];
};
struct link { /* one direction and lane */
	struct packet *first, **last;
	uint64_t seed;   /* of its delays */
	uint64_t newest; /* nothing arrives before what was sent earlier */
	bool scheduled;
	uint32_t count;
};
struct side {            /* what one node knows of its session with another */
	uint32_t connection; /* 0: none */
	bool ending;         /* CORE_END_SESSION came, CORE_SESSION_GONE has not */
};
struct connection {
	uint8_t a, b;
	bool pending[2]; /* CORE_SESSION_UP is still to come at a, at b */
	bool lost;       /* cut: nothing is carried any more */
	uint32_t life[2];
	uint64_t epoch[2];
	uint64_t began;
};

/* ------------------------------------------------------------------ nodes, the world */

struct slice { /* what the shell owes an answer for */
	struct slice *next;
	uint64_t token;
	uint32_t node, life, peer, connection; /* peer: of CORE_SEND_SLICE */
	bool move, cancelled;
	struct core_extent to, from;
	uint64_t src, dst; /* what it is of, as tables_key(); 0: not known */
};

struct node {
	struct world *world;
	struct core *core;
	struct core_config config;
	uint32_t number; /* from 1 */
	uint32_t life;   /* rises at each boot */
	bool up;
	uint64_t paused_until; /* 0: it runs */
	uint64_t paused;       /* ns in all */
	uint64_t tick;         /* when core_deadline() wants one */
	uint32_t next_serial;
	struct process *processes[512]; /* of this life, by serial */
	struct slice *sending;          /* slices without an answer */
	uint64_t events;
	uint64_t ballast; /* see ballast.h */
};

enum happening_kind {
	HAPPEN_LINK,    /* a: from, b: to, c: lane */
	HAPPEN_SLICE,   /* pointer */
	HAPPEN_UP,      /* a: node, b: peer, c: connection */
	HAPPEN_GONE,    /* a: node, b: peer, c: connection */
	HAPPEN_CONNECT, /* a, b */
	HAPPEN_UNBLOCK, /* a: from, b: to */
	HAPPEN_BOOT,    /* a */
	HAPPEN_RESUME,  /* a */
	HAPPEN_FREE,    /* pointer: process */
	HAPPEN_BIRTH,   /* a: player */
	HAPPEN_STEP
};
struct happening {
	uint64_t when, order;
	uint8_t kind;
	bool put_off; /* to the end of its node's pause */
	uint32_t a, b, c, life;
	void *pointer;
};

struct step { /* one entry of a run's list */
	uint64_t when;
	uint64_t number; /* what it draws from */
};

struct world {
	struct sim_options options;
	uint64_t now, events;
	struct base_random random; /* of the network: anew at each moment */
	uint64_t drawn;            /* the moment of its last draw */
	struct base_random draw;   /* of the step being made */
	struct node nodes[NODES_MAX];
	uint32_t node_count;
	struct player players[PLAYERS_MAX];
	uint32_t player_count;
	struct link links[NODES_MAX][NODES_MAX][2];
	struct side sides[NODES_MAX][NODES_MAX];
	uint64_t blocked_since[NODES_MAX][NODES_MAX];
	uint64_t blocked_paused[NODES_MAX][NODES_MAX]; /* how long the receiver was paused before */
	uint64_t losses;                               /* sessions that ended */
	uint64_t blocked[NODES_MAX][NODES_MAX];        /* until when nothing gets through; 0: it does */
	bool connecting[NODES_MAX][NODES_MAX];
	struct connection *connections;
	uint32_t connection_count;
	struct happening *heap;
	uint32_t heap_count, heap_room;
	uint64_t heap_order;
	uint32_t epochs;
	uint64_t traces; /* given to calls */
	bool calm;       /* the faults are over */
	bool closing;    /* no session begins any more */
	uint64_t trace;  /* hash of all that happened */
	struct ledger *ledger;
	struct oracle *oracle;
	const struct core_event *event; /* being handled */
	sigjmp_buf *escape;             /* where a violation goes */
	char reason[512];
	struct packet *packets[20]; /* free, by size */
	struct slice *slices;
	uint64_t faults_made[SIM_BIT_COUNT];
	uint64_t reasons; /* sessions that cores ended for want of an echo */
};

/* Memory of one seed, zeroed; all of it goes at the next sim_memory_reset(). */
void *sim_alloc(size_t size);
void sim_memory_reset(void);
size_t sim_memory_used(void);

/* The run is over: what failed. Does not return. */
_Noreturn void sim_violation(struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void sim_trace(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define SIM_SAY(world, ...)                \
	do {                                   \
		if ((world)->options.verbose)      \
			sim_trace(world, __VA_ARGS__); \
	} while (0)
static inline void sim_mix(struct world *world, uint64_t word)
{
	world->trace = base_mix64(world->trace ^ word);
}
static inline uint64_t sim_below(struct world *world, uint64_t bound)
{
	if (world->drawn != world->now) {
		world->drawn = world->now;
		world->random.state = base_mix64(world->options.seed ^ base_mix64(world->now));
	}
	return base_random_below(&world->random, bound);
}
static inline uint64_t sim_draw(struct world *world, uint64_t bound)
{
	return base_random_below(&world->draw, bound);
}

/* ------------------------------------------------------------------ world.c */

void world_begin(struct world *world, const struct sim_options *options);
void world_boot_all(struct world *world);
const uint8_t *world_slice_bytes(struct node *node, const struct core_extent *extent);
void world_happen(struct world *world, uint64_t when, enum happening_kind kind, uint32_t a,
				  uint32_t b, uint32_t c, void *pointer);
/* The next thing of the heap, or a node's tick; false: nothing before `until`. */
bool world_next(struct world *world, uint64_t until);
void world_step(struct node *node, struct core_event *event);
void world_crash(struct world *world, struct node *node, uint64_t down);
void world_pause(struct world *world, struct node *node, uint64_t time);
void world_resume(struct world *world, struct node *node);
/* Its core has so much memory left, UINT64_MAX: all. */
void world_memory(struct world *world, struct node *node, uint64_t bytes);
void world_kill(struct world *world, struct process *process, uint64_t until_free);
void world_birth(struct world *world, struct player *player);
void world_channel_turn(struct world *world, struct process *process, uint32_t channel);
struct process *world_process(struct node *node, uint32_t serial);
void world_forget_slices(struct node *node, uint32_t peer);

/* ------------------------------------------------------------------ network.c */

void network_send(struct world *world, struct node *node, const struct core_output *out);
void network_end_session(struct world *world, struct node *node, uint32_t peer);
void network_crash(struct world *world, struct node *node, bool silent);
void network_cut(struct world *world, uint32_t a, uint32_t b);
void network_block(struct world *world, uint32_t from, uint32_t to, uint64_t time);
void network_connect_all(struct world *world);
bool network_quiet(const struct world *world);
void network_link(struct world *world, const struct happening *it);
void network_up(struct world *world, const struct happening *it);
void network_gone(struct world *world, const struct happening *it);
void network_connect(struct world *world, const struct happening *it);
void network_unblock(struct world *world, const struct happening *it);

/* ------------------------------------------------------------------ program.c */

void program_step(struct world *world);
void program_born(struct world *world, struct process *process);
void program_record(struct world *world, struct process *process, uint32_t channel,
					const uint8_t *bytes, size_t size);
/* A record that cannot be: its Controller ends it. */
void program_lie(struct world *world, struct process *process);
/* In the end: finishes what is open, closes what is held. True: did something. */
bool program_finish(struct world *world, struct process *process);
bool program_close(struct world *world, struct process *process);

/* ------------------------------------------------------------------ ledger.c */

struct told { /* a call, from its submission to its one completion */
	struct process *process;
	uint64_t submitted; /* ns */
	uint64_t paused;    /* ns that its node had been paused then */
	uint16_t type;
	uint8_t expected; /* fos_status: not OK when it cannot succeed */
	uint8_t channel;
	uint32_t turn; /* of the channel: an earlier one is told nothing */
	bool done;
	bool drain, fail_if_refused;
	bool has_name;
	uint32_t handler;             /* revoke: of an own Request; create: its number */
	uint64_t cap;                 /* what the call is about */
	uint64_t delivery;            /* what it finishes */
	struct core_view_ref watched; /* of a monitor or a revoke */
	struct told *next;            /* of the monitors that watch holders */
	bool looked;                  /* its Controller asked for the child's end, and then */
	uint32_t holders;             /* so many others held it */
	struct name name;             /* what an OK completion gives, or what cap_info must say */
};

struct ledger *ledger_new(void);
/* A call is about to be submitted; *cookie is its cookie. */
struct told *ledger_call(struct world *world, struct process *process, uint32_t channel,
						 uint16_t type, uint64_t *cookie);
/* A number for an invocation, and for a Request. */
uint32_t ledger_tag(struct world *world, struct process *process, uint32_t channel, uint64_t cap);
uint32_t ledger_object(struct world *world, struct process *process, uint32_t channel, bool once);
/* cap: what it gave. */
/* A revoke of what the slot holds is to be submitted; a monitor. */
void ledger_revoke(struct world *world, struct told *told, uint64_t cap);
void ledger_watch(struct told *told, uint64_t cap);
struct told *ledger_completed(struct world *world, struct process *process, uint64_t cookie,
							  fos_status status, uint64_t cap);
void ledger_delivered(struct world *world, struct process *process, uint32_t channel,
					  const struct wire_answer_delivery *record, uint32_t tag);
void ledger_finished(struct world *world, uint32_t handler);
void ledger_gone(struct world *world, struct process *process, const uint32_t *channel);
void ledger_freed(struct world *world, struct process *process);
void ledger_crash(struct world *world, struct node *node);
void ledger_step(struct world *world, struct node *node);
void ledger_quiet(struct world *world);
void ledger_empty(struct world *world, struct node *node);

/* A Controller asks another to kill a child of this name. */
void ledger_kill_sent(struct world *world, const struct node *from,
					  const struct wire_message_revoke *message, uint32_t owner);
/* Whether a cap_revoke of it was OK: no byte is read or written through it any more. */
bool ledger_revoked(const struct world *world, uint64_t key);

/* ------------------------------------------------------------------ tables.c */

uint64_t tables_key(const struct core_view_ref *ref);
/* All at rest: what the Controllers hold must agree. */
void tables_check(struct world *world);
/* Slots that hold it, but for the maker's own. */
uint32_t tables_holders(const struct world *world, const struct process *maker,
						const struct core_view_ref *ref);

/* ------------------------------------------------------------------ cover.c */

void cover_event(const struct world *world, const struct core_event *event);
void cover_output(const struct world *world, const struct core_output *out);
void cover_status(uint16_t call, uint8_t status);
void cover_exception(uint8_t status);
void cover_core(const struct core *core);
void cover_print(void);
uint64_t cover_refusals(void); /* of memory, by cores that are no more */
size_t cover_size(void);
void cover_save(uint64_t *out);
void cover_add(const uint64_t *in);

/* ------------------------------------------------------------------ run.c */

struct result {
	uint64_t events, trace;
	uint64_t ended; /* virtual ns */
	struct oracle_counts counts;
	bool violated;
	char reason[512];
};
/* One run. steps NULL: as the seed says. */
void run_seed(const struct sim_options *options, const struct step *steps, uint32_t count,
			  struct result *out);
/* The list that the seed makes; freed by the caller. */
struct step *run_steps(const struct sim_options *options);

/* Who acts in a step: the player's number, and behind all players the fault's. */
uint32_t run_group(const struct sim_options *options, const struct step *step);

/* ------------------------------------------------------------------ script.c, shorten.c */

int script_run(const char *path, bool verbose);
bool script_save(const char *path, const struct sim_options *options, const struct step *steps,
				 uint32_t count, const char *reason);
/* Writes the shortest script that it finds in its time to `path`, and tells of its progress. */
void shorten(const struct sim_options *options, const struct result *failed, const char *path);

#endif
