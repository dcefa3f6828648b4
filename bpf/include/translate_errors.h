/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ICMP errors between IPv4 and IPv6 (RFC 7915 4.2, 4.3, 5.2, 5.3): message, quoted
 * header and quoted ports are those that the receiver knows. All headers up to the
 * quoted packet's upper layer are written anew; of the payload only the sum matters,
 * so the error's checksum follows by the difference, and a wrong one stays wrong.
 *
 * What is quoted is a packet that was translated here: it has no options, and no
 * extension header but that of a first fragment.
 */
#ifndef WEIR_TRANSLATE_ERRORS_H
#define WEIR_TRANSLATE_ERRORS_H

#include "masquerade.h"

#define HEADER_DIFFERENCE 20 /* between IPv4 and IPv6 */
#define IPV6_MTU_MIN 1280
#define POINTER_NONE 0xff

/* RFC 1191 7.1: of routers that do not tell their MTU, by the length of what did not fit. */
INLINE __u32 plateau(__u32 length)
{
	const __u16 mtus[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296};

	for (__u32 i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++)
		if (length > mtus[i])
			return mtus[i];
	return 68;
}

INLINE __u8 pointer_to_ipv6(__u8 pointer)
{
	if (pointer <= 1)
		return pointer;
	if (pointer == 2 || pointer == 3)
		return offsetof(struct ipv6, length);
	if (pointer == 8)
		return offsetof(struct ipv6, hop_limit);
	if (pointer == 9)
		return offsetof(struct ipv6, next);
	if (pointer >= 12 && pointer < 16)
		return offsetof(struct ipv6, source);
	if (pointer >= 16 && pointer < 20)
		return offsetof(struct ipv6, destination);
	return POINTER_NONE;
}

INLINE __u8 pointer_to_ipv4(__u32 pointer)
{
	if (pointer <= 1)
		return pointer;
	if (pointer == 4 || pointer == 5)
		return offsetof(struct ipv4, length);
	if (pointer == 6)
		return offsetof(struct ipv4, protocol);
	if (pointer == 7)
		return offsetof(struct ipv4, ttl);
	if (pointer >= 8 && pointer < 24)
		return offsetof(struct ipv4, source);
	if (pointer >= 24 && pointer < 40)
		return offsetof(struct ipv4, destination);
	return POINTER_NONE;
}

INLINE void set_word(struct icmp *icmp, __u32 word)
{
	icmp->id = bpf_htons(word >> 16);
	icmp->sequence = bpf_htons(word);
}

/* The message's first 8 bytes but for the checksum. Returns false when it has no counterpart. */
INLINE bool message_to_ipv6(const struct icmp *from, __u32 quoted_length, struct icmp *to)
{
	__u32 mtu;
	__u8 pointer;

	to->code = 0;
	switch (from->type) {
	case ICMP4_TIME_EXCEEDED:
		to->type = ICMP6_TIME_EXCEEDED;
		to->code = from->code;
		return true;
	case ICMP4_PARAMETER_PROBLEM:
		pointer = pointer_to_ipv6(bpf_ntohs(from->id) >> 8);
		if ((from->code != 0 && from->code != 2) || pointer == POINTER_NONE)
			return false;
		to->type = ICMP6_PARAMETER_PROBLEM;
		set_word(to, pointer);
		return true;
	}
	to->type = ICMP6_UNREACHABLE;
	switch (from->code) {
	case 0: /* network, host, source route, their not being known */
	case 1:
	case 5:
	case 6:
	case 7:
	case 8:
	case 11:
	case 12:
		return true;
	case 9: /* administratively prohibited */
	case 10:
	case 13:
	case 15:
		to->code = 1;
		return true;
	case 3: /* port */
		to->code = 4;
		return true;
	case 2: /* protocol: of the next header nothing is known there */
		to->type = ICMP6_PARAMETER_PROBLEM;
		to->code = 1;
		set_word(to, offsetof(struct ipv6, next));
		return true;
	case 4: /* fragmentation needed */
		to->type = ICMP6_PACKET_TOO_BIG;
		mtu = bpf_ntohs(from->sequence);
		mtu = (mtu ? mtu : plateau(quoted_length)) + HEADER_DIFFERENCE;
		set_word(to, mtu < IPV6_MTU_MIN ? IPV6_MTU_MIN : mtu);
		return true;
	}
	return false;
}

/* `fragment`: bytes of a fragment header, which IPv4 does not need either. */
INLINE bool message_to_ipv4(const struct icmp *from, __u32 fragment, struct icmp *to)
{
	__u32 word = (__u32)bpf_ntohs(from->id) << 16 | bpf_ntohs(from->sequence);
	__u8 pointer;

	to->code = 0;
	switch (from->type) {
	case ICMP6_TIME_EXCEEDED:
		to->type = ICMP4_TIME_EXCEEDED;
		to->code = from->code;
		return true;
	case ICMP6_PACKET_TOO_BIG:
		to->type = ICMP4_UNREACHABLE;
		to->code = 4;
		if (word < IPV6_MTU_MIN)
			word = IPV6_MTU_MIN; /* RFC 8200 5: no link of IPv6 has less */
		if (word > IP_LENGTH_MAX)
			word = IP_LENGTH_MAX;
		set_word(to, word - HEADER_DIFFERENCE - fragment);
		return true;
	case ICMP6_PARAMETER_PROBLEM:
		if (from->code == 1) {
			to->type = ICMP4_UNREACHABLE;
			to->code = 2;
			return true;
		}
		pointer = pointer_to_ipv4(word);
		if (from->code || pointer == POINTER_NONE)
			return false;
		to->type = ICMP4_PARAMETER_PROBLEM;
		set_word(to, (__u32)pointer << 24);
		return true;
	}
	to->type = ICMP4_UNREACHABLE;
	if (from->code > 4)
		return false;
	to->code = from->code == 1 ? 10 : from->code == 4 ? 3 : 1;
	return true;
}

/*
 * What changes in the quoted upper layer: its port or identifier, for echo its type, and its checksum if so much is
 * quoted. `difference` is that of the pseudo headers. Returns what the error's checksum gains, or a negative number.
 */
VERIFIED_ONCE __s64 translate_quoted_l4(struct __sk_buff *skb, struct pass *pass, __be16 port, __u32 pseudo, int side)
{
	struct {
		__be16 type;
		__be16 port;
		__u16 checksum;
		__u16 pad;
	} before = {}, after;
	__u32 l4, own, port_at;
	bool echo, summed;

	if (!pass)
		return -1;
	if (pass->inner.protocol == PROTOCOL_SCTP)
		return 0;
	l4 = pass->inner_walk.offset;
	own = l4 + checksum_offset(pass->inner.protocol);
	port_at = l4 + port_offset(&pass->inner, side);
	echo = is_icmp(&pass->inner);
	before.port = side == REWRITE_SOURCE || echo ? pass->inner.sport : pass->inner.dport;
	if (echo)
		before.type = bpf_htons(pass->inner.icmp_type << 8 | pass->inner.icmp_code);
	summed = !LOAD(skb, own, &before.checksum) && !(pass->inner.protocol == PROTOCOL_UDP && !before.checksum);
	after = before;
	after.port = port;
	if (echo) {
		bool request = is_echo_request(&pass->inner);

		if (pass->inner.family == 4)
			after.type = bpf_htons((request ? ICMP6_ECHO : ICMP6_ECHO_REPLY) << 8);
		else
			after.type = bpf_htons((request ? ICMP4_ECHO : ICMP4_ECHO_REPLY) << 8);
	}
	if (summed) {
		__s64 sum = bpf_csum_diff((__be32 *)&before, 4, (__be32 *)&after, 4, pseudo);

		after.checksum = checksum_after(before.checksum, sum);
		if (pass->inner.protocol == PROTOCOL_UDP && !after.checksum)
			after.checksum = 0xffff;
		if (bpf_skb_store_bytes(skb, own, &after.checksum, 2, BPF_F_RECOMPUTE_CSUM))
			return -1;
	}
	if (bpf_skb_store_bytes(skb, port_at, &after.port, 2, BPF_F_RECOMPUTE_CSUM) ||
		(echo && bpf_skb_store_bytes(skb, l4, &after.type, 2, BPF_F_RECOMPUTE_CSUM)))
		return -1;
	return fold(bpf_csum_diff((__be32 *)&before, sizeof(before), (__be32 *)&after, sizeof(after), 0));
}

/* An error about a packet that `to` has sent, out of the world of IPv4. Returns a drop reason or 0. */
VERIFIED_ONCE int translate_error_to_ipv6(struct __sk_buff *skb, const struct nat_out_value *to)
{
	struct {
		struct ipv6 ip;
		struct icmp icmp;
		struct ipv6 quoted;
	} after = {};
	struct {
		struct ipv4 ip;
		struct icmp icmp;
		struct ipv4 quoted;
	} before;
	const struct nat64 *nat64 = find_nat64();
	struct pass *pass = this_pass();
	struct pseudo_header pseudo;
	__u32 length, at;
	__u16 checksum;
	__s64 sum;

	if (!pass || !to || !nat64)
		return DROP_NAT_NO_MAPPING;
	at = pass->walk.offset + sizeof(struct icmp); /* of the quoted header */
	if (pass->l3 != sizeof(struct ethernet) || LOAD(skb, pass->l3, &before.ip) ||
		LOAD(skb, pass->walk.offset, &before.icmp) || LOAD(skb, at, &before.quoted))
		return DROP_UNSUPPORTED_L2;
	length = bpf_ntohs(before.quoted.length);
	if (pass->inner_walk.offset != at + sizeof(before.quoted) || length < sizeof(before.quoted))
		return DROP_INVALID_PACKET;
	if (!message_to_ipv6(&before.icmp, length, &after.icmp))
		return DROP_NAT_UNSUPPORTED_PROTO;
	after.quoted.version_class_flow = to_class(before.quoted.tos);
	after.quoted.length = bpf_htons(length - sizeof(before.quoted));
	after.quoted.next = is_icmp(&pass->inner) ? PROTOCOL_ICMPV6 : pass->inner.protocol;
	after.quoted.hop_limit = before.quoted.ttl;
	__builtin_memcpy(after.quoted.source, to->addr, 16);
	to_address64(nat64, before.quoted.destination, after.quoted.destination);

	if (is_icmp(&pass->inner)) {
		__builtin_memcpy(pseudo.source, after.quoted.source, 32);
		pseudo.length = bpf_htonl(length - sizeof(before.quoted));
		pseudo.next = bpf_htonl(PROTOCOL_ICMPV6);
		sum = bpf_csum_diff(NULL, 0, (__be32 *)&pseudo, sizeof(pseudo), 0);
	} else {
		sum = bpf_csum_diff((__be32 *)&before.quoted.source, 8, (__be32 *)after.quoted.source, 32, 0);
	}
	sum = translate_quoted_l4(skb, pass, to->port, fold(sum), REWRITE_SOURCE);
	if (sum < 0)
		return DROP_WRITE_ERROR;

	after.ip.version_class_flow = to_class(before.ip.tos);
	length = pass->walk.left + HEADER_DIFFERENCE;
	after.ip.length = bpf_htons(length);
	after.ip.next = PROTOCOL_ICMPV6;
	after.ip.hop_limit = before.ip.ttl;
	to_address64(nat64, before.ip.source, after.ip.source);
	__builtin_memcpy(after.ip.destination, to->addr, 16);
	__builtin_memcpy(pseudo.source, after.ip.source, 32);
	pseudo.length = bpf_htonl(length);
	pseudo.next = bpf_htonl(PROTOCOL_ICMPV6);
	checksum = before.icmp.checksum;
	before.icmp.checksum = 0;
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&pseudo, sizeof(pseudo), sum);
	sum = bpf_csum_diff((__be32 *)&before.icmp, sizeof(before.icmp) + sizeof(before.quoted), (__be32 *)&after.icmp,
		sizeof(after.icmp) + sizeof(after.quoted), sum);
	after.icmp.checksum = checksum_after(checksum, sum);
	if (make_room(skb, -(__s32)(pass->walk.offset - pass->l3 - IPV4_HEADER_MIN)) ||
		bpf_skb_change_proto(skb, bpf_htons(ETHERTYPE_IPV6), 0) || make_room(skb, HEADER_DIFFERENCE) ||
		store_ip(skb, sizeof(struct ethernet), &after, sizeof(after), bpf_htons(ETHERTYPE_IPV6)) ||
		bpf_skb_store_bytes(skb, 0, nat64->mac, sizeof(nat64->mac), BPF_F_RECOMPUTE_CSUM))
		return DROP_WRITE_ERROR;
	pass->target = nat64->ifindex;
	return 0;
}

/* An error about a packet that came to who is `to` in the world of IPv4. Returns a drop reason or 0. */
VERIFIED_ONCE int translate_error_to_ipv4(struct __sk_buff *skb, const struct nat_out_value *to)
{
	struct {
		struct ipv4 ip;
		struct icmp icmp;
		struct ipv4 quoted;
	} after = {};
	struct {
		struct icmp icmp;
		struct ipv6 quoted;
		struct extension fragment;
	} before = {};
	struct pass *pass = this_pass();
	struct pseudo_header pseudo;
	__u32 length, at, fragment;
	__u16 checksum;
	struct ipv6 ip;
	__s64 sum;

	if (!pass || !to)
		return DROP_NAT_NO_MAPPING;
	at = pass->walk.offset + sizeof(struct icmp);
	fragment = pass->inner_walk.fragmented ? sizeof(before.fragment) : 0;
	if (pass->l3 != sizeof(struct ethernet) || LOAD(skb, pass->l3, &ip) ||
		LOAD(skb, pass->walk.offset, &before.icmp) || LOAD(skb, at, &before.quoted))
		return DROP_UNSUPPORTED_L2;
	length = bpf_ntohs(before.quoted.length);
	if (pass->inner_walk.offset != at + sizeof(before.quoted) + fragment || length < fragment)
		return DROP_INVALID_PACKET;
	if (fragment && LOAD(skb, at + sizeof(before.quoted), &before.fragment))
		return DROP_INVALID_PACKET;
	if (!message_to_ipv4(&before.icmp, fragment, &after.icmp))
		return DROP_NAT_UNSUPPORTED_PROTO;
	length += sizeof(after.quoted) - fragment;
	after.quoted.source = before.quoted.source[3];
	after.quoted.destination = address_words(to->addr)[3];
	fill_ipv4(&after.quoted, to_tos(before.quoted.version_class_flow), length,
		bpf_htons(bpf_ntohl(before.fragment.id)),
		!fragment                         ? uncut(length)
		: pass->inner_walk.more_fragments ? IPV4_MORE_FRAGMENTS
						  : 0,
		before.quoted.hop_limit, is_icmp(&pass->inner) ? PROTOCOL_ICMP : pass->inner.protocol);

	if (is_icmp(&pass->inner)) {
		__builtin_memcpy(pseudo.source, before.quoted.source, 32);
		pseudo.length = bpf_htonl(length - sizeof(after.quoted));
		pseudo.next = bpf_htonl(PROTOCOL_ICMPV6);
		sum = bpf_csum_diff((__be32 *)&pseudo, sizeof(pseudo), NULL, 0, 0);
	} else {
		sum = bpf_csum_diff((__be32 *)before.quoted.source, 32, (__be32 *)&after.quoted.source, 8, 0);
	}
	sum = translate_quoted_l4(skb, pass, to->port, fold(sum), REWRITE_DESTINATION);
	if (sum < 0)
		return DROP_WRITE_ERROR;

	__builtin_memcpy(pseudo.source, ip.source, 32);
	pseudo.length = bpf_htonl(pass->walk.left);
	pseudo.next = bpf_htonl(PROTOCOL_ICMPV6);
	checksum = before.icmp.checksum;
	before.icmp.checksum = 0;
	sum = bpf_csum_diff((__be32 *)&pseudo, sizeof(pseudo), NULL, 0, sum);
	sum = bpf_csum_diff((__be32 *)&before, sizeof(before), (__be32 *)&after.icmp,
		sizeof(after.icmp) + sizeof(after.quoted), sum);
	after.icmp.checksum = checksum_after(checksum, sum);
	length = pass->walk.left - HEADER_DIFFERENCE - fragment + sizeof(after.ip);
	after.ip.source = address_words(to->addr)[3];
	after.ip.destination = ip.destination[3];
	fill_ipv4(&after.ip, to_tos(ip.version_class_flow), length, bpf_get_prandom_u32(), uncut(length), ip.hop_limit,
		PROTOCOL_ICMP);
	if (make_room(skb, -(__s32)(pass->walk.offset - pass->l3 - sizeof(ip) + HEADER_DIFFERENCE + fragment)) ||
		bpf_skb_change_proto(skb, bpf_htons(ETHERTYPE_IPV4), 0) ||
		store_ip(skb, sizeof(struct ethernet), &after, sizeof(after), bpf_htons(ETHERTYPE_IPV4)))
		return DROP_WRITE_ERROR;
	return 0;
}

#endif
