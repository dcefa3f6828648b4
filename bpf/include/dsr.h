/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Backends that answer clients by themselves: the packet goes to them as it came, inside another one (ipip.h).
 *
 *   send_inside    at the host that the packet comes to, where XDP has left it to tc
 *   take_off_ipip  at the backend's host. What is inside must ask for a frontend of this kind, and the address outside be
 *                  that of a backend of this host which serves it (170); then it is served as if it had come here
 *                  (begin_here), and what the backend answers has the frontend's address
 *
 * dsr_option.h is the other way to the same end.
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

/* L3 length of the longest packet that this one goes on as, `more` bytes longer; 0 = as long as the way allows (TCP's segments). */
INLINE __u32 longest_packet(struct __sk_buff *skb, const struct pass *pass, __u32 more)
{
	if (!skb->gso_size)
		return pass->bytes + more;
	if (pass->tuple.protocol != PROTOCOL_UDP)
		return 0;
	return pass->walk.offset - pass->l3 + sizeof(struct udp) + skb->gso_size + more;
}

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
	__u64 fixed;
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
	reason = find_hop(skb, longest_packet(skb, pass, outer), &mtu);
	if (reason == DROP_FRAGMENTATION_NEEDED)
		return is_too_big(skb, pass, mtu - outer);
	if (reason)
		return refuse_for(pass, NULL, reason);
	count_packets(serving->choice.frontend, serving->choice.backend, pass->packets, pass->bytes);
	if (pass->fragment == FRAGMENT_FIRST)
		record_fragment(pass);
	/* segments of TCP get shorter by what is put around them */
	fixed = pass->tuple.protocol == PROTOCOL_UDP ? BPF_F_ADJ_ROOM_FIXED_GSO : 0;
	if (pass->tuple.family == 4) {
		ipip_header4(&ipip, settings, &ip4);
		if (bpf_skb_adjust_room(skb, sizeof(ip4), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | fixed) ||
			bpf_skb_store_bytes(skb, pass->l3, &ip4, sizeof(ip4), 0))
			return refuse_for(pass, NULL, DROP_WRITE_ERROR);
	} else {
		ipip_header6(&ipip, settings, &ip6);
		if (bpf_skb_adjust_room(skb, sizeof(ip6), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 | fixed) ||
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
	__be16 port; /* of the backend; 0 = nothing outside says it */
	__u32 pad;
};

/* A router's error about what the frontend has sent to the client: what it quotes says which connection it is about. */
INLINE int read_error_inside(struct __sk_buff *skb, __u32 at, struct taken *taken)
{
	struct tuple tuple = {.protocol = taken->asked.protocol};
	struct udp ports;
	struct icmp icmp;
	struct ipv4 ip4;
	struct ipv6 ip6;

	if (LOAD(skb, at, &icmp))
		return -1;
	tuple.icmp_type = icmp.type;
	at += sizeof(icmp);
	if (!is_icmp_error(&tuple))
		return -1;
	if (tuple.protocol == PROTOCOL_ICMP) {
		if (LOAD(skb, at, &ip4) || (ip4.version_length & 15) < 5 ||
			ip4.source != address_words(taken->asked.addr)[3])
			return -1;
		map_ipv4(taken->client, ip4.destination);
		taken->asked.protocol = ip4.protocol;
		at += (ip4.version_length & 15) * 4;
	} else {
		if (LOAD(skb, at, &ip6) || __builtin_memcmp(ip6.source, taken->asked.addr, sizeof(ip6.source)))
			return -1;
		__builtin_memcpy(taken->client, ip6.destination, 16);
		taken->asked.protocol = ip6.next;
		at += sizeof(ip6);
	}
	if (LOAD(skb, at, &ports))
		return -1;
	taken->client_port = ports.destination;
	taken->asked.port = ports.source;
	return 0;
}

/* Ports of the inner packet, or of the one that an error inside quotes. 0, or -1: there are none that are known here. */
VERIFIED_ONCE int read_inner_ports(struct __sk_buff *skb, __u32 at, struct taken *taken)
{
	struct udp ports;

	if (!taken)
		return -1;
	if (taken->asked.protocol == PROTOCOL_ICMP || taken->asked.protocol == PROTOCOL_ICMPV6)
		return read_error_inside(skb, at, taken);
	if ((taken->asked.protocol != PROTOCOL_TCP && taken->asked.protocol != PROTOCOL_UDP) || LOAD(skb, at, &ports))
		return -1;
	taken->client_port = ports.source;
	taken->asked.port = ports.destination;
	return 0;
}

/* Those of a later fragment are its first one's, which was taken out here before. */
INLINE int find_inner_ports(struct taken *taken, __u32 id, __u8 family)
{
	const struct frag_value *first;
	struct frag_key key = {.id = id, .family = family};

	address_copy(key.saddr, taken->client);
	address_copy(key.daddr, taken->asked.addr);
	key.protocol = family == 4 ? taken->asked.protocol : 0;
	first = bpf_map_lookup_elem(&fragments, &key);
	if (!first)
		return -1;
	taken->asked.protocol = first->protocol;
	taken->asked.port = first->dport;
	taken->client_port = first->sport;
	return 0;
}

INLINE int read_taken4(struct __sk_buff *skb, struct taken *taken)
{
	struct ipv4 outer, inner;

	if (LOAD(skb, sizeof(struct ethernet), &outer) || outer.protocol != PROTOCOL_IPIP ||
		outer.version_length != 0x45 || outer.fragment & bpf_htons(IPV4_FRAGMENT_OFFSET | IPV4_MORE_FRAGMENTS))
		return -1;
	if (LOAD(skb, sizeof(struct ethernet) + sizeof(outer), &inner) || (inner.version_length >> 4) != 4 ||
		(inner.version_length & 15) < 5)
		return -1;
	map_ipv4(taken->outside, outer.destination);
	map_ipv4(taken->client, inner.source);
	map_ipv4(taken->asked.addr, inner.destination);
	taken->asked.protocol = inner.protocol;
	if (inner.fragment & bpf_htons(IPV4_FRAGMENT_OFFSET))
		return find_inner_ports(taken, inner.id, 4);
	return read_inner_ports(skb, sizeof(struct ethernet) + sizeof(outer) + (inner.version_length & 15) * 4, taken);
}

INLINE int read_taken6(struct __sk_buff *skb, struct taken *taken)
{
	__u32 at = sizeof(struct ethernet) + 2 * sizeof(struct ipv6);
	struct ipv6 outer, inner;
	struct extension piece;

	if (LOAD(skb, sizeof(struct ethernet), &outer) || outer.next != PROTOCOL_IPV6)
		return -1;
	if (LOAD(skb, sizeof(struct ethernet) + sizeof(outer), &inner) ||
		(inner.version_class_flow & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return -1;
	__builtin_memcpy(taken->outside, outer.destination, 16);
	__builtin_memcpy(taken->client, inner.source, 16);
	__builtin_memcpy(taken->asked.addr, inner.destination, 16);
	taken->asked.protocol = inner.next;
	if (inner.next == PROTOCOL_FRAGMENT) {
		if (LOAD(skb, at, &piece))
			return -1;
		if ((piece.type << 8 | piece.segments_left) & IPV6_FRAGMENT_OFFSET)
			return find_inner_ports(taken, piece.id, 6);
		taken->asked.protocol = piece.next;
		at += sizeof(piece);
	}
	return read_inner_ports(skb, at, taken);
}

/* Is it the backend that is meant, on this host? Then it is serving->choice.to. */
INLINE bool is_backend_here(struct serving *serving, __u32 number, const struct taken *taken)
{
	const struct backend *found = number ? bpf_map_lookup_elem(&backends, &number) : NULL;

	if (!found || !(found->flags & BACKEND_LOCAL) || !address_equal(found->addr, taken->outside) ||
		(taken->port && taken->port != found->port))
		return false;
	serving->choice.to = *found;
	serving->choice.backend = number;
	return true;
}

/* What find_backend_here() says beside 1: serving->choice is it. */
#define NO_BACKEND_HERE 0
#define NOT_SUCH_A_FRONTEND (-1)

/*
 * The backend of this host that has the address and serves the frontend, whose flags of DSR must be `flags`. Which address
 * the frontend was asked at is serving->asked as `taken` says it: that of a NodePort is any host's.
 */
VERIFIED_ONCE int find_backend_here(const struct taken *taken, __u32 flags)
{
	struct serving *serving = this_serving();
	const struct service *service;
	struct maglev_place place;
	struct tuple tuple = {};
	__u32 slots, table;

	if (!taken || !serving)
		return NOT_SUCH_A_FRONTEND;
	serving->asked = taken->asked;
	service = find_service(&serving->asked, false);
	serving->asked = taken->asked;
	if (!service || (service->flags & (SERVICE_DSR | SERVICE_DSR_IPIP | SERVICE_WILDCARD)) != flags)
		return NOT_SUCH_A_FRONTEND;
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
		(is_backend_here(serving, place.slot.current, taken) ||
			is_backend_here(serving, place.slot.previous & ~MAGLEV_CHANGED, taken)))
		return 1;
	slots = service->active + service->terminating;
	table = service->table;
	for (__u32 i = 0; i < TAKE_OFF_SLOTS && i < slots; i++)
		if (is_backend_here(serving, backend_in(table, i), taken))
			return 1;
	return NO_BACKEND_HERE;
}

INLINE int refuse_taken(struct __sk_buff *skb, __u8 reason)
{
	count_drop(reason, DIRECTION_INGRESS, 1, skb->len);
	return TC_ACT_SHOT;
}

/*
 * Takes the packet out of another one, when that is what a balancer has sent here. Returns a TC action when it is
 * refused; else NOT_SERVED, and serving->taken says whether it was one.
 */
VERIFIED_ONCE int take_off_ipip(struct __sk_buff *skb)
{
	struct serving *serving = this_serving();
	struct taken taken = {};
	__u8 family;
	int found;

	if (!serving)
		return TC_ACT_SHOT;
	if (skb->protocol == bpf_htons(ETHERTYPE_IPV4)) {
		family = 4;
		if (read_taken4(skb, &taken))
			return NOT_SERVED;
	} else if (skb->protocol == bpf_htons(ETHERTYPE_IPV6)) {
		family = 6;
		if (read_taken6(skb, &taken))
			return NOT_SERVED;
	} else {
		return NOT_SERVED;
	}
	found = find_backend_here(&taken, SERVICE_DSR | SERVICE_DSR_IPIP);
	if (found == NOT_SUCH_A_FRONTEND)
		return NOT_SERVED; /* somebody else's tunnel */
	if (found == NO_BACKEND_HERE)
		return refuse_taken(skb, DROP_ENCAPSULATION_PROHIBITED);
	if (OUTSIDE_OF(skb, family))
		return refuse_taken(skb, DROP_WRITE_ERROR);
	serving->taken = serving->choice.backend;
	count(COUNTER_SERVICE_TAKEN_OFF);
	return NOT_SERVED;
}

#endif
