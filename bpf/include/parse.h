/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A frame becomes a tuple, or a reason why not. All of the packet that is ever
 * read is read here, but for neighbour messages and what ICMP errors quote.
 */
#ifndef WEIR_PARSE_H
#define WEIR_PARSE_H

#include "config.h"
#include "fragments.h"
#include "ipv4.h"
#include "ipv6.h"
#include "l2.h"
#include "l4.h"

INLINE int classify_fragment(struct pass *pass)
{
	const struct walk *walk = &pass->walk;

	if (!walk->fragment_offset && !walk->more_fragments)
		return 0;
	if (!track_fragments)
		return DROP_FRAGMENT_UNSUPPORTED;
	if (walk->fragment_offset + walk->left > IP_LENGTH_MAX)
		return DROP_INVALID_PACKET;
	pass->fragment = walk->fragment_offset ? FRAGMENT_LATER : FRAGMENT_FIRST;
	return 0;
}

INLINE int parse_l3_ipv4(struct __sk_buff *skb, struct pass *pass)
{
	struct ipv4 ip;
	int reason = parse_ipv4(skb, pass->l3, &pass->tuple, &pass->walk, &ip, false);
	__u32 options;

	if (reason)
		return reason;
	pass->bytes = pass->walk.offset - pass->l3 + pass->walk.left;
	pass->ttl = ip.ttl;
	pass->ip4_checksum = ip.checksum;
	options = pass->walk.offset - pass->l3 - IPV4_HEADER_MIN;
	if (options) {
		reason = check_ipv4_options(skb, pass->l3 + IPV4_HEADER_MIN, options);
		if (reason)
			return reason;
	}
	if (!pass->within_host && ipv4_martian(ip.source, ip.destination))
		return DROP_INVALID_PACKET;
	return classify_fragment(pass);
}

INLINE int parse_l3_ipv6(struct __sk_buff *skb, struct pass *pass)
{
	struct ipv6 ip;
	int reason = parse_ipv6(skb, pass->l3, &pass->tuple, &pass->walk, &ip, false);

	pass->bytes = pass->walk.offset - pass->l3 + pass->walk.left;
	if (reason)
		return reason;
	pass->ttl = ip.hop_limit;
	if (!pass->within_host && ipv6_martian(pass->tuple.saddr, pass->tuple.daddr))
		return DROP_INVALID_PACKET;
	return classify_fragment(pass);
}

/* Later fragments: RFC 1858's overlap of the TCP flags, then the first one's ports. */
INLINE int parse_later_fragment(struct pass *pass)
{
	int reason = find_fragment(pass);

	if (!reason && pass->tuple.protocol == PROTOCOL_TCP && pass->walk.fragment_offset < TCP_FLAGS_END)
		return DROP_INVALID_PACKET;
	return reason;
}

/* ICMPv6 that keeps the link running is no flow. `::` is a source for these only. */
INLINE int classify_icmpv6(struct pass *pass)
{
	__u8 type = pass->tuple.icmp_type;

	if (pass->tuple.protocol == PROTOCOL_ICMPV6) {
		if ((type >= ICMP6_ROUTER_SOLICITATION && type <= ICMP6_REDIRECT) ||
			type == ICMP6_INVERSE_SOLICITATION || type == ICMP6_INVERSE_ADVERTISEMENT)
			pass->kind = PACKET_NEIGHBOUR;
		else if ((type >= ICMP6_LISTENER_QUERY && type <= ICMP6_LISTENER_DONE) ||
			 type == ICMP6_LISTENER_REPORT_V2)
			pass->kind = PACKET_LISTENER;
	}
	if (pass->kind == PACKET_FLOW && ipv6_unspecified(pass->tuple.saddr))
		return DROP_INVALID_PACKET;
	return 0;
}

INLINE void forget(struct __sk_buff *skb, struct pass *pass)
{
	/* the addresses mean nothing until family says that they are known */
	__builtin_memset(&pass->tuple.sport, 0, sizeof(pass->tuple) - offsetof(struct tuple, sport));
	pass->now_ns = bpf_ktime_get_coarse_ns();
	pass->bytes = skb->len;
	pass->packets = skb->gso_segs > 1 ? skb->gso_segs : 1;
	pass->kind = PACKET_FLOW;
	pass->fragment = FRAGMENT_NONE;
	pass->tcp_flags = 0;
	pass->related = 0;
	pass->target = 0;
	pass->peer_host = 0;
	pass->socket_identity = 0;
	pass->within_host = 0;
	pass->itself = 0;
	pass->answer = 0;
	pass->trace_point = TRACE_UNKNOWN;
}

/* From the ethertype and l3 on. Returns a drop reason or 0. */
INLINE int parse_l3(struct __sk_buff *skb, struct pass *pass)
{
	int reason;

	switch (pass->ethertype) {
	case bpf_htons(ETHERTYPE_IPV4):
		reason = parse_l3_ipv4(skb, pass);
		break;
	case bpf_htons(ETHERTYPE_IPV6):
		reason = parse_l3_ipv6(skb, pass);
		break;
	case bpf_htons(ETHERTYPE_ARP):
		pass->kind = PACKET_ARP;
		return 0;
	default:
		return bpf_ntohs(pass->ethertype) < ETHERTYPE_LENGTH_BELOW ? DROP_UNSUPPORTED_L2 : DROP_UNSUPPORTED_L3;
	}
	if (reason)
		return reason;
	reason = pass->fragment == FRAGMENT_LATER ? parse_later_fragment(pass) : parse_l4(skb, pass);
	if (reason)
		return reason;
	return pass->tuple.family == 6 ? classify_icmpv6(pass) : 0;
}

/* Returns a drop reason or 0. Whatever it returns, pass says all that is known. */
VERIFIED_ONCE int parse(struct __sk_buff *skb, struct pass *pass)
{
	int reason;

	if (!pass)
		return DROP_INVALID_PACKET;
	forget(skb, pass);
	reason = parse_l2(skb, pass);
	return reason ? reason : parse_l3(skb, pass);
}

#endif
