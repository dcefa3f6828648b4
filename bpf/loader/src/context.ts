// SPDX-License-Identifier: Apache-2.0
/**
 * Contexts for test runs: struct __sk_buff and struct xdp_md of linux/bpf.h, with the fields that the kernel lets a
 * test run set. The others must be zero.
 */

const SKB_SIZE = 192;
const SKB = { mark: 8, priority: 32, ingressIfindex: 36, ifindex: 40, cb: 48, tstamp: 152, wireLen: 160 } as const;
const SKB_READ = { ...SKB, len: 0, hash: 68, protocol: 16, tcClassid: 72, gsoSegs: 164, gsoSize: 176 } as const;

export interface SkbContext {
  readonly mark?: number;
  readonly priority?: number;
  readonly ingressIfindex?: number;
  /** Must exist in the namespace of the run; 1 (loopback) unless told. */
  readonly ifindex?: number;
  readonly cb?: readonly number[];
  readonly tstampNs?: bigint;
  readonly wireLen?: number;
  readonly gsoSegs?: number;
  readonly gsoSize?: number;
}

export const skbContext = (fields: SkbContext = {}): Buffer => {
  const skb = Buffer.alloc(SKB_SIZE);
  skb.writeUInt32LE(fields.mark ?? 0, SKB.mark);
  skb.writeUInt32LE(fields.priority ?? 0, SKB.priority);
  skb.writeUInt32LE(fields.ingressIfindex ?? 0, SKB.ingressIfindex);
  skb.writeUInt32LE(fields.ifindex ?? 1, SKB.ifindex);
  for (const [at, value] of (fields.cb ?? []).slice(0, 5).entries()) skb.writeUInt32LE(value, SKB.cb + at * 4);
  skb.writeBigUInt64LE(fields.tstampNs ?? 0n, SKB.tstamp);
  skb.writeUInt32LE(fields.wireLen ?? 0, SKB.wireLen);
  skb.writeUInt32LE(fields.gsoSegs ?? 0, SKB_READ.gsoSegs);
  skb.writeUInt32LE(fields.gsoSize ?? 0, SKB_READ.gsoSize);
  return skb;
};

export interface SkbContextOut {
  readonly len: number;
  readonly mark: number;
  readonly priority: number;
  readonly ifindex: number;
  readonly hash: number;
  readonly tcClassid: number;
  readonly tstampNs: bigint;
  readonly cb: readonly number[];
}

/** Reads the context that a test run returned. */
export const readSkbContext = (skb: Buffer): SkbContextOut => ({
  len: skb.readUInt32LE(SKB_READ.len),
  mark: skb.readUInt32LE(SKB.mark),
  priority: skb.readUInt32LE(SKB.priority),
  ifindex: skb.readUInt32LE(SKB.ifindex),
  hash: skb.readUInt32LE(SKB_READ.hash),
  tcClassid: skb.readUInt32LE(SKB_READ.tcClassid),
  tstampNs: skb.readBigUInt64LE(SKB.tstamp),
  cb: [0, 1, 2, 3, 4].map((at) => skb.readUInt32LE(SKB.cb + at * 4)),
});

const XDP_SIZE = 24;

export interface XdpContext {
  /** Length of the packet in; data_end counts from data. */
  readonly dataLength: number;
  readonly ingressIfindex?: number;
  readonly rxQueueIndex?: number;
}

/** Ifindex and receive queue must exist in the namespace of the run. */
export const xdpContext = ({ dataLength, ingressIfindex, rxQueueIndex }: XdpContext): Buffer => {
  const xdp = Buffer.alloc(XDP_SIZE);
  xdp.writeUInt32LE(dataLength, 4);
  xdp.writeUInt32LE(ingressIfindex ?? 0, 12);
  xdp.writeUInt32LE(rxQueueIndex ?? 0, 16);
  return xdp;
};
