/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Nobody speaks for another: a workload only with its own MAC and addresses, and
 * what comes from outside never with the address of a workload of this host.
 */
#ifndef WEIR_SOURCE_H
#define WEIR_SOURCE_H

#include "config.h"
#include "ipv4.h"
#include "maps.h"
#include "neighbours.h"

INLINE bool is_group_mac(const __u16 *mac)
{
	return *(const __u8 *)mac & 1;
}

INLINE bool to_group(const struct tuple *tuple)
{
	__be32 destination = address_words(tuple->daddr)[3];

	if (tuple->family == 6)
		return ipv6_multicast(tuple->daddr);
	return ipv4_multicast(destination) || destination == bpf_htonl(0xffffffff);
}

INLINE int check_macs(const struct pass *pass, const struct workload *workload)
{
	const __u16 *own = (const __u16 *)workload->mac, *gateway = (const __u16 *)workload->host_mac;

	if (mac_known(own) && !mac_equal(pass->source_mac, own))
		return DROP_INVALID_SOURCE_MAC;
	if (is_group_mac(pass->destination_mac)) /* to one address but to all stations (RFC 1122 3.3.6) */
		return pass->kind == PACKET_FLOW && !to_group(&pass->tuple) ? DROP_INVALID_DESTINATION_MAC : 0;
	if (mac_known(gateway) && !mac_equal(pass->destination_mac, gateway))
		return DROP_INVALID_DESTINATION_MAC;
	return 0;
}

/* Of a frame that a workload sends. Returns a drop reason or 0. */
INLINE int check_sent(struct __sk_buff *skb, struct pass *pass, struct workload *workload)
{
	bool check = check_source && !(workload->flags & WORKLOAD_NO_SOURCE_CHECK);
	int reason = check ? check_macs(pass, workload) : 0;
	const __u8 *own;

	if (reason)
		return reason;
	switch (pass->kind) {
	case PACKET_ARP:
		return check_arp(skb, pass, workload, check);
	case PACKET_NEIGHBOUR:
		return check_neighbour_sent(skb, pass, workload, check);
	case PACKET_LISTENER:
		return check_listener_sent(pass, workload, check);
	}
	if (!check)
		return 0;
	own = pass->tuple.family == 4 ? workload->ip4 : workload->ip6;
	return address_equal(pass->tuple.saddr, own) ? 0 : DROP_INVALID_SOURCE_IP;
}

/* Of a frame that the host's stack sends to a workload. Where flows come from track.h asks: see local.h. */
INLINE int check_received(const struct pass *pass)
{
	return pass->kind == PACKET_FLOW || pass->kind == PACKET_ARP ? 0 : check_link_received(pass);
}

#endif
