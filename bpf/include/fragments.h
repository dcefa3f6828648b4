/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Fragments. Only the first one has ports; it leaves them in `fragments` and the
 * later ones are judged by them. A later fragment that comes before the first, or
 * whose first was refused before it was recorded, is dropped (175).
 */
#ifndef WEIR_FRAGMENTS_H
#define WEIR_FRAGMENTS_H

#include "counters.h"
#include "l4.h"

INLINE void fragment_key(const struct pass *pass, struct frag_key *key)
{
	address_copy(key->saddr, pass->tuple.saddr);
	address_copy(key->daddr, pass->tuple.daddr);
	key->id = pass->walk.fragment_id;
	key->protocol = pass->tuple.family == 4 ? pass->tuple.protocol : 0;
	key->family = pass->tuple.family;
	key->pad = 0;
}

/* Takes the tuple of a later fragment from its first one. */
VERIFIED_ONCE int find_fragment(struct pass *pass)
{
	struct frag_key key;
	struct frag_value *first;

	if (!pass)
		return DROP_FRAGMENT_NOT_FOUND;
	fragment_key(pass, &key);
	first = bpf_map_lookup_elem(&fragments, &key);
	if (!first)
		return DROP_FRAGMENT_NOT_FOUND;
	pass->tuple.sport = first->sport;
	pass->tuple.dport = first->dport;
	pass->tuple.protocol = first->protocol;
	pass->tuple.icmp_type = first->icmp_type;
	pass->tuple.icmp_code = first->icmp_code;
	return 0;
}

/* Called once the source is known to be honest, so that nobody writes into another's datagrams. */
VERIFIED_ONCE int record_fragment(struct pass *pass)
{
	struct frag_key key;
	struct frag_value value = {};

	if (!pass)
		return 0;
	fragment_key(pass, &key);
	value.sport = pass->tuple.sport;
	value.dport = pass->tuple.dport;
	value.protocol = pass->tuple.protocol;
	value.icmp_type = pass->tuple.icmp_type;
	value.icmp_code = pass->tuple.icmp_code;
	value.seen_ns = pass->now_ns;
	if (bpf_map_update_elem(&fragments, &key, &value, BPF_ANY))
		count(COUNTER_FRAG_INSERT_FAILED);
	return 0;
}

#endif
