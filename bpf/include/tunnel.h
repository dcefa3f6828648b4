/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Between hosts by VXLAN. Who sends writes the source's identity into the VNI, and
 * who receives believes it of the host that owns the source's address, and of no
 * other: the outer source must be that host's underlay address.
 *
 * A connection remembers its peer's host, so an established packet costs a look into
 * an array and none into a trie.
 */
#ifndef WEIR_TUNNEL_H
#define WEIR_TUNNEL_H

#include "conntrack.h"
#include "ipv4.h"
#include "ipv6.h"

#define TUNNEL_TTL 64

INLINE const struct tunnel *find_tunnel(__u32 host)
{
	return bpf_map_lookup_elem(&tunnels, &host);
}

/* How packets go to that host; NULL: not by tunnel. */
INLINE const struct tunnel *tunnel_to(__u32 host)
{
	const struct tunnel *tunnel = find_tunnel(host);

	return tunnel && (tunnel->flags & TUNNEL_SEND) ? tunnel : NULL;
}

/* Does what goes to that host go through the WireGuard device? */
INLINE bool goes_encrypted(__u32 host)
{
	const struct tunnel *tunnel = host ? find_tunnel(host) : NULL;

	return tunnel && (tunnel->flags & TUNNEL_ENCRYPTED);
}

/* Of a packet towards a workload whose peer's host is known: it came some other way than it had to. */
INLINE bool must_be_tunnelled(const struct pass *pass)
{
	const struct tunnel *tunnel;

	if (!check_source || pass->tunnel_identity || !pass->came_by)
		return false;
	tunnel = find_tunnel(pass->peer_host);
	return tunnel && (tunnel->flags & TUNNEL_ONLY) && pass->came_by != tunnel->ifindex;
}

/* What the fleet has given to label sets, and hosts' health endpoints; the rest means something else on every host. */
INLINE bool may_be_claimed(__u32 identity)
{
	return (identity >= IDENTITY_FIRST_ALLOCATED || identity == IDENTITY_HEALTH) &&
	       bpf_map_lookup_elem(&identities, &identity);
}

/* A host that sends on what clients from outside ask of a service does it with its own address, and says that it is theirs. */
INLINE bool is_for_clients(__u32 identity)
{
	return identity == IDENTITY_WORLD_IPV4 || identity == IDENTITY_WORLD_IPV6;
}

/*
 * Of a packet out of the tunnel: does its source live where it came from, and may it be
 * what the VNI says? A host itself is remote-node, or sends for clients of services, and
 * nothing else does. Returns a drop reason or 0.
 */
VERIFIED_ONCE int check_tunnelled(struct pass *pass)
{
	struct prefix_key key = {.prefixlen = ADDRESS_BITS};
	const struct ipcache_value *owner;
	const struct tunnel *tunnel;

	if (!pass)
		return DROP_UNKNOWN_SENDER;
	__builtin_memcpy(key.addr, pass->tuple.saddr, sizeof(key.addr));
	owner = bpf_map_lookup_elem(&ipcache, &key);
	if (!owner || !owner->host)
		return DROP_UNKNOWN_SENDER;
	tunnel = find_tunnel(owner->host);
	if (!tunnel || !tunnel->ifindex || !address_equal(tunnel->remote, pass->tunnel_source))
		return DROP_UNKNOWN_SENDER;
	if (owner->identity == IDENTITY_REMOTE_NODE && is_for_clients(pass->tunnel_identity))
		return 0;
	if ((owner->identity == IDENTITY_REMOTE_NODE) != (pass->tunnel_identity == IDENTITY_REMOTE_NODE))
		return DROP_INVALID_IDENTITY;
	if (pass->tunnel_identity != IDENTITY_REMOTE_NODE && !may_be_claimed(pass->tunnel_identity))
		return DROP_INVALID_IDENTITY;
	return 0;
}

/* Of a packet of a known connection, whose peer was `known` so far. Returns a drop reason or 0. */
INLINE int check_peer_host(struct pass *pass, __u32 known)
{
	const struct tunnel *tunnel;

	if (!pass->tunnel_identity)
		return must_be_tunnelled(pass) ? DROP_INVALID_SOURCE_IP : 0;
	tunnel = find_tunnel(pass->peer_host);
	if (tunnel && tunnel->ifindex && pass->tunnel_identity == known &&
		address_equal(tunnel->remote, pass->tunnel_source))
		return 0;
	return check_tunnelled(pass);
}

/* Makes the packet one for the tunnel; the device then puts the headers on. Returns a drop reason or 0. */
INLINE int set_tunnel(struct __sk_buff *skb, const struct tunnel *tunnel, __u32 identity)
{
	struct bpf_tunnel_key key = {.tunnel_id = identity, .tunnel_ttl = TUNNEL_TTL};
	__u64 flags = 0;

	if (is_mapped_ipv4(tunnel->remote)) {
		key.remote_ipv4 = bpf_ntohl(address_words(tunnel->remote)[3]);
		key.local_ipv4 = bpf_ntohl(address_words(tunnel->local)[3]);
		flags = BPF_F_ZERO_CSUM_TX; /* the inner packet has its own (RFC 7348 5) */
	} else {
		__builtin_memcpy(key.remote_ipv6, tunnel->remote, 16);
		__builtin_memcpy(key.local_ipv6, tunnel->local, 16);
		flags = BPF_F_TUNINFO_IPV6;
	}
	if (bpf_skb_set_tunnel_key(skb, &key, sizeof(key), flags)) {
		count(COUNTER_HELPER_FAILED);
		return DROP_WRITE_ERROR;
	}
	return 0;
}

/* Underlay address and identity that a received packet carries. Returns a drop reason or 0. */
INLINE int get_tunnel(struct __sk_buff *skb, struct pass *pass)
{
	struct bpf_tunnel_key key = {};

	if (!bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0))
		map_ipv4(pass->tunnel_source, bpf_htonl(key.remote_ipv4));
	else if (!bpf_skb_get_tunnel_key(skb, &key, sizeof(key), BPF_F_TUNINFO_IPV6))
		__builtin_memcpy(__builtin_assume_aligned(pass->tunnel_source, 8), key.remote_ipv6, 16);
	else
		return DROP_NO_TUNNEL_KEY;
	pass->tunnel_identity = key.tunnel_id;
	return pass->tunnel_identity ? 0 : DROP_INVALID_IDENTITY;
}

#endif
