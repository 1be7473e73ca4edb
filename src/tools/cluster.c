/* What a cluster consists of on this machine: its nodes, programs, directories and files. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tools.h"

static const struct program services[] = {
	{"fs", "registry", "fractos-registry", 1},
	{"storage", "blk", "fractos-blk", 2},
	{"gpu", "gpu", "fractos-gpu", 2},
	{"fs", "fs", "fractos-fs", 3},
};

void complain(const char *format, ...)
{
	va_list args;
	fputs("fractos: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void format(char *out, size_t size, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(out, size, format, args);
	va_end(args);
}

uint64_t clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Where this user's clusters keep their run-time files. */
static void runtime_root(char *out, size_t size)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	if (geteuid() == 0)
		format(out, size, "/run/fractos");
	else if (xdg)
		format(out, size, "%s/fractos", xdg);
	else
		format(out, size, "/tmp/fractos-%u", (unsigned)geteuid());
}

bool cluster_name_valid(const char *name)
{
	size_t len = strlen(name);
	return len > 0 && len < NAME_LEN &&
		   strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len && name[0] != '-';
}

/* A Controller on each node, and the services on theirs. */
static void list_programs(struct cluster *cluster)
{
	unsigned n = 0;
	for (unsigned i = 0; i < cluster->node_count; i++) {
		struct program *program = &cluster->programs[n++];
		*program = (struct program){.name = "fractosd", .file = "fractosd", .wave = 0};
		format(program->node, sizeof program->node, "%s", cluster->nodes[i].name);
	}
	for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
		cluster->programs[n++] = services[i];
	cluster->program_count = n;
}

void cluster_set_nodes(struct cluster *cluster, unsigned count)
{
	static const char *const names[NODES_LEAST] = {"app", "fs", "storage", "gpu"};

	cluster->node_count = count;
	for (unsigned i = 0; i < count; i++) {
		struct node *node = &cluster->nodes[i];
		node->id = i + 1;
		if (i < NODES_LEAST)
			format(node->name, sizeof node->name, "%s", names[i]);
		else
			format(node->name, sizeof node->name, "node%u", node->id);
		format(node->socket, sizeof node->socket, "%.120s/%.31s/socket", cluster->dir, node->name);
		format(node->recorder, sizeof node->recorder, "%.120s/%.31s/recorder", cluster->dir,
			   node->name);
	}
	list_programs(cluster);
}

void cluster_describe(struct cluster *cluster, const char *name)
{
	char root[PATH_LEN / 4];

	memset(cluster, 0, sizeof *cluster);
	runtime_root(root, sizeof root);
	format(cluster->name, sizeof cluster->name, "%s", name);
	format(cluster->dir, sizeof cluster->dir, "%s/%s", root, name);
	format(cluster->data, sizeof cluster->data, "/var/tmp/fractos-%u-%s", (unsigned)geteuid(),
		   name);
	format(cluster->cache, sizeof cluster->cache, "/var/tmp/fractos-%u/kernels",
		   (unsigned)geteuid());
	cluster->own_data = true;
	cluster->netns = geteuid() == 0;
	cluster->respawn = true;
	cluster_set_nodes(cluster, NODES_LEAST);
}

/* Takes a free TCP port of the loopback by binding it; the descriptor keeps it until all are had.
 */
static int take_port(uint16_t *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
		getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
		complain("no free port on the loopback: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	*port = ntohs(address.sin_port);
	return fd;
}

static bool choose_addresses(struct cluster *cluster)
{
	int held[NODES_MAX];
	unsigned count = 0;
	bool ok = true;

	for (unsigned i = 0; i < cluster->node_count && ok; i++) {
		struct node *node = &cluster->nodes[i];
		if (cluster->netns) {
			format(node->address, sizeof node->address, "10.77.0.%u", node->id);
			node->port = 7471;
			continue;
		}
		format(node->address, sizeof node->address, "127.0.0.1");
		held[count] = take_port(&node->port);
		ok = held[count] >= 0;
		count += ok;
	}
	while (count > 0)
		close(held[--count]);
	return ok;
}

bool make_dir(const char *path, mode_t forbidden)
{
	struct stat st;
	if (mkdir(path, 0700) == 0)
		return true;
	if (errno != EEXIST) {
		complain("cannot make the directory %s: %s", path, strerror(errno));
		return false;
	}
	if (forbidden == 0)
		return true;
	if (lstat(path, &st) != 0)
		return mkdir(path, 0700) == 0; /* its owner has just removed it */
	if (S_ISDIR(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & forbidden) == 0)
		return true;
	complain("%s is there already and is open to others or not a directory of this user: remove it",
			 path);
	return false;
}

static bool write_key(const char *path)
{
	uint8_t key[32];
	bool ok = false;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file || getrandom(key, sizeof key, 0) != sizeof key)
		goto out;
	for (size_t i = 0; i < sizeof key; i++)
		fprintf(file, "%02x", key[i]);
	fputc('\n', file);
	ok = !ferror(file);
out:
	if (file)
		ok = fclose(file) == 0 && ok;
	else if (fd >= 0)
		close(fd);
	if (!ok)
		complain("cannot write the key %s: %s", path, strerror(errno));
	return ok;
}

/* Heartbeats in a failure timeout. */
#define BEATS 5

static bool write_cluster_file(const struct cluster *cluster, const char *path, const char *key)
{
	FILE *file = fopen(path, "we");
	if (!file) {
		complain("cannot write %s: %s", path, strerror(errno));
		return false;
	}
	fprintf(file,
			"; Written by `fractos up`. See fractos-cluster(5).\n[cluster]\nname = %s\nkey = %s\n"
			"registry = fs\n",
			cluster->name, key);
	if (cluster->failure_timeout != 0)
		fprintf(file, "failure_timeout_ms = %u\nheartbeat_ms = %u\n", cluster->failure_timeout,
				cluster->failure_timeout / BEATS);
	for (unsigned i = 0; i < cluster->node_count; i++) {
		const struct node *node = &cluster->nodes[i];
		fprintf(file, "\n[node %s]\nid = %u\naddress = %s\nport = %u\nsocket = %s\nrecorder = %s\n",
				node->name, node->id, node->address, node->port, node->socket, node->recorder);
	}
	if (ferror(file) | fclose(file)) {
		complain("cannot write %s: %s", path, strerror(errno));
		return false;
	}
	return true;
}

int cluster_lock(const struct cluster *cluster)
{
	char root[PATH_LEN / 4];
	struct stat opened, named;

	runtime_root(root, sizeof root);
	/* The last cluster that goes takes the directories along, perhaps just between our steps. */
	for (int tries = 0; tries < 100; tries++) {
		if (!make_dir(root, 022))
			return -1;
		if (mkdir(cluster->dir, 0700) != 0 && errno == ENOENT)
			continue;
		if (!make_dir(cluster->dir, 077))
			return -1;
		int fd = open(cluster->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) {
			complain("the cluster \"%s\" is up already, or is just being started", cluster->name);
			if (fd >= 0)
				close(fd);
			return -1;
		}
		if (fstat(fd, &opened) == 0 && stat(cluster->dir, &named) == 0 &&
			opened.st_ino == named.st_ino)
			return fd;
		close(fd);
	}
	complain("%s is removed again and again by others", cluster->dir);
	return -1;
}

bool cluster_create(struct cluster *cluster)
{
	char path[PATH_LEN * 2], key[PATH_LEN * 2];
	char root[PATH_LEN / 4];

	/* What was there before and is refused is not ours to remove. */
	const bool own_data = cluster->own_data;
	cluster->own_data = false;
	runtime_root(root, sizeof root);
	if (!choose_addresses(cluster) || !make_dir(root, 022) || !make_dir(cluster->dir, 077) ||
		!make_dir(cluster->data, own_data ? 077 : 0))
		return false;
	cluster->own_data = own_data;
	for (unsigned i = 0; i < cluster->node_count; i++) {
		format(path, sizeof path, "%s/%s", cluster->dir, cluster->nodes[i].name);
		if (!make_dir(path, 077))
			return false;
	}
	for (unsigned i = 0; i < 2; i++) {
		format(path, sizeof path, "%s/%s", cluster->data, i == 0 ? "volumes" : "metadata");
		if (!make_dir(path, cluster->own_data ? 077 : 0))
			return false;
	}
	format(key, sizeof key, "%s/key", cluster->dir);
	format(path, sizeof path, "%s/cluster.conf", cluster->dir);
	return write_key(key) && write_cluster_file(cluster, path, key);
}

/* Removes a directory of ours and what is in it, `depth` levels below it at most. One that another
 * has put there, or a link, stays as it is. */
static void remove_tree(int at, const char *path, int depth)
{
	struct dirent *entry;
	struct stat st;
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool ours = fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid();
	DIR *dir = ours ? fdopendir(fd) : NULL;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (unlinkat(fd, entry->d_name, 0) != 0 && errno == EISDIR && depth > 0)
			remove_tree(fd, entry->d_name, depth - 1);
	}
	closedir(dir);
	unlinkat(at, path, AT_REMOVEDIR);
}

void cluster_remove(const struct cluster *cluster)
{
	char root[PATH_LEN / 4];

	runtime_root(root, sizeof root);
	remove_tree(AT_FDCWD, cluster->dir, 2);
	rmdir(root); /* stays while there are other clusters */
	if (cluster->own_data)
		remove_tree(AT_FDCWD, cluster->data, 3);
}

/* ------------------------------------------------------------------ reading a cluster file */

static int on_key(void *arg, const char *section, const char *name, const char *value)
{
	struct cluster *cluster = arg;
	struct node *node = NULL;

	if (strncmp(section, "node ", 5) != 0)
		return 1;
	if (cluster->node_count > 0 &&
		!strcmp(cluster->nodes[cluster->node_count - 1].name, section + 5))
		node = &cluster->nodes[cluster->node_count - 1];
	else if (cluster->node_count < NODES_MAX) {
		node = &cluster->nodes[cluster->node_count++];
		format(node->name, sizeof node->name, "%s", section + 5);
	} else
		return 0;
	if (!strcmp(name, "id"))
		node->id = (uint32_t)strtoul(value, NULL, 10);
	else if (!strcmp(name, "address"))
		format(node->address, sizeof node->address, "%s", value);
	else if (!strcmp(name, "port"))
		node->port = (uint16_t)strtoul(value, NULL, 10);
	else if (!strcmp(name, "socket"))
		format(node->socket, sizeof node->socket, "%s", value);
	else if (!strcmp(name, "recorder"))
		format(node->recorder, sizeof node->recorder, "%s", value);
	return 1;
}

bool cluster_load(struct cluster *cluster, const char *name)
{
	char path[PATH_LEN * 2];

	cluster_describe(cluster, name);
	format(path, sizeof path, "%s/cluster.conf", cluster->dir);
	memset(cluster->nodes, 0, sizeof cluster->nodes);
	cluster->node_count = 0;
	if (ini_parse(path, on_key, cluster) != 0 || cluster->node_count == 0)
		return false;
	list_programs(cluster);
	return true;
}

void cluster_each(void (*each)(const char *name, void *arg), void *arg)
{
	char root[PATH_LEN / 4];
	struct dirent **names;

	runtime_root(root, sizeof root);
	int count = scandir(root, &names, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		if (cluster_name_valid(names[i]->d_name))
			each(names[i]->d_name, arg);
		free(names[i]);
	}
	if (count >= 0)
		free(names);
}

const struct node *cluster_node(const struct cluster *cluster, const char *name)
{
	for (unsigned i = 0; i < cluster->node_count; i++)
		if (!strcmp(cluster->nodes[i].name, name))
			return &cluster->nodes[i];
	return NULL;
}

/* ------------------------------------------------------------------ programs */

void program_argv(const struct cluster *cluster, const struct program *program,
				  const char *argv[24], char *text, size_t text_size)
{
	unsigned n = 0;
	argv[n++] = program->file;
	if (!strcmp(program->name, "fractosd")) {
		format(text, text_size, "%s/cluster.conf", cluster->dir);
		argv[n++] = "--cluster";
		argv[n++] = text;
		argv[n++] = "--node";
		argv[n++] = program->node;
	} else if (!strcmp(program->name, "blk")) {
		format(text, text_size, "%s/volumes", cluster->data);
		argv[n++] = "--dir";
		argv[n++] = text;
	} else if (!strcmp(program->name, "fs")) {
		format(text, text_size, "%s/metadata", cluster->data);
		argv[n++] = "--meta";
		argv[n++] = text;
		argv[n++] = "--volume";
		argv[n++] = "files";
		argv[n++] = "--size";
		argv[n++] = "134217728";
	} else if (!strcmp(program->name, "gpu")) {
		argv[n++] = "--cache";
		argv[n++] = cluster->cache;
	}
	argv[n] = NULL;
}

bool program_path(const char *file, char *out, size_t out_size)
{
	static const char *const places[] = {"",
										 "../controller/",
										 "../services/registry/",
										 "../services/blk/",
										 "../services/fs/",
										 "../services/gpu/",
										 "../apps/faceverify/"};
	char self[PATH_LEN];
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

	if (len > 0) {
		self[len] = 0;
		*strrchr(self, '/') = 0;
		for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
			format(out, out_size, "%s/%s%s", self, places[i], file);
			if (access(out, X_OK) == 0)
				return true;
		}
	}
	const char *path = getenv("PATH");
	while (path && *path) {
		size_t n = strcspn(path, ":");
		format(out, out_size, "%.*s/%s", (int)n, path, file);
		if (n > 0 && access(out, X_OK) == 0)
			return true;
		path += n + (path[n] == ':');
	}
	return false;
}

bool parse_rate(const char *text, uint64_t *out)
{
	char *end;
	if (!strcmp(text, "none")) {
		*out = 0;
		return true;
	}
	unsigned long long n = strtoull(text, &end, 10);
	uint64_t unit = !strcmp(end, "gbit") ? 1000000000u : !strcmp(end, "mbit") ? 1000000u : 0;
	if (end == text || unit == 0 || n == 0 || n > 1000)
		return false;
	*out = n * unit;
	return true;
}
