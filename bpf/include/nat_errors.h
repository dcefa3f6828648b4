/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ICMP errors through mappings (RFC 5508 4.2): the packet that an error quotes is
 * one that went through the mapping the other way, so both are translated (rewrite_quoted.h).
 */
#ifndef WEIR_NAT_ERRORS_H
#define WEIR_NAT_ERRORS_H

#include "rewrite_quoted.h"
#include "translate_errors.h"

/* An error from the world, about a packet that went out through a mapping. */
VERIFIED_ONCE int unmasquerade_error(struct __sk_buff *skb)
{
	struct pass *pass = this_pass();
	struct nat_out_value to = {};
	struct nat_in_value *in;
	struct nat_key key;

	if (!pass || pass->fragment != FRAGMENT_NONE || !parse_quoted(skb, pass))
		return 0;
	if (!address_equal(pass->inner.saddr, pass->tuple.daddr) || is_other_icmp(&pass->inner))
		return 0;
	nat_key_of(&pass->inner, true, &key);
	in = bpf_map_lookup_elem(&nat_in, &key);
	if (!nat_is_alive(in, pass->now_ns))
		return 0;
	address_copy(to.addr, in->addr);
	to.port = in->port;
	count(COUNTER_NAT_IN);
	if (is_behind_nat64(&key, to.addr))
		return translate_error_to_ipv6(skb, &to);
	if (rewrite_quoted(skb, pass, &to, REWRITE_SOURCE) || rewrite(skb, pass, &to, REWRITE_DESTINATION))
		return DROP_WRITE_ERROR;
	note_destination(pass, to.addr);
	return 0;
}

/* Of a workload's packet: nobody masquerades it here. */
INLINE bool keeps_source(const struct pass *pass, const struct uplink *uplink)
{
	return address_zero(masquerade_address(uplink, pass->tuple.family)) || is_unmasqueraded(pass->tuple.daddr);
}

/*
 * An error about a packet that came through a mapping: a workload's, or the host's own
 * because it could not hand the packet on (too long for the last link). Returns a drop reason or 0.
 */
VERIFIED_ONCE int masquerade_error(struct __sk_buff *skb, const struct uplink *uplink)
{
	struct pass *pass = this_pass();
	struct nat_out_value to = {}, *out;
	struct ct_key ct_key = {};
	struct nat_key key;
	bool is_workload;

	if (!pass || !uplink)
		return 0;
	is_workload = pass->gateway || find_local(pass->tuple.saddr);
	if (!pass->gateway && (is_workload ? keeps_source(pass, uplink) : !pass->from_host))
		return 0;
	if (pass->fragment != FRAGMENT_NONE || !parse_quoted(skb, pass))
		return is_workload ? DROP_NAT_NO_MAPPING : 0;
	nat_key_of(&pass->inner, false, &key);
	out = bpf_map_lookup_elem(&nat_out, &key);
	if (!out) {
		if (!is_workload)
			return 0;
		connection_key(&pass->inner, true, &ct_key);
		return pass->answer || is_opened_from_outside(&ct_key, pass->now_ns) ? 0 : DROP_NAT_NO_MAPPING;
	}
	to = *out;
	count(COUNTER_NAT_OUT);
	if (rewrite_quoted(skb, pass, &to, REWRITE_DESTINATION))
		return DROP_WRITE_ERROR;
	return is_workload && rewrite(skb, pass, &to, REWRITE_SOURCE) ? DROP_WRITE_ERROR : 0;
}

#endif
