/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What a workload sends, at the host's end of its veth: checked, and then on the way that its connection takes. */
#ifndef WEIR_SEND_H
#define WEIR_SEND_H

#include "answer.h"
#include "guard.h"
#include "leave.h"
#include "source.h"
#include "track.h"
#include "turned.h"

INLINE struct pass *begin(__u32 counter)
{
	struct pass *pass = this_pass();

	count(counter);
	if (pass)
		ask_nothing(pass);
	return pass;
}

/* Not one of the TC actions: the packet has been checked, and is to be tracked. */
#define CHECKED (-2)

/* Begins a packet that a workload sends. Returns a TC action or CHECKED. */
INLINE int begin_sent(struct __sk_buff *skb, struct pass *pass, struct workload *workload)
{
	int reason;

	pass->towards = 0;
	pass->gateway = 0;
	pass->tunnel_identity = 0;
	pass->from_host = 0;
	pass->came_by = 0;
	pass->encrypted = 0;
	reason = parse(skb, pass);
	if (!workload || !(workload->flags & WORKLOAD_READY))
		return refuse_for(pass, workload, DROP_EP_NOT_READY);
	if (!reason)
		reason = check_sent(skb, pass, workload);
	if (reason)
		return refuse_for(pass, workload, reason);
	if (pass->kind != PACKET_FLOW)
		return TC_ACT_OK;
	if (pass->fragment == FRAGMENT_FIRST)
		record_fragment(pass);
	return CHECKED;
}

/* A packet that a workload has sent, at the workload that receives it, if that is one of this host. */
INLINE int deliver_locally(struct __sk_buff *skb, struct pass *pass)
{
	__u32 ifindex = pass->target;
	struct workload *target = bpf_map_lookup_elem(&workloads, &ifindex);

	count(COUNTER_PACKETS_IN);
	pass->towards = 1;
	pass->asking = ASKING_NOT;
	pass->turned = TURNED_NOT;
	if (!target || !(target->flags & WORKLOAD_READY))
		return refuse_for(pass, target, DROP_EP_NOT_READY);
	if (track(skb, target))
		return answer_sender(skb);
	if (give_answer(skb, pass, target))
		return TC_ACT_SHOT;
	return hand_over(skb, pass, target);
}

/*
 * A packet that a workload sends to the stack: it may be for the host itself. Of connections that were opened to the workload
 * the host has no entry: what answers them was asked for. Returns a TC action.
 */
INLINE int send_to_stack(struct __sk_buff *skb, struct pass *pass, struct workload *workload)
{
	if (!(workload->flags & WORKLOAD_GUARD_HOST) || pass->verdict.ingress || pass->related)
		return TC_ACT_OK;
	return guard_entering(skb);
}

/* What track() has let pass. Returns a TC action. */
INLINE int send_on(struct __sk_buff *skb, struct pass *pass, struct workload *workload)
{
	if (pass->gateway)
		return send_to_gateway(skb, pass, workload);
	if (!pass->target)
		return pass->peer_host ? send_by_tunnel(skb, pass, workload) : send_to_stack(skb, pass, workload);
	if (needs_router(skb, pass))
		return TC_ACT_OK;
	return deliver_locally(skb, pass);
}

/* An answer that a program has made in the workload's place: as the workload's own would go, but asked of nobody. Returns a TC action. */
INLINE int send_answer(struct __sk_buff *skb, struct pass *pass, struct workload *workload)
{
	struct peer peer;

	pass->towards = 0;
	pass->gateway = 0;
	pass->from_host = 0;
	if (parse(skb, pass) || !workload || pass->kind != PACKET_FLOW)
		return TC_ACT_SHOT;
	__builtin_memset(&pass->verdict, 0, sizeof(pass->verdict));
	pass->verdict.ingress = 1;
	find_target(pass);
	find_peer(pass->tuple.daddr, pass->tuple.family, false, true, &peer);
	pass->peer_host = peer.host;
	pass->encrypted = leaves_encrypted(pass);
	return send_on(skb, pass, workload);
}

#endif
