/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A frame for a backend that learns by an IP option what its client has asked for (dsr_mark.h), in XDP: the destination
 * becomes the backend, checksums follow by the difference, and what begins a connection gets the option.
 */
#ifndef WEIR_FRAME_OPTION_H
#define WEIR_FRAME_OPTION_H

#include "dsr_mark.h"
#include "frame.h"

/* A full checksum after what it covers has changed by `difference`, a sum of words that went (inverted) and that came. */
INLINE __u16 checksum_of(__u16 checksum, __u64 difference)
{
	__u64 sum = (__u16)~checksum + difference;

	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

INLINE __u64 word_difference(__u32 from, __u32 to)
{
	return (__u64)(__u32)~from + to;
}

INLINE __u64 destination_difference(const struct frame *frame, const struct service_way *way)
{
	const __u32 *from = address_words(frame->tuple.daddr), *to = address_words(way->addr);
	__u64 sum = word_difference(from[3], to[3]);

	if (frame->tuple.family == 6)
		sum += word_difference(from[0], to[0]) + word_difference(from[1], to[1]) +
		       word_difference(from[2], to[2]);
	return sum;
}

/* Port and checksum of the upper layer. Returns false when the packet ends before it. */
INLINE bool to_backend_l4(const struct frame *frame, const struct service_way *way, void *l4, const void *end)
{
	__u64 difference = destination_difference(frame, way) + word_difference(frame->tuple.dport, way->port);
	struct tcp *tcp = l4;
	struct udp *udp = l4;

	if (frame->tuple.protocol == PROTOCOL_TCP) {
		if ((void *)(tcp + 1) > end)
			return false;
		tcp->destination = way->port;
		tcp->checksum = checksum_of(tcp->checksum, difference);
		return true;
	}
	if ((void *)(udp + 1) > end)
		return false;
	udp->destination = way->port;
	if (udp->checksum) {
		udp->checksum = checksum_of(udp->checksum, difference);
		if (!udp->checksum)
			udp->checksum = 0xffff;
	}
	return true;
}

struct frame4 {
	__u16 macs[6];
	__be16 type;
	struct ipv4 ip;
} __attribute__((packed, aligned(2)));
struct frame6 {
	__u16 macs[6];
	__be16 type;
	struct ipv6 ip;
} __attribute__((packed, aligned(2)));

/* The header is written anew, with room for `more` bytes behind it. */
INLINE void to_backend4(
	const struct frame *frame, const struct service_way *way, const struct ipv4 *was, struct frame4 *to, __u32 more)
{
	struct ipv4 ip = *was;
	__u64 difference;

	ip.version_length += more / 4;
	ip.length = bpf_htons(bpf_ntohs(ip.length) + more);
	ip.ttl--;
	ip.destination = address_words(way->addr)[3];
	difference = destination_difference(frame, way) + word_difference(was->length, ip.length) +
	             word_difference(bpf_htons(was->version_length << 8 | was->tos),
			     bpf_htons(ip.version_length << 8 | ip.tos)) +
	             word_difference(bpf_htons(was->ttl << 8 | was->protocol), bpf_htons(ip.ttl << 8 | ip.protocol));
	ip.checksum = checksum_of(was->checksum, difference);
	__builtin_memcpy(to->macs, way->macs, sizeof(to->macs));
	to->type = bpf_htons(ETHERTYPE_IPV4);
	to->ip = ip;
}

/* Returns an XDP action. */
INLINE int send_marked4(struct xdp_md *xdp, const struct frame *frame, const struct service_way *way,
	const struct service_key *asked, bool mark)
{
	struct frame4 *whole = (void *)(long)xdp->data;
	struct dsr_option4 *option;
	__u32 more = 0, sum = 0;
	struct ipv4 was;

	if ((void *)(whole + 1) > (void *)(long)xdp->data_end)
		return XDP_PASS;
	was = whole->ip;
	if (mark) {
		more = sizeof(*option);
		if (bpf_xdp_adjust_head(xdp, -(int)sizeof(*option)))
			return XDP_PASS;
		whole = (void *)(long)xdp->data;
		option = (void *)(whole + 1);
		if ((void *)(option + 1) > (void *)(long)xdp->data_end)
			return XDP_DROP;
		fill_option4(option, asked);
		sum = bpf_htons(DSR_OPTION4 << 8 | sizeof(*option)) + asked->port;
		was.checksum = checksum_of(was.checksum, (__u64)sum + address_words(asked->addr)[3]);
		if (!to_backend_l4(frame, way, option + 1, (void *)(long)xdp->data_end))
			return XDP_DROP;
	} else if (!to_backend_l4(frame, way, whole + 1, (void *)(long)xdp->data_end)) {
		return XDP_PASS;
	}
	to_backend4(frame, way, &was, whole, more);
	return XDP_TX;
}

INLINE int send_marked6(struct xdp_md *xdp, const struct frame *frame, const struct service_way *way,
	const struct service_key *asked, bool mark)
{
	struct frame6 *whole = (void *)(long)xdp->data;
	struct dsr_option6 *option;
	struct ipv6 ip;

	if ((void *)(whole + 1) > (void *)(long)xdp->data_end)
		return XDP_PASS;
	ip = whole->ip;
	if (mark) {
		if (bpf_xdp_adjust_head(xdp, -(int)sizeof(*option)))
			return XDP_PASS;
		whole = (void *)(long)xdp->data;
		option = (void *)(whole + 1);
		if ((void *)(option + 1) > (void *)(long)xdp->data_end)
			return XDP_DROP;
		fill_option6(option, asked, ip.next);
		ip.next = PROTOCOL_DESTINATION;
		ip.length = bpf_htons(bpf_ntohs(ip.length) + sizeof(*option));
		if (!to_backend_l4(frame, way, option + 1, (void *)(long)xdp->data_end))
			return XDP_DROP;
	} else if (!to_backend_l4(frame, way, whole + 1, (void *)(long)xdp->data_end)) {
		return XDP_PASS;
	}
	ip.hop_limit--;
	__builtin_memcpy(ip.destination, __builtin_assume_aligned(way->addr, 8), 16);
	__builtin_memcpy(whole->macs, way->macs, sizeof(whole->macs));
	whole->type = bpf_htons(ETHERTYPE_IPV6);
	whole->ip = ip;
	return XDP_TX;
}

#endif
