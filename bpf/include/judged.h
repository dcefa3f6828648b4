/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* When a tracked connection is judged again, and what becomes of its entry then. */
#ifndef WEIR_JUDGED_H
#define WEIR_JUDGED_H

#include "tunnel.h"

/* Direction of the quoted packet in the entry: see find_related(). */
INLINE bool is_reply(const struct ct_entry *entry, bool towards)
{
	return !!(entry->flags & CT_INGRESS) != towards;
}

INLINE bool judgement_is_stale(
	const struct pass *pass, const struct workload *workload, const struct ct_entry *entry, bool reply)
{
	const struct ct_direction *direction = reply ? &entry->reply : &entry->orig;

	if (entry->policy_revision != workload->policy_revision || (entry->flags & CT_CUT))
		return true;
	return direction->reported_ns && is_interval_over(direction, pass->now_ns);
}

/*
 * May a connection that is refused now go on all the same? When it was answered before the change that refuses it, that change
 * said so, and both ends are who they were.
 */
INLINE bool may_drain(const struct pass *pass, const struct workload *workload, const struct ct_entry *entry)
{
	__u32 ifindex = workload->ifindex;
	__u64 *before;

	if ((entry->flags & CT_CUT) || !(entry->flags & CT_REPLIED) || (workload->flags & WORKLOAD_LOCKDOWN) ||
		entry->peer_identity != pass->verdict.peer_identity || entry->workload_identity != workload->identity)
		return false;
	before = bpf_map_lookup_elem(&drains, &ifindex);
	return before && entry->created_ns < *before;
}

/*
 * Judges a tracked connection again, in its own direction whoever sent this packet.
 * A refusal cuts it: the entry stays, and every packet is judged until one is allowed.
 */
INLINE int judge_again(struct pass *pass, struct workload *workload, struct ct_entry *entry)
{
	bool ingress = entry->flags & CT_INGRESS;
	bool from_host = pass->towards ? pass->from_host : entry->peer_identity == IDENTITY_HOST;
	__u32 flags = (ingress ? JUDGE_INGRESS : 0) | (from_host ? JUDGE_FROM_HOST : 0);
	int reason;

	if (entry->flags & CT_PEER_SOCKET) {
		flags |= JUDGE_FROM_HOST;
		if (!pass->socket_identity)
			pass->socket_identity = entry->peer_identity;
	}
	if (entry->peer_host && is_for_clients(entry->peer_identity))
		flags |= JUDGE_FOR_CLIENT;
	reason = judge(pass, workload, flags);

	if (reason && may_drain(pass, workload, entry)) {
		if (!(__sync_fetch_and_or(&entry->flags, CT_DRAINS) & CT_DRAINS))
			count(COUNTER_DRAINED);
		pass->verdict.reason = DROP_NONE;
		pass->verdict.response = 0;
		entry->policy_revision = workload->policy_revision;
		return 0;
	}
	if (reason) {
		pass->verdict.frontend = entry->orig.number;
		if (!(__sync_fetch_and_or(&entry->flags, CT_CUT) & CT_CUT))
			count(COUNTER_CUT);
		return reason;
	}
	entry->workload_identity = workload->identity;
	entry->peer_identity = pass->verdict.peer_identity;
	entry->peer_host = pass->peer_host;
	entry->rule_id = pass->verdict.rule_id;
	entry->matched_identity = pass->verdict.matched_identity;
	entry->views = pass->verdict.views;
	entry->reply.number = pass->verdict.pending_rule;
	if (pass->verdict.matched)
		__sync_fetch_and_or(&entry->flags, CT_MATCHED);
	else
		__sync_fetch_and_and(&entry->flags, ~CT_MATCHED);
	if (entry->flags & (CT_CUT | CT_DRAINS))
		__sync_fetch_and_and(&entry->flags, ~(CT_CUT | CT_DRAINS));
	entry->policy_revision = workload->policy_revision;
	return 0;
}

#endif
