/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Connections of workloads whose packets ask for a service, in `service_loads` (least.h). They have no end of their own but
 * that in conntrack, so a walk finds out which are over. What it counted has TURN_COUNTED no more.
 */
#ifndef WEIR_TURN_LOAD_H
#define WEIR_TURN_LOAD_H

#include "turn.h"

/* The connection that it counted for is over. Whoever takes the flag away has counted it. */
INLINE void turn_ends(struct service_turn *turn)
{
	__u32 backend = turn->backend;

	if (!(turn->flags & TURN_COUNTED))
		return;
	if (__sync_fetch_and_and(&turn->flags, ~TURN_COUNTED) & TURN_COUNTED)
		load_ends(backend);
}

struct turn_sweep {
	struct ct_key tracked;
	__u64 now_ns;
};

struct bpf_map;

static long turn_sweep_one(
	struct bpf_map *map, const struct nat_key *key, struct service_turn *turn, struct turn_sweep *sweep)
{
	const struct ct_entry *entry;

	/* conntrack hears of it right after it was made */
	if (key->pad == TURN_BACK || !(turn->flags & TURN_COUNTED) || turn->checked_ns + NS_PER_SECOND > sweep->now_ns)
		return 0;
	tracked_key(&sweep->tracked, key, turn);
	entry = bpf_map_lookup_elem(&conntrack, &sweep->tracked);
	if (!entry || entry->expires_ns <= sweep->now_ns || is_closed(entry->flags))
		turn_ends(turn);
	return 0;
}

#endif
