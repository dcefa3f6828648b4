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
 *
 * `send_live` makes frames that are sent for real, into the veth whose other
 * end has what is measured: drop_live, return_live, our program, or pass_live
 * and whatever the stack does.
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
  struct ethernet *ethernet;
  struct ipv4 *ip;
  struct tcp *tcp;

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
  /* Each field by one store, as wide as it is read: what a card has written is
   * in no store buffer either, and would otherwise be waited for. */
  ethernet = (void *)whole;
  ip = (void *)whole + sizeof(*ethernet);
  tcp = (void *)ip + sizeof(*ip);
  ethernet->destination[0] = bpf_htons(0x0200);
  ethernet->destination[1] = 0;
  ethernet->destination[2] = bpf_htons(0x0001);
  ethernet->source[0] = bpf_htons(0x0200);
  ethernet->source[1] = 0;
  ethernet->source[2] = bpf_htons(0x0002);
  ethernet->type = bpf_htons(ETHERTYPE_IPV4);
  ip->version_length = IPV4_PLAIN;
  ip->tos = 0;
  ip->length = bpf_htons(drive->bytes - sizeof(struct ethernet));
  ip->fragment = 0;
  ip->ttl = 64;
  ip->protocol = PROTOCOL_TCP;
  ip->source = bpf_htonl(CLIENTS + (flow >> 14));
  ip->destination = drive->daddr;
  tcp->source = bpf_htons(1024 + (flow & 0x3fff));
  tcp->destination = drive->dport;
  tcp->flags = drive->tcp_flags;
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

struct live {
  __u64 next;
  __u32 flows;   /* power of two */
  __u32 ifindex; /* the near end of the veth */
  __u32 daddr;
  __u32 dport;                   /* network order */
  __u8 macs[12] WEIR_ALIGNED(4); /* destination, source */
  __u32 pad;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct live);
} lives SEC(".maps");

SEC("xdp")
int send_live(struct xdp_md *xdp) {
  __u32 zero = 0, flow, sum = 0;
  struct live *live = bpf_map_lookup_elem(&lives, &zero);
  struct whole *whole = (void *)(long)xdp->data;
  __u16 *words;

  if (!live || (void *)(whole + 1) > (void *)(long)xdp->data_end)
    return XDP_ABORTED;
  live->next = live->next * 6364136223846793005ull + 1442695040888963407ull;
  flow = (live->next >> 24) & (live->flows - 1);
  __builtin_memcpy(&whole->ethernet, live->macs, sizeof(live->macs));
  whole->ethernet.type = bpf_htons(ETHERTYPE_IPV4);
  whole->ip.version_length = IPV4_PLAIN;
  whole->ip.tos = 0;
  whole->ip.length =
      bpf_htons(xdp->data_end - xdp->data - sizeof(struct ethernet));
  whole->ip.id = 0;
  whole->ip.fragment = 0;
  whole->ip.ttl = 64;
  whole->ip.protocol = PROTOCOL_TCP;
  whole->ip.checksum = 0;
  whole->ip.source = bpf_htonl(CLIENTS + (flow >> 14));
  whole->ip.destination = live->daddr;
  words = (void *)whole + sizeof(struct ethernet);
  for (__u32 i = 0; i < sizeof(struct ipv4) / 2; i++)
    sum += words[i];
  sum = (sum & 0xffff) + (sum >> 16);
  whole->ip.checksum = ~((sum & 0xffff) + (sum >> 16));
  whole->tcp.source = bpf_htons(1024 + (flow & 0x3fff));
  whole->tcp.destination = live->dport;
  whole->tcp.sequence = bpf_htonl(1);
  whole->tcp.acknowledgement = bpf_htonl(1);
  whole->tcp.offset = 5 << 4;
  whole->tcp.flags = TCP_ACK;
  whole->tcp.window = bpf_htons(1024);
  return bpf_redirect(live->ifindex, 0);
}

SEC("xdp")
int drop_live(struct xdp_md *xdp) { return XDP_DROP; }

SEC("xdp")
int pass_live(struct xdp_md *xdp) { return XDP_PASS; }

SEC("xdp")
int return_live(struct xdp_md *xdp) {
  struct ethernet *ethernet = (void *)(long)xdp->data;
  __u16 own[3];

  if ((void *)(ethernet + 1) > (void *)(long)xdp->data_end)
    return XDP_ABORTED;
  __builtin_memcpy(own, ethernet->destination, sizeof(own));
  __builtin_memcpy(ethernet->destination, ethernet->source, sizeof(own));
  __builtin_memcpy(ethernet->source, own, sizeof(own));
  return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
