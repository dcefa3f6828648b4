/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Ethernet and VLAN tags. Tags with id 0 carry only a priority and pass, up to two
 * of them; any other id would reach a network that no policy here knows.
 */
#ifndef WEIR_L2_H
#define WEIR_L2_H

#include "headers.h"
#include "pass.h"

#define MAX_VLAN_TAGS 2

INLINE bool is_vlan(__be16 type)
{
	return type == bpf_htons(ETHERTYPE_VLAN) || type == bpf_htons(ETHERTYPE_QINQ);
}

/* Sets the MACs, the ethertype (network order) and l3. Returns a drop reason or 0. */
INLINE int parse_l2(struct __sk_buff *skb, struct pass *pass)
{
	struct ethernet ethernet;
	struct vlan vlan;

	pass->l3 = sizeof(ethernet);
	if (LOAD(skb, 0, &ethernet))
		return DROP_INVALID_PACKET;
	__builtin_memcpy(pass->destination_mac, ethernet.destination, 6);
	__builtin_memcpy(pass->source_mac, ethernet.source, 6);
	pass->ethertype = ethernet.type;
	/* the outermost tag, once the kernel has taken it out of the frame */
	if (skb->vlan_present && (skb->vlan_tci & VLAN_ID_MASK))
		return DROP_VLAN_FILTERED;
	for (int i = 0; i < MAX_VLAN_TAGS && is_vlan(pass->ethertype); i++) {
		if (LOAD(skb, pass->l3, &vlan))
			return DROP_INVALID_PACKET;
		if (vlan.tci & bpf_htons(VLAN_ID_MASK))
			return DROP_VLAN_FILTERED;
		pass->ethertype = vlan.type;
		pass->l3 += sizeof(vlan);
	}
	return is_vlan(pass->ethertype) ? DROP_VLAN_FILTERED : 0;
}

#endif
