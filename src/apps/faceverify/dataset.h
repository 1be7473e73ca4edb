/* What is verified: a gallery photo for each identity and probes, each a photo with a claimed
 * identity. From a folder of real photos or from the generator; the same seed makes the same set.
 *
 * Half of the probes, drawn by the seed, claim an identity that is not theirs. The set also holds
 * calibration pairs, from which the threshold is chosen before any probe is looked at: with the
 * generator, pairs of a second population; with a folder, pairs of probe photos of the same and of
 * different identities, which no probe compares. */
#ifndef FACEVERIFY_DATASET_H
#define FACEVERIFY_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbp.h"
#include "photos.h"

enum { DATASET_NAME_MAX = 200, DATASET_IDENTITIES_MAX = 4096, DATASET_PROBES_MAX = 16384 };

typedef struct dataset_identity {
	char name[DATASET_NAME_MAX];
	uint8_t photo[LBP_PHOTO];
} dataset_identity;

typedef struct dataset_probe {
	bool genuine;     /* the claim is true */
	char *error;      /* why there is no photo; NULL: there is one */
	char *source;     /* its file, or what the generator made */
	const char *name; /* the claimed identity; borrowed from the identities */
} dataset_probe;

typedef struct dataset {
	dataset_identity *identities;
	uint32_t identity_count;
	dataset_probe *probes;
	uint32_t probe_count;
	uint8_t *photos;           /* one for each probe, in their order; black where there is none */
	float *genuine, *impostor; /* distances of the calibration pairs */
	uint32_t genuine_count, impostor_count;
	uint32_t unreadable; /* photo files that could not be used, probes included */
} dataset;

typedef struct dataset_options {
	const char *folder;  /* NULL: the generator */
	uint32_t identities; /* of the generator */
	uint32_t probes;     /* 0: of a folder, every photo that is not in the gallery, once */
	uint64_t seed;
	void (*complain)(const char *text); /* told of each photo that cannot be used */
} dataset_options;

/* Makes the set; on false *error says why, and nothing is left. dataset_free() it. */
bool dataset_make(const dataset_options *options, dataset *out, char error[PHOTO_ERROR_MAX]);
void dataset_free(dataset *set);

#endif
