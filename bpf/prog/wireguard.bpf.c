/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What came through the WireGuard device: marked, because further on, after routing or
 * out of the tunnel, nothing else tells that it was encrypted. Whose it is needs no
 * proof here: the device gives out only what the peer with that key may send.
 */
#include "base.h"

SEC("tc")
int from_wireguard(struct __sk_buff *skb)
{
	skb->mark = MARK_DECRYPTED;
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
