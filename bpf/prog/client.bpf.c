/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a workload sends, on a host that has services: workload.bpf.c with those looked for whose packets ask for one (turn.h).
 * A program of its own, so that hosts without services pay nothing; the agent changes one for the other in place.
 */
#define TELL_BACK bpf_redirect_peer
#include "base.h"

/* A packet that was refused is answered as its workload has sent it: turn.h. */
VERIFIED_ONCE int undo_turn(struct __sk_buff *skb);
#define UNDO_TURN undo_turn

#include "turn_asked.h"

SEC("tc")
int from_workload(struct __sk_buff *skb)
{
	struct pass *pass = begin(COUNTER_PACKETS_OUT);
	__u32 ifindex = skb->ifindex;
	struct workload *workload = bpf_map_lookup_elem(&workloads, &ifindex);
	int action, reason;

	if (!pass)
		return TC_ACT_SHOT;
	if (skb->mark == MARK_ANSWER)
		return send_answer(skb, pass, workload);
	action = begin_sent(skb, pass, workload);
	if (action != CHECKED || !workload)
		return action;
	pass->asking = ASKING_MAYBE;
	reason = track(skb, workload);
	if (reason == TRACK_ASKS) {
		action = turn_asked(skb, workload);
		if (action != TURNED && action != NOT_TURNED)
			return action;
		pass->asking = ASKED;
		reason = is_icmp_error(&pass->tuple) && pass->turned ? 0 : track(skb, workload);
	}
	if (reason)
		return answer_sender(skb);
	return pass->turned == TURNED_TO_ITSELF ? send_to_itself(skb, pass, workload) : send_on(skb, pass, workload);
}

/* Run by the agent every few seconds (BPF_PROG_RUN). */
SEC("syscall")
int turn_sweep(struct turn_sweep_ctx *ctx)
{
	struct turn_sweep sweep = {.now_ns = ctx->now_ns};

	if (!sweep.now_ns)
		sweep.now_ns = bpf_ktime_get_ns();
	ctx->failed = bpf_for_each_map_elem(&service_turns, turn_sweep_one, &sweep, 0) < 0;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
