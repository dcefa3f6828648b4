/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What our balancer is measured against, and what drives all of them. Each lane
 * does the same work with the same headers (frame.h, ipip.h, accelerate.h) but
 * for how it finds the backend:
 *
 *   floor      nothing is looked up: room for the outer header, and out again
 *   stateless  the slot of the Maglev table, whoever had it before
 *   lru        a connection is looked for in an LRU hash first, and put there
 * when it is not found: the usual way
 *
 * `drive` makes the frame anew before each run (a test run does not) and goes
 * on to lane 0 of `lanes`.
 */
#include "base.h"

#include "accelerate.h"

struct drive {
  __u64 next;
  __u32 flows; /* power of two */
  __u32 bytes; /* of the frame */
  __u32 dport; /* network order */
  __u32 daddr;
  __u32 tcp_flags;
  __u32 pad;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct drive);
} drives SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} lanes SEC(".maps");

struct lru_flow {
  __u32 backend;
  __u32 pad;
};

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 1048576);
  __type(key, struct service_flow_key);
  __type(value, struct lru_flow);
} lru SEC(".maps");

struct whole {
  struct ethernet ethernet;
  struct ipv4 ip;
  struct tcp tcp;
} __attribute__((packed));

#define CLIENTS 0x0a000001 /* 10.0.0.1 and on */

SEC("xdp")
int drive(struct xdp_md *xdp) {
  __u32 zero = 0, length = xdp->data_end - xdp->data, flow;
  struct drive *drive = bpf_map_lookup_elem(&drives, &zero);
  struct whole *whole;

  if (!drive)
    return XDP_ABORTED;
  if (length != drive->bytes &&
      bpf_xdp_adjust_head(xdp, (int)(length - drive->bytes)))
    return XDP_ABORTED;
  drive->next = drive->next * 6364136223846793005ull + 1442695040888963407ull;
  flow = (drive->next >> 24) & (drive->flows - 1);
  whole = (void *)(long)xdp->data;
  if ((void *)(whole + 1) > (void *)(long)xdp->data_end)
    return XDP_ABORTED;
  whole->ethernet.destination[0] = bpf_htons(0x0200);
  whole->ethernet.destination[1] = 0;
  whole->ethernet.destination[2] = bpf_htons(0x0001);
  whole->ethernet.source[0] = bpf_htons(0x0200);
  whole->ethernet.source[1] = 0;
  whole->ethernet.source[2] = bpf_htons(0x0002);
  whole->ethernet.type = bpf_htons(ETHERTYPE_IPV4);
  whole->ip.version_length = IPV4_PLAIN;
  whole->ip.tos = 0;
  whole->ip.length = bpf_htons(drive->bytes - sizeof(struct ethernet));
  whole->ip.fragment = 0;
  whole->ip.ttl = 64;
  whole->ip.protocol = PROTOCOL_TCP;
  whole->ip.source = bpf_htonl(CLIENTS + (flow >> 14));
  whole->ip.destination = drive->daddr;
  whole->tcp.source = bpf_htons(1024 + (flow & 0x3fff));
  whole->tcp.destination = drive->dport;
  whole->tcp.flags = drive->tcp_flags;
  bpf_tail_call(xdp, &lanes, 0);
  return XDP_ABORTED;
}

SEC("xdp")
int floor_lane(struct xdp_md *xdp) {
  struct {
    struct ethernet ethernet;
    struct ipv4 ip;
  } __attribute__((packed)) * outer;

  if (bpf_xdp_adjust_head(xdp, -(int)sizeof(struct ipv4)))
    return XDP_ABORTED;
  outer = (void *)(long)xdp->data;
  if ((void *)(outer + 1) > (void *)(long)xdp->data_end)
    return XDP_ABORTED;
  outer->ethernet.type = bpf_htons(ETHERTYPE_IPV4);
  outer->ip.version_length = IPV4_PLAIN;
  return XDP_TX;
}

INLINE __u32 stateless(const struct service *service, const struct frame *frame,
                       struct maglev_place *place, bool follow) {
  return maglev_place_of(service, &frame->tuple, place) ? place->slot.current
                                                        : 0;
}

SEC("xdp")
int stateless_lane(struct xdp_md *xdp) { return accelerate(xdp, stateless); }

INLINE __u32 remembered(const struct service *service,
                        const struct frame *frame, struct maglev_place *place,
                        bool follow) {
  struct service_flow_key key = {};
  struct lru_flow fresh = {}, *known;

  address_copy(key.client, frame->tuple.saddr);
  address_copy(key.addr, frame->tuple.daddr);
  key.client_port = frame->tuple.sport;
  key.port = frame->tuple.dport;
  key.protocol = frame->tuple.protocol;
  place->hash = key.client_port;
  known = bpf_map_lookup_elem(&lru, &key);
  if (known)
    return known->backend;
  fresh.backend = stateless(service, frame, place, follow);
  if (fresh.backend && !follow)
    bpf_map_update_elem(&lru, &key, &fresh, BPF_ANY);
  return fresh.backend;
}

SEC("xdp")
int lru_lane(struct xdp_md *xdp) { return accelerate(xdp, remembered); }

char LICENSE[] SEC("license") = "Dual BSD/GPL";
