/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Packets of clients outside that ask for a frontend, where they enter by an uplink. A mapping (nat.h) is made for the
 * first one, and is what a connection stays with: tables may change under it, but not its backend, unless that is gone.
 *
 *   here       the backend's address becomes the destination, the host's stack does the rest; what the backend answers
 *              gets the frontend's address as source where it leaves
 *   elsewhere  the host becomes the client: the source is its own address too, with a port of the masquerade's. Such a
 *              packet is nothing for the stack, which would take its own address for forged; it leaves by a redirect,
 *              to a neighbour or into the tunnel, and so does the answer
 *
 * Two connections of one client port to one backend, by different frontends, are told apart by another port for the later
 * one: here as source of what the backend gets, elsewhere as the host's. SCTP keeps its ports (167).
 *
 * A mapping of nat_in that says NAT_BOTH has its other half in service_nat, and a twin for the other direction, whose
 * time moves with its own.
 */
#ifndef WEIR_SERVICE_PACKET_H
#define WEIR_SERVICE_PACKET_H

#include "dsr_option.h"
#include "masquerade.h"
#include "service_mapping.h"

/* Nobody serves what was asked for. Returns a TC action. */
INLINE int nobody_serves(struct __sk_buff *skb, struct pass *pass, __u32 flags, __u32 frontend)
{
	refuse_for(pass, NULL, DROP_NO_BACKEND);
	count_unserved(frontend);
	return flags & SERVICE_NO_BACKEND_DROP ? TC_ACT_SHOT : tell_unreachable(skb, pass);
}

/* The backend answers by itself. Others of the same frontend are sent on to with the host's address. */
INLINE bool answers_itself(const struct choice *choice)
{
	return (choice->flags & SERVICE_DSR) && takes_off(&choice->to);
}

/* It came inside another packet for serving->choice. Returns a TC action. */
VERIFIED_ONCE int begin_taken(struct __sk_buff *skb)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	int reason;

	if (!serving || !pass)
		return TC_ACT_SHOT;
	__builtin_memset(&serving->half, 0, sizeof(serving->half));
	serving->half.backend = serving->choice.backend;
	serving->half.frontend = serving->choice.frontend;
	serving->half.service = serving->choice.service;
	reason = begin_here(WEIR_SERVICE_PORT_TRIES);
	return reason ? refuse_for(pass, NULL, reason) : use_mapping(skb);
}

/* A packet of no connection that is known. Returns a TC action, or NOT_SERVED. */
VERIFIED_ONCE int begin_serving(struct __sk_buff *skb, const struct uplink *uplink)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	struct choice *choice;
	int result, reason;

	if (!serving || !pass || !uplink)
		return TC_ACT_SHOT;
	result = choose_for_packet();
	if (result == CHOICE_NO_SERVICE)
		return NOT_SERVED;
	choice = &serving->choice;
	if (!(choice->flags & SERVICE_ROUTABLE))
		return refuse_for(pass, NULL, DROP_IS_CLUSTER_IP);
	if (is_client_refused(pass, choice)) {
		count_denied(choice->frontend);
		return refuse_for(pass, NULL, DROP_NOT_IN_SOURCE_RANGE);
	}
	if (result == CHOICE_NO_BACKEND)
		return nobody_serves(skb, pass, choice->flags, choice->frontend);
	if (answers_itself(choice)) {
		if (serving->remembered_in)
			remember_backend(&pass->tuple, serving->remembered_in, choice->backend, pass->now_ns);
		return choice->flags & SERVICE_DSR_IPIP ? send_inside(skb, serving->hash) : send_with_option(skb);
	}
	if (pass->tuple.protocol == PROTOCOL_SCTP && choice->to.port != pass->tuple.dport)
		return refuse_for(pass, NULL, DROP_NAT_UNSUPPORTED_PROTO);
	__builtin_memset(&serving->half, 0, sizeof(serving->half));
	serving->half.backend = choice->backend;
	serving->half.frontend = choice->frontend;
	serving->half.service = choice->service;
	reason = choice->to.flags & BACKEND_LOCAL ? begin_here(WEIR_SERVICE_PORT_TRIES) : begin_elsewhere(skb, uplink);
	return reason ? refuse_for(pass, NULL, reason) : use_mapping(skb);
}

/* A balancer may have moved a connection that begins anew to another backend of this host. */
INLINE bool is_mapped_to(const struct nat_in_value *in, const struct backend *backend)
{
	return !(in->flags & NAT_BOTH) && in->port == backend->port && address_equal(in->addr, backend->addr);
}

/*
 * Is the mapping not to be used any more? Looked at when a connection begins, and then as often as its time moves: its
 * backend may be gone, and then another one is chosen. TCP hears from that one that there is no such connection.
 */
VERIFIED_ONCE int is_spent(void)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	const struct service_nat *half;
	struct nat_in_value *in;
	__u32 number;

	if (!serving || !pass)
		return 0;
	in = bpf_map_lookup_elem(&nat_in, &serving->key);
	if (!in || (in->flags & NAT_ANSWER))
		return 0;
	if (is_first_syn(pass)) {
		if (is_closed(in->flags))
			return 1;
	} else if (pass->now_ns + idle_limit(serving->key.protocol, in->flags) < in->expires_ns + NS_PER_SECOND) {
		return 0;
	}
	half = bpf_map_lookup_elem(&service_nat, &serving->key);
	if (!half)
		return 1;
	number = half->backend;
	if (bpf_map_lookup_elem(&backends, &number))
		return 0;
	count(COUNTER_SERVICE_STALE);
	return 1;
}

/*
 * It came with an option that says what the client has asked for: serving->asked and serving->choice. Its destination is the
 * backend already; the mapping is for what that answers. Returns a TC action.
 */
VERIFIED_ONCE int begin_marked(void)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	struct nat_in_value *in;
	int reason;

	if (!serving || !pass)
		return TC_ACT_SHOT;
	nat_key_of(&pass->tuple, false, &serving->key);
	address_copy(serving->key.local, serving->asked.addr);
	serving->key.local_port = serving->asked.port;
	if (pass->fragment == FRAGMENT_FIRST)
		record_fragment(pass);
	count(COUNTER_SERVICE_IN);
	in = bpf_map_lookup_elem(&nat_in, &serving->key);
	if (nat_is_alive(in, pass->now_ns) && (in->flags & NAT_SERVICE) && is_mapped_to(in, &serving->choice.to) &&
		!in->remote_port && !(is_first_syn(pass) && is_closed(in->flags))) {
		nat_other_side(&serving->key, in->addr, in->port, &serving->other);
		if (bpf_map_lookup_elem(&nat_out, &serving->other)) {
			nat_follow(pass, in, false);
			return TC_ACT_OK;
		}
	}
	if (in)
		end_mapping();
	__builtin_memset(&serving->half, 0, sizeof(serving->half));
	serving->half.backend = serving->choice.backend;
	serving->half.frontend = serving->choice.frontend;
	serving->half.service = serving->choice.service;
	/* what follows a SYN says nothing of the frontend, so it can't be given another port */
	reason = begin_here(1);
	return reason ? refuse_for(pass, NULL, reason) : TC_ACT_OK;
}

/* A connection to a backend's own address that the client ends: answers of it may be translated. */
VERIFIED_ONCE int follow_end(void)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	const struct nat_out_value *out;
	struct nat_in_value *in;

	if (!serving || !pass)
		return 0;
	nat_key_of(&pass->tuple, false, &serving->key);
	out = bpf_map_lookup_elem(&nat_out, &serving->key);
	if (!out || !out->frontend)
		return 0;
	nat_outside(&serving->key, out, &serving->other);
	in = bpf_map_lookup_elem(&nat_in, &serving->other);
	if (nat_is_alive(in, pass->now_ns) && nat_is_of(in, &serving->key))
		nat_follow(pass, in, false);
	return 0;
}

/* A ping of an address that is for services alone. */
INLINE int serve_ping(struct __sk_buff *skb, struct pass *pass, struct serving *serving)
{
	const struct service *service;

	if (!is_echo_request(&pass->tuple) || pass->fragment != FRAGMENT_NONE)
		return NOT_SERVED;
	__builtin_memset(&serving->asked, 0, sizeof(serving->asked));
	address_copy(serving->asked.addr, pass->tuple.daddr);
	service = bpf_map_lookup_elem(&services, &serving->asked);
	if (!service || !(service->flags & SERVICE_ROUTABLE))
		return NOT_SERVED;
	return answer_ping(skb);
}

/* A packet that enters, other than an ICMP error. Returns a TC action, or NOT_SERVED. */
VERIFIED_ONCE int serve(struct __sk_buff *skb, const struct uplink *uplink)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	struct nat_in_value *in;

	if (!serving || !pass || !uplink)
		return TC_ACT_SHOT;
	if (is_icmp(&pass->tuple))
		return serve_ping(skb, pass, serving);
	if (serving->marked)
		return begin_marked();
	if (find_local(pass->tuple.daddr)) {
		if (pass->tcp_flags & (TCP_FIN | TCP_RST))
			follow_end();
		return NOT_SERVED;
	}
	nat_key_of(&pass->tuple, false, &serving->key);
	in = bpf_map_lookup_elem(&nat_in, &serving->key);
	if (nat_is_alive(in, pass->now_ns)) {
		if (!(in->flags & NAT_SERVICE))
			return NOT_SERVED;
		if (!is_spent() && (!serving->taken || is_mapped_to(in, &serving->choice.to)))
			return use_mapping(skb);
	}
	if (in)
		end_mapping();
	return serving->taken ? begin_taken(skb) : begin_serving(skb, uplink);
}

/* A packet that leaves, other than an ICMP error: the answer of a backend of this host? Returns a TC action, or NOT_SERVED. */
VERIFIED_ONCE int serve_answer(struct __sk_buff *skb)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	const struct nat_out_value *out;
	struct nat_in_value *in;

	if (!serving || !pass || is_icmp(&pass->tuple))
		return NOT_SERVED;
	nat_key_of(&pass->tuple, true, &serving->key);
	out = bpf_map_lookup_elem(&nat_out, &serving->key);
	if (!out || !out->frontend)
		return NOT_SERVED;
	serving->as = *out;
	nat_outside(&serving->key, &serving->as, &serving->other);
	in = bpf_map_lookup_elem(&nat_in, &serving->other);
	if (!nat_is_alive(in, pass->now_ns) || !nat_is_of(in, &serving->key))
		return NOT_SERVED;
	nat_follow(pass, in, true);
	count(COUNTER_SERVICE_OUT);
	if (pass->fragment == FRAGMENT_FIRST)
		record_fragment(pass);
	if (rewrite(skb, pass, &serving->as, REWRITE_SOURCE))
		return refuse_for(pass, NULL, DROP_WRITE_ERROR);
	if (serving->as.remote_port) {
		address_copy(serving->to.addr, pass->tuple.daddr);
		serving->to.port = serving->as.remote_port;
		if (rewrite(skb, pass, &serving->to, REWRITE_DESTINATION))
			return refuse_for(pass, NULL, DROP_WRITE_ERROR);
	}
	return TC_ACT_OK;
}

#endif
