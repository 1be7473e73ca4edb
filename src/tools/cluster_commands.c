/* `fractos up`, `down`, `restart`, `stop`, `start`, `exec`: what acts on a whole cluster or on its
 * programs through the supervisor. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools.h"

bool is_option(int argc, char **argv, int *i, const char *name, const char **value)
{
	const size_t length = strlen(name);
	if (strncmp(argv[*i], name, length) != 0)
		return false;
	const char *rest = argv[*i] + length;
	if (*rest == '=')
		*value = rest + 1;
	else if (*rest != 0)
		return false;
	else
		*value = *i + 1 < argc ? argv[++*i] : NULL;
	return true;
}

bool take_name(const char *value, const char **out)
{
	*out = value;
	if (value && cluster_name_valid(value))
		return true;
	complain("--cluster takes a name: 1 to %d of [a-z0-9-]", NAME_LEN - 1);
	return false;
}

static bool take_rate(const char *value, uint64_t *out)
{
	if (value && parse_rate(value, out))
		return true;
	complain("--rate takes 1gbit to 1000gbit, 1mbit to 1000mbit, or none");
	return false;
}

static bool take_number(const char *option, const char *what, const char *value, unsigned least,
						unsigned most, unsigned *out)
{
	char *end;
	unsigned long number = strtoul(value, &end, 10);

	*out = (unsigned)number;
	if (value[0] >= '0' && value[0] <= '9' && *end == '\0' && number >= least && number <= most)
		return true;
	complain("%s takes %s, %u to %u", option, what, least, most);
	return false;
}

/* Takes --cluster NAME and --help out of the arguments; the others stay. -1: go on, else the exit
 * status. */
static int common(int *argc, char **argv, const char **name, const char *usage)
{
	int out = 1;
	const char *value;
	*name = DEFAULT_CLUSTER;
	for (int i = 1; i < *argc; i++) {
		if (!strcmp(argv[i], "--help")) {
			fputs(usage, stdout);
			return 0;
		}
		if (!is_option(*argc, argv, &i, "--cluster", &value))
			argv[out++] = argv[i];
		else if (!take_name(value, name))
			return 2;
	}
	*argc = out;
	argv[out] = NULL;
	return -1;
}

int command_up(int argc, char **argv)
{
	static const char usage[] =
		"usage: fractos up [OPTION...]\nStarts four nodes (app, fs, storage, gpu) on this machine: "
		"a "
		"Controller and\nservices each, supervised, started again when they die.\n\n"
		"  --cluster NAME   (faces) its name\n"
		"  --nodes N        (4) 4 to 16; node5, node6, ... have a Controller only\n"
		"  --no-netns       nodes are loopback ports; the default without root\n"
		"  --rate RATE      shape every node's link: 1gbit to 1000gbit, 1mbit to 1000mbit, none\n"
		"  --data DIR       keep volumes and metadata there; default: removed by `down`\n"
		"  --no-respawn     programs that die stay dead\n"
		"  --failure-timeout MS\n"
		"                   (1000) a node silent for so long is given up, 50 to 60000\n";
	static const struct option options[] = {{"no-netns", no_argument, NULL, 'n'},
											{"nodes", required_argument, NULL, 'c'},
											{"rate", required_argument, NULL, 'r'},
											{"data", required_argument, NULL, 'd'},
											{"no-respawn", no_argument, NULL, 's'},
											{"failure-timeout", required_argument, NULL, 't'},
											{NULL, 0, NULL, 0}};
	struct cluster cluster;
	const char *name;
	int c, end = common(&argc, argv, &name, usage);

	if (end >= 0)
		return end;
	cluster_describe(&cluster, name);
	argv[0] = (char *)(uintptr_t) "fractos up"; /* how getopt begins its complaints */
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'n')
			cluster.netns = false;
		else if (c == 's')
			cluster.respawn = false;
		else if (c == 'c') {
			unsigned nodes;
			if (!take_number("--nodes", "a number of nodes", optarg, NODES_LEAST, NODES_MAX,
							 &nodes))
				return 2;
			cluster_set_nodes(&cluster, nodes);
		} else if (c == 'd') {
			if (!realpath(optarg, cluster.data)) {
				complain("--data %s: %s", optarg, strerror(errno));
				return 1;
			}
			cluster.own_data = false;
		} else if (c == 't') {
			if (!take_number("--failure-timeout", "milliseconds", optarg, 50, 60000,
							 &cluster.failure_timeout))
				return 2;
		} else if (c != 'r' || !take_rate(optarg, &cluster.rate)) {
			return 2;
		}
	}
	if (optind < argc) {
		complain("\"%s\" is too much; a name goes behind --cluster", argv[optind]);
		return 2;
	}
	if (cluster.rate != 0 && !cluster.netns) {
		complain("--rate needs network namespaces (root, and not --no-netns)");
		return 2;
	}
	if (cluster_start(&cluster, false, false) < 0)
		return 1;
	printf("the cluster \"%s\" is up; its files are in %s\n", name, cluster.dir);
	return 0;
}

int command_down(int argc, char **argv)
{
	struct cluster cluster;
	char answer[400];
	const char *name;
	int end = common(&argc, argv, &name, "usage: fractos down [--cluster NAME]\n");

	if (end >= 0)
		return end;
	cluster_describe(&cluster, name);
	if (!control(&cluster, "down", answer, sizeof answer)) {
		if (access(cluster.dir, F_OK) != 0) {
			complain("no cluster \"%s\" is up", name);
			return 1;
		}
		/* Its supervisor was killed: the programs went with it, the files are left. */
		cluster_remove(&cluster);
		printf("removed what the cluster \"%s\" had left\n", name);
		return 0;
	}
	printf("the cluster \"%s\" is down\n", name);
	return 0;
}

int command_restart(int argc, char **argv)
{
	static const char usage[] =
		"usage: fractos restart|stop|start NODE/PROGRAM [--cluster NAME]\n"
		"Programs: NODE/fractosd of each node, fs/registry, storage/blk, gpu/gpu, fs/fs.\n"
		"Returns when the program serves again.\n";
	struct cluster cluster;
	char command[128], answer[400];
	const char *name, *verb = argv[0];
	int end = common(&argc, argv, &name, usage);

	if (end >= 0)
		return end;
	if (argc != 2) {
		fputs(usage, stderr);
		return 2;
	}
	cluster_describe(&cluster, name);
	format(command, sizeof command, "%s %s", verb, argv[1]);
	if (!control(&cluster, command, answer, sizeof answer)) {
		complain("no cluster \"%s\" is up", name);
		return 1;
	}
	if (!strncmp(answer, "ok", 2))
		return 0;
	complain("%s", strncmp(answer, "failed: ", 8) ? answer : answer + 8);
	return 1;
}

/* Finds NODE=PATH in the supervisor's answer and enters that namespace. */
static bool enter(const struct cluster *cluster, const char *node)
{
	char answer[1024], key[NAME_LEN + 2], path[64];

	if (!control(cluster, "namespaces", answer, sizeof answer))
		return false;
	format(key, sizeof key, " %s=", node);
	const char *at = strstr(answer, key);
	if (!at)
		return true; /* nodes are loopback ports */
	if (sscanf(at + strlen(key), "%63s", path) != 1)
		return false;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && setns(fd, CLONE_NEWNET) == 0;
}

int command_exec(int argc, char **argv)
{
	static const char usage[] =
		"usage: fractos exec [--cluster NAME] NODE COMMAND [ARGUMENT...]\n"
		"Runs the command in the node's network, with FRACTOS_SOCKET set to its Controller.\n";
	struct cluster cluster;
	const char *name;
	/* Only what stands before COMMAND is ours. */
	int own = 1;
	while (own < argc && argv[own][0] == '-')
		own += !strcmp(argv[own], "--cluster") ? 2 : 1;
	int head = own < argc ? own : argc;
	char *saved = argv[head];
	int end = common(&head, argv, &name, usage);
	if (end >= 0)
		return end;
	if (own + 1 >= argc) {
		fputs(usage, stderr);
		return 2;
	}
	argv[own] = saved;
	const struct node *node =
		cluster_load(&cluster, name) ? cluster_node(&cluster, argv[own]) : NULL;
	if (!node || !enter(&cluster, node->name)) {
		complain("no node \"%s\" in a running cluster \"%s\"", argv[own], name);
		return 1;
	}
	setenv("FRACTOS_SOCKET", node->socket, 1);
	execvp(argv[own + 1], argv + own + 1);
	complain("cannot run %s: %s", argv[own + 1], strerror(errno));
	return 127;
}

/* ------------------------------------------------------------------ run */

struct run_options {
	bool keep, no_netns;
	uint64_t rate;
	const char *name;
	char **pass; /* the job's own arguments */
	unsigned pass_count;
};

static const char run_usage[] =
	"usage: fractos run [OPTION...]\n"
	"Enrols a gallery of faces in the cluster's file system and verifies probes against it: "
	"storage\n"
	"puts the bytes straight into GPU memory, the kernel starts, its end answers the client. The\n"
	"same work is done in four ways, side by side. Uses the cluster NAME if it is up; otherwise\n"
	"starts one, and stops it at the end.\n\n"
	"  --cluster NAME   (faces)\n"
	"  --keep           leave the cluster up\n"
	"  --no-netns       nodes are loopback ports; the default without root\n"
	"  --rate RATE      shape every node's link: 1gbit to 1000gbit, 1mbit to 1000mbit, none\n\n"
	"All other options are the job's:\n\n";

static bool take_own_options(int argc, char **argv, struct run_options *out)
{
	const char *value;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--keep"))
			out->keep = true;
		else if (!strcmp(argv[i], "--no-netns"))
			out->no_netns = true;
		else if (is_option(argc, argv, &i, "--cluster", &value)) {
			if (!take_name(value, &out->name))
				return false;
		} else if (is_option(argc, argv, &i, "--rate", &value)) {
			if (!take_rate(value, &out->rate))
				return false;
		} else
			out->pass[out->pass_count++] = argv[i];
	}
	return true;
}

/* Ctrl-C and SIGTERM end the job, not us: we live on to take the cluster down. */
static volatile sig_atomic_t interrupted;
static volatile sig_atomic_t job_pid;

static void on_interrupt(int signal)
{
	interrupted = signal;
	if (job_pid > 0)
		kill(job_pid, signal);
}

static void catch_interrupts(void)
{
	struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* Arguments of the job's program: `own` ones first, then what the user gave. NULL: no memory. */
static char **job_arguments(const struct run_options *options, char *const *own, unsigned own_count)
{
	char **argv = calloc(own_count + options->pass_count + 2, sizeof *argv);
	unsigned n = 0;

	if (!argv) {
		complain("no memory");
		return NULL;
	}
	argv[n++] = (char *)(uintptr_t) "fractos-faceverify"; /* begins its complaints */
	for (unsigned i = 0; i < own_count; i++)
		argv[n++] = own[i];
	for (unsigned i = 0; i < options->pass_count; i++)
		argv[n++] = options->pass[i];
	return argv;
}

static bool job_path(char *out, size_t size)
{
	if (program_path("fractos-faceverify", out, size))
		return true;
	complain("fractos-faceverify is not installed");
	return false;
}

/* Lets the job look at its options, before anything is started for it. 0, or the exit status. */
static int check_job(const struct run_options *options)
{
	char path[PATH_LEN * 2], *own[] = {(char *)(uintptr_t) "--check-options"};
	int status;

	if (!job_path(path, sizeof path))
		return 1;
	char **argv = job_arguments(options, own, 1);
	pid_t child = argv ? fork() : -1;
	if (child == 0) {
		execv(path, argv);
		_exit(127);
	}
	free(argv);
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
		complain("the job's options could not be checked");
		return 1;
	}
	return WEXITSTATUS(status);
}

/* Where the recorders and interfaces are, as the job's options; the strings live in `text`. */
static unsigned job_sources(const struct cluster *cluster,
							char text[2 * NODES_MAX][PATH_LEN + NAME_LEN + 16],
							char *own[4 * NODES_MAX])
{
	char answer[1024];
	unsigned n = 0, t = 0;
	bool have = control(cluster, "namespaces", answer, sizeof answer);

	for (unsigned i = 0; i < cluster->node_count; i++) {
		const struct node *node = &cluster->nodes[i];
		char key[NAME_LEN + 2], where[64];
		format(text[t], sizeof text[t], "%s=%s", node->name, node->recorder);
		own[n++] = (char *)(uintptr_t) "--recorder";
		own[n++] = text[t++];
		format(key, sizeof key, " %s=", node->name);
		const char *at = have ? strstr(answer, key) : NULL;
		if (at && sscanf(at + strlen(key), "%63s", where) == 1) {
			format(text[t], sizeof text[t], "%s=eth0@%s", node->name, where);
			own[n++] = (char *)(uintptr_t) "--netdev";
			own[n++] = text[t++];
		}
	}
	return n;
}

/* The job, in the app node's network, told where the recorders and interfaces are. */
static int run_job(const struct cluster *cluster, const struct run_options *options)
{
	char path[PATH_LEN * 2], text[2 * NODES_MAX][PATH_LEN + NAME_LEN + 16], *own[4 * NODES_MAX];
	int status;

	if (!job_path(path, sizeof path))
		return 1;
	char **argv = job_arguments(options, own, job_sources(cluster, text, own));
	if (!argv)
		return 1;
	/* Blocked until the handler knows whom to tell. */
	sigset_t both, before;
	sigemptyset(&both);
	sigaddset(&both, SIGINT);
	sigaddset(&both, SIGTERM);
	sigprocmask(SIG_BLOCK, &both, &before);
	pid_t child = interrupted ? -1 : fork();
	if (child == 0) {
		const struct node *node = cluster_node(cluster, "app");
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		sigprocmask(SIG_SETMASK, &before, NULL);
		if (!node || !enter(cluster, "app"))
			_exit(126);
		setenv("FRACTOS_SOCKET", node->socket, 1);
		execv(path, argv);
		_exit(127);
	}
	job_pid = child > 0 ? child : 0;
	sigprocmask(SIG_SETMASK, &before, NULL);
	bool waited = child > 0 && waitpid(child, &status, 0) == child;
	job_pid = 0;
	free(argv);
	if (interrupted)
		return 128 + interrupted;
	if (!waited)
		return 1;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	complain("the job was ended by signal %d, %s", WTERMSIG(status), strsignal(WTERMSIG(status)));
	return 128 + WTERMSIG(status);
}

static int run_help(void)
{
	char path[PATH_LEN * 2];
	fputs(run_usage, stdout);
	fflush(stdout);
	if (program_path("fractos-faceverify", path, sizeof path))
		execl(path, path, "--help", (char *)NULL);
	return 1;
}

/* On a cluster that was up before. */
static int run_on(const struct cluster *cluster, const struct run_options *options)
{
	if (options->rate != 0 || options->no_netns) {
		complain("the cluster \"%s\" is up already: --rate and --no-netns come too late",
				 cluster->name);
		return 2;
	}
	tell_what_is_missing(cluster, true);
	int status = run_job(cluster, options);
	if (status != 0 && !interrupted)
		tell_what_is_missing(cluster, true);
	return status;
}

/* On a cluster of its own. */
static int run_alone(struct cluster *cluster, const struct run_options *options)
{
	char answer[400], name[NAME_LEN];

	format(name, sizeof name, "%s", cluster->name); /* outlives the loading */
	cluster->netns = cluster->netns && !options->no_netns;
	cluster->rate = options->rate;
	if (cluster->rate != 0 && !cluster->netns) {
		complain("--rate needs network namespaces (root, and not --no-netns)");
		return 2;
	}
	pid_t supervisor = cluster_start(cluster, !options->keep, false);
	if (supervisor < 0)
		return 1;
	int status = cluster_load(cluster, name) ? run_job(cluster, options) : 1;
	if (status != 0 && !interrupted)
		tell_what_is_missing(cluster, options->keep);
	if (options->keep) {
		fprintf(stderr, "the cluster \"%s\" stays up; `fractos down%s%s` stops it\n", cluster->name,
				options->name ? " --cluster " : "", options->name ? options->name : "");
		return status;
	}
	/* A supervisor that was killed took its programs along, but not its files. */
	if (!control(cluster, "down", answer, sizeof answer)) {
		kill(supervisor, SIGTERM);
		cluster_remove(cluster);
	}
	waitpid(supervisor, NULL, 0);
	return status;
}

int command_run(int argc, char **argv)
{
	struct run_options options = {.pass_count = 0};
	struct cluster cluster;
	char name[NAME_LEN];

	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--help"))
			return run_help();
	options.pass = calloc((size_t)argc, sizeof *options.pass);
	if (!options.pass) {
		complain("no memory");
		return 1;
	}
	int status = take_own_options(argc, argv, &options) ? check_job(&options) : 2;
	if (status == 0) {
		catch_interrupts();
		format(name, sizeof name, "%s", options.name ? options.name : DEFAULT_CLUSTER);
		cluster_describe(&cluster, name);
		if (cluster_alive(&cluster) && cluster_load(&cluster, name)) {
			status = run_on(&cluster, &options);
		} else {
			if (!options.name && !options.keep)
				format(name, sizeof name, "run-%d", (int)getpid());
			cluster_describe(&cluster, name);
			status = run_alone(&cluster, &options);
		}
	}
	free(options.pass);
	return status;
}
