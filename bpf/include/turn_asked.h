/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What a workload sends and no connection knows: for a service, about one, or to itself (turn.h)? */
#ifndef WEIR_TURN_ASKED_H
#define WEIR_TURN_ASKED_H

#include "turn_load.h"

/*
 * An error about what a frontend has answered to the workload: to the backend that has answered, about what it has sent.
 * Returns TURNED, NOT_TURNED or a TC action.
 */
VERIFIED_ONCE int turn_error(struct __sk_buff *skb, struct workload *workload)
{
	struct turning *turning = this_turning();
	struct pass *pass = this_pass();
	const struct service_turn *turn;
	bool to_itself;

	if (!turning || !pass || !workload)
		return TC_ACT_SHOT;
	if (pass->fragment != FRAGMENT_NONE || !parse_quoted(skb, pass) || is_icmp(&pass->inner))
		return NOT_TURNED;
	if (!address_equal(pass->inner.daddr, pass->tuple.saddr))
		return NOT_TURNED;
	/* the quoted packet went from the frontend to the workload */
	turn_back_key(&pass->inner, true, &turning->key);
	turning->key.pad = 0;
	turn = bpf_map_lookup_elem(&service_turns, &turning->key);
	if (!turn)
		return NOT_TURNED;
	address_copy(turning->to.addr, turn->destination);
	turning->to.port = turn->destination_port;
	address_copy(turning->as.addr, turn->source);
	turning->as.port = turn->source_port;
	to_itself = !address_equal(turning->as.addr, pass->tuple.saddr);
	count(COUNTER_SERVICE_SENT);
	if (rewrite_quoted(skb, pass, &turning->to, REWRITE_SOURCE) ||
		((to_itself || turning->as.port != pass->inner.dport) &&
			rewrite_quoted(skb, pass, &turning->as, REWRITE_DESTINATION)) ||
		rewrite(skb, pass, &turning->to, REWRITE_DESTINATION) ||
		(to_itself && rewrite(skb, pass, &turning->as, REWRITE_SOURCE)) || read_checksum_again(skb, pass))
		return refuse_for(pass, workload, DROP_WRITE_ERROR);
	address_copy(pass->tuple.daddr, turning->to.addr);
	if (to_itself)
		pass->turned = TURNED_TO_ITSELF;
	return TURNED;
}

/* A ping of an address that is for services alone. Returns a TC action or NOT_TURNED. */
INLINE int turn_ping(struct __sk_buff *skb, struct pass *pass, struct turning *turning)
{
	if (!is_echo_request(&pass->tuple) || pass->fragment != FRAGMENT_NONE)
		return NOT_TURNED;
	__builtin_memset(&turning->asked, 0, sizeof(turning->asked));
	address_copy(turning->asked.addr, pass->tuple.daddr);
	return bpf_map_lookup_elem(&services, &turning->asked) ? answer_ping(skb) : NOT_TURNED;
}

/* Returns a TC action; TURNED: the packet is its backend's now; NOT_TURNED: it is for whom it says. */
VERIFIED_ONCE int turn_asked(struct __sk_buff *skb, struct workload *workload)
{
	struct turning *turning = this_turning();
	struct pass *pass = this_pass();
	struct service_turn *turn;

	if (!turning || !pass || !workload)
		return TC_ACT_SHOT;
	turning->ifindex = workload->ifindex;
	if (is_loopback_of_services(pass->tuple.daddr, pass->tuple.family))
		return answer_itself(skb, workload);
	if (is_icmp_error(&pass->tuple))
		return turn_error(skb, workload);
	if (is_icmp(&pass->tuple))
		return turn_ping(skb, pass, turning);
	turn_there_key(&pass->tuple, &turning->key);
	turn = bpf_map_lookup_elem(&service_turns, &turning->key);
	if (!turn)
		return begin_turn(skb, workload);
	if (!is_turn_over(pass, turning, turn))
		return use_turn(skb, workload);
	turn_ends(turn);
	bpf_map_delete_elem(&service_turns, &turning->key);
	return begin_turn(skb, workload);
}

/* To the workload that has sent it, and has been turned to itself. Returns a TC action. */
INLINE int send_to_itself(struct __sk_buff *skb, struct pass *pass, struct workload *workload)
{
	if (pass->ttl <= 1)
		return refuse_for(pass, workload, DROP_TTL_EXCEEDED);
	count(COUNTER_PACKETS_IN);
	return hand_over(skb, pass, workload);
}

#endif
