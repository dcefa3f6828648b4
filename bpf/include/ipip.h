/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A packet in another one, to its backend's address (RFC 2003, 2473): the headers, for XDP and tc alike. What is inside
 * stays as it is, its hop limit too: the backend's host answers the client by itself. The outer source is of a range
 * (source4_bits) by the connection's hash, so that the receiver's queues, which see only the outer packet, all get some.
 */
#ifndef WEIR_IPIP_H
#define WEIR_IPIP_H

#include "ipv6.h"
#include "service_maps.h"

#define IPIP_HOPS 64
#define IPV4_DONT_FRAGMENT 0x4000
#define PROTOCOL_IPIP 4
#define PROTOCOL_IPV6 41

/* Its host takes the inner packet out. */
INLINE bool takes_off(const struct backend *backend)
{
	return backend->flags & BACKEND_DSR;
}

/* This host has an address of the family to send from. */
INLINE bool has_source(const struct service_settings *settings, bool v4)
{
	return v4 ? address_words(settings->source4)[3] != 0 : !address_zero(settings->source6);
}

/* What goes in front of the inner packet. */
struct ipip {
	const __u8 *to; /* the backend's address */
	__u32 bytes; /* L3 length of the packet inside */
	__u32 hash;
	__u8 family; /* of the packet inside */
	__u8 tos;
	__u16 pad;
};

/* Fills the header in place, part by part: nothing that was just stored is read again. */
INLINE void ipip_header4(const struct ipip *ipip, const struct service_settings *settings, struct ipv4 *ip)
{
	__be32 source = address_words(settings->source4)[3], destination = address_words(ipip->to)[3];
	__be16 first = bpf_htons(0x4500 | ipip->tos), length = bpf_htons(ipip->bytes + sizeof(*ip));
	__be16 hops = bpf_htons(IPIP_HOPS << 8 | (ipip->family == 6 ? PROTOCOL_IPV6 : PROTOCOL_IPIP));
	__u32 sum;

	source = (source & ~settings->source4_bits) | (ipip->hash & settings->source4_bits);
	sum = first + length + bpf_htons(IPV4_DONT_FRAGMENT) + hops;
	sum += (source & 0xffff) + (source >> 16) + (destination & 0xffff) + (destination >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	*(__be16 *)&ip->version_length = first;
	ip->length = length;
	ip->id = 0;
	ip->fragment = bpf_htons(IPV4_DONT_FRAGMENT);
	*(__be16 *)&ip->ttl = hops;
	ip->checksum = ~((sum & 0xffff) + (sum >> 16));
	ip->source = source;
	ip->destination = destination;
}

INLINE void ipip_header6(const struct ipip *ipip, const struct service_settings *settings, struct ipv6 *ip)
{
	ip->version_class_flow = bpf_htonl(0x60000000 | (__u32)ipip->tos << 20 | (ipip->hash & 0xfffff));
	ip->length = bpf_htons(ipip->bytes);
	ip->next = ipip->family == 6 ? PROTOCOL_IPV6 : PROTOCOL_IPIP;
	ip->hop_limit = IPIP_HOPS;
	__builtin_memcpy(ip->source, __builtin_assume_aligned(settings->source6, 8), 16);
	ip->source[3] = (ip->source[3] & ~settings->source6_bits) | (ipip->hash & settings->source6_bits);
	__builtin_memcpy(ip->destination, __builtin_assume_aligned(ipip->to, 8), 16);
}

#endif
