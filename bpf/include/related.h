/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ICMP errors. An error is related when the packet it quotes belongs to a live
 * connection of this workload, travelled the way the error says, and was sent by
 * whoever now receives the error. Anybody on the path may send it (RFC 5508 3.2);
 * everything else about it is checked. Others are judged by policy as ICMP.
 */
#ifndef WEIR_RELATED_H
#define WEIR_RELATED_H

#include "conntrack.h"
#include "parse.h"

/* Ports or identifier of the quoted packet: the first 8 bytes are always quoted. Returns false when there are none. */
INLINE bool parse_quoted_l4(struct __sk_buff *skb, struct tuple *tuple, struct walk *walk)
{
	struct udp ports;

	switch (tuple->protocol) {
	case PROTOCOL_TCP:
	case PROTOCOL_UDP:
	case PROTOCOL_SCTP:
		if (walk->left < sizeof(ports) || LOAD(skb, walk->offset, &ports))
			return false;
		tuple->sport = ports.source;
		tuple->dport = ports.destination;
		return true;
	case PROTOCOL_ICMP:
	case PROTOCOL_ICMPV6:
		if ((tuple->protocol == PROTOCOL_ICMP) != (tuple->family == 4) || parse_icmp(skb, walk, tuple))
			return false;
		return is_echo_request(tuple) || is_echo_reply(tuple);
	}
	return false;
}

INLINE bool parse_quoted(struct __sk_buff *skb, struct pass *pass)
{
	struct tuple *tuple = &pass->inner;
	struct walk *walk = &pass->inner_walk;
	__u32 at = pass->walk.offset + sizeof(struct icmp);
	int reason;

	if (pass->walk.left < sizeof(struct icmp) || at > skb->len)
		return false;
	__builtin_memset(tuple, 0, sizeof(*tuple));
	if (pass->tuple.family == 4) {
		struct ipv4 ip;

		reason = parse_ipv4(skb, at, tuple, walk, &ip, true);
	} else {
		struct ipv6 ip;

		reason = parse_ipv6(skb, at, tuple, walk, &ip, true);
	}
	if (reason || walk->fragment_offset)
		return false;
	return parse_quoted_l4(skb, tuple, walk);
}

/*
 * Looks for the connection that this ICMP error is about. Returns true, with the
 * connection's rule in pass->verdict, when the error is related.
 */
INLINE int find_related_of(struct __sk_buff *skb, struct pass *pass, struct workload *workload)
{
	struct ct_entry *entry;
	struct ct_key *key;
	bool reply;

	if (!pass || !workload)
		return 0;
	if (pass->fragment != FRAGMENT_NONE || !parse_quoted(skb, pass))
		return 0;
	if (!address_equal(pass->inner.saddr, pass->tuple.daddr))
		return 0;
	/* who receives the error sent the quoted packet: towards the workload quotes what the workload sent */
	key = &pass->inner_key;
	connection_key(&pass->inner, !pass->towards, key);
	entry = bpf_map_lookup_elem(&conntrack, key);
	if (!is_alive(entry, workload, pass->now_ns))
		return 0;
	if ((entry->flags & CT_CUT) || entry->policy_revision != workload->policy_revision)
		return 0;
	reply = !(entry->flags & CT_INGRESS) == !pass->towards;
	if (reply && !(entry->flags & CT_REPLIED))
		return 0;
	pass->verdict.rule_id = entry->rule_id;
	pass->related_gateway = entry->gateway;
	if (pass->towards && (entry->flags & CT_SERVICE))
		pass->turned = TURNED_ANSWER;
	return 1;
}

VERIFIED_ONCE int find_related(struct __sk_buff *skb, struct workload *workload)
{
	return find_related_of(skb, this_pass(), workload);
}

#endif
