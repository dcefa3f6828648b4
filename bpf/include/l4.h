/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The upper layer: ports or ICMP type into the tuple, and what no honest stack
 * sends refused. `left` is what the IP header covers, so padding behind a short
 * packet is never read as a header.
 */
#ifndef WEIR_L4_H
#define WEIR_L4_H

#include "headers.h"
#include "pass.h"

enum icmp4_type {
	ICMP4_ECHO_REPLY = 0,
	ICMP4_UNREACHABLE = 3,
	ICMP4_ECHO = 8,
	ICMP4_TIME_EXCEEDED = 11,
	ICMP4_PARAMETER_PROBLEM = 12,
};

enum icmp6_type {
	ICMP6_UNREACHABLE = 1,
	ICMP6_PACKET_TOO_BIG = 2,
	ICMP6_TIME_EXCEEDED = 3,
	ICMP6_PARAMETER_PROBLEM = 4,
	ICMP6_ECHO = 128,
	ICMP6_ECHO_REPLY = 129,
	ICMP6_LISTENER_QUERY = 130,
	ICMP6_LISTENER_REPORT = 131,
	ICMP6_LISTENER_DONE = 132,
	ICMP6_ROUTER_SOLICITATION = 133,
	ICMP6_ROUTER_ADVERTISEMENT = 134,
	ICMP6_NEIGHBOUR_SOLICITATION = 135,
	ICMP6_NEIGHBOUR_ADVERTISEMENT = 136,
	ICMP6_REDIRECT = 137,
	ICMP6_INVERSE_SOLICITATION = 141,
	ICMP6_INVERSE_ADVERTISEMENT = 142,
	ICMP6_LISTENER_REPORT_V2 = 143,
};

INLINE bool is_icmp(const struct tuple *tuple)
{
	return tuple->protocol == PROTOCOL_ICMP || tuple->protocol == PROTOCOL_ICMPV6;
}

INLINE bool is_echo_request(const struct tuple *tuple)
{
	return is_icmp(tuple) && tuple->icmp_type == (tuple->family == 4 ? ICMP4_ECHO : ICMP6_ECHO);
}

INLINE bool is_echo_reply(const struct tuple *tuple)
{
	return is_icmp(tuple) && tuple->icmp_type == (tuple->family == 4 ? ICMP4_ECHO_REPLY : ICMP6_ECHO_REPLY);
}

/* An ICMP message that quotes the packet it is about (RFC 792, RFC 4443). */
INLINE bool is_icmp_error(const struct tuple *tuple)
{
	if (tuple->protocol == PROTOCOL_ICMP)
		return tuple->icmp_type == ICMP4_UNREACHABLE || tuple->icmp_type == ICMP4_TIME_EXCEEDED ||
		       tuple->icmp_type == ICMP4_PARAMETER_PROBLEM;
	return tuple->protocol == PROTOCOL_ICMPV6 && tuple->icmp_type >= ICMP6_UNREACHABLE &&
	       tuple->icmp_type <= ICMP6_PARAMETER_PROBLEM;
}

/*
 * Flags that TCP ever sends together, PSH, ECE and CWR aside: the table that
 * netfilter uses too. Null, SYN+FIN, SYN+RST, FIN without ACK and Xmas are not in it.
 */
#define TCP_FLAGS_JUDGED (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK | TCP_URG)
#define TCP_FLAGS_VALID \
	(1ull << TCP_SYN | 1ull << (TCP_SYN | TCP_URG) | 1ull << (TCP_SYN | TCP_ACK) | 1ull << TCP_RST | \
		1ull << (TCP_RST | TCP_ACK) | 1ull << (TCP_FIN | TCP_ACK) | 1ull << (TCP_FIN | TCP_ACK | TCP_URG) | \
		1ull << TCP_ACK | 1ull << (TCP_ACK | TCP_URG))

INLINE int parse_tcp(struct __sk_buff *skb, const struct walk *walk, struct pass *pass)
{
	struct tcp tcp;

	if (walk->left < sizeof(tcp) || LOAD(skb, walk->offset, &tcp))
		return DROP_CT_INVALID_HEADER;
	pass->tuple.sport = tcp.source;
	pass->tuple.dport = tcp.destination;
	if ((tcp.offset >> 4) * 4 < sizeof(tcp) || (tcp.offset >> 4) * 4 > walk->left)
		return DROP_CT_INVALID_HEADER;
	pass->tcp_flags = tcp.flags;
	if (!(TCP_FLAGS_VALID >> (tcp.flags & TCP_FLAGS_JUDGED) & 1))
		return DROP_INVALID_PACKET;
	return 0;
}

INLINE int parse_udp(struct __sk_buff *skb, const struct walk *walk, struct pass *pass)
{
	struct udp udp;
	__u32 length;

	if (walk->left < sizeof(udp) || LOAD(skb, walk->offset, &udp))
		return DROP_CT_INVALID_HEADER;
	pass->tuple.sport = udp.source;
	pass->tuple.dport = udp.destination;
	length = bpf_ntohs(udp.length);
	if (length < sizeof(udp) || (length > walk->left && pass->fragment == FRAGMENT_NONE))
		return skb->gso_size ? 0 : DROP_CT_INVALID_HEADER;
	return 0;
}

INLINE int parse_sctp(struct __sk_buff *skb, const struct walk *walk, struct pass *pass)
{
	struct sctp sctp;

	if (walk->left < sizeof(sctp) || LOAD(skb, walk->offset, &sctp))
		return DROP_CT_INVALID_HEADER;
	pass->tuple.sport = sctp.source;
	pass->tuple.dport = sctp.destination;
	return 0;
}

/* Also what an ICMP error quotes: 8 bytes are always there. */
INLINE int parse_icmp(struct __sk_buff *skb, const struct walk *walk, struct tuple *tuple)
{
	struct icmp icmp;

	if (walk->left < sizeof(icmp) || LOAD(skb, walk->offset, &icmp))
		return DROP_CT_INVALID_HEADER;
	tuple->icmp_type = icmp.type;
	tuple->icmp_code = icmp.code;
	if (is_echo_request(tuple) || is_echo_reply(tuple))
		tuple->sport = icmp.id;
	return 0;
}

INLINE int parse_l4(struct __sk_buff *skb, struct pass *pass)
{
	const struct walk *walk = &pass->walk;
	struct tuple *tuple = &pass->tuple;

	switch (tuple->protocol) {
	case PROTOCOL_TCP:
		return parse_tcp(skb, walk, pass);
	case PROTOCOL_UDP:
		return parse_udp(skb, walk, pass);
	case PROTOCOL_SCTP:
		return parse_sctp(skb, walk, pass);
	case PROTOCOL_ICMP:
		return tuple->family == 4 ? parse_icmp(skb, walk, tuple) : DROP_CT_UNKNOWN_PROTO;
	case PROTOCOL_ICMPV6:
		return tuple->family == 6 ? parse_icmp(skb, walk, tuple) : DROP_CT_UNKNOWN_PROTO;
	default:
		return DROP_CT_UNKNOWN_PROTO;
	}
}

#endif
