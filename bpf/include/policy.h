/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The verdict. Each lookup gives the longest match of protocol and port under one
 * identity; the compiler has already turned every allow that a deny overlaps into
 * a deny, so: any deny wins, else the allow with the most bits, else the default.
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

INLINE struct policy_entry *find_policy(void *policy, __u32 identity, bool ingress, const struct ct_key *ct)
{
	__be16 port = policy_port(ct, ingress);
	struct policy_key key = {
		.prefixlen = POLICY_FULL_BITS,
		.identity = identity,
		.egress = !ingress,
		.protocol = ct->protocol,
	};

	__builtin_memcpy(&key.port_hi, &port, sizeof(port));
	return bpf_map_lookup_elem(policy, &key);
}

/* Counts a reported part of a connection at the entry that allowed it. Used by ct_sweep too: no trie but the inner map. */
INLINE void account(const struct ct_key *key, const struct ct_entry *connection, __u64 packets, __u64 bytes)
{
	__u32 ifindex = connection->ifindex;
	struct policy_entry *entry;
	void *policy;

	if (!(connection->flags & CT_MATCHED))
		return;
	policy = bpf_map_lookup_elem(&policies, &ifindex);
	if (!policy)
		return;
	entry = find_policy(policy, connection->matched_identity, connection->flags & CT_INGRESS, key);
	if (!entry || entry->rule_id != connection->rule_id)
		return; /* the policy has changed since; the next packet is judged by the new one */
	__sync_fetch_and_add(&entry->packets, packets);
	__sync_fetch_and_add(&entry->bytes, bytes);
}

INLINE void refused_by(struct pass *pass, struct policy_entry *entry, __u32 identity)
{
	pass->verdict.reason = DROP_POLICY_DENY;
	pass->verdict.rule_id = entry->rule_id;
	pass->verdict.matched_identity = identity;
	pass->verdict.matched = 1;
	__sync_fetch_and_add(&entry->packets, pass->packets);
	__sync_fetch_and_add(&entry->bytes, pass->bytes);
}

INLINE void allowed_by(struct pass *pass, struct policy_entry *entry, __u32 identity)
{
	pass->verdict.rule_id = entry->rule_id;
	pass->verdict.matched_identity = identity;
	pass->verdict.matched = 1;
}

/* Searches the workload's policy. Returns false when no entry matches. */
INLINE bool search_policy(struct pass *pass, void *policy, const struct peer *peer, bool ingress)
{
	struct policy_entry *own, *twin = NULL, *any;

	own = find_policy(policy, peer->identity, ingress, &pass->key);
	if (own && own->deny) {
		refused_by(pass, own, peer->identity);
		return true;
	}
	if (peer->twin) {
		twin = find_policy(policy, peer->twin, ingress, &pass->key);
		if (twin && twin->deny) {
			refused_by(pass, twin, peer->twin);
			return true;
		}
	}
	any = find_policy(policy, IDENTITY_UNKNOWN, ingress, &pass->key);
	if (any && any->deny) {
		refused_by(pass, any, IDENTITY_UNKNOWN);
		return true;
	}
	if (own && (!twin || own->prefix_bits >= twin->prefix_bits) && (!any || own->prefix_bits >= any->prefix_bits))
		allowed_by(pass, own, peer->identity);
	else if (twin && (!any || twin->prefix_bits >= any->prefix_bits))
		allowed_by(pass, twin, peer->twin);
	else if (any)
		allowed_by(pass, any, IDENTITY_UNKNOWN);
	else
		return false;
	return true;
}

/* Judges the connection pass->key for the workload; the answer is in pass->verdict. Returns its reason. */
VERIFIED_ONCE int judge(struct pass *pass, struct workload *workload, __u32 flags)
{
	bool ingress = flags & JUDGE_INGRESS;
	__u32 ifindex, enforced;
	struct peer peer;
	void *policy;

	if (!pass || !workload)
		return DROP_EP_NOT_READY;
	count(COUNTER_JUDGED);
	find_peer(pass->key.remote, pass->key.family, workload->flags & WORKLOAD_IPBLOCK,
		!ingress || (flags & JUDGE_FROM_HOST), &peer);
	pass->peer_host = peer.host;
	if ((flags & JUDGE_FOR_CLIENT) && peer.identity == IDENTITY_REMOTE_NODE)
		peer.identity = pass->key.family == 4 ? IDENTITY_WORLD_IPV4 : IDENTITY_WORLD_IPV6;
	if (pass->tunnel_identity) /* the sender knows its own workloads first; checked by check_tunnelled() */
		peer.identity = pass->tunnel_identity;
	pass->verdict.reason = DROP_NONE;
	pass->verdict.rule_id = 0;
	pass->verdict.peer_identity = peer.identity;
	pass->verdict.matched = 0;

	if (workload->flags & WORKLOAD_LOCKDOWN)
		goto by_default;
	if (ingress && peer.identity == IDENTITY_HOST && (workload->flags & WORKLOAD_ALLOW_HOST))
		return DROP_NONE;
	ifindex = workload->ifindex;
	policy = bpf_map_lookup_elem(&policies, &ifindex);
	if (policy && search_policy(pass, policy, &peer, ingress))
		return pass->verdict.reason;
	enforced = ingress ? WORKLOAD_ENFORCE_INGRESS : WORKLOAD_ENFORCE_EGRESS;
	if (!(workload->flags & enforced))
		return DROP_NONE;
by_default:
	pass->verdict.reason = DROP_POLICY_DENIED;
	pass->verdict.rule_id = ingress ? workload->default_rule_ingress : workload->default_rule_egress;
	return DROP_POLICY_DENIED;
}

#endif
