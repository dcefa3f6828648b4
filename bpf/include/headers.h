/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The headers on the wire, and the one way to read them. Own structs, because
 * clang copies them in moves as wide as their fields are aligned.
 */
#ifndef WEIR_HEADERS_H
#define WEIR_HEADERS_H

#include "base.h"

enum ethertype {
	ETHERTYPE_LENGTH_BELOW = 0x0600, /* smaller values are an 802.3 length */
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_ARP = 0x0806,
	ETHERTYPE_VLAN = 0x8100,
	ETHERTYPE_IPV6 = 0x86dd,
	ETHERTYPE_QINQ = 0x88a8,
};

enum protocol {
	PROTOCOL_HOP_BY_HOP = 0,
	PROTOCOL_ICMP = 1,
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
	PROTOCOL_ROUTING = 43,
	PROTOCOL_FRAGMENT = 44,
	PROTOCOL_AH = 51,
	PROTOCOL_ICMPV6 = 58,
	PROTOCOL_NONE = 59,
	PROTOCOL_DESTINATION = 60,
	PROTOCOL_SCTP = 132,
};

struct ethernet {
	__u16 destination[3];
	__u16 source[3];
	__be16 type;
};

struct vlan {
	__be16 tci;
	__be16 type;
};

#define VLAN_ID_MASK 0x0fff

struct arp {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_length;
	__u8 protocol_length;
	__be16 operation;
	__u16 sender_mac[3];
	__u16 sender_ip[2];
	__u16 target_mac[3];
	__u16 target_ip[2];
};

#define ARP_ETHERNET 1
#define ARP_REQUEST 1
#define ARP_REPLY 2

struct ipv4 {
	__u8 version_length;
	__u8 tos;
	__be16 length;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__u16 checksum;
	__be32 source;
	__be32 destination;
};

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff

struct ipv6 {
	__be32 version_class_flow;
	__be16 length;
	__u8 next;
	__u8 hop_limit;
	__u32 source[4];
	__u32 destination[4];
};

/* Of neighbour discovery: proves that nothing was forwarded. */
#define HOP_LIMIT_ON_LINK 255

/* The first 8 bytes of any extension header. */
struct extension {
	__u8 next;
	__u8 length; /* 8-byte units after the first; AH: 4-byte units less 2 */
	__u8 type; /* routing header */
	__u8 segments_left; /* routing header */
	__be32 id; /* fragment header; its offset and flags are type and segments_left */
};

struct tcp {
	__be16 source;
	__be16 destination;
	__be32 sequence;
	__be32 acknowledgement;
	__u8 offset; /* 4-byte units in the high half */
	__u8 flags;
	__be16 window;
	__u16 checksum;
	__be16 urgent;
};

struct udp {
	__be16 source;
	__be16 destination;
	__be16 length;
	__u16 checksum;
};

struct sctp {
	__be16 source;
	__be16 destination;
	__be32 tag;
	__u32 checksum;
};

struct icmp {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__be16 id; /* of a query */
	__be16 sequence;
};

/* Offsets are checked against this, so that the verifier sees packet pointers of bounded reach. */
#define MAX_OFFSET 0x3fff

/*
 * Copies one header out of the packet; 0, or an error when the packet ends before
 * it does. Bytes in the linear part are read directly; what lies in page fragments
 * is fetched by the helper, so a non-linear packet is never taken for a short one.
 */
#define LOAD(skb, at, to) \
	({ \
		void *data_ = (void *)(long)(skb)->data; \
		void *data_end_ = (void *)(long)(skb)->data_end; \
		__u32 at_ = (at); \
		long failed_ = -1; \
		if (at_ <= MAX_OFFSET) { \
			if (data_ + at_ + sizeof(*(to)) <= data_end_) { \
				*(to) = *(typeof(to))(data_ + at_); \
				failed_ = 0; \
			} else { \
				failed_ = bpf_skb_load_bytes(skb, at_, to, sizeof(*(to))); \
			} \
		} \
		failed_; \
	})

#endif
