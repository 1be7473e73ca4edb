/* What the files of the `fractos` command share: the description of a cluster, how its supervisor
 * is spoken to, and small helpers. */
#ifndef FRACTOS_TOOLS_H
#define FRACTOS_TOOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <fractos/fractos.h>
#include <fractos/recorder.h>

enum {
	NODES_MAX = 16,
	NODES_LEAST = 4, /* those with services: app, fs, storage, gpu */
	PATH_LEN = 256,
	NAME_LEN = 32,
	PROGRAMS_MAX = NODES_MAX + 4, /* a Controller each, and the services */
	LAST_END_LEN = 200
};
#define DEFAULT_CLUSTER "faces"

struct node {
	char name[NAME_LEN];
	uint32_t id;
	char address[64];
	uint16_t port;
	char socket[PATH_LEN];
	char recorder[PATH_LEN];
};

/* A program of a cluster; they start in the order of their waves. */
struct program {
	char node[NAME_LEN];
	const char *name, *file; /* static text */
	int wave;
};

struct cluster {
	char name[NAME_LEN];
	char dir[PATH_LEN];       /* run-time files: the cluster file, sockets, recorders, logs */
	char data[PATH_LEN];      /* volumes and metadata */
	char cache[PATH_LEN];     /* compiled GPU kernels, of all clusters of this user; it stays */
	bool own_data;            /* data is ours to remove at the end */
	bool netns;               /* every node has a network namespace */
	uint64_t rate;            /* bit/s of every node's link; 0: not shaped */
	bool respawn;             /* programs that die are started again */
	unsigned failure_timeout; /* ms; 0: a Controller's default */
	struct node nodes[NODES_MAX];
	unsigned node_count;
	struct program programs[PROGRAMS_MAX];
	unsigned program_count;
};

/* The cluster `name` as it would be started here: four nodes, paths chosen, ports not yet. */
void cluster_describe(struct cluster *cluster, const char *name);
/* Gives it `count` nodes, NODES_LEAST to NODES_MAX; those beyond the four are called node5 and so
 * on, and have a Controller only. */
void cluster_set_nodes(struct cluster *cluster, unsigned count);
/* Makes the cluster's directory ours alone while the descriptor is open; -1 after saying why not.
 */
int cluster_lock(const struct cluster *cluster);
/* Chooses addresses and free ports, makes the directories, key and cluster file. Says why not. */
bool cluster_create(struct cluster *cluster);
/* A directory that nobody else can have prepared for us: made now, or ours without the `forbidden`
 * modes; 0: whatever is there. Says why not. */
bool make_dir(const char *path, mode_t forbidden);
/* Makes the cache and holds it while the descriptor is open; -1 after saying why not. */
int cache_open(const struct cluster *cluster);
/* Lets it go; who is the last one removes what is only rubbish in it. */
void cache_close(int fd);
/* Removes every file of it. */
void cluster_remove(const struct cluster *cluster);
/* Reads a running cluster's file. Silent; false: there is none. */
bool cluster_load(struct cluster *cluster, const char *name);
bool cluster_name_valid(const char *name);
/* Calls each() for the names of the clusters of this user. */
void cluster_each(void (*each)(const char *name, void *arg), void *arg);
const struct node *cluster_node(const struct cluster *cluster, const char *name);

/* Fills argv (at most 24 entries, NULL-terminated); strings live in `text`. */
void program_argv(const struct cluster *cluster, const struct program *program,
				  const char *argv[24], char *text, size_t text_size);
/* Where the executable is: beside this one, in the build tree, or in $PATH. */
bool program_path(const char *file, char *out, size_t out_size);

/* Network namespaces: one a node and one for the switch, held open by the supervisor alone, so that
 * they vanish with it. Descriptors in the order of cluster->nodes. Says why not. */
struct network {
	int nodes[NODES_MAX];
	int fabric;
};
bool network_create(const struct cluster *cluster, struct network *out);

/* What the supervisor knows of a program. STOPPED: by command; WAITING: starts by itself, at its
 * time or when its node's Controller serves; GIVEN_UP: it ended again and again; DEAD: ended, and
 * the cluster was started with --no-respawn; UNLISTED: it serves, but the registry does not give it
 * out, so nobody can find it. */
#define PROGRAM_STATES(X)   \
	X(SERVING, "serving")   \
	X(STARTING, "starting") \
	X(STOPPING, "stopping") \
	X(STOPPED, "stopped")   \
	X(WAITING, "waiting")   \
	X(GIVEN_UP, "given-up") \
	X(DEAD, "dead")         \
	X(UNLISTED, "unlisted")
enum program_state {
#define PROGRAM_STATE_ENUM(name, text) PROGRAM_##name,
	PROGRAM_STATES(PROGRAM_STATE_ENUM)
#undef PROGRAM_STATE_ENUM
};
struct program_report {
	enum program_state state;
	pid_t pid;                   /* 0: it does not run */
	unsigned ends;               /* how often it has ended */
	char last_end[LAST_END_LEN]; /* why it ended the last time; "": it never did */
	fos_status found;            /* UNLISTED: what the registry says when it is asked for it */
};
enum { PROGRAMS_ANSWER_LEN = PROGRAMS_MAX * (LAST_END_LEN + 2 * NAME_LEN + 64) };

const char *program_state_name(enum program_state state);
/* Asks the supervisor; false: there is none, and all are reported dead. */
bool cluster_programs(const struct cluster *cluster, struct program_report out[PROGRAMS_MAX]);
/* Asks the registry for those that serve; who is not found is UNLISTED. Takes some seconds at most,
 * also where nobody answers. Returns the pid of the Process that has asked. */
pid_t cluster_look_up(const struct cluster *cluster, struct program_report reports[PROGRAMS_MAX]);
/* Whether it is as it should be: it serves, or somebody has stopped it. */
bool program_fine(const struct program_report *report);
/* What to do so that it serves again; "" where it comes by itself. */
void program_advice(const struct cluster *cluster, const struct program *program,
					const struct program_report *report, char *out, size_t size);
/* Tells on stderr which programs do not serve and, where the cluster `stays` up, what to do. */
void tell_what_is_missing(const struct cluster *cluster, bool stays);

/* The supervisor: owns namespaces, programs and files of one cluster until SIGTERM or SIGINT or
 * "down" on its control socket. Writes lines of progress to `report`; "up" when all serve, or
 * "failed: why". Returns the process's exit status. */
int supervise(struct cluster *cluster, int report);

/* Starts a supervisor in a child process and waits until the cluster is up. `tied`: it ends with
 * this process. Returns its pid, or -1 after saying why. */
pid_t cluster_start(struct cluster *cluster, bool tied, bool quiet);
/* One command to a running cluster's supervisor ("down", "restart gpu/gpu", "stop ...", "start
 * ...", "namespaces", "programs"); prints nothing. The answer's first word is "ok" or "failed:".
 * False: there is no supervisor. */
bool control(const struct cluster *cluster, const char *command, char *answer, size_t answer_size);
bool cluster_alive(const struct cluster *cluster);

/* The commands. */
int command_up(int argc, char **argv);
int command_down(int argc, char **argv);
int command_status(int argc, char **argv);
int command_run(int argc, char **argv);
int command_explain(int argc, char **argv);
int command_restart(int argc, char **argv);
int command_exec(int argc, char **argv);

/* Whether argv[*i] is the option `name`, whose value stands behind a "=" or is the next argument,
 * which is taken then. *value NULL: there is none. */
bool is_option(int argc, char **argv, int *i, const char *name, const char **value);
/* The value of --cluster; says what is wrong with it. */
bool take_name(const char *value, const char **out);
/* "10gbit", "100mbit", "none"; bit/s. */
bool parse_rate(const char *text, uint64_t *out);
/* "error: ..." on stderr. */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);
__attribute__((format(printf, 3, 4))) void format(char *out, size_t size, const char *format, ...);
uint64_t clock_ns(void);

#endif
