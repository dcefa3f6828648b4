/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Stateful NAT64 (RFC 6146) for this host's workloads: what they send to an address
 * under the prefix goes out as IPv4 through a mapping of the masquerade, whose "who is
 * behind it" is an IPv6 address. All else about mappings is the masquerade's: ports,
 * timers, sweep, and the way in (masquerade.h, nat_errors.h).
 *
 * Packets to workloads of this host do not pass an uplink: they come from an address
 * that is routed back to the device, and their answers are translated there.
 */
#ifndef WEIR_NAT64_H
#define WEIR_NAT64_H

#include "nat_errors.h"
#include "tunnel.h"

#define AF_INET 2

/* The packet (or the one it quotes) as IPv4 sees it, all but its local address. `other`: the address under the prefix. */
INLINE void to_tuple4(const struct tuple *from, struct tuple *to, int other)
{
	__be32 address = address_words(other == REWRITE_DESTINATION ? from->daddr : from->saddr)[3];

	*to = *from;
	map_ipv4(other == REWRITE_DESTINATION ? to->daddr : to->saddr, address);
	to->family = 4;
	if (!is_icmp(from))
		return;
	to->protocol = PROTOCOL_ICMP;
	to->icmp_type = is_echo_request(from) ? ICMP4_ECHO : ICMP4_ECHO_REPLY;
}

/* A document wants what goes there to leave by a gateway; translated it would leave past it. */
INLINE bool is_selected_for_gateway(struct pass *pass, const __u8 *destination)
{
	__u8 written[16] WEIR_ALIGNED(8);
	__u32 ifindex = pass->came_by, group;
	const struct workload *workload = bpf_map_lookup_elem(&workloads, &ifindex);

	if (!workload || !(workload->flags & WORKLOAD_EGRESS))
		return false;
	address_copy(written, pass->tuple.daddr);
	address_copy(pass->tuple.daddr, destination);
	group = find_egress_group(pass, false);
	address_copy(pass->tuple.daddr, written);
	return group;
}

/*
 * Whose address the packet gets, and where it leaves (pass->target): with `destination` on this host the hairpin's and
 * its interface, else the uplink's. Returns a drop reason or 0.
 */
INLINE int choose_source(struct pass *pass, const struct nat64 *nat64, const struct uplink *uplink,
	const __u8 *destination, __u8 *address)
{
	struct prefix_key key = {.prefixlen = ADDRESS_BITS};
	const struct address_value *local = find_local(destination);
	const struct ipcache_value *owner;

	if (local) {
		pass->target = local->ifindex;
		address_copy(address, nat64->hairpin4);
		return 0;
	}
	__builtin_memcpy(key.addr, destination, sizeof(key.addr));
	owner = bpf_map_lookup_elem(&ipcache, &key);
	if (owner && (tunnel_to(owner->host) || goes_encrypted(owner->host)))
		return DROP_NO_TUNNEL_ENDPOINT; /* its answers could not find their way to a mapping of this host */
	if (!owner && is_selected_for_gateway(pass, destination))
		return DROP_NO_EGRESS_GATEWAY;
	pass->target = nat64->uplink;
	address_copy(address, uplink->nat64_ip4);
	return address_zero(address) ? DROP_NAT_NO_MAPPING : 0;
}

/* A packet to the prefix, other than an ICMP error. Returns a drop reason or 0, with pass->target. */
VERIFIED_ONCE int nat64_out_of(struct __sk_buff *skb, const struct uplink *uplink)
{
	const struct nat64 *nat64 = find_nat64();
	struct pass *pass = this_pass();
	const struct address_value *local;
	struct nat_want want = {};
	int reason;

	if (!pass || !nat64 || !uplink)
		return DROP_NAT_NO_MAPPING;
	local = find_local(pass->tuple.saddr);
	if (!local || local->ifindex != pass->came_by)
		return DROP_INVALID_SOURCE_IP;
	if (is_other_icmp(&pass->tuple))
		return DROP_NAT_UNSUPPORTED_PROTO;
	if (is_icmp(&pass->tuple) && pass->fragment != FRAGMENT_NONE)
		return DROP_FRAGMENT_UNSUPPORTED; /* its checksum covers a length that no fragment tells */
	to_tuple4(&pass->tuple, &pass->inner, REWRITE_DESTINATION);
	if (ipv4_multicast(address_words(pass->inner.daddr)[3]) ||
		ipv4_never_on_the_wire(address_words(pass->inner.daddr)[3]))
		return DROP_INVALID_PACKET;
	reason = choose_source(pass, nat64, uplink, pass->inner.daddr, want.to.addr);
	if (reason)
		return reason;
	nat_key_of(&pass->inner, true, &want.key);
	want.to.port = want.key.local_port;
	if (!nat_find(pass, &want.key, want.to.addr, &want.to)) {
		want.now_ns = pass->now_ns;
		reason = nat_allocate(skb, &want, bpf_ntohs(uplink->port_low), bpf_ntohs(uplink->port_high));
		if (reason)
			return reason;
	}
	count(COUNTER_NAT_OUT);
	return translate_to_ipv4(skb, &want.to);
}

/* An ICMP error to the prefix: a workload's, or the host's own about what it could not hand on. As above. */
VERIFIED_ONCE int nat64_error_out_of(struct __sk_buff *skb)
{
	const struct nat64 *nat64 = find_nat64();
	struct pass *pass = this_pass();
	const struct address_value *local;
	struct nat_out_value *out, to;
	struct tuple quoted;
	struct nat_key key;

	if (!pass || !nat64)
		return DROP_NAT_NO_MAPPING;
	local = find_local(pass->tuple.saddr);
	if (local ? local->ifindex != pass->came_by : !pass->from_host)
		return DROP_INVALID_SOURCE_IP;
	if (pass->fragment != FRAGMENT_NONE || !parse_quoted(skb, pass) || !has_prefix64(nat64, pass->inner.saddr))
		return DROP_NAT_NO_MAPPING;
	to_tuple4(&pass->inner, &quoted, REWRITE_SOURCE);
	nat_key_of(&quoted, false, &key);
	out = bpf_map_lookup_elem(&nat_out, &key);
	if (!out)
		return DROP_NAT_NO_MAPPING;
	to = *out;
	map_ipv4(quoted.daddr, address_words(pass->tuple.daddr)[3]);
	local = find_local(quoted.daddr);
	pass->target = local ? local->ifindex : nat64->uplink;
	address_copy(pass->inner.daddr, quoted.daddr); /* where it goes now */
	count(COUNTER_NAT_OUT);
	return translate_error_to_ipv4(skb, &to);
}

/* From the address that workloads of this host know a translated peer by. Returns a drop reason or 0, with pass->target. */
INLINE int nat64_into(struct __sk_buff *skb, struct pass *pass, const struct nat64 *nat64)
{
	int reason;

	if (!address_equal(pass->tuple.daddr, nat64->hairpin4))
		return DROP_NAT_NO_MAPPING;
	reason = is_icmp_error(&pass->tuple) ? unmasquerade_error(skb) : unmasquerade(skb);
	return reason || pass->target ? reason : DROP_NAT_NO_MAPPING;
}

/*
 * Sends a translated packet to `destination` by the interface, to the next hop that the route names. The neighbour is
 * given, not left to the helper: it would put its route beside that which a packet of the host itself still holds.
 */
VERIFIED_ONCE int send_ipv4(struct __sk_buff *skb, __u32 ifindex, __be32 source, __be32 destination, __u32 on_link)
{
	struct bpf_fib_lookup fib = {
		.family = AF_INET,
		.ifindex = ifindex,
		.ipv4_src = source,
		.ipv4_dst = destination,
	};
	struct bpf_redir_neigh next = {.nh_family = AF_INET, .ipv4_nh = destination};
	long found;

	if (on_link)
		return bpf_redirect_neigh(ifindex, &next, sizeof(next), 0);
	found = bpf_fib_lookup(skb, &fib, sizeof(fib), BPF_FIB_LOOKUP_OUTPUT);
	if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH)
		return bpf_redirect_neigh(ifindex, NULL, 0, 0); /* which drops it for the same reason */
	next.nh_family = fib.family;
	if (fib.family == AF_INET)
		next.ipv4_nh = fib.ipv4_dst;
	else
		__builtin_memcpy(next.ipv6_nh, fib.ipv6_dst, sizeof(next.ipv6_nh));
	return bpf_redirect_neigh(ifindex, &next, sizeof(next), 0);
}

#endif
