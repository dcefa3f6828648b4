/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ICMP that a program makes of a packet and sends back where it came from: errors (RFC 792, RFC 4443), which quote
 * the packet as it came, and answers to pings. The sender of the packet is told by the address that it has asked for.
 *
 * Of a packet in whose place the answer goes nothing else is left. Errors about errors, and about fragments that have
 * no upper layer, are not made.
 */
#ifndef WEIR_TELL_H
#define WEIR_TELL_H

#include "translate.h"

#define AF_INET 2
#define AF_INET6 10

#define TOLD_TTL 64
/* Where a workload is told, straight into its namespace: before its own policy nothing of this was sent to it. */
#ifndef TELL_BACK
#define TELL_BACK bpf_redirect
#endif
/* What is quoted: headers with options and extension headers, and the beginning of the upper layer. */
#define QUOTED_MAX 96

enum icmp4_unreachable {
	ICMP4_PORT_UNREACHABLE = 3,
	ICMP4_FRAGMENTATION_NEEDED = 4,
	ICMP4_PROHIBITED = 13, /* RFC 1812 5.2.7.1 */
};

enum icmp6_unreachable_code {
	ICMP6_PROHIBITED = 1,
	ICMP6_PORT_UNREACHABLE = 4,
};

struct told {
	struct {
		struct ipv4 ip;
		struct icmp icmp;
	} v4;
	struct {
		struct ipv6 ip;
		struct icmp icmp;
	} v6;
	struct pseudo_header pseudo;
	__u8 quoted[QUOTED_MAX] WEIR_ALIGNED(8); /* zeros after its end */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct told);
} told_scratch SEC(".maps") DOC("0 -> an ICMP message being made, per CPU");

INLINE struct told *this_told(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&told_scratch, &zero);
}

/* Constants, because old verifiers do not follow the bounds of a variable length. */
#define QUOTE(bytes_) \
	if (pass->bytes >= (bytes_)) \
	return bpf_skb_load_bytes(skb, pass->l3, told->quoted, bytes_) ? 0 : (bytes_)

/*
 * How much of the packet is quoted: the upper layer's checksum is in it, whoever finishes that one (the kernel cuts
 * nothing shorter). 0 = too little.
 */
INLINE __u32 load_quoted(struct __sk_buff *skb, const struct pass *pass, struct told *told)
{
	QUOTE(QUOTED_MAX);
	QUOTE(80);
	QUOTE(60); /* IPv6 and TCP */
	QUOTE(48); /* IPv6 and UDP */
	QUOTE(40); /* IPv4 and TCP */
	QUOTE(28); /* IPv4 and UDP */
	return 0;
}

INLINE long store_told4(struct __sk_buff *skb, const struct pass *pass, struct told *told, __u32 quoted)
{
	struct ipv4 *ip = &told->v4.ip;
	struct icmp *icmp = &told->v4.icmp;

	ip->source = address_words(pass->tuple.daddr)[3];
	ip->destination = address_words(pass->tuple.saddr)[3];
	fill_ipv4(ip, 0, sizeof(told->v4) + quoted, 0, 0, TOLD_TTL, PROTOCOL_ICMP);
	icmp->checksum = ~fold(bpf_csum_diff(
		NULL, 0, (__be32 *)told->quoted, QUOTED_MAX, bpf_csum_diff(NULL, 0, (__be32 *)icmp, sizeof(*icmp), 0)));
	return bpf_skb_store_bytes(skb, pass->l3, &told->v4, sizeof(told->v4), BPF_F_RECOMPUTE_CSUM);
}

INLINE long store_told6(struct __sk_buff *skb, const struct pass *pass, struct told *told, __u32 quoted)
{
	struct pseudo_header *pseudo = &told->pseudo;
	struct ipv6 *ip = &told->v6.ip;
	struct icmp *icmp = &told->v6.icmp;
	__s64 sum;

	ip->version_class_flow = to_class(0);
	ip->length = bpf_htons(sizeof(*icmp) + quoted);
	ip->next = PROTOCOL_ICMPV6;
	ip->hop_limit = TOLD_TTL;
	__builtin_memcpy(ip->source, pass->tuple.daddr, 16);
	__builtin_memcpy(ip->destination, pass->tuple.saddr, 16);
	__builtin_memcpy(pseudo->source, pass->tuple.daddr, 16);
	__builtin_memcpy(pseudo->destination, pass->tuple.saddr, 16);
	pseudo->length = bpf_htonl(sizeof(*icmp) + quoted);
	pseudo->next = bpf_htonl(PROTOCOL_ICMPV6);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)pseudo, sizeof(*pseudo), 0);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)icmp, sizeof(*icmp), sum);
	icmp->checksum = ~fold(bpf_csum_diff(NULL, 0, (__be32 *)told->quoted, QUOTED_MAX, sum));
	return bpf_skb_store_bytes(skb, pass->l3, &told->v6, sizeof(told->v6), BPF_F_RECOMPUTE_CSUM);
}

/* Back to who sent it, on the link that it came by. Returns a TC action. */
INLINE int turn_around(struct __sk_buff *skb, const struct pass *pass)
{
	__u16 macs[6];

	__builtin_memcpy(macs, pass->source_mac, 6);
	__builtin_memcpy(macs + 3, pass->destination_mac, 6);
	if (bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0)) {
		count(COUNTER_HELPER_FAILED);
		return TC_ACT_SHOT;
	}
	return TELL_BACK(skb->ifindex, 0);
}

/* The same, for a client of a service. */
INLINE int send_back(struct __sk_buff *skb, const struct pass *pass)
{
	count(COUNTER_SERVICE_TOLD);
	return turn_around(skb, pass);
}

/* The packet becomes an error about itself. `rest`: the second word of the message in host order, an MTU or 0. 0 or an error. */
VERIFIED_ONCE int make_error(struct __sk_buff *skb, __u32 type, __u32 code, __u32 rest)
{
	struct pass *pass = this_pass();
	struct told *told = this_told();
	__u32 quoted, room;
	long failed;

	if (!pass || !told || pass->l3 != sizeof(struct ethernet))
		return -1;
	if (pass->fragment == FRAGMENT_LATER || is_icmp_error(&pass->tuple))
		return -1;
	__builtin_memset(told, 0, sizeof(*told));
	quoted = load_quoted(skb, pass, told);
	room = pass->tuple.family == 4 ? sizeof(told->v4) : sizeof(told->v6);
	if (!quoted || bpf_skb_change_tail(skb, sizeof(struct ethernet) + quoted, 0) ||
		bpf_skb_adjust_room(skb, room, BPF_ADJ_ROOM_MAC, 0)) {
		count(COUNTER_HELPER_FAILED);
		return -1;
	}
	told->v4.icmp.type = told->v6.icmp.type = type;
	told->v4.icmp.code = told->v6.icmp.code = code;
	told->v4.icmp.id = told->v6.icmp.id = bpf_htons(rest >> 16);
	told->v4.icmp.sequence = told->v6.icmp.sequence = bpf_htons(rest);
	if (pass->tuple.family == 4)
		failed = store_told4(skb, pass, told, quoted);
	else
		failed = store_told6(skb, pass, told, quoted);
	if (failed) {
		count(COUNTER_HELPER_FAILED);
		return -1;
	}
	return 0;
}

/* Returns a TC action. */
INLINE int tell_sender(struct __sk_buff *skb, const struct pass *pass, __u32 type, __u32 code, __u32 rest)
{
	return make_error(skb, type, code, rest) ? TC_ACT_SHOT : send_back(skb, pass);
}

INLINE int tell_unreachable(struct __sk_buff *skb, const struct pass *pass)
{
	if (pass->tuple.family == 4)
		return tell_sender(skb, pass, ICMP4_UNREACHABLE, ICMP4_PORT_UNREACHABLE, 0);
	return tell_sender(skb, pass, ICMP6_UNREACHABLE, ICMP6_PORT_UNREACHABLE, 0);
}

INLINE int tell_too_big(struct __sk_buff *skb, const struct pass *pass, __u32 mtu)
{
	if (pass->tuple.family == 4)
		return tell_sender(skb, pass, ICMP4_UNREACHABLE, ICMP4_FRAGMENTATION_NEEDED, mtu & 0xffff);
	return tell_sender(skb, pass, ICMP6_PACKET_TOO_BIG, 0, mtu);
}

INLINE int tell_time_exceeded(struct __sk_buff *skb, const struct pass *pass)
{
	return tell_sender(skb, pass, pass->tuple.family == 4 ? ICMP4_TIME_EXCEEDED : ICMP6_TIME_EXCEEDED, 0, 0);
}

/* Two bytes of what a ping's checksum covers: type and code. */
INLINE long answer_type(struct __sk_buff *skb, const struct pass *pass)
{
	__u32 at = pass->walk.offset;
	__be16 asked = bpf_htons(pass->tuple.icmp_type << 8 | pass->tuple.icmp_code);
	__be16 answer = bpf_htons((pass->tuple.family == 4 ? ICMP4_ECHO_REPLY : ICMP6_ECHO_REPLY) << 8);

	if (bpf_l4_csum_replace(skb, at + offsetof(struct icmp, checksum), asked, answer, sizeof(answer)))
		return -1;
	return bpf_skb_store_bytes(skb, at, &answer, sizeof(answer), BPF_F_RECOMPUTE_CSUM);
}

/* Addresses change places, so no checksum over them is another; hops are counted anew. */
INLINE long answer_ipv4(struct __sk_buff *skb, const struct pass *pass)
{
	__be32 addresses[2] = {address_words(pass->tuple.daddr)[3], address_words(pass->tuple.saddr)[3]};
	__be16 before = bpf_htons(pass->ttl << 8 | PROTOCOL_ICMP), after = bpf_htons(TOLD_TTL << 8 | PROTOCOL_ICMP);

	if (bpf_l3_csum_replace(skb, pass->l3 + offsetof(struct ipv4, checksum), before, after, sizeof(after)) ||
		bpf_skb_store_bytes(skb, pass->l3 + offsetof(struct ipv4, ttl), &after, sizeof(after), 0))
		return -1;
	return bpf_skb_store_bytes(skb, pass->l3 + offsetof(struct ipv4, source), addresses, sizeof(addresses), 0);
}

INLINE long answer_ipv6(struct __sk_buff *skb, const struct pass *pass)
{
	__u8 hops = TOLD_TTL;
	__u32 addresses[8];

	__builtin_memcpy(addresses, pass->tuple.daddr, 16);
	__builtin_memcpy(addresses + 4, pass->tuple.saddr, 16);
	if (bpf_skb_store_bytes(
		    skb, pass->l3 + offsetof(struct ipv6, hop_limit), &hops, sizeof(hops), BPF_F_RECOMPUTE_CSUM))
		return -1;
	return bpf_skb_store_bytes(
		skb, pass->l3 + offsetof(struct ipv6, source), addresses, sizeof(addresses), BPF_F_RECOMPUTE_CSUM);
}

/* A ping becomes its answer. Returns a TC action. */
VERIFIED_ONCE int answer_ping(struct __sk_buff *skb)
{
	struct pass *pass = this_pass();

	if (!pass)
		return TC_ACT_SHOT;
	if (answer_type(skb, pass) || (pass->tuple.family == 4 ? answer_ipv4(skb, pass) : answer_ipv6(skb, pass))) {
		count(COUNTER_HELPER_FAILED);
		return TC_ACT_SHOT;
	}
	return send_back(skb, pass);
}

#endif
