/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ICMP errors through mappings (RFC 5508 4.2): the packet that an error quotes is
 * one that went through the mapping the other way, so both are translated, the
 * quoted one with all checksums that are there. The error's own checksum follows
 * each change inside, and so stays right to the bit, whoever made it.
 */
#ifndef WEIR_NAT_ERRORS_H
#define WEIR_NAT_ERRORS_H

#include "translate_errors.h"

/* Two bytes at `at`, inside what the error's checksum at `sum` covers. */
INLINE long replace_quoted_16(struct __sk_buff *skb, __u32 at, __u16 before, __u16 after, __u32 sum)
{
	if (before == after)
		return 0;
	if (bpf_l4_csum_replace(skb, sum, before, after, sizeof(after)))
		return -1;
	return bpf_skb_store_bytes(skb, at, &after, sizeof(after), 0);
}

/* The quoted packet's upper layer: port or identifier, and its checksum when all of it is there. */
INLINE long rewrite_quoted_l4(
	struct __sk_buff *skb, struct pass *pass, __be16 before, __be16 after, int side, __s64 difference, __u32 sum)
{
	__u32 l4 = pass->inner_walk.offset, own = checksum_offset(pass->inner.protocol);
	__be32 ports[2] = {before, after};
	__u16 checksum;

	if (pass->inner.protocol == PROTOCOL_SCTP)
		return 0;
	if (own != CHECKSUM_OFFSET_NONE && !LOAD(skb, l4 + own, &checksum) &&
		!(pass->inner.protocol == PROTOCOL_UDP && !checksum)) {
		__u16 fixed = checksum;

		if (pass->inner.protocol != PROTOCOL_ICMP)
			fixed = checksum_after(fixed, difference);
		fixed = checksum_after(fixed, bpf_csum_diff(&ports[0], 4, &ports[1], 4, 0));
		if (pass->inner.protocol == PROTOCOL_UDP && !fixed)
			fixed = 0xffff;
		if (replace_quoted_16(skb, l4 + own, checksum, fixed, sum))
			return -1;
	}
	return replace_quoted_16(skb, l4 + port_offset(&pass->inner, side), before, after, sum);
}

/* `side`: whether the quoted packet's source or its destination is given `to`. 0 or an error. */
VERIFIED_ONCE int rewrite_quoted(struct __sk_buff *skb, struct pass *pass, const struct nat_out_value *to, int side)
{
	__u32 l3, at, sum;
	const __u8 *from;
	__s64 difference;
	__be32 after[4];
	__u16 checksum;
	__be16 port;

	if (!pass || !to)
		return -1;
	l3 = pass->walk.offset + sizeof(struct icmp);
	sum = pass->walk.offset + offsetof(struct icmp, checksum);
	from = side == REWRITE_SOURCE ? pass->inner.saddr : pass->inner.daddr;
	port = side == REWRITE_SOURCE || is_icmp(&pass->inner) ? pass->inner.sport : pass->inner.dport;
	difference = address_difference(pass->inner.family, from, to->addr);
	if (rewrite_quoted_l4(skb, pass, port, to->port, side, difference, sum))
		return -1;
	if (pass->inner.family == 4) {
		at = l3 + offsetof(struct ipv4, checksum);
		if (LOAD(skb, at, &checksum) ||
			replace_quoted_16(skb, at, checksum, checksum_after(checksum, difference), sum))
			return -1;
	}
	at = l3 + address_offset(pass->inner.family, side);
	if (bpf_l4_csum_replace(skb, sum, 0, difference, 0))
		return -1;
	__builtin_memcpy(after, to->addr, 16);
	if (pass->inner.family == 4)
		return bpf_skb_store_bytes(skb, at, &after[3], 4, 0);
	return bpf_skb_store_bytes(skb, at, after, 16, 0);
}

/* An error from the world, about a packet that went out through a mapping. */
VERIFIED_ONCE int unmasquerade_error(struct __sk_buff *skb)
{
	struct pass *pass = this_pass();
	struct nat_out_value to = {};
	struct nat_in_value *in;
	struct nat_key key;

	if (!pass || pass->fragment != FRAGMENT_NONE || !parse_quoted(skb, pass))
		return 0;
	if (!address_equal(pass->inner.saddr, pass->tuple.daddr) || is_other_icmp(&pass->inner))
		return 0;
	nat_key_of(&pass->inner, true, &key);
	in = bpf_map_lookup_elem(&nat_in, &key);
	if (!nat_is_alive(in, pass->now_ns))
		return 0;
	address_copy(to.addr, in->addr);
	to.port = in->port;
	count(COUNTER_NAT_IN);
	if (is_behind_nat64(&key, to.addr))
		return translate_error_to_ipv6(skb, &to);
	if (rewrite_quoted(skb, pass, &to, REWRITE_SOURCE) || rewrite(skb, pass, &to, REWRITE_DESTINATION))
		return DROP_WRITE_ERROR;
	note_destination(pass, to.addr);
	return 0;
}

/* Of a workload's packet: nobody masquerades it here. */
INLINE bool keeps_source(const struct pass *pass, const struct uplink *uplink)
{
	return address_zero(masquerade_address(uplink, pass->tuple.family)) || is_unmasqueraded(pass->tuple.daddr);
}

/*
 * An error about a packet that came through a mapping: a workload's, or the host's own
 * because it could not hand the packet on (too long for the last link). Returns a drop reason or 0.
 */
VERIFIED_ONCE int masquerade_error(struct __sk_buff *skb, const struct uplink *uplink)
{
	struct pass *pass = this_pass();
	struct nat_out_value to = {}, *out;
	struct ct_key ct_key = {};
	struct nat_key key;
	bool is_workload;

	if (!pass || !uplink)
		return 0;
	is_workload = pass->gateway || find_local(pass->tuple.saddr);
	if (!pass->gateway && (is_workload ? keeps_source(pass, uplink) : !pass->from_host))
		return 0;
	if (pass->fragment != FRAGMENT_NONE || !parse_quoted(skb, pass))
		return is_workload ? DROP_NAT_NO_MAPPING : 0;
	nat_key_of(&pass->inner, false, &key);
	out = bpf_map_lookup_elem(&nat_out, &key);
	if (!out) {
		if (!is_workload)
			return 0;
		connection_key(&pass->inner, true, &ct_key);
		return is_opened_from_outside(&ct_key, pass->now_ns) ? 0 : DROP_NAT_NO_MAPPING;
	}
	to = *out;
	count(COUNTER_NAT_OUT);
	if (rewrite_quoted(skb, pass, &to, REWRITE_DESTINATION))
		return DROP_WRITE_ERROR;
	return is_workload && rewrite(skb, pass, &to, REWRITE_SOURCE) ? DROP_WRITE_ERROR : 0;
}

#endif
