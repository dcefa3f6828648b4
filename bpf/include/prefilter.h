/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Sources whose packets are dropped before the kernel has made anything of a frame: one lookup and nothing else. XDP
 * rather than tc, because a flood must be refused where a packet is cheapest; sources only, because who is asked for
 * is policy's to judge.
 */
#ifndef WEIR_PREFILTER_H
#define WEIR_PREFILTER_H

#include "counters.h"
#include "headers.h"
#include "ipv4.h"

struct prefilter_map {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, WEIR_MAX_PREFILTER);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix_key);
	__type(value, struct prefilter_value);
};

/* Never called: see policy_map_types(). */
void prefilter_map_types(struct prefix_key *key, struct prefilter_value *value) {}

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct prefilter_map);
} prefilter SEC(".maps") DOC("0 -> prefixes whose packets are dropped; a change swaps the whole inner map");

/* Tags that are still in the frame; more are for the stack to judge. */
#define XDP_VLAN_TAGS 2

INLINE bool is_tag(__be16 type)
{
	return type == bpf_htons(ETHERTYPE_VLAN) || type == bpf_htons(ETHERTYPE_QINQ);
}

/* The source, v4-mapped. False: no IP packet. */
INLINE bool read_source(struct xdp_md *xdp, struct prefix_key *key)
{
	void *data = (void *)(long)xdp->data, *end = (void *)(long)xdp->data_end;
	struct ethernet *ethernet = data;
	__be16 type;

	if (data + sizeof(*ethernet) > end)
		return false;
	type = ethernet->type;
	data += sizeof(*ethernet);
	for (int i = 0; i < XDP_VLAN_TAGS && is_tag(type); i++) {
		struct vlan *vlan = data;

		if (data + sizeof(*vlan) > end)
			return false;
		type = vlan->type;
		data += sizeof(*vlan);
	}
	if (type == bpf_htons(ETHERTYPE_IPV4)) {
		struct ipv4 *ip = data;
		__u32 words[4] = {0, 0, bpf_htonl(0xffff), 0};

		if (data + sizeof(*ip) > end)
			return false;
		words[3] = ip->source;
		__builtin_memcpy(key->addr, words, sizeof(words));
		return true;
	}
	if (type == bpf_htons(ETHERTYPE_IPV6)) {
		struct ipv6 *ip = data;

		if (data + sizeof(*ip) > end)
			return false;
		__builtin_memcpy(key->addr, ip->source, sizeof(ip->source));
		return true;
	}
	return false;
}

INLINE bool is_denied(struct xdp_md *xdp)
{
	struct prefix_key key = {.prefixlen = 128};
	__u32 slot = 0;
	void *denied = bpf_map_lookup_elem(&prefilter, &slot);

	if (!denied || !read_source(xdp, &key) || !bpf_map_lookup_elem(denied, &key))
		return false;
	count_drop(DROP_PREFILTER, DIRECTION_INGRESS, 1, xdp->data_end - xdp->data);
	return true;
}

#endif
