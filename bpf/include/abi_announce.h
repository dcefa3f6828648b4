/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Announcement of service addresses: the part of the contract (abi.h) that says for which
 * addresses this host answers ARP and neighbour solicitations, and with which MAC.
 */
#ifndef WEIR_ABI_ANNOUNCE_H
#define WEIR_ABI_ANNOUNCE_H

#ifndef WEIR_ALIGNED
#error "include abi.h"
#endif

enum weir_announce_limits {
	WEIR_MAX_ANNOUNCED = 65536, /* addresses x interfaces; only what is used takes memory */
};

enum weir_announce_state {
	ANNOUNCE_HELD = 0,
	ANNOUNCE_YIELDED = 1, /* somebody else answers for it: silent until the agent has its lease confirmed */
};

struct announced_key {
	__u8 addr[16] WEIR_ALIGNED(8);
	__u32 ifindex;
	__u32 pad;
};

struct announced {
	__u8 mac[6] WEIR_ALIGNED(2); /* of the interface */
	__u16 pad;
	__u32 state; /* enum weir_announce_state */
	__u32 others; /* how often somebody else spoke for it */
	__u64 answered;
	__u8 other_mac[6] WEIR_ALIGNED(2); /* who did so last */
	__u16 pad2;
};

#endif
