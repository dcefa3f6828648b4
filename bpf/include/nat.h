/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Masquerade: mappings between who is behind an address of the host and what the
 * world sees. A mapping is for one remote address and port (RFC 4787: address and
 * port-dependent), so every port serves as many connections as there are remotes.
 *
 * The entry of `nat_in` is the claim to a port: it is made with BPF_NOEXIST, has the
 * timers of conntrack, and dies as conntrack's entries do (conntrack.h: life).
 * `nat_out` only finds it; either half is made again when the LRU took it.
 */
#ifndef WEIR_NAT_H
#define WEIR_NAT_H

#include "conntrack.h"
#include "fragments.h"
#include "local.h"
#include "rewrite.h"
#include "uplink_maps.h"

#define NAT_SWEEP_GRACE_NS NS_PER_SECOND

/* What a program has to do when a mapping has ended. */
#ifndef NAT_ENDED
#define NAT_ENDED(key)
#endif

/* `outgoing`: the packet leaves, its source is local. */
INLINE void nat_key_of(const struct tuple *tuple, bool outgoing, struct nat_key *key)
{
	if (outgoing) {
		address_copy(key->local, tuple->saddr);
		address_copy(key->remote, tuple->daddr);
	} else {
		address_copy(key->local, tuple->daddr);
		address_copy(key->remote, tuple->saddr);
	}
	key->local_port = outgoing || is_icmp(tuple) ? tuple->sport : tuple->dport;
	key->remote_port = outgoing ? tuple->dport : tuple->sport;
	if (is_icmp(tuple))
		key->remote_port = 0;
	key->protocol = tuple->protocol;
	key->family = tuple->family;
	key->pad = 0;
}

/* The same connection from the other side of the mapping. */
INLINE void nat_other_side(const struct nat_key *key, const __u8 *addr, __be16 port, struct nat_key *other)
{
	address_copy(other->local, addr);
	address_copy(other->remote, key->remote);
	other->local_port = port;
	other->remote_port = key->remote_port;
	other->protocol = key->protocol;
	other->family = key->family;
	other->pad = 0;
}

/* The key of `nat_out`. */
INLINE void nat_inside(const struct nat_key *key, const struct nat_in_value *in, struct nat_key *inside)
{
	nat_other_side(key, in->addr, in->port, inside);
	if (in->remote_port)
		inside->remote_port = in->remote_port;
}

/* The key of `nat_in`. */
INLINE void nat_outside(const struct nat_key *key, const struct nat_out_value *out, struct nat_key *outside)
{
	nat_other_side(key, out->addr, out->port, outside);
	if (out->remote_port)
		outside->remote_port = out->remote_port;
}

INLINE bool nat_is_alive(const struct nat_in_value *in, __u64 now)
{
	return in && in->expires_ns > now;
}

INLINE bool nat_is_of(const struct nat_in_value *in, const struct nat_key *key)
{
	return in->port == key->local_port && address_equal(in->addr, key->local);
}

/* A packet has used the mapping. */
INLINE void nat_follow(const struct pass *pass, struct nat_in_value *in, bool reply)
{
	__u32 before = in->flags, state = before;
	__u64 until, expires;

	if (pass->tcp_flags) {
		if (!reply && is_first_syn(pass) && is_closed(before)) {
			in->flags = state = before = before & NAT_KINDS; /* the same ports, another connection */
			in->expires_ns = pass->now_ns + tcp_handshake_ns;
		}
		state |= tcp_state(pass->tcp_flags, reply);
		if ((before & CT_REPLIED) && !(pass->tcp_flags & (TCP_SYN | TCP_RST)))
			state |= CT_ESTABLISHED;
	}
	if (reply)
		state |= CT_REPLIED;
	if (state != before)
		__sync_fetch_and_or(&in->flags, state);
	until = pass->now_ns + idle_limit(pass->tuple.protocol, state);
	expires = in->expires_ns;
	if (until < expires || until - expires > NS_PER_SECOND)
		in->expires_ns = until;
}

/*
 * The mapping that a packet goes out by, when there is one with this address: its time moves on. Sets to->port in
 * any case that knows one, so that half a mapping is made whole with the same port.
 */
INLINE bool nat_find(const struct pass *pass, const struct nat_key *key, const __u8 *address, struct nat_out_value *to)
{
	struct nat_out_value *out = bpf_map_lookup_elem(&nat_out, key);
	struct nat_in_value *in;
	struct nat_key in_key;

	if (!out || !address_equal(out->addr, address))
		return false;
	*to = *out;
	nat_other_side(key, out->addr, out->port, &in_key);
	in = bpf_map_lookup_elem(&nat_in, &in_key);
	if (!nat_is_alive(in, pass->now_ns) || !nat_is_of(in, key))
		return false;
	nat_follow(pass, in, false);
	return true;
}

/* Does a socket of the host itself receive what would come to this port? */
VERIFIED_ONCE int nat_port_has_socket(struct __sk_buff *skb, const struct nat_key *key)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *socket;
	__u32 size;

	if (!key || (key->protocol != PROTOCOL_TCP && key->protocol != PROTOCOL_UDP))
		return 0;
	if (key->family == 4) {
		tuple.ipv4.saddr = address_words(key->remote)[3];
		tuple.ipv4.daddr = address_words(key->local)[3];
		tuple.ipv4.sport = key->remote_port;
		tuple.ipv4.dport = key->local_port;
		size = sizeof(tuple.ipv4);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, key->remote, 16);
		__builtin_memcpy(tuple.ipv6.daddr, key->local, 16);
		tuple.ipv6.sport = key->remote_port;
		tuple.ipv6.dport = key->local_port;
		size = sizeof(tuple.ipv6);
	}
	if (key->protocol == PROTOCOL_TCP) {
		if (size == sizeof(tuple.ipv4))
			socket = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
		else
			socket = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	} else {
		if (size == sizeof(tuple.ipv4))
			socket = bpf_sk_lookup_udp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
		else
			socket = bpf_sk_lookup_udp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	}
	if (!socket)
		return 0;
	bpf_sk_release(socket);
	return 1;
}

/* Ends a mapping that nobody may use any more. Returns false when somebody else did, or has begun it anew. */
INLINE bool nat_end(const struct nat_key *in_key, struct nat_in_value *in)
{
	__u64 expires = in->expires_ns;
	struct nat_out_value *out;
	struct nat_key out_key;

	if (expires && __sync_val_compare_and_swap(&in->expires_ns, expires, 0) != expires)
		return false;
	nat_inside(in_key, in, &out_key);
	out = bpf_map_lookup_elem(&nat_out, &out_key);
	if (out && out->port == in_key->local_port && address_equal(out->addr, in_key->local))
		bpf_map_delete_elem(&nat_out, &out_key);
	/* before anybody can begin it anew */
	NAT_ENDED(in_key);
	if (bpf_map_delete_elem(&nat_in, in_key))
		return false;
	count_atomic(COUNTER_NAT_EXPIRED);
	return true;
}

/* What is wanted, where nat_try() can find it: see this_pass(). */
struct nat_want {
	struct nat_key key; /* from behind the mapping */
	struct nat_out_value to; /* the port is that being tried */
	__u64 now_ns;
	__u8 from_host;
	__u8 tcp_flags;
	__u8 pad[6];
};

/* Tries one port. 0: the mapping exists now. */
VERIFIED_ONCE int nat_try(struct __sk_buff *skb, const struct nat_want *want)
{
	struct nat_in_value fresh = {}, *in;
	struct nat_key key, out_key;
	struct nat_out_value to;

	if (!want)
		return -1;
	out_key = want->key;
	to = want->to;
	nat_other_side(&out_key, to.addr, to.port, &key);
	in = bpf_map_lookup_elem(&nat_in, &key);
	if (nat_is_alive(in, want->now_ns)) {
		if (!nat_is_of(in, &out_key))
			return -1;
		return bpf_map_update_elem(&nat_out, &out_key, &to, BPF_ANY);
	}
	if (in && !nat_end(&key, in))
		return -1;
	if (!want->from_host && nat_port_has_socket(skb, &key))
		return -1;
	address_copy(fresh.addr, out_key.local);
	fresh.port = out_key.local_port;
	fresh.created_ns = want->now_ns;
	fresh.expires_ns = want->now_ns + idle_limit(key.protocol, 0);
	if (bpf_map_update_elem(&nat_in, &key, &fresh, BPF_NOEXIST))
		return -1;
	count(COUNTER_NAT_CREATED);
	return bpf_map_update_elem(&nat_out, &out_key, &to, BPF_ANY);
}

INLINE void nat_count_retries(__u32 retries)
{
	__u64 *value = bpf_map_lookup_elem(&nat_retries, &retries);
	__u32 counter = COUNTER_NAT_RETRIES;

	if (value)
		*value += 1;
	if (!retries)
		return;
	value = bpf_map_lookup_elem(&counters, &counter);
	if (value)
		*value += retries;
}

/* Where the search for a port begins: the same for the same connection, so that CPUs that race find the same. */
INLINE __u32 nat_hash(const struct nat_key *key)
{
	const __u32 *local = address_words(key->local), *remote = address_words(key->remote);
	__u32 hash = 0x9e3779b1;

	hash = (hash ^ local[3]) * 0x85ebca6b;
	hash = (hash ^ local[2] ^ local[1]) * 0xc2b2ae35;
	hash = (hash ^ remote[3] ^ (hash >> 15)) * 0x27d4eb2f;
	hash = (hash ^ ((__u32)key->local_port << 16 | key->remote_port)) * 0x165667b1;
	return hash ^ (hash >> 13);
}

/* Finds a port for want->key, the wanted one first. Returns a drop reason or 0, with the port in want. */
VERIFIED_ONCE int nat_allocate(struct __sk_buff *skb, struct nat_want *want, __u32 low, __u32 high)
{
	__u32 range, port, hash, step, tries;

	if (!want || high < low)
		return DROP_NAT_NO_MAPPING;
	port = bpf_ntohs(want->to.port);
	range = high - low + 1;
	hash = nat_hash(&want->key);
	step = (hash >> 16) | 1;
	for (tries = 0; tries < WEIR_NAT_TRIES; tries++) {
		if (tries || port < low || port > high)
			port = low + (hash + tries * step) % range;
		if (want->key.protocol ==
			PROTOCOL_SCTP) /* its checksum would have to be computed anew: addresses only */
			port = bpf_ntohs(want->key.local_port);
		want->to.port = bpf_htons(port);
		if (!nat_try(skb, want)) {
			nat_count_retries(tries);
			return 0;
		}
		if (want->key.protocol == PROTOCOL_SCTP)
			break;
	}
	nat_count_retries(WEIR_NAT_TRIES);
	count(COUNTER_NAT_FAILED);
	return DROP_NAT_NO_MAPPING;
}

#endif
