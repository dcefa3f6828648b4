/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The walk that ends mappings whose time is over, and halves whose other half the LRU took. */
#ifndef WEIR_NAT_SWEEP_H
#define WEIR_NAT_SWEEP_H

#include "nat.h"

struct nat_sweep {
	__u64 now_ns;
	__u64 entries;
	__u64 expired;
	__u64 orphans;
};

struct bpf_map;

static long nat_sweep_in(struct bpf_map *map, struct nat_key *place, struct nat_in_value *in, struct nat_sweep *sweep)
{
	struct nat_key key = *place;

	sweep->entries++;
	if (in->expires_ns + NAT_SWEEP_GRACE_NS > sweep->now_ns)
		return 0;
	if (nat_end(&key, in))
		sweep->expired++;
	return 0;
}

static long nat_sweep_out(
	struct bpf_map *map, struct nat_key *place, struct nat_out_value *out, struct nat_sweep *sweep)
{
	struct nat_key key = *place, in_key;
	struct nat_in_value *in;

	nat_outside(&key, out, &in_key);
	in = bpf_map_lookup_elem(&nat_in, &in_key);
	if (in && nat_is_of(in, &key))
		return 0;
	if (!bpf_map_delete_elem(&nat_out, &key))
		sweep->orphans++;
	return 0;
}

#endif
