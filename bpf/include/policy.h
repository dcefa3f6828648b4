/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The verdict. Each lookup gives the longest match of protocol and port under one
 * identity in one tier; the compiler has already taken out what a stronger entry
 * overlaps. So of the peer's, its twin's and any identity's match the strongest
 * decides the tier, and the first tier that decides the connection.
 */
#ifndef WEIR_POLICY_H
#define WEIR_POLICY_H

#include "counters.h"
#include "ipcache.h"
#include "l4.h"

enum judge_flags {
	JUDGE_INGRESS = 1 << 0, /* direction of the connection */
	JUDGE_FROM_HOST = 1 << 1, /* this host made the packet */
	JUDGE_FOR_CLIENT =
		1 << 2, /* the peer was the world's: a host that sends for a client of a service is no peer itself */
};

/* The port a rule can name: the one connected to; for ICMP the type. Network order. */
INLINE __be16 policy_port(const struct ct_key *key, bool ingress)
{
	switch (key->icmp) {
	case CT_ICMP_NONE:
		return ingress ? key->local_port : key->remote_port;
	case CT_ICMP_ASKED:
	case CT_ICMP_ANSWERS:
		return bpf_htons((key->family == 4 ? ICMP4_ECHO : ICMP6_ECHO) << 8);
	default:
		return key->remote_port & bpf_htons(0xff00);
	}
}

/* `section`: enum weir_policy_section. */
INLINE struct policy_entry *find_policy(void *policy, __u32 identity, __u8 section, const struct ct_key *ct)
{
	__be16 port = policy_port(ct, !(section & POLICY_EGRESS));
	struct policy_key key = {
		.prefixlen = POLICY_FULL_BITS,
		.identity = identity,
		.section = section,
		.protocol = ct->protocol,
	};

	__builtin_memcpy(&key.port_hi, &port, sizeof(port));
	return bpf_map_lookup_elem(policy, &key);
}

/* Counts a reported part of a connection at the entry that allowed it. Used by ct_sweep too: no trie but the inner map. */
INLINE void account(const struct ct_key *key, const struct ct_entry *connection, __u64 packets, __u64 bytes)
{
	__u8 direction = connection->flags & CT_INGRESS ? 0 : POLICY_EGRESS;
	__u32 ifindex = connection->ifindex;
	__u32 identity = connection->matched_identity;
	struct policy_entry *entry;
	void *policy;

	if (!(connection->flags & CT_MATCHED))
		return;
	policy = bpf_map_lookup_elem(&policies, &ifindex);
	if (!policy)
		return;
	entry = find_policy(policy, identity, direction | POLICY_TIER_NORMAL, key);
	if (!entry || entry->rule_id != connection->rule_id)
		entry = find_policy(policy, identity, direction | POLICY_TIER_ADMIN, key);
	if (!entry || entry->rule_id != connection->rule_id)
		entry = find_policy(policy, identity, direction | POLICY_TIER_BASELINE, key);
	if (!entry || entry->rule_id != connection->rule_id)
		return; /* the policy has changed since; the next packet is judged by the new one */
	__sync_fetch_and_add(&entry->packets, packets);
	__sync_fetch_and_add(&entry->bytes, bytes);
}

INLINE bool refuses(const struct policy_entry *entry)
{
	return entry->verdict != POLICY_ALLOW && entry->verdict != POLICY_PASS;
}

/* Is `other` found although there is `first`? Of equal ones the first decides. */
INLINE bool is_stronger(const struct policy_entry *other, const struct policy_entry *first)
{
	if (other->rank != first->rank)
		return other->rank > first->rank;
	if (refuses(first) || refuses(other))
		return !refuses(first);
	return other->prefix_bits > first->prefix_bits;
}

enum tier_answer {
	TIER_SILENT,
	TIER_ALLOWS,
	TIER_DENIES,
	TIER_PASSES,
};

/* What decides one tier of the workload's policy, or NULL; `identity` gets whose entry it is. */
INLINE struct policy_entry *find_strongest(
	void *policy, const struct peer *peer, __u8 section, const struct ct_key *key, __u32 *identity)
{
	struct policy_entry *best, *other;

	*identity = peer->identity;
	best = find_policy(policy, peer->identity, section, key);
	if (peer->twin) {
		other = find_policy(policy, peer->twin, section, key);
		if (other && (!best || is_stronger(other, best))) {
			best = other;
			*identity = peer->twin;
		}
	}
	other = find_policy(policy, IDENTITY_UNKNOWN, section, key);
	if (other && (!best || is_stronger(other, best))) {
		best = other;
		*identity = IDENTITY_UNKNOWN;
	}
	return best;
}

/* Searches one tier of the workload's policy; a verdict is left in pass->verdict. */
INLINE enum tier_answer search_tier(struct pass *pass, void *policy, const struct peer *peer, __u8 section)
{
	__u32 identity;
	struct policy_entry *best = find_strongest(policy, peer, section, &pass->key, &identity);

	if (!best)
		return TIER_SILENT;
	if (best->verdict == POLICY_PASS)
		return TIER_PASSES;
	pass->verdict.rule_id = best->rule_id;
	pass->verdict.matched_identity = identity;
	pass->verdict.matched = 1;
	if (best->verdict == POLICY_ALLOW)
		return TIER_ALLOWS;
	pass->verdict.reason = DROP_POLICY_DENY;
	pass->verdict.response = best->verdict == POLICY_DENY ? 0 : best->verdict;
	__sync_fetch_and_add(&best->packets, pass->packets);
	__sync_fetch_and_add(&best->bytes, pass->bytes);
	return TIER_DENIES;
}

INLINE bool decides(enum tier_answer answer)
{
	return answer == TIER_ALLOWS || answer == TIER_DENIES;
}

/*
 * Would this view of the workload's policy refuse the connection that was just judged? `section`: direction | view.
 * Leaves the rule that would decide, or 0, in pass->view_rule. Decides and counts nothing.
 */
VERIFIED_ONCE int is_refused_by(struct pass *pass, struct workload *workload, __u32 section)
{
	__u32 order[] = {POLICY_TIER_ADMIN, POLICY_TIER_NORMAL, POLICY_TIER_DEFAULT, POLICY_TIER_BASELINE};
	struct policy_entry *best;
	__u32 ifindex, identity;
	bool passed = false;
	struct peer peer;
	void *policy;

	if (!pass || !workload)
		return 0;
	pass->view_rule = 0;
	peer.identity = pass->verdict.peer_identity;
	peer.twin = pass->peer_twin;
	peer.host = 0;
	ifindex = workload->ifindex;
	policy = bpf_map_lookup_elem(&policies, &ifindex);
	if (!policy)
		return 0;
#pragma unroll
	for (int i = 0; i < 4; i++) {
		if (order[i] != POLICY_TIER_NORMAL && order[i] != POLICY_TIER_DEFAULT &&
			!(workload->flags & WORKLOAD_TIERS))
			continue;
		if (order[i] == POLICY_TIER_DEFAULT) {
			if (passed)
				continue; /* a pass leaves it to Baseline, whatever the default */
			best = find_policy(policy, IDENTITY_UNKNOWN, section | POLICY_TIER_DEFAULT, &pass->key);
		} else {
			best = find_strongest(policy, &peer, section | order[i], &pass->key, &identity);
		}
		if (!best)
			continue;
		if (best->verdict == POLICY_PASS) {
			passed = order[i] == POLICY_TIER_NORMAL;
			continue;
		}
		pass->view_rule = best->rule_id;
		return refuses(best);
	}
	return 0;
}

/* What audited and staged policies say of the connection that was just judged. */
INLINE void judge_views(struct pass *pass, struct workload *workload, __u8 direction)
{
	if ((workload->flags & WORKLOAD_PENDING)) {
		pass->verdict.views = VIEW_PENDING;
		if (is_refused_by(pass, workload, direction | POLICY_VIEW_PENDING))
			pass->verdict.views |= VIEW_PENDING_DENIED;
		pass->verdict.pending_rule = pass->view_rule;
	}
	if ((workload->flags & WORKLOAD_AUDITED) && !pass->verdict.reason &&
		is_refused_by(pass, workload, direction | POLICY_VIEW_AUDITED)) {
		pass->verdict.views |= VIEW_AUDITED;
		pass->verdict.rule_id = pass->view_rule;
		pass->verdict.matched = 0;
	}
}

INLINE __u32 default_response(__u32 flags, bool ingress)
{
	if (flags & (ingress ? WORKLOAD_RESET_INGRESS : WORKLOAD_RESET_EGRESS))
		return POLICY_DENY_RESET;
	return flags & (ingress ? WORKLOAD_ICMP_INGRESS : WORKLOAD_ICMP_EGRESS) ? POLICY_DENY_ICMP : 0;
}

/* What is enforced for the connection pass->key; the answer is in pass->verdict. Returns its reason. */
INLINE int judge_enforced(struct pass *pass, struct workload *workload, __u32 flags)
{
	bool ingress = flags & JUDGE_INGRESS;
	__u8 direction = ingress ? 0 : POLICY_EGRESS;
	enum tier_answer answer = TIER_SILENT;
	__u32 ifindex, enforced;
	struct peer peer;
	void *policy;

	count(COUNTER_JUDGED);
	find_peer(pass->key.remote, pass->key.family, workload->flags & WORKLOAD_IPBLOCK,
		!ingress || (flags & JUDGE_FROM_HOST), &peer);
	pass->peer_host = peer.host;
	pass->peer_twin = peer.twin;
	if ((flags & JUDGE_FOR_CLIENT) && peer.identity == IDENTITY_REMOTE_NODE)
		peer.identity = pass->key.family == 4 ? IDENTITY_WORLD_IPV4 : IDENTITY_WORLD_IPV6;
	if (pass->tunnel_identity) /* the sender knows its own workloads first; checked by check_tunnelled() */
		peer.identity = pass->tunnel_identity;
	if (pass->socket_identity)
		peer.identity = pass->socket_identity;
	pass->verdict.reason = DROP_NONE;
	pass->verdict.rule_id = 0;
	pass->verdict.peer_identity = peer.identity;
	pass->verdict.matched = 0;
	pass->verdict.views = 0;
	pass->verdict.pending_rule = 0;
	pass->verdict.response = 0;

	if (workload->flags & WORKLOAD_LOCKDOWN)
		goto by_default;
	if (ingress && peer.identity == IDENTITY_HOST && (workload->flags & WORKLOAD_ALLOW_HOST))
		return DROP_NONE;
	ifindex = workload->ifindex;
	policy = bpf_map_lookup_elem(&policies, &ifindex);
	if (policy && (workload->flags & WORKLOAD_TIERS) &&
		decides(search_tier(pass, policy, &peer, direction | POLICY_TIER_ADMIN)))
		return pass->verdict.reason;
	if (policy) {
		answer = search_tier(pass, policy, &peer, direction | POLICY_TIER_NORMAL);
		if (decides(answer))
			return pass->verdict.reason;
	}
	enforced = ingress ? WORKLOAD_ENFORCE_INGRESS : WORKLOAD_ENFORCE_EGRESS;
	if (answer == TIER_PASSES || !(workload->flags & enforced)) {
		if (policy && (workload->flags & WORKLOAD_TIERS))
			search_tier(pass, policy, &peer, direction | POLICY_TIER_BASELINE);
		return pass->verdict.reason;
	}
	pass->verdict.response = default_response(workload->flags, ingress);
by_default:
	pass->verdict.reason = DROP_POLICY_DENIED;
	pass->verdict.rule_id = ingress ? workload->default_rule_ingress : workload->default_rule_egress;
	return DROP_POLICY_DENIED;
}

/* Judges the connection pass->key for the workload; the answer is in pass->verdict. Returns its reason. */
VERIFIED_ONCE int judge(struct pass *pass, struct workload *workload, __u32 flags)
{
	bool ingress = flags & JUDGE_INGRESS;
	int reason;

	if (!pass || !workload)
		return DROP_EP_NOT_READY;
	reason = judge_enforced(pass, workload, flags);
	if (!(workload->flags & (WORKLOAD_AUDITED | WORKLOAD_PENDING)) || (workload->flags & WORKLOAD_LOCKDOWN))
		return reason;
	if (ingress && pass->verdict.peer_identity == IDENTITY_HOST && (workload->flags & WORKLOAD_ALLOW_HOST))
		return reason; /* no policy is asked */
	judge_views(pass, workload, ingress ? 0 : POLICY_EGRESS);
	return reason;
}

#endif
