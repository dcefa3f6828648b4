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
#include "service_counts.h"

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

INLINE void flow_key_of(const struct tuple *tuple, struct service_flow_key *key)
{
	__builtin_memset(key, 0, sizeof(*key));
	address_copy(key->client, tuple->saddr);
	address_copy(key->addr, tuple->daddr);
	key->client_port = tuple->sport;
	key->port = tuple->dport;
	key->protocol = tuple->protocol;
}

/* Of a slot that has changed hands. `follow`: an ICMP error about the connection, which changes nothing. */
VERIFIED_ONCE int changed_backend(
	const struct tuple *tuple, const struct maglev_place *place, __u32 tcp_flags, __u32 follow)
{
	struct service_flow_key key;
	struct service_flow fresh = {}, *known;
	bool begins = (tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && !follow;

	if (!tuple || !place)
		return 0;
	if (tuple->protocol != PROTOCOL_TCP)
		return place->slot.current;
	flow_key_of(tuple, &key);
	fresh.last_ns = bpf_ktime_get_coarse_ns();
	fresh.table = place->table;
	fresh.slot = place->number;
	fresh.backend = begins ? place->slot.current : place->slot.previous & ~MAGLEV_CHANGED;
	known = bpf_map_lookup_elem(&service_flows, &key);
	if (known && !begins) {
		count(COUNTER_SERVICE_FLOW_HIT);
		count_flow_table(place->frontend, known->backend, true);
		known->last_ns = fresh.last_ns;
		return known->backend;
	}
	if (known && known->backend == fresh.backend) /* a SYN sent again */
		return fresh.backend;
	count(COUNTER_SERVICE_FLOW_MISS);
	count_flow_table(place->frontend, fresh.backend, false);
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

/*
 * Frontends without a Maglev table whose backends answer by themselves: nothing else here remembers their connections. Who
 * has none yet gets a backend by the connection's hash, as even as chance and without a trace in a flood.
 */
INLINE __u32 hashed_backend(const struct service *service, const struct tuple *tuple, __u32 *hash)
{
	const struct service_settings *settings = settings_of_services();
	__u32 count = service->active ? service->active : service->terminating;
	__u32 number;

	if (!settings || !count)
		return 0;
	*hash = maglev_hash(tuple, service->flags & SERVICE_AFFINITY ? 0 : tuple->sport, settings);
	number = backend_in(service->table, (__u64)*hash * count >> 32);
	return number ? number : backend_in(service->table, 0);
}

/* Number of the backend of a packet to such a frontend; 0 = nobody. What is `idle` for longer than that begins anew. */
VERIFIED_ONCE int remembered_backend(
	const struct service *service, const struct tuple *tuple, __u64 idle_ns, __u64 now, __u32 *hash)
{
	struct service_flow_key key;
	struct service_flow *known;
	__u32 number;

	if (!service || !tuple || !hash)
		return 0;
	flow_key_of(tuple, &key);
	number = hashed_backend(service, tuple, hash);
	known = bpf_map_lookup_elem(&service_flows, &key);
	if (!known || known->table != service->table || known->last_ns + idle_ns < now) {
		count(COUNTER_SERVICE_FLOW_MISS);
		count_flow_table(service->frontend, number, false);
		return number;
	}
	if (!bpf_map_lookup_elem(&backends, &known->backend)) {
		count(COUNTER_SERVICE_STALE);
		return number;
	}
	count(COUNTER_SERVICE_FLOW_HIT);
	count_flow_table(service->frontend, known->backend, true);
	return known->backend;
}

/* The packet goes to that backend, and so shall what follows. */
VERIFIED_ONCE int remember_backend(const struct tuple *tuple, __u32 table, __u32 backend, __u64 now)
{
	struct service_flow fresh = {.last_ns = now, .backend = backend, .table = table};
	struct service_flow_key key;
	struct service_flow *known;

	if (!tuple)
		return 0;
	flow_key_of(tuple, &key);
	known = bpf_map_lookup_elem(&service_flows, &key);
	if (known && known->backend == backend && known->table == table)
		known->last_ns = now;
	else
		remember_flow(&key, &fresh);
	return 0;
}

#endif
