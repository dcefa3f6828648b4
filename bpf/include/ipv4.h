/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * IPv4: header, options, fragments. The header checksum is left to the stack that
 * receives the packet, which drops what is wrong.
 */
#ifndef WEIR_IPV4_H
#define WEIR_IPV4_H

#include "headers.h"
#include "pass.h"

#define IPV4_HEADER_MIN 20
#define IPV4_HEADER_MAX 60
#define IPV4_OPTION_END 0
#define IPV4_OPTION_NOP 1
#define IPV4_OPTION_LSRR 131
#define IPV4_OPTION_SSRR 137
#define IP_LENGTH_MAX 65535
#define TCP_FLAGS_END 14 /* a fragment that starts before this could rewrite the flags (RFC 1858) */

INLINE void map_ipv4(__u8 *to, __be32 address)
{
	__u64 *halves = __builtin_assume_aligned(to, 8);

	/* as wide as it is read: what was stored in smaller parts would have to leave the processor's store buffer first */
	halves[0] = 0;
	halves[1] = bpf_cpu_to_be64(0xffffull << 32 | bpf_ntohl(address));
}

INLINE bool ipv4_multicast(__be32 address)
{
	return (address & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000);
}

INLINE bool ipv4_never_on_the_wire(__be32 address)
{
	__be32 network = address & bpf_htonl(0xff000000);

	return network == 0 || network == bpf_htonl(0x7f000000);
}

/* RFC 1812 5.3.7: addresses that no packet may carry here. */
INLINE bool ipv4_martian(__be32 source, __be32 destination)
{
	return ipv4_never_on_the_wire(source) || ipv4_never_on_the_wire(destination) || ipv4_multicast(source) ||
	       source == bpf_htonl(0xffffffff) || source == destination;
}

/*
 * Options that are well formed pass; source routes do not: they name destinations
 * that the policy was never asked about (RFC 7126 4.3, 4.4).
 */
VERIFIED_ONCE int check_ipv4_options(struct __sk_buff *skb, __u32 at, __u32 length)
{
	union {
		__u32 words[(IPV4_HEADER_MAX - IPV4_HEADER_MIN) / 4];
		__u8 bytes[IPV4_HEADER_MAX - IPV4_HEADER_MIN];
	} options = {};
	__u32 next = 0;

	/* word by word: old verifiers do not follow the bounds of a variable length */
	for (__u32 i = 0; i < sizeof(options.words) / 4 && i * 4 < length; i++) {
		if (bpf_skb_load_bytes(skb, at + i * 4, &options.words[i], 4))
			return DROP_INVALID_PACKET;
	}
	for (__u32 i = 0; i < sizeof(options) && i < length; i++) {
		__u8 type = options.bytes[i], size;

		if (i < next)
			continue;
		if (type == IPV4_OPTION_END)
			return 0;
		if (type == IPV4_OPTION_LSRR || type == IPV4_OPTION_SSRR)
			return DROP_INVALID_PACKET;
		if (type == IPV4_OPTION_NOP) {
			next = i + 1;
			continue;
		}
		if (i + 1 >= length || i + 1 >= sizeof(options))
			return DROP_INVALID_PACKET;
		size = options.bytes[i + 1];
		if (size < 2 || i + size > length)
			return DROP_INVALID_PACKET;
		next = i + size;
	}
	return 0;
}

/* Fills tuple's addresses and walk. `quoted`: the packet inside an ICMP error, cut short by whoever sent it. */
INLINE int parse_ipv4(
	struct __sk_buff *skb, __u32 at, struct tuple *tuple, struct walk *walk, struct ipv4 *ip, bool quoted)
{
	__u32 available, header, length, fragment;

	if (LOAD(skb, at, ip))
		return DROP_INVALID_PACKET;
	available = skb->len - at;
	header = (ip->version_length & 0x0f) * 4;
	length = bpf_ntohs(ip->length);
	if ((ip->version_length >> 4) != 4 || header < IPV4_HEADER_MIN)
		return DROP_INVALID_PACKET;
	if (quoted || (length == 0 && skb->gso_size)) /* more than 64 KiB in one GSO packet: the length does not fit */
		length = available;
	if (length < header || length > available)
		return DROP_INVALID_PACKET;

	tuple->family = 4;
	tuple->protocol = ip->protocol;
	map_ipv4(tuple->saddr, ip->source);
	map_ipv4(tuple->daddr, ip->destination);
	walk->next = ip->protocol;
	walk->offset = at + header;
	walk->left = length - header;

	fragment = bpf_ntohs(ip->fragment);
	walk->fragment_id = ip->id;
	walk->fragment_offset = (fragment & IPV4_FRAGMENT_OFFSET) * 8;
	walk->more_fragments = !!(fragment & IPV4_MORE_FRAGMENTS);
	walk->fragmented = walk->more_fragments || walk->fragment_offset;
	return 0;
}

#endif
