/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Egress gateways: which packets leave by one, and by which. Asked where the workload sends, after its policy, for
 * connections that it opens to the world; asked again where the packet leaves, by the gateway itself, so that nothing
 * leaves with the workload's own address because two hosts know different documents: who is not sure drops (194).
 *
 * A connection keeps its gateway while that is alive and among those that its document names. What a gateway gives
 * back comes by tunnel as the world's (VNI 2), and is taken only from the gateway that the connection left by.
 */
#ifndef WEIR_EGRESS_H
#define WEIR_EGRESS_H

#include "egress_maps.h"
#include "ipcache.h"
#include "tunnel.h"

#define EGRESS_UNKNOWN 0xffffffff

/* Nobody whom the fleet or this host manages. */
INLINE bool is_outside(__u32 identity)
{
	return identity == IDENTITY_WORLD || identity == IDENTITY_WORLD_IPV4 || identity == IDENTITY_WORLD_IPV6 ||
	       (identity & IDENTITY_SCOPE_MASK) == IDENTITY_SCOPE_CIDR;
}

INLINE const struct egress_gateway *find_gateway(__u32 number)
{
	const struct egress_gateway *gateway = bpf_map_lookup_elem(&egress_gateways, &number);

	return gateway && gateway->group ? gateway : NULL;
}

INLINE const __u8 *gateway_address(const struct egress_gateway *gateway, __u8 family)
{
	return family == 4 ? gateway->ip4 : gateway->ip6;
}

/* Does what a workload sends go through the WireGuard device, to its peer's host or to its gateway? */
INLINE bool leaves_encrypted(const struct pass *pass)
{
	const struct egress_gateway *gateway = pass->gateway ? find_gateway(pass->gateway) : NULL;

	return goes_encrypted(gateway ? gateway->host : pass->peer_host);
}

/*
 * Group of a packet of the workload's to the world, or (`reply`) of the world's to the workload; 0 = it leaves as if there
 * were no gateways; EGRESS_UNKNOWN = nothing is known of the workload.
 */
VERIFIED_ONCE __u32 find_egress_group(const struct pass *pass, bool reply)
{
	struct egress_key key = {.prefixlen = EGRESS_SET_BITS + ADDRESS_BITS};
	const struct egress_source *source;
	const struct egress_route *route;
	struct address_key from;

	if (!pass)
		return EGRESS_UNKNOWN;
	address_copy(from.addr, reply ? pass->tuple.daddr : pass->tuple.saddr);
	source = bpf_map_lookup_elem(&egress_sources, &from);
	if (!source)
		return EGRESS_UNKNOWN;
	key.set = source->set;
	__builtin_memcpy(key.addr, reply ? pass->tuple.saddr : pass->tuple.daddr, sizeof(key.addr));
	route = bpf_map_lookup_elem(&egress_routes, &key);
	return route ? route->group : 0;
}

/*
 * Where a workload sends: sets pass->gateway for a packet of a connection to pass->verdict.peer_identity, which has
 * left by `kept` so far. Returns a drop reason or 0.
 */
VERIFIED_ONCE int choose_gateway(struct pass *pass, __u32 kept)
{
	const struct egress_gateway *gateway;
	const struct egress_group *group;
	__u32 number;

	if (!pass)
		return DROP_NO_EGRESS_GATEWAY;
	pass->gateway = 0;
	if (pass->verdict.ingress || !is_outside(pass->verdict.peer_identity))
		return 0;
	if (pass->related && !pass->related_gateway)
		return 0;
	number = find_egress_group(pass, false);
	if (!number)
		return 0;
	group = bpf_map_lookup_elem(&egress_groups, &number); /* an unknown source's number is none of them */
	if (!group)
		return DROP_NO_EGRESS_GATEWAY;
	if (pass->related)
		kept = pass->related_gateway;
	gateway = kept ? find_gateway(kept) : NULL;
	if (!gateway || gateway->group != number || !(gateway->flags & EGRESS_ALIVE)) {
		kept = group->chosen;
		gateway = kept ? find_gateway(kept) : NULL;
		if (!gateway || gateway->group != number)
			return DROP_NO_EGRESS_GATEWAY;
	}
	if (!gateway->host && address_zero(gateway_address(gateway, pass->tuple.family)))
		return DROP_NO_EGRESS_IP;
	pass->gateway = kept;
	pass->trace_point = gateway->host ? TRACE_TO_NETWORK : TRACE_TO_STACK;
	return 0;
}

/*
 * Where the packet is to leave: sets pass->gateway to this host's in the packet's group, if it belongs to one. What
 * goes to the fleet or the host is nobody's matter here. Of a source that no document selects only what this host
 * makes itself or its workloads send may leave. Returns a drop reason or 0.
 */
VERIFIED_ONCE int find_own_gateway(struct pass *pass)
{
	struct prefix_key key = {.prefixlen = ADDRESS_BITS};
	const struct egress_gateway *gateway;
	const struct egress_group *group;
	__u32 number;

	if (!pass)
		return DROP_NO_EGRESS_GATEWAY;
	pass->gateway = 0;
	__builtin_memcpy(key.addr, pass->tuple.daddr, sizeof(key.addr));
	if (bpf_map_lookup_elem(&ipcache, &key))
		return 0;
	number = find_egress_group(pass, false);
	if (number == EGRESS_UNKNOWN && !pass->tunnel_identity)
		return 0;
	if (!number && !pass->tunnel_identity)
		return 0;
	group = bpf_map_lookup_elem(&egress_groups, &number);
	gateway = group && group->own ? find_gateway(group->own) : NULL;
	if (!gateway || gateway->group != number)
		return DROP_NO_EGRESS_GATEWAY;
	if (!gateway->ifindex || address_zero(gateway_address(gateway, pass->tuple.family)))
		return DROP_NO_EGRESS_IP;
	pass->gateway = group->own;
	return 0;
}

/* Is it from the world to a workload that leaves towards there by this host's gateway? */
INLINE bool is_from_beyond(const struct pass *pass)
{
	__u32 number = find_egress_group(pass, true);
	const struct egress_group *group = bpf_map_lookup_elem(&egress_groups, &number);

	return number && group && group->own;
}

/* Did a host of the fleet send it into the tunnel? */
INLINE bool is_from_fleet(const struct pass *pass)
{
	struct prefix_key key = {.prefixlen = ADDRESS_BITS};
	const struct ipcache_value *owner;
	const struct tunnel *tunnel;

	__builtin_memcpy(key.addr, pass->tunnel_source, sizeof(key.addr));
	owner = bpf_map_lookup_elem(&ipcache, &key);
	if (!owner || owner->identity != IDENTITY_REMOTE_NODE || !owner->host)
		return false;
	tunnel = find_tunnel(owner->host);
	return tunnel && tunnel->ifindex && address_equal(tunnel->remote, pass->tunnel_source);
}

/*
 * Of a packet that is given back as the world's: is it by the gateway that the connection left by? From then on it is
 * the world's packet, and not one of the tunnel. Returns a drop reason or 0.
 */
INLINE int check_gateway(struct pass *pass, __u32 number)
{
	const struct egress_gateway *gateway = number ? find_gateway(number) : NULL;
	const struct tunnel *tunnel = gateway && gateway->host ? find_tunnel(gateway->host) : NULL;

	if (!tunnel || !tunnel->ifindex || !address_equal(tunnel->remote, pass->tunnel_source))
		return DROP_UNKNOWN_SENDER;
	pass->tunnel_identity = 0;
	return 0;
}

#endif
