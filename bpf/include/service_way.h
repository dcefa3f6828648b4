/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The way of a packet that this host sends on for a client, past its stack: to the next hop of its routes, or into the
 * tunnel. What a router would tell the sender is told while the packet is still as it came.
 */
#ifndef WEIR_SERVICE_WAY_H
#define WEIR_SERVICE_WAY_H

#include "leave.h"
#include "serving.h"
#include "tell.h"

/* Not for a frontend: whoever is asked next decides. Not one of the TC actions. */
#define NOT_SERVED (-2)

/*
 * Nothing more is to be cut: IPv6, or IPv4 that says so. Other IPv4 is cut outside the tunnel, by its device. By a route
 * nobody cuts what goes past the stack, so its sender is told as if it had said so.
 */
INLINE bool is_whole(struct __sk_buff *skb, const struct pass *pass)
{
	__be16 fragment;

	if (pass->tuple.family == 6)
		return true;
	if (LOAD(skb, pass->l3 + offsetof(struct ipv4, fragment), &fragment))
		return true;
	return fragment & bpf_htons(IPV4_DONT_FRAGMENT);
}

INLINE int is_too_big(struct __sk_buff *skb, struct pass *pass, __u32 mtu)
{
	refuse_for(pass, NULL, DROP_FRAGMENTATION_NEEDED);
	return tell_too_big(skb, pass, mtu);
}

/* The next hop from serving->as to serving->to by the host's routes. Returns a drop reason or 0, and the MTU that it is longer than. */
VERIFIED_ONCE int find_hop(struct __sk_buff *skb, __u32 length, __u32 *mtu)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	struct bpf_fib_lookup fib = {};
	long result;

	if (!serving || !pass || !mtu)
		return DROP_NO_FIB;
	fib.l4_protocol = pass->tuple.protocol;
	fib.tot_len = length;
	fib.ifindex = skb->ifindex;
	if (pass->tuple.family == 4) {
		fib.family = AF_INET;
		fib.ipv4_src = address_words(serving->as.addr)[3];
		fib.ipv4_dst = address_words(serving->to.addr)[3];
	} else {
		fib.family = AF_INET6;
		__builtin_memcpy(fib.ipv6_src, serving->as.addr, 16);
		__builtin_memcpy(fib.ipv6_dst, serving->to.addr, 16);
	}
	result = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	if (result == BPF_FIB_LKUP_RET_FRAG_NEEDED) {
		*mtu = fib.mtu_result;
		return DROP_FRAGMENTATION_NEEDED;
	}
	if (result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH)
		return DROP_NO_FIB;
	serving->ifindex = fib.ifindex;
	serving->hop.nh_family = fib.family;
	__builtin_memcpy(serving->hop.ipv6_nh, fib.ipv6_dst, 16);
	if (skb->gso_size && bpf_check_mtu(skb, fib.ifindex, mtu, 0, BPF_MTU_CHK_SEGS) > 0)
		return DROP_FRAGMENTATION_NEEDED;
	return 0;
}

/*
 * How the packet goes from serving->as to serving->to, while it is still as it came: NOT_SERVED when it can, else a TC
 * action, and its sender has been told why.
 */
VERIFIED_ONCE int find_way(struct __sk_buff *skb)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	const struct tunnel *tunnel;
	__u32 mtu = 0;
	bool small;
	int reason;

	if (!serving || !pass)
		return TC_ACT_SHOT;
	if (pass->ttl <= 1) {
		refuse_for(pass, NULL, DROP_TTL_EXCEEDED);
		return tell_time_exceeded(skb, pass);
	}
	small = pass->bytes <= SMALLEST_MTU;
	tunnel = serving->host ? tunnel_to(serving->host) : NULL;
	if (tunnel) {
		serving->ifindex = tunnel->ifindex;
		if (!small && is_whole(skb, pass) &&
			bpf_check_mtu(skb, tunnel->ifindex, &mtu, 0, skb->gso_size ? BPF_MTU_CHK_SEGS : 0) > 0)
			return is_too_big(skb, pass, mtu);
		return NOT_SERVED;
	}
	serving->host = 0;
	reason = find_hop(skb, small || skb->gso_size ? 0 : pass->bytes, &mtu);
	if (reason == DROP_FRAGMENTATION_NEEDED)
		return is_too_big(skb, pass, mtu);
	return reason ? refuse_for(pass, NULL, reason) : NOT_SERVED;
}

/* The packet is translated: off it goes, as find_way() has found. Returns a TC action. */
VERIFIED_ONCE int go_elsewhere(struct __sk_buff *skb)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	const struct tunnel *tunnel;
	int reason;

	if (!serving || !pass)
		return TC_ACT_SHOT;
	if (!serving->host)
		return bpf_redirect_neigh(serving->ifindex, &serving->hop, sizeof(serving->hop), 0);
	tunnel = tunnel_to(serving->host);
	if (!tunnel)
		return refuse_for(pass, NULL, DROP_NO_TUNNEL_ENDPOINT);
	/* policy is to see who asks, and that is the world */
	reason = set_tunnel(skb, tunnel, pass->tuple.family == 4 ? IDENTITY_WORLD_IPV4 : IDENTITY_WORLD_IPV6);
	if (reason)
		return refuse_for(pass, NULL, reason);
	return bpf_redirect(tunnel->ifindex, 0);
}

#endif
