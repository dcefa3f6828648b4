/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Both directions of a workload's veth, at its end in the host: what a workload
 * sends enters here (ingress of the interface) and what it receives leaves here
 * (egress). The host side, because a workload cannot detach what it cannot see, and
 * tc rather than XDP, because both directions and GSO packets pass tc.
 */
#define TELL_BACK bpf_redirect_peer
#include "base.h"

#include "answer.h"
#include "send.h"
#include "sweep.h"

SEC("tc")
int from_workload(struct __sk_buff *skb)
{
	struct pass *pass = begin(COUNTER_PACKETS_OUT);
	__u32 ifindex = skb->ifindex;
	struct workload *workload = bpf_map_lookup_elem(&workloads, &ifindex);
	int action;

	if (!pass)
		return TC_ACT_SHOT;
	if (skb->mark == MARK_ANSWER)
		return send_answer(skb, pass, workload);
	action = begin_sent(skb, pass, workload);
	if (action != CHECKED || !workload)
		return action;
	return track(skb, workload) ? answer_sender(skb) : send_on(skb, pass, workload);
}

SEC("tc")
int to_workload(struct __sk_buff *skb)
{
	struct pass *pass = begin(COUNTER_PACKETS_IN);
	__u32 ifindex = skb->ifindex;
	struct workload *workload = bpf_map_lookup_elem(&workloads, &ifindex);
	int reason;

	if (!pass)
		return TC_ACT_SHOT;
	pass->towards = 1;
	pass->gateway = 0;
	pass->tunnel_identity = 0;
	pass->came_by = skb->ingress_ifindex;
	pass->from_host = !pass->came_by;
	pass->encrypted = pass->came_by && skb->mark == MARK_DECRYPTED;
	reason = parse(skb, pass);
	if (!workload || !(workload->flags & WORKLOAD_READY))
		return refuse_for(pass, workload, DROP_EP_NOT_READY);
	if (!reason)
		reason = check_received(pass);
	if (reason)
		return refuse_for(pass, workload, reason);
	if (pass->kind != PACKET_FLOW)
		return TC_ACT_OK;
	if (pass->fragment == FRAGMENT_FIRST)
		record_fragment(pass);
	if (track(skb, workload))
		return answer_peer(skb, workload);
	return give_answer(skb, pass, workload) ? TC_ACT_SHOT : TC_ACT_OK;
}

/* Run by the agent every second or so (BPF_PROG_RUN). */
SEC("syscall")
int ct_sweep(struct sweep_ctx *ctx)
{
	struct sweep sweep = {.now_ns = ctx->now_ns, .flags = ctx->flags, .ifindex = ctx->ifindex};

	if (!sweep.now_ns)
		sweep.now_ns = bpf_ktime_get_ns();
	ctx->failed = bpf_for_each_map_elem(&conntrack, sweep_entry, &sweep, 0) < 0;
	ctx->entries = sweep.entries;
	ctx->reported = sweep.reported;
	ctx->expired = sweep.expired;
	ctx->deferred = sweep.deferred;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
