/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Connections of clients outside in `service_loads`: counted while their mapping is there. To be included before nat.h,
 * which calls what is defined here when a mapping ends.
 */
#ifndef WEIR_LEAST_PACKETS_H
#define WEIR_LEAST_PACKETS_H

#ifdef WEIR_NAT_H
#error "include least_packets.h before nat.h"
#endif

#include "balance_maps.h"
#include "least.h"

/* Takes a half that is nobody's any more. Returns 1: it did, nobody else has. Verified once: callers have no stack to spare. */
VERIFIED_ONCE int half_goes(const struct nat_key *key)
{
	const struct service_nat *half;
	__u32 backend, counted;
	struct nat_key own;

	if (!key)
		return 0;
	own = *key; /* 6.1 takes no memory of callers for a map's key */
	half = bpf_map_lookup_elem(&service_nat, &own);
	if (!half)
		return 0;
	backend = half->backend;
	counted = half->flags & HALF_COUNTED;
	if (bpf_map_delete_elem(&service_nat, &own))
		return 0;
	if (counted)
		load_ends(backend);
	return 1;
}

#define NAT_ENDED(key) half_goes(key)

#endif
