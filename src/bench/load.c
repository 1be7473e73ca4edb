/* See load.h. */
#include "load.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { WORDS = LOAD_BLOCK / 8, OFFSET = 0, SERIAL = 1, WRITER = 2, BODY = 3, AGAIN = WORDS - 1 };

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool complain(const char *what, const char *why)
{
	fprintf(stderr, "load: %s: %s\n", what, why);
	return false;
}

/* ------------------------------------------------------------------ blocks */

static uint64_t body_word(uint64_t writer, unsigned word)
{
	return (writer << 32 | word) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Of both, so that the end of another block or of another write is none of this one's. */
static uint64_t last_word(uint64_t offset, uint64_t serial)
{
	return body_word(serial, (unsigned)(offset / LOAD_BLOCK));
}

static void stamp(uint64_t *block, uint64_t offset, uint64_t serial)
{
	block[OFFSET] = offset;
	block[SERIAL] = serial;
	block[AGAIN] = last_word(offset, serial);
}

static void fill(uint8_t *bytes, uint64_t length, uint64_t writer)
{
	for (uint64_t at = 0; at < length; at += LOAD_BLOCK) {
		uint64_t *block = (uint64_t *)(void *)(bytes + at);
		block[WRITER] = writer;
		for (unsigned i = BODY; i < AGAIN; i++)
			block[i] = body_word(writer, i);
	}
}

static bool check_block(const struct load_file *file, const uint64_t *block, uint64_t offset)
{
	const uint64_t serial = file->serials[offset / LOAD_BLOCK];
	unsigned word = BODY;

	while (word < AGAIN && block[word] == body_word(block[WRITER], word))
		word++;
	if (block[OFFSET] == offset && block[SERIAL] == serial && block[WRITER] <= LOAD_DEPTH_MAX &&
		word == AGAIN && block[AGAIN] == last_word(offset, serial))
		return true;
	fprintf(stderr,
			"load: the block at %" PRIu64 " should be of write %" PRIu64 "; it says offset %" PRIu64
			", write %" PRIu64 ", is right up to word %u of %u, and its last one is %s\n",
			offset, serial, block[OFFSET], block[SERIAL], word, AGAIN,
			block[AGAIN] == last_word(block[OFFSET], block[SERIAL]) ? "of that" : "of another");
	return false;
}

static bool check_bytes(const struct load_file *file, const uint8_t *bytes, uint64_t offset,
						uint64_t length)
{
	for (uint64_t at = 0; at < length; at += LOAD_BLOCK)
		if (!check_block(file, (const uint64_t *)(const void *)(bytes + at), offset + at))
			return false;
	return true;
}

/* ------------------------------------------------------------------ files */

static uint8_t *get_pages(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return at == MAP_FAILED ? NULL : at;
}

static bool fill_file(const struct load_file *file, uint8_t *bytes)
{
	if (posix_fallocate(file->fd, 0, (off_t)file->size) != 0)
		return complain("no space", strerror(errno));
	fill(bytes, LOAD_LENGTH_MAX, 0);
	for (uint64_t offset = 0; offset < file->size; offset += LOAD_LENGTH_MAX) {
		for (uint64_t at = 0; at < LOAD_LENGTH_MAX; at += LOAD_BLOCK)
			stamp((uint64_t *)(void *)(bytes + at), offset + at, 0);
		if (pwrite(file->fd, bytes, LOAD_LENGTH_MAX, (off_t)offset) != LOAD_LENGTH_MAX)
			return complain("write", strerror(errno));
	}
	return fdatasync(file->fd) == 0 || complain("sync", strerror(errno));
}

bool load_file_open(const char *path, uint64_t size, bool making, struct load_file *out)
{
	const int flags = O_RDWR | O_CLOEXEC | (making ? O_CREAT | O_EXCL : 0);
	bool ok = true;

	*out = (struct load_file){.size = size};
	/* Memory's file systems of older kernels know no O_DIRECT, and have no cache to go past. */
	out->fd = open(path, flags | O_DIRECT, 0600);
	if (out->fd < 0 && errno == EINVAL)
		out->fd = open(path, flags & ~O_EXCL, 0600);
	out->serials = calloc(size / LOAD_BLOCK, sizeof *out->serials);
	if (out->fd < 0 || !out->serials)
		ok = complain(path, strerror(errno));
	if (ok && making) {
		uint8_t *bytes = get_pages(LOAD_LENGTH_MAX);
		ok = bytes ? fill_file(out, bytes) : complain(path, "no memory");
		if (bytes)
			munmap(bytes, LOAD_LENGTH_MAX);
	}
	if (!ok)
		load_file_close(out);
	return ok;
}

bool load_file_check(const struct load_file *file)
{
	uint8_t *bytes = get_pages(LOAD_LENGTH_MAX);
	bool ok = bytes != NULL;

	for (uint64_t at = 0; at < file->size && ok; at += LOAD_LENGTH_MAX) {
		ok = pread(file->fd, bytes, LOAD_LENGTH_MAX, (off_t)at) == LOAD_LENGTH_MAX ||
			 complain("read", strerror(errno));
		ok = ok && check_bytes(file, bytes, at, LOAD_LENGTH_MAX);
	}
	if (bytes)
		munmap(bytes, LOAD_LENGTH_MAX);
	return ok;
}

void load_file_close(struct load_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	free(file->serials);
	*file = (struct load_file){.fd = -1};
}

/* ------------------------------------------------------------------ operations */

/* Operations under way never meet: of random ones, each slot has places of its own. */
static uint64_t next_offset(struct load *load, unsigned slot)
{
	const uint64_t places = load->file->size / load->kind.length;
	uint64_t place;

	if (load->kind.sequential) {
		place = load->next++ % places;
	} else {
		load->random ^= load->random << 13;
		load->random ^= load->random >> 7;
		load->random ^= load->random << 17;
		assert(load->kind.depth > 0 && places >= load->kind.depth);
		place = load->random % (places / load->kind.depth) * load->kind.depth + slot;
	}
	return place * load->kind.length;
}

static void sign(struct load *load, const struct load_io *io)
{
	struct load_file *file = load->file;
	const uint64_t serial = ++file->last;
	for (uint32_t at = 0; at < io->length; at += LOAD_BLOCK) {
		stamp((uint64_t *)(void *)(io->bytes + at), io->offset + at, serial);
		file->serials[(io->offset + at) / LOAD_BLOCK] = serial;
	}
}

static bool start_one(struct load *load)
{
	const unsigned slot = load->idle[--load->idle_count];
	struct load_io *io = &load->slots[slot].io;

	io->offset = next_offset(load, slot);
	if (io->write)
		sign(load, io);
	load->slots[slot].used = true;
	load->slots[slot].begin = now();
	load->started++;
	return load->way.start(load->way.arg, io);
}

static bool look_at(const struct load *load, unsigned slot)
{
	const struct load_io *io = &load->slots[slot].io;
	return io->write || check_bytes(load->file, io->bytes, io->offset, io->length);
}

void load_ended(struct load *load, unsigned slot, bool ok)
{
	histogram_add(load->turn, now() - load->slots[slot].begin);
	load->idle[load->idle_count++] = slot;
	load->ended++;
	if (!ok || (load->looking && !look_at(load, slot)))
		load->failed = true;
}

static void end_turn(struct load *load)
{
	histogram_merge(load->all, load->turn);
	if (load->turns < LOAD_TURNS_MAX)
		load->medians[load->turns++] = (double)histogram_quantile(load->turn, 0.5);
	memset(load->turn, 0, sizeof *load->turn);
}

uint64_t load_run(void *arg, unsigned count)
{
	struct load *load = arg;
	const uint64_t begin = now();

	load->started = load->ended = 0;
	for (unsigned i = 0; i < load->kind.depth; i++)
		load->slots[i].used = false;
	while (load->ended < count && !load->failed) {
		while (load->started < count && load->idle_count > 0 && !load->failed)
			load->failed = !start_one(load);
		/* What ends meanwhile may fail too; starting one may have ended others. */
		if (!load->failed && load->ended < load->started && !load->way.wait(load->way.arg))
			load->failed = true;
	}
	const uint64_t time = now() - begin;
	for (unsigned i = 0; i < load->kind.depth && !load->failed; i++)
		load->failed = load->slots[i].used && !look_at(load, i);
	end_turn(load);
	return load->failed ? 0 : time;
}

bool load_prove(struct load *load, unsigned count)
{
	load->looking = true;
	const bool ok = load_run(load, count) != 0;
	load->looking = false;
	return ok;
}

void load_forget(void *arg)
{
	struct load *load = arg;
	memset(load->all, 0, sizeof *load->all);
	load->turns = 0;
}

/* ------------------------------------------------------------------ its life */

bool load_open(struct load_file *file, const struct load_kind *kind, const struct load_way *way,
			   uint8_t *buffers, struct load *out)
{
	assert(kind->depth > 0 && kind->depth <= LOAD_DEPTH_MAX && kind->length % LOAD_BLOCK == 0);
	*out = (struct load){.file = file,
						 .kind = *kind,
						 .way = *way,
						 .buffers = buffers,
						 .random = UINT64_C(0x2545f4914f6cdd1d),
						 .turn = calloc(1, sizeof *out->turn),
						 .all = calloc(1, sizeof *out->all)};
	for (unsigned i = 0; i < kind->depth; i++) {
		out->slots[i].io = (struct load_io){.slot = i,
											.write = kind->write,
											.bytes = buffers + (uint64_t)i * kind->length,
											.length = kind->length};
		out->idle[out->idle_count++] = i;
		/* What is read must come from the file, what is written from its slot. */
		if (kind->write)
			fill(out->slots[i].io.bytes, kind->length, i + 1);
		else
			memset(out->slots[i].io.bytes, 0xee, kind->length);
	}
	if (out->turn && out->all)
		return true;
	load_close(out);
	return complain("load", "no memory");
}

void load_close(struct load *load)
{
	free(load->turn);
	free(load->all);
	load->turn = load->all = NULL;
}
