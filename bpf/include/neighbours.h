/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ARP, neighbour discovery and listener reports: not judged by policy, but a
 * workload may speak only for itself and never as a router. Hop limit 255 proves
 * that nothing was forwarded.
 */
#ifndef WEIR_NEIGHBOURS_H
#define WEIR_NEIGHBOURS_H

#include "ipv6.h"
#include "l4.h"

/* The address every host side has, so that it is any workload's IPv6 gateway. */
INLINE bool is_gateway(const __u8 *address)
{
	const __u32 *words = address_words(address);

	return words[0] == bpf_htonl(0xfe800000) && words[1] == 0 && words[2] == 0 && words[3] == bpf_htonl(1);
}

INLINE bool mac_equal(const __u16 *a, const __u16 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

INLINE bool mac_known(const __u16 *mac)
{
	return mac[0] | mac[1] | mac[2];
}

/* ARP from a workload: about its own address, by its own MAC. A probe (RFC 5227) has sender 0.0.0.0. */
VERIFIED_ONCE int check_arp(struct __sk_buff *skb, struct pass *pass, struct workload *workload, __u32 check)
{
	const __u16 *own_mac, *own_ip;
	struct arp arp;

	if (!pass || !workload)
		return DROP_INVALID_PACKET;
	if (LOAD(skb, pass->l3, &arp))
		return DROP_INVALID_PACKET;
	if (arp.hardware != bpf_htons(ARP_ETHERNET) || arp.protocol != bpf_htons(ETHERTYPE_IPV4) ||
		arp.hardware_length != 6 || arp.protocol_length != 4 ||
		(arp.operation != bpf_htons(ARP_REQUEST) && arp.operation != bpf_htons(ARP_REPLY)))
		return DROP_INVALID_PACKET;
	if (!check)
		return 0;
	own_mac = (const __u16 *)workload->mac;
	own_ip = (const __u16 *)workload->ip4 + 6;
	if (mac_known(own_mac) && !mac_equal(arp.sender_mac, own_mac))
		return DROP_INVALID_SOURCE_MAC;
	if ((arp.sender_ip[0] | arp.sender_ip[1]) == 0)
		return 0;
	if (arp.sender_ip[0] != own_ip[0] || arp.sender_ip[1] != own_ip[1])
		return DROP_INVALID_SOURCE_IP;
	return 0;
}

INLINE bool own_or_link_local(const __u8 *address, const struct workload *workload)
{
	return address_equal(address, workload->ip6) || (ipv6_link_local(address) && !is_gateway(address));
}

/* Neighbour discovery from a workload: solicitations, and advertisements of what is its own. */
VERIFIED_ONCE int check_neighbour_sent(struct __sk_buff *skb, struct pass *pass, struct workload *workload, __u32 check)
{
	struct {
		__u8 address[16] WEIR_ALIGNED(8);
	} target;
	__u8 type;

	if (!pass || !workload)
		return DROP_INVALID_PACKET;
	type = pass->tuple.icmp_type;
	if (type != ICMP6_ROUTER_SOLICITATION && type != ICMP6_NEIGHBOUR_SOLICITATION &&
		type != ICMP6_NEIGHBOUR_ADVERTISEMENT)
		return DROP_FORBIDDEN_ICMPV6;
	if (pass->ttl != HOP_LIMIT_ON_LINK || pass->tuple.icmp_code || pass->walk.fragmented)
		return DROP_FORBIDDEN_ICMPV6;
	if (!check)
		return 0;
	if (ipv6_unspecified(pass->tuple.saddr)) {
		if (type == ICMP6_NEIGHBOUR_ADVERTISEMENT)
			return DROP_INVALID_SOURCE_IP;
	} else if (!own_or_link_local(pass->tuple.saddr, workload)) {
		return DROP_INVALID_SOURCE_IP;
	}
	if (type != ICMP6_NEIGHBOUR_ADVERTISEMENT)
		return 0;
	if (pass->walk.left < sizeof(struct icmp) + sizeof(target) ||
		bpf_skb_load_bytes(skb, pass->walk.offset + sizeof(struct icmp), &target, sizeof(target)))
		return DROP_CT_INVALID_HEADER;
	return own_or_link_local(target.address, workload) ? 0 : DROP_INVALID_SOURCE_IP;
}

/* Reports of what a workload listens to go to its link and mean nothing beyond it; a query would be a router's. */
INLINE int check_listener_sent(const struct pass *pass, const struct workload *workload, bool check)
{
	if (pass->tuple.icmp_type == ICMP6_LISTENER_QUERY || pass->ttl != 1 || !ipv6_multicast(pass->tuple.daddr) ||
		pass->walk.fragmented)
		return DROP_FORBIDDEN_ICMPV6;
	if (check && !ipv6_unspecified(pass->tuple.saddr) && !own_or_link_local(pass->tuple.saddr, workload))
		return DROP_INVALID_SOURCE_IP;
	return 0;
}

/* Towards a workload only the host itself speaks these. */
INLINE int check_link_received(const struct pass *pass)
{
	if (pass->kind == PACKET_NEIGHBOUR)
		return pass->ttl == HOP_LIMIT_ON_LINK ? 0 : DROP_FORBIDDEN_ICMPV6;
	return pass->from_host && pass->ttl == 1 && ipv6_multicast(pass->tuple.daddr) ? 0 : DROP_FORBIDDEN_ICMPV6;
}

#endif
