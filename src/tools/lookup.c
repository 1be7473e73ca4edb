/* Whether what a cluster's programs serve can be found: the registry is asked for their names, as
 * anybody would ask, at its own node, where no link is in between. A child process asks, since
 * whoever does not answer may hold it for as long as he likes; the time is the parent's. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fractos/registry.h>

#include "tools.h"

static const uint64_t LOOKUP_TIME = 5000000000; /* ns, for all names; idle machines need 0.01 s */

static bool is_registry(const struct program *program)
{
	return !strcmp(program->name, "registry");
}

/* What is asked for: the registry itself, and the names of those that publish one. */
static bool is_asked(const struct program *program, const struct program_report *report)
{
	return report->state == PROGRAM_SERVING && strcmp(program->name, "fractosd") != 0;
}

static fos_status look_up(fos_channel *ch, const struct program *program)
{
	fos_cap cap;
	fos_status status = fos_registry_get(ch, 0, &cap);
	if (status == FOS_OK && !is_registry(program))
		status = fos_registry_lookup(ch, program->name, &cap);
	return status;
}

/* The child: one byte for each program that is asked for, in their order. */
static void ask(const struct cluster *cluster, const struct program_report *reports,
				const char *socket, int out)
{
	fos_process *process = NULL;
	fos_channel *ch = NULL;
	fos_status attached =
		fos_attach(&(fos_attach_options){.socket = socket, .label = "status"}, &process);
	if (attached == FOS_OK)
		attached = fos_channel_open(process, &ch);
	for (unsigned i = 0; i < cluster->program_count; i++) {
		if (!is_asked(&cluster->programs[i], &reports[i]))
			continue;
		unsigned char status = (unsigned char)attached;
		if (attached == FOS_OK)
			status = (unsigned char)look_up(ch, &cluster->programs[i]);
		if (write(out, &status, 1) != 1)
			break;
	}
	if (process)
		fos_detach(process);
}

/* As many bytes as come in time. */
static unsigned take_answers(int in, unsigned char *out, unsigned room)
{
	const uint64_t end = clock_ns() + LOOKUP_TIME;
	unsigned count = 0;
	for (uint64_t now; count < room && (now = clock_ns()) < end;) {
		struct pollfd readable = {.fd = in, .events = POLLIN};
		if (poll(&readable, 1, (int)((end - now) / 1000000) + 1) <= 0)
			continue; /* a signal; or the time is over */
		ssize_t got = read(in, out + count, room - count);
		if (got <= 0)
			break;
		count += (unsigned)got;
	}
	return count;
}

pid_t cluster_look_up(const struct cluster *cluster, struct program_report reports[PROGRAMS_MAX])
{
	unsigned char answers[PROGRAMS_MAX];
	unsigned asked = 0, at = 0;
	const struct node *node = NULL;
	int ends[2];

	for (unsigned i = 0; i < cluster->program_count; i++) {
		asked += is_asked(&cluster->programs[i], &reports[i]);
		if (is_registry(&cluster->programs[i]))
			node = cluster_node(cluster, cluster->programs[i].node);
	}
	memset(answers, FOS_TIMED_OUT, sizeof answers);
	if (asked == 0 || !node || pipe2(ends, O_CLOEXEC) != 0)
		return 0;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		ask(cluster, reports, node->socket, ends[1]);
		_exit(0);
	}
	close(ends[1]);
	if (pid > 0) {
		if (take_answers(ends[0], answers, asked) < asked)
			kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	close(ends[0]);
	for (unsigned i = 0; i < cluster->program_count; i++) {
		if (!is_asked(&cluster->programs[i], &reports[i]))
			continue;
		reports[i].found = (fos_status)answers[at++];
		if (reports[i].found != FOS_OK)
			reports[i].state = PROGRAM_UNLISTED;
	}
	return pid;
}
