/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which service's frontend a client asked for, when it was sent to a backend instead: for flows. Asked once, when a
 * connection begins; conntrack remembers the number. Both maps are empty while this host has no services, and then a
 * look costs next to nothing. Hashes and not arrays: of an empty one the kernel tells what may be put in, so that an
 * agent finds out at its start whether the pinned one is of its own shape.
 */
#ifndef WEIR_ASKED_H
#define WEIR_ASKED_H

#include "l4.h"
#include "maps.h"

/* Sizes are those of the maps that are put in; these are for a kernel that wants one to compare with. */
struct asked_sockets_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, struct service_reverse_key);
	__type(value, struct service_reverse);
};
struct asked_mappings_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, struct nat_key);
	__type(value, struct nat_out_value);
};

/* Never called: see policy_map_types(). */
void asked_map_types(
	struct service_reverse_key *a, struct service_reverse *b, struct nat_key *c, struct nat_out_value *d)
{
}

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct asked_sockets_map);
} asked_sockets SEC(".maps") DOC("0 -> `service_reverse`, while there are services; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct asked_mappings_map);
} asked_mappings SEC(".maps") DOC("0 -> `nat_out`, while clients outside may ask for services; written by the agent");

/* By a socket of this host or of one of its workloads; the packet still has it. */
INLINE __u32 asked_by_socket(struct __sk_buff *skb, const struct tuple *tuple)
{
	struct service_reverse_key key = {.port = tuple->dport, .protocol = tuple->protocol};
	struct service_reverse *asked;
	__u32 zero = 0;
	void *sockets = bpf_map_lookup_elem(&asked_sockets, &zero);

	if (!sockets)
		return 0;
	key.cookie = bpf_get_socket_cookie(skb);
	if (!key.cookie)
		return 0;
	address_copy(key.addr, tuple->daddr);
	asked = bpf_map_lookup_elem(sockets, &key);
	return asked ? asked->frontend : 0;
}

INLINE bool is_serving_outside(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&asked_mappings, &zero);
}

/* By somebody outside: an uplink has given the packet its destination, and the answer's mapping says why. */
INLINE __u32 asked_from_outside(const struct tuple *tuple)
{
	struct nat_key key = {
		.local_port = tuple->dport,
		.remote_port = tuple->sport,
		.protocol = tuple->protocol,
		.family = tuple->family,
	};
	struct nat_out_value *asked;
	__u32 zero = 0;
	void *mappings = bpf_map_lookup_elem(&asked_mappings, &zero);

	if (!mappings)
		return 0;
	address_copy(key.local, tuple->daddr);
	address_copy(key.remote, tuple->saddr);
	asked = bpf_map_lookup_elem(mappings, &key);
	return asked ? asked->frontend : 0;
}

/* Of the packet in the pass, which opens a connection. 0: the peer itself was asked for. */
VERIFIED_ONCE int frontend_asked(struct __sk_buff *skb)
{
	struct pass *pass = this_pass();
	__u32 frontend;

	if (!pass || pass->related || is_icmp(&pass->tuple))
		return 0;
	if (pass->frontend)
		return pass->frontend;
	frontend = asked_by_socket(skb, &pass->tuple);
	return frontend || !pass->came_by ? frontend : asked_from_outside(&pass->tuple);
}

#endif
