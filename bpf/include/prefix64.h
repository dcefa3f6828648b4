/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * NAT64's prefix (RFC 6052): the last four bytes of an address under its 96 bits are an
 * IPv4 address. Policy asks who that is; the device of nat64.bpf.c translates.
 */
#ifndef WEIR_PREFIX64_H
#define WEIR_PREFIX64_H

#include "ipv6.h"
#include "maps.h"

/* NULL: nothing is translated. */
INLINE const struct nat64 *find_nat64(void)
{
	__u32 zero = 0;
	const struct nat64 *found = bpf_map_lookup_elem(&nat64, &zero);

	return found && found->ifindex ? found : NULL;
}

INLINE bool has_prefix64(const struct nat64 *found, const __u8 *address)
{
	const __u32 *prefix = address_words(found->prefix), *words = address_words(address);

	return words[0] == prefix[0] && words[1] == prefix[1] && words[2] == prefix[2];
}

INLINE bool is_address64(const __u8 *address)
{
	const struct nat64 *found = find_nat64();

	return found && has_prefix64(found, address);
}

/* Such addresses come from this host's own translation; somebody else's packet with one is forged. */
INLINE bool is_forged64(const struct pass *pass)
{
	const struct nat64 *found = pass->tuple.family == 6 ? find_nat64() : NULL;

	return found && has_prefix64(found, pass->tuple.saddr) && pass->came_by != found->ifindex;
}

/* The key's address is only aligned to 4 bytes. */
INLINE void map_ipv4_key(struct prefix_key *key, __be32 address)
{
	const __be32 words[4] = {0, 0, bpf_htonl(0xffff), address};

	__builtin_memcpy(key->addr, words, sizeof(words));
}

#endif
