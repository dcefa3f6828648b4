/* SPDX-License-Identifier: Apache-2.0 */
/* Times in buckets an eighth of a power of two wide (12 % at most off), in microseconds. */
#pragma once

#include <stdint.h>

#define HISTOGRAM_BUCKETS 512

struct histogram {
	uint64_t count, max_us;
	uint32_t buckets[HISTOGRAM_BUCKETS];
};

static inline void histogram_add(struct histogram *histogram, uint64_t ns)
{
	uint64_t us = ns / 1000;
	unsigned shift = us < 16 ? 0 : 60u - (unsigned)__builtin_clzll(us);
	unsigned bucket = shift * 8 + (unsigned)(us >> shift);

	histogram->buckets[bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1]++;
	histogram->count++;
	if (us > histogram->max_us)
		histogram->max_us = us;
}

/* The upper edge of the bucket in which the given share of all lies. */
static inline double histogram_ms(const struct histogram *histogram, double share)
{
	uint64_t wanted = (uint64_t)((double)histogram->count * share), passed = 0;

	for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS && histogram->count > 0; bucket++) {
		passed += histogram->buckets[bucket];
		if (passed <= wanted && passed < histogram->count)
			continue;
		unsigned shift = bucket < 16 ? 0 : bucket / 8 - 1;
		uint64_t us = ((uint64_t)(bucket - shift * 8) + 1) << shift;

		return (double)(us < histogram->max_us ? us : histogram->max_us) / 1000;
	}
	return 0;
}
