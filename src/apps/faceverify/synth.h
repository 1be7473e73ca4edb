/* Synthetic faces: data for those who have no photos at hand, and for tests that must repeat.
 *
 * An identity is a shape (outline, eyes, brows, nose, mouth, hair: places and sizes) and a texture
 * (skin), drawn once from (seed, number). A photo of it varies light, pose, scale, blur and noise,
 * drawn from the photo's number. Everything is integer arithmetic: the same numbers give the same
 * bytes on every machine. Hard on purpose: some photos are dark, turned or noisy enough that the
 * best threshold still errs. */
#ifndef FACEVERIFY_SYNTH_H
#define FACEVERIFY_SYNTH_H

#include <stdint.h>

#include "lbp.h"

enum { SYNTH_MAP = 160 }; /* the side of an identity's map, pixels */

typedef struct synth_identity {
	uint64_t key;                      /* of its photos' variations */
	uint8_t map[SYNTH_MAP][SYNTH_MAP]; /* the face from the front in even light */
} synth_identity;

/* Draws identity `number` of the population `seed`. About 2 ms. */
void synth_make_identity(synth_identity *identity, uint64_t seed, uint32_t number);

/* Photo `number` of an identity. About 0.2 ms. */
void synth_make_photo(const synth_identity *identity, uint32_t number, uint8_t photo[LBP_PHOTO]);

#endif
