/* libFuzzer's entry: any bytes as a call, an answer, an attach packet, a message, and as what a
 * hostile peer has left in a ring. What is accepted is walked through to its last part. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "wire/ring.h"
#include "wire/wire.h"

enum { AREA = 4096, FUZZ_LINE = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void visit(const uint8_t *bytes, size_t size)
{
	char line[FUZZ_LINE];
	if (wire_check_call(bytes, size) || wire_check_answer(bytes, size) ||
		wire_check_attach(bytes, size))
		BASE_ASSERT(wire_print_record(line, sizeof line, bytes, size) > 0);
	if (wire_check_message(bytes, size)) {
		struct wire_tail tail;
		wire_message_tail(bytes, &tail);
		BASE_ASSERT(tail.data == NULL || tail.data + tail.data_len == bytes + size);
		BASE_ASSERT(wire_print_message(line, sizeof line, bytes, size) > 0);
	}
}

/* The size in the header is made to fit, so that the fuzzer gets past it. */
static void visit_with_size(const uint8_t *data, size_t size)
{
	uint32_t value = (uint32_t)size;
	uint8_t *copy = malloc(size);
	BASE_ASSERT(copy != NULL);
	memcpy(copy, data, size);
	visit(copy, size);
	if (size >= sizeof value) {
		memcpy(copy, &value, sizeof value);
		visit(copy, size);
	}
	free(copy);
}

static void read_ring(const uint8_t *data, size_t size)
{
	static _Alignas(RING_PAGE) uint8_t page[RING_PAGE];
	uint8_t *area = calloc(1, AREA), *out = malloc(AREA);
	BASE_ASSERT(area != NULL && out != NULL);
	struct ring ring;
	struct ring_shared *shared = (void *)page;
	uint64_t tail = 0;
	memcpy(&tail, data, BASE_MIN(size, sizeof tail));
	size_t rest = size > sizeof tail ? BASE_MIN(size - sizeof tail, (size_t)AREA) : 0;
	if (rest > 0)
		memcpy(area, data + sizeof tail, rest);
	ring_init(&ring, page, area, AREA);
	/* Small ones are likelier to be plausible. */
	atomic_store(&shared->tail, tail >> 63 ? tail : tail & (2 * AREA - 1));
	for (int i = 0; i < AREA && ring_read(&ring, out, AREA) > 0; i++)
		ring_release(&ring);
	free(area);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	visit_with_size(data + 1, size - 1);
	if (data[0] & 1)
		read_ring(data + 1, size - 1);
	return 0;
}
