// SPDX-License-Identifier: Apache-2.0
/** What a new holder says on the link, so that neighbours need not wait until they ask again: ARP announcements (RFC 5227 3) and unsolicited neighbour advertisements (RFC 4861 7.2.6). */
import { ipFamily, parseIp, parseMac } from '@weir/net';

const ETHERTYPE = { arp: 0x0806, ipv6: 0x86dd } as const;
const BROADCAST = Buffer.alloc(6, 0xff);
const ALL_NODES = Buffer.from('ff020000000000000000000000000001', 'hex');
const ALL_NODES_MAC = Buffer.from('333300000001', 'hex');
const ICMPV6 = 58;
const OVERRIDE = 0x20;
const HOP_LIMIT = 255;

const checksum = (...parts: readonly Buffer[]): number => {
  let sum = 0;
  for (const part of parts) for (let i = 0; i < part.length; i += 2) sum += part.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
};

const ethernet = (to: Buffer, from: Buffer, type: number, body: Buffer): Buffer => {
  const header = Buffer.alloc(14);
  to.copy(header, 0);
  from.copy(header, 6);
  header.writeUInt16BE(type, 12);
  return Buffer.concat([header, body]);
};

const arpAnnouncement = (ip: Buffer, mac: Buffer): Buffer => {
  // Ethernet, IPv4, a request for itself.
  const head = Buffer.from('0001080006040001', 'hex');
  return ethernet(BROADCAST, mac, ETHERTYPE.arp, Buffer.concat([head, mac, ip, Buffer.alloc(6), ip]));
};

const neighbourAdvertisement = (ip: Buffer, mac: Buffer): Buffer => {
  const message = Buffer.concat([
    Buffer.from([136, 0, 0, 0, OVERRIDE, 0, 0, 0]),
    ip,
    // Target link-layer address.
    Buffer.from([2, 1]),
    mac,
  ]);
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header.writeUInt16BE(message.length, 4);
  header[6] = ICMPV6;
  header[7] = HOP_LIMIT;
  ip.copy(header, 8);
  ALL_NODES.copy(header, 24);
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(message.length, 0);
  pseudo.writeUInt32BE(ICMPV6, 4);
  message.writeUInt16BE(checksum(ip, ALL_NODES, pseudo, message), 2);
  return ethernet(ALL_NODES_MAC, mac, ETHERTYPE.ipv6, Buffer.concat([header, message]));
};

/** One frame: this MAC answers for the address. */
export const announcement = (address: string, mac: string): Buffer => {
  const bytes = Buffer.from(parseIp(address));
  const own = Buffer.from(parseMac(mac));
  return ipFamily(bytes) === 4 ? arpAnnouncement(bytes.subarray(12), own) : neighbourAdvertisement(bytes, own);
};

/** The group in which an IPv6 address is asked for (RFC 4291 2.7.1). */
export const solicitedNode = (address: string): string => {
  const [a = 0, b = 0, c = 0] = Buffer.from(parseIp(address)).subarray(13);
  const hex = (n: number): string => n.toString(16);
  return `ff02::1:ff${a.toString(16).padStart(2, '0')}:${hex((b << 8) | c)}`;
};
