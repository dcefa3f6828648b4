/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Maps of the programs on uplinks. Apart from maps.h, so that a host that has
 * nothing to do on its uplinks does not pay for them.
 */
#ifndef WEIR_UPLINK_MAPS_H
#define WEIR_UPLINK_MAPS_H

#include "maps.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_MAX_UPLINKS);
	__type(key, __u32);
	__type(value, struct uplink);
} uplinks SEC(".maps") DOC("interface index -> what is done with packets that pass it; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_MAX_VLANS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} vlans SEC(".maps") DOC("VLAN id whose frames pass uplinks -> 1; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, WEIR_MAX_UNMASQUERADED);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix_key);
	__type(value, struct unmasqueraded_value);
} unmasqueraded SEC(".maps") DOC("destination to which workloads keep their address; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, WEIR_MAX_STRICT);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix_key);
	__type(value, struct strict_value);
} strict SEC(".maps") DOC("prefixes between which nothing goes in the clear; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WEIR_MAX_NAT);
	__type(key, struct nat_key);
	__type(value, struct nat_out_value);
} nat_out SEC(".maps") DOC("connection as its workload sees it -> its masquerade address and port");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WEIR_MAX_NAT);
	__type(key, struct nat_key);
	__type(value, struct nat_in_value);
} nat_in SEC(".maps") DOC("connection as the world sees it -> who is behind it, and how long");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEIR_NAT_TRIES + 1);
	__type(key, __u32);
	__type(value, __u64);
} nat_retries SEC(".maps")
	DOC("ports found taken -> connections that found so many, per CPU; the last: no port at all");

#endif
