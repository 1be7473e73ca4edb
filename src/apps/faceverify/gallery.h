/* The gallery: one file of LBP_PHOTO bytes for each identity, /gallery/<identity> of the fs
 * service. Enrols identities, and knows their files by name for those who verify. */
#ifndef FACEVERIFY_GALLERY_H
#define FACEVERIFY_GALLERY_H

#include <stdint.h>

#include <fractos/fs.h>

#include "lbp.h"

enum { GALLERY_NAME_MAX = 200, GALLERY_ERROR_MAX = 512 };

typedef struct gallery gallery;

/* An empty table. NULL: no memory. gallery_free() it. */
gallery *gallery_new(void);
void gallery_free(gallery *known);

typedef struct gallery_entry {
	const char *name;     /* fits a file name: no '/', not "." or ".." */
	const uint8_t *photo; /* LBP_PHOTO bytes */
} gallery_entry;

/* Stores the photos, makes them durable and remembers the files; an identity that is there already
 * gets the new photo. Blocks; `progress` (may be NULL) is told how many are done. *error says what
 * was wrong. */
FOS_CHECKED fos_status gallery_enrol(gallery *known, fos_channel *ch, fos_cap fs,
									 const gallery_entry *entries, uint32_t count,
									 void (*progress)(uint32_t done, uint32_t count),
									 char error[GALLERY_ERROR_MAX]);

/* The file of an identity: remembered, or asked of `fs` and then remembered. Blocks only in the
 * second case. NOT_FOUND: nobody enrolled it; INVALID: no name of an identity, or its file is not
 * a photo; others of fos_fs_open(). */
FOS_CHECKED fos_status gallery_find(gallery *known, fos_channel *ch, fos_cap fs, const char *name,
									uint64_t *file);

#endif
