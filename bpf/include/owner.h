/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Whose socket a packet is from. It still has its socket where it leaves the workload, in whichever namespace that is, and the
 * socket has its owner (owner.bpf.c). What a workload gets has no socket yet: its answers have.
 */
#ifndef WEIR_OWNER_H
#define WEIR_OWNER_H

#include "owner_maps.h"
#include "pass.h"

/* NULL: of a socket that nobody has seen, of the kernel's own, or of none. */
INLINE struct owner *owner_of_packet(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk, *full;

	if (!sk)
		return NULL;
	full = bpf_sk_fullsock(sk);
	if (!full) /* a connection that is being accepted */
		full = bpf_get_listener_sock(sk);
	return full ? bpf_sk_storage_get(&socket_owners, full, NULL, 0) : NULL;
}

/* Programs of sockets have the workload's in both directions, others only where it sends. */
INLINE bool has_own_socket(const struct pass *pass)
{
#ifdef WEIR_INTERRUPTIBLE
	return true;
#else
	return !pass->towards;
#endif
}

/* Of a packet that opens a connection, or is refused. */
INLINE void know_owner(struct __sk_buff *skb, struct pass *pass)
{
	const struct owner *owner = has_own_socket(pass) ? owner_of_packet(skb) : NULL;

	if (owner)
		pass->verdict.owner = *owner;
}

/* When a tracked connection is told of: its socket may have changed hands. */
INLINE void note_owner(struct __sk_buff *skb, const struct pass *pass, struct ct_entry *entry)
{
	const struct owner *owner = has_own_socket(pass) ? owner_of_packet(skb) : NULL;

	if (owner && owner->pid)
		entry->owner = *owner;
}

/* Of a packet of a tracked connection that is refused. */
INLINE void tell_owner(struct __sk_buff *skb, struct pass *pass, const struct ct_entry *entry)
{
	pass->verdict.owner = entry->owner;
	know_owner(skb, pass);
}

#endif
