/* The cluster file, read with libinih into struct config. Tables below say which keys there are;
 * a key that is unknown, given twice, missing or out of its range is refused with file and line. */
#include "controller/config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "wire/ring.h"

enum value_type { NAME, PATH, ADDRESS, U16, U32, U64, SPIN, UIDS };

struct key {
	const char *name;
	enum value_type type;
	bool required;
	size_t offset; /* of the field in struct config, or in struct config_node */
	size_t size;   /* of a text field */
	uint64_t min, max;
};

#define TEXT(kind, type, required, field) \
#field, kind, required, offsetof(type, field), sizeof(((type *)0)->field), 0, 0
#define NUMBER(kind, type, field, min, max) #field, kind, false, offsetof(type, field), 0, min, max
#define LIMIT(kind, field, min, max)                                            \
	{                                                                           \
#field, kind, false, offsetof(struct config, limits.field), 0, min, max \
	}

static const struct key CLUSTER_KEYS[] = {
	{"name", NAME, true, offsetof(struct config, cluster), NET_NAME_MAX, 0, 0},
	{"key", PATH, true, offsetof(struct config, key_path), CONFIG_PATH_MAX, 0, 0},
	{TEXT(NAME, struct config, true, registry)},
	{TEXT(NAME, struct config, false, provider)},
	{NUMBER(U32, struct config, heartbeat_ms, 10, 60000)},
	{NUMBER(U32, struct config, failure_timeout_ms, 30, 600000)},
	{NUMBER(U32, struct config, default_time_ms, 1, 3600000)},
	{NUMBER(U32, struct config, yields, 0, 100000)},
	{"spin", SPIN, false, offsetof(struct config, spin_busy), 0, 0, 0},
};

/* The upper bounds keep products of limits far from the ends of their types. */
static const struct key LIMIT_KEYS[] = {
	LIMIT(U32, processes, 1, 4096),
	LIMIT(U32, channels, 1, 256),
	LIMIT(U32, segments, 1, 1024),
	LIMIT(U32, objects, 1, 1 << 20),
	LIMIT(U32, slots, 1, 1 << 20),
	LIMIT(U32, values_bytes, 4096, 1 << 30),
	LIMIT(U32, deliveries, 1, 1 << 16),
	LIMIT(U32, once, 1, 1 << 16),
	LIMIT(U32, parked, 1, 1 << 16),
	LIMIT(U32, copies, 1, 1 << 16),
	LIMIT(U32, monitors, 1, 1 << 16),
	LIMIT(U32, revokings, 1, 1 << 16),
	LIMIT(U32, sessions, 1, CONFIG_NODES_MAX),
	LIMIT(U64, memory, 1 << 20, UINT64_C(1) << 40),
	{NUMBER(U64, struct config, arena_bytes, 4096, UINT64_C(1) << 44)},
	{NUMBER(U32, struct config, ring_bytes, 2 * RING_RECORD_MAX, 1 << 26)},
};

static const struct key NODE_KEYS[] = {
	{"id", U32, true, offsetof(struct config_node, id), 0, 1, UINT32_MAX},
	{"port", U16, true, offsetof(struct config_node, port), 0, 1, UINT16_MAX},
	{TEXT(ADDRESS, struct config_node, true, address)},
	{TEXT(PATH, struct config_node, true, socket)},
	{TEXT(PATH, struct config_node, true, recorder)},
	{"uids", UIDS, false, 0, 0, 0, 0},
};

struct reading {
	struct config *config;
	char *error; /* the first mistake, without the place; empty: none */
};

__attribute__((format(printf, 2, 3))) static int refuse(struct reading *r, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (r->error[0] == 0)
		vsnprintf(r->error, CONFIG_ERROR_MAX, format, args);
	va_end(args);
	return 0;
}

/* Names become parts of paths, of log lines and of protocol fields. */
static bool good_name(const char *text)
{
	for (const char *c = text; *c != 0; c++)
		if (!isalnum((unsigned char)*c) && strchr("-_.", *c) == NULL)
			return false;
	return text[0] != 0;
}

static int set_text(struct reading *r, const struct key *key, char *field, const char *value)
{
	struct in6_addr address;
	if (strlen(value) >= key->size)
		return refuse(r, "%s: longer than %zu bytes", key->name, key->size - 1);
	if (key->type == NAME && !good_name(value))
		return refuse(r, "%s: \"%s\" is not a name (letters, digits, '-', '_', '.')", key->name,
					  value);
	if (key->type == PATH && value[0] != '/')
		return refuse(r, "%s: \"%s\" is not an absolute path", key->name, value);
	if (key->type == ADDRESS && inet_pton(AF_INET, value, &address) != 1 &&
		inet_pton(AF_INET6, value, &address) != 1)
		return refuse(r, "%s: \"%s\" is not a numeric IPv4 or IPv6 address", key->name, value);
	memcpy(field, value, strlen(value) + 1);
	return 1;
}

static bool parse_number(const char *text, uint64_t max, uint64_t *out)
{
	char *end;
	errno = 0;
	if (!isdigit((unsigned char)text[0]))
		return false;
	*out = strtoull(text, &end, 10);
	return errno == 0 && *end == 0 && *out <= max;
}

static int set_number(struct reading *r, const struct key *key, void *field, const char *value)
{
	uint64_t number;
	if (!parse_number(value, key->max, &number) || number < key->min)
		return refuse(r, "%s: \"%s\" is not a number from %llu to %llu", key->name, value,
					  (unsigned long long)key->min, (unsigned long long)key->max);
	if (key->type == U16)
		*(uint16_t *)field = (uint16_t)number;
	else if (key->type == U32)
		*(uint32_t *)field = (uint32_t)number;
	else
		*(uint64_t *)field = number;
	return 1;
}

static int set_spin(struct reading *r, bool *field, const char *value)
{
	*field = strcmp(value, "busy") == 0;
	if (!*field && strcmp(value, "yield") != 0)
		return refuse(r, "spin: \"%s\" is neither yield nor busy", value);
	return 1;
}

static int set_uids(struct reading *r, struct config_node *node, const char *value)
{
	char text[INI_MAX_LINE];
	char *rest = text;
	snprintf(text, sizeof text, "%s", value);
	for (char *one; (one = strsep(&rest, ",")) != NULL;) {
		uint64_t uid;
		one += strspn(one, " \t");
		one[strcspn(one, " \t")] = 0;
		if (!parse_number(one, UINT32_MAX - 1, &uid))
			return refuse(r, "uids: \"%s\" is not a user's number", one);
		if (node->uid_count == CONFIG_UIDS_MAX)
			return refuse(r, "uids: more than %d", CONFIG_UIDS_MAX);
		node->uids[node->uid_count++] = (uint32_t)uid;
	}
	return 1;
}

static int set(struct reading *r, const struct key *keys, size_t count, void *base, uint64_t *seen,
			   const char *name, const char *value)
{
	for (size_t i = 0; i < count; i++) {
		const struct key *key = &keys[i];
		if (strcmp(key->name, name) != 0)
			continue;
		if (*seen & UINT64_C(1) << i)
			return refuse(r, "%s is given twice", name);
		*seen |= UINT64_C(1) << i;
		void *field = (char *)base + key->offset;
		switch (key->type) {
		case NAME:
		case PATH:
		case ADDRESS:
			return set_text(r, key, field, value);
		case U16:
		case U32:
		case U64:
			return set_number(r, key, field, value);
		case SPIN:
			return set_spin(r, field, value);
		case UIDS:
			return set_uids(r, base, value);
		}
	}
	return refuse(r, "unknown key \"%s\"", name);
}

static struct config_node *find_node(struct config *config, const char *name)
{
	for (uint32_t i = 0; i < config->node_count; i++)
		if (strcmp(config->nodes[i].name, name) == 0)
			return &config->nodes[i];
	return NULL;
}

static int on_key(void *context, const char *section, const char *name, const char *value)
{
	struct reading *r = context;
	struct config *config = r->config;
	if (strcmp(section, "cluster") == 0)
		return set(r, CLUSTER_KEYS, BASE_COUNT(CLUSTER_KEYS), config, &config->seen_cluster, name,
				   value);
	if (strcmp(section, "limits") == 0)
		return set(r, LIMIT_KEYS, BASE_COUNT(LIMIT_KEYS), config, &config->seen_limits, name,
				   value);
	if (strncmp(section, "node ", 5) != 0)
		return refuse(r, "unknown section [%s]", section);
	const char *node_name = section + 5;
	struct config_node *node = find_node(config, node_name);
	if (node == NULL) {
		if (!good_name(node_name) || strlen(node_name) >= sizeof node->name)
			return refuse(r,
						  "[%s]: not a node's name (letters, digits, '-', '_', '.', at most %zu)",
						  section, sizeof node->name - 1);
		if (config->node_count == CONFIG_NODES_MAX)
			return refuse(r, "more than %d nodes", CONFIG_NODES_MAX);
		node = &config->nodes[config->node_count++];
		memcpy(node->name, node_name, strlen(node_name) + 1);
	}
	return set(r, NODE_KEYS, BASE_COUNT(NODE_KEYS), node, &node->seen, name, value);
}

static bool all_given(struct reading *r, const char *section, const struct key *keys, size_t count,
					  uint64_t seen)
{
	for (size_t i = 0; i < count; i++)
		if (keys[i].required && !(seen & UINT64_C(1) << i))
			return refuse(r, "[%s] has no \"%s\"", section, keys[i].name) != 0;
	return true;
}

static bool check_nodes(struct reading *r)
{
	struct config *config = r->config;
	for (uint32_t i = 0; i < config->node_count; i++) {
		const struct config_node *a = &config->nodes[i];
		char section[FOS_LABEL_MAX + 8];
		snprintf(section, sizeof section, "node %s", a->name);
		if (!all_given(r, section, NODE_KEYS, BASE_COUNT(NODE_KEYS), a->seen))
			return false;
		for (uint32_t k = 0; k < i; k++) {
			const struct config_node *b = &config->nodes[k];
			if (a->id == b->id)
				return refuse(r, "nodes %s and %s have the same id %u", b->name, a->name, a->id);
			if (strcmp(a->socket, b->socket) == 0 || strcmp(a->recorder, b->recorder) == 0)
				return refuse(r, "nodes %s and %s have the same socket or recorder", b->name,
							  a->name);
			if (a->port == b->port && strcmp(a->address, b->address) == 0)
				return refuse(r, "nodes %s and %s have the same address and port", b->name,
							  a->name);
		}
	}
	return true;
}

static bool check(struct reading *r, const char *node)
{
	struct config *config = r->config;
	if (!all_given(r, "cluster", CLUSTER_KEYS, BASE_COUNT(CLUSTER_KEYS), config->seen_cluster) ||
		!check_nodes(r))
		return false;
	if (find_node(config, config->registry) == NULL)
		return refuse(r, "registry = %s: there is no [node %s]", config->registry,
					  config->registry);
	if (config->failure_timeout_ms < 3 * config->heartbeat_ms)
		return refuse(r, "failure_timeout_ms is less than three times heartbeat_ms: one lost "
						 "moment would end sessions");
	if ((config->ring_bytes & (config->ring_bytes - 1)) != 0)
		return refuse(r, "ring_bytes is not a power of two");
	config->self = find_node(config, node);
	if (config->self == NULL)
		return refuse(r, "there is no [node %s]", node);
	return true;
}

/* 64 hexadecimal digits and at most one newline. */
static bool parse_key(const char *text, ssize_t length, uint8_t key[NET_KEY_BYTES])
{
	if (length == 2 * NET_KEY_BYTES + 1 && text[length - 1] == '\n')
		length--;
	if (length != 2 * NET_KEY_BYTES)
		return false;
	for (int i = 0; i < NET_KEY_BYTES; i++) {
		const char digits[3] = {text[2 * i], text[2 * i + 1], 0};
		if (!isxdigit((unsigned char)digits[0]) || !isxdigit((unsigned char)digits[1]))
			return false;
		key[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return true;
}

static bool read_key(struct reading *r)
{
	const char *path = r->config->key_path;
	char text[2 * NET_KEY_BYTES + 2];
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return refuse(r, "key %s: %s", path, strerror(errno));
	ssize_t length = read(fd, text, sizeof text);
	bool known = fstat(fd, &status) == 0;
	close(fd);
	if (length < 0 || !known || !S_ISREG(status.st_mode))
		return refuse(r, "key %s: cannot be read", path);
	if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return refuse(r, "key %s: others than its owner may use it (mode %04o): chmod 600 it", path,
					  (unsigned)status.st_mode & 07777);
	bool good = parse_key(text, length, r->config->key);
	explicit_bzero(text, sizeof text);
	return good || refuse(r, "key %s: not 64 hexadecimal digits", path);
}

static void defaults(struct config *config)
{
	struct core_config core;
	core_config_default(&core);
	*config = (struct config){
		.provider = "tcp",
		.heartbeat_ms = 200,
		.failure_timeout_ms = 1000,
		.default_time_ms = 5000,
		.yields = 50,
		.limits = core.limits,
		.arena_bytes = UINT64_C(1) << 30,
		.ring_bytes = 256 << 10,
	};
}

bool config_load(const char *path, const char *node, struct config *out, char *error)
{
	char message[CONFIG_ERROR_MAX] = "";
	struct reading reading = {.config = out, .error = message};
	defaults(out);
	int line = ini_parse(path, on_key, &reading);
	if (line == -1)
		snprintf(error, CONFIG_ERROR_MAX, "%s: %s", path, strerror(errno));
	else if (line < 0)
		snprintf(error, CONFIG_ERROR_MAX, "%s: out of memory", path);
	else if (line > 0)
		snprintf(error, CONFIG_ERROR_MAX, "%.200s:%d: %.250s", path, line,
				 message[0] != 0 ? message : "not \"key = value\", or longer than a line may be");
	else if (!check(&reading, node) || !read_key(&reading))
		snprintf(error, CONFIG_ERROR_MAX, "%.200s: %.250s", path, message);
	else
		return true;
	return false;
}
