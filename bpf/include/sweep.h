/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The walk over all connections that makes counts exact: what nobody reported
 * because the traffic stopped, and what is left when an entry dies. Runs in process
 * context; the kernel takes the RCU lock anew for each bucket, so a long walk
 * delays nobody.
 */
#ifndef WEIR_SWEEP_H
#define WEIR_SWEEP_H

#include "conntrack.h"

#define SWEEP_GRACE_NS NS_PER_SECOND /* see conntrack.h: life */

struct bpf_map;

struct sweep {
	__u64 now_ns;
	__u64 entries;
	__u64 reported;
	__u64 expired;
	__u64 deferred;
	__u32 flags;
	__u32 ifindex; /* whose connections end now; 0 = nobody's */
};

INLINE bool is_due(const struct ct_direction *direction, const struct sweep *sweep)
{
	if (!direction->new_packets)
		return false;
	return (sweep->flags & SWEEP_REPORT_ALL) || !direction->reported_ns ||
	       is_interval_over(direction, sweep->now_ns);
}

/* Returns false when there is something to report and it must wait. */
INLINE bool sweep_direction(struct sweep *sweep, struct ct_key *key, struct ct_entry *entry, bool reply, __u32 report)
{
	struct ct_direction *direction = reply ? &entry->reply : &entry->orig;
	int result;

	if (!direction->reported_ns && report == REPORT_INTERVAL)
		report = REPORT_FIRST;
	result = report_flow(key, entry, reply, report);
	if (result > 0)
		sweep->reported++;
	if (result < 0)
		sweep->deferred++;
	return result >= 0;
}

static long sweep_entry(struct bpf_map *map, struct ct_key *place, struct ct_entry *entry, struct sweep *sweep)
{
	__u64 expires = entry->expires_ns;
	struct ct_key key = *place;

	sweep->entries++;
	if (expires + SWEEP_GRACE_NS > sweep->now_ns && (!sweep->ifindex || entry->ifindex != sweep->ifindex)) {
		if (is_due(&entry->orig, sweep))
			sweep_direction(sweep, &key, entry, false, REPORT_INTERVAL);
		if (is_due(&entry->reply, sweep))
			sweep_direction(sweep, &key, entry, true, REPORT_INTERVAL);
		return 0;
	}
	if (expires && __sync_val_compare_and_swap(&entry->expires_ns, expires, 0) != expires)
		return 0; /* a packet has just started it anew */
	if (!sweep_direction(sweep, &key, entry, false, REPORT_EXPIRED) ||
		!sweep_direction(sweep, &key, entry, true, REPORT_EXPIRED))
		return 0; /* stays claimed; the next sweep finds it */
	if (bpf_map_delete_elem(&conntrack, &key)) {
		count_atomic(COUNTER_HELPER_FAILED);
		return 0;
	}
	count_atomic(COUNTER_CT_EXPIRED);
	sweep->expired++;
	return 0;
}

#endif
