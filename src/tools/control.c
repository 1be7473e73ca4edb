/* A cluster seen from outside its supervisor: starting one, asking it, giving it commands. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools.h"

static int control_connect(const struct cluster *cluster)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	format(address.sun_path, sizeof address.sun_path, "%.90s/control", cluster->dir);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

bool cluster_alive(const struct cluster *cluster)
{
	int fd = control_connect(cluster);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

bool control(const struct cluster *cluster, const char *command, char *answer, size_t answer_size)
{
	int fd = control_connect(cluster);
	if (fd < 0)
		return false;
	ssize_t n = send(fd, command, strlen(command), MSG_NOSIGNAL);
	if (n > 0)
		n = recv(fd, answer, answer_size - 1, 0);
	char end;
	if (n > 0) /* behind the answer to "down" the supervisor ends, and with it the connection */
		(void)!recv(fd, &end, 1, 0);
	close(fd);
	answer[n > 0 ? n : 0] = 0;
	if (n > 0 && answer[n - 1] == '\n')
		answer[n - 1] = 0;
	if (n <= 0)
		format(answer, answer_size, "failed: the supervisor ended before it answered");
	return true;
}

/* ------------------------------------------------------------------ its programs */

static const char *const states[] = {
#define STATE_NAME(name, text) text,
	PROGRAM_STATES(STATE_NAME)
#undef STATE_NAME
};

const char *program_state_name(enum program_state state)
{
	return states[state];
}

/* One line of the answer: NODE/PROGRAM STATE PID ENDS REASON... */
static void take_program(const struct cluster *cluster, const char *line,
						 struct program_report out[PROGRAMS_MAX])
{
	struct program_report report = {.state = PROGRAM_DEAD};
	char name[2 * NAME_LEN + 2], state[16], full[2 * NAME_LEN + 2];
	int pid, at = 0;

	if (sscanf(line, "%65s %15s %d %u %n", name, state, &pid, &report.ends, &at) < 4 || at == 0)
		return;
	report.pid = (pid_t)pid;
	format(report.last_end, sizeof report.last_end, "%s", line + at);
	for (unsigned i = 0; i < sizeof states / sizeof states[0]; i++)
		if (!strcmp(states[i], state))
			report.state = (enum program_state)i;
	for (unsigned i = 0; i < cluster->program_count; i++) {
		format(full, sizeof full, "%s/%s", cluster->programs[i].node, cluster->programs[i].name);
		if (!strcmp(full, name))
			out[i] = report;
	}
}

bool cluster_programs(const struct cluster *cluster, struct program_report out[PROGRAMS_MAX])
{
	char answer[PROGRAMS_ANSWER_LEN];

	for (unsigned i = 0; i < PROGRAMS_MAX; i++)
		out[i] = (struct program_report){.state = PROGRAM_DEAD, .last_end = "not known"};
	if (!control(cluster, "programs", answer, sizeof answer) || strncmp(answer, "ok", 2) != 0)
		return false;
	for (char *rest = NULL, *line = strtok_r(answer, "\n", &rest); line;
		 line = strtok_r(NULL, "\n", &rest))
		take_program(cluster, line, out);
	return true;
}

bool program_fine(const struct program_report *report)
{
	return report->state == PROGRAM_SERVING || report->state == PROGRAM_STOPPED;
}

void program_advice(const struct cluster *cluster, const struct program *program,
					const struct program_report *report, char *out, size_t size)
{
	char other[NAME_LEN + 16] = "";

	out[0] = 0;
	if (strcmp(cluster->name, DEFAULT_CLUSTER) != 0)
		format(other, sizeof other, " --cluster %s", cluster->name);
	if (report->state == PROGRAM_STOPPED)
		format(out, size, "`fractos start %s/%s%s` starts it", program->node, program->name, other);
	else if (report->state == PROGRAM_GIVEN_UP || report->state == PROGRAM_DEAD)
		format(out, size, "see %s/%s/%s.log, then `fractos start %s/%s%s`", cluster->dir,
			   program->node, program->name, program->node, program->name, other);
	else if (report->state == PROGRAM_UNLISTED)
		format(out, size, "nobody finds it: asking the registry for it ends with %s",
			   fos_status_name(report->found));
}

void tell_what_is_missing(const struct cluster *cluster, bool stays)
{
	struct program_report reports[PROGRAMS_MAX];
	char advice[PATH_LEN + 160];

	if (!cluster_programs(cluster, reports)) {
		complain("the supervisor of the cluster \"%s\" is gone", cluster->name);
		return;
	}
	for (unsigned i = 0; i < cluster->program_count; i++) {
		const struct program_report *r = &reports[i];
		if (r->state == PROGRAM_SERVING)
			continue;
		program_advice(cluster, &cluster->programs[i], r, advice, sizeof advice);
		complain("%s/%s is %s%s%s%s%s%s", cluster->programs[i].node, cluster->programs[i].name,
				 program_state_name(r->state), r->last_end[0] ? " (" : "", r->last_end,
				 r->last_end[0] ? ")" : "", stays && advice[0] ? ": " : "", stays ? advice : "");
	}
}

/* ------------------------------------------------------------------ starting one */

/* Reads the supervisor's progress until it is up; prints it where people watch. */
static bool follow(int report, bool quiet)
{
	FILE *lines = fdopen(report, "r");
	char line[400];
	bool up = false, tty = isatty(STDERR_FILENO) && !quiet;

	while (lines && !up && fgets(line, sizeof line, lines)) {
		line[strcspn(line, "\n")] = 0;
		if (!strcmp(line, "up"))
			up = true;
		else if (!strncmp(line, "failed: ", 8))
			complain("%s", line + 8);
		else if (tty)
			fprintf(stderr, "\r\033[Kcluster: %s", line);
	}
	if (tty)
		fprintf(stderr, "\r\033[K");
	if (lines)
		fclose(lines);
	return up;
}

pid_t cluster_start(struct cluster *cluster, bool tied, bool quiet)
{
	int report[2], status;
	pid_t parent = getpid();

	if (cluster_alive(cluster)) {
		complain("the cluster \"%s\" is up already", cluster->name);
		return -1;
	}
	if (pipe2(report, O_CLOEXEC) != 0)
		return -1;
	pid_t child = fork();
	if (child == 0) {
		close(report[0]);
		setsid();
		if (tied) {
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			if (getppid() != parent)
				_exit(1);
		} else {
			int null = open("/dev/null", O_RDWR | O_CLOEXEC);
			dup2(null, STDIN_FILENO);
			dup2(null, STDOUT_FILENO);
		}
		_exit(supervise(cluster, report[1]));
	}
	close(report[1]);
	if (child > 0 && follow(report[0], quiet))
		return child;
	if (child > 0)
		waitpid(child, &status, 0);
	return -1;
}
