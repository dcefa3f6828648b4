/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Tagged frames on uplinks. They belong to networks that nothing here knows: those
 * that are listed pass unjudged, the others do not. Id 0 is a priority and no network.
 */
#ifndef WEIR_VLAN_H
#define WEIR_VLAN_H

#include "counters.h"
#include "l2.h"
#include "uplink_maps.h"

/* The outermost VLAN id; 0 = none. */
INLINE __u32 vlan_id(struct __sk_buff *skb)
{
	struct ethernet ethernet;
	struct vlan vlan;

	if (skb->vlan_present)
		return skb->vlan_tci & VLAN_ID_MASK;
	if (LOAD(skb, 0, &ethernet) || !is_vlan(ethernet.type) || LOAD(skb, sizeof(ethernet), &vlan))
		return 0;
	return bpf_ntohs(vlan.tci) & VLAN_ID_MASK;
}

INLINE bool may_pass_vlan(const struct uplink *uplink, __u32 id)
{
	if (!(uplink->flags & UPLINK_VLAN_FILTER) || (uplink->flags & UPLINK_VLAN_ALL))
		return true;
	return bpf_map_lookup_elem(&vlans, &id);
}

#endif
