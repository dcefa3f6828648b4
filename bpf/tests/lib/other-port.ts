// SPDX-License-Identifier: Apache-2.0
/** Which port stands for a client's that is in use towards the backend: the hash of bpf/include/nat.h once more. */
import { mapped } from './bytes.ts';

/** What the client sends to. */
export interface Asked {
  readonly client: string;
  readonly sport: number;
  readonly address: string;
  readonly port: number;
}

const wordsOf = (address: string): number[] => [0, 4, 8, 12].map((at) => mapped(address).readUInt32LE(at));
const onWire = (port: number): number => ((port & 0xff) << 8) | (port >> 8);

const hashOf = ({ client, sport, address, port }: Asked): number => {
  const [local, remote] = [wordsOf(address), wordsOf(client)];
  const word = (words: number[], at: number): number => words[at] ?? 0;
  let hash = 0x9e3779b1;
  hash = Math.imul(hash ^ word(local, 3), 0x85ebca6b);
  hash = Math.imul(hash ^ word(local, 2) ^ word(local, 1), 0xc2b2ae35);
  hash = Math.imul(hash ^ word(remote, 3) ^ (hash >>> 15), 0x27d4eb2f);
  hash = Math.imul(hash ^ ((onWire(port) << 16) | onWire(sport)), 0x165667b1);
  return (hash ^ (hash >>> 13)) >>> 0;
};

/** The port of the so manieth try, from `low` to `high`. */
export const otherPort = (asked: Asked, tries: number, low: number, high: number): number => {
  const hash = hashOf(asked);
  const step = ((hash >>> 16) | 1) >>> 0;
  const sum = (hash + Math.imul(tries, step)) >>> 0;
  return low + (sum % (high - low + 1));
};
