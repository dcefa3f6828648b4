/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Rates of workloads, both ways: a token bucket in one number, as in throttle.h.
 * Asked before conntrack, so that a dropped packet is in no connection's counts;
 * only workloads with a limit pay for the lookup.
 */
#ifndef WEIR_BANDWIDTH_H
#define WEIR_BANDWIDTH_H

#include "config.h"
#include "counters.h"

/* How often another CPU may be faster before we let the packet pass. */
#define BANDWIDTH_TRIES 4

/* Takes the packet's bytes from the rate. Returns a drop reason or 0. */
VERIFIED_ONCE int check_bandwidth(const struct pass *pass, const struct workload *workload)
{
	__u64 rate, now, paid, from, *clock;
	struct bandwidth *bandwidth;
	__u32 ifindex;
	int tries;

	if (!pass || !workload)
		return 0;
	ifindex = workload->ifindex;
	bandwidth = bpf_map_lookup_elem(&bandwidths, &ifindex);
	if (!bandwidth)
		return 0;
	rate = pass->towards ? bandwidth->ingress_bytes_per_second : bandwidth->egress_bytes_per_second;
	clock = pass->towards ? &bandwidth->ingress_paid_ns : &bandwidth->egress_paid_ns;
	if (!rate)
		return 0;
	now = bpf_ktime_get_ns();
	for (tries = 0; tries < BANDWIDTH_TRIES; tries++) {
		paid = *clock;
		from = paid > now ? paid : now;
		if (from - now > bandwidth_horizon_ns)
			return DROP_EDT_HORIZON;
		if (__sync_val_compare_and_swap(clock, paid, from + pass->bytes * NS_PER_SECOND / rate) == paid)
			return 0;
	}
	return 0;
}

#endif
