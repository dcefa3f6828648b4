/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * One packet at one workload: allowed or not. A packet of a connection that this
 * revision of the policy has allowed costs one lookup; policy is asked for new
 * connections, after a change of policy, and once per report interval, so that a
 * peer's address that changed hands is noticed too.
 */
#ifndef WEIR_TRACK_H
#define WEIR_TRACK_H

#include "asked.h"
#include "bandwidth.h"
#include "egress.h"
#include "judged.h"
#include "local.h"
#include "related.h"
#include "sockets.h"

/* Of track(): the packet belongs to no connection, and may be for a service. Nothing has been done. */
#define TRACK_ASKS (-1)

/* The entry of a connection whose packets are translated says so: the answers need it. */
INLINE void note_turned(struct pass *pass, struct ct_entry *entry)
{
	if (pass->towards) {
		if (entry->flags & CT_SERVICE)
			pass->turned = pass->turned ? pass->turned : TURNED_ANSWER;
	} else if (pass->turned && !(entry->flags & CT_SERVICE)) {
		__sync_fetch_and_or(&entry->flags, CT_SERVICE);
	}
}

/* A packet of a live connection. Returns a drop reason, TRACK_ASKS or 0. */
VERIFIED_ONCE int follow_connection(
	struct __sk_buff *skb, struct pass *pass, struct workload *workload, struct ct_entry *entry)
{
	bool reply, stale;
	int reason;

	if (!pass || !workload || !entry)
		return DROP_EP_NOT_READY;
	reply = is_reply(entry, pass->towards);
	pass->verdict.reply = reply;
	pass->verdict.ingress = !!(entry->flags & CT_INGRESS);
	pass->verdict.connection_ns = entry->created_ns;
	stale = judgement_is_stale(pass, workload, entry, reply);
	if (stale && pass->asking == ASKING_MAYBE && !(entry->flags & CT_REPLIED))
		return TRACK_ASKS; /* nobody has answered: a service may have begun there meanwhile */
	note_turned(pass, entry);
	pass->peer_host = entry->peer_host;
	if (pass->towards && (entry->peer_host | pass->tunnel_identity)) {
		if (pass->tunnel_identity == IDENTITY_WORLD)
			reason = check_gateway(pass, pass->related ? pass->related_gateway : entry->gateway);
		else
			reason = check_peer_host(pass, entry->peer_identity);
		if (reason)
			return reason;
		if (pass->tunnel_identity && pass->tunnel_identity != entry->peer_identity)
			stale = true;
	}
	if (!pass->towards) {
		if (stale || entry->trace_point == TRACE_TO_ENDPOINT || entry->trace_point == TRACE_UNKNOWN)
			find_target(pass);
	} else if ((entry->flags & CT_LOCAL_PEER) && is_forged(pass)) {
		return DROP_INVALID_SOURCE_IP;
	}
	if (stale && !pass->related && pass->turned != TURNED_TO_ITSELF) {
		reason = judge_again(pass, workload, entry);
		if (reason) {
			tell_owner(skb, pass, entry);
			return reason;
		}
	}
	if (!pass->towards && (workload->flags & WORKLOAD_EGRESS)) {
		pass->verdict.peer_identity = entry->peer_identity;
		reason = choose_gateway(pass, entry->gateway);
		if (reason)
			return reason;
		if (entry->gateway != pass->gateway)
			entry->gateway = pass->gateway;
	}
	if (!pass->towards)
		pass->encrypted = leaves_encrypted(pass);
	count_packet(skb, pass, entry, reply);
	return 0;
}

/* A packet that opens a connection, or would. Returns a drop reason or 0. */
VERIFIED_ONCE int open_connection(struct __sk_buff *skb, struct workload *workload, struct ct_entry *old)
{
	struct pass *pass = this_pass();
	__u32 flags;
	int reason;

	if (!pass || !workload)
		return DROP_EP_NOT_READY;
	pass->verdict.ingress = pass->towards;
	pass->verdict.reply = 0;
	pass->verdict.connection_ns = 0;
	pass->verdict.frontend = frontend_asked(skb);
	know_owner(skb, pass);
	if (!pass->towards)
		find_target(pass);
	else if (is_forged(pass))
		return DROP_INVALID_SOURCE_IP;
	if (pass->tunnel_identity) {
		if (pass->tunnel_identity == IDENTITY_WORLD)
			reason = check_gateway(pass, pass->related ? pass->related_gateway : 0);
		else
			reason = check_tunnelled(pass);
		if (reason)
			return reason;
	}
	if (pass->related) {
		struct peer peer;

		find_peer(pass->key.remote, pass->key.family, false, !pass->towards || pass->from_host, &peer);
		pass->peer_host = peer.host;
		pass->verdict.peer_identity = pass->tunnel_identity ? pass->tunnel_identity : peer.identity;
		pass->verdict.matched = 0;
	} else if (pass->turned == TURNED_TO_ITSELF) {
		pass->verdict.peer_identity = workload->identity;
		pass->peer_host = 0;
	} else {
		if (pass->towards && pass->from_host)
			pass->socket_identity = identity_of_packet(skb);
		flags = (pass->towards ? JUDGE_INGRESS : 0) | (pass->from_host ? JUDGE_FROM_HOST : 0);
		reason = judge(pass, workload, flags);
		if (reason)
			return reason;
	}
	if (pass->peer_host) {
		if (pass->towards) {
			if (must_be_tunnelled(pass))
				return DROP_INVALID_SOURCE_IP;
		} else if (!pass->target && tunnel_to(pass->peer_host)) {
			pass->trace_point = TRACE_TO_NETWORK;
		}
	}
	if (!pass->towards && (workload->flags & WORKLOAD_EGRESS)) {
		reason = choose_gateway(pass, 0);
		if (reason)
			return reason;
	}
	if (!pass->towards)
		pass->encrypted = leaves_encrypted(pass);
	return create_connection(pass, workload, old);
}

/*
 * Judges the packet for one of its two workloads (pass->towards says which end it
 * is). Counts and reports what it lets pass and what it does not. Returns a drop
 * reason or 0; with ASKING_MAYBE also TRACK_ASKS.
 */
VERIFIED_ONCE int track(struct __sk_buff *skb, struct workload *workload)
{
	struct pass *pass = this_pass();
	struct ct_entry *entry;
	int reason;

	if (!pass || !workload)
		return DROP_EP_NOT_READY;
	__builtin_memset(&pass->verdict, 0, sizeof(pass->verdict));
	pass->related = 0;
	if ((workload->flags & WORKLOAD_LIMITED) && pass->asking != ASKED) {
		reason = check_bandwidth(skb, pass, workload);
		if (reason) {
			refuse_for(pass, workload, reason);
			return reason;
		}
	}
	connection_key(&pass->tuple, pass->towards, &pass->key);
	if (workload->flags & WORKLOAD_LOCKDOWN) {
		reason = open_connection(skb, workload, NULL);
		refuse(pass, workload);
		return reason;
	}
	if (is_icmp_error(&pass->tuple) && find_related(skb, workload)) {
		pass->related = 1;
		message_key(&pass->tuple, pass->towards, true, &pass->key);
	} else if (pass->asking == ASKING_MAYBE && is_icmp_error(&pass->tuple)) {
		return TRACK_ASKS;
	}
	entry = bpf_map_lookup_elem(&conntrack, &pass->key);
	if (!is_alive(entry, workload, pass->now_ns) && is_echo_reply(&pass->tuple)) {
		/* nobody asked: a message like any other */
		message_key(&pass->tuple, pass->towards, false, &pass->key);
		entry = bpf_map_lookup_elem(&conntrack, &pass->key);
	}
	if (is_alive(entry, workload, pass->now_ns) && !opens_anew(pass, entry, is_reply(entry, pass->towards)))
		reason = follow_connection(skb, pass, workload, entry);
	else if (pass->asking == ASKING_MAYBE)
		reason = TRACK_ASKS;
	else
		reason = open_connection(skb, workload, entry);
	if (reason > 0) {
		pass->verdict.reason = reason;
		refuse(pass, workload);
	}
	return reason;
}

#endif
