/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* How full the maps are that programs write of clients. The agent asks; no kernel tells how many elements a map has. */
#ifndef WEIR_SERVICE_COUNT_H
#define WEIR_SERVICE_COUNT_H

#include "service_maps.h"

struct bpf_map;

static long next_element(struct bpf_map *map, const void *key, void *value, void *ctx)
{
	return 0;
}

INLINE void count_remembered(struct service_count_ctx *ctx)
{
	long sockets = bpf_for_each_map_elem(&service_reverse, next_element, NULL, 0);
	long clients = bpf_for_each_map_elem(&service_affinity, next_element, NULL, 0);

	ctx->failed = sockets < 0 || clients < 0;
	ctx->sockets = sockets;
	ctx->clients = clients;
}

#endif
