/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * All maps. The loader pins each under its name and reuses what is pinned, so a
 * new program finds the connections of the old one.
 */
#ifndef WEIR_MAPS_H
#define WEIR_MAPS_H

#include "base.h"
#include "pass.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_MAX_WORKLOADS);
	__type(key, __u32);
	__type(value, struct workload);
} workloads SEC(".maps") DOC("host-side interface index -> the workload behind it; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_MAX_WORKLOADS * 2);
	__type(key, struct address_key);
	__type(value, struct address_value);
} addresses SEC(".maps") DOC("address of a workload of this host -> its host-side interface; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, WEIR_MAX_IPCACHE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix_key);
	__type(value, struct ipcache_value);
} ipcache SEC(".maps") DOC("prefix -> identity of what the fleet manages; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_MAX_HOSTS);
	__type(key, __u32);
	__type(value, struct tunnel);
} tunnels SEC(".maps") DOC("number of another host -> its end of the tunnel; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_MAX_IDENTITIES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct identity_value);
} identities SEC(".maps")
	DOC("identities of the fleet that a packet out of the tunnel may claim; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, WEIR_MAX_CIDRS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix_key);
	__type(value, struct cidr_value);
} cidrs SEC(".maps") DOC("prefix named by a policy -> its host-local identity; written by the agent");

struct policy_map {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, WEIR_MAX_POLICY);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct policy_key);
	__type(value, struct policy_entry);
};

/*
 * A trie keeps the value right behind the key's data. Packets are counted in it by
 * locked additions: across a cache line one costs a microsecond (measured), and
 * where the processor reports split locks it stops the kernel.
 */
_Static_assert((sizeof(struct policy_key) - sizeof(__u32)) % 8 == 0, "counters in policy_entry must be aligned");

/* Never called: clang writes the types of an inner map into the BTF only when something else names them. */
void policy_map_types(struct policy_key *key, struct policy_entry *entry) {}

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, WEIR_MAX_WORKLOADS);
	__type(key, __u32);
	__array(values, struct policy_map);
} policies SEC(".maps") DOC("host-side interface index -> the workload's policy; a change swaps the whole inner map");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WEIR_MAX_CONNTRACK);
	__type(key, struct ct_key);
	__type(value, struct ct_entry);
} conntrack SEC(".maps") DOC("connections, one entry for each workload that takes part; written by the programs");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WEIR_MAX_FRAGS);
	__type(key, struct frag_key);
	__type(value, struct frag_value);
} fragments SEC(".maps") DOC("what the first fragment of a datagram said, for the later ones; written by the programs");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct nat64);
} nat64 SEC(".maps") DOC("0 -> how workloads reach IPv4 with their IPv6 address; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_MAX_WORKLOADS);
	__type(key, __u32);
	__type(value, struct bandwidth);
} bandwidths SEC(".maps") DOC("host-side interface index -> the workload's rates and what of them is used");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} pacing SEC(".maps") DOC("0 -> 1 while every uplink keeps packets back until their time (fq); written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTER_MAX);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps") DOC("enum weir_counter -> how often, per CPU");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024); /* 256 reasons, 3 directions */
	__type(key, struct drop_key);
	__type(value, struct drop_value);
} drops SEC(".maps")
	DOC("reason and direction -> packets and bytes dropped, per CPU; counted even when no event could be written");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_MAX_WORKLOADS);
	__type(key, __u32);
	__type(value, struct throttle);
} throttles SEC(".maps") DOC("host-side interface index -> the workload's allowance of events; made by the programs");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, WEIR_MAX_THROTTLED);
	__type(key, struct throttled_key);
	__type(value, struct throttled_value);
} throttled SEC(".maps") DOC("workload, reason and direction -> events not sent, their packets and bytes, per CPU");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_MAX_WORKLOADS);
	__type(key, __u32);
	__type(value, __u64);
} drains SEC(".maps") DOC("host-side interface index -> connections begun before that time (CLOCK_MONOTONIC, ns) may "
			  "go on though policy refuses them now; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WEIR_MAX_WORKLOADS * 4); /* an LRU forgets early where CPUs are many */
	__type(key, __u32);
	__type(value, __u64);
} answers SEC(".maps") DOC("host-side interface index -> up to when its answers to refused packets have used their "
			   "allowance; made by the programs");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, WEIR_EVENTS_BYTES);
} events SEC(".maps") DOC("events for the agent; each begins with struct event_header");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32)); /* no types: it is shared with nobody and needs no codec */
	__uint(value_size, sizeof(struct pass));
} scratch SEC(".maps") DOC("what one CPU knows about the packet it is judging; nothing in it outlives the packet");

/*
 * Functions that look something up by a key inside the pass ask for it again
 * instead of taking a pointer: verifiers before 6.2 know that a map value may be a
 * key, but not that memory handed to a function may.
 */
INLINE struct pass *this_pass(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratch, &zero);
}

#endif
