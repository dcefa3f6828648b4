/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The way out of the device to which NAT64's prefix is routed. The host's stack forwards
 * a workload's packet here as to any other link, so hop limits, packets that are too big
 * and the errors about them are its work; nothing ever leaves the device as it came:
 *
 *   IPv6 to the prefix               becomes IPv4 and leaves by the uplink, or straight to a workload of this host
 *   IPv4 to the hairpin's address    becomes IPv6 and enters the host again, out of this device
 *
 * Answers from the world are translated where they enter, by host.bpf.c, and go the same way in.
 */
#include "base.h"

#include "nat64.h"

SEC("tc")
int to_nat64(struct __sk_buff *skb)
{
	const struct nat64 *nat64 = find_nat64();
	struct pass *pass = this_pass();
	struct uplink *uplink;
	__u32 ifindex;
	int reason;
	bool on_link;

	if (!pass || !nat64)
		return TC_ACT_SHOT;
	pass->towards = 0;
	pass->gateway = 0;
	pass->unmasqueraded = 0;
	pass->tunnel_identity = 0;
	pass->came_by = skb->ingress_ifindex;
	pass->from_host = !pass->came_by;
	reason = parse(skb, pass);
	if (reason)
		return refuse_masquerade(pass, reason);
	if (pass->kind != PACKET_FLOW)
		return TC_ACT_SHOT; /* nobody is on this link */
	if (pass->tuple.family == 4) {
		reason = nat64_into(skb, pass, nat64);
		return reason ? refuse_masquerade(pass, reason) : bpf_redirect(pass->target, BPF_F_INGRESS);
	}
	if (!has_prefix64(nat64, pass->tuple.daddr))
		return refuse_masquerade(pass, DROP_NAT_NO_MAPPING);
	ifindex = nat64->uplink;
	uplink = bpf_map_lookup_elem(&uplinks, &ifindex);
	if (!uplink)
		return refuse_masquerade(pass, DROP_NAT_NO_MAPPING);
	reason = is_icmp_error(&pass->tuple) ? nat64_error_out_of(skb) : nat64_out_of(skb, uplink);
	if (reason)
		return refuse_masquerade(pass, reason);
	on_link = pass->target != ifindex;
	return send_ipv4(skb, pass->target, on_link ? 0 : address_words(uplink->nat64_ip4)[3],
		address_words(pass->inner.daddr)[3], on_link);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
