/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Maps of load balancing. Apart from maps.h, so that a host without services does not pay for them. */
#ifndef WEIR_SERVICE_MAPS_H
#define WEIR_SERVICE_MAPS_H

#include "maps.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_MAX_SERVICES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct service_key);
	__type(value, struct service);
} services SEC(".maps") DOC("address, port, protocol, scope -> frontend of a service; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_MAX_SERVICE_SLOTS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct service_slot_key);
	__type(value, struct service_slot);
} service_slots SEC(".maps") DOC("table and slot -> number of a backend; written by the agent");

struct maglev_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_MAGLEV_SMALLEST);
	__uint(map_flags, BPF_F_INNER_MAP); /* each has a size of its own */
	__type(key, __u32);
	__type(value, struct maglev_slot);
};

/* Never called: see policy_map_types(). */
void maglev_map_types(struct maglev_slot *slot) {}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); /* found without a call: calls are what a packet in XDP costs */
	__uint(max_entries, WEIR_MAX_MAGLEV_TABLES);
	__type(key, __u32);
	__array(values, struct maglev_map);
} maglev_tables SEC(".maps")
	DOC("place -> backend by slot, now and before; a change swaps the whole inner map; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WEIR_MAX_SERVICE_FLOWS);
	__type(key, struct service_flow_key);
	__type(value, struct service_flow);
} service_flows SEC(".maps") DOC("connection of a slot that has changed hands -> its backend; written by the programs");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_MAX_BACKENDS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct backend);
} backends SEC(".maps") DOC("number of a backend -> where it is; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_MAX_SERVICE_SLOTS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct service_member_key);
	__type(value, struct service_member);
} service_members SEC(".maps") DOC("table and backend -> clients may stay with it, its weight; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, WEIR_MAX_SERVICE_COUNTS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct service_count_key);
	__type(value, struct service_count);
} service_counts SEC(".maps")
	DOC("frontend and backend -> what clients asked of them, per CPU; written by the programs");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_MAX_BACKENDS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct service_load);
} service_loads SEC(".maps")
	DOC("number of a backend -> its connections where the least decide, begun and ended; written by the programs");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_MAX_BACKENDS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __s64);
} service_unseen SEC(".maps")
	DOC("number of a backend -> how many of its connections ended without being counted; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WEIR_MAX_SERVICE_REVERSE);
	__type(key, __u64);
	__type(value, __u32);
} service_open SEC(".maps")
	DOC("cookie of a socket -> the backend for which it counts in service_loads; written by the programs");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WEIR_MAX_SERVICE_AFFINITY);
	__type(key, struct service_affinity_key);
	__type(value, struct service_affinity);
} service_affinity SEC(".maps") DOC("client and table -> the backend it had last; written by the programs");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WEIR_MAX_SERVICE_REVERSE);
	__type(key, struct service_reverse_key);
	__type(value, struct service_reverse);
} service_reverse SEC(".maps")
	DOC("socket and the backend it was sent to -> what it asked for; written by the programs");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, WEIR_MAX_SERVICE_RANGES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct service_range_key);
	__type(value, struct service_range);
} service_ranges SEC(".maps") DOC("service and prefix of clients that its source ranges name; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_MAX_HOSTS * 4);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct address_key);
	__type(value, struct node_address);
} node_addresses SEC(".maps") DOC("addresses of hosts, at which NodePorts are served; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_MAX_WORKLOADS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, __u32);
} netns_workloads SEC(".maps")
	DOC("cookie of a workload's network namespace -> its host-side interface; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct service_settings);
} service_settings SEC(".maps") DOC("0 -> what all services share; written by the agent");

#endif
