/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * One packet, one pass: everything known about the packet being judged. It lives
 * in a per-CPU map because the stack (512 bytes for a whole chain of calls) is
 * too small. Programs of the tc layer run with softirqs off, so nothing else
 * touches it meanwhile.
 */
#ifndef WEIR_PASS_H
#define WEIR_PASS_H

#include "base.h"

enum packet_kind {
	PACKET_FLOW, /* has an L4 tuple; judged by conntrack and policy */
	PACKET_ARP,
	PACKET_NEIGHBOUR, /* neighbour discovery, RFC 4861 */
	PACKET_LISTENER, /* multicast listener discovery, RFC 2710 and 3810 */
};

enum packet_fragment {
	FRAGMENT_NONE,
	FRAGMENT_FIRST,
	FRAGMENT_LATER, /* has no L4 header; the tuple is the first one's */
};

/* Of the packet itself or of the one quoted in an ICMP error. Network order. */
struct tuple {
	__u8 saddr[16] WEIR_ALIGNED(8);
	__u8 daddr[16] WEIR_ALIGNED(8);
	__be16 sport; /* ICMP query: the identifier */
	__be16 dport;
	__u8 protocol;
	__u8 family; /* 0 = no address is known yet */
	__u8 icmp_type;
	__u8 icmp_code;
};

/* Where a walk over headers stands: offsets from the start of the frame, lengths of what the IP header covers. */
struct walk {
	__u32 offset; /* of the next header */
	__u32 left; /* bytes from there to the end of the IP packet */
	__u32 fragment_id;
	__u16 fragment_offset; /* bytes */
	__u8 next; /* protocol of the next header */
	__u8 more_fragments;
	__u8 fragmented; /* a fragment header was seen */
	__u8 headers; /* extension headers walked */
	__u8 pad[2];
};

enum packet_asking {
	ASKING_NOT, /* it is for whom it names, or has been translated */
	ASKING_MAYBE, /* may be for a service: track() leaves it when it belongs to no connection */
	ASKED, /* it was not, and has been paid for (bandwidth.h) */
};

/* Translated because a workload asked for a service: see turn.h. */
enum packet_turned {
	TURNED_NOT,
	TURNED_THERE, /* it has its backend as destination */
	TURNED_TO_ITSELF, /* the same, and the backend is the workload that sent it, or that is how it is answered */
	TURNED_ANSWER, /* it is for a workload that asked for a service: gets the service's address yet */
};

struct verdict {
	__u32 reason; /* enum weir_drop_reason; 0 = allowed */
	__u32 rule_id;
	__u32 peer_identity;
	__u32 matched_identity;
	__u8 matched; /* a policy entry decided */
	__u8 ingress; /* direction of the connection */
	__u8 reply; /* direction of this packet in it */
	__u8 views; /* enum weir_views */
	__u32 pending_rule; /* with VIEW_PENDING: that would decide; 0 = no rule */
	__u32 response; /* of a refusal: POLICY_DENY_RESET, POLICY_DENY_ICMP, or 0 = silence */
	__u32 frontend; /* of a service, that the client asked for */
	__u64 connection_ns;
	struct owner owner; /* of the workload's socket, where a report needs it */
};

struct pass {
	struct tuple tuple;
	struct walk walk; /* at the L4 header when parse() is done */
	__u64 now_ns; /* to the tick: a precise clock costs as much as a map lookup */
	__u32 l3; /* offset of the IP header */
	__u32 bytes; /* L3 length */
	__u32 packets; /* segments of a GSO packet, else 1 */
	__u32 came_by; /* interface by which it entered the host, if that has to be proved; else 0 */
	__u32 peer_host; /* number of the peer's host in `tunnels`; 0 = none that is reached by tunnel */
	__u32 tunnel_identity; /* what the VNI said; 0 = it did not come out of the tunnel */
	__u32 gateway; /* egress gateway that it leaves by: its number in `egress_gateways`, or 0 */
	__u32 related_gateway; /* the same of the connection that an ICMP error is about */
	__u32 target; /* sent to a workload of this host: its interface; else 0 */
	__u32 socket_identity; /* whose socket the peer is, on this host: counts before what its address says; 0 = not known */
	__u32 frontend; /* of a service: the packet asked for it and is for its backend now (turn.h); else 0 */
	__u16 destination_mac[3];
	__u16 source_mac[3];
	__be16 ethertype;
	__u16 ip4_checksum;
	__u8 ttl;
	__u8 kind; /* enum packet_kind */
	__u8 fragment; /* enum packet_fragment */
	__u8 tcp_flags;
	__u8 towards; /* the workload judged for receives the packet */
	__u8 from_host; /* the host itself sent it */
	__u8 trace_point; /* where it goes when allowed; unknown until asked for */
	__u8 related; /* an ICMP error about a tracked connection */
	__u8 unmasqueraded; /* it has got its destination from a mapping, as tuple.daddr */
	__u8 encrypted; /* between the hosts: it came, or goes on, through the WireGuard device */
	__u8 asking; /* enum packet_asking */
	__u8 turned; /* enum packet_turned */
	__u8 within_host; /* it goes over the loopback device */
	__u8 itself; /* from a workload to the same workload */
	__u8 answer; /* made by a program in a workload's place: MARK_ANSWER */
	__u8 unused[1];
	__u32 peer_twin; /* of the peer that was judged: see find_peer() */
	__u32 view_rule; /* the rule that a view names: see is_refused_by() */
	__u32 pad;
	__u8 tunnel_source[16] WEIR_ALIGNED(8); /* underlay address that sent it, when tunnel_identity is set */
	struct ct_key key;
	struct verdict verdict;
	struct ct_entry fresh; /* an entry being made */
	struct tuple inner; /* quoted in an ICMP error */
	struct walk inner_walk;
	struct ct_key inner_key;
};

/* Nobody asks for a service. */
INLINE void ask_nothing(struct pass *pass)
{
	pass->frontend = 0;
	pass->asking = ASKING_NOT;
	pass->turned = TURNED_NOT;
}

#endif
