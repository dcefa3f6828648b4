/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The whole kernel/user contract: every map key and value, every event, every
 * constant that both sides read. Declared here once; clang writes it into the
 * objects' BTF and codegen/ turns that into TypeScript (gen/). Nothing here is
 * ever repeated by hand on the user side.
 *
 * Conventions
 *  - Addresses are 16 bytes in network order; IPv4 is stored v4-mapped
 *    (::ffff:a.b.c.d, RFC 4291 2.5.5.2), so one code path serves both families.
 *    `family` (4 or 6) stands beside it wherever a real v4-mapped IPv6 address
 *    could be mistaken for IPv4; such addresses on the wire are dropped.
 *  - `__be*` fields are in network byte order, all others in host order.
 *  - Times are CLOCK_MONOTONIC nanoseconds unless the name says otherwise.
 *  - WEIR_ALIGNED only tells clang that the place is aligned, so that 16 bytes
 *    move in two instructions; it never changes an offset.
 *  - Structs have no implicit padding; new fields go to the end; any other
 *    change raises WEIR_ABI_VERSION.
 */
#ifndef WEIR_ABI_H
#define WEIR_ABI_H

#include "drop_reasons.h"

#define WEIR_ALIGNED(bytes) __attribute__((aligned(bytes)))

enum weir_abi {
	WEIR_ABI_VERSION = 1,
};

/* Capacities. Reasons beside each; the agent may lower them before load. */
enum weir_limits {
	WEIR_MAX_WORKLOADS = 4096, /* per host; four times the densest container hosts seen */
	WEIR_MAX_IPCACHE = 524288, /* prefixes: 10,000 hosts x ~50 workload addresses */
	WEIR_MAX_HOSTS = 16384, /* of a fleet, that a host knows as peers */
	WEIR_MAX_IDENTITIES = 262144, /* of a fleet: label sets */
	WEIR_MAX_CIDRS = 65536, /* policy CIDR prefixes on one host */
	WEIR_MAX_CONNTRACK = 524288, /* one entry per workload and connection, LRU */
	WEIR_MAX_FRAGS = 16384, /* datagrams in flight, both families; LRU */
	WEIR_MAX_POLICY = 16384, /* entries per workload, as EVAL says; overflow = lockdown */
	WEIR_MAX_THROTTLED = 16384, /* workloads x reasons x directions of which events were held back */
	WEIR_EVENTS_BYTES = 8388608, /* ring buffer: ~60k flow events, 0.2 s at 300k/s */
	WEIR_MAX_IPV6_EXT = 8, /* extension headers walked before giving up */
	WEIR_MAX_UPLINKS = 64, /* interfaces with programs of host.bpf.c */
	WEIR_MAX_STRICT = 4096, /* prefixes between which nothing goes in the clear */
	WEIR_MAX_NAT = 131072, /* masqueraded connections, LRU: a quarter of what conntrack holds */
	WEIR_MAX_UNMASQUERADED = 65536, /* prefixes: pools of the fleet, other hosts, what the configuration names */
	WEIR_MAX_VLANS = 4096, /* every id */
	WEIR_MAX_PREFILTER = 524288, /* prefixes that the prefilter denies: ten times the lists seen */
	WEIR_MAX_EGRESS_SOURCES = 262144, /* addresses that leave by a gateway: on a gateway, of the fleet */
	WEIR_MAX_EGRESS_ROUTES = 65536, /* prefixes of all sets: workloads that the same documents select share a set */
	WEIR_MAX_EGRESS_GROUPS = 1024, /* documents x hops */
	WEIR_MAX_EGRESS_GATEWAYS = 4096, /* hosts of all groups; 16 bits in conntrack */
	WEIR_ANSWERS_PER_SECOND =
		1000, /* of one workload's refusals, with a tenth of a second's at once; as Linux limits its own errors */
	WEIR_NAT_TRIES = 32, /* ports tried for one connection: 9 of 10 taken, and 97 in 100 still find one */
};

/* Numbers below 256 are fixed and mean what Cilium's mean. */
enum weir_identity {
	IDENTITY_UNKNOWN = 0, /* in a policy key: any identity */
	IDENTITY_HOST = 1,
	IDENTITY_WORLD = 2,
	IDENTITY_UNMANAGED = 3,
	IDENTITY_HEALTH = 4,
	IDENTITY_INIT = 5,
	IDENTITY_REMOTE_NODE = 6,
	IDENTITY_KUBE_APISERVER = 7,
	IDENTITY_INGRESS = 8,
	IDENTITY_WORLD_IPV4 = 9,
	IDENTITY_WORLD_IPV6 = 10,
	IDENTITY_FIRST_ALLOCATED = 256,
	IDENTITY_SCOPE_CIDR = 0x01000000, /* host-local, one per policy CIDR prefix */
	IDENTITY_SCOPE_REMOTE_NODE = 0x02000000,
	/* host-local twin of a CIDR identity (same low 24 bits): policy entries of
	 * rules whose CIDR also matches managed workloads (Kubernetes ipBlock). */
	IDENTITY_SCOPE_IPBLOCK = 0x04000000,
	IDENTITY_SCOPE_MASK = 0xff000000,
};

enum weir_verdict {
	VERDICT_UNKNOWN = 0,
	VERDICT_FORWARDED = 1,
	VERDICT_DROPPED = 2,
	VERDICT_ERROR = 3,
	VERDICT_AUDIT = 4,
	VERDICT_REDIRECTED = 5,
	VERDICT_TRACED = 6,
	VERDICT_TRANSLATED = 7,
};

#define WEIR_DROP_ENUM(name, number, text) DROP_##name = number,
enum weir_drop_reason { WEIR_DROP_REASONS(WEIR_DROP_ENUM) };

struct drop_text {
	__u32 reason;
	char text[60];
};

enum weir_direction {
	DIRECTION_UNKNOWN = 0,
	DIRECTION_INGRESS = 1, /* connection towards the workload */
	DIRECTION_EGRESS = 2, /* connection opened by the workload */
};

/* Where the packets went next. */
enum weir_trace_point {
	TRACE_UNKNOWN = 0,
	TRACE_TO_ENDPOINT = 1, /* to a workload of this host: all packets towards it, and its peer's on the same host */
	TRACE_TO_STACK = 2, /* to the host's routing, and so out */
	TRACE_TO_HOST = 3, /* to the host itself */
	TRACE_TO_NETWORK = 4, /* by tunnel to another host */
	TRACE_FROM_ENDPOINT = 5, /* nowhere: dropped where the workload sends */
};

enum weir_trace_reason {
	TRACE_REASON_UNKNOWN = 0,
	TRACE_REASON_NEW = 1,
	TRACE_REASON_ESTABLISHED = 2,
	TRACE_REASON_REPLY = 3,
	TRACE_REASON_RELATED = 4,
};

/* Why a flow event was written (OBS-10). */
enum weir_report {
	REPORT_FIRST = 1, /* first packet of a direction */
	REPORT_FLAGS = 2, /* TCP flags not seen before in this direction */
	REPORT_INTERVAL = 3, /* active and FLOW_INTERVAL_NS since the last report */
	REPORT_CLOSE = 4, /* both FIN, or RST */
	REPORT_EXPIRED = 5, /* what was left when conntrack let the entry go */
	REPORT_DROP = 6, /* a packet was refused */
};

/* Bits of tcp_flags, as in the header (RFC 9293 3.1). */
enum weir_tcp_flags {
	TCP_FIN = 1,
	TCP_SYN = 2,
	TCP_RST = 4,
	TCP_PSH = 8,
	TCP_ACK = 16,
	TCP_URG = 32,
	TCP_ECE = 64,
	TCP_CWR = 128,
};

enum weir_event_kind {
	EVENT_FLOW = 1,
	/* of processes, in a ring buffer of their own (abi_process.h) */
	EVENT_PROCESS_EXEC = 2, /* it began another image */
	EVENT_PROCESS_FORK = 3, /* it was made */
	EVENT_PROCESS_EXIT = 4, /* its last thread ended */
	EVENT_PROCESS_SEEN = 5, /* it ran already when somebody began to look */
	EVENT_PROCESS_DATA = 6,
	EVENT_RUNTIME_CALL = 7, /* a call that a runtime policy asks for, in a ring buffer of its own (abi_runtime.h) */
	EVENT_KIND_MAX = 8,
};

/* Of skb->mark, on the host alone: a packet that enters or leaves a workload has none. */
enum weir_marks {
	MARK_WIREGUARD = 0x57000001, /* what the WireGuard device sends: encrypted */
	MARK_DECRYPTED = 0x57000002, /* what it gave out, until somebody has it */
	MARK_ANSWER =
		0x57000003, /* what a program has made in a workload's place, because its policy refused (answer.h) */
};

/* ---- maps ---- */

/* `workloads`: host-side interface -> what it serves. Hash, key u32 ifindex. */
enum weir_workload_flags {
	WORKLOAD_READY = 1 << 0, /* policy is known; without it every packet is dropped (203) */
	WORKLOAD_ENFORCE_INGRESS = 1 << 1, /* no matching entry = deny */
	WORKLOAD_ENFORCE_EGRESS = 1 << 2,
	WORKLOAD_ALLOW_HOST = 1 << 3, /* the local host may always connect in */
	WORKLOAD_IPBLOCK = 1 << 4, /* has entries with IDENTITY_SCOPE_IPBLOCK */
	WORKLOAD_LOCKDOWN = 1 << 5, /* policy did not fit: deny everything (133) */
	WORKLOAD_NO_SOURCE_CHECK = 1 << 6,
	WORKLOAD_LIMITED = 1 << 7, /* has an entry in `bandwidths` */
	WORKLOAD_EGRESS = 1 << 8, /* leaves by a gateway: to the world nothing goes without `egress_sources` (194) */
	WORKLOAD_TIERS = 1 << 9, /* its policy has entries of other tiers than POLICY_TIER_NORMAL */
	WORKLOAD_AUDITED = 1 << 10, /* its policy has entries of POLICY_VIEW_AUDITED */
	WORKLOAD_PENDING = 1 << 11, /* its policy has entries of POLICY_VIEW_PENDING */
	WORKLOAD_GUARD_HOST = 1 << 12, /* what it sends to the host itself is judged by the host's own policy, too */
	/* how its default deny is answered: as POLICY_DENY_RESET and POLICY_DENY_ICMP; neither = in silence */
	WORKLOAD_RESET_INGRESS = 1 << 13,
	WORKLOAD_ICMP_INGRESS = 1 << 14,
	WORKLOAD_RESET_EGRESS = 1 << 15,
	WORKLOAD_ICMP_EGRESS = 1 << 16,
};

/*
 * A workload that is a cgroup has no interface, and the host's address. In place of an interface's index it has, here and in
 * everything else that has that for a key, this bit with its number: no interface has an index with it.
 */
enum weir_cgroup_number {
	CGROUP_NUMBER = 1 << 30,
};

/*
 * The host itself, in `workloads` and `policies` by a number that is no interface's and no cgroup's. While there is no such element, or it
 * is not READY, everything passes: a host is not closed because nobody has told yet what its policy is.
 */
enum weir_host_endpoint {
	HOST_IFINDEX = CGROUP_NUMBER - 1,
};

struct workload {
	__u32 id; /* host-local number, stable while the workload lives */
	__u32 identity;
	__u32 flags; /* enum weir_workload_flags */
	__u32 policy_revision; /* of this workload's policy; conntrack entries judged under another are judged again */
	__u32 default_rule_ingress; /* rule id reported when default deny refuses */
	__u32 default_rule_egress;
	__u8 ip4[16] WEIR_ALIGNED(8); /* v4-mapped; all zero = none */
	__u8 ip6[16] WEIR_ALIGNED(8); /* all zero = none */
	__u8 mac[6]; /* of the workload's own interface; all zero = not known, then not checked */
	__u8 host_mac[6]; /* of the host side; all zero = not known, then not checked */
	__u32 ifindex; /* host side, same as the key */
};

/* `addresses`: workload address -> host-side ifindex, for local delivery. Hash. */
struct address_key {
	__u8 addr[16] WEIR_ALIGNED(8);
};
struct address_value {
	__u32 ifindex;
};

/* `ipcache`: prefix -> identity of managed peers (workloads, hosts). LPM trie.
 * prefixlen counts from bit 0 of addr: an IPv4 /24 is 96 + 24. */
struct prefix_key {
	__u32 prefixlen;
	__u8 addr[16] WEIR_ALIGNED(4);
};
struct ipcache_value {
	__u32 identity;
	__u32 flags; /* reserved, 0 */
	__be32 host4; /* underlay address of the host that owns it; 0 = this host */
	__u32 host; /* that host's number in `tunnels`; 0 = this host, or nobody goes there by tunnel. With identity 0: a pool */
};

/* `tunnels`: number of another host -> how it is reached. Array; element 0 is nobody's.
 * The number stands in ipcache and conntrack, so a change here is one for all its workloads and connections. */
enum weir_tunnel_flags {
	TUNNEL_SEND = 1 << 0, /* what goes there goes by tunnel */
	TUNNEL_ONLY = 1 << 1, /* what claims to come from there comes by tunnel, or is refused */
	TUNNEL_ENCRYPTED =
		1 << 2, /* what goes there, by tunnel or not, goes through the WireGuard device; flows say so */
};
struct tunnel {
	__u8 remote[16] WEIR_ALIGNED(8); /* its underlay address: packets go and come only there */
	__u8 local[16] WEIR_ALIGNED(8); /* this host's, of the same family */
	__u32 flags; /* enum weir_tunnel_flags; 0 = its packets are taken from the tunnel, none are sent */
	__u32 ifindex; /* of the tunnel device; 0 = no such host */
};

/* `identities`: hash, key u32: the numbers that a packet out of the tunnel may claim. */
struct identity_value {
	__u32 flags; /* reserved, 0 */
};

/* `cidrs`: policy CIDR prefix -> host-local CIDR identity. LPM trie, struct prefix_key. */
struct cidr_value {
	__u32 identity; /* IDENTITY_SCOPE_CIDR | n */
};

/* `policies`: workload -> its own policy map (hash of maps, key u32 ifindex).
 * A change of policy builds a new inner map and swaps it: atomic per workload.
 * Inner: LPM trie. identity and section are always matched whole (POLICY_STATIC_BITS),
 * then protocol (8) and destination port (16). For ICMP the port is type << 8.
 * What follows prefixlen has 8 bytes, no more: see the assertion in maps.h.
 *
 * Tiers are asked in the order Admin, Normal, Baseline; what nobody answered is
 * denied when the direction is enforced (then Baseline is not asked), else allowed.
 * Within a tier the entry of the highest rank decides; a tie is a deny's, then that
 * of more bits. POLICY_PASS leaves it to the next tier.
 *
 * Beside what is enforced a policy may have views: what would be if its audited
 * documents were enforced, and if its staged ones were in place. They are complete
 * policies under section bits of their own, whose default deny is an entry of
 * POLICY_TIER_DEFAULT. They decide nothing; what they say is told in flows.
 *
 * The compiler guarantees that the longest match may be trusted: an entry that is
 * overlapped by a stronger one of the same or any identity is not there. */
enum weir_policy_bits {
	POLICY_STATIC_BITS = 40,
	POLICY_FULL_BITS = 64,
};
enum weir_policy_section { /* of a policy key: direction | tier | view */
	POLICY_EGRESS = 1 << 0,
	POLICY_TIER_NORMAL = 0 << 1,
	POLICY_TIER_ADMIN = 1 << 1,
	POLICY_TIER_BASELINE = 2 << 1,
	POLICY_TIER_DEFAULT = 3 << 1, /* of a view: a deny of any identity is its default deny */
	POLICY_VIEW_AUDITED = 1 << 3,
	POLICY_VIEW_PENDING = 2 << 3,
};
enum weir_policy_verdict {
	POLICY_ALLOW = 0,
	POLICY_DENY = 1, /* in silence */
	POLICY_PASS = 2,
	POLICY_DENY_RESET = 3, /* TCP is answered with a reset, all else as by the next one */
	POLICY_DENY_ICMP = 4, /* answered with ICMP or ICMPv6: administratively prohibited */
};
struct policy_key {
	__u32 prefixlen;
	__u32 identity; /* 0 = any */
	__u8 section; /* enum weir_policy_section */
	__u8 protocol; /* 0 = any, then the prefix ends before it */
	__u8 port_hi; /* destination port, network order bytes */
	__u8 port_lo;
};
struct policy_entry {
	__u32 rule_id;
	__u8 verdict; /* enum weir_policy_verdict */
	__u8 prefix_bits; /* protocol and port bits that matched: 0, 8..24; breaks ties between identity and any */
	__u16 rank; /* within its tier the highest decides; 0 throughout the Normal one */
	__u64 packets; /* original direction, added when a flow is reported */
	__u64 bytes;
};

/* `conntrack`: LRU hash. The key is seen from the workload, so that one lookup
 * finds the entry whichever way the packet goes.
 *
 * ICMP has no ports. A query and its answer are one connection: `icmp` says who
 * asked, local_port is the identifier, remote_port 0. Every other message (and an
 * answer nobody asked for) is a connection of its own that is never answered:
 * remote_port is type << 8 | code, local_port 0. */
enum weir_ct_icmp {
	CT_ICMP_NONE = 0, /* not ICMP */
	CT_ICMP_ASKED = 1, /* the workload sent the echo request */
	CT_ICMP_ANSWERS = 2, /* the peer sent it */
	CT_ICMP_SENT = 3, /* a message from the workload */
	CT_ICMP_RECEIVED = 4, /* a message to the workload */
	CT_ICMP_RELATED_SENT = 5, /* an error about a tracked connection */
	CT_ICMP_RELATED_RECEIVED = 6,
};
struct ct_key {
	__u8 local[16] WEIR_ALIGNED(8);
	__u8 remote[16] WEIR_ALIGNED(8);
	__be16 local_port;
	__be16 remote_port;
	__u8 protocol;
	__u8 family; /* 4 or 6 */
	__u8 icmp; /* enum weir_ct_icmp */
	__u8 pad;
};
enum weir_ct_flags {
	CT_INGRESS = 1 << 0, /* the peer opened it (else the workload did) */
	CT_REPLIED = 1 << 1, /* a packet came back */
	CT_FIN_ORIG = 1 << 2,
	CT_FIN_REPLY = 1 << 3,
	CT_RST = 1 << 4,
	CT_CUT = 1 << 5, /* denied since: dropped, and judged again at every packet */
	CT_MATCHED = 1 << 6, /* an entry of the policy map decided: matched_identity is its */
	CT_ESTABLISHED = 1 << 7, /* TCP: answered and past the handshake */
	CT_LOCAL_PEER = 1 << 8, /* the peer is a workload of this host */
	CT_ENCRYPTED_SENT = 1 << 9, /* the workload's last packet goes on encrypted */
	CT_ENCRYPTED_RECEIVED = 1 << 10, /* the peer's last packet came encrypted */
	CT_SERVICE = 1 << 11, /* the workload's packets ask for a service: they are translated (`service_turns`) */
	CT_PEER_SOCKET = 1 << 12, /* the peer was known by its socket on this host: peer_identity is whose that is */
	CT_DRAINS = 1 << 14, /* a later policy refuses it, and it may go on until it ends: `drains` */
	CT_ITSELF = 1 << 13, /* with it: the socket is of the same workload, which no policy judges */
};
/* Whose a socket is: the process that made, bound, connected or last used it. */
struct owner {
	__u64 exec_ns; /* with pid the process's name (struct process); 0 = not known */
	__u32 pid;
	__u32 uid; /* effective, when the process last did so */
};
/* What a policy's views said of a connection. */
enum weir_views {
	VIEW_AUDITED = 1 << 0, /* audited policies would refuse what is allowed; rule_id is the rule that would */
	VIEW_PENDING = 1 << 1, /* staged policies were asked too */
	VIEW_PENDING_DENIED = 1 << 2, /* and would refuse it */
};
struct ct_direction {
	__u64 new_packets; /* since the last report; taken by atomic exchange */
	__u64 new_bytes; /* L3 bytes */
	__u64 last_ns; /* of the last packet, to the tick of the kernel's clock (10 ms or less) */
	__u64 reported_ns; /* 0 = never */
	__u64 packets; /* reported since created */
	__u64 bytes;
	__u32 tcp_flags; /* low half: all seen since created; high half: since the last report */
	__u32 number; /* of `orig`: the service's frontend that was asked for, or 0; of `reply`: the rule of its pending verdict */
};
struct ct_entry {
	__u64 created_ns;
	__u64 expires_ns; /* 0 = being deleted. Who changes an expired one claims it by compare-and-swap */
	__u32 flags; /* enum weir_ct_flags, atomic or */
	__u32 policy_revision;
	__u32 ifindex; /* of the workload */
	__u32 workload_id;
	__u32 workload_identity;
	__u32 peer_identity;
	__u32 rule_id;
	__u32 matched_identity; /* when CT_MATCHED: peer's, its IPBLOCK twin, or 0 (any) */
	__u8 trace_point; /* of packets from the workload; 0 until it sent one */
	__u8 views; /* enum weir_views */
	__u16 gateway; /* that it leaves by: number in `egress_gateways`, or 0 */
	__u32 peer_host; /* the peer's host: its number in `tunnels`, or 0 */
	struct ct_direction orig;
	struct ct_direction reply;
	struct owner owner; /* of the workload's socket */
};

/* `fragments`: LRU hash; what the first fragment of a datagram said. */
struct frag_key {
	__u8 saddr[16] WEIR_ALIGNED(8);
	__u8 daddr[16] WEIR_ALIGNED(8);
	__u32 id; /* IPv4: 16 bits; as on the wire */
	__u8 protocol; /* IPv6: 0, the id alone names the datagram (RFC 8200 4.5) */
	__u8 family;
	__u16 pad;
};
struct frag_value {
	__be16 sport; /* ICMP: the identifier */
	__be16 dport;
	__u8 protocol;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 pad;
	__u64 seen_ns;
};

/*
 * `bandwidths`: host-side interface -> how much its workload may send and receive, L3 bytes. Hash, key u32 ifindex.
 * A packet takes its time at that rate; one that would have to wait longer than bandwidth_horizon_ns is dropped (162).
 * With `pacing`, one that leaves the host does wait, up to pacing_horizon_ns.
 */
struct bandwidth {
	__u64 egress_bytes_per_second; /* 0 = no limit */
	__u64 ingress_bytes_per_second;
	__u64 egress_paid_ns; /* up to when the packets so far have used the rate */
	__u64 ingress_paid_ns;
	__u64 here_paid_ns; /* as egress_paid_ns, while uplinks pace: of what does not leave the host */
};

/* `counters`: per-CPU array of u64. Nothing is lost silently. */
enum weir_counter {
	COUNTER_PACKETS_IN = 0, /* packets judged towards workloads */
	COUNTER_PACKETS_OUT = 1, /* packets judged from workloads */
	COUNTER_EVENTS = 2, /* flow events written */
	COUNTER_EVENTS_LOST = 3, /* ring buffer was full and what the event said is nowhere else */
	COUNTER_CT_CREATED = 4,
	COUNTER_CT_INSERT_FAILED = 5,
	COUNTER_CT_EXPIRED = 6, /* entries deleted; created - expired - present = evicted by the LRU */
	COUNTER_HELPER_FAILED = 7, /* a BPF helper returned an error; never expected */
	COUNTER_FRAG_INSERT_FAILED = 8,
	COUNTER_EVENTS_DEFERRED = 9, /* ring buffer was full; the counts stayed in conntrack for a later event */
	COUNTER_JUDGED = 10, /* verdicts taken from policy: new connections, revisions, intervals */
	COUNTER_CUT = 11, /* established connections that a later policy refused */
	COUNTER_REDIRECTED = 12, /* packets handed straight to a workload of the same host */
	COUNTER_EVENTS_THROTTLED = 13, /* allowance used up; what the event said is in `throttled` */
	COUNTER_EVENTS_HELD = 14, /* the same, but the counts stayed in conntrack for a later event */
	COUNTER_NAT_CREATED = 15, /* masqueraded connections begun */
	COUNTER_NAT_RETRIES = 16, /* ports that were taken when one was looked for */
	COUNTER_NAT_FAILED = 17, /* connections for which no port was free (167) */
	COUNTER_NAT_EXPIRED = 18, /* mappings ended by their timers */
	COUNTER_NAT_OUT = 19, /* packets whose source was masqueraded */
	COUNTER_NAT_IN = 20, /* packets given back to who is behind the mapping */
	COUNTER_TUNNELLED = 21, /* packets of workloads sent straight into the tunnel, or handed over out of it */
	COUNTER_EGRESS = 22, /* packets sent to an egress gateway, or by one to the world or back */
	COUNTER_PACED = 23, /* packets that got a later time to leave at, by their workload's rate */
	COUNTER_SERVICE_SOCKETS = 24, /* connections and datagrams of sockets sent to a backend */
	COUNTER_SERVICE_REFUSED = 25, /* the same, refused: nothing serves there (158) */
	COUNTER_SERVICE_REVERSE_FAILED = 26, /* what a socket asked for could not be remembered */
	COUNTER_SERVICE_BINDS = 27, /* sockets that were not given the port of a NodePort */
	COUNTER_SERVICE_CONNECTIONS = 28, /* of clients outside, sent to a backend here or elsewhere */
	COUNTER_SERVICE_IN = 29, /* packets of clients outside that were sent on to a backend */
	COUNTER_SERVICE_OUT = 30, /* packets of backends that were given back to such a client */
	COUNTER_SERVICE_STALE = 31, /* connections whose backend was gone: another one was chosen */
	COUNTER_SERVICE_TOLD =
		32, /* ICMP sent to clients: nobody serves there, too long, too many hops, answered pings */
	COUNTER_SERVICE_REVERSE_CREATED = 33, /* of sockets: created - ended - present = evicted by the LRU */
	COUNTER_SERVICE_REVERSE_ENDED = 34, /* the socket that asked was closed */
	COUNTER_SERVICE_AFFINITY_CREATED = 35, /* clients that got a backend to stay with */
	COUNTER_SERVICE_ENCAPSULATED = 48, /* packets sent to a backend in another packet */
	COUNTER_SERVICE_TAKEN_OFF = 53, /* packets that came so and were taken out for a backend of this host */
	COUNTER_SERVICE_FLOW_HIT = 49, /* of slots that have changed hands: connections that were remembered */
	COUNTER_SERVICE_FLOW_MISS = 50, /* and those that were not: begun now, or older than the change */
	COUNTER_SERVICE_FLOW_FLOOD = 51, /* not remembered, because too many began in this second */
	COUNTER_SERVICE_TOO_BIG =
		52, /* ICMP errors of routers about what a backend has answered by itself, sent on to it */
	COUNTER_SERVICE_MARKED =
		54, /* packets sent to a backend that answers by itself, with or after the option that says so */
	COUNTER_SERVICE_TURNED = 55, /* connections of workloads whose packets ask for a service, sent to a backend */
	COUNTER_SERVICE_SENT = 56, /* packets of workloads that were translated to a backend */
	COUNTER_SERVICE_GIVEN_BACK = 57, /* packets of backends that were translated back for such a workload */
	COUNTER_SERVICE_NO_NEIGHBOUR =
		58, /* looks for a backend's next hop in XDP that found no MAC: what goes there is left to tc */
	COUNTER_SOCKETS_OUT = 59, /* packets that sockets of cgroup workloads sent */
	COUNTER_SOCKETS_IN = 60, /* packets for sockets of cgroup workloads */
	COUNTER_SOCKETS_BUSY =
		61, /* of those, refused: more of them were interrupted on one CPU than there is room for */
	COUNTER_ANSWERED_RESET = 36, /* refused packets of TCP that were answered with a reset */
	COUNTER_ANSWERED_ICMP = 37, /* refused packets that were answered with an ICMP error */
	COUNTER_ANSWERS_HELD = 38, /* refused packets that were not answered: their workload's allowance is used up */
	COUNTER_DRAINED = 39, /* established connections that a later policy refuses and that may go on */
	COUNTER_MAX = 64,
};

/* `drops`: per-CPU hash (reason, direction) -> packets, bytes. */
struct drop_key {
	__u8 reason; /* enum weir_drop_reason */
	__u8 direction;
	__u16 pad;
};
struct drop_value {
	__u64 packets;
	__u64 bytes;
};

/*
 * `throttles`: host-side interface -> allowance of events. Hash, key u32 ifindex. Who
 * reports more than events_per_second is throttled: drops and what is left of ended
 * connections are counted in `throttled` instead of sent, all else waits in conntrack.
 */
struct throttle {
	__u64 paid_ns; /* up to when its events have used the allowance; at most a second ahead of now */
	__u64 started_ns; /* the last time it was throttled began */
	__u64 last_ns; /* last event held back; quiet for throttle_quiet_ns after it: over */
	__u64 episodes; /* how often it began */
};

/* `throttled`: per-CPU hash; events not sent, and what they would have said. */
struct throttled_key {
	__u32 ifindex; /* of the workload */
	__u32 workload_id;
	__u8 reason; /* enum weir_drop_reason; 0 = allowed packets of connections that ended */
	__u8 direction; /* enum weir_direction, as the event's */
	__u16 pad;
};
struct throttled_value {
	__u64 events;
	__u64 packets;
	__u64 bytes;
};

/* Context of ct_sweep (BPF_PROG_RUN): in and out. */
enum weir_sweep_flags {
	SWEEP_REPORT_ALL = 1 << 0, /* report every unreported count, however young */
};
struct sweep_ctx {
	__u64 now_ns; /* in: CLOCK_MONOTONIC; 0 = read the clock */
	__u32 flags; /* in: enum weir_sweep_flags */
	__u32 failed; /* out: 1 = the walk itself failed */
	__u64 entries; /* out: walked */
	__u64 reported; /* out: events written */
	__u64 expired; /* out: entries deleted */
	__u64 deferred; /* out: ring buffer full or workload throttled, left for a later sweep */
	__u32 ifindex; /* in: connections of this workload end now, however alive; 0 = none */
	__u32 pad;
};

/* `uplinks`: interface -> what host.bpf.c does on it. Hash, key u32 ifindex. */
enum weir_uplink_flags {
	UPLINK_VLAN_FILTER = 1 << 0, /* tagged frames whose id is not in `vlans` are dropped (182) */
	UPLINK_VLAN_ALL = 1 << 1, /* every id passes */
	UPLINK_EGRESS = 1 << 2, /* somebody may leave by a gateway here, and nobody past one */
	UPLINK_STRICT = 1 << 3, /* between prefixes of `strict` nothing passes unencrypted (195), out or in */
	UPLINK_STRICT_INGRESS =
		1 << 4, /* nor, whatever its address, what another host of the fleet or its workloads send to ours */
	UPLINK_STRICT_EXCEPT_HOSTS = 1 << 5, /* but from and to hosts' own addresses it does */
	UPLINK_SERVICES = 1 << 6, /* frontends of services are served here, to whoever asks from outside */
	UPLINK_GUARD_HOST = 1 << 7, /* what the host itself sends and gets here is judged by its own policy */
};
struct uplink {
	__u32 flags; /* enum weir_uplink_flags */
	__be16 port_low; /* masquerade ports, both included; host order is in neither */
	__be16 port_high;
	__u8 ip4[16] WEIR_ALIGNED(8); /* source of what is masqueraded, v4-mapped; all zero = IPv4 is not */
	__u8 ip6[16] WEIR_ALIGNED(8); /* all zero = IPv6 is not */
	__u8 nat64_ip4[16] WEIR_ALIGNED(8); /* source of what NAT64 translates, v4-mapped; all zero = nothing is */
	__be16 wireguard_port; /* UDP; what comes for it is encrypted. Host order is in neither */
	__be16 tunnel_port; /* UDP port of VXLAN, in which the rest is looked for; 0 = there is no tunnel */
	__u32 pad;
	__u8 service_ip4[16] WEIR_ALIGNED(
		8); /* source of what is sent on to backends elsewhere, v4-mapped; all zero = none */
	__u8 service_ip6[16] WEIR_ALIGNED(8);
};

/*
 * Egress gateways. `egress_sources` has the workloads that leave by one, each with its set of destinations; a set is
 * written whole before a source names it and never changed after, so a change is one write for each source. A group is
 * the hosts that may serve: who is chosen for new connections is one write for all its workloads.
 */
struct egress_source {
	__u32 set;
};
/* LPM trie; prefixlen counts from bit 0 of set: its 32 bits are always matched whole. */
enum weir_egress_bits {
	EGRESS_SET_BITS = 32,
};
struct egress_key {
	__u32 prefixlen;
	__u32 set;
	__u8 addr[16] WEIR_ALIGNED(4);
};
struct egress_route {
	__u32 group; /* 0 = excluded: as if there were no gateway */
};
/* Array; element 0 is nobody's. */
struct egress_group {
	__u32 chosen; /* gateway of new connections of this host's workloads; 0 = none is alive (194) */
	__u32 own; /* this host in the group; 0 = it does not serve */
};
/* Array; element 0 is nobody's: one host in one group. The number stands in conntrack. */
enum weir_egress_flags {
	EGRESS_ALIVE = 1 << 0, /* connections that have it keep it */
};
struct egress_gateway {
	__u32 group; /* 0 = no such gateway */
	__u32 host; /* its number in `tunnels`; 0 = this host */
	__u32 flags; /* enum weir_egress_flags */
	__u32 ifindex; /* of this host's: the uplink that has the address */
	__u8 ip4[16] WEIR_ALIGNED(8); /* of this host's: the source that the world sees; all zero = none (204) */
	__u8 ip6[16] WEIR_ALIGNED(8);
};

/* `strict`: prefixes between which nothing goes in the clear. LPM trie, struct prefix_key. */
struct strict_value {
	__u32 flags; /* reserved, 0 */
};

/* `prefilter`: 0 -> LPM trie of sources whose packets are dropped, struct prefix_key. */
struct prefilter_value {
	__u64 revision; /* of the whole set: its entries have the same */
};

/* `unmasqueraded`: destinations to which workloads keep their address. LPM trie, struct prefix_key. */
struct unmasqueraded_value {
	__u32 flags; /* reserved, 0 */
};

/*
 * `nat64`: how workloads reach IPv4 with their IPv6 address (RFC 6052, 6146, 7915). Array of one. What they send to the
 * prefix is routed to a device that translates it, and answers come out of the same device.
 */
struct nat64 {
	__u8 prefix[16] WEIR_ALIGNED(8); /* 96 bits, the rest zero */
	__u8 hairpin4[16] WEIR_ALIGNED(8); /* v4-mapped: who they are to workloads of this host; routed to the device */
	__u32 ifindex; /* of the device; 0 = nothing is translated */
	__u32 uplink; /* where translated packets leave: its `uplinks` entry has their source and ports; 0 = none has IPv4 */
	__u8 mac[6]; /* of the device */
	__u16 pad;
};

/*
 * `nat_out` and `nat_in`: LRU hashes, one entry in each for a masqueraded connection. In `nat_out` local is who
 * is behind the mapping, in `nat_in` the masquerade address; the value is the other of the two. ICMP queries have
 * their identifier as local_port and 0 as remote_port. `nat_in` has the life of the mapping. A connection that NAT64
 * translates is one of IPv4 here (family, protocol, remote), and who is behind it has an IPv6 address.
 */
struct nat_key {
	__u8 local[16] WEIR_ALIGNED(8);
	__u8 remote[16] WEIR_ALIGNED(8);
	__be16 local_port;
	__be16 remote_port;
	__u8 protocol;
	__u8 family; /* 4 or 6 */
	__u16 pad;
};
enum weir_nat_flags {
	NAT_SERVICE = 1 << 16, /* of a frontend of a service, for a client outside; its backend has local as address */
	NAT_BOTH = 1 << 17, /* source and destination change: the other one is in `service_nat` */
	NAT_ANSWER = 1 << 18, /* with NAT_BOTH: of what the backend sends */
	NAT_KINDS = NAT_SERVICE | NAT_BOTH | NAT_ANSWER,
};
struct nat_out_value {
	__u8 addr[16] WEIR_ALIGNED(8);
	__be16 port;
	__be16 remote_port; /* the remote's own, where the key has another one (struct nat_in_value); 0 = the key's */
	__u32 frontend; /* of a service that leads to who is behind the mapping: its number; 0 = it is masquerade */
};
struct nat_in_value {
	__u8 addr[16] WEIR_ALIGNED(8);
	__be16 port;
	__be16 remote_port; /* the remote's as who is behind the mapping sees it; 0 = its own */
	__u32 flags; /* enum weir_ct_flags that say how far TCP is, enum weir_nat_flags */
	__u64 created_ns;
	__u64 expires_ns; /* 0 = being deleted; changed as in conntrack */
};

/* Context of nat_sweep (BPF_PROG_RUN): in and out. */
enum weir_nat_sweep_flags {
	NAT_SWEEP_ORPHANS = 1 << 0, /* also what the LRU took the other half of; a second walk */
};
struct nat_sweep_ctx {
	__u64 now_ns; /* in: CLOCK_MONOTONIC; 0 = read the clock */
	__u32 flags; /* in: enum weir_nat_sweep_flags */
	__u32 failed; /* out: 1 = the walk itself failed */
	__u64 entries; /* out: walked */
	__u64 expired; /* out: mappings deleted */
	__u64 orphans; /* out: halves deleted */
};

#include "abi_services.h"
#include "abi_announce.h"

/* ---- events (ring buffer `events`) ---- */

/* Every event begins with this. */
struct event_header {
	__u8 version; /* WEIR_ABI_VERSION */
	__u8 kind; /* enum weir_event_kind */
	__u16 cpu;
	__u32 size; /* whole event, bytes */
	__u64 time_ns;
};

/*
 * Of a flow whose client asked for a service by a socket: whether its addresses are those before the socket was sent to a
 * backend, or after; in replies before they are given back, or after. Numbers as others of this kind have them.
 */
enum weir_sock_xlate {
	SOCK_XLATE_NONE = 0,
	SOCK_XLATE_PRE_DIRECTION_FWD = 1,
	SOCK_XLATE_POST_DIRECTION_FWD = 2,
	SOCK_XLATE_PRE_DIRECTION_REV = 3,
	SOCK_XLATE_POST_DIRECTION_REV = 4,
};

/*
 * One direction of a connection as seen at one workload. Source and destination
 * are those of the packets counted, so a reply has the server as its source;
 * `direction` is that of the connection.
 */
struct flow_event {
	struct event_header header; /* time_ns: of the last packet counted */
	__u8 saddr[16] WEIR_ALIGNED(8);
	__u8 daddr[16] WEIR_ALIGNED(8);
	__be16 sport; /* ICMP: 0, see icmp_type and icmp_code */
	__be16 dport;
	__u8 protocol; /* IANA number */
	__u8 family; /* 4 or 6 */
	__u8 tcp_flags; /* seen since the last report: FIN 1 SYN 2 RST 4 PSH 8 ACK 16 URG 32 ECE 64 CWR 128 */
	__u8 verdict; /* enum weir_verdict */
	__u32 source_identity;
	__u32 destination_identity;
	__u32 rule_id; /* 0 = no rule (default allow) */
	__u32 workload_id; /* where it was seen */
	__u32 ifindex;
	__u8 drop_reason; /* enum weir_drop_reason */
	__u8 direction; /* enum weir_direction */
	__u8 is_reply;
	__u8 trace_point; /* enum weir_trace_point */
	__u8 trace_reason; /* enum weir_trace_reason */
	__u8 report; /* enum weir_report */
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 encrypted; /* between the hosts: its last packet went on, or came, through the WireGuard device */
	__u8 pending; /* enum weir_verdict: forwarded or dropped if staged policies were in place; 0 = there are none */
	__u8 sock_xlate; /* enum weir_sock_xlate */
	__u8 pad;
	__u32 frontend; /* number of the service's frontend that the client asked for; 0 = it asked for the peer itself */
	__u32 pending_rule; /* that would decide then; 0 = no rule */
	__u64 packets; /* since the last report of this direction */
	__u64 bytes; /* L3 bytes since the last report, as seen here: a GSO packet has its headers once */
	__u64 connection_ns; /* created_ns of the connection: with addresses and ports its id; 0 when none was made */
	__u8 xlated[16] WEIR_ALIGNED(
		8); /* what the source becomes where packets leave this host; all zero = it stays */
	struct owner owner; /* of the socket at the workload where it was seen */
};

#include "abi_process.h"
#include "abi_runtime.h"

#endif
