/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Changes an address and a port of the packet that an ICMP error quotes, with all checksums that are there. The error's
 * own checksum follows each change inside, and so stays right to the bit, whoever made it.
 */
#ifndef WEIR_REWRITE_QUOTED_H
#define WEIR_REWRITE_QUOTED_H

#include "rewrite.h"

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

#endif
