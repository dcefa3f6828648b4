/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Both directions of an uplink: what leaves the host passes to_uplink after routing,
 * what enters passes from_uplink before it, so a workload's packet is masqueraded
 * after its own policy has seen it with its own address, and an answer has the
 * workload's address again before anybody judges it.
 *
 * Packets that are not understood here belong to somebody else: they pass untouched,
 * unless they are told to be encrypted and are not (strict.h).
 *
 * host.bpf.c is this and no more; frontend.bpf.c serves clients of services before it.
 */
#ifndef WEIR_UPLINK_H
#define WEIR_UPLINK_H

#include "guard.h"
#include "leave.h"
#include "nat_errors.h"
#include "nat_sweep.h"
#include "strict.h"
#include "vlan.h"

#define GO_ON (-2)

/*
 * A TC action, or GO_ON: in the packet, now in this_pass(), is something to translate. Not inline: the masquerade, which the
 * same programs call, needs all the stack that 6.1 gives.
 */
VERIFIED_ONCE int begin_uplink(struct __sk_buff *skb, const struct uplink *uplink, __u32 towards)
{
	struct pass *pass = this_pass();
	__u32 id = vlan_id(skb);
	bool guarded;
	int reason;

	if (!pass || !uplink)
		return TC_ACT_OK;
	pass->towards = towards;
	pass->came_by = skb->ingress_ifindex;
	pass->from_host = !pass->came_by;
	pass->encrypted = 0;
	if ((uplink->flags & UPLINK_STRICT_ANY) && !may_be_plain(skb, uplink))
		return refuse_plain();
	if (id) {
		if (may_pass_vlan(uplink, id))
			return TC_ACT_OK;
		count_drop(DROP_VLAN_FILTERED, towards ? DIRECTION_INGRESS : DIRECTION_EGRESS, 1, skb->len);
		return TC_ACT_SHOT;
	}
	guarded = uplink->flags & UPLINK_GUARD_HOST;
	if (!(uplink->flags & (UPLINK_EGRESS | UPLINK_SERVICES | UPLINK_GUARD_HOST)) && address_zero(uplink->ip4) &&
		address_zero(uplink->ip6) && address_zero(uplink->nat64_ip4))
		return TC_ACT_OK;
	pass->gateway = 0;
	pass->tunnel_identity = 0;
	pass->unmasqueraded = 0;
	reason = parse(skb, pass);
	if (reason)
		return guarded ? guard_unread(skb, reason) : TC_ACT_OK;
	if (pass->kind != PACKET_FLOW)
		return TC_ACT_OK;
	pass->answer = !towards && skb->mark == MARK_ANSWER;
	if (guarded) {
		/* before a service or a mapping gives it another address; what comes in is looked at after that */
		if (!towards && guard_leaving(skb) != TC_ACT_OK)
			return TC_ACT_SHOT;
		return GO_ON;
	}
	if (uplink->flags & (UPLINK_EGRESS | UPLINK_SERVICES))
		return GO_ON;
	if (towards && pass->tuple.family == 4 && !address_zero(uplink->nat64_ip4))
		return GO_ON;
	return address_zero(masquerade_address(uplink, pass->tuple.family)) ? TC_ACT_OK : GO_ON;
}

/*
 * Of a packet that somebody selected for a gateway: is it on the gateway's own way out? Everything else that is
 * selected stays, except what answers connections that the world opened. Returns a drop reason or 0.
 */
VERIFIED_ONCE int check_way_out(struct pass *pass, __u32 ifindex)
{
	const struct egress_gateway *gateway;
	struct ct_key key = {};
	int reason;

	if (!pass || pass->from_host || pass->answer)
		return 0;
	reason = find_own_gateway(pass);
	if (!reason && !pass->gateway)
		return 0;
	gateway = pass->gateway ? find_gateway(pass->gateway) : NULL;
	if (gateway && gateway->ifindex == ifindex)
		return 0;
	pass->gateway = 0;
	connection_key(&pass->tuple, false, &key);
	if (is_opened_from_outside(&key, pass->now_ns))
		return 0;
	return reason ? reason : DROP_NO_EGRESS_GATEWAY;
}

/* A packet that leaves and has been begun. Returns a TC action. */
INLINE int leave_uplink(struct __sk_buff *skb, const struct uplink *uplink, struct pass *pass)
{
	int reason = uplink->flags & UPLINK_EGRESS ? check_way_out(pass, skb->ifindex) : 0;

	if (!reason)
		reason = is_icmp_error(&pass->tuple) ? masquerade_error(skb, uplink) : masquerade(skb, uplink);
	return reason ? refuse_masquerade(pass, reason) : TC_ACT_OK;
}

/* A packet that enters and has been begun. Returns a TC action. */
INLINE int enter_uplink(struct __sk_buff *skb, const struct uplink *uplink, struct pass *pass)
{
	int reason;

	if (!(uplink->flags & UPLINK_EGRESS) && !address_equal(pass->tuple.daddr, uplink->nat64_ip4) &&
		!address_equal(pass->tuple.daddr, masquerade_address(uplink, pass->tuple.family)))
		return TC_ACT_OK;
	reason = is_icmp_error(&pass->tuple) ? unmasquerade_error(skb) : unmasquerade(skb);
	if (reason)
		return refuse_for(pass, NULL, reason);
	if (pass->target) /* IPv6 now */
		return bpf_redirect(pass->target, BPF_F_INGRESS);
	return pass->unmasqueraded ? give_back(skb) : TC_ACT_OK;
}

/* What enter_uplink() and the like have left to the stack. Returns a TC action. */
INLINE int guard_entered(struct __sk_buff *skb, const struct uplink *uplink, int action)
{
	return action == TC_ACT_OK && (uplink->flags & UPLINK_GUARD_HOST) ? guard_entering(skb) : action;
}

INLINE void sweep_mappings(struct nat_sweep_ctx *ctx, struct nat_sweep *sweep)
{
	sweep->now_ns = ctx->now_ns;
	if (!sweep->now_ns)
		sweep->now_ns = bpf_ktime_get_ns();
	ctx->failed = bpf_for_each_map_elem(&nat_in, nat_sweep_in, sweep, 0) < 0;
	if (ctx->flags & NAT_SWEEP_ORPHANS)
		ctx->failed |= bpf_for_each_map_elem(&nat_out, nat_sweep_out, sweep, 0) < 0;
	ctx->entries = sweep->entries;
	ctx->expired = sweep->expired;
	ctx->orphans = sweep->orphans;
}

#endif
