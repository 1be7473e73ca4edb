/* Arenas: the bytes of Processes that Memory can name. The Controller makes each segment's memfd
 * itself, seals its size for ever and maps exactly that, so that no Process can pull bytes away
 * under a copy.
 *
 * Memory of the dead is given back aside, in portions, so that who maps something meanwhile does
 * not wait long for the lock of our mappings. The pages go when the last portion is unmapped. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "controller/controller.h"

enum { PAGE = 4096, PORTION = 16 << 20 };

/* A sealed memfd, mapped; -1 with errno. */
static int make_memory(uint64_t length, uint8_t **base)
{
	int fd = memfd_create("fractos-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)length) == 0 &&
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
		void *map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (map != MAP_FAILED) {
			*base = map;
			return fd;
		}
	}
	close(fd);
	return -1;
}

static void unmap(struct aside_job *job)
{
	const struct segment *segment = BASE_CONTAINER(job, struct segment, unmap);
	for (uint64_t at = 0; at < segment->length; at += PORTION)
		munmap(segment->base + at, BASE_MIN(segment->length - at, (uint64_t)PORTION));
}

static void on_unmapped(struct controller *c, struct aside_job *job)
{
	struct segment *segment = BASE_CONTAINER(job, struct segment, unmap);
	segment->process->arena_bytes -= segment->length;
	process_settle(c, segment->process);
	free(segment);
}

static void free_segment(struct controller *c, struct segment *segment)
{
	segment->unmap = (struct aside_job){.work = unmap, .done = on_unmapped};
	aside_put(&c->memory, &segment->unmap);
}

fos_status arena_create(struct controller *c, struct process *p, uint64_t length, uint32_t *number,
						int *fd)
{
	uint64_t room = c->config->arena_bytes - p->arena_bytes;
	if (length == 0)
		return FOS_INVALID;
	if (length > room || base_align_up(length, PAGE) > room ||
		p->segment_count == c->config->limits.segments)
		return FOS_QUOTA;
	struct segment *segment = calloc(1, sizeof *segment);
	if (segment == NULL)
		return FOS_QUOTA;
	segment->process = p;
	segment->length = base_align_up(length, PAGE);
	*fd = make_memory(segment->length, &segment->base);
	if (*fd < 0) {
		free(segment);
		return FOS_QUOTA;
	}
	*number = p->segment_count;
	p->segments[p->segment_count++] = segment;
	p->arena_bytes += segment->length;
	p->pending++;
	controller_step(c, &(struct core_event){.type = CORE_SEGMENT_UP,
											.process = p->serial,
											.segment = *number,
											.length = segment->length});
	return FOS_OK;
}

void arena_destroy(struct controller *c, struct process *p)
{
	for (uint32_t i = 0; i < p->segment_count; i++) {
		struct segment *segment = p->segments[i];
		segment->orphan = true;
		if (segment->in_flight == 0)
			free_segment(c, segment);
	}
	p->segment_count = 0;
}

uint8_t *arena_bytes(const struct controller *c, const struct core_extent *extent,
					 struct segment **segment)
{
	const struct process *p = process_find(c, extent->process);
	BASE_ASSERT(p != NULL && extent->segment < p->segment_count);
	struct segment *found = p->segments[extent->segment];
	BASE_ASSERT(base_range_inside(extent->offset, extent->length, found->length));
	if (segment != NULL)
		*segment = found;
	return found->base + extent->offset;
}

void arena_release_slice(struct controller *c, struct segment *segment)
{
	BASE_ASSERT(segment->in_flight > 0);
	if (--segment->in_flight == 0 && segment->orphan)
		free_segment(c, segment);
}
