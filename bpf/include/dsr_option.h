/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Backends that answer clients by themselves, told by an option of the IP header what the client has asked for: IPv4 option
 * 0x9A, IPv6 destination option 0x1B, the first one of the packet. The destination is the backend already, so whoever
 * forwards the packet needs to know nothing; only what begins a connection (a SYN), or might (each datagram), carries it.
 *
 *   send_with_option  at the host that the packet comes to
 *   take_off_option   at the backend's host. The option must name a frontend of this kind, and the destination be a
 *                     backend of this host which serves it (170); malformed is 134 and 156
 *   begin_marked      makes the mapping by which answers get the frontend's address (serve_answer)
 */
#ifndef WEIR_DSR_OPTION_H
#define WEIR_DSR_OPTION_H

#include "dsr.h"
#include "dsr_mark.h"

/* Goes by the option; what cannot is refused (193): other protocols, more in front of them than a fragment header. */
INLINE bool may_be_marked(struct __sk_buff *skb, const struct pass *pass)
{
	__u32 header = pass->walk.offset - pass->l3;

	if (pass->tuple.protocol != PROTOCOL_TCP && pass->tuple.protocol != PROTOCOL_UDP)
		return false;
	if (pass->tuple.family == 4)
		return header + sizeof(struct dsr_option4) <= IPV4_HEADER_MAX;
	return pass->walk.headers == pass->walk.fragmented;
}

/* Behind the first 20 bytes of the header, which say that it is longer. 0 or an error. */
INLINE long put_option4(struct __sk_buff *skb, const struct pass *pass, const struct service_key *asked, __u64 flags)
{
	struct {
		struct ipv4 ip;
		struct dsr_option4 option;
	} to;
	struct {
		__u8 version_length;
		__u8 tos;
		__be16 length;
	} before;
	__s64 sum;

	if (bpf_skb_load_bytes(skb, pass->l3, &to.ip, sizeof(to.ip)))
		return -1;
	__builtin_memcpy(&before, &to.ip, sizeof(before));
	to.ip.version_length += sizeof(to.option) / 4;
	to.ip.length = bpf_htons(bpf_ntohs(to.ip.length) + sizeof(to.option));
	fill_option4(&to.option, asked);
	sum = bpf_csum_diff((__be32 *)&before, sizeof(before), (__be32 *)&to.ip, sizeof(before), 0);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&to.option, sizeof(to.option), sum);
	to.ip.checksum = checksum_after(to.ip.checksum, sum);
	return bpf_skb_adjust_room(skb, sizeof(to.option), BPF_ADJ_ROOM_NET, flags) ||
	       bpf_skb_store_bytes(skb, pass->l3, &to, sizeof(to), 0);
}

INLINE long put_option6(struct __sk_buff *skb, const struct pass *pass, const struct service_key *asked, __u64 flags)
{
	struct {
		struct ipv6 ip;
		struct dsr_option6 option;
	} to;

	if (bpf_skb_load_bytes(skb, pass->l3, &to.ip, sizeof(to.ip)))
		return -1;
	fill_option6(&to.option, asked, to.ip.next);
	to.ip.next = PROTOCOL_DESTINATION;
	to.ip.length = bpf_htons(bpf_ntohs(to.ip.length) + sizeof(to.option));
	return bpf_skb_adjust_room(skb, sizeof(to.option), BPF_ADJ_ROOM_NET, flags) ||
	       bpf_skb_store_bytes(skb, pass->l3, &to, sizeof(to), BPF_F_RECOMPUTE_CSUM);
}

VERIFIED_ONCE int put_option(struct __sk_buff *skb)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	__u64 flags;

	if (!serving || !pass)
		return -1;
	flags = pass->tuple.protocol == PROTOCOL_UDP ? BPF_F_ADJ_ROOM_FIXED_GSO : 0;
	/* what the client has asked at: the key that a NodePort was found by has no address */
	address_copy(serving->asked.addr, pass->tuple.daddr);
	serving->asked.port = pass->tuple.dport;
	if (pass->tuple.family == 4)
		return put_option4(skb, pass, &serving->asked, flags) ? -1 : 0;
	return put_option6(skb, pass, &serving->asked, flags) ? -1 : 0;
}

/* To serving->choice.to, which answers the client itself. Returns a TC action. */
VERIFIED_ONCE int send_with_option(struct __sk_buff *skb)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	__u32 mtu = 0, room;
	int action, reason;
	bool marked;

	if (!serving || !pass)
		return TC_ACT_SHOT;
	if (!may_be_marked(skb, pass))
		return refuse_for(pass, NULL, DROP_UNSUPPORTED_FOR_DSR);
	address_copy(serving->as.addr, pass->tuple.saddr);
	address_copy(serving->to.addr, serving->choice.to.addr);
	serving->to.port = serving->choice.to.port;
	serving->host = 0;
	marked = pass->tuple.protocol == PROTOCOL_UDP || is_first_syn(pass);
	action = find_way(skb);
	if (action != NOT_SERVED)
		return action;
	if (marked) {
		room = pass->tuple.family == 4 ? sizeof(struct dsr_option4) : sizeof(struct dsr_option6);
		reason = find_hop(skb, longest_packet(skb, pass, room), &mtu);
		if (reason == DROP_FRAGMENTATION_NEEDED)
			return is_too_big(skb, pass, mtu - room);
		if (reason)
			return refuse_for(pass, NULL, reason);
	}
	count_packets(serving->choice.frontend, serving->choice.backend, pass->packets, pass->bytes);
	if (pass->fragment == FRAGMENT_FIRST)
		record_fragment(pass);
	reason = take_hop(skb, pass);
	if (!reason && (rewrite(skb, pass, &serving->to, REWRITE_DESTINATION) || (marked && put_option(skb))))
		reason = DROP_WRITE_ERROR;
	if (reason)
		return refuse_for(pass, NULL, reason);
	count(COUNTER_SERVICE_MARKED);
	return bpf_redirect_neigh(serving->ifindex, &serving->hop, sizeof(serving->hop), 0);
}

/* What the option says, and about which packet. */
struct marked {
	struct taken taken; /* without a port it is a later fragment */
	__u32 fragment_id;
	__u32 pad;
};

/* MARK_NONE, MARK_READ or a drop reason. */
#define MARK_NONE (-1)
#define MARK_READ 0

INLINE int read_marked_ports(struct __sk_buff *skb, __u32 at, struct marked *marked)
{
	struct udp ports;

	if (marked->taken.asked.protocol != PROTOCOL_TCP && marked->taken.asked.protocol != PROTOCOL_UDP)
		return DROP_UNSUPPORTED_FOR_DSR;
	if (LOAD(skb, at, &ports))
		return DROP_CT_INVALID_HEADER;
	marked->taken.client_port = ports.source;
	marked->taken.port = ports.destination;
	return ports.destination ? MARK_READ : DROP_INVALID_PACKET;
}

INLINE int read_mark4(struct __sk_buff *skb, struct marked *marked)
{
	struct {
		struct ipv4 ip;
		struct dsr_option4 option;
	} from;
	__u32 header;

	if (LOAD(skb, sizeof(struct ethernet), &from.ip))
		return MARK_NONE;
	header = (from.ip.version_length & 15) * 4;
	if (header <= sizeof(from.ip))
		return MARK_NONE;
	if (LOAD(skb, sizeof(struct ethernet) + sizeof(from.ip), &from.option.type) || from.option.type != DSR_OPTION4)
		return MARK_NONE;
	if (header < sizeof(from) || LOAD(skb, sizeof(struct ethernet) + sizeof(from.ip), &from.option) ||
		from.option.length != sizeof(from.option))
		return DROP_INVALID_PACKET;
	map_ipv4(marked->taken.outside, from.ip.destination);
	map_ipv4(marked->taken.client, from.ip.source);
	map_ipv4(marked->taken.asked.addr, from.option.address);
	marked->taken.asked.port = from.option.port;
	marked->taken.asked.protocol = from.ip.protocol;
	marked->fragment_id = from.ip.id;
	if (from.ip.fragment & bpf_htons(IPV4_FRAGMENT_OFFSET))
		return MARK_READ;
	return read_marked_ports(skb, sizeof(struct ethernet) + header, marked);
}

INLINE int read_mark6(struct __sk_buff *skb, struct marked *marked)
{
	__u32 at = sizeof(struct ethernet) + sizeof(struct ipv6);
	struct dsr_option6 option;
	struct extension piece;
	struct ipv6 ip;

	if (LOAD(skb, sizeof(struct ethernet), &ip) || ip.next != PROTOCOL_DESTINATION)
		return MARK_NONE;
	if (LOAD(skb, at, &piece) || piece.type != DSR_OPTION6)
		return MARK_NONE;
	if (LOAD(skb, at, &option) || option.units != DSR_OPTION6_UNITS || option.length != DSR_OPTION6_BYTES ||
		option.pad_type != DSR_PADN || option.pad_length)
		return DROP_INVALID_IPV6_EXTENSION;
	at += sizeof(option);
	__builtin_memcpy(marked->taken.outside, ip.destination, 16);
	__builtin_memcpy(marked->taken.client, ip.source, 16);
	__builtin_memcpy(marked->taken.asked.addr, option.address, 16);
	marked->taken.asked.port = option.port;
	marked->taken.asked.protocol = option.next;
	if (option.next == PROTOCOL_FRAGMENT) {
		if (LOAD(skb, at, &piece))
			return DROP_INVALID_IPV6_EXTENSION;
		marked->taken.asked.protocol = piece.next;
		marked->fragment_id = piece.id;
		if ((piece.type << 8 | piece.segments_left) & IPV6_FRAGMENT_OFFSET)
			return MARK_READ;
		at += sizeof(piece);
	}
	return read_marked_ports(skb, at, marked);
}

/* The option goes, and the header says so. 0 or an error. */
INLINE long remove_option4(struct __sk_buff *skb)
{
	struct {
		struct ipv4 ip;
		struct dsr_option4 option;
	} from;
	struct {
		__u8 version_length;
		__u8 tos;
		__be16 length;
	} before;
	__s64 sum;

	if (bpf_skb_load_bytes(skb, sizeof(struct ethernet), &from, sizeof(from)))
		return -1;
	__builtin_memcpy(&before, &from.ip, sizeof(before));
	from.ip.version_length -= sizeof(from.option) / 4;
	from.ip.length = bpf_htons(bpf_ntohs(from.ip.length) - sizeof(from.option));
	sum = bpf_csum_diff((__be32 *)&before, sizeof(before), (__be32 *)&from.ip, sizeof(before), 0);
	sum = bpf_csum_diff((__be32 *)&from.option, sizeof(from.option), NULL, 0, sum);
	from.ip.checksum = checksum_after(from.ip.checksum, sum);
	return bpf_skb_adjust_room(skb, -(int)sizeof(from.option), BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO) ||
	       bpf_skb_store_bytes(skb, sizeof(struct ethernet), &from.ip, sizeof(from.ip), 0);
}

INLINE long remove_option6(struct __sk_buff *skb)
{
	struct {
		struct ipv6 ip;
		struct dsr_option6 option;
	} from;

	if (bpf_skb_load_bytes(skb, sizeof(struct ethernet), &from, sizeof(from)))
		return -1;
	from.ip.next = from.option.next;
	from.ip.length = bpf_htons(bpf_ntohs(from.ip.length) - sizeof(from.option));
	return bpf_skb_adjust_room(skb, -(int)sizeof(from.option), BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO) ||
	       bpf_skb_store_bytes(skb, sizeof(struct ethernet), &from.ip, sizeof(from.ip), BPF_F_RECOMPUTE_CSUM);
}

/* Did the first fragment come with the option, for the same backend? */
INLINE bool is_rest_of_marked(const struct marked *marked, __u8 family)
{
	struct frag_key key = {.id = marked->fragment_id, .family = family};

	address_copy(key.saddr, marked->taken.client);
	address_copy(key.daddr, marked->taken.outside);
	key.protocol = family == 4 ? marked->taken.asked.protocol : 0;
	return bpf_map_lookup_elem(&fragments, &key);
}

/*
 * Takes the option off, when the packet has one. Returns a TC action when it is refused; else NOT_SERVED, and serving->marked
 * says whether answers are to be translated: of a later fragment it is known already.
 */
VERIFIED_ONCE int take_off_option(struct __sk_buff *skb)
{
	struct serving *serving = this_serving();
	struct marked marked = {};
	__u8 family;
	int reason;

	if (!serving)
		return TC_ACT_SHOT;
	if (skb->protocol == bpf_htons(ETHERTYPE_IPV4)) {
		family = 4;
		reason = read_mark4(skb, &marked);
	} else if (skb->protocol == bpf_htons(ETHERTYPE_IPV6)) {
		family = 6;
		reason = read_mark6(skb, &marked);
	} else {
		return NOT_SERVED;
	}
	if (reason == MARK_NONE)
		return NOT_SERVED;
	if (reason)
		return refuse_taken(skb, reason);
	if (!marked.taken.port) {
		if (!is_rest_of_marked(&marked, family))
			return refuse_taken(skb, DROP_FRAGMENT_NOT_FOUND);
	} else if (find_backend_here(&marked.taken, SERVICE_DSR) != 1) {
		return refuse_taken(skb, DROP_ENCAPSULATION_PROHIBITED);
	} else {
		serving->marked = serving->choice.backend;
	}
	if (family == 4 ? remove_option4(skb) : remove_option6(skb))
		return refuse_taken(skb, DROP_WRITE_ERROR);
	count(COUNTER_SERVICE_TAKEN_OFF);
	return NOT_SERVED;
}

/* What a balancer has sent to a backend of this host, in either way. As the two. */
INLINE int take_off(struct __sk_buff *skb)
{
	struct serving *serving = this_serving();
	int action;

	if (!serving)
		return TC_ACT_SHOT;
	serving->taken = 0;
	serving->marked = 0;
	action = take_off_ipip(skb);
	if (action != NOT_SERVED || serving->taken)
		return action;
	return take_off_option(skb);
}

#endif
