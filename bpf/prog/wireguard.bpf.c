/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What came through the WireGuard device: marked, because further on, after routing or
 * out of the tunnel, nothing else tells that it was encrypted. Whose it is needs no
 * proof here: the device gives out only what the peer with that key may send. What of it
 * is the host's own, in either direction, is judged by the host's policy.
 */
#include "base.h"

#include "guard.h"

/* Packets of this device begin with their IP header. Returns a drop reason or 0. */
VERIFIED_ONCE int parse_bare(struct __sk_buff *skb, struct pass *pass)
{
	if (!pass)
		return DROP_INVALID_PACKET;
	forget(skb, pass);
	pass->l3 = 0;
	pass->ethertype = skb->protocol;
	return parse_l3(skb, pass);
}

/* Returns a TC action. */
INLINE int guard_bare(struct __sk_buff *skb, bool towards)
{
	struct pass *pass = this_pass();
	int reason;

	if (!pass || !guarded_host())
		return TC_ACT_OK;
	ask_nothing(pass);
	pass->towards = towards;
	pass->came_by = towards ? skb->ifindex : skb->ingress_ifindex;
	pass->from_host = !pass->came_by;
	pass->tunnel_identity = 0;
	pass->gateway = 0;
	pass->encrypted = 1;
	reason = parse_bare(skb, pass);
	if (reason)
		return guard_unread(skb, reason);
	return towards ? guard_entering(skb) : guard_leaving(skb);
}

SEC("tc")
int from_wireguard(struct __sk_buff *skb)
{
	skb->mark = MARK_DECRYPTED;
	return guard_bare(skb, true);
}

SEC("tc")
int to_wireguard(struct __sk_buff *skb)
{
	return guard_bare(skb, false);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
