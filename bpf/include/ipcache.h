/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Address -> identity. What the fleet manages comes first; then prefixes that a
 * policy names; the rest is the world. Asked only when a verdict is taken.
 */
#ifndef WEIR_IPCACHE_H
#define WEIR_IPCACHE_H

#include "prefix64.h"

#define IDENTITY_LOCAL_MASK 0x00ffffff

struct peer {
	__u32 identity;
	__u32 host; /* number of its host in `tunnels`; 0 = none */
	__u32 twin; /* a second identity whose rules count as well; 0 = none */
};

/*
 * An address under NAT64's prefix is the IPv4 address in it, whoever that is. A CIDR rule may name it by either form:
 * the prefix of the IPv6 form, if the destination is not managed, is the twin. Else the twin is what Kubernetes'
 * ipBlock asks for, which matches managed addresses too.
 *
 * `from_host`: the packet was made by this host, not forwarded by it. Somebody
 * else's packet with the host's address is masqueraded or forged: world in both cases.
 */
INLINE void find_peer(const __u8 *address, __u8 family, bool want_twin, bool from_host, struct peer *peer)
{
	struct prefix_key key = {.prefixlen = ADDRESS_BITS};
	struct cidr_value *cidr = NULL, *written = NULL;
	struct ipcache_value *managed;
	bool translated = family == 6 && is_address64(address);

	__builtin_memcpy(key.addr, address, sizeof(key.addr));
	if (translated) {
		written = bpf_map_lookup_elem(&cidrs, &key);
		map_ipv4_key(&key, address_words(address)[3]);
	}
	managed = bpf_map_lookup_elem(&ipcache, &key);
	if (managed && managed->identity == IDENTITY_HOST && !from_host)
		managed = NULL;
	peer->host = managed && !translated ? managed->host : 0;
	if (!managed || !managed->identity || want_twin)
		cidr = bpf_map_lookup_elem(&cidrs, &key);
	peer->twin = 0;
	if (managed && managed->identity) {
		peer->identity = managed->identity;
		if (cidr)
			peer->twin = (cidr->identity & IDENTITY_LOCAL_MASK) | IDENTITY_SCOPE_IPBLOCK;
		return;
	}
	if (written)
		peer->twin = written->identity;
	if (cidr)
		peer->identity = cidr->identity;
	else
		peer->identity = family == 4 || translated ? IDENTITY_WORLD_IPV4 : IDENTITY_WORLD_IPV6;
}

#endif
