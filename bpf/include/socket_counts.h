/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What sockets asked of services, and for which backend each of them counts as a connection (least.h). */
#ifndef WEIR_SOCKET_COUNTS_H
#define WEIR_SOCKET_COUNTS_H

#include "service.h"
#include "service_counts.h"

/* A connection counts while its socket is open, for the last backend that it was sent to. */
INLINE void open_socket(struct bpf_sock_addr *ctx, const struct choice *choice)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);
	const __u32 *had = bpf_map_lookup_elem(&service_open, &cookie);
	__u32 backend = choice->backend;

	if (had && *had == backend)
		return;
	if (had)
		load_ends(*had);
	if (!bpf_map_update_elem(&service_open, &cookie, &backend, BPF_ANY))
		load_begins(backend);
}

INLINE void count_socket(struct bpf_sock_addr *ctx, const struct choice *choice, bool connects)
{
	struct service_count *counts = counts_for(choice->frontend, choice->backend);

	count_atomic(COUNTER_SERVICE_SOCKETS);
	if (counts)
		__sync_fetch_and_add(connects ? &counts->connections : &counts->packets, 1);
	if (connects && (choice->flags & SERVICE_LEAST))
		open_socket(ctx, choice);
}

INLINE void close_socket(__u64 cookie)
{
	const __u32 *backend = bpf_map_lookup_elem(&service_open, &cookie);
	__u32 number;

	if (!backend)
		return;
	number = *backend;
	if (!bpf_map_delete_elem(&service_open, &cookie))
		load_ends(number);
}

#endif
