/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ICMP errors about packets of frontends' connections (nat_errors.h says how they are translated). What an error quotes
 * went through the mapping the other way, so its mapping is that of who receives the error.
 */
#ifndef WEIR_SERVICE_ERRORS_H
#define WEIR_SERVICE_ERRORS_H

#include "nat_errors.h"
#include "service_packet.h"

/*
 * About what a backend that answers by itself has sent: to that backend, whichever way its packets go, since it is reached
 * natively and its address stands in them. Returns a TC action, or NOT_SERVED.
 */
VERIFIED_ONCE int serve_error_past(struct __sk_buff *skb)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	const struct service *service;
	struct maglev_place place;
	struct tuple tuple = {};
	int action, reason;

	if (!serving || !pass)
		return NOT_SERVED;
	address_copy(tuple.saddr, pass->inner.daddr);
	address_copy(tuple.daddr, pass->inner.saddr);
	tuple.sport = pass->inner.dport;
	tuple.dport = pass->inner.sport;
	tuple.protocol = pass->inner.protocol;
	tuple.family = pass->inner.family;
	__builtin_memset(&serving->asked, 0, sizeof(serving->asked));
	address_copy(serving->asked.addr, tuple.daddr);
	serving->asked.port = tuple.dport;
	serving->asked.protocol = tuple.protocol;
	service = find_service(&serving->asked, false);
	if (!service || !(service->flags & SERVICE_DSR))
		return NOT_SERVED;
	serving->choice.frontend = service->frontend;
	serving->choice.backend = service->maglev ? balanced_backend(service, &tuple, 0, true, &place)
	                                          : remembered_backend(service, &tuple, silence_of(&tuple, 0),
							    pass->now_ns, &serving->hash);
	if (!serving->choice.backend || !read_backend(&serving->choice) || !takes_off(&serving->choice.to))
		return NOT_SERVED;
	address_copy(serving->as.addr, pass->tuple.saddr);
	address_copy(serving->to.addr, serving->choice.to.addr);
	serving->to.port = serving->choice.to.port;
	serving->host = 0;
	action = find_way(skb);
	if (action != NOT_SERVED)
		return action;
	count(COUNTER_SERVICE_TOO_BIG);
	reason = take_hop(skb, pass);
	if (!reason && (rewrite_quoted(skb, pass, &serving->to, REWRITE_SOURCE) ||
			       rewrite(skb, pass, &serving->to, REWRITE_DESTINATION)))
		reason = DROP_WRITE_ERROR;
	return reason ? refuse_for(pass, NULL, reason) : go_elsewhere(skb);
}

/* One that enters: about what a frontend has sent to a client, or this host to a backend. Returns a TC action, or NOT_SERVED. */
VERIFIED_ONCE int serve_error(struct __sk_buff *skb)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	struct nat_in_value *in;
	int action, reason = 0;
	bool both;

	if (!serving || !pass || pass->fragment != FRAGMENT_NONE || !parse_quoted(skb, pass))
		return NOT_SERVED;
	if (is_icmp(&pass->inner) || !address_equal(pass->inner.saddr, pass->tuple.daddr))
		return NOT_SERVED;
	nat_key_of(&pass->inner, true, &serving->key);
	in = bpf_map_lookup_elem(&nat_in, &serving->key);
	if (!nat_is_alive(in, pass->now_ns) || !(in->flags & NAT_SERVICE))
		return serve_error_past(skb);
	both = in->flags & NAT_BOTH;
	address_copy(serving->to.addr, in->addr);
	serving->to.port = in->port;
	if (both) {
		if (!read_half(serving, in, bpf_map_lookup_elem(&service_nat, &serving->key)))
			return NOT_SERVED;
		action = find_way(skb);
		if (action != NOT_SERVED)
			return action;
		reason = take_hop(skb, pass);
	}
	count(COUNTER_SERVICE_IN);
	if (!reason && (rewrite_quoted(skb, pass, &serving->to, REWRITE_SOURCE) ||
			       rewrite(skb, pass, &serving->to, REWRITE_DESTINATION)))
		reason = DROP_WRITE_ERROR;
	if (!reason && !both && in->remote_port) {
		address_copy(serving->as.addr, pass->inner.daddr);
		serving->as.port = in->remote_port;
		if (rewrite_quoted(skb, pass, &serving->as, REWRITE_DESTINATION))
			reason = DROP_WRITE_ERROR;
	}
	if (!reason && both &&
		(rewrite_quoted(skb, pass, &serving->as, REWRITE_DESTINATION) ||
			rewrite(skb, pass, &serving->as, REWRITE_SOURCE)))
		reason = DROP_WRITE_ERROR;
	if (reason)
		return refuse_for(pass, NULL, reason);
	return both ? go_elsewhere(skb) : TC_ACT_OK;
}

/* One that leaves: a backend's of this host, or the host's, about what a client has sent. Returns a TC action, or NOT_SERVED. */
VERIFIED_ONCE int serve_error_out(struct __sk_buff *skb)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	const struct nat_out_value *out;

	if (!serving || !pass || pass->fragment != FRAGMENT_NONE || !parse_quoted(skb, pass))
		return NOT_SERVED;
	if (is_icmp(&pass->inner))
		return NOT_SERVED;
	nat_key_of(&pass->inner, false, &serving->key);
	out = bpf_map_lookup_elem(&nat_out, &serving->key);
	if (!out || !out->frontend)
		return NOT_SERVED;
	serving->as = *out;
	address_copy(serving->to.addr, pass->inner.saddr);
	serving->to.port = serving->as.remote_port;
	count(COUNTER_SERVICE_OUT);
	if (rewrite_quoted(skb, pass, &serving->as, REWRITE_DESTINATION) ||
		(serving->to.port && rewrite_quoted(skb, pass, &serving->to, REWRITE_SOURCE)))
		return refuse_for(pass, NULL, DROP_WRITE_ERROR);
	if (address_equal(pass->tuple.saddr, pass->inner.daddr) && rewrite(skb, pass, &serving->as, REWRITE_SOURCE))
		return refuse_for(pass, NULL, DROP_WRITE_ERROR);
	return TC_ACT_OK;
}

#endif
