/* The supervisor of a cluster: one process that holds its namespaces, starts its programs in waves,
 * starts again what dies, answers on a control socket, and takes everything down at the end.
 *
 * Life of a program:  OFF -> STARTING (spawned, "ready" awaited on its stdout) -> SERVING
 *                     any -> OFF when it exits; -> STARTING again by respawn or "start"
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools.h"

enum state { OFF, STARTING, SERVING };

enum {
	READY_TIMEOUT_S = 30, /* from spawn to "ready" */
	STOP_TIMEOUT_S = 5,   /* from SIGTERM to SIGKILL */
	RESPAWN_MAX = 5,      /* deaths within RESPAWN_WINDOW_S until a program is given up */
	RESPAWN_WINDOW_S = 10,
	CLIENTS_MAX = 8
};
#define SECOND 1000000000ull

struct running {
	enum state state;
	pid_t pid;
	int ready;        /* read end of its stdout while STARTING, else -1 */
	uint64_t since;   /* ns: of the spawn */
	uint64_t respawn; /* ns: when to start it again; 0: not */
	unsigned deaths;  /* in the window */
	uint64_t window;  /* ns: its begin */
	bool held;        /* stopped by command: not started again */
	bool given_up;    /* it ended again and again */
	bool restarting;  /* stopped by command: started again at once */
	uint64_t kill_at; /* ns: when SIGKILL follows the SIGTERM of a command; 0: none was sent */
	unsigned ends;    /* how often it has ended */
	char last_end[LAST_END_LEN]; /* why it ended the last time */
};

enum { SILENT = -1, DOWN = -2 };
struct client {  /* of the control socket */
	int fd;      /* -1: none */
	int program; /* whose serving, or end, it waits for; SILENT: it has not said; DOWN: for all */
};

struct supervisor {
	struct cluster *cluster;
	struct network network;
	struct running running[PROGRAMS_MAX];
	struct client clients[CLIENTS_MAX];
	int signals, control, report;
	int wave; /* programs of waves up to this one may run */
	bool up;  /* all have served once */
	bool stopping;
	char why[256]; /* the first failure */
};

/* ------------------------------------------------------------------ programs */

/* In the child: into the node's namespace, its log as stderr, the pipe as stdout. */
static _Noreturn void become(const struct supervisor *s, unsigned i, int out, pid_t parent)
{
	const struct program *program = &s->cluster->programs[i];
	const struct cluster *cluster = s->cluster;
	const char *argv[24];
	char text[PATH_LEN * 2], path[PATH_LEN * 2], log[PATH_LEN * 2];
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	setsid();
	format(log, sizeof log, "%s/%s/%s.log", cluster->dir, program->node, program->name);
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0)
		dup2(fd, STDERR_FILENO);
	dup2(out, STDOUT_FILENO);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	dup2(null, STDIN_FILENO);
	for (unsigned n = 0; n < cluster->node_count; n++) {
		if (strcmp(cluster->nodes[n].name, program->node) != 0)
			continue;
		setenv("FRACTOS_SOCKET", cluster->nodes[n].socket, 1);
		if (cluster->netns && setns(s->network.nodes[n], CLONE_NEWNET) != 0)
			_exit(126);
	}
	program_argv(cluster, program, argv, text, sizeof text);
	if (program_path(program->file, path, sizeof path))
		execv(path, (char *const *)(uintptr_t)argv);
	fprintf(stderr, "fractos: cannot run %s: %s\n", program->file, strerror(errno));
	_exit(127);
}

static void say(struct supervisor *s, const char *line)
{
	if (s->report >= 0)
		dprintf(s->report, "%s\n", line);
}

static void fail(struct supervisor *s, const char *why)
{
	char line[320];
	if (s->why[0] == 0)
		format(s->why, sizeof s->why, "%s", why);
	if (!s->up) {
		format(line, sizeof line, "failed: %s", why);
		say(s, line);
		s->stopping = true;
	}
}

/* The machine is short of something: that passes, so try again; not while the cluster comes up. */
static void start_later(struct supervisor *s, struct running *r, const char *why)
{
	fail(s, why);
	format(r->last_end, sizeof r->last_end, "it could not be started: %s", why);
	r->respawn = clock_ns() + SECOND;
}

static void start_program(struct supervisor *s, unsigned i)
{
	struct running *r = &s->running[i];
	int out[2];
	pid_t self = getpid();

	r->respawn = 0;
	r->held = false;
	r->given_up = false;
	if (r->state != OFF)
		return;
	if (pipe2(out, O_CLOEXEC) != 0) {
		start_later(s, r, "no descriptors left");
		return;
	}
	r->pid = fork();
	if (r->pid == 0)
		become(s, i, out[1], self);
	close(out[1]);
	if (r->pid < 0) {
		close(out[0]);
		start_later(s, r, "cannot fork");
		return;
	}
	r->ready = out[0];
	r->state = STARTING;
	r->since = clock_ns();
}

/* The last line of a program's log, to be shown where it did not come up. */
static void last_line(const struct supervisor *s, unsigned i, char *out, size_t size)
{
	char path[PATH_LEN * 2], line[256];
	out[0] = 0;
	format(path, sizeof path, "%s/%s/%s.log", s->cluster->dir, s->cluster->programs[i].node,
		   s->cluster->programs[i].name);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file)) {
		line[strcspn(line, "\n")] = 0;
		format(out, size, "%s", line);
	}
	if (file)
		fclose(file);
}

static void answer_waiting(struct supervisor *s, int program, const char *text)
{
	for (int c = 0; c < CLIENTS_MAX; c++) {
		struct client *client = &s->clients[c];
		if (client->fd >= 0 && client->program == program) {
			dprintf(client->fd, "%s\n", text);
			close(client->fd);
			client->fd = -1;
		}
	}
}

/* Keeps, for people, why a program ended. */
static void note_end(struct supervisor *s, unsigned i, int status)
{
	struct running *r = &s->running[i];
	char line[160];

	r->ends++;
	if (r->held || r->restarting) {
		format(r->last_end, sizeof r->last_end, "%s by command", r->held ? "stopped" : "restarted");
	} else if (WIFSIGNALED(status)) {
		format(r->last_end, sizeof r->last_end, "signal %d, %s", WTERMSIG(status),
			   strsignal(WTERMSIG(status)));
	} else {
		last_line(s, i, line, sizeof line);
		format(r->last_end, sizeof r->last_end, "status %d%s%s", WEXITSTATUS(status),
			   line[0] ? ", " : "", line);
	}
}

/* A program nobody asked to end has ended: says so, and decides whether it starts again. */
static void program_died(struct supervisor *s, unsigned i, enum state before)
{
	struct running *r = &s->running[i];
	const uint64_t now = clock_ns();
	char why[LAST_END_LEN + 128], line[sizeof why + 16];

	format(why, sizeof why, "%s on node %s %s (%s)", s->cluster->programs[i].file,
		   s->cluster->programs[i].node, before == STARTING ? "did not start" : "ended",
		   r->last_end);
	if (before == STARTING && !s->up) {
		fail(s, why);
		return;
	}
	say(s, why);
	if (!s->cluster->respawn) {
		format(line, sizeof line, "failed: %s", why);
		answer_waiting(s, (int)i, line);
		return;
	}
	if (now - r->window > RESPAWN_WINDOW_S * SECOND) {
		r->window = now;
		r->deaths = 0;
	}
	if (++r->deaths > RESPAWN_MAX) {
		r->given_up = true;
		format(line, sizeof line, "failed: given up after %u ends in a row: %s", r->deaths, why);
		say(s, line);
		answer_waiting(s, (int)i, line);
		return;
	}
	/* At once the first time, then with growing distance. */
	r->respawn = now + (r->deaths - 1) * (SECOND / 5);
}

static void program_ended(struct supervisor *s, unsigned i, int status)
{
	struct running *r = &s->running[i];
	const enum state before = r->state;

	if (r->ready >= 0)
		close(r->ready);
	r->ready = -1;
	r->state = OFF;
	r->kill_at = 0;
	note_end(s, i, status);
	if (s->stopping)
		return;
	if (r->held) {
		answer_waiting(s, (int)i, "ok");
	} else if (r->restarting) {
		r->restarting = false;
		r->respawn = clock_ns();
	} else {
		program_died(s, i, before);
	}
}

/* Whether what program i needs on its way up is serving: all of the waves before it on its node,
 * and at the first start all waves before it anywhere. */
static bool may_start(const struct supervisor *s, unsigned i)
{
	for (unsigned p = 0; p < s->cluster->program_count; p++) {
		if (s->cluster->programs[p].wave >= s->cluster->programs[i].wave ||
			s->running[p].state == SERVING)
			continue;
		if (!s->up || !strcmp(s->cluster->programs[p].node, s->cluster->programs[i].node))
			return false;
	}
	return true;
}

static void start_what_may(struct supervisor *s)
{
	uint64_t now = clock_ns();
	for (unsigned i = 0; i < s->cluster->program_count; i++) {
		struct running *r = &s->running[i];
		if (r->state == OFF && r->respawn != 0 && r->respawn <= now && may_start(s, i))
			start_program(s, i);
	}
}

/* From here on nobody watches: what is to be said goes to a log of the supervisor's own, and the
 * caller's descriptors are let go, so that `fractos up | ...` ends. */
static void let_go(struct supervisor *s)
{
	char path[PATH_LEN * 2];
	format(path, sizeof path, "%s/supervisor.log", s->cluster->dir);
	int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log < 0)
		log = open("/dev/null", O_WRONLY | O_CLOEXEC);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	close(s->report);
	s->report = log;
}

static void program_ready(struct supervisor *s, unsigned i)
{
	char text[64];
	struct running *r = &s->running[i];
	ssize_t n = read(r->ready, text, sizeof text - 1);

	if (n <= 0) {
		if (n == 0 || errno != EINTR) {
			close(r->ready); /* it closed its stdout or ended; SIGCHLD says the rest */
			r->ready = -1;
		}
		return;
	}
	text[n] = 0;
	if (!strstr(text, "ready"))
		return;
	close(r->ready);
	r->ready = -1;
	r->state = SERVING;
	answer_waiting(s, (int)i, "ok");
	unsigned serving = 0;
	for (unsigned p = 0; p < s->cluster->program_count; p++)
		serving += s->running[p].state == SERVING;
	if (!s->up) {
		format(text, sizeof text, "started %u of %u", serving, s->cluster->program_count);
		say(s, text);
		if (serving == s->cluster->program_count) {
			s->up = true;
			say(s, "up");
			let_go(s);
		}
	}
}

static void reap(struct supervisor *s)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (unsigned i = 0; i < s->cluster->program_count; i++)
			if (s->running[i].state != OFF && s->running[i].pid == pid)
				program_ended(s, i, status);
}

/* ------------------------------------------------------------------ control socket */

static int find_program(const struct supervisor *s, const char *name)
{
	for (unsigned i = 0; i < s->cluster->program_count; i++) {
		size_t n = strlen(s->cluster->programs[i].node);
		if (!strncmp(name, s->cluster->programs[i].node, n) && name[n] == '/' &&
			!strcmp(name + n + 1, s->cluster->programs[i].name))
			return (int)i;
	}
	return -1;
}

/* One packet: "ok", then NODE=PATH of each node's namespace. */
static void list_namespaces(struct supervisor *s, int fd)
{
	char line[1024];
	size_t used = 2;

	format(line, sizeof line, "ok");
	for (unsigned i = 0; i < s->cluster->node_count && s->cluster->netns; i++) {
		format(line + used, sizeof line - used, " %s=/proc/%d/fd/%d", s->cluster->nodes[i].name,
			   (int)getpid(), s->network.nodes[i]);
		used += strlen(line + used);
	}
	dprintf(fd, "%s\n", line);
}

static enum program_state state_of(const struct running *r)
{
	if (r->state != OFF && r->kill_at != 0)
		return PROGRAM_STOPPING;
	if (r->state != OFF)
		return r->state == SERVING ? PROGRAM_SERVING : PROGRAM_STARTING;
	if (r->held)
		return PROGRAM_STOPPED;
	if (r->given_up)
		return PROGRAM_GIVEN_UP;
	return r->respawn != 0 ? PROGRAM_WAITING : PROGRAM_DEAD;
}

/* One packet: "ok", then a line for each program; see take_program(). */
static void list_programs(const struct supervisor *s, int fd)
{
	char text[PROGRAMS_ANSWER_LEN];
	size_t used = 3;

	format(text, sizeof text, "ok\n");
	for (unsigned i = 0; i < s->cluster->program_count; i++) {
		const struct running *r = &s->running[i];
		format(text + used, sizeof text - used, "%s/%s %s %d %u %s\n", s->cluster->programs[i].node,
			   s->cluster->programs[i].name, program_state_name(state_of(r)),
			   r->state == OFF ? 0 : (int)r->pid, r->ends, r->last_end);
		used += strlen(text + used);
	}
	send(fd, text, used, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The program that i needs on its node and that does not come by itself, -1: none. */
static int missing_below(const struct supervisor *s, int i)
{
	for (unsigned p = 0; p < s->cluster->program_count; p++) {
		const enum program_state state = state_of(&s->running[p]);
		if (s->cluster->programs[p].wave < s->cluster->programs[i].wave &&
			!strcmp(s->cluster->programs[p].node, s->cluster->programs[i].node) &&
			(state == PROGRAM_STOPPED || state == PROGRAM_GIVEN_UP || state == PROGRAM_DEAD))
			return (int)p;
	}
	return -1;
}

/* Handles one command; true: answered, the connection can be closed. */
static bool obey(struct supervisor *s, struct client *client, const char *command)
{
	char verb[16] = "", name[64] = "";
	if (sscanf(command, "%15s %63s", verb, name) < 1)
		return true;
	if (!strcmp(verb, "namespaces")) {
		list_namespaces(s, client->fd);
		return true;
	}
	if (!strcmp(verb, "programs")) {
		list_programs(s, client->fd);
		return true;
	}
	if (!strcmp(verb, "down")) {
		s->stopping = true;
		client->program = DOWN; /* answered when everything is gone */
		return false;
	}
	int i = find_program(s, name);
	if (i < 0) {
		dprintf(client->fd, "failed: no program \"%s\"; say NODE/PROGRAM, as in gpu/gpu\n", name);
		return true;
	}
	struct running *r = &s->running[i];
	bool stop = !strcmp(verb, "stop"), start = !strcmp(verb, "start");
	if (!stop && !start && strcmp(verb, "restart") != 0) {
		dprintf(client->fd, "failed: no command \"%s\"\n", verb);
		return true;
	}
	const int below = stop ? -1 : missing_below(s, i);
	if (below >= 0) {
		dprintf(client->fd, "failed: %s/%s is %s; start it first\n",
				s->cluster->programs[below].node, s->cluster->programs[below].name,
				program_state_name(state_of(&s->running[below])));
		return true;
	}
	if ((stop && r->state == OFF) || (start && r->state == SERVING && r->kill_at == 0)) {
		r->held = stop;
		r->respawn = 0;
		dprintf(client->fd, "ok\n");
		return true;
	}
	/* A program that is on its way down after all goes up again when it has ended. */
	r->restarting = !stop && r->state != OFF && (!start || r->kill_at != 0);
	r->held = stop;
	if (r->state == OFF)
		r->respawn = 1;
	else if ((stop || !start) && r->kill_at == 0) {
		r->kill_at = clock_ns() + STOP_TIMEOUT_S * SECOND;
		kill(r->pid, SIGTERM);
	}
	r->deaths = 0;
	client->program = i; /* answered when it serves, or has ended */
	return false;
}

/* A free place, else that of one who has said nothing yet; NULL: all wait for an answer. */
static struct client *client_place(struct supervisor *s)
{
	struct client *silent = NULL;
	for (unsigned c = 0; c < CLIENTS_MAX; c++) {
		struct client *client = &s->clients[c];
		if (client->fd < 0)
			return client;
		if (client->program == SILENT)
			silent = client;
	}
	if (silent)
		close(silent->fd);
	return silent;
}

static void accept_client(struct supervisor *s)
{
	int fd = accept4(s->control, NULL, NULL, SOCK_CLOEXEC);
	struct client *client = fd >= 0 ? client_place(s) : NULL;
	if (client)
		*client = (struct client){.fd = fd, .program = SILENT};
	else if (fd >= 0)
		close(fd);
}

/* It says what it wants, or leaves. */
static void hear_client(struct supervisor *s, struct client *client)
{
	char command[128];
	ssize_t n = recv(client->fd, command, sizeof command - 1, MSG_DONTWAIT);
	if (n > 0 && client->program == SILENT) {
		command[n] = 0;
		if (!obey(s, client, command))
			return;
	}
	close(client->fd);
	client->fd = -1;
}

static int open_control(const struct cluster *cluster)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	format(address.sun_path, sizeof address.sun_path, "%.90s/control", cluster->dir);
	unlink(address.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
		listen(fd, 8) != 0) {
		complain("cannot listen at %s: %s", address.sun_path, strerror(errno));
		return -1;
	}
	return fd;
}

/* ------------------------------------------------------------------ the loop and the end */

enum { FD_SIGNALS, FD_CONTROL, FD_CLIENTS, FD_PROGRAMS = FD_CLIENTS + CLIENTS_MAX };

/* One turn: waits for a signal, a command, a "ready", a death or a time. */
static void turn(struct supervisor *s)
{
	struct pollfd fds[FD_PROGRAMS + PROGRAMS_MAX];
	uint64_t now = clock_ns(), next = UINT64_MAX;

	fds[FD_SIGNALS] = (struct pollfd){.fd = s->signals, .events = POLLIN};
	fds[FD_CONTROL] = (struct pollfd){.fd = s->control, .events = POLLIN};
	for (unsigned c = 0; c < CLIENTS_MAX; c++)
		fds[FD_CLIENTS + c] = (struct pollfd){.fd = s->clients[c].fd, .events = POLLIN};
	for (unsigned i = 0; i < s->cluster->program_count; i++) {
		struct running *r = &s->running[i];
		fds[FD_PROGRAMS + i] = (struct pollfd){.fd = r->ready, .events = POLLIN};
		if (r->ready >= 0) {
			next = next < r->since + READY_TIMEOUT_S * SECOND ? next
															  : r->since + READY_TIMEOUT_S * SECOND;
		}
		if (r->state == OFF && r->respawn > now && r->respawn < next)
			next = r->respawn;
		if (r->kill_at != 0 && r->kill_at < next)
			next = r->kill_at;
	}
	int timeout = next == UINT64_MAX ? -1 : next <= now ? 0 : (int)((next - now) / 1000000) + 1;
	if (poll(fds, FD_PROGRAMS + s->cluster->program_count, timeout) < 0)
		return;
	for (unsigned c = 0; c < CLIENTS_MAX; c++)
		if (fds[FD_CLIENTS + c].revents)
			hear_client(s, &s->clients[c]);
	for (unsigned i = 0; i < s->cluster->program_count; i++)
		if (fds[FD_PROGRAMS + i].revents)
			program_ready(s, i);
	if (fds[FD_SIGNALS].revents) {
		struct signalfd_siginfo info;
		if (read(s->signals, &info, sizeof info) == sizeof info && info.ssi_signo != SIGCHLD)
			s->stopping = true;
		reap(s);
	}
	if (fds[FD_CONTROL].revents)
		accept_client(s);
	now = clock_ns();
	for (unsigned i = 0; i < s->cluster->program_count; i++) {
		struct running *r = &s->running[i];
		bool late = r->ready >= 0 && now - r->since >= READY_TIMEOUT_S * SECOND;
		if (late || (r->kill_at != 0 && now >= r->kill_at)) {
			kill(r->pid, SIGKILL);
			r->kill_at = 0;
		}
	}
}

/* Stops the programs in the reverse order of the waves; SIGKILL for what does not obey. */
static void stop_all(struct supervisor *s)
{
	for (int wave = 8; wave >= 0; wave--) {
		uint64_t end = clock_ns() + STOP_TIMEOUT_S * SECOND;
		unsigned left = 1;
		for (unsigned i = 0; i < s->cluster->program_count; i++)
			if (s->cluster->programs[i].wave == wave && s->running[i].state != OFF)
				kill(s->running[i].pid, SIGTERM);
		while (left > 0) {
			struct pollfd signals = {.fd = s->signals, .events = POLLIN};
			struct signalfd_siginfo info;
			reap(s);
			left = 0;
			for (unsigned i = 0; i < s->cluster->program_count; i++) {
				if (s->cluster->programs[i].wave != wave || s->running[i].state == OFF)
					continue;
				left++;
				if (clock_ns() >= end)
					kill(s->running[i].pid, SIGKILL);
			}
			if (left > 0 && poll(&signals, 1, 100) > 0)
				(void)!read(s->signals, &info, sizeof info);
		}
	}
}

int supervise(struct cluster *cluster, int report)
{
	struct supervisor s = {.cluster = cluster, .report = report, .control = -1};
	sigset_t mask;

	for (unsigned i = 0; i < PROGRAMS_MAX; i++)
		s.running[i].ready = -1;
	for (unsigned c = 0; c < CLIENTS_MAX; c++)
		s.clients[c].fd = -1;
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	s.signals = signalfd(-1, &mask, SFD_CLOEXEC);
	int lock = cluster_lock(cluster);
	if (lock < 0) {
		say(&s, "failed: the cluster could not be set up");
		return 1;
	}
	int cache = -1;
	if (!cluster_create(cluster) || (cache = cache_open(cluster)) < 0 ||
		(s.control = open_control(cluster)) < 0 ||
		(cluster->netns && !network_create(cluster, &s.network))) {
		say(&s, "failed: the cluster could not be set up");
		cluster_remove(cluster);
		if (cache >= 0)
			cache_close(cache);
		return 1;
	}
	for (unsigned i = 0; i < cluster->program_count; i++)
		s.running[i].respawn = 1;
	while (!s.stopping) {
		start_what_may(&s);
		turn(&s);
	}
	stop_all(&s);
	cache_close(cache);
	cluster_remove(cluster);
	/* Who waits for that sees our end too: by then the connection ends. */
	for (unsigned c = 0; c < CLIENTS_MAX; c++)
		if (s.clients[c].fd >= 0 && s.clients[c].program == DOWN)
			dprintf(s.clients[c].fd, "ok\n");
	return s.why[0] ? 1 : 0;
}
