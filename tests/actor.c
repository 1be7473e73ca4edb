/* A Process that does what it is told, for the stories (tests/stories) and the tests of crashes. It
 * uses the public interface alone.
 *
 *     actor LABEL        attaches to $FRACTOS_SOCKET, then prints "ready"
 *
 * A line of its standard input is a number and a command; when the command has ended it prints the
 * number, the name of a status and perhaps more:
 *
 *     7 call echo 500
 *     7 OUTCOME_UNKNOWN app
 *
 * Commands go on side by side: what waits (a call, a revoke, a monitor) does not hold up the next
 * line. Deliveries of its Requests are handled meanwhile, as their mode says. Capabilities have
 * names. It ends when its input does; status 3: its Controller is gone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fractos/fractos.h>
#include <fractos/fs.h>
#include <fractos/registry.h>

enum { NAMES = 64, NAME_LEN = 32, WORDS = 8, HELD = 64, LINE_LEN = 512, MS = 1000000 };

/* What becomes of the deliveries of a Request of ours. */
enum mode {
	ANSWER, /* continued at once */
	HOLD,   /* kept open until `finish` */
	TAKE    /* the capability that came is kept under the name that came; then continued */
};

struct named {
	char name[NAME_LEN]; /* "": free */
	fos_cap cap;
	uint8_t *bytes; /* own Memory */
	uint64_t length;
	enum mode mode; /* own Request */
	struct {
		fos_delivery_id id;
		fos_cap next; /* lives as long as the delivery */
	} held[HELD];
	unsigned held_count, delivered;
};

/* A command that has not ended. */
struct pending {
	struct pending *next, **link; /* of all */
	unsigned long number;
	struct named *into; /* where the new capability goes */
	fos_cap reply;      /* of a call: its ONCE Request */
};

static fos_process *process;
static fos_channel *ch;
static struct named names[NAMES];
static struct pending *pendings;

/* ------------------------------------------------------------------ names and answers */

static struct named *find(const char *name)
{
	for (unsigned i = 0; i < NAMES; i++)
		if (names[i].name[0] != 0 && !strcmp(names[i].name, name))
			return &names[i];
	return NULL;
}

static fos_cap cap_of(const char *name)
{
	struct named *found = find(name);
	return found ? found->cap : FOS_CAP_NONE;
}

/* A new name, or the old one again: then what it named is forgotten, not closed. */
static struct named *name_new(const char *name)
{
	struct named *place = find(name);
	for (unsigned i = 0; i < NAMES && place == NULL; i++)
		if (names[i].name[0] == 0)
			place = &names[i];
	if (place == NULL) {
		fputs("actor: too many names\n", stderr);
		exit(2);
	}
	memset(place, 0, sizeof *place);
	snprintf(place->name, sizeof place->name, "%s", name);
	return place;
}

static void say(unsigned long number, fos_status status, const char *more)
{
	printf("%lu %s%s%s\n", number, fos_status_name(status), more[0] ? " " : "", more);
}

static struct pending *pend(unsigned long number, struct named *into)
{
	struct pending *pending = calloc(1, sizeof *pending);
	if (pending == NULL)
		abort();
	*pending =
		(struct pending){.next = pendings, .link = &pendings, .number = number, .into = into};
	if (pendings != NULL)
		pendings->link = &pending->next;
	pendings = pending;
	return pending;
}

static void forget(struct pending *pending)
{
	*pending->link = pending->next;
	if (pending->next != NULL)
		pending->next->link = pending->link;
	free(pending);
}

/* The end of a command that answers with a status, and perhaps with a new capability. */
static void ended(fos_channel *channel, const fos_result *result, void *arg)
{
	struct pending *pending = arg;
	if (pending->into != NULL)
		pending->into->cap = result->status == FOS_OK ? result->cap : FOS_CAP_NONE;
	say(pending->number, result->status, "");
	forget(pending);
}

static void submitted(fos_status status, struct pending *pending)
{
	if (status == FOS_OK)
		return; /* its completion tells the end */
	say(pending->number, status, "");
	forget(pending);
}

/* ------------------------------------------------------------------ deliveries */

static fos_handled go_on(const fos_delivery *d)
{
	fos_cap next = fos_delivery_cap(d, FOS_NEXT);
	if (next == FOS_CAP_NONE)
		return FOS_FINISH;
	/* Refused, it fails the delivery with the same status. */
	return fos_continue(ch, d->id, next, NULL, NULL, NULL) == FOS_OK ? FOS_FINISH_LATER
																	 : FOS_FINISH;
}

static fos_handled take(const fos_delivery *d)
{
	const char *name = fos_delivery_imm(d, FOS_ARG, NAME_LEN);
	fos_cap cap = fos_delivery_cap(d, 1);
	if (name == NULL || name[NAME_LEN - 1] != 0 || cap == FOS_CAP_NONE ||
		fos_cap_keep(ch, cap) != FOS_OK) {
		(void)!fos_fail(ch, d->id, FOS_INVALID, "nothing to take");
		return FOS_FINISH_LATER;
	}
	name_new(name)->cap = cap;
	return go_on(d);
}

static fos_handled delivered(fos_channel *channel, const fos_delivery *d, void *arg)
{
	struct named *request = arg;
	request->delivered++;
	if (request->mode == TAKE)
		return take(d);
	if (request->mode == HOLD && request->held_count < HELD) {
		request->held[request->held_count].id = d->id;
		request->held[request->held_count++].next = fos_delivery_cap(d, FOS_NEXT);
		return FOS_FINISH_LATER;
	}
	return go_on(d);
}

/* The end of a call. */
static fos_handled replied(fos_channel *channel, const fos_delivery *d, void *arg)
{
	struct pending *pending = arg;
	say(pending->number, d->exception.status,
		d->exception.status != FOS_OK ? d->exception.where : "");
	(void)!fos_cap_close_async(ch, pending->reply, NULL, NULL);
	forget(pending);
	return FOS_FINISH;
}

/* ------------------------------------------------------------------ commands */

/* An invocation that was refused never reaches `replied`. */
static void invoked(fos_channel *channel, const fos_result *result, void *arg)
{
	struct pending *pending = arg;
	if (result->status == FOS_OK)
		return;
	say(pending->number, result->status, "");
	(void)!fos_cap_revoke_async(ch, pending->reply, NULL, NULL);
	(void)!fos_cap_close_async(ch, pending->reply, NULL, NULL);
	forget(pending);
}

/* Invokes a Request with a ONCE Request as continuation and on_error. `name`: with `cap` as
 * capability 1, to be kept under that name. */
static void call(unsigned long number, fos_cap request, const char *ms, fos_cap cap,
				 const char *name)
{
	char text[NAME_LEN] = "";
	uint64_t time = ms ? strtoull(ms, NULL, 10) * MS : 0;
	struct pending *pending = pend(number, NULL);
	fos_args args;
	fos_status status =
		fos_request_create(ch, replied, pending,
						   &(fos_request_options){.once = true, .deadline = time}, &pending->reply);
	fos_args_init(&args);
	fos_args_cap(&args, FOS_CALL, FOS_NEXT, pending->reply);
	fos_args_on_error(&args, FOS_CALL, pending->reply);
	if (name != NULL) {
		snprintf(text, sizeof text, "%s", name);
		fos_args_imm(&args, FOS_CALL, FOS_ARG, text, sizeof text);
		fos_args_cap(&args, FOS_CALL, 1, cap);
	}
	if (status == FOS_OK)
		status = fos_request_invoke_async(ch, request, &args, &(fos_invoke_options){.time = time},
										  invoked, pending);
	submitted(status, pending);
}

static void do_memory(unsigned long number, char **w)
{
	struct named *memory = name_new(w[1]);
	void *bytes = NULL;
	memory->length = w[2] ? strtoull(w[2], NULL, 10) : 4096;
	fos_status status = fos_alloc(process, memory->length, 64, &bytes);
	memory->bytes = bytes;
	if (status == FOS_OK)
		status = fos_memory_create(ch, bytes, memory->length, FOS_READ | FOS_WRITE, &memory->cap);
	say(number, status, "");
}

static void do_fill(unsigned long number, char **w)
{
	struct named *memory = find(w[1]);
	if (memory != NULL && memory->bytes != NULL && w[2] != NULL)
		memset(memory->bytes, atoi(w[2]), memory->length);
	say(number, memory != NULL && memory->bytes != NULL ? FOS_OK : FOS_NO_CAP, "");
}

/* Whether all bytes are the one given. */
static void do_holds(unsigned long number, char **w)
{
	const struct named *memory = find(w[1]);
	char text[64] = "";
	fos_status status = memory != NULL && memory->bytes != NULL && w[2] ? FOS_OK : FOS_NO_CAP;
	for (uint64_t i = 0; status == FOS_OK && i < memory->length; i++)
		if (memory->bytes[i] != (uint8_t)atoi(w[2])) {
			snprintf(text, sizeof text, "byte %llu is %u", (unsigned long long)i, memory->bytes[i]);
			status = FOS_INVALID;
		}
	say(number, status, text);
}

static void do_request(unsigned long number, char **w)
{
	struct named *request = name_new(w[1]);
	const char *mode = w[2] ? w[2] : "answer";
	request->mode = !strcmp(mode, "hold") ? HOLD : !strcmp(mode, "take") ? TAKE : ANSWER;
	say(number, fos_request_create(ch, delivered, request, NULL, &request->cap), "");
}

static void do_publish(unsigned long number, char **w)
{
	say(number, fos_registry_publish(ch, w[2] ? w[2] : w[1], cap_of(w[1])), "");
}

static void do_unpublish(unsigned long number, char **w)
{
	say(number, fos_registry_unpublish(ch, w[1]), "");
}

static void do_find(unsigned long number, char **w)
{
	fos_cap cap = FOS_CAP_NONE;
	fos_status status = fos_registry_wait(ch, w[1], 5000ull * MS, &cap);
	name_new(w[2] ? w[2] : w[1])->cap = cap;
	say(number, status, "");
}

static void do_call(unsigned long number, char **w)
{
	call(number, cap_of(w[1]), w[2], FOS_CAP_NONE, NULL);
}

/* give REQUEST CAP [NAME] [MS] */
static void do_give(unsigned long number, char **w)
{
	const char *cap = w[2] ? w[2] : "";
	call(number, cap_of(w[1]), w[2] && w[3] ? w[4] : NULL, cap_of(cap), w[2] && w[3] ? w[3] : cap);
}

static void do_copy(unsigned long number, char **w)
{
	struct pending *pending = pend(number, NULL);
	fos_cap src = w[2] ? cap_of(w[2]) : FOS_CAP_NONE;
	submitted(fos_memory_copy_async(ch, cap_of(w[1]), src, NULL, NULL, ended, pending), pending);
}

static void do_close(unsigned long number, char **w)
{
	struct pending *pending = pend(number, NULL);
	submitted(fos_cap_close_async(ch, cap_of(w[1]), ended, pending), pending);
}

static void do_revoke(unsigned long number, char **w)
{
	struct pending *pending = pend(number, NULL);
	submitted(fos_cap_revoke_async(ch, cap_of(w[1]), ended, pending), pending);
}

/* revtree CHILD PARENT [tracked] */
static void do_revtree(unsigned long number, char **w)
{
	struct pending *pending = pend(number, name_new(w[1]));
	fos_cap parent = w[2] ? cap_of(w[2]) : FOS_CAP_NONE;
	unsigned flags = w[2] && w[3] && !strcmp(w[3], "tracked") ? FOS_TRACKED : 0;
	submitted(fos_cap_create_revtree_async(ch, parent, flags, ended, pending), pending);
}

/* drain CAP [MS] */
static void do_drain(unsigned long number, char **w)
{
	struct pending *pending = pend(number, NULL);
	uint64_t time = w[2] ? strtoull(w[2], NULL, 10) * MS : 0;
	submitted(fos_cap_drain_async(ch, cap_of(w[1]), time, ended, pending), pending);
}

/* What a monitor tells of the end. */
static void told(fos_channel *channel, const fos_result *result, void *arg)
{
	static const char *const words[] = {
		[FOS_GONE_NOT] = "not",     [FOS_GONE_REVOKED] = "revoked",
		[FOS_GONE_MAKER] = "maker", [FOS_GONE_CONTROLLER] = "controller",
		[FOS_GONE_LINK] = "link",   [FOS_GONE_UNHELD] = "unheld",
	};
	struct pending *pending = arg;
	say(pending->number, result->status, words[result->gone]);
	forget(pending);
}

static void do_watch(unsigned long number, char **w)
{
	struct pending *pending = pend(number, NULL);
	submitted(fos_monitor_receive_async(ch, cap_of(w[1]), told, pending), pending);
}

static void do_watch_held(unsigned long number, char **w)
{
	struct pending *pending = pend(number, NULL);
	submitted(fos_monitor_delegate_async(ch, cap_of(w[1]), told, pending), pending);
}

/* bind NEW REQUEST CAP: a Request that holds CAP */
static void do_bind(unsigned long number, char **w)
{
	struct pending *pending = pend(number, name_new(w[1]));
	fos_args args;
	fos_args_init(&args);
	fos_args_cap(&args, FOS_CALL, 2, w[2] && w[3] ? cap_of(w[3]) : FOS_CAP_NONE);
	fos_cap request = w[2] ? cap_of(w[2]) : FOS_CAP_NONE;
	submitted(fos_request_refine_async(ch, request, &args, ended, pending), pending);
}

/* ------------------------------------------------------------------ files
 * The root Request of the file system is found under its name and kept as "fs". These block. */

static fos_fs_item whole(uint64_t file, uint64_t length)
{
	return (fos_fs_item){.file = file, .length = length};
}

/* save PATH MEMORY: a file of the Memory's bytes, made or filled anew */
static void do_save(unsigned long number, char **w)
{
	const struct named *memory = w[2] ? find(w[2]) : NULL;
	fos_fs_stat stat;
	fos_status status = memory != NULL ? FOS_OK : FOS_NO_CAP;
	if (status == FOS_OK)
		status = fos_fs_create(ch, cap_of("fs"), w[1], &stat);
	if (status == FOS_EXISTS)
		status = fos_fs_open(ch, cap_of("fs"), w[1], &stat);
	if (status == FOS_OK) {
		fos_fs_item item = whole(stat.file, memory->length);
		status = fos_fs_write(ch, cap_of("fs"), &item, 1, memory->cap, 0);
	}
	say(number, status, "");
}

/* load PATH MEMORY */
static void do_load(unsigned long number, char **w)
{
	const struct named *memory = w[2] ? find(w[2]) : NULL;
	fos_fs_stat stat;
	fos_status status = memory != NULL ? FOS_OK : FOS_NO_CAP;
	if (status == FOS_OK)
		status = fos_fs_open(ch, cap_of("fs"), w[1], &stat);
	if (status == FOS_OK) {
		fos_fs_item item = whole(stat.file, memory->length);
		status = fos_fs_read(ch, cap_of("fs"), &item, 1, memory->cap, 0);
	}
	say(number, status, "");
}

/* truncate PATH SIZE */
static void do_truncate(unsigned long number, char **w)
{
	fos_fs_stat stat;
	fos_status status = fos_fs_open(ch, cap_of("fs"), w[1], &stat);
	if (status == FOS_OK)
		status = fos_fs_truncate(ch, cap_of("fs"), stat.file, w[2] ? strtoull(w[2], NULL, 10) : 0);
	say(number, status, "");
}

static void do_unlink(unsigned long number, char **w)
{
	say(number, fos_fs_unlink(ch, cap_of("fs"), w[1]), "");
}

/* One file is open directly at a time. */
static fos_fs_direct direct;

/* open-direct PATH [MS] */
static void do_open_direct(unsigned long number, char **w)
{
	fos_fs_stat stat;
	fos_status status = fos_fs_open(ch, cap_of("fs"), w[1], &stat);
	if (status == FOS_OK)
		status = fos_fs_open_direct(ch, cap_of("fs"), stat.file, 0, stat.size, FOS_FS_DIRECT_WRITE,
									w[2] ? strtoull(w[2], NULL, 10) * MS : 0, &direct);
	say(number, status, "");
}

static void do_read_direct(unsigned long number, char **w)
{
	const struct named *memory = find(w[1]);
	say(number,
		memory ? fos_fs_direct_read(ch, &direct, 0, memory->length, memory->cap) : FOS_NO_CAP, "");
}

static void do_write_direct(unsigned long number, char **w)
{
	const struct named *memory = find(w[1]);
	say(number,
		memory ? fos_fs_direct_write(ch, &direct, 0, memory->length, memory->cap) : FOS_NO_CAP, "");
}

static void do_info(unsigned long number, char **w)
{
	fos_cap_information info = {0};
	char text[96];
	fos_status status = fos_cap_info(ch, cap_of(w[1]), &info);
	snprintf(text, sizeof text, "%s%s%s%s node %u", info.own ? "own " : "",
			 info.revocable ? "revocable " : "", info.tracked ? "tracked " : "",
			 info.reachable ? "reachable" : "unreachable", info.node);
	say(number, status, text);
}

static void do_null(unsigned long number, char **w)
{
	struct pending *pending = pend(number, NULL);
	submitted(fos_null_async(ch, ended, pending), pending);
}

/* Answers and finishes all held deliveries of a Request. */
static void do_finish(unsigned long number, char **w)
{
	struct named *request = find(w[1]);
	fos_status status = request ? FOS_OK : FOS_NO_CAP;
	for (; request != NULL && request->held_count > 0; request->held_count--) {
		fos_delivery_id id = request->held[request->held_count - 1].id;
		fos_cap next = request->held[request->held_count - 1].next;
		fos_status one = next == FOS_CAP_NONE ? fos_finish(ch, id)
											  : fos_continue(ch, id, next, NULL, NULL, NULL);
		status = status == FOS_OK ? one : status;
	}
	say(number, status, "");
}

/* How many deliveries a Request has had, and how many are held. */
static void do_count(unsigned long number, char **w)
{
	const struct named *request = find(w[1]);
	char text[64] = "";
	if (request != NULL)
		snprintf(text, sizeof text, "delivered %u held %u", request->delivered,
				 request->held_count);
	say(number, request != NULL ? FOS_OK : FOS_NO_CAP, text);
}

static const struct command {
	const char *name;
	void (*fn)(unsigned long number, char **words); /* words[0] is the name, NULL behind the last */
} commands[] = {
	{"memory", do_memory},
	{"fill", do_fill},
	{"holds", do_holds},
	{"request", do_request},
	{"publish", do_publish},
	{"unpublish", do_unpublish},
	{"find", do_find},
	{"call", do_call},
	{"give", do_give},
	{"copy", do_copy},
	{"close", do_close},
	{"revoke", do_revoke},
	{"info", do_info},
	{"null", do_null},
	{"finish", do_finish},
	{"count", do_count},
	{"revtree", do_revtree},
	{"drain", do_drain},
	{"watch", do_watch},
	{"watch-held", do_watch_held},
	{"bind", do_bind},
	{"save", do_save},
	{"load", do_load},
	{"truncate", do_truncate},
	{"unlink", do_unlink},
	{"open-direct", do_open_direct},
	{"read-direct", do_read_direct},
	{"write-direct", do_write_direct},
};

/* ------------------------------------------------------------------ input */

static void obey(char *line)
{
	char *words[WORDS + 1] = {NULL}, *rest = NULL;
	unsigned count = 0;
	for (char *word = strtok_r(line, " ", &rest); word && count < WORDS;
		 word = strtok_r(NULL, " ", &rest))
		words[count++] = word;
	if (count < 2)
		return;
	for (unsigned i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		if (strcmp(commands[i].name, words[1]) != 0)
			continue;
		if (words[2] == NULL && strcmp(words[1], "null") != 0)
			break;
		commands[i].fn(strtoul(words[0], NULL, 10), words + 1);
		return;
	}
	printf("%s no such command\n", words[0]);
}

static void on_input(fos_channel *channel, int fd, void *arg)
{
	static char buffer[LINE_LEN];
	static size_t used;
	ssize_t n = read(fd, buffer + used, sizeof buffer - used);
	if (n <= 0) {
		fos_stop(ch);
		return;
	}
	used += (size_t)n;
	for (char *end; (end = memchr(buffer, '\n', used)) != NULL;) {
		*end = 0;
		obey(buffer);
		size_t taken = (size_t)(end + 1 - buffer);
		memmove(buffer, end + 1, used - taken);
		used -= taken;
	}
	if (used == sizeof buffer) {
		fputs("actor: a line is too long\n", stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 2) {
		fputs("usage: actor LABEL\n", stderr);
		return 2;
	}
	if (fos_attach(&(fos_attach_options){.label = argv[1]}, &process) != FOS_OK) {
		fprintf(stderr, "actor: %s\n", fos_attach_error());
		return 1;
	}
	fos_status status = fos_channel_open(process, &ch);
	if (status == FOS_OK)
		status = fos_watch(ch, STDIN_FILENO, on_input, NULL);
	if (status != FOS_OK) {
		fprintf(stderr, "actor: %s\n", fos_status_text(status));
		return 1;
	}
	puts("ready");
	status = fos_serve(ch);
	fos_detach(process);
	while (pendings != NULL)
		forget(pendings);
	return status == FOS_OK ? 0 : 3;
}
