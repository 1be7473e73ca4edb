/* The network of a cluster: each node a namespace with one interface (eth0), all of them on one
 * bridge in a namespace of its own. Nothing appears in the machine's own network, so that two
 * clusters can use the same addresses; the kernel counts what crosses each node's interface. The
 * namespaces have no names: they live as long as the supervisor holds their descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools.h"

/* A new network namespace's descriptor, made in a child so that ours stays. */
static int make_namespace(void)
{
	int down[2], fd = -1, status;
	char path[64];
	uint8_t byte = 0;

	if (pipe2(down, O_CLOEXEC) != 0)
		return -1;
	int up[2];
	if (pipe2(up, O_CLOEXEC) != 0) {
		close(down[0]);
		close(down[1]);
		return -1;
	}
	pid_t child = fork();
	if (child == 0) {
		close(down[1]);
		byte = unshare(CLONE_NEWNET) == 0 ? 0 : (uint8_t)errno; /* below 256 */
		if (write(up[1], &byte, 1) == 1)
			(void)!read(down[0], &byte, 1);
		_exit(0);
	}
	close(up[1]);
	if (child > 0 && read(up[0], &byte, 1) == 1) {
		errno = byte;
		if (byte == 0) {
			format(path, sizeof path, "/proc/%d/ns/net", (int)child);
			fd = open(path, O_RDONLY | O_CLOEXEC);
		}
	}
	int error = errno;
	close(up[0]);
	close(down[0]);
	close(down[1]);
	if (child > 0)
		waitpid(child, &status, 0);
	errno = error;
	return fd;
}

/* Runs `tool -batch -` (ip or tc) inside a namespace with the given lines as input. */
static bool batch(const char *tool, int namespace, const char *lines)
{
	int in[2], status = -1;
	if (pipe(in) != 0)
		return false;
	pid_t child = fork();
	if (child == 0) {
		dup2(in[0], STDIN_FILENO);
		close(in[0]);
		close(in[1]);
		if (setns(namespace, CLONE_NEWNET) == 0)
			execlp(tool, tool, "-batch", "-", (char *)NULL);
		fprintf(stderr, "fractos: cannot run %s: %s (package iproute2)\n", tool, strerror(errno));
		_exit(127);
	}
	close(in[0]);
	size_t len = strlen(lines);
	bool ok = child > 0 && write(in[1], lines, len) == (ssize_t)len;
	close(in[1]);
	if (child > 0)
		waitpid(child, &status, 0);
	return ok && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* One node's cable: a veth pair between the bridge and the node, and the node's address. */
static bool plug(const struct node *node, const struct network *network, unsigned i)
{
	char lines[1024];
	format(lines, sizeof lines,
		   "link add name port%u type veth peer name eth0 netns /proc/%d/fd/%d\n"
		   "link set port%u addrgenmode none\nlink set port%u master br0\nlink set port%u up\n",
		   i, (int)getpid(), network->nodes[i], i, i, i);
	if (!batch("ip", network->fabric, lines))
		return false;
	format(lines, sizeof lines,
		   "link set lo up\nlink set eth0 addrgenmode none\naddress add %s/24 dev eth0\nlink set "
		   "eth0 up\n",
		   node->address);
	return batch("ip", network->nodes[i], lines);
}

/* Shapes both directions of a node's link: what it sends, and what the bridge sends to it. */
static bool shape(const struct network *network, unsigned i, uint64_t rate)
{
	char lines[512];
	/* A burst of what the link carries in 200 us, at least one offloaded segment of 64 KiB. */
	uint64_t burst = rate / 8 / 5000 < 131072 ? 131072 : rate / 8 / 5000;
	format(lines, sizeof lines,
		   "qdisc add dev eth0 root tbf rate %llubit burst %llub latency 50ms\n",
		   (unsigned long long)rate, (unsigned long long)burst);
	if (!batch("tc", network->nodes[i], lines))
		return false;
	format(lines, sizeof lines,
		   "qdisc add dev port%u root tbf rate %llubit burst %llub latency 50ms\n", i,
		   (unsigned long long)rate, (unsigned long long)burst);
	return batch("tc", network->fabric, lines);
}

bool network_create(const struct cluster *cluster, struct network *out)
{
	out->fabric = make_namespace();
	bool ok = out->fabric >= 0;
	for (unsigned i = 0; i < cluster->node_count && ok; i++)
		ok = (out->nodes[i] = make_namespace()) >= 0;
	if (!ok) {
		complain("cannot make a network namespace: %s; --no-netns uses loopback ports instead",
				 strerror(errno));
		return false;
	}
	ok = batch("ip", out->fabric,
			   "link add name br0 type bridge\nlink set br0 addrgenmode none\nlink set br0 up\n");
	for (unsigned i = 0; i < cluster->node_count && ok; i++)
		ok = plug(&cluster->nodes[i], out, i) &&
			 (cluster->rate == 0 || shape(out, i, cluster->rate));
	if (!ok)
		complain("cannot set up the nodes' network; --no-netns uses loopback ports instead");
	return ok;
}
