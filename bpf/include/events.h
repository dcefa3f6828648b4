/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Flow events. What a connection counted since its last report is taken from its
 * entry by atomic exchange, so two CPUs never report a packet twice; when the ring
 * buffer is full it is put back for a later event. A workload that has used its
 * allowance of events (throttle.h) leaves it there from the start.
 */
#ifndef WEIR_EVENTS_H
#define WEIR_EVENTS_H

#include "config.h"
#include "policy.h"
#include "throttle.h"
#include "translated.h"

/* One wake-up when a fill level is crossed, none per event: the reader polls every 20 ms. */
INLINE void submit(struct flow_event *event)
{
	__u64 waiting = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);
	bool crossed = waiting >= events_wakeup_bytes && waiting < events_wakeup_bytes + 64 * sizeof(*event);

	bpf_ringbuf_submit(event, crossed ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
	count_atomic(COUNTER_EVENTS);
}

#define CLOCK_TICK_NS (NS_PER_SECOND / 100)

/* last_ns is only as fine as the kernel's tick: a packet of this tick is the one being reported, now. */
INLINE __u64 packet_time(__u64 last_ns, __u64 now)
{
	return now < last_ns + CLOCK_TICK_NS ? now : last_ns;
}

/* Where ct_direction.tcp_flags has those that no event has told yet. */
#define NEW_FLAGS_SHIFT 16

INLINE struct flow_event *reserve(__u64 time_ns)
{
	struct flow_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (event) {
		event->header.version = WEIR_ABI_VERSION;
		event->header.kind = EVENT_FLOW;
		event->header.cpu = bpf_get_smp_processor_id();
		event->header.size = sizeof(*event);
		event->header.time_ns = time_ns;
		__builtin_memset(event->xlated, 0, sizeof(event->xlated));
		__builtin_memset(&event->owner, 0, sizeof(event->owner));
		event->sock_xlate = SOCK_XLATE_NONE;
		event->pad = 0;
		event->pending = 0;
		event->pending_rule = 0;
	}
	return event;
}

INLINE void tell_pending(struct flow_event *event, __u8 views, __u32 rule_id)
{
	if (!(views & VIEW_PENDING))
		return;
	event->pending = views & VIEW_PENDING_DENIED ? VERDICT_DROPPED : VERDICT_FORWARDED;
	event->pending_rule = rule_id;
}

INLINE void fill_tuple(struct flow_event *event, const struct ct_key *key, bool outgoing, bool reply)
{
	__u8 type;

	if (outgoing) {
		address_copy(event->saddr, key->local);
		address_copy(event->daddr, key->remote);
		event->sport = key->local_port;
		event->dport = key->remote_port;
	} else {
		address_copy(event->saddr, key->remote);
		address_copy(event->daddr, key->local);
		event->sport = key->remote_port;
		event->dport = key->local_port;
	}
	event->protocol = key->protocol;
	event->family = key->family;
	event->icmp_type = 0;
	event->icmp_code = 0;
	if (key->icmp == CT_ICMP_NONE)
		return;
	event->sport = 0;
	event->dport = 0;
	if (key->icmp <= CT_ICMP_ANSWERS) {
		if (key->family == 4)
			type = reply ? ICMP4_ECHO_REPLY : ICMP4_ECHO;
		else
			type = reply ? ICMP6_ECHO_REPLY : ICMP6_ECHO;
		event->icmp_type = type;
	} else {
		event->icmp_type = bpf_ntohs(key->remote_port) >> 8;
		event->icmp_code = bpf_ntohs(key->remote_port);
	}
}

INLINE __u8 trace_reason(const struct ct_key *key, bool reply, __u32 report)
{
	if (key->icmp >= CT_ICMP_RELATED_SENT)
		return TRACE_REASON_RELATED;
	if (reply)
		return TRACE_REASON_REPLY;
	return report == REPORT_FIRST ? TRACE_REASON_NEW : TRACE_REASON_ESTABLISHED;
}

enum flow_report_result {
	FLOW_NOTHING = 0, /* nothing to report, or it is accounted for without an event */
	FLOW_WRITTEN = 1,
	FLOW_NO_ROOM = -1, /* the ring buffer is full; all is as it was */
	FLOW_HELD = -2, /* the workload is throttled; all is as it was */
};

/* What is left of a connection that ends goes into `throttled` when it may not go into an event. */
INLINE void count_rest(const struct ct_entry *entry, __u64 packets, __u64 bytes)
{
	struct throttled_key key = {
		.ifindex = entry->ifindex,
		.workload_id = entry->workload_id,
		.direction = entry->flags & CT_INGRESS ? DIRECTION_INGRESS : DIRECTION_EGRESS,
	};

	count_throttled(&key, packets, bytes);
}

/*
 * Reports one direction of a connection. REPORT_EXPIRED is the last chance: then a
 * throttled workload's counts are taken and kept by `throttled`.
 * Returns an enum flow_report_result.
 */
VERIFIED_ONCE int report_flow(struct ct_key *key, struct ct_entry *entry, __u32 reply, __u32 report)
{
	struct ct_direction *direction;
	struct flow_event *event;
	__u64 packets, bytes;
	bool ingress, outgoing, held;
	__u32 flags;
	__u64 now;

	if (!key || !entry)
		return FLOW_NOTHING;
	direction = reply ? &entry->reply : &entry->orig;
	if (!direction->new_packets)
		return FLOW_NOTHING;
	now = report_flows ? bpf_ktime_get_ns() : 0;
	held = report_flows && !may_report(entry->ifindex, now);
	if (held && report != REPORT_EXPIRED)
		return FLOW_HELD;
	packets = __atomic_exchange_n(&direction->new_packets, 0, __ATOMIC_RELAXED);
	if (!packets)
		return FLOW_NOTHING;
	bytes = __atomic_exchange_n(&direction->new_bytes, 0, __ATOMIC_RELAXED);
	flags = __sync_fetch_and_and(&direction->tcp_flags, (1 << NEW_FLAGS_SHIFT) - 1) >> NEW_FLAGS_SHIFT;
	event = report_flows && !held ? reserve(packet_time(direction->last_ns, now)) : NULL;
	if (!event && report_flows && !held) {
		__sync_fetch_and_add(&direction->new_packets, packets);
		__sync_fetch_and_add(&direction->new_bytes, bytes);
		__sync_fetch_and_or(&direction->tcp_flags, flags << NEW_FLAGS_SHIFT);
		return FLOW_NO_ROOM;
	}
	__sync_fetch_and_add(&direction->packets, packets);
	__sync_fetch_and_add(&direction->bytes, bytes);
	direction->reported_ns = direction->last_ns;
	if (!reply)
		account(key, entry, packets, bytes);
	if (held)
		count_rest(entry, packets, bytes);
	if (!event)
		return FLOW_NOTHING;

	ingress = entry->flags & CT_INGRESS;
	outgoing = ingress == !!reply;
	fill_tuple(event, key, outgoing, reply);
	event->tcp_flags = flags;
	event->verdict = entry->views & VIEW_AUDITED ? VERDICT_AUDIT : VERDICT_FORWARDED;
	event->source_identity = outgoing ? entry->workload_identity : entry->peer_identity;
	event->destination_identity = outgoing ? entry->peer_identity : entry->workload_identity;
	event->rule_id = entry->rule_id;
	event->workload_id = entry->workload_id;
	event->ifindex = entry->ifindex;
	event->drop_reason = DROP_NONE;
	event->direction = ingress ? DIRECTION_INGRESS : DIRECTION_EGRESS;
	event->is_reply = !!reply;
	event->trace_point = outgoing ? entry->trace_point : TRACE_TO_ENDPOINT;
	event->trace_reason = trace_reason(key, reply, report);
	event->report = report;
	event->encrypted = !!(entry->flags & (outgoing ? CT_ENCRYPTED_SENT : CT_ENCRYPTED_RECEIVED));
	event->frontend = entry->orig.number;
	event->sock_xlate = sock_xlate_of(entry, reply);
	if (outgoing)
		tell_source(event, key);
	tell_pending(event, entry->views, entry->reply.number);
	event->packets = packets;
	event->bytes = bytes;
	event->connection_ns = entry->created_ns;
	event->owner = entry->owner;
	submit(event);
	return FLOW_WRITTEN;
}

/* Counts a report that did not happen, and whose counts wait in an entry. */
INLINE void count_deferred(int result)
{
	if (result == FLOW_NO_ROOM)
		count(COUNTER_EVENTS_DEFERRED);
	else if (result == FLOW_HELD)
		count(COUNTER_EVENTS_HELD);
}

/*
 * Counts and reports a refused packet: verdict has the reason, the workload may be
 * unknown, and so may be the tuple. Always returns TC_ACT_SHOT.
 */
VERIFIED_ONCE int refuse(struct pass *pass, struct workload *workload)
{
	struct flow_event *event;
	__u32 reason, peer, own;
	__u64 now;

	if (!pass)
		return TC_ACT_SHOT;
	reason = pass->verdict.reason;
	count_drop(reason, pass->towards ? DIRECTION_INGRESS : DIRECTION_EGRESS, pass->packets, pass->bytes);
	if (!workload || !pass->tuple.family)
		return TC_ACT_SHOT;
	now = bpf_ktime_get_ns();
	if (!may_report(workload->ifindex, now)) {
		struct throttled_key key = {
			.ifindex = workload->ifindex,
			.workload_id = workload->id,
			.reason = reason,
			.direction = pass->verdict.ingress ? DIRECTION_INGRESS : DIRECTION_EGRESS,
		};

		count_throttled(&key, pass->packets, pass->bytes);
		return TC_ACT_SHOT;
	}
	event = reserve(now);
	if (!event) {
		count(COUNTER_EVENTS_LOST);
		return TC_ACT_SHOT;
	}
	peer = pass->verdict.peer_identity;
	own = workload->identity;
	address_copy(event->saddr, pass->tuple.saddr);
	address_copy(event->daddr, pass->tuple.daddr);
	event->sport = is_icmp(&pass->tuple) ? 0 : pass->tuple.sport;
	event->dport = is_icmp(&pass->tuple) ? 0 : pass->tuple.dport;
	event->protocol = pass->tuple.protocol;
	event->family = pass->tuple.family;
	event->icmp_type = pass->tuple.icmp_type;
	event->icmp_code = pass->tuple.icmp_code;
	event->tcp_flags = pass->tcp_flags;
	event->verdict = VERDICT_DROPPED;
	event->source_identity = pass->towards ? peer : own;
	event->destination_identity = pass->towards ? own : peer;
	event->rule_id = pass->verdict.rule_id;
	event->workload_id = workload->id;
	event->ifindex = workload->ifindex;
	event->drop_reason = reason;
	event->direction = pass->verdict.ingress ? DIRECTION_INGRESS : DIRECTION_EGRESS;
	event->is_reply = pass->verdict.reply;
	event->trace_point = pass->towards ? TRACE_TO_ENDPOINT : TRACE_FROM_ENDPOINT;
	event->trace_reason = pass->verdict.reply
	                              ? TRACE_REASON_REPLY
	                              : (pass->verdict.connection_ns ? TRACE_REASON_ESTABLISHED : TRACE_REASON_NEW);
	event->report = REPORT_DROP;
	event->encrypted = pass->encrypted;
	event->frontend = pass->verdict.frontend;
	if (pass->verdict.frontend && !pass->verdict.ingress && !pass->frontend)
		event->sock_xlate = pass->verdict.reply ? SOCK_XLATE_PRE_DIRECTION_REV : SOCK_XLATE_POST_DIRECTION_FWD;
	tell_pending(event, pass->verdict.views, pass->verdict.pending_rule);
	event->packets = pass->packets;
	event->bytes = pass->bytes;
	event->connection_ns = pass->verdict.connection_ns;
	event->owner = pass->verdict.owner;
	submit(event);
	return TC_ACT_SHOT;
}

/* Refuses for a reason that no policy gave. */
INLINE int refuse_for(struct pass *pass, struct workload *workload, __u32 reason)
{
	__builtin_memset(&pass->verdict, 0, sizeof(pass->verdict));
	pass->verdict.reason = reason;
	pass->verdict.ingress = pass->towards;
	return refuse(pass, workload);
}

#endif
