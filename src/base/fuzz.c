/* See fuzz.h. */
#include <string.h>

#include "base/base.h"
#include "base/fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
								 uint8_t *out, size_t max_size, unsigned seed);

/* ------------------------------------------------------------------ the input */

uint64_t choose(struct choices *choices, unsigned bytes)
{
	uint64_t value = 0;
	size_t size = BASE_MIN((size_t)bytes, choices->left);
	if (size > 0)
		memcpy(&value, choices->at, size);
	choices->at += size;
	choices->left -= size;
	return value;
}

bool fuzz_operation(struct choices *program, uint8_t *what, struct choices *choices)
{
	if (program->left < 2)
		return false;
	*what = (uint8_t)choose(program, 1);
	size_t length = choose(program, 1);
	length = BASE_MIN(length, program->left);
	*choices = (struct choices){program->at, length};
	program->at += length;
	program->left -= length;
	return true;
}

/* ------------------------------------------------------------------ mutation by operations */

enum { OPERATIONS_MAX = 1024, NEW_MAX = 28 };

/* Where operations begin, and at last where the program ends. */
static unsigned starts_of(const uint8_t *data, size_t size, size_t starts[OPERATIONS_MAX + 1])
{
	unsigned count = 0;
	size_t at = 0;
	while (at + 2 <= size && count < OPERATIONS_MAX) {
		starts[count++] = at;
		at = BASE_MIN(size, at + 2 + data[at + 1]);
	}
	starts[count] = at;
	return count;
}

/* Replaces [from, to) by new bytes; returns the new size, or the old one where it does not fit. */
static size_t splice(uint8_t *data, size_t size, size_t max_size, size_t from, size_t to,
					 const uint8_t *bytes, size_t length)
{
	if (size - (to - from) + length > max_size)
		return size;
	memmove(data + from + length, data + to, size - to);
	if (length > 0)
		memcpy(data + from, bytes, length);
	return size - (to - from) + length;
}

static size_t new_operation(struct base_random *random, uint8_t out[2 + NEW_MAX])
{
	size_t length = base_random_below(random, NEW_MAX);
	out[0] = (uint8_t)base_random_next(random);
	out[1] = (uint8_t)length;
	/* Small choices take what is newest. */
	for (size_t i = 0; i < length; i++) {
		uint8_t byte = (uint8_t)base_random_next(random);
		out[2 + i] = base_random_below(random, 2) ? byte : byte & 15;
	}
	return 2 + length;
}

static size_t mutate_choices(uint8_t *data, size_t size, size_t max_size, size_t start)
{
	uint8_t operation[2 + UINT8_MAX];
	size_t length = BASE_MIN((size_t)data[start + 1], size - start - 2);
	memcpy(operation + 2, data + start + 2, length);
	operation[0] = data[start];
	operation[1] = (uint8_t)LLVMFuzzerMutate(operation + 2, length, UINT8_MAX);
	return splice(data, size, max_size, start, start + 2 + length, operation, 2u + operation[1]);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	struct base_random random = {.state = seed};
	size_t starts[OPERATIONS_MAX + 1];
	uint8_t operation[2 + UINT8_MAX];
	unsigned count = starts_of(data, size, starts);
	size = starts[count];
	unsigned how = count == 0 ? 0 : (unsigned)base_random_below(&random, 10);
	unsigned one = count == 0 ? 0 : (unsigned)base_random_below(&random, count);
	unsigned place = (unsigned)base_random_below(&random, count + 1u);
	size_t from = starts[one], to = count == 0 ? from : starts[one + 1];
	switch (how) {
	case 0:
	case 1: /* a new one */
		return splice(data, size, max_size, starts[place], starts[place], operation,
					  new_operation(&random, operation));
	case 2: /* one less */
		return splice(data, size, max_size, from, to, NULL, 0);
	case 3: /* the same again, elsewhere */
		memcpy(operation, data + from, to - from);
		return splice(data, size, max_size, starts[place], starts[place], operation, to - from);
	case 4: /* another with the same choices */
		data[from] = (uint8_t)base_random_next(&random);
		return size;
	case 5: /* without its end */
		return count > 1 ? starts[place] : size;
	default:
		return mutate_choices(data, size, max_size, from);
	}
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
								 uint8_t *out, size_t max_size, unsigned seed)
{
	struct base_random random = {.state = seed};
	size_t a_starts[OPERATIONS_MAX + 1], b_starts[OPERATIONS_MAX + 1];
	unsigned a_count = starts_of(a, a_size, a_starts), b_count = starts_of(b, b_size, b_starts);
	size_t head = a_starts[base_random_below(&random, a_count + 1u)];
	size_t from = b_starts[base_random_below(&random, b_count + 1u)];
	size_t tail = BASE_MIN(b_starts[b_count] - from, max_size - BASE_MIN(head, max_size));
	head = BASE_MIN(head, max_size);
	memcpy(out, a, head);
	memcpy(out + head, b + from, tail);
	return head + tail;
}
