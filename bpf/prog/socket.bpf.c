/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Load balancing where a connection begins: a socket that asks for a service is connected to one of its backends, so
 * no packet ever carries the service's address and none costs anything more. Policy, conntrack and flows see the backend.
 * What the application reads back (getpeername, recvmsg) is what it asked for.
 *
 * TCP and UDP. The kernel has no such hooks for SCTP.
 */
#include "base.h"

#include "asked.h"
#include "events.h"
#include "service.h"
#include "service_count.h"
#include "socket_counts.h"

#define AF_INET 2
#define AF_INET6 10
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17

#define REFUSE 0
#define GO_ON 1

/* asm-generic/errno.h */
#define EPERM 1
#define EADDRINUSE 98
#define ECONNREFUSED 111

INLINE void mapped(__u8 *to, __be32 v4)
{
	__u32 words[4] = {0, 0, bpf_htonl(0xffff), v4};

	__builtin_memcpy(to, words, sizeof(words));
}

INLINE bool is_host(__u64 netns)
{
	const struct service_settings *settings = settings_of_services();

	return settings && settings->host_netns && settings->host_netns == netns;
}

INLINE bool asked_the_same(const struct service_reverse *had, const struct service_reverse *now)
{
	return had->frontend == now->frontend && had->service == now->service && had->backend == now->backend &&
	       had->port == now->port && address_equal(had->addr, now->addr);
}

INLINE void remember(struct bpf_sock_addr *ctx, const struct service_key *asked, const struct choice *choice)
{
	struct service_reverse_key key = {
		.cookie = bpf_get_socket_cookie(ctx),
		.port = choice->to.port,
		.protocol = asked->protocol,
	};
	struct service_reverse value = {
		.port = asked->port,
		.frontend = choice->frontend,
		.service = choice->service,
		.backend = choice->backend,
	};
	const struct service_reverse *had;

	address_copy(key.addr, choice->to.addr);
	address_copy(value.addr, asked->addr);
	/* every datagram comes by here, and an update takes a place from the LRU even for a key that is there */
	had = bpf_map_lookup_elem(&service_reverse, &key);
	if (had && asked_the_same(had, &value))
		return;
	if (bpf_map_update_elem(&service_reverse, &key, &value, BPF_ANY))
		count_atomic(COUNTER_SERVICE_REVERSE_FAILED);
	else if (!had)
		count_atomic(COUNTER_SERVICE_REVERSE_CREATED);
}

/* What a socket asked for and did not get, as a flow of its workload. Sockets of the host and of others have none. */
VERIFIED_ONCE int report_refused(struct service_key *asked, __u64 netns, __u32 frontend)
{
	__u32 *ifindex = bpf_map_lookup_elem(&netns_workloads, &netns);
	struct throttled_key throttled = {.reason = DROP_NO_BACKEND, .direction = DIRECTION_EGRESS};
	struct workload *workload;
	struct flow_event *event;
	__u64 now;

	if (!asked || !ifindex)
		return 0;
	workload = bpf_map_lookup_elem(&workloads, ifindex);
	if (!workload)
		return 0;
	now = bpf_ktime_get_ns();
	if (!may_report(workload->ifindex, now)) {
		throttled.ifindex = workload->ifindex;
		throttled.workload_id = workload->id;
		count_throttled(&throttled, 1, 0);
		return 0;
	}
	event = reserve(now);
	if (!event) {
		count_atomic(COUNTER_EVENTS_LOST);
		return 0;
	}
	address_copy(event->saddr, is_v4(asked->addr) ? workload->ip4 : workload->ip6);
	address_copy(event->daddr, asked->addr);
	event->sport = 0;
	event->dport = asked->port;
	event->protocol = asked->protocol;
	event->family = is_v4(asked->addr) ? 4 : 6;
	event->tcp_flags = 0;
	event->verdict = VERDICT_DROPPED;
	event->source_identity = workload->identity;
	event->destination_identity = IDENTITY_WORLD;
	event->rule_id = 0;
	event->workload_id = workload->id;
	event->ifindex = workload->ifindex;
	event->drop_reason = DROP_NO_BACKEND;
	event->direction = DIRECTION_EGRESS;
	event->is_reply = 0;
	event->trace_point = TRACE_FROM_ENDPOINT;
	event->trace_reason = TRACE_REASON_NEW;
	event->report = REPORT_DROP;
	event->icmp_type = 0;
	event->icmp_code = 0;
	event->encrypted = 0;
	event->frontend = frontend;
	event->sock_xlate = SOCK_XLATE_PRE_DIRECTION_FWD;
	event->packets = 1;
	event->bytes = 0;
	event->connection_ns = 0;
	submit(event);
	return 1;
}

/* Sockets run in processes, and programs of the tc layer may come in between: additions are atomic. */
INLINE int no_backend(struct bpf_sock_addr *ctx, struct service_key *asked, const struct choice *choice)
{
	count_atomic(COUNTER_SERVICE_REFUSED);
	count_unserved(choice->frontend);
	count_drop_atomic(DROP_NO_BACKEND, DIRECTION_EGRESS, 1, 0);
	report_refused(asked, bpf_get_netns_cookie(ctx), choice->frontend);
	bpf_set_retval(choice->flags & SERVICE_NO_BACKEND_DROP ? -EPERM : -ECONNREFUSED);
	return REFUSE;
}

/* Whom a socket is sent to; the caller writes it into the context. */
INLINE enum choice_result balance(
	struct bpf_sock_addr *ctx, struct service_key *asked, struct choice *choice, bool connects)
{
	struct service_affinity_key client = {.kind = AFFINITY_NETNS};
	__u64 netns = bpf_get_netns_cookie(ctx);
	enum choice_result result;

	asked->port = (__be16)ctx->user_port;
	asked->protocol = ctx->protocol;
	if (asked->protocol != PROTOCOL_TCP && asked->protocol != PROTOCOL_UDP)
		return CHOICE_NO_SERVICE;
	__builtin_memcpy(client.client, &netns, sizeof(netns));
	result = choose(asked, &client, is_host(netns), choice);
	if (result != CHOICE_MADE)
		return result;
	remember(ctx, asked, choice);
	count_socket(ctx, choice, connects);
	return CHOICE_MADE;
}

INLINE int send4(struct bpf_sock_addr *ctx, bool connects)
{
	struct service_key asked = {};
	struct choice choice = {};
	__u32 words[4];

	mapped(asked.addr, ctx->user_ip4);
	switch (balance(ctx, &asked, &choice, connects)) {
	case CHOICE_MADE:
		__builtin_memcpy(words, choice.to.addr, sizeof(words));
		ctx->user_ip4 = words[3];
		ctx->user_port = choice.to.port;
		return GO_ON;
	case CHOICE_NO_BACKEND:
		return no_backend(ctx, &asked, &choice);
	default:
		return GO_ON;
	}
}

INLINE void read6(__u8 *to, struct bpf_sock_addr *ctx)
{
	__u32 words[4];

	words[0] = ctx->user_ip6[0];
	words[1] = ctx->user_ip6[1];
	words[2] = ctx->user_ip6[2];
	words[3] = ctx->user_ip6[3];
	__builtin_memcpy(to, words, sizeof(words));
}

INLINE void write6(struct bpf_sock_addr *ctx, const __u8 *from)
{
	__u32 words[4];

	__builtin_memcpy(words, from, sizeof(words));
	ctx->user_ip6[0] = words[0];
	ctx->user_ip6[1] = words[1];
	ctx->user_ip6[2] = words[2];
	ctx->user_ip6[3] = words[3];
}

/* An IPv4 address in an IPv6 socket is v4-mapped already, and so is its backend's. */
INLINE int send6(struct bpf_sock_addr *ctx, bool connects)
{
	struct service_key asked = {};
	struct choice choice = {};

	read6(asked.addr, ctx);
	switch (balance(ctx, &asked, &choice, connects)) {
	case CHOICE_MADE:
		write6(ctx, choice.to.addr);
		ctx->user_port = choice.to.port;
		return GO_ON;
	case CHOICE_NO_BACKEND:
		return no_backend(ctx, &asked, &choice);
	default:
		return GO_ON;
	}
}

/* What the socket asked for when it was sent to this address; NULL = to nobody's. */
INLINE struct service_reverse *asked_for(struct bpf_sock_addr *ctx, struct service_reverse_key *key)
{
	key->cookie = bpf_get_socket_cookie(ctx);
	key->port = (__be16)ctx->user_port;
	key->protocol = ctx->protocol;
	return bpf_map_lookup_elem(&service_reverse, key);
}

INLINE int receive4(struct bpf_sock_addr *ctx)
{
	struct service_reverse_key key = {};
	struct service_reverse *asked;
	__u32 words[4];

	mapped(key.addr, ctx->user_ip4);
	asked = asked_for(ctx, &key);
	if (asked) {
		__builtin_memcpy(words, asked->addr, sizeof(words));
		ctx->user_ip4 = words[3];
		ctx->user_port = asked->port;
	}
	return GO_ON;
}

INLINE int receive6(struct bpf_sock_addr *ctx)
{
	struct service_reverse_key key = {};
	struct service_reverse *asked;

	read6(key.addr, ctx);
	asked = asked_for(ctx, &key);
	if (asked) {
		write6(ctx, asked->addr);
		ctx->user_port = asked->port;
	}
	return GO_ON;
}

SEC("cgroup/connect4")
int service_connect4(struct bpf_sock_addr *ctx)
{
	return send4(ctx, true);
}

SEC("cgroup/connect6")
int service_connect6(struct bpf_sock_addr *ctx)
{
	return send6(ctx, true);
}

SEC("cgroup/sendmsg4")
int service_sendmsg4(struct bpf_sock_addr *ctx)
{
	return send4(ctx, false);
}

SEC("cgroup/sendmsg6")
int service_sendmsg6(struct bpf_sock_addr *ctx)
{
	return send6(ctx, false);
}

SEC("cgroup/recvmsg4")
int service_recvmsg4(struct bpf_sock_addr *ctx)
{
	return receive4(ctx);
}

SEC("cgroup/recvmsg6")
int service_recvmsg6(struct bpf_sock_addr *ctx)
{
	return receive6(ctx);
}

SEC("cgroup/getpeername4")
int service_getpeername4(struct bpf_sock_addr *ctx)
{
	return receive4(ctx);
}

SEC("cgroup/getpeername6")
int service_getpeername6(struct bpf_sock_addr *ctx)
{
	return receive6(ctx);
}

/* A process of the host that got the port of a NodePort would never hear a client: they are sent on before. */
INLINE int may_bind(struct bpf_sock *ctx, struct service_key *key)
{
	const struct service_settings *settings = settings_of_services();
	__u16 port = ctx->src_port;
	struct address_key address;
	struct service_key any;

	if (!settings || port < settings->node_port_low || port > settings->node_port_high)
		return GO_ON;
	if (ctx->protocol != PROTOCOL_TCP && ctx->protocol != PROTOCOL_UDP)
		return GO_ON;
	if (!is_host(bpf_get_netns_cookie(ctx)))
		return GO_ON;
	key->port = bpf_htons(port);
	key->protocol = ctx->protocol;
	address_copy(address.addr, key->addr);
	any = *key;
	any_address(any.addr, is_v4(key->addr));
	if (!address_equal(any.addr, key->addr) && !address_zero(key->addr) &&
		!bpf_map_lookup_elem(&node_addresses, &address))
		return GO_ON;
	if (!bpf_map_lookup_elem(&services, &any))
		return GO_ON;
	count_atomic(COUNTER_SERVICE_BINDS);
	bpf_set_retval(-EADDRINUSE);
	return REFUSE;
}

SEC("cgroup/post_bind4")
int service_post_bind4(struct bpf_sock *ctx)
{
	struct service_key key = {};

	mapped(key.addr, ctx->src_ip4);
	return may_bind(ctx, &key);
}

SEC("cgroup/post_bind6")
int service_post_bind6(struct bpf_sock *ctx)
{
	struct service_key key = {};
	__u32 words[4];

	words[0] = ctx->src_ip6[0];
	words[1] = ctx->src_ip6[1];
	words[2] = ctx->src_ip6[2];
	words[3] = ctx->src_ip6[3];
	__builtin_memcpy(key.addr, words, sizeof(words));
	return may_bind(ctx, &key);
}

/* What a connected socket asked for is forgotten with it; of others the LRU lets go. */
SEC("cgroup/sock_release")
int service_sock_release(struct bpf_sock *ctx)
{
	struct service_reverse_key key = {};
	__u32 words[4];

	key.cookie = bpf_get_socket_cookie(ctx);
	close_socket(key.cookie);
	key.port = ctx->dst_port;
	if (!key.port)
		return GO_ON;
	if (ctx->family == AF_INET) {
		mapped(key.addr, ctx->dst_ip4);
	} else {
		words[0] = ctx->dst_ip6[0];
		words[1] = ctx->dst_ip6[1];
		words[2] = ctx->dst_ip6[2];
		words[3] = ctx->dst_ip6[3];
		__builtin_memcpy(key.addr, words, sizeof(words));
	}
	key.protocol = ctx->protocol;
	if (!bpf_map_delete_elem(&service_reverse, &key))
		count_atomic(COUNTER_SERVICE_REVERSE_ENDED);
	return GO_ON;
}

SEC("syscall")
int services_count(struct service_count_ctx *ctx)
{
	count_remembered(ctx);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
