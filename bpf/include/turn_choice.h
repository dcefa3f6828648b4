/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What is known of a workload's packet that may be for a service, and the choice of its backend (turn.h). */
#ifndef WEIR_TURN_CHOICE_H
#define WEIR_TURN_CHOICE_H

#include "maglev.h"
#include "pass.h"
#include "service_counts.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WEIR_MAX_SERVICE_TURNS);
	__type(key, struct nat_key);
	__type(value, struct service_turn);
} service_turns SEC(".maps")
	DOC("connection of a workload whose packets ask for a service -> what they and its answers become");

/* What is known about such a packet beyond struct pass, for the same reasons there. */
struct turning {
	struct service_key asked;
	struct service_affinity_key client;
	struct choice choice;
	struct nat_key key; /* by what the workload sends */
	struct nat_key back; /* by what its backend gets */
	struct ct_key tracked; /* its entry in conntrack */
	struct service_turn fresh; /* being made */
	struct nat_out_value to;
	struct nat_out_value as;
	__u32 ifindex; /* of the workload */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_MAX_WORKLOADS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u64);
} workload_netns SEC(".maps") DOC("ifindex of a workload -> cookie of its network namespace; written by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct turning));
} turning_scratch SEC(".maps")
	DOC("a workload's packet that asks for a service, on this CPU; nothing in it outlives the packet");

INLINE struct turning *this_turning(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&turning_scratch, &zero);
}

INLINE __u32 new_backend_of(const struct service *service, const struct tuple *tuple)
{
	__u32 number = service->maglev ? maglev_backend(service, tuple) : 0;

	return number ? number : any_backend(service);
}

/* As sockets of its namespace are known, so that both have the same backend; others, virtual machines, by their address. */
INLINE void name_client(struct turning *turning, const struct tuple *tuple)
{
	__u32 ifindex = turning->ifindex;
	const __u64 *netns = bpf_map_lookup_elem(&workload_netns, &ifindex);

	if (!netns) {
		address_copy(turning->client.client, tuple->saddr);
		turning->client.kind = AFFINITY_ADDRESS;
		return;
	}
	__builtin_memset(turning->client.client, 0, sizeof(turning->client.client));
	__builtin_memcpy(turning->client.client, netns, sizeof(*netns));
	turning->client.kind = AFFINITY_NETNS;
}

INLINE __u32 backend_of_sender(const struct service *service, struct turning *turning, const struct tuple *tuple)
{
	struct service_affinity kept = {};

	if (!(service->flags & SERVICE_AFFINITY))
		return new_backend_of(service, tuple);
	name_client(turning, tuple);
	turning->client.table = service->table;
	kept.backend = kept_backend(service, &turning->client);
	if (kept.backend)
		return kept.backend;
	kept.backend = new_backend_of(service, tuple);
	if (kept.backend)
		keep_backend(&turning->client, &kept);
	return kept.backend;
}

/* With an enum choice_result: what it rests on has changed hands meanwhile. */
#define SENDER_CHOICE_CHANGED 0x100

VERIFIED_ONCE int try_choice_for_sender(void)
{
	struct turning *turning = this_turning();
	struct pass *pass = this_pass();
	const struct service *service;
	struct choice *choice;
	struct asker who = {};
	int result;

	if (!turning || !pass)
		return CHOICE_NO_SERVICE;
	choice = &turning->choice;
	address_copy(turning->asked.addr, pass->tuple.daddr);
	turning->asked.port = pass->tuple.dport;
	turning->asked.protocol = pass->tuple.protocol;
	turning->asked.scope = SERVICE_SCOPE_ANY;
	turning->asked.pad = 0;
	who.addr = pass->tuple.saddr;
	service = service_for(&turning->asked, false, &who);
	if (!service)
		return CHOICE_NO_SERVICE;
	choice->frontend = service->frontend;
	choice->service = service->service;
	choice->flags = service->flags;
	choice->backend = backend_of_sender(service, turning, &pass->tuple);
	result = choice->backend && read_backend(choice) ? CHOICE_MADE : CHOICE_NO_BACKEND;
	barrier();
	if (bpf_map_lookup_elem(&services, &turning->asked) == service && (result == CHOICE_MADE || !choice->backend))
		return result;
	return result | SENDER_CHOICE_CHANGED;
}

/*
 * Whom the packet in this_pass() is for: turning->choice. As choose() does for sockets. Returns an enum choice_result. The
 * loop has nothing in it but a call: see choose_for_packet().
 */
VERIFIED_ONCE int choose_for_sender(void)
{
	struct turning *turning = this_turning();
	struct pass *pass = this_pass();
	int result = CHOICE_NO_SERVICE;

	if (!turning || !pass)
		return CHOICE_NO_SERVICE;
	for (int i = 0; i < SERVICE_TRIES; i++) {
		result = try_choice_for_sender();
		if (!(result & SENDER_CHOICE_CHANGED))
			return result;
	}
	return result & ~SENDER_CHOICE_CHANGED;
}

#endif
