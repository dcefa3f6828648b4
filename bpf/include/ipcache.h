/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Address -> identity. What the fleet manages comes first; then prefixes that a
 * policy names; the rest is the world. Asked only when a verdict is taken.
 */
#ifndef WEIR_IPCACHE_H
#define WEIR_IPCACHE_H

#include "maps.h"

#define ADDRESS_BITS 128
#define IDENTITY_LOCAL_MASK 0x00ffffff

struct peer {
	__u32 identity;
	__u32 host; /* number of its host in `tunnels`; 0 = none */
	__u32 twin; /* for Kubernetes ipBlock, which matches managed addresses too; 0 = none */
};

/*
 * `from_host`: the packet was made by this host, not forwarded by it. Somebody
 * else's packet with the host's address is masqueraded or forged: world in both cases.
 */
INLINE void find_peer(const __u8 *address, __u8 family, bool want_twin, bool from_host, struct peer *peer)
{
	struct prefix_key key = {.prefixlen = ADDRESS_BITS};
	struct ipcache_value *managed;
	struct cidr_value *cidr = NULL;

	__builtin_memcpy(key.addr, address, sizeof(key.addr));
	managed = bpf_map_lookup_elem(&ipcache, &key);
	if (managed && managed->identity == IDENTITY_HOST && !from_host)
		managed = NULL;
	peer->host = managed ? managed->host : 0;
	if (!managed || !managed->identity || want_twin)
		cidr = bpf_map_lookup_elem(&cidrs, &key);
	peer->twin = 0;
	if (managed && managed->identity) {
		peer->identity = managed->identity;
		if (cidr)
			peer->twin = (cidr->identity & IDENTITY_LOCAL_MASK) | IDENTITY_SCOPE_IPBLOCK;
	} else if (cidr) {
		peer->identity = cidr->identity;
	} else {
		peer->identity = family == 4 ? IDENTITY_WORLD_IPV4 : IDENTITY_WORLD_IPV6;
	}
}

#endif
