/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * IPv4 <-> IPv6 (RFC 7915), of packets other than ICMP errors: another header in the
 * place of the old one, and the upper layer's checksum follows by the difference, so
 * a wrong one stays wrong. Options and extension headers are not translated (4.1, 5.1).
 * Hop limits are the stack's: it forwards the packet to the translating device.
 *
 * bpf_skb_change_proto leaves the room right, and zeros or leftovers in it.
 */
#ifndef WEIR_TRANSLATE_H
#define WEIR_TRANSLATE_H

#include "prefix64.h"
#include "rewrite.h"

/* RFC 7915 5.1: what fits a path of IPv6 may be cut on the way through IPv4. */
#define IPV4_UNCUT_MAX 1260
#define IPV4_DONT_FRAGMENT 0x4000
/* Of UDP without a checksum, which IPv6 does not allow: summed up to this length, the largest frames there are. */
#define UDP_SUMMED_MAX 9216
#define UDP_SUMMED_AT_ONCE 64

/* What a checksum over IPv6 covers beside the packet (RFC 8200 8.1). */
struct pseudo_header {
	__u32 source[4];
	__u32 destination[4];
	__be32 length;
	__be32 next;
};

/* The IPv6 address of an IPv4 host. */
INLINE void to_address64(const struct nat64 *nat64, __be32 address, __u32 *to)
{
	__builtin_memcpy(to, nat64->prefix, 12);
	to[3] = address;
}

INLINE __be32 to_class(__u8 tos)
{
	return bpf_htonl(0x60000000 | tos << 20);
}

INLINE __u8 to_tos(__be32 version_class_flow)
{
	return bpf_ntohl(version_class_flow) >> 20;
}

/* Fills in the checksum too. `fragment`: the field as it goes into the packet. */
INLINE void fill_ipv4(struct ipv4 *ip, __u8 tos, __u32 length, __be16 id, __u16 fragment, __u8 ttl, __u8 protocol)
{
	ip->version_length = 0x45;
	ip->tos = tos;
	ip->length = bpf_htons(length);
	ip->id = id;
	ip->fragment = bpf_htons(fragment);
	ip->ttl = ttl;
	ip->protocol = protocol;
	ip->checksum = 0;
	ip->checksum = ~fold(bpf_csum_diff(NULL, 0, (__be32 *)ip, sizeof(*ip), 0));
}

INLINE __u16 uncut(__u32 length)
{
	return length > IPV4_UNCUT_MAX ? IPV4_DONT_FRAGMENT : 0;
}

/* The header, after the room for it was made, and the type of the frame. */
INLINE long store_ip(struct __sk_buff *skb, __u32 l3, const void *ip, __u32 bytes, __be16 type)
{
	if (bpf_skb_store_bytes(skb, l3 - sizeof(type), &type, sizeof(type), BPF_F_RECOMPUTE_CSUM))
		return -1;
	return bpf_skb_store_bytes(skb, l3, ip, bytes, BPF_F_RECOMPUTE_CSUM);
}

/* Behind the IP header, without touching what is before or after. */
INLINE long make_room(struct __sk_buff *skb, __s32 bytes)
{
	return bytes ? bpf_skb_adjust_room(skb, bytes, BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO) : 0;
}

/* The sum over `length` bytes, added to `sum`. */
VERIFIED_ONCE __u32 sum_packet(struct __sk_buff *skb, __u32 at, __u32 length, __u32 sum)
{
	__be32 chunk[UDP_SUMMED_AT_ONCE / 4];
	__be32 word;

	for (int i = 0; i < UDP_SUMMED_MAX / UDP_SUMMED_AT_ONCE && length >= sizeof(chunk); i++) {
		if (bpf_skb_load_bytes(skb, at, chunk, sizeof(chunk)))
			return 0;
		sum = bpf_csum_diff(NULL, 0, chunk, sizeof(chunk), sum);
		at += sizeof(chunk);
		length -= sizeof(chunk);
	}
	for (int i = 0; i < UDP_SUMMED_AT_ONCE / 4 && length; i++) {
		word = 0;
		if (length >= 4) {
			if (bpf_skb_load_bytes(skb, at, &word, 4))
				return 0;
		} else {
			if (bpf_skb_load_bytes(skb, at, &word, 1) ||
				(length > 1 && bpf_skb_load_bytes(skb, at + 1, (__u8 *)&word + 1, 1)) ||
				(length > 2 && bpf_skb_load_bytes(skb, at + 2, (__u8 *)&word + 2, 1)))
				return 0;
			length = 4;
		}
		sum = bpf_csum_diff(NULL, 0, &word, sizeof(word), sum);
		at += 4;
		length -= 4;
	}
	return sum;
}

/* Writes the checksum of a datagram that has none. Returns a drop reason or 0. */
INLINE int sum_udp(struct __sk_buff *skb, const struct pass *pass, const struct pseudo_header *pseudo, __be16 port)
{
	__be32 ports[2] = {pass->tuple.dport, port};
	struct udp udp;
	__u16 checksum;
	__u32 sum;

	if (pass->fragment != FRAGMENT_NONE || pass->walk.left > UDP_SUMMED_MAX || skb->gso_size)
		return DROP_NAT_UNSUPPORTED_PROTO; /* RFC 7915 4.5: what cannot be summed is not sent */
	if (LOAD(skb, pass->walk.offset, &udp) || bpf_ntohs(udp.length) != pass->walk.left)
		return DROP_CT_INVALID_HEADER;
	sum = bpf_csum_diff(NULL, 0, (__be32 *)pseudo, sizeof(*pseudo), 0);
	sum = bpf_csum_diff(&ports[0], 4, &ports[1], 4, sum);
	checksum = ~fold(sum_packet(skb, pass->walk.offset, pass->walk.left, sum));
	if (!checksum)
		checksum = 0xffff;
	return bpf_skb_store_bytes(skb, pass->walk.offset + offsetof(struct udp, checksum), &checksum, sizeof(checksum),
		       BPF_F_RECOMPUTE_CSUM)
	               ? DROP_WRITE_ERROR
	               : 0;
}

/* Ports or identifier: its own checksum follows. `side` is the one that changes. */
INLINE long replace_port(struct __sk_buff *skb, const struct pass *pass, __be16 before, __be16 after, int side)
{
	__u64 flags = pass->tuple.protocol == PROTOCOL_UDP ? BPF_F_MARK_MANGLED_0 : 0;
	__u32 l4 = pass->walk.offset, sum = checksum_offset(pass->tuple.protocol);

	if (before == after || sum == CHECKSUM_OFFSET_NONE)
		return 0;
	if (bpf_l4_csum_replace(skb, l4 + sum, before, after, flags | sizeof(after)))
		return -1;
	return bpf_skb_store_bytes(skb, l4 + port_offset(&pass->tuple, side), &after, sizeof(after), 0);
}

/* Type of an echo message, whose codes are 0. */
INLINE long replace_echo(struct __sk_buff *skb, __u32 l4, __u8 before, __u8 after)
{
	if (bpf_l4_csum_replace(
		    skb, l4 + offsetof(struct icmp, checksum), bpf_htons(before << 8), bpf_htons(after << 8), 2))
		return -1;
	return bpf_skb_store_bytes(skb, l4, &after, sizeof(after), 0);
}

INLINE long replace_pseudo(struct __sk_buff *skb, const struct pass *pass, __s64 difference)
{
	__u64 flags = pass->tuple.protocol == PROTOCOL_UDP ? BPF_F_MARK_MANGLED_0 : 0;

	return bpf_l4_csum_replace(skb, pass->walk.offset + checksum_offset(pass->tuple.protocol), 0, difference,
		flags | BPF_F_PSEUDO_HDR);
}

/* Upper layer of an answer from IPv4: `to` is whom it reaches. Returns a drop reason or 0. */
INLINE int translate_l4_to_ipv6(
	struct __sk_buff *skb, const struct pass *pass, const struct pseudo_header *pseudo, __be16 port)
{
	const struct tuple *tuple = &pass->tuple;
	__be32 before[2] = {address_words(tuple->saddr)[3], address_words(tuple->daddr)[3]};
	__u32 l4 = pass->walk.offset;
	__u16 checksum;

	if (tuple->protocol == PROTOCOL_SCTP)
		return 0;
	if (tuple->protocol == PROTOCOL_ICMP) {
		if (replace_pseudo(skb, pass, bpf_csum_diff(NULL, 0, (__be32 *)pseudo, sizeof(*pseudo), 0)) ||
			replace_port(skb, pass, tuple->sport, port, REWRITE_DESTINATION) ||
			replace_echo(skb, l4, ICMP4_ECHO_REPLY, ICMP6_ECHO_REPLY))
			return DROP_WRITE_ERROR;
		return 0;
	}
	if (tuple->protocol == PROTOCOL_UDP) {
		if (LOAD(skb, l4 + offsetof(struct udp, checksum), &checksum))
			return DROP_CT_INVALID_HEADER;
		if (!checksum) {
			int reason = sum_udp(skb, pass, pseudo, port);

			if (reason)
				return reason;
			return bpf_skb_store_bytes(skb, l4 + offsetof(struct udp, destination), &port, sizeof(port),
				       BPF_F_RECOMPUTE_CSUM)
			               ? DROP_WRITE_ERROR
			               : 0;
		}
	}
	if (replace_pseudo(skb, pass, bpf_csum_diff(before, 8, (__be32 *)pseudo, 32, 0)) ||
		replace_port(skb, pass, tuple->dport, port, REWRITE_DESTINATION))
		return DROP_WRITE_ERROR;
	return 0;
}

/* An answer from IPv4 becomes IPv6 for `to`. Returns a drop reason or 0. */
VERIFIED_ONCE int translate_to_ipv6(struct __sk_buff *skb, const struct nat_out_value *to)
{
	struct {
		struct ipv6 ip;
		struct extension fragment;
	} after = {};
	const struct nat64 *nat64 = find_nat64();
	struct pass *pass = this_pass();
	struct pseudo_header pseudo;
	bool fragment;
	struct ipv4 ip;
	int reason;
	__u8 next;

	if (!pass || !to || !nat64)
		return DROP_NAT_NO_MAPPING;
	fragment = pass->fragment != FRAGMENT_NONE;
	if (pass->l3 != sizeof(struct ethernet) || LOAD(skb, pass->l3, &ip))
		return DROP_UNSUPPORTED_L2;
	if (fragment && is_icmp(&pass->tuple))
		return DROP_FRAGMENT_UNSUPPORTED; /* its checksum covers a length that no fragment tells */
	next = is_icmp(&pass->tuple) ? PROTOCOL_ICMPV6 : pass->tuple.protocol;
	to_address64(nat64, ip.source, pseudo.source);
	__builtin_memcpy(pseudo.destination, to->addr, 16);
	pseudo.length = bpf_htonl(pass->walk.left);
	pseudo.next = bpf_htonl(next);
	if (pass->fragment != FRAGMENT_LATER) {
		reason = translate_l4_to_ipv6(skb, pass, &pseudo, to->port);
		if (reason)
			return reason;
	}
	after.ip.version_class_flow = to_class(ip.tos);
	after.ip.length = bpf_htons(pass->walk.left + (fragment ? sizeof(after.fragment) : 0));
	after.ip.next = fragment ? PROTOCOL_FRAGMENT : next;
	after.ip.hop_limit = ip.ttl;
	__builtin_memcpy(after.ip.source, pseudo.source, 32);
	after.fragment.next = next;
	after.fragment.type = pass->walk.fragment_offset >> 8;
	after.fragment.segments_left = (pass->walk.fragment_offset & 0xf8) | pass->walk.more_fragments;
	after.fragment.id = bpf_htonl(bpf_ntohs(ip.id));
	if (make_room(skb, -(__s32)(pass->walk.offset - pass->l3 - IPV4_HEADER_MIN)) ||
		bpf_skb_change_proto(skb, bpf_htons(ETHERTYPE_IPV6), 0) ||
		(fragment && make_room(skb, sizeof(after.fragment))))
		return DROP_WRITE_ERROR;
	if (store_ip(skb, sizeof(struct ethernet), &after, sizeof(after.ip), bpf_htons(ETHERTYPE_IPV6)) ||
		(fragment && bpf_skb_store_bytes(skb, sizeof(struct ethernet) + sizeof(after.ip), &after.fragment,
				     sizeof(after.fragment), BPF_F_RECOMPUTE_CSUM)) ||
		bpf_skb_store_bytes(skb, 0, nat64->mac, sizeof(nat64->mac), BPF_F_RECOMPUTE_CSUM))
		return DROP_WRITE_ERROR;
	pass->target = nat64->ifindex;
	return 0;
}

/* Upper layer of what goes to IPv4 with the source `to`. Returns a drop reason or 0. */
INLINE int translate_l4_to_ipv4(struct __sk_buff *skb, const struct pass *pass, const struct pseudo_header *pseudo,
	const struct nat_out_value *to, __be32 destination)
{
	const struct tuple *tuple = &pass->tuple;
	__be32 after[2] = {address_words(to->addr)[3], destination};
	__u32 l4 = pass->walk.offset;

	if (tuple->protocol == PROTOCOL_SCTP)
		return 0;
	if (tuple->protocol == PROTOCOL_ICMPV6) {
		if (replace_pseudo(skb, pass, bpf_csum_diff((__be32 *)pseudo, sizeof(*pseudo), NULL, 0, 0)) ||
			replace_port(skb, pass, tuple->sport, to->port, REWRITE_SOURCE) ||
			replace_echo(skb, l4, ICMP6_ECHO, ICMP4_ECHO))
			return DROP_WRITE_ERROR;
		return 0;
	}
	/* without a checksum (RFC 6935) it stays without: the helper sees to that */
	if (replace_pseudo(skb, pass, bpf_csum_diff((__be32 *)pseudo, 32, after, 8, 0)) ||
		replace_port(skb, pass, tuple->sport, to->port, REWRITE_SOURCE))
		return DROP_WRITE_ERROR;
	return 0;
}

/* What a workload sends to the prefix becomes IPv4 with the source `to`. Returns a drop reason or 0. */
VERIFIED_ONCE int translate_to_ipv4(struct __sk_buff *skb, const struct nat_out_value *to)
{
	struct pass *pass = this_pass();
	struct pseudo_header pseudo;
	struct ipv4 after = {};
	__u32 length, fragment;
	struct ipv6 ip;
	__be16 id;
	int reason;

	if (!pass || !to)
		return DROP_NAT_NO_MAPPING;
	if (pass->l3 != sizeof(struct ethernet) || LOAD(skb, pass->l3, &ip))
		return DROP_UNSUPPORTED_L2;
	after.source = address_words(to->addr)[3];
	after.destination = ip.destination[3];
	__builtin_memcpy(pseudo.source, ip.source, 32);
	pseudo.length = bpf_htonl(pass->walk.left);
	pseudo.next = bpf_htonl(pass->tuple.protocol);
	if (pass->fragment != FRAGMENT_LATER) {
		reason = translate_l4_to_ipv4(skb, pass, &pseudo, to, after.destination);
		if (reason)
			return reason;
	}
	length = pass->walk.left + sizeof(after);
	if (pass->fragment != FRAGMENT_NONE) {
		fragment = pass->walk.fragment_offset / 8;
		if (pass->walk.more_fragments)
			fragment |= IPV4_MORE_FRAGMENTS;
		id = bpf_htons(bpf_ntohl(pass->walk.fragment_id));
	} else {
		fragment = uncut(length);
		id = bpf_get_prandom_u32();
	}
	fill_ipv4(&after, to_tos(ip.version_class_flow), length, id, fragment, ip.hop_limit,
		is_icmp(&pass->tuple) ? PROTOCOL_ICMP : pass->tuple.protocol);
	if (make_room(skb, -(__s32)(pass->walk.offset - pass->l3 - sizeof(ip))) ||
		bpf_skb_change_proto(skb, bpf_htons(ETHERTYPE_IPV4), 0) ||
		store_ip(skb, sizeof(struct ethernet), &after, sizeof(after), bpf_htons(ETHERTYPE_IPV4)))
		return DROP_WRITE_ERROR;
	return 0;
}

#endif
