/* Photo files to 92x112 gray. Files come from anywhere: what is not a whole, sane picture is an
 * error in words, never a crash and never a wrong photo. */
#ifndef FACEVERIFY_PHOTOS_H
#define FACEVERIFY_PHOTOS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbp.h"

enum {
	PHOTO_FILE_MAX = 64 << 20,   /* bytes of a file */
	PHOTO_SIDE_MAX = 16384,      /* pixels */
	PHOTO_PIXELS_MAX = 64 << 20, /* bounds the memory that a small hostile file can ask for */
	PHOTO_ERROR_MAX = 256
};

/* A decoded picture: 8-bit gray, rows from the top. */
typedef struct photo_picture {
	uint32_t width, height;
	uint8_t *pixels; /* free() it */
} photo_picture;

/* Decodes PGM (P5, P2), JPEG or PNG, known by their first bytes, not by a name. False: *error. */
bool photo_decode(const uint8_t *bytes, size_t size, photo_picture *out,
				  char error[PHOTO_ERROR_MAX]);

/* Cuts the middle out in the shape 92:112 and scales it: each pixel is the mean of the area that it
 * covers. */
void photo_fit(const photo_picture *picture, uint8_t photo[LBP_PHOTO]);

/* Both, from a file. */
bool photo_load(const char *path, uint8_t photo[LBP_PHOTO], char error[PHOTO_ERROR_MAX]);

/* Whether the name ends like a photo's: .pgm, .jpg, .jpeg, .png in any case. */
bool photo_has_name(const char *name);

#endif
