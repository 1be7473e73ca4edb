/* What a Process can leave to its Controller that takes long to close, unmap or read: none of it
 * holds up the others. A socket that lingers stands for all whose closing takes as long as their
 * giver likes: it is closed when the test reads what it was sent, and not before. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
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
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "controller/harness.h"

enum { PATIENCE_MS = 60000, LINGER_S = 3600 };

static void still_serves(const struct cluster *cluster)
{
	struct mini m;
	mini_open(&m, cluster_socket(cluster, 0), "witness");
	assert_int_equal(mini_null(&m), FOS_OK);
	mini_close(&m);
}

/* Threads of the daemon that help; a sanitizer has others. */
static unsigned count_helpers(const struct cluster *cluster)
{
	char path[64], name[32];
	unsigned count = 0;
	snprintf(path, sizeof path, "/proc/%d/task", (int)cluster->pids[0]);
	DIR *dir = opendir(path);
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		snprintf(path, sizeof path, "/proc/%d/task/%.16s/comm", (int)cluster->pids[0],
				 entry->d_name);
		FILE *file = fopen(path, "re");
		if (file == NULL)
			continue;
		count += fgets(name, sizeof name, file) != NULL && strcmp(name, "fractos-aside\n") == 0;
		fclose(file);
	}
	closedir(dir);
	return count;
}

/* They come and end in their own time, which /proc tells without an event. */
static void expect_helpers(const struct cluster *cluster, unsigned count)
{
	for (time_t end = time(NULL) + PATIENCE_MS / 1000;
		 count_helpers(cluster) != count && time(NULL) < end;)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	assert_int_equal(count_helpers(cluster), count);
}

static void open_one(struct cluster *cluster, const char *more)
{
	cluster_make(cluster, 1, more);
	assert_true(cluster_start(cluster, 0));
}

/* ------------------------------------------------------------------ sockets that linger */

struct linger_pair {
	int given; /* its last close waits until `reader` has read all */
	int reader;
};

static struct linger_pair linger_make(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t length = sizeof address;
	const int small = 4096;
	const struct linger forever = {.l_onoff = 1, .l_linger = LINGER_S};
	static const char bytes[4096];
	struct linger_pair pair;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(listener >= 0);
	assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
	pair.given = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(pair.given >= 0);
	assert_int_equal(connect(pair.given, (struct sockaddr *)&address, length), 0);
	pair.reader = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(pair.reader >= 0);
	close(listener);
	assert_int_equal(setsockopt(pair.given, SOL_SOCKET, SO_LINGER, &forever, sizeof forever), 0);
	assert_int_equal(fcntl(pair.given, F_SETFL, O_NONBLOCK), 0);
	while (write(pair.given, bytes, sizeof bytes) > 0)
		continue;
	return pair;
}

/* Lets the close return. Its end-of-file shows that there was one. */
static void linger_release(struct linger_pair *pair)
{
	char bytes[4096];
	struct pollfd readable = {.fd = pair->reader, .events = POLLIN};
	ssize_t size;
	do {
		assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
		size = read(pair->reader, bytes, sizeof bytes);
	} while (size > 0);
	assert_int_equal(size, 0);
	close(pair->reader);
}

static void send_with(int socket, const void *packet, size_t size, const int *fds, size_t count)
{
	union {
		char bytes[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr head;
	} control = {0};
	struct iovec part = {(void *)(uintptr_t)packet, size};
	struct msghdr message = {.msg_iov = &part,
							 .msg_iovlen = 1,
							 .msg_control = &control,
							 .msg_controllen = CMSG_SPACE(count * sizeof(int))};
	control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(count * sizeof(int)),
									.cmsg_level = SOL_SOCKET,
									.cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&control.head), fds, count * sizeof(int));
	assert_int_equal(sendmsg(socket, &message, MSG_NOSIGNAL), size);
}

static void stand_still(const struct cluster *cluster)
{
	int status;
	assert_int_equal(kill(cluster->pids[0], SIGSTOP), 0);
	assert_int_equal(waitpid(cluster->pids[0], &status, WUNTRACED), cluster->pids[0]);
}

/* While the Controller stands still: when it comes to the packet, the last reference is its. */
static void give(int socket, const void *packet, size_t size, int *fds, size_t count)
{
	send_with(socket, packet, size, fds, count);
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

static void go_on(const struct cluster *cluster)
{
	assert_int_equal(kill(cluster->pids[0], SIGCONT), 0);
}

/* ------------------------------------------------------------------ what nobody asked for */

enum manner {
	MANNER_STRANGER, /* with ATTACH */
	MANNER_CHANNEL,
	MANNER_EMPTY, /* with a packet of no bytes */
	MANNER_TWO,   /* two with a DEVICE */
	MANNER_UNREAD /* behind a packet that ends the connection */
};

static void offend(const struct cluster *cluster, struct mini *m, enum manner manner, int *fds)
{
	const struct wire_attach_attach attach = {
		.header = {.size = sizeof attach, .type = WIRE_ATTACH_TYPE_ATTACH},
		.version = WIRE_VERSION,
		.label = "stranger"};
	const struct wire_record channel = {.size = sizeof channel, .type = WIRE_ATTACH_TYPE_CHANNEL};
	const struct wire_record device = {.size = sizeof device, .type = WIRE_ATTACH_TYPE_DEVICE};
	stand_still(cluster);
	if (manner == MANNER_UNREAD)
		assert_int_equal(send(m->fd, "nonsense", 8, MSG_NOSIGNAL), 8);
	if (manner == MANNER_STRANGER)
		give(m->fd, &attach, sizeof attach, fds, 2);
	else if (manner == MANNER_TWO)
		give(m->fd, &device, sizeof device, fds, 2);
	else
		give(m->fd, &channel, manner == MANNER_EMPTY ? 0 : sizeof channel, fds, 2);
	go_on(cluster);
}

static void descriptors_that_nobody_asked_for_end_their_sender(void **state)
{
	struct cluster cluster;
	open_one(&cluster, NULL);
	for (enum manner manner = MANNER_STRANGER; manner <= MANNER_UNREAD; manner++) {
		struct mini m;
		struct linger_pair pair = linger_make();
		int fds[] = {pair.given, dup(STDERR_FILENO)};
		assert_true(mini_connect(&m, cluster_socket(&cluster, 0)));
		if (manner != MANNER_STRANGER)
			assert_int_equal(mini_attach(&m, WIRE_VERSION, "giver"), FOS_OK);
		offend(&cluster, &m, manner, fds);
		/* Told at once, while the close waits; and everybody else is served. */
		assert_true(mini_hung_up(&m));
		still_serves(&cluster);
		mini_close(&m);
		still_serves(&cluster);
		linger_release(&pair);
	}
	expect_helpers(&cluster, 0);
	cluster_free(&cluster);
}

/* ------------------------------------------------------------------ devices */

static void ask(struct mini *m, const int *fd)
{
	const struct wire_record device = {.size = sizeof device, .type = WIRE_ATTACH_TYPE_DEVICE};
	send_with(m->fd, &device, sizeof device, fd, 1);
}

static fos_status answer(struct mini *m)
{
	struct wire_attach_device_done done;
	struct pollfd readable = {.fd = m->fd, .events = POLLIN};
	assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
	assert_int_equal(recv(m->fd, &done, sizeof done, 0), sizeof done);
	assert_int_equal(done.header.type, WIRE_ATTACH_TYPE_DEVICE_DONE);
	return (fos_status)done.status;
}

/* However many it sends: one of its own, that holds up nobody else's. */
static void devices_of_one_sender_take_one_thread(void **state)
{
	enum { COUNT = 20 };
	struct cluster cluster;
	struct mini m, other;
	struct linger_pair pairs[COUNT];
	int pipe_ends[2];
	open_one(&cluster, NULL);
	mini_open(&m, cluster_socket(&cluster, 0), "giver");
	for (int i = 0; i < COUNT; i++) {
		const struct wire_record device = {.size = sizeof device, .type = WIRE_ATTACH_TYPE_DEVICE};
		pairs[i] = linger_make();
		stand_still(&cluster);
		give(m.fd, &device, sizeof device, &pairs[i].given, 1);
		go_on(&cluster);
	}
	assert_int_equal(mini_null(&m), FOS_OK);
	mini_open(&other, cluster_socket(&cluster, 0), "other");
	assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
	ask(&other, &pipe_ends[0]);
	assert_int_equal(answer(&other), FOS_DEVICE);
	mini_close(&other);
	expect_helpers(&cluster, 1);
	for (int i = 0; i < COUNT; i++) {
		linger_release(&pairs[i]);
		assert_int_equal(answer(&m), FOS_DEVICE);
	}
	mini_close(&m);
	expect_helpers(&cluster, 0);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	cluster_free(&cluster);
}

/* It ends, and keeps nobody from ending, while such a close waits. */
static void stops_while_a_close_waits(void **state)
{
	struct cluster cluster;
	struct mini m;
	const struct wire_record channel = {.size = sizeof channel, .type = WIRE_ATTACH_TYPE_CHANNEL};
	struct linger_pair pair = linger_make();
	open_one(&cluster, NULL);
	mini_open(&m, cluster_socket(&cluster, 0), "giver");
	stand_still(&cluster);
	give(m.fd, &channel, sizeof channel, &pair.given, 1);
	go_on(&cluster);
	assert_true(mini_hung_up(&m));
	mini_close(&m);
	expect_helpers(&cluster, 1);
	assert_int_equal(cluster_end(&cluster, 0, SIGTERM), 0);
	close(pair.reader);
	cluster_free(&cluster);
}

/* ------------------------------------------------------------------ what takes long by itself */

/* The list of the kernel's locks is everybody's, and grows slow to read. */
static int fill_list_of_locks(const struct cluster *cluster)
{
	enum { LOCKS = 20000 };
	char path[CLUSTER_PATH_MAX];
	snprintf(path, sizeof path, "%s/locks", cluster->dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	for (int i = 0; i < LOCKS; i++) {
		struct flock lock = {
			.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2 * (LOCKS - i), .l_len = 1};
		assert_int_equal(fcntl(fd, F_SETLK, &lock), 0);
	}
	unlink(path);
	return fd;
}

static void a_long_list_of_locks_holds_up_nobody(void **state)
{
	enum { ENOUGH = 3 };
	struct cluster cluster;
	struct mini m, other;
	char path[CLUSTER_PATH_MAX];
	unsigned calls = 0;
	open_one(&cluster, NULL);
	mini_open(&m, cluster_socket(&cluster, 0), "adaptor");
	mini_open(&other, cluster_socket(&cluster, 0), "other");
	snprintf(path, sizeof path, "%s/device", cluster.dir);
	int held = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int again = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(held, LOCK_EX), 0);
	int locks = fill_list_of_locks(&cluster);
	ask(&m, &again);
	struct pollfd readable = {.fd = m.fd, .events = POLLIN};
	while (poll(&readable, 1, 0) == 0) {
		assert_int_equal(mini_null(&other), FOS_OK);
		calls++;
	}
	assert_int_equal(answer(&m), FOS_OK);
	assert_true(calls >= ENOUGH);
	close(locks);
	mini_close(&other);
	mini_close(&m);
	close(held);
	close(again);
	unlink(path);
	cluster_free(&cluster);
}

/* Whether a call was answered after the death was noticed and before all was given back. */
static bool dies_aside(const struct cluster *cluster, struct mini *witness, unsigned number)
{
	enum { LARGE = 256 << 20 };
	struct mini m;
	char text[64];
	mini_open(&m, cluster_socket(cluster, 0), "large");
	assert_int_equal(mini_segment(&m, LARGE), FOS_OK);
	memset(m.arena, 1, LARGE);
	snprintf(text, sizeof text, "process %u \"large\" ended", number);
	assert_int_equal(munmap(m.arena, LARGE), 0); /* the Controller's is the last reference */
	m.arena = NULL;
	mini_close(&m);
	assert_true(cluster_logged(cluster, 0, text));
	assert_int_equal(mini_null(witness), FOS_OK);
	return count_helpers(cluster) > 0;
}

static void memory_of_the_dead_is_unmapped_aside(void **state)
{
	enum { TRIES = 30 };
	struct cluster cluster;
	struct mini witness;
	unsigned number = 2;
	open_one(&cluster, NULL);
	mini_open(&witness, cluster_socket(&cluster, 0), "witness");
	/* We may not be quick enough to see it. */
	while (number < 2 + TRIES && !dies_aside(&cluster, &witness, number))
		number++;
	assert_true(number < 2 + TRIES);
	mini_close(&witness);
	cluster_free(&cluster);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors_that_nobody_asked_for_end_their_sender),
		cmocka_unit_test(devices_of_one_sender_take_one_thread),
		cmocka_unit_test(stops_while_a_close_waits),
		cmocka_unit_test(a_long_list_of_locks_holds_up_nobody),
		cmocka_unit_test(memory_of_the_dead_is_unmapped_aside),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
