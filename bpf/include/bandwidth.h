/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Rates of workloads, both ways: a token bucket in one number, as in throttle.h.
 * Asked before conntrack, so that a dropped packet is in no connection's counts;
 * only workloads with a limit pay for the lookup.
 *
 * Where the uplinks have sch_fq (`pacing`), what a workload sends to elsewhere is not dropped but gets the time at which
 * it is to leave, and fq keeps it until then; the horizon says for how long at most. What stays on the host meets no
 * uplink: it is in a bucket of its own at the same rate, so that nothing that waits for the uplink holds it up.
 */
#ifndef WEIR_BANDWIDTH_H
#define WEIR_BANDWIDTH_H

#include "config.h"
#include "counters.h"
#include "ipcache.h"
#include "local.h"

/* How often another CPU may be faster before we let the packet pass. */
#define BANDWIDTH_TRIES 4

/* Do uplinks keep packets back until their time? */
INLINE bool is_pacing(void)
{
	const __u32 *on, key = 0;

	on = bpf_map_lookup_elem(&pacing, &key);
	return on && *on;
}

/* To this host or one of its workloads. */
INLINE bool stays_here(const struct pass *pass)
{
	struct prefix_key key = {.prefixlen = ADDRESS_BITS};
	const struct ipcache_value *owner;

	if (find_local(pass->tuple.daddr))
		return true;
	__builtin_memcpy(key.addr, pass->tuple.daddr, sizeof(key.addr));
	owner = bpf_map_lookup_elem(&ipcache, &key);
	return owner && owner->identity == IDENTITY_HOST;
}

/* Takes the packet's bytes from the rate. Returns a drop reason or 0. */
VERIFIED_ONCE int check_bandwidth(struct __sk_buff *skb, const struct pass *pass, const struct workload *workload)
{
	__u64 rate, now, paid, from, *clock, horizon = bandwidth_horizon_ns;
	struct bandwidth *bandwidth;
	bool paced = false;
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
	if (!pass->towards && is_pacing()) {
		paced = !stays_here(pass);
		if (paced)
			horizon = pacing_horizon_ns;
		else
			clock = &bandwidth->here_paid_ns;
	}
	now = bpf_ktime_get_ns();
	for (tries = 0; tries < BANDWIDTH_TRIES; tries++) {
		paid = *clock;
		from = paid > now ? paid : now;
		if (from - now > horizon)
			return DROP_EDT_HORIZON;
		if (__sync_val_compare_and_swap(clock, paid, from + pass->bytes * NS_PER_SECOND / rate) != paid)
			continue;
		if (paced && from > now) {
			if (bpf_skb_set_tstamp(skb, from, BPF_SKB_TSTAMP_DELIVERY_MONO))
				count(COUNTER_HELPER_FAILED);
			else
				count(COUNTER_PACED);
		}
		return 0;
	}
	return 0;
}

#endif
