/* See histogram.h. A value's bucket follows from its highest bits: `shift` says how many of the
 * lower ones are left away. */
#include "histogram.h"

enum { LINEAR = 1 << HISTOGRAM_BITS };

static unsigned shift_of(uint64_t value)
{
	return value < LINEAR ? 0 : (unsigned)(63 - __builtin_clzll(value)) - HISTOGRAM_BITS;
}

/* Buckets of one shift above 0 follow each other, behind those of smaller ones. */
static unsigned bucket_of(uint64_t value)
{
	unsigned shift = shift_of(value);
	return (shift << HISTOGRAM_BITS) + (unsigned)(value >> shift);
}

static uint64_t middle_of(unsigned bucket)
{
	if (bucket < 2 * LINEAR)
		return bucket;
	unsigned shift = (bucket >> HISTOGRAM_BITS) - 1;
	uint64_t high = LINEAR + bucket % LINEAR;
	return (high << shift) + (UINT64_C(1) << shift) / 2;
}

void histogram_add(struct histogram *h, uint64_t value)
{
	if (h->count == 0 || value < h->least)
		h->least = value;
	if (h->count == 0 || value > h->greatest)
		h->greatest = value;
	h->count++;
	if (value < HISTOGRAM_LIMIT)
		h->buckets[bucket_of(value)]++;
	else
		h->overflow++;
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
	if (from->count == 0)
		return;
	if (h->count == 0 || from->least < h->least)
		h->least = from->least;
	if (h->count == 0 || from->greatest > h->greatest)
		h->greatest = from->greatest;
	h->count += from->count;
	h->overflow += from->overflow;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		h->buckets[i] += from->buckets[i];
}

uint64_t histogram_quantile(const struct histogram *h, double quantile)
{
	if (h->count == 0)
		return 0;
	double wanted = quantile * (double)h->count;
	uint64_t below = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		below += h->buckets[i];
		if (below == 0 || (double)below < wanted)
			continue;
		/* The middle of the outermost buckets may lie beyond what was recorded. */
		uint64_t value = middle_of(i);
		return value < h->least ? h->least : value > h->greatest ? h->greatest : value;
	}
	return h->greatest;
}
