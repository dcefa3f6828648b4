// SPDX-License-Identifier: Apache-2.0
/**
 * What must become of a frame that is well formed (oracle.ts) under the fuzzer's policy, with no connection known: the
 * second opinion on verdicts, written from the README. Where it has none (ARP, neighbour and listener discovery, later
 * fragments) it says so.
 */
import { ip } from './bytes.ts';
import type { Rule } from './world.ts';
import { DB, WEB } from './world.ts';

/** Of both workloads, both ways. */
export const FUZZ_RULES: readonly Rule[] = [
  { id: 1, protocol: 6, port: 80 },
  { id: 2, protocol: 17, port: 53 },
  { id: 3, protocol: 1, port: 8 << 8, portBits: 8 },
  { id: 4, protocol: 58, port: 128 << 8, portBits: 8 },
  { id: 5, protocol: 132, port: 9 },
];

export type Expected = 'pass' | 'drop' | 'no opinion';

const bytesOf = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');
const MAC = { web: bytesOf(WEB.mac), gateway: bytesOf(WEB.hostMac) };
const OWN = { 4: ip(WEB.ip4), 6: ip(WEB.ip6) } as const;
const LOCAL = [WEB.ip4, WEB.ip6, DB.ip4, DB.ip6].map(ip);
const DISCOVERY = [130, 131, 132, 133, 134, 135, 136, 137, 141, 142, 143];

interface Packet {
  readonly family: 4 | 6;
  readonly source: Buffer;
  readonly destination: Buffer;
  readonly protocol: number;
  /** Behind the headers of L3. */
  readonly payload: Buffer;
  readonly later: boolean;
}

const packet4 = (bytes: Buffer): Packet => ({
  family: 4,
  source: bytes.subarray(12, 16),
  destination: bytes.subarray(16, 20),
  protocol: bytes[9] as number,
  payload: bytes.subarray(((bytes[0] as number) & 15) * 4),
  later: (bytes.readUInt16BE(6) & 0x1fff) !== 0,
});

const packet6 = (bytes: Buffer): Packet => {
  let next = bytes[6] as number;
  let at = 40;
  let later = false;
  while (!later && [0, 43, 44, 51, 60].includes(next)) {
    const units = bytes[at + 1] as number;
    if (next === 44) later = (bytes.readUInt16BE(at + 2) & 0xfff8) !== 0;
    const size = next === 44 ? 8 : next === 51 ? (units + 2) * 4 : (units + 1) * 8;
    next = bytes[at] as number;
    at += size;
  }
  const [source, destination] = [bytes.subarray(8, 24), bytes.subarray(24, 40)];
  return { family: 6, source, destination, protocol: next, payload: bytes.subarray(at), later };
};

const toGroup = ({ family, destination }: Packet): boolean =>
  family === 6
    ? destination[0] === 0xff
    : ((destination[0] as number) & 0xf0) === 0xe0 || destination.readUInt32BE(0) === 0xffffffff;

const mayBeSent = (frame: Buffer, packet: Packet): boolean => {
  if (!frame.subarray(6, 12).equals(MAC.web)) return false;
  const group = ((frame[0] as number) & 1) !== 0;
  if (group ? !toGroup(packet) : !frame.subarray(0, 6).equals(MAC.gateway)) return false;
  return packet.source.equals(OWN[packet.family]);
};

const isAllowed = ({ protocol, payload }: Packet): boolean =>
  FUZZ_RULES.some((rule) => {
    if (rule.protocol !== protocol) return false;
    if (protocol === 1 || protocol === 58) return payload[0] === (rule.port ?? 0) >> 8;
    return payload.readUInt16BE(2) === rule.port;
  });

/** Of a well-formed frame; `sending`: from the workload under test, else to it and from outside. */
export const expectedVerdict = (frame: Buffer, sending: boolean): Expected => {
  let at = 12;
  while (frame.readUInt16BE(at) !== 0x0800 && frame.readUInt16BE(at) !== 0x86dd) {
    if (frame.readUInt16BE(at) === 0x0806) return 'no opinion';
    at += 4;
  }
  const packet = frame.readUInt16BE(at) === 0x0800 ? packet4(frame.subarray(at + 2)) : packet6(frame.subarray(at + 2));
  if (packet.later) return 'no opinion';
  const { family, source, protocol, payload } = packet;
  if (protocol === 58 && DISCOVERY.includes(payload[0] as number)) return 'no opinion';
  if (family === 4 ? source.readUInt32BE(0) === 0xffffffff : source.every((byte) => byte === 0)) return 'drop';
  if (sending ? !mayBeSent(frame, packet) : LOCAL.some((address) => address.equals(source))) return 'drop';
  return isAllowed(packet) ? 'pass' : 'drop';
};
