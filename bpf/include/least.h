/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The backend with the fewer connections, of two that are drawn (the power of two choices): as even as asking all of
 * them, at a price that does not grow with their number, and hosts that decide at the same time do not all run to
 * the same one.
 *
 * What is counted are connections of this host, those of all its services with SERVICE_LEAST together. Each is ended by
 * what began it: a socket when it is closed (`service_open`), a mapping when it goes (HALF_COUNTED). Of those that the
 * LRU took before, the agent tells how many they are (`service_unseen`).
 */
#ifndef WEIR_LEAST_H
#define WEIR_LEAST_H

#include "service_maps.h"

/* Of backends of which nothing is known yet. */
#define LEAST_WEIGHT 100

/* Number of a backend; 0 = the slot is empty. Table and number are read at once: an element used again shows it. */
INLINE __u32 backend_in(__u32 table, __u32 number)
{
	struct service_slot_key key = {.table = table, .slot = number};
	const __u64 *slot = bpf_map_lookup_elem(&service_slots, &key);
	union {
		__u64 whole;
		struct service_slot slot;
	} seen;

	if (!slot)
		return 0;
	seen.whole = *(const volatile __u64 *)slot;
	return seen.slot.table == table ? seen.slot.backend : 0;
}

INLINE void load_begins(__u32 backend)
{
	struct service_load *load = bpf_map_lookup_elem(&service_loads, &backend);
	struct service_load none = {};

	if (!load) {
		bpf_map_update_elem(&service_loads, &backend, &none, BPF_NOEXIST);
		load = bpf_map_lookup_elem(&service_loads, &backend);
	}
	if (load)
		__sync_fetch_and_add(&load->begun, 1);
}

INLINE void load_ends(__u32 backend)
{
	struct service_load *load = bpf_map_lookup_elem(&service_loads, &backend);

	if (load)
		__sync_fetch_and_add(&load->ended, 1);
}

INLINE __u64 open_connections(__u32 backend)
{
	const struct service_load *load = bpf_map_lookup_elem(&service_loads, &backend);
	const __s64 *unseen = bpf_map_lookup_elem(&service_unseen, &backend);
	__s64 open;

	if (!load)
		return 0;
	open = (__s64)(load->begun - load->ended) - (unseen ? *unseen : 0);
	return open > 0 ? open : 0;
}

INLINE __u64 weight_of(__u32 table, __u32 backend)
{
	struct service_member_key key = {.table = table, .backend = backend};
	const struct service_member *member = bpf_map_lookup_elem(&service_members, &key);

	return member && member->weight ? member->weight : LEAST_WEIGHT;
}

/* Number of a backend of the table's first `count` slots; 0 = what was drawn is empty. */
VERIFIED_ONCE __u32 least_backend(__u32 table, __u32 count)
{
	__u32 first, second, one, other;

	if (!count)
		return 0;
	first = bpf_get_prandom_u32() % count;
	one = backend_in(table, first);
	if (count == 1)
		return one;
	/* never the same slot twice */
	second = first + 1 + bpf_get_prandom_u32() % (count - 1);
	other = backend_in(table, second >= count ? second - count : second);
	if (!one || !other)
		return one ? one : other;
	/* with the connection that is to begin */
	return (open_connections(other) + 1) * weight_of(table, one) <
	                       (open_connections(one) + 1) * weight_of(table, other)
	               ? other
	               : one;
}

#endif
