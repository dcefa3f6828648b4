/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Load balancing: the part of the contract (abi.h) that says what services are.
 *
 *   services      address, port, protocol, scope -> the frontend: its table, how many of it are active
 *   service_slots table, slot -> number of a backend: active ones first, then those that are terminating
 *   backends      number -> address and port
 *
 * A slot and a frontend change by one write each, and in between every slot below a frontend's counts names a backend
 * that was right before the change or is after it. Backends are written before the slots that name them and removed
 * after; slots that a frontend no longer counts are removed last.
 */
#ifndef WEIR_ABI_SERVICES_H
#define WEIR_ABI_SERVICES_H

#ifndef WEIR_ALIGNED
#error "include abi.h"
#endif

enum weir_service_limits {
	WEIR_MAX_SERVICES = 262144, /* frontends of a fleet: 65,536 services, four each */
	WEIR_MAX_SERVICE_SLOTS = 2097152, /* of all tables; only what is used takes memory */
	WEIR_MAX_BACKENDS = 524288,
	WEIR_MAX_SERVICE_REVERSE = 262144, /* sockets that were sent to a backend; LRU */
	WEIR_MAX_SERVICE_AFFINITY = 65536, /* clients x tables; LRU */
	WEIR_MAX_SERVICE_RANGES = 262144, /* prefixes of all services */
	WEIR_MAX_SERVICE_FLOWS = 131072, /* of slots that have changed hands, 1 in 100 when one of 100 leaves; LRU */
	WEIR_MAX_SERVICE_COUNTS = 524288, /* frontends x backends that somebody has asked */
	WEIR_MAX_SERVICE_TURNS =
		131072, /* two for each connection of a workload whose packets ask for a service; LRU */
	WEIR_SERVICE_PORT_TRIES = 8, /* ports tried when a client's is in use towards the backend */
	WEIR_MAX_SERVICE_WAYS = 4096, /* backends of which a CPU remembers the next hop; a power of two */
	WEIR_SERVICE_FLOOD = 125000, /* connections that a CPU remembers in a second */
	WEIR_MAX_MAGLEV_TABLES = 65536,
	WEIR_MAGLEV_SMALLEST = 251, /* slots; tables have one of ten sizes up to 131,071 */
};

/* A backend that asks for its own service hears from these: 169.254.42.1, fd57:6569:7200::1. Host order. */
enum weir_service_loopback {
	SERVICE_LOOPBACK4 = 0xa9fe2a01u,
	SERVICE_LOOPBACK6_WORD0 = 0xfd576569u,
	SERVICE_LOOPBACK6_WORD1 = 0x72000000u,
	SERVICE_LOOPBACK6_WORD3 = 1,
};

enum weir_service_scope {
	SERVICE_SCOPE_ANY = 0, /* as seen from outside, and from inside unless SERVICE_TWO_SCOPES */
	SERVICE_SCOPE_INTERNAL = 1, /* as seen by the workloads and processes of the fleet's hosts */
};

struct service_key {
	__u8 addr[16] WEIR_ALIGNED(8); /* of a NodePort: unspecified, of the family */
	__be16 port; /* 0: what no other entry of the address has (SERVICE_WILDCARD) */
	__u8 protocol; /* IANA number; 0 with port 0 */
	__u8 scope; /* enum weir_service_scope */
	__u32 pad;
};

/* Bits 0..15 are those that other programs of this kind show for services. */
enum weir_service_flags {
	SERVICE_EXTERNAL_IP = 1 << 0,
	SERVICE_NODE_PORT = 1 << 1,
	SERVICE_EXTERNAL_LOCAL = 1 << 2, /* clients from outside get backends of this host only */
	SERVICE_HOST_PORT = 1 << 3,
	SERVICE_AFFINITY = 1 << 4,
	SERVICE_LOAD_BALANCER = 1 << 5,
	SERVICE_ROUTABLE = 1 << 6, /* clients from outside may use it */
	SERVICE_SOURCE_RANGE = 1 << 7, /* with SERVICE_LOCAL_REDIRECT: `service_ranges` names who is not redirected */
	SERVICE_LOCAL_REDIRECT = 1 << 8,
	SERVICE_NAT46X64 = 1 << 9,
	SERVICE_L7 = 1 << 10,
	SERVICE_LOOPBACK = 1 << 11,
	SERVICE_INTERNAL_LOCAL = 1 << 12, /* clients from inside get backends of this host only */
	SERVICE_TWO_SCOPES =
		1 << 13, /* inside the fleet the entry with SERVICE_SCOPE_INTERNAL counts, if there is one */
	SERVICE_SOURCE_RANGE_DENY = 1 << 14,
	SERVICE_DSR = 1 << 15,
	SERVICE_NO_BACKEND_DROP = 1 << 16, /* who finds no backend is not told; else refused at once */
	SERVICE_WILDCARD = 1 << 17, /* nothing is served here: refused */
	SERVICE_DSR_IPIP = 1 << 18, /* with SERVICE_DSR: the packet in another one; without: an IP option */
	SERVICE_LEAST = 1 << 19, /* new connections go where fewer are open (least.h) */
};

/* `services` */
struct service {
	__u32 frontend; /* number in the fleet, never used again */
	__u32 service; /* the same, of the service that it belongs to */
	__u32 flags; /* enum weir_service_flags */
	__u32 table; /* in `service_slots` */
	__u32 active; /* slots of backends that take new connections */
	__u32 terminating; /* the slots after those: taken when there is no other */
	__u32 affinity_timeout_s; /* with SERVICE_AFFINITY */
	__u32 maglev; /* slots of its table of Maglev, for packets; 0 = it has none */
	__u32 maglev_place; /* of that table in `maglev_tables` */
};

struct service_slot_key {
	__u32 table;
	__u32 slot;
};
struct service_slot {
	__u32 backend;
	__u32 table; /* as in the key: see service.h */
};

/*
 * `maglev_tables`: place -> the slots of a table, which are swapped as a whole. Where the two differ the slot has changed hands:
 * new connections go to `current`, older ones stay with `previous` until none can be left. 0 = nobody.
 */
struct maglev_slot {
	__u32 current; /* number of a backend */
	__u32 previous; /* with MAGLEV_CHANGED: the same again, but others have had the slot in between */
};
enum weir_maglev_bits {
	MAGLEV_CHANGED = 0x80000000u, /* no backend has so high a number */
};

/*
 * `service_flows`: connections of slots that have changed hands, written by the programs: begun since (then with the
 * backend that they got), or seen since (then with the earlier one). Only TCP says which of the two a packet belongs to.
 */
struct service_flow_key {
	__u8 client[16] WEIR_ALIGNED(8);
	__u8 addr[16] WEIR_ALIGNED(8);
	__be16 client_port;
	__be16 port;
	__u8 protocol;
	__u8 pad;
	__u16 pad2;
};
struct service_flow {
	__u64 last_ns;
	__u32 backend;
	__u32 table;
	__u32 slot;
	__u32 pad;
};

/* `backends`; those that serve nobody are in no slot. */
enum weir_backend_flags {
	BACKEND_LOCAL = 1 << 0, /* a workload of this host, or this host itself */
	BACKEND_DSR = 1 << 1, /* on another host, reached natively and in the clear: it can answer clients itself */
};
struct backend {
	__u8 addr[16] WEIR_ALIGNED(8);
	__be16 port;
	__u8 protocol;
	__u8 flags; /* enum weir_backend_flags */
	__u32 host; /* of its host: number in `tunnels`; 0 = it is in none: this host, reached natively, or no host of the fleet */
};

/*
 * `service_members`: backends that clients of a table with SERVICE_AFFINITY may stay with, and those of a table with
 * SERVICE_LEAST.
 */
struct service_member_key {
	__u32 table;
	__u32 backend;
};
struct service_member {
	__u32 weight; /* with SERVICE_LEAST: who has twice the weight is to have twice the connections; else 0 */
};

/* `service_loads`: connections through frontends with SERVICE_LEAST, by backend. Written by the programs. */
struct service_load {
	__u64 begun;
	__u64 ended;
};

/* `service_affinity` */
enum weir_affinity_client {
	AFFINITY_ADDRESS = 0,
	AFFINITY_NETNS = 1, /* cookie of the network namespace in the first 8 bytes */
};
struct service_affinity_key {
	__u8 client[16] WEIR_ALIGNED(8);
	__u32 table; /* and so address and port */
	__u32 kind; /* enum weir_affinity_client */
};
struct service_affinity {
	__u64 last_ns;
	__u32 backend;
	__u32 pad;
};

/* `service_reverse`: a socket and where it was sent -> what it asked for. */
struct service_reverse_key {
	__u64 cookie;
	__u8 addr[16] WEIR_ALIGNED(8);
	__be16 port;
	__u8 protocol;
	__u8 pad;
	__u32 pad2;
};
struct service_reverse {
	__u8 addr[16] WEIR_ALIGNED(8);
	__be16 port;
	__u16 pad;
	__u32 frontend;
	__u32 service;
	__u32 backend;
};

enum weir_service_nat_flags {
	HALF_COUNTED = 1 << 0, /* in `service_loads`, as begun */
};
/*
 * `service_nat`: what `nat_in` has no room for of a connection to a frontend, by the same key. As a client sees it local is the
 * frontend; as a backend elsewhere does (NAT_ANSWER), the host.
 */
struct service_nat {
	__u8 addr[16] WEIR_ALIGNED(8); /* with NAT_BOTH: the source that its packets get */
	__be16 port;
	__u16 flags; /* enum weir_service_nat_flags */
	__u32 backend;
	__u32 frontend;
	__u32 service;
};

/*
 * `service_turns`: what becomes of the packets of a workload that ask for a service where no socket has been asked, and of
 * their answers. Each connection has two: by what the workload sends (local is the workload, remote the frontend) and, with
 * TURN_BACK as pad, by what its backend gets (local is the source that the backend sees, remote the backend).
 */
enum weir_service_turn_bits {
	TURN_BACK = 1,
};
enum weir_service_turn_flags {
	TURN_COUNTED = 1 << 30, /* in `service_loads`, as begun; only in that by what the workload sends */
};
struct service_turn {
	__u8 source[16] WEIR_ALIGNED(8);
	__u8 destination[16] WEIR_ALIGNED(8);
	__be16 source_port;
	__be16 destination_port;
	__u32 backend;
	__u32 frontend;
	__u32 flags; /* enum weir_service_turn_flags */
	__u64 checked_ns; /* when it was last seen that it may be used */
};

/* `service_ranges`: clients that a service with SERVICE_SOURCE_RANGE names. LPM trie; `service` is always matched whole. */
enum weir_service_range_bits {
	SERVICE_RANGE_STATIC_BITS = 32,
};
struct service_range_key {
	__u32 prefixlen;
	__u32 service;
	__u8 addr[16] WEIR_ALIGNED(4);
};
struct service_range {
	__u32 flags; /* reserved, 0 */
};

/* Context of turn_sweep (BPF_PROG_RUN): in and out. */
struct turn_sweep_ctx {
	__u64 now_ns; /* in: CLOCK_MONOTONIC; 0 = read the clock */
	__u32 failed; /* out: 1 = the walk itself failed */
	__u32 pad;
};

/* Context of services_count (BPF_PROG_RUN): how full the maps are that the programs write. */
struct service_count_ctx {
	__u64 sockets; /* out: in `service_reverse` */
	__u64 clients; /* out: in `service_affinity` */
	__u32 failed; /* out: 1 = a walk itself failed */
	__u32 pad;
};

/* `node_addresses`: where NodePorts are served. */
struct node_address {
	__u32 flags; /* reserved, 0 */
};

/* `service_settings`: array of one. */
struct service_settings {
	__u64 host_netns; /* cookie of the host's own network namespace; 0 = not known */
	__u16 node_port_low; /* host order, both included */
	__u16 node_port_high;
	__u32 hash_seed1; /* the fleet's 12 bytes: a connection has the same slot on every host, and nobody outside knows which */
	__u32 hash_seed2;
	__u32 hash_seed3;
	__be32 source4_bits; /* of source4 that a connection's hash decides, so that receivers spread over their queues */
	__be32 source6_bits; /* the same of the last 4 bytes of source6 */
	__u8 source4[16] WEIR_ALIGNED(
		8); /* of packets that carry another to its backend, v4-mapped; all zero = none leave */
	__u8 source6[16] WEIR_ALIGNED(8);
};

/*
 * `service_counts`: what clients asked of a frontend, by who served them, per CPU. Packets that sockets send carry no
 * service's address: of them connections are counted, and datagrams of sockets without connection as packets.
 */
struct service_count_key {
	__u32 frontend;
	__u32 backend; /* 0: nobody; COUNTS_PAST: all those that the service does not have any more */
};
enum weir_service_count_bits {
	COUNTS_PAST = 0xffffffffu, /* written by the agent */
};
struct service_count {
	__u64 connections; /* begun: by sockets, or by packets where a mapping was made */
	__u64 packets; /* of clients */
	__u64 bytes; /* of those that came as packets, L3 */
	__u64 flow_hits; /* in `service_flows`: remembered, where a slot of Maglev has changed hands */
	__u64 flow_misses; /* and not */
	__u64 no_backend; /* connections and packets refused: nobody serves (158) */
	__u64 denied; /* packets of clients that the source ranges refuse (177) */
};

/* `service_ways`: how a CPU sends packets to a backend in XDP, kept for WAY_JIFFIES where the last bits of its number say. */
struct service_way {
	__u64 until; /* jiffies */
	__u8 addr[16] WEIR_ALIGNED(8);
	__u8 macs[12] WEIR_ALIGNED(4); /* destination, source */
	__u32 mtu;
	__u32 ifindex; /* 0 = the stack does it */
	__u32 number; /* of the backend */
	__be16 port;
	__u16 pad;
	__u32 pad2;
};

/* `service_floods`: array of one, per CPU. */
struct service_flood {
	__u64 second;
	__u64 remembered;
};

#endif
