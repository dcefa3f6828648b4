// SPDX-License-Identifier: Apache-2.0
/** Rates in the packet tests' world: whether uplinks pace, and how much of a workload's rate is used already. */
import { bandwidth } from '../../gen/index.ts';
import type { Workload, World } from './world.ts';

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

/** As if what it has sent so far had used its rate up to so many milliseconds from now. */
export const sentAhead = (world: World, who: Workload, ms: number): void => {
  const key = u32(who.ifindex);
  const held = bandwidth.decode(world.map('bandwidths').lookup(key) as Buffer);
  const paid = process.hrtime.bigint() + BigInt(ms) * 1_000_000n;
  world.map('bandwidths').update(key, bandwidth.encode({ ...held, egress_paid_ns: paid }));
};

/** Every uplink keeps packets back until their time. */
export const pace = (world: World): void => world.map('pacing').update(u32(0), u32(1));
