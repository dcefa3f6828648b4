/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Strict encryption: what passes an uplink is what others can read, so here, the last
 * place on the way out and the first on the way in, it is seen whether something is in
 * the clear that must not be (195). Whatever was to encrypt it, and did not: the
 * device, a route, a peer's key. Of VXLAN it is the packet inside that counts.
 *
 * A packet that cannot be read is judged by what is known of it; VXLAN that cannot be
 * read is refused.
 */
#ifndef WEIR_STRICT_H
#define WEIR_STRICT_H

#include "events.h"
#include "ipcache.h"
#include "local.h"
#include "parse.h"
#include "uplink_maps.h"

#define UPLINK_STRICT_ANY (UPLINK_STRICT | UPLINK_STRICT_INGRESS)
#define VXLAN_HEADER 8

INLINE const struct ipcache_value *find_owner(const __u8 *address)
{
	struct prefix_key key = {.prefixlen = ADDRESS_BITS};

	__builtin_memcpy(key.addr, address, sizeof(key.addr));
	return bpf_map_lookup_elem(&ipcache, &key);
}

INLINE bool is_strict(const __u8 *address)
{
	struct prefix_key key = {.prefixlen = ADDRESS_BITS};

	__builtin_memcpy(key.addr, address, sizeof(key.addr));
	return bpf_map_lookup_elem(&strict, &key);
}

INLINE bool is_hosts_own(const struct ipcache_value *owner)
{
	return owner && (owner->identity == IDENTITY_HOST || owner->identity == IDENTITY_REMOTE_NODE);
}

/* May the two addresses of the tuple speak in the clear? */
VERIFIED_ONCE int addresses_may_be_plain(struct pass *pass, __u32 flags)
{
	const struct ipcache_value *source, *destination;

	if (!pass)
		return 0;
	source = find_owner(pass->tuple.saddr);
	destination = find_owner(pass->tuple.daddr);
	if ((flags & UPLINK_STRICT_EXCEPT_HOSTS) && (is_hosts_own(source) || is_hosts_own(destination)))
		return 1;
	if ((flags & UPLINK_STRICT) && is_strict(pass->tuple.saddr) && is_strict(pass->tuple.daddr))
		return 0;
	if (!pass->towards || !(flags & UPLINK_STRICT_INGRESS) || !find_local(pass->tuple.daddr))
		return 1;
	return !source || source->identity == IDENTITY_HOST || !(source->host | source->identity);
}

/* The tuple becomes that of the packet in a VXLAN packet. Returns a drop reason or 0. */
VERIFIED_ONCE int parse_inside(struct __sk_buff *skb, struct pass *pass)
{
	struct ethernet ethernet;
	int reason;

	if (!pass)
		return DROP_INVALID_PACKET;
	pass->l3 = pass->walk.offset + sizeof(struct udp) + VXLAN_HEADER;
	pass->tuple.family = 0;
	pass->tcp_flags = 0;
	if (LOAD(skb, pass->l3, &ethernet))
		return DROP_INVALID_PACKET;
	pass->l3 += sizeof(ethernet);
	pass->fragment = FRAGMENT_NONE;
	if (ethernet.type == bpf_htons(ETHERTYPE_IPV4))
		reason = parse_l3_ipv4(skb, pass);
	else if (ethernet.type == bpf_htons(ETHERTYPE_IPV6))
		reason = parse_l3_ipv6(skb, pass);
	else
		reason = DROP_UNSUPPORTED_L3;
	if (reason)
		return reason;
	return pass->fragment == FRAGMENT_LATER ? find_fragment(pass) : parse_l4(skb, pass);
}

/* Packets of the tunnel are the hosts'; a workload that sends to that port is just a workload. */
INLINE bool is_tunnel(const struct pass *pass, const struct uplink *uplink)
{
	if (!uplink->tunnel_port || pass->tuple.protocol != PROTOCOL_UDP || pass->tuple.dport != uplink->tunnel_port)
		return false;
	return !find_local(pass->towards ? pass->tuple.daddr : pass->tuple.saddr);
}

/* Of a packet on an uplink, towards or from this host as pass says. Leaves in pass whose it is. */
VERIFIED_ONCE int may_be_plain(struct __sk_buff *skb, const struct uplink *uplink)
{
	struct pass *pass = this_pass();
	int reason;

	if (!pass || !uplink)
		return 0;
	if (!pass->towards && skb->mark == MARK_WIREGUARD)
		return 1;
	reason = parse(skb, pass);
	if (!pass->tuple.family || pass->kind != PACKET_FLOW)
		return 1;
	if (!reason && pass->towards && pass->tuple.protocol == PROTOCOL_UDP &&
		pass->tuple.dport == uplink->wireguard_port && !find_local(pass->tuple.daddr))
		return 1;
	if (!addresses_may_be_plain(pass, uplink->flags))
		return 0;
	if (reason || !is_tunnel(pass, uplink))
		return 1;
	if (pass->fragment == FRAGMENT_FIRST)
		record_fragment(pass);
	if (pass->fragment == FRAGMENT_LATER)
		return 0;
	parse_inside(skb, pass);
	return pass->tuple.family && addresses_may_be_plain(pass, uplink->flags);
}

/* Drops what may_be_plain() did not let pass, and reports it as a flow of the workload here. Returns a TC action. */
VERIFIED_ONCE int refuse_plain(void)
{
	struct pass *pass = this_pass();
	struct workload *workload = NULL;
	const struct address_value *local;
	struct peer peer;
	__u32 ifindex;

	if (!pass)
		return TC_ACT_SHOT;
	__builtin_memset(&pass->verdict, 0, sizeof(pass->verdict));
	pass->verdict.reason = DROP_UNENCRYPTED;
	pass->verdict.ingress = pass->towards;
	if (!pass->tuple.family)
		return refuse(pass, NULL);
	local = find_local(pass->towards ? pass->tuple.daddr : pass->tuple.saddr);
	if (local) {
		ifindex = local->ifindex;
		workload = bpf_map_lookup_elem(&workloads, &ifindex);
	}
	find_peer(pass->towards ? pass->tuple.saddr : pass->tuple.daddr, pass->tuple.family, false, !pass->towards,
		&peer);
	pass->verdict.peer_identity = peer.identity;
	return refuse(pass, workload);
}

#endif
