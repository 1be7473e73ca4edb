/* The text of kernels/face.cl, part of the program (see embed.py). */
#ifndef FACEVERIFY_KERNEL_H
#define FACEVERIFY_KERNEL_H

extern const char face_kernel_source[];        /* zero-terminated */
extern const unsigned face_kernel_source_size; /* without the zero */

#endif
