// SPDX-License-Identifier: Apache-2.0
/**
 * A second opinion on frames: what makes one malformed or forbidden whatever policy says. Written from the RFCs and
 * not from the C code; it errs on the side of 'well formed', so that each complaint of it is one.
 */

type Opinion = string;
const WELL_FORMED: Opinion = 'well formed';

const isVlan = (type: number): boolean => type === 0x8100 || type === 0x88a8;

const zero = (bytes: Buffer): boolean => bytes.every((byte) => byte === 0);

/** RFC 9293 3.1: at least 20 bytes, data offset inside, and flags that some state of the machine sends. */
const tcpOpinion = (bytes: Buffer): Opinion => {
  if (bytes.length < 20) return 'the TCP header is cut';
  const header = ((bytes[12] as number) >> 4) * 4;
  if (header < 20 || header > bytes.length) return `TCP data offset ${header}`;
  const flags = bytes[13] as number;
  const [fin, syn, rst, ack] = [1, 2, 4, 16].map((bit) => (flags & bit) !== 0);
  if (!fin && !syn && !rst && !ack) return 'TCP without any flag that means something';
  if (syn && (fin || rst)) return 'TCP SYN with FIN or RST';
  if (fin && (rst || !ack)) return 'TCP FIN with RST, or without ACK';
  if ((flags & 32) !== 0 && (rst || (syn && ack))) return 'TCP URG where nothing can be urgent';
  return WELL_FORMED;
};

const l4Opinion = (protocol: number, bytes: Buffer, family: 4 | 6, whole: boolean): Opinion => {
  switch (protocol) {
    case 6:
      return tcpOpinion(bytes);
    case 17: {
      if (bytes.length < 8) return 'the UDP header is cut';
      const length = bytes.readUInt16BE(4);
      return length < 8 || (whole && length > bytes.length) ? `UDP length ${length}` : WELL_FORMED;
    }
    case 132:
      return bytes.length < 12 ? 'the SCTP header is cut' : WELL_FORMED;
    case 1:
    case 58:
      if ((protocol === 1) !== (family === 4)) return 'ICMP of the other family';
      return bytes.length < 8 ? 'the ICMP header is cut' : WELL_FORMED;
    default:
      return `protocol ${protocol} is not tracked`;
  }
};

const options4Opinion = (options: Buffer): Opinion => {
  for (let at = 0; at < options.length; ) {
    const type = options[at] as number;
    if (type === 0) return WELL_FORMED;
    if (type === 131 || type === 137) return 'an IPv4 source route';
    const size = type === 1 ? 1 : (options[at + 1] ?? 0);
    if (type !== 1 && (size < 2 || at + size > options.length)) return 'an IPv4 option that leads nowhere';
    at += size;
  }
  return WELL_FORMED;
};

const ip4Opinion = (packet: Buffer): Opinion => {
  if (packet.length < 20) return 'the IPv4 header is cut';
  const header = ((packet[0] as number) & 15) * 4;
  const length = packet.readUInt16BE(2);
  if ((packet[0] as number) >> 4 !== 4 || header < 20) return 'no IPv4 header';
  if (length < header || length > packet.length) return `IPv4 length ${length}`;
  const options = options4Opinion(packet.subarray(20, header));
  if (options !== WELL_FORMED) return options;
  const source = packet.subarray(12, 16);
  const destination = packet.subarray(16, 20);
  if (source.equals(destination)) return 'land';
  for (const first of [source[0], destination[0]]) if (first === 127 || first === 0) return 'a martian IPv4 address';
  if (((source[0] as number) & 0xf0) === 0xe0) return 'a multicast source';
  const fragment = packet.readUInt16BE(6) & 0x3fff;
  if (fragment & 0x1fff) return WELL_FORMED;
  return l4Opinion(packet[9] as number, packet.subarray(header, length), 4, fragment === 0);
};

/** Walks the chain of RFC 8200 4; stops at a later fragment, which it cannot know more about. */
const chainOpinion = (packet: Buffer, end: number): Opinion => {
  let next = packet[6] as number;
  let at = 40;
  let whole = true;
  let fragmented = false;
  for (let headers = 0; ; headers++) {
    if (![0, 43, 44, 51, 60].includes(next)) break;
    if (headers === 8) return 'more than 8 extension headers';
    if (at + 8 > end) return 'an extension header is cut';
    const [following = 0, units = 0, third = 0, left = 0] = packet.subarray(at, at + 4);
    if (next === 0 && headers > 0) return 'hop-by-hop options that are not first';
    if (next === 43 && (third === 0 || left > 0)) return 'a routing header that routes';
    if (next === 44) {
      const offset = packet.readUInt16BE(at + 2);
      if (fragmented) return 'two fragment headers';
      fragmented = true;
      // the two bits between offset and flag are reserved (RFC 8200 4.5)
      whole = (offset & 0xfff9) === 0;
      if (offset & 0xfff8) return WELL_FORMED;
    }
    const size = next === 44 ? 8 : next === 51 ? (units + 2) * 4 : (units + 1) * 8;
    if (at + size > end) return 'an extension header is cut';
    at += size;
    next = following;
  }
  if (next === 59) return 'no next header';
  return l4Opinion(next, packet.subarray(at, end), 6, whole);
};

const mapped = (address: Buffer): boolean => zero(address.subarray(0, 10)) && address.readUInt16BE(10) === 0xffff;
const loopback = (address: Buffer): boolean => zero(address.subarray(0, 15)) && address[15] === 1;

const ip6Opinion = (packet: Buffer): Opinion => {
  if (packet.length < 40) return 'the IPv6 header is cut';
  if ((packet[0] as number) >> 4 !== 6) return 'no IPv6 header';
  const end = 40 + packet.readUInt16BE(4);
  if (end > packet.length) return `IPv6 length ${end - 40}`;
  const source = packet.subarray(8, 24);
  const destination = packet.subarray(24, 40);
  if (source.equals(destination)) return 'land';
  for (const address of [source, destination]) {
    if (mapped(address)) return 'a v4-mapped address on the wire';
    if (loopback(address)) return 'loopback on the wire';
  }
  if (source[0] === 0xff || zero(destination)) return 'a martian IPv6 address';
  return chainOpinion(packet, end);
};

/** 'well formed', or what is wrong. */
export const judgeFrame = (frame: Buffer): Opinion => {
  let at = 12;
  for (let tags = 0; isVlan(frame.readUInt16BE(at)); tags++) {
    if (tags === 2) return 'three VLAN tags';
    if (frame.length < at + 6) return 'a VLAN tag is cut';
    if (frame.readUInt16BE(at + 2) & 0x0fff) return 'a VLAN';
    at += 4;
  }
  const type = frame.readUInt16BE(at);
  const packet = frame.subarray(at + 2);
  if (type === 0x0800) return ip4Opinion(packet);
  if (type === 0x86dd) return ip6Opinion(packet);
  return type === 0x0806 ? WELL_FORMED : `ethertype ${type.toString(16)}`;
};
