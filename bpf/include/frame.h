/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What XDP reads of a frame: whole TCP and UDP packets without options or extension headers, and "too big" of a router
 * about one that a service answered. All else is for tc, which reads everything (parse.h) and has the same tables.
 */
#ifndef WEIR_FRAME_H
#define WEIR_FRAME_H

#include "ipv4.h"
#include "ipv6.h"
#include "l4.h"

enum frame_kind {
	FRAME_OTHER, /* for tc */
	FRAME_FLOW,
	FRAME_TOO_BIG, /* the tuple is that of the connection, client first */
};

#define ICMP4_FRAGMENTATION_NEEDED 4
#define IPV4_PLAIN 0x45 /* no options */

struct frame {
	struct tuple tuple;
	__u32 bytes; /* L3 */
	__u8 tcp_flags;
	__u8 tos;
	__u8 pad[2];
};

/* Ports, and the flags of TCP. `l4` has at least 8 bytes before the end. */
INLINE int read_l4(struct frame *frame, const struct udp *l4, const void *end)
{
	const struct tcp *tcp = (const void *)l4;

	frame->tuple.sport = l4->source;
	frame->tuple.dport = l4->destination;
	if (frame->tuple.protocol == PROTOCOL_UDP)
		return FRAME_FLOW;
	if (frame->tuple.protocol != PROTOCOL_TCP || (const void *)(tcp + 1) > end)
		return FRAME_OTHER;
	frame->tcp_flags = tcp->flags;
	return TCP_FLAGS_VALID >> (tcp->flags & TCP_FLAGS_JUDGED) & 1 ? FRAME_FLOW : FRAME_OTHER;
}

/* The quoted packet went from the service to the client. */
INLINE int read_quoted_ports(struct frame *frame, const struct udp *l4)
{
	frame->tuple.sport = l4->destination;
	frame->tuple.dport = l4->source;
	if (frame->tuple.protocol != PROTOCOL_TCP && frame->tuple.protocol != PROTOCOL_UDP)
		return FRAME_OTHER;
	return FRAME_TOO_BIG;
}

INLINE int read_too_big4(struct frame *frame, const struct icmp *icmp, const void *end)
{
	const struct ipv4 *quoted = (const void *)(icmp + 1);
	const struct udp *l4 = (const void *)(quoted + 1);

	if ((const void *)(l4 + 1) > end || icmp->type != ICMP4_UNREACHABLE ||
		icmp->code != ICMP4_FRAGMENTATION_NEEDED || quoted->version_length != IPV4_PLAIN ||
		quoted->fragment & bpf_htons(IPV4_FRAGMENT_OFFSET))
		return FRAME_OTHER;
	if (quoted->source != address_words(frame->tuple.daddr)[3])
		return FRAME_OTHER;
	map_ipv4(frame->tuple.saddr, quoted->destination);
	frame->tuple.protocol = quoted->protocol;
	return read_quoted_ports(frame, l4);
}

INLINE int read_too_big6(struct frame *frame, const struct icmp *icmp, const void *end)
{
	const struct ipv6 *quoted = (const void *)(icmp + 1);
	const struct udp *l4 = (const void *)(quoted + 1);
	__u8 source[16] WEIR_ALIGNED(8);

	if ((const void *)(l4 + 1) > end || icmp->type != ICMP6_PACKET_TOO_BIG)
		return FRAME_OTHER;
	__builtin_memcpy(source, quoted->source, sizeof(source));
	if (!address_equal(source, frame->tuple.daddr))
		return FRAME_OTHER;
	__builtin_memcpy(__builtin_assume_aligned(frame->tuple.saddr, 8), quoted->destination, 16);
	frame->tuple.protocol = quoted->next;
	return read_quoted_ports(frame, l4);
}

INLINE int read_frame4(struct frame *frame, const struct ipv4 *ip, const void *end)
{
	const struct udp *l4 = (const void *)(ip + 1);

	if ((const void *)(l4 + 1) > end || ip->version_length != IPV4_PLAIN || ip->ttl <= 1 ||
		ip->fragment & bpf_htons(IPV4_FRAGMENT_OFFSET | IPV4_MORE_FRAGMENTS) ||
		ipv4_martian(ip->source, ip->destination))
		return FRAME_OTHER;
	frame->bytes = bpf_ntohs(ip->length);
	if (frame->bytes < sizeof(*ip) + sizeof(*l4) || frame->bytes > end - (const void *)ip)
		return FRAME_OTHER;
	frame->tuple.family = 4;
	frame->tuple.protocol = ip->protocol;
	frame->tos = ip->tos;
	map_ipv4(frame->tuple.saddr, ip->source);
	map_ipv4(frame->tuple.daddr, ip->destination);
	return ip->protocol == PROTOCOL_ICMP ? read_too_big4(frame, (const void *)l4, end) : read_l4(frame, l4, end);
}

INLINE int read_frame6(struct frame *frame, const struct ipv6 *ip, const void *end)
{
	const struct udp *l4 = (const void *)(ip + 1);

	if ((const void *)(l4 + 1) > end || ip->hop_limit <= 1 ||
		(ip->version_class_flow & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return FRAME_OTHER;
	frame->bytes = bpf_ntohs(ip->length) + sizeof(*ip);
	if (frame->bytes < sizeof(*ip) + sizeof(*l4) || frame->bytes > end - (const void *)ip)
		return FRAME_OTHER;
	frame->tuple.family = 6;
	frame->tuple.protocol = ip->next;
	frame->tos = bpf_ntohl(ip->version_class_flow) >> 20;
	__builtin_memcpy(__builtin_assume_aligned(frame->tuple.saddr, 8), ip->source, 16);
	__builtin_memcpy(__builtin_assume_aligned(frame->tuple.daddr, 8), ip->destination, 16);
	if (ipv6_martian(frame->tuple.saddr, frame->tuple.daddr) || ipv6_unspecified(frame->tuple.saddr))
		return FRAME_OTHER;
	return ip->next == PROTOCOL_ICMPV6 ? read_too_big6(frame, (const void *)l4, end) : read_l4(frame, l4, end);
}

/* Returns enum frame_kind. Tagged frames are for the VLAN's own interface. */
INLINE int read_frame(struct xdp_md *xdp, struct frame *frame)
{
	const void *data = (void *)(long)xdp->data, *end = (void *)(long)xdp->data_end;
	const struct ethernet *ethernet = data;

	if (data + sizeof(*ethernet) > end)
		return FRAME_OTHER;
	frame->tcp_flags = 0;
	frame->tuple.icmp_type = 0;
	frame->tuple.icmp_code = 0;
	if (ethernet->type == bpf_htons(ETHERTYPE_IPV4))
		return read_frame4(frame, data + sizeof(*ethernet), end);
	if (ethernet->type == bpf_htons(ETHERTYPE_IPV6))
		return read_frame6(frame, data + sizeof(*ethernet), end);
	return FRAME_OTHER;
}

#endif
