// SPDX-License-Identifier: Apache-2.0
/** Upper layers. What needs a pseudo header leaves its checksum to the IP layer that carries it. */
import { checksum, crc32c } from './bytes.ts';

export interface Segment {
  readonly protocol: number;
  readonly bytes: Buffer;
  /** Where a checksum with pseudo header goes. */
  readonly checksumAt?: number;
}

const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmp6: 58, sctp: 132 } as const;
const FLAG = { F: 1, S: 2, R: 4, P: 8, A: 16, U: 32, E: 64, C: 128 } as const;
type Flag = keyof typeof FLAG;

/** 'SA' -> SYN and ACK. */
export const tcpFlags = (letters: string): number =>
  [...letters].reduce((flags, letter) => flags | FLAG[letter as Flag], 0);

export const raw = (protocol: number, bytes: Buffer = Buffer.alloc(0)): Segment => ({ protocol, bytes });

export interface Ports {
  readonly sport: number;
  readonly dport: number;
  readonly data?: string | Buffer;
}

export const tcp = ({
  sport,
  dport,
  flags = 'S',
  data = '',
  options = '',
  offset,
}: Ports & { flags?: string; options?: string; offset?: number }): Segment => {
  const extra = Buffer.from(options, 'hex');
  const header = Buffer.alloc(20);
  header.writeUInt16BE(sport, 0);
  header.writeUInt16BE(dport, 2);
  header.writeUInt32BE(1000, 4);
  header[12] = (offset ?? (20 + extra.length) / 4) << 4;
  header[13] = tcpFlags(flags);
  header.writeUInt16BE(65535, 14);
  return { protocol: PROTOCOL.tcp, bytes: Buffer.concat([header, extra, Buffer.from(data)]), checksumAt: 16 };
};

export const udp = ({ sport, dport, data = '', length }: Ports & { length?: number }): Segment => {
  const body = Buffer.from(data);
  const header = Buffer.alloc(8);
  header.writeUInt16BE(sport, 0);
  header.writeUInt16BE(dport, 2);
  header.writeUInt16BE(length ?? 8 + body.length, 4);
  return { protocol: PROTOCOL.udp, bytes: Buffer.concat([header, body]), checksumAt: 6 };
};

export const sctp = ({ sport, dport, data = '\u0001\u0000\u0000\u0004' }: Ports): Segment => {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(sport, 0);
  header.writeUInt16BE(dport, 2);
  const bytes = Buffer.concat([header, Buffer.from(data)]);
  bytes.writeUInt32LE(crc32c(bytes), 8);
  return { protocol: PROTOCOL.sctp, bytes };
};

export interface IcmpOptions {
  readonly type: number;
  readonly code?: number;
  readonly id?: number;
  readonly seq?: number;
  readonly data?: string | Buffer;
}

const icmpBytes = ({ type, code = 0, id = 0, seq = 0, data = '' }: IcmpOptions): Buffer => {
  const header = Buffer.alloc(8);
  header[0] = type;
  header[1] = code;
  header.writeUInt16BE(id, 4);
  header.writeUInt16BE(seq, 6);
  return Buffer.concat([header, Buffer.from(data)]);
};

export const icmp = (options: IcmpOptions): Segment => {
  const bytes = icmpBytes(options);
  bytes.writeUInt16BE(checksum(bytes), 2);
  return { protocol: PROTOCOL.icmp, bytes };
};

export const icmp6 = (options: IcmpOptions): Segment => ({
  protocol: PROTOCOL.icmp6,
  bytes: icmpBytes(options),
  checksumAt: 2,
});

export const ping = (id = 7): Segment => icmp({ type: 8, id, data: 'ping' });
export const pong = (id = 7): Segment => icmp({ type: 0, id, data: 'ping' });
export const ping6 = (id = 7): Segment => icmp6({ type: 128, id, data: 'ping' });
export const pong6 = (id = 7): Segment => icmp6({ type: 129, id, data: 'ping' });
