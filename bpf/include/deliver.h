/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * From workload to workload of one host, past the host's stack: what the router
 * would have done (hop limit, MACs), then straight into the other namespace.
 */
#ifndef WEIR_DELIVER_H
#define WEIR_DELIVER_H

#include "tunnel.h"

#define SMALLEST_MTU 1280 /* of IPv6; no interface here has less */

/*
 * What only a router can answer: the last hop was this one, or the packet does not
 * fit. The stack sends the error, or fragments; GSO packets are cut to fit later.
 */
INLINE bool needs_router(struct __sk_buff *skb, const struct pass *pass)
{
	__u32 mtu = 0;

	if (pass->ttl <= 1)
		return true;
	if (pass->bytes <= SMALLEST_MTU || skb->gso_size)
		return false;
	return bpf_check_mtu(skb, pass->target, &mtu, 0, 0) == BPF_MTU_CHK_RET_FRAG_NEEDED;
}

/* The same before a tunnel. What is behind it cuts nothing: the segments of a GSO packet must fit too. */
INLINE bool needs_router_to_tunnel(struct __sk_buff *skb, const struct pass *pass, __u32 ifindex)
{
	__u32 mtu = 0;

	if (pass->ttl <= 1)
		return true;
	if (pass->bytes <= SMALLEST_MTU)
		return false;
	return bpf_check_mtu(skb, ifindex, &mtu, 0, skb->gso_size ? BPF_MTU_CHK_SEGS : 0) > 0;
}

/* Only the few bytes that change are written, so a cloned packet's payload is never copied. */
INLINE long decrement_ttl(struct __sk_buff *skb, const struct pass *pass)
{
	struct {
		__u8 ttl;
		__u8 protocol;
		__u16 checksum;
	} after;
	__u8 hop_limit;
	__u32 sum;

	if (pass->tuple.family == 6) {
		hop_limit = pass->ttl - 1;
		return bpf_skb_store_bytes(skb, pass->l3 + offsetof(struct ipv6, hop_limit), &hop_limit,
			sizeof(hop_limit), BPF_F_RECOMPUTE_CSUM);
	}
	sum = pass->ip4_checksum + bpf_htons(0x0100); /* RFC 1141; a full checksum over L3 stays what it was */
	after.ttl = pass->ttl - 1;
	after.protocol = pass->tuple.protocol;
	after.checksum = sum + (sum >= 0xffff);
	return bpf_skb_store_bytes(skb, pass->l3 + offsetof(struct ipv4, ttl), &after, sizeof(after), 0);
}

/* Returns a TC action. */
VERIFIED_ONCE int hand_over(struct __sk_buff *skb, struct pass *pass, struct workload *target)
{
	__u8 macs[12];

	if (!pass || !target)
		return TC_ACT_SHOT;
	__builtin_memcpy(macs, target->mac, 6);
	__builtin_memcpy(macs + 6, target->host_mac, 6);
	if (decrement_ttl(skb, pass) || bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0)) {
		count(COUNTER_HELPER_FAILED);
		return refuse_for(pass, target, DROP_WRITE_ERROR);
	}
	count(COUNTER_REDIRECTED);
	return bpf_redirect_peer(target->ifindex, 0);
}

/*
 * From a workload to another host, past the host's stack. What only a router can answer
 * goes to the stack, whose route leads to the same device: see overlay.bpf.c. Returns a TC action.
 */
VERIFIED_ONCE int send_by_tunnel(struct __sk_buff *skb, struct pass *pass, struct workload *workload)
{
	const struct tunnel *tunnel;
	int reason;

	if (!pass || !workload)
		return TC_ACT_SHOT;
	tunnel = tunnel_to(pass->peer_host);
	if (!tunnel || needs_router_to_tunnel(skb, pass, tunnel->ifindex))
		return TC_ACT_OK;
	reason = set_tunnel(skb, tunnel, workload->identity);
	if (!reason && decrement_ttl(skb, pass)) {
		count(COUNTER_HELPER_FAILED);
		reason = DROP_WRITE_ERROR;
	}
	if (reason)
		return refuse_for(pass, workload, reason);
	count(COUNTER_TUNNELLED);
	return bpf_redirect(tunnel->ifindex, 0);
}

#endif
