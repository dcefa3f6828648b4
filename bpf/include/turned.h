/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Answers to a workload whose packets ask for a service (turn.h): the service's address becomes their source again, where
 * the workload gets them, whichever way they came. Conntrack knows which connections these are (CT_SERVICE), so no other
 * packet pays for it. What they are given is in a map that is there only while there are services.
 */
#ifndef WEIR_TURNED_H
#define WEIR_TURNED_H

#include "counters.h"
#include "rewrite_quoted.h"

/* The size is that of the map that is put in; this one is for a kernel that wants one to compare with. */
struct asked_turns_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, struct nat_key);
	__type(value, struct service_turn);
};

/* Never called: see policy_map_types(). */
void asked_turn_types(struct nat_key *key, struct service_turn *turn) {}

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct asked_turns_map);
} asked_turns SEC(".maps") DOC("0 -> `service_turns`, while there are services; written by the agent");

/* The key of what becomes of a packet from `local` to `remote`, as the backend gets it. */
INLINE void turn_back_key(const struct tuple *tuple, bool from_backend, struct nat_key *key)
{
	if (from_backend) {
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
	key->pad = TURN_BACK;
}

/* The header's checksum has changed since it was read, and is needed to take a hop (deliver.h). 0 or an error. */
INLINE int read_checksum_again(struct __sk_buff *skb, struct pass *pass)
{
	if (pass->tuple.family != 4)
		return 0;
	return LOAD(skb, pass->l3 + offsetof(struct ipv4, checksum), &pass->ip4_checksum) ? -1 : 0;
}

/* An error about what the workload has sent to its backend, or (`to_itself`) about what it has sent to itself. 0 or an error. */
INLINE int turn_back_error(struct __sk_buff *skb, struct pass *pass, const struct service_turn *turn, bool to_itself)
{
	struct nat_out_value frontend = {.port = turn->source_port}, client = {.port = turn->destination_port};

	address_copy(frontend.addr, turn->source);
	address_copy(client.addr, turn->destination);
	if (rewrite_quoted(skb, pass, &frontend, REWRITE_DESTINATION))
		return -1;
	if ((to_itself || client.port != pass->inner.sport) && rewrite_quoted(skb, pass, &client, REWRITE_SOURCE))
		return -1;
	if (address_equal(pass->tuple.saddr, pass->inner.daddr) && rewrite(skb, pass, &frontend, REWRITE_SOURCE))
		return -1;
	return to_itself ? rewrite(skb, pass, &client, REWRITE_DESTINATION) : 0;
}

/* An answer to such a workload, judged already. 0 or an error. */
INLINE int turn_back_answer(struct __sk_buff *skb, struct pass *pass, const struct service_turn *turn, bool to_itself)
{
	struct nat_out_value frontend = {.port = turn->source_port}, client = {.port = turn->destination_port};

	address_copy(frontend.addr, turn->source);
	address_copy(client.addr, turn->destination);
	if (rewrite(skb, pass, &frontend, REWRITE_SOURCE))
		return -1;
	return to_itself || client.port != pass->tuple.dport ? rewrite(skb, pass, &client, REWRITE_DESTINATION) : 0;
}

/* What is TURNED_ANSWER, as the workload is to get it. Returns a drop reason or 0. */
VERIFIED_ONCE int turn_back(struct __sk_buff *skb)
{
	struct pass *pass = this_pass();
	const struct service_turn *turn;
	struct nat_key key = {};
	__u32 zero = 0;
	void *turns;

	if (!pass)
		return DROP_NAT_NO_MAPPING;
	turns = bpf_map_lookup_elem(&asked_turns, &zero);
	if (!turns)
		return DROP_NAT_NO_MAPPING;
	if (pass->related)
		turn_back_key(&pass->inner, false, &key);
	else
		turn_back_key(&pass->tuple, true, &key);
	turn = bpf_map_lookup_elem(turns, &key);
	if (!turn)
		return DROP_NAT_NO_MAPPING;
	count(COUNTER_SERVICE_GIVEN_BACK);
	if (pass->related ? turn_back_error(skb, pass, turn, false) : turn_back_answer(skb, pass, turn, false))
		return DROP_WRITE_ERROR;
	return read_checksum_again(skb, pass) ? DROP_WRITE_ERROR : 0;
}

/* Returns a drop reason, and then the packet has been refused, or 0. */
INLINE int give_answer(struct __sk_buff *skb, struct pass *pass, struct workload *workload)
{
	int reason = pass->turned == TURNED_ANSWER ? turn_back(skb) : 0;

	if (reason)
		refuse_for(pass, workload, reason);
	return reason;
}

#endif
