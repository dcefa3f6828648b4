// SPDX-License-Identifier: Apache-2.0
/** Frames by grammar, and the same with bits flipped, bytes replaced, ends cut or added. */
import { authentication, destinationOptions, ethernet, fragment, hopByHop, ip4, ip6, routing } from './packet.ts';
import type { Random } from './random.ts';
import { icmp, icmp6, type Segment, sctp, tcp, udp } from './transport.ts';
import { DB, PEER, WEB, WORLD } from './world.ts';

export const LONGEST_FRAME = 1514;

const segment = (random: Random): Segment => {
  const ports = { sport: random.pick([1000, 53, 80]), dport: random.pick([80, 53, 9, 22]) };
  const data = Buffer.alloc(random.below(8) ? random.below(200) : random.below(1400));
  switch (random.below(5)) {
    case 0:
      return tcp({ ...ports, flags: random.pick(['S', 'SA', 'A', 'PA', 'FA', 'R', 'RA']), data });
    case 1:
      return udp({ ...ports, data });
    case 2:
      return sctp(ports);
    case 3:
      return icmp({ type: random.pick([0, 3, 5, 8, 8, 11, 13]), id: 7, data });
    default:
      return icmp6({ type: random.pick([1, 2, 128, 128, 129, 133, 134, 135, 136, 143]), id: 7, data });
  }
};

const addresses = (sending: boolean, family: 'ip4' | 'ip6', random: Random) => {
  const other = random.pick([PEER, WORLD, DB])[family];
  return sending ? { src: WEB[family], dst: other } : { src: other, dst: WEB[family] };
};

/** `sending`: what the workload under test sends, else what it receives. */
export const generateFrame = (sending: boolean, random: Random): Buffer => {
  const body = segment(random);
  const link = sending ? { from: WEB.mac, to: WEB.hostMac } : { from: WEB.hostMac, to: WEB.mac };
  const tagged = { ...link, vlans: random.pick([[], [], [], [0], [0, 0]]) };
  if (body.protocol !== 58 && random.below(2)) {
    const shape = {
      ttl: random.pick([1, 2, 64, 255]),
      options: random.pick(['', '', '94040000', '0101010007040400']),
      id: random.below(4),
      offset: random.pick([0, 0, 0, 8, 24]),
      more: random.below(8) === 0,
    };
    return ethernet(tagged, ip4({ ...addresses(sending, 'ip4', random), ...shape }, body));
  }
  const chain = [
    hopByHop(),
    destinationOptions(1),
    routing(4, 0),
    authentication(),
    fragment(0, random.below(2) === 0, 7),
  ];
  const extensions = chain.filter(() => random.below(6) === 0);
  return ethernet(
    tagged,
    ip6({ ...addresses(sending, 'ip6', random), hopLimit: random.pick([1, 64, 255]), extensions }, body),
  );
};

/** Writes a variation of the frame to `out` at `at`; returns where it ends. `out` must have room for LONGEST_FRAME. */
export const mutateInto = (out: Buffer, at: number, frame: Buffer, random: Random): number => {
  let length = Math.min(frame.length, LONGEST_FRAME);
  out.set(frame.subarray(0, length), at);
  for (let flips = random.below(4); flips > 0; flips--) {
    // headers are where decisions are made
    const place = at + (random.below(3) ? 12 + random.below(Math.min(length - 12, 80)) : random.below(length));
    out[place] = random.below(2) ? (out[place] as number) ^ (1 << random.below(8)) : random.below(256);
  }
  const cut = random.below(24);
  if (cut < 4) length = random.below(length);
  else if (cut < 6) {
    const longer = Math.min(length + random.below(64), LONGEST_FRAME);
    out.fill(0xff, at + length, at + longer);
    length = longer;
  }
  return at + length;
};
