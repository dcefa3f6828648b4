/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Changes an address and a port of a packet, and every checksum that covers them,
 * whoever computes the rest of it: the kernel's helpers know packets whose checksum
 * the device will finish (CHECKSUM_PARTIAL) or has summed (CHECKSUM_COMPLETE).
 * IPv6 has no header checksum, so the sum over the packet follows its addresses.
 */
#ifndef WEIR_REWRITE_H
#define WEIR_REWRITE_H

#include "ipv4.h"
#include "ipv6.h"
#include "l4.h"

enum rewrite_side {
	REWRITE_DESTINATION = 0,
	REWRITE_SOURCE = 1,
};

#define CHECKSUM_OFFSET_NONE 0xffff

INLINE __u32 checksum_offset(__u8 protocol)
{
	switch (protocol) {
	case PROTOCOL_TCP:
		return offsetof(struct tcp, checksum);
	case PROTOCOL_UDP:
		return offsetof(struct udp, checksum);
	case PROTOCOL_ICMP:
	case PROTOCOL_ICMPV6:
		return offsetof(struct icmp, checksum);
	}
	return CHECKSUM_OFFSET_NONE; /* SCTP's covers neither addresses nor, here, ports that change */
}

INLINE __u32 port_offset(const struct tuple *tuple, int side)
{
	if (is_icmp(tuple))
		return offsetof(struct icmp, id);
	return side == REWRITE_SOURCE ? offsetof(struct udp, source) : offsetof(struct udp, destination);
}

INLINE __u32 address_offset(__u8 family, int side)
{
	if (family == 4)
		return side == REWRITE_SOURCE ? offsetof(struct ipv4, source) : offsetof(struct ipv4, destination);
	return side == REWRITE_SOURCE ? offsetof(struct ipv6, source) : offsetof(struct ipv6, destination);
}

INLINE __u16 fold(__s64 difference)
{
	__u32 sum = ((__u32)difference & 0xffff) + ((__u32)difference >> 16);

	return (sum & 0xffff) + (sum >> 16);
}

/* RFC 1624: a checksum after what it covers has changed by `difference`. */
INLINE __u16 checksum_after(__u16 checksum, __s64 difference)
{
	__u32 sum = (__u16)~checksum;

	sum += fold(difference);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* What a checksum gains when the one address takes the other's place. */
INLINE __s64 address_difference(__u8 family, const __u8 *from, const __u8 *to)
{
	__be32 before[4], after[4];

	__builtin_memcpy(before, from, 16);
	__builtin_memcpy(after, to, 16);
	if (family == 4) /* the same 12 bytes stand before both */
		return bpf_csum_diff(&before[3], 4, &after[3], 4, 0);
	return bpf_csum_diff(before, 16, after, 16, 0);
}

/* Address in the IP header at `l3` and that header's checksum. */
INLINE long store_address(struct __sk_buff *skb, __u32 l3, __u8 family, int side, const __u8 *from, const __u8 *to)
{
	__u32 at = l3 + address_offset(family, side);
	__be32 before[4], after[4];

	__builtin_memcpy(before, from, 16);
	__builtin_memcpy(after, to, 16);
	if (family == 6)
		return bpf_skb_store_bytes(skb, at, after, 16, BPF_F_RECOMPUTE_CSUM);
	if (bpf_l3_csum_replace(skb, l3 + offsetof(struct ipv4, checksum), before[3], after[3], 4))
		return -1;
	return bpf_skb_store_bytes(skb, at, &after[3], 4, 0);
}

/*
 * Gives the packet in pass->tuple another source or destination. `port` is ignored
 * where there is none to change: later fragments, SCTP, ICMP errors. 0 or an error.
 */
VERIFIED_ONCE int rewrite(struct __sk_buff *skb, struct pass *pass, const struct nat_out_value *to, int side)
{
	const __u8 *from;
	__u32 l4, sum;
	__u64 flags;
	__be16 port;

	if (!pass || !to)
		return -1;
	from = side == REWRITE_SOURCE ? pass->tuple.saddr : pass->tuple.daddr;
	port = side == REWRITE_SOURCE || is_icmp(&pass->tuple) ? pass->tuple.sport : pass->tuple.dport;
	l4 = pass->walk.offset;
	sum = checksum_offset(pass->tuple.protocol);
	if (pass->fragment != FRAGMENT_LATER && sum != CHECKSUM_OFFSET_NONE) {
		flags = pass->tuple.protocol == PROTOCOL_UDP ? BPF_F_MARK_MANGLED_0 : 0;
		if (pass->tuple.protocol != PROTOCOL_ICMP &&
			bpf_l4_csum_replace(skb, l4 + sum, 0, address_difference(pass->tuple.family, from, to->addr),
				flags | BPF_F_PSEUDO_HDR))
			return -1;
		if (port != to->port && !is_icmp_error(&pass->tuple) &&
			(bpf_l4_csum_replace(skb, l4 + sum, port, to->port, flags | sizeof(port)) ||
				bpf_skb_store_bytes(
					skb, l4 + port_offset(&pass->tuple, side), &to->port, sizeof(port), 0)))
			return -1;
	}
	return store_address(skb, pass->l3, pass->tuple.family, side, from, to->addr);
}

#endif
