/* Clusters and a raw client for the tests of fractosd; see harness.h. */
#include "controller/harness.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/yield.h"

enum { PATIENCE_MS = 60000 }; /* longer than any machine is busy */

uint64_t harness_stretch(uint64_t time)
{
	const char *factor = getenv("FRACTOS_STRETCH");
	return factor != NULL ? (uint64_t)((double)time * strtod(factor, NULL)) : time;
}

static uint64_t now_ms(void)
{
	return base_clock() / 1000000;
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* ------------------------------------------------------------------ scratch directories
 * All that a program makes is below one directory. A test that failed has jumped over
 * scratch_remove(): what it made goes when the program ends (its daemons by PR_SET_PDEATHSIG). What
 * a killed program left, the next one removes: the directory is locked as long as its maker lives.
 */

static char root[32];    /* empty: none */
static int root_lock;    /* the directory itself */
static pid_t root_maker; /* forked children inherit the name, not the duty */

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	return remove(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void remove_root(void)
{
	if (root_maker == getpid() && root[0] != 0)
		remove_tree(root);
}

static void remove_abandoned(void)
{
	char path[CLUSTER_PATH_MAX];
	DIR *dir = opendir("/tmp");
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		struct stat status;
		if (strncmp(entry->d_name, "fractosd-scratch-", strlen("fractosd-scratch-")) != 0 ||
			strlen(entry->d_name) > sizeof path - sizeof "/tmp/")
			continue;
		snprintf(path, sizeof path, "/tmp/%.200s", entry->d_name);
		int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (fstat(fd, &status) == 0 && status.st_uid == geteuid() &&
			flock(fd, LOCK_EX | LOCK_NB) == 0)
			remove_tree(path);
		close(fd);
	}
	closedir(dir);
}

/* False: somebody took it for abandoned before it was locked. */
static bool make_locked_root(void)
{
	struct stat held, named;
	snprintf(root, sizeof root, "/tmp/fractosd-scratch-XXXXXX");
	assert_non_null(mkdtemp(root));
	root_lock = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root_lock < 0 && errno == ENOENT)
		return false;
	assert_true(root_lock >= 0);
	assert_int_equal(fchmod(root_lock, 0711), 0); /* tests play other users */
	assert_int_equal(flock(root_lock, LOCK_EX), 0);
	assert_int_equal(fstat(root_lock, &held), 0);
	if (stat(root, &named) == 0 && held.st_ino == named.st_ino)
		return true;
	close(root_lock);
	return false;
}

void scratch_make(char *path, size_t size)
{
	if (root_maker != getpid()) {
		root_maker = getpid();
		root[0] = 0;
		remove_abandoned();
		assert_int_equal(atexit(remove_root), 0);
	}
	while (root[0] == 0)
		if (!make_locked_root())
			root[0] = 0;
	assert_in_range(snprintf(path, size, "%s/XXXXXX", root), 1, size - 1);
	assert_non_null(mkdtemp(path));
}

void scratch_remove(const char *path)
{
	remove_tree(path);
	if (rmdir(root) == 0) { /* that was the last one */
		close(root_lock);
		root[0] = 0;
	}
}

/* ------------------------------------------------------------------ the cluster's files */

void file_write(const char *path, const char *text, unsigned mode)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fchmod(fileno(file), mode), 0);
	assert_int_equal(fclose(file), 0);
}

/* An address of this program's own: whoever else opens ports meanwhile, a test beside this one or a
 * connection that goes out, has those of other addresses. */
static struct in_addr own_address(void)
{
	const uint32_t first = 64; /* 127.64.0.0; a pid has 22 bits */
	return (struct in_addr){htonl(UINT32_C(127) << 24 | first << 16 | (uint32_t)getpid())};
}

static void choose_ports(struct cluster *cluster)
{
	int fds[CLUSTER_NODES_MAX];
	for (int i = 0; i < cluster->node_count; i++) {
		struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = own_address()};
		socklen_t length = sizeof address;
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(fds[i], (struct sockaddr *)&address, length), 0);
		assert_int_equal(getsockname(fds[i], (struct sockaddr *)&address, &length), 0);
		cluster->ports[i] = ntohs(address.sin_port);
	}
	for (int i = 0; i < cluster->node_count; i++)
		close(fds[i]);
}

void cluster_make(struct cluster *cluster, int node_count, const char *more)
{
	char key[CLUSTER_PATH_MAX];
	*cluster = (struct cluster){.node_count = node_count};
	scratch_make(cluster->dir, sizeof cluster->dir);
	choose_ports(cluster);
	snprintf(key, sizeof key, "%s/key", cluster->dir);
	file_write(key, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", 0600);
	snprintf(cluster->file, sizeof cluster->file, "%s/cluster", cluster->dir);
	FILE *file = fopen(cluster->file, "w");
	assert_non_null(file);
	fprintf(file, "[cluster]\nname = test\nkey = %s\nregistry = n0\n", key);
	if (more == NULL || strstr(more, "failure_timeout_ms") == NULL)
		fprintf(file, "failure_timeout_ms = 20000\ndefault_time_ms = %d\n", PATIENCE_MS);
	fprintf(file, "%s\n", more != NULL ? more : "");
	for (int i = 0; i < node_count; i++)
		fprintf(file,
				"[node n%d]\nid = %d\naddress = %s\nport = %u\nsocket = %s/n%d/socket\n"
				"recorder = %s/n%d/recorder\n",
				i, i + 1, inet_ntoa(own_address()), cluster->ports[i], cluster->dir, i,
				cluster->dir, i);
	assert_int_equal(fclose(file), 0);
}

/* ------------------------------------------------------------------ leaks */

static void count_descriptors(pid_t pid, struct holdings *out)
{
	char path[64], target[CLUSTER_PATH_MAX];
	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	DIR *dir = opendir(path);
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		ssize_t length = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
		if (length <= 0)
			continue;
		target[length] = 0;
		out->memory += strncmp(target, "/memfd:", strlen("/memfd:")) == 0;
		out->bells += strncmp(target, "pipe:", strlen("pipe:")) == 0 ||
					  strcmp(target, "anon_inode:[eventfd]") == 0;
		out->pidfds += strcmp(target, "anon_inode:[pidfd]") == 0;
	}
	closedir(dir);
}

static void count_mappings(pid_t pid, struct holdings *out)
{
	char path[64], line[CLUSTER_PATH_MAX * 2];
	snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
	FILE *maps = fopen(path, "re");
	assert_non_null(maps);
	while (fgets(line, sizeof line, maps) != NULL)
		out->memory += strstr(line, "/memfd:") != NULL;
	fclose(maps);
}

static struct holdings look_at(const struct cluster *cluster, int node)
{
	struct holdings holdings = {0};
	const fos_recorder *recorder = cluster_recorder(cluster, node);
	for (unsigned i = 0; i < FOS_RECORDER_PROCESSES; i++)
		holdings.processes += recorder->processes[i].serial != 0;
	munmap((void *)(uintptr_t)recorder, sizeof *recorder);
	count_descriptors(cluster->pids[node], &holdings);
	count_mappings(cluster->pids[node], &holdings);
	return holdings;
}

static uint64_t core_used(const struct cluster *cluster, int node)
{
	const fos_recorder *recorder = cluster_recorder(cluster, node);
	uint64_t used = recorder->core_used;
	munmap((void *)(uintptr_t)recorder, sizeof *recorder);
	return used;
}

static bool is_empty(const struct cluster *cluster, int node, const struct holdings *now)
{
	/* A record more or less for a session that was begun anew. */
	enum { SLACK = 512 };
	return memcmp(now, &cluster->empty[node], sizeof *now) == 0 &&
		   (cluster->core[node] == 0 || core_used(cluster, node) <= cluster->core[node] + SLACK);
}

/* The Controller hears of the end of the last Processes in its own time. */
static void check_emptied(const struct cluster *cluster, int node)
{
	const struct holdings *empty = &cluster->empty[node];
	struct holdings now = look_at(cluster, node);
	for (uint64_t end = now_ms() + PATIENCE_MS; !is_empty(cluster, node, &now) && now_ms() < end;
		 pause_ms(2))
		now = look_at(cluster, node);
	if (is_empty(cluster, node, &now))
		return;
	cluster_print_log(cluster, node);
	fail_msg("n%d holds %u Processes, %u memfds, %u bells, %u pidfds and %llu bytes of tables, "
			 "not %u, %u, %u, %u and %llu",
			 node, now.processes, now.memory, now.bells, now.pidfds,
			 (unsigned long long)core_used(cluster, node), empty->processes, empty->memory,
			 empty->bells, empty->pidfds, (unsigned long long)cluster->core[node]);
}

/* The files are the tests' own; of what daemons made, directories and all, nothing may be left. */
void cluster_free(struct cluster *cluster)
{
	char left[CLUSTER_PATH_MAX] = "";
	for (int i = 0; i < cluster->node_count; i++)
		if (cluster->pids[i] != 0)
			check_emptied(cluster, i);
	for (int i = 0; i < cluster->node_count; i++)
		if (cluster->pids[i] != 0)
			assert_int_equal(cluster_end(cluster, i, SIGTERM), 0);
	DIR *dir = opendir(cluster->dir);
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		if (entry->d_type != DT_REG && strcmp(entry->d_name, ".") != 0 &&
			strcmp(entry->d_name, "..") != 0)
			snprintf(left, sizeof left, "%s", entry->d_name);
	closedir(dir);
	scratch_remove(cluster->dir);
	if (left[0] != 0)
		fail_msg("a daemon left %s in %s", left, cluster->dir);
}

const char *cluster_socket(const struct cluster *cluster, int node)
{
	static char path[CLUSTER_PATH_MAX];
	snprintf(path, sizeof path, "%s/n%d/socket", cluster->dir, node);
	return path;
}

/* ------------------------------------------------------------------ daemons */

static pid_t spawn(const struct cluster *cluster, int node, const char *file, const char *name,
				   int *out)
{
	char log[CLUSTER_PATH_MAX];
	int ends[2];
	snprintf(log, sizeof log, "%s/log%d", cluster->dir, node);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t parent = getpid();
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		int log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
		if (getppid() == parent && log_fd >= 0 && dup2(log_fd, STDERR_FILENO) >= 0 &&
			dup2(ends[1], STDOUT_FILENO) >= 0)
			execl(FRACTOSD, "fractosd", "--cluster", file, "--node", name, "--verbose",
				  (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	*out = ends[0];
	return pid;
}

static int wait_end(pid_t pid, const char *what)
{
	int status = 0;
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	assert_true(pidfd >= 0);
	struct pollfd end = {.fd = pidfd, .events = POLLIN};
	bool ended = poll(&end, 1, PATIENCE_MS) == 1;
	close(pidfd);
	if (!ended)
		kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!ended)
		fail_msg("fractosd did not end after %s", what);
	return status;
}

bool cluster_start(struct cluster *cluster, int node)
{
	char name[8];
	char word[8] = "";
	int out;
	size_t length = 0;
	snprintf(name, sizeof name, "n%d", node);
	pid_t pid = spawn(cluster, node, cluster->file, name, &out);
	struct pollfd readable = {.fd = out, .events = POLLIN};
	while (length < 6 && poll(&readable, 1, PATIENCE_MS) == 1) {
		ssize_t got = read(out, word + length, 6 - length);
		if (got <= 0)
			break;
		length += (size_t)got;
	}
	close(out);
	if (strcmp(word, "ready\n") == 0) {
		cluster->pids[node] = pid;
		cluster->empty[node] = look_at(cluster, node);
		return true;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cluster_print_log(cluster, node);
	return false;
}

void cluster_start_all(struct cluster *cluster)
{
	for (int i = 0; i < cluster->node_count; i++)
		assert_true(cluster_start(cluster, i));
	cluster_connected(cluster);
}

int cluster_end(struct cluster *cluster, int node, int signal)
{
	pid_t pid = cluster->pids[node];
	assert_true(pid > 0);
	cluster->pids[node] = 0;
	kill(pid, signal);
	int status = wait_end(pid, strsignal(signal));
	if (status != 0 && signal != SIGKILL) {
		fprintf(stderr, "n%d ended with %s %d, not cleanly, after: %s\n", node,
				WIFEXITED(status) ? "exit status" : "signal",
				WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), strsignal(signal));
		cluster_print_log(cluster, node);
	}
	return status;
}

int cluster_try(struct cluster *cluster, int node, const char *file, const char *node_name)
{
	int out;
	pid_t pid = spawn(cluster, node, file, node_name, &out);
	int status = wait_end(pid, "a start that should fail");
	close(out);
	return status;
}

static char *read_log(const struct cluster *cluster, int node)
{
	enum { LOG_MAX = 1 << 20 };
	char path[CLUSTER_PATH_MAX];
	char *text = calloc(1, LOG_MAX);
	assert_non_null(text);
	snprintf(path, sizeof path, "%s/log%d", cluster->dir, node);
	FILE *file = fopen(path, "r");
	if (file != NULL) {
		text[fread(text, 1, LOG_MAX - 1, file)] = 0;
		fclose(file);
	}
	return text;
}

bool cluster_logged(const struct cluster *cluster, int node, const char *text)
{
	for (uint64_t end = now_ms() + PATIENCE_MS;;) {
		char *log = read_log(cluster, node);
		bool found = strstr(log, text) != NULL;
		free(log);
		if (found)
			return true;
		if (now_ms() > end)
			break;
		pause_ms(5);
	}
	cluster_print_log(cluster, node);
	return false;
}

void cluster_print_log(const struct cluster *cluster, int node)
{
	char *log = read_log(cluster, node);
	/* Not by print_message(), which cuts what it prints at a kilobyte. */
	fprintf(stderr, "log of n%d:\n%s", node, log);
	free(log);
}

const fos_recorder *cluster_recorder(const struct cluster *cluster, int node)
{
	char path[CLUSTER_PATH_MAX];
	snprintf(path, sizeof path, "%s/n%d/recorder", cluster->dir, node);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	void *map = mmap(NULL, sizeof(fos_recorder), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	assert_ptr_not_equal(map, MAP_FAILED);
	return map;
}

const fos_recorder *cluster_recorder_now(const struct cluster *cluster, int node)
{
	struct mini m;
	const fos_recorder *recorder = cluster_recorder(cluster, node);
	const uint64_t begin = base_clock();
	mini_open(&m, cluster_socket(cluster, node), "look");
	assert_int_equal(mini_null(&m), FOS_OK);
	mini_close(&m);
	/* They are written within 100 ms, or before the Controller sleeps; shared memory tells nobody.
	 */
	for (uint64_t end = now_ms() + PATIENCE_MS; now_ms() < end; pause_ms(1))
		if (__atomic_load_n(&recorder->written, __ATOMIC_ACQUIRE) > begin &&
			__atomic_load_n(&recorder->version, __ATOMIC_ACQUIRE) % 2 == 0)
			return recorder;
	fail_msg("n%d does not write its recorder", node);
	return recorder;
}

static int links_up(const struct cluster *cluster, int node)
{
	const fos_recorder *recorder = cluster_recorder(cluster, node);
	int up = 0;
	for (int i = 0; i < FOS_RECORDER_LINKS && recorder->links[i].node != 0; i++)
		up += recorder->links[i].up != 0;
	munmap((void *)(uintptr_t)recorder, sizeof *recorder);
	return up;
}

void cluster_connected(struct cluster *cluster)
{
	int running = 0;
	for (int i = 0; i < cluster->node_count; i++)
		running += cluster->pids[i] != 0;
	for (int i = 0; i < cluster->node_count; i++) {
		if (cluster->pids[i] == 0)
			continue;
		uint64_t end = now_ms() + PATIENCE_MS;
		while (links_up(cluster, i) != running - 1 && now_ms() < end)
			pause_ms(2);
		if (links_up(cluster, i) != running - 1) {
			cluster_print_log(cluster, i);
			fail_msg("n%d has %d sessions, not %d", i, links_up(cluster, i), running - 1);
		}
		if (cluster->core[i] == 0)
			cluster->core[i] = core_used(cluster, i);
	}
}

/* ------------------------------------------------------------------ a raw client */

bool mini_connect(struct mini *m, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	*m = (struct mini){
		.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), .bell = -1, .doorbell = -1};
	assert_true(m->fd >= 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	return connect(m->fd, (struct sockaddr *)&address, sizeof address) == 0;
}

/* One packet there, one back. Descriptors go to fds. */
static void converse(struct mini *m, const void *packet, size_t size, void *out, size_t out_size,
					 int *fds, size_t fd_count)
{
	union {
		char bytes[CMSG_SPACE(3 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {.iov_base = out, .iov_len = out_size};
	struct msghdr message = {.msg_iov = &part,
							 .msg_iovlen = 1,
							 .msg_control = control.bytes,
							 .msg_controllen = sizeof control};
	struct pollfd readable = {.fd = m->fd, .events = POLLIN};
	assert_int_equal(send(m->fd, packet, size, MSG_NOSIGNAL), size);
	assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
	assert_int_equal(recvmsg(m->fd, &message, MSG_CMSG_CLOEXEC), out_size);
	assert_true(wire_check_attach(out, out_size));
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (header != NULL && header->cmsg_type == SCM_RIGHTS && fd_count > 0) {
		assert_int_equal(header->cmsg_len, CMSG_LEN(fd_count * sizeof(int)));
		memcpy(fds, CMSG_DATA(header), fd_count * sizeof(int));
	} else {
		assert_null(header);
	}
}

fos_status mini_attach(struct mini *m, uint32_t version, const char *label)
{
	struct wire_attach_attach in = {
		.header = {.size = sizeof in, .type = WIRE_ATTACH_TYPE_ATTACH},
		.version = version,
	};
	struct wire_attach_attached out;
	snprintf(in.label, sizeof in.label, "%s", label);
	converse(m, &in, sizeof in, &out, sizeof out, NULL, 0);
	m->serial = out.process;
	return out.status;
}

fos_status mini_channel(struct mini *m)
{
	const struct wire_attach_channel in = {
		.header = {.size = sizeof in, .type = WIRE_ATTACH_TYPE_CHANNEL}};
	struct wire_attach_opened out;
	int fds[3] = {-1, -1, -1};
	converse(m, &in, sizeof in, &out, sizeof out, fds, 3);
	if (out.status != FOS_OK)
		return out.status;
	m->ring_bytes = out.ring_bytes;
	m->map_bytes = 2 * RING_PAGE + 2 * out.ring_bytes;
	m->map = mmap(NULL, m->map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
	assert_ptr_not_equal(m->map, MAP_FAILED);
	close(fds[0]);
	m->bell = fds[1];
	m->doorbell = fds[2];
	ring_init(&m->calls, m->map, m->map + 2 * RING_PAGE, out.ring_bytes);
	ring_init(&m->answers, m->map + RING_PAGE, m->map + 2 * RING_PAGE + out.ring_bytes,
			  out.ring_bytes);
	return FOS_OK;
}

fos_status mini_segment(struct mini *m, uint64_t length)
{
	const struct wire_attach_segment in = {
		.header = {.size = sizeof in, .type = WIRE_ATTACH_TYPE_SEGMENT},
		.length = length,
	};
	struct wire_attach_mapped out;
	int fd = -1;
	converse(m, &in, sizeof in, &out, sizeof out, &fd, 1);
	if (out.status != FOS_OK)
		return out.status;
	/* The size is sealed: nobody can pull the bytes away from under the Controller. */
	assert_int_not_equal(ftruncate(fd, 0), 0);
	assert_int_not_equal(ftruncate(fd, (off_t)(2 * out.length)), 0);
	m->arena_bytes = out.length;
	m->arena = mmap(NULL, out.length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(m->arena, MAP_FAILED);
	close(fd);
	return FOS_OK;
}

void mini_open(struct mini *m, const char *path, const char *label)
{
	assert_true(mini_connect(m, path));
	assert_int_equal(mini_attach(m, WIRE_VERSION, label), FOS_OK);
	assert_int_equal(mini_channel(m), FOS_OK);
}

void mini_drop(struct mini *m)
{
	if (m->bell >= 0)
		close(m->bell);
	if (m->doorbell >= 0)
		close(m->doorbell);
	if (m->map != NULL)
		munmap(m->map, m->map_bytes);
	if (m->arena != NULL)
		munmap(m->arena, m->arena_bytes);
}

void mini_close(struct mini *m)
{
	close(m->fd);
	mini_drop(m);
}

bool mini_hung_up(struct mini *m)
{
	struct pollfd peer = {.fd = m->fd, .events = POLLRDHUP};
	return poll(&peer, 1, PATIENCE_MS) == 1 && (peer.revents & (POLLHUP | POLLRDHUP)) != 0;
}

bool mini_submit(struct mini *m, const void *record)
{
	const struct wire_record *header = record;
	void *room = ring_reserve(&m->calls, header->size);
	if (room == NULL)
		return false;
	memcpy(room, record, header->size);
	const uint64_t one = 1;
	if (ring_publish(&m->calls))
		assert_int_equal(write(m->bell, &one, sizeof one), sizeof one);
	return true;
}

void mini_answer(struct mini *m, void *out, size_t capacity)
{
	const uint64_t one = 1;
	uint64_t rings;
	uint32_t size;
	const void *record;
	while ((record = ring_peek(&m->answers, &size)) == NULL) {
		if (ring_sleep(&m->answers)) {
			struct pollfd readable = {.fd = m->doorbell, .events = POLLIN};
			if (poll(&readable, 1, PATIENCE_MS) != 1)
				fail_msg("no answer from the Controller");
			assert_int_equal(read(m->doorbell, &rings, sizeof rings), sizeof rings);
		}
		ring_wake(&m->answers);
	}
	assert_true(wire_check_answer(record, size));
	assert_true(size <= capacity);
	memcpy(out, record, size);
	if (ring_release(&m->answers))
		assert_int_equal(write(m->bell, &one, sizeof one), sizeof one);
}

fos_status mini_null(struct mini *m)
{
	const struct wire_call_null call = {
		.header = {.size = sizeof call, .type = WIRE_CALL_TYPE_NULL, .cookie = 77}};
	struct wire_answer_completion answer;
	assert_true(mini_submit(m, &call));
	mini_answer(m, &answer, sizeof answer);
	assert_int_equal(answer.header.cookie, 77);
	return answer.status;
}
