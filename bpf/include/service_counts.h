/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What clients asked of frontends. Programs of packets cannot interrupt each other on one CPU and add plainly; those at
 * sockets can be interrupted by them and add atomically.
 */
#ifndef WEIR_SERVICE_COUNTS_H
#define WEIR_SERVICE_COUNTS_H

#include "counters.h"
#include "service_maps.h"

/* Not on the stack, of which callers have little left. */
static const struct service_count no_counts = {};

/* NULL: there is no room. */
INLINE struct service_count *counts_for(__u32 frontend, __u32 backend)
{
	struct service_count_key key = {.frontend = frontend, .backend = backend};
	struct service_count *counts = bpf_map_lookup_elem(&service_counts, &key);

	if (likely(counts))
		return counts;
	bpf_map_update_elem(&service_counts, &key, &no_counts, BPF_NOEXIST);
	counts = bpf_map_lookup_elem(&service_counts, &key);
	if (!counts)
		count_atomic(COUNTER_HELPER_FAILED);
	return counts;
}

INLINE void count_packets(__u32 frontend, __u32 backend, __u32 packets, __u32 bytes)
{
	struct service_count *counts = counts_for(frontend, backend);

	if (!counts)
		return;
	counts->packets += packets;
	counts->bytes += bytes;
}

INLINE void count_connection(__u32 frontend, __u32 backend)
{
	struct service_count *counts = counts_for(frontend, backend);

	if (counts)
		counts->connections++;
}

INLINE void count_flow_table(__u32 frontend, __u32 backend, bool hit)
{
	struct service_count *counts = counts_for(frontend, backend);

	if (!counts)
		return;
	if (hit)
		counts->flow_hits++;
	else
		counts->flow_misses++;
}

/* The rest of an address belongs to no frontend (0). */
INLINE void count_unserved(__u32 frontend)
{
	struct service_count *counts = frontend ? counts_for(frontend, 0) : NULL;

	if (counts)
		__sync_fetch_and_add(&counts->no_backend, 1);
}

INLINE void count_denied(__u32 frontend)
{
	struct service_count *counts = frontend ? counts_for(frontend, 0) : NULL;

	if (counts)
		counts->denied++;
}

#endif
