/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Workloads that are cgroups: systemd units and other processes with the host's own address. These programs stand at the
 * workload's cgroup and nowhere else, so other processes of the host pay nothing. What a socket sends passes before it
 * is cut into fragments, what it receives after they are put together.
 *
 * Policy, conntrack and flows are those of all workloads. What is different:
 *  - They run in processes, with all interrupts on: see held_pass.
 *  - Who shares the host's address is known by its socket. Between two processes of the host (over the loopback device)
 *    the other one's socket is looked up when a connection begins; a workload is never kept from itself.
 *  - Nothing here chooses a way: routes, tunnels and gateways are the host's.
 */
#define WEIR_INTERRUPTIBLE

#include "base.h"

#include "source.h"
#include "track.h"

#define REFUSE 0
#define PASS 1

#define LOOPBACK_IFINDEX 1

/*
 * A process in here may be interrupted by packets that arrive, and other processes may run meanwhile: who takes a place
 * has it alone until it is done.
 */
#define HELD_PASSES 6

struct held_pass {
	struct pass pass;
	__u32 busy;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HELD_PASSES);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct held_pass));
} socket_scratch SEC(".maps") DOC("what is known about packets of sockets that are being judged on one CPU");

INLINE struct held_pass *held(__u32 place)
{
	return bpf_map_lookup_elem(&socket_scratch, &place);
}

/* A place that nobody has; HELD_PASSES: there is none. */
INLINE __u32 take_place(void)
{
	__u32 place;

	for (place = 0; place < HELD_PASSES; place++) {
		struct held_pass *one = held(place);

		if (one && __sync_val_compare_and_swap(&one->busy, 0, 1) == 0)
			break;
	}
	return place;
}

INLINE void leave_place(__u32 place)
{
	struct held_pass *one = held(place);

	if (one)
		__sync_lock_test_and_set(&one->busy, 0);
}

/* The tuple by which the kernel finds the socket that gets packets like this; `answer`: like its answer. */
INLINE __u32 socket_tuple(const struct tuple *packet, bool answer, struct bpf_sock_tuple *tuple)
{
	const __u8 *from = answer ? packet->daddr : packet->saddr, *to = answer ? packet->saddr : packet->daddr;
	__be16 sport = answer ? packet->dport : packet->sport, dport = answer ? packet->sport : packet->dport;

	if (packet->family == 4) {
		tuple->ipv4.saddr = address_words(from)[3];
		tuple->ipv4.daddr = address_words(to)[3];
		tuple->ipv4.sport = sport;
		tuple->ipv4.dport = dport;
		return sizeof(tuple->ipv4);
	}
	__builtin_memcpy(tuple->ipv6.saddr, from, 16);
	__builtin_memcpy(tuple->ipv6.daddr, to, 16);
	tuple->ipv6.sport = sport;
	tuple->ipv6.dport = dport;
	return sizeof(tuple->ipv6);
}

INLINE __u32 number_of_socket(struct bpf_sock *sk)
{
	__u64 id = bpf_sk_cgroup_id(sk);
	__u32 *number = bpf_map_lookup_elem(&cgroup_workloads, &id);
	int level;

	for (level = CGROUP_LEVELS; !number && level > 0; level--) {
		id = bpf_sk_ancestor_cgroup_id(sk, level);
		if (id)
			number = bpf_map_lookup_elem(&cgroup_workloads, &id);
	}
	return number ? *number : 0;
}

/* Number of the workload that has the other end of a packet within this host; 0: none, or it cannot be told. */
VERIFIED_ONCE int find_other_end(struct __sk_buff *skb, struct pass *pass)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk;
	__u32 size, number;

	if (!pass)
		return 0;
	size = socket_tuple(&pass->tuple, pass->towards, &tuple);
	if (pass->tuple.protocol == PROTOCOL_TCP)
		sk = size == sizeof(tuple.ipv4)
		             ? bpf_sk_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0)
		             : bpf_sk_lookup_tcp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	else if (pass->tuple.protocol == PROTOCOL_UDP)
		sk = size == sizeof(tuple.ipv4)
		             ? bpf_sk_lookup_udp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0)
		             : bpf_sk_lookup_udp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	else
		return 0;
	if (!sk)
		return 0;
	number = number_of_socket(sk);
	bpf_sk_release(sk);
	return number;
}

/* Of a packet within this host: whose it is, or whom it is for. */
INLINE void know_other_end(struct __sk_buff *skb, struct pass *pass, const struct workload *workload)
{
	const struct workload *other;
	__u32 number;

	if (!pass->within_host)
		return;
	number = find_other_end(skb, pass);
	other = number ? bpf_map_lookup_elem(&workloads, &number) : NULL;
	pass->itself = other && number == workload->ifindex;
	pass->socket_identity = other ? other->identity : IDENTITY_HOST;
}

INLINE int follow_socket(struct __sk_buff *skb, struct pass *pass, struct workload *workload, struct ct_entry *entry)
{
	bool reply = is_reply(entry, pass->towards);
	int reason;

	pass->verdict.reply = reply;
	pass->verdict.ingress = !!(entry->flags & CT_INGRESS);
	pass->verdict.connection_ns = entry->created_ns;
	pass->peer_host = entry->peer_host;
	if (pass->towards && pass->peer_host && must_be_tunnelled(pass))
		return DROP_INVALID_SOURCE_IP;
	if (judgement_is_stale(pass, workload, entry, reply) && !pass->related) {
		know_other_end(skb, pass, workload);
		if (!pass->itself && !(entry->flags & CT_ITSELF)) {
			reason = judge_again(pass, workload, entry);
			if (reason) {
				tell_owner(skb, pass, entry);
				return reason;
			}
		}
	}
	count_packet(skb, pass, entry, reply);
	return 0;
}

INLINE int open_socket(struct __sk_buff *skb, struct pass *pass, struct workload *workload, struct ct_entry *old)
{
	__u32 flags = (pass->towards ? JUDGE_INGRESS : 0) | (pass->from_host ? JUDGE_FROM_HOST : 0);
	int reason;

	pass->verdict.ingress = pass->towards;
	know_owner(skb, pass);
	if (!pass->towards) {
		if (!pass->related && !is_icmp(&pass->tuple))
			pass->verdict.frontend = asked_by_socket(skb, &pass->tuple);
		find_target(pass);
		if (pass->within_host)
			pass->trace_point = TRACE_TO_HOST;
		pass->target = 0;
	} else if (is_forged(pass)) {
		return DROP_INVALID_SOURCE_IP;
	}
	know_other_end(skb, pass, workload);
	if (pass->related || pass->itself) {
		pass->verdict.peer_identity = pass->itself ? workload->identity : IDENTITY_WORLD;
	} else {
		reason = judge(pass, workload, flags);
		if (reason)
			return reason;
	}
	if (pass->towards && pass->peer_host && must_be_tunnelled(pass))
		return DROP_INVALID_SOURCE_IP;
	return create_connection(pass, workload, old);
}

/* As track(), for the packet in that place. Returns a drop reason or 0. */
VERIFIED_ONCE int track_socket(struct __sk_buff *skb, struct workload *workload, __u32 place)
{
	struct held_pass *one = held(place);
	struct ct_entry *entry;
	struct pass *pass;
	int reason;

	if (!one || !workload)
		return DROP_EP_NOT_READY;
	pass = &one->pass;
	__builtin_memset(&pass->verdict, 0, sizeof(pass->verdict));
	connection_key(&pass->tuple, pass->towards, &pass->key);
	if (is_icmp_error(&pass->tuple) && find_related_of(skb, pass, workload)) {
		pass->related = 1;
		message_key(&pass->tuple, pass->towards, true, &pass->key);
	}
	entry = bpf_map_lookup_elem(&conntrack, &pass->key);
	if (!is_alive(entry, workload, pass->now_ns) && is_echo_reply(&pass->tuple)) {
		/* nobody asked: a message like any other */
		message_key(&pass->tuple, pass->towards, false, &pass->key);
		entry = bpf_map_lookup_elem(&conntrack, &pass->key);
	}
	if (!(workload->flags & WORKLOAD_LOCKDOWN) && is_alive(entry, workload, pass->now_ns) &&
		!opens_anew(pass, entry, is_reply(entry, pass->towards)))
		reason = follow_socket(skb, pass, workload, entry);
	else
		reason = open_socket(skb, pass, workload, entry);
	if (reason > 0) {
		pass->verdict.reason = reason;
		refuse(pass, workload);
	}
	return reason;
}

/* What is read of the packet begins at its IP header. */
VERIFIED_ONCE int parse_socket(struct __sk_buff *skb, struct pass *pass)
{
	if (!pass)
		return DROP_INVALID_PACKET;
	forget(skb, pass);
	pass->within_host = skb->ifindex == LOOPBACK_IFINDEX;
	pass->l3 = 0;
	pass->ethertype = skb->protocol;
	return parse_l3(skb, pass);
}

INLINE int judge_packet(struct __sk_buff *skb, __u32 place, bool towards)
{
	struct held_pass *one = held(place);
	__u32 number = number_of_packet(skb);
	struct workload *workload = bpf_map_lookup_elem(&workloads, &number);
	struct pass *pass;
	int reason;

	if (!one)
		return REFUSE;
	pass = &one->pass;
	ask_nothing(pass);
	pass->towards = towards;
	pass->gateway = 0;
	pass->tunnel_identity = 0;
	pass->unmasqueraded = 0;
	pass->encrypted = 0;
	reason = parse_socket(skb, pass);
	pass->from_host = pass->within_host;
	pass->came_by = towards && !pass->within_host ? skb->ingress_ifindex : 0;
	if (!workload || !(workload->flags & WORKLOAD_READY))
		reason = DROP_EP_NOT_READY;
	if (reason) {
		refuse_for(pass, workload, reason);
		return REFUSE;
	}
	if (pass->kind != PACKET_FLOW) /* of the link, which the host's stack keeps */
		return PASS;
	return track_socket(skb, workload, place) ? REFUSE : PASS;
}

INLINE int judge_socket(struct __sk_buff *skb, bool towards)
{
	__u32 place = take_place();
	int verdict;

	count(towards ? COUNTER_SOCKETS_IN : COUNTER_SOCKETS_OUT);
	if (place >= HELD_PASSES) {
		count(COUNTER_SOCKETS_BUSY);
		return REFUSE;
	}
	verdict = judge_packet(skb, place, towards);
	leave_place(place);
	return verdict;
}

SEC("cgroup_skb/egress")
int from_sockets(struct __sk_buff *skb)
{
	return judge_socket(skb, false);
}

SEC("cgroup_skb/ingress")
int to_sockets(struct __sk_buff *skb)
{
	return judge_socket(skb, true);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
