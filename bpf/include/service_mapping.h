/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Mappings of clients outside to a backend, here or elsewhere: how they begin, are used, and end (service_packet.h). */
#ifndef WEIR_SERVICE_MAPPING_H
#define WEIR_SERVICE_MAPPING_H

#include "masquerade.h"
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
INLINE bool read_half(struct serving *serving, const struct nat_in_value *in, const struct service_nat *half)
{
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
	const struct service_nat *half;
	struct nat_in_value *in;
	int action, reason;

	if (!serving || !pass)
		return TC_ACT_SHOT;
	in = bpf_map_lookup_elem(&nat_in, &serving->key);
	if (!nat_is_alive(in, pass->now_ns) || !(in->flags & NAT_SERVICE))
		return NOT_SERVED;
	address_copy(serving->to.addr, in->addr);
	serving->to.port = in->port;
	half = bpf_map_lookup_elem(&service_nat, &serving->key);
	if (in->flags & NAT_BOTH) {
		if (!read_half(serving, in, half))
			return refuse_for(pass, NULL, DROP_NAT_NO_MAPPING);
		action = find_way(skb);
		if (action != NOT_SERVED)
			return action;
	}
	follow_service(pass, serving, in, in->flags & NAT_ANSWER);
	count(in->flags & NAT_ANSWER ? COUNTER_SERVICE_OUT : COUNTER_SERVICE_IN);
	if (half && !(in->flags & NAT_ANSWER))
		count_packets(half->frontend, half->backend, pass->packets, pass->bytes);
	if (pass->fragment == FRAGMENT_FIRST)
		record_fragment(pass);
	if (!(in->flags & NAT_BOTH)) {
		address_copy(serving->as.addr, pass->tuple.saddr);
		serving->as.port = in->remote_port;
		if (rewrite(skb, pass, &serving->to, REWRITE_DESTINATION) ||
			(serving->as.port && rewrite(skb, pass, &serving->as, REWRITE_SOURCE)))
			return refuse_for(pass, NULL, DROP_WRITE_ERROR);
		return TC_ACT_OK;
	}
	reason = take_hop(skb, pass);
	if (!reason && (rewrite(skb, pass, &serving->to, REWRITE_DESTINATION) ||
			       rewrite(skb, pass, &serving->as, REWRITE_SOURCE)))
		reason = DROP_WRITE_ERROR;
	return reason ? refuse_for(pass, NULL, reason) : go_elsewhere(skb);
}

/*
 * The client speaks to the backend through another frontend or from another port, and the backend would see the same: it
 * could not tell them apart. `remote_port`: the client's.
 */
INLINE bool is_taken(struct serving *serving, const __u8 *frontend, __be16 port, __be16 remote_port, __u64 now)
{
	struct nat_in_value *in;

	if (port == serving->key.local_port && remote_port == serving->key.remote_port &&
		address_equal(frontend, serving->key.local))
		return false;
	nat_other_side(&serving->key, frontend, port, &serving->want.key);
	serving->want.key.remote_port = remote_port;
	in = bpf_map_lookup_elem(&nat_in, &serving->want.key);
	return nat_is_alive(in, now) && !is_closed(in->flags);
}

/* A port for when that of before was taken: the same for the same connection, so that CPUs that race find the same. */
INLINE __u32 other_port(const struct serving *serving, __u32 tries, __u32 low, __u32 range)
{
	__u32 hash = nat_hash(&serving->key);

	return low + (hash + tries * ((hash >> 16) | 1)) % range;
}

/* Both halves are there before anybody finds them. Whoever was faster with the same connection has made it. */
VERIFIED_ONCE int make_mapping(__u32 flags)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	struct nat_in_value *fresh;

	if (!serving || !pass)
		return 0;
	fresh = &serving->fresh;
	__builtin_memset(fresh, 0, sizeof(*fresh));
	address_copy(fresh->addr, serving->choice.to.addr);
	fresh->port = serving->choice.to.port;
	if (serving->seen_port != serving->key.remote_port)
		fresh->remote_port = serving->seen_port;
	fresh->flags = flags;
	fresh->created_ns = pass->now_ns;
	fresh->expires_ns = pass->now_ns + idle_limit(serving->key.protocol, 0);
	serving->half.flags = serving->choice.flags & SERVICE_LEAST ? HALF_COUNTED : 0;
	bpf_map_update_elem(&service_nat, &serving->key, &serving->half, BPF_ANY);
	if (bpf_map_update_elem(&nat_in, &serving->key, fresh, BPF_NOEXIST))
		return 0;
	count(COUNTER_SERVICE_CONNECTIONS);
	count_connection(serving->half.frontend, serving->half.backend);
	if (serving->half.flags & HALF_COUNTED)
		load_begins(serving->half.backend);
	return 0;
}

/* Does the backend of this host see serving->seen_port of the client for something else? */
VERIFIED_ONCE int is_seen(void)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	const struct nat_out_value *had;

	if (!serving || !pass)
		return 1;
	nat_other_side(&serving->key, serving->choice.to.addr, serving->choice.to.port, &serving->other);
	serving->other.remote_port = serving->seen_port;
	had = bpf_map_lookup_elem(&nat_out, &serving->other);
	return had && had->frontend &&
	       is_taken(serving, had->addr, had->port, had->remote_port ? had->remote_port : serving->seen_port,
		       pass->now_ns);
}

/* Sets serving->seen_port and serving->other. Returns a drop reason or 0. */
INLINE int find_seen_port(struct serving *serving, __u32 tries)
{
	serving->seen_port = serving->key.remote_port;
	if (serving->key.protocol == PROTOCOL_SCTP)
		tries = 1;
	for (__u32 i = 0; i < WEIR_SERVICE_PORT_TRIES && i < tries; i++) {
		if (i)
			serving->seen_port = bpf_htons(other_port(serving, i, 0x8000, 0x8000));
		if (!is_seen())
			return 0;
	}
	count(COUNTER_NAT_FAILED);
	return DROP_NAT_NO_MAPPING;
}

/* To a backend of this host, which may see one of so many ports of the client. Returns a drop reason or 0. */
VERIFIED_ONCE int begin_here(__u32 ports)
{
	struct serving *serving = this_serving();
	int reason;

	if (!serving)
		return DROP_NAT_NO_MAPPING;
	reason = find_seen_port(serving, ports);
	if (reason)
		return reason;
	address_copy(serving->to.addr, serving->key.local);
	serving->to.port = serving->key.local_port;
	serving->to.remote_port = serving->seen_port == serving->key.remote_port ? 0 : serving->key.remote_port;
	serving->to.frontend = serving->choice.frontend;
	bpf_map_update_elem(&nat_out, &serving->other, &serving->to, BPF_ANY);
	make_mapping(NAT_SERVICE);
	return 0;
}

/* What the host is to be to the backend: serving->want, but the port. Returns whether it has an address. */
INLINE bool want_elsewhere(const struct pass *pass, struct serving *serving, const struct uplink *uplink)
{
	const __u8 *own = pass->tuple.family == 4 ? uplink->service_ip4 : uplink->service_ip6;

	if (address_zero(own))
		return false;
	address_copy(serving->want.key.local, pass->tuple.saddr);
	address_copy(serving->want.key.remote, serving->choice.to.addr);
	serving->want.key.local_port = pass->tuple.sport;
	serving->want.key.remote_port = serving->choice.to.port;
	serving->want.key.protocol = pass->tuple.protocol;
	serving->want.key.family = pass->tuple.family;
	serving->want.key.pad = 0;
	address_copy(serving->want.to.addr, own);
	serving->want.to.remote_port = 0;
	serving->want.to.frontend = 0;
	serving->want.now_ns = pass->now_ns;
	serving->want.from_host = 0;
	return true;
}

#define PORT_IS_TAKEN (-1)

/* One port of the host, serving->want.to.port or another. Returns a drop reason, PORT_IS_TAKEN or 0. */
VERIFIED_ONCE int claim_elsewhere(struct __sk_buff *skb, const struct uplink *uplink, __u32 tries)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	const struct service_nat *had;
	struct nat_in_value *twin;
	__u32 low, high;
	int reason;

	if (!serving || !pass || !uplink || !want_elsewhere(pass, serving, uplink))
		return DROP_NAT_NO_MAPPING;
	low = bpf_ntohs(uplink->port_low);
	high = bpf_ntohs(uplink->port_high);
	serving->want.to.port =
		tries && high > low ? bpf_htons(other_port(serving, tries, low, high - low + 1)) : pass->tuple.sport;
	reason = nat_allocate(skb, &serving->want, low, high);
	if (reason)
		return reason;
	nat_other_side(&serving->want.key, serving->want.to.addr, serving->want.to.port, &serving->other);
	had = bpf_map_lookup_elem(&service_nat, &serving->other);
	twin = bpf_map_lookup_elem(&nat_in, &serving->other);
	if (!twin)
		return DROP_NAT_NO_MAPPING;
	if (had && (twin->flags & NAT_ANSWER) &&
		is_taken(serving, had->addr, had->port, serving->key.remote_port, serving->want.now_ns))
		return PORT_IS_TAKEN;
	__sync_fetch_and_or(&twin->flags, NAT_SERVICE | NAT_BOTH | NAT_ANSWER);
	return 0;
}

/* To a backend elsewhere, with an address and a port of the host. Returns a drop reason or 0. */
VERIFIED_ONCE int begin_elsewhere(struct __sk_buff *skb, const struct uplink *uplink)
{
	struct serving *serving = this_serving();
	int reason = PORT_IS_TAKEN;

	if (!serving || !uplink)
		return DROP_NAT_NO_MAPPING;
	for (__u32 i = 0; i < WEIR_SERVICE_PORT_TRIES && reason == PORT_IS_TAKEN; i++)
		reason = claim_elsewhere(skb, uplink, i);
	if (reason == PORT_IS_TAKEN)
		count(COUNTER_NAT_FAILED);
	if (reason)
		return DROP_NAT_NO_MAPPING;
	serving->half.backend = serving->choice.backend;
	serving->half.frontend = serving->choice.frontend;
	serving->half.service = serving->choice.service;
	address_copy(serving->half.addr, serving->key.local);
	serving->half.port = serving->key.local_port;
	bpf_map_update_elem(&service_nat, &serving->other, &serving->half, BPF_ANY);
	address_copy(serving->half.addr, serving->other.local);
	serving->half.port = serving->other.local_port;
	serving->seen_port = serving->key.remote_port;
	make_mapping(NAT_SERVICE | NAT_BOTH);
	return 0;
}

/* That of serving->key. Apart, because its callers have no stack to spare for it. */
VERIFIED_ONCE int end_mapping(void)
{
	struct serving *serving = this_serving();
	struct nat_in_value *in;

	if (!serving)
		return 0;
	in = bpf_map_lookup_elem(&nat_in, &serving->key);
	return in && nat_end(&serving->key, in);
}

#endif
