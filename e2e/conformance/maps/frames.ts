// SPDX-License-Identifier: Apache-2.0
/**
 * One packet per cell: what opens a connection of its protocol. A frame is made once per conversation and copied with
 * another source port or identifier each time, so that no two connections are one; its checksums stay those of the first,
 * which the programs leave to the receiving stack.
 */
import { ethernet, icmp, icmp6, ip4, ip6, type Segment, sctp, tcp, udp } from '@weir/bpf/testing';
import type { Cell } from '../mode.ts';

/** Type 1 (INIT) with the 20 bytes of RFC 9260 3.3.2. */
const SCTP_INIT = Buffer.from('0100001400000001000100000001000100000001', 'hex');
const FIRST_PORT = 1024;
const ETHERNET_BYTES = 14;
const HEADER_BYTES = { 4: 20, 6: 40 } as const;

const segment = ({ protocol, port }: Cell): Segment => {
  const ports = { sport: FIRST_PORT, dport: port };
  switch (protocol) {
    case 'TCP':
      return tcp({ ...ports, flags: 'S' });
    case 'UDP':
      return udp({ ...ports, data: 'weir' });
    case 'SCTP':
      return sctp({ ...ports, data: SCTP_INIT });
    case 'ICMP':
      return icmp({ type: port, id: FIRST_PORT, data: 'weir-cell' });
    case 'ICMPv6':
      return icmp6({ type: port, id: FIRST_PORT, data: 'weir-cell' });
  }
};

export interface Link {
  readonly sourceMac: string;
  readonly destinationMac: string;
  readonly sourceIp: string;
  readonly destinationIp: string;
}

export const createFrames = () => {
  const templates = new Map<string, Buffer>();
  let fresh = 0;

  const template = (cell: Cell, link: Link): Buffer => {
    const key = `${cell.protocol} ${cell.port} ${link.sourceMac} ${link.destinationMac} ${link.sourceIp} ${link.destinationIp}`;
    let frame = templates.get(key);
    if (!frame) {
      const ends = { src: link.sourceIp, dst: link.destinationIp };
      const packet = cell.family === 4 ? ip4(ends, segment(cell)) : ip6(ends, segment(cell));
      frame = ethernet({ from: link.sourceMac, to: link.destinationMac }, packet);
      templates.set(key, frame);
    }
    return frame;
  };

  /** A connection that was never there before, as long as fewer than 60,000 are remembered; `number`: its port or identifier. */
  return (cell: Cell, link: Link): { readonly frame: Buffer; readonly number: number } => {
    const frame = Buffer.from(template(cell, link));
    const number = FIRST_PORT + (fresh++ % 60_000);
    const l4 = ETHERNET_BYTES + HEADER_BYTES[cell.family];
    frame.writeUInt16BE(number, cell.protocol.startsWith('ICMP') ? l4 + 4 : l4);
    return { frame, number };
  };
};
