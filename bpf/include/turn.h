/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Packets of a workload that ask for a service and that no socket hook has seen: raw packets, virtual machines, SCTP, a
 * namespace or cgroup beside the host's. Their destination becomes a backend's before policy, conntrack and flows look,
 * and the workload's own address stays their source.
 *
 * What becomes of a connection is in `service_turns`, once for each direction, and lives as long as its entry in conntrack:
 * that is what it stays with when tables change. It is begun anew when its backend is gone, or by a SYN when it has ended.
 *
 * A backend that asks for its own service and gets itself cannot send to its own address through the host. It hears from
 * the loopback address of services, and answers there. Nobody judges that: a workload may always talk to itself.
 *
 * Two connections of one client port to one backend, by different frontends or by none, are told apart by another source
 * port for the later one, as conntrack of the kernel does. SCTP keeps its ports (167).
 */
#ifndef WEIR_TURN_H
#define WEIR_TURN_H

#include "send.h"
#include "tell.h"
#include "turn_choice.h"

/* For no service: it goes where it says. Not one of the TC actions. */
#define NOT_TURNED (-2)
/* It is as its backend is to get it: to be tracked and sent on. */
#define TURNED (-3)

INLINE void loopback_of_services(__u8 *to, __u8 family)
{
	if (family == 4) {
		map_ipv4(to, bpf_htonl(SERVICE_LOOPBACK4));
	} else {
		const __be32 words[4] = {bpf_htonl(SERVICE_LOOPBACK6_WORD0), bpf_htonl(SERVICE_LOOPBACK6_WORD1), 0,
			bpf_htonl(SERVICE_LOOPBACK6_WORD3)};

		__builtin_memcpy(__builtin_assume_aligned(to, 8), words, sizeof(words));
	}
}

INLINE bool is_loopback_of_services(const __u8 *address, __u8 family)
{
	__u8 loopback[16] WEIR_ALIGNED(8);

	loopback_of_services(loopback, family);
	return address_equal(address, loopback);
}

/* As the workload sends: to a frontend. */
INLINE void turn_there_key(const struct tuple *tuple, struct nat_key *key)
{
	turn_back_key(tuple, false, key);
	key->pad = 0;
}

/* Of the connection that is `there` as the workload sends. */
INLINE void tracked_key(struct ct_key *key, const struct nat_key *there, const struct service_turn *turn)
{
	address_copy(key->local, there->local);
	address_copy(key->remote, turn->destination);
	key->local_port = turn->source_port;
	key->remote_port = turn->destination_port;
	key->protocol = there->protocol;
	key->family = there->family;
	key->icmp = CT_ICMP_NONE;
	key->pad = 0;
}

/* The connection as conntrack knows it: from the workload itself, whatever its backend sees. Live, or NULL. */
INLINE const struct ct_entry *tracked_turn(
	const struct pass *pass, struct turning *turning, const struct service_turn *turn)
{
	const struct ct_entry *entry;

	tracked_key(&turning->tracked, &turning->key, turn);
	entry = bpf_map_lookup_elem(&conntrack, &turning->tracked);
	return entry && entry->expires_ns > pass->now_ns && !is_closed(entry->flags) ? entry : NULL;
}

/*
 * Is it not to be used any more? Asked when a connection begins, and then once a second: its backend may be gone, and
 * then another one is chosen. TCP hears from that one that there is no such connection.
 */
INLINE bool is_turn_over(const struct pass *pass, struct turning *turning, struct service_turn *turn)
{
	bool begins = is_first_syn(pass);
	__u32 number = turn->backend;

	if (!begins && turn->checked_ns + NS_PER_SECOND > pass->now_ns)
		return false;
	if ((begins || pass->tuple.protocol != PROTOCOL_TCP) && !tracked_turn(pass, turning, turn))
		return true;
	if (!bpf_map_lookup_elem(&backends, &number)) {
		count(COUNTER_SERVICE_STALE);
		return true;
	}
	turn->checked_ns = pass->now_ns;
	return false;
}

INLINE void turn_back_key_of(const struct turning *turning, struct nat_key *back)
{
	address_copy(back->local, turning->fresh.source);
	address_copy(back->remote, turning->fresh.destination);
	back->local_port = turning->fresh.source_port;
	back->remote_port = turning->fresh.destination_port;
	back->protocol = turning->key.protocol;
	back->family = turning->key.family;
	back->pad = TURN_BACK;
}

/* Does another live connection of the workload have turning->fresh's source and destination? */
VERIFIED_ONCE int is_turn_taken(void)
{
	struct turning *turning = this_turning();
	struct pass *pass = this_pass();
	const struct service_turn *had;
	const struct ct_entry *entry;

	if (!turning || !pass)
		return 1;
	turn_back_key_of(turning, &turning->back);
	entry = tracked_turn(pass, turning, &turning->fresh);
	if (!entry)
		return 0;
	if (!(entry->flags & CT_SERVICE))
		return 1;
	had = bpf_map_lookup_elem(&service_turns, &turning->back);
	if (!had)
		return 0;
	return had->source_port != turning->key.remote_port || had->destination_port != turning->key.local_port ||
	       !address_equal(had->source, turning->key.remote);
}

/* Gives turning->fresh a source port. Returns a drop reason or 0. */
INLINE int find_turn_port(const struct pass *pass, struct turning *turning)
{
	__u16 port = bpf_ntohs(turning->key.local_port);

	for (int i = 0; i < WEIR_SERVICE_PORT_TRIES; i++) {
		if (!is_turn_taken())
			return 0;
		if (pass->tuple.protocol == PROTOCOL_SCTP)
			break;
		port = 0x8000 | (bpf_get_prandom_u32() & 0x7fff);
		turning->fresh.source_port = bpf_htons(port);
	}
	count(COUNTER_NAT_FAILED);
	return DROP_NAT_NO_MAPPING;
}

/* Both directions of a new connection to turning->choice. Whoever was faster with the same one has made it. Returns a drop reason or 0. */
VERIFIED_ONCE int make_turn(void)
{
	struct turning *turning = this_turning();
	struct pass *pass = this_pass();
	struct service_turn *fresh;
	int reason;

	if (!turning || !pass)
		return DROP_NAT_NO_MAPPING;
	fresh = &turning->fresh;
	__builtin_memset(fresh, 0, sizeof(*fresh));
	address_copy(fresh->destination, turning->choice.to.addr);
	fresh->destination_port = turning->choice.to.port;
	if (address_equal(turning->choice.to.addr, pass->tuple.saddr))
		loopback_of_services(fresh->source, pass->tuple.family);
	else
		address_copy(fresh->source, pass->tuple.saddr);
	fresh->source_port = pass->tuple.sport;
	fresh->backend = turning->choice.backend;
	fresh->frontend = turning->choice.frontend;
	fresh->flags = turning->choice.flags & SERVICE_LEAST ? TURN_COUNTED : 0;
	fresh->checked_ns = pass->now_ns;
	reason = find_turn_port(pass, turning);
	if (reason)
		return reason;
	if (bpf_map_update_elem(&service_turns, &turning->key, fresh, BPF_NOEXIST))
		return 0;
	count(COUNTER_SERVICE_TURNED);
	count_connection(fresh->frontend, fresh->backend);
	if (fresh->flags & TURN_COUNTED)
		load_begins(fresh->backend);
	fresh->flags = 0;
	address_copy(fresh->source, turning->key.remote);
	address_copy(fresh->destination, turning->key.local);
	fresh->source_port = turning->key.remote_port;
	fresh->destination_port = turning->key.local_port;
	return bpf_map_update_elem(&service_turns, &turning->back, fresh, BPF_ANY) ? DROP_NAT_NO_MAPPING : 0;
}

/* The packet by the connection of turning->key: TURNED, or a TC action. */
VERIFIED_ONCE int use_turn(struct __sk_buff *skb, struct workload *workload)
{
	struct turning *turning = this_turning();
	struct pass *pass = this_pass();
	const struct service_turn *turn;
	bool to_itself;

	if (!turning || !pass || !workload)
		return TC_ACT_SHOT;
	turn = bpf_map_lookup_elem(&service_turns, &turning->key);
	if (!turn)
		return refuse_for(pass, workload, DROP_NAT_NO_MAPPING);
	address_copy(turning->to.addr, turn->destination);
	turning->to.port = turn->destination_port;
	address_copy(turning->as.addr, turn->source);
	turning->as.port = turn->source_port;
	to_itself = !address_equal(turning->as.addr, pass->tuple.saddr);
	count(COUNTER_SERVICE_SENT);
	if (rewrite(skb, pass, &turning->to, REWRITE_DESTINATION) ||
		((to_itself || turning->as.port != pass->tuple.sport) &&
			rewrite(skb, pass, &turning->as, REWRITE_SOURCE)) ||
		read_checksum_again(skb, pass))
		return refuse_for(pass, workload, DROP_WRITE_ERROR);
	/* policy, conntrack and flows see the workload and its backend */
	address_copy(pass->tuple.daddr, turning->to.addr);
	pass->tuple.dport = turning->to.port;
	pass->tuple.sport = turning->as.port;
	pass->frontend = turn->frontend;
	count_packets(turn->frontend, turn->backend, pass->packets, pass->bytes);
	pass->turned = to_itself ? TURNED_TO_ITSELF : TURNED_THERE;
	return TURNED;
}

/* The packet of use_turn() is again what the workload has sent; any other stays as it is. 0 or an error. */
VERIFIED_ONCE int undo_turn(struct __sk_buff *skb)
{
	struct turning *turning = this_turning();
	struct pass *pass = this_pass();

	if (!turning || !pass)
		return -1;
	if (!pass->frontend)
		return 0;
	address_copy(turning->to.addr, turning->key.remote);
	turning->to.port = turning->key.remote_port;
	address_copy(turning->as.addr, turning->key.local);
	turning->as.port = turning->key.local_port;
	if (rewrite(skb, pass, &turning->to, REWRITE_DESTINATION) ||
		(turning->as.port != pass->tuple.sport && rewrite(skb, pass, &turning->as, REWRITE_SOURCE)))
		return -1;
	address_copy(pass->tuple.daddr, turning->to.addr);
	pass->tuple.dport = turning->to.port;
	pass->tuple.sport = turning->as.port;
	return 0;
}

/* Nobody serves what was asked for, and the flow says of what. Returns a TC action. */
INLINE int no_backend_for(
	struct __sk_buff *skb, struct pass *pass, struct workload *workload, const struct choice *choice)
{
	__builtin_memset(&pass->verdict, 0, sizeof(pass->verdict));
	pass->verdict.reason = DROP_NO_BACKEND;
	pass->verdict.frontend = choice->frontend;
	refuse(pass, workload);
	count_unserved(choice->frontend);
	return choice->flags & SERVICE_NO_BACKEND_DROP ? TC_ACT_SHOT : tell_unreachable(skb, pass);
}

/* The first packet of a connection, maybe. Returns a TC action, NOT_TURNED or TURNED. */
VERIFIED_ONCE int begin_turn(struct __sk_buff *skb, struct workload *workload)
{
	struct turning *turning = this_turning();
	struct pass *pass = this_pass();
	int result, reason;

	if (!turning || !pass || !workload)
		return TC_ACT_SHOT;
	result = choose_for_sender();
	if (result == CHOICE_NO_SERVICE)
		return NOT_TURNED;
	if (result == CHOICE_NO_BACKEND)
		return no_backend_for(skb, pass, workload, &turning->choice);
	if (pass->tuple.protocol == PROTOCOL_SCTP && turning->choice.to.port != pass->tuple.dport)
		return refuse_for(pass, workload, DROP_NAT_UNSUPPORTED_PROTO);
	reason = make_turn();
	return reason ? refuse_for(pass, workload, reason) : use_turn(skb, workload);
}

/* A workload answers what it has asked itself: back to its own address. Returns TURNED or a TC action. */
VERIFIED_ONCE int answer_itself(struct __sk_buff *skb, struct workload *workload)
{
	struct turning *turning = this_turning();
	struct pass *pass = this_pass();
	const struct service_turn *turn;
	bool about;

	if (!turning || !pass || !workload)
		return TC_ACT_SHOT;
	about = is_icmp_error(&pass->tuple);
	if (about && (pass->fragment != FRAGMENT_NONE || !parse_quoted(skb, pass)))
		return refuse_for(pass, workload, DROP_NAT_NO_MAPPING);
	turn_back_key(about ? &pass->inner : &pass->tuple, !about, &turning->back);
	turn = bpf_map_lookup_elem(&service_turns, &turning->back);
	if (!turn)
		return refuse_for(pass, workload, DROP_NAT_NO_MAPPING);
	count(COUNTER_SERVICE_GIVEN_BACK);
	if ((about ? turn_back_error(skb, pass, turn, true) : turn_back_answer(skb, pass, turn, true)) ||
		read_checksum_again(skb, pass))
		return refuse_for(pass, workload, DROP_WRITE_ERROR);
	address_copy(pass->tuple.daddr, turn->destination);
	pass->towards = 1;
	pass->turned = TURNED_TO_ITSELF;
	return TURNED;
}

#endif
