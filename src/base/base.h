/* What every module may use: assertions that stay on, arithmetic, hashing, random numbers. */
#ifndef FRACTOS_BASE_H
#define FRACTOS_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What only our own bug can break. On in release. */
#define BASE_ASSERT(condition) \
	((condition) ? (void)0 : base_assert_failed(#condition, __FILE__, __LINE__))
_Noreturn void base_assert_failed(const char *condition, const char *file, int line);

#define BASE_MIN(a, b)                    ((a) < (b) ? (a) : (b))
#define BASE_MAX(a, b)                    ((a) > (b) ? (a) : (b))
#define BASE_COUNT(array)                 (sizeof(array) / sizeof((array)[0]))
#define BASE_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* n rounded up to a multiple of align, a power of two. */
static inline uint64_t base_align_up(uint64_t n, uint64_t align)
{
	return (n + align - 1) & ~(align - 1);
}

/* Whether [offset, offset+length) lies inside [0, size); safe against overflow. */
static inline bool base_range_inside(uint64_t offset, uint64_t length, uint64_t size)
{
	return offset <= size && length <= size - offset;
}

/* A bijective mix of 64 bits (the finaliser of SplitMix64: Steele, Lea, Flood 2014). */
static inline uint64_t base_mix64(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9u;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

/* Deterministic random numbers (SplitMix64): for simulations, generators and ids; not for secrets.
 */
struct base_random {
	uint64_t state;
};
static inline uint64_t base_random_next(struct base_random *random)
{
	random->state += 0x9e3779b97f4a7c15u;
	return base_mix64(random->state);
}
/* In [0, bound); bound at least 1. The bias is below bound / 2^64. */
static inline uint64_t base_random_below(struct base_random *random, uint64_t bound)
{
	return (uint64_t)(((unsigned __int128)base_random_next(random) * bound) >> 64);
}

#endif
