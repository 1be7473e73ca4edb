/* Where a batch's time went, from the spans that the Controllers recorded of it. */
#ifndef FACEVERIFY_WHERE_H
#define FACEVERIFY_WHERE_H

#include <stdbool.h>
#include <stdint.h>

#include <fractos/recorder.h>

typedef enum where_part {
	WHERE_READ,     /* blk works for us, apart from its copies */
	WHERE_TRANSFER, /* bytes are copied: from setting out to the last one landed */
	WHERE_COMPUTE,  /* gpu works for us, apart from its copies */
	WHERE_CONTROL,  /* none of these: messages are on their way, or somebody decides */
	WHERE_PARTS
} where_part;

enum { WHERE_COLUMNS = 48, WHERE_LEVELS = 8 };

typedef struct where_picture {
	double total_us;
	double us[WHERE_PARTS]; /* adds up to total_us: an instant with several parts is shared */
	uint8_t busy[WHERE_CONTROL][WHERE_COLUMNS]; /* of each column's time, 0 to WHERE_LEVELS */
} where_picture;

/* The batch lasted from `begin` to `end` (ns of CLOCK_MONOTONIC). */
void where_make(const fos_recorder_span *spans, uint32_t count, uint64_t begin, uint64_t end,
				where_picture *out);

/* Whether the spans of the batch's pieces, which carry the traces from `first` on, are all there:
 * of each piece blk's and gpu's deliveries and the copies that every mode makes. Services finish
 * their deliveries behind the answer, so the last ones may come after it. */
bool where_is_whole(const fos_recorder_span *spans, uint32_t count, uint64_t first,
					uint32_t pieces);

const char *where_part_name(where_part part);

#endif
