/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Services in XDP: a packet to a Maglev frontend whose backends answer by themselves (DSR) goes out again by the
 * interface that it came in by, inside another packet or with an option, before the kernel has made anything of it.
 * Everything else passes to tc, which does the same and all the rest with the same tables: nothing is refused or answered here.
 *
 * The next hop is what the kernel's own routes and neighbours say (bpf_fib_lookup), asked again after WAY_JIFFIES.
 *
 * What costs here is calls, and each look into a hash is three: so next hops and tables of Maglev are in arrays, which are
 * found without any, at a place that a number gives. Two backends with the same place displace each other.
 */
#ifndef WEIR_ACCELERATE_H
#define WEIR_ACCELERATE_H

#include "balance.h"
#include "frame_option.h"
#include "ipip.h"

#define ACCELERATED (SERVICE_DSR | SERVICE_ROUTABLE)
#define WAY_JIFFIES 100 /* 0.1 to 1 s, as the kernel was built */
#define FAMILY_IPV4 2
#define FAMILY_IPV6 10

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEIR_MAX_SERVICE_WAYS);
	__type(key, __u32);
	__type(value, struct service_way);
} service_ways SEC(".maps")
	DOC("end of a backend's number -> its next hop, per CPU, for a moment; written by the programs");

/* Where the kernel would send a packet for the backend. ifindex stays 0 when that is not for here. */
VERIFIED_ONCE int refresh_way(struct xdp_md *xdp, __u32 number, struct service_way *way)
{
	const struct service_settings *settings = settings_of_services();
	const struct backend *backend = bpf_map_lookup_elem(&backends, &number);
	struct bpf_fib_lookup fib = {};
	long result;

	if (!way)
		return 0;
	way->number = number;
	way->ifindex = 0;
	way->until = bpf_jiffies64() + WAY_JIFFIES;
	if (!settings || !backend || !takes_off(backend))
		return 0;
	address_copy(way->addr, backend->addr);
	way->port = backend->port;
	fib.ifindex = xdp->ingress_ifindex;
	fib.l4_protocol = PROTOCOL_IPIP;
	if (is_mapped_ipv4(way->addr)) {
		fib.family = FAMILY_IPV4;
		fib.ipv4_src = address_words(settings->source4)[3];
		fib.ipv4_dst = address_words(way->addr)[3];
	} else {
		fib.family = FAMILY_IPV6;
		__builtin_memcpy(fib.ipv6_src, settings->source6, 16);
		__builtin_memcpy(fib.ipv6_dst, way->addr, 16);
	}
	result = bpf_fib_lookup(xdp, &fib, sizeof(fib), 0);
	if (result == BPF_FIB_LKUP_RET_NO_NEIGH)
		count(COUNTER_SERVICE_NO_NEIGHBOUR);
	if (result != BPF_FIB_LKUP_RET_SUCCESS || fib.ifindex != xdp->ingress_ifindex)
		return 0;
	__builtin_memcpy(way->macs, fib.dmac, 6);
	__builtin_memcpy(way->macs + 6, fib.smac, 6);
	way->mtu = fib.mtu_result;
	way->ifindex = fib.ifindex;
	return 0;
}

INLINE const struct service_way *way_to(struct xdp_md *xdp, __u32 number)
{
	__u32 place = number & (WEIR_MAX_SERVICE_WAYS - 1);
	struct service_way *way = bpf_map_lookup_elem(&service_ways, &place);

	if (!way)
		return NULL;
	if (unlikely(way->number != number || (__s64)(bpf_jiffies64() - way->until) >= 0))
		refresh_way(xdp, number, way);
	return way->ifindex == xdp->ingress_ifindex ? way : NULL;
}

/* Not flooded here by a switch that does not know where it belongs. */
INLINE bool is_for_host(const struct ethernet *ethernet, const struct service_way *way)
{
	__u16 own[3];

	__builtin_memcpy(own, way->macs + 6, sizeof(own));
	return own[0] == ethernet->destination[0] && own[1] == ethernet->destination[1] &&
	       own[2] == ethernet->destination[2];
}

INLINE int send_in4(struct xdp_md *xdp, const struct service_way *way, const struct ipip *ipip,
	const struct service_settings *settings)
{
	struct frame4 *outer;

	if (bpf_xdp_adjust_head(xdp, -(int)sizeof(struct ipv4)))
		return XDP_PASS;
	outer = (void *)(long)xdp->data;
	if ((void *)(outer + 1) > (void *)(long)xdp->data_end)
		return XDP_DROP;
	__builtin_memcpy(outer->macs, way->macs, sizeof(outer->macs));
	outer->type = bpf_htons(ETHERTYPE_IPV4);
	ipip_header4(ipip, settings, (void *)outer + sizeof(struct ethernet));
	return XDP_TX;
}

INLINE int send_in6(struct xdp_md *xdp, const struct service_way *way, const struct ipip *ipip,
	const struct service_settings *settings)
{
	struct frame6 *outer;

	if (bpf_xdp_adjust_head(xdp, -(int)sizeof(struct ipv6)))
		return XDP_PASS;
	outer = (void *)(long)xdp->data;
	if ((void *)(outer + 1) > (void *)(long)xdp->data_end)
		return XDP_DROP;
	__builtin_memcpy(outer->macs, way->macs, sizeof(outer->macs));
	outer->type = bpf_htons(ETHERTYPE_IPV6);
	ipip_header6(ipip, settings, (void *)outer + sizeof(struct ethernet));
	return XDP_TX;
}

/* Number of the backend of a frame; 0 = the stack decides. */
typedef __u32 (*chooser)(
	const struct service *service, const struct frame *frame, struct maglev_place *place, bool follow);

INLINE __u32 choose_backend(
	const struct service *service, const struct frame *frame, struct maglev_place *place, bool follow)
{
	return balanced_backend(service, &frame->tuple, frame->tcp_flags, follow, place);
}

INLINE int send_inside_xdp(struct xdp_md *xdp, const struct frame *frame, const struct service_way *way, __u32 hash)
{
	const struct service_settings *settings = settings_of_services();
	bool v4 = is_mapped_ipv4(way->addr);
	struct ipip ipip;

	if (!settings || frame->bytes + sizeof(struct ipv6) > way->mtu || !has_source(settings, v4))
		return XDP_PASS;
	ipip.to = way->addr;
	ipip.bytes = frame->bytes;
	ipip.hash = hash;
	ipip.family = frame->tuple.family;
	ipip.tos = frame->tos;
	return v4 ? send_in4(xdp, way, &ipip, settings) : send_in6(xdp, way, &ipip, settings);
}

INLINE int send_marked_xdp(
	struct xdp_md *xdp, const struct frame *frame, const struct service_way *way, const struct service_key *asked)
{
	bool mark = frame->tuple.protocol == PROTOCOL_UDP || (frame->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;

	if (frame->bytes + (mark ? sizeof(struct dsr_option6) : 0) > way->mtu ||
		is_mapped_ipv4(way->addr) != (frame->tuple.family == 4))
		return XDP_PASS;
	return frame->tuple.family == 4 ? send_marked4(xdp, frame, way, asked, mark)
	                                : send_marked6(xdp, frame, way, asked, mark);
}

INLINE int accelerate(struct xdp_md *xdp, chooser choose)
{
	const struct service *service;
	const struct service_way *way;
	struct service_key key;
	struct maglev_place place;
	struct frame frame;
	__u32 number, frontend, bytes;
	int kind, action;
	bool inside;

	kind = read_frame(xdp, &frame);
	if (kind == FRAME_OTHER)
		return XDP_PASS;
	address_copy(key.addr, frame.tuple.daddr);
	/* as wide as the hash reads it: see map_ipv4() */
	*(__u64 *)&key.port = frame.tuple.dport | (__u64)frame.tuple.protocol << 16;
	service = bpf_map_lookup_elem(&services, &key);
	if (!service || (service->flags & (ACCELERATED | SERVICE_SOURCE_RANGE)) != ACCELERATED)
		return XDP_PASS;
	inside = service->flags & SERVICE_DSR_IPIP;
	if (kind == FRAME_TOO_BIG && !inside)
		return XDP_PASS;
	frontend = service->frontend;
	number = choose(service, &frame, &place, kind == FRAME_TOO_BIG);
	way = number ? way_to(xdp, number) : NULL;
	if (!way || (void *)(long)xdp->data + sizeof(struct ethernet) > (void *)(long)xdp->data_end ||
		!is_for_host((void *)(long)xdp->data, way))
		return XDP_PASS;
	bytes = frame.bytes;
	action = inside ? send_inside_xdp(xdp, &frame, way, place.hash) : send_marked_xdp(xdp, &frame, way, &key);
	if (action != XDP_TX)
		return action;
	count_packets(frontend, number, 1, bytes);
	count(inside ? COUNTER_SERVICE_ENCAPSULATED : COUNTER_SERVICE_MARKED);
	if (kind == FRAME_TOO_BIG)
		count(COUNTER_SERVICE_TOO_BIG);
	return XDP_TX;
}

#endif
