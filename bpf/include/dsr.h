/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Backends that answer clients by themselves: the packet goes to them as it came, inside another one (ipip.h).
 *
 *   send_inside  at the host that the packet comes to, where XDP has left it to tc
 *   take_off     at the backend's host. What is inside must ask for a frontend of this kind, and the address outside be
 *                that of a backend of this host which serves it (170); then it is served as if it had come here
 *                (begin_here), and what the backend answers has the frontend's address
 */
#ifndef WEIR_DSR_H
#define WEIR_DSR_H

#include "balance.h"
#include "ipip.h"
#include "service_way.h"

/* Slots that are looked through for a backend of an address, where no slot of Maglev leads to it. */
#define TAKE_OFF_SLOTS 64

#define OUTSIDE_OF(skb, family) \
	((family) == 4 ? bpf_skb_adjust_room(skb, -(int)sizeof(struct ipv4), BPF_ADJ_ROOM_MAC, 0) \
		       : bpf_skb_adjust_room(skb, -(int)sizeof(struct ipv6), BPF_ADJ_ROOM_MAC, 0))

/* The packet, whose header makes it longer, to serving->choice.to. Returns a TC action. */
VERIFIED_ONCE int send_inside(struct __sk_buff *skb, __u32 hash)
{
	const struct service_settings *settings = settings_of_services();
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	struct ipip ipip = {};
	__u32 mtu = 0, outer;
	struct ipv4 ip4;
	struct ipv6 ip6;
	int reason;

	if (!serving || !pass || !settings)
		return TC_ACT_SHOT;
	if (pass->ttl <= 1) {
		refuse_for(pass, NULL, DROP_TTL_EXCEEDED);
		return tell_time_exceeded(skb, pass);
	}
	ipip.to = serving->choice.to.addr;
	ipip.bytes = pass->bytes;
	ipip.hash = hash;
	ipip.family = pass->tuple.family;
	/* what the backend's host would not find the frontend of */
	if (pass->tuple.protocol != PROTOCOL_TCP && pass->tuple.protocol != PROTOCOL_UDP)
		return refuse_for(pass, NULL, DROP_UNSUPPORTED_FOR_DSR);
	outer = pass->tuple.family == 4 ? sizeof(ip4) : sizeof(ip6);
	if (!has_source(settings, pass->tuple.family == 4))
		return refuse_for(pass, NULL, DROP_NAT_NO_MAPPING);
	address_copy(serving->as.addr, pass->tuple.family == 4 ? settings->source4 : settings->source6);
	address_copy(serving->to.addr, serving->choice.to.addr);
	reason = find_hop(skb, skb->gso_size ? 0 : pass->bytes + outer, &mtu);
	if (reason == DROP_FRAGMENTATION_NEEDED)
		return is_too_big(skb, pass, mtu - outer);
	if (reason)
		return refuse_for(pass, NULL, reason);
	count_for(serving->choice.frontend, pass->bytes);
	if (pass->fragment == FRAGMENT_FIRST)
		record_fragment(pass);
	/* segments of a GSO packet get shorter by what is put around them */
	if (pass->tuple.family == 4) {
		ipip_header4(&ipip, settings, &ip4);
		if (bpf_skb_adjust_room(skb, sizeof(ip4), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4) ||
			bpf_skb_store_bytes(skb, pass->l3, &ip4, sizeof(ip4), 0))
			return refuse_for(pass, NULL, DROP_WRITE_ERROR);
	} else {
		ipip_header6(&ipip, settings, &ip6);
		if (bpf_skb_adjust_room(skb, sizeof(ip6), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6) ||
			bpf_skb_store_bytes(skb, pass->l3, &ip6, sizeof(ip6), BPF_F_RECOMPUTE_CSUM))
			return refuse_for(pass, NULL, DROP_WRITE_ERROR);
	}
	count(COUNTER_SERVICE_ENCAPSULATED);
	return bpf_redirect_neigh(serving->ifindex, &serving->hop, sizeof(serving->hop), 0);
}

/* What stands outside and inside, as far as it matters. */
struct taken {
	struct service_key asked;
	__u8 outside[16] WEIR_ALIGNED(8); /* the address that it was sent to */
	__u8 client[16] WEIR_ALIGNED(8);
	__be16 client_port;
	__u16 pad[3];
};

/* Ports of the inner packet. Later fragments have none: they are known by their first (fragments.h), once they are out. */
INLINE bool read_inner_ports(struct __sk_buff *skb, __u32 at, struct taken *taken)
{
	struct udp ports;

	if (taken->asked.protocol != PROTOCOL_TCP && taken->asked.protocol != PROTOCOL_UDP)
		return false;
	if (LOAD(skb, at, &ports))
		return false;
	taken->client_port = ports.source;
	taken->asked.port = ports.destination;
	return true;
}

INLINE bool read_taken4(struct __sk_buff *skb, struct taken *taken)
{
	struct ipv4 outer, inner;

	if (LOAD(skb, sizeof(struct ethernet), &outer) || outer.protocol != PROTOCOL_IPIP ||
		outer.version_length != 0x45 || outer.fragment & bpf_htons(IPV4_FRAGMENT_OFFSET | IPV4_MORE_FRAGMENTS))
		return false;
	if (LOAD(skb, sizeof(struct ethernet) + sizeof(outer), &inner) || (inner.version_length >> 4) != 4 ||
		(inner.version_length & 15) < 5)
		return false;
	map_ipv4(taken->outside, outer.destination);
	map_ipv4(taken->client, inner.source);
	map_ipv4(taken->asked.addr, inner.destination);
	taken->asked.protocol = inner.protocol;
	if (inner.fragment & bpf_htons(IPV4_FRAGMENT_OFFSET))
		return false;
	return read_inner_ports(skb, sizeof(struct ethernet) + sizeof(outer) + (inner.version_length & 15) * 4, taken);
}

INLINE bool read_taken6(struct __sk_buff *skb, struct taken *taken)
{
	struct ipv6 outer, inner;

	if (LOAD(skb, sizeof(struct ethernet), &outer) || outer.next != PROTOCOL_IPV6)
		return false;
	if (LOAD(skb, sizeof(struct ethernet) + sizeof(outer), &inner) ||
		(inner.version_class_flow & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return false;
	__builtin_memcpy(taken->outside, outer.destination, 16);
	__builtin_memcpy(taken->client, inner.source, 16);
	__builtin_memcpy(taken->asked.addr, inner.destination, 16);
	taken->asked.protocol = inner.next;
	return read_inner_ports(skb, sizeof(struct ethernet) + sizeof(outer) + sizeof(inner), taken);
}

/* Is it the backend of that address, on this host? Then it is serving->choice.to. */
INLINE bool is_backend_here(struct serving *serving, __u32 number, const __u8 *address)
{
	const struct backend *found = number ? bpf_map_lookup_elem(&backends, &number) : NULL;

	if (!found || !(found->flags & BACKEND_LOCAL) || !address_equal(found->addr, address))
		return false;
	serving->choice.to = *found;
	serving->choice.backend = number;
	return true;
}

/* The backend of this host that has the address and serves the frontend: serving->choice. Returns 1, or 0: there is none. */
VERIFIED_ONCE int find_backend_here(const struct taken *taken)
{
	struct serving *serving = this_serving();
	const struct service *service;
	struct maglev_place place;
	struct tuple tuple = {};
	__u32 slots, table;

	if (!taken || !serving)
		return 0;
	serving->asked = taken->asked;
	service = bpf_map_lookup_elem(&services, &serving->asked);
	if (!service)
		return 0;
	serving->choice.frontend = service->frontend;
	serving->choice.service = service->service;
	serving->choice.flags = service->flags;
	address_copy(tuple.saddr, taken->client);
	address_copy(tuple.daddr, taken->asked.addr);
	tuple.sport = taken->client_port;
	tuple.dport = taken->asked.port;
	tuple.protocol = taken->asked.protocol;
	tuple.family = is_mapped_ipv4(taken->asked.addr) ? 4 : 6;
	if (maglev_place_of(service, &tuple, &place) &&
		(is_backend_here(serving, place.slot.current, taken->outside) ||
			is_backend_here(serving, place.slot.previous & ~MAGLEV_CHANGED, taken->outside)))
		return 1;
	slots = service->active + service->terminating;
	table = service->table;
	for (__u32 i = 0; i < TAKE_OFF_SLOTS && i < slots; i++)
		if (is_backend_here(serving, backend_in(table, i), taken->outside))
			return 1;
	return 0;
}

/*
 * Takes the packet out of another one, when that is what a balancer has sent here. Returns a TC action when it is
 * refused; else NOT_SERVED, and serving->taken says whether it was one.
 */
VERIFIED_ONCE int take_off(struct __sk_buff *skb)
{
	struct serving *serving = this_serving();
	const struct service *service;
	struct taken taken = {};
	__u8 family;

	if (!serving)
		return TC_ACT_SHOT;
	serving->taken = 0;
	if (skb->protocol == bpf_htons(ETHERTYPE_IPV4)) {
		family = 4;
		if (!read_taken4(skb, &taken))
			return NOT_SERVED;
	} else if (skb->protocol == bpf_htons(ETHERTYPE_IPV6)) {
		family = 6;
		if (!read_taken6(skb, &taken))
			return NOT_SERVED;
	} else {
		return NOT_SERVED;
	}
	service = bpf_map_lookup_elem(&services, &taken.asked);
	if (!service || (service->flags & (SERVICE_DSR | SERVICE_DSR_IPIP)) != (SERVICE_DSR | SERVICE_DSR_IPIP))
		return NOT_SERVED; /* somebody else's tunnel */
	if (!find_backend_here(&taken)) {
		count_drop(DROP_ENCAPSULATION_PROHIBITED, DIRECTION_INGRESS, 1, skb->len);
		return TC_ACT_SHOT;
	}
	if (OUTSIDE_OF(skb, family)) {
		count_drop(DROP_WRITE_ERROR, DIRECTION_INGRESS, 1, skb->len);
		return TC_ACT_SHOT;
	}
	serving->taken = serving->choice.backend;
	count(COUNTER_SERVICE_TAKEN_OFF);
	return NOT_SERVED;
}

#endif
