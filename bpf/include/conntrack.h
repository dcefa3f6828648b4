/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Connections: keys, life and death. An entry is looked at once per packet and
 * workload; nothing here asks the policy.
 *
 * Life: expires_ns moves forward with traffic. A packet that finds it in the past
 * claims the entry by compare-and-swap and starts it anew; ct_sweep claims it with
 * 0 (being deleted), a second later than a packet would, so that no packet that
 * still saw it alive can count on it meanwhile.
 */
#ifndef WEIR_CONNTRACK_H
#define WEIR_CONNTRACK_H

#include "events.h"
#include "owner.h"

/* ICMP of which no answer is expected: a connection of its own in this direction. */
INLINE void message_key(const struct tuple *tuple, bool towards, bool related, struct ct_key *key)
{
	key->icmp = towards ? CT_ICMP_RECEIVED : CT_ICMP_SENT;
	if (related)
		key->icmp += CT_ICMP_RELATED_SENT - CT_ICMP_SENT;
	key->local_port = 0;
	key->remote_port = bpf_htons(tuple->icmp_type << 8 | tuple->icmp_code);
}

/* `towards`: the packet goes to the workload whose connection this is. */
INLINE void connection_key(const struct tuple *tuple, bool towards, struct ct_key *key)
{
	if (towards) {
		address_copy(key->local, tuple->daddr);
		address_copy(key->remote, tuple->saddr);
		key->local_port = tuple->dport;
		key->remote_port = tuple->sport;
	} else {
		address_copy(key->local, tuple->saddr);
		address_copy(key->remote, tuple->daddr);
		key->local_port = tuple->sport;
		key->remote_port = tuple->dport;
	}
	key->protocol = tuple->protocol;
	key->family = tuple->family;
	key->icmp = CT_ICMP_NONE;
	key->pad = 0;
	if (!is_icmp(tuple))
		return;
	if (is_echo_request(tuple) || is_echo_reply(tuple)) {
		key->icmp = is_echo_request(tuple) == towards ? CT_ICMP_ANSWERS : CT_ICMP_ASKED;
		key->local_port = tuple->sport;
		key->remote_port = 0;
	} else {
		message_key(tuple, towards, false, key);
	}
}

INLINE bool is_closed(__u32 flags)
{
	return (flags & CT_RST) || (flags & (CT_FIN_ORIG | CT_FIN_REPLY)) == (CT_FIN_ORIG | CT_FIN_REPLY);
}

INLINE bool is_alive(const struct ct_entry *entry, const struct workload *workload, __u64 now)
{
	return entry && entry->expires_ns > now && entry->ifindex == workload->ifindex;
}

INLINE __u64 idle_limit(__u8 protocol, __u32 flags)
{
	if (protocol != PROTOCOL_TCP)
		return other_ns;
	if (is_closed(flags))
		return tcp_closed_ns;
	return flags & CT_ESTABLISHED ? tcp_established_ns : tcp_handshake_ns;
}

/* Written at most once a second, so that both directions do not fight for the cache line. */
INLINE void prolong(struct ct_entry *entry, __u64 until)
{
	__u64 before = entry->expires_ns;

	if (until < before || until - before > NS_PER_SECOND)
		entry->expires_ns = until;
}

INLINE bool is_interval_over(const struct ct_direction *direction, __u64 now)
{
	return now >= direction->reported_ns + flow_interval_ns;
}

INLINE __u32 tcp_state(__u8 seen, bool reply)
{
	__u32 flags = 0;

	if (seen & TCP_FIN)
		flags |= reply ? CT_FIN_REPLY : CT_FIN_ORIG;
	if (seen & TCP_RST)
		flags |= CT_RST;
	return flags;
}

INLINE bool is_first_syn(const struct pass *pass)
{
	return (pass->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/*
 * A SYN that opens a connection where an entry still stands: on a closed one, or
 * from the side that had answered. While the first SYN is unanswered the other
 * side's is a simultaneous open (RFC 9293 3.5) and belongs to the connection.
 */
INLINE bool opens_anew(const struct pass *pass, const struct ct_entry *entry, bool reply)
{
	if (!is_first_syn(pass))
		return false;
	if (is_closed(entry->flags))
		return true;
	return reply && ((entry->flags & CT_REPLIED) || (entry->orig.tcp_flags & TCP_ACK));
}

/* The first report of an entry that nobody will see again did not happen. */
INLINE void count_unreported(const struct pass *pass, int result)
{
	if (result == FLOW_NO_ROOM)
		count(COUNTER_EVENTS_LOST);
	else if (result == FLOW_HELD)
		count_rest(&pass->fresh, pass->packets, pass->bytes);
}

/* What an entry still holds goes out before its place is used for another connection. */
INLINE void report_rest(struct ct_key *key, struct ct_entry *entry)
{
	if (report_flow(key, entry, 0, REPORT_EXPIRED) < 0)
		count(COUNTER_EVENTS_LOST);
	if (report_flow(key, entry, 1, REPORT_EXPIRED) < 0)
		count(COUNTER_EVENTS_LOST);
}

/* Where the workload's packets of this connection go: all of them the way this one does. */
INLINE void note_trace_point(const struct pass *pass, struct ct_entry *entry)
{
	if (!pass->towards && pass->trace_point)
		entry->trace_point = pass->trace_point == TRACE_TO_STACK && entry->peer_identity == IDENTITY_HOST
		                             ? TRACE_TO_HOST
		                             : pass->trace_point;
}

INLINE void note_encryption(const struct pass *pass, struct ct_entry *entry)
{
	__u32 flag = pass->towards ? CT_ENCRYPTED_RECEIVED : CT_ENCRYPTED_SENT;

	if (!(entry->flags & flag) == !pass->encrypted)
		return;
	if (pass->encrypted)
		__sync_fetch_and_or(&entry->flags, flag);
	else
		__sync_fetch_and_and(&entry->flags, ~flag);
}

/* Counts the packet at its connection and reports when it is time. */
INLINE void count_packet(struct __sk_buff *skb, struct pass *pass, struct ct_entry *entry, bool reply)
{
	struct ct_direction *direction = reply ? &entry->reply : &entry->orig;
	__u32 before, state, report = 0;

	note_encryption(pass, entry);
	before = state = entry->flags;
	__sync_fetch_and_add(&direction->new_packets, pass->packets);
	__sync_fetch_and_add(&direction->new_bytes, pass->bytes);
	direction->last_ns = pass->now_ns;

	if (pass->tcp_flags) {
		__u32 seen = pass->tcp_flags;

		__u32 both = seen | seen << NEW_FLAGS_SHIFT;
		__u32 unseen = both & ~direction->tcp_flags;

		if (unseen) {
			if (unseen & report_tcp_flags)
				report = REPORT_FLAGS;
			__sync_fetch_and_or(&direction->tcp_flags, both);
		}
		state |= tcp_state(seen, reply);
		if ((before & CT_REPLIED) && !(seen & (TCP_SYN | TCP_RST)))
			state |= CT_ESTABLISHED;
	}
	if (reply)
		state |= CT_REPLIED;
	if (state != before)
		before = __sync_fetch_and_or(&entry->flags, state);
	if (!direction->reported_ns)
		report = REPORT_FIRST;
	else if (!report && is_interval_over(direction, pass->now_ns))
		report = REPORT_INTERVAL;
	if (is_closed(state) && !is_closed(before))
		report = REPORT_CLOSE; /* one CPU sees this happen, and reports both directions */
	prolong(entry, pass->now_ns + idle_limit(pass->key.protocol, state));
	if (!report)
		return;
	note_owner(skb, pass, entry);
	note_trace_point(pass, entry);
	count_deferred(report_flow(&pass->key, entry, reply, report));
	if (report == REPORT_CLOSE)
		count_deferred(report_flow(&pass->key, entry, !reply, report));
}

/* Fills pass->fresh: a connection that this packet opens, allowed by pass->verdict. */
INLINE void make_fresh(struct pass *pass, const struct workload *workload)
{
	struct ct_entry *fresh = &pass->fresh;
	__u32 state = pass->tcp_flags ? tcp_state(pass->tcp_flags, false) : 0;

	__builtin_memset(fresh, 0, sizeof(*fresh));
	fresh->created_ns = bpf_ktime_get_ns();
	fresh->expires_ns = pass->now_ns + idle_limit(pass->key.protocol, state);
	fresh->flags = state | (pass->towards ? CT_INGRESS : 0) | (pass->verdict.matched ? CT_MATCHED : 0) |
	               (pass->trace_point == TRACE_TO_ENDPOINT ? CT_LOCAL_PEER : 0);
	if (pass->turned && !pass->towards)
		fresh->flags |= CT_SERVICE;
	if (pass->socket_identity)
		fresh->flags |= CT_PEER_SOCKET | (pass->itself ? CT_ITSELF : 0);
	if (pass->encrypted)
		fresh->flags |= pass->towards ? CT_ENCRYPTED_RECEIVED : CT_ENCRYPTED_SENT;
	fresh->policy_revision = workload->policy_revision;
	fresh->ifindex = workload->ifindex;
	fresh->workload_id = workload->id;
	fresh->workload_identity = workload->identity;
	fresh->peer_identity = pass->verdict.peer_identity;
	fresh->rule_id = pass->verdict.rule_id;
	fresh->matched_identity = pass->verdict.matched_identity;
	fresh->peer_host = pass->peer_host;
	fresh->gateway = pass->gateway;
	note_trace_point(pass, fresh);
	fresh->orig.new_packets = pass->packets;
	fresh->orig.new_bytes = pass->bytes;
	fresh->orig.last_ns = pass->now_ns;
	fresh->orig.tcp_flags = pass->tcp_flags | pass->tcp_flags << NEW_FLAGS_SHIFT;
	fresh->orig.number = pass->verdict.frontend;
	fresh->reply.number = pass->verdict.pending_rule;
	fresh->views = pass->verdict.views;
	fresh->owner = pass->verdict.owner;
}

/*
 * Makes the entry of a connection that was just allowed: in the place of a dead
 * one, or new. Its first packet is reported before other CPUs can see the entry.
 * Returns a drop reason or 0.
 */
INLINE int create_connection(struct pass *pass, const struct workload *workload, struct ct_entry *old)
{
	__u64 expires = old ? old->expires_ns : 0;
	int reported;

	make_fresh(pass, workload);
	if (old && expires &&
		__sync_val_compare_and_swap(&old->expires_ns, expires, pass->fresh.expires_ns) == expires) {
		report_rest(&pass->key, old);
	} else if (old) {
		/* being deleted or restarted by another CPU this very moment: report, leave no entry */
		count_unreported(pass, report_flow(&pass->key, &pass->fresh, 0, REPORT_FIRST));
		return 0;
	}
	reported = report_flow(&pass->key, &pass->fresh, 0, REPORT_FIRST);
	count_deferred(reported);
	if (old) {
		*old = pass->fresh;
		count(COUNTER_CT_EXPIRED);
		count(COUNTER_CT_CREATED);
		return 0;
	}
	switch (bpf_map_update_elem(&conntrack, &pass->key, &pass->fresh, BPF_NOEXIST)) {
	case 0:
		count(COUNTER_CT_CREATED);
		return 0;
	case -17: /* EEXIST: another CPU was faster with the next packet; its entry stays */
		count_unreported(pass, reported);
		return 0;
	default:
		count(COUNTER_CT_INSERT_FAILED);
		return DROP_CT_INSERT_FAILED;
	}
}

#endif
