/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * On interfaces where this host announces addresses of services, before every other
 * program: what it does not answer goes on to them. Apart from host.bpf.c, because it is
 * about links and not about uplinks: the two need not be on the same interfaces.
 */
#include "announce.h"

SEC("tc")
int answer_for(struct __sk_buff *skb)
{
	struct ethernet ethernet;

	/* a tag is of another link: that interface has a program of its own */
	if ((skb->vlan_present && (skb->vlan_tci & VLAN_ID_MASK)) || LOAD(skb, 0, &ethernet))
		return ANNOUNCE_NEXT;
	if (ethernet.type == bpf_htons(ETHERTYPE_ARP))
		return answer_arp(skb, &ethernet);
	if (ethernet.type == bpf_htons(ETHERTYPE_IPV6))
		return answer_neighbour(skb, &ethernet);
	return ANNOUNCE_NEXT;
}

/* Run by the agent (BPF_PROG_RUN) with a frame that it has made: it leaves by the interface of the context. */
SEC("tc")
int tell_link(struct __sk_buff *skb)
{
	return bpf_clone_redirect(skb, skb->ifindex, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
