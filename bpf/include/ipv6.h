/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * IPv6: header and the chain of extension headers up to the upper layer or to a
 * fragment that has none.
 */
#ifndef WEIR_IPV6_H
#define WEIR_IPV6_H

#include "headers.h"
#include "pass.h"

#define IPV6_FRAGMENT_OFFSET 0xfff8
#define IPV6_MORE_FRAGMENTS 1
#define ROUTING_TYPE_0 0 /* RFC 5095: amplifies, dropped whatever it says */

INLINE const __u32 *address_words(const __u8 *address)
{
	return __builtin_assume_aligned(address, 8);
}

INLINE bool ipv6_multicast(const __u8 *address)
{
	return address[0] == 0xff;
}

INLINE bool ipv6_link_local(const __u8 *address)
{
	return (address_words(address)[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

INLINE bool ipv6_unspecified(const __u8 *address)
{
	return address_zero(address);
}

INLINE bool is_mapped_ipv4(const __u8 *address)
{
	const __u32 *words = address_words(address);

	return !(words[0] | words[1]) && words[2] == bpf_htonl(0xffff);
}

/* ::1, or ::ffff:a.b.c.d, which inside Weir means IPv4 (RFC 4291 2.5.5.2; never on a wire). */
INLINE bool ipv6_never_on_the_wire(const __u8 *address)
{
	const __u32 *words = address_words(address);

	if (words[0] | words[1])
		return false;
	return words[2] == bpf_htonl(0xffff) || (words[2] == 0 && words[3] == bpf_htonl(1));
}

/* `::` as a source is for neighbour and listener discovery only, and judged there. */
INLINE bool ipv6_martian(const __u8 *source, const __u8 *destination)
{
	return ipv6_never_on_the_wire(source) || ipv6_never_on_the_wire(destination) || ipv6_multicast(source) ||
	       ipv6_unspecified(destination) || address_equal(source, destination);
}

enum walk_result {
	WALK_ON = 0,
	WALK_DONE = 1, /* walk->next is the upper layer, or this is a later fragment */
};

/* One header of the chain. Returns enum walk_result or a drop reason. */
VERIFIED_ONCE int walk_extension(struct __sk_buff *skb, struct walk *walk)
{
	struct extension extension;
	__u32 size;

	if (!walk)
		return DROP_INVALID_IPV6_EXTENSION;
	switch (walk->next) {
	case PROTOCOL_HOP_BY_HOP:
	case PROTOCOL_ROUTING:
	case PROTOCOL_FRAGMENT:
	case PROTOCOL_AH:
	case PROTOCOL_DESTINATION:
		break;
	case PROTOCOL_NONE:
		return DROP_INVALID_IPV6_EXTENSION;
	default:
		return WALK_DONE;
	}
	if (walk->headers >= WEIR_MAX_IPV6_EXT || walk->left < sizeof(extension) || LOAD(skb, walk->offset, &extension))
		return DROP_INVALID_IPV6_EXTENSION;
	size = (extension.length + 1) * 8;
	switch (walk->next) {
	case PROTOCOL_HOP_BY_HOP: /* only directly after the IPv6 header (RFC 8200 4.1) */
		if (walk->headers)
			return DROP_INVALID_IPV6_EXTENSION;
		break;
	case PROTOCOL_ROUTING: /* with segments left, the destination the policy sees is not the last one */
		if (extension.type == ROUTING_TYPE_0 || extension.segments_left)
			return DROP_INVALID_IPV6_EXTENSION;
		break;
	case PROTOCOL_AH:
		size = (extension.length + 2) * 4;
		break;
	case PROTOCOL_FRAGMENT:
		if (walk->fragmented)
			return DROP_INVALID_IPV6_EXTENSION;
		size = sizeof(extension);
		walk->fragmented = 1;
		walk->fragment_id = extension.id;
		walk->fragment_offset = (extension.type << 8 | extension.segments_left) & IPV6_FRAGMENT_OFFSET;
		walk->more_fragments = extension.segments_left & IPV6_MORE_FRAGMENTS;
		break;
	}
	if (walk->left < size)
		return DROP_INVALID_IPV6_EXTENSION;
	walk->headers++;
	walk->next = extension.next;
	walk->offset += size;
	walk->left -= size;
	return walk->fragment_offset ? WALK_DONE : WALK_ON;
}

/* Walks to the end of the chain. Returns a drop reason or 0. */
INLINE int walk_extensions(struct __sk_buff *skb, struct walk *walk)
{
	for (int i = 0; i <= WEIR_MAX_IPV6_EXT; i++) {
		int result = walk_extension(skb, walk);

		if (result == WALK_DONE)
			return 0;
		if (result != WALK_ON)
			return result;
	}
	return DROP_INVALID_IPV6_EXTENSION;
}

/* Fills tuple's addresses and walk up to the end of the chain; protocol is set by then. */
INLINE int parse_ipv6(
	struct __sk_buff *skb, __u32 at, struct tuple *tuple, struct walk *walk, struct ipv6 *ip, bool quoted)
{
	__u32 available, length;
	int reason;

	if (LOAD(skb, at, ip))
		return DROP_INVALID_PACKET;
	available = skb->len - at - sizeof(*ip);
	length = bpf_ntohs(ip->length);
	if ((ip->version_class_flow & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return DROP_INVALID_PACKET;
	if (quoted || (length == 0 && skb->gso_size)) /* a jumbogram made by GSO */
		length = available;
	if (length > available)
		return DROP_INVALID_PACKET;

	tuple->family = 6;
	__builtin_memcpy(__builtin_assume_aligned(tuple->saddr, 8), ip->source, 16);
	__builtin_memcpy(__builtin_assume_aligned(tuple->daddr, 8), ip->destination, 16);
	walk->next = ip->next;
	walk->offset = at + sizeof(*ip);
	walk->left = length;
	walk->fragment_id = 0;
	walk->fragment_offset = 0;
	walk->more_fragments = 0;
	walk->fragmented = 0;
	walk->headers = 0;

	reason = walk_extensions(skb, walk);
	tuple->protocol = walk->next;
	return reason;
}

#endif
