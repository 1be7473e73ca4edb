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

enum { NODES_MAX = 16, PATH_LEN = 256, NAME_LEN = 32, PROGRAMS = 8 };

struct node {
	char name[NAME_LEN];
	uint32_t id;
	char address[64];
	uint16_t port;
	char socket[PATH_LEN];
	char recorder[PATH_LEN];
};

struct cluster {
	char name[NAME_LEN];
	char dir[PATH_LEN];  /* run-time files: the cluster file, sockets, recorders, logs */
	char data[PATH_LEN]; /* volumes and metadata */
	bool own_data;       /* data is ours to remove at the end */
	bool netns;          /* every node has a network namespace */
	uint64_t rate;       /* bit/s of every node's link; 0: not shaped */
	bool respawn;        /* programs that die are started again */
	struct node nodes[NODES_MAX];
	unsigned node_count;
};

/* The cluster `name` as it would be started here: four nodes, paths chosen, ports not yet. */
void cluster_describe(struct cluster *cluster, const char *name);
/* Makes the cluster's directory ours alone while the descriptor is open; -1 after saying why not.
 */
int cluster_lock(const struct cluster *cluster);
/* Chooses addresses and free ports, makes the directories, key and cluster file. Says why not. */
bool cluster_create(struct cluster *cluster);
/* Removes every file of it. */
void cluster_remove(const struct cluster *cluster);
/* Reads a running cluster's file. Silent; false: there is none. */
bool cluster_load(struct cluster *cluster, const char *name);
bool cluster_name_valid(const char *name);
/* Calls each() for the names of the clusters of this user. */
void cluster_each(void (*each)(const char *name, void *arg), void *arg);
const struct node *cluster_node(const struct cluster *cluster, const char *name);

/* The programs of a cluster, in the order in which they start; `after` names the wave. */
struct program {
	const char *node, *name, *file;
	int wave;
};
extern const struct program programs[PROGRAMS];
extern const unsigned program_count;
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

/* The supervisor: owns namespaces, programs and files of one cluster until SIGTERM or SIGINT or
 * "down" on its control socket. Writes lines of progress to `report`; "up" when all serve, or
 * "failed: why". Returns the process's exit status. */
int supervise(struct cluster *cluster, int report);

/* Starts a supervisor in a child process and waits until the cluster is up. `tied`: it ends with
 * this process. Returns its pid, or -1 after saying why. */
pid_t cluster_start(struct cluster *cluster, bool tied, bool quiet);
/* One command to a running cluster's supervisor ("down", "restart gpu/gpu", "stop ...", "start
 * ...", "namespaces"); prints nothing. The answer's first word is "ok" or "failed:". False: there
 * is no supervisor. */
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

/* "10gbit", "100mbit", "none"; bit/s. */
bool parse_rate(const char *text, uint64_t *out);
/* "error: ..." on stderr. */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);
__attribute__((format(printf, 3, 4))) void format(char *out, size_t size, const char *format, ...);
uint64_t clock_ns(void);

#endif
