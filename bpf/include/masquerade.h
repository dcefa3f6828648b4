/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which packets on an uplink are masqueraded, and the two ways through a mapping.
 * Packets that a workload sends to the fleet, or to a destination that the
 * configuration excepts, keep their source; so do answers of connections that
 * somebody opened to the workload's own address. A connection that has a mapping
 * keeps it whatever the configuration says since, as long as the address is the host's.
 *
 * What leaves by an egress gateway has the gateway's address, whatever is excepted.
 *
 * What comes in for somebody who has opened the connection through NAT64 (nat64.h) is translated to IPv6, and
 * pass->target is then the device by which it goes on.
 *
 * The host's own packets from ports of the masquerade range pass through mappings
 * too, so that no connection of a workload can take theirs away.
 */
#ifndef WEIR_MASQUERADE_H
#define WEIR_MASQUERADE_H

#include "egress.h"
#include "nat.h"
#include "related.h"
#include "translate.h"

INLINE bool is_unmasqueraded(const __u8 *address)
{
	struct prefix_key key = {.prefixlen = 128};

	__builtin_memcpy(key.addr, address, sizeof(key.addr));
	return bpf_map_lookup_elem(&unmasqueraded, &key);
}

/* Somebody opened this connection to the workload's own address: `key` is the workload's. */
INLINE bool is_opened_from_outside(const struct ct_key *key, __u64 now)
{
	struct ct_entry *entry = bpf_map_lookup_elem(&conntrack, key);

	return entry && entry->expires_ns > now && (entry->flags & CT_INGRESS);
}

INLINE const __u8 *masquerade_address(const struct uplink *uplink, __u8 family)
{
	return family == 4 ? uplink->ip4 : uplink->ip6;
}

/* What the world is to see: the gateway's address, if the packet leaves by one. */
INLINE const __u8 *source_address(const struct pass *pass, const struct uplink *uplink)
{
	const struct egress_gateway *gateway = pass->gateway ? find_gateway(pass->gateway) : NULL;

	return gateway ? gateway_address(gateway, pass->tuple.family) : masquerade_address(uplink, pass->tuple.family);
}

INLINE bool in_range(const struct uplink *uplink, __be16 port)
{
	return bpf_ntohs(port) >= bpf_ntohs(uplink->port_low) && bpf_ntohs(port) <= bpf_ntohs(uplink->port_high);
}

/* What ICMP, of the packets that begin or continue something, can be told apart by an identifier. */
INLINE bool is_other_icmp(const struct tuple *tuple)
{
	return is_icmp(tuple) && !is_echo_request(tuple);
}

enum masquerade_source {
	SOURCE_OTHER, /* forwarded for somebody else, or the host's from a port that is never given away */
	SOURCE_WORKLOAD,
	SOURCE_HOST,
};

INLINE int masquerade_source(const struct pass *pass, const struct uplink *uplink)
{
	const struct tuple *tuple = &pass->tuple;

	if (pass->from_host && address_equal(tuple->saddr, masquerade_address(uplink, tuple->family)))
		return in_range(uplink, tuple->sport) && !is_other_icmp(tuple) ? SOURCE_HOST : SOURCE_OTHER;
	return find_local(tuple->saddr) ? SOURCE_WORKLOAD : SOURCE_OTHER;
}

/*
 * A packet without a mapping: is it to have one? Returns a drop reason, 0 and *wanted.
 */
VERIFIED_ONCE int needs_mapping(struct pass *pass, const struct uplink *uplink)
{
	struct ct_key key = {};

	if (!pass || !uplink)
		return 0;
	if (pass->gateway)
		return 1;
	switch (masquerade_source(pass, uplink)) {
	case SOURCE_OTHER:
		return 0;
	case SOURCE_HOST:
		return 1;
	}
	if (pass->answer || is_unmasqueraded(pass->tuple.daddr))
		return 0; /* who is answered has sent to the workload's own address */
	connection_key(&pass->tuple, false, &key);
	return !is_opened_from_outside(&key, pass->now_ns);
}

/* A packet on its way out, other than an ICMP error. Returns a drop reason or 0. */
VERIFIED_ONCE int masquerade(struct __sk_buff *skb, const struct uplink *uplink)
{
	struct pass *pass = this_pass();
	struct nat_want want = {};
	const __u8 *address;
	struct nat_key key;
	int reason;

	if (!pass || !uplink)
		return 0;
	address = source_address(pass, uplink);
	if (address_zero(address))
		return pass->gateway ? DROP_NO_EGRESS_IP : 0;
	nat_key_of(&pass->tuple, true, &key);
	want.to.port = key.local_port;
	if (nat_find(pass, &key, address, &want.to))
		goto translate;
	if (!needs_mapping(pass, uplink))
		return 0;
	if (is_other_icmp(&pass->tuple))
		return DROP_NAT_UNSUPPORTED_PROTO;
	want.key = key;
	address_copy(want.to.addr, address);
	want.now_ns = pass->now_ns;
	want.from_host = pass->from_host;
	reason = nat_allocate(skb, &want, bpf_ntohs(uplink->port_low), bpf_ntohs(uplink->port_high));
	if (reason)
		return reason;
translate:
	if (pass->fragment == FRAGMENT_FIRST)
		record_fragment(pass);
	count(COUNTER_NAT_OUT);
	if (want.to.port == key.local_port && address_equal(want.to.addr, key.local))
		return 0; /* the host's own */
	return rewrite(skb, pass, &want.to, REWRITE_SOURCE) ? DROP_WRITE_ERROR : 0;
}

INLINE void note_destination(struct pass *pass, const __u8 *address)
{
	address_copy(pass->tuple.daddr, address);
	pass->unmasqueraded = 1;
}

/* Who is behind the mapping has an IPv6 address. */
INLINE bool is_behind_nat64(const struct nat_key *key, const __u8 *address)
{
	return key->family == 4 && !is_mapped_ipv4(address);
}

/* A packet on its way in, other than an ICMP error. Nobody behind a mapping: it is the host's, untouched. */
VERIFIED_ONCE int unmasquerade(struct __sk_buff *skb)
{
	struct pass *pass = this_pass();
	struct nat_out_value to = {};
	struct nat_in_value *in;
	struct nat_key key;

	if (!pass)
		return 0;
	if (is_icmp(&pass->tuple) && !is_echo_reply(&pass->tuple))
		return 0;
	nat_key_of(&pass->tuple, false, &key);
	in = bpf_map_lookup_elem(&nat_in, &key);
	if (!nat_is_alive(in, pass->now_ns))
		return 0;
	nat_follow(pass, in, true);
	address_copy(to.addr, in->addr);
	to.port = in->port;
	if (pass->fragment == FRAGMENT_FIRST)
		record_fragment(pass);
	count(COUNTER_NAT_IN);
	if (is_behind_nat64(&key, to.addr))
		return translate_to_ipv6(skb, &to);
	if (to.port == key.local_port && address_equal(to.addr, key.local))
		return 0;
	if (rewrite(skb, pass, &to, REWRITE_DESTINATION))
		return DROP_WRITE_ERROR;
	note_destination(pass, to.addr);
	return 0;
}

/* Drops what a workload sends and reports it as one of its flows. */
INLINE int refuse_masquerade(struct pass *pass, int reason)
{
	const struct address_value *local = find_local(pass->tuple.saddr);
	struct workload *workload = NULL;
	__u32 ifindex;

	if (local) {
		ifindex = local->ifindex;
		workload = bpf_map_lookup_elem(&workloads, &ifindex);
	}
	return refuse_for(pass, workload, reason);
}

#endif
