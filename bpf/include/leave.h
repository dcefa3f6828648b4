/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The ways by which a packet gets to its egress gateway, out of it, and back to who sent it. All go past the host's
 * stack, whose routes know nothing of gateways; what only a router can answer (the last hop) goes to it and no further.
 *
 * An answer that is too long for the tunnel goes to the stack too, whose route leads to the same device: it cuts the
 * packet or tells the sender (overlay.bpf.c takes it from there). Natively that route leads elsewhere: there the
 * outer packet is sent in fragments where the underlay is IPv4 (over IPv6 no router and no tunnel device cuts).
 */
#ifndef WEIR_LEAVE_H
#define WEIR_LEAVE_H

#include "deliver.h"
#include "egress.h"
#include "local.h"

/* One hop less. Returns a drop reason or 0. */
INLINE int take_hop(struct __sk_buff *skb, const struct pass *pass)
{
	if (!decrement_ttl(skb, pass))
		return 0;
	count(COUNTER_HELPER_FAILED);
	return DROP_WRITE_ERROR;
}

/* By this host's gateway, pass->gateway: to_uplink gives it the gateway's address. Returns a TC action. */
VERIFIED_ONCE int leave_here(struct __sk_buff *skb, struct pass *pass, struct workload *workload)
{
	const struct egress_gateway *gateway;
	int reason;

	if (!pass)
		return TC_ACT_SHOT;
	gateway = find_gateway(pass->gateway);
	if (!gateway || !gateway->ifindex)
		return refuse_for(pass, workload, DROP_NO_EGRESS_IP);
	if (needs_router_to_tunnel(skb, pass, gateway->ifindex))
		return bpf_skb_change_type(skb, 0 /* PACKET_HOST */) ? TC_ACT_SHOT : TC_ACT_OK;
	reason = take_hop(skb, pass);
	if (reason)
		return refuse_for(pass, workload, reason);
	count(COUNTER_EGRESS);
	return bpf_redirect_neigh(gateway->ifindex, NULL, 0, 0);
}

/* From a workload to its gateway. Returns a TC action. */
VERIFIED_ONCE int send_to_gateway(struct __sk_buff *skb, struct pass *pass, struct workload *workload)
{
	const struct egress_gateway *gateway;
	const struct tunnel *tunnel;
	int reason;

	if (!pass || !workload)
		return TC_ACT_SHOT;
	if (pass->ttl <= 1)
		return TC_ACT_OK;
	gateway = find_gateway(pass->gateway);
	if (!gateway)
		return refuse_for(pass, workload, DROP_NO_EGRESS_GATEWAY);
	if (!gateway->host)
		return leave_here(skb, pass, workload);
	tunnel = find_tunnel(gateway->host);
	if (!tunnel || !tunnel->ifindex)
		return refuse_for(pass, workload, DROP_NO_TUNNEL_ENDPOINT);
	reason = set_tunnel(skb, tunnel, workload->identity);
	if (!reason)
		reason = take_hop(skb, pass);
	if (reason)
		return refuse_for(pass, workload, reason);
	count(COUNTER_EGRESS);
	return bpf_redirect(tunnel->ifindex, 0);
}

/* Too long for the tunnel, and the stack knows better what to do with it. */
INLINE bool needs_router_back(struct __sk_buff *skb, const struct pass *pass, const struct tunnel *tunnel)
{
	if (!(tunnel->flags & TUNNEL_SEND) && is_mapped_ipv4(tunnel->remote))
		return false;
	return needs_router_to_tunnel(skb, pass, tunnel->ifindex);
}

/* An answer whose destination, a mapping said, is pass->tuple.daddr: to the host that has it. Returns a TC action. */
VERIFIED_ONCE int give_back(struct __sk_buff *skb)
{
	struct prefix_key key = {.prefixlen = ADDRESS_BITS};
	const struct ipcache_value *owner;
	struct pass *pass = this_pass();
	const struct tunnel *tunnel;
	int reason;

	if (!pass || find_local(pass->tuple.daddr))
		return TC_ACT_OK;
	__builtin_memcpy(key.addr, pass->tuple.daddr, sizeof(key.addr));
	owner = bpf_map_lookup_elem(&ipcache, &key);
	if (!owner || owner->identity == IDENTITY_HOST || pass->ttl <= 2)
		return TC_ACT_OK;
	tunnel = owner->host ? find_tunnel(owner->host) : NULL;
	if (!tunnel || !tunnel->ifindex)
		return refuse_for(pass, NULL, DROP_NO_TUNNEL_ENDPOINT);
	if (needs_router_back(skb, pass, tunnel))
		return TC_ACT_OK;
	reason = set_tunnel(skb, tunnel, IDENTITY_WORLD);
	/* the mapping has changed the header's checksum since it was read */
	if (!reason && pass->tuple.family == 4 &&
		LOAD(skb, pass->l3 + offsetof(struct ipv4, checksum), &pass->ip4_checksum))
		reason = DROP_INVALID_PACKET;
	if (!reason)
		reason = take_hop(skb, pass);
	if (reason)
		return refuse_for(pass, NULL, reason);
	count(COUNTER_EGRESS);
	return bpf_redirect(tunnel->ifindex, 0);
}

#endif
