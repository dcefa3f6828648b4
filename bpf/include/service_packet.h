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
 * A mapping of nat_in that says NAT_BOTH has its other half in service_nat, and a twin for the other direction, whose
 * time moves with its own.
 */
#ifndef WEIR_SERVICE_PACKET_H
#define WEIR_SERVICE_PACKET_H

#include "masquerade.h"
#include "dsr.h"
#include "service_way.h"

/* Moves the time of a mapping, and of its twin when there is something to move. */
INLINE void follow_service(const struct pass *pass, struct serving *serving, struct nat_in_value *in, bool reply)
{
	__u64 expires = in->expires_ns;
	__u32 flags = in->flags;
	struct nat_in_value *twin;

	nat_follow(pass, in, reply);
	if (!(flags & NAT_BOTH) || (in->expires_ns == expires && in->flags == flags))
		return;
	address_copy(serving->other.local, serving->as.addr);
	address_copy(serving->other.remote, serving->to.addr);
	serving->other.local_port = serving->as.port;
	serving->other.remote_port = serving->to.port;
	serving->other.protocol = serving->key.protocol;
	serving->other.family = serving->key.family;
	serving->other.pad = 0;
	twin = bpf_map_lookup_elem(&nat_in, &serving->other);
	if (twin && twin->expires_ns)
		nat_follow(pass, twin, reply);
}

/* Way out of a packet whose mapping says NAT_BOTH: sets serving->as and serving->host. False: its other half is gone. */
INLINE bool read_half(struct serving *serving, const struct nat_in_value *in)
{
	const struct service_nat *half = bpf_map_lookup_elem(&service_nat, &serving->key);
	const struct backend *backend;
	__u32 number;

	if (!half)
		return false;
	address_copy(serving->as.addr, half->addr);
	serving->as.port = half->port;
	serving->host = 0;
	if (in->flags & NAT_ANSWER)
		return true;
	number = half->backend;
	backend = bpf_map_lookup_elem(&backends, &number);
	serving->host = backend ? backend->host : 0;
	return true;
}

/* Sends the packet on by its mapping, that of serving->key. Returns a TC action, or NOT_SERVED: there is none. */
VERIFIED_ONCE int use_mapping(struct __sk_buff *skb)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	struct nat_in_value *in;
	int action, reason;

	if (!serving || !pass)
		return TC_ACT_SHOT;
	in = bpf_map_lookup_elem(&nat_in, &serving->key);
	if (!nat_is_alive(in, pass->now_ns) || !(in->flags & NAT_SERVICE))
		return NOT_SERVED;
	address_copy(serving->to.addr, in->addr);
	serving->to.port = in->port;
	if (in->flags & NAT_BOTH) {
		if (!read_half(serving, in))
			return refuse_for(pass, NULL, DROP_NAT_NO_MAPPING);
		action = find_way(skb);
		if (action != NOT_SERVED)
			return action;
	}
	follow_service(pass, serving, in, in->flags & NAT_ANSWER);
	count(in->flags & NAT_ANSWER ? COUNTER_SERVICE_OUT : COUNTER_SERVICE_IN);
	if (pass->fragment == FRAGMENT_FIRST)
		record_fragment(pass);
	if (!(in->flags & NAT_BOTH)) {
		if (rewrite(skb, pass, &serving->to, REWRITE_DESTINATION))
			return refuse_for(pass, NULL, DROP_WRITE_ERROR);
		return TC_ACT_OK;
	}
	reason = take_hop(skb, pass);
	if (!reason && (rewrite(skb, pass, &serving->to, REWRITE_DESTINATION) ||
			       rewrite(skb, pass, &serving->as, REWRITE_SOURCE)))
		reason = DROP_WRITE_ERROR;
	return reason ? refuse_for(pass, NULL, reason) : go_elsewhere(skb);
}

/* The client speaks to the backend through another frontend, from the same port: the backend could not tell them apart. */
INLINE bool is_taken(const struct pass *pass, struct serving *serving, const __u8 *frontend, __be16 port)
{
	struct nat_in_value *in;

	if (port == serving->key.local_port && address_equal(frontend, serving->key.local))
		return false;
	nat_other_side(&serving->key, frontend, port, &serving->want.key);
	in = bpf_map_lookup_elem(&nat_in, &serving->want.key);
	return nat_is_alive(in, pass->now_ns) && !is_closed(in->flags);
}

/* Both halves are there before anybody finds them. Whoever was faster with the same connection has made it. */
INLINE void make_mapping(const struct pass *pass, struct serving *serving, __u32 flags)
{
	struct nat_in_value *fresh = &serving->fresh;

	__builtin_memset(fresh, 0, sizeof(*fresh));
	address_copy(fresh->addr, serving->choice.to.addr);
	fresh->port = serving->choice.to.port;
	fresh->flags = flags;
	fresh->created_ns = pass->now_ns;
	fresh->expires_ns = pass->now_ns + idle_limit(serving->key.protocol, 0);
	bpf_map_update_elem(&service_nat, &serving->key, &serving->half, BPF_ANY);
	if (!bpf_map_update_elem(&nat_in, &serving->key, fresh, BPF_NOEXIST))
		count(COUNTER_SERVICE_CONNECTIONS);
}

/* To a backend of this host. Returns a drop reason or 0. */
VERIFIED_ONCE int begin_here(void)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	const struct nat_out_value *had;

	if (!serving || !pass)
		return DROP_NAT_NO_MAPPING;
	nat_other_side(&serving->key, serving->choice.to.addr, serving->choice.to.port, &serving->other);
	had = bpf_map_lookup_elem(&nat_out, &serving->other);
	if (had && had->frontend && is_taken(pass, serving, had->addr, had->port)) {
		count(COUNTER_NAT_FAILED);
		return DROP_NAT_NO_MAPPING;
	}
	address_copy(serving->to.addr, serving->key.local);
	serving->to.port = serving->key.local_port;
	serving->to.frontend = serving->choice.frontend;
	bpf_map_update_elem(&nat_out, &serving->other, &serving->to, BPF_ANY);
	make_mapping(pass, serving, NAT_SERVICE);
	return 0;
}

/* To a backend elsewhere, with an address and a port of the host. Returns a drop reason or 0. */
VERIFIED_ONCE int begin_elsewhere(struct __sk_buff *skb, const struct uplink *uplink)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	const struct service_nat *had;
	struct nat_in_value *twin;
	const __u8 *own;
	int reason;

	if (!serving || !pass || !uplink)
		return DROP_NAT_NO_MAPPING;
	own = pass->tuple.family == 4 ? uplink->service_ip4 : uplink->service_ip6;
	if (address_zero(own))
		return DROP_NAT_NO_MAPPING;
	address_copy(serving->want.key.local, pass->tuple.saddr);
	address_copy(serving->want.key.remote, serving->choice.to.addr);
	serving->want.key.local_port = pass->tuple.sport;
	serving->want.key.remote_port = serving->choice.to.port;
	serving->want.key.protocol = pass->tuple.protocol;
	serving->want.key.family = pass->tuple.family;
	serving->want.key.pad = 0;
	address_copy(serving->want.to.addr, own);
	serving->want.to.port = pass->tuple.sport;
	serving->want.to.pad = 0;
	serving->want.to.frontend = 0;
	serving->want.now_ns = pass->now_ns;
	serving->want.from_host = 0;
	reason = nat_allocate(skb, &serving->want, bpf_ntohs(uplink->port_low), bpf_ntohs(uplink->port_high));
	if (reason)
		return reason;
	nat_other_side(&serving->want.key, serving->want.to.addr, serving->want.to.port, &serving->other);
	serving->half.port = serving->want.to.port;
	had = bpf_map_lookup_elem(&service_nat, &serving->other);
	twin = bpf_map_lookup_elem(&nat_in, &serving->other);
	if (!twin)
		return DROP_NAT_NO_MAPPING;
	if (had && (twin->flags & NAT_ANSWER) && is_taken(pass, serving, had->addr, had->port)) {
		count(COUNTER_NAT_FAILED);
		return DROP_NAT_NO_MAPPING;
	}
	__sync_fetch_and_or(&twin->flags, NAT_SERVICE | NAT_BOTH | NAT_ANSWER);
	serving->half.backend = serving->choice.backend;
	serving->half.frontend = serving->choice.frontend;
	serving->half.service = serving->choice.service;
	address_copy(serving->half.addr, serving->key.local);
	serving->half.port = serving->key.local_port;
	bpf_map_update_elem(&service_nat, &serving->other, &serving->half, BPF_ANY);
	address_copy(serving->half.addr, serving->other.local);
	serving->half.port = serving->other.local_port;
	make_mapping(pass, serving, NAT_SERVICE | NAT_BOTH);
	return 0;
}

/* Nobody serves what was asked for. Returns a TC action. */
INLINE int nobody_serves(struct __sk_buff *skb, struct pass *pass, __u32 flags)
{
	refuse_for(pass, NULL, DROP_NO_BACKEND);
	return flags & SERVICE_NO_BACKEND_DROP ? TC_ACT_SHOT : tell_unreachable(skb, pass);
}

/* Only of Maglev's frontends, of which no host has to remember anything. */
INLINE bool is_sent_inside(const struct choice *choice)
{
	return (choice->flags & SERVICE_DSR) && (choice->flags & SERVICE_DSR_IPIP) && takes_off(&choice->to);
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
	reason = begin_here();
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
	if (is_client_refused(pass, choice))
		return refuse_for(pass, NULL, DROP_NOT_IN_SOURCE_RANGE);
	if (result == CHOICE_NO_BACKEND)
		return nobody_serves(skb, pass, choice->flags);
	if (is_sent_inside(choice))
		return send_inside(skb, serving->hash);
	if (pass->tuple.protocol == PROTOCOL_SCTP && choice->to.port != pass->tuple.dport)
		return refuse_for(pass, NULL, DROP_NAT_UNSUPPORTED_PROTO);
	__builtin_memset(&serving->half, 0, sizeof(serving->half));
	serving->half.backend = choice->backend;
	serving->half.frontend = choice->frontend;
	serving->half.service = choice->service;
	reason = choice->to.flags & BACKEND_LOCAL ? begin_here() : begin_elsewhere(skb, uplink);
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
	if (find_local(pass->tuple.daddr))
		return NOT_SERVED;
	nat_key_of(&pass->tuple, false, &serving->key);
	in = bpf_map_lookup_elem(&nat_in, &serving->key);
	if (nat_is_alive(in, pass->now_ns)) {
		if (!(in->flags & NAT_SERVICE))
			return NOT_SERVED;
		if (!is_spent() && (!serving->taken || is_mapped_to(in, &serving->choice.to)))
			return use_mapping(skb);
	}
	if (in)
		nat_end(&serving->key, in);
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
	nat_other_side(&serving->key, serving->as.addr, serving->as.port, &serving->other);
	in = bpf_map_lookup_elem(&nat_in, &serving->other);
	if (!nat_is_alive(in, pass->now_ns) || !nat_is_of(in, &serving->key))
		return NOT_SERVED;
	nat_follow(pass, in, true);
	count(COUNTER_SERVICE_OUT);
	if (pass->fragment == FRAGMENT_FIRST)
		record_fragment(pass);
	if (rewrite(skb, pass, &serving->as, REWRITE_SOURCE))
		return refuse_for(pass, NULL, DROP_WRITE_ERROR);
	return TC_ACT_OK;
}

#endif
