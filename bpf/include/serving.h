/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What is known about a packet for a frontend beyond struct pass, and the choice of its backend. It lives in a map of
 * its own, per CPU, for the same reasons (pass.h), and so that a host that serves nobody outside does not pay for it.
 */
#ifndef WEIR_SERVING_H
#define WEIR_SERVING_H

#include "balance.h"
#include "nat.h"

struct serving {
	struct service_key asked;
	struct service_affinity_key client;
	struct choice choice;
	struct nat_key key; /* of the packet's mapping, seen from whom it was sent to */
	struct nat_key other; /* of the mapping of its answers */
	struct nat_in_value fresh;
	struct service_nat half; /* being made */
	struct nat_out_value to; /* the packet's new destination */
	struct nat_out_value as; /* its new source, if it gets one */
	struct nat_want want;
	struct bpf_redir_neigh hop; /* where it goes next, unless by tunnel */
	__u32 ifindex;
	__u32 host; /* in `tunnels`, of the backend it goes to; 0 = none */
	__u32 taken; /* came inside another packet for this backend of the host; 0 = it did not */
	__u32 marked; /* the same with an option (dsr_option.h); serving->asked is what the option says */
	__u32 remembered_in; /* table of a frontend whose connections are in `service_flows`, or 0 */
	__be16 seen_port; /* of the client, as a backend of this host sees it */
	__u16 pad;
	__u32 hash; /* of a connection that is sent on in other packets */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct serving);
} serving_scratch SEC(".maps") DOC("0 -> the packet for a frontend that is being sent on, per CPU");

INLINE struct serving *this_serving(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&serving_scratch, &zero);
}

/*
 * How long a connection that nothing else remembers may be silent, by what this packet says of it: a SYN is one that begins
 * unless it was sent again.
 */
INLINE __u64 silence_of(const struct tuple *tuple, __u8 tcp_flags)
{
	if (tuple->protocol != PROTOCOL_TCP)
		return other_ns;
	return (tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN ? tcp_closed_ns : tcp_established_ns;
}

/* A slot that has changed hands is looked into where nothing else remembers: see balance.h. */
INLINE __u32 new_backend(const struct service *service, const struct tuple *tuple)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	struct maglev_place place = {};
	__u32 number;

	if (!serving || !pass)
		return any_backend(service);
	if (!(service->flags & SERVICE_DSR))
		return service->maglev ? maglev_backend(service, tuple) : any_backend(service);
	if (!service->maglev) {
		serving->remembered_in = service->table;
		return remembered_backend(
			service, tuple, silence_of(tuple, pass->tcp_flags), pass->now_ns, &serving->hash);
	}
	number = balanced_backend(service, tuple, pass->tcp_flags, false, &place);
	serving->hash = place.hash;
	return number;
}

INLINE __u32 backend_of_client(const struct service *service, struct serving *serving, const struct tuple *tuple)
{
	struct service_affinity kept = {};

	if (!(service->flags & SERVICE_AFFINITY))
		return new_backend(service, tuple);
	serving->client.table = service->table;
	kept.backend = kept_backend(service, &serving->client);
	if (!kept.backend)
		kept.backend = new_backend(service, tuple);
	kept.last_ns = bpf_ktime_get_ns();
	if (kept.backend)
		bpf_map_update_elem(&service_affinity, &serving->client, &kept, BPF_ANY);
	return kept.backend;
}

/* With an enum choice_result: what it rests on has changed hands meanwhile. */
#define CHOICE_CHANGED 0x100

/* One look at the tables, for the packet in this_pass(). Returns an enum choice_result, and CHOICE_CHANGED. */
VERIFIED_ONCE int choose_once(void)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	const struct service *service;
	struct choice *choice;
	int result;

	if (!serving || !pass)
		return CHOICE_NO_SERVICE;
	choice = &serving->choice;
	address_copy(serving->asked.addr, pass->tuple.daddr);
	serving->asked.port = pass->tuple.dport;
	serving->asked.protocol = pass->tuple.protocol;
	serving->asked.scope = SERVICE_SCOPE_ANY;
	serving->asked.pad = 0;
	service = find_service(&serving->asked, false);
	if (!service)
		return CHOICE_NO_SERVICE;
	choice->frontend = service->frontend;
	choice->service = service->service;
	choice->flags = service->flags;
	choice->backend = backend_of_client(service, serving, &pass->tuple);
	result = choice->backend && read_backend(choice) ? CHOICE_MADE : CHOICE_NO_BACKEND;
	barrier();
	if (bpf_map_lookup_elem(&services, &serving->asked) == service && (result == CHOICE_MADE || !choice->backend))
		return result;
	return result | CHOICE_CHANGED;
}

/*
 * Whom the packet in this_pass() is for: serving->choice. As choose() does for sockets. Returns an enum choice_result. The
 * loop has nothing in it but a call: with all of it there, clang puts its end right before its beginning, which 6.1 refuses
 * ("back-edge").
 */
VERIFIED_ONCE int choose_for_packet(void)
{
	struct serving *serving = this_serving();
	struct pass *pass = this_pass();
	int result = CHOICE_NO_SERVICE;

	if (!serving || !pass)
		return CHOICE_NO_SERVICE;
	serving->remembered_in = 0;
	address_copy(serving->client.client, pass->tuple.saddr);
	serving->client.kind = AFFINITY_ADDRESS;
	for (int i = 0; i < SERVICE_TRIES; i++) {
		result = choose_once();
		if (!(result & CHOICE_CHANGED))
			return result;
	}
	return result & ~CHOICE_CHANGED;
}

/* Whom the fleet manages is no client from outside. */
INLINE bool is_client_refused(const struct pass *pass, const struct choice *choice)
{
	struct service_range_key key = {
		.prefixlen = SERVICE_RANGE_STATIC_BITS + ADDRESS_BITS, .service = choice->service};
	struct prefix_key owner = {.prefixlen = ADDRESS_BITS};
	bool named;

	if (!(choice->flags & SERVICE_SOURCE_RANGE))
		return false;
	__builtin_memcpy(owner.addr, pass->tuple.saddr, sizeof(owner.addr));
	if (bpf_map_lookup_elem(&ipcache, &owner))
		return false;
	__builtin_memcpy(key.addr, pass->tuple.saddr, sizeof(key.addr));
	named = bpf_map_lookup_elem(&service_ranges, &key);
	return named == !!(choice->flags & SERVICE_SOURCE_RANGE_DENY);
}

#endif
