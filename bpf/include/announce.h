/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Answers to who-has and neighbour solicitations for addresses that no interface has.
 * The frame that asks becomes the answer and leaves by the interface it came in.
 *
 * Which host answers is agreed on elsewhere (leases). Here is seen what no agreement
 * shows: another machine that speaks for the address. Then this host is silent at once,
 * also while its agent is away: who took the lease over says so on the link.
 */
#ifndef WEIR_ANNOUNCE_H
#define WEIR_ANNOUNCE_H

#include "l2.h"
#include "l4.h"

#define ANNOUNCE_NEXT TC_ACT_UNSPEC /* the next program on the interface */
#define ICMP6_OPTION_TARGET_MAC 2
#define NEIGHBOUR_SOLICITED 0x40000000
#define NEIGHBOUR_OVERRIDE 0x20000000

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_MAX_ANNOUNCED);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct announced_key);
	__type(value, struct announced);
} announced SEC(".maps") DOC("address and interface -> MAC with which this host answers for it; written by the agent");

/* A neighbour solicitation or advertisement, and its first option. */
struct neighbour {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__be32 flags;
	__u32 target[4];
};

struct neighbour_answer {
	struct neighbour neighbour;
	__u8 option;
	__u8 option_length; /* 8-byte units */
	__u16 mac[3];
};

struct pseudo_ipv6 {
	__u32 source[4];
	__u32 destination[4];
	__be32 length;
	__be32 next;
};

INLINE const __u16 *mac_words(const __u8 *mac)
{
	return __builtin_assume_aligned(mac, 2);
}

INLINE bool same_mac(const __u16 *a, const __u16 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

INLINE void copy_mac(__u16 *to, const __u16 *from)
{
	to[0] = from[0];
	to[1] = from[1];
	to[2] = from[2];
}

INLINE struct announced *find_announced(const struct announced_key *key)
{
	return bpf_map_lookup_elem(&announced, key);
}

/* Somebody speaks for an address: ours to be silent about, unless it is ourselves. */
INLINE void hear(const struct announced_key *key, const __u16 *mac)
{
	struct announced *entry = find_announced(key);

	if (!entry || same_mac(mac, mac_words(entry->mac)))
		return;
	copy_mac(__builtin_assume_aligned(entry->other_mac, 2), mac);
	__sync_fetch_and_add(&entry->others, 1);
	entry->state = ANNOUNCE_YIELDED;
}

INLINE void address_of_ipv4(struct announced_key *key, const __u16 *ip)
{
	__u16 *words = __builtin_assume_aligned(key->addr, 8);

	__builtin_memset(key->addr, 0, 10);
	words[5] = 0xffff;
	words[6] = ip[0];
	words[7] = ip[1];
}

INLINE int answer_arp(struct __sk_buff *skb, const struct ethernet *asked)
{
	struct announced_key key = {.ifindex = skb->ifindex};
	struct ethernet ethernet = {.type = asked->type};
	struct announced *entry;
	struct arp arp;

	if (LOAD(skb, sizeof(ethernet), &arp))
		return ANNOUNCE_NEXT;
	if (arp.hardware != bpf_htons(ARP_ETHERNET) || arp.protocol != bpf_htons(ETHERTYPE_IPV4) ||
		arp.hardware_length != 6 || arp.protocol_length != 4)
		return ANNOUNCE_NEXT;
	if (arp.sender_ip[0] | arp.sender_ip[1]) { /* a probe (RFC 5227) has none */
		address_of_ipv4(&key, arp.sender_ip);
		hear(&key, arp.sender_mac);
	}
	if (arp.operation != bpf_htons(ARP_REQUEST) ||
		(arp.sender_ip[0] == arp.target_ip[0] && arp.sender_ip[1] == arp.target_ip[1]))
		return ANNOUNCE_NEXT;
	address_of_ipv4(&key, arp.target_ip);
	entry = find_announced(&key);
	if (!entry || entry->state != ANNOUNCE_HELD)
		return ANNOUNCE_NEXT;

	arp.operation = bpf_htons(ARP_REPLY);
	copy_mac(arp.target_mac, arp.sender_mac);
	copy_mac(arp.sender_mac, mac_words(entry->mac));
	arp.target_ip[0] = arp.sender_ip[0];
	arp.target_ip[1] = arp.sender_ip[1];
	__builtin_memcpy(arp.sender_ip, key.addr + 12, 4);
	copy_mac(ethernet.destination, asked->source);
	copy_mac(ethernet.source, mac_words(entry->mac));
	if (bpf_skb_store_bytes(skb, 0, &ethernet, sizeof(ethernet), 0) ||
		bpf_skb_store_bytes(skb, sizeof(ethernet), &arp, sizeof(arp), 0))
		return TC_ACT_SHOT;
	__sync_fetch_and_add(&entry->answered, 1);
	return bpf_redirect(skb->ifindex, 0);
}

INLINE __u16 neighbour_checksum(const struct ipv6 *ip, struct neighbour_answer *answer)
{
	struct pseudo_ipv6 pseudo = {.length = ip->length, .next = bpf_htonl(PROTOCOL_ICMPV6)};
	__u32 sum;

	__builtin_memcpy(pseudo.source, ip->source, 16);
	__builtin_memcpy(pseudo.destination, ip->destination, 16);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&pseudo, sizeof(pseudo), 0);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)answer, sizeof(*answer), sum);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

INLINE int answer_solicitation(
	struct __sk_buff *skb, const struct ethernet *asked, struct ipv6 *ip, struct announced_key *key)
{
	struct neighbour_answer answer = {.option = ICMP6_OPTION_TARGET_MAC, .option_length = 1};
	struct ethernet ethernet = {.type = asked->type};
	struct announced *entry = find_announced(key);
	__be32 flags = bpf_htonl(NEIGHBOUR_SOLICITED | NEIGHBOUR_OVERRIDE);

	if (!entry || entry->state != ANNOUNCE_HELD)
		return ANNOUNCE_NEXT;
	copy_mac(ethernet.source, mac_words(entry->mac));
	copy_mac(ethernet.destination, asked->source);
	copy_mac(answer.mac, mac_words(entry->mac));
	if (!(ip->source[0] | ip->source[1] | ip->source[2] | ip->source[3])) {
		/* somebody is about to take the address (RFC 4862 5.4.3): all are told whose it is */
		flags = bpf_htonl(NEIGHBOUR_OVERRIDE);
		ethernet.destination[0] = bpf_htons(0x3333);
		ethernet.destination[1] = 0;
		ethernet.destination[2] = bpf_htons(1);
		ip->source[0] = bpf_htonl(0xff020000);
		ip->source[3] = bpf_htonl(1);
	}
	__builtin_memcpy(ip->destination, ip->source, 16);
	__builtin_memcpy(ip->source, key->addr, 16);
	ip->version_class_flow = bpf_htonl(0x60000000);
	ip->length = bpf_htons(sizeof(answer));
	answer.neighbour.type = ICMP6_NEIGHBOUR_ADVERTISEMENT;
	answer.neighbour.flags = flags;
	__builtin_memcpy(answer.neighbour.target, key->addr, 16);
	answer.neighbour.checksum = neighbour_checksum(ip, &answer);
	if (bpf_skb_change_tail(skb, sizeof(ethernet) + sizeof(*ip) + sizeof(answer), 0) ||
		bpf_skb_store_bytes(skb, 0, &ethernet, sizeof(ethernet), 0) ||
		bpf_skb_store_bytes(skb, sizeof(ethernet), ip, sizeof(*ip), 0) ||
		bpf_skb_store_bytes(skb, sizeof(ethernet) + sizeof(*ip), &answer, sizeof(answer), 0))
		return TC_ACT_SHOT;
	__sync_fetch_and_add(&entry->answered, 1);
	return bpf_redirect(skb->ifindex, 0);
}

INLINE int answer_neighbour(struct __sk_buff *skb, const struct ethernet *asked)
{
	struct announced_key key = {.ifindex = skb->ifindex};
	struct neighbour neighbour;
	struct ipv6 ip;

	if (LOAD(skb, sizeof(*asked), &ip) || ip.next != PROTOCOL_ICMPV6 || ip.hop_limit != HOP_LIMIT_ON_LINK ||
		bpf_ntohs(ip.length) < sizeof(neighbour) || LOAD(skb, sizeof(*asked) + sizeof(ip), &neighbour) ||
		neighbour.code)
		return ANNOUNCE_NEXT;
	__builtin_memcpy(key.addr, neighbour.target, 16);
	if (neighbour.type == ICMP6_NEIGHBOUR_ADVERTISEMENT) {
		hear(&key, asked->source);
		return ANNOUNCE_NEXT;
	}
	return neighbour.type == ICMP6_NEIGHBOUR_SOLICITATION ? answer_solicitation(skb, asked, &ip, &key)
	                                                      : ANNOUNCE_NEXT;
}

#endif
