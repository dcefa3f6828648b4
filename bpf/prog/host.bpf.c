/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Both directions of an uplink of a host that serves nobody outside: see uplink.h. */
#include "base.h"

#include "uplink.h"

SEC("tc")
int to_uplink(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;
	struct uplink *uplink = bpf_map_lookup_elem(&uplinks, &ifindex);
	struct pass *pass;
	int action;

	if (!uplink)
		return TC_ACT_OK;
	action = begin_uplink(skb, uplink, false);
	pass = this_pass();
	if (action != GO_ON || !pass)
		return action;
	return leave_uplink(skb, uplink, pass);
}

SEC("tc")
int from_uplink(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;
	struct uplink *uplink = bpf_map_lookup_elem(&uplinks, &ifindex);
	struct pass *pass;
	int action;

	if (!uplink)
		return TC_ACT_OK;
	action = begin_uplink(skb, uplink, true);
	pass = this_pass();
	if (action != GO_ON || !pass)
		return action;
	return guard_entered(skb, uplink, enter_uplink(skb, uplink, pass));
}

/* Run by the agent every second or so (BPF_PROG_RUN). */
SEC("syscall")
int nat_sweep(struct nat_sweep_ctx *ctx)
{
	struct nat_sweep sweep = {};

	sweep_mappings(ctx, &sweep);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
