/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Both directions of the tunnel device, of which a host has one: what other hosts sent
 * enters here (ingress), judged and handed over in one pass, and what this host's stack
 * routes into the tunnel leaves here (egress): its own packets to workloads elsewhere,
 * those of its workloads that needed a router (workload.bpf.c sends the rest
 * straight to the device, and they pass here with their key set already), and what
 * its egress gateway has got for workloads elsewhere and is too long for the tunnel.
 */
#include "base.h"

#include "answer.h"
#include "guard.h"
#include "leave.h"
#include "source.h"
#include "track.h"
#include "turned.h"

INLINE struct workload *find_workload(const __u8 *address)
{
	const struct address_value *local = find_local(address);
	__u32 ifindex;

	if (!local)
		return NULL;
	ifindex = local->ifindex;
	return bpf_map_lookup_elem(&workloads, &ifindex);
}

/*
 * The stack looks at what was sent to a MAC of this device only; workloads wrote others. Before it the answers to
 * clients of services are taken out, where there are some (from_tunnel in frontend.bpf.c).
 */
INLINE int to_stack(struct __sk_buff *skb)
{
	if (bpf_skb_change_type(skb, 0 /* PACKET_HOST */))
		return TC_ACT_SHOT;
	return is_serving_outside() ? TC_ACT_UNSPEC : TC_ACT_OK;
}

/*
 * Of what a gateway gives back: the connection knows by which gateway it left (track.h), but of a fragment nothing is
 * known yet. Only hosts of the fleet give back, and only to workloads. Returns a drop reason or 0.
 */
INLINE int check_returned(const struct pass *pass, const struct workload *workload)
{
	if (!workload || !is_from_fleet(pass))
		return DROP_UNKNOWN_SENDER;
	return pass->ttl <= 1 ? DROP_INVALID_PACKET : 0; /* the gateway has answered for what ends here */
}

/* What is for no workload of this host: for the host, or to leave here. Returns a TC action. */
INLINE int pass_on(struct __sk_buff *skb, struct pass *pass)
{
	int reason = check_tunnelled(pass);

	if (!reason)
		reason = find_own_gateway(pass);
	if (reason)
		return refuse_for(pass, NULL, reason);
	if (pass->gateway)
		return leave_here(skb, pass, NULL);
	if (guard_entering(skb) != TC_ACT_OK)
		return TC_ACT_SHOT;
	return to_stack(skb);
}

SEC("tc")
int from_overlay(struct __sk_buff *skb)
{
	struct pass *pass = this_pass();
	struct workload *workload = NULL;
	bool returned;
	int reason;

	if (!pass)
		return TC_ACT_SHOT;
	pass->towards = 1;
	pass->gateway = 0;
	pass->from_host = 0;
	pass->came_by = skb->ifindex;
	pass->encrypted = skb->mark == MARK_DECRYPTED;
	ask_nothing(pass);
	reason = parse(skb, pass);
	if (pass->tuple.family)
		workload = find_workload(pass->tuple.daddr);
	if (!reason && pass->kind != PACKET_FLOW)
		reason = DROP_UNSUPPORTED_L3; /* nothing on this link is asked for */
	if (!reason)
		reason = get_tunnel(skb, pass);
	if (reason)
		return refuse_for(pass, workload, reason);
	pass->target = workload ? workload->ifindex : 0;
	returned = pass->tunnel_identity == IDENTITY_WORLD;
	if (returned) {
		reason = check_returned(pass, workload);
		if (reason)
			return refuse_for(pass, workload, reason);
	}
	if (!workload)
		return pass_on(skb, pass);
	if (!returned && needs_router(skb, pass)) {
		reason = check_tunnelled(pass);
		return reason ? refuse_for(pass, workload, reason) : to_stack(skb);
	}
	count(COUNTER_PACKETS_IN);
	if (!(workload->flags & WORKLOAD_READY))
		return refuse_for(pass, workload, DROP_EP_NOT_READY);
	if (pass->fragment == FRAGMENT_FIRST) {
		reason = returned ? 0 : check_tunnelled(pass);
		if (reason)
			return refuse_for(pass, workload, reason);
		record_fragment(pass);
	}
	if (track(skb, workload))
		return answer_peer(skb, workload);
	if (give_answer(skb, pass, workload))
		return TC_ACT_SHOT;
	count(COUNTER_TUNNELLED);
	return hand_over(skb, pass, workload);
}

/* Who made a packet that the stack sends into the tunnel; 0: somebody for whom this host may not speak. */
INLINE __u32 sender_identity(const struct pass *pass)
{
	const struct workload *workload = find_workload(pass->tuple.saddr);

	if (workload)
		return workload->ifindex == pass->came_by ? workload->identity : 0;
	if (pass->from_host)
		return IDENTITY_REMOTE_NODE;
	return is_from_beyond(pass) ? IDENTITY_WORLD : 0;
}

SEC("tc")
int to_overlay(struct __sk_buff *skb)
{
	struct prefix_key key = {.prefixlen = ADDRESS_BITS};
	const struct ipcache_value *owner;
	const struct tunnel *tunnel;
	struct pass *pass = this_pass();
	__u32 identity;
	int reason;

	if (!pass)
		return TC_ACT_SHOT;
	if (!get_tunnel(skb, pass))
		return TC_ACT_OK;
	pass->towards = 0;
	pass->tunnel_identity = 0;
	pass->encrypted = 0;
	pass->came_by = skb->ingress_ifindex;
	pass->from_host = !pass->came_by;
	reason = parse(skb, pass);
	if (reason)
		return refuse_for(pass, NULL, reason);
	if (pass->kind != PACKET_FLOW)
		return TC_ACT_SHOT; /* the stack announces itself on a link where nobody listens */
	if (pass->fragment == FRAGMENT_FIRST)
		record_fragment(pass);
	identity = sender_identity(pass);
	if (!identity)
		return refuse_for(pass, NULL, DROP_INVALID_SOURCE_IP);
	__builtin_memcpy(key.addr, pass->tuple.daddr, sizeof(key.addr));
	owner = bpf_map_lookup_elem(&ipcache, &key);
	tunnel = owner && owner->host ? find_tunnel(owner->host) : NULL;
	if (!tunnel || !tunnel->ifindex)
		return refuse_for(pass, NULL, DROP_NO_TUNNEL_ENDPOINT);
	if (guard_leaving(skb) != TC_ACT_OK)
		return TC_ACT_SHOT;
	reason = set_tunnel(skb, tunnel, identity);
	return reason ? refuse_for(pass, NULL, reason) : TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
