/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Both directions of an uplink of a host that serves clients outside (service_packet.h), and what its tunnel gives out
 * for such a client. A program of its own, so that hosts that serve nobody pay nothing for it; the agent changes one for
 * the other in place.
 */
#include "base.h"

#include "least_packets.h"
#include "service_errors.h"
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
	action = is_icmp_error(&pass->tuple) ? serve_error_out(skb) : serve_answer(skb);
	return action == NOT_SERVED ? leave_uplink(skb, uplink, pass) : action;
}

/*
 * The packet in this_pass() is for nobody who serves. At an address that is for services alone there is nobody else: the
 * stack has no such address either, and would send it on to whoever sends it back. Others are left to it. Returns a TC action.
 */
VERIFIED_ONCE int refuse_at_frontend(__u32 reason)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	const struct service *service;

	if (!serving || !pass || !pass->tuple.family)
		return TC_ACT_OK;
	__builtin_memset(&serving->asked, 0, sizeof(serving->asked));
	address_copy(serving->asked.addr, pass->tuple.daddr);
	service = bpf_map_lookup_elem(&services, &serving->asked);
	return service && (service->flags & SERVICE_WILDCARD) ? refuse_for(pass, NULL, reason) : TC_ACT_OK;
}

/* A packet that begin_uplink() has left to the stack: what is not understood, but not what keeps the link running. */
VERIFIED_ONCE int refuse_unknown(struct __sk_buff *skb)
{
	int reason = vlan_id(skb) ? 0 : parse(skb, this_pass());

	return reason ? refuse_at_frontend(reason) : TC_ACT_OK;
}

/* A packet for a service that has its backend's address now, and goes on to the stack: the backend may be the host's own. */
VERIFIED_ONCE int guard_served(struct __sk_buff *skb)
{
	struct pass *pass = this_pass();

	if (!pass || parse(skb, pass))
		return TC_ACT_OK;
	return guard_entering(skb);
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
	if (uplink->flags & UPLINK_SERVICES) {
		action = take_off(skb);
		if (action != NOT_SERVED)
			return action;
	}
	action = begin_uplink(skb, uplink, true);
	pass = this_pass();
	if (!pass)
		return TC_ACT_SHOT;
	if (action != GO_ON)
		return action == TC_ACT_OK && (uplink->flags & UPLINK_SERVICES) ? refuse_unknown(skb) : action;
	if (!(uplink->flags & UPLINK_SERVICES))
		return guard_entered(skb, uplink, enter_uplink(skb, uplink, pass));
	action = is_icmp_error(&pass->tuple) ? serve_error(skb) : serve(skb, uplink);
	if (action != NOT_SERVED)
		return action == TC_ACT_OK && (uplink->flags & UPLINK_GUARD_HOST) ? guard_served(skb) : action;
	action = enter_uplink(skb, uplink, pass);
	if (action == TC_ACT_OK && !pass->unmasqueraded)
		action = refuse_at_frontend(DROP_NAT_NO_MAPPING);
	return guard_entered(skb, uplink, action);
}

/* What has come out of the tunnel for the host, after from_overlay: an answer to a connection that was sent on? */
SEC("tc")
int from_tunnel(struct __sk_buff *skb)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	struct nat_in_value *in;
	int action;

	if (!pass || !serving)
		return TC_ACT_SHOT;
	pass->towards = 1;
	pass->came_by = skb->ifindex;
	pass->from_host = 0;
	pass->tunnel_identity = 0;
	if (parse(skb, pass) || pass->kind != PACKET_FLOW)
		return TC_ACT_UNSPEC;
	if (is_icmp_error(&pass->tuple)) {
		action = serve_error(skb);
		return action == NOT_SERVED ? TC_ACT_UNSPEC : action;
	}
	nat_key_of(&pass->tuple, false, &serving->key);
	in = bpf_map_lookup_elem(&nat_in, &serving->key);
	if (!nat_is_alive(in, pass->now_ns) || !(in->flags & NAT_ANSWER))
		return TC_ACT_UNSPEC;
	action = use_mapping(skb);
	return action == NOT_SERVED ? TC_ACT_UNSPEC : action;
}

static long sweep_half(struct bpf_map *map, struct nat_key *place, struct service_nat *half, struct nat_sweep *sweep)
{
	struct nat_key key = *place;

	if (bpf_map_lookup_elem(&nat_in, &key))
		return 0;
	if (half_goes(&key))
		sweep->orphans++;
	return 0;
}

/* Run by the agent every second or so (BPF_PROG_RUN). */
SEC("syscall")
int nat_sweep(struct nat_sweep_ctx *ctx)
{
	struct nat_sweep sweep = {};

	sweep_mappings(ctx, &sweep);
	if (ctx->flags & NAT_SWEEP_ORPHANS) {
		ctx->failed |= bpf_for_each_map_elem(&service_nat, sweep_half, &sweep, 0) < 0;
		ctx->orphans = sweep.orphans;
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
