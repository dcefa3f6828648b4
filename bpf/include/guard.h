/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The host as an endpoint of its own: what its stack gets from outside and from workloads, and what it sends to anybody but
 * those, is judged by the host's policy. Conntrack, events and verdicts are those of workloads, under HOST_IFINDEX.
 *
 * Not judged: loopback; what the host sends to its own workloads, which is theirs to judge; what is routed through; ARP,
 * neighbour discovery and listener discovery, which keep the link running.
 */
#ifndef WEIR_GUARD_H
#define WEIR_GUARD_H

#include "judged.h"
#include "local.h"
#include "related.h"
#include "source.h"

#define AF_INET_NUMBER 2
#define AF_INET6_NUMBER 10
#define PACKET_OTHERHOST 3

/* NULL: the host has no policy. */
INLINE struct workload *guarded_host(void)
{
	__u32 ifindex = HOST_IFINDEX;
	struct workload *host = bpf_map_lookup_elem(&workloads, &ifindex);

	return host && (host->flags & WORKLOAD_READY) ? host : NULL;
}

INLINE int follow_at_host(struct __sk_buff *skb, struct pass *pass, struct workload *host, struct ct_entry *entry)
{
	bool reply = is_reply(entry, pass->towards);
	int reason;

	pass->verdict.reply = reply;
	pass->verdict.ingress = !!(entry->flags & CT_INGRESS);
	pass->verdict.connection_ns = entry->created_ns;
	if (judgement_is_stale(pass, host, entry, reply) && !pass->related) {
		reason = judge_again(pass, host, entry);
		entry->peer_host = 0;
		if (reason) {
			tell_owner(skb, pass, entry);
			return reason;
		}
	}
	count_packet(skb, pass, entry, reply);
	return 0;
}

INLINE int open_at_host(struct __sk_buff *skb, struct pass *pass, struct workload *host, struct ct_entry *old)
{
	int reason;

	pass->verdict.ingress = pass->towards;
	know_owner(skb, pass);
	if (pass->towards && is_forged(pass))
		return DROP_INVALID_SOURCE_IP;
	if (pass->towards)
		pass->trace_point = TRACE_UNKNOWN;
	if (pass->related) {
		struct peer peer;

		find_peer(pass->key.remote, pass->key.family, false, !pass->towards, &peer);
		pass->verdict.peer_identity = pass->tunnel_identity ? pass->tunnel_identity : peer.identity;
	} else {
		reason = judge(pass, host, pass->towards ? JUDGE_INGRESS : 0);
		if (reason)
			return reason;
	}
	pass->peer_host = 0; /* by which way the host's own packets come is not for conntrack to hold them to */
	return create_connection(pass, host, old);
}

/* The packet in this_pass(), which is the host's own in either direction (pass->towards). Returns a drop reason or 0. */
VERIFIED_ONCE int track_at_host(struct __sk_buff *skb)
{
	struct workload *host = guarded_host();
	struct pass *pass = this_pass();
	struct ct_entry *entry;
	int reason;

	if (!host || !pass)
		return 0;
	__builtin_memset(&pass->verdict, 0, sizeof(pass->verdict));
	ask_nothing(pass);
	pass->socket_identity = 0;
	pass->itself = 0;
	pass->related = 0;
	pass->gateway = 0;
	pass->trace_point = pass->towards ? TRACE_UNKNOWN : TRACE_TO_NETWORK;
	if (pass->fragment == FRAGMENT_FIRST)
		record_fragment(pass);
	connection_key(&pass->tuple, pass->towards, &pass->key);
	if (is_icmp_error(&pass->tuple) && find_related(skb, host)) {
		pass->related = 1;
		message_key(&pass->tuple, pass->towards, true, &pass->key);
	}
	entry = bpf_map_lookup_elem(&conntrack, &pass->key);
	if (!is_alive(entry, host, pass->now_ns) && is_echo_reply(&pass->tuple)) {
		/* nobody asked: a message like any other */
		message_key(&pass->tuple, pass->towards, false, &pass->key);
		entry = bpf_map_lookup_elem(&conntrack, &pass->key);
	}
	if (is_alive(entry, host, pass->now_ns) && !opens_anew(pass, entry, is_reply(entry, pass->towards)))
		reason = follow_at_host(skb, pass, host, entry);
	else
		reason = open_at_host(skb, pass, host, entry);
	if (reason > 0) {
		pass->verdict.reason = reason;
		refuse(pass, host);
	}
	return reason;
}

/*
 * Is the packet in this_pass(), which has come in, for the host itself? The routes know; those of IPv4 do not tell group
 * addresses from others. Where the interface forwards nothing they are not asked: then it is for the host, unless another
 * station of the link is meant and the address is not known as the host's.
 */
VERIFIED_ONCE int is_for_host(struct __sk_buff *skb)
{
	struct prefix_key key = {.prefixlen = ADDRESS_BITS};
	const struct ipcache_value *owner;
	struct bpf_fib_lookup fib = {};
	struct pass *pass = this_pass();
	long result;

	if (!pass)
		return 0;
	if (to_group(&pass->tuple))
		return 1;
	__builtin_memcpy(key.addr, pass->tuple.daddr, sizeof(key.addr));
	owner = bpf_map_lookup_elem(&ipcache, &key);
	if (owner && owner->identity)
		return owner->identity == IDENTITY_HOST;
	fib.ifindex = skb->ifindex;
	fib.l4_protocol = pass->tuple.protocol;
	fib.sport = pass->tuple.sport;
	fib.dport = pass->tuple.dport;
	if (pass->tuple.family == 4) {
		fib.family = AF_INET_NUMBER;
		fib.ipv4_src = address_words(pass->tuple.saddr)[3];
		fib.ipv4_dst = address_words(pass->tuple.daddr)[3];
	} else {
		fib.family = AF_INET6_NUMBER;
		__builtin_memcpy(fib.ipv6_src, pass->tuple.saddr, sizeof(fib.ipv6_src));
		__builtin_memcpy(fib.ipv6_dst, pass->tuple.daddr, sizeof(fib.ipv6_dst));
	}
	result = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	if (result == BPF_FIB_LKUP_RET_FWD_DISABLED)
		return skb->pkt_type != PACKET_OTHERHOST;
	return result == BPF_FIB_LKUP_RET_NOT_FWDED;
}

/* The packet in this_pass() goes on to the stack: judged when it is for the host. Returns a TC action. */
VERIFIED_ONCE int guard_entering(struct __sk_buff *skb)
{
	struct pass *pass = this_pass();

	if (!pass)
		return TC_ACT_SHOT;
	if (pass->kind != PACKET_FLOW || !guarded_host() || !is_for_host(skb))
		return TC_ACT_OK;
	pass->towards = 1;
	return track_at_host(skb) ? TC_ACT_SHOT : TC_ACT_OK;
}

/* The packet in this_pass() has been made by the host. Returns a TC action. */
VERIFIED_ONCE int guard_leaving(struct __sk_buff *skb)
{
	struct pass *pass = this_pass();

	if (!pass)
		return TC_ACT_SHOT;
	if (pass->kind != PACKET_FLOW || !pass->from_host)
		return TC_ACT_OK;
	pass->towards = 0;
	return track_at_host(skb) ? TC_ACT_SHOT : TC_ACT_OK;
}

#define PROTOCOL_IGMP 2

/*
 * The packet in this_pass() could not be read, for `reason`. What is no IP, and IGMP, belongs to the link. Everything else is
 * nothing that a rule could allow: where the host's direction is enforced it is dropped, as a workload's is. Returns a TC action.
 */
VERIFIED_ONCE int guard_unread(struct __sk_buff *skb, __u32 reason)
{
	struct workload *host = guarded_host();
	struct pass *pass = this_pass();
	__u32 enforced;

	if (!pass || !host || !pass->tuple.family || pass->kind != PACKET_FLOW)
		return TC_ACT_OK;
	if (pass->tuple.family == 4 && pass->tuple.protocol == PROTOCOL_IGMP)
		return TC_ACT_OK;
	enforced = pass->towards ? WORKLOAD_ENFORCE_INGRESS : WORKLOAD_ENFORCE_EGRESS;
	if (!(host->flags & enforced) || !(pass->towards ? is_for_host(skb) : pass->from_host))
		return TC_ACT_OK;
	return refuse_for(pass, host, reason);
}

#endif
