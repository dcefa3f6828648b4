// SPDX-License-Identifier: Apache-2.0
/** Packets byte by byte, right unless told to be wrong: every length and checksum can be overridden. */
import { checksum, ip, mac } from './bytes.ts';
import type { Segment } from './transport.ts';

export interface Packet {
  readonly ethertype: number;
  readonly bytes: Buffer;
}

export interface EthernetOptions {
  readonly from: string;
  readonly to: string;
  /** Ids of tags, outermost first; the first of two is 802.1ad. */
  readonly vlans?: readonly number[];
  readonly ethertype?: number;
}

export const ethernet = ({ from, to, vlans = [], ethertype }: EthernetOptions, packet: Packet): Buffer => {
  const tags = vlans.map((id, at) => {
    const tag = Buffer.alloc(4);
    tag.writeUInt16BE(vlans.length > 1 && at === 0 ? 0x88a8 : 0x8100, 0);
    tag.writeUInt16BE(id, 2);
    return tag;
  });
  const type = Buffer.alloc(2);
  type.writeUInt16BE(ethertype ?? packet.ethertype);
  return Buffer.concat([mac(to), mac(from), ...tags, type, packet.bytes]);
};

/** The segment with its checksum, over the pseudo header of RFC 9293 3.1 or RFC 8200 8.1. */
const finished = (segment: Segment, source: Buffer, destination: Buffer): Buffer => {
  const bytes = Buffer.from(segment.bytes);
  const at = segment.checksumAt;
  if (at === undefined || bytes.length < at + 2) return bytes;
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(bytes.length, 0);
  pseudo.writeUInt32BE(segment.protocol, 4);
  bytes.writeUInt16BE(0, at);
  bytes.writeUInt16BE(checksum(source, destination, pseudo, bytes) || 0xffff, at);
  return bytes;
};

export interface Ip4Options {
  readonly src: string;
  readonly dst: string;
  readonly ttl?: number;
  readonly tos?: number;
  readonly dontFragment?: boolean;
  readonly id?: number;
  readonly offset?: number;
  readonly more?: boolean;
  /** Hex. */
  readonly options?: string;
  readonly version?: number;
  readonly headerWords?: number;
  readonly length?: number;
  readonly protocol?: number;
}

export const ip4Raw = (options: Ip4Options, protocol: number, body: Buffer): Packet => {
  const extra = Buffer.from(options.options ?? '', 'hex');
  const header = Buffer.concat([Buffer.alloc(20), extra]);
  header[0] = ((options.version ?? 4) << 4) | (options.headerWords ?? header.length / 4);
  header.writeUInt16BE(options.length ?? header.length + body.length, 2);
  header.writeUInt16BE(options.id ?? 0, 4);
  header[1] = options.tos ?? 0;
  const flags = (options.more ? 0x2000 : 0) | (options.dontFragment ? 0x4000 : 0);
  header.writeUInt16BE(flags | ((options.offset ?? 0) / 8), 6);
  header[8] = options.ttl ?? 64;
  header[9] = options.protocol ?? protocol;
  ip(options.src).copy(header, 12);
  ip(options.dst).copy(header, 16);
  header.writeUInt16BE(checksum(header), 10);
  return { ethertype: 0x0800, bytes: Buffer.concat([header, body]) };
};

export const ip4 = (options: Ip4Options, segment: Segment): Packet =>
  ip4Raw(options, segment.protocol, finished(segment, ip(options.src), ip(options.dst)));

/** Pieces of one datagram, cut after so many bytes each. */
export const ip4Fragments = (options: Ip4Options, segment: Segment, cuts: readonly number[]): Packet[] => {
  const body = finished(segment, ip(options.src), ip(options.dst));
  return pieces(body, cuts).map(({ offset, bytes, more }) =>
    ip4Raw({ ...options, offset, more }, segment.protocol, bytes),
  );
};

const pieces = (body: Buffer, cuts: readonly number[]): { offset: number; bytes: Buffer; more: boolean }[] =>
  [0, ...cuts].map((offset, at) => {
    const end = cuts[at] ?? body.length;
    return { offset, bytes: body.subarray(offset, end), more: end < body.length };
  });

/** An extension header without its first byte, which depends on what follows. */
export interface Extension {
  readonly protocol: number;
  readonly rest: Buffer;
}

const padded = (first: Buffer): Buffer => Buffer.concat([first, Buffer.alloc((8 - ((first.length + 1) % 8)) % 8)]);

const options8 = (protocol: number, units: number): Extension => {
  const rest = Buffer.alloc(7 + units * 8);
  rest[0] = units;
  rest[1] = 1; // PadN over all that is left
  rest[2] = rest.length - 3;
  return { protocol, rest };
};

export const hopByHop = (units = 0): Extension => options8(0, units);
export const destinationOptions = (units = 0): Extension => options8(60, units);
export const routing = (type: number, segmentsLeft: number): Extension => ({
  protocol: 43,
  rest: padded(Buffer.from([0, type, segmentsLeft, 0, 0, 0, 0])),
});
/** Authentication header with `words` 4-byte units after the first 8 bytes (RFC 4302 2.2). */
export const authentication = (words = 4): Extension => {
  const rest = Buffer.alloc(7 + words * 4);
  rest[0] = words;
  return { protocol: 51, rest };
};
export const fragment = (offset: number, more: boolean, id: number): Extension => {
  const rest = Buffer.alloc(7);
  rest.writeUInt16BE(offset | (more ? 1 : 0), 1);
  rest.writeUInt32BE(id, 3);
  return { protocol: 44, rest };
};

export interface Ip6Options {
  readonly src: string;
  readonly dst: string;
  readonly hopLimit?: number;
  readonly trafficClass?: number;
  readonly extensions?: readonly Extension[];
  readonly version?: number;
  readonly length?: number;
}

export const ip6Raw = (options: Ip6Options, protocol: number, body: Buffer): Packet => {
  const extensions = options.extensions ?? [];
  const chain = extensions.map(({ rest }, at) =>
    Buffer.concat([Buffer.from([extensions[at + 1]?.protocol ?? protocol]), rest]),
  );
  const after = Buffer.concat([...chain, body]);
  const header = Buffer.alloc(40);
  const trafficClass = options.trafficClass ?? 0;
  header[0] = ((options.version ?? 6) << 4) | (trafficClass >> 4);
  header[1] = (trafficClass & 0xf) << 4;
  header.writeUInt16BE(options.length ?? after.length, 4);
  header[6] = extensions[0]?.protocol ?? protocol;
  header[7] = options.hopLimit ?? 64;
  ip(options.src).copy(header, 8);
  ip(options.dst).copy(header, 24);
  return { ethertype: 0x86dd, bytes: Buffer.concat([header, after]) };
};

export const ip6 = (options: Ip6Options, segment: Segment): Packet =>
  ip6Raw(options, segment.protocol, finished(segment, ip(options.src), ip(options.dst)));

export const ip6Fragments = (
  options: Ip6Options & { id: number },
  segment: Segment,
  cuts: readonly number[],
): Packet[] => {
  const body = finished(segment, ip(options.src), ip(options.dst));
  return pieces(body, cuts).map(({ offset, bytes, more }) =>
    ip6Raw(
      { ...options, extensions: [...(options.extensions ?? []), fragment(offset, more, options.id)] },
      segment.protocol,
      bytes,
    ),
  );
};

export interface ArpOptions {
  readonly operation?: number;
  readonly senderMac: string;
  readonly senderIp: string;
  readonly targetIp: string;
  readonly hardware?: number;
}

export const arp = ({ operation = 1, senderMac, senderIp, targetIp, hardware = 1 }: ArpOptions): Packet => {
  const head = Buffer.from([0, hardware, 8, 0, 6, 4, 0, operation]);
  return {
    ethertype: 0x0806,
    bytes: Buffer.concat([head, mac(senderMac), ip(senderIp), Buffer.alloc(6), ip(targetIp)]),
  };
};
