/* Hides bytes from everybody, where AddressSanitizer watches: for pools, whose blocks it cannot
 * tell from each other. So it sees a use after the end of a record's life, and behind its size. */
#ifndef FRACTOS_HIDE_H
#define FRACTOS_HIDE_H

#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BASE_HIDES
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define BASE_HIDES
#endif

#ifdef BASE_HIDES
#include <sanitizer/asan_interface.h>
#endif

static inline void base_hide(const void *at, size_t size)
{
#ifdef BASE_HIDES
	__asan_poison_memory_region(at, size);
#else
	(void)at, (void)size;
#endif
}

static inline void base_show(const void *at, size_t size)
{
#ifdef BASE_HIDES
	__asan_unpoison_memory_region(at, size);
#else
	(void)at, (void)size;
#endif
}

#endif
