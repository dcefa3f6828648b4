/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which backend a packet of a Maglev frontend goes to. Of almost all slots nothing is remembered: the same connection
 * has the same slot wherever it comes in. Only a slot that has changed hands (maglev_slot) asks `service_flows`:
 *
 *   SYN         the backend that has the slot now; remembered, or its next packet would be taken for an older one's
 *   other TCP   what is remembered, else the backend that had the slot before; remembered too, so that it stays when
 *               the slot changes hands once more
 *   UDP         the backend that has the slot now, nothing is remembered: no datagram tells whether it begins something
 *
 * In a flood (more than WEIR_SERVICE_FLOOD in a second of one CPU) a SYN goes to the earlier backend, unremembered:
 * with it goes all that follows.
 */
#ifndef WEIR_BALANCE_H
#define WEIR_BALANCE_H

#include "balance_maps.h"
#include "counters.h"
#include "l4.h"
#include "maglev.h"

INLINE void count_for(__u32 frontend, __u32 bytes)
{
	struct service_count *counts = bpf_map_lookup_elem(&service_counts, &frontend);
	struct service_count first = {.packets = 1, .bytes = bytes};

	if (counts) {
		counts->packets++;
		counts->bytes += bytes;
	} else {
		bpf_map_update_elem(&service_counts, &frontend, &first, BPF_ANY);
	}
}

INLINE bool is_flood(__u64 now)
{
	__u32 zero = 0;
	struct service_flood *flood = bpf_map_lookup_elem(&service_floods, &zero);
	__u64 second = now / NS_PER_SECOND;

	if (!flood)
		return true;
	if (flood->second != second) {
		flood->second = second;
		flood->remembered = 0;
	}
	return ++flood->remembered > WEIR_SERVICE_FLOOD;
}

/* Remembers a connection; false: there are too many. */
INLINE bool remember_flow(const struct service_flow_key *key, struct service_flow *flow)
{
	if (is_flood(flow->last_ns)) {
		count(COUNTER_SERVICE_FLOW_FLOOD);
		return false;
	}
	if (bpf_map_update_elem(&service_flows, key, flow, BPF_ANY))
		count(COUNTER_HELPER_FAILED);
	return true;
}

/* Of a slot that has changed hands. `follow`: an ICMP error about the connection, which changes nothing. */
VERIFIED_ONCE int changed_backend(
	const struct tuple *tuple, const struct maglev_place *place, __u32 tcp_flags, __u32 follow)
{
	struct service_flow_key key = {};
	struct service_flow fresh = {}, *known;
	bool begins = (tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && !follow;

	if (!tuple || !place)
		return 0;
	if (tuple->protocol != PROTOCOL_TCP)
		return place->slot.current;
	address_copy(key.client, tuple->saddr);
	address_copy(key.addr, tuple->daddr);
	key.client_port = tuple->sport;
	key.port = tuple->dport;
	key.protocol = tuple->protocol;
	fresh.last_ns = bpf_ktime_get_coarse_ns();
	fresh.table = place->table;
	fresh.slot = place->number;
	fresh.backend = begins ? place->slot.current : place->slot.previous & ~MAGLEV_CHANGED;
	known = bpf_map_lookup_elem(&service_flows, &key);
	if (known && !begins) {
		count(COUNTER_SERVICE_FLOW_HIT);
		known->last_ns = fresh.last_ns;
		return known->backend;
	}
	if (known && known->backend == fresh.backend) /* a SYN sent again */
		return fresh.backend;
	count(COUNTER_SERVICE_FLOW_MISS);
	if (!follow && !remember_flow(&key, &fresh))
		return place->slot.previous & ~MAGLEV_CHANGED;
	return fresh.backend;
}

/* Number of the backend of a packet to a frontend that has a Maglev table, and its place there; 0 = nobody. */
INLINE __u32 balanced_backend(const struct service *service, const struct tuple *tuple, __u32 tcp_flags, bool follow,
	struct maglev_place *place)
{
	if (!maglev_place_of(service, tuple, place))
		return 0;
	if (likely(place->slot.current == place->slot.previous))
		return place->slot.current;
	return changed_backend(tuple, place, tcp_flags, follow);
}

#endif
