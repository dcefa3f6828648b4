/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a policy refuses and wants answered: TCP by a reset (RFC 9293 3.10.7.1), all else by ICMP's administratively prohibited
 * (RFC 1812 5.2.7.1, RFC 4443 3.1). The answer takes the packet's place, with the address that was asked for as its source:
 *
 *   refused where a workload sends    -> straight into its namespace
 *   refused where a workload receives -> to the other way of its interface, marked: from there it goes as what the workload
 *                                        sends, but nobody judges or masquerades it
 *
 * Nothing is answered that is an answer itself (errors, resets, other ICMP than pings), that is for a group, or of which only
 * a later fragment is there. Each workload has an allowance, and no answer is longer than what came, but for the headers of an error.
 */
#ifndef WEIR_ANSWER_H
#define WEIR_ANSWER_H

#include "counters.h"
#include "source.h"
#include "tell.h"

#define ANSWER_TRIES 4

/* What the packet was before it was translated for its sender, where that may be: turn.h. 0 or an error. */
#ifndef UNDO_TURN
#define UNDO_TURN(skb) 0
#endif

struct reset {
	union {
		struct ipv4 v4;
		struct ipv6 v6;
	} ip;
	struct tcp tcp;
	struct pseudo_header pseudo;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct reset);
} reset_scratch SEC(".maps") DOC("0 -> a TCP reset being made, per CPU");

/* A leaky bucket in one number, as in throttle.h. */
INLINE bool may_answer(__u32 ifindex, __u64 now)
{
	const __u64 price = NS_PER_SECOND / WEIR_ANSWERS_PER_SECOND;
	__u64 *paid = bpf_map_lookup_elem(&answers, &ifindex);

	if (!paid) {
		bpf_map_update_elem(&answers, &ifindex, &now, BPF_NOEXIST);
		return true;
	}
	for (int tries = 0; tries < ANSWER_TRIES; tries++) {
		__u64 had = *paid, from = had > now ? had : now;

		if (from - now >= NS_PER_SECOND / 10)
			break;
		if (__sync_val_compare_and_swap(paid, had, from + price) == had)
			return true;
	}
	count(COUNTER_ANSWERS_HELD);
	return false;
}

INLINE bool is_answerable(const struct pass *pass)
{
	const struct tuple *tuple = &pass->tuple;

	if (!pass->verdict.response || pass->fragment == FRAGMENT_LATER || pass->l3 != sizeof(struct ethernet) ||
		to_group(tuple) || pass->tunnel_identity == IDENTITY_WORLD)
		return false;
	if (is_icmp(tuple))
		return is_echo_request(tuple);
	return tuple->protocol != PROTOCOL_TCP || !(pass->tcp_flags & TCP_RST);
}

/* Will a device finish the checksum at `at`? The helper changes what is whole, and only that. The packet is as it was. */
INLINE long is_checksum_partial(struct __sk_buff *skb, __u32 at, bool *partial)
{
	__u16 before, after;

	if (bpf_skb_load_bytes(skb, at, &before, sizeof(before)) || bpf_l4_csum_replace(skb, at, 0, 1, 0) ||
		bpf_skb_load_bytes(skb, at, &after, sizeof(after)))
		return -1;
	*partial = before == after;
	return *partial ? 0 : bpf_skb_store_bytes(skb, at, &before, sizeof(before), 0);
}

INLINE void fill_reset_tcp(const struct pass *pass, const struct tcp *asked, struct tcp *tcp)
{
	__u32 length = pass->walk.left - (asked->offset >> 4) * 4;

	__builtin_memset(tcp, 0, sizeof(*tcp));
	tcp->source = asked->destination;
	tcp->destination = asked->source;
	tcp->offset = sizeof(*tcp) / 4 << 4;
	tcp->flags = TCP_RST;
	if (asked->flags & TCP_ACK) {
		tcp->sequence = asked->acknowledgement;
	} else {
		tcp->flags |= TCP_ACK;
		tcp->acknowledgement = bpf_htonl(
			bpf_ntohl(asked->sequence) + length + !!(asked->flags & TCP_SYN) + !!(asked->flags & TCP_FIN));
	}
}

/* The packet becomes a reset that answers it. 0 or an error. */
VERIFIED_ONCE int make_reset(struct __sk_buff *skb)
{
	struct pass *pass = this_pass();
	__u32 zero = 0, at;
	struct reset *reset = bpf_map_lookup_elem(&reset_scratch, &zero);
	bool partial = false;
	struct tcp asked;
	__s64 sum;

	if (!pass || !reset || bpf_skb_load_bytes(skb, pass->walk.offset, &asked, sizeof(asked)) ||
		is_checksum_partial(skb, pass->walk.offset + offsetof(struct tcp, checksum), &partial))
		return -1;
	fill_reset_tcp(pass, &asked, &reset->tcp);
	/* what is before a mapped address, ::ffff, adds nothing to a sum in one's complement */
	__builtin_memcpy(reset->pseudo.source, pass->tuple.daddr, 16);
	__builtin_memcpy(reset->pseudo.destination, pass->tuple.saddr, 16);
	reset->pseudo.length = bpf_htonl(sizeof(reset->tcp));
	reset->pseudo.next = bpf_htonl(PROTOCOL_TCP);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&reset->pseudo, sizeof(reset->pseudo), 0);
	if (partial)
		reset->tcp.checksum = fold(sum);
	else
		reset->tcp.checksum = ~fold(bpf_csum_diff(NULL, 0, (__be32 *)&reset->tcp, sizeof(reset->tcp), sum));
	at = pass->l3 + (pass->tuple.family == 4 ? sizeof(reset->ip.v4) : sizeof(reset->ip.v6));
	if (partial && at != pass->walk.offset)
		return -1; /* the device would finish it where the old header was */
	if (pass->tuple.family == 4) {
		reset->ip.v4.source = address_words(pass->tuple.daddr)[3];
		reset->ip.v4.destination = address_words(pass->tuple.saddr)[3];
		fill_ipv4(&reset->ip.v4, 0, sizeof(reset->ip.v4) + sizeof(reset->tcp), 0, 0, TOLD_TTL, PROTOCOL_TCP);
		if (bpf_skb_store_bytes(skb, pass->l3, &reset->ip.v4, sizeof(reset->ip.v4), BPF_F_RECOMPUTE_CSUM))
			return -1;
	} else {
		reset->ip.v6.version_class_flow = to_class(0);
		reset->ip.v6.length = bpf_htons(sizeof(reset->tcp));
		reset->ip.v6.next = PROTOCOL_TCP;
		reset->ip.v6.hop_limit = TOLD_TTL;
		__builtin_memcpy(reset->ip.v6.source, pass->tuple.daddr, 16);
		__builtin_memcpy(reset->ip.v6.destination, pass->tuple.saddr, 16);
		if (bpf_skb_store_bytes(skb, pass->l3, &reset->ip.v6, sizeof(reset->ip.v6), BPF_F_RECOMPUTE_CSUM))
			return -1;
	}
	if (bpf_skb_store_bytes(skb, at, &reset->tcp, sizeof(reset->tcp), BPF_F_RECOMPUTE_CSUM))
		return -1;
	return bpf_skb_change_tail(skb, at + sizeof(reset->tcp), 0);
}

/* The packet in this_pass() was refused at that interface; in its place is what answers it, or it is to be dropped (an error). */
VERIFIED_ONCE int make_answer(struct __sk_buff *skb, __u32 ifindex)
{
	struct pass *pass = this_pass();

	if (!pass || !is_answerable(pass) || !may_answer(ifindex, pass->now_ns))
		return -1;
	if (pass->verdict.response == POLICY_DENY_RESET && pass->tuple.protocol == PROTOCOL_TCP) {
		if (make_reset(skb)) {
			count(COUNTER_HELPER_FAILED);
			return -1;
		}
		count(COUNTER_ANSWERED_RESET);
		return 0;
	}
	if (pass->tuple.family == 4 ? make_error(skb, ICMP4_UNREACHABLE, ICMP4_PROHIBITED, 0)
				    : make_error(skb, ICMP6_UNREACHABLE, ICMP6_PROHIBITED, 0))
		return -1;
	count(COUNTER_ANSWERED_ICMP);
	return 0;
}

/* A workload of this host sent it, by this interface, and it was refused. Returns a TC action. */
VERIFIED_ONCE int answer_sender(struct __sk_buff *skb)
{
	struct pass *pass = this_pass();

	if (!pass || !pass->verdict.response || UNDO_TURN(skb) || make_answer(skb, skb->ifindex))
		return TC_ACT_SHOT;
	return turn_around(skb, pass);
}

/* It was refused for that workload, which was to receive it from elsewhere. Returns a TC action. */
VERIFIED_ONCE int answer_peer(struct __sk_buff *skb, struct workload *workload)
{
	struct pass *pass = this_pass();
	__u8 macs[12];

	if (!pass || !workload || !pass->verdict.response || make_answer(skb, workload->ifindex))
		return TC_ACT_SHOT;
	if (skb->ifindex == workload->ifindex) {
		__builtin_memcpy(macs, pass->source_mac, 6);
		__builtin_memcpy(macs + 6, pass->destination_mac, 6);
	} else {
		__builtin_memcpy(macs, workload->host_mac, 6);
		__builtin_memcpy(macs + 6, workload->mac, 6);
	}
	if (bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0)) {
		count(COUNTER_HELPER_FAILED);
		return TC_ACT_SHOT;
	}
	skb->mark = MARK_ANSWER;
	return bpf_redirect(workload->ifindex, BPF_F_INGRESS);
}

#endif
