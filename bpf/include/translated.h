/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What flows say of addresses that change on the way: the source that packets get where they leave this host (masquerade, or
 * a frontend's address in answers), and whether a socket was sent to a backend. Asked when an event is written, and by no
 * packet. A mapping is made by the uplink after the workload's program has judged: the first event of a connection does not
 * know it yet. The map in between is empty while no uplink translates.
 */
#ifndef WEIR_TRANSLATED_H
#define WEIR_TRANSLATED_H

#include "maps.h"

struct source_mappings_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, struct nat_key);
	__type(value, struct nat_out_value);
};

/* Never called: see policy_map_types(). */
void source_map_types(struct nat_key *key, struct nat_out_value *value) {}

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct source_mappings_map);
} source_mappings SEC(".maps") DOC("0 -> `nat_out`, while uplinks translate; written by the agent");

/* Of what the workload sends; the connection is that of its key in conntrack. */
INLINE void tell_source(struct flow_event *event, const struct ct_key *key)
{
	struct nat_key mapping = {
		.local_port = key->local_port,
		.remote_port = key->remote_port,
		.protocol = key->protocol,
		.family = key->family,
	};
	const struct nat_out_value *found;
	__u32 zero = 0;
	void *mappings = bpf_map_lookup_elem(&source_mappings, &zero);

	if (!mappings || key->icmp > CT_ICMP_ANSWERS)
		return;
	address_copy(mapping.local, key->local);
	address_copy(mapping.remote, key->remote);
	found = bpf_map_lookup_elem(mappings, &mapping);
	if (found)
		address_copy(event->xlated, found->addr);
}

/* Of a client whose socket was sent to a backend: packets that ask for services are none (CT_SERVICE). */
INLINE __u8 sock_xlate_of(const struct ct_entry *entry, bool reply)
{
	if (!entry->orig.number || entry->flags & (CT_INGRESS | CT_SERVICE))
		return SOCK_XLATE_NONE;
	return reply ? SOCK_XLATE_PRE_DIRECTION_REV : SOCK_XLATE_POST_DIRECTION_FWD;
}

#endif
