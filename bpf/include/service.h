/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which frontend an address and port belong to, and which backend serves it. Nothing here knows of packets or sockets.
 */
#ifndef WEIR_SERVICE_H
#define WEIR_SERVICE_H

#include "counters.h"
#include "least.h"

/*
 * An element that is replaced is used again at once, maybe for another key, while whoever found it still reads. So what
 * was read counts only when the key still leads to the same element afterwards; else everything is looked for again.
 */
#define SERVICE_TRIES 3

INLINE const struct service_settings *settings_of_services(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&service_settings, &zero);
}

INLINE bool is_v4(const __u8 *addr)
{
	const __u32 *words = (const __u32 *)__builtin_assume_aligned(addr, 4);

	return words[0] == 0 && words[1] == 0 && words[2] == bpf_htonl(0xffff);
}

/* Who asks: one of both. */
struct asker {
	__u64 netns; /* of a socket */
	const __u8 *addr; /* of a packet; NULL = a socket asks */
};

/* Of the workload that has the namespace; NULL = none has. */
INLINE const __u8 *address_in(__u64 netns, bool v4)
{
	const __u32 *ifindex = bpf_map_lookup_elem(&netns_workloads, &netns);
	const struct workload *workload;

	if (!ifindex)
		return NULL;
	workload = bpf_map_lookup_elem(&workloads, ifindex);
	if (!workload)
		return NULL;
	return v4 ? workload->ip4 : workload->ip6;
}

/* A redirect may leave out who serves it: the ranges of its service name those. */
INLINE bool is_left_out(const struct service *redirect, const struct service_key *key, const struct asker *who)
{
	const __u32 flags = SERVICE_LOCAL_REDIRECT | SERVICE_SOURCE_RANGE;
	struct service_range_key range = {
		.prefixlen = SERVICE_RANGE_STATIC_BITS + ADDRESS_BITS, .service = redirect->service};
	const __u8 *addr;

	if ((redirect->flags & flags) != flags)
		return false;
	addr = who->addr ? who->addr : address_in(who->netns, is_v4(key->addr));
	if (!addr)
		return false;
	__builtin_memcpy(range.addr, addr, sizeof(range.addr));
	return bpf_map_lookup_elem(&service_ranges, &range);
}

/* As somebody inside the fleet sees it; NULL = he does not. */
INLINE struct service *inside_view(struct service_key *key, struct service *found, const struct asker *who)
{
	struct service *inside = found;

	if (found && found->flags & SERVICE_TWO_SCOPES) {
		key->scope = SERVICE_SCOPE_INTERNAL;
		inside = bpf_map_lookup_elem(&services, key);
	}
	if (!inside || !is_left_out(inside, key, who))
		return inside;
	if (inside == found)
		return NULL;
	key->scope = SERVICE_SCOPE_ANY;
	return found;
}

/* 127.0.0.0/8 and ::1. */
INLINE bool is_loopback(const __u8 *addr)
{
	const __u32 *words = (const __u32 *)__builtin_assume_aligned(addr, 4);

	if (words[0] || words[1])
		return false;
	if (words[2] == bpf_htonl(0xffff))
		return addr[12] == 127;
	return words[2] == 0 && words[3] == bpf_htonl(1);
}

/* The key of a NodePort: any address of the same family. */
INLINE void any_address(__u8 *to, bool v4)
{
	__u32 words[4] = {0, 0, v4 ? bpf_htonl(0xffff) : 0, 0};

	__builtin_memcpy(to, words, sizeof(words));
}

/* Frontend of a NodePort, when the address is a host's. `on_host`: whose loopback addresses are the host's. */
INLINE struct service *node_port_of(struct service_key *key, bool on_host)
{
	const struct service_settings *settings = settings_of_services();
	__u16 port = bpf_ntohs(key->port);
	struct address_key address;

	if (!settings || port < settings->node_port_low || port > settings->node_port_high)
		return NULL;
	address_copy(address.addr, key->addr);
	if (!(on_host && is_loopback(key->addr)) && !bpf_map_lookup_elem(&node_addresses, &address))
		return NULL;
	any_address(key->addr, is_v4(key->addr));
	return bpf_map_lookup_elem(&services, key);
}

/* The frontend that somebody outside means. The key's address, port and protocol are given; then it is the key found. */
INLINE struct service *find_service(struct service_key *key, bool on_host)
{
	struct service_key asked = *key;
	struct service *found = bpf_map_lookup_elem(&services, key);

	if (!found)
		found = node_port_of(key, on_host);
	if (found)
		return found;
	*key = asked;
	key->port = 0;
	key->protocol = 0;
	return bpf_map_lookup_elem(&services, key);
}

/* The same for somebody inside the fleet. */
INLINE struct service *service_for(struct service_key *key, bool on_host, const struct asker *who)
{
	return inside_view(key, find_service(key, on_host), who);
}

INLINE __u32 any_backend(const struct service *service)
{
	__u32 count = service->active ? service->active : service->terminating;
	__u32 number;

	if (!count)
		return 0;
	number = service->flags & SERVICE_LEAST ? least_backend(service->table, count)
	                                        : backend_in(service->table, bpf_get_prandom_u32() % count);
	/* the last slots were just removed; of all that a frontend may have the first goes last */
	return number ? number : backend_in(service->table, 0);
}

/* Where the client was before, when it may stay there; 0 = nowhere. */
INLINE __u32 kept_backend(const struct service *service, const struct service_affinity_key *client)
{
	struct service_affinity *had = bpf_map_lookup_elem(&service_affinity, client);
	struct service_member_key member = {.table = service->table};
	__u64 now = bpf_ktime_get_ns();

	if (!had || had->last_ns + service->affinity_timeout_s * NS_PER_SECOND < now)
		return 0;
	member.backend = had->backend;
	if (!bpf_map_lookup_elem(&service_members, &member))
		return 0;
	had->last_ns = now;
	return member.backend;
}

INLINE void keep_backend(const struct service_affinity_key *client, struct service_affinity *kept)
{
	kept->last_ns = bpf_ktime_get_ns();
	/* one that is there has run out, or has a backend that is gone */
	if (bpf_map_update_elem(&service_affinity, client, kept, BPF_EXIST) &&
		!bpf_map_update_elem(&service_affinity, client, kept, BPF_NOEXIST))
		count_atomic(COUNTER_SERVICE_AFFINITY_CREATED);
}

INLINE __u32 backend_for(const struct service *service, struct service_affinity_key *client)
{
	struct service_affinity kept = {};

	if (!(service->flags & SERVICE_AFFINITY))
		return any_backend(service);
	client->table = service->table;
	kept.backend = kept_backend(service, client);
	if (kept.backend)
		return kept.backend;
	kept.backend = any_backend(service);
	if (kept.backend)
		keep_backend(client, &kept);
	return kept.backend;
}

enum choice_result {
	CHOICE_NO_SERVICE = 0, /* the address is what it is */
	CHOICE_MADE = 1,
	CHOICE_NO_BACKEND = 2,
};

struct choice {
	struct backend to;
	__u32 backend;
	__u32 frontend;
	__u32 service;
	__u32 flags; /* of the frontend */
};

/* True: `choice` is whole. Else something changed meanwhile, or there is no such backend any more. */
INLINE bool read_backend(struct choice *choice)
{
	const struct backend *found = bpf_map_lookup_elem(&backends, &choice->backend);

	if (!found)
		return false;
	choice->to = *found;
	barrier();
	return bpf_map_lookup_elem(&backends, &choice->backend) == found;
}

/* For a socket. `client`: its network namespace. */
INLINE enum choice_result choose(
	const struct service_key *asked, struct service_affinity_key *client, bool on_host, struct choice *choice)
{
	enum choice_result result = CHOICE_NO_SERVICE;
	struct asker who = {};

	__builtin_memcpy(&who.netns, client->client, sizeof(who.netns));

	for (int i = 0; i < SERVICE_TRIES; i++) {
		struct service_key key = *asked;
		const struct service *service = service_for(&key, on_host, &who);

		if (!service)
			return CHOICE_NO_SERVICE;
		choice->frontend = service->frontend;
		choice->service = service->service;
		choice->flags = service->flags;
		choice->backend = backend_for(service, client);
		result = choice->backend && read_backend(choice) ? CHOICE_MADE : CHOICE_NO_BACKEND;
		barrier();
		if (bpf_map_lookup_elem(&services, &key) == service && (result == CHOICE_MADE || !choice->backend))
			return result;
	}
	return result;
}

#endif
