/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Maps of egress gateways: of every program that a packet meets on its way to one, through it and back. */
#ifndef WEIR_EGRESS_MAPS_H
#define WEIR_EGRESS_MAPS_H

#include "maps.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_MAX_EGRESS_SOURCES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct address_key);
	__type(value, struct egress_source);
} egress_sources SEC(".maps")
	DOC("address of a workload that leaves by a gateway -> its destinations; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, WEIR_MAX_EGRESS_ROUTES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct egress_key);
	__type(value, struct egress_route);
} egress_routes SEC(".maps") DOC("set and destination -> group of gateways; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_MAX_EGRESS_GROUPS);
	__type(key, __u32);
	__type(value, struct egress_group);
} egress_groups SEC(".maps") DOC("number of a group -> which of its gateways is used; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_MAX_EGRESS_GATEWAYS);
	__type(key, __u32);
	__type(value, struct egress_gateway);
} egress_gateways SEC(".maps")
	DOC("number of a gateway -> where it is, and its address when it is here; written by the agent");

#endif
