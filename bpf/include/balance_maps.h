/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Maps of programs that balance packets. Apart from service_maps.h: sockets need none of them. */
#ifndef WEIR_BALANCE_MAPS_H
#define WEIR_BALANCE_MAPS_H

#include "service_maps.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WEIR_MAX_NAT);
	__type(key, struct nat_key);
	__type(value, struct service_nat);
} service_nat SEC(".maps") DOC("mapping of a client of a frontend -> its backend, and the source its packets get");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct service_flood);
} service_floods SEC(".maps") DOC("0 -> connections remembered in this second, per CPU; written by the programs");

#endif
